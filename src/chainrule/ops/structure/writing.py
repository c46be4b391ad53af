"""Primitives that leave an array as it is but for some places: what in-place code records."""

from __future__ import annotations

from math import gcd, prod
from typing import Any

import numpy as np

from chainrule.core.batching import Rows, with_attrs
from chainrule.core.node import Primitive
from chainrule.core.rules import Linear
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, Shape, array_type
from chainrule.errors import DtypeError, ShapeError
from chainrule.ops.samples import arrays, both, case
from chainrule.ops.structure.choosing import positions, select
from chainrule.ops.structure.moving import reshape, transpose
from chainrule.ops.structure.reading import (
    Region,
    gather,
    gathered_type,
    region_index,
    region_shape,
    slice_,
)
from chainrule.ops.structure.spreading import broadcast_in, broadcast_to

# regions ----------------------------------------------------------------------------------


def common_region(one: Region, other: Region) -> tuple[Region, Region] | None:
    """The places that two regions share, as seen from inside each; None where there are none.

    Along every axis that an int does not drop, both are arithmetic progressions, and so is what
    they share.
    """
    first: list[Any] = []
    second: list[Any] = []
    for a, b in zip(one, other, strict=True):
        shared = _common(_range(a), _range(b))
        if not shared:
            return None
        for entry, inside in ((a, first), (b, second)):
            if not isinstance(entry, int):
                start, _, step = entry
                inside.append(_entry(shared, start, step, isinstance(a, int) or isinstance(b, int)))
    return tuple(first), tuple(second)


