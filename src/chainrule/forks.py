"""A process is copied (``os.fork``) only while nothing is half done that the copy needs.

The copy has the one thread that asked for it. What another thread had locked stays locked there
for ever: a module being imported, LLVM while it compiles. So a fork waits for these.
"""

from __future__ import annotations

import os
from _thread import RLock

TYPE_CHECKING = False  # as typing has it; this is imported before Ctrl-C is provided for
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

__all__ = ["load", "wait_for"]

_imports = RLock()
_locks: list[Any] = []
_held: list[Any] = []


def load(name: str) -> ModuleType:
    """The module of this name, for imports on first use, which any thread may do."""
    with _imports:
        import importlib

        return importlib.import_module(name)


def wait_for(lock: Any) -> None:
    """From now on a fork waits for this lock and holds it meanwhile. Locks are taken in the
    order in which they came here, and must be such as their own thread may take again."""
    _locks.append(lock)


def _before() -> None:
    _imports.acquire()  # first: a module that is loaded may have a lock to wait for
    for lock in tuple(_locks):
        lock.__enter__()
        _held.append(lock)


def _after() -> None:
    while _held:
        _held.pop().__exit__(None, None, None)
    _imports.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
