"""What happens after every epoch: attributes, rules for stopping, scikit-learn's callbacks."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from chainrule.core.tree import map_tree
from chainrule.estimators.network import attributes_of
from chainrule.train import EpochEnd
from chainrule.train.monitor import Judged


class Epochs:
    """Called by ``fit`` with each epoch's end; keeps an estimator's attributes as scikit-learn has
    them, and says when to stop.

    Args:
        estimator: which is being fitted; its callback context is open.
        model: its network.
        given: what callbacks get: ``X``, ``y`` and ``metadata``.
        epochs: how many there are at most.
    """

    def __init__(self, estimator: Any, model: Any, given: dict[str, Any], epochs: int) -> None:
        self.estimator, self.model, self.given = estimator, model, given
        self.best: tuple[Any, Any] | None = None
        self.count = epochs
        self.why = ""
        self.stochastic = estimator.solver != "lbfgs"
        self.context = estimator._init_callback_context(max_subtasks=epochs)
        self.context.call_on_fit_task_begin(estimator=estimator, **given)
        self.task: Any = None
        self._begin()
        self.started = time.perf_counter()

    @property
    def losses_only(self) -> bool:
        """Whether nothing here looks at the network or the clock, or changes the learning rate:
        some epochs may then be done before they are told of."""
        e = self.estimator
        steady = e.solver == "adam" or e.learning_rate == "constant"
        looks = e.early_stopping or e.max_seconds is not None or getattr(e, "_skl_callbacks", None)
        return bool(steady and not looks)

    def _begin(self) -> None:
        """Tell callbacks that an epoch begins."""
        e = self.estimator
        if not getattr(e, "_skl_callbacks", None):
            return
        self.task = self.context.subcontext(task_name="epoch")
        self.task.call_on_fit_task_begin(estimator=e, **self.given)

    def go_on(self, judged: Judged) -> str | None:
        """Take up what epochs left that a checkpoint tells of; callbacks heard of them then."""
        for row in judged.history:
            self._past(row)
        if self.estimator.early_stopping:
            self.best = judged.best
        return "stop" if self.why else None

    def _past(self, found: Any) -> None:
        """An epoch is over, whose row of ``fit``'s history this is."""
        row = self._row(found)
        self.estimator.history_.append(row)
        self.why = self._judged(row) if self.stochastic else ""

    def __call__(self, event: EpochEnd) -> str | None:
        e = self.estimator
        best = e.best_validation_score_ if e.early_stopping and self.stochastic else None
        self._past(event.history_row)
        if best is not None and e.best_validation_score_ > best:
            self.best = map_tree(np.array, (event.params, event.state))
        if self._told(event):
            self.why = "callback"
        if e.max_seconds is not None and time.perf_counter() - self.started >= e.max_seconds:
            self.why = "max_seconds"
        if self.why:
            return "stop"
        if event.epoch < event.epochs:
            self._begin()
        return None

    def _row(self, found: Any) -> dict[str, Any]:
        """This epoch's row of ``history_``; the attributes that follow from it."""
        e = self.estimator
        e.n_iter_ += 1
        running = found["running_loss"] / e._loss_share() + e._loss_offset_
        e.loss_ = running + found.get("penalty", 0.0)
        rate = {"learning_rate": e._optimizer.learning_rate} if self.stochastic else {}
        wanted = ("train_loss", "train_score", "validation_loss", "validation_score")
        scores = {name: found[name] for name in wanted if name in found}
        for name in ("train_loss", "validation_loss"):
            if name in scores:
                scores[name] /= e._loss_share()
        epoch = len(e.history_) + 1
        return {"epoch": epoch, "loss": e.loss_, **scores, **rate, "seconds": found["seconds"]}

    def _judged(self, row: dict[str, Any]) -> str:
        """scikit-learn's rules: why to stop, or ""."""
        e = self.estimator
        e.t_ += e._rows_
        e.loss_curve_.append(e.loss_)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        if e.early_stopping:
            self._by_score(row["validation_score"])
        else:
            worse = e.loss_ > e.best_loss_ - e.tol
            e._no_improvement_count = e._no_improvement_count + 1 if worse else 0
            e.best_loss_ = min(e.best_loss_, e.loss_)
        solver = e._optimizer
        if e.solver == "sgd" and e.learning_rate == "invscaling":
            solver.learning_rate = float(e.learning_rate_init) / (e.t_ + 1) ** e.power_t
        if e._no_improvement_count <= e.n_iter_no_change:
            return ""
        what = "Validation score" if e.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} "
            "consecutive epochs."
        )
        if e.solver == "sgd" and e.learning_rate == "adaptive" and solver.learning_rate > 1e-6:
            solver.learning_rate /= 5.0
            e._no_improvement_count = 0
            if e.verbose:
                print(f"{message} Setting learning rate to {solver.learning_rate:f}")
            return ""
        if e.verbose:
            print(f"{message} Stopping.")
        return "no_improvement"

    def _by_score(self, score: float) -> None:
        e = self.estimator
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        worse = score < e.best_validation_score_ + e.tol
        e._no_improvement_count = e._no_improvement_count + 1 if worse else 0
        e.best_validation_score_ = max(e.best_validation_score_, score)

    def _told(self, event: EpochEnd) -> bool:
        """Tell callbacks that the epoch is over; whether one of them wants to stop."""
        if self.task is None:
            return False

        def fitted() -> dict[str, Any]:
            return attributes_of(self.model, event.params, event.state)

        return self.task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=fitted, **self.given
        )

    def close(self) -> None:
        """The estimator is fitted."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes={}, **self.given
        )
