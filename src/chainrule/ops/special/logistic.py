"""The logistic function, its logarithm, its inverse and its slope."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.traced import Traced
from chainrule.ops.elementwise import elementwise
from chainrule.ops.samples import points
from chainrule.ops.special.registering import SMALL, WIDE, special


def _bell(x: Any, scale: int) -> Any:
    """e/(1 + e)² for e = exp(-scale·|x|), to full precision also where a sigmoid saturates."""
    e = np.exp(np.where(np.real(x) < 0, x, -x) * scale)
    return np.asarray(e / ((1 + e) * (1 + e)))


logistic_slope = elementwise(
    "logistic_slope", lambda y, x: _bell(x, 1), None, lambda s, y, x: -s * np.tanh(0.5 * x),
    text="{0} · (1 − {0})", latex=r"{0} \left(1 - {0}\right)",
    samples=points((0.5, 0.0), (0.7, 1.0), (0.1, -3.0), (1.0, 40.0)),
    teaches="The slope of the logistic function, itself steepest where it is 1/4·(1 ± 1/√3).",
)  # fmt: skip
"""σ(x)·σ(−x), which y·(1 − y) for y = σ(x) is; only the notation reads y."""

tanh_slope = elementwise(
    "tanh_slope", lambda y, x: 4 * _bell(x, 2), None, lambda s, y, x: -2 * np.tanh(x) * s,
    text="1 − {0}²", latex=r"1 - {0}^{{2}}",
    samples=points((0.0, 0.0), (0.7, 0.9), (-0.99, -3.0), (1.0, 25.0)),
    teaches="The slope of tanh: one minus its value squared, near 0 when saturated.",
)  # fmt: skip
"""4·σ(2x)·σ(−2x), which 1 − y² for y = tanh(x) is; only the notation reads y."""


def _slope(y: Traced, x: Traced) -> Traced:
    return logistic_slope(y, x)


logistic = special(
    "logistic", _slope, scipy_name="expit",
    complex_form=lambda x: 1 / (1 + np.exp(-x)),
    text="σ({})", latex=r"\sigma\left({}\right)", samples=WIDE, analytic=True,
    teaches="The slope of the logistic function is y·(1 − y): at most 1/4, near 0 when saturated.",
)  # fmt: skip
log_logistic = special(
    "log_logistic", lambda y, x: logistic(-x), scipy_name="log_expit",
    complex_form=lambda x: -np.log1p(np.exp(-x)),
    text="log σ({})", latex=r"\log\sigma\left({}\right)", samples=SMALL,
    teaches="The slope of log σ(x) is σ(−x): what is missing to certainty.",
)  # fmt: skip
logit = special(
    "logit", lambda y, x: 1 / (x * (1 - x)), complex_form=lambda x: np.log(x / (1 - x)),
    samples=points(0.01, 0.3, 0.5, 0.9), teaches="The log-odds steepen as 1/(x·(1 − x)).",
)  # fmt: skip
