"""Scores of predictions against targets, with sample weights.

Every function takes ``(targets, predictions, weights=None)``: arrays whose first axis is the
example, (n,) or (n, 1), and non-negative weights (n,). Classes are integers 0..k-1; where a score
wants classes, probabilities (n,) of class 1 and scores (n, k) of each are turned into the most
probable one. Each returns a Python float, and equals scikit-learn's function of the same name to
rounding; where scikit-learn warns that a score is undefined, the result here is ``nan`` (or 0,
for F1). All raise ShapeError for arrays that do not fit together, DtypeError for masked ones, and
UsageError for weights that are negative, not finite or all zero.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.core.settings import Named
from chainrule.core.told import told
from chainrule.core.types import plain_array
from chainrule.errors import ShapeError, UsageError

__all__ = [
    "METRICS",
    "Metric",
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

Metric = Callable[..., Any]
"""``f(targets, predictions, weights)`` or ``f(targets, predictions)``, to a number."""


@told("train.accuracy")
def accuracy(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The weighted share of examples whose predicted class is the true one.

    Args:
        targets: the true classes, (n,), integers.
        predicted: the predicted ones, (n,).
        weights: of the rows, (n,); None counts each once.
    """
    t, y, w = _classes(targets, predicted, weights)
    return float(np.average(t == y, weights=w))


