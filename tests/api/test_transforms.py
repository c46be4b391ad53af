"""What users call: grad and its relatives, alone, on trees, nested, under threads and errors."""

from __future__ import annotations

import copy
import dataclasses
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.core import ArrayType
from chainrule.core.recording import active
from chainrule.errors import (
    DerivativeError,
    DtypeError,
    EscapedTracerError,
    ShapeError,
    UnknownValueError,
    UsageError,
)
from tests.helpers.oracles import complex_step, ridders


def J(x: Any) -> Any:
    return np.cos(np.sin(x**2) + 3 * x**2)


def exact_derivative(order: int) -> Any:
    """The derivative of J at 1 by mpmath, to 60 digits."""
    with mpmath.workdps(60):
        return mpmath.diff(lambda x: mpmath.cos(mpmath.sin(x * x) + 3 * x * x), 1, order)


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


X = np.array([-1.2, 0.7, 1.1])
HESSIAN = np.array(
    [
        [1200 * X[0] ** 2 - 400 * X[1] + 2, -400 * X[0], 0],
        [-400 * X[0], 202 + 1200 * X[1] ** 2 - 400 * X[2], -400 * X[1]],
        [0, -400 * X[1], 200],
    ]
)

# values -----------------------------------------------------------------------------------


def test_the_lectures_derivative_to_twelve_decimals() -> None:
    assert abs(cr.grad(J)(1.0) - 4.560791790679) < 5e-13


def test_derivatives_to_order_six_against_mpmath() -> None:
    """Rounding is 1e-16 of the terms that are summed; they cancel by two digits or so."""
    reverse = forward = J
    for order in range(1, 7):
        exact = float(exact_derivative(order))
        reverse, forward = cr.grad(reverse), by_jvp(forward)
        assert math.isclose(reverse(1.0), exact, rel_tol=1e-13)
        assert math.isclose(forward(1.0), exact, rel_tol=1e-13)


@pytest.mark.parametrize("order", range(1, 5))
def test_powers_at_zero_have_every_derivative(order: int) -> None:
    f: Any = lambda x: x**3  # noqa: E731
    for _ in range(order):
        f = cr.grad(f)
    assert f(0.0) == (6.0 if order == 3 else 0.0)


def test_gradients_of_several_shapes() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(cr.grad(lambda x: np.sum(np.sin(x)))(x), np.cos(x), rtol=1e-15)
    assert cr.grad(np.sum)(np.zeros((0, 3))).shape == (0, 3)
    assert cr.grad(lambda x: x * 0.0 + 1)(2.0) == 0.0
    assert cr.grad(lambda x: 3.0)(2.0) == 0.0
    np.testing.assert_array_equal(cr.grad(lambda x: np.sum(np.ones(2)))(X), np.zeros(3))


def test_value_and_grad_gives_both() -> None:
    value, gradient = cr.value_and_grad(rosenbrock)(X)
    assert value == rosenbrock(X)
    error = ridders(lambda h: rosenbrock(X + h * np.array([1.0, -0.5, 0.25])), h=1e-3)[0]
    np.testing.assert_allclose(gradient @ [1.0, -0.5, 0.25], error, rtol=1e-9)


# arguments --------------------------------------------------------------------------------


def test_argnums_choose_and_shape_the_result() -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        return x * y**2 * z

    assert cr.grad(f)(2.0, 3.0, 5.0) == 45.0
    assert cr.grad(f, argnums=1)(2.0, 3.0, 5.0) == 60.0
    assert cr.grad(f, argnums=-1)(2.0, 3.0, 5.0) == 18.0
    assert cr.grad(f, argnums=(2, 0))(2.0, 3.0, 5.0) == (18.0, 45.0)
    assert cr.grad(f, argnums=[0])(2.0, 3.0, 5.0) == (45.0,)
    assert cr.grad(f, argnums=np.int64(1))(2.0, 3.0, 5.0) == 60.0
    with pytest.raises(UsageError, match=r"argnums=3.*3 positional arguments"):
        cr.grad(f, argnums=3)(1.0, 1.0, 1.0)
    with pytest.raises(UsageError, match="by position"):
        cr.grad(f)(x=1.0, y=1.0, z=1.0)


def test_keyword_arguments_pass_through_as_they_are() -> None:
    def f(x: Any, *, power: int = 2, label: str = "") -> Any:
        assert label == "here"
        return x**power

    assert cr.grad(f)(3.0, power=3, label="here") == 27.0
    assert cr.value_and_grad(f)(3.0, label="here") == (9.0, 6.0)
    np.testing.assert_array_equal(cr.jacobian(f)(X, label="here"), np.diag(2 * X))
    assert cr.hvp(f)(3.0, 1.0, power=3, label="here") == 18.0


@dataclasses.dataclass(frozen=True)
class Params:
    weights: Any
    bias: Any = None


