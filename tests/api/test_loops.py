"""scan, fori_loop, while_loop and remat, against the same loops written in Python, mpmath and
finite differences; eagerly, in the interpreter and in machine code."""

from __future__ import annotations

import functools
import math
import os
import tracemalloc
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.core.graph import ancestors
from chainrule.core.node import Node
from chainrule.errors import (
    DerivativeError,
    DtypeError,
    EscapedTracerError,
    MutationError,
    ShapeError,
    UsageError,
)
from chainrule.run import default_executor
from tests.helpers.oracles import check_round_trip

EXECUTORS = ["numpy", "native"] if default_executor() == "native" else ["numpy"]
RECOMPUTE: list[Any] = ["none", 1, 2, 3, "sqrt", 100]
RNG = np.random.default_rng(3)
ARGS = (
    RNG.normal(size=(3, 3)) / 2,
    RNG.normal(size=(3, 2)),
    RNG.normal(size=3),
    RNG.normal(size=(7, 2)),
)

SEEDS = range(int(os.environ.get("CHAINRULE_LOOPS", "8")))
executors = pytest.mark.parametrize("executor", EXECUTORS)


def cell(W: Any, U: Any) -> Callable[[Any, Any], Any]:
    def turn(h: Any, x: Any) -> Any:
        h = np.tanh(W @ h + U @ x)
        return h, (np.sum(h * h), h)

    return turn


def rnn(W: Any, U: Any, h: Any, xs: Any, **options: Any) -> Any:
    h, (sizes, hs) = cr.scan(cell(W, U), h, xs, **options)
    return np.sum(np.sin(sizes)) + h[0] * h[1] + np.sum(hs[1:] * hs[:-1])


def unrolled_rnn(W: Any, U: Any, h: Any, xs: Any, reverse: bool = False) -> Any:
    found: list[Any] = [None] * len(xs)
    for t in reversed(range(len(xs))) if reverse else range(len(xs)):
        h, found[t] = cell(W, U)(h, xs[t])
    sizes, hs = (np.stack(column) for column in zip(*found, strict=True))
    return np.sum(np.sin(sizes)) + h[0] * h[1] + np.sum(hs[1:] * hs[:-1])


def close(a: Any, b: Any, rtol: float = 1e-9) -> None:
    """Equal up to sums in another order."""
    for x, y in zip(cr.tree.leaves(a), cr.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-11)
        assert np.shape(x) == np.shape(y)


# values and derivatives ---------------------------------------------------------------------


@executors
@pytest.mark.parametrize(
    ("reverse", "recompute"), [(False, "none"), (True, 1), (True, 3), (False, "sqrt"), (True, 100)]
)
def test_a_scan_is_the_loop_to_second_order(executor: str, reverse: bool, recompute: Any) -> None:
    """Value, gradient, jvp and second derivatives in three modes, all from one program."""

    def f(*args: Any) -> Any:
        return rnn(*args, reverse=reverse, recompute=recompute)

    every = (0, 1, 2, 3)
    tangents = tuple(np.cos(3 * x) for x in ARGS)

    def directional(*a: Any) -> Any:
        return sum(np.sum(g * t) for g, t in zip(cr.grad(f, every)(*a), tangents, strict=True))

    def all_of(*a: Any) -> Any:
        second = (
            cr.jvp(cr.grad(f, every), a, tangents)[1],
            cr.grad(directional, every)(*a),
            cr.grad(lambda *b: cr.jvp(f, b, tangents)[1], every)(*a),
        )
        return f(*a), cr.grad(f, every)(*a), cr.jvp(f, a, tangents), *second

    value, gradient, _, second = expected = unrolled_derivatives(reverse)
    close(f(*ARGS), value)
    close(cr.grad(f, every)(*ARGS), gradient)
    close(cr.jit(all_of, executor=executor)(*ARGS), (*expected, second, second))


@functools.cache
def unrolled_derivatives(reverse: bool) -> Any:
    def plain(*args: Any) -> Any:
        return unrolled_rnn(*args, reverse=reverse)

    gradient, tangents = cr.grad(plain, (0, 1, 2, 3)), tuple(np.cos(3 * x) for x in ARGS)
    pushed, second = cr.jvp(plain, ARGS, tangents), cr.jvp(gradient, ARGS, tangents)[1]
    return plain(*ARGS), gradient(*ARGS), pushed, second


