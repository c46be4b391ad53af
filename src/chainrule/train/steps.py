"""One training step as three recorded functions, so that workers can come in between.

``gradient`` looks at one shard of a minibatch and returns sums, ``combine`` adds the sums of
all shards in a fixed order and divides, ``update`` moves the parameters. Shards may be computed
anywhere; neither ``gradient`` nor ``update`` need know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chainrule.api import grad, value_and_grad
from chainrule.core.tree import map_tree
from chainrule.nn import Loss, Penalty
from chainrule.optim import Optimizer
from chainrule.train.data import Batch

Tree = Any


class Sums(NamedTuple):
    """What ``gradient`` returns of a shard: sums over its rows, and the model's new state."""

    loss: Any
    weight: Any
    gradients: Tree
    state: Tree


@dataclass(frozen=True)
class Step:
    """The parts of a step, to be recorded; none of them branches on a value."""

    model: Any
    loss: Loss
    penalty: Penalty

    def gradient(self, params: Tree, state: Tree, shard: Batch, key: Any) -> Sums:
        """The loss summed over the rows of a shard, and its derivative by backpropagation."""

        def loss_sum(params: Tree) -> tuple[Any, Tree]:
            outputs, new = self.model(params, state, shard.x, key=key, train=True)
            losses = self.loss(outputs, shard.targets)
            if shard.weights is not None:
                losses = shard.weights * losses
            return np.sum(losses), new

        (total, new), gradients = value_and_grad(loss_sum, has_aux=True)(params)
        if shard.weights is not None:
            weight = np.sum(shard.weights)
        else:
            weight = np.asarray(float(np.shape(shard.x)[0]), np.dtype(shard.x.dtype))
        return Sums(total, weight, gradients, new)

    def combine(self, parts: Sequence[Sums]) -> tuple[Any, Tree, Tree]:
        """``(mean loss, mean gradients, state)`` of a minibatch from its shards, in their order.

        Running figures are averaged over shards. A minibatch whose weights are all 0 has loss
        0 and gradient 0.
        """
        loss, weight, gradients, state = parts[0]
        for part in parts[1:]:
            loss, weight = loss + part.loss, weight + part.weight
            gradients = map_tree(lambda a, b: a + b, gradients, part.gradients)
            state = map_tree(lambda a, b: a + b, state, part.state)
        if len(parts) > 1:
            state = map_tree(lambda a: a * (1.0 / len(parts)), state)
        share = 1.0 / np.where(weight > 0, weight, 1.0)
        return loss * share, map_tree(lambda g: g * share, gradients), state

    def update(
        self, optimizer: Optimizer, gradients: Tree, slots: Tree, params: Tree, step: Any
    ) -> tuple[Tree, Tree]:
        """New ``(params, slots)``; the penalty enters here, once, whatever the batch's size."""
        return optimizer.update(self.penalized(gradients, params), slots, params, step)

    def penalized(self, gradients: Tree, params: Tree) -> Tree:
        """Gradients of the mean loss plus the penalty's."""
        if not self.penalty:
            return gradients
        return map_tree(lambda g, p: g + p, gradients, grad(self.penalty)(params))

    def whole(self, optimizer: Optimizer) -> Callable[..., tuple[Any, Tree]]:
        """All three as one function: ``(carry, batch, key, step) -> (mean loss, carry)``.

        ``carry`` is ``(params, state, slots)``. One graph has less to dispatch than three.
        """

        def step(carry: Tree, batch: Batch, key: Any, count: Any) -> tuple[Any, Tree]:
            params, state, slots = carry
            part = self.gradient(params, state, batch, key)
            loss, gradients, state = self.combine([part])
            params, slots = self.update(optimizer, gradients, slots, params, count)
            return loss, (params, state, slots)

        return step

    def objective(self, params: Tree, state: Tree, batch: Batch) -> tuple[Any, Any, Tree, Tree]:
        """``(mean loss, mean loss + penalty, gradients, state)`` of a whole batch, for L-BFGS."""
        part = self.gradient(params, state, batch, None)
        loss, gradients, state = self.combine([part])
        total = loss + self.penalty(params) if self.penalty else loss
        return loss, total, self.penalized(gradients, params), state
