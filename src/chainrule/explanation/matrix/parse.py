"""Reading matrix expressions: text to a checked Python syntax tree, which is never evaluated.

Allowed are names, numbers, + - * / @, ** with a constant, .T, and calls of functions of the
table, and what a blackboard has for them: W x, X^2, Xᵀ, X⁻¹, ‖x‖², |x|, [x > 0]. Everything
else is refused with a caret under the place. ``settled`` turns the blackboard's signs into the
plain ones once the shapes are known.
"""

from __future__ import annotations

import ast
import copy
import itertools
import re
from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from typing import NoReturn

from chainrule.errors import UsageError
from chainrule.explanation.formula.cursor import (
    Caret,
    Dotted,
    Entrywise,
    Juxtaposed,
    is_inner,
    is_ones,
)
from chainrule.explanation.formula.grammar import read as read_tree
from chainrule.explanation.formula.parsing import MOST_DEPTH, fail
from chainrule.explanation.matrix.functions import ALIASES, ELEMENTWISE, NAMES

__all__ = ["WORDS", "constant", "names_in", "other_dialect", "read", "read_noted", "settled"]

NAME = re.compile(r"[^\W\d_][\w\u0302-\u0304]{0,31}\Z")

WORDS = frozenset({*ELEMENTWISE, *ALIASES, *NAMES, "mean", "vector", "matrix", "eye", "adj", "max"})
"""What is applied to arguments."""

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult, ast.Pow, Juxtaposed, Caret)
_INSTEAD: dict[type[ast.AST], str] = {
    ast.FloorDiv: "for a quotient write /",
    ast.Subscript: "entries and slices are not part of the language; differentiate the whole",
    ast.Lambda: "write the expression alone",
    ast.IfExp: "write relu, abs or step for functions with cases",
    ast.Compare: "write step(x) for 1 where x > 0 and 0 elsewhere",
    ast.List: "give sizes by name, not entries",
}


def read(source: str, given: Collection[str] = ()) -> tuple[str, ast.expr]:
    """The text as it is shown in errors, and its checked syntax tree."""
    return read_noted(source, given)[:2]


def read_noted(source: str, given: Collection[str] = ()) -> tuple[str, ast.expr, list[str]]:
    """``read``, and notes on what can be read in two ways.

    ``given`` are names that are known: xy is x times y where both are and xy is not.

    Raises:
        ExpressionError: what is not allowed, with a caret under the place.
    """
    if not isinstance(source, str):
        raise UsageError(f"an expression is text, not {type(source).__name__}")
    module, notes, _ = read_tree(source, WORDS, given, loose=True)
    body = module.body
    if not body:
        raise UsageError('the expression is empty; write for example "trace(A @ X @ B)"')
    if len(body) > 1 or not isinstance(body[0], ast.Expr):
        fail("one expression alone is read here", source, body[-1])
    tree = body[0].value
    _check(source, tree)
    return source, _Constants().visit(tree), notes


ONES = {"vector": "onesv", "matrix": "onesm", "eye": "I"}
"""How names of constants begin: vectors and matrices of ones, of the size that fits; identities."""


