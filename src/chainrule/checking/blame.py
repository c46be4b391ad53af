"""Which operation's own rule is to blame: each checked alone, where it stands, first to last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.checking.numeric import Slope, complex_step, differences
from chainrule.checking.running import is_analytic
from chainrule.checking.verdicts import Entry, Tolerance, judged
from chainrule.core.graph import Graph
from chainrule.core.node import INPUT, Node
from chainrule.core.recording import Recording, quiet

Values = Sequence[Any]


@dataclass(frozen=True, eq=False)
class Blame:
    """An operation whose rule is wrong: its name, the argument, where it was written, and the
    slope along a random direction that its rule gives beside the true one."""

    operation: str
    argument: int
    place: str
    entry: Entry

    def __str__(self) -> str:
        e = self.entry
        where = f" at {self.place}" if self.place else ""
        return (
            f"{self.operation}{where}: along a random direction of its argument "
            f"{self.argument + 1} its rule gives {e.given:.6g}, its values {e.true:.6g} ± "
            f"{e.error:.0e}"
        )


def first_wrong_rule(graph: Graph, recording: Recording) -> Blame | None:
    """The first node, in the order in which values are computed, whose rule does not agree with
    its values. The recording that the graph is of must be open and have values."""
    moving = {x for x in graph.free_inputs if x.type.is_float}
    for node in graph.nodes:
        if node.primitive is INPUT or moving.isdisjoint(node.inputs) or not node.type.is_float:
            continue
        if node.primitive.decree == "stopped":
            continue
        moving.add(node)
        if node.primitive.rule is None:
            continue
        for i, x in enumerate(node.inputs):
            if x in moving:
                entry = local_check(node, i, recording, graph)
                if entry is not None and entry.verdict == "wrong":
                    places = graph.origins.get(node, [])
                    place = f"{places[0].file}:{places[0].line}" if places else ""
                    return Blame(_shown(node), i, place, entry)
    return None


def _shown(node: Node) -> str:
    rule = node.attrs.get("rule")
    if isinstance(rule, str):
        return f"the custom gradient of {rule.partition('#')[0]}"
    return node.primitive.name


def local_check(
    node: Node, i: int, recording: Recording, graph: Graph | None = None, seed: int = 0
) -> Entry | None:
    """The rule of one node for argument ``i``, along a random direction, beside its values."""
    rng = np.random.default_rng(seed)
    values = [recording.values[x] for x in node.inputs]
    y = recording.values[node]
    x = values[i]
    if not x.size or not np.asarray(y).size:
        return None
    g = rng.uniform(0.5, 1.0, y.shape) * rng.choice((-1.0, 1.0), y.shape)
    typical = np.maximum(np.abs(x), np.sqrt(np.mean(np.square(x, dtype=float))) or 1.0)
    t = typical * rng.uniform(0.5, 1.0, x.shape) * rng.choice((-1.0, 1.0), x.shape)
    with recording.deriving():
        cotangent = recording.capture(g.astype(y.dtype))
        pulled = node.primitive.rule.pull_one(node, cotangent, i)
    given = 0.0 if pulled is None else float(np.sum(recording.values[pulled.node] * t))
    if not np.isfinite(given):
        return None
    forward = _forward(node, i, recording, graph)
    low = y.dtype == np.float32

    def at(h: complex) -> complex:
        with quiet():
            moved = np.asarray(x.astype(float) + h * t)
            return np.sum(g * np.asarray(forward(moved))).item()

    slope: Slope | None = None
    if _takes_complex(node, graph):
        try:
            slope = complex_step(at, 1.0)
        except (TypeError, ValueError, ArithmeticError, np.linalg.LinAlgError):
            slope = None
    if slope is None:
        slope = differences(lambda hs: [float(np.real(at(h))) for h in hs], 0.1)
    size = float(np.sum(np.abs(g * y)))
    return judged((), given, slope, abs(slope.value), Tolerance(4 if low else 8, size), 1.0)


def _takes_complex(node: Node, graph: Graph | None) -> bool:
    if node.primitive.decree == "stated":
        return graph is not None and is_analytic(graph)
    return node.primitive.is_analytic(node.attrs)


def _forward(
    node: Node, i: int, recording: Recording, graph: Graph | None
) -> Callable[[np.ndarray], Any]:
    """The value of a node for another value of its argument ``i``."""
    values: list[Any] = [
        v.astype(float) if v.dtype == np.float32 else v
        for v in (recording.values[x] for x in node.inputs)
    ]
    if node.primitive.decree == "stated" and graph is not None:
        # The first argument is the stopped value, which was computed from the others.
        source, start = node.inputs[0].inputs[0], node.inputs[i]
        order = [n for n in graph.nodes if start.serial < n.serial <= source.serial]

        def through(moved: np.ndarray) -> Any:
            known: dict[Node, Any] = {start: moved}
            for n in order:
                if n.primitive.decree != "stopped" and not known.keys().isdisjoint(n.inputs):
                    given = [known.get(x, recording.values[x]) for x in n.inputs]
                    known[n] = n.primitive.forward(*given, **n.attrs)
            return known.get(source, recording.values[source])

        return through

    def plain(moved: np.ndarray) -> Any:
        return node.primitive.forward(*values[:i], moved, *values[i + 1 :], **node.attrs)

    return plain
