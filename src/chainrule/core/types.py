"""Array types: what is known of a value before it is computed, its shape and its dtype.

Promotion follows NumPy 2: Python numbers are weak (they take the dtype of the array beside
them), NumPy scalars are not. Broadcasting is a pure function of shapes.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, ShapeError

Shape = tuple[int, ...]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
DTYPES = (
    *FLOATS,
    *(np.dtype(f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    np.dtype(np.bool_),
)
DTYPE_NAMES = {dtype: dtype.name for dtype in DTYPES}  # NumPy makes the name anew each time


@dataclass(frozen=True, slots=True)
class ArrayType:
    """The type of an array: ``shape`` (a tuple of lengths) and ``dtype``.

    Supported dtypes are float32, float64, the signed and unsigned integers, and bool.
    """

    shape: Shape
    dtype: np.dtype[Any]
    is_float: bool = field(init=False, compare=False, repr=False)
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _lengths(self.shape))
        object.__setattr__(self, "dtype", _dtype(self.dtype))
        check_dtype(self.dtype)
        object.__setattr__(self, "is_float", self.dtype.kind == "f")
        object.__setattr__(self, "_hash", hash((self.shape, self.dtype)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return size_of(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        if not self.shape:
            return self.dtype.name
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"


def _lengths(shape: Any) -> Shape:
    try:
        lengths = tuple([operator.index(n) for n in shape])
    except TypeError:
        lengths = (-1,)
    if min(lengths, default=0) < 0:
        raise ShapeError(f"a shape is a tuple of lengths, such as (2, 3) or (), not {shape!r}")
    return lengths


def _dtype(dtype: Any) -> np.dtype[Any]:
    try:
        if dtype is not None:
            return np.dtype(dtype)
    except (TypeError, ValueError):
        pass
    raise DtypeError(f"{dtype!r} is no dtype: write np.float64, 'float32' or the like")


@dataclass(frozen=True, slots=True)
class TupleType:
    """The type of what several arrays result from at once (a loop); each has a node of its own.

    It is no array: what asks for its dtype has met the wrong node.
    """

    parts: tuple[ArrayType, ...]

    @property
    def is_float(self) -> bool:
        """Whether any part can carry a derivative."""
        return any(part.is_float for part in self.parts)

    @property
    def shape(self) -> Shape:
        return (len(self.parts),)

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def __str__(self) -> str:
        return f"tuple[{', '.join(map(str, self.parts)) or '()'}]"


@lru_cache(maxsize=4096)
def array_type(shape: Shape, dtype: np.dtype[Any]) -> ArrayType:
    """The interned ``ArrayType``: the same object for the same shape and dtype."""
    return ArrayType(shape, dtype)


def type_of(value: np.ndarray) -> ArrayType:
    return array_type(value.shape, value.dtype)


def check_dtype(dtype: np.dtype[Any], of: str = "") -> None:
    """Raise DtypeError, which says what ``of`` is, for a dtype that is not supported."""
    if dtype in DTYPES:
        return
    hint = {
        "c": "chainrule differentiates real numbers; split a complex value into its real and "
        "imaginary part",
        "f": "use float32 or float64, for example x.astype(np.float64)",
        "O": "an array of Python objects; build it with np.stack from arrays of numbers",
        "U": "text; turn it into numbers first",
        "S": "text; turn it into numbers first",
    }.get(dtype.kind, "use float32, float64, an integer dtype or bool")
    raise DtypeError(f"{of + ': ' if of else ''}dtype {dtype} is not supported: {hint}")


def refuse_subclass(x: Any, what: str) -> None:
    """Raise DtypeError for a masked array, an ``np.matrix`` or another subclass of arrays."""
    if issubclass(type(x), np.ndarray) and type(x) not in (np.ndarray, np.memmap):
        masked = isinstance(x, np.ma.MaskedArray)
        instead = "x.filled(0) or np.where(x.mask, 0, x.data)" if masked else "np.asarray(x)"
        raise DtypeError(
            f"{what} is a {type(x).__name__}, whose operators mean something else than an "
            f"array's; pass {instead}"
        )


def plain_array(x: Any, what: str) -> np.ndarray:
    """``x`` as an array; no array in a list of them may be masked either, or be a matrix.

    Raises:
        DtypeError: it is; NumPy would drop the mask without a word.
    """
    for part in (x, *x) if isinstance(x, (list, tuple)) else (x,):
        refuse_subclass(part, what)
    return np.asarray(x)


def size_of(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The common shape under NumPy's broadcasting.

    Raises:
        ShapeError: two lengths differ and neither is 1; the message shows all shapes.
    """
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    ndim = max(map(len, shapes))
    result = []
    for axis in range(-ndim, 0):
        lengths = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(lengths) > 1:
            listed = " and ".join(map(str, dict.fromkeys(shapes)))
            raise ShapeError(
                f"shapes {listed} do not broadcast: along axis {axis} the lengths are "
                f"{sorted(lengths)}; they must be equal or 1{_broadcast_hint(shapes)}"
            )
        result.append(lengths.pop() if lengths else 1)
    return tuple(result)


def _broadcast_hint(shapes: tuple[Shape, ...]) -> str:
    """What would make two shapes fit: a transpose, or an axis of length 1 in the other place."""
    if len(shapes) != 2:
        return ""
    a, b = sorted(shapes, key=len)
    if len(a) == len(b) == 2 and a == b[::-1]:
        return "; the transpose of one, x.T, would fit"
    if len(a) == 1 and len(b) >= 2 and a[0] == b[-2]:
        return f"; x[:, None], of shape ({a[0]}, 1), would fit instead of x"
    return ""


def normalize_axis(axis: Any, ndim: int, what: str = "axis") -> int:
    """A non-negative axis; raises ShapeError when it is outside ``-ndim .. ndim-1``."""
    try:
        index = axis.__index__()
    except AttributeError:
        raise ShapeError(f"{what} must be an integer, not {type(axis).__name__}") from None
    if not -ndim <= index < ndim:
        raise ShapeError(f"{what} {index} is out of bounds for an array of {ndim} dimensions")
    return index % ndim


def normalize_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """All axes for None, else the given ones, non-negative, in order and without repeats."""
    if axis is None:
        return tuple(range(ndim))
    given: Sequence[Any] = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(sorted(normalize_axis(a, ndim) for a in given))
    if len(set(axes)) != len(axes):
        raise ShapeError(f"axis {axis} names the same axis twice")
    return axes
