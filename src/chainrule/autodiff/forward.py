"""Forward mode: tangents travel with the values, dy = Σ dy/dx_i · t_i."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.autodiff.reverse import active_nodes, pullback
from chainrule.core.node import Node
from chainrule.core.rules import Tangents
from chainrule.core.traced import Traced


def pushforward(
    outputs: Sequence[Traced], wrt: Sequence[Traced], tangents: Sequence[Traced]
) -> list[Traced | None]:
    """The tangents of ``outputs``, given those of ``wrt``; None where nothing flows."""
    if not wrt:
        return [None] * len(outputs)
    if (roll := wrt[0].recording.roll) is not None:
        outputs = roll(outputs, wrt)
    order, _ = active_nodes(outputs, wrt)
    found: dict[Node, Traced] = {
        x.node: t for x, t in zip(wrt, tangents, strict=True) if t is not None
    }
    starts = {x.node for x in wrt}
    with wrt[0].recording.deriving():
        for node in order:
            ts = [found.get(x) for x in node.inputs] if node not in starts else []
            if any(t is not None for t in ts):
                t = node.primitive.rule.push(node, ts, _transpose)
                if t is not None:
                    found[node] = t
    return [found.get(y.node) for y in outputs]


def _transpose(
    pull: Callable[[Traced], Sequence[Any]], y: Traced, tangents: Tangents
) -> Traced | None:
    """The tangent of ``y``, from its pullback: that is linear in g, and pulling the tangents back
    through its own graph transposes it."""
    g = y.recording.fresh(y.recording.zeros(y.type))
    pairs = [
        (b, t) for b, t in zip(pull(g), tangents, strict=True) if b is not None and t is not None
    ]
    if not pairs:
        return None
    outputs, cotangents = zip(*pairs, strict=True)
    return pullback(outputs, cotangents, [g])[0]
