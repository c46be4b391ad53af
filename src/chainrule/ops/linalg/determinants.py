"""Determinants, exact for singular matrices too."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import leading
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.core.types import array_type
from chainrule.ops.coerce import refuse_complex
from chainrule.ops.linalg.inverses import inv
from chainrule.ops.linalg.matrices import (
    SQUARE,
    check_matrix,
    diagonal_matrix,
    eye_mask,
    mt,
    shifted_matrix,
)
from chainrule.ops.linalg.singular_values import svd, svd_parts
from chainrule.ops.samples import both, case
from chainrule.ops.structure import select


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
    infer=lambda a: check_matrix("cofactor", a),
    rule=Custom(_cofactor_vjp, why="must hold for singular matrices, where no inverse exists"),
    text="cof({})",
    latex=r"\operatorname{{cof}}\left({}\right)",
    teaches="The matrix of cofactors is the gradient of the determinant.",
    samples=both(lambda: [case(shifted_matrix(4, 4)), case(shifted_matrix(3, 3))]),
    batch=leading,
)


def _det_forward(a: Any) -> Any:
    return np.asarray(np.linalg.det(a))


def _det_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    return [g[..., None, None] * cofactor(a)]


det = Primitive(
    "det",
    forward=_det_forward,
    infer=lambda a: array_type(check_matrix("det", a).shape[:-2], a.dtype),
    rule=Custom(_det_vjp, why="of degree n in the matrix; exact where it is singular"),
    text="det {}",
    latex=r"\det {}",
    analytic=True,
    teaches="The determinant's gradient is the matrix of cofactors, det(A)·A⁻ᵀ.",
    samples=both(lambda: [case(shifted_matrix(4, 4)), case(shifted_matrix(2, 4, 4))]),
    batch=leading,
)


def determinant(a: Traced) -> Any:
    """Up to 3x3 written out as the polynomial that it is, so every order is exact."""
    n = check_matrix("det", a.type).shape[-1]

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
    infer=lambda a: array_type((*check_matrix("slogdet", a).shape[:-2], 2), a.dtype),
    rule=Custom(_slogdet_vjp, why="the logarithm's gradient is the transposed inverse"),
    text="slogdet {}",
    latex=r"\log\left|\det {}\right|",
    teaches="The gradient of log|det A| is A⁻ᵀ. (Sign and logarithm in the last axis.)",
    samples=SQUARE,
    batch=leading,
)
