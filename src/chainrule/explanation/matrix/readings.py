"""Which reading of a matrix expression is taken, and what is said of it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import partial
from typing import Any

from chainrule.explanation.formula.cursor import SIDE_BY_SIDE, Juxtaposed, is_inner
from chainrule.explanation.formula.tokens import ExpressionError
from chainrule.explanation.matrix.parse import other_dialect, settled
from chainrule.explanation.matrix.shapes import infer, kind_of
from chainrule.explanation.matrix.tree import Shape


def fitted(
    source: str,
    tree: ast.expr,
    given: Mapping[str, Any],
    flags: Mapping[str, set[str]],
    first_named: str = "",
) -> tuple[dict[str, Shape], ast.expr, list[str]]:
    """Shapes, and the tree with a blackboard's products and powers settled by them.

    Where the sizes do not fit as NumPy means them, or signs of matrixcalculus.org stand in the
    text, * is read as a matrix product and norm2 as the norm, and a note says so.
    """
    theirs = other_dialect(tree)
    numpy = any(sign in source for sign in ("@", "**", ".T"))
    foreign = any(sign in source for sign in (".*", "./", ".^", "'"))
    readings: list[tuple[ast.expr, int | None]] = [(theirs, None)]
    if not foreign:
        readings = [(tree, None)]
        if not numpy:
            # not NumPy's own: rather their product than other kinds of names
            readings = [(tree, 1), (theirs, 1), (tree, None), (theirs, None)]
    first: ExpressionError | None = None
    for reading, most in readings:
        try:
            shapes = infer(source, reading, given, flags, first_named, most)
        except ExpressionError as error:
            first = first or error
            continue
        changed = reading is theirs and ast.dump(theirs) != ast.dump(tree)
        notes = ["read as on matrixcalculus.org: * is the matrix product, norm2(x) is ‖x‖"]
        if not changed and not numpy and _entrywise(reading, shapes):
            notes = ["* between matrices is read entry by entry; the product is A X or A @ X"]
            changed = True
        said = notes * changed + _side_by_side(reading, shapes)
        return shapes, settled(reading, partial(kind_of, shapes=shapes)), said
    assert first is not None
    raise first


def _entrywise(tree: ast.expr, shapes: Mapping[str, Shape]) -> bool:
    """Whether * stands between two matrices."""
    return any(
        type(node.op) is ast.Mult
        and kind_of(node.left, shapes) == kind_of(node.right, shapes) == "matrix"
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
    )


def _side_by_side(tree: ast.expr, shapes: Mapping[str, Shape]) -> list[str]:
    """How two vectors without a sign between them were read."""
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.BinOp) or type(node.op) is not Juxtaposed:
            continue
        if kind_of(node.left, shapes) == kind_of(node.right, shapes) == "vector":
            found[SIDE_BY_SIDE[is_inner(node)]] = None
    return list(found)
