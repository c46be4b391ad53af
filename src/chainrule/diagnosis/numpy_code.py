"""Operations of a recording written as NumPy code, in the names that the user's function has."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from chainrule.core.dispatch import UFUNCS
from chainrule.core.node import CONSTANT, INPUT, Node

MOST = 110
"""Longer code is no help."""

_INFIX = {
    np.add: "({} + {})",
    np.subtract: "({} - {})",
    np.multiply: "({} * {})",
    np.divide: "({} / {})",
    np.negative: "(-{})",
}
_SPELLED = {
    "identity": "{}",
    "stop_gradient": "{}",
    "select": "np.where({}, {}, {})",
    "logistic": "scipy.special.expit({})",
    "xlogy": "scipy.special.xlogy({}, {})",
}
_REDUCED = {"reduce_sum": "np.sum", "reduce_max": "np.max", "reduce_min": "np.min"}


class _CannotSayError(Exception):
    pass


@cache
def _ufuncs() -> dict[str, np.ufunc]:
    found = {}
    for ufunc, handler in UFUNCS.items():
        arguments = getattr(handler, "args", ())
        if len(arguments) == 2:
            found[arguments[1].name] = ufunc
    return found


def numpy_code(node: Node, names: Mapping[Node, str], whole: bool = True) -> str:
    """The code of a node; "" where it cannot be said in one short line. ``whole``: the node itself
    is written out, though it may have a name."""
    try:
        text = _code(node, names, 12, whole)
        return _tidy(text)
    except (_CannotSayError, RecursionError, SyntaxError):
        return ""


def _tidy(text: str) -> str:
    found = ast.unparse(ast.parse(text, mode="eval"))
    return found if len(found) <= MOST else ""


def _code(node: Node, names: Mapping[Node, str], depth: int, whole: bool = False) -> str:
    if node in names and not whole:
        return names[node]
    if not depth:
        raise _CannotSayError
    name, inputs = node.primitive.name, node.inputs
    if node.primitive is CONSTANT:
        value = np.frombuffer(node.attrs["value"], node.attrs["dtype"])[0]
        return f"{value:.17g}" if isinstance(value, np.floating) else str(value)
    if node.primitive is INPUT:
        raise _CannotSayError

    def inner(i: int) -> str:
        return _code(inputs[i], names, depth - 1)

    if name in ("broadcast", "reshape"):
        return _shaped(node, inner)
    if name in _REDUCED:
        axes = node.attrs["axes"]
        axis = "" if len(axes) == inputs[0].type.ndim else f", axis={axes[0]}"
        if len(axes) > 1 and axis:
            raise _CannotSayError
        return f"{_REDUCED[name]}({inner(0)}{axis})"
    if name == "power_constant":
        return f"({inner(0)} ** {node.attrs['exponent']:g})"
    if name == "root":
        return f"{inner(0)} ** (1 / {node.attrs['degree']:g})"
    if name == "log_logistic":
        (x,) = inputs
        turned = x.primitive.name == "negative" and x not in names
        code = _code(x.inputs[0], names, depth - 1) if turned else f"-{inner(0)}"
        return f"-np.logaddexp(0, {code})"
    if name in _SPELLED:
        return _SPELLED[name].format(*[inner(i) for i in range(len(inputs))])
    ufunc: Any = _ufuncs().get(name)
    if ufunc is None or node.attrs:
        raise _CannotSayError
    given = [inner(i) for i in range(len(inputs))]
    if ufunc in _INFIX:
        return _INFIX[ufunc].format(*given)
    return f"np.{ufunc.__name__}({', '.join(given)})"


def _shaped(node: Node, inner: Any) -> str:
    """Broadcasting and new axes are left to NumPy where it does them by itself."""
    (x,) = node.inputs
    if node.primitive.name == "reshape":
        if [n for n in x.type.shape if n != 1] == [n for n in node.type.shape if n != 1]:
            return inner(0)
        raise _CannotSayError
    axes = node.attrs["axes"]
    ndim = node.type.ndim
    if axes == tuple(range(ndim - len(axes), ndim)):
        return inner(0)
    while x.primitive.name == "reshape" or x.primitive.name in ("identity", "stop_gradient"):
        (x,) = x.inputs
    code = inner(0)
    if x.primitive.name in _REDUCED and code.startswith("np.") and code.endswith(")"):
        return f"{code[:-1]}, keepdims=True)"
    places = ", ".join(":" if i in axes else "None" for i in range(ndim))
    return f"{code}[{places}]"
