"""Loops in explanations: two turns stand for all, and every sum is that of the whole loop."""

from __future__ import annotations

import cProfile
import pstats
import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr


def recurrence(turns: int) -> Any:
    def f(w: Any, x: Any) -> Any:
        h = 0.5
        for _ in range(turns):
            h = np.tanh(w * h + x)
        return h**2

    return f


def network(W: Any, xs: Any) -> Any:
    def turn(h: Any, x: Any) -> Any:
        h = np.tanh(W @ h + x)
        return h, np.sum(h)

    h, sizes = cr.scan(turn, np.ones(2), xs)
    return np.sum(sizes) + h[0]


def orbit(rates: Any, y: Any) -> Any:
    """Two carried quantities, a loop within the turn, and what comes before and after."""
    a, b = np.exp(rates)
    u, v = y
    for _ in range(20):
        for _ in range(2):
            u, v = u + 0.1 * (a * u - u * v), v + 0.1 * (u * v - b * v)
    return np.sin(u) * v


def product(x: Any) -> Any:
    y = x
    for k in range(30):
        y = y * np.cos(x + k)
    return y


FUNCTIONS = {
    "recurrence": (recurrence(40), (0.7, 0.2)),
    "scan": (network, (np.array([[0.3, 0.1], [0.2, -0.4]]), np.linspace(-1, 1, 40).reshape(20, 2))),
    "fori_loop": (lambda w: cr.fori_loop(0, 25, lambda i, c: np.sin(c * w + i), 0.3), (0.8,)),
    "orbit": (orbit, (np.array([0.1, -0.2]), np.array([1.0, 0.5]))),
    "product": (product, (0.4,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_two_turns_stand_for_all_and_sums_are_whole(name: str) -> None:
    f, args = FUNCTIONS[name]
    e = cr.explain(f)(*args)
    assert re.search(r"\d\d equal turns of a loop; the first and the last", e.text())
    total: dict[int, Any] = {}
    shown = {"sum": 0, "dots": 0}
    for step in e.steps:
        if step.kind == "sum" and step.terms:
            parts = [e.steps[i].value for i in step.terms]
            np.testing.assert_allclose(np.sum(parts, axis=0), step.value, rtol=1e-12, atol=1e-14)
            shown["sum"] += 1
        if step.upstream is not None and step.via is not None:
            np.testing.assert_array_equal(step.upstream, total[step.via])
        shown["dots"] += step.formula.text() == "⋯"
        if step.kind in ("start", "backward", "sum"):
            total[step.node] = step.value
    assert shown["sum"] > 0 < shown["dots"]
    for i, value in total.items():
        np.testing.assert_allclose(value, e.nodes[i].gradient, rtol=1e-12)
        assert e.nodes[i].id == i
    assert all(x < node.id for node in e.nodes for x in node.inputs)
    assert all(result.check.agrees for result in e.results)
    exact = cr.grad(f, tuple(range(len(args))))(*args)
    for result, wanted in zip(e.results, exact, strict=True):
        np.testing.assert_allclose(result.value, wanted, rtol=1e-12)


def test_the_gradient_of_shared_parameters_is_added_turn_by_turn() -> None:
    """The numbers of the turns are derivatives by a weight of each turn's own: complex steps."""
    turns = 20

    def apart(ws: Any) -> Any:
        h = 0.5 + 0j
        for w in ws:
            h = np.tanh(w * h + 0.2)
        return h**2

    steps = 0.7 + 1e-30j * np.eye(turns)
    each = [apart(row).imag / 1e-30 for row in steps]
    e = cr.explain(recurrence(turns), precision=6)(0.7, 0.2)
    (step,) = [s for s in e.steps if s.kind == "sum" and s.name.text() == "∂f/∂w"]
    said = re.search(r"turn by turn (.*) \+ (.*) \+ (.*) \+ ⋯ \+ (.*)", step.why)
    assert said is not None
    numbers = [float(x.replace("−", "-")) for x in said.groups()]
    np.testing.assert_allclose(numbers, [each[-1], each[-2], each[-3], each[1]], rtol=1e-5)
    np.testing.assert_allclose(step.value, np.sum(each), rtol=1e-12)


def test_all_renderings_show_the_turns_and_stay_short() -> None:
    short, long = (cr.explain(recurrence(n))(0.7, 0.2) for n in (18, 60))
    for form in ("text", "html", "latex", "markdown"):
        shown, longer = getattr(short, form)(), getattr(long, form)()
        assert "equal turns of a loop" in shown
        assert "turn by turn" in shown
        assert len(longer) < 1.3 * len(shown)
    assert len(long.nodes) == len(short.nodes) < 16
    assert long.latex().count(r"\cdots") > 3
    few = cr.explain(recurrence(15))(0.7, 0.2)
    assert "equal turns" not in few.text()
    assert len(few.nodes) == 2 + 3 * 15 + 1


def test_functions_of_functions_are_written_in_steps_in_proportion_to_their_depth() -> None:
    """Each function around used to ask again how the one inside is written: two to the depth."""
    calls = []
    for depth in (10, 20):
        formula = cr.explain(recurrence(depth))(0.7, 0.2).formula
        assert formula is not None
        profile = cProfile.Profile()
        profile.runcall(formula.mathml)
        calls.append(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]
    assert calls[1] < 5 * calls[0]