def test_trees_go_in_and_come_out() -> None:
    tree = {"layers": [Params(np.ones((2, 3)), np.zeros(3)), Params(2.0)], "scale": (3.0, None)}

    def f(tree: Any, x: Any) -> Any:
        first, second = tree["layers"]
        y = np.sum(x @ first.weights + first.bias) * second.weights
        return y * tree["scale"][0]

    x = np.array([1.0, 2.0])
    gradient = cr.grad(f)(tree, x)
    assert isinstance(gradient["layers"][0], Params)
    np.testing.assert_array_equal(gradient["layers"][0].weights, 6.0 * np.outer(x, np.ones(3)))
    np.testing.assert_array_equal(gradient["layers"][0].bias, np.full(3, 6.0))
    assert gradient["layers"][1] == Params(27.0, None)
    assert gradient["scale"] == (18.0, None)
    assert cr.grad(f, argnums=(0, 1))(tree, x)[1].shape == (2,)
    out = cr.jit(lambda t: {"double": t["scale"][0] * 2, "same": t})(tree)
    assert out["double"] == 6.0
    np.testing.assert_array_equal(out["same"]["layers"][0].weights, np.ones((2, 3)))


def test_trees_without_leaves() -> None:
    assert cr.grad(lambda p: 1.0)({}) == {}
    assert cr.value_and_grad(lambda p, x: np.sum(x))(None, X) == (np.sum(X), None)
    assert cr.jvp(lambda p: 1.0, ({},), ({},)) == (1.0, 0.0)
    assert cr.vjp(lambda x: (), 1.0)[1](()) == (0.0,)
    assert cr.jacobian(lambda x: ())(1.0) == ()
    assert cr.jit(lambda: 3.0)() == 3.0


def test_auxiliary_results_pass_through() -> None:
    def f(x: Any) -> Any:
        y = np.sin(x)
        return np.sum(y), {"y": y, "note": "text", "shape": x.shape}

    (value, aux), gradient = cr.value_and_grad(f, has_aux=True)(X)
    assert value == np.sum(np.sin(X))
    np.testing.assert_array_equal(aux["y"], np.sin(X))
    assert (aux["note"], aux["shape"]) == ("text", (3,))
    np.testing.assert_allclose(gradient, np.cos(X))
    again, aux = cr.grad(f, has_aux=True)(X)
    np.testing.assert_array_equal(again, gradient)
    assert isinstance(aux["y"], np.ndarray)
    with pytest.raises(UsageError, match="has_aux=True"):
        cr.grad(np.sum, has_aux=True)(X)


# precision and kinds ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_as_given(dtype: Any) -> None:
    x = X.astype(dtype)
    value, gradient = cr.value_and_grad(rosenbrock)(x)
    assert value.dtype == gradient.dtype == dtype
    assert cr.jacobian(np.sin)(x).dtype == dtype
    assert cr.hessian(rosenbrock)(x).dtype == dtype
    assert cr.hvp(rosenbrock)(x, x).dtype == dtype
    y, t = cr.jvp(np.tanh, (x,), (x,))
    assert y.dtype == t.dtype == dtype
    y, pull = cr.vjp(np.tanh, x)
    assert y.dtype == pull(y)[0].dtype == dtype
    assert cr.jit(rosenbrock)(x).dtype == dtype
    assert cr.jit(cr.grad(rosenbrock))(x).dtype == dtype


