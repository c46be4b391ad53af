"""Whether NumPy would have the numbers of a recorded value lie in memory row by row."""

from __future__ import annotations

from typing import Any

from chainrule.core.node import INPUT, Node
from chainrule.ops import structure
from chainrule.ops.contract import contract
from chainrule.ops.structure import broadcast, put, select, write

DEPTH = 1000
"""Nodes that are looked at before giving up."""


def rows_first(node: Node, recording: Any) -> bool:
    """Whether NumPy certainly has these numbers in row-major order: true of what is made of such
    arrays entry by entry, or written into them."""
    stack, seen = [node], {node}
    while stack:
        node = stack.pop()
        if sum(n > 1 for n in node.type.shape) < 2:
            continue
        if node.primitive is INPUT:
            array = _array(node, recording)
            if array is None or not array.flags.c_contiguous:
                return False
        elif node.primitive is broadcast:
            if sum(n > 1 for n in node.inputs[0].type.shape) > 1:
                return False
        elif node.primitive is contract and all(len(x.type.shape) < 2 for x in node.inputs):
            continue  # np.outer
        elif node.primitive in _KEEPING or getattr(node.primitive.rule, "acts_entrywise", False):
            inputs = node.inputs[:1] if node.primitive in (write, put) else node.inputs
            new = [x for x in inputs if x not in seen]
            seen.update(new)
            stack += new
            if len(seen) > DEPTH:
                return False
        else:
            return False
    return True


def _array(node: Node, recording: Any) -> Any:
    """The array that an input stands for: the caller's own, where it was captured."""
    own = next((array for array, x in recording._captured.values() if x is node), None)
    return recording.values.get(node) if own is None else own


_KEEPING = {write, put, select, structure.identity, structure.stop_gradient}
