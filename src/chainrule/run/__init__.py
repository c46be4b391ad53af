"""Running graphs: from a recorded function to a callable, on the executor of choice."""

from __future__ import annotations

import functools
import importlib.util
import platform
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.compile import Roller, optimise, stability
from chainrule.core.frames import warn
from chainrule.core.garbage import seldom_collected
from chainrule.core.graph import Graph
from chainrule.core.node import NO_ATTRS
from chainrule.core.record import flatten_call, leaf_type, record
from chainrule.core.tree import TreeDef, flatten, map_tree
from chainrule.errors import ShapeError, UsageError
from chainrule.forks import load
from chainrule.run import interpreter
from chainrule.run.settings import Executor, ExecutorLike, executor_of

EXECUTORS = {
    "numpy": "chainrule.run.interpreter",
    "native": "chainrule.run.native",
    "xla": "chainrule.run.xla",
}
"""Modules with ``compile`` and ``loop``; imported when first asked for."""

NEEDS = {
    "llvmlite": "llvmlite (pip install llvmlite)",
    "jax": "JAX (pip install 'chainrule[xla]'; on a GPU 'jax[cuda12]' beside it)",
    "jaxlib": "JAX (pip install 'chainrule[xla]'; on a GPU 'jax[cuda12]' beside it)",
}
"""What is missing where a module of this name is, and what to do."""

LONG = 20_000
"""Programs of so many operations get a note: most are loops that could be one."""


@functools.cache
def default_executor() -> str:
    """The name of the executor that serves where none is named: machine code, where llvmlite
    is installed and a small program runs."""
    if not importlib.util.find_spec("llvmlite"):
        return "numpy"
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        return "native"  # always works: not worth the time to try
    why = load("chainrule.run.native.runtime.machine").trouble()
    if why:
        warnings.warn(f"no machine code on this computer, NumPy serves: {why}", stacklevel=2)
    return "numpy" if why else "native"


def name_of(executor: ExecutorLike) -> str:
    """The name of the executor that a user's words mean."""
    wanted = executor_of(executor)
    return default_executor() if wanted is None else wanted.name


def executor_named(executor: ExecutorLike) -> Any:
    """The executor that a user named; None is the default one.

    Raises:
        UsageError: listing the executors there are; it needs what is not installed, or has not
            the device.
    """
    wanted = executor_of(executor)
    name = name_of(wanted)
    found = EXECUTORS.get(name)
    if found is None:
        raise UsageError(f"no executor is called {name!r}; there are: {', '.join(EXECUTORS)}")
    try:
        module = load(found)
    except ModuleNotFoundError as error:
        needed = NEEDS.get(error.name or "")
        if needed is None:
            raise
        raise UsageError(f'executor="{name}" needs {needed}; executor="numpy" does not') from None
    if hasattr(module, "placed"):
        return module.placed(wanted or Executor(name))
    if wanted is not None and wanted.asks:
        raise UsageError(
            f'executor="{name}" computes on the CPU in full precision; {wanted.asks} needs '
            'executor="xla"'
        )
    return module


def compile_graph(
    graph: Graph, executor: ExecutorLike = None, threads: int | None = None
) -> interpreter.Flat:
    """The graph, after all passes, as a function from list of arrays to list of arrays."""
    return executor_named(executor).compile(optimise(graph), check_threads(threads))


def check_threads(threads: Any) -> int | None:
    """A number of threads, or None for as many as are worth it.

    Raises:
        UsageError: for what is no such number.
    """
    whole = isinstance(threads, (int, np.integer)) and not isinstance(threads, bool)
    if threads is None or (whole and threads >= 1):
        return None if threads is None else int(threads)
    raise UsageError(f"threads is how many may share the work, 1 or more, not {threads!r}")


@dataclass(frozen=True, eq=False, slots=True)
class Compiled:
    """A function recorded for arguments of certain types, ready to run.

    Called with trees of the same shape and types as it was recorded for, it returns fresh
    arrays in the tree that the function returned. ``flat`` does the same from the list of
    leaves to the list of leaves, without looking at them; ``graph`` is the graph as recorded.
    """

    graph: Graph
    flat: interpreter.Flat
    in_tree: TreeDef
    out_tree: TreeDef

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        leaves, tree = flatten_call(arguments, keywords)
        if tree != self.in_tree:
            raise UsageError(
                f"{self.graph.name} was compiled for arguments {self.in_tree}, called with {tree}"
            )
        arrays = [np.asarray(leaf) for leaf in leaves]
        for i, (array, x) in enumerate(zip(arrays, self.graph.free_inputs, strict=True)):
            if array.shape != x.type.shape or array.dtype != x.type.dtype:
                raise ShapeError(
                    f"{self.graph.name} was compiled for {x.type} at argument leaf {i}, called "
                    f"with {leaf_type(array)}"
                )
        return self.out_tree.unflatten(self.flat(arrays))


