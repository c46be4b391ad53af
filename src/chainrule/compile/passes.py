"""The passes, in the order in which they run. Each is a pure function from graph to graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.compile import algebra
from chainrule.compile.loops import tidy
from chainrule.compile.patterns import Rewrite
from chainrule.compile.rewrite import keep, rebuild
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, Attrs, Node, Primitive
from chainrule.core.recording import quiet
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType
from chainrule.errors import ChainruleError, GraphError


@dataclass(frozen=True, slots=True)
class Pass:
    """A named step of the compiler, and what it does in one sentence. ``run`` of one that has
    ``rewrites`` also takes a counter of those that it used."""

    name: str
    run: Callable[..., Graph]
    does: str
    rewrites: tuple[Rewrite, ...] = ()


def unwrap(graph: Graph) -> Graph:
    """Drop copies: the fresh names that inner derivatives give their inputs, and stops and forms
    for derivatives alone, which mean nothing once these have been taken."""

    def is_copy(node: Node) -> bool:
        return node.primitive.name in ("identity", "stop_gradient", "custom", "value_of")

    if not any(map(is_copy, graph.nodes)):
        return graph
    return rebuild(graph, lambda node, inputs: inputs[0] if is_copy(node) else None)


def fold(graph: Graph) -> Graph:
    """Compute what depends on scalar constants only, once and for all."""
    if not any(_is_foldable(node) for node in graph.nodes):
        return graph
    return rebuild(graph, lambda node, inputs: _folded(node.primitive, inputs, node.attrs))


def _is_foldable(node: Node) -> bool:
    if node.type.shape or not node.inputs:
        return False
    return all(x.primitive is CONSTANT for x in node.inputs)


def _folded(primitive: Primitive, inputs: Sequence[Traced], attrs: Attrs) -> Traced | None:
    """The constant that a primitive of scalar constants is, if it is a scalar too."""
    if not inputs or any(x.node.primitive is not CONSTANT for x in inputs):
        return None
    type = primitive.infer(*(x.type for x in inputs), **attrs)
    if type.shape:
        return None
    recording = inputs[0].recording
    values = [recording.values[x.node] for x in inputs]
    with quiet():
        return recording.constant(primitive.forward(*values, **attrs), type.dtype)


def loops(graph: Graph) -> Graph:
    """Join loops that do the same turns, drop what nobody reads of them, optimise their bodies."""
    return tidy(graph, optimise)


def simplify(graph: Graph, fired: Counter[str] | None = None) -> Graph:
    """Record the graph again by the table of ``compile/algebra.py``: equal numbers from fewer
    operations. Constants that this brings together are computed on the way."""

    def rewrite(primitive: Primitive, inputs: tuple[Traced, ...], attrs: Attrs) -> Traced | None:
        found = _folded(primitive, inputs, attrs)
        return algebra.rewrite(primitive, inputs, attrs, fired) if found is None else found

    return rebuild(graph, keep, rewrite)


PASSES = (
    Pass("unwrap", unwrap, "drop copies and stopped gradients"),
    Pass(
        "loops",
        loops,
        "run loops that do the same turns as one, without what nobody reads",
    ),
    Pass("fold", fold, "compute constant scalars"),
    Pass(
        "algebra",
        simplify,
        "drop factors of 1, join signs and views, repeat numbers last",
        algebra.REWRITES,
    ),
)


def optimise(graph: Graph, passes: Sequence[Pass] = PASSES) -> Graph:
    """Run the passes in order. The tests check every graph as it is made, so a faulty pass is
    caught there where it errs.

    Raises:
        GraphError: a pass failed, or its graph has inputs or outputs of other types than
            before; it names the pass.
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
