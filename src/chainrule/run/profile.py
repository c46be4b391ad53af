"""Where a program's time goes: step by step, by the user's lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from chainrule.compile import Roller, optimise, stability
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, INPUT, NO_ATTRS, Node
from chainrule.core.record import flatten_call, record
from chainrule.run import executor_named, name_of
from chainrule.run.settings import ExecutorLike

ROUNDS = 20
"""Calls that are measured; of each step the median counts."""


@dataclass(frozen=True, slots=True)
class StepTime:
    """One step of a program: its seconds, the operations that it computes, and the user's lines
    that they come from. In machine code a step is a set of loops that run together."""

    seconds: float
    operations: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Profile:
    """The steps of a program in the order in which they run; prints as a table."""

    name: str
    executor: str
    steps: tuple[StepTime, ...]

    @property
    def seconds(self) -> float:
        """Of all steps; a call takes longer by what is around them."""
        return sum(step.seconds for step in self.steps)

    def by_line(self) -> dict[str, float]:
        """Seconds by the user's lines, most first. A step of several lines counts in equal
        parts for each."""
        found: dict[str, float] = {}
        for step in self.steps:
            for line in step.lines:
                found[line] = found.get(line, 0.0) + step.seconds / len(step.lines)
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def __str__(self) -> str:
        title = f"{self.name}, executor {self.executor}: {self.seconds * 1e6:.1f} microseconds"
        rows = [
            f"  {step.seconds * 1e6:10.2f}  {_counted(step.operations)}\n"
            + "".join(f"{'':14}{line}\n" for line in step.lines)
            for step in self.steps
        ]
        return f"{title} in {len(self.steps)} steps\n{''.join(rows)}"


def _counted(names: Iterable[str]) -> str:
    counts = Counter(names)
    return ", ".join(name if n == 1 else f"{n} x {name}" for name, n in counts.items())


def profile(
    f: Callable[..., Any],
    *args: Any,
    keywords: Mapping[str, Any] = NO_ATTRS,
    executor: ExecutorLike = None,
) -> Profile:
    """Record, compile and run ``f``, on one thread, and say how long each step took.

    Args:
        f, args, keywords, executor: as ``compile`` takes them, with numbers, not types.
    """
    recorded = record(f, *args, keywords=keywords, rewrite=stability.rewrite, roller=Roller)
    graph, module = optimise(recorded.graph), executor_named(executor)
    run = module.clocked(graph)
    arrays = [np.asarray(leaf) for leaf in flatten_call(args, keywords)[0]]
    rounds = [run(arrays) for _ in range(ROUNDS + 1)][1:]  # the first time is cold
    lines = _lines(graph)
    steps = tuple(
        StepTime(median(times), *_described(nodes, lines))
        for nodes, *times in zip(run.nodes, *rounds, strict=True)
    )
    return Profile(graph.name, name_of(executor), steps)


def _described(
    nodes: Iterable[Node], lines: Mapping[Node, Sequence[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The operations of these nodes, and the lines that they come from."""
    computed = [node for node in nodes if node.primitive not in (INPUT, CONSTANT)]
    found = dict.fromkeys(line for node in computed for line in lines[node])
    return tuple(node.primitive.name for node in computed), tuple(found)


def _lines(graph: Graph) -> dict[Node, Sequence[str]]:
    """The user's lines that each node comes from. What the backward pass or a rewrite made has
    no line: it takes that of the earliest node that it reads, in the forward pass if one is."""
    found: dict[Node, Sequence[str]] = {}
    for node in graph.nodes:
        own = [f"{o.file}:{o.line} in {o.function}" for o in graph.origins.get(node, ())]
        known = sorted((x for x in node.inputs if found[x]), key=lambda x: x.serial)
        found[node] = own or (found[known[0]] if known else ())
    return found
