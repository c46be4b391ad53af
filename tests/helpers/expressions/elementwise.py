"""Element-wise functions and operators."""

from tests.helpers.surface import lines

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
