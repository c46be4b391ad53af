"""NumPy's ufuncs called with keywords, and their methods: reduce, accumulate, reduceat and outer.

NumPy has been asked and takes the call when it comes here (``standins.py``). Ufuncs with a
reduction of their own (add, multiply, maximum, ...) use it; any other of two arguments is folded
along the axis, one step per entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.dispatch import METHODS, UFUNCS, call_ufunc, refuse_keywords
from chainrule.core.traced import Traced
from chainrule.core.types import normalize_axes, normalize_axis
from chainrule.ops.coerce import lift, loop_dtypes, plain, recording_of
from chainrule.ops.surface.arguments import NOT_GIVEN, constant, given, refuse, selects
from chainrule.ops.surface.products import UFUNC_KEYWORDS
from chainrule.ops.surface.reductions import (
    all_,
    any_,
    cumprod,
    cumsum,
    keep,
    max_,
    min_,
    prod,
    sum_,
    together,
)


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
LOGICAL = {np.logical_and, np.logical_or, np.logical_xor}


def call(ufunc: Any, *inputs: Any, **keywords: Any) -> Any:
    """``dtype=`` is done by casting; how NumPy lays out memory and checks casts changes nothing."""
    for name in ("casting", "order", "subok"):
        keywords.pop(name, None)
    if keywords.get("where") is True:
        del keywords["where"]
    dtype = keywords.pop("dtype", None)
    if dtype is not None:
        inputs = tuple(_cast(x, dtype) for x in inputs)
    keywords = {k: v for k, v in keywords.items() if given(v) and v is not False}
    if not keywords:
        return call_ufunc(ufunc, *inputs)
    taken = UFUNC_KEYWORDS.get(ufunc, set())
    refuse_keywords(f"np.{ufunc.__name__}", {k: v for k, v in keywords.items() if k not in taken})
    return UFUNCS[ufunc](*inputs, **keywords)


def _cast(x: Any, dtype: Any) -> Any:
    return x.astype(dtype) if hasattr(x, "dtype") else np.dtype(dtype).type(x)


def _slices(a: Any, axis: int) -> list[Any]:
    head = (slice(None),) * axis
    return [a[(*head, k)] for k in range(a.shape[axis])]


def _prepared(ufunc: Any, a: Any, dtype: Any) -> Any:
    """``a`` in the dtype in which NumPy runs the ufunc over it."""
    a = lift(plain(a), recording_of((a,))) if not isinstance(a, Traced) else a
    if ufunc in LOGICAL:
        return a if a.dtype.kind == "b" else a != 0
    if dtype is not None:
        return a.astype(dtype)
    return a.astype(loop_dtypes(ufunc, (a.dtype, a.dtype))[-1])


def reduce(
    ufunc: Any,
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = NOT_GIVEN,
    where: Any = True,
) -> Any:
    refuse(f"np.{ufunc.__name__}.reduce", out=out)
    if isinstance(initial, Traced) or not isinstance(a, Traced):
        a = lift(plain(a), recording_of((a, initial, where)))
    if ufunc is not np.add and ufunc is not np.multiply:
        a, dtype = _prepared(ufunc, a, dtype), None
    known = REDUCTIONS.get(ufunc)
    optional = {"dtype": dtype, "initial": initial, "where": None if where is True else where}
    optional = {k: v for k, v in optional.items() if given(v)}
    axes = normalize_axes(axis, a.ndim)
    whole = not optional or not (ufunc in LOGICAL or ufunc is np.logaddexp)
    if ufunc is np.logaddexp and not all(a.shape[k] for k in axes):
        whole = False  # of no numbers it is the identity, -inf, where logsumexp has no maximum
    if known is not None and whole:
        return known(a, axis=axis, keepdims=keepdims, **optional)
    start = ufunc.identity if initial is NOT_GIVEN else initial
    parts = _slices(together(a, axes), a.ndim - len(axes))
    masks = [True] * len(parts)
    if selects(where):
        where = np.broadcast_to(plain(where), a.shape)
        moved = np.moveaxis(where, axes, tuple(range(-len(axes), 0)))
        masks = _slices(np.reshape(moved, (*moved.shape[: -len(axes)], -1)), a.ndim - len(axes))
    if start is None:
        first, *parts = parts
        masks = masks[1:]
    else:
        rest = tuple(n for k, n in enumerate(a.shape) if k not in axes)
        first = np.broadcast_to(lift(start, a.recording, a.dtype), rest)
    for part, mask in zip(parts, masks, strict=True):
        step = call_ufunc(ufunc, first, part)
        first = step if mask is True else np.where(mask, step, first)
    return keep(first, a.shape, axes, keepdims)


def _one_axis(axis: Any, ndim: int) -> int:
    """The axis that is run along; None, all axes, where there is but one."""
    (axis,) = axis if isinstance(axis, tuple) else (axis,)
    return 0 if axis is None and ndim == 1 else normalize_axis(axis, ndim)


def accumulate(ufunc: Any, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    refuse(f"np.{ufunc.__name__}.accumulate", out=out)
    known = ACCUMULATIONS.get(ufunc)
    axis = _one_axis(axis, np.ndim(a))
    if known is not None:
        return known(a, axis=axis, dtype=dtype)
    a = _prepared(ufunc, a, dtype)
    parts = _slices(a, axis)
    found = parts[:1]
    for part in parts[1:]:
        found.append(call_ufunc(ufunc, found[-1], part))
    return np.stack(found, axis) if found else a


def reduceat(
    ufunc: Any, a: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """Each stretch between an index and the next; one entry where the next is not larger."""
    refuse(f"np.{ufunc.__name__}.reduceat", out=out)
    starts = np.asarray(constant(indices, "the indices of reduceat"), int).tolist()
    axis = _one_axis(axis, a.ndim)
    if ufunc is not np.add and ufunc is not np.multiply:
        a, dtype = _prepared(ufunc, a, dtype), None
    head = (slice(None),) * axis
    found = []
    for start, stop in zip(starts, [*starts[1:], a.shape[axis]], strict=True):
        part = a[(*head, slice(start, max(stop, start + 1)))]
        one = part.shape[axis] == 1
        entry = part.astype(dtype or reduce(ufunc, part, axis).dtype)[(*head, 0)] if one else None
        found.append(entry if one else reduce(ufunc, part, axis, dtype, initial=None))
    return np.stack(found, axis) if found else a[(*head, slice(0, 0))]


def outer(ufunc: Any, a: Any, b: Any, **keywords: Any) -> Any:
    a, b = plain(a), plain(b)
    recording = recording_of((a, b))
    a, b = lift(a, recording), lift(b, recording)
    return call(ufunc, np.reshape(a, a.shape + (1,) * b.ndim), b, **keywords)


METHODS.update(__call__=call, reduce=reduce, accumulate=accumulate, reduceat=reduceat, outer=outer)
