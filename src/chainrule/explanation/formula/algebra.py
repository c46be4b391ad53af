"""How each algebraic primitive is written: as it was recorded, or simplified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.explanation.formula.expressions import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    Call,
    Expr,
    Number,
    Power,
    Product,
    Sum,
    coefficient,
    factors_of,
    minus,
    over,
    plus,
    terms_of,
    times,
    to_the,
)

Algebra = Mapping[str, Any]


def _negated(e: Expr) -> Expr:
    c, rest = coefficient(e)
    if isinstance(e, Number):
        return Number(-e.value)
    if c == -1:
        return rest
    return Product((Number(-c), *factors_of(rest)))


def _written_product(x: Expr, z: Expr) -> Expr:
    """Numbers first, otherwise as written; no joining of factors."""
    if isinstance(z, Number) and not isinstance(x, Number):
        x, z = z, x
    if x == ONE and not isinstance(z, Number):
        return z
    if x == MINUS_ONE:
        return _negated(z)
    return Product((*factors_of(x), *factors_of(z)))


def _written_sum(x: Expr, z: Expr) -> Expr:
    return Sum((*terms_of(x), *terms_of(z)))


def _as_power(x: Expr, *, exponent: int | float) -> Expr:
    return Power(x, Number(exponent))


def _call(operation: str, x: Expr) -> Call:
    return Call(operation, (x,), (), x.shape)


WRITTEN: Algebra = {
    "add": _written_sum,
    "subtract": lambda x, z: Sum((*terms_of(x), _negated(z))),
    "multiply": _written_product,
    "kinked": _written_product,
    "value_of": lambda x, z: x,
    "divide": lambda x, z: Product((*factors_of(x), Power(z, MINUS_ONE))),
    "quotient_or_zero": lambda x, z: Product((*factors_of(x), Power(z, MINUS_ONE))),
    "negative": _negated,
    "reciprocal": lambda x: Power(x, MINUS_ONE),
    "square": lambda x: Power(x, Number(2)),
    "sqrt": lambda x: Power(x, HALF),
    "root": lambda x, *, degree: Power(x, HALF if degree == 2 else Number(1 / degree)),
    "power": Power,
    "power_constant": _as_power,
    "exp2": lambda x: Power(Number(2), x),
    "exp10": lambda x: Power(Number(10), x),
    "expm1": lambda x: Sum((_call("exp", x), MINUS_ONE)),
    "log1p": lambda x: _call("log", Sum((ONE, x))),
    "hypot": lambda x, z: Power(Sum((Power(x, TWO), Power(z, TWO))), HALF),
    "one_minus_square": lambda x: Sum((ONE, _negated(Power(x, TWO)))),
    "logistic_slope": lambda y, x: Product((y, Sum((ONE, _negated(y))))),
    "tanh_slope": lambda y, x: Sum((ONE, _negated(Power(y, TWO)))),
    "xlogy": lambda x, z: _written_product(x, _call("log", z)),
    "xlog1py": lambda x, z: _written_product(x, _call("log", Sum((ONE, z)))),
}
"""How each algebraic primitive is shown, as it was written."""

SIMPLIFIED: Algebra = {
    "add": plus,
    "subtract": lambda x, z: plus(x, minus(z)),
    "multiply": times,
    "kinked": times,
    "value_of": lambda x, z: x,
    "divide": over,
    "quotient_or_zero": over,
    "negative": minus,
    "reciprocal": lambda x: to_the(x, MINUS_ONE),
    "square": lambda x: to_the(x, Number(2)),
    "sqrt": lambda x: to_the(x, HALF),
    "root": lambda x, *, degree: to_the(x, HALF if degree == 2 else Number(1 / degree)),
    "power": to_the,
    "power_constant": lambda x, *, exponent: to_the(x, Number(exponent)),
    "exp2": lambda x: to_the(TWO, x),
    "exp10": lambda x: to_the(Number(10), x),
    "expm1": lambda x: plus(_call("exp", x), MINUS_ONE),
    "log1p": lambda x: _call("log", plus(ONE, x)),
    "hypot": lambda x, z: to_the(plus(to_the(x, TWO), to_the(z, TWO)), HALF),
    "one_minus_square": lambda x: plus(ONE, minus(to_the(x, TWO))),
    "logistic_slope": lambda y, x: times(y, plus(ONE, minus(y))),
    "tanh_slope": lambda y, x: plus(ONE, minus(to_the(y, TWO))),
    "xlogy": lambda x, z: times(x, _call("log", z)),
    "xlog1py": lambda x, z: times(x, _call("log", plus(ONE, z))),
}
"""The same, simplified."""
