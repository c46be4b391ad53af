"""One training step as recorded functions: the gradient of a minibatch, and the update."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.api import grad, value_and_grad
from chainrule.core.tree import flatten, map_tree
from chainrule.nn import Loss, Penalty
from chainrule.optim import Optimizer
from chainrule.train.data import Batch

Tree = Any


@dataclass(frozen=True)
class Step:
    """The parts of a step, to be recorded; none of them branches on a value.

    Attributes:
        model, loss: as given to ``fit``.
        penalty: what the update adds to the gradients.
        alpha: of scikit-learn's penalty, a half of it times ``sum W^2`` beside the sum of losses.

    Its methods take the network's trees ``params`` and ``state``, and the optimiser's ``slots``.
    """

    model: Any
    loss: Loss
    penalty: Penalty
    alpha: float = 0.0

    def gradient(self, params: Tree, state: Tree, batch: Batch, key: Any) -> tuple[Any, Tree, Tree]:
        """``(mean loss, mean gradients, state)`` of the minibatch ``batch``, by backpropagation
        (L1.6, L4.8).

        ``key`` fixes its random numbers; None where the model draws none. The loss is summed,
        differentiated and then divided by the sum of the weights; where these are all 0, loss
        and gradients are 0.
        """

        total, weight, gradients, new = self._sums(params, state, batch, key, self.alpha)
        share = 1.0 / np.where(weight > 0, weight, 1.0)
        return total * share, map_tree(lambda g: g * share, gradients), new

    def _sums(
        self, params: Tree, state: Tree, batch: Batch, key: Any, alpha: float
    ) -> tuple[Any, Any, Tree, Tree]:
        """Sums over the rows: loss, weight, gradients; and the new state."""

        def loss_sum(params: Tree) -> tuple[Any, Tree]:
            outputs, new = self.model(params, state, batch.x, key=key, train=True)
            losses = self.loss(outputs, batch.targets)
            if batch.weights is not None:
                losses = batch.weights * losses
            total = np.sum(losses)
            if alpha:
                total = total + Penalty(l2=alpha)(params)
            return total, new

        (total, new), gradients = value_and_grad(loss_sum, has_aux=True)(params)
        if batch.weights is not None:
            weight = np.sum(batch.weights)
        else:
            weight = np.asarray(float(np.shape(batch.x)[0]), np.dtype(batch.x.dtype))
        return total, weight, gradients, new

    def shard(self, params: Tree, state: Tree, batch: Batch, key: Any) -> Any:
        """The sums over the rows ``batch`` as one vector, to be added to those of other shards of
        the minibatch: loss, weight, 1, gradients, state; ``key`` as of ``gradient``."""
        total, weight, gradients, new = self._sums(params, state, batch, key, 0.0)
        parts = [total, weight, np.ones((), np.dtype(batch.x.dtype)), *flatten((gradients, new))[0]]
        return np.concatenate([np.reshape(part, (-1,)) for part in parts])

    def combined(self, optimizer: Optimizer) -> Callable[..., tuple[Any, Tree]]:
        """The update by the rule ``optimizer`` from the sum of all shards' vectors: ``(carry,
        vector, step) -> (loss, carry)``, as ``whole`` has them; the state is the shards' mean."""

        def step(carry: Tree, vector: Any, count: Any) -> tuple[Any, Tree]:
            params, state, slots = carry
            leaves, tree = flatten((params, state))
            parts, start = [], 3
            for leaf in leaves:
                end = start + math.prod(np.shape(leaf))
                parts.append(np.reshape(vector[start:end], np.shape(leaf)))
                start = end
            gradients, new = tree.unflatten(parts)
            total, weight, shards = vector[0], vector[1], vector[2]
            if self.alpha:
                penalty = Penalty(l2=self.alpha)
                total = total + penalty(params)
                gradients = map_tree(lambda g, p: g + p, gradients, grad(penalty)(params))
            share = 1.0 / np.where(weight > 0, weight, 1.0)
            gradients = map_tree(lambda g: g * share, gradients)
            params, slots = self.update(optimizer, gradients, slots, params, count)
            return total * share, (params, map_tree(lambda s: s / shards, new), slots)

        return step

    def update(
        self, optimizer: Optimizer, gradients: Tree, slots: Tree, params: Tree, step: Any
    ) -> tuple[Tree, Tree]:
        """New ``(params, slots)`` by the rule ``optimizer``; ``step`` counts the updates before.

        The penalty enters here, once, whatever the batch's size.
        """
        return optimizer.update(self.penalized(gradients, params), slots, params, step)

    def penalized(self, gradients: Tree, params: Tree) -> Tree:
        """Gradients of the mean loss plus the penalty's at ``params``."""
        if not self.penalty:
            return gradients
        return map_tree(lambda g, p: g + p, gradients, grad(self.penalty)(params))

    def whole(self, optimizer: Optimizer) -> Callable[..., tuple[Any, Tree]]:
        """Gradient and update as one function: ``(carry, batch, key, step) -> (loss, carry)``.

        ``carry`` is ``(params, state, slots)``, the loss the minibatch's mean before the update
        by the rule ``optimizer``.
        """

        def step(carry: Tree, batch: Batch, key: Any, count: Any) -> tuple[Any, Tree]:
            params, state, slots = carry
            loss, gradients, state = self.gradient(params, state, batch, key)
            params, slots = self.update(optimizer, gradients, slots, params, count)
            return loss, (params, state, slots)

        return step

    def objective(self, params: Tree, state: Tree, batch: Batch) -> tuple[Any, Any, Tree, Tree]:
        """``(mean loss, mean loss + penalty, gradients, state)`` of a whole batch, for L-BFGS."""
        loss, gradients, state = self.gradient(params, state, batch, None)
        total = loss + self.penalty(params) if self.penalty else loss
        return loss, total, self.penalized(gradients, params), state
