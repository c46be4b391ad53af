"""A file is either the old one or the new one, never half."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from chainrule.errors import UsageError

__all__ = ["atomic_write", "sync_folder"]


def atomic_write(path: str | os.PathLike[str], data: bytes, *, replace: bool = True) -> None:
    """Write ``data`` to ``path`` so that readers see the old file or the whole new one.

    The bytes go to a temporary file in the same folder, reach the disk (fsync), and only then
    take the name; last the folder itself is synced. A symbolic link is followed, and an
    existing file's permissions are kept. With ``replace=False`` an existing file is an error
    (UsageError), also if it appears at the last moment. Nothing is left behind on failure.
    """
    target = Path(os.path.realpath(path))
    mode = None
    with contextlib.suppress(FileNotFoundError):
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path}: is not a regular file, so it cannot be replaced")
        if not replace:
            raise _exists(path)
        mode = stat.S_IMODE(status.st_mode)

    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        if replace:
            os.replace(temporary, target)
        else:
            _move_new(temporary, target, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(target.parent)


def _move_new(temporary: Path, target: Path, shown: object) -> None:
    """Take the name ``target`` only if nobody else has."""
    try:
        os.link(temporary, target)  # unlike rename, fails if the name is taken
    except FileExistsError:
        raise _exists(shown) from None
    except OSError:  # a file system without hard links: the check above must do
        os.replace(temporary, target)


def _exists(path: object) -> UsageError:
    return UsageError(f"{path}: exists already; choose another name or allow replacing it")


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make a rename in ``folder`` durable, where the system can (not on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse
            os.fsync(handle)
    finally:
        os.close(handle)
