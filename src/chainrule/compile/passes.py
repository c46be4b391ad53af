"""The passes, in the order in which they run. Each is a pure function from graph to graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.compile.rewrite import rebuild
from chainrule.core.graph import CONSTANT, Graph, Node
from chainrule.core.recording import quiet
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType
from chainrule.errors import ChainruleError, GraphError


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


def optimise(graph: Graph, passes: Sequence[Pass] = PASSES) -> Graph:
    """Run the passes in order. A graph verifies itself when it is made, so a faulty pass is
    caught where it errs.

    Raises:
        GraphError: a pass made a graph that is not well formed, or whose inputs or outputs
            have other types than before; it names the pass.
    """
    for one in passes:
        try:
            result = one.run(graph)
        except ChainruleError as error:
            raise GraphError(f"the pass {one.name!r} made a faulty graph: {error}") from error
        if _signature(result) != _signature(graph):
            raise GraphError(f"the pass {one.name!r} changed the type of an input or output")
        graph = result
    return graph


def _signature(graph: Graph) -> tuple[list[ArrayType], list[ArrayType]]:
    return [x.type for x in graph.inputs], [y.type for y in graph.outputs]
