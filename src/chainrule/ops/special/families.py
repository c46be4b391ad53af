"""Functions with all their derivatives, each computed without cancellation: one primitive a family,
whose ``order`` counts the derivatives, so that the slope of each is the next."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss

from chainrule.ops.samples import both, case
from chainrule.ops.special.registering import of_order, of_scipy

# (exp(x) − 1)/x and log(x)/(x − 1) --------------------------------------------------------


def _exprel_forward(n: int, x: Any) -> Any:
    """∫ sⁿ·exp(x·s) over [0, 1]: a series of positive terms, or, far out, integration by parts."""
    x = x.astype(np.float64)
    near = np.where(np.abs(x) < 20 + n, np.abs(x), 0)
    rising, falling = 1.0, 1.0 / (n + 1)  # x^k/k! and |x|^k·n!/(n+k+1)!
    above, below = np.zeros_like(near), np.zeros_like(near)
    for k in range(100 + 4 * n):
        above, below = above + rising / (k + n + 1), below + falling
        rising, falling = rising * near / (k + 1), falling * near / (n + k + 2)
    far = np.where(np.abs(x) < 20 + n, 1, x)
    with np.errstate(all="ignore"):
        outside = np.expm1(far) / far
        for k in range(1, n + 1):
            outside = np.where(far == -np.inf, 0, (np.exp(far) - k * outside) / far)
        inside = np.where(x < 0, np.exp(x) * below, above)
    return np.where(np.abs(x) < 20 + n, inside, outside)


exprel = of_order(
    "exprel", _exprel_forward, lambda y, x, order: exprel(order + 1, x),
    text="exprel⁽{order}⁾({})", latex=r"\operatorname{{exprel}}^{{({order})}}\left({}\right)",
    teaches="(exp(x) − 1)/x is smooth at 0 too, where its slope is 1/2.",
    samples=both(lambda: [case([-30.0, -1.0, 0.0, 0.5, 3.0], order=n) for n in (0, 1, 2)]),
)  # fmt: skip


def _logrel_forward(n: int, x: Any) -> Any:
    """By the series around 1, or by the product with x − 1."""
    x = x.astype(np.float64)
    u, near = x - 1, np.abs(x - 1) < 0.4
    small, power = np.where(near, u, 0), 1.0
    series = np.zeros_like(u)
    for k in range(50 + 6 * n):  # of log(1 + u)/u, Σ (−u)^k/(k+1), differentiated term by term
        factor = math.factorial(k + n) / math.factorial(k) / (k + n + 1)
        series, power = series + (-1) ** (k + n) * factor * power, power * small
    far = np.where(near, 2, x)
    with np.errstate(all="ignore"):
        outside = np.log(far) / (far - 1)
        for k in range(1, n + 1):
            term = (-1) ** (k - 1) * math.factorial(k - 1) / far**k
            outside = (term - k * outside) / (far - 1)
    return np.where(near, series, outside)


logrel = of_order(
    "logrel", _logrel_forward, lambda y, x, order: logrel(order + 1, x),
    text="logrel⁽{order}⁾({})", latex=r"\operatorname{{logrel}}^{{({order})}}\left({}\right)",
    teaches="log(x)/(x − 1) is smooth at 1 too, where it is 1.",
    samples=both(lambda: [case([0.1, 0.9, 1.0, 1.3, 5.0], order=n) for n in (0, 1, 2)]),
)  # fmt: skip

# Dawson's integral ------------------------------------------------------------------------

STEP, FARTHEST, BITS = 4, 8, 400
"""Dawson's integral is expanded around multiples of 1/STEP up to FARTHEST; its derivatives there
come from its power series in whole numbers of so many bits, which is exact."""


@cache
def _dawson_at(count: int) -> np.ndarray:
    """The first derivatives over k!, k < count, one row for each center."""
    rows = []
    for center in range(STEP * FARTHEST + 1):
        one = 1 << BITS
        term = total = one * center // STEP
        k = 1
        while abs(term) > 1:  # D(x) = Σ (−2)^k x^(2k+1)/(2k+1)!!
            term = -term * 2 * center * center // (STEP * STEP * (2 * k + 1))
            total, k = total + term, k + 1
        row = [total, one - 2 * total * center // STEP]
        for n in range(1, count - 1):  # D⁽ⁿ⁺¹⁾ = −2x·D⁽ⁿ⁾ − 2n·D⁽ⁿ⁻¹⁾
            row.append(-2 * row[n] * center // STEP - 2 * n * row[n - 1])
        rows.append([value / one / math.factorial(n) for n, value in enumerate(row)])
    return np.array(rows)


def _dawson_forward(n: int, x: Any) -> Any:
    """Taylor's series around the nearest center; beyond, the asymptotic one, term by term."""
    x = x.astype(np.float64)
    size, sign = np.abs(x), np.where(np.signbit(x), -1.0, 1.0) ** (n + 1)
    near = np.minimum(size, FARTHEST)
    center = np.where(np.isnan(near), 0, np.rint(near * STEP)).astype(int)
    terms = 24
    table, h, at = _dawson_at(n + terms), near - center / STEP, center.reshape(-1)
    inside = np.zeros_like(size)
    for k in range(terms - 1, -1, -1):
        weight = math.factorial(n + k) / math.factorial(k)
        entry = np.take_along_axis(table[:, n + k], at, 0).reshape(center.shape)
        inside = inside * h + weight * entry
    far = np.maximum(size, FARTHEST)
    with np.errstate(all="ignore"):
        term = (-1) ** n * math.factorial(n) / (2 * far) / far**n
        outside = np.zeros_like(size)
        for k in range(30):  # Σ (2k−1)!!/2^(k+1)/x^(2k+1)
            outside = outside + term
            grown = (2 * k + n + 1) * (2 * k + n + 2) / ((2 * k + 1) * (2 * k + 2))
            term = term * ((2 * k + 1) * grown / (2 * far)) / far
    return sign * np.where(size > FARTHEST, outside, inside)


