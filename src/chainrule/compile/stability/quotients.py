"""Quotients and logarithms of what cancels, and quotients whose parts overflow first."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial, reduce
from typing import Any

from chainrule.compile.patterns import Rewrite, apply, constant_like, number
from chainrule.compile.stability import series
from chainrule.compile.stability.products import log_by_factors
from chainrule.compile.stability.roots import conjugate, total_over
from chainrule.compile.stability.terms import (
    added,
    as_written,
    cancels,
    choose,
    difference,
    flat,
    joined,
    key,
    meaning,
    meaning_of,
    monomial,
    over,
    polynomial,
    prefer,
    product,
    quick,
    summands,
    total,
)
from chainrule.core.node import Node
from chainrule.core.traced import Traced

_roots = quick(frozenset({"sqrt"}))
EXPONENTIALS = {"exp": 0.0, "expm1": 0.0, "sinh": math.log(2), "cosh": math.log(2)}
"""What is c less than |a| in the logarithm, where |a| is large."""
exponentials_near = quick(frozenset(EXPONENTIALS))


def _root_of_quadratic(x: Traced, z: Traced) -> Traced | None:
    """(-b ± √(b² - k)) / z as ∓k/z / (√(b² - k) ± b), where a factor of k is z's: k/z is then
    what Viète's product of roots has left, and b's sign decides which form cancels. The other
    way, z / (-b ± √(b² - k))."""
    if not x.type.is_float:
        return None
    for root, other, sign in ((x, z, 1), (z, x, -1)):
        parts = summands(root) if _roots(root) else []
        if len(parts) == 2:
            return _by_its_conjugate(x, z, parts, other, sign)
    return None


def _by_its_conjugate(
    x: Traced, z: Traced, parts: list[Any], other: Traced, sign: int
) -> Traced | None:
    d, below = monomial(other)
    if not below or any(e != 1 for e in below.values()):
        return None
    with as_written(x.recording):
        found = conjugate(parts[0], parts[1], x)
        if found is None or len(found[0]) != 1:
            return None
        (((powers, c),), w) = found[0].items(), found[1]
        above = dict(powers)
        if (sign > 0 and not below.keys() <= above.keys()) or not below.keys() & above.keys():
            return None
        rest = {n: e for n in (*above, *below) if (e := above.get(n, 0) - below.get(n, 0))}
        met = apply("not_equal", other, constant_like(z, 0.0))
        owns = [product(k, own, x) for k, own in parts]
        typed = owns[0] + owns[1]
        if sign < 0:
            y = product(d / c, {n: -e for n, e in rest.items()}, x) * w
            met = apply("logical_and", met, cancels(z, owns))
            return prefer(met, y, x / z)
        met = apply("logical_and", met, cancels(typed, owns))
        if sum(map(abs, rest.values())) > 1 or not 2**-100 < abs(c / d) < 2**100:
            return prefer(met, total_over({key(rest): c / d}, w), x / z)
        k = product(c / d, rest, x)
        met = apply("logical_and", met, apply("isfinite", k))
        return choose(met, k, typed) / choose(met, w, z)


def _exponent_less_1(x: Traced) -> Traced | None:
    """a where x is exp(a) - 1."""
    name, inputs, _ = meaning(x)
    if name == "expm1":
        return inputs[0]
    if name != "subtract" or number(inputs[1]) != 1:
        return None
    name, inputs, _ = meaning(inputs[0])
    return inputs[0] if name == "exp" else None


def _less_1(x: Traced) -> tuple[Traced, int] | None:
    """a and 1 where x is exp(a) - 1, a and -1 where it is 1 - exp(a)."""
    a = _exponent_less_1(x)
    if a is not None:
        return a, 1
    name, inputs, _ = meaning(x)
    if name == "subtract" and number(inputs[0]) == 1 and meaning(inputs[1])[0] == "exp":
        return meaning(inputs[1])[1][0], -1
    return None


def _exp_over_expm1(x: Traced, z: Traced) -> Traced | None:
    """exp(a) / (exp(a) - 1) as 1 / (1 - exp(-a)) where exp(a) may overflow, other factors apart."""
    if not x.type.is_float or not exponentials_near(x) or not exponentials_near(z):
        return None
    (c, above), (d, below) = monomial(x), monomial(z)
    with as_written(x.recording):
        y = shifted(x / z, c / d, joined(above, below, -1)) if d else None
    if y is None or x.recording.is_deriving:
        return y
    found = series.of_a_quotient(x, z, y)
    return y if found is None else found


def shifted(typed: Traced, c: Fraction, powers: dict[Node, int]) -> Traced | None:
    """c · exp(a) / (exp(a) - 1) ..., where there are such factors; sinh(a) / cosh(a) as tanh(a),
    for quotients of infinities."""
    rec = typed.recording
    for node, e in powers.items():
        name, inputs, _ = meaning(Traced(node, rec))
        if name not in EXPONENTIALS or e < 1:
            continue
        (a,) = inputs
        for other, n in powers.items():
            rest = joined(powers, {node: -1, other: 1})
            found = _less_1(Traced(other, rec)) if n < 0 and name == "exp" else None
            if found is not None and found[0].node is a.node:
                y = product(c * (-found[1]) ** -n, joined(rest, {other: -n - 1}), typed)
                for _ in range(-n):
                    y = y / apply("expm1", -a)
                y = y if n == -1 else y * apply("exp", (n + 1.0) * a)
                return choose(apply("less", constant_like(a, 0.0), a), y, typed)
            below, inside, _ = meaning(Traced(other, rec))
            if n < 0 and {name, below} == {"sinh", "cosh"} and inside[0].node is a.node:
                y, t = product(c, rest, typed), apply("tanh", a)
                return y * t if name == "sinh" else y / t
    return None


def _expm1_of_sum(x: Traced, z: Traced) -> Traced | None:
    """m (exp(a + b) - 1) / ((exp(a) - 1) (exp(b) - 1)), which is m / (exp(a) - 1) plus
    m / (1 - exp(-b)): no product over- or underflows."""
    if not x.type.is_float or not exponentials_near(x) or not exponentials_near(z):
        return None
    (c, above), (d, below) = monomial(x), monomial(z)
    powers = joined(above, below, -1)
    rec = x.recording
    ends = {n: a for n in powers if (a := _exponent_less_1(Traced(n, rec))) is not None}
    tops = [n for n in ends if powers[n] == 1]
    lows = [n for n in ends if powers[n] == -1]
    if len(tops) != 1 or len(lows) != 2 or not d:
        return None
    a, b = (ends[n] for n in lows)
    if added(added(polynomial(ends[tops[0]]), polynomial(a), -1), polynomial(b), -1):
        return None
    rest = {n: e for n, e in powers.items() if n not in ends}
    with as_written(rec):

        def share(a: Traced, sign: int) -> Traced:
            """m / (exp(±a) - 1), and m / ±a where a is tiny."""
            k, its = monomial(a)
            a = rec.fresh(a)  # with exponentials of its own, or a masked 0 meets inf in slopes
            tiny = apply("less", abs(a), constant_like(a, 1e-20))
            limit = product(c / d / k, joined(rest, its, -1), x)
            whole = product(c / d, rest, x) / apply("expm1", a if sign > 0 else -a)
            return choose(tiny, limit if sign > 0 else -limit, whole)

        ordered = apply("less", a, b)
        y = choose(ordered, share(b, 1) - share(a, -1), share(a, 1) - share(b, -1))
        return prefer(None, y, x / z)


def _expm1_twice(x: Traced, z: Traced) -> Traced | None:
    """(exp(2 a) - 1) / (exp(a) - 1) = exp(a) + 1"""
    if not exponentials_near(x) or not exponentials_near(z):
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
    return series.of_a_quotient(x, z, _over_power(x, z)) if x.type.is_float else None


def _over_power(x: Traced, z: Traced) -> Traced | None:
    """y / x³ as y / x / x / x where the power, or that of a slope, leaves the range before the
    quotient does."""
    name, inputs, attrs = meaning(z)
    n = {"square": 2, "multiply": 2}.get(name, attrs.get("exponent", 0))
    if not x.type.is_float or x.recording.is_deriving or n not in (2, 3, 4) or not inputs:
        return None
    if inputs[0].node is not inputs[-1].node or inputs[0].node in monomial(x)[1]:
        return None
    with as_written(x.recording):
        careful = over(x, {inputs[0].node: -int(n)})
        factors = (meaning_of(n, x.recording)[0] for _, part in summands(inputs[0]) for n in part)
        if not EXPONENTIALS.keys().isdisjoint(factors):  # whose slope stands beside them again
            return careful
        edge = 2.0 ** (_EXPONENTS[x.dtype.itemsize] // (2 * int(n) + 1))
        low, high = constant_like(x, 1 / edge), constant_like(x, edge)
        sizes = abs(x), abs(inputs[0])
        inside = [apply("less", *pair) for y in sizes for pair in ((low, y), (y, high))]
        usual = reduce(lambda a, b: apply("logical_and", a, b), inside)
        return choose(apply("likely", usual), x / z, careful)


_EXPONENTS = {4: 120, 8: 1000}
"""The largest powers of two that floats hold with room to spare, by their bytes."""


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
        below = u
        zero = constant_like(u, 0.0)  # log(1 - 0) is 0, and log1p(-0.0) is -0.0
        if name == "subtract":
            u = zero - u
        elif meaning(u)[0] == "negative":
            (below,) = meaning(u)[1]
        if below is not u and meaning(below)[0] == "exp":  # log(1 - exp(a))
            small = apply("less", u, constant_like(u, -0.5))
            return choose(small, apply("log", x), apply("log1p", u))
        return apply("log1p", u if name == "subtract" else u + zero)


def _log_in_base(base: float, x: Traced) -> Traced | None:
    """log10(1 + u) -> log1p(u) / log(10)"""
    y = _log_1_plus(x)
    if y is None:
        return None
    with as_written(x.recording):
        return y / math.log(base)


def _power_of_1_plus(x: Traced, n: Traced) -> Traced | None:
    """(1 + u)ⁿ as exp(n log1p(u)) where u is small: a large n shows what 1 + u has lost."""
    terms = difference(x, constant_like(x, 1.0)) if meaning(x)[0] in ("add", "subtract") else None
    if not terms:
        return None
    with as_written(x.recording):
        u = total(terms, x)
        small = apply("less", abs(u), constant_like(x, 2.0**-10))
        return prefer(small, apply("exp", n * apply("log1p", u)), apply("power", x, n))


def _log_of_quotient(x: Traced) -> Traced | None:
    """log(p / q) -> log1p((p - q) / q) where the quotient is near 1 and p - q is known."""
    if meaning(x)[0] != "divide":
        return None
    p, q = meaning(x)[1]
    terms = difference(p, q)
    with as_written(x.recording):
        return _log_near_1(x, total(terms, x), q) if terms else None


def _log_near_1(x: Traced, d: Traced, q: Traced) -> Traced:
    near = apply("less", abs(x - 1.0), constant_like(x, 0.5))
    apart = log_by_factors(x)
    return choose(near, apply("log1p", d / q), apply("log", x) if apart is None else apart)


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


def _log_of_exponential(x: Traced) -> Traced | None:
    """log(m (exp(a) - 1)) as a + log(m) where exp(a) leaves the range; so of cosh and sinh."""
    if not x.type.is_float or not exponentials_near(x):
        return None
    c, powers = monomial(x)
    for node, e in powers.items():
        f = Traced(node, x.recording)
        name, inputs, _ = meaning(f)
        a = _exponent_less_1(f) if name in ("expm1", "subtract") else None
        if a is None and name not in ("exp", "sinh", "cosh"):
            continue
        with as_written(x.recording):
            a = inputs[0] if a is None else a
            size = a if name == "exp" else abs(a)
            rest = product(c, {n: k for n, k in powers.items() if n is not node}, x)
            if name == "sinh" and e % 2:
                rest = rest * apply("sign", a)
            far = constant_like(a, 80.0 if a.dtype.itemsize == 4 else 700.0)
            large = apply("less", far, a if name in ("expm1", "subtract") else abs(a))
            y = float(e) * (size - EXPONENTIALS.get(name, 0.0)) + apply("log", rest)
            return prefer(large, y, apply("log", x))
    return None


def _log_series(x: Traced) -> Traced | None:
    if not x.type.is_float:
        return None
    y = _log_of_exponential(x)
    name, inputs, _ = meaning(x)
    if y is None and name == "divide" and not x.recording.is_deriving:
        p, q = inputs
        with as_written(x.recording):
            apart = log_by_factors(x)
            y = apply("log", x) if apart is None else apart
            near = apply("less", abs(x - 1.0), constant_like(x, 0.5))
            lost = (p - q) / q - (x - 1.0)  # by rounding p / q; p - q is exact
            lost = lost * (2.0 - x)  # lost / x, nearly
            y = y + apply("stop_gradient", choose(near, lost, constant_like(x, 0.0)))
    found = series.of_a_log(x, y)
    return y if found is None else found


REWRITES = (
    Rewrite(
        "quadratic",
        "divide",
        _root_of_quadratic,
        "(sqrt(b*b - a*c) - b) / a -> -c / (sqrt(...) + b)",
    ),
    Rewrite("exp-quotient", "divide", _exp_over_expm1, "exp(a) / (exp(a)-1) -> 1 / (1 - exp(-a))"),
    Rewrite(
        "exp-sum",
        "divide",
        _expm1_of_sum,
        "expm1(a + b) / (expm1(a) * expm1(b)), as a sum",
    ),
    Rewrite("exp-factor", "divide", _expm1_twice, "(exp(2*a) - 1) / (exp(a) - 1) -> exp(a) + 1"),
    Rewrite("series-quotient", "divide", _series, "(1 - cos(x)) / x**2 -> 1/2 - x**2/24 ..."),
    Rewrite("over-power", "divide", _over_power, "y / x**3 -> y / x / x / x"),
    Rewrite(
        "log2-of-1-plus", "log2", partial(_log_in_base, 2.0), "log2(1 + x) -> log1p(x) / log(2)"
    ),
    Rewrite(
        "log10-of-1-plus",
        "log10",
        partial(_log_in_base, 10.0),
        "log10(1 + x) -> log1p(x) / log(10)",
    ),
    Rewrite("power-of-1-plus", "power", _power_of_1_plus, "(1 + x)**n -> exp(n * log1p(x))"),
    Rewrite("log-of-1-plus", "log", _log_1_plus, "log(1 + x) -> log1p(x)"),
    Rewrite(
        "log-of-quotient",
        "log",
        _log_of_quotient,
        "log((1-x) / (1+x)) -> log1p(-2*x / (1+x))",
    ),
    Rewrite("inverse-hyperbolic", "log", _inverse_hyperbolic, "log(x + sqrt(x*x+1)) -> arcsinh(x)"),
    Rewrite("series-log", "log", _log_series, "log(cosh(x)) -> x**2/2 - ..., abs(x) - log(2)"),
)
