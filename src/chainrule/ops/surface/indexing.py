"""Reading by index: basic and advanced indexing, take, selection, search, interpolation."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from chainrule.core.dispatch import FUNCTIONS, implements, refuse_keywords
from chainrule.core.traced import Traced, known_value
from chainrule.core.types import broadcast_shapes, normalize_axis
from chainrule.errors import ChainruleError, DtypeError, IndexingError, ShapeError
from chainrule.ops import reduce as rd
from chainrule.ops import structure
from chainrule.ops.coerce import common_dtype, lift, plain, recording_of
from chainrule.ops.surface.arguments import constant, known_if_any, plain_axis, refuse, require


def getitem(x: Traced, index: Any) -> Any:
    """``x[index]`` with all of NumPy's indexing: integers, slices, ``...``, ``None``, arrays
    of integers (traced or not) and masks whose values are known."""
    if type(index) is int and x.shape and -x.shape[0] <= index < x.shape[0]:  # at a third of it
        return structure.slice_(x, region=(index % x.shape[0], *[(0, n, 1) for n in x.shape[1:]]))
    x, entries = _expand(x, index if isinstance(index, tuple) else (index,))
    if any(kind == "array" for kind, _ in entries):
        return _advanced(x, entries)
    region = tuple(e for kind, e in entries if kind != "new")
    found = x if _is_whole(x, region) else structure.slice_(x, region=region)
    if all(kind != "new" for kind, _ in entries):
        return found
    lengths = iter(found.shape)
    shape = [1 if kind == "new" else next(lengths) for kind, _ in entries if kind != "int"]
    return structure.reshape(found, tuple(shape))


FUNCTIONS["getitem"] = getitem


def _is_whole(x: Traced, region: tuple[Any, ...]) -> bool:
    return all(e == (0, n, 1) for e, n in zip(region, x.shape, strict=True))


def _expand(x: Traced, index: tuple[Any, ...]) -> tuple[Traced, list[tuple[str, Any]]]:
    """The index as a list of ("int", i), ("slice", (start, length, step)), ("new", None) and
    ("array", integers), one for each axis and new axis. A single True or False is the array [0] or
    [] along an axis of length 1 that ``x`` is given for it."""
    items: list[Any] = []
    for item in index:
        if isinstance(item, (Sequence, array)) and not isinstance(item, (str, bytes)):
            item = plain(item) if len(item) else np.zeros(0, int)
        if isinstance(item, (bool, np.bool_)) or (_is_mask(item) and np.ndim(item) == 0):
            items.append(bool(constant(item, "reading by a mask, x[mask], whose result's shape")))
        elif _is_mask(item):
            items += _mask(item)
        else:
            items.append(item)
    used = sum(not (item is None or isinstance(item, (bool, EllipsisType))) for item in items)
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexingError("an index can only have a single ellipsis ('...')")
    if used > x.ndim:
        raise IndexingError(f"too many indices for {x.type}: it has {x.ndim} axes, {used} indexed")
    fill = [slice(None)] * (x.ndim - used)
    place = dots[0] if dots else len(items)
    items[place : place + len(dots)] = fill
    entries = []
    nothing = any(map(_is_empty, items))
    axis = 0
    for item in items:
        if item is None:
            entries.append(("new", None))
            continue
        if isinstance(item, bool):
            x = structure.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))
            item = np.zeros(int(item), int)
        entries.append(_entry(item, x, axis, nothing))
        axis += 1
    return x, entries


class _Chosen(NamedTuple):
    """The places that a mask chooses along one axis, and the length that the axis must have."""

    places: np.ndarray
    length: int


def _is_empty(item: Any) -> bool:
    if isinstance(item, _Chosen):
        return not item.places.size
    return item is False or (isinstance(item, (Traced, np.ndarray)) and not item.size)


def _is_mask(item: Any) -> bool:
    return isinstance(item, (Traced, np.ndarray)) and item.dtype.kind == "b"


def _mask(mask: Any) -> list[_Chosen]:
    mask = constant(mask, "reading by a mask, x[mask], whose result's length")
    return [_Chosen(*pair) for pair in zip(np.nonzero(mask), mask.shape, strict=True)]


def _entry(item: Any, x: Traced, axis: int, nothing: bool) -> tuple[str, Any]:
    """``nothing``: an empty index array stands beside it, and NumPy looks at no other's numbers."""
    n = x.shape[axis]
    if isinstance(item, _Chosen):
        if item.length != n:
            raise IndexingError(
                f"a mask of length {item.length} does not fit axis {axis} of {x.type}"
            )
        return "array", item.places
    if isinstance(item, slice):
        start, stop, step = _bounds(item, n)
        length = len(range(start, stop, step))
        return "slice", (start, length, step) if length else (0, 0, 1)
    if isinstance(item, Traced) or (isinstance(item, np.ndarray) and item.ndim):
        if item.dtype.kind not in "iu":
            raise IndexingError(f"arrays used as indices must be of integers, not {item.dtype}")
        numbers: Any = None if nothing else known_if_any(item)
        if numbers is not None and numbers.size and not -n <= numbers.min() <= numbers.max() < n:
            raise IndexingError(f"index out of bounds for axis {axis} of {x.type}")
        return "array", item
    try:
        i = operator.index(item)
    except TypeError:
        raise IndexingError(
            f"an index must be an integer, slice, '...', None or array, not {item!r}"
        ) from None
    if not -n <= i < n:
        raise IndexingError(f"index {i} is out of bounds for axis {axis} of {x.type}")
    return "int", i % n


