"""From a checked syntax tree to a matrix expression, and templates of rules filled in."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache

from chainrule.explanation.matrix.functions import ALIASES, ELEMENTWISE
from chainrule.explanation.matrix.parse import constant
from chainrule.explanation.matrix.tree import (
    ONE,
    SCALAR,
    ZERO,
    Node,
    add,
    apply,
    diag,
    diagonal,
    hadamard,
    inv,
    mul,
    negate,
    number,
    ones,
    power,
    total,
    trace,
    transpose,
    unary,
)

__all__ = ["build", "differential", "template"]


def differential(a: Node) -> Node:
    """The differential of ``a``, still to be worked out."""
    return unary("d", a, shape=a.shape)


def _logsumexp(a: Node) -> Node:
    if a.shape == SCALAR:
        return a
    return unary("logsumexp", a, shape=SCALAR if a.shape[1] == 1 else (a.shape[0], 1))


def _softmax(op: str) -> Callable[[Node], Node]:
    alone = ONE if op == "softmax" else ZERO
    return lambda a: alone if a.shape == SCALAR else unary(op, a, shape=a.shape)


def _scalar(op: str) -> Callable[..., Node]:
    return lambda *args: unary(op, *args)


_BUILD: dict[str, Callable[..., Node]] = {
    "transpose": transpose,
    "trace": trace,
    "det": lambda a: a if a.shape == SCALAR else unary("det", a),
    "logdet": lambda a: apply("log", apply("abs", a)) if a.shape == SCALAR else unary("logdet", a),
    "inv": inv,
    "sum": total,
    "norm": _scalar("norm"),
    "norm2": _scalar("norm2"),
    "sqrt": lambda a: power(a, Fraction(1, 2)),
    "square": lambda a: power(a, 2),
    "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "logsumexp": _logsumexp,
    "softmax_cross_entropy": lambda z, y: (
        ZERO if z.shape == SCALAR else unary("softmax_cross_entropy", z, y)
    ),
    "binary_cross_entropy": _scalar("binary_cross_entropy"),
    "diag": diag,
    "diagonal": diagonal,
    "outer": lambda a, b: mul(a, transpose(b)),
    "dot": lambda a, b: mul(transpose(a), b),
    # in templates alone
    "d": differential,
    "ones": lambda a: ones(a.shape),
    "column": lambda a: ones((a.shape[1], 1)),
    "spread": lambda a: ones((a.shape[1], a.shape[1])),
}


def build(tree: ast.expr, symbols: Mapping[str, Node]) -> Node:
    """The expression of a tree whose sizes fit."""
    match tree:
        case ast.Name():
            return symbols[tree.id]
        case ast.Constant():
            return number(Fraction(str(tree.value)))
        case ast.UnaryOp(op=ast.USub()):
            return negate(build(tree.operand, symbols))
        case ast.UnaryOp():
            return build(tree.operand, symbols)
        case ast.Attribute():
            return transpose(build(tree.value, symbols))
        case ast.BinOp(op=ast.Pow()):
            exponent = constant(tree.right)
            assert exponent is not None
            return power(build(tree.left, symbols), exponent)
        case ast.BinOp():
            return _binary(tree.op, build(tree.left, symbols), build(tree.right, symbols))
        case ast.Call(func=ast.Name(id=name)):
            name = ALIASES.get(name, name)
            args = [build(a, symbols) for a in tree.args]
            return apply(name, *args) if name in ELEMENTWISE else _BUILD[name](*args)
    raise AssertionError(tree)


def _binary(op: ast.operator, a: Node, b: Node) -> Node:
    if isinstance(op, ast.MatMult):
        return mul(a, b)
    if isinstance(op, ast.Div):
        b = power(b, -1)
    if isinstance(op, (ast.Mult, ast.Div)):
        return mul(a, b) if SCALAR in (a.shape, b.shape) else hadamard(a, b)
    if isinstance(op, ast.Sub):
        b = negate(b)
    shape = b.shape if a.shape == SCALAR else a.shape
    return add(_spread(a, shape), _spread(b, shape))


def _spread(a: Node, shape: tuple) -> Node:
    """A scalar added to an array is added to each entry."""
    return mul(a, ones(shape)) if a.shape == SCALAR != shape else a


@cache
def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def template(text: str, **symbols: Node) -> Node:
    """A rule's right side with its letters replaced by expressions."""
    return build(_parsed(text), symbols)
