"""What sharing a training among workers costs a step, and from which batch on it pays.

``python -m benchmarks.workers`` times the exchange of gradients between two workers of this
machine over MPI and over Dask, by number of parameters, and how long a row takes. From these it
says, by a model of latency and bytes that a simulation of the messages checks, what 8, 64 and 512
machines with this latency and this bandwidth would do. ``--latency 20e-6 --bandwidth 3e9``
(seconds, bytes a second) are those of another network, ``--json FILE`` keeps every number.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import duration, median, save, table
from chainrule import nn, train
from chainrule.train.dask import Link, Peer
from chainrule.train.workers import Vectors

NETWORKS = {1_000: (16, 35, 10), 100_000: (100, 270, 265, 1), 1_000_000: (784, 790, 480, 10)}
"""A network with about so many parameters."""
MACHINES = (8, 64, 512)
ROUNDS = 30
SIZES = tuple(NETWORKS)


# what is measured ---------------------------------------------------------------------------


def times_of(workers: Any, sizes: tuple[int, ...]) -> list[float]:
    """Seconds of an exchange of so many numbers, by the clock of this worker, which has one of as
    many shards as there are workers; the median of many."""
    found = []
    for size in sizes:
        own: Vectors = {(workers.rank, workers.rank + 1): np.ones(size + 3, np.float32)}
        seconds = []
        for _ in range(ROUNDS):
            workers.total({}, 0) if hasattr(workers, "peer") else workers.wait()
            started = time.perf_counter()
            workers.total(own, workers.size)
            seconds.append(time.perf_counter() - started)
        found.append(median(seconds[ROUNDS // 5 :]))
    return found


def over_mpi(sizes: tuple[int, ...]) -> list[float]:
    """Between two processes that ``mpiexec`` starts."""
    command = ["mpiexec", "--allow-run-as-root", "--oversubscribe", "-n", "2", sys.executable,
               "-m", "benchmarks.workers", "--rank", *map(str, sizes)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Timed(Peer):
    """An actor that exchanges, and trains nothing."""

    async def time(self, rank: int, peers: Any, sizes: tuple[int, ...]) -> None:
        """Begin, in a thread as trainings do."""
        import threading

        self.run, self.link = 1, Link(self, 1, rank, peers)

        def timed() -> None:
            self.state = "done", times_of(self.link, sizes)

        threading.Thread(target=timed, daemon=True).start()


def over_dask(sizes: tuple[int, ...]) -> list[float]:
    """Between two workers of a local cluster, over their own connections."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="") as cluster,
        Client(cluster) as client,
    ):
        places = sorted(client.scheduler_info(n_workers=-1)["workers"])
        peers: list[Any] = [client.submit(Timed, actor=True, pure=False, workers=[one]).result()
                 for one in places]  # fmt: skip
        known = [(one, peer.key) for one, peer in zip(places, peers, strict=True)]
        for rank, peer in enumerate(peers):
            peer.time(rank, known, sizes).result()
        while {peer.look(1).result()[0] for peer in peers} != {"done"}:
            time.sleep(0.05)
        return peers[0].result().result()


def row_of(sizes: tuple[int, ...]) -> float:
    """Seconds that a row of a minibatch takes one worker, in float32."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2048, sizes[0])).astype(np.float32)
    y = rng.normal(size=(2048, sizes[-1])).astype(np.float32)
    result = train.fit(
        nn.MLP(sizes), (x, y), loss="squared_error", optimizer="adam", epochs=3, batch_size=512,
        shards=2, threads=1, evaluate_train=False,
    )  # fmt: skip
    return min(row["seconds"] for row in result.history[1:]) / len(x)


# the model, and its check -------------------------------------------------------------------


def simulated(way: str, workers: int, size: int, latency: float, bandwidth: float) -> float:
    """Seconds of an exchange, message by message, the mean of some: latencies vary (exponentially,
    about their mean), and a worker waits for the one that it exchanges with.

    MPI sends pair by pair, first slices of branches and then of sums. On Dask everyone sends to
    worker 0, then to 1 and so on, and a worker takes in the order of arrival.
    """
    rng, ends = np.random.default_rng(0), list[float]()
    for _ in range(10):
        end = np.zeros(workers)
        if way == "mpi":
            wire = 4 * size / workers / bandwidth
            for d in 2 * [*range(1, workers)]:
                cost = latency * rng.exponential(size=workers) + wire
                end = np.maximum(end, np.roll(end, d)) + cost
        else:
            cost = latency * rng.exponential(size=(workers, workers)) + 4 * size / bandwidth
            np.fill_diagonal(cost, 0.0)
            sent = np.cumsum(cost, axis=1) - cost  # from each worker, to each
            for receiver in range(workers):
                order = np.argsort(sent[:, receiver])
                taken = np.cumsum(cost[order, receiver])
                waits = np.maximum.accumulate(sent[order, receiver] - taken + cost[order, receiver])
                end[receiver] = taken[-1] + waits[-1]
        ends.append(float(end.max()))
    return float(np.mean(ends))


WAITS = 2.4
"""Latencies that a round of MPI's pairs takes where they vary: each waits for the later of two."""


