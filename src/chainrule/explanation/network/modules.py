"""The modules of a network in the words of the lectures: formulas and shapes by convention.

Matrices have one example as a row (1, n), or as a column (n, 1) where the convention says so
(L0.3). A layer's scores are z, what its activation makes of them a, the prediction ŷ, the target y
(L0.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.api import vjp
from chainrule.explanation.formula.expressions import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    added,
    call_of,
    is_call,
    multiplied,
    named,
    raised,
    rebuilt,
)
from chainrule.explanation.formula.node import Node, rewrite, walk
from chainrule.explanation.steps.explaining import explain
from chainrule.ops import special

TARGET = named("y", "y")
LOSS = named("J", "J")


@dataclass(frozen=True)
class Convention:
    """How a layer multiplies, and so how its derivatives look.

    The specs are those of ``contract`` for the product of (a, W), of (a, δ) and of (δ, W);
    ``weights`` turns (inputs, outputs) into the stored layout.
    """

    name: str
    forward: str
    weight_gradient: str
    backward: str
    columns: bool
    transposed: bool
    swapped: bool


CONVENTIONS: Mapping[str, Convention] = {
    "inputs_outputs": Convention(
        "inputs_outputs", "ni,ij->nj", "ni,nj->ij", "nj,ij->ni", False, False, False
    ),
    "bias_row": Convention("bias_row", "ni,ij->nj", "ni,nj->ij", "nj,ij->ni", False, False, False),
    "torch": Convention("torch", "ni,ji->nj", "nj,ni->ji", "nj,ji->ni", False, True, False),
    "outputs_inputs": Convention(
        "outputs_inputs", "ji,in->jn", "jn,in->ji", "ji,jn->in", True, True, True
    ),
}


def contracted(c: Convention, what: str, a: Node, w: Node, delta: Node) -> Node:
    """The three products of a layer: ``forward`` a W, ``weights`` aᵀ δ, ``inputs`` δ Wᵀ, in the
    order and with the transposes of the convention."""
    if what == "forward":
        args, spec = ((w, a) if c.columns else (a, w)), c.forward
    elif what == "weights":
        args, spec = ((delta, a) if c.transposed else (a, delta)), c.weight_gradient
    else:
        args, spec = ((w, delta) if c.columns else (delta, w)), c.backward
    return call_of("contract", args, (("spec", spec),), (1, 1))


# Losses and output units -------------------------------------------------------------------------


@dataclass(frozen=True)
class Output:
    """An output unit with the loss that belongs to it (L2.4), in textbook form.

    ``loss(y, t)`` and ``slope(y, t)`` are formulas; ``value`` is the loss as a function of arrays.
    ``unit(z)`` is the activation's formula, ``passed`` that of dJ/dz.
    """

    unit_name: str
    unit: Callable[[Node], Node] | None
    loss: Callable[[Node], Node]
    slope: Callable[[Node], Node]
    value: Callable[[Any, Any], Any]
    passed: Callable[[Node], Node] | None

    def gradient(self, y: Any, t: Any, delta: Any, unit: Any) -> np.ndarray:
        """dJ/dy, from dJ/dz = ``delta`` and the unit's slope where that is one number for each
        output: a unit that rounds to 1 has no 1 - y left to divide by."""
        with np.errstate(all="ignore"):
            losses, pull = vjp(lambda outputs: self.value(outputs, t), np.asarray(y))
            found = np.asarray(pull(np.ones_like(losses))[0])
            if self.passed is None:
                return found
            return np.where(np.asarray(unit) != 0, np.asarray(delta) / unit, found)


def _log(x: Node) -> Node:
    return call_of("log", (x,), (), x.shape)


def _total(x: Node) -> Node:
    return call_of("reduce_sum", (x,), (("axes", (0, 1)),), ())


def _one_minus(x: Node) -> Node:
    return added(ONE, multiplied(MINUS_ONE, x))


def _difference(y: Node) -> Node:
    return added(y, multiplied(MINUS_ONE, TARGET))


def _binary_loss(y: Node) -> Node:
    terms = added(multiplied(TARGET, _log(y)), multiplied(_one_minus(TARGET), _log(_one_minus(y))))
    return multiplied(MINUS_ONE, terms)


def _binary_slope(y: Node) -> Node:
    return added(
        multiplied(MINUS_ONE, TARGET, raised(y, MINUS_ONE)),
        multiplied(_one_minus(TARGET), raised(_one_minus(y), MINUS_ONE)),
    )


def _softmax(z: Node) -> Node:
    return call_of("softmax", (z,), (), z.shape)


OUTPUTS: Mapping[str, Output] = {
    "binary_cross_entropy": Output(
        "logistic",
        lambda z: call_of("logistic", (z,), (), z.shape),
        _binary_loss,
        _binary_slope,
        lambda y, t: -np.sum(special.xlogy(t, y) + special.xlog1py(1 - t, -y)),
        lambda y: multiplied(y, _one_minus(y)),
    ),
    "categorical_cross_entropy": Output(
        "softmax",
        _softmax,
        lambda y: multiplied(MINUS_ONE, _total(multiplied(TARGET, _log(y)))),
        lambda y: multiplied(MINUS_ONE, TARGET, raised(y, MINUS_ONE)),
        lambda y, t: -np.sum(special.xlogy(t, y)),
        None,
    ),
    "squared_error": Output(
        "identity",
        None,
        lambda y: multiplied(HALF, _total(raised(_difference(y), TWO))),
        _difference,
        lambda y, t: 0.5 * np.sum((y - t) ** 2),
        None,
    ),
}
"""By the name of the loss; others are shown without their inner formulas."""

SIMPLE_DELTA = frozenset(OUTPUTS)
"""Losses matched to their output unit: there dJ/dz is prediction minus target (L0.4)."""


def oriented(array: Any, columns: bool) -> np.ndarray:
    """A vector as a row or a column; a matrix as it is."""
    array = np.asarray(array)
    row = array.reshape(1, -1) if array.ndim < 2 else array
    return row.T if columns else row


# Activations -----------------------------------------------------------------------------


def activation_formulas(activation: Any, z: Node, a: Node) -> tuple[Node, Node]:
    """The formula of an activation of ``z`` and of its slope, in ``z`` and its value ``a``."""
    name = activation.name
    forward, slope = formulas_at(lambda z: activation(z), {"z": 0.5}, {"z": z, "a": a}, "a")
    if forward is z:  # the identity
        return z, named("one", "1")
    prime = named(f"{name}'", f"{name}′({z.text()})", shape=(1, 2))
    shown = forward if slope is not None else None
    return shown or named(name, f"{name}({z.text()})"), slope or prime


def formulas_at(
    f: Callable[..., Any], at: Mapping[str, Any], names: dict[str, Node], result: str
) -> tuple[Node | None, Node | None]:
    """The formula of ``f``, called ``result``, and of its slope by the first of its arguments, in
    ``names``; None where they are long.

    Taken from the engine: ``f`` is explained at one point, and its formulas are rewritten.
    """
    found = explain(f, tuple(at.values()), name=result, argnums=0)
    if found.nodes[found.output].kind == "input":
        return names[next(iter(at))], ONE
    flows = [s for s in found.steps if s.kind == "backward" and s.node == 0]
    single = sum(node.kind == "operation" for node in found.nodes) == 1
    slope = (
        flows[0].local if single and flows else found.results[0].formula if found.results else None
    )
    forward = None if found.formula is None else renamed(found.formula, names)
    short = slope is not None and sum(1 for _ in walk(slope)) <= 16
    return forward, renamed(slope, names) if short and slope is not None else None


def renamed(e: Node, names: dict[str, Node]) -> Node:
    """``e`` with other names."""

    def made(part: Node, args: tuple[Node, ...]) -> Node:
        part = rebuilt(part, args)
        return replace(part, shape=(1, 2)) if is_call(part) else part

    return rewrite(e, lambda part: names.get(part.key) if part.op == "name" else None, made)
