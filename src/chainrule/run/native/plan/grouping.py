"""Which steps a program takes: products, random numbers, call-outs, and groups of loop nests.

Nests over the same space join the earliest group that may hold them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

from chainrule.core.graph import Graph
from chainrule.core.node import Node
from chainrule.core.types import Shape, array_type
from chainrule.ops.control.loop import Loop
from chainrule.run.native.plan.affine import ANYWHERE, Affine, collapsed, is_outer
from chainrule.run.native.plan.buffers import Buffer, choose, cost_of, is_called_out, is_short_sum
from chainrule.run.native.plan.nests import Nest, copy, nests_of, shared_axis
from chainrule.run.native.plan.products import Product, product_of
from chainrule.run.native.plan.sites import Load, Sites, Value
from chainrule.run.native.plan.steps import CallOut, Group, InnerLoop, Plan, Repeat, Step
from chainrule.run.native.plan.uniform import Uniform

WIDEST = 24
"""Buffers that one group writes at most: more streams than that slow a loop down."""
CAREFUL = 96
"""The same where loops have careful forms, most of which stays in registers: a second group would
need in memory what the usual form does without."""
STRAIGHT = 200
"""The same where there is no loop: that a function stays short is all that counts."""
LONGEST = 400
"""Additions, about, in the body of one group: what LLVM does with a function takes longer than
in proportion."""
LOOKED_AT = 32
"""Groups over one space that a nest may join: with more, looking costs more than it gains."""


def group(
    graph: Graph, repeat: Repeat | None, threads: int, make: Callable[[Graph, Repeat], Plan]
) -> Plan:
    """The steps of a graph, in order, without places in memory. ``make`` plans the body of a loop
    inside it."""
    return _Grouping(graph, repeat, threads, make).plan()


class _Grouping:
    def __init__(
        self,
        graph: Graph,
        repeat: Repeat | None,
        threads: int,
        make: Callable[[Graph, Repeat], Plan],
    ) -> None:
        self.graph = graph
        self.make = make
        self.threads = threads
        self.repeat = repeat
        self.steps: list[Step] = []
        self.loads: dict[Nest, list[Load]] = {}
        self.made_by: dict[Buffer, int] = {}
        self.by_space: dict[Shape, list[int]] = {}  # groups with room for more, in order
        inputs = [Buffer(x.type, "input", i) for i, x in enumerate(graph.inputs)]
        self.memory: dict[Node, Buffer] = dict(zip(graph.inputs, inputs, strict=True))
        self.inputs = inputs

    def _outputs(self) -> list[Buffer]:
        outputs = [Buffer(y.type, "output", i) for i, y in enumerate(self.graph.outputs)]
        if self.repeat is None:
            return outputs
        carry, xs = self.repeat.carry, self.repeat.xs
        first = len(outputs) - carry
        for buffer in (*self.inputs[carry : carry + xs], *outputs[:first]):
            buffer.sliced = True
        for buffer, old in zip(outputs[first:], self.inputs[:carry], strict=True):
            buffer.place, buffer.carried = "arena", old
        return outputs

    def plan(self) -> Plan:
        graph, memory = self.graph, self.memory
        given = set(graph.inputs)
        outputs = self._outputs()
        direct: dict[Node, Buffer] = {}
        for y, buffer in zip(graph.outputs, outputs, strict=True):
            if y not in given:
                direct.setdefault(y, buffer)
        chosen = choose(graph)
        loops: dict[Node, dict[int, Buffer]] = {}
        for node in chosen:
            if node.primitive.name == "scan":
                loops[node] = {}
                continue
            memory[node] = direct.get(node) or Buffer(node.type, "arena")
            if node.primitive.name == "item":
                loops[node.inputs[0]][node.attrs["index"]] = memory[node]
        for node in chosen:
            if node in loops:
                self._append(*self._inner(node, loops[node]))
            elif node.primitive.name != "item":
                self.step(node, memory[node])
        for y, buffer in zip(graph.outputs, outputs, strict=True):
            if memory[y] is buffer.carried:
                buffer.alias = buffer.carried  # what a step does not change
            elif memory[y] is not buffer and y.type.size:
                self.join(copy(buffer, y))
        plan = Plan(graph, memory, self.inputs, outputs, self.steps, self.threads)
        plan.repeat, plan.loads = self.repeat, self.loads
        return plan

    def _inner(self, node: Node, results: dict[int, Buffer]) -> tuple[InnerLoop, list[Buffer]]:
        """A loop inside the program, and what it writes."""
        body, carry, xs = node.attrs["body"], node.attrs["carry"], node.attrs["xs"]
        length, first = node.attrs["length"], len(node.inputs) - carry - xs
        stops = Loop.of(node).stops
        repeat = Repeat(carry, xs, False, length or 0, node.attrs["reverse"], stops)
        turned = Graph(
            (*body.inputs[first:], *body.inputs[:first]),
            (*body.outputs[carry:], *body.outputs[:carry]),
            name=body.name,
            origins=body.origins,
        )
        inner = self.make(turned, repeat)
        parts: list[Buffer] = [
            results.get(i) or Buffer(type, "arena")
            for i, type in enumerate(node.type.parts)  # type: ignore[attr-defined]
        ]
        given = [self.memory[x] for x in node.inputs]
        pairs = list(zip(given[first : first + carry], parts, strict=False))
        scratch = Buffer(array_type((inner.arena,), np.dtype(np.uint8)), "arena")
        step = InnerLoop(
            node,
            inner,
            length,
            pairs,
            given[first + carry :],
            given[:first],
            parts[carry:],
            scratch,
        )
        return step, [*parts, scratch]

    def step(self, node: Node, out: Buffer) -> None:
        """Add what computes a node, unless it has no elements."""
        if not node.type.size:
            return
        if is_called_out(node):
            inputs = [self.memory[x] for x in node.inputs]
            self._append(CallOut(node, inputs, out), [out])
            return
        if node.primitive.name == "random_uniform":
            (key,) = node.inputs
            self._append(Uniform(self.memory[key], out, self.threads > 1), [out])
            return
        if node.primitive.name == "contract" and not is_outer(node):
            product = product_of(node, self.memory, self.threads)
            if product is not None:
                self._append(product, [out])
                return
        nests = nests_of(node, out)
        if len(nests) == 1:
            self.join(nests[0])
            return
        group = Group([[nest] for nest in nests])
        for nest in nests:
            loads = self._loaded(nest, self._sites(nest))
            group.add(nest, dict.fromkeys(load.buffer for load in loads))
        self._append(group, [out])

    def join(self, nest: Nest) -> None:
        """Put a nest into the first group that can hold it, or a new one."""
        sites = self._sites(nest)
        loads = self._loaded(nest, sites)
        reads = dict.fromkeys(load.buffer for load in loads)
        positions = [*sites.positions(), nest.target]
        earliest = 0
        for load in loads:
            maker = self.made_by.get(load.buffer)
            if maker is None:
                continue
            beside = self._in_register(self.steps[maker], nest, load)
            earliest = max(earliest, maker if beside else maker + 1)
        values = [site.node for site in sites.order if isinstance(site, Value)]
        work = sum(map(cost_of, values)) if nest.space else len(values)
        careful = any(node.primitive.name == "likely" for node in values)
        apart = nest.node is not None and nest.mode == "sum" and is_short_sum(nest.node)
        axis = shared_axis(nest, self.threads) if self.threads > 1 else None
        known = self.by_space.setdefault(nest.space, [])
        first = bisect_left(known, earliest)
        for i in () if apart else range(first, min(first + LOOKED_AT, len(known))):
            position = known[i]
            group = self.steps[position]
            if not self._may_hold(group, nest, axis, reads):
                continue
            assert isinstance(group, Group)
            if _keep_order(group, nest, positions):
                group.stages[0].append(nest)
                group.add(nest, reads, work, careful)
                group.positions[nest] = positions
                self.made_by[nest.out] = position
                if self._is_full(group):
                    del known[i]
                return
        group = Group([[nest]], nest.space, axis, positions={nest: positions})
        group.add(nest, reads, work, careful)
        if 0 not in nest.space and not apart and not self._is_full(group):
            known.append(len(self.steps))
        self._append(group, [nest.out])

    @staticmethod
    def _is_full(group: Group) -> bool:
        widest = STRAIGHT if group.straight else CAREFUL if group.careful else WIDEST
        return len(group.written) >= widest or group.work >= LONGEST

    def _may_hold(
        self, group: Step, nest: Nest, axis: int | None, reads: dict[Buffer, None]
    ) -> bool:
        """Whether a group may take in a nest over its space. With threads, only if they are
        shared out alike; single numbers stay apart, lest one makes the others wait. Sums stay
        apart from loops over a product's result, which the product may take in."""
        if not isinstance(group, Group) or group.axis != axis:
            return False
        stores = group.stages[0][0].mode == "store"
        if stores != (nest.mode == "store") and any(map(self._is_product, group.reads)):
            return False
        return self.threads == 1 or axis is not None or not group.written.keys().isdisjoint(reads)

    def _is_product(self, buffer: Buffer) -> bool:
        maker = self.made_by.get(buffer)
        return maker is not None and isinstance(self.steps[maker], Product)

    @staticmethod
    def _in_register(maker: Step, nest: Nest, load: Load) -> bool:
        """Whether a load can read what the same loops just computed."""
        if not isinstance(maker, Group) or maker.shared != nest.space:
            return False
        source = maker.written[load.buffer]
        return source.mode == "store" and source.target == load.position

    def _sites(self, nest: Nest) -> Sites:
        sites = Sites(self.memory, nest.rank)
        sites.add(nest.operands, nest.defines(self.memory))
        return sites

    def _loaded(self, nest: Nest, sites: Sites) -> list[Load]:
        """What a nest reads."""
        found = self.loads[nest] = []
        for site in sites.order:
            if isinstance(site, Load):
                found.append(site)
            elif site.node.primitive.name == "gather":
                found.append(Load(self.memory[site.node.inputs[0]], ANYWHERE))
        return found

    def _append(self, step: Step, written: Sequence[Buffer]) -> None:
        for buffer in written:
            self.made_by[buffer] = len(self.steps)
        self.steps.append(step)


def _keep_order(group: Group, nest: Nest, positions: list[Affine]) -> bool:
    """Whether each sum of floats, in the loops of a group and one more nest, has the order it
    has alone: bits must not depend on what else shares its loops, which threads change."""
    nests = {**group.positions, nest: positions}
    sums = [n for n in nests if n.mode == "sum" and n.out.type.is_float]
    if not sums or not nest.space:
        return True
    together = [p for some in nests.values() for p in some]
    return all(_summed(n, nests[n]) == _summed(n, together) for n in sums)


def _summed(nest: Nest, positions: Sequence[Affine]) -> list[list[int]]:
    """The runs of axes that one loop each adds up, where these are all positions."""
    runs = collapsed(nest.space, positions, None)
    return [run for run in runs if not nest.target.factors[run[-1]]]
