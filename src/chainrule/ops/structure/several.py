"""What turns of a loop read and write at places of their own, as one read and one write.

A region is a *pattern*, what it takes along each axis wherever that lies (None: one place, else
length and step), and a *start*. Reads of one array by one pattern are one read, whatever their
starts are: a slice where they follow each other in equal steps, else a gather. Writes are one write
of what of each can be seen in the end, so that their order does not matter any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from chainrule.core.node import Node
from chainrule.core.traced import Traced
from chainrule.core.types import Shape
from chainrule.ops.structure.moving import reshape, transpose
from chainrule.ops.structure.reading import Region, concatenate, gather, slice_
from chainrule.ops.structure.writing import put, shown, write

Pattern = tuple[Any, ...]
Start = tuple[int, ...]


def split(region: Region) -> tuple[Pattern, Start]:
    """What a region takes along each axis, and where it begins."""
    pattern = tuple([None if isinstance(entry, int) else entry[1:] for entry in region])
    return pattern, tuple([entry if isinstance(entry, int) else entry[0] for entry in region])


def _progression(pattern: Pattern, starts: Any) -> tuple[int, Region] | None:
    """The axis along which single places follow in equal steps, and the region of all."""
    steps = np.diff(starts, axis=0)
    moving = np.flatnonzero(steps.any(axis=0)).tolist()
    if len(moving) != 1 or pattern[moving[0]] is not None or (steps != steps[0]).any():
        return None
    (axis,), first = moving, starts[0].tolist()
    region = [at if e is None else (at, *e) for at, e in zip(first, pattern, strict=True)]
    region[axis] = (first[axis], len(starts), int(steps[0, axis]))
    return axis, tuple(region)


def _places(shape: Shape, pattern: Pattern, starts: Any) -> Any:
    """Where the numbers of each lie, counted in row-major order: (how many, shape of one)."""
    units = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    places = starts @ np.array(units, np.int64)
    for unit, entry in zip(units, pattern, strict=True):
        if entry is not None:
            length, step = entry
            places = places[..., None] + np.arange(length) * (step * unit)
    return places


def _steps(places: Any) -> Region | None:
    """The region of a vector that places in equal steps make."""
    steps = np.diff(places)
    if not steps.size or not steps[0] or (steps != steps[0]).any():
        return None
    return ((int(places[0]), places.size, int(steps[0])),)


def _table(numbers: Any, like: Traced) -> Traced:
    found = np.ascontiguousarray(numbers, np.int64)
    found.flags.writeable = False
    return like.recording.capture(found)


def _flat(x: Traced) -> Traced:
    return reshape(x, (x.type.size,))


# reads ------------------------------------------------------------------------------------------


def read_of(node: Node) -> tuple[Pattern, Start] | None:
    """How and where ``node`` reads a part of an array, if that is what it does."""
    return split(node.attrs["region"]) if node.primitive is slice_ else None


def read_many(x: Traced, pattern: Pattern, starts: Sequence[Start]) -> Traced:
    """What such reads make, along a new first axis."""
    table = np.array(starts, np.int64)
    regular = _progression(pattern, table)
    if regular is not None:
        axis, region = regular
        place = sum(entry is not None for entry in pattern[:axis])
        found = slice_(x, region=region)
        return transpose(found, (place, *[k for k in range(found.ndim) if k != place]))
    places = _places(x.shape, pattern, table)
    along = _steps(places) if places.ndim == 1 else None
    if along is not None:
        return slice_(_flat(x), region=along)
    axes = tuple([axis for axis, entry in enumerate(pattern) if entry is None])
    rest = [(e, (n, 1)) for e, n in zip(pattern, x.shape, strict=True) if e is not None]
    if axes and all(entry == whole for entry, whole in rest):
        return gather(x, *[_table(table[:, axis], x) for axis in axes], axes=axes)
    return gather(_flat(x), _table(places, x), axes=(0,))


def entry(x: Traced, at: int) -> Traced:
    """``x[at]``."""
    return slice_(x, region=(at, *((0, n, 1) for n in x.shape[1:])))


def entries(x: Traced, at: Sequence[int]) -> Traced:
    """``x[at]``, of many."""
    if list(at) == list(range(x.shape[0])):
        return x
    pattern = (None, *[(n, 1) for n in x.shape[1:]])
    return read_many(x, pattern, [(k, *[0] * (x.ndim - 1)) for k in at])


def stacked(parts: Sequence[Traced]) -> Traced:
    """Arrays of one type along a new first axis; of constants, one array of numbers."""
    recording = parts[0].recording
    if all(x.node.is_constant for x in parts):
        table = np.stack([recording.value(x.node) for x in parts])  # type: ignore[arg-type]
        table.flags.writeable = False
        return recording.capture(table)
    return concatenate(*[reshape(x, (1, *x.shape)) for x in parts], axis=0)


# writes -----------------------------------------------------------------------------------------


class Writes(NamedTuple):
    """Parts written into regions of a base in order; into zeros where the base is None."""

    base: Node | None
    parts: Sequence[Node]
    regions: Sequence[Region]


def writes_of(node: Node) -> Writes | None:
    """What ``node`` writes where, if it does that or joins arrays, which is the same."""
    if node.primitive is write:
        return Writes(node.inputs[0], node.inputs[1:], node.attrs["regions"])
    if node.primitive is not concatenate:
        return None
    axis, shape = node.attrs["axis"], node.type.shape
    parts, regions, start = list[Node](), list[Region](), 0
    for x in node.inputs:
        length = x.type.shape[axis]
        entry: Any = (start, length, 1)
        whole = x.inputs[0] if x.primitive.name == "reshape" else None
        if whole is not None and whole.type.shape == (*shape[:axis], *shape[axis + 1 :]):
            entry, x = start, whole
        parts.append(x)
        regions.append(tuple([entry if k == axis else (0, n, 1) for k, n in enumerate(shape)]))
        start += length
    return Writes(None, parts, regions)


def write_many(
    base: Traced,
    singles: Mapping[int, Traced],
    groups: Sequence[tuple[Sequence[int], Traced]],
    regions: Sequence[Region],
) -> Traced:
    """``base`` with all regions written in order: ``singles`` are the parts of some, groups those
    of others, of one pattern, along a first axis."""
    shape = base.shape
    last = shown(shape, tuple(regions))[0].ravel()
    parts = [(x, regions[i]) for i, x in singles.items()]
    scattered = []
    for rows, values in groups:
        pattern = split(regions[rows[0]])[0]
        starts = np.array([split(regions[i])[1] for i in rows], np.int64)
        places = _places(shape, pattern, starts)
        seen = last[places] == np.reshape(rows, (-1,) + (1,) * (places.ndim - 1))
        regular = _progression(pattern, starts) if seen.all() else None
        if regular is None:
            scattered += [(values, places, seen)] * bool(seen.any())
            continue
        axis, region = regular
        place = sum(entry is not None for entry in pattern[:axis])
        order = (*range(1, place + 1), 0, *range(place + 1, values.ndim))
        part = transpose(values, order)
        if region == tuple([(0, n, 1) for n in shape]):
            return part
        parts.append((part, region))
    if parts:
        base = write(base, *[x for x, _ in parts], regions=tuple([region for _, region in parts]))
    for values, places, seen in scattered:
        flat = _flat(values)
        if not seen.all():
            flat = gather(flat, _table(np.flatnonzero(seen), base), axes=(0,))
        along = _steps(places[seen])
        if along is not None:
            base = reshape(write(_flat(base), flat, regions=(along,)), shape)
        else:
            base = reshape(put(_flat(base), flat, _table(places[seen], base), axes=(0,)), shape)
    return base
