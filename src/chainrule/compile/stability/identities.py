"""Identities for f(p) - f(q) by d = p - q, one a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

from chainrule.compile.patterns import apply, constant_like
from chainrule.compile.stability.terms import (
    Terms,
    added,
    cancels,
    choose,
    difference,
    flat,
    meaning,
    scaled,
    total,
)
from chainrule.core.traced import Traced

LN2, LN10 = 0.6931471805599453, 2.302585092994046


@dataclass(frozen=True, slots=True)
class Pair:
    """f(p) = ``u`` and f(q) = ``v`` with ``d`` = p - q; ``second`` is an exponent they share."""

    u: Traced
    v: Traced
    p: Traced
    q: Traced
    terms: Terms
    second: Traced | float | None = None

    @property
    def d(self) -> Traced:
        return total(self.terms, self.u)

    @property
    def middle(self) -> Traced:
        """(p + q) / 2"""
        both = added(flat(self.p), flat(self.q))
        return total(scaled(both, Fraction(1, 2)), self.u)


def sine(x: Traced) -> Traced:
    return apply("sin", x)


def cosine(x: Traced) -> Traced:
    return apply("cos", x)


def cosine_minus_1(x: Traced) -> Traced:
    half = sine(0.5 * x)
    return -2.0 * (half * half)


def _turned(pair: Pair) -> tuple[Traced, Traced, bool]:
    """The argument to turn from, by how much, and whether that is p: what has fewer terms is
    known exactly, while the other has been rounded to an angle's last place."""
    from_p = len(flat(pair.p)) < len(flat(pair.q))
    return (pair.p, -pair.d, True) if from_p else (pair.q, pair.d, False)


def _halved(pair: Pair) -> Traced | None:
    """(p + q) / 2 if it has fewer terms than both, as in sin(x + h) - sin(x - h)."""
    both = added(flat(pair.p), flat(pair.q))
    fewest = min(len(flat(pair.p)), len(flat(pair.q)))
    return pair.middle if 0 < len(both) < fewest else None


def _sin(pair: Pair) -> Traced:
    middle = _halved(pair)
    if middle is not None:
        return 2.0 * (cosine(middle) * sine(0.5 * pair.d))
    x, d, swapped = _turned(pair)
    y = cosine(x) * sine(d) + sine(x) * cosine_minus_1(d)
    return -y if swapped else y


def _cos(pair: Pair) -> Traced:
    middle = _halved(pair)
    if middle is not None:
        return -2.0 * (sine(middle) * sine(0.5 * pair.d))
    x, d, swapped = _turned(pair)
    y = cosine(x) * cosine_minus_1(d) - sine(x) * sine(d)
    return -y if swapped else y


def _tan(pair: Pair) -> Traced:
    x, d, swapped = _turned(pair)
    far = cosine(x) * cosine(d) - sine(x) * sine(d)
    y = sine(d) / cosine(x) / far
    return -y if swapped else y


def _arctan(pair: Pair) -> Traced:
    one = constant_like(pair.u, 1.0)
    size = reduce(lambda a, b: apply("maximum", a, b), (abs(pair.p), abs(pair.q), one))
    size = apply("stop_gradient", size)
    return apply("arctan2", pair.d / size, 1.0 / size + pair.p * (pair.q / size))


def close(pair: Pair) -> Traced:
    """Where p and q differ by less than half of q: there d / q is small, and log1p of it exact."""
    return apply("less", 2.0 * abs(pair.d), abs(pair.q))


def log_ratio(pair: Pair) -> Traced:
    """log p - log q, of positive p and q."""
    apart = apply("log", pair.p) - apply("log", pair.q)
    return choose(close(pair), apply("log1p", pair.d / pair.q), apart)


def _exp(pair: Pair) -> Traced:
    return apply("exp", pair.q) * apply("expm1", pair.d)


def _exp2(pair: Pair) -> Traced:
    return pair.v * apply("expm1", LN2 * pair.d)


def _sinh(pair: Pair) -> Traced:
    return 2.0 * apply("cosh", pair.middle) * apply("sinh", 0.5 * pair.d)


def _cosh(pair: Pair) -> Traced:
    return 2.0 * apply("sinh", pair.middle) * apply("sinh", 0.5 * pair.d)


