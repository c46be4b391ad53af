"""Which steps threads may run one after another without a barrier, and which must wait.

A thread may go on to the next step as long as it reads only what it wrote itself. So a step
belongs to the phase of the steps whose results it reads, or to the next one where some thread
reads, or writes over, what another one touched. Forward pass, loss and input gradients of a
minibatch are one phase, each thread having rows of its own; weight gradients and update are the
second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chainrule.core.types import Shape
from chainrule.run.native.plan.affine import Affine
from chainrule.run.native.plan.buffers import Buffer

ALL = -1
"""Any thread may touch any element."""
FIRST = 0
"""The first thread alone touches it."""


class Access(NamedTuple):
    """How the threads of a step touch a buffer.

    ``row`` elements belong to each row of the step's share: the thread with rows r to s touches
    elements r * row to s * row; or it is ALL or FIRST. ``rows``: how many rows there are.
    """

    row: int
    rows: int
    writes: bool


Footprint = dict[Buffer, list[Access]]


def row_of(position: Affine, space: Shape, axis: int) -> int:
    """How many elements an index along ``axis`` of a loop nest stands for, if the others stay
    within them; else ALL."""
    row = position.factors[axis]
    low = high = position.constant
    for k, (factor, n) in enumerate(zip(position.factors, space, strict=True)):
        if k != axis:
            low += min(factor, 0) * (n - 1)
            high += max(factor, 0) * (n - 1)
    return row if row > 0 and low >= 0 and high < row else ALL


def crosses(a: Access, b: Access) -> bool:
    """Whether one thread may touch in ``b`` what another touches in ``a``, and either writes."""
    if not (a.writes or b.writes):
        return False
    if a.row == ALL or b.row == ALL:
        return True
    return (a.row, a.rows) != (b.row, b.rows)


def phases(footprints: Sequence[Footprint]) -> list[int]:
    """The phase of each step, in order, from what each touches."""
    found: list[int] = []
    before: dict[Buffer, list[tuple[int, Access]]] = {}
    for footprint in footprints:
        phase = 0
        for buffer, access in _each(footprint):
            for earlier, other in before.get(buffer, ()):
                if access.writes or other.writes:
                    phase = max(phase, earlier + crosses(other, access))
        for buffer, access in _each(footprint):
            before.setdefault(buffer, []).append((phase, access))
        found.append(phase)
    return found


def _each(footprint: Footprint) -> Iterable[tuple[Buffer, Access]]:
    return ((buffer, access) for buffer, all in footprint.items() for access in all)
