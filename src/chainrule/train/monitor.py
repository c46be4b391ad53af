"""After every epoch: evaluate, keep the best, tell the callbacks, decide whether to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from chainrule.core.settings import number, whole
from chainrule.core.tree import TreeDef, flatten, map_tree
from chainrule.forks import load
from chainrule.nn import Penalty
from chainrule.run import on_host
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
    """Internal: a loss is not finite; ``fit`` turns it into a DivergedError. ``at`` are the
    parameters where a line search looked."""

    def __init__(
        self, what: str, value: float, epoch: int, step: int | None, at: Any = None
    ) -> None:
        super().__init__(what)
        self.what, self.value, self.epoch, self.step, self.at = what, value, epoch, step, at


class Position(NamedTuple):
    """Where in the data training is: minibatches done of an epoch, and sums over these.

    Attributes:
        epoch: 1, 2, ... step: how many of its minibatches are done.
        loss: the sum of their mean losses, each times its weight. weight: the sum of the weights.
    """

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    weight: float = 0.0

    def after(self, losses: Iterable[tuple[float, float]]) -> Position:
        """So many more minibatches: ``(loss, weight)`` of each."""
        epoch, step, total, weights = self
        for loss, weight in losses:
            step, total, weights = step + 1, total + weight * loss, weights + weight
        return Position(epoch, step, total, weights)

    @property
    def mean(self) -> float:
        """The mean loss of the epoch so far, each minibatch's before its update."""
        return self.loss / self.weight if self.weight else 0.0


class Judged(NamedTuple):
    """What the epochs so far left: history, the best network, what early stopping counts."""

    history: tuple[Row, ...] = ()
    best_epoch: int | None = None
    best_loss: float = math.inf
    best: tuple[Tree, Tree] | None = None
    stalled: int = 0
    reference: float = math.inf


class Moment(NamedTuple):
    """All that training depends on from here on; it is made whole, and never written to.

    Attributes:
        now, safe, steps, position: as ``TrainingState`` has them. judged: of the epochs before.
        log: for L-BFGS, its evaluations so far, if anyone may want them.
    """

    now: list[np.ndarray]
    safe: list[np.ndarray]
    steps: int
    position: Position
    judged: Judged
    log: Any = None


