"""Which reading of a matrix expression is taken, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.formula.cursor import SIDE_BY_SIDE, is_inner
from chainrule.explanation.formula.node import Node, Shape, walk
from chainrule.explanation.formula.tokens import ExpressionError
from chainrule.explanation.matrix.build import build
from chainrule.explanation.matrix.parse import (
    constant_kind,
    names_in,
    other_dialect,
    read_noted,
    settled,
    with_biases,
)
from chainrule.explanation.matrix.shapes import infer, kind_of
from chainrule.explanation.matrix.tree import eye, ones, symbol


def fitted(
    source: str,
    tree: Node,
    given: Mapping[str, Any],
    flags: Mapping[str, set[str]],
    first_named: str = "",
) -> tuple[dict[str, Shape], Node, list[str]]:
    """Shapes, and the tree with a blackboard's products and powers settled by them.

    Where the sizes do not fit as NumPy means them, or signs of matrixcalculus.org stand in the
    text, * is read as a matrix product and norm2 as the norm, and a note says so. Its ``tr`` and
    ``^`` are others' too, so there NumPy's meaning comes second.
    """
    theirs = other_dialect(tree)
    numpy = any(sign in source for sign in ("@", "**", ".T"))
    foreign = any(sign in source for sign in (".*", "./", ".^", "'"))
    readings: list[tuple[Node, int | None]] = [(theirs, None)]
    if not foreign:
        readings = [(tree, None)]
        if not numpy:
            # not NumPy's own: rather their product than other kinds of names
            readings = [(tree, 1), (theirs, 1), (tree, None), (theirs, None)]
            if "tr(" in source or "^" in source:
                readings = [(theirs, 1), (tree, 1), (theirs, None), (tree, None)]
    first: ExpressionError | None = None
    for reading, most in readings:
        try:
            shapes = infer(source, reading, given, flags, first_named, most)
        except ExpressionError as error:
            first = first or error
            continue
        changed = reading is theirs and theirs.key != tree.key
        notes = ["read as on matrixcalculus.org: * is the matrix product, norm2(x) is ‖x‖"]
        if not changed and not numpy and _entrywise(reading, shapes):
            notes = ["* between matrices is read entry by entry; the product is A X or A @ X"]
            changed = True
        said = notes * changed + _side_by_side(reading, shapes)
        return shapes, settled(reading, partial(kind_of, shapes=shapes)), said
    assert first is not None
    raise first


def _kinds(node: Node, shapes: Mapping[str, Shape]) -> set[str]:
    return {kind_of(part, shapes) for part in node.args}


def _entrywise(tree: Node, shapes: Mapping[str, Shape]) -> bool:
    """Whether * stands between two matrices."""
    return any(n.op == "*" and _kinds(n, shapes) == {"matrix"} for n in walk(tree))


def _side_by_side(tree: Node, shapes: Mapping[str, Shape]) -> list[str]:
    """How two vectors without a sign between them were read."""
    found = (n for n in walk(tree) if n.op == " " and _kinds(n, shapes) == {"vector"})
    return list(dict.fromkeys(SIDE_BY_SIDE[is_inner(node)] for node in found))


def expression(
    source: str,
    *,
    wrt: str = "",
    sizes: Mapping[str, Any] | None = None,
    symmetric: Iterable[str] = (),
    probabilities: Iterable[str] = (),
) -> tuple[Node, dict[str, Node], list[str]]:
    """Read an expression: its tree, its symbols, and notes on what was assumed."""
    shown, tree, reading = read_noted(source, {*(sizes or {}), *([wrt] if wrt else [])})
    names = names_in(tree)
    if wrt and wrt not in names:
        inside = [name for name in names if wrt in name]
        hint = f"; for a product write {' '.join(inside[0])}" if inside else ""
        raise UsageError(
            f"wrt={wrt!r} does not occur in {shown}; its symbols are "
            f"{', '.join(names) or 'none'}{hint}"
        )
    flags = {"symmetric": set(symmetric), "probabilities": set(probabilities)}
    for flag, flagged in flags.items():
        for name in flagged - set(names):
            raise UsageError(f"{flag}: {name!r} does not occur in {shown}")
    try:
        shapes, tree, dialect = fitted(shown, tree, sizes or {}, flags, wrt)
    except ExpressionError as first:
        try:
            shapes, tree, dialect = fitted(shown, with_biases(tree), sizes or {}, flags, wrt)
        except ExpressionError as error:
            raise first from error
        dialect = [*dialect, "a vector that is added to a matrix is added to each of its rows"]
    targets = _targets(tree) - flags["probabilities"] - {wrt}
    flags["probabilities"] |= targets
    symbols = {
        name: symbol(name, shape, {f for f, of in flags.items() if name in of})
        for name, shape in shapes.items()
    }
    built = dict(symbols)
    for name in [n for n in shapes if constant_kind(n) and n != wrt and n not in (sizes or {})]:
        square = constant_kind(name) == "square"
        built[name] = eye(shapes[name][0]) if square else ones(shapes[name])
        if name == "I":
            reading = [*reading, "I is the identity; give it a size to make it a matrix of yours"]
        del symbols[name]
    notes = [*reading, *dialect, *_functions_of_matrices(tree, shapes)] + [
        f"{name} holds probabilities: "
        + ("its entries sum to one" if 1 in shapes[name] else "each row sums to one")
        for name in sorted(targets)
    ]
    return build(tree, built), symbols, notes


def _functions_of_matrices(tree: Node, shapes: Mapping[str, Any]) -> list[str]:
    """A function of a matrix that could be meant as one of matrices."""
    instead = {"abs": "; the determinant is det(W)", "exp": "", "log": ""}
    found = {n.op for n in walk(tree) if n.op in instead and _kinds(n, shapes) == {"matrix"}}
    return [f"{name} of a matrix is taken entry by entry{instead[name]}" for name in sorted(found)]


def _targets(tree: Node) -> set[str]:
    """Symbols that are the targets of a softmax with cross-entropy: they sum to one."""
    losses = (n for n in walk(tree) if n.op == "softmax_cross_entropy")
    return {n.args[1].data for n in losses if n.args[1].op == "name"}
