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
from chainrule.ops.structure import reads_of_entries

TURNS, NODES = 16, 256
"""A loop has so many turns, and so many operations in all of them, to be worth being one."""
WINDOWS = 5
"""Passages of 4, 16, 64, ... operations are looked for, of so many lengths."""
LIKELY = 3
"""Of each length, so many distances after which passages return most often are looked at."""

Source = tuple[str, Any, Any]
"""What an operation of a turn reads: ("same", place, None), ("before", place, what the first turn
reads instead), ("outside", node, None), ("entry", (what is read, first entry, step), None)."""
Reads = Mapping[Node, tuple[Any, int]]
"""Of operations that read an entry of an array: of what, along which axis, and which entry."""


@dataclass(eq=False)
class Region:
    """Equal turns of a sequence of nodes: from ``start`` on, ``turns`` of ``period`` nodes."""

    sequence: Sequence[Node]
    start: int
    period: int
    turns: int
    sources: list[list[Source]]
    ys: dict[int, Traced] = field(default_factory=dict)
    last: dict[int, Traced] = field(default_factory=dict)

    def node(self, turn: int, place: int) -> Node:
        return self.sequence[self.start + turn * self.period + place]

    def places(self) -> Iterator[tuple[Node, int, int]]:
        for k in range(self.turns):
            for j in range(self.period):
                yield self.node(k, j), k, j


def entries_read(nodes: Iterable[Node]) -> Reads:
    """The nodes that read an entry of an array of which many are read."""
    ways = {n: row for n in nodes if (row := reads_of_entries(n))}
    counts = Counter((n.inputs[0], axis, rest) for n, row in ways.items() for axis, _, rest in row)
    found = {}
    for n, row in ways.items():
        key, at = max(
            [((n.inputs[0], axis, rest), at) for axis, at, rest in row],
            key=lambda one: counts[one[0]],
        )
        if counts[key] >= TURNS:
            found[n] = key, at
    return found


def found_in(sequence: Sequence[Node], reads: Reads) -> Region | None:
    """The longest stretch of equal turns, if it is worth a loop."""
    numbers: dict[Any, int] = {}
    kinds = [
        numbers.setdefault(
            (n.primitive, n.type, len(n.inputs), tuple(n.attrs.items())), len(numbers)
        )
        for n in sequence
    ]
    runs = [(*_run(kinds, period), period) for period in _periods(kinds)]
    runs = [run for run in runs if run[0] + run[2] >= max(NODES, TURNS * run[2])]
    at = {node: i for i, node in enumerate(sequence)}
    for length, start, period in sorted(runs, key=lambda run: (-run[0] - run[2], run[2])):
        turns = (length + period) // period
        while turns >= TURNS:
            found = _equal(sequence, at, reads, start, period, turns)
            if found is None:
                break
            equal, sources = found
            if sources and equal >= TURNS and equal * period >= NODES:
                return Region(sequence, start, period, equal, sources)
            start, turns = start + equal * period, turns - equal
    return None


def _periods(kinds: Sequence[int]) -> list[int]:
    """After how many nodes passages return, likely ones first."""
    found: dict[int, None] = {}
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
        distances: Counter[int] = Counter()
        back = []
        for i, code in enumerate(codes):
            back.append(i - last[code] if last[code] >= 0 else 0)
            last[code] = i
        distances.update(back)
        del distances[0]
        found |= dict.fromkeys(d for d, _ in distances.most_common(LIKELY))
    return list(found)


def _run(kinds: Sequence[int], period: int) -> tuple[int, int]:
    """The longest stretch in which each node is like the one a period later: length and start."""
    best = start = at = 0
    for i, (a, b) in enumerate(zip(kinds, kinds[period:], strict=False)):
        if a != b:
            at = i + 1
        elif i + 1 - at > best:
            best, start = i + 1 - at, at
    return best, start


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
    for j in range(period):
        row: list[Source] = []
        i = start + period + j
        for slot, x in enumerate(sequence[i].inputs):
            initial = sequence[start + j].inputs[slot]
            source = _source(x, initial, at, reads, start, j, period)
            if source is None:
                return 1, []
            row.append(source)
        template.append(row)
    for k in range(2, turns):
        base = start + k * period
        for j, row in enumerate(template):
            for (kind, place, _), x in zip(row, sequence[base + j].inputs, strict=True):
                if kind == "outside":
                    differs = x is not place
                elif kind == "entry":
                    whole, first, step = place
                    differs = reads.get(x) != (whole, first + k * step)
                else:
                    differs = at.get(x) != base + place - (period if kind == "before" else 0)
                if differs:
                    return k, template
    return turns, template


def _source(
    x: Node, initial: Node, at: Mapping[Node, int], reads: Reads, start: int, j: int, period: int
) -> Source | None:
    """What operation ``j`` of the second turn reads as ``x``, and that of the first as ``initial``;
    None where they differ."""
    i = start + period + j
    if x not in at or at[x] < start:
        if x is initial:
            return "outside", x, None
        (whole, second), (other, first) = reads.get(x, (None, 0)), reads.get(initial, (None, 0))
        if whole is None or whole != other:
            return None
        return "entry", (whole, first, second - first), None
    back = i - at[x]
    if back <= j:
        return ("same", j - back, None) if at.get(initial) == i - back - period else None
    if back <= j + period:
        fits = at.get(initial, -1) < start and initial.type == x.type
        return ("before", j - back + period, initial) if fits else None
    return None
