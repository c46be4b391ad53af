"""Quotients and logarithms of what cancels, and quotients whose parts overflow first."""

from __future__ import annotations

from fractions import Fraction

from chainrule.compile.patterns import Rewrite, apply, constant_like, number
from chainrule.compile.stability import series
from chainrule.compile.stability.differences import (
    cancels,
    choose,
    conjugate,
    total_over,
)
from chainrule.compile.stability.terms import (
    added,
    as_written,
    difference,
    flat,
    key,
    meaning,
    monomial,
    product,
    quick,
    summands,
    total,
)
from chainrule.core.traced import Traced

_roots = quick(frozenset({"sqrt"}))
_exponentials = quick(frozenset({"exp", "expm1"}))


def _root_of_quadratic(x: Traced, z: Traced) -> Traced | None:
    """(-b ± √(b² - k)) / z as ∓k/z / (√(b² - k) ± b), where a factor of k is z's: k/z is then
    what Viète's product of roots has left, and b's sign decides which form cancels."""
    if not x.type.is_float or not _roots(x):
        return None
    parts = summands(x)
    if len(parts) != 2:
        return None
    d, below = monomial(z)
    if not below or any(e != 1 for e in below.values()):
        return None
    with as_written(x.recording):
        found = conjugate(*parts, x)
        if found is None or len(found[0]) != 1:
            return None
        ((powers, c),) = found[0].items()
        above = dict(powers)
        if not below.keys() <= above.keys():
            return None
        rest = {n: e - below.get(n, 0) for n, e in above.items() if e != below.get(n, 0)}
        y = total_over({key(rest): c / d}, found[1])
        zero = apply("not_equal", z, constant_like(z, 0.0))
        condition = apply("logical_and", zero, cancels(x, [product(*part, x) for part in parts]))
        return choose(condition, y, x / z)


def _exponent_less_1(x: Traced) -> Traced | None:
    """a where x is exp(a) - 1."""
    name, inputs, _ = meaning(x)
    if name == "expm1":
        return inputs[0]
    if name != "subtract" or number(inputs[1]) != 1:
        return None
    name, inputs, _ = meaning(inputs[0])
    return inputs[0] if name == "exp" else None


def _exp_over_expm1(x: Traced, z: Traced) -> Traced | None:
    """exp(a) / (exp(a) - 1) as 1 / (1 - exp(-a)) where exp(a) may overflow."""
    if not _exponentials(x) or not _exponentials(z):
        return None
    a = _exponent_less_1(z)
    name, inputs, _ = meaning(x)
    if a is None or name != "exp" or inputs[0].node is not a.node:
        return None
    with as_written(x.recording):
        positive = apply("less", constant_like(a, 0.0), a)
        return choose(positive, -1.0 / apply("expm1", -a), x / z)


def _expm1_twice(x: Traced, z: Traced) -> Traced | None:
    """(exp(2 a) - 1) / (exp(a) - 1) = exp(a) + 1"""
    if not _exponentials(x) or not _exponentials(z):
        return None
    a, b = _exponent_less_1(x), _exponent_less_1(z)
    if a is None or b is None:
        return None
    twice = {powers: 2 * c for powers, c in flat(b).items()}
    if flat(a) != twice:
        return None
    with as_written(x.recording):
        met = apply("not_equal", b, constant_like(b, 0.0))
        return choose(met, apply("exp", b) + 1.0, x / z)


def _series(x: Traced, z: Traced) -> Traced | None:
    return series.of_a_quotient(x, z) if x.type.is_float else None


def _cancelled(a: Traced, b: Traced) -> Traced | None:
    """x · (1/x)² -> 1/x among derivatives, where the square underflows first."""
    if not a.recording.is_deriving or not a.type.is_float or not (_below(a) or _below(b)):
        return None
    (c, first), (d, second) = monomial(a), monomial(b)
    if not any(first.get(n, 0) * e < 0 for n, e in second.items()):
        return None
    powers = {n: first.get(n, 0) + second.get(n, 0) for n in (*first, *second)}
    with as_written(a.recording):
        return product(c * d, {n: e for n, e in powers.items() if e}, a)


_below = quick(frozenset({"divide", "reciprocal"}))


# Logarithms -------------------------------------------------------------------------------


def _log_1_plus(x: Traced) -> Traced | None:
    """log(1 + u) -> log1p(u)"""
    name, inputs, _ = meaning(x)
    if name not in ("add", "subtract"):
        return None
    a, b = inputs
    one, u = (a, b) if number(a) == 1 else (b, a)
    if number(one) != 1 or (name == "subtract" and one is b):
        return None
    with as_written(x.recording):
        u = -u if name == "subtract" else u
        below = meaning(u)
        inside = meaning(below[1][0]) if below[0] == "negative" else below
        if inside[0] == "exp" and below[0] == "negative":  # log(1 - exp(a))
            small = apply("less", u, constant_like(u, -0.5))
            return choose(small, apply("log", x), apply("log1p", u))
        return apply("log1p", u)


def _log_of_quotient(x: Traced) -> Traced | None:
    """log(p / q) -> log1p((p - q) / q) where the quotient is near 1."""
    name, inputs, _ = meaning(x)
    if name != "divide":
        return None
    p, q = inputs
    terms = difference(p, q)
    if not terms:
        return None
    with as_written(x.recording):
        near = apply("less", abs(x - 1.0), constant_like(x, 0.5))
        return choose(near, apply("log1p", total(terms, x) / q), apply("log", x))


def _inverse_hyperbolic(x: Traced) -> Traced | None:
    """log(u + √(u² + 1)) -> arcsinh(u), log(u + √(u² - 1)) -> arccosh(u)"""
    if meaning(x)[0] != "add" or not _roots(x):
        return None
    a, b = meaning(x)[1]
    for u, root in ((a, b), (b, a)):
        name, inputs, _ = meaning(root)
        if name != "sqrt":
            continue
        square = {key({u.node: 2}): Fraction(1)}
        rest = added(flat(inputs[0]), square, -1)
        if rest in ({(): 1}, {(): -1}):
            return apply("arcsinh" if rest[()] == 1 else "arccosh", u)
    return None


def _log_series(x: Traced) -> Traced | None:
    return series.of_a_log(x) if x.type.is_float else None


REWRITES = (
    Rewrite(
        "quadratic",
        "divide",
        _root_of_quadratic,
        "(sqrt(b*b - a*c) - b) / a -> -c / (sqrt(...) + b)",
    ),
    Rewrite("exp-quotient", "divide", _exp_over_expm1, "exp(a) / (exp(a)-1) -> 1 / (1 - exp(-a))"),
    Rewrite("exp-factor", "divide", _expm1_twice, "(exp(2*a) - 1) / (exp(a) - 1) -> exp(a) + 1"),
    Rewrite("series-quotient", "divide", _series, "(1 - cos(x)) / x**2 -> 1/2 - x**2/24 ..."),
    Rewrite("cancel-factor", "multiply", _cancelled, "x * (1 / x / x) -> 1 / x in derivatives"),
    Rewrite("log-of-1-plus", "log", _log_1_plus, "log(1 + x) -> log1p(x)"),
    Rewrite(
        "log-of-quotient",
        "log",
        _log_of_quotient,
        "log((1-x) / (1+x)) -> log1p(-2*x / (1+x))",
    ),
    Rewrite("inverse-hyperbolic", "log", _inverse_hyperbolic, "log(x + sqrt(x*x+1)) -> arcsinh(x)"),
    Rewrite("series-log", "log", _log_series, "log(cos(x)) -> -x**2/2 - ..."),
)
