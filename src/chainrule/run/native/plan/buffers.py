"""Which nodes get memory, and which are computed where they are read.

A node needs a buffer when something reads it that cannot compute it on the way (a product, a
call-out, a gather, random numbers), when it is a reduction, or when recomputing it for every
reader would cost more than a load.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.core.types import ArrayType
from chainrule.run.native.numbers.elementwise import lowered
from chainrule.run.native.plan.affine import ALIASES, VIEWS, is_outer, variables, viewed

LOOPS = ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_any", "reduce_all",
         "argmax", "argmin", "gather", "scatter_add", "concatenate", "place", "contract",
         "cumsum", "cumprod", "recurrence", "random_uniform", "put", "write")  # fmt: skip
"""Primitives with loops of their own, whose results always get a buffer."""
NESTED = ("scan", "item")
"""A loop whose body is a graph, and one of its results."""
INLINE = ("select", "cast", "iota", "constant")
TRANSPARENT = frozenset((*VIEWS, *ALIASES))
SHORT_AXIS = 32
RECOMPUTE = 4.0
"""What a value may cost, in additions, to be computed again by each of its readers."""
LONGEST = 150.0
"""What a value may cost that is computed where it is read, so that functions stay short."""


@dataclass(eq=False)
class Buffer:
    """Memory of one array, row-major.

    Attributes:
        place: "input" or "output" (the caller's, ``number``), "arena" (ours, at ``offset``) or
            "local": in a register, inside one loop, with no memory at all.
        sliced: whether a loop over steps moves on by one array each step.
        carried: the input whose next value this is, in a loop; ``alias`` is that input where
            the new value may be written over the old one.
    """

    type: ArrayType
    place: str
    number: int = 0
    offset: int = -1
    sliced: bool = False
    carried: Buffer | None = None
    alias: Buffer | None = None


def is_view(node: Node) -> bool:
    return node.primitive.name in TRANSPARENT


def base_of(node: Node) -> Node:
    """What a chain of views looks at."""
    while is_view(node):
        node = node.inputs[0]
    return node


def is_called_out(node: Node) -> bool:
    """Whether the interpreter computes this node: it has no lowering for these types."""
    name = node.primitive.name
    if node.primitive is INPUT or is_view(node) or name in (*LOOPS, *INLINE, *NESTED):
        return False
    return lowered(node) is None


def divides(node: Node) -> bool:
    """Whether a reshape cannot be an affine index: its argument is then read as memory."""
    if node.primitive.name != "reshape":
        return False
    rank = node.type.ndim
    return viewed(node, variables(rank), rank) is None


def choose(graph: Graph) -> list[Node]:
    """The computed nodes that need buffers, in topological order."""
    wanted: set[Node] = set(graph.outputs)
    for node in graph.nodes:
        wanted.update(_forced(node))
    readers = _readers(graph)
    cost: dict[Node, float] = {}
    for node in graph.nodes:
        if node.primitive is INPUT or node.primitive is CONSTANT:
            cost[node] = 0.0
            continue
        for x in _repeated(node):
            if cost[x] > 0:
                wanted.add(base_of(x))
                cost[x] = 0.0
        cost[node] = cost_of(node) + sum(cost[x] for x in set(node.inputs))
        most = RECOMPUTE if readers[node] > 1 else LONGEST
        if cost[node] > most and not is_view(node):
            wanted.add(node)
        if is_short_sum(node) and cost[node.inputs[0]] > RECOMPUTE:
            wanted.add(base_of(node.inputs[0]))
        if node in wanted:
            cost[node] = 0.0
    return [node for node in graph.nodes if node in wanted and not _is_given(node)]


def cost_of(node: Node) -> float:
    """What a node costs by itself, in additions."""
    if is_view(node):
        return 0.0
    entry = lowered(node)
    return entry.cost if entry else 1.0


def is_short_sum(node: Node) -> bool:
    """A sum along a short last axis. It is added up in order, number by number, so what is
    summed is better computed in a loop of its own, which becomes vectors."""
    if node.primitive.name != "reduce_sum":
        return False
    (x,) = node.inputs
    return x.type.ndim - 1 in node.attrs["axes"] and 1 < x.type.shape[-1] < SHORT_AXIS


def _is_given(node: Node) -> bool:
    return node.primitive is INPUT


def _forced(node: Node) -> Iterable[Node]:
    """What must have a buffer because of this node alone."""
    name = node.primitive.name
    if is_called_out(node) or name in ("random_uniform", "scan"):
        return (node, *node.inputs)
    if divides(node):
        return (node.inputs[0],)
    if name == "gather":
        return (node, node.inputs[0])
    if name == "contract":
        return () if is_outer(node) else (node, *map(base_of, node.inputs))
    return (node,) if name in LOOPS or name == "item" else ()


def _repeated(node: Node) -> Iterable[Node]:
    """What a node that is not in memory reads more than once for each number."""
    name = node.primitive.name
    if name == "broadcast" or (name == "contract" and is_outer(node)):
        return (x for x in node.inputs if x.type.size < node.type.size)
    return ()


def _readers(graph: Graph) -> dict[Node, int]:
    """How many nodes read each, views being transparent."""
    count = dict.fromkeys(graph.nodes, 0)
    for node in reversed(graph.nodes):
        for x in set(node.inputs):
            count[x] += count[node] if is_view(node) else 1
    return count
