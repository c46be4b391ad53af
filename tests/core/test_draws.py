"""Drawing from NumPy's or Python's generators while a function is recorded for all values warns,
naming the user's line."""

# ruff: noqa: NPY002
from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from random import gauss
from typing import Any

import numpy as np
import pytest
from numpy.random import normal
from scipy.stats import norm

import chainrule as cr

RNG = np.random.default_rng(0)
X = np.ones(3)


def legacy(x: Any) -> Any:
    y = x * 2
    return y + np.random.normal(size=3)  # HERE


def single_number(x: Any) -> Any:
    noise = np.random.normal()  # HERE
    return x + noise


def imported(x: Any) -> Any:
    return x + normal(size=3)  # HERE


def of_the_module(x: Any) -> Any:
    return x + RNG.uniform(size=3)  # HERE


def of_scipy(x: Any) -> Any:
    return x * norm.rvs(size=3)  # HERE


def in_place(x: Any) -> Any:
    order = np.arange(3)
    RNG.shuffle(order)  # HERE
    return x[order]


def unseeded(x: Any) -> Any:
    rng = np.random.default_rng()  # HERE
    return x + rng.normal()


def pythons(x: Any) -> Any:
    return x * random.random()  # HERE


def pythons_imported(x: Any) -> Any:
    return x * gauss(0, 1)  # HERE


def by_a_helper(x: Any) -> Any:
    return helper(x) + 1.0


def helper(x: Any) -> Any:
    if x.ndim:
        x = x * 2
    return x + RNG.normal(size=3)  # HERE


def in_a_loop(x: Any) -> Any:
    for _ in range(3):
        x = x + sum(RNG.normal() for _ in range(2))  # HERE
    return x


def closing_over() -> Callable[..., Any]:
    rng = np.random.default_rng(1)

    def f(x: Any) -> Any:
        return x + rng.normal()  # HERE

    return f


class Noisy:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(2)

    def __call__(self, x: Any) -> Any:
        return x + self.rng.normal()  # HERE


def by_argument(x: Any, rng: Any) -> Any:
    return x + rng.normal()  # HERE


@pytest.fixture(autouse=True)
def _global_state_as_before() -> Iterator[None]:
    state = np.random.get_state()
    yield
    np.random.set_state(state)


DRAW = [legacy, single_number, imported, of_the_module, of_scipy, in_place, unseeded, pythons,
        pythons_imported, by_a_helper, in_a_loop, closing_over(), Noisy(), Noisy().__call__,
        partial(by_argument, rng=np.random.RandomState(1)),
        partial(by_argument, rng=np.random.default_rng(1))]  # fmt: skip


def line_of(f: Any) -> tuple[str, int]:
    code = f.func if isinstance(f, partial) else f
    code = helper if f is by_a_helper else code
    code = code if inspect.isroutine(code) else type(code).__call__
    lines, first = inspect.getsourcelines(code)
    return __file__, first + next(i for i, line in enumerate(lines) if "HERE" in line)


@pytest.mark.parametrize("f", DRAW, ids=lambda f: getattr(f, "__name__", type(f).__name__))
def test_a_draw_while_recording_warns_at_the_users_line(f: Any) -> None:
    for record in (cr.trace(f), cr.jit(f, executor="numpy"), cr.trace(cr.jacobian(f))):
        with pytest.warns(UserWarning, match=r"cr\.random") as caught:
            record(X)
        assert {(w.filename, w.lineno) for w in caught} == {line_of(f)}


def test_a_draw_is_found_beside_many_arguments() -> None:
    numbers = {f"w{i:04}": np.ones(1) for i in range(600)}
    labels = [object() for _ in range(600)]

    def f(x: Any, more: Any) -> Any:
        return x["w0000"] + RNG.normal()

    for _ in range(2):
        with pytest.warns(UserWarning, match=r"cr\.random"):
            cr.trace(f)(numbers, 1.0)
        with pytest.warns(UserWarning, match=r"cr\.random"):
            cr.trace(f)({"w0000": X}, labels)
        with pytest.warns(UserWarning, match=r"cr\.random"):
            cr.trace(lambda x: f(x, labels))(numbers)


def test_values_may_be_drawn_where_nothing_is_frozen() -> None:
    """Eagerly, outside the function, from a seed inside it, and by key."""

    def seeded(x: Any) -> Any:
        return x + np.random.default_rng(3).normal(size=3)

    def keyed(x: Any, key: Any) -> Any:
        return x + cr.random.uniform(key, x.shape)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for f in DRAW:
            cr.jacobian(f)(X)
        cr.explain(lambda x: x * RNG.normal())(2.0)
        np.testing.assert_array_equal(cr.jit(seeded, executor="numpy")(X), seeded(X))
        drawn = cr.jit(keyed, executor="numpy")
        keys = [cr.random.key_of(0, step) for step in range(2)]
        assert not np.array_equal(drawn(X, keys[0]), drawn(X, keys[1]))
        cr.trace(lambda x: x * 2)(RNG.normal(size=3))


def test_looking_for_the_line_draws_no_more_numbers() -> None:
    states = [RNG.bit_generator.state, np.random.get_state(legacy=False)]
    drawn = RNG.uniform(size=3), np.random.normal(size=3)
    after = [RNG.uniform(), np.random.normal()]
    RNG.bit_generator.state = states[0]
    np.random.set_state(states[1])
    f, g = cr.jit(of_the_module, executor="numpy"), cr.jit(legacy, executor="numpy")
    with pytest.warns(UserWarning, match="drawn once"):
        results = f(X), g(X)
    np.testing.assert_array_equal(results[0], X + drawn[0])
    np.testing.assert_array_equal(results[1], 2 * X + drawn[1])
    assert [RNG.uniform(), np.random.normal()] == after


def test_looking_for_generators_asks_objects_nothing() -> None:
    class Odd:
        __slots__ = ()

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    odd = Odd()
    assert len(cr.trace(lambda x: (odd, x * 2)[1])(X).outputs) == 1
