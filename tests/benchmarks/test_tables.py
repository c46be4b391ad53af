"""The benchmark of tables: what a contestant sees and the figures say; a planted leak is caught."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas
import pytest

from benchmarks.tabarena import entry
from benchmarks.tables import OURS, Ours, Problem, bundled, crps, judged, peeks
from benchmarks.tables_report import paired, picture, ranks
from chainrule.tabular import Options

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
PROBLEM = Problem("made", {"a": X[:, 0], "b": X[:, 1]}, 3 * X[:, 0] + 10, "regression")
QUICK = Options(test=0.0, hidden=(4,), epochs=20, learning_rate=0.05)


class Honest:
    """Least squares; with ``leak`` its scales are those of the rows it is asked about."""

    def __init__(self, leak: bool = False) -> None:
        self.leak, self.seen = leak, 0

    def fit(self, X, y):
        self.seen, x = len(y), np.column_stack(list(X.values()))
        self.center, self.scale = x.mean(axis=0), x.std(axis=0)
        self.w = np.linalg.lstsq(self._coded(x), y)[0]
        return self

    def predict(self, X):
        x = np.column_stack(list(X.values()))
        if self.leak:
            self.center, self.scale = x.mean(axis=0), x.std(axis=0)
        return self._coded(x) @ self.w

    def _coded(self, x):
        return np.column_stack([(x - self.center) / self.scale, np.ones(len(x))])


def test_a_planted_leak_is_caught():
    fold = next(PROBLEM.folds(5, 1))
    for leak in (False, True):
        made = Honest(leak)
        judged(PROBLEM, made, fold)
        assert made.seen == 48  # no test row takes part in training
        assert peeks(made, PROBLEM.rows(fold[1]), "regression") is leak


def test_ours_does_not_peek_and_is_scored_in_the_targets_units():
    fold = next(PROBLEM.folds(5, 1))
    made = Ours(QUICK, "regression")
    scores = judged(PROBLEM, made, fold)
    assert not peeks(made, PROBLEM.rows(fold[1]), "regression")
    found = made.predict(PROBLEM.rows(fold[1]))
    wrong = found - PROBLEM.target[fold[1]]
    assert scores["error"] == pytest.approx(np.sqrt(np.mean(wrong**2)))
    assert made.model.rows["train"] + made.model.rows["validation"] == 48
    assert set(OURS) >= {"default", "sklearn", "realmlp-td", "realmlp-td-s"}


def test_classes_keep_their_order():
    problem = next(p for p in bundled() if p.name.startswith("iris"))
    fold = next(problem.folds(3, 1))
    made = Ours(QUICK, problem.task).fit(problem.rows(fold[0]), problem.target[fold[0]])
    p = made.predict_proba(problem.rows(fold[1]))
    assert p.shape == (50, 3)
    assert (p.argmax(axis=1) == problem.target[fold[1]]).mean() > 0.8


def test_mean_ranks_and_their_interval():
    errors = np.array([[1.0, 2.0, 2.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0]])
    found = ranks(errors)
    assert found[:, 0] == pytest.approx([(1 + 1 + 2) / 3, (2.5 + 3 + 1) / 3, (2.5 + 2 + 3) / 3])
    assert (found[:, 1] <= found[:, 0]).all()
    assert (found[:, 2] >= found[:, 0]).all()


def test_the_paired_test_is_of_ratios():
    means = np.array([[1.0, 2.0, 1.0], [10.0, 20.0, 9.0], [3.0, 9.0, 3.3], [2.0, 3.0, 2.0]])
    found = paired(means, 0)
    assert [ahead for ahead, _ in found] == [0, 4, 1]
    assert found[0][1] == 1.0
    assert found[1][1] == pytest.approx(0.125)  # 2 of the 16 signs of four ratios


def test_crps_of_points_and_of_samples():
    truth = np.array([0.0, 1.0])
    assert crps(truth, np.array([[2.0], [1.5]])) == pytest.approx(1.25)  # the mean absolute error
    rng = np.random.default_rng(1)
    several = crps(np.full(40, 0.7), rng.normal(size=(40, 300)))
    z = 0.7  # of the normal distribution: Gneiting and Raftery (2007), equation 21
    density, below = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), 0.7580363
    assert several == pytest.approx(
        z * (2 * below - 1) + 2 * density - 1 / np.sqrt(np.pi), abs=0.02
    )


def test_the_picture_places_a_dot_by_its_ratio():
    def folds(*errors):
        return [{"error": e} for e in errors]

    found = {"a <b>": {"ours": folds(0.9, 0.9), "HistGradientBoosting": folds(0.8, 1.2),
                       "far": folds(7.2)}}  # fmt: skip
    # of one fold: beside boosting's first alone
    drawn = ElementTree.fromstring(picture(found, ("ours", "HistGradientBoosting", "far")))
    dots = {
        dot[0].text: (float(dot.get("cx")), dot.get("class"))
        for dot in drawn.iter("{http://www.w3.org/2000/svg}circle")
        if len(dot)
    }
    assert set(dots) == {"ours: 0.900", "HistGradientBoosting: 1.000", "far: 9.000"}
    near, base, far = (
        dots[name][0] for name in ("ours: 0.900", "HistGradientBoosting: 1.000", "far: 9.000")
    )
    # As far apart as their ratios, wherever the scale ends.
    assert (base - near) / (far - base) == pytest.approx(-np.log(0.9) / np.log(9), abs=0.003)
    assert far < 720


class Base:
    """What an entry to TabArena meets, which is not on PyPI: rows in another order and without
    their index, and an ``_fit`` and ``_predict`` of its own."""

    def __init__(self, problem_type, eval_metric, preprocess_data=True, preprocess_label=True):
        assert (preprocess_data, preprocess_label) == (False, False)

    def fit_custom(self, X, y, X_test, *, proba):
        self._fit(X=X, y=y, X_val=None, y_val=None)
        asked = X_test.iloc[::-1].reset_index(drop=True)
        return (self._predict_proba if proba else self._predict)(asked)


def test_an_entry_to_tabarena():
    frame = pandas.DataFrame(
        {"a": X[:, 0], "b": pandas.Categorical(np.where(X[:, 1] > 0, "u", "v"))}
    )
    settings = {"hidden": (4,), "epochs": 20, "learning_rate": 0.05, "random_state": 0}
    label = pandas.Series(np.where(X[:, 0] > 0, "yes", "no"))
    made = entry(Base)("binary", "roc_auc", settings)
    p = made.fit_custom(frame[:40], label[:40], frame[40:], proba=True)
    assert (p.idxmax(axis=1).to_numpy()[::-1] == label[40:]).mean() > 0.8
    made = entry(Base)("regression", "rmse", settings)
    found = made.fit_custom(frame[:40], frame["a"][:40] * 3, frame[40:], proba=False)
    assert np.corrcoef(found[::-1], frame["a"][40:])[0, 1] > 0.6  # in their order
    with pytest.raises(ValueError, match="problem_type='quantile'"):
        entry(Base)("quantile", "pinball")
