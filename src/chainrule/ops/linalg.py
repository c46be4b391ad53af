"""Linear algebra: each primitive acts on the last two axes, leading axes are a batch.

Sources of the rules: M. Giles, "Collected matrix derivative results" (2008); I. Murray,
"Differentiation of the Cholesky decomposition" (2016); Golub and Pereyra (1973) for pinv.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.graph import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, array_type
from chainrule.errors import DtypeError, ShapeError
from chainrule.ops.coerce import refuse_complex, scalar_like
from chainrule.ops.samples import Make, arrays, both, case
from chainrule.ops.structure import positions, select


def _matrix(name: str, a: ArrayType, square: bool = True) -> ArrayType:
    if a.ndim < 2 or (square and a.shape[-1] != a.shape[-2]):
        kind = "square matrices" if square else "matrices"
        raise ShapeError(f"{name} takes {kind} in the last two axes, not {a}")
    if not a.is_float:
        raise DtypeError(f"{name} takes float32 or float64, not {a.dtype}")
    return a


def mt(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def diagonal_matrix(v: Traced) -> Traced:
    """The matrix with ``v`` on its diagonal."""
    n = v.shape[-1]
    return select(eye_mask(v, (*v.shape, n)), *_pair(np.broadcast_to(v[..., None], (*v.shape, n))))


def _pair(a: Any) -> tuple[Any, Any]:
    return a, scalar_like(a, 0)


def eye_mask(x: Traced, shape: tuple[int, ...]) -> Any:
    return positions(x, shape, len(shape) - 2) == positions(x, shape, len(shape) - 1)


def triangle(a: Traced, k: int = 0, lower: bool = True) -> Traced:
    """The entries of ``a`` on and below (or above) its k-th diagonal, zeros elsewhere."""
    rows, columns = positions(a, a.shape, a.ndim - 2), positions(a, a.shape, a.ndim - 1)
    keep = columns - rows <= k if lower else columns - rows >= k
    return select(keep, *_pair(a))


def _shifted(*shape: int, seed: int = 0) -> np.ndarray:
    """A well-conditioned square matrix (or a batch) for samples."""
    (a,) = arrays(shape, seed=seed)
    return a + 3 * np.eye(shape[-1])


def _positive(*shape: int) -> np.ndarray:
    a = _shifted(*shape)
    return a @ mt(a)


SQUARE: Make = both(lambda: [case(_shifted(3, 3)), case(_shifted(2, 2, 2))])
# solve ------------------------------------------------------------------------------------


def _solve_forward(a: Any, b: Any) -> Any:
    return np.linalg.solve(a, b)


def _solve_infer(a: ArrayType, b: ArrayType) -> ArrayType:
    _matrix("solve", a)
    _matrix("solve", b, square=False)
    if a.shape[:-1] != b.shape[:-1] or a.dtype != b.dtype:
        raise ShapeError(f"solve: {a} and right-hand sides {b} do not fit")
    return b


def _solve_vjp(g: Traced, y: Traced, a: Traced, b: Traced) -> list[Any]:
    back = solve(mt(a), g)
    return [-(back @ mt(y)), back]


solve = Primitive(
    "solve",
    forward=_solve_forward,
    infer=_solve_infer,
    rule=Custom(_solve_vjp, why="linear in b, but through the inverse in a"),
    text="solve({}, {})",
    latex="{}^{{-1}} {}",
    teaches="A solve runs backwards as a solve with the transpose.",
    samples=both(
        lambda: [case(_shifted(3, 3), *arrays((3, 2))), case(_shifted(2, 2, 2), *arrays((2, 2, 1)))]
    ),
)


def _inv_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    return [-(mt(y) @ g @ mt(y))]


inv = Primitive(
    "inv",
    forward=np.linalg.inv,
    infer=lambda a: _matrix("inv", a),
    rule=Custom(_inv_vjp, why="quadratic in its own output: −A⁻ᵀ g A⁻ᵀ"),
    text="{}⁻¹",
    latex="{}^{{-1}}",
    teaches="The inverse moves by −A⁻¹ dA A⁻¹.",
    samples=SQUARE,
)

# determinants -----------------------------------------------------------------------------


def _others_product(s: Any) -> Any:
    """For each entry the product of all the others along the last axis, zeros included."""
    n = s.shape[-1]
    before, after = np.ones_like(s), np.ones_like(s)
    for i in range(1, n):
        before[..., i] = before[..., i - 1] * s[..., i - 1]
        after[..., n - 1 - i] = after[..., n - i] * s[..., n - i]
    return before * after


def _cofactor_forward(a: Any) -> Any:
    """det(A)·A⁻ᵀ, exact where A is singular: from the singular values and their products."""
    refuse_complex("cofactor", a)
    u, s, vh = np.linalg.svd(a)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return (sign[..., None, None] * ((u * _others_product(s)[..., None, :]) @ vh)).astype(a.dtype)


def _cofactor_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    """With A = U S Vᵀ and M = Uᵀ g V: second-order cofactors are products of all the singular
    values but two, so nothing is divided by one that may be zero."""
    u, s, vh = svd_parts(svd(a), a)
    sign = determinant(u) * determinant(vh)
    n = a.shape[-1]
    m = mt(u) @ g @ mt(vh)
    pairs = _leave_two_out(s, n)
    eye = eye_mask(a, a.shape)
    on = np.einsum("...jj,...ij->...i", m, pairs)
    inner = select(eye, diagonal_matrix(on), -(mt(m) * pairs))
    return [sign[..., None, None] * (u @ inner @ vh)]


def _leave_two_out(s: Traced, n: int) -> Any:
    """P[i, j] = product of s over all but i and j; 0 on the diagonal."""
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            keep = [k for k in range(n) if k not in (i, j)]
            one = np.ones_like(s[..., 0])
            row.append(np.zeros_like(one) if i == j else _product(one, s, keep))
        rows.append(np.stack(row, axis=-1))
    return np.stack(rows, axis=-2)


def _product(one: Any, s: Traced, keep: list[int]) -> Any:
    for k in keep:
        one = one * s[..., k]
    return one


cofactor = Primitive(
    "cofactor",
    forward=_cofactor_forward,
    infer=lambda a: _matrix("cofactor", a),
    rule=Custom(_cofactor_vjp, why="must hold for singular matrices, where no inverse exists"),
    text="cof({})",
    latex=r"\operatorname{{cof}}\left({}\right)",
    teaches="The matrix of cofactors is the gradient of the determinant.",
    samples=both(lambda: [case(_shifted(4, 4)), case(_shifted(3, 3))]),
)


def _det_forward(a: Any) -> Any:
    return np.asarray(np.linalg.det(a))


def _det_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    return [g[..., None, None] * cofactor(a)]


det = Primitive(
    "det",
    forward=_det_forward,
    infer=lambda a: array_type(_matrix("det", a).shape[:-2], a.dtype),
    rule=Custom(_det_vjp, why="of degree n in the matrix; exact where it is singular"),
    text="det {}",
    latex=r"\det {}",
    teaches="The determinant's gradient is the matrix of cofactors, det(A)·A⁻ᵀ.",
    samples=both(lambda: [case(_shifted(4, 4)), case(_shifted(2, 4, 4))]),
)


def determinant(a: Traced) -> Any:
    """Up to 3x3 written out as the polynomial that it is, so every order is exact."""
    n = _matrix("det", a.type).shape[-1]

    def e(i: int, j: int) -> Any:
        return a[..., i, j]

    if n == 0:
        return np.ones_like(a, shape=a.shape[:-2])
    if n == 1:
        return e(0, 0)
    if n == 2:
        return e(0, 0) * e(1, 1) - e(0, 1) * e(1, 0)
    if n == 3:
        return (
            e(0, 0) * (e(1, 1) * e(2, 2) - e(1, 2) * e(2, 1))
            - e(0, 1) * (e(1, 0) * e(2, 2) - e(1, 2) * e(2, 0))
            + e(0, 2) * (e(1, 0) * e(2, 1) - e(1, 1) * e(2, 0))
        )
    return det(a)


def _slogdet_forward(a: Any) -> Any:
    if np.iscomplexobj(a):  # a complex step: the logarithm of the determinant, real sign
        d = np.linalg.det(a)
        sign = np.sign(np.real(d))
        return np.stack([sign + 0j, np.log(d * sign)], axis=-1)
    return np.stack(np.linalg.slogdet(a), axis=-1)


def _slogdet_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    return [g[..., 1][..., None, None] * mt(inv(a))]


slogdet = Primitive(
    "slogdet",
    forward=_slogdet_forward,
    infer=lambda a: array_type((*_matrix("slogdet", a).shape[:-2], 2), a.dtype),
    rule=Custom(_slogdet_vjp, why="the logarithm's gradient is the transposed inverse"),
    text="slogdet {}",
    latex=r"\log\left|\det {}\right|",
    teaches="The gradient of log|det A| is A⁻ᵀ. (Sign and logarithm in the last axis.)",
    samples=SQUARE,
)

# Cholesky ---------------------------------------------------------------------------------


def _cholesky_forward(a: Any) -> Any:
    if not np.iscomplexobj(a):
        return np.linalg.cholesky(a)
    out = np.zeros_like(a)  # LLᵀ without conjugation, for complex steps
    for j in range(a.shape[-1]):
        rest = a[..., j:, j] - np.einsum("...ik,...k->...i", out[..., j:, :j], out[..., j, :j])
        out[..., j:, j] = rest / np.sqrt(rest[..., :1])
    return out


def _cholesky_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    phi = triangle(mt(y) @ g)
    phi = select(eye_mask(phi, phi.shape), 0.5 * phi, phi)
    left = solve(mt(y), phi)
    back = mt(solve(mt(y), mt(left)))
    return [0.5 * (back + mt(back))]


cholesky = Primitive(
    "cholesky",
    forward=_cholesky_forward,
    infer=lambda a: _matrix("cholesky", a),
    rule=Custom(_cholesky_vjp, why="a factorisation: Murray (2016), symmetric in its argument"),
    text="chol {}",
    latex=r"\operatorname{{chol}}\left({}\right)",
    teaches="The factor's gradient comes back through two triangular solves.",
    samples=both(
        lambda: [case(_positive(3, 3), symmetric=True), case(_positive(2, 2, 2), symmetric=True)]
    ),
)

# eigenvalues and singular values ----------------------------------------------------------


def _eigh_forward(a: Any) -> Any:
    refuse_complex("eigh", a)
    w, v = np.linalg.eigh(a)
    return np.concatenate([w[..., None, :], v], axis=-2)


def _differences(w: Traced) -> Traced:
    """1/(w_j − w_i), and 0 where they are equal (the diagonal, and values that coincide)."""
    gap = w[..., None, :] - w[..., :, None]
    same = gap == 0
    return select(same, scalar_like(gap, 0), 1 / select(same, scalar_like(gap, 1), gap))


def _eigh_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    v, gw, gv = y[..., 1:, :], g[..., 0, :], g[..., 1:, :]
    inner = diagonal_matrix(gw) + _differences(y[..., 0, :]) * (mt(v) @ gv)
    back = v @ inner @ mt(v)
    return [0.5 * (back + mt(back))]


eigh = Primitive(
    "eigh",
    forward=_eigh_forward,
    infer=lambda a: array_type(
        (*_matrix("eigh", a).shape[:-2], a.shape[-1] + 1, a.shape[-1]), a.dtype
    ),
    rule=Custom(_eigh_vjp, why="a factorisation; symmetric in its argument, distinct eigenvalues"),
    text="eigh {}",
    latex=r"\operatorname{{eigh}}\left({}\right)",
    teaches="An eigenvalue's gradient is v vᵀ. (Values in the first row, vectors below it.)",
    samples=both(lambda: [case(_positive(3, 3), symmetric=True)]),
)


def _svd_forward(a: Any) -> Any:
    """U, S and Vᵀᵀ in one array: rows 0..m-1 are U, row m is S, the rest V."""
    refuse_complex("svd", a)
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, s[..., None, :], mt(vh)], axis=-2)


def _svd_infer(a: ArrayType) -> ArrayType:
    *batch, m, n = _matrix("svd", a, square=False).shape
    return array_type((*batch, m + 1 + n, min(m, n)), a.dtype)


def svd_parts(packed: Any, a: Traced) -> tuple[Any, Any, Any]:
    """(u, s, vh) from the packed result for a matrix like ``a``."""
    m = a.shape[-2]
    return packed[..., :m, :], packed[..., m, :], mt(packed[..., m + 1 :, :])


def _svd_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    u, s, vh = svd_parts(y, a)
    gu, gs, gvh = svd_parts(g, a)
    v, gv = mt(vh), mt(gvh)
    k = s.shape[-1]
    f = _differences(s * s)
    safe = select(s == 0, scalar_like(s, 1), s)
    inverse = select(s == 0, scalar_like(s, 0), 1 / safe)
    utgu, vtgv = mt(u) @ gu, mt(v) @ gv
    inner = (
        diagonal_matrix(gs)
        + (f * (utgu - mt(utgu))) * s[..., None, :]
        + s[..., :, None] * (f * (vtgv - mt(vtgv)))
    )
    back = u @ inner @ vh
    if a.shape[-2] > k:
        back = back + ((gu - u @ utgu) * inverse[..., None, :]) @ vh
    if a.shape[-1] > k:
        back = back + (u * inverse[..., None, :]) @ mt(gv - v @ vtgv)
    return [back]


svd = Primitive(
    "svd",
    forward=_svd_forward,
    infer=_svd_infer,
    rule=Custom(_svd_vjp, why="a factorisation with distinct singular values"),
    text="svd {}",
    latex=r"\operatorname{{svd}}\left({}\right)",
    teaches="A singular value's gradient is u vᵀ.",
    samples=both(lambda: [case(*arrays((3, 3))), case(*arrays((4, 2))), case(*arrays((2, 4)))]),
)


# QR ---------------------------------------------------------------------------------------


def _qr_forward(a: Any) -> Any:
    """Q with R below it."""
    refuse_complex("qr", a)
    return np.concatenate(np.linalg.qr(a), axis=-2)


def _qr_infer(a: ArrayType) -> ArrayType:
    *batch, m, n = _matrix("qr", a, square=False).shape
    if m < n:
        raise ShapeError(f"qr takes matrices with at least as many rows as columns, not {a}")
    return array_type((*batch, m + n, n), a.dtype)


def _qr_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    m = a.shape[-2]
    q, r = y[..., :m, :], y[..., m:, :]
    gq, gr = g[..., :m, :], triangle(g[..., m:, :], lower=False)
    inner = r @ mt(gr) - mt(gq) @ q
    mirrored = triangle(inner) + mt(triangle(inner, -1))
    return [mt(solve(r, mt(gq + q @ mirrored)))]


qr = Primitive(
    "qr",
    forward=_qr_forward,
    infer=_qr_infer,
    rule=Custom(_qr_vjp, why="a factorisation: Seeger et al. (2017), independent columns"),
    text="qr {}",
    latex=r"\operatorname{{qr}}\left({}\right)",
    teaches="Turning the columns orthogonal runs backwards through one triangular solve.",
    samples=both(lambda: [case(_shifted(3, 3)), case(*arrays((4, 2))), case(_shifted(2, 2, 2))]),
)

# pseudo-inverse ---------------------------------------------------------------------------


def _pinv_forward(a: Any, *, rcond: float) -> Any:
    refuse_complex("pinv", a)
    return np.linalg.pinv(a, rcond=rcond)


def _pinv_infer(a: ArrayType, *, rcond: float) -> ArrayType:
    *batch, m, n = _matrix("pinv", a, square=False).shape
    return array_type((*batch, n, m), a.dtype)


def _pinv_vjp(g: Traced, y: Traced, a: Traced, *, rcond: float) -> list[Any]:
    gt, p, pt = mt(g), y, mt(y)
    back = -(pt @ g @ pt)
    back = back + (gt - (a @ p) @ gt) @ (p @ pt)
    return [back + (pt @ p) @ (gt - gt @ (p @ a))]


pinv = Primitive(
    "pinv",
    forward=_pinv_forward,
    infer=_pinv_infer,
    rule=Custom(_pinv_vjp, why="Golub and Pereyra (1973), for a constant rank"),
    text="{}⁺",
    latex="{}^{{+}}",
    teaches="The pseudo-inverse moves like the inverse, plus two terms off its range.",
    samples=both(lambda: [case(*arrays((4, 2)), rcond=1e-6), case(*arrays((2, 4)), rcond=1e-6)]),
)