@seldom_collected()
def compile(
    f: Callable[..., Any],
    *args: Any,
    keywords: Mapping[str, Any] = NO_ATTRS,
    executor: ExecutorLike = None,
    threads: int | None = None,
    roll: bool = True,
) -> Compiled:
    """Record ``f`` for arguments of these types and compile it.

    Args:
        f: a function written with NumPy, over trees of arrays.
        args, keywords: trees of arrays, numbers or ``ArrayType``: only their types matter. What
            else they hold is passed to ``f`` as it is.
        executor: ``"native"`` (machine code), ``"numpy"`` (the interpreter), or None for the
            first of them that is installed; ``"xla"`` (JAX), which alone takes a device and a
            precision: ``Executor("xla", device="gpu")``.
        threads: how many share the work in machine code; None for as many as are worth it. The
            result's bits do not depend on it.
        roll: whether Python's loops with equal turns become loops of the program.
    """
    recorded = record(
        f, *args, keywords=keywords, rewrite=stability.rewrite, roller=Roller if roll else None
    )
    if roll and len(recorded.graph.nodes) >= LONG:
        warn(
            f"{recorded.graph.name} was recorded as {len(recorded.graph.nodes)} operations; each "
            "takes time to compile, and they are no loop of equal turns. cr.scan makes one "
            "loop of the program, whatever its length; jit(..., roll=False) says that it is meant",
            UserWarning,
        )
    run = compile_graph(recorded.graph, executor, threads)
    return Compiled(recorded.graph, run, recorded.in_tree, recorded.out_tree)


def code_of(compiled: Compiled) -> str:
    """The code of a compiled function, as LLVM takes it.

    Raises:
        UsageError: its executor makes none.
    """
    code = getattr(compiled.flat, "code", None)
    if code is None:
        raise UsageError(
            'the NumPy executor makes no code to show; jit(f, executor="native") does, where '
            "llvmlite is installed"
        )
    return "\n\n".join(code.texts)


@seldom_collected()
def repeat(
    f: Callable[..., Any],
    carry: Any,
    xs: Any,
    constants: Any,
    executor: ExecutorLike = None,
    threads: int | None = None,
    flush: bool = False,
) -> Any:
    """A loop of ``(ys, carry) = f(carry, x, constants)`` that the executor runs as one call.

    Args:
        carry, xs, constants: trees of arrays or types; ``xs`` is what one step takes.
        executor, threads: as ``compile`` takes them.
        flush: count denormal numbers as 0, where the processor is slow with them.

    Returns:
        A callable on flat lists: ``(carry leaves, xs leaves, constant leaves) -> (ys leaves,
        carry leaves)``, where each of xs and ys has a first axis of steps; None where the
        executor has no such loop, or a step does not return its carry as it got it.
    """
    module = executor_named(executor)
    if not hasattr(module, "repeat"):
        return None
    recorded = record(f, carry, xs, constants, rewrite=stability.rewrite, roller=Roller)
    graph = optimise(recorded.graph)
    count = len(flatten(carry)[0])
    kept = [y.type for y in graph.outputs[len(graph.outputs) - count :]]
    if kept != [x.type for x in graph.inputs[:count]]:
        return None
    return module.repeat(graph, count, len(flatten(xs)[0]), check_threads(threads), flush)


def held(compiled: Compiled) -> interpreter.Flat:
    """``compiled.flat`` with results that stay where they were computed: what training carries
    from step to step. On a device they are its arrays, which ``on_host`` brings here."""
    return getattr(compiled.flat, "kept", compiled.flat)


def on_host(tree: Any) -> Any:
    """A tree of arrays with those that lie on a device as NumPy's."""
    return map_tree(lambda x: x if isinstance(x, np.ndarray) else np.array(x), tree)


def each_device(executor: ExecutorLike) -> list[ExecutorLike]:
    """The executor on each of the devices that it names: of ``device="gpu:*"`` all, of "gpu:0,2"
    two; itself where it names one."""
    wanted = executor_of(executor)
    if wanted is None or wanted.device is None:
        return [executor]
    return executor_named(wanted).each() if wanted.name == "xla" else [executor]


def device_of(executor: ExecutorLike) -> str:
    """The device of an executor that has several, in words; of others nothing."""
    return getattr(executor_named(executor), "device", "")


def taken(array: Any, executor: ExecutorLike) -> Any:
    """An array of another library, which it hands over by DLPack, as this executor takes it: where
    it lies, if the executor computes there.

    Raises:
        UsageError: it lies elsewhere, or has a dtype that the executor has not.
    """
    take = getattr(executor_named(executor), "taken", np.from_dlpack)
    try:
        return take(array)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"an array of {type(array).__module__.partition('.')[0]} cannot be taken as it is "
            f"({error}): bring it to NumPy, or name the executor of its device, "
            'cr.Executor("xla", device="gpu")'
        ) from None


def loop(
    step: Callable[[Any, Any], Any], carry: Any, data: Any, executor: ExecutorLike = None
) -> Any:
    """Run ``carry = step(carry, item)`` over ``data`` on an executor."""
    return executor_named(executor).loop(step, carry, data)


@dataclass(frozen=True, slots=True)
class Runner:
    """Where functions run: ``executor`` and ``threads``, as ``compile`` takes them."""

    executor: ExecutorLike = None
    threads: int | None = None

    def __post_init__(self) -> None:
        executor_named(self.executor)
        check_threads(self.threads)

    def compile(self, f: Callable[..., Any], *args: Any) -> Compiled:
        """See ``compile``."""
        return compile(f, *args, executor=self.executor, threads=self.threads)

    def repeat(
        self, f: Callable[..., Any], carry: Any, xs: Any, constants: Any, flush: bool = False
    ) -> Any:
        """See ``repeat``."""
        return repeat(f, carry, xs, constants, self.executor, self.threads, flush)

    def loop(self, step: Callable[[Any, Any], Any], carry: Any, data: Any) -> Any:
        """See ``loop``."""
        return loop(step, carry, data, self.executor)
