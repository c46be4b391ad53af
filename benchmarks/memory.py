"""Memory at its peak: of a call, and of a whole fit beside what its plan states.

Each is measured in a process of its own, in which compiling is over and freed memory was given
back, so that whatever the work touches counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import forget_peak, resident
from benchmarks.peers import ours
from benchmarks.work import Function, Network
from chainrule import run
from chainrule.core.tree import flatten
from chainrule.train import FitResult

EPOCHS = 4


def peak_of(work: Callable[[], Any]) -> float:
    """Bytes by which this process grows at most during ``work()`` above what it held before."""
    before = forget_peak()
    work()
    return resident() - before


def call(subject: Function | Network, variant: str) -> dict[str, float]:
    """Bytes of one call's arguments, of what it takes beside, and of the plan's arena."""
    f, arguments = ours.subject_of(subject, variant)
    compiled = run.compile(f, *arguments, executor=ours.NATIVE)
    leaves = [np.asarray(leaf) for leaf in flatten(arguments)[0]]
    return {
        "arguments": _bytes(leaves),
        "arena": compiled.flat.plan.arena,
        "peak": peak_of(lambda: compiled.flat(leaves)),
    }


def fit(network: Network) -> dict[str, Any]:
    """``train.fit`` (Adam, float32): bytes that it says it takes, and its peak above the level
    after import and a first fit, which compiles."""
    x, t = network.data("float32")

    def trained(epochs: int) -> FitResult:
        return ours.fitted(network, "adam", x, t, epochs)

    stated = dict(trained(1).memory)
    return {"stated": stated, "peak": peak_of(lambda: trained(EPOCHS))}


def _bytes(leaves: list[Any]) -> float:
    return sum(np.asarray(leaf).nbytes for leaf in leaves)