def test_the_gradient_is_that_of_mpmath() -> None:
    """The logistic map x -> r x (1 - x), 12 times: chaotic, so that small faults grow."""

    def last(r: Any, x: Any) -> Any:
        return cr.scan(lambda x, _: (r * x * (1 - x), None), x, length=12)[0]

    def exact(r: Any, x: Any) -> Any:
        for _ in range(12):
            x = r * x * (1 - x)
        return x

    with mpmath.workdps(60):
        wanted = [mpmath.diff(exact, (3.7, 0.3), n) for n in ((1, 0), (0, 1), (1, 1))]
    r, x = (cr.jit(cr.grad(last, i))(3.7, 0.3) for i in (0, 1))
    mixed = cr.jit(cr.grad(cr.grad(last, 1), 0))(3.7, 0.3)
    # Each turn can multiply an error of rounding by r: up to 3.7^12 of them.
    np.testing.assert_allclose([r, x, mixed], [float(w) for w in wanted], rtol=1e-9)


def test_third_and_fourth_derivatives_in_any_mode() -> None:
    def f(x: Any) -> Any:
        return cr.scan(lambda c, _: (np.sin(c * x), None), x, length=4)[0]

    def exact(x: Any) -> Any:
        c = x
        for _ in range(4):
            c = mpmath.sin(c * x)
        return c

    with mpmath.workdps(50):
        wanted = [float(mpmath.diff(exact, mpmath.mpf("1.1"), n)) for n in (3, 4)]

    def forward(g: Any) -> Any:
        return lambda x: cr.jvp(g, (x,), (1.0,))[1]

    for modes in [(cr.grad,) * 3, (forward,) * 3, (cr.grad, forward, cr.grad, forward)]:
        g: Any = f
        for mode in modes:
            g = mode(g)
        np.testing.assert_allclose(cr.jit(g)(1.1), wanted[len(modes) - 3], rtol=1e-9)


# random bodies ------------------------------------------------------------------------------


