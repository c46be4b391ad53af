"""The table of scores: a model on several sets of rows, beside what takes no learning."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.tabular.target import Target
from chainrule.train import metrics

__all__ = ["Judged", "Scores", "baseline", "score_table"]


@dataclass(frozen=True)
class Judged:
    """Rows with their true target, and what a model says about them.

    ``truth``: class indices (n,), or values in the target's units. ``predicted``: the most
    probable class, or values. ``probabilities``: of class 1, shape (n,), for two classes under
    ``binary``; of each class, (n, k), under ``multiclass``; None for regression.
    ``log_losses``: minus the log probability of each true class, computed from logits.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64] | None = None
    log_losses: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None

    @classmethod
    def joined(cls, parts: Sequence[Judged]) -> Judged:
        """Those of several sets of rows, one after the other."""
        columns = zip(*[vars(part).values() for part in parts], strict=True)
        return cls(*[None if c[0] is None else np.concatenate(c) for c in columns])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Scores:
    """Rows of scores, one column per set of rows; None where a score is undefined.

    ``sets`` names the columns; the last is the baseline, computed on the set ``baseline_on``.
    The first row is the mean loss: log loss in nats, or the squared error in squared units.
    """

    sets: tuple[str, ...]
    baseline_on: str
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]

    def of(self, score: str, column: str) -> float | None:
        """One score, as ``scores.of("accuracy", "test")``."""
        return dict(self.rows)[score][self.sets.index(column)]

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        return {
            "sets": list(self.sets),
            "baseline_on": self.baseline_on,
            "rows": [{"score": name, "values": list(values)} for name, values in self.rows],
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Scores:
        """The scores whose ``to_json`` gives ``record``, which is not checked here."""
        rows = tuple((row["score"], tuple(row["values"])) for row in record["rows"])
        return cls(tuple(record["sets"]), record["baseline_on"], rows)


def score_table(target: Target, sets: Mapping[str, Judged | Sequence[Judged]]) -> Scores:
    """The task's scores on each set, and the baseline's on the last one. Of several networks'
    answers the scores are their means."""
    last = sets[list(sets)[-1]]
    label, trivial = baseline(target, last if isinstance(last, Judged) else last[0])
    columns: dict[str, Judged | Sequence[Judged]] = {**sets, label: trivial}
    rows = tuple(
        (name, tuple(_mean(score, judged) for judged in columns.values()))
        for name, score in _scores(target.task)
    )
    return Scores(tuple(columns), list(sets)[-1], rows)


def _mean(score: Score, judged: Judged | Sequence[Judged]) -> float | None:
    several = [judged] if isinstance(judged, Judged) else judged
    return _number(float(np.mean([score(one) for one in several])))


def baseline(target: Target, like: Judged) -> tuple[str, Judged]:
    """What can be said without looking at a row, and its name.

    Classes: always the most frequent of the training rows (the first of equals), with the
    training shares as probabilities. Regression: always the training mean.
    """
    n = len(like.truth)
    if target.task == "regression":
        name = f"always {target.center:.6g}"
        return name, Judged(like.truth, np.full(n, target.center), weights=like.weights)
    shares = np.array(target.shares)
    commonest = int(np.argmax(shares))
    probabilities = np.full(n, shares[1]) if target.task == "binary" else np.tile(shares, (n, 1))
    return f"always {json.dumps(target.classes[commonest], ensure_ascii=False)}", Judged(
        like.truth,
        np.full(n, commonest),
        probabilities,
        -np.log(np.maximum(shares, np.finfo(float).tiny))[like.truth],
        like.weights,
    )


Score = Callable[[Judged], float]


def _scores(task: str) -> list[tuple[str, Score]]:
    if task == "regression":
        return [
            ("squared error", lambda j: metrics.mse(j.truth, j.predicted, j.weights)),
            ("RMSE", lambda j: metrics.rmse(j.truth, j.predicted, j.weights)),
            ("MAE", lambda j: metrics.mae(j.truth, j.predicted, j.weights)),
            ("R2", lambda j: metrics.r2(j.truth, j.predicted, j.weights)),
        ]
    average = "binary" if task == "binary" else "macro"
    name = "F1" if task == "binary" else "F1 (macro)"
    return [
        ("log loss", _mean_log_loss),
        ("accuracy", lambda j: metrics.accuracy(j.truth, j.predicted, j.weights)),
        ("balanced accuracy", lambda j: metrics.balanced_accuracy(j.truth, j.predicted, j.weights)),
        (name, lambda j: metrics.f1(j.truth, j.predicted, j.weights, average=average)),
        ("ROC AUC", _auc),
    ]


def _mean_log_loss(judged: Judged) -> float:
    assert judged.log_losses is not None
    return float(np.average(judged.log_losses, weights=judged.weights))


def _auc(judged: Judged) -> float:
    assert judged.probabilities is not None
    return metrics.roc_auc(judged.truth, judged.probabilities, judged.weights)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
