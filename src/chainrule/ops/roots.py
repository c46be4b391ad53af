"""Even powers of lengths without their roots: ``norm(x)**2`` is the sum of squares that it is.

A length has no derivative at 0 and its square has all of them, so the square is recorded without
the root, eagerly too: that of a norm, a deviation, ``hypot``, ``abs`` or the ``sqrt`` of a sum of
squares, also where views, factors and signs lie between.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.node import Node
from chainrule.core.traced import Traced

DEPTH = 3
"""How many views, factors and signs are looked through to find a root."""
MOST_NODES = 1000
"""How many nodes are looked at to see that what is under a root is a sum of squares."""
VIEWS = frozenset({"broadcast", "reshape", "slice", "transpose"})
Step = tuple[Node, Traced | None]
"""A view, sign or factor between a length and what is raised, and the other factor."""


def without_root(x: Traced, exponent: float = 2) -> Any:
    """``x ** exponent`` without the root in ``x``; None where there is none, or it stays: below
    a fraction bar it does, as a length of 0 has no derivatives there either way.

    What is computed in between overflows or vanishes only where ``x ** exponent`` of NumPy does.
    """
    found = _length(x, DEPTH) if exponent > 0 and x.type.is_float else None
    if found is None:
        return None
    length, steps = found
    name, inputs = length.node.primitive.name, _inputs(length)
    degree = length.node.attrs["degree"] if name == "root" else 2
    if exponent % degree or (degree != 2 and any(node.primitive.name not in VIEWS
                                                 for node, _ in steps)):  # fmt: skip
        return None
    if name == "abs":
        return _after(inputs[0], steps) ** exponent
    if name == "hypot":
        a, b = (_after(part, steps) for part in inputs)
        inside = a * a + b * b
    else:
        inside = _after_squares(inputs[0], steps)
    return inside if inside is None or exponent == degree else inside ** (exponent / degree)


def product_without_root(x: Traced, z: Traced) -> Any:
    """``x * z`` where both are the same, without the root in it; else None."""
    return without_root(x) if x.node is z.node else None


def _inputs(x: Traced) -> list[Traced]:
    return [Traced(node, x.recording) for node in x.node.inputs]


def _length(x: Traced, depth: int) -> tuple[Traced, list[Step]] | None:
    """The length in ``x`` and the steps from it to ``x``; None where there is none."""
    name = x.node.primitive.name
    if name in ("abs", "hypot", "root"):
        return x, []
    if name == "sqrt" or (name == "power_constant" and x.node.attrs["exponent"] == 0.5):
        return (x, []) if _never_negative(x.node.inputs[0], x) else None
    if not depth or name not in ("multiply", "divide", "negative", *VIEWS):
        return None
    inputs = _inputs(x)
    others = {"multiply": inputs[::-1], "divide": inputs[1:]}.get(name, [None])
    for part, other in zip(inputs, others, strict=False):
        found = _length(part, depth - 1)
        if found is not None:
            return found[0], [*found[1], (x.node, other)]
    return None


def _after(x: Any, steps: list[Step]) -> Any:
    """``x`` after the steps, without their signs."""
    for node, other in steps:
        if other is not None:
            x = x / other if node.primitive.name == "divide" else x * other
        elif node.primitive.name in VIEWS:
            x = x.recording.emit(node.primitive, (x,), dict(node.attrs))
    return x


def _after_squares(x: Any, steps: list[Step]) -> Any:
    """``x`` after the views and the squares of the factors; None where they are out of range.

    Several factors are one before they meet x: of 1e-200 and 1e200 only the product is squared.
    """
    places = [place for place, (_, other) in enumerate(steps) if other is not None]
    if not places:
        return _after(x, steps)
    first = places[0]
    if len(places) == 1:
        return _after(x, [*steps[: first + 1], *steps[first:]])
    node, factor = steps[first]
    assert factor is not None
    factor = _after(1 / factor if node.primitive.name == "divide" else factor, steps[first + 1 :])
    value = x.recording.value(factor.node) if factor.node.is_constant else np.ones(())
    if value is not None and not np.all(np.isfinite(value) & (value != 0)):
        return None
    return _after(x, [step for step in steps if step[1] is None]) * factor * factor


def _never_negative(node: Node, x: Traced) -> bool:
    """Whether ``node``, of the recording of ``x``, is a sum of squares by its form."""
    stack, seen = [node], {node}
    while stack:
        node = stack.pop()
        name, inputs = node.primitive.name, node.inputs
        if node.is_constant:
            value = x.recording.value(node)
            found = value is not None and bool(np.all(value >= 0))
        elif name in ("multiply", "contract") and inputs[0] is inputs[1]:
            left, _, rest = node.attrs.get("spec", ",").partition(",")
            found = rest.startswith(left)
        elif name in ("add", "multiply", "divide", "reduce_sum", *VIEWS):
            stack += [part for part in inputs if part not in seen]
            seen.update(inputs)
            found = len(seen) <= MOST_NODES
        else:
            even = name == "power_constant" and node.attrs["exponent"] % 2 == 0
            found = even or name in ("square", "abs", "exp")
        if not found:
            return False
    return True
