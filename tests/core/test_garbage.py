"""The collector of garbage in cycles while programs are recorded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

import chainrule as cr
from chainrule.core.garbage import SELDOM, seldom_collected


@pytest.fixture(autouse=True)
def threshold() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def test_it_is_held_back_while_a_program_is_recorded(threshold: tuple[int, int, int]) -> None:
    seen = []

    def f(x: float) -> float:
        seen.append(gc.get_threshold())
        return x * x

    cr.jit(cr.grad(f), executor="numpy")(2.0)
    assert seen == [SELDOM]
    assert gc.get_threshold() == threshold


def test_it_is_as_before_after_an_error(threshold: tuple[int, int, int]) -> None:
    def f(x: float) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cr.jit(f)(1.0)
    assert gc.get_threshold() == threshold


@pytest.mark.parametrize("chosen", [(0, 10, 10), (10**6, 5, 5)])
def test_what_the_user_set_stays(chosen: tuple[int, int, int]) -> None:
    gc.set_threshold(*chosen)
    with seldom_collected():
        assert gc.get_threshold() == chosen
    assert gc.get_threshold() == chosen
    gc.set_threshold(700, 10, 10)
    with seldom_collected():
        gc.set_threshold(*chosen)
    assert gc.get_threshold() == chosen


def test_the_last_thread_that_leaves_puts_it_back(threshold: tuple[int, int, int]) -> None:
    inside, outside = Barrier(2, timeout=60), Barrier(2, timeout=60)

    def first() -> None:
        with seldom_collected():
            inside.wait()
        outside.wait()

    def last() -> tuple[int, int, int]:
        with seldom_collected():
            inside.wait()
            outside.wait()
            return gc.get_threshold()

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(first), pool.submit(last)
        assert running[1].result() == SELDOM
        running[0].result()
    assert gc.get_threshold() == threshold
