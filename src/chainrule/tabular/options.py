"""How to train: every setting, its default, and the optimiser and schedule it stands for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from chainrule import optim
from chainrule.errors import UsageError
from chainrule.optim import schedules
from chainrule.tabular.target import TASKS

__all__ = ["LEARNING_RATES", "SCHEDULES", "Options"]

LEARNING_RATES = {
    "adam": 1e-3,
    "adamw": 1e-3,
    "rmsprop": 1e-3,
    "sgd": 0.1,
    "momentum": 0.02,
    "nesterov": 0.02,
    "lbfgs": None,
}
"""The optimisers by name, with the learning rate each has unless told otherwise
(lbfgs searches for its own)."""

SCHEDULES = {
    "constant": "stays as it is",
    "step": "a tenth after each third of the epochs",
    "inverse-scaling": "divided by the square root of the epoch",
    "exponential": "down to a hundredth, evenly in its logarithm",
    "cosine": "down to 0 along half a cosine",
    "one-cycle": "up to the learning rate over 30% of the steps, then far down",
    "warm-up": "up from 0 over the first 5% of the steps, then constant",
}
"""The learning-rate schedules by name; all but the first are over the epochs asked for."""


@dataclass(frozen=True)
class Options:
    """Settings of a training run; the defaults do well on ordinary tables.

    ``learning_rate`` None is the optimiser's own (``LEARNING_RATES``); ``batch_size`` None
    follows the number of training rows (``batch_rule``), 0 is all rows at once. ``validation``
    and ``test`` are shares of the rows, unless tables are given for them. ``early_stopping`` 0
    is off. ``task`` None is inferred. ``keep`` names columns that no rule may drop.

    Raises UsageError, naming the command line's option, for values that make no sense.
    """

    task: str | None = None
    hidden: tuple[int, ...] = (64, 32)
    activation: str = "relu"
    optimizer: str = "adam"
    learning_rate: float | None = None
    schedule: str = "constant"
    epochs: int = 200
    batch_size: int | None = None
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    batch_norm: bool = False
    init: str = "auto"
    seed: int = 0
    validation: float = 0.2
    test: float = 0.2
    early_stopping: int = 20
    class_weight: str | None = None
    weight: str | None = None
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _known("--task", self.task, (*TASKS, None))
        _known("--optimizer", self.optimizer, tuple(LEARNING_RATES))
        _known("--schedule", self.schedule, tuple(SCHEDULES))
        _known("--class-weight", self.class_weight, ("balanced", None))
        if any(units < 1 for units in self.hidden):
            shown = ",".join(map(str, self.hidden))
            raise UsageError(f"--hidden {shown}: every layer needs at least one unit")
        if self.epochs < 1:
            raise UsageError(f"--epochs {self.epochs}: must be at least 1")
        if self.learning_rate is not None and not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"--learning-rate {self.learning_rate}: must be a number above 0")
        for name in ("l1", "l2"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"--{name} {getattr(self, name)}: must be a number from 0 up")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout {self.dropout}: must be at least 0 and below 1")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"--seed {self.seed}: must be a whole number from 0 to 2**63 - 1")
        for name in ("early_stopping", "batch_size"):
            if (getattr(self, name) or 0) < 0:
                shown = name.replace("_", "-")
                raise UsageError(f"--{shown} {getattr(self, name)}: must not be negative")
        for name in ("validation", "test"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(
                    f"--{name} {getattr(self, name)}: must be a share from 0 up to 1, or a file"
                )
        self._check_together()

    def _check_together(self) -> None:
        """Options that would have no effect beside others are refused, not ignored."""
        if not self.hidden and self.dropout:
            raise UsageError("--dropout: has no effect without --hidden layers; leave it out")
        if not self.hidden and self.batch_norm:
            raise UsageError("--batch-norm: has no effect without --hidden layers; leave it out")
        if self.optimizer != "lbfgs":
            return
        if self.schedule != "constant":
            raise UsageError("--schedule: lbfgs finds its own step lengths; leave it out")
        if self.learning_rate is not None:
            raise UsageError("--learning-rate: lbfgs finds its own step lengths; leave it out")
        if self.batch_size:
            raise UsageError("--batch-size: lbfgs needs all rows at once; leave it out")
        if self.dropout:
            raise UsageError("--dropout: lbfgs needs the same loss at every step; leave it out")

    def resolved(self, rows: int) -> Options:
        """The same with the learning rate and batch size that are meant, for so many rows."""
        rate = self.learning_rate
        batch = self.batch_size
        if batch is None:
            batch = 0 if self.optimizer == "lbfgs" else batch_rule(rows)
        return dataclasses.replace(
            self,
            learning_rate=LEARNING_RATES[self.optimizer] if rate is None else rate,
            batch_size=0 if batch >= rows else batch,
        )

    def build_optimizer(self, rows: int) -> Any:
        """The optimiser as a value of ``optim``, for so many training rows."""
        rate = self._rate(rows)
        makers = {
            "sgd": lambda: optim.sgd(rate),
            "momentum": lambda: optim.sgd(rate, momentum=0.9),
            "nesterov": lambda: optim.sgd(rate, momentum=0.9, nesterov=True),
            "rmsprop": lambda: optim.rmsprop(rate),
            "adam": lambda: optim.adam(rate),
            "adamw": lambda: optim.adamw(rate),
            "lbfgs": optim.lbfgs,
        }
        return makers[self.optimizer]()

    def _rate(self, rows: int) -> Any:
        settings = self.resolved(rows)
        rate = settings.learning_rate
        if rate is None:
            return None
        batch = settings.batch_size or rows
        per_epoch = -(-rows // batch)
        steps = self.epochs * per_epoch
        if self.schedule == "one-cycle" and steps < 10:
            raise UsageError("--schedule one-cycle: needs at least 10 steps; add --epochs")
        makers = {
            "constant": lambda: rate,
            "step": lambda: schedules.step(rate, 0.1, max(1, -(-steps // 3))),
            "inverse-scaling": lambda: schedules.per_epoch(
                schedules.inverse_scaling(rate, 0.5), per_epoch
            ),
            "exponential": lambda: schedules.exponential(rate, 0.01, steps),
            "cosine": lambda: schedules.cosine(rate, steps),
            "one-cycle": lambda: schedules.one_cycle(rate, steps),
            "warm-up": lambda: schedules.warm_up(rate, max(1, steps // 20)),
        }
        return makers[self.schedule]()

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        record = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in record.items()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Options:
        tuples: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in record.items()
        }
        return cls(**tuples)


def batch_rule(rows: int) -> int:
    """Rows per minibatch unless told otherwise: the power of two at or above a hundredth of
    the training rows, within 32 and 256."""
    size = 32
    while size < 256 and size * 100 < rows:
        size *= 2
    return size


def _known(option: str, value: str | None, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        names = ", ".join(name for name in allowed if name)
        raise UsageError(f"{option} {value}: not known; choose one of {names}")
