"""What the rules of a verdict look at: a training run as it was asked for, and as it went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.diagnosis.findings import Finding
from chainrule.diagnosis.statistics import LayerStatistics, Statistics

__all__ = ["Evidence", "say"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What the rules look at.

    Attributes:
        sizes, activation, initializer, dropout, batch_norm: of the network.
        loss: the name of the loss. classes: how many the targets have, 0 of numbers.
        optimizer: its name. rate: the learning rate, None of a line search; usual: the rate that
            this optimiser has unless told otherwise.
        batch, rows, epochs: rows of a minibatch and of the training set; epochs asked for.
        l1, l2: strengths of the penalty.
        patience: of early stopping, 0 without.
        history: a row an epoch: ``train_loss``, ``validation_loss``, maybe ``penalty``.
        stopped: why training ended. kept: the epoch whose weights were kept.
        statistics: of the layers, from the start on; empty where nobody looked.
        chance: the mean loss of the best constant answer. start: the loss before training.
        score, train_score: accuracy, or R2, on held-out rows and on training rows.
        rivals: scores of models that take no training on the same held-out rows, by name.
        error: the standard error of ``score`` for so many held-out rows.
        constant: the score of the best constant answer.
        ranges: the smallest and the largest range of an input, of those that move.
        furthest: the largest absolute input. shares: of the classes, in the training rows.
        labels: how targets that are numbers hold classes: "0 and 1", "one-hot", or "".
    """

    sizes: tuple[int, ...] = ()
    activation: str = ""
    initializer: str = "auto"
    dropout: float = 0.0
    batch_norm: bool = False
    loss: str = ""
    classes: int = 0
    optimizer: str = ""
    rate: float | None = None
    usual: float | None = None
    batch: int = 0
    rows: int = 0
    epochs: int = 0
    l1: float = 0.0
    l2: float = 0.0
    patience: int = 0
    history: Sequence[Row] = ()
    stopped: str = "epochs"
    kept: int = 0
    statistics: Sequence[Statistics] = ()
    chance: float = math.nan
    start: float = math.nan
    score: float = math.nan
    train_score: float = math.nan
    rivals: dict[str, float] = field(default_factory=dict[str, float])
    error: float = 0.0
    constant: float = math.nan
    ranges: tuple[float, float] = (1.0, 1.0)
    labels: str = ""
    furthest: float = 1.0
    shares: tuple[float, ...] = ()

    @property
    def losses(self) -> np.ndarray:
        """The training loss of each epoch."""
        return np.array([row["train_loss"] for row in self.history], float)

    @property
    def held(self) -> np.ndarray:
        """The validation loss of each epoch; empty without."""
        found = [row.get("validation_loss") for row in self.history]
        return np.array([x for x in found if x is not None], float)

    @property
    def held_accuracy(self) -> np.ndarray:
        """The validation accuracy of each epoch, where ``metrics`` asked for it."""
        found = [row.get("validation_accuracy") for row in self.history]
        return np.array([x for x in found if x is not None], float)

    @property
    def updates(self) -> int:
        """How many updates an epoch has."""
        return max(math.ceil(self.rows / max(self.batch, 1)), 1) if self.batch else 1

    @property
    def best_rival(self) -> tuple[str, float]:
        """The best of the models that take no training."""
        if not self.rivals:
            return "", -math.inf
        name = max(self.rivals, key=lambda one: self.rivals[one])
        return name, self.rivals[name]

    @property
    def short(self) -> float:
        """By how many standard errors the score falls short of a rival's; 0 where it doesn't."""
        _, best = self.best_rival
        if not math.isfinite(best) or not math.isfinite(self.score):
            return 0.0 if math.isfinite(self.score) else 9.0
        return max(best - self.score, 0.0) / max(self.error, 1e-9)

    @property
    def poor(self) -> bool:
        """Whether the network does clearly worse than a model that takes no training."""
        _, best = self.best_rival
        return self.short > 2.5 and not best - self.score <= 0.03

    @property
    def left(self) -> float:
        """The share of the loss of a constant answer that is left on the training rows."""
        if not len(self.losses) or not self.chance > 0:
            return 0.0
        last = self.losses[-1]
        return float(last / self.chance) if math.isfinite(last) else math.inf

    def ends(self) -> tuple[Statistics | None, Statistics | None]:
        """The statistics of the start and of the end."""
        found = self.statistics
        return (found[0], found[-1]) if found else (None, None)

    def hidden(self, which: int) -> Sequence[LayerStatistics]:
        """The hidden layers at the start (0) or the end (-1)."""
        return self.statistics[which].layers[:-1] if self.statistics else ()


LINEAR = "a linear model"
"""A rival's name."""


def say(
    level: str,
    text: str,
    evidence: str,
    change: str,
    settings: dict[str, Any] | None = None,
    where: str = "",
    weight: float = 1.0,
) -> Finding:
    return Finding("", level, text, evidence, change, settings or {}, where, weight)
