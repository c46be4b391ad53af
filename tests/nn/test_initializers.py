"""Initialisers: their variances, bounds and orthogonality, with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import ShapeError, UsageError
from chainrule.nn.initializers import generator

SHAPE = (300, 500)
VARIANCES = {
    "glorot": 2 / (300 + 500),
    "he": 2 / 300,
    "lecun": 1 / 300,
}


def _draw(name, shape=SHAPE, dtype=np.float64, **settings):
    return nn.initializer(name, **settings)(generator(0), shape, dtype)


@pytest.mark.parametrize("family", list(VARIANCES))
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_scaled(family, gain):
    variance = VARIANCES[family] * gain**2
    normal, uniform = (_draw(f"{family}_{kind}", gain=gain) for kind in ("normal", "uniform"))
    # The variance of n numbers is itself known to a share of sqrt(2/n); 5 of those are allowed.
    n = normal.size
    assert normal.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / n))
    assert uniform.var() == pytest.approx(variance, rel=5 * np.sqrt(0.8 / n))
    assert abs(normal.mean()) < 5 * np.sqrt(variance / n)
    limit = np.sqrt(3 * variance)
    assert 0.999 * limit < np.abs(uniform).max() <= limit
    # Kurtosis tells one distribution from the other; over n normal numbers it is known to
    # sqrt(24/n), over uniform ones to less.
    error = 5 * np.sqrt(24 / n)
    assert np.mean((normal / normal.std()) ** 4) == pytest.approx(3.0, abs=error)
    assert np.mean((uniform / uniform.std()) ** 4) == pytest.approx(1.8, abs=error)


@pytest.mark.parametrize("shape", [(20, 7), (7, 20), (9, 9)])
def test_orthogonal(shape):
    w = _draw("orthogonal", shape)
    small = w.T @ w if shape[0] >= shape[1] else w @ w.T
    np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-14)
    np.testing.assert_allclose(_draw("orthogonal", shape, gain=3.0), 3 * w)


def test_orthogonal_is_uniform_in_sign():
    # QR alone leaves the signs of the diagonal of r to LAPACK: they must not show.
    n = 2000
    firsts = [nn.initializer("orthogonal")(generator(s), (3, 3), np.float64) for s in range(n)]
    traces = np.array([np.trace(q) for q in firsts])
    # Of a uniform orthogonal matrix the trace has mean 0, variance 1 and fourth moment 3 (Diaconis
    # and Shahshahani 1994), so its variance over n draws is known to sqrt(2/n); 5 of those are
    # allowed, as above.
    assert abs(traces.mean()) < 5 / np.sqrt(n)
    assert traces.var() == pytest.approx(1.0, rel=5 * np.sqrt(2 / n))


def test_plain_ones():
    assert not _draw("zeros").any()
    assert (_draw("constant", value=0.5) == 0.5).all()
    # The deviation of n normal numbers is itself known to a share of sqrt(1/2n).
    assert _draw("normal").std() == pytest.approx(0.01, rel=5 * np.sqrt(0.5 / np.prod(SHAPE)))
    some = _draw("normal", std=0.3, shape=(10000,))
    assert some.std() == pytest.approx(0.3, rel=5 * np.sqrt(0.5 / 10000))


def test_dtypes_hold_the_same_network_and_seeds_differ():
    a, b = _draw("he_normal"), _draw("he_normal", dtype=np.float32)
    assert b.dtype == np.float32
    np.testing.assert_array_equal(a.astype(np.float32), b)
    other = nn.initializer("he_normal")(generator(1), SHAPE, np.float64)
    assert not np.array_equal(a, other)


def test_layers_draw_from_streams_of_their_own():
    one, _ = nn.MLP((6, 6, 6, 2)).init(3)
    two, _ = nn.MLP((6, 9, 6, 2)).init(3)
    first, second = (layer["weights"] for layer in one["layers"][:2])
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(one["layers"][2]["weights"], two["layers"][2]["weights"])


def test_errors():
    with pytest.raises(UsageError, match="unknown initialiser 'xavier'; known are zeros"):
        nn.initializer("xavier")
    with pytest.raises(UsageError, match="zeros has no setting 'gain'; it takes no settings"):
        nn.initializer("zeros", gain=1.0)
    with pytest.raises(ShapeError, match="for weight matrices"):
        _draw("he_normal", (3,))
    for seed in (-1, 1.5, True):
        with pytest.raises(UsageError, match=r"seed=.*: must be an integer"):
            generator(seed)
