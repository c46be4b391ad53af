"""After every epoch: evaluate, keep the best, tell the callbacks, decide whether to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.core.settings import number, whole
from chainrule.core.tree import TreeDef, flatten, map_tree
from chainrule.nn import Penalty
from chainrule.train.evaluation import HeldOut, Predictor
from chainrule.train.metrics import Scorer
from chainrule.train.result import Callback, EpochEnd, Row

Tree = Any


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after ``patience`` epochs in which the validation loss did not fall.

    It has fallen when it is lower than the lowest so far by more than ``min_delta``. The
    weights of the epoch with the lowest validation loss are restored.

    Raises:
        UsageError: a patience that is no number of epochs, or a negative ``min_delta``.
    """

    patience: int
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        whole("patience", self.patience)
        number("min_delta", self.min_delta, at_least=0)


class NonFiniteLossError(Exception):
    """Internal: a loss is not finite; ``fit`` turns it into a DivergedError."""

    def __init__(self, what: str, value: float, epoch: int, step: int | None) -> None:
        super().__init__(what)
        self.what, self.value, self.epoch, self.step = what, value, epoch, step


@dataclass
class TrainingState:
    """The network while it is being trained; always consistent, whenever one is interrupted.

    Flat lists of arrays, the leaves of (params, state, slots): ``now`` after the last finished
    update, ``safe`` the last ones whose loss was seen to be finite, ``checked`` the last ones
    whose every number was. Lists are replaced, never written to.
    """

    now: list[np.ndarray]
    treedef: TreeDef
    safe: list[np.ndarray]
    checked: list[np.ndarray]
    steps: int = 0

    @classmethod
    def start(cls, params: Tree, state: Tree, slots: Tree) -> TrainingState:
        leaves, treedef = flatten((params, state, slots))
        return cls(leaves, treedef, leaves, leaves)

    @property
    def carry(self) -> tuple[Tree, Tree, Tree]:
        """``now`` as (params, state, slots)."""
        return self.treedef.unflatten(self.now)

    def move(self, leaves: list[np.ndarray]) -> None:
        """One more update is done; the loss before it was finite."""
        self.safe, self.now = self.now, leaves
        self.steps += 1

    def back(self) -> None:
        """Return to the last finite network that was training."""
        self.now = self.safe if all_finite(self.safe) else self.checked


@dataclass
class EpochMonitor:
    """What happens between epochs, and what it leaves: the history and the best network."""

    predictor: Predictor
    rows: Sequence[HeldOut]
    metrics: Mapping[str, Scorer]
    penalty: Penalty
    early_stopping: EarlyStopping | None
    callbacks: Sequence[Callback]
    epochs: int
    history: list[Row] = field(default_factory=list[Row])
    best_epoch: int | None = None
    best_loss: float = math.inf
    best: tuple[Tree, Tree] | None = None
    memory: dict[str, int] = field(default_factory=dict[str, int])
    stalled: int = 0
    reference: float = math.inf
    started: float = field(default_factory=time.perf_counter)

    def after_epoch(
        self, epoch: int, training: TrainingState, running: float, learning_rate: float | None
    ) -> str | None:
        """Add a row to the history; returns why to stop, or None to go on.

        Raises:
            NonFiniteLossError: a loss evaluated here, or a parameter, is not finite.
        """
        params, state, _ = training.carry
        if not all_finite(training.now):
            raise NonFiniteLossError("a parameter", math.nan, epoch, None)
        row: Row = {"epoch": epoch, "train_loss": running, "running_loss": running}
        for rows in self.rows:
            row |= rows.score(self.predictor, params, state, self.metrics)
            loss = row[f"{rows.name}_loss"]
            if not math.isfinite(loss):
                raise NonFiniteLossError(f"the {rows.name} loss", loss, epoch, None)
        training.checked = training.now
        if self.rows:
            training.safe = training.now
        if self.penalty:
            row["penalty"] = float(self.penalty(params))
        if learning_rate is not None:
            row["learning_rate"] = learning_rate
        row["seconds"] = time.perf_counter() - self.started
        self.started = time.perf_counter()
        self.history.append(row)
        stop = self._judge(epoch, row, params, state)
        event = EpochEnd(epoch, self.epochs, dict(row), self.best_epoch, params, state)
        # Every callback hears of the epoch, also when an earlier one asks to stop.
        answers = [callback(event) for callback in self.callbacks]
        return "callback" if "stop" in answers else stop

    def _judge(self, epoch: int, row: Row, params: Tree, state: Tree) -> str | None:
        loss = row.get("validation_loss")
        if loss is None:
            return None
        if loss < self.best_loss:
            # Copies: an executor may use the arrays of a finished step again.
            best = map_tree(np.array, (params, state))
            self.best_loss, self.best_epoch, self.best = loss, epoch, best
            self.memory["best"] = bytes_of(best)
        if self.early_stopping is None:
            return None
        if loss < self.reference - self.early_stopping.min_delta:
            self.reference, self.stalled = loss, 0
            return None
        self.stalled += 1
        return "early_stopping" if self.stalled >= self.early_stopping.patience else None


def bytes_of(tree: Tree) -> int:
    """How many bytes the arrays of a tree take."""
    return sum(leaf.nbytes for leaf in flatten(tree)[0])


def all_finite(leaves: Sequence[np.ndarray]) -> bool:
    """Whether every number of every array is finite."""
    return all(bool(np.isfinite(leaf).all()) for leaf in leaves)
