"""Numbers and arrays as text: as many digits as asked for, and never more than are right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

DIGITS = {np.dtype(np.float32): 7, np.dtype(np.float64): 15}
"""Decimal digits that a float of this type carries; one more would be noise."""

MOST_SHOWN = 6


def number_text(value: Any, precision: int = 10) -> str:
    """``value`` with ``precision`` significant digits, trailing zeros dropped.

    >>> number_text(-0.76492056284)
    '−0.7649205628'
    """
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return str(bool(array))
    if array.dtype.kind in "iu":
        return str(int(array)).replace("-", "−")
    x = float(array)
    if x != x:
        return "NaN"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    digits = min(precision, DIGITS.get(array.dtype, 15))
    shown = f"{x:.{digits}g}"
    mantissa, e, exponent = shown.partition("e")
    if e:
        shown = f"{mantissa}e{int(exponent)}"
    if shown in ("0", "-0"):
        shown = "0"
    return shown.replace("-", "−")


def array_text(value: np.ndarray, precision: int = 10, most: int = MOST_SHOWN) -> str:
    """A number as it is; a small array in full, a large one by its shape and range."""
    if value.ndim == 0:
        return number_text(value, precision)
    if value.size == 0:
        return f"empty {shape_text(value.shape)}"
    if value.size <= most:
        return _nested(value, min(precision, 6))
    if value.dtype.kind not in "fiu":
        return f"{shape_text(value.shape)} of {value.dtype}"
    low, high = number_text(np.min(value), 4), number_text(np.max(value), 4)
    return f"{shape_text(value.shape)} from {low} to {high}"


def shape_text(shape: tuple[int, ...]) -> str:
    """``(64, 32)`` as 64×32; a vector's length with its kind."""
    if len(shape) == 1:
        return f"vector of {shape[0]}"
    return "×".join(map(str, shape)) if shape else "number"


def _nested(value: np.ndarray, precision: int) -> str:
    if value.ndim == 0:
        return number_text(value, precision)
    return "[" + ", ".join(_nested(x, precision) for x in value) + "]"