def test_python_numbers_are_weak_as_they_are_without_recording() -> None:
    """NumPy 2: a Python number takes the dtype of the array beside it, a np.float64 doesn't.
    What Python's own arithmetic makes of Python numbers is one again."""
    x = np.ones(3, np.float32)
    cases = [
        (lambda x, s: x * s, np.float32),
        (lambda x, s: x + (2 * s - 1) ** 2 / -s, np.float32),
        (lambda x, s: x + abs(+s) % 2 // 1, np.float32),
        (lambda x, s: np.where(x > s, x, s), np.float32),
        (lambda x, s: np.maximum(x, s) ** s, np.float32),
        (lambda x, s: x * cr.stop_gradient(s), np.float32),
        (lambda x, s: x * cr.grad(lambda t: t * s)(s), np.float32),
        (lambda x, s: x * np.exp(s), np.float64),
        (lambda x, s: x * (np.float64(2) * s), np.float64),
    ]
    for f, dtype in cases:
        assert f(x, 0.5).dtype == dtype
        assert cr.jit(f)(x, 0.5).dtype == dtype
        assert cr.vjp(f, x, 0.5)[0].dtype == dtype
        assert cr.jvp(f, (x, 0.5), (x, 1.0))[1].dtype == dtype
        assert type(cr.grad(lambda s, x, f=f: np.sum(f(x, s)))(0.5, x)) is float
        assert cr.jit(f)(x, np.float64(0.5)).dtype == np.float64
    for g in (lambda s: round(s), lambda s: s > 0, lambda s: 2 * s):
        assert type(cr.jit(g)(2.5)) is type(g(2.5))
    assert cr.jit(lambda x, n: x * n)(x, 2).dtype == np.float32
    assert cr.jit(lambda x, n: x * (n + 1))(np.ones(3, np.uint8), 2).dtype == np.uint8
    assert cr.jit(lambda x, n: x * n)(x, np.int64(2)).dtype == np.float64


def test_each_argument_keeps_its_own_precision() -> None:
    x, y = np.ones(2, np.float32), np.ones(2, np.float64)
    a, b = cr.grad(lambda x, y: np.sum(x * y), argnums=(0, 1))(x, y)
    assert (a.dtype, b.dtype) == (np.float32, np.float64)


def test_kinds_of_scalars_come_back_as_they_went_in() -> None:
    for x, kind in [
        (2.0, float),
        (np.float64(2), np.float64),
        (np.float32(2), np.float32),
        (np.array(2.0), np.ndarray),
    ]:
        gradient = cr.grad(lambda x: x**3)(x)
        assert type(gradient) is kind
        assert gradient == 12.0
    value, gradient = cr.value_and_grad(lambda x: x**3)(2.0)
    assert type(value) is float
    y, t = cr.jvp(J, (2.0,), (1.0,))
    assert type(y) is type(t) is float
    y, pull = cr.vjp(J, 2.0)
    assert type(y) is type(pull(1.0)[0]) is float
    assert type(cr.jit(J)(2.0)) is float
    assert type(cr.jacobian(J)(2.0)) is float
    assert type(cr.hessian(J)(2.0)) is float
    assert type(cr.hvp(J)(2.0, 1.0)) is float


def test_what_has_no_derivative_is_refused_by_name() -> None:
    def loss(weights: Any, labels: Any = 1.0) -> Any:
        return np.sum(weights * labels)

    for bad, kind in [
        (3, "int"),
        (True, "bool"),
        (np.arange(3), "int64"),
        (np.ones(3, bool), "bool"),
        (np.uint8(3), "uint8"),
    ]:
        with pytest.raises(DtypeError, match=rf"'weights' of loss is {kind}.*no derivative"):
            cr.grad(loss)(bad)
        with pytest.raises(DtypeError, match="argnums="):
            cr.jvp(loss, (bad,), (bad,))
    for bad in (1j, np.ones(3, complex)):
        with pytest.raises(DtypeError, match=r"'weights' of loss is complex.*imaginary"):
            cr.grad(loss)(bad)
    with pytest.raises(DtypeError, match=r"'labels' of loss is int64"):
        cr.grad(loss, argnums=1)(X, np.arange(3))
    with pytest.raises(DtypeError, match=r"'weights/layer' of loss is a str"):
        cr.grad(loss)({"layer": "text"})
    assert cr.grad(loss)(X, np.arange(3)).dtype == np.float64  # integers beside it are fine


def test_kinds_of_arrays_with_operators_of_their_own_are_refused() -> None:
    masked = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    matrix = np.ones((2, 2)).view(np.matrix)
    for call in (cr.grad(np.sum), cr.jit(np.sum), cr.trace(np.sum)):
        with pytest.raises(DtypeError, match=r"MaskedArray.*filled\(0\)"):
            call(masked)
        with pytest.raises(DtypeError, match=r"matrix.*np.asarray"):
            call(matrix)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: x, r"float64\[3\]; sum or average it, or ask for cr.jacobian"),
        (lambda x: (x, x), r"returned a tuple.*has_aux=True"),
        (lambda x: None, "returned None"),
        (lambda x: "loss", "returned a str"),
        (lambda x: {"loss": np.sum(x)}, "returned a dict"),
        (lambda x: np.argmax(x), "int64, which has no derivative"),
        (lambda x: np.any(x > 0), "bool, which has no derivative"),
        (lambda x: 3, "int64, which has no derivative"),
    ],
)
def test_what_grad_cannot_take_as_a_loss(result: Any, message: str) -> None:
    with pytest.raises(DerivativeError, match=message):
        cr.grad(result)(X)


# vjp and jvp ------------------------------------------------------------------------------


def test_vjp_pulls_back_as_often_as_asked() -> None:
    y, pull = cr.vjp(lambda x, w: x @ w, X, np.arange(6.0).reshape(3, 2))
    g = np.array([1.0, -2.0])
    for _ in range(3):
        dx, dw = pull(g)
        np.testing.assert_array_equal(dx, np.arange(6.0).reshape(3, 2) @ g)
        np.testing.assert_array_equal(dw, np.outer(X, g))
    assert pull(y)[0].shape == (3,)


def test_a_pullback_holds_no_more_memory_after_use() -> None:
    _, pull = cr.vjp(lambda x: np.sum(np.sin(x) * x), X)
    recording = next(
        c.cell_contents
        for c in pull._call.__closure__
        if type(c.cell_contents).__name__ == "Recording"
    )
    sizes = []
    for _ in range(3):
        pull(1.0)
        sizes.append((len(recording.values), len(recording.places), len(recording._known)))
    assert len(set(sizes)) == 1
    with pytest.raises(ShapeError):
        pull(np.ones(2))
    assert (len(recording.values), len(recording.places), len(recording._known)) == sizes[0]


@pytest.mark.parametrize("kind", [tuple, list])
def test_vjp_and_jvp_of_tuples_and_lists(kind: Any) -> None:
    pair = kind([2.0, 3.0])
    y, pull = cr.vjp(lambda p: p[0] * p[1], pair)
    assert (y, pull(1.0)) == (6.0, (kind([3.0, 2.0]),))
    assert cr.jvp(lambda p: p[0] * p[1], (pair,), (kind([1.0, 10.0]),)) == (6.0, 23.0)
    assert cr.vjp(lambda p, q: p[0] * q, pair, 2.0)[1](1.0) == (kind([2.0, 0.0]), 2.0)


