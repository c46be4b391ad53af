"""Reading by index, with all of NumPy's kinds mixed, against NumPy for values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import DtypeError, IndexingError
from tests.helpers.expressions.indexing import WRITTEN
from tests.helpers.surface import check_gradient, check_value, eager

MASKS = {"v[v > 0]", "m[m > 0]"}


@pytest.mark.parametrize("text", WRITTEN)
def test_value_and_derivative(text: str) -> None:
    # a plain array cannot be read by a traced index; tests/core/test_errors.py has the remedy
    check_value(text, abstract=text not in MASKS, alone=False)
    check_gradient(text)


@st.composite
def arrays_and_indices(draw: Any) -> tuple[np.ndarray, tuple[Any, ...]]:
    """An array of up to four axes and an index of ints, slices, new axes, an ellipsis, index
    arrays that broadcast (or not) and masks; now and then out of bounds or one too many."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    common = draw(st.sampled_from([(), (1,), (2,), (3, 1), (2, 3)]))
    entries: list[Any] = []
    axis = 0
    while axis < len(shape):
        n = shape[axis]
        kind = draw(
            st.sampled_from(["int", "slice", "all", "array", "array", "list", "mask", "stop"])
        )
        if kind == "stop":
            break
        if kind == "mask":
            wide = draw(st.integers(1, len(shape) - axis))
            size = int(np.prod(shape[axis : axis + wide]))
            cells = draw(st.lists(st.booleans(), min_size=size, max_size=size))
            entries.append(np.array(cells, bool).reshape(shape[axis : axis + wide]))
            axis += wide
            continue
        entries.append(draw(_entry(kind, n, common)))
        axis += 1
    for _ in range(draw(st.integers(0, 2))):
        entries.insert(draw(st.integers(0, len(entries))), None)
    if draw(st.booleans()):
        entries.insert(draw(st.integers(0, len(entries))), Ellipsis)
    if draw(st.integers(0, 19)) == 0:
        entries.append(0)
    rng = np.random.Generator(np.random.Philox(3))
    return rng.uniform(-1, 1, shape), tuple(entries)


def _entry(kind: str, n: int, common: tuple[int, ...]) -> Any:
    places = st.integers(-n, n - 1) if n else st.integers(-1, 0)
    if kind == "int":
        return places
    if kind == "slice":
        bound = st.none() | st.integers(-6, 6)
        step = st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3])
        return st.builds(slice, bound, bound, step)
    if kind == "all":
        return st.just(slice(None))
    if kind == "list":
        return st.lists(places, min_size=1, max_size=3)
    start = st.integers(0, len(common))
    return start.flatmap(lambda k: _index_array(places, common[k:]))


def _index_array(places: Any, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape))
    return st.lists(places, min_size=size, max_size=size).map(
        lambda numbers: np.array(numbers, int).reshape(shape)
    )


def _numpys(x: np.ndarray, index: tuple[Any, ...]) -> Any:
    try:
        return np.asarray(x[index])
    except IndexError:
        return None


@settings(max_examples=300)
@given(arrays_and_indices())
@example((np.arange(4.0), (np.array([True, False, True]),)))
@example((np.arange(6.0).reshape(2, 3), (np.zeros((0,), int), slice(None, None, -1))))
@example((np.arange(6.0).reshape(2, 3), (np.array([5]), np.zeros(0, int))))
@example((np.zeros((0, 0)), (np.array([0]), np.zeros(0, bool))))
@example((np.arange(4.0), (True,)))
@example((np.array(2.0), (None, np.False_)))
@example((np.arange(6.0).reshape(2, 3), (True, slice(None), np.array(True), [0, 2])))
@example((np.arange(6.0).reshape(2, 3), ([0, 1], Ellipsis, None, False)))
def test_any_mixture_of_indices(case: tuple[np.ndarray, tuple[Any, ...]]) -> None:
    x, index = case
    expected = _numpys(x, index)
    if expected is None:
        with pytest.raises(IndexError):  # IndexingError is one; broadcasting is ShapeError
            _read(x, index)
        return
    y, pull = cr.vjp(lambda x: x[index], x)
    np.testing.assert_array_equal(y, expected)
    assert np.shape(y) == expected.shape
    g = np.arange(1.0, 1.0 + expected.size).reshape(expected.shape)
    total = np.zeros_like(x)
    np.add.at(total, index, g)
    np.testing.assert_allclose(pull(g)[0], total, rtol=1e-14)
    np.testing.assert_array_equal(cr.jit(lambda x: x[index])(x), expected)


def _read(x: np.ndarray, index: tuple[Any, ...]) -> Any:
    try:
        return cr.vjp(lambda x: x[index], x)
    except cr.errors.ShapeError as error:
        raise IndexError(str(error)) from error


@settings(max_examples=200)
@given(arrays_and_indices())
def test_traced_index_arrays(case: tuple[np.ndarray, tuple[Any, ...]]) -> None:
    """The same where the index arrays are themselves traced values."""
    x, index = case
    expected = _numpys(x, index)
    moving = [e for e in index if isinstance(e, np.ndarray) and e.dtype.kind == "i"]
    if expected is None or not moving:
        return

    def read(x: Any, *arrays: Any) -> Any:
        rest = iter(arrays)
        traced = (isinstance(e, np.ndarray) and e.dtype.kind == "i" for e in index)
        return x[tuple(next(rest) if t else e for t, e in zip(traced, index, strict=True))]

    _, (y,) = eager(read, [x, *moving], range(1 + len(moving)))
    np.testing.assert_array_equal(y, expected)
    (gradient,) = cr.vjp(lambda x: read(x, *moving), x)[1](np.ones(expected.shape))
    total = np.zeros_like(x)
    np.add.at(total, index, 1.0)
    np.testing.assert_allclose(gradient, total)
    np.testing.assert_array_equal(cr.jit(read)(x, *moving), expected)


@pytest.mark.parametrize(
    ("index", "error", "says"),
    [
        (4, IndexingError, "index 4 is out of bounds for axis 0"),
        (-5, IndexingError, "index -5 is out of bounds"),
        ((0, 0), IndexingError, "too many indices"),
        ([0, 9], IndexingError, "out of bounds"),
        (1.0, IndexingError, "must be an integer"),
        ("a", IndexingError, "must be an integer"),
        ([0.5], IndexingError, "must be of integers"),
        ((..., ...), IndexingError, "single ellipsis"),
        (np.array([True, False]), IndexingError, "mask of length 2 does not fit axis 0"),
        (slice(None, None, 0), IndexingError, "step of a slice cannot be 0"),
        (slice(1.0, None), DtypeError, "a slice takes integers and None"),
    ],
)
def test_refused_indices(index: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        cr.vjp(lambda x: x[index], np.arange(4.0))


def test_traced_places_out_of_bounds_are_refused_by_name() -> None:
    with pytest.raises(IndexingError, match=r"x\[\.\.\.\].*out of bounds for axis 0"):
        cr.vjp(lambda x, i: x[np.astype(i, int)], np.arange(4.0), np.array([0.0, 4.0]))


def test_ten_thousand_reads_fill_one_buffer() -> None:
    x = np.linspace(0.0, 1.0, 10_000)
    gradient = cr.grad(lambda x: sum(x[i] * i for i in range(10_000)))(x)
    np.testing.assert_array_equal(gradient, np.arange(10_000.0))
