"""Even powers of lengths without their roots: ``norm(x)**2`` is the sum of squares that it is.

A length has no derivative at 0 and its square has all of them, so the square is recorded without
the root, eagerly too: that of a norm, a deviation, ``hypot``, ``abs`` or the ``sqrt`` of a sum of
squares, also where views, factors and signs lie between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.node import Node
from chainrule.core.traced import Traced

DEPTH = 3
"""How many views, factors and signs are looked through to find a root."""
VIEWS = frozenset({"broadcast", "reshape", "slice", "transpose"})


def without_root(x: Traced, exponent: float = 2) -> Any:
    """``x ** exponent`` without the root in ``x``; None where there is none, or it stays."""
    degree = x.node.attrs["degree"] if x.node.primitive.name == "root" else 2
    if exponent % degree:
        return None
    inside = _inputs(x)[0] if degree != 2 else _squared(x, DEPTH)
    return inside if inside is None or exponent == degree else inside ** (exponent / degree)


def product_without_root(x: Traced, z: Traced) -> Any:
    """``x * z`` where both are the same, without the root in it; else None."""
    return without_root(x) if x.node is z.node else None


def _inputs(x: Traced) -> list[Traced]:
    return [Traced(node, x.recording) for node in x.node.inputs]


def _squared(x: Traced, depth: int) -> Any:
    """x², without the root in x; None where there is none."""
    name = x.node.primitive.name
    if name == "power_constant" and x.node.attrs["exponent"] == 0.5:
        name = "sqrt"
    found = SQUARES.get(name)
    if found is not None:
        return found(*_inputs(x)) if x.type.is_float else None
    if not depth:
        return None
    if name in VIEWS or name == "negative":
        inside = _squared(_inputs(x)[0], depth - 1)
        if inside is None or name == "negative":
            return inside
        return x.recording.emit(x.node.primitive, (inside,), dict(x.node.attrs))
    if name in ("multiply", "divide"):
        a, b = _inputs(x)
        inside = _squared(a, depth - 1)
        if inside is not None:
            return inside * b * b if name == "multiply" else inside / b / b
        inside = _squared(b, depth - 1)
        if inside is not None:
            return inside * a * a if name == "multiply" else a / inside * a
    return None


SQUARES: dict[str, Callable[..., Any]] = {
    "abs": lambda x: x * x,
    "hypot": lambda x, z: x * x + z * z,
    "root": lambda x: x,
    "sqrt": lambda x: x if _never_negative(x.node, x) else None,
}


def _never_negative(node: Node, x: Traced) -> bool:
    """Whether ``node``, of the recording of ``x``, is a sum of squares by its form."""
    name, inputs = node.primitive.name, node.inputs
    if node.is_constant:
        value = x.recording.value(node)
        return value is not None and bool(np.all(value >= 0))
    if name in ("multiply", "contract") and inputs[0] is inputs[1]:
        left, _, rest = node.attrs.get("spec", ",").partition(",")
        return rest.startswith(left)
    if name == "power_constant" and node.attrs["exponent"] % 2 == 0:
        return True
    if name in ("add", "multiply", "divide", "reduce_sum", *VIEWS):
        return all(_never_negative(part, x) for part in inputs)
    return name in ("square", "abs", "exp")
