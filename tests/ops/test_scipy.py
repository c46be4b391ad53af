"""``scipy.special`` on traced values, with SciPy's array-API mode off and on."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.ops  # registers the ufuncs
from chainrule.core.dispatch import SCIPY_UFUNCS
from tests.helpers.places import ROOT

SCRIPT = ROOT / "tests" / "helpers" / "scipy_in_a_process.py"


@pytest.mark.parametrize("mode", ["unset", "1"])
def test_special_functions(mode: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "SCIPY_ARRAY_API"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    if mode != "unset":
        environment["SCIPY_ARRAY_API"] = mode
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "functions" in done.stdout


def test_every_registered_ufunc_is_checked() -> None:
    import scipy.special

    from tests.helpers.scipy_in_a_process import ONE, PARAMETERS, TWO

    checked = {*ONE, *TWO, *PARAMETERS} - {"zeta"}
    special = {getattr(scipy.special, name).__name__ for name in checked}
    # behind functions, and those below
    elsewhere = {"erfcinv", "_lambertw", "_zeta", "gammasgn"}
    assert special | elsewhere == set(SCIPY_UFUNCS)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_the_sign_of_gamma_is_scipys(dtype: Any) -> None:
    from scipy.special import gammasgn

    x = [0.0, -0.0, -1.0, -2.0, 2.0, 3.0]
    x += [] if dtype is np.int64 else [-0.5, -1.5, -2.5, 0.3, np.inf, np.nan]
    x = np.array(x, dtype)
    found, wanted = cr.jit(gammasgn)(x), gammasgn(x)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype
    assert cr.grad(lambda x: gammasgn(x) * x)(-0.5) == -1


def test_erfcinv_inverts_erfc() -> None:
    from scipy.special import erfc, erfcinv

    x = np.array([-1.0, 0.0, 0.5, 2.0])
    slope = cr.jvp(lambda x: erfcinv(erfc(x)), (x,), (np.ones(4),))[1]
    np.testing.assert_allclose(slope, np.ones(4), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("xlogy", (0.0, 0.0), (-np.inf, 0.0)),
        ("xlog1py", (0.0, -1.0), (-np.inf, 0.0)),
        ("entr", (0.0,), (np.inf,)),
        ("rel_entr", (0.0, 1.0), (0.0, 0.0)),
        ("logit", (0.0,), (np.inf,)),
    ],
)
def test_edges(name: str, at: tuple[float, ...], expected: tuple[float, ...]) -> None:
    import scipy.special

    f = getattr(scipy.special, name)
    with np.errstate(all="ignore"):
        slopes = cr.grad(f, tuple(range(len(at))))(*at)
    np.testing.assert_array_equal(slopes, expected)


def test_the_namespace_passes_traced_values() -> None:
    """What array-API code other than SciPy's gets: NumPy's functions, and an asarray that
    keeps a traced value as it is."""

    def f(x: object) -> object:
        xp = x.__array_namespace__()  # type: ignore[attr-defined]
        y = xp.asarray(x)
        assert y is x
        assert xp.asarray(x, dtype=np.float32).dtype == np.float32
        assert isinstance(xp.asarray([1.0, 2.0]), np.ndarray)
        return xp.sum(xp.special.expit(xp.exp(y)))

    from scipy.special import expit

    expected = cr.grad(lambda x: np.sum(expit(np.exp(x))))(np.ones(2))
    np.testing.assert_array_equal(cr.grad(f)(np.ones(2)), expected)


@pytest.mark.parametrize("name", ["betainc", "gammainc", "jv", "expn", "zeta"])
def test_parameters_may_be_arrays(name: str) -> None:
    """Each entry has its own; SciPy's own slopes by central differences to 1e-6."""
    f, x = (
        getattr(importlib.import_module("scipy.special"), name),
        np.array([0.2, 0.5, 0.7]) + (name == "zeta"),
    )
    first = np.array([[2.0], [3.0]])
    args = (first, np.array([1.5, 2.5, 1.5])) if name == "betainc" else (first,)
    value, pull = cr.vjp(lambda x: f(*args, x), x)
    np.testing.assert_array_equal(value, f(*args, x))
    slope = np.sum(f(*args, x + 1e-6) - f(*args, x - 1e-6), 0) / 2e-6
    np.testing.assert_allclose(pull(np.ones((2, 3)))[0], slope, rtol=1e-6)
    np.testing.assert_array_equal(cr.jit(lambda x: f(*args, x), executor="numpy")(x), value)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, bool])
@pytest.mark.parametrize("name", ["gammainc", "jv", "expn", "iv"])
def test_arrays_of_parameters_answer_in_scipys_dtype(name: str, dtype: Any) -> None:
    f = getattr(importlib.import_module("scipy.special"), name)
    order, x = np.array([1, 0, 1], dtype), np.array([0.5, 1.5, 1.0], np.float32)
    expected = f(order, x)
    found = cr.vjp(lambda x: f(order, x), x)[0]
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # computed in double, rounded once
