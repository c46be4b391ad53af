"""The exponential of a matrix: Al-Mohy and Higham (2009) for its derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import leading
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.forks import load
from chainrule.ops.coerce import common_float, float_of, plain
from chainrule.ops.linalg.matrices import check_matrix, mt
from chainrule.ops.samples import arrays, both, case


def _expm_forward(a: Any) -> Any:
    return np.asarray(load("scipy.linalg").expm(a), a.dtype)


def _expm_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    """The derivative in direction G is the corner of exp of [[A, G], [0, A]], which is recorded
    as an exponential again: every order follows."""
    n, at = a.shape[-1], mt(a)
    top = np.concatenate([at, g], axis=-1)
    bottom = np.concatenate([np.zeros_like(at), at], axis=-1)
    return [_expm(np.concatenate([top, bottom], axis=-2))[..., :n, n:]]


_expm = Primitive(
    "expm",
    forward=_expm_forward,
    infer=lambda a: check_matrix("expm", a),
    rule=Custom(_expm_vjp, why="the derivative is a corner of a larger matrix's exponential"),
    text="expm {}",
    latex=r"\exp\left({}\right)",
    teaches="A matrix's exponential moves like a corner of that of [[A, dA], [0, A]].",
    samples=both(lambda: [case(*arrays((3, 3))), case(*arrays((2, 2, 2)))]),
    batch=leading,
)


def expm(a: Any) -> Any:
    """The exponential of square matrices in the last two axes, as ``scipy.linalg.expm``, which
    computes it, but recorded on traced values.

    Args:
        a: shape ``(..., n, n)``.

    Raises:
        ShapeError: the last two axes differ.
    """
    a = plain(a)
    if isinstance(a, Traced):
        return _expm(float_of(a))
    return _expm_forward(np.asarray(a, common_float(a)))
