"""A compiled program as something Python can call."""

from __future__ import annotations

import ctypes
import operator
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np

from chainrule.core.failures import failed
from chainrule.core.graph import Graph
from chainrule.core.recording import quiet
from chainrule.errors import IndexingError
from chainrule.run.interpreter import check_captures
from chainrule.run.native import plan
from chainrule.run.native.emit import module
from chainrule.run.native.plan import CallOut, Plan, Repeat, arena
from chainrule.run.native.plan.steps import computed_by
from chainrule.run.native.runtime import machine
from chainrule.run.native.runtime.pool import LINE, Works
from chainrule.run.native.runtime.team import DRAWS, AdaptiveThreads, Way, available

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p)
CALL = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
Fixed = tuple[Sequence[np.ndarray], list[int]]
"""Constants of a loop, and the addresses of them and of captures."""
STAGED = 4096
"""Arrays up to this many bytes are copied into the memory: cheaper than asking for an address."""

LARGE = 2**20
"""So many bytes are not kept for a call that may never come."""


class CallOuts:
    """The nodes of a program that the interpreter computes, called back from machine code."""

    def __init__(
        self, calls: Sequence[CallOut], graph: Graph, ticks: list[int] | None = None
    ) -> None:
        self.calls = calls
        self.graph = graph
        self.ticks = ticks
        self.errors: list[BaseException] = []
        self.function = CALLBACK(self._run) if calls or ticks is not None else None
        function = self.function
        self.pointer = ctypes.cast(function, ctypes.c_void_p).value if function else None

    def _run(self, number: int, table: int) -> int:
        if number == module.TICK:
            assert self.ticks is not None
            self.ticks.append(time.perf_counter_ns())
            return 0
        step = self.calls[number]
        try:
            buffers = [*step.inputs, step.out]
            pointers = (ctypes.c_void_p * len(buffers)).from_address(table)
            arrays = [_array_at(p, b.type) for p, b in zip(pointers, buffers, strict=True)]
            for array in arrays[:-1]:
                array.flags.writeable = False
            with quiet():
                arrays[-1][...] = step.node.primitive.forward(*arrays[:-1], **step.node.attrs)
        except Exception as error:
            self.errors.append(failed(error, step.node, self.graph))
            return 1
        except BaseException as error:
            self.errors.append(error)
            return 1
        return 0


def _array_at(pointer: int | None, type: Any) -> np.ndarray:
    """The array of this type at an address."""
    if not type.size:
        return np.empty(type.shape, type.dtype)
    block = (ctypes.c_char * type.nbytes).from_address(pointer)
    return np.frombuffer(block, type.dtype).reshape(type.shape)


class CallMemory:
    """Memory of one call: the arena, the tables of pointers, and copies of small arrays.

    A memory serves one call at a time; calls from several threads each have their own.
    """

    def __init__(self, program: Program) -> None:
        plan = program.plan
        types = [b.type for b in (*plan.inputs, *plan.outputs)]
        starts, at = [], arena.padded(plan.arena)
        for type in types:
            starts.append(at if type.nbytes <= STAGED else -1)
            at += arena.padded(type.nbytes) if type.nbytes <= STAGED else 0
        # What threads tell one another; then the tables, and the frame.
        control, tables = at, at + module.control_bytes(plan.threads)
        self.memory = _aligned(tables + 8 * (len(types) + module.FRAME))
        base = self.memory.ctypes.data
        self.control = self.memory[control:tables].view(np.int64)
        self.control[:] = 0
        self.table = self.memory[tables:].view(np.int64)
        self.table[:] = 0
        staged: list[Any] = []  # arrays, or None where the caller's own serves
        for i, (start, type) in enumerate(zip(starts, types, strict=True)):
            view = None
            if start >= 0:
                view = self.memory[start : start + type.nbytes].view(type.dtype)
                view = view.reshape(type.shape)
                self.table[i] = base + start
            staged.append(view)
        n = len(plan.inputs)
        self.inputs, self.outputs = staged[:n], staged[n:]
        for i, value in program.captured:
            self.give(i, value)
        table, callback = base + tables, program.calls.pointer
        self.arguments = (base, table, table + 8 * n, base + control, callback)
        self.table[len(types) :] = (*self.arguments[:4], callback or 0, 0, 0)
        self.place = ctypes.c_void_p(table + 8 * len(types))

    def give(self, i: int, value: np.ndarray) -> np.ndarray | None:
        """Make ``value`` input i; returns what must stay alive during the call."""
        view = self.inputs[i]
        if view is not None:
            view[...] = value
            return None
        if not value.flags.c_contiguous or not value.flags.aligned:
            value = np.ascontiguousarray(value).copy()
        self.table[i] = value.ctypes.data
        return value


