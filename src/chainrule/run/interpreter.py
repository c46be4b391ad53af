"""The interpreter: NumPy, one node after another. It is the definition of what a graph means.

Values are dropped after their last use. Fresh arrays come out: no result shares memory with
an argument, a captured array or another result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.core.graph import CONSTANT, INPUT, Graph, Node
from chainrule.errors import GraphError

Flat = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def compile(graph: Graph) -> Flat:
    """The graph as a function from the list of its free inputs to the list of its outputs."""
    slots = {node: i for i, node in enumerate(graph.nodes)}
    last_use = _last_uses(graph)
    steps = []
    start: list[Any] = [None] * len(slots)
    for index, node in enumerate(graph.nodes):
        if node.primitive is CONSTANT:
            start[slots[node]] = node.primitive.forward(**node.attrs)
        elif node.primitive is not INPUT:
            drop = tuple(slots[x] for x in set(node.inputs) if last_use[x] == index)
            arguments = tuple(slots[x] for x in node.inputs)
            steps.append((node.primitive.forward, arguments, dict(node.attrs), index, drop))
    free = [slots[x] for x in graph.free_inputs]
    for node, value in zip(graph.inputs[len(free) :], graph.captures, strict=True):
        if value is None:
            raise GraphError(
                f"graph {graph.name} was parsed from text, which does not carry its captured "
                "arrays; pass them: Graph.parse(text, captures=[...])"
            )
        start[slots[node]] = value
    outputs = [slots[y] for y in graph.outputs]
    borrowed = {slots[y] for y in graph.outputs if y.primitive in (INPUT, CONSTANT)}

    def run(arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        values = start.copy()
        for slot, value in zip(free, arguments, strict=True):
            values[slot] = value
        for forward, inputs, attrs, slot, drop in steps:
            values[slot] = forward(*[values[i] for i in inputs], **attrs)
            for i in drop:
                values[i] = None
        seen: set[int] = set()
        results = []
        for slot in outputs:
            value = values[slot]
            shared = slot in borrowed or slot in seen or value.base is not None
            seen.add(slot)
            results.append(value.copy() if shared else value)
        return results

    return run


def _last_uses(graph: Graph) -> dict[Node, int]:
    """The index of the last node that reads each; outputs are kept to the end."""
    found: dict[Node, int] = {}
    for index, node in enumerate(graph.nodes):
        for x in node.inputs:
            found[x] = index
    for node in (*graph.outputs, *(n for n in graph.nodes if n.primitive is CONSTANT)):
        found[node] = -1
    for node in graph.inputs[len(graph.free_inputs) :]:
        found[node] = -1
    return found


def loop(step: Callable[[Any, Any], Any], carry: Any, data: Iterable[Any]) -> Any:
    """``carry = step(carry, item)`` for every item: the executor's loop, here a plain one."""
    for item in data:
        carry = step(carry, item)
    return carry
