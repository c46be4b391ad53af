"""Layers for tables: the facts of RealMLP (arXiv 2407.04491), each computed again in NumPy."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim, train
from chainrule.errors import UsageError
from chainrule.optim import schedules

RNG = np.random.default_rng(11)
X = RNG.normal(size=(400, 3)) * [0.1, 1.0, 30.0] + [5.0, 0.0, -2.0]


def test_scale_and_parametric_activation():
    scale, mixed = nn.Scale(3), nn.Parametric(3, "mish")
    factors, alpha = np.array([2.0, 0.0, -1.0]), np.array([1.0, 0.5, 0.0])
    assert np.array_equal(scale.init(0)[0]["scale"], np.ones(3))
    assert np.array_equal(scale({"scale": factors}, {}, X)[0], X * factors)
    found, _ = mixed({"alpha": alpha}, {}, X)
    mish = X * np.tanh(np.log1p(np.exp(-np.abs(X))) + np.maximum(X, 0))
    assert found == pytest.approx(X + (mish - X) * alpha, rel=1e-12, abs=1e-12)
    assert np.array_equal(mixed.init(0)[0]["alpha"], np.ones(3))


def test_periodic_features_column_by_column():
    layer = nn.Periodic(3, frequencies=5, outputs=2)
    params, _ = layer.init(4)
    found, _ = layer(params, {}, X)
    assert found.shape == (400, layer.width) == (400, 9)
    for c in range(3):
        waves = np.cos(2 * np.pi * X[:, [c]] * params["frequencies"][c] + params["phases"][c])
        features = waves @ params["linear"][c] + params["offset"][c]
        assert found[:, 2 * c : 2 * c + 2] == pytest.approx(features, abs=1e-9)
    assert np.array_equal(found[:, 6:], X)


def test_periodic_parameters_start_as_the_paper_has_them():
    params, _ = nn.Periodic(50).init(0)
    assert params["frequencies"].shape == (50, 16)
    assert params["frequencies"].std() == pytest.approx(0.1, rel=0.1)  # 800 draws: 4 deviations
    assert -np.pi <= params["phases"].min() < -3
    assert 3 < params["phases"].max() <= np.pi
    for name, shape in (("linear", (50, 16, 3)), ("offset", (50, 3))):
        assert params[name].shape == shape
        assert 0.2 < np.abs(params[name]).max() <= 0.25


def test_columns_go_through_layers_of_their_own():
    table = nn.Dense(2, 4, bias=False)
    layer = nn.Columns((2, table), (1, None))
    params, state = layer.init(1)
    found, _ = layer(params, state, X)
    expected = np.hstack([X[:, :2] @ params["parts"][0]["weights"], X[:, 2:]])
    assert found == pytest.approx(expected, rel=1e-12)
    with pytest.raises(UsageError, match="needs parts"):
        nn.Columns()


def test_ntk_parametrisation_divides_by_the_root_of_the_inputs():
    layer = nn.Dense(3, 4, ntk=True)
    params = {"weights": RNG.normal(size=(3, 4)), "bias": RNG.normal(size=4)}
    found, _ = layer(params, {}, X)
    assert found == pytest.approx(X @ params["weights"] / math.sqrt(3) + params["bias"], rel=1e-12)


def test_a_data_dependent_start_has_unit_deviation_and_bends_inside_the_data():
    unit = nn.initializer("normal", std=1.0)
    model = nn.Sequential(
        nn.Dense(3, 40, True, unit, ntk=True, data_dependent=True),
        "relu",
        nn.Dense(40, 30, True, unit, ntk=True, data_dependent=True),
    )
    params, state = model.init(2, rows=X)
    first, last = params["layers"][0], params["layers"][2]
    y = X @ first["weights"] / math.sqrt(3)
    assert y.std(axis=0) == pytest.approx(np.ones(40), rel=1e-9)
    # Minus a convex combination of a unit's values lies within them.
    assert np.all((-first["bias"] > y.min(axis=0)) & (-first["bias"] < y.max(axis=0)))
    assert len({*np.round(first["bias"], 6)}) == 40
    hidden = np.maximum(y + first["bias"], 0)
    z = hidden @ last["weights"] / math.sqrt(40)
    assert z.std(axis=0) == pytest.approx(np.ones(30), rel=1e-9)
    # Without rows it is the plain start, and fit gives it the rows it trains on.
    plain, _ = model.init(2)
    assert np.array_equal(plain["layers"][0]["bias"], np.zeros(40))
    seen = []
    train.fit(
        model, (X, X @ np.ones((3, 30))), loss="squared_error", optimizer=optim.sgd(0.0),
        epochs=1, batch_size="full", seed=2, callbacks=[lambda e: seen.append(e.params)],
    )  # fmt: skip
    assert np.array_equal(seen[0]["layers"][0]["weights"], first["weights"])
    assert state == model.init_state()


def test_dropout_follows_a_schedule_of_its_own_steps():
    layer = nn.Dropout(schedules.step(0.5, 0.2, 3))
    params, state = layer.init(0)
    ones, key = np.ones((40, 50)), cr.random.key_of(1)
    for step in range(6):
        rate = 0.5 if step < 3 else 0.1
        y, state = layer(params, state, ones, key=key, train=True)
        assert y.max() == pytest.approx(1 / (1 - rate), rel=1e-12)
        assert (y == 0).mean() == pytest.approx(rate, abs=0.05)  # 2000 draws: 4 deviations
    assert state["steps"] == 6
    assert np.array_equal(layer(params, state, ones)[0], ones)


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_a_scheduled_dropout_trains_in_either_executor(executor, monkeypatch):
    monkeypatch.setitem(sys.modules, "chainrule.run.xla", None)  # its count is on no device
    model = nn.Sequential(nn.Dense(3, 8), "relu", nn.Dropout(schedules.flat_cosine(0.3, 20)),
                          nn.Dense(8, 1))  # fmt: skip
    result = train.fit(
        model, (X.astype(np.float32), X[:, 0]), loss="squared_error", optimizer=optim.adam(0.01),
        epochs=2, batch_size=40, executor=executor,
    )  # fmt: skip
    assert result.state["layers"][2]["steps"] == 20
    assert result.params["layers"][0]["weights"].dtype == np.float32
