"""What a traced mask chooses, ``x[mask]``, where nobody knows yet how many entries that are.

It has no shape, but it can be computed with entry by entry and written back by the same mask:
``x[mask] += v``, ``x[:, mask] = np.sqrt(y[:, mask])``. All are computed; the mask chooses last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from chainrule.core.frames import users_line
from chainrule.core.traced import Traced
from chainrule.core.types import Shape
from chainrule.errors import ChainruleError, IndexingError, UnknownValueError
from chainrule.ops import structure
from chainrule.ops.coerce import lift


class Chosen(NamedTuple):
    """What an index with one mask of whole axes chooses. ``index`` chooses all along those axes,
    which begin there at axis ``at`` and belong at ``to``: NumPy may move them to the front."""

    index: tuple[Any, ...]
    mask: Any
    at: int
    to: int

    def moved(self, whole: Traced) -> Traced:
        """What ``index`` reads, with the mask's axes where they belong."""
        return self._moved(whole, self.at, self.to)

    def back(self, whole: Traced) -> Traced:
        return self._moved(whole, self.to, self.at)

    def _moved(self, whole: Traced, source: int, target: int) -> Traced:
        own = range(source, source + self.mask.ndim)
        order = [axis for axis in range(whole.ndim) if axis not in own]
        order[target:target] = own
        return structure.transpose(whole, tuple(order))

    def rest(self, whole: Traced) -> int:
        """How many axes come after the mask's."""
        return whole.ndim - self.to - self.mask.ndim

    def select(self, part: Traced, old: Traced) -> Traced:
        """``part`` where the mask holds, else ``old``; both moved."""
        axes = tuple(range(self.to, self.to + self.mask.ndim))
        mask = structure.broadcast_in(lift(self.mask, old.recording), old.shape, axes)
        return structure.select(mask, part, old)


def is_unknown(item: Any) -> bool:
    """Whether an item of an index is a mask of axes that nobody knows yet."""
    traced = type(item) is Traced and item.dtype.kind == "b" and item.ndim > 0
    return traced and item.recording.value(item.node) is None


def chosen_by(index: Any, shape: Shape) -> Chosen | None:
    """What an index chooses of an array of this shape by a mask that nobody knows yet; None where
    there is none in it.

    Raises:
        IndexingError: the mask does not fit.
        UnknownValueError: NumPy would pair what it chooses with another index, entry by entry.
    """
    items = list(index) if type(index) is tuple else [index]
    places = [k for k, item in enumerate(items) if is_unknown(item)]
    if not places:
        return None
    (place, *more), mask = places, items[places[0]]
    for k, item in enumerate(items):
        if k != place and (more or isinstance(item, bool) or np.ndim(item) > 0):
            if more or np.size(item) != 1 or isinstance(item, bool) or _dtype(item).kind == "b":
                raise _paired(more)
            items[k] = np.reshape(item, ())  # it goes with any number of entries
    taken = [mask.ndim if k == place else 1 - (x is None or x is ...) for k, x in enumerate(items)]
    fill = len(shape) - sum(taken)
    first = sum(fill if x is ... else n for x, n in zip(items[:place], taken, strict=False))
    if fill < 0 or mask.shape != shape[first : first + mask.ndim]:
        raise IndexingError(f"a mask of shape {mask.shape} does not fit at axis {first} of {shape}")
    # NumPy says where the axes go: along the mask's first, and no other, there are so many entries
    many = len(shape) + 2
    lengths = [*range(2, first + 2), many, *[1] * (mask.ndim - 1), *range(first + 2, many)]
    stands = np.broadcast_to(0, lengths[: len(shape)])
    whole = [slice(None)] * mask.ndim
    shown = [x if x is None or x is ... else slice(None) if type(x) is slice else 0 for x in items]
    by_mask = [*shown[:place], np.ones((many, *[1] * (mask.ndim - 1)), bool), *shown[place + 1 :]]
    by_axes = [*shown[:place], *whole, *shown[place + 1 :]]
    at, to = (stands[tuple(each)].shape.index(many) for each in (by_axes, by_mask))
    return Chosen((*items[:place], *whole, *items[place + 1 :]), mask, at, to)


def _dtype(item: Any) -> Any:
    return item.dtype if hasattr(item, "dtype") else np.asarray(item).dtype


def _paired(masks: Sequence[int]) -> UnknownValueError:
    write = (
        "for the rows of one and the columns of the other make one mask of both, "
        "x[rows[:, None] & columns]"
        if masks
        else "take one place after another, x[mask, 0], or make one mask of both axes, "
        "x[mask[:, None] & np.isin(np.arange(n), places)]"
    )
    return UnknownValueError(
        f"x[mask] with {'another mask' if masks else 'an array'} beside it "
        f"({users_line()}): NumPy pairs what both choose, entry by entry, and how many a traced "
        f"mask chooses is not known while the function is recorded. For all pairs {write}; "
        "np.where(mask, a, b) chooses without counting"
    )


def spread_out(x: Any, mask: Any, rest: int) -> Any:
    """What goes with the entries that a mask chooses, ``rest`` axes before the last, as what goes
    with all of them; None where their number matters."""
    if type(x) is Masked:
        return x.whole if x.mask.node is getattr(mask, "node", None) and x.rest == rest else None
    n = np.ndim(x)
    if n <= rest:
        return x
    shape, at = np.shape(x), n - rest - 1
    if shape[at] != 1:
        return None
    return np.reshape(x, (*shape[:at], *[1] * mask.ndim, *shape[at + 1 :]))


class Masked(NDArrayOperatorsMixin, Traced):
    """``whole`` where ``mask`` holds, which has the axes before the last ``rest``. What needs to
    know how many entries there are raises ``refusal``, the error of reading them."""

    __slots__ = ("mask", "refusal", "rest", "whole")

    def __init__(self, whole: Traced, mask: Traced, rest: int, refusal: ChainruleError) -> None:
        self.whole, self.mask, self.rest, self.refusal = whole, mask, rest, refusal
        self.recording, self.body, self.alias = whole.recording, whole.body, None
        self.weak, self.is_array = False, True

    def __getattr__(self, name: str) -> Any:
        if name == "node":  # it has none: whoever asks wants an array
            raise self.refusal
        return super().__getattr__(name)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        out = keywords.pop("out", None)
        if method != "__call__" or keywords or ufunc.signature or ufunc.nout != 1:
            raise self.refusal
        wholes = [spread_out(x, self.mask, self.rest) for x in inputs]
        if any(x is None for x in wholes):
            raise self.refusal
        if out is None:
            return Masked(ufunc(*wholes), self.mask, self.rest, self.refusal)
        (target,) = out
        if type(target) is not Masked:
            raise self.refusal
        whole = target.whole.copy()
        ufunc(*wholes, out=whole)
        target.whole = whole
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        raise self.refusal
