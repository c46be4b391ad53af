"""What happens when NumPy meets a traced value: the tables from NumPy's functions to ours.

``ops/`` fills the tables; the protocol methods of ``Traced`` read them. A function that is
in no table is refused by name, never run on an object array.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from chainrule.errors import MutationError, UnsupportedError

UFUNCS: dict[Any, Callable[..., Any]] = {}
SCIPY_UFUNCS: dict[str, Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
REDUCTIONS: dict[Any, Callable[..., Any]] = {}
ACCUMULATIONS: dict[Any, Callable[..., Any]] = {}
HINTS: dict[str, str] = {}

_UFUNC_DEFAULTS = {"where": True, "casting": "same_kind", "order": "K", "subok": True}


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as what NumPy's ``functions`` do on traced values."""

    def register(ours: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            FUNCTIONS[function] = ours
        return ours

    return register


def call_ufunc(ufunc: Any, *inputs: Any) -> Any:
    handler = UFUNCS.get(ufunc)
    if handler is None:
        handler = _scipy_handler(ufunc)
    return handler(*inputs)


def array_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The body of ``Traced.__array_ufunc__``."""
    if kwargs:
        if any(x is not None for x in kwargs.pop("out", ())):
            refuse_mutation(f"writing the result of np.{ufunc.__name__} into an array")
        dtype = kwargs.pop("dtype", None)
        if method == "__call__" and dtype is not None:
            inputs = tuple(np.astype(x, dtype) if hasattr(x, "dtype") else x for x in inputs)
        elif dtype is not None:
            kwargs["dtype"] = dtype
        for name, default in _UFUNC_DEFAULTS.items():
            if name in kwargs and method == "__call__" and kwargs[name] is default:
                del kwargs[name]
    if method == "__call__":
        refuse_keywords(f"np.{ufunc.__name__}", kwargs)
        return call_ufunc(ufunc, *inputs)
    table = {"reduce": REDUCTIONS, "accumulate": ACCUMULATIONS}.get(method)
    if table is not None and ufunc in table:
        x, *rest = inputs
        if rest:
            raise UnsupportedError(f"pass axis= by name to np.{ufunc.__name__}.{method}")
        if "axis" not in kwargs:
            kwargs["axis"] = 0
        return table[ufunc](x, **kwargs)
    if method == "outer":
        refuse_keywords(f"np.{ufunc.__name__}.outer", kwargs)
        a, b = inputs
        return call_ufunc(ufunc, np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)
    if method == "at":
        refuse_mutation(f"np.{ufunc.__name__}.at")
    unsupported(f"np.{ufunc.__name__}.{method}")
    return None


def array_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The body of ``Traced.__array_function__``."""
    ours = FUNCTIONS.get(function)
    if ours is None:
        module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np", 1)
        unsupported(f"{module}.{getattr(function, '__name__', function)}")
    return ours(*args, **kwargs)


def _scipy_handler(ufunc: Any) -> Callable[..., Any]:
    """The handler of a ufunc of ``scipy.special``, found by name once SciPy is loaded."""
    name = ufunc.__name__
    special = sys.modules.get("scipy.special")
    ours = SCIPY_UFUNCS.get(name)
    if special is not None:
        theirs = getattr(special, "_ufuncs", special)
        if getattr(theirs, name, None) is ufunc:
            if ours is not None:
                UFUNCS[ufunc] = ours
                return ours
            unsupported(f"scipy.special.{name}")
    unsupported(f"the ufunc {name}")
    return None


def refuse_keywords(function: str, keywords: dict[str, Any]) -> None:
    """Raise for keywords that we don't support: none is ever ignored."""
    if keywords:
        listed = ", ".join(f"{name}=" for name in keywords)
        raise UnsupportedError(
            f"{function} does not take {listed} on traced values ({_line()}); leave it out and "
            "write what it does as a separate step"
        )


def refuse_mutation(what: str) -> NoReturn:
    raise MutationError(
        f"{what} changes an array in place ({_line()}), which cannot be recorded: the old value "
        "is still needed on the backward pass. Build a new value instead: y = x + v, "
        "np.where(mask, a, b), or np.concatenate / np.stack of the parts"
    )


def unsupported(function: str) -> NoReturn:
    hint = HINTS.get(function.rsplit(".", 1)[-1], "")
    raise UnsupportedError(
        f"{function} is not recorded by chainrule ({_line()}). "
        + (
            hint
            or "Write it with functions that are (docs/supported.md lists them), or give its "
            "derivative yourself with cr.custom_gradient"
        )
    )


def _line() -> str:
    from chainrule.core.recording import users_line

    return users_line()
