"""Likely slips in a matrix derivative: found by repairing the answer, or by spoiling the key.

An answer whose sizes do not fit is repaired: a transpose added or taken away, factors put in
another order, @ for * and back. If the repaired answer is right, that was the slip. An answer
of the right size is compared with the key after one mistake: a term dropped, a factor, a sign.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from chainrule.errors import ChainruleError
from chainrule.explanation.formula import node as trees
from chainrule.explanation.formula.node import SCALAR, Node, binary, call, is_binary, walk
from chainrule.explanation.matrix.numeric import Point, evaluate
from chainrule.explanation.matrix.rewrite import remake, rewrite
from chainrule.explanation.matrix.text import text
from chainrule.explanation.matrix.tree import mul, number, plain, power, split, transpose
from chainrule.explanation.matrix.typed import typed_text

__all__ = ["MatrixSlip", "repaired", "spoiled"]

MOST_PLACES = 10


@dataclass(frozen=True)
class MatrixSlip:
    kind: str
    says: str


Judge = Callable[[Node], bool]
"""Whether a repaired tree is right."""


# Repairing the answer ----------------------------------------------------------------------


def repaired(tree: Node, right: Judge) -> MatrixSlip | None:
    """The slip whose repair makes the answer right."""
    for make in (_transposes, _orders, _products, _two_transposes):
        for candidate, slip in make(tree):
            if right(candidate):
                return slip
    return None


def _places(tree: Node) -> list[Node]:
    """The symbols and the functions of arrays where a transpose may be missing."""
    parts = sorted(walk(tree), key=lambda n: n.place)
    names = [n for n in parts if n.op == "name"]
    calls = [n for n in parts if n.op[0].isalpha() and n.op not in ("name", "number", "ᵀ")]
    groups = [n for n in parts if is_binary(n) and n is not tree]
    return [*names, *calls, *groups][:MOST_PLACES]


def _toggled(tree: Node, *places: Node) -> Node:
    """``tree`` with the transpose of some places turned round."""

    def change(node: Node) -> Node | None:
        if node.op == "ᵀ" and node.args[0] in places:
            return _toggled_below(node.args[0])
        return call("ᵀ", _toggled_below(node)) if node in places else None

    def _toggled_below(node: Node) -> Node:
        return replace(node, args=tuple(trees.rewrite(a, change) for a in node.args))

    return trees.rewrite(tree, change)


def _said(node: Node) -> str:
    return typed_text(node, {})


def _transposes(tree: Node) -> Iterator[tuple[Node, MatrixSlip]]:
    says = "the whole is transposed: this is the answer in the other layout"
    other = tree.args[0] if tree.op == "ᵀ" else call("ᵀ", tree)
    yield other, MatrixSlip("other layout", says)
    for node in _places(tree):
        says = f"a transposed factor: {_said(node)} is to be turned round"
        yield _toggled(tree, node), MatrixSlip("transposed factor", says)


def _two_transposes(tree: Node) -> Iterator[tuple[Node, MatrixSlip]]:
    for a, b in itertools.combinations(_places(tree), 2):
        says = f"two transposed factors: {_said(a)} and {_said(b)} are to be turned round"
        yield _toggled(tree, a, b), MatrixSlip("transposed factor", says)


def _orders(tree: Node) -> Iterator[tuple[Node, MatrixSlip]]:
    """The factors of one chain of @ in every other order."""
    says = "the factors stand in the wrong order; a matrix product does not commute"
    for node in walk(tree):
        factors = _chain(node)
        if not 2 <= len(factors) <= 4:
            continue
        for parts in itertools.islice(itertools.permutations(factors), 1, None):
            whole = functools.reduce(lambda a, b: binary(a, "@", b), parts)
            yield _swapped(tree, node, whole), MatrixSlip("factor order", says)


def _chain(node: Node) -> list[Node]:
    return [f for a in node.args for f in _chain(a) or [a]] if node.op == "@" else []


def _swapped(tree: Node, old: Node, new: Node) -> Node:
    return trees.rewrite(tree, lambda node: new if node is old else None)


def _products(tree: Node) -> Iterator[tuple[Node, MatrixSlip]]:
    """@ where * is meant, and * where @ is meant."""
    for node in walk(tree):
        if node.op not in ("*", "@"):
            continue
        entrywise = node.op == "@"
        says = (
            f"{_said(node)}: an element-wise product (*) is meant, not a matrix product"
            if entrywise
            else f"{_said(node)}: a matrix product (@) is meant, not an element-wise one"
        )
        twin = _swapped(tree, node, replace(node, op="*" if entrywise else "@"))
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