def random_body(seed: int) -> tuple[Callable[..., Any], Any, Any, Any]:
    """A body of random operations over a tree of carries, with closed-over parameters and a loop
    inside it, and what it runs on."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    length = int(rng.integers(0, 7))
    unary = [np.sin, np.tanh, np.cos, lambda v: v * v / 3, lambda v: np.exp(-v * v)]
    plan = [(int(rng.integers(9)), int(rng.integers(9)), int(rng.integers(9))) for _ in range(6)]
    inner = int(rng.integers(0, 3)) if rng.random() < 0.5 else None

    def body(scan: Any, p: Any, carry: Any, x: Any) -> Any:
        pool = [carry["u"], carry["v"], p["w"] @ carry["u"], x * p["b"], p["w"][0] * x]
        for op, i, j in plan:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            if op < 5:
                pool.append(unary[op](a))
            elif op == 5:
                pool.append(a * b)
            elif op == 6:
                pool.append(np.where(a > b, a, b / 2))
            elif op == 7:
                pool.append(np.broadcast_to(np.sum(a * b), (n,)) * 0.1 + a)
            else:
                pool.append(a - b * carry["s"])
        if inner is not None:
            pool[-1] = (
                scan(lambda c, y: (np.tanh(c + y * p["b"]), c), pool[-1], p["w"])[0] + pool[-2]
            )
        carry = {"u": np.tanh(pool[-1]), "v": np.sin(pool[-2]), "s": carry["s"] * 0.9 + pool[3][0]}
        return carry, (pool[-3], np.sum(pool[-4]))

    p = {"w": rng.normal(size=(n, n)), "b": rng.normal(size=n)}
    carry = {"u": rng.normal(size=n), "v": rng.normal(size=n), "s": 0.5}
    return body, p, carry, rng.normal(size=(length, n))


def python_scan(f: Any, carry: Any, xs: Any) -> Any:
    ys = []
    for x in xs:
        carry, y = f(carry, x)
        ys.append(y)
    return carry, ys


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bodies_are_their_loops(seed: int) -> None:
    body, p, carry, xs = random_body(seed)
    reverse, recompute = bool(seed % 2), RECOMPUTE[seed % len(RECOMPUTE)]

    def looped(p: Any, carry: Any, xs: Any) -> Any:
        def turn(c: Any, x: Any) -> Any:
            return body(cr.scan, p, c, x)

        last, (a, b) = cr.scan(turn, carry, xs, reverse=reverse, recompute=recompute)
        return np.sum(a) + np.sum(b * b) + np.sum(last["u"] * last["v"]) * last["s"]

    def plain(p: Any, carry: Any, xs: Any) -> Any:
        order = list(xs)[::-1] if reverse else list(xs)
        last, ys = python_scan(lambda c, x: body(python_scan, p, c, x), carry, order)
        total = sum((np.sum(a) + b * b for a, b in ys), 0.0)
        return total + np.sum(last["u"] * last["v"]) * last["s"]

    given = (p, carry, xs)
    tangents = cr.tree.map(lambda x: np.cos(np.asarray(x) * 3)[()], given)

    def all_of(f: Any) -> Any:
        gradient = cr.grad(f, (0, 1, 2))
        return lambda *a: (f(*a), gradient(*a), cr.jvp(gradient, a, tangents)[1])

    expected = all_of(plain)(*given)
    for executor in EXECUTORS:
        close(cr.jit(all_of(looped), executor=executor)(*given), expected, 1e-8)


# graphs -------------------------------------------------------------------------------------


def loops_in(graph: cr.Graph) -> list[Node]:
    return [n for n in graph.nodes if n.primitive.name == "scan"]


def test_a_loop_prints_and_parses_back_and_its_size_does_not_depend_on_its_length() -> None:
    sizes = set()
    for length in (2, 2000):
        xs = np.ones((length, 2))
        graph = cr.trace(cr.grad(rnn, (0, 1, 2, 3)))(*ARGS[:3], xs)
        assert "def body0(" in str(graph)
        check_round_trip(graph, [*ARGS[:3], xs * 0.1])
        sizes.add(len(str(graph).splitlines()))
    assert len(sizes) == 1


def test_nested_bodies_print_and_parse_back() -> None:
    def f(x: Any) -> Any:
        inner = lambda c, _: (np.sin(c) + x, None)  # noqa: E731
        return cr.scan(lambda c, _: (cr.scan(inner, c, length=2)[0], c), x, length=3)[1]

    graph = cr.trace(f)(0.3)
    check_round_trip(graph, [np.float64(0.3)])
    text = str(graph)
    assert text.count("def body0(") == 2, "one inside the other"


def test_value_and_gradient_are_one_loop_each_way() -> None:
    passes = cr.jit(cr.value_and_grad(rnn, (0, 1, 2, 3))).passes(*ARGS)
    loops = loops_in(passes[-1].after)
    assert [n.attrs["reverse"] for n in loops] == [False, True]
    pushed = cr.jit(lambda *a: cr.jvp(rnn, a, a)).passes(*ARGS)
    assert len(loops_in(pushed[-1].after)) == 1
    assert "loops" in str(passes)


def test_what_nobody_reads_is_not_computed() -> None:
    def f(x: Any) -> Any:
        def turn(carry: Any, _: Any) -> Any:
            a, b, fixed = carry
            return (a * x, np.sin(b), fixed), (np.exp(b), a)

        (a, _, fixed), _ = cr.scan(turn, (x, x, x), length=5)
        return a + fixed

    (loop,) = loops_in(cr.jit(f).passes(0.5)[-1].after)
    assert len(loop.attrs["body"].outputs) == 1
    assert {n.primitive.name for n in loop.attrs["body"].nodes} == {"input", "multiply"}
    assert cr.jit(f)(0.5) == 0.5**6 + 0.5


def test_what_does_not_depend_on_the_turn_is_computed_once() -> None:
    def f(x: Any, h: Any) -> Any:
        return cr.scan(lambda c, _: (c + np.exp(x), None), h, length=5)[0]

    graph = cr.trace(f)(1.0, 2.0)
    (loop,) = loops_in(graph)
    assert "exp" not in {n.primitive.name for n in loop.attrs["body"].nodes}
    assert [n.primitive.name for n in graph.nodes].count("exp") == 1


@pytest.mark.parametrize("recompute", ["none", "sqrt", 10, 50])
@pytest.mark.parametrize("turns", [100, 400])
def test_the_most_memory_that_a_gradient_takes(recompute: Any, turns: int) -> None:
    """Measured: carries kept, and those of the turns that are computed again at once. The turn at
    hand takes some ten arrays more, whatever the length."""
    kept = {"none": turns, "sqrt": math.isqrt(turns)}.get(recompute, recompute)
    size = 4000

    def f(w: Any, x: Any) -> Any:
        def turn(c: Any, _: Any) -> Any:
            return np.tanh(c * w) + 0.1 * np.sum(c), None

        return np.sum(cr.scan(turn, x, length=turns, recompute=recompute)[0])

    gradient = cr.jit(cr.grad(f), executor="numpy")
    given = np.full(size, 0.5), np.linspace(0, 1, size)
    gradient(*given)
    tracemalloc.start()
    try:
        gradient(*given)
        peak = tracemalloc.get_traced_memory()[1] / (8 * size)
    finally:
        tracemalloc.stop()
    stated = kept if recompute == "none" else kept + turns / kept
    assert 0.9 * stated < peak < stated + 13
    if "native" in EXECUTORS:  # all that a call of machine code has beside what goes in and out
        from chainrule.run.native.plan import make

        arena = make(gradient.passes(*given)[-1].after).arena / (8 * size)
        assert 0.9 * stated < arena < stated + 10


def stored_bytes(recompute: Any, length: int) -> int:
    """Bytes of what the loops of a gradient hand to one another: all results of the outer loops,
    and of the largest loop inside one."""
    xs = np.ones((length, 2))
    graph = cr.jit(cr.grad(lambda *a: rnn(*a, recompute=recompute))).passes(*ARGS[:3], xs)[-1].after

    def held(graph: cr.Graph) -> int:
        inner = [held(n.attrs["body"]) for n in loops_in(graph)]
        kept = [n.type.nbytes for n in graph.nodes if n.primitive.name == "item"]
        return sum(kept) + max(inner, default=0)

    return held(graph)


def test_recomputing_stores_less() -> None:
    """none: T turns of residuals. n: T/n carries and n turns of residuals. sqrt: √T of both."""
    small, large = 400, 1600
    none = stored_bytes("none", large) / stored_bytes("none", small)
    root = stored_bytes("sqrt", large) / stored_bytes("sqrt", small)
    assert 3.8 < none < 4.2
    # what a turn returns (sizes and hs) is T long all the same; the rest grows with the root
    assert stored_bytes("sqrt", large) < stored_bytes(1, large) < stored_bytes("none", large)
    assert root < none


# edges --------------------------------------------------------------------------------------


@executors
def test_no_turns_return_the_carry_and_no_ys(executor: str) -> None:
    def f(W: Any, h: Any, xs: Any) -> Any:
        return cr.scan(lambda h, x: (np.tanh(W @ h + x), (h, np.sum(x))), h, xs)

    args = (ARGS[0], ARGS[2], np.zeros((0, 3)))
    for run in (f, cr.jit(f, executor=executor)):
        h, (hs, sums) = run(*args)
        assert np.array_equal(h, ARGS[2])
        assert hs.shape == (0, 3)
        assert sums.shape == (0,)
    total = lambda *a: np.sum(f(*a)[0] ** 2)  # noqa: E731
    W, h = cr.jit(cr.grad(total, (0, 1)), executor=executor)(*args[:2], args[2])
    assert not W.any()
    assert np.array_equal(h, 2 * ARGS[2])


@executors
def test_numbers_in_the_carry_take_the_dtype_of_a_turn(executor: str) -> None:
    x = np.arange(3, dtype=np.float32)

    def f(x: Any) -> Any:
        return cr.scan(lambda c, v: ((c[0] + v, c[1] + 1), c[1]), (0.0, 0), x)

    for run in (f, cr.jit(f, executor=executor)):
        (total, count), ys = run(x)
        assert (float(total), int(count)) == (3.0, 3)
        assert total.dtype == np.float32
        assert ys.tolist() == [0, 1, 2]


@executors
@pytest.mark.parametrize("start", [1.0, 1])
def test_ys_have_the_dtype_that_numbers_take(executor: str, start: Any) -> None:
    x = np.arange(1, 4, dtype=np.float32)

    def f(x: Any, c: Any = start) -> Any:
        return cr.scan(lambda c, v: (c * v, c * 2), c, x)[1]

    def inside(x: Any) -> Any:
        return cr.jvp(f, (x,), (x,))[0]

    for run in (f, inside, cr.jit(f, executor=executor)):
        ys = run(x)
        assert ys.tolist() == [2.0, 2.0, 4.0]
        assert ys.dtype == np.float32
    assert cr.grad(lambda c: np.sum(f(x, c)))(1.0) == 8.0


@executors
def test_a_python_integer_in_the_carry_becomes_a_float_with_a_turn(executor: str) -> None:
    x = np.arange(3, dtype=np.float32)

    def f(x: Any) -> Any:
        return cr.scan(lambda c, v: ((c[1], c[0] + 1), c[0] * v), (1, 2.5), x)

    (a, b), ys = cr.jit(f, executor=executor)(x)
    assert (a, b) == (3.5, 3.0)
    assert ys.tolist() == [0.0, 2.5, 4.0]
    assert ys.dtype == np.float32


def test_python_branches_work_on_values_only() -> None:
    def turn(c: Any, x: Any) -> Any:
        return (c + x if x > 0 else c), None

    xs = np.array([1.0, -2.0, 3.0])
    assert cr.grad(lambda v: cr.scan(turn, 0.0, v)[0])(xs).tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(cr.errors.UnknownValueError, match="branch"):
        cr.jit(lambda v: cr.scan(turn, 0.0, v)[0])(xs)


def test_a_traced_table_read_by_index_costs_a_write_a_turn() -> None:
    table = RNG.normal(size=(5, 2))
    index = np.array([0, 3, 3, 1])

    def f(table: Any, index: Any) -> Any:
        return cr.scan(lambda c, i: (np.tanh(c + table[i]), None), np.zeros(2), index)[0].sum()

    close(cr.jit(cr.grad(f))(table, index), cr.grad(f)(table, index))
    _, back = loops_in(cr.jit(cr.grad(f)).passes(table, index)[-1].after)
    names = {n.primitive.name for n in back.attrs["body"].nodes}
    assert "scatter_add" not in names, "the writes of all turns are one, after the loop"


@pytest.mark.parametrize("jit", [lambda f: f, cr.jit, cr.grad], ids=["eager", "jit", "grad"])
def test_bad_carries_are_refused_by_name(jit: Any) -> None:
    def run(turn: Any, carry: Any) -> Any:
        return jit(lambda x: cr.scan(turn, carry(x), np.ones(3))[0]["h"][0])(1.0)

    def start(x: Any) -> Any:
        return {"h": np.ones(2) * x, "k": np.float32(1)}

    def longer(c: Any, x: Any) -> Any:
        return {"h": np.concatenate([c["h"], c["h"]]) * x, "k": c["k"]}, None

    def wider(c: Any, x: Any) -> Any:
        return {"h": c["h"], "k": c["k"] * x}, None

    def fewer(c: Any, x: Any) -> Any:
        return {"h": c["h"]}, None

    def alone(c: Any, x: Any) -> Any:
        return c

    for turn, kind, message in [
        (longer, ShapeError, r"carry/h goes into longer as float64\[2\].*float64\[4\]"),
        (wider, DtypeError, r"carry/k .*float32 and comes out as float64.*test_loops"),
        (fewer, UsageError, "comes out as"),
        (alone, UsageError, r"must return a pair \(carry, y\)"),
    ]:
        with pytest.raises(kind, match=message):
            run(turn, start)


def test_the_error_names_the_line_that_made_the_leaf() -> None:
    def turn(c: Any, x: Any) -> Any:
        longer = np.concatenate([c, c])
        return longer, None

    line = turn.__code__.co_firstlineno + 1
    with pytest.raises(ShapeError, match=rf"made at .*test_loops.py:{line}"):
        cr.jit(lambda x: cr.scan(turn, x, length=2)[0])(np.ones(2))


@pytest.mark.parametrize("jit", [lambda f: f, cr.jit], ids=["eager", "jit"])
def test_turns_are_counted_clearly(jit: Any) -> None:
    def run(xs: Any, length: Any = None, **options: Any) -> Any:
        return jit(lambda x: cr.scan(lambda c, _: (c * x, None), x, xs, length, **options))(2.0)

    with pytest.raises(UsageError, match="needs length="):
        run(None)
    with pytest.raises(ShapeError, match="xs/a says 3, xs/b says 2"):
        run({"a": np.ones(3), "b": np.ones((2, 2))})
    with pytest.raises(ShapeError, match="length= says 4, xs says 3"):
        run(np.ones(3), 4)
    with pytest.raises(ShapeError, match="no axis to loop over"):
        run(2.0)
    for length in (True, 2.0, -1):
        with pytest.raises(UsageError, match="number of turns"):
            run(None, length)
    for recompute in ("all", 0, True, None):
        with pytest.raises(UsageError, match='recompute is "none"'):
            run(None, 3, recompute=recompute)


def test_a_value_that_leaves_its_turn_is_refused() -> None:
    kept: list[Any] = []

    def turn(c: Any, x: Any) -> Any:
        kept.append(c * x)
        return c + x, None

    with pytest.raises(EscapedTracerError):
        cr.jit(lambda v: cr.scan(turn, 0.0, v)[0] + kept[0])(np.ones(3))


# other loops --------------------------------------------------------------------------------


def _read_outside(x: Any) -> Any:
    kept = []
    cr.scan(lambda c, t: (kept.append(c), (np.sin(c * t), c))[1], x[0], x)
    return kept[0] * 2


def _read_outside_remat(x: Any) -> Any:
    kept = []
    y = cr.remat(lambda a: (kept.append(np.sin(a)), a)[1])(x)
    return np.sum(y) + kept[0][1]


@pytest.mark.parametrize("f", [_read_outside, _read_outside_remat])
def test_no_derivative_leaves_out_what_was_read_outside_its_turn(f: Any) -> None:
    """The value alone was refused, its gradient lacked a term."""
    x = np.array([0.3, -0.7])
    of = (f, cr.grad(f), cr.grad(cr.jit(f)), cr.hessian(f), lambda x: cr.jvp(f, (x,), (x,)))
    for g in of:
        with pytest.raises(EscapedTracerError, match="used after the function"):
            cr.jit(g, executor="numpy")(x)


def _writes_outside(loop: Any) -> Any:
    def f(x: Any) -> Any:
        o = np.zeros_like(x)

        def turn(c: Any) -> Any:
            o[0] += c
            return np.sin(c) + o[0]

        return loop(turn, x[0])

    return f


@pytest.mark.parametrize(
    "loop",
    [
        lambda turn, c: cr.scan(lambda c, _: (turn(c), c), c, length=3)[0],
        lambda turn, c: cr.fori_loop(0, 3, lambda _, c: turn(c), c),
        lambda turn, c: cr.while_loop(lambda c: c < 2, turn, c, bound=9),
        lambda turn, c: cr.remat(turn)(c),
    ],
)
def test_a_turn_writes_into_its_own_arrays_only(loop: Any) -> None:
    """Recorded once, the write would be done once: o[0] was c, not the sum over turns."""
    f, x = _writes_outside(loop), np.array([0.3, -0.7])
    for g, given in ((f, x), (cr.grad(f), x), (cr.vmap(f), np.outer(x, x))):
        with pytest.raises(MutationError, match="from outside"):
            cr.jit(g, executor="numpy")(given)


def test_a_turn_may_not_return_what_it_wrote_into_outside() -> None:
    """Each turn began with the zeros: [3, 0], where the loop makes [6, 0]."""

    def f(x: Any) -> Any:
        o = np.zeros_like(x)

        def turn(c: Any, t: Any) -> Any:
            o[:1] += t
            return o, c[0]

        return cr.scan(turn, o, x)

    with pytest.raises(MutationError, match="from outside"):
        cr.jit(f, executor="numpy")(np.array([1.0, 2.0, 3.0]))


@executors
def test_what_a_turn_writes_into_is_neither_an_argument_nor_a_y(executor: str) -> None:
    def f(x: Any, table: Any) -> Any:
        def turn(c: Any, row: Any) -> Any:
            own = np.zeros_like(x)
            own[1:] = row[0] * c[0]
            c[0] = np.sin(c[1] * row[1])
            row[0] = 5.0
            return c, (c, row, own)

        return cr.scan(turn, x, table)

    x, table = np.array([0.3, -0.7]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    (carry, ys), before = f(x, table), [x.copy(), table.copy()]
    np.testing.assert_array_equal(x, [0.3, -0.7])
    np.testing.assert_array_equal(table[:, 0], [1.0, 3.0, 5.0])
    c = np.sin(-0.7 * np.array([2.0, 4.0, 6.0]))
    np.testing.assert_allclose(ys[0][:, 0], c)
    np.testing.assert_array_equal(ys[1][:, 0], 5.0)
    np.testing.assert_allclose(ys[2][:, 1], [1.0 * 0.3, 3.0 * c[0], 5.0 * c[1]])
    same = cr.jit(f, executor=executor)(x, table)
    for ours, theirs in zip(cr.tree.leaves(same), cr.tree.leaves((carry, ys)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-15)
    for array, copy in zip((x, table), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@executors
def test_fori_loop_counts(executor: str) -> None:
    def f(x: Any) -> Any:
        return cr.fori_loop(2, 6, lambda i, c: c * x + i, 1.0)

    def plain(x: Any) -> Any:
        c = 1.0
        for i in range(2, 6):
            c = c * x + i
        return c

    for g in (lambda h: h, cr.grad, lambda h: cr.grad(cr.grad(h))):
        close(cr.jit(g(f), executor=executor)(1.3), g(plain)(1.3))
        close(g(f)(1.3), g(plain)(1.3))
    assert cr.fori_loop(3, 1, lambda i, c: c + 1, 5) == 5
    with pytest.raises(UsageError, match="plain integers"):
        cr.jit(lambda n: cr.fori_loop(0, n, lambda i, c: c + 1, 0))(3)


def newton(step: Any, x: Any, bound: int | None = None) -> Any:
    """The square root of x, by Newton's method until it no longer moves."""

    def moves(state: Any) -> Any:
        y, before = state
        return np.abs(y - before) > 1e-12

    def better(state: Any) -> Any:
        y, _ = state
        return (y + x / y) / 2, y

    return step(moves, better, (x, x + 1), bound)[0]


