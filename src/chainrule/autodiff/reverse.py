"""Reverse mode: visit the nodes in reverse topological order, dy/dv = Σ dy/du · du/dv (L4.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from chainrule.core.node import Node
from chainrule.core.rules import total
from chainrule.core.traced import Traced
from chainrule.core.unknown import escaped

_NODE, _SERIAL = attrgetter("node"), attrgetter("serial")
_ALONE = (0,)
Watch = Callable[[Node, Traced, Sequence[tuple[int, Any]]], None]


def active_nodes(outputs: Sequence[Traced], wrt: Sequence[Traced]) -> tuple[list[Node], set[Node]]:
    """The nodes between ``wrt`` and ``outputs`` that carry a derivative, in topological order.

    Only nodes recorded after the first of ``wrt`` are visited, so an inner transformation
    costs as much as its own part of the recording, however much lies around it.
    """
    starts = set(map(_NODE, wrt))
    floor = min(map(_SERIAL, starts), default=0)
    found: set[Node] = set()
    stack = list(map(_NODE, outputs))
    while stack:
        node = stack.pop()
        if node in found or node.serial < floor:
            continue
        found.add(node)
        if node not in starts:
            stack.extend(node.inputs)
    spent = outputs[0].recording.spent if outputs else ()
    if spent and not spent.isdisjoint(found):
        raise escaped()  # else what was read outside its turn would be left out
    order, active = [], set(starts)
    for node in sorted(found, key=_SERIAL):
        if node not in starts:
            if active.isdisjoint(node.inputs) or not node.type.is_float:
                continue
            if node.primitive.rule is None:
                continue
            active.add(node)
        order.append(node)
    return order, active


def pullback(
    outputs: Sequence[Traced],
    cotangents: Sequence[Traced],
    wrt: Sequence[Traced],
    watch: Watch | None = None,
) -> list[Traced | None]:
    """The cotangents of ``wrt``, given those of ``outputs``; None where nothing flows.

    The derivative is recorded in the recording of its arguments, so it can be
    differentiated again. Every node is visited once: the cost is linear in the graph,
    however many paths there are (L2.1). ``watch(node, g, parts)`` sees each visit: the whole
    cotangent g of the node, and what it passes on, as (number of the input, cotangent);
    without one it is the recording's.
    """
    if not outputs:
        return [None] * len(wrt)
    if (roll := outputs[0].recording.roll) is not None:
        outputs = roll(outputs, wrt)
    watch = watch or outputs[0].recording.watch
    order, active = active_nodes(outputs, wrt)
    pending: dict[Node, list[Any]] = {}
    for y, g in zip(outputs, cotangents, strict=True):
        if y.node in active:
            pending.setdefault(y.node, []).append(g)
    starts = set(map(_NODE, wrt))
    found: dict[Node, Traced] = {}
    with outputs[0].recording.deriving():
        for node in reversed(order):
            arrived = pending.pop(node, None)
            if arrived is None:
                continue
            g = arrived[0] if len(arrived) == 1 and type(arrived[0]) is Traced else total(arrived)
            wanted: Sequence[int] = ()
            pulled: Sequence[Any] = ()
            if node in starts:
                found[node] = g
            else:
                inputs = node.inputs
                wanted = (
                    _ALONE if len(inputs) == 1 else [i for i, x in enumerate(inputs) if x in active]
                )
                pulled = node.primitive.rule.pull(node, g, wanted)
                for i, part in zip(wanted, pulled, strict=True):
                    if part is not None:
                        x = inputs[i]
                        if x in pending:
                            pending[x].append(part)
                        else:
                            pending[x] = [part]
            if watch is not None:
                each = zip(wanted, pulled, strict=True)
                watch(node, g, [(i, part) for i, part in each if part is not None])
    return [found.get(x.node) for x in wrt]
