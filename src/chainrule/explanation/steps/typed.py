"""Typed expressions, explained at numbers or arrays."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.core.node import PRIMITIVES
from chainrule.core.rules import Elementwise
from chainrule.core.traced import Traced
from chainrule.errors import UsageError
from chainrule.explanation.formula.algebra import WRITTEN, negated
from chainrule.explanation.formula.building import apply, number
from chainrule.explanation.formula.cursor import WHOLE, is_inner, is_ones, is_row, unaccented
from chainrule.explanation.formula.expressions import (
    ONE,
    added,
    call_of,
    coefficient,
    constant,
    factors_of,
    inside,
    multiplied,
    raised,
    rebuilt,
    terms_of,
)
from chainrule.explanation.formula.greek import spell
from chainrule.explanation.formula.idioms import IDIOM_FORWARDS
from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.parsing import (
    Expression,
    arguments,
    compare_sides,
    parse,
    places,
)
from chainrule.explanation.formula.spelling import SLOPE
from chainrule.explanation.steps.data import Explanation
from chainrule.explanation.steps.explaining import explain
from chainrule.explanation.steps.recorded import Recorded


def explain_expression(
    text: str,
    *,
    names: str = "lecture",
    precision: int = 10,
    wrt: Collection[str] | None = None,
    entry: tuple[int, ...] | None = None,
    cotangent: Any = None,
    opened: bool | Collection[str] = False,
    **values: Any,
) -> Explanation:
    """Explain a typed expression at numbers or arrays: ``explain.expression("x**2", x=3.0)``.

    ``wrt`` names what to differentiate by; None takes everything that has a value. Of an array
    one ``entry`` is differentiated, as in (0, 1), or what it makes of a ``cotangent`` of its shape;
    ``opened`` shows gates by what is inside: True, or their names.

    Raises:
        ExpressionError: what is not understood. UsageError: a name without a value.
    """
    given = {name: _value(name, value) for name, value in values.items()}
    more = {"entry": entry, "cotangent": cotangent, "opened": opened}
    return explain_typed(text, given, names=names, precision=precision, wrt=wrt, **more)


def explain_typed(
    text: str,
    given: Mapping[str, Any],
    *,
    names: str = "lecture",
    precision: int = 10,
    wrt: Collection[str] | None = None,
    **more: Any,
) -> Explanation:
    """``explain_expression`` with the values in a mapping, whatever their names."""
    expression = parse(text, given)
    points = arguments(expression, given)
    compare_sides(expression, given)
    argnums = places(expression, wrt)
    explained = explain(
        expression,
        points,
        names=names,
        precision=precision,
        argnums=argnums,
        notes=expression.notes,
        written=lambda r: _AsTyped(expression, r).of(expression.statements[-1][1]),
        **more,
    )
    expression.values.clear()
    # what depends on shapes is known once it has been computed
    said = [*expression.notes, *expression.readings]
    rest = [note for note in explained.notes if note not in said]
    return replace(explained, notes=(*said, *rest))


# The formula as it was typed ---------------------------------------------------------------------


class _AsTyped:
    """The formula with what its graph does not keep: signs, brackets, fractions, the indexes of
    sums, names that were defined before. Functions are written as their operations in the graph."""

    def __init__(self, expression: Expression, r: Recorded) -> None:
        self.values, self.names = expression.values, r.names
        self.builder = r.builder(WRITTEN, {})
        self.assigned = dict(expression.statements)
        self.last = expression.statements[-1][1]
        """Its own name, in x = x + 1, is what came before."""
        self.known: dict[str, Node] = {}

    def of(self, item: Node) -> Node:
        made = self.bare(item)
        if not item.bracket or made.op == "number" or item.data == WHOLE:
            return made
        return call_of("group", (made,), (("bracket", item.bracket),), made.shape)

    def bare(self, item: Node) -> Node:
        if item.op in ("number", "name"):
            return self.leaf(item)
        if item.op == "indexed":
            whole = self.leaf(item.args[0])
            said = replace(spell(unaccented(item.data[0])).data, key=whole.key)
            return replace(whole, data=said, shape=()) if whole.op == "name" else whole
        parts = [self.of(part) for part in item.args[: 1 if item.op == "Subscript" else None]]
        shape, ranks = np.shape(self.value(item)), [np.ndim(self.value(x)) for x in item.args]
        match item.op:
            case "+":
                return added(*terms_of(parts[0]), parts[1])
            case "-":
                return added(*terms_of(parts[0]), negated(parts[1]))
            case "−":
                return negated(parts[0])
            case "/" if coefficient(parts[0])[0] < 0:
                return negated(call_of("fraction", (negated(parts[0]), parts[1]), (), shape))
            case "/":
                return call_of("fraction", tuple(parts), (), shape)
            case "^" | "**" if ranks[0] < 2:
                return raised(parts[0], inside(parts[1]))
            case "exp" if item.data:
                return raised(constant(math.e), inside(parts[0]))
            case "exp":
                return call_of("exp()", (inside(parts[0]),), (), shape)
            case "ᵀ" if ranks[0]:
                return call_of("transpose", (parts[0],), (("axes", (1, 0)),), shape)
            case "*" | "⊙" | "@" | " " | "·" if not any(map(_of_ones, item.args)):
                return self.product(item, parts, ranks, shape)
            case "sum" if item.data:
                said = tuple(zip(("index", "lower", "upper"), item.data, strict=True))
                return call_of("indexed sum", (_entry(parts[0], item.data[0]),), said)
        return self.computed(item, parts)

    def value(self, item: Node) -> Any:
        return self.values.get(id(item), 0.0)

    def leaf(self, item: Node) -> Node:
        if item.op == "number":
            return constant(item.data)
        if item.data not in self.known:
            tree, value = self.assigned.get(item.data), self.value(item)
            if tree is not None and tree is not self.last:
                self.known[item.data] = self.bare(tree)
            else:
                traced = isinstance(value, Traced)
                self.known[item.data] = self.names[value.node] if traced else number(value)
        return self.known[item.data]

    def product(self, item: Node, parts: Sequence[Node], ranks: Sequence[int], shape: Any) -> Node:
        left, right = parts
        sign = item.op if item.op != "*" else item.data or "*"
        if sign == "*" or (item.op == " " and _of_entries(item, ranks)):
            return multiplied(*factors_of(left), right)
        number, rest = coefficient(left)
        if number != 1 and rest != ONE:  # 2 q xᵀ
            return multiplied(constant(number), self.product(item, (rest, right), ranks, shape))
        entries = not min(ranks) or item.op in ("*", "⊙")
        said = (("sign", sign.strip("@ ")), ("entries", entries))
        return call_of("beside", (left, right), said, shape)

    def computed(self, item: Node, parts: Sequence[Node]) -> Node:
        """A function, as the graph that was recorded of it is written."""
        value = self.value(item)
        word = f"{item.op}_{item.data}" if item.op == "norm" and item.data else item.op
        if word in IDIOM_FORWARDS and len(parts) == 1:
            return call_of(word, (inside(parts[0]),), (), np.shape(value))
        if not isinstance(value, Traced):
            known = item.op in PRIMITIVES and len(parts) == 1
            return apply(item.op, tuple(parts), {}, (), WRITTEN) if known else number(value)
        if item.op.endswith(SLOPE):
            said = (("word", item.op.removesuffix(SLOPE)),)
            return call_of("typed slope", (inside(parts[0]),), said, np.shape(value))
        found = ((self.value(x), e) for x, e in zip(item.args, parts, strict=False))
        self.builder.known = {x.node: e for x, e in found if isinstance(x, Traced)}
        made = self.builder.of(value.node)
        if item.op == "where" and item.data is not None:
            return call_of("cases", (*parts, self.of(item.data)), (), made.shape)
        if item.data == "{" and made.op in ("maximum", "minimum"):
            return replace(made, op=f"{made.op}{{}}")
        return made


def _of_entries(item: Node, ranks: Sequence[int]) -> bool:
    """Whether vectors side by side were multiplied entry by entry: σ(x) (1 − σ(x))."""
    left, right = item.args
    columns = right.op != "ᵀ" and not is_row(left)
    return columns and ranks == [1, 1] and not is_inner(item)


def _of_ones(item: Node) -> bool:
    return is_ones(item.args[0] if item.op == "ᵀ" else item)


def _entry(e: Node, index: str) -> Node:
    """The entry of a vector, which what is done entry by entry passes on."""
    if not e.shape:
        return e
    parts = tuple(_entry(part, index) for part in e.args)
    if e.op in ("sum", "product", "power"):
        return rebuilt(e, parts)
    if _by_entries(e):
        return replace(e, args=parts, shape=())
    return call_of("entry", (inside(e),), (("index", index),))


def _by_entries(e: Node) -> bool:
    if e.op == "group":
        return e.data[0][1] != "(_"
    if e.op == "beside":
        return e.data[1][1]
    known = e.op in PRIMITIVES and isinstance(PRIMITIVES[e.op].rule, Elementwise)
    return known or e.op in ("fraction", "exp()", "relu", "softplus", "indicator")


def _value(name: str, value: Any) -> Any:
    if isinstance(value, (int, float)):
        return float(value)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise ValueError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name}={value!r}: a value is a real number or an array of them"
        ) from None
