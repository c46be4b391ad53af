"""The network of a tabular model by its settings, and the losses of the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chainrule import nn

__all__ = ["LOSSES", "Network"]

LOSSES: dict[str, Any] = {
    "regression": nn.SquaredError(),
    "binary": nn.BinaryCrossEntropy(),
    "multiclass": nn.CategoricalCrossEntropy(),
}
"""Each task's loss, which also holds its output unit."""


@dataclass(frozen=True)
class Network:
    """What it takes to build the network again: numbers of units, and names."""

    sizes: tuple[int, ...]
    activation: str
    dropout: float
    batch_norm: bool
    initializer: str

    def build(self) -> nn.MLP:
        """The network as a value of ``nn``; UsageError for names that ``nn`` does not know."""
        return nn.MLP(
            sizes=self.sizes,
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            initializer=self.initializer,
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        return {**asdict(self), "sizes": list(self.sizes)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Network:
        return cls(**{**record, "sizes": tuple(record["sizes"])})


def layers_text(sizes: Sequence[int]) -> str:
    """``11-64-32-3``."""
    return "-".join(map(str, sizes))