def _bounds(item: slice, n: int) -> tuple[int, int, int]:
    try:
        return item.indices(n)
    except ChainruleError:
        raise
    except ValueError:
        raise IndexingError("the step of a slice cannot be 0; 1 reads all of it") from None
    except TypeError:
        raise DtypeError(
            f"a slice takes integers and None, not {item}: write x // 2 or int(x) of plain numbers"
        ) from None


def _advanced(x: Traced, entries: list[tuple[str, Any]]) -> Any:
    arrays = [e for kind, e in entries if kind in ("array", "int")]
    shape = broadcast_shapes(*[np.shape(e) for e in arrays])
    indices = [_index(e, x, shape) for e in arrays]
    axes, region, places = [], [], []
    axis = 0
    for position, (kind, e) in enumerate(entries):
        if kind == "new":
            continue
        if kind == "slice":
            region.append(e)
        else:
            axes.append(axis)
            region.append((0, x.shape[axis], 1))
            places.append(position)
        axis += 1
    if not _is_whole(x, tuple(region)):
        x = structure.slice_(x, region=tuple(region))
    found = structure.gather(x, *indices, axes=tuple(axes))
    together = places == list(range(places[0], places[0] + len(places)))
    front = sum(kind == "slice" for kind, _ in entries[: places[0]]) if together else 0
    b = len(shape)
    order = (*range(b, b + front), *range(b), *range(b + front, found.ndim))
    found = structure.transpose(found, order)
    rest = list(found.shape[:front] + found.shape[front + b :])
    final: list[int] = [] if together else list(shape)
    for position, (kind, _) in enumerate(entries):
        if together and position == places[0]:
            final += shape
        if kind == "new":
            final.append(1)
        elif kind == "slice":
            final.append(rest.pop(0))
    return structure.reshape(found, tuple(final))


def _index(e: Any, x: Traced, shape: tuple[int, ...]) -> Traced:
    index = lift(np.asarray(e, np.int64) if not isinstance(e, Traced) else e, x.recording)
    return structure.broadcast_to(index, shape)


@implements(np.take, checks=True)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    if out is not None:
        refuse_keywords("np.take", {"out": out})
    a, indices = plain(a), plain(indices)
    a = lift(a, recording_of((a, indices)))
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axis(plain_axis(axis), a.ndim)
    n = a.shape[axis]
    if hasattr(indices, "dtype") and indices.dtype.kind == "b":
        indices = np.astype(indices, np.int64)
    if mode == "wrap":
        indices = np.remainder(indices, n)
    elif mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    return getitem(a, (slice(None),) * axis + (indices,))


