"""New names for arrays: views, copies, and arrays made like a traced one."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.dispatch import FUNCTIONS, MAKING, VIEWS, implements
from chainrule.core.recording import active
from chainrule.core.traced import Traced
from chainrule.core.types import check_dtype
from chainrule.core.unknown import escaped
from chainrule.ops import structure
from chainrule.ops.coerce import is_traced, lift, plain
from chainrule.ops.inplace.layout import rows_first
from chainrule.ops.inplace.memory import FLAT, Alias, Memory, is_array, note_view
from chainrule.ops.surface import joining
from chainrule.ops.surface.shaping import shape_of

VIEWS.update(
    {
        np.reshape, np.ravel, np.transpose, np.matrix_transpose, np.linalg.matrix_transpose,
        np.swapaxes, np.moveaxis, np.rollaxis, np.expand_dims, np.squeeze, np.broadcast_to,
        np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.diagonal,
        np.linalg.diagonal, np.diag, np.flip, np.fliplr, np.flipud, np.rot90, np.split,
        np.array_split, np.hsplit, np.vsplit, np.dsplit, np.unstack, np.real, np.real_if_close,
        np.lib.stride_tricks.sliding_window_view, np.nan_to_num, np.astype, np.asarray,
        np.asanyarray,
    }
)  # fmt: skip
_SEVERAL = {np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_arrays}
_SELDOM = {np.nan_to_num, np.astype}
"""Functions that return a view, the argument itself, only where ``copy=False`` asks for it."""


MAKING.update(
    {
        np.zeros, np.ones, np.empty, np.full, np.eye, np.identity, np.arange, np.array, np.copy,
        np.zeros_like, np.ones_like, np.empty_like, np.full_like,
    }
)  # fmt: skip


def viewed(y: Any, function: Any, args: Any, kwargs: Any) -> Any:
    """The result of a function under a new name, a view of its argument where NumPy makes one."""
    if function in _SELDOM and kwargs.get("copy", True):
        return fresh_name(y, args)
    if function in _SEVERAL and len(args) > 1:
        found = [_view(part, x, function, (), _spread(function, part)) for part, x in
                 zip(y, args, strict=True)]  # fmt: skip
        return tuple(found)
    x, rest = (args[0], args[1:]) if args else (next(iter(kwargs.values()), None), ())
    keywords = kwargs if args else dict(list(kwargs.items())[1:])
    rest, keywords = _frozen(rest), {k: _frozen(v) for k, v in keywords.items()}
    if not isinstance(y, (list, tuple)):
        return _view(y, x, function, rest, keywords)
    return _several(y, [_view(part, x, function, rest, keywords, k) for k, part in enumerate(y)])


def _several(y: Any, parts: list[Any]) -> Any:
    """Several results as they came: NumPy has names for those of its factorisations."""
    return getattr(type(y), "_make", type(y))(parts)


def _spread(function: Any, part: Any) -> dict[str, Any]:
    return {"shape": part.shape} if function is np.broadcast_arrays else {}


def _view(y: Any, x: Any, function: Any, rest: Any, keywords: Any, k: int | None = None) -> Any:
    if type(y) is not Traced:
        return y
    y = Traced(y.node, y.recording, False, is_array(x) and function is not np.unstack)
    if is_array(x) and is_array(y):
        called = np.broadcast_to if function is np.broadcast_arrays else function

        def made(marks: np.ndarray) -> Any:
            found = called(marks, *rest, **keywords)
            return found if k is None else found[k]

        note_view(y, x, made, function)
    return y


def _frozen(x: Any) -> Any:
    """An argument that nobody can change."""
    if isinstance(x, (list, tuple)):
        return tuple(map(_frozen, x))
    return x.copy() if isinstance(x, np.ndarray) else x


def fresh_name(y: Any, args: Any) -> Any:
    """A result that is a new array: no name of an argument, and no view."""
    if type(y) is Traced:
        return Traced(y.node, y.recording)
    if isinstance(y, (list, tuple)):
        for part in y:
            if type(part) is Traced and part.alias is not None:
                return _several(y, [fresh_name(one, args) for one in y])
    return y


# Copies ---------------------------------------------------------------------------------------


def copied(x: Traced, order: str = "C") -> Traced:
    """A copy of ``x``, its numbers in the given order."""
    y = Traced(x.node, x.recording, x.weak, x.is_array)
    if sum(n > 1 for n in x.shape) > 1:
        return _laid(y, order, x)
    return y


def _laid(y: Traced, order: str, like: Any = None) -> Traced:
    """``y``, a new array, whose numbers lie in the given order: as those of ``like`` for "K"."""
    if order == "F":
        return np.transpose(_laid(np.transpose(y).copy(), "C"))  # type: ignore[call-overload]
    y.alias = Alias(Memory(y))
    y.alias.memory.rows = order == "C" or (
        like is not None and rows_first(like.node, like.recording)
    )
    return y


@implements(np.copy, checks=True)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    y = copied(a, order)
    y.weak, y.is_array = False, True
    return y


# Arrays made like a traced one ----------------------------------------------------------------


def _made(array: np.ndarray, order: str = "C") -> Traced:
    """An ordinary array as a traced one of the active recording."""
    recording = active()
    if recording is None:
        raise escaped()
    check_dtype(array.dtype)
    y = lift(array, recording)
    y = Traced(y.node, recording, False, True)
    return _laid(y, order) if order == "F" and array.ndim > 1 else y


def _filled(number: Any, name: str) -> Any:
    def function(shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None) -> Any:
        wanted = shape_of(shape)
        return _made(np.broadcast_to(np.asarray(number, np.dtype(dtype or float)), wanted), order)

    function.__name__ = name
    return function


zeros = implements(np.zeros, np.empty, checks=True)(_filled(0, "zeros"))
ones = implements(np.ones, checks=True)(_filled(1, "ones"))


@implements(np.full, checks=True)
def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None
) -> Any:
    wanted = shape_of(shape)
    value: Any = plain(fill_value)
    if is_traced(value):
        value = value if dtype is None else np.astype(value, dtype)
        y = structure.broadcast_to(value, wanted)
        y = Traced(y.node, y.recording, False, True)
        return _laid(y, order) if order == "F" and y.ndim > 1 else y
    value = np.asarray(value, dtype)
    return _made(np.broadcast_to(value, wanted), order)


@implements(np.eye, checks=True)
def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = float, order: str = "C", *,
        device: Any = None) -> Any:  # fmt: skip
    return _made(np.eye(N, M, k, dtype), order)


@implements(np.identity, checks=True)
def identity(n: Any, dtype: Any = None) -> Any:
    return _made(np.identity(n, dtype))


@implements(np.arange, checks=True)
def arange(*args: Any, device: Any = None, **kwargs: Any) -> Any:
    return _made(np.arange(*args, **kwargs))


@implements(np.array, checks=True)
def array(object: Any, dtype: Any = None, *, copy: Any = True, order: str = "K",
          subok: bool = False, ndmin: int = 0) -> Any:  # fmt: skip
    found = joining.array(object, dtype)
    y = found if type(found) is Traced else _made(np.asarray(found))
    y = Traced(y.node, y.recording, False, True)
    return np.reshape(y, (1,) * max(ndmin - y.ndim, 0) + y.shape).copy() if ndmin > y.ndim else y


@implements(np.asarray, np.asanyarray, checks=True)
def asarray(a: Any, dtype: Any = None, order: Any = None, *, device: Any = None,
            copy: Any = None) -> Any:  # fmt: skip
    if type(a) is Traced and (dtype is None or a.dtype == dtype) and not copy:
        return a
    return array(a, dtype)


def _like(number: Any) -> Any:
    def function(
        a: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> Any:
        return _like_another(a, number, dtype, order, shape)

    return function


def _like_another(a: Any, value: Any, dtype: Any, order: str, shape: Any) -> Traced:
    a = plain(a)
    wanted = np.shape(a) if shape is None else shape_of(shape)
    found = np.dtype(dtype if dtype is not None else a.dtype)
    check_dtype(found)
    recording = (value if is_traced(value) else a).recording
    part: Any = lift(value, recording, found)
    y = structure.broadcast_to(part, wanted)
    y = Traced(y.node, recording, False, True)
    if sum(n > 1 for n in wanted) < 2 or order == "C":
        return y
    return _laid(y, order, a if is_traced(a) and len(wanted) == a.ndim else None)


zeros_like = implements(np.zeros_like, np.empty_like, checks=True)(_like(0))
ones_like = implements(np.ones_like, checks=True)(_like(1))


@implements(np.full_like, checks=True)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    return _like_another(a, plain(fill_value), dtype, order, shape)


# x.flat ---------------------------------------------------------------------------------------


def flat(x: Traced) -> Traced:
    """``x.flat``: a vector that writes through to ``x``, where that is a view; else writing into
    it is refused."""
    y = structure.reshape(x, (x.size,))
    y = Traced(y.node, y.recording)
    if is_array(x):
        note_view(y, x, lambda marks: marks.reshape(-1), FLAT)
    return y


FUNCTIONS.update({"viewed": viewed, "fresh name": fresh_name, "copied": copied, "flat": flat})