def test_vjp_and_jvp_of_trees() -> None:
    def f(p: Any) -> Any:
        return {"a": p["x"] * p["y"], "b": (np.sum(p["x"]),)}

    p = {"x": X, "y": 2.0}
    y, pull = cr.vjp(f, p)
    (g,) = pull({"a": np.ones(3), "b": (10.0,)})
    np.testing.assert_array_equal(g["x"], np.full(3, 12.0))
    assert g["y"] == np.sum(X)
    y, t = cr.jvp(f, (p,), ({"x": np.ones(3), "y": 1.0},))
    np.testing.assert_array_equal(t["a"], 2 + X)
    assert t["b"] == (3.0,)
    np.testing.assert_array_equal(y["a"], 2 * X)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.vjp(np.sin, X)[1](np.ones(2)), ShapeError, r"cotangent has shape \(2,\)"),
        (lambda: cr.vjp(np.sin, X)[1](np.ones(3, np.float32)), DtypeError, "cotangent has dtype"),
        (lambda: cr.vjp(np.sin, X)[1]((X, X)), UsageError, "cotangent has the tree"),
        (lambda: cr.vjp(np.sin), UsageError, "at least one primal"),
        (lambda: cr.jvp(np.sin, (X,), (np.ones(2),)), ShapeError, r"tangent has shape \(2,\)"),
        (lambda: cr.jvp(np.sin, (X,), (X, X)), UsageError, "tangents have the tree"),
        (lambda: cr.jvp(np.sin, X, X), UsageError, r"cr.jvp\(f, \(x,\), \(v,\)\)"),
        (lambda: cr.vjp(np.argmax, X)[1](1), DerivativeError, "argmax returned int64"),
        (lambda: cr.jacobian(np.argmax)(X), DerivativeError, "argmax returned int64"),
        (lambda: cr.hvp(np.sum)(X), UsageError, "and then the vector"),
    ],
)
def test_calls_that_do_not_fit_say_how_to_call(call: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_tangents_of_what_does_not_depend_are_zero() -> None:
    _, t = cr.jvp(lambda x: (np.ones(2), x > 0, x), (X,), (X,))
    np.testing.assert_array_equal(t[0], np.zeros(2))
    assert t[1].dtype == bool
    assert not t[1].any()
    np.testing.assert_array_equal(t[2], X)


# whole derivatives ------------------------------------------------------------------------


def test_jacobians_by_rows_and_by_columns_agree() -> None:
    w = np.random.default_rng(1).normal(size=(3, 5))

    def tall(x: Any) -> Any:
        return np.tanh(x @ w)

    def wide(x: Any) -> Any:
        return np.tanh(x @ w.T)

    np.testing.assert_allclose(
        cr.jacobian(tall)(X), (1 - np.tanh(X @ w) ** 2)[:, None] * w.T, rtol=1e-14
    )
    x = np.arange(5.0) / 5
    np.testing.assert_allclose(
        cr.jacobian(wide)(x), (1 - np.tanh(x @ w.T) ** 2)[:, None] * w, rtol=1e-14
    )


def test_jacobians_have_the_trees_of_output_and_argument() -> None:
    def f(p: Any, x: Any) -> Any:
        return {"y": p["w"] @ x, "s": np.sum(p["b"])}

    p = {"w": np.ones((2, 3)), "b": np.zeros(4)}
    jacobian = cr.jacobian(f, argnums=(0, 1))(p, X)
    shapes = {(k, a): jacobian[k][0][a].shape for k in ("y", "s") for a in ("w", "b")}
    assert shapes == {
        ("y", "w"): (2, 2, 3),
        ("y", "b"): (2, 4),
        ("s", "w"): (2, 3),
        ("s", "b"): (4,),
    }
    assert jacobian["y"][1].shape == (2, 3)
    assert jacobian["s"][1].shape == (3,)
    np.testing.assert_array_equal(jacobian["y"][1], p["w"])


def test_jacobians_of_empty_things() -> None:
    assert cr.jacobian(np.sin)(np.zeros(0)).shape == (0, 0)
    assert cr.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert cr.jacobian(lambda x: np.zeros(2) + np.sum(x))(np.zeros(0)).shape == (2, 0)


def test_hessians_and_hessian_vector_products() -> None:
    np.testing.assert_allclose(cr.hessian(rosenbrock)(X), HESSIAN, rtol=1e-14)
    v = np.array([0.3, -1.0, 2.0])
    np.testing.assert_allclose(cr.hvp(rosenbrock)(X, v), HESSIAN @ v, rtol=1e-13)

    def f(a: Any, b: Any) -> Any:
        return np.sum(a) * np.sum(b) ** 2

    assert cr.hvp(f, argnums=1)(np.ones(2), np.ones(3), np.ones(3)).tolist() == [12.0] * 3
    blocks = cr.hessian(f, argnums=(0, 1))(np.ones(2), np.ones(3))
    assert [[b.shape for b in row] for row in blocks] == [[(2, 2), (2, 3)], [(3, 2), (3, 3)]]
    np.testing.assert_array_equal(blocks[0][1], np.full((2, 3), 6.0))


# nesting ----------------------------------------------------------------------------------

THIRD = float(exact_derivative(3))


def by_jvp(f: Any) -> Any:
    return lambda x: cr.jvp(f, (x,), (np.ones_like(x),))[1]


def by_vjp(f: Any) -> Any:
    def derivative(x: Any) -> Any:
        y, pull = cr.vjp(f, x)
        return pull(np.ones_like(y))[0]

    return derivative


WAYS = {
    "grad": cr.grad,
    "jvp": by_jvp,
    "vjp": by_vjp,
    "jacobian": cr.jacobian,
    "jit grad": lambda f: cr.jit(cr.grad(f)),
    "grad jit": lambda f: cr.grad(cr.jit(f)),
}


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("third", WAYS)
def test_derivatives_nest_in_any_order(first: str, second: str, third: str) -> None:
    derivative = WAYS[third](WAYS[second](WAYS[first](J)))
    for x in (1.0, np.float64(1.0), np.array(1.0)):
        assert math.isclose(derivative(x), THIRD, rel_tol=1e-12)


@pytest.mark.parametrize("inner", [lambda f: f, cr.jit], ids=["plain", "jit"])
@pytest.mark.parametrize("outer", [lambda f: f, cr.jit], ids=["plain", "jit"])
def test_hessian_of_jit_and_jit_of_hessian(inner: Any, outer: Any) -> None:
    np.testing.assert_allclose(outer(cr.hessian(inner(rosenbrock)))(X), HESSIAN, rtol=1e-14)
    np.testing.assert_allclose(outer(cr.hvp(inner(rosenbrock)))(X, X), HESSIAN @ X, rtol=1e-13)


def test_a_pullback_can_be_differentiated_later() -> None:
    """d/dg <J'(x)g, w>, and with the primal closed over, from outside and inside a recording."""
    _, pull = cr.vjp(lambda x: np.sin(x) * x, X)
    slope = np.cos(X) * X + np.sin(X)
    assert cr.grad(lambda s: np.sum(pull(s * X)[0]))(2.0) == pytest.approx(slope @ X)
    _, t = cr.jvp(lambda g: pull(g)[0], (X,), (np.ones(3),))
    np.testing.assert_allclose(t, slope)
    np.testing.assert_allclose(cr.jit(lambda g: pull(g)[0])(X), slope * X)

    def second(x: Any) -> Any:
        _, inner = cr.vjp(np.sin, x)
        return np.sum(inner(np.cos(x))[0])  # cos² x

    np.testing.assert_allclose(cr.grad(second)(X), -2 * np.cos(X) * np.sin(X))


def test_a_gradient_inside_a_function_that_is_traced() -> None:
    def step(w: Any, x: Any) -> Any:
        return w - 0.1 * cr.grad(lambda w: np.sum((x @ w) ** 2))(w)

    w, x = np.array([1.0, 2.0]), np.arange(6.0).reshape(3, 2)
    expected = w - 0.2 * x.T @ (x @ w)
    np.testing.assert_allclose(step(w, x), expected)
    np.testing.assert_allclose(cr.jit(step)(w, x), expected)
    assert isinstance(str(cr.trace(step)(w, x)), str)
    jacobian = cr.jacobian(step)(w, x)
    np.testing.assert_allclose(jacobian, np.eye(2) - 0.2 * x.T @ x)


def test_an_inner_gradient_at_a_constant_point_is_a_constant() -> None:
    def f(x: Any) -> Any:
        return x * cr.grad(J)(1.0)

    assert cr.grad(f)(3.0) == pytest.approx(cr.grad(J)(1.0))
    assert cr.jit(f)(3.0) == pytest.approx(3 * cr.grad(J)(1.0))


def test_jit_inside_a_gradient_may_close_over_what_is_differentiated() -> None:
    def f(w: Any) -> Any:
        inner = cr.jit(lambda x: w * x**2)
        return inner(3.0)

    assert cr.grad(f)(2.0) == 9.0
    assert cr.jvp(f, (2.0,), (1.0,)) == (18.0, 9.0)


def test_control_flow_on_values() -> None:
    def f(x: Any) -> Any:
        while x < 100:
            x = x * x if x > 2 else x + 1.5
        return x if not x > 1e3 else x / 2

    assert cr.grad(f)(3.0) == pytest.approx(ridders(lambda h: f(3.0 + h))[0])

    def total(xs: Any) -> Any:
        return sum(max(x, 0.0) for x in xs)

    np.testing.assert_array_equal(cr.grad(total)(X), [0.0, 1.0, 1.0])
    with pytest.raises(UnknownValueError, match=r"test_transforms.py.*np.where"):
        cr.jit(f)(3.0)


# perturbation confusion -------------------------------------------------------------------


def test_siskind_and_pearlmutters_example() -> None:
    """d/dx (x · d/dy (x + y) at y = 1) at x = 1 is 1, not 2 (Siskind and Pearlmutter 2005)."""
    for outer in (cr.grad, by_jvp):
        for inner in (cr.grad, by_jvp):
            assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0  # noqa: B023
            assert outer(lambda x: inner(lambda y: x * y)(1.0) * x)(3.0) == 6.0  # noqa: B023
            assert outer(lambda x: x * inner(lambda y: x + y)(x))(1.0) == 1.0  # noqa: B023


def test_manzyuks_amazing_bug() -> None:
    """s(u)(f)(x) = f(x + u); its derivative in u at 0 is D, and D(D exp) at 1 is e. Here D f
    is a function returned from inside a derivative (Manzyuk et al. 2019, section 2)."""

    def shift(u: Any) -> Any:
        return lambda f: lambda x: f(x + u)

    def derivative(f: Any) -> Any:
        return lambda x: by_jvp(lambda u: shift(u)(f)(x))(0.0)

    assert derivative(derivative(np.exp))(1.0) == pytest.approx(math.e, rel=1e-15)


def test_the_same_point_twice_is_two_inputs() -> None:
    def f(x: Any) -> Any:
        a = cr.grad(lambda y: y * x)(x)  # x
        b = cr.grad(lambda y: y * y * x)(x)  # 2 x²
        return a * b

    assert cr.grad(f)(2.0) == pytest.approx(6 * 2.0**2)
    assert cr.grad(cr.grad(f))(2.0) == pytest.approx(12 * 2.0)


def test_an_outer_value_is_a_constant_to_an_inner_derivative() -> None:
    def f(x: Any) -> Any:
        y = np.sin(x)
        return cr.grad(lambda z: y * z**2)(x)  # 2 x sin x

    assert cr.grad(f)(0.7) == pytest.approx(2 * math.sin(0.7) + 1.4 * math.cos(0.7))


# stating and stopping ---------------------------------------------------------------------


def test_stop_gradient() -> None:
    assert cr.grad(lambda x: x * cr.stop_gradient(x))(3.0) == 3.0
    assert cr.jvp(lambda x: x * cr.stop_gradient(x), (3.0,), (1.0,)) == (9.0, 3.0)
    assert cr.hessian(lambda x: cr.stop_gradient(x) ** 2)(3.0) == 0.0
    assert cr.jit(cr.grad(lambda x: x * cr.stop_gradient(x)))(3.0) == 3.0
    tree = cr.stop_gradient({"a": X, "b": (1.0, None)})
    assert tree["a"] is X
    gradient = cr.grad(lambda p: np.sum(cr.stop_gradient(p)["a"] * p["a"]))({"a": X})
    np.testing.assert_array_equal(gradient["a"], X)


@cr.custom_gradient
def log1pexp(x: Any) -> Any:
    e = np.exp(x)
    return np.log(1 + e), lambda g: g * (1 - 1 / (1 + e))


def test_custom_gradients_are_used_in_both_modes_and_again() -> None:
    s = 1 / (1 + math.exp(-0.3))
    assert log1pexp(0.3) == pytest.approx(math.log1p(math.exp(0.3)))
    for derive in (cr.grad, by_jvp, cr.jacobian):
        assert derive(log1pexp)(0.3) == pytest.approx(s)
        assert derive(cr.jit(log1pexp))(0.3) == pytest.approx(s)
        assert cr.jit(derive(log1pexp))(0.3) == pytest.approx(s)
        for again in (cr.grad, by_jvp):
            assert derive(again(log1pexp))(0.3) == pytest.approx(s * (1 - s))
    assert cr.jit(log1pexp)(0.3) == pytest.approx(math.log1p(math.exp(0.3)))


def test_a_custom_gradient_replaces_the_derivative() -> None:
    @cr.custom_gradient
    def reversed_(x: Any) -> Any:
        return x, lambda g: -g

    assert cr.grad(lambda x: reversed_(x) * 3)(2.0) == -3.0

    @cr.custom_gradient
    def clipped(p: Any, scale: Any) -> Any:
        y = {"y": p["w"] * scale, "n": np.sum(p["w"])}
        return y, lambda g: ({"w": np.clip(g["y"], -1, 1)}, None)

    def loss(p: Any, scale: Any) -> Any:
        return 5 * np.sum(clipped(p, scale)["y"])

    gp, gs = cr.grad(loss, argnums=(0, 1))({"w": X}, 2.0)
    np.testing.assert_array_equal(gp["w"], np.ones(3))
    assert gs == 0.0


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x, "must return .value, vjp."),
        (lambda x: (x, 3.0), "must return .value, vjp."),
        (lambda x: (x, lambda g: (g, g)), "2 cotangents for 1"),
        (lambda x: (x, lambda g: np.ones(2)), "shape"),
    ],
)
def test_custom_gradients_that_do_not_fit(f: Any, message: str) -> None:
    with pytest.raises((UsageError, ShapeError), match=message):
        cr.grad(lambda x: cr.custom_gradient(f)(x) * 1.0)(2.0)


