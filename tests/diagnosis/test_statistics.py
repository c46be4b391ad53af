"""What happens in each layer: against derivatives of our own making, and Nielsen's figures."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, train
from chainrule.core.tree import flatten
from chainrule.diagnosis import Monitor, statistics
from chainrule.diagnosis.statistics import Statistics

RNG = np.random.default_rng(0)
# As bright as handwritten digits are: a fifth of the pixels is not 0.
PIXELS = RNG.random((1000, 784)) * (RNG.random((1000, 784)) < 0.19)
DIGITS = np.eye(10)[RNG.integers(0, 10, 1000)]
NIELSEN = {
    (784, 30, 30, 10): (0.07, 0.31),
    (784, 30, 30, 30, 10): (0.012, 0.060, 0.283),
    (784, 30, 30, 30, 30, 10): (0.003, 0.017, 0.070, 0.285),
}
"""Speeds of learning of the hidden layers at the start: Nielsen, Neural Networks and Deep Learning,
chapter 5, logistic units, cross-entropy, weights of deviation 1/sqrt(inputs), biases of 1."""


def nielsens(sizes: tuple[int, ...], seed: int) -> Any:
    model = nn.MLP(sizes, "logistic", initializer="lecun_normal")
    params, state = model.init(seed)
    rng = np.random.default_rng(seed)
    layers = tuple(
        {"weights": layer["weights"], "bias": rng.normal(size=layer["bias"].shape)}
        for layer in params["layers"]
    )
    loss = nn.BinaryCrossEntropy()
    return statistics(model, {"layers": layers}, state, PIXELS, DIGITS, loss)


@pytest.mark.parametrize("sizes", NIELSEN)
def test_vanishing_gradients_come_out_layer_by_layer(sizes: tuple[int, ...]) -> None:
    found = [nielsens(sizes, seed).layers[:-1] for seed in range(5)]
    for i, published in enumerate(NIELSEN[sizes]):
        speed = np.exp(np.mean([np.log(layers[i].delta) for layers in found]))
        # His network is one draw, on other images: within half an order of magnitude.
        assert 0.33 < speed / published < 3
    for layers in found:
        for layer in layers:
            assert layer.weight_factor is not None
            assert layer.slope_factor is not None
            assert 0.5 < layer.weight_factor < 2  # the slopes do it: at most 1/4 each
            assert layer.slope_factor < 0.25


def test_the_factors_multiply_to_what_the_gradient_loses() -> None:
    layers = nielsens((784, 30, 30, 30, 10), 0).layers
    for near, far in zip(layers[1:], layers, strict=False):
        assert far.weight_factor is not None
        assert far.slope_factor is not None
        lost = far.signal / near.signal
        assert far.weight_factor * far.slope_factor == pytest.approx(lost, rel=1e-12)


@pytest.mark.parametrize("kind", ["plain", "batch_norm", "layer_norm"])
def test_gradients_and_activations_are_those_of_the_network(kind: str) -> None:
    model = nn.MLP(
        (4, 5, 3), "tanh", batch_norm=kind == "batch_norm", layer_norm=kind == "layer_norm"
    )
    params, state = model.init(1)
    x, targets = RNG.normal(size=(20, 4)), RNG.integers(0, 3, 20)
    loss = nn.CategoricalCrossEntropy()
    found = statistics(model, params, state, x, targets, loss)

    def mean(params: Any) -> Any:
        return np.mean(loss(model(params, state, x, train=True)[0], targets))

    value, gradient = cr.value_and_grad(mean)(params)
    assert found.loss == pytest.approx(value, rel=1e-12)
    for layer, g in zip(found.layers, gradient["layers"], strict=True):
        assert layer.gradient == pytest.approx(np.linalg.norm(g["weights"]), rel=1e-9)
        if kind == "plain":
            assert layer.delta == pytest.approx(np.linalg.norm(g["bias"]), rel=1e-9)
    outputs = model(params, state, x, train=True)[0]
    assert found.layers[-1].std == pytest.approx(np.std(outputs), rel=1e-12)


def test_dead_saturated_and_equal_units_are_counted() -> None:
    model = nn.MLP((3, 4, 1))
    params, state = model.init(0)
    w = np.ones((3, 4))
    w[:, 1] = 2.0
    layer = {"weights": w, "bias": np.array([0.0, -1e3, -1e3, -1e3])}
    params = {"layers": (layer, params["layers"][1])}
    x = np.abs(RNG.normal(size=(50, 3)))
    found = statistics(model, params, state, x, x[:, 0], nn.SquaredError())
    assert found.layers[0].dead == 0.75
    assert found.layers[0].same == 0.5  # two different columns of four
    far = nn.MLP((3, 4, 1), "logistic", initializer=nn.initializer("normal", std=100.0))
    params, state = far.init(0)
    assert statistics(far, params, state, x, x[:, 0], nn.SquaredError()).layers[0].saturated > 0.9


def test_a_monitor_watches_a_training_and_changes_nothing() -> None:
    x = RNG.normal(size=(300, 4))
    model, y = nn.MLP((4, 8, 1)), x[:, 0]
    monitor = Monitor(model, "squared_error", x, y)
    monitor.start(*model.init(0), steps=10)
    settings: Any = {"loss": "squared_error", "optimizer": "adam", "epochs": 4}
    watched = train.fit(model, (x, y), callbacks=[monitor], **settings)
    alone = train.fit(model, (x, y), **settings)
    pairs = zip(flatten(watched.params)[0], flatten(alone.params)[0], strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)
    assert [one.epoch for one in monitor.history[:2]] == [0, 1]
    first = monitor.history[1].layers[0].moved
    assert first is not None
    assert 1e-4 < first < 1e-1


def test_layers_one_after_another_are_looked_at_as_those_of_a_plain_network() -> None:
    """The same network as an MLP, as a Sequential, and with products scaled by 1/sqrt(inputs)."""
    plain = nn.MLP((4, 8, 8, 3), "tanh")
    params, state = plain.init(0)
    x, t = RNG.normal(size=(50, 4)), RNG.integers(0, 3, 50)
    loss = nn.CategoricalCrossEntropy()
    wanted = statistics(plain, params, state, x, t, loss)

    sizes = list(zip((4, 8, 8), (8, 8, 3), strict=True))
    for ntk in (False, True):
        one, two, three = (nn.Dense(n, m, ntk=ntk) for n, m in sizes)
        second = nn.Parametric(8, "tanh")  # as it is while every alpha is 1
        model = nn.Sequential(one, "tanh", nn.Dropout(0.2), two, second, three)
        fresh, own = model.init(0)
        layers = list(fresh["layers"])
        for i, layer in zip((0, 3, 5), params["layers"], strict=True):
            w = layer["weights"]
            scaled = w * np.sqrt(len(w)) if ntk else w
            layers[i] = {"weights": scaled, "bias": layer["bias"]}
        found = statistics(model, {"layers": tuple(layers)}, own, x, t, loss)
        assert found.loss == pytest.approx(wanted.loss)
        for a, b in zip(found.layers, wanted.layers, strict=True):
            assert (a.name, a.activation, a.units) == (b.name, b.activation, b.units)
            for name in ("std", "delta", "signal", "gradient", "weights", "weight_factor",
                         "slope_factor"):  # fmt: skip
                mine, other = getattr(a, name), getattr(b, name)
                assert mine == (other if other is None else pytest.approx(other, rel=1e-9)), name


def test_layers_of_other_kinds_are_refused() -> None:
    skips = nn.MLP((4, 4, 4, 1), residual=True)
    with pytest.raises(cr.errors.UsageError, match="layers of an MLP without skips"):
        statistics(skips, *skips.init(0), X4, X4[:, :1], nn.SquaredError())
    monitor = Monitor(skips, "squared_error", X4, X4[:, :1])
    monitor.look(*skips.init(0), 0)
    assert monitor.history == []


def test_looks_take_two_percent_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of our own: each epoch takes 10, each look 1."""
    now = [0.0]
    monkeypatch.setattr(time, "thread_time", lambda: now[0])

    model = nn.MLP((4, 4, 1))
    monitor = Monitor(model, "squared_error", X4, X4[:, :1])
    params, state = model.init(0)

    def look(params: Any, state: Any, epoch: int, moved: Any = None) -> Statistics:
        now[0] += 1
        return Statistics(epoch, 0.0, ())

    monitor._looking = look  # type: ignore[assignment]
    for epoch in range(1, 1001):
        now[0] += 10
        monitor(train.EpochEnd(epoch, 1000, {}, None, params, state))
    assert 180 <= len(monitor.history) <= 0.02 * now[0] + 1


X4 = RNG.normal(size=(20, 4))
