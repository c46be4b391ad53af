"""The language: immutable typed graphs of primitives.

A ``Node`` (``core/node.py``) applies a primitive to other nodes. A ``Graph`` names the nodes that
are its inputs and outputs; its text form is Python and parses back (``core/text.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from types import CodeType, MappingProxyType

import numpy as np

from chainrule.core.frames import line_of
from chainrule.core.node import INPUT, Node, Origin
from chainrule.core.text import parse_graph, print_graph
from chainrule.errors import ChainruleError, GraphError

ALWAYS_VERIFY = False
"""Whether every graph is checked as it is made: the tests set it. What a recording or a pass
makes is right by construction, and a check costs as much as a third of recording."""


Place = tuple[CodeType, int, str]


class Origins(Mapping[Node, Sequence[Origin]]):
    """Where the nodes of a graph come from. What is kept of a place is a function, an instruction
    in it and a scope; its line is looked up when asked."""

    __slots__ = ("places",)

    def __init__(self, places: Mapping[Node, Sequence[Place]] = MappingProxyType({})) -> None:
        self.places = places

    def __getitem__(self, node: Node) -> Sequence[Origin]:
        found = [
            Origin(code.co_filename, line_of(code, at), code.co_name, scope)
            for code, at, scope in self.places[node]
        ]
        return list(dict.fromkeys(found))

    def __contains__(self, node: object) -> bool:
        return node in self.places

    def __iter__(self) -> Iterator[Node]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True, eq=False)
class Graph:
    """A typed, acyclic graph: a function from ``inputs`` to ``outputs``.

    ``captures`` are arrays that the recorded function closed over: they stand for the last
    ``len(captures)`` inputs, which callers do not pass; None where only their type is known,
    in a graph that was parsed from text. ``name`` is the function's, ``names`` labels nodes for
    printing and ``origins`` says where nodes came from; none is part of what the graph means.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    captures: tuple[np.ndarray | None, ...] = ()
    name: str = "f"
    names: Mapping[Node, str] = field(default_factory=dict, repr=False)
    origins: Origins = field(default_factory=Origins, repr=False)
    nodes: tuple[Node, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for nodes in (self.inputs, self.outputs):
            if not isinstance(nodes, (tuple, list)) or not all(isinstance(x, Node) for x in nodes):
                raise GraphError(
                    f"a graph goes from nodes to nodes, not {nodes!r}: record a function with "
                    "cr.trace(f)(x), or read one with cr.Graph.parse(text)"
                )
        object.__setattr__(self, "nodes", tuple(ancestors(self.outputs, self.inputs)))
        if ALWAYS_VERIFY:
            verify(self)

    @property
    def free_inputs(self) -> tuple[Node, ...]:
        """The inputs that a caller passes: all but the captured arrays."""
        return self.inputs[: len(self.inputs) - len(self.captures)]

    def __str__(self) -> str:
        return print_graph(self)

    __repr__ = __str__

    @staticmethod
    def parse(text: str, captures: Sequence[np.ndarray] = ()) -> Graph:
        """The graph that ``text`` describes, the inverse of ``str(graph)``; ``captures`` are the
        values of the inputs after ``*``, without which the graph prints but does not run."""
        if not isinstance(text, str):
            raise GraphError(f"Graph.parse reads the text of a graph, not {text!r}")
        graph = Graph(**parse_graph(text, captures, Graph))
        verify(graph)
        return graph


def ancestors(outputs: Iterable[Node], inputs: Iterable[Node] = ()) -> list[Node]:
    """All nodes that the outputs depend on, inputs included, in topological order."""
    found = dict.fromkeys(inputs)
    stack = [node for node in outputs if node not in found]
    while stack:
        node = stack.pop()
        if node in found:
            continue
        found[node] = None
        stack.extend(node.inputs)
    return sorted(found, key=attrgetter("serial"))


def with_bodies(graph: Graph) -> Iterator[Node]:
    """The nodes of a graph and of the bodies of its loops."""
    for node in graph.nodes:
        yield node
        for value in node.attrs.values():
            if isinstance(value, Graph):
                yield from with_bodies(value)


def verify(graph: Graph) -> None:
    """Check that a graph is well formed and that every node has the type its rule infers.

    Raises:
        GraphError: naming the node and what is wrong with it.
    """
    if len(set(graph.inputs)) != len(graph.inputs):
        raise GraphError(f"graph {graph.name}: the same node is listed as an input twice")
    if len(graph.captures) > len(graph.inputs):
        raise GraphError(f"graph {graph.name}: more captured arrays than inputs")
    hidden = graph.inputs[len(graph.inputs) - len(graph.captures) :]
    for node, value in zip(hidden, graph.captures, strict=True):
        if value is not None and (value.shape, value.dtype) != (node.type.shape, node.type.dtype):
            raise GraphError(
                f"graph {graph.name}: captured array of type {value.dtype}{value.shape} "
                f"stands for an input of type {node.type}"
            )
    known = set(graph.inputs)
    position = {node: index for index, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if node.primitive is INPUT and node not in known:
            raise GraphError(
                f"graph {graph.name}: {node} is an input that the graph does not list; "
                "it belongs to another recording"
            )
        if any(position[x] >= position[node] for x in node.inputs):
            raise GraphError(f"graph {graph.name}: {node} comes before one of its inputs")
        if node.primitive is not INPUT:
            for value in node.attrs.values():
                if isinstance(value, Graph):
                    verify(value)
            try:
                inferred = node.primitive.infer(*(x.type for x in node.inputs), **node.attrs)
            except (ChainruleError, TypeError) as error:
                raise GraphError(f"graph {graph.name}: {node}: {error}") from error
            if inferred != node.type:
                raise GraphError(
                    f"graph {graph.name}: {node} should have type {inferred} by its shape rule"
                )
