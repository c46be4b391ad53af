"""Random programs over NumPy's functions: plain NumPy says what the values are, a complex
step what the derivatives are; eager, compiled, printed and parsed must all agree.

Hypothesis draws shapes with broadcasting, empty axes and axes of length 1, shared
subexpressions, integers and bools among the values, and both precisions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.special
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.compile import PASSES
from tests.helpers import oracles

LARGEST = 100.0  # values past it are not kept: exp of exp says little about derivatives


@dataclass(frozen=True)
class Op:
    """``run(k, *xs)`` on arrays or traced values; ``k`` is a small number that chooses axes and
    the like. ``complex`` is the same for complex steps, where NumPy's own is not analytic."""

    name: str
    arity: int
    run: Callable[..., Any]
    complex: Callable[..., Any] | None = None


def axis(k: int, x: Any) -> int:
    """Axis k of x, sometimes counted from the end; some of NumPy's reductions take axis 0 of a
    single number, which is not recorded and not drawn."""
    if not np.ndim(x):
        raise ValueError("a single number has no axes")
    return k % np.ndim(x) - (np.ndim(x) if k % 3 == 0 else 0)


def real(x: Any) -> Any:
    return np.real(x) if np.iscomplexobj(x) else x


def complex_logaddexp(k: int, x: Any, y: Any) -> Any:
    top = np.maximum(real(x), real(y))
    return top + np.log(np.exp(x - top) + np.exp(y - top))


def complex_softmax(k: int, x: Any) -> Any:
    e = np.exp(x - np.max(real(x), axis=axis(k, x), keepdims=True))
    return e / np.sum(e, axis=axis(k, x), keepdims=True)


def complex_var(k: int, x: Any) -> Any:
    return np.mean((x - np.mean(x, axis(k, x), keepdims=True)) ** 2, axis(k, x))


def by_order(k: int, x: Any) -> Any:
    """x sorted by the real part, stably."""
    order = np.argsort(real(x), axis=axis(k, x), kind="stable")
    return np.take_along_axis(x, order, axis(k, x))


def square(x: Any) -> Any:
    if np.ndim(x) != 2 or np.shape(x)[0] != np.shape(x)[1]:
        raise ValueError("not square")  # NumPy 2.4 reads past the end of a (0, 3) array
    return x


def filled(x: Any) -> Any:
    if not np.size(x):
        raise ValueError("empty")  # NumPy checks no index where there is nothing to read
    return x


def square_of(x: Any) -> Any:
    """A well-conditioned square matrix made of x."""
    return 4 * np.eye(np.shape(x)[-1], dtype=x.dtype) + 0.3 * np.tanh(x)


