"""Random numbers that are drawn while a function is recorded for all values: the draw becomes a
constant of the graph, which no one means. Here it is noticed, and the user's line named.

NumPy's generators are C code without a hook, so their states are compared: of those that the
function reaches through its arguments, globals and closures, before and after recording. Only if
one has changed is the function recorded once more, line by line, to find out where.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import random
import sys
import types
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from chainrule.core.frames import is_internal
from chainrule.forks import load

MOST_REACHED = 500
"""How many objects are looked at for generators, numbers, text and arrays not counted."""
MOST_LINES = 20_000
"""How many lines are followed to find the draw."""

_FRESH = {"default_rng", "Generator", "RandomState", "SeedSequence", "PCG64", "MT19937"}
_Generators = dict[int, Any]
_LEAVES = (np.ndarray, np.generic, str, bytes, int, float, complex, types.NoneType)


class Draws:
    """The generators that a call of ``f`` reaches, and their states before it."""

    def __init__(self, f: Callable[..., Any], given: Iterable[Any]) -> None:
        load("numpy.random")  # NumPy itself imports it on first use
        self.names: set[str] = set()
        self.generators: _Generators = {}
        self._reach([f, *given])
        if self.names & {"random", "rvs"}:  # scipy.stats draws from NumPy's own
            for x in (np.random.mtrand._rand, random._inst):  # type: ignore[attr-defined]
                self.generators[id(x)] = x
        self.before = self._states()

    def warn(
        self, again: Callable[[], Any], who: str = "every call of it (jit, fit) repeats them"
    ) -> None:
        """Warn of a draw since then, and ``who`` has its numbers; ``again`` records once more."""
        after = self._states()
        fresh = not self.names.isdisjoint(_FRESH)
        if after == self.before and not fresh:
            return
        lines: list[tuple[str, int]] = []
        hook: Any = sys.setprofile if after == self.before else sys.settrace
        outer = sys.getprofile() if after == self.before else sys.gettrace()
        watch = self._unseeded(lines) if after == self.before else self._changes(lines)
        try:
            hook(watch)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                again()
        except Exception:  # the first time it went well: this is about its line only
            pass
        finally:
            hook(outer)
            for x, state in zip(self.generators.values(), after, strict=True):
                _restore(x, pickle.loads(state))
        for file, line in dict.fromkeys(lines):
            warnings.warn_explicit(
                "random numbers drawn here are drawn once, while the function is recorded, and "
                f"{who} ({file}:{line}). Pass a key as an "
                "argument and draw with cr.random.uniform(key, shape), or pass the numbers",
                UserWarning,
                file,
                line,
            )

    def _states(self) -> list[bytes]:
        return [pickle.dumps(_state(x)) for x in self.generators.values()]

    def _changes(self, lines: list[tuple[str, int]]) -> Callable[..., Any]:
        """Trace the user's lines; the first after which a state has changed drew."""
        left, known = iter(range(MOST_LINES)), self._states()
        last: list[tuple[str, int]] = []

        def step(frame: types.FrameType, event: str, _: Any) -> Any:
            made = "__name__" not in frame.f_globals  # by exec, as SciPy's _parse_args_rvs
            internal = made or is_internal(frame.f_code.co_filename)
            if lines or next(left, None) is None or internal:
                return None
            if last and self._states() != known:
                lines.append(last[0])
                return None
            last[:] = [(frame.f_code.co_filename, frame.f_lineno)]
            return step

        return step

    def _unseeded(self, lines: list[tuple[str, int]]) -> Callable[..., Any]:
        """Watch for generators that take their seed from the operating system."""

        def call(frame: types.FrameType, event: str, _: Any) -> None:
            code = frame.f_code
            if event == "call" and code is random.SystemRandom.getrandbits.__code__:
                user: Any = frame.f_back
                while user is not None and is_internal(user.f_code.co_filename):
                    user = user.f_back
                if user is not None:
                    lines.append((user.f_code.co_filename, user.f_lineno))

        return call

    def _reach(self, start: list[Any]) -> None:
        """Collect generators, and the names that code uses: first what is near."""
        seen: set[int] = set()
        queue = deque(start)
        while queue and len(seen) < MOST_REACHED:
            x = queue.popleft()
            if isinstance(x, _LEAVES) or id(x) in seen:
                continue
            seen.add(id(x))
            kind = type(x)
            if issubclass(kind, (np.random.Generator, np.random.RandomState, random.Random)):
                if not issubclass(kind, random.SystemRandom):
                    self.generators[id(x)] = x
            else:
                queue += self._behind(x)

    def _behind(self, x: Any) -> Iterator[Any]:
        if isinstance(x, types.FunctionType):
            for cell in x.__closure__ or ():
                try:
                    yield cell.cell_contents
                except ValueError:  # not filled yet
                    continue
            yield from x.__defaults__ or ()
            yield from (x.__kwdefaults__ or {}).values()
            yield getattr(x, "__wrapped__", None)
            if is_internal(x.__code__.co_filename):
                return
            names = set(_names(x.__code__))
            self.names |= names
            for name in sorted(names & x.__globals__.keys()):
                found = x.__globals__[name]
                if isinstance(found, types.ModuleType):
                    file = getattr(found, "__file__", None) or "<frozen>"
                    inside = [] if is_internal(file) else sorted(names & vars(found).keys())
                    yield from [vars(found)[inner] for inner in inside]
                else:
                    yield found
        elif isinstance(x, functools.partial):
            yield from (x.func, *x.args, *x.keywords.values())
        elif isinstance(x, (types.MethodType, types.BuiltinFunctionType)):
            yield from (x.__self__, getattr(x, "__func__", None))
        elif isinstance(x, (list, tuple)):
            yield from x
        elif isinstance(x, dict):
            yield from x.values()
        elif not isinstance(x, (type, types.ModuleType, np.ndarray)):
            with contextlib.suppress(AttributeError):  # past any __getattr__
                yield from object.__getattribute__(x, "__dict__").values()
            yield type(x).__dict__.get("__call__")


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _state(x: Any) -> Any:
    if isinstance(x, random.Random):
        return x.getstate()
    return x.get_state(legacy=False) if hasattr(x, "get_state") else x.bit_generator.state


def _restore(x: Any, state: Any) -> None:
    if isinstance(x, random.Random):
        x.setstate(state)
    elif hasattr(x, "set_state"):
        x.set_state(state)
    else:
        x.bit_generator.state = state
