"""Gathering the evidence of a training run: what was asked for, what happened, and what models
without training do on the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import nn, optim
from chainrule.core.recording import quiet
from chainrule.diagnosis.facts import LINEAR, Evidence
from chainrule.diagnosis.findings import Findings
from chainrule.diagnosis.review import review_evidence
from chainrule.diagnosis.rules_data import ranges
from chainrule.diagnosis.statistics import Monitor
from chainrule.errors import UsageError
from chainrule.nn.sequential import fresh
from chainrule.optim.rules import OPTIMIZERS
from chainrule.train import FitResult
from chainrule.train.data import batch_rows

__all__ = ["evidence_of", "review", "rivals"]

NEIGHBOURS = 5
MOST_ROWS = 2000
"""So many training rows are enough for neighbours."""


def review(
    result: FitResult,
    data: tuple[Any, Any],
    held: tuple[Any, Any],
    *,
    classes: int = 0,
    monitor: Monitor | None = None,
    **settings: Any,
) -> Findings:
    """A verdict on a training: ranked findings, each with its evidence and one change.

    Args:
        result: what ``fit`` returned, or the ``result`` of its ``DivergedError``.
        data: (x, targets), the training rows. held: rows that were not trained on, for the score.
        classes: how many classes the targets are, 0 where they are numbers.
        monitor: that watched the training, as one of its callbacks; without one, the layers are
            looked at only at the start and the end.
        settings: as they were given to ``fit``: optimizer, batch_size, epochs, l1, l2, seed,
            early_stopping.

    Returns:
        Findings; prints as a text. Empty where nothing is wrong.
    """
    found = evidence_of(result, data, held, classes=classes, monitor=monitor, **settings)
    return review_evidence(found)


def evidence_of(
    result: FitResult,
    data: tuple[Any, Any],
    held: tuple[Any, Any],
    *,
    classes: int = 0,
    monitor: Monitor | None = None,
    **settings: Any,
) -> Evidence:
    """What the rules look at; arguments as ``review`` takes them."""
    x, targets = np.asarray(data[0]), np.asarray(data[1])
    xh, th = np.asarray(held[0]), np.asarray(held[1])
    if not len(xh):
        raise UsageError("a verdict needs rows that were not trained on: held=(x, targets)")
    optimizer = optim.optimizer(settings.get("optimizer") or "adam")
    model, loss = result.model, result.loss
    start = fresh(model, settings.get("seed", 0), np.float64, x)
    if monitor is None:
        monitor = Monitor(model, loss, x, targets)
        monitor.start(*start)
    monitor.look(result.params, result.state, max(len(result.history), 1))
    reach = ranges(x)
    moving = reach[reach > 0]
    name, rate, usual = _rate(optimizer)
    labels, label_held = _labels(targets, classes), _labels(th, classes)
    known = rivals(x, labels, xh, label_held, classes)
    score = _score(result, xh, label_held, classes)
    size = settings.get("batch_size")
    return Evidence(
        **_network(model),
        loss=loss.name,
        classes=classes,
        optimizer=name,
        rate=rate,
        usual=usual,
        batch=len(x) if rate is None else batch_rows(size, len(x)),
        rows=len(x),
        epochs=int(settings.get("epochs", 200)),
        l1=_strength(settings.get("l1")),
        l2=_strength(settings.get("l2")),
        patience=int(bool(settings.get("early_stopping"))),
        history=result.history,
        stopped=result.stopped,
        kept=result.best_epoch or len(result.history),
        statistics=tuple(monitor.history),
        chance=chance(loss, targets),
        start=_loss(result, *start, x, targets),
        score=score,
        train_score=_score(result, x, labels, classes),
        rivals=known,
        error=_error(score, known, len(xh), classes),
        constant=_constant(labels, label_held, classes),
        ranges=(float(moving.min()), float(moving.max())) if moving.size else (1.0, 1.0),
        furthest=float(np.max(np.abs(x), initial=0.0)),
        labels="" if classes else _coded(labels),
        shares=tuple(np.bincount(labels) / len(labels)) if classes else (),
    )


def _network(model: Any) -> dict[str, Any]:
    if not isinstance(model, nn.MLP):
        return {}
    block = model.blocks[0]
    several = isinstance(model.activation, tuple)
    activation = "" if block.activation is None else block.activation.name
    drops: Any = [b.dropout.rate for b in model.blocks]
    return {
        "sizes": tuple(model.sizes),
        "activation": "mixed" if several else activation,
        "initializer": str(model.initializer),
        "dropout": max(drops),
        "batch_norm": model.batch_norm or model.layer_norm,
    }


def _rate(optimizer: Any) -> tuple[str, float | None, float | None]:
    """The optimiser's name, its rate at the start, and the one it has unless told otherwise."""
    rate: Any = getattr(optimizer, "learning_rate", None)
    if rate is None:
        return "lbfgs", None, None
    name = optimizer.name.partition("(")[0]
    usual = None
    if name in OPTIMIZERS.table:
        default = optim.optimizer(name)
        usual = float(default.learning_rate(0))  # type: ignore[union-attr]
    early: Any = [float(rate(0)), float(rate(1))]  # a warm-up starts at 0
    return name, max(early), usual


def _strength(given: Any) -> float:
    """The strength of a penalty, the largest of several groups'."""
    if isinstance(given, Mapping):
        return max((float(x) for x in given.values()), default=0.0)
    return float(given or 0.0)


