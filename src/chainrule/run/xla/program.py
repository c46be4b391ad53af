"""A compiled program as something Python can call; arrays stay on the device between calls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.core.graph import Graph
from chainrule.errors import UsageError
from chainrule.run.interpreter import check_captures
from chainrule.run.xla.backend import Target, compiled, jax, jnp, lax
from chainrule.run.xla.faults import Faults
from chainrule.run.xla.lowering import is_called_out, lower, types_of

PIECE = 8
"""Elsewhere than on the CPU loops run in pieces of 1, 8, 64, ... steps: where XLA knows the length
it need not look at a counter on the device between steps, and few programs serve all lengths."""
LONGEST = PIECE**5
ROOM = 16
"""On the CPU one program counts its steps, up to 16, 256, 4096, ...: compiling takes longer."""


class Code:
    """What calls of a graph share: its captures on the device, its demands, its target."""

    def __init__(self, graph: Graph, target: Target) -> None:
        check_captures(graph)
        self.graph, self.target = graph, target
        self.faults = Faults(graph)
        self.body = lower(graph, self.faults, target.precision)
        self.called_out = sorted({n.primitive.name for n in graph.nodes if is_called_out(n)})
        self.captures = [self.put(value) for value in graph.captures]

    def given(self, arrays: Sequence[Any]) -> list[Any]:
        """Arrays as ``call`` takes them: those of another device are brought to this one."""
        here, of_jax = self.target.has, jax.Array
        return [x if here(x) else self.put(x) if isinstance(x, of_jax) else np.asarray(x)
                for x in arrays]  # fmt: skip

    def put(self, array: Any) -> Any:
        """The array on the device."""
        with self.target.settings():
            try:
                return self.target.put(array)
            except jax.errors.JaxRuntimeError as error:
                raise self._said(error) from None

    def compiled(self, function: Any, *types: Any) -> Any:
        """Machine code of a function of arrays of these types, on the device."""
        placed = self.target.sharding
        with self.target.settings():
            try:
                made = jax.jit(function, in_shardings=placed, out_shardings=placed)
                lowered = made.lower(*types)
                if self.called_out:
                    return lowered.compile()
                return compiled(lowered, self.target.device)
            except jax.errors.JaxRuntimeError as error:
                raise self._said(error) from None

    def call(self, run: Any, *arguments: Any) -> Any:
        """Run compiled code; raises what went wrong in it. Its first result is the fault.

        NumPy's arrays go in as they are: XLA takes them there faster than ``put`` would.
        """
        with self.target.settings():
            try:
                number, *found = run(*arguments)
                if self.faults.errors or self.called_out:
                    self.faults.check(np.asarray(number))
                return found
            except jax.errors.JaxRuntimeError as error:
                raise self._said(error, run) from None

    def _said(self, error: Exception, run: Any = None) -> Exception:
        """XLA's error in our words."""
        text = str(error)
        if "RESOURCE_EXHAUSTED" not in text and "ut of memory" not in text:
            return UsageError(f"{self.graph.name}: XLA on {self.target.device}: {text}")
        needs = "" if run is None else f", which takes {bytes_of(run) / 2**20:.0f} MiB"
        return UsageError(
            f"{self.graph.name}: {self.target.device} has not the memory for this program{needs}: "
            'take smaller batches, recompute with cr.remat, or run on the CPU (device="cpu")'
        )


def bytes_of(run: Any) -> int:
    """Bytes of a program's arguments, results and what it computes on the way."""
    found = run.memory_analysis()
    if found is None:
        return 0
    sizes = found.argument_size_in_bytes, found.output_size_in_bytes, found.temp_size_in_bytes
    return sum(sizes)


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
        return [np.array(y) for y in self.kept(arguments)]

    def kept(self, arguments: Sequence[Any]) -> list[Any]:
        """The same with results that stay on the device until they are read."""
        (found,) = self.code.call(self.run, self.code.given(arguments), self.code.captures)
        return found


