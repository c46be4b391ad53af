"""The methods of NumPy's ufuncs: reduce, accumulate, reduceat and outer.

Ufuncs with a reduction of their own (add, multiply, maximum, ...) use it. Any other of two
arguments is folded along the axis, one step per entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.dispatch import METHODS, call_ufunc, refuse_keywords
from chainrule.core.types import normalize_axis
from chainrule.errors import ShapeError
from chainrule.ops.coerce import lift, plain, recording_of
from chainrule.ops.surface.arguments import constant, given
from chainrule.ops.surface.reductions import all_, any_, cumprod, cumsum, max_, min_, prod, sum_


def _logsumexp(a: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    from chainrule.ops.stable import logsumexp

    return logsumexp(a, axis=axis, keepdims=keepdims)


REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: sum_,
    np.multiply: prod,
    np.maximum: max_,
    np.minimum: min_,
    np.logical_and: all_,
    np.logical_or: any_,
    np.logaddexp: _logsumexp,
}
ACCUMULATIONS: dict[Any, Callable[..., Any]] = {np.add: cumsum, np.multiply: cumprod}


def _slices(a: Any, axis: int) -> list[Any]:
    head = (slice(None),) * axis
    return [a[(*head, k)] for k in range(a.shape[axis])]


def reduce(
    ufunc: Any,
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    optional = {"dtype": dtype, "initial": initial, "where": None if where is True else where}
    optional = {k: v for k, v in optional.items() if given(v)}
    known = REDUCTIONS.get(ufunc)
    if known is not None:
        return known(a, axis=axis, keepdims=keepdims, **optional)
    refuse_keywords(f"np.{ufunc.__name__}.reduce", optional)
    axis = normalize_axis(axis, a.ndim)
    if not a.shape[axis]:
        raise ShapeError(f"nothing to reduce: {a.type} along axis {axis}")
    first, *rest = _slices(a, axis)
    for part in rest:
        first = call_ufunc(ufunc, first, part)
    return np.expand_dims(first, axis) if keepdims else first


def accumulate(ufunc: Any, a: Any, axis: Any = 0, dtype: Any = None) -> Any:
    known = ACCUMULATIONS.get(ufunc)
    if known is not None:
        return known(a, axis=axis, dtype=dtype)
    refuse_keywords(f"np.{ufunc.__name__}.accumulate", {} if dtype is None else {"dtype": dtype})
    axis = normalize_axis(axis, a.ndim)
    if not a.shape[axis]:
        return a
    parts = _slices(a, axis)
    found = parts[:1]
    for part in parts[1:]:
        found.append(call_ufunc(ufunc, found[-1], part))
    return np.stack(found, axis)


def reduceat(ufunc: Any, a: Any, indices: Any, axis: Any = 0, dtype: Any = None) -> Any:
    """Each stretch between an index and the next; one entry where the next is not larger."""
    starts = np.asarray(constant(indices, "the indices of reduceat")).tolist()
    axis = normalize_axis(axis, a.ndim)
    n, head = a.shape[axis], (slice(None),) * axis
    if not starts or not all(0 <= k < n for k in starts):
        raise ShapeError(f"the indices of reduceat must be between 0 and {n - 1}: {starts}")
    found = []
    for start, stop in zip(starts, [*starts[1:], n], strict=True):
        part = a[(*head, slice(start, max(stop, start + 1)))]
        found.append(reduce(ufunc, part, axis, dtype))
    return np.stack(found, axis)


def outer(ufunc: Any, a: Any, b: Any, **keywords: Any) -> Any:
    refuse_keywords(f"np.{ufunc.__name__}.outer", keywords)
    a, b = plain(a), plain(b)
    recording = recording_of((a, b))
    a, b = lift(a, recording), lift(b, recording)
    return call_ufunc(ufunc, np.reshape(a, a.shape + (1,) * b.ndim), b)


METHODS.update(reduce=reduce, accumulate=accumulate, reduceat=reduceat, outer=outer)
