"""Every row of docs/conventions.md, and what a row cannot say."""

from __future__ import annotations

import itertools
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.special

import chainrule as cr
from tests.helpers.places import DOCS

PAGE = DOCS / "conventions.md"
NAMES = {"np": np, "cr": cr, "special": scipy.special}
ROW = re.compile(r"^\| `(?P<function>.*)` \| `(?P<at>.*)` \| `(?P<derivative>.*)` \|$")


def rows(order: int = 1) -> list[tuple[str, str, str]]:
    """The rows of the tables of this order of derivative."""
    found, current = [], 0
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| function |"):
            current = 2 if "second derivative" in line else 1
        match = ROW.match(line)
        if match and current == order:
            found.append((match["function"], match["at"], match["derivative"]))
    return found


def test_the_page_is_read() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    headers = sum(line.startswith("| function |") for line in lines)
    assert len(rows()) + len(rows(2)) == len(lines) - headers
    assert len(rows()) >= 80
    assert len(rows(2)) >= 12


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} at {row[1]}")
def test_row(row: tuple[str, str, str], dtype: Any) -> None:
    function, at, derivative = row
    if dtype == np.float32 and "e300" in at:
        at, derivative = at.replace("e300", "e37"), derivative.replace("e-301", "e-38")
    point = eval(f"dict({at})", NAMES)
    f = eval(f"lambda {', '.join(point)}: {function}", NAMES)
    args = [np.asarray(v, dtype) for v in point.values()]
    answer = eval(derivative, NAMES)
    expected = answer if len(args) > 1 else (answer,)
    everything = tuple(range(len(args)))
    with np.errstate(all="ignore"):
        ways = {
            "reverse": cr.grad(f, everything)(*args),
            "forward": _forward(f, args),
            "jit": cr.jit(cr.grad(f, everything))(*args),
        }
    for way, found in ways.items():
        for got, wanted, x in zip(found, expected, args, strict=True):
            assert got.shape == x.shape, way
            assert got.dtype == dtype or way == "forward", way  # a tangent has the result's
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-44, err_msg=way)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("row", rows(2), ids=lambda row: f"{row[0]} at {row[1]}")
def test_row_of_second_order(row: tuple[str, str, str], dtype: Any) -> None:
    function, at, derivative = row
    (x,) = (np.asarray(v, dtype) for v in eval(f"dict({at})", NAMES).values())
    f = eval(f"lambda x: {function}", NAMES)
    with np.errstate(all="ignore"):
        found = cr.hessian(f)(x), cr.jit(cr.hessian(f))(x), cr.hessian(cr.jit(f))(x)
    for got in found:
        assert got.dtype == dtype
        np.testing.assert_allclose(got, eval(derivative, NAMES), rtol=1e-6)


def _forward(f: Any, args: list[np.ndarray]) -> list[np.ndarray]:
    """The gradient, one entry after another, in forward mode."""
    found = []
    for i, x in enumerate(args):
        slopes = []
        for k in range(x.size):
            t = np.zeros_like(x)
            t.reshape(-1)[k] = 1
            moved = partial(_with, f, args, i)
            slopes.append(cr.jvp(moved, (x,), (t,))[1])
        found.append(np.array(slopes).reshape(x.shape))
    return found


def _with(f: Any, args: list[np.ndarray], i: int, x: Any) -> Any:
    return f(*args[:i], x, *args[i + 1 :])


# More than one order, more than one case ---------------------------------------------------


def _leibniz(x: Any) -> Any:
    """The determinant as the sum over permutations: products only, exact at any matrix."""
    n = x.shape[0]
    total = 0.0
    for order in itertools.permutations(range(n)):
        sign = round(np.linalg.det(np.eye(n)[list(order)]))
        term = sign
        for i, j in enumerate(order):
            term = term * x[i, j]
        total = total + term
    return total


SINGULAR = [(n, rank) for n in (2, 3, 4, 5) for rank in range(n + 1)]


