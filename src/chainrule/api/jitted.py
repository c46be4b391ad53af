"""Functions as graphs: ``trace`` shows one, ``jit`` runs it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import numpy as np

from chainrule import run
from chainrule.api.inputs import PYTHONS, Function, is_plain, several
from chainrule.api.transformed import Transformed, check_function
from chainrule.compile import Passes, passes_of, stability
from chainrule.core.graph import Graph
from chainrule.core.record import (
    flatten_call,
    function_name,
    leaf_types,
    named_arguments,
    parameter_names,
    record,
)
from chainrule.core.recording import Recording, active
from chainrule.core.static import Static
from chainrule.core.traced import Traced
from chainrule.core.tracing import TRACER
from chainrule.core.tree import TreeDef
from chainrule.core.types import ArrayType, check_dtype
from chainrule.errors import DtypeError, UsageError
from chainrule.run.profile import Profile, profile
from chainrule.run.settings import ExecutorLike

MOST_PROGRAMS = 512
"""How many programs a function keeps, one for each combination of argument types; the oldest
gives way."""

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


# Static arguments -------------------------------------------------------------------------


class StaticArguments:
    """Which arguments of ``f`` are static, by position or by name. Naming one way is enough:
    the other follows from the signature.

    Raises:
        UsageError: ``f`` has no such parameter, or it is named twice.
    """

    def __init__(self, f: Function, numbers: Any = None, names: Any = None) -> None:
        self.given = {"static_argnums": numbers, "static_argnames": names}
        self.names: set[str] = set()
        self.numbers: set[int] = set()
        if numbers is None and names is None:
            return
        parameters, positional, open_ended, keywords = _parameters(f)
        for n in several(numbers):
            if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
                raise UsageError(f"static_argnums takes positions such as 0 or (1, -1), not {n!r}")
            count = len(positional)
            if not (open_ended or -count <= n < count):
                raise UsageError(
                    f"static_argnums={n}: {function_name(f)} has {count} positional parameters"
                )
            place = int(n) if open_ended else int(n) % count
            self._refuse_repeated(place in self.numbers, f"static_argnums={numbers!r}", f)
            self.numbers.add(place)
        for name in several(names):
            if not isinstance(name, str):
                raise UsageError(f"static_argnames takes names of parameters, not {name!r}")
            self._refuse_repeated(name in self.names, f"static_argnames={names!r}", f)
            if name not in parameters and not keywords:
                listed = ", ".join(map(repr, parameters)) or "none"
                raise UsageError(
                    f"static_argnames={name!r}: {function_name(f)} has no such parameter; it has "
                    f"{listed}"
                )
            self.names.add(name)
        self.names |= {positional[n] for n in self.numbers if 0 <= n < len(positional)}
        self.numbers |= {n for n, name in enumerate(positional) if name in self.names}

    @staticmethod
    def _refuse_repeated(known: bool, said: str, f: Function) -> None:
        if known:
            raise UsageError(f"{said} names the same argument of {function_name(f)} twice")

    def mark(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Arguments:
        """The arguments, those that are static marked as such."""
        count = len(args)
        numbers = {n % count if -count <= n < 0 else n for n in self.numbers}
        marked = tuple(Static(x) if i in numbers else x for i, x in enumerate(args))
        named = {k: Static(x) if k in self.names else x for k, x in keywords.items()}
        return marked, named


def _parameters(f: Function) -> tuple[list[str], list[str], bool, bool]:
    """The names of all parameters, of positional ones, and whether it takes any number of
    positional ones and of keywords."""
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return [], [], True, True
    kinds = {p.kind for p in found}
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [p.name for p in found if p.kind not in variable]
    return names, list(parameter_names(f)), variable[0] in kinds, variable[1] in kinds


# trace and jit ----------------------------------------------------------------------------


def trace(
    f: Function,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
) -> Callable[..., Graph]:
    """The function that records ``f``: ``trace(f)(x)`` is its ``Graph`` for arguments of
    these types, which prints as text.

    Args:
        f: a function written with NumPy, over trees of arrays and numbers.
        static_argnums, static_argnames: arguments that are passed as they are: see ``jit``, also
            for what is frozen in the graph.

    >>> print(trace(lambda x: np.sin(x) * 2)(1.0))  # doctest: +SKIP

    Raises:
        UnknownValueError: ``f`` branches on a value that depends on its arguments.
    """
    check_function(f, "trace")
    static = StaticArguments(f, static_argnums, static_argnames)

    def call(*args: Any, **keywords: Any) -> Graph:
        args, keywords = static.mark(args, keywords)
        return record(f, *args, keywords=keywords).graph

    return Transformed(f, trace, static.given, call)


class Jitted(Transformed):
    """A function that runs as a graph: what ``jit`` returns.

    It pickles and copies as the function and the options that it was made of; programs stay
    behind and are made again where they are needed.
    """

    __slots__ = ("_programs", "_quick", "_run", "_static")

    def __init__(
        self,
        f: Function,
        executor: ExecutorLike,
        threads: int | None,
        roll: bool,
        static: StaticArguments,
    ) -> None:
        run.check_threads(threads)
        options = {"executor": executor, "threads": threads, "roll": roll}
        super().__init__(f, jit, options | static.given, f)
        self._run = (executor, threads, roll)
        self._static = static
        self._programs: dict[Any, Function] = {}
        self._quick: dict[Any, Function] = {}

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        around = active()
        if around is not None:  # f may also close over traced values of that recording
            args, keywords = self._marked(args, keywords)
            with around.rewriting(stability.rewrite):
                return self._f(
                    *[_recorded(x, around) for x in args],
                    **{name: _recorded(x, around) for name, x in keywords.items()},
                )
        tracer = TRACER.get()
        if tracer is not None:
            return tracer(self, args, keywords)
        signature = () if keywords else _signature(args)
        found = self._quick.get(signature)
        if found is not None:
            return found(args)
        args, keywords = self._marked(args, keywords)
        leaves, call = flatten_call(args, keywords)
        if any(map(_is_foreign, leaves)):
            leaves = [run.taken(x, self._run[0]) if _is_foreign(x) else x for x in leaves]
            args, keywords = call.unflatten([_type(x) if _is_foreign(x) else x for x in leaves])
            types = leaf_types(flatten_call(args, keywords)[0], self._f, call)
        else:
            types = leaf_types(leaves, self._f, call)
        key = (call, tuple(types), tuple(map(type, leaves)))
        try:
            program = self._programs.get(key)
        except TypeError:
            raise _unhashable(self._f, call) from None
        if program is None:
            if args and not leaves and all(isinstance(x, str) for x in args):
                raise DtypeError(
                    f"an argument of {function_name(self._f)} is a str, and there is no array or "
                    "number beside it: nothing to record"
                )
            program = _program(self._compile(args, keywords), is_plain(leaves))
            self._store(key, program)
        if signature and None not in signature and not self._static.numbers:
            _keep(self._quick, signature, program)
        return program(leaves)

    def _marked(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Arguments:
        static = self._static
        return static.mark(args, keywords) if static.names or static.numbers else (args, keywords)

    def _compile(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> run.Compiled:
        executor, threads, roll = self._run
        return run.compile(
            self._f, *args, keywords=keywords, executor=executor, threads=threads, roll=roll
        )

    def _store(self, key: tuple[Any, ...], program: Function) -> None:
        """Keep a program as long as the static objects live that it was made for."""
        call, *rest = key
        if call.statics():
            programs, own = self._programs, []
            call = call.without_values(lambda _: programs.pop(own[0], None))
            own.append((call, *rest))
        _keep(self._programs, (call, *rest), program)

    def passes(self, *args: Any, **keywords: Any) -> Passes:
        """What the compiler does to the function for arguments of these types, without
        running it; prints as a table."""
        args, keywords = self._marked(args, keywords)
        return passes_of(self._f, *args, keywords=keywords, roll=self._run[2])

    def ir(self, *args: Any, **keywords: Any) -> str:
        """The code that runs the function for arguments of these types, as LLVM takes it.

        Each step of the program is a function; ``run`` calls them. A long program has a second
        module after the first, of functions that LLVM does not optimise.

        Raises:
            UsageError: the executor is NumPy's, which makes no code.
        """
        args, keywords = self._marked(args, keywords)
        return run.code_of(self._compile(args, keywords))

    def profile(self, *args: Any, **keywords: Any) -> Profile:
        """The time that each step takes at these arguments, on one thread, with the operations
        and the user's lines that it computes; prints as a table."""
        args, keywords = self._marked(args, keywords)
        return profile(self._f, *args, keywords=keywords, executor=self._run[0])


