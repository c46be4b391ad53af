"""From a checked syntax tree to a matrix expression, and templates of rules filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache

from chainrule.explanation.formula.grammar import read
from chainrule.explanation.formula.node import SCALAR, Node
from chainrule.explanation.matrix.functions import ALIASES, ELEMENTWISE
from chainrule.explanation.matrix.parse import constant
from chainrule.explanation.matrix.tree import (
    ONE,
    ZERO,
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


def _times(a: Node, b: Node) -> Node:
    return mul(a, b) if SCALAR in (a.shape, b.shape) else hadamard(a, b)


def _plus(a: Node, b: Node) -> Node:
    """The sum; a scalar added to an array is added to each entry."""
    shape = b.shape if a.shape == SCALAR else a.shape
    return add(*(mul(x, ones(shape)) if x.shape == SCALAR != shape else x for x in (a, b)))


_BUILD: dict[str, Callable[..., Node]] = {
    "+": _plus,
    "-": lambda a, b: _plus(a, negate(b)),
    "*": _times,
    "/": lambda a, b: _times(a, power(b, -1)),
    "@": mul,
    "−": negate,
    "ᵀ": transpose,
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


def build(tree: Node, symbols: Mapping[str, Node]) -> Node:
    """The expression of a tree whose sizes fit."""
    if tree.op == "name":
        return symbols[tree.data]
    if tree.op == "number":
        return number(Fraction(str(tree.data)))
    if tree.op == "**":
        exponent = constant(tree.args[1])
        assert exponent is not None
        return power(build(tree.args[0], symbols), exponent)
    name = ALIASES.get(tree.op, tree.op)
    args = [build(a, symbols) for a in tree.args]
    return apply(name, *args) if name in ELEMENTWISE else _BUILD[name](*args)


@cache
def _parsed(text: str) -> Node:
    return read(text, {*ELEMENTWISE, *_BUILD})[0][0].value


def template(text: str, **symbols: Node) -> Node:
    """A rule's right side with its letters replaced by expressions."""
    return build(_parsed(text), symbols)
