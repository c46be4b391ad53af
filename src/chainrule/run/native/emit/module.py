"""A program as the text of LLVM modules: its steps as functions, and one that calls them.

Each step is a function of its own because its parameters can then be ``noalias``: inside a
step no two buffers overlap, across steps they may share memory. Steps that print alike (the
same loops over other buffers) are one function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from operator import itemgetter
from typing import NamedTuple

from chainrule.run.native.emit import products, uniform
from chainrule.run.native.emit.definitions import definitions
from chainrule.run.native.emit.denormals import flush_denormals
from chainrule.run.native.emit.loops import Function, group_function
from chainrule.run.native.emit.threads import SHARED, barrier, drawing, share
from chainrule.run.native.numbers.ir import ATTRIBUTES, Builder
from chainrule.run.native.numbers.parts import modules
from chainrule.run.native.plan import CallOut, Group, InnerLoop, Plan, Product, Step, Uniform
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.runtime import machine, team
from chainrule.run.native.runtime.pool import LINE

SIGNATURE = (
    "ptr %arena, ptr %inputs, ptr %outputs, ptr %flag, ptr %callback, i64 %start, i64 %stop, "
    "i64 %thread, i64 %threads"
)
FRAME = 7
"""So many of these, all but the threads, stand in the frame of a call."""
TICK = -1
"""The number of a call-out that only looks at the clock."""
CHAPTER = 200
"""So many steps are called by one function."""
HOT_STRAIGHT = 2
"""So many functions without a loop are worth LLVM's time. Where there are more, a call of the
program takes long anyway, and each of them runs once in it."""
HOT, LITTLE = 64, 128
"""Beyond so many functions, loops over so few numbers are not worth it, either."""
MINOR = 1000
"""What takes less than such a part of the program's time is made short code, which takes LLVM a
third of the time, and may run half as fast. Not where a function serves arrays of any size."""


def control_bytes(threads: int) -> int:
    """Of what threads tell one another: a line for each one's flag, and two that all write."""
    return (threads + 2) * LINE


class Call(NamedTuple):
    """A step's function, the buffers it is given, the rows that threads share out in it, and how
    many numbers it counts to each, or in all; whether it is given the arena, too."""

    name: str
    buffers: list[Buffer]
    shares: int
    numbers: int
    absolute: bool


@dataclass(frozen=True)
class Module:
    """Texts of LLVM's modules, by how much of its time they are worth; the external functions that
    they call, and the nodes that they call out for; whether threads may draw parts of steps."""

    texts: tuple[str, ...]
    imports: tuple[str, ...]
    calls: tuple[CallOut, ...]
    draws: bool


