"""The gamma function's family: its logarithm and derivatives, beta, binomials, incomplete ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.core.dispatch import SCIPY_UFUNCS
from chainrule.core.node import Primitive
from chainrule.core.rules import Elementwise
from chainrule.core.traced import Traced
from chainrule.ops.coerce import in_scipys_loop, refuse_complex, scalar_like
from chainrule.ops.samples import both, case, points
from chainrule.ops.special.registering import (
    POSITIVE,
    float_type,
    of_order,
    of_scipy,
    special,
)

PAIRS = points((0.5, 2.0), (1.5, 0.25))

gammaln = special(
    "gammaln", lambda y, x: digamma(x), samples=POSITIVE, complex_form=of_scipy("loggamma"),
    teaches="The slope of log Γ is the digamma function.",
)  # fmt: skip


def _gammasgn(x: Any) -> Any:
    """The sign of Γ, which turns at every whole number below 0; at those, SciPy's."""
    (x,) = in_scipys_loop("gammasgn", (x,))
    poles, zeros = of_scipy("gammasgn")([-1.0]), of_scipy("gammasgn")([0.0, -0.0])
    whole = np.floor(x)
    sign = np.where((x > 0) | (whole % 2 == 0), x.dtype.type(1), x.dtype.type(-1))
    sign = np.where((whole == x) & (x < 0), x.dtype.type(poles[0]), sign)
    zero = np.where(np.signbit(x), x.dtype.type(zeros[1]), x.dtype.type(zeros[0]))
    return np.where(np.isnan(x), x, np.where(x == 0, zero, sign))


SCIPY_UFUNCS["gammasgn"] = _gammasgn
gamma = special(
    "gamma", lambda y, x: y * digamma(x), samples=points(0.3, 1.0, 2.5, 6.0),
    teaches="The slope of Γ is Γ times digamma.",
)  # fmt: skip


def _rgamma_slope(y: Traced, x: Traced) -> Any:
    """−ψ(x)/Γ(x); left of 1/2 by reflection, since digamma has poles where 1/Γ is 0."""
    left = x < 0.5
    z = np.where(left, 1 - x, scalar_like(x, 0.5))
    nearest = np.round(x)
    turned = np.pi * (x - nearest)
    sign = np.where(nearest % 2 == 0, scalar_like(x, 1), scalar_like(x, -1))
    mirrored = gamma(z) * (sign * (np.cos(turned) - digamma(z) * np.sin(turned) / np.pi))
    return np.where(left, mirrored, -y * digamma(np.where(left, z, x)))


rgamma = special(
    "rgamma", _rgamma_slope, samples=points(0.3, 1.0, 2.5, 6.0),
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


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def _rise_forward(x: Any, z: Any, *, order: int) -> Any:
    """ψ⁽ⁿ⁾(x + z) − ψ⁽ⁿ⁾(x), each term of the recurrence and of the asymptotic series (Abramowitz
    and Stegun 6.4.6, 6.4.11) as a difference of powers that does not cancel."""
    refuse_complex("polygamma_rise", x)
    dtype, n = np.result_type(x, z), order
    x, z = np.asarray(x, np.float64), np.asarray(z, np.float64)
    with np.errstate(all="ignore"):
        shifts = 20 + n
        far, growth = x + shifts, np.log1p(z / (x + shifts))

        def power(base: Any, p: int, growth: Any) -> Any:
            """(base + z)^−p − base^−p."""
            return base**-p * np.expm1(-p * growth)

        found = power(far, n + 1, growth) * math.factorial(n) / 2
        found = found + (power(far, n, growth) * math.factorial(n - 1) if n else -growth)
        for j, number in enumerate(BERNOULLI, 1):
            weight = number * math.factorial(2 * j + n - 1) / math.factorial(2 * j)
            found = found + weight * power(far, 2 * j + n, growth)
        for k in range(shifts):
            found = found + math.factorial(n) * power(x + k, n + 1, np.log1p(z / (x + k)))
        plain = of_scipy("polygamma")(n, x + z) - of_scipy("polygamma")(n, x)
    smooth = (x > 0) & (x + z > 0)
    return np.where(smooth, found if n % 2 else -found, plain).astype(dtype)


_polygamma_rise = Primitive(
    "polygamma_rise",
    forward=_rise_forward,
    infer=lambda x, z, order: float_type(x),
    rule=Elementwise(
        (
            lambda y, x, z, order: _polygamma_rise(x, z, order=order + 1),
            lambda y, x, z, order: polygamma(order + 1, x + z),
        )
    ),
    text="(ψ⁽{order}⁾({0} + {1}) − ψ⁽{order}⁾({0}))",
    latex=r"\left(\psi^{{({order})}}({0} + {1}) - \psi^{{({order})}}({0})\right)",
    teaches="How much a polygamma rises from x to x + z.",
    samples=both(lambda: [case([0.5, 1.5, 9.0], [2.0, 0.25, 1e-3], order=n) for n in (0, 1)]),
)


def _rise(x: Traced, z: Traced) -> Traced:
    """ψ(x + z) − ψ(x), also where z is far smaller than x."""
    return _polygamma_rise(x, z, order=0)


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


def _gamma_density(y: Traced, x: Traced, *, order: float) -> Any:
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
