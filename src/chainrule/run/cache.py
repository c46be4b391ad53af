"""Compiled code that was made before: in memory, and on the disk for the next process.

A file is named by a hash of the program's text, the machine, and the versions of everything that
made it, so that nothing stale is ever found. It holds that hash too, and one of all of its
content, so that a damaged file, or one that stands under another's name, is made again. Nothing
is read, replaced or removed but ordinary files named and begun as this module does. The folder
belongs to the user alone, since loading from it runs code; where one cannot be had a warning says
why, once, and there is no cache on disk. An empty ``CHAINRULE_CACHE`` asks for none.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import stat
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from chainrule import io
from chainrule.core import frames
from chainrule.version import __version__

REMEMBERED = 256
"""How many objects stay in memory."""
KEPT_BYTES = 256 * 2**20
"""How much stays on the disk; the files used longest ago go first."""
PRUNED_EVERY = 64
"""After so many new files, and after the first one, a process looks how much there is."""
MAGIC = b"chainrule machine code 1\n"
HEAD = len(MAGIC) + 2 * 32
"""Bytes before the code."""
NAME = re.compile(r"chainrule-[0-9a-f]{64}\.code")
_saves = itertools.count()
_memory: OrderedDict[str, bytes] = OrderedDict()
_lock = Lock()
_said: set[str] = set()


def _fresh_lock() -> None:
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):  # a thread that the child has not may hold it
    os.register_at_fork(after_in_child=_fresh_lock)


def kept(about: str, make: Callable[[], bytes]) -> bytes:
    """The code that ``make`` makes; ``about`` is all that it depends on, beside our version."""
    key = _key(about)
    with _lock:
        code = _memory.get(key)
        if code is not None:
            _memory.move_to_end(key)
            return code
    folder = cache_folder()
    code = _load(folder, key) if folder is not None else None
    if code is None:
        code = make()
        if folder is not None:
            _save(folder, key, code)
    with _lock:
        _memory[key] = code
        while len(_memory) > REMEMBERED:
            _memory.popitem(last=False)
    return code


def _key(about: str) -> str:
    return hashlib.sha256(f"{__version__}|{about}".encode()).hexdigest()


def cache_folder() -> Path | None:
    """The folder of object code, made if need be; None, after a warning, where there is no
    private one."""
    named = os.environ.get("CHAINRULE_CACHE")
    if named == "":
        return None
    shown: object = named or "the user's cache folder"
    try:
        shown = folder = Path(named).expanduser() if named else _user_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            found = folder.stat()
            if found.st_uid != os.getuid():
                return _unused(folder, "it belongs to another user")
            if stat.S_IMODE(found.st_mode) & 0o077:
                return _unused(folder, f"others may use it too; run: chmod 700 {folder}")
    except (OSError, RuntimeError) as error:  # no such folder; no home
        return _unused(shown, getattr(error, "strerror", None) or str(error))
    return folder


def _user_folder() -> Path:
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        base = Path(os.environ["LOCALAPPDATA"])
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "chainrule" / "native"


def _unused(place: object, why: str) -> None:
    """Say once in a process why machine code is not kept."""
    message = (
        f"machine code is not kept in {place}: {why}. Each process compiles anew; CHAINRULE_CACHE "
        "names another folder, or is empty for none"
    )
    if message not in _said:
        _said.add(message)
        frames.warn(message)


def _path(folder: Path, key: str) -> Path:
    return folder / f"chainrule-{key}.code"


def _load(folder: Path, key: str) -> bytes | None:
    """The code that was kept under a key, if the file is whole and was made for it."""
    path = _path(folder, key)
    found = _ordinary(path)
    if found is None or not HEAD <= found.st_size <= KEPT_BYTES:
        return None
    content = _content(path)
    if content != _entry(key, content[HEAD:]):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used now
    return content[HEAD:]


def _entry(key: str, code: bytes) -> bytes:
    """What a file holds: who wrote it, for which key, a hash of both key and code, the code."""
    bound = bytes.fromhex(key)
    return MAGIC + bound + hashlib.sha256(bound + code).digest() + code


def _ordinary(path: Path) -> os.stat_result | None:
    """What there is to say of a file of this user; None for links, folders, devices, pipes."""
    try:
        found = path.lstat()
    except OSError:
        return None
    mine = sys.platform == "win32" or found.st_uid == os.getuid()
    return found if mine and stat.S_ISREG(found.st_mode) else None


def _content(path: Path, most: int = -1) -> bytes:
    """The first bytes of a file; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""


def _save(folder: Path, key: str, code: bytes) -> None:
    """Write a file, whole or not at all; a disk that refuses is no reason to fail."""
    path = _path(folder, key)
    if os.path.lexists(path) and _ordinary(path) is None:
        return _unused(path, "it is not an ordinary file of this user")
    try:
        io.atomic_write(path, _entry(key, code), mode=0o600, durable=False)
        if next(_saves) % PRUNED_EVERY == 0:
            _prune(folder)
    except OSError as error:
        _unused(folder, error.strerror or str(error))
    return None


def _prune(folder: Path) -> None:
    """Remove the files used longest ago while there are too many bytes, and what killed
    processes left. What this module did not write stays."""
    io.sweep(folder)
    with os.scandir(folder) as entries:
        named = [Path(entry) for entry in entries if NAME.fullmatch(entry.name)]
    stats = [(path, found) for path in named if (found := _ordinary(path)) is not None]
    excess = sum(found.st_size for _, found in stats) - KEPT_BYTES
    for path, found in sorted(stats, key=lambda one: one[1].st_mtime):
        if excess <= 0:
            return
        if _content(path, len(MAGIC)) == MAGIC:
            path.unlink(missing_ok=True)
        excess -= found.st_size