@implements(np.take_along_axis, checks=True)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    if not hasattr(indices, "dtype"):
        raise DtypeError(f"indices must be an array of integers, not a {type(indices).__name__}")
    arr = plain(arr)
    arr = lift(arr, recording_of((arr, indices)))
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis(axis, arr.ndim)
    if np.ndim(indices) != arr.ndim:
        raise ShapeError("take_along_axis: indices must have as many dimensions as the array")
    shape = broadcast_shapes(
        *[tuple(1 if k == axis else n for k, n in enumerate(s)) for s in (arr.shape, indices.shape)]
    )
    full = tuple(indices.shape[axis] if k == axis else n for k, n in enumerate(shape))
    index: list[Any] = [structure.positions(arr, full, k) for k in range(arr.ndim)]
    index[axis] = np.broadcast_to(indices, full)
    base = tuple(arr.shape[axis] if k == axis else n for k, n in enumerate(shape))
    return getitem(structure.broadcast_to(arr, base), tuple(index))


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    if out is not None:
        refuse_keywords("np.compress", {"out": out})
    condition = constant(condition, "np.compress by a mask, which decides about the shape,")
    return take(a, np.flatnonzero(np.asarray(condition)), axis)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return compress(np.ravel(condition), np.ravel(arr))


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    arr = plain(arr)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis(axis, arr.ndim)
    obj = constant(obj, "np.delete at a traced place, which decides about the shape,")
    return take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    arr, values = plain(arr), plain(values)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis(axis, np.ndim(arr))
    n = np.shape(arr)[axis]
    obj = constant(obj, "np.insert at a traced place, which decides about the order,")
    obj = np.arange(n)[obj] if isinstance(obj, slice) else np.asarray(obj)
    obj = np.flatnonzero(obj) if obj.dtype.kind == "b" else obj.astype(int, copy=False)
    count = obj.size
    if count == 1:  # all the values go to this one place
        missing = max(np.ndim(arr) - np.ndim(values), 0)
        values = np.reshape(values, (1,) * missing + np.shape(values))
        values = values if obj.ndim else np.moveaxis(values, 0, axis)
        count = np.shape(values)[axis]
    marked = np.insert(np.arange(n), obj, np.arange(n, n + count))
    each = (*np.shape(arr)[:axis], count, *np.shape(arr)[axis + 1 :])
    values = np.astype(np.broadcast_to(values, each), arr.dtype)
    joined = np.concatenate([arr, values], axis)
    return take(joined, marked, axis)


# choosing ---------------------------------------------------------------------------------


@implements(np.where, checks=True)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        return nonzero(condition)
    condition, x, y = plain(condition), plain(x), plain(y)
    recording = recording_of((condition, x, y))
    dtype = common_dtype(x, y)
    shape = broadcast_shapes(np.shape(condition), np.shape(x), np.shape(y))
    mask = lift(condition, recording)
    mask = mask if mask.dtype.kind == "b" else mask != 0
    parts = [structure.broadcast_to(lift(v, recording, dtype), shape) for v in (x, y)]
    return structure.select(structure.broadcast_to(mask, shape), *parts)


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ShapeError(f"np.select: {len(condlist)} conditions, {len(choicelist)} choices")
    choices = [plain(choice) for choice in (*choicelist, default)]
    dtype = common_dtype(*choices)
    *choices, found = (np.astype(_array(choice), dtype) for choice in choices)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        found = np.where(condition, choice, found)
    return found


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    refuse("np.choose", out=out)
    n = len(choices)
    choices = [plain(choice) for choice in choices]
    a = lift(plain(a), recording_of((a, *choices)))
    if mode == "wrap":
        a = np.remainder(a, n)
    elif mode == "clip":
        a = np.clip(a, 0, n - 1)
    else:
        a = require(a, (a >= 0) & (a < n), "np.choose", f"a choice is not one of 0 to {n - 1}")
    found = np.where(a == n - 1, choices[-1], choices[-1])
    for k in range(n - 2, -1, -1):
        found = np.where(a == k, choices[k], found)
    return found


