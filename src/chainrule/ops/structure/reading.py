"""Primitives that read parts of arrays and write parts into one: slices, gathers, and their
writes, concatenation.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from chainrule.core.batching import Rows, along_axis, with_attrs
from chainrule.core.node import Primitive
from chainrule.core.rules import Deferred, Linear
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, Shape, array_type
from chainrule.errors import DtypeError, ShapeError
from chainrule.ops.samples import arrays, both, case
from chainrule.ops.structure.choosing import positions
from chainrule.ops.structure.moving import transpose

# slices and their writes ------------------------------------------------------------------

Region = tuple[Any, ...]
"""One entry an axis: an int (the axis is dropped) or (start, length, step)."""


def region_index(region: Region) -> tuple[Any, ...]:
    """The region as NumPy writes it."""
    index: list[Any] = []
    for entry in region:
        if isinstance(entry, int):
            index.append(entry)
        else:
            start, length, step = entry
            stop = start + length * step
            chosen = slice(start, stop if stop >= 0 else None, step)
            index.append(chosen if length else slice(0, 0))
    return tuple(index)


def region_shape(shape: Shape, region: Region) -> Shape:
    if len(region) != len(shape):
        raise ShapeError(f"a region of {len(region)} axes does not fit shape {shape}")
    result = []
    for entry, n in zip(region, shape, strict=True):
        if isinstance(entry, int):
            if not 0 <= entry < n:
                raise ShapeError(f"index {entry} is out of bounds for length {n}")
            continue
        start, length, step = entry
        last = start + (length - 1) * step
        if length and not (0 <= start < n and 0 <= last < n):
            raise ShapeError(f"slice from {start} to {last} is out of bounds for length {n}")
        result.append(length)
    return tuple(result)


slice_ = Primitive(
    "slice",
    forward=lambda x, region: x[region_index(region)],
    infer=lambda x, region: array_type(region_shape(x.shape, region), x.dtype),
    rule=Linear(
        lambda i, g, x, region: Deferred(place, (g,), {"shape": x.shape, "regions": (region,)})
    ),
    text="{}[{region}]",
    latex=r"{}_{{{region}}}",
    analytic=True,
    teaches="Reading a part routes the gradient to that part; the rest gets zero.",
    samples=both(
        lambda: [case(*arrays((5,)), region=(2,)), case(*arrays((5,)), region=((4, 3, -2),)),
                 case(*arrays((4, 5)), region=(1, (0, 2, 3))),
                 case(*arrays((4, 5)), region=((0, 0, 1), 2))]
    ),
    batch=with_attrs(lambda size, region: {"region": ((0, size, 1), *region)}),
)  # fmt: skip


def _place_forward(*gs: Any, shape: Shape, regions: tuple[Region, ...]) -> Any:
    total = np.zeros(shape, gs[0].dtype)
    for g, region in zip(gs, regions, strict=True):
        total[region_index(region)] += g
    return total


def _place_infer(*gs: ArrayType, shape: Shape, regions: tuple[Region, ...]) -> ArrayType:
    if len(gs) != len(regions):
        raise ShapeError(f"{len(gs)} parts for {len(regions)} regions")
    for g, region in zip(gs, regions, strict=True):
        if region_shape(shape, region) != g.shape:
            raise ShapeError(f"a part of type {g} does not fit region {region} of {shape}")
    return array_type(shape, gs[0].dtype)


def _place_merge(parts: list[Deferred]) -> Traced:
    gs = tuple(g for part in parts for g in part.inputs)
    regions = tuple(r for part in parts for r in part.attrs["regions"])
    return place(*gs, shape=parts[0].attrs["shape"], regions=regions)


place = Primitive(
    "place",
    forward=_place_forward,
    infer=_place_infer,
    rule=Linear(
        lambda wanted, g, *gs, shape, regions: [slice_(g, region=regions[i]) for i in wanted],
        variadic=True,
    ),
    text="place({})",
    latex=r"\operatorname{{place}}\left({}\right)",
    teaches="Parts written into zeros: each part reads its gradient from where it was written.",
    samples=both(
        lambda: [
            case(*arrays((2,), (2,)), shape=(5,), regions=(((0, 2, 1),), ((1, 2, 2),))),
            case(1.5, shape=(3,), regions=((1,),)),
            case(*arrays((2, 2)), shape=(4, 3), regions=(((3, 2, -2), (0, 2, 1)),)),
        ]
    ),
    merge=_place_merge,
    batch=with_attrs(
        lambda size, shape, regions: {
            "shape": (size, *shape),
            "regions": tuple(((0, size, 1), *region) for region in regions),
        }
    ),
)

# gathers and their scatters ---------------------------------------------------------------


def _gather_forward(x: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    return np.moveaxis(x, axes, range(len(axes)))[indices]


def gathered_type(x: ArrayType, *indices: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    if len(indices) != len(axes) or not indices:
        raise ShapeError(f"{len(indices)} index arrays for axes {axes}")
    for index in indices:
        if index.dtype.kind not in "iu":
            raise DtypeError(f"an index must be of integers, not {index.dtype}")
        if index.shape != indices[0].shape:
            raise ShapeError("the index arrays of a gather must have one shape")
    rest = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    return array_type(indices[0].shape + rest, x.dtype)


def _gather_batch(rows: Rows) -> Traced:
    axes = rows.attrs["axes"]
    later = tuple(a + 1 for a in axes)
    x, *indices = rows.inputs
    if not any(rows.mapped[1:]):  # the same places in each row
        y = gather(x, *indices, axes=later)
        first = indices[0].ndim
        return transpose(y, (first, *[a for a in range(y.ndim) if a != first]))
    indices = rows.full()[1:]
    if not rows.mapped[0]:
        return gather(x, *indices, axes=axes)
    return gather(x, positions(x, indices[0].shape, 0), *indices, axes=(0, *later))


def _gather_transpose(i: int, g: Traced, x: Traced, *indices: Traced, axes: Any) -> Any:
    return Deferred(scatter_add, (g, *indices), {"shape": x.shape, "axes": axes})


gather = Primitive(
    "gather",
    forward=_gather_forward,
    infer=gathered_type,
    rule=Linear(_gather_transpose, constant=lambda i, **attrs: i > 0),
    text="{0}[{1}]",
    latex=r"{0}_{{{1}}}",
    analytic=True,
    teaches="Reading by index routes each gradient to the entry it was read from; repeats add.",
    samples=both(
        lambda: [
            case(*arrays((5,)), [0, 3, 3, -1], axes=(0,)),
            case(*arrays((3, 4)), [[2, 0], [1, 1]], axes=(1,)),
            case(*arrays((3, 4, 2)), [2, 0], [1, 1], axes=(0, 1)),
            case(*arrays((3,)), np.zeros(0, int), axes=(0,)),
        ]
    ),
    batch=_gather_batch,
)


def _scatter_forward(*inputs: Any, shape: Shape, axes: tuple[int, ...]) -> Any:
    total = np.zeros(shape, inputs[0].dtype)
    front = np.moveaxis(total, axes, range(len(axes)))
    step = 1 + len(axes)
    for start in range(0, len(inputs), step):
        g, *indices = inputs[start : start + step]
        np.add.at(front, tuple(indices), g)
    return total


def _scatter_infer(*inputs: ArrayType, shape: Shape, axes: tuple[int, ...]) -> ArrayType:
    step = 1 + len(axes)
    if not inputs or len(inputs) % step:
        raise ShapeError(f"scatter_add over {len(axes)} axes takes groups of {step} arguments")
    for start in range(0, len(inputs), step):
        g, *indices = inputs[start : start + step]
        expected = gathered_type(array_type(shape, g.dtype), *indices, axes=axes)
        if g != expected:
            raise ShapeError(f"scatter_add: {g} does not fit where {expected} is written")
    return array_type(shape, inputs[0].dtype)


def _scatter_transpose(wanted: Any, g: Traced, *inputs: Traced, shape: Shape, axes: Any) -> Any:
    return [gather(g, *inputs[i + 1 : i + 1 + len(axes)], axes=axes) for i in wanted]


def _scatter_batch(rows: Rows) -> Traced:
    shape, axes = rows.attrs["shape"], rows.attrs["axes"]
    later, step = tuple(a + 1 for a in axes), 1 + len(axes)
    alike = not any(m for i, m in enumerate(rows.mapped) if i % step)  # the same places in each row
    full = rows.full()
    inputs: list[Traced] = []
    for i in range(0, len(full), step):
        g, *indices = full[i : i + step]
        if alike:
            indices = rows.inputs[i + 1 : i + step]
            n = indices[0].ndim
            inputs += [transpose(g, (*range(1, n + 1), 0, *range(n + 1, g.ndim))), *indices]
        else:
            inputs += [g, positions(g, indices[0].shape, 0), *indices]
    return scatter_add(*inputs, shape=(rows.size, *shape), axes=later if alike else (0, *later))


def _scatter_merge(parts: list[Deferred]) -> Traced:
    inputs = tuple(x for part in parts for x in part.inputs)
    return scatter_add(*inputs, **parts[0].attrs)


scatter_add = Primitive(
    "scatter_add",
    forward=_scatter_forward,
    infer=_scatter_infer,
    rule=Linear(
        _scatter_transpose,
        constant=lambda i, *, shape, axes: bool(i % (1 + len(axes))),
        variadic=True,
    ),
    text="scatter({})",
    latex=r"\operatorname{{scatter}}\left({}\right)",
    teaches="Numbers added into places: each reads its gradient from the place it went to.",
    samples=both(
        lambda: [
            case(*arrays((3,)), [0, 2, 2], shape=(4,), axes=(0,)),
            case(
                arrays((2,))[0], [0, 1], arrays((3,), seed=1)[0], [1, 1, 0], shape=(4,), axes=(0,)
            ),
            case(*arrays((2, 3)), [1, -1], shape=(3, 4), axes=(1,)),
        ]
    ),
    merge=_scatter_merge,
    batch=_scatter_batch,
)

# concatenation ----------------------------------------------------------------------------


def _concatenate_infer(*xs: ArrayType, axis: int) -> ArrayType:
    first = xs[0]
    rest = first.shape[:axis] + first.shape[axis + 1 :]
    for x in xs:
        if x.dtype != first.dtype or x.shape[:axis] + x.shape[axis + 1 :] != rest:
            listed = ", ".join(map(str, xs))
            raise ShapeError(
                f"cannot concatenate {listed} along axis {axis}: the other axes differ"
            )
    length = sum(x.shape[axis] for x in xs)
    return array_type((*first.shape[:axis], length, *first.shape[axis + 1 :]), first.dtype)


def _concatenate_transpose(wanted: Any, g: Traced, *xs: Traced, axis: int) -> list[Traced]:
    starts = [0, *itertools.accumulate(x.shape[axis] for x in xs)]
    region = [(0, n, 1) for n in g.shape]
    parts = []
    for i in wanted:
        region[axis] = (starts[i], xs[i].shape[axis], 1)
        parts.append(slice_(g, region=tuple(region)))
    return parts


concatenate = Primitive(
    "concatenate",
    forward=lambda *xs, axis: np.concatenate(xs, axis),
    infer=_concatenate_infer,
    rule=Linear(_concatenate_transpose, variadic=True),
    text="concatenate({})",
    latex=r"\left[{}\right]",
    analytic=True,
    teaches="Joined arrays each take their own part of the gradient.",
    samples=both(
        lambda: [case(*arrays((2,), (3,), (0,)), axis=0), case(*arrays((2, 1), (2, 3)), axis=1)]
    ),
    batch=along_axis,
)
