"""Textbook formulas, as they are typed, under jit: finite and accurate (judged by mpmath)."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.compile import stability
from chainrule.compile.stability import REWRITES
from chainrule.core.record import record

POINTS = (-1e4, -745.5, -89.0, -36.0, -1.0, -1e-3, 0.0, 0.5, 20.0, 37.0, 104.0, 710.0, 1e4)


def logistic(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def rising(a: Any) -> Any:
    return np.exp(a) / (1 + np.exp(a))


def _exact_log_logistic(a: Any) -> Any:
    return -mpmath.log1p(mpmath.exp(-a))


def _entropy(t: float, y: Any) -> Any:
    def loss(a: Any) -> Any:
        p = y(a)
        return -(t * np.log(p) + (1 - t) * np.log(1 - p))

    return loss


def _exact_entropy(t: float) -> Any:
    return lambda a: -(t * _exact_log_logistic(a) + (1 - t) * _exact_log_logistic(-a))


SCALAR = {
    "log logistic": (lambda a: np.log(logistic(a)), _exact_log_logistic),
    "log of 1 - logistic": (lambda a: np.log(1 - logistic(a)), lambda a: _exact_log_logistic(-a)),
    "cross-entropy, t = 1": (_entropy(1.0, logistic), _exact_entropy(1.0)),
    "cross-entropy, t = 0": (_entropy(0.0, logistic), _exact_entropy(0.0)),
    "cross-entropy, t = 0.3": (_entropy(0.3, logistic), _exact_entropy(0.3)),
    "cross-entropy of the rising form": (_entropy(0.3, rising), _exact_entropy(0.3)),
    "reciprocal": (
        lambda a: np.log(np.reciprocal(1 + np.exp(-a))),
        _exact_log_logistic,
    ),
    "softplus": (lambda a: np.log(1 + np.exp(a)), lambda a: mpmath.log1p(mpmath.exp(a))),
    "softplus, log1p": (lambda a: np.log1p(np.exp(a)), lambda a: mpmath.log1p(mpmath.exp(a))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SCALAR)
def test_scalar_formulas(name: str, dtype: Any) -> None:
    typed, exact = SCALAR[name]
    run = cr.jit(cr.value_and_grad(typed))
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    with mpmath.workdps(60):
        for point in POINTS:
            a = dtype(point)
            value, slope = run(a)
            true = exact(mpmath.mpf(float(a)))
            true_slope = mpmath.diff(exact, mpmath.mpf(float(a)), h=mpmath.mpf(10) ** -20)
            # Sums of two rounded terms: a few ulp of the larger, never a lost digit.
            assert value == pytest.approx(float(true), rel=8 * eps, abs=tiny), point
            assert slope == pytest.approx(float(true_slope), rel=1e3 * eps, abs=1e-15), point


def softmax_loss(a: Any, t: Any) -> Any:
    y = np.exp(a) / np.sum(np.exp(a), axis=1, keepdims=True)
    return -np.sum(t * np.log(y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_softmax_cross_entropy(dtype: Any, scale: float) -> None:
    rng = np.random.default_rng(0)
    a = (scale * rng.normal(size=(5, 4))).astype(dtype)
    t = np.eye(4, dtype=dtype)[[0, 3, 1, 1, 2]]
    value, gradient = cr.jit(cr.value_and_grad(softmax_loss))(a, t)
    with mpmath.workdps(50):
        rows = [[mpmath.mpf(float(v)) for v in row] for row in a]
        tops = [max(row) for row in rows]
        logs = [
            m + mpmath.log(mpmath.fsum(mpmath.exp(v - m) for v in r))
            for r, m in zip(rows, tops, strict=True)
        ]
        true = mpmath.fsum(logs[i] - rows[i][j] for i in range(5) for j in range(4) if t[i, j])
        soft = [[float(mpmath.exp(v - z)) for v in r] for r, z in zip(rows, logs, strict=True)]
    eps = float(np.finfo(dtype).eps)
    assert value == pytest.approx(float(true), rel=16 * eps, abs=16 * eps * scale)
    assert gradient.dtype == dtype
    # exp(a - log z) turns an absolute rounding of a into a relative one of the probability.
    np.testing.assert_allclose(gradient, np.array(soft) - t, rtol=0, atol=16 * eps * max(scale, 1))


def test_log_sum_exp() -> None:
    a = np.array([[1e4, 1e4], [-1e4, -1e4], [0.0, 1.0]])
    run = cr.jit(lambda a: np.log(np.sum(np.exp(a), axis=1)))
    np.testing.assert_allclose(run(a), [1e4 + np.log(2), -1e4 + np.log(2), np.log(1 + np.e)])
    keep = cr.jit(lambda a: np.log(np.sum(np.exp(a), axis=1, keepdims=True)))
    np.testing.assert_allclose(keep(a)[:, 0], run(a))
    minus = cr.jit(lambda a: np.log(np.sum(np.exp(a))))(np.full(3, -np.inf))
    assert minus == -np.inf


def test_norm_of_nothing() -> None:
    for norm in (
        lambda x: np.sqrt(np.sum(x * x)),
        lambda x: np.sqrt(np.sum(x**2)),
        lambda x: np.sqrt(np.sum(np.square(x))),
    ):
        run = cr.jit(cr.grad(norm))
        np.testing.assert_array_equal(run(np.zeros(3)), np.zeros(3))
        np.testing.assert_allclose(run(np.array([3.0, 4.0])), [0.6, 0.8])


def test_what_looks_alike_is_left_alone() -> None:
    """A softmax divided along the wrong axis, two different exponents, 2 + exp: as typed."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, 3))
    for f in (
        lambda a, b: np.exp(a) / np.sum(np.exp(a), axis=1),
        lambda a, b: np.exp(a) / (1 + np.exp(b)),
        lambda a, b: 1 / (2 + np.exp(-a)),
        lambda a, b: np.exp(a) / np.sum(np.exp(b), axis=1, keepdims=True),
        lambda a, b: np.log(1 - a * a),
        lambda a, b: np.sqrt(np.sum(a * b) ** 2),
    ):
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(cr.jit(f)(a, b), f(a, b), rtol=1e-14)


