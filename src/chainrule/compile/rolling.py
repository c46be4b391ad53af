"""Python's own loops, recorded turn by turn, as loops of the graph: where many turns are equal.

Turns are equal if they are the same operations with the same attributes, each reading the same
places of its own turn or of the turn before, the same value from outside, or the next entry of an
array from outside (``compile/turns.py``). They become one loop; what comes before and after stays.
It acts before a derivative is taken, so that the derivative is that of a loop, and once more when
all is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from chainrule.compile.turns import NODES, TURNS, Region, entries_read, found_in
from chainrule.core.node import INPUT, Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.core.types import array_type
from chainrule.ops.control import Loop, body_of
from chainrule.ops.structure import (
    apart,
    entries,
    is_write,
    many_entries,
    stacked,
    stacked_entries,
)

REGIONS = 16
"""So many loops are made of one graph, at most."""


class Roller:
    """Makes loops of what a recording holds. ``images``: of nodes, what stands for them now."""

    def __init__(self) -> None:
        self.images: dict[Node, Traced] = {}
        self.placed: dict[Node, tuple[Region, int, int]] = {}

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

    def _regions(self, order: Sequence[Node]) -> list[Region]:
        """Stretches of equal turns, in order. What reads one entry after another of an array may
        belong to the turns, or be what they read."""
        known = self.placed.keys() | self.images.keys()
        nodes = [n for n in order if not (n.primitive is INPUT or n.is_constant or n in known)]
        reads = entries_read(nodes)
        best = _stretches(nodes, {})
        if reads:
            apart = _stretches([n for n in nodes if n not in reads], reads)
            best = max(best, apart, key=lambda found: sum(r.turns * r.period for r in found))
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
        tables = [table for (table, *_), _, _ in read_on]
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
        rows = [
            many_entries(image(table), axis, rest, first, step, region.turns)
            for (table, axis, rest), first, step in read_on
        ]
        spread: dict[Any, list[Node]] = {}
        for at in varying:
            numbers, spread[at] = _without_spreading(at)
            whole = self._whole(at)
            rows.append(stacked([image(x) for x in numbers]) if whole is None else whole)
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
                parts, attrs = self._written(node) or (self._stacked(node), dict(node.attrs))
                missing = [x for x in parts if type(x) is Node and x in touched and x not in images]
                if missing:
                    stack += missing
                    continue
                inputs = [
                    x if type(x) is Traced else images[x] if x in touched else Traced(x, recording)
                    for x in parts
                ]
                images[node] = recording.emit(node.primitive, inputs, attrs)
        recording.copied = None

    def _result(self, node: Node) -> Traced:
        """What a loop has of one turn."""
        region, k, j = self.placed[node]
        if k == region.turns - 1 and j in region.last:
            return region.last[j]
        return entries(region.ys[j], k)

    def _whole(self, nodes: Sequence[Node]) -> Traced | None:
        """What a loop made of one operation in turns that follow one another, if that is it."""
        region, turn, j = self.placed.get(nodes[0], (None, 0, 0))
        follow = all(self.placed.get(x) == (region, turn + i, j) for i, x in enumerate(nodes))
        if region is None or not follow or j not in region.ys:
            return None
        return entries(region.ys[j], turn, turn + len(nodes))

    def _written(self, node: Node) -> tuple[list[Any], dict[str, Any]] | None:
        """The inputs and attributes of a node that writes into an array, what turns write one
        beside the other as one; None of other nodes."""
        if not is_write(node):
            return None
        base, *parts = node.inputs
        old = node.attrs["regions"]
        rows = [self.placed.get(x) for x in parts]
        found: list[Any] = [base]
        regions: list[Any] = []
        i = 0
        while i < len(parts):
            row, stop, step = rows[i], i + 1, None
            while row is not None and stop < len(parts):
                step = step or apart(old[i], old[i + 1])
                after = row[0], row[1] + stop - i, row[2]
                if not step or rows[stop] != after or apart(old[stop - 1], old[stop]) != step:
                    break
                stop += 1
            if row is None or step is None or stop - i < TURNS:
                stop = i + 1
                found.append(parts[i])
                regions.append(old[i])
            else:
                axis, by = step
                whole = (old[i][axis], stop - i, by)
                found.append(entries(row[0].ys[row[2]], row[1], row[1] + stop - i))
                regions.append((*old[i][:axis], whole, *old[i][axis + 1 :]))
            i = stop
        return found, {**node.attrs, "regions": tuple(regions)}

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