dawson = of_order(
    "dawson", _dawson_forward, lambda y, x, order: dawson(order + 1, x),
    text="D⁽{order}⁾({})", latex=r"D^{{({order})}}\left({}\right)",
    teaches="Dawson's integral has the slope 1 − 2x·D(x), near −1/(2x²) far out.",
    samples=both(lambda: [case([-9.0, -0.4, 0.0, 1.1, 30.0], order=n) for n in (0, 1, 2)]),
)  # fmt: skip

# exp(−|x|)·I ------------------------------------------------------------------------------


def _ive_forward(v: float, n: int, x: Any) -> Any:
    """By differences of neighbouring orders where they don't cancel, else by the integral
    1/π ∫ exp(x·(cos t − 1))·(cos t − 1)ⁿ·cos(v·t) over [0, π] (Abramowitz and Stegun 9.6.20), and
    far out by Hankel's expansion (9.7.1), term by term."""
    x = np.asarray(x, np.float64)
    size = np.abs(x)
    with np.errstate(all="ignore"):
        found = sum((-1) ** k * math.comb(2 * n, k) * of_scipy("ive")(v + n - k, size)
                    for k in range(2 * n + 1)) / 2**n  # fmt: skip
        if n and v >= 0:
            found = np.where(size > max(v, 1), _ive_integral(v, n, size), found)
            far = np.maximum(size, max(60, 4 * v * v))
            found = np.where(size >= far, _ive_expansion(v, n, far), found)
    if n == 1:  # e^−|x| has no slope at 0; that of I is left
        found = np.where(size == 0, found + of_scipy("ive")(v, size), found)
    elif n:
        found = np.where(size == 0, np.nan, found)
    return np.where(x < 0, (-1.0) ** (v + n) if v == int(v) else np.nan, 1) * found


_quadrature = cache(leggauss)  # its nodes are the eigenvalues of a matrix


def _ive_integral(v: float, n: int, x: Any) -> Any:
    nodes, plain = _quadrature(160)
    t = (nodes + 1) * (math.pi / 2)
    fall = -2 * np.sin(t / 2) ** 2
    weights = plain * fall**n * np.cos(v * t) / 2
    found = sum(w * np.exp(x * c) for w, c in zip(weights, fall, strict=True))
    if v == int(v):
        return found
    t = (nodes + 1) * 3.5  # the rest of a function of no whole order; cosh(7) is over 500
    weights = plain * 3.5 * np.exp(-v * t) * (-1 - np.cosh(t)) ** n
    rest = sum(w * np.exp(x * (-1 - c)) for w, c in zip(weights, np.cosh(t), strict=True))
    return found - math.sin(v * math.pi) / math.pi * rest


def _ive_expansion(v: float, n: int, x: Any) -> Any:
    term, total = 1 / np.sqrt(2 * math.pi * x), np.zeros_like(x)
    for j in range(n):
        term = term * (-(j + 0.5)) / x
    for k in range(40):
        total = total + term
        grown = (k + n + 0.5) / (k + 0.5)
        term = -term * (4 * v * v - (2 * k + 1) ** 2) / (8 * (k + 1)) * grown / x
    return total


ive = of_order(
    "ive", _ive_forward, lambda y, x, order: ive(order[0], order[1] + 1, x),
    text="exp(−|x|)·I⁽{order}⁾({})", latex=r"\left(e^{{-|x|}} I\right)^{{{order}}}\left({}\right)",
    teaches="The scaled Bessel function rises as half its neighbours do, and falls by itself.",
    samples=both(
        lambda: [case([0.5, 1.0, 4.0, 300.0], order=order) for order in ((2, 0), (0, 1), (2.5, 1))]
    ),
)  # fmt: skip
