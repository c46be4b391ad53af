"""``python -m benchmarks.many``: 32 networks in one call, in 32 calls, and by JAX's vmap of scan.

All train the same networks on the same minibatches with Adam, in float32. ``fit_many`` and ``fit``
are called as a user does, recording and compiling included; JAX's time is that of a compiled call,
with its compilation beside it. Everybody draws the starting weights and the order of the rows of
each epoch from the seeds, and returns all losses. One core for everybody: ``taskset -c 0``.
"""

import argparse
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measure import duration, installed, interleave, median, ratio, save, table
from benchmarks.peers import ours
from benchmarks.work import Network
from chainrule import nn, train
from chainrule.core.tree import flatten
from chainrule.train.data import ArrayData

NETWORKS = (Network((4, 16, 3), 32, 16), Network((64, 64, 10), 64, 32))
TOGETHER, ALONE, JAX = "fit_many", "fit, one by one", "JAX, vmap of scan"


def fitted(network: Network, count: int, epochs: int, evaluate: bool) -> Any:
    """Both ways to train networks with the seeds 0, 1, ...: functions that return their params."""
    x, t = network.data("float32")
    model, loss = ours.parts(network)
    settings: dict[str, Any] = {
        "loss": loss, "optimizer": ours.rule_of("adam"), "epochs": epochs,
        "batch_size": network.batch, "evaluate_train": evaluate, "executor": "native",
    }  # fmt: skip

    def together() -> list[Any]:
        return [r.params for r in train.fit_many(model, (x, t), seeds=range(count), **settings)]

    def alone() -> list[Any]:
        return [train.fit(model, (x, t), seed=k, **settings).params for k in range(count)]

    return {TOGETHER: together, ALONE: alone}


def started(network: Network, count: int, epochs: int) -> tuple[Any, np.ndarray]:
    """Stacked layers of all networks, and the rows of each one's minibatches, as in ``fit``."""
    x, t = network.data("float32")
    start = [nn.MLP(network.sizes).init(k, "float32")[0]["layers"] for k in range(count)]
    layers = [
        tuple([np.stack([each[i][name] for each in start]) for name in ("weights", "bias")])
        for i in range(len(start[0]))
    ]
    data = [ArrayData(x, t, None, network.batch, k) for k in range(count)]
    ArrayData.draw(data, 1, epochs)
    orders = [np.concatenate(one.orders(1, epochs)) for one in data]
    return layers, np.stack(orders).reshape(count, -1, network.batch)


def mean_loss(network: Network, params: Any) -> float:
    """Of all networks, after the last step."""
    each = []
    for one in params:
        layers = [(layer["weights"], layer["bias"]) for layer in one["layers"]]
        each.append(network.mean_loss(layers, "float32"))
    return float(np.mean(each))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--evaluate", action="store_true", help="the loss of all rows, each epoch")
    options = parser.parse_args(argv)
    rows, results = [], {}
    for network in NETWORKS:
        runs = fitted(network, options.networks, options.epochs, options.evaluate)
        losses, first = [mean_loss(network, run()) for run in runs.values()], None
        if installed("jax"):
            from benchmarks.peers import jax_xla

            drawn = partial(started, network, options.networks, options.epochs)
            runs[JAX] = jax_xla.many(network, *drawn(), drawn)
            begin = time.perf_counter()
            layers = [np.asarray(x) for x in flatten(runs[JAX]()[0])[0]]
            first = time.perf_counter() - begin
            params = [
                {"layers": [{"weights": w[k], "bias": b[k]}
                            for w, b in zip(layers[::2], layers[1::2], strict=True)]}
                for k in range(options.networks)
            ]  # fmt: skip
            losses.append(mean_loss(network, params))
        np.testing.assert_allclose(losses, losses[0], rtol=2e-3)
        times = interleave(runs, options.rounds)
        results[network.name] = {"seconds": times, "JAX, first call": first}
        cells = [duration(median(t)) for t in times.values()]
        cells += [f"{ratio(times, name, TOGETHER):.2f}" for name in runs if name != TOGETHER]
        rows.append([network.name, *cells, *([duration(first)] if first else [])])
        print(*rows[-1], sep="  ", flush=True)
    others = [name for name in runs if name != TOGETHER]
    header = ["network", *runs, *[f"{name} / {TOGETHER}" for name in others]]
    table([*header, *["JAX, first call"] * (JAX in runs)], rows)
    save("many", results)


if __name__ == "__main__":
    main()
