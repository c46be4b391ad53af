"""Sums, means, extrema, orderings, quantiles and cumulative functions equal NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.helpers.expressions.reductions import PIECEWISE, SMOOTH
from tests.helpers.surface import check_gradient, check_value, lines

VALUES = lines("""
np.nansum(holes, axis=1)
np.nansum(holes, axis=1, initial=1.0)
np.nanprod(holes)
np.nanmean(holes)
np.nanmean(holes, axis=0)
np.nanmean(holes, axis=1, keepdims=True)
np.nanvar(holes, axis=1)
np.nanstd(holes, axis=1, ddof=1)
np.nanmax(holes, axis=1)
np.nanmin(holes, axis=0, keepdims=True)
np.nanargmax(holes)
np.nanargmin(holes, axis=1)
np.nancumsum(holes, axis=1)
np.nancumprod(holes)
np.nanmedian(holes, axis=1)
np.nanmedian(holes)
np.nanquantile(holes, [0.25, 0.5], axis=1)
np.nanquantile(holes, 0.3, axis=0, keepdims=True)
np.nanpercentile(holes, 40)
np.median(holes, axis=1)
np.quantile(holes, 0.3, axis=0)
np.max(holes, axis=1)
np.min(holes)
np.sort(holes, axis=1)
np.argmax(m)
np.argmax(m, axis=1)
np.argmax(t, axis=-2, keepdims=True)
np.argmax(m, keepdims=True)
np.argmin(m, axis=0)
m.argmin()
m.argmax(axis=1)
np.argsort(m)
np.argsort(m, axis=0, stable=True)
np.argsort(m, axis=None)
m.argsort(axis=1)
np.argsort(v, kind="mergesort")
np.any(m > 0)
np.any(m > 0, axis=1)
np.any(m, axis=0, keepdims=True)
np.all(m > 0, axis=(0, 1))
np.all(m > 0, axis=1, where=M)
np.any(m > 1, where=M)
(m > 0).all()
(m > 0).any(axis=0)
np.all(e, axis=1)
np.any(e)
np.logical_and.reduce(m > 0, axis=1)
np.logical_or.reduce(m > 5)
np.logical_xor.reduce(m > 0, axis=1)
np.bitwise_and.reduce(m > 0)
np.count_nonzero(m > 0)
np.count_nonzero(m, axis=1, keepdims=True)
np.sum(m > 0)
np.sum(m > 0, axis=1)
np.sum(m > 0, dtype=np.float32)
np.sum((m > 0).astype(np.int8), axis=0)
np.sum((m > 0).astype(np.uint8))
np.prod((m * 2).astype(np.int32), axis=1)
np.mean(m > 0)
np.mean((m * 3).astype(int), axis=1)
np.var((m * 3).astype(int))
np.std((m * 3).astype(int), axis=0)
np.cumsum((m > 0).astype(np.int16))
np.cumsum(m > 0, axis=1)
np.cumprod((m * 2).astype(int))
np.max((m * 3).astype(int), axis=1)
np.max(m > 0)
np.sum((m * 3).astype(np.int32), initial=2)
np.diff(m > 0)
np.diff((v * 3).astype(int))
np.median((m * 3).astype(int), axis=1)
np.quantile((m * 3).astype(int), 0.3)
np.sum(m, axis=1, dtype=np.float32)
np.mean(m, dtype=np.float32)
np.cumsum(m, axis=0, dtype=np.float32)
np.prod(m, dtype=np.float32)
np.searchsorted(np.sort(v), w)
np.searchsorted(np.sort(v), w, side="right")
np.searchsorted(K3, v)
np.searchsorted(np.sort(p), s)
np.digitize(v, [-1.0, 0.0, 1.0])
np.digitize(v, [-1.0, 0.0, 1.0], right=True)
np.sort((v * 2).astype(int))
np.argmax((v * 2).astype(int))
np.bincount([0, 2, 2, 1], weights=p)
np.bincount([0, 2, 2, 1], weights=p, minlength=5)
np.average((m * 3).astype(int), axis=1)
np.mean((short * 0).astype(np.int8) + np.array([127, 0, 1], np.int8), dtype=np.int8)
np.average(v > 0, weights=F32 + 2, returned=True)
np.nanmedian(np.stack([p * np.inf, p * np.inf]), axis=0)
np.nanmedian(holes, axis=1, keepdims=True)
np.linspace((v * 50).astype(np.int8), (w * 50).astype(np.int8), 7, dtype=int)
np.linspace(v, w, 1, retstep=True)
np.linspace(v, np.stack([v, w]), 4)
np.pad(short > 0, 1, mode="mean")
np.pad((short * 0).astype(int) + 2**62 + 1, 1, mode="maximum")
np.interp(v * np.nan, [0.0, 1.0, 1.0], [0.0, 2.0, 1.0])
np.tril(v)
""")


@pytest.mark.parametrize("text", SMOOTH + PIECEWISE + VALUES)
def test_value_equals_numpys(text: str) -> None:
    check_value(text)


@pytest.mark.parametrize("text", SMOOTH)
def test_first_and_second_derivative(text: str) -> None:
    check_gradient(text, second=True)


@pytest.mark.parametrize("text", PIECEWISE)
def test_derivative(text: str) -> None:
    check_gradient(text)


@pytest.mark.parametrize(
    "f",
    [
        np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.argmax, np.argmin, np.cumsum,
        np.cumprod, np.sort, np.argsort, np.median, np.any, np.all, np.nansum, np.flip, np.squeeze,
        lambda x, axis: np.take(x, [0], axis=axis), lambda x, axis: np.concatenate([x, x], axis),
    ],
)  # fmt: skip
def test_axes_are_taken_and_refused_as_by_numpy(f: Callable[..., Any]) -> None:
    """``np.max(x[0], 0.0)`` is no larger of two, nor an axis."""
    for x in (np.float64(1.5), np.array([1.0, 3.0, 2.0]), np.array([[1.0, 3.0], [2.0, 5.0]])):
        for axis in (0.0, np.float64(0), np.array(0.0), 1.5, "a", True, False, (0,), 0, 1, -1):
            try:
                expected = np.shape(f(x, axis=axis))
            except (TypeError, ValueError):
                with pytest.raises(cr.ChainruleError):
                    cr.grad(lambda x, axis=axis: np.sum(f(x, axis=axis) * x.sum()))(x)
                continue
            if np.ndim(x):  # of a single number some are refused that NumPy takes
                assert cr.jit(lambda x, axis=axis: f(x, axis=axis))(x).shape == expected
