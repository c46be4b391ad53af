"""Rules on the rows of a table, before training and after it: columns and targets that cannot help,
or help too much, and rows that are met twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.diagnosis.facts import say
from chainrule.diagnosis.findings import Finding

FEW = 20
"""So many rows any network that is put together right learns by heart; fewer tell little."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The training rows, coded as the network gets them.

    Attributes:
        x, targets: (n, columns) and as ``loss`` takes them. held: (m, columns), rows for validation
            or test. names: of the columns. classes: how many the targets are, 0 of numbers.
    """

    x: np.ndarray
    targets: np.ndarray
    loss: Any
    held: np.ndarray | None
    names: Sequence[str]
    classes: int

    def name(self, i: int) -> str:
        return self.names[i] if i < len(self.names) else f"column {i}"


def ranges(x: np.ndarray) -> np.ndarray:
    """How far the values of each column reach, (columns,). Not deviations: a column that is nearly
    always 0, as pixels at the border are, has a small one in any unit."""
    return np.ptp(np.asarray(x, float), axis=0)


def constant(b: Rows) -> Iterator[Finding]:
    for i in np.flatnonzero(np.all(b.x == b.x[:1], axis=0))[:3]:
        yield say("note", "the column is constant", f"{b.x[0, i]:g} in every row", "drop it",
                  where=b.name(int(i)))  # fmt: skip


def duplicates(b: Rows) -> Iterator[Finding]:
    seen: dict[bytes, int] = {}
    for i in range(b.x.shape[1]):
        key = np.ascontiguousarray(b.x[:, i]).tobytes()
        if key in seen and np.any(b.x[:, i] != b.x[0, i]):
            yield say("note", f"the column is a copy of {b.name(seen[key])}", "every row is equal",
                       "drop one of them", where=b.name(i))  # fmt: skip
        seen.setdefault(key, i)


def leaking(b: Rows) -> Iterator[Finding]:
    truth = b.targets.reshape(len(b.targets), -1)[:, 0].astype(float)
    if b.targets.ndim > 1 and b.targets.shape[1] > 1:
        truth = b.targets.argmax(axis=1).astype(float)
    if len(truth) < FEW or not np.std(truth):
        return
    for i in range(b.x.shape[1]):
        column = b.x[:, i].astype(float)
        if not column.std():
            continue
        together = abs(float(np.corrcoef(column, truth)[0, 1]))
        told = b.classes and _tells_all(column, truth)
        if together > 0.999 or told:
            yield say(
                "warning",
                "the column gives the target away",
                f"correlation {together:.4f}" if together > 0.999 else
                "each of its values goes with one class only",
                "drop it, if it is not known when predicting",
                where=b.name(i),
                weight=7,
            )  # fmt: skip


def _tells_all(column: np.ndarray, truth: np.ndarray) -> bool:
    """Whether a column of few values decides the class in every row."""
    values, at = np.unique(column, return_inverse=True)
    if len(values) > max(2 * len(np.unique(truth)), 10) or len(values) < 2:
        return False
    return all(len(np.unique(truth[at == i])) == 1 for i in range(len(values)))


def shared_rows(b: Rows) -> Iterator[Finding]:
    if b.held is None or not len(b.held):
        return
    ours = {hash(row.tobytes()) for row in b.x.astype(b.held.dtype, copy=False)}
    hits = sum(hash(row.tobytes()) in ours for row in b.held)
    share = hits / len(b.held)
    repeated = 1 - len(ours) / len(b.x)
    if share > max(0.02, 1.5 * repeated):
        yield say(
            "warning",
            "rows of the held-out set are training rows too",
            f"{hits} of {len(b.held)} are equal in every input",
            "split by what makes rows belong together, or drop the copies",
            weight=5,
        )


def imbalance(b: Rows) -> Iterator[Finding]:
    if not b.classes:
        return
    labels = b.targets
    if labels.ndim > 1:
        labels = labels.argmax(axis=1) if labels.shape[1] > 1 else labels[:, 0]
    counts = np.bincount(labels.astype(int), minlength=b.classes)
    share = counts.min() / counts.sum()
    if share < 0.05 / b.classes * 2 or counts.min() < 3:
        yield say(
            "note",
            "a class is rare",
            f"{counts.min()} of {counts.sum()} rows, the most frequent has {counts.max()}",
            "weigh the classes: class_weight balanced; judge by more than accuracy",
            weight=2,
        )


def few_rows_decide(b: Rows) -> Iterator[Finding]:
    """Of numbers: whether one row in a hundred holds most of the squared deviations."""
    if b.classes or b.loss.name != "squared_error" or len(b.targets) < 5 * FEW:
        return
    around = np.asarray(b.targets, float).reshape(len(b.targets), -1)
    apart = np.sort(np.sum((around - np.median(around, axis=0)) ** 2, axis=1))[::-1]
    few = max(len(apart) // 100, 1)
    share = float(apart[:few].sum() / apart.sum()) if apart.sum() > 0 else 0.0
    if share > 0.8:
        yield say(
            "error" if share > 0.95 else "warning",
            "a few rows decide the squared error",
            f"{few} of {len(apart)} rows hold {share:.1%} of the squared deviations of the target",
            "look whether they are right; if they are, use the loss huber or absolute_error, or "
            "learn the logarithm of the target",
            weight=6,
        )


def codes(b: Rows) -> Iterator[Finding]:
    """Of numbers: whether they are few and stand on a grid, as codes of classes do."""
    if b.classes or (b.targets.ndim > 1 and b.targets.shape[1] > 1):
        return
    values, counts = np.unique(b.targets, return_counts=True)
    if not 2 < len(values) <= 12 or counts.min() < 5:
        return
    places = (values - values[0]) / np.diff(values).min()
    if np.allclose(places, np.rint(places), atol=1e-3) and places[-1] < 20:
        yield say(
            "note",
            f"the target has {len(values)} different values only, all on a grid",
            f"{counts.min()} to {counts.max()} rows each",
            "if they name classes, train with --task multiclass",
            weight=2,
        )


ON_ROWS: dict[str, Callable[[Rows], Iterator[Finding]]] = {
    "constant-column": constant,
    "copied-column": duplicates,
    "leaking-column": leaking,
    "shared-rows": shared_rows,
    "rare-class": imbalance,
    "few-rows-decide": few_rows_decide,
    "codes-as-numbers": codes,
}
"""The rules by name."""
