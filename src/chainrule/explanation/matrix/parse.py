"""Reading matrix expressions: text to a checked tree.

Allowed are names, numbers, + - * / @, ** with a constant, .T, and calls of functions of the
table, and what a blackboard has for them: W x, X^2, Xᵀ, X⁻¹, ‖x‖², |x|, [x > 0]. Everything
else is refused with a caret under the place. ``settled`` turns the blackboard's signs into the
plain ones once the shapes are known.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from fractions import Fraction

from chainrule.errors import UsageError
from chainrule.explanation.formula.cursor import SIDE, is_inner, is_ones
from chainrule.explanation.formula.grammar import read as read_statements
from chainrule.explanation.formula.node import Node, binary, call, mapped, walk
from chainrule.explanation.formula.parsing import fail
from chainrule.explanation.matrix.functions import WORDS

NAME = re.compile(r"[^\W\d_][\w\u0302-\u0304]{0,31}\Z")
_REFUSED = {
    "//": "for a quotient write /",
    "Subscript": "entries and slices are not part of the language; differentiate the whole",
    "list": "give sizes by name, not entries",
    **dict.fromkeys(("==", "!="), "write step(x) for 1 where x > 0 and 0 elsewhere"),
    **dict.fromkeys(("%", "<<", ">>"), "allowed are names, numbers, + - * / @ **, .T, functions"),
}


def read(source: str, given: Collection[str] = ()) -> tuple[str, Node]:
    """The text as it is shown in errors, and its checked syntax tree."""
    return read_noted(source, given)[:2]


def read_noted(source: str, given: Collection[str] = ()) -> tuple[str, Node, list[str]]:
    """``read``, and notes on what can be read in two ways.

    ``given`` are names that are known: xy is x times y where both are and xy is not.

    Raises:
        ExpressionError: what is not allowed, with a caret under the place.
    """
    if not isinstance(source, str):
        raise UsageError(f"an expression is text, not {type(source).__name__}")
    said, notes, _ = read_statements(source, WORDS, given, loose=True)
    if not said:
        raise UsageError('the expression is empty; write for example "trace(A @ X @ B)"')
    if len(said) > 1 or said[0].name is not None:
        fail("one expression alone is read here", source, replace(said[-1][1], place=said[-1][2]))
    _check(source, said[0].value)
    return source, _with_constants(source, said[0].value), notes


ONES = {"vector": "onesv", "matrix": "onesm", "eye": "I"}
"""How names of constants begin: vectors and matrices of ones, of the size that fits; identities."""


def _with_constants(source: str, tree: Node) -> Node:
    """vector(c), matrix(c) and eye as constants with a name each; means as sums over counts."""
    numbers = itertools.count(1)

    def change(node: Node) -> Node:
        if is_ones(node):
            return replace(node, data=f"onesv{next(numbers)}")
        if node.op == "indexed":  # over all entries
            if node.data[2] > 1:
                fail("a sum in a sum is written with products: u.T @ X @ v", source, node)
            return node.args[0]
        if node.op == "adj" and len(node.args) == 1:  # det(X) X⁻¹
            return binary(replace(node, op="det"), "⊙", replace(node, op="inv"))
        if node.op == "max" and len(node.args) == 2:
            positive = [a for a in node.args if constant(a) != 0]
            return call("relu", *positive, place=node.place) if len(positive) == 1 else node
        if node.op == "mean" and len(node.args) == 1:
            return binary(replace(node, op="sum"), "/", call("sum", replace(node, op="ones")))
        if node.op not in ONES or len(node.args) > 1:
            return node
        name = Node("name", data=f"{ONES[node.op]}{next(numbers)}", place=node.place)
        value = node.args[0] if node.args and node.op != "eye" else None
        one = value is None or (value.op == "number" and value.data == 1)
        return name if one else replace(node, op="*", args=(value, name))

    return mapped(tree, change)


def with_biases(tree: Node) -> Node:
    """X W + b with b in every row: X W + 1 bᵀ."""
    numbers = itertools.count(1)

    def change(node: Node) -> Node:
        if node.op not in ("+", "-"):
            return node
        left, right = node.args
        if right.op != "name" or not right.data[0].islower():
            return node
        ones = replace(right, data=f"onesv0{next(numbers)}")
        return replace(node, args=(left, binary(ones, "@", call("ᵀ", right))))

    return mapped(tree, change)


def constant_kind(name: str) -> str:
    """vector, matrix or square for a name that stands for ones or the identity, else nothing."""
    if re.fullmatch(r"onesv\d+", name):
        return "vector"
    if re.fullmatch(r"onesm\d+", name):
        return "matrix"
    return "square" if re.fullmatch(r"I\d*", name) else ""


def _check(source: str, tree: Node) -> None:
    """Refuse every node that is not part of the language."""
    for node in walk(tree):
        if node.op == "name" and not (is_ones(node) or NAME.match(node.data)):
            fail(f"{node.data!r} is no name: letters, digits and _, at most 32", source, node)
        if node.op == "number" and not abs(node.data) < 1e300:
            fail("only finite real numbers are constants here", source, node)
        if node.op in _REFUSED:
            said = f"{node.op} has no place in a matrix expression: {_REFUSED[node.op]}"
            fail(said, source, node)


def names_in(tree: Node) -> list[str]:
    """The variables, in the order in which they stand in the text."""
    found = sorted((n for n in walk(tree) if n.op == "name"), key=lambda n: n.place)
    return list(dict.fromkeys(n.data for n in found))


def constant(node: Node) -> Fraction | None:
    """The value of an expression of numbers alone, exactly, else None."""
    if node.op == "number":
        return Fraction(str(node.data))
    if node.op not in ("−", "/", "*", "⊙"):
        return None
    parts = [constant(part) for part in node.args]
    a, b = parts[0], parts[-1]
    if a is None or b is None or (node.op == "/" and not b):
        return None
    return -a if node.op == "−" else a / b if node.op == "/" else a * b


# Blackboard signs ----------------------------------------------------------------------------


def other_dialect(tree: Node) -> Node:
    """As matrixcalculus.org reads it: * is the matrix product, norm2 the root of a sum."""
    theirs = {"*": "·", "norm2": "norm"}
    return mapped(tree, lambda n: replace(n, op=theirs[n.op]) if n.op in theirs else n)


def settled(tree: Node, kind: Callable[[Node], str]) -> Node:
    """The tree with Python's operators alone; ``kind`` tells scalar, vector, row and matrix."""
    args = tuple(settled(a, kind) for a in tree.args)
    made = replace(tree, args=args)
    if tree.op == "indicator":
        low, high = args[0].args if args[0].op in ("<", "<=") else reversed(args[0].args)
        zero = low.op == "number" and low.data == 0
        return replace(tree, op="step", args=(high if zero else binary(high, "-", low),))
    if tree.op == "norm1":
        return replace(tree, op="sum", args=(replace(tree, op="abs", args=args),))
    if tree.op == "inverse":
        if kind(tree.args[0]) == "matrix":
            return replace(made, op="inv")
        return binary(args[0], "**", call("−", Node("number", data=1, place=tree.place)))
    if tree.op in SIDE:
        kinds = [kind(a) for a in tree.args]
        vectors = kinds == ["vector", "vector"]
        if vectors and is_inner(tree):
            return replace(made, op="dot")
        return replace(made, op="*" if vectors or "scalar" in kinds else "@")
    if tree.op == "⊙":
        return replace(made, op="*")
    if tree.op == "^":
        times = constant(args[1])
        if times in range(2, 9) and kind(tree.args[0]) == "matrix":
            value = args[0]
            for _ in range(int(times) - 1):  # type: ignore[arg-type]
                value = binary(value, "@", args[0])
            return value
        return replace(made, op="**")
    return made
