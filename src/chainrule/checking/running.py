"""A recorded function run again on other inputs, real or complex."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.core.evaluation import constant_values, evaluator
from chainrule.core.graph import Graph
from chainrule.core.node import INPUT, Node

Run = Callable[[Sequence[Any]], Any]
"""From the values of the free inputs to that of the first output."""


def runner(graph: Graph, values: Sequence[Any]) -> Run:
    """The first output of a graph for other values of its free inputs. What the user stopped keeps
    the number that it has at ``values``."""
    given = dict(
        zip(graph.inputs[len(graph.free_inputs) :], map(_widened, graph.captures), strict=True)
    )
    stated = {node.inputs[0] for node in graph.nodes if node.primitive.decree == "stated"}
    stopped = [n for n in graph.nodes if n.primitive.decree == "stopped" and n not in stated]
    constants = dict(constant_values(graph))
    if stopped:
        at_values = Graph(graph.inputs, tuple(stopped))
        held = evaluator(at_values, constant_values(at_values))
        constants.update(zip(stopped, held([*values, *given.values()]), strict=True))
    run = evaluator(Graph(graph.inputs, graph.outputs[:1], names=graph.names), constants)
    return lambda arguments: run([*arguments, *given.values()])[0]


def is_analytic(graph: Graph) -> bool:
    """Whether every operation that leads from an input to an output states that it is."""
    moving: set[Node] = set(graph.free_inputs)
    for node in graph.nodes:
        if node.primitive is INPUT or moving.isdisjoint(node.inputs):
            continue
        moving.add(node)
        if not node.primitive.decree and not node.primitive.is_analytic(node.attrs):
            return False
    return True


def _widened(x: Any) -> Any:
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x