@pytest.mark.parametrize(("n", "rank"), SINGULAR)
def test_determinants_of_every_rank(n: int, rank: int) -> None:
    rng = np.random.Generator(np.random.Philox(10 * n + rank))
    a = rng.integers(-2, 3, (n, rank)) @ rng.integers(-2, 3, (rank, n)) * 1.0
    v = rng.uniform(-1, 1, (n, n))
    for f in (np.linalg.det, lambda x: 2 * np.linalg.det(x.T) - np.linalg.det(x)):
        np.testing.assert_allclose(cr.grad(f)(a), cr.grad(_leibniz)(a), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(
            cr.hvp(f)(a, v), cr.hvp(_leibniz)(a, v), rtol=1e-9, atol=1e-9 * (1 + np.abs(a).max())
        )


def test_determinants_in_a_batch() -> None:
    batch = np.stack([np.zeros((4, 4)), np.diag([1.0, 2.0, 3.0, 0.0]), np.eye(4)])
    found = cr.grad(lambda x: np.sum(np.linalg.det(x)))(batch)
    alone = [cr.grad(np.linalg.det)(a) for a in batch]
    np.testing.assert_allclose(found, alone, atol=1e-14)


def _product(x: Any) -> Any:
    total = 1.0
    for k in range(x.shape[0]):
        total = total * x[k]
    return total


@pytest.mark.parametrize("zeros", [(), (1,), (0, 2), (0, 1, 3), (0, 1, 2, 3)])
def test_products_with_zeros_to_third_order(zeros: tuple[int, ...]) -> None:
    x = np.array([2.0, -3.0, 0.5, 7.0])
    x[list(zeros)] = 0
    ours, exact = np.prod, _product
    for _ in range(3):
        ours, exact = cr.jacobian(ours), cr.jacobian(exact)
        np.testing.assert_allclose(ours(x), exact(x), atol=1e-13)
    running = cr.hessian(lambda x: np.sum(np.cumprod(x)))(x)
    written = cr.hessian(lambda x: sum(_product(x[: k + 1]) for k in range(4)))(x)
    np.testing.assert_allclose(running, written, atol=1e-13)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_derivatives_of_powers_at_zero_to_every_order(n: int) -> None:
    f, expected = (lambda x: x**n), np.polynomial.Polynomial([0] * n + [1.0])
    for _ in range(5):
        f, expected = cr.grad(f), expected.deriv()
        assert f(0.0) == expected(0.0)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_ties_share_equally_and_gradients_sum_to_one(count: int) -> None:
    x = np.array([1.0] * count + [0.0])
    for f in (np.max, np.maximum.reduce, lambda x: -np.min(-x), lambda x: x.max(0)):
        np.testing.assert_allclose(cr.grad(f)(x), [1 / count] * count + [0])


def test_second_order_of_a_masked_branch_is_finite() -> None:
    f = lambda x: np.sum(np.where(x > 0, x * np.log(x), 0))  # noqa: E731
    x = np.array([0.0, 2.0, -1.0])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(cr.hessian(f)(x), np.diag([0, 0.5, 0]))
        np.testing.assert_allclose(cr.hvp(f)(x, np.ones(3)), [0, 0.5, 0])


def test_norms_of_nothing_have_gradient_zero_beside_others() -> None:
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    for f in (
        lambda x: np.sum(np.sqrt(2.0) * np.linalg.norm(x, axis=-1)),
        lambda x: np.sum(np.sqrt(2.0) * np.linalg.vector_norm(x, axis=-1)),
    ):
        expected = np.sqrt(2.0) * np.array([[0, 0], [0.6, 0.8]])
        np.testing.assert_allclose(cr.grad(f)(x), expected)
    spread = cr.grad(lambda x: np.sum(np.std(x, axis=1)))(np.array([[2.0, 2.0], [1.0, 3.0]]))
    np.testing.assert_allclose(spread, [[0, 0], [-0.5, 0.5]])


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e150, 1e300])
def test_plane_functions_do_not_overflow(scale: float) -> None:
    x, y = 3 * scale, 4 * scale
    np.testing.assert_allclose(cr.grad(np.hypot, (0, 1))(x, y), [0.6, 0.8])
    turned = np.array(cr.grad(np.arctan2, (0, 1))(x, y)) * scale
    np.testing.assert_allclose(turned, [4 / 25, -3 / 25])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(dtype: Any) -> None:
    x = np.array([0.5, 1.5], dtype)
    f = lambda x: np.sum(np.exp(x) * 2.0 / 3 + np.log(x) ** 2 - 1)  # noqa: E731
    value, gradient = cr.value_and_grad(f)(x)
    assert value.dtype == gradient.dtype == dtype
    assert cr.hessian(f)(x).dtype == dtype
    assert cr.grad(lambda x: np.sum(x * np.float64(2)))(x).dtype == dtype
    assert cr.vjp(lambda x: x * np.float64(2), x)[0].dtype == np.float64
    assert cr.vjp(lambda x: x * 2.0, x)[0].dtype == dtype
