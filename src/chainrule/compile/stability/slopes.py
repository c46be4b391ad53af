"""Products among derivatives whose factors leave the range before the product does."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from operator import attrgetter

from chainrule.compile.patterns import Rewrite, apply, constant_like
from chainrule.compile.stability.quotients import EXPONENTIALS, exponentials_near, shifted
from chainrule.compile.stability.terms import (
    DEPTH,
    Part,
    as_written,
    choose,
    in_range,
    joined,
    meaning,
    meaning_of,
    monomial,
    over,
    product,
    summands,
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
    if not any(_grows(Traced(n, rec), e) for n, e in powers.items()):
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


def _grows(v: Traced, e: int) -> bool:
    """Whether v^e falls faster than 1/v, and v, or what it is a root or power of, has an
    exponential in one of its terms."""
    name, inputs, attrs = meaning(v)
    if (e * attrs["exponent"] if name == "power_constant" else e) >= -1:
        return False
    terms = summands(inputs[0] if name in ("sqrt", "power_constant") else v)
    return any(meaning_of(n, v.recording)[0] in EXPONENTIALS for _, part in terms for n in part)


_GROWING = frozenset({*EXPONENTIALS, "power_constant"})


def _as_typed_in_range(a: Traced, b: Traced, y: Traced) -> Traced:
    """a · b where neither has lost anything at the ends of the range, else y."""
    typed = a * b
    sizes = [abs(x) for x in (a, b) if not x.node.is_constant]  # which has lost nothing
    if not sizes:
        return typed
    kept = apply("logical_and", in_range(*sizes), apply("isfinite", typed))
    return choose(apply("likely", kept), typed, y)


def _one_term(x: Traced) -> tuple[Fraction, dict[Node, int]]:
    """x as a monomial; among its factors a sum of equal ones, as the parts of a slope are."""
    c, powers = monomial(x, 2 * DEPTH)
    for node, e in list(powers.items()):
        found = _of_equal_terms(Traced(node, x.recording)) if e == 1 else None
        if found is not None:
            c, powers = c * found[0], joined(joined(powers, {node: -1}), found[1])
    return c, powers


def _of_equal_terms(x: Traced) -> Part | None:
    """A sum of terms that differ in their numbers alone, as one of them. Most sums are none, which
    their first two terms show."""
    if meaning_of(x.node, x.recording)[0] not in ("add", "subtract"):
        return None
    whole, powers = Fraction(0), None
    for sign, term in _terms(x, DEPTH, 1):
        c, its = monomial(term, 2 * DEPTH)
        if powers not in (None, its):
            return None
        whole, powers = whole + sign * c, its
    return (whole, powers) if whole and powers is not None else None


def _terms(x: Traced, depth: int, sign: int) -> Iterator[tuple[int, Traced]]:
    """What x is the sum of, with signs."""
    name, inputs, _ = meaning(x)
    if depth and name in ("add", "subtract", "negative"):
        signs = (-sign,) if name == "negative" else (sign, sign if name == "add" else -sign)
        for one, its in zip(inputs, signs, strict=True):
            yield from _terms(one, depth - 1, its)
    else:
        yield sign, x


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
