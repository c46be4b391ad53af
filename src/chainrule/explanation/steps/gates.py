"""Gates as in the lectures: whole functions that stand as one operation (L1.3, L1.4, L0.4).

A gate is a part of the graph with one result. It is known by the call that made it, softmax or
a mean, or by its shape, as a cross-entropy; it is one only if recording its definition again
gives the same node. How a gate passes a gradient back is the engine's: the sum over the edges
into its inputs. ``rules`` say how the lecture writes that; the first whose values are the
engine's at this point is shown, and a gate without one opens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autodiff import pullback
from chainrule.core.node import Node
from chainrule.core.recording import Recording, quiet
from chainrule.core.told import Called
from chainrule.core.traced import Traced
from chainrule.errors import ChainruleError
from chainrule.explanation.formula.building import behind, is_transparent
from chainrule.explanation.steps.kinds import (
    CALLED,
    LOGISTIC_ENTROPY,
    SHORTER,
    SOFTMAX_ENTROPY,
    SOFTMAX_LIKELIHOOD,
    SQUARED_NORM,
    Kind,
    Rule,
    attributes,
    of_call,
)
from chainrule.ops.structure import broadcast_to


@dataclass(frozen=True, eq=False)
class Gate:
    """One in a graph: its result, its inputs, the nodes inside, and the rule that holds here.

    ``aside`` is a quantity inside that keeps its line, ŷ: its gradient is that of the loss alone.
    """

    kind: Kind
    node: Node
    inputs: tuple[Node, ...]
    inside: frozenset[Node]
    rule: Rule
    definition: Any
    aside: Node | None = None
    attrs: tuple[tuple[str, Any], ...] = ()


def gates(
    rec: Recording,
    order: Sequence[Node],
    output: Node,
    kept: Collection[Node],
    opened: bool | Collection[str],
    wrt: Collection[Node],
) -> dict[Node, Gate]:
    """The gates of a graph, by their results.

    Args:
        order: the quantities. wrt: what is differentiated by. kept: quantities that have a name
            of their own and stay. opened: the names of gates that are left open; True for all.
    """
    if opened is True:
        return {}
    users: dict[Node, set[Node]] = {}
    every = _ancestors(output)
    for node in every:
        for x in node.inputs:
            users.setdefault(x, set()).add(node)
    found: dict[Node, Gate] = {}
    hidden: set[Node] = set()
    moving = set(wrt)
    for node in reversed(every):  # inputs first
        if any(x in moving for x in node.inputs):
            moving.add(node)
    for node in reversed(order):
        if node in hidden or not node.type.is_float:
            continue
        for kind, inputs, aside in _candidates(rec, node, kept):
            if opened and (kind.name in opened or _is_loss(kind.name) in opened):
                continue
            call = (rec.calls or {}).get(node) or (rec.calls or {}).get(behind(node))
            call = call if call is not None and CALLED.get(call.name) is kind else None
            gate = _gate(rec, kind, node, inputs, aside, users, moving, call)
            if gate is not None and not (gate.inside - {node}) & (set(kept) - {aside}):
                found[node] = gate
                hidden |= gate.inside - {node}
                if aside is not None:
                    hidden.discard(aside)
                break
    return found


def _is_loss(name: str) -> str:
    """The loss that is open where its logarithms are to be seen too."""
    return name.replace("log-likelihood", "cross-entropy")


def _ancestors(node: Node) -> list[Node]:
    found, stack = {node: None}, [node]
    while stack:
        for x in stack.pop().inputs:
            if x not in found:
                found[x] = None
                stack.append(x)
    return list(found)


def _candidates(
    rec: Recording, node: Node, kept: Collection[Node]
) -> Iterator[tuple[Kind, tuple[Node, ...], Node | None]]:
    root = behind(node)
    name = root.primitive.name
    called = (rec.calls or {}).get(node) or (rec.calls or {}).get(root)
    if called is not None and called.name in CALLED:
        yield CALLED[called.name], called.inputs, None
    if name == "reduce_sum" and root.inputs[0].primitive.name == "multiply":
        x, z = root.inputs[0].inputs
        if x is z:
            yield SQUARED_NORM, (x,), None
        for inputs, p in _likelihoods(rec, root):
            yield SOFTMAX_LIKELIHOOD, inputs, p
    if name == "negative":
        for inputs, p in _likelihoods(rec, behind(root.inputs[0])):
            yield SOFTMAX_ENTROPY, inputs, p
    if name == "subtract":
        yield from _two_class_entropies(root, kept)


def _likelihoods(rec: Recording, total: Node) -> Iterator[tuple[tuple[Node, ...], Node]]:
    """Σ y log softmax(a), the product either way round."""
    if total.primitive.name != "reduce_sum" or total.inputs[0].primitive.name != "multiply":
        return
    for y, log in (total.inputs[0].inputs, total.inputs[0].inputs[::-1]):
        if log.primitive.name == "log":
            called = (rec.calls or {}).get(p := log.inputs[0])
            if called is not None and called.name == "nn.softmax":
                yield (behind(y), called.inputs[0]), p


def _two_class_entropies(
    root: Node, kept: Collection[Node]
) -> Iterator[tuple[Kind, tuple[Node, ...], Node]]:
    """−t log σ(z) − (1 − t) log(1 − σ(z)), where ŷ has no name of its own."""
    left = root.inputs[0]
    if left.primitive.name != "multiply" or left.inputs[1].primitive.name != "log":
        return
    minus, log = left.inputs
    p = log.inputs[0]
    if p.primitive.name == "logistic" and minus.primitive.name == "negative" and p not in kept:
        yield LOGISTIC_ENTROPY, (minus.inputs[0], p.inputs[0]), p


def _gate(
    rec: Recording, kind: Kind, node: Node, inputs: tuple[Node, ...], aside: Node | None,
    users: Mapping[Node, set[Node]], moving: Collection[Node], call: Called | None = None,
) -> Gate | None:  # fmt: skip
    """The gate, if the definition gives this node, nothing inside is used elsewhere, and one of
    the rules holds."""
    inputs = tuple(y if (y := behind(x)).type.shape == x.type.shape else x for x in inputs)
    if any(is_transparent(x) for x in inputs):
        return None
    traced = [Traced(x, rec) for x in inputs]
    with quiet():
        definition = kind.definition if call is None else call.again
        made = definition(*traced)
    if behind(made.node) is not behind(node):
        return None
    inside = _between(node, set(inputs))
    if any(not users.get(x, set()) <= inside for x in inside - {node}):
        return None
    one = broadcast_to(rec.constant(1, node.type.dtype), node.type.shape)
    wrt = [x for x in traced if x.node.type.is_float and not x.node.is_constant]
    with quiet():
        found = pullback([Traced(node, rec)], [one], wrt)
        pulled = {x.node: part for x, part in zip(wrt, found, strict=True)}
        for rule in kind.rules:
            rule = rule if call is None else of_call(rule, kind, call)
            try:
                parts = rule(one, Traced(node, rec), *traced)
            except (
                TypeError,
                ValueError,
                IndexError,
                ChainruleError,
            ):  # no rule for these settings
                continue
            pairs = [
                (pulled[x], part)
                for x, part in zip(inputs, parts, strict=True)
                if x in pulled and (x in moving or part is not None)
            ]
            if all(part is not None and _equal(exact, part) for exact, part in pairs):
                attrs = () if call is None else attributes(call)
                return Gate(kind, node, inputs, frozenset(inside), rule, definition, aside, attrs)
    return None


def _between(node: Node, inputs: set[Node]) -> set[Node]:
    found, stack = {node}, [node]
    while stack:
        for x in stack.pop().inputs:
            if x not in found and x not in inputs and not x.is_constant:
                found.add(x)
                stack.append(x)
    return found


def _equal(a: Traced | None, b: Any) -> bool:
    x = 0.0 if a is None else a.recording.values[a.node]
    z = b.recording.values[b.node] if isinstance(b, Traced) else b
    low = np.asarray(x).dtype == np.float32
    size = float(np.max(np.abs(x), initial=0.0))
    return bool(np.all(np.isfinite(x))) and np.allclose(
        x, z, rtol=1e-4 if low else 1e-9, atol=(1e-5 if low else 1e-12) * max(size, 1.0)
    )


def shorter(rec: Recording, node: Node, position: int, g: Traced, exact: Any) -> Traced | None:
    """The lecture's form of what an operation with ties passes back, where it equals ``exact``."""
    given = [Traced(x, rec) for x in node.inputs]
    passed: list[Any] = [g, Traced(node, rec)]
    if node.type.shape and "axes" in node.attrs:  # of a reduction, as long as what was reduced
        passed = [np.expand_dims(x, node.attrs["axes"]) for x in passed]
    for rule in SHORTER.get(node.primitive.name, ()):
        part = rule(*passed, *given)[position]
        if _equal(exact, part):
            return part
    return None
