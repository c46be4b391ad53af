"""Formulas: small immutable expressions, how they are built and how they are simplified.

An expression is a number, a name, a sum, a product, a power, or a call of a primitive. The
constructors ``plus``, ``times`` and ``to_the`` simplify (numbers, 0 and 1, signs, powers, equal
terms) while expressions are built, so an expression made with them is simplified; the classes
themselves keep what they are given, for formulas that show an operation as it was written.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.core.node import PRIMITIVES
from chainrule.explanation.formula.idioms import IDIOM_FORWARDS
from chainrule.forks import load

Shape = tuple[int, ...]


class Expr:
    """Base of all expressions. ``str(e)`` is its text; it has LaTeX and MathML spellings too."""

    __slots__ = ()

    @property
    def parts(self) -> tuple[Expr, ...]:
        return ()

    @property
    def shape(self) -> Shape:
        """Of names and calls what they were given; else that of the part with most axes."""
        return max((part.shape for part in self.parts), key=len, default=())

    def text(self) -> str:
        """Unicode text on one line."""
        return _written(self, "TextWriter")

    def latex(self) -> str:
        """LaTeX for math mode; parses in KaTeX."""
        return _written(self, "LatexWriter")

    def mathml(self) -> str:
        """Presentation MathML, the inside of a ``<math>`` element."""
        return _written(self, "MathmlWriter")

    def __str__(self) -> str:
        return self.text()


def _written(e: Expr, writer: str) -> str:
    """Writers stand above expressions and know them all."""
    return getattr(load("chainrule.explanation.formula.writers"), writer)().write(e)


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """A constant. Whole floats are kept as integers, so 2.0 and 2 are the same number."""

    value: int | float

    def __post_init__(self) -> None:
        value = self.value
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            object.__setattr__(self, "value", int(value))


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A name, distinguished by ``key``: a letter or word, an index, a mark above it, and
    ``upper``, a layer in brackets.

    ``letter`` may be any text; writers escape it.
    """

    key: str
    letter: str = field(compare=False)
    index: str = field(default="", compare=False)
    accent: str = field(default="", compare=False)
    of_shape: Shape = field(default=(), compare=False)
    upper: str = field(default="", compare=False)
    shape = property(lambda self: self.of_shape)


@dataclass(frozen=True, slots=True)
class Derivative(Expr):
    """The name of a derivative: d``of``/d``by``, with ∂ where ``partial``."""

    of: Name
    by: Name
    partial: bool = False

    @property
    def key(self) -> str:
        """Where its value stands for ``evaluate``: the derivative of the output by ``by``."""
        return "∂" + self.by.key

    shape = property(lambda self: self.by.shape)


@dataclass(frozen=True, slots=True)
class Sum(Expr):
    terms: tuple[Expr, ...]
    parts = property(lambda self: self.terms)


@dataclass(frozen=True, slots=True)
class Product(Expr):
    """Factors side by side, element by element where they are arrays."""

    factors: tuple[Expr, ...]
    parts = property(lambda self: self.factors)


