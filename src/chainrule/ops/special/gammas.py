"""The gamma function's family: its logarithm and derivatives, beta, binomials, incomplete ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.traced import Traced
from chainrule.ops.samples import both, case, points
from chainrule.ops.special.registering import (
    POSITIVE,
    of_order,
    of_scipy,
    special,
)

PAIRS = points((0.5, 2.0), (1.5, 0.25))

gammaln = special(
    "gammaln", lambda y, x: digamma(x), samples=POSITIVE, complex_form=of_scipy("loggamma"),
    teaches="The slope of log Γ is the digamma function.",
)  # fmt: skip
gamma = special(
    "gamma", lambda y, x: y * digamma(x), samples=points(0.3, 1.0, 2.5, 6.0),
    teaches="The slope of Γ is Γ times digamma.",
)  # fmt: skip
rgamma = special(
    "rgamma", lambda y, x: -y * digamma(x), samples=points(0.3, 1.0, 2.5, 6.0),
    teaches="The slope of 1/Γ is minus itself times digamma.",
)  # fmt: skip
digamma = special(
    "digamma", lambda y, x: polygamma(1, x), scipy_name="psi", samples=POSITIVE,
    teaches="The slope of digamma is polygamma(1), trigamma.",
)  # fmt: skip
_polygamma = of_order(
    "polygamma", of_scipy("polygamma"), lambda y, x, order: polygamma(order + 1, x),
    text="ψ⁽{order}⁾({})", latex=r"\psi^{{({order})}}\left({}\right)",
    teaches="Each polygamma is the slope of the one before.",
    samples=both(lambda: [case([0.5, 1.0, 4.0], order=n) for n in (1, 2)]),
)  # fmt: skip
zeta = of_order(
    "zeta", of_scipy("zeta"), lambda y, x, order: -order * zeta(order + 1, x), scipy_name="_zeta",
    text="ζ({order}, {})", latex=r"\zeta\left({order}, {}\right)",
    teaches="The slope of Hurwitz's ζ(s, q) in q is −s·ζ(s + 1, q).",
    samples=both(lambda: [case([0.5, 1.0, 4.0], order=2), case([0.5, 4.0], order=2.5)]),
)  # fmt: skip


def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of digamma, element by element; ``n`` is an integer >= 1 or 0."""
    return digamma(x) if n == 0 else _polygamma(n, x)


def _rise(x: Traced, z: Traced) -> Traced:
    """ψ(x + z) − ψ(x)."""
    return digamma(x + z) - digamma(x)


betaln = special(
    "betaln", lambda y, x, z: -_rise(x, z), lambda y, x, z: -_rise(z, x), samples=PAIRS,
    teaches="log B(x, z) is log Γ(x)Γ(z)/Γ(x+z).",
)  # fmt: skip
beta = special(
    "beta", lambda y, x, z: -y * _rise(x, z), lambda y, x, z: -y * _rise(z, x), samples=PAIRS,
    teaches="B(x, z) is Γ(x)Γ(z)/Γ(x+z).",
)  # fmt: skip
binom = special(
    "binom",
    lambda y, n, k: y * _rise(n - k + 1, k),
    lambda y, n, k: y * (digamma(n - k + 1) - digamma(k + 1)),
    samples=points((5.0, 2.0), (3.5, 1.25)),
    teaches="A binomial coefficient is Γ(n+1)/(Γ(k+1)·Γ(n−k+1)).",
)  # fmt: skip
poch = special(
    "poch",
    lambda y, x, m: y * _rise(x, m), lambda y, x, m: y * digamma(x + m),
    samples=points((5.0, 2.0), (3.5, 1.25)), teaches="The rising factorial is Γ(x+m)/Γ(x).",
)  # fmt: skip


def _gamma_density(y: Traced, x: Traced, *, order: float) -> Traced:
    return np.exp((order - 1) * np.log(x) - x - _log_gamma(order))


def _beta_density(y: Traced, x: Traced, *, order: tuple[float, float]) -> Traced:
    a, b = order
    scale = _log_gamma(a + b) - _log_gamma(a) - _log_gamma(b)
    return np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) + scale)


def _log_gamma(a: float) -> float:
    return float(of_scipy("gammaln")(a))


_GAMMAS = both(lambda: [case([0.5, 1.0, 4.0], order=a) for a in (2, 0.5)])
_BETAS = both(lambda: [case([0.1, 0.5, 0.8], order=ab) for ab in ((2, 3), (0.5, 0.5))])

gammainc = of_order(
    "gammainc", of_scipy("gammainc"), _gamma_density, scipy_name="gammainc",
    text="P({order}, {})", latex=r"P\left({order}, {}\right)", samples=_GAMMAS,
    teaches="In x it is a distribution function: its slope is the density.",
)  # fmt: skip
gammaincc = of_order(
    "gammaincc", of_scipy("gammaincc"), lambda y, x, order: -_gamma_density(y, x, order=order),
    scipy_name="gammaincc", text="Q({order}, {})", latex=r"Q\left({order}, {}\right)",
    samples=_GAMMAS, teaches="One minus a distribution function falls by the density.",
)  # fmt: skip
betainc = of_order(
    "betainc", of_scipy("betainc"), _beta_density, scipy_name="betainc",
    text="I_{}({order})", latex=r"I_{{{}}}{order}", samples=_BETAS,
    teaches="In x it is a distribution function: its slope is the density.",
)  # fmt: skip
betaincc = of_order(
    "betaincc", of_scipy("betaincc"), lambda y, x, order: -_beta_density(y, x, order=order),
    scipy_name="betaincc", text="1 − I_{}({order})", latex=r"1 - I_{{{}}}{order}", samples=_BETAS,
    teaches="One minus a distribution function falls by the density.",
)  # fmt: skip
