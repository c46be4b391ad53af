"""Python's search for garbage in cycles, held back while a program is recorded and compiled.

A recording keeps every node until it ends, so a search finds nothing in it, and looks through all
of it again and again: a quarter of the time of recording a long loop.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from chainrule.forks import wait_for

SELDOM = (50_000, 10, 10)
"""Thresholds as ``gc.set_threshold`` takes them: young objects are looked at after so many new
ones, so that what a function of the user's leaves in cycles still goes."""

_lock = RLock()
wait_for(_lock)
_inside: list[tuple[int, int, int]] = []


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Search seldom while any thread is inside; also a decorator. A collector that the user has
    turned off, set to seldom, or sets meanwhile, stays as it is."""
    with _lock:
        before = gc.get_threshold()
        _inside.append(_inside[0] if _inside else before)
        if not _inside[1:] and 0 < before[0] < SELDOM[0]:
            gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        with _lock:
            before = _inside.pop()
            if not _inside and gc.get_threshold() == SELDOM:
                gc.set_threshold(*before)
