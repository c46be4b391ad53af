"""Many workers, one training: the gradient of a minibatch in a fixed number of virtual shards.

Each shard's sums (loss, weight, gradients, state) are a vector. The vectors are added along one
binary tree, whose leaves are the shards: which worker computed a leaf, or added a branch of it,
changes no bit. So the bits depend on the number of shards, which the model file records, and
not on how many workers there are, or which of them die. Batch normalisation takes its statistics,
and dropout its keys, from the shard.

An adapter is a ``Workers``; ``train.mpi`` and ``train.dask`` have those between processes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from chainrule.core.settings import whole
from chainrule.core.tree import flatten
from chainrule.errors import UsageError
from chainrule.forks import load
from chainrule.ops.random import key_of
from chainrule.optim import Optimizer
from chainrule.run import Runner, each_device
from chainrule.train.data import MASKS, Batch, Data
from chainrule.train.descent import Steps
from chainrule.train.monitor import TrainingState
from chainrule.train.steps import Step

SHARDS = 8
"""So many there are where several workers train, unless told otherwise."""

Node = tuple[int, int]
"""A branch of the tree: the shards from the first number to before the second."""
Vectors = Mapping[Node, np.ndarray]


class FewerError(Exception):
    """Internal: there are fewer workers now, and each has other shards to compute."""


class Workers(Protocol):
    """What a training asks of those that it shares its shards with.

    Attributes:
        rank: which of them this is; the first, 0, alone prints and writes.
        size: how many there are.
    """

    rank: int
    size: int

    def total(self, vectors: Vectors, shards: int) -> np.ndarray:
        """The sum over all shards, the same everywhere, from the vectors of one's own.

        Raises:
            KeyboardInterrupt: one of them was asked to stop; all raise it at the same step.
            FewerError: some are lost; to be asked again with what is one's own now.
        """
        ...

    def wait(self) -> None:
        """Until all are here."""
        ...

    def training(self, state: TrainingState) -> AbstractContextManager[None]:
        """Open while a training runs, whose state this is."""
        ...


class Alone:
    """One process has all shards."""

    rank, size = 0, 1

    def total(self, vectors: Vectors, shards: int) -> np.ndarray:
        """The sum over all shards."""
        return added((0, shards), vectors)

    def wait(self) -> None:
        """Nobody to wait for."""

    def training(self, state: TrainingState) -> AbstractContextManager[None]:
        """Nothing to open."""
        return contextlib.nullcontext()


def on_dask(workers: Any) -> bool:
    """Whether a number of processes, a scheduler's address or a client is meant."""
    return workers not in (None, 1, "mpi") and not hasattr(workers, "total")


def workers_of(given: Any, shards: Any, devices: int = 1) -> tuple[Workers, int]:
    """The adapter that is meant, and the number of shards, None being the usual one where several
    workers, or devices of one, share them.

    Raises:
        UsageError: more workers than shards.
    """
    if given is None or given == 1:
        usual = 1 if devices == 1 else SHARDS
        return Alone(), usual if shards is None else whole("shards", shards)
    if given == "mpi":
        given = load("chainrule.train.mpi").Mpi()
    shards = SHARDS if shards is None else whole("shards", shards)
    if shards < given.size:
        raise UsageError(
            f"{given.size} workers have {shards} shards to share: at least one each, "
            f"shards={given.size}"
        )
    return given, shards


def branches(node: Node, first: int, end: int) -> list[Node]:
    """The largest branches below ``node`` that lie within the shards from ``first`` to ``end``."""
    low, high = node
    if first <= low and high <= end:
        return [node]
    if high <= first or end <= low:
        return []
    middle = (low + high) // 2
    return branches((low, middle), first, end) + branches((middle, high), first, end)


def added(node: Node, known: Vectors) -> np.ndarray:
    """The sum below ``node``, from those of branches that are known."""
    if node in known:
        return known[node]
    low, high = node
    middle = (low + high) // 2
    return added((low, middle), known) + added((middle, high), known)


def share(rank: int, size: int, count: int) -> Node:
    """The part of ``count`` things that this worker has."""
    return rank * count // size, (rank + 1) * count // size


class ShardedSteps(Steps):
    """Steps whose gradients are sums over virtual shards, some of which others compute."""

    def __init__(
        self,
        step: Step,
        optimizer: Optimizer,
        data: Data,
        training: TrainingState,
        seed: int,
        runner: Runner,
        workers: Workers,
        shards: int,
    ) -> None:
        super().__init__(step, optimizer, data, training, seed, runner)
        self.chunks.tried = True  # no loop: others come between gradient and update
        self.step, self.optimizer = step, optimizer
        self.workers, self.shards = workers, shards
        self.network = len(flatten(training.carry[:2])[0])
        self.size = 3 + sum(leaf.size for leaf in training.now[: self.network])
        self.runners = [Runner(one, runner.threads) for one in each_device(runner.executor)]

    def once(self, leaves: list[np.ndarray], epoch: int, i: int) -> tuple[float, float, Any]:
        """Step ``i`` of an epoch: mean loss before it, weight, leaves after it."""
        batch = Batch(*self.data.take(epoch, i))
        while True:
            own = range(*share(self.workers.rank, self.workers.size, self.shards))
            vectors = self._own(leaves, batch, epoch, i, own)
            try:
                total = self.workers.total(vectors, self.shards)
                break
            except FewerError:
                continue
        count = np.asarray(self.training.steps)
        run = self.made.get("update")
        if run is None:
            update = self.step.combined(self.optimizer)
            run = self.runner.compile(update, self.training.carry, total, count).flat
            self.made["update"] = run
        loss, *leaves = run([*leaves, total, count])
        return float(loss), float(total[1]), leaves

    def _own(
        self, leaves: list[np.ndarray], batch: Batch, epoch: int, i: int, own: range
    ) -> dict[Node, np.ndarray]:
        """The sums of one's own shards; each device computes some, all at the same time."""
        count = len(self.runners)
        made = [
            self._shard(self.runners[k], leaves, batch, epoch, i, j)
            for k in range(count)
            for j in own[slice(*share(k, count, len(own)))]
        ]
        if count == 1:
            vectors = [make() for make in made]
        else:
            parts = [made[slice(*share(k, count, len(made)))] for k in range(count)]
            with ThreadPoolExecutor(count) as pool:
                done = pool.map(lambda part: [make() for make in part], parts)
                vectors = [vector for part in done for vector in part]
        return {(j, j + 1): vector for j, vector in zip(own, vectors, strict=True)}

    def _shard(
        self, runner: Runner, leaves: list[np.ndarray], batch: Batch, epoch: int, i: int, j: int
    ) -> Callable[[], np.ndarray]:
        """What computes the sums of shard ``j``; zeros where it has no row."""
        first, end = share(j, self.shards, len(batch.x))
        if first == end:
            return lambda: np.zeros(self.size, leaves[0].dtype)
        rows = Batch(*[None if x is None else x[first:end] for x in batch])  # type: ignore[arg-type]
        key = key_of(self.seed, MASKS, epoch, i, j) if self.keyed else None
        given = [np.ascontiguousarray(x) for x in (*rows, key) if x is not None]
        signature = (runner, *[(x.shape, x.dtype) for x in given])
        run = self.made.get(signature)
        if run is None:
            params, state, _ = self.training.carry
            run = runner.compile(self.step.shard, params, state, rows, key).flat
            self.made[signature] = run
        return lambda: run([*leaves[: self.network], *given])[0]
