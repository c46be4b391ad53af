"""Broadcasting and summing: each is the other's derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import along_axes, with_attrs
from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.node import Node, Primitive
from chainrule.core.recording import Recording
from chainrule.core.rules import Linear, Tangents
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, Shape, array_type
from chainrule.errors import ShapeError
from chainrule.ops.samples import arrays, both, case
from chainrule.ops.structure.moving import reshape

Axes = tuple[int, ...]


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


broadcast = Primitive(
    "broadcast",
    forward=_broadcast_forward,
    infer=_broadcast_infer,
    rule=Linear(lambda i, g, x, shape, axes: _sum_over(g, _others(axes, shape))),
    text="{}",
    latex="{}",
    analytic=True,
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
    batch=with_attrs(
        lambda size, shape, axes: {"shape": (size, *shape), "axes": (0, *[a + 1 for a in axes])}
    ),
)


def _others(axes: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    return tuple(a for a in range(len(shape)) if a not in axes)


def _sum_over(g: Traced, axes: Axes) -> Traced:
    return reduce_sum(g, axes=axes) if axes else g


def broadcast_in(x: Traced, shape: Shape, axes: tuple[int, ...]) -> Traced:
    return x if x.shape == shape else broadcast(x, shape=shape, axes=axes)


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


def _repeated(x: Traced, size: int) -> Traced:
    """``x`` in each of ``size`` rows, the first axis; what repeats already is repeated once."""
    shape = (size, *x.shape)
    if x.node.primitive is broadcast:
        inner = Traced(x.node.inputs[0], x.recording)
        return broadcast_in(inner, shape, tuple(a + 1 for a in x.node.attrs["axes"]))
    return broadcast_in(x, shape, tuple(range(1, len(shape))))


FUNCTIONS["spread"] = broadcast_to
FUNCTIONS["repeated"] = _repeated


def kept_shape(x: ArrayType, axes: Axes) -> tuple[int, ...]:
    if any(not 0 <= a < x.ndim for a in axes) or list(axes) != sorted(set(axes)):
        raise ShapeError(f"axes {axes} are not increasing axes of {x}")
    return tuple(n for a, n in enumerate(x.shape) if a not in axes)


def reduced_type(x: ArrayType, *, axes: Axes) -> ArrayType:
    return array_type(kept_shape(x, axes), x.dtype)


def spread(g: Traced, x: Traced, axes: Axes) -> Traced:
    """``g``, reduced from ``x`` along ``axes``, repeated over them again."""
    return broadcast_in(g, x.shape, tuple(a for a in range(x.ndim) if a not in axes))


MATRICES = both(
    lambda: [
        case(*arrays((2, 3)), axes=(1,)),
        case(*arrays((2, 3)), axes=(0, 1)),
        case(*arrays((3, 2, 4)), axes=(0, 2)),
    ]
)


class _Sum(Linear):
    def support(self, node: Node, masks: Tangents, recording: Recording) -> Traced | None:
        """Comparison with constants picks an entry of each row, as the classes of a loss do: it is
        not asked in each step of training whether it left out a whole one."""
        (mask,) = masks
        assert mask is not None
        picks = mask.node.primitive.name == "equal"
        if picks and any(x.is_constant for x in mask.node.inputs):
            return None
        return super().support(node, masks, recording)


reduce_sum = Primitive(
    "reduce_sum",
    forward=lambda x, axes: x.sum(axes, dtype=x.dtype),
    infer=reduced_type,
    rule=_Sum(lambda i, g, x, axes: spread(g, x, axes)),
    text="Σ {}",
    latex=r"\sum {}",
    analytic=True,
    teaches="A sum hands its gradient to every term.",
    samples=both(lambda: [*MATRICES(), case(*arrays((0, 3)), axes=(0,))]),
    batch=along_axes,
)
