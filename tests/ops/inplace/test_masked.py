"""``x[mask] += v`` where the mask is traced: computed entry by entry, chosen in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import UnknownValueError

X = np.array([0.5, -0.3, 1.2, 0.0, -2.0])


def updated(x: Any) -> Any:
    y = x.copy()
    y[y > 0] += 2 * x[0]
    y[y < 0] *= 3
    y[~(x > 0)] -= 1
    return np.sum(y**2)


def computed(x: Any) -> Any:
    y, z, chosen = x.copy(), np.zeros_like(x), x > 0.1
    y[chosen] = np.sqrt(y[chosen]) * x[1]
    z[chosen] = x[0] * x[chosen] ** 2 + 1 / y[chosen]
    z[~chosen] = -x[~chosen]
    return np.sum(y * z)


def rows_and_entries(x: Any) -> Any:
    y = np.outer(x, x)
    z = y.copy()
    y[x > 0] -= x
    y[x > 0] /= 2
    z[z > 0.2] = np.log(z[z > 0.2])
    return np.sum(y**2 + z)


def names_and_views(x: Any) -> Any:
    """What is read is a copy with names of its own; what is written is seen by its base."""
    base = np.outer(x, x)
    y, chosen = base.T[:3], x[:3] > 0
    copy = same = y[chosen]
    base[0] = 1.0
    copy += 1.0
    y[chosen] = -same
    return np.sum(base * np.arange(25.0).reshape(5, 5))


@pytest.mark.parametrize("f", [updated, computed, rows_and_entries, names_and_views])
def test_it_is_what_numpy_does(f: Callable[..., Any]) -> None:
    step = 1e-7 * np.array([1.0, -2.0, 0.5, 0.0, 1.0])  # across no mask
    slope = (f(X + step) - f(X - step)) / 2e-7
    value, gradient = cr.jit(cr.value_and_grad(f))(X)
    assert value == pytest.approx(f(X), rel=1e-13)
    assert gradient @ step / 1e-7 == pytest.approx(slope, rel=1e-6)
    np.testing.assert_allclose(cr.grad(f)(X), gradient, rtol=1e-12)
    rows = np.stack([X, X[::-1]])
    with np.errstate(all="ignore"):  # entries that the mask leaves out are computed too
        batched = cr.vmap(cr.grad(f))(rows)
    np.testing.assert_allclose(batched[0], gradient, rtol=1e-12)


def written(x: Any, index: Any, value: Any) -> Any:
    y = np.outer(x, x)
    y[index] = value
    return y


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x[x > 0]),
        lambda x: x[x > 0].sum(),
        lambda x: x[x > 0],
        lambda x: len(x[x > 0]),
        lambda x: list(x[x > 0]),
        lambda x: x[x > 0].shape,
        lambda x: x[x > 0][0],
        lambda x: x + x[x > 0],
        lambda x: x[x > 0] + x[x < 0],
        lambda x: x[x > 0] @ x[x > 0],
        lambda x: float(x[x > 0]),
        lambda x: bool(x[x > 0]),
        lambda x: np.asarray(x[x > 0]),
        lambda x: np.add.reduce(x[x > 0]),
        lambda x: written(x, x < 0, x[x > 0]),
        lambda x: written(x, slice(2), x[x > 0]),
        lambda x: written(x, x > 0, x[x > 0]),  # along the other axis
    ],
)
def test_what_needs_the_number_of_entries_is_refused(f: Callable[..., Any]) -> None:
    with pytest.raises(UnknownValueError, match=r"x\[mask\].*test_masked\.py:\d+.*np\.where"):
        cr.jit(f, executor="numpy")(X)