def _tanh(pair: Pair) -> Traced:
    return apply("sinh", pair.d) / apply("cosh", pair.p) / apply("cosh", pair.q)


def _cbrt(pair: Pair) -> Traced:
    u, v = pair.u, pair.v
    return pair.d / (u * u + u * v + v * v)


def _power(pair: Pair) -> Traced:
    assert pair.second is not None
    return pair.v * apply("expm1", pair.second * log_ratio(pair))


IDENTITIES: dict[str, Callable[[Pair], Traced]] = {
    "arctan": _arctan,
    "cbrt": _cbrt,
    "cos": _cos,
    "cosh": _cosh,
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _exp,
    "log": lambda pair: apply("log1p", pair.d / pair.q),
    "log10": lambda pair: apply("log1p", pair.d / pair.q) / LN10,
    "log1p": lambda pair: apply("log1p", pair.d / (1.0 + pair.q)),
    "log2": lambda pair: apply("log1p", pair.d / pair.q) / LN2,
    "power": _power,
    "power_constant": _power,
    "sin": _sin,
    "sinh": _sinh,
    "sqrt": lambda pair: pair.d / (pair.u + pair.v),
    "tan": _tan,
    "tanh": _tanh,
}
WHERE: dict[str, Callable[[Pair], Traced]] = {}
"""Where an identity serves, if that is not where the two values cancel."""


def _large_or_near(pair: Pair) -> Traced:
    """Where a rounded argument may be wholly another angle, or slopes cancel."""
    largest = apply("maximum", abs(pair.p), abs(pair.q))
    one = constant_like(pair.u, 1.0)
    large = apply("less", 4.0 * one, largest)
    return apply("logical_or", large, apply("less", abs(pair.d), one))


WHERE.update(dict.fromkeys(("sin", "cos", "tan"), _large_or_near))
WHERE.update(
    dict.fromkeys(("log", "log2", "log10"), lambda pair: apply("less", 2.0 * abs(pair.d), pair.q))
)  # of negative numbers there is no logarithm, though there is one of their ratio
WHERE["tanh"] = lambda pair: apply(
    "logical_and",
    cancels(pair.u - pair.v, (pair.u, pair.v)),
    apply("less", apply("maximum", abs(pair.p), abs(pair.q)), constant_like(pair.u, 40.0)),
)  # beyond, both are 1 and the identity overflows
WHERE["log1p"] = lambda pair: apply("less", 2.0 * abs(pair.d), 1.0 + pair.q)


def _less_one_power(f: Traced, p: Traced, c: Traced | float) -> Traced:
    u = difference(p, constant_like(p, 1.0))
    log = apply("log1p", total(u, p)) if u else apply("log", p)
    return apply("expm1", c * log)


def _logistics(p: Traced) -> tuple[Traced, Traced]:
    return apply("logistic", 2.0 * p), apply("logistic", -2.0 * p)


def less_one(f: Traced, n: int) -> Traced | None:
    """fⁿ - 1."""
    name, inputs, attrs = meaning(f)
    if not inputs:
        return None
    p = inputs[0]
    if name == "tanh" and n in (1, 2) and not f.recording.is_deriving:
        up, down = _logistics(p)
        return -2.0 * down if n == 1 else -4.0 * (up * down)
    if n != 1:
        return None
    if name == "cos":
        return cosine_minus_1(p)
    if name == "cosh":
        half = apply("sinh", 0.5 * p)
        return 2.0 * (half * half)
    if name in ("exp", "exp2"):
        return apply("expm1", p if name == "exp" else LN2 * p)
    if name in ("power", "power_constant"):
        return _less_one_power(f, p, inputs[1] if name == "power" else attrs["exponent"])
    return None


def pair_of(f: Traced, g: Traced) -> tuple[str, Pair] | None:
    """Two values of one function, and its name, if their arguments differ by what is known."""
    name, inputs, attrs = meaning(f)
    other, others, its = meaning(g)
    if name != other or not inputs or dict(attrs) != dict(its):
        return None
    second: Traced | float | None = attrs.get("exponent")
    if len(inputs) == 2:
        if inputs[1].node is not others[1].node:
            return None
        second = inputs[1]
    if inputs[0].node is others[0].node:
        return None
    terms = difference(inputs[0], others[0])
    return None if not terms else (name, Pair(f, g, inputs[0], others[0], terms, second))