SMOOTH = [
    Op("sin", 1, lambda k, x: np.sin(x)),
    Op("cos", 1, lambda k, x: np.cos(x * 0.5)),
    Op("tanh", 1, lambda k, x: np.tanh(x)),
    Op("arctan", 1, lambda k, x: np.arctan(x)),
    Op("exp", 1, lambda k, x: np.exp(x)),
    Op("expm1", 1, lambda k, x: np.expm1(x)),
    Op("log1p", 1, lambda k, x: np.log1p(x * x)),
    Op("sqrt", 1, lambda k, x: np.sqrt(1 + x**2)),
    Op("square", 1, lambda k, x: np.square(x)),
    Op("power", 1, lambda k, x: x ** (k + 1)),
    Op("reciprocal", 1, lambda k, x: 1 / (2.5 + np.sin(x))),
    Op("negative", 1, lambda k, x: -x),
    Op("sinc", 1, lambda k, x: np.sinc(x)),
    Op("expit", 1, lambda k, x: scipy.special.expit(x), lambda k, x: 1 / (1 + np.exp(-x))),
    Op("erf", 1, lambda k, x: scipy.special.erf(x)),
    Op("softmax", 1, lambda k, x: cr.nn.softmax(x, axis(k, x)), complex_softmax),
]
KINKED = [
    Op("abs", 1, lambda k, x: np.abs(x), lambda k, x: np.where(real(x) < 0, -x, x)),
    Op("floor", 1, lambda k, x: np.floor(x), lambda k, x: np.floor(real(x))),
    Op("sign", 1, lambda k, x: np.sign(x), lambda k, x: np.sign(real(x))),
    Op("round", 1, lambda k, x: np.round(x, k % 2), lambda k, x: np.round(real(x), k % 2)),
    Op(
        "clip", 1, lambda k, x: np.clip(x, -1.0, 1.5),
        lambda k, x: np.where(real(x) < -1, -1.0, np.where(real(x) > 1.5, 1.5, x)),
    ),
    Op("relu", 1, lambda k, x: np.where(x > 0, x, 0), lambda k, x: np.where(real(x) > 0, x, 0)),
    Op("sort", 1, lambda k, x: np.sort(x, axis(k, x)), by_order),
    Op(
        "order", 1,
        lambda k, x: np.take_along_axis(x, np.argsort(x, axis(k, x), kind="stable"), axis(k, x)),
        by_order,
    ),
    Op("copysign", 2, lambda k, x, y: np.copysign(x, y),
       lambda k, x, y: np.where(real(x) < 0, -x, x) * np.where(np.signbit(real(y)), -1, 1)),
]  # fmt: skip
BINARY = [
    Op("add", 2, lambda k, x, y: x + y),
    Op("subtract", 2, lambda k, x, y: x - y),
    Op("multiply", 2, lambda k, x, y: x * y),
    Op("divide", 2, lambda k, x, y: x / (1 + y * y)),
    Op("weak", 1, lambda k, x: 2 * x - 0.5 * k),
    Op("maximum", 2, lambda k, x, y: np.maximum(x, y),
       lambda k, x, y: np.where(real(x) >= real(y), x, y)),
    Op("minimum", 2, lambda k, x, y: np.minimum(x, y),
       lambda k, x, y: np.where(real(x) <= real(y), x, y)),
    Op("hypot", 2, lambda k, x, y: np.hypot(x, y + 3),
       lambda k, x, y: np.sqrt(x * x + (y + 3) * (y + 3))),
    Op("logaddexp", 2, lambda k, x, y: np.logaddexp(x, y), complex_logaddexp),
    Op("powers", 2, lambda k, x, y: (1 + x * x) ** np.sin(y)),
    Op("where", 2, lambda k, x, y: np.where(x > y, x, y * 2),
       lambda k, x, y: np.where(real(x) > real(y), x, y * 2)),
    Op("choose", 3, lambda k, x, y, z: np.where(np.isfinite(x) & (x > 0), y, z),
       lambda k, x, y, z: np.where(np.isfinite(real(x)) & (real(x) > 0), y, z)),
]  # fmt: skip
REDUCED = [
    Op("sum", 1, lambda k, x: np.sum(x, axis=axis(k, x), keepdims=k % 2 == 0)),
    Op("total", 1, lambda k, x: np.sum(x)),
    Op("mean", 1, lambda k, x: np.mean(x, axis=axis(k, x))),
    Op("var", 1, lambda k, x: np.var(x, axis=axis(k, x)), complex_var),
    Op("prod", 1, lambda k, x: np.prod(x, axis=axis(k, x))),
    Op("max", 1, lambda k, x: np.max(x, axis=axis(k, x)),
       lambda k, x: by_order(k, x).take(-1, axis(k, x))),
    Op("min", 1, lambda k, x: np.min(x, axis=axis(k, x)),
       lambda k, x: by_order(k, x).take(0, axis(k, x))),
    Op("cumsum", 1, lambda k, x: np.cumsum(x, axis=axis(k, x))),
    Op("cumprod", 1, lambda k, x: np.cumprod(x, axis=axis(k, x))),
    Op("argmax", 1, lambda k, x: np.argmax(x, axis=axis(k, x)),
       lambda k, x: np.argmax(real(x), axis=axis(k, x))),
    Op("any", 1, lambda k, x: np.any(x > 0, axis=axis(k, x)),
       lambda k, x: np.any(real(x) > 0, axis=axis(k, x))),
    Op("diff", 1, lambda k, x: np.diff(x, axis=axis(k, x))),
    Op("logsumexp", 1, lambda k, x: cr.nn.logsumexp(x, axis(k, x)),
       lambda k, x: np.log(np.sum(np.exp(x), axis=axis(k, x)))),
]  # fmt: skip
SHAPED = [
    Op("ravel", 1, lambda k, x: np.ravel(x)),
    Op("transpose", 1, lambda k, x: x.T),
    Op("expand", 1, lambda k, x: np.expand_dims(x, k % (np.ndim(x) + 1))),
    Op("squeeze", 1, lambda k, x: np.squeeze(x)),
    Op("new axis", 1, lambda k, x: x[..., None]),
    Op("flip", 1, lambda k, x: x[::-1]),
    Op("steps", 1, lambda k, x: x[..., k % 2 :: 2]),
    Op("first", 1, lambda k, x: x[0]),
    Op("last", 1, lambda k, x: x[..., -1]),
    Op("fancy", 1, lambda k, x: x[[0, -1, 0]]),
    Op("mask", 1, lambda k, x: x[np.arange(np.shape(x)[0]) != k]),
    Op("take", 1, lambda k, x: np.take(filled(x), np.array([[0, 0]]), axis=axis(k, x))),
    Op("roll", 1, lambda k, x: np.roll(x, k, axis=axis(k, x))),
    Op("concatenate", 2, lambda k, x, y: np.concatenate([x, y], axis=axis(k, x))),
    Op("stack", 2, lambda k, x, y: np.stack([x, y], axis=k % (np.ndim(x) + 1))),
    Op("tile", 1, lambda k, x: np.tile(x, 2)),
    Op("repeat", 1, lambda k, x: np.repeat(x, 2, axis=axis(k, x))),
    Op("pad", 1, lambda k, x: np.pad(x, 1)),
    Op("broadcast", 1, lambda k, x: np.broadcast_to(x, (2, *np.shape(x)))),
    Op("split", 1, lambda k, x: np.array_split(x, 2)[k % 2]),
    Op("triangle", 1, lambda k, x: np.tril(x, k - 2)),
    Op("diagonal", 1, lambda k, x: np.diagonal(x)),
    Op("astype", 1, lambda k, x: np.astype(x, np.float64), lambda k, x: x + 0.0),
]
PRODUCTS = [
    Op("matmul", 2, lambda k, x, y: x @ y),
    Op("matmul transposed", 2, lambda k, x, y: x @ y.T),
    Op("dot", 2, lambda k, x, y: np.dot(x, y)),
    Op("outer", 2, lambda k, x, y: np.outer(x, y)),
    Op("inner", 2, lambda k, x, y: np.inner(x, y)),
    Op("tensordot", 2, lambda k, x, y: np.tensordot(x, y, axes=min(k, 2))),
    Op("einsum", 2, lambda k, x, y: np.einsum("...i,...i->...", x, y)),
    Op("einsum diagonal", 1, lambda k, x: np.einsum("ii->i", square(x))),
    Op("convolve", 2, lambda k, x, y: np.convolve(x, y)),
    Op("inverse", 1, lambda k, x: np.linalg.inv(square_of(x))),
    Op("solve", 2, lambda k, x, y: np.linalg.solve(square_of(x), y)),
    Op("determinant", 1, lambda k, x: np.linalg.det(square_of(x))),
]
OPS = [*SMOOTH, *KINKED, *BINARY, *REDUCED, *SHAPED, *PRODUCTS]
TAKE_BOOLS = {op.name for op in (*REDUCED, *SHAPED)} | {"add", "multiply", "where", "choose"}
SHAPES = [(), (1,), (3,), (2, 3), (3, 2), (1, 3), (2, 1), (3, 3), (0,), (0, 3), (2, 2, 3)]
REFUSED = (ValueError, TypeError, IndexError, RuntimeWarning, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Program:
    """Steps (operation, k, operands by number); ``inputs`` come first in the numbering."""

    inputs: tuple[np.ndarray, ...]
    steps: tuple[tuple[Op, int, tuple[int, ...]], ...]
    outputs: tuple[int, ...]

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        values = list(inputs)
        for op, k, operands in self.steps:
            values.append(op.run(k, *(values[i] for i in operands)))
        return tuple(values[i] for i in self.outputs)

    def complex(self, *inputs: Any) -> tuple[Any, ...]:
        values = list(inputs)
        for op, k, operands in self.steps:
            values.append((op.complex or op.run)(k, *(values[i] for i in operands)))
        return tuple(values[i] for i in self.outputs)

    def __str__(self) -> str:
        lines = [f"v{i} = input {x.dtype}{x.shape}" for i, x in enumerate(self.inputs)]
        for n, (op, k, operands) in enumerate(self.steps, len(self.inputs)):
            lines.append(f"v{n} = {op.name}[{k}]({', '.join(f'v{i}' for i in operands)})")
        return "\n".join([*lines, f"return {self.outputs}"])


def attempt(op: Op, k: int, xs: Sequence[Any]) -> Any:
    """The value by plain NumPy, or None where the step means nothing or goes out of hand.

    Bools go to some operations only: NumPy computes the sine of a bool in float16.
    """
    if op.name not in TAKE_BOOLS and any(np.asarray(x).dtype == bool for x in xs):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            y = op.run(k, *xs)
        except REFUSED:
            return None
    with np.errstate(all="ignore"):
        tame = np.all(np.abs(np.asarray(y, float)) <= LARGEST)
    return y if tame and np.size(y) <= 200 and np.ndim(y) <= 4 else None


def build(seed: int, length: int, dtype: Any) -> Program:
    """A program of ``length`` steps; a shorter one of the same seed is its beginning, so that
    Hypothesis can shorten what fails."""
    rng = np.random.Generator(np.random.Philox(seed))
    shapes = [SHAPES[i] for i in rng.integers(0, len(SHAPES), rng.integers(1, 4))]
    inputs = tuple(np.asarray(rng.uniform(-2, 2, shape), dtype) for shape in shapes)
    values: list[Any] = list(inputs)
    steps: list[tuple[Op, int, tuple[int, ...]]] = []
    while len(steps) < length:
        op, k = OPS[rng.integers(0, len(OPS))], int(rng.integers(0, 4))
        operands = tuple(int(i) for i in rng.integers(0, len(values), op.arity))
        y = attempt(op, k, [values[i] for i in operands])
        if y is not None:
            values.append(y)
            steps.append((op, k, operands))
    outputs = {len(values) - 1, len(values) // 2}
    return Program(inputs, tuple(steps), tuple(sorted(outputs)))


def programs(dtype: Any) -> Any:
    return st.builds(build, st.integers(0, 2**32), st.integers(1, 12), st.just(dtype))


COMMON = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])


