"""The threads that run a program together: how many, and how they start and end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chainrule.run.native.threads import available

PATIENCE = 16
"""Calls after which another number of threads is tried again; doubled each time it loses."""

_lock = threading.Lock()
_running = 0  # threads of this process that run programs now


@contextmanager
def _counted(threads: int) -> Iterator[None]:
    global _running
    with _lock:
        _running += threads
    try:
        yield
    finally:
        with _lock:
            _running -= threads


class Team:
    """Runs one program with one thread or several, whichever is found to be faster.

    The number of threads does not show in the bits, so it may change from call to call. Several
    threads are slower than one where another program, another fit or another guest of the same
    processor wants it too, and no count of processors tells.

    Args:
        most: how many threads can share the work. fixed: always use as many.
    """

    def __init__(self, most: int, fixed: bool = False) -> None:
        self.most = most
        self.counts = [most] if fixed else sorted({most, -(-most // 2), 1}, reverse=True)
        self.seconds: dict[int, float] = {}  # a step, by number of threads, when last measured
        self.untried = [count for count in self.counts for _ in range(2)]  # the first is cold
        self.calls, self.wait = 0, PATIENCE

    def __call__(
        self, share: Callable[[int, int], int], release: Callable[[], None], steps: int
    ) -> int:
        """Run ``share(thread, threads)`` for all threads at once; returns what the first one
        returns. ``release`` lets the others pass every barrier, if the first never began."""
        if len(self.counts) == 1:
            return _together(share, release, self.most)
        threads = self._choose()
        started = time.perf_counter()
        result = _together(share, release, threads)
        self.seconds[threads] = (time.perf_counter() - started) / steps
        return result

    def _choose(self) -> int:
        free = max(1, available() - _running)
        usable = [count for count in self.counts if count <= free] or [1]
        if len(usable) < len(self.counts):
            return usable[0]  # others are at work: not the time to compare
        if self.untried:
            return self.untried.pop(0)
        best = min(self.counts, key=self.seconds.__getitem__)
        self.calls += 1
        if self.calls < self.wait:
            return best
        others = [count for count in self.counts if count != best]
        self.wait = min(2 * self.wait, 16 * PATIENCE)
        self.calls = 0
        return min(others, key=self.seconds.__getitem__)


def _together(share: Callable[[int, int], int], release: Callable[[], None], threads: int) -> int:
    if threads == 1:
        with _counted(1):
            return share(0, 1)
    helpers = [
        threading.Thread(target=share, args=(i, threads), daemon=True) for i in range(1, threads)
    ]
    began = False
    with _counted(threads):
        try:
            for helper in helpers:
                helper.start()
            result = share(0, threads)
            began = True
        finally:
            if not began:
                release()
            for helper in helpers:
                if helper.ident is not None:
                    helper.join()
    return result