def _is_foreign(x: Any) -> bool:
    """Whether a leaf is an array of another library, which hands it over by DLPack."""
    return hasattr(x, "__dlpack__") and not isinstance(x, (np.ndarray, Traced))


def _type(x: Any) -> ArrayType:
    """The type of an array of a device."""
    check_dtype(np.dtype(x.dtype))
    return ArrayType(x.shape, np.dtype(x.dtype))


def _recorded(x: Any, recording: Recording) -> Any:
    """An argument as ``jit`` records it: a number as a constant, so that b * b is known as a square
    and not only by its rounded value."""
    if type(x) in (float, np.float32, np.float64):
        return recording.constant(x, np.dtype(type(x))).like(x)
    if isinstance(x, Traced):
        return x.renamed()  # what the function writes into is not the caller's
    return x.value if isinstance(x, Static) else x


def _keep(table: dict[Any, Any], key: Any, value: Any) -> None:
    """Put into a table of bounded size."""
    table[key] = value
    while len(table) > MOST_PROGRAMS:
        table.pop(next(iter(table)), None)


def _unhashable(f: Function, call: TreeDef) -> UsageError:
    """The error for a static value that cannot decide which program runs."""
    for name, argument in named_arguments(f, call):
        for path, static in argument.statics(name):
            try:
                hash(static)
            except TypeError:
                what = type(static.value).__name__
                return UsageError(
                    f"argument {path!r} of {function_name(f)} is a {what}: static, but not "
                    "hashable, so that no program can be kept for it. Pass a tuple instead of a "
                    "list, or make a class of yours a tree (cr.tree.register); arrays are never "
                    "static"
                )
    return UsageError(f"an argument of {function_name(f)} has no hash")


