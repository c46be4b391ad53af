"""The backward pass, edge by edge (L4.8, version A), as the engine is seen to go it."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autodiff import pullback
from chainrule.core.node import INPUT, Node
from chainrule.core.recording import quiet
from chainrule.core.rules import Deferred
from chainrule.core.traced import Traced
from chainrule.explanation.formula.algebra import SIMPLIFIED
from chainrule.explanation.formula.expressions import ZERO, constant, derivative
from chainrule.explanation.formula.node import Node as Formula
from chainrule.explanation.steps.gates import shorter
from chainrule.explanation.steps.recorded import Recorded, Use
from chainrule.ops.structure import broadcast_to


@dataclass(eq=False)
class Flow:
    """What one edge carries back: ``local`` is traced, a number or None.

    ``g`` is the upstream gradient, ``part`` what flows; None where nothing does. ``local`` is
    None where the operation has no single local derivative; then ``formula`` says what is done
    with the upstream gradient.
    """

    use: Use
    local: Any
    local_formula: Formula | None
    formula: Formula | None
    part: Traced | None
    g: Traced | None


@dataclass(eq=False)
class Backward:
    """Flows into each quantity, in the order in which they are added, and its total.

    ``totals[node]`` is None where nothing arrives: the derivative is 0.
    """

    flows: dict[Node, list[Flow]]
    totals: dict[Node, Traced | None]


def derivative_name(r: Recorded, node: Node) -> Formula:
    several = sum(x in r.moving for x in r.free) > 1
    return derivative(r.output_name, r.names[node], several)


def backward(r: Recorded) -> Backward:
    """Watch the engine pull 1 back from the output to every quantity that moves."""
    rec = r.recording
    edges: dict[tuple[Node, int], Any] = {}
    totals: dict[Node, Traced | None] = dict.fromkeys(r.quantities)

    def watch(node: Node, g: Traced, parts: Sequence[tuple[int, Any]]) -> None:
        totals[node] = g
        edges.update({(node, i): part for i, part in parts})

    one = rec.constant(1, r.output.type.dtype)
    starts = [n for n in r.quantities if n in r.moving and (n in r.free or not n.primitive.rule)]
    pullback([Traced(r.output, rec)], [one], [Traced(node, rec) for node in starts], watch)
    totals[r.output] = one
    flows: dict[Node, list[Flow]] = {
        node: [] for node in reversed(r.quantities) if node in r.moving and node is not r.output
    }
    with quiet():
        for node in reversed(r.quantities):
            for use in r.uses[node] if node in r.moving else ():
                if use.source in flows:
                    part = _arriving(r, use, edges)
                    flows[use.source].append(_flow(r, use, totals[node], part))
    return Backward(flows, {node: totals[node] for node in (r.output, *flows)})


def _arriving(r: Recorded, use: Use, edges: Mapping[tuple[Node, int], Any]) -> Traced | None:
    """What reverse mode passed along the edge, or along all edges of a gate into this input."""
    if not use.inside:
        return _along(r, use.chain, edges.get((use.node, use.position)))
    parts = [p for edge in use.inside if (p := _arriving(r, edge, edges)) is not None]
    return functools.reduce(operator.add, parts) if parts else None


def _flow(r: Recorded, use: Use, g: Traced | None, part: Traced | None) -> Flow:
    local = local_derivative(r, use)
    if local is None:
        return Flow(use, local, None, _pull_formula(r, use), part, g)
    return Flow(use, local, _local_formula(r, use, local), None, part, g)


# One edge -----------------------------------------------------------------------------------


def local_derivative(r: Recorded, use: Use) -> Any:
    """dy/dx where it is one number for each entry of y: a traced value, a number, or None.

    What the rule states; for rules that state none the pullback of 1, where argument and result
    are single numbers, and of ones where the operation is known to act entry by entry.
    """
    node, rule = use.node, use.node.primitive.rule
    if node in r.gates:
        return _of_gate(r, use, _ones(r, node)) if not node.type.shape else None
    if rule is None:
        return 0
    stated = rule.local(node, r.recording, use.position)
    if stated is not None:
        return stated
    scalar = not node.type.shape and not node.inputs[use.position].type.shape
    if not scalar and node.primitive.name not in ENTRY_BY_ENTRY:
        return None
    pulled = rule.pull_one(node, _ones(r, node), use.position)
    return 0 if pulled is None else pulled


def _ones(r: Recorded, node: Node) -> Traced:
    return broadcast_to(r.recording.constant(1, node.type.dtype), node.type.shape)


def _of_gate(r: Recorded, use: Use, g: Traced) -> Any:
    """What the lecture's rule of a gate passes to one of its inputs."""
    gate = r.gates[use.node]
    if use.source is gate.aside:
        y, p = Traced(gate.inputs[0], r.recording), Traced(use.source, r.recording)
        if gate.kind.alone is not None:
            return gate.kind.alone(y, p) * g
        return pullback([Traced(use.node, r.recording)], [g], [p])[0]
    given = [Traced(x, r.recording) for x in gate.inputs]
    return gate.rule(g, Traced(use.node, r.recording), *given)[use.position]


ENTRY_BY_ENTRY = frozenset({"select"})
"""Linear operations whose Jacobian is diagonal, so that they have a local derivative."""


def _along(r: Recorded, chain: Sequence[Node], part: Any) -> Traced | None:
    """A gradient, pulled on through the transparent nodes before an operation."""
    if isinstance(part, Deferred):
        part = part.emit()
    for node in chain:
        part = None if part is None else node.primitive.rule.pull_one(node, part, 0)
    return part


def _local_formula(r: Recorded, use: Use, local: Any) -> Formula:
    if not isinstance(local, Traced):
        return constant(local)
    return r.builder(SIMPLIFIED, _spoken(r, use)).of(local_shown(r, use, local).node)


def local_shown(r: Recorded, use: Use, local: Traced) -> Traced:
    """``local`` as the lecture writes it, without the shares of a tie where there is none."""
    if use.node in r.gates:
        return local
    short = shorter(r.recording, use.node, use.position, _ones(r, use.node), local)
    return local if short is None else short


def _spoken(r: Recorded, use: Use) -> dict[Node, Formula]:
    """The names that a rule of this operation speaks of: its own and those of its inputs, and of
    the function's inputs, which a square without its root goes back to.

    Not all names: cos x stays cos x, even if the cosine has a name elsewhere.
    """
    given = (node for node in r.names if node.primitive is INPUT)
    spoken = (*given, use.node, *r.needs[use.node])
    return {node: r.names[node] for node in spoken if node in r.names}


def _pull_formula(r: Recorded, use: Use) -> Formula:
    """What the rule makes of an upstream gradient, in symbols."""
    upstream = derivative_name(r, use.node)
    ones = _ones(r, use.node)
    g = r.recording.fresh(ones)  # a node of its own, so that it can carry the name
    if use.node in r.gates:
        part = _of_gate(r, use, g)
    else:
        part = use.node.primitive.rule.pull_one(use.node, g, use.position)
        short = shorter(r.recording, use.node, use.position, g, part)
        part = _along(r, use.chain, part if short is None else short)
    if part is None:
        return ZERO
    spoken = {**_spoken(r, use), g.node: upstream}
    return r.builder(SIMPLIFIED, spoken).of(part.node)


def as_array(r: Recorded, x: Any, like: Node) -> np.ndarray:
    """The number behind a traced value or a Python number, of the type of ``like``."""
    if isinstance(x, Traced):
        return r.recording.values[x.node]
    value = 0 if x is None else x
    return np.full(like.type.shape, value, like.type.dtype)
