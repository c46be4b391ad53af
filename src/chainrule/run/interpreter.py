"""The interpreter: NumPy, one node after another. It is the definition of what a graph means.

Values are dropped after their last use. Fresh arrays come out: no result shares memory with
an argument, a captured array or another result. Floating-point warnings are silent, as they
are in machine code: an infinite local derivative is a value, not a fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.core.graph import Graph
from chainrule.core.node import INPUT, Node
from chainrule.core.recording import quiet
from chainrule.errors import GraphError
from chainrule.run.failures import failed

Flat = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def compile(graph: Graph, threads: int | None = None) -> Flat:
    """The graph as a function from the list of its free inputs to the list of its outputs.

    ``threads`` changes nothing: NumPy's BLAS decides for itself how many it uses.
    """
    slots = {node: i for i, node in enumerate(graph.nodes)}
    last_use = _last_uses(graph)
    steps = []
    constants = _constants(graph)
    start = [constants.get(node) for node in graph.nodes]
    for index, node in enumerate(graph.nodes):
        if node.primitive is not INPUT and node not in constants:
            dead = [x for x in set(node.inputs) if last_use[x] == index and x not in constants]
            drop = tuple(slots[x] for x in dead)
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
    held = {id(value) for value in start if value is not None}

    def run(arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        values = start.copy()
        for slot, value in zip(free, arguments, strict=True):
            values[slot] = value
        slot = 0
        try:
            with quiet():
                for forward, inputs, attrs, slot, drop in steps:
                    values[slot] = forward(*[values[i] for i in inputs], **attrs)
                    for i in drop:
                        values[i] = None
        except (IndexError, ArithmeticError, ValueError) as error:
            raise failed(error, graph.nodes[slot], graph) from None
        owned = held.union(map(id, arguments))  # by callers, or by an earlier result
        results = []
        for slot in outputs:
            value: Any = values[slot]
            shared = id(value) in owned or value.base is not None
            owned.add(id(value))
            results.append(value.copy() if shared else value)
        return results

    return run


class clocked:
    """The graph as a function from its inputs to the seconds that each step takes; ``nodes``
    has what each computes: here one node a step."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constants = _constants(graph)
        known = self.constants.keys() | set(graph.inputs)
        self.nodes = [[node] for node in graph.nodes if node not in known]

    def __call__(self, arguments: Sequence[np.ndarray]) -> list[float]:
        inputs = zip(self.graph.inputs, [*arguments, *self.graph.captures], strict=True)
        values = {**self.constants, **dict(inputs)}
        seconds = []
        with quiet():
            for (node,) in self.nodes:
                given = [values[x] for x in node.inputs]
                start = time.perf_counter()
                values[node] = node.primitive.forward(*given, **node.attrs)
                seconds.append(time.perf_counter() - start)
        return seconds


def _constants(graph: Graph) -> dict[Node, Any]:
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
    found.update(dict.fromkeys((*graph.outputs, *graph.inputs[len(graph.free_inputs) :]), -1))
    return found


def loop(step: Callable[[Any, Any], Any], carry: Any, data: Iterable[Any]) -> Any:
    """``carry = step(carry, item)`` for every item: the executor's loop, here a plain one."""
    for item in data:
        carry = step(carry, item)
    return carry
