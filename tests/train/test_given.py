"""What callers hand to ``fit``: things by name or value, metrics, arrays of other kinds."""

from __future__ import annotations

import copy
import functools
import pickle

import numpy as np
import pytest
from sklearn import metrics as oracle

from chainrule import nn, optim, train
from chainrule.errors import DtypeError, UsageError
from chainrule.run import Runner

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = X @ [2.0, -1.0] + 0.3 * RNG.normal(size=60)
LABELS = (Y > 0).astype(int)
KINDS = np.digitize(Y, [-1.0, 1.0])
WEIGHTS = RNG.random(60) + 0.1
LINE = nn.MLP((2, 1))


def fitted(targets=Y, loss="squared_error", model=LINE, **given):
    given = {"optimizer": optim.sgd(0.05), "epochs": 3} | given
    return train.fit(model, (X, targets), loss=loss, **given)


# Things by name -----------------------------------------------------------------------------

ONE_RULE = {
    "loss": (lambda given: fitted(loss=given), "squared_eror", "squared_error", nn.SquaredError),
    "optimizer": (lambda given: fitted(optimizer=given), "addam", "adam", optim.adam),
    "metric": (lambda given: fitted(metrics=given), "acuracy", "accuracy", nn.Huber),
    "activation": (lambda given: nn.MLP((2, 2, 1), given), "thanh", "tanh", nn.Activation),
    "initialiser": (
        lambda given: nn.MLP((2, 1), initializer=given), "he_norml", "he_normal", nn.Initializer,
    ),
    "schedule": (lambda given: optim.sgd(given), "cosin", "cosine", optim.Schedule),
}  # fmt: skip


@pytest.mark.parametrize("kind", ONE_RULE)
def test_a_misspelt_name_a_class_and_a_stranger_are_refused_by_one_rule(kind):
    give, misspelt, name, class_ = ONE_RULE[kind]
    with pytest.raises(UsageError, match=f"unknown {kind} '{misspelt}'; did you mean '{name}'"):
        give(misspelt)
    with pytest.raises(UsageError, match=f"the {kind} is the .*{class_.__name__} itself; call it"):
        give(class_)
    for stranger in (object(), {1: 2}, True):
        if kind == "metric" and isinstance(stranger, dict):
            stranger = {"mine": 2}
        with pytest.raises(UsageError, match=f"the {kind} is a name .* or a value .*, not"):
            give(stranger)


@pytest.mark.parametrize("loss", list(nn.LOSSES))
def test_names_and_values_train_alike(loss):
    targets = {"categorical_cross_entropy": KINDS, "gamma": LABELS + 1.0}.get(loss, LABELS)
    model = nn.MLP((2, 3)) if loss == "categorical_cross_entropy" else LINE
    by_name = fitted(targets, loss, model, optimizer="rmsprop")
    by_value = fitted(targets, nn.LOSSES[loss](), model, optimizer=optim.rmsprop())
    for a, b in zip(by_name.history, by_value.history, strict=True):
        assert a["train_loss"] == b["train_loss"]


# Metrics --------------------------------------------------------------------------------------


def test_the_scores_of_numbers_go_into_fit_as_they_are():
    result = fitted(
        metrics=["r2", train.rmse, "mae", train.metrics.mse], sample_weight=WEIGHTS,
        validation=(X[:30], Y[:30]),
    )  # fmt: skip
    predicted, row = result.predict(X)[:, 0], result.history[-1]
    for name, theirs in {
        "r2": oracle.r2_score, "rmse": oracle.root_mean_squared_error,
        "mae": oracle.mean_absolute_error, "mse": oracle.mean_squared_error,
    }.items():  # fmt: skip
        assert row[f"train_{name}"] == pytest.approx(theirs(Y, predicted, sample_weight=WEIGHTS))
        assert row[f"validation_{name}"] == pytest.approx(theirs(Y[:30], predicted[:30]))
    scores = result.evaluate(X, Y, metrics="r2")
    assert scores["r2"] == pytest.approx(oracle.r2_score(Y, predicted))
    # As given: the roles must not be swapped, and a column stays a column.
    assert train.r2(Y[:, None], result.predict(X)) == scores["r2"]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge"])
