"""``fit``: what it computes, its history, stopping, weights, errors. Data are small and made up."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from chainrule import nn, optim, train
from chainrule.api import grad
from chainrule.core.tree import flatten
from chainrule.errors import DataError, NonFiniteError, ShapeError, UsageError
from chainrule.train.data import check_inputs


def _blobs(n=90, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    t = np.arange(n) % 3
    return (rng.normal(size=(n, 4)) + 1.5 * np.eye(4)[t]).astype(dtype), t


X, T = _blobs()
XV, TV = _blobs(seed=1)
MODEL = nn.MLP((4, 8, 3), "tanh")
CE = nn.CategoricalCrossEntropy()


def _fit(data=(X, T), model=MODEL, loss=CE, optimizer=None, **options):
    options = {"epochs": 5, "evaluate_train": False, **options}
    return train.fit(model, data, loss=loss, optimizer=optimizer or optim.sgd(0.1), **options)


def _leaves(result):
    return flatten((result.params, result.state))[0]


def _same_bits(a, b):
    return all(x.tobytes() == y.tobytes() for x, y in zip(_leaves(a), _leaves(b), strict=True))


def _mean_loss(params, x, t):
    return np.mean(CE(MODEL(params, MODEL.init(0)[1], x)[0], t))


# --- what a step is ---


def test_full_batch_gradient_descent_by_hand():
    result = _fit(batch_size="full", epochs=3, l2=0.1)
    params, _ = MODEL.init(0)
    for _ in range(3):
        g = grad(lambda p: _mean_loss(p, X, T) + nn.Penalty(l2=0.1)(p))(params)
        leaves, treedef = flatten(params)
        params = treedef.unflatten(p - 0.1 * d for p, d in zip(leaves, flatten(g)[0], strict=True))
    for a, b in zip(flatten(result.params)[0], flatten(params)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert result.steps == 3


def test_an_epoch_sees_every_row_once_and_the_last_batch_takes_the_rest():
    data = train.ArrayData(np.arange(10.0)[:, None], np.arange(10), None, 4, seed=3)
    assert (data.rows, data.steps) == (10, 3)
    batches = [data.take(1, i) for i in range(3)]
    assert [len(b.x) for b in batches] == [4, 4, 2]
    rows = np.concatenate([b.targets for b in batches])
    assert sorted(rows) == list(range(10))
    np.testing.assert_array_equal(np.concatenate([b.x[:, 0] for b in batches]), rows)
    other = np.concatenate([data.take(2, i).targets for i in range(3)])
    assert not np.array_equal(rows, other)
    # Any minibatch can be had again, in any order: that is what resuming needs.
    np.testing.assert_array_equal(data.take(1, 1).targets, rows[4:8])


def test_the_last_batch_is_the_mean_over_its_own_rows():
    result = _fit((X[:10], T[:10]), batch_size=8, epochs=1)
    data = train.ArrayData(X[:10], T[:10], None, 8, seed=0)
    params, _ = MODEL.init(0)
    for i in range(2):
        batch = data.take(1, i)
        g = grad(lambda p: _mean_loss(p, batch.x, batch.targets))(params)  # noqa: B023
        leaves, treedef = flatten(params)
        params = treedef.unflatten(p - 0.1 * d for p, d in zip(leaves, flatten(g)[0], strict=True))
    for a, b in zip(flatten(result.params)[0], flatten(params)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_a_batch_without_weight_changes_nothing():
    step = train.Step(MODEL, CE, nn.Penalty())
    params, state = MODEL.init(0)
    batch = train.Batch(X[:4], T[:4], np.zeros(4))
    loss, gradients, _ = step.gradient(params, state, batch, None)
    assert loss == 0
    assert not any(g.any() for g in flatten(gradients)[0])


@pytest.mark.parametrize("l1", [0.0, 0.02])
def test_the_strength_of_a_penalty_does_not_depend_on_the_batch_size(l1):
    # With inputs 0 and no bias the loss has no gradient: only the penalty moves the weights.
    model = nn.MLP((4, 3), bias=False)
    x = np.zeros((64, 4))
    t = np.arange(64) % 3
    ends = []
    for size in (8, 64):
        epochs = 8 * size // 64  # eight updates either way
        result = _fit((x, t), model, epochs=epochs, batch_size=size, l1=l1, l2=0.05)
        assert result.steps == 8
        ends.append(result.params["layers"][0]["weights"])
    start = model.init(0)[0]["layers"][0]["weights"]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-13)
    if not l1:
        np.testing.assert_allclose(ends[0], start * (1 - 0.1 * 0.05) ** 8, rtol=1e-12)


# --- determinism ---


def test_the_same_seed_gives_the_same_bits():
    options = {"model": nn.MLP((4, 8, 3), dropout=0.3, batch_norm=True), "batch_size": 16}
    a, b, c = _fit(seed=1, **options), _fit(seed=1, **options), _fit(seed=2, **options)
    assert _same_bits(a, b)
    assert not _same_bits(a, c)
    losses = [[row["running_loss"] for row in r.history] for r in (a, b)]
    assert losses[0] == losses[1]


def test_evaluation_does_not_disturb_training():
    a = _fit(batch_size=16)
    b = _fit(batch_size=16, evaluate_train=True, validation=(XV, TV), test=(XV, TV))
    assert _same_bits(a, b)


def test_dropout_masks_differ_from_step_to_step():
    seen = []

    class Spy:
        needs_key = True

        def init(self, seed, dtype):
            return {"w": np.zeros(1, dtype)}, {"last": np.zeros(8, dtype)}

        def __call__(self, params, state, x, *, key=None, train=False):
            if train:
                from chainrule.ops.random import uniform

                state = {"last": uniform(key, (8,), np.float64)}
            return x[:, :1] * params["w"], state

    _fit(
        (X, X[:, 0]),
        Spy(),
        nn.SquaredError(),
        batch_size="full",
        epochs=4,
        callbacks=[lambda event: seen.append(event.state["last"].tobytes())],
    )
    assert len(set(seen)) == 4


# --- history, evaluation, metrics ---


def test_history_holds_the_mean_losses_after_each_epoch():
    """L4.5: the mean train and test cross-entropy after every epoch."""
    after = []
    result = _fit(
        epochs=3,
        batch_size=1,
        evaluate_train=True,
        validation=(XV, TV),
        test=(XV[:7], TV[:7]),
        metrics={"accuracy": lambda t, y, w: np.mean(y.argmax(1) == t)},
        callbacks=[lambda event: after.append(event.params)],
    )
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    for row, params in zip(result.history, after, strict=True):
        assert row["train_loss"] == pytest.approx(_mean_loss(params, X, T), rel=1e-12)
        assert row["validation_loss"] == pytest.approx(_mean_loss(params, XV, TV), rel=1e-12)
        assert row["test_loss"] == pytest.approx(_mean_loss(params, XV[:7], TV[:7]), rel=1e-12)
        assert row["learning_rate"] == 0.1
        assert row["seconds"] >= 0
        assert 0.2 < row["train_accuracy"] <= 1
    assert result.history[0]["train_loss"] != result.history[0]["running_loss"]
    assert result.stopped == "epochs"
    assert result.steps == 270


def test_running_loss_is_the_mean_over_the_epoch_weighted_by_rows():
    # With a learning rate of 0 the network stands still, so both means are over the same.
    weights = np.linspace(0.5, 2.0, len(X))
    result = _fit(
        optimizer=optim.sgd(0.0),
        epochs=1,
        batch_size=16,
        evaluate_train=True,
        sample_weight=weights,
        l2=0.1,
    )
    row = result.history[0]
    assert row["running_loss"] == pytest.approx(row["train_loss"], rel=1e-12)
    assert row["penalty"] == pytest.approx(nn.Penalty(l2=0.1)(result.params))


def test_metrics_see_predictions_targets_as_given_and_weights():
    seen = {}

    def metric(t, y, w):
        seen.update(y=y, t=t, w=w)
        return 0.25

    weights = np.linspace(1, 2, len(XV))
    result = _fit(epochs=1, validation=(XV, TV.astype(np.int8), weights), metrics={"mine": metric})
    assert result.history[0]["validation_mine"] == 0.25
    np.testing.assert_allclose(seen["y"].sum(axis=1), 1)
    assert seen["t"].dtype == np.int8
    np.testing.assert_array_equal(seen["w"], weights)


def test_predictions_do_not_depend_on_the_other_rows():
    for dtype in (np.float32, np.float64):
        result = _fit((X.astype(dtype), T), nn.MLP((4, 64, 33, 3)), epochs=1)
        x = np.random.default_rng(0).normal(size=(600, 4)).astype(dtype)
        all_rows = result.predict(x)
        assert all_rows.dtype == dtype
        assert all_rows.shape == (600, 3)
        assert result.predict(x[:1]).tobytes() == all_rows[:1].tobytes()
        assert result.predict(x[:300]).tobytes() == all_rows[:300].tobytes()
        others = x.copy()
        others[np.arange(600) != 123] = 7.0
        assert result.predict(others)[123].tobytes() == all_rows[123].tobytes()


def test_evaluate_is_what_history_says():
    result = _fit(validation=(XV, TV), metrics={"one": lambda t, y, w: 1.0})
    scores = result.evaluate(XV, TV, metrics={"one": lambda t, y, w: 1.0})
    assert scores == {"loss": result.history[-1]["validation_loss"], "one": 1.0}


# --- sample weights ---


@pytest.mark.parametrize("optimizer", [optim.sgd(0.3), optim.lbfgs()])
def test_a_weight_of_two_is_a_row_that_stands_there_twice(optimizer):
    twice = np.arange(len(X)) % 4 == 0
    repeated = (np.concatenate([X, X[twice]]), np.concatenate([T, T[twice]]))
    # Ten steps of L-BFGS and not more: curvature amplifies what rounding makes different.
    options = {"optimizer": optimizer, "batch_size": "full", "epochs": 10, "l2": 1e-3}
    a = _fit(sample_weight=np.where(twice, 2.0, 1.0), evaluate_train=True, **options)
    b = _fit(repeated, evaluate_train=True, **options)
    for x, y in zip(_leaves(a), _leaves(b), strict=True):  # L-BFGS: 1e-16, magnified 10 times
        np.testing.assert_allclose(x, y, rtol=1e-7, atol=1e-9)
    assert a.history[-1]["train_loss"] == pytest.approx(b.history[-1]["train_loss"], rel=1e-9)
    c = _fit(**options)
    assert np.abs(_leaves(c)[0] - _leaves(b)[0]).max() > 1e-4


def test_scaling_all_weights_changes_nothing():
    weights = np.linspace(0.5, 2.0, len(X))
    a, b = _fit(sample_weight=weights), _fit(sample_weight=1024 * weights)
    for x, y in zip(_leaves(a), _leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), "sample_weight must be 90 numbers"),
        (np.r_[np.ones(89), -1.0], r"sample_weight\[89\] is -1"),
        (np.r_[np.nan, np.ones(89)], r"sample_weight\[0\] is nan"),
        (np.zeros(90), "are all 0"),
    ],
)
def test_wrong_weights(weights, message):
    with pytest.raises(DataError, match=message):
        _fit(sample_weight=weights)


# --- stopping ---


def test_early_stopping_restores_the_best_weights():
    rng = np.random.default_rng(5)
    noisy = rng.integers(0, 3, len(X))  # labels without meaning: the validation loss must rise
    kept = {}
    result = _fit(
        (X, noisy),
        nn.MLP((4, 32, 3)),
        optimizer=optim.adam(0.02),
        validation=(XV, rng.integers(0, 3, len(XV))),
        epochs=300,
        early_stopping=7,
        callbacks=[lambda event: kept.update({event.epoch: event.params})],
    )
    losses = [row["validation_loss"] for row in result.history]
    assert result.stopped == "early_stopping"
    assert result.best_epoch == 1 + int(np.argmin(losses))
    assert len(losses) == result.best_epoch + 7
    for a, b in zip(flatten(kept[result.best_epoch])[0], flatten(result.params)[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(_leaves(result)[0], flatten(kept[len(losses)])[0][0])


def test_min_delta_counts_small_gains_as_none():
    options = {"validation": (XV, TV), "epochs": 50, "optimizer": optim.sgd(0.01)}
    patient = _fit(early_stopping=3, **options)
    strict = _fit(early_stopping=train.EarlyStopping(3, min_delta=10.0), **options)
    assert patient.stopped == "epochs"
    assert strict.stopped == "early_stopping"
    # The first epoch falls below infinity by more than any min_delta; the next three do not.
    assert len(strict.history) == 4


def test_without_early_stopping_the_last_weights_stay():
    last = {}
    result = _fit(
        validation=(XV, T[::-1]),
        optimizer=optim.sgd(0.5),
        epochs=10,
        callbacks=[lambda event: last.update(params=event.params)],
    )
    assert result.best_epoch != 10
    np.testing.assert_array_equal(_leaves(result)[0], flatten(last["params"])[0][0])


def test_callbacks_see_events_and_can_stop():
    seen = []

    def callback(event):
        seen.append((event.epoch, event.epochs, event.best_epoch, event.history_row["epoch"]))
        return "stop" if event.epoch == 3 else None

    other = []
    result = _fit(epochs=9, validation=(XV, TV), callbacks=[callback, other.append])
    assert seen == [(1, 9, 1, 1), (2, 9, 2, 2), (3, 9, 3, 3)]
    assert len(other) == 3
    assert result.stopped == "callback"


def test_ctrl_c_returns_what_was_learned():
    params = {}

    def callback(event):
        params[event.epoch] = event.params
        if event.epoch == 3:
            raise KeyboardInterrupt

    result = _fit(epochs=9, callbacks=[callback])
    assert result.stopped == "interrupted"
    assert len(result.history) == 3
    for a, b in zip(flatten(params[3])[0], flatten(result.params)[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert _same_bits(result, _fit(epochs=3))


def test_ctrl_c_within_an_epoch_keeps_the_last_finished_update():
    class Interrupted:
        """Data whose third minibatch is a user's Ctrl-C."""

        rows, steps = 60, 6

        def take(self, epoch, step):
            if step == 3 and epoch == 1:
                raise KeyboardInterrupt
            return train.Batch(X[10 * step : 10 * step + 10], T[10 * step : 10 * step + 10], None)

    result = _fit(Interrupted())
    assert result.stopped == "interrupted"
    assert result.history == ()
    assert result.steps == 3
    params, state = MODEL.init(0)
    step = train.Step(MODEL, CE, nn.Penalty())
    carry = (params, state, {})
    for i in range(3):
        _, carry = step.whole(optim.sgd(0.1))(carry, Interrupted().take(2, i), None, np.asarray(i))
    for a, b in zip(flatten(carry[0])[0], flatten(result.params)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


# --- not finite ---


def test_the_first_non_finite_loss_stops_and_names_the_place():
    model = nn.MLP((4, 1))
    with pytest.raises(
        NonFiniteError, match=r"the loss is (inf|nan) in epoch (\d+), step (\d+): try a smaller"
    ) as caught:
        _fit((X, X[:, 0]), model, nn.SquaredError(), optimizer=optim.sgd(1e4), epochs=500)
    error = caught.value
    assert isinstance(error, train.DivergedError)
    result = error.result
    assert result.stopped == "non_finite"
    assert all(np.isfinite(leaf).all() for leaf in _leaves(result))
    assert result.steps == 3 * (error.epoch - 1) + error.step - 1
    assert len(result.history) == error.epoch - 1


def test_the_network_that_is_kept_had_a_finite_loss():
    with pytest.raises(NonFiniteError) as caught:
        _fit(
            (X, X[:, 0]),
            nn.MLP((4, 1)),
            nn.SquaredError(),
            optimizer=optim.sgd(1e3),
            epochs=500,
            batch_size="full",
        )
    result = caught.value.result
    kept = result.evaluate(X, X[:, 0])["loss"]
    assert math.isfinite(kept)
    # It is the last such network: its loss is the last finite one that was seen.
    assert kept == pytest.approx(result.history[-1]["running_loss"], rel=1e-9)


def test_a_loss_that_is_never_finite_says_to_look_at_the_scale():
    with pytest.raises(NonFiniteError, match=r"epoch 1, step 1: look at the scale") as caught:
        _fit((1e200 * X, X[:, 0]), nn.MLP((4, 1)), nn.SquaredError())
    start, _ = nn.MLP((4, 1)).init(0)
    np.testing.assert_array_equal(_leaves(caught.value.result)[0], flatten(start)[0][0])


def test_a_validation_loss_that_is_not_finite_stops_too():
    with pytest.raises(NonFiniteError, match="the validation loss is inf after epoch 1") as caught:
        _fit(
            (X, X[:, 0]),
            nn.MLP((4, 1)),
            nn.SquaredError(),
            optimizer=optim.sgd(1e-3),
            validation=(1e200 * X, X[:, 0]),
        )
    assert caught.value.step is None


# --- other ways to train ---


def test_lbfgs_finds_the_minimum_of_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    t = (T == 0).astype(int)
    result = _fit(
        (X, t),
        nn.MLP((4, 1)),
        nn.BinaryCrossEntropy(),
        optimizer=optim.lbfgs(gradient_tolerance=1e-10, loss_tolerance=0.0),
        epochs=200,
        l2=0.01,
        evaluate_train=True,
    )
    peer = LogisticRegression(C=1 / (0.01 * len(X)), tol=1e-12, max_iter=1000).fit(X, t)
    layer = result.params["layers"][0]
    np.testing.assert_allclose(layer["weights"][:, 0], peer.coef_[0], rtol=1e-6)
    np.testing.assert_allclose(layer["bias"], peer.intercept_, rtol=1e-6)
    assert result.stopped in ("converged", "stalled")
    assert len(result.history) == result.steps
    total = [row["train_loss"] + row["penalty"] for row in result.history]
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(total))


