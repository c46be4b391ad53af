"""One block of memory for all buffers of a program: those that never live at once share it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

ALIGNMENT = 64
LARGEST = 512
"""So many buffers are placed with care, which takes a time that grows with their square."""
SMALL = 64
"""Buffers of so many bytes are not, where there are more."""


class Life(NamedTuple):
    """A buffer of ``size`` bytes, written first in step ``start`` and read last in ``stop``."""

    size: int
    start: int
    stop: int


def plan(lives: Sequence[Life]) -> tuple[list[int], int]:
    """An offset for each buffer, and the bytes of all: largest first, each at the lowest place
    that is free throughout its life (greedy by size; Pisarchyk and Lee, 2020). Where there are
    very many, the smallest lie behind the others, each in a place of its own size."""
    offsets = [0] * len(lives)
    placed: list[int] = []
    peak = 0
    order = sorted(range(len(lives)), key=lambda i: (-lives[i].size, lives[i].start))
    careful = len(order)
    if careful > LARGEST:
        careful = min(LARGEST, sum(life.size > SMALL for life in lives))
    for i in order[:careful]:
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
    used: list[tuple[int, int]] = []  # when a place is free again, and whose it is until then
    free: dict[int, list[int]] = {}
    for i in sorted(order[careful:], key=lambda i: lives[i].start):
        while used and used[0][0] < lives[i].start:
            _, j = heapq.heappop(used)
            free.setdefault(_room(lives[j].size), []).append(offsets[j])
        size = _room(lives[i].size)
        if free.get(size):
            offsets[i] = free[size].pop()
        else:
            offsets[i] = peak if size <= 8 else padded(peak)
            peak = offsets[i] + size
        heapq.heappush(used, (lives[i].stop, i))
    return offsets, padded(peak)


def _room(size: int) -> int:
    """What one of very many buffers takes: a single number lies beside others."""
    return 8 if size <= 8 else padded(size)


def padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