@pytest.mark.parametrize("column", [False, True])
def test_the_scores_of_two_classes_go_into_fit_as_they_are(loss, column):
    targets = LABELS[:, None] if column else LABELS
    macro = functools.partial(train.f1, average="macro")
    result = fitted(targets, loss, metrics={"macro": macro, "hits": "accuracy", "auc": "roc_auc"})
    row, outputs = result.history[-1], result.outputs(X)[:, 0]
    chosen = outputs > 0
    assert row["train_hits"] == pytest.approx(oracle.accuracy_score(LABELS, chosen))
    assert row["train_macro"] == pytest.approx(oracle.f1_score(LABELS, chosen, average="macro"))
    assert row["train_auc"] == pytest.approx(oracle.roc_auc_score(LABELS, outputs))


def test_the_scores_of_many_classes_go_into_fit_as_they_are():
    result = fitted(
        KINDS, "categorical_cross_entropy", nn.MLP((2, 3)),
        metrics=[train.accuracy, "balanced_accuracy", "log_loss", "roc_auc"],
    )  # fmt: skip
    row, p = result.history[-1], result.predict(X)
    assert row["train_accuracy"] == pytest.approx(oracle.accuracy_score(KINDS, p.argmax(1)))
    assert row["train_log_loss"] == pytest.approx(oracle.log_loss(KINDS, p))
    assert row["train_roc_auc"] == pytest.approx(oracle.roc_auc_score(KINDS, p, multi_class="ovr"))
    assert train.accuracy(KINDS, p) == row["train_accuracy"]
    assert train.accuracy(np.eye(3)[KINDS], p) == row["train_accuracy"]


def test_a_metric_may_take_two_arguments_or_name_its_weights():
    two = lambda targets, predictions: float(np.mean(targets - predictions))  # noqa: E731

    def bounded(targets, predictions, limit=0.5):
        assert limit == 0.5  # weights would be a wrong limit
        return np.mean(np.abs(targets - predictions) < limit)

    given = {
        "two": two, "theirs": oracle.mean_absolute_error, "bounded": bounded,
        "starred": lambda *three: float(np.sum(three[2])),
    }  # fmt: skip
    result = fitted(metrics=given, sample_weight=WEIGHTS)
    row, predicted = result.history[-1], result.predict(X)[:, 0]
    assert row["train_two"] == pytest.approx(np.mean(Y - predicted))
    wanted = oracle.mean_absolute_error(Y, predicted, sample_weight=WEIGHTS)
    assert row["train_theirs"] == pytest.approx(wanted)
    assert row["train_bounded"] == np.mean(np.abs(Y - predicted) < 0.5)
    assert row["train_starred"] == pytest.approx(np.sum(WEIGHTS))


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (lambda t, p: 0.0, "a metric needs a name of its own"),
        (["r2", train.r2], "a metric needs a name of its own"),
        ({"one": lambda t: 0.0}, r"metric one must take \(targets, predictions\)"),
        ({"many": lambda t, p: np.abs(t - p)}, r"metric many returned shape \(60,\)"),
        ({"hits": train.accuracy}, "neither classes nor probabilities"),
    ],
)
def test_metrics_that_cannot_score_are_refused(metrics, message):
    with pytest.raises(UsageError, match=message):
        fitted(metrics=metrics)


# Arrays that are something else ---------------------------------------------------------------

ODD = {
    "masked": lambda a: np.ma.array(a, mask=np.zeros(np.shape(a), bool)),
    "matrix": lambda a: np.asmatrix(a),
    "masked in a list": lambda a: [np.ma.array(row, mask=False) for row in a],
}
PLACES = {
    "x": lambda odd: fitted_with(odd(X), Y),
    "targets": lambda odd: fitted_with(X, odd(Y)),
    "weights": lambda odd: fitted(sample_weight=odd(WEIGHTS)),
    "validation x": lambda odd: fitted(validation=(odd(X), Y)),
    "validation targets": lambda odd: fitted(validation=(X, odd(Y))),
    "test weights": lambda odd: fitted(test=(X, Y, odd(WEIGHTS))),
    "params": lambda odd: fitted(params={"layers": ({"weights": odd(np.ones((2, 1))),
                                                     "bias": np.zeros(1)},)}),
    "predict": lambda odd: fitted().predict(odd(X)),
    "evaluate": lambda odd: fitted().evaluate(odd(X), Y),
    "evaluate targets": lambda odd: fitted().evaluate(X, odd(Y)),
    "score": lambda odd: train.r2(odd(Y), Y),
    "score predictions": lambda odd: train.mse(Y, odd(Y)),
    "score weights": lambda odd: train.mae(Y, Y, odd(WEIGHTS)),
    "classes": lambda odd: fitted_with(X, odd(KINDS), "categorical_cross_entropy"),
    "split": lambda odd: train.split(60, strata=odd(KINDS)),
    "data object": lambda odd: train.fit(
        LINE, Batches(odd(X), Y), loss="squared_error", optimizer="adam", epochs=1
    ),
    "activation": lambda odd: nn.relu(odd(X)),
    "import": lambda odd: nn.import_weights([odd(np.ones((2, 1))), np.zeros(1)], LINE),
}  # fmt: skip