# jit and trace ----------------------------------------------------------------------------


def test_jit_records_once_for_each_combination_of_types() -> None:
    calls = []

    @cr.jit
    def f(x: Any, y: Any) -> Any:
        calls.append(x.dtype)
        return x * y

    for _ in range(3):
        f(2.0, 3.0)
    assert len(calls) == 1
    f(np.float32(2), 3.0)
    f(np.ones(2), 3.0)
    f(np.zeros(2), 4.0)
    assert len(calls) == 3


def test_trace_takes_types_as_well_as_values() -> None:
    graph = cr.trace(lambda x, n: np.sum(x * n))(ArrayType((2, 3), np.float32), 2.0)
    assert [str(x.type) for x in graph.inputs] == ["float32[2, 3]", "float64"]
    assert str(cr.trace(J)(ArrayType((), np.float64))) == str(cr.trace(J)(1.0))


def test_jit_says_which_argument_it_does_not_take() -> None:
    with pytest.raises(DtypeError, match="an argument of J is a str"):
        cr.jit(J)("text")
    with pytest.raises(DtypeError, match="returned a str"):
        cr.jit(lambda x: "text")(1.0)


# what must not happen ---------------------------------------------------------------------


def test_results_share_no_memory_with_arguments_or_each_other() -> None:
    x = X.copy()
    same = [
        *cr.value_and_grad(lambda x: np.sum(x * x) / 2)(x),
        *cr.jvp(lambda x: x, (x,), (x,)),
        cr.vjp(lambda x: x, x)[0],
        *cr.vjp(lambda x: x, x)[1](x),
        cr.jacobian(lambda x: x)(x),
        cr.jit(lambda x: x)(x),
        *cr.jit(lambda x: (x, x, x[::-1]))(x),
        *cr.grad(lambda a, b: np.sum(a * b), argnums=(0, 1))(x, x),
        cr.grad(lambda x: (np.sum(x), x), has_aux=True)(x)[1],
    ]
    for i, one in enumerate(same):
        assert not np.shares_memory(one, x)
        assert not any(np.shares_memory(one, other) for other in same[:i])
        if isinstance(one, np.ndarray):
            one[...] = 0  # fresh, so writable
    np.testing.assert_array_equal(x, X)


