"""``python -m benchmarks.accuracy``: bits of error of formulas that cancel, typed as they stand.

The 28 formulas of chapter 3 of R. W. Hamming, Numerical Methods for Scientists and Engineers
(2nd edition, 1987), which FPBench and Herbie use too, under NumPy, ``jit`` and ``jit(grad)``.
Points are doubles drawn by bit pattern, every exponent equally likely, for which the formula is a
finite real number. The truth is mpmath's; the error of a result is log2(1 + how many doubles lie
between it and the truth), 64 for nan. The derivative is that in the first variable.
"""

from __future__ import annotations

import math
import random
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

import chainrule as cr
from benchmarks.measure import table

PRECISION, STEP = 3000, 600
"""Bits of mpmath's numbers, and of the step of a difference below its argument: both keep more
than a double's digits after x**3 of the smallest x cancels."""


@dataclass(frozen=True)
class Formula:
    """``f(m, *arguments)`` with the functions of m: NumPy or mpmath."""

    name: str
    f: Callable[..., Any]
    where: Callable[..., bool] = lambda *arguments: True

    @property
    def arity(self) -> int:
        return self.f.__code__.co_argcount - 1

    def of_numpy(self) -> Callable[..., Any]:
        names = self.f.__code__.co_varnames[1 : self.arity + 1]
        made: Callable[..., Any] = eval(
            f"lambda {', '.join(names)}: f(np, {', '.join(names)})", {"f": self.f, "np": np}
        )
        return made


def _real_roots(a: float, b: float, c: float) -> bool:
    return a != 0 and b * b >= 4 * a * c


def _real_halves(a: float, b: float, c: float) -> bool:
    return a != 0 and b * b >= a * c


HAMMING = (
    Formula("3.1 roots", lambda m, x: m.sqrt(x + 1) - m.sqrt(x), lambda x: x >= 0),
    Formula("3.3 sines", lambda m, x, h: m.sin(x + h) - m.sin(x)),
    Formula("3.4 half angle", lambda m, x: (1 - m.cos(x)) / m.sin(x), lambda x: x != 0),
    Formula("3.5 arctangents", lambda m, n: m.arctan(n + 1) - m.arctan(n)),
    Formula("3.6 inverse roots", lambda m, x: 1 / m.sqrt(x) - 1 / m.sqrt(x + 1), lambda x: x > 0),
    Formula("3.7 exp less 1", lambda m, x: m.exp(x) - 1),
    Formula(
        "3.8 x log x",
        lambda m, n: (n + 1) * m.log(n + 1) - n * m.log(n) - 1,
        lambda n: n > 0,
    ),
    Formula("3.9 cotangent", lambda m, x: 1 / x - 1 / m.tan(x), lambda x: x != 0),
    Formula("3.10 logs", lambda m, x: m.log(1 - x) / m.log(1 + x), lambda x: -1 < x < 1),
    Formula("3.2.1 root +", lambda m, a, b, c: (-b + m.sqrt(b * b - a * c)) / a, _real_halves),
    Formula("3.2.1 root -", lambda m, a, b, c: (-b - m.sqrt(b * b - a * c)) / a, _real_halves),
    Formula("3.3.1 reciprocals", lambda m, x: 1 / (x + 1) - 1 / x, lambda x: x not in (0, -1)),
    Formula("3.3.2 tangents", lambda m, x, h: m.tan(x + h) - m.tan(x)),
    Formula(
        "3.3.3 three quotients",
        lambda m, x: 1 / (x + 1) - 2 / x + 1 / (x - 1),
        lambda x: x not in (0, 1, -1),
    ),
    Formula("3.3.4 cube roots", lambda m, x: (x + 1) ** (1 / 3) - x ** (1 / 3), lambda x: x >= 0),
    Formula("3.3.5 cosines", lambda m, x, h: m.cos(x + h) - m.cos(x)),
    Formula("3.3.6 logarithms", lambda m, n: m.log(n + 1) - m.log(n), lambda n: n > 0),
    Formula("3.3.7 cosh less 1", lambda m, x: m.exp(x) - 2 + m.exp(-x)),
    Formula("3.4.1 versine", lambda m, x: (1 - m.cos(x)) / (x * x), lambda x: x != 0),
    Formula(
        "3.4.2 exponentials",
        lambda m, a, b, h: h * (m.exp((a + b) * h) - 1) / ((m.exp(a * h) - 1) * (m.exp(b * h) - 1)),
        lambda a, b, h: 0 not in (a, b, h),
    ),
    Formula("3.4.3 log quotient", lambda m, h: m.log((1 - h) / (1 + h)), lambda h: -1 < h < 1),
    Formula(
        "3.4.4 root of exps",
        lambda m, x: m.sqrt((m.exp(2 * x) - 1) / (m.exp(x) - 1)),
        lambda x: x != 0,
    ),
    Formula("3.4.5 sine, tangent", lambda m, x: (x - m.sin(x)) / (x - m.tan(x)), lambda x: x != 0),
    Formula(
        "3.4.6 n-th roots",
        lambda m, x, n: (x + 1) ** (1 / n) - x ** (1 / n),
        lambda x, n: x >= 0 and n != 0,
    ),
    Formula(
        "p. 42 root +", lambda m, a, b, c: (-b + m.sqrt(b * b - 4 * a * c)) / (2 * a), _real_roots
    ),
    Formula(
        "p. 42 root -", lambda m, a, b, c: (-b - m.sqrt(b * b - 4 * a * c)) / (2 * a), _real_roots
    ),
    Formula("sec. 3.5 exp less 1", lambda m, a, x: m.exp(a * x) - 1),
    Formula("sec. 3.11 exp", lambda m, x: m.exp(x) / (m.exp(x) - 1), lambda x: x != 0),
)