class _Writer:
    def __init__(self, plan: Plan, clocked: bool) -> None:
        self.plan = plan
        self.clocked = clocked
        self.iteration = ""
        self.goal = ""  # where a thread keeps how often it was at a barrier, and how many drew
        self.mode = ""  # what restores the processor's mode after a loop
        # By what they are worth, text after the name -> name.
        self.functions: dict[str, dict[str, str]] = {
            machine.HOT: {}, machine.COLD: {}, machine.PLAIN: {}
        }  # fmt: skip
        self.needs: set[str] = set()
        self.helpers: dict[str, str] = {}
        self.tiles: dict[str, str] = {}
        self.calls: list[CallOut] = []
        self.numbers = sum(map(_numbers, plan.steps))
        straight = sum(isinstance(step, Group) and step.straight for step in plan.steps)
        self.straight_is_cold = straight > HOT_STRAIGHT
        self.chapters: list[str] = []
        self.turning: dict[str, str] = {}  # text of the function of a loop inside -> name
        self.inside = 0  # how many such loops are around what is written
        self.draws = False  # whether threads may draw parts of steps
        self._begin()

    def _begin(self) -> None:
        """Begin a function that calls steps."""
        self.main = Builder()
        self.given: dict[Buffer, str] = {}
        self.parts: dict[int, tuple[str, str]] = {}
        # Each thread has a flag of its own for indices out of bounds.
        self.main.entry += [
            f"  %own = mul nuw nsw i64 %thread, {LINE}",
            "  %own.flag = getelementptr i8, ptr %flag, i64 %own",
        ]
        threads = self.plan.threads
        if threads > 1:
            self.main.entry.append(SHARED.format(LINE * threads, LINE * (threads + 1)))

    def module(self) -> Module:
        if self.clocked:
            for _ in range(2):
                self._tick()
        if self.plan.repeat is not None:
            self._loop(self.plan.repeat.flush)
        else:
            self._all()
            self.main.effect("ret i32 0")
        kernels, imports = definitions(self.needs)
        if self.plan.threads > 1:
            kernels.append(barrier())
            imports = (*imports, "cr_yield")
        written = {
            effort: [f"define internal void @{name}{text}" for text, name in functions.items()]
            for effort, functions in self.functions.items()
        }
        turning = [f"define internal i32 @{name}{text}" for text, name in self.turning.items()]
        run = f"define i32 @run({SIGNATURE}) #0 {{\n{self.main.text()}\n}}"
        written[machine.HOT] = [*kernels, *self.helpers.values(), *written[machine.HOT],
                                *self.chapters, *turning, run, _call()]  # fmt: skip
        # Tiles and copies are modules of their own, which other programs have, too.
        tiles = [(machine.PLAIN, [tile]) for tile in self.tiles.values()]
        texts = modules([*(part for part in written.items() if part[1]), *tiles], ATTRIBUTES)
        return Module(tuple(texts), imports, tuple(self.calls), self.draws)

    def _all(self) -> None:
        """Every step in order; of a long program, in functions of their own: what LLVM does with
        a function takes longer than in proportion."""
        steps = list(zip(self.plan.phases, self.plan.steps, strict=True))
        if len(steps) <= CHAPTER:
            self._some(steps)
            return
        for first in range(0, len(steps), CHAPTER):
            self._chapter(steps[first : first + CHAPTER])

    def _chapter(self, steps: Sequence[tuple[int, Step]]) -> None:
        """Some steps as a function of its own, and the call of it."""
        goal = self._goal() if self.plan.threads > 1 else "null"
        kept = self.main, self.given, self.parts, self.iteration, self.mode, self.goal
        self._begin()
        self.iteration, self.mode, self.goal = "%iteration", "", "%goal"
        self._some(steps)
        self.main.effect("ret i32 0")
        name = f"chapter{len(self.chapters)}"
        head = f"define internal i32 @{name}({SIGNATURE}, i64 %iteration, ptr %goal) #2"
        self.chapters.append(f"{head} {{\n{self.main.text()}\n}}")
        self.main, self.given, self.parts, self.iteration, self.mode, self.goal = kept
        b, given = self.main, SIGNATURE + f", i64 {self.iteration or 0}, ptr {goal}"
        failed = b.do(f"call i32 @{name}({given})")
        if any(isinstance(step, (CallOut, InnerLoop)) for _, step in steps):
            with b.when(b.do(f"icmp ne i32 {failed}, 0"), goes_on=False):
                self._leave()
                b.effect("ret i32 1")

    def _some(self, steps: Sequence[tuple[int, Step]]) -> None:
        """With threads, a barrier after each phase; what they do not share, the first thread does
        alone."""
        if self.plan.threads == 1:
            for _, step in steps:
                if isinstance(step, CallOut):
                    self._call_out(step)
                elif isinstance(step, InnerLoop):
                    self._inner_loop(step)
                else:
                    self._emit(self._call(step))
                if self.clocked:
                    self._tick()
            return
        for _, phase in groupby(steps, itemgetter(0)):
            calls = [self._call(x) for _, x in phase if not isinstance(x, (CallOut, InnerLoop))]
            for alone, some in groupby(calls, lambda call: not call.shares):
                if alone:
                    with self.main.when(self.main.do("icmp eq i64 %thread, 0")):
                        for call in some:
                            self._emit(call)
                else:
                    for call in some:
                        self._emit(call)
            self._draw(calls)
            self.main.effect(self._meet())

    def _draw(self, calls: Sequence[Call]) -> None:
        """The rows of a phase's steps that threads draw: those of steps over as many rows, one
        step after another."""
        b, alike = self.main, dict[int, list[Call]]()
        for call in calls:
            if team.draws(call.shares, self.plan.threads):
                alike.setdefault(call.shares, []).append(call)
        if not alike:
            return
        self.draws = True
        place = b.do(f"getelementptr i64, ptr {self._goal()}, i64 1")
        with b.when("%drawing"):
            for n, part in drawing(b, list(alike), self.plan.threads, place):
                for call in alike[n]:
                    self._emit(call, part)

    def _loop(self, flush: bool) -> None:
        """All steps again and again, and after each the new carry in place of the old."""
        b = self.main
        repeat = self.plan.repeat
        assert repeat is not None
        self.mode = flush_denormals(b) if flush else ""
        again, last = "%again" if repeat.stops else "%stop", str(repeat.length - 1)
        if repeat.stops and repeat.reverse:
            last = b.do(f"sub i64 {self._first(self.plan.inputs[0])}, 1")
        with b.loop(again, "%start") as i:
            self.iteration = b.do(f"sub i64 {last}, {i}") if repeat.reverse else i
            self._all()
            copied = [x for x in self.plan.outputs if x.carried and not x.alias and x.type.size]
            if copied and self.plan.threads > 1:
                with b.when(b.do("icmp eq i64 %thread, 0")):
                    self._copy(copied)
                b.effect(self._meet())
            else:
                self._copy(copied)
            if repeat.stops:
                b.effect(f"%again = select i1 {self._goes_on(self.plan.inputs[0])}, "
                         f"i64 {repeat.length or 2**62}, i64 0")  # fmt: skip
        self._leave()
        b.effect("ret i32 0")

    def _copy(self, buffers: Sequence[Buffer]) -> None:
        """New values of the carry that could not be written over the old."""
        for buffer in buffers:
            assert buffer.carried is not None
            new, old = self._pointer(buffer), self._pointer(buffer.carried)
            self.main.effect(f"call void @llvm.memcpy.p0.p0.i64(ptr {old}, ptr {new}, "
                             f"i64 {buffer.type.nbytes}, i1 false)")  # fmt: skip

    def _first(self, buffer: Buffer) -> str:
        """The first of the carry, which says whether a loop goes on."""
        return self.main.load(buffer.type.dtype, self._pointer(buffer))

    def _goes_on(self, buffer: Buffer) -> str:
        found = self._first(buffer)
        counts = buffer.type.dtype.kind != "b"
        return self.main.do(f"icmp sgt i64 {found}, 0") if counts else found

    def _inner_loop(self, step: InnerLoop) -> None:
        """Put the first carry where the turns find it, and call the loop's own function."""
        b = self.main
        for old, new in step.carry:
            if old is not new and old.type.size:
                b.effect(f"call void @llvm.memcpy.p0.p0.i64(ptr {self._pointer(new)}, "
                         f"ptr {self._pointer(old)}, i64 {old.type.nbytes}, i1 false)")  # fmt: skip
        if step.length == 0:
            return
        name = self._loop_function(step)
        given = [*[new for _, new in step.carry], *step.xs, *step.consts]
        inputs, outputs = (self._table(buffers) for buffers in (given, step.ys))
        call = (
            f"call i32 @{name}(ptr {self._pointer(step.scratch)}, ptr {inputs}, ptr {outputs}, "
            f"ptr %flag, ptr %callback, i64 0, i64 {step.length or 0}, i64 0, i64 1)"
        )
        if not step.stops:
            self._checked(call)
            return
        for y in step.ys:  # what no turn writes
            if y.type.size:
                b.effect(f"call void @llvm.memset.p0.i64(ptr {self._pointer(y)}, i8 0, "
                         f"i64 {y.type.nbytes}, i1 false)")  # fmt: skip
        with b.when(self._goes_on(step.carry[0][1])):
            self._checked(call)

    def _checked(self, call: str) -> None:
        """Make a call, and leave if something went wrong in it."""
        b = self.main
        failed = b.do(call)
        with b.when(b.do(f"icmp ne i32 {failed}, 0"), goes_on=False):
            self._leave()
            b.effect("ret i32 1")

    def _table(self, buffers: Sequence[Buffer]) -> str:
        """A table of pointers to buffers."""
        b = self.main
        table = b.stack("ptr", max(len(buffers), 1))
        for i, buffer in enumerate(buffers):
            place = b.do(f"getelementptr ptr, ptr {table}, i64 {i}")
            b.effect(f"store ptr {self._pointer(buffer)}, ptr {place}")
        return table

    def _loop_function(self, step: InnerLoop) -> str:
        """The function that runs the turns of a loop inside the program; its name."""
        plan, clocked, cold = self.plan, self.clocked, self.straight_is_cold
        kept = self.main, self.given, self.parts, self.iteration, self.mode, self.goal
        self.plan, self.clocked, self.straight_is_cold = step.body, False, False
        self._begin()
        self.iteration, self.mode, self.goal = "", "", ""
        self.inside += 1
        self._loop(flush=False)
        self.inside -= 1
        text = f"({SIGNATURE}) #0 {{\n{self.main.text()}\n}}"
        self.main, self.given, self.parts, self.iteration, self.mode, self.goal = kept
        self.plan, self.clocked, self.straight_is_cold = plan, clocked, cold
        return self.turning.setdefault(text, f"turns{len(self.turning)}")

    def _leave(self) -> None:
        if self.mode:
            self.main.effect(self.mode)

    def _call(self, step: Group | Product | Uniform) -> Call:
        """Write a step's function, unless one like it is there."""
        if isinstance(step, Group):
            made = self._group(step)
        elif isinstance(step, Uniform):
            made = uniform.write(step)
        else:
            made = products.write(step, self.plan.memory)
        self.needs |= made.needs
        self.helpers |= made.helpers
        self.tiles |= made.tiles
        parameters = ["ptr noalias nocapture %flag", "i64 %thread", "i64 %first", "i64 %last"]
        parameters += [
            f"ptr noalias nocapture align {buffer.type.dtype.itemsize} %p{i}"
            for i, buffer in enumerate(made.buffers)
        ]
        if made.absolute:
            parameters.append("ptr %arena")
        attribute = 2 if made.effort == machine.COLD else 0
        if not made.numbers and MINOR * _numbers(step) < self.numbers:
            attribute = 3
        text = f"({', '.join(parameters)}) #{attribute} {{\n{made.body}\n}}"
        count = sum(map(len, self.functions.values()))
        name = self.functions[made.effort].setdefault(text, f"step{count}")
        return Call(name, made.buffers, made.shares, made.numbers, made.absolute)

    def _group(self, step: Group) -> Function:
        """The function of loops. In a long program, those that take little time are cold."""
        space = step.shared
        short = space is not None and prod(space) <= LITTLE and not self.inside
        cold = short and len(self.functions[machine.HOT]) >= HOT
        cold = self.straight_is_cold if step.straight else cold
        return group_function(self.plan.memory, step.stages, step.axis, step.straight, cold)

    def _emit(self, call: Call, part: tuple[str, str] | None = None) -> None:
        """Call a step's function for its rows: this thread's, or some part that it drew."""
        first, last = part or (self._part(call.shares) if call.shares else ("0", str(call.numbers)))
        if call.shares and call.numbers > 1:
            first, last = (self.main.do(f"mul nuw nsw i64 {end}, {call.numbers}")
                           for end in (first, last))  # fmt: skip
        arguments = ["ptr %own.flag", "i64 %thread", f"i64 {first}", f"i64 {last}"]
        arguments += [f"ptr {self._pointer(b)}" for b in call.buffers]
        if call.absolute:
            arguments.append("ptr %arena")
        self.main.effect(f"call void @{call.name}({', '.join(arguments)})")

    def _part(self, n: int) -> tuple[str, str]:
        """The part of n rows that this thread does, found once at the start."""
        if n not in self.parts:
            b = Builder()
            b.prefix = f"rows{n}."
            self.parts[n] = share(b, n, self.plan.threads)
            self.main.entry += b.lines
        return self.parts[n]

    def _goal(self) -> str:
        if not self.goal:
            self.goal = self.main.stack("i64", 2)
            self.main.entry.append(f"  store <2 x i64> zeroinitializer, ptr {self.goal}")
        return self.goal

    def _meet(self) -> str:
        return f"call void @barrier(ptr %arrived, ptr {self._goal()}, i64 %threads)"

    def _call_out(self, step: CallOut) -> None:
        """Hand pointers to Python; leave at once if it raised."""
        buffers = [*step.inputs, step.out]
        number = len(self.calls)
        self.calls.append(step)
        self._checked(f"call i32 %callback(i64 {number}, ptr {self._table(buffers)})")

    def _tick(self) -> None:
        self.main.do(f"call i32 %callback(i64 {TICK}, ptr null)")

    def _pointer(self, buffer: Buffer) -> str:
        buffer = buffer.alias or buffer
        if buffer.place == "arena":
            return self.main.do(f"getelementptr i8, ptr %arena, i64 {buffer.offset}")
        found = self.given.get(buffer) or self._loaded(buffer)
        if not buffer.sliced:
            return found
        size = buffer.type.nbytes
        return self.main.do(f"getelementptr [{size} x i8], ptr {found}, i64 {self.iteration}")

    def _loaded(self, buffer: Buffer) -> str:
        """The pointer that the caller gave for a buffer."""
        table = f"%{buffer.place}s"
        name = f"%{buffer.place}{buffer.number}"
        # In the entry block, so that every later block may use it.
        self.main.entry.append(
            f"  {name}.at = getelementptr ptr, ptr {table}, i64 {buffer.number}\n"
            f"  {name} = load ptr, ptr {name}.at"
        )
        self.given[buffer] = name
        return name


