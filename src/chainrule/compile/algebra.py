"""Algebra: the same numbers from fewer operations.

A rewrite here gives equal results for all arguments, infinities, NaN and the sign of zero
included, so none adds in another order, divides by multiplying, or drops ``x + 0`` (which turns
-0 into 0). Derivatives leave much to rewrite: factors of 1, signs that cancel, numbers spread
over an array before something is done to each. Rules for what only moves numbers are in
``views.py``.

One thing is not promised: the order in which NumPy itself adds up sums and products of matrices.
It goes by how an array lies in memory, so that a sum of a rewritten array may round differently.
"""

from __future__ import annotations

import math

from chainrule.compile.patterns import (
    Number,
    Rewrite,
    Table,
    apply,
    constant_like,
    inner,
    inputs_of,
    made_by,
    number,
)
from chainrule.compile.views import VIEWS
from chainrule.core.traced import Traced

SMALLEST_POWER = {4: -126, 8: -1022}
"""Exponents of the smallest normal numbers of floats, by their bytes."""

# Patterns ---------------------------------------------------------------------------------


def _is_zero(value: Number | None, sign: float) -> bool:
    """Whether this is 0, for a float with this sign."""
    if value is None or value != 0:
        return False
    return not isinstance(value, float) or math.copysign(1, value) == sign


def _signed(x: Traced) -> bool:
    return x.dtype.kind in "fi"


def _minus(x: Traced) -> Traced | None:
    """-x where that costs nothing: x is itself negated, or a constant."""
    if made_by(x, "negative"):
        return inner(x)
    value = number(x)
    return constant_like(x, -value) if isinstance(value, float) else None


def _unsigned(x: Traced) -> Traced | None:
    """The product or quotient a·b where x is (-a)·b or a·(-b)."""
    name = x.node.primitive.name
    if name not in ("multiply", "divide"):
        return None
    a, b = inputs_of(x)
    if made_by(a, "negative"):
        return apply(name, inner(a), b)
    return apply(name, a, inner(b)) if made_by(b, "negative") else None


def _shared_sign(name: str, a: Traced, b: Traced) -> Traced | None:
    """A product or quotient of which one side is negated, and the other is or is constant."""
    if not (made_by(a, "negative") or made_by(b, "negative")):
        return None
    minus_a, minus_b = _minus(a), _minus(b)
    return None if minus_a is None or minus_b is None else apply(name, minus_a, minus_b)


# Rewrites ---------------------------------------------------------------------------------


def _add_zero(a: Traced, b: Traced) -> Traced | None:
    if _is_zero(number(b), -1.0):
        return a
    return b if _is_zero(number(a), -1.0) else None


def _add_negative(a: Traced, b: Traced) -> Traced | None:
    if made_by(b, "negative"):
        return apply("subtract", a, inner(b))
    return apply("subtract", b, inner(a)) if made_by(a, "negative") else None


def _add_product(a: Traced, b: Traced) -> Traced | None:
    for x, product in ((a, b), (b, a)):
        positive = _unsigned(product)
        if positive is not None:
            return apply("subtract", x, positive)
    return None


def _subtract_zero(a: Traced, b: Traced) -> Traced | None:
    return a if _is_zero(number(b), 1.0) else None


def _subtract_negative(a: Traced, b: Traced) -> Traced | None:
    return apply("add", a, inner(b)) if made_by(b, "negative") else None


def _subtract_product(a: Traced, b: Traced) -> Traced | None:
    positive = _unsigned(b)
    return None if positive is None else apply("add", a, positive)


def _multiply_one(a: Traced, b: Traced) -> Traced | None:
    if number(b) == 1:
        return a
    return b if number(a) == 1 else None


def _multiply_minus_one(a: Traced, b: Traced) -> Traced | None:
    for x, factor in ((a, b), (b, a)):
        if number(factor) == -1:
            return apply("negative", x)
    return None


def _multiply_signs(a: Traced, b: Traced) -> Traced | None:
    return _shared_sign("multiply", a, b)


def _multiply_itself(a: Traced, b: Traced) -> Traced | None:
    return apply("square", a) if a.node is b.node and a.dtype.kind != "b" else None


def _divide_one(a: Traced, b: Traced) -> Traced | None:
    if number(b) == 1:
        return a
    return apply("negative", a) if number(b) == -1 else None


def _divide_power(a: Traced, b: Traced) -> Traced | None:
    """By a power of two whose reciprocal is a normal number too: both are then exact, and
    quotient and product the same number, rounded once."""
    value = number(b)
    if not isinstance(value, float) or not math.isfinite(value) or not value:
        return None
    fraction, exponent = math.frexp(value)
    if abs(fraction) != 0.5 or abs(exponent - 1) > -SMALLEST_POWER[b.dtype.itemsize]:
        return None
    return apply("multiply", a, constant_like(b, 1 / value))


def _divide_signs(a: Traced, b: Traced) -> Traced | None:
    return _shared_sign("divide", a, b)


def _negative_negative(x: Traced) -> Traced | None:
    return inner(x) if made_by(x, "negative") else None


