"""Object code that was made before: in memory, and on the disk for the next process.

A file is named by a hash of the module's text, the machine, and the versions of everything that
made it, so that nothing stale is ever found; it starts with a hash of its own content, so that a
damaged one is noticed and made again. Files are written to a temporary name and renamed. The
folder belongs to the user alone, since loading from it runs code; where one cannot be had, or
``CHAINRULE_CACHE`` is empty, there is no cache on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import stat
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from chainrule.run.native.runtime import machine
from chainrule.version import __version__

REMEMBERED = 256
"""How many objects stay in memory."""
KEPT_BYTES = 256 * 2**20
"""How much stays on the disk; the files used longest ago go first."""
PRUNED_EVERY = 64
"""After so many new files, and after the first one, a process looks how much there is."""
_saves = itertools.count()
_memory: OrderedDict[str, bytes] = OrderedDict()
_lock = Lock()


def object_code(text: str) -> bytes:
    """The object code of a module's text."""
    key = _key(text)
    with _lock:
        code = _memory.get(key)
        if code is not None:
            _memory.move_to_end(key)
            return code
    folder = cache_folder()
    code = _load(folder / key) if folder is not None else None
    if code is None:
        code = machine.assemble(text)
        if folder is not None:
            _save(folder, key, code)
    with _lock:
        _memory[key] = code
        while len(_memory) > REMEMBERED:
            _memory.popitem(last=False)
    return code


def _key(text: str) -> str:
    about = f"{__version__}|{machine.identity()}|{text}"
    return hashlib.sha256(about.encode()).hexdigest()


def cache_folder() -> Path | None:
    """The folder of object code, made if need be; None where there is no private one."""
    named = os.environ.get("CHAINRULE_CACHE")
    if named == "":
        return None
    folder = Path(named) if named else _user_folder() / "chainrule" / "native"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            found = folder.stat()
            if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
                return None
    except (OSError, RuntimeError):
        return None
    return folder


def _user_folder() -> Path:
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _load(path: Path) -> bytes | None:
    """The content of a file if it is whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    if hashlib.sha256(code).digest() != digest:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used now
    return code


def _save(folder: Path, key: str, code: bytes) -> None:
    """Write a file, whole or not at all; a disk that refuses is no reason to fail."""
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(temporary, folder / key)
        if next(_saves) % PRUNED_EVERY == 0:
            _prune(folder)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _prune(folder: Path) -> None:
    """Remove the files used longest ago while there are too many bytes."""
    with os.scandir(folder) as entries:
        stats = [(entry.path, entry.stat()) for entry in entries if entry.is_file()]
    excess = sum(found.st_size for _, found in stats) - KEPT_BYTES
    for path, found in sorted(stats, key=lambda one: one[1].st_mtime):
        if excess <= 0:
            return
        Path(path).unlink(missing_ok=True)
        excess -= found.st_size