def python_while(cond: Any, body: Any, carry: Any, bound: int | None) -> Any:
    while cond(carry):
        carry = body(carry)
    return carry


@executors
@pytest.mark.parametrize("x", [2.0, 1e6, 0.01])
def test_while_loops_stop_where_python_does(executor: str, x: float) -> None:
    def f(x: Any) -> Any:
        return newton(cr.while_loop, x)

    def bounded(x: Any) -> Any:
        return newton(cr.while_loop, x, 40)

    wanted = newton(python_while, x)
    for g in (f, bounded):
        close(g(x), wanted)
        close(cr.jit(g, executor=executor)(x), wanted)
        pushed = cr.jit(lambda x, g=g: cr.jvp(g, (x,), (1.0,)), executor=executor)(x)
        close(pushed, (wanted, 0.5 / np.sqrt(x)))
    close(cr.jit(cr.grad(bounded), executor=executor)(x), 0.5 / np.sqrt(x))
    close(cr.jit(cr.grad(cr.grad(bounded)), executor=executor)(x), -0.25 * x**-1.5, 1e-6)
    with pytest.raises(DerivativeError, match=r"give bound=, or use cr\.jvp"):
        cr.jit(cr.grad(f), executor=executor)(x)


@executors
def test_while_loops_refuse_more_turns_than_their_bound(executor: str) -> None:
    def f(x: Any) -> Any:
        return cr.while_loop(lambda c: c < 100, lambda c: c + 1, x, bound=10)

    for run in (f, cr.jit(f, executor=executor)):
        assert run(95.0) == 100.0
        assert run(200.0) == 200.0
        with pytest.raises(UsageError, match="still holds after 10 turns"):
            run(0.0)
    with pytest.raises(ShapeError, match="must return one bool"):
        cr.while_loop(lambda c: c < 1, lambda c: c, np.zeros(2))