@dataclass(frozen=True, slots=True)
class Power(Expr):
    base: Expr
    exponent: Expr
    parts = property(lambda self: (self.base, self.exponent))


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A primitive applied to arguments; ``attrs`` are its static arguments."""

    operation: str
    args: tuple[Expr, ...]
    attrs: tuple[tuple[str, Any], ...] = ()
    of_shape: Shape = field(default=(), compare=False)
    parts = property(lambda self: self.args)
    shape = property(lambda self: self.of_shape)


ZERO, ONE, TWO, MINUS_ONE, HALF = Number(0), Number(1), Number(2), Number(-1), Number(0.5)


# Taking apart -----------------------------------------------------------------------------


def coefficient(e: Expr) -> tuple[int | float, Expr]:
    """``e`` as a number times the rest."""
    if isinstance(e, Number):
        return e.value, ONE
    if isinstance(e, Product) and isinstance(e.factors[0], Number):
        rest = e.factors[1:]
        return e.factors[0].value, rest[0] if len(rest) == 1 else Product(rest)
    return 1, e


def factors_of(e: Expr) -> tuple[Expr, ...]:
    return e.factors if isinstance(e, Product) else (e,)


def terms_of(e: Expr) -> tuple[Expr, ...]:
    return e.terms if isinstance(e, Sum) else (e,)


def inside(e: Expr) -> Expr:
    """What was typed in brackets, without them."""
    return e.args[0] if isinstance(e, Call) and e.operation == "group" else e


def walk(e: Expr) -> Iterator[Expr]:
    stack = [e]
    while stack:
        one = stack.pop()
        yield one
        stack.extend(one.parts)


def size(e: Expr, limit: int = 10**9) -> int:
    """How many symbols ``e`` has, counted up to ``limit``."""
    return sum(1 for _ in itertools.islice(walk(e), limit))


# Building, simplified ---------------------------------------------------------------------


def plus(*terms: Expr) -> Expr:
    """The sum: flat, numbers added, equal terms collected, zeros dropped."""
    number: int | float = 0
    found: dict[Expr, int | float] = {}
    for term in terms:
        for part in term.terms if isinstance(term, Sum) else (term,):
            c, rest = coefficient(part)
            if rest == ONE:
                number += c
            else:
                found[rest] = found.get(rest, 0) + c
    kept = [times(Number(c), rest) for rest, c in found.items() if c != 0]
    if number != 0:
        # A constant stands where it does in 1 − y, but after a leading minus: 1 − y, x + 1.
        first = bool(terms) and isinstance(terms[0], Number)
        kept.insert(0 if first else len(kept), Number(number))
    if not kept:
        return ZERO
    if len(kept) == 1:
        return kept[0]
    if coefficient(kept[0])[0] < 0:  # b − a reads better than −a + b
        for i, term in enumerate(kept):
            if coefficient(term)[0] > 0:
                kept.insert(0, kept.pop(i))
                break
    return Sum(tuple(kept))


def minus(e: Expr) -> Expr:
    return times(MINUS_ONE, e)


def times(*factors: Expr) -> Expr:
    """The product: flat, numbers multiplied and in front, powers of equal bases joined."""
    number: int | float = 1
    powers: dict[Expr, Expr] = {}
    stack = list(reversed(factors))
    while stack:
        factor = stack.pop()
        if isinstance(factor, Product):
            stack.extend(reversed(factor.factors))
        elif isinstance(factor, Number):
            number *= factor.value
        else:
            base, exponent = (
                (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, ONE)
            )
            powers[base] = plus(powers[base], exponent) if base in powers else exponent
    if number == 0:
        return ZERO
    kept = []
    for base, exponent in powers.items():
        raised = to_the(base, exponent)
        if isinstance(raised, Number):
            number *= raised.value
        elif raised != ONE:
            kept.append(raised)
    kept.sort(key=_rank)
    if number != 1 or not kept:
        if number == -1 and len(kept) == 1 and isinstance(kept[0], Sum):
            return plus(*(times(MINUS_ONE, term) for term in kept[0].terms))
        kept.insert(0, Number(number))
    return kept[0] if len(kept) == 1 else Product(tuple(kept))


def _rank(e: Expr) -> int:
    """Names first, then functions, then brackets: 2x cos x² (1 + x)."""
    base = e.base if isinstance(e, Power) else e
    return 0 if isinstance(base, Name) else 1 if isinstance(base, Call) else 2


def to_the(base: Expr, exponent: Expr) -> Expr:
    """The power, where a rule holds for every base: x⁰, x¹, (xⁿ)ᵐ and (xy)ᵐ for whole m."""
    if exponent == ZERO:
        return ONE
    if exponent == ONE:
        return base
    if isinstance(base, Number) and isinstance(exponent, Number):
        return _number_power(base, exponent)
    if base == ONE:
        return ONE
    whole = isinstance(exponent, Number) and isinstance(exponent.value, int)
    if whole and isinstance(base, Power):
        return to_the(base.base, times(base.exponent, exponent))
    if whole and isinstance(base, Product):
        return times(*(to_the(factor, exponent) for factor in base.factors))
    return Power(base, exponent)


def _number_power(base: Number, exponent: Number) -> Expr:
    b, n = base.value, exponent.value
    exact = isinstance(n, int) and (n > 0 and abs(b) ** min(n, 64) < 1e12 and n < 64)
    inverse = n == -1 and b != 0 and (1 / b) * b == 1 and b in (2, 4, 8, 16, -2, -4, -8)
    if exact or inverse:
        return Number(b**n)
    return Power(base, exponent)


def over(numerator: Expr, denominator: Expr) -> Expr:
    return times(numerator, to_the(denominator, MINUS_ONE))


def _sum(*terms: Expr) -> Expr:
    return Sum(terms)


def _product(*factors: Expr) -> Expr:
    return Product(factors)


AS_IT_STANDS: tuple[Callable[..., Expr], ...] = (_sum, _product, Power)


def rebuilt(
    e: Expr, parts: tuple[Expr, ...], make: tuple[Callable[..., Expr], ...] = AS_IT_STANDS
) -> Expr:
    """``e`` on other parts, as it stands, or with other constructors of sums, products and
    powers."""
    for kind, constructor in zip((Sum, Product, Power), make, strict=True):
        if isinstance(e, kind):
            return constructor(*parts)
    return replace(e, args=parts) if isinstance(e, Call) else e


def replaced(e: Expr, table: Mapping[Expr, Expr]) -> Expr:
    """``e`` with some parts in place of others, simplified; numbers come before a product of
    arrays: 2 q xᵀ."""
    if e in table:
        return table[e]
    parts = [replaced(part, table) for part in e.parts]
    number: int | float = 1
    if isinstance(e, Call) and e.operation == "contract":
        for i, part in enumerate(parts):
            c, parts[i] = coefficient(part)
            number *= c
    return times(Number(number), rebuilt(e, tuple(parts), (plus, times, to_the)))


# Numbers behind an expression -------------------------------------------------------------


def evaluate(e: Expr, values: Mapping[str, Any]) -> Any:
    """The value of ``e`` for ``values`` by key of name, with the primitives' own forwards."""
    with np.errstate(all="ignore"):
        return _evaluate(e, values)


def _evaluate(e: Expr, values: Mapping[str, Any]) -> Any:
    if isinstance(e, Number):
        return np.asarray(float(e.value))
    if isinstance(e, (Name, Derivative)):
        return np.asarray(values[e.key])
    parts = [_evaluate(part, values) for part in e.parts]
    if isinstance(e, (Sum, Product)):
        return functools.reduce(operator.add if isinstance(e, Sum) else operator.mul, parts)
    if isinstance(e, Power):
        whole = isinstance(e.exponent, Number) and isinstance(e.exponent.value, int)
        return parts[0] ** (int(e.exponent.value) if whole else parts[1])  # type: ignore[attr-defined]
    assert isinstance(e, Call)
    forward = IDIOM_FORWARDS.get(e.operation) or PRIMITIVES[e.operation].forward
    return forward(*parts, **dict(e.attrs))
