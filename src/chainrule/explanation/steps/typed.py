"""Typed expressions, explained at numbers or arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.core.node import PRIMITIVES
from chainrule.core.rules import Elementwise
from chainrule.errors import UsageError
from chainrule.explanation.formula.expressions import (
    ONE,
    Call,
    Expr,
    Name,
    Number,
    Power,
    Product,
    Sum,
    rebuilt,
    walk,
)
from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.node import walk as walk_tree
from chainrule.explanation.formula.parsing import Expression, arguments, parse, places
from chainrule.explanation.steps.data import Explanation
from chainrule.explanation.steps.explaining import explain


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
    argnums = places(expression, wrt)
    explained = explain(
        expression,
        points,
        names=names,
        precision=precision,
        argnums=argnums,
        notes=expression.notes,
        **more,
    )
    # what depends on shapes is known once it has been computed
    said = [*expression.notes, *expression.readings]
    rest = [note for note in explained.notes if note not in said]
    formula = explained.formula and as_typed(explained.formula, expression)
    return replace(explained, notes=(*said, *rest), formula=formula)


# The formula as it was typed ---------------------------------------------------------------------


def as_typed(formula: Expr, expression: Expression) -> Expr:
    """The formula with what its graph does not keep: the indexes of sums, and fractions that
    stand before a factor, as 1/2 Σ_k (t_k − y_k)²."""
    nodes = [node for _, tree in expression.statements for node in walk_tree(tree)]
    sums = sorted((n for n in nodes if n.op == "sum" and n.data), key=lambda n: n.place)
    halves = {n.args[0].data / n.args[1].data: n.args for n in nodes if _is_fraction(n)}
    found = [e for e in walk(formula) if isinstance(e, Call) and e.operation == "reduce_sum"]
    return _as_typed(formula, iter(sums) if len(sums) == len(found) else None, halves)


def _is_fraction(node: Node) -> bool:
    return node.op == "/" and all(
        n.op == "number" and type(n.data) is int and 0 < n.data < 10**6 for n in node.args
    )


def _by_entries(operation: str) -> bool:
    return operation in PRIMITIVES and isinstance(PRIMITIVES[operation].rule, Elementwise)


def _as_typed(e: Expr, sums: Iterator[Node] | None, halves: Mapping[float, Any]) -> Expr:
    if sums and isinstance(e, Call) and e.operation == "reduce_sum" and len(e.args[0].shape) == 1:
        index, lower, upper = next(sums).data
        said = (("index", index), ("lower", lower), ("upper", upper))
        return Call("indexed sum", (_entry(e.args[0], index),), said)
    parts = tuple(_as_typed(part, sums, halves) for part in e.parts)
    return _fractions_first(parts, halves) if isinstance(e, Product) else rebuilt(e, parts)


def _fractions_first(factors: tuple[Expr, ...], halves: Mapping[float, Any]) -> Expr:
    """A product in which what was divided before the last factor is a fraction."""
    first = factors[0]
    if isinstance(first, Number) and abs(first.value) in halves:
        above, below = (Number(n.data) for n in halves[abs(first.value)])
        sign = (Number(-1),) if first.value < 0 else ()
        return Product((*sign, Call("fraction", (above, below)), *factors[1:]))
    parts: list[Expr] = []
    over: tuple[Expr, ...] = ()
    for i, factor in enumerate(factors):
        if not _divides(factor):
            over += (factor,)
        elif i == len(factors) - 1 and not parts:
            return Product(factors)  # one fraction
        else:
            above = over if len(over) < 2 else (Product(over),)
            parts.append(Call("fraction", (*(above or (ONE,)), factor.parts[0])))
            over = ()
    return Product((*parts, *over))


def _divides(e: Expr) -> bool:
    return isinstance(e, Power) and e.exponent == Number(-1) and not e.shape


def _entry(e: Expr, index: str) -> Expr:
    """The entry of a vector, which what is done entry by entry passes on."""
    if not e.shape:
        return e
    if isinstance(e, Name) and not (e.index or e.upper):
        return replace(e, index=index, of_shape=())
    parts = tuple(_entry(part, index) for part in e.parts)
    if isinstance(e, (Sum, Product, Power)):
        return rebuilt(e, parts)
    if isinstance(e, Call) and _by_entries(e.operation):
        return replace(e, args=parts, of_shape=())
    return Call("entry", (e,), (("index", index),))


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
