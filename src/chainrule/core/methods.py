"""Operators and methods of traced arrays that are functions of NumPy's, made from tables.

What has a meaning of its own stands in ``traced.py``.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from chainrule.core import dispatch
from chainrule.core.dispatch import FUNCTIONS, call_ufunc
from chainrule.core.frames import users_line
from chainrule.errors import ChainruleError, RecordingError

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
_WITH_POWER = {**_BINARY, "pow": np.power}  # x**n has a method of its own
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
        "argpartition",
        "argsort",
        "choose",
        "clip",
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
_COMMON = {"axis", "dtype", "keepdims", "initial", "where", "ddof", "mode", "offset"}
_MEMORY = ("view", "tobytes", "tofile", "dump", "dumps", "getfield", "setflags", "to_device")
_IN_PLACE = ("sort", "partition", "fill", "put")
_RESHAPED = ("resize", "setfield", "byteswap")


def _binary(ufunc: Any, reflected: bool = False) -> Any:
    def operator(self: Any, other: Any) -> Any:
        kind = type(other)
        if kind is list or kind is tuple:
            _check_sequence(ufunc, self, other)
        y = call_ufunc(ufunc, other, self) if reflected else call_ufunc(ufunc, self, other)
        return _as_weak(y, self, other)

    return operator


def _as_weak(y: Any, x: Any, other: Any) -> Any:
    """A result of ``x`` and ``other``: a Python number where both are, or stand for one."""
    if y is x or y is other:
        return y.like(other if x.weak else None)
    if x.weak:
        kind = type(other)
        y.weak = kind is float or kind is int or (kind is type(x) and other.weak)
    return y


power = _binary(np.power)


def _check_sequence(ufunc: Any, x: Any, sequence: Any) -> None:
    """Refuse a list beside a number where Python repeats the list, or has no meaning for it."""
    number = not (x.shape or x.is_array) and (x.weak or ufunc is np.multiply)
    if number and ufunc not in _COMPARISONS.values():
        kind = type(sequence).__name__
        raise RecordingError(
            f"a traced {x.type} and a {kind} with an operator ({users_line()}): Python's numbers "
            f"do not compute with a {kind}. Write np.{ufunc.__name__}(x, cr.array([...])) for its "
            "entries; to repeat a list, use a plain number"
        )


def _unary(ufunc: Any) -> Any:
    def operator(self: Any) -> Any:
        return _as_weak(call_ufunc(ufunc, self), self, self)

    return operator


def _method(name: str, function: Any) -> Any:
    """The method ``name``, which is ``function`` of NumPy; where the method takes less than that
    (keywords), NumPy's own is asked."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not kwargs.keys() <= _COMMON:
            _ask(name, self, args, kwargs)
        return dispatch.array_function(function, (self, *args), kwargs)

    return method


def written(name: str, ours: Any) -> Any:
    """A method written here, by its name in errors; NumPy's own is asked about what is no shape
    or dtype."""

    @functools.wraps(ours)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs or any(isinstance(x, str) for x in args):
            _ask(name, self, args, kwargs)
        try:
            return ours(self, *args, **kwargs)
        except ChainruleError as error:
            dispatch.located(error, f"x.{name}", (self,))

    return method


def _ask(name: str, x: Any, args: Any, kwargs: Any) -> None:
    if not x.weak:
        dispatch.ask(getattr(np.ndarray, name), f"x.{name}", (x, *args), kwargs)


def _in_place(ufunc: Any) -> Any:
    def operator(self: Any, other: Any) -> Any:
        if not (self.is_array or self.shape):
            return NotImplemented  # a number: the name gets another
        return dispatch.writing(f"np.{ufunc.__name__}", FUNCTIONS["in_place"], ufunc, self, other)

    return operator


def _writing(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> None:
        dispatch.writing(f"x.{name}", FUNCTIONS[f"x.{name}"], self, *args, **kwargs)

    return method


def _reshaped(name: str) -> Any:
    return lambda self, *args, **kwargs: dispatch.refuse_mutation(
        f"x.{name}(...)", "Make another array: np.resize(x, shape)"
    )


def _memory(name: str) -> Any:
    return lambda self, *args, **kwargs: dispatch.unsupported(f"x.{name}")


METHODS: dict[str, Any] = {
    **{f"__{name}__": _binary(ufunc) for name, ufunc in (*_BINARY.items(), *_COMPARISONS.items())},
    **{f"__r{name}__": _binary(ufunc, True) for name, ufunc in _WITH_POWER.items()},
    **{f"__i{name}__": _in_place(ufunc) for name, ufunc in _WITH_POWER.items()},
    **{f"__{name}__": _unary(ufunc) for name, ufunc in _UNARY.items()},
    **{name: _method(name, function) for name, function in _METHODS.items()},
    **{name: _writing(name) for name in _IN_PLACE},
    **{name: _reshaped(name) for name in _RESHAPED},
    **{name: _memory(name) for name in _MEMORY},
}
"""By the names under which a traced value has them."""
