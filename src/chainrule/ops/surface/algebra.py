"""``np.linalg``: norms, inverses, factorisations."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.core.dispatch import implements
from chainrule.core.types import broadcast_shapes, normalize_axes
from chainrule.errors import ShapeError, UnsupportedError
from chainrule.ops import linalg as la
from chainrule.ops import structure
from chainrule.ops.coerce import common_float, float_of, lift, plain, recording_of
from chainrule.ops.surface.reductions import safe_sqrt

results = np.linalg._linalg  # type: ignore[attr-defined]


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = float_of(plain(x))
    if axis is None and ord is None:
        total = np.sum(x * x)
        return np.reshape(safe_sqrt(total), (1,) * x.ndim) if keepdims else safe_sqrt(total)
    if axis is None:
        if x.ndim not in (1, 2):
            raise ShapeError(f"np.linalg.norm of order {ord} of {x.type}: give the axis")
        axis = tuple(range(x.ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(a % x.ndim for a in (operator.index(a) for a in axes))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ShapeError("np.linalg.norm takes one or two axes")


def _vector_norm(x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    size = np.abs(x)
    if order is None or order == 2:
        return safe_sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    if order == np.inf:
        return np.max(size, axis=axis, keepdims=keepdims)
    if order == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if order == 0:
        return np.sum((x != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if order == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if not isinstance(order, (int, float)):
        raise UnsupportedError(f"np.linalg.norm: invalid order {order!r} for vectors")
    total = np.sum(size**order, axis=axis, keepdims=keepdims)
    zero = total == 0
    one = np.ones((), x.dtype)
    return np.where(zero, total, np.where(zero, one, total) ** (1 / order))


def _matrix_norm(x: Any, order: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if order in (None, "fro", "f"):
        return safe_sqrt(np.sum(x * x, axis=axes, keepdims=keepdims))
    moved = np.moveaxis(x, axes, (-2, -1))
    if order in (1, -1, np.inf, -np.inf):
        sums = np.sum(np.abs(moved), axis=-2 if abs(order) == 1 else -1)
        found = (np.max if order > 0 else np.min)(sums, axis=-1)
    elif order in (2, -2, "nuc"):
        s = np.linalg.svd(moved, compute_uv=False)
        found = {2: lambda: s[..., 0], -2: lambda: s[..., -1], "nuc": lambda: np.sum(s, axis=-1)}[
            order
        ]()
    else:
        raise UnsupportedError(f"np.linalg.norm: invalid order {order!r} for matrices")
    if not keepdims:
        return found
    return np.reshape(found, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = float_of(plain(x))
    axes = normalize_axes(axis, x.ndim)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    flat = np.reshape(np.transpose(x, rest + axes), (*[x.shape[a] for a in rest], -1))
    found = _vector_norm(flat, ord, -1, False)
    if not keepdims:
        return found
    return np.reshape(found, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    x = float_of(plain(x))
    return _matrix_norm(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    return la.inv(float_of(a))


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    if hermitian:
        raise UnsupportedError("np.linalg.pinv(hermitian=True): leave it out")
    a = float_of(a)
    cut = rcond if rtol is None or rtol is np._NoValue else rtol  # type: ignore[attr-defined]
    if cut is None:
        cut = 1e-15 if rtol is not None else max(a.shape[-2:]) * np.finfo(a.dtype).eps
    return la.pinv(a, rcond=float(cut))


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    a, b = plain(a), plain(b)
    recording, dtype = recording_of((a, b)), common_float(a, b)
    a, b = lift(a, recording, dtype), lift(b, recording, dtype)
    vector = b.ndim == 1
    if vector:
        b = np.expand_dims(b, -1)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.shape[-1] != b.shape[-2]:
        raise ShapeError(f"np.linalg.solve: {a.type} and right-hand side {b.type} do not fit")
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = structure.broadcast_to(a, batch + a.shape[-2:])
    found = la.solve(a, structure.broadcast_to(b, batch + b.shape[-2:]))
    return found[..., 0] if vector else found


@implements(np.linalg.det)
def det(a: Any) -> Any:
    return la.determinant(float_of(a))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    packed = la.slogdet(float_of(a))
    return results.SlogdetResult(packed[..., 0], packed[..., 1])


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    lower = la.cholesky(_symmetric(a, "L"))
    return la.mt(lower) if upper else lower


def _symmetric(a: Any, UPLO: str) -> Any:
    """The matrix that LAPACK reads: one triangle, mirrored."""
    a = float_of(a)
    half = la.triangle(a, 0, lower=UPLO.upper() == "L")
    strict = la.triangle(a, -1 if UPLO.upper() == "L" else 1, lower=UPLO.upper() == "L")
    return half + la.mt(strict)


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    packed = la.eigh(_symmetric(a, UPLO))
    return results.EighResult(packed[..., 0, :], packed[..., 1:, :])


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return la.eigh(_symmetric(a, UPLO))[..., 0, :]


@implements(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    a = float_of(a)
    if hermitian:
        raise UnsupportedError("np.linalg.svd(hermitian=True): use np.linalg.eigh")
    if compute_uv and full_matrices and a.shape[-1] != a.shape[-2]:
        raise UnsupportedError(
            "np.linalg.svd(full_matrices=True) of a matrix that is not square: the extra vectors "
            "have no derivative; pass full_matrices=False"
        )
    u, s, vh = la.svd_parts(la.svd(a), a)
    return results.SVDResult(u, s, vh) if compute_uv else s


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    if p in (None, 2):
        s = svd(x, compute_uv=False)
        return s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    n = operator.index(n)
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    found = None
    while n:
        if n & 1:
            found = a if found is None else found @ a
        n >>= 1
        a = a @ a if n else a
    return found


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    found = arrays[0]
    for a in arrays[1:]:
        found = np.dot(found, a)
    return found
