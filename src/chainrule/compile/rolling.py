"""Python's own loops, recorded turn by turn, as loops of the graph: where many turns are equal.

Turns are equal if they are the same operations with the same attributes, each reading the same
places of its own turn or of the turn before, or the same value from outside. They become one loop;
what comes before and after stays. It acts before a derivative is taken, so that the derivative is
that of a loop, and once more when all is recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from chainrule.core.node import INPUT, Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.ops.control import Loop, body_of
from chainrule.ops.structure import entries, stacked_entries

TURNS, NODES = 16, 256
"""A loop has so many turns, and so many operations in all of them, to be worth being one."""
WINDOWS = (4, 16, 64, 256, 1024)
"""Lengths of the passages whose return tells the period."""
LIKELY = 3
"""Of each length, so many distances after which passages return most often are looked at."""
REGIONS = 16
"""So many loops are made of one graph, at most."""

Source = tuple[str, Any, Any]
"""What an operation of a turn reads: ("same", place, None), ("before", place, what the first turn
reads instead), ("outside", node, None)."""


@dataclass(eq=False)
class _Region:
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


class Roller:
    """Makes loops of what a recording holds. ``images``: of nodes, what stands for them now."""

    def __init__(self) -> None:
        self.images: dict[Node, Traced] = {}
        self.placed: dict[Node, tuple[_Region, int, int]] = {}

    def __call__(self, outputs: Sequence[Traced], starts: Sequence[Traced] = ()) -> list[Traced]:
        """The outputs, computed with loops. ``starts``: where to stop looking."""
        if not outputs:
            return []
        recording = outputs[0].recording
        nodes = [y.node for y in outputs]
        order = self._order(nodes, {x.node for x in starts})
        with recording.copying():
            regions = self._regions(order) if len(order) >= NODES else []
            for region in regions:
                self.placed |= {node: (region, k, j) for node, k, j in region.places()}
            for region, read in self._read(order, nodes).items():
                self._record(region, read, order, recording)
            self._replace(nodes, order, recording)
        found = [self.images.get(node) for node in nodes]
        return [
            y if image is None else Traced(image.node, recording, y.weak, y.is_array)
            for y, image in zip(outputs, found, strict=True)
        ]

    def _order(self, outputs: Iterable[Node], starts: set[Node]) -> list[Node]:
        """What the outputs depend on, in order, down to ``starts`` and to what is replaced."""
        floor = min((x.serial for x in starts), default=0)
        found: set[Node] = set()
        stack = list(outputs)
        while stack:
            node = stack.pop()
            if node in found or node in starts or node.serial < floor:
                continue
            found.add(node)
            if node not in self.images and node not in self.placed:
                stack.extend(node.inputs)
        return sorted(found, key=attrgetter("serial"))

    def _regions(self, order: Sequence[Node]) -> list[_Region]:
        """Stretches of equal turns, in order."""
        known = self.placed.keys() | self.images.keys()
        waiting = [[n for n in order if not (n.primitive is INPUT or n.is_constant or n in known)]]
        found: list[_Region] = []
        while waiting and len(found) < REGIONS:
            sequence = waiting.pop()
            region = _region(sequence) if len(sequence) >= NODES else None
            if region is not None:
                found.append(region)
                end = region.start + region.turns * region.period
                waiting += [sequence[: region.start], sequence[end:]]
        return sorted(found, key=lambda region: region.node(0, 0).serial)

    def _read(
        self, order: Sequence[Node], outputs: Sequence[Node]
    ) -> dict[_Region, set[tuple[int, int]]]:
        """Of which loops what is read after them that they do not return yet, in order."""
        placed = self.placed
        if not placed:
            return {}
        read = {placed[y] for y in outputs if y in placed}
        for node in order:
            mine = placed.get(node, (None,))[0]
            read |= {placed[x] for x in node.inputs if x in placed and placed[x][0] is not mine}
        missing: dict[_Region, set[tuple[int, int]]] = {}
        for region, k, j in read:
            at_end = k == region.turns - 1 and j in region.last
            if not at_end and j not in region.ys:
                missing.setdefault(region, set()).add((k, j))
        return dict(sorted(missing.items(), key=lambda item: item[0].node(0, 0).serial))

    # recording a loop ---------------------------------------------------------------------

    def _record(
        self,
        region: _Region,
        read: set[tuple[int, int]],
        order: Sequence[Node],
        recording: Recording,
    ) -> None:
        sources = [source for row in region.sources for source in row]
        outside = [at for kind, at, _ in sources if kind == "outside"]
        starts = dict.fromkeys((at, start) for kind, at, start in sources if kind == "before")
        before = [x for x in order if x.serial < region.node(0, 0).serial]
        self._replace([*outside, *[x for _, x in starts]], before, recording)
        finals = sorted({j for k, j in read if k == region.turns - 1})
        every = sorted({j for k, j in read if k < region.turns - 1})

        def image(node: Node) -> Traced:
            found = self.images.get(node)
            return Traced(node, recording) if found is None else found

        carry = {key: recording.input(key[1].type) for key in starts}
        new: list[Traced] = []
        for j, row in enumerate(region.sources):
            inputs = []
            for kind, at, start in row:
                if kind == "outside":
                    inputs.append(image(at))
                else:
                    inputs.append(new[at] if kind == "same" else carry[at, start])
            template = recording.copied = region.node(1, j)
            new.append(recording.emit(template.primitive, inputs, dict(template.attrs)))
        recording.copied = None
        alone = [j for j in finals if j not in {place for place, _ in starts}]
        spare = [recording.input(new[j].type) for j in alone]  # what nobody reads but the last one
        outputs = [*[new[place] for place, _ in starts], *[new[j] for j in [*alone, *every]]]
        body = body_of(recording, [*carry.values(), *spare], outputs, "turn")
        start = [image(x) for _, x in starts] + [recording.zeros(x.type) for x in spare]
        made = Loop(body.graph, body.consts, start, [], region.turns).emit(recording)
        (loop,) = made[0].node.inputs
        lines = [recording.places.get(region.node(1, j), ()) for j in range(len(region.sources))]
        recording.places[loop] = list(dict.fromkeys(place for row in lines for place in row))
        places = [*[place for place, _ in starts], *alone]
        region.last |= zip(places, made, strict=False)
        region.ys |= zip(every, made[len(places) :], strict=True)

    # putting loops in the place of turns ----------------------------------------------------

    def _replace(self, wanted: Sequence[Node], order: Sequence[Node], recording: Recording) -> None:
        """Find the images of ``wanted``: record again what depends on replaced nodes."""
        images, placed = self.images, self.placed
        touched: set[Node] = set()
        for node in order:
            if node in images or node in placed or not touched.isdisjoint(node.inputs):
                touched.add(node)
        stack = [node for node in wanted if node in touched]
        while stack:
            node = stack[-1]
            if node in images:
                stack.pop()
                continue
            recording.copied = node
            if node in placed:
                images[node] = self._result(node)
            else:
                parts = self._stacked(node)
                missing = [x for x in parts if type(x) is Node and x in touched and x not in images]
                if missing:
                    stack += missing
                    continue
                inputs = [
                    x if type(x) is Traced else images[x] if x in touched else Traced(x, recording)
                    for x in parts
                ]
                images[node] = recording.emit(node.primitive, inputs, dict(node.attrs))
        recording.copied = None

    def _result(self, node: Node) -> Traced:
        """What a loop has of one turn."""
        region, k, j = self.placed[node]
        if k == region.turns - 1 and j in region.last:
            return region.last[j]
        return entries(region.ys[j], k)

    def _stacked(self, node: Node) -> list[Any]:
        """The inputs of a node; where it stacks the same of many turns, all of them as one."""
        parts: list[Any] = list(node.inputs)
        rows = [self.placed.get(x) for x in stacked_entries(node)]
        if len(rows) < TURNS:
            return parts
        first = best = start = 0
        for i, row in enumerate(rows):
            follows = row is not None and i > first and rows[i - 1] == (row[0], row[1] - 1, row[2])
            if not follows:
                first = i
            if row is not None and i + 1 - first > best:
                best, start = i + 1 - first, first
        if best < TURNS or rows[start] is None:
            return parts
        region, turn, j = rows[start]  # type: ignore[misc]
        return [*parts[:start], entries(region.ys[j], turn, turn + best), *parts[start + best :]]


# finding equal turns ------------------------------------------------------------------------


def _region(sequence: Sequence[Node]) -> _Region | None:
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
            found = _equal(sequence, at, start, period, turns)
            if found is None:
                break
            equal, sources = found
            if sources and equal >= TURNS and equal * period >= NODES:
                return _Region(sequence, start, period, equal, sources)
            start, turns = start + equal * period, turns - equal
    return None


def _periods(kinds: Sequence[int]) -> list[int]:
    """After how many nodes passages return, likely ones first."""
    found: dict[int, None] = {}
    for window in WINDOWS:
        if 2 * window > len(kinds):
            break
        last: dict[int, int] = {}
        distances: Counter[int] = Counter()
        code, top = 0, pow(31, window, _PRIME)
        for i, kind in enumerate(kinds):
            code = (code * 31 + kind + 1) % _PRIME
            if i >= window:
                code = (code - (kinds[i - window] + 1) * top) % _PRIME
            if i >= window - 1:
                before = last.get(code)
                if before is not None:
                    distances[i - before] += 1
                last[code] = i
        found |= dict.fromkeys(d for d, _ in distances.most_common(LIKELY))
    return list(found)


_PRIME = (1 << 61) - 1


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
    sequence: Sequence[Node], at: dict[Node, int], start: int, period: int, turns: int
) -> tuple[int, list[list[Source]]] | None:
    """How many turns from ``start`` on read alike, and what: as the second turn does. The first
    one may read something else where the others read the turn before."""
    template: list[list[Source]] = []
    for j in range(period):
        row: list[Source] = []
        i = start + period + j
        for slot, x in enumerate(sequence[i].inputs):
            back = i - at.get(x, -1)
            initial = sequence[start + j].inputs[slot]
            if x not in at or at[x] < start:
                row.append(("outside", x, None))
                if initial is not x:
                    return 1, []
            elif back <= j:
                row.append(("same", j - back, None))
                if at.get(initial) != i - back - period:
                    return 1, []
            elif back <= j + period:
                row.append(("before", j - back + period, initial))
                if at.get(initial, -1) >= start or initial.type != x.type:
                    return 1, []
            else:
                return 1, []
        template.append(row)
    for k in range(2, turns):
        base = start + k * period
        for j, row in enumerate(template):
            for (kind, place, _), x in zip(row, sequence[base + j].inputs, strict=True):
                if kind == "outside":
                    differs = x is not place
                else:
                    differs = at.get(x) != base + place - (period if kind == "before" else 0)
                if differs:
                    return k, template
    return turns, template
