"""Loops in a graph: those that do the same turns become one, and what nobody reads is left out.

A derivative leaves two loops where the program has one: the loop as it was recorded, and one that
also stores what the way back reads, or carries tangents. Their bodies share nodes, which shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from chainrule.core.graph import Graph, Origins, ancestors
from chainrule.core.node import INPUT, Node
from chainrule.ops.control.loop import Loop, result_of

Key = tuple[bool, Node]
"""A result of a loop: true and the input of the body that stands for a carry, or false and a y."""


@dataclass(eq=False)
class _Turns:
    """What one or several loops do. Of each input of the body: what it is outside, and, of a carry,
    what it becomes; the ys in order."""

    of: Loop
    consts: dict[Node, Node] = field(default_factory=dict)
    carry: dict[Node, tuple[Node, Node]] = field(default_factory=dict)
    xs: dict[Node, Node] = field(default_factory=dict)
    ys: dict[Node, None] = field(default_factory=dict)
    fixed: dict[Node, Node] = field(default_factory=dict)  # carries that never change

    @staticmethod
    def alone(loop: Loop) -> _Turns:
        inputs, outputs = iter(loop.body.inputs), iter(loop.body.outputs)
        return _Turns(
            loop,
            {next(inputs): x for x in loop.consts},
            {next(inputs): (x, next(outputs)) for x in loop.carry},
            {next(inputs): x for x in loop.xs},
            dict.fromkeys(outputs),
        )

    @property
    def kind(self) -> tuple[Any, ...]:
        return self.of.length, self.of.reverse, self.of.stops

    def takes(self, other: _Turns) -> bool:
        """Join another loop, if it does some of the same on the same."""
        pairs = [(self.consts, other.consts), (self.carry, other.carry), (self.xs, other.xs)]
        both: list[tuple[dict[Node, Any], set[Node]]] = [(a, a.keys() & b.keys()) for a, b in pairs]
        if self.kind != other.kind or not any(shared for _, shared in both[1:]):
            return False
        if any(
            a[x] != b[x] for (a, b), (_, shared) in zip(pairs, both, strict=True) for x in shared
        ):
            return False
        for a, b in pairs:
            a |= b  # type: ignore[arg-type]
        self.ys |= other.ys
        return True

    def reads(self) -> Iterable[Node]:
        """What the loop takes from outside."""
        return (*self.consts.values(), *[x for x, _ in self.carry.values()], *self.xs.values())

    def trim(self, used: set[Key]) -> None:
        """Leave out what does not contribute to the results ``used``; a carry that never changes
        becomes a const."""
        decides = [next(iter(self.carry))] if self.of.stops else []
        for x, (start, y) in list(self.carry.items()):
            if y is x and x not in decides:
                self.fixed[x] = self.consts[x] = start
                del self.carry[x]
        live = {x for x in self.carry if (True, x) in used}
        live.update(decides)
        self.ys = {y: None for y in self.ys if (False, y) in used}
        while True:
            roots = [*[self.carry[x][1] for x in live], *self.ys]
            needed = {x for x in ancestors(roots) if x.primitive is INPUT}
            more = {x for x in needed if x in self.carry} - live
            if not more:
                break
            live |= more
        self.carry = {x: pair for x, pair in self.carry.items() if x in live}
        self.consts = {x: outer for x, outer in self.consts.items() if x in needed}
        self.xs = {x: outer for x, outer in self.xs.items() if x in needed}

    def result(self, key: Key) -> int:
        """Which result this is."""
        is_carry, node = key
        return (
            list(self.carry).index(node)
            if is_carry
            else len(self.carry) + list(self.ys).index(node)
        )

    def loop(self, optimise: Callable[[Graph], Graph]) -> Loop:
        body = self.of.body
        inner = Graph(
            (*self.consts, *self.carry, *self.xs),
            (*[y for _, y in self.carry.values()], *self.ys),
            name=body.name,
            names=body.names,
            origins=body.origins,
        )
        starts = [x for x, _ in self.carry.values()]
        consts, xs = [*self.consts.values()], [*self.xs.values()]
        return replace(self.of, body=optimise(inner), consts=consts, carry=starts, xs=xs)


def tidy(graph: Graph, optimise: Callable[[Graph], Graph], join: bool = True) -> Graph:
    """The graph with its loops joined and trimmed, and their bodies optimised."""
    joined: dict[Node, _Turns] = {}
    for node in graph.nodes:
        loop = Loop.at(node)
        if loop is None:
            continue
        alone = _Turns.alone(loop)
        found = (turns for turns in dict.fromkeys(joined.values()) if join and turns.takes(alone))
        joined[node] = next(found, alone)
    if not joined:
        return graph
    order = _order(graph, joined)
    if order is None:  # of two loops that could be one, one reads what the other made
        return tidy(graph, optimise, join=False)
    keys = {node: _key(node) for node in graph.nodes if result_of(node) is not None}
    for turns in dict.fromkeys(joined.values()):
        turns.trim({key for item, key in keys.items() if joined[item.inputs[0]] is turns})
    return _rebuilt(graph, order, joined, keys, optimise)


def _key(item: Node) -> Key:
    """Which result of a loop this is."""
    node, index = item.inputs[0], item.attrs["index"]
    loop = Loop.of(node)
    if index >= len(loop.carry):
        return False, loop.body.outputs[index]
    return True, loop.body.inputs[len(loop.consts) + index]


def _order(graph: Graph, joined: dict[Node, _Turns]) -> list[Node] | None:
    """All nodes, each after what it reads, joined loops after what any of them reads; None where
    there is no such order."""
    done: dict[Node, bool] = {}  # whether it is done, not only begun
    order: list[Node] = []
    stack = list(reversed(graph.outputs))
    for x in graph.inputs:
        done[x] = True
        order.append(x)
    while stack:
        node = stack[-1]
        if done.get(node):
            stack.pop()
            continue
        if node in done:
            done[node] = True
            order.append(stack.pop())
            continue
        done[node] = False
        for x in joined[node].reads() if node in joined else node.inputs:
            if done.get(x) is False:
                return None
            if x not in done:
                stack.append(x)
    return order


def _rebuilt(
    graph: Graph,
    order: Sequence[Node],
    joined: dict[Node, _Turns],
    keys: dict[Node, Key],
    optimise: Callable[[Graph], Graph],
) -> Graph:
    serials = count(1)
    new: dict[Node, Node] = {}
    made: dict[_Turns, Node] = {}

    def copied(like: Node, inputs: Sequence[Node], **changed: Any) -> Node:
        attrs, type = changed.get("attrs", like.attrs), changed.get("type", like.type)
        return Node(like.primitive, tuple(inputs), attrs, type, next(serials), like.is_constant)

    for node in order:
        turns = joined.get(node)
        if turns is not None:
            if turns not in made and (turns.carry or turns.ys):
                loop = turns.loop(optimise)
                inputs = [new[x] for x in (*loop.consts, *loop.carry, *loop.xs)]
                type = node.primitive.infer(*(x.type for x in inputs), **loop.attrs)
                made[turns] = copied(node, inputs, attrs=loop.attrs, type=type)
            continue
        if node in keys:
            turns, key = joined[node.inputs[0]], keys[node]
            if key[0] and key[1] in turns.fixed:
                new[node] = new[turns.fixed[key[1]]]
            else:
                new[node] = copied(node, [made[turns]], attrs={"index": turns.result(key)})
            continue
        new[node] = copied(node, [new[x] for x in node.inputs])
    of = {**new, **{n: made[turns] for n, turns in joined.items() if turns in made}}
    places = {of[n]: graph.origins.places[n] for n in graph.nodes if n in graph.origins and n in of}
    return Graph(
        inputs=tuple([new[x] for x in graph.inputs]),
        outputs=tuple([new[y] for y in graph.outputs]),
        captures=graph.captures,
        name=graph.name,
        names={new[x]: name for x, name in graph.names.items() if x in new},
        origins=Origins(places),
    )
