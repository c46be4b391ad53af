"""Reading matrix expressions: text to a checked Python syntax tree, which is never evaluated.

Allowed are names, numbers, + - * / @, ** with a constant, .T, and calls of functions of the
table. Everything else is refused with a caret under the place.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import NoReturn

from chainrule.errors import UsageError
from chainrule.explanation.formula.parsing import MOST_DEPTH, checked_tree, fail

__all__ = ["constant", "names_in", "read"]

NAME = re.compile(r"[A-Za-zͰ-Ͽ][A-Za-z0-9_Ͱ-Ͽ]{0,31}\Z")

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult, ast.Pow)
_INSTEAD: dict[type[ast.AST], str] = {
    ast.BitXor: "for a power write **",
    ast.FloorDiv: "for a quotient write /",
    ast.Subscript: "entries and slices are not part of the language; differentiate the whole",
    ast.Lambda: "write the expression alone",
    ast.IfExp: "write relu, abs or step for functions with cases",
    ast.Compare: "write step(x) for 1 where x > 0 and 0 elsewhere",
    ast.List: "give sizes by name, not entries",
}


def read(source: str) -> tuple[str, ast.expr]:
    """The text as it is shown in errors, and its checked syntax tree.

    Raises:
        ExpressionError: what is not allowed, with a caret under the place.
    """
    if not isinstance(source, str):
        raise UsageError(f"an expression is text, not {type(source).__name__}")
    body = checked_tree(source).body
    if not body:
        raise UsageError('the expression is empty; write for example "trace(A @ X @ B)"')
    if len(body) > 1 or not isinstance(body[0], ast.Expr):
        fail("one expression alone is read here", source, body[-1])
    tree = body[0].value
    _check(source, tree)
    return source, tree


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
