"""Reverse mode: visit the nodes in reverse topological order, dy/dv = Σ dy/du · du/dv (L4.8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chainrule.autodiff.local import active_nodes, multiply, total
from chainrule.core.graph import Node
from chainrule.core.rules import Custom, Elementwise, Linear, Multilinear
from chainrule.core.traced import Traced


def pullback(
    outputs: Sequence[Traced], cotangents: Sequence[Traced], wrt: Sequence[Traced]
) -> list[Traced | None]:
    """The cotangents of ``wrt``, given those of ``outputs``; None where nothing flows.

    The derivative is recorded in the recording of its arguments, so it can be
    differentiated again. Every node is visited once: the cost is linear in the graph,
    however many paths there are (L2.1).
    """
    if not outputs:
        return [None] * len(wrt)
    order, active = active_nodes(outputs, wrt)
    pending: dict[Node, list[Any]] = {}
    for y, g in zip(outputs, cotangents, strict=True):
        if y.node in active:
            pending.setdefault(y.node, []).append(g)
    starts = {x.node for x in wrt}
    found: dict[Node, Traced] = {}
    with outputs[0].recording.deriving():
        for node in reversed(order):
            if node not in pending:
                continue
            g = total(pending.pop(node))
            if node in starts:
                found[node] = g
            else:
                y = Traced(node, g.recording)
                for x, part in _cotangents(node, y, g, active):
                    pending.setdefault(x, []).append(part)
    return [found.get(x.node) for x in wrt]


def _cotangents(node: Node, y: Traced, g: Traced, active: set[Node]) -> Iterator[Any]:
    """What one node passes to each of its inputs that carries a derivative."""
    rule, attrs = node.primitive.rule, node.attrs
    xs = [Traced(x, g.recording) for x in node.inputs]
    wanted = [i for i, x in enumerate(node.inputs) if x in active]
    if isinstance(rule, Linear):
        wanted = [i for i in wanted if not rule.constant(i, **attrs)]
        if rule.variadic:
            parts = rule.transpose(wanted, g, *xs, **attrs)
        else:
            parts = [rule.transpose(i, g, *xs, **attrs) for i in wanted]
    elif isinstance(rule, Elementwise):
        partials = [rule.partials[i] for i in wanted]
        parts = [p and multiply(g, p(y, *xs, **attrs)) for p in partials]
    elif isinstance(rule, Multilinear):
        transposes = [rule.transposes[i] for i in wanted]
        parts = [f and f(g, *xs, **attrs) for f in transposes]
    else:
        assert isinstance(rule, Custom)
        every = rule.vjp(g, y, *xs, **attrs)
        parts = [every[i] for i in wanted]
    for i, part in zip(wanted, parts, strict=True):
        if part is not None:
            yield node.inputs[i], part
