"""Layers in a row: equal to the MLP of the same weights, and to what they are one by one."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn, optim, train
from chainrule.errors import ShapeError, UsageError
from chainrule.ops.random import key_of

X = np.random.default_rng(0).normal(size=(40, 4))
T = np.arange(40) % 3


def test_it_computes_what_the_mlp_of_its_weights_does():
    model = nn.Sequential(nn.Dense(4, 8), "tanh", nn.Dense(8, 3))
    params, state = model.init(3)
    first, middle, last = params["layers"]
    assert middle == {}
    wanted, _ = nn.MLP((4, 8, 3), "tanh")({"layers": (first, last)}, {"layers": ({}, {})}, X)
    np.testing.assert_array_equal(model(params, state, X)[0], wanted)
    again, _ = model.init(3)
    np.testing.assert_array_equal(again["layers"][0]["weights"], first["weights"])
    assert not np.array_equal(model.init(4)[0]["layers"][0]["weights"], first["weights"])


def test_layers_of_all_kinds_train():
    inner = nn.Sequential([nn.Dense(8, 8), nn.silu, nn.LayerNorm(8)])
    model = nn.Sequential(
        nn.Dense(4, 8), nn.BatchNorm(8), nn.activation("elu", alpha=0.5), nn.Dropout(0.2), inner,
        nn.MLP((8, 5, 3), dropout=0.1),
    )  # fmt: skip
    assert model.needs_key
    assert model.batch_norm
    result = train.fit(
        model,
        (X, T),
        loss="categorical_cross_entropy",
        optimizer=optim.adam(0.05),
        epochs=30,
    )
    assert result.history[-1]["train_loss"] < 0.8 * result.history[0]["train_loss"]
    assert not np.array_equal(result.state["layers"][1]["mean"], np.zeros(8))
    fresh = model.init_state()
    np.testing.assert_array_equal(fresh["layers"][1]["variance"], np.ones(8))
    assert fresh["layers"][5] == {"layers": ({}, {})}


def test_each_dropout_has_a_mask_of_its_own():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    params, state = model.init(0)
    ones = np.ones((1, 4000))
    y, _ = model(params, state, ones, key=key_of(0, 0), train=True)
    assert np.mean(y > 0) == pytest.approx(0.25, abs=0.04)  # 5 deviations of a mean of 4000


def test_errors():
    with pytest.raises(UsageError, match="needs layers"):
        nn.Sequential()
    with pytest.raises(UsageError, match="did you mean 'relu'"):
        nn.Sequential(nn.Dense(2, 2), "rellu")
    with pytest.raises(UsageError, match="class Dense itself; call it"):
        nn.Sequential(nn.Dense)
    with pytest.raises(UsageError, match=r"or a value .*, not 5"):
        nn.Sequential(5)
    model = nn.Sequential(nn.Dense(4, 8), nn.Dense(7, 3))
    with pytest.raises(ShapeError, match="do not fit weights of shape"):
        model(*model.init(0), X)
    with pytest.raises(UsageError, match="more than one row per minibatch"):
        train.fit(
            nn.Sequential(nn.Dense(4, 3), nn.BatchNorm(3)), (X, T),
            loss="categorical_cross_entropy", optimizer=optim.sgd(0.1), batch_size=1,
        )  # fmt: skip
