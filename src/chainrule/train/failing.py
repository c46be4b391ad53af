"""The step at which training left the finite numbers, kept so that it can be looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.tree import flatten
from chainrule.ops.random import key_of
from chainrule.optim import Lbfgs, Optimizer
from chainrule.train.data import MASKS, Batch, Data
from chainrule.train.evaluation import HeldOut
from chainrule.train.monitor import (
    EpochMonitor,
    NonFiniteLossError,
    TrainingState,
    all_finite,
)
from chainrule.train.steps import Step

Tree = Any


@dataclass(frozen=True)
class FailingStep:
    """One step of training, with all it was given.

    Attributes:
        step: of the network and loss; optimizer: its rule, None where rows were only evaluated; of
            a line search the step is an evaluation of loss and gradient.
        carry: (params, state, slots) before it. batch: its rows. key: of its masks, or None.
        count: how many updates came before. epoch, number: which it was, counted from 1.
    """

    step: Step
    optimizer: Optimizer | Lbfgs | None
    carry: tuple[Tree, Tree, Tree]
    batch: Batch
    key: Any
    count: int
    epoch: int
    number: int | None

    @property
    def call(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A function and its arguments that do the step, or the evaluation, again."""
        optimizer = self.optimizer
        if optimizer is None:

            def evaluation(params: Tree, state: Tree, batch: Batch) -> Any:
                outputs, _ = self.step.model(params, state, batch.x)
                return {"loss": self.step.loss(outputs, batch.targets)}

            return evaluation, (*self.carry[:2], self.batch)

        if isinstance(optimizer, Lbfgs):

            def objective(params: Tree, state: Tree, batch: Batch) -> Any:
                _, total, gradients, _ = self.step.objective(params, state, batch)
                return {"loss": total, "gradient": gradients}

            return objective, (*self.carry[:2], self.batch)

        def training(carry: Tree, batch: Batch, key: Any, count: Any) -> Any:
            loss, (params, state, slots) = self.step.whole(optimizer)(carry, batch, key, count)
            return {"loss": loss, "params": params, "state": state, "slots": slots}

        return training, (self.carry, self.batch, self.key, np.asarray(self.count))


def failing_step(
    step: Step,
    optimizer: Optimizer | Lbfgs,
    data: Data,
    training: TrainingState,
    monitor: EpochMonitor,
    found: NonFiniteLossError,
    seed: int,
) -> FailingStep | None:
    """The step that made what ``found`` says is not finite: that whose loss it is, or the one
    before, if that left parameters that are not finite. None where it is the loss of streamed
    rows, of which none is kept."""
    held = next((rows for rows in monitor.rows if found.what == f"the {rows.name} loss"), None)
    finite = all_finite(training.now)
    if held is not None and finite:
        if not isinstance(held, HeldOut):
            return None
        batch = Batch(held.x, held.targets, held.weights)
        carry = training.carry
        return FailingStep(step, None, carry, batch, None, training.steps, found.epoch, None)
    if isinstance(optimizer, Lbfgs):
        carry = (found.at, training.carry[1], {})
        batch = Batch(*data.take(1, 0))
        return FailingStep(step, optimizer, carry, batch, None, 0, found.epoch, None)
    if finite or found.step == found.epoch == 1:
        leaves, back, number = training.now, 0, found.step or data.steps
    else:
        leaves, back, number = training.safe, 1, (found.step or data.steps + 1) - 1
    epoch = found.epoch if number else found.epoch - 1
    number = number or data.steps
    batch = Batch(*data.take(epoch, number - 1))
    keyed = getattr(step.model, "needs_key", True)
    key = key_of(seed, MASKS, epoch, number - 1) if keyed else None
    carry = training.treedef.unflatten(leaves)
    count = max(training.steps - back, 0)
    return FailingStep(step, optimizer, carry, batch, key, count, epoch, number)


def largest(tree: Tree) -> float:
    """The largest absolute value in a tree of arrays; 0 of none."""
    return max((float(np.max(np.abs(leaf))) for leaf in flatten(tree)[0] if leaf.size), default=0.0)
