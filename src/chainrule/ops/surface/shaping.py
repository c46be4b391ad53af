"""Functions that arrange: reshape, transpose, join, split, repeat, roll, pad, triangles."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.core.dispatch import implements, refuse_keywords
from chainrule.core.traced import Traced
from chainrule.core.types import (
    broadcast_shapes,
    normalize_axes,
    normalize_axis,
    size_of,
)
from chainrule.errors import ShapeError, UnsupportedError
from chainrule.ops import structure
from chainrule.ops.coerce import plain
from chainrule.ops.linalg import diagonal_matrix, triangle


@implements(np.shape, checks=True)
def shape(a: Any) -> Any:
    return a.shape


@implements(np.ndim, checks=True)
def ndim(a: Any) -> int:
    return a.ndim


@implements(np.size, checks=True)
def size(a: Any, axis: Any = None) -> int:
    return (
        a.size if axis is None else size_of(tuple(a.shape[k] for k in normalize_axes(axis, a.ndim)))
    )


def shape_of(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, Traced):
        raise ShapeError("a shape must be made of Python integers, not of traced values")
    try:
        return (operator.index(shape),)
    except TypeError:
        return tuple(operator.index(n) for n in shape)


@implements(np.reshape, checks=True)
def reshape(
    a: Any, shape: Any = None, order: Any = "C", *, newshape: Any = None, copy: Any = None
) -> Any:
    wanted = shape_of(newshape if shape is None else shape)
    if -1 in wanted:
        rest = -size_of(wanted)
        if wanted.count(-1) > 1 or rest == 0 or a.size % rest:
            raise ShapeError(f"cannot reshape {a.type} ({a.size} elements) to shape {wanted}")
        wanted = tuple(a.size // rest if n == -1 else n for n in wanted)
    if order not in ("C", "F"):
        raise UnsupportedError(
            f"order={order!r} asks how the numbers lie in memory, which a traced value does not "
            "know; use 'C' (the last index runs fastest) or 'F' (the first)"
        )
    if order == "F":
        turned: Any = np.transpose(a)
        return np.transpose(structure.reshape(turned, wanted[::-1]))
    return structure.reshape(a, wanted)


@implements(np.ravel, checks=True)
def ravel(a: Any, order: Any = "C") -> Any:
    return reshape(a, (-1,) if a.size else (0,), order)


@implements(np.transpose, checks=True)
def transpose(a: Any, axes: Any = None) -> Any:
    if axes is None:
        axes = tuple(reversed(range(a.ndim)))
    axes = tuple(normalize_axis(k, a.ndim) for k in axes)
    return structure.transpose(a, axes)


@implements(np.matrix_transpose, np.linalg.matrix_transpose, checks=True)
def matrix_transpose(x: Any, /) -> Any:
    return swapaxes(x, -1, -2)


@implements(np.swapaxes, checks=True)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Any:
    one, two = normalize_axis(axis1, a.ndim), normalize_axis(axis2, a.ndim)
    axes = list(range(a.ndim))
    axes[one], axes[two] = two, one
    return structure.transpose(a, tuple(axes))


@implements(np.moveaxis, checks=True)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    def listed(axis: Any) -> list[int]:
        return [normalize_axis(k, a.ndim) for k in np.atleast_1d(axis)]

    start, end = listed(source), listed(destination)
    if len(start) != len(end) or len(set(start)) != len(start) or len(set(end)) != len(end):
        raise ShapeError(f"moveaxis: source {source} and destination {destination} don't pair up")
    axes = [k for k in range(a.ndim) if k not in start]
    for to, axis in sorted(zip(end, start, strict=True)):
        axes.insert(to, axis)
    return structure.transpose(a, tuple(axes))


@implements(np.rollaxis)
def rollaxis(a: Any, axis: Any, start: int = 0) -> Any:
    axis = normalize_axis(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.expand_dims, checks=True)
def expand_dims(a: Any, axis: Any) -> Any:
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = normalize_axes(axis, a.ndim + count)
    rest = iter(a.shape)
    return structure.reshape(
        a, tuple(1 if k in axes else next(rest) for k in range(a.ndim + count))
    )


@implements(np.squeeze, checks=True)
def squeeze(a: Any, axis: Any = None) -> Any:
    if axis is None:
        return structure.reshape(a, tuple(n for n in a.shape if n != 1))
    axes = normalize_axes(axis, a.ndim)
    if any(a.shape[k] != 1 for k in axes):
        raise ShapeError(f"cannot squeeze axis {axis} of {a.type}: its length is not 1")
    return structure.reshape(a, tuple(n for k, n in enumerate(a.shape) if k not in axes))


@implements(np.broadcast_to, checks=True)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    wanted = shape_of(shape)
    if min(wanted, default=0) < 0:
        raise ShapeError(f"cannot broadcast to {wanted}: lengths are not negative")
    return structure.broadcast_to(array, wanted)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    found = [plain(x) for x in args]
    common = broadcast_shapes(*[np.shape(x) for x in found])
    return tuple(np.broadcast_to(x, common) for x in found)


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    found = [x if np.ndim(x) >= 1 else np.reshape(x, (1,)) for x in arys]
    return found[0] if len(found) == 1 else tuple(found)


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    found = [x if np.ndim(x) >= 2 else np.reshape(x, (1, -1)) for x in arys]
    return found[0] if len(found) == 1 else tuple(found)


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    def grow(x: Any) -> Any:
        extra = {0: (1, 1, 1), 1: (1, -1, 1), 2: (*np.shape(x), 1)}
        return np.reshape(x, extra[np.ndim(x)]) if np.ndim(x) < 3 else x

    found = [grow(x) for x in arys]
    return found[0] if len(found) == 1 else tuple(found)


# diagonals and triangles ------------------------------------------------------------------


@implements(np.diagonal, checks=True)
def diagonal(a: Any, offset: int = 0, axis1: Any = 0, axis2: Any = 1) -> Any:
    one, two = normalize_axis(axis1, a.ndim), normalize_axis(axis2, a.ndim)
    if one == two:
        raise ShapeError("diagonal needs two different axes")
    rows, columns = a.shape[one], a.shape[two]
    n = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    moved = moveaxis(a, (one, two), (-2, -1))
    i = np.arange(n)
    return moved[..., i - min(offset, 0), i + max(offset, 0)]


@implements(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return diagonal(x, offset, -2, -1)


@implements(np.trace)
def trace(
    a: Any, offset: int = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None
) -> Any:
    if out is not None:
        refuse_keywords("np.trace", {"out": out})
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return trace(x, offset, -2, -1, dtype)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ShapeError(f"np.diag takes a vector or a matrix, not {v.type}")
    square = diagonal_matrix(v)
    return np.pad(square, ((max(-k, 0), max(k, 0)), (max(k, 0), max(-k, 0)))) if k else square


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return diag(ravel(v), k)


@implements(np.tril, checks=True)
def tril(m: Any, k: int = 0) -> Any:
    return triangle(_matrices(m), k)


@implements(np.triu, checks=True)
def triu(m: Any, k: int = 0) -> Any:
    return triangle(_matrices(m), k, lower=False)


def _matrices(m: Any) -> Any:
    if m.ndim == 0:
        raise ShapeError("a single number has no triangle")
    return m if m.ndim >= 2 else np.broadcast_to(m, (m.size, m.size))
