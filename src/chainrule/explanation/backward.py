"""The backward pass, edge by edge (L4.8, version A), recorded by the engine's own rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autodiff.local import multiply, total
from chainrule.core.graph import Node
from chainrule.core.recording import quiet
from chainrule.core.rules import Custom, Deferred, Elementwise, Linear, Multilinear
from chainrule.core.traced import Traced
from chainrule.explanation.recorded import Recorded, Use
from chainrule.explanation.symbolic import SIMPLIFIED, ZERO, Derivative, Expr, Number
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
    local_formula: Expr | None
    formula: Expr | None
    part: Traced | None
    g: Traced | None


@dataclass(eq=False)
class Backward:
    """Flows into each quantity, in the order in which they are added, and its total.

    ``totals[node]`` is None where nothing arrives: the derivative is 0.
    """

    flows: dict[Node, list[Flow]]
    totals: dict[Node, Traced | None]


def derivative_name(r: Recorded, node: Node) -> Derivative:
    several = sum(x in r.moving for x in r.free) > 1
    return Derivative(r.output_name, r.names[node], several)


def backward(r: Recorded) -> Backward:
    """Pull 1 back from the output to every quantity that moves."""
    rec = r.recording
    users: dict[Node, list[Use]] = {}
    for node in reversed(r.quantities):
        if node in r.moving:
            for use in r.uses[node]:
                if use.source in r.moving:
                    users.setdefault(use.source, []).append(use)
    result = Backward({}, {})
    with quiet():
        for node in reversed(r.quantities):
            if node not in r.moving:
                continue
            if node is r.output:
                result.totals[node] = rec.constant(1, node.type.dtype)
                continue
            flows = [_flow(r, use, result.totals[use.node]) for use in users.get(node, ())]
            parts = [flow.part for flow in flows if flow.part is not None]
            result.flows[node] = flows
            result.totals[node] = total(parts) if parts else None
    return result


def _flow(r: Recorded, use: Use, g: Traced | None) -> Flow:
    local = local_derivative(r, use)
    formula = None
    if local is not None:
        shown = _local_formula(r, use, local)
    else:
        shown = None
        formula = _pull_formula(r, use)
    part = None if g is None else _pulled(r, use, g)
    return Flow(use, local, shown, formula, part, g)


# One edge -----------------------------------------------------------------------------------


def local_derivative(r: Recorded, use: Use) -> Any:
    """dy/dx where it is one number for each entry of y: a traced value, a number, or None.

    Partials of element-wise operations; for the others the pullback of 1, where argument and
    result are single numbers, and of ones where the operation is known to act entry by entry.
    """
    node, rule = use.node, use.node.primitive.rule
    if rule is None:
        return 0
    y, xs = _traced(r, node)
    if isinstance(rule, Elementwise):
        partial = rule.partials[use.position]
        return 0 if partial is None else partial(y, *xs, **node.attrs)
    x = node.inputs[use.position]
    scalar = not node.type.shape and not x.type.shape
    if not scalar and node.primitive.name not in ENTRY_BY_ENTRY:
        return None
    one = broadcast_to(r.recording.constant(1, node.type.dtype), node.type.shape)
    pulled = rule_of(node, use.position, one, y, xs)
    return 0 if pulled is None else pulled


ENTRY_BY_ENTRY = frozenset({"select"})
"""Linear operations whose Jacobian is diagonal, so that they have a local derivative."""


def _traced(r: Recorded, node: Node) -> tuple[Traced, list[Traced]]:
    return Traced(node, r.recording), [Traced(x, r.recording) for x in node.inputs]


def rule_of(node: Node, i: int, g: Traced, y: Traced, xs: list[Traced]) -> Traced | None:
    """The cotangent of argument ``i``, by the primitive's own rule."""
    rule, attrs = node.primitive.rule, node.attrs
    part: Any
    if rule is None:
        return None
    if isinstance(rule, Elementwise):
        partial = rule.partials[i]
        part = partial and multiply(g, partial(y, *xs, **attrs))
    elif isinstance(rule, Multilinear):
        transpose = rule.transposes[i]
        part = transpose and transpose(g, *xs, **attrs)
    elif isinstance(rule, Linear):
        if rule.constant(i, **attrs):
            part = None
        elif rule.variadic:
            (part,) = rule.transpose([i], g, *xs, **attrs)
        else:
            part = rule.transpose(i, g, *xs, **attrs)
    else:
        assert isinstance(rule, Custom)
        part = rule.vjp(g, y, *xs, **attrs)[i]
    return part.emit() if isinstance(part, Deferred) else part


def _pulled(r: Recorded, use: Use, g: Traced) -> Traced | None:
    """The gradient that flows through the operation and the transparent nodes before it."""
    part = rule_of(use.node, use.position, g, *_traced(r, use.node))
    for node in use.chain:
        if part is None:
            return None
        part = rule_of(node, 0, part, *_traced(r, node))
    return part


def _local_formula(r: Recorded, use: Use, local: Any) -> Expr:
    if not isinstance(local, Traced):
        return Number(local)
    return r.builder(SIMPLIFIED, _spoken(r, use)).of(local.node)


def _spoken(r: Recorded, use: Use) -> dict[Node, Expr]:
    """The names that a rule of this operation speaks of: its own and those of its inputs.

    Not all names: cos x stays cos x, even if the cosine has a name elsewhere.
    """
    return {node: r.names[node] for node in (use.node, *r.needs[use.node])}


def _pull_formula(r: Recorded, use: Use) -> Expr:
    """What the rule makes of an upstream gradient, in symbols."""
    upstream = derivative_name(r, use.node)
    zeros = r.recording.zeros(use.node.type)
    g = r.recording.fresh(zeros)  # a node of its own, so that it can carry the name
    part = _pulled(r, use, g)
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
