"""Random numbers as a step of a program."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.run.native.numbers.philox import PER_BLOCK
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.phases import ALL

COST = 8
"""What a number costs, in additions."""
GRAIN = 128
"""Threads take multiples of so many numbers of one long row: enough of them for vectors."""


@dataclass(eq=False)
class Uniform:
    """Numbers in [0, 1) that fill ``out``, decided by the two words of ``key``, or of each of
    several keys; ``shared``: whether threads share them out."""

    key: Buffer
    out: Buffer
    shared: bool = False

    @property
    def keys(self) -> int:
        return self.key.type.size // 2

    @property
    def row(self) -> int:
        """How many numbers are one share: those of a key where there are several; those of an
        index along the first axis, where they are whole blocks, since what reads them is shared
        out so too."""
        shape = self.out.type.shape
        if self.keys > 1:
            return self.out.type.size // self.keys
        row = math.prod(shape[1:])
        return row if len(shape) > 1 and row % max(PER_BLOCK.values()) == 0 else GRAIN

    @property
    def shares(self) -> int:
        return -(-self.out.type.size // self.row)

    def rows_of(self) -> Iterator[tuple[Buffer, int, bool]]:
        """Each buffer, the elements that belong to a share (or ALL), and whether it is written."""
        yield self.key, ALL, False
        yield self.out, self.row, True
