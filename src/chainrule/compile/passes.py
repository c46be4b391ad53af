"""The passes, in the order in which they run. Each is a pure function from graph to graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.compile.rewrite import rebuild
from chainrule.core.graph import CONSTANT, Graph, Node, verify
from chainrule.core.recording import quiet
from chainrule.core.traced import Traced


@dataclass(frozen=True, slots=True)
class Pass:
    """A named step of the compiler, and what it does in one sentence."""

    name: str
    run: Callable[[Graph], Graph]
    does: str


def unwrap(graph: Graph) -> Graph:
    """Drop copies: the fresh names that inner derivatives give their inputs, and stops,
    which mean nothing once derivatives have been taken."""

    def rewrite(node: Node, inputs: list[Traced]) -> Traced | None:
        name = node.primitive.name
        return inputs[0] if name in ("identity", "stop_gradient", "custom") else None

    return rebuild(graph, rewrite)


def fold(graph: Graph) -> Graph:
    """Compute what depends on scalar constants only, once and for all."""

    def rewrite(node: Node, inputs: list[Traced]) -> Traced | None:
        if node.type.shape or not inputs:
            return None
        if any(x.node.primitive is not CONSTANT for x in inputs):
            return None
        recording = inputs[0].recording
        values = [recording.values[x.node] for x in inputs]
        with quiet():
            return recording.constant(
                node.primitive.forward(*values, **node.attrs), node.type.dtype
            )

    return rebuild(graph, rewrite)


def flatten_views(graph: Graph) -> Graph:
    """A reshape of a reshape is one reshape; back to the first shape, it is none."""

    def rewrite(node: Node, inputs: list[Traced]) -> Traced | None:
        if node.primitive.name != "reshape":
            return None
        (x,) = inputs
        if x.node.primitive is node.primitive:
            x = Traced(x.node.inputs[0], x.recording)
        if x.shape == node.type.shape:
            return x
        return x.recording.emit(node.primitive, (x,), {"shape": node.type.shape})

    return rebuild(graph, rewrite)


PASSES = (
    Pass("unwrap", unwrap, "drop copies and stopped gradients"),
    Pass("fold", fold, "compute constant scalars"),
    Pass("flatten_views", flatten_views, "join reshapes of reshapes"),
)


def optimise(graph: Graph, *, check: bool = False) -> Graph:
    """Run all passes; with ``check`` verify the graph after each (the tests do)."""
    for one in PASSES:
        graph = one.run(graph)
        if check:
            verify(graph)
    return graph
