"""The parts that both modes share: which nodes matter, and products with local derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.core.graph import Node
from chainrule.core.rules import Deferred
from chainrule.core.traced import Traced


def active_nodes(outputs: Sequence[Traced], wrt: Sequence[Traced]) -> tuple[list[Node], set[Node]]:
    """The nodes between ``wrt`` and ``outputs`` that carry a derivative, in topological order.

    Only nodes recorded after the first of ``wrt`` are visited, so an inner transformation
    costs as much as its own part of the recording, however much lies around it.
    """
    starts = {x.node for x in wrt}
    floor = min((node.serial for node in starts), default=0)
    found: set[Node] = set()
    stack = [y.node for y in outputs]
    while stack:
        node = stack.pop()
        if node in found or node.serial < floor:
            continue
        found.add(node)
        if node not in starts:
            stack.extend(node.inputs)
    order = sorted(found, key=lambda node: node.serial)
    active = set()
    for node in order:
        if node in starts or (
            node.primitive.rule is not None
            and node.type.is_float
            and any(x in active for x in node.inputs)
        ):
            active.add(node)
    return [node for node in order if node in active], active


def multiply(g: Traced, factor: Any) -> Any:
    """``g`` times a local derivative; None where that is the number 0."""
    if isinstance(factor, (int, float)):
        if factor == 0:
            return None
        if factor == 1:
            return g
    elif g.recording.is_one(g):
        return factor
    inside = g.node.primitive.scale
    kept = inside(lambda x: multiply(x, factor), g) if inside is not None else None
    return _times(g, factor) if kept is None else kept


def _times(g: Traced, factor: Any) -> Traced:
    return -g if isinstance(factor, int) and factor == -1 else g * factor


def add(a: Traced, b: Traced) -> Traced:
    inside = a.node.primitive.scale
    if inside is not None and b.node.primitive is a.node.primitive:
        kept = inside(add, a, b)
        if kept is not None:
            return kept
    return a + b


def total(contributions: list[Any]) -> Traced:
    """The sum of cotangents; deferred writes into one array are merged into one first."""
    if len(contributions) == 1:
        (only,) = contributions
        return only.emit() if isinstance(only, Deferred) else only
    groups: dict[Any, list[Deferred]] = {}
    ready: list[Traced] = []
    for part in contributions:
        if isinstance(part, Deferred):
            key = (part.primitive, part.attrs.get("axes"))
            groups.setdefault(key, []).append(part)
        else:
            ready.append(part)
    for (primitive, _), parts in groups.items():
        merge = primitive.merge
        ready += [merge(parts)] if merge is not None else [part.emit() for part in parts]
    result = ready[0]
    for part in ready[1:]:
        result = add(result, part)
    return result
