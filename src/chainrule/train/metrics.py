"""Scores of predictions against targets, with sample weights.

Every function takes ``(targets, predictions, weights=None)``: arrays whose first axis is the
example, and non-negative weights of shape ``(n,)``. Classes are integers 0..k-1. Each returns a
Python float, and equals scikit-learn's function of the same name to rounding; where
scikit-learn warns that a score is undefined, the result here is ``nan`` (or 0, for F1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ShapeError, UsageError

__all__ = [
    "accuracy",
    "balanced_accuracy",
    "f1",
    "log_loss",
    "mae",
    "mse",
    "r2",
    "rmse",
    "roc_auc",
]


def accuracy(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The weighted share of examples whose predicted class is the true one."""
    t, y, w = _checked(targets, predicted, weights)
    return float(np.average(t == y, weights=w))


def balanced_accuracy(
    targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The mean, over the classes that occur in ``targets``, of the share found of each."""
    t, y, w = _checked(targets, predicted, weights)
    recalls = []
    for label in np.unique(t):
        of_label = t == label
        total = w[of_label].sum()
        if total > 0:
            recalls.append(w[of_label & (y == label)].sum() / total)
    return float(np.mean(recalls)) if recalls else float("nan")


def f1(
    targets: ArrayLike,
    predicted: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    average: str = "binary",
    positive: int = 1,
) -> float:
    """The harmonic mean of precision and recall.

    ``average="binary"`` scores the class ``positive``; ``"macro"`` is the plain mean over the
    classes that occur in ``targets`` or ``predicted``. A class with neither true nor
    predicted examples scores 0.
    """
    t, y, w = _checked(targets, predicted, weights)
    if average == "binary":
        return _f1_of(t == positive, y == positive, w)
    if average == "macro":
        labels = np.union1d(t, y)
        return float(np.mean([_f1_of(t == label, y == label, w) for label in labels]))
    raise UsageError(f'average={average!r} is not known; write "binary" or "macro"')


def _f1_of(actual: NDArray, found: NDArray, weights: NDArray) -> float:
    hits = weights[actual & found].sum()
    total = weights[actual].sum() + weights[found].sum()
    return float(2 * hits / total) if total > 0 else 0.0


def roc_auc(targets: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The area under the ROC curve: how well the scores order the classes; 0.5 is chance.

    ``scores`` of shape ``(n,)`` are of class 1 against class 0; of shape ``(n, k)`` the result
    is the mean over the classes of each against the rest. ``nan`` where a class does not occur
    (its ordering is then undefined).
    """
    t, y, w = _checked(targets, scores, weights, columns=True)
    if y.ndim == 1:
        return _binary_auc(t == 1, y, w)
    return float(np.mean([_binary_auc(t == k, y[:, k], w) for k in range(y.shape[1])]))


def _binary_auc(actual: NDArray, scores: NDArray, weights: NDArray) -> float:
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    # One point of the curve per distinct score, so that ties count half.
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(np.where(actual, weights, 0.0)[order])[ends]
    alarms = np.cumsum(np.where(actual, 0.0, weights)[order])[ends]
    if not hits[-1] > 0 or not alarms[-1] > 0:
        return float("nan")
    hits, alarms = np.append(0.0, hits) / hits[-1], np.append(0.0, alarms) / alarms[-1]
    return float(np.sum(np.diff(alarms) * (hits[1:] + hits[:-1]) / 2))


def log_loss(
    targets: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The mean of minus the log of the probability given to the true class, in nats.

    ``probabilities`` of shape ``(n,)`` are of class 1; of shape ``(n, k)`` of each class.
    They are clipped to [eps, 1 - eps] of their dtype, as scikit-learn does, so one certain
    mistake costs about 36 nats in float64 rather than infinity.
    """
    p = np.asarray(probabilities)
    if p.dtype.kind != "f":
        p = p.astype(np.float64)
    t, p, w = _checked(targets, p, weights, columns=True)
    eps = np.finfo(p.dtype).eps
    if p.ndim == 1:
        p = np.stack([1 - p, p], axis=1)
    chosen = np.clip(p, eps, 1 - eps)[np.arange(len(t)), t.astype(np.intp)]
    return float(np.average(-np.log(chosen), weights=w))


def mse(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The weighted mean of the squared errors, in squared units of the target."""
    t, y, w = _checked(targets, predicted, weights)
    return float(np.average((t - y) ** 2, weights=w))


def rmse(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The square root of the mean squared error, in units of the target."""
    return float(np.sqrt(mse(targets, predicted, weights)))


def mae(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The weighted mean of the absolute errors, in units of the target."""
    t, y, w = _checked(targets, predicted, weights)
    return float(np.average(np.abs(t - y), weights=w))


def r2(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The share of the target's variance that is explained: 1 is perfect, 0 is the mean's.

    For a target without variance: 1 if every prediction is exact, else 0. ``nan`` for fewer
    than two examples.
    """
    t, y, w = _checked(targets, predicted, weights)
    if len(t) < 2:
        return float("nan")
    residual = np.sum(w * (t - y) ** 2)
    total = np.sum(w * (t - np.average(t, weights=w)) ** 2)
    if total == 0:
        return 1.0 if residual == 0 else 0.0
    return float(1 - residual / total)


def _checked(
    targets: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None, columns: bool = False
) -> tuple[NDArray, NDArray, NDArray]:
    """The three as arrays that fit together; raises ShapeError or UsageError."""
    t, y = np.asarray(targets), np.asarray(predictions)
    if t.ndim != 1 or y.ndim not in ((1, 2) if columns else (1,)) or len(t) != len(y):
        raise ShapeError(
            f"targets of shape {t.shape} and predictions of shape {y.shape} do not fit: "
            f"both need one entry per example"
        )
    if len(t) == 0:
        raise ShapeError("no examples: a score needs at least one")
    if weights is None:
        return t, y, np.ones(len(t))
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != t.shape:
        raise ShapeError(f"weights of shape {w.shape} do not fit {len(t)} examples")
    if not (np.all(np.isfinite(w)) and np.all(w >= 0) and w.sum() > 0):
        raise UsageError("weights must be finite and not negative, and not all zero")
    return t, y, w
