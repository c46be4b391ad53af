"""Optimisers as values, schedules, chains of rules, settings per group of parameters."""

from chainrule.optim import schedules
from chainrule.optim.compose import (
    Transform,
    chain,
    clip_by_norm,
    clip_by_value,
    factors,
    global_norm,
    groups,
    scale,
    weight_decay,
)
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.quasi_newton import Lbfgs, lbfgs
from chainrule.optim.rules import (
    adam,
    adamw,
    frozen,
    momentum,
    nesterov,
    optimizer,
    rmsprop,
    sgd,
)
from chainrule.optim.schedules import Schedule, schedule

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
    "factors",
    "frozen",
    "global_norm",
    "groups",
    "lbfgs",
    "momentum",
    "nesterov",
    "optimizer",
    "rmsprop",
    "scale",
    "schedule",
    "schedules",
    "sgd",
    "weight_decay",
]
