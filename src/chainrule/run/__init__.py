"""Running graphs: from a recorded function to a callable, on the executor of choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.compile import optimise
from chainrule.core.graph import Graph
from chainrule.core.record import leaf_type, record
from chainrule.core.tree import flatten
from chainrule.errors import ShapeError, UsageError
from chainrule.run import interpreter

EXECUTORS = {"numpy": interpreter}


def executor_named(name: str | None) -> Any:
    """The executor of this name; None is the default one.

    Raises:
        UsageError: listing the executors there are.
    """
    found = EXECUTORS.get(name or "numpy")
    if found is None:
        raise UsageError(f"no executor is called {name!r}; there are: {', '.join(EXECUTORS)}")
    return found


def compile_graph(graph: Graph, executor: str | None = None) -> interpreter.Flat:
    """The graph, after all passes, as a function from list of arrays to list of arrays."""
    return executor_named(executor).compile(optimise(graph))


def compile(f: Callable[..., Any], *args: Any, executor: str | None = None) -> Callable[..., Any]:
    """Record ``f`` for arguments of these types and return it compiled.

    Args:
        f: a function written with NumPy, over trees of arrays.
        args: arrays, numbers or ``ArrayType``: only their types matter.
        executor: ``"numpy"`` (the interpreter), or None for the default.

    Returns:
        A callable that takes trees of the same shape and types and returns fresh arrays; its
        ``graph`` attribute is the graph as recorded. ``flat`` runs on a list of leaves.
    """
    recorded = record(f, *args)
    run = compile_graph(recorded.graph, executor)
    types = [x.type for x in recorded.graph.free_inputs]

    def compiled(*arguments: Any) -> Any:
        leaves, tree = flatten(arguments)
        if tree != recorded.in_tree:
            raise UsageError(
                f"{recorded.graph.name} was compiled for arguments {recorded.in_tree}, "
                f"called with {tree}"
            )
        return recorded.out_tree.unflatten(run(_checked(leaves, types, recorded.graph.name)))

    compiled.graph = recorded.graph  # type: ignore[attr-defined]
    compiled.flat = run  # type: ignore[attr-defined]
    return compiled


def _checked(leaves: Sequence[Any], types: Sequence[Any], name: str) -> list[np.ndarray]:
    arrays = []
    for position, (leaf, type) in enumerate(zip(leaves, types, strict=True)):
        array = np.asarray(leaf)
        if array.shape != type.shape or array.dtype != type.dtype:
            raise ShapeError(
                f"{name} was compiled for {type} at argument leaf {position}, "
                f"called with {leaf_type(array)}"
            )
        arrays.append(array)
    return arrays


def loop(
    step: Callable[[Any, Any], Any], carry: Any, data: Any, executor: str | None = None
) -> Any:
    """Run ``carry = step(carry, item)`` over ``data`` on an executor."""
    return executor_named(executor).loop(step, carry, data)
