"""Formulas: small immutable expressions, how they are built and how they are simplified.

An expression is a ``Node``: a number, a name, the name of a derivative, a sum, a product, a power,
or a call of a primitive with its static arguments as data. Its shape is that of the array. The
constructors ``plus``, ``times`` and ``to_the`` simplify (numbers, 0 and 1, signs, powers, equal
terms) while expressions are built, so an expression made with them is simplified; ``added``,
``multiplied`` and ``raised`` keep what they are given, for formulas that show an operation as it
was written.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.core.node import PRIMITIVES
from chainrule.explanation.formula.idioms import IDIOM_FORWARDS
from chainrule.explanation.formula.node import Name, Node, Shape, Slope, walk

# Making, as it stands ----------------------------------------------------------------------


def constant(value: int | float) -> Node:
    """A constant. Whole floats are kept as integers, so 2.0 and 2 are the same number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return Node("number", (), (), value)


def named(
    key: str, letter: str, index: str = "", accent: str = "", shape: Shape = (), upper: str = ""
) -> Node:
    """A name; see ``Name``."""
    return Node("name", (), shape, Name(key, letter, index, accent, upper))


def derivative(of: Node, by: Node, partial: bool = True) -> Node:
    """The name of a derivative."""
    return Node("derivative", (), by.shape, Slope(of, by, partial))


def added(*terms: Node) -> Node:
    return Node("sum", terms, _widest(terms))


def multiplied(*factors: Node) -> Node:
    """Factors side by side, element by element where they are arrays."""
    return Node("product", factors, _widest(factors))


def raised(base: Node, exponent: Node) -> Node:
    return Node("power", (base, exponent), _widest((base, exponent)))


def call_of(
    operation: str,
    args: tuple[Node, ...],
    attrs: tuple[tuple[str, Any], ...] = (),
    shape: Shape = (),
) -> Node:
    """A primitive applied to arguments; ``attrs`` are its static arguments."""
    return Node(operation, args, shape, attrs)


def _widest(parts: tuple[Node, ...]) -> Shape:
    """The shape of the part with most axes."""
    return max((part.shape for part in parts), key=len, default=())


ALGEBRA = frozenset({"number", "name", "derivative", "sum", "product", "power"})


def is_call(e: Node) -> bool:
    """Whether ``e`` is a function of its arguments: a primitive, or one with a notation."""
    return e.op not in ALGEBRA


ZERO, ONE, TWO, MINUS_ONE, HALF = map(constant, (0, 1, 2, -1, 0.5))


# Taking apart -----------------------------------------------------------------------------


def coefficient(e: Node) -> tuple[int | float, Node]:
    """``e`` as a number times the rest."""
    if e.op == "number":
        return e.data, ONE
    if e.op == "product" and e.args[0].op == "number":
        first, *rest = e.args
        return first.data, rest[0] if len(rest) == 1 else multiplied(*rest)
    return 1, e


def factors_of(e: Node) -> tuple[Node, ...]:
    return e.args if e.op == "product" else (e,)


def terms_of(e: Node) -> tuple[Node, ...]:
    return e.args if e.op == "sum" else (e,)


def inside(e: Node) -> Node:
    """What was typed in brackets, without them."""
    return e.args[0] if e.op == "group" else e


def size(e: Node, limit: int = 10**9) -> int:
    """How many symbols ``e`` has, counted up to ``limit``."""
    return sum(1 for _ in itertools.islice(walk(e), limit))


# Building, simplified ---------------------------------------------------------------------


def plus(*terms: Node) -> Node:
    """The sum: flat, numbers added, equal terms collected, zeros dropped."""
    number: int | float = 0
    found: dict[Node, int | float] = {}
    for term in terms:
        for part in terms_of(term):
            c, rest = coefficient(part)
            if rest == ONE:
                number += c
            else:
                found[rest] = found.get(rest, 0) + c
    kept = [times(constant(c), rest) for rest, c in found.items() if c != 0]
    if number != 0:
        # A constant stands where it does in 1 − y, but after a leading minus: 1 − y, x + 1.
        first = bool(terms) and terms[0].op == "number"
        kept.insert(0 if first else len(kept), constant(number))
    if not kept:
        return ZERO
    if len(kept) == 1:
        return kept[0]
    if coefficient(kept[0])[0] < 0:  # b − a reads better than −a + b
        for i, term in enumerate(kept):
            if coefficient(term)[0] > 0:
                kept.insert(0, kept.pop(i))
                break
    return added(*kept)


