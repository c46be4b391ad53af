"""The finite differences of ``np.gradient`` along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.ops.coerce import float_of


def along_axis(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    n = f.shape[axis]
    if edge_order not in (1, 2):
        raise ShapeError(f"np.gradient: edge_order must be 1 or 2, not {edge_order}")
    if n < edge_order + 1:
        raise ShapeError(f"np.gradient: axis {axis} of {f.type} is too short")
    f = np.moveaxis(float_of(f), axis, -1)
    d = np.diff(h) if np.ndim(h) else np.full(n - 1, 1.0) * h
    if np.shape(d) != (n - 1,):
        raise ShapeError(f"np.gradient: coordinates of shape {np.shape(h)} for length {n}")
    left, right = d[:-1], d[1:]
    inside = (
        -right / (left * (left + right)) * f[..., :-2]
        + (right - left) / (left * right) * f[..., 1:-1]
        + left / (right * (left + right)) * f[..., 2:]
    )
    if edge_order == 1:
        first = (f[..., 1:2] - f[..., 0:1]) / d[0]
        last = (f[..., -1:] - f[..., -2:-1]) / d[-1]
    else:
        first = _edge(f[..., 0:1], f[..., 1:2], f[..., 2:3], d[0], d[1])
        last = -_edge(f[..., -1:], f[..., -2:-1], f[..., -3:-2], d[-1], d[-2])
    return np.moveaxis(np.concatenate([first, inside, last], axis=-1), -1, axis)


def _edge(f0: Any, f1: Any, f2: Any, a: Any, b: Any) -> Any:
    """Second-order one-sided difference at f0, with steps a and then b away from it."""
    return -(2 * a + b) / (a * (a + b)) * f0 + (a + b) / (a * b) * f1 - a / (b * (a + b)) * f2
