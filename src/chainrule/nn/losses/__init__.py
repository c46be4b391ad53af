"""Losses, matched to output units (L2.4): each computed from the network's linear outputs.

========================  ====================  =======================================
loss                      output unit           loss of one example
========================  ====================  =======================================
SquaredError              identity              1/2 sum (y - t)^2
BinaryCrossEntropy        logistic              -sum t log y + (1 - t) log(1 - y)
CategoricalCrossEntropy   softmax               -sum t log y
AbsoluteError             identity              sum |y - t|
Huber                     identity              squared within delta, linear beyond
Quantile                  identity, or rising   sum of q (t - y) or (1 - q)(y - t)
Poisson                   exponential           sum y - t log y
Gamma                     exponential           sum t / y + log y
Tweedie                   exponential           sum y^(2-p) / (2-p) - t y^(1-p) / (1-p)
Focal                     logistic or softmax   -sum t (1 - y)^gamma log y
Hinge                     none (a score)        how far the margin falls short of 1
========================  ====================  =======================================

A loss takes outputs of shape (n, k) and returns one number per example, shape (n,): the
**sum** over the k outputs, which is the negative log-likelihood of independent outputs (up to
a constant). With the half in the squared error, the derivative with respect to the linear
output is prediction minus target for the first three (L0.4, L2.3).

Targets have shape (n, k), or (n,) where k is 1; classes are integers of shape (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.core.settings import Named
from chainrule.nn.losses.base import FunctionLoss, Loss
from chainrule.nn.losses.classes import BinaryCrossEntropy, CategoricalCrossEntropy, Focal, Hinge
from chainrule.nn.losses.regression import (
    AbsoluteError,
    Gamma,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
    Tweedie,
)

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "Focal",
    "FunctionLoss",
    "Gamma",
    "Hinge",
    "Huber",
    "Loss",
    "Poisson",
    "Quantile",
    "SquaredError",
    "Tweedie",
    "loss",
]

LOSSES: dict[str, type] = {
    cls.name: cls
    for cls in (
        SquaredError,
        BinaryCrossEntropy,
        CategoricalCrossEntropy,
        AbsoluteError,
        Huber,
        Quantile,
        Poisson,
        Gamma,
        Tweedie,
        Focal,
        Hinge,
    )
}

_NAMED = Named(
    "loss", LOSSES, "nn.SquaredError()", lambda given: hasattr(given, "prepare") or callable(given)
)


def loss(name: str | Loss | Callable[[Any, Any], Any], **settings: Any) -> Loss:
    """The loss of this name, for example ``loss("huber", delta=0.5)`` (L2.4).

    Args:
        name: one of ``LOSSES``; a loss stays as it is, a plain function becomes a
            ``FunctionLoss``.
        settings: the constants of a loss given by name: ``delta`` of huber, ``q`` of quantile,
            ``power`` of tweedie, ``gamma`` of focal, ``label_smoothing`` of the cross-entropies.

    Raises:
        UsageError: no such name, or a setting that it does not have.
    """
    found = _NAMED.value(name, settings)
    return found if hasattr(found, "prepare") else FunctionLoss(found)
