"""The slope of a root of squares that leave the range of floats, where numbers are known.

``sqrt(x*x + 1)`` at 1e200 is infinite, as NumPy says, and so its slope would be 1/∞ = 0. Powers of
two taken into the squares give that of the number that was meant; under ``jit`` a rewrite does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.node import PRIMITIVES, Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced

SAFE = {4: (2.0**-100, 2.0**100), 8: (2.0**-900, 2.0**1000)}
"""What a sum of squares must lie between to lose no digits, by the bytes of a float."""
SCALES = {4: (2.0**90, 2.0**-72), 8: (2.0**600, 2.0**-525)}
"""What numbers are multiplied by where their sum of squares lies below and above that."""
DEPTH = 40
"""How deep in sums, products and views squares are looked for."""
ALONG = frozenset(
    {"add", "subtract", "reduce_sum", "broadcast", "reshape", "slice", "transpose", "negative"}
)


def of_squares(root: Traced, x: Traced) -> Any:
    """``root`` of a sum of squares x, with the slope of what was meant where x is too small or
    infinite."""
    value = _known(x)
    if value is None:
        return root
    outside = (value < SAFE[x.dtype.itemsize][0], np.isinf(value))
    return _meant(root, root, x, outside)


def of_any(x: Traced) -> Any:
    """The same for the root of what is no sum of squares; None where nothing is infinite."""
    value = _known(x)
    infinite = np.isinf(value) if value is not None else np.zeros(())
    if not infinite.any():
        return None
    finite = np.sqrt(np.where(infinite, 1.0, x))
    return _meant(PRIMITIVES["root"](x, degree=2.0), finite, x, (np.zeros(()), infinite))


def _known(x: Traced) -> Any:
    recording = x.recording
    if recording.is_deriving or recording.rewrite is not None:
        return None
    return recording.value(x.node)


def _meant(root: Traced, meant: Any, x: Traced, outside: tuple[Any, Any]) -> Any:
    typed = meant
    for where, scale in zip(outside, SCALES[x.dtype.itemsize], strict=True):
        if where.any():
            inside = Traced(_scaled(x.node, scale, x.recording, DEPTH, {}), x.recording)
            meant = np.where(where, PRIMITIVES["root"](inside, degree=2.0) / scale, meant)
    return root if meant is typed else PRIMITIVES["value_of"](root, meant)


def _scaled(
    node: Node, scale: float, recording: Recording, depth: int, made: dict[Node, Node]
) -> Node:
    """A sum of squares of numbers that are each multiplied first; what is shared, once."""
    if node not in made:
        made[node] = _rescaled(node, scale, recording, depth, made)
    return made[node]


def _rescaled(
    node: Node, scale: float, recording: Recording, depth: int, made: dict[Node, Node]
) -> Node:
    def within(x: Traced) -> Traced:
        return Traced(_scaled(x.node, scale, recording, depth - 1, made), recording)

    name, inputs = node.primitive.name, [Traced(x, recording) for x in node.inputs]
    if not depth or node.is_constant or not inputs:
        pass
    elif name in ("square", "contract") or (name == "power_constant" and _is_two(node)):
        if len({x.node for x in inputs}) == 1:
            return node.primitive(*[x * scale for x in inputs], **node.attrs).node
    elif name in ALONG:
        return node.primitive(*map(within, inputs), **node.attrs).node
    elif name in ("multiply", "divide"):
        constant, lost = inputs[0].node.is_constant, [_lost(x) for x in inputs]
        if name == "multiply" and not constant and lost in ([False, False], [True, True]):
            return (inputs[0] * scale * (inputs[1] * scale)).node
        k = 1 if name == "multiply" and (constant or lost[1]) else 0
        inputs[k] = within(inputs[k])
        return node.primitive(*inputs, **node.attrs).node
    return (Traced(node, recording) * scale * scale).node


def _lost(x: Traced) -> bool:
    value = x.recording.value(x.node)
    return value is not None and bool(np.any(~np.isfinite(value) | (value == 0)))


def _is_two(node: Node) -> bool:
    return node.attrs["exponent"] == 2
