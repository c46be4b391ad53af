"""Traced values: what a function sees instead of arrays while it is being recorded.

A traced value answers NumPy's own protocols, so user code calls the real NumPy and SciPy. Its
operators, and methods that are functions of NumPy's, come from tables (``methods.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from chainrule.core import dispatch
from chainrule.core.dispatch import FUNCTIONS, call_ufunc
from chainrule.core.frames import users_line
from chainrule.core.methods import METHODS, power, written
from chainrule.core.types import ArrayType, Shape
from chainrule.core.unknown import escaped, unknown
from chainrule.errors import (
    ChainruleError,
    RecordingError,
    ShapeError,
)

if TYPE_CHECKING:
    from chainrule.core.node import Node
    from chainrule.core.recording import Recording


class Traced:
    """A node of a recording, with its value where that is known.

    It has the attributes, operators and methods of an array. What writes into it (``x[i] = v``,
    ``x += v``) gives it another node: nodes never change. ``alias`` says whose numbers it shares,
    as views do; where one of them was written to, ``node`` is empty until someone asks.
    ``weak`` is true of what would be a Python number without recording: it takes the dtype of
    the array beside it (NumPy 2's promotion). ``is_array`` is true of what would be an array even
    without axes, where NumPy's functions return scalars. ``body``: of which loop it was made in.
    """

    __slots__ = ("__weakref__", "alias", "body", "is_array", "node", "recording", "weak")
    alias: Any  # core knows only that there may be one; ``ops/inplace/memory.py`` has what it is

    def __init__(
        self, node: Node, recording: Recording, weak: bool = False, is_array: bool = False
    ) -> None:
        self.node = node
        self.recording = recording
        self.weak = weak
        self.is_array = is_array
        self.alias = None
        self.body = recording.body

    def __getattr__(self, name: str) -> Any:
        if name == "node":
            return FUNCTIONS["node"](self)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
        )

    def like(self, x: Any) -> Traced:
        """This value, weak if ``x`` is."""
        return Traced(self.node, self.recording, is_weak(x))

    def renamed(self) -> Traced:
        """Another name for this value: what is written to one is not seen by the other."""
        return Traced(self.node, self.recording, self.weak, self.is_array)

    def standing_for(self, x: Any) -> Traced:
        """This value in the place of the argument ``x``: with its kind of number or array."""
        return Traced(self.node, self.recording, is_weak(x), isinstance(x, np.ndarray))

    @property
    def __class__(self) -> Any:
        """What code that looks at types would see without recording, so that it takes the same
        branch: an array, a Python number, or a NumPy scalar. ``type(x)`` tells the truth."""
        type_ = self.type
        if self.is_array or type_.shape:
            return np.ndarray
        return _NUMBERS[type_.dtype.kind] if self.weak else type_.dtype.type

    def __hash__(self) -> int:
        dispatch.refuse_call(self)
        raise RecordingError(
            f"a traced {self.type} is not hashable ({users_line()}): what depends on it would "
            "have to be looked up by value. Use a list instead of a set, and np.where or "
            "np.take_along_axis instead of a dict"
        )

    if TYPE_CHECKING:  # set below the class, from tables

        def _operator(self, other: Any, /) -> Any: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _operator
        __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _operator
        __mod__ = __rmod__ = __matmul__ = __rmatmul__ = __rpow__ = _operator
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _operator
        __lt__ = __le__ = __gt__ = __ge__ = _operator

        def __eq__(self, other: Any, /) -> Any: ...
        def __ne__(self, other: Any, /) -> Any: ...
        def __neg__(self) -> Any: ...
        def __pos__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __invert__(self) -> Any: ...

    # What is known without computing ---------------------------------------------------
    @property
    def type(self) -> ArrayType:
        alias = self.alias
        return self.node.type if alias is None or alias.type is None else alias.type

    @property
    def shape(self) -> Shape:
        return (self.node.type if self.alias is None else self.type).shape

    @shape.setter
    def shape(self, value: Any) -> NoReturn:
        dispatch.refuse_mutation("assignment x.shape = value", "Write y = np.reshape(x, value)")

    @property
    def dtype(self) -> np.dtype[Any]:
        return (self.node.type if self.alias is None else self.type).dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return (self.node.type if self.alias is None else self.type).size

    @property
    def nbytes(self) -> int:
        return (self.node.type if self.alias is None else self.type).nbytes

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def strides(self) -> NoReturn:
        dispatch.refuse_call(self)
        dispatch.unsupported("x.strides")

    @property
    def flags(self) -> NoReturn:
        dispatch.refuse_call(self)
        dispatch.unsupported("x.flags")

    def __len__(self) -> int:
        if not self.shape:
            self._refuse_parts("len()")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            self._refuse_parts("iteration")
        return (self[i] for i in range(self.shape[0]))

    def _refuse_parts(self, wanted: str) -> NoReturn:
        raise RecordingError(
            f"{wanted} of a traced {self.type} ({users_line()}), a single number, which has no "
            "parts. Use the number itself, np.atleast_1d(x), or np.size(x) for how many there are"
        )

    # NumPy's protocols -----------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs or method != "__call__":
            return dispatch.array_ufunc(ufunc, method, inputs, kwargs)
        y = call_ufunc(ufunc, *inputs)
        if type(y) is Traced and (y.weak or y.is_array):  # NumPy's result is no Python number
            return y.like(None)
        return y

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return dispatch.array_function(function, args, kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return FUNCTIONS["namespace"](sys._getframe(1))

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        dispatch.refuse_conversion(self)

    # Values ------------------------------------------------------------------------------
    def __bool__(self) -> bool:
        value = known_value(self, "a branch (if, while, and, or, not)")
        if value.size != 1:
            raise ShapeError(
                f"the truth value of an array of shape {self.shape} is ambiguous "
                f"({users_line()}): use np.any(...) or np.all(...)"
            )
        return bool(value.reshape(()))

    def __float__(self) -> NoReturn:
        dispatch.refuse_number(
            self,
            "float()",
            "Keep the value as it is: np.sin(x) instead of math.sin(x), and np.stack of the parts "
            "instead of array[i] = x; to look at it, print it",
        )

    def __int__(self) -> NoReturn:
        dispatch.refuse_number(self, "int()", "Keep it an array of integers with np.astype(x, int)")

    def __complex__(self) -> NoReturn:
        dispatch.refuse_number(self, "complex()", "Keep the real and the imaginary part apart")

    def __index__(self) -> NoReturn:
        dispatch.refuse_number(
            self,
            "an index or count made",
            "Lengths and counts must be plain numbers (x.shape, len(x), a constant, an argument "
            "named by static_argnames=); to read an array at a traced place use "
            "np.take_along_axis, or make the array an argument",
        )

    def item(self, *args: Any) -> NoReturn:
        dispatch.refuse_number(self, ".item()", "Keep the value as it is; x[i] reads one entry")

    def tolist(self) -> NoReturn:
        dispatch.refuse_number(
            self, ".tolist()", "Keep the value as it is; list(x) lists its parts"
        )

    def __repr__(self) -> str:
        value = None if self.recording.closed else self.recording.values.get(self.node)
        known = f", value={np.array2string(value, threshold=20)}" if value is not None else ""
        return f"Traced({self.type}{known})"

    def __format__(self, spec: str) -> str:
        value = None if self.recording.closed else self.recording.values.get(self.node)
        if not spec or value is None:
            return repr(self)
        return format(value.item() if value.ndim == 0 else value, spec)

    def __copy__(self) -> Traced:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Traced:
        return self.copy()

    def __reduce__(self) -> NoReturn:
        dispatch.refuse_number(
            self, "pickling", "Return the value from the function and store it outside"
        )

    # Indexing ------------------------------------------------------------------------------
    def __getitem__(self, index: Any) -> Any:
        try:
            return FUNCTIONS["read"](self, index)
        except ChainruleError as error:
            dispatch.located(error, "x[...]", (self,))

    def __setitem__(self, index: Any, value: Any) -> None:
        dispatch.writing("x[...] = value", FUNCTIONS["assign"], self, index, value)

    def __delitem__(self, index: Any) -> NoReturn:
        dispatch.refuse_mutation("del x[...]", "Take what stays: np.delete(x, index)")

    def __contains__(self, item: Any) -> bool:
        if not self.shape and not self.is_array:
            self._refuse_parts("in")
        return bool(np.any(self == item))

    # Operators -------------------------------------------------------------------------------
    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        if modulo is not None:
            raise RecordingError(
                f"pow() with three arguments ({users_line()}) is not defined for arrays: write "
                "np.remainder(x**y, z)"
            )
        bools = self.dtype.kind == "b" and (self.shape or self.is_array)
        if bools and type(other) is int and other == 2:  # NumPy squares them, in int8
            return call_ufunc(np.square, self)
        return power(self, other)

    def __round__(self, ndigits: int | None = None) -> Any:
        """Of a number, Python's rounding: to an integer, or by the decimal digits."""
        if self.shape or self.is_array:
            raise RecordingError(
                f"round() of a traced {self.type} ({users_line()}): NumPy has it of single numbers "
                f"only. Write np.round(x, {ndigits or 0})"
            )
        if self.weak or ndigits is None:
            return FUNCTIONS["round"](self, ndigits)
        return np.round(self, ndigits)  # type: ignore[call-overload]

    def __floor__(self) -> Any:
        return self._integer(np.floor)

    def __ceil__(self) -> Any:
        return self._integer(np.ceil)

    def __trunc__(self) -> Any:
        return self._integer(np.trunc)

    def _integer(self, ufunc: Any) -> Any:
        """``math.floor`` and its like: an integer, as Python makes of a number."""
        if self.shape or self.is_array:
            dispatch.refuse_number(self, "an integer", "Write np.floor(x), np.ceil(x)")
        return FUNCTIONS["round"](call_ufunc(ufunc, self), None)

    def is_integer(self) -> bool:
        return bool(self == np.rint(self))  # type: ignore[call-overload]

    # Methods with a meaning of their own --------------------------------------------------------
    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: str = "unsafe",
        subok: bool = True,
        copy: bool = True,
    ) -> Any:
        if not copy and self.dtype == dtype:
            return self
        return dispatch.array_function(np.astype, (self, dtype), {})

    def copy(self, order: str = "C") -> Traced:
        """A name of its own for the same value, with its numbers in memory in this order."""
        return FUNCTIONS["copied"](self, order)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return np.compress(condition, self, axis, out)  # type: ignore[call-overload]

    def flatten(self, order: str = "C") -> Any:
        return np.ravel(self, order=order).copy()  # type: ignore[call-overload]

    def reshape(self, *shape: Any, **keywords: Any) -> Any:
        if not shape:
            raise ShapeError("x.reshape takes a shape: x.reshape(()) of a single number")
        if len(shape) == 1 and not isinstance(shape[0], int):
            (shape,) = shape
        return dispatch.array_function(np.reshape, (self, shape), keywords)

    def transpose(self, *axes: Any) -> Any:
        if len(axes) == 1 and not isinstance(axes[0], int):
            (axes,) = axes
        elif not axes:
            axes = None  # type: ignore[assignment]
        return np.transpose(self, axes)  # type: ignore[call-overload]

    @property
    def T(self) -> Any:
        return np.transpose(self)  # type: ignore[call-overload]

    @property
    def mT(self) -> Any:
        if self.ndim < 2:
            raise ShapeError(f"x.mT of a traced {self.type} ({users_line()}), which is no matrix")
        return np.swapaxes(self, -1, -2)  # type: ignore[call-overload]

    @property
    def flat(self) -> Any:
        return FUNCTIONS["flat"](self)

    @flat.setter
    def flat(self, value: Any) -> None:
        dispatch.writing("x.flat = value", FUNCTIONS["x.flat"], self, value)

    @property
    def real(self) -> Traced:
        return self

    @property
    def imag(self) -> Any:
        return np.zeros_like(self)  # type: ignore[call-overload]

    def conj(self, out: None = None) -> Traced:
        if out is not None:
            dispatch.refuse_mutation("x.conj(out)", "Write out[...] = x")
        return self

    conjugate = conj


_NUMBERS = {"f": float, "i": int, "u": int, "b": bool}


def is_weak(x: Any) -> bool:
    """Whether ``x`` is, or stands for, a Python number."""
    return x.weak if isinstance(x, Traced) else type(x) in (float, int)


def known_value(x: Traced, wanted: str) -> np.ndarray:
    """The number behind a traced value, or an error that teaches why there is none."""
    if x.recording.closed:
        raise escaped()
    x.recording.branched |= not x.node.is_constant
    value = x.recording.value(x.node)
    if value is None:
        raise unknown(x, wanted)
    return value


for _name, _made in METHODS.items():
    setattr(Traced, _name, _made)
for _name in ("astype", "compress", "copy", "flatten", "reshape", "transpose"):
    setattr(Traced, _name, written(_name, getattr(Traced, _name)))
