"""Optimisers as values, schedules, clipping, settings per group of parameters."""

from chainrule.optim import schedules
from chainrule.optim.optimizer import (
    Optimizer,
    Transform,
    chain,
    clip_by_norm,
    clip_by_value,
    global_norm,
    groups,
)
from chainrule.optim.quasi_newton import Lbfgs, lbfgs
from chainrule.optim.rules import adam, adamw, frozen, rmsprop, sgd
from chainrule.optim.schedules import Schedule

__all__ = [
    "Lbfgs",
    "Optimizer",
    "Schedule",
    "Transform",
    "adam",
    "adamw",
    "chain",
    "clip_by_norm",
    "clip_by_value",
    "frozen",
    "global_norm",
    "groups",
    "lbfgs",
    "rmsprop",
    "schedules",
    "sgd",
]
