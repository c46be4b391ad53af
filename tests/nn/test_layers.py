"""Layers and the MLP: shapes, gradients, dropout, normalisation, state, errors."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.api import grad, value_and_grad
from chainrule.core.tree import flatten, flatten_with_paths, map_tree
from chainrule.errors import ShapeError, UsageError
from chainrule.ops.random import key_of


def _numeric(f, params, step=1e-6):
    """Central differences, leaf by leaf, entry by entry: the slow truth."""
    leaves, treedef = flatten(params)
    out = []
    for i, leaf in enumerate(leaves):
        g = np.zeros_like(leaf)
        for at in np.ndindex(leaf.shape):
            values = []
            for sign in (1, -1):
                moved = [a.copy() for a in leaves]
                moved[i][at] += sign * step
                values.append(f(treedef.unflatten(moved)))
            g[at] = (values[0] - values[1]) / (2 * step)
        out.append(g)
    return treedef.unflatten(out)


MODELS = {
    "no hidden layer": nn.MLP((4, 3)),
    "tanh": nn.MLP((4, 5, 3), "tanh"),
    "deep": nn.MLP((4, 5, 4, 3), ("silu", "softplus")),
    "no bias": nn.MLP((4, 5, 3), "elu", bias=False),
    "batch norm": nn.MLP((4, 5, 3), "gelu", batch_norm=True),
    "layer norm": nn.MLP((4, 5, 3), "mish", layer_norm=True),
    "dropout": nn.MLP((4, 5, 6, 3), "tanh", dropout=(0.5, 0.2)),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_gradients_of_every_kind_of_network(name):
    model = MODELS[name]
    params, state = model.init(0)
    rng = np.random.default_rng(0)
    params = map_tree(lambda a: a + 0.1 * rng.normal(size=a.shape), params)
    x, t = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    key, loss = key_of(0), nn.CategoricalCrossEntropy()

    def f(params):
        outputs, _ = model(params, state, x, key=key, train=True)
        return np.mean(loss(outputs, t))

    found, wanted = grad(f)(params), _numeric(f, params)
    for (path, a), b in zip(flatten_with_paths(found)[0], flatten(wanted)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8, err_msg=path)
        # A bias before batch normalisation has derivative 0; everything else must have one.
        if not (name == "batch norm" and path == "layers/0/bias"):
            assert np.abs(b).max() > 1e-4, path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(MODELS))
def test_dtype_is_kept_everywhere(name, dtype):
    model = MODELS[name]
    params, state = model.init(0, dtype)
    x = np.ones((6, 4), dtype)

    def f(params):
        outputs, new = model(params, state, x, key=key_of(0), train=True)
        return np.sum(outputs), (outputs, new)

    (value, aux), gradients = value_and_grad(f, has_aux=True)(params)
    assert {leaf.dtype for leaf in flatten((value, aux, gradients))[0]} == {np.dtype(dtype)}


def test_dense_by_hand():
    layer = nn.Dense(2, 3)
    params, state = layer.init(0)
    assert params["weights"].shape == (2, 3)
    assert not params["bias"].any()
    x = np.array([[1.0, 2.0]])
    y, new = layer({"weights": np.arange(6.0).reshape(2, 3), "bias": np.ones(3)}, state, x)
    np.testing.assert_array_equal(y, [[7.0, 10.0, 13.0]])
    assert new == {}
    with pytest.raises(ShapeError, match=r"inputs of shape \(1, 3\) do not fit weights of shape"):
        layer(params, state, np.ones((1, 3)))


def test_dropout_scales_and_only_trains():
    layer = nn.Dropout(0.25)
    x = np.ones((200, 100))
    y, _ = layer({}, {}, x, key=key_of(1), train=True)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.02)
    again, _ = layer({}, {}, x, key=key_of(1), train=True)
    np.testing.assert_array_equal(y, again)
    other, _ = layer({}, {}, x, key=key_of(2), train=True)
    assert not np.array_equal(y, other)
    same, _ = layer({}, {}, x)
    assert same is x
    with pytest.raises(UsageError, match="needs a key"):
        layer({}, {}, x, train=True)


def test_dropout_masks_differ_between_layers():
    model = nn.MLP((50, 50, 50, 1), "identity", dropout=0.5)
    params, state = model.init(0)
    eye = {"weights": np.eye(50), "bias": np.zeros(50)}
    params = {"layers": (eye, eye, {"weights": np.ones((50, 1)), "bias": np.zeros(1)})}
    y, _ = model(params, state, np.ones((400, 50)), key=key_of(0), train=True)
    # Two independent masks of 1/2 leave a quarter, scaled by 4; one mask twice leaves a half.
    assert y.mean() == pytest.approx(50, rel=0.05)


def test_batch_norm_figures():
    layer = nn.BatchNorm(3, momentum=0.2)
    params, state = layer.init()
    x = np.random.default_rng(0).normal(5.0, 3.0, (10, 3))
    y, new = layer(params, state, x, train=True)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-14)
    # Normalised by the biased variance ...
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), rtol=1e-12)
    # ... and running with the unbiased one, as PyTorch.
    np.testing.assert_allclose(new["mean"], 0.2 * x.mean(0))
    np.testing.assert_allclose(new["variance"], 0.8 + 0.2 * x.var(0, ddof=1))
    z, same = layer(params, new, x)
    np.testing.assert_allclose(z, (x - new["mean"]) / np.sqrt(new["variance"] + 1e-5))
    assert same is new
    scaled, _ = layer({"scale": np.full(3, 2.0), "shift": np.full(3, 7.0)}, state, x, train=True)
    np.testing.assert_allclose(scaled, 2 * y + 7)


def test_batch_norm_of_one_row_uses_and_keeps_the_running_figures():
    layer = nn.BatchNorm(2)
    params, _ = layer.init()
    state = {"mean": np.array([1.0, 2.0]), "variance": np.array([4.0, 9.0])}
    y, new = layer(params, state, np.array([[3.0, 5.0]]), train=True)
    wanted = [[2 / np.sqrt(4 + 1e-5), 3 / np.sqrt(9 + 1e-5)]]  # epsilon is part of it
    np.testing.assert_allclose(y, wanted, rtol=1e-14)
    assert new is state


def test_batch_norm_state_has_no_gradient_path():
    model = nn.MLP((3, 4, 1), batch_norm=True)
    params, state = model.init(0)
    x = np.random.default_rng(0).normal(size=(8, 3))

    def f(state):
        return np.sum(model(params, state, x, train=True)[0])

    for leaf in flatten(grad(f)(state))[0]:
        assert not leaf.any()


def test_layer_norm():
    layer = nn.LayerNorm(4)
    params, state = layer.init()
    x = np.random.default_rng(0).normal(2.0, 3.0, (5, 4))
    y, _ = layer(params, state, x)
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, wanted, rtol=1e-12)
    alone, _ = layer(params, state, x[2:3], train=True)
    np.testing.assert_allclose(alone, y[2:3], rtol=1e-14)


def test_auto_initialiser_follows_the_activation():
    wide = nn.MLP((400, 300, 300, 300, 3), ("relu", "selu", "tanh"))
    params, _ = wide.init(0)
    wanted = (2 / 400, 1 / 300, 2 / 600, 2 / 303)
    for layer, variance in zip(params["layers"], wanted, strict=True):
        assert layer["weights"].var() == pytest.approx(variance, rel=0.1)
    chosen, _ = nn.MLP((4, 5, 3), initializer=("zeros", "constant")).init(0)
    assert not chosen["layers"][0]["weights"].any()


def test_constant_weights_keep_units_equal():
    """L1.7: with equal weights all units of a layer get equal gradients, for ever."""
    model = nn.MLP((3, 4, 1), "tanh", initializer=nn.initializer("constant", value=0.3))
    params, state = model.init(0)
    x = np.random.default_rng(0).normal(size=(5, 3))
    g = grad(lambda p: np.sum(model(p, state, x)[0] ** 2))(params)
    first = g["layers"][0]["weights"]
    np.testing.assert_array_equal(first, np.repeat(first[:, :1], 4, axis=1))
    assert first.any()


def test_summary():
    model = nn.MLP((11, 64, 3), dropout=0.2, batch_norm=True)
    assert model.summary() == (
        "MLP 11-64-3\n"
        "layer  weights   bias   then                           parameters\n"
        "-----------------------------------------------------------------\n"
        "0      (11, 64)  (64,)  batch norm, relu, dropout 0.2         896\n"
        "1      (64, 3)   (3,)   linear outputs                        195\n"
        "-----------------------------------------------------------------\n"
        "total                                                       1,091"
    )
    params, _ = model.init(0)
    assert sum(leaf.size for leaf in flatten(params)[0]) == 1091
    assert str(model) == model.summary()


def test_networks_are_values():
    assert nn.MLP((2, 3, 1)) == nn.MLP([2, 3, 1])
    assert hash(nn.MLP((2, 3, 1), ["tanh"], [0.1])) == hash(nn.MLP((2, 3, 1), ("tanh",), (0.1,)))
    with pytest.raises(AttributeError):
        nn.MLP((2, 1)).bias = False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": (3,)}, "at least two numbers"),
        ({"sizes": 3}, "at least two numbers"),
        ({"sizes": (3, 0, 1)}, "an integer of at least 1"),
        ({"sizes": (3, 2.5, 1)}, "an integer of at least 1"),
        ({"sizes": (3, 2, 1), "activation": "rel"}, "unknown activation"),
        ({"sizes": (3, 1), "activation": "rel"}, "unknown activation"),
        ({"sizes": (3, 2, 1), "activation": ("relu", "relu")}, "activation has 2 entries"),
        ({"sizes": (3, 2, 1), "dropout": 1.0}, "rate=1.0: must be"),
        ({"sizes": (3, 2, 1), "dropout": (0.1, 0.1)}, "dropout has 2 entries"),
        ({"sizes": (3, 2, 1), "initializer": "xavier"}, "unknown initialiser"),
        ({"sizes": (3, 2, 1), "initializer": ("zeros",)}, "network has 2 layers"),
        ({"sizes": (3, 2, 1), "batch_norm": True, "layer_norm": True}, "not both"),
    ],
)
def test_settings_that_do_not_fit(arguments, message):
    with pytest.raises(UsageError, match=message):
        nn.MLP(**arguments)


def test_wrong_shapes_are_explained():
    model = nn.MLP((4, 5, 3))
    params, state = model.init(0)
    with pytest.raises(ShapeError, match=r"has 4 inputs, x has shape \(2, 5\): 5 columns"):
        model(params, state, np.ones((2, 5)))
    turned = map_tree(lambda a: a.T, params)
    with pytest.raises(ShapeError, match=r"layer 0: weights need shape \(4, 5\).*transpose would"):
        model(turned, state, np.ones((2, 4)))
    with pytest.raises(ShapeError, match="1 layers, the network 2"):
        model({"layers": params["layers"][:1]}, state, np.ones((2, 4)))
    with pytest.raises(UsageError, match="float32 or float64"):
        model.init(0, np.int64)
