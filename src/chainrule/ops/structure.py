"""Primitives that move numbers without changing them: cast, broadcast, reshape, transpose,
slices and their writes, gathers and their scatters, concatenation, selection, counting.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from chainrule.core.graph import Primitive
from chainrule.core.rules import Custom, Deferred, Linear
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, Shape, array_type, check_dtype, size_of
from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.ops.samples import arrays, both, case

# identity ---------------------------------------------------------------------------------

identity = Primitive(
    "identity",
    forward=lambda x: x,
    infer=lambda x: x,
    rule=Linear(lambda i, g, x: g),
    text="{}",
    latex="{}",
    teaches="A copy passes its gradient through unchanged.",
    samples=both(lambda: [case(*arrays((2, 3)))]),
)


stop_gradient = Primitive(
    "stop_gradient",
    forward=lambda x: x,
    infer=lambda x: x,
    text=r"stop({})",
    latex=r"\operatorname{{stop}}\left({}\right)",
    teaches="Nothing flows back through a stopped value: it counts as a constant.",
    samples=both(lambda: [case(*arrays((3,)))]),
)

# cast -------------------------------------------------------------------------------------


def _cast_infer(x: ArrayType, *, dtype: str) -> ArrayType:
    return array_type(x.shape, np.dtype(dtype))


def _cast_forward(x: Any, *, dtype: str) -> Any:
    if x.dtype.kind == "c" and np.dtype(dtype).kind == "f":
        return x  # a complex step passes through
    return x.astype(dtype)


_cast = Primitive(
    "cast",
    forward=_cast_forward,
    infer=_cast_infer,
    rule=Linear(lambda i, g, x, dtype: cast(g, x.dtype)),
    text="{}",
    latex="{}",
    teaches="A change of precision passes the gradient back in the precision it came from.",
    samples=lambda: [
        case(*arrays((2, 3)), dtype="float32", smooth=False),
        case([1.5, -2.5], dtype="int64"),
    ],
)


def cast(x: Traced, dtype: Any) -> Traced:
    dtype = np.dtype(dtype)
    check_dtype(dtype)
    return x if x.dtype == dtype else _cast(x, dtype=dtype.name)


# broadcast --------------------------------------------------------------------------------


def _broadcast_infer(x: ArrayType, *, shape: Shape, axes: tuple[int, ...]) -> ArrayType:
    """Axis i of the argument becomes axis ``axes[i]`` of the result; the others repeat it."""
    if len(axes) != x.ndim or any(shape[a] != n for a, n in zip(axes, x.shape, strict=True)):
        raise ShapeError(f"cannot broadcast {x} to {shape} along axes {axes}")
    if list(axes) != sorted(set(axes)):
        raise ShapeError(f"broadcast axes {axes} must increase")
    return array_type(shape, x.dtype)


def _broadcast_forward(x: Any, *, shape: Shape, axes: tuple[int, ...]) -> Any:
    strides = [0] * len(shape)
    for axis, stride in zip(axes, x.strides, strict=True):
        strides[axis] = stride
    if x.flags.c_contiguous and x.size:
        view = np.ndarray(shape, x.dtype, x, 0, tuple(strides))
        view.flags.writeable = False
        return view
    index = tuple(slice(None) if a in axes else None for a in range(len(shape)))
    return np.broadcast_to(x[index], shape)


_broadcast = Primitive(
    "broadcast",
    forward=_broadcast_forward,
    infer=_broadcast_infer,
    rule=Linear(lambda i, g, x, shape, axes: _sum_over(g, _others(axes, shape))),
    text="{}",
    latex="{}",
    teaches="A value used many times receives the sum of all its gradients.",
    samples=both(
        lambda: [
            case(2.5, shape=(2, 3), axes=()),
            case(*arrays((3,)), shape=(2, 3), axes=(1,)),
            case(*arrays((2,)), shape=(2, 3), axes=(0,)),
            case(*arrays((2, 3)), shape=(2, 4, 3), axes=(0, 2)),
            case(*arrays((0,)), shape=(2, 0), axes=(1,)),
        ]
    ),
)


def _others(axes: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    return tuple(a for a in range(len(shape)) if a not in axes)


def _sum_over(g: Traced, axes: tuple[int, ...]) -> Traced:
    from chainrule.ops.reduce import reduce_sum

    return reduce_sum(g, axes=axes) if axes else g


def broadcast_in(x: Traced, shape: Shape, axes: tuple[int, ...]) -> Traced:
    return x if x.shape == shape else _broadcast(x, shape=shape, axes=axes)


def broadcast_to(x: Traced, shape: Shape) -> Traced:
    """NumPy's broadcasting: leading axes are added, axes of length 1 repeat."""
    if x.shape == shape:
        return x
    offset = len(shape) - x.ndim
    if offset < 0:
        raise ShapeError(f"cannot broadcast {x.type} to shape {shape}")
    keep = tuple(a for a in range(x.ndim) if x.shape[a] == shape[a + offset])
    if any(x.shape[a] != 1 for a in range(x.ndim) if a not in keep):
        raise ShapeError(f"cannot broadcast {x.type} to shape {shape}")
    squeezed = reshape(x, tuple(x.shape[a] for a in keep))
    return broadcast_in(squeezed, shape, tuple(a + offset for a in keep))


