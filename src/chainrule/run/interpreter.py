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

from chainrule.core.evaluation import constant_values, evaluator
from chainrule.core.graph import Graph
from chainrule.core.recording import quiet
from chainrule.errors import GraphError

Flat = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def compile(graph: Graph, threads: int | None = None) -> Flat:
    """The graph as a function from the list of its free inputs to the list of its outputs.

    ``threads`` changes nothing: NumPy's BLAS decides for itself how many it uses.
    """
    check_captures(graph)
    constants = constant_values(graph)
    evaluate = evaluator(graph, constants)
    held = {id(value) for value in (*constants.values(), *graph.captures)}

    def run(arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        owned = held.union(map(id, arguments))  # by callers, or by an earlier result
        results = []
        for value in evaluate([*arguments, *graph.captures]):
            shared = id(value) in owned or value.base is not None
            owned.add(id(value))
            results.append(value.copy() if shared else value)
        return results

    return run


def check_captures(graph: Graph) -> None:
    """Every executor needs the arrays that a graph captured.

    Raises:
        GraphError: the graph was parsed from text, without them.
    """
    if any(value is None for value in graph.captures):
        raise GraphError(
            f"graph {graph.name} was parsed from text, which does not carry its captured "
            "arrays; pass them: Graph.parse(text, captures=[...])"
        )


class clocked:
    """The graph as a function from its inputs to the seconds that each step takes; ``nodes``
    has what each computes: here one node a step."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constants = constant_values(graph)
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


def loop(step: Callable[[Any, Any], Any], carry: Any, data: Iterable[Any]) -> Any:
    """``carry = step(carry, item)`` for every item: the executor's loop, here a plain one."""
    for item in data:
        carry = step(carry, item)
    return carry
