"""NumPy's ufuncs that are compositions of primitives, and the rounding functions."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.core.dispatch import FUNCTIONS, UFUNCS, implements, refuse_mutation
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
from chainrule.ops.surface.arguments import require

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
    if type(x) is Traced and type(p) in (int, float) and x.node.type.is_float:
        return x.recording.emit(ew.power_constant, (x,), {"exponent": int_or(p)})
    x, p = plain(x), plain(p)
    number = _constant_number(p)
    if number is None or not isinstance(x, Traced):
        return apply_ufunc(np.power, ew.power, x, p)
    dtype = loop_dtypes(np.power, (_weak_or_dtype(x), _weak_or_dtype(p)))[0]
    x = lift(x, recording_of((x,)), dtype)
    # an integer that the dtype cannot hold (-1 in uint8) is refused here, as NumPy refuses it
    number = int_or(number) if dtype.kind == "f" else int(dtype.type(number))
    return ew.power_constant(x, exponent=number)


def _float_power(x: Any, p: Any) -> Any:
    return power(cast(lift(x, recording_of((x, p))), np.float64), p)


def _logaddexp2(x: Any, z: Any) -> Any:
    x, z = _in_loop(np.logaddexp2, x, z)
    return np.logaddexp(x * LN2, z * LN2) / LN2


def _copysign(x: Any, z: Any) -> Any:
    x, z = _in_loop(np.copysign, x, z)
    return np.abs(x) * np.where(np.signbit(z), z.dtype.type(-1), z.dtype.type(1))


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


def _in_loop(ufunc: Any, *xs: Any) -> list[Any]:
    """The arguments in the dtypes in which NumPy runs ``ufunc`` on them."""
    xs = tuple(plain(x) for x in xs)
    recording = recording_of(xs)
    dtypes = loop_dtypes(ufunc, tuple(map(_weak_or_dtype, xs)))
    return [lift(x, recording, dtype) for x, dtype in zip(xs, dtypes, strict=False)]


def _itself(ufunc: Any) -> Any:
    return lambda x: _in_loop(ufunc, x)[0]


def _scaled(ufunc: Any, factor: float) -> Any:
    return lambda x: _in_loop(ufunc, x)[0] * factor


def _modf(x: Any) -> tuple[Any, Any]:
    (x,) = _in_loop(np.modf, x)
    whole = np.trunc(x)
    rest = np.where(np.isinf(x), np.zeros((), x.dtype), x - whole)
    return np.copysign(rest, x), whole


def _ldexp(x: Any, n: Any) -> Any:
    """The power of two is multiplied in three parts, none of which over- or underflows alone."""
    n = plain(n)
    if common_dtype(n).kind not in "iub":
        raise DtypeError("the exponent must be of integers")
    x, n = _in_loop(np.ldexp, x, n)
    # from the largest to the smallest double are some 2100 steps, three times 700
    each = np.clip(n // 3, -700, 700)
    rest = np.clip(n - 2 * each, -900, 900)
    small, last = (np.exp2(np.astype(k, np.float64)) for k in (each, rest))
    y = np.astype(x, np.float64) * last * small * small
    return np.astype(y, x.dtype)


def _divmod(x: Any, z: Any) -> tuple[Any, Any]:
    return np.floor_divide(x, z), np.remainder(x, z)


UFUNCS[np.power] = power
UFUNCS[np.float_power] = _float_power
UFUNCS[np.logaddexp2] = _logaddexp2
UFUNCS[np.copysign] = _copysign
UFUNCS[np.heaviside] = _heaviside
UFUNCS[np.fmax] = _ignoring_nan(np.maximum)
UFUNCS[np.fmin] = _ignoring_nan(np.minimum)
for _ufunc in (np.positive, np.conjugate):
    UFUNCS[_ufunc] = _itself(_ufunc)
for _ufunc in (np.deg2rad, np.radians):
    UFUNCS[_ufunc] = _scaled(_ufunc, float(np.pi / 180))
for _ufunc in (np.rad2deg, np.degrees):
    UFUNCS[_ufunc] = _scaled(_ufunc, float(180 / np.pi))
UFUNCS[np.modf] = _modf
UFUNCS[np.divmod] = _divmod
UFUNCS[np.ldexp] = _ldexp


@implements(np.round, np.around, checks=True)
def round_(a: Any, decimals: int = 0, out: None = None) -> Any:
    _no_out(out)
    if a.dtype.kind == "b":
        check_dtype(np.dtype(np.float16))  # in which NumPy rounds bools
    if a.dtype.kind != "f" and decimals >= 0:
        return a
    if decimals == 0:
        return np.rint(a)
    factor = 10.0 ** abs(decimals)
    if a.dtype.kind != "f":
        return np.astype(np.rint(a / factor) * factor, a.dtype)
    return np.rint(a * factor) / factor if decimals > 0 else np.rint(a / factor) * factor


def python_round(x: Any, ndigits: int | None) -> Any:
    """``round(x)`` of a Python number: an integer, or the nearest number of that many digits."""
    if ndigits is None:
        return np.rint(x).astype(np.int64).like(0) if x.dtype.kind == "f" else x
    if x.dtype.kind == "f":
        return ew.round_decimal(x, digits=operator.index(ndigits)).like(0.0)
    return np.round(x, ndigits).like(0)


FUNCTIONS["round"] = python_round


@implements(np.fix)
def fix(x: Any, out: None = None) -> Any:
    _no_out(out)
    return np.trunc(x)


@implements(np.clip, checks=True)
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
    if low is None and high is None and a.dtype.kind == "b":
        return np.positive(a)  # which NumPy refuses
    if low is not None:
        a = np.where(np.less(a, low), low, a)
    if high is not None:
        a = np.where(np.greater(a, high), high, a)
    return a


UFUNCS[np._core.umath.clip] = clip  # type: ignore[attr-defined]  # what X.clip(0, w) calls


@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if not copy:
        x[...] = nan_to_num(x, True, nan, posinf, neginf)
        return x
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


@implements(np.real, np.conj, np.real_if_close, checks=True)
def real(val: Any, tol: float = 100) -> Any:
    return val


@implements(np.imag)
def imag(val: Any) -> Any:
    return np.zeros_like(val)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """0 for positive numbers, half a turn for negative ones."""
    z = float_of(z)
    turned = np.where(np.signbit(z), np.asarray(180 if deg else np.pi, z.dtype), z * 0)
    return np.where(np.isnan(z), z, np.where(np.isinf(z) & (z > 0), np.zeros((), z.dtype), turned))


@implements(np.i0)
def i0(x: Any) -> Any:
    from chainrule.ops.special import i0

    return i0(x)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    a, b = plain(a), plain(b)
    if type(b) in (int, bool):  # as NumPy: whole numbers would wrap in a - b
        b = float(b)
    elif type(b) is not float and b.dtype.kind != "f":
        b = np.astype(b, np.float64)
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
    signed = isinstance(test_elements, Traced) and test_elements.dtype.kind == "i"
    if kind == "table" and signed and test_elements.size:  # NumPy's is as long as their range
        span = np.max(test_elements) - np.min(test_elements)  # negative where that overflows
        fits = np.logical_and(span >= 0, np.astype(span, np.int64) < np.iinfo(np.int64).max)
        says = "the range of values exceeds what a table can hold: leave kind= out"
        test_elements = require(test_elements, fits, "np.isin", says)
    found = np.any(np.equal(np.expand_dims(element, -1), test_elements), axis=-1)
    return np.logical_not(found) if invert else found


def _infinite(sign: Any) -> Any:
    def function(x: Any, out: Any = None) -> Any:
        _no_out(out)
        return np.equal(x, sign)

    return function


isposinf = implements(np.isposinf)(_infinite(np.inf))
isneginf = implements(np.isneginf)(_infinite(-np.inf))


@implements(np.isrealobj, checks=True)
def isrealobj(x: Any) -> bool:
    return True


@implements(np.iscomplexobj, checks=True)
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
    given = [x.dtype if isinstance(x, Traced) and not x.weak else x for x in arrays_and_dtypes]
    return np.result_type(*[x.__class__() if isinstance(x, Traced) else x for x in given])


@implements(np.common_type)
def common_type(*arrays: Any) -> Any:
    return np.common_type(*[np.empty(0, x.dtype) for x in arrays])


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(from_.dtype if isinstance(from_, Traced) else from_, to, casting)


@implements(np.astype, checks=True)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: None = None) -> Any:
    dtype = np.dtype(dtype)
    check_dtype(dtype)
    return cast(x, dtype)


def _no_out(out: Any) -> None:
    if out is not None:
        refuse_mutation("out=", "Write x[...] = the result")
