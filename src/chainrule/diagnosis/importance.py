"""Which original columns a model of a table leans on: by permuting them, and by integrated
gradients, whose sum is checked against what it must add up to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.diagnosis.tables import held_out
from chainrule.tabular import Plan, TabularModel
from chainrule.tabular.attribution import column_gradients

__all__ = ["Importance", "importance"]

ROWS, STEPS = 200, 32


@dataclass(frozen=True)
class Importance:
    """Of each original column that the network reads, in the order of the table.

    Attributes:
        columns: their names.
        permutation: by how much the mean loss on held-out rows rises when the column's cells are
            shuffled among the rows, a mean of five shuffles.
        gradients: the mean absolute integrated gradient of the predicted answer's linear output,
            from the mean of the training rows to the row (Sundararajan et al. 2017).
        completeness: the largest difference between the sum of a row's integrated gradients and the
            difference of outputs that it must be, relative to the outputs' spread.
    """

    columns: tuple[str, ...]
    permutation: tuple[float, ...]
    gradients: tuple[float, ...]
    completeness: float


def importance(plan: Plan, model: TabularModel, seed: int = 0) -> Importance:
    """The importance of each column for a model that was trained by a plan."""
    part = held_out(plan).part
    blocks = [*plan.coding.places().items()]
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(part.x))[: 5 * ROWS]
    x, truth = part.x[chosen], part.truth[chosen]
    before = _mean_loss(model, x, truth)
    risen = []
    for _, block in blocks:
        found = []
        for _ in range(5):
            shuffled = x.copy()
            shuffled[:, block] = x[rng.permutation(len(x))][:, block]
            found.append(_mean_loss(model, shuffled, truth) - before)
        risen.append(float(np.mean(found)))
    each, error = _integrated(plan, model, x[:ROWS])
    gradients = np.abs(each).mean(axis=0).tolist()
    return Importance(tuple(n for n, _ in blocks), tuple(risen), tuple(gradients), error)


def _mean_loss(model: TabularModel, x: np.ndarray, truth: np.ndarray) -> float:
    judged = model.judge(x, truth)
    if judged.log_losses is not None:
        return float(np.mean(judged.log_losses))
    return float(np.mean((judged.predicted - truth) ** 2))


def _integrated(plan: Plan, model: TabularModel, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Integrated gradients (rows, columns), and the completeness error."""
    base = plan.parts["train"].x.mean(axis=0)
    outputs, _ = model.compute(x)
    answer = outputs.argmax(axis=1)
    each, found = column_gradients(model, x, base, answer, STEPS)
    at_base, _ = model.compute(base[None])
    wanted = outputs[range(len(x)), answer] - at_base[0, answer]
    spread = float(np.std(outputs)) or 1.0
    return found, float(np.max(np.abs(each.sum(axis=1) - wanted), initial=0.0) / spread)
