"""Jacobians in either mode, linearize, products with Hessians and Gauss-Newton matrices."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import UsageError

RNG = np.random.default_rng(11)
A, X = RNG.normal(size=(4, 3)), RNG.normal(size=3)


def f(x: Any) -> Any:
    return np.sin(A @ x) * np.sum(x * x)


def by_complex_step(g: Any, x: Any) -> np.ndarray:
    """The Jacobian, without a difference (Squire and Trapp, 1998)."""
    steps = np.eye(len(x)) * 1e-200j
    return np.stack([np.imag(g(x + step)) * 1e200 for step in steps], axis=-1)


def loss(y: Any) -> Any:
    return np.sum(np.exp(y)) + np.sum(y) ** 2


@pytest.mark.parametrize("jit", [lambda g: g, cr.jit], ids=["eager", "jit"])
def test_every_mode_gives_the_jacobian(jit: Any) -> None:
    wanted = by_complex_step(f, X)
    for g in (
        cr.jacfwd(f),
        cr.jacrev(f),
        cr.jacobian(f),
        cr.jacobian(f, mode="forward"),
        cr.jacobian(f, mode="reverse"),
    ):
        np.testing.assert_allclose(jit(g)(X), wanted, rtol=1e-12)
    with pytest.raises(UsageError, match='mode is "forward"'):
        cr.jacobian(f, mode="both")


def test_the_mode_is_the_one_with_fewer_passes() -> None:
    """Of as many passes as there are inputs, or outputs: counted by what is recorded."""
    tall, wide = RNG.normal(size=(40, 2)), RNG.normal(size=(2, 40))
    for matrix, few, many in ((tall, cr.jacfwd, cr.jacrev), (wide, cr.jacrev, cr.jacfwd)):
        g = lambda x, m=matrix: np.tanh(m @ x)  # noqa: E731
        x = np.ones(matrix.shape[1])
        sizes = [len(cr.trace(make(g))(x).nodes) for make in (cr.jacobian, few, many)]
        assert sizes[0] == sizes[1] < sizes[2]


def test_results_beside_the_value_are_passed_through() -> None:
    def with_aux(x: Any) -> Any:
        return f(x), {"norm": np.sum(x * x), "name": "f"}

    def scalar(x: Any) -> Any:
        return loss(f(x)), np.sum(x)

    for make in (cr.jacobian, cr.jacfwd, cr.jacrev):
        found, aux = make(with_aux, has_aux=True)(X)
        np.testing.assert_allclose(found, make(f)(X))
        assert aux == {"norm": np.sum(X * X), "name": "f"}
    plain = lambda x: loss(f(x))  # noqa: E731
    found, aux = cr.hessian(scalar, has_aux=True)(X)
    np.testing.assert_allclose(found, cr.hessian(plain)(X))
    assert aux == np.sum(X)
    found, aux = cr.hvp(scalar, has_aux=True)(X, X)
    np.testing.assert_allclose(found, cr.hvp(plain)(X, X))
    assert aux == np.sum(X)
    y, push, aux = cr.linearize(with_aux, X, has_aux=True)
    np.testing.assert_allclose(y, f(X))
    assert aux["name"] == "f"
    np.testing.assert_allclose(push(X), cr.jvp(f, (X,), (X,))[1])
    with pytest.raises(UsageError, match="must return a pair"):
        cr.jacfwd(f, has_aux=True)(X)


def test_the_hessian_is_forward_over_reverse() -> None:
    gradient = lambda x: np.array([2 * x[0] * x[1], x[0] ** 2 + np.cos(x[1])])  # noqa: E731
    found = cr.hessian(lambda x: x[0] ** 2 * x[1] + np.sin(x[1]))(X[:2])
    np.testing.assert_allclose(found, by_complex_step(gradient, X[:2]), rtol=1e-12)


def test_linearize_runs_once_and_pushes_often() -> None:
    calls = []

    def g(x: Any, c: Any) -> Any:
        calls.append(1)
        return {"y": f(x) * c, "z": c * c}

    y, push = cr.linearize(g, X, 2.0)
    for _ in range(3):
        tangents = RNG.normal(size=3), float(RNG.normal())
        wanted = cr.jvp(g, (X, 2.0), tangents)
        for a, b in zip(cr.tree.leaves((y, push(*tangents))), cr.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    assert len(calls) == 4
    # inside other transformations: differentiated itself, and by its tangent
    h = lambda x: np.sum(cr.linearize(f, x)[1](x) ** 2)  # noqa: E731
    k = lambda x: np.sum(cr.jvp(f, (x,), (x,))[1] ** 2)  # noqa: E731
    np.testing.assert_allclose(cr.grad(h)(X), cr.grad(k)(X))
    np.testing.assert_allclose(cr.jit(cr.grad(h))(X), cr.grad(k)(X))
    (_, push) = cr.linearize(f, X)
    np.testing.assert_allclose(cr.jacobian(push)(X), cr.jacobian(f)(X))
    with pytest.raises(UsageError, match="at least one primal"):
        cr.linearize(f)
    with pytest.raises(UsageError, match="a tangent for each of 1"):
        push(X, X)


@pytest.mark.parametrize("jit", [lambda g: g, cr.jit], ids=["eager", "jit"])
def test_gauss_newton_products(jit: Any) -> None:
    J, v = by_complex_step(f, X), RNG.normal(size=3)
    y = f(X)
    H = np.diag(np.exp(y)) + 2  # of loss at y
    np.testing.assert_allclose(jit(cr.ggnvp(f, loss))(X, v), J.T @ H @ J @ v, rtol=1e-12)
    line = lambda x: A @ x  # noqa: E731  (where f is linear it is the Hessian)
    whole = cr.hvp(lambda x: loss(line(x)))
    np.testing.assert_allclose(jit(cr.ggnvp(line, loss))(X, v), whole(X, v), rtol=1e-12)
    named = cr.ggnvp(lambda b, x: b * f(x), loss, argnames="x")
    np.testing.assert_allclose(named(1.0, X, v), J.T @ H @ J @ v, rtol=1e-12)
    extra = cr.ggnvp(lambda x: (f(x), {"seen": x[0]}), loss, has_aux=True)
    for found in (extra(X, v), jit(extra)(X, v)):
        np.testing.assert_allclose(found[0], J.T @ H @ J @ v, rtol=1e-12)
        assert found[1]["seen"] == X[0]
    with pytest.raises(UsageError, match="ggnvp differentiates by one argument"):
        cr.ggnvp(f, loss, argnums=(0, 1))
    with pytest.raises(UsageError, match="and then the vector"):
        cr.ggnvp(f, loss)(X)


def test_they_pickle() -> None:
    again = pickle.loads(pickle.dumps(cr.ggnvp(f, loss)))
    np.testing.assert_allclose(again(X, X), cr.ggnvp(f, loss)(X, X))
    again = pickle.loads(pickle.dumps(cr.jacfwd(f)))
    np.testing.assert_allclose(again(X), cr.jacfwd(f)(X))
