"""The table of algebra: every rewrite acts, keeps every bit, and a wrong one is caught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule.ops  # noqa: F401
from chainrule.compile import PASSES, algebra, optimise
from chainrule.compile.passes import simplify
from chainrule.compile.patterns import (
    Rewrite,
    Table,
    apply,
    constant_like,
    inner,
    made_by,
    number,
)
from chainrule.compile.views import EXACT
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, INPUT, PRIMITIVES
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, type_of
from chainrule.run import interpreter
from tests.helpers.native_graphs import random_case

Build = Callable[[Traced, Traced, Traced], list[Traced]]


def trouble(dtype: Any) -> np.ndarray:
    """Numbers of every kind of trouble that a dtype has."""
    if np.dtype(dtype).kind != "f":
        limits = np.iinfo(dtype)
        return np.array([0, 1, 2, 3, 7, 15, 16, 100, limits.min, limits.max], dtype)
    of = np.finfo(dtype)
    return np.array([0.0, -0.0, 1, -1, 0.5, -2.5, 3, np.inf, -np.inf, np.nan, of.max, -of.max,
                     of.tiny, -of.tiny, of.smallest_subnormal, -3 * of.smallest_subnormal,
                     of.tiny * 1.5, 1 / 3], dtype)  # fmt: skip


def arguments(dtype: Any) -> list[np.ndarray]:
    """x, z and c: every pair of trouble, and truths."""
    points = trouble(dtype)
    x, z = (np.array(a) for a in np.meshgrid(points, points))
    return [x, z, np.arange(x.size).reshape(x.shape) % 3 == 0]


def record(build: Build, inputs: list[np.ndarray]) -> Graph:
    recording = Recording(eager=False)
    traced = [recording.input(type_of(x), name="xzc"[i]) for i, x in enumerate(inputs)]
    return recording.graph(traced, build(*traced), "f")


def same_bits(got: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    """The same types, numbers and signs of zeros; every NaN like every other."""
    for a, b in zip(got, wanted, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
        if a.dtype.kind == "f":
            known = ~np.isnan(a)
            np.testing.assert_array_equal(np.signbit(a)[known], np.signbit(b)[known])


def check(one: str, build: Build, inputs: list[np.ndarray]) -> None:
    """A rewrite acts on its example and changes no bit of it."""
    graph = record(build, inputs)
    fired: Counter[str] = Counter()
    result = simplify(graph, fired)
    assert fired[one], f"{one} did not act on its example"
    assert str(result) != str(graph)
    same_bits(interpreter.compile(result)(inputs), interpreter.compile(graph)(inputs))


# Examples ---------------------------------------------------------------------------------


def op(name: str, *inputs: Traced, **attrs: Any) -> Traced:
    return apply(name, *inputs, **attrs)


def minus(x: Traced) -> Traced:
    return op("negative", x)


full = constant_like


def part(x: Traced, *region: Any) -> Traced:
    return op("slice", x, region=region)


def row(x: Traced) -> Traced:
    return part(x, 1, (0, x.shape[1], 1))


def scalars(x: Traced) -> list[Traced]:
    return [part(x, i, (5 * i) % x.shape[1]) for i in range(x.shape[0])]


def spread(x: Traced, shape: Any, *axes: int) -> Traced:
    return op("broadcast", x, shape=shape, axes=axes)


def flat(x: Traced) -> Traced:
    return op("reshape", x, shape=(x.size,))


def column(x: Traced) -> Traced:
    return op("reshape", x, shape=(x.size, 1))


def turned(x: Traced, *axes: int) -> Traced:
    return op("transpose", x, axes=axes or (1, 0))


def cast(x: Traced, dtype: str) -> Traced:
    return op("cast", x, dtype=dtype)


def other_float(x: Traced) -> Traced:
    return cast(cast(x, "float64"), x.dtype.name)


def truth(x: Traced, value: bool) -> Traced:
    return spread(x.recording.constant(value, np.dtype(bool)), x.shape)


def inside(name: str) -> Build:
    """An element-wise primitive of views: transposes, reshapes, repeated rows and numbers."""

    def on(*xs: Traced) -> Traced:
        attrs = {"dtype": OTHER[xs[-1].dtype.name]} if name == "cast" else {}
        return op(name, *xs[-arity(name) :], **attrs)

    def build(x: Traced, z: Traced, c: Traced) -> list[Traced]:
        three, shape = full(row(x), 3), (4, x.shape[1])
        found = [on(*map(turned, (c, x, z))), on(*map(flat, (c, x, z)))]
        rows = [spread(row(one), shape, 1) for one in (c, x, z)]
        found += [on(*rows), on(rows[0], rows[1], spread(three, shape, 1))]
        for i, a in enumerate(scalars(x)):
            numbers = (scalars(c)[i], a, scalars(z)[-i])
            found.append(on(*(spread(one, (2, 3)) for one in numbers)))
        return found

    return build


OTHER = {"float32": "float64", "float64": "float32"}


def arity(name: str) -> int:
    return len(PRIMITIVES[name].samples()[0].inputs)


EXAMPLES: dict[str, Build] = {
    "add-zero": lambda x, z, c: [op("add", x, full(x, -0.0)), op("add", full(x, -0.0), x)],
    "add-negative": lambda x, z, c: [op("add", x, minus(z)), op("add", minus(x), z)],
    "add-product": lambda x, z, c: [
        op("add", z, op("multiply", minus(x), z)), op("add", op("multiply", x, minus(z)), x)],
    "subtract-zero": lambda x, z, c: [op("subtract", x, full(x, 0.0))],
    "subtract-negative": lambda x, z, c: [op("subtract", x, minus(z))],
    "subtract-product": lambda x, z, c: [
        op("subtract", z, op("multiply", minus(x), z)),
        op("subtract", x, op("multiply", x, minus(z)))],
    "multiply-one": lambda x, z, c: [op("multiply", x, full(x, 1)), op("multiply", full(x, 1), x)],
    "multiply-minus-one": lambda x, z, c: [
        op("multiply", x, full(x, -1)), op("multiply", full(x, -1), x)],
    "multiply-signs": lambda x, z, c: [op("multiply", minus(x), minus(z)), *(
        y for v in (3.0, -0.0, np.inf, np.nan)
        for y in (op("multiply", minus(x), full(x, v)), op("multiply", full(x, v), minus(x))))],
    "multiply-itself": lambda x, z, c: [op("multiply", x, x)],
    "divide-one": lambda x, z, c: [op("divide", x, full(x, v)) for v in (1, -1)],
    "divide-power": lambda x, z, c: [
        op("divide", x, full(x, v)) for v in (8, -4, 0.5, 2.0**100, 2.0**-126, -(2.0**126))],
    "divide-signs": lambda x, z, c: [
        op("divide", minus(x), minus(z)), op("divide", minus(x), full(x, 3)),
        op("divide", full(x, -0.0), minus(x))],
    "negative-negative": lambda x, z, c: [minus(minus(x))],
    "square-sign": lambda x, z, c: [op("square", minus(x)), op("square", op("abs", x))],
    "abs-sign": lambda x, z, c: [
        op("abs", minus(x)), op("abs", op("abs", x)), op("abs", op("square", x))],
    "power": lambda x, z, c: [
        op("power_constant", a, exponent=e)
        for e in (0, 1, 2, 2.0, 0.5, -1) for a in (x, *scalars(x))],
    "select-same": lambda x, z, c: [op("select", c, x, x)],
    "select-constant": lambda x, z, c: [op("select", truth(x, v), x, z) for v in (True, False)],
    "select-not": lambda x, z, c: [
        op("select", op("logical_not", c), x, z), op("select", op("invert", c), x, z)],
    "select-select": lambda x, z, c: [
        op("select", c, op("select", c, x, z), minus(x)),
        op("select", c, minus(x), op("select", c, x, z))],
    "cast-same": lambda x, z, c: [cast(x, x.dtype.name), cast(c, "bool")],
    "cast-back": lambda x, z, c: [other_float(x), cast(cast(c, "float32"), "bool")],
    "broadcast-same": lambda x, z, c: [spread(x, x.shape, 0, 1)],
    "broadcast-twice": lambda x, z, c: [
        spread(spread(row(x), (3, x.shape[1]), 1), (3, 2, x.shape[1], 4), 0, 2)],
    "reshape-same": lambda x, z, c: [op("reshape", x, shape=x.shape)],
    "reshape-twice": lambda x, z, c: [flat(column(x))],
    "reshape-scalar": lambda x, z, c: [flat(spread(a, (2, 3))) for a in scalars(x)],
    "transpose-same": lambda x, z, c: [turned(x, 0, 1)],
    "transpose-twice": lambda x, z, c: [turned(turned(x))],
    "transpose-spread": lambda x, z, c: [
        turned(spread(row(x), (3, x.shape[1]), 1)),
        turned(spread(x, (*x.shape, 2), 0, 1), 1, 2, 0)],
    "transpose-units": lambda x, z, c: [turned(column(x)), turned(turned(column(x)))],
    "slice-whole": lambda x, z, c: [part(x, *((0, n, 1) for n in x.shape))],
    "slice-twice": lambda x, z, c: [
        part(part(x, (9, 4, -2), (1, 9, 1)), (1, 2, 2), 3),
        part(part(x, 4, (1, 9, 1)), (8, 9, -1)), part(part(x, 4, (1, 0, 1)), (0, 0, 1))],
    "slice-spread": lambda x, z, c: [
        part(spread(row(x), (3, x.shape[1]), 1), (1, 2, 1), (5, 3, -2)),
        part(spread(row(x), (3, x.shape[1]), 1), 1, (5, 3, -2)),
        part(spread(row(x), (3, x.shape[1]), 1), (2, 3, -1), 4)],
    "slice-joined": lambda x, z, c: [
        part(op("concatenate", x, z, axis=0), (x.shape[0] + 4, 3, -2), (0, 2, 3)),
        part(op("concatenate", x, z, axis=1), 2, 3)],
    "concatenate-one": lambda x, z, c: [
        op("concatenate", x, axis=1), op("concatenate", part(x, (0, 0, 1), (0, x.shape[1], 1)), x,
                                         axis=0)],
    "place-whole": lambda x, z, c: [
        op("place", x, shape=x.shape, regions=(tuple((0, n, 1) for n in x.shape),)),
        op("place", row(x), shape=(1, x.shape[1]), regions=((0, (0, x.shape[1], 1)),))],
    "sum-of-one": lambda x, z, c: [op("reduce_sum", column(x), axes=a) for a in ((), (1,))],
    "max-of-one": lambda x, z, c: [op("reduce_max", column(x), axes=a) for a in ((), (1,))],
    "min-of-one": lambda x, z, c: [op("reduce_min", column(x), axes=a) for a in ((), (1,))],
    "contract-transposed": lambda x, z, c: [
        op("contract", turned(x), z, spec="ij,jk->ik"),
        op("contract", x, turned(z), spec="ij,jk->ik"),
        op("contract", turned(x), turned(z), spec="ij,ij->i"),
        op("contract", turned(x), turned(z), spec="ij,kl->ijlk")],
    **{f"{name}-inside": inside(name) for name in EXACT},
}  # fmt: skip
INTEGERS = {
    "add-zero", "add-negative", "add-product", "subtract-zero", "subtract-negative",
    "subtract-product", "multiply-one", "multiply-itself", "negative-negative", "square-sign",
    "select-same", "select-not", "select-select", "reshape-twice", "transpose-twice",
    "slice-twice", "slice-joined", "place-whole", "add-inside", "square-inside", "abs-inside",
}  # fmt: skip
"""Rewrites that hold for integers as well, which count modulo a power of two."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [one.name for one in algebra.REWRITES])
def test_every_rewrite_acts_and_keeps_every_bit(name: str, dtype: Any) -> None:
    build = EXAMPLES[name]
    if name == "cast-back" and dtype == np.float64:

        def build(x: Traced, z: Traced, c: Traced) -> list[Traced]:
            return [cast(cast(c, "int8"), "bool")]

    check(name, build, arguments(dtype))


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
@pytest.mark.parametrize("name", sorted(INTEGERS))
def test_rewrites_of_integers(name: str, dtype: Any) -> None:
    check(name, EXAMPLES[name], arguments(dtype))


