"""What a loop is: a body, which is a graph, and how often and on what it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.core.graph import Graph
from chainrule.core.node import PRIMITIVES, Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.core.types import TupleType


@dataclass(frozen=True, eq=False)
class Loop:
    """What a node of ``scan`` says.

    ``body`` is a graph from (consts, carry, an entry of each of xs) to (carry, an entry of each of
    ys). It runs ``length`` times, from the last entries to the first if ``reverse``.
    ``recompute``: its derivative keeps the carry of each turn, not what the turn computes on the
    way.

    ``stops``: it runs while the first of the carry is more than 0, ``length`` times at most, or
    any number of times where that is None; the ys of turns that do not run are 0. The first of the
    carry is a bool, with the number of turns that ran as the second as long as nobody has asked
    for a derivative; or it is the number of turns to come, which take the first entries of xs.
    """

    body: Graph
    consts: Sequence[Any]
    carry: Sequence[Any]
    xs: Sequence[Any]
    length: int | None
    reverse: bool = False
    recompute: bool = False
    stops: bool = False

    @staticmethod
    def of(node: Node, inputs: Sequence[Any] | None = None) -> Loop:
        """The loop that a node is; ``inputs``: other inputs, or what stands for its own."""
        given = node.inputs if inputs is None else inputs
        return Loop(*parts_of(given, **node.attrs))

    @staticmethod
    def at(node: Node) -> Loop | None:
        """The loop that a node is, if it is one."""
        return Loop.of(node) if node.primitive is PRIMITIVES["scan"] else None

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes of its node."""
        attrs = {
            "body": self.body,
            "carry": len(self.carry),
            "xs": len(self.xs),
            "length": self.length,
            "reverse": self.reverse,
            "recompute": self.recompute,
        }
        return attrs | {"stops": True} if self.stops else attrs

    def emit(self, recording: Any) -> list[Traced]:
        """Record the loop; its results, carry and then ys."""
        inputs = (*self.consts, *self.carry, *self.xs)
        made = recording.emit(PRIMITIVES["scan"], inputs, self.attrs)
        return [item_of(made, i) for i in range(len(made.node.type.parts))]


def parts_of(
    inputs: Sequence[Any],
    *,
    body: Graph,
    carry: int,
    xs: int,
    length: int | None,
    reverse: bool,
    recompute: bool,
    stops: bool = False,
) -> tuple[Any, ...]:
    first = len(inputs) - carry - xs
    split = inputs[:first], inputs[first : first + carry], inputs[first + carry :]
    return (body, *split, length, reverse, recompute, stops)


def result_of(node: Node) -> tuple[Node, int] | None:
    """The loop that a node is a result of, and which one; None for other nodes."""
    return (node.inputs[0], node.attrs["index"]) if node.primitive is PRIMITIVES["item"] else None


def part_of(results: Traced, index: int) -> Traced | None:
    """One of what was bundled, zeros where it was not there; None of a loop's results."""
    if results.node.primitive is not PRIMITIVES["bundle"]:
        return None
    places = results.node.attrs["places"]
    if index in places:
        return Traced(results.node.inputs[places.index(index)], results.recording)
    return results.recording.zeros(results.node.type.parts[index])  # type: ignore[attr-defined]


def item_of(results: Traced, index: int) -> Traced:
    """One of the results of a loop, or of what was bundled."""
    part = part_of(results, index)
    if part is not None:
        return part
    return results.recording.emit(PRIMITIVES["item"], (results,), {"index": index})


def bundled(parts: Mapping[int, Traced], like: TupleType, recording: Recording) -> Traced:
    """Some parts of results as one, the rest zero."""
    attrs = {"places": tuple(parts), "types": tuple(map(str, like.parts))}
    return recording.emit(PRIMITIVES["bundle"], tuple(parts.values()), attrs)
