"""What a choice leaves out takes no part in derivatives, whatever lies between the two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.ops
from chainrule.core.node import PRIMITIVES, Sample
from chainrule.core.rules import Linear
from chainrule.ops.coerce import lift

ENTRYWISE = sorted(n for n, p in PRIMITIVES.items() if p.rule and p.rule.acts_entrywise)
LINEAR = sorted(
    n for n, p in PRIMITIVES.items() if isinstance(p.rule, Linear) and n not in ("item", "bundle")
)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e308, 5e-324])
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def _sample(name: str) -> Sample:
    """The first with numbers in float64."""
    samples = PRIMITIVES[name].samples()
    return next(s for s in samples if any(x.dtype == np.float64 for x in s.inputs))


def _derivatives(f: Any, x: Any) -> Any:
    """Reverse and forward, and of the gradient again."""
    gradient = cr.grad(f)
    yield "grad", gradient(x)
    yield "jvp", cr.jvp(f, (x,), (np.ones(x.shape),))[1]
    if x.size < 6:
        yield "jvp of grad", cr.jvp(gradient, (x,), (np.ones(x.shape),))[1]


def _assert_still(f: Any, x: Any) -> None:
    for mode, derivative in _derivatives(f, x):
        assert not np.any(derivative), f"{mode}: {derivative}"


@pytest.mark.parametrize("name", ENTRYWISE)
def test_sums_of_what_different_choices_leave_out(name: str) -> None:
    primitive, sample = PRIMITIVES[name], _sample(name)
    turns = range(len(sample.inputs))

    def behind(x: Any, shown: Any = False) -> Any:
        y = primitive(*[_rolled(x, i) for i in turns], **sample.attrs)
        one, other, third = _never(x)
        return np.sum(
            np.where(one, y, 0) + np.where(other | shown, 2 * y, 0) - np.where(third, y, 0)
        )

    def before(x: Any) -> Any:
        one, other, _ = _never(x)
        parts = [np.where(one, x, np.roll(SPECIAL, i)) + np.where(other, x, 0) for i in turns]
        y = primitive(*parts, **sample.attrs)
        return np.sum(np.where(np.isfinite(y), y, 0))

    for f in (behind, before):
        _assert_still(f, SPECIAL)
    ones = np.ones(SPECIAL.shape)  # and where one of the choices shows it
    plain = cr.grad(lambda x: np.sum(2 * primitive(*[x] * len(turns), **sample.attrs)))(ones)
    np.testing.assert_allclose(cr.grad(lambda x: behind(x, True))(ones), plain)


def _never(x: Any) -> Any:
    """Three conditions that never hold."""
    return np.isnan(x) & np.isinf(x), (x > 1) & (x < -1), np.isinf(x) & np.isfinite(x)


def _rolled(x: Any, by: int) -> Any:
    return np.roll(x, by) if by else x


@pytest.mark.parametrize("name", LINEAR)
def test_what_is_left_out_is_moved_spread_or_added(name: str) -> None:
    primitive, sample = PRIMITIVES[name], _sample(name)
    first, *others = sample.inputs
    if primitive.shows is not None:  # a choice itself
        first, others = sample.inputs[1], [sample.inputs[0], sample.inputs[2]]

    def of(x: Any) -> Any:
        inputs = [x, *[lift(other, x.recording) for other in others]]
        if primitive.shows is not None:
            inputs[:2] = inputs[1::-1]
        elif name in ("place", "scatter_add", "concatenate"):
            inputs = [lift(z, x.recording) if z.dtype.kind == "i" else x for z in sample.inputs]
            inputs = [x if z is x else z for z in inputs]
        return primitive(*inputs, **sample.attrs)

    zeros = np.zeros(np.shape(first))

    def behind(x: Any) -> Any:
        y = of(np.log(x))
        return np.sum(np.where(np.zeros(y.shape, bool), y, 0))

    def before(x: Any) -> Any:
        one, other, _ = _never(x)
        y = of(np.where(one, x, 0) + np.where(other, 2 * x, 0))
        return np.sum(np.sqrt(np.abs(y)))

    for f in (behind, before):
        _assert_still(f, zeros)


@pytest.mark.parametrize("known", [True, False])
def test_classes_of_a_loss_are_no_masks_of_whole_rows(known: bool) -> None:
    """They would be looked for in every step of training."""
    z, targets, loss = np.ones((4, 3)), np.array([0, 2, 1, 0]), cr.nn.CategoricalCrossEntropy()
    if known:
        graph = cr.trace(cr.grad(lambda z: np.mean(loss(z, targets))))(z)
    else:
        graph = cr.trace(cr.grad(lambda z, targets: np.mean(loss(z, targets))))(z, targets)
    assert "not_equal" not in str(graph)


def _masked(x: Any) -> Any:
    y = x * np.array([0.0, 2.0])
    return np.sum(np.where(y > 0, np.log(y), 0))


@pytest.mark.parametrize("zero", [lambda x: np.sqrt(x) * 0.0, lambda x: np.sqrt(x) * (0.0 * x)])
def test_a_factor_that_is_0_hides_nothing_whatever_is_masked_beside_it(zero: Any) -> None:
    """0 times an infinite slope is NaN, in a program with choices as in one without."""
    for f in (zero, lambda x: zero(x) + _masked(x + 1), lambda x: _masked(x + 1) + zero(x)):
        slopes = (cr.grad(f), cr.jit(cr.grad(f)), lambda x, f=f: cr.jvp(f, (x,), (1.0,))[1])
        assert [np.isnan(slope(0.0)) for slope in slopes] == [True] * 3