class Exact:
    """mpmath under NumPy's names."""

    sqrt, exp, log, tan, arctan = mpmath.sqrt, mpmath.exp, mpmath.log, mpmath.tan, mpmath.atan
    sin, cos, sinh, cosh, tanh = mpmath.sin, mpmath.cos, mpmath.sinh, mpmath.cosh, mpmath.tanh
    log1p, expm1 = (
        staticmethod(lambda x: mpmath.log(1 + x)),
        staticmethod(lambda x: mpmath.exp(x) - 1),
    )


def double(rng: random.Random) -> float:
    """A finite double, every bit pattern equally likely."""
    while True:
        (x,) = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))
        if math.isfinite(x):
            return float(x)


@dataclass(frozen=True)
class Point:
    """Arguments, the value of a formula there, and its slope (None where it has none)."""

    arguments: tuple[float, ...]
    value: float
    slope: float | None


def points(formula: Formula, count: int, seed: int = 0) -> Iterator[Point]:
    """So many points, or fewer where most draws do not fit."""
    rng = random.Random(f"{seed} {formula.name}")
    for _ in range(100 * count):
        if count == 0:
            return
        arguments = tuple(double(rng) for _ in range(formula.arity))
        found = truth(formula, arguments)
        if found is not None:
            count -= 1
            yield Point(arguments, *found)


def truth(formula: Formula, arguments: Sequence[float]) -> tuple[float, float | None] | None:
    """The value and the slope, rounded once; None where there is no finite real value."""
    with np.errstate(all="ignore"):
        if not formula.where(*map(np.float64, arguments)):
            return None
    with mpmath.workprec(PRECISION):
        try:
            exact = [mpmath.mpf(x) for x in arguments]
            y = formula.f(Exact, *exact)
            if isinstance(y, mpmath.mpc) or not math.isfinite(float(y)):
                return None
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
    with mpmath.workprec(2 * PRECISION):
        exact = [mpmath.mpf(x) for x in arguments]
        step = mpmath.ldexp(min(abs(exact[0]), 1) or mpmath.ldexp(1, -1074), -STEP)
        try:
            up, down = (formula.f(Exact, exact[0] + h, *exact[1:]) for h in (step, -step))
            slope = (up - down) / (2 * step)
            known = not isinstance(slope, mpmath.mpc) and math.isfinite(float(slope))
        except (ValueError, ZeroDivisionError, OverflowError):
            known = False
        return float(y), float(slope) if known else None


def ordinal(x: float) -> int:
    """The place of a double among all doubles."""
    (i,) = struct.unpack("<q", struct.pack("<d", x))
    return i if i >= 0 else -(i & 0x7FFFFFFFFFFFFFFF)


def ulps(found: Any, true: float) -> int:
    """How many doubles lie between a result and the truth."""
    return 2**64 - 1 if math.isnan(found) else abs(ordinal(float(found)) - ordinal(true))


def errors(
    formula: Formula, count: int, seed: int = 0, executor: str | None = None
) -> dict[str, list[int]]:
    """The errors at each point in ulps, of values and slopes, by NumPy and compiled."""
    f = formula.of_numpy()
    value, slope = cr.jit(f, executor=executor), cr.jit(cr.grad(f), executor=executor)
    typed = cr.grad(f)
    found: dict[str, list[int]] = {"numpy": [], "jit": [], "grad": [], "jit(grad)": []}
    with np.errstate(all="ignore"):
        for point in points(formula, count, seed):
            xs = tuple(map(np.float64, point.arguments))
            found["numpy"].append(ulps(f(*xs), point.value))
            found["jit"].append(ulps(value(*xs), point.value))
            if point.slope is not None:
                found["grad"].append(ulps(typed(*xs), point.slope))
                found["jit(grad)"].append(ulps(slope(*xs), point.slope))
    return found


def mean_bits(found: Sequence[int]) -> float:
    return sum(math.log2(1 + x) for x in found) / max(1, len(found))


def main(count: int = 200) -> None:
    rows = []
    for formula in HAMMING:
        found = errors(formula, count)
        rows.append([formula.name, *(f"{mean_bits(x):.1f}" for x in found.values())])
    means = [sum(float(row[k]) for row in rows) / len(rows) for k in range(1, 5)]
    rows.append(["mean", *(f"{x:.1f}" for x in means)])
    print(f"mean bits of error at {count} points a formula")
    table(["formula", "NumPy", "jit", "grad", "jit(grad)"], rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
