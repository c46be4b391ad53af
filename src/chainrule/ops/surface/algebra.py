"""``np.linalg``: norms, inverses, factorisations."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.core.dispatch import implements
from chainrule.core.traced import known_value
from chainrule.core.types import broadcast_shapes, normalize_axes, size_of
from chainrule.errors import ShapeError, UnsupportedError
from chainrule.ops import linalg as la
from chainrule.ops import structure
from chainrule.ops.analytic import length
from chainrule.ops.coerce import common_float, float_of, lift, plain, recording_of
from chainrule.ops.surface.arguments import refuse

results = np.linalg._linalg  # type: ignore[attr-defined]


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = float_of(plain(x))
    if axis is None and ord is None:
        found = length(x, lambda x: np.sum(x * x), tuple(range(x.ndim)))
        return np.reshape(found, (1,) * x.ndim) if keepdims else found
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
    if order is None or order == 2:
        return length(x, lambda x: np.sum(x * x, axis=axis, keepdims=keepdims), (axis,))
    size = np.abs(x)
    if order == np.inf:
        return np.max(size, axis=axis, keepdims=keepdims, initial=0)
    if order == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if order == 0:
        return np.sum((x != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if order == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if not isinstance(order, (int, float)):
        raise UnsupportedError(f"np.linalg.norm: invalid order {order!r} for vectors")

    def total(x: Any) -> Any:
        return np.sum(np.abs(x) ** order, axis=axis, keepdims=keepdims)

    return length(x, total, (axis,), order)


def _matrix_norm(x: Any, order: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    flat = order in (2, -2, "nuc") and min(x.shape[a] for a in axes) == 1  # a vector, in effect
    if flat or order in (None, "fro", "f"):
        return length(x, lambda x: np.sum(x * x, axis=axes, keepdims=keepdims), axes)
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


@implements(np.linalg.inv, checks=True)
def inv(a: Any) -> Any:
    return la.inv(float_of(a))


@implements(np.linalg.pinv, checks=True)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    if hermitian:
        raise UnsupportedError("np.linalg.pinv(hermitian=True): leave it out")
    if (
        a.ndim > 1 and 0 in a.shape[-2:] and a.dtype.kind in "biu"
    ):  # NumPy keeps the dtype of nothing
        return np.matrix_transpose(a)
    a = float_of(a)
    cut = rcond if rtol is None or rtol is np._NoValue else rtol  # type: ignore[attr-defined]
    if cut is None:
        cut = 1e-15 if rtol is not None else max(a.shape[-2:]) * np.finfo(a.dtype).eps
    return la.pinv(a, rcond=float(cut))


@implements(np.linalg.solve, checks=True)
def solve(a: Any, b: Any) -> Any:
    a, b = float_of(plain(a)), float_of(plain(b))
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


@implements(np.linalg.det, checks=True)
def det(a: Any) -> Any:
    return la.determinant(float_of(a))


@implements(np.linalg.slogdet, checks=True)
def slogdet(a: Any) -> Any:
    packed = la.slogdet(float_of(a))
    return results.SlogdetResult(packed[..., 0], packed[..., 1])


@implements(np.linalg.cholesky, checks=True)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    lower = la.cholesky(_symmetric(a, "U" if upper else "L"))
    return la.mt(lower) if upper else lower


def _symmetric(a: Any, UPLO: str) -> Any:
    """The matrix that LAPACK reads: one triangle, mirrored."""
    a = float_of(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"it takes square matrices in the last two axes, not {a.type}")
    lower = _side(UPLO) == "L"
    half, strict = la.triangle(a, 0, lower=lower), la.triangle(a, -1 if lower else 1, lower=lower)
    return half + la.mt(strict)


def _side(UPLO: Any) -> str:
    side = UPLO.upper() if isinstance(UPLO, str) else UPLO
    if side not in ("L", "U"):
        raise UnsupportedError(f"UPLO must be 'L' or 'U', not {UPLO!r}")
    return side


@implements(np.linalg.eigh, checks=True)
def eigh(a: Any, UPLO: str = "L") -> Any:
    packed = la.eigh(_symmetric(a, UPLO), uplo=_side(UPLO))
    return results.EighResult(packed[..., 0, :], packed[..., 1:, :])


@implements(np.linalg.eigvalsh, checks=True)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return la.eigh(_symmetric(a, UPLO), uplo=_side(UPLO))[..., 0, :]


@implements(np.linalg.svd, checks=True)
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


@implements(np.linalg.svdvals, checks=True)
def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


@implements(np.linalg.qr, checks=True)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Of a wide matrix the first columns that make a square are factored; Qᵀ turns the others."""
    a = float_of(a)
    if a.ndim < 2:
        raise ShapeError(f"it takes matrices in the last two axes, not {a.type}")
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise UnsupportedError(f"mode={mode!r} is not recorded: use mode='reduced' or 'r'")
    packed = la.qr(a[..., :m])
    q, r = packed[..., :m, :], packed[..., m:, :]
    if n > m:
        r = np.concatenate([r, la.mt(q) @ a[..., m:]], axis=-1)
    return r if mode == "r" else results.QRResult(q, r)


