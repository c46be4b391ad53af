"""Masked cotangents and tangents: what a choice left out stays out, whatever it meets later.

``where(x > 0, log(x), 0)`` has the slope 0 at 0, not 0 · ∞. So a product with what is masked is
taken inside its mask, and what is added, moved or spread of masked parts is masked where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.node import Node
from chainrule.core.traced import Traced

BLANK: Any = object()
"""In place of the mask of what is 0 everywhere without any choice: it widens no other mask, and
hides nothing itself, so that ``0.0 * sqrt(x)`` has one slope with a mask nearby or none."""


def shown(node: Node) -> int:
    """The number of the input that a choice shows, where all else in it is 0; 0 for no such."""
    shows = node.primitive.shows
    return 0 if shows is None else shows(node)


def expect_masks(recording: Any) -> None:
    """Look for masks from now on."""
    if recording.masks is None:
        recording.masks = {}


def inside(operation: Callable[..., Any], *masked: Traced) -> Traced | None:
    """``operation`` on what is masked, inside the mask; None where they are not masked alike."""
    first, *rest = (x.node for x in masked)
    side = shown(first)
    if not side:
        return None
    if any(shown(x) != side or x.inputs[0] is not first.inputs[0] for x in rest):
        return None
    recording = masked[0].recording
    inputs = [Traced(x, recording) for x in first.inputs]
    inputs[side] = operation(*[Traced(x.node.inputs[side], recording) for x in masked])
    return first.primitive(*inputs)


def times(product: Traced, g: Traced) -> Traced:
    """A product with ``g``: 0 where g is, if g is made of masked parts."""
    mask = None if g.recording.masks is None else _support(g)
    if mask is None or mask is BLANK:
        return product
    return FUNCTIONS["masked"](Traced(mask, g.recording), product)


def complements(a: Traced, b: Traced) -> bool:
    """Whether one of two masks is by its form the other's complement: they leave nothing out."""
    return (~a).node is b.node or (~b).node is a.node


def _support(x: Traced) -> Any:
    """Where ``x``, made of masked parts, may differ from 0; None: anywhere."""
    recording = x.recording
    known = recording.masks
    assert known is not None
    stack = [x.node]
    while stack:
        node = stack[-1]
        rule = node.primitive.rule
        parts = () if rule is None or node in known or shown(node) else rule.carried(node)
        unknown = [part for part in parts if part not in known]
        if unknown:
            stack += unknown
            continue
        stack.pop()
        if node not in known:
            known[node] = _joined(node, parts, [known[part] for part in parts], recording)
    return known[x.node]


def _joined(node: Node, parts: Sequence[Node], masks: Sequence[Any], recording: Any) -> Any:
    side = shown(node)
    if side:
        condition = Traced(node.inputs[0], recording)
        return (condition if side == 1 else ~condition).node
    if all(mask is None or mask is BLANK for mask in masks):
        zero = node.is_constant and node.type.is_float and not np.any(recording.value(node))
        return BLANK if zero else None

    def given(part: Node, mask: Any) -> Traced | None:
        if mask is BLANK:
            return recording.zeros(part.type) != 0
        return None if mask is None else Traced(mask, recording)

    supports = [given(part, mask) for part, mask in zip(parts, masks, strict=True)]
    found = node.primitive.rule.support(node, supports, recording)
    if found is None or (found.node.is_constant and np.all(recording.value(found.node))):
        return None
    return found.node