def _entry(shared: range, start: int, step: int, dropped: bool) -> Any:
    """Shared places along one axis, from inside a region that starts and steps so."""
    first = (shared.start - start) // step
    return first if dropped else (first, len(shared), shared.step // step)


def _range(entry: Any) -> range:
    if isinstance(entry, int):
        return range(entry, entry + 1)
    start, length, step = entry
    return range(start, start + length * step, step)


def _common(a: range, b: range) -> range:
    """What two ranges share, upwards."""
    a, b = (r if r.step > 0 else r[::-1] for r in (a, b))
    if not a or not b:
        return range(0)
    divisor = gcd(a.step, b.step)
    if (b.start - a.start) % divisor:
        return range(0)
    step = a.step * b.step // divisor
    turns = (b.start - a.start) // divisor * pow(a.step // divisor, -1, b.step // divisor)
    start = a.start + a.step * (turns % (b.step // divisor))
    low = max(a.start, b.start)
    start += -((start - low) // step) * step
    return range(start, min(a[-1], b[-1]) + 1, step)


# parts written at known places ------------------------------------------------------------


def _write_forward(base: Any, *parts: Any, regions: tuple[Region, ...]) -> Any:
    dtype = np.result_type(
        base.dtype, *{part.dtype for part in parts}
    )  # complex, in a complex step
    y = np.array(base, dtype, order="C")
    for part, region in zip(parts, regions, strict=True):
        y[region_index(region)] = part
    return y


def _write_infer(base: ArrayType, *parts: ArrayType, regions: tuple[Region, ...]) -> ArrayType:
    if len(parts) != len(regions):
        raise ShapeError(f"{len(parts)} parts for {len(regions)} regions")
    for part, region in zip(parts, regions, strict=True):
        if part != array_type(region_shape(base.shape, region), base.dtype):
            raise ShapeError(f"a part of type {part} does not fit region {region} of {base}")
    return base


def _write_transpose(
    wanted: Any, g: Traced, base: Traced, *parts: Traced, regions: tuple[Region, ...]
) -> list[Any]:
    last, hidden = shown(base.shape, regions)
    found: list[Any] = []
    for i in wanted:
        if i == 0:
            found.append(blanked(g, regions) if (last < 0).any() else None)
        else:
            part = slice_(g, region=regions[i - 1])
            over = hidden and _hidden(last, regions, i - 1)
            found.append(blanked(part, over) if over else part)
    return found


def shown(shape: Shape, regions: tuple[Region, ...]) -> tuple[Any, bool]:
    """Which part each place shows in the end, -1 for the base, and whether any hides another."""
    last = np.full(shape, -1, np.int32)
    for k, region in enumerate(regions):
        last[region_index(region)] = k
    total = sum(prod(region_shape(shape, region)) for region in regions)
    return last, bool(total > np.count_nonzero(last >= 0))


def _hidden(last: Any, regions: tuple[Region, ...], k: int) -> tuple[Region, ...]:
    """The places of a part that later ones hide, as seen from inside it."""
    over = np.unique(last[region_index(regions[k])]).tolist()
    shared = [common_region(regions[k], regions[j]) for j in over if j != k]
    return tuple(pair[0] for pair in shared if pair is not None)


def blanked(g: Traced, regions: tuple[Region, ...]) -> Traced:
    """``g`` with zeros in some regions."""
    zero = g.recording.constant(0, g.dtype)
    parts = [broadcast_to(zero, region_shape(g.shape, region)) for region in regions]
    return write(g, *parts, regions=regions)


write = Primitive(
    "write",
    forward=_write_forward,
    infer=_write_infer,
    rule=Linear(_write_transpose, variadic=True, hides=True),
    text="write({})",
    latex=r"\operatorname{{write}}\left({}\right)",
    teaches="What is written into an array gets the gradient of its place; what stood there, none.",
    samples=both(
        lambda: [
            case(*arrays((5,), (2,), ()), regions=(((0, 2, 2),), (4,))),
            case(*arrays((5,), (3,), (2,)), regions=(((0, 3, 1),), ((3, 2, -2),))),
            case(*arrays((3, 4), (2, 4), (2,)), regions=(((1, 2, 1), (0, 4, 1)), (2, (3, 2, -3)))),
            case(*arrays((2,), (2,)), regions=(((1, 2, -1),),)),
            case(*arrays((), ()), regions=((),)),
        ]
    ),
    batch=with_attrs(
        lambda size, regions: {"regions": tuple(((0, size, 1), *region) for region in regions)}
    ),
)

# numbers written at places that index arrays say ----------------------------------------------


def _put_forward(base: Any, value: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    y = np.array(base, np.result_type(base.dtype, value.dtype), order="C")
    np.moveaxis(y, axes, range(len(axes)))[indices] = value
    return y


def _put_infer(
    base: ArrayType, value: ArrayType, *indices: ArrayType, axes: tuple[int, ...]
) -> ArrayType:
    expected = gathered_type(base, *indices, axes=axes)
    if value != expected:
        kind = DtypeError if value.dtype != base.dtype else ShapeError
        raise kind(f"put: {value} does not fit where {expected} is written")
    return base


def _put_transpose(
    i: int, g: Traced, base: Traced, value: Traced, *indices: Traced, axes: tuple[int, ...]
) -> Traced:
    if i == 0:
        zeros = broadcast_to(g.recording.constant(0, g.dtype), value.shape)
        return put(g, zeros, *indices, axes=axes)
    found = gather(g, *indices, axes=axes)
    kept = _kept(indices, tuple(base.shape[a] for a in axes))
    if kept is None:
        return found
    mask = broadcast_in(kept, found.shape, tuple(range(kept.ndim)))
    return select(mask, found, broadcast_to(g.recording.constant(0, g.dtype), found.shape))


def _kept(indices: tuple[Traced, ...], lengths: Shape) -> Traced | None:
    """Which of the written numbers stay, the last one at each place; None where all do."""
    first = indices[0]
    if first.type.size < 2:
        return None
    if all(x.node.is_constant for x in indices):
        known: list[Any] = [first.recording.value(x.node) for x in indices]
        flat = np.ravel_multi_index([x % n for x, n in zip(known, lengths, strict=True)], lengths)
        if np.unique(flat).size == flat.size:
            return None
    count = reshape(positions(first, (first.type.size,), 0), first.shape)
    blank = broadcast_to(first.recording.constant(0, count.dtype), lengths)
    axes = tuple(range(len(lengths)))
    last = gather(put(blank, count, *indices, axes=axes), *indices, axes=axes)
    return last == count


def _put_batch(rows: Rows) -> Traced:
    later = tuple(a + 1 for a in rows.attrs["axes"])
    base, value, *indices = rows.full()
    n = rows.inputs[2].ndim
    if not any(rows.mapped[2:]):  # the same places in each row
        value = transpose(value, (*range(1, n + 1), 0, *range(n + 1, value.ndim)))
        return put(base, value, *rows.inputs[2:], axes=later)
    return put(base, value, positions(base, indices[0].shape, 0), *indices, axes=(0, *later))


put = Primitive(
    "put",
    forward=_put_forward,
    infer=_put_infer,
    rule=Linear(_put_transpose, constant=lambda i, **attrs: i > 1, hides=True),
    text="put({})",
    latex=r"\operatorname{{put}}\left({}\right)",
    teaches="What is written at an index gets the gradient of its place, if it stays there.",
    samples=both(
        lambda: [
            case(*arrays((5,), (3,)), [0, 3, -1], axes=(0,)),
            case(*arrays((5,), (4,)), [0, 3, -2, 0], axes=(0,)),
            case(*arrays((3, 4), (2, 2, 3)), [[2, 0], [1, 1]], axes=(1,)),
            case(*arrays((3, 4, 2), (2, 2)), [2, 0], [1, 1], axes=(0, 1)),
            case(*arrays((3,), (0,)), np.zeros(0, int), axes=(0,)),
            case(*arrays((3,), ()), np.array(1), axes=(0,)),
        ]
    ),
    batch=_put_batch,
)