def _square_sign(x: Traced) -> Traced | None:
    return apply("square", inner(x)) if made_by(x, "negative") or made_by(x, "abs") else None


def _abs_sign(x: Traced) -> Traced | None:
    if made_by(x, "abs") or (made_by(x, "square") and x.type.is_float):
        return x
    return apply("abs", inner(x)) if made_by(x, "negative") and _signed(x) else None


def _power(x: Traced, *, exponent: float) -> Traced | None:
    """What NumPy itself computes for these exponents."""
    if not x.type.is_float and not isinstance(exponent, int):
        return None
    if exponent == 0:
        return constant_like(x, 1)
    if exponent == 1:
        return x
    if exponent == 2:
        return apply("square", x)
    names = {0.5: "sqrt", -1: "reciprocal"}
    known = exponent in names and x.type.is_float
    return apply(names[exponent], x) if known else None


def _select_same(condition: Traced, a: Traced, b: Traced) -> Traced | None:
    return a if a.node is b.node else None


def _select_constant(condition: Traced, a: Traced, b: Traced) -> Traced | None:
    known = number(condition)
    return None if known is None else a if known else b


def _select_not(condition: Traced, a: Traced, b: Traced) -> Traced | None:
    negated = made_by(condition, "invert") or made_by(condition, "logical_not")
    if not negated or inner(condition).dtype.kind != "b":
        return None
    return apply("select", inner(condition), b, a)


def _select_select(condition: Traced, a: Traced, b: Traced) -> Traced | None:
    """The same question asked again has the same answer."""

    def answered(x: Traced, side: int) -> Traced:
        again = made_by(x, "select") and x.node.inputs[0] is condition.node
        return inputs_of(x)[side] if again else x

    chosen, other = answered(a, 1), answered(b, 2)
    if chosen is a and other is b:
        return None
    return apply("select", condition, chosen, other)


def _cast_same(x: Traced, *, dtype: str) -> Traced | None:
    return x if x.dtype.name == dtype else None


def _cast_back(x: Traced, *, dtype: str) -> Traced | None:
    """From float32 to float64 and back, or from bool to numbers and back."""
    if not made_by(x, "cast") or inner(x).dtype.name != dtype:
        return None
    start, wide = inner(x).dtype, x.dtype
    wider = start.kind == wide.kind == "f" and wide.itemsize > start.itemsize
    return inner(x) if wider or start.kind == "b" else None


REWRITES = (
    Rewrite("add-zero", "add", _add_zero, "x + (-0.0) -> x"),
    Rewrite("add-negative", "add", _add_negative, "a + (-b) -> a - b"),
    Rewrite("add-product", "add", _add_product, "a + (-b)*c -> a - b*c"),
    Rewrite("subtract-zero", "subtract", _subtract_zero, "x - 0.0 -> x"),
    Rewrite("subtract-negative", "subtract", _subtract_negative, "a - (-b) -> a + b"),
    Rewrite("subtract-product", "subtract", _subtract_product, "a - (-b)*c -> a + b*c"),
    Rewrite("multiply-one", "multiply", _multiply_one, "x * 1 -> x"),
    Rewrite("multiply-minus-one", "multiply", _multiply_minus_one, "x * -1 -> -x"),
    Rewrite("multiply-signs", "multiply", _multiply_signs, "(-a) * (-b) -> a*b, (-a) * 3 -> a*-3"),
    Rewrite("multiply-itself", "multiply", _multiply_itself, "x * x -> square(x)"),
    Rewrite("divide-one", "divide", _divide_one, "x / 1 -> x, x / -1 -> -x"),
    Rewrite("divide-power", "divide", _divide_power, "x / 8 -> x * 0.125"),
    Rewrite("divide-signs", "divide", _divide_signs, "(-a) / (-b) -> a/b, 3 / (-a) -> -3/a"),
    Rewrite("negative-negative", "negative", _negative_negative, "-(-x) -> x"),
    Rewrite("square-sign", "square", _square_sign, "square(-x), square(abs(x)) -> square(x)"),
    Rewrite("abs-sign", "abs", _abs_sign, "abs(-x), abs(abs(x)) -> abs(x)"),
    Rewrite("power", "power_constant", _power, "x**2 -> square(x), x**0.5 -> sqrt(x)"),
    Rewrite("select-same", "select", _select_same, "where(c, a, a) -> a"),
    Rewrite("select-constant", "select", _select_constant, "where(True, a, b) -> a"),
    Rewrite("select-not", "select", _select_not, "where(not c, a, b) -> where(c, b, a)"),
    Rewrite(
        "select-select", "select", _select_select, "where(c, where(c, a, b), d) -> where(c, a, d)"
    ),
    Rewrite("cast-same", "cast", _cast_same, "float32 as float32 -> itself"),
    Rewrite("cast-back", "cast", _cast_back, "float32 as float64 as float32 -> itself"),
    *VIEWS,
)

rewrite = Table(REWRITES)
"""What a pass records instead of operations that others make superfluous."""
