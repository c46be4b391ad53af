"""Finite differences: diff, gradient, trapezoid."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.dispatch import implements
from chainrule.core.types import normalize_axis
from chainrule.errors import ShapeError
from chainrule.ops.coerce import float_of, plain


def along_axis(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    n = f.shape[axis]
    if edge_order not in (1, 2):
        raise ShapeError(f"np.gradient: edge_order must be 1 or 2, not {edge_order}")
    if n < edge_order + 1:
        raise ShapeError(f"np.gradient: axis {axis} of {f.type} is too short")
    f = np.moveaxis(float_of(plain(f)), axis, -1)
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
    found = np.concatenate([first, inside, last], axis=-1)
    return np.astype(np.moveaxis(found, -1, axis), f.dtype)


def _edge(f0: Any, f1: Any, f2: Any, a: Any, b: Any) -> Any:
    """Second-order one-sided difference at f0, with steps a and then b away from it."""
    return -(2 * a + b) / (a * (a + b)) * f0 + (a + b) / (a * b) * f1 - a / (b * (a + b)) * f2


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Any:
    if n < 0:
        raise ShapeError(f"np.diff: order {n} is negative")
    not_given = (None, np._NoValue)  # type: ignore[attr-defined]
    a = plain(a)
    axis = normalize_axis(axis, np.ndim(a))
    ends = [None if any(e is x for x in not_given) else e for e in (prepend, append)]
    parts = [_end(ends[0], a, axis), a, _end(ends[1], a, axis)]
    if any(end is not None for end in ends):
        a = np.concatenate([p for p in parts if p is not None], axis)
    head = (slice(None),) * axis
    for _ in range(n):
        step = np.not_equal if a.dtype.kind == "b" else np.subtract
        a = step(a[(*head, slice(1, None))], a[(*head, slice(None, -1))])
    return a


def _end(value: Any, a: Any, axis: int) -> Any:
    if value is None or np.ndim(value):
        return value
    return np.broadcast_to(value, tuple(1 if k == axis else n for k, n in enumerate(a.shape)))


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = plain(ary)
    parts = [diff(np.ravel(ary))]
    if to_begin is not None:
        parts.insert(0, np.astype(np.ravel(plain(to_begin)), ary.dtype))
    if to_end is not None:
        parts.append(np.astype(np.ravel(plain(to_end)), ary.dtype))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    y = np.moveaxis(plain(y), axis, -1)
    if x is None:
        step: Any = dx
    else:
        step = np.diff(x) if np.ndim(x) == 1 else np.moveaxis(np.diff(x, axis=axis), axis, -1)
    return np.sum(step * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order central differences inside; one-sided of ``edge_order`` at the edges."""
    f = plain(f)
    axes = range(f.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [normalize_axis(k, f.ndim) for k in axes]
    spacing = list(varargs) or [1.0]
    if len(spacing) == 1:
        spacing *= len(axes)
    if len(spacing) != len(axes):
        raise ShapeError(f"np.gradient: {len(varargs)} spacings for {len(axes)} axes")
    found = [along_axis(f, h, k, edge_order) for h, k in zip(spacing, axes, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)
