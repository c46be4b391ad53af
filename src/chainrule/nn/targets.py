"""Targets checked and brought into the form a loss takes, before anything is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.types import plain_array
from chainrule.errors import DataError


def numbers(
    targets: Any,
    outputs: int,
    dtype: Any,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    allowed: tuple[float, ...] = (),
    what: str = "a finite number",
) -> np.ndarray:
    """Targets as an array (n, outputs) of ``dtype``.

    Raises:
        DataError: they have another shape, are not numbers, or one of them is not finite,
            outside [low, high] or not among ``allowed``; the message names its row.
    """
    array = plain_array(targets, "targets")
    if array.dtype.kind not in "fiub":
        raise DataError(f"targets must be numbers, not {array.dtype}")
    if array.ndim == 1 and outputs == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != outputs:
        fits = f"(n, {outputs})" + (" or (n,)" if outputs == 1 else "")
        raise DataError(f"targets have shape {np.shape(targets)}; {outputs} outputs need {fits}")
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    good = np.isfinite(array) & (array >= low) & (array <= high)
    if allowed:
        good &= np.isin(array, allowed)
    _refuse(good, array, what)
    return array


def classes_or_probabilities(
    targets: Any, outputs: int, dtype: Any, *, one_hot: bool = False
) -> np.ndarray:
    """Integer classes (n,), or rows of probabilities (n, outputs) of ``dtype``.

    With ``one_hot`` rows may hold zeros and a single one only.

    Raises:
        DataError: a class outside 0 .. outputs-1, or a row that is no distribution; the
            message names the row.
    """
    array = plain_array(targets, "targets")
    if array.dtype.kind not in "fiub":
        raise DataError(f"targets must be integer classes or probabilities, not {array.dtype}")
    if array.ndim == 2 and array.shape[1] == outputs and outputs > 1:
        return _probabilities(array.astype(dtype), one_hot)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"targets have shape {np.shape(targets)}; {outputs} outputs need integer classes (n,) "
            f"or probabilities (n, {outputs})"
        )
    if array.dtype.kind == "f":
        raise DataError(
            f"classes must be integers 0 .. {outputs - 1}, not {array.dtype}; if they are whole "
            "numbers, write targets.astype(int)"
        )
    array = array.astype(np.int64)
    _refuse((array >= 0) & (array < outputs), array, f"a class 0 .. {outputs - 1}")
    return array


def any_numbers(targets: Any, dtype: Any) -> np.ndarray:
    """Finite numbers of any shape; floats become ``dtype``, integers stay integers."""
    array = plain_array(targets, "targets")
    if array.dtype.kind not in "fiub" or not array.ndim:
        raise DataError(f"targets must be an array of numbers, not {array.dtype} {array.shape}")
    if array.dtype.kind == "f":
        array = array.astype(dtype)
        _refuse(np.isfinite(array), array, "a finite number")
    return array


def _probabilities(array: np.ndarray, one_hot: bool) -> np.ndarray:
    good = np.isfinite(array) & (array >= 0) & (array <= 1)
    if one_hot:
        good &= (array == 0) | (array == 1)
    _refuse(good, array, "0 or 1" if one_hot else "a probability")
    sums = array.sum(axis=1)
    # Rounding of a user's own softmax in float32 must pass; counts or scores must not.
    off = np.flatnonzero(np.abs(sums - 1) > 1e-3)
    if off.size:
        row = int(off[0])
        raise DataError(f"targets[{row}] sums to {sums[row]:g}; probabilities sum to 1")
    return array


def _refuse(good: np.ndarray, array: np.ndarray, what: str) -> None:
    if good.all():
        return
    place = tuple(int(i) for i in np.argwhere(~good)[0])
    shown = place[:1] if array.ndim == 2 and array.shape[1] == 1 else place
    listed = ", ".join(map(str, shown))
    more = int((~good).sum()) - 1
    others = f" ({more} more like it)" if more else ""
    raise DataError(f"targets[{listed}] is {array[place]}; it must be {what}{others}")
