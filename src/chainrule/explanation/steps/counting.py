"""Counting: why backpropagation visits edges and not paths (L2.1, L4.8).

Everything is counted in scalar terms: a vector of 10 counts as 10 quantities, and an edge is a
local derivative between two numbers that is not zero by structure. A multiplication is counted
for each, also by 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.node import Node
from chainrule.core.traced import Traced
from chainrule.explanation.formula.building import is_transparent
from chainrule.explanation.steps.backward import ENTRY_BY_ENTRY
from chainrule.explanation.steps.data import Counts
from chainrule.explanation.steps.recorded import Recorded, Use


def count(r: Recorded) -> Counts:
    """Count the paths and edges of what is between the inputs and the output."""
    one = np.ones((), np.float64)
    paths: dict[Node, Any] = {r.output: 1 if r.is_scalar else one}
    lengths: dict[Node, Any] = {r.output: 0 if r.is_scalar else one * 0}
    edges = 0
    reached = 0
    for node in reversed(r.quantities):
        if node not in r.moving or node not in paths:
            continue
        reached += node.type.size
        for use in r.uses[node]:
            if use.source not in r.moving or node.primitive.rule is None:
                continue
            edges += _edges(r, use)
            here, steps = paths[node], lengths[node]
            _add(paths, use.source, _pull(r, use, here))
            _add(lengths, use.source, _pull(r, use, steps + here))
    inputs = [node for node in r.free if node in r.moving]
    total = sum(_whole(paths.get(node, 0)) for node in inputs)
    length = sum(_whole(lengths.get(node, 0)) for node in inputs)
    width = sum(node.type.size for node in inputs)
    hit = sum(_positive(paths.get(node, 0)) for node in inputs)
    nodes = sum(node.type.size for node in r.quantities if node in r.moving)
    joins = max(edges - (reached - r.output.type.size), 0)
    computed = reached - sum(node.type.size for node in inputs if node in paths)
    return Counts(
        inputs=width,
        nodes=nodes,
        edges=edges,
        paths=total,
        forward={
            "multiplications": width * edges,
            "additions": width * max(edges - computed, 0),
            "stored": 2 * _peak(r),
        },
        reverse={"multiplications": edges, "additions": joins, "stored": nodes},
        by_paths={
            "multiplications": max(length - total, 0),
            "additions": max(total - hit, 0),
            "stored": nodes,
        },
    )


def _add(table: dict[Node, Any], node: Node, more: Any) -> None:
    table[node] = table[node] + more if node in table else more


def _whole(x: Any) -> int:
    return x if isinstance(x, int) else int(np.sum(x))


def _positive(x: Any) -> int:
    return int(x > 0) if isinstance(x, int) else int(np.count_nonzero(x))


def _edges(r: Recorded, use: Use) -> int:
    if r.is_scalar:
        return 1
    return int(np.sum(_pull(r, use, np.ones(use.node.type.shape), chain=False)))


def _pull(r: Recorded, use: Use, g: Any, chain: bool = True) -> Any:
    """Counts carried over an edge: the engine's pullback with every local derivative 1."""
    if r.is_scalar:
        return g
    part = _structure(r, use.node, use.position, g)
    for node in use.chain if chain else ():
        part = _structure(r, node, 0, part)
    return part


def _structure(r: Recorded, node: Node, i: int, g: Any) -> np.ndarray:
    rule, x = node.primitive.rule, node.inputs[i]
    same = x.type.shape == node.type.shape and is_transparent(node)
    if same or rule.acts_entrywise or node.primitive.name in ENTRY_BY_ENTRY:
        return np.asarray(g)
    if not rule.is_linear:
        return np.full(x.type.shape, float(np.sum(g)))  # every entry may reach every other
    rec = r.recording
    cotangent = rec.capture(np.array(g)) if np.ndim(g) else rec.constant(g, np.dtype(np.float64))
    ones = [_ones(r, z) if z.type.is_float else Traced(z, rec) for z in node.inputs]
    try:
        part = rule.pull_one(node.primitive(*ones, **node.attrs).node, cotangent, i)
    except TypeError:
        return np.full(x.type.shape, float(np.sum(g)))
    return np.zeros(x.type.shape) if part is None else np.asarray(rec.values[part.node], float)


def _ones(r: Recorded, node: Node) -> Traced:
    if not node.type.shape:
        return r.recording.constant(1, np.dtype(np.float64))
    return r.recording.capture(np.ones(node.type.shape))


def _peak(r: Recorded) -> int:
    """The most scalars alive at once when values are dropped after their last use."""
    last: dict[Node, int] = {}
    for k, node in enumerate(r.quantities):
        for x in r.needs[node]:
            last[x] = k
    live = sum(node.type.size for node in r.free)
    peak = live
    for k, node in enumerate(r.quantities):
        if node in r.free:
            continue
        live += node.type.size
        peak = max(peak, live)
        live -= sum(x.type.size for x in r.needs[node] if last[x] == k)
    return peak
