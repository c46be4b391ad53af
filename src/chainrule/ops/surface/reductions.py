"""Sums, means, extrema, orderings and cumulative functions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.dispatch import ACCUMULATIONS, REDUCTIONS, implements, refuse_keywords
from chainrule.core.traced import Traced
from chainrule.core.types import normalize_axes, normalize_axis
from chainrule.errors import ShapeError, UnsupportedError
from chainrule.ops import reduce as rd
from chainrule.ops.coerce import float_of
from chainrule.ops.structure import reshape

NOT_GIVEN: Any = np._NoValue  # type: ignore[attr-defined]


def _check(name: str, **keywords: Any) -> None:
    """Refuse the keywords of NumPy's signature that are given and that we don't support."""
    harmless = {"where": True}
    given = {
        k: v
        for k, v in keywords.items()
        if v is not None and v is not NOT_GIVEN and v is not harmless.get(k, NOT_GIVEN)
    }
    refuse_keywords(f"np.{name}", given)


def _keep(y: Any, x: Traced, axes: tuple[int, ...], keepdims: Any) -> Any:
    if keepdims is NOT_GIVEN or not keepdims:
        return y
    return reshape(y, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))


def _accumulator(x: Traced, dtype: Any) -> Traced:
    """NumPy sums and multiplies small integers and bools in 64 bits."""
    if dtype is not None:
        return x.astype(dtype)
    if x.dtype.kind in "bi":
        return x.astype(np.int64)
    return x.astype(np.uint64) if x.dtype.kind == "u" else x


@implements(np.sum)
def sum_(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NOT_GIVEN,
    initial: Any = NOT_GIVEN,
    where: Any = NOT_GIVEN,
) -> Any:
    _check("sum", out=out, initial=initial, where=where)
    axes = normalize_axes(axis, a.ndim)
    a = _accumulator(a, dtype)
    return _keep(rd.reduce_sum(a, axes=axes) if axes else a, a, axes, keepdims)


@implements(np.prod)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NOT_GIVEN,
    initial: Any = NOT_GIVEN,
    where: Any = NOT_GIVEN,
) -> Any:
    _check("prod", out=out, initial=initial, where=where)
    axes = normalize_axes(axis, a.ndim)
    a = _accumulator(a, dtype)
    if not axes:
        return a
    rest = tuple(k for k in range(a.ndim) if k not in axes)
    moved = np.transpose(a, rest + axes)
    flat = reshape(moved, (*moved.shape[: len(rest)], _size(moved.shape[len(rest) :])))
    return _keep(rd.reduce_prod(flat, axis=len(rest)), a, axes, keepdims)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


@implements(np.mean)
def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NOT_GIVEN,
    *,
    where: Any = NOT_GIVEN,
) -> Any:
    _check("mean", out=out, where=where)
    a = a.astype(dtype) if dtype is not None else float_of(a)
    axes = normalize_axes(axis, a.ndim)
    return sum_(a, axes, keepdims=keepdims) / _size(tuple(a.shape[k] for k in axes))


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    if returned:
        raise UnsupportedError("np.average(returned=True): sum the weights yourself")
    if weights is None:
        return np.mean(a, axis=axis, keepdims=bool(keepdims))
    if np.shape(weights) != np.shape(a):
        if not isinstance(axis, int) or np.ndim(weights) != 1:
            raise ShapeError("np.average: weights must have the shape of a, or of its axis")
        shape = [1] * np.ndim(a)
        shape[axis] = -1
        weights = np.broadcast_to(np.reshape(weights, shape), np.shape(a))
    total = np.sum(np.multiply(a, weights), axis=axis, keepdims=bool(keepdims))
    return total / np.sum(weights, axis=axis, keepdims=bool(keepdims))


def _ddof(ddof: Any, correction: Any) -> Any:
    return ddof if correction is NOT_GIVEN or correction is None else correction


@implements(np.var)
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
    _check("var", out=out, where=where, mean=mean)
    a = a.astype(dtype) if dtype is not None else float_of(a)
    axes = normalize_axes(axis, a.ndim)
    d = a - np.mean(a, axis=axes, keepdims=True)
    count = _size(tuple(a.shape[k] for k in axes)) - _ddof(ddof, correction)
    return sum_(d * d, axes, keepdims=keepdims) / max(count, 0)


def safe_sqrt(x: Any) -> Any:
    """√x with derivative 0 at 0: the convention for norms and deviations of nothing."""
    zero = x == 0
    return np.where(zero, np.zeros((), x.dtype), np.sqrt(np.where(zero, np.ones((), x.dtype), x)))


@implements(np.std)
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
    _check("std", out=out, where=where, mean=mean)
    return safe_sqrt(var(a, axis, dtype, None, ddof, keepdims, correction=correction))


def _extremum(name: str, primitive: Any) -> Any:
    def function(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = NOT_GIVEN,
        initial: Any = NOT_GIVEN,
        where: Any = NOT_GIVEN,
    ) -> Any:
        _check(name, out=out, initial=initial, where=where)
        axes = normalize_axes(axis, a.ndim)
        return _keep(primitive(a, axes=axes) if axes else a, a, axes, keepdims)

    return function


max_ = implements(np.max, np.amax)(_extremum("max", rd.reduce_max))
min_ = implements(np.min, np.amin)(_extremum("min", rd.reduce_min))


def _logical(name: str, primitive: Any) -> Any:
    def function(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = NOT_GIVEN,
        *,
        where: Any = NOT_GIVEN,
    ) -> Any:
        _check(name, out=out, where=where)
        axes = normalize_axes(axis, a.ndim)
        a = a if a.dtype.kind == "b" else a != 0
        return _keep(primitive(a, axes=axes) if axes else a, a, axes, keepdims)

    return function


any_ = implements(np.any)(_logical("any", rd.reduce_any))
all_ = implements(np.all)(_logical("all", rd.reduce_all))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.sum(a != 0, axis=axis, keepdims=keepdims)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    _check("ptp", out=out)
    keep = bool(keepdims) if keepdims is not NOT_GIVEN else False
    return np.max(a, axis=axis, keepdims=keep) - np.min(a, axis=axis, keepdims=keep)


def _position(name: str, primitive: Any) -> Any:
    def function(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NOT_GIVEN) -> Any:
        _check(name, out=out)
        if axis is None:
            found = primitive(np.ravel(a), axis=0)
            return _keep(found, a, tuple(range(a.ndim)), keepdims)
        axis = normalize_axis(axis, a.ndim)
        return _keep(primitive(a, axis=axis), a, (axis,), keepdims)

    return function


argmax = implements(np.argmax)(_position("argmax", rd.argmax))
argmin = implements(np.argmin)(_position("argmin", rd.argmin))


def _ordered(name: str, primitive: Any) -> Any:
    def function(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any
    ) -> Any:
        _check(name, out=out)
        refuse_keywords(f"np.{name}", keywords)
        a = _accumulator(a, dtype)
        if axis is None:
            a, axis = np.ravel(a), 0
        return primitive(a, axis=normalize_axis(axis, a.ndim))

    return function


cumsum = implements(np.cumsum)(_ordered("cumsum", rd.cumsum))
cumprod = implements(np.cumprod)(_ordered("cumprod", rd.cumprod))

# ordering ---------------------------------------------------------------------------------


@implements(np.argsort)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    _check("argsort", order=order)
    if axis is None:
        a, axis = np.ravel(a), 0
    return rd.argsort(a, axis=normalize_axis(axis, a.ndim))


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    _check("sort", order=order)
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, argsort(a, axis), axis)


@implements(np.partition)
def partition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    """A full sort is a valid partition."""
    _check("partition", order=order)
    return sort(a, axis)


@implements(np.median)
def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    _check("median", out=out)
    return quantile(a, 0.5, axis, keepdims=keepdims)


@implements(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Any:
    _check("quantile", out=out, weights=weights, interpolation=interpolation)
    if method != "linear" or isinstance(q, Traced):
        raise UnsupportedError("np.quantile is recorded for a constant q and method='linear'")
    a = float_of(a)
    axes = normalize_axes(axis, a.ndim)
    rest = tuple(k for k in range(a.ndim) if k not in axes)
    moved = np.transpose(a, (*axes, *rest))
    n = _size(moved.shape[: len(axes)])
    if n == 0:
        raise ShapeError(f"a quantile of no elements: {a.type}")
    ordered = sort(reshape(moved, (n, *moved.shape[len(axes) :])), 0)
    place = np.asarray(q, np.float64) * (n - 1)
    if place.size and not (place.min() >= 0 and place.max() <= n - 1):
        raise ShapeError("quantiles must be in the range [0, 1]")
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, n - 1)
    share = (place - low).reshape(place.shape + (1,) * len(rest)).astype(a.dtype)
    below, above = ordered[low], ordered[high]
    found = np.where(share == 0, below, below + (above - below) * share)
    found = np.where(np.isnan(ordered[-1]), ordered[-1], found)
    if keepdims:
        kept = tuple(1 if k in axes else m for k, m in enumerate(a.shape))
        found = reshape(found, (*place.shape, *kept))
    return found


@implements(np.percentile)
def percentile(a: Any, q: Any, axis: Any = None, *args: Any, **keywords: Any) -> Any:
    return quantile(a, np.true_divide(q, 100), axis, *args, **keywords)


# NaN-aware --------------------------------------------------------------------------------


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any) -> Any:
    _check("nansum", out=out)
    return sum_(np.where(np.isnan(a), np.zeros((), a.dtype), a), axis, dtype, **keywords)


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any) -> Any:
    _check("nanmean", out=out)
    count = np.sum(np.logical_not(np.isnan(a)), axis=axis, **keywords)
    return nansum(a, axis, dtype, **keywords) / count.astype(a.dtype)


@implements(np.nanmax)
def nanmax(a: Any, axis: Any = None, out: Any = None, **keywords: Any) -> Any:
    _check("nanmax", out=out)
    return max_(np.where(np.isnan(a), np.asarray(-np.inf, a.dtype), a), axis, **keywords)


@implements(np.nanmin)
def nanmin(a: Any, axis: Any = None, out: Any = None, **keywords: Any) -> Any:
    _check("nanmin", out=out)
    return min_(np.where(np.isnan(a), np.asarray(np.inf, a.dtype), a), axis, **keywords)


def _logaddexp_reduce(a: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    from chainrule.ops.special import logsumexp

    return logsumexp(a, axis=axis, keepdims=keepdims)


REDUCTIONS.update(
    {
        np.add: sum_,
        np.multiply: prod,
        np.maximum: max_,
        np.minimum: min_,
        np.logical_and: all_,
        np.logical_or: any_,
        np.logaddexp: _logaddexp_reduce,
    }
)
ACCUMULATIONS.update({np.add: cumsum, np.multiply: cumprod})