def test_functions_are_wrapped_not_changed() -> None:
    def f(x: Any) -> Any:
        """Square."""
        return x * x

    f.note = "mine"  # type: ignore[attr-defined]
    before = dict(vars(f))
    for transform in (cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian, cr.hvp, cr.jit, cr.vmap):
        wrapped = transform(f)
        assert wrapped is not f
        assert (wrapped.__name__, wrapped.__doc__) == ("f", "Square.")
    assert vars(f) == before
    assert f(3.0) == 9.0


def test_arguments_are_not_changed() -> None:
    tree = {"w": X.copy(), "n": [1.0, 2.0]}
    before = copy.deepcopy(tree)
    cr.grad(lambda p: np.sum(p["w"]) * p["n"][0] * p["n"][1])(tree)
    np.testing.assert_array_equal(tree["w"], before["w"])
    assert tree["n"] == before["n"]


def test_an_exception_inside_leaves_no_recording_behind() -> None:
    def bad(x: Any) -> Any:
        raise KeyError("mine")

    for call in (
        lambda: cr.grad(bad)(1.0),
        lambda: cr.jvp(bad, (1.0,), (1.0,)),
        lambda: cr.vjp(bad, 1.0),
        lambda: cr.jacobian(bad)(1.0),
        lambda: cr.hessian(bad)(1.0),
        lambda: cr.hvp(bad)(1.0, 1.0),
        lambda: cr.jit(bad)(1.0),
        lambda: cr.vmap(bad)(X),
        lambda: cr.trace(bad)(1.0),
        lambda: cr.grad(lambda x: cr.jit(bad)(x))(1.0),
    ):
        with pytest.raises(KeyError, match="mine"):
            call()
        assert active() is None
        assert cr.grad(J)(1.0) == pytest.approx(4.560791790679)


