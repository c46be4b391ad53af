"""The network of a tabular model by its settings, and the losses of the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.core.recording import quiet
from chainrule.ops.stable import log_softmax, logsumexp, softplus
from chainrule.tabular.presets import RECIPES
from chainrule.tabular.robust import Blocks

__all__ = ["LOSSES", "Network", "joint", "loss_of"]

LOSSES: dict[str, Any] = {
    "regression": nn.SquaredError(),
    "binary": nn.BinaryCrossEntropy(),
    "multiclass": nn.CategoricalCrossEntropy(),
}
"""Each task's own loss, which also holds its output unit, and judges it."""


def loss_of(task: str, name: str | None) -> Any:
    """The loss of this name, one of ``options.LOSSES``; None is the task's own."""
    return LOSSES[task] if name in (None, "log_loss") else nn.loss(name)


def joint(outputs: list[Any], kind: str) -> Any:
    """The linear outputs whose predictions are the means of those of several networks, with output
    units of a task's kind, or exponential ones."""
    if len(outputs) == 1:
        return outputs[0]
    z = np.stack(outputs)
    if kind == "regression":
        return z.mean(axis=0)
    with quiet():
        if kind == "exponential":
            return logsumexp(z, axis=0) - np.log(len(z))
        if kind == "binary":
            return logsumexp(-softplus(-z), axis=0) - logsumexp(-softplus(z), axis=0)
        return logsumexp(log_softmax(z, axis=-1), axis=0) - np.log(len(z))


@dataclass(frozen=True)
class Network:
    """What it takes to build the network again: numbers of units, and names.

    With a ``preset`` other than "sklearn" it is that recipe's, for inputs laid out as ``numbers``
    and ``embedded`` say (``robust.Blocks``); with ``tabm`` it has so many members.
    """

    sizes: tuple[int, ...]
    activation: str
    dropout: float
    batch_norm: bool
    initializer: str
    preset: str = "sklearn"
    numbers: int = 0
    embedded: tuple[int, ...] = ()
    tabm: int = 0

    def build(self, steps: int = 1, rows: int = 1) -> nn.MLP | nn.Sequential:
        """The network as a value of ``nn``; UsageError for names that ``nn`` does not know.

        ``steps`` is how many it will be trained for, which a dropout by schedule needs, and
        ``rows`` on how many, which says how it starts.
        """
        if self.preset != "sklearn":
            plain = self.sizes[0] - self.numbers - sum(self.embedded)
            blocks = Blocks(self.numbers, plain, self.embedded)
            recipe = replace(RECIPES[self.preset], hidden=self.sizes[1:-1], dropout=self.dropout)
            return recipe.build(blocks, self.sizes[-1], self.activation, steps, rows)
        if self.tabm:
            return nn.tabm(self.sizes, self.tabm, self.activation, self.dropout)
        return nn.MLP(
            sizes=self.sizes,
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            initializer=self.initializer,
        )

    def apart(self, outputs: Any) -> list[Any]:
        """Linear outputs of each member, (n, outputs), from those of the network."""
        if not self.tabm:
            return [outputs]
        width = self.sizes[-1]
        return [outputs[:, k * width : (k + 1) * width] for k in range(self.tabm)]

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Network:
        tuples: dict[str, Any] = {key: tuple(record[key]) for key in ("sizes", "embedded")}
        return cls(**{**record, **tuples})


def layers_text(sizes: Sequence[int]) -> str:
    """``11-64-32-3``."""
    return "-".join(map(str, sizes))
