"""The estimators against scikit-learn's: the same steps and attributes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.neural_network as theirs
from scipy import sparse
from sklearn.datasets import load_digits, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning

from chainrule.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS, DIGIT = (a[:250] for a in load_digits(return_X_y=True))
NUMBERS, NUMBER = make_regression(n_samples=230, n_features=6, noise=5.0, random_state=0)
NUMBER = NUMBER / NUMBER.std()
BASE = {"hidden_layer_sizes": (12, 7), "max_iter": 4, "random_state": 3, "batch_size": 64}


def _same(mine, other, rtol=1e-8):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(mine, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "t_"):
        assert getattr(mine, name) == getattr(other, name), name
    np.testing.assert_allclose(mine.loss_, other.loss_, rtol=1e-6)
    if mine.solver == "lbfgs":
        return
    np.testing.assert_allclose(mine.loss_curve_, other.loss_curve_, rtol=1e-6)
    assert (mine.best_loss_ is None) == (other.best_loss_ is None)
    assert mine._no_improvement_count == other._no_improvement_count
    if mine.solver == "sgd":
        assert mine._optimizer.learning_rate == pytest.approx(other._optimizer.learning_rate)
    if mine.validation_scores_ is not None:
        np.testing.assert_allclose(mine.validation_scores_, other.validation_scores_, rtol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd", "activation": "tanh"},
        {"solver": "sgd", "momentum": 0.0, "learning_rate": "invscaling"},
        {"solver": "sgd", "nesterovs_momentum": False, "alpha": 0.3, "max_iter": 6},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
        {"solver": "lbfgs", "activation": "logistic", "alpha": 0.1, "max_iter": 12},
        {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 8},
        {"shuffle": False, "epsilon": 1e-3, "beta_1": 0.8},
    ],
)
def test_a_classifier_takes_scikit_learns_steps(settings):
    given = {**BASE, **settings}
    _same(
        MLPClassifier(**given).fit(DIGITS, DIGIT), theirs.MLPClassifier(**given).fit(DIGITS, DIGIT)
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"early_stopping": True},
        {"loss": "poisson", "solver": "lbfgs", "alpha": 1e-2},
        {"loss": "poisson", "max_iter": 3},
    ],
)
def test_a_regressor_takes_scikit_learns_steps(settings):
    given, y = {**BASE, **settings}, np.abs(NUMBER)
    mine = MLPRegressor(**given).fit(NUMBERS, y)
    other = theirs.MLPRegressor(**given).fit(NUMBERS, y)
    _same(mine, other, 1e-6)
    np.testing.assert_allclose(mine.predict(NUMBERS), other.predict(NUMBERS), rtol=1e-5, atol=1e-6)
    assert mine.score(NUMBERS, y) == pytest.approx(other.score(NUMBERS, y), rel=1e-5)


def test_two_classes_labels_outputs_and_weights_as_scikit_learn():
    two, rng = (DIGIT > 4).astype(int), np.random.default_rng(0)
    mine, other = MLPClassifier(**BASE), theirs.MLPClassifier(**BASE)
    _same(mine.fit(DIGITS, two), other.fit(DIGITS, two))
    np.testing.assert_allclose(mine.predict_proba(DIGITS), other.predict_proba(DIGITS), rtol=1e-7)
    x, labels = make_multilabel_classification(n_samples=120, random_state=1)
    _same(mine.fit(x, labels), other.fit(x, labels))
    np.testing.assert_array_equal(mine.predict(x), other.predict(x))
    targets = np.stack([NUMBER, NUMBER**2, -NUMBER], axis=1)
    kept = {**BASE, "early_stopping": True, "alpha": 0.0}
    _same(
        MLPRegressor(**kept).fit(NUMBERS, targets),
        theirs.MLPRegressor(**kept).fit(NUMBERS, targets),
    )
    # With a single batch an epoch's loss is the weighted mean in both.
    whole, weights = {**BASE, "batch_size": 230}, rng.uniform(size=230)
    _same(
        MLPRegressor(**whole).fit(NUMBERS, NUMBER, weights),
        theirs.MLPRegressor(**whole).fit(NUMBERS, NUMBER, weights),
    )


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_and_warm_start_go_on_as_scikit_learn(solver):
    given = {**BASE, "solver": solver, "learning_rate": "invscaling"}
    mine, other = MLPClassifier(**given), theirs.MLPClassifier(**given)
    for rows in (slice(0, 100), slice(100, 200), slice(0, 200)):
        for e in (mine, other):
            e.partial_fit(DIGITS[rows], DIGIT[rows], classes=np.arange(10))
        _same(mine, other)
    for e in (mine, other):
        e.set_params(warm_start=True).fit(DIGITS, DIGIT)
    _same(mine, other)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_inputs_train_as_dense_ones(kind):
    dense = MLPClassifier(**BASE).fit(DIGITS, DIGIT)
    thin = MLPClassifier(**BASE).fit(kind(DIGITS), DIGIT)
    _same(thin, dense)
    np.testing.assert_allclose(thin.predict_proba(kind(DIGITS)), dense.predict_proba(DIGITS))


def test_float32_stays_float32_and_diverging_is_said():
    mine = MLPRegressor(**BASE).fit(NUMBERS.astype(np.float32), NUMBER)
    assert {w.dtype for w in mine.coefs_ + mine.intercepts_} == {np.dtype(np.float32)}
    assert mine.predict(NUMBERS.astype(np.float32)).dtype == np.float32
    wild = MLPRegressor(**{**BASE, "solver": "sgd", "learning_rate_init": 1e6})
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*smaller learning rate"):
        wild.fit(NUMBERS, NUMBER)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        MLPRegressor(**BASE).fit(NUMBERS, NUMBER)


def test_a_second_fit_compiles_nothing(monkeypatch):
    MLPClassifier(**BASE).fit(DIGITS, DIGIT)
    monkeypatch.setattr("chainrule.run.compile", None)
    monkeypatch.setattr("chainrule.run.repeat", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        MLPClassifier(**BASE).fit(DIGITS, DIGIT)


@pytest.mark.parametrize("rows", [230, 192, 249, 70])
@pytest.mark.parametrize("weighted", [False, True])
def test_epochs_done_in_one_call_end_where_scikit_learns_do(rows, weighted, monkeypatch):
    """Whole epochs run before their losses are looked at: too many are undone, to the last bit of
    the network and of what draws the order."""
    monkeypatch.setattr("chainrule.train.chunks.SECONDS", 10.0)  # all that are left, in one call
    x, y = DIGITS[:rows], DIGIT[:rows]
    weights = {"sample_weight": np.linspace(0, 2, rows)} if weighted else {}
    given = {**BASE, "max_iter": 60, "tol": 0.3, "n_iter_no_change": 3}
    ended = []
    for kind, more in ((MLPClassifier, {}), (MLPClassifier, {"max_seconds": 1e6})):
        random = np.random.RandomState(5)
        model = kind(**{**given, "random_state": random, **more}).fit(x, y, **weights)
        ended.append((model, random.randint(2**31)))
    (model, drawn), (alone, same) = ended  # with a budget of time each epoch is looked at
    assert 5 < model.n_iter_ == alone.n_iter_ < 50
    assert drawn == same
    for a, b in zip(model.coefs_, alone.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    if (
        weighted
    ):  # scikit-learn's curve has each minibatch's loss by its rows, ours by their weights
        return
    random = np.random.RandomState(5)
    other = theirs.MLPClassifier(**{**given, "random_state": random}).fit(x, y)
    assert random.randint(2**31) == drawn
    _same(model, other, 1e-6)
