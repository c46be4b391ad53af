"""First and second derivatives of special functions over the whole range of doubles and floats,
sampled by bit pattern, judged by mpmath.

The unit of error is one rounding of the result, and what one rounding of an argument changes: a
function that is ill-conditioned at a point may be off by that much there.
``CHAINRULE_SPECIAL_POINTS=300`` tries that many points instead of 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.special

import chainrule as cr
from tests.helpers.special_table import ONE, TWO, judge, points

SINGLE = {"float32": 1e15, "float64": 1e300}
"""Beyond this an argument's square, or the result, leaves the range of the dtype."""
TOP = {"expi": 80, "exp1": 80, "expm1": 80, "exp10": 30, "gamma": 30, "erfi": 8, "erfcx": 1e15}
"""Where functions overflow, or their slopes underflow, in float32."""
EXEMPT = {
    ("pseudo_huber", "d²/dz²"): "δ³/h³ from δ/h·(1 − r²/h²), below rounding of δ/h where r >> δ",
    ("pseudo_huber", "d²/dxdz"): "products of tiny steps underflow before they are joined",
}


def domain(name: str, dtype: Any, low: float, high: float) -> tuple[float, float]:
    if dtype is np.float64:
        return low, high
    top = TOP.get(name, SINGLE["float32"])
    return max(low, -top), min(high, top)


def function(name: str) -> Any:
    return getattr(scipy.special, name, None) or getattr(np, name)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", ONE)
def test_of_one_argument(name: str, dtype: Any) -> None:
    f, (ends, *exact) = function(name), ONE[name]
    x = points(*domain(name, dtype, *ends), dtype, 1)
    with np.errstate(all="ignore"):
        slope = cr.grad(lambda x: np.sum(f(x)))
        judge(f"slope of {name}", slope(x), exact[0], x)
        bend = cr.grad(lambda x: np.sum(slope(x)))(x)
    judge(f"second derivative of {name}", bend, exact[1], x)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", TWO)
def test_of_two_arguments(name: str, dtype: Any) -> None:
    f, (ends, exact) = function(name), TWO[name]
    x, z = (points(*domain(name, dtype, *e), dtype, i) for i, e in enumerate(ends))
    if ends[0] == ends[1]:
        z[::4] = x[::4] * np.random.default_rng(3).uniform(0.5, 2, x[::4].shape).astype(dtype)
    found = derivatives(f, x, z)
    names = ("d/dx", "d/dz", "d²/dx²", "d²/dxdz", "d²/dz²")
    for which, got, form in zip(names, found, exact, strict=True):
        if (name, which) not in EXEMPT:
            judge(f"{which} of {name}", got, form, x, z)


def derivatives(f: Any, x: np.ndarray, z: np.ndarray) -> Sequence[np.ndarray]:
    def total(x: Any, z: Any) -> Any:
        return np.sum(f(x, z))

    def sloped(which: int) -> Any:
        return lambda x, z: np.sum(cr.grad(total, which)(x, z))

    with np.errstate(all="ignore"):
        return (
            *cr.grad(total, (0, 1))(x, z),
            *cr.grad(sloped(0), (0, 1))(x, z),
            cr.grad(sloped(1), 1)(x, z),
        )
