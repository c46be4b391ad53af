"""Native execution beside its peers: time per training step, per call, and to the first result.

    python -m benchmarks.native [--rounds 9] [--only training] [--json FILE]

Everything runs in one process, one thing after another within a round, so that a slow moment of
the machine meets all alike; the median of all rounds is reported, and its ratio to ours. A peer
that is not installed is left out with a word. Figures are worth little, ratios something.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import native_peers as peers
from benchmarks.native_peers import Network
from chainrule import nn, optim
from chainrule.api import value_and_grad
from chainrule.compile import optimise
from chainrule.core.record import record
from chainrule.core.tree import flatten
from chainrule.run import compile as compile_
from chainrule.run import repeat
from chainrule.train.data import Batch
from chainrule.train.steps import Step

NETWORKS = (
    Network("4-16-3", (4, 16, 3), 32, 1000),
    Network("64-64-10", (64, 64, 10), 64, 500),
    Network("784-128-10", (784, 128, 10), 128, 60),
    Network("784-512-512-10", (784, 512, 512, 10), 256, 12),
    Network("100-256-256-1", (100, 256, 256, 1), 1024, 12),
)
Run = Callable[[], Any]


def training(network: Network, optimizer: str, dtype: Any) -> tuple[Run, float]:
    """Our loop over the network's minibatches, and the seconds it took to compile."""
    x, t = network.data(dtype)
    model = nn.MLP(sizes=network.sizes)
    loss = nn.CategoricalCrossEntropy() if network.sizes[-1] > 1 else nn.SquaredError()
    params, state = model.init(0, dtype)
    rule = optim.adam(1e-3) if optimizer == "adam" else optim.sgd(1e-2, momentum=0.9)
    targets = loss.prepare(t, network.sizes[-1], dtype)
    whole = Step(model, loss, nn.Penalty()).whole(rule)

    def step(carry: Any, one: Any, data: Any) -> Any:
        rows, count = one
        return whole(carry, Batch(data[0][rows], data[1][rows], None), None, count)

    carry, rows = (params, state, rule.init(params)), network.rows()
    counts = np.arange(network.steps)
    started = time.perf_counter()
    loop = repeat(step, carry, (rows[0], counts[0]), (x, targets), executor="native")
    seconds = time.perf_counter() - started
    leaves = flatten(carry)[0]
    return lambda: loop(leaves, [rows, counts], [x, targets]), seconds


def rounds(runs: dict[str, Run], count: int) -> dict[str, float]:
    """The median time of each in seconds, interleaved."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(count):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    return {name: median(found) for name, found in times.items()}


def show(title: str, times: dict[str, float], scale: float, extra: str = "") -> dict[str, Any]:
    """Print one line, times the others divided by ours; returns it as data."""
    ours = times["chainrule"]
    others = {name: seconds / ours for name, seconds in times.items() if name != "chainrule"}
    shown = "  ".join(f"{name} x{ratio:.2f}" for name, ratio in others.items())
    print(f"{title:42} {ours * scale:10.2f} us   {shown}   {extra}", flush=True)
    return {"what": title, "microseconds": ours * scale, "ratios": others}


def train_table(count: int) -> list[dict[str, Any]]:
    found = []
    for network in NETWORKS:
        for optimizer in ("adam", "sgd"):
            for dtype in (np.float32, np.float64):
                ours, seconds = training(network, optimizer, dtype)
                runs = {"chainrule": ours, **peers.training(network, optimizer, dtype)}
                title = f"{network.name} {optimizer} {np.dtype(dtype).name}"
                times = rounds(runs, count)
                row = show(title, times, 1e6 / network.steps, f"compiled in {seconds:.2f} s")
                found.append({**row, "compile_seconds": seconds})
    return found


def call_table(count: int) -> list[dict[str, Any]]:
    """``value_and_grad`` of functions: the lecture's J, and larger ones."""
    found = []
    for title, f, x, repeats in peers.functions():
        run = compile_(value_and_grad(f), x, executor="native")
        value = compile_(f, x, executor="native")

        def many(run: Any = run, x: Any = x, n: int = repeats) -> None:
            for _ in range(n):
                run(x)

        runs = {"chainrule": many, **peers.calls(title, x, repeats)}
        times = rounds(runs, count)
        alone = {"grad": partial(run.flat, [x]), "value": partial(value.flat, [x])}
        both = rounds(alone, count)
        cheap = both["grad"] / both["value"]
        row = show(title, times, 1e6 / repeats, f"gradient/value {cheap:.2f}")
        found.append({**row, "cheap_gradient_ratio": cheap})
    return found


def compile_table() -> list[dict[str, Any]]:
    """Seconds to compile against the number of nodes: without the cache on disk."""
    found = []
    for nodes in (50, 500, 5000):

        def f(x: Any, n: int = nodes) -> Any:
            for _ in range(n // 2):
                x = np.sin(x) + 0.5
            return x

        graph = optimise(record(f, 1.0).graph)
        started = time.perf_counter()
        compile_(f, 1.0, executor="native")
        seconds = time.perf_counter() - started
        print(f"{len(graph.nodes)} nodes compiled in {seconds:.3f} s")
        found.append({"nodes": len(graph.nodes), "seconds": seconds})
    return found


def cold_table(count: int) -> list[dict[str, Any]]:
    """From the start of Python to the end of a first short fit, in fresh processes."""
    times: dict[str, list[float]] = {}
    for _ in range(count):
        for name, script in peers.COLD.items():
            started = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", script], capture_output=True)
            if done.returncode == 0:
                times.setdefault(name, []).append(time.perf_counter() - started)
    return [show("cold start", {k: median(v) for k, v in times.items()}, 1e6)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=["training", "calls", "compile", "cold"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tables: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "training": lambda: train_table(options.rounds),
        "calls": lambda: call_table(options.rounds),
        "compile": compile_table,
        "cold": lambda: cold_table(options.rounds),
    }
    found = {name: run() for name, run in tables.items() if options.only in (None, name)}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