class _Constants(ast.NodeTransformer):
    """vector(c), matrix(c) and eye as constants with a name each; means as sums over counts."""

    def __init__(self) -> None:
        self.count = 0

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if not is_ones(node):
            return node
        self.count += 1
        return ast.copy_location(ast.Name(f"onesv{self.count}"), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        word = node.func.id if isinstance(node.func, ast.Name) else ""
        if word == "adj" and len(node.args) == 1:  # det(X) X⁻¹
            det, inv = (_call(name, node.args[0], node) for name in ("det", "inv"))
            return ast.copy_location(ast.BinOp(det, Entrywise(), inv), node)
        if word == "max" and len(node.args) == 2:
            positive = [a for a in node.args if constant(a) != 0]
            if len(positive) == 1:
                return _call("relu", positive[0], node)
        if word == "mean" and len(node.args) == 1:
            over = _call("sum", _call("ones", node.args[0], node), node)
            total = _call("sum", node.args[0], node)
            return ast.copy_location(ast.BinOp(total, ast.Div(), over), node)
        if word not in ONES or len(node.args) > 1:
            return node
        self.count += 1
        name: ast.expr = ast.copy_location(ast.Name(f"{ONES[word]}{self.count}"), node)
        value = node.args[0] if node.args and word != "eye" else None
        if value is None or (isinstance(value, ast.Constant) and value.value == 1):
            return name
        return ast.copy_location(ast.BinOp(value, ast.Mult(), name), node)


def with_biases(tree: ast.expr) -> ast.expr:
    """X W + b with b in every row: X W + 1 bᵀ."""
    count = itertools.count(1)

    class Spread(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            self.generic_visit(node)
            right = node.right
            alone = isinstance(right, ast.Name) and right.id[0].islower()
            if not (alone and isinstance(node.op, (ast.Add, ast.Sub))):
                return node
            ones = ast.copy_location(ast.Name(f"onesv0{next(count)}"), right)
            turned = ast.copy_location(ast.Attribute(right, "T"), right)
            row = ast.copy_location(ast.BinOp(ones, ast.MatMult(), turned), right)
            return ast.copy_location(ast.BinOp(node.left, node.op, row), node)

    return Spread().visit(copy.deepcopy(tree))


def constant_kind(name: str) -> str:
    """vector, matrix or square for a name that stands for ones or the identity, else nothing."""
    if re.fullmatch(r"onesv\d+", name):
        return "vector"
    if re.fullmatch(r"onesm\d+", name):
        return "matrix"
    return "square" if re.fullmatch(r"I\d*", name) else ""


def _check(source: str, tree: ast.expr) -> None:
    """Refuse every node that is not on the list, without recursion."""
    stack: list[tuple[ast.expr, int]] = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MOST_DEPTH:
            fail("the expression is nested too deeply here", source, node)
        stack += [(child, depth + 1) for child in _children(source, node)]


def _children(source: str, node: ast.expr) -> Iterable[ast.expr]:
    match node:
        case ast.Name() if is_ones(node):
            return ()
        case ast.Name():
            if not NAME.match(node.id):
                fail(f"{node.id!r} is no name: letters, digits and _, at most 32", source, node)
            return ()
        case ast.Constant():
            value = node.value
            if type(value) not in (int, float) or not abs(value) < 1e300:  # type: ignore[arg-type]
                fail("only finite real numbers are constants here", source, node)
            return ()
        case ast.BinOp():
            if not isinstance(node.op, _OPERATORS):
                _refuse(source, node, type(node.op))
            return (node.left, node.right)
        case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
            return (node.operand,)
        case ast.Compare(ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()]):
            return (node.left, *node.comparators)
        case ast.Attribute():
            if node.attr != "T":
                fail("the only attribute is .T, the transpose", source, node)
            return (node.value,)
        case ast.Call():
            if not isinstance(node.func, ast.Name):
                fail("functions are called by their plain name, as in exp(x)", source, node)
            for keyword in node.keywords:
                fail("functions take no keywords here", source, keyword.value)
            return node.args
    return _refuse(source, node, type(node))


def _refuse(source: str, node: ast.AST, kind: type[ast.AST]) -> NoReturn:
    instead = _INSTEAD.get(kind, "allowed are names, numbers, + - * / @ **, .T and functions")
    fail(f"{kind.__name__} has no place in a matrix expression: {instead}", source, node)


def names_in(tree: ast.expr) -> list[str]:
    """The variables, in the order in which they stand in the text."""
    functions = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in functions]
    found.sort(key=lambda n: n.col_offset)
    return list(dict.fromkeys(n.id for n in found))


