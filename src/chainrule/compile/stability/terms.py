"""What an operation means: sums of monomials with exact coefficients, read off the nodes.

A rewrite puts another form in the place of what was typed; ``Recording.typed`` keeps what it
stands for, so that a larger pattern is found whether or not its parts were rewritten before.
Reading stops at a few levels and a few terms: matching costs the same in a large program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import reduce

from chainrule.compile.patterns import apply, constant_like, number
from chainrule.core.node import NO_ATTRS, Attrs, Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced

MOST_TERMS = 12
ONE = Fraction(1)
DEPTH = 4

Powers = tuple[tuple[Node, int], ...]
"""Factors with their exponents, in the order in which they were recorded; () is the number 1."""
Part = tuple[Fraction, dict[Node, int]]
"""A monomial: its coefficient, and its factors with their exponents."""
Terms = dict[Powers, Fraction]
"""A sum: monomials with their coefficients, none of them 0."""


def _nothing(*operation: object) -> None:
    """The rewrite that rewrites nothing: what acts eagerly alone, without one, stays away."""


@contextmanager
def as_written(recording: Recording) -> Iterator[None]:
    """Record what a rewrite builds without rewriting that again."""
    outer, recording.rewrite = recording.rewrite, _nothing
    try:
        yield
    finally:
        recording.rewrite = outer


# Reading ----------------------------------------------------------------------------------


def meaning_of(node: Node, recording: Recording) -> tuple[str, tuple[Node, ...], Attrs]:
    """The operation that a node stands for, by the name of its primitive: as typed, where a rewrite
    put another form in its place. ``x**0.5``, ``x**2`` and ``x**-1`` have names of their own."""
    primitive, nodes, attrs = recording.typed.get(node) or (node.primitive, node.inputs, node.attrs)
    name = primitive.name
    if name == "power_constant" and attrs["exponent"] in POWERS:
        return POWERS[attrs["exponent"]], nodes, NO_ATTRS
    return name, nodes, attrs


def meaning(x: Traced) -> tuple[str, tuple[Traced, ...], Attrs]:
    """The same of a traced value, with traced inputs."""
    recording = x.recording
    name, nodes, attrs = meaning_of(x.node, recording)
    return name, tuple([Traced(n, recording) for n in nodes]), attrs


POWERS = {0.5: "sqrt", 2: "square", -1: "reciprocal"}


def exact(x: Traced) -> Fraction | None:
    """The finite number that x holds everywhere, if it is a constant."""
    value = number(x) if x.node.is_constant else None
    if value is None or not math.isfinite(value):
        return None
    return Fraction(value)


def whole(exponent: float, most: int) -> int | None:
    """The exponent if it is an integer no larger than ``most``, else None."""
    return int(exponent) if abs(exponent) <= most and exponent == int(exponent) else None


def monomial(x: Traced, depth: int | None = None) -> tuple[Fraction, dict[Node, int]]:
    """x as a number times powers of factors that are no products themselves. What a sum of
    derivatives has in common lies deeper than what is typed."""
    if depth is None:
        depth = 2 * DEPTH if x.recording.is_deriving else DEPTH
    found = _read(x, depth)
    return _read_stepwise(x, depth) if found is None else found


def _read(x: Traced, depth: int) -> tuple[Fraction, dict[Node, int]] | None:
    """The same all at once; None where something cancels or 0 is divided by, which decide about
    what is a factor."""
    rec, c = x.recording, ONE
    powers: dict[Node, int] = {}
    stack = [(x.node, 1, depth)]
    while stack:
        node, e, left = stack.pop()
        value = exact(Traced(node, rec)) if node.is_constant else None
        if value is not None:
            if not value and e < 0:
                return None
            c = value**e if c is ONE else c * value**e
            continue
        name, inputs, attrs = meaning_of(node, rec) if left else ("", node.inputs, NO_ATTRS)
        if name in PRODUCTS:
            stack.append((inputs[1], e if name == "multiply" else -e, left - 1))
            stack.append((inputs[0], e, left - 1))
        elif name == "negative":
            c = -c if e % 2 else c
            stack.append((inputs[0], e, left - 1))
        elif name in _RAISED and (n := _RAISED[name] or whole(attrs["exponent"], DEPTH)):
            stack.append((inputs[0], e * n, left - 1))
        else:
            before = powers.get(node, 0)
            if before * e < 0 and not rec.is_deriving:
                return None
            powers[node] = before + e
    return c, {node: e for node, e in powers.items() if e}


def _read_stepwise(x: Traced, depth: int) -> tuple[Fraction, dict[Node, int]]:
    value = exact(x)
    if value is not None:
        return value, {}
    name, inputs, attrs = meaning(x)
    if depth:
        if name == "negative":
            c, powers = _read_stepwise(inputs[0], depth - 1)
            return -c, powers
        if name in PRODUCTS:
            c, powers = _read_stepwise(inputs[0], depth - 1)
            d, others = _read_stepwise(inputs[1], depth - 1)
            sign = 1 if name == "multiply" else -1
            if (sign > 0 or d) and not _cancel(powers, others, sign, x.recording):
                return c * d**sign, joined(powers, others, sign)
        if name in _RAISED:
            n = _RAISED[name] or whole(attrs["exponent"], DEPTH)
            if n:
                c, powers = _read_stepwise(inputs[0], depth - 1)
                if c or n > 0:
                    return c**n, {node: e * n for node, e in powers.items()}
    return ONE, {x.node: 1}


PRODUCTS = frozenset({"multiply", "divide", "quotient_or_zero"})
_RAISED = {"square": 2, "reciprocal": -1, "power_constant": 0}


def _cancel(a: dict[Node, int], b: dict[Node, int], sign: int, recording: Recording) -> bool:
    """Whether a factor meets its inverse: x / x as typed is no number where x is 0. Derivatives
    are ours, and cancel them."""
    return not recording.is_deriving and any(a.get(n, 0) * sign * e < 0 for n, e in b.items())


def joined(a: dict[Node, int], b: dict[Node, int], sign: int = 1) -> dict[Node, int]:
    found = dict(a)
    for node, e in b.items():
        found[node] = found.get(node, 0) + sign * e
    return {node: e for node, e in found.items() if e}


def key(powers: Mapping[Node, int]) -> Powers:
    return tuple(sorted(powers.items(), key=lambda item: item[0].serial))


def summands(x: Traced, depth: int = 2, sign: int = 1) -> list[tuple[Fraction, dict[Node, int]]]:
    """The monomials that x is the sum of, in the order of typing, equal ones not joined."""
    name, inputs, _ = meaning(x)
    if depth and name in ("add", "subtract"):
        second = sign if name == "add" else -sign
        return summands(inputs[0], depth - 1, sign) + summands(inputs[1], depth - 1, second)
    if depth and name == "negative":
        return summands(inputs[0], depth - 1, -sign)
    c, powers = monomial(x)
    if depth and list(powers.values()) == [1] and x.node not in powers:  # (u + v) / 2
        (node,) = powers
        return [(sign * c * d, p) for d, p in summands(Traced(node, x.recording), depth - 1)]
    return [(sign * c, powers)]


def polynomial(x: Traced, depth: int = DEPTH) -> Terms:
    """x multiplied out, as far as it is made by sums, products and small powers."""
    itself: Terms = {((x.node, 1),): ONE}
    value = exact(x)
    if value is not None:
        return {(): value} if value else {}
    if not depth:
        return itself
    name, inputs, attrs = meaning(x)
    if name in ("add", "subtract"):
        return added(
            polynomial(inputs[0], depth - 1),
            polynomial(inputs[1], depth - 1),
            1 if name == "add" else -1,
        )
    if name == "negative":
        return scaled(polynomial(inputs[0], depth - 1), Fraction(-1))
    if name == "divide":
        d = exact(inputs[1])
        return scaled(polynomial(inputs[0], depth - 1), 1 / d) if d else itself
    if name == "multiply":
        return multiplied(*(polynomial(z, depth - 1) for z in inputs)) or itself
    n = 2 if name == "square" else attrs.get("exponent") if name == "power_constant" else None
    if n in (2, 3, 4):
        return power(polynomial(inputs[0], depth - 1), int(n)) or itself
    return itself


def leaves_of(node: Node, rec: Recording) -> set[Node | None]:
    """What a factor is made of by sums, products and powers, and None if numbers are."""
    found: set[Node | None] = {node}
    stack = [(node, DEPTH + 1)]
    while stack:
        node, depth = stack.pop()
        name, inputs, _ = meaning_of(node, rec)
        if name == "divide" and not inputs[1].is_constant:
            continue
        if depth and name in _MADE_UP:
            for part in inputs:
                if part.is_constant:
                    found.add(None)
                elif part not in found:
                    found.add(part)
                    stack.append((part, depth - 1))
    return found


_MADE_UP = frozenset({"add", "subtract", "negative", "multiply", "divide", "square", "sqrt",
                      "power_constant"})  # fmt: skip


def added(a: Terms, b: Terms, factor: int | Fraction = 1) -> Terms:
    found = dict(a)
    for powers, c in b.items():
        found[powers] = found.get(powers, Fraction(0)) + factor * c
    return {powers: c for powers, c in found.items() if c}


def scaled(a: Terms, factor: Fraction) -> Terms:
    return {powers: factor * c for powers, c in a.items()} if factor else {}


def multiplied(a: Terms, b: Terms) -> Terms | None:
    """The product, or None where it has too many terms."""
    if len(a) * len(b) > MOST_TERMS:
        return None
    found: Terms = {}
    for p, c in a.items():
        for q, d in b.items():
            powers = key(joined(dict(p), dict(q))) if p and q else p or q
            one = c if d is ONE else d if c is ONE else c * d
            found[powers] = found[powers] + one if powers in found else one
    return {powers: c for powers, c in found.items() if c}


def power(a: Terms | None, n: int) -> Terms | None:
    found: Terms | None = {(): ONE}
    for _ in range(n):
        found = None if found is None or a is None else multiplied(found, a)
    return found


def flat(x: Traced) -> Terms:
    """x as a sum of monomials in which no sum is multiplied out."""
    found: Terms = {}
    for c, powers in summands(x, DEPTH):
        found = added(found, {key(powers): c})
    return found


def difference(
    p: Traced, q: Traced, a: Fraction = Fraction(1), b: Fraction = Fraction(1)
) -> Terms | None:
    """a·p - b·q where terms cancel on the way, so that it is known better than by
    subtracting."""
    for read in (flat, polynomial):
        first, second = scaled(read(p), a), scaled(read(q), b)
        if any(first.get(t) == c for t, c in second.items()):
            return added(first, second, -1)
    return None


# Building ---------------------------------------------------------------------------------


def rounded(c: Fraction) -> float:
    """c as a float; OverflowError where that is infinite, or 0 while c is not."""
    value = float(c)
    if c and not value:
        raise OverflowError(f"{c} is too small for a float")
    return value


def constant(c: Fraction, like: Traced) -> Traced:
    return constant_like(like, rounded(c))


def times(c: Fraction, x: Traced) -> Traced:
    if abs(c) == 1:
        return x if c > 0 else -x
    return x / rounded(1 / c) if c.numerator in (1, -1) else x * rounded(c)


def product(c: Fraction, powers: Mapping[Node, int], like: Traced) -> Traced:
    """A number times powers: what is below the line is divided by one by one, which over- and
    underflows later than dividing by a product."""
    found = None
    for node, e in powers.items():
        for _ in range(max(e, 0)):
            x = Traced(node, like.recording)
            found = x if found is None else found * x
    found = constant(c, like) if found is None else times(c, found)
    return over(found, powers)


def over(x: Traced, powers: Mapping[Node, int]) -> Traced:
    """x divided by the factors with negative exponents."""
    for node, e in powers.items():
        for _ in range(max(-e, 0)):
            x = x / Traced(node, x.recording)
    return x


def total(terms: Terms, like: Traced) -> Traced:
    """A sum of monomials; what several have in common is taken out of them."""
    if not terms:
        return constant_like(like, 0.0)
    common = dict(next(iter(terms)))
    for powers in terms:
        others = dict(powers)
        common = {n: min(e, others.get(n, 0)) for n, e in common.items() if others.get(n, 0) > 0}
    if len(terms) > 1 and common:
        rest = {key(joined(dict(p), common, -1)): c for p, c in terms.items()}
        return product(Fraction(1), common, like) * total(rest, like)
    parts = [(c, dict(powers)) for powers, c in terms.items()]
    found = product(*parts[0], like)
    for c, powers in parts[1:]:
        one = product(abs(c), powers, like)
        found = found + one if c > 0 else found - one
    return found


def choose(condition: Traced, stable: Traced, typed: Traced) -> Traced:
    return apply("select", condition, stable, typed)


def prefer(condition: Traced | None, stable: Traced, typed: Traced) -> Traced:
    """The stable form where the condition holds and it is finite, else what was typed: no
    number becomes a nan."""
    finite = apply("isfinite", stable)
    condition = finite if condition is None else apply("logical_and", condition, finite)
    return choose(condition, stable, typed)


SAFE = {4: (-80, 120), 8: (-900, 1016)}
"""Powers of two between which squares and their differences are exact to the last place, by the
bytes of a float."""


def in_range(*sizes: Traced) -> Traced:
    """Where these absolute values have lost nothing at either end of the range, or are no numbers:
    then what was typed is none either. Nearly all are, and machine code skips what is chosen
    elsewhere where all of a block are."""
    low, high = (2.0**e for e in SAFE[sizes[0].dtype.itemsize])
    beyond = []
    for size in sizes:
        beyond.append(apply("less_equal", size, constant_like(size, low)))
        beyond.append(apply("less_equal", constant_like(size, high), size))
    outside = reduce(lambda a, b: apply("logical_or", a, b), beyond)
    return apply("likely", apply("logical_not", outside))


def cancels(y: Traced, parts: Iterable[Traced]) -> Traced:
    """Where a sum is less than half of the largest of its parts; not where one is infinite."""
    largest = reduce(lambda a, b: apply("maximum", a, b), [abs(part) for part in parts])
    return apply("less", 2.0 * abs(y), largest)


def quick(names: frozenset[str]) -> Callable[[Traced], bool]:
    """A test of whether something of these names is near the top: what decides for most
    operations that no pattern fits."""

    def found(x: Traced) -> bool:
        node, typed = x.node, x.recording.typed
        name = node.primitive.name
        if name in names or node in typed:
            return True
        if name in _ARITHMETIC:
            for n in node.inputs:
                if n.primitive.name in names or n in typed:
                    return True
                if n.primitive.name == "multiply":  # a·f·b is a product of products
                    for m in n.inputs:
                        if m.primitive.name in names or m in typed:
                            return True
        return False

    return found


_ARITHMETIC = frozenset(
    {"add", "subtract", "multiply", "divide", "negative", "square", "power_constant"}
)
