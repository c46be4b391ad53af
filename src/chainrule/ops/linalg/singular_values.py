"""The singular value decomposition: Giles (2008)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import leading
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, array_type
from chainrule.ops.analytic import value_of
from chainrule.ops.coerce import refuse_complex, scalar_like
from chainrule.ops.linalg.matrices import (
    check_matrix,
    diagonal_matrix,
    inverse_gaps,
    mt,
    reaches_beyond,
    sums_row,
)
from chainrule.ops.samples import arrays, both, case
from chainrule.ops.structure import select


def _svd_forward(a: Any) -> Any:
    """U, S and Vᵀᵀ in one array: rows 0..m-1 are U, row m is S, the rest V."""
    refuse_complex("svd", a)
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, s[..., None, :], mt(vh)], axis=-2)


def _svd_infer(a: ArrayType) -> ArrayType:
    *batch, m, n = check_matrix("svd", a, square=False).shape
    return array_type((*batch, m + 1 + n, min(m, n)), a.dtype)


def svd_parts(packed: Any, a: Traced) -> tuple[Any, Any, Any]:
    """(u, s, vh) from the packed result for a matrix like ``a``."""
    m = a.shape[-2]
    return packed[..., :m, :], packed[..., m, :], mt(packed[..., m + 1 :, :])


def _polar_forward(a: Any) -> Any:
    refuse_complex("polar", a)
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return u @ vh


def _polar_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    u, s, vh = svd_parts(svd(a), a)
    inner = mt(u) @ g @ mt(vh)
    back = u @ ((inner - mt(inner)) / (s[..., :, None] + s[..., None, :])) @ vh
    if a.shape[-2] > a.shape[-1]:
        back = back + (g - y @ (mt(y) @ g)) @ mt(vh) @ (vh / s[..., :, None])
    elif a.shape[-2] < a.shape[-1]:
        back = back + (u / s[..., None, :]) @ mt(u) @ (g - (g @ mt(y)) @ y)
    return [back]


polar = Primitive(
    "polar",
    forward=_polar_forward,
    infer=lambda a: check_matrix("polar", a, square=False),
    rule=Custom(_polar_vjp, why="a factor that moves smoothly where singular values coincide"),
    text="polar {}",
    latex=r"\operatorname{{polar}}\left({}\right)",
    teaches="The slope of the sum of all singular values is u vᵀ, whatever u and v are chosen.",
    samples=both(lambda: [case(*arrays((3, 3))), case(*arrays((4, 2))),
                          case(*arrays((2, 4))), case(*arrays((2, 3, 3)))]),
    batch=leading,
)  # fmt: skip


def _svd_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    u, s, vh = svd_parts(y, a)
    gu, gs, gvh = svd_parts(g, a)
    if not reaches_beyond(g, a.shape[-2]):
        found = u @ diagonal_matrix(gs) @ vh
        return [value_of(found, gs[..., :1, None] * polar(a)) if sums_row(g) else found]
    v, gv = mt(vh), mt(gvh)
    k = s.shape[-1]
    f = inverse_gaps(s * s)
    inverse = select(s == 0, scalar_like(s, np.nan), 1 / s)
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
    batch=leading,
)
