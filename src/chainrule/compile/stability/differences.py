"""Differences of equals: u - v where both are large and nearly the same.

u = f(p) and v = f(q) with p - q known exactly, as in sqrt(x + 1) - sqrt(x): one identity a function
turns the difference of values into one of arguments. It serves where the values cancel, and
what was typed elsewhere, so that the result is nowhere less accurate.

One file: the identities, and the sums that look for two parts to which one of them applies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from chainrule.compile.patterns import Rewrite, apply, constant_like
from chainrule.compile.stability import series
from chainrule.compile.stability.terms import (
    Terms,
    added,
    as_written,
    cancels,
    choose,
    difference,
    flat,
    key,
    meaning,
    monomial,
    multiplied,
    over,
    polynomial,
    power,
    product,
    quick,
    scaled,
    summands,
    times,
    total,
)
from chainrule.core.graph import Node
from chainrule.core.traced import Traced

Part = tuple[Fraction, dict[Node, int]]
Made = tuple[Traced, Traced | None]
"""Another form, and where it serves: where its parts cancel, if that is None."""
MOST_PARTS = 4
LN2, LN10 = 0.6931471805599453, 2.302585092994046


# Identities: f(p) - f(q) by d = p - q -----------------------------------------------------


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
    size = apply("stop_gradient", apply("maximum", abs(pair.q), one))
    return apply("arctan2", pair.d / size, 1.0 / size + pair.p * (pair.q / size))


def _close(pair: Pair) -> Traced:
    """Where p and q differ by less than half of q: there d / q is small, and log1p of it exact."""
    return apply("less", 2.0 * abs(pair.d), abs(pair.q))


def log_ratio(pair: Pair) -> Traced:
    """log p - log q, of positive p and q."""
    apart = apply("log", pair.p) - apply("log", pair.q)
    return choose(_close(pair), apply("log1p", pair.d / pair.q), apart)


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


def _large_or_close(pair: Pair) -> Traced:
    """Where a rounded argument may be wholly another angle, or slopes cancel."""
    largest = apply("maximum", abs(pair.p), abs(pair.q))
    one = constant_like(pair.u, 1.0)
    large = apply("less", 4.0 * one, largest)
    return apply("logical_or", large, apply("less", abs(pair.d), one))


WHERE.update(dict.fromkeys(("sin", "cos", "tan"), _large_or_close))
WHERE.update(dict.fromkeys(("log", "log2", "log10"), _close))
WHERE["log1p"] = lambda pair: apply("less", 2.0 * abs(pair.d), abs(1.0 + pair.q))


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
    if name == "exp2":
        return apply("expm1", LN2 * p)
    if name in ("power", "power_constant"):
        return _less_one_power(f, p, inputs[1] if name == "power" else attrs["exponent"])
    return None


# Two parts of a sum -----------------------------------------------------------------------


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
    return total(terms, like) * whole, None


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
    return pair.q * apply("log1p", pair.d / pair.q) + pair.d * first[0], _close(pair)


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


# Roots ------------------------------------------------------------------------------------


def conjugate(first: Part, second: Part, like: Traced) -> tuple[Terms, Traced] | None:
    """u + v = (u² - v²) / (u - v) where one is a root and terms of the numerator cancel: the
    numerator's terms and the denominator."""
    rec = like.recording
    nodes = (node for _, powers in (first, second) for node in powers)
    if not any(meaning(Traced(node, rec))[0] == "sqrt" for node in nodes):
        return None  # before anything is multiplied out
    squares = []
    roots = 0
    for c, powers in (first, second):
        square: Terms | None = {(): c * c}
        for node, e in powers.items():
            name, inputs, _ = meaning(Traced(node, rec))
            if e < 0 or square is None:
                return None
            if name == "sqrt":
                roots += 1
                square = multiplied(square, power(polynomial(inputs[0]), e) or {}) or None
            else:
                square = multiplied(square, power(polynomial(Traced(node, rec)), 2 * e) or {})
        squares.append(square)
    u2, v2 = squares
    if not roots or not u2 or not v2 or not any(u2.get(t) == k for t, k in v2.items()):
        return _conjugate_flat(first, second, like) if roots else None
    terms = added(u2, v2, -1)
    if not terms:
        return None
    return terms, product(*first, like) - product(*second, like)


