"""Gradients of textbook programs in plain NumPy: eagerly, compiled and in batches, against central
differences of the same code on plain arrays, which the derivative leaves as they were."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import chainrule as cr
from tests.helpers.plain_programs import PROGRAMS

STEP = 1e-4


def differences(f, x, *rest):
    """The gradient by central differences of fourth order."""
    slopes = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        near = []
        for k in (-2, -1, 1, 2):
            moved = x.copy()
            moved[i] += k * STEP
            near.append(f(moved, *rest))
        slopes[i] = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * STEP)
    return slopes


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_of_plain_programs(name):
    f, args, branches = PROGRAMS[name]
    kept, (x, *rest) = copy.deepcopy(args), args
    rows = np.stack([x, 1.01 * x])
    expected = [differences(f, rows[k, ...], *rest) for k in range(2)]
    value, gradient = cr.value_and_grad(f)(*args)
    assert value == pytest.approx(f(x.copy(), *rest), rel=1e-12)
    found = [gradient]
    if not branches:
        found.append(cr.jit(cr.grad(f))(*args))
        both = cr.jit(cr.vmap(cr.grad(f), in_axes=(0, *[None] * len(rest))))(rows, *rest)
        np.testing.assert_allclose(both, expected, rtol=1e-7, atol=1e-8)
    for gradient in found:
        np.testing.assert_allclose(gradient, expected[0], rtol=1e-7, atol=1e-8)
    for now, before in zip(args, kept, strict=True):
        np.testing.assert_array_equal(now, before)
