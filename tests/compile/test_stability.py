"""Textbook formulas, as they are typed, under jit: finite and accurate (judged by mpmath)."""

from __future__ import annotations

import random
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.compile import stability
from chainrule.compile.patterns import Rewrite, Table, apply, inner, made_by
from chainrule.compile.stability import REWRITES
from chainrule.core.record import record

POINTS = (-1e4, -745.5, -89.0, -36.0, -1.0, -1e-3, 0.0, 0.5, 20.0, 37.0, 104.0, 710.0, 1e4)

EXECUTORS = ("numpy", "native")


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> str:
    if request.param == "native":
        pytest.importorskip("llvmlite")
    return request.param


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
    "1 - logistic": (lambda a: 1 - logistic(a), lambda a: 1 / (1 + mpmath.exp(a))),
}


def check_scalar(name: str, dtype: Any, executor: str) -> None:
    """Value and slope of a formula at all points, against 60 digits."""
    typed, exact = SCALAR[name]
    run = cr.jit(cr.value_and_grad(typed), executor=executor)
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SCALAR)
def test_scalar_formulas(name: str, dtype: Any, executor: str) -> None:
    check_scalar(name, dtype, executor)


def binary_loss(a: Any, t: Any) -> Any:
    y = 1 / (1 + np.exp(-a))
    return -np.mean(t * np.log(y) + (1 - t) * np.log(1 - y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_of_a_minibatch(dtype: Any, executor: str) -> None:
    a = np.array([p for p in POINTS for _ in range(3)], dtype)
    t = np.array([0.0, 1.0, 0.25] * len(POINTS), dtype)
    value, gradient = cr.jit(cr.value_and_grad(binary_loss), executor=executor)(a, t)
    with mpmath.workdps(50):
        pairs = [(mpmath.mpf(float(x)), mpmath.mpf(float(s))) for x, s in zip(a, t, strict=True)]
        true = mpmath.fsum(_exact_entropy(s)(x) for x, s in pairs) / len(pairs)
        slopes = [float((1 / (1 + mpmath.exp(-x)) - s) / len(pairs)) for x, s in pairs]
    eps = float(np.finfo(dtype).eps)
    assert value == pytest.approx(float(true), rel=16 * eps)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, slopes, rtol=16 * eps, atol=eps)


CLASSES = [0, 3, 1, 1, 2]
SOFTMAX_LOSSES = {
    "keepdims": lambda a, t: (
        -np.sum(t * np.log(np.exp(a) / np.sum(np.exp(a), axis=1, keepdims=True)))
    ),
    "new axis": lambda a, t: -np.sum(t * np.log(np.exp(a) / np.exp(a).sum(axis=-1)[:, None])),
    "columns": lambda a, t: -np.sum(t.T * np.log(np.exp(a.T) / np.exp(a.T).sum(axis=0))),
    "picked": lambda a, t: (
        -np.sum(np.log(np.exp(a) / np.sum(np.exp(a), axis=1, keepdims=True))[np.arange(5), CLASSES])
    ),
    "log sum exp": lambda a, t: np.sum(np.log(np.sum(np.exp(a), axis=1)) - np.sum(t * a, axis=1)),
}
"""Categorical cross-entropy as it is typed in different books."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
@pytest.mark.parametrize("name", SOFTMAX_LOSSES)
def test_softmax_cross_entropy(name: str, dtype: Any, scale: float, executor: str) -> None:
    rng = np.random.default_rng(0)
    a = (scale * rng.uniform(-1, 1, size=(5, 4))).astype(dtype)
    t = np.eye(4, dtype=dtype)[CLASSES]
    value, gradient = cr.jit(cr.value_and_grad(SOFTMAX_LOSSES[name]), executor=executor)(a, t)
    with mpmath.workdps(50):
        logs, soft = exact_rows(a)
        true = mpmath.fsum(logs[i] - float(a[i, j]) for i in range(5) for j in range(4) if t[i, j])
    eps = float(np.finfo(dtype).eps)
    # The loss is a difference of numbers of the size of a; the gradient takes exp(a - log z),
    # which turns an absolute rounding of a into a relative one of the probability.
    assert value == pytest.approx(float(true), rel=16 * eps, abs=16 * eps * scale)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, soft - t, rtol=0, atol=16 * eps * max(scale, 1))


def exact_rows(a: Any) -> tuple[list[Any], np.ndarray]:
    """Of each row of a: log(sum(exp)), and the softmax."""
    rows = [[mpmath.mpf(float(v)) for v in row] for row in a]
    logs = [max(r) + mpmath.log(mpmath.fsum(mpmath.exp(v - max(r)) for v in r)) for r in rows]
    soft = [[float(mpmath.exp(v - z)) for v in r] for r, z in zip(rows, logs, strict=True)]
    return logs, np.array(soft)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_sum_exp(dtype: Any, executor: str) -> None:
    a = np.array([[1e4, 1e4, 3], [-1e4, -1e4, -9999], [0.0, 1, -745]], dtype)
    with mpmath.workdps(50):
        logs, soft = exact_rows(a)
    eps = float(np.finfo(dtype).eps)
    for f in (
        lambda a: np.log(np.sum(np.exp(a), axis=1)),
        lambda a: np.log(np.sum(np.exp(a), axis=1, keepdims=True))[:, 0],
        lambda a: np.stack([np.log(np.sum(np.exp(row))) for row in a]),
    ):
        (value, gradient) = cr.jit(
            lambda a, f=f: (f(a), cr.grad(lambda a: np.sum(f(a)))(a)), executor=executor
        )(a)
        np.testing.assert_allclose(value, [float(z) for z in logs], rtol=4 * eps)
        np.testing.assert_allclose(gradient, soft, rtol=16 * eps, atol=float(np.finfo(dtype).tiny))
    minus = cr.jit(lambda a: np.log(np.sum(np.exp(a))), executor=executor)
    assert minus(np.full(3, -np.inf, dtype)) == -np.inf


NORMS = {
    "x * x": lambda x: np.sqrt(np.sum(x * x)),
    "x**2": lambda x: np.sqrt(np.sum(x**2)),
    "square": lambda x: np.sqrt(np.sum(np.square(x))),
    "kept": lambda x: np.sqrt(np.sum(x**2, axis=-1, keepdims=True))[0],
    "linalg": np.linalg.norm,
}


INSIDE = {
    "grad": lambda f: cr.grad(f),
    "value_and_grad": lambda f: lambda a: cr.value_and_grad(f)(a)[1],
    "vjp": lambda f: lambda a: cr.vjp(f, a)[1](type(a)(1))[0],
    "jvp": lambda f: lambda a: cr.jvp(f, (a,), (type(a)(1),))[1],
    "under jit again": lambda f: cr.jit(cr.grad(f), executor="numpy"),
    "under jit again, native": lambda f: cr.jit(cr.grad(f), executor="native"),
}
"""A first derivative of a function under jit, by transformations around it."""


@pytest.mark.parametrize("transformation", INSIDE)
@pytest.mark.parametrize("name", SCALAR)
def test_a_function_under_jit_is_as_stable_inside_a_transformation(
    name: str, transformation: str
) -> None:
    if "native" in transformation:
        pytest.importorskip("llvmlite")
    typed, exact = SCALAR[name]
    slope = INSIDE[transformation](cr.jit(typed))
    curvature = cr.hessian(cr.jit(typed))
    nested = cr.grad(cr.jit(cr.grad(cr.jit(typed))))
    for dtype in (np.float32, np.float64):
        eps = float(np.finfo(dtype).eps)
        with mpmath.workdps(60):
            for point in POINTS:
                a = mpmath.mpf(float(dtype(point)))
                true = [float(mpmath.diff(exact, a, n, h=mpmath.mpf(10) ** -20)) for n in (1, 2)]
                found = [f(dtype(point)) for f in (slope, curvature, nested)]
                # The bounds of check_scalar; a second derivative is a product of two first ones.
                assert found[0] == pytest.approx(true[0], rel=1e3 * eps, abs=1e-15), point
                assert found[1:] == pytest.approx([true[1]] * 2, rel=1e3 * eps, abs=eps), point


@pytest.mark.parametrize("name", [*SOFTMAX_LOSSES, *NORMS])
def test_a_loss_or_norm_under_jit_is_as_stable_inside_a_transformation(name: str) -> None:
    rng = np.random.default_rng(0)
    t, a = np.eye(4)[CLASSES], 1e4 * rng.uniform(-1, 1, size=(5, 4))
    if name in NORMS:
        f, args = NORMS[name], (np.zeros(3),)
    else:
        f, args = SOFTMAX_LOSSES[name], (a, t)
    expected = cr.jit(cr.grad(f))(*args)
    assert np.all(np.isfinite(expected))
    for found in (cr.grad(cr.jit(f))(*args), cr.vjp(cr.jit(f), *args)[1](1.0)[0]):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_rewrites_stop_when_a_function_under_jit_returns() -> None:
    values: list[str] = []

    def f(a: Any) -> Any:
        inside = cr.jit(lambda a: np.log(1 + np.exp(a)))(a)
        with np.errstate(over="ignore"):
            values.append(str(np.log(1 + np.exp(a))))
        return inside

    assert cr.grad(f)(800.0) == 1
    assert "inf" in values[0]
    assert "divide" in str(cr.trace(lambda a: cr.jit(np.tanh)(a) + logistic(a))(1.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NORMS)
def test_norms(name: str, dtype: Any, executor: str) -> None:
    run = cr.jit(cr.value_and_grad(NORMS[name]), executor=executor)
    value, slope = run(np.zeros(3, dtype))
    assert value == 0
    np.testing.assert_array_equal(slope, np.zeros(3))
    eps = float(np.finfo(dtype).eps)
    large = float(np.finfo(dtype).max) / 8
    points = [[3.0, 4.0], [3e4, -4e4], [1e-4, 0.0]]
    if name != "linalg":  # NumPy's own, which overflows
        points += [[large, -large / 2], [3 / large, 4 / large]]
    for x in points:
        value, slope = run(np.array(x, dtype))
        true = np.hypot(*np.array(x, dtype).astype(float))
        assert value == pytest.approx(true, rel=4 * eps, abs=0)
        np.testing.assert_allclose(slope, np.array(x) / np.hypot(*x), rtol=8 * eps)


def test_norms_of_rows_of_which_one_is_nothing(executor: str) -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0], [1e4, 0.0]])
    value, slope = cr.jit(
        cr.value_and_grad(lambda x: np.sum(np.sqrt(np.sum(x**2, axis=1)))), executor=executor
    )(x)
    assert value == pytest.approx(10005.0, rel=1e-15)
    np.testing.assert_allclose(slope, [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-15)


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


def shifted_softmax(a: Any, axis: Any = None) -> Any:
    e = np.exp(a - np.max(a, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def shifted_log_softmax(a: Any, axis: Any = None) -> Any:
    b = a - np.max(a, axis=axis, keepdims=True)
    return b - np.log(np.sum(np.exp(b), axis=axis, keepdims=True))


def shifted_log_sum_exp(a: Any, axis: Any = None) -> Any:
    top = np.max(a, axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.sum(np.exp(a - top), axis=axis))


SHIFTED = (shifted_softmax, shifted_log_softmax, shifted_log_sum_exp)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), (-1, -2)])
@pytest.mark.parametrize("f", SHIFTED)
def test_nothing_is_differentiated_through_a_maximum_that_was_taken_off(f: Any, axis: Any) -> None:
    rng = np.random.default_rng(2)
    a = rng.integers(0, 3, (3, 3, 3)) * 300.0  # with ties
    weights = rng.normal(size=f(a, axis).shape)

    def loss(a: Any) -> Any:
        return np.sum(weights * f(a, axis))

    assert "reduce_max" in str(cr.trace(cr.grad(loss))(a))
    graph = record(cr.grad(loss), a, rewrite=stability.rewrite).graph
    assert not [x for x in graph.nodes if x.primitive.name == "equal"]  # of entries at the top
    for derivative in (cr.grad, cr.hessian):
        wanted = derivative(loss)(a / 300)
        np.testing.assert_allclose(cr.jit(derivative(loss))(a / 300), wanted, atol=1e-14)
    assert np.all(np.isfinite(cr.jit(cr.grad(loss))(a)))


def test_a_maximum_of_other_rows_is_differentiated() -> None:
    """Where what is taken off is not the same for all that is put together."""
    a = np.random.default_rng(3).normal(size=(3, 3))
    e, top = (lambda a: np.exp(a - np.max(a, axis=1, keepdims=True))), (lambda a: np.max(a, axis=1))
    for f in (
        lambda a: e(a) / np.sum(e(a), axis=1),
        lambda a: e(a) / np.sum(e(a), axis=0),
        lambda a: np.sum(e(a), axis=1),
        lambda a: np.log(np.sum(e(a), axis=0)) + top(a),
        lambda a: np.log(np.sum(e(a), axis=1)) + top(a[::-1]),
        lambda a: e(a) / np.sum(e(2 * a), axis=1, keepdims=True),
    ):
        np.testing.assert_allclose(
            cr.jit(cr.jacobian(f))(a), cr.jacobian(f)(a), rtol=1e-12, atol=1e-14
        )


EXAMPLES = {
    "logistic": logistic,
    "softmax": lambda a: np.exp(a) / np.sum(np.exp(a)),
    "reciprocal": lambda a: np.reciprocal(1 + np.exp(a)),
    "complement": lambda a: 1 - logistic(a),
    "log-logistic": lambda a: np.log(logistic(a)),
    "log1p-sum-exp": lambda a: np.log1p(np.exp(a)),
    "log-sum-exp": lambda a: np.log(np.sum(np.exp(a))),
    "softmax-shift": lambda a: shifted_softmax(a),
    "log-softmax-shift": lambda a: shifted_log_softmax(a),
    "log-sum-exp-shift": lambda a: shifted_log_sum_exp(a),
    "norm": lambda a: np.sqrt(np.sum(a * a)),
    "norm-sum": lambda a: np.sqrt(a * a + (a + 1) ** 2 + 4),
    "root-of-product": lambda a: np.sqrt(a * a * (3 - a)),
    "quotient-of-products": lambda a: a * (a + 3) / (a + 4),
    "log-of-product": lambda a: np.log(a * a * (3 - a)),
    "log2-of-product": lambda a: np.log2(a * a * (3 - a)),
    "log10-of-product": lambda a: np.log10(a * a * (3 - a)),
    "hypotenuse": lambda a: np.sqrt(a * a + 1),
    "difference": lambda a: np.sqrt(a + 3) - np.sqrt(a + 2),
    "difference-sum": lambda a: -1 / (a + 3) + 1 / (a + 4),
    "quadratic": lambda a: (-3 + np.sqrt(9 - 2 * a)) / a,
    "exp-quotient": lambda a: np.exp(a) / (np.exp(a) - 1),
    "exp-sum": lambda a: np.expm1(2 * a + a * a) / (np.expm1(2 * a) * np.expm1(a * a)),
    "exp-product": lambda a: np.exp(a) * np.exp(2 - a),
    "log2-sum-exp": lambda a: np.log2(np.sum(np.exp2(a))),
    "log10-sum-exp": lambda a: np.log10(np.sum(np.exp(a))),
    "levels-off": lambda a: a**2 / (3 + a**2),
    "over-root": lambda a: 1 / np.sqrt((1 + a * a) * np.exp(a)),
    "over-power": lambda a: (a + 1) / a**3,
    "log2-of-1-plus": lambda a: np.log2(1 + a * a),
    "log10-of-1-plus": lambda a: np.log10(1 + a * a),
    "power-of-1-plus": lambda a: (1 + a * a) ** a,
    "exp-factor": lambda a: (np.exp(2 * a) - 1) / (np.exp(a) - 1),
    "series-quotient": lambda a: (1 - np.cos(a)) / a**2,
    "cancel-factor": cr.grad(lambda a: np.sum(np.log(np.reciprocal(a + 2)))),
    "log-of-1-plus": lambda a: np.log(1 + a * a),
    "log-of-quotient": lambda a: np.log((4 - a) / (4 + a)),
    "inverse-hyperbolic": lambda a: np.log(a + np.sqrt(a * a + 1)),
    "series-log": lambda a: np.log(np.cos(a / 2)),
}


@pytest.mark.parametrize("one", REWRITES, ids=lambda r: r.name)
def test_every_rewrite_acts_and_keeps_the_value(one: Any, monkeypatch: Any) -> None:
    f, a = EXAMPLES[one.name], np.array([0.3, -1.2, 2.0])
    with_it = cr.jit(f)(a)
    typed = stability.Typed(REWRITES)
    stable = str(record(f, a, rewrite=typed).graph)
    rest = Table([r for r in REWRITES if r is not one])
    monkeypatch.setattr(stability, "rewrite", rest)
    assert not typed.declined
    assert str(record(f, a, rewrite=stability.rewrite).graph) != stable
    np.testing.assert_allclose(with_it, f(a), rtol=1e-14)


def test_trace_shows_what_was_typed() -> None:
    text = str(cr.trace(logistic)(1.0))
    assert "divide" in text
    assert "logistic(" not in text.split("\n", 1)[1]


def _instead(name: str, replace: Any) -> Table:
    """The table with something else in the place of one rewrite."""
    (one,) = (r for r in REWRITES if r.name == name)
    wrong = Rewrite(name, one.primitive, replace, one.example)
    return Table([wrong, *(r for r in REWRITES if r is not one)])


def _unshifted(x: Any) -> Any:
    return None


WRONG = {
    "complement": (
        lambda x, z: apply("logistic", inner(z)) if made_by(z, "logistic") else None,
        lambda: check_scalar("1 - logistic", np.float64, "numpy"),
    ),
    "log-logistic": (
        lambda x: apply("logaddexp", inner(x), x) if made_by(x, "logistic") else None,
        lambda: check_scalar("log logistic", np.float64, "numpy"),
    ),
    "log-sum-exp": (_unshifted, lambda: test_log_sum_exp(np.float64, "numpy")),
    "norm": (lambda x: None, lambda: test_norms("x**2", np.float64, "numpy")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_or_missing_rewrite_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, check = WRONG[name]
    check()
    monkeypatch.setattr(stability, "rewrite", _instead(name, replace))
    with pytest.raises(AssertionError):
        check()


def test_a_row_that_fails_leaves_the_operation_to_the_next() -> None:
    """A coefficient that no float holds is counted; any other fault of a row comes out."""

    def fails(error: Exception) -> Any:
        def replace(x: Any) -> Any:
            raise error

        return stability.Typed([Rewrite("fails", "log", replace, ""), *REWRITES])

    for error in (OverflowError(), ZeroDivisionError()):
        table = fails(error)
        graph = record(SCALAR["softplus"][0], 1.0, rewrite=table).graph
        assert graph.outputs[0].primitive.name == "logaddexp"
        assert table.declined == {"fails": 1}
    with pytest.raises(RuntimeError):
        record(SCALAR["softplus"][0], 1.0, rewrite=fails(RuntimeError()))


# Extreme constants ------------------------------------------------------------------------

NUMBERS = (5e-324, 1e308, -1e308, 1e300, 1e-300, np.inf, -np.inf, np.nan, 0.0, -0.0, 10**300)
SMALL = (1, -1, 2, 0.5, 3)
EXPONENTS = (1e8, -1e8, 1e300, np.inf, np.nan, 0.1, 64, 65, -3, -1, 0, 1, 2, 3, 0.5, -0.5)
FUNCTIONS = (
    "sqrt",
    "exp",
    "log",
    "sin",
    "cos",
    "tanh",
    "log1p",
    "expm1",
    "square",
    "cosh",
    "arctan",
)
NAMES = {name: getattr(np, name) for name in (*FUNCTIONS, "inf", "nan")}


def formula(r: random.Random, depth: int) -> str:
    kind = r.random() if depth else 0.0
    if kind < 0.12:
        return r.choice(("x", "y", "x", "y", repr(r.choice(NUMBERS)), repr(r.choice(SMALL))))
    inner = formula(r, depth - 1)
    if kind < 0.6:
        return f"({inner} {r.choice('+-*/')} {formula(r, depth - 1)})"
    if kind < 0.7:
        return f"({inner} ** {r.choice(EXPONENTS)!r})"
    if kind < 0.8:
        return f"({inner} - {inner.replace('x', '(x + 1)').replace('e(x + 1)p', 'exp')})"
    return f"{r.choice(FUNCTIONS)}({inner})"


@pytest.mark.parametrize("block", range(4))
def test_constants_that_no_float_holds_once_joined(block: int) -> None:
    """What is recorded as typed is recorded under jit, and so is its gradient."""
    count = 0
    for seed in range(500 * block, 500 * (block + 1)):
        text = formula(random.Random(seed), 2 + seed % 3)
        f = eval(f"lambda x, y: {text}", NAMES)
        for g in (f, cr.grad(f)):
            with np.errstate(all="ignore"):
                try:
                    cr.trace(g)(0.5, 2.5)
                except (cr.ChainruleError, ArithmeticError, TypeError):
                    continue  # not recorded as typed either
                record(g, 0.5, 2.5, rewrite=stability.rewrite)
                count += 1
    assert count > 800


@pytest.mark.parametrize(
    "f",
    [
        lambda x: 5e-324 * np.exp(x) / (1e308 * np.exp(x) - 1e308),
        lambda x: np.sqrt(1e300 * 1e300 * x + 1) - np.sqrt(1e300 * 1e300 * x),
        lambda x: x**np.nan - x,
        lambda x: (1 + np.sin(x)) ** np.inf - 1,
        lambda x: x / (x - x + 1e-320) - np.sin(x) / 1e-320,
    ],
)
def test_extreme_coefficients(f: Any) -> None:
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(cr.jit(f, executor="numpy")(0.5), f(np.float64(0.5)))


@pytest.mark.parametrize("n", [100, -100, 10**5, -(10**5)])
def test_large_powers_are_not_multiplied_out(n: int) -> None:
    """Neither as a number of a hundred million digits nor as that many operations."""
    for f in (
        lambda x: np.sin(x) - x * (2 + x) ** n,
        lambda x: np.sin(x) * x**n - np.tan(x) * x**n,
    ):
        recorded = record(f, 0.5, rewrite=stability.rewrite)
        assert len(recorded.graph.nodes) < 80


@pytest.mark.parametrize("f", [np.tanh, np.exp, np.cos, lambda u: np.sqrt(1 + u), np.log1p])
def test_numbers_on_both_sides_of_a_sum_are_counted_once(f: Any) -> None:
    """One of them joins the function, the others stay: tanh(u) - (x + 1) had -1 twice."""

    def sums(u: Any, x: Any) -> Any:
        c = (1.0, -1.0, 2.0)
        beside = [f(u) - (x + k) for k in c] + [(f(u) + k) - (x + n) for k in c for n in c]
        return np.stack(beside + [(x + k) + (f(u) - n) for k in c for n in c])

    for u in (0.1, 0.9, 2.0, -0.7):
        result = cr.jit(sums, executor="numpy")(u, 0.3)
        np.testing.assert_allclose(result, sums(u, 0.3), rtol=1e-12, atol=1e-14)


SMOOTH = {
    "root of a difference": (lambda a, b: np.sqrt(a**2 - b**2), (3.0, 0.0)),
    "its constant part moves too": (lambda a, b: np.sqrt(b * b - a * a), (0.0, 2.0)),
    "root of a product off": (lambda a, b: np.sqrt(a**2 - a * b), (1.0, 0.0)),
    "root of a term off": (lambda a, b: np.sqrt(b * b - (a - 1)), (1.0, 1.0)),
    "root with a logarithm": (lambda a, b: np.sqrt(np.square(b / a) + np.log(a**3)), (1.0, 1.0)),
    "root of a scaled square": (lambda a, b: a * (0.5 * (a * a)) ** 0.5 + b, (0.0, 0.5)),
    "logarithm of 1 less": (lambda a, b: b / np.log(1 - a), (0.0, 1.0)),
    "logarithms of negative numbers": (lambda a, b: np.log(a + b) - np.log(a), (-30.0, -2.0)),
    "logarithms of less": (lambda a, b: np.log(a) - np.log(a + b), (-30.0, -2.0)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_a_branch_that_is_not_taken_leaves_no_trace(name: str) -> None:
    """Neither a nan of its slopes, nor a number where there is none, nor the sign of a zero."""
    f, at = SMOOTH[name]
    with np.errstate(all="ignore"):
        typed = f(*map(np.float64, at))
        np.testing.assert_allclose(cr.jit(f)(*at), typed, rtol=1e-14)
        if np.isfinite(typed):
            slopes = cr.grad(f, (0, 1))(*at)
            np.testing.assert_allclose(cr.jit(cr.grad(f, (0, 1)))(*at), slopes, rtol=1e-13)
            np.testing.assert_allclose(cr.grad(cr.jit(f), (0, 1))(*at), slopes, rtol=1e-13)


@pytest.mark.parametrize("f", [lambda a: np.log(1 - np.exp(a)), lambda a: np.log(1 + -np.exp(a))])
def test_a_difference_of_exponentials_is_no_sum(f: Any) -> None:
    for a, exact in ((-1e-20, -46.051701859880914), (-50.0, -1.9287498479639178e-22)):
        np.testing.assert_allclose(cr.jit(f)(a), exact, rtol=1e-14)


ZEROS = {
    "exp(a) - 1": lambda a: np.exp(a) - 1,
    "1 - exp(a)": lambda a: 1 - np.exp(a),
    "-exp(a) + 1": lambda a: -np.exp(a) + 1,
    "exp2(a) - 1": lambda a: np.exp2(a) - 1,
    "cos(a) - 1": lambda a: np.cos(a) - 1,
    "1 - cos(a)": lambda a: 1 - np.cos(a),
    "sqrt(1 + a) - 1": lambda a: np.sqrt(1 + a) - 1,
    "1 - sqrt(1 - a)": lambda a: 1 - np.sqrt(1 - a),
    "sqrt(1 + a) - sqrt(1 - a)": lambda a: np.sqrt(1 + a) - np.sqrt(1 - a),
    "log(1 + a)": lambda a: np.log(1 + a),
    "log(1 - a)": lambda a: np.log(1 - a),
    "log(1 + a) - log(1 - a)": lambda a: np.log(1 + a) - np.log(1 - a),
    "1 / (1 + a) - 1": lambda a: 1 / (1 + a) - 1,
    "(1 + a)**0.3 - 1": lambda a: (1 + a) ** 0.3 - 1,
}


@pytest.mark.parametrize("name", ZEROS)
def test_a_difference_of_equals_has_numpys_sign_of_zero(name: str) -> None:
    f = ZEROS[name]
    fast = cr.jit(f)
    for x in (0.0, -0.0):
        found, wanted = fast(x), f(np.float64(x))
        assert found == wanted == 0
        assert np.signbit(found) == np.signbit(wanted)


NO_NUMBERS = {
    "x / x": (lambda a: (a / a) ** 3 + a, 0.0),
    "in a logarithm": (lambda a: np.log(a / a * (1 + a)), 0.0),
    "in a root": (lambda a: np.sqrt(a / (a + a) + 1), 0.0),
    "in a quotient": (lambda a: 1.5 * (a / a) * (2 - a) / ((a - 2) / 3), 0.0),
    "a root of a negative number": (lambda a: np.sqrt(a) ** 2, -1.0),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NO_NUMBERS)
def test_what_is_no_number_as_typed_is_not_cancelled(name: str) -> None:
    f, x = NO_NUMBERS[name]
    for found in (f(np.float64(x)), cr.jit(f)(x), cr.jit(cr.grad(f))(x), cr.grad(cr.jit(f))(x)):
        assert np.isnan(found)


@pytest.mark.parametrize(
    ("f", "args", "value"),
    [
        (lambda x: 3 - 3 * np.cos(x) * 1, (1e-8,), 1.5e-16),
        (lambda x, a, b: a * b - a * np.cos(x) * b, (1e-8, 3.0, 2.0), 3e-16),
        (lambda x, a: a * np.exp(x) * 2 - a * 2, (1e-10, 3.0), 6.0000000003e-10),
        (lambda x, a: a * np.log(x + 1) * 2 - 2 * a * np.log(x), (1e14, 3.0), 5.99999999999997e-14),
    ],
)
def test_factors_on_either_side_hide_no_difference(f: Any, args: Any, value: float) -> None:
    assert cr.jit(f)(*args) == pytest.approx(value, rel=1e-14)


def _numbers(x: Any) -> Any:
    return mpmath if isinstance(x, mpmath.mpf) else np


SATURATING = {
    "x/(1+x)": lambda x: x / (1 + x),
    "its exponential": lambda x: _numbers(x).exp(x / (1 + x)),
    "its square off": lambda x: (1 - 7 * x / (2 + x)) ** 2,
    "its cube": lambda x: (x / (1 + x / 3)) ** 3,
    "its square": lambda x: (x / (3 + x)) ** 2,
    "half a loss": lambda x: 0.5 * (3 * x / (1 + 3 * x) - 0.2) ** 2,
    "by a root": lambda x: x / _numbers(x).sqrt(1 + x * x),
}


@pytest.mark.parametrize("name", SATURATING)
@pytest.mark.parametrize("x", [1e-3, 30.0, 1e6, 1e9])
def test_slopes_of_what_saturates_do_not_cancel(name: str, x: float) -> None:
    """1/z - u/z² with z = k + u is k/z², whatever meets it from outside."""
    f = SATURATING[name]
    with mpmath.workdps(80):
        exact = float(mpmath.diff(f, mpmath.mpf(x)))
    assert cr.jit(cr.grad(f))(x) == pytest.approx(exact, rel=2e-15, abs=0)


EXTREMES = {
    "root of a product with exp": (
        lambda x: 3 / np.sqrt(x * np.exp(x)), 700.0, -5.63759081427121165e-154),
    "root of a product with exp2": (
        lambda x: 3 / np.sqrt(x * np.exp2(x)), 1010.0, -3.12772190175656758e-154),
    "where exp overflows": (
        lambda x: 1 / np.sqrt(x * np.exp(x)), 720.0, -8.41187943101750284e-159),
    "root of a product with cosh": (
        lambda x: 3 / np.sqrt(x * np.cosh(x)), 700.0, -7.9727573886523278766e-154),
    "root of an exponential that is 0": (
        lambda x: np.sqrt(np.exp(-x * x) / (3 + x)), 30.0, -1.9300417943342525872e-195),
    "a square of an exponential less 1": (
        lambda x: x**2 * np.exp(x) / (np.exp(x) - 1) ** 2, 700.0, -4.8174379592810240406e-299),
    "what levels off": (lambda x: x**2 / (3 + x**2), 1e20, 6e-60),
    "the root of what levels off": (lambda x: np.sqrt(x / (1 + x)), 1e20, 5e-41),
    "a scale far from 1": (
        lambda x: np.sqrt(x) / (1e-300 * x), 1.3e260, -3.37330007425780495e-91),
}  # fmt: skip
"""A formula, a point, and its slope there by mpmath."""


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_slopes_meet_their_factors_in_range(name: str) -> None:
    f, x, slope = EXTREMES[name]
    for slope_of in (cr.jit(cr.grad(f)), cr.grad(cr.jit(f))):
        assert slope_of(x) == pytest.approx(slope, rel=1e-13, abs=0)