def _numbers(step: Step) -> int:
    """About how many numbers a step computes; a product's multiply-adds are cheap."""
    if isinstance(step, Product):
        return prod((*step.size, *step.batch)) // 8
    if isinstance(step, Group):
        return sum(prod(nest.space) for stage in step.stages for nest in stage)
    return 0


def _call() -> str:
    """The program on one thread behind one argument, a frame in memory: ctypes spends as much on
    nine arguments as a small program takes."""
    b, given = Builder(), SIGNATURE.split(", ")[:FRAME]
    for i, parameter in enumerate(given):
        type, name = parameter.split()
        place = b.do(f"getelementptr i64, ptr %frame, i64 {i}")
        b.effect(f"{name} = load {type}, ptr {place}")
    result = b.do(f"call i32 @run({', '.join(given)}, i64 0, i64 1)")
    wrong = b.do(f"icmp ne i64 {b.do('load i64, ptr %flag')}, 0")
    b.effect(f"ret i32 {b.do(f'select i1 {wrong}, i32 1, i32 {result}')}")
    return f"define i32 @call(ptr %frame) {{\n{b.text()}\n}}"


def write(plan: Plan, clocked: bool = False) -> Module:
    """The module of a plan; one that repeats runs its steps from %start up to %stop. One that
    is ``clocked`` calls out with ``TICK`` twice at the start, and after each step."""
    return _Writer(plan, clocked).module()
