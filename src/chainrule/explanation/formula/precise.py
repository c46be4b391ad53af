"""Values of typed expressions at 50 digits, by mpmath: for equality that doubles cannot decide.

Decimals are read as they are typed, 0.1 as one tenth.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.parsing import Expression
from chainrule.explanation.formula.spelling import SLOPE
from chainrule.explanation.formula.tokens import ONES

DIGITS = 50

Number = Any  # mpmath's mpf, or a bool of a comparison


class NotPrecise(Exception):
    """The expression has an operation that is not computed here, such as one on arrays."""


class Undefined(Exception):
    """No real value: a logarithm of a negative number, a quotient by zero."""


def values_at(expression: Expression, point: Mapping[str, Number]) -> dict[str, Number]:
    """The value under "" and those of the names that the expression assigns.

    Raises:
        NotPrecise: an operation that is not computed here. Undefined: no real value.
    """
    known = dict(point)
    for name, item in expression.statements:
        value = _value(item, known)
        known[name or ""] = value
        known[""] = value
    return known


def _value(item: Node, known: Mapping[str, Number]) -> Number:
    from mpmath import e, mpf, pi

    if item.op == "number":
        return mpf(repr(item.data))
    if item.op == "name":
        if item.data in known:
            return known[item.data]
        constants = {"pi": pi, "π": pi, "e": e, ONES: mpf(1)}
        if item.data in constants:
            return +constants[item.data]
        raise NotPrecise(item.data)
    if item.op == "where":
        condition, first, second = item.args
        return _value(first if _value(condition, known) else second, known)
    if item.op == "Subscript":
        raise NotPrecise("what is not of numbers")
    return _real(_operation(item.op), *(_value(a, known) for a in item.args))


def _operation(word: str) -> Callable[..., Any] | None:
    found = _functions().get(word.removesuffix(SLOPE))
    if found is None or not word.endswith(SLOPE):
        return found
    from mpmath import diff

    return lambda x: diff(found, x)


def _real(operation: Callable[..., Any] | None, *args: Number) -> Number:
    from mpmath import isfinite, mpc

    if operation is None:
        raise NotPrecise("an operation that is not of numbers")
    if operation is _power and abs(args[1]) > 10**6:
        raise Undefined
    try:
        found = operation(*args)
    except (ZeroDivisionError, ValueError, OverflowError):
        raise Undefined from None
    if isinstance(found, mpc) or not isfinite(found):
        raise Undefined
    return found


def _power(a: Number, b: Number) -> Number:
    return a**b


_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add, "-": operator.sub, "/": operator.truediv, "%": operator.mod,
    **dict.fromkeys(("*", "⊙", " ", "·"), operator.mul), **dict.fromkeys(("**", "^"), _power),
    "−": operator.neg, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@cache
def _functions() -> Mapping[str, Callable[..., Any]]:
    import mpmath as m

    same = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "expm1", "sqrt", "log10", "log1p",
            "sign", "floor", "ceil", "hypot", "erf", "log", "asin", "acos", "atan", "sec", "csc",
            "cot", "sech", "csch", "coth", "atan2")  # fmt: skip
    turned = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")
    logistic = lambda x: 1 / (1 + m.exp(-x))  # noqa: E731
    return {
        **_OPERATORS,
        **{name: getattr(m, name) for name in same},
        **{f"arc{name}": getattr(m, f"a{name}") for name in turned},
        **dict.fromkeys(("logistic", "sigmoid", "sigma", "σ"), logistic),
        "ln": m.log, "log2": lambda x: m.log(x) / m.log(2), "exp2": lambda x: m.mpf(2) ** x,
        "abs": abs, "norm": abs, "square": lambda x: x * x, "step": lambda x: m.mpf(x > 0),
        "cbrt": lambda x: m.sign(x) * m.cbrt(abs(x)), "relu": lambda x: max(x, m.mpf(0)),
        "softplus": lambda x: m.log1p(m.exp(x)), "max": max, "min": min, "maximum": max,
        "minimum": min, "pow": _power, "power": _power, "stop": lambda x: x,
        "logaddexp": lambda a, b: m.log(m.exp(a) + m.exp(b)), "inverse": lambda x: 1 / x,
        "sgn": m.sign,
        "indicator": lambda truth: m.mpf(bool(truth)),
    }  # fmt: skip