def test_the_native_executor_agrees_on_every_example() -> None:
    pytest.importorskip("llvmlite")
    from chainrule.run import native

    inputs = arguments(np.float32)
    for name, build in EXAMPLES.items():
        if name.startswith("contract"):
            continue  # products of trouble differ by how sums of infinities are ordered
        graph = record(build, inputs)
        same_bits(native.compile(simplify(graph))(inputs), interpreter.compile(graph)(inputs))


def test_a_power_of_a_number_is_the_power_in_an_array() -> None:
    """NumPy's scalars take x**2 from C's pow, which rounds otherwise once in a thousand times."""
    x = np.random.default_rng(0).normal(size=20_000)
    forward = PRIMITIVES["power_constant"].forward
    for exponent in (2, 0.5, -1):
        with np.errstate(invalid="ignore"):
            alone = [forward(one, exponent=exponent) for one in x]
            np.testing.assert_array_equal(alone, forward(x, exponent=exponent))


def test_names_are_unique_and_examples_say_what_happens() -> None:
    names = [one.name for one in algebra.REWRITES]
    assert len(set(names)) == len(names)
    assert set(names) == set(EXAMPLES)
    assert all(one.example for one in algebra.REWRITES)


LEFT: dict[str, Build] = {
    "x + 0 turns -0 into 0": lambda x, z, c: [op("add", x, full(x, 0.0))],
    "x - (-0) does too": lambda x, z, c: [op("subtract", x, full(x, -0.0))],
    "0 - 0 is not -0": lambda x, z, c: [op("subtract", full(x, 0.0), x)],
    "x * 0 may be NaN": lambda x, z, c: [op("multiply", x, full(x, 0.0))],
    "x - x may be NaN": lambda x, z, c: [op("subtract", x, x)],
    "x / 3 is not x * (1/3)": lambda x, z, c: [op("divide", x, full(x, 3.0))],
    "2^-k is subnormal": lambda x, z, c: [op("divide", x, full(x, 2.0**1023))],
    "b - a has another zero than -(a - b)": lambda x, z, c: [minus(op("subtract", x, z))],
    "the root of inf * inf": lambda x, z, c: [op("sqrt", op("square", x))],
    "float64 does not fit float32": lambda x, z, c: [
        cast(cast(x, "float32"), "float64"), cast(cast(x, "int64"), x.dtype.name)],
    "exp may round differently in vectors": lambda x, z, c: [op("exp", turned(x))],
    "two parts": lambda x, z, c: [op("place", x, x, shape=x.shape,
                                     regions=(tuple((0, n, 1) for n in x.shape),) * 2)],
    "a part backwards": lambda x, z, c: [
        op("place", row(x), shape=(x.shape[1],), regions=(((x.shape[1] - 1, x.shape[1], -1),),))],
    "sums in another order": lambda x, z, c: [
        op("contract", turned(x), full(turned(x), 1), spec="ij,ij->")],
    "a slice of two joined arrays": lambda x, z, c: [
        part(op("concatenate", x, z, axis=0), (0, x.shape[0] + 1, 1), (0, 2, 1))],
    "different views": lambda x, z, c: [op("add", turned(x), z)],
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT)
def test_what_would_change_a_number_is_left_alone(name: str) -> None:
    fired: Counter[str] = Counter()
    simplify(record(LEFT[name], arguments(np.float64)), fired)
    assert not fired


