"""From a checked tree to a matrix expression, and templates of rules filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache, partial

from chainrule.explanation.formula.grammar import read
from chainrule.explanation.formula.node import SCALAR, Node, Shape
from chainrule.explanation.matrix import tree as t
from chainrule.explanation.matrix.functions import ALIASES, ELEMENTWISE
from chainrule.explanation.matrix.parse import constant


def differential(a: Node) -> Node:
    """The differential of ``a``, still to be worked out."""
    return Node("d", (a,), a.shape)


def _logsumexp(a: Node) -> Node:
    shape = SCALAR if a.shape[1] == 1 else (a.shape[0], 1)
    return a if a.shape == SCALAR else Node("logsumexp", (a,), shape)


def _same(op: str, alone: Node, a: Node) -> Node:
    """A function of the shape of its argument; ``alone`` is that of a scalar."""
    return alone if a.shape == SCALAR else Node(op, (a,), a.shape)


def _scalar(op: str, *args: Node) -> Node:
    return Node(op, args)


def _logdet(a: Node) -> Node:
    if a.shape == SCALAR:
        return t.apply("log", t.apply("abs", a))
    return _scalar("logdet", a)


def _times(a: Node, b: Node) -> Node:
    return t.mul(a, b) if SCALAR in (a.shape, b.shape) else t.hadamard(a, b)


def _plus(a: Node, b: Node) -> Node:
    """The sum; a scalar added to an array is added to each entry."""
    shape: Shape = b.shape if a.shape == SCALAR else a.shape
    return t.add(*(t.mul(x, t.ones(shape)) if x.shape == SCALAR != shape else x for x in (a, b)))


_BUILD: dict[str, Callable[..., Node]] = {
    "+": _plus,
    "-": lambda a, b: _plus(a, t.negate(b)),
    "*": _times,
    "/": lambda a, b: _times(a, t.power(b, -1)),
    "@": t.mul,
    "−": t.negate,
    "ᵀ": t.transpose,
    **{make.__name__: make for make in (t.transpose, t.trace, t.inv, t.diag, t.diagonal)},
    **{op: partial(_scalar, op) for op in ("norm", "norm2", "binary_cross_entropy")},
    "det": lambda a: a if a.shape == SCALAR else _scalar("det", a),
    "logdet": _logdet,
    "sum": t.total,
    "sqrt": lambda a: t.power(a, Fraction(1, 2)),
    "square": lambda a: t.power(a, 2),
    "softmax": partial(_same, "softmax", t.ONE),
    "log_softmax": partial(_same, "log_softmax", t.ZERO),
    "logsumexp": _logsumexp,
    "softmax_cross_entropy": lambda z, y: (
        t.ZERO if z.shape == SCALAR else _scalar("softmax_cross_entropy", z, y)
    ),
    "outer": lambda a, b: t.mul(a, t.transpose(b)),
    "dot": lambda a, b: t.mul(t.transpose(a), b),
    # in templates alone
    "d": differential,
    "ones": lambda a: t.ones(a.shape),
    "column": lambda a: t.ones((a.shape[1], 1)),
    "spread": lambda a: t.ones((a.shape[1], a.shape[1])),
}


def build(tree: Node, symbols: Mapping[str, Node]) -> Node:
    """The expression of a tree whose sizes fit."""
    if tree.op == "name":
        return symbols[tree.data]
    if tree.op == "number":
        return t.number(Fraction(str(tree.data)))
    if tree.op == "**":
        exponent = constant(tree.args[1])
        assert exponent is not None
        return t.power(build(tree.args[0], symbols), exponent)
    name = ALIASES.get(tree.op, tree.op)
    args = [build(a, symbols) for a in tree.args]
    return t.apply(name, *args) if name in ELEMENTWISE else _BUILD[name](*args)


@cache
def _parsed(text: str) -> Node:
    return read(text, {*ELEMENTWISE, *_BUILD})[0][0].value


def template(text: str, **symbols: Node) -> Node:
    """A rule's right side with its letters replaced by expressions."""
    return build(_parsed(text), symbols)