def fitted_with(x, targets, loss="squared_error"):
    model = nn.MLP((2, 3 if loss != "squared_error" else 1))
    return train.fit(model, (x, targets), loss=loss, optimizer="adam", epochs=1)


class Batches:
    """Two minibatches of thirty rows; remembers which were asked for."""

    rows, steps = 60, 2

    def __init__(self, x, targets):
        self.x, self.targets, self.taken = x, targets, []

    def take(self, epoch, step):
        self.taken.append((epoch, step))
        rows = slice(30 * step, 30 * step + 30)
        return train.Batch(self.x[rows], self.targets[rows])


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", PLACES)
def test_masked_arrays_and_matrices_are_refused_everywhere(place, kind):
    odd = ODD[kind]
    if kind == "masked in a list" and place in ("params", "data object"):
        pytest.skip("no list: a tree of arrays, and slices of an array")
    with pytest.raises(DtypeError, match=r"is a (MaskedArray|matrix), whose operators mean"):
        PLACES[place](odd)


# Read once, start where told -------------------------------------------------------------------


def test_each_minibatch_of_a_data_object_is_asked_for_once():
    data = Batches(X, Y)
    train.fit(LINE, data, loss="squared_error", optimizer="adam", epochs=2)
    assert data.taken == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_init_does_not_run_where_parameters_are_given():
    class Given:
        def __call__(self, params, state, x, *, key=None, train=False):
            return x @ params["w"], state

        def init(self, seed, dtype):
            raise AssertionError("init was called")

        def init_state(self, dtype):
            return {}

    model = Given()
    for state in ({}, None):
        result = fitted(model=model, params={"w": np.zeros((2, 1))}, state=state)
        assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


# Results travel ---------------------------------------------------------------------------------


def test_results_and_errors_survive_pickle_and_deepcopy():
    result = fitted(KINDS, "categorical_cross_entropy", nn.MLP((2, 4, 3), batch_norm=True))
    wanted = result.predict(X)
    with pytest.raises(train.DivergedError) as caught:
        fitted(optimizer=optim.sgd(1e200))
    for travel in (lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy):
        for came in (travel(result), travel(result)):
            np.testing.assert_array_equal(came.predict(X), wanted)
            assert came.history == result.history
        predictor = travel(result.predictor)
        np.testing.assert_array_equal(predictor.predict(result.params, result.state, X), wanted)
        error = travel(caught.value)
        assert (str(error), error.epoch, error.step) == (
            str(caught.value), caught.value.epoch, caught.value.step,
        )  # fmt: skip
        assert error.result.stopped == "non_finite"


def test_an_exact_predictor_gives_a_row_the_same_bits_at_any_place_on_numpy_too():
    model = nn.MLP((40, 30, 1))  # float32 and one output: where OpenBLAS's rows differ most
    params, state = model.init(0, np.float32)
    x = RNG.normal(size=(700, 40)).astype(np.float32)
    order = RNG.permutation(700)
    exact, fast = (
        train.Predictor(model, nn.SquaredError(), Runner("numpy"), exact=exact)
        for exact in (True, False)
    )
    wanted = exact.predict(params, state, x)
    np.testing.assert_array_equal(exact.predict(params, state, x[order]), wanted[order])
    np.testing.assert_array_equal(exact.predict(params, state, x[5:6]), wanted[5:6])
    np.testing.assert_allclose(fast.predict(params, state, x), wanted, rtol=1e-4, atol=1e-6)
