"""Even powers of lengths lose their root when they are recorded, and only those do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

norm = np.linalg.norm
SMOOTH: dict[str, Callable[[Any], Any]] = {
    "power": lambda x: norm(x) ** 2,
    "float exponent": lambda x: norm(x) ** 4.0,
    "np.power": lambda x: np.power(norm(x), np.array(2)),
    "float_power": lambda x: np.float_power(norm(x), 2),
    "square": lambda x: np.square(norm(x, axis=0)),
    "product": lambda x: norm(x) * norm(x),
    "orders": lambda x: norm(x, 2) ** 2 + norm(x, 4) ** 4 + norm(np.outer(x, x), "fro") ** 2,
    "keepdims": lambda x: np.sum(norm(x, keepdims=True) ** 2),
    "rows": lambda x: np.sum(norm(np.outer(x, [1.0, 2.0]), axis=1) ** 2),
    "viewed": lambda x: np.sum(norm(np.outer(x, [1.0, 2.0]), axis=0)[None, ::-1].T ** 2),
    "vector_norm": lambda x: np.linalg.vector_norm(x) ** 2,
    "matrix_norm": lambda x: np.linalg.matrix_norm(np.outer(x, [1.0, 2.0])) ** 2,
    "std": lambda x: x.std() ** 2,
    "std with ddof": lambda x: np.std(x, ddof=1) ** 2,
    "hypot": lambda x: np.hypot(x[0], x[1]) ** 2,
    "abs": lambda x: np.sum(np.abs(x) ** 2 + abs(x) * abs(x) + np.fabs(x) ** 4),
    "sqrt of a sum": lambda x: np.sqrt(np.sum(x**2)) ** 2,
    "sqrt of terms": lambda x: np.sqrt(x[0] * x[0] + x[1] ** 2) ** 2,
    "sqrt of a product": lambda x: np.sqrt(x @ x) ** 2,
    "sqrt of a mean": lambda x: np.sqrt(np.mean(np.square(x))) ** 2,
    "half power": lambda x: ((x @ x) ** 0.5) ** 2,
    "scaled": lambda x: np.exp(-((norm(x) / 3) ** 2)) + (-2 * norm(x)) ** 2,
    "factors": lambda x: (-0.5 * norm(x) / 3) ** 2,
    "factors of hypot": lambda x: (np.hypot(x[0], x[1]) / 3 * 7) ** 2,
    "weights": lambda x: np.sqrt(np.sum(np.array([2.0, 3.0]) * x**2)) ** 2,
}


@pytest.mark.parametrize("f", SMOOTH.values(), ids=SMOOTH)
def test_second_derivatives_at_zero_are_those_beside_it(f: Callable[[Any], Any]) -> None:
    """The functions are smooth, so a step of 1e-5 changes a second derivative by 1e-9."""
    beside = np.array([1e-5, 0.7e-5])
    expected = cr.hessian(f)(beside)
    assert np.all(np.isfinite(expected))
    for hessian in (cr.hessian(f), cr.jit(cr.hessian(f)), cr.hessian(cr.jit(f))):
        np.testing.assert_allclose(hessian(np.zeros(2)), expected, atol=2e-9)


@pytest.mark.parametrize("f", SMOOTH.values(), ids=SMOOTH)
def test_values_are_numpys(f: Callable[[Any], Any]) -> None:
    """NumPy rounds the root and the square, this at most what is under the root: a few ulp."""
    x = np.array([3.0, -1.25])
    np.testing.assert_allclose(cr.value_and_grad(f)(x)[0], f(x), rtol=2e-15)


SCALED: dict[str, Callable[[Any, Any], Any]] = {
    "abs": lambda x, s: np.abs(x) ** 2,
    "abs to the 6th": lambda x, s: np.abs(x) ** 6,
    "abs to the -2nd": lambda x, s: np.abs(x) ** -2.0,
    "abs below": lambda x, s: (np.abs(x) / s) ** 2,
    "abs over": lambda x, s: (s / np.abs(x)) ** 2,
    "abs times": lambda x, s: np.square(np.abs(x) * (1 / s)),
    "abs viewed": lambda x, s: np.square(-np.abs(x)[::-1] / s / 3 * 7),
    "hypot": lambda x, s: np.hypot(x, x[::-1]) ** 2,
    "hypot below": lambda x, s: (np.hypot(x, x[::-1]) / s) ** 2,
    "hypot over": lambda x, s: (s / np.hypot(x, x[::-1])) ** 2,
    "norm": lambda x, s: norm(x) ** 2,
    "norm below": lambda x, s: (norm(x) / s) ** 4,
    "norm over": lambda x, s: (s / norm(x)) ** 2,
    "norm to the -2nd": lambda x, s: norm(x) ** -2.0,
    "norm there and back": lambda x, s: (norm(x / s) * s / s) ** 2,
    "norm back and there": lambda x, s: (norm(x / s) / s * s) ** 2,
    "norm beyond": lambda x, s: (norm(x - x) * s * s) ** 2,
    "norm of order 4": lambda x, s: (2 * norm(x / s, 4)) ** 2 + (-norm(x / s, 3)) ** 3,
    "std": lambda x, s: (np.std(x) / s) ** 2,
    "sqrt": lambda x, s: np.sqrt(x * x) ** 2,
    "sqrt below": lambda x, s: (np.sqrt(np.sum(x * x)) / s) ** 2,
    "half power": lambda x, s: ((x @ x) ** 0.5 * (1 / s)) ** 2,
}  # fmt: skip
SCALES = [(np.float64, s) for s in (1e-200, 1e-170, 1e-155, 1e-120, 1e120, 1e155, 1e170, 1e200)]
SCALES += [(np.float32, s) for s in (1e-25, 1e-20, 1e-15, 1e15, 1e20, 1e25)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("f", SCALED.values(), ids=SCALED)
@pytest.mark.parametrize(("dtype", "scale"), SCALES)
def test_large_and_small_values_are_numpys(f: Any, dtype: Any, scale: float) -> None:
    """Also where a square overflows or vanishes; a few ulp, or steps of the least number."""
    scale = dtype(scale)
    x, info = np.array([3.0, -1.25, 0.5], dtype) * scale, np.finfo(dtype)
    ours, expected = cr.vjp(lambda x: f(x, scale), x)[0], f(x, scale)
    atol = 8 * info.smallest_subnormal
    np.testing.assert_allclose(ours, expected, rtol=12 * info.eps, atol=atol)


def test_long_sums_and_shared_ones() -> None:
    def long(x: Any) -> Any:
        s = 0.0
        for i in range(5000):
            s = s + (x[i % 3] - 1.0) ** 2
        r = np.sqrt(s)
        return np.sqrt(s) ** 2 + r * r

    def doubled(x: Any) -> Any:
        s = np.sum(x**2)
        for _ in range(60):
            s = s + s * 0.5
        return np.sqrt(s) ** 2

    x = np.array([2.0, 3.0, 4.0])
    value, slope = cr.value_and_grad(long)(x)
    np.testing.assert_allclose(value, long(x), rtol=1e-12)  # 5,000 roundings
    np.testing.assert_allclose(slope, 4 * (x - 1) * np.array([1667, 1667, 1666]), rtol=1e-12)
    np.testing.assert_allclose(cr.hessian(doubled)(np.zeros(3)), 2 * 1.5**60 * np.eye(3))


def test_roots_of_what_may_be_negative_stay() -> None:
    with np.errstate(invalid="ignore"):
        assert np.isnan(cr.value_and_grad(lambda x: np.sqrt(x) ** 2)(-1.0)[0])
        assert np.isnan(
            cr.value_and_grad(lambda x: np.sqrt(x[0] * x[1]) ** 2)(np.array([-1, 1.0]))[0]
        )


def test_odd_powers_keep_their_root() -> None:
    np.testing.assert_allclose(cr.grad(lambda x: norm(x) ** 3)(np.array([3.0, 4.0])), [45, 60])


def test_integers_are_left_alone() -> None:
    """The square of abs of the least int8 wraps as in NumPy, and a bool's power is an int8."""
    for x in (np.array([-128, 5], np.int8), np.array([True, False])):
        f = lambda t, x=x: np.sum(t) + np.sum(np.abs(np.where(t > 0, x, x)) ** 2)  # noqa: E731
        assert cr.value_and_grad(f)(np.ones(2))[0] == 2 + np.sum(np.abs(x) ** 2)