EXAMPLES = {
    "logistic": logistic,
    "softmax": lambda a: np.exp(a) / np.sum(np.exp(a)),
    "reciprocal": lambda a: np.reciprocal(1 + np.exp(a)),
    "complement": lambda a: 1 - logistic(a),
    "log-logistic": lambda a: np.log(logistic(a)),
    "softplus": lambda a: np.log(1 + np.exp(a)),
    "softplus-log1p": lambda a: np.log1p(np.exp(a)),
    "log-softmax": lambda a: np.log(np.exp(a) / np.sum(np.exp(a))),
    "log-sum-exp": lambda a: np.log(np.sum(np.exp(a))),
    "norm": lambda a: np.sqrt(np.sum(a * a)),
}


@pytest.mark.parametrize("one", REWRITES, ids=lambda r: r.name)
def test_every_rewrite_acts_and_keeps_the_value(one: Any, monkeypatch: Any) -> None:
    f, a = EXAMPLES[one.name], np.array([0.3, -1.2, 2.0])
    with_it = cr.jit(f)(a)
    stable = str(record(f, a, rewrite=stability.rewrite).graph)
    table = {k: [r for r in v if r is not one] for k, v in stability._BY_PRIMITIVE.items()}
    monkeypatch.setattr(stability, "_BY_PRIMITIVE", table)
    assert str(record(f, a, rewrite=stability.rewrite).graph) != stable
    np.testing.assert_allclose(with_it, f(a), rtol=1e-14)


def test_trace_shows_what_was_typed() -> None:
    text = str(cr.trace(logistic)(1.0))
    assert "divide" in text
    assert "logistic(" not in text.split("\n", 1)[1]
