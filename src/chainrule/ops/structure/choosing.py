"""Choosing between arrays, and the counts of positions that masks are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import Rows, leading, with_attrs
from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.node import Node, Primitive
from chainrule.core.rules import Linear
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, Shape, array_type
from chainrule.errors import DtypeError, ShapeError, UsageError
from chainrule.ops.samples import arrays, both, case
from chainrule.ops.structure.spreading import broadcast, broadcast_to


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


def is_zero(node: Any) -> bool:
    """Whether a node is written as 0."""
    if node.primitive is broadcast:
        (node,) = node.inputs
    return node.primitive.name == "constant" and not any(node.attrs["value"])


def _select_shows(node: Node) -> int:
    _, a, b = node.inputs
    return 1 if is_zero(b) else 2 if is_zero(a) else 0


select = Primitive(
    "select",
    forward=lambda c, a, b: np.where(c, a, b),
    infer=_select_infer,
    rule=Linear(_select_transpose, constant=lambda i: i == 0, hides=True),
    text="where({}, {}, {})",
    latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    analytic=True,
    teaches="A choice routes the gradient to the branch that was taken.",
    samples=both(
        lambda: [
            case([True, False, True], *arrays((3,), (3,))),
            case(np.array(True), 1.5, -2.5),
            case(np.zeros((0, 2), bool), *arrays((0, 2), (0, 2))),
        ]
    ),
    shows=_select_shows,
    batch=leading,
)

FUNCTIONS["masked"] = lambda condition, x: select(condition, x, _zeros(x))

# demanding ---------------------------------------------------------------------------------


def _require_infer(x: ArrayType, holds: ArrayType, *, message: str) -> ArrayType:
    if holds.dtype.kind != "b":
        raise DtypeError(f"require takes a condition of bool, not {holds.dtype}")
    return x


def _require_forward(x: Any, holds: Any, *, message: str) -> Any:
    if not np.all(holds):
        raise UsageError(message)
    return x


def _require_batch(rows: Rows) -> Traced:
    """What is demanded is demanded of every row; its shape is its own."""
    x, _ = rows.full()
    return require(x, rows.inputs[1], **rows.attrs)


require = Primitive(
    "require",
    forward=_require_forward,
    infer=_require_infer,
    rule=Linear(lambda i, g, x, holds, message: g, constant=lambda i, **attrs: i == 1),
    text="{0}",
    latex="{0}",
    analytic=True,
    teaches="A condition on values is checked when they are known; the value passes unchanged.",
    samples=both(lambda: [case(*arrays((3,)), [True, True], message="the values must be right")]),
    batch=_require_batch,
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
    batch=with_attrs(lambda size, shape, axis: {"shape": (size, *shape), "axis": axis + 1}),
)


def positions(x: Traced, shape: Shape, axis: int) -> Traced:
    """0, 1, 2, ... along ``axis``, repeated over the others; ``x`` gives the recording."""
    return iota(x.recording.constant(0, np.dtype(np.int64)), shape=shape, axis=axis)
