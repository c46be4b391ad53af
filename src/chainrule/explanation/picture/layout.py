"""Layered layout of a circuit, left to right: every label has a place of its own.

Blocks stand in even columns and the labels of wires in odd ones, as boxes among the others, and
a wire is a horizontal line wherever it passes a column. So no text can meet another text or a
wire that is not its own, whatever the graph. Widths and heights are in pixels.

``assets/layout.js`` is this file in JavaScript, which the page needs to fold and open modules; a
test holds both to the same coordinates, so change them together.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 16.0
COLUMN_GAP = 18.0
ROW_GAP = 12.0
SWEEPS = 10
SETTLES = 11
PORT = 10.0
LIGHT = 0.002


@dataclass(frozen=True, slots=True)
class Block:
    """What is to be placed: the room it takes, and the width of the part that wires touch."""

    width: float
    height: float
    touch: float


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection between two blocks, by index, and the room that its label takes."""

    source: int
    target: int
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one wire: ``points`` are (x, y) pairs, the stretches between them horizontal
    inside columns and curved between columns; ``label`` is the middle of its label."""

    points: tuple[tuple[float, float], ...]
    label: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    width: float
    height: float
    centers: tuple[tuple[float, float], ...]
    routes: tuple[Route, ...]


class _Items:
    """Blocks first, then for each wire the places where it passes a column."""

    def __init__(self, blocks: Sequence[Block], wires: Sequence[Wire]) -> None:
        self.count = len(blocks)
        rank = _ranks(self.count, wires)
        fed = {wire.target for wire in wires}
        # Inputs give way: the chain of operations runs straight, what feeds it stands beside it.
        self.pull = [1.0 if i in fed else LIGHT for i in range(self.count)]
        self.column = [2 * r for r in rank]
        self.width = [b.width for b in blocks]
        self.height = [b.height for b in blocks]
        self.left: list[list[int]] = [[] for _ in blocks]
        self.right: list[list[int]] = [[] for _ in blocks]
        self.paths: list[list[int]] = []
        for wire in wires:
            first, last = self.column[wire.source] + 1, self.column[wire.target] - 1
            path = [wire.source]
            for column in range(first, last + 1):
                labelled = column == last
                path.append(len(self.column))
                self.column.append(column)
                self.width.append(wire.width if labelled else 0.0)
                self.height.append(wire.height if labelled else 6.0)
                self.pull.append(2.0 if wire.source in fed else LIGHT)
                self.left.append([])
                self.right.append([])
            path.append(wire.target)
            for a, b in itertools.pairwise(path):
                self.right[a].append(b)
                self.left[b].append(a)
            self.paths.append(path)
        self.columns = max(self.column, default=-1) + 1


def _ranks(count: int, wires: Sequence[Wire]) -> list[int]:
    """Longest path from the sources; sources move next to what they feed.

    Blocks are numbered in topological order, so one pass over the wires by target is enough.
    """
    rank = [0] * count
    for wire in sorted(wires, key=lambda w: w.target):
        rank[wire.target] = max(rank[wire.target], rank[wire.source] + 1)
    fed = {wire.target for wire in wires}
    nearest: dict[int, int] = {}
    for wire in wires:
        if wire.source not in fed:
            near = nearest.get(wire.source, rank[wire.target])
            nearest[wire.source] = min(near, rank[wire.target])
    for source, near in nearest.items():
        rank[source] = near - 1
    return rank


# Order within the columns ---------------------------------------------------------------------


def _first_order(items: _Items) -> list[list[int]]:
    """Depth first from the ends, arguments from the top: a tree comes out without crossings."""
    order: list[list[int]] = [[] for _ in range(items.columns)]
    seen = [False] * len(items.column)
    for start in range(items.count - 1, -1, -1):
        stack = [start]
        while stack:
            item = stack.pop()
            if seen[item]:
                continue
            seen[item] = True
            order[items.column[item]].append(item)
            stack.extend(reversed(items.left[item]))
    return order


def _crossings(order: list[list[int]], items: _Items) -> int:
    total = 0
    place = _places(order, items)
    for column in order[:-1]:
        ends: list[int] = []
        for item in column:
            own = [place[x] for x in items.right[item]]
            total += sum(len(ends) - bisect.bisect_right(ends, end) for end in own)
            for end in own:
                bisect.insort(ends, end)
    return total


def _places(order: list[list[int]], items: _Items) -> list[int]:
    place = [0] * len(items.column)
    for column in order:
        for i, item in enumerate(column):
            place[item] = i
    return place


def _ordered(items: _Items) -> list[list[int]]:
    """Barycentre sweeps; the order with the fewest crossings is kept, the first if equal."""
    best = order = _first_order(items)
    fewest = _crossings(order, items)
    place = _places(order, items)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        forward = sweep % 2 == 0
        order = [list(column) for column in order]
        sides = items.left if forward else items.right
        for c in range(items.columns) if forward else range(items.columns - 1, -1, -1):
            keys = {}
            for item in order[c]:
                near = sides[item]
                keys[item] = sum(place[x] for x in near) / len(near) if near else place[item]
            order[c].sort(key=lambda item, keys=keys: keys[item])
            for i, item in enumerate(order[c]):
                place[item] = i
        found = _crossings(order, items)
        if found < fewest:
            best, fewest = order, found
    return best


# Coordinates ----------------------------------------------------------------------------------


def _settle(
    column: list[int], wanted: list[float], weight: list[float], items: _Items
) -> list[float]:
    """The places nearest to the wanted ones that keep order and distance (isotonic regression,
    by pooling adjacent violators)."""
    offsets, offset = [], 0.0
    for i, item in enumerate(column):
        if i:
            offset += (items.height[column[i - 1]] + items.height[item]) / 2 + ROW_GAP
        offsets.append(offset)
    pools: list[list[float]] = []  # mean, weight, members
    for i in range(len(column)):
        pools.append([wanted[i] - offsets[i], weight[i], 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, w, n = pools.pop()
            before = pools[-1]
            before[0] = (before[0] * before[1] + mean * w) / (before[1] + w)
            before[1] += w
            before[2] += n
    placed = []
    for mean, _, n in pools:
        placed += [mean] * int(n)
    return [p + o for p, o in zip(placed, offsets, strict=True)]


def _mean(y: list[float], near: list[int], items: _Items) -> float:
    total = weight = 0.0  # sum() adds floats with compensation from Python 3.12 on
    for i in near:
        total += y[i] * items.pull[i]
        weight += items.pull[i]
    return total / weight


def _rows(order: list[list[int]], items: _Items) -> list[float]:
    y = [0.0] * len(items.column)
    for column in order:
        total = ROW_GAP * (len(column) - 1)
        for item in column:
            total += items.height[item]
        top = -total / 2
        for item in column:
            y[item] = top + items.height[item] / 2
            top += items.height[item] + ROW_GAP
    for turn in range(SETTLES):
        forward = turn % 2 == 1
        both = SETTLES - 3 <= turn < SETTLES - 1  # the last turn makes chains straight again
        for c in range(items.columns) if forward else range(items.columns - 1, -1, -1):
            wanted, weight = [], []
            for item in order[c]:
                near = items.left[item] if forward else items.right[item]
                if both or not near:
                    near = items.left[item] + items.right[item]
                wanted.append(_mean(y, near, items) if near else y[item])
                weight.append(items.pull[item])
            for item, at in zip(order[c], _settle(order[c], wanted, weight, items), strict=True):
                y[item] = at
    top = min((y[i] - items.height[i] / 2 for i in range(len(y))), default=0.0)
    return [at - top + MARGIN for at in y]


def _columns(items: _Items, y: list[float]) -> tuple[list[float], list[float]]:
    """Middle and width of each column; columns move apart where wires climb between them."""
    widths = [0.0] * items.columns
    climb = [0.0] * items.columns
    for item, column in enumerate(items.column):
        widths[column] = max(widths[column], items.width[item])
        for near in items.left[item]:
            climb[column] = max(climb[column], abs(y[item] - y[near]))
    x, at = [], MARGIN
    for column, width in enumerate(widths):
        if column:
            at += COLUMN_GAP + min(36.0, 0.22 * climb[column])
        x.append(at + width / 2)
        at += width
    return x, widths


def layout(blocks: Sequence[Block], wires: Sequence[Wire]) -> Layout:
    """Place blocks, which must be numbered so that wires lead from lower to higher ones."""
    items = _Items(blocks, wires)
    order = _ordered(items)
    y = _rows(order, items)
    middle, widths = _columns(items, y)
    x = [middle[column] for column in items.column]
    routes = []
    for path in items.paths:
        first, *inner, last = path
        before = inner[-1]
        port = max(-PORT, min(PORT, 0.3 * (y[before] - y[last])))
        points = [(x[first] + blocks[first].touch / 2, y[first])]
        for item in path:
            half = widths[items.column[item]] / 2
            level = y[item] + (port if item == last else 0.0)
            if item != first:
                points.append((x[item] - half, level))
            if item != last:
                points.append((x[item] + half, level))
        points.append((x[last] - blocks[last].touch / 2, y[last] + port))
        routes.append(Route(tuple(points), (x[before], y[before])))
    right = max((x[i] + items.width[i] / 2 for i in range(len(x))), default=0.0)
    bottom = max((y[i] + items.height[i] / 2 for i in range(len(y))), default=0.0)
    centers = tuple((x[i], y[i]) for i in range(items.count))
    return Layout(right + MARGIN, bottom + MARGIN, centers, tuple(routes))
