"""The Cholesky factor: I. Murray, "Differentiation of the Cholesky decomposition" (2016)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import leading
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.ops.linalg.inverses import solve
from chainrule.ops.linalg.matrices import (
    check_matrix,
    eye_mask,
    mt,
    positive_matrix,
    triangle,
)
from chainrule.ops.samples import both, case
from chainrule.ops.structure import select


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
    infer=lambda a: check_matrix("cholesky", a),
    rule=Custom(_cholesky_vjp, why="a factorisation: Murray (2016), symmetric in its argument"),
    text="chol {}",
    latex=r"\operatorname{{chol}}\left({}\right)",
    teaches="The factor's gradient comes back through two triangular solves.",
    samples=both(
        lambda: [
            case(positive_matrix(3, 3), symmetric=True),
            case(positive_matrix(2, 2, 2), symmetric=True),
        ]
    ),
    batch=leading,
)
