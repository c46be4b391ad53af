"""Scores by sums, against scikit-learn's of all rows at once."""

from __future__ import annotations

import dataclasses
import tracemalloc
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs

from chainrule.errors import UsageError
from chainrule.tabular import scoring
from chainrule.tabular.scoring import Judged, Running, score_table
from chainrule.tabular.target import Target

K = {"regression": 0, "binary": 2, "multiclass": 4}


def target(task: str) -> Target:
    shares = tuple(np.full(K[task], 1 / max(K[task], 1)).tolist())
    names = tuple("abcd"[: K[task]])
    return Target("y", task, names, shares=shares, center=1.5)


def judged(task: str, rng: Any, n: int, digits: int, weighted: bool = True) -> Judged:
    """Answers that order somewhat; ``digits`` decides how many are equal."""
    weights = rng.integers(0, 4, n).astype(float) if weighted else None
    if task == "regression":
        truth = 1e6 + rng.standard_normal(n)
        return Judged(truth, truth + rng.standard_normal(n), weights=weights)
    truth = rng.integers(0, K[task], n)
    logits = 9 * rng.standard_normal((n, K[task]))
    logits[np.arange(n), truth] += 4
    p = np.exp(logits - logits.max(1, keepdims=True))
    p = np.round(p / p.sum(1, keepdims=True), digits)
    losses = -np.log(np.maximum(p[np.arange(n), truth], 1e-9))
    predicted = p[:, 1] > 0.5 if task == "binary" else p.argmax(1)
    return Judged(truth, predicted.astype(int), p[:, 1] if K[task] == 2 else p, losses, weights)


def joined(parts: list[Judged]) -> Judged:
    columns = zip(*[vars(part).values() for part in parts], strict=True)
    return Judged(*[None if c[0] is None else np.concatenate(c) for c in columns])  # type: ignore[arg-type]


def area(whole: Judged) -> float:
    p: Any = whole.probabilities
    if p.ndim == 1:
        return float(theirs.roc_auc_score(whole.truth, p, sample_weight=whole.weights))
    each = [
        theirs.roc_auc_score(whole.truth == k, p[:, k], sample_weight=whole.weights)
        for k in range(p.shape[1])
    ]
    return float(np.mean(each))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", K)
def test_sums_of_pieces_are_the_scores_of_all_rows(task: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    parts = [judged(task, rng, n, 2, weighted) for n in (300, 5, 800)]
    running = Running(target(task))
    for part in parts:
        running.add(part)
    found, notes = running.scores()
    whole = joined(parts)
    wanted = score_table(target(task), {"data": whole})
    assert (found.sets, found.baseline_on, notes) == (wanted.sets, "data", [])
    for (name, values), (same, others) in zip(found.rows, wanted.rows, strict=True):
        assert name == same
        assert values == pytest.approx(others, rel=1e-9), name  # sums in another order
    given: Any = {"sample_weight": whole.weights}
    if task == "regression":
        r2 = theirs.r2_score(whole.truth, whole.predicted, **given)
        assert found.of("R2", "data") == pytest.approx(r2, rel=1e-9)
    else:
        assert found.of("ROC AUC", "data") == pytest.approx(area(whole), rel=1e-12)
        f1 = theirs.f1_score(
            whole.truth, whole.predicted, average="binary" if task == "binary" else "macro", **given
        )
        assert found.of(found.rows[3][0], "data") == pytest.approx(f1, rel=1e-12)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_more_probabilities_than_are_kept_apart_stay_within_the_stated_error(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "DISTINCT", 2**6)
    rng = np.random.default_rng(1)
    parts = [judged(task, rng, 4000, 17) for _ in range(4)]
    running = Running(target(task))
    for part in parts:
        running.add(part)
    found, notes = running.scores()
    bound = float(np.mean([ranks.area()[1] for ranks in running.ranks]))
    assert 0 < abs(found.of("ROC AUC", "data") - area(joined(parts))) <= bound < 0.01  # type: ignore[operator]
    assert notes == [f"ROC AUC is off by at most {bound:.1g}: near probabilities count as equal"]


def test_no_array_grows_with_the_rows() -> None:
    rng = np.random.default_rng(2)
    for task in K:
        part = judged(task, rng, 2000, 17)
        running = Running(target(task))
        tracemalloc.start()
        for at in range(400):  # new probabilities each time: 9.6 MB of them alone, if kept
            p = None if part.probabilities is None else part.probabilities * (1 - at / 1e6)
            running.add(dataclasses.replace(part, probabilities=p))
            if at == 199:
                half = tracemalloc.get_traced_memory()[0]
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert held < max(1.1 * half, half + 2**16), task
        assert sum(r.keys.nbytes + r.weights.nbytes for r in running.ranks) <= 24 * scoring.DISTINCT


def test_rows_without_any_weight_are_refused() -> None:
    for task in K:
        one = judged(task, np.random.default_rng(3), 50, 3)
        running = Running(target(task))
        running.add(dataclasses.replace(one, weights=np.zeros(50)))
        with pytest.raises(UsageError, match="not all zero"):
            running.scores()
