"""Making a derivative read as in a textbook: a table of rewrites, and a choice of forms.

The constructors have already collected like terms. Here sums are factored or multiplied out,
whichever is shorter, and functions that belong together are joined by the rules of ``REWRITES``.
Every rule is tried with numbers in the tests.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from chainrule.explanation.formula.node import SCALAR, Node, walk
from chainrule.explanation.matrix.build import template
from chainrule.explanation.matrix.rewrite import remake
from chainrule.explanation.matrix.tree import (
    ONE,
    add,
    diag,
    eye,
    hadamard,
    mul,
    negate,
    number,
    ones,
    plain,
    power,
    split,
    symbol,
)


@dataclass(frozen=True)
class Rewrite:
    """``pattern`` may be replaced by ``replacement``; U is any expression. In a product or a
    sum the pattern may be a part of it."""

    name: str
    pattern: str
    replacement: str


REWRITES: tuple[Rewrite, ...] = (
    Rewrite("exp undoes log", "exp(log(U))", "U"),
    Rewrite("log undoes exp", "log(exp(U))", "U"),
    Rewrite("definition of the logistic", "1 / (1 + exp(-U))", "logistic(U)"),
    Rewrite("reflection of the logistic", "logistic(-U)", "1 - logistic(U)"),
    Rewrite("1 over 1 + exp", "1 / (1 + exp(U))", "1 - logistic(U)"),
    Rewrite("exp times its logistic", "exp(-U) * logistic(U)", "1 - logistic(U)"),
    Rewrite("exp times its reflection", "exp(U) * (1 - logistic(U))", "logistic(U)"),
    Rewrite("definition of softplus", "log(1 + exp(U))", "softplus(U)"),
    Rewrite("softplus and its reflection", "softplus(U) - softplus(-U)", "U"),
    Rewrite("log of softmax", "log(softmax(U))", "log_softmax(U)"),
    Rewrite("exp of log softmax", "exp(log_softmax(U))", "softmax(U)"),
    Rewrite("Pythagoras", "sin(U)**2 + cos(U)**2", "ones(U)"),
    Rewrite("hyperbolic Pythagoras", "cosh(U)**2 - sinh(U)**2", "ones(U)"),
    Rewrite("tangent", "sin(U) / cos(U)", "tan(U)"),
    Rewrite("hyperbolic tangent", "sinh(U) / cosh(U)", "tanh(U)"),
    Rewrite("slope of |u| times |u|", "sign(U) * abs(U)", "U"),
    Rewrite("step of relu", "step(relu(U))", "step(U)"),
    Rewrite("relu where it is on", "step(U) * relu(U)", "relu(U)"),
)


def simplify(node: Node) -> Node:
    """An equal expression that is at most as long."""
    for _ in range(8):
        before = node.key
        node = _bottom_up(node)
        if node.key == before:
            break
    return _sorted(node)


def cost(node: Node) -> float:
    """How long an expression reads."""
    weight = {"number": 0.5, "transpose": 0.25, "ones": 0.5, "mul": 0.0, "hadamard": 0.0}
    return sum(weight.get(n.op, 1.0) for n in walk(node))


def _bottom_up(node: Node) -> Node:
    args = tuple(_bottom_up(a) for a in node.args)
    if any(a is not b for a, b in zip(args, node.args, strict=True)):
        node = remake(node, args)
    node = _rewritten(node)
    return _shortest(node) if node.op in ("add", "hadamard", "mul") else node


def _shortest(node: Node) -> Node:
    """The shortest of the forms of a sum or product."""
    spread = _multiplied_out(node)
    forms = [node, spread]
    forms += [_factored(f) for f in (node, spread) if f.op == "add"]
    return min(forms, key=cost)


def _sorted(node: Node) -> Node:
    """A sum with its positive terms first, and of those that mirror each other the plain one."""
    if node.op != "add":
        return node
    letters = [sorted(str(n.data) for n in walk(t) if n.op == "symbol") for t in node.args]

    def rank(i: int) -> tuple[bool, int, int, str]:
        term = node.args[i]
        turns = sum(n.op == "transpose" for n in walk(term))
        return split(term)[0] < 0, letters.index(letters[i]), turns, term.key

    order = sorted(range(len(node.args)), key=rank)
    return Node("add", tuple(node.args[i] for i in order), node.shape)


# Multiplying out ---------------------------------------------------------------------------

MANY = 48


def _multiplied_out(node: Node) -> Node:
    terms = _terms(node)
    if len(terms) > MANY:
        return node
    return _sorted(add(*terms)) if len(terms) > 1 else terms[0]


def _terms(node: Node) -> list[Node]:
    """The summands of an expression with its element-wise and scalar products multiplied out."""
    if node.op == "add":
        return [t for part in node.args for t in _terms(part)]
    if node.op == "power" and node.data in (2, 3):
        return _distributed([_terms(node.args[0])] * int(node.data), node)
    if node.op == "hadamard":
        return _distributed([_terms(f) for f in node.args], node)
    if node.op == "mul" and any(a.shape == SCALAR for a in node.args):
        scalars, bare = plain(node)
        parts = [_terms(s) for s in scalars]
        return _distributed([*parts, _terms(bare) if bare is not ONE else [ONE]], node)
    return [node]


def _distributed(parts: list[list[Node]], node: Node) -> list[Node]:
    if math.prod(map(len, parts)) > MANY:
        return [node]
    make = mul if any(p[0].shape != node.shape for p in parts) else hadamard
    return [make(*picks) for picks in itertools.product(*parts)]


# Factoring ---------------------------------------------------------------------------------


@dataclass
class _Term:
    """A summand as number, scalar factors, element-wise factors or chain."""

    count: Fraction
    scalars: list[Node]
    chain: list[Node]

    @classmethod
    def of(cls, node: Node) -> _Term:
        count, bare = split(node)
        scalars, chain = plain(bare)
        scalars = [s for s in scalars if s is not ONE]
        if chain is ONE:
            return cls(count, scalars, [])
        return cls(count, scalars, list(chain.args) if chain.op == "mul" else [chain])

    def node(self, shape: tuple[Any, ...]) -> Node:
        rest = self.chain or ([] if shape == SCALAR else [eye(shape[0])])
        return mul(number(self.count), *self.scalars, *rest)


def _factored(node: Node) -> Node:
    """A sum with what all terms share taken out of it."""
    terms = [_Term.of(t) for t in node.args]
    if len(terms) > MANY:
        return node
    count = abs(terms[0].count)
    if any(abs(t.count) != count for t in terms):
        count = Fraction(1)
    for term in terms:
        term.count /= count
    shared = _shared([t.scalars for t in terms])
    for term in terms:
        _remove(term.scalars, shared)
    merged = _merged(terms, node)
    if merged is not None:
        return mul(number(count), *shared, merged)
    left = _prefix([t.chain for t in terms])
    right = _prefix([t.chain[len(left) :][::-1] for t in terms])[::-1]
    for term in terms:
        term.chain = term.chain[len(left) : len(term.chain) - len(right)]
    rows = left[-1].shape[1] if left else node.shape[0]
    shape = (rows, right[0].shape[0] if right else node.shape[1])
    inside = _sorted(add(*(t.node(shape) for t in terms)))
    inside = min((inside, _sorted(_multiplied_out(inside))), key=cost)
    return mul(number(count), *shared, *left, inside, *right)


def _merged(terms: list[_Term], node: Node) -> Node | None:
    """diag(a) + diag(b) = diag(a + b), and element-wise factors that all terms share."""
    if any(len(t.chain) != 1 for t in terms):
        return None
    bodies = [t.chain[0] for t in terms]
    if all(b.op == "diag" for b in bodies):
        parts = [mul(number(t.count), *t.scalars, t.chain[0].args[0]) for t in terms]
        return diag(_shortest(_sorted(add(*parts))))
    factors = [list(b.args) if b.op == "hadamard" else [b] for b in bodies]
    shared = _shared(factors)
    if not shared:
        return None
    parts = []
    for term, own in zip(terms, factors, strict=True):
        _remove(own, shared)
        body = hadamard(*own) if own else ones(node.shape)
        parts.append(mul(number(term.count), *term.scalars, body))
    return hadamard(*shared, _sorted(add(*parts)))


def _shared(groups: Sequence[list[Node]]) -> list[Node]:
    others = [{other.key for other in group} for group in groups[1:]]
    return [node for node in groups[0] if all(node.key in keys for keys in others)]


def _remove(group: list[Node], shared: list[Node]) -> None:
    for gone in shared:
        group.pop(next(i for i, n in enumerate(group) if n.key == gone.key))


def _prefix(chains: list[list[Node]]) -> list[Node]:
    columns = zip(*chains, strict=False)
    same = itertools.takewhile(lambda column: len({n.key for n in column}) == 1, columns)
    return [column[0] for column in same]


# Matching the table ------------------------------------------------------------------------

Binding = dict[str, Node]


@cache
def _patterns() -> tuple[tuple[Rewrite, Node], ...]:
    letter = symbol("U", ("?r", "?c"))
    return tuple((rule, template(rule.pattern, U=letter)) for rule in REWRITES)


def _rewritten(node: Node) -> Node:
    for _ in range(20):
        found = _first_match(node)
        if found is None:
            return node
        node = found
    return node


def _first_match(node: Node) -> Node | None:
    for rule, pattern in _patterns():
        if pattern.op == node.op == "power" and pattern.data == -1 and _whole(node.data) < 0:
            for binding in _match(pattern.args[0], node.args[0], {}):
                return power(template(rule.replacement, **binding), -node.data)
        if pattern.op in ("hadamard", "add"):
            found = _part(rule, pattern, node)
            if found is not None:
                return found
            continue
        for binding in _match(pattern, node, {}):
            return template(rule.replacement, **binding)
    return None


def _part(rule: Rewrite, pattern: Node, node: Node) -> Node | None:
    """The rule applied to some of the factors, or of the terms, of ``node``."""
    pieces = _pieces(pattern.op, node)
    if pieces is None or len(pieces) > 12:
        return None
    make: Callable[..., Node] = hadamard if pattern.op == "hadamard" else add
    for picked in itertools.permutations(range(len(pieces)), len(pattern.args)):
        chosen = [pieces[i] for i in picked]
        for binding in _match_all(pattern.args, chosen, {}):
            rest = [p for i, p in enumerate(pieces) if i not in picked]
            return make(*rest, template(rule.replacement, **binding))
    return None


def _whole(exponent: Fraction) -> int:
    return int(exponent) if exponent.denominator == 1 else 0


def _pieces(op: str, node: Node) -> list[Node] | None:
    """The parts of a sum or of a commuting product; small powers count as repeated factors."""
    if op == "add":
        return list(node.args) if node.op == "add" else None
    if node.op == "hadamard":
        parts = list(node.args)
    elif node.op == "mul" and node.shape == SCALAR:
        parts = plain(node)[0]
    else:
        return None
    found: list[Node] = []
    for part in parts:
        repeated = part.op == "power" and part.data in (2, 3)
        found += [part.args[0]] * int(part.data) if repeated else [part]
    return found


def _match_all(
    patterns: Sequence[Node], nodes: Sequence[Node], bound: Binding
) -> Iterator[Binding]:
    if not patterns:
        yield bound
        return
    for found in _match(patterns[0], nodes[0], bound):
        yield from _match_all(patterns[1:], nodes[1:], found)


def _match(pattern: Node, node: Node, bound: Binding) -> Iterator[Binding]:
    """All ways to read ``node`` as ``pattern``."""
    if pattern.op == "symbol":
        known = bound.get(pattern.data[0])
        if known is None:
            yield {**bound, pattern.data[0]: node}
        elif known.key == node.key:
            yield bound
    elif pattern.op == "ones":
        if node.op == "ones" or (node.op == "number" and node.data == 1):
            yield bound
    elif pattern.op == "mul":  # a number times a pattern
        count, bare = split(pattern)
        own, rest = split(node)
        if count == own:
            yield from _match(bare, rest, bound)
        elif count == -1 and own < 0 and bare.op == "symbol":
            yield from _match(bare, negate(node), bound)
    elif pattern.op in ("add", "hadamard"):
        pieces = _pieces(pattern.op, node)
        if pieces is not None and len(pieces) == len(pattern.args):
            for order in itertools.permutations(pieces):
                yield from _match_all(pattern.args, order, bound)
    elif pattern.op == node.op and pattern.data == node.data:
        yield from _match_all(pattern.args, node.args, bound)
