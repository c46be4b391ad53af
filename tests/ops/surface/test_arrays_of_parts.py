"""Arrays of traced parts: ``cr.array``, lists beside arrays, and what NumPy does not let us see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ShapeError, UnsupportedError, UsageError

V = np.array([1.0, 2.0])
X = np.array([[0.5, 2.0], [1.5, -1.0]])


def test_an_array_of_traced_numbers_numbers_and_arrays() -> None:
    def f(a: Any, v: Any) -> Any:
        return cr.array([[a, 2.0], v, [v[0], a * a]])

    wanted = np.array([[3.0, 2.0], [1.0, 2.0], [1.0, 9.0]])
    np.testing.assert_array_equal(f(3.0, V), wanted)
    np.testing.assert_array_equal(cr.jit(f)(3.0, V), wanted)
    assert cr.grad(lambda a: np.sum(f(a, V) ** 2))(3.0) == 2 * 3 + 4 * 27
    assert cr.jit(lambda a: cr.array([a, 1], np.float32))(3.0).dtype == np.float32
    assert cr.array([[1, 2]]).dtype == np.int64
    assert cr.jit(lambda n: cr.array([n, 1]))(2).dtype == np.int64


@pytest.mark.parametrize("parts", [lambda a: [a, [a, 1.0]], lambda a: [[1.0], [1.0, 2.0], a]])
def test_ragged_parts_are_refused(parts: Any) -> None:
    with pytest.raises(ShapeError, match=r"cr\.array"):
        cr.grad(lambda a: np.sum(cr.array(parts(a))))(1.0)
    with pytest.raises(ShapeError, match=r"cr\.array"):
        cr.array([1.0, [1.0, 2.0]])


LISTS = [
    (lambda a, v: np.concatenate([[a, a], v]), [3.0, 3.0, 1.0, 2.0]),
    (lambda a, v: np.dot(v, [a, 1.0]), 5.0),
    (lambda a, v: np.where(v > 1, [a, a], 0), [0.0, 3.0]),
    (lambda a, v: np.add(v, [a, 1.0]), [4.0, 3.0]),
    (lambda a, v: [a, 1.0] * v, [3.0, 2.0]),
    (lambda a, v: np.interp(v, [0.0, a], [0.0, a * a]), [3.0, 6.0]),
    (lambda a, v: V.clip(0, a / 2), [1.0, 1.5]),
    (lambda a, v: X[range(2), [1, 0]] * a, [6.0, 4.5]),
    (lambda a, v: (X * a)[range(2), np.array([1, 0])], [6.0, 4.5]),
    (lambda a, v: np.stack([v.flat[1], v.flat[0], *v.flat]), [2.0, 1.0, 1.0, 2.0]),
]


@pytest.mark.parametrize("case", range(len(LISTS)))
def test_lists_beside_what_numpy_asks(case: int) -> None:
    f, wanted = LISTS[case]
    np.testing.assert_array_equal(f(3.0, V), wanted)
    np.testing.assert_array_equal(cr.jit(f)(3.0, V), wanted)


UNSEEN = [
    (lambda a: np.array([a, a]), "np.array([a, a])", "cr.array([a, a])"),
    (lambda a: np.sum([a, a]), "np.sum([a, a])", "np.sum(cr.array([a, a]))"),
    (lambda a: np.linalg.norm([a, a]), "np.linalg.norm", "np.linalg.norm(cr.array([a, a]))"),
    (lambda a: X.dot(a * V), "X.dot(a * V)", "X @ (a * V)"),
    (lambda a: np.concatenate([[a], V]), "np.concatenate", "np.concatenate([cr.array([a]), V])"),
]


@pytest.mark.parametrize("case", range(len(UNSEEN)))
def test_what_numpy_does_not_let_us_see_is_named_with_its_replacement(case: int) -> None:
    f, called, instead = UNSEEN[case]
    with pytest.raises(UnsupportedError) as caught:
        cr.grad(lambda a: np.sum(f(a)))(1.5)
    text = str(caught.value)
    assert called in text
    assert text.endswith(f"Write {instead}")
    assert f"{__file__}:{f.__code__.co_firstlineno}" in text
    repaired = eval(f"lambda a: np.sum({instead})", {"np": np, "cr": cr, "X": X, "V": V})
    step = 1e-6
    slope = (np.sum(f(1.5 + step)) - np.sum(f(1.5 - step))) / (2 * step)
    assert cr.grad(repaired)(1.5) == pytest.approx(slope, rel=1e-8)  # a central difference


def test_python_rounds_python_numbers() -> None:
    for x, digits in ((2.675, 2), (-1.005, 2), (1234.5, -2), (0.5, 0)):
        assert cr.jit(lambda x, digits=digits: round(x, digits))(x) == round(x, digits)
    found = cr.jit(lambda x: round(x))(2.5)
    assert (found, type(found)) == (2, int)
    assert cr.grad(lambda x: x * round(x, 2))(2.675) == 2.67


DEPENDING = [
    (lambda x: np.nanargmax(x), np.array([np.nan, np.nan]), "nanargmax"),
    (lambda x: np.choose(x, [1.0, 2.0]), np.array([0, 7]), "np.choose"),
    (lambda x: np.digitize(2.0, x), np.array([1.0, 0.0, 3.0]), "np.digitize"),
    (lambda x: np.average(V, weights=x), np.zeros(2), "np.average"),
    (lambda x: np.unravel_index(x, (3, 4))[0], np.array([15]), "np.unravel_index"),
    (lambda x: np.polymul(x, x), np.array([0.0, 1.0]), "np.polymul"),
]


@pytest.mark.parametrize("executor", ["numpy", "native"])
@pytest.mark.parametrize("case", range(len(DEPENDING)))
def test_values_are_demanded_when_the_program_runs(case: int, executor: str) -> None:
    if executor == "native":
        pytest.importorskip("llvmlite")
    f, wrong, name = DEPENDING[case]
    with pytest.raises(UsageError, match=name):
        cr.jit(f, executor=executor)(wrong)


TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def test_a_plain_array_is_read_at_a_traced_place_as_its_error_says() -> None:
    def read(how: Any) -> list[Any]:
        looped = cr.jit(lambda x: cr.fori_loop(0, 3, lambda i, c: c + how(i), x))
        return [looped(np.zeros(2)), cr.vmap(how)(np.array([2, 0]))]

    for refused, advice in [
        (lambda i: TABLE[i], r"cr.array(TABLE)[i]"),
        (lambda i: np.take(TABLE[:, 0], i), "cr.array(TABLE[:, 0])[i]"),
        (lambda i: TABLE[i, 1], "cr.array(TABLE)[i, 1]"),
    ]:
        with pytest.raises(UnsupportedError) as caught:
            read(refused)
        assert f"Write {advice}" in str(caught.value)
        looped, rows = read(eval(f"lambda i: {advice}"))
        np.testing.assert_array_equal(looped, sum(refused(i) for i in range(3)) + np.zeros(2))
        np.testing.assert_array_equal(rows, [refused(i) for i in (2, 0)])
    assert type(cr.array(TABLE)) is np.ndarray
