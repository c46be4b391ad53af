"""What can be known while a function is recorded: of constants, and of transformations at points
that are constants, ``grad(f)(0.3)`` inside another recorded function."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.node import INPUT, Node

if TYPE_CHECKING:
    from chainrule.core.recording import Recording


def settled(recording: Recording, node: Node) -> bool:
    """Whether a node depends on nothing that is still to be differentiated or given."""
    todo, seen = [node], set[Node]()
    while todo:
        x = todo.pop()
        if x.is_constant or x in seen:
            continue
        if not recording.points or x in recording.running or x.primitive is INPUT:
            return False
        seen.add(x)
        todo.extend(x.inputs)
    return True


def value_of(recording: Recording, node: Node) -> np.ndarray | None:
    """The value of a node, computed now if need be; None where it depends on what is not given."""
    values, unknown, stack = recording.values, dict[Node, None](), [node]
    while stack:
        x = stack.pop()
        if x not in values and x not in unknown:
            if x.primitive is INPUT:
                return None
            unknown[x] = None
            stack.extend(x.inputs)
    for x in sorted(unknown, key=attrgetter("serial")):
        values[x] = x.primitive.forward(*[values[i] for i in x.inputs], **x.attrs)
    return values[node]
