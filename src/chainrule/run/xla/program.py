"""A compiled program as something Python can call; arrays stay on the device between calls."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.core.graph import Graph, with_bodies
from chainrule.errors import UsageError
from chainrule.run.interpreter import check_captures
from chainrule.run.xla.backend import Target, check_alive, compiled, jax, jnp, lax
from chainrule.run.xla.faults import Faults
from chainrule.run.xla.lowering import is_called_out, lower, types_of

PIECE = 8
"""Elsewhere than on the CPU loops run in pieces of 1, 8, 64, ... steps: where XLA knows the length
it need not look at a counter on the device between steps, and few programs serve all lengths."""
LONGEST = PIECE**5
SHARE = 64
"""Rows that are evaluated after each epoch stay on a device up to this part of its memory."""
ROOM = 16
"""On the CPU one program counts its steps, up to the most that training has at once, or 16, 256,
4096, ...: compiling takes longer."""


class Code:
    """What calls of a graph share: its captures on the device, its demands, its target."""

    def __init__(self, graph: Graph, target: Target) -> None:
        check_captures(graph)
        self.graph, self.target = graph, target
        self.faults = Faults(graph)
        self.body = lower(graph, self.faults, target.precision)
        every = list(with_bodies(graph))
        self.called_out = sorted({n.primitive.name for n in every if is_called_out(n)})
        self.captures = [self.put(value) for value in graph.captures]
        self.largest = max((getattr(n.type, "nbytes", 0) for n in every), default=0)

    def given(self, arrays: Sequence[Any]) -> list[Any]:
        """Arrays as ``call`` takes them: those of another device are brought to this one."""
        here, of_jax = self.target.has, jax.Array
        return [x if here(x) else self.put(x) if isinstance(x, of_jax) else np.asarray(x)
                for x in arrays]  # fmt: skip

    def put(self, array: Any) -> Any:
        """The array on the device."""
        with self.target.settings(), self._telling():
            return self.target.put(array)

    def copied(self, arrays: Sequence[Any]) -> list[Any]:
        """Arrays on the device that are nobody else's."""
        with self.target.settings(), self._telling():
            return jax.device_put(list(arrays), self.target.device, may_alias=False)

    def compiled(self, function: Any, *types: Any, donated: tuple[int, ...] = ()) -> Any:
        """Machine code of a function of arrays of these types, on the device; results may take the
        memory of the arguments that are ``donated``."""
        placed = self.target.sharding
        with self.target.settings(), self._telling():
            made = jax.jit(function, in_shardings=placed, out_shardings=placed,
                           donate_argnums=donated)  # fmt: skip
            lowered = made.lower(*types)
            run = lowered.compile() if self.called_out else compiled(lowered, self.target.device)
        # XLA's threads on the CPU do not come back from a product that has no memory.
        if self.largest > self.target.memory / 8 and bytes_of(run) > self.target.memory:
            raise self._said(MemoryError("out of memory"), run)
        return run

    def call(self, run: Any, *arguments: Any) -> tuple[Any, ...]:
        """Begin to run compiled code, whose first result is the fault; not waited for.

        NumPy's arrays go in as they are: XLA takes them there faster than ``put`` would.
        """
        check_alive()
        with self.target.settings(), self._telling(run):
            return run(*arguments)

    def read(
        self, run: Any, number: Any, results: Sequence[Any] = (), wait: Sequence[Any] = ()
    ) -> list[np.ndarray]:
        """Results of a call as NumPy's, when those to ``wait`` for are there too; raises what went
        wrong in it, if anything can."""
        with self._telling(run):
            jax.block_until_ready(wait)
            if self.faults.errors or self.called_out:
                self.faults.check(np.asarray(number))
            return [np.asarray(y) for y in results]

    @contextmanager
    def _telling(self, run: Any = None) -> Iterator[None]:
        """XLA's errors in our words."""
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            raise self._said(error, run) from None

    def _said(self, error: Exception, run: Any = None) -> Exception:
        """XLA's error in our words."""
        text = str(error)
        # Libraries that XLA calls say no more than that something failed.
        large = "INTERNAL" in text and self.largest > self.target.memory / 8
        if not large and "RESOURCE_EXHAUSTED" not in text and "ut of memory" not in text:
            return UsageError(f"{self.graph.name}: XLA on {self.target.device}: {text}")
        elsewhere = "" if self.target.device.platform == "cpu" else ', or run on device="cpu"'
        # What the libraries that XLA calls take for themselves it does not count.
        most = 0 if run is None else max(bytes_of(run), large * self.largest)
        needs = f", which takes {most / 2**20:.0f} MiB" if most else ""
        return UsageError(
            f"{self.graph.name}: {self.target.device} has not the memory for this program{needs}: "
            f"take smaller batches, or recompute with cr.remat{elsewhere}"
        )


