"""Likely slips in a matrix derivative: found by repairing the answer, or by spoiling the key.

An answer whose sizes do not fit is repaired: a transpose added or taken away, factors put in
another order, @ for * and back. If the repaired answer is right, that was the slip. An answer
of the right size is compared with the key after one mistake: a term dropped, a factor, a sign.
The changes of an operation are those of ``checking/slips.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from chainrule.checking.slips import changes
from chainrule.explanation.formula.node import Node, is_binary, walk
from chainrule.explanation.matrix.parse import read
from chainrule.explanation.matrix.text import typed_text
from chainrule.explanation.quiz.slips import built, replaced, split

__all__ = ["MatrixSlip", "repaired", "spoiled"]

MOST_PLACES = 10
ACTIVATIONS = ("1 - {0}**2", "{0}*(1 - {0})", "step({0})", "{0}", "1 - {0}")
"""Slopes that are taken for another activation's, by its output or input."""
MatrixSlip = tuple[str, str]
"""A kind, and what to say."""
TURNED = "a transposed factor: {} is to be turned round"
REPAIRS = {
    "factor order": "the factors stand in the wrong order; a matrix product does not commute",
    "kind of product": "{}: {} is meant, not {}",
}
"""The changes of an answer that are tried, besides transposes, and what is said of them."""
PRODUCTS = ("a matrix product (@)", "an element-wise product (*)")
SAYS = {
    "sign": "the sign of {} is wrong",
    "forgotten branch": "the term {} is missing: where the variable occurs more than once, the "
    "branches add",
    "missing inner derivative": "the factor {} is missing: an inner derivative",
    "missing factor": "the factor {} is missing",
    "wrong constant": "the factor {} is missing",
    "batch factor": "the factor {} is missing: the loss is a mean over the rows",
    "wrong activation derivative": "{} is the slope of the activation; another's was taken",
    "pre-activation for activation": "{} is the slope of the activation: its output stands in it, "
    "not its input",
    "transpose": "a transposed factor: {} is turned round",
    "wrong power": "a power is off by one: the exponent {}",
}
"""The changes of a key that are tried."""


def repaired(tree: Node, right: Callable[[Node], bool]) -> MatrixSlip | None:
    """The slip whose repair makes the answer right."""
    return next((slip for candidate, slip in _repairs(tree) if right(candidate)), None)


def _repairs(tree: Node) -> Iterator[tuple[Node, MatrixSlip]]:
    says = "the whole is transposed: this is the answer in the other layout"
    yield _turned(tree), ("other layout", says)
    places = _places(tree)
    for node in places:
        yield replaced(tree, node, _turned(node)), ("transpose", TURNED.format(_said(node)))
    for kind, says in REPAIRS.items():
        for node in walk(tree):
            for change in changes(node, split):
                if change.kind == kind:
                    meant = node.op == "@"
                    said = says.format(_said(node), PRODUCTS[meant], PRODUCTS[not meant])
                    yield replaced(tree, node, built(change.new)), (kind, said)
    for a, b in itertools.combinations(places, 2):
        both = replaced(replaced(tree, a, _turned(a)), b, _turned(b))
        says = f"two transposed factors: {_said(a)} and {_said(b)} are to be turned round"
        yield both, ("transpose", says)


def _turned(node: Node) -> Node:
    return node.args[0] if node.op == "ᵀ" else built(("ᵀ", node))


def _places(tree: Node) -> Sequence[Node]:
    """The symbols, the functions of arrays and the products where a transpose may be missing, or
    too much: then it is the transpose itself."""
    parts = sorted(walk(tree), key=lambda n: n.place)
    over = {id(n.args[0]): n for n in parts if n.op == "ᵀ"}
    names = [n for n in parts if n.op == "name"]
    calls = [n for n in parts if n.op[0].isalpha() and n.args and n.op != "ᵀ"]
    groups = [n for n in parts if is_binary(n) and n is not tree]
    return [over.get(id(n), n) for n in (*names, *calls, *groups)][:MOST_PLACES]


def _said(node: Node) -> str:
    return typed_text(node.args[0] if node.op == "ᵀ" else node, {})


def spoiled(
    keys: Sequence[Node], found: np.ndarray, value: Callable[[Node], np.ndarray | None]
) -> MatrixSlip | None:
    """The slip that turns the key, in one of its spellings, into the answer, whose value is
    ``found``; ``value`` gives that of a formula, None where its sizes do not fit."""

    def gives(tree: Node) -> bool:
        other = value(tree)
        return (other is not None and other.shape == found.shape
                and np.allclose(other, found, rtol=1e-7, atol=1e-10))  # fmt: skip

    if gives(built(("−", keys[0]))):
        return "sign", "the sign is wrong"
    for key in dict.fromkeys(keys):
        for node in walk(key):
            for kind, part, new in _spoilt(node):
                if kind in SAYS and gives(replaced(key, node, new)):
                    return kind, SAYS[kind].format(typed_text(part, {}))
    right = value(keys[0])
    return None if right is None else _factor(right, found)


def _spoilt(node: Node) -> Iterator[tuple[str, Node, Node]]:
    """The kind of each change of an operation in a key, what it is about, and what then stands
    there."""
    for change in changes(node, split):
        kind, part = change.kind, built(change.part)
        if kind == "missing factor" and part.op == "/" and part.args[0].op == "number":
            kind = "batch factor"
        elif kind == "missing factor" and part.op != "name":
            kind = "wrong constant" if part.op == "number" else "missing inner derivative"
        yield kind, part, built(change.new)
    if node.op in ("*", "⊙"):
        a, slope = node.args
        for name in dict.fromkeys(str(n.data) for n in walk(slope) if n.op == "name"):
            for kind, letters in (("wrong activation derivative", "aA"),
                                  ("pre-activation for activation", "zZ")):  # fmt: skip
                for letter in letters:
                    other = letter + name[1:]
                    for form in ACTIVATIONS:
                        new = built(("*", a, read(form.format(other))[1]))
                        yield kind, slope, new


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
        return "sign", f"the sign is wrong (the answer is {shown} times the key)"
    return "wrong constant", f"a constant factor is off: the answer is {shown} times the key"
