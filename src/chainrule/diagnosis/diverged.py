"""The step at which training diverged, done again where every operation can be looked at."""

from __future__ import annotations

import dataclasses
from typing import Any

from chainrule.api import jit
from chainrule.diagnosis.nonfinite import NonFiniteReport, nonfinite
from chainrule.errors import UsageError
from chainrule.optim import Lbfgs
from chainrule.train import DivergedError
from chainrule.train.failing import FailingStep, largest

GROWN = 1e4
"""Weights so many times as large as their start did not come there by learning."""


def origin_of(error: DivergedError) -> NonFiniteReport | None:
    """Where the training that raised ``error`` left the finite numbers: in the forward pass of a
    minibatch, in its backward pass, or in the update. The minibatch is done again on NumPy,
    whichever executor trained; so is the evaluation of a line search. None where that is finite.

    Raises:
        UsageError: an error of another kind.
    """
    if not isinstance(error, DivergedError):
        raise UsageError(f"origin_of takes the DivergedError of a training, not {error!r}")
    step: FailingStep | None = error.failing
    if step is None:
        return None
    f, args = step.call
    at = f"in epoch {step.epoch}" + (f", step {step.number}" if step.number else "")
    report = nonfinite(jit(f), *args, where=at)
    return None if report is None else dataclasses.replace(report, note=_note(step))


def _note(step: FailingStep) -> str:
    """What the size of the weights says, against that of a fresh network."""
    now = largest(step.carry[0])
    fresh = _start(step.step.model)
    if not fresh or now <= GROWN * fresh:
        return ""
    grown = f"the largest weight is {now:.3g}, {now / fresh:.1g} times that of a fresh network: "
    if isinstance(step.optimizer, Lbfgs):
        return f"{grown}the line search went far. Scale the inputs and targets, or set l2"
    return (
        f"{grown}the steps are too long. Try a learning rate 10 times smaller, or "
        "optim.chain(optim.clip_by_norm(1.0), ...)"
    )


def _start(model: Any) -> float:
    init = getattr(model, "init", None)
    found: Any = init(0) if callable(init) else None
    return largest(found[0]) if found else 0.0
