"""What scikit-learn's networks do not have: losses, layers, class weights, slopes of inputs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_regression
from sklearn.utils.class_weight import compute_sample_weight

from chainrule import nn
from chainrule.errors import ShapeError, UsageError
from chainrule.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS, KIND = load_iris(return_X_y=True)
IRIS = (IRIS - IRIS.mean(0)) / IRIS.std(0)
X, Y = make_regression(n_samples=150, n_features=4, noise=5.0, random_state=0)
Y = Y / Y.std()
FEW = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
MANY = {"hidden_layer_sizes": (16,), "max_iter": 200, "random_state": 0, "learning_rate_init": 0.01}


def test_weights_of_classes_are_weights_of_rows():
    for given in ("balanced", {0: 1.0, 1: 5.0, 2: 0.5}):
        by_class = MLPClassifier(**FEW, class_weight=given).fit(IRIS[20:], KIND[20:])
        rows = compute_sample_weight(given, KIND[20:])
        by_row = MLPClassifier(**FEW).fit(IRIS[20:], KIND[20:], rows)
        np.testing.assert_allclose(by_class.coefs_[0], by_row.coefs_[0], rtol=1e-12)
    with pytest.raises(ValueError, match="partial_fit takes a dict"):
        MLPClassifier(class_weight="balanced").partial_fit(IRIS, KIND, classes=[0, 1, 2])


def test_activations_of_your_own_or_one_for_each_layer():
    def softsign(a):
        return a / (1 + np.abs(a))

    sizes = {**FEW, "hidden_layer_sizes": (6, 5)}
    plain = MLPRegressor(**{**sizes, "activation": lambda a: np.where(a > 0, a, 0)}).fit(X, Y)
    relu = MLPRegressor(**sizes).fit(X, Y)
    np.testing.assert_allclose(plain.coefs_[0], relu.coefs_[0], rtol=1e-10)
    mixed = MLPRegressor(**{**sizes, "activation": ["tanh", softsign]}).fit(X, Y)
    hidden = softsign(np.tanh(X @ mixed.coefs_[0] + mixed.intercepts_[0]) @ mixed.coefs_[1]
                      + mixed.intercepts_[1])  # fmt: skip
    by_hand = hidden @ mixed.coefs_[2] + mixed.intercepts_[2]
    np.testing.assert_allclose(mixed.predict(X), by_hand[:, 0], rtol=1e-10)
    with pytest.raises(UsageError, match="2 hidden layers"):
        MLPRegressor(**{**sizes, "activation": ["tanh"]}).fit(X, Y)


@pytest.mark.parametrize(
    "loss", ["absolute_error", "huber", "gamma", "tweedie", nn.Huber(0.3), nn.SquaredError()]
)
def test_losses_by_name_or_value_are_lowered(loss):
    model = MLPRegressor(loss, **{**MANY, "max_iter": 60}).fit(X, np.abs(Y) + 0.1)
    losses = [row["loss"] for row in model.history_]
    assert losses[-1] < losses[0]
    exponential = getattr(loss, "name", loss) in ("gamma", "tweedie")
    assert model.out_activation_ == ("exp" if exponential else "identity")
    if exponential:
        assert (model.predict(X) > 0).all()


def test_a_loss_of_your_own_is_differentiated():
    def half_square(outputs, targets):
        return 0.5 * np.sum((outputs - targets) ** 2, axis=-1)

    own, named = MLPRegressor(half_square, **FEW).fit(X, Y), MLPRegressor(**FEW).fit(X, Y)
    np.testing.assert_allclose(own.coefs_[0], named.coefs_[0], rtol=1e-10)

    def log_loss(outputs, targets):
        return -np.sum(targets * nn.log_softmax(outputs), axis=-1)

    own, named = MLPClassifier(**FEW, loss=log_loss), MLPClassifier(**FEW)
    np.testing.assert_allclose(
        own.fit(IRIS, KIND).predict_proba(IRIS), named.fit(IRIS, KIND).predict_proba(IRIS)
    )


def test_losses_of_classes_have_their_oracles():
    smooth = MLPClassifier(**FEW, label_smoothing=0.1, alpha=0.0, shuffle=False).fit(IRIS, KIND)
    start = MLPClassifier(**{**FEW, "max_iter": 1}, learning_rate_init=1e-300, alpha=0.0)
    before = start.fit(IRIS, KIND).predict_proba(IRIS)
    mixed = 0.9 * np.eye(3)[KIND] + 0.1 / 3
    wanted = -np.mean(np.sum(mixed * np.log(before), axis=1))
    assert smooth.history_[0]["loss"] == pytest.approx(wanted)
    focal = MLPClassifier(**FEW, loss="focal", alpha=0.0).fit(IRIS, KIND)
    right = before[np.arange(len(KIND)), KIND]
    assert focal.history_[0]["loss"] == pytest.approx(np.mean(-((1 - right) ** 2) * np.log(right)))
    with pytest.raises(UsageError, match="label_smoothing is of the log loss"):
        MLPClassifier(**FEW, loss="focal", label_smoothing=0.1).fit(IRIS, KIND)


def test_several_quantiles_do_not_cross_and_cover_their_share():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (600, 1))
    y = x[:, 0] + rng.normal(0, 0.1 + 0.3 * (x[:, 0] > 0))
    model = MLPRegressor("quantile", quantiles=(0.1, 0.5, 0.9), **MANY).fit(x, y)
    found = model.predict(x)
    assert found.shape == (600, 3)
    assert (np.diff(found, axis=1) > 0).all()
    np.testing.assert_allclose((y[:, None] < found).mean(axis=0), [0.1, 0.5, 0.9], atol=0.05)
    assert 0 < model.score(x, y) < 1
    with pytest.raises(UsageError, match="several quantiles are of one target"):
        model.fit(x, np.stack([y, y], axis=1))


@pytest.mark.parametrize(
    "more", [{"batch_norm": True}, {"layer_norm": True}, {"residual": True}, {"dropout": 0.2}]
)
def test_layers(more):
    settings = {**MANY, "hidden_layer_sizes": (16, 16), "max_iter": 40, "batch_size": 50, **more}
    model = MLPClassifier(**settings).fit(IRIS, KIND)
    assert model.score(IRIS, KIND) > 0.9
    again = MLPClassifier(**settings).fit(IRIS, KIND)
    np.testing.assert_array_equal(model.coefs_[0], again.coefs_[0])
    assert hasattr(model, "norms_") == ("norm" in next(iter(more)))
    model.partial_fit(IRIS, KIND)
    assert not np.array_equal(model.coefs_[0], again.coefs_[0])


def test_loss_and_score_of_both_sets_in_every_epoch():
    given = {**MANY, "max_iter": 5}
    model = MLPClassifier(**given).fit(
        IRIS[:120], KIND[:120], validation_data=(IRIS[120:], KIND[120:])
    )
    assert len(model.history_) == 5
    last = model.history_[-1]
    right = model.predict(IRIS[120:]) == KIND[120:]
    assert last["validation_score"] == pytest.approx(right.mean())
    of_true = model.predict_proba(IRIS[120:])[np.arange(30), KIND[120:]]
    assert last["validation_loss"] == pytest.approx(-np.mean(np.log(of_true)))
    assert last["train_score"] == pytest.approx(model.score(IRIS[:120], KIND[:120]))
    assert {"train_loss", "learning_rate", "seconds", "epoch"} <= set(last)


def test_rows_held_out_by_group_or_by_time():
    stop = {**MANY, "max_iter": 3, "early_stopping": True, "validation_fraction": 0.2}
    # Rows held out are those that validation_data would be.
    late = MLPRegressor(**stop, validation_order="last").fit(X, Y)
    given = MLPRegressor(**stop).fit(X[:120], Y[:120], validation_data=(X[120:], Y[120:]))
    np.testing.assert_array_equal(late.validation_scores_, given.validation_scores_)
    groups = np.arange(150) // 10
    model = MLPRegressor(**stop).fit(X, Y, groups=groups)
    assert model._rows_ == 120
    with pytest.raises(UsageError, match="two ways to hold out"):
        MLPRegressor(**stop, validation_order="last").fit(X, Y, groups=groups)
    with pytest.raises(UsageError, match="it is off"):
        MLPRegressor(**FEW).fit(X, Y, groups=groups)


def test_a_budget_of_seconds_ends_training():
    model = MLPRegressor(**{**FEW, "max_iter": 10**6}, n_iter_no_change=np.inf, max_seconds=0.3)
    started = time.perf_counter()
    model.fit(X, Y)
    assert time.perf_counter() - started < 30  # a million epochs take hours
    assert model.stopped_ == "max_seconds"


def test_first_weights_are_yours():
    coefs = [np.ones((4, 6)) * 0.1, np.ones((6, 1)) * 0.2]
    still = {**FEW, "max_iter": 1, "learning_rate_init": 1e-300}
    model = MLPRegressor(**still, coefs_init=coefs).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[1], coefs[1])
    with pytest.raises(ShapeError, match=r"coefs_init must have the shapes \[\(4, 6\), \(6, 1\)\]"):
        MLPRegressor(**still, coefs_init=coefs[:1]).fit(X, Y)


def test_l2_does_not_depend_on_the_batch_and_converts():
    whole = {**FEW, "batch_size": 150, "solver": "sgd"}
    by_alpha = MLPRegressor(**whole, alpha=3.0).fit(X, Y)
    l2 = nn.l2_from(3.0, "sklearn", rows=150)
    by_l2 = MLPRegressor(**whole, alpha=0.0, l2=l2).fit(X, Y)
    np.testing.assert_allclose(by_alpha.coefs_[0], by_l2.coefs_[0], rtol=1e-10)
    assert nn.l2_from(0.01, "keras") == 0.02
    assert nn.l2_from(0.01, "torch") == 0.01
    with pytest.raises(UsageError, match="say rows=200"):
        nn.l2_from(0.01, "sklearn")


def test_slopes_of_the_inputs_and_what_they_add_up_to():
    model = MLPClassifier(**{**MANY, "activation": "tanh", "max_iter": 50}).fit(IRIS, KIND)
    w, b = model.coefs_, model.intercepts_

    def outputs(x):
        return np.tanh(x @ w[0] + b[0]) @ w[1] + b[1]

    slopes, step = model.input_gradients(IRIS, output=2), 1e-6
    for j in range(4):
        moved = IRIS + step * np.eye(4)[j]
        difference = (outputs(moved) - outputs(IRIS - step * np.eye(4)[j]))[:, 2] / (2 * step)
        np.testing.assert_allclose(slopes[:, j], difference, atol=1e-7)
    start = np.full(4, 0.3)
    parts = model.integrated_gradients(IRIS, output=2, baseline=start)
    whole = outputs(IRIS)[:, 2] - outputs(start[None])[0, 2]
    np.testing.assert_allclose(parts.sum(axis=1), whole, atol=1e-6)
    with pytest.raises(UsageError, match="say which of the 3 outputs"):
        model.input_gradients(IRIS)
    with pytest.raises(UsageError, match="is none of"):
        model.input_gradients(IRIS, output="setosa")
