"""From what the user wrote to what a primitive takes: exact dtypes and equal shapes.

Casting and broadcasting are primitives of their own, so no derivative rule promotes or
un-broadcasts anything.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from decimal import Decimal
from functools import cache, lru_cache, partial
from numbers import Rational
from typing import Any

import numpy as np

from chainrule.core.dispatch import SCIPY_UFUNCS, UFUNCS
from chainrule.core.node import Primitive
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.core.types import Shape, broadcast_shapes, check_dtype, refuse_subclass
from chainrule.core.unknown import escaped
from chainrule.errors import DtypeError, RecordingError
from chainrule.ops import structure


def recording_of(xs: Sequence[Any]) -> Recording:
    """The recording of the traced values among ``xs``; raises if they come from two."""
    found = None
    for x in xs:
        if isinstance(x, Traced):
            if found is None:
                found = x.recording
            elif found is not x.recording:
                raise escaped()
    if found is None:
        raise RecordingError("no traced value among the arguments")
    if found.closed:
        raise escaped()
    return found


def is_traced(*xs: Any) -> bool:
    return any(isinstance(x, Traced) for x in xs)


def _weak_or_dtype(x: Any) -> Any:
    if isinstance(x, Traced):
        type_ = x.node.type
        return type_.dtype if not x.weak or type_.dtype.kind == "b" else x.__class__
    kind = type(x)
    if kind is float or kind is int:
        return kind
    if kind is bool:
        return np.dtype(bool)
    if kind is complex:
        check_dtype(np.dtype(complex))
    return x.dtype


def plain(x: Any) -> Any:
    """``x`` as a Python number, NumPy value or traced value; sequences become arrays."""
    if isinstance(x, (Traced, np.generic, bool, int, float, complex)):
        return x
    if isinstance(x, np.ndarray):
        refuse_subclass(x, "a constant")
        return x
    if isinstance(x, (list, tuple)) and holds_traced(x):
        return np.stack([plain(item) for item in x])  # type: ignore[arg-type]
    array = np.asarray(x)
    if array.dtype.kind == "O":
        if not array.ndim:
            instead = "x.toarray() for a sparse one" if hasattr(x, "toarray") else ""
            instead = "float(x)" if isinstance(x, (Decimal, Rational)) else instead
            raise DtypeError(
                f"a {type(x).__name__} is neither a number of NumPy's nor an array of them"
                f"{instead and '; write '}{instead}"
            )
        check_dtype(array.dtype)
    return array


def holds_traced(x: Any) -> bool:
    """Whether a traced value stands in nested lists and tuples."""
    if isinstance(x, (list, tuple)):
        return any(map(holds_traced, x))
    return isinstance(x, Traced)


def lift(x: Any, recording: Recording, dtype: Any = None) -> Traced:
    """``x`` as a traced value of ``dtype`` (its own where None)."""
    if isinstance(x, Traced):
        if x.recording is not recording:
            raise escaped()
        return x if dtype is None or x.node.type.dtype == dtype else structure.cast(x, dtype)
    if isinstance(x, (bool, int, float)):
        return recording.constant(x, np.dtype(dtype if dtype is not None else type(x)))
    array = np.asarray(plain(x))
    check_dtype(array.dtype)
    if dtype is not None and array.dtype != dtype:
        array = array.astype(dtype)
    if array.ndim == 0:
        return recording.constant(array, array.dtype)
    if array.size > 1 and not any(array.strides):  # one number seen through a broadcast
        scalar = recording.constant(array.flat[0], array.dtype)
        return structure.broadcast_to(scalar, array.shape)
    return recording.capture(array)


@lru_cache(maxsize=4096)
def loop_dtypes(ufunc: Any, keys: tuple[Any, ...]) -> tuple[np.dtype[Any], ...]:
    """The dtypes in which NumPy would run ``ufunc`` on such arguments; outputs last."""
    dtypes = ufunc.resolve_dtypes(keys + (None,) * ufunc.nout)
    if dtypes[0] == np.dtype(object) and set(keys) == {int}:  # it compares Python's own as objects
        return loop_dtypes(ufunc, (np.dtype(int),) * len(keys))
    for dtype in dtypes:
        check_dtype(dtype)
    return dtypes


_NUMBERS = (float, int)


@cache
def _keeps_floats(ufunc: Any) -> bool:
    """Whether a Python float beside a floating array takes that array's dtype."""
    if ufunc.nin != 2:
        return False
    dtypes = [np.dtype(np.float32), np.dtype(np.float64)]
    try:
        found = [loop_dtypes(ufunc, (dtype, float))[:2] for dtype in dtypes]
    except TypeError:
        return False
    return found == [(dtype, dtype) for dtype in dtypes]