def _conjugate_flat(first: Part, second: Part, like: Traced) -> tuple[Terms, Traced] | None:
    """The same for a root alone, of a sum of which one term is the other part's square."""
    for (c, a), (d, b) in ((first, second), (second, first)):
        if len(a) == 1 and 1 in a.values() and b:
            name, inputs, _ = meaning(Traced(next(iter(a)), like.recording))
            square = {key({n: 2 * e for n, e in b.items()}): d * d}
            terms = scaled(flat(inputs[0]), c * c) if name == "sqrt" else {}
            if square.items() <= terms.items() and len(terms) > 1:
                u, v = product(c, a, like), product(d, b, like)
                return added(terms, square, -1), u - v
    return None


def total_over(terms: Terms, w: Traced) -> Traced:
    """A sum divided by w. Of a product of two factors over w, the one is divided first that
    keeps the quotient in range."""
    if len(terms) != 1:
        return total(terms, w) / w
    ((powers, c),) = terms.items()
    factors = [Traced(n, w.recording) for n, e in powers for _ in range(e)]
    below = {n: e for n, e in powers if e < 0}
    if len(factors) != 2:
        return over(product(c, {n: e for n, e in powers if e > 0}, w) / w, below)
    a, b = factors
    larger = apply("less", abs(b), abs(a)) if a.node is not b.node else None
    big = a if larger is None else choose(larger, a, b)
    small = b if larger is None else choose(larger, b, a)
    wide = apply("less", constant_like(w, 1.0), abs(w))
    return over(times(c, choose(wide, big, small) / w * choose(wide, small, big)), below)


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
    numerators: list[Terms] = []
    for c, powers in parts:
        found: Terms | None = {(): c}
        for node in {**powers, **below}:
            e = powers.get(node, 0) + below.get(node, 0)
            factor = power(polynomial(Traced(node, like.recording)), e)
            found = multiplied(found, factor) if found is not None and factor is not None else None
        if found is None:
            return None
        numerators.append(found)
    whole: Terms = {}
    for one in numerators:
        whole = added(whole, one)
    seen = {powers for one in numerators for powers in one}
    if not whole or seen <= whole.keys():
        return None
    return over(total(whole, like), {node: -e for node, e in below.items()})


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


def _joined(sides: tuple[list[Part], list[Part]]) -> list[Part]:
    parts = [part for side in sides for part in side if part[1]]
    number = sum((c for side in sides for c, powers in side if not powers), Fraction(0))
    return [*parts, (number, {})] if number else parts


FUNCTIONS = frozenset(IDENTITIES) | {"sqrt", "divide", "reciprocal", "select", "logistic"}
_near_the_top = quick(FUNCTIONS)


def _sum(a: Traced, b: Traced, sign: int) -> Traced | None:
    if not a.type.is_float or not (_near_the_top(a) or _near_the_top(b)):
        return None
    sides = _parts(a, b, sign)
    parts = _joined(sides)
    if len(parts) < 2:
        return None
    with as_written(a.recording):
        try:
            return _rewritten(a, b, sign, sides, parts)
        except OverflowError:  # a coefficient too large for a float
            return None


def _rewritten(
    a: Traced, b: Traced, sign: int, sides: tuple[list[Part], list[Part]], parts: list[Part]
) -> Traced | None:
    typed = a + b if sign > 0 else a - b
    if len(parts) == 2:
        exponential = _expm1(parts, a)
        if exponential is not None:
            return exponential
    pairs = [(p, q) for p in sides[0] for q in sides[1]] if len(parts) > 2 else [tuple(parts)]
    for first, second in pairs:
        made = _two(first, second, a)
        if made is None:
            continue
        y, condition = made
        u, v = product(*first, a), product(*second, a)
        rest = [part for part in parts if part is not first and part is not second]
        for part in rest:
            y = y + product(*part, a)
        return choose(cancels(u + v, (u, v)) if condition is None else condition, y, typed)
    y = _quotients(parts, a)
    if y is None and len(parts) == 3:
        y = _exponentials(parts, a)
    if y is not None:
        return choose(cancels(typed, [product(*part, a) for part in parts]), y, typed)
    return series.of_a_sum(typed, a, b)


def _expm1(parts: list[Part], like: Traced) -> Traced | None:
    """c·exp(p) - c, which expm1 serves everywhere."""
    for (c, powers), (d, others) in (parts, parts[::-1]):
        if others or c != -d or list(powers.values()) != [1]:
            continue
        name, inputs, _ = meaning(Traced(next(iter(powers)), like.recording))
        if name == "exp":
            return times(c, apply("expm1", inputs[0]))
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
