"""Weights in and out in the conventions of L0.3; penalties."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.api import grad
from chainrule.core.tree import flatten
from chainrule.errors import DtypeError, ShapeError, UsageError

MODEL = nn.MLP((4, 5, 3), "tanh")
X = np.random.default_rng(0).normal(size=(6, 4))


def _trained_like(model, seed=0):
    params, state = model.init(seed)
    rng = np.random.default_rng(seed)
    for tree in (params, state):
        for leaf in flatten(tree)[0]:
            leaf += np.abs(rng.normal(size=leaf.shape))
    return params, state


def test_each_convention_computes_the_same_function():
    params, state = _trained_like(MODEL)
    y = MODEL(params, state, X)[0]

    def by_hand(convention, layer):
        out, h = nn.export_weights(params, convention=convention), X
        for i in range(2):
            h = layer(out, i, h)
            h = np.tanh(h) if i == 0 else h
        return h

    slides = by_hand(
        "inputs_outputs", lambda w, i, h: h @ w[f"layers/{i}/weights"] + w[f"layers/{i}/bias"]
    )
    book = by_hand(
        "outputs_inputs",
        lambda w, i, h: (w[f"layers/{i}/weights"] @ h.T + w[f"layers/{i}/bias"][:, None]).T,
    )
    torch = by_hand("torch", lambda w, i, h: h @ w[f"{2 * i}.weight"].T + w[f"{2 * i}.bias"])
    dummy = by_hand("bias_row", lambda w, i, h: np.c_[np.ones(len(h)), h] @ w[f"layers/{i}/theta"])
    for found in (slides, book, torch, dummy):
        np.testing.assert_allclose(found, y, rtol=1e-13)


@pytest.mark.parametrize("convention", [*nn.CONVENTIONS, "keras", "textbook"])
@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        nn.MLP((4, 3)),
        nn.MLP((4, 5, 3), bias=False),
        nn.MLP((4, 5, 6, 3), batch_norm=True),
        nn.MLP((4, 5, 3), layer_norm=True),
    ],
)
def test_round_trip(model, convention):
    params, state = _trained_like(model)
    out = nn.export_weights(params, state, convention=convention)
    back = nn.import_weights(out, model, convention=convention)
    for a, b in zip(flatten((params, state))[0], flatten(back)[0], strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.shares_memory(a, b)
        assert b.flags.c_contiguous


def test_torch_names():
    model = nn.MLP((4, 5, 6, 3), batch_norm=True)
    out = nn.export_weights(*_trained_like(model), convention="torch")
    assert list(out)[:6] == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
    ]  # fmt: skip
    assert [name for name in out if name.endswith("weight")] == [
        "0.weight", "1.weight", "3.weight", "4.weight", "6.weight",
    ]  # fmt: skip
    assert out["0.weight"].shape == (5, 4)
    named = nn.export_weights(MODEL.init(0)[0], convention="torch", names=["net.0", "net.3"])
    assert list(named) == ["net.0.weight", "net.0.bias", "net.3.weight", "net.3.bias"]
    with pytest.raises(UsageError, match="needs the state"):
        nn.export_weights(model.init(0)[0], convention="torch")


def test_import_from_plain_lists_and_with_batches_counted():
    params, _ = MODEL.init(1)
    leaves = [layer[part] for layer in params["layers"] for part in ("weights", "bias")]
    back, _ = nn.import_weights(leaves, MODEL, convention="keras")
    np.testing.assert_array_equal(back["layers"][1]["weights"], params["layers"][1]["weights"])
    model = nn.MLP((4, 5, 3), batch_norm=True)
    out = nn.export_weights(*model.init(0), convention="torch")
    out["1.num_batches_tracked"] = np.array(7)
    nn.import_weights(out, model, convention="torch")


def test_dtype():
    params, _ = MODEL.init(0, np.float32)
    out = nn.export_weights(params)
    assert {leaf.dtype for leaf in flatten(nn.import_weights(out, MODEL))[0]} == {np.dtype("f4")}
    wide = nn.import_weights(out, MODEL, dtype=np.float64)
    assert {leaf.dtype for leaf in flatten(wide)[0]} == {np.dtype("f8")}


def test_know_your_shapes():
    out = nn.export_weights(MODEL.init(0)[0], convention="torch")
    with pytest.raises(
        ShapeError,
        match=r"layer 0 \(0.weight\): weights need shape \(4, 5\), \(inputs, outputs\), and have "
        r"\(5, 4\); the transpose would fit",
    ):
        nn.import_weights(out, MODEL)
    slides = nn.export_weights(MODEL.init(0)[0])
    with pytest.raises(ShapeError, match=r"\(outputs, inputs\), and have \(4, 5\); the transpose"):
        nn.import_weights(slides, MODEL, convention="textbook")
    with pytest.raises(ShapeError, match=r"theta needs shape \(5, 5\).* and has \(4, 5\)$"):
        nn.import_weights([np.ones((4, 5)), np.ones((6, 3))], MODEL, convention="bias_row")
    slides["layers/1/bias"] = np.ones(4)
    with pytest.raises(ShapeError, match=r"layer 1 \(layers/1/bias\): bias needs shape \(3,\)"):
        nn.import_weights(slides, MODEL)
    with pytest.raises(UsageError, match="1 arrays for a network that has 4: weights of layer 0"):
        nn.import_weights([np.ones((4, 5))], MODEL)
    with pytest.raises(UsageError, match="unknown convention 'jax'"):
        nn.import_weights(slides, MODEL, convention="jax")


def test_penalty_values_and_slopes():
    params, _ = _trained_like(MODEL)
    weights = [layer["weights"] for layer in params["layers"]]
    penalty = nn.Penalty(l1=0.3, l2=0.2)
    wanted = sum(0.3 * np.abs(w).sum() + 0.1 * (w * w).sum() for w in weights)
    assert penalty(params) == pytest.approx(wanted, rel=1e-14)
    g = grad(penalty)(params)
    for layer, w in zip(g["layers"], weights, strict=True):
        np.testing.assert_allclose(layer["weights"], 0.3 * np.sign(w) + 0.2 * w, rtol=1e-14)
        assert not layer["bias"].any()


def test_penalty_leaves_normalisation_alone_and_takes_groups():
    model = nn.MLP((4, 5, 3), batch_norm=True)
    params, _ = model.init(0)
    g = grad(nn.Penalty(l2=1.0))(params)
    assert not g["layers"][0]["batch_norm"]["scale"].any()
    grouped = nn.Penalty(l2={"layers/1/weights": 2.0, "*/bias": 1.0})
    params["layers"][0]["bias"] += 3.0
    g = grad(grouped)(params)
    assert not g["layers"][0]["weights"].any()
    np.testing.assert_array_equal(g["layers"][0]["bias"], np.full(5, 3.0))
    np.testing.assert_allclose(g["layers"][1]["weights"], 2 * params["layers"][1]["weights"])


def test_penalty_errors():
    assert not nn.Penalty()
    assert nn.Penalty(l1=1e-3)
    with pytest.raises(UsageError, match=r"l2=-1\.0: must be a finite number, at least 0"):
        nn.Penalty(l2=-1.0)
    with pytest.raises(UsageError, match="'layer/0' matches none of 'layers/0/bias', "):
        nn.Penalty(l2={"layer/0": 1.0})(MODEL.init(0)[0])
    with pytest.raises(UsageError, match=r"'\*weights' matches none of 'w'; .* l1=\{\"\*\": 0.5\}"):
        nn.Penalty(l1=0.5)({"w": np.ones(2)})
    assert nn.Penalty(l1={"*": 0.5})({"w": np.ones(2)}) == 1.0


@pytest.mark.parametrize("dtype", ["int", np.float16, complex, "text", bool])
def test_networks_are_of_floats_only(dtype):
    weights = nn.export_weights(MODEL.init(0)[0])
    for made in (
        lambda: nn.import_weights(weights, MODEL, dtype=dtype),
        lambda: MODEL.init(0, dtype),
        lambda: MODEL.init_state(dtype),
    ):
        with pytest.raises(UsageError, match="networks compute in float32 or float64, not"):
            made()


@pytest.mark.parametrize("bad", [complex, "U3", object])
def test_weights_to_import_are_real_numbers(bad):
    weights = nn.export_weights(MODEL.init(0)[0])
    weights["layers/1/bias"] = weights["layers/1/bias"].astype(bad)
    with pytest.raises(DtypeError, match=r"layers/1/bias has dtype .*real numbers"):
        nn.import_weights(weights, MODEL)
