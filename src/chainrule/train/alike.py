"""Functions that do the same with other numbers: recorded each, run as one that takes the numbers.

Networks that differ in a learning rate, a penalty or a rate of dropout have the same operations in
their steps; only constants differ. As arguments, these serve all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.compile import stability
from chainrule.compile.rolling import Roller
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, Node
from chainrule.core.record import Recorded, flatten_call, record
from chainrule.core.traced import Traced
from chainrule.ops.coerce import lift

Numbers = list[np.ndarray]
Source = Node | int
"""What an operation reads: another node, or the number at a place."""


@dataclass(frozen=True, eq=False)
class _Numbered:
    """A graph and its numbers: captured arrays, and the constants by each use of them."""

    graph: Graph
    numbers: Numbers = field(default_factory=list)
    steps: list[tuple[Node, list[Source]]] = field(default_factory=list)
    outputs: list[Source] = field(default_factory=list)

    @staticmethod
    def of(graph: Graph) -> _Numbered:
        found = _Numbered(graph)
        held: dict[Node, int] = {}
        free = len(graph.free_inputs)
        for x, value in zip(graph.inputs[free:], graph.captures, strict=True):
            held[x] = len(found.numbers)
            found.numbers.append(np.asarray(value))

        def source(x: Node) -> Source:
            if x.primitive is CONSTANT:
                value = np.frombuffer(x.attrs["value"], x.attrs["dtype"]).reshape(())
                found.numbers.append(value)
                return len(found.numbers) - 1
            return held.get(x, x)

        known = {*graph.inputs}
        for node in graph.nodes:
            if node.primitive is not CONSTANT and node not in known:
                found.steps.append((node, [source(x) for x in node.inputs]))
        found.outputs.extend([source(y) for y in graph.outputs])
        return found

    def form(self) -> Any:
        """Equal for graphs that differ in numbers alone."""
        at = {x: i for i, x in enumerate(self.graph.free_inputs)}
        rows: list[Any] = [x.type for x in at]
        rows += [(value.shape, value.dtype) for value in self.numbers]

        def shown(sources: Sequence[Source]) -> tuple[Any, ...]:
            return tuple([("number", x) if isinstance(x, int) else at[x] for x in sources])

        for node, sources in self.steps:
            rows.append((node.primitive, tuple(node.attrs.items()), node.type, shown(sources)))
            at[node] = len(at)
        return (*rows, shown(self.outputs))


@dataclass(frozen=True, eq=False)
class Family:
    """Functions that are alike: which ones of those that were compared, and for each of these the
    numbers that not all have in common, arrays of the same shapes."""

    members: list[int]
    numbers: list[Numbers]
    _first: Recorded
    _numbered: _Numbered
    _places: list[int]

    def __call__(self, numbers: Sequence[Any], *arguments: Any) -> Any:
        """What the member with these numbers does with arguments, of which one is traced."""
        leaves, _ = flatten_call(arguments, {})
        recording = next(x for x in leaves if isinstance(x, Traced)).recording
        own = self._numbered
        new = {
            x: lift(leaf, recording) for x, leaf in zip(own.graph.free_inputs, leaves, strict=True)
        }
        given: list[Any] = list(own.numbers)
        for place, value in zip(self._places, numbers, strict=True):
            given[place] = value

        def value(x: Source) -> Traced:
            return lift(given[x], recording) if isinstance(x, int) else new[x]

        with recording.copying(), recording.unattributed():
            for node, sources in own.steps:
                inputs = [value(x) for x in sources]
                new[node] = recording.emit(node.primitive, inputs, dict(node.attrs))
            return self._first.out_tree.unflatten([value(y) for y in own.outputs])


def families(functions: Sequence[Callable[..., Any]], *arguments: Any) -> list[Family]:
    """The functions, of arguments of these types, by what they do but for numbers."""
    groups: dict[Any, list[tuple[int, Recorded, _Numbered]]] = {}
    for k, f in enumerate(functions):
        recorded = record(f, *arguments, rewrite=stability.rewrite, roller=Roller)
        numbered = _Numbered.of(recorded.graph)
        form = (numbered.form(), recorded.out_tree)
        groups.setdefault(form, []).append((k, recorded, numbered))
    found = []
    for group in groups.values():
        columns = zip(*[numbered.numbers for _, _, numbered in group], strict=True)
        differ = [i for i, row in enumerate(columns) if len({x.tobytes() for x in row}) > 1]
        numbers = [[numbered.numbers[i] for i in differ] for _, _, numbered in group]
        found.append(Family([k for k, _, _ in group], numbers, *group[0][1:], differ))
    return found
