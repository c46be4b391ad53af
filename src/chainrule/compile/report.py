"""What the compiler does to a function, pass by pass: for ``jit(f).passes`` and the command
line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, overload

from chainrule.compile import algebra, stability
from chainrule.compile.passes import PASSES
from chainrule.compile.rolling import NODES, Roller
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, INPUT, NO_ATTRS
from chainrule.core.record import record

_EXAMPLES = {one.name: one.example for one in (*stability.REWRITES, *algebra.REWRITES)}
STABILITY = "put formulas in a form that stays finite, while recording"
ROLL = "make equal turns of Python's loops one loop, before derivatives are taken"


@dataclass(frozen=True, eq=False)
class PassRecord:
    """One step: its ``name``, what it ``does`` in a sentence, the graphs ``before`` and
    ``after`` it, and how often each of its rewrites ``fired``, by name."""

    name: str
    does: str
    before: Graph
    after: Graph
    fired: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        counts = f"{operations(self.before):>5} -> {operations(self.after):<5}"
        lines = [f"  {self.name:<12}{counts}  {self.does}"]
        lines += [f"{n:>12} x {name:<20}{_EXAMPLES[name]}" for name, n in self.fired.items()]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Passes(Sequence[PassRecord]):
    """The steps from a function to the graph that runs, in order; prints as a table.

    The first is the recording with the stability rewrites, the others are the passes.
    Operations are the nodes of a graph but inputs and constants. Indented lines are the rewrites
    of a step, with how often each was used.
    """

    records: tuple[PassRecord, ...]

    @overload
    def __getitem__(self, index: int) -> PassRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PassRecord]: ...
    def __getitem__(self, index: Any) -> Any:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def __str__(self) -> str:
        title = f"operations of {self[0].before.name} before and after each pass of jit and fit"
        return "\n".join([title, *map(str, self)])

    __repr__ = __str__


def passes_of(
    f: Callable[..., Any],
    *args: Any,
    keywords: Mapping[str, Any] = NO_ATTRS,
    roll: bool = True,
) -> Passes:
    """Record ``f`` for arguments of these types and take the graph through all passes."""
    typed = record(f, *args, keywords=keywords).graph
    fired: Counter[str] = Counter()
    graph = record(
        f, *args, keywords=keywords, rewrite=partial(stability.rewrite, fired=fired)
    ).graph
    records = [PassRecord("stability", STABILITY, typed, graph, fired)]
    if roll and operations(graph) >= NODES:  # fewer are no loop that is worth one
        rolled = record(f, *args, keywords=keywords, rewrite=stability.rewrite, roller=Roller).graph
        records.append(PassRecord("roll", ROLL, graph, rolled))
        graph = rolled
    for one in PASSES:
        fired = Counter()
        after = one.run(graph, fired) if one.rewrites else one.run(graph)
        records.append(PassRecord(one.name, one.does, graph, after, fired))
        graph = after
    return Passes(tuple(records))


def operations(graph: Graph) -> int:
    """How many operations a graph has, those of the bodies of its loops once."""
    inside = [x for node in graph.nodes for x in node.attrs.values() if isinstance(x, Graph)]
    own = sum(node.primitive not in (INPUT, CONSTANT) for node in graph.nodes)
    return own + sum(map(operations, inside))


def listed() -> str:
    """The names of the passes and what they do, without a function."""
    steps = [("stability", STABILITY), ("roll", ROLL), *((one.name, one.does) for one in PASSES)]
    return "\n".join(
        ["the passes of jit and fit, in order", *(f"  {name:<12}{does}" for name, does in steps)]
    )
