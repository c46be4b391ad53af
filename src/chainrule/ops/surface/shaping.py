"""Functions that arrange: reshape, transpose, join, split, repeat, roll, pad, triangles."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.core.dispatch import implements, refuse_keywords
from chainrule.core.traced import Traced
from chainrule.core.types import broadcast_shapes, normalize_axes, normalize_axis, size_of
from chainrule.errors import ShapeError
from chainrule.ops import structure
from chainrule.ops.coerce import common_dtype, is_traced, lift, plain, recording_of, scalar_like
from chainrule.ops.linalg import diagonal_matrix, triangle
from chainrule.ops.reduce import flip as flip_axis

NOT_GIVEN: Any = np._NoValue  # type: ignore[attr-defined]


@implements(np.shape)
def shape(a: Any) -> Any:
    return a.shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    return a.ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> int:
    return (
        a.size if axis is None else size_of(tuple(a.shape[k] for k in normalize_axes(axis, a.ndim)))
    )


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return a


def _shape_of(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, Traced):
        raise ShapeError("a shape must be made of Python integers, not of traced values")
    try:
        return (operator.index(shape),)
    except TypeError:
        return tuple(operator.index(n) for n in shape)


@implements(np.reshape)
def reshape(
    a: Any, shape: Any = None, order: Any = "C", *, newshape: Any = None, copy: Any = None
) -> Any:
    wanted = _shape_of(newshape if shape is None else shape)
    if -1 in wanted:
        rest = -size_of(wanted)
        if wanted.count(-1) > 1 or rest == 0 or a.size % rest:
            raise ShapeError(f"cannot reshape {a.type} ({a.size} elements) to shape {wanted}")
        wanted = tuple(a.size // rest if n == -1 else n for n in wanted)
    if order == "F":
        return np.transpose(structure.reshape(np.transpose(a), wanted[::-1]))
    if order not in ("C", "A"):
        raise ShapeError(f"reshape order {order!r} is not supported; use 'C' or 'F'")
    return structure.reshape(a, wanted)


@implements(np.ravel)
def ravel(a: Any, order: Any = "C") -> Any:
    return reshape(a, (-1,) if a.size else (0,), order="C" if order == "K" else order)


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    if axes is None:
        axes = tuple(reversed(range(a.ndim)))
    axes = tuple(normalize_axis(k, a.ndim) for k in axes)
    return structure.transpose(a, axes)


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Any:
    one, two = normalize_axis(axis1, a.ndim), normalize_axis(axis2, a.ndim)
    axes = list(range(a.ndim))
    axes[one], axes[two] = two, one
    return structure.transpose(a, tuple(axes))


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    def listed(axis: Any) -> list[int]:
        given = axis if isinstance(axis, (tuple, list)) else (axis,)
        return [normalize_axis(k, a.ndim) for k in given]

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


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = normalize_axes(axis, a.ndim + count)
    rest = iter(a.shape)
    return structure.reshape(
        a, tuple(1 if k in axes else next(rest) for k in range(a.ndim + count))
    )


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    if axis is None:
        return structure.reshape(a, tuple(n for n in a.shape if n != 1))
    axes = normalize_axes(axis, a.ndim)
    if any(a.shape[k] != 1 for k in axes):
        raise ShapeError(f"cannot squeeze axis {axis} of {a.type}: its length is not 1")
    return structure.reshape(a, tuple(n for k, n in enumerate(a.shape) if k not in axes))


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return structure.broadcast_to(array, _shape_of(shape))


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


# joining ----------------------------------------------------------------------------------


def _joined(arrays: Any, dtype: Any) -> list[Any]:
    if isinstance(arrays, Traced):
        arrays = list(arrays)
    found = [plain(x) for x in arrays]
    recording = recording_of(found)
    common = np.dtype(dtype) if dtype is not None else common_dtype(*map(_strong, found))
    return [lift(x, recording, common) for x in found]


def _strong(x: Any) -> Any:
    return x if hasattr(x, "dtype") else np.asarray(x)


@implements(np.concatenate)
def concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    if out is not None:
        refuse_keywords("np.concatenate", {"out": out})
    found = _joined(arrays, dtype)
    if axis is None:
        found, axis = [np.ravel(x) for x in found], 0
    if any(x.ndim == 0 for x in found):
        raise ShapeError("zero-dimensional arrays cannot be concatenated; use np.stack")
    axis = normalize_axis(axis, found[0].ndim)
    if any(x.ndim != found[0].ndim for x in found):
        listed = ", ".join(str(x.type) for x in found)
        raise ShapeError(f"cannot concatenate {listed}: different numbers of dimensions")
    return found[0] if len(found) == 1 else structure.concatenate(*found, axis=axis)


@implements(np.stack)
def stack(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    if out is not None:
        refuse_keywords("np.stack", {"out": out})
    found = _joined(arrays, dtype)
    if len({x.shape for x in found}) > 1:
        listed = ", ".join(str(x.type) for x in found)
        raise ShapeError(f"np.stack takes arrays of one shape, not {listed}")
    axis = normalize_axis(axis, found[0].ndim + 1)
    return concatenate([expand_dims(x, axis) for x in found], axis)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return concatenate([atleast_2d(x) for x in _joined(tup, dtype)], 0)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    found = [atleast_1d(x) for x in _joined(tup, dtype)]
    return concatenate(found, 0 if found[0].ndim == 1 else 1)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return concatenate([atleast_3d(x) for x in _joined(tup, None)], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    found = _joined(tup, None)
    return concatenate([x if x.ndim >= 2 else np.reshape(x, (-1, 1)) for x in found], 1)


@implements(np.block)
def block(arrays: Any) -> Any:
    def depth(x: Any) -> int:
        return 1 + depth(x[0]) if isinstance(x, list) else 0

    def join(x: Any, axis: int) -> Any:
        if not isinstance(x, list):
            missing = total - np.ndim(x)
            return np.reshape(x, (1,) * missing + np.shape(x)) if missing > 0 else x
        return np.concatenate([join(item, axis + 1) for item in x], axis)

    total = depth(arrays)
    return join(arrays, -total)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    return concatenate([plain(arr), plain(values)], axis)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    order = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        order[0], order[1] = 1, 0
    shape_ = [1] * len(xi)
    for i, x in enumerate(xi):
        shape_[order[i]] = np.size(x)
    found = []
    for i, x in enumerate(xi):
        along = [1] * len(xi)
        along[order[i]] = np.size(x)
        found.append(np.reshape(x, along))
    return tuple(found) if sparse else tuple(np.broadcast_to(x, tuple(shape_)) for x in found)


# splitting --------------------------------------------------------------------------------


def _part(a: Traced, axis: int, start: int, stop: int) -> Any:
    return a[(slice(None),) * axis + (slice(start, stop),)]


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Any]:
    axis = normalize_axis(axis, ary.ndim)
    n = ary.shape[axis]
    try:
        count = operator.index(indices_or_sections)
    except TypeError:
        places = [operator.index(i) for i in indices_or_sections]
        bounds = [0, *places, n]
    else:
        each, more = divmod(n, count)
        bounds = [i * each + min(i, more) for i in range(count + 1)]
    return [_part(ary, axis, a, b) for a, b in itertools.pairwise(bounds)]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Any]:
    if isinstance(indices_or_sections, (int, np.integer)) and ary.shape[axis] % int(
        indices_or_sections
    ):
        raise ShapeError(
            f"cannot split axis {axis} of {ary.type} into {indices_or_sections} equal parts; "
            "np.array_split allows unequal ones"
        )
    return array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 2)


@implements(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    return tuple(np.moveaxis(x, axis, 0))


# repeating and rolling --------------------------------------------------------------------


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    reps = _shape_of(reps)
    ndim_ = max(A.ndim, len(reps))
    lengths = (1,) * (ndim_ - A.ndim) + A.shape
    times = (1,) * (ndim_ - len(reps)) + reps
    apart = tuple(n for pair in zip([1] * ndim_, lengths, strict=True) for n in pair)
    wide = tuple(n for pair in zip(times, lengths, strict=True) for n in pair)
    grown = structure.broadcast_to(structure.reshape(A, apart), wide)
    return structure.reshape(grown, tuple(t * n for t, n in zip(times, lengths, strict=True)))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis(axis, a.ndim)
    index = np.repeat(np.arange(a.shape[axis]), repeats)
    return np.take(a, index, axis)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    for k in normalize_axes(axis, m.ndim):
        m = flip_axis(m, k)
    return m


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    return flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Any:
    return flip(m, 0)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    a, b = (normalize_axis(x, m.ndim) for x in axes)
    turns = k % 4
    if turns == 0:
        return m
    if turns == 2:
        return flip(flip(m, a), b)
    return swapaxes(flip(m, b), a, b) if turns == 1 else flip(swapaxes(m, a, b), b)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return structure.reshape(roll(ravel(a), shift, 0), a.shape)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(shifts) == 1:
        shifts = tuple(shifts) * len(axes)
    for s, k in zip(shifts, axes, strict=True):
        k = normalize_axis(k, a.ndim)
        n = a.shape[k]
        s = operator.index(s) % n if n else 0
        if s:
            a = concatenate([_part(a, k, n - s, n), _part(a, k, 0, n - s)], k)
    return a


# padding ----------------------------------------------------------------------------------


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **keywords: Any) -> Any:
    """All modes that move entries (constant, edge, reflect, symmetric, wrap)."""
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - array.ndim, 0)) for k in range(array.ndim)]
        pad_width = [(w, w) if isinstance(w, int) else w for w in pad_width]
    widths = np.broadcast_to(np.asarray(pad_width, int), (array.ndim, 2)).tolist()
    values = keywords.pop("constant_values", 0) if mode == "constant" else 0
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        from chainrule.core.dispatch import unsupported

        unsupported(f"np.pad(mode={mode!r})")
    refuse_keywords("np.pad", keywords)
    if mode == "constant" and not isinstance(values, Traced):
        values = np.broadcast_to(np.asarray(values, array.dtype), (array.ndim, 2))
    for k, (before, after) in enumerate(widths):
        if before < 0 or after < 0:
            raise ShapeError("pad widths cannot be negative")
        if not before and not after:
            continue
        if mode == "constant":
            array = _pad_constant(array, k, (before, after), values)
        else:
            index = np.pad(np.arange(array.shape[k]), (before, after), mode)
            array = np.take(array, index, k)
    return array


def _pad_constant(array: Any, k: int, widths: Sequence[int], values: Any) -> Any:
    parts = [array]
    for side, width in enumerate(widths):
        edge = tuple(width if a == k else n for a, n in enumerate(array.shape))
        value = values if isinstance(values, Traced) else values[k, side]
        strip = structure.broadcast_to(lift(value, array.recording, array.dtype), edge)
        parts.insert(0, strip) if side == 0 else parts.append(strip)
    return concatenate([p for p in parts if p.shape[k]], k)


# diagonals and triangles ------------------------------------------------------------------


@implements(np.diagonal)
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
    return pad(square, ((max(-k, 0), max(k, 0)), (max(k, 0), max(-k, 0)))) if k else square


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return diag(ravel(v), k)


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    return triangle(_matrices(m), k)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    return triangle(_matrices(m), k, lower=False)


def _matrices(m: Any) -> Any:
    return m if m.ndim >= 2 else np.broadcast_to(m, (m.size, m.size))


# constants of the same shape --------------------------------------------------------------


def _like(value: Any) -> Any:
    def function(
        a: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> Any:
        return np.full(a.shape if shape is None else _shape_of(shape), value, dtype or a.dtype)

    return function


zeros_like = implements(np.zeros_like, np.empty_like)(_like(0))
ones_like = implements(np.ones_like)(_like(1))


@implements(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    wanted = np.shape(a) if shape is None else _shape_of(shape)
    dtype = np.dtype(dtype if dtype is not None else a.dtype)
    if not is_traced(fill_value):
        return np.full(wanted, fill_value, dtype)
    return structure.broadcast_to(lift(fill_value, fill_value.recording, dtype), wanted)


__all__ = ["scalar_like"]
