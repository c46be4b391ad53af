"""Many rows at once: a function recorded for one row becomes a program for all of them.

The function is recorded with stand-ins for one row of each batched argument. Every node that
depends on them is then recorded anew for all rows, by the batching rule of its primitive. Rows lie
along the first axis of whatever is batched; what does not depend on them stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.node import Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.core.types import array_type


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """One operation to be recorded for all rows: what a batching rule is given.

    ``inputs`` marked in ``mapped`` have an axis of rows before their own; at least one is.
    """

    batch: Batch
    node: Node
    inputs: tuple[Traced, ...]
    mapped: tuple[bool, ...]

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self.batch.size

    @property
    def attrs(self) -> Any:
        return self.node.attrs

    def full(self) -> list[Traced]:
        """All inputs with an axis of rows: what is the same in each is repeated."""
        pairs = zip(self.inputs, self.mapped, strict=True)
        return [x if mapped else self.batch.repeated(x) for x, mapped in pairs]


BatchRule = Callable[[Rows], Traced]


def leading(rows: Rows) -> Traced:
    """The rule of what takes any leading axes: entry by entry, or matrices in the last two."""
    return rows.node.primitive(*rows.full(), **rows.attrs)


def with_attrs(change: Callable[..., dict[str, Any]]) -> BatchRule:
    """The rule of what needs other attributes for an axis more: ``change(size, **attrs)``."""

    def rule(rows: Rows) -> Traced:
        return rows.node.primitive(*rows.full(), **change(rows.size, **rows.attrs))

    return rule


def _next_axes(size: int, *, axes: Sequence[int]) -> dict[str, Any]:
    return {"axes": tuple(a + 1 for a in axes)}


def _next_axis(size: int, *, axis: int) -> dict[str, Any]:
    return {"axis": axis + 1}


along_axes, along_axis = with_attrs(_next_axes), with_attrs(_next_axis)


class Batch:
    """``size`` rows of a recording; ``known`` has, of each node of one row, that of all."""

    def __init__(self, recording: Recording, size: int) -> None:
        self.recording = recording
        self.size = size
        self.known: dict[Node, Traced] = {}
        self.floor = recording.serial

    def row(self, x: Traced) -> Traced:
        """A stand-in for one row of ``x``, whose value nothing can ask for."""
        one = self.recording.input(array_type(x.shape[1:], x.dtype))
        self.recording.rows.add(one.node)
        self.known[one.node] = x
        return one

    def full(self, outputs: Sequence[Traced]) -> list[Traced]:
        """The outputs for all rows, each with an axis of rows."""
        pairs = zip(outputs, self.of(outputs), strict=True)
        return [self.repeated(one) if all is None else all for one, all in pairs]

    def repeated(self, x: Traced) -> Traced:
        """``x``, the same in each row, with an axis of rows."""
        return FUNCTIONS["repeated"](x, self.size)

    def of(self, outputs: Sequence[Traced]) -> list[Traced | None]:
        """The outputs for all rows; None for one that is the same in each."""
        recording, known = self.recording, self.known
        found: set[Node] = set()
        stack = [y.node for y in outputs]
        while stack:
            node = stack.pop()
            if node.serial > self.floor and node not in found and node not in known:
                found.add(node)
                stack.extend(node.inputs)
        with recording.copying():
            for node in sorted(found, key=attrgetter("serial")):
                mapped = tuple([x in known for x in node.inputs])
                if any(mapped):
                    inputs = tuple(
                        [known[x] if x in known else Traced(x, recording) for x in node.inputs]
                    )
                    recording.copied = node
                    known[node] = node.primitive.batch_rule(Rows(self, node, inputs, mapped))
        return [known.get(y.node) for y in outputs]