def rounding(dtype: Any) -> float:
    """What may be left of terms that cancel: the rounding of values up to ``LARGEST``."""
    return float(LARGEST * np.finfo(dtype).eps)


def assert_close(got: Any, expected: Any, tolerance: float) -> None:
    """Of the same type, and as close as ``tolerance`` of the largest entry, up to rounding."""
    assert (np.shape(got), got.dtype) == (np.shape(expected), expected.dtype), (
        f"{got.dtype}{np.shape(got)}, NumPy has {expected.dtype}{np.shape(expected)}"
    )
    if not expected.size:
        return
    size = np.max(np.abs(np.asarray(expected, float)))
    left = rounding(expected.dtype) if expected.dtype.kind == "f" else 0.0
    np.testing.assert_allclose(
        np.asarray(got, float), np.asarray(expected, float), rtol=0, atol=tolerance * size + left
    )


def floats(program: Program) -> Program:
    """The program with the outputs that have a derivative."""
    ys = program(*program.inputs)
    kept = tuple(i for i, y in zip(program.outputs, ys, strict=True) if y.dtype.kind == "f")
    return replace(program, outputs=kept)


def tangents_of(program: Program) -> tuple[np.ndarray, ...]:
    rng = np.random.Generator(np.random.Philox(1))
    return tuple(np.asarray(rng.uniform(-1, 1, x.shape), x.dtype) for x in program.inputs)


