"""Rewrites of what moves numbers without changing them: views of views, views of constants, and
arithmetic that can be done before numbers are repeated or after they are moved."""

from __future__ import annotations

from typing import Any

from chainrule.compile.patterns import Rewrite, apply, inner, inputs_of, made_by
from chainrule.core.traced import Traced
from chainrule.core.types import Shape
from chainrule.ops.contract import parse_spec

Axes = tuple[int, ...]
Region = tuple[Any, ...]

EXACT = ("add", "subtract", "multiply", "divide", "negative", "square", "abs", "sqrt", "select",
         "cast")  # fmt: skip
"""Element-wise primitives that give the same bits wherever in an array a number stands. NumPy's
exp and its like do not: their vector and scalar forms may round differently."""


def _spread(x: Traced, shape: Shape, axes: Axes) -> Traced:
    return x if x.shape == shape else apply("broadcast", x, shape=shape, axes=axes)


def _reshaped(x: Traced, shape: Shape) -> Traced:
    return x if x.shape == shape else apply("reshape", x, shape=shape)


def _is_spread_scalar(x: Traced) -> bool:
    return made_by(x, "broadcast") and not x.node.attrs["axes"]


def _whole(n: int) -> tuple[int, int, int]:
    return (0, n, 1)


# Views of views ---------------------------------------------------------------------------


def _same_shape(x: Traced, *, shape: Shape, axes: Axes = ()) -> Traced | None:
    return x if x.shape == shape else None


def _broadcast_broadcast(x: Traced, *, shape: Shape, axes: Axes) -> Traced | None:
    if not made_by(x, "broadcast"):
        return None
    composed = tuple(axes[a] for a in x.node.attrs["axes"])
    return apply("broadcast", inner(x), shape=shape, axes=composed)


def _reshape_reshape(x: Traced, *, shape: Shape) -> Traced | None:
    return _reshaped(inner(x), shape) if made_by(x, "reshape") else None


def _reshape_scalar(x: Traced, *, shape: Shape) -> Traced | None:
    return _spread(inner(x), shape, ()) if _is_spread_scalar(x) else None


def _transpose_same(x: Traced, *, axes: Axes) -> Traced | None:
    return x if axes == tuple(range(x.ndim)) else None


def _transpose_transpose(x: Traced, *, axes: Axes) -> Traced | None:
    if not made_by(x, "transpose"):
        return None
    first = x.node.attrs["axes"]
    return apply("transpose", inner(x), axes=tuple(first[a] for a in axes))


def _transpose_broadcast(x: Traced, *, axes: Axes) -> Traced | None:
    """Transposed first, repeated last."""
    if not made_by(x, "broadcast"):
        return None
    kept = [axes.index(a) for a in x.node.attrs["axes"]]
    order = tuple(sorted(range(len(kept)), key=kept.__getitem__))
    shape = tuple(x.shape[a] for a in axes)
    first = apply("transpose", inner(x), axes=order)
    return apply("broadcast", first, shape=shape, axes=tuple(sorted(kept)))


def _transpose_units(x: Traced, *, axes: Axes) -> Traced | None:
    """What moves only axes of length 1 moves no number."""
    long = [a for a in axes if x.shape[a] != 1]
    return _reshaped(x, tuple(x.shape[a] for a in axes)) if long == sorted(long) else None


def _slice_whole(x: Traced, *, region: Region) -> Traced | None:
    return x if region == tuple(map(_whole, x.shape)) else None


def _slice_slice(x: Traced, *, region: Region) -> Traced | None:
    if not made_by(x, "slice"):
        return None
    rest = iter(region)
    composed = tuple(
        first if isinstance(first, int) else _part(first, next(rest))
        for first in x.node.attrs["region"]
    )
    return apply("slice", inner(x), region=composed)


