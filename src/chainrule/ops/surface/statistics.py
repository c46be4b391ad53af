"""Averages, quantiles and covariances, and the functions that leave NaN out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.dispatch import implements
from chainrule.core.traced import Traced
from chainrule.core.types import normalize_axes, size_of
from chainrule.errors import ShapeError, UnsupportedError
from chainrule.ops.coerce import float_of, plain
from chainrule.ops.surface.arguments import NOT_GIVEN, given, refuse, require
from chainrule.ops.surface.reductions import (
    cumprod,
    cumsum,
    in_dtype,
    keep,
    max_,
    mean,
    min_,
    prod,
    sort,
    std,
    sum_,
    together,
    var,
)


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    keepdims = bool(given(keepdims) and keepdims)
    a = plain(a)
    if weights is None:
        found = np.mean(a, axis=axis, keepdims=keepdims)
        count = np.size(a) / max(np.size(found), 1)
        return (found, np.full(found.shape, count, found.dtype)) if returned else found
    weights = _weights(plain(weights), np.shape(a), axis)
    whole = [np.float64] if a.dtype.kind in "iub" else []
    dtype = np.result_type(a.dtype, weights.dtype, *whole)
    a, weights = np.astype(a, dtype), np.astype(weights, dtype)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    found = np.sum(np.multiply(a, weights), axis=axis, keepdims=keepdims)
    found = require(found, np.not_equal(total, 0), "np.average", "the weights sum to zero") / total
    return (found, np.broadcast_to(total, np.shape(found))) if returned else found


def _weights(weights: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """The weights in the shape of the array; as a rule one for each place along ``axis``."""
    if np.shape(weights) == shape:
        return weights
    axes = normalize_axes(axis, len(shape))
    if axis is None or np.shape(weights) != tuple(shape[k] for k in axes):
        raise ShapeError(
            f"weights of shape {np.shape(weights)} for an array of shape {shape} along axis "
            f"{axis}: give them the shape of the array, or of its axis"
        )
    aligned = tuple(n if k in axes else 1 for k, n in enumerate(shape))
    return np.broadcast_to(np.reshape(weights, aligned), shape)


# quantiles --------------------------------------------------------------------------------


def _in_order(a: Any, axes: tuple[int, ...]) -> Any:
    """The entries along ``axes`` sorted, in a last axis of their own; NaN comes last."""
    flat = together(a, axes) if axes else np.expand_dims(a, -1)
    if not flat.shape[-1]:
        raise ShapeError(f"a quantile of no elements: {a.type}")
    return sort(flat, -1)


@implements(np.median)
def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    refuse("np.median", out=out)
    a = float_of(a)
    axes = normalize_axes(axis, a.ndim)
    if not size_of(tuple(a.shape[k] for k in axes)):
        return np.mean(a, axis=axes, keepdims=keepdims)  # NaN, of nothing
    ordered = _in_order(a, axes)
    n = ordered.shape[-1]
    found = np.mean(ordered[..., (n - 1) // 2 : n // 2 + 1], axis=-1)
    found = np.where(np.isnan(ordered[..., -1]), ordered[..., -1], found)
    return keep(found, a.shape, axes, keepdims)


def _closest(n: Any, q: Any) -> Any:
    place = n * q - 1.5
    low = np.floor(place)
    return np.where((place == low) & (low % 2 == 1), low, low + 1)


def _averaged(n: Any, q: Any) -> Any:
    low = np.floor(n * q - 1)
    return np.where(low == n * q - 1, low + 0.5, low + 1)


def _continuous(alpha: float, beta: float) -> Callable[[Any, Any], Any]:
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


_PLACES: dict[str, Callable[[Any, Any], Any]] = {
    "linear": lambda n, q: (n - 1) * q,
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "nearest": lambda n, q: np.rint((n - 1) * q),
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
    "inverted_cdf": lambda n, q: np.ceil(n * q - 1),
    "averaged_inverted_cdf": _averaged,
    "closest_observation": _closest,
    "interpolated_inverted_cdf": _continuous(0, 1),
    "hazen": _continuous(0.5, 0.5),
    "weibull": _continuous(0, 0),
    "median_unbiased": _continuous(1 / 3, 1 / 3),
    "normal_unbiased": _continuous(3 / 8, 3 / 8),
}
"""Where the quantile lies among n sorted entries, counted from 0 (Hyndman and Fan 1996)."""
_ENTRIES = {"lower", "higher", "nearest", "inverted_cdf", "closest_observation"}


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
    refuse("np.quantile", out=out, weights=weights, interpolation=interpolation)
    a, q, dtype = _prepared(a, q, method)
    axes = normalize_axes(axis, a.ndim)
    ordered = _in_order(a, axes)
    n = ordered.shape[-1]
    place = np.clip(_PLACES[method](n, q), 0, n - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, n - 1)
    found = _between(lambda k: ordered[..., k], low, high, place, dtype)
    last = ordered[..., -1]
    last = np.reshape(last, last.shape + (1,) * q.ndim)
    return _quantiles_first(np.where(np.isnan(last), last, found), a, axes, q.ndim, keepdims)


def _between(read: Any, low: Any, high: Any, place: Any, dtype: Any) -> Any:
    """The value at ``place`` between the entries ``low`` and ``high``, from the nearer one."""
    share = np.astype(place - low, dtype)
    near, rest = np.where(share >= 0.5, high, low), np.where(share >= 0.5, share - 1, share)
    below = read(low)
    moved = read(near) + (read(high) - below) * rest
    return np.where(share == 0, np.astype(below, dtype), moved)


def _prepared(a: Any, q: Any, method: str) -> tuple[Any, np.ndarray, Any]:
    """The array as floats, the quantiles as float64, and the dtype of the result."""
    if isinstance(q, Traced):
        raise UnsupportedError("the quantile itself must be a plain number, not a traced value")
    if method not in _PLACES:
        raise UnsupportedError(f"method={method!r} is not recorded; use one of {sorted(_PLACES)}")
    a = a if method in _ENTRIES else float_of(a)
    weak = method in _ENTRIES or type(q) in (int, float)
    dtype = a.dtype if weak else np.result_type(a.dtype, np.asarray(q))
    q = np.asarray(q, np.float64)
    if q.size and not (q.min() >= 0 and q.max() <= 1):
        raise ShapeError(f"quantiles must be between 0 and 1, percentiles to 100: {q}")
    return a, q, dtype


def _quantiles_first(found: Any, a: Any, axes: Any, q_ndim: int, keepdims: bool) -> Any:
    rest = found.ndim - q_ndim
    found = np.transpose(found, (*range(rest, found.ndim), *range(rest)))
    if not keepdims:
        return found
    kept = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    return np.reshape(found, found.shape[:q_ndim] + kept)


@implements(np.nanquantile)
def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Any:
    """Each column has as many entries as are not NaN; these sort before the others."""
    refuse("np.nanquantile", out=out, weights=weights, interpolation=interpolation)
    a, q, dtype = _prepared(a, q, method)
    axes = normalize_axes(axis, a.ndim)
    ordered = _in_order(a, axes)
    count = np.sum(np.logical_not(np.isnan(ordered)), axis=-1)
    highest = np.maximum(count - 1, 0)
    count, highest = (np.reshape(k, k.shape + (1,) * q.ndim) for k in (count, highest))
    place = np.minimum(np.maximum(_PLACES[method](count, q), 0), highest)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, highest)
    flat = (*ordered.shape[:-1], -1)

    def read(k: Any) -> Any:
        return np.reshape(np.take_along_axis(ordered, np.reshape(k, flat), -1), place.shape)

    found = _between(read, low, high, place, dtype)
    if found.dtype.kind == "f":
        found = _or_lost(found, count == 0, ordered)
    return _quantiles_first(found, a, axes, q.ndim, bool(given(keepdims) and keepdims))


@implements(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    """The mean of the two in the middle, which may be infinite: no quantile between them."""
    refuse("np.nanmedian", out=out)
    a = float_of(a)
    axes = normalize_axes(axis, a.ndim)
    if not size_of(tuple(a.shape[k] for k in axes)):
        return np.mean(a, axis=axes, keepdims=keepdims)  # NaN, of nothing
    ordered = _in_order(a, axes)
    count = np.sum(np.logical_not(np.isnan(ordered)), axis=-1, keepdims=True)
    low, high = (np.take_along_axis(ordered, k, -1) for k in ((count - 1) // 2, count // 2))
    found = np.where(count % 2 == 1, low, (low + high) / 2)
    found = _or_lost(found, count == 0, ordered)
    return keep(found[..., 0], a.shape, axes, bool(given(keepdims) and keepdims))


def _percentile(quantile: Any) -> Any:
    def function(a: Any, q: Any, axis: Any = None, *args: Any, **keywords: Any) -> Any:
        q = q / 100 if isinstance(q, (int, float)) else np.true_divide(q, 100)
        return quantile(a, q, axis, *args, **keywords)

    return function


percentile = implements(np.percentile)(_percentile(quantile))
nanpercentile = implements(np.nanpercentile)(_percentile(nanquantile))


# Leaving NaN out --------------------------------------------------------------------------


def _filled(run: Any, value: float) -> Any:
    """``run`` on the array with a value in the place of NaN that changes no result."""

    def function(a: Any, *args: Any, **keywords: Any) -> Any:
        if a.dtype.kind == "f":
            a = np.where(np.isnan(a), np.asarray(value, a.dtype), a)
        return run(a, *args, **keywords)

    return function


nansum = implements(np.nansum)(_filled(sum_, 0))
nanprod = implements(np.nanprod)(_filled(prod, 1))
nancumsum = implements(np.nancumsum)(_filled(cumsum, 0))
nancumprod = implements(np.nancumprod)(_filled(cumprod, 1))


def _counting(run: Any) -> Any:
    """``run`` over the entries that are numbers, by its ``where=``."""

    def function(a: Any, *args: Any, **keywords: Any) -> Any:
        wanted = keywords.pop("where", True)
        where = np.logical_and(np.logical_not(np.isnan(a)), wanted)
        clean = np.where(np.isnan(a), np.zeros((), a.dtype), a)
        return run(clean, *args, where=where, **keywords)

    return function


def _or_lost(found: Any, lost: Any, a: Any, axis: Any = -1, keepdims: Any = False) -> Any:
    """NaN where a result is ``lost``, having too few numbers: it comes of all entries, so that
    their slopes are NaN too."""
    total = np.sum(a, axis=axis, keepdims=bool(given(keepdims) and keepdims))
    total = np.reshape(total, lost.shape).astype(found.dtype)
    nan, one = (np.asarray(v, found.dtype) for v in (np.nan, 1))
    return np.where(lost, total * np.where(lost, nan, one), found)


def _mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **kw: Any) -> Any:
    found = _counting(mean)(a, axis, dtype, out, **kw)
    if a.dtype.kind != "f":
        return found
    kept = bool(given(kw.get("keepdims")) and kw["keepdims"])
    numbers = np.logical_and(np.logical_not(np.isnan(a)), kw.get("where", True))
    lost = np.logical_not(np.any(numbers, axis=axis, keepdims=kept))
    return _or_lost(found, lost, a, axis, kept)


nanmean = implements(np.nanmean)(_mean)


def _deviation(run: Any) -> Any:
    """NaN where more is taken off the count than there is."""
    counting = _counting(run)

    def function(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **kw: Any) -> Any:
        if a.dtype.kind != "f":
            return run(a, axis, dtype, out, **kw)
        found = counting(a, axis, dtype, out, **kw)
        off = kw.get("correction", NOT_GIVEN)
        off = kw.get("ddof", 0) if off is NOT_GIVEN else off
        numbers = np.logical_and(np.logical_not(np.isnan(a)), kw.get("where", True))
        kept = bool(given(kw.get("keepdims")) and kw["keepdims"])
        count = np.sum(numbers, axis=axis, keepdims=kept)
        return _or_lost(found, count <= off, a, axis, kept)

    return function


nanvar = implements(np.nanvar)(_deviation(var))
nanstd = implements(np.nanstd)(_deviation(std))


def _nan_extremum(run: Any, empty: float) -> Any:
    filled = _filled(run, empty)

    def function(a: Any, axis: Any = None, out: Any = None, **keywords: Any) -> Any:
        if a.dtype.kind != "f":
            return run(a, axis, out, **keywords)
        if given(keywords.get("initial")):
            join = np.fmax if empty < 0 else np.fmin
            start = in_dtype(keywords.pop("initial"), a)
            found = join(filled(a, axis, out, initial=empty, **keywords), start)
            kept = {k: keywords[k] for k in ("keepdims", "where") if k in keywords}
            return np.where(np.all(np.isnan(a), axis=axis, **kept), start, found)
        found = filled(a, axis, out, **keywords)
        nothing = np.all(np.isnan(a), axis=axis, keepdims=keywords.get("keepdims", False))
        return _or_lost(found, nothing, a, axis, keywords.get("keepdims"))

    return function


nanmax = implements(np.nanmax)(_nan_extremum(max_, -np.inf))
nanmin = implements(np.nanmin)(_nan_extremum(min_, np.inf))


# Covariance -------------------------------------------------------------------------------


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    x = np.atleast_2d(m) if rowvar or np.ndim(m) < 2 else np.transpose(m)
    if y is not None:
        y = np.atleast_2d(y) if rowvar or np.ndim(y) < 2 else np.transpose(y)
        x = np.concatenate([x, y])
    x = np.astype(x, np.float64 if dtype is None else dtype)
    freedom = ddof if ddof is not None else 0 if bias else 1
    if fweights is None and aweights is None:
        d = x - np.mean(x, axis=1, keepdims=True)
        return np.squeeze(d @ d.T) / max(x.shape[1] - freedom, 0)
    aweights = None if aweights is None else np.astype(_array(aweights), np.float64)
    w = np.multiply(1.0 if fweights is None else fweights, 1.0 if aweights is None else aweights)
    total = np.sum(w)
    taken = freedom * (1.0 if aweights is None else np.sum(w * aweights) / total)
    d = x - np.average(x, axis=1, weights=w)[:, None]
    return np.squeeze((d * w) @ d.T) / (total - taken)


def _array(x: Any) -> Any:
    return x if isinstance(x, Traced) else np.asarray(plain(x))


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = cov(x, y, rowvar, dtype=dtype)
    if np.ndim(c) == 0:
        return c / c
    deviation = np.sqrt(np.diagonal(c))
    return np.clip(c / np.outer(deviation, deviation), -1, 1)
