"""What else writes into arrays: operators such as ``+=``, ``out=``, ``ufunc.at``, and functions
that change an argument.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from chainrule.core.dispatch import FUNCTIONS, call_ufunc, implements, refuse_plain_target
from chainrule.core.traced import Traced
from chainrule.core.types import broadcast_shapes, normalize_axis
from chainrule.errors import DtypeError, ShapeError, UnsupportedError, UsageError
from chainrule.ops import structure
from chainrule.ops.coerce import is_traced, lift, plain
from chainrule.ops.inplace.assigning import assign, fitted, overwrite, read, refuse_overlap
from chainrule.ops.inplace.masked import chosen_by
from chainrule.ops.inplace.memory import index_array, is_array, opened, places_of
from chainrule.ops.surface.arguments import constant, known_if_any
from chainrule.ops.surface.indexing import getitem
from chainrule.ops.surface.standins import as_ours, numpys_answer

# operators and out= ---------------------------------------------------------------------------


def in_place(ufunc: Any, x: Traced, other: Any) -> Any:
    """``x += other`` and its like: x itself, written over; a number is not, it is made anew."""
    if not is_array(x):
        return NotImplemented
    put_out(call_ufunc(ufunc, x, other), x, "same_kind", ufunc.__name__)
    return x


def put_out(found: Any, out: Any, casting: Any, name: str, where: Any = True) -> None:
    """Write a result into ``out``, as NumPy does: by its rule of casting, and broadcast."""
    dtype = found.dtype if hasattr(found, "dtype") else np.asarray(found).dtype
    if not np.can_cast(dtype, out.dtype, casting):
        raise DtypeError(
            f"cannot write the result of {name}, {dtype}, into an array of {out.dtype}, which is "
            f"not {casting}. Keep the result as a new array, or make the array one of {dtype} "
            f"first: x.astype({dtype}), np.zeros(n, {dtype}, like=x)"
        )
    shape, wanted = np.shape(found), out.shape
    if broadcast_shapes(shape, wanted) != wanted:
        raise ShapeError(f"a result of shape {shape} does not fit an array of shape {wanted}")
    if where is not True:
        found = np.where(where, found, out)
    overwrite(out, found)


def with_out(function: Any, ours: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """A function of NumPy's with ``out=``, an array or a tuple of arrays and None: what it
    returns. Of a ufunc ``where=`` says which numbers are written."""
    name = _name(function)
    given, kept, out = taken_out(function, args, kwargs)
    several = out if isinstance(out, tuple) else (out,)
    for one in several:
        if one is not None and type(one) is not Traced:
            refuse_plain_target(one, name)
    if (refusal := numpys_answer(function, args, kwargs).refusal) is not None:
        raise as_ours(refusal)
    args, kwargs = given, dict(kept)
    where = kwargs.pop("where", True) if isinstance(function, np.ufunc) else True
    apply = ours if is_traced(*args) or any(map(_holds, args)) else function
    found = apply(*args, **kwargs)
    if not isinstance(function, np.ufunc) and _computes_in_out(function, kwargs):
        (one,) = several  # NumPy computes in its dtype
        if one.dtype != found.dtype:
            found = apply(*args, **kwargs, dtype=one.dtype)
    parts = found if isinstance(found, tuple) else (found,)
    for y, one in zip(parts, several, strict=True):
        if one is not None:
            put_out(y, one, "unsafe", name, where)
    given = tuple(y if one is None else one for y, one in zip(parts, several, strict=True))
    return given if isinstance(found, tuple) else given[0]


def _name(function: Any) -> str:
    ufunc = getattr(function, "__self__", None)
    of = f"{ufunc.__name__}." if isinstance(ufunc, np.ufunc) else ""
    return f"np.{of}{function.__name__}"


def _computes_in_out(function: Any, kwargs: dict[str, Any]) -> bool:
    method = isinstance(getattr(function, "__self__", None), np.ufunc)
    return kwargs.get("dtype") is None and (method or "dtype" in _parameters(function))


def _holds(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and is_traced(*x)


@cache
def _parameters(function: Any) -> dict[str, int]:
    """The places of a function's parameters, -1 of one that is passed by keyword only."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {p.name: k if p.kind in by_place else -1 for k, p in enumerate(found)}


