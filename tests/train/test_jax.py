"""JAX as a peer, where it is installed: gradients, and Adam as Kingma's Algorithm 1."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn, optim, train
from chainrule.api import value_and_grad
from chainrule.core.tree import flatten
from tests.helpers.peers import peer

jax = peer("jax")
pytestmark = pytest.mark.peers

jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 5))
T = RNG.integers(0, 3, 64)
MODEL = nn.MLP((5, 8, 6, 3), "tanh")


def _theirs(params, x, t):
    """The mean cross-entropy of MODEL, written for JAX."""
    for layer in params["layers"][:-1]:
        x = jnp.tanh(x @ layer["weights"] + layer["bias"])
    z = x @ params["layers"][-1]["weights"] + params["layers"][-1]["bias"]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], axis=1))


def test_gradients():
    params, state = MODEL.init(0)

    def ours(params):
        return np.mean(nn.CategoricalCrossEntropy()(MODEL(params, state, X)[0], T))

    value, gradients = value_and_grad(ours)(params)
    wanted, theirs = jax.value_and_grad(_theirs)(params, X, T)
    assert value == pytest.approx(float(wanted), rel=1e-13)
    for a, b in zip(flatten(gradients)[0], jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (optim.adam(0.01), lambda o: o.adam(0.01)),
        (optim.sgd(0.05, 0.9), lambda o: o.momentum(0.05, 0.9)),
        (optim.sgd(0.05, 0.9, nesterov=True), lambda o: o.nesterov(0.05, 0.9)),
    ],
)
def test_200_steps(ours, theirs):
    from jax.example_libraries import optimizers

    init, update, get = theirs(optimizers)
    params, _ = MODEL.init(0)
    data = train.ArrayData(X, T, None, 16, seed=0)
    slots = init(params)
    step_fn = jax.jit(lambda i, slots, x, t: update(i, jax.grad(_theirs)(get(slots), x, t), slots))
    for step in range(200):
        epoch, i = divmod(step, data.steps)
        batch = data.take(epoch + 1, i)
        slots = step_fn(step, slots, batch.x, batch.targets)
    result = train.fit(
        MODEL, data, loss=nn.CategoricalCrossEntropy(), optimizer=ours, epochs=50, params=params
    )
    assert result.steps == 200
    for a, b in zip(flatten(result.params)[0], jax.tree.leaves(get(slots)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
