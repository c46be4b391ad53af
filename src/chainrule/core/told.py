"""Errors that leave a public function: what was called, with what, and where.

A function that computes with what it is given leaves the checking to NumPy and Python; what they
then say names neither it nor the user's line.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from chainrule.core.frames import from_the_user, users_line
from chainrule.errors import ChainruleError, DtypeError, UsageError

FAULTS = (TypeError, ValueError, LookupError, AttributeError, OverflowError, ZeroDivisionError)
_Function = TypeVar("_Function", bound=Callable[..., Any])


def told(name: str) -> Callable[[_Function], _Function]:
    """Decorate a public function, ``cr.`` and ``name``: what Python or NumPy raise inside leaves it
    as an error of ours. Errors of the user's own functions, and of ours, stay as they are."""

    def decorate(f: _Function) -> _Function:
        @functools.wraps(f)
        def call(*args: Any, **keywords: Any) -> Any:
            try:
                return returned(name, args, f(*args, **keywords), f, keywords)
            except FAULTS as error:
                inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
                known = isinstance(error, (ChainruleError, np.linalg.LinAlgError))
                if known or not inside or from_the_user(error):
                    raise
                given = [*map(kind_of, args), *[f"{k}={kind_of(x)}" for k, x in keywords.items()]]
                raise (DtypeError if isinstance(error, TypeError) else UsageError)(
                    f"cr.{name} of {', '.join(given)} ({users_line()}): {error}. "
                    f"help(cr.{name}) says what it takes"
                ) from error

        return cast(_Function, call)

    return decorate


@dataclass(frozen=True)
class Called:
    """The call behind a node: ``inputs`` are the nodes among ``args``."""

    name: str
    inputs: tuple[Any, ...]
    f: Callable[..., Any]
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def given(self, traced: Sequence[Any]) -> list[Any]:
        """The arguments, with ``traced`` in place of those that are nodes."""
        rest = iter(traced)
        return [next(rest) if hasattr(x, "node") else x for x in self.args]

    def again(self, *traced: Any) -> Any:
        """The same call on other values for its inputs."""
        return self.f(*self.given(traced), **self.keywords)


def returned(
    name: str, args: Sequence[Any], y: Any, f: Callable[..., Any], keywords: Mapping[str, Any]
) -> Any:
    """``y``, noted as what the function ``name`` made of ``args`` in a recording that asks."""
    recording = getattr(y, "recording", None)
    if recording is not None and recording.calls is not None:
        nodes = tuple(x.node for x in args if hasattr(x, "node"))
        recording.calls[y.node] = Called(name, nodes, f, tuple(args), keywords)
    return y


def kind_of(x: Any) -> str:
    """What an argument is, in a few words: its value if it is short, else its type or shape."""
    if isinstance(x, (str, bool, int, float, type(None))):
        return f"{x!r:.40}"
    if isinstance(x, (np.ndarray, np.generic)):
        return f"{x.dtype}[{', '.join(map(str, x.shape))}]" if x.ndim else str(x.dtype)
    kind = type(x).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
