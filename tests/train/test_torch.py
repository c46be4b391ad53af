"""PyTorch as a peer, where it is installed: layers, losses and optimisers step for step."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn, optim, train

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 5))
T = RNG.integers(0, 3, 64)

RULES = {
    "sgd": (
        optim.sgd(0.05, 0.9, weight_decay=0.1, decay_on="*"),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.1),
    ),
    "nesterov": (
        optim.sgd(0.05, 0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (
        optim.rmsprop(0.01, momentum=0.5),
        lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.5),
    ),
    "adam": (optim.adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "adamw": (
        optim.adamw(0.01, 0.3, decay_on="*"),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.3),
    ),
}

ACTIVATIONS = {
    "relu": torch.nn.ReLU,
    "tanh": torch.nn.Tanh,
    "gelu": torch.nn.GELU,
    "gelu_tanh": lambda: torch.nn.GELU(approximate="tanh"),
    "selu": torch.nn.SELU,
    "elu": torch.nn.ELU,
    "silu": torch.nn.SiLU,
    "mish": torch.nn.Mish,
    "softplus": torch.nn.Softplus,
    "leaky_relu": torch.nn.LeakyReLU,
    "logistic": torch.nn.Sigmoid,
}


def _peer(model, params, state):
    """The same network in PyTorch, its weights imported by the names of its state_dict."""
    layers = []
    for block in model.blocks:
        layers.append(torch.nn.Linear(block.linear.inputs, block.linear.outputs))
        if block.batch_norm:
            layers.append(torch.nn.BatchNorm1d(block.linear.outputs))
        if block.layer_norm:
            layers.append(torch.nn.LayerNorm(block.linear.outputs))
        if block.activation:
            layers.append(ACTIVATIONS[block.activation.name]())
    peer = torch.nn.Sequential(*layers).double()
    weights = nn.export_weights(params, state, convention="torch")
    missing = peer.load_state_dict({k: torch.tensor(v) for k, v in weights.items()}, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing.missing_keys)
    assert not missing.unexpected_keys
    return peer


def _train_both(model, optimizer, make, epochs=25):
    params, state = model.init(0)
    peer = _peer(model, params, state)
    rule = make(peer.parameters())
    data = train.ArrayData(X, T, None, 16, seed=0)
    for epoch in range(1, epochs + 1):
        for i in range(data.steps):
            batch = data.take(epoch, i)
            rule.zero_grad()
            outputs = peer(torch.tensor(batch.x))
            torch.nn.functional.cross_entropy(outputs, torch.tensor(batch.targets)).backward()
            rule.step()
    result = train.fit(
        model, data, loss=nn.CategoricalCrossEntropy(), optimizer=optimizer, epochs=epochs,
        params=params, state=state,
    )  # fmt: skip
    return result, peer


def _assert_equal(model, result, peer):
    theirs = {k: v.numpy() for k, v in peer.state_dict().items()}
    params, state = nn.import_weights(theirs, model, convention="torch")
    from chainrule.core.tree import flatten

    ours = flatten((result.params, result.state))[0]
    for a, b in zip(ours, flatten((params, state))[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", list(RULES))
def test_optimisers(name):
    model = nn.MLP((5, 8, 3), "tanh")
    _assert_equal(model, *_train_both(model, *RULES[name]))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activations(name):
    model = nn.MLP((5, 8, 3), name)
    _assert_equal(model, *_train_both(model, *RULES["sgd"], epochs=5))


@pytest.mark.parametrize("norm", ["batch_norm", "layer_norm"])
def test_normalisation(norm):
    model = nn.MLP((5, 8, 3), "tanh", bias=True, **{norm: True})
    result, peer = _train_both(model, *RULES["nesterov"], epochs=5)
    _assert_equal(model, result, peer)
    peer.eval()
    with torch.no_grad():
        wanted = torch.softmax(peer(torch.tensor(X)), dim=1).numpy()
    np.testing.assert_allclose(result.predict(X), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "peer"),
    [
        (nn.Huber(0.7), lambda z, t: torch.nn.functional.huber_loss(z, t, delta=0.7)),
        (nn.AbsoluteError(), torch.nn.functional.l1_loss),
        (nn.BinaryCrossEntropy(), torch.nn.functional.binary_cross_entropy_with_logits),
        (nn.Poisson(), torch.nn.functional.poisson_nll_loss),
    ],
)
def test_losses(loss, peer):
    z, t = RNG.normal(size=(20, 1)), RNG.uniform(size=(20, 1))
    wanted = peer(torch.tensor(z), torch.tensor(t)).item()
    assert np.mean(loss(z, t)) == pytest.approx(wanted, rel=1e-12)


def test_schedules():
    parameter = torch.zeros(1, requires_grad=True)

    def rates(make, steps):
        rule = torch.optim.SGD([parameter], lr=0.1)
        schedule = make(rule)
        found = []
        for _ in range(steps):
            found.append(rule.param_groups[0]["lr"])
            rule.step()
            schedule.step()
        return found

    scheduler = torch.optim.lr_scheduler
    table = [
        (optim.schedules.one_cycle(0.1, 50), lambda o: scheduler.OneCycleLR(o, 0.1, 50)),
        (optim.schedules.step(0.1, 0.3, 7), lambda o: scheduler.StepLR(o, 7, 0.3)),
        (optim.schedules.exponential(0.1, 0.9), lambda o: scheduler.ExponentialLR(o, 0.9)),
        (optim.schedules.cosine(0.1, 50), lambda o: scheduler.CosineAnnealingLR(o, 50)),
    ]
    for ours, theirs in table:
        wanted = rates(theirs, 50)
        np.testing.assert_allclose([float(ours(i)) for i in range(50)], wanted, rtol=1e-10)
