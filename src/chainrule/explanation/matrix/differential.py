"""The differential of a matrix expression, rule by rule, and reading the derivative off it.

Differentials are linear in dX, so every line of the work is an equation that can be tried with
numbers. A wave works out the outermost d( ) of a line; a later wave brings the scalars into
the form tr(Gᵀ dX), the vectors into M dx.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from chainrule.explanation.formula.expressions import ZERO
from chainrule.explanation.formula.node import SCALAR, Node, walk
from chainrule.explanation.matrix.build import build, differential, template
from chainrule.explanation.matrix.functions import DIFFERENTIALS, Differential
from chainrule.explanation.matrix.parse import read, settled
from chainrule.explanation.matrix.rewrite import remake, rewrite
from chainrule.explanation.matrix.tree import (
    ONE,
    add,
    contains,
    diag,
    diagonal,
    eye,
    hadamard,
    mul,
    number,
    ones,
    plain,
    power,
    symbol,
    trace,
    transpose,
    zeros,
)
from chainrule.explanation.steps.typed import explain_typed

RULES = {
    "sum rule": "The differential of a sum is the sum of the differentials.",
    "constant factors": "Factors without the variable stand still: d(A U B) = A dU B.",
    "product rule": "One factor moves at a time, each in its place: d(U V) = dU V + U dV.",
    "element-wise product rule": "One factor moves at a time: d(U ⊙ V) = dU ⊙ V + U ⊙ dV.",
    "transpose": "A transpose may be taken after: d(Uᵀ) = (dU)ᵀ.",
    "trace": "The trace is linear: d tr(U) = tr(dU).",
    "sum of entries": "A sum of entries is linear: d sum(U) = sum(dU).",
    "diagonal": "Placing or taking a diagonal is linear.",
    "power rule": "Entry by entry: d(U^k) = k U^(k−1) ⊙ dU.",
    "element-wise chain rule": "Entry by entry, the slope at U times the change of U: "
    "d f(U) = f′(U) ⊙ dU.",
    "cyclic trace": "A factor may go round: tr(U V W) = tr(W U V).",
    "trace of a transpose": "tr(U) = tr(Uᵀ), so a transposed dX can be turned.",
    "scalar is its trace": "A scalar is its own trace, and its own transpose.",
    "trace of an element-wise product": "tr(Aᵀ (B ⊙ C)) = tr((A ⊙ B)ᵀ C).",
    "sum as a trace": "sum(U) = tr(1 1ᵀ U).",
    "diagonal under a trace": "tr(Aᵀ diag(u)) = diagonal(A)ᵀ u.",
    "element-wise product as a matrix": "a ⊙ u = diag(a) u.",
    "scalar factor": "A scalar may change places: c (gᵀ dx) = (c gᵀ) dx.",
}
"""Every rule the steps name, with its sentence; those of functions are in DIFFERENTIALS."""


@dataclass
class Used:
    """The rules that a wave used, in order, with their sentences."""

    names: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, sentence: str = "") -> None:
        self.names.setdefault(name, sentence or RULES[name])


def change_of(variable: Node) -> Node:
    """The symbol dX."""
    name, flags = variable.data
    return symbol(name, variable.shape, {*flags, "change"} - {"probabilities"})


def is_change(node: Node) -> bool:
    return node.op == "symbol" and "change" in node.data[1]


def moves(node: Node) -> bool:
    """Whether dX occurs in ``node``."""
    return any(is_change(n) for n in walk(node))


def open_d(node: Node) -> bool:
    """Whether some d( ) is still to be worked out."""
    return any(n.op == "d" for n in walk(node))


# The differential --------------------------------------------------------------------------


def expand(node: Node, variable: Node, used: Used) -> Node:
    """``node`` with each outermost d(U) replaced by its rule."""
    work = _Expansion(variable, used)
    return rewrite(node, lambda n: work.of(n.args[0]) if n.op == "d" else None)


_LINEAR = {
    "transpose": "transpose",
    "trace": "trace",
    "total": "sum of entries",
    "diag": "diagonal",
    "diagonal": "diagonal",
}


class _Expansion:
    def __init__(self, variable: Node, used: Used) -> None:
        self.variable, self.used = variable, used
        self.name = variable.data[0]

    def of(self, u: Node) -> Node:
        """d(u), through linear operations and one that is not."""
        if not contains(u, self.name):
            return zeros(u.shape)
        if u.op == "symbol":
            return change_of(self.variable)
        if u.op == "add":
            self.used.note("sum rule")
            return add(*(self.of(t) for t in u.args))
        if u.op in _LINEAR:
            self.used.note(_LINEAR[u.op])
            return remake(u, (self.of(u.args[0]),))
        if u.op in ("mul", "hadamard"):
            return self.product(u)
        if u.op == "power":
            self.used.note("power rule")
            inner = self.later(u.args[0])
            return hadamard(mul(number(u.data), power(u.args[0], u.data - 1)), inner)
        if u.op == "apply":
            self.used.note("element-wise chain rule")
            local = build(slope(u.data), {"x": u.args[0], "J": u})
            local = mul(local, ones(u.shape)) if local.shape == SCALAR else local
            return hadamard(local, self.later(u.args[0]))
        return self.tabled(u)

    def later(self, u: Node) -> Node:
        """d(u), written out now if u is the variable or has none of it."""
        if u.op == "symbol" or not contains(u, self.name):
            return self.of(u)
        return self.of(u) if u.op == "transpose" and u.args[0].op == "symbol" else differential(u)

    def product(self, u: Node) -> Node:
        make: Callable[..., Node] = mul if u.op == "mul" else hadamard
        moving = [i for i, f in enumerate(u.args) if contains(f, self.name)]
        if len(moving) == 1:
            if len(u.args) > 1:
                self.used.note("constant factors")
            i = moving[0]
            return make(*u.args[:i], self.of(u.args[i]), *u.args[i + 1 :])
        scalar_or_matrix = u.op == "mul"
        self.used.note("product rule" if scalar_or_matrix else "element-wise product rule")
        return add(*(make(*u.args[:i], self.later(u.args[i]), *u.args[i + 1 :]) for i in moving))

    def tabled(self, u: Node) -> Node:
        rule = rule_for(u)
        self.used.note(rule.name, rule.sentence)
        given = dict(zip("UV", u.args, strict=False))
        found = template(rule.result, **given)
        return rewrite(found, lambda n: self.later(n.args[0]) if n.op == "d" else None)


@cache
def slope(name: str) -> Node:
    """The slope of a function of each entry in terms of its argument x and its value J: the rule
    that the engine has, as an explanation prints it."""
    steps = explain_typed(f"{name}(x)", {"x": 0.3}).steps
    local = next((step.local for step in steps if step.local is not None), ZERO)
    return settled(read(str(local))[1], lambda _: "scalar")


def rule_for(u: Node) -> Differential:
    """The row of DIFFERENTIALS for a function; vectors and matrices differ where rows matter."""
    rows, columns = u.args[0].shape
    kind = "vector" if columns == 1 else "row" if rows == 1 else "rows"
    for rule in DIFFERENTIALS:
        if rule.function.split("(")[0] == u.op and (
            rule.shape == "any" or kind in rule.shape.split()
        ):
            return rule
    raise AssertionError(u.op)


# A scalar's differential as tr(Gᵀ dX) ------------------------------------------------------

Pair = tuple[Node, Node]
"""G and E of the inner product tr(Gᵀ E), E linear in dX."""


def collect_scalar(change: Node, used_by_wave: list[tuple[Node, Used]]) -> Node:
    """G with dF = tr(Gᵀ dX). Appends each wave's line and its rules to ``used_by_wave``."""
    pairs: list[Pair] = [(ONE, change)]
    while not all(is_change(e) for _, e in pairs):
        used = Used()
        pairs = [found for pair in pairs for found in _peel(*pair, used)]
        used_by_wave.append((add(*(inner(g, e) for g, e in pairs)), used))
    return add(*(g for g, _ in pairs))


