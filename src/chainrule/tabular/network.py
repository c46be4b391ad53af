"""The network of a tabular model by its settings, and the losses of the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from chainrule import nn
from chainrule.tabular.presets import RECIPES
from chainrule.tabular.robust import Blocks

__all__ = ["LOSSES", "Network"]

LOSSES: dict[str, Any] = {
    "regression": nn.SquaredError(),
    "binary": nn.BinaryCrossEntropy(),
    "multiclass": nn.CategoricalCrossEntropy(),
}
"""Each task's loss, which also holds its output unit."""


@dataclass(frozen=True)
class Network:
    """What it takes to build the network again: numbers of units, and names.

    With a ``preset`` other than "sklearn" it is that recipe's, for inputs laid out as ``numbers``
    and ``embedded`` say (``robust.Blocks``).
    """

    sizes: tuple[int, ...]
    activation: str
    dropout: float
    batch_norm: bool
    initializer: str
    preset: str = "sklearn"
    numbers: int = 0
    embedded: tuple[int, ...] = ()

    def build(self, steps: int = 1) -> nn.MLP | nn.Sequential:
        """The network as a value of ``nn``; UsageError for names that ``nn`` does not know.

        ``steps`` is how many it will be trained for, which a dropout by schedule needs.
        """
        if self.preset != "sklearn":
            plain = self.sizes[0] - self.numbers - sum(self.embedded)
            blocks = Blocks(self.numbers, plain, self.embedded)
            recipe = replace(RECIPES[self.preset], hidden=self.sizes[1:-1], dropout=self.dropout)
            return recipe.build(blocks, self.sizes[-1], self.activation, steps)
        return nn.MLP(
            sizes=self.sizes,
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            initializer=self.initializer,
        )

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
