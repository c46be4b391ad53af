"""Primitives that move numbers without changing them, or change only their precision: identity,
cast, reshape, transpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import leading, with_attrs
from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.node import Primitive
from chainrule.core.rules import Linear
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, Shape, array_type, check_dtype, size_of
from chainrule.errors import ShapeError
from chainrule.ops.samples import arrays, both, case

identity = Primitive(
    "identity",
    forward=lambda x: x,
    infer=lambda x: x,
    rule=Linear(lambda i, g, x: g),
    text="{}",
    latex="{}",
    analytic=True,
    teaches="A copy passes its gradient through unchanged.",
    samples=both(lambda: [case(*arrays((2, 3)))]),
    batch=leading,
)
FUNCTIONS["fresh"] = lambda x: x.recording.new_node(identity, (x,), x.type)


stop_gradient = Primitive(
    "stop_gradient",
    forward=lambda x: x,
    infer=lambda x: x,
    text=r"stop({})",
    latex=r"\operatorname{{stop}}\left({}\right)",
    decree="stopped",
    teaches="Nothing flows back through a stopped value: it counts as a constant.",
    samples=both(lambda: [case(*arrays((3,)))]),
    batch=leading,
)


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
    analytic=True,
    teaches="A change of precision passes the gradient back in the precision it came from.",
    samples=lambda: [
        case(*arrays((2, 3)), dtype="float32", smooth=False),
        case([1.5, -2.5], dtype="int64"),
    ],
    batch=leading,
)


def cast(x: Traced, dtype: Any) -> Traced:
    dtype = np.dtype(dtype)
    check_dtype(dtype)
    return x if x.dtype == dtype else _cast(x, dtype=dtype.name)


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
    analytic=True,
    teaches="Reshaping moves no number, so the gradient is reshaped back.",
    samples=both(
        lambda: [case(*arrays((2, 3)), shape=(3, 2)), case(1.5, shape=(1, 1)),
                 case(*arrays((0, 2)), shape=(0,))]
    ),
    batch=with_attrs(lambda size, shape: {"shape": (size, *shape)}),
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
    analytic=True,
    teaches="Transposing moves no number, so the gradient is transposed back.",
    samples=both(
        lambda: [case(*arrays((2, 3)), axes=(1, 0)), case(*arrays((2, 3, 4)), axes=(2, 0, 1)),
                 case(*arrays((0, 2)), axes=(1, 0))]
    ),
    batch=with_attrs(lambda size, axes: {"axes": (0, *[a + 1 for a in axes])}),
)  # fmt: skip


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def transpose(x: Traced, axes: tuple[int, ...]) -> Traced:
    return x if axes == tuple(range(x.ndim)) else _transpose(x, axes=axes)