@executors
def test_remat_is_the_function_and_computes_it_again(executor: str) -> None:
    W = ARGS[0]

    def layer(x: Any) -> Any:
        return {"h": np.tanh(W @ np.sin(W @ x))}

    def f(x: Any, layer: Any = layer) -> Any:
        return np.sum(layer(layer(x)["h"])["h"] ** 2)

    def less(x: Any) -> Any:
        return f(x, cr.remat(layer))

    x = ARGS[2]
    close(cr.jit(less, executor=executor)(x), f(x))
    close(cr.remat(layer)(x), layer(x))
    for g in (cr.grad, lambda h: cr.hvp(h), cr.hessian):
        args = (x, x) if g not in (cr.grad, cr.hessian) else (x,)
        close(cr.jit(g(less), executor=executor)(*args), g(f)(*args))
    graph = cr.jit(cr.grad(less)).passes(x)[-1].after
    products = [
        sum(n.primitive.name == "contract" for n in m.attrs["body"].nodes) for m in loops_in(graph)
    ]
    assert products[-1] == 4, (
        "two products of the layer again, and those that pull back through them"
    )


def test_derivatives_inside_a_body() -> None:
    """Gradient descent: a gradient in each turn, and the derivative of the result by the step."""

    def descend(rate: Any, grad: Any = cr.grad) -> Any:
        def loss(x: Any) -> Any:
            return np.sum(np.cos(x) * x)

        return np.sum(cr.scan(lambda x, _: (x - rate * grad(loss)(x), None), ARGS[2], length=5)[0])

    eps = 1e-6
    wanted = (descend(0.1 + eps) - descend(0.1 - eps)) / (2 * eps)
    close(cr.jit(cr.grad(descend))(0.1), wanted, 1e-8)
    close(cr.grad(descend)(0.1), wanted, 1e-8)


