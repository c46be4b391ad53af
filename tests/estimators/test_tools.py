"""The estimators inside scikit-learn's tools, and under its own checks."""

from __future__ import annotations

import os

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from chainrule.estimators import (
    MLPClassifier,
    MLPRegressor,
    TabularClassifier,
    TabularRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
FEW = {"hidden_layer_sizes": (8,), "max_iter": 80, "random_state": 0, "learning_rate_init": 0.02}
ALL = os.environ.get("CHAINRULE_ESTIMATORS") == "all"
QUICK = {"epochs": 30, "validation": 0.0, "early_stopping": 0, "optimizer": "lbfgs"}
CHECKED = [
    MLPClassifier(max_iter=100 if ALL else 3),  # 100 in scikit-learn's own run
    MLPRegressor(max_iter=100 if ALL else 3),
    TabularClassifier(**QUICK),
    TabularRegressor(**QUICK),
]
SOME = ("check_fit2d_1sample", "check_n_features_in_after_fitting", "check_complex_data",
        "check_estimators_pickle")  # fmt: skip
"""A few of the checks, where not all are asked for."""


@pytest.mark.filterwarnings("ignore")  # what the checks provoke
@pytest.mark.parametrize("estimator", CHECKED, ids=lambda e: type(e).__name__)
def test_scikit_learns_checks(estimator, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    state = np.random.get_state()  # noqa: NPY002  # random_state=None draws from it
    try:
        _check(estimator)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _check(estimator):
    if ALL:
        results = check_estimator(estimator, on_fail=None, on_skip=None)
        odd = [(r["check_name"], r["status"]) for r in results if r["status"] != "passed"]
        skipped = "check_classifiers_multilabel_output_format_decision_function"
        # scikit-learn's own is skipped too: neither has a decision function.
        assert odd == ([(skipped, "skipped")] if isinstance(estimator, MLPClassifier) else [])
        return
    done = 0
    for own, check in estimator_checks_generator(estimator):
        if getattr(check, "func", check).__name__ in SOME:
            check(own)
            done += 1
    assert done >= 3


def test_search_pipeline_and_predictions_across_folds():
    scaled = make_pipeline(StandardScaler(), MLPClassifier(**FEW))
    search = GridSearchCV(scaled, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=2, n_jobs=2)
    assert search.fit(X, Y).best_score_ > 0.9
    found = cross_val_predict(scaled, X, Y, cv=2, method="predict_proba")
    assert (found.argmax(axis=1) == Y).mean() > 0.85


def test_calibration_bagging_importance_clones_and_files(tmp_path):
    model = MLPClassifier(**FEW)
    assert CalibratedClassifierCV(model, cv=2).fit(X, Y).score(X, Y) > 0.9
    assert BaggingClassifier(model, n_estimators=2, random_state=0).fit(X, Y).score(X, Y) > 0.9
    model.fit(X, Y)
    importance = permutation_importance(model, X, Y, n_repeats=2, random_state=0)
    assert importance.importances_mean[2:].max() > 0.1  # petals tell irises apart
    assert clone(model).get_params() == model.get_params()
    joblib.dump(model, tmp_path / "model")
    again = joblib.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    again.partial_fit(X, Y)
    model.partial_fit(X, Y)
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


def test_metadata_is_routed():
    groups, weights = np.arange(len(X)) % 10, np.ones(len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier(**FEW).set_fit_request(sample_weight=True, groups=False)
        scores = cross_validate(
            model.set_score_request(sample_weight=True),
            X,
            Y,
            cv=GroupKFold(2),
            params={"groups": groups, "sample_weight": weights},
        )
    assert (scores["test_score"] > 0.8).all()


def test_callbacks_see_every_epoch_also_through_a_search():
    monitor = ScoringMonitor(scoring="accuracy")
    model = MLPClassifier(**{**FEW, "max_iter": 4}).set_callbacks(monitor).fit(X, Y)
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == 4
    assert scores[-1] == model.score(X, Y)

    class Stop:
        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.task_id == 1

    model.set_callbacks(Stop()).fit(X, Y)
    assert model.n_iter_ == 2
    assert model.stopped_ == "callback"
    search = GridSearchCV(MLPClassifier(**{**FEW, "max_iter": 3}), {"alpha": [0.1, 1.0]}, cv=2)
    counted = Counted()
    search.set_callbacks(counted).fit(X, Y)
    assert counted.epochs == (2 * 2 + 1) * 3  # two settings in two folds, and once on all rows


class Counted:
    """Counts epochs; it is handed down to the estimators of a search."""

    max_propagation_depth = None
    epochs = 0

    def setup(self, estimator, context): ...
    def teardown(self, estimator, context): ...
    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.epochs += context.task_name == "epoch"
