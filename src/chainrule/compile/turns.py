"""Where a sequence of operations repeats: a period, and what each turn reads.

The period is that after which passages of operations return most often; then every input of every
turn is compared. All of it is linear in the number of operations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.core.node import Node
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType
from chainrule.ops.control.rule import moves
from chainrule.ops.structure import Pattern, Start, read_of

TURNS, NODES = 16, 256
"""A loop has so many turns, and so many operations in all of them, to be worth being one."""
WINDOWS = 5
"""Passages of 4, 16, 64, ... operations are looked for, of so many lengths."""
LIKELY = 3
"""Of each length, so many distances after which passages return most often are looked at."""
MOST = 0.9
"""A loop of so large a part of the operations is taken without looking for longer passages."""
FEW = 16
"""What differs from turn to turn and is no constant has so many numbers at most: it is copied."""

Source = tuple[str, Any, Any]
"""What an operation of a turn reads: ("same", place, None), ("before", place, what the first turn
reads instead), ("outside", node, None), ("entry", (array, pattern), None): a part of it, of the
same form, ("varies", type, None): another value from outside in each turn."""
Reads = Mapping[Node, tuple[tuple[Node, Pattern], Start]]
"""Of operations that read a part of an array: of which, what pattern of it, and where."""
MULTIPLES = 4
"""A turn is one of Python's, or so many, or as many as what it reads lies back."""


@dataclass(eq=False)
class Region:
    """Equal turns of a sequence of nodes: from ``start`` on, ``turns`` of ``period`` nodes."""

    sequence: Sequence[Node]
    start: int
    period: int
    turns: int
    sources: list[list[Source]]
    reads: Reads
    ys: dict[int, Traced] = field(default_factory=dict)
    last: dict[int, Traced] = field(default_factory=dict)

    def node(self, turn: int, place: int) -> Node:
        return self.sequence[self.start + turn * self.period + place]

    @property
    def saves(self) -> bool:
        """Whether something is carried on or computed, or nothing is copied to be read."""
        kinds = [(self.node(1, j), slot, kind) for j, row in enumerate(self.sources)
                 for slot, (kind, _, _) in enumerate(row)]  # fmt: skip
        if any(kind == "before" or not moves(n) for n, _, kind in kinds):
            return True
        return all(n.inputs[slot].is_constant for n, slot, kind in kinds if kind == "varies")

    def turn(self) -> list[list[Source]]:
        """The sources, with what all turns read in the place of what differs: ("entry", (array,
        pattern, places), None) and ("varies", nodes, None)."""
        rows = [list(row) for row in self.sources]
        for j, row in enumerate(rows):
            for slot, (kind, at, _) in enumerate(row):
                if kind not in ("varies", "entry"):
                    continue
                nodes = tuple([self.node(k, j).inputs[slot] for k in range(self.turns)])
                starts = tuple([self.reads[x][1] for x in nodes]) if kind == "entry" else ()
                row[slot] = kind, (*at, starts) if starts else nodes, None
        return rows

    def places(self) -> Iterator[tuple[Node, int, int]]:
        for k in range(self.turns):
            for j in range(self.period):
                yield self.node(k, j), k, j


def entries_read(nodes: Iterable[Node]) -> Reads:
    """The nodes that read a part of an array of which many such parts are read."""
    found: dict[Node, tuple[tuple[Node, Pattern], Start]] = {}
    for n in nodes:
        way = read_of(n)
        if way is not None:
            found[n] = (n.inputs[0], way[0]), way[1]
    counts = Counter(key for key, _ in found.values())
    return {n: way for n, way in found.items() if counts[way[0]] >= TURNS}


def found_in(sequence: Sequence[Node], reads: Reads) -> Region | None:
    """The longest stretch of equal turns, if it is worth a loop."""
    numbers: dict[Any, int] = {}
    kinds = [
        numbers.setdefault(
            (n.primitive, n.type, len(n.inputs), tuple(n.attrs.items())), len(numbers)
        )
        for n in sequence
    ]
    at = {node: i for i, node in enumerate(sequence)}
    runs: list[tuple[int, int, int]] = []
    for periods in _periods(kinds):
        runs += [_run(kinds, period) for period in periods]
        found = _longest(sequence, at, reads, runs, MOST * len(sequence))
        if found is not None:  # others would be parts of it
            return found
    return _longest(sequence, at, reads, runs, 0)