@told("train.balanced_accuracy")
def balanced_accuracy(
    targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The mean, over the classes that occur in ``targets``, of the share found of each.

    Args:
        targets: the true classes, (n,), integers.
        predicted: the predicted ones, (n,).
        weights: of the rows, (n,); None counts each once.
    """
    t, y, w = _classes(targets, predicted, weights)
    recalls = []
    for label in np.unique(t):
        of_label = t == label
        total = w[of_label].sum()
        if total > 0:
            recalls.append(w[of_label & (y == label)].sum() / total)
    return float(np.mean(recalls)) if recalls else float("nan")


@told("train.f1")
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
    predicted examples scores 0. ``weights``, (n,), count rows more or less.
    """
    t, y, w = _classes(targets, predicted, weights)
    if average == "binary":
        return _f1_of(t == positive, y == positive, w)
    if average == "macro":
        labels = np.union1d(t, y)
        return float(np.mean([_f1_of(t == label, y == label, w) for label in labels]))
    raise UsageError(f'average={average!r} is not known; write "binary" or "macro"')


def _f1_of(actual: NDArray[Any], found: NDArray[Any], weights: NDArray[Any]) -> float:
    hits = weights[actual & found].sum()
    total = weights[actual].sum() + weights[found].sum()
    return float(2 * hits / total) if total > 0 else 0.0


@told("train.roc_auc")
def roc_auc(targets: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The area under the ROC curve: how well the scores order the classes; 0.5 is chance.

    ``targets`` are true classes, (n,), and ``weights`` (n,) count rows more or less.
    ``scores`` of shape ``(n,)`` are of class 1 against class 0; of shape ``(n, k)`` the result
    is the mean over the classes of each against the rest. ``nan`` where a class does not occur
    (its ordering is then undefined).
    """
    t, y, w = _checked(targets, scores, weights)
    t = _labels("targets", t)
    if y.ndim == 1:
        return _binary_auc(t == 1, y, w)
    return float(np.mean([_binary_auc(t == k, y[:, k], w) for k in range(y.shape[1])]))


def _binary_auc(actual: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> float:
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


@told("train.log_loss")
def log_loss(
    targets: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The mean of minus the log of the probability given to the true class, in nats.

    ``targets`` are true classes, (n,), and ``weights`` (n,) count rows more or less.
    ``probabilities`` of shape ``(n,)`` are of class 1; of shape ``(n, k)`` of each class.
    They are clipped to [eps, 1 - eps] of their dtype, as scikit-learn does, so one certain
    mistake costs about 36 nats in float64 rather than infinity.
    """
    p = plain_array(probabilities, "probabilities")
    if p.dtype.kind != "f":
        p = p.astype(np.float64)
    t, p, w = _checked(targets, p, weights)
    t = _labels("targets", t)
    eps = np.finfo(p.dtype).eps
    if p.ndim == 1:
        p = np.stack([1 - p, p], axis=1)
    chosen = np.clip(p, eps, 1 - eps)[np.arange(len(t)), t.astype(np.intp)]
    return float(np.average(-np.log(chosen), weights=w))


@told("train.mse")
def mse(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The weighted mean of the squared errors, in squared units of the target.

    Of several outputs, (n, k), this and the other scores of numbers are the mean over them.

    Args:
        targets, predicted: numbers, (n,) or (n, k).
        weights: of the rows, (n,); None counts each once.
    """
    t, y, w = _numbers(targets, predicted, weights)
    return float(np.mean(np.average((t - y) ** 2, axis=0, weights=w)))


@told("train.rmse")
def rmse(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The square root of the mean squared error, in units of the target.

    Args:
        targets, predicted: numbers, (n,) or (n, k).
        weights: of the rows, (n,); None counts each once.
    """
    t, y, w = _numbers(targets, predicted, weights)
    return float(np.mean(np.sqrt(np.average((t - y) ** 2, axis=0, weights=w))))


@told("train.mae")
def mae(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The weighted mean of the absolute errors, in units of the target.

    Args:
        targets, predicted: numbers, (n,) or (n, k).
        weights: of the rows, (n,); None counts each once.
    """
    t, y, w = _numbers(targets, predicted, weights)
    return float(np.mean(np.average(np.abs(t - y), axis=0, weights=w)))


@told("train.r2")
def r2(targets: ArrayLike, predicted: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The share of the target's variance that is explained: 1 is perfect, 0 is the mean's.

    For a target without variance: 1 if every prediction is exact, else 0. ``nan`` for fewer
    than two examples.

    Args:
        targets, predicted: numbers, (n,) or (n, k).
        weights: of the rows, (n,); None counts each once.
    """
    t, y, w = _numbers(targets, predicted, weights)
    if len(t) < 2:
        return float("nan")
    residual = np.atleast_1d(w @ (t - y) ** 2)
    total = np.atleast_1d(w @ (t - np.average(t, axis=0, weights=w)) ** 2)
    flat = np.where(residual == 0, 1.0, 0.0)
    return float(np.mean(np.where(total == 0, flat, 1 - residual / np.where(total, total, 1.0))))


METRICS: dict[str, Metric] = {
    f.__name__: f for f in (accuracy, balanced_accuracy, f1, log_loss, mae, mse, r2, rmse, roc_auc)
}
"""The scores by name, as ``fit(metrics=["accuracy"])`` takes them."""

_NAMED = Named("metric", METRICS, "train.r2", callable, skip=3)
_WEIGHTS = ("weights", "weight", "sample_weight", "w")


def metrics_of(given: Metric | str | Sequence[Any] | Mapping[str, Any] | None) -> dict[str, Scorer]:
    """Name -> ``f(targets, predictions, weights)`` of what the caller gave.

    That is a metric (a function or one of ``METRICS`` by name), several in a list, or a mapping
    from names of one's own. Weights go to a parameter that is called so, as scikit-learn's
    ``sample_weight``, or else to a third one without a default; a metric of two sees none.

    Raises:
        UsageError: something else, a function that takes neither, or a name twice.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        pairs = [(None, m) for m in (given if isinstance(given, (list, tuple)) else [given])]
    found: dict[str, Scorer] = {}
    for name, metric in pairs:
        function = _NAMED.value(metric, {}, lambda n, _: METRICS[n])
        name = getattr(function, "__name__", "") if name is None else name
        if not str(name).isidentifier() or name in found:
            raise UsageError(
                f'a metric needs a name of its own: metrics={{"mine": {name or function}}}'
            )
        found[name] = _scorer(name, function)
    return found


@dataclass(frozen=True)
class Scorer:
    """A metric and how it takes weights: by this name, as a third argument ("*"), or not ("")."""

    function: Metric
    weights: str

    @property
    def of_classes(self) -> bool:
        """Whether it compares classes, so that the loss should choose them."""
        f = self.function
        while isinstance(f, partial):
            f = f.func
        return f in (accuracy, balanced_accuracy, f1)

    def __call__(self, targets: Any, predictions: Any, weights: Any) -> Any:
        if self.weights == "*":
            return self.function(targets, predictions, weights)
        named = {self.weights: weights} if self.weights else {}
        return self.function(targets, predictions, **named)


def _scorer(name: str, f: Metric) -> Scorer:
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # some functions in C do not say
        return Scorer(f, "*")
    word = next((p.name for p in parameters if p.name in _WEIGHTS and p.kind != 0), None)
    places = [p for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]
    several = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    if not several and len(places) < 2:
        raise UsageError(f"metric {name} must take (targets, predictions) or these and weights")
    third = several or (len(places) > 2 and places[2].default is inspect.Parameter.empty)
    return Scorer(f, word or ("*" if third else ""))


def _checked(
    targets: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The three as arrays that fit together, (n,) where there is one column."""
    t, y = (
        a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a
        for a in (plain_array(targets, "targets"), plain_array(predictions, "predictions"))
    )
    if t.ndim not in (1, 2) or y.ndim not in (1, 2) or len(t) != len(y):
        raise ShapeError(
            f"targets of shape {np.shape(targets)} and predictions of shape "
            f"{np.shape(predictions)} do not fit: both need one entry per example"
        )
    if len(t) == 0:
        raise ShapeError("no examples: a score needs at least one")
    if weights is None:
        return t, y, np.ones(len(t))
    w = plain_array(weights, "weights").astype(np.float64)
    if w.shape != (len(t),):
        raise ShapeError(f"weights of shape {w.shape} do not fit {len(t)} examples")
    if not (np.all(np.isfinite(w)) and np.all(w >= 0) and w.sum() > 0):
        raise UsageError("weights must be finite and not negative, and not all zero")
    return t, y, w


def _numbers(
    targets: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Numbers, (n,) or (n, k), in float64: differences of small integers would wrap round."""
    t, y, w = _checked(targets, predictions, weights)
    if t.shape != y.shape:
        raise ShapeError(f"targets of shape {t.shape} and predictions of shape {y.shape} differ")
    return t.astype(np.float64), y.astype(np.float64), w


def _classes(
    targets: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    t, y, w = _checked(targets, predictions, weights)
    return _labels("targets", t), _labels("predictions", y), w


def _labels(what: str, a: NDArray[Any]) -> NDArray[Any]:
    """The classes that ``a`` is, or says are the most probable."""
    if a.ndim == 2:
        if what == "targets" and not (np.isin(a, (0, 1)).all() and (a.sum(axis=1) == 1).all()):
            raise UsageError("targets (n, k) of a score of classes must be one-hot")
        return a.argmax(axis=1)
    if a.dtype.kind != "f" or np.all(a == np.floor(a)):
        return a
    if what == "targets" or not np.all((a >= 0) & (a <= 1)):
        raise UsageError(
            f"{what} such as {a[a != np.floor(a)][0]:g} are neither classes nor probabilities; "
            "give the classes, for example scores > 0"
        )
    return a > 0.5
