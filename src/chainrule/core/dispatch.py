"""What happens when NumPy meets a traced value: the tables from NumPy's functions to ours.

``ops/`` fills the tables; the protocol methods of ``Traced`` read them. A function that is
in no table is refused by name, never run on an object array. Errors leave here with the
name of what the user called, the types of its arguments and the user's line.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import numpy as np

from chainrule.core.frames import (
    Call,
    from_the_user,
    library_arguments,
    library_call,
    public_name,
    users_call,
    users_frame,
    users_line,
)
from chainrule.core.hints import call_instead, instead
from chainrule.core.targets import traced_instead, written_to
from chainrule.core.told import returned
from chainrule.core.types import refuse_subclass
from chainrule.errors import (
    ChainruleError,
    EscapedTracerError,
    MutationError,
    RecordingError,
    UnsupportedError,
)

UFUNCS: dict[Any, Callable[..., Any]] = {}
SCIPY_UFUNCS: dict[str, Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""By NumPy's function; "getitem", "fresh" and "spread" are what the language itself asks for,
"checked" and "explained" ask NumPy what it says to a call."""
VIEWS: set[Any] = set()  # functions whose results may be views of their first argument
MAKING: set[Any] = set()  # functions that return a new array, not a number, even without axes
CHECKING: set[Any] = set()  # functions of ours that check their arguments themselves
METHODS: dict[str, Callable[..., Any]] = {}
"""How ``ufunc.reduce``, ``accumulate``, ``reduceat`` and ``outer`` work, by their names."""

_PLAIN = {"axis", "keepdims"}  # the keywords that functions which check themselves do check
_FAULTS = (TypeError, ValueError, LookupError, AttributeError, OverflowError, ZeroDivisionError)