def _longest(
    sequence: Sequence[Node],
    at: Mapping[Node, int],
    reads: Reads,
    runs: Iterable[tuple[int, int, int]],
    least: float,
) -> Region | None:
    """The turns in the longest of the stretches of at least so many nodes that has some."""
    several = [
        (n, start, m * period)
        for n, start, period in runs
        if n >= max(NODES, TURNS * period, least)
        for m in {*range(1, MULTIPLES + 1), _furthest(sequence, at, start, period, n // period)}
    ]
    worth = [run for run in several if run[0] >= TURNS * run[2]]
    for length, start, period in sorted(worth, key=lambda run: (-run[0], run[2])):
        turns = length // period
        while turns >= TURNS:
            found = _equal(sequence, at, reads, start, period, turns)
            if found is None:
                break
            equal, sources = found
            if sources and equal >= TURNS and equal * period >= NODES:
                region = Region(sequence, start, period, equal, sources, reads)
                if region.saves:
                    return region
            start, turns = start + equal * period, turns - equal
    return None


def _periods(kinds: Sequence[int]) -> Iterator[list[int]]:
    """After how many nodes passages return, likely ones first; those of short passages first."""
    seen: set[int] = {0}
    codes, width = kinds, 1
    for _ in range(WINDOWS):
        if 8 * width > len(kinds):
            break
        # a passage four times as long is four of these: equal ones get equal numbers
        numbers: dict[tuple[int, ...], int] = {}
        passages = zip(*[codes[k * width :] for k in range(4)], strict=False)
        codes = [numbers.setdefault(passage, len(numbers)) for passage in passages]
        width *= 4
        last = dict.fromkeys(range(len(numbers)), -1)
        back = []
        for i, code in enumerate(codes):
            back.append(i - last[code] if last[code] >= 0 else 0)
            last[code] = i
        likely = [d for d, _ in Counter(back).most_common(LIKELY + 1) if d not in seen]
        seen.update(likely)
        yield likely


def _run(kinds: Sequence[int], period: int) -> tuple[int, int, int]:
    """The longest stretch that repeats after a period: length, start and the period."""
    best = start = at = 0
    for i, (a, b) in enumerate(zip(kinds, kinds[period:], strict=False)):
        if a != b:
            at = i + 1
        elif i + 1 - at > best:
            best, start = i + 1 - at, at
    return best + period, start, period


def _furthest(
    sequence: Sequence[Node], at: Mapping[Node, int], start: int, period: int, turns: int
) -> int:
    """How many turns back the one in the middle reads, but for what the one before it reads, too:
    so many together read no further than the turn before."""
    base = start + turns // 2 * period
    furthest = 1
    for j in range(period):
        previous = sequence[base - period + j].inputs
        for x, old in zip(sequence[base + j].inputs, previous, strict=True):
            if x is not old and at.get(x, -1) >= start:
                furthest = max(furthest, turns // 2 - (at[x] - start) // period)
    return furthest


def _equal(
    sequence: Sequence[Node],
    at: Mapping[Node, int],
    reads: Reads,
    start: int,
    period: int,
    turns: int,
) -> tuple[int, list[list[Source]]] | None:
    """How many turns from ``start`` on read alike, and what: as the second turn does. The first
    one may read something else where the others read the turn before."""
    template: list[list[Source]] = []
    first = sequence[start].serial
    for j in range(period):
        row: list[Source] = []
        i = start + period + j
        for slot, x in enumerate(sequence[i].inputs):
            initial = sequence[start + j].inputs[slot]
            source = _source(x, initial, at, reads, start, j, period)
            if source is None:
                if not all(_may_vary(node, x.type, first) for node in (x, initial)):
                    return 1, []
                source = "varies", x.type, None
            row.append(source)
        template.append(row)
    for k in range(2, turns):
        base = start + k * period
        for j, row in enumerate(template):
            for slot, x in enumerate(sequence[base + j].inputs):
                kind, place, _ = row[slot]
                if kind == "outside":
                    differs = x is not place
                    key = reads[x][0] if x in reads else None
                    if differs and key and place in reads and reads[place][0] == key:
                        row[slot], differs = ("entry", key, None), False
                    elif differs and _may_vary(x, place.type, first):
                        row[slot], differs = ("varies", place.type, None), False
                elif kind == "varies":
                    differs = not _may_vary(x, place, first)
                elif kind == "entry":
                    differs = x not in reads or reads[x][0] != place
                else:
                    differs = at.get(x) != base + place - (period if kind == "before" else 0)
                if differs:
                    return k, template
    return turns, template


def _may_vary(x: Node, type: ArrayType, first: int) -> bool:
    """Whether a turn may read ``x`` where others read something else of this type: a constant, or a
    few numbers that were there before the first turn."""
    return x.type == type and (x.is_constant or (x.serial < first and x.type.size <= FEW))


def _source(
    x: Node, initial: Node, at: Mapping[Node, int], reads: Reads, start: int, j: int, period: int
) -> Source | None:
    """What operation ``j`` of the second turn reads as ``x``, and that of the first as ``initial``;
    None where they differ."""
    i = start + period + j
    if x not in at or at[x] < start:
        if x is initial:
            return "outside", x, None
        key = reads[x][0] if x in reads else None
        alike = key is not None and initial in reads and reads[initial][0] == key
        return ("entry", key, None) if alike else None
    back = i - at[x]
    if back <= j:
        return ("same", j - back, None) if at.get(initial) == i - back - period else None
    if back <= j + period:
        fits = at.get(initial, -1) < start and initial.type == x.type
        return ("before", j - back + period, initial) if fits else None
    return None
