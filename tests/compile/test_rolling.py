"""Python's loops under jit: equal turns become one loop, others stay as they are."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.core.node import Node
from chainrule.run import compile, default_executor

EXECUTORS = ["numpy", "native"] if default_executor() == "native" else ["numpy"]
SEEDS = range(int(os.environ.get("CHAINRULE_LOOPS", "6")))
RNG = np.random.default_rng(5)
P, U = np.array([1.0, 0.1, 0.1, 1.0]), np.array([10.0, 5.0])


def rk4(p: Any, u: Any, turns: int, step: float = 0.01) -> list[Any]:
    """Lotka and Volterra's rabbits and foxes, by the classical Runge-Kutta method."""

    def slope(u: Any) -> Any:
        x, y = u[0], u[1]
        return np.stack([p[0] * x - p[1] * x * y, p[2] * x * y - p[3] * y])

    found = []
    for _ in range(turns):
        k1 = slope(u)
        k2 = slope(u + step / 2 * k1)
        k3 = slope(u + step / 2 * k2)
        k4 = slope(u + step * k3)
        u = u + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        found.append(u)
    return found


def at_the_end(p: Any, u: Any) -> Any:
    return np.sum(rk4(p, u, 20)[-1] ** 2)


def along_the_way(p: Any, u: Any) -> Any:
    return np.sum(np.sin(np.stack(rk4(p, u, 20))))


def here_and_there(p: Any, u: Any) -> Any:
    us = rk4(p, u, 20)
    return us[7][0] * us[15][1] + np.sum(us[-1]) + np.sum(us[-2] * us[0])


def two_loops(p: Any, u: Any) -> Any:
    """The second begins where the first ended, with another step and other values to read."""
    u = rk4(p, u, 18)[-1]
    return np.sum(rk4(p * u[0], u * 0.1, 18, 0.02)[-1])


def two_carries(p: Any, u: Any) -> Any:
    """Carries that change places, and one that nothing in the loop reads."""
    a, b, total = u[0], u[1], p[0]
    for _ in range(50):
        a, b = b * np.cos(p[1]) + 0.1, np.sin(a) * p[2] + b * 0.5
        total = total + a * b
    return total + a - b


def arrays_made_anew(p: Any, u: Any) -> Any:
    """Each turn makes the arrays that it reads; they have the same bits."""
    for _ in range(40):
        i, j = np.triu_indices(2)
        u = np.sin(u[i] * u[j] * p[1])[:2] + u @ (np.eye(2) * 0.5) + np.array([0.1, -0.2])
    return u.sum()


def entry_after_entry(p: Any, u: Any) -> Any:
    """A recurrent cell that reads a row and two entries of others in each turn, one backwards."""
    rows = np.sin(np.outer(np.arange(42.0), p) + u[0])
    h, total = u, p[0]
    for t in range(40):
        h = np.tanh(h * p[:2] + rows[t, :2] * rows[41 - t, 3] - h[::-1] * rows[t + 2, 1])
        total = total + np.sum(h**2) * rows[t + 1, 2]
    return total + h[0]


def rows_taken_apart(p: Any, u: Any) -> Any:
    total = p[1]
    for row in np.cos(np.outer(np.arange(40.0), p)):
        a, b, c, d = row
        total = total * 0.9 + np.sin(a * total) * b + np.exp(c * u[0] * 0.1) * d
    return total


TABLE = RNG.normal(size=(60, 2))


def time_dependent(p: Any, u: Any) -> Any:
    """Midpoints of y' = f(t, y): times are Python's numbers, and others come from a list."""
    kicks = [0.1, 0.1, 0.0, 0.3, 0.1] * 8
    for k in range(40):
        t = 0.05 * k
        half = u + 0.025 * (np.sin(t) * u[::-1] - p[:2] * u)
        u = u + 0.05 * (np.sin(t + 0.025) * half[::-1] - p[:2] * half) + kicks[k] * np.cos(u)
    return u.sum()


