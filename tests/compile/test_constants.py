"""Numbers among the arguments: a function under jit inside grad sees them as constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr

FORMULAS: list[tuple[Callable[..., Any], Callable[[Any, Any], Any]]] = [
    (lambda x, y: np.log(x * y), lambda x, y: 1 / x),
    (lambda x, y: np.log(x / y), lambda x, y: 1 / x),
    (lambda x, y: np.log(x * y / 3), lambda x, y: 1 / x),
    (lambda x, y: np.log10(x * y), lambda x, y: 1 / (x * mpmath.log(10))),
    (lambda x, y: np.log2(y * x), lambda x, y: 1 / (x * mpmath.log(2))),
]
POINTS = [(1e200, 1e180), (1e-200, 1e-180), (4.1e-19, 1.4e296), (1e308, 3.0), (2.0, 3.0)]


@pytest.mark.parametrize("formula", range(len(FORMULAS)))
@pytest.mark.parametrize("point", POINTS)
def test_the_gradient_of_a_jitted_function_is_the_jitted_gradient(
    formula: int, point: tuple[float, float]
) -> None:
    f, slope = FORMULAS[formula]
    true = float(slope(*map(mpmath.mpf, point)))
    for gradient in (
        cr.jit(cr.grad(f)),
        cr.grad(cr.jit(f)),
        lambda *p: cr.vjp(cr.jit(f), *p)[1](1.0)[0],
    ):
        assert gradient(*point) == pytest.approx(true, rel=1e-15)  # a rounding or two
    assert cr.jit(cr.grad(lambda x: f(x, point[1])))(point[0]) == pytest.approx(true, rel=1e-15)
