"""One primitive under all products: matmul, dot, outer, tensordot, einsum, batched or not."""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.core.batching import Rows
from chainrule.core.node import Primitive
from chainrule.core.rules import Multilinear
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, array_type
from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.ops.roots import contraction_without_root
from chainrule.ops.samples import arrays, both, case


@lru_cache(maxsize=1024)
def parse_spec(spec: str) -> tuple[str, str, str]:
    """``"ij,jk->ik"`` as its three parts, checked: each label at most once an operand, and
    every label of an operand in the other operand or in the output."""
    operands, _, out = spec.partition("->")
    left, comma, right = operands.partition(",")
    if not comma or any(len(set(part)) != len(part) for part in (left, right, out)):
        raise GraphError(f"contract spec {spec!r} repeats a label or lacks an operand")
    if not set(out) <= set(left) | set(right):
        raise GraphError(f"contract spec {spec!r} has an output label that no operand has")
    for mine, other in ((left, right), (right, left)):
        if not set(mine) <= set(other) | set(out):
            raise GraphError(f"contract spec {spec!r} has a label that should be summed first")
    return left, right, out


@lru_cache(maxsize=1024)
def _plan(spec: str) -> Callable[[Any, Any], Any]:
    """How NumPy computes a spec: transpose both to (batch, rows, columns) and multiply."""
    left, right, out = parse_spec(spec)
    batch = [c for c in out if c in left and c in right]
    summed = [c for c in left if c in right and c not in out]
    rows = [c for c in out if c in left and c not in right]
    columns = [c for c in out if c in right and c not in left]
    if not summed:
        return _elementwise_plan(left, right, out)
    left_axes = [left.index(c) for c in (*batch, *rows, *summed)]
    right_axes = [right.index(c) for c in (*batch, *summed, *columns)]
    found = "".join((*batch, *rows, *columns))
    out_axes = [found.index(c) for c in out]
    nb, nr, ns, nc = len(batch), len(rows), len(summed), len(columns)
    simple = nb <= 1 and nr == ns == nc == 1
    plain = out_axes == list(range(len(out)))

    def run(x: Any, y: Any) -> Any:
        x, y = x.transpose(left_axes), y.transpose(right_axes)
        if simple:
            z = np.matmul(x, y)
            return z if plain else z.transpose(out_axes)
        shape = x.shape[: nb + nr] + y.shape[nb + ns :]
        x = x.reshape(*x.shape[:nb], _size(x.shape[nb : nb + nr]), _size(x.shape[nb + nr :]))
        y = y.reshape(*y.shape[:nb], _size(y.shape[nb : nb + ns]), _size(y.shape[nb + ns :]))
        z = np.matmul(x, y).reshape(shape)
        return z if plain else z.transpose(out_axes)

    return run


def _elementwise_plan(left: str, right: str, out: str) -> Callable[[Any, Any], Any]:
    def run(x: Any, y: Any) -> Any:
        x = x.transpose([left.index(c) for c in out if c in left])
        y = y.transpose([right.index(c) for c in out if c in right])
        x = x[tuple(slice(None) if c in left else None for c in out)]
        y = y[tuple(slice(None) if c in right else None for c in out)]
        return np.asarray(np.multiply(x, y))

    return run


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _forward(x: Any, y: Any, *, spec: str) -> Any:
    return _plan(spec)(x, y)


def _infer(x: ArrayType, y: ArrayType, *, spec: str) -> ArrayType:
    left, right, out = parse_spec(spec)
    if len(left) != x.ndim or len(right) != y.ndim:
        raise ShapeError(f"product {spec} does not fit {x} and {y}: one label an axis")
    if x.dtype != y.dtype:
        raise DtypeError(f"product {spec} takes one dtype, not {x} and {y}")
    lengths: dict[str, int] = {}
    for label, n in (*zip(left, x.shape, strict=True), *zip(right, y.shape, strict=True)):
        if lengths.setdefault(label, n) != n:
            raise ShapeError(
                f"product {spec} of {x} and {y}: axis {label!r} has length {lengths[label]} "
                f"in one and {n} in the other"
            )
    return array_type(tuple(lengths[c] for c in out), x.dtype)


def _left(g: Traced, x: Traced, y: Traced, *, spec: str) -> Traced:
    left, right, out = parse_spec(spec)
    return contract(g, y, spec=f"{out},{right}->{left}")


def _right(g: Traced, x: Traced, y: Traced, *, spec: str) -> Traced:
    left, right, out = parse_spec(spec)
    return contract(x, g, spec=f"{left},{out}->{right}")


def _batch(rows: Rows) -> Traced:
    """One label more, in what has rows and in the output."""
    left, right, out = parse_spec(rows.attrs["spec"])
    row = next(c for c in string.ascii_letters if c not in left + right)
    left, right = (
        row + part if m else part for part, m in zip((left, right), rows.mapped, strict=True)
    )
    return contract(*rows.inputs, spec=f"{left},{right}->{row}{out}")


contract = Primitive(
    "contract",
    forward=_forward,
    infer=_infer,
    rule=Multilinear((_left, _right)),
    text="{} @ {}",
    latex="{} {}",
    instead=contraction_without_root,
    analytic=True,
    teaches="A product gives each factor the gradient times the other factor, transposed to fit.",
    samples=both(
        lambda: [
            case(*arrays((2, 3), (3, 4)), spec="ij,jk->ik"),
            case(*arrays((3, 2), (4, 3)), spec="ji,kj->ki"),
            case(*arrays((3,), (3,)), spec="i,i->"),
            case(*arrays((2,), (3,)), spec="i,j->ij"),
            case(*arrays((5, 2, 3), (5, 3, 4)), spec="bij,bjk->bik"),
            case(*arrays((5, 2, 3), (3, 4)), spec="bij,jk->bik"),
            case(*arrays((2, 3, 4), (4, 3)), spec="ijk,kj->i"),
            case(*arrays((2, 3), (2, 3)), spec="ij,ij->ji"),
            case(*arrays((2, 0), (0, 3)), spec="ij,jk->ik"),
        ]
    ),
    batch=_batch,
)
