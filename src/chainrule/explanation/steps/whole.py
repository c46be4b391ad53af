"""The whole formula of a scalar expression, and of its derivative by each input.

The derivative is built from the primitives' partials by the chain rule, from the inputs
outward: (cos u)' = −sin u · u', so that it comes out in the order in which textbooks write it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from chainrule.core.node import Node
from chainrule.core.traced import Traced
from chainrule.explanation.formula.algebra import SIMPLIFIED, WRITTEN
from chainrule.explanation.formula.building import Builder
from chainrule.explanation.formula.expressions import (
    ONE,
    ZERO,
    constant,
    evaluate,
    plus,
    replaced,
    size,
    times,
)
from chainrule.explanation.formula.node import Node as Formula
from chainrule.explanation.formula.node import walk
from chainrule.explanation.steps.backward import (
    Backward,
    Flow,
    derivative_name,
    local_derivative,
    local_shown,
)
from chainrule.explanation.steps.recorded import Recorded

MOST_SYMBOLS = 250
MOST_OF_ARRAYS = 40
MOST_QUANTITIES = 120


def _inputs(r: Recorded) -> dict[Node, Formula]:
    return {node: r.names[node] for node in r.free}


def whole_formula(r: Recorded) -> Formula | None:
    """The output in terms of the inputs, as it was written; None where it is too long."""
    given = {node: r.names[node] for node in r.graph.inputs}
    limit = MOST_SYMBOLS if r.is_scalar else MOST_OF_ARRAYS
    return _expand(r, r.builder(WRITTEN, given), limit) if _fits(r) else None


def _fits(r: Recorded) -> bool:
    return len(r.quantities) <= MOST_QUANTITIES and r.output not in r.free


def _expand(r: Recorded, builder: Builder, limit: int = MOST_SYMBOLS) -> Formula | None:
    """The output through every quantity in order, given up as soon as it grows too long."""
    for node in r.quantities:
        if size(builder.of(node), limit) >= limit:
            return None
    return builder.of(r.output)


def whole_derivatives(r: Recorded, back: Backward) -> dict[Node, Formula]:
    """The derivative by each input, simplified, where it is short enough to read.

    A formula is kept only if its value at the point is the number of the chain rule; at a
    singular point of the formula (0/0) there is none.
    """
    if not r.is_scalar or not _fits(r):
        return {}
    builder = r.builder(SIMPLIFIED, _inputs(r))
    if _expand(r, builder) is None:
        return {}
    values = {r.names[node].key: np.asarray(r.value(node), np.float64) for node in r.free}
    found = {}
    for node in r.free:
        if node not in r.moving:
            continue
        formula = _along(r, builder, node)
        if formula is None:
            continue
        total = back.totals.get(node)
        number = 0.0 if total is None else float(r.value(total.node))
        if _close(float(evaluate(formula, values)), number, r):
            found[node] = formula
    return found


MOST_NAMED = 12


def named_derivatives(r: Recorded, back: Backward) -> dict[Node, Formula]:
    """The derivative by each array in the names of the forward pass, 2 q xᵀ or (ŷ − y) xᵀ, where
    it is short and has the values that the chain rule gave."""
    known: dict[Node, Formula | None] = {r.output: ONE}
    for node, flows in back.flows.items():
        terms = [_named_flow(r, flow, known.get(flow.use.node)) for flow in flows]
        sound = bool(terms) and all(term is not None for term in terms)
        made = plus(*(term for term in terms if term is not None)) if sound else None
        known[node] = made if made is not None and size(made, MOST_NAMED) < MOST_NAMED else None
    values = {name.key: np.asarray(r.value(node), float) for node, name in r.names.items()}
    found = {}
    for node in r.free:
        formula, total = known.get(node), back.totals.get(node)
        if formula is None or total is None or not node.type.shape:
            continue
        if _holds(r, formula, values, total.node):
            found[node] = formula
    return found


def _named_flow(r: Recorded, flow: Flow, upstream: Formula | None) -> Formula | None:
    if upstream is None:
        return None
    if flow.formula is None:
        return times(upstream, flow.local_formula or ZERO)
    return replaced(flow.formula, {derivative_name(r, flow.use.node): upstream})


def _holds(r: Recorded, formula: Formula, values: Mapping[str, np.ndarray], total: Node) -> bool:
    exact = r.value(total)
    if any(x.op == "place" for x in walk(formula)):
        return False
    try:
        found = np.asarray(evaluate(formula, values))
    except (ValueError, TypeError, KeyError, IndexError):  # an array of ones that is written as 1
        return False
    low = exact.dtype == np.float32
    fits = found.shape in ((), exact.shape)
    return fits and np.allclose(found, exact, 1e-3 if low else 1e-6, 1e-5 if low else 1e-9)


def _close(a: float, b: float, r: Recorded) -> bool:
    low = any(node.type.dtype == np.float32 for node in r.quantities)
    return math.isclose(a, b, rel_tol=1e-3 if low else 1e-6, abs_tol=1e-5 if low else 1e-9)


def _along(r: Recorded, builder: Builder, wrt: Node) -> Formula | None:
    """The chain rule outward from one input: du = Σ ∂u/∂x · dx over the arguments of u."""
    slopes: dict[Node, Formula] = {wrt: ONE}
    for node in r.quantities:
        if node is wrt or node not in r.moving:
            continue
        terms = []
        for use in r.uses[node]:
            if use.source not in slopes:
                continue
            local = local_derivative(r, use)
            if isinstance(local, Traced):
                partial = builder.of(local_shown(r, use, local).node)
            else:
                partial = constant(local)
            terms.append(times(partial, slopes[use.source]))
        if terms:
            slopes[node] = plus(*terms)
            if size(slopes[node], MOST_SYMBOLS) >= MOST_SYMBOLS:
                return None
    return slopes.get(r.output, ZERO)