@implements(np.piecewise, checks=True)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Every piece is evaluated everywhere; only its own part is kept."""
    several = isinstance(condlist, (list, tuple)) or np.ndim(condlist) > 1
    conditions = list(condlist) if several else [condlist]
    if (several or np.ndim(condlist)) and not len(condlist):
        raise ShapeError("np.piecewise: no condition; NumPy looks at the first one")
    for condition in conditions:
        if np.shape(condition) not in ((), np.shape(x)):
            raise ShapeError(f"a condition of shape {np.shape(condition)} for {x.type}")
    pieces: list[Any] = []
    for f in funclist:
        if isinstance(f, (int, float)) and not isinstance(f, (Traced, np.generic)):
            try:
                np.zeros((), x.dtype)[...] = f  # what an array of this dtype holds
            except (OverflowError, ValueError) as error:
                raise DtypeError(
                    f"np.piecewise of {x.type} with the piece {f!r}: {error}"
                ) from None
        pieces.append(f(x, *args, **kw) if callable(f) else f)
    found: Any = pieces.pop() if len(pieces) > len(conditions) else 0
    for condition, piece in zip(conditions, pieces, strict=True):
        found = np.where(condition, piece, found)
    return np.astype(found, x.dtype)


# known positions --------------------------------------------------------------------------


@implements(np.nonzero)
def nonzero(a: Any) -> Any:
    return np.nonzero(known_value(a, "np.nonzero, whose result's length"))


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    return np.flatnonzero(known_value(a, "np.flatnonzero, whose result's length"))


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    return np.argwhere(known_value(a, "np.argwhere, whose result's length"))


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    if sorter is not None:
        refuse_keywords("np.searchsorted", {"sorter": sorter})
    a, v = plain(a), plain(v)
    recording, dtype = recording_of((a, v)), common_dtype(a, v)
    return rd.searchsorted(lift(a, recording, dtype), lift(v, recording, dtype), side=side)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    x, bins = plain(x), plain(bins)
    recording, dtype, n = recording_of((x, bins)), common_dtype(x, bins), np.size(bins)
    bins = lift(bins, recording, dtype)
    if n < 2:
        return searchsorted(bins, x, "left" if right else "right")
    rising, falling = np.all(bins[1:] >= bins[:-1]), np.all(bins[1:] <= bins[:-1])
    bins = require(
        bins, rising | falling, "np.digitize", "bins must be monotonically increasing or decreasing"
    )
    up = searchsorted(bins, x, "left" if right else "right")
    down = n - searchsorted(bins[::-1], x, "left" if right else "right")
    known = known_if_any(rising)
    if known is None:
        return np.where(rising, up, down)
    return up if known else down


@implements(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Piecewise linear; at a knot the slope of the piece to the right of it holds."""
    given = [plain(v) for v in (x, xp, fp)]
    x, xp, fp = (lift(v, recording_of(given), np.float64) for v in given)
    if period is not None:
        left = right = None
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    n = np.shape(xp)[0]
    if np.ndim(xp) != 1 or np.shape(fp) != np.shape(xp) or n == 0:
        raise ShapeError("np.interp takes xp and fp as vectors of one length, not empty")
    if n == 1:
        inside = fp[0] + np.zeros_like(x)
    else:
        k = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, n - 2)
        x0, x1, f0, f1 = (np.take(v, i) for v, i in ((xp, k), (xp, k + 1), (fp, k), (fp, k + 1)))
        gap = x1 - x0  # 0 only where the last places are equal
        slope = (f1 - f0) / np.where(gap == 0, 1, gap)
        inside = np.where(gap == 0, f1, f0 + slope * (x - x0))
        inside = np.where(np.isnan(x), x, inside)
    inside = np.where(x < xp[0], fp[0] if left is None else left, inside)
    return np.where(x > xp[-1], fp[-1] if right is None else right, inside)


def _array(v: Any) -> Any:
    v = plain(v)
    return v if hasattr(v, "dtype") else np.asarray(v)