def test_an_exception_in_an_inner_derivative_can_be_caught() -> None:
    def f(x: Any) -> Any:
        try:
            cr.grad(lambda y: y * undefined)(x)  # type: ignore[name-defined] # noqa: F821
        except NameError:
            return x**2
        return x

    assert cr.grad(f)(3.0) == 6.0


def test_a_traced_value_that_escaped_says_so() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(np.sin(x))
        return np.sum(x**2)

    cr.grad(f)(X)
    cr.trace(f)(X)
    cr.jit(f)(X)
    for tracer in kept:
        for use in (
            lambda t=tracer: t + 1,
            lambda t=tracer: np.exp(t),
            lambda t=tracer: bool(np.all(t > 0)),
            lambda t=tracer: bool(t),
            lambda t=tracer: t[0],
            lambda t=tracer: np.sum(t),
            lambda t=tracer: cr.grad(np.sum)(t),
            lambda t=tracer: cr.jvp(np.sin, (X,), (t,)),
            lambda t=tracer: cr.grad(lambda x: np.sum(x * t))(X),
            lambda t=tracer: cr.grad(lambda x: np.sum(t))(X),
            lambda t=tracer: cr.grad(lambda x: t)(X),
            lambda t=tracer: cr.jit(lambda x: t)(X),
            lambda t=tracer: cr.jit(lambda x: x * t)(X),
            lambda t=tracer: cr.vjp(np.sin, X)[1](t),
        ):
            with pytest.raises(EscapedTracerError, match="has_aux=True"):
                use()
        assert "Traced" in repr(tracer)


# threads ----------------------------------------------------------------------------------


def test_threads_record_without_disturbing_one_another() -> None:
    turns = threading.Barrier(4, timeout=20)

    def work(seed: int) -> Any:
        def f(x: Any) -> Any:
            for _ in range(5):
                turns.wait()  # all four are in the middle of a recording
                x = np.sin(x) * (seed + 1)
                with cr.scope(f"thread{seed}"):
                    x = x + cr.grad(J)(x)
            return x

        return cr.grad(f)(0.3), cr.jvp(f, (0.3,), (1.0,))[1], cr.jit(f)(0.3)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    alone = []
    for seed in range(4):

        def f(x: Any, seed: int = seed) -> Any:
            for _ in range(5):
                x = np.sin(x) * (seed + 1)
                x = x + cr.grad(J)(x)
            return x

        alone.append((cr.grad(f)(0.3), cr.jvp(f, (0.3,), (1.0,))[1], cr.jit(f)(0.3)))
    assert found == alone


