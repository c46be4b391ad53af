"""Numeric slopes: their intervals hold the true value, kinks and jumps are told apart."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest

from chainrule.checking.numeric import Slope, complex_step, differences
from chainrule.checking.verdicts import Tolerance, judged
from chainrule.core.node import PRIMITIVES
from chainrule.core.recording import quiet
from tests.helpers.oracles import float_positions, in_dtype, ridders
from tests.helpers.slopes import Case, Exact, cases

COUNT = int(os.environ.get("CHAINRULE_SLOPES", "1000"))
"""The full form has 10,000 (``nox -s full``)."""


def line(f: Callable[[Any], Any], x: float) -> Callable[[Sequence[float]], list[float]]:
    return lambda hs: [float(f(np.float64(x) + h)) for h in hs]


def by_differences(case: Case) -> Slope:
    return differences(line(case.function(), case.x), abs(case.x))


def by_complex_step(case: Case) -> Slope | None:
    class Recorded:
        """The functions as the primitives compute them."""

        def __getattr__(self, name: str) -> Any:
            return PRIMITIVES[name].forward

    f = case.function(Recorded())
    return complex_step(lambda h: f(np.complex128(case.x + h)), abs(case.x))


@pytest.mark.parametrize("way", [by_differences, by_complex_step])
def test_the_interval_holds_the_true_slope(way: Callable[[Case], Slope | None]) -> None:
    """In 99.9 % of the cases at least, and the intervals are narrow: half of them below 1e-11."""
    outside, widths = [], []
    for case in cases(COUNT, seed=2):
        with quiet():
            found = way(case)
        if found is None or found.kind == "undefined":
            continue
        widths.append(found.error / max(abs(float(case.slope)), 1e-12))
        # 1e-30: at 0 mpmath's own slope is not exact either
        if found.kind != "smooth" or abs(found.value - case.slope) > found.error + 1e-30:
            outside.append((case, found))
    assert len(widths) > 0.9 * COUNT
    assert len(outside) <= COUNT / 1000, outside
    assert np.median(widths) < 1e-11


@pytest.mark.parametrize(
    ("source", "x"),
    [
        ("m.log(x**2 + 1) + 0.04 * x", -1.0858392191516764e-06),
        ("m.log(x**2 + 1)", -9.59676481732727e-06),
        ("x**3 - m.tanh(m.log(x**2 + 1))", -1.6509717845027188e-06),
        ("m.log(m.sin(x)**2 * x**16 + 1)", 0.044889343281867056),
        ("x - m.sin(x)", 2.9136996163439234e-06),
        ("m.exp(0.761 / (m.sqrt(x**4 + 0.1)**4))", 0.00016496994272854545),
    ],
)
def test_rounding_that_values_hide_widens_the_interval(source: str, x: float) -> None:
    """What x**2 loses in x**2 + 1 does not move the values at the smallest steps."""
    slope = mpmath.diff(lambda t: eval(source, {"m": Exact, "x": t}), mpmath.mpf(x), h=1e-20)
    found = by_differences(Case(source, x, slope))
    assert found.kind == "smooth"
    assert abs(found.value - slope) <= found.error


def test_roundings_that_cancel_do_not_narrow_the_interval() -> None:
    """exp(x) rounds the same way at x - d and x + d."""
    x = -0.00013833372546722344
    found = by_complex_step(Case("x - m.exp(x)", x, 0.0))
    assert found is not None
    assert abs(found.value - (1 - mpmath.exp(mpmath.mpf(x)))) <= found.error


def test_too_narrow_an_interval_is_seen() -> None:
    outside = 0
    for case in cases(200, seed=3):
        with quiet():
            found = by_differences(case)
        outside += abs(found.value - case.slope) > found.error / 1000
    assert outside > 20


@pytest.mark.parametrize(
    ("f", "kind", "left", "right"),
    [
        (lambda x: abs(x), "kink", -1, 1),
        (lambda x: max(x, 0.0), "kink", 0, 1),
        (lambda x: np.where(x >= 0, x * x + 3 * x, np.sin(x)), "kink", 1, 3),
        (lambda x: max(x, 3 * x) + 1e5, "kink", 1, 3),
        (np.sign, "jump", -1, 1),
        (lambda x: np.floor(x) * 5 + x, "jump", -5, 0),
        (lambda x: np.where(x >= 0, 1e-3, 0) + np.cos(x), "jump", 1, 1.001),
    ],
)
def test_kinks_and_jumps(f: Callable[[Any], Any], kind: str, left: float, right: float) -> None:
    found = differences(line(f, 0.0), 1.0)
    assert found.kind == kind
    assert found.left == pytest.approx(left, abs=1e-5)
    assert found.right == pytest.approx(right, abs=1e-5)


@pytest.mark.parametrize(
    "f", [lambda x: abs(x) * x, lambda x: abs(x) ** 2.5, lambda x: np.cos(abs(x)), lambda x: x * 0]
)
def test_what_is_smooth_at_the_point_is_no_kink(f: Callable[[Any], Any]) -> None:
    found = differences(line(f, 0.0), 1.0)
    assert found.kind == "smooth"
    assert abs(found.value) <= found.error + 1e-12


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_nearby_does_not_mislead(distance: float, side: int) -> None:
    found = differences(line(lambda x: max(x, 0.0) * 3, side * distance), 1.0)
    true = 3.0 if side > 0 else 0.0
    assert abs(found.value - true) <= found.error + 1e-12
    assert found.error < 0.1


def test_kinks_nearby_are_seldom_wrong_in_float32() -> None:
    """Its steps end at 9e-5, so a kink within 1e-3 often cannot be told from the slope beside it;
    the verdict on the true slope must then be inconclusive. 1.6 % of 6,000 were called wrong."""
    rng, wrong, found = np.random.default_rng(0), 0, 0
    for _ in range(600):
        k = 10 ** rng.uniform(-6, -0.3) * rng.choice([-1, 1])
        a, b, c = rng.normal(size=3)

        def f(h: float, a: float = a, b: float = b, c: float = c, k: float = k) -> float:
            return float(np.float32(1 + a * np.tanh(h) + c * h * h + b * max(h - k, 0.0)))

        true = a + (b if k < 0 else 0)
        slope = differences(line(f, 0.0), 1.0, eps=2.0**-23, resolution=2.0**-23)
        largest, tolerance = max(abs(true), 1.0), Tolerance(4, 1.0)
        wrong += judged((), true, slope, largest, tolerance, 1.0).verdict == "wrong"
        found += judged((), true + 0.3, slope, largest, tolerance, 1.0).verdict == "wrong"
    assert wrong <= 0.03 * 600
    assert found >= 0.8 * 600


def test_no_slope() -> None:
    with quiet():
        assert differences(line(np.sqrt, 0.0), 1.0).kind == "undefined"
        assert differences(line(np.cbrt, 0.0), 1.0).kind == "undefined"  # it is infinite
        assert differences(line(lambda x: np.tanh(1e6 * x), 0.0), 1.0).kind == "smooth"
        assert differences(line(np.log, 1e-300), 1e-300).kind == "smooth"  # steps down to 1e-300
        assert differences(line(np.log, -1.0), 1.0).kind == "undefined"
        assert complex_step(lambda h: np.sqrt(np.complex128(h)), 1.0) is None


@pytest.mark.parametrize("name", [n for n, p in PRIMITIVES.items() if p.analytic])
def test_what_states_that_it_is_analytic_is(name: str) -> None:
    """A complex step in each floating argument alone, beside differences."""
    primitive = PRIMITIVES[name]
    for sample in (in_dtype(s, np.float64) for s in primitive.samples()):
        y = np.asarray(primitive.forward(*sample.inputs, **sample.attrs))
        if not sample.smooth or y.dtype.kind != "f" or not primitive.is_analytic(sample.attrs):
            continue
        for i in float_positions(sample):
            x = sample.inputs[i]
            move = np.random.default_rng(i).uniform(0.5, 1.0, x.shape) * np.maximum(abs(x), 1e-3)

            def at(h: Any, i: int = i, x: Any = x, move: Any = move, sample: Any = sample) -> Any:
                inputs = list(sample.inputs)
                inputs[i] = np.asarray(x + h * move)
                return primitive.forward(*inputs, **sample.attrs)

            with quiet():
                expected, error = ridders(at)
                found = np.imag(at(1e-150j)) / 1e-150
            top = np.max(np.abs(expected), initial=0.0)
            assert np.all(np.abs(found - expected) <= 10 * error + 1e-7 * top + 1e-12), sample
