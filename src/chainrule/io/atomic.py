"""A file is either the old one or the new one, never half.

A writer's temporary file has a name of its own kind and is locked as long as it is written, so
that what a killed writer left is known for certain: the next writer into the folder removes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from chainrule.errors import UsageError

if sys.platform != "win32":
    import fcntl

__all__ = ["atomic_write", "naming", "sweep"]

TEMPORARY = re.compile(r"\.chainrule-[0-9a-f]{24}\.tmp")
ABANDONED = 24 * 3600
"""Seconds after which a temporary file is given up where files cannot be locked (Windows)."""


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within it, an error of the operating system names ``path``: those of writing (a full disk)
    name no file, those of a temporary file one that the user does not know."""
    try:
        yield
    except OSError as error:
        error.filename = os.fspath(path)
        if error.filename2 is not None:
            del error.filename2  # None would be said: "-> None"
        raise


def atomic_write(
    path: str | os.PathLike[str],
    data: bytes | Iterable[bytes],
    *,
    replace: bool = True,
    mode: int | None = None,
    durable: bool = True,
) -> None:
    """Write ``data`` to ``path`` so that readers see the old file or the whole new one.

    The bytes go to a temporary file in the same folder, reach the disk (fsync), and only then
    take the name; last the folder itself is synced. A symbolic link is followed, and an
    existing file's permissions are kept unless ``mode`` says others.
    With ``replace=False`` an existing file is an error (UsageError), also if it appears at the
    last moment. Nothing is left behind on failure, and what killed writers left in the folder
    is removed. OSErrors name ``path``.

    ``durable=False`` is for what can be made again: nothing is synced or swept.
    """
    with naming(path):
        target = Path(os.path.realpath(path))
        kept = None
        with contextlib.suppress(FileNotFoundError):
            status = target.stat()
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path}: is not a regular file, so it cannot be replaced")
            if not replace:
                raise _exists(path)
            kept = mode or stat.S_IMODE(status.st_mode)
        if durable:
            sweep(target.parent)
        temporary, handle = _begin(target.parent, mode or 0o666)
        try:
            with open(handle, "wb") as file:
                for part in (data,) if isinstance(data, bytes) else data:
                    file.write(part)
                file.flush()
                if durable:
                    os.fsync(handle)
                if kept is not None:
                    os.chmod(temporary, kept)
                if sys.platform != "win32":  # with its lock: an open file has no new name there
                    _take(temporary, target, path, replace)
            if sys.platform == "win32":
                _take(temporary, target, path, replace)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        if durable:
            _sync_folder(target.parent)


def _begin(folder: Path, mode: int) -> tuple[Path, int]:
    """A new temporary file: its path, and its handle, which holds the lock."""
    binary = getattr(os, "O_BINARY", 0)
    while True:
        path = folder / f".chainrule-{secrets.token_hex(12)}.tmp"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, mode)
        if sys.platform == "win32":
            return path, handle
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return path, handle
        os.close(handle)  # another writer swept it before it was locked


def sweep(folder: str | os.PathLike[str]) -> None:
    """Remove what writers that were killed left in ``folder``: files named as only
    ``atomic_write`` names them, of this user, which no living writer has locked."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove(entry)


def _remove(entry: os.DirEntry[str]) -> None:
    found = entry.stat(follow_symlinks=False)
    if sys.platform == "win32":
        if time.time() - found.st_mtime > ABANDONED:
            os.unlink(entry)
    elif found.st_uid == os.getuid():
        handle = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(entry)
        finally:
            os.close(handle)


def _take(temporary: Path, target: Path, shown: object, replace: bool) -> None:
    """Give the file its name; without ``replace`` only if nobody else has it."""
    if replace:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)  # unlike rename, fails if the name is taken
    except FileExistsError:
        raise _exists(shown) from None
    except OSError:  # a file system without hard links: the check above must do
        os.replace(temporary, target)


def _exists(path: object) -> UsageError:
    return UsageError(f"{path}: exists already; choose another name or allow replacing it")


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable, where the system can (not on Windows)."""
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):  # some network file systems refuse
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
