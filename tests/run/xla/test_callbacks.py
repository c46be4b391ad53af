"""Primitives that are called out: of any size, and in the bodies of loops."""

import numpy as np
import pytest
from scipy import special

import chainrule as cr
from chainrule import nn, optim, train

pytest.importorskip("jax")


def test_large_arrays_are_handed_over_in_their_own_type() -> None:
    """XLA calls from a thread of its own, in which JAX rounded float64 and int64 to 32 bits."""
    x = np.linspace(0.5, 3, 100_000)

    def f(x):
        return np.sum(np.sin(special.kv(1.3, 2 + np.cos(x))) * x)

    wanted = cr.jit(f, executor="numpy")(x)
    run = cr.jit(f, executor="xla")
    np.testing.assert_allclose([run(x) for _ in range(8)], wanted, rtol=1e-12)
    f32 = cr.jit(lambda x: special.kv(1.3, x), executor="xla")(x.astype(np.float32))
    assert f32.dtype == np.float32


def test_a_training_calls_out() -> None:
    def loss(p, t):
        return np.mean(special.kv(1.3, 1 + (p - t) ** 2), axis=-1)

    given = nn.MLP((2, 3, 1)), (np.ones((64, 2)), np.ones((64, 1)))
    more = {"loss": loss, "optimizer": optim.adam(0.01), "epochs": 2, "batch_size": 16, "seed": 0}
    found, wanted = (train.fit(*given, **more, executor=name) for name in ("xla", "numpy"))
    for x, y in zip(cr.tree.leaves(found.params), cr.tree.leaves(wanted.params), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10)


@pytest.mark.parametrize("ways", [lambda f: f, cr.grad])
def test_bodies_of_loops_call_out(ways) -> None:
    def scanned(r):
        return cr.scan(lambda c, x: (c + special.kv(1.3, x), c), 0.0, r)[0]

    def counted(r):
        return cr.fori_loop(0, 3, lambda i, c: c * special.kv(1.3, c + np.sum(r)), 1.0)

    r = np.array([1.0, 2.0, 3.0])
    for f in (scanned, counted):
        found, wanted = (cr.jit(ways(f), executor=name)(r) for name in ("xla", "numpy"))
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_log_gamma_at_minus_infinity() -> None:
    assert cr.jit(special.gammaln, executor="xla")(-np.inf) == special.gammaln(-np.inf)
