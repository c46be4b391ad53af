"""Python's own loops, recorded turn by turn, as loops of the graph: where many turns are equal.

Turns are equal if they are the same operations with the same attributes, each reading the same
places of its own turn or of the turn before, the same value from outside, or the next entry of an
array from outside (``compile/turns.py``). They become one loop; what comes before and after stays.
It acts before a derivative is taken, so that the derivative is that of a loop, and once more when
all is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from chainrule.compile.turns import MOST, NODES, TURNS, Region, entries_read, found_in
from chainrule.core.node import INPUT, Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.core.types import array_type
from chainrule.ops.control import Loop, body_of
from chainrule.ops.structure import (
    Writes,
    entries,
    entry,
    read_many,
    read_of,
    split,
    stacked,
    write_many,
    writes_of,
)

REGIONS = 16
"""So many loops are made of one graph, at most."""


class Roller:
    """Makes loops of what a recording holds. ``images``: of nodes, what stands for them now."""

    def __init__(self) -> None:
        self.images: dict[Node, Traced] = {}
        self.placed: dict[Node, tuple[Region, int, int]] = {}
        self.merged: dict[Node, _Merged | None] = {}

    def __call__(self, outputs: Sequence[Traced], starts: Sequence[Traced] = ()) -> list[Traced]:
        """The outputs, computed with loops. ``starts``: where to stop looking."""
        if not outputs:
            return []
        recording, self.merged = outputs[0].recording, {}
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

    def _regions(self, order: Sequence[Node]) -> list[Region]:
        """Stretches of equal turns, in order. What reads one entry after another of an array may
        belong to the turns, or be what they read."""
        known = self.placed.keys() | self.images.keys()
        nodes = [n for n in order if not (n.primitive is INPUT or n.is_constant or n in known)]
        reads = entries_read(nodes)
        rest = [n for n in nodes if n not in reads]
        best = _stretches(rest, reads)
        if reads and _covered(best) < MOST * len(rest):
            best = max(_stretches(nodes, {}), best, key=_covered)
        return sorted(best, key=lambda region: region.node(0, 0).serial)

    def _read(
        self, order: Sequence[Node], outputs: Sequence[Node]
    ) -> dict[Region, set[tuple[int, int]]]:
        """Of which loops what is read after them that they do not return yet, in order."""
        placed = self.placed
        if not placed:
            return {}
        read = {placed[y] for y in outputs if y in placed}
        for node in order:
            mine = placed.get(node, (None,))[0]
            read |= {placed[x] for x in node.inputs if x in placed and placed[x][0] is not mine}
        missing: dict[Region, set[tuple[int, int]]] = {}
        for region, k, j in read:
            at_end = k == region.turns - 1 and j in region.last
            if not at_end and j not in region.ys:
                missing.setdefault(region, set()).add((k, j))
        return dict(sorted(missing.items(), key=lambda item: item[0].node(0, 0).serial))

    # recording a loop ---------------------------------------------------------------------

    def _record(
        self,
        region: Region,
        read: set[tuple[int, int]],
        order: Sequence[Node],
        recording: Recording,
    ) -> None:
        turn = region.turn()
        sources = [source for row in turn for source in row]
        outside = [at for kind, at, _ in sources if kind == "outside"]
        starts = dict.fromkeys((at, start) for kind, at, start in sources if kind == "before")
        read_on = dict.fromkeys(at for kind, at, _ in sources if kind == "entry")
        tables = [table for table, _, _ in read_on]
        varying = dict.fromkeys(at for kind, at, _ in sources if kind == "varies")
        before = [x for x in order if x.serial < region.node(0, 0).serial]
        apart = [x for at in varying if self._whole(at) is None for x in at]
        wanted = [*outside, *tables, *apart, *[x for _, x in starts]]
        self._replace(wanted, before, recording)
        finals = sorted({j for k, j in read if k == region.turns - 1})
        every = sorted({j for k, j in read if k < region.turns - 1})

        def image(node: Node) -> Traced:
            found = self.images.get(node)
            return Traced(node, recording) if found is None else found

        carry = {key: recording.input(key[1].type) for key in starts}
        rows = [read_many(image(table), pattern, starts) for table, pattern, starts in read_on]
        spread: dict[Any, list[Node]] = {}
        for at in varying:
            numbers, spread[at] = _without_spreading(at)
            whole = self._whole(at)
            if whole is None:
                distinct = {x: k for k, x in enumerate(dict.fromkeys(numbers))}
                whole = stacked([image(x) for x in distinct])
                if len(distinct) < len(numbers):
                    whole = entries(whole, [distinct[x] for x in numbers])
            rows.append(whole)
        given = [recording.input(array_type(row.shape[1:], row.dtype)) for row in rows]
        taken = dict(zip([*read_on, *varying], given, strict=True))
        for at in varying:
            for node in reversed(spread[at]):
                taken[at] = recording.emit(node.primitive, [taken[at]], dict(node.attrs))
        new: list[Traced] = []
        for j, row in enumerate(turn):
            inputs = []
            for kind, at, start in row:
                if kind == "outside":
                    inputs.append(image(at))
                else:
                    inputs.append(
                        new[at]
                        if kind == "same"
                        else taken[at]
                        if kind in ("entry", "varies")
                        else carry[at, start]
                    )
            template = recording.copied = region.node(1, j)
            new.append(recording.emit(template.primitive, inputs, dict(template.attrs)))
        recording.copied = None
        alone = [j for j in finals if j not in {place for place, _ in starts}]
        spare = [recording.input(new[j].type) for j in alone]  # what nobody reads but the last one
        outputs = [*[new[place] for place, _ in starts], *[new[j] for j in [*alone, *every]]]
        body = body_of(recording, [*carry.values(), *spare, *given], outputs, "turn")
        start = [image(x) for _, x in starts] + [recording.zeros(x.type) for x in spare]
        made = Loop(body.graph, body.consts, start, rows, region.turns).emit(recording)
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
            if len(node.inputs) >= TURNS and node not in self.merged:
                self.merged[node] = _merged(node, placed)
            known = node in images or node in placed or self.merged.get(node)
            if known or not touched.isdisjoint(node.inputs):
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
                merged = self.merged.get(node)
                inputs = node.inputs if merged is None else merged.inputs
                missing = [x for x in inputs if x in touched and x not in images]
                if missing:
                    stack += missing
                    continue
                made = [images[x] if x in touched else Traced(x, recording) for x in inputs]
                if merged is None:
                    images[node] = recording.emit(node.primitive, made, dict(node.attrs))
                else:
                    images[node] = merged.written(made, recording.zeros(node.type))
        recording.copied = None

    def _result(self, node: Node) -> Traced:
        """What a loop has of one turn."""
        region, k, j = self.placed[node]
        if k == region.turns - 1 and j in region.last:
            return region.last[j]
        return entry(region.ys[j], k)

    def _whole(self, nodes: Sequence[Node]) -> Traced | None:
        """Nodes along a first axis, if they are what one operation of a loop made in its turns."""
        found = [self.placed.get(x, (None, 0, 0)) for x in nodes]
        region, _, j = found[0]
        if region is None or j not in region.ys or {(r, i) for r, _, i in found} != {(region, j)}:
            return None
        return entries(region.ys[j], [k for _, k, _ in found])


@dataclass(frozen=True, eq=False)
class _Merged:
    """A node that writes or joins many parts, those of one kind as one: what turns of a loop make
    by one operation, parts of an array that are read by one pattern, and constants.

    ``groups``: which parts, and what they are of: the loop and the place in its turns, the array,
    or None. ``singles``: the other parts.
    """

    writes: Writes
    groups: list[tuple[list[int], Any]]
    singles: list[int]

    @property
    def inputs(self) -> list[Node]:
        """What is read: the base, if there is one, single parts and arrays."""
        base = [] if self.writes.base is None else [self.writes.base]
        singles = [self.writes.parts[i] for i in self.singles]
        return [*base, *singles, *[of for _, of in self.groups if isinstance(of, Node)]]

    def written(self, inputs: Sequence[Traced], zeros: Traced) -> Traced:
        """The node anew, from what ``inputs`` are now."""
        given = iter(inputs)
        base = zeros if self.writes.base is None else next(given)
        singles = {i: next(given) for i in self.singles}
        parts, groups = self.writes.parts, []
        for rows, of in self.groups:
            if of is None:
                values = stacked([Traced(parts[i], base.recording) for i in rows])
            elif isinstance(of, Node):
                ways = [split(parts[i].attrs["region"]) for i in rows]
                values = read_many(next(given), ways[0][0], [start for _, start in ways])
            else:
                (region, j), turns = of
                values = entries(region.ys[j], turns)
            groups.append((rows, values))
        return write_many(base, singles, groups, self.writes.regions)


def _merged(node: Node, placed: Mapping[Node, tuple[Region, int, int]]) -> _Merged | None:
    """``node`` with parts of one kind as one, if it writes or joins many such parts."""
    writes = writes_of(node)
    if writes is None:
        return None
    kinds: dict[Any, list[int]] = {}
    for i, (x, region) in enumerate(zip(writes.parts, writes.regions, strict=True)):
        read = read_of(x)
        if x in placed:
            loop, _, j = placed[x]
            kind: Any = (loop, j), None
        elif x.is_constant:
            kind = None, x.type
        elif read is not None:
            kind = x.inputs[0], read[0]
        else:
            continue
        kinds.setdefault((*kind, split(region)[0]), []).append(i)
    groups = []
    for (of, *_), rows in kinds.items():
        if len(rows) >= TURNS:
            turns = [placed[writes.parts[i]][1] for i in rows] if isinstance(of, tuple) else None
            groups.append((rows, of if turns is None else (of, turns)))
    grouped = {i for rows, _ in groups for i in rows}
    singles = [i for i in range(len(writes.parts)) if i not in grouped]
    return _Merged(writes, groups, singles) if groups else None


def _without_spreading(nodes: Sequence[Node]) -> tuple[Sequence[Node], list[Node]]:
    """Of constants that are seen through the same broadcast or the like, the constants, and what is
    done to each of them, last first."""
    alike = list[Node]()
    while all(n.is_constant and len(n.inputs) == 1 for n in nodes):
        if len({(n.primitive, tuple(n.attrs.items())) for n in nodes}) > 1:
            break
        alike.append(nodes[0])
        nodes = [n.inputs[0] for n in nodes]
    return nodes, alike


def _covered(found: Iterable[Region]) -> int:
    """How many nodes are in these loops."""
    return sum(region.turns * region.period for region in found)


def _stretches(nodes: Sequence[Node], reads: Any) -> list[Region]:
    waiting, found = [nodes], list[Region]()
    while waiting and len(found) < REGIONS:
        sequence = waiting.pop()
        region = found_in(sequence, reads) if len(sequence) >= NODES else None
        if region is not None:
            found.append(region)
            end = region.start + region.turns * region.period
            waiting += [sequence[: region.start], sequence[end:]]
    return found
