"""How many threads run a program together."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

PATIENCE = 6
"""Calls after which another number of threads is tried again; twice as many after each trial that
changes nothing, up to ``CALM``."""
CALM = 24
RECENT = 3
"""A number of threads is judged by the best of so many measurements: what slows down one of them
passes, what slows down all lasts."""
BRIEF, RUNNING = 0.001, 16
"""Calls of fewer seconds are tried so many times running: threads that slept must wake first, and
what they read is not in their caches yet."""
PART = 2
"""Only for this part of a call's steps, if it has so many. Not a small one: a processor that was
idle may take ten milliseconds to wake, in which several threads look slower than they are."""

SHORT = 4
"""A call with so many times fewer steps than the longest says nothing of what is fastest."""

FEWEST = 64
"""Rows that are drawn at a time, at least: each time a product copies its right matrix anew."""
DRAWS = 4
"""So many times each thread draws, if all are equally fast and there are rows enough."""

_lock = threading.Lock()
_running = 0  # threads of this process that run programs now


def _none_running() -> None:
    global _lock, _running
    _lock, _running = threading.Lock(), 0


if hasattr(os, "register_at_fork"):  # the copy of a process has one thread, whatever ran before
    os.register_at_fork(after_in_child=_none_running)


def available() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def draws(n: int, threads: int) -> int:
    """In how many parts the second half of n rows is drawn, where threads draw; 0 where there are
    too few."""
    return min(DRAWS * threads, n // 2 // FEWEST) if n >= 2 * FEWEST * threads else 0


def fewest(n: int, threads: int) -> int:
    """How many of n rows a thread computes at a time, at least."""
    parts = draws(n, threads)
    return min((n - n // 2) // threads, n // 2 // parts) if parts else n // threads


class running_threads:
    """While it is entered, so many threads of this process run programs."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> None:
        global _running
        with _lock:
            _running += self.threads

    def __exit__(self, *_: object) -> None:
        global _running
        with _lock:
            _running = max(0, _running - self.threads)  # a copy begins anew


class Way(NamedTuple):
    """So many threads, which share rows evenly or draw some of them when they are done."""

    threads: int
    drawn: bool = False


Run = Callable[[Way, int, int], int]


class AdaptiveThreads:
    """Runs one program with one thread or several, whichever is found to be faster.

    The number of threads does not show in the bits, so it may change within a call. Several
    threads are slower than one where another program, another fit or another guest of the same
    processor wants it too, and no count of processors tells. Nor does it tell whether they are
    equally fast: where they are not, those that draw rows are faster, else those that share them.

    Args:
        most: how many threads can share the work. fixed: always use as many. draws: whether they
            can draw rows.
    """

    def __init__(self, most: int, fixed: bool = False, draws: bool = False) -> None:
        self.most, self.fixed = most, fixed
        counts = [most] if fixed else sorted({most, -(-most // 2), 1}, reverse=True)
        self.ways = [*map(Way, counts)]
        if draws and most > 1:
            self.ways.insert(1, Way(most, True))
        # Of a step: a call that raised measures nothing.
        self.seconds = {way: deque([math.inf], RECENT) for way in self.ways}
        self.untried = [self.ways[0], *self.ways]  # the first time is cold
        self.again: list[Way] = []
        self.calls = self.trials = self.longest = 0
        self.settled, self.patience = self.ways[0], PATIENCE

    def __call__(self, run: Run, steps: int) -> int:
        """Run all steps by ``run(way, start, stop)``; returns what it returns that is not 0."""
        if len(self.ways) == 1:
            return _counted(run, self.ways[0], 0, steps)
        with _lock:
            self.longest = max(self.longest, steps)
            short = SHORT * steps < self.longest  # what is done once a call would count too much
            first, rest = (self._best(),) * 2 if short else self._choose()
        if short:
            return _counted(run, first, 0, steps)
        stop = steps if first == rest or steps < PART else steps // PART
        result = self._measured(run, first, 0, stop)
        if not result and stop < steps:
            result = self._measured(run, rest, stop, steps)
        return result

    def _measured(self, run: Run, way: Way, start: int, stop: int) -> int:
        started = time.perf_counter()
        result = _counted(run, way, start, stop)
        self.seconds[way].append((time.perf_counter() - started) / (stop - start))
        return result

    def _choose(self) -> tuple[Way, Way]:
        """How to run the first part of a call, and the rest of it."""
        if available() - _running < self.most:  # others are at work: not the time to compare
            return self._best(), self._best()
        best = self._best()
        if self.again:
            return self.again.pop(), best
        if self.untried:
            return self._tried(self.untried.pop(0)), best
        if best != self.settled:
            self.settled, self.patience, self.calls = best, PATIENCE, 0
        self.calls += 1
        if self.calls < self.patience:
            return best, best
        self.calls, self.trials = 0, self.trials + 1
        self.patience = min(2 * self.patience, CALM)
        others = [way for way in self.ways if way != best]
        return self._tried(others[self.trials % len(others)]), best

    def _tried(self, way: Way) -> Way:
        if min(map(min, self.seconds.values())) < BRIEF:
            self.again = [way] * (RUNNING - 1)
            self.calls = -CALM * len(self.again)  # trials are no more of all calls
        return way

    def _best(self) -> Way:
        """The fastest way for which there are processors."""
        free = self.most if self.fixed else max(1, available() - _running)
        usable = [way for way in self.ways if way.threads <= free] or [Way(1)]
        return min(usable, key=lambda way: min(self.seconds.get(way, (math.inf,))))


def _counted(run: Run, way: Way, start: int, stop: int) -> int:
    with running_threads(way.threads):
        return run(way, start, stop)
