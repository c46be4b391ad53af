"""What the files of this folder share: checks, triangles, diagonals, samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType
from chainrule.errors import DtypeError, ShapeError
from chainrule.ops.coerce import scalar_like
from chainrule.ops.samples import Make, arrays, both, case
from chainrule.ops.structure import positions, select


def check_matrix(name: str, a: ArrayType, square: bool = True) -> ArrayType:
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
    return select(
        eye_mask(v, (*v.shape, n)), *or_zero(np.broadcast_to(v[..., None], (*v.shape, n)))
    )


def or_zero(a: Any) -> tuple[Any, Any]:
    return a, scalar_like(a, 0)


def eye_mask(x: Traced, shape: tuple[int, ...]) -> Any:
    return positions(x, shape, len(shape) - 2) == positions(x, shape, len(shape) - 1)


def triangle(a: Traced, k: int = 0, lower: bool = True) -> Traced:
    """The entries of ``a`` on and below (or above) its k-th diagonal, zeros elsewhere."""
    rows, columns = positions(a, a.shape, a.ndim - 2), positions(a, a.shape, a.ndim - 1)
    keep = columns - rows <= k if lower else columns - rows >= k
    return select(keep, *or_zero(a))


def shifted_matrix(*shape: int, seed: int = 0) -> np.ndarray:
    """A well-conditioned square matrix (or a batch) for samples."""
    (a,) = arrays(shape, seed=seed)
    return a + 3 * np.eye(shape[-1])


def positive_matrix(*shape: int) -> np.ndarray:
    a = shifted_matrix(*shape)
    return a @ mt(a)


SQUARE: Make = both(lambda: [case(shifted_matrix(3, 3)), case(shifted_matrix(2, 2, 2))])


def inverse_gaps(w: Traced) -> Traced:
    """1/(w_j − w_i), 0 on the diagonal and NaN where two values coincide: their vectors have no
    derivative."""
    gap = w[..., None, :] - w[..., :, None]
    off = select(gap == 0, scalar_like(gap, np.nan), 1 / gap)
    return select(eye_mask(w, gap.shape), scalar_like(gap, 0), off)


def sums_row(g: Traced) -> bool:
    """Whether the cotangent of packed factors is that of a sum of the values in one row, or of
    nothing else in it: one number, repeated."""
    (row, *others), shape = g.node.inputs, g.node.attrs["shape"]
    last = len(row.type.shape) - 1
    spread = row.primitive.name == "broadcast" and last not in row.attrs["axes"]
    return spread and not others and row.type.shape[-1] == shape[-1]


def reaches_beyond(g: Traced, row: int) -> bool:
    """Whether the cotangent of packed factors is of more than the values in one row: of values that
    coincide alone, there is a derivative of their sum."""
    if g.node.primitive.name != "place":
        return True
    rows = {region[-2] for region in g.node.attrs["regions"]}
    return not rows <= {row, (row, 1, 1)}
