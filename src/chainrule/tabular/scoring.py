"""The table of scores: a model on several sets of rows, beside what takes no learning."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import UsageError
from chainrule.tabular.target import Target
from chainrule.train import metrics

__all__ = ["Judged", "Running", "Scores", "baseline", "score_table"]


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


DISTINCT = 2**18
"""How many different probabilities, of all classes together, are kept apart."""


class Running:
    """Scores of rows that come piece by piece, by sums: no array grows with the rows.

    All equal those of the rows at once but for rounding, except the area under the ROC curve
    where there are more than ``DISTINCT`` different probabilities: neighbours then count as
    equal, and ``notes`` says by how much it can be off.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        k = len(target.classes)
        self.cells = np.zeros((2, k, k))  # weights, and log losses, of (true, predicted)
        self.seen = np.zeros((k, k), bool)
        apart = max(DISTINCT // max(k, 1), 2**10)
        self.ranks = [_Ranks(apart) for _ in range(1 if target.task == "binary" else k)]
        self.rows, self.weight, self.mean, self.spread = 0, 0.0, 0.0, 0.0
        self.errors = np.zeros((2, 2))  # squared and absolute, of the model and the baseline

    def add(self, one: Judged) -> None:
        """A piece's rows."""
        w = np.ones(len(one.truth)) if one.weights is None else one.weights
        if self.target.task == "regression":
            self._add_numbers(one, w)
            return
        assert one.probabilities is not None
        assert one.log_losses is not None
        at = (one.truth.astype(np.intp), one.predicted.astype(np.intp))
        self.seen[at] = True
        np.add.at(self.cells[0], at, w)
        np.add.at(self.cells[1], at, w * one.log_losses)
        columns = one.probabilities.reshape(len(w), -1).T
        for label, (ranks, column) in enumerate(zip(self.ranks, columns, strict=True)):
            ranks.add(one.truth == (label if len(columns) > 1 else 1), column, w)

    def _add_numbers(self, one: Judged, w: NDArray[np.float64]) -> None:
        t = one.truth.astype(np.float64)
        for place, predicted in enumerate((one.predicted, self.target.center)):
            error = np.abs(t - predicted)
            self.errors[:, place] += w @ error**2, w @ error
        self.rows += len(t)
        if not (added := float(w.sum())) > 0:
            return
        # Moments of two sets from those of each (Chan, Golub and LeVeque, 1979).
        mean = float(w @ t) / added
        away, share = mean - self.mean, added / (self.weight + added)
        self.spread += float(w @ (t - mean) ** 2) + away**2 * self.weight * share
        self.mean += away * share
        self.weight += added

    def scores(self) -> tuple[Scores, list[str]]:
        """The scores beside the baseline's, as ``score_table`` has them, and notes."""
        if not (self.weight or self.cells[0].sum()) > 0:
            raise UsageError("weights must be finite and not negative, and not all zero")
        if self.target.task == "regression":
            return self._of_numbers(), []
        truth, predicted = np.nonzero(self.seen)
        weights, losses = self.cells[:, truth, predicted]
        losses = losses / np.where(weights > 0, weights, 1.0)
        k = len(self.target.classes)
        shape = len(truth) if self.target.task == "binary" else (len(truth), k)
        judged = Judged(truth, predicted, np.zeros(shape), losses, weights)
        table = score_table(self.target, {"data": judged})
        areas, bounds = zip(*[ranks.area() for ranks in self.ranks], strict=True)
        rows = dict(table.rows)
        rows["ROC AUC"] = (_number(float(np.mean(areas))), *rows["ROC AUC"][1:])
        notes = list[str]()
        if (off := float(np.mean(bounds))) > 0:
            notes.append(f"ROC AUC is off by at most {off:.1g}: near probabilities count as equal")
        return Scores(table.sets, table.baseline_on, tuple(rows.items())), notes

    def _of_numbers(self) -> Scores:
        squared, absolute = self.errors / self.weight
        residual = self.errors[0]
        if self.rows < 2:
            r2 = np.full(2, np.nan)
        elif self.spread == 0:
            r2 = np.where(residual == 0, 1.0, 0.0)
        else:
            r2 = 1 - residual / self.spread
        found = zip(
            [name for name, _ in _scores("regression")],
            (squared, np.sqrt(squared), absolute, r2),
            strict=True,
        )
        rows = tuple((name, tuple(_number(float(v)) for v in pair)) for name, pair in found)
        return Scores(("data", f"always {self.target.center:.6g}"), "data", rows)


class _Ranks:
    """Weights of examples and others by probability, of some ``apart`` different ones."""

    def __init__(self, apart: int) -> None:
        self.apart, self.shift = apart, 0
        self.keys: NDArray[np.int64] = np.zeros(0, np.int64)
        self.weights: NDArray[Any] = np.zeros((2, 0))

    def add(self, actual: NDArray[Any], p: NDArray[Any], w: NDArray[np.float64]) -> None:
        # The bits of positive floats are in their order; counted from either end, the same
        # digits are kept of 1e-9 and of 1 - 1e-9 (1 - p is exact beyond a half).
        p = np.abs(p.astype(np.float64))  # of -0.0 too
        ends = np.minimum(p, 1 - p).view(np.int64)
        half = int(np.array(0.5).view(np.int64))
        keys = np.where(p > 0.5, 2 * half - ends, ends) >> self.shift
        both = np.stack([np.where(actual, w, 0.0), np.where(actual, 0.0, w)])
        self._merge(np.append(self.keys, keys), np.concatenate([self.weights, both], axis=1))
        while len(self.keys) > self.apart:
            self.shift += 1
            self._merge(self.keys >> 1, self.weights)

    def _merge(self, keys: NDArray[np.int64], weights: NDArray[Any]) -> None:
        self.keys, at = np.unique(keys, return_inverse=True)
        self.weights = np.array([np.bincount(at, row, len(self.keys)) for row in weights])

    def area(self) -> tuple[float, float]:
        """The area under the curve, and by how much it can be off."""
        hits, alarms = self.weights
        rank = np.arange(len(self.keys))
        actual = np.repeat([1, 0], len(rank))
        area = metrics.roc_auc(actual, np.tile(rank, 2).astype(float), self.weights.reshape(-1))
        pairs = float(hits.sum() * alarms.sum())
        return area, float(hits @ alarms) / 2 / pairs if self.shift and pairs > 0 else 0.0


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
