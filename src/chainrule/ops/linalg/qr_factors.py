"""QR: Seeger et al. (2017)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import leading
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, array_type
from chainrule.errors import ShapeError
from chainrule.ops.coerce import refuse_complex
from chainrule.ops.linalg.inverses import solve
from chainrule.ops.linalg.matrices import (
    check_matrix,
    mt,
    shifted_matrix,
    triangle,
)
from chainrule.ops.samples import arrays, both, case


def _qr_forward(a: Any) -> Any:
    """Q with R below it."""
    refuse_complex("qr", a)
    return np.concatenate(np.linalg.qr(a), axis=-2)


def _qr_infer(a: ArrayType) -> ArrayType:
    *batch, m, n = check_matrix("qr", a, square=False).shape
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
    samples=both(
        lambda: [case(shifted_matrix(3, 3)), case(*arrays((4, 2))), case(shifted_matrix(2, 2, 2))]
    ),
    batch=leading,
)
