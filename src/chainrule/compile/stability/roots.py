"""Roots of sums of squares, whose squares overflow before the root does."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from chainrule.compile.patterns import (
    Rewrite,
    apply,
    constant_like,
    inner,
    inputs_of,
    made_by,
    number,
)
from chainrule.compile.stability.terms import (
    Part,
    Terms,
    added,
    as_written,
    choose,
    constant,
    flat,
    key,
    meaning,
    meaning_of,
    multiplied,
    over,
    polynomial,
    power,
    product,
    scaled,
    summands,
    times,
    total,
)
from chainrule.core.node import Node
from chainrule.core.traced import Traced

SAFE = {4: (-80, 120), 8: (-900, 1016)}
"""Powers of two between which squares and their differences are exact to the last place, by the
bytes of a float."""


def _squares(x: Traced) -> bool:
    """Whether x is v², written in any of the usual ways."""
    name, inputs, _ = meaning(x)
    return name == "square" or (name == "multiply" and inputs[0].node is inputs[1].node)


def _norm(x: Traced) -> Traced | None:
    """The root of a sum of squares, with gradient 0 where all of them are 0."""
    total = x
    while made_by(total, "reshape"):
        (total,) = inputs_of(total)
    if not made_by(total, "reduce_sum") or not _squares(inner(total)):
        return None
    return apply("root", x, degree=2.0)


def _root(c: Fraction, powers: dict[Node, int], like: Traced) -> Traced | None:
    """The root of a monomial that is a perfect square, taken of each factor."""
    top, low = isqrt(abs(c.numerator)), isqrt(c.denominator)
    if c <= 0 or Fraction(top, low) ** 2 != c or any(e % 2 for e in powers.values()):
        return None
    return product(Fraction(top, low), {n: e // 2 for n, e in powers.items()}, like)


def _root_of_size(c: Fraction, powers: dict[Node, int], like: Traced) -> Traced:
    """The root of the absolute value of a monomial, factor by factor."""
    found = apply("sqrt", constant(abs(c), like))
    for node, e in powers.items():
        root = apply("sqrt", abs(Traced(node, like.recording)))
        for _ in range(abs(e)):
            found = found * root if e > 0 else found / root
    return found


def _sign(c: Fraction, powers: dict[Node, int], like: Traced) -> Traced:
    found = constant(Fraction(1 if c > 0 else -1), like)
    for node, e in powers.items():
        if e % 2:
            found = found * apply("sign", Traced(node, like.recording))
    return found


def _hypotenuse(x: Traced) -> Traced | None:
    """√(b² + k): by hypot where k is a square too, and where b² or k leaves the range, with b or
    √|k| taken out of the root."""
    name, inputs, _ = meaning(x)
    if name not in ("add", "subtract") or not x.type.is_float:
        return None
    parts = summands(x, 1)
    if len(parts) != 2 or not (parts[0][1] or parts[1][1]):
        return None
    with as_written(x.recording):
        roots = [_root(*part, x) for part in parts]
        first, second = roots
        if first is not None and second is not None:
            return apply("hypot", first, second)
        for b, own, rest in zip(roots, inputs, parts[::-1], strict=True):
            # √(1 - k) cannot leave the range by its 1, nor √(x² + 1e-8) but by x² alone
            if b is not None and number(own) is None and (rest[1] or rest[0] < 0):
                return _out_of_range(x, b, rest, inputs)
    return None


def _out_of_range(
    x: Traced, b: Traced, rest: tuple[Fraction, dict[Node, int]], typed: tuple[Traced, ...]
) -> Traced:
    s, size = _root_of_size(*rest, x), abs(b)
    t = s / size
    inside = size * apply("sqrt", 1.0 - t * t)
    positive = apply("less_equal", constant_like(x, 0.0), _sign(*rest, x))
    scaled = choose(positive, apply("hypot", b, s), inside)
    low, high = (2.0**e for e in SAFE[x.dtype.itemsize])
    sizes = abs(typed[0]) + abs(typed[1])
    safe = apply(
        "logical_and",
        apply("less", constant_like(x, low), sizes),
        apply("less", sizes, constant_like(x, high)),
    )
    none = apply("isnan", scaled)  # as for 0 - 5e-324², which is no less than 0 once rounded
    return choose(apply("logical_or", safe, none), apply("sqrt", x), scaled)


# Conjugates ------------------------------------------------------------------------------


def conjugate(first: Part, second: Part, like: Traced) -> tuple[Terms, Traced] | None:
    """u + v = (u² - v²) / (u - v) where one is a root and terms of the numerator cancel: the
    numerator's terms and the denominator."""
    rec = like.recording
    nodes = (*first[1], *second[1])
    if not any(meaning_of(node, rec)[0] == "sqrt" for node in nodes):
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
    if len(factors) == 1 and not 2**-100 < abs(c) < 2**100:
        factors, c = [*factors, constant(c, w)], Fraction(1)
    if len(factors) != 2:
        return over(product(c, {n: e for n, e in powers if e > 0}, w) / w, below)
    a, b = factors
    larger = apply("less", abs(b), abs(a)) if a.node is not b.node else None
    big = a if larger is None else choose(larger, a, b)
    small = b if larger is None else choose(larger, b, a)
    wide = apply("less", constant_like(w, 1.0), abs(w))
    return over(times(c, choose(wide, big, small) / w * choose(wide, small, big)), below)


REWRITES = (
    Rewrite("norm", "sqrt", _norm, "sqrt(sum(x * x)) with gradient 0 at 0"),
    Rewrite("hypotenuse", "sqrt", _hypotenuse, "sqrt(x*x + y*y) -> hypot(x, y)"),
)
