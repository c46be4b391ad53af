"""Values of typed expressions at 50 digits, by mpmath: for equality that doubles cannot decide.

Decimals are read as they are typed, 0.1 as one tenth.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.explanation.formula.cursor import Caret, Dotted, Entrywise, Juxtaposed
from chainrule.explanation.formula.parsing import Expression
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


def _value(item: ast.expr, known: Mapping[str, Number]) -> Number:
    from mpmath import e, mpf, pi

    match item:
        case ast.Constant():
            return mpf(repr(item.value))
        case ast.Name():
            if item.id in known:
                return known[item.id]
            constants = {"pi": pi, "π": pi, "e": e, ONES: mpf(1)}
            if item.id in constants:
                return +constants[item.id]
            raise NotPrecise(item.id)
        case ast.UnaryOp():
            value = _value(item.operand, known)
            return -value if isinstance(item.op, ast.USub) else value
        case ast.BinOp():
            left, right = _value(item.left, known), _value(item.right, known)
            return _real(_OPERATORS.get(type(item.op)), left, right)
        case ast.Compare():
            left, right = _value(item.left, known), _value(item.comparators[0], known)
            return _COMPARISONS[type(item.ops[0])](left, right)
        case ast.Call(func=ast.Name(id="where")):
            condition, first, second = item.args
            return _value(first if _value(condition, known) else second, known)
        case ast.Call(func=ast.Name(id=name)):
            args = [_value(a, known) for a in item.args]
            return _real(_functions().get(name), *args)
    raise NotPrecise("what is not of numbers")


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


_OPERATORS: Mapping[type[ast.operator], Callable[..., Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    Entrywise: lambda a, b: a * b,
    Juxtaposed: lambda a, b: a * b,
    Dotted: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: _power,
    Caret: _power,
    ast.Mod: lambda a, b: a % b,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}


def _functions() -> Mapping[str, Callable[..., Any]]:
    import mpmath as m

    if not _FUNCTIONS:
        same = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "expm1", "sqrt", "log10",
                "log1p", "sign", "floor", "ceil", "hypot", "erf", "log")  # fmt: skip
        _FUNCTIONS.update({name: getattr(m, name) for name in same})
        for short in ("sin", "cos", "tan"):
            _FUNCTIONS[f"arc{short}"] = _FUNCTIONS[f"a{short}"] = getattr(m, f"a{short}")
        for short in ("sinh", "cosh", "tanh"):
            _FUNCTIONS[f"arc{short}"] = getattr(m, f"a{short}")
        for short in ("sec", "csc", "cot", "sech", "csch", "coth"):
            _FUNCTIONS[short] = getattr(m, short)
        logistic = lambda x: 1 / (1 + m.exp(-x))  # noqa: E731
        _FUNCTIONS.update(dict.fromkeys(("logistic", "sigmoid", "sigma", "σ"), logistic))
        _FUNCTIONS.update(
            {
                "ln": m.log, "log2": lambda x: m.log(x) / m.log(2), "exp2": lambda x: m.mpf(2) ** x,
                "abs": abs, "norm": abs, "square": lambda x: x * x,
                "cbrt": lambda x: m.sign(x) * m.cbrt(abs(x)), "relu": lambda x: max(x, m.mpf(0)),
                "softplus": lambda x: m.log1p(m.exp(x)), "max": max, "min": min,
                "maximum": max, "minimum": min, "pow": _power,
                "power": _power, "arctan2": m.atan2, "atan2": m.atan2,
                "logaddexp": lambda a, b: m.log(m.exp(a) + m.exp(b)), "stop": lambda x: x,
                "indicator": lambda truth: m.mpf(bool(truth)), "inverse": lambda x: 1 / x,
            }
        )  # fmt: skip
    return _FUNCTIONS


_FUNCTIONS: dict[str, Callable[..., Any]] = {}
