"""The elementary functions are within their stated bounds, judged by mpmath in 200 bits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

pytest.importorskip("llvmlite")

import scipy.special

from chainrule.core.node import PRIMITIVES, Sample
from chainrule.run import native
from chainrule.run.native.numbers.kernels import BOUNDS
from chainrule.run.native.numbers.trigonometric import LARGE
from chainrule.run.native.runtime import machine
from tests.helpers.native_graphs import graph_of

EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp, "expm1": mpmath.expm1, "log": mpmath.log, "log1p": mpmath.log1p,
    "tanh": mpmath.tanh, "sin": mpmath.sin, "cos": mpmath.cos, "erf": mpmath.erf,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log_logistic": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "entr": lambda x: -x * mpmath.log(x), "logit": lambda x: mpmath.log(x / (1 - x)),
    "logistic_slope": lambda y, x: 1 / (mpmath.exp(x / 2) + mpmath.exp(-x / 2)) ** 2,
    "tanh_slope": lambda y, x: mpmath.sech(x) ** 2,
    "xlogy": lambda x, z: x * mpmath.log(z), "xlog1py": lambda x, z: x * mpmath.log1p(z),
    "hypot": mpmath.hypot,
}  # fmt: skip
NUMPY = {"logistic": scipy.special.expit, "log_logistic": scipy.special.log_expit,
         **{name: getattr(scipy.special, name)
            for name in ("erf", "entr", "logit", "xlogy", "xlog1py")},
         **{f"{name}_slope": PRIMITIVES[f"{name}_slope"].forward
            for name in ("logistic", "tanh")}}  # fmt: skip
BINARY = ("hypot", "xlogy", "xlog1py", "logistic_slope", "tanh_slope")
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


def judge(name: str, found: np.ndarray, *arguments: np.ndarray) -> None:
    """Fail where a result is further from the exact one than the function's bound."""
    dtype = found.dtype.type
    with np.errstate(all="ignore"):
        plain = NUMPY.get(name, getattr(np, name, None))(*arguments)
    bound = BOUNDS[found.dtype.name][name]
    top = mpmath.mpf(float(np.finfo(dtype).max))
    with mpmath.workprec(200):
        for got, numpy_value, *values in zip(found, plain, *arguments, strict=True):
            if not np.isfinite([*values, numpy_value]).all() or 0 in values:
                np.testing.assert_array_equal(got, numpy_value, err_msg=f"{name}{values}")
                if 0 in values:
                    assert np.signbit(got) == np.signbit(numpy_value)
                continue
            exact = EXACT[name](*(mpmath.mpf(float(value)) for value in values))
            assert abs(exact) <= top
            unit = float(np.spacing(np.abs(dtype(mpmath.nstr(exact, 25)))))
            error = abs((mpmath.mpf(float(got)) - exact) / unit)
            assert error <= bound, f"{name}{values} = {got!r} is {float(error):.2f} ulp off"


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(EXACT))
@pytest.mark.filterwarnings("ignore")
def test_error_in_units_in_the_last_place(name: str, dtype: Any) -> None:
    x = points(dtype)
    second = x if name.endswith("_slope") else np.random.default_rng(2).permutation(x)
    arguments = [x] if name not in BINARY else [x, second]
    graph = graph_of(PRIMITIVES[name], Sample(tuple(arguments)))
    judge(name, native.compile(graph)(arguments)[0], *arguments)


def huge(dtype: Any) -> np.ndarray:
    """Arguments of sine and cosine up to the largest, and ones next to multiples of pi/2."""
    rng = np.random.default_rng(1)
    top = float(np.log10(np.finfo(dtype).max))
    with mpmath.workprec(1200):
        multiples = [
            float(mpmath.pi / 2 * int(rng.integers(1, 2**40)) * mpmath.mpf(2) ** k)
            for k in range(0, 980 if dtype is np.float64 else 85, 20)
        ]
    parts = [
        10.0 ** rng.uniform(6, top, 60),
        multiples,
        LARGE * (1 + np.arange(-4, 5) * float(np.finfo(dtype).eps)),
        np.ldexp(6381956970095103.0, 797) if dtype is np.float64 else np.ldexp(16367173.0, 72),
    ]
    x = np.concatenate([np.ravel(part).astype(dtype) for part in parts])
    return rng.permutation(np.concatenate([x, -x]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ["sin", "cos"])
@pytest.mark.filterwarnings("ignore")
def test_huge_arguments(name: str, dtype: Any) -> None:
    """In whole vectors, in what is left of a loop, in short loops, and outside of loops."""
    x = huge(dtype)
    for part in (x, x[:7], x[:3], x[:1].reshape(())):
        found = native.compile(graph_of(PRIMITIVES[name], Sample((part,))))([part])[0]
        judge(name, found.ravel(), part.ravel())


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(EXACT))
@pytest.mark.skipif(not machine.has_fma(), reason="no instruction multiplies and adds")
def test_loops_become_vectors(name: str, dtype: Any) -> None:
    sample = Sample((np.zeros(1000, dtype),) * (2 if name in BINARY else 1))
    run = native.compile(graph_of(PRIMITIVES[name], sample))
    optimised = str(machine.optimised(run.code.texts[0]))
    assert re.search(r"@llvm\.fma\.v\d+f\d\d\(", optimised)
    assert "call <" not in re.sub(r"call <\d+ x \w+> @llvm\.", "", optimised)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_logaddexp(dtype: Any) -> None:
    special = np.array([0.0, -0.0, 1.0, -800.0, 800.0, np.inf, -np.inf, np.nan, 1e-3], dtype)
    x, z = (a.ravel() for a in np.meshgrid(special, special))
    found = native.compile(graph_of(PRIMITIVES["logaddexp"], Sample((x, z))))([x, z])[0]
    tolerance = 4 * np.finfo(dtype).eps
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, np.logaddexp(x, z), rtol=tolerance, atol=0)


def test_every_kernel_has_a_bound() -> None:
    from chainrule.run.native.numbers.kernels import KERNELS

    assert set(KERNELS) == set(BOUNDS["float32"]) == set(BOUNDS["float64"])
    assert set(KERNELS) == {*EXACT, "logaddexp"}
