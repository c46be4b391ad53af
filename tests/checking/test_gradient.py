"""``cr.check_gradient``: verdicts on entries, reports, blame; ours and other gradients."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.core.node import PRIMITIVES

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 5))
Y = rng.integers(0, 3, 20)
PARAMS = {
    "W1": rng.normal(size=(5, 4)),
    "b1": rng.normal(size=4),
    "W2": rng.normal(size=(4, 3)),
    "b2": rng.normal(size=3),
}


def loss(params: Any) -> Any:
    hidden = np.maximum(X @ params["W1"] + params["b1"], 0)
    z = hidden @ params["W2"] + params["b2"]
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(20), Y])


def backward(params: Any) -> Any:
    z1 = X @ params["W1"] + params["b1"]
    hidden = np.maximum(z1, 0)
    z = hidden @ params["W2"] + params["b2"]
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    p[np.arange(20), Y] -= 1
    dz = p / 20
    dz1 = (dz @ params["W2"].T) * (z1 > 0)
    return {"W1": X.T @ dz1, "b1": dz1.sum(0), "W2": hidden.T @ dz, "b2": dz.sum(0)}


def test_ours_and_a_right_backward_pass_are_correct() -> None:
    for gradient in (None, backward, backward(PARAMS)):
        found = cr.check_gradient(loss, PARAMS, gradient=gradient)
        assert found
        assert found.conclusive
        assert all(a.verdict == "correct" for a in found.arrays)


@pytest.mark.parametrize(
    ("spoil", "name", "pattern"),
    [
        (lambda g: g["W2"].__setitem__((3, 1), 1.0), "params/W2", "1 of 12 entries differ: row 3"),
        (lambda g: g["W1"].__setitem__((slice(None), 2), 0.0), "params/W1", "column 2"),
        (lambda g: g.update(b1=g["b1"] * 2), "params/b1", "each is 2 times"),
        (lambda g: g.update(W1=g["W1"] / 20), "params/W1", "each is 1/20 of"),
        (lambda g: g.update(b2=-g["b2"]), "params/b2", "each is -1 times"),
        (lambda g: g.update(b2=g["b2"] * 0), "params/b2", "they are 0"),
        (lambda g: g.update(b2=g["b2"] + 0.5), "params/b2", "each is +0.5 off"),
        (lambda g: g["W2"].__imul__(1 + 1e-7), "params/W2", "differ"),
    ],
)
def test_a_wrong_entry_is_named(spoil: Callable[[Any], Any], name: str, pattern: str) -> None:
    gradient = backward(PARAMS)
    spoil(gradient)
    found = cr.check_gradient(loss, PARAMS, gradient=gradient)
    assert not found
    wrong = [a for a in found.arrays if a.verdict == "wrong"]
    assert [a.name for a in wrong] == [name]
    assert pattern in wrong[0].pattern
    assert f"worst    {name}[" in str(found)
    assert not cr.check_gradient(loss, PARAMS, gradient=gradient, sample=20)


def test_a_transposed_square_gradient() -> None:
    A = rng.normal(size=(3, 3))
    found = cr.check_gradient(lambda W: np.sum(A * W**2), A, gradient=(2 * A * A).T)
    assert "the matrix is transposed" in found["W"].pattern


def test_a_sample_states_what_it_may_miss() -> None:
    found = cr.check_gradient(loss, PARAMS, sample=10)
    assert found
    assert found["params/W1"].missed == 2.0**-10
    assert "at most 2^-10 = 9.8e-04" in str(found)
    # two errors that cancel along half of all directions are found in the others
    missed = 0
    for seed in range(20):
        gradient = backward(PARAMS)["b1"]
        i, j = np.random.default_rng(seed).choice(4, 2, replace=False)
        gradient[i] += 0.1
        gradient[j] -= 0.1
        by_b1 = lambda b1: loss({**PARAMS, "b1": b1})  # noqa: E731
        missed += bool(cr.check_gradient(by_b1, PARAMS["b1"], gradient=gradient, sample=10))
    assert missed == 0


def test_jumps_and_kinks_are_no_agreement_and_no_accusation() -> None:
    for f, x, verdict in (
        (np.sign, 0.0, "inconclusive: jump"),
        (lambda x: np.where(x >= 1, x**2, x), 1.0, "inconclusive: kink"),
        (np.abs, 0.0, "inconclusive: kink"),
        (np.floor, 2.0, "inconclusive: jump"),
    ):
        found = cr.check_gradient(f, x)
        assert found.arrays[0].verdict == verdict
        assert found.ok
        assert not found.conclusive
    for subgradient, ok in ((0.0, True), (0.3, True), (1.0, True), (1.2, False), (-0.1, False)):
        assert cr.check_gradient(lambda x: np.maximum(x, 0), 0.0, gradient=subgradient).ok is ok


def test_the_first_wrong_operation_is_named() -> None:
    @cr.custom_gradient
    def cube(x: Any) -> Any:
        return x**3, lambda g: g * 2 * x**2

    found = cr.check_gradient(lambda x: np.sum(np.sin(cube(np.exp(x)))), np.array([0.3, 0.4]))
    assert found.blame is not None
    assert "custom gradient of cube" in str(found.blame)
    assert f"{__file__}:" in found.blame.place
    right = PRIMITIVES["tanh"].rule
    object.__setattr__(PRIMITIVES["tanh"], "rule", replace(right, partials=(lambda y, x: 1 - y,)))
    try:
        found = cr.check_gradient(lambda x: np.sum(np.sin(np.tanh(x) * 3)), np.array([0.3, 0.4]))
    finally:
        object.__setattr__(PRIMITIVES["tanh"], "rule", right)
    assert found.blame is not None
    assert found.blame.operation == "tanh"


def test_code_that_looks_at_types_is_caught() -> None:
    def f(x: Any) -> Any:
        return np.sum(x**2) if type(x) is np.ndarray else np.sum(x**3)

    found = cr.check_gradient(f, np.array([0.3, 0.4]))
    assert not found
    assert "when it is recorded" in str(found)


def test_stopped_values_stated_gradients_branches_and_float32() -> None:
    def branching(x: Any) -> Any:
        return np.sum(x**2) if x[0] > 0 else np.sum(np.abs(x))

    assert cr.check_gradient(lambda x: cr.stop_gradient(x) * x, 3.0)
    assert cr.check_gradient(branching, np.array([1.0, 2.0]))
    assert cr.check_gradient(branching, np.array([-1.0, 2.0]))
    low = {k: v.astype(np.float32) for k, v in PARAMS.items()}
    assert cr.check_gradient(loss, low)
    low_gradient = {k: v.astype(np.float32) for k, v in backward(PARAMS).items()}
    assert cr.check_gradient(loss, low, gradient=low_gradient)
    low_gradient["b1"] *= 1.1
    assert not cr.check_gradient(loss, low, gradient=low_gradient)


def test_several_arguments_and_what_is_not_differentiated() -> None:
    def f(w: Any, n: int, scale: float, *, power: int = 2) -> Any:
        return np.sum(w**power) * n * scale

    w = np.array([1.0, 2.0])
    assert cr.check_gradient(f, w, 3, 0.5, power=3)
    assert cr.check_gradient(f, w, 3, 0.5, gradient=(2 * w * 1.5, 15.0))
    assert not cr.check_gradient(f, w, 3, 0.5, gradient=(2 * w * 1.5, 14.0))


def test_errors() -> None:
    with pytest.raises(cr.errors.DtypeError, match="no floating argument"):
        cr.check_gradient(lambda n: n * 1.0, 3)
    with pytest.raises(cr.errors.DerivativeError, match="one real number"):
        cr.check_gradient(lambda x: x * 1.0, np.ones(3))
    with pytest.raises(cr.errors.DerivativeError, match="is nan here"), np.errstate(all="ignore"):
        cr.check_gradient(np.log, -1.0)
    with pytest.raises(cr.errors.ShapeError, match="has shape"):
        cr.check_gradient(lambda x: np.sum(x), np.ones(3), gradient=np.ones(2))
    with pytest.raises(cr.errors.UsageError, match="parts"):
        cr.check_gradient(lambda x, y: x * y, 1.0, 2.0, gradient=(1.0, 2.0, 3.0))


@pytest.mark.skipif("CHAINRULE_SLOPES" not in os.environ, reason="takes seconds: nox -s full")
def test_all_parameters_of_64_32_10() -> None:
    generator = np.random.default_rng(0)
    rows, labels = generator.normal(size=(50, 64)), generator.integers(0, 10, 50)
    params = [generator.normal(size=(64, 32)) / 8, np.zeros(32), generator.normal(size=(32, 10))]

    def f(w: Any, b: Any, v: Any) -> Any:
        z = np.maximum(rows @ w + b, 0) @ v
        return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(50), labels])

    start = time.perf_counter()
    assert cr.check_gradient(f, *params)
    print(f"{time.perf_counter() - start:.1f} s")


BIG = np.array([3e100, -2e100])


@pytest.mark.parametrize(
    ("f", "x", "gradient", "verdict"),
    [
        (lambda x: np.sum(x**2), BIG, BIG, "wrong"),  # half of it: 1e185 is not beside 1e100
        (lambda x: np.sum(x**2), BIG, 2 * BIG, "correct"),
        (lambda x: 1e-20 * np.sum(x**2), np.ones(2), np.full(2, 4e-20), "inconclusive: rounding"),
        (lambda x: 1e-20 * np.sum(x**2), np.ones(2), np.full(2, 2e-20), "correct"),
        (lambda x: 1e16 + np.sum(x), np.ones(2), np.full(2, 5.0), "inconclusive: rounding"),
        (lambda x: 1e16 + np.sum(x), np.ones(2), np.ones(2), "correct"),
        (lambda x: np.sum(np.sign(x)), np.array([1.0, -2.0]), np.zeros(2), "correct"),
        (lambda x: np.sum(np.cbrt(x)), np.zeros(1), np.full(1, np.inf), "inconclusive: kink"),
        (lambda x: np.sum(np.log(x)), np.full(1, 1e-300), np.full(1, 1e300), "correct"),
    ],
)
def test_scales_far_from_one(f: Any, x: Any, gradient: Any, verdict: str) -> None:
    assert cr.check_gradient(f, x, gradient=gradient).arrays[0].verdict == verdict


def test_another_value_at_each_call_is_said() -> None:
    rng = np.random.default_rng(0)
    found = cr.check_gradient(lambda x: np.sum(x * rng.normal(size=2)), np.ones(2))
    assert not found
    assert "gives another value at each call" in str(found)