def minus(e: Node) -> Node:
    return times(MINUS_ONE, e)


def times(*factors: Node) -> Node:
    """The product: flat, numbers multiplied and in front, powers of equal bases joined."""
    number: int | float = 1
    powers: dict[Node, Node] = {}
    stack = list(reversed(factors))
    while stack:
        factor = stack.pop()
        if factor.op == "product":
            stack.extend(reversed(factor.args))
        elif factor.op == "number":
            number *= factor.data
        else:
            base, exponent = factor.args if factor.op == "power" else (factor, ONE)
            powers[base] = plus(powers[base], exponent) if base in powers else exponent
    if number == 0:
        return ZERO
    kept = []
    for base, exponent in powers.items():
        x = to_the(base, exponent)
        if x.op == "number":
            number *= x.data
        elif x != ONE:
            kept.append(x)
    kept.sort(key=_rank)
    if number != 1 or not kept:
        if number == -1 and len(kept) == 1 and kept[0].op == "sum":
            return plus(*(times(MINUS_ONE, term) for term in kept[0].args))
        kept.insert(0, constant(number))
    return kept[0] if len(kept) == 1 else multiplied(*kept)


def _rank(e: Node) -> int:
    """Names first, then functions, then brackets: 2x cos x² (1 + x)."""
    base = e.args[0] if e.op == "power" else e
    return 0 if base.op == "name" else 1 if is_call(base) else 2


def to_the(base: Node, exponent: Node) -> Node:
    """The power, where a rule holds for every base: x⁰, x¹, (xⁿ)ᵐ and (xy)ᵐ for whole m."""
    if exponent == ZERO:
        return ONE
    if exponent == ONE:
        return base
    if base.op == exponent.op == "number":
        return _number_power(base, exponent)
    if base == ONE:
        return ONE
    whole = exponent.op == "number" and isinstance(exponent.data, int)
    if whole and base.op == "power":
        return to_the(base.args[0], times(base.args[1], exponent))
    if whole and base.op == "product":
        return times(*(to_the(factor, exponent) for factor in base.args))
    return raised(base, exponent)


def _number_power(base: Node, exponent: Node) -> Node:
    b, n = base.data, exponent.data
    exact = isinstance(n, int) and (n > 0 and abs(b) ** min(n, 64) < 1e12 and n < 64)
    inverse = n == -1 and b != 0 and (1 / b) * b == 1 and b in (2, 4, 8, 16, -2, -4, -8)
    if exact or inverse:
        return constant(b**n)
    return raised(base, exponent)


Make = Mapping[str, Callable[..., Node]]
AS_IT_STANDS: Make = {"sum": added, "product": multiplied, "power": raised}
SIMPLER: Make = {"sum": plus, "product": times, "power": to_the}


def rebuilt(e: Node, parts: tuple[Node, ...], make: Make = AS_IT_STANDS) -> Node:
    """``e`` on other parts, its sums, products and powers by these constructors."""
    if e.op in make:
        return make[e.op](*parts)
    return replace(e, args=parts) if parts else e


def replaced(e: Node, table: Mapping[Node, Node]) -> Node:
    """``e`` with some parts in place of others, simplified; numbers come before a product of
    arrays: 2 q xᵀ."""
    if e in table:
        return table[e]
    parts = [replaced(part, table) for part in e.args]
    number: int | float = 1
    if e.op == "contract":
        for i, part in enumerate(parts):
            c, parts[i] = coefficient(part)
            number *= c
    return times(constant(number), rebuilt(e, tuple(parts), SIMPLER))


# Numbers behind an expression -------------------------------------------------------------


def evaluate(e: Node, values: Mapping[str, Any]) -> Any:
    """The value of ``e`` for ``values`` by key of name, with the primitives' own forwards."""
    with np.errstate(all="ignore"):
        return _evaluate(e, values)


def _evaluate(e: Node, values: Mapping[str, Any]) -> Any:
    if e.op == "number":
        return np.asarray(float(e.data))
    if e.op in ("name", "derivative"):
        return np.asarray(values[e.key])
    parts = [_evaluate(part, values) for part in e.args]
    if e.op in ("sum", "product"):
        return functools.reduce(operator.add if e.op == "sum" else operator.mul, parts)
    if e.op == "power":
        whole = e.args[1].op == "number" and isinstance(e.args[1].data, int)
        return parts[0] ** (e.args[1].data if whole else parts[1])
    forward = IDIOM_FORWARDS.get(e.op) or PRIMITIVES[e.op].forward
    return forward(*parts, **dict(e.data))