def model(way: str, workers: int, size: int, latency: float, bandwidth: float) -> float:
    """The same by a formula, for ``W`` workers and ``P`` numbers of 4 bytes: over MPI
    ``2 (W-1) (2.4 latency + 4 P / W / bandwidth)``; over Dask, where all wait for the last to whom
    all send, ``(2 W - 3) (latency + 4 P / bandwidth)``."""
    if way == "mpi":
        waits = WAITS if workers > 2 else 1.0
        return 2 * (workers - 1) * (waits * latency + 4 * size / workers / bandwidth)
    return (2 * workers - 3) * (latency + 4 * size / bandwidth)


def line_through(way: str, seconds: list[float]) -> tuple[float, float]:
    """Latency and bandwidth with which the model has what two workers took: the first of the
    smallest exchange, the second of the largest."""
    rounds = 2 if way == "mpi" else 1
    latency = seconds[0] / rounds
    wire = max(seconds[-1] - seconds[0], 1e-9)
    return latency, 4 * (SIZES[-1] - SIZES[0]) / wire


def pays(row: float, exchange: float, workers: int) -> int:
    """The smallest batch that workers do sooner than one: ``B row / W + exchange < B row``."""
    return int(np.ceil(exchange / (row * (1 - 1 / workers))))


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", nargs="+", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--latency", type=float, help="seconds, instead of what was measured")
    parser.add_argument("--bandwidth", type=float, help="bytes a second, likewise")
    parser.add_argument("--batch", type=int, default=8192, help="rows a step; 8192")
    parser.add_argument("--json", help="another file than results/workers.json")
    given = parser.parse_args()
    if given.rank:
        from chainrule.train.mpi import Mpi

        world = Mpi()
        found = times_of(world, tuple(given.rank))
        if world.rank == 0:
            print(json.dumps(found))
        return
    rows = {size: row_of(network) for size, network in NETWORKS.items()}
    kept: dict[str, Any] = {"row": rows}
    shown = []
    for way, exchange in (("mpi", over_mpi), ("dask", over_dask)):
        seconds = exchange(SIZES)
        latency, bandwidth = line_through(way, seconds)
        latency, bandwidth = given.latency or latency, given.bandwidth or bandwidth
        kept[way] = {"two": dict(zip(SIZES, seconds, strict=True)), "latency": latency,
                     "bandwidth": bandwidth, "machines": []}  # fmt: skip
        print(f"{way}: latency {duration(latency)}, {bandwidth / 1e9:.2f} GB/s")
        for size, two in zip(SIZES, seconds, strict=True):
            cells = [way, f"{size:,}", duration(two), f"{pays(rows[size], two, 2):,}"]
            for count in MACHINES:
                by_model = model(way, count, size, latency, bandwidth)
                by_message = simulated(way, count, size, latency, bandwidth)
                alone = given.batch * rows[size]
                efficiency = alone / count / (alone / count + by_model)
                batch = pays(rows[size], by_model, count)
                kept[way]["machines"].append(
                    {"parameters": size, "machines": count, "model": by_model,
                     "simulation": by_message, "efficiency": efficiency, "pays": batch}
                )  # fmt: skip
                cells.append(f"{100 * efficiency:.1f} %, {batch:,} ({by_message / by_model:.2f})")
            shown.append(cells)
    table(
        ["", "parameters", "exchange of 2", "pays from batch",
         *[f"{count} machines" for count in MACHINES]],
        shown,
    )  # fmt: skip
    print(f"\nOf machines: efficiency at a batch of {given.batch:,}, the batch from which they are "
          "sooner than one, and the simulation's time over the model's")  # fmt: skip
    save("workers", kept, given.json and Path(given.json))


if __name__ == "__main__":
    main()