def arrays_of_a_list(p: Any, u: Any) -> Any:
    weights = [np.outer(row, row[::-1]) for row in TABLE]
    for k in range(40):
        u = np.tanh(weights[k] @ u * p[0] + TABLE[k]) + u[::-1] * p[1] - np.cos(u) * p[2]
    return u.sum()


def numbers_made_before(p: Any, u: Any) -> Any:
    """Times in units that are traced, and a force that is there or not."""
    times = [np.tanh(p[1]) * k for k in range(60)]
    for k, t in enumerate(times):
        force = p[0] * (1.0 if k % 10 < 5 else 0.0)
        u = 0.9 * u + 0.05 * np.sin(np.stack([t, 2 * t]) * u) - 0.05 * np.cos(u[::-1]) * force
    return u.sum()


def many_stacked(p: Any, u: Any) -> Any:
    """What is done to each result alone is no loop that would read copies of them."""
    found = []
    for k in range(300):
        u = u + 0.01 * (np.sin(0.01 * k) - p[:2] * u)
        found.append(u)
    return np.sum(np.stack(found)[::50] ** 2)


PROGRAMS = [
    time_dependent,
    arrays_of_a_list,
    numbers_made_before,
    many_stacked,
    entry_after_entry,
    rows_taken_apart,
    at_the_end,
    along_the_way,
    here_and_there,
    two_carries,
    two_loops,
    arrays_made_anew,
]


def recorded(f: Callable[..., Any], roll: bool = True) -> cr.Graph:
    return compile(f, P, U, executor="numpy", roll=roll).graph


