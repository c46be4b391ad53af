"""The error function and the normal distribution.

All their derivatives come from e^{x²}·iⁿerfc(x), the scaled repeated integrals of erfc, whose
slopes are −2(n+1) times the next of them (Abramowitz and Stegun 7.2): nothing cancels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.coerce import refuse_complex
from chainrule.ops.elementwise import elementwise
from chainrule.ops.samples import both, case, points
from chainrule.ops.special.families import dawson
from chainrule.ops.special.registering import (
    SMALL,
    SQRT_2PI,
    SQRT_PI,
    of_order,
    of_scipy,
    special,
)

SQRT_2 = float(np.sqrt(2.0))


def _ratio_forward(order: int, x: Any) -> Any:
    """iⁿerfc(x) / iⁿ⁻¹erfc(x): upwards from erfcx below 1, a continued fraction above, where
    the recurrence E[n-1] = 2x·E[n] + 2(n+1)·E[n+1] is stable downwards."""
    x = x.astype(np.float64)
    above = np.maximum(x, 1.0)
    fraction = np.zeros_like(above)
    for n in range(order + 150, order - 1, -1):
        fraction = 1 / (2 * above + 2 * (n + 1) * fraction)
    below = np.minimum(x, 1.0)
    with np.errstate(all="ignore"):
        ratio = erfcx(below) * SQRT_PI / 2
        for n in range(1, order + 1):
            ratio = (1 / ratio - 2 * below) / (2 * n)
    return np.where(x > 1, fraction, ratio)


_ratio = of_order(
    "erfc_ratio", _ratio_forward,
    lambda y, x, order: 2 * y * (order * y - (order + 1) * _ratio(order + 1, x)),
    text="i^{order}erfc/i^({order}−1)erfc({})",
    latex=r"\frac{{\mathrm{{i}}^{{{order}}}\operatorname{{erfc}}}}"
    r"{{\mathrm{{i}}^{{{order}-1}}\operatorname{{erfc}}}}\left({}\right)",
    teaches="The repeated integrals of erfc are each other's slopes, and so are their ratios.",
    samples=both(lambda: [case([-5.0, -0.5, 0.9, 1.1, 8.0], order=n) for n in (1, 2)]),
)  # fmt: skip

erf = special(
    "erf", lambda y, x: (2 / SQRT_PI) * np.exp(-x * x), samples=SMALL,
    teaches="The slope of erf is the bell curve 2/√π·exp(−x²).",
)  # fmt: skip
erfc = special(
    "erfc", lambda y, x: (-2 / SQRT_PI) * np.exp(-x * x), samples=SMALL,
    teaches="The slope of erfc is minus the bell curve.",
)  # fmt: skip
erfcx = special(
    "erfcx", lambda y, x: -2 * y * _ratio(1, x), samples=points(-1.5, 0.0, 0.7, 9.0),
    teaches="exp(x²)·erfc(x) falls by twice itself times the ratio of its integral to it.",
)  # fmt: skip
erfi = special(
    "erfi", lambda y, x: (2 / SQRT_PI) * np.exp(x * x), samples=SMALL,
    teaches="The slope of erfi is 2/√π·exp(x²).",
)  # fmt: skip
dawsn = special(
    "dawsn", lambda y, x: dawson(1, x), samples=SMALL,
    teaches="Dawson's integral solves y' = 1 − 2·x·y.",
)  # fmt: skip


def _inverse_bell(y: Any, tail: Any, upper: Any) -> Any:
    """√π/2·exp(y²), where erfc(|y|) is ``tail``: in the tails exp(y²) has the error of y times y²,
    and erfcx(|y|)/tail has none of it. ``upper`` says whether y is positive."""
    far = erfcx(np.where(upper, y, -y)) / tail
    return (SQRT_PI / 2) * np.where(tail < 0.5, far, np.exp(y * y))


erfinv = special(
    "erfinv", lambda y, x: _inverse_bell(y, np.where(x >= 0, 1 - x, 1 + x), x >= 0),
    samples=points(-0.9, 0.0, 0.5),
    teaches="An inverse has the reciprocal slope: √π/2·exp(y²).",
)  # fmt: skip
erfcinv = special(
    "erfcinv", lambda y, x: -_inverse_bell(y, np.where(x <= 1, x, 2 - x), x <= 1),
    samples=points(0.1, 1.0, 1.5),
    teaches="An inverse has the reciprocal slope: −√π/2·exp(y²).",
)  # fmt: skip
ndtr = special(
    "ndtr", lambda y, x: np.exp(-0.5 * x * x) / SQRT_2PI, samples=SMALL,
    teaches="The slope of the normal distribution function is the normal density.",
)  # fmt: skip


def _mills_forward(x: Any) -> Any:
    refuse_complex("mills", x)
    below = np.minimum(x, 0)
    with np.errstate(over="ignore", under="ignore"):
        above = np.exp(-0.5 * x * x) / SQRT_2PI / of_scipy("ndtr")(np.maximum(x, 0))
        return np.where(x < 0, 2 / SQRT_2PI / of_scipy("erfcx")(-below / SQRT_2), above)


mills = elementwise(
    "mills", _mills_forward, lambda y, x: -SQRT_2 * y * _ratio(1, x * (-1 / SQRT_2)),
    text="φ/Φ({})", latex=r"\frac{{\varphi}}{{\Phi}}\left({}\right)",
    samples=points(-40.0, -1.5, 0.0, 2.0),
    teaches="The normal density over its distribution function: near −x far below 0.",
)  # fmt: skip
log_ndtr = special(
    "log_ndtr", lambda y, x: mills(x), samples=points(-40.0, -2.0, 0.0, 1.3),
    teaches="The slope of log Φ is the density over Φ.",
)  # fmt: skip


def _over_density(y: Any, x: Any) -> Any:
    tail = np.where(x < 0.5, x, 1 - x)
    far = 1 / (mills(np.where(x < 0.5, y, -y)) * tail)
    return np.where(tail < 0.25, far, SQRT_2PI * np.exp(0.5 * y * y))


ndtri = special(
    "ndtri", _over_density, samples=points(0.1, 0.5, 0.9),
    teaches="An inverse has the reciprocal slope: one over the density.",
)  # fmt: skip
