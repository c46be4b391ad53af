"""The arrays that functions are tried on, and the values of keywords by their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Shape = tuple[int, ...]
DTYPES = ("float64", "float32", "int64", "int8", "uint8", "bool")
MIXED = (
    ("float64", "float32"),
    ("float32", "int64"),
    ("float64", "int8"),
    ("int8", "uint8"),
    ("int64", "bool"),
    ("bool", "float32"),
    ("float32", "py"),
    ("int8", "py"),
    ("py", "float64"),
    ("bool", "py"),
)
"""The dtypes of two arguments that differ; ``py`` is a Python number."""


@dataclass(frozen=True)
class Operand:
    """An array: its shape, its dtype, and which numbers are in it.

    ``plain``: small numbers of both signs, some equal, a zero. ``special``: NaN, infinities and
    negative zero among them; for integers the least and the largest. ``matrix``: well conditioned.
    """

    shape: Shape
    dtype: str
    flavour: str = "plain"

    def value(self, place: int = 0) -> Any:
        return (1.5, 2, -0.5)[place % 3] if self.dtype == "py" else _array(self, place)

    def __str__(self) -> str:
        if self.dtype == "py":
            return "a Python number"
        extra = "" if self.flavour == "plain" else f" {self.flavour}"
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]{extra}"


_PLAIN = [1.5, -2.0, 0.0, 3.0, -0.5, 1.5, 2.0, -3.0, 0.25, 1.0, 4.0]
_SPECIAL = [np.nan, 1.5, -0.0, np.inf, -1.0, 0.0, -np.inf, 2.5, np.nan]


@cache  # the same few for every function
def _array(operand: Operand, place: int) -> np.ndarray:
    size = int(np.prod(operand.shape))
    dtype = np.dtype(operand.dtype)
    if operand.flavour == "matrix":
        rng = np.random.Generator(np.random.Philox(size + place))
        found = rng.integers(-3, 4, operand.shape).astype(float)
        if len(operand.shape) > 1 and operand.shape[-1] == operand.shape[-2]:
            found = (found + np.swapaxes(found, -1, -2)) / 2 + 8 * np.eye(operand.shape[-1])
    else:
        numbers = _SPECIAL if operand.flavour == "special" else _PLAIN
        found = np.resize(np.roll(numbers, -3 * place), size).reshape(operand.shape)
        if operand.flavour == "increasing":
            found = np.sort(found.ravel()).reshape(operand.shape)
    with np.errstate(all="ignore"):
        if dtype.kind == "f":
            found = found.astype(dtype)
        elif dtype.kind == "b":
            found = np.nan_to_num(found, posinf=1, neginf=1) > 0
        else:
            limits = np.iinfo(dtype)
            if operand.flavour == "special":
                found = np.nan_to_num(found, nan=7, posinf=0, neginf=0)
                ends = np.resize(
                    [limits.max, 0, 1, limits.min, 3, -1 if dtype.kind == "i" else 2], size
                )
                found = np.roll(ends, place).reshape(operand.shape).astype(dtype)
            else:
                found = np.floor(found) if dtype.kind == "i" else np.floor(np.abs(found))
                found = found.astype(dtype)
    found = np.asarray(found)  # without axes some functions give scalars
    found.flags.writeable = False
    return found


class Mask:
    """``where=``: a mask for the shape of the first array."""

    def __init__(self, along: str) -> None:
        self.along = along

    def __call__(self, shape: Shape) -> np.ndarray:
        shape = shape[-1:] if self.along == "last" else shape
        return np.resize([True, False, True, True], int(np.prod(shape))).reshape(shape)

    def __repr__(self) -> str:
        return f"a mask of {'the last axis' if self.along == 'last' else 'all'}"


class Out:
    """``out=``: an array to write to, which is refused whatever its shape. It always has an axis:
    NumPy 2.4 crashes at ``np.cumsum(np.array(1.0), out=np.zeros(()))``."""

    def __call__(self, shape: Shape) -> np.ndarray:
        return np.zeros(shape or 1)

    def __repr__(self) -> str:
        return "an array"


AXIS = [None, 0, 1, -1, (0,), (0, -1), (1, 0), (), 2, -4, 1.0, np.int64(0), (0, 0)]
KEYWORDS: dict[str, list[Any]] = {
    "axis": AXIS,
    "out": [None, Out()],
    "dtype": [None, "float64", "float32", "int64", "int8", "bool", float, "complex128"],
    "keepdims": [False, True, 1],
    "initial": [0, 1.5, 2, np.nan, None],
    "where": [True, Mask("all"), Mask("last"), False],
    "order": [None, "C", "F", "A", "K", "x"],
    "kind": [None, "quicksort", "stable", "x"],
    "stable": [None, True, False],
    "casting": ["same_kind", "safe", "no", "unsafe", "x"],
    "subok": [True, False],
    "copy": [True, False, None],
    "device": [None, "cpu", "x"],
    "ddof": [0, 1, 5, 0.5],
    "correction": [0, 1, 5, 0.5],
    "mean": [0.5],
    "overwrite_input": [False, True],
    "interpolation": [None, "linear"],
    "offset": [0, 1, -1, 9, 1.0],
    "k": [0, 1, -1, 9, 1.0],
    "axis1": [0, 1, -1, 5],
    "axis2": [1, 0, -1, 5],
    "equal_nan": [False, True],
    "rtol": [1e-5, 0.5],
    "atol": [1e-8, 1.0, np.inf],
    "signature": [None, "d->d", "dd->d"],
    "axes": [],
    "method": [
        "linear",
        "lower",
        "higher",
        "nearest",
        "midpoint",
        "inverted_cdf",
        "averaged_inverted_cdf",
        "closest_observation",
        "interpolated_inverted_cdf",
        "hazen",
        "weibull",
        "median_unbiased",
        "normal_unbiased",
        "x",
    ],
    "include_initial": [False, True],
    "shape": [None, (2, 2), 3, -1, (2.0,), ()],
}
"""Values for each name of a keyword; a row may give others."""
