"""The language: immutable typed graphs of primitives.

A ``Node`` applies a primitive to other nodes. A ``Graph`` names the nodes that are its
inputs and outputs; its text form is Python and parses back (``core/text.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from types import CodeType, MappingProxyType
from typing import Any

import numpy as np

from chainrule.core.frames import line_of
from chainrule.core.types import ArrayType
from chainrule.errors import ChainruleError, GraphError

Attrs = Mapping[str, Any]
NO_ATTRS: Attrs = MappingProxyType({})


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One set of arguments on which the test battery tries a primitive.

    ``smooth`` is false where the function has a kink or a jump, so that a numeric
    derivative means nothing there; the convention table says what holds instead.
    ``symmetric`` samples are matrices of a function that reads one triangle of them.
    """

    inputs: tuple[np.ndarray, ...]
    attrs: Attrs = field(default_factory=lambda: NO_ATTRS)
    smooth: bool = True
    symmetric: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Primitive:
    """All that is known about one operation.

    Args:
        name: how the text form writes it; unique.
        forward: ``(*values, **attrs) -> ndarray``, pure, on NumPy arrays; accepts complex
            values where the function is analytic, so that a checker can take complex steps.
        infer: ``(*types, **attrs) -> ArrayType``; raises ShapeError or DtypeError.
        rule: the derivative, one of the kinds in ``core/rules.py``; None where no argument
            has one (comparisons, integers).
        text, latex: notation with ``{}`` or ``{0}`` for arguments and ``{name}`` for attrs.
        teaches: one sentence that a learner should remember about its derivative.
        samples: arguments for the battery, made when asked.
        merge: joins deferred applications into one (see ``Deferred``).
        instead: ``(*inputs, **attrs)`` returns another form of the same numbers whose derivatives
            exist where this one's don't, or None. It always acts, eagerly too, before rewrites.
        inside_mask: ``(operation, *outputs)`` does to outputs of this primitive, a mask, what
            ``operation`` does to what is masked (a masked cotangent stays masked); None where
            they are not masked alike.
    """

    name: str
    forward: Callable[..., Any]
    infer: Callable[..., ArrayType]
    rule: Any = None
    text: str = ""
    latex: str = ""
    teaches: str = ""
    samples: Callable[[], Sequence[Sample]] = tuple
    merge: Callable[..., Any] | None = None
    instead: Callable[..., Any] | None = None
    inside_mask: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if self.name in PRIMITIVES:
            raise GraphError(f"primitive {self.name!r} is registered twice")
        PRIMITIVES[self.name] = self

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        """Record this primitive on traced values of the exact types that it takes."""
        return inputs[0].recording.emit(self, inputs, attrs)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


PRIMITIVES: dict[str, Primitive] = {}


class Node:
    """One application of a primitive. Compared by identity; never changed once made.

    ``serial`` grows in the order of recording, so sorting by it is a topological order.
    ``is_constant`` is true of what depends on constants and captured arrays only.
    """

    __slots__ = ("attrs", "inputs", "is_constant", "primitive", "serial", "type")

    primitive: Primitive
    inputs: tuple[Node, ...]
    attrs: Attrs
    type: ArrayType
    serial: int
    is_constant: bool

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Node, ...],
        attrs: Attrs,
        type: ArrayType,
        serial: int,
        is_constant: bool = False,
    ) -> None:
        _attrs(self, attrs)
        _inputs(self, inputs)
        _is_constant(self, is_constant)
        _primitive(self, primitive)
        _serial(self, serial)
        _type(self, type)

    def __setattr__(self, name: str, value: Any) -> None:
        raise GraphError(f"a node is immutable; {name} cannot be set")

    def __repr__(self) -> str:
        return f"<node {self.serial}: {self.primitive.name} -> {self.type}>"


_attrs, _inputs, _is_constant, _primitive, _serial, _type = (
    Node.__dict__[name].__set__ for name in Node.__slots__
)  # the fields' own setters, at a fraction of the cost of object.__setattr__


def _input_forward(**attrs: Any) -> Any:
    raise GraphError("the value of an input is given by the caller, not computed")


def _input_infer(**attrs: Any) -> ArrayType:
    raise GraphError("the type of an input is given by the caller, not inferred")


def _constant_forward(*, value: bytes, dtype: str) -> np.ndarray:
    return np.frombuffer(value, dtype).reshape(())


def _constant_infer(*, value: bytes, dtype: str) -> ArrayType:
    return ArrayType((), np.dtype(dtype))


INPUT = Primitive(
    "input",
    forward=_input_forward,
    infer=_input_infer,
    teaches="An input is where gradients arrive.",
)
CONSTANT = Primitive(
    "constant",
    forward=_constant_forward,
    infer=_constant_infer,
    teaches="A constant does not move, so its derivative is zero.",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the user's code made a node: a file, a line, and the scope path around it."""

    file: str
    line: int
    function: str
    scope: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line} in {self.function}"
        return f"{place} ({self.scope})" if self.scope else place


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
    in a graph that was parsed from text. ``names`` labels nodes for printing
    and ``origins`` says where nodes came from; neither is part of what the graph means.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    captures: tuple[np.ndarray | None, ...] = ()
    name: str = "f"
    names: Mapping[Node, str] = field(default_factory=dict, repr=False)
    origins: Origins = field(default_factory=Origins, repr=False)
    nodes: tuple[Node, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(ancestors(self.outputs, self.inputs)))
        if ALWAYS_VERIFY:
            verify(self)

    @property
    def free_inputs(self) -> tuple[Node, ...]:
        """The inputs that a caller passes: all but the captured arrays."""
        return self.inputs[: len(self.inputs) - len(self.captures)]

    def __str__(self) -> str:
        from chainrule.core.text import print_graph

        return print_graph(self)

    __repr__ = __str__

    @staticmethod
    def parse(text: str, captures: Sequence[np.ndarray] = ()) -> Graph:
        """The graph that ``text`` describes, the inverse of ``str(graph)``; ``captures`` are the
        values of the inputs after ``*``, without which the graph prints but does not run."""
        from chainrule.core.text import parse_graph

        graph = parse_graph(text, captures)
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
            try:
                inferred = node.primitive.infer(*(x.type for x in node.inputs), **node.attrs)
            except (ChainruleError, TypeError) as error:
                raise GraphError(f"graph {graph.name}: {node}: {error}") from error
            if inferred != node.type:
                raise GraphError(
                    f"graph {graph.name}: {node} should have type {inferred} by its shape rule"
                )