def apply_ufunc(ufunc: Any, primitive: Primitive, *xs: Any) -> Traced:
    """Record ``primitive`` with the promotion and broadcasting of ``ufunc``."""
    if len(xs) != ufunc.nin:
        raise TypeError(f"np.{ufunc.__name__} takes {ufunc.nin} arguments, not {len(xs)}")
    first, last = xs[0], xs[-1]
    if type(first) is Traced:
        type_ = first.node.type
        if type(last) is Traced:
            if type_.is_float and last.node.type is type_:  # nothing to promote or to broadcast
                return first.recording.emit(primitive, xs, {})
        elif type(last) in _NUMBERS and type_.is_float and _keeps_floats(ufunc):
            return first.recording.emit(primitive, (first, first.recording.spread(last, type_)), {})
    elif type(first) in _NUMBERS and type(last) is Traced:
        type_ = last.node.type
        if type_.is_float and _keeps_floats(ufunc):
            return last.recording.emit(primitive, (last.recording.spread(first, type_), last), {})
    xs = tuple(plain(x) for x in xs)
    recording = recording_of(xs)
    try:
        dtypes = loop_dtypes(ufunc, tuple(map(_weak_or_dtype, xs)))
    except TypeError as error:
        if isinstance(error, DtypeError):
            raise
        kinds = ", ".join(str(_weak_or_dtype(x)) for x in xs)
        raise DtypeError(f"np.{ufunc.__name__} is not defined for {kinds}") from None
    return recording.emit(primitive, operands(ufunc.__name__, recording, xs, dtypes), {})


def shape_of(x: Any) -> Shape:
    return x.node.type.shape if isinstance(x, Traced) else np.shape(x)


def operands(name: str, recording: Recording, xs: Sequence[Any], dtypes: Any) -> list[Traced]:
    """The arguments cast to ``dtypes`` and broadcast to their common shape."""
    shape = broadcast_shapes(*map(shape_of, xs))
    lifted = [lift(x, recording, dtype) for x, dtype in zip(xs, dtypes, strict=False)]
    return [x if x.node.type.shape == shape else structure.broadcast_to(x, shape) for x in lifted]


def apply_float(primitive: Primitive, *xs: Any, name: str = "", **attrs: Any) -> Traced:
    """Record an element-wise primitive on floating arguments of one dtype."""
    xs = tuple(plain(x) for x in xs)
    recording = recording_of(xs)
    dtype = common_float(*xs)
    args = operands(name or primitive.name, recording, xs, [dtype] * len(xs))
    return recording.emit(primitive, args, attrs)


def common_dtype(*xs: Any) -> np.dtype[Any]:
    """NumPy 2's result dtype, Python numbers being weak."""
    return _common_dtype(tuple(map(_weak_or_dtype, xs)))


@lru_cache(maxsize=4096)
def _common_dtype(keys: tuple[Any, ...]) -> np.dtype[Any]:
    dtype = np.result_type(*[k() if isinstance(k, type) else k for k in keys])
    check_dtype(dtype)
    return dtype


def common_float(*xs: Any) -> np.dtype[Any]:
    dtype = common_dtype(*xs)
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def float_of(x: Any) -> Any:
    """``x`` itself where it is floating, else as float64."""
    return x if x.dtype.kind == "f" else np.astype(x, np.float64)


def refuse_complex(name: str, x: Any) -> None:
    """For forwards whose NumPy function takes complex numbers without being analytic in them
    (it conjugates, or loses a tiny imaginary part): a complex step would give nonsense."""
    if np.iscomplexobj(x):
        raise DtypeError(f"{name} is not analytic as computed here; it takes no complex step")


def for_ufunc(ufunc: Any, primitive: Primitive) -> None:
    UFUNCS[ufunc] = partial(apply_ufunc, ufunc, primitive)


_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}


def scipys_dtypes(name: str, xs: tuple[Any, ...]) -> tuple[np.dtype[Any], ...] | None:
    """The dtypes in which SciPy runs its ufunc, that of the result last: small integers in float32,
    and as a rule a Python number beside float32 in float64. None where nothing is promoted, or
    the ufunc is not loaded, or another version's."""
    keys = tuple(_weak_or_dtype(plain(x)) for x in xs)
    ufunc = getattr(sys.modules.get("scipy.special"), name, None)
    if (keys[0] in _FLOATS and {*keys} == {keys[0]}) or not isinstance(ufunc, np.ufunc):
        return None
    return loop_dtypes(ufunc, keys)


def in_scipys_loop(name: str, xs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments in the dtypes in which SciPy runs its ufunc."""
    dtypes = scipys_dtypes(name, xs)
    if dtypes is None:
        return xs
    recording = recording_of(xs)
    return tuple(lift(x, recording, dtype) for x, dtype in zip(xs, dtypes, strict=False))


def strong(x: Any) -> Any:
    """``x`` as where NumPy makes an array of each argument: a Python number counts as one."""
    if isinstance(x, Traced):
        return x.like(None) if x.weak else x
    return x if hasattr(x, "dtype") else np.asarray(x)


def for_scipy(name: str, primitive: Primitive) -> None:
    def function(*xs: Any) -> Traced:
        return apply_float(primitive, *in_scipys_loop(name, xs), name=f"scipy.special.{name}")

    SCIPY_UFUNCS[name] = function


def scalar_like(x: Traced, value: Any) -> Traced:
    """The constant ``value`` with the dtype and shape of ``x``."""
    constant = x.recording.constant(value, x.dtype)
    return constant if not x.shape else structure.broadcast_to(constant, x.shape)


def int_or(number: Any) -> Any:
    """The integer equal to ``number``, or ``number`` itself: x**2.0 is written x²."""
    if isinstance(number, int):
        return number
    return int(number) if math.isfinite(number) and number == int(number) else number
