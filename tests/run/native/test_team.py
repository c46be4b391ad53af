"""How many threads run a program: found by trying, limited by what is free, or as asked."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

pytest.importorskip("llvmlite")

import chainrule as cr
from chainrule.errors import UsageError
from chainrule.run.native.runtime import team
from chainrule.run.native.runtime.team import (
    CALM,
    PART,
    PATIENCE,
    RECENT,
    RUNNING,
    AdaptiveThreads,
    Way,
)


class Clock:
    """Time that passes only where a test says so: the machine may be busy."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(autouse=True)
def four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "available", lambda: 4)
    monkeypatch.setattr(team, "time", CLOCK)


class Work:
    """Work whose time depends on how many share it; remembers how many did."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.seconds = seconds
        self.used: list[int] = []
        self.drawn = False

    def part(self, way: Way, start: int, stop: int) -> int:
        self.drawn = way.drawn
        self.used.append(way.threads)
        self.parts.append((start, stop))
        CLOCK.now += self.seconds(way.threads) * (stop - start)
        return 0

    def run(self, team: AdaptiveThreads, calls: int, steps: int = 1) -> list[int]:
        """How many threads were used, one time after another."""
        self.used.clear()
        self.parts: list[tuple[int, int]] = []
        for _ in range(calls):
            assert team(self.part, steps) == 0
        return list(self.used)


def test_the_fastest_number_is_used_and_others_are_tried_again() -> None:
    work = Work(lambda threads: 0.004 / threads)
    group = AdaptiveThreads(4)
    assert work.run(group, 4) == [4, 4, 2, 1]
    used = work.run(group, 3 * PATIENCE + 2 * CALM)
    trials = [PATIENCE - 1, 3 * PATIENCE - 1, 3 * PATIENCE + CALM - 1, 3 * PATIENCE + 2 * CALM - 1]
    assert [used[k] for k in trials] == [1, 2, 1, 2]
    assert used.count(4) == len(used) - 4


def test_one_slow_call_is_no_reason() -> None:
    work = Work(lambda threads: 0.004 / threads)
    group = AdaptiveThreads(2)
    work.run(group, 4)
    work.seconds = lambda threads: 0.1
    assert work.run(group, RECENT - 1) == [2] * (RECENT - 1)
    work.seconds = lambda threads: 0.004 / threads
    assert work.run(group, 1) == [2]


def test_what_stays_slow_is_given_up() -> None:
    work = Work(lambda threads: 0.004 / threads)
    group = AdaptiveThreads(2)
    work.run(group, 4)
    work.seconds = lambda threads: 0.004 * threads
    assert work.run(group, RECENT + 1) == [2] * RECENT + [1]


def test_a_trial_takes_a_part_of_a_call_s_steps() -> None:
    work = Work(lambda threads: 0.004 / threads)
    group = AdaptiveThreads(2)
    work.run(group, 3)
    used = work.run(group, PATIENCE, steps=100)
    assert used == [2] * (PATIENCE - 1) + [1, 2]
    assert work.parts == [(0, 100)] * (PATIENCE - 1) + [(0, 100 // PART), (100 // PART, 100)]


def test_short_calls_say_nothing() -> None:
    """The single step that training takes apart after a chunk of many."""
    work = Work(lambda threads: 0.004 / threads)
    group = AdaptiveThreads(2)
    used = work.run(group, 4, steps=100)
    work.seconds = lambda threads: 1.0 * threads
    assert work.run(group, 2 * PATIENCE, steps=1) == [2] * (2 * PATIENCE)
    assert used == [2, 2, 1, 2, 2]  # one for half of a call
    work.seconds = lambda threads: 0.004 / threads
    assert work.run(group, 1, steps=100) == [2]


def test_several_threads_are_given_up_where_they_are_slower() -> None:
    work = Work(lambda threads: 0.001 * threads)
    group = AdaptiveThreads(2)
    work.run(group, 3)
    assert work.run(group, PATIENCE - 1) == [1] * (PATIENCE - 1)
    work.seconds = lambda threads: 0.002 / threads  # the other processor is free again
    assert work.run(group, PATIENCE + 2)[-1] == 2


def test_a_number_of_threads_whose_trials_were_interrupted_does_not_matter() -> None:
    def interrupted(way: Way, start: int, stop: int) -> int:
        if way.threads == 2:
            raise KeyboardInterrupt
        return 0

    group = AdaptiveThreads(2)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            group(interrupted, 1)
    assert Work(lambda threads: 0.001).run(group, PATIENCE) == [1] * PATIENCE


def test_the_number_asked_for_is_used() -> None:
    work = Work(lambda threads: 0.0)
    assert work.run(AdaptiveThreads(3, fixed=True), 4) == [3] * 4


@pytest.mark.parametrize("fixed", [False, True])
def test_rows_are_drawn_while_that_is_faster(fixed: bool) -> None:
    def seconds(threads: int) -> float:
        drawn.append(work.drawn)
        return 0.004 / threads * (slower if work.drawn else 1)

    drawn: list[bool] = []
    slower, work, group = 0.8, Work(seconds), AdaptiveThreads(2, fixed, draws=True)
    used = work.run(group, 6)
    assert used == ([2] * 6 if fixed else [2, 2, 2, 1, 2, 2])
    assert drawn == [False, False, True, fixed, True, True]
    slower = 1.2
    work.run(group, RECENT + 2)
    assert not drawn[-1]


def test_brief_calls_are_tried_several_times_running() -> None:
    """The first of several threads wakes them, and is slower for it."""

    def seconds(threads: int) -> float:
        return 0.0001 / threads + (0.0002 if threads > 1 and work.used[-2:] != [2, 2] else 0)

    work, group = Work(seconds), AdaptiveThreads(2)
    assert work.run(group, 2 * RUNNING + 2) == [2] * (RUNNING + 1) + [1] * RUNNING + [2]
    work.seconds = lambda threads: 0.0001 * threads
    assert work.run(group, RECENT + 1)[-1] == 1
    used = work.run(group, 40 * CALM)
    assert 2 * RUNNING <= used.count(2) <= len(used) // CALM + RUNNING
    together = [i for i, threads in enumerate(used) if threads == 2]
    assert together == [i + k for i in together[::RUNNING] for k in range(RUNNING)]


def test_programs_side_by_side_share_the_processors() -> None:
    inside, done = threading.Event(), threading.Event()

    def wait(way: Way, start: int, stop: int) -> int:
        inside.set()
        done.wait()
        return 0

    other = threading.Thread(target=AdaptiveThreads(3, fixed=True), args=(wait, 1))
    other.start()
    inside.wait()
    try:
        assert Work(lambda threads: 0.0).run(AdaptiveThreads(4), 3) == [1] * 3
    finally:
        done.set()
        other.join()
    assert team._running == 0


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_what_is_no_number_of_threads_is_refused(threads: object) -> None:
    with pytest.raises(UsageError, match="1 or more"):
        cr.jit(lambda x: x, threads=threads)  # type: ignore[arg-type]
