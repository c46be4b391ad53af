"""From the nodes of a graph to formulas: what is folded away, and what is spelled out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.explanation.formula.algebra import SIMPLIFIED, WRITTEN, Algebra
from chainrule.explanation.formula.expressions import ONE, ZERO, call_of, constant, named
from chainrule.explanation.formula.node import Node as Formula

Find = Callable[[Node], np.ndarray | None]
Attributes = tuple[tuple[str, Any], ...]


def is_transparent(node: Node) -> bool:
    """Whether the operation is written as its argument alone: casts, broadcasts, reshapes."""
    return node.primitive.text == "{}" and len(node.inputs) == 1


def behind(node: Node) -> Node:
    """The node that is seen through transparent ones."""
    while is_transparent(node):
        (node,) = node.inputs
    return node


def number(value: Any) -> Formula:
    """A scalar as it would be typed: float32 by its own shortest digits."""
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        return constant(int(array))
    if array.dtype == np.float32 and np.isfinite(array):
        return constant(float(str(array[()])))
    return constant(float(array))


class Builder:
    """Turns nodes into expressions, down to the nodes that have a name.

    Args:
        named: expressions of the nodes at which to stop. It grows while building.
        find: the value of a node where it is known; scalars that depend on constants only
            become numbers.
        algebra: how algebraic primitives combine, ``WRITTEN`` or ``SIMPLIFIED``.
        gates: nodes that are written as one function of others, by its name.
    """

    def __init__(
        self,
        named: Mapping[Node, Formula],
        find: Find,
        algebra: Algebra = WRITTEN,
        gates: Mapping[Node, tuple[str, tuple[Node, ...], Attributes]] | None = None,
    ) -> None:
        self.known: dict[Node, Formula] = dict(named)
        self.find = find
        self.algebra = algebra
        self.gates = gates or {}

    def of(self, node: Node) -> Formula:
        found = self.known.get(node)
        if found is None:
            found = self.known[node] = self._constant(node) or self.step(node)
        return found

    def step(self, node: Node) -> Formula:
        """The operation of ``node`` on the expressions of its inputs, whatever its own name."""
        constant = self._constant(node) if node.primitive is CONSTANT else None
        if constant is not None:
            return constant
        if node.primitive is INPUT:  # an array that a rule brings along
            value = self.find(node)
            matrix = value if value is not None and value.ndim == 2 else None
            unit = matrix is not None and np.array_equal(matrix, np.eye(len(matrix)))
            return named(letter := "I" if unit else "c", letter, shape=node.type.shape)
        if node in self.gates:
            name, inputs, attrs = self.gates[node]
            return call_of(name, tuple(map(self.of, inputs)), attrs, node.type.shape)
        if is_transparent(node):
            inside = self.of(node.inputs[0])
            truth = node.inputs[0].type.dtype.kind == "b" and node.type.dtype.kind != "b"
            return call_of("indicator", (inside,), (), node.type.shape) if truth else inside
        if self.algebra is SIMPLIFIED and self._is_idle_guard(node):
            return self.of(node.inputs[2])
        args = tuple(self.of(x) for x in node.inputs)
        return apply(node.primitive.name, args, node.attrs, node.type.shape, self.algebra)

    def _is_idle_guard(self, node: Node) -> bool:
        """Whether a choice only guards a single point, as rules do where 0/0 would stand, and
        the values here are not at that point. Derivatives read better without it."""
        if node.primitive.name not in CHOICES:
            return False
        condition = behind(node.inputs[0])
        value = self.find(condition)
        return value is not None and not np.any(value) and _tests_equality(condition)

    def _constant(self, node: Node) -> Formula | None:
        if not node.is_constant or node.type.shape:
            return None
        value = self.find(node) if node.primitive is not CONSTANT else None
        if node.primitive is CONSTANT:
            value = np.frombuffer(node.attrs["value"], node.attrs["dtype"]).reshape(())
        return None if value is None else number(value)


def _tests_equality(node: Node) -> bool:
    if node.primitive.name in BOTH:
        return any(_tests_equality(behind(x)) for x in node.inputs)
    return node.primitive.name in EQUALITIES


CHOICES = frozenset({"select"})
EQUALITIES = frozenset({"equal"})
BOTH = frozenset({"logical_and", "bitwise_and"})


def apply(
    operation: str,
    args: tuple[Formula, ...],
    attrs: Mapping[str, Any],
    shape: tuple[int, ...],
    algebra: Algebra,
) -> Formula:
    combine = algebra.get(operation)
    if combine is not None:
        return combine(*args, **attrs)
    made = call_of(operation, args, tuple(attrs.items()), shape)
    idiom = IDIOMS.get(operation)
    return made if idiom is None else idiom(made)


# Idioms: compositions that have a name of their own ------------------------------------------


def _choice(e: Formula) -> Formula:
    condition, taken, other = e.args
    if (taken, other) == (ONE, ZERO):
        return call_of("indicator", (condition,), (), e.shape)
    if (taken, other) == (ZERO, ONE):
        opposite = OPPOSITE.get(condition.op)
        if opposite is not None:
            against = call_of(opposite, condition.args, (), condition.shape)
            return call_of("indicator", (against,), (), e.shape)
    if condition.op in POSITIVE:
        x, bound = condition.args
        if bound == ZERO and taken == x and other == ZERO:
            return call_of("relu", (x,), (), e.shape)
    return e


def _softplus(e: Formula) -> Formula:
    x, z = e.args
    return call_of("softplus", (x,), (), e.shape) if z == ZERO else e


OPPOSITE = {"equal": "not_equal", "less": "greater_equal", "less_equal": "greater"}
OPPOSITE.update({other: one for one, other in OPPOSITE.items()})
POSITIVE = frozenset({"greater", "greater_equal"})
IDIOMS: Mapping[str, Callable[[Formula], Formula]] = {"select": _choice, "logaddexp": _softplus}
"""Calls that are shown by a shorter name; the name's value is in ``idioms``."""
