"""Graphs inside graphs: the body of a loop, carved out of the recording it was made in.

A body is recorded in the recording around it, on inputs of its own. What it computes without them
stays outside, once for all turns; all it reads from there become inputs of the body.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from chainrule.core.graph import Graph, Origins, Place, ancestors
from chainrule.core.node import CONSTANT, INPUT, NO_ATTRS, Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced

_serials = itertools.count(1)  # all bodies share one count, since they share nodes


class Body(NamedTuple):
    """A graph whose inputs are what it takes from outside, ``consts``, and then parameters."""

    graph: Graph
    consts: list[Traced]


def copied(node: Node, inputs: Sequence[Node]) -> Node:
    """The same operation on other inputs, as a node of a body."""
    constant = node.primitive is not INPUT and all(x.is_constant for x in inputs)
    return Node(node.primitive, tuple(inputs), node.attrs, node.type, next(_serials), constant)


def carve(
    recording: Recording,
    parameters: Sequence[Node],
    outputs: Sequence[Node],
    known: Mapping[Node, Node],
    literal: Callable[[Node], bool],
    outside: Mapping[Node, Node],
    name: str,
) -> Body:
    """The graph from ``parameters``, nodes of a recording, to ``outputs``.

    Args:
        known: nodes of the recording that stand for nodes of another body, to be shared with it.
        literal: whether a node that depends on constants alone is made again in the body.
        outside: what the consts of that body are outside.
        name: of the graph.
    """
    floor = min((p.serial for p in parameters), default=recording.serial + 1)
    inside = dict.fromkeys(parameters)
    found: dict[Node, None] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node in found or node in inside:
            continue
        found[node] = None
        if node.serial >= floor or literal(node):
            stack.extend(node.inputs)
    made: dict[Node, Node] = {}
    for p in parameters:
        made[p] = known.get(p) or Node(INPUT, (), NO_ATTRS, p.type, next(_serials))
    outer = dict(outside)
    literals: set[Node] = set()
    places: dict[Node, Sequence[Place]] = {}
    order = sorted(found, key=attrgetter("serial"))
    for node in order:
        if any(x in inside for x in node.inputs):
            inside[node] = None
        elif node.primitive is CONSTANT or (
            node.inputs and literal(node) and all(x in literals for x in node.inputs)
        ):
            literals.add(node)
    needed = set(outputs)
    for node in reversed(order):
        if node in needed and (node in inside or node in literals):
            needed.update(node.inputs)
    for node in order:
        if node not in needed:
            continue
        if node in known:
            made[node] = known[node]
        elif node in inside or node in literals:
            made[node] = copied(node, [made[x] for x in node.inputs])
            if node in recording.places:
                places[made[node]] = recording.places[node]
        else:
            made[node] = Node(INPUT, (), NO_ATTRS, node.type, next(_serials))
            outer[made[node]] = node
    last = [made[p] for p in parameters]
    results = [made[y] for y in outputs]
    taken = set(last)
    consts = [x for x in ancestors(results) if x.primitive is INPUT and x not in taken]
    graph = Graph(
        inputs=(*consts, *last),
        outputs=tuple(results),
        name=name,
        names={made[p]: recording.names[p] for p in parameters if p in recording.names},
        origins=Origins(places),
    )
    return Body(graph, [Traced(outer[c], recording) for c in consts])


def replay(graph: Graph, recording: Recording, inputs: Sequence[Traced]) -> dict[Node, Traced]:
    """Record a graph again on other inputs: its nodes, and what stands for each."""
    new: dict[Node, Traced] = dict(zip(graph.inputs, inputs, strict=True))
    with recording.copying(), recording.unattributed():
        for node in graph.nodes:
            if node in new:
                continue
            if node.primitive is CONSTANT:
                new[node] = recording.literal(node)
                continue
            given = [new[x] for x in node.inputs]
            new[node] = recording.emit(node.primitive, given, dict(node.attrs))
    return new


def standing_for(new: Mapping[Node, Traced]) -> dict[Node, Node]:
    """From what ``replay`` made to the nodes it stands for."""
    found: dict[Node, Node] = {}
    for node, made in new.items():
        found.setdefault(made.node, node)
    return found
