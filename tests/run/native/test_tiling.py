"""How products are cut, judged by a model of caches that replace what was used longest ago: what a
product reads again and again must stay there."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from itertools import product

import pytest

pytest.importorskip("llvmlite")

from chainrule.run.native.matmul.tiling import (
    BLOCK,
    DEPTH,
    OFTEN,
    PANEL,
    VARIANTS,
    Tiling,
    tiling_of,
)
from chainrule.run.native.runtime import machine
from chainrule.run.native.runtime.machine import Cache

PROCESSORS = {
    "32 KB, 8 ways": (Cache(32 * 2**10, 8, 64), Cache(512 * 2**10, 8, 64), 32),
    "48 KB, 12 ways": (Cache(48 * 2**10, 12, 64), Cache(2**21, 16, 64), 64),
    "16 KB, 4 ways": (Cache(16 * 2**10, 4, 64), Cache(128 * 2**10, 8, 64), 16),
    "64 KB, 4 ways": (Cache(64 * 2**10, 4, 64), Cache(2**20, 16, 64), 16),
    "128 KB, lines of 128": (Cache(128 * 2**10, 8, 128), Cache(2**22, 16, 128), 16),
}
SIZES = [(256, n, k) for n in (16, 64, 500, 512, 528, 544, 768, 1000, 1024) for k in (64, 512)]
SIZES += [(128, 128, 784), (1024, 256, 256), (32, 2048, 512), (4096, 64, 64), (256, 10, 512)]


class Model:
    """A cache, and how often it was looked into in vain."""

    def __init__(self, cache: Cache) -> None:
        self.cache, self.missed = cache, 0
        self.sets: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(cache.sets)]

    def read(self, address: int, bytes: int) -> None:
        for line in range(address // self.cache.line, (address + bytes - 1) // self.cache.line + 1):
            held = self.sets[line % self.cache.sets]
            if line in held:
                held.move_to_end(line)
                continue
            self.missed += 1
            held[line] = None
            if len(held) > self.cache.ways:
                held.popitem(last=False)


def missed(cut: Tiling, right: int, level: Cache) -> float:
    """The part of a panel's lines that the third and fourth tile of rows miss in a cache, where
    B's rows are ``right`` numbers apart. What the tiles read of A passes by, once."""
    cache = Model(level)
    apart = (cut.width if cut.copies_b else right) * cut.size
    lines = 0
    for tile in range(4):
        before = cache.missed
        for k in range(cut.depth):
            cache.read(k * apart, cut.width * cut.size)
        lines += (cache.missed - before) if tile >= 2 else 0
        for k in range(cut.depth * cut.height * cut.size // level.line):  # of a tile of A
            cache.read(2**30 + (tile * cut.depth * cut.height * cut.size) + k * level.line, 1)
    each = max(1, cut.width * cut.size // level.line)
    return lines / (2 * cut.depth * each)


def as_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    first, second, bytes = PROCESSORS[name]
    monkeypatch.setattr(machine, "caches", lambda: (first, second))
    monkeypatch.setattr(machine, "vector_bytes", lambda: bytes)
    monkeypatch.setattr(machine, "vector_registers", lambda: 32 if bytes == 64 else 16)


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_panel_stays_in_the_second_cache_and_in_place_in_the_first(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_on(monkeypatch, name)
    first, second = machine.caches()
    in_place = 0
    for (m, n, k), type in (*product(SIZES, ("float",)), *product(SIZES[::4], ("double",))):
        cut = tiling_of((m, n, k), type, (k, 1), (n, 1))
        if cut.tiles < OFTEN:
            continue
        in_place += not cut.copies_b
        assert missed(cut, n, second if cut.copies_b else first) < 0.1, (m, n, k, type)
    assert in_place


def test_panels_that_would_not_stay_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    as_on(monkeypatch, "32 KB, 8 ways")
    cut = tiling_of((256, 512, 512), "float", (512, 1), (512, 1))
    assert cut.copies_b
    assert missed(cut, 512, machine.caches()[1]) < 0.1
    for level in machine.caches():
        assert missed(replace(cut, copies_b=False), 512, level) > 0.9


@pytest.mark.parametrize("name", PROCESSORS)
def test_no_variant_reads_in_place_what_would_not_stay(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is measured chooses among cuts that are all sound for a cache's sets and ways."""
    as_on(monkeypatch, name)
    first, _ = machine.caches()
    for (m, n, k), type, variant in product(SIZES[::3], ("float", "double"), VARIANTS[1:]):
        cut = tiling_of((m, n, k), type, (k, 1), (n, 1), variant=variant)
        if cut.tiles >= OFTEN and not cut.copies_b:
            assert missed(cut, n, first) < 0.1, (m, n, k, type, variant)
        assert cut.copies_b or not variant.copies or cut.tiles < OFTEN


@pytest.mark.parametrize("name", PROCESSORS)
def test_what_is_used_at_a_time_fits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of A and panels of B are as large as they may be, and half as much again where that
    leaves no rest; there is no memory for what is not needed."""
    as_on(monkeypatch, name)
    _, second = machine.caches()
    for (m, n, k), columns in product(SIZES, (False, True)):
        cut = tiling_of((m, n, k), "float", (1, m) if columns else (k, 1), (n, 1))
        panel, block = cut.depth * cut.width, cut.depth * cut.block * cut.height
        assert panel * cut.size <= 1.5 * PANEL * second.size or cut.depth <= 1.5 * DEPTH
        assert block * cut.size <= 1.6 * BLOCK * second.size
        assert cut.depth <= max(k, 1)
        assert cut.parts()[0] == 0 or cut.copies_a
        assert cut.parts()[2] == 0 or cut.depth < k
