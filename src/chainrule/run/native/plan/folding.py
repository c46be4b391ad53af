"""Loops over the result of a matrix product that go on with each tile of it while that is near."""

from __future__ import annotations

from chainrule.run.native.plan.affine import Affine
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.steps import Group, Plan, Product, touched_by


def fold(plan: Plan) -> None:
    """Let a product take in the loops that are the first to read its result, and go over
    it by rows and columns: bias and activation, their derivatives."""
    steps = plan.steps
    uses: dict[Buffer, list[int]] = {}
    for i, step in enumerate(steps):
        for buffer in touched_by(step):
            uses.setdefault(buffer, []).append(i)
    gone = set()
    for i, step in enumerate(steps):
        if not isinstance(step, Product) or step.nests or not step.tiled:
            continue
        result = step.out.buffer
        reader, *later = [j for j in uses[result] if j > i] or [-1]
        group = steps[reader]
        if reader < 0 or not isinstance(group, Group) or not _folds(plan, step, group):
            continue
        kept = bool(later) or result.place != "arena" or result.carried is not None
        steps[reader] = step.folded(group.stages[0], group.reads, kept)
        gone.add(i)
    plan.steps = [step for i, step in enumerate(steps) if i not in gone]


def _folds(plan: Plan, product: Product, group: Group) -> bool:
    m, n, _ = product.size
    if group.shared != (m, n) or (product.shared == "rows") != (group.axis == 0):
        return False
    here = Affine(0, (n, 1))
    return all(nest.mode == "store" for nest in group.stages[0]) and all(
        load.buffer is not product.out.buffer or load.position == here
        for nest in group.stages[0]
        for load in plan.loads[nest]
    )
