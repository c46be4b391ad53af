"""Powers, exponential integrals, Lambert's W."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from chainrule.core.dispatch import SCIPY_UFUNCS
from chainrule.ops.coerce import lift, plain, recording_of, refuse_complex
from chainrule.ops.samples import both, case, points
from chainrule.ops.special.families import exprel, logrel
from chainrule.ops.special.registering import LN10, SMALL, of_order, of_scipy, special
from chainrule.ops.structure import cast

exp10 = special(
    "exp10", lambda y, x: y * LN10, complex_form=lambda x: np.power(10.0, x), samples=SMALL,
    teaches="10^x grows by its value times log 10.",
)  # fmt: skip


def _power_slope(p: Any, log: Any) -> Any:
    """d/dλ of (exp(λ·log) − 1)/λ, which is log·exprel(λ·log)."""
    return log * (log * exprel(1, p * log))


boxcox = special(
    "boxcox", lambda y, x, p: x ** (p - 1), lambda y, x, p: _power_slope(p, np.log(x)),
    complex_form=lambda x, p: np.expm1(p * np.log(x)) / p,
    samples=points((0.5, 2.0), (1.5, 0.25), (4.0, -1.0)),
    teaches="The Box-Cox transform (x^λ − 1)/λ has the slope of a power, and of log at λ = 0.",
)  # fmt: skip
boxcox1p = special(
    "boxcox1p",
    lambda y, x, p: np.exp((p - 1) * np.log1p(x)),
    lambda y, x, p: _power_slope(p, np.log1p(x)),
    complex_form=lambda x, p: np.expm1(p * np.log1p(x)) / p,
    samples=points((0.5, 2.0), (1.5, 0.25), (-0.5, -1.0)),
    teaches="The Box-Cox transform of 1 + x, exact for small x too.",
)  # fmt: skip
expi = special(
    "expi", lambda y, x: np.exp(x) / x, samples=points(-2.0, 0.5, 3.0),
    complex_form=partial(refuse_complex, "expi"),
    teaches="The slope of the exponential integral Ei is exp(x)/x.",
)  # fmt: skip
exp1 = special(
    "exp1", lambda y, x: -np.exp(-x) / x, samples=points(0.2, 0.5, 3.0),
    teaches="The slope of the exponential integral E₁ is −exp(−x)/x.",
)  # fmt: skip
expn = of_order(
    "expn", of_scipy("expn"),
    lambda y, x, order: -expn(float(order - 1), x) if order else -y * (1 + 1 / x),  # in x's dtype
    scipy_name="expn",
    text="E_{order}({})", latex=r"E_{{{order}}}\left({}\right)",
    teaches="The slope of an exponential integral is minus the one of the order before.",
    samples=both(lambda: [case([0.5, 1.0, 4.0], order=n) for n in (0, 1, 2)]),
)  # fmt: skip


def _lambertw_forward(branch: int, x: Any) -> Any:
    """The real branch, NaN where W is complex."""
    w = of_scipy("lambertw")(x, branch)
    return np.where(np.imag(w) == 0, np.real(w), np.nan)


_lambertw = of_order(
    "lambertw", _lambertw_forward, lambda y, x, order: np.exp(-y) / (1 + y),
    text="W_{order}({})", latex=r"W_{{{order}}}\left({}\right)",
    teaches="W solves w·exp(w) = x, so its slope is exp(−w)/(1 + w).",
    samples=both(lambda: [case([-0.2, 0.0, 1.5, 30.0], order=0), case([-0.3, -0.01], order=-1)]),
)  # fmt: skip


def lambertw(z: Any, k: Any = 0, tol: float = 1e-8) -> Any:
    """``scipy.special.lambertw`` as the real number that it is for real z on its branches 0 and
    −1, in float64; NaN where it is complex."""
    return _lambertw(k, cast(lift(plain(z), recording_of((z,))), np.float64))


spence = special(
    "spence", lambda y, x: -logrel(0, x),
    samples=points(0.3, 0.9, 2.5), teaches="The slope of Spence's integral is log(x)/(1 − x).",
)  # fmt: skip

SCIPY_UFUNCS["_lambertw"] = lambertw
