"""The plan of a program: which steps it takes, in which order, in which memory.

A step is a group of loop nests that became one function, a product through BLAS, random numbers,
or a call to the interpreter. Nests over the same space join the earliest group that may hold them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chainrule.core.graph import Graph, Node
from chainrule.core.types import Shape
from chainrule.ops.contract import parse_spec
from chainrule.run.native import arena
from chainrule.run.native.affine import Affine, is_outer
from chainrule.run.native.buffers import Buffer, choose, is_called_out, is_short_sum
from chainrule.run.native.loops import collapsed
from chainrule.run.native.nests import Load, Nest, Sites, copy, nests_of
from chainrule.run.native.phases import ALL, FIRST, Access, Footprint, phases, row_of
from chainrule.run.native.philox import COST, Uniform
from chainrule.run.native.products import Product, product_of
from chainrule.run.native.reductions import shared_axis
from chainrule.run.native.threads import WORTH_A_THREAD

ANYWHERE = Affine(-1, ())
"""A position that equals no other: what a gather reads is known only when it runs."""
WIDEST = 24
"""Buffers that one group writes at most: more streams than that slow a loop down."""


@dataclass(eq=False)
class Group:
    """Loop nests that run one after another in one function; those of a stage share loops.

    ``shared`` is the space of those loops if there is one stage, ``axis`` the axis of it along
    which threads share them, ``positions`` all that each nest reads and writes there.
    """

    stages: list[list[Nest]]
    shared: Shape | None = None
    axis: int | None = None
    written: dict[Buffer, Nest] = field(default_factory=dict)
    reads: set[Buffer] = field(default_factory=set)
    positions: dict[Nest, list[Affine]] = field(default_factory=dict)

    def add(self, nest: Nest, reads: set[Buffer]) -> None:
        self.written[nest.out] = nest
        self.reads |= reads


@dataclass(eq=False)
class CallOut:
    """One node that the interpreter computes."""

    node: Node
    inputs: list[Buffer]
    out: Buffer


Step = Group | Product | Uniform | CallOut


@dataclass(frozen=True, slots=True)
class Repeat:
    """How a graph is one step of a loop: inputs are ``carry`` leaves, then ``xs`` leaves of
    which each step takes the next, then constants; outputs are leaves for which each step has
    a place of its own, then the ``carry`` leaves. ``flush``: denormal numbers count as 0."""

    carry: int
    xs: int
    flush: bool = True


@dataclass(eq=False)
class Plan:
    """A program before it is written.

    Attributes:
        memory: buffers of nodes. inputs, outputs: buffers that the caller gives, in order.
        steps: what to do, and phases: after which barrier, in step with it. threads: how many
            at most can share the work. repeat: how it is a step of a loop, if it is.
        arena: bytes of the block that all other buffers share. apart: bytes they would take if
            each had memory of its own.
    """

    graph: Graph
    memory: dict[Node, Buffer]
    inputs: list[Buffer]
    outputs: list[Buffer]
    steps: list[Step]
    threads: int = 1
    phases: list[int] = field(default_factory=list)
    repeat: Repeat | None = None
    arena: int = 0
    apart: int = 0


def make(graph: Graph, repeat: Repeat | None = None, threads: int = 1) -> Plan:
    """The plan of a graph, or of a loop of which it is one step."""
    worth = _work(graph) // WORTH_A_THREAD
    if any(is_called_out(node) for node in graph.nodes):
        worth = 1
    return _Planner(graph, repeat, max(1, min(threads, worth))).plan()


def _work(graph: Graph) -> int:
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


class _Planner:
    def __init__(self, graph: Graph, repeat: Repeat | None, threads: int) -> None:
        self.graph = graph
        self.threads = threads
        self.repeat = repeat
        self.steps: list[Step] = []
        self.made_by: dict[Buffer, int] = {}
        self.by_space: dict[Shape, list[int]] = {}
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
        for node in chosen:
            memory[node] = direct.get(node) or Buffer(node.type, "arena")
        for node in chosen:
            self.step(node, memory[node])
        for y, buffer in zip(graph.outputs, outputs, strict=True):
            if memory[y] is buffer.carried:
                buffer.alias = buffer.carried  # what a step does not change
            elif memory[y] is not buffer and y.type.size:
                self.join(copy(buffer, y))
        self._fold()
        plan = Plan(graph, memory, self.inputs, outputs, self.steps, self.threads)
        plan.repeat = self.repeat
        self._place(plan)
        return plan

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
            group.add(nest, {load.buffer for load in self._loads(nest)})
        self._append(group, [out])

    def join(self, nest: Nest) -> None:
        """Put a nest into the first group that can hold it, or a new one."""
        sites = self._sites(nest)
        loads = list(self._loaded(sites))
        reads = {load.buffer for load in loads}
        positions = [*sites.positions(), nest.target]
        earliest = 0
        for load in loads:
            maker = self.made_by.get(load.buffer)
            if maker is None:
                continue
            beside = self._in_register(self.steps[maker], nest, load)
            earliest = max(earliest, maker if beside else maker + 1)
        apart = nest.node is not None and nest.mode == "sum" and is_short_sum(nest.node)
        axis = shared_axis(nest, self.threads) if self.threads > 1 else None
        for position in () if apart else self.by_space.get(nest.space, ()):
            group = self.steps[position]
            if position < earliest or not self._may_hold(group, nest, axis, reads):
                continue
            assert isinstance(group, Group)
            if _keep_order({**group.positions, nest: positions}):
                group.stages[0].append(nest)
                group.add(nest, reads)
                group.positions[nest] = positions
                self.made_by[nest.out] = position
                return
        group = Group([[nest]], nest.space, axis, positions={nest: positions})
        group.add(nest, reads)
        if 0 not in nest.space and not apart:
            self.by_space.setdefault(nest.space, []).append(len(self.steps))
        self._append(group, [nest.out])

    def _may_hold(self, group: Step, nest: Nest, axis: int | None, reads: set[Buffer]) -> bool:
        """Whether a group may take in a nest over its space. With threads, only if they are
        shared out alike; single numbers stay apart, lest one makes the others wait. Sums stay
        apart from loops over a product's result, which the product may take in."""
        if not isinstance(group, Group) or group.axis != axis or len(group.written) >= WIDEST:
            return False
        stores = group.stages[0][0].mode == "store"
        if stores != (nest.mode == "store") and any(map(self._is_product, group.reads)):
            return False
        return self.threads == 1 or axis is not None or not reads.isdisjoint(group.written)

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

    def _loads(self, nest: Nest) -> Iterator[Load]:
        return self._loaded(self._sites(nest))

    def _loaded(self, sites: Sites) -> Iterator[Load]:
        for site in sites.order:
            if isinstance(site, Load):
                yield site
            elif site.node.primitive.name == "gather":
                yield Load(self.memory[site.node.inputs[0]], ANYWHERE)

    def _append(self, step: Step, written: Sequence[Buffer]) -> None:
        for buffer in written:
            self.made_by[buffer] = len(self.steps)
        self.steps.append(step)

    def _fold(self) -> None:
        """Let a product take in the loops that are the first to read its result, and go over
        it by rows and columns: bias and activation, their derivatives."""
        uses: dict[Buffer, list[int]] = {}
        for i, step in enumerate(self.steps):
            for buffer in _touched(step):
                uses.setdefault(buffer, []).append(i)
        gone = set()
        for i, step in enumerate(self.steps):
            if not isinstance(step, Product) or step.nests or not step.tiled:
                continue
            result = step.out.buffer
            reader, *later = [j for j in uses[result] if j > i] or [-1]
            group = self.steps[reader]
            if reader < 0 or not isinstance(group, Group) or not self._folds(step, group):
                continue
            kept = bool(later) or result.place != "arena" or result.carried is not None
            self.steps[reader] = step.folded(group.stages[0], group.reads, kept)
            gone.add(i)
        self.steps = [step for i, step in enumerate(self.steps) if i not in gone]

    def _folds(self, product: Product, group: Group) -> bool:
        m, n, _ = product.size
        if group.shared != (m, n) or (product.shared == "rows") != (group.axis == 0):
            return False
        here = Affine(0, (n, 1))
        return all(nest.mode == "store" for nest in group.stages[0]) and all(
            load.buffer is not product.out.buffer or load.position == here
            for nest in group.stages[0]
            for load in self._loads(nest)
        )

    def _place(self, plan: Plan) -> None:
        """Order the steps by phases, and give every buffer of the arena its offset; what one
        group alone uses, a register.

        With threads, a buffer lives for whole phases: within one they are not in step.
        """
        first, last = _lives(plan.steps)
        for buffer in plan.outputs:
            if buffer.carried is not None and buffer.alias is None and buffer in first:
                self._alias(buffer, first, last)
        plan.phases = [0] * len(plan.steps)
        if self.threads > 1:
            found = phases([self._footprint(step) for step in plan.steps])
            order = sorted(range(len(found)), key=found.__getitem__)
            plan.steps = [plan.steps[i] for i in order]
            plan.phases = sorted(found)
        first, last = _lives(plan.steps)
        for buffer in plan.outputs:
            if buffer.carried is not None and buffer.alias is None and buffer in first:
                last[buffer] = len(plan.steps)  # where what has no alias is copied
        rooms = []
        for buffer, start in first.items():
            if buffer.place != "arena" or buffer.alias is not None:
                continue
            if last[buffer] == start and _stays_inside(plan.steps[start], buffer):
                buffer.place = "local"
            else:
                rooms.append(buffer)
        times = [*plan.phases, len(plan.steps)] if self.threads > 1 else range(len(plan.steps) + 1)
        lives = [arena.Life(b.type.nbytes, times[first[b]], times[last[b]]) for b in rooms]
        offsets, plan.arena = arena.plan(lives)
        plan.apart = sum(arena.padded(life.size) for life in lives)
        for buffer, offset in zip(rooms, offsets, strict=True):
            buffer.offset = offset

    def _footprint(self, step: Step) -> Footprint:
        """How threads touch each buffer in a step."""
        found: Footprint = {}

        def touch(buffer: Buffer, row: int, rows: int, writes: bool) -> None:
            found.setdefault(buffer.alias or buffer, []).append(Access(row, rows, writes))

        def touch_loops(nests: Sequence[Nest], axis: int) -> None:
            for nest in nests:
                rows = nest.space[axis]
                touch(nest.out, row_of(nest.target, nest.space, axis), rows, True)
                for load in self._loads(nest):
                    anywhere = load.position is ANYWHERE
                    row = ALL if anywhere else row_of(load.position, nest.space, axis)
                    touch(load.buffer, row, rows, False)

        if isinstance(step, (Product, Uniform)) and step.shared:
            for buffer, row, writes in step.rows_of():
                touch(buffer, row, step.shares, writes)
            if isinstance(step, Product):
                touch_loops(step.nests, 0)
        elif isinstance(step, Group) and step.axis is not None:
            touch_loops(step.stages[0], step.axis)
        else:
            for buffer in _touched(step):
                touch(buffer, FIRST, 0, True)
        return found

    def _alias(self, buffer: Buffer, first: dict[Buffer, int], last: dict[Buffer, int]) -> None:
        """Let a carried result overwrite its input, if by then that was read for the last time,
        or is read in the same loop, at the same place, before the new number is stored."""
        old, start = buffer.carried, first[buffer]
        assert old is not None
        if last.get(old, -1) > start:
            return
        if last.get(old, -1) == start:
            nests = _loops_of(self.steps[start])
            writer = next((nest for nest in nests if nest.out is buffer), None)
            if writer is None or writer.mode != "store" or old in _operands(self.steps[start]):
                return
            loads = [x for nest in nests for x in self._loads(nest) if x.buffer is old]
            if any(x.position != writer.target for x in loads):
                return
        buffer.alias = old