def _in_order(x: np.ndarray) -> np.ndarray:
    """An array as machine code reads it."""
    return x if x.flags.c_contiguous and x.flags.aligned else np.require(x, requirements=["C", "A"])


def _aligned(size: int) -> np.ndarray:
    """Bytes that start at a multiple of the arena's alignment."""
    whole = np.empty(size + arena.ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % arena.ALIGNMENT
    return whole[start : start + size]


class Code:
    """Machine code of a plan, found in the cache or made: what calls of any kind share."""

    def __init__(
        self, graph: Graph, repeat: Repeat | None, threads: int | None, clocked: bool = False
    ) -> None:
        check_captures(graph)
        self.name = graph.name
        self.plan: Plan = plan.make(graph, repeat, available() if threads is None else threads)
        written = module.write(self.plan, clocked)
        self.threads = AdaptiveThreads(self.plan.threads, threads is not None, written.draws)
        self.arrived = LINE // 8 * self.plan.threads  # a count behind their flags
        self.texts = written.texts
        code = [machine.object_code(text) for text in self.texts]
        self.library = machine.Library(code, ("run", "call"), written.imports)
        self.address = self.library.address("run")
        self.ticks: list[int] = []
        self.calls = CallOuts(written.calls, graph, self.ticks if clocked else None)
        self.free = len(graph.free_inputs)
        captures = (np.require(value, requirements=["C", "A"]) for value in graph.captures)
        self.captured = [(self.free + i, value) for i, value in enumerate(captures)]

    def works(self, given: tuple[Any, ...], held: Any, control: np.ndarray) -> Works:
        """What threads do in a call.

        Args:
            given: addresses of arena, inputs, outputs, control, and call-outs. held: what they
                point at, which each thread holds on to. control: what they tell one another.
        """
        places = [given] * self.plan.threads
        return Works(self.address, places, held, lambda: self.begin(control, 2**62))

    def run(self, works: Works, control: np.ndarray, steps: int = 1) -> bool:
        """Run the program's steps; returns whether something went wrong."""

        def part(way: Way, start: int, stop: int) -> int:
            self.begin(control, 0, way.drawn)
            return works.run(start, stop, way.threads)

        return bool(self.threads(part, steps))

    def begin(self, control: np.ndarray, arrived: int, drawn: bool = False) -> None:
        """Before threads start: how many came to barriers, that no rows are drawn yet, and whether
        any are to be. Memory is used again, and may be as a call left it that drew."""
        line, first = LINE // 8, self.arrived
        control[first], control[first + line], control[first + line + 1] = arrived, 0, drawn

    def fail(self) -> NoReturn:
        """Raise what went wrong in a call."""
        if self.calls.errors:
            raise self.calls.errors.pop()
        raise IndexingError(f"{self.name}: an index array holds an index that is out of bounds")


class Program:
    """Machine code of one graph; calling it maps a list of arrays to a list of fresh arrays."""

    def __init__(self, graph: Graph, threads: int | None = None, clocked: bool = False) -> None:
        self.code = code = Code(graph, None, threads, clocked)
        self.plan, self.calls, self.captured = code.plan, code.calls, code.captured
        self.alone = CALL(code.library.address("call")) if self.plan.threads == 1 else None
        self.big = [(i, b.type) for i, b in enumerate(self.plan.outputs) if b.type.nbytes > STAGED]
        self.memories: list[CallMemory] = []

    def __call__(self, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(y) for y in self.numbers(arguments)]

    def numbers(self, arguments: Sequence[np.ndarray | float]) -> list[Any]:
        """The same with NumPy's scalars where an output has no axes, and from Python's where an
        input has none: for code that must be quick."""
        try:
            memory = self.memories.pop()
        except IndexError:  # all are in use
            memory = CallMemory(self)
        held: list[Any] = []
        made: dict[int, np.ndarray] = {}
        for i, value in enumerate(arguments):
            view = memory.inputs[i]
            if view is not None:
                view[()] = value
            else:
                held.append(memory.give(i, np.asarray(value)))
        for i, type in self.big:
            made[i] = array = np.empty(type.shape, type.dtype)
            memory.table[len(memory.inputs) + i] = array.ctypes.data
        if self.alone is not None:
            failed = self.alone(memory.place)
        else:
            works = self.code.works(memory.arguments, (memory, held, made), memory.control)
            failed = self.code.run(works, memory.control)
        if failed:
            self.code.fail()
        results = [
            made[i] if view is None else view.copy() if view.ndim else view[()]
            for i, view in enumerate(memory.outputs)
        ]
        self.memories.append(memory)
        return results


class Clocked:
    """A program that looks at the clock after each step, on one thread: a function from its
    inputs to the seconds that each took; ``nodes`` has what each computes."""

    def __init__(self, graph: Graph) -> None:
        self.program = Program(graph, 1, clocked=True)
        made = self.program.plan
        self.nodes = [computed_by(step, made) for step in made.steps]

    def __call__(self, arguments: Sequence[np.ndarray]) -> list[float]:
        ticks = self.program.code.ticks
        ticks.clear()
        self.program(arguments)
        own = ticks[1] - ticks[0]  # what looking at the clock itself takes
        return [max(0, b - a - own) * 1e-9 for a, b in pairwise(ticks[1:])]


class LoopMemory:
    """Memory of one call of a loop: the arena, and what threads tell one another; with their
    addresses."""

    def __init__(self, plan: Plan) -> None:
        self.memory = _aligned(plan.arena)
        self.control = _aligned(module.control_bytes(plan.threads)).view(np.int64)
        self.control[:] = 0
        self.arena, self.flags = self.memory.ctypes.data, self.control.ctypes.data


class Room:
    """Places for the xs and ys of a few steps of a loop without a carry, known to its machine code:
    a call fills ``xs`` (steps, ...), runs, and reads ``ys``. Serves one call at a time."""

    def __init__(self, loop: Loop, steps: int) -> None:
        self.loop, plan = loop, loop.code.plan
        self.xs, self.ys = (
            [np.zeros((steps, *type.shape), type.dtype) for type in types]
            for types in ((b.type for b in plan.inputs if b.sliced), loop.ys)
        )
        self.fixed: Fixed | None = None
        self.memory = memory = LoopMemory(plan)
        outputs, frame = len(plan.inputs), len(plan.inputs) + len(plan.outputs)
        self.table = table = (ctypes.c_int64 * (frame + module.FRAME))()
        table[: len(self.xs)] = [x.ctypes.data for x in self.xs]
        table[outputs:frame] = [y.ctypes.data for y in self.ys]
        first, callback = ctypes.addressof(table), loop.code.calls.pointer or 0
        given = memory.arena, first, first + 8 * outputs, memory.flags, callback
        self.works = loop.code.works(given, (memory, table, self.xs, self.ys), memory.control)
        table[frame:] = (*given, 0, steps)
        self.place = ctypes.c_void_p(first + 8 * frame)

    def run(self, steps: int, constants: Sequence[np.ndarray]) -> None:
        """The first so many steps, from ``xs`` to ``ys``."""
        fixed = self.loop.fixed(constants)
        if fixed is not self.fixed:
            self.fixed, first = fixed, len(self.xs)
            self.table[first : first + len(fixed[1])] = fixed[1]
        self.table[-1] = steps
        code = self.loop.code
        if code.plan.threads == 1:
            failed = self.loop.alone(self.place)
        else:
            failed = code.run(self.works, self.memory.control, steps)
        if failed:
            code.fail()


class Loop:
    """Machine code that runs a graph again and again, the carry being updated in place.

    ``(carry, xs, constants) -> (ys, carry)``, lists of arrays: each step takes the next entry
    of each of ``xs`` and leaves an entry of each of ``ys``. Nothing that is passed is written
    to.
    """

    def __init__(self, graph: Graph, repeat: Repeat, threads: int | None = None) -> None:
        self.code = code = Code(graph, repeat, threads)
        self.spread: AdaptiveThreads | None = None
        most = available() if threads is None else threads
        if most > 1 and not repeat.carry and code.calls.function is None:
            self.spread = AdaptiveThreads(most, threads is not None)
            self.fewest = max(DRAWS * most, plan.WORTH_STARTING // max(1, plan.work(graph)))
        self.ys = [b.type for b in self.code.plan.outputs[: len(graph.outputs) - repeat.carry]]
        self.memories: list[LoopMemory] = []  # to be used again
        self.known: Fixed | None = None  # those of the last call: most have the same
        self.alone = CALL(self.code.library.address("call"))

    @property
    def arena(self) -> int:
        """Bytes of all that a step computes on its way, gradients among it."""
        return self.code.plan.arena

    def __call__(
        self,
        carry: Sequence[np.ndarray],
        xs: Sequence[np.ndarray],
        constants: Sequence[np.ndarray] = (),
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        steps, code = len(xs[0]), self.code
        new = [np.array(value, order="C") for value in carry]
        taken = [_in_order(x) for x in xs]
        ys = [np.empty((steps, *type.shape), type.dtype) for type in self.ys]
        if not steps:
            return ys, new
        fixed, places = self.fixed(constants)
        moving = [array.ctypes.data for array in (*new, *taken)]
        table = [*moving, *places, *(array.ctypes.data for array in ys)]
        pointers = (ctypes.c_int64 * len(table))(*table)
        first = ctypes.addressof(pointers)
        tables = first, first + 8 * (len(table) - len(ys))
        held = new, taken, fixed, ys, pointers
        if self.spread is not None and steps >= self.fewest:
            self._spread(self.spread, tables, held, steps)
            return ys, new
        memory = self._memory()
        given = (memory.arena, *tables, memory.flags, code.calls.pointer)
        if code.run(code.works(given, (held, memory), memory.control), memory.control, steps):
            code.fail()
        self.memories.append(memory)
        return ys, new

    def _spread(
        self, spread: AdaptiveThreads, tables: tuple[int, int], held: Any, steps: int
    ) -> None:
        """All steps, which need nothing of one another: each thread draws some until all are
        done, in a memory of its own."""
        memories = [self._memory() for _ in range(spread.most)]
        given = [(one.arena, *tables, one.flags, None) for one in memories]
        works = Works(self.code.address, given, (memories, held))
        for one in memories:
            self.code.begin(one.control, 0)

        def part(way: Way, start: int, stop: int) -> int:
            return works.run(start, stop, way.threads, DRAWS * way.threads)

        if spread(part, steps):
            self.code.fail()
        self.memories += memories

    def fixed(self, constants: Sequence[np.ndarray]) -> Fixed:
        """What every step reads, and where it and the captures lie; the very same as for the last
        call if that had these constants."""
        known = self.known
        if (
            known
            and len(known[0]) == len(constants)
            and all(map(operator.is_, known[0], constants))
        ):
            return known
        arrays = [_in_order(x) for x in constants]
        places = [x.ctypes.data for x in (*arrays, *(value for _, value in self.code.captured))]
        if all(map(operator.is_, arrays, constants)):
            self.known = arrays, places  # not of copies: what they were made of may change
        return arrays, places

    def forget(self) -> None:
        """Let go of what the last call was given, and of much memory."""
        self.known = None
        if self.arena > LARGE:
            self.memories.clear()

    def room(self, steps: int) -> Room:
        """Places for a few steps, for quick calls."""
        return Room(self, steps)

    def _memory(self) -> LoopMemory:
        try:
            return self.memories.pop()
        except IndexError:  # none yet, or all are in use
            return LoopMemory(self.code.plan)