def looking_back(lags: tuple[int, ...], turns: int) -> Callable[..., Any]:
    """A recurrence on values that were computed so many turns before."""

    def f(p: Any, u: Any) -> Any:
        y = [u[k % 2] * p[0] * (k + 1) / 20 for k in range(max(lags))]
        for k in range(turns):
            y.append(np.tanh(sum(p[i % 4] * y[-lag] for i, lag in enumerate(lags))) + 0.01 * k)
        return y[-1] + np.sum(np.stack(y) ** 2) * y[turns // 2]

    return f


def loops_in(graph: cr.Graph) -> list[Node]:
    return [n for n in graph.nodes if n.primitive.name == "scan"]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_rolled_programs_are_what_was_written(f: Callable[..., Any]) -> None:
    tangents = (np.array([0.3, -0.1, 0.2, 0.5]), np.array([1.0, -2.0]))
    first = cr.value_and_grad(f, (0, 1))

    def every_way(p: Any, u: Any) -> Any:
        second = cr.jvp(cr.grad(f, (0, 1)), (p, u), tangents)[1]
        return first(p, u), cr.jvp(f, (p, u), tangents), second

    expected = every_way(P, U)
    found = [(cr.jit(every_way, executor="numpy")(P, U), expected)]
    if "native" in EXECUTORS:
        found.append((cr.jit(first)(P, U), expected[0]))
    for ours, theirs in found:
        for x, y in zip(cr.tree.leaves(ours), cr.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)
    assert len(recorded(f).nodes) < 400, "no loop was found"


def test_one_loop_forward_and_one_back() -> None:
    passes = cr.jit(cr.value_and_grad(along_the_way, (0, 1))).passes(P, U)
    assert [one.name for one in passes][:2] == ["stability", "roll"]
    loops = loops_in(passes[-1].after)
    assert [n.attrs["reverse"] for n in loops] == [False, True]


def test_the_length_of_the_program_does_not_depend_on_that_of_the_loop() -> None:
    sizes = set()
    for turns in (20, 40):
        f = lambda p, u, n=turns: np.sum(np.stack(rk4(p, u, n)))  # noqa: E731
        sizes.add(len(recorded(cr.grad(f)).nodes))
    assert len(sizes) == 1


@pytest.mark.parametrize("lags", [(5,), (1, 7), (3, 12), (2, 17)], ids=str)
def test_however_far_back_a_turn_reads(lags: tuple[int, ...]) -> None:
    furthest = max(lags)
    sizes = set()
    for turns in (18 * furthest, 36 * furthest):
        graph = recorded(cr.grad(looking_back(lags, turns)))
        assert loops_in(graph)
        sizes.add(len(graph.nodes))
    assert max(sizes) < 1.5 * min(sizes)  # other turns may be left over before and after
    f = cr.grad(looking_back(lags, 18 * furthest + 5), (0, 1))
    expected = f(P, U)
    for executor in EXECUTORS:
        found = cr.jit(f, executor=executor)(P, U)
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


def test_no_loop_where_it_is_not_wanted_or_too_short() -> None:
    assert loops_in(recorded(at_the_end))
    assert not loops_in(recorded(at_the_end, roll=False))
    assert "roll" not in [one.name for one in cr.jit(at_the_end, roll=False).passes(P, U)]
    assert not loops_in(recorded(lambda p, u: np.sum(rk4(p, u, 10)[-1])))


def other_places(p: Any, u: Any) -> Any:
    x = u[:, None] * TABLE.T
    for k in range(40):
        u = np.sin(u * p[0] + x[:, k]) + u[::-1] * p[1] - np.cos(u) * p[2]
    return u.sum()


def constants_that_change_once(p: Any, u: Any) -> Any:
    for k in range(120):
        u = np.sin(u * p[0] + 0.1 * (k // 60)) + u[::-1] * p[1] - np.cos(u) * p[2]
    return u.sum()


def other_operations(p: Any, u: Any) -> Any:
    for k in range(40):
        u = (np.sin, np.cos, np.tanh)[k * k % 7 % 3](u * p[0]) + u[::-1] * p[1] - u * p[2]
    return u.sum()


def two_turns_before(p: Any, u: Any) -> Any:
    before = after = u
    for _ in range(40):
        before, u, after = u, after, np.sin(u * p[0]) + before * p[1] + after * 0.1
    return after.sum()


@pytest.mark.parametrize(
    "f",
    [
        constants_that_change_once,
        other_places,
        other_operations,
        two_turns_before,
    ],
    ids=lambda f: f.__name__,
)
def test_turns_that_differ_stay_as_they_are(f: Callable[..., Any]) -> None:
    """Whatever is made of them: the numbers are those of the program as written."""
    for g in (f, cr.grad(f)):
        np.testing.assert_allclose(cr.jit(g, executor="numpy")(P, U), g(P, U), rtol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_loops_with_a_turn_that_differs(seed: int) -> None:
    """A loop whose turns are equal but for one, or two loops in each other, or none."""
    rng = np.random.default_rng(seed)
    turns, odd = int(rng.integers(18, 40)), int(rng.integers(0, 40))
    ops = [np.sin, np.tanh, np.cos, lambda v: v * v / 4, lambda v: v[::-1] + 0.5]
    plan = [(int(rng.integers(5)), int(rng.integers(9)), int(rng.integers(9))) for _ in range(9)]
    inner = int(rng.integers(1, 4))
    kept = sorted(int(k) for k in rng.integers(0, turns, 3))

    def f(p: Any, u: Any) -> Any:
        v, seen = u * 0.3, []
        for k in range(turns):
            pool = [u, v, p[:2] * u, v - p[2]]
            for op, i, j in plan:
                for _ in range(inner):
                    pool.append(ops[op](pool[i % len(pool)]) * pool[j % len(pool)])
            u, v = np.tanh(pool[-1]), np.sin(pool[-2] + u)
            if k == odd:
                u = u * 1.5
            seen.append(u)
        return np.sum(u * v) + sum(np.sum(seen[k]) for k in kept) + np.sum(np.stack(seen[5:]))

    for g in (f, cr.grad(f, (0, 1))):
        found = cr.jit(g, executor="numpy")(P, U)
        for x, y in zip(cr.tree.leaves(found), cr.tree.leaves(g(P, U)), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


def test_gradients_in_every_turn_roll_too() -> None:
    def descend(p: Any, u: Any) -> Any:
        def loss(u: Any) -> Any:
            return np.sum(np.cos(u * p[:2]) * u)

        for _ in range(40):
            u = u - 0.01 * cr.grad(loss)(u)
        return u.sum()

    assert loops_in(recorded(descend))
    for g in (descend, cr.grad(descend)):
        np.testing.assert_allclose(cr.jit(g)(P, U), g(P, U), rtol=1e-9)


def test_long_programs_get_a_note_that_names_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.run.LONG", 200)
    with pytest.warns(UserWarning, match=r"operations.*cr\.scan"):
        cr.jit(other_operations, executor="numpy")(P, U)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cr.jit(other_operations, executor="numpy", roll=False)(P, U)


def entries_in_order(o: Any, x: Any) -> None:
    for i in range(len(o)):
        o[i] = x[0] * i


def entries_backwards(o: Any, x: Any) -> None:
    for i in range(len(o) - 1, 0, -2):
        o[i] = np.sin(x[1] * i) + x[i]


def rows(o: Any, x: Any) -> None:
    table = np.zeros((100, 3), like=x)
    for k in range(100):
        table[k] = x[:3] * np.cos(k * x[0])
    o[:] = np.ravel(table)


def recurrence(o: Any, x: Any) -> None:
    o[0] = x[0]
    for i in range(1, len(o)):
        o[i] = 0.5 * o[i - 1] + x[i]


def some_written_over(o: Any, x: Any) -> None:
    for i in range(len(o)):
        o[i] = x[0] * i
    o[7] = x[1]
    for i in range(20, 290):
        o[i] = x[i] * x[i - 1]


def interleaved(o: Any, x: Any) -> None:
    a, b = o[:150], o[150:]
    for k in range(150):
        a[k] = x[k] * x[0]
        b[149 - k] = np.sin(x[2 * k])
        a[k] += b[149 - k]


def several_places_a_turn(o: Any, x: Any) -> None:
    grid = o.reshape(100, 3)
    for i in range(100):
        grid[i, 0] = x[i] * x[1]
        grid[i, 2] = np.cos(x[i + 1])
        grid[i, 1] = grid[i, 0] * grid[i, 2]


def overlapping_windows(o: Any, x: Any) -> None:
    for k in range(0, 290, 2):
        o[k : k + 5] += x[k] * x[k : k + 5]


def in_any_order(o: Any, x: Any) -> None:
    for k in np.random.default_rng(0).permutation(len(o)):
        o[k] = np.sin(x[(7 * k) % 300]) * x[k]


def pairs(o: Any, x: Any) -> None:
    grid = o.reshape(20, 15)
    for i in range(20):
        for j in range(15):
            grid[i, j] = x[i] * np.sin(x[15 * i + j])


def some_hidden(o: Any, x: Any) -> None:
    o[3:280:2] = x[100]
    for k in range(70):
        o[4 * k : 4 * k + 2] = x[k] * x[1:3]
        o[4 * k + 1 : 4 * k + 4] = np.cos(x[k]) * x[3:6]
    o[6:9] = x[:3]


def of_two_turns_before(o: Any, x: Any) -> None:
    o[:2] = x[:2]
    for k in range(2, len(o)):
        o[k] = 1.9 * o[k - 1] - 0.95 * o[k - 2] + 0.01 * np.sin(x[k])


@pytest.mark.parametrize(
    "f",
    [
        entries_in_order,
        entries_backwards,
        rows,
        recurrence,
        some_written_over,
        interleaved,
        several_places_a_turn,
        overlapping_windows,
        in_any_order,
        pairs,
        some_hidden,
        of_two_turns_before,
    ],
)
def test_what_turns_write_is_written_once(f: Callable[..., Any]) -> None:
    def total(x: Any) -> Any:
        o = np.ones(300, like=x)
        f(o, x)
        return np.sum(np.sin(o) * np.arange(300))

    x = np.linspace(-1, 1, 300)
    passes = cr.jit(total).passes(x)
    assert len(passes[-1].after.nodes) < 80
    run = cr.jit(cr.value_and_grad(total), executor="numpy")
    plain = cr.jit(cr.value_and_grad(total), executor="numpy", roll=False)
    for found, wanted in zip(run(x), plain(x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    assert run(x)[0] == pytest.approx(total(x), rel=1e-13)