# Random graphs ----------------------------------------------------------------------------


SEEDS = range(400)  # among these graphs each rewrite acts


@cache
def exact_case(seed: int) -> tuple[Graph, list[np.ndarray], list[Any]]:
    """A graph whose bits must stay, its arguments, and what it computes."""
    graph, values = random_case(seed, smooth=False)
    return graph, values, interpreter.compile(graph)(values)


@pytest.mark.parametrize("one", [*PASSES, None], ids=lambda one: one.name if one else "all")
def test_passes_change_no_bit_of_random_graphs(one: Any) -> None:
    passes = PASSES if one is None else [one]
    for seed in SEEDS:
        graph, values, wanted = exact_case(seed)
        same_bits(interpreter.compile(optimise(graph, passes))(values), wanted)


def test_passes_of_smooth_graphs_agree_to_rounding() -> None:
    """NumPy adds in an order that depends on how an array lies in memory."""
    for seed in range(1000, 1100):
        graph, values = random_case(seed, smooth=True)
        single = any(node.type.dtype == np.float32 for node in graph.nodes)
        loose = 1e-4 if single else 1e-12
        for x, y in zip(
            interpreter.compile(optimise(graph))(values),
            interpreter.compile(graph)(values),
            strict=True,
        ):
            np.testing.assert_allclose(x, y, rtol=loose, atol=loose)