@given(programs(np.float64))
@COMMON
def test_values_and_derivatives(program: Program) -> None:
    note(str(program))
    expected = program(*program.inputs)
    got, _ = cr.jvp(program, program.inputs, tangents_of(program))
    for y, right in zip(got, expected, strict=True):
        assert_close(y, right, 1e-12)
    f, ts = floats(program), tangents_of(program)
    ys, forward = cr.jvp(f, program.inputs, ts)

    def along(h: Any) -> Any:
        moved = [x + h * t for x, t in zip(program.inputs, ts, strict=True)]
        return f.complex(*moved)

    for t, stepped in zip(forward, along(1e-20j), strict=True):
        assert_close(t, np.asarray(np.imag(stepped) * 1e20), 1e-9)
    check_transposed(f, program, ys, forward, ts, 1e-10)


def check_transposed(
    f: Any, program: Program, ys: Any, forward: Any, ts: Any, tolerance: float
) -> None:
    """<g, J t> = <Jᵀ g, t>, the cotangents of the type of their arguments."""
    gs = tuple(oracles.cotangent(y) for y in ys)
    backs = cr.vjp(f, *program.inputs)[1](gs)
    for b, x in zip(backs, program.inputs, strict=True):
        assert (b.shape, b.dtype) == (x.shape, x.dtype)
    there, back = oracles.dot(gs, forward), oracles.dot(backs, ts)
    size = oracles.dot([np.abs(g) for g in gs], [np.abs(t) for t in forward])
    size += oracles.dot([np.abs(b) for b in backs], [np.abs(t) for t in ts])
    left = max(rounding(y.dtype) for y in ys) if ys else 0.0
    assert abs(there - back) <= tolerance * size + left


