"""How each algebraic primitive is written: as it was recorded, or simplified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule.explanation.formula.expressions import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    added,
    call_of,
    coefficient,
    constant,
    factors_of,
    minus,
    multiplied,
    plus,
    raised,
    terms_of,
    times,
    to_the,
)
from chainrule.explanation.formula.node import Node

Algebra = Mapping[str, Any]
Combine = Callable[[Node, Node], Node]


def negated(e: Node) -> Node:
    c, rest = coefficient(e)
    if e.op == "number":
        return constant(-e.data)
    if c == -1:
        return rest
    return multiplied(constant(-c), *factors_of(rest))


def _written_product(x: Node, z: Node) -> Node:
    """Numbers first, otherwise as written; no joining of factors."""
    if z.op == "number" and x.op != "number":
        x, z = z, x
    if x == ONE and z.op != "number":
        return z
    if x == MINUS_ONE:
        return negated(z)
    return multiplied(*factors_of(x), *factors_of(z))


def _written_sum(x: Node, z: Node) -> Node:
    return added(*terms_of(x), *terms_of(z))


def _call(operation: str, x: Node) -> Node:
    return call_of(operation, (x,), (), x.shape)


def _algebra(
    add: Combine, multiply: Combine, power: Combine, negative: Callable[[Node], Node]
) -> Algebra:
    """Every algebraic primitive in terms of a sum, a product, a power and a sign."""

    def over(x: Node, z: Node) -> Node:
        return multiply(x, power(z, MINUS_ONE))

    def less(x: Node, z: Node) -> Node:
        return add(x, negative(z))

    def root(x: Node, *, degree: int = 2) -> Node:
        return power(x, HALF if degree == 2 else constant(1 / degree))

    return {
        "add": add,
        "subtract": less,
        "multiply": multiply,
        "kinked": multiply,
        "value_of": lambda x, z: x,
        "divide": over,
        "quotient_or_zero": over,
        "negative": negative,
        "reciprocal": lambda x: power(x, MINUS_ONE),
        "square": lambda x: power(x, TWO),
        "sqrt": root,
        "root": root,
        "power": power,
        "power_constant": lambda x, *, exponent: power(x, constant(exponent)),
        "exp2": lambda x: power(TWO, x),
        "exp10": lambda x: power(constant(10), x),
        "expm1": lambda x: add(_call("exp", x), MINUS_ONE),
        "log1p": lambda x: _call("log", add(ONE, x)),
        "hypot": lambda x, z: root(add(power(x, TWO), power(z, TWO))),
        "one_minus_square": lambda x: less(ONE, power(x, TWO)),
        "logistic_slope": lambda y, x: multiply(y, less(ONE, y)),
        "tanh_slope": lambda y, x: less(ONE, power(y, TWO)),
        "xlogy": lambda x, z: multiply(x, _call("log", z)),
        "xlog1py": lambda x, z: multiply(x, _call("log", add(ONE, z))),
    }


WRITTEN = _algebra(_written_sum, _written_product, raised, negated)
"""How each algebraic primitive is shown, as it was written."""

SIMPLIFIED = _algebra(plus, times, to_the, minus)
"""The same, simplified."""