def _keep_order(positions: dict[Nest, list[Affine]]) -> bool:
    """Whether each sum of floats, in the loops of all these nests, has the order it has alone:
    bits must not depend on what else shares its loops, which threads change."""
    together = [p for some in positions.values() for p in some]
    return all(
        _summed(nest, own) == _summed(nest, together)
        for nest, own in positions.items()
        if nest.mode == "sum" and nest.out.type.is_float
    )


def _summed(nest: Nest, positions: Sequence[Affine]) -> list[list[int]]:
    """The runs of axes that one loop each adds up, where these are all positions."""
    runs = collapsed(nest.space, positions, None)
    return [run for run in runs if not nest.target.factors[run[-1]]]


def _lives(steps: Sequence[Step]) -> tuple[dict[Buffer, int], dict[Buffer, int]]:
    """The first and the last step that touch each buffer."""
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for i, step in enumerate(steps):
        for buffer in _touched(step):
            first.setdefault(buffer, i)
            last[buffer] = i
    return first, last


def _stays_inside(step: Step, buffer: Buffer) -> bool:
    """Whether what a step alone makes and reads can stay in a register."""
    return any(nest.out is buffer and nest.mode == "store" for nest in _loops_of(step))


def _loops_of(step: Step) -> Sequence[Nest]:
    """The loops of a step that share a space, element by element."""
    if isinstance(step, Group):
        return step.stages[0] if step.shared is not None else ()
    return step.nests if isinstance(step, Product) else ()


def _operands(step: Step) -> tuple[Buffer, ...]:
    """What a step reads beside its loops."""
    return (step.left.buffer, step.right.buffer) if isinstance(step, Product) else ()


def _touched(step: Step) -> set[Buffer]:
    if isinstance(step, Group):
        return {*step.written, *step.reads}
    if isinstance(step, Product):
        return step.touched
    if isinstance(step, Uniform):
        return {step.key, step.out}
    return {*step.inputs, step.out}
