"""Workers of a Dask cluster: an actor on each trains, and sends its sums straight to the others.

The client starts the actors and watches. If one is lost, has too little memory, or does not answer
for ``PATIENCE`` seconds, the others go on from the last step that one of them has finished, with
its shards; a worker that comes later gets a share too. Neither changes a bit.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.core.settings import whole
from chainrule.errors import ChainruleError, UsageError
from chainrule.train.checkpoint import Checkpoint
from chainrule.train.monitor import Moment, TrainingState
from chainrule.train.result import EpochEnd
from chainrule.train.workers import SHARDS, Vectors, added, branches, share

__all__ = ["fit_on_dask"]

PATIENCE = 30.0
"""Seconds after which a worker that does not answer is given up."""
LOST = (OSError, TimeoutError, RuntimeError, CancelledError)
"""What Dask raises for a worker that is gone."""
POLL = 0.05
"""Seconds between two looks at the workers."""


class LostError(ChainruleError):
    """Internal: another worker is gone, or all are to begin again from this step."""


class Peer:
    """The actor. Methods called from elsewhere run on its worker's event loop; training, in a
    thread."""

    payload: tuple[str, Any, Any, dict[str, Any]]

    def __init__(self) -> None:
        from distributed import get_worker

        self.worker = get_worker()
        self.loop: Any = self.worker.loop.asyncio_loop  # type: ignore[attr-defined]
        self.run, self.link = 0, Link(self, 0, 0, ())
        self.events: list[Any] = []
        self.state: tuple[str, Any] = ("idle", None)

    async def take_work(self, payload: Any) -> None:
        """What is to be trained. No dependency of the actor: Dask would give up all actors with
        the worker that holds it."""
        self.payload = payload

    async def begin(self, run: int, rank: int, peers: Sequence[Any], moments: Any) -> None:
        """Train from ``moments``, as worker ``rank`` of those that ``peers`` are."""
        self.run, self.link = run, Link(self, run, rank, peers)
        self.events, self.state = [], ("training", None)
        threading.Thread(target=self._train, args=(self.link, moments), daemon=True).start()

    def _train(self, link: Link, moments: Any) -> None:
        from chainrule.train.fit import finished, fitting
        from chainrule.train.many import fit_many

        name, model, data, given = self.payload
        options: dict[str, Any] = {**given, "workers": link, "callbacks": [link.heard]}
        if moments is not None:
            options["resume"] = moments if name == "fit_many" else moments[0]
            if options["checkpoint"] is not None:
                options["checkpoint"] = replace(options["checkpoint"], force=True)
        try:
            if name == "fit_many":
                result = fit_many(model, data, **options)
            else:
                result = finished(fitting(model, data, **options))
            state = "done", result
        except LostError:
            state = "lost", None
        except MemoryError as error:
            state = "short", error
        except BaseException as error:
            state = "failed", error
        if link is self.link:
            self.state = state

    async def take(self, run: int, step: int, rank: int, flag: int, vectors: Any) -> None:
        """What another worker has of a step."""
        if run == self.run:
            self.link.inbox[step][rank] = flag, vectors
            self.link.arrived.set()

    async def look(self, run: int) -> tuple[str, list[Any]]:
        """How it goes, and the epochs that ended since the last look."""
        events, self.events = self.events, []
        return (self.state[0] if run == self.run else "idle"), events

    async def ask(self, flag: int) -> None:
        """At the next step all are to stop (1), or to begin again from there (2)."""
        self.link.flag = flag

    async def leave(self) -> None:
        """Another worker is lost: wait for it no longer."""
        self.link.left = True
        self.link.arrived.set()

    async def place(self) -> int:
        """How far it came: updates of all networks."""
        return sum(state.moment.steps for state in self.link.states)

    async def moments(self) -> Any:
        """Where each network stands, after the last whole step; None before they train."""
        return [state.moment for state in self.link.states] or None

    async def result(self) -> Any:
        """What came out."""
        return self.state[1]


class Link:
    """A peer's ``Workers``: with whom it shares one run."""

    def __init__(self, peer: Peer, run: int, rank: int, peers: Sequence[Any]) -> None:
        self.peer, self.run, self.rank, self.peers = peer, run, rank, peers
        self.size = len(peers)
        self.steps = itertools.count()
        self.inbox: Any = _Inbox()
        self.arrived = asyncio.Event()
        self.flag, self.left = 0, False
        self.states: list[TrainingState] = []

    def wait(self) -> None:
        """All read the checkpoints before one of them writes."""
        self.total({}, 0)

    def total(self, vectors: Vectors, shards: int) -> np.ndarray:
        """The sum over all shards."""
        first, end = share(self.rank, self.size, shards)
        nodes = branches((0, shards), first, end) if shards else []
        own = {node: added(node, vectors) for node in nodes}
        future = asyncio.run_coroutine_threadsafe(
            self._exchange(next(self.steps), own), self.peer.loop
        )
        got = future.result()
        flag = max(flag for flag, _ in got.values())
        if flag == 1:
            raise KeyboardInterrupt
        if flag == 2:
            raise LostError("begin again")
        known = {node: one for _, some in got.values() for node, one in some}
        return added((0, shards), known) if shards else np.zeros(0)

    async def _exchange(self, step: int, own: dict[Any, np.ndarray]) -> Any:
        from distributed.protocol.serialize import to_serialize

        mine = self.flag, [*own.items()]
        others = [one for r, one in enumerate(self.peers) if r != self.rank]
        box = self.inbox[step]
        box[self.rank] = mine
        given = [to_serialize(x) for x in (self.run, step, self.rank, *mine)]
        try:
            await asyncio.gather(
                *[
                    self.peer.worker.rpc(address).actor_execute(
                        actor=key, function="take", args=given, kwargs={}
                    )
                    for address, key in others
                ]
            )
            while len(box) < self.size:
                if self.left:
                    raise LostError("a worker is lost")
                self.arrived.clear()
                await self.arrived.wait()
        except OSError as error:
            raise LostError(str(error)) from None
        return self.inbox.pop(step)

    def heard(self, event: EpochEnd) -> None:
        """An epoch is over."""
        self.peer.events.append((event.epoch, event.epochs, event.history_row, event.best_epoch))

    @contextlib.contextmanager
    def training(self, state: TrainingState) -> Iterator[None]:
        """What the client may ask for, should another be lost."""
        self.states.append(state)
        yield