def test_lbfgs_goes_through_the_same_fit():
    seen = []
    result = _fit(
        nn_data := (X.astype(np.float32), T),
        optimizer=optim.lbfgs(),
        epochs=30,
        validation=(XV, TV),
        early_stopping=5,
        callbacks=[lambda event: seen.append(event.epoch)],
    )
    assert seen == list(range(1, len(seen) + 1))
    assert _leaves(result)[0].dtype == np.float32
    assert result.predict(nn_data[0]).dtype == np.float32
    short = _fit(optimizer=optim.lbfgs(), epochs=2)
    assert (short.stopped, short.steps) == ("epochs", 2)
    with pytest.raises(UsageError, match="L-BFGS needs the whole batch"):
        _fit(optimizer=optim.lbfgs(), batch_size=16)
    with pytest.raises(UsageError, match="without dropout"):
        _fit(model=nn.MLP((4, 8, 3), dropout=0.1), optimizer=optim.lbfgs())


def test_lbfgs_stops_at_a_loss_that_is_not_finite_and_at_ctrl_c():
    with pytest.raises(NonFiniteError, match="epoch 1, step 1: look at the scale") as caught:
        _fit((1e200 * X, X[:, 0]), nn.MLP((4, 1)), nn.SquaredError(), optimizer=optim.lbfgs())
    assert caught.value.result.steps == 0

    def callback(event):
        if event.epoch == 2:
            raise KeyboardInterrupt

    result = _fit(optimizer=optim.lbfgs(), epochs=9, callbacks=[callback])
    assert (result.stopped, result.steps, len(result.history)) == ("interrupted", 2, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_at_once_keeps_its_dtype(dtype):
    rate = optim.schedules.warm_up(optim.schedules.one_cycle(0.05, 60), 5)
    result = _fit(
        (X.astype(dtype), T),
        nn.MLP((4, 8, 8, 3), ("gelu", "mish"), dropout=0.2, batch_norm=True),
        optimizer=optim.chain(
            optim.clip_by_norm(1.0),
            optim.groups({"*bias": optim.sgd(rate, 0.9), "*": optim.adamw(rate, 0.1)}),
        ),
        epochs=10,
        batch_size=16,
        sample_weight=np.linspace(0.5, 2, len(X)),
        l1=1e-4,
        l2={"layers/0/*": 1e-3},
        validation=(XV, TV),
        early_stopping=20,
        evaluate_train=True,
    )
    assert {leaf.dtype for leaf in flatten((result.params, result.state, result.slots))[0]} == {
        np.dtype(dtype)
    }
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert result.history[0]["learning_rate"] == pytest.approx(float(rate(5)))


def test_an_update_that_changes_a_dtype_is_refused():
    def update(gradients, slots, params, step):
        from chainrule.core.tree import map_tree

        return map_tree(lambda p: p * np.float64(0.5), params), slots

    wide = optim.Optimizer("wide", lambda params: {}, update, optim.schedules.constant(0.1))
    with pytest.raises(UsageError, match=r"turned layers/0/bias from float32\[8\] into float64"):
        _fit(optimizer=wide, dtype=np.float32)


def textbook(outputs, targets):
    """Binary cross-entropy as L4.4 writes it."""
    y = 1 / (1 + np.exp(-outputs[:, 0]))
    return -(targets * np.log(y) + (1 - targets) * np.log(1 - y))


def test_losses_by_name_and_as_plain_functions():
    by_name = _fit(loss="categorical_cross_entropy")
    assert _same_bits(by_name, _fit())

    t, model = (T == 0).astype(float), nn.MLP((4, 1))
    own = _fit((X, t), model, textbook, epochs=3)
    ours = _fit((X, t), model, nn.BinaryCrossEntropy(), epochs=3)
    np.testing.assert_allclose(_leaves(own)[1], _leaves(ours)[1], rtol=1e-12)


def test_textbook_formulas_stay_finite_under_fit():
    t = (T == 0).astype(float)
    for rows in (X, 1e4 * X):
        own = _fit((rows, t), nn.MLP((4, 1)), textbook, epochs=2)
        ours = _fit((rows, t), nn.MLP((4, 1)), nn.BinaryCrossEntropy(), epochs=2)
        np.testing.assert_allclose(_leaves(own)[1], _leaves(ours)[1], rtol=1e-9)


def test_going_on_from_given_parameters():
    first = _fit(epochs=2, batch_size="full")
    before = [leaf.copy() for leaf in _leaves(first)]
    second = _fit(epochs=3, batch_size="full", params=first.params, state=first.state)
    assert all(np.array_equal(a, b) for a, b in zip(before, _leaves(first), strict=True))
    assert _same_bits(second, _fit(epochs=5, batch_size="full"))


def test_groups_of_parameters():
    start, _ = MODEL.init(0)
    result = _fit(optimizer=optim.groups({"layers/0/*": optim.frozen(), "*": optim.sgd(0.1)}))
    np.testing.assert_array_equal(
        result.params["layers"][0]["weights"], start["layers"][0]["weights"]
    )
    assert not np.array_equal(result.params["layers"][1]["weights"], start["layers"][1]["weights"])


def test_batch_norm_learns_its_running_figures():
    model = nn.MLP((4, 6, 3), batch_norm=True)
    # With a learning rate of 0 the network stands still, and each epoch of one batch takes a
    # tenth of the way from (0, 1) to that batch's figures.
    epochs = 7
    result = _fit(model=model, epochs=epochs, batch_size="full", optimizer=optim.sgd(0.0))
    hidden = X @ result.params["layers"][0]["weights"] + result.params["layers"][0]["bias"]
    figures, keep = result.state["layers"][0]["batch_norm"], 0.9**epochs
    np.testing.assert_allclose(figures["mean"], (1 - keep) * hidden.mean(0), rtol=1e-12)
    variance = keep + (1 - keep) * hidden.var(0, ddof=1)
    np.testing.assert_allclose(figures["variance"], variance, rtol=1e-12)
    with pytest.raises(UsageError, match="more than one row"):
        _fit(model=model, batch_size=1)
    # 91 rows in batches of 30: the last one has a single row and leaves the figures alone.
    extra = (np.concatenate([X, 1e3 + X[:1]]), np.append(T, 0))
    state = model.init(0)[1]
    step = train.Step(model, CE, nn.Penalty())
    batch = train.Batch(extra[0][-1:], T[:1], None)
    _, _, after = step.gradient(model.init(0)[0], state, batch, None)
    for a, b in zip(flatten(after)[0], flatten(state)[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert _fit(extra, model, batch_size=30, epochs=1).steps == 4


def test_it_learns():
    result = train.fit(
        nn.MLP((2, 16, 1), "tanh"),
        (XOR := np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])),
        loss=nn.BinaryCrossEntropy(),
        optimizer=optim.adam(0.05),
        epochs=300,
    )
    # Learned: each probability is within 5 % of its label.
    np.testing.assert_allclose(result.predict(XOR)[:, 0], [0, 1, 1, 0], atol=0.05)
    assert result.history[-1]["train_loss"] < 0.05


# --- wrong arguments ---


def test_dtypes():
    assert _leaves(_fit(epochs=1))[0].dtype == np.float64
    assert _leaves(_fit((X.astype(np.float32), T), epochs=1))[0].dtype == np.float32
    assert _leaves(_fit((np.round(X).astype(int), T), epochs=1))[0].dtype == np.float64
    assert _leaves(_fit(dtype=np.float32, epochs=1))[0].dtype == np.float32
    with pytest.raises(UsageError, match="float32 or float64"):
        _fit(dtype=np.float16)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((X, T[:-1]), DataError, "train: 90 rows of x and 89 targets"),
        ((X[:, 0], T), DataError, r"write x\[:, None\]"),
        ((X[:0], T[:0]), DataError, "no rows"),
        ((X[:, :3], T), ShapeError, r"has 4 inputs, x has shape \(1, 3\): 3 columns"),
        ((X, T + 1), DataError, r"targets\[2\] is 3; it must be a class 0 .. 2"),
        ((X.astype(str), T), DataError, "x must be numbers"),
        ((X,), UsageError, r"data is \(x, targets\)"),
    ],
)
def test_data_that_do_not_fit(data, error, message):
    with pytest.raises(error, match=message):
        _fit(data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_whose_sum_is_not_finite_may_be_finite_themselves(dtype):
    large = np.full((2, 3), np.finfo(dtype).max)
    assert check_inputs(large, dtype) is large
    large[1, 2], large[1, 1] = np.inf, -np.inf
    with pytest.raises(DataError, match=r"x\[1, 1\] is -inf, not finite \(1 more like it\)"):
        check_inputs(large, dtype)


def test_non_finite_inputs_are_named_by_row_and_column():
    x = X.copy()
    x[5, 2] = np.nan
    x[7, 0] = np.inf
    with pytest.raises(DataError, match=r"x\[5, 2\] is nan, not finite \(1 more like it\)"):
        _fit((x, T))
    with pytest.raises(DataError, match=r"validation x\[5, 2\] is nan"):
        _fit(validation=(x, T))
    with pytest.raises(DataError, match=r"x\[0, 0\] is .*e\+300, which float32 cannot hold"):
        _fit((np.where(np.eye(90, 4) > 0, 1e300, X), T), dtype=np.float32)
    params, _ = MODEL.init(0)
    params["layers"][0]["weights"][0, 0] = np.nan
    with pytest.raises(DataError, match="params: layers/0/weights"):
        _fit(params=params)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=.*: must be"),
        ({"epochs": 2.5}, "epochs=.*: must be"),
        ({"batch_size": 0}, "batch_size=0: must be an integer of at least 1"),
        ({"batch_size": "all"}, "batch_size is an integer"),
        ({"early_stopping": 3}, "needs validation"),
        (
            {"early_stopping": 0, "validation": (XV, TV)},
            "patience=0: must be an integer",
        ),
        ({"optimizer": "adem"}, "did you mean 'adam'"),
        ({"optimizer": optim.adam}, "function adam itself"),
        ({"optimizer": optim.chain(optim.weight_decay(0.1))}, "has no learning rate"),
        ({"validation": XV}, "validation is"),
        ({"loss": "mse"}, "unknown loss"),
        ({"seed": -1}, "seed=-1: must be an integer"),
        ({"data": (X, T, np.ones(90)), "sample_weight": np.ones(90)}, "the weights once"),
        ({"l2": -1.0}, "l2=-1.0: must be a finite number"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(UsageError, match=message):
        _fit(**options)
