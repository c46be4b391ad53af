"""Products among derivatives whose factors leave the range before the product does."""

from __future__ import annotations

from fractions import Fraction
from operator import attrgetter

from chainrule.compile.patterns import Rewrite, apply, constant_like
from chainrule.compile.stability.quotients import EXPONENTIALS, exponentials_near, shifted
from chainrule.compile.stability.terms import (
    DEPTH,
    as_written,
    choose,
    flat,
    in_range,
    joined,
    meaning_of,
    monomial,
    over,
    product,
)
from chainrule.core.node import Node
from chainrule.core.traced import Traced


def _cancelled(a: Traced, b: Traced) -> Traced | None:
    """x · (1/x)² -> 1/x among derivatives, where the square underflows first."""
    if not a.recording.is_deriving or not a.type.is_float or not (_below(a) or _below(b)):
        return None
    (c, first), (d, second) = _one_term(a), _one_term(b)
    powers = joined(first, second)
    with as_written(a.recording):
        numbers_cancel = abs(c * d) == 1 != abs(d) or _size(c) * _size(d) < 0
        if numbers_cancel or any(first.get(n, 0) * e < 0 for n, e in second.items()):
            y, typed = product(c * d, powers, a), a * b
            gone = [n for n in first.keys() & second.keys() if n not in powers]
            for node in sorted(gone, key=attrgetter("serial")):  # what is no number stays none
                y = choose(apply("isnan", Traced(node, a.recording)), typed, y)
            if sum(map(abs, powers.values())) <= 2:
                found = None if gone else _growth_first(a, b, c * d, powers)
                return y if found is None else found
            return _as_typed_in_range(a, b, y)  # longer ones may leave the range themselves
        if not exponentials_near(a) and not exponentials_near(b):
            return None
        found = shifted(a * b, c * d, powers)
        if found is None:
            found = _growth_first(a, b, c * d, powers)
        return found


def _growth_first(a: Traced, b: Traced, c: Fraction, powers: dict[Node, int]) -> Traced | None:
    """sinh(x) · v⁻³ as sinh(x) / v / v / v: the slope of 1/v² under- or overflows before it meets
    that of v, which grows with v. 0 where both are infinite."""
    rec, rest, zero, root = a.recording, dict(powers), [], None
    if not any(e > 0 and meaning_of(n, rec)[0] in EXPONENTIALS for n, e in powers.items()):
        return None
    for node, e in powers.items():
        name, inputs, attrs = meaning_of(node, rec)
        power = attrs["exponent"] if name == "power_constant" else 0
        if power < -1 and e == 1 and root is None:
            (v,) = inputs  # v^-2.5 is v^-1.5 / v
            rest = joined(rest, {node: -1, v: -1})
            root = apply(name, Traced(v, rec), exponent=power + 1)
            zero += [v] * (power <= -2)
        elif e < 0 and name != "sqrt":  # which is infinite where its square is
            zero.append(node)
    above = {n: e for n, e in rest.items() if e > 0}
    first = {n: e for n, e in above.items() if meaning_of(n, rec)[0] in _GROWING}
    y = over(product(Fraction(1), first, a), rest) * product(c, joined(above, first, -1), a)
    y = y if root is None else y * root
    for node in zero:
        y = choose(apply("isinf", Traced(node, rec)), constant_like(y, 0.0), y)
    return _as_typed_in_range(a, b, y)


_GROWING = frozenset({*EXPONENTIALS, "power_constant"})


def _as_typed_in_range(a: Traced, b: Traced, y: Traced) -> Traced:
    """a · b where neither has lost anything at the ends of the range, else y."""
    typed = a * b
    kept = apply("logical_and", in_range(abs(a), abs(b)), apply("isfinite", typed))
    return choose(apply("likely", kept), typed, y)


def _one_term(x: Traced) -> tuple[Fraction, dict[Node, int]]:
    """x as a monomial; among its factors a sum of equal ones, as the parts of a slope are."""
    c, powers = monomial(x, 2 * DEPTH)
    for node, e in list(powers.items()):
        if e == 1 and meaning_of(node, x.recording)[0] in ("add", "subtract"):
            terms = flat(Traced(node, x.recording), 2 * DEPTH)
            if len(terms) == 1:
                ((others, d),) = terms.items()
                c, powers = c * d, joined(joined(powers, {node: -1}), dict(others))
    return c, powers


def _size(number: Fraction) -> int:
    """The sign of the exponent of a number so large or small that products with it leave the
    range: x·c is infinite where (1/(x·c))·c is not 0."""
    bits = abs(number.numerator).bit_length() - number.denominator.bit_length()
    return (bits > 200) - (bits < -200)


def _below(x: Traced, depth: int = 3) -> bool:
    """Whether something near the top of x is divided by."""
    node, rec = x.node, x.recording
    name = node.primitive.name
    if name in ("divide", "reciprocal", "power_constant") or node in rec.typed:
        return True
    sums = depth and name in ("add", "multiply", "negative")
    return bool(sums) and any(_below(Traced(n, rec), depth - 1) for n in node.inputs)


REWRITES = (
    Rewrite("cancel-factor", "multiply", _cancelled, "x * (1 / x / x) -> 1 / x in derivatives"),
)
