"""From a graph to a function that JAX traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from chainrule.core.failures import failed
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, Node
from chainrule.core.record import record
from chainrule.core.recording import quiet
from chainrule.core.types import ArrayType
from chainrule.ops.control.loop import Loop
from chainrule.run.xla.backend import abstract, called_back, jnp, lax
from chainrule.run.xla.faults import Faults
from chainrule.run.xla.rows import CHECKED, RECORDED, ROUNDED, ROWS, WITHOUT_ROW

Lowered = Callable[[Sequence[Any]], list[Any]]


def is_called_out(node: Node) -> bool:
    """Whether the interpreter computes a node in the middle of the program."""
    name = node.primitive.name
    return not any(name in rows for rows in (ROWS, CHECKED, RECORDED, WITHOUT_ROW))


def lower(graph: Graph, faults: Faults, precision: str = "highest") -> Lowered:
    """The graph as a function of the values of all its inputs, captures among them."""
    inputs = set(graph.inputs)
    nodes = [node for node in graph.nodes if node not in inputs]

    def run(inputs: Sequence[Any]) -> list[Any]:
        values: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))
        for node in nodes:
            given = [values[x] for x in node.inputs]
            values[node] = _typed(_value(node, given, faults, precision), node.type)
        return [values[y] for y in graph.outputs]

    return run


def _value(node: Node, given: list[Any], faults: Faults, precision: str) -> Any:
    if node.primitive is CONSTANT:
        return jnp.asarray(node.primitive.forward(**node.attrs))
    if Loop.at(node) is not None:
        return _scan(Loop.of(node, given), faults, precision)
    name = node.primitive.name
    if name in CHECKED:
        return CHECKED[name](faults, node, *given, **node.attrs)
    if name in RECORDED:
        return _recorded(node, given, faults, precision)
    row = (ROUNDED.get(name) if precision == "bf16" else None) or ROWS.get(name)
    return row(*given, **node.attrs) if row else _called_out(node, given, faults)


def _recorded(node: Node, given: list[Any], faults: Faults, precision: str) -> Any:
    """What a primitive's own NumPy makes of these inputs."""
    function = partial(node.primitive.forward, **node.attrs)
    graph = record(function, *[x.type for x in node.inputs]).graph
    return lower(graph, faults, precision)([*given, *graph.captures])[0]


def _typed(value: Any, type: Any) -> Any:
    """JAX's results of the types that graphs have: indices of 64 bits, say."""
    if not isinstance(type, ArrayType) or value.dtype == type.dtype:
        return value
    return value.astype(type.dtype)


def _called_out(node: Node, given: list[Any], faults: Faults) -> Any:
    """Computed by the interpreter; an error waits for the program's end, which JAX would print."""

    def forward(*values: Any) -> np.ndarray:
        try:
            with quiet():
                arrays = [np.asarray(value) for value in values]
                found = node.primitive.forward(*arrays, **node.attrs)
                return np.asarray(found, node.type.dtype)
        except Exception as error:
            faults.raised.append(failed(error, node, faults.graph))
            return np.zeros(node.type.shape, node.type.dtype)

    return called_back(forward, node.type, *given)


def _scan(loop: Loop, faults: Faults, precision: str) -> tuple[Any, ...]:
    """A loop as XLA's own; what fails in a turn is carried on to its end."""
    body, count = lower(loop.body, faults, precision), len(loop.carry)

    def turn(state: Any, entries: Any) -> Any:
        carry, number = state
        faults.start(number)
        found = body([*loop.consts, *carry, *entries])
        return (found[:count], faults.number), found[count:]

    start = (list(loop.carry), faults.number)
    if loop.stops:
        carry, number, ys = _stopping(loop, turn, start)
    else:
        (carry, number), ys = lax.scan(
            turn, start, list(loop.xs), length=loop.length, reverse=loop.reverse
        )
    faults.start(number)
    return (*carry, *ys)


def _stopping(loop: Loop, turn: Callable[..., Any], start: Any) -> tuple[Any, Any, list[Any]]:
    """A loop that stops by its carry: its last carry, the number of a fault, and its ys."""
    made = [y.type for y in loop.body.outputs[len(loop.carry) :]]
    last = start[0][0] - 1 if loop.reverse else 0

    def goes_on(state: Any) -> Any:
        done, ((first, *_), number), _ys = state
        more = (first > 0) & (number == 0)
        return more if loop.length is None else more & (done < loop.length)

    def step(state: Any) -> Any:
        done, inner, ys = state
        at = last - done if loop.reverse else done
        entries = [lax.dynamic_index_in_dim(x, at, keepdims=False) for x in loop.xs]
        inner, row = turn(inner, entries)
        ys = [lax.dynamic_update_index_in_dim(*pair, at, 0) for pair in zip(ys, row, strict=True)]
        return done + 1, inner, ys

    ys = [jnp.zeros((loop.length or 0, *y.shape), y.dtype) for y in made]
    _, (carry, number), ys = lax.while_loop(goes_on, step, (jnp.int64(0), start, ys))
    return carry, number, ys


def types_of(graph: Graph) -> list[Any]:
    """JAX's words for the types of all inputs."""
    return [abstract(x.type) for x in graph.inputs]
