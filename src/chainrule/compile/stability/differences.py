"""Differences of equals: u - v where both are large and nearly the same.

u = f(p) and v = f(q) with p - q known exactly, as in sqrt(x + 1) - sqrt(x): one identity a function
turns the difference of values into one of arguments. It serves where the values cancel, and
what was typed elsewhere, so that the result is nowhere less accurate.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

from chainrule.compile.patterns import Rewrite, apply, constant_like, number
from chainrule.compile.stability import series
from chainrule.compile.stability.identities import IDENTITIES, WHERE, close, less_one, pair_of
from chainrule.compile.stability.roots import conjugate, total_over
from chainrule.compile.stability.terms import (
    ONE,
    Part,
    Terms,
    added,
    as_written,
    cancels,
    choose,
    difference,
    flat,
    in_range,
    joined,
    leaves_of,
    meaning,
    meaning_of,
    monomial,
    multiplied,
    over,
    polynomial,
    power,
    prefer,
    product,
    quick,
    summands,
    times,
    total,
)
from chainrule.core.node import Node
from chainrule.core.traced import Traced

Made = tuple[Traced, Traced | None]
"""Another form, and where it serves: where its parts cancel, if that is None."""
MOST_PARTS = 4


# Two parts of a sum -----------------------------------------------------------------------


def _between(a: dict[Node, int], b: dict[Node, int], like: Traced) -> Made | None:
    """The product ``a`` minus the product ``b``, and where that form serves."""
    rec = like.recording
    if not a or not b:
        sign, (one, *rest) = (-1, [*b.items()]) if not a else (1, [*a.items()])
        y = None if rest else less_one(Traced(one[0], rec), one[1])
        return None if y is None else (times(Fraction(sign), y), None)
    if len(a) == len(b) == 2:
        return _x_log_x(a, b, like)
    if len(a) != 1 or len(b) != 1:
        return None
    ((p, n),), ((q, m),) = a.items(), b.items()
    f, g = Traced(p, rec), Traced(q, rec)
    if n != m:
        return None
    if abs(n) == 1:
        found = pair_of(f, g)
        if found is None or found[0] not in IDENTITIES:
            return None
        name, pair = found
        y = IDENTITIES[name](pair)
        where = WHERE[name](pair) if name in WHERE else None
        return (y if n == 1 else -y / f / g), where
    terms = difference(f, g)
    if not terms or n < 0:
        return None
    powers = [product(Fraction(1), {p: k, q: n - 1 - k}, like) for k in range(n)]
    whole = powers[0]
    for one in powers[1:]:
        whole = whole + one
    u, v = product(Fraction(1), a, like), product(Fraction(1), b, like)
    overflown = apply("logical_and", apply("isinf", u), apply("isfinite", f))
    return total(terms, like) * whole, apply("logical_or", cancels(u - v, (u, v)), overflown)


def _x_log_x(a: dict[Node, int], b: dict[Node, int], like: Traced) -> Made | None:
    """p log p - q log q = q (log p - log q) + (p - q) log p"""
    rec = like.recording

    def split(powers: dict[Node, int]) -> tuple[Traced, Traced] | None:
        for log in powers:
            name, inputs, _ = meaning(Traced(log, rec))
            if name == "log" and powers == {log: 1, inputs[0].node: 1}:
                return Traced(log, rec), inputs[0]
        return None

    first, second = split(a), split(b)
    if first is None or second is None:
        return None
    found = pair_of(first[0], second[0])
    if found is None:
        return None
    pair = found[1]
    return pair.q * apply("log1p", pair.d / pair.q) + pair.d * first[0], close(pair)


def _two(first: Part, second: Part, like: Traced) -> Made | None:
    """The sum of two parts, by an identity."""
    (c, a), (d, b) = first, second
    found = conjugate(first, second, like)
    if found is not None:
        terms, w = found
        return total_over(terms, w), None
    if c != -d:
        return None
    common = {n: min(e, b[n]) for n, e in a.items() if b.get(n, 0) > 0 < e}
    rest = [
        {n: e - common.get(n, 0) for n, e in powers.items() if e != common.get(n, 0)}
        for powers in (a, b)
    ]
    if not rest[0] and not rest[1]:
        return None
    made = _between(rest[0], rest[1], like)
    if made is None:
        return None
    y = times(c, made[0])
    return (product(Fraction(1), common, like) * y if common else y), made[1]


# Sums -------------------------------------------------------------------------------------


def _quotients(parts: list[Part], like: Traced) -> Traced | None:
    """Over one denominator, where terms of the numerator cancel."""
    below: dict[Node, int] = {}
    for _, powers in parts:
        for node, e in powers.items():
            below[node] = max(below.get(node, 0), -e)
    below = {node: e for node, e in below.items() if e}
    if not below:
        return None
    above = [joined(powers, below) for _, powers in parts]
    common = {n: min(powers.get(n, 0) for powers in above) for n in above[0]}
    common = {node: e for node, e in common.items() if e}
    above = [joined(powers, common, -1) for powers in above]
    if not any(_is_sum(node, like) for powers in above for node in powers):
        return None
    if not _may_cancel(above, like):
        return None
    numerators: list[Terms] = []
    for (c, _), powers in zip(parts, above, strict=True):
        found: Terms | None = {(): c}
        for node, e in powers.items():
            for factor in _multiplied_out(Traced(node, like.recording), e):
                found = None if found is None or factor is None else multiplied(found, factor)
        if found is None:
            return None
        numerators.append(found)
    whole: Terms = {}
    for one in numerators:
        whole = added(whole, one)
    seen = {powers for one in numerators for powers in one}
    if not whole or seen <= whole.keys():
        return None
    y = total(whole, like)
    powers = joined(common, below, -1)
    if any(e > 0 for e in powers.values()):
        y = y * product(ONE, {n: e for n, e in powers.items() if e > 0}, like)
    return over(y, powers)


def _may_cancel(above: list[dict[Node, int]], like: Traced) -> bool:
    """Whether two of these products, multiplied out, may have a term in common: a factor without a
    number among its terms gives that term something, which must be in the other product, too."""
    rec = like.recording
    for one, other in itertools.combinations([[leaves_of(n, rec) for n in p] for p in above], 2):
        met = set().union(*one) & set().union(*other)
        if all(None in leaves or not leaves.isdisjoint(met) for leaves in (*one, *other)):
            return True
    return False


def _is_sum(node: Node, like: Traced) -> bool:
    """Whether a factor, or what is under it as a root, may be multiplied out."""
    name, inputs, _ = meaning_of(node, like.recording)
    return name in SUMS or (name == "sqrt" and meaning_of(inputs[0], like.recording)[0] in SUMS)


SUMS = frozenset({"add", "subtract"})


def _multiplied_out(x: Traced, n: int) -> tuple[Terms | None, ...]:
    """Factors of xⁿ; of a root with an even power what is under it."""
    name, inputs, _ = meaning(x)
    if name == "sqrt" and n > 1:
        return power(polynomial(inputs[0]), n // 2), power(polynomial(x), n % 2)
    return (power(polynomial(x), n),)


def _exponentials(parts: list[Part], like: Traced) -> Traced | None:
    """exp(a) - 2 + exp(-a) = 4 sinh(a/2)²"""
    rec = like.recording
    numbers = [c for c, powers in parts if not powers]
    others = [(c, *powers.items()) for c, powers in parts if powers]
    if len(numbers) != 1 or len(others) != 2 or any(len(one) != 2 for one in others):
        return None
    (c, (p, n)), (d, (q, m)) = others
    heads = [meaning(Traced(node, rec)) for node in (p, q)]
    if not (c == d == -numbers[0] / 2 and n == m == 1) or any(h[0] != "exp" for h in heads):
        return None
    a, b = heads[0][1][0], heads[1][1][0]
    if added(flat(a), flat(b)):
        return None
    root = 2.0 * apply("sinh", 0.5 * a)
    return times(c, root * root)


def _parts(a: Traced, b: Traced, sign: int) -> tuple[list[Part], list[Part]]:
    """The parts of the sum, those of either side; numbers are joined."""
    sides = summands(a), summands(b, sign=sign)
    if len(sides[0]) + len(sides[1]) > MOST_PARTS:
        c, powers = monomial(b)
        sides = [monomial(a)], [(sign * c, powers)]
    return sides


def _joined(sides: Sequence[list[Part]]) -> list[Part]:
    parts = [part for side in sides for part in side if part[1]]
    number = sum((c for side in sides for c, powers in side if not powers), Fraction(0))
    return [*parts, (number, {})] if number else parts


FUNCTIONS = frozenset(IDENTITIES) | {"sqrt", "divide", "reciprocal", "select", "logistic"}
_near_the_top = quick(FUNCTIONS)


def _sum(a: Traced, b: Traced, sign: int) -> Traced | None:
    if not a.type.is_float or not (_near_the_top(a) or _near_the_top(b)):
        return None
    c, d = _leading(a), sign * _leading(b)
    if c and d and (abs(c) != abs(d) or (c == d and a.recording.is_deriving)):
        return None
    sides = _parts(a, b, sign)
    parts = _joined(sides)
    if len(parts) < 2:
        return None
    opposite = _opposite(sides, both_signs=not a.recording.is_deriving)
    if not opposite and len(parts) != 3 and not _has_root_or_quotient(parts, a):
        return None
    with as_written(a.recording):
        found = _rewritten(a, b, sign, sides, parts)
        if found is not None or not opposite or a.recording.is_deriving:
            return found
        return series.of_a_sum(a, b, sign)


def _leading(x: Traced) -> float:
    """The coefficient of a product as far as it shows at a glance; 0 where more must be read."""
    rec = x.recording
    node, c = x.node, 1.0
    if node.primitive.name in ("add", "subtract") and not rec.is_deriving:
        return 0.0
    for _ in range(3):
        name = node.primitive.name
        if name in ("divide", "select", "sqrt") or node in rec.typed:
            return 0.0
        if name == "negative":
            c, node = -c, node.inputs[0]
            continue
        if name != "multiply":
            break
        first, second = node.inputs
        if second.primitive.name in _SLOPES and rec.is_deriving:
            return 0.0
        value, last = number(Traced(first, rec)), number(Traced(second, rec))
        c, node = (c * (last or 1), first) if value is None else (c * value, second)
    value = number(Traced(node, rec))
    return c if value is None else c * value


_SLOPES = frozenset({"divide", "quotient_or_zero"})
"""Slopes of quotients and lengths, which a cotangent is multiplied by."""


def _opposite(sides: tuple[list[Part], list[Part]], both_signs: bool) -> bool:
    """Whether a part of either side may cancel one of the other: functions begin with 1 or x, or
    with -x where their argument is negated."""
    return any(c == -d or (both_signs and c == d) for c, _ in sides[0] for d, _ in sides[1])


def _has_root_or_quotient(parts: list[Part], like: Traced) -> bool:
    typed = like.recording.typed
    return any(
        e < 0 or node.primitive.name == "sqrt" or node in typed
        for _, powers in parts
        for node, e in powers.items()
    )


def _rewritten(
    a: Traced, b: Traced, sign: int, sides: tuple[list[Part], list[Part]], parts: list[Part]
) -> Traced | None:
    if len(parts) == 2:
        exponential = _expm1(parts, a)
        if exponential is not None:
            return exponential
    if len(parts) == 2:
        sides = parts[:1], parts[1:]
    for first, second in itertools.product(*sides):
        if len(parts) == 2:
            found = conjugate(first, second, a)
            if found is not None:
                return _over_the_other(*found, product(*first, a), product(*second, a))
        made = _two(first, second, a)
        if made is None:
            continue
        y, condition = made
        u, v = product(*first, a), product(*second, a)
        others = [[x for x in side if x is not first and x is not second] for side in sides]
        for part in _joined(others):
            y = y + product(*part, a)
        typed = a + b if sign > 0 else a - b
        condition = cancels(u + v, (u, v)) if condition is None else condition
        found = prefer(condition, _unsigned(y), typed)
        return apply("value_of", found, typed) if _slope_as_typed(first, second, a) else found
    y = _quotients(parts, a)
    if y is None and len(parts) == 3:
        y = _exponentials(parts, a)
    if y is None:
        return None
    typed = a + b if sign > 0 else a - b
    return prefer(cancels(typed, [product(*part, a) for part in parts]), _unsigned(y), typed)


def _slope_as_typed(first: Part, second: Part, like: Traced) -> bool:
    """Whether one of two parts is a constant: their slopes have nothing to cancel then. That of a
    power of 1 + u by its exponent has lost u."""
    if first[1] and second[1]:
        return False
    nodes = (*first[1], *second[1])
    return all(meaning(Traced(node, like.recording))[0] != "power" for node in nodes)


def _over_the_other(terms: Terms, w: Traced, u: Traced, v: Traced) -> Traced:
    """u + v where it cancels as terms / w: one quotient, whose parts are chosen, serves both."""
    cancel, one = cancels(u + v, (u, v)), constant_like(w, 1.0)
    k, factors = total(terms, w), sum(e for powers in terms for _, e in powers)
    if factors == 1:
        cancel = apply("logical_and", cancel, apply("isfinite", k))
    y = _unsigned(choose(cancel, k, u + v) / choose(cancel, w, one))
    if factors < 2:
        return y
    safe = apply("logical_or", in_range(abs(k)), apply("logical_not", cancel))
    return choose(safe, y, prefer(None, _unsigned(total_over(terms, w)), u + v))


def _unsigned(y: Traced) -> Traced:
    """The same with 0 for -0, as equal numbers have 0 for their difference."""
    return y + constant_like(y, 0.0)


def _expm1(parts: list[Part], like: Traced) -> Traced | None:
    """c·exp(p) - c, which expm1 serves everywhere."""
    for (c, powers), (d, others) in (parts, parts[::-1]):
        if others or c != -d or list(powers.values()) != [1]:
            continue
        name, inputs, _ = meaning(Traced(next(iter(powers)), like.recording))
        if name == "exp":
            return _unsigned(times(c, apply("expm1", inputs[0])))
    return None


def _add(a: Traced, b: Traced) -> Traced | None:
    return _sum(a, b, 1)


def _subtract(a: Traced, b: Traced) -> Traced | None:
    return _sum(a, b, -1)


REWRITES = (
    Rewrite(
        "difference", "subtract", _subtract, "sqrt(x+1) - sqrt(x) -> 1 / (sqrt(x+1) + sqrt(x))"
    ),
    Rewrite("difference-sum", "add", _add, "-1 / x + 1 / (x + 1) -> -1 / x / (x + 1)"),
)
