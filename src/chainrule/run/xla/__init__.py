"""The executor ``xla``: graphs on GPU, TPU or CPU through JAX.

The interpreter is the definition; this package must agree with it, within roundings.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from chainrule.core.graph import Graph
from chainrule.run.interpreter import loop
from chainrule.run.settings import Executor
from chainrule.run.xla.backend import Target, all_finite, described, devices_named
from chainrule.run.xla.program import Loop, Program

__all__ = ["Loop", "Program", "all_finite", "placed"]


@dataclass(frozen=True)
class placed:
    """The executor on a device, in a precision."""

    executor: Executor
    batches = True
    """Many networks are evaluated as one batch of matrices."""

    def __post_init__(self) -> None:
        self.target  # noqa: B018 - a device that is not there is refused now

    @cached_property
    def target(self) -> Target:
        return Target.of(self.executor)

    loop = staticmethod(loop)

    @property
    def tile(self) -> int | None:
        """So many rows are predicted at a time; a device is not busy with as few as the CPU."""
        return None if self.target.device.platform == "cpu" else 8192

    @property
    def block(self) -> int | None:
        """So many networks are one loop's at most, where ``fit_many`` trains them at once."""
        return None if self.target.device.platform == "cpu" else 1024

    @property
    def device(self) -> str:
        """The device in words."""
        return described(self.target.device)

    def each(self) -> list[Executor]:
        """This executor on each of the devices that it names."""
        return [replace(self.executor, device=name) for name in devices_named(self.executor.device)]

    def taken(self, array: Any) -> Any:
        """An array of another library, where it lies."""
        return self.target.taken(array)

    def compile(self, graph: Graph, threads: int | None = None) -> Program:
        """The graph as a function from the list of its free inputs to the list of its outputs.

        ``threads`` changes nothing: XLA decides for itself how many it uses.
        """
        return Program(graph, self.target)

    def repeat(
        self, graph: Graph, carry: int, xs: int, threads: int | None = None, flush: bool = True
    ) -> Loop:
        """The graph as one step of a loop on the device; see ``Loop``."""
        return Loop(graph, carry, xs, self.target)

    def clocked(self, graph: Graph) -> Clocked:
        """The graph as a function that says how long it takes."""
        return Clocked(graph, self.target)


class Clocked:
    """The graph as a function from its inputs to the seconds that its steps take; XLA runs it as
    one step, whose ``nodes`` are all."""

    def __init__(self, graph: Graph, target: Target) -> None:
        self.program = Program(graph, target)
        self.nodes = [list(graph.nodes)]

    def __call__(self, arguments: Sequence[Any]) -> list[float]:
        start = time.perf_counter()
        self.program(arguments)
        return [time.perf_counter() - start]