def implements(
    *functions: Any, checks: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as what NumPy's ``functions`` do on traced values.

    ``checks``: it refuses by itself what NumPy refuses, and gives NumPy's dtype; otherwise NumPy is
    asked first (``ops/surface/standins.py``).
    """

    def register(ours: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            FUNCTIONS[function] = ours
            if checks:
                CHECKING.add(function)
        return ours

    return register


def call_ufunc(ufunc: Any, *inputs: Any) -> Any:
    handler = UFUNCS.get(ufunc)
    if handler is None:
        handler = _scipy_handler(ufunc)
    try:
        return handler(*inputs)
    except ChainruleError as error:
        located(error, public_name(ufunc), inputs)
    except _FAULTS as error:
        located(FUNCTIONS["explained"](error, ufunc, inputs, {}), public_name(ufunc), inputs)


def array_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``Traced.__array_ufunc__`` with keywords or of a method of the ufunc's."""
    name = public_name(ufunc) + ("" if method == "__call__" else f".{method}")
    if method == "at":
        return writing(name, FUNCTIONS["at"], ufunc, *inputs)
    called = ufunc if method == "__call__" else getattr(ufunc, method)
    if any(x is not None for x in kwargs.get("out", ())):
        apply = partial(METHODS[method], ufunc)
        return writing(name, FUNCTIONS["with_out"], called, apply, inputs, kwargs)
    kwargs.pop("out", None)
    if method == "__call__" and kwargs.get("where", True) is not True:
        located(UnsupportedError("where= leaves numbers undefined; write np.where"), name, inputs)
    if (dtype := kwargs.get("dtype")) is not None:
        name += f"(dtype={np.dtype(dtype) if isinstance(dtype, type) else dtype})"
    apply = partial(METHODS[method], ufunc)
    return _returned(_guarded(called, name, apply, inputs, kwargs, asks=True))


def ask(function: Any, name: str, args: Any, kwargs: Any) -> None:
    """Raise if NumPy's ``function`` refuses these arguments."""
    try:
        FUNCTIONS["asked"](function, args, kwargs)
    except ChainruleError as error:
        located(error, name, args)


def array_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The body of ``Traced.__array_function__``."""
    ours = FUNCTIONS.get(function)
    if ours is None:
        unsupported(_called(function))
    asks = function not in CHECKING or not kwargs.keys() <= _PLAIN
    written = "out" in kwargs or len(args) > 2
    if written and FUNCTIONS["out of"](function, args, kwargs) is not None:
        return writing(_called(function), FUNCTIONS["with_out"], function, ours, args, kwargs)
    made = _guarded(function, "", ours, args, kwargs, asks)
    y = returned(function.__name__, args, made, function, kwargs)
    if function in VIEWS:
        return FUNCTIONS["viewed"](y, function, args, kwargs)
    if function in MAKING:
        return y
    return FUNCTIONS["fresh name"](y, args)


def _guarded(
    function: Any, name: str, ours: Callable[..., Any], args: Any, kwargs: Any, asks: bool
) -> Any:
    """``ours``, whose errors name the function (under ``name``, if not its own); nothing raw
    leaves it but a user's own error."""
    try:
        if asks:
            return FUNCTIONS["checked"](function, ours, args, kwargs)
        return ours(*args, **kwargs)
    except ChainruleError as error:
        located(error, name or _called(function), args)
    except _FAULTS as error:
        if isinstance(error, np.linalg.LinAlgError) or from_the_user(error):
            raise
        found = FUNCTIONS["explained"](error, function, args, kwargs)
        located(found, name or _called(function), args)


def writing(name: str, ours: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``ours``, which writes into an array; its errors name what the user called."""
    try:
        return ours(*args, **kwargs)
    except ChainruleError as error:
        located(error, name, args)
    except (*_FAULTS, np.exceptions.ComplexWarning) as error:
        located(FUNCTIONS["as ours"](error), name, args)


def _returned(y: Any) -> Any:
    """A result of NumPy's functions: not a Python number, even where it is the argument itself."""
    weak = getattr(y, "weak", None)  # None: not a traced value
    return y.like(None) if weak or (weak is not None and y.is_array) else y


def _called(function: Any) -> str:
    """The name of a function of NumPy's that reached us."""
    return public_name(function) or f"np.{function.__name__}"


def _scipy_handler(ufunc: Any) -> Callable[..., Any]:
    """The handler of a ufunc of ``scipy.special``, found by name once SciPy is loaded."""
    name = ufunc.__name__
    if getattr(np, name, None) is ufunc:
        unsupported(f"np.{name}")
    special = sys.modules.get("scipy.special")
    ours = SCIPY_UFUNCS.get(name)
    if special is not None:
        theirs = getattr(special, "_ufuncs", special)
        if getattr(theirs, name, None) is ufunc:
            if ours is not None:
                UFUNCS[ufunc] = ours
                return ours
            unsupported(f"scipy.special.{name.lstrip('_')}")
    return unsupported(f"the ufunc {name}")


# Errors -----------------------------------------------------------------------------------


def located(error: ChainruleError, name: str, arguments: Any) -> NoReturn:
    """Raise ``error`` again with what was called, on what, and where in the user's code.

    Functions are made of others; the outermost, which the user wrote, has the last word.
    """
    line = users_line()
    found_at, message = getattr(error, "located", (line, str(error)))
    if found_at == line and line not in message and not isinstance(error, EscapedTracerError):
        error.located = line, message  # type: ignore[attr-defined]
        types = _described(arguments)
        error.args = (f"{name}{' of ' if types else ''}{types} ({line}): {message}",)
    elif found_at == line and name not in message:  # it speaks of another that this is made of
        error.args = (f"{name}: {message}",)
    raise error from error.__cause__


def _described(arguments: Any) -> str:
    """The types of the arrays among the arguments, in the order given."""
    found: list[str] = []
    for x in arguments:
        if isinstance(x, (list, tuple)):
            found += [_described([item]) for item in x[:4]]
        elif hasattr(x, "type"):
            found.append(str(x.type))
        elif isinstance(x, (np.ndarray, np.generic)):
            found.append(f"{x.dtype}[{', '.join(map(str, x.shape))}]" if x.ndim else str(x.dtype))
    return ", ".join(filter(None, found))


def refuse_keywords(function: str, keywords: dict[str, Any]) -> None:
    """Raise for keywords that we don't support: none is ever ignored."""
    if keywords:
        listed = ", ".join(f"{name}=" for name in keywords)
        raise UnsupportedError(
            f"{function} does not take {listed} on traced values ({users_line()}); leave it out "
            "and write what it does as a separate step"
        )


def refuse_mutation(what: str, instead: str) -> NoReturn:
    raise MutationError(f"{what} ({users_line()}) is not recorded. {instead}")


def refuse_plain_target(target: Any, name: str) -> NoReturn:
    """Raise for a write of a traced value into an ordinary array, with the line to change."""
    called = library_call()
    if called.startswith("scipy.") or instead(called):
        raise UnsupportedError(
            f"{called} writes a traced value into an array of its own ({users_line()}). "
            f"{instead(called) or _UNKNOWN}"
        )
    raise MutationError(
        f"{name} writes a traced value into a plain NumPy array ({users_line()}), which would keep "
        f"a number without a derivative. {traced_instead(users_frame(), target)}"
    )


_UNKNOWN = (
    "Write it with functions that are (docs/supported.md lists them), or give its derivative "
    "yourself with cr.custom_gradient"
)


_FROM_PARTS = (
    "To build an array from parts use np.stack([x, y]) or np.concatenate, not np.array([x, y]) or "
    "array[i] = x; to read an ordinary array at a traced place use np.take_along_axis"
)


def refuse_call(x: Any) -> None:
    """Raise if a function of NumPy or SciPy asked for plain numbers, with what to write instead."""
    called = library_call()
    if called:
        raise UnsupportedError(
            f"{called} of a traced {x.type} ({users_line()}) would turn it into a NumPy "
            "array, which carries no derivative. "
            + (instead(called) or (_FROM_PARTS if called.startswith("np.") else _UNKNOWN))
        )


def _refuse_subclasses() -> None:
    """A masked array or a matrix on the left of an operator takes it for its own."""
    for x in library_arguments():
        refuse_subclass(x, f"an operand ({users_line()})")


def _refuse_known(x: Any) -> None:
    """Raise where a function of SciPy's is at work for which there is code to write instead."""
    called = library_call()
    if called.startswith("scipy.") and instead(called):
        refuse_call(x)


def refuse_conversion(x: Any) -> NoReturn:
    """Raise for what would turn a traced value into an array, with what to write instead."""
    _refuse_subclasses()
    _refuse_known(x)
    call = users_call()
    if write := replacement(call):
        raise UnsupportedError(
            f"{call.text} ({call.line}) would turn a traced {x.type} into a NumPy array, which "
            f"carries no derivative. {write}"
        )
    refuse_call(x)
    made = f"{traced_instead(users_frame())}. " if written_to(users_frame()) else ""
    x.recording.refused = error = RecordingError(
        f"a traced {x.type} cannot become a NumPy array{_in_call(call.text)} ({call.line}): its "
        f"value is still being recorded. {made}{_FROM_PARTS}; draw random numbers first and scale "
        "them, mean + scale * noise; where a library converts its arguments, write the function "
        "with np.* instead"
    )
    raise error


def refuse_number(x: Any, wanted: str, remedy: str) -> NoReturn:
    """Raise for what would make a Python number of a traced value: ``wanted`` of it."""
    _refuse_known(x)
    call = users_call()
    write = replacement(call)
    if not write and written_to(users_frame()):
        write = traced_instead(users_frame())
    if not write:
        refuse_call(x)
    error = RecordingError(
        f"{wanted} of a traced {x.type}{_in_call(call.text)} ({call.line}): a Python number would "
        f"carry no derivative. {write or remedy}"
    )
    x.recording.refused = error
    raise error


def replacement(call: Call) -> str:
    """What to write instead of the user's call; "" where nothing is known."""
    function = call.function
    if isinstance(call.node, ast.Subscript) and written_to(users_frame()):
        return ""  # it is assigned to
    try:
        known = function is None or isinstance(function, np.ufunc) or function in FUNCTIONS
    except TypeError:  # it has no hash
        known = False
    lists = {name for name, value in call.names.items() if _holds_traced(value)}
    return call_instead(call.node, public_name(function), known, lists)


def _holds_traced(value: Any) -> bool:
    """Whether a list or tuple, or one in it, holds a traced value."""
    if isinstance(value, (list, tuple)):
        return any(_holds_traced(x) or type(x).__name__ == "Traced" for x in value)
    return False


def _in_call(text: str) -> str:
    """The text of a call for the middle of a sentence, unless it is long."""
    return f" in {text}" if text and len(text) < MOST_TEXT and "\n" not in text else ""


MOST_TEXT = 80
"""How many characters of the user's text stand in a message."""


def unsupported(function: str) -> NoReturn:
    _refuse_subclasses()
    raise UnsupportedError(
        f"{function} is not recorded by chainrule ({users_line()}). "
        + (instead(function) or _UNKNOWN)
    )
