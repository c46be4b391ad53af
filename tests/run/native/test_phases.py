"""Which steps threads take without a barrier: decided by what each reads and writes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.compile import optimise
from chainrule.core.record import record
from chainrule.core.tree import flatten
from chainrule.core.types import array_type
from chainrule.run import native
from chainrule.run.native import plan
from chainrule.run.native.plan.affine import Affine
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.phases import ALL, FIRST, Access, crosses, phases, row_of
from tests.helpers.native_loops import network

A, B, C = (Buffer(array_type((8, 4), np.dtype(np.float32)), "arena") for _ in range(3))
MINE, OTHER_ROWS, OTHER_WIDTH = (4, 8), (4, 6), (2, 8)


def access(part: tuple[int, int], writes: bool) -> Access:
    return Access(*part, writes)


@pytest.mark.parametrize("part", [OTHER_ROWS, OTHER_WIDTH, (ALL, 8), (FIRST, 0)])
def test_a_barrier_stands_between_threads_that_touch_each_others_numbers(
    part: tuple[int, int],
) -> None:
    for first, second in ((True, False), (False, True), (True, True)):
        assert crosses(access(MINE, first), access(part, second))
        assert crosses(access(part, first), access(MINE, second))
    assert not crosses(access(MINE, False), access(part, False))
    assert not crosses(access(MINE, True), access(MINE, False))


def test_phases_follow_from_what_is_read_and_written() -> None:
    write, read = access(MINE, True), access(MINE, False)
    everything = access((ALL, 8), False)
    steps = [
        {A: [write]},
        {A: [read], B: [write]},  # its own rows: the same phase
        {B: [everything], C: [write]},  # everyone's rows: the next one
        {A: [read]},
        {A: [everything]},
        {A: [write]},  # which overwrites what another thread may still be reading
        {C: [access((FIRST, 0), False)]},  # the first thread reads all rows
        {C: [access((FIRST, 0), False)]},
    ]
    assert phases(steps) == [0, 0, 1, 0, 1, 2, 2, 2]


def test_rows_of_a_loop() -> None:
    space = (8, 4)
    assert row_of(Affine(0, (4, 1)), space, 0) == 4
    assert row_of(Affine(3, (4, 0)), space, 0) == 4
    assert row_of(Affine(1, (4, 1)), space, 0) == ALL  # reaches into the next row
    assert row_of(Affine(0, (1, 8)), space, 0) == ALL  # by columns
    assert row_of(Affine(0, (0, 1)), space, 0) == ALL
    assert row_of(Affine(7, (-1, 0)), space, 0) == ALL
    assert row_of(Affine(0, (4, 1)), space, 1) == ALL


def test_a_step_of_training_meets_at_two_barriers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    f, carry, xs, constants = network((100, 200, 150, 10), 256, np.float32, "relu")
    graph = optimise(record(f, carry, [x[0] for x in xs], constants).graph)
    made = native.repeat(graph, len(flatten(carry)[0]), 2, 2).code.plan
    assert made.threads == 2
    assert made.phases == sorted(made.phases)
    assert made.phases[-1] == 1
