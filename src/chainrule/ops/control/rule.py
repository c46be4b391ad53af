"""The derivative of a loop, by differentiating its body: a loop in the other direction, or the
same loop with tangents beside its carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, ClassVar

from chainrule.autodiff import pullback, pushforward
from chainrule.core.body import Body, carve, replay, standing_for
from chainrule.core.node import Node
from chainrule.core.recording import Recording
from chainrule.core.rules import Elementwise, Rule, Tangents, Transpose, add
from chainrule.core.traced import Traced
from chainrule.errors import DerivativeError
from chainrule.ops.contract import parse_spec
from chainrule.ops.control.loop import Loop, bundled, item_of
from chainrule.ops.structure import scatter_add

MOVING = frozenset(
    ("reshape", "transpose", "broadcast", "slice", "select", "cast", "identity", "stop_gradient",
     "custom", "concatenate", "place", "gather", "iota", "require")
)  # fmt: skip
"""What only moves numbers. With element-wise operations it is done again on the way back, from
what is stored: that costs less than memory does. Sums, products and the like are stored."""


def literal(node: Node) -> bool:
    """Whether a constant is made again in each body that reads it: it takes no memory there."""
    return not node.inputs or node.primitive.name in ("broadcast", "iota", "cast", "reshape")


@dataclass(frozen=True, slots=True)
class LoopRule(Rule):
    """The derivative of a loop is stated by differentiating its body."""

    is_linear: ClassVar[bool] = False

    def pull(self, node: Node, g: Traced, wanted: Sequence[int]) -> Sequence[Any]:
        return _Backward(node, g, wanted).cotangents()

    def push(self, node: Node, tangents: Tangents, transpose: Transpose) -> Traced | None:
        recording = next(t for t in tangents if t is not None).recording
        return _pushed(node, tangents, recording)


class _Again:
    """One turn of a loop, recorded again on inputs of its own. ``named``: the consts that get a
    new name, so that all there is to visit is recorded from here on."""

    def __init__(self, node: Node, recording: Recording, named: Sequence[int]) -> None:
        self.recording, self.loop = recording, Loop.of(node)
        loop = self.loop
        outer = [Traced(x, recording) for x in loop.consts]
        self.consts = [recording.fresh(x) if i in named else x for i, x in enumerate(outer)]
        inside = loop.body.inputs[len(outer) :]
        inputs = [recording.input(x.type, name=loop.body.names.get(x, "")) for x in inside]
        self.carry, self.xs = inputs[: len(loop.carry)], inputs[len(loop.carry) :]
        self.new = replay(loop.body, recording, [*self.consts, *inputs])
        self.outputs = [self.new[y] for y in loop.body.outputs]

    def extended(self, parameters: Sequence[Traced], outputs: Sequence[Traced]) -> Body:
        """The body with more parameters and other outputs, sharing all that it has."""
        return carve(
            self.recording,
            [x.node for x in parameters],
            [y.node for y in outputs],
            standing_for(self.new),
            literal,
            dict(zip(self.loop.body.inputs, self.loop.consts, strict=False)),
            self.loop.body.name,
        )


# reverse mode -------------------------------------------------------------------------------


class _Backward:
    """The loop that pulls cotangents back, turn by turn from the last to the first.

    Its carry is the cotangent of the carry, and what the cotangents of consts add up to.
    """

    def __init__(self, node: Node, g: Traced, wanted: Sequence[int]) -> None:
        self.recording = recording = g.recording
        self.node = node
        loop = Loop.of(node)
        if loop.length is None:
            raise DerivativeError(
                "a while_loop whose number of turns is not bounded cannot be differentiated in "
                "reverse mode, which stores each turn: give bound=, or use cr.jvp"
            )
        first = len(loop.consts)
        self.of_consts = [i for i in wanted if i < first and loop.consts[i].type.is_float]
        self.of_xs = [
            k for k, x in enumerate(loop.xs) if first + len(loop.carry) + k in wanted
            and x.type.is_float
        ]  # fmt: skip
        self.wanted = wanted
        self.again = _Again(node, recording, self.of_consts)
        self.loop = loop
        places = g.node.attrs["places"]
        self.given = {i: Traced(x, recording) for i, x in zip(places, g.node.inputs, strict=True)}

    def cotangents(self) -> list[Traced | None]:
        loop, again, recording = self.loop, self.again, self.recording
        count = len(loop.carry)
        moving = [i for i, x in enumerate(loop.carry) if x.type.is_float]
        of_ys = [i for i in self.given if i >= count]
        of_carry = {i: recording.input(loop.carry[i].type) for i in moving}
        each = {i: recording.input(again.outputs[i].type) for i in of_ys}
        arriving = {**of_carry, **each}
        wrt = [again.consts[i] for i in self.of_consts]
        wrt += [again.carry[i] for i in moving] + [again.xs[k] for k in self.of_xs]
        found = pullback([again.outputs[i] for i in arriving], list(arriving.values()), wrt)
        shares = dict(zip(self.of_consts, found, strict=False))
        shares = {i: share for i, share in shares.items() if share is not None}
        rest = found[len(self.of_consts) :]
        written = {i: x for i, x in shares.items() if x.node.primitive is scatter_add}
        sums = {i: recording.input(again.consts[i].type) for i in shares if i not in written}
        carry = [*of_carry.values(), *sums.values()]
        zeros = [recording.zeros(loop.carry[i].type) for i in moving]
        outputs = [
            *[zero if y is None else y for y, zero in zip(rest, zeros, strict=False)],
            *[add(total, shares[i]) for i, total in sums.items()],
        ]
        of_xs = dict(zip(self.of_xs, rest[len(moving) :], strict=True))
        kept = {k: y for k, y in of_xs.items() if y is not None}
        outputs += kept.values()
        for (
            x
        ) in written.values():  # into a table, read by index: all turns write at once, in the end
            outputs += [Traced(part, recording) for part in x.node.inputs]
        start = [self.given.get(i, zero) for i, zero in zip(moving, zeros, strict=True)]
        start += [recording.zeros(total.type) for total in sums.values()]
        xs = [(x, self.given[i]) for i, x in each.items()]
        made = self._loop(carry, xs, outputs, start).emit(recording)[int(loop.stops) :]
        result: dict[int, Traced] = dict(zip([*[len(loop.consts) + i for i in moving], *sums],
                                             made, strict=False))  # fmt: skip
        first = len(loop.consts) + count
        result |= dict(zip([first + k for k in kept], made[len(carry) :], strict=False))
        parts = iter(made[len(carry) + len(kept) :])
        for i, x in written.items():
            every = [next(parts) for _ in x.node.inputs]
            result[i] = recording.emit(scatter_add, every, dict(x.node.attrs))
        return [result.get(i) for i in self.wanted]

    def _loop(
        self,
        carry: list[Traced],
        xs: list[tuple[Traced, Traced]],
        outputs: list[Traced],
        start: list[Traced],
    ) -> Loop:
        """The backward loop, and the forward one that stores what it reads."""
        recording, loop, again = self.recording, self.loop, self.again
        stored = self._stored([*carry, *[x for x, _ in xs]], outputs)
        if loop.stops:  # as many turns as there were
            left = recording.input(self.turns().type)
            carry, outputs, start = [left, *carry], [left - 1, *outputs], [self.turns(), *start]
        parameters = [x.node for x in carry]
        taken: list[Traced] = []
        for x, outer in zip(again.xs, loop.xs, strict=True):
            if x.node in stored:
                parameters.append(x.node)
                taken.append(Traced(outer, recording))
        kept = [x for x in stored if x not in {y.node for y in again.xs}]
        if kept:
            storing = again.extended(
                [*again.carry, *again.xs],
                [*again.outputs, *[Traced(x, recording) for x in kept]],
            )
            consts = storing.consts
            outer = [[Traced(x, recording) for x in row] for row in (loop.carry, loop.xs)]
            forward = replace(loop, body=storing.graph, consts=consts, carry=outer[0], xs=outer[1])
            parameters += kept
            taken += forward.emit(recording)[len(again.outputs) :]
        parameters += [x.node for x, _ in xs]
        taken += [outer for _, outer in xs]
        nodes = [y.node for y in outputs]
        name = f"{loop.body.name}_back"
        body = carve(recording, parameters, nodes, {}, literal, {}, name)
        back = replace(loop, body=body.graph, consts=body.consts, carry=start, xs=taken)
        return replace(back, reverse=not loop.reverse)

    def turns(self) -> Traced:
        """The number of turns of a loop that stops."""
        first = self.loop.carry[0]
        if first.type.dtype.kind != "b":
            return Traced(first, self.recording)
        return item_of(Traced(self.node, self.recording), 1)

    def _stored(self, arriving: Sequence[Traced], outputs: Sequence[Traced]) -> list[Node]:
        """What the backward loop reads of a turn, in order: entries of xs, the carry, and, unless
        it is computed again, what is dear."""
        again = self.again
        parameters = {x.node for x in (*again.carry, *again.xs)}
        floor = min((x.serial for x in parameters), default=self.recording.serial + 1)
        backward = {x.node for x in arriving}
        order: dict[Node, None] = {}
        stack = [y.node for y in outputs]
        while stack:
            node = stack.pop()
            if node in order or node.serial < floor:
                continue
            order[node] = None
            stack.extend(node.inputs)
        inside = set(parameters)
        for node in sorted(order, key=attrgetter("serial")):
            if not backward.isdisjoint(node.inputs):
                backward.add(node)
            elif not inside.isdisjoint(node.inputs):
                inside.add(node)
        # what is stored so that each can be computed again
        needs: dict[Node, dict[Node, None]] = {}
        for node in sorted(inside & order.keys(), key=attrgetter("serial")):
            needs[node] = {node: None}
            if node in parameters or (is_dear(node) and not self.loop.recompute):
                continue
            needed = dict.fromkeys(x for y in node.inputs if y in needs for x in needs[y])
            apart = self.loop.recompute or not parameters.isdisjoint(needed)
            if apart or sum(x.type.size for x in needed) <= node.type.size:
                needs[node] = needed  # else it is a sum of products or the like, stored instead
        read = [x for y in order if y in backward for x in y.inputs if x in inside]
        read += [y.node for y in outputs if y.node in inside]
        found = dict.fromkeys(x for y in read for x in needs[y])
        return sorted(found, key=attrgetter("serial"))


def moves(node: Node) -> bool:
    """Whether a node only moves numbers."""
    return node.primitive.name in MOVING


def is_dear(node: Node) -> bool:
    """Whether a value is stored rather than computed again."""
    if isinstance(node.primitive.rule, Elementwise) or moves(node):
        return False
    if node.primitive.name == "contract":
        left, right, out = parse_spec(node.attrs["spec"])
        return not set(left + right) <= set(out)
    return node.primitive.rule is not None


# forward mode -------------------------------------------------------------------------------


def _pushed(node: Node, tangents: Tangents, recording: Recording) -> Traced | None:
    """The same loop with the tangents of its carry beside it."""
    loop = Loop.of(node)
    first, count = len(loop.consts), len(loop.carry)
    of_consts = {i: t for i, t in enumerate(tangents[:first]) if t is not None}
    of_xs = {k: t for k, t in enumerate(tangents[first + count :]) if t is not None}
    start = {i: t for i, t in enumerate(tangents[first : first + count]) if t is not None}
    while True:
        again = _Again(node, recording, list(of_consts))
        of_carry = {i: recording.input(t.type) for i, t in start.items()}
        entries = {k: recording.input(again.xs[k].type) for k in of_xs}
        wrt = [again.consts[i] for i in of_consts] + [again.carry[i] for i in of_carry]
        wrt += [again.xs[k] for k in entries]
        moving = [*of_consts.values(), *of_carry.values(), *entries.values()]
        found = pushforward(again.outputs, wrt, moving)
        more = [i for i, t in enumerate(found[:count]) if t is not None and i not in start]
        if not more:
            break
        start |= {i: recording.zeros(loop.carry[i].type) for i in more}
    tangent = [
        found[i] if found[i] is not None else recording.zeros(loop.carry[i].type) for i in start
    ]
    moved = {i: t for i, t in enumerate(found[count:]) if t is not None}
    parameters = [*again.carry, *of_carry.values(), *again.xs, *entries.values()]
    outputs = [*again.outputs[:count], *tangent, *moved.values()]
    body = again.extended(parameters, outputs)  # type: ignore[arg-type]
    outer = [[Traced(x, recording) for x in row] for row in (loop.carry, loop.xs)]
    carry, xs = [*outer[0], *start.values()], [*outer[1], *of_xs.values()]
    pushed = replace(loop, body=body.graph, consts=body.consts, carry=carry, xs=xs)
    made = pushed.emit(recording)
    places = [*start, *[count + i for i in moved]]
    parts = dict(zip(places, made[count:], strict=True))
    return bundled(parts, node.type, recording) if parts else None  # type: ignore[arg-type]
