"""What a graph computes, with NumPy, one node after another: the definition of its meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.core.failures import failed
from chainrule.core.graph import Graph
from chainrule.core.node import INPUT, Node
from chainrule.core.recording import quiet

Evaluator = Callable[[Sequence[Any]], list[Any]]


def evaluator(graph: Graph, constants: Mapping[Node, Any]) -> Evaluator:
    """The function from the values of all inputs to those of the outputs, which may share memory
    with them and with ``constants``, what ``constant_values`` returned. Values are dropped after
    their last use."""
    slots = {node: i for i, node in enumerate(graph.nodes)}
    last_use = _last_uses(graph)
    steps = []
    start = [constants.get(node) for node in graph.nodes]
    for index, node in enumerate(graph.nodes):
        if node.primitive is not INPUT and node not in constants:
            dead = [x for x in set(node.inputs) if last_use[x] == index and x not in constants]
            drop = tuple(slots[x] for x in dead)
            arguments = tuple(slots[x] for x in node.inputs)
            steps.append((node.primitive.forward, arguments, dict(node.attrs), index, drop))
    inputs = [slots[x] for x in graph.inputs]
    outputs = [slots[y] for y in graph.outputs]

    def run(arguments: Sequence[Any]) -> list[Any]:
        values = start.copy()
        for slot, value in zip(inputs, arguments, strict=True):
            values[slot] = value
        slot = 0
        try:
            with quiet():
                for forward, given, attrs, slot, drop in steps:
                    values[slot] = forward(*[values[i] for i in given], **attrs)
                    for i in drop:
                        values[i] = None
        except (IndexError, ArithmeticError, ValueError) as error:
            raise failed(error, graph.nodes[slot], graph) from None
        return [values[slot] for slot in outputs]

    return run


def constant_values(graph: Graph) -> dict[Node, Any]:
    """The values that need computing only once: constants, and what is made of them alone."""
    found: dict[Node, Any] = {}
    for node in graph.nodes:
        if node.primitive is not INPUT and all(x in found for x in node.inputs):
            with quiet():
                arguments = [found[x] for x in node.inputs]
                found[node] = node.primitive.forward(*arguments, **node.attrs)
    return found


def _last_uses(graph: Graph) -> dict[Node, int]:
    """The index of the last node that reads each; outputs are kept to the end."""
    found: dict[Node, int] = {}
    for index, node in enumerate(graph.nodes):
        for x in node.inputs:
            found[x] = index
    found.update(dict.fromkeys(graph.outputs, -1))
    return found
