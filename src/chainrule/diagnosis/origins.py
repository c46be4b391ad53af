"""Where numbers stopped being finite: the first operation, forward and backward, that made what is
not finite out of what is, of those that reach the results.

From the results that are not finite the walk goes back along the entries they are made of. What a
``where`` or ``nan_to_num`` hides is not on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.core.traced import Traced
from chainrule.diagnosis.influence import Mask, reached, read
from chainrule.diagnosis.rerun import Place, Rerun, Visit

Index = tuple[int, ...]


@dataclass(frozen=True)
class Operand:
    """What an operation was applied to: its text where the source is at hand, and the number."""

    text: str
    value: float


@dataclass(frozen=True)
class Edge:
    """An edge of the backward pass at one entry: product = local slope times upstream. ``local`` is
    None where the operation states none entry by entry."""

    upstream: float
    local: float | None
    product: float


@dataclass(frozen=True)
class Origin:
    """The first operation that made non-finite out of finite.

    Attributes:
        direction: "forward" or "backward".
        kind: "made" of finite numbers; "given" with the arguments; "combined" of infinities, as
            inf - inf is nan.
        operation: the primitive's notation; in the backward pass that of the forward operation
            whose edge it is.
        place: the user's line, its expression and the scope; None where there is none.
        value: what came out at ``index``, one of ``count`` such entries of ``size``.
        operands: what the operation was applied to, at that index.
        edge: in the backward pass.
        hidden_by: where the value is chosen away by a ``where`` that both branches of which are
            differentiated.
        branch: which branch of that choice it is, 1 or 2; ``unused`` where its cotangent is 0.
        node, mask: of the re-run, and the entries; ``key`` is the operation and the user's
            instruction.
    """

    direction: str
    kind: str
    operation: str
    place: Place | None
    value: float
    index: Index
    count: int
    size: int
    operands: tuple[Operand, ...]
    edge: Edge | None
    hidden_by: Place | None
    node: Node
    mask: Mask
    key: Any = None
    branch: int = 0
    unused: Mask | None = None


def origins(run: Rerun) -> tuple[Origin | None, Origin | None]:
    """The origin in the forward pass and that in the backward pass, where there is one."""
    wanted = _wanted(run)
    made = _made(run, wanted)
    forward = backward = None
    for node, kind, mask in made:
        if run.visit_of(node) is None:
            forward = _forward(run, node, kind, mask)
            break
    for visit in run.visits:
        part = next(((i, p) for i, p in visit.parts if p in wanted and p is not visit.g), None)
        if part is not None and visit.g not in wanted:
            backward = _edge(run, visit, *part, wanted[part[1]])
            break
    if backward is None:  # a sum of branches, or a derivative of a derivative
        for node, kind, mask in made:
            visit = run.visit_of(node)
            if visit is not None:
                backward = _between(run, visit, node, kind, mask)
                break
    return forward, backward


def _wanted(run: Rerun) -> dict[Node, Mask]:
    """The entries that are not finite and reach a result that is not."""
    wanted: dict[Node, Mask] = {}
    for _, node in run.leaves:
        bad = run.bad(node)
        if bad.any():
            wanted[node] = bad
    for node in reversed(run.order):
        mask = wanted.get(node)
        if mask is None:
            continue
        values = [run.value(x) for x in node.inputs]
        for i, x in enumerate(node.inputs):
            bad = run.bad(x)
            if not bad.any():
                continue
            hit = bad & read(node, i, mask, values)
            if hit.any():
                wanted[x] = wanted[x] | hit if x in wanted else hit
    return wanted


def _made(run: Rerun, wanted: dict[Node, Mask]) -> list[tuple[Node, str, Mask]]:
    """The nodes that made such entries, in the order of the computation. What was given as an
    infinity may be meant: then the first nan that was made of infinities comes before it."""
    found, given, combined = [], [], []
    for node in run.order:
        mask = wanted.get(node)
        if mask is None:
            continue
        if node.primitive in (INPUT, CONSTANT):
            given.append((node, "given", mask))
            continue
        values = [run.value(x) for x in node.inputs]
        here = mask & ~reached(node, [run.bad(x) for x in node.inputs], values)
        if here.any():
            found.append((node, "made", here))
            continue
        nan = mask & np.isnan(np.asarray(run.value(node)))
        if nan.any():
            old = reached(node, [_nan(run, x) for x in node.inputs], values)
            if (nan & ~old).any():
                combined.append((node, "combined", nan & ~old))
    if given and any(_nan(run, node).any() for node, _, _ in given):
        found = sorted(given + found, key=lambda one: one[0].serial)
    return found or combined or given


def _nan(run: Rerun, node: Node) -> Mask:
    return np.isnan(np.asarray(run.value(node))) & run.bad(node)


def _forward(run: Rerun, node: Node, kind: str, mask: Mask) -> Origin:
    index = _first(mask)
    place = run.place(node)
    label = run.inputs.get(node, "a constant" if node.primitive is CONSTANT else "a captured array")
    name = label if kind == "given" else node.primitive.name
    return Origin(
        "forward",
        kind,
        name,
        place,
        _at(run.value(node), index),
        index,
        int(mask.sum()),
        mask.size,
        _operands(run, node, index, place),
        None,
        None,
        node,
        mask,
        run.key(node),
    )


def _edge(run: Rerun, visit: Visit, i: int, part: Node, mask: Mask) -> Origin:
    node = visit.node
    index = _first(mask)
    place = run.place(node)
    g = run.value(visit.g)
    upstream = _at(g, index)
    with run.recording.deriving():
        slope = node.primitive.rule.local(node, run.recording, i)
    if type(slope) is Traced:
        local = _at(run.value(slope.node), index)
    else:
        local = None if slope is None else float(slope)
    zero = np.asarray(g) == 0
    unused = zero if zero.shape == mask.shape and (zero & mask).any() else None
    hidden, branch = (None, 0) if unused is None else _hiding(run, node)
    return Origin(
        "backward",
        "made",
        node.primitive.name,
        place,
        _at(run.value(part), index),
        index,
        int(mask.sum()),
        mask.size,
        _operands(run, node, index, place),
        Edge(upstream, local, _at(run.value(part), index)),
        hidden,
        node,
        mask,
        run.key(node),
        branch,
        unused,
    )


def _between(run: Rerun, visit: Visit, node: Node, kind: str, mask: Mask) -> Origin:
    index = _first(mask)
    return Origin(
        "backward",
        kind,
        visit.node.primitive.name,
        run.place(visit.node),
        _at(run.value(node), index),
        index,
        int(mask.sum()),
        mask.size,
        _operands(run, node, index, None),
        None,
        None,
        visit.node,
        mask,
        run.key(visit.node),
    )


def _hiding(run: Rerun, node: Node) -> tuple[Place | None, int]:
    """The choice that leaves out what is made of this node, if there is one, and its branch."""
    reach = {node}
    for other in sorted({visit.node for visit in run.visits}, key=lambda x: x.serial):
        if other.serial <= node.serial or reach.isdisjoint(other.inputs):
            continue
        if other.primitive.shows is not None:
            return run.place(other), 1 if other.inputs[1] in reach else 2
        reach.add(other)
    return None, 0


def _operands(run: Rerun, node: Node, index: Index, place: Place | None) -> tuple[Operand, ...]:
    texts = place.operands if place is not None else []
    floats = [x for x in node.inputs if x.type.dtype.kind != "b"]
    named = texts if len(texts) == len(floats) else []
    rule = node.primitive.rule
    entrywise = rule is None or rule.acts_entrywise
    found = []
    for j, x in enumerate(floats):
        text = named[j] if named else run.inputs.get(x, "")
        value = run.value(x)
        if not entrywise and np.size(value) > 1:
            largest = np.ravel(value)[np.argmax(np.abs(value))]
            found.append(Operand(f"largest of {text}" if text else "at most", float(largest)))
        else:
            found.append(Operand(text, _at(value, index)))
    return tuple(found)


def _at(value: object, index: Index) -> float:
    """The number at an index; of an array of another shape, of its most telling entry."""
    array = np.asarray(value)
    if array.shape == () or not array.size:
        return float(array) if array.size else float("nan")
    if len(index) == array.ndim and all(i < n for i, n in zip(index, array.shape, strict=True)):
        return float(array[index])
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    flat = array[bad] if bad.any() else array.ravel()
    return float(flat[np.argmax(np.abs(flat))] if not bad.any() else flat[0])


def _first(mask: Mask) -> Index:
    return tuple(int(i) for i in np.argwhere(mask)[0])
