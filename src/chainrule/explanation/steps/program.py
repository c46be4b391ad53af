"""A scalar explanation as a program: the graph of both passes, to recompute every number.

A page that lets the reader move an input runs it; so can a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.core.graph import ancestors
from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.core.traced import Traced
from chainrule.explanation.formula.building import number
from chainrule.explanation.steps.backward import Backward
from chainrule.explanation.steps.recorded import Recorded

MOST_SLOTS = 2000


@dataclass(frozen=True, eq=False)
class Slot:
    """One operation: ``inputs`` are earlier slots. For an input, ``node`` is its quantity's id;
    for a constant, ``value`` is its number."""

    operation: str
    inputs: tuple[int, ...] = ()
    attributes: Mapping[str, Any] | None = None
    node: int | None = None
    value: Any = None


@dataclass(frozen=True, eq=False)
class Program:
    """``slots`` in topological order; ``values`` and ``gradients`` map quantities to slots, and
    ``flows`` maps (node, via, position) of a backward step to (value, local, upstream)."""

    slots: tuple[Slot, ...]
    values: Mapping[int, int]
    gradients: Mapping[int, int]
    flows: Mapping[tuple[int, int, int], tuple[int | None, int | None, int | None]]
    branches: bool


def program_of(r: Recorded, back: Backward) -> Program | None:
    """The program of a scalar explanation; None where arrays take part or it is too long."""
    if not r.is_scalar:
        return None
    wanted = [Traced(node, r.recording) for node in r.quantities]
    wanted += [x for x in back.totals.values() if x is not None]
    for flows in back.flows.values():
        for flow in flows:
            wanted += [x for x in (flow.part, flow.local) if isinstance(x, Traced)]
    nodes = ancestors([x.node for x in wanted])
    if len(nodes) > MOST_SLOTS or any(node.type.shape for node in nodes):
        return None
    slot = {node: i for i, node in enumerate(nodes)}
    place = {node: i for i, node in enumerate(r.quantities)}

    def at(x: Any) -> int | None:
        return slot[x.node] if isinstance(x, Traced) else None

    flows = {}
    for node, found in back.flows.items():
        for flow in found:
            use = flow.use
            key = (place[node], place[use.node], use.position)
            flows[key] = (at(flow.part), at(flow.local), at(back.totals[use.node]))
    totals = back.totals.items()
    return Program(
        slots=tuple(_slot(node, slot, place) for node in nodes),
        values={place[node]: slot[node] for node in r.quantities},
        gradients={place[n]: slot[x.node] for n, x in totals if x is not None},
        flows=flows,
        branches=r.recording.branched,
    )


def _slot(node: Node, slot: Mapping[Node, int], place: Mapping[Node, int]) -> Slot:
    if node.primitive is INPUT:
        return Slot("input", node=place[node])
    if node.primitive is CONSTANT:
        value = node.primitive.forward(**node.attrs)
        return Slot("constant", value=number(value).data)
    return Slot(node.primitive.name, tuple(slot[x] for x in node.inputs), dict(node.attrs))