# reshape and transpose --------------------------------------------------------------------


def _reshape_infer(x: ArrayType, *, shape: Shape) -> ArrayType:
    if size_of(shape) != x.size:
        raise ShapeError(f"cannot reshape {x} ({x.size} elements) to shape {shape}")
    return array_type(shape, x.dtype)


_reshape = Primitive(
    "reshape",
    forward=lambda x, shape: x.reshape(shape),
    infer=_reshape_infer,
    rule=Linear(lambda i, g, x, shape: reshape(g, x.shape)),
    text="{}",
    latex="{}",
    teaches="Reshaping moves no number, so the gradient is reshaped back.",
    samples=both(
        lambda: [case(*arrays((2, 3)), shape=(3, 2)), case(1.5, shape=(1, 1)),
                 case(*arrays((0, 2)), shape=(0,))]
    ),
)  # fmt: skip


def reshape(x: Traced, shape: Shape) -> Traced:
    return x if x.shape == shape else _reshape(x, shape=shape)


def _transpose_infer(x: ArrayType, *, axes: tuple[int, ...]) -> ArrayType:
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"axes {axes} are not a permutation of the {x.ndim} axes of {x}")
    return array_type(tuple(x.shape[a] for a in axes), x.dtype)


_transpose = Primitive(
    "transpose",
    forward=lambda x, axes: x.transpose(axes),
    infer=_transpose_infer,
    rule=Linear(lambda i, g, x, axes: transpose(g, _inverse(axes))),
    text="{}ᵀ",
    latex=r"{}^{{\top}}",
    teaches="Transposing moves no number, so the gradient is transposed back.",
    samples=both(
        lambda: [case(*arrays((2, 3)), axes=(1, 0)), case(*arrays((2, 3, 4)), axes=(2, 0, 1)),
                 case(*arrays((0, 2)), axes=(1, 0))]
    ),
)  # fmt: skip


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def transpose(x: Traced, axes: tuple[int, ...]) -> Traced:
    return x if axes == tuple(range(x.ndim)) else _transpose(x, axes=axes)


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


def _slice_shape(shape: Shape, region: Region) -> Shape:
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
    infer=lambda x, region: array_type(_slice_shape(x.shape, region), x.dtype),
    rule=Linear(
        lambda i, g, x, region: Deferred(place, (g,), {"shape": x.shape, "regions": (region,)})
    ),
    text="{}[{region}]",
    latex=r"{}_{{{region}}}",
    teaches="Reading a part routes the gradient to that part; the rest gets zero.",
    samples=both(
        lambda: [case(*arrays((5,)), region=(2,)), case(*arrays((5,)), region=((4, 3, -2),)),
                 case(*arrays((4, 5)), region=(1, (0, 2, 3))),
                 case(*arrays((4, 5)), region=((0, 0, 1), 2))]
    ),
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
        if _slice_shape(shape, region) != g.shape:
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
)

# gathers and their scatters ---------------------------------------------------------------


