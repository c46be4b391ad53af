"""Solving, inverses and pseudo-inverses: Giles (2008), Golub and Pereyra (1973)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.batching import Rows, leading
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, array_type
from chainrule.errors import ShapeError
from chainrule.ops.coerce import refuse_complex
from chainrule.ops.linalg.matrices import (
    SQUARE,
    check_matrix,
    mt,
    shifted_matrix,
)
from chainrule.ops.samples import arrays, both, case
from chainrule.ops.structure import reshape, transpose


def _solve_forward(a: Any, b: Any) -> Any:
    return np.linalg.solve(a, b)


def _solve_infer(a: ArrayType, b: ArrayType) -> ArrayType:
    check_matrix("solve", a)
    check_matrix("solve", b, square=False)
    if a.shape[:-1] != b.shape[:-1] or a.dtype != b.dtype:
        raise ShapeError(f"solve: {a} and right-hand sides {b} do not fit")
    return b


def _solve_vjp(g: Traced, y: Traced, a: Traced, b: Traced) -> list[Any]:
    back = solve(mt(a), g)
    return [-(back @ mt(y)), back]


def _solve_batch(rows: Rows) -> Traced:
    """A matrix that is the same in each row is factored once, for all right-hand sides."""
    a, b = rows.inputs
    if rows.mapped[0] or a.ndim > 2:
        return leading(rows)
    _, n, k = b.shape
    columns = reshape(transpose(b, (1, 0, 2)), (n, rows.size * k))
    return transpose(reshape(solve(a, columns), (n, rows.size, k)), (1, 0, 2))


solve = Primitive(
    "solve",
    forward=_solve_forward,
    infer=_solve_infer,
    rule=Custom(_solve_vjp, why="linear in b, but through the inverse in a"),
    text="solve({}, {})",
    latex="{}^{{-1}} {}",
    analytic=True,
    teaches="A solve runs backwards as a solve with the transpose.",
    samples=both(
        lambda: [
            case(shifted_matrix(3, 3), *arrays((3, 2))),
            case(shifted_matrix(2, 2, 2), *arrays((2, 2, 1))),
        ]
    ),
    batch=_solve_batch,
)


def _inv_vjp(g: Traced, y: Traced, a: Traced) -> list[Any]:
    return [-(mt(y) @ g @ mt(y))]


inv = Primitive(
    "inv",
    forward=np.linalg.inv,
    infer=lambda a: check_matrix("inv", a),
    rule=Custom(_inv_vjp, why="quadratic in its own output: −A⁻ᵀ g A⁻ᵀ"),
    text="{}⁻¹",
    latex="{}^{{-1}}",
    analytic=True,
    teaches="The inverse moves by −A⁻¹ dA A⁻¹.",
    samples=SQUARE,
    batch=leading,
)

# pseudo-inverse ---------------------------------------------------------------------------


def _pinv_forward(a: Any, *, rcond: float) -> Any:
    refuse_complex("pinv", a)
    return np.linalg.pinv(a, rcond=rcond)


def _pinv_infer(a: ArrayType, *, rcond: float) -> ArrayType:
    *batch, m, n = check_matrix("pinv", a, square=False).shape
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
    batch=leading,
)
