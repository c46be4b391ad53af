"""Memory at its peak: of a call, and of a whole fit beside what its plan states.

Each is measured in a process of its own, in which compiling is over and freed memory was given
back, so that whatever the work touches counts.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import ours
from benchmarks.work import Function, Network
from chainrule import run
from chainrule.core.tree import flatten
from chainrule.train import FitResult

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
EPOCHS = 4


def peak_of(work: Callable[[], Any]) -> int:
    """Bytes by which this process grows at most during ``work()`` above what it held before.

    Where the system cannot forget an earlier peak (only Linux can), what comes out counts from
    that peak, and may be too small.
    """
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # pages that were freed are not ours any more
        CLEAR.write_text("5")  # the peak is forgotten
        before = _status("VmRSS")
        work()
        return _status("VmHWM") - before
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return grown if sys.platform == "darwin" else 1024 * grown


def _status(name: str) -> int:
    lines = STATUS.read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def call(subject: Function | Network, variant: str) -> dict[str, int]:
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


def _bytes(leaves: list[Any]) -> int:
    return sum(np.asarray(leaf).nbytes for leaf in leaves)