def inner(g: Node, e: Node) -> Node:
    """tr(Gᵀ E), written as simply as it can be."""
    return trace(mul(transpose(g), e))


def _peel(g: Node, e: Node, used: Used) -> list[Pair]:
    """tr(Gᵀ E) with the outermost operation of E moved over to G."""
    if is_change(e):
        return [(g, e)]
    if e.op == "add":
        return [(g, t) for t in e.args]
    if e.op == "mul":
        return [_peel_product(g, e, used)]
    if e.op == "hadamard":
        used.note("trace of an element-wise product")
        i = next(i for i, f in enumerate(e.args) if moves(f))
        return [(hadamard(g, *e.args[:i], *e.args[i + 1 :]), e.args[i])]
    (inside,) = e.args
    if e.op == "transpose":
        used.note("trace of a transpose")
        return [(transpose(g), inside)]
    if e.op == "trace":
        return [(mul(g, eye(inside.shape[0])), inside)]
    if e.op == "total":
        used.note("sum as a trace")
        return [(mul(g, ones(inside.shape)), inside)]
    used.note("diagonal under a trace")
    return [(diagonal(g) if e.op == "diag" else diag(g), inside)]


def _peel_product(g: Node, e: Node, used: Used) -> Pair:
    scalars, chain = plain(e)
    still = [s for s in scalars if not moves(s)]
    moving = [s for s in scalars if moves(s)]
    if moving:
        if chain.shape != SCALAR:
            used.note("scalar is its trace")
        if still or chain.shape != SCALAR:
            return mul(*still, inner(g, chain)), moving[0]
    if still:
        return mul(*still, g), chain
    factors = e.args
    i = next(i for i, f in enumerate(factors) if moves(f))
    used.note("scalar is its trace" if e.shape == SCALAR else "cyclic trace")
    if e.shape == SCALAR and i > 0:
        used.note("cyclic trace")
    left = [transpose(f) for f in reversed(factors[:i])]
    right = [transpose(f) for f in reversed(factors[i + 1 :])]
    return mul(*left, g, *right), factors[i]


