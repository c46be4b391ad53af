"""Joining and splitting: concatenate, stack, block, split and their relatives."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from chainrule.core.dispatch import implements, located, refuse_keywords
from chainrule.core.recording import active
from chainrule.core.told import told
from chainrule.core.traced import Traced
from chainrule.core.types import normalize_axis
from chainrule.errors import ChainruleError, ShapeError
from chainrule.ops import structure
from chainrule.ops.coerce import common_dtype, holds_traced, lift, plain, recording_of, strong
from chainrule.ops.surface.arguments import check_cast, plain_axis
from chainrule.ops.surface.shaping import atleast_1d, atleast_2d, atleast_3d

# building --------------------------------------------------------------------------------


@told("array")
def array(object: Any, dtype: Any = None) -> Any:
    """An array of nested lists in which traced values stand beside numbers and arrays; of a plain
    array one of the recording, so that ``cr.array(table)[i]`` reads it at a traced place ``i``.

    What ``np.array`` does for plain numbers, which asks no traced value and so records nothing:
    ``cr.array([a, [b, c]])`` fails as ``np.array`` does, ``cr.array([[a, 1.0], [b, c]])`` is 2 x 2.

    Args:
        object: a number, an array, a traced value, or lists and tuples of them, to any depth, in
            which all entries of a list have one shape.
        dtype: float32, float64, an integer or bool; else as NumPy promotes the entries.

    Returns:
        A traced value while a function is being recorded, else an ordinary array.

    Raises:
        ShapeError: the entries of a list differ in shape.
        DtypeError: an entry is not a number, or the dtype is not supported.
    """
    if not holds_traced(object):
        try:
            made = np.array(object, dtype)
        except ValueError as error:
            raise ShapeError(f"cr.array: {error}") from None
        recording = active()
        return made if recording is None else lift(made, recording).standing_for(made)
    try:
        found = plain(object)
        return found if dtype is None else np.astype(found, dtype)
    except ChainruleError as error:
        located(error, "cr.array", (object,))


# joining ----------------------------------------------------------------------------------


def _joined(arrays: Any, dtype: Any, casting: str = "same_kind", weak: bool = False) -> list[Any]:
    """The arrays in one dtype; ``weak``: Python numbers take that of the arrays."""
    if isinstance(arrays, Traced):
        arrays = list(arrays)
    if dtype is None and arrays and all(type(x) is Traced for x in arrays):
        kind = arrays[0].node.type
        if all(x.node.type is kind for x in arrays):  # nothing to promote
            return list(arrays)
    found = [plain(x) for x in arrays]
    recording = recording_of(found)
    common = common_dtype(*(found if weak else map(strong, found)))
    if dtype is not None:
        check_cast(common, dtype, casting)
        common = np.dtype(dtype)
    return [lift(x, recording, common) for x in found]


@implements(np.concatenate, checks=True)
def concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    if out is not None:
        refuse_keywords("np.concatenate", {"out": out})
    found: list[Any] = _joined(arrays, dtype, casting, weak=axis is None)
    if axis is None:
        found, axis = [np.ravel(x) for x in found], 0
    if any(x.ndim == 0 for x in found):
        raise ShapeError("zero-dimensional arrays cannot be concatenated; use np.stack")
    axis = normalize_axis(plain_axis(axis), found[0].ndim)
    if any(x.ndim != found[0].ndim for x in found):
        listed = ", ".join(str(x.type) for x in found)
        raise ShapeError(f"cannot concatenate {listed}: different numbers of dimensions")
    return found[0] if len(found) == 1 else structure.concatenate(*found, axis=axis)


@implements(np.stack, checks=True)
def stack(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    if out is not None:
        refuse_keywords("np.stack", {"out": out})
    found = _joined(arrays, dtype, casting)
    if len({x.shape for x in found}) > 1:
        listed = ", ".join(str(x.type) for x in found)
        raise ShapeError(f"the shapes differ: {listed}; stack takes arrays of one shape")
    axis = normalize_axis(axis, found[0].ndim + 1)
    one = (*found[0].shape[:axis], 1, *found[0].shape[axis:])
    parts = [structure.reshape(x, one) for x in found]
    return parts[0] if len(parts) == 1 else structure.concatenate(*parts, axis=axis)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return concatenate([atleast_2d(x) for x in _joined(tup, dtype, casting)], 0)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    found = [atleast_1d(x) for x in _joined(tup, dtype, casting)]
    return concatenate(found, 0 if found[0].ndim == 1 else 1)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return concatenate([atleast_3d(x) for x in _joined(tup, None)], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    found = _joined(tup, None)
    return concatenate([x if x.ndim >= 2 else np.reshape(x, (-1, 1)) for x in found], 1)


@implements(np.block)
def block(arrays: Any) -> Any:
    def depth(x: Any) -> int:
        return 1 + depth(x[0]) if isinstance(x, list) else 0

    def join(x: Any, axis: int) -> Any:
        if not isinstance(x, list):
            missing = total - np.ndim(x)
            return np.reshape(x, (1,) * missing + np.shape(x)) if missing > 0 else x
        return np.concatenate([join(item, axis + 1) for item in x], axis)

    total = depth(arrays)
    return join(arrays, -total)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    return concatenate([plain(arr), plain(values)], axis)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    order = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        order[0], order[1] = 1, 0
    shape_ = [1] * len(xi)
    for i, x in enumerate(xi):
        shape_[order[i]] = np.size(x)
    found = []
    for i, x in enumerate(xi):
        along = [1] * len(xi)
        along[order[i]] = np.size(x)
        found.append(np.reshape(x, along))
    if sparse:
        return tuple(found) if copy else found  # as NumPy has it
    return tuple(np.broadcast_to(x, tuple(shape_)) for x in found)


# splitting --------------------------------------------------------------------------------


def part(a: Traced, axis: int, start: int, stop: int) -> Any:
    return a[(slice(None),) * axis + (slice(start, stop),)]


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Any]:
    axis = normalize_axis(axis, ary.ndim)
    n = ary.shape[axis]
    try:
        count = operator.index(indices_or_sections)
    except TypeError:
        places = [operator.index(i) for i in indices_or_sections]
        bounds = [0, *places, n]
    else:
        if count <= 0:
            raise ShapeError(f"cannot split into {count} parts; at least 1")
        each, more = divmod(n, count)
        bounds = [i * each + min(i, more) for i in range(count + 1)]
    return [part(ary, axis, a, b) for a, b in itertools.pairwise(bounds)]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Any]:
    if isinstance(indices_or_sections, (int, np.integer)) and ary.shape[axis] % int(
        indices_or_sections
    ):
        raise ShapeError(
            f"cannot split axis {axis} of {ary.type} into {indices_or_sections} equal parts; "
            "np.array_split allows unequal ones"
        )
    return array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, 2)


@implements(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    return tuple(np.moveaxis(x, axis, 0))
