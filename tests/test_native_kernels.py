"""The elementary functions are within their stated bounds, judged by mpmath in 200 bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

pytest.importorskip("llvmlite")

import scipy.special
from test_native_parity import graph_of

from chainrule.core.graph import PRIMITIVES, Sample
from chainrule.run import native
from chainrule.run.native.kernels import BOUNDS

EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp, "expm1": mpmath.expm1, "log": mpmath.log, "log1p": mpmath.log1p,
    "tanh": mpmath.tanh, "sin": mpmath.sin, "cos": mpmath.cos, "erf": mpmath.erf,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log_logistic": lambda x: -mpmath.log1p(mpmath.exp(-x)),
}  # fmt: skip
NUMPY = {"logistic": scipy.special.expit, "log_logistic": scipy.special.log_expit,
         "erf": scipy.special.erf}  # fmt: skip
COUNT = 150


def points(dtype: Any) -> np.ndarray:
    """Numbers of every exponent, where functions bend, and the special ones."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    bits = rng.integers(0, 2 ** (8 * info.dtype.itemsize), COUNT, f"u{info.dtype.itemsize}")
    edge = math.log(float(info.max))
    parts = [
        [0.0, -0.0, np.inf, -np.inf, np.nan, info.tiny, info.smallest_subnormal, -info.tiny,
         info.max, -info.max, 1.0, -1.0, edge, -edge, edge * 1.0001, -edge * 1.05],
        bits.view(dtype),
        rng.normal(size=COUNT) * 3,
        rng.uniform(-1.1, 1.1, COUNT) * edge,
        1 + rng.normal(size=COUNT) * 10.0 ** rng.uniform(-16, 0, COUNT),
        rng.normal(size=COUNT) * 10.0 ** rng.uniform(-12, 2, COUNT),
        np.arange(1, 40) * np.pi / 2,
    ]  # fmt: skip
    return np.concatenate([np.asarray(part).astype(dtype) for part in parts])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(EXACT))
@pytest.mark.filterwarnings("ignore")
def test_error_in_units_in_the_last_place(name: str, dtype: Any) -> None:
    x = points(dtype)
    found = native.compile(graph_of(PRIMITIVES[name], Sample((x,))))([x])[0]
    with np.errstate(all="ignore"):
        plain = NUMPY.get(name, getattr(np, name, None))(x)
    bound = BOUNDS[np.dtype(dtype).name][name]
    top = mpmath.mpf(float(np.finfo(dtype).max))
    with mpmath.workprec(200):
        for value, got, numpy_value in zip(x, found, plain, strict=True):
            if not np.isfinite(value) or value == 0 or not np.isfinite(numpy_value):
                np.testing.assert_array_equal(got, numpy_value, err_msg=f"{name}({value})")
                if value == 0:
                    assert np.signbit(got) == np.signbit(numpy_value)
                continue
            exact = EXACT[name](mpmath.mpf(float(value)))
            assert abs(exact) <= top
            unit = float(np.spacing(np.abs(dtype(mpmath.nstr(exact, 25)))))
            error = abs((mpmath.mpf(float(got)) - exact) / unit)
            assert error <= bound, f"{name}({value!r}) = {got!r} is {float(error):.2f} ulp off"


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_logaddexp(dtype: Any) -> None:
    special = np.array([0.0, -0.0, 1.0, -800.0, 800.0, np.inf, -np.inf, np.nan, 1e-3], dtype)
    x, z = (a.ravel() for a in np.meshgrid(special, special))
    found = native.compile(graph_of(PRIMITIVES["logaddexp"], Sample((x, z))))([x, z])[0]
    tolerance = 4 * np.finfo(dtype).eps
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, np.logaddexp(x, z), rtol=tolerance, atol=0)


def test_every_kernel_has_a_bound() -> None:
    from chainrule.run.native.kernels import KERNELS

    assert set(KERNELS) == set(BOUNDS["float32"]) == set(BOUNDS["float64"])
    assert set(KERNELS) == {*EXACT, "logaddexp"}
