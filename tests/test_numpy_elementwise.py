"""Element-wise functions and operators equal NumPy's: values, dtypes, broadcasting, slopes."""

from __future__ import annotations

import pytest
from surface import check_gradient, check_value, lines

SMOOTH = lines("""
v + w
m + K3
m + s
col + m
one + t
v + 1
1 + v
v + 2.5
v + True
v + F32
F32 + v
v - w
3 - v
v * w
m * col
K * v
v * np.float64(2)
v * np.float32(2)
v / p
1 / p
2.0 / p
v / 2
I / p
v * I
I - v
v // 1 * 0 + v
-v
+v
abs(v)
v ** 2
v ** 2.0
v ** 3
v ** 0
v ** 1
v ** -1
v ** -2.0
p ** 0.5
p ** -0.5
p ** 2.7
p ** q
p ** s
2 ** v
2.5 ** v
p ** np.float64(3)
p ** I
K[:1] ** 2 * v
v ** np.array(2.0)
v ** np.float32(2)
v ** np.int8(2)
p ** np.array([0.5])
p ** np.float64(-0.5)
pow(v, 2)
np.power(v, 2)
np.power(p, q)
np.power(p, [1, 2, 3, 0])
np.power(2.0, v)
np.float_power(p, 2)
np.float_power(p, q)
np.float_power(2, v)
np.add(v, w)
np.add(m, 1.5)
np.subtract(v, w)
np.multiply(v, K)
np.divide(v, p)
np.true_divide(v, p)
np.negative(v)
np.positive(v)
np.reciprocal(p)
np.square(v)
np.exp(v)
np.exp(m)
np.exp(s)
np.exp(e)
np.exp2(v)
np.expm1(v)
np.log(p)
np.log2(p)
np.log10(p)
np.log1p(p)
np.sqrt(p)
np.cbrt(v)
np.sin(v)
np.cos(v)
np.tan(unit)
np.arcsin(unit)
np.arccos(unit)
np.arctan(v)
np.asin(unit)
np.acos(unit)
np.atan(v)
np.atan2(v, w)
np.asinh(v)
np.acosh(p + 1)
np.atanh(unit)
np.pow(p, q)
np.sinh(v)
np.cosh(v)
np.tanh(v)
np.arcsinh(v)
np.arccosh(p + 1)
np.arctanh(unit)
np.arctan2(v, w)
np.arctan2(v, 1.0)
np.arctan2(1.0, v)
np.arctan2(m, s)
np.hypot(v, w)
np.hypot(m, 1)
np.logaddexp(v, w)
np.logaddexp(v, 0)
np.logaddexp2(v, w)
np.sinc(v)
np.sinc(m)
np.sinc(0.0 * v)
np.deg2rad(v)
np.rad2deg(v)
np.degrees(v)
np.radians(v)
np.ldexp(v, 3)
np.ldexp(v, [1, 2, 0, -1])
np.i0(v)
np.real(v)
np.conj(v)
np.conjugate(v)
v.real * v.conj()
np.real_if_close(v)
np.nan_to_num(v)
np.exp(v, dtype=np.float64)
np.add(v, 1, dtype=np.float64)
np.multiply(F32, v, dtype=np.float64)
np.exp(v, where=True)
np.exp(v, casting="same_kind", order="K", subok=True)
np.sin(np.sin(v) + 3 * np.square(v))
np.add(v, 1) * v - v / 3
np.astype(v, np.float64)
v.astype(float) * 2
np.polyval(v, w)
np.polyval([1.0, 2.0, 3.0], m)
np.polyval(short, 2.0)
np.polyadd(v, short)
np.polysub(short, v)
np.polymul(v, short)
np.polyder(v)
np.polyder(v, 2)
np.polyint(v)
np.polyint(v, 2, [1.0, 3.0])
np.poly(short)
np.vander(short)
np.vander(v, 3, increasing=True)
np.unwrap(v * 3)
np.unwrap(m * 3, axis=0)
np.unwrap(v * 3, period=2.0)
""")

PIECEWISE = lines("""
np.abs(v)
np.absolute(m)
np.fabs(v)
np.maximum(v, w)
np.maximum(v, 0)
np.maximum(m, K3)
np.maximum(0.5, v)
np.minimum(v, w)
np.minimum(m, s)
np.fmax(v, w)
np.fmin(v, 0.1)
np.fmin([1.0, np.nan, 0.0, 0.0], v)
np.clip(v, -1, 1)
np.clip(v, None, 1.0)
np.clip(v, -0.5, None)
np.clip(v, w, 1.6)
np.clip(v, min=-1.0, max=1)
np.clip(v, K - 2, p)
np.clip(m, 1.0, -1.0)
v.clip(-1, 1)
np.clip(v, np.float64(-1), 1)
np.clip(v, [-1, 0, 0, 1], [2.0, 1.0, 1.0, 1.5])
v.clip(max=0.5)
np.where(v > 0, v, w)
np.where(v > 0, v, 0)
np.where(B, v, 2.0)
np.where(M, m, s)
np.where(B, 1.0, 0.0) * v
np.where([True, False, True, True], v, K)
np.select([v > 1, v > 0], [v, w], 0.5)
np.select([v > 1, v > 0], [v * v, 2.0])
np.choose([0, 1, 2, 0], [v, w, p])
np.piecewise(v, [v < 0, v >= 0], [lambda x: -x, lambda x: x * x])
np.piecewise(v, [v < 0], [lambda x: x, 3.0])
np.sign(v)
np.floor(v)
np.ceil(v)
np.trunc(v)
np.rint(v)
np.fix(v)
np.round(v)
np.round(v, 1)
np.round(m * 100, -1)
np.around(v, decimals=2)
v.round(1)
np.floor_divide(v, 0.7)
v // p
7.0 // p
np.mod(v, 0.7)
v % p
np.remainder(v, p)
5.0 % p
np.fmod(v, p)
np.modf(v)
np.divmod(v, p)
divmod(v, p)
divmod(5.0, p)
np.copysign(v, w)
np.copysign(v, -1.0)
np.copysign(2.0, v)
np.copysign(v, F32)
np.heaviside(v, 0.5)
np.heaviside(v, w)
np.heaviside(v - v, w)
np.interp(v, [-2.0, 0.0, 1.0, 3.0], p)
np.interp(v, np.cumsum(p) - 0.5, w)
np.interp(s, [0.0, 1.0], [2.0, 5.0])
np.interp(m, K3[:1], short[:1])
np.interp(v, [-1.0, 0.5], [0.0, 1.0], left=-5.0, right=1.5)
np.angle(v)
np.nan_to_num(v, nan=1.0)
""")

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
