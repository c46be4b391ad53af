"""``python -m benchmarks.worker MODULE VARIANT``: a library in a process of its own.

It reads requests from its standard input and answers each on its standard output, pickled:
tuples of a name and arguments; ``("prepare", work)``, ``("run", seconds)``, or a function of
MODULE. An answer is ``("done", value)`` or ``("failed", why)``.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import signal
import sys
import time
from typing import Any

from benchmarks.work import Prepared, Work


class Bench:
    """What is prepared, and the answers to requests."""

    def __init__(self, module: str, variant: str) -> None:
        self.module, self.variant = importlib.import_module(module), variant
        self.prepared: Prepared | None = None

    def prepare(self, work: Work) -> tuple[bool, float | None]:
        """Whether the library does this work, and its outcome; compiles, so that runs need not."""
        self.prepared = None
        make = getattr(self.module, work.kind, None)
        prepared = make(work, self.variant) if make else None
        if prepared is None:
            return False, None
        outcome = prepared.outcome() if prepared.outcome else None
        for _ in range(2):  # what is compiled on first use, now is
            prepared.run()
        self.prepared = prepared
        return True, outcome

    def run(self, seconds: float) -> float:
        """Seconds for one step or call, the mean over about ``seconds`` of them.

        One run comes first that does not count: caches are cold after whoever ran before.
        """
        prepared = self.prepared
        assert prepared is not None
        begin = time.perf_counter()
        clocked = prepared.run()
        once = time.perf_counter() - begin
        if prepared.own_clock:
            return clocked / prepared.units
        while True:
            count = max(1, round(seconds / max(once, 1e-7)))
            begin = time.perf_counter()
            for _ in range(count):
                prepared.run()
            taken = time.perf_counter() - begin
            if taken > seconds / 2:
                return taken / count / prepared.units
            once = taken / count  # the run before was no measure: take more


def answer(bench: Bench, name: str, *arguments: Any) -> Any:
    own = {"prepare": bench.prepare, "run": bench.run}
    return (own.get(name) or getattr(bench.module, name))(*arguments)


def serve(module: str, variant: str) -> None:
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    if sys.platform == "linux":
        # A stopped process does not notice that its parent died: have it killed (prctl's 1).
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    bench: Bench | None = None
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if bench is None:
                bench = Bench(module, variant)
            result: tuple[str, Any] = "done", answer(bench, *request)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            result = "failed", f"{type(error).__name__}: {lines[0]}"
        pickle.dump(result, replies)
        replies.flush()


if __name__ == "__main__":
    serve(*sys.argv[1:])
