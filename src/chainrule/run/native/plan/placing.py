"""Where buffers lie: in registers, over an old value, or in one block that they share."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.run.native.plan import arena
from chainrule.run.native.plan.affine import ANYWHERE
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.nests import Nest
from chainrule.run.native.plan.phases import ALL, FIRST, Access, Footprint, phases, row_of
from chainrule.run.native.plan.steps import (
    Group,
    Plan,
    Product,
    Step,
    Uniform,
    loops_of,
    operands_of,
    touched_by,
)


def place(plan: Plan) -> None:
    """Order the steps by phases, and give every buffer of the arena its offset; what one
    group alone uses, a register.

    With threads, a buffer lives for whole phases: within one they are not in step.
    """
    first, last = _lives(plan.steps)
    for buffer in plan.outputs:
        if buffer.carried is not None and buffer.alias is None and buffer in first:
            _alias(plan, buffer, first, last)
    plan.phases = [0] * len(plan.steps)
    if plan.threads > 1:
        found = phases([_footprint(plan, step) for step in plan.steps])
        order = sorted(range(len(found)), key=found.__getitem__)
        plan.steps = [plan.steps[i] for i in order]
        plan.phases = sorted(found)
    first, last = _lives(plan.steps)
    for buffer in plan.outputs:
        if buffer.carried is not None and buffer.alias is None and buffer in first:
            last[buffer] = len(plan.steps)  # where what has no alias is copied
    placed = []
    for buffer, start in first.items():
        if buffer.place != "arena" or buffer.alias is not None:
            continue
        if last[buffer] == start and _stays_inside(plan.steps[start], buffer):
            buffer.place = "local"
        else:
            placed.append(buffer)
    times = [*plan.phases, len(plan.steps)] if plan.threads > 1 else range(len(plan.steps) + 1)
    lives = [arena.Life(b.type.nbytes, times[first[b]], times[last[b]]) for b in placed]
    offsets, plan.arena = arena.plan(lives)
    plan.apart = sum(arena.padded(life.size) for life in lives)
    for buffer, offset in zip(placed, offsets, strict=True):
        buffer.offset = offset


def _footprint(plan: Plan, step: Step) -> Footprint:
    """How threads touch each buffer in a step."""
    found: Footprint = {}

    def touch(buffer: Buffer, row: int, rows: int, writes: bool) -> None:
        found.setdefault(buffer.alias or buffer, []).append(Access(row, rows, writes))

    def touch_loops(nests: Sequence[Nest], axis: int) -> None:
        for nest in nests:
            rows = nest.space[axis]
            touch(nest.out, row_of(nest.target, nest.space, axis), rows, True)
            for load in plan.loads[nest]:
                anywhere = load.position is ANYWHERE
                row = ALL if anywhere else row_of(load.position, nest.space, axis)
                touch(load.buffer, row, rows, False)

    if isinstance(step, (Product, Uniform)) and step.shared:
        for buffer, row, writes in step.rows_of():
            touch(buffer, row, step.shares, writes)
        if isinstance(step, Product):
            touch_loops(step.nests, 0)
    elif isinstance(step, Group) and step.axis is not None:
        touch_loops(step.stages[0], step.axis)
    else:
        for buffer in touched_by(step):
            touch(buffer, FIRST, 0, True)
    return found


def _alias(plan: Plan, buffer: Buffer, first: dict[Buffer, int], last: dict[Buffer, int]) -> None:
    """Let a carried result overwrite its input, if by then that was read for the last time,
    or is read in the same loop, at the same place, before the new number is stored."""
    old, start = buffer.carried, first[buffer]
    assert old is not None
    if last.get(old, -1) > start:
        return
    if last.get(old, -1) == start:
        nests = loops_of(plan.steps[start])
        writer = next((nest for nest in nests if nest.out is buffer), None)
        if writer is None or writer.mode != "store" or old in operands_of(plan.steps[start]):
            return
        loads = [x for nest in nests for x in plan.loads[nest] if x.buffer is old]
        if any(x.position != writer.target for x in loads):
            return
    buffer.alias = old


def _lives(steps: Sequence[Step]) -> tuple[dict[Buffer, int], dict[Buffer, int]]:
    """The first and the last step that touch each buffer."""
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for i, step in enumerate(steps):
        for buffer in touched_by(step):
            first.setdefault(buffer, i)
            last[buffer] = i
    return first, last


def _stays_inside(step: Step, buffer: Buffer) -> bool:
    """Whether what a step alone makes and reads can stay in a register."""
    return any(nest.out is buffer and nest.mode == "store" for nest in loops_of(step))
