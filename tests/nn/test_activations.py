"""Activations: values and slopes against mpmath, in both dtypes, up to 1e4 and at the kinks."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from chainrule import nn
from chainrule.api import grad
from chainrule.errors import DtypeError, UsageError

mpmath.mp.dps = 50

SELU_A, SELU_S = mpmath.mpf("1.6732632423543772848"), mpmath.mpf("1.0507009873554804934")


def _softplus(x):
    return mpmath.log1p(mpmath.exp(x))


EXACT = {
    "identity": lambda x: x,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "relu": lambda x: max(x, mpmath.mpf(0)),
    "leaky_relu": lambda x: x if x > 0 else mpmath.mpf(0.01) * x,
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "selu": lambda x: SELU_S * (x if x > 0 else SELU_A * mpmath.expm1(x)),
    "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "gelu_tanh": lambda x: (
        x / (1 + mpmath.exp(-2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf(0.044715) * x**3)))
    ),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(_softplus(x)),
    "softplus": _softplus,
}

# The derivative at 0 where there is a kink, by the convention of the documentation.
AT_KINK = {
    "relu": 0.0,
    "leaky_relu": 0.01,
    "elu": 1.0,
    "selu": float(SELU_S * SELU_A),
}

POINTS = (-1e4, -90.0, -20.0, -5.5, -1.0, -0.3, -1e-4, 1e-4, 0.3, 1.0, 5.5, 20.0, 90.0, 1e4)


def test_every_activation_has_a_reference():
    assert set(EXACT) == set(nn.ACTIVATIONS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(EXACT))
def test_values_and_slopes(name, dtype):
    f = nn.activation(name)
    x = np.array(POINTS, dtype)
    y = f(x)
    slopes = grad(lambda x: np.sum(f(x)))(x)
    assert y.dtype == dtype
    assert slopes.dtype == dtype
    eps = np.finfo(dtype).eps
    with mpmath.workdps(60):
        for point, value, slope in zip(x.tolist(), y.tolist(), slopes.tolist(), strict=True):
            point = mpmath.mpf(point)
            exact = float(EXACT[name](point))
            exact_slope = float(mpmath.diff(EXACT[name], point, h=mpmath.mpf(10) ** -20))
            # Below the smallest normal number logistic(x) may be 0, and x multiplies what is lost.
            tiny = 100 * float(np.finfo(dtype).tiny)
            tolerance = 200 * float(eps)
            assert abs(value - exact) <= tolerance * abs(exact) + tiny, (point, value, exact)
            # y (1 - y) loses relative, not absolute, accuracy where y is near 1.
            assert abs(slope - exact_slope) <= tolerance * max(abs(exact_slope), 1e-2) + tiny, (
                point,
                slope,
                exact_slope,
            )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(EXACT))
def test_at_zero(name, dtype):
    f = nn.activation(name)
    value = f(np.zeros(1, dtype))
    assert value[0] == pytest.approx(float(EXACT[name](mpmath.mpf(0))), rel=1e-6, abs=0)
    slope = grad(lambda x: np.sum(f(x)))(np.zeros(1, dtype))
    wanted = AT_KINK.get(name)
    if wanted is None:
        wanted = float(mpmath.diff(EXACT[name], 0))
    assert slope[0] == pytest.approx(wanted, rel=10 * float(np.finfo(dtype).eps), abs=1e-12)


@pytest.mark.parametrize("name", ["elu", "selu", "gelu", "gelu_tanh", "silu", "mish", "softplus"])
def test_second_derivative_is_finite_everywhere(name):
    f = nn.activation(name)
    x = np.array([*POINTS, 0.0])
    second = grad(lambda x: np.sum(grad(lambda x: np.sum(f(x)))(x)))(x)
    assert np.isfinite(second).all()


def test_settings():
    leaky = nn.activation("leaky_relu", slope=0.2)
    np.testing.assert_allclose(leaky(np.array([-1.0, 2.0])), [-0.2, 2.0])
    assert str(leaky) == "leaky_relu(slope=0.2)"
    elu = nn.activation("elu", alpha=2.0)
    np.testing.assert_allclose(elu(np.array([-1.0])), [2 * np.expm1(-1.0)])
    assert nn.activation("swish") == nn.activation("silu")
    assert nn.activation(leaky) is leaky


def test_errors_say_what_is_known():
    with pytest.raises(
        UsageError,
        match=r"unknown activation 'rellu'; did you mean 'relu'\? Known are identity, logistic",
    ):
        nn.activation("rellu")
    with pytest.raises(UsageError, match="relu has no setting 'slope'; it takes no settings"):
        nn.activation("relu", slope=0.1)


@pytest.mark.parametrize("name", [*EXACT, "log_logistic", "softmax", "log_softmax"])
def test_numbers_give_numbers_and_lists_give_arrays(name):
    f = getattr(nn, name)
    for number in (2.0, -0.5, np.float32(2), np.array(0.5)):
        value = f(number)
        wanted = np.float32 if isinstance(number, np.float32) else np.float64
        assert type(value) is wanted, (number, type(value))
    many = f([2.0, -0.5])
    assert type(many) is np.ndarray
    assert many.shape == (2,)


def test_a_function_of_your_own():
    own = nn.activation(np.cbrt)
    assert str(own) == "cbrt"
    np.testing.assert_array_equal(own(np.array([8.0])), [2.0])
    assert nn.activation(nn.relu) == nn.activation("relu")
    model = nn.MLP((2, 3, 1), activation=np.arctan)
    params, state = model.init(0)
    x = np.ones((4, 2))
    first, last = params["layers"]
    hidden = np.arctan(x @ first["weights"] + first["bias"])
    np.testing.assert_allclose(model(params, state, x)[0], hidden @ last["weights"] + last["bias"])


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
@pytest.mark.parametrize(
    "bad", ["a", ["a", "b"], 1j, None, np.float16(1), np.array(["2020-01-01"], "M8[D]")], ids=repr
)
def test_what_is_no_number_is_refused_alike(name, bad):
    with pytest.raises(DtypeError):
        nn.ACTIVATIONS[name][0](bad)
    with pytest.raises(DtypeError):
        nn.activation(name)(bad)