def test_one_pullback_serves_many_threads() -> None:
    _, pull = cr.vjp(lambda x: np.cumsum(np.sin(x) * x), np.linspace(0, 1, 50))
    gs = [np.random.default_rng(k).normal(size=50) for k in range(40)]
    expected = [pull(g)[0] for g in gs]
    with ThreadPoolExecutor(8) as pool:
        for found, right in zip(pool.map(lambda g: pull(g)[0], gs), expected, strict=True):
            np.testing.assert_array_equal(found, right)


def test_a_recording_in_one_thread_is_not_active_in_another() -> None:
    def f(x: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(active).result() is None
            slope = pool.submit(cr.grad(J), 1.0).result()
        assert isinstance(slope, float)
        return x * slope

    assert cr.grad(f)(2.0) == pytest.approx(4.560791790679)


# a network of the field -------------------------------------------------------------------


class TwoLayerNet:
    """The fixture of Stanford's CS231n, assignment 2 (fc_net.ipynb): affine, ReLU, affine,
    softmax, with every number given by np.linspace."""

    n, d, h, c = 3, 5, 50, 7
    x = np.linspace(-5.5, 4.5, num=n * d).reshape(d, n).T
    labels = np.array([0, 5, 1])

    @classmethod
    def params(cls) -> Any:
        return {
            "W1": np.linspace(-0.7, 0.3, num=cls.d * cls.h).reshape(cls.d, cls.h),
            "b1": np.linspace(-0.1, 0.9, num=cls.h),
            "W2": np.linspace(-0.3, 0.4, num=cls.h * cls.c).reshape(cls.h, cls.c),
            "b2": np.linspace(-0.9, 0.1, num=cls.c),
        }

    @classmethod
    def loss(cls, p: Any, reg: float) -> Any:
        hidden = np.where(cls.x @ p["W1"] + p["b1"] > 0, cls.x @ p["W1"] + p["b1"], 0.0)
        scores = hidden @ p["W2"] + p["b2"]
        top = np.max(np.real(scores), axis=1, keepdims=True)
        log_probabilities = scores - top - np.log(np.sum(np.exp(scores - top), 1, keepdims=True))
        data = -np.mean(log_probabilities[np.arange(cls.n), cls.labels])
        return data + 0.5 * reg * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))


@pytest.mark.parametrize(("reg", "loss"), [(0.0, 3.4702243556), (1.0, 26.5948426952)])
def test_the_two_layer_network_of_cs231n(reg: float, loss: float) -> None:
    params = TwoLayerNet.params()
    value, gradient = cr.value_and_grad(TwoLayerNet.loss)(params, reg)
    assert abs(value - loss) < 5e-11
    assert cr.jit(TwoLayerNet.loss)(params, reg) == pytest.approx(value, rel=1e-15)
    rng = np.random.default_rng(0)
    for name, w in params.items():
        for k in rng.choice(w.size, min(w.size, 12), replace=False):
            at = np.unravel_index(k, w.shape)

            def along(h: Any, name: str = name, at: Any = at) -> Any:
                moved = {n: v.astype(complex) for n, v in params.items()}
                moved[name][at] += h
                return complex_loss(moved, reg)

            exact = complex_step(along)
            assert gradient[name][at] == pytest.approx(float(exact), rel=1e-11, abs=1e-14)  # type: ignore[arg-type]
    assert value == pytest.approx(float(np.real(complex_loss(params, reg))), rel=1e-14)


def complex_loss(p: Any, reg: float) -> Any:
    """The same network written for complex steps: ReLU by the sign of the real part."""
    z = TwoLayerNet.x @ p["W1"] + p["b1"]
    scores = (z * (np.real(z) > 0)) @ p["W2"] + p["b2"]
    picked = scores[np.arange(TwoLayerNet.n), TwoLayerNet.labels]
    data = np.mean(np.log(np.sum(np.exp(scores), axis=1)) - picked)
    return data + 0.5 * reg * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_the_gradient_of_an_array_of_one_number(shape: tuple[int, ...]) -> None:
    """The slope of tanh by a complex step; of two numbers it is refused."""
    w, x = np.array([[1.0, 2.0, -3.0]]), np.array([[0.5], [0.2], [0.1]])

    def loss(w: Any) -> Any:
        return np.tanh(w @ x).reshape(shape)

    step = w + 1e-30j * np.eye(3)
    slopes = np.imag(np.tanh(step @ x)).reshape(1, 3) / 1e-30
    for both in (cr.value_and_grad(loss), cr.jit(cr.value_and_grad(loss))):
        value, gradient = both(w)
        assert value.shape == shape
        np.testing.assert_allclose(gradient, slopes, rtol=1e-12)
    rows = np.stack([w, 2 * w])
    np.testing.assert_allclose(cr.vmap(cr.grad(loss))(rows)[0], slopes, rtol=1e-12)
    with pytest.raises(DerivativeError, match=r"single number, but it returned float64\[2\]"):
        cr.grad(lambda x: np.tanh(x))(np.ones(2))
