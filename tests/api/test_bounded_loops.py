"""``while_loop(bound=)``: it and all of its derivatives run the turns that it takes, no others.

Past the last turn the bodies here choose what is not there, which is an error when the program
runs. So a turn too many, on the way there or back, is seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.core.tree import leaves
from chainrule.errors import UsageError
from chainrule.run import default_executor

FACTORS = np.array([1.5, 0.7, 2.0, 1.1])
EXECUTORS = ["numpy", "native"] if default_executor() == "native" else ["numpy"]
try:
    import jax  # noqa: F401  (before the tests: it draws NumPy's random numbers)

    EXECUTORS.append("xla")
except ImportError:
    pass
executors = pytest.mark.parametrize("executor", EXECUTORS)


def close(found: Any, wanted: Any) -> None:
    for a, b in zip(leaves(found), leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def f(x: Any, turns: Any, bound: int | None = 300) -> Any:
    """x times the sine of what it has become, and a factor, in each of as many turns."""

    def turn(state: Any) -> Any:
        k, y = state
        return k + 1, np.choose(k, FACTORS) * y * np.sin(y)

    return cr.while_loop(lambda state: state[0] < turns, turn, (0, x), bound=bound)[1]


def derivatives(x: float, turns: int) -> list[float]:
    """The value and three derivatives: the series of it about x, turn by turn."""
    n = 3
    t = np.zeros(n + 1)
    t[:2] = x, 1.0
    for factor in FACTORS[:turns]:
        s, c = np.zeros(n + 1), np.zeros(n + 1)  # of sine and cosine of a series
        s[0], c[0] = np.sin(t[0]), np.cos(t[0])
        for k in range(1, n + 1):
            s[k] = sum(j * t[j] * c[k - j] for j in range(1, k + 1)) / k
            c[k] = -sum(j * t[j] * s[k - j] for j in range(1, k + 1)) / k
        t = factor * np.convolve(t, s)[: n + 1]
    return [t[0], t[1], 2 * t[2], 6 * t[3]]


WAYS = {
    "reverse": lambda g: cr.grad(g),
    "reverse over reverse": lambda g: cr.grad(cr.grad(g)),
    "forward over reverse": lambda g: lambda x: cr.jvp(cr.grad(g), (x,), (1.0,))[1],
    "reverse over forward": lambda g: cr.grad(lambda x: cr.jvp(g, (x,), (1.0,))[1]),
    "three times reverse": lambda g: cr.grad(cr.grad(cr.grad(g))),
}


@executors
@pytest.mark.parametrize("way", WAYS)
def test_derivatives_run_the_turns_that_were_taken(executor: str, way: str) -> None:
    if executor == "xla" and way not in ("reverse", "forward over reverse"):
        return  # they are graphs of the same loops, and XLA compiles them for seconds
    order = 1 if way == "reverse" else 3 if way == "three times reverse" else 2
    g = cr.jit(lambda x, turns: WAYS[way](lambda x: f(x, turns))(x), executor=executor)
    for turns in (0, 1, 3, 4):
        close(g(0.8, turns), derivatives(0.8, turns)[order])


@executors
def test_rows_take_turns_of_their_own(executor: str) -> None:
    x, turns = np.array([0.8, 1.2, -0.4, 0.3]), np.array([4, 0, 2, 1])
    wanted = np.array([derivatives(*pair) for pair in zip(x.tolist(), turns.tolist(), strict=True)])
    rows = cr.vmap(f)
    total = lambda x, turns: np.sum(np.sin(rows(x, turns)))  # noqa: E731
    close(cr.jit(rows, executor=executor)(x, turns), wanted[:, 0])
    close(cr.jit(cr.vmap(cr.grad(f)), executor=executor)(x, turns), wanted[:, 1])
    first = np.cos(wanted[:, 0]) * wanted[:, 1]
    close(cr.jit(cr.grad(total), executor=executor)(x, turns), first)
    if executor == "xla":  # see above
        return
    pushed = lambda x, turns: cr.jvp(  # noqa: E731
        lambda x: cr.grad(total)(x, turns), (x,), (np.ones(4),)
    )[1]
    close(cr.jit(cr.vmap(cr.grad(cr.grad(f))), executor=executor)(x, turns), wanted[:, 2])
    second = np.cos(wanted[:, 0]) * wanted[:, 2] - np.sin(wanted[:, 0]) * wanted[:, 1] ** 2
    close(cr.jit(pushed, executor=executor)(x, turns), second)
    twice = lambda x, turns: cr.grad(lambda x: np.sum(cr.vmap(cr.grad(f))(x, turns)))(x)  # noqa: E731
    close(cr.jit(twice, executor=executor)(x, turns), wanted[:, 2])


@executors
def test_a_loop_inside_a_loop_that_stops(executor: str) -> None:
    def outer(x: Any, turns: Any) -> Any:
        return cr.scan(lambda c, n: (f(c, n, 7), c), x, turns)[0]

    turns = np.array([2, 0, 1])
    close(cr.jit(outer, executor=executor)(0.8, turns), f(f(0.8, 2), 1))
    plain = cr.grad(lambda x: f(f(x, 2), 1))(0.8)
    close(cr.jit(cr.grad(outer), executor=executor)(0.8, turns), plain)


@executors
def test_shared_weights_and_tables_get_the_turns_that_ran(executor: str) -> None:
    def g(w: Any, table: Any, n: Any) -> Any:
        def turn(state: Any) -> Any:
            k, h = state
            return k + 1, np.tanh(w @ h + table[k])

        h = cr.while_loop(lambda state: state[0] < n, turn, (0, np.ones(2)), bound=5)[1]
        return np.sum(h * h)

    w, table = np.array([[0.3, -0.5], [0.8, 0.2]]), np.linspace(-1, 1, 10).reshape(5, 2)
    found = cr.jit(cr.grad(g, (0, 1)), executor=executor)
    for n in (0, 1, 3, 5):
        close(found(w, table, n), cr.grad(g, (0, 1))(w, table, n))
    with pytest.raises(UsageError, match="still holds after 5 turns"):
        cr.jit(lambda w, n: cr.while_loop(lambda k: k < n, lambda k: k + w, 0, 5))(1, 6)