def bytes_of(run: Any) -> int:
    """Bytes of a program's arguments, results and what it computes on the way; of memory that an
    argument and a result have one after the other, once."""
    found = run.memory_analysis()
    if found is None:
        return 0
    sizes = found.argument_size_in_bytes, found.output_size_in_bytes, found.temp_size_in_bytes
    return sum(sizes) - found.alias_size_in_bytes


class Program:
    """One graph; called with a list of arrays, it returns a list of fresh NumPy arrays."""

    def __init__(self, graph: Graph, target: Target) -> None:
        self.code = code = Code(graph, target)

        def function(arguments: Sequence[Any], captures: Sequence[Any]) -> Any:
            code.faults.start()
            found = code.body([*arguments, *captures])
            return code.faults.number, found

        types = types_of(graph)
        free = len(graph.free_inputs)
        self.run = code.compiled(function, types[:free], types[free:])
        self.numbers = self.kept if target.keeps else self.__call__
        """What ``jit`` calls, whose arguments may be numbers and arrays of the device."""

    def __call__(self, arguments: Sequence[Any]) -> list[np.ndarray]:
        number, found, _ = self._begun(arguments)
        return [np.array(y) for y in self.code.read(self.run, number, found)]

    def kept(self, arguments: Sequence[Any]) -> list[Any]:
        """The same with results that stay on the device until they are read. Arrays of NumPy, which
        their owner may write to as soon as this returns, are waited for: XLA reads them there."""
        number, found, given = self._begun(arguments)
        lent = any(isinstance(x, np.ndarray) for x in given)
        self.code.read(self.run, number, wait=found if lent else ())
        return found

    def _begun(self, arguments: Sequence[Any]) -> tuple[Any, Any, list[Any]]:
        given = self.code.given(arguments)
        return *self.code.call(self.run, given, self.code.captures), given


class Lasting(list[tuple[int, int, int, Sequence[Any]]]):
    """What a loop is given in each of many calls, cut into pieces that lie on the device."""


