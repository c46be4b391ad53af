"""Repeating, turning, rolling and padding."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.core.dispatch import implements, refuse_keywords
from chainrule.core.traced import Traced
from chainrule.core.types import normalize_axes, normalize_axis
from chainrule.errors import ShapeError, UnsupportedError
from chainrule.ops import structure
from chainrule.ops.coerce import lift, plain
from chainrule.ops.reduce import flip as flip_axis
from chainrule.ops.surface.arguments import constant
from chainrule.ops.surface.joining import concatenate, part
from chainrule.ops.surface.shaping import ravel, shape_of, swapaxes

# repeating and rolling --------------------------------------------------------------------


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    reps = shape_of(reps)
    ndim_ = max(A.ndim, len(reps))
    lengths = (1,) * (ndim_ - A.ndim) + A.shape
    times = (1,) * (ndim_ - len(reps)) + reps
    whole = tuple(t * n for t, n in zip(times, lengths, strict=True))
    if not A.size:  # however often, a negative number of times too
        return structure.reshape(A, whole)
    apart = tuple(n for pair in zip([1] * ndim_, lengths, strict=True) for n in pair)
    wide = tuple(n for pair in zip(times, lengths, strict=True) for n in pair)
    grown = structure.broadcast_to(structure.reshape(A, apart), wide)
    return structure.reshape(grown, whole)


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    a = plain(a)
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axis(axis, a.ndim)
    times = constant(repeats, "np.repeat by a traced number, which decides about the shape,")
    index = np.repeat(np.arange(a.shape[axis]), times)
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
            a = concatenate([part(a, k, n - s, n), part(a, k, 0, n - s)], k)
    return a


# padding ----------------------------------------------------------------------------------


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **keywords: Any) -> Any:
    """All of NumPy's modes but "empty", functions, and reflect_type="odd"."""
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - array.ndim, 0)) for k in range(array.ndim)]
        pad_width = [(w, w) if isinstance(w, int) else w for w in pad_width]
    widths = np.broadcast_to(np.asarray(pad_width, int), (array.ndim, 2)).tolist()
    values = keywords.pop("constant_values", 0) if mode == "constant" else 0
    if mode in STATISTICS or mode == "linear_ramp":
        return _pad_computed(array, widths, mode, **keywords)
    if keywords.get("reflect_type") == "even":
        del keywords["reflect_type"]
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise UnsupportedError(f"mode={mode!r} is not recorded; write np.concatenate of the parts")
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


STATISTICS = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}


def _pad_computed(
    array: Any, widths: Any, mode: Any, end_values: Any = 0, stat_length: Any = None
) -> Any:
    """Ramps to ``end_values``, or a statistic of the ``stat_length`` entries at the edge."""
    shape = (array.ndim, 2)
    ends = np.broadcast_to(plain(end_values), shape)
    lengths = np.broadcast_to(np.asarray(2**62 if stat_length is None else stat_length), shape)
    for k, pair in enumerate(widths):
        n, strips = array.shape[k], [array]
        for side, width in enumerate(pair):
            reach = min(int(lengths[k, side]), n) if mode in STATISTICS else 1
            edge = part(array, k, n - reach, n) if side else part(array, k, 0, reach)
            if mode in STATISTICS:
                found = STATISTICS[mode](edge, axis=k, keepdims=True)
                if array.dtype.kind in "iu" and found.dtype.kind == "f":
                    found = np.rint(found)
                shape_ = tuple(width if a == k else m for a, m in enumerate(array.shape))
                strip = np.broadcast_to(found.astype(array.dtype), shape_)
            else:
                end = np.full(edge.shape, 1, array.dtype) * ends[k, side]
                strip = np.linspace(end, edge, width, False, dtype=array.dtype, axis=k)
                strip = np.squeeze(strip, k + 1)
                strip = np.flip(strip, k) if side else strip
            strips.insert(0, strip) if side == 0 else strips.append(strip)
        array = concatenate(strips, k)
    return array


def _pad_constant(array: Any, k: int, widths: Sequence[int], values: Any) -> Any:
    parts = [array]
    for side, width in enumerate(widths):
        edge = tuple(width if a == k else n for a, n in enumerate(array.shape))
        value = values if isinstance(values, Traced) else values[k, side]
        strip = structure.broadcast_to(lift(value, array.recording, array.dtype), edge)
        parts.insert(0, strip) if side == 0 else parts.append(strip)
    return concatenate([p for p in parts if p.shape[k]], k)
