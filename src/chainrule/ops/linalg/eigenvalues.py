"""Eigenvalues and eigenvectors of symmetric matrices: Giles (2008)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from chainrule.core.batching import leading
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.core.types import array_type
from chainrule.ops.coerce import refuse_complex
from chainrule.ops.linalg.matrices import (
    check_matrix,
    diagonal_matrix,
    inverse_gaps,
    mt,
    positive_matrix,
    reaches_beyond,
)
from chainrule.ops.samples import both, case


def _eigh_forward(a: Any, *, uplo: Literal["L", "U"]) -> Any:
    """``a`` is symmetric, but LAPACK's signs of the vectors depend on the triangle it reads."""
    refuse_complex("eigh", a)
    w, v = np.linalg.eigh(a, uplo)
    return np.concatenate([w[..., None, :], v], axis=-2)


def _eigh_vjp(g: Traced, y: Traced, a: Traced, *, uplo: str) -> list[Any]:
    v, gw, gv = y[..., 1:, :], g[..., 0, :], g[..., 1:, :]
    inner = diagonal_matrix(gw)
    if reaches_beyond(g, 0):
        inner = inner + inverse_gaps(y[..., 0, :]) * (mt(v) @ gv)
    back = v @ inner @ mt(v)
    return [0.5 * (back + mt(back))]


eigh = Primitive(
    "eigh",
    forward=_eigh_forward,
    infer=lambda a, uplo: array_type(
        (*check_matrix("eigh", a).shape[:-2], a.shape[-1] + 1, a.shape[-1]), a.dtype
    ),
    rule=Custom(_eigh_vjp, why="a factorisation; symmetric in its argument, distinct eigenvalues"),
    text="eigh {}",
    latex=r"\operatorname{{eigh}}\left({}\right)",
    teaches="An eigenvalue's gradient is v vᵀ. (Values in the first row, vectors below it.)",
    samples=both(lambda: [case(positive_matrix(3, 3), symmetric=True, uplo=side) for side in "LU"]),
    batch=leading,
)
