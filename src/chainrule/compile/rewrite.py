"""Rebuilding a graph node by node: what every pass has in common."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.core.graph import Graph, Origins
from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.core.recording import Recording, Rewriter
from chainrule.core.traced import Traced

Rewrite = Callable[[Node, list[Traced]], Traced | None]


def keep(node: Node, inputs: list[Traced]) -> None:
    """The rewrite that changes nothing."""


def rebuild(graph: Graph, rewrite: Rewrite, while_recording: Rewriter | None = None) -> Graph:
    """The graph with each node replaced by what ``rewrite(node, new_inputs)`` returns.

    None keeps the node, applied to its new inputs. Equal nodes become one on the way, and
    what no output needs is not rebuilt. ``while_recording`` (see ``Recording``) acts on all that
    is made, also on what it returned itself.
    """
    recording = Recording(eager=False, rewrite=while_recording)
    new: dict[Node, Traced] = {}
    for node in graph.inputs:
        new[node] = recording.input(node.type, name=graph.names.get(node, ""))
    places = {}
    with recording.unattributed():  # the origins are those of the old nodes
        for node in graph.nodes:
            if node.primitive is INPUT:
                continue
            inputs = [new[x] for x in node.inputs]
            made = rewrite(node, inputs)
            if made is None:
                made = _keep(node, inputs, recording)
            new[node] = made
            if node in graph.origins:
                places[made.node] = graph.origins.places[node]
    return Graph(
        inputs=tuple(new[x].node for x in graph.inputs),
        outputs=tuple(new[y].node for y in graph.outputs),
        captures=graph.captures,
        name=graph.name,
        names=recording.names,
        origins=Origins(places),
    )


def _keep(node: Node, inputs: list[Traced], recording: Recording) -> Traced:
    if node.primitive is CONSTANT:
        return recording.literal(node)
    return recording.emit(node.primitive, inputs, dict(node.attrs))
