"""Element-wise functions and operators equal NumPy's: values, dtypes, broadcasting, slopes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.helpers.expressions.elementwise import PIECEWISE, SMOOTH
from tests.helpers.surface import check_gradient, check_value, lines

VALUES = lines("""
v > w
v >= 0
0 < v
v < np.float64(1)
v == v
v == 1
v != w
v <= I
np.greater(v, w)
np.less(m, 1)
np.equal(v, 0.9)
np.not_equal(v, w)
np.greater_equal(v, K)
np.less_equal(1, v)
np.logical_and(v > 0, w > 0)
np.logical_or(v, w)
np.logical_xor(v > 0, B)
np.logical_not(v)
(v > 0) & (w > 0)
(v > 0) | B
(v > 0) ^ B
~(v > 0)
np.bitwise_and(v > 0, B)
np.invert(v > 0)
np.bitwise_not(v > 0)
np.isnan(holes)
np.isfinite(holes)
np.isinf(holes / 0.0)
np.isposinf(v / 0)
np.isneginf(v / 0)
np.signbit(v)
np.isclose(v, w)
np.isclose(v, v + 1e-9)
np.isclose(v, np.inf)
np.isclose(np.inf * v, np.inf * w)
np.isclose(holes, holes, equal_nan=True)
np.isin(v, [0.9, 1.7])
np.isin(m, K3, invert=True)
np.isreal(v)
np.iscomplex(v)
np.imag(v)
v.imag
np.nan_to_num(holes)
np.nan_to_num(v / 0.0)
np.nan_to_num(v / 0.0, posinf=5.0, neginf=-5.0)
np.fmax(holes, m)
np.fmin(holes, 0.0)
np.fmax(0.5, holes)
np.maximum(holes, 0.0)
np.sign((v * 2).astype(int))
(v * 3).astype(int) // 2
(v * 3).astype(int) % 2
(v * 3).astype(int) + 1
(v * 3).astype(int) / 2
(v * 3).astype(int) * 1.5
(v * 3).astype(np.int8) + np.int8(3)
(v * 3).astype(np.int32) << 1
(p * 3).astype(np.uint8) >> 1
(v * 3).astype(int) & 3
abs((v * 3).astype(int))
-(v * 3).astype(int)
np.floor((v * 3).astype(int))
np.round((v * 30).astype(int), -1)
np.round((v * 30).astype(int), 2)
np.exp((v * 3).astype(int))
np.sqrt((p * 3).astype(np.int16))
np.exp((v * 3).astype(np.int8), dtype=np.float32)
np.square((v * 3).astype(int))
np.power((v * 3).astype(int), 2)
(v * 3).astype(int) ** 2
(v * 3).astype(int) ** 2.0
(p * 3).astype(int) ** 0.5
(p * 3 + 1).astype(int) ** -1.0
(v * 3).astype(np.int32) ** np.int64(2)
2 ** (p * 3).astype(int)
(v * 3).astype(np.int8) ** 2
np.where(B, (v * 3).astype(int), v)
np.where(B, (v * 3).astype(np.int8), 2)
np.where(B, v > 0, 2)
np.minimum((v * 3).astype(np.int8), np.int16(2))
np.divmod((v * 9).astype(int), 4)
np.float64(2) + (v * 3).astype(np.int8)
(v * 3).astype(np.uint8) + (v * 3).astype(np.int8)
(v > 0) / 2
(v > 0) // True
np.mod((v * 9).astype(int), 4)
np.hypot((v * 9).astype(np.int16), 1)
np.arctan2(v > 0, 1)
np.logaddexp((v * 3).astype(int), 0)
np.reciprocal((v * 3 + 9).astype(int))
np.clip((v * 3).astype(int), -1, 2)
np.clip((v * 3).astype(int), -1.5, 2)
np.where(v > 0, 1, 0)
np.where(v > 0, 1.5, 0)
np.where(v > 0, True, False)
np.maximum((v * 3).astype(int), 0)
np.nan_to_num((v * 3).astype(int))
np.add(v, 1, dtype=np.float32)
np.add(v, w, dtype=np.float32)
np.sin(v, dtype=np.float32)
v.astype(np.float32)
v.astype("float32") + v.astype(np.float64)
v.astype(bool)
(v > 0) + (w > 0)
(v > 0) * 2
(v > 0) * 2.0
(v > 0) - 1.0
np.add(v > 0, w > 0)
v + np.arange(4)
v + np.arange(4, dtype=np.int32)
v + np.int8(2)
v * np.uint64(2)
np.result_type(v, 1.0) == v.dtype
np.can_cast(v, np.float64)
np.iscomplexobj(v)
np.isrealobj(v)
np.isscalar(v)
np.shape(m)
np.ndim(m)
np.size(m)
np.size(m, 1)
m.shape
m.size + m.ndim + m.itemsize + m.nbytes + len(m)
np.unravel_index(np.argmax(m), m.shape)
np.unravel_index(np.argmax(t), t.shape, order="F")
np.ravel_multi_index((np.argmax(m, axis=1), P[:2]), (4, 3))
np.ravel_multi_index((np.argmax(m, axis=1) + 7, P[:2]), (4, 3), mode="wrap")
""")
# NumPy alone may say what these give: Python's bool
PYTHON_BOOLS = lines("""
np.allclose(v, w)
np.allclose(v, v + 1e-10)
np.array_equal(v, v)
np.array_equal(v, m)
np.array_equal(holes, holes)
np.array_equal(holes, holes, equal_nan=True)
np.array_equiv(v, np.stack([v, v]))
np.array_equiv(v, m)
0.9 in v
5.0 in v
bool(np.all(v < 2))
bool(s > 0)
""")


@pytest.mark.parametrize("text", SMOOTH + PIECEWISE + VALUES)
def test_value_equals_numpys(text: str) -> None:
    check_value(text)


@pytest.mark.parametrize("text", PYTHON_BOOLS)
def test_python_answers(text: str) -> None:
    check_value(text, abstract=False)


@pytest.mark.parametrize("text", SMOOTH)
def test_first_and_second_derivative(text: str) -> None:
    check_gradient(text, second=True)


@pytest.mark.parametrize("text", PIECEWISE)
def test_derivative(text: str) -> None:
    check_gradient(text)


@pytest.mark.parametrize("b", [np.array([200, 3], np.uint8), np.array([-(2**63), 1]), 3, True])
def test_nearness_of_whole_numbers_does_not_wrap(b: Any) -> None:
    a = np.array([3, 200], np.uint8)
    found = cr.jit(lambda a: (np.isclose(a, b), np.isclose(a, b, rtol=0.5)))(a)
    np.testing.assert_array_equal(found, (np.isclose(a, b), np.isclose(a, b, rtol=0.5)))
