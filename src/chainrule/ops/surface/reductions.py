"""Sums, means, extrema, orderings and cumulative functions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.dispatch import implements
from chainrule.core.traced import Traced
from chainrule.core.types import normalize_axes, normalize_axis, size_of
from chainrule.errors import ShapeError, UnsupportedError, UsageError
from chainrule.ops import reduce as rd
from chainrule.ops.analytic import length, root
from chainrule.ops.coerce import float_of, lift, recording_of
from chainrule.ops.structure import concatenate
from chainrule.ops.surface.arguments import (
    NOT_GIVEN,
    given,
    plain_axis,
    refuse,
    require,
    selects,
)

Axes = tuple[int, ...]


def keep(y: Any, shape: tuple[int, ...], axes: Axes, keepdims: Any) -> Any:
    """``y``, reduced from ``shape`` along ``axes``, with these axes of length 1 if wanted."""
    if keepdims is NOT_GIVEN or not keepdims:
        return y
    return np.reshape(y, tuple(1 if a in axes else n for a, n in enumerate(shape)))


def _accumulator(x: Any, dtype: Any) -> Any:
    """NumPy sums and multiplies small integers and bools in 64 bits."""
    if dtype is not None:
        return x.astype(dtype)
    if x.dtype.kind in "bi":
        return x.astype(np.int64)
    return x.astype(np.uint64) if x.dtype.kind == "u" else x


def masked(a: Any, where: Any, neutral: Any) -> Any:
    """``a`` with what ``where`` leaves out replaced by a value that changes no result."""
    if not selects(where):
        return a
    return np.where(where, a, np.asarray(neutral, a.dtype))


def _fold(
    a: Any, axis: Any, keepdims: Any, where: Any, initial: Any, neutral: Any, reduce: Any, join: Any
) -> Any:
    """``reduce`` over ``axis`` of the entries that count, and ``join`` with what it starts from."""
    a = masked(a, where, neutral)
    a = lift(a, recording_of((a, where, initial)))
    axes = reduced_axes(axis, a.ndim)
    found = keep(reduce(a, axes=axes) if axes else a, a.shape, axes, keepdims)
    return join(found, in_dtype(initial, a)) if given(initial) else found


def reduced_axes(axis: Any, ndim: int) -> Axes:
    """The axes that are reduced; a single number may be summed over its axis 0, or -1."""
    if ndim == 0 and axis is not None and type(axis) is not tuple:
        normalize_axis(plain_axis(axis), 1)
        return ()
    return normalize_axes(plain_axis(axis), ndim)


def in_dtype(value: Any, a: Any) -> Any:
    """What a reduction starts from, in the dtype of the array, as NumPy has it."""
    if isinstance(value, Traced):
        return value.astype(a.dtype)
    return np.asarray(value).astype(a.dtype)


@implements(np.sum, checks=True)
def sum_(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NOT_GIVEN,
    initial: Any = NOT_GIVEN,
    where: Any = NOT_GIVEN,
) -> Any:
    refuse("np.sum", out=out)
    a = _accumulator(a, dtype)
    return _fold(a, axis, keepdims, where, initial, 0, rd.reduce_sum, np.add)


@implements(np.prod, checks=True)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NOT_GIVEN,
    initial: Any = NOT_GIVEN,
    where: Any = NOT_GIVEN,
) -> Any:
    refuse("np.prod", out=out)
    a = _accumulator(a, dtype)
    return _fold(a, axis, keepdims, where, initial, 1, _product, np.multiply)


def together(a: Any, axes: Axes) -> Any:
    """``a`` with ``axes`` moved to the end and flattened into one."""
    rest = tuple(k for k in range(a.ndim) if k not in axes)
    moved = np.transpose(a, rest + axes)
    head = len(rest)
    return np.reshape(moved, (*moved.shape[:head], size_of(moved.shape[head:])))


def _product(a: Any, *, axes: Axes) -> Any:
    flat = together(a, axes)
    return rd.reduce_prod(flat, axis=flat.ndim - 1)


def _count(a: Any, axes: Axes, where: Any, keepdims: Any) -> Any:
    """How many entries there are along ``axes``, or how many of them count."""
    if not selects(where):
        return size_of(tuple(a.shape[k] for k in axes))
    full = np.broadcast_to(np.asarray(where) if not isinstance(where, Traced) else where, a.shape)
    return np.sum(full, axis=axes, keepdims=bool(given(keepdims) and keepdims)).astype(a.dtype)


@implements(np.mean, checks=True)
def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NOT_GIVEN,
    *,
    where: Any = NOT_GIVEN,
) -> Any:
    refuse("np.mean", out=out)
    a = a.astype(dtype) if dtype is not None else float_of(a)
    axes = normalize_axes(plain_axis(axis), a.ndim)
    total = sum_(a, axes, dtype=dtype, keepdims=keepdims, where=where)  # integers wrap, as NumPy's
    return total / _count(a, axes, where, keepdims)


@implements(np.var, checks=True)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NOT_GIVEN,
    *,
    where: Any = NOT_GIVEN,
    mean: Any = NOT_GIVEN,
    correction: Any = NOT_GIVEN,
) -> Any:
    refuse("np.var", out=out)
    if given(correction) and ddof != 0:
        raise UsageError("ddof= and correction= say the same; give one of them")
    a = _deviating(a, dtype)
    axes = normalize_axes(plain_axis(axis), a.ndim)
    d = a - (mean if given(mean) else np.mean(a, axis=axes, keepdims=True, where=where))
    count = _count(a, axes, where, keepdims) - (correction if given(correction) else ddof)
    count = np.maximum(count, 0) if selects(where) else max(count, 0)
    return sum_(d * d, axes, keepdims=keepdims, where=where) / count


@implements(np.std, checks=True)
def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NOT_GIVEN,
    *,
    where: Any = NOT_GIVEN,
    mean: Any = NOT_GIVEN,
    correction: Any = NOT_GIVEN,
) -> Any:
    refuse("np.std", out=out)

    def spread(a: Any, mean: Any = mean) -> Any:
        rest = {"where": where, "mean": mean, "correction": correction}
        return var(a, axis, dtype, None, ddof, keepdims, **rest)

    if given(mean):
        return root(spread(a))
    a, axes = _deviating(a, dtype), normalize_axes(plain_axis(axis), a.ndim)
    alone = not selects(where) and _count(a, axes, where, keepdims) == 1
    if alone and not (ddof or given(correction)):
        return sum_(a - a, axes, keepdims=keepdims)  # 0 wherever it is, to every order
    return length(a, spread, axes)


def _deviating(a: Any, dtype: Any) -> Any:
    """``a`` in the dtype in which deviations are computed."""
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise UnsupportedError(f"dtype={np.dtype(dtype)} would round deviations; use a float's")
    return a.astype(dtype) if dtype is not None else float_of(a)


def _extremum(name: str, primitive: Any, join: Any, sign: int) -> Any:
    def function(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = NOT_GIVEN,
        initial: Any = NOT_GIVEN,
        where: Any = NOT_GIVEN,
    ) -> Any:
        refuse(f"np.{name}", out=out)
        if selects(where) and not given(initial):
            raise ShapeError("where= may leave no entry: give initial= too")
        reduce = _no_entries(primitive, initial) if given(initial) else primitive
        lowest = -sign * np.inf if a.dtype.kind == "f" else _extreme_integer(a.dtype, -sign)
        return _fold(a, axis, keepdims, where, initial, lowest, reduce, join)

    return function


def _extreme_integer(dtype: Any, sign: int) -> Any:
    if dtype.kind == "b":
        return sign > 0
    return np.iinfo(dtype).max if sign > 0 else np.iinfo(dtype).min


def _no_entries(primitive: Any, initial: Any) -> Any:
    """With something to start from, the extremum of no entries is that."""

    def reduce(a: Any, *, axes: Axes) -> Any:
        if all(a.shape[k] for k in axes):
            return primitive(a, axes=axes)
        shape = tuple(n for k, n in enumerate(a.shape) if k not in axes)
        return np.broadcast_to(lift(initial, a.recording, a.dtype), shape)

    return reduce


max_ = implements(np.max, np.amax, checks=True)(_extremum("max", rd.reduce_max, np.maximum, 1))
min_ = implements(np.min, np.amin, checks=True)(_extremum("min", rd.reduce_min, np.minimum, -1))


def _logical(name: str, primitive: Any, neutral: bool) -> Any:
    def function(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = NOT_GIVEN,
        *,
        where: Any = NOT_GIVEN,
    ) -> Any:
        refuse(f"np.{name}", out=out)
        a = a if a.dtype.kind == "b" else a != 0
        return _fold(a, axis, keepdims, where, None, neutral, primitive, None)

    return function


any_ = implements(np.any, checks=True)(_logical("any", rd.reduce_any, False))
all_ = implements(np.all, checks=True)(_logical("all", rd.reduce_all, True))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.sum(a != 0, axis=axis, keepdims=keepdims)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    refuse("np.ptp", out=out)
    wanted = bool(given(keepdims) and keepdims)
    return np.max(a, axis=axis, keepdims=wanted) - np.min(a, axis=axis, keepdims=wanted)


def _position(name: str, primitive: Any) -> Any:
    def function(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NOT_GIVEN) -> Any:
        refuse(f"np.{name}", out=out)
        if axis is None:
            found = primitive(np.ravel(a), axis=0)
            return keep(found, a.shape, tuple(range(a.ndim)), keepdims)
        if not a.ndim:
            normalize_axis(plain_axis(axis), 1)
            return np.reshape(primitive(np.reshape(a, (1,)), axis=0), ())
        axis = normalize_axis(plain_axis(axis), a.ndim)
        return keep(primitive(a, axis=axis), a.shape, (axis,), keepdims)

    return function


argmax = implements(np.argmax, checks=True)(_position("argmax", rd.argmax))
argmin = implements(np.argmin, checks=True)(_position("argmin", rd.argmin))


def _nan_position(find: Any, empty: float) -> Any:
    def function(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NOT_GIVEN) -> Any:
        if a.dtype.kind != "f":
            return find(a, axis, out, keepdims=keepdims)
        nan = np.isnan(a)
        filled = np.where(nan, np.asarray(empty, a.dtype), a)
        some = np.logical_not(np.all(nan, axis=axis))
        filled = require(
            filled,
            some,
            "np.nanargmax and np.nanargmin",
            "a slice has nothing but NaN, so no position",
        )
        return find(filled, axis, out, keepdims=keepdims)

    return function


nanargmax = implements(np.nanargmax)(_nan_position(argmax, -np.inf))
nanargmin = implements(np.nanargmin)(_nan_position(argmin, np.inf))

# running totals ---------------------------------------------------------------------------


def _running(name: str, primitive: Any) -> Any:
    def function(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        refuse(f"np.{name}", out=out)
        a = _accumulator(a, dtype)
        if axis is None:
            a, axis = np.ravel(a), 0
        elif a.ndim == 0:
            a = np.reshape(a, (1,))
        return primitive(a, axis=normalize_axis(plain_axis(axis), a.ndim))

    return function


cumsum = implements(np.cumsum, checks=True)(_running("cumsum", rd.cumsum))
cumprod = implements(np.cumprod, checks=True)(_running("cumprod", rd.cumprod))


def _array_api_running(name: str, run: Any, start: int) -> Any:
    def function(
        x: Any,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        refuse(f"np.{name}", out=out)
        if axis is None and x.ndim > 1:
            raise ShapeError(f"np.{name} of {x.type}: give the axis")
        axis = 0 if axis is None else normalize_axis(axis, x.ndim)
        found = run(x, axis, dtype)
        if not include_initial:
            return found
        edge = tuple(1 if k == axis else n for k, n in enumerate(found.shape))
        first = np.full(edge, start, found.dtype)
        return concatenate(lift(first, found.recording), found, axis=axis)

    return function


implements(np.cumulative_sum)(_array_api_running("cumulative_sum", cumsum, 0))
implements(np.cumulative_prod)(_array_api_running("cumulative_prod", cumprod, 1))

# ordering ---------------------------------------------------------------------------------


@implements(np.argsort, checks=True)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    refuse("np.argsort", order=order)
    if axis is None:
        a, axis = np.ravel(a), 0
    return rd.argsort(a, axis=normalize_axis(plain_axis(axis), a.ndim))


@implements(np.sort, checks=True)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    refuse("np.sort", order=order)
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axis(axis, a.ndim)
    return np.take_along_axis(a, argsort(a, axis), axis)


@implements(np.partition)
def partition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    """A full sort is a valid partition."""
    refuse("np.partition", order=order)
    return sort(a, axis)


@implements(np.argpartition)
def argpartition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    refuse("np.argpartition", order=order)
    return argsort(a, normalize_axis(axis, a.ndim))
