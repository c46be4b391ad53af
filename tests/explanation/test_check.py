"""The check beside each result is seen to fail: a wrong derivative rule does not pass it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.ops
from chainrule.core.node import PRIMITIVES
from chainrule.core.rules import Elementwise
from chainrule.explanation import explain
from chainrule.explanation.steps.checking import check_gradients

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": np.sin,
    "tanh": np.tanh,
    "exp": np.exp,
    "square": np.square,
    "arctan": np.arctan,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_partial_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = PRIMITIVES[name].rule
    wrong = replace(right, partials=(lambda y, x: right.partials[0](y, x) * 1.000001,))
    assert isinstance(wrong, Elementwise)
    object.__setattr__(PRIMITIVES[name], "rule", wrong)
    try:
        e = explain(lambda x: FUNCTIONS[name](x) * 2)(0.7)
    finally:
        object.__setattr__(PRIMITIVES[name], "rule", right)
    assert not e.results[0].check.agrees
    assert "DIFFERS" in e.text()
    assert explain(lambda x: FUNCTIONS[name](x) * 2)(0.7).results[0].check.agrees


@pytest.mark.parametrize("fault", [1e-6, -1e-7, 1.0])
def test_a_wrong_entry_of_a_gradient_is_found(fault: float) -> None:
    def f(x: Any, w: Any) -> Any:
        return np.sum(np.tanh(w @ x) ** 2)

    rng = np.random.default_rng(0)
    for size in (3, 20):  # entry by entry, and along one direction
        values = [rng.normal(size=size), rng.normal(size=(size, size))]
        graph = cr.trace(f)(*values)
        gradients = list(cr.grad(f, argnums=(0, 1))(*values))
        assert all(c is not None and c.agrees for c in check_gradients(graph, values, gradients))
        gradients[1] = gradients[1].copy()
        gradients[1][1, 2] += fault * np.max(np.abs(gradients[1]))
        first, second = check_gradients(graph, values, gradients)
        assert first is not None
        assert second is not None
        assert first.agrees
        assert not second.agrees


def test_complex_steps_where_possible_and_differences_elsewhere() -> None:
    assert explain(lambda x: np.exp(x) ** 2)(0.3).results[0].check.method == "complex step"
    found = explain(lambda x: np.floor(x) * x)(2.5).results[0].check
    assert found.method == "differences"
    assert found.agrees
    assert found.error < 1e-9


def test_a_kink_says_what_is_on_either_side() -> None:
    found = explain(lambda x: np.abs(x))(0.0).results[0].check
    assert "kink: the slope is -1 on the left and 1 on the right" in found.note
    assert "by convention it is 0" in found.note


def test_a_jump_is_no_agreement() -> None:
    found = explain(lambda x: np.sign(x))(0.0).results[0].check
    assert not found.agrees
    assert "a jump: the function is -1 on the left and 1 on the right" in found.note
    assert "a jump" in explain(lambda x: np.sign(x))(0.0).text()
    found = explain(lambda x: np.where(x >= 1, x**2, x))(1.0).results[0].check
    assert "kink: the slope is 1 on the left and 2 on the right" in found.note


def test_a_function_that_is_not_a_number_has_no_check() -> None:
    with np.errstate(invalid="ignore"):
        found = explain(lambda x: np.log(x))(-1.0).results[0].check
    assert found.method == "none"
    assert "not finite" in found.note


def test_stopped_values_and_stated_gradients() -> None:
    assert explain(lambda x: cr.stop_gradient(x) * x)(3.0).results[0].check.agrees

    @cr.custom_gradient
    def cube(x: Any) -> Any:
        return x**3, lambda g: g * 3 * x**2

    @cr.custom_gradient
    def wrong(x: Any) -> Any:
        return x**3, lambda g: g * 2 * x**2

    assert explain(lambda x: cube(x) * 2)(1.5).results[0].check.agrees
    assert not explain(lambda x: wrong(x) * 2)(1.5).results[0].check.agrees


def test_the_checker_of_the_whole_formula_is_seen_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A formula that does not give the chain rule's number is left out."""
    from chainrule.explanation.formula import expressions as symbolic
    from chainrule.explanation.steps import whole

    def J(x: Any) -> Any:
        return np.sin(x) * x

    assert explain(J)(1.0).results[0].formula is not None
    monkeypatch.setattr(whole, "times", lambda *xs: symbolic.times(*xs, symbolic.TWO))
    assert explain(J)(1.0).results[0].formula is None


def test_what_float32_has_rounded_away_is_no_difference() -> None:
    """p - 1 of a probability p near 1: its slope of 1e-5 is exact to some per cent."""

    def loss(z: Any) -> Any:
        return -np.log(np.exp(z[0]) / np.sum(np.exp(z)))

    for size in (11.0, 12.5, 14.0):
        z = np.array([size, 0.3, -0.2], np.float32)
        assert explain(loss)(z).results[0].check.agrees
