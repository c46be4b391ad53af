"""Random programs over NumPy's functions, with shapes that broadcast, empty axes and axes of
length 1, shared subexpressions, integers and bools among the values, and both precisions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special

import chainrule as cr

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
