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


INDICES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "columns": lambda m, k, i: np.s_[:, m[0, :, 0]],
    "rows of a part": lambda m, k, i: np.s_[1:, m[0, :, 0], ::2],
    "last axis": lambda m, k, i: np.s_[..., m[0, 0]],
    "two axes": lambda m, k, i: np.s_[:, m[0]],
    "two axes backwards": lambda m, k, i: np.s_[::-1, m[0]],
    "first two axes": lambda m, k, i: np.s_[m[:, :, 0], 1:3],
    "beside an integer": lambda m, k, i: np.s_[1, m[0, :, 0]],
    "before an integer": lambda m, k, i: np.s_[m[:, 0, 0], -1],
    "apart from an integer": lambda m, k, i: np.s_[0, :, m[0, 0]],
    "apart, behind": lambda m, k, i: np.s_[m[:, 0, 0], :, 2],
    "beside an array of one": lambda m, k, i: np.s_[[1], m[0, :, 0]],
    "beside a traced integer": lambda m, k, i: np.s_[i, m[0, :, 0]],
    "apart from a traced integer": lambda m, k, i: np.s_[i, :, m[0, 0]],
    "with a new axis": lambda m, k, i: np.s_[:, None, m[0, :, 0]],
    "new axis between": lambda m, k, i: np.s_[0, None, m[0, :, 0]],
    "a known mask's place": lambda m, k, i: np.s_[k.argmax(), m[0]],
    "whole": lambda m, k, i: m,
}
WRITES: dict[str, Callable[[Any, Any, Any], None]] = {
    "number": lambda y, at, v: y.__setitem__(at, v[0, 0, 0]),
    "add": lambda y, at, v: y.__setitem__(at, y[at] + v[1, 0, 0]),
    "in place": lambda y, at, v: y.__setitem__(at, y[at].__imul__(v[1, 1, 0])),
    "computed": lambda y, at, v: y.__setitem__(at, np.sin(y[at]) * v[at]),
    "of another": lambda y, at, v: y.__setitem__(at, v[at]),
    "at": lambda y, at, v: np.add.at(y, at, v[0, 1, 1]),
    "through a view": lambda y, at, v: y.T.T.__setitem__(at, 2.0),
}


@pytest.mark.parametrize("index", INDICES)
def test_a_mask_beside_other_indices(index: str) -> None:
    rng = np.random.default_rng(4)
    y, v, m = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4)), rng.random((2, 3, 4)) < 0.5
    known = np.array([False, True])

    def f(y: Any, v: Any, m: Any, i: Any) -> Any:
        made = []
        for write in WRITES.values():
            z = y.copy()
            write(z, INDICES[index](m, known, i), v)
            made.append(z)
        return np.stack(made)

    run = cr.jit(f, executor="numpy")
    for mask in (m, np.zeros_like(m), np.ones_like(m)):
        np.testing.assert_array_equal(run(y, v, mask, 1), f(y, v, mask, 1))
        np.testing.assert_array_equal(
            cr.vmap(f, (0, 0, 0, None))(*(x[None] for x in (y, v, mask)), 1)[0], f(y, v, mask, 1)
        )
    weights = rng.normal(size=(len(WRITES), 2, 3, 4))

    def loss(y: Any, v: Any, m: Any) -> Any:
        return np.sum(weights * f(y, v, m, 1))

    exact = cr.grad(loss, (0, 1))(y, v, m)
    recorded = cr.jit(cr.grad(loss, (0, 1)), executor="numpy")(y, v, m)
    for found, wanted in zip(recorded, exact, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


def test_rows_beside_a_mask_of_columns() -> None:
    """A value of a length along the other axes, and of 1 along the entries that are chosen."""

    def f(y: Any, v: Any, mask: Any) -> Any:
        y = y.copy()
        y[:, mask] -= v[:, None]
        y[:, mask] /= np.abs(v)[:, None] + y[:, mask] ** 2
        y.T[mask] *= v
        return y

    rng = np.random.default_rng(5)
    y, v, mask = rng.normal(size=(3, 4)), rng.normal(size=3), np.array([True, False, True, False])
    np.testing.assert_allclose(cr.jit(f)(y, v, mask), f(y, v, mask), rtol=1e-15)


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
        lambda x: written(x, (slice(None), x > 0), x[:3]),
        lambda x: written(x, (x > 0, x < 0), 1.0),
        lambda x: written(x, (x > 0, np.array([0, 1])), 1.0),
        lambda x: np.outer(x, x)[x > 0, x > 0],
        lambda x: np.outer(x, x)[:, x > 0] @ x,
        lambda x: np.outer(x, x)[:, x > 0] + x[x > 0][:, None],
    ],
)
def test_what_needs_the_number_of_entries_is_refused(f: Callable[..., Any]) -> None:
    with pytest.raises(UnknownValueError, match=r"x\[mask\].*test_masked\.py:\d+.*np\.where"):
        cr.jit(f, executor="numpy")(X)
