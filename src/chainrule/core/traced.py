"""Traced values: what a function sees instead of arrays while it is being recorded.

A traced value answers NumPy's own protocols, so user code calls the real NumPy and SciPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from chainrule.core import dispatch
from chainrule.core.dispatch import FUNCTIONS, call_ufunc
from chainrule.core.types import ArrayType, Shape
from chainrule.errors import RecordingError, ShapeError

if TYPE_CHECKING:
    from chainrule.core.graph import Node
    from chainrule.core.recording import Recording


class Traced:
    """A node of a recording, with its value where that is known.

    It has the attributes, operators and methods of an array; none of them changes it.
    """

    __slots__ = ("node", "recording")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, node: Node, recording: Recording) -> None:
        self.node = node
        self.recording = recording

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
        return self.node.type

    @property
    def shape(self) -> Shape:
        return self.node.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.node.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.node.type.shape)

    @property
    def size(self) -> int:
        return self.node.type.size

    @property
    def nbytes(self) -> int:
        return self.node.type.nbytes

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a traced value of shape (): it is a single number")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("cannot iterate over a traced value of shape ()")
        return (self[i] for i in range(self.shape[0]))

    # NumPy's protocols -----------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return dispatch.array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return dispatch.array_function(function, args, kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        from chainrule.core import namespace

        return namespace

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RecordingError(
            f"a traced {self.type} cannot become a NumPy array ({dispatch._line()}): its values "
            "are still being recorded. Use np.stack([...]) or np.concatenate([...]) instead of "
            "np.array([...]); keep np.* functions on traced values; instead of "
            "scipy.special.softmax, log_softmax and logsumexp call cr.nn.softmax, "
            "cr.nn.log_softmax and cr.nn.logsumexp; an assignment array[i] = x into an ordinary "
            "array cannot be recorded"
        )

    # Values ------------------------------------------------------------------------------
    def __bool__(self) -> bool:
        from chainrule.core.recording import known_value

        value = known_value(self, "a branch (if, while, and, or, not)")
        if value.size != 1:
            raise ShapeError(
                f"the truth value of an array of shape {self.shape} is ambiguous "
                f"({dispatch._line()}): use np.any(...) or np.all(...)"
            )
        return bool(value.reshape(()))

    def _no_number(self, wanted: str) -> NoReturn:
        raise RecordingError(
            f"{wanted} of a traced {self.type} ({dispatch._line()}): a Python number would carry "
            "no derivative. Keep the value as it is and use np.sin instead of math.sin, "
            "np.astype(x, int) instead of int(x); to look at it, print it"
        )

    def __float__(self) -> NoReturn:
        self._no_number("float()")

    def __int__(self) -> NoReturn:
        self._no_number("int()")

    def __complex__(self) -> NoReturn:
        self._no_number("complex()")

    def __index__(self) -> NoReturn:
        self._no_number("an index or count made")

    def item(self, *args: Any) -> NoReturn:
        self._no_number(".item()")

    def tolist(self) -> NoReturn:
        self._no_number(".tolist()")

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
        return self

    def __deepcopy__(self, memo: Any) -> Traced:
        return self

    def __reduce__(self) -> NoReturn:
        self._no_number("pickling")

    # Indexing ------------------------------------------------------------------------------
    def __getitem__(self, index: Any) -> Any:
        return FUNCTIONS["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        dispatch.refuse_mutation("assignment x[...] = value")

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(self == item))

    # Operators -------------------------------------------------------------------------------
    def __divmod__(self, other: Any) -> Any:
        return call_ufunc(np.floor_divide, self, other), call_ufunc(np.remainder, self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return call_ufunc(np.floor_divide, other, self), call_ufunc(np.remainder, other, self)

    def __pow__(self, other: Any, modulo: None = None) -> Any:
        if modulo is not None:
            raise RecordingError("pow() with three arguments is not defined for arrays")
        return call_ufunc(np.power, self, other)

    def __round__(self, ndigits: int = 0) -> Any:
        return np.round(self, ndigits)  # type: ignore[call-overload]

    # Methods with a meaning of their own --------------------------------------------------------
    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", copy: bool = True
    ) -> Any:
        return FUNCTIONS[np.astype](self, dtype)

    def copy(self, order: str = "C") -> Traced:
        return self

    def flatten(self, order: str = "C") -> Any:
        return np.ravel(self, order=order)  # type: ignore[call-overload]

    def reshape(self, *shape: Any, **keywords: Any) -> Any:
        if len(shape) == 1 and not isinstance(shape[0], int):
            (shape,) = shape
        return FUNCTIONS[np.reshape](self, shape, **keywords)

    def transpose(self, *axes: Any) -> Any:
        if len(axes) == 1 and not isinstance(axes[0], int):
            (axes,) = axes
        return np.transpose(self, axes or None)  # type: ignore[call-overload]

    @property
    def T(self) -> Any:
        return np.transpose(self)  # type: ignore[call-overload]

    @property
    def mT(self) -> Any:
        return np.swapaxes(self, -1, -2)  # type: ignore[call-overload]

    @property
    def flat(self) -> Iterator[Any]:
        return iter(np.ravel(self))  # type: ignore[call-overload]

    @property
    def real(self) -> Traced:
        return self

    @property
    def imag(self) -> Any:
        return np.zeros_like(self)  # type: ignore[call-overload]

    def conj(self) -> Traced:
        return self

    conjugate = conj


_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}
_COMPARISONS = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
_UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}
_METHODS = {
    name: getattr(np, name)
    for name in [
        "all",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "choose",
        "clip",
        "compress",
        "cumprod",
        "cumsum",
        "diagonal",
        "dot",
        "max",
        "mean",
        "min",
        "nonzero",
        "prod",
        "ravel",
        "repeat",
        "round",
        "searchsorted",
        "squeeze",
        "std",
        "sum",
        "swapaxes",
        "take",
        "trace",
        "var",
    ]
}
_IN_PLACE = ("sort", "partition", "fill", "put", "resize", "itemset", "setfield", "byteswap")


def _binary(ufunc: Any) -> Any:
    return lambda self, other: call_ufunc(ufunc, self, other)


def _reflected(ufunc: Any) -> Any:
    return lambda self, other: call_ufunc(ufunc, other, self)


def _unary(ufunc: Any) -> Any:
    return lambda self: call_ufunc(ufunc, self)


def _method(function: Any) -> Any:
    return lambda self, *args, **kwargs: dispatch.array_function(function, (self, *args), kwargs)


def _in_place(name: str) -> Any:
    return lambda self, *args, **kwargs: dispatch.refuse_mutation(f"x.{name}(...)")


for _name, _ufunc in _BINARY.items():
    setattr(Traced, f"__{_name}__", _binary(_ufunc))
    setattr(Traced, f"__r{_name}__", _reflected(_ufunc))
for _name, _ufunc in _COMPARISONS.items():
    setattr(Traced, f"__{_name}__", _binary(_ufunc))
for _name, _ufunc in _UNARY.items():
    setattr(Traced, f"__{_name}__", _unary(_ufunc))
for _name, _function in _METHODS.items():
    setattr(Traced, _name, _method(_function))
for _name in _IN_PLACE:
    setattr(Traced, _name, _in_place(_name))
Traced.__rpow__ = _reflected(np.power)  # type: ignore[attr-defined]
Traced.__hash__ = None  # type: ignore[assignment]