def test_bodies_share_the_nodes_of_the_loop_they_come_from() -> None:
    graph = cr.trace(cr.value_and_grad(rnn))(*ARGS)
    first, second, _ = loops_in(graph)
    a, b = (set(ancestors(n.attrs["body"].outputs)) for n in (first, second))
    assert a <= b


# batches ------------------------------------------------------------------------------------


@executors
@pytest.mark.parametrize("in_axes", [(None, None, 0, 0), (0, None, None, 0), (None, 0, None, None)])
def test_a_batch_of_loops_is_one_loop(executor: str, in_axes: tuple[Any, ...]) -> None:
    args = [
        x if axis is None else np.stack([x, x / 2, -x])
        for x, axis in zip(ARGS, in_axes, strict=True)
    ]
    rows = [
        [x if axis is None else x[i] for x, axis in zip(args, in_axes, strict=True)]
        for i in range(3)
    ]
    every = (0, 1, 2, 3)
    for f, plain in ((rnn, unrolled_rnn), (cr.grad(rnn, every), cr.grad(unrolled_rnn, every))):
        wanted = cr.tree.map(lambda *x: np.stack(x), *[plain(*row) for row in rows])
        close(cr.jit(cr.vmap(f, in_axes), executor=executor)(*args), wanted)
        close(cr.vmap(f, in_axes)(*args), wanted)
    total = lambda *a: np.sum(cr.vmap(rnn, in_axes)(*a))  # noqa: E731
    wanted = cr.grad(total, every)(*args)
    close(cr.jit(cr.grad(total, every), executor=executor)(*args), wanted)


@executors
def test_rows_of_a_while_loop_end_apart(executor: str) -> None:
    x = np.array([2.0, 1e6, 0.01])
    many = cr.jit(cr.vmap(lambda x: newton(cr.while_loop, x)), executor=executor)
    assert many(x).tolist() == [newton(python_while, v) for v in x.tolist()]
    pushed = cr.jit(lambda x: cr.jvp(cr.vmap(lambda v: newton(cr.while_loop, v)), (x,), (x,)))(x)
    close(pushed[1], 0.5 * np.sqrt(x))
