"""The compiler's passes as text, with the number of nodes that each leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.api import value_and_grad
from chainrule.compile import PASSES
from chainrule.core.graph import CONSTANT, INPUT, Graph
from chainrule.core.record import record


def passes_text(f: Callable[..., Any] | None, args: tuple[Any, ...]) -> str:
    """The passes in their order; with a function, the operations that its value and gradient
    take before and after each."""
    lines = ["the passes of jit and fit, in order"]
    graph = None
    if f is not None:
        both = value_and_grad(f, tuple(range(len(args))))
        graph = record(both, *args).graph
        lines[0] += f"; value and gradient of {graph.name}"
        lines.append(f"  {'as recorded':<16}{_operations(graph):>5} operations")
    for one in PASSES:
        count = ""
        if graph is not None:
            graph = one.run(graph)
            count = f"{_operations(graph):>5} operations   "
        lines.append(f"  {one.name:<16}{count}{one.does}")
    return "\n".join(lines)


def _operations(graph: Graph) -> int:
    return sum(node.primitive not in (INPUT, CONSTANT) for node in graph.nodes)