@overload
def jit(
    f: Function,
    executor: ExecutorLike = None,
    threads: int | None = None,
    *,
    roll: bool = True,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
) -> Jitted: ...
@overload
def jit(
    f: None = None,
    executor: ExecutorLike = None,
    threads: int | None = None,
    *,
    roll: bool = True,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
) -> Callable[[Function], Jitted]: ...
def jit(
    f: Function | None = None,
    executor: ExecutorLike = None,
    threads: int | None = None,
    *,
    roll: bool = True,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
) -> Any:
    """``f`` recorded once for each combination of argument types and run as a graph.

    Inside another transformation it is recorded along with it, in the same stable form, and so are
    the derivatives of that recording. Arrays and numbers in the arguments, and in trees of them,
    are traced: a branch on their values raises ``UnknownValueError``.

    Static is what ``static_argnums`` and ``static_argnames`` say, and whatever is neither an array
    nor a number: strings, True and False, None, functions, dtypes, models. ``f`` gets static
    arguments as they are, and there is a program for each of their values: equal ones of different
    type (1, 1.0, True) are different values; objects without an ``==`` of their own, such as the
    ``self`` of a method, are compared by identity, and count as another once an attribute is bound
    to another value. Static arguments must be hashable.

    What ``f`` takes from elsewhere is frozen as it was when it was recorded: globals, closures and
    defaults, what hides deeper inside ``self``, and random numbers: pass a key (``cr.random``).

    ``jit(f).passes(*args)`` runs nothing: it shows the stability rewrites and the compiler's
    passes, with the graph before and after each.

    Args:
        f: a function or a method; left out, the result is a decorator that takes it.
        executor: "native" (machine code, the default where llvmlite is installed), "numpy", "xla"
            (JAX), or an ``Executor`` with a device and a precision.
        threads: how many may share the work in machine code; None for as many as are worth it.
            The bits of the result do not depend on it.
        roll: whether a Python loop of equal turns (16 or more of them) becomes a loop of the
            program; otherwise its code is as long as the loop.
        static_argnums, static_argnames: positions and names of static arguments, such as the
            length in ``x[:n]``. Either way of naming covers both ways of passing.

    Raises:
        UsageError: a static argument is unknown or not hashable.
        DtypeError: an argument is complex or a kind of array that NumPy does not make.
        UnknownValueError: ``f`` branches on a value that depends on its arguments.

    >>> jit(lambda x, n: x[:n], static_argnames="n")(np.arange(5.0), n=2)
    array([0., 1.])
    >>> print(jit(lambda x: 1 / (1 + np.exp(-x))).passes(0.5))
    operations of f before and after each pass of jit and fit
      stability       4 -> 1      put formulas in a form that stays finite, while recording
               1 x logistic            1 / (1 + exp(-a)) -> logistic(a)
      unwrap          1 -> 1      drop copies and stopped gradients
      loops           1 -> 1      run loops that do the same turns as one, without what nobody reads
      fold            1 -> 1      compute constant scalars
      algebra         1 -> 1      drop factors of 1, join signs and views, repeat numbers last
    """
    if f is None:
        return functools.partial(
            jit,
            executor=executor,
            threads=threads,
            roll=roll,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
        )
    check_function(f, "jit")
    return Jitted(f, executor, threads, roll, StaticArguments(f, static_argnums, static_argnames))


def _signature(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What decides how ``jit`` runs plain arguments: for floats their type, for arrays shape and
    dtype; None where it takes a closer look."""
    return tuple(
        [
            (x.shape, x.dtype) if type(x) is np.ndarray else float if type(x) is float else None
            for x in args
        ]
    )


def _program(compiled: run.Compiled, plain: bool) -> Function:
    """From leaves to results: what a call comes down to, for checks and trees take longer than a
    small function itself. ``plain``: only Python's numbers come in, so such come out."""
    flat, tree = compiled.flat, compiled.out_tree
    numbers = getattr(flat, "numbers", None) or (lambda args: flat([np.asarray(x) for x in args]))
    leaf = tree.kind == "leaf"
    row = tree.kind is tuple and all(child.kind == "leaf" for child in tree.children)

    def call(leaves: Sequence[Any]) -> Any:
        results: list[Any] = numbers(leaves)
        for i, y in enumerate(results):
            kind = type(y)
            if kind in PYTHONS:
                if plain:
                    results[i] = y.item()
            elif kind is np.ndarray and not y.ndim:
                results[i] = y.item() if plain and y.dtype.type in PYTHONS else y[()]
        return results[0] if leaf else tuple(results) if row else tree.unflatten(results)

    return call
