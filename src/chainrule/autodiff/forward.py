"""Forward mode: tangents travel with the values, dy = Σ dy/dx_i · t_i."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.autodiff.local import active_nodes, add, multiply
from chainrule.autodiff.reverse import pullback
from chainrule.core.graph import Node
from chainrule.core.rules import Custom, Elementwise, Linear, Multilinear
from chainrule.core.traced import Traced


def pushforward(
    outputs: Sequence[Traced], wrt: Sequence[Traced], tangents: Sequence[Traced]
) -> list[Traced | None]:
    """The tangents of ``outputs``, given those of ``wrt``; None where nothing flows."""
    if not wrt:
        return [None] * len(outputs)
    order, _ = active_nodes(outputs, wrt)
    found: dict[Node, Traced] = {
        x.node: t for x, t in zip(wrt, tangents, strict=True) if t is not None
    }
    starts = {x.node for x in wrt}
    with wrt[0].recording.deriving():
        for node in order:
            if node in starts:
                continue
            ts = [found.get(x) for x in node.inputs]
            if any(t is not None for t in ts):
                t = _tangent(node, ts)
                if t is not None:
                    found[node] = t
    return [found.get(y.node) for y in outputs]


def _tangent(node: Node, ts: list[Traced | None]) -> Traced | None:
    recording = next(t for t in ts if t is not None).recording
    rule, attrs, primitive = node.primitive.rule, node.attrs, node.primitive
    xs = [Traced(x, recording) for x in node.inputs]
    y = Traced(node, recording)
    moving = [i for i, t in enumerate(ts) if t is not None]
    parts: list[Any]
    if isinstance(rule, Linear):
        arguments = [
            x if rule.constant(i, **attrs) else _or_zero(t, x)
            for i, (t, x) in enumerate(zip(ts, xs, strict=True))
        ]
        return primitive(*arguments, **attrs)
    if isinstance(rule, Elementwise):
        partials = [(rule.partials[i], ts[i]) for i in moving]
        parts = [p and multiply(t, p(y, *xs, **attrs)) for p, t in partials]  # type: ignore[arg-type]
    elif isinstance(rule, Multilinear):
        parts = [
            primitive(*xs[:i], ts[i], *xs[i + 1 :], **attrs)
            for i in moving
            if rule.transposes[i] is not None
        ]
    else:
        assert isinstance(rule, Custom)
        return _transposed(rule, y, xs, ts, attrs)
    parts = [part for part in parts if part is not None]
    if not parts:
        return None
    result = parts[0]
    for part in parts[1:]:
        result = add(result, part)
    return result


def _or_zero(t: Traced | None, x: Traced) -> Traced:
    return t if t is not None else x.recording.zeros(x.type)


def _transposed(rule: Custom, y: Traced, xs: list[Traced], ts: list[Any], attrs: Any) -> Any:
    """The vjp is linear in g; its transpose is the jvp, found by pulling the tangents back
    through the vjp's own graph."""
    recording = y.recording
    g = recording.fresh(recording.zeros(y.type))
    backs = rule.vjp(g, y, *xs, **attrs)
    pairs = [(b, t) for b, t in zip(backs, ts, strict=True) if b is not None and t is not None]
    if not pairs:
        return None
    outputs, cotangents = zip(*pairs, strict=True)
    return pullback(outputs, cotangents, [g])[0]
