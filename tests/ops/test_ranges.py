"""Slopes of roots whose squares leave the range of floats, without ``jit``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr

FORMS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "and 1": lambda x, y, root: root(x * x + 1.0) + y,
    "less 1": lambda x, y, root: root(x * x - 1.0) * 2.0 + y,
    "two squares": lambda x, y, root: root(x * x + y**2),
    "differences": lambda x, y, root: root((x - y) ** 2 + (x + y) ** 2 / 3.0),
    "factors": lambda x, y, root: 3.0 * root(5.0 * (x * x) / 7.0 + 0.5 * (y * y)),
    "factors between": lambda x, y, root: 3.0 * root(5.0 * x * x / 7.0 + x * 0.5 * x),
    "product": lambda x, y, root: root(x * y),
}
LARGE = [(1e200, 3e180), (-4e160, 1e150), (1e300, -2e300), (2.0, 3e155)]
SMALL = [(1e-200, 3e-201), (-4e-170, 1e-165), (5e-320, 1e-310)]


@pytest.mark.parametrize("name", FORMS)
def test_the_slope_of_a_root_that_overflows(name: str) -> None:
    """By mpmath with 1,000 digits, to 8 roundings; values stay NumPy's."""
    for point in LARGE:
        if name == "product" and point[0] * point[1] < 0:
            continue
        _compare(FORMS[name], point)


@pytest.mark.parametrize("name", ["two squares", "differences", "factors"])
def test_the_slope_of_a_root_of_squares_that_vanish(name: str) -> None:
    for point in SMALL:
        _compare(FORMS[name], point)


def _compare(form: Callable[[Any, Any, Any], Any], point: tuple[float, float]) -> None:
    with np.errstate(all="ignore"):
        value, found = cr.value_and_grad(lambda x, y: form(x, y, np.sqrt), argnums=(0, 1))(*point)
        assert value == form(np.float64(point[0]), np.float64(point[1]), np.sqrt)
    with mpmath.workdps(1000):
        for k, slope in enumerate(found):
            order = (1, 0) if k == 0 else (0, 1)
            wanted = mpmath.diff(lambda x, y: form(x, y, mpmath.sqrt), point, order)
            assert abs(slope - wanted) <= 8 * 2.0**-52 * abs(wanted) + 5e-324


def test_each_number_of_an_array_and_whole_sums() -> None:
    x = np.array([1e200, 3.0, 1e-200, 0.0])
    with np.errstate(over="ignore"):
        slopes = cr.grad(lambda x: np.sum(np.sqrt(x * x + 2 * x**2)))(x)
        np.testing.assert_allclose(slopes, 3**0.5 * np.sign(x), rtol=1e-15)
        kept = cr.grad(lambda x: np.sum(np.sqrt(x * x - 9.0)))(x[:2])  # infinite at 3, as typed
        np.testing.assert_array_equal(kept, [1.0, np.inf])
        rows = cr.grad(lambda x: np.mean(np.sum(x.reshape(1, 2) ** 2, axis=1)) ** 0.5)
        np.testing.assert_allclose(rows(np.array([3e200, 4e200])), [0.6, 0.8], rtol=1e-15)
