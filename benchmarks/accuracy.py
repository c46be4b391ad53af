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


def _lifted(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f of a number, or of each entry of an array of mpmath's numbers."""

    def of(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return f(x)
        return np.array([f(v) for v in x.ravel()], object).reshape(x.shape)

    return staticmethod(of)


class Exact:
    """mpmath under NumPy's names."""

    sqrt, exp, log = _lifted(mpmath.sqrt), _lifted(mpmath.exp), _lifted(mpmath.log)
    sin, cos, tan = _lifted(mpmath.sin), _lifted(mpmath.cos), _lifted(mpmath.tan)
    sinh, cosh, tanh = _lifted(mpmath.sinh), _lifted(mpmath.cosh), _lifted(mpmath.tanh)
    arctan, arcsin, arccos = _lifted(mpmath.atan), _lifted(mpmath.asin), _lifted(mpmath.acos)
    log1p = _lifted(lambda x: mpmath.log(1 + x))
    expm1 = _lifted(lambda x: mpmath.exp(x) - 1)
    exp2 = _lifted(lambda x: mpmath.power(2, x))
    log2, log10 = _lifted(lambda x: mpmath.log(x, 2)), _lifted(lambda x: mpmath.log(x, 10))
    cbrt = _lifted(lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)))
    square, abs = _lifted(lambda x: x * x), staticmethod(abs)
    pi = mpmath.pi

    @staticmethod
    def power(x: Any, n: Any) -> Any:
        return x**n

    @staticmethod
    def stack(parts: Sequence[Any]) -> np.ndarray:
        return np.array(parts, object)

    sum, mean, prod, dot = map(staticmethod, (np.sum, np.mean, np.prod, np.dot))


def double(rng: random.Random) -> float:
    """A finite double, every bit pattern equally likely."""
    while True:
        (x,) = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))
        if math.isfinite(x):
            return float(x)


def single(rng: random.Random) -> float:
    """The same of float32."""
    while True:
        (x,) = struct.unpack("<f", struct.pack("<L", rng.getrandbits(32)))
        if math.isfinite(x):
            return float(x)


def moderate(rng: random.Random) -> float:
    """A number between 1e-4 and 1e4 of either sign, every exponent equally likely, that a float32
    holds."""
    x = 10 ** rng.uniform(-4, 4)
    return float(np.float32(x if rng.random() < 0.5 else -x))


DRAWS = {"double": double, "single": single, "moderate": moderate}


@dataclass(frozen=True)
class Point:
    """Arguments, the value of a formula there, and its slopes (None where it has none)."""

    arguments: tuple[float, ...]
    value: float
    slopes: tuple[float | None, ...]


def points(
    formula: Formula, count: int, seed: int = 0, draw: str = "double", first_only: bool = True
) -> Iterator[Point]:
    """So many points, or fewer where most draws do not fit."""
    rng = random.Random(f"{seed} {formula.name}")
    for k in range(100 * count):
        if count == 0:
            return
        arguments = [DRAWS[draw](rng) for _ in range(formula.arity)]
        if draw == "moderate" and k % 3 == 2:  # all near the first, where differences cancel
            nearness = 1 + rng.choice((1e-6, 1e-4, 1e-2)) * rng.uniform(-1, 1)
            arguments = [
                float(np.float32(arguments[0] * nearness**i)) for i in range(formula.arity)
            ]
        found = truth(formula, arguments, 1 if first_only else formula.arity)
        if found is not None:
            count -= 1
            yield Point(tuple(arguments), *found)


def truth(
    formula: Formula, arguments: Sequence[float], slopes: int = 1
) -> tuple[float, tuple[float | None, ...]] | None:
    """The value and so many first slopes, rounded once; None where there is no finite real
    value."""
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
    return float(y), tuple(_slope(formula, arguments, k) for k in range(slopes))


