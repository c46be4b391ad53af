"""Workers that ``mpiexec`` started: sums travel as NumPy buffers, nothing is pickled."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, UsageError
from chainrule.train.monitor import TrainingState
from chainrule.train.workers import FewerError, Vectors, added, branches, share

__all__ = ["Mpi"]

PATIENCE = float(os.environ.get("CHAINRULE_MPI_PATIENCE", 300))
"""Seconds that an exchange waits for others, who may have to compile before it."""

SPIN = 0.002
"""Seconds of them during which it looks without a pause."""


class Mpi:
    """All processes of MPI's world.

    Each has a slice of the vectors to add: it gets that slice of every branch from those who know
    them, and gives its sum to all. A number beside it says whether its process was asked to stop.

    Where MPI can do without processes that are gone (Open MPI's ULFM, ``mpiexec --with-ft ulfm``),
    the others take their shards; but not those of the first, which prints and writes.

    Raises:
        UsageError: mpi4py or an MPI library is not installed.
    """

    def __init__(self) -> None:
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            raise UsageError(
                f'workers="mpi" needs mpi4py and an MPI library ({error}); install both with:  '
                "pip install 'chainrule[mpi]'"
            ) from None
        self.comm: Any = MPI.COMM_WORLD
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.asked: tuple[Any, ...] | None = None
        self.before: dict[signal.Signals, Any] = {}
        self.open = 0  # trainings that run
        self.done, self.last = 0, np.empty(0)  # exchanges, and what the last one gave
        kinds = ("ERR_PROC_FAILED", "ERR_PROC_FAILED_PENDING", "ERR_REVOKED")
        self.losses = [getattr(MPI, kind) for kind in kinds if hasattr(MPI, kind)]
        self.error = MPI.Exception

    def wait(self) -> None:
        """Until all are here."""
        self._done(self.comm.Ibarrier())

    def _done(self, request: Any) -> None:
        """Wait for an exchange; ChainruleError where others do not take part in it."""
        started = time.monotonic()
        while not request.Test():
            waited = time.monotonic() - started
            if waited > PATIENCE:
                raise ChainruleError(
                    f"one of the {self.size} processes of MPI has not answered for {PATIENCE:g} s: "
                    f"it hangs, or its machine is gone; start them again (resume=True goes on "
                    f"from a checkpoint), or wait longer with CHAINRULE_MPI_PATIENCE=SECONDS"
                )
            time.sleep(0 if waited < SPIN else 1e-4)

    def total(self, vectors: Vectors, shards: int) -> np.ndarray:
        """The sum over all shards; KeyboardInterrupt if any process was asked to stop, FewerError
        if some are gone."""
        try:
            total = self._exchanged(vectors, shards)
        except self.error as error:
            like = next(iter(vectors.values()))
            total = self._repaired(error, np.empty(like.size + 1, like.dtype))
        self.done, self.last = self.done + 1, total
        if total[-1]:
            self._stop()
        return total[:-1]

    def _repaired(self, error: Exception, total: np.ndarray) -> np.ndarray:
        """Go on without those who are gone: FewerError, or the sum that others have already."""
        while True:
            if not self.losses or error.Get_error_class() not in self.losses:  # type: ignore[attr-defined]
                raise error
            try:
                self.comm.Revoke()
                first, before = self.rank == 0, self.size
                self.comm = self.comm.Shrink()
                self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
                every = np.empty((self.size, 2), np.int64)
                self.comm.Allgather(np.array([first, self.done]), every)
                if not every[:, 0].any():
                    raise ChainruleError(
                        "the first process of MPI, which alone prints and writes, is gone; start "
                        "them again (resume=True goes on from a checkpoint)"
                    )
                if first:
                    gone = f"{before - self.size} of {before} processes of MPI"
                    warnings.warn(f"{gone} are gone; the others do their part", stacklevel=2)
                ahead = every[:, 1] == every[:, 1].max()
                if ahead.all():
                    raise FewerError
                total = self.last if ahead[self.rank] else total
                self.comm.Bcast(total, int(np.argmax(ahead)))
                if ahead[self.rank]:
                    raise FewerError
                return total
            except self.error as another:
                error = another

    def _exchanged(self, vectors: Vectors, shards: int) -> np.ndarray:
        """The sum, and whether any process was asked to stop."""
        ranks = range(self.size)
        nodes = [branches((0, shards), *share(r, self.size, shards)) for r in ranks]
        own = np.stack([added(node, vectors) for node in nodes[self.rank]])
        cuts = [share(r, self.size, own.shape[1]) for r in ranks]
        mine = cuts[self.rank][1] - cuts[self.rank][0]
        out = np.concatenate([own[:, a:b].ravel() for a, b in cuts])
        counts = [len(own) * (b - a) for a, b in cuts], [len(some) * mine for some in nodes]
        got = np.empty(sum(counts[1]), own.dtype)
        self._done(self.comm.Ialltoallv([out, counts[0]], [got, counts[1]]))
        every = [node for some in nodes for node in some]
        known = dict(zip(every, got.reshape(-1, mine), strict=True))
        part = np.append(added((0, shards), known), own.dtype.type(self.asked is not None))
        total = np.empty(own.shape[1] + self.size, own.dtype)
        self._done(self.comm.Iallgatherv(part, [total, [b - a + 1 for a, b in cuts]]))
        flags = [b + r for r, (_, b) in enumerate(cuts)]
        return np.append(np.delete(total, flags), total[flags].any())

    def _stop(self) -> None:
        if self.asked is not None and callable(self.asked[0]):
            self.asked[0](*self.asked[1:])  # it may end the program in its own way
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def training(self, state: TrainingState) -> Iterator[None]:
        """Within it, a process that is asked to stop waits for the next exchange, so that all stop
        at the same step and none waits for another for ever."""
        if self.open == 0 and threading.current_thread() is threading.main_thread():
            self._listen()
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
            if self.open == 0:
                self.asked, before, self.before = None, self.before, {}
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _listen(self) -> None:
        self.before = before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

        def ask(number: int, frame: Any) -> None:
            self.asked = before[signal.Signals(number)], number, frame

        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, ask)