class Loop:
    """A graph as one step of a loop on the device: ``(carry, xs, constants) -> (ys, carry)``.

    Each step takes the next entry of each of ``xs`` and leaves an entry of each of ``ys``. The
    carry that comes out lies on the device; constants are copied there once.

    A call costs a copy of the constants on the device, because XLA's loops may not share memory
    with what is given to them: training does ``seconds`` of steps at once.
    """

    seconds = 0.5

    def __init__(self, graph: Graph, carry: int, xs: int, target: Target) -> None:
        self.graph, self.carry, self.xs = graph, carry, xs
        self.code = Code(graph, target)
        self.ys = [y.type for y in graph.outputs[: len(graph.outputs) - carry]]
        self._counts = target.device.platform == "cpu"
        self.made: dict[int, Any] = {}
        self.making = 0.0  # seconds that compiling took so far
        self.known: dict[int, tuple[Any, Any]] = {}  # constants of the last call, by identity

    @property
    def arena(self) -> int:
        """Bytes of all that a step computes on its way, gradients among it."""
        return max((run.memory_analysis().temp_size_in_bytes for run in self.made.values()),
                   default=0)  # fmt: skip

    def __call__(
        self, carry: Sequence[Any], xs: Sequence[Any], constants: Sequence[Any] = ()
    ) -> tuple[list[np.ndarray], list[Any]]:
        code, steps = self.code, len(xs[0])
        state = code.given(carry)
        fixed = self._fixed(constants)
        parts, done = [], 0
        while done < steps:
            count, room = self._piece(steps - done)
            rows = [_padded(x[done : done + count], room) for x in xs]
            given = state, rows, fixed, code.captures, np.int64(count)
            left, state = code.call(self._program(room), *given)
            parts.append([np.asarray(y)[:count] for y in left])
            done += count
        if len(parts) == 1:
            return [np.array(rows) for rows in parts[0]], state
        empty = [[np.empty((0, *t.shape), t.dtype) for t in self.ys]]
        return [np.concatenate(rows) for rows in zip(*(parts or empty), strict=True)], state

    def _piece(self, steps: int) -> tuple[int, int]:
        """How many of so many steps a program does at once, and for how many it has room."""
        if self._counts:
            room = ROOM
            while room < min(steps, LONGEST):
                room *= ROOM
            return min(steps, room), room
        room = LONGEST
        while room > steps:
            room //= PIECE
        return room, room

    def _fixed(self, constants: Sequence[Any]) -> list[Any]:
        """Constants on the device, copied anew but for those of the last call. Older ones are let
        go: the parameters of each epoch that was evaluated are among them."""
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
            function = self._counting if self._counts else self._running
            self.made[room] = self.code.compiled(
                function, types[: self.carry], entries, types[last:free], types[free:],
                jax.ShapeDtypeStruct((), np.int64),
            )  # fmt: skip
            self.making += time.perf_counter() - started
        return self.made[room]

    def _step(self, carry: Any, number: Any, entries: Any, rest: Any) -> tuple[Any, Any, Any]:
        """One step as JAX traces it: carry, fault, and what it leaves."""
        self.code.faults.start(number)
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
        return number, ys, carry

    def _counting(self, carry: Any, xs: Any, constants: Any, captures: Any, count: Any) -> Any:
        """The first ``count`` steps."""
        room = len(xs[0])

        def step(i: Any, state: Any) -> Any:
            carry, number, ys = state
            entries = [lax.dynamic_index_in_dim(x, i, keepdims=False) for x in xs]
            carry, number, new = self._step(carry, number, entries, [*constants, *captures])
            ys = [lax.dynamic_update_index_in_dim(y, n, i, 0) for y, n in zip(ys, new, strict=True)]
            return carry, number, ys

        ys = [jnp.zeros((room, *t.shape), t.dtype) for t in self.ys]
        carry, number, ys = lax.fori_loop(0, count, step, (carry, np.int32(0), ys))
        return number, ys, carry


def _padded(rows: np.ndarray, room: int) -> np.ndarray:
    """These entries, and room for as many more as the program has, which it does not read."""
    if len(rows) == room:
        return rows
    padded = np.zeros((room, *rows.shape[1:]), rows.dtype)  # fresh pages of zeros cost nothing
    padded[: len(rows)] = rows
    return padded


__all__ = ["Loop", "Program", "bytes_of"]
