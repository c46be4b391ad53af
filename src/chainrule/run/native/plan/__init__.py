"""The plan of a program: which steps it takes, in which order, in which memory.

A step is a group of loop nests that became one function, a matrix product, random numbers,
or a call to the interpreter.
"""

from __future__ import annotations

import math

from chainrule.core.graph import Graph
from chainrule.core.node import Node
from chainrule.ops.contract import parse_spec
from chainrule.run.native.plan.buffers import NESTED, is_called_out
from chainrule.run.native.plan.folding import fold
from chainrule.run.native.plan.grouping import group
from chainrule.run.native.plan.placing import place
from chainrule.run.native.plan.steps import (
    CallOut,
    Group,
    InnerLoop,
    Plan,
    Product,
    Repeat,
    Step,
    Uniform,
)
from chainrule.run.native.plan.uniform import COST

__all__ = ["CallOut", "Group", "InnerLoop", "Plan", "Product", "Repeat", "Step", "Uniform", "make"]

WORTH_A_THREAD = 500_000
"""Additions, about, that a step of a loop takes for each thread it gets: with less, it costs as
much to hand numbers from one processor's cache to the other's as is saved."""
WORTH_SHARING = 200_000
"""The same where no step writes what the next one reads."""
WORTH_STARTING = 500_000
"""Additions, about, of a call that repays the start of threads, if they sleep: some 50
microseconds' and as much again, as its parts must be even."""


def make(graph: Graph, repeat: Repeat | None = None, threads: int = 1) -> Plan:
    """The plan of a graph, or of a loop of which it is one step."""
    carries = repeat is not None and repeat.carry
    worth = work(graph) // (WORTH_A_THREAD if carries else min(WORTH_SHARING, WORTH_A_THREAD))
    if any(is_called_out(node) or node.primitive.name in NESTED for node in graph.nodes):
        worth = 1
    plan = group(graph, repeat, max(1, min(threads, worth)), make)
    fold(plan)
    place(plan)
    return plan


def work(graph: Graph) -> int:
    """About how many additions a graph takes; a product's multiply-adds are cheap."""
    total = 0
    for node in graph.nodes:
        total += node.type.size * (COST if node.primitive.name == "random_uniform" else 1)
        if node.primitive.name == "contract":
            total += _multiplications(node) // 8
    return total


def _multiplications(node: Node) -> int:
    left, right, _ = parse_spec(node.attrs["spec"])
    x, y = node.inputs
    return math.prod(dict(zip(left + right, x.type.shape + y.type.shape, strict=True)).values())