def taken_out(function: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """The arguments of a call without ``out``, and that; None where it has none."""
    if "out" in kwargs:
        kwargs = dict(kwargs)
        return args, kwargs, kwargs.pop("out")
    at = _parameters(function).get("out", -1)
    if 0 <= at < len(args) and args[at] is not None:
        return (*args[:at], None, *args[at + 1 :]), kwargs, args[at]
    return args, kwargs, None


def out_of(function: Any, args: Any, kwargs: Any) -> Any:
    """The ``out`` of a call; None where it has none."""
    return taken_out(function, args, kwargs)[2]


# ufunc.at ---------------------------------------------------------------------------------------


def at(ufunc: Any, x: Any, index: Any, *others: Any) -> None:
    """``ufunc.at``: as ``x[index] = ufunc(x[index], ...)``, but places named twice count twice."""
    name = f"np.{ufunc.__name__}.at"
    if type(x) is not Traced:
        refuse_plain_target(x, name)
    alias = opened(x)
    if chosen_by(index, x.shape) is not None:  # which names no place twice
        found = ufunc(read(x, index), *others)
        if not np.can_cast(found.whole.dtype, x.dtype, "same_kind"):
            raise DtypeError(f"{name} cannot cast {found.whole.dtype} into an array of {x.dtype}")
        assign(x, index, found)
        return
    places: Any = index_array(places_of(alias.marks, alias.memory), x.recording)
    places = getitem(places, index)
    known = known_if_any(places) if places.node.is_constant else None
    if known is not None and np.unique(known).size == known.size:
        found = call_ufunc(ufunc, getitem(x, index), *others)
        put = np.can_cast(found.dtype, x.dtype, "same_kind")
        if not put:
            raise DtypeError(f"{name} cannot cast {found.dtype} into an array of {x.dtype}")
        assign(x, index, found)
        return
    one = np.ones((), x.dtype)
    kinds = [np.ones((), plain(v).dtype) if hasattr(plain(v), "dtype") else v for v in others]
    dtype = ufunc(one, *kinds).dtype
    if not np.can_cast(dtype, x.dtype, "same_kind"):
        raise DtypeError(f"{name} cannot cast {dtype} into an array of {x.dtype}")
    parts: list[Any] = [structure.broadcast_to(_traced(v, x), places.shape) for v in others]
    memory = alias.memory
    flat = structure.reshape(memory.flush(), (memory.type.size,))
    places = structure.reshape(places, (places.size,))
    parts = [structure.reshape(part, (places.size,)) for part in parts]
    if ufunc in (np.add, np.subtract) and dtype == x.dtype:
        (part,) = parts
        part = structure.cast(part if ufunc is np.add else -part, dtype)
        every = structure.positions(x, flat.shape, 0)
        flat = structure.scatter_add(flat, every, part, places, shape=flat.shape, axes=(0,))
    elif known is None:
        raise UnsupportedError(
            f"{name} at places that are traced is recorded for add and subtract alone: call it at "
            "places that are plain numbers"
        )
    else:
        flat = _in_rounds(ufunc, flat, known.ravel(), parts)
    memory.replace(structure.reshape(flat, memory.type.shape).node)


def _in_rounds(ufunc: Any, flat: Traced, places: np.ndarray, parts: list[Any]) -> Traced:
    """Each round has every place once: what comes first at its place first."""
    order = np.argsort(places, kind="stable")
    _, starts, counts = np.unique(places[order], return_index=True, return_counts=True)
    for turn in range(counts.max()):
        chosen = order[starts[counts > turn] + turn]
        here = index_array(places[chosen], flat.recording)
        found = call_ufunc(ufunc, flat[here], *[part[chosen] for part in parts])
        flat = structure.put(flat, structure.cast(found, flat.dtype), here, axes=(0,))
    return flat


def _traced(v: Any, x: Traced) -> Traced:
    v = plain(v)
    return lift(v, x.recording, None if hasattr(v, "dtype") else x.dtype)


# functions --------------------------------------------------------------------------------------


def _target(x: Any, name: str) -> Traced:
    if type(x) is not Traced:
        refuse_plain_target(x, name)
    return x


def _at_flat(x: Traced, places: Any, value: Any) -> None:
    """``x.flat[places] = value``, the value repeated to their number."""
    alias = opened(x)
    grid: Any = places_of(alias.marks, alias.memory).ravel()
    places = getitem(index_array(grid, x.recording), places) if is_traced(places) else grid[places]
    places = structure.reshape(places, (places.size,)) if is_traced(places) else np.ravel(places)
    if places.size:
        alias.memory.put(places, fitted(np.resize(plain(value), places.shape), places.shape, x))


@implements(np.put, checks=True)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    _target(a, "np.put")
    ind = plain(ind)
    if mode == "wrap":
        ind = np.remainder(ind, a.size)
    elif mode == "clip":
        ind = np.clip(ind, 0, a.size - 1)
    elif mode != "raise":
        raise UsageError(f"mode={mode!r}: one of 'raise', 'wrap' and 'clip'")
    if not is_traced(ind) and np.size(ind) and not -a.size <= np.min(ind) <= np.max(ind) < a.size:
        raise UsageError(f"an index is out of bounds for an array of {a.size} numbers")
    _at_flat(a, ind if hasattr(ind, "dtype") else np.asarray(ind), v)


@implements(np.place, checks=True)
def place(arr: Any, mask: Any, vals: Any) -> None:
    _target(arr, "np.place")
    if np.size(plain(vals)) == 1:
        assign(arr, _mask(mask, arr), np.reshape(plain(vals), ()))
        return
    mask = np.asarray(constant(mask, "np.place, where the values go,"), bool)
    if np.size(plain(vals)) or not mask.any():
        _at_flat(arr, np.flatnonzero(mask), vals)
    else:
        raise UsageError("np.place: no values to write")


def _mask(mask: Any, x: Any) -> Any:
    mask = plain(mask)
    mask = mask if getattr(mask, "dtype", None) == np.bool else np.not_equal(mask, 0)
    return np.reshape(mask, x.shape)


@implements(np.putmask, checks=True)
def putmask(a: Any, mask: Any, values: Any) -> None:
    _target(a, "np.putmask")
    if np.size(plain(values)):
        overwrite(a, np.where(_mask(mask, a), np.resize(plain(values), a.shape), a))


@implements(np.copyto, checks=True)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    _target(dst, "np.copyto")
    src = plain(src)
    kind = src.dtype if hasattr(src, "dtype") else src
    weak = not hasattr(src, "dtype")
    if not (np.can_cast(np.result_type(dst.dtype, kind) if weak else kind, dst.dtype, casting)):
        raise DtypeError(f"np.copyto cannot cast {kind} into an array of {dst.dtype} ({casting})")
    src = fitted(src, dst.shape, dst)
    overwrite(dst, src if where is True else np.where(where, src, dst))


@implements(np.fill_diagonal, checks=True)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    _target(a, "np.fill_diagonal")
    if a.ndim < 2:
        raise ShapeError("np.fill_diagonal: the array must have two axes or more")
    end = a.size
    if a.ndim == 2:
        step = a.shape[1] + 1
        end = end if wrap else min(end, a.shape[1] ** 2)
    elif len(set(a.shape)) > 1:
        raise ShapeError("np.fill_diagonal: all lengths of an array of three axes must be equal")
    else:
        step = 1 + sum(a.shape[0] ** k for k in range(1, a.ndim))
    _at_flat(a, np.arange(0, end, step), val)


@implements(np.put_along_axis, checks=True)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    _target(arr, "np.put_along_axis")
    indices = plain(indices)
    if axis is None:
        _check_flat(indices)
        _at_flat(arr, indices, np.broadcast_to(values, indices.shape))
        return
    axis = normalize_axis(axis, arr.ndim)
    if indices.ndim != arr.ndim:
        raise ShapeError("put_along_axis: indices must have as many dimensions as the array")
    index: list[Any] = [
        np.arange(n).reshape((-1,) + (1,) * (arr.ndim - 1 - k)) for k, n in enumerate(arr.shape)
    ]
    index[axis] = indices
    assign(arr, tuple(index), values)


def _check_flat(indices: Any) -> None:
    if indices.ndim != 1:
        raise ShapeError("put_along_axis with axis=None takes a vector of indices")


# methods ----------------------------------------------------------------------------------------


def fill(x: Traced, value: Any) -> None:
    if np.size(plain(value)) != 1:
        raise UsageError("x.fill takes one number")
    overwrite(x, np.reshape(plain(value), ()))


def sort(
    x: Traced, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> None:
    keywords = {"kind": kind, "order": order, "stable": stable}
    overwrite(x, np.sort(x, axis, **{k: v for k, v in keywords.items() if v is not None}))


def partition(x: Traced, kth: Any, axis: Any = -1, kind: str = "introselect") -> None:
    overwrite(x, np.partition(x, kth, axis, kind))  # type: ignore[call-overload]


def set_flat(x: Traced, value: Any) -> None:
    """``x.flat = value``, repeated as often as it takes."""
    refuse_overlap(value, opened(x), "x.flat = y")
    overwrite(x, np.reshape(np.resize(plain(value), (x.size,)), x.shape))


FUNCTIONS.update(
    {
        "in_place": in_place, "with_out": with_out, "out of": out_of, "at": at,
        "x.fill": fill, "x.sort": sort,
        "x.partition": partition, "x.put": put, "x.flat": set_flat,
    }
)  # fmt: skip