def constant(node: ast.expr) -> Fraction | None:
    """The value of an expression of numbers alone, exactly, else None."""
    match node:
        case ast.Constant():
            return Fraction(str(node.value))
        case ast.UnaryOp(op=ast.USub()):
            inner = constant(node.operand)
            return None if inner is None else -inner
        case ast.UnaryOp(op=ast.UAdd()):
            return constant(node.operand)
        case ast.BinOp(op=ast.Div() | ast.Mult()):
            a, b = constant(node.left), constant(node.right)
            if a is None or b is None or (isinstance(node.op, ast.Div) and not b):
                return None
            return a / b if isinstance(node.op, ast.Div) else a * b
    return None


# Blackboard signs ----------------------------------------------------------------------------


def other_dialect(tree: ast.expr) -> ast.expr:
    """As matrixcalculus.org reads it: * is the matrix product, norm2 the root of a sum."""
    tree = copy.deepcopy(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and type(node.op) is ast.Mult:
            node.op = Dotted()
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            node.func.id = {"norm2": "norm"}.get(node.func.id, node.func.id)
    return tree


def settled(tree: ast.expr, kind: Callable[[ast.expr], str]) -> ast.expr:
    """The tree with Python's operators alone; ``kind`` tells scalar, vector, row and matrix."""
    match tree:
        case ast.BinOp():
            kinds = kind(tree.left), kind(tree.right)
            left, right = settled(tree.left, kind), settled(tree.right, kind)
            return _settled_binary(tree, left, right, *kinds)
        case ast.UnaryOp():
            return ast.copy_location(ast.UnaryOp(tree.op, settled(tree.operand, kind)), tree)
        case ast.Attribute():
            return ast.copy_location(ast.Attribute(settled(tree.value, kind), tree.attr), tree)
        case ast.Call(func=ast.Name(id="indicator"), args=[ast.Compare() as truth]):
            low, high = truth.left, truth.comparators[0]
            if isinstance(truth.ops[0], (ast.Gt, ast.GtE)):
                low, high = high, low
            zero = isinstance(low, ast.Constant) and low.value == 0
            beyond = high if zero else ast.copy_location(ast.BinOp(high, ast.Sub(), low), tree)
            return _call("step", settled(beyond, kind), tree)
        case ast.Call(func=ast.Name(id=name), args=args):
            inside = [settled(a, kind) for a in args]
            if name == "inverse":
                if kind(args[0]) == "matrix":
                    return _call("inv", inside[0], tree)
                minus = ast.copy_location(ast.Constant(-1), tree)
                return ast.copy_location(ast.BinOp(inside[0], ast.Pow(), minus), tree)
            if name == "norm1":
                return _call("sum", _call("abs", inside[0], tree), tree)
            return ast.copy_location(ast.Call(tree.func, inside, []), tree)
    return tree


def _call(name: str, argument: ast.expr, tree: ast.expr) -> ast.expr:
    call = ast.Call(ast.copy_location(ast.Name(name), tree), [argument], [])
    return ast.copy_location(call, tree)


def _settled_binary(
    tree: ast.BinOp, left: ast.expr, right: ast.expr, kind: str, other: str
) -> ast.expr:
    op: ast.operator = tree.op
    if isinstance(op, Juxtaposed):
        if kind == other == "vector" and is_inner(tree):
            return ast.copy_location(
                ast.Call(ast.copy_location(ast.Name("dot"), tree), [left, right], []), tree
            )
        entries = "scalar" in (kind, other) or kind == other == "vector"
        op = ast.Mult() if entries else ast.MatMult()
    elif isinstance(op, Entrywise):
        op = ast.Mult()
    elif isinstance(op, Caret):
        times = constant(right)
        if kind == "matrix" and times is not None and times.denominator == 1 and 1 < times <= 8:
            value = left
            for _ in range(int(times) - 1):
                value = ast.copy_location(ast.BinOp(value, ast.MatMult(), left), tree)
            return value
        op = ast.Pow()
    return ast.copy_location(ast.BinOp(left, op, right), tree)