def _part(first: tuple[int, int, int], entry: Any) -> Any:
    """The entry of a region for a part of a part."""
    start, _, step = first
    if isinstance(entry, int):
        return start + entry * step
    again, length, stride = entry
    return (start + again * step, length, step * stride) if length else (0, 0, 1)


def _slice_broadcast(x: Traced, *, region: Region) -> Traced | None:
    """A part of what repeats: the part, repeated."""
    if not made_by(x, "broadcast"):
        return None
    kept = x.node.attrs["axes"]
    inside = tuple(region[a] for a in kept)
    shape = tuple(entry[1] for entry in region if not isinstance(entry, int))
    left = [a for a, entry in enumerate(region) if not isinstance(entry, int)]
    axes = tuple(left.index(a) for a in kept if a in left)
    return _spread(apply("slice", inner(x), region=inside), shape, axes)


def _slice_concatenate(x: Traced, *, region: Region) -> Traced | None:
    """What lies within one of the joined arrays."""
    if not made_by(x, "concatenate"):
        return None
    axis, start = x.node.attrs["axis"], 0
    first, last = _reach(region[axis])
    for one in inputs_of(x):
        stop = start + one.shape[axis]
        if start <= first < stop and start <= last < stop:
            entry = region[axis]
            entry = entry - start if isinstance(entry, int) else (entry[0] - start, *entry[1:])
            return apply("slice", one, region=(*region[:axis], entry, *region[axis + 1 :]))
        start = stop
    return None


def _reach(entry: Any) -> tuple[int, int]:
    """The first and the last place that an entry of a region reads; -1 if it reads none."""
    if isinstance(entry, int):
        return entry, entry
    start, length, step = entry
    return (start, start + (length - 1) * step) if length else (-1, -1)


def _concatenate_empty(first: Traced, *rest: Traced, axis: int) -> Traced | None:
    """Without the arrays of length 0; of one array, that array."""
    long = [x for x in (first, *rest) if x.shape[axis]] or [first]
    if len(long) == 1:
        return long[0]
    return apply("concatenate", *long, axis=axis) if len(long) <= len(rest) else None


def _place_whole(
    part: Traced, *others: Traced, shape: Shape, regions: tuple[Region, ...]
) -> Traced | None:
    """One part that fills the array in order: added to zeros, so that -0 becomes 0."""
    if others or not all(map(_fills, regions[0], shape)):
        return None
    return _plus_zero(_reshaped(part, shape))


def _fills(entry: Any, n: int) -> bool:
    """Whether an entry of a region is all of an axis, in order."""
    return n == 1 if isinstance(entry, int) else entry == _whole(n)


def _plus_zero(x: Traced) -> Traced:
    zero = x.recording.constant(0, x.dtype)
    return apply("add", x, _spread(zero, x.shape, ()))


# Reductions of one number -----------------------------------------------------------------


def _sum_of_one(x: Traced, *, axes: Axes) -> Traced | None:
    """NumPy's sum starts from 0, so that of -0 alone is 0."""
    if any(x.shape[a] != 1 for a in axes):
        return None
    return _plus_zero(_reshaped(x, _left(x, axes)))


def _one_of_one(x: Traced, *, axes: Axes) -> Traced | None:
    return _reshaped(x, _left(x, axes)) if all(x.shape[a] == 1 for a in axes) else None


def _left(x: Traced, axes: Axes) -> Shape:
    return tuple(n for a, n in enumerate(x.shape) if a not in axes)


# Products ---------------------------------------------------------------------------------


def _contract_transposed(x: Traced, y: Traced, *, spec: str) -> Traced | None:
    """Labels in another order instead: NumPy then multiplies the same two matrices, as long
    as what is summed over stays in its order."""
    left, right, out = parse_spec(spec)
    summed = [c for c in left if c in right and c not in out]
    new_left, new_right = _labels(x, left), _labels(y, right)
    if [c for c in new_left if c in summed] != summed:
        new_left = left
    if (new_left, new_right) == (left, right):
        return None
    x = x if new_left == left else inner(x)
    y = y if new_right == right else inner(y)
    return apply("contract", x, y, spec=f"{new_left},{new_right}->{out}")


