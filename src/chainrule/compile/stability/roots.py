"""Roots of sums of squares, whose squares overflow before the root does."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from chainrule.compile.patterns import Rewrite, apply, constant_like, inner, inputs_of, made_by
from chainrule.compile.stability.terms import (
    as_written,
    choose,
    constant,
    meaning,
    product,
    summands,
)
from chainrule.core.graph import Node
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
    if len(parts) != 2 or not (parts[0][1] and parts[0][1].keys() != parts[1][1].keys()):
        if len(parts) != 2 or not parts[1][1]:
            return None
        parts = parts[::-1]
    with as_written(x.recording):
        first, second = (_root(*part, x) for part in parts)
        if first is None and parts[1][1]:
            first, second, parts = second, first, parts[::-1]
        if first is None:
            return None
        if second is not None:
            return apply("hypot", first, second)
        if not parts[1][1] and parts[1][0] > 0:  # √(x² + 1e-8), which only overflows
            return None
        return _out_of_range(x, first, parts[1], inputs)


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
    return choose(safe, apply("sqrt", x), scaled)


REWRITES = (
    Rewrite("norm", "sqrt", _norm, "sqrt(sum(x * x)) with gradient 0 at 0"),
    Rewrite("hypotenuse", "sqrt", _hypotenuse, "sqrt(x*x + y*y) -> hypot(x, y)"),
)
