"""The native executor: graphs as machine code, through LLVM (llvmlite).

The interpreter is the definition; this package must agree with it.
"""

from __future__ import annotations

from chainrule.core.graph import Graph
from chainrule.run.interpreter import loop
from chainrule.run.native.plan import Repeat
from chainrule.run.native.program import Clocked as clocked
from chainrule.run.native.program import Loop, Program
from chainrule.run.native.runtime import machine

__all__ = ["Loop", "Program", "clocked", "compile", "loop", "machine", "repeat"]


def compile(graph: Graph, threads: int | None = None) -> Program:
    """The graph as a function from the list of its free inputs to the list of its outputs.

    threads: how many share the work; None for as many as are worth it, found by trying.
    """
    return Program(graph, threads)


def repeat(
    graph: Graph, carry: int, xs: int, threads: int | None = None, flush: bool = True
) -> Loop:
    """The graph as one step of a loop that runs in machine code; see ``Loop``."""
    return Loop(graph, Repeat(carry, xs, flush), threads)