def test_random_graphs_use_the_whole_table() -> None:
    """All but what NumPy's functions never record: a view of the shape that was there."""
    fired: Counter[str] = Counter()
    for seed in SEEDS:
        simplify(optimise(exact_case(seed)[0], PASSES[:2]), fired)
    never = {one.name for one in algebra.REWRITES} - set(fired)
    assert never <= {"broadcast-same", "reshape-same", "cast-same"}, never


# Seeded faults ----------------------------------------------------------------------------


def is_turned(x: Traced, region: Any) -> bool:
    """Whether a slice only turns axes round, or does nothing."""
    return all(not isinstance(e, int) and e[1] == n for e, n in zip(region, x.shape, strict=True))


WRONG = {
    "(-a) - b -> b - a": Rewrite(
        "wrong", "subtract",
        lambda a, b: op("subtract", b, inner(a)) if made_by(a, "negative") else None, ""),
    "x * 1 -> x + 0": Rewrite(
        "wrong", "multiply",
        lambda a, b: op("add", a, full(a, 0.0)) if number(b) == 1 else None, ""),
    "x - x -> 0": Rewrite(
        "wrong", "subtract", lambda a, b: full(a, 0.0) if a.node is b.node else None, ""),
    "x[::-1] -> x": Rewrite(
        "wrong", "slice", lambda x, region: x if is_turned(x, region) else None, ""),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_rewrite_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algebra, "rewrite", Table([WRONG[fault], *algebra.REWRITES]))
    with pytest.raises(AssertionError):
        test_passes_change_no_bit_of_random_graphs(PASSES[-1])