class _Inbox(dict[int, Any]):
    def __missing__(self, step: int) -> dict[int, Any]:
        self[step] = {}
        return self[step]


@contextlib.contextmanager
def _client(given: Any) -> Iterator[Any]:
    """The client that is meant; a cluster of this machine lives as long as it is needed."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError(
            f"workers={given!r} needs Dask; install it with:  pip install 'chainrule[dask]'"
        ) from None
    if isinstance(given, Client):
        yield given
    elif isinstance(given, str):
        with Client(given, timeout=PATIENCE, set_as_default=False) as client:
            yield client
    else:
        with (
            LocalCluster(
                n_workers=given, threads_per_worker=1, dashboard_address="127.0.0.1:0"
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


class _Watch:
    """The client's side of one training."""

    def __init__(self, client: Any, payload: Any, shards: int, callbacks: Sequence[Any]) -> None:
        self.client, self.shards, self.callbacks = client, shards, callbacks
        self.payload = payload
        self.peers: dict[str, Any] = {}
        self.live: dict[str, Any] = {}
        self.given_up: set[str] = set()
        self.run = self.told = 0
        self.moments: list[Moment] | None = None
        self.why = ""

    def addresses(self) -> list[str]:
        """The workers that there are, as many as can have a shard."""
        found = self.client.scheduler_info(n_workers=-1)["workers"]
        return [one for one in sorted(found) if one not in self.given_up][: self.shards]

    def result(self) -> Any:
        """Train, whoever is lost on the way."""
        while True:
            self.begin()
            try:
                ended = self.watch()
            except KeyboardInterrupt:
                self.ask(1)
                ended = self.watch()
            if ended != "lost":
                break
            self.remember()
        first = next(iter(self.live.values()))
        if ended == "failed":
            raise next(
                error
                for error in (peer.result().result() for peer in self.live.values())
                if isinstance(error, BaseException)
            )
        found = first.result().result()
        return (
            found if not self.why or isinstance(found, tuple) else replace(found, stopped=self.why)
        )

    def begin(self) -> None:
        """Start a run on all workers."""
        self.run += 1
        new = {
            one: self.client.submit(
                Peer, actor=True, pure=False, workers=[one], allow_other_workers=False
            )
            for one in self.addresses()
            if one not in self.peers
        }
        for one, future in new.items():
            try:
                peer = future.result(timeout=PATIENCE)
                peer.take_work(self.payload).result(timeout=PATIENCE)
                self.peers[one] = peer
            except LOST:
                self.lose(one)
        self.live = {one: self.peers[one] for one in self.addresses() if one in self.peers}
        if not self.live:
            raise UsageError("the Dask cluster has no worker: start one with dask worker ADDRESS")
        table = [(one, peer.key) for one, peer in self.live.items()]
        self.each("begin", [(self.run, r, table, self.moments) for r in range(len(table))])

    def each(self, name: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """What all workers answer; who does not is lost."""
        asked, answers = list[tuple[str, Any]](), list[Any]()
        for (one, peer), given in zip([*self.live.items()], arguments, strict=True):
            try:
                asked.append((one, getattr(peer, name)(*given)))
            except LOST:
                self.lose(one)
        for one, future in asked:
            try:
                answers.append(future.result(timeout=PATIENCE))
            except LOST:
                self.lose(one)
        return answers

    def lose(self, address: str) -> None:
        """This worker is given up."""
        warnings.warn(f"the worker {address} is lost; the others take its part", stacklevel=2)
        self.given_up.add(address)
        for some in (self.live, self.peers):
            some.pop(address, None)

    def all(self, name: str, *given: Any) -> list[Any]:
        return self.each(name, [given] * len(self.live))

    def ask(self, flag: int) -> None:
        """Have all stop, or begin again, at the same step: the first tells the others."""
        with contextlib.suppress(*LOST, StopIteration):
            next(iter(self.live.values())).ask(flag).result(timeout=PATIENCE)

    def watch(self) -> str:
        """Wait until the run is over: "done", "failed" or "lost"."""
        asked, count = False, len(self.live)
        while True:
            time.sleep(POLL)
            answers = self.all("look", self.run)
            states = {state for state, _ in answers}
            if answers:
                self.tell(answers[0][1])
            if "failed" in states or states == {"short"}:
                return "failed"
            for one, (state, _) in zip([*self.live], answers, strict=True):
                if state == "short":
                    self.lose(one)
            if len(self.live) < count or "lost" in states:
                self.all("leave")
                return "lost"
            if states == {"done"}:
                return "done"
            if not asked and len(self.addresses()) > count:
                asked = True
                self.ask(2)

    def remember(self) -> None:
        """Find the last step that a worker has finished."""
        places = self.all("place")
        best = max(range(len(places)), key=places.__getitem__, default=0)
        if places and places[best]:
            with contextlib.suppress(*LOST):  # then from an earlier step, to the same bits
                self.moments = [*self.live.values()][best].moments().result(timeout=PATIENCE)

    def tell(self, events: Sequence[Any]) -> None:
        """Let the callbacks hear of epochs."""
        for epoch, epochs, row, best in events:
            if epoch <= self.told:
                continue
            self.told = epoch
            event = EpochEnd(epoch, epochs, row, best, None, None)
            if "stop" in [callback(event) for callback in self.callbacks]:
                self.why = "callback"
                self.ask(1)


def fit_on_dask(
    name: str,
    model: Any,
    data: Any,
    *,
    workers: Any,
    shards: int | None,
    callbacks: Sequence[Any],
    checkpoint: Any,
    **options: Any,
) -> Any:
    """``train.fit``, or ``train.fit_many``, as ``name`` says, by the workers of a Dask cluster.

    Callbacks hear of an epoch a moment after it, without its parameters. Checkpoints are written
    by the first worker, to a folder that all see.
    """
    if checkpoint is not None:
        checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        checkpoint = replace(checkpoint, callback=None)
    if isinstance(workers, int) and options.get("threads") is None:
        options["threads"] = 1  # the processes of one machine share its cores
    shards = SHARDS if shards is None else whole("shards", shards)
    options |= {"checkpoint": checkpoint, "shards": shards}
    with _client(workers) as client, client.as_current():  # actors ask for the current one
        return _Watch(client, (name, model, data, options), shards, callbacks).result()