def _gather_forward(x: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    return np.moveaxis(x, axes, range(len(axes)))[indices]


def _gather_infer(x: ArrayType, *indices: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    if len(indices) != len(axes) or not indices:
        raise ShapeError(f"{len(indices)} index arrays for axes {axes}")
    for index in indices:
        if index.dtype.kind not in "iu":
            raise DtypeError(f"an index must be of integers, not {index.dtype}")
        if index.shape != indices[0].shape:
            raise ShapeError("the index arrays of a gather must have one shape")
    rest = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    return array_type(indices[0].shape + rest, x.dtype)


def _gather_transpose(i: int, g: Traced, x: Traced, *indices: Traced, axes: Any) -> Any:
    return Deferred(scatter_add, (g, *indices), {"shape": x.shape, "axes": axes})


gather = Primitive(
    "gather",
    forward=_gather_forward,
    infer=_gather_infer,
    rule=Linear(_gather_transpose, constant=lambda i, **attrs: i > 0),
    text="{0}[{1}]",
    latex=r"{0}_{{{1}}}",
    teaches="Reading by index routes each gradient to the entry it was read from; repeats add.",
    samples=both(
        lambda: [
            case(*arrays((5,)), [0, 3, 3, -1], axes=(0,)),
            case(*arrays((3, 4)), [[2, 0], [1, 1]], axes=(1,)),
            case(*arrays((3, 4, 2)), [2, 0], [1, 1], axes=(0, 1)),
            case(*arrays((3,)), np.zeros(0, int), axes=(0,)),
        ]
    ),
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
        expected = _gather_infer(array_type(shape, g.dtype), *indices, axes=axes)
        if g != expected:
            raise ShapeError(f"scatter_add: {g} does not fit where {expected} is written")
    return array_type(shape, inputs[0].dtype)


def _scatter_transpose(wanted: Any, g: Traced, *inputs: Traced, shape: Shape, axes: Any) -> Any:
    return [gather(g, *inputs[i + 1 : i + 1 + len(axes)], axes=axes) for i in wanted]


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
    teaches="Joined arrays each take their own part of the gradient.",
    samples=both(
        lambda: [case(*arrays((2,), (3,), (0,)), axis=0), case(*arrays((2, 1), (2, 3)), axis=1)]
    ),
)

# selection --------------------------------------------------------------------------------


def _select_infer(condition: ArrayType, a: ArrayType, b: ArrayType) -> ArrayType:
    if condition.dtype.kind != "b":
        raise DtypeError(f"select takes a condition of bool, not {condition.dtype}")
    if a != b or condition.shape != a.shape:
        raise ShapeError(f"select: condition {condition}, {a} and {b} must agree")
    return a


def _select_transpose(i: int, g: Traced, condition: Traced, a: Traced, b: Traced) -> Traced:
    zero = _zeros(g)
    return select(condition, g, zero) if i == 1 else select(condition, zero, g)


def _zeros(g: Traced) -> Traced:
    return broadcast_to(g.recording.constant(0, g.dtype), g.shape)


def _is_zero(node: Any) -> bool:
    if node.primitive is _broadcast:
        (node,) = node.inputs
    return node.primitive.name == "constant" and not any(node.attrs["value"])


def _select_scale(product: Any, *masked: Any) -> Traced | None:
    """Multiply, or add, masked cotangents inside their mask, so that an infinite local
    derivative where nothing was selected stays out: ``where(x > 0, log(x), 0)`` at 0."""
    g = masked[0]
    recording = g.recording
    condition, a, b = (Traced(x, recording) for x in g.node.inputs)
    side = 2 if _is_zero(b.node) else 1 if _is_zero(a.node) else 0
    if not side:
        return None
    parts = []
    for other in masked:
        node = other.node
        if node.primitive is select:
            if node.inputs[0] is not condition.node or not _is_zero(node.inputs[side]):
                return None
            node = node.inputs[3 - side]
        parts.append(Traced(node, recording))
    inside = product(*parts)
    return select(condition, inside, b) if side == 2 else select(condition, a, inside)


select = Primitive(
    "select",
    forward=lambda c, a, b: np.where(c, a, b),
    infer=_select_infer,
    rule=Linear(_select_transpose, constant=lambda i: i == 0),
    text="where({}, {}, {})",
    latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    teaches="A choice routes the gradient to the branch that was taken.",
    samples=both(
        lambda: [
            case([True, False, True], *arrays((3,), (3,))),
            case(np.array(True), 1.5, -2.5),
            case(np.zeros((0, 2), bool), *arrays((0, 2), (0, 2))),
        ]
    ),
    scale=_select_scale,
)

# counting ---------------------------------------------------------------------------------


def _iota_infer(like: ArrayType, *, shape: Shape, axis: int) -> ArrayType:
    return array_type(shape, np.dtype(np.int64))


def _iota_forward(like: Any, *, shape: Shape, axis: int) -> Any:
    along = [1] * len(shape)
    along[axis] = shape[axis]
    return np.broadcast_to(np.arange(shape[axis]).reshape(along), shape)


iota = Primitive(
    "iota",
    forward=_iota_forward,
    infer=_iota_infer,
    text="iota({shape})",
    latex=r"\operatorname{{iota}}",
    teaches="A count of positions does not depend on values.",
    samples=lambda: [case(0.0, shape=(2, 3), axis=1)],
)


def positions(x: Traced, shape: Shape, axis: int) -> Traced:
    """0, 1, 2, ... along ``axis``, repeated over the others; ``x`` gives the recording."""
    return iota(x.recording.constant(0, np.dtype(np.int64)), shape=shape, axis=axis)


# gradients stated by the user -------------------------------------------------------------


_count = itertools.count()


class UserRule(str):
    """A vjp given with ``cr.custom_gradient``; as text it is only its name."""

    vjp: Any

    @classmethod
    def make(cls, name: str, vjp: Any) -> UserRule:
        rule = cls(f"{name}#{next(_count)}")
        rule.vjp = vjp
        return rule


def _custom_vjp(g: Traced, y: Traced, value: Traced, *xs: Traced, rule: str) -> list[Any]:
    if not isinstance(rule, UserRule):
        raise GraphError(
            f"the custom gradient {rule!r} is a Python function, which text does not carry; "
            "record the function again instead of parsing its graph"
        )
    return [None, *rule.vjp(g, xs)]


custom = Primitive(
    "custom",
    forward=lambda value, *xs, rule: value,
    infer=lambda value, *xs, rule: value,
    rule=Custom(_custom_vjp, why="the user states the vjp; nothing else is known of it"),
    text="custom({})",
    latex=r"\operatorname{{custom}}\left({}\right)",
    teaches="The gradient of this step was stated by hand.",
)