def _labels(targets: np.ndarray, classes: int) -> np.ndarray:
    """Class numbers (n,), from one-hot rows too; or numbers (n, k)."""
    if classes:
        return (targets.argmax(axis=1) if targets.ndim > 1 and targets.shape[1] > 1 else
                targets.reshape(len(targets)).astype(int))  # fmt: skip
    return targets.reshape(len(targets), -1).astype(float)


def _coded(numbers: np.ndarray) -> str:
    """How numbers (n, k) hold classes, if they do."""
    if not np.all((numbers == 0) | (numbers == 1)) or np.all(numbers == numbers[:1]):
        return ""
    if numbers.shape[1] == 1:
        return "0 and 1"
    return "one-hot" if np.all(numbers.sum(axis=1) == 1) else ""


def chance(loss: Any, targets: np.ndarray) -> float:
    """The mean loss of the best constant answer, found by Newton's method on the outputs."""
    from chainrule.api import grad

    outputs = (
        int(targets.max()) + 1
        if loss.name == "categorical_cross_entropy" and (targets.ndim == 1)
        else (targets.shape[1] if targets.ndim > 1 else 1)
    )
    prepared = loss.prepare(targets, outputs, np.float64)

    def mean(z: Any) -> Any:
        return np.mean(loss(np.broadcast_to(z, (len(prepared), outputs)), prepared))

    z, best, step = np.zeros(outputs), math.inf, 1.0
    slope = grad(mean)
    with quiet():
        if loss.name == "categorical_cross_entropy" and targets.ndim == 1:
            z = np.log(np.maximum(np.bincount(targets, minlength=outputs) / len(targets), 1e-12))
        elif outputs <= 64 and loss.name in ("squared_error", "absolute_error", "huber"):
            z = np.median(prepared.reshape(len(prepared), -1), axis=0)
            if loss.name == "squared_error":
                z = np.mean(prepared.reshape(len(prepared), -1), axis=0)
        best = float(mean(z))
        for _ in range(200):
            after = z - step * slope(z)
            value = float(mean(after))
            if math.isfinite(value) and value < best:
                gained, z, best, step = best - value, after, value, step * 1.3
                if gained < 1e-7 * abs(best):
                    break
            else:
                step /= 3
                if step < 1e-9:
                    break
    return best


def _loss(result: FitResult, params: Any, state: Any, x: np.ndarray, targets: np.ndarray) -> float:
    with quiet():
        outputs = result.predictor.outputs(params, state, x)
        prepared = result.loss.prepare(targets, outputs.shape[1], outputs.dtype)
        return float(np.mean(result.loss(outputs, prepared)))


def _score(result: FitResult, x: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Accuracy, or R2; NaN of what is not finite."""
    with quiet():
        outputs = result.outputs(x)
        if not np.isfinite(outputs).all():
            return math.nan
        if not classes:
            predicted = np.asarray(result.predict(x)).reshape(len(x), -1)
            return _r2(truth, predicted)
        chosen = getattr(result.loss, "classes", None)
        if chosen is not None:
            answer = chosen(outputs)
        elif outputs.shape[1] > 1:
            answer = outputs.argmax(axis=1)
        else:
            answer = np.rint(outputs[:, 0])
        return float(np.mean(answer == truth))


def _r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    around = np.sum((truth - truth.mean(axis=0)) ** 2)
    return float(1 - np.sum((truth - predicted) ** 2) / around) if around else 0.0


def _constant(labels: np.ndarray, held: np.ndarray, classes: int) -> float:
    if classes:
        return float(np.mean(held == np.argmax(np.bincount(labels))))
    return _r2(held, np.broadcast_to(labels.mean(axis=0), held.shape))


def rivals(
    x: np.ndarray, labels: np.ndarray, held: np.ndarray, truth: np.ndarray, classes: int
) -> dict[str, float]:
    """What models that take no training score on held-out rows: nearest neighbours, and linear
    least squares with a small penalty, both on standardised inputs.

    Args:
        x, held: (n, inputs), (m, inputs). labels, truth: class numbers, or numbers (n, k).
        classes: how many, 0 of numbers. Scores are accuracies, or R2.
    """
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_ROWS)).astype(int))
    x, labels = x[chosen].astype(float), labels[chosen]
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    a, b = (x - mean) / scale, (held.astype(float) - mean) / scale
    targets = np.eye(classes)[labels] if classes else labels
    k = min(NEIGHBOURS, len(a))
    apart = (b**2).sum(axis=1)[:, None] - 2 * b @ a.T + (a**2).sum(axis=1)
    near = np.argpartition(apart, k - 1, axis=1)[:, :k]
    wide = np.column_stack([a, np.ones(len(a))])
    gram = (
        wide.T @ wide
        + 1e-2 * len(a) * np.diag([*[0.1] * a.shape[1], 0.0])
        + 1e-9 * np.eye(wide.shape[1])
    )
    weights = np.linalg.solve(gram, wide.T @ targets)
    answers = {
        f"the mean of {k} nearest neighbours": targets[near].mean(axis=1),
        LINEAR: np.column_stack([b, np.ones(len(b))]) @ weights,
    }
    if classes:
        return {n: float(np.mean(y.argmax(axis=1) == truth)) for n, y in answers.items()}
    return {n: _r2(truth, y) for n, y in answers.items()}


def _error(score: float, known: dict[str, float], rows: int, classes: int) -> float:
    """The standard error of the difference of two scores on so many rows, about."""
    both = [x for x in (score, max(known.values(), default=score)) if math.isfinite(x)]
    if classes:
        return math.sqrt(sum(max(p * (1 - p), 1 / rows) for p in both) / rows)
    return max(1 - max(both, default=0.5), 0.02) * math.sqrt(2 / rows)
