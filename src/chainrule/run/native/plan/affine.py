"""Index arithmetic: views of arrays as affine functions of the variables of a loop nest.

Reshape, transpose, slice and broadcast move no number; inside a loop they only change which
index of their argument is read. All such indices are ``constant + sum(factor * variable)``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from chainrule.core.node import Node
from chainrule.core.types import Shape
from chainrule.ops.contract import parse_spec

VIEWS = ("reshape", "transpose", "slice", "broadcast")
ALIASES = ("identity", "stop_gradient", "custom")


class Affine(NamedTuple):
    """``constant + sum(factors[k] * variable k)``."""

    constant: int
    factors: tuple[int, ...]

    def times(self, n: int) -> Affine:
        return Affine(self.constant * n, tuple(f * n for f in self.factors))

    def plus(self, other: Affine) -> Affine:
        factors = tuple(a + b for a, b in zip(self.factors, other.factors, strict=True))
        return Affine(self.constant + other.constant, factors)

    def shifted(self, n: int) -> Affine:
        return Affine(self.constant + n, self.factors)


Index = tuple[Affine, ...]
ANYWHERE = Affine(-1, ())
"""A position that equals no other: what a gather reads is known only when it runs."""


@functools.cache
def zero(rank: int) -> Affine:
    return Affine(0, (0,) * rank)


def variables(rank: int) -> Index:
    """The variables of a nest of ``rank`` loops as an index."""
    return tuple(Affine(0, tuple(int(k == a) for k in range(rank))) for a in range(rank))


@functools.lru_cache(1024)
def strides_of(shape: Shape) -> tuple[int, ...]:
    """Strides, in elements, of a row-major array."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def linear(index: Sequence[Affine], shape: Shape, rank: int) -> Affine:
    """The position of an index in a row-major array of this shape."""
    if not shape:
        return zero(rank)
    position = zero(rank)
    for part, stride in zip(index, strides_of(shape), strict=True):
        position = position.plus(part.times(stride))
    return position


def reshaped(index: Index, old: Shape, new: Shape, rank: int) -> Index | None:
    """The index into an array of shape ``old`` of an index into its reshape to ``new``.

    None where that takes a division: several old axes became one.
    """
    if 0 in old:
        return tuple(zero(rank) for _ in old)
    result: list[Affine] = []
    i = j = 0
    while i < len(old) or j < len(new):
        left = right = 1
        first, start = i, j
        while left != right or (i == first and j == start):
            if left <= right and i < len(old):
                left, i = left * old[i], i + 1
            else:
                right, j = right * new[j], j + 1
        wide = [k for k in range(first, i) if old[k] != 1]
        if len(wide) > 1:
            kept = [k for k in range(start, j) if new[k] != 1]
            if [old[k] for k in wide] != [new[k] for k in kept]:
                return None
            read = dict(zip(wide, (index[k] for k in kept), strict=True))
        else:
            whole = linear(index[start:j], new[start:j], rank)
            read = dict.fromkeys(wide, whole)
        result += [read.get(k, zero(rank)) for k in range(first, i)]
    return tuple(result)


def viewed(node: Node, index: Index, rank: int) -> Index | None:
    """The index of a view's argument that holds what the view shows at ``index``; None for a
    reshape that is not affine."""
    kind, attrs = node.primitive.name, node.attrs
    if kind in ALIASES:
        return index
    if kind == "broadcast":
        return tuple(index[a] for a in attrs["axes"])
    if kind == "transpose":
        inner = [zero(rank)] * len(index)
        for part, axis in zip(index, attrs["axes"], strict=True):
            inner[axis] = part
        return tuple(inner)
    if kind == "slice":
        parts = iter(index)
        return tuple(
            zero(rank).shifted(entry)
            if isinstance(entry, int)
            else next(parts).times(entry[2]).shifted(entry[0])
            for entry in attrs["region"]
        )
    return reshaped(index, node.inputs[0].type.shape, node.type.shape, rank)


def by_label(labels: str, index: Sequence[Affine], spec_labels: str, rank: int) -> Index:
    """The parts of an index that stand for ``spec_labels``, given one for each of ``labels``;
    0 for a label that is not there, whose axis has length 1."""
    place = dict(zip(labels, index, strict=True))
    return tuple(place.get(c, zero(rank)) for c in spec_labels)


def is_outer(node: Node) -> bool:
    """Whether a contract sums over one number at most, so that it is an element-wise product
    of views."""
    left, right, out = parse_spec(node.attrs["spec"])
    lengths = zip(left + right, (n for x in node.inputs for n in x.type.shape), strict=True)
    return all(c in out or n == 1 for c, n in lengths)


def collapsed(space: Shape, positions: Sequence[Affine], own: int | None) -> list[list[int]]:
    """Runs of adjacent loops that can be one: every position advances evenly over both. The
    axis ``own`` begins a run."""
    runs: list[list[int]] = []
    for axis in range(len(space)):
        joins = (
            runs
            and axis != own
            and all(p.factors[axis - 1] == p.factors[axis] * space[axis] for p in positions)
        )
        if joins:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return runs
