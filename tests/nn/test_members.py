"""TabM against its definition, written out member by member."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax

import chainrule as cr
from chainrule import nn
from chainrule.errors import ShapeError
from chainrule.tabular import Options, TabularModel, train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))


def _drawn(network, seed=0):
    """Parameters with adapters that are no longer 1."""
    params, state = network.init(seed)
    noise = np.random.default_rng(1)
    return cr.core.tree.map_tree(lambda a: a + 0.1 * noise.normal(size=a.shape), params), state


def test_each_member_is_a_network_with_weights_of_rank_one_away_from_the_shared_ones():
    network = nn.tabm((3, 6, 4, 2), members=5, dropout=0.0)
    params, state = _drawn(network)
    outputs = network(params, state, X)[0].reshape(5, 5, 2)
    first, _, second, _, heads = params["layers"]
    for k in range(5):
        h = X
        for layer in (first, second):  # y = ((x r) W) s + b is x (W r s^T) + b
            own = layer["weights"] * np.outer(layer["r"][k], layer["s"][k])
            h = np.maximum(h @ own + layer["bias"][k], 0)
        expected = h @ heads["weights"][k] + heads["bias"][k]
        np.testing.assert_allclose(outputs[:, k], expected, rtol=1e-12)


def test_how_it_starts():
    params, _ = nn.tabm((300, 200, 100, 1), members=4).init(0, np.float32)
    first, _, _, second, _, _, heads = params["layers"]
    assert set(np.unique(first["r"])) == {-1.0, 1.0}
    assert not np.array_equal(first["r"][0], first["r"][1])
    assert np.all(second["r"] == 1)
    for layer, inputs in ((first, 300), (second, 200)):
        assert np.all(layer["s"] == 1)
        assert np.all(layer["bias"] == layer["bias"][0])
        assert np.abs(layer["weights"]).max() == pytest.approx(1 / np.sqrt(inputs), rel=1e-3)
        assert layer["weights"].dtype == np.float32
    assert not np.array_equal(heads["weights"][0], heads["weights"][1])
    assert np.abs(heads["weights"]).max() <= 0.1


def test_the_loss_is_the_mean_of_the_members_own():
    outputs, classes = RNG.normal(size=(7, 4 * 3)), RNG.integers(0, 3, 7)
    loss = nn.EachMember(nn.CategoricalCrossEntropy(), 4)
    targets = loss.prepare(classes, 12, np.float64)
    apart = outputs.reshape(7, 4, 3)
    own = -log_softmax(apart, axis=2)[np.arange(7), :, classes]
    np.testing.assert_allclose(loss(outputs, targets), own.mean(axis=1), rtol=1e-12)
    mean = np.exp(log_softmax(apart, axis=2)).mean(axis=1)
    np.testing.assert_allclose(loss.predict(outputs), mean, rtol=1e-12)
    # Not the loss of the mean prediction, which is smaller (Jensen).
    assert (loss(outputs, targets) > -np.log(mean[np.arange(7), classes])).all()


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_its_gradient_is_that_of_numbers(executor):
    network = nn.tabm((3, 4, 2), members=3, activation="tanh", dropout=0.0)
    params, state = _drawn(network)
    loss, targets = nn.EachMember(nn.SquaredError(), 3), RNG.normal(size=(5, 2))

    def total(params):
        return np.sum(loss(network(params, state, X)[0], targets))

    def by_hand(params):
        hidden, _, heads = params["layers"]
        h = np.tanh(((X[:, None] * hidden["r"]) @ hidden["weights"]) * hidden["s"] + hidden["bias"])
        y = np.stack([h[:, k] @ heads["weights"][k] for k in range(3)], 1) + heads["bias"]
        return np.sum((y - targets[:, None]) ** 2) / 2 / 3

    found = cr.jit(cr.grad(total), executor=executor)(params)
    assert total(params) == pytest.approx(by_hand(params), rel=1e-12)
    pairs, treedef = cr.core.tree.flatten_with_paths(params)
    for place, (path, slope) in enumerate(cr.core.tree.flatten_with_paths(found)[0]):
        moved = [np.array(a, complex) for _, a in pairs]
        where = tuple(RNG.integers(s) for s in slope.shape)
        moved[place][where] += 1e-30j  # a complex step
        expected = by_hand(treedef.unflatten(moved)).imag / 1e-30
        assert slope[where] == pytest.approx(expected, rel=1e-9), path


def test_members_have_masks_of_their_own():
    network = nn.Sequential(nn.BatchEnsemble(6, 3, 50), nn.Dropout(0.5))
    params, state = network.init(0)
    y, _ = network(params, state, X, key=cr.random.key_of(0, 1), train=True)
    kept = y != 0
    assert any(not np.array_equal(kept[:, 0], kept[:, k]) for k in range(1, 6))
    with pytest.raises(ShapeError, match=r"\(n, members, 3\)"):
        network(params, state, X[:, :2])


@pytest.mark.parametrize("target", ["class", "number"])
def test_a_table_by_tabm(target, tmp_path):
    x = RNG.normal(size=300)
    number = np.sin(2 * x) + 0.1 * RNG.normal(size=300)
    columns = {"x": x, "number": number, "class": np.where(number > 0, "up", "low")}
    options = Options(ensemble="tabm", hidden=(12,), epochs=40, learning_rate=0.02, dropout=0.02)
    model = train({"x": x, target: columns[target]}, target, options, executor="numpy")
    assert (model.options.tabm, model.options.ensemble, len(model.members)) == (16, 1, 1)
    assert model.options.optimizer == "adamw"
    probe = {"x": np.linspace(-1.5, 1.5, 7)}
    inputs = model.inputs(probe)[0]
    params, state = model.members[0]
    alone = np.asarray(model.network.build()(params, state, inputs)[0], float)  # (7, members)
    found = model.predict(probe)
    if target == "number":
        expected = alone.mean(axis=1) * model.target.scale + model.target.center
        assert found.values == pytest.approx(expected, rel=1e-4)
        assert model.scores.of("R2", "test") > 0.8
        assert model.predict(probe, coverage=0.9).interval.shape == (7, 2)
    else:
        assert found.probabilities[:, 1] == pytest.approx(expit(alone).mean(axis=1), rel=1e-4)
        assert model.scores.of("ROC AUC", "test") > 0.95
    model.save(tmp_path / "m")
    again = TabularModel.load(tmp_path / "m")
    assert np.array_equal(again.predict(probe).values, found.values)
