"""Likely slips in a matrix derivative: found by repairing the answer, or by spoiling the key.

An answer whose sizes do not fit is repaired: a transpose added or taken away, factors put in
another order, @ for * and back. If the repaired answer is right, that was the slip. An answer
of the right size is compared with the key after one mistake: a term dropped, a factor, a sign.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np

from chainrule.errors import ChainruleError
from chainrule.explanation.matrix.numeric import Point, evaluate
from chainrule.explanation.matrix.rewrite import remake, rewrite
from chainrule.explanation.matrix.text import text
from chainrule.explanation.matrix.tree import (
    SCALAR,
    Node,
    mul,
    number,
    plain,
    power,
    split,
    transpose,
    walk,
)
from chainrule.explanation.matrix.typed import typed_text

__all__ = ["MatrixSlip", "repaired", "spoiled"]

MOST_PLACES = 10


@dataclass(frozen=True)
class MatrixSlip:
    kind: str
    says: str


Judge = Callable[[ast.expr], bool]
"""Whether a repaired tree is right."""


# Repairing the answer ----------------------------------------------------------------------


def repaired(tree: ast.expr, right: Judge) -> MatrixSlip | None:
    """The slip whose repair makes the answer right."""
    for make in (_transposes, _orders, _products, _two_transposes):
        for candidate, slip in make(tree):
            if right(candidate):
                return slip
    return None


def _places(tree: ast.expr) -> list[ast.expr]:
    """The symbols and the functions of arrays where a transpose may be missing."""
    functions = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in functions]
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    groups = [n for n in ast.walk(tree) if isinstance(n, ast.BinOp) and n is not tree]
    return [*names, *calls, *groups][:MOST_PLACES]


def _toggled(tree: ast.expr, places: set[int]) -> ast.expr:
    """A copy with the transpose of some places, numbered in walking order, turned round."""
    twin = copy.deepcopy(tree)
    order = {id(n): i for i, n in enumerate(ast.walk(twin))}

    class Toggle(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if isinstance(node, ast.Attribute) and order.get(id(node.value)) in places:
                return self.generic_visit(node.value)
            at = order.get(id(node))
            node = self.generic_visit(node)
            if at in places and isinstance(node, ast.expr):
                return ast.Attribute(node, "T", ast.Load())
            return node

    return cast(ast.expr, Toggle().visit(twin))


def _indices(tree: ast.expr) -> list[tuple[int, ast.expr]]:
    order = {id(n): i for i, n in enumerate(ast.walk(tree))}
    return [(order[id(n)], n) for n in _places(tree)]


def _said(node: ast.expr) -> str:
    return typed_text(node, {})


def _transposes(tree: ast.expr) -> Iterator[tuple[ast.expr, MatrixSlip]]:
    if not (isinstance(tree, ast.Attribute)):
        says = "the whole is transposed: this is the answer in the other layout"
        yield ast.Attribute(tree, "T", ast.Load()), MatrixSlip("other layout", says)
    else:
        yield (
            tree.value,
            MatrixSlip(
                "other layout", "the whole is transposed: this is the answer in the other layout"
            ),
        )
    for at, node in _indices(tree):
        says = f"a transposed factor: {_said(node)} is to be turned round"
        yield _toggled(tree, {at}), MatrixSlip("transposed factor", says)


def _two_transposes(tree: ast.expr) -> Iterator[tuple[ast.expr, MatrixSlip]]:
    for (i, a), (j, b) in itertools.combinations(_indices(tree), 2):
        says = f"two transposed factors: {_said(a)} and {_said(b)} are to be turned round"
        yield _toggled(tree, {i, j}), MatrixSlip("transposed factor", says)


def _orders(tree: ast.expr) -> Iterator[tuple[ast.expr, MatrixSlip]]:
    """The factors of one chain of @ in every other order."""
    for chain_at, node in enumerate(ast.walk(tree)):
        factors = _chain(node)
        if not 2 <= len(factors) <= 4:
            continue
        for order in itertools.permutations(range(len(factors))):
            if order == tuple(range(len(factors))):
                continue
            says = "the factors stand in the wrong order; a matrix product does not commute"
            twin = copy.deepcopy(tree)
            place = next(n for i, n in enumerate(ast.walk(twin)) if i == chain_at)
            parts = _chain(place)
            whole = parts[order[0]]
            for i in order[1:]:
                whole = ast.BinOp(whole, ast.MatMult(), parts[i])
            yield _swapped(twin, place, whole), MatrixSlip("factor order", says)


def _chain(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return [*(_chain(node.left) or [node.left]), *(_chain(node.right) or [node.right])]
    return []


def _swapped(tree: ast.expr, old: ast.AST, new: ast.expr) -> ast.expr:
    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return new if node is old else self.generic_visit(node)

    return cast(ast.expr, Swap().visit(tree))


def _products(tree: ast.expr) -> Iterator[tuple[ast.expr, MatrixSlip]]:
    """@ where * is meant, and * where @ is meant."""
    for at, node in enumerate(ast.walk(tree)):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Mult, ast.MatMult)):
            continue
        twin = copy.deepcopy(tree)
        place = next(n for i, n in enumerate(ast.walk(twin)) if i == at)
        assert isinstance(place, ast.BinOp)
        entrywise = isinstance(node.op, ast.MatMult)
        place.op = ast.Mult() if entrywise else ast.MatMult()
        says = (
            f"{_said(node)}: an element-wise product (*) is meant, not a matrix product"
            if entrywise
            else f"{_said(node)}: a matrix product (@) is meant, not an element-wise one"
        )
        yield twin, MatrixSlip("kind of product", says)


# Spoiling the key --------------------------------------------------------------------------


def spoiled(key: Node, found: np.ndarray, point: Point, values: dict) -> MatrixSlip | None:
    """The slip that turns the key into the answer, whose value is ``found``."""
    right = np.asarray(evaluate(key, point, values))
    for slip, node in _mistakes(key):
        try:
            value = np.asarray(evaluate(node, point, values))
        except (ChainruleError, ValueError):
            continue
        if value.shape == found.shape and np.allclose(value, found, rtol=1e-7, atol=1e-10):
            return slip
    return _factor(right, found)


def _factor(right: np.ndarray, found: np.ndarray) -> MatrixSlip | None:
    if right.shape != found.shape:
        return None
    with np.errstate(all="ignore"):
        ratio = (found / right).ravel()
    ratio = ratio[np.isfinite(ratio)]
    if not len(ratio) or not np.allclose(ratio, ratio[0], rtol=1e-7) or not ratio[0]:
        return None
    shown = Fraction(float(ratio[0])).limit_denominator(20)
    if ratio[0] < 0:
        return MatrixSlip("sign", f"the sign is wrong (the answer is {shown} times the key)")
    says = f"a constant factor is off: the answer is {shown} times the key"
    return MatrixSlip("constant factor", says)


def _mistakes(key: Node) -> Iterator[tuple[MatrixSlip, Node]]:
    yield MatrixSlip("sign", "the sign is wrong"), mul(number(-1), key)
    for node in walk(key):
        for slip, spoilt in _at(node):
            yield slip, _put(key, node, spoilt)


def _at(node: Node) -> Iterator[tuple[MatrixSlip, Node]]:
    """What one operation would be with one mistake in it."""
    if node.op == "add":
        yield from _in_sum(node)
    elif node.op == "hadamard":
        for i, factor in enumerate(node.args):
            rest = node.args[:i] + node.args[i + 1 :]
            says = f"the factor {text(factor)} is missing: each entry's slope multiplies"
            kept = rest[0] if len(rest) == 1 else remake(node, rest)
            yield MatrixSlip("missing inner derivative", says), kept
    elif node.op == "mul":
        count, bare = split(node)
        if abs(count) != 1:
            says = f"the factor {abs(count)} is missing"
            sign = number(1 if count > 0 else -1)
            yield MatrixSlip("constant factor", says), mul(sign, bare)
        scalars, chain = plain(bare)
        for i, factor in enumerate(scalars):
            others = scalars[:i] + scalars[i + 1 :]
            says = f"the factor {text(factor)} is missing"
            if chain.shape != SCALAR or others:
                yield MatrixSlip("dropped factor", says), mul(number(count), *others, chain)
        yield from _in_chain(node)
    elif node.op == "power":
        says = f"a power is off by one in {text(node)}"
        yield MatrixSlip("power", says), power(node.args[0], node.data - 1)
        yield MatrixSlip("power", says), power(node.args[0], node.data + 1)


def _in_sum(node: Node) -> Iterator[tuple[MatrixSlip, Node]]:
    for i, term in enumerate(node.args):
        rest = node.args[:i] + node.args[i + 1 :]
        says = (
            f"the term {text(term)} is missing: where the variable occurs more than once, "
            "the branches add"
        )
        kept = rest[0] if len(rest) == 1 else remake(node, rest)
        yield MatrixSlip("dropped branch", says), kept
        flipped = (*node.args[:i], mul(number(-1), term), *node.args[i + 1 :])
        yield MatrixSlip("sign", f"the sign of {text(term)} is wrong"), remake(node, flipped)
        if term.shape[0] == term.shape[1] and term.shape != SCALAR:
            turned = (*node.args[:i], transpose(term), *node.args[i + 1 :])
            says = f"a transposed factor: {text(term)} is turned round"
            yield MatrixSlip("transposed factor", says), remake(node, turned)


def _in_chain(node: Node) -> Iterator[tuple[MatrixSlip, Node]]:
    for i, factor in enumerate(node.args):
        if factor.shape == SCALAR:
            continue
        if factor.shape[0] == factor.shape[1]:
            rest = node.args[:i] + node.args[i + 1 :]
            if any(a.shape != SCALAR for a in rest):
                says = f"the factor {text(factor)} is missing: an inner derivative"
                yield MatrixSlip("missing inner derivative", says), mul(*rest)
            turned = (*node.args[:i], transpose(factor), *node.args[i + 1 :])
            says = f"a transposed factor: {text(factor)} is turned round"
            yield MatrixSlip("transposed factor", says), mul(*turned)


def _put(key: Node, old: Node, new: Node) -> Node:
    return rewrite(key, lambda n: new if n is old else None)