@given(programs(np.float32))
@COMMON
def test_single_precision_is_kept(program: Program) -> None:
    note(str(program))
    f, ts = floats(program), tangents_of(program)
    ys, forward = cr.jvp(f, program.inputs, ts)
    for y, t, right in zip(ys, forward, f(*program.inputs), strict=True):
        assert_close(y, right, 1e-3)
        assert (t.shape, t.dtype) == (y.shape, y.dtype)
    check_transposed(f, program, ys, forward, ts, 1e-3)


@given(programs(np.float64))
@settings(COMMON, max_examples=200)
def test_second_derivatives_by_all_nestings_agree(program: Program) -> None:
    note(str(program))
    f, ts = floats(program), tangents_of(program)
    gs = tuple(oracles.cotangent(y) for y in f(*program.inputs))
    everything = tuple(range(len(ts)))

    def total(parts: Any, others: Any) -> Any:
        return sum((np.sum(a * b) for a, b in zip(parts, others, strict=True)), 0.0)

    def first_forward(*xs: Any) -> Any:
        return total(cr.jvp(f, xs, ts)[1], gs) + 0.0 * np.sum(xs[0])

    def first_reverse(*xs: Any) -> Any:
        return total(cr.vjp(f, *xs)[1](gs), ts) + 0.0 * np.sum(xs[0])

    found = []
    for first in (first_forward, first_reverse):
        found.append(float(cr.jvp(first, program.inputs, ts)[1]))
        found.append(oracles.dot(cr.grad(first, everything)(*program.inputs), ts))
    scale = max(map(abs, found)) + 1e-3
    assert np.ptp(found) <= 1e-8 * scale, found


@given(st.sampled_from([np.float64, np.float32]).flatmap(programs))
@COMMON
def test_graphs_print_parse_optimise_and_run_alike(program: Program) -> None:
    note(str(program))
    arguments = list(program.inputs)
    eager = cr.vjp(program, *arguments)[0]
    graph = cr.trace(program)(*arguments)
    oracles.assert_same(oracles.interpreter.compile(graph)(arguments), eager)
    assert_all_close(cr.jit(program)(*arguments), eager)
    f = floats(program)
    gs = tuple(oracles.cotangent(y) for y in f(*arguments))

    def pulled(gs: Any, *xs: Any) -> Any:
        return cr.vjp(f, *xs)[1](gs)

    backward = cr.trace(pulled)(gs, *arguments)
    for one, inputs in ((graph, arguments), (backward, [*gs, *arguments])):
        oracles.check_round_trip(one, inputs)
        for step in PASSES:
            oracles.check_pass(step, one, inputs)
    assert_all_close(cr.jit(pulled)(gs, *arguments), cr.vjp(f, *arguments)[1](gs))


def assert_all_close(got: Any, expected: Any) -> None:
    """Compiled and eager agree up to rounding: stable forms may replace what was typed."""
    for a, b in zip(got, expected, strict=True):
        assert_close(a, b, 1e-12 if np.asarray(b).dtype != np.float32 else 1e-4)


def test_every_operation_takes_part() -> None:
    """An operation that no shape suits would never be drawn: each runs on some of them."""
    rng = np.random.Generator(np.random.Philox(0))
    pool = [rng.uniform(-2, 2, shape) for shape in SHAPES]
    for op in OPS:
        tries = [[x] * op.arity for x in pool]
        done = [attempt(op, k, xs) for xs in tries for k in range(4)]
        assert sum(y is not None for y in done) >= 4, op.name
