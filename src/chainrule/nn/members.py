"""Several networks in one, which share their weights: TabM, by layers of BatchEnsemble.

Gorishniy, Kotelnikov, Babenko, "TabM" (ICLR 2025, arXiv 2410.24210); the layer is that of Wen,
Tran, Ba, "BatchEnsemble" (ICLR 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.core import scope
from chainrule.core.containers import register
from chainrule.core.settings import whole
from chainrule.core.told import told
from chainrule.errors import ShapeError
from chainrule.nn.initializers import generator
from chainrule.nn.layers import Dropout
from chainrule.nn.losses import Loss
from chainrule.nn.sequential import Sequential

__all__ = ["BatchEnsemble", "EachMember", "Heads", "tabm"]

Tree = Any


@register
@dataclass(frozen=True)
class BatchEnsemble:
    """``((x * r) @ weights) * s + bias``: weights are shared, the rest each member's own.

    Attributes:
        members, inputs, outputs: inputs are (n, members, inputs), or (n, inputs) for all members.
        first: whether r starts with random signs, which tell the members apart; else with ones.
    """

    members: int
    inputs: int
    outputs: int
    first: bool = False

    def __post_init__(self) -> None:
        for name in ("members", "inputs", "outputs"):
            whole(name, getattr(self, name))

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """``weights`` (inputs, outputs), ``r`` (members, inputs), ``s`` and ``bias`` (members,
        outputs) of ``dtype``, drawn by ``seed``; the members' biases start as one. No state."""
        rng, bound = generator(seed, 0), 1 / math.sqrt(self.inputs)
        shape = (self.members, self.inputs)
        params = {
            "weights": rng.uniform(-bound, bound, (self.inputs, self.outputs)),
            "r": rng.choice([-1.0, 1.0], shape) if self.first else np.ones(shape),
            "s": np.ones((self.members, self.outputs)),
            "bias": np.tile(rng.uniform(-bound, bound, self.outputs), (self.members, 1)),
        }
        return {name: values.astype(dtype) for name, values in params.items()}, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        if np.shape(x)[-1] != self.inputs or np.ndim(x) not in (2, 3):
            raise ShapeError(f"inputs of shape {np.shape(x)} are not (n, members, {self.inputs})")
        with scope("batch_ensemble"):
            x = x[:, None, :] if np.ndim(x) == 2 else x
            return ((x * params["r"]) @ params["weights"]) * params["s"] + params["bias"], state


@register
@dataclass(frozen=True)
class Heads:
    """A linear layer of each member's own: (n, members, inputs) to (n, members * outputs)."""

    members: int
    inputs: int
    outputs: int

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """``weights`` (members, inputs, outputs) and ``bias`` (members, outputs) of ``dtype``,
        drawn by ``seed``, and no state."""
        rng, bound = generator(seed, 0), 1 / math.sqrt(self.inputs)
        shape = (self.members, self.inputs, self.outputs)
        weights, bias = (rng.uniform(-bound, bound, s) for s in (shape, (shape[0], shape[2])))
        return {"weights": weights.astype(dtype), "bias": bias.astype(dtype)}, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        with scope("heads"):
            y = np.einsum("nki,kio->nko", x, params["weights"]) + params["bias"]
            return np.reshape(y, (-1, self.members * self.outputs)), state


@told("nn.tabm")
def tabm(
    sizes: Sequence[int], members: int = 32, activation: Any = "relu", dropout: float = 0.1
) -> Sequential:
    """TabM without embeddings: hidden layers of ``BatchEnsemble``, and ``Heads``.

    Args:
        sizes: units of each layer, inputs and outputs included; at least one is hidden.
        members: how many networks share the weights.
        activation: of hidden layers; dropout: behind each, with masks of each member's own.

    The outputs are (n, members * outputs), those of a member beside one another; ``EachMember``
    is their loss.
    """
    layers: list[Any] = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes[:-1])):
        layers += [BatchEnsemble(members, inputs, outputs, first=i == 0), activation]
        layers += [Dropout(dropout)] if dropout else []
    return Sequential(*layers, Heads(members, sizes[-2], sizes[-1]))


@register
@dataclass(frozen=True)
class EachMember:
    """The mean of a loss over members, of each for itself: never that of their mean prediction.

    Attributes:
        loss: of one member, a value of ``nn``.
        members: how many there are.
    """

    loss: Loss
    members: int

    @property
    def name(self) -> str:
        """The loss's own."""
        return self.loss.name

    def _apart(self, outputs: Any) -> Any:
        """One row for each row and member."""
        return np.reshape(outputs, (-1, np.shape(outputs)[1] // self.members))

    def __call__(self, outputs: Any, targets: Any) -> Any:
        n, k = np.shape(outputs)[0], self.members
        each = np.repeat(targets, k, axis=0)
        return np.mean(np.reshape(self.loss(self._apart(outputs), each), (n, k)), axis=1)

    def predict(self, outputs: Any) -> Any:
        """The mean of the members' predictions, (n, outputs), such as probabilities."""
        n, k = np.shape(outputs)[0], self.members
        return np.mean(np.reshape(self.loss.predict(self._apart(outputs)), (n, k, -1)), axis=1)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """As the loss prepares ``targets`` for one member's ``outputs``, in ``dtype``."""
        return self.loss.prepare(targets, outputs // self.members, dtype)
