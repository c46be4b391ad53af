"""Products of signs and sizes have right derivatives at 0, or NaN, in any order of their factors.

The oracle is exact: on each side of 0 each factor is a polynomial, and so is the product."""

import itertools
import random

import numpy as np
import pytest
from numpy.polynomial import Polynomial

import chainrule as cr

X, MINUS, ONE = Polynomial([0, 1]), Polynomial([0, -1]), Polynomial([1])
SIZE = (MINUS, X)
FACTORS = {
    "x": (lambda x: x, (X, X)),
    "2": (lambda x: 2.0, (2 * ONE, 2 * ONE)),
    "1 + x": (lambda x: 1 + x, (ONE + X, ONE + X)),
    "x**2": (lambda x: x**2, (X**2, X**2)),
    "square": (np.square, (X**2, X**2)),
    "sign": (np.sign, (-ONE, ONE)),
    "sign of -3x": (lambda x: np.sign(-3 * x), (ONE, -ONE)),
    "abs": (np.abs, SIZE),
    "abs of 2x": (lambda x: np.abs(2 * x), (2 * MINUS, 2 * X)),
    "abs cubed": (lambda x: np.abs(x) ** 3, (MINUS**3, X**3)),
    "root": (lambda x: np.sqrt(x * x), SIZE),
    "norm": (lambda x: np.linalg.norm(np.atleast_1d(x)), SIZE),
    "hypot": (lambda x: np.hypot(x, 0), SIZE),
    "maximum": (lambda x: np.maximum(x, -x), SIZE),
    "abs of sinh, nearly": (lambda x: np.abs(np.sinh(x)), (MINUS, X)),  # up to x**3
}


def products(seed: int, many: int) -> list[tuple[str, ...]]:
    rng = random.Random(seed)
    chosen = [tuple(rng.choices(list(FACTORS), k=rng.choice([2, 3, 3, 4]))) for _ in range(many)]
    return [order for names in chosen for order in rng.sample([*itertools.permutations(names)], 2)]


def product_of(names: tuple[str, ...]):
    def product(x):
        result = 1.0
        for name in names:
            result = result * FACTORS[name][0](x)
        return result

    return product


def agreed(names: tuple[str, ...], order: int) -> float | None:
    """The derivative at 0 where that of both sides agrees, as do all of lower order."""
    left, right = (np.prod([FACTORS[name][1][side] for name in names]) for side in (0, 1))
    for k in range(order + 1):
        ends = [float(side.deriv(k)(0)) if k else float(side(0)) for side in (left, right)]
        if ends[0] != ends[1] or (k == 0 and ends[0]):  # the sign of 0 is 0
            return None
    return ends[0]


@pytest.mark.parametrize("wrap", [lambda f: f, cr.jit], ids=["eager", "jit"])
def test_products_of_kinks_have_right_derivatives_or_none(wrap) -> None:
    wrong, unknown, right = [], 0, 0
    for names in products(seed=5, many=60):
        f = product_of(names)
        for order, derivative in ((1, cr.grad(f)), (2, cr.grad(cr.grad(f)))):
            expected = agreed(names, order)
            if expected is None:
                continue
            found = float(wrap(derivative)(0.0))
            unknown += np.isnan(found)
            right += found == expected
            if np.isfinite(found) and abs(found - expected) > 1e-12:
                wrong.append((names, order, found, expected))
    assert not wrong
    assert right > 100
    assert unknown < right / 10


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))), ids=str)
def test_the_order_of_factors_does_not_count(order) -> None:
    factors = [lambda x: 3.0, np.sign, lambda x: x, lambda x: 2.0, np.abs]

    def f(x):
        result = 1.0
        for k in order:
            result = result * factors[k](x)
        return result

    assert cr.grad(cr.grad(f))(0.0) == 12
    assert cr.grad(f)(0.0) == 0
    assert cr.grad(f)(-2.0) == -24


def test_sizes_of_what_does_not_cross_0_have_no_kink() -> None:
    assert cr.grad(cr.grad(lambda x: np.abs(x * x * (1 + x))))(0.0) == 2
    assert np.isnan(cr.grad(lambda x: np.sign(x) * np.abs(np.sin(x)))(0.0))
    x, w = cr.grad(lambda x, w: np.sign(x) * np.abs(w), argnums=(0, 1))(0.0, 0.0)
    assert (x, w) == (0, 0)  # of different things: nothing is in doubt


@pytest.mark.parametrize(
    "matrix", [np.eye(2), np.diag([2.0, 2, 1]), np.eye(3, 2), np.eye(2, 3)], ids=str
)
def test_the_nuclear_norm_moves_smoothly_where_singular_values_coincide(matrix) -> None:
    def nuclear(a):
        return np.linalg.norm(a, "nuc")

    shift = np.random.default_rng(0).normal(size=matrix.shape)
    h = 1e-5  # the slope of the slope along a line, by differences of exact slopes
    u, _, vh = np.linalg.svd(matrix, full_matrices=False)
    for wrap in (lambda f: f, cr.jit):
        slope = wrap(cr.grad(nuclear))
        np.testing.assert_allclose(slope(matrix), u @ vh, atol=1e-14)
        expected = (slope(matrix + h * shift) - slope(matrix - h * shift)) / (2 * h)
        found = np.tensordot(wrap(cr.hessian(nuclear))(matrix), shift, 2)
        np.testing.assert_allclose(found, expected, atol=1e-8)
