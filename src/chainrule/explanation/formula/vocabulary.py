"""The words of typed expressions: functions, constants, operators."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.api import jvp, stop_gradient
from chainrule.errors import UsageError
from chainrule.explanation.formula.spelling import OVER, SLOPE
from chainrule.explanation.formula.tokens import ONES
from chainrule.ops import special, stable

_OF_ONE = (
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
    *("arcsinh", "arccosh", "arctanh", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p"),
    *("sqrt", "cbrt", "square", "sign", "floor", "ceil", "abs"),
    *("sum", "prod", "mean", "var", "std", "trace", "transpose"),
)
_OF_TWO = (
    *("arctan2", "hypot", "logaddexp", "maximum", "minimum", "dot", "outer", "matmul"),
)  # fmt: skip


MOST_OF = 9


def _largest(first: Any, *others: Any) -> Any:
    return functools.reduce(np.maximum, others, first) if others else np.max(first)


def _smallest(first: Any, *others: Any) -> Any:
    return functools.reduce(np.minimum, others, first) if others else np.min(first)


def _one_over(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: 1.0 / f(x)


def slope(f: Callable[..., Any]) -> Callable[..., Any]:
    """The derivative of a function of one number, of each entry."""
    return lambda x: jvp(f, (x,), (np.ones(np.shape(x)),))[1]


def _over(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis: f(x, axis=int(axis))


RECIPROCALS = {"sec": "cos", "csc": "sin", "cot": "tan", "sech": "cosh", "csch": "sinh",
               "coth": "tanh"}  # fmt: skip
"""Functions that are written as one over another."""


def _product(left: Any, right: Any) -> Any:
    """Of numbers, of a number and an array, or the matrix product of two arrays."""
    return np.matmul(left, right) if np.ndim(left) and np.ndim(right) else np.multiply(left, right)


def _raised(base: Any, exponent: Any) -> Any:
    """A power of a number or of each entry; of a square matrix its whole power."""
    if np.ndim(base) < 2:
        return np.power(base, exponent)
    if np.ndim(exponent) or float(exponent) != int(exponent):
        raise UsageError("a matrix has whole powers; .^ raises each entry")
    return np.linalg.matrix_power(base, int(exponent))


def _inverse(x: Any) -> Any:
    return np.linalg.inv(x) if np.ndim(x) == 2 else np.power(x, -1.0)


FUNCTIONS: dict[str, tuple[Callable[..., Any], int | tuple[int, int]]] = {
    **{name: (getattr(np, name), 1) for name in _OF_ONE},
    **{name: (getattr(np, name), 2) for name in _OF_TWO},
    "asin": (np.arcsin, 1),
    "acos": (np.arccos, 1),
    "atan": (np.arctan, 1),
    "atan2": (np.arctan2, 2),
    "ln": (np.log, 1),
    "sgn": (np.sign, 1),
    "pow": (np.power, 2),
    "power": (np.power, 2),
    "max": (_largest, (1, MOST_OF)),
    "min": (_smallest, (1, MOST_OF)),
    **{name: (_one_over(getattr(np, of)), 1) for name, of in RECIPROCALS.items()},
    "tr": (np.trace, 1),
    **{
        f"{name} {OVER}": (_over(getattr(np, name)), 2)
        for name in ("sum", "prod", "mean", "var", "std", "max", "min")
    },
    "indicator": (lambda truth: np.where(truth, 1.0, 0.0), 1),
    "inverse": (_inverse, 1),
    "norm1": (lambda x: np.sum(np.abs(x)), 1),
    "stop": (stop_gradient, 1),
    "isfinite": (np.isfinite, 1),
    "where": (np.where, 3),
    "norm": (np.linalg.norm, 1),
    "det": (np.linalg.det, 1),
    "inv": (np.linalg.inv, 1),
    "relu": (stable.relu, 1),
    "step": (lambda x: np.where(x > 0, 1.0, 0.0), 1),
    "softplus": (stable.softplus, 1),
    "softmax": (stable.softmax, 1),
    "logsumexp": (stable.logsumexp, 1),
    "erf": (special.erf, 1),
    **dict.fromkeys(("sigma", "sigmoid", "logistic", "σ"), (special.logistic, 1)),
}
"""Name -> (function, number of arguments)."""

FUNCTIONS.update(
    {
        name + SLOPE: (slope(FUNCTIONS[name][0]), 1)
        for name in (
            *_OF_ONE[: _OF_ONE.index("sign")], *RECIPROCALS, "asin", "acos", "atan", "ln",
            "abs", "relu", "softplus", "erf", "sigma", "sigmoid", "logistic", "σ",
        )
    }
)  # fmt: skip

CONSTANTS: Mapping[str, float] = {"pi": float(np.pi), "π": float(np.pi), "e": float(np.e),
                                   "NaN": float("nan"), "∞": float("inf"), ONES: 1.0}  # fmt: skip
"""Numbers by name, unless the name is given a value."""

OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "⊙": np.multiply, "/": np.true_divide,
    "**": np.power, "^": _raised, " ": _product, "·": _product, "%": np.remainder,
    "@": np.matmul, "−": np.negative, "ᵀ": np.transpose,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
    "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
"""What the signs of a tree compute."""
