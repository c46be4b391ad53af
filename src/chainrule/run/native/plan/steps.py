"""What a program is made of: its steps, and the plan that orders them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.core.graph import Graph
from chainrule.core.node import Node
from chainrule.core.types import Shape
from chainrule.run.native.plan.affine import Affine
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.nests import Nest
from chainrule.run.native.plan.products import Product
from chainrule.run.native.plan.sites import Load, Sites, Value
from chainrule.run.native.plan.uniform import Uniform


@dataclass(eq=False)
class Group:
    """Loop nests that run one after another in one function; those of a stage share loops.

    ``shared`` is the space of those loops if there is one stage, ``axis`` the axis of it along
    which threads share them, ``positions`` all that each nest reads and writes there, ``work``
    what their body costs, in additions, ``careful`` whether it asks for what is likely.
    """

    stages: list[list[Nest]]
    shared: Shape | None = None
    axis: int | None = None
    written: dict[Buffer, Nest] = field(default_factory=dict)
    reads: dict[Buffer, None] = field(default_factory=dict)
    positions: dict[Nest, list[Affine]] = field(default_factory=dict)
    work: float = 0.0
    careful: bool = False

    def add(
        self, nest: Nest, reads: dict[Buffer, None], work: float = 0.0, careful: bool = False
    ) -> None:
        self.written[nest.out] = nest
        self.reads |= reads
        self.work += work
        self.careful |= careful

    @property
    def straight(self) -> bool:
        """Whether there is no loop."""
        return self.shared == ()


@dataclass(eq=False)
class CallOut:
    """One node that the interpreter computes."""

    node: Node
    inputs: list[Buffer]
    out: Buffer


@dataclass(eq=False)
class InnerLoop:
    """A loop inside the program: the plan of its body, which runs again and again.

    ``carry`` are where its first carry lies, and where the body finds it in each turn; ``xs``,
    ``consts`` and ``ys`` the arrays around it, ``scratch`` the memory of a turn.
    """

    node: Node
    body: Plan
    length: int | None
    carry: list[tuple[Buffer, Buffer]]
    xs: list[Buffer]
    consts: list[Buffer]
    ys: list[Buffer]
    scratch: Buffer

    @property
    def stops(self) -> bool:
        assert self.body.repeat is not None
        return self.body.repeat.stops

    @property
    def touched(self) -> list[Buffer]:
        both = [buffer for pair in self.carry for buffer in pair]
        return list(dict.fromkeys([*both, *self.xs, *self.consts, *self.ys, self.scratch]))


Step = Group | Product | Uniform | CallOut | InnerLoop


@dataclass(frozen=True, slots=True)
class Repeat:
    """How a graph is one step of a loop: inputs are ``carry`` leaves, then ``xs`` leaves of
    which each step takes the next, then constants; outputs are leaves for which each step has
    a place of its own, then the ``carry`` leaves. ``flush``: denormal numbers count as 0.
    ``reverse``: steps take their entries from the last to the first of ``length``. ``stops``: it
    goes on while the first of the carry is more than 0, which is a bool or the number of steps to
    come; ``length`` of them at most, where that is not 0."""

    carry: int
    xs: int
    flush: bool = True
    length: int = 0
    reverse: bool = False
    stops: bool = False


@dataclass(eq=False)
class Plan:
    """A program before it is written.

    Attributes:
        memory: buffers of nodes. inputs, outputs: buffers that the caller gives, in order.
        steps: what to do, and phases: after which barrier, in step with it. threads: how many
            at most can share the work. repeat: how it is a step of a loop, if it is.
        arena: bytes of the block that all other buffers share. apart: bytes they would take if
            each had memory of its own. loads: what each loop nest reads.
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
    loads: dict[Nest, list[Load]] = field(default_factory=dict)


def loops_of(step: Step) -> Sequence[Nest]:
    """The loops of a step that share a space, element by element."""
    if isinstance(step, Group):
        return step.stages[0] if step.shared is not None else ()
    return step.nests if isinstance(step, Product) else ()


def operands_of(step: Step) -> tuple[Buffer, ...]:
    """What a step reads beside its loops."""
    return (step.left.buffer, step.right.buffer) if isinstance(step, Product) else ()


def computed_by(step: Step, plan: Plan) -> list[Node]:
    """The nodes that a step computes, each once, in order."""
    if isinstance(step, (CallOut, InnerLoop)):
        return [step.node]
    found: dict[Node, None] = {}
    if isinstance(step, Group):
        nests = [nest for stage in step.stages for nest in stage]
    else:
        out = step.out.buffer if isinstance(step, Product) else step.out
        found |= {node: None for node, buffer in plan.memory.items() if buffer is out}
        nests = list(loops_of(step))
    for nest in nests:
        sites = Sites(plan.memory, nest.rank)
        sites.add(nest.operands, nest.defines(plan.memory))
        found |= {site.node: None for site in sites.order if isinstance(site, Value)}
        found |= {} if nest.node is None else {nest.node: None}
    return list(found)


def touched_by(step: Step) -> list[Buffer]:
    """Each buffer that a step reads or writes, once, in an order that is always the same."""
    if isinstance(step, Group):
        return list({**step.written, **step.reads})
    if isinstance(step, Product):
        return step.touched
    if isinstance(step, Uniform):
        return [step.key, step.out]
    if isinstance(step, InnerLoop):
        return step.touched
    return list(dict.fromkeys((*step.inputs, step.out)))