def _slope(formula: Formula, arguments: Sequence[float], k: int) -> float | None:
    """The derivative in the k-th argument by a central difference."""
    with mpmath.workprec(2 * PRECISION):
        exact = [mpmath.mpf(x) for x in arguments]
        h = mpmath.ldexp(min(abs(exact[k]), 1) or mpmath.ldexp(1, -1074), -STEP)
        try:
            up, down = (
                formula.f(Exact, *exact[:k], exact[k] + d, *exact[k + 1 :]) for d in (h, -h)
            )
            slope = (up - down) / (2 * h)
            known = not isinstance(slope, mpmath.mpc) and math.isfinite(float(slope))
            return float(slope) if known else None
        except (ValueError, ZeroDivisionError, OverflowError):
            return None


def ordinal(x: float, dtype: Any = np.float64) -> int:
    """The place of a float among all of its dtype."""
    bits = 8 * np.dtype(dtype).itemsize
    with np.errstate(over="ignore"):
        i = int(dtype(x).view(f"i{bits // 8}"))
    return i if i >= 0 else -(i & (2 ** (bits - 1) - 1))


def ulps(found: Any, true: float, dtype: Any = np.float64) -> int:
    """How many floats lie between a result and the truth."""
    if math.isnan(found):
        return 2 ** (8 * np.dtype(dtype).itemsize) - 1
    return abs(ordinal(float(found), dtype) - ordinal(true, dtype))


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
            if point.slopes[0] is not None:
                found["grad"].append(ulps(typed(*xs), point.slopes[0]))
                found["jit(grad)"].append(ulps(slope(*xs), point.slopes[0]))
    return found


@dataclass(frozen=True)
class Verdict:
    """Errors in ulps, as typed and stable, at one point."""

    typed: int
    stable: int
    true: float
    arguments: tuple[float, ...]


@dataclass(frozen=True)
class Judgement:
    """The verdicts on a value, or on all slopes, at many points."""

    found: tuple[Verdict, ...]
    dtype: Any

    def worse(self, ulps: int = 1, bits: float = 0.0) -> list[Verdict]:
        """Where the stable form has more than so many ulps and bits of error more than what was
        typed, the worst first; not where what was typed has no digit right."""
        digits = 2 ** (np.finfo(self.dtype).nmant - 1)
        found = [
            one
            for one in self.clear
            if one.typed < digits and one.stable > one.typed + ulps
            if math.log2(1 + one.stable) > math.log2(1 + one.typed) + bits
        ]
        return sorted(found, key=lambda one: one.typed - one.stable)

    @property
    def clear(self) -> list[Verdict]:
        """Those on results that are not so small that digits of their factors underflow."""
        info = np.finfo(self.dtype)
        return [one for one in self.found if abs(one.true) > float(info.tiny / info.eps)]

    @property
    def typed(self) -> float:
        return mean_bits([one.typed for one in self.clear])

    @property
    def stable(self) -> float:
        return mean_bits([one.stable for one in self.clear])


def judge(
    formula: Formula, count: int, draw: str = "double", executor: str | None = None, seed: int = 0
) -> tuple[Judgement, Judgement]:
    """Values and slopes in all arguments under ``jit``, against the formula as typed."""
    f, slots = formula.of_numpy(), tuple(range(formula.arity))
    dtype: Any = np.float32 if draw == "single" else np.float64
    value, typed = cr.jit(f, executor=executor), cr.grad(f, argnums=slots)
    slope = cr.jit(typed, executor=executor)
    values: list[Verdict] = []
    slopes: list[Verdict] = []

    def judged(into: list[Verdict], a: Any, b: Any, true: float | None) -> None:
        if true is not None and abs(true) <= np.finfo(dtype).max:
            found = ulps(a, true, dtype), ulps(b, true, dtype)
            into.append(Verdict(*found, true, point.arguments))

    with np.errstate(all="ignore"):
        for point in points(formula, count, seed, draw, first_only=False):
            xs = tuple(map(dtype, point.arguments))
            judged(values, f(*xs), value(*xs), point.value)
            for a, b, true in zip(typed(*xs), slope(*xs), point.slopes, strict=True):
                judged(slopes, a, b, true)
    return Judgement(tuple(values), dtype), Judgement(tuple(slopes), dtype)


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