def _labels(x: Traced, labels: str) -> str:
    """The labels of what x is a transpose of."""
    if not made_by(x, "transpose"):
        return labels
    axes = x.node.attrs["axes"]
    return "".join(labels[axes.index(a)] for a in range(len(axes)))


# Arithmetic and views ---------------------------------------------------------------------


def _inside(name: str) -> Any:
    """A rewrite of an element-wise primitive of views: the view of that primitive."""

    def replace(*xs: Traced, **attrs: Any) -> Traced | None:
        if not xs[0].shape or (name == "cast" and not _exact_cast(xs[0], **attrs)):
            return None
        view: Traced | None = None
        for x in xs:
            if _is_spread_scalar(x):
                continue
            if x.node.primitive.name not in ("broadcast", "reshape", "transpose"):
                return None
            if view is None:
                view = x
            elif not _same_view(view, x):
                return None
        shape = () if view is None else inner(view).shape
        insides = [_spread(inner(x), shape, ()) if _is_spread_scalar(x) else inner(x) for x in xs]
        found = apply(name, *insides, **attrs)
        if view is None:
            return _spread(found, xs[0].shape, ())
        return apply(view.node.primitive.name, found, **view.node.attrs)

    return replace


def _same_view(a: Traced, b: Traced) -> bool:
    return (
        a.node.primitive is b.node.primitive
        and a.node.attrs == b.node.attrs
        and a.node.inputs[0].type.shape == b.node.inputs[0].type.shape
    )


def _exact_cast(x: Traced, *, dtype: str) -> bool:
    """Not from floats to integers: what becomes of NaN differs between vectors and numbers."""
    return x.dtype.kind != "f" or dtype.startswith("float")


VIEWS = (
    Rewrite("broadcast-same", "broadcast", _same_shape, "x spread over its own shape -> x"),
    Rewrite("broadcast-twice", "broadcast", _broadcast_broadcast, "spread twice -> spread once"),
    Rewrite("reshape-same", "reshape", _same_shape, "x in its own shape -> x"),
    Rewrite("reshape-twice", "reshape", _reshape_reshape, "reshaped twice -> reshaped once"),
    Rewrite("reshape-scalar", "reshape", _reshape_scalar, "a spread number, reshaped -> spread"),
    Rewrite("transpose-same", "transpose", _transpose_same, "axes in their own order -> x"),
    Rewrite("transpose-twice", "transpose", _transpose_transpose, "transpose of a transpose"),
    Rewrite("transpose-spread", "transpose", _transpose_broadcast, "spread the other way"),
    Rewrite("transpose-units", "transpose", _transpose_units, "only axes of length 1: a reshape"),
    Rewrite("slice-whole", "slice", _slice_whole, "x[:] -> x"),
    Rewrite("slice-twice", "slice", _slice_slice, "x[2:][1] -> x[3]"),
    Rewrite("slice-spread", "slice", _slice_broadcast, "a part of what repeats, repeated"),
    Rewrite("slice-joined", "slice", _slice_concatenate, "a part of one of the joined arrays"),
    Rewrite("concatenate-one", "concatenate", _concatenate_empty, "joined with nothing -> x"),
    Rewrite("place-whole", "place", _place_whole, "one part that fills the array -> x + 0"),
    Rewrite("sum-of-one", "reduce_sum", _sum_of_one, "sum over axes of length 1 -> x + 0"),
    *(
        Rewrite(f"{name}-of-one", f"reduce_{name}", _one_of_one, "over axes of length 1 -> x")
        for name in ("max", "min")
    ),
    Rewrite("contract-transposed", "contract", _contract_transposed, "xᵀ @ y with labels swapped"),
    *(
        Rewrite(f"{name}-inside", name, _inside(name), f"{name} of views -> a view of {name}")
        for name in EXACT
    ),
)