@dataclass
class TrainingState:
    """The network while it is being trained.

    Flat lists of arrays, the leaves of (params, state, slots): ``now`` after the last finished
    update, ``safe`` the last ones whose loss was seen to be finite, ``checked`` the last ones
    whose every number was; ``looked``, if someone saw that of a list. Lists are replaced, never
    written to.

    ``moment`` is whole whenever one is interrupted; ``seen`` is called when there is a new one, and
    there is one after each multiple of ``every`` steps.
    """

    now: list[np.ndarray]
    treedef: TreeDef
    safe: list[np.ndarray]
    checked: list[np.ndarray]
    steps: int = 0
    position: Position = field(default_factory=Position)
    judged: Judged = field(default_factory=Judged)
    log: Any = None
    seen: Callable[[], None] | None = None
    every: int = 2**62
    looked: list[np.ndarray] | None = None

    def __post_init__(self) -> None:
        self.mark()

    @classmethod
    def start(cls, params: Tree, state: Tree, slots: Tree) -> TrainingState:
        leaves, treedef = flatten((params, state, slots))
        return cls(leaves, treedef, leaves, leaves)

    @property
    def carry(self) -> tuple[Tree, Tree, Tree]:
        """``now`` as (params, state, slots)."""
        return self.treedef.unflatten(self.now)

    @cached_property
    def network(self) -> tuple[TreeDef, int]:
        """The tree (params, state), and how many leaves it has, the first of ``now``."""
        tree = self.treedef._replace(children=self.treedef.children[:2])
        return tree, tree.count

    def move(self, leaves: list[np.ndarray]) -> None:
        """One more update is done; the loss before it was finite."""
        self.safe, self.now = self.now, leaves
        self.steps += 1

    def room(self) -> int:
        """So many steps may be done before there must be a moment."""
        return self.every - self.steps % self.every

    def mark(self) -> None:
        """Everything here belongs together: a training may go on from this moment."""
        self.moment = Moment(self.now, self.safe, self.steps, self.position, self.judged, self.log)
        if self.seen is not None:
            self.seen()

    def go_on(self, moment: Moment) -> None:
        """Take up another training's place."""
        self.now, self.safe, self.steps, self.position, self.judged, self.log = moment
        self.checked, self.moment = self.now, moment

    def read(self) -> None:
        """Bring home what lies on a device."""
        self.now, self.safe, self.checked = map(on_host, (self.now, self.safe, self.checked))
        then = self.moment
        now = on_host(then.now)
        safe = now if then.safe is then.now else on_host(then.safe)
        self.moment = then._replace(now=now, safe=safe)

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
    judge: Callable[[Row], Any] | None = None  # lower is better; None for the validation loss
    enough: bool = False  # whether a callback wants no more epochs than those that are taken up

    def judged(self) -> Judged:
        """What goes into a ``Moment``."""
        return Judged(
            tuple(self.history),
            self.best_epoch,
            self.best_loss,
            self.best,
            self.stalled,
            self.reference,
        )

    def go_on(self, judged: Judged) -> None:
        """Take up what other epochs left."""
        history, self.best_epoch, self.best_loss, self.best, self.stalled, self.reference = judged
        self.history = list(history)
        if self.best is not None:
            self.memory["best"] = bytes_of(self.best)
        for callback in self.callbacks:
            hear: Any = getattr(callback, "go_on", None)
            self.enough |= hear is not None and hear(judged) == "stop"

    @property
    def asks(self) -> bool:
        """Whether anybody looks at the network after each epoch; a callback whose ``losses_only``
        is true does not, and gets None for the network of epochs done in one call with others."""
        looking = [c for c in self.callbacks if not getattr(c, "losses_only", False)]
        return bool(self.rows or looking or self.penalty)

    def after_epoch(
        self,
        epoch: int,
        training: TrainingState,
        running: float,
        learning_rate: float | None,
        left: int = 1,
    ) -> str | None:
        """Add a row to the history; returns why to stop, or None to go on. ``left`` epochs, with
        this one, took the time since the last row.

        Raises:
            NonFiniteLossError: a loss evaluated here, or a parameter, is not finite.
        """
        if training.looked is not training.now and not all_finite(training.now):
            raise NonFiniteLossError("a parameter", math.nan, epoch, None)
        training.looked = training.now
        row: Row = {"epoch": epoch, "train_loss": running, "running_loss": running}
        seen = self.asks or (self.callbacks and left == 1)
        params, state, _ = training.carry if seen else (None, None, None)
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
        row["seconds"] = (time.perf_counter() - self.started) / left
        self.started += row["seconds"]
        self.history.append(row)
        stop = self._judge(epoch, row, params, state)
        if not self.callbacks:
            return stop
        now: list[Any] = training.now
        if not all(isinstance(x, np.ndarray) for x in now):
            params, state = on_host((params, state))
        event = EpochEnd(epoch, self.epochs, dict(row), self.best_epoch, params, state)
        # Every callback hears of the epoch, also when an earlier one asks to stop.
        answers = [callback(event) for callback in self.callbacks]
        return "callback" if "stop" in answers else stop

    def _judge(self, epoch: int, row: Row, params: Tree, state: Tree) -> str | None:
        loss = self.judge(row) if self.judge else row.get("validation_loss")
        if loss is None:
            return None
        if loss < self.best_loss:
            # Copies: an executor may use the arrays of a finished step again.
            best = map_tree(np.array, (params, state))
            self.best_loss, self.best_epoch, self.best = loss, epoch, best
            if "best" not in self.memory:
                self.memory["best"] = bytes_of(best)
        if self.early_stopping is None:
            return None
        if loss < self.reference - self.early_stopping.min_delta:
            self.reference, self.stalled = loss, 0
            return None
        self.stalled += 1
        return "early_stopping" if self.over else None

    @property
    def over(self) -> bool:
        """Whether early stopping has waited long enough."""
        return self.early_stopping is not None and self.stalled >= self.early_stopping.patience


def bytes_of(tree: Tree) -> int:
    """How many bytes the arrays of a tree take."""
    return sum(leaf.nbytes for leaf in flatten(tree)[0])


HOST = (np.ndarray, np.generic, float, int)
"""What stands on no device: arrays, and numbers such as a count in a state."""


def all_finite(leaves: Sequence[Any]) -> bool:
    """Whether every number of every array is finite; on a device it is looked at there."""
    here: list[Any] = [leaf for leaf in leaves if isinstance(leaf, HOST)]
    there = [leaf for leaf in leaves if not isinstance(leaf, HOST)]
    if there and not load("chainrule.run.xla").all_finite(there):
        return False
    return all(bool(np.isfinite(x).all()) for x in here)