class Loop:
    """A graph as one step of a loop on the device: ``(carry, xs, constants) -> (ys, carry)``.

    Each step takes the next entry of each of ``xs`` and leaves an entry of each of ``ys``. The
    carry that comes out lies on the device; constants are copied there once.

    The carry that comes out takes the memory of the one that goes in, of which a copy is made
    unless the caller says that it is ``spent``: that nobody reads it any more. A call costs a copy
    of the constants on the device, because XLA's loops may not share memory with what is given to
    them: training does ``seconds`` of steps at once.
    """

    seconds = 0.5

    def __init__(self, graph: Graph, carry: int, xs: int, target: Target) -> None:
        self.graph, self.carry, self.xs = graph, carry, xs
        self.code = Code(graph, target)
        self.ys = [y.type for y in graph.outputs[: len(graph.outputs) - carry]]
        self.made: dict[int, Any] = {}
        self.making = 0.0  # seconds that compiling took so far
        self.most = 0  # steps of a call, where that is known: one program serves all of them
        self.arena = 0  # bytes of all that a step computes on its way, gradients among it
        self.spare: dict[int, list[Any]] = {}  # entries of programs with so much room, not in use
        self.known: dict[int, tuple[Any, Any]] = {}  # constants of the last call, by identity

    def __call__(
        self, carry: Sequence[Any], xs: Sequence[Any], constants: Sequence[Any] = ()
    ) -> tuple[list[np.ndarray], Sequence[Any]]:
        ys, _, carry = self._run(carry, xs, constants, False, False)
        return ys, carry

    def forget(self) -> None:
        """Let go of what the last call was given."""
        self.known.clear()
        self.spare.clear()

    def ends(
        self,
        carry: Sequence[Any],
        xs: Sequence[Any],
        constants: Sequence[Any] = (),
        spent: bool = False,
    ) -> Any:
        """The same with the carry before the last step, too: ``(ys, before, carry)``."""
        return self._run(carry, xs, constants, True, spent)

    def _run(self, carry: Any, xs: Any, constants: Any, ends: bool, spent: bool) -> Any:
        """All steps, piece by piece; what one left is read while the next is computed."""
        code, counts = self.code, self.code.target.counts
        state = carry if spent else code.copied(carry)
        before: Any = None
        fixed, begun, parts = self._fixed(constants), list[Any](), list[list[np.ndarray]]()

        def read(run: Any, room: int, count: int, rows: Any, number: Any, ys: Any) -> None:
            parts.append([y[:count] for y in code.read(run, number, ys, wait=[number])])
            if count < room:
                self.spare.setdefault(room, []).append(rows)

        pieces = xs if isinstance(xs, Lasting) else self._pieces(xs, ends)
        for left, count, room, rows in pieces:
            run = self._program(room)
            if ends and not left and not counts:
                before, state = state, code.copied(state)
            found = code.call(run, state, rows, fixed, code.captures, np.uint64(count))
            number, ys, last, state = found
            before = last or before
            begun.append((run, room, count, rows, number, ys))
            if len(begun) > 1:
                read(*begun.pop(0))
        for one in begun:
            read(*one)
        if len(parts) == 1:
            return [np.array(rows) for rows in parts[0]], before, state
        empty = [[np.empty((0, *t.shape), t.dtype) for t in self.ys]]
        ys = [np.concatenate(rows) for rows in zip(*(parts or empty), strict=True)]
        return ys, before, state

    def lasting(self, xs: Sequence[np.ndarray]) -> Sequence[np.ndarray] | Lasting:
        """Entries that many calls have, and nobody writes to, on the device; ``xs`` themselves on
        the CPU, where XLA reads NumPy's memory, and where they would take more of the device's
        than many networks at once can have."""
        target = self.code.target
        if target.counts or sum(x.nbytes for x in xs) > target.memory / SHARE:
            return xs
        return Lasting(
            (left, count, room, [self.code.put(x) for x in rows])
            for left, count, room, rows in self._pieces(xs, False)
        )

    def _pieces(
        self, xs: Sequence[np.ndarray], ends: bool
    ) -> Iterator[tuple[int, int, int, Sequence[np.ndarray]]]:
        """The entries of all steps, cut as programs take them: how many are left after these, how
        many they are, and for how many a program has room; the last one by itself where the carry
        before it is wanted."""
        steps, done = len(xs[0]), 0
        while done < steps:
            left = steps - done
            count, room = self._piece(left - (ends and left > 1 and not self.code.target.counts))
            rows = [x[done : done + count] for x in xs]
            self.code.faults.look_at(rows)
            done += count
            yield steps - done, count, room, self._entries(rows, room)

    def _piece(self, steps: int) -> tuple[int, int]:
        """How many of so many steps a program does at once, and for how many it has room."""
        counts = self.code.target.counts
        if counts and self.carry:
            room = self.most or ROOM
            while not self.most and room < min(steps, LONGEST):
                room *= ROOM
            return min(steps, room), room
        # Tiles to be evaluated: XLA would copy them, and the room for more.
        room, piece = (ROOM, ROOM) if counts else (LONGEST, PIECE)
        while room > steps:
            room //= piece
        return room, room

    def _entries(self, xs: Sequence[np.ndarray], room: int) -> Sequence[np.ndarray]:
        """Entries, and room for as many more as the program has, which it does not read: where XLA
        reads them, or it would copy all that there is room for."""
        if len(xs[0]) == room:
            return xs
        try:
            rooms = self.spare[room].pop()
        except (KeyError, IndexError):  # none yet, or all are in use
            rooms = [_aligned((room, *x.shape[1:]), x.dtype) for x in xs]
        for place, x in zip(rooms, xs, strict=True):
            place[: len(x)] = x
        return rooms

    def _fixed(self, constants: Sequence[Any]) -> list[Any]:
        """Constants on the device: of training its data, copied there once, for as long as each
        call has them. What evaluates gets parameters, which their owner may write to."""
        if not self.carry:
            return self.code.given(constants)
        known = self.known
        self.known = {id(x): known.get(id(x)) or (x, self.code.put(x)) for x in constants}
        return [self.known[id(x)][1] for x in constants]

    def _program(self, room: int) -> Any:
        """The program with room for so many steps."""
        if room not in self.made:
            started = time.perf_counter()
            types, last = types_of(self.graph), self.carry + self.xs
            free = len(self.graph.free_inputs)
            entries = [
                jax.ShapeDtypeStruct((room, *t.shape), t.dtype) for t in types[self.carry : last]
            ]
            function = self._counting if self.code.target.counts else self._running
            self.made[room] = run = self.code.compiled(
                function, types[: self.carry], entries, types[last:free], types[free:],
                jax.ShapeDtypeStruct((), np.uint64), donated=(0,),
            )  # fmt: skip
            # Once: to ask takes as long as a thousand steps of a small network.
            temporary = getattr(run.memory_analysis(), "temp_size_in_bytes", 0)
            self.arena = max(self.arena, temporary)
            self.making += time.perf_counter() - started
        return self.made[room]

    def _step(self, carry: Any, number: Any, entries: Any, rest: Any) -> tuple[Any, Any, Any]:
        """One step as JAX traces it: carry, fault, and what it leaves."""
        self.code.faults.start(number, self.graph.inputs[self.carry : self.carry + self.xs])
        found = self.code.body([*carry, *entries, *rest])
        ys = len(self.ys)
        return found[ys:], self.code.faults.number, found[:ys]

    def _running(self, carry: Any, xs: Any, constants: Any, captures: Any, count: Any) -> Any:
        """All steps that there is room for."""

        def step(state: Any, entries: Any) -> Any:
            carry, number = state
            carry, number, ys = self._step(carry, number, entries, [*constants, *captures])
            return (carry, number), ys

        (carry, number), ys = lax.scan(step, (carry, np.int32(0)), xs)
        return number, ys, [], carry

    def _counting(self, carry: Any, xs: Any, constants: Any, captures: Any, count: Any) -> Any:
        """The first ``count`` steps, and the carry before the last of them: all but that are one
        turn of an outer loop, so that a step is compiled once. Counted without a sign: an index
        that may be negative is looked at in each step."""
        room = len(xs[0])

        def step(i: Any, state: Any) -> Any:
            carry, number, ys = state
            entries = [lax.dynamic_index_in_dim(x, i, keepdims=False) for x in xs]
            carry, number, new = self._step(carry, number, entries, [*constants, *captures])
            ys = [lax.dynamic_update_index_in_dim(y, n, i, 0) for y, n in zip(ys, new, strict=True)]
            return carry, number, ys

        def part(turn: Any, state: Any) -> Any:
            inner, _ = state
            first, end = turn * (count - np.uint64(1)), count - np.uint64(1) + turn
            return lax.fori_loop(first, end, step, inner), inner[0]

        ys = [jnp.zeros((room, *t.shape), t.dtype) for t in self.ys]
        inner = carry, np.int32(0), ys
        if not self.carry:
            carry, number, ys = lax.fori_loop(np.uint64(0), count, step, inner)
            return number, ys, [], carry
        (carry, number, ys), before = lax.fori_loop(
            np.uint64(0), np.uint64(2), part, (inner, carry)
        )
        return number, ys, before, carry


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros at an address from which XLA's CPU takes arrays of NumPy without copying them."""
    size, by = math.prod(shape) * np.dtype(dtype).itemsize, 64
    whole = np.zeros(size + by, np.uint8)
    start = -whole.ctypes.data % by
    return whole[start : start + size].view(dtype).reshape(shape)


__all__ = ["Loop", "Program", "bytes_of"]
