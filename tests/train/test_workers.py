"""Many workers train to the bits of one: whoever has a shard, and whoever is lost on the way."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DataError, UsageError
from chainrule.train import fit, fit_many, workers
from tests.helpers import workers as helpers

RNG = np.random.Generator(np.random.Philox(9))
X = RNG.normal(size=(61, 3))
Y, WEIGHTS = 2.0 + X[:, 0], RNG.random(61)
MODEL = cr.nn.MLP((3, 5, 1), dropout=0.2, batch_norm=True)
COMMON: dict[str, Any] = {
    "loss": "squared_error", "optimizer": "adam", "epochs": 4, "batch_size": 20, "shards": 8,
    "sample_weight": WEIGHTS, "l2": 0.1, "alpha": 0.1, "validation": (X[:9], Y[:9]),
    "early_stopping": 3,
}  # fmt: skip


def digest(*results: Any) -> str:
    trees = [(r.params, r.state, r.slots, [row | {"seconds": 0} for row in r.history])
             for r in results]  # fmt: skip
    leaves = [np.asarray(leaf).tobytes() for leaf in cr.tree.leaves(trees)]
    return hashlib.sha256(b"".join(leaves)).hexdigest()


def alone() -> tuple[str, str]:
    many = fit_many(MODEL, (X, Y), seeds=[0, 1], **COMMON)
    assert digest(many[0]) == digest(fit(MODEL, (X, Y), seed=0, **COMMON))
    return digest(many[0]), digest(*many)


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 8, 13])
def test_branches_of_all_workers_add_up_in_one_order(shards: int) -> None:
    leaves = RNG.normal(size=(shards, 5)).astype(np.float32)
    each = {(j, j + 1): leaves[j] for j in range(shards)}
    expected = workers.added((0, shards), each)
    np.testing.assert_allclose(expected, leaves.sum(axis=0), rtol=1e-5, atol=1e-6)  # float32
    for size in range(1, shards + 1):
        known = {}
        for rank in range(size):
            first, end = workers.share(rank, size, shards)
            own = {node: leaf for node, leaf in each.items() if first <= node[0] < end}
            for node in workers.branches((0, shards), first, end):
                known[node] = workers.added(node, own)
        assert workers.added((0, shards), known).tobytes() == expected.tobytes()


def test_sums_over_shards_are_the_whole_gradient() -> None:
    options = {**COMMON, "epochs": 3, "dtype": np.float64}
    plain = cr.nn.MLP((3, 5, 1))
    whole, sharded = (fit(plain, (X, Y), **options | {"shards": n}) for n in (1, 64))
    for a, b in zip(*map(cr.tree.leaves, (whole.params, sharded.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)  # the same sums in another order
    assert digest(sharded) != digest(whole)


def test_a_sharded_training_is_taken_up_at_any_step(tmp_path: Path) -> None:
    from shutil import copytree

    copies = list[Path]()
    checkpoint = cr.train.Checkpoint(
        *(tmp_path / "kept", 1),
        callback=lambda e: copies.append(copytree(e.path.parent, tmp_path / str(e.path.stem))),
    )
    expected = digest(fit(MODEL, (X, Y), checkpoint=checkpoint, **COMMON))
    for folder in copies[2::6]:
        assert digest(fit(MODEL, (X, Y), checkpoint=folder, resume=True, **COMMON)) == expected
    with pytest.raises(UsageError, match="shards was 8 and is 4"):
        fit(MODEL, (X, Y), checkpoint=folder, resume=True, **COMMON | {"shards": 4})


def test_what_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UsageError, match="more than one row per shard: batch_size=20 has 16"):
        fit(MODEL, (X, Y), **COMMON | {"shards": 16})
    with pytest.raises(UsageError, match="whole batch: leave out shards and workers"):
        fit(cr.nn.MLP((3, 1)), (X, Y), loss="squared_error", optimizer="lbfgs", shards=2)


MPI = ["mpiexec", "--allow-run-as-root", "--oversubscribe", "-n"]


@pytest.mark.skipif(sys.platform == "win32", reason="Open MPI has no wheel there")
def test_mpi_has_the_bits_of_one_process() -> None:
    code = (
        "import sys, runpy; t = runpy.run_path(sys.argv[1]); options = t['COMMON']\n"
        "data = t['X'], t['Y']; options['workers'] = 'mpi'\n"
        "a = t['fit_many'](t['MODEL'], data, seeds=[0, 1], **options)\n"
        "print(t['digest'](a[0]), t['digest'](*a))"
    )
    command = [*MPI, "3", sys.executable, "-c", code, __file__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.splitlines() == [" ".join(alone())] * 3


def test_dask_has_the_bits_of_one_process_whoever_is_lost(monkeypatch: Any) -> None:
    distributed = pytest.importorskip("distributed")
    from chainrule.train import dask

    monkeypatch.setattr(dask, "PATIENCE", 8.0)
    expected, heard = alone(), list[int]()
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")
        processes = [one.pid for one in cluster.workers.values()]

        def lose(event: Any) -> None:
            heard.append(event.epoch)
            if event.epoch == 1:
                os.kill(processes[0], signal.SIGKILL)
            if event.epoch == 2:
                os.kill(processes[1], signal.SIGSTOP)

        options = COMMON | {"callbacks": [lambda event: "stop"], "workers": client}
        assert fit(MODEL, (X, Y), **options).stopped == "callback"
        with pytest.raises(DataError, match=r"x\[0, 0\] is nan"):
            fit(MODEL, (X * np.nan, Y), **options)
        result = fit(MODEL, (X, Y), **options | {"callbacks": ()})
        assert digest(result) == expected[0]
        many = fit_many(MODEL, (X, Y), seeds=[0, 1], **options | {"callbacks": [lose]})
        os.kill(processes[1], signal.SIGKILL)
        assert digest(*many) == expected[1]
        assert heard == [1, 2, 3, 4]


@pytest.mark.skipif("CHAINRULE_KILLS" not in os.environ, reason="CHAINRULE_KILLS is not set")
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_dask_has_the_bits_of_one_process_whatever_happens_to_workers() -> None:
    """One that is slow; one that stops and goes on before ``PATIENCE`` is over; connections that
    are closed in the middle of an exchange; one whose memory is not enough."""
    distributed = pytest.importorskip("distributed")
    expected, _ = alone()
    hungry: dict[str, Any] = {"loss": "squared_error", "optimizer": "adam", "epochs": 3}
    fed = digest(fit(cr.nn.MLP((3, 4, 1)), helpers.Hungry(), shards=8, **hungry))
    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        processes = [one.pid for one in cluster.workers.values()]
        closed, stalls = list[int](), [0.3] * 10 + [4.0]

        def stall() -> None:
            for seconds in stalls:
                os.kill(processes[0], signal.SIGSTOP)
                time.sleep(seconds)
                os.kill(processes[0], signal.SIGCONT)
                time.sleep(0.1)

        def lose(event: Any) -> None:
            closed.extend(client.run(helpers.lose_connections).values())

        stalling = threading.Thread(target=stall)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nobody is given up
            stalling.start()
            assert digest(fit(MODEL, (X, Y), workers=client, **COMMON)) == expected
            stalling.join()
            found = fit(MODEL, (X, Y), workers=client, callbacks=[lose], **COMMON)
        assert digest(found) == expected
        assert sum(closed) > 0
        one = next(iter(client.scheduler_info()["workers"]))
        client.run(helpers.limit_memory, 500, workers=[one])
        with pytest.warns(UserWarning, match=f"the worker {one} is lost"):
            found = fit(cr.nn.MLP((3, 4, 1)), helpers.Hungry(), workers=client, **hungry)
        assert digest(found) == fed
        for other in client.scheduler_info()["workers"]:
            client.run(helpers.limit_memory, 500, workers=[other])
        with pytest.raises(MemoryError):
            fit(cr.nn.MLP((3, 4, 1)), helpers.Hungry(), workers=client, **hungry)
