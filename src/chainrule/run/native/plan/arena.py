"""One block of memory for all buffers of a program: those that never live at once share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ALIGNMENT = 64


class Life(NamedTuple):
    """A buffer of ``size`` bytes, written first in step ``start`` and read last in ``stop``."""

    size: int
    start: int
    stop: int


def plan(lives: Sequence[Life]) -> tuple[list[int], int]:
    """An offset for each buffer, and the bytes of all: largest first, each at the lowest place
    that is free throughout its life (greedy by size; Pisarchyk and Lee, 2020)."""
    offsets = [0] * len(lives)
    placed: list[int] = []
    peak = 0
    for i in sorted(range(len(lives)), key=lambda i: (-lives[i].size, lives[i].start)):
        one = lives[i]
        offset = 0
        rivals = [j for j in placed if lives[j].start <= one.stop and one.start <= lives[j].stop]
        for j in sorted(rivals, key=offsets.__getitem__):
            if offset + padded(one.size) <= offsets[j]:
                break
            offset = max(offset, offsets[j] + padded(lives[j].size))
        offsets[i] = offset
        placed.append(i)
        peak = max(peak, offset + padded(one.size))
    return offsets, peak


def padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
