"""Threads that stay: they wait for work, sleep, wake, and end with the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule as cr
from chainrule.run.native import plan
from chainrule.run.native.runtime import machine, pool

COUNTS = """; plain
define i32 @run(ptr %counts, ptr %b, ptr %c, ptr %d, ptr %e, i64 %first, i64 %last,
                i64 %thread, i64 %threads) {
entry:
  br label %each
each:
  %i = phi i64 [ %first, %entry ], [ %next, %each ]
  %at = getelementptr i64, ptr %counts, i64 %i
  %old = atomicrmw add ptr %at, i64 1 seq_cst
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %last
  br i1 %more, label %each, label %out
out:
  %result = trunc i64 %thread to i32
  ret i32 %result
}"""
SPIN = """; plain
define i32 @run(ptr %gate, ptr %b, ptr %c, ptr %d, ptr %e, i64 %first, i64 %last,
                i64 %thread, i64 %threads) {
entry:
  %own = icmp eq i64 %thread, 0
  br i1 %own, label %out, label %look
look:
  %now = load atomic i64, ptr %gate acquire, align 8
  %closed = icmp eq i64 %now, 0
  br i1 %closed, label %look, label %out
out:
  ret i32 0
}"""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """No crews but those of the test."""
    crews: list[Any] = []
    monkeypatch.setattr(pool, "_crews", crews)
    return crews


def library(text: str) -> machine.Library:
    return machine.Library([machine.object_code(text)], ("run",), ())


def counted(code: int, threads: int, counts: np.ndarray, parts: int = 0) -> int:
    """Add 1 to each count: by each thread, or by whoever draws it."""
    flags = np.zeros(8 * threads, np.int64)
    given = [(counts.ctypes.data, 0, 0, flags.ctypes.data, None)] * threads
    return pool.Works(code, given, (counts, flags)).run(0, len(counts), threads, parts)


@pytest.mark.parametrize("pause", [0.0, 0.002])
def test_all_work_is_done_once_by_threads_that_look_or_sleep(
    fresh: list[Any], pause: float
) -> None:
    code, before = library(COUNTS), threading.active_count()
    for turn in range(100):
        threads = turn % 4 + 1
        counts = np.zeros(11, np.int64)
        assert counted(code.address("run"), threads, counts) == threads - 1
        np.testing.assert_array_equal(counts, threads)
        counts[:] = 0
        assert counted(code.address("run"), threads, counts, parts=7) == 0
        np.testing.assert_array_equal(counts, 1)
        time.sleep(pause)
    assert len(fresh) == 1
    assert threading.active_count() == before + 3
    pool._end()
    assert threading.active_count() == before


def test_calls_at_once_have_crews_of_their_own(fresh: list[Any]) -> None:
    code = library(COUNTS)

    def some(_: int) -> None:
        for _ in range(50):
            counts = np.zeros(5, np.int64)
            counted(code.address("run"), 3, counts)
            np.testing.assert_array_equal(counts, 3)

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(some, range(8)))
    assert 1 <= len(fresh) <= 4
    pool._end()


@pytest.mark.parametrize("began", [False, True])
def test_who_waits_is_let_go_where_the_first_thread_is_interrupted(
    fresh: list[Any], began: bool
) -> None:
    code, gate = library(SPIN), np.zeros(1, np.int64)
    flags = np.zeros(8 * 3, np.int64)
    given = [(gate.ctypes.data, 0, 0, flags.ctypes.data, None)] * 3
    works = pool.Works(code.address("run"), given, (gate, flags), lambda: gate.fill(1))
    gate[0] = 1
    assert works.run(0, 1, 3) == 0
    gate[0], functions = 0, fresh[0].code
    start = functions.start

    def interrupted(*given: Any) -> int:
        if began:
            start(*given)
        raise KeyboardInterrupt

    functions.start = interrupted
    try:
        with pytest.raises(KeyboardInterrupt):
            works.run(0, 1, 3)
    finally:
        functions.start = start
    assert gate[0] == 1
    assert fresh[0].idle
    assert works.run(0, 1, 3) == 0
    pool._end()


def test_a_system_without_threads_says_so_and_works_when_there_are_some(
    fresh: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, counts = library(COUNTS), np.zeros(3, np.int64)

    def fails(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        with pytest.raises(RuntimeError, match="start new thread"):
            counted(code.address("run"), 3, counts)
    counted(code.address("run"), 3, counts)
    np.testing.assert_array_equal(counts, 3)
    pool._end()


def shared(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, np.ndarray]:
    """A function that two threads run, and what to give it."""
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    x = np.random.default_rng(0).normal(size=(64, 64))
    return cr.jit(lambda x: np.tanh(x @ x) @ x, threads=2), x


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_copy_of_the_process_starts_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    f, x = shared(monkeypatch)
    wanted = f(x)
    child = os.fork()
    if not child:
        signal.alarm(60)  # a wait for threads that are not there would not end
        same = np.array_equal(f(x), wanted) and np.array_equal(f(x), wanted)
        os._exit(0 if same and len(pool._crews) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(f(x), wanted)


END = """
import threading, time
import numpy as np
import chainrule as cr
from chainrule.run.native import plan
plan.WORTH_A_THREAD = 1
f, x = cr.jit(lambda x: np.tanh(x @ x) @ x, threads=3), np.ones((64, 64))
f(x)
assert len([t for t in threading.enumerate() if t.name == "chainrule"]) == 2
{last}
"""


@pytest.mark.parametrize(
    "last",
    [
        "",
        "time.sleep(0.01)",
        "threading.Thread(target=lambda: [f(x) for _ in range(10**9)], daemon=True).start()\n"
        "time.sleep(0.05)",
    ],
    ids=["looking", "asleep", "at work"],
)
def test_a_process_ends_at_once_and_cleanly(last: str) -> None:
    run = [sys.executable, "-c", END.format(last=last)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
