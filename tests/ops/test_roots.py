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
    "opposite": lambda x: np.sum(abs(x) * abs(-x)) + norm(x) * -norm(-x),
    "signed": lambda x: np.sum((np.sign(x) * x) ** 2 + (x * np.sign(x)) * np.abs(x)),
    "extrema": lambda x: np.sum(np.maximum(x, -x) ** 2 + np.minimum(-x, x) ** 4),
    "extrema multiplied": lambda x: np.sum(np.maximum(-x, x) * np.minimum(x, -x)),
    "at least 0": lambda x: np.maximum(norm(x), 0) ** 2 + np.maximum(0, np.std(x)) ** 2,
    "proportional": lambda x: norm(x) * norm(2 * x) + norm(x / 3) * norm(-x),
    "proportional hypot": lambda x: np.hypot(x[0], x[1]) * np.hypot(3 * x[0], -3 * x[1]),
    "proportional std": lambda x: np.std(x) * np.std(-2 * x),
    "factor between": lambda x: norm(x) * 2 * norm(x) + norm(x) / 2 * norm(x) * 3,
    "two spellings": lambda x: np.sqrt(x @ x) * norm(x) + np.sum(x**2) ** 0.5 * np.sqrt(x @ x),
    "four": lambda x: norm(x) * norm(x) * norm(x) * norm(x),
    "root of a power": lambda x: np.sqrt(norm(x) ** 4) + np.sqrt(np.std(x) ** 4),
    "matmul": lambda x: (lambda n: n @ n + np.dot(n, -n / 2))(norm(np.outer(x, [1, 2]), axis=1)),
    "einsum": lambda x: (lambda m: np.einsum("ij,ij->", abs(m), 2 * abs(-m)))(np.outer(x, [1, 2])),
    "vdot and inner": lambda x: np.vdot(abs(x), abs(x)) + np.inner(np.abs(-x), np.abs(x)),
    "nanstd": lambda x: np.nanstd(x) ** 2 + np.nanstd(x, ddof=1) * np.nanstd(x, ddof=1),
    "one entry": lambda x: norm(x[:1], 1) ** 2 + norm(x[1:], np.inf) ** 2,
    "one row": lambda x: norm(x[None], 2) ** 2 + norm(x[:, None], "nuc") ** 2,
}
"""Functions that are smooth at 0, to which the square of a length is what they are made of."""
VECTORS = np.array([2.0, 0.0, 0.0, 0.0])
SPECIAL: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "cos": (lambda x: np.sum(np.cos(np.abs(x))), [0, 0], -np.eye(2)),
    "cosh": (lambda x: np.sum(np.cosh(abs(x))), [0, 3.0], np.diag([1, np.cosh(3)])),
    "cosh of hypot": (lambda x: np.cosh(np.hypot(x[0], x[1])), [0, 0], np.eye(2)),
    "sinc": (lambda x: np.sum(np.sinc(np.abs(x))), [0, 0], -np.pi**2 / 3 * np.eye(2)),
    "difference of squares": (
        lambda x: np.sum((abs(x) + 3) * (3 - abs(x))), [0, 0], -2 * np.eye(2)),
    "product of sizes": (
        lambda x: np.prod(np.stack([abs(x[0]), abs(x[0])])), [0, 0], [[2, 0], [0, 0]]),
    "outer": (lambda x: np.trace(np.outer(abs(x), abs(x))), [0, 0], 2 * np.eye(2)),
    "norms of the parts": (lambda x: norm(x) * norm(x[::-1]), [0, 0], 2 * np.eye(2)),
    "exp of log": (lambda x: np.exp(2 * np.log(norm(x))), [0, 0], 2 * np.eye(2)),
    "singular values": (
        lambda x: np.sum(np.linalg.svdvals(x.reshape(2, 2)) ** 2), [1, 0, 0, 1], 2 * np.eye(4)),
    "singular values of 0": (
        lambda x: np.sum(np.linalg.svdvals(x.reshape(2, 2)) ** 2), [0, 0, 0, 0], 2 * np.eye(4)),
    "spectral": (lambda x: norm(x.reshape(2, 2), 2) ** 2, VECTORS, np.diag([2, 2, 2, 0])),
    "eigenvalues": (
        lambda x: np.sum(np.linalg.eigvalsh((x.reshape(2, 2) + x.reshape(2, 2).T) / 2) ** 2),
        [1, 0, 0, 1], [[2, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 2]]),
}  # fmt: skip
"""Functions that are smooth at a point where parts of them are not, and their Hessians there, which
are found by hand."""


