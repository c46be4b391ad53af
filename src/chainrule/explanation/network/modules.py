"""The modules of a network in the words of the lectures: formulas and shapes by convention.

Matrices have one example as a row (1, n), or as a column (n, 1) where the convention says so
(L0.3). A layer's scores are z, what its activation makes of them a, the prediction ŷ, the target y
(L0.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.api import vjp
from chainrule.explanation.formula.expressions import (
    HALF,
    MINUS_ONE,
    ONE,
    TWO,
    Call,
    Derivative,
    Expr,
    Name,
    Power,
    Product,
    Sum,
    walk,
)
from chainrule.explanation.steps.explaining import explain
from chainrule.ops import special

Shape = tuple[int, int]

TARGET = Name("y", "y")
LOSS = Name("J", "J")


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


def contracted(c: Convention, what: str, a: Name, w: Name, delta: Name) -> Expr:
    """The three products of a layer: ``forward`` a W, ``weights`` aᵀ δ, ``inputs`` δ Wᵀ, in the
    order and with the transposes of the convention."""
    if what == "forward":
        args, spec = ((w, a) if c.columns else (a, w)), c.forward
    elif what == "weights":
        args, spec = ((delta, a) if c.transposed else (a, delta)), c.weight_gradient
    else:
        args, spec = ((w, delta) if c.columns else (delta, w)), c.backward
    return Call("contract", args, (("spec", spec),), (1, 1))


def derivative(of: Name, by: Name) -> Derivative:
    return Derivative(of, by, True)


# Losses and output units -------------------------------------------------------------------------


@dataclass(frozen=True)
class Output:
    """An output unit with the loss that belongs to it (L2.4), in textbook form.

    ``loss(y, t)`` and ``slope(y, t)`` are formulas; ``value`` is the loss as a function of arrays.
    ``unit(z)`` is the activation's formula, ``passed`` that of dJ/dz.
    """

    unit_name: str
    unit: Callable[[Name], Expr] | None
    loss: Callable[[Name], Expr]
    slope: Callable[[Name], Expr]
    value: Callable[[Any, Any], Any]
    passed: Callable[[Name], Expr] | None

    def gradient(self, y: Any, t: Any, delta: Any, unit: Any) -> np.ndarray:
        """dJ/dy, from dJ/dz = ``delta`` and the unit's slope where that is one number for each
        output: a unit that rounds to 1 has no 1 - y left to divide by."""
        with np.errstate(all="ignore"):
            losses, pull = vjp(lambda outputs: self.value(outputs, t), np.asarray(y))
            found = np.asarray(pull(np.ones_like(losses))[0])
            if self.passed is None:
                return found
            return np.where(np.asarray(unit) != 0, np.asarray(delta) / unit, found)


def _log(x: Expr) -> Call:
    return Call("log", (x,), (), x.shape)


def _total(x: Expr) -> Call:
    return Call("reduce_sum", (x,), (("axes", (0, 1)),), ())


def _one_minus(x: Expr) -> Sum:
    return Sum((ONE, Product((MINUS_ONE, x))))


def _difference(y: Expr) -> Sum:
    return Sum((y, Product((MINUS_ONE, TARGET))))


def _binary_loss(y: Name) -> Expr:
    terms = Sum((Product((TARGET, _log(y))), Product((_one_minus(TARGET), _log(_one_minus(y))))))
    return Product((MINUS_ONE, terms))


def _binary_slope(y: Name) -> Expr:
    return Sum(
        (
            Product((MINUS_ONE, TARGET, Power(y, MINUS_ONE))),
            Product((_one_minus(TARGET), Power(_one_minus(y), MINUS_ONE))),
        )
    )


def _softmax(z: Name) -> Expr:
    return Call("softmax", (z,), (), z.shape)


OUTPUTS: Mapping[str, Output] = {
    "binary_cross_entropy": Output(
        "logistic",
        lambda z: Call("logistic", (z,), (), z.shape),
        _binary_loss,
        _binary_slope,
        lambda y, t: -np.sum(special.xlogy(t, y) + special.xlog1py(1 - t, -y)),
        lambda y: Product((y, _one_minus(y))),
    ),
    "categorical_cross_entropy": Output(
        "softmax",
        _softmax,
        lambda y: Product((MINUS_ONE, _total(Product((TARGET, _log(y)))))),
        lambda y: Product((MINUS_ONE, TARGET, Power(y, MINUS_ONE))),
        lambda y, t: -np.sum(special.xlogy(t, y)),
        None,
    ),
    "squared_error": Output(
        "identity",
        None,
        lambda y: Product((HALF, _total(Power(_difference(y), TWO)))),
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


def activation_formulas(activation: Any, z: Name, a: Name) -> tuple[Expr, Expr]:
    """The formula of an activation of ``z`` and of its slope, in ``z`` and its value ``a``."""
    name = activation.name
    forward, slope = formulas_at(lambda z: activation(z), {"z": 0.5}, {"z": z, "a": a}, "a")
    if forward is z:  # the identity
        return z, Name("one", "1")
    prime = Name(f"{name}'", f"{name}′({z.text()})", of_shape=(1, 2))
    shown = forward if slope is not None else None
    return shown or Name(name, f"{name}({z.text()})"), slope or prime


def formulas_at(
    f: Callable[..., Any], at: Mapping[str, Any], names: dict[str, Name], result: str
) -> tuple[Expr | None, Expr | None]:
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


def renamed(e: Expr, names: dict[str, Name]) -> Expr:
    """``e`` with other names."""
    if isinstance(e, Name):
        return names.get(e.key, e)
    parts = tuple(renamed(part, names) for part in e.parts)
    if isinstance(e, (Sum, Product)):
        return type(e)(parts)
    if isinstance(e, Call):
        return Call(e.operation, parts, e.attrs, (1, 2))
    return type(e)(*parts) if parts else e