# A vector's differential as M dx -----------------------------------------------------------


def collect_vector(change: Node, used: Used) -> Node | None:
    """M with dy = M dx for a column ``change``; None where no product of matrices says it."""
    terms = change.args if change.op == "add" else (change,)
    found = [_matrix_of(t, used) for t in terms]
    if any(m is None for m in found):
        return None
    return add(*(m for m in found if m is not None))


def _matrix_of(e: Node, used: Used) -> Node | None:
    if is_change(e):
        return eye(e.shape[0])
    if e.op == "add":
        return collect_vector(e, used)
    if e.op == "hadamard":
        return _entrywise(e, used)
    if e.op == "transpose" and e.args[0].op in ("hadamard", "add"):
        return _matrix_of(remake(e.args[0], tuple(transpose(a) for a in e.args[0].args)), used)
    if e.op != "mul":
        return None
    scalars, chain = plain(e)
    moving = [s for s in scalars if moves(s)]
    still = mul(*(s for s in scalars if not moves(s)))
    if moving:
        used.note("scalar factor")
        gradient = collect_scalar(moving[0], [])
        return mul(still, chain, transpose(gradient))
    if scalars:
        rest = _matrix_of(chain, used)
        return None if rest is None else mul(still, rest)
    return _through(e, used)


def _entrywise(e: Node, used: Used) -> Node | None:
    i = next(i for i, f in enumerate(e.args) if moves(f))
    others = e.args[:i] + e.args[i + 1 :]
    inner_matrix = _matrix_of(e.args[i], used)
    if inner_matrix is None:
        return None
    used.note("element-wise product as a matrix")
    return mul(diag(hadamard(*others)), inner_matrix)


def _through(e: Node, used: Used) -> Node | None:
    """A product of matrices in which one factor moves."""
    i = next(i for i, f in enumerate(e.args) if moves(f))
    left, factor, right = e.args[:i], e.args[i], e.args[i + 1 :]
    if right:
        if factor.op != "diag":
            return None
        factor = hadamard(mul(*right), factor.args[0])
    rest = _matrix_of(factor, used)
    return None if rest is None else mul(*left, rest)


def coefficient_of_scalar(change: Node) -> Node:
    """dF/dt of a differential that is linear in the scalar dt: dt is set to 1."""
    return rewrite(change, lambda n: ONE if is_change(n) else None)
