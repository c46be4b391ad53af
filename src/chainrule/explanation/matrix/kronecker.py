"""Derivatives of arrays by arrays as one matrix: vec F by vec X, with Kronecker products.

vec stacks columns, so vec(A dX B) = (Bᵀ ⊗ A) vec dX; a transposed dX takes the commutation
matrix K, vec dXᵀ = K vec dX; an entry-wise factor is the diagonal matrix of its vec (Magnus and
Neudecker, Matrix Differential Calculus, chapter 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.explanation.formula.node import Node, Shape
from chainrule.explanation.formula.spelling import POWER
from chainrule.explanation.matrix.differential import is_change, moves
from chainrule.explanation.matrix.numeric import Point, evaluate
from chainrule.explanation.matrix.text import Layout
from chainrule.explanation.matrix.tree import (
    ONE,
    eye,
    hadamard,
    mul,
    negate,
    plain,
    split,
    transpose,
)


@dataclass(frozen=True)
class Block:
    """One summand of the Jacobian: ``factor`` · diag(vec ``entries``) (``right`` ⊗ ``left``) K, the
    last for a transposed dX; ``entries`` is None where nothing acts entry by entry."""

    factor: Node
    right: Node
    left: Node
    entries: Node | None = None
    turned: bool = False


def blocks(change: Node, variable: Shape) -> list[Block] | None:
    """The summands of d vec F by d vec X; None where a scalar or a reduction stands between."""
    terms = change.args if change.op == "add" else (change,)
    found = [_block(term) for term in terms]
    return None if any(block is None for block in found) else [b for b in found if b is not None]


def _block(term: Node) -> Block | None:
    scalars, bare = plain(term)
    if any(moves(s) for s in scalars) or bare is ONE:
        return None
    factor = mul(*scalars) if scalars else ONE
    entries = None
    if bare.op == "hadamard":
        moving = [f for f in bare.args if moves(f)]
        entries = hadamard(*(f for f in bare.args if not moves(f)))
        if len(moving) != 1:
            return None
        more, bare = plain(moving[0])
        if any(moves(s) for s in more):
            return None
        factor = mul(factor, *more)
    chain = list(bare.args) if bare.op == "mul" else [bare]
    at = [i for i, f in enumerate(chain) if moves(f)]
    if len(at) != 1:
        return None
    (i,) = at
    moved = chain[i]
    turned = moved.op == "transpose"
    if not is_change(moved.args[0] if turned else moved):
        return None
    rows, columns = moved.shape
    left = mul(*chain[:i]) if i else eye(rows)
    right = transpose(mul(*chain[i + 1 :])) if chain[i + 1 :] else eye(columns)
    return Block(factor, right, left, entries, turned)


def write_blocks(found: list[Block], w: Layout, transposed: bool) -> str:
    """``Bᵀ ⊗ A``, in the spelling of a writer; ``transposed`` for the denominator layout."""
    shown = ""
    for block in found:
        count, _ = split(block.factor)
        rest = negate(block.factor) if count < 0 else block.factor
        body = _product(block, rest, w, transposed)
        sign = w.operator("−" if count < 0 else "+")
        shown += (sign if shown else w.negative("") if count < 0 else "") + body
    return shown or "0"


def _product(block: Block, factor: Node, w: Layout, transposed: bool) -> str:
    sides = (block.right, block.left)
    a, b = map(transpose, sides) if transposed else sides
    parts = [] if factor.op == "number" and factor.data == 1 else [w.write(factor, POWER)]
    identity = a.op == b.op == "eye"
    kron = w.write(a, POWER) + w.operator("⊗") + w.write(b, POWER)
    alone = not parts and block.entries is None and not block.turned
    inner = [kron if alone else w.bracket(kron)]
    if identity:  # I ⊗ I is the identity: left out beside another matrix
        inner = [] if block.entries is not None or block.turned else [w.spelled.eye.format("", "")]
    scale = []
    if block.entries is not None:
        scale = [
            w.function("diag") + w.bracket(w.function("vec") + w.bracket(w.write(block.entries)))
        ]
    order = [*scale, *inner, *(["K"] if block.turned else [])]
    if transposed:
        order = [(w.spelled.transposed.format("K") if x == "K" else x) for x in reversed(order)]
    return w.spelled.times.join([*parts, *order])


def vec_value(found: list[Block], point: Point, function: Shape, variable: Shape) -> np.ndarray:
    """The Jacobian at numbers: a row for each entry of vec F, a column for each of vec X."""
    rows, columns = (int(np.prod(point.extent(s))) for s in (function, variable))
    total = np.zeros((rows, columns))

    def value(node: Node) -> np.ndarray:
        found = np.asarray(evaluate(node, point))
        return found.reshape(point.extent(node.shape))

    for block in found:
        part = np.kron(value(block.right), value(block.left))
        if block.turned:
            m, n = point.extent(variable)
            swap = np.arange(m * n).reshape((m, n), order="F").T.reshape(-1, order="F")
            part = part @ np.eye(m * n)[swap]
        if block.entries is not None:
            part = value(block.entries).reshape(-1, 1, order="F") * part
        total += float(np.asarray(evaluate(block.factor, point))) * part
    return total
