"""A search over hyper-parameters: what it finds, what it says, when it stops."""

from __future__ import annotations

import os
import time

import joblib
import numpy as np
import pytest
from distributed import Client
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score

from chainrule.errors import UsageError
from chainrule.estimators import search
from chainrule.tabular import Options, table_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 3))
LINEAR = {f"x{i}": X[:, i] for i in range(3)} | {"y": X @ [3.0, -2.0, 1.0] + RNG.normal(size=100)}
WAVE = RNG.uniform(-2, 2, 300)
CURVED = {"x": WAVE, "y": np.where(np.sin(4 * WAVE) + 0.2 * RNG.normal(size=300) > 0, "up", "low")}
QUICK = {"folds": 2, "seeds": 2, "executor": "numpy", "n_jobs": 1}


def _search(data, *, epochs=3, **more):
    options = Options(hidden=(4,), epochs=epochs, seed=3, preset="sklearn")
    return search(data, "y", options, **{**QUICK, **more})


@pytest.fixture(scope="module")
def linear():
    return _search(LINEAR, trials=3)


def test_a_line_is_not_beaten_and_that_is_said(linear):
    assert linear.verdict.startswith("nothing beats linear (")
    assert [one.name for one in linear.contenders][:4] == [
        "no learning", "linear", "gradient boosting", "as given"
    ]  # fmt: skip
    losses = {one.name: one for one in linear.contenders}
    assert losses["linear"].loss < losses["gradient boosting"].loss < losses["no learning"].loss
    assert losses["as given"].noise > 0
    assert losses["linear"].noise == 0
    assert linear.trials == 3
    assert linear.model.rows["test"] == 20


def test_baselines_are_scikit_learns_on_the_same_folds(linear):
    # Of 100 rows 80 do not test; their numbers are standardised, which changes neither baseline.
    from chainrule.train.splits import split

    kept = np.sort(split(100, validation=0.0, test=0.2, seed=3)[0])
    folds = KFold(2, shuffle=True, random_state=3)
    for name, other, tolerance in (
        ("linear", RidgeCV(np.logspace(-3, 3, 13)), 0.05),
        ("gradient boosting", HistGradientBoostingRegressor(random_state=0), 0.05),
    ):
        scores = cross_val_score(
            other, X[kept], LINEAR["y"][kept], cv=folds, scoring="neg_mean_squared_error"
        )
        own = next(one.loss for one in linear.contenders if one.name == name)
        assert own == pytest.approx(-scores.mean(), rel=tolerance)


ALL = os.environ.get("CHAINRULE_ESTIMATORS") == "all"


@pytest.mark.parametrize("backend", ["dask", "loky"] if ALL else ["dask"])  # loky starts processes
def test_the_same_seed_finds_the_same_on_every_backend(backend, linear):
    if backend == "loky":
        with joblib.parallel_config("loky", n_jobs=2):
            again = _search(LINEAR, trials=3, n_jobs=None)
    else:
        with (
            Client(
                processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
            ),
            joblib.parallel_config("dask"),
        ):
            again = _search(LINEAR, trials=3, n_jobs=None)
    assert again.contenders == linear.contenders
    assert again.settings == linear.settings


def test_it_stops_on_time():
    started = time.perf_counter()
    found = _search(CURVED, minutes=0.05, epochs=10**6)
    # Without an end no network would be done; with it, each ends with its epoch.
    assert time.perf_counter() - started < 60
    losses = {one.name: one for one in found.contenders}
    assert found.score == "log loss"
    assert losses["gradient boosting"].loss < losses["linear"].loss
    assert found.model.predict({"x": WAVE}).probabilities.shape == (300, 2)
    none = _search(LINEAR, minutes=1e-9, epochs=2)
    assert none.trials == 0
    assert none.verdict.startswith("the time was over before the network as given was judged")
    assert "settings that were tried" not in none.verdict
    assert "no settings were tried, since judging the others took" in none.verdict


def test_what_was_found_is_as_many_networks_as_it_has_to_beat():
    options = Options(hidden=(4,), epochs=1, learning_rate=1e-6, preset="sklearn", ensemble=2)
    found = search(LINEAR, "y", options, trials=3, **QUICK)
    assert found.settings["ensemble"] == 2
    assert len(found.model.members) == 2


def test_time_or_trials():
    for wrong in ({}, {"minutes": 1, "trials": 3}, {"trials": 2}, {"minutes": 0}):
        with pytest.raises(UsageError):
            _search(LINEAR, **wrong)


def test_some_rows_of_a_table_are_a_table():
    table = table_of({"n": np.arange(6.0), "w": np.array(["a", "b", None, "c", "b", "a"], object)})
    own = table.take(np.array([4, 2, 3]))
    assert own.rows == 3
    assert own["n"].numbers.tolist() == [4, 2, 3]
    assert own["w"].missing.tolist() == [False, True, False]
    assert own["w"].codes[1] == ("b", "c")
    assert own["w"].codes[0].tolist() == [0, -1, 1]
    assert own.where(2, "n") == "table:row 4:n"
    assert own.fingerprint.sha256 != table.fingerprint.sha256
