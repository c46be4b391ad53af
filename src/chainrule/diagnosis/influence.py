"""Which entries of an operation's inputs an entry of its output is made of.

Asked of the derivative rules: entry by entry where they say so, and where an operation is linear by
counting paths with every factor 1. Of the others every input entry counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.core.node import Node
from chainrule.core.recording import fresh_recording, quiet
from chainrule.core.rules import Deferred, Linear, Multilinear
from chainrule.core.traced import Traced

Mask = np.ndarray


def reached(node: Node, masks: Sequence[Mask | None], values: Sequence[Any]) -> Mask:
    """Which entries of the output read an entry that is marked in ``masks``, one an input."""
    found = np.zeros(node.type.shape, bool)
    marked = [i for i, mask in enumerate(masks) if mask is not None and mask.any()]
    if not marked:
        return found
    rule = node.primitive.rule
    if isinstance(rule, (Linear, Multilinear)):
        with quiet():
            for i in marked:
                given = _counting(node, values)
                given[i] = masks[i].astype(node.inputs[i].type.dtype)  # type: ignore[union-attr]
                if isinstance(rule, Linear):  # together they are one sum: the others count 0
                    for j in range(len(given)):
                        if j != i and _moves(node, j):
                            given[j] = np.zeros_like(given[j])
                found |= np.asarray(node.primitive.forward(*given, **node.attrs)) != 0
        return found
    for i in marked:
        mask = masks[i]
        assert mask is not None
        found |= mask if mask.shape == found.shape and _entrywise(node) else True
    return found


def read(node: Node, i: int, wanted: Mask, values: Sequence[Any]) -> Mask:
    """Which entries of input ``i`` the entries ``wanted`` of the output read."""
    shape = node.inputs[i].type.shape
    rule = node.primitive.rule
    if isinstance(rule, (Linear, Multilinear)):
        if not _moves(node, i):
            return np.zeros(shape, bool)
        with quiet(), fresh_recording(eager=True, provenance=False) as recording:
            given = _counting(node, values)
            xs = [
                recording.input(x.type, np.asarray(v))
                for x, v in zip(node.inputs, given, strict=True)
            ]
            y = recording.emit(node.primitive, xs, dict(node.attrs))
            g = recording.input(y.type, wanted.astype(y.type.dtype))
            if y.node.primitive is not node.primitive:
                return np.ones(shape, bool)
            (part,) = rule.pull(y.node, g, [i])
            part = part.emit() if isinstance(part, Deferred) else part
            if not isinstance(part, Traced):
                return np.zeros(shape, bool)
            return np.asarray(recording.value(part.node)) != 0
    if wanted.shape == shape and _entrywise(node):
        return wanted
    return np.ones(shape, bool)


def _counting(node: Node, values: Sequence[Any]) -> list[Any]:
    """Ones for the inputs that move, and the others as they are."""
    return [
        np.ones(x.type.shape, x.type.dtype) if _moves(node, i) else values[i]
        for i, x in enumerate(node.inputs)
    ]


def _moves(node: Node, i: int) -> bool:
    """Whether the operation is linear in an input: no index or condition."""
    rule = node.primitive.rule
    if not node.inputs[i].type.is_float:
        return False
    if isinstance(rule, Linear):
        return not rule.constant(i, **node.attrs)
    return isinstance(rule, Multilinear) and rule.transposes[i] is not None


def _entrywise(node: Node) -> bool:
    rule = node.primitive.rule
    return rule is None or rule.acts_entrywise
