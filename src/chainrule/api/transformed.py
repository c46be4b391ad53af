"""What transformations return: functions that pickle and copy as what they were made of."""

from __future__ import annotations

import copyreg
import functools
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

from chainrule.api.inputs import Function, described
from chainrule.core.frames import users_line
from chainrule.core.graph import Graph
from chainrule.core.recording import active
from chainrule.core.tracing import TRACER
from chainrule.errors import UsageError


def _parsed(text: str, captures: tuple[Any, ...]) -> Graph:
    return Graph.parse(text, captures)


# A graph pickles and copies as its text and the arrays that it holds, without the places in the
# code that it came from. Here, for reading it takes the primitives.
copyreg.pickle(Graph, lambda graph: (_parsed, (str(graph), graph.captures)))


class Transformed:
    """A function made of another: ``call`` does its work. It pickles and copies as ``make``, which
    made it, and what that was given, ``f`` and ``options``."""

    # State has slots, for functools.wraps takes __dict__ along, and what it wraps may be pickled.
    __slots__ = ("__dict__", "__weakref__", "_call", "_f", "_make", "_options", "_twin")

    def __init__(
        self, f: Function, make: Callable[..., Any], options: dict[str, Any], call: Function
    ) -> None:
        functools.update_wrapper(self, f, updated=("__dict__",) if inspect.isroutine(f) else ())
        self._f = f
        self._make = make
        self._options = options
        self._call = call
        self._twin: Function | None = None

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        tracer = TRACER.get()
        if tracer is not None and active() is None:
            return tracer(self, args, keywords)
        return self._call(*args, **keywords)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else _Method(self, instance)

    def __repr__(self) -> str:
        return f"<{self._make.__name__} of {getattr(self, '__qualname__', self._f)}>"

    def __reduce__(self) -> Any:
        name = getattr(self, "__qualname__", "")
        if _named(self.__module__, name) is self:
            if self.__module__ != "__main__":
                return name  # under a decorator: found again by its name
            # Others' __main__ may lack it: pickled with the function, as that is
            return _of_main, (name, self._make, self._inside, self._options)
        return _made, (self._make, self._f, self._options)

    @property
    def _inside(self) -> Any:
        """What a decorator in ``__main__`` was given, made of the copy of its function."""
        made = self._copy
        for layer in reversed(_innermost(self)[1][1:]):
            made = layer._make(made, **layer._options)
        return made

    @property
    def _copy(self) -> Any:
        """The function under all decorators, with a name of its own: pickle finds it by that name,
        cloudpickle takes it along."""
        function, _ = _innermost(self)
        if not isinstance(function, types.FunctionType):
            return function
        if self._twin is None:
            self._twin = twin = types.FunctionType(
                function.__code__,
                function.__globals__,
                function.__name__,
                function.__defaults__,
                function.__closure__,
            )
            functools.update_wrapper(twin, function)
            twin.__kwdefaults__ = function.__kwdefaults__
            twin.__dict__.pop("__wrapped__")
            twin.__dict__.update(vars(function))
            twin.__qualname__ = f"{getattr(self, '__qualname__', '')}._copy"
        return self._twin


def check_function(f: Any, transformation: str) -> None:
    """Refuse what cannot be called."""
    if not callable(f):
        raise UsageError(
            f"cr.{transformation} takes a function, not {described(f)} ({users_line()}): write "
            f"cr.{transformation}(f), of a function f"
        )


def _innermost(f: Any) -> tuple[Any, list[Transformed]]:
    """The function that was transformed, and the transformations, the last first."""
    layers = []
    while isinstance(f, Transformed):
        layers.append(f)
        f = f._f
    return f, layers


def _made(make: Callable[..., Any], f: Any, options: dict[str, Any]) -> Any:
    return make(f, **options)


def _of_main(name: str, make: Callable[..., Any], inside: Any, options: dict[str, Any]) -> Any:
    found, (function, _) = _named("__main__", name), _innermost(inside)
    if isinstance(found, Transformed) and found._twin is function:
        return found
    function.__qualname__ = name  # made here, from its code
    return make(inside, **options)


class _Method(functools.partial):  # type: ignore[type-arg]
    """A transformed function bound to an instance, with its ``passes`` and the like."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.func, name)
        bound = callable(found) and not name.startswith("_")
        return functools.partial(found, *self.args) if bound else found


def _named(module: str | None, name: str) -> Any:
    """What stands under this name in a module that is loaded."""
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
