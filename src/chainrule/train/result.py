"""What training returns, and what it tells while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.core.types import plain_array
from chainrule.errors import NonFiniteError
from chainrule.nn import Loss
from chainrule.train.evaluation import HeldOut, Predictor, dtype_of
from chainrule.train.metrics import metrics_of

Tree = Any
Row = dict[str, float]


@dataclass(frozen=True)
class EpochEnd:
    """The event a callback gets after every epoch.

    Attributes:
        epoch, epochs: this one, counted from 1, and how many there are at most.
        history_row: this epoch's row of the history.
        best_epoch: the epoch with the lowest validation loss so far, None without validation.
        params, state: the network as it is now; not to be written to.
    """

    epoch: int
    epochs: int
    history_row: Row
    best_epoch: int | None
    params: Tree = field(repr=False)
    state: Tree = field(repr=False)


Callback = Callable[[EpochEnd], Any]


@dataclass(frozen=True)
class FitResult:
    """A trained network and how it came about.

    Attributes:
        params, state: the network: after the last finished update, or of the best epoch where
            early stopping was asked for.
        history: one row per finished epoch: ``epoch``, ``train_loss``, ``running_loss``,
            ``validation_loss``, ``test_loss``, the metrics as ``train_NAME``,
            ``validation_NAME``, ``test_NAME``, ``penalty``, ``learning_rate``, ``seconds``.
        best_epoch: the epoch with the lowest validation loss; None without validation.
        stopped: why it ended: "epochs", "early_stopping", "interrupted", "callback",
            "converged", "stalled" (L-BFGS: a tolerance was met; nothing lower was found) or
            "non_finite".
        steps: updates done.
        slots: what the optimiser remembers after them, for going on later.
        model, loss: those that were trained.
        predictor: computes the outputs, with functions compiled once.
        memory: bytes that training took beside the data, by what they were for: "parameters",
            "optimizer" (its slots), "copies" (of both, to go back to), "best" (with validation),
            "order" (of the rows), and "arena" (in machine code: gradients and everything else
            that a step computes on its way). Empty for L-BFGS.
        moment: where training stood, for ``fit(resume=...)``; None where a loss was not finite.
    """

    params: Tree = field(repr=False)
    state: Tree = field(repr=False)
    history: tuple[Row, ...] = field(repr=False)
    best_epoch: int | None
    stopped: str
    steps: int
    slots: Tree = field(repr=False)
    model: Any
    loss: Loss
    predictor: Predictor = field(repr=False, compare=False)
    memory: Mapping[str, int] = field(default_factory=dict[str, int], repr=False, compare=False)
    moment: Any = field(default=None, repr=False, compare=False)

    def outputs(self, x: Any) -> np.ndarray:
        """Linear outputs (n, k) of the network for inputs ``x`` (n, columns).

        Raises DataError for numbers that are not finite, ShapeError for other columns.
        """
        return self.predictor.outputs(self.params, self.state, x)

    def predict(self, x: Any) -> np.ndarray:
        """Predictions (n, k) for inputs ``x``: probabilities, means or scores, by the loss (L2.4).

        Computed in tiles of a fixed number of rows: neither the values of other rows nor their
        number change a row's prediction. Raises as ``outputs``.
        """
        return self.predictor.predict(self.params, self.state, x)

    def evaluate(
        self,
        x: Any,
        targets: Any,
        weights: Any = None,
        metrics: Any = None,
    ) -> dict[str, float]:
        """``{"loss": ..., NAME: ...}``: the mean loss, and the metrics, over these rows.

        Args:
            x: (n, columns). targets: as the loss takes them. weights: of the rows, (n,), or None.
            metrics: as ``fit`` takes them.

        Raises:
            DataError, UsageError: as ``fit``.
            ShapeError: x has other columns than the network's inputs.
        """
        outputs = self.outputs(plain_array(x, "x")[:1]).shape[1]
        rows = HeldOut.of(
            "evaluate", x, targets, weights, self.loss, outputs, dtype_of(self.params)
        )
        scores = rows.score(self.predictor, self.params, self.state, metrics_of(metrics))
        return {name.removeprefix("evaluate_"): value for name, value in scores.items()}


class DivergedError(NonFiniteError):
    """Training met a loss that is not finite.

    Attributes:
        epoch, step: where, counted from 1; step is None for a loss evaluated after the epoch.
        result: the last finite network that was kept, with the history up to there.
        failing: the step that made it, for ``diagnosis.origin_of``; None of an error from another
            process.
    """

    def __init__(
        self,
        message: str,
        epoch: int,
        step: int | None,
        result: FitResult,
        failing: Any = None,
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.result = result
        self.failing = failing

    def __reduce__(self) -> Any:
        return DivergedError, (str(self), self.epoch, self.step, self.result)
