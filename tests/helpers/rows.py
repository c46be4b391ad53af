"""Batches: what is checked of ``cr.vmap``, against a loop over the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.core.node import Primitive, Sample
from chainrule.core.traced import Traced
from chainrule.ops.coerce import lift
from tests.helpers import oracles

COUNT = 3
FACTORS = (1.0, 0.75, 1.125)  # keep signs, orders, ties and special points as they are
ROUNDED = {
    "contract", "reduce_sum", "reduce_prod", "convolve", "solve", "inv", "pinv", "cholesky", "svd",
    "cofactor", "det", "slogdet", "eigh", "expm", "qr",
}  # fmt: skip
"""Primitives that add up in an order of their own for an array with an axis more, or for several
matrices at once; all others give each row the bits that it has alone."""


def rows_of(x: np.ndarray) -> list[np.ndarray]:
    """Rows like ``x``, the first of them itself: of one that is drawn from, or read at, others."""
    if x.dtype.kind == "f":
        with np.errstate(all="ignore"):
            return [np.asarray(x * factor, x.dtype) for factor in FACTORS]
    if x.dtype == np.uint64:
        return [x + np.uint64(k) for k in range(COUNT)]
    return [np.roll(x.reshape(-1), k).reshape(x.shape) for k in range(COUNT)]


def splits(sample: Sample) -> Iterator[tuple[int | None, ...]]:
    """The axis of rows of each input: all first, all last, all second; one alone, all but one."""
    inputs = sample.inputs
    yield from {(0,) * len(inputs), (-1,) * len(inputs), tuple(min(x.ndim, 1) for x in inputs)}
    for i in range(len(inputs)) if len(inputs) > 1 else ():
        yield tuple(0 if k == i else None for k in range(len(inputs)))
        yield tuple(None if k == i else 0 for k in range(len(inputs)))


def function_of(primitive: Primitive, sample: Sample) -> Any:
    def apply(*xs: Any) -> Any:
        recording = next(x.recording for x in xs if type(x) is Traced)
        return primitive(*[lift(x, recording) for x in xs], **sample.attrs)

    return apply


def arguments(sample: Sample, axes: Any) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """The batched arguments, and the arguments of each row."""
    batched, rows = [], [[] for _ in range(COUNT)]
    for x, axis in zip(sample.inputs, axes, strict=True):
        each = rows_of(x) if axis is not None else [x] * COUNT
        batched.append(x if axis is None else np.stack(each, axis))
        for row, one in zip(rows, each, strict=True):
            row.append(one)
    return batched, rows


def assert_rows(primitive: Primitive, got: Any, rows: list[Any]) -> None:
    expected = np.stack(rows)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    if primitive.name not in ROUNDED:
        assert got.tobytes() == expected.tobytes(), f"{got} is not {expected}"
        return
    # a few roundings of the largest entry: sums in another order, and the conditioning of samples
    top = np.max(np.abs(expected), initial=0.0)
    loose = 50 * np.finfo(expected.dtype).eps * top
    np.testing.assert_allclose(got, expected, rtol=0, atol=loose)


def check_rows(primitive: Primitive, sample: Sample) -> None:
    """``vmap`` gives what a loop of NumPy's over the rows gives, however they are split."""
    for axes in splits(sample):
        batched, rows = arguments(sample, axes)
        with np.errstate(all="ignore"):
            expected = [primitive.forward(*row, **sample.attrs) for row in rows]
            got = cr.vmap(function_of(primitive, sample), axes)(*batched)
        assert_rows(primitive, got, expected)


def check_rows_derivatives(primitive: Primitive, sample: Sample) -> None:
    """``vmap`` of both derivatives, and the derivative of ``vmap``, are those of each row."""
    f, args = oracles.function_of(primitive, sample)
    each = list(zip(*map(rows_of, args), strict=True))

    def pulled(f: Any, *xs: Any) -> Any:
        y, pull = cr.vjp(f, *xs)
        return pull(np.ones_like(y))

    def both(*xs: Any) -> Any:
        return (*pulled(f, *xs), cr.jvp(f, xs, xs)[1])

    batch = [np.stack(x) for x in zip(*each, strict=True)]
    with np.errstate(all="ignore"):
        expected = [np.stack(x) for x in zip(*[both(*row) for row in each], strict=True)]
        found = [cr.vmap(both)(*batch), (*pulled(cr.vmap(f), *batch), expected[-1])]
    for got in found:
        for a, b in zip(got, expected, strict=True):
            top = np.max(np.abs(b[np.isfinite(b)]), initial=1e-3)
            loose = 1e-10 if b.dtype == np.float64 else 1e-4  # conditioning of a rule's own steps
            np.testing.assert_allclose(a, b, rtol=loose, atol=loose * top)


def check_rows_compiled(primitive: Primitive, samples: Any) -> None:
    """In one program, machine code or NumPy's, each row of a batch is what it is alone; samples
    take turns in how they are split."""
    for executor in ("native", "numpy"):
        chosen = []
        for number, sample in enumerate(samples):
            ways = sorted(splits(sample), key=str)
            chosen.append((sample, ways[number % len(ways)]))

        def program(everything: Any, chosen: Any = chosen) -> Any:
            found = []
            for (sample, axes), (batched, rows) in zip(chosen, everything, strict=True):
                f = function_of(primitive, sample)
                found.append((cr.vmap(f, axes)(*batched), [f(*row) for row in rows]))
            return found

        given = [arguments(sample, axes) for sample, axes in chosen]
        for got, expected in cr.jit(program, executor=executor)(given):
            assert_rows(primitive, got, expected)
