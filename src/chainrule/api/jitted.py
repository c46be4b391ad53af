"""Functions as graphs: ``trace`` shows one, ``jit`` runs it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import run
from chainrule.api.inputs import Function, is_plain, name_of
from chainrule.compile import Passes, passes_of, stability
from chainrule.core.graph import Graph
from chainrule.core.record import leaf_type, record
from chainrule.core.recording import active
from chainrule.core.traced import is_weak
from chainrule.core.tree import flatten

MOST_PROGRAMS = 512
"""How many programs a function keeps, one for each combination of argument types; the oldest
gives way."""


def trace(f: Function) -> Callable[..., Graph]:
    """The function that records ``f``: ``trace(f)(x)`` is its ``Graph`` for arguments of
    these types, which prints as text.

    >>> print(trace(lambda x: np.sin(x) * 2)(1.0))  # doctest: +SKIP
    """

    def traced(*args: Any) -> Graph:
        return record(f, *args).graph

    return traced


class Jitted:
    """A function that runs as a graph: what ``jit`` returns.

    It pickles and copies as the function and the options that it was made of; programs stay
    behind and are made again where they are needed.
    """

    def __init__(self, f: Function, executor: str | None, threads: int | None) -> None:
        functools.update_wrapper(self, f)
        run.check_threads(threads)
        self._f = f
        self._options = (executor, threads)
        self._programs: dict[Any, tuple[run.Compiled, bool]] = {}
        self._quick: dict[Any, Function] = {}

    def __call__(self, *args: Any) -> Any:
        around = active()
        if around is not None:  # f may also close over traced values of that recording
            with around.rewriting(stability.rewrite):
                return self._f(*args)
        signature = _signature(args)
        found = self._quick.get(signature)
        if found is not None:
            return found(args)
        leaves, treedef = flatten(args)
        types = tuple(leaf_type(x, f"an argument of {name_of(self._f)}") for x in leaves)
        key = (treedef, types, tuple(map(is_weak, leaves)))
        made = self._programs.get(key)
        if made is None:
            executor, threads = self._options
            compiled = run.compile(self._f, *args, executor=executor, threads=threads)
            made = compiled, is_plain(leaves)
            _keep(self._programs, key, made)
        compiled, plain = made
        if None not in signature:
            _keep(self._quick, signature, _quick(compiled, plain))
        results = compiled.flat([np.asarray(x) for x in leaves])
        return compiled.out_tree.unflatten([_number(y, plain) for y in results])

    def passes(self, *args: Any) -> Passes:
        """What the compiler does to the function for arguments of these types, without
        running it; prints as a table."""
        return passes_of(self._f, *args)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method of a class, like a plain function."""
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"<jit of {getattr(self, '__qualname__', self._f)}>"

    def __reduce__(self) -> Any:
        name = getattr(self, "__qualname__", "")
        if _named(self.__module__, name) is self:
            return name  # under a decorator: found again by its name
        return jit, (self._f, *self._options)


def _named(module: str | None, name: str) -> Any:
    """What stands under this name in a module that is loaded."""
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _keep(table: dict[Any, Any], key: Any, value: Any) -> None:
    """Put into a table of bounded size."""
    table[key] = value
    while len(table) > MOST_PROGRAMS:
        table.pop(next(iter(table)), None)


def jit(f: Function, executor: str | None = None, threads: int | None = None) -> Jitted:
    """``f`` recorded once for each combination of argument types and run as a graph.

    Inside another transformation it is recorded along with it, in the same stable form, and so are
    the derivatives of that recording. Arguments are arrays, numbers and trees of them; a branch on
    their values raises ``UnknownValueError``.

    ``jit(f).passes(*args)`` runs nothing: it shows the stability rewrites and the compiler's
    passes, with the graph before and after each.

    Parameters:
        executor: "native" (machine code, the default where llvmlite is installed) or "numpy".
        threads: how many may share the work in machine code; None for as many as are worth it.
            The bits of the result do not depend on it.

    >>> print(jit(lambda x: 1 / (1 + np.exp(-x))).passes(0.5))
    operations of f before and after each pass of jit and fit
      stability       4 -> 1      put formulas in a form that stays finite, while recording
               1 x logistic            1 / (1 + exp(-a)) -> logistic(a)
      unwrap          1 -> 1      drop copies and stopped gradients
      fold            1 -> 1      compute constant scalars
      algebra         1 -> 1      drop factors of 1, join signs and views, repeat numbers last
    """
    return Jitted(f, executor, threads)


def _signature(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What decides how ``jit`` runs plain arguments: for floats their type, for arrays shape and
    dtype; None where it takes a closer look."""
    return tuple(
        [
            (x.shape, x.dtype) if type(x) is np.ndarray else float if type(x) is float else None
            for x in args
        ]
    )


def _quick(compiled: run.Compiled, plain: bool) -> Function:
    """What ``jit`` calls when it has seen such arguments before: checks and trees take longer
    than a small function itself."""
    flat, tree = compiled.flat, compiled.out_tree
    numbers = getattr(flat, "numbers", None) or (lambda args: flat([np.asarray(x) for x in args]))
    leaf = tree.kind == "leaf"
    row = tree.kind is tuple and all(child.kind == "leaf" for child in tree.children)

    def call(args: tuple[Any, ...]) -> Any:
        results: list[Any] = numbers(args)
        for i, y in enumerate(results):
            kind = type(y)
            if kind is np.float64:
                if plain:
                    results[i] = float(y)
            elif kind is np.ndarray and not y.ndim:
                results[i] = _number(y, plain)
        return results[0] if leaf else tuple(results) if row else tree.unflatten(results)

    return call


def _number(y: Any, plain: bool) -> Any:
    """An array without axes as a number; Python's, where only such came in."""
    if type(y) is np.ndarray:
        if y.ndim:
            return y
        y = y[()]
    return float(y) if plain and type(y) is np.float64 else y