@pytest.mark.parametrize("name", SPECIAL)
def test_second_derivatives_at_kinks_are_right_or_nan(name: str) -> None:
    """Never another number: of a Hessian's entries, those that kinks reach are NaN."""
    f, at, exact = SPECIAL[name]
    x = np.asarray(at, float)
    along = lambda x: np.stack([cr.hvp(f)(x, v) for v in np.eye(len(x))])  # noqa: E731
    with np.errstate(all="ignore"):
        for hessian in (cr.hessian(f), cr.jit(cr.hessian(f)), cr.hessian(cr.jit(f)), along):
            found = hessian(x)
            wrong = np.isfinite(found) & ~np.isclose(found, exact, atol=1e-12)
            assert not wrong.any(), found


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.abs(x) ** 3 + np.abs(x) ** 5.0),
        lambda x: norm(x, 3) ** 3 - np.sum(x * x * np.fabs(x)),
        lambda x: np.sum(np.exp(x) * np.abs(x) ** 3 - 3 * np.abs(x) * np.abs(x) * abs(x)),
    ],
)
def test_odd_powers_of_sizes_have_a_second_derivative_at_zero(f: Callable[[Any], Any]) -> None:
    for hessian in (cr.hessian(f), cr.jit(cr.hessian(f)), cr.hessian(cr.jit(f))):
        np.testing.assert_array_equal(hessian(np.zeros(2)), np.zeros((2, 2)))


def test_what_kinks_do_not_reach_keeps_its_second_derivative() -> None:
    x = np.array([0.0, 2.0])
    found = cr.hessian(lambda x: np.sum(np.cos(np.abs(x))))(x)
    np.testing.assert_allclose(found[1], [0, -np.cos(2)])
    weighted = cr.hessian(lambda x, w: np.sum(w * np.abs(x)), 0)
    np.testing.assert_array_equal(weighted(x, np.zeros(2)), np.zeros((2, 2)))
    assert cr.hessian(lambda x: np.where(abs(x) < 1, x * x / 2, abs(x) - 0.5))(0.0) == 1


LONG = {
    "norm": (norm, [0.6, -0.8, 0]),
    "norm of order 3": (lambda x: norm(x, 3), np.array([9, -16, 0]) / (27 + 64) ** (2 / 3)),
    "matrix": (lambda x: norm(x[None], "fro"), [0.6, -0.8, 0]),
    "std": (np.std, np.array([10, -11, 1]) / np.sqrt(666)),
    "hypot": (lambda x: np.hypot(x[0], x[1]), [0.6, -0.8, 0]),
    "rows": (lambda x: np.sum(norm(np.stack([x, x * 0]), axis=1)), [0.6, -0.8, 0]),
}


SIZES = {
    np.float64: [10.0**k for k in (-310, -290, -200, -160, 0, 155, 200, 307)],
    np.float32: [10.0**k for k in (-37, -30, -22, 0, 20, 30, 37)],
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("dtype", SIZES)
@pytest.mark.parametrize("transform", [cr.grad, lambda f: cr.jit(cr.grad(f))], ids=["grad", "jit"])
def test_lengths_keep_their_slopes_at_any_size(transform: Any, name: str, dtype: Any) -> None:
    """They don't depend on the size. An entry is rounded once more where it is subnormal."""
    f, slope = LONG[name]
    gradient = transform(f)
    for scale in SIZES[dtype]:
        found = gradient(np.array([3, -4, 0], dtype) * dtype(scale))
        np.testing.assert_allclose(found, slope, atol=1e-13 if dtype is np.float64 else 1e-6)


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


def test_one_number_has_no_spread() -> None:
    assert cr.hessian(np.std)(3.0) == cr.grad(np.std)(3.0) == 0
    column = np.ones((3, 1))
    rows = cr.hessian(lambda x: np.sum(np.std(x, axis=1, keepdims=True)))(column)
    np.testing.assert_array_equal(rows, np.zeros((3, 1, 3, 1)))
