"""Primitives along axes: products, extrema, cumulative ones, orderings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.batching import Rows, along_axes, along_axis, leading
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom, Linear, Multilinear
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, array_type
from chainrule.errors import DtypeError, ShapeError
from chainrule.ops.samples import arrays, both, case
from chainrule.ops.structure import broadcast_in, concatenate, slice_
from chainrule.ops.structure.spreading import (
    MATRICES,
    Axes,
    kept_shape,
    reduce_sum,
    reduced_type,
    spread,
)

ROWS = both(
    lambda: [case(*arrays((4,)), axis=0), case(*arrays((2, 3)), axis=1),
             case(*arrays((3, 2)), axis=0)]
)  # fmt: skip


def _extremum_vjp(g: Traced, y: Traced, x: Traced, *, axes: Axes) -> list[Any]:
    hit = (x == spread(y, x, axes)).astype(x.dtype)
    share = g / reduce_sum(hit, axes=axes)
    return [spread(share, x, axes) * hit]


def _extremum(name: str, reduction: Any, word: str) -> Primitive:
    def infer(x: ArrayType, *, axes: Axes) -> ArrayType:
        if any(x.shape[a] == 0 for a in axes):
            raise ShapeError(f"the {word} of no elements: {x} along axes {axes} is undefined")
        return reduced_type(x, axes=axes)

    return Primitive(
        name,
        forward=lambda x, axes: reduction(x, axis=axes),
        infer=infer,
        rule=Custom(_extremum_vjp, why="the share of a tie depends on how many entries tie"),
        text=f"{word} {{}}",
        latex=rf"\{word} {{}}",
        teaches=f"The {word}imum routes the gradient to the entry that won; ties share equally.",
        samples=both(lambda: [*MATRICES(), case([1.0, 2.0, 2.0], axes=(0,), smooth=False)]),
        batch=along_axes,
    )


reduce_max = _extremum("reduce_max", np.max, "max")
reduce_min = _extremum("reduce_min", np.min, "min")


def _logical(name: str, reduction: Any) -> Primitive:
    def infer(x: ArrayType, *, axes: Axes) -> ArrayType:
        return array_type(kept_shape(x, axes), np.dtype(bool))

    return Primitive(
        name,
        forward=lambda x, axes: reduction(x, axis=axes),
        infer=infer,
        text=f"{name[7:]} {{}}",
        teaches="Logic carries no gradient.",
        samples=lambda: [case([[True, False], [True, True]], axes=(1,))],
        batch=along_axes,
    )


reduce_any = _logical("reduce_any", np.any)
reduce_all = _logical("reduce_all", np.all)


def _axis_check(x: ArrayType, axis: int) -> None:
    if not 0 <= axis < x.ndim:
        raise ShapeError(f"axis {axis} is out of bounds for {x}")


def _argument(name: str, reduction: Any) -> Primitive:
    def infer(x: ArrayType, *, axis: int) -> ArrayType:
        _axis_check(x, axis)
        if x.shape[axis] == 0:
            raise ShapeError(f"{name} of no elements: {x} along axis {axis}")
        return array_type(kept_shape(x, (axis,)), np.dtype(np.int64))

    return Primitive(
        name,
        forward=lambda x, axis: reduction(x, axis=axis).astype(np.int64, copy=False),
        infer=infer,
        text=f"{name} {{}}",
        teaches="A position jumps and is flat between: it has no gradient.",
        samples=ROWS,
        batch=along_axis,
    )


argmax = _argument("argmax", np.argmax)
argmin = _argument("argmin", np.argmin)


def _argsort_infer(x: ArrayType, *, axis: int) -> ArrayType:
    _axis_check(x, axis)
    return array_type(x.shape, np.dtype(np.int64))


argsort = Primitive(
    "argsort",
    forward=lambda x, axis: np.argsort(x, axis=axis, kind="stable").astype(np.int64, copy=False),
    infer=_argsort_infer,
    text="argsort {}",
    teaches="Sorting routes each gradient back along the permutation it found.",
    samples=ROWS,
    batch=along_axis,
)


def _by_rows(f: Callable[..., Any], a: Any, *rest: Any) -> Any:
    """``f`` of vectors, applied to each of those along the last axis of ``a``; its leading axes
    are those of the others too."""
    batch = a.shape[:-1]
    if not batch:
        return f(a, *rest)
    rows = [f(*(x[i] for x in (a, *rest))) for i in np.ndindex(batch)]
    if not rows:
        one = f(*(np.ones(x.shape[len(batch) :], x.dtype) for x in (a, *rest)))
        return np.zeros((*batch, *one.shape), one.dtype)
    return np.stack(rows).reshape(*batch, *rows[0].shape)


def _searchsorted_forward(a: Any, v: Any, *, side: Any) -> Any:
    def search(a: Any, v: Any) -> Any:
        return np.asarray(np.searchsorted(a, v, side=side)).astype(np.int64, copy=False)

    return _by_rows(search, a, v)


def _searchsorted_infer(a: ArrayType, v: ArrayType, *, side: str) -> ArrayType:
    if not a.ndim or v.shape[: a.ndim - 1] != a.shape[:-1]:
        raise ShapeError(f"searchsorted takes vectors with the leading axes of {v}, not {a}")
    return array_type(v.shape, np.dtype(np.int64))


def _searchsorted_batch(rows: Rows) -> Traced:
    a, v = rows.inputs if rows.node.inputs[0].type.ndim == 1 and not rows.mapped[0] else rows.full()
    return searchsorted(a, v, **rows.attrs)


searchsorted = Primitive(
    "searchsorted",
    forward=_searchsorted_forward,
    infer=_searchsorted_infer,
    text="searchsorted({}, {})",
    teaches="A position jumps and is flat between: it has no gradient.",
    samples=lambda: [
        case([0.0, 1.0, 2.0], [0.5, 1.0, 5.0], side="left"),
        case([[0.0, 1.0], [1.0, 1.0]], [[0.5, 1.0], [1.0, 2.0]], side="right"),
    ],
    batch=_searchsorted_batch,
)

# cumulative -------------------------------------------------------------------------------


def _same_along(x: ArrayType, *rest: ArrayType, axis: int) -> ArrayType:
    _axis_check(x, axis)
    for other in rest:
        if other != x:
            raise ShapeError(f"arguments of types {x} and {other} must agree")
    return x


def flip(x: Traced, axis: int) -> Traced:
    region = [(0, n, 1) for n in x.shape]
    n = x.shape[axis]
    region[axis] = (max(n - 1, 0), n, -1)
    return slice_(x, region=tuple(region)) if n else x


def shifted(x: Traced, axis: int, fill: float) -> Traced:
    """``x`` moved one place on along ``axis``: ``fill`` enters, the last entry leaves."""
    n = x.shape[axis]
    if n == 0:
        return x
    region = [(0, m, 1) for m in x.shape]
    region[axis] = (0, n - 1, 1)
    edge = tuple(1 if a == axis else m for a, m in enumerate(x.shape))
    first = broadcast_in(x.recording.constant(fill, x.dtype), edge, ())
    return concatenate(first, slice_(x, region=tuple(region)), axis=axis)


cumsum = Primitive(
    "cumsum",
    forward=lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
    infer=_same_along,
    rule=Linear(lambda i, g, x, axis: flip(cumsum(flip(g, axis), axis=axis), axis)),
    text="cumsum({})",
    latex=r"\operatorname{{cumsum}}\left({}\right)",
    analytic=True,
    teaches="An entry is in all later sums, so it collects all later gradients.",
    samples=ROWS,
    batch=along_axis,
)


def _recurrence_forward(a: Any, b: Any, *, axis: int) -> Any:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    y = np.array(b, np.result_type(a, b))
    for k in range(1, len(y)):
        y[k] += a[k] * y[k - 1]
    return np.moveaxis(y, 0, axis)


def _recurrence_vjp(g: Traced, y: Traced, a: Traced, b: Traced, *, axis: int) -> list[Any]:
    later = flip(shifted(flip(a, axis), axis, 0), axis)  # a[k+1] in place k, 0 at the end
    back = flip(recurrence(flip(later, axis), flip(g, axis), axis=axis), axis)
    return [back * shifted(y, axis, 0), back]


recurrence = Primitive(
    "recurrence",
    forward=_recurrence_forward,
    infer=_same_along,
    rule=Custom(_recurrence_vjp, why="linear in the start, a product of factors in the others"),
    text="recurrence({}, {})",
    latex=r"\operatorname{{rec}}\left({}, {}\right)",
    teaches="y[k] = a[k]·y[k−1] + b[k] runs backwards as the same recurrence.",
    samples=both(
        lambda: [case(*arrays((4,), (4,)), axis=0), case(*arrays((2, 3), (2, 3)), axis=1)]
    ),
    batch=along_axis,
)


def _cumprod_vjp(g: Traced, y: Traced, x: Traced, *, axis: int) -> list[Any]:
    """x[k] times everything before it, and every later product again without dividing by
    x[k], so zeros are exact."""
    before = shifted(y, axis, 1)
    later = flip(shifted(flip(x, axis), axis, 0), axis)
    after = flip(recurrence(flip(later, axis), flip(g, axis), axis=axis), axis)
    return [before * after]


cumprod = Primitive(
    "cumprod",
    forward=lambda x, axis: np.cumprod(x, axis=axis, dtype=x.dtype),
    infer=_same_along,
    rule=Custom(_cumprod_vjp, why="dividing the product by a factor fails where it is 0"),
    text="cumprod({})",
    latex=r"\operatorname{{cumprod}}\left({}\right)",
    analytic=True,
    teaches="An entry scales all later products; zeros are handled without dividing.",
    samples=both(lambda: [case([2.0, 0.0, 3.0, 0.0], axis=0), case(*arrays((2, 3)), axis=1)]),
    batch=along_axis,
)


def _prod_infer(x: ArrayType, *, axis: int) -> ArrayType:
    _axis_check(x, axis)
    return array_type(kept_shape(x, (axis,)), x.dtype)


def _prod_vjp(g: Traced, y: Traced, x: Traced, *, axis: int) -> list[Any]:
    before = shifted(cumprod(x, axis=axis), axis, 1)
    after = flip(shifted(cumprod(flip(x, axis), axis=axis), axis, 1), axis)
    return [spread(g, x, (axis,)) * (before * after)]


reduce_prod = Primitive(
    "reduce_prod",
    forward=lambda x, axis: np.prod(x, axis=axis, dtype=x.dtype),
    infer=_prod_infer,
    rule=Custom(_prod_vjp, why="dividing the product by a factor fails where it is 0"),
    text="Π {}",
    latex=r"\prod {}",
    analytic=True,
    teaches="Each factor's slope is the product of all the others.",
    samples=both(
        lambda: [case([2.0, 0.0, 3.0], axis=0), case([0.0, 0.0, 3.0], axis=0),
                 case(*arrays((2, 3)), axis=1)]
    ),
    batch=along_axis,
)  # fmt: skip

# convolution ------------------------------------------------------------------------------


def _convolve_infer(a: ArrayType, v: ArrayType) -> ArrayType:
    if not a.ndim or not v.ndim or a.shape[:-1] != v.shape[:-1]:
        raise ShapeError(f"convolve takes vectors in the last axis of each, not {a} and {v}")
    if not a.shape[-1] or not v.shape[-1]:
        raise ShapeError(f"convolve takes non-empty vectors, not {a} and {v}")
    if a.dtype != v.dtype:
        raise DtypeError(f"convolve takes one dtype, not {a} and {v}")
    return array_type((*a.shape[:-1], a.shape[-1] + v.shape[-1] - 1), a.dtype)


def _correlate(g: Traced, v: Traced, n: int) -> Traced:
    """Entries m−1 ... m+n−2 of the convolution of g with v reversed, m = len(v)."""
    full = convolve(g, flip(v, v.ndim - 1))
    return slice_(full, region=(*[(0, m, 1) for m in g.shape[:-1]], (v.shape[-1] - 1, n, 1)))


convolve = Primitive(
    "convolve",
    forward=lambda a, v: _by_rows(np.convolve, a, v),
    infer=_convolve_infer,
    rule=Multilinear(
        (
            lambda g, a, v: _correlate(g, v, a.shape[-1]),
            lambda g, a, v: _correlate(g, a, v.shape[-1]),
        )
    ),
    text="{} ∗ {}",
    latex="{} * {}",
    analytic=True,
    teaches="A convolution runs backwards as a correlation with the other signal.",
    samples=both(
        lambda: [case(*arrays((5,), (3,))), case(*arrays((1,), (4,))),
                 case(*arrays((2, 3), (2, 2)))]
    ),
    batch=leading,
)  # fmt: skip
