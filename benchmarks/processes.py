"""Libraries in processes of their own, of which one runs at a time.

Pools of threads (OpenMP's, OpenBLAS's, XLA's) go on spinning for a while after they had work
and would take the processor from whoever is measured next. So each library has a process, which
is stopped (SIGSTOP) whenever it is not its turn.
"""

from __future__ import annotations

import math
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import installed
from benchmarks.work import Work

ROOT = Path(__file__).parents[1]
UNSET = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip


@dataclass(frozen=True)
class Contestant:
    """A library and how it is used.

    Attributes:
        name: as tables call it.
        module, variant: the module of ``benchmarks`` that does the work, and what it is told.
        package: what must be installed for it.
        environment: variables of its process, beside ours without any limit on threads.
    """

    name: str
    module: str
    variant: str = ""
    package: str = "numpy"
    environment: Mapping[str, str] = field(default_factory=dict)


LIMIT = 180.0
"""Seconds for an answer; the longest is a large graph's compilation."""


def environment_of(own: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that is measured: ``benchmarks`` is found, no library's
    threads are limited, and modules compiled once stay so, as where packages are installed."""
    kept = {k: v for k, v in os.environ.items() if k not in UNSET}
    paths = [str(ROOT), kept.get("PYTHONPATH", "")]
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **own}


class WorkerError(Exception):
    """A library could not do what it was asked for."""


class Worker:
    """The process of a contestant; started by the first request, and again after it died."""

    def __init__(self, contestant: Contestant, limit: float = LIMIT) -> None:
        self.contestant, self.limit = contestant, limit
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, *request: Any) -> Any:
        """Its answer. While it works it is not stopped, before and after it is.

        Raises:
            WorkerError: it could not, died, or took longer than the limit.
        """
        if self.process is None:
            self.process = self._started()
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        self._signal("SIGCONT")
        begin = time.monotonic()
        overdue = threading.Timer(self.limit, self._signal, ["SIGKILL"])
        overdue.start()
        try:
            pickle.dump(request, process.stdin)
            process.stdin.flush()
            kind, value = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            late = time.monotonic() - begin >= self.limit
            self.end()
            why = f"no answer within {self.limit:.0f} s" if late else "its process died"
            raise WorkerError(why) from None
        finally:
            overdue.cancel()
        self._signal("SIGSTOP")
        if hasattr(os, "WUNTRACED"):
            os.waitpid(process.pid, os.WUNTRACED)  # until it has stopped
        if kind == "failed":
            raise WorkerError(value)
        return value

    def _started(self) -> subprocess.Popen[bytes]:
        one = self.contestant
        command = [sys.executable, "-m", "benchmarks.worker", f"benchmarks.{one.module}"]
        return subprocess.Popen(
            [*command, one.variant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment_of(one.environment),
            start_new_session=True,  # a group for its children, and no signals but ours
        )

    def _signal(self, name: str) -> None:
        """To it and its children. Windows cannot stop a process: there it is measured without."""
        if self.process is None:
            return
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):  # it died just now
                os.killpg(self.process.pid, getattr(signal, name))
        elif name == "SIGKILL":
            self.process.kill()

    def end(self) -> None:
        if self.process is not None:
            self._signal("SIGKILL")
            self.process.communicate()
            self.process = None


@contextmanager
def workers(contestants: Sequence[Contestant]) -> Iterator[dict[str, Worker]]:
    """A worker for each contestant whose package is installed; the others are named."""
    found = {}
    for one in contestants:
        if installed(one.package):
            found[one.name] = Worker(one)
        else:
            print(f"({one.package} is not installed: without {one.name})")
    try:
        yield found
    finally:
        for worker in found.values():
            worker.end()


@dataclass(frozen=True)
class Measured:
    """Seconds for one step or call of each contestant, in each round; and who is missing, why."""

    seconds: dict[str, list[float]]
    left_out: dict[str, str]


def compete(
    everybody: Mapping[str, Worker], work: Work, rounds: int, seconds: float, order: random.Random
) -> Measured:
    """Have all prepare the work, compare their outcomes, and time them round by round.

    A contestant whose outcome is not that of the first one is left out.

    Args:
        seconds: about how long each is timed in a round.
        order: draws the order of each round.
    """
    times: dict[str, list[float]] = {}
    left_out: dict[str, str] = {}
    wanted: float | None = None
    for name, worker in everybody.items():
        try:
            does, outcome = worker.ask("prepare", work)
        except WorkerError as error:
            left_out[name] = str(error)
            continue
        wanted = outcome if wanted is None else wanted
        if outcome is not None and not math.isclose(wanted, outcome, rel_tol=work.tolerance):
            left_out[name] = f"computes something else: {outcome}, not {wanted}"
        elif does:
            times[name] = []
    for _ in range(rounds):
        for name in order.sample(list(times), len(times)):
            try:
                times[name].append(everybody[name].ask("run", seconds))
            except WorkerError as error:
                left_out[name] = str(error)
                del times[name]
    return Measured(times, left_out)
