"""NumPy's ufuncs that are compositions of primitives, and the rounding functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.dispatch import UFUNCS, implements, refuse_mutation
from chainrule.core.traced import Traced
from chainrule.core.types import broadcast_shapes, check_dtype
from chainrule.errors import DtypeError, ShapeError
from chainrule.ops import elementwise as ew
from chainrule.ops.coerce import (
    _weak_or_dtype,
    apply_ufunc,
    common_dtype,
    float_of,
    int_or,
    lift,
    loop_dtypes,
    plain,
    recording_of,
)
from chainrule.ops.structure import cast

LN2 = float(np.log(2.0))


def _constant_number(x: Any) -> Any:
    """The Python number behind an exponent that no gradient can reach, else None."""
    if isinstance(x, (Traced, bool, np.bool_)):
        return None
    if isinstance(x, (int, float)) and not isinstance(x, np.generic):
        return x
    if isinstance(x, np.generic) or (isinstance(x, np.ndarray) and x.ndim == 0):
        return x.item() if x.dtype.kind in "iuf" else None
    return None


def power(x: Any, p: Any) -> Any:
    """``x ** p``; a constant exponent becomes an attribute, so that the derivative of x^n at
    0 exists to every order."""
    if type(x) is Traced and type(p) in (int, float) and x.type.is_float:
        return ew.power_constant(x, exponent=int_or(p))
    x, p = plain(x), plain(p)
    number = _constant_number(p)
    if number is None or not isinstance(x, Traced):
        return apply_ufunc(np.power, ew.power, x, p)
    dtype = loop_dtypes(np.power, (_weak_or_dtype(x), _weak_or_dtype(p)))[0]
    x = lift(x, recording_of((x,)), dtype)
    if dtype.kind == "f":
        number = int_or(number)
    return ew.power_constant(x, exponent=number)


def _float_power(x: Any, p: Any) -> Any:
    return power(cast(lift(x, recording_of((x, p))), np.float64), p)


def _logaddexp2(x: Any, z: Any) -> Any:
    return np.logaddexp(x * LN2, z * LN2) / LN2


def _copysign(x: Any, z: Any) -> Any:
    dtype = loop_dtypes(np.copysign, (_weak_or_dtype(x), _weak_or_dtype(z)))[0]
    sign = np.astype(np.where(np.signbit(z), -1, 1), dtype)
    return np.multiply(np.astype(np.abs(plain(x)), dtype) if hasattr(x, "dtype") else abs(x), sign)


def _heaviside(x: Any, h: Any) -> Any:
    dtype = loop_dtypes(np.heaviside, (_weak_or_dtype(x), _weak_or_dtype(h)))[0]
    h = np.astype(h, dtype) if hasattr(h, "dtype") else dtype.type(h)
    zero, one, nan = dtype.type(0), dtype.type(1), dtype.type(np.nan)
    found = np.where(np.greater(x, 0), one, np.where(np.isnan(x), nan, h))
    return np.where(np.less(x, 0), zero, found)


def _ignoring_nan(choose: Any) -> Any:
    def function(x: Any, z: Any) -> Any:
        x, z = plain(x), plain(z)
        return np.where(np.isnan(x), z, np.where(np.isnan(z), x, choose(x, z)))

    return function


def _positive(x: Any) -> Any:
    return x


def _scaled(factor: float) -> Any:
    return lambda x: x * factor


def _modf(x: Any) -> tuple[Any, Any]:
    whole = np.trunc(x)
    return x - whole, whole


def _ldexp(x: Any, n: Any) -> Any:
    n = plain(n)
    if common_dtype(n).kind not in "iu":
        raise DtypeError("the exponent of np.ldexp must be of integers")
    x = float_of(lift(x, recording_of((x, n))))
    return x * np.exp2(np.astype(lift(n, x.recording), x.dtype))


def _divmod(x: Any, z: Any) -> tuple[Any, Any]:
    return np.floor_divide(x, z), np.remainder(x, z)


UFUNCS[np.power] = power
UFUNCS[np.float_power] = _float_power
UFUNCS[np.logaddexp2] = _logaddexp2
UFUNCS[np.copysign] = _copysign
UFUNCS[np.heaviside] = _heaviside
UFUNCS[np.fmax] = _ignoring_nan(np.maximum)
UFUNCS[np.fmin] = _ignoring_nan(np.minimum)
UFUNCS[np.positive] = UFUNCS[np.conjugate] = _positive
UFUNCS[np.deg2rad] = UFUNCS[np.radians] = _scaled(float(np.pi / 180))
UFUNCS[np.rad2deg] = UFUNCS[np.degrees] = _scaled(float(180 / np.pi))
UFUNCS[np.modf] = _modf
UFUNCS[np.divmod] = _divmod
UFUNCS[np.ldexp] = _ldexp


@implements(np.round, np.around)
def round_(a: Any, decimals: int = 0, out: None = None) -> Any:
    _no_out(out)
    if a.dtype.kind != "f" and decimals >= 0:
        return a
    if decimals == 0:
        return np.rint(a)
    factor = 10.0 ** abs(decimals)
    if a.dtype.kind != "f":
        return np.astype(np.rint(a / factor) * factor, a.dtype)
    return np.rint(a * factor) / factor if decimals > 0 else np.rint(a / factor) * factor


@implements(np.fix)
def fix(x: Any, out: None = None) -> Any:
    _no_out(out)
    return np.trunc(x)


@implements(np.clip)
def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: None = None,
    *,
    min: Any = None,
    max: Any = None,
) -> Any:
    """Inside the bounds, and at them, the slope is 1; outside it is 0."""
    _no_out(out)
    low = a_min if min is None else min
    high = a_max if max is None else max
    if low is not None:
        a = np.where(np.less(a, low), low, a)
    if high is not None:
        a = np.where(np.greater(a, high), high, a)
    return a


@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if not copy:
        refuse_mutation("np.nan_to_num(copy=False)")
    if x.dtype.kind != "f":
        return x
    limits = np.finfo(x.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    x = np.where(np.isnan(x), nan, x)
    return np.where(x == np.inf, high, np.where(x == -np.inf, low, x))


@implements(np.sinc)
def sinc(x: Any) -> Any:
    from chainrule.ops.analytic import sinc as primitive
    from chainrule.ops.coerce import apply_float

    return apply_float(primitive, x, order=0)


@implements(np.real, np.conj, np.real_if_close)
def real(val: Any, tol: float = 100) -> Any:
    return val


@implements(np.imag)
def imag(val: Any) -> Any:
    return np.zeros_like(val)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """0 for positive numbers, half a turn for negative ones."""
    z = float_of(z)
    return np.where(z < 0, np.asarray(180 if deg else np.pi, z.dtype), np.zeros((), z.dtype))


@implements(np.i0)
def i0(x: Any) -> Any:
    from chainrule.ops.special import i0

    return i0(x)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    a, b = plain(a), plain(b)
    near = np.less_equal(np.abs(np.subtract(a, b)), atol + rtol * np.abs(b)) & np.isfinite(b)
    close = near | np.equal(a, b)
    return close | (np.isnan(a) & np.isnan(b)) if equal_nan else close


@implements(np.allclose)
def allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    return bool(np.all(isclose(a, b, rtol, atol, equal_nan)))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    a1, a2 = plain(a1), plain(a2)
    if np.shape(a1) != np.shape(a2):
        return False
    same = np.equal(a1, a2)
    return bool(np.all(same | (np.isnan(a1) & np.isnan(a2)) if equal_nan else same))


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> bool:
    a1, a2 = plain(a1), plain(a2)
    try:
        broadcast_shapes(np.shape(a1), np.shape(a2))
    except ShapeError:
        return False
    return bool(np.all(np.equal(a1, a2)))


@implements(np.isin)
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    element, test_elements = plain(element), np.ravel(plain(test_elements))
    found = np.any(np.equal(np.expand_dims(element, -1), test_elements), axis=-1)
    return np.logical_not(found) if invert else found


def _infinite(sign: Any) -> Any:
    def function(x: Any, out: Any = None) -> Any:
        _no_out(out)
        return np.equal(x, sign)

    return function


isposinf = implements(np.isposinf)(_infinite(np.inf))
isneginf = implements(np.isneginf)(_infinite(-np.inf))


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    return True


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return False


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    return np.zeros(np.shape(x), bool)


@implements(np.isreal)
def isreal(x: Any) -> Any:
    return np.ones(np.shape(x), bool)


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> Any:
    return np.result_type(*[x.dtype if isinstance(x, Traced) else x for x in arrays_and_dtypes])


@implements(np.common_type)
def common_type(*arrays: Any) -> Any:
    return np.common_type(*[np.empty(0, x.dtype) for x in arrays])


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(from_.dtype if isinstance(from_, Traced) else from_, to, casting)


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: None = None) -> Any:
    dtype = np.dtype(dtype)
    check_dtype(dtype)
    return cast(x, dtype)


def _no_out(out: Any) -> None:
    if out is not None:
        refuse_mutation("out=")