@implements(np.linalg.lstsq, checks=True)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """By the pseudo-inverse. How many residuals there are depends on the rank, so on values."""
    a, b = float_of(plain(a)), float_of(plain(b))
    recording, dtype = recording_of((a, b)), common_float(a, b)
    a, b = lift(a, recording, dtype), lift(b, recording, dtype)
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ShapeError(f"a matrix {a.type} and right-hand sides {b.type} do not fit")
    m, n = a.shape
    eps = float(np.finfo(dtype).eps)
    cut = eps * max(m, n) if rcond is None else eps if rcond < 0 else float(rcond)
    s = svdvals(a)
    needed = "np.linalg.lstsq, whose number of residuals depends on the rank (use np.linalg.pinv),"
    rank = np.int32(np.sum(known_value(s > cut * s[0], needed)))
    x = la.pinv(a, rcond=cut) @ b
    if rank < n or m <= n:
        return x, np.zeros(0, dtype), rank, s
    residuals = np.sum((b - a @ x) ** 2, axis=0)
    return x, np.reshape(residuals, (residuals.size,)), rank, s


@implements(np.linalg.matrix_rank, checks=True)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    if hermitian:
        raise UnsupportedError("hermitian=True: leave it out, the result is the same")
    if A.ndim < 2:
        some: Any = np.any(A != 0)
        return np.astype(some, np.int64)
    s = svdvals(A)
    if tol is None:
        share = rtol if rtol is not None else max(A.shape[-2:]) * float(np.finfo(s.dtype).eps)
        tol = np.max(s, axis=-1, keepdims=True) * share
    else:
        tol = np.expand_dims(tol, -1)
    return np.sum(s > tol, axis=-1)


@implements(np.linalg.tensorinv, checks=True)
def tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ShapeError(f"ind must be positive, not {ind}")
    flat = np.reshape(a, (size_of(a.shape[ind:]), -1))
    return np.reshape(inv(flat), a.shape[ind:] + a.shape[:ind])


@implements(np.linalg.tensorsolve, checks=True)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = plain(a), plain(b)
    if axes is not None:
        last = [k % np.ndim(a) for k in axes]
        a = np.transpose(a, [k for k in range(np.ndim(a)) if k not in last] + last)
    unknowns = np.shape(a)[np.ndim(b) :]
    flat = np.reshape(a, (-1, size_of(unknowns)))
    return np.reshape(np.linalg.solve(flat, np.ravel(b)), unknowns)


@implements(np.linalg.cond, checks=True)
def cond(x: Any, p: Any = None) -> Any:
    if p in (None, 2):
        s = svd(x, compute_uv=False)
        return s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))


@implements(np.linalg.matrix_power, checks=True)
def matrix_power(a: Any, n: int) -> Any:
    n = operator.index(n)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"it takes square matrices in the last two axes, not {a.type}")
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


@implements(np.linalg.multi_dot, checks=True)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    refuse("np.linalg.multi_dot", out=out)
    if len(arrays) < 2:
        raise ShapeError("a product takes at least two arrays")
    found = arrays[0]
    for a in arrays[1:]:
        found = np.dot(found, a)
    return found
