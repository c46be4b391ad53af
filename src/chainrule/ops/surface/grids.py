"""Ranges between traced ends, index grids, windows, polynomials, and functions applied by axis."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from chainrule.core.dispatch import implements, refuse_mutation
from chainrule.core.traced import Traced
from chainrule.core.types import normalize_axis, size_of
from chainrule.errors import ShapeError, UnsupportedError
from chainrule.ops import structure
from chainrule.ops.coerce import common_float, lift, plain, recording_of
from chainrule.ops.surface.arguments import constant, known_if_any, require
from chainrule.ops.surface.shaping import shape_of

# ranges -----------------------------------------------------------------------------------


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    start, stop = plain(start), plain(stop)
    recording, found = recording_of((start, stop)), common_float(start, stop)
    start, stop = lift(start, recording, found), lift(stop, recording, found)
    number = operator.index(num)
    if number < 0:
        raise ShapeError(f"number of samples {number} must not be negative")
    parts = number - 1 if endpoint else number
    delta = stop - start
    place = np.arange(number).astype(found).reshape((number,) + (1,) * delta.ndim)
    # as NumPy, so that integers are cut at the same places: where a step is 0, all go by shares
    step = delta / max(parts, 1)
    shares = np.any(np.equal(step, 0))
    y = np.where(shares, place / max(parts, 1) * delta, place * step) + start
    if endpoint and number > 1:  # the last is exactly the end
        y = np.where(np.reshape(np.arange(number) == number - 1, place.shape), stop, y)
    y = y if axis == 0 else np.moveaxis(y, 0, axis)
    y = np.astype(np.floor(y) if np.dtype(dtype).kind in "iu" else y, dtype) if dtype else y
    return (y, step if parts > 0 else recording.constant(np.nan, np.dtype(float))) if retstep else y


@implements(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    if np.ndim(base):
        start, stop, base = np.broadcast_arrays(start, stop, base)
    y = np.linspace(start, stop, num, endpoint, axis=axis)
    base = np.expand_dims(base, axis) if np.ndim(base) else base
    found = np.power(base, y)
    return found if dtype is None else np.astype(found, dtype)


@implements(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """From start to stop by equal factors; both of one sign."""
    start, stop = (np.multiply(plain(x), np.float64(1)) for x in (start, stop))
    start, stop = np.broadcast_arrays(start, stop)
    recording = recording_of((start, stop))
    start, stop = lift(start, recording), lift(stop, recording)
    start = require(
        start, (start != 0) & (stop != 0), "np.geomspace", "a geometric sequence has no zero"
    )
    sign = np.sign(start)
    first, last = np.log10(start * sign), np.log10(stop * sign)
    found = 10.0 ** np.linspace(first, last, num, endpoint)
    place = np.reshape(np.arange(num), (num,) + (1,) * start.ndim)
    found = np.where(place == 0, start * sign, found)
    if endpoint and num > 1:
        found = np.where(place == num - 1, stop * sign, found)
    found = np.moveaxis(found * sign, 0, axis)
    return found if dtype is None else np.astype(found, dtype)


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    if x.ndim != 1:
        raise ShapeError(f"np.vander takes a vector, not {x.type}")
    count = x.shape[0] if N is None else operator.index(N)
    x = np.astype(x, np.promote_types(x.dtype, int))
    powers = range(count) if increasing else range(count - 1, -1, -1)
    columns = [x**k for k in powers]
    return np.stack(columns, axis=1) if columns else np.zeros((x.shape[0], 0), x.dtype)


# places -----------------------------------------------------------------------------------


@implements(np.tril_indices_from)
def tril_indices_from(arr: Any, k: int = 0) -> Any:
    return np.tril_indices(arr.shape[-2], k, arr.shape[-1])


@implements(np.triu_indices_from)
def triu_indices_from(arr: Any, k: int = 0) -> Any:
    return np.triu_indices(arr.shape[-2], k, arr.shape[-1])


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    if arr.ndim < 2 or len(set(arr.shape)) > 1:
        raise ShapeError(f"np.diag_indices_from takes arrays of equal lengths, not {arr.type}")
    return np.diag_indices(arr.shape[0], arr.ndim)


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    shape = shape_of(shape)
    if not shape:
        raise UnsupportedError("an array of shape () has no places to name")
    found = []
    indices = indices.astype(np.int64)
    inside = (indices >= 0) & (indices < size_of(shape))
    indices = require(
        indices, inside, "np.unravel_index", f"an index is out of bounds for shape {shape}"
    )
    for n in reversed(shape) if order == "C" else shape:
        indices, rest = np.divmod(indices, n)
        found.append(rest)
    return tuple(reversed(found)) if order == "C" else tuple(found)


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Any:
    modes = [mode] * len(dims) if isinstance(mode, str) else list(mode)
    pairs = list(zip(multi_index, dims, modes, strict=True))
    total: Any = 0
    for index, n, how in pairs if order == "C" else reversed(pairs):
        if how == "raise" and isinstance(index, Traced):
            holds = np.logical_and(np.greater_equal(index, 0), np.less(index, n))
            name = "np.ravel_multi_index"
            index = require(
                index, holds, name, f"invalid entry in coordinates array, not below {n}"
            )
        elif how == "wrap":
            index = np.remainder(index, n)
        elif how == "clip":
            index = np.clip(index, 0, n - 1)
        total = total * n + index
    return total


@implements(np.ix_)
def ix_(*args: Any) -> Any:
    found = []
    for k, x in enumerate(args):
        x = plain(x)
        if x.dtype.kind == "b":
            (x,) = np.nonzero(x)
        found.append(np.reshape(x, (1,) * k + (-1,) + (1,) * (len(args) - k - 1)))
    return tuple(found)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    if writeable:
        refuse_mutation(
            "np.lib.stride_tricks.sliding_window_view(writeable=True)",
            "Write into the array itself",
        )
    lengths = window_shape if isinstance(window_shape, (tuple, list)) else (window_shape,)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(lengths) != len(axes):
        raise ShapeError(f"{len(lengths)} window lengths for {len(axes)} axes of {x.type}")
    for length, k in zip(lengths, axes, strict=True):
        k = normalize_axis(k, x.ndim)
        starts = x.shape[k] - length + 1
        if starts < 1:
            raise ShapeError(f"a window of {length} is longer than axis {k} of {x.type}")
        index = np.arange(starts)[:, None] + np.arange(length)
        x = np.moveaxis(x[(slice(None),) * k + (index,)], k + 1, -1)
    return x


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    shape = (new_shape,) if isinstance(new_shape, int) else tuple(new_shape)
    if not a.size:
        return np.zeros(shape, a.dtype)
    return np.reshape(np.ravel(a)[np.arange(size_of(shape)) % a.size], shape)


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """The sum of the weights that fall on each whole number; the numbers must be known."""
    places = np.asarray(constant(x, "np.bincount, whose result's length"))
    if weights is None:
        return np.bincount(places, minlength=minlength)
    if places.ndim != 1 or np.shape(weights) != places.shape:
        raise ShapeError(f"np.bincount: places of shape {places.shape}, weights {weights.type}")
    length = max(int(places.max(initial=-1)) + 1, operator.index(minlength))
    weights = np.astype(weights, np.float64)
    index = lift(places.astype(np.int64), weights.recording)
    return structure.scatter_add(weights, index, shape=(length,), axes=(0,))


# signals and polynomials ------------------------------------------------------------------


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """Whole periods are added so that no step is larger than half of one."""
    axis = normalize_axis(axis, p.ndim)
    step = np.diff(p, axis=axis)
    half = period / 2
    wrapped = np.mod(step + half, period) - half
    wrapped = np.where((wrapped == -half) & (step > 0), half, wrapped)
    jump = half if discont is None else max(discont, half)
    correction = np.where(np.abs(step) < jump, np.zeros((), step.dtype), wrapped - step)
    head = (slice(None),) * axis
    shifted = p[(*head, slice(1, None))] + np.cumsum(correction, axis=axis)
    return np.concatenate([p[(*head, slice(None, 1))], shifted], axis=axis)


def _polynomial_sum(a: Any, b: Any, join: Any) -> Any:
    a, b = np.atleast_1d(plain(a)), np.atleast_1d(plain(b))
    n = max(len(a), len(b))
    a, b = (np.concatenate([np.zeros(n - len(p), p.dtype), p]) for p in (a, b))
    return join(a, b)


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    return _polynomial_sum(a1, a2, np.add)


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    return _polynomial_sum(a1, a2, np.subtract)


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(*(_without_leading_zeros(plain(a)) for a in (a1, a2)))


def _without_leading_zeros(a: Any) -> Any:
    a = np.atleast_1d(a)
    known = known_if_any(a)
    if known is None:
        hint = "leading zeros are dropped, which decides about the shape: use np.convolve"
        return require(a, (a[0] != 0) | (a.size == 1), "np.polymul", hint)
    places = np.flatnonzero(known)
    return a[places[0] :] if places.size else a[-1:]


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    constants = np.zeros(m) if k is None else np.broadcast_to(k, (m,))
    p = plain(p)
    for j in range(m):
        raised = np.divide(p, np.arange(len(p), 0, -1))
        p = np.concatenate([raised, np.reshape(constants[j], (1,))])
    return p


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with these roots."""
    if seq_of_zeros.ndim != 1:
        raise UnsupportedError(
            "of a matrix NumPy takes the eigenvalues, which are complex in general and not "
            "recorded; write np.poly(np.linalg.eigvalsh(a)) for a symmetric one"
        )
    if seq_of_zeros.dtype.kind != "f":
        seq_of_zeros = np.astype(seq_of_zeros, np.float64)
    found: Any = np.ones(1, seq_of_zeros.dtype)
    for k in range(seq_of_zeros.shape[0]):
        root = seq_of_zeros[k]
        found = np.convolve(found, np.stack([np.ones((), root.dtype), -root]))
    return found


# functions by axis ------------------------------------------------------------------------


@implements(np.apply_along_axis, checks=True)
def apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """The function is recorded once for each line of the array."""
    axis = normalize_axis(axis, arr.ndim)
    lines = np.moveaxis(arr, axis, -1)
    outer = lines.shape[:-1]
    found = [func1d(lines[k], *args, **kwargs) for k in itertools.product(*map(range, outer))]
    if not found:
        raise ShapeError(f"np.apply_along_axis: no lines along axis {axis} of {arr.type}")
    inner = np.shape(found[0])
    joined = np.reshape(np.stack(found), outer + inner)
    places = range(len(outer), len(outer) + len(inner))
    return np.moveaxis(joined, list(places), [axis + k for k in range(len(inner))])


@implements(np.apply_over_axes, checks=True)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    for axis in np.atleast_1d(axes).tolist():
        found = func(a, axis)
        a = found if np.ndim(found) == np.ndim(a) else np.expand_dims(found, axis)
    return a


@implements(np.array2string, np.array_repr, np.array_str, checks=True)
def text(a: Any, *args: Any, **keywords: Any) -> str:
    return repr(a)