@pytest.mark.parametrize(
    ("name", "replace"),
    [
        ("add-zero", lambda a, b: a),
        ("divide-power", lambda a, b: op("multiply", a, full(b, 0.25))),
        ("abs-sign", lambda x: x),
        ("sum-of-one", lambda x, axes: op("reshape", x, shape=(x.size,))),
        (
            "contract-transposed",
            lambda x, y, spec: (
                op("contract", inner(x), y, spec=spec) if made_by(x, "transpose") else None
            ),
        ),
    ],
)
def test_a_wrong_rewrite_fails_on_its_example(
    name: str, replace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in the place of the right one."""
    (one,) = (r for r in algebra.REWRITES if r.name == name)
    faulty = Rewrite(name, one.primitive, replace, one.example)
    rest = [r for r in algebra.REWRITES if r is not one]
    monkeypatch.setattr(algebra, "rewrite", Table([faulty, *rest]))
    with pytest.raises(AssertionError):
        check(name, EXAMPLES[name], arguments(np.float64))


# Size and speed ---------------------------------------------------------------------------


def operations(graph: Graph) -> int:
    return sum(node.primitive not in (INPUT, CONSTANT) for node in graph.nodes)


def test_constants_that_meet_are_computed_once() -> None:
    recording = Recording(eager=False)
    x = recording.input(ArrayType((3,), np.float64), name="x")
    two, half = full(x, 2.0), full(x, 0.5)
    y = op("multiply", x, op("multiply", op("square", two), half))
    text = str(simplify(recording.graph([x], [y], "f")))
    assert text.count("multiply") == 1
    assert "float64(2.0)" in text


def test_a_large_graph_is_optimised_quickly() -> None:
    """Five times the nodes take about five times as long: no work grows with the square."""
    import time

    def graph_of(count: int) -> Graph:
        recording = Recording(eager=False)
        x = recording.input(ArrayType((), np.float64), name="x")
        y = x
        for _ in range(count // 4):
            y = op("add", op("multiply", minus(op("sin", y)), full(y, 0.5)), x)
        return recording.graph([x], [y], "f")

    def seconds(graph: Graph) -> float:
        best = np.inf
        for _ in range(3):
            started = time.process_time()
            optimise(graph)
            best = min(best, time.process_time() - started)
        return best

    small, large = graph_of(1000), graph_of(5000)
    assert len(large.nodes) > 5000
    assert operations(optimise(large)) < operations(large)
    assert seconds(large) < 10 * seconds(small)
