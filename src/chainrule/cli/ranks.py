"""A command in processes that ``mpiexec`` started: the first prints and writes, and any error ends
all of them."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time

__all__ = ["RANK", "SIZE", "end_all", "join", "take_turn"]


def _told(name: str) -> int:
    """What Open MPI, or MPICH and its kin, tell a process that they start; 0 if nobody did."""
    return int(os.environ.get(f"OMPI_COMM_WORLD_{name}", os.environ.get(f"PMI_{name}", 0)))


RANK, SIZE = _told("RANK"), max(1, _told("SIZE"))


def join() -> None:
    """Begin: from here on, one of them can end all."""
    if SIZE > 1:
        with contextlib.suppress(ImportError, RuntimeError):  # said where it is needed
            importlib.import_module("mpi4py.MPI")


def take_turn() -> None:
    """Before an error is said: one that all meet is said by the first, which ends the others."""
    if RANK:
        time.sleep(5 + 0.2 * RANK)


def end_all(status: int) -> None:
    """After an error: the others would wait for this process for ever."""
    if SIZE > 1 and "mpi4py.MPI" in sys.modules:
        sys.stderr.flush()
        sys.modules["mpi4py.MPI"].COMM_WORLD.Abort(status)
