"""``x[index] = value`` and ``x[index]`` on traced arrays that are written to."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.frames import users_line
from chainrule.core.traced import Traced
from chainrule.core.types import Shape, refuse_subclass
from chainrule.errors import IndexingError, MutationError, ShapeError, UnknownValueError
from chainrule.ops import structure
from chainrule.ops.coerce import holds_traced, lift, plain
from chainrule.ops.inplace.masked import Chosen, Masked, chosen_by, spread_out
from chainrule.ops.inplace.memory import (
    Alias,
    Memory,
    index_array,
    is_alone,
    is_array,
    note_view,
    opened,
    places_of,
)
from chainrule.ops.surface.arguments import constant
from chainrule.ops.surface.indexing import getitem

_BASIC = (int, slice, type(None), type(...), np.integer)


def _basic(index: Any) -> bool:
    """Whether ``x[index]`` is a view: only integers, slices, ``...`` and None."""
    for item in index if type(index) is tuple else (index,):
        if type(item) is Traced or not isinstance(item, _BASIC) or type(item) is bool:
            return False
    return True


def _whole_axes(index: Any) -> Any:
    """The index with ``...`` at its end, with which NumPy gives an array, not a number."""
    index = index if type(index) is tuple else (index,)
    return index if any(item is ... for item in index) else (*index, ...)


# Reading --------------------------------------------------------------------------------------


def read(x: Traced, index: Any) -> Any:
    """``x[index]``, a view of ``x`` where NumPy makes one."""
    alias = x.alias
    if alias is not None and alias.memory.writes and not alias.memory.lost and _basic(index):
        found = _read_written(x, alias, index)
        if found is not None:
            return found
    try:
        y = getitem(x, index)
    except UnknownValueError as error:
        chosen = chosen_by(_known(index), x.shape)
        if chosen is None:
            raise
        whole = chosen.moved(getitem(x, chosen.index))
        return Masked(whole.renamed(), chosen.mask, chosen.rest(whole), error)
    dots = index is ... or (type(index) is tuple and any(item is ... for item in index))
    if y is not x and (y.node.type.shape or dots) and is_array(x) and _basic(index):
        y.is_array = dots and not y.node.type.shape
        entries = _whole_axes(index)
        note_view(y, x, lambda marks: marks[entries])
    return y


def _read_written(x: Traced, alias: Alias, index: Any) -> Traced | None:
    entries = _whole_axes(index)
    try:
        marks = alias.marks[entries]
    except IndexError:
        return None
    found = alias.memory.read(marks)
    if found is None:
        return None
    y = Traced(found.node, x.recording)
    dots = entries is index or index is ...
    if marks.ndim or dots:
        y.is_array = not marks.ndim
        y.alias = Alias(alias.memory, x, lambda marks: marks[entries])
        y.alias.marks = marks
        alias.memory.remember(y)
    return y


# Writing --------------------------------------------------------------------------------------


def assign(x: Traced, index: Any, value: Any) -> None:
    """``x[index] = value`` with all of NumPy's indexing; ``value`` is cast and broadcast."""
    alias = opened(x)
    memory, marks = alias.memory, alias.marks
    if _basic(index):
        try:
            place = marks[_whole_axes(index)]
        except IndexError as error:
            raise IndexingError(f"{error}") from None
        memory.write(place, fitted(value, place.shape, x))
        return
    index = _known(index)
    chosen = chosen_by(index, marks.shape)
    if chosen is None and _is_mask(index, marks.shape):
        chosen = Chosen((slice(None),) * index.ndim, index, 0, 0)
    if chosen is not None:
        old = chosen.moved(getitem(Traced(x.node, x.recording), chosen.index))
        value = value if type(value) is Masked else _array(value)
        part = spread_out(value, chosen.mask, chosen.rest(old))
        if part is not None:
            axes = min(np.ndim(part), old.ndim)
            part = fitted(part, old.shape[old.ndim - axes :], x)
            part = structure.broadcast_to(part, old.shape)
            assign(x, chosen.index, chosen.back(chosen.select(part, old)))
            return
        refuse_overlap(value, alias, "x[mask] = y")
        index = constant(chosen.mask, "writing by a mask, x[mask] = values, whose number")
    places: Any = places_of(marks, memory)
    if _holds_traced(index):
        places = getitem(index_array(places, x.recording), index)
    else:
        try:
            places = np.asarray(places[index])
        except IndexError as error:
            raise IndexingError(f"{error}") from None
    part = fitted(value, places.shape, x)
    if part.size:
        memory.put(places, part)


def refuse_overlap(value: Any, alias: Alias, what: str) -> None:
    """Refuse what NumPy reads while it writes there: the result depends on the order of both."""
    other = value.alias if type(value) is Traced else None
    if other is None or other.memory is not alias.memory or value.shape == alias.marks.shape == ():
        return
    if np.may_share_memory(other.marks, alias.marks):
        raise MutationError(
            f"{what}, where y shares numbers with x ({users_line()}): NumPy reads some of them "
            "after they were written. Write y.copy()"
        )


def _known(index: Any) -> Any:
    """The index with the numbers of what is known in it: constants, and masks, which decide about
    shapes (that of a whole array need not be known)."""
    if type(index) is tuple:
        return _known_entry(index[0]) if len(index) == 1 else tuple(map(_known_entry, index))
    return _known_entry(index)


def _known_entry(item: Any) -> Any:
    if type(item) is Traced and item.node.is_constant:
        return item.recording.value(item.node)
    if isinstance(item, (list, tuple)) and holds_traced(item):
        return plain(item)
    return item


def _holds_traced(index: Any) -> bool:
    items = index if type(index) is tuple else (index,)
    return any(type(item) is Traced for item in items)


def _is_mask(index: Any, shape: Shape) -> bool:
    """Whether the index is one mask, of the first axes of an array of this shape."""
    array = isinstance(index, (Traced, np.ndarray))
    return (
        array and index.dtype.kind == "b" and index.ndim > 0 and index.shape == shape[: index.ndim]
    )


def _array(value: Any) -> Any:
    value = plain(value)
    return value if hasattr(value, "ndim") else np.asarray(value)


def fitted(value: Any, shape: Shape, x: Traced) -> Traced:
    """What is written into a part of ``x`` of this shape: cast to its dtype, whatever is lost, and
    broadcast, as NumPy's assignment does."""
    dtype = x.dtype
    if type(value) is not Traced:
        if isinstance(value, (list, tuple)) and holds_traced(value):
            value = plain(value)
        else:
            refuse_subclass(value, "what is written")
            array = np.empty(shape if np.ndim(value) else (), dtype)
            try:
                array[...] = value
            except ValueError as error:
                raise ShapeError(str(error)) from None
            return structure.broadcast_to(lift(array, x.recording), shape)
    part = lift(value, x.recording, dtype)
    extra = part.ndim - len(shape)
    if extra > 0 and part.shape[:extra] == (1,) * extra:
        part = structure.reshape(part, part.shape[extra:])
    return structure.broadcast_to(part, shape)


def overwrite(x: Traced, value: Any) -> None:
    """``x[...] = value``."""
    if type(value) is Traced and is_alone(x) and value.type == x.type:
        if x.alias is None and sum(n > 1 for n in x.shape) > 1:
            x.alias = Alias(Memory(x))  # it keeps its order in memory, whatever value's is
        if x.alias is not None:
            x.alias.memory.node = value.node
        x.node = value.node
        return
    alias = opened(x)
    alias.memory.write(alias.marks, fitted(value, alias.marks.shape, x))


FUNCTIONS["read"] = read
FUNCTIONS["assign"] = assign
