"""A recorded graph as plain data for the JavaScript executor, with sizes left open.

A graph has the sizes it was recorded for. Recorded for two choices of the open sizes, it must be
the same but for them: what differs is then a symbol, and what does not is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from reprlib import repr as shortened
from typing import Any

import numpy as np

from chainrule.compile import optimise, stability
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.core.record import record
from chainrule.core.tree import flatten_with_paths
from chainrule.errors import GraphError

DTYPES = ("float64", "bool", "int64")
"""What a graph may compute in; the executor's numbers are all doubles."""

SAMPLES = ((101, 103), (107, 109), (113, 127), (131, 137), (139, 149))
"""Two values for each open size, which no other size of a program has by chance."""

Sizes = Mapping[str, int]


def program(
    f: Callable[[Any], Any], argument: Callable[[Sizes], Any], open_sizes: Sequence[str] = ()
) -> dict[str, Any]:
    """``f``, recorded and taken through the passes of ``jit``, as plain data.

    Args:
        f: a function of one tree of arrays that returns a tree.
        argument: that tree, for given sizes.
        open_sizes: names of sizes that stay symbols.

    Returns:
        ``inputs`` and ``outputs``, path -> node, and ``nodes``, each ``[operation, inputs,
        shape, attributes]`` with sizes as numbers or names; a ``constant`` has its numbers as
        the attribute ``value``, or the one that all of them are.

    Raises:
        GraphError: the graph depends on an open size by more than its shapes, or computes in
            another dtype than ``DTYPES``.
    """
    made = []
    for k in (0, 1):
        given = argument({name: SAMPLES[i][k] for i, name in enumerate(open_sizes)})
        recorded = record(f, given, rewrite=stability.rewrite)
        graph = optimise(recorded.graph)
        made.append(listed(graph))
    if len(made[0]) != len(made[1]):
        raise GraphError(f"{graph.name}: its operations depend on the sizes {open_sizes}")
    symbols = dict(zip(SAMPLES, open_sizes, strict=False))
    place = {node: i for i, node in enumerate(graph.nodes)}
    outputs = recorded.out_tree.unflatten(place[y] for y in graph.outputs)
    taken = flatten_with_paths(given)[0]
    return {
        "inputs": {path: place[x] for (path, _), x in zip(taken, graph.free_inputs, strict=True)},
        "outputs": dict(flatten_with_paths(outputs)[0]),
        "nodes": [_joined(a, b, symbols) for a, b in zip(*made, strict=True)],
    }


def listed(graph: Graph) -> list[list[Any]]:
    """The nodes of a graph as plain data, in its order; see ``program``."""
    place = {node: i for i, node in enumerate(graph.nodes)}
    return [_node(node, place, graph) for node in graph.nodes]


def _node(node: Node, place: Mapping[Node, int], graph: Graph) -> list[Any]:
    if node.type.dtype.name not in DTYPES:
        raise GraphError(f"{graph.name}: {node} is not of {', '.join(DTYPES)}")
    hidden = graph.inputs[len(graph.free_inputs) :]
    shape = list(node.type.shape)
    if node.primitive is CONSTANT:
        return ["constant", [], shape, {"value": [_number(node.primitive.forward(**node.attrs))]}]
    if node in hidden:
        values = np.ravel(np.asarray(graph.captures[hidden.index(node)]))
        kept = values[:1] if np.all(values == values[:1]) else values
        return ["constant", [], shape, {"value": [_number(x) for x in kept]}]
    if node.primitive is INPUT:
        return ["input", [], shape, {}]
    attrs = {
        key: list(v) if isinstance(v, tuple) else v
        for key, v in node.attrs.items()
        if key != "shape" or v != node.type.shape
    }
    return [node.primitive.name, [place[x] for x in node.inputs], shape, attrs]


def _number(x: Any) -> float | int | str:
    """JSON has no infinity and no nan."""
    found = float(x)
    return (int(found) if found.is_integer() else found) if np.isfinite(found) else str(found)


def _joined(a: Any, b: Any, symbols: Mapping[tuple[int, int], str]) -> Any:
    """What two recordings have in common, sizes that differ by name."""
    if type(a) is type(b):
        if isinstance(a, list) and len(a) == len(b):
            return [_joined(x, y, symbols) for x, y in zip(a, b, strict=True)]
        if isinstance(a, dict) and a.keys() == b.keys():
            return {key: _joined(a[key], b[key], symbols) for key in a}
        if a == b:
            return a
        if isinstance(a, int) and (a, b) in symbols:
            return symbols[a, b]
    raise GraphError(
        f"a recorded graph has {shortened(a)} for one choice of its sizes, "
        f"{shortened(b)} for another"
    )
