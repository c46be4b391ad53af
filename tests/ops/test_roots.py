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
