"""What differentiating, training and compiling cost: beside a value alone, by plan, by size."""

from __future__ import annotations

import random
from typing import Any

from benchmarks.measure import duration, median
from benchmarks.native_compare import Rows
from benchmarks.native_settings import OURS, Settings, row, show
from benchmarks.work import Compilation, Cost
from benchmarks.workers import Contestant, Worker, compete, workers

MEMORY = Contestant(OURS, "memory", package="llvmlite")
VARIANTS = (
    Contestant(OURS, "peers.ours", "value", "llvmlite"),
    Contestant("value and gradient", "peers.ours", "gradient", "llvmlite"),
)
UNCACHED = Contestant(OURS, "peers.ours", "", "llvmlite", {"CHAINRULE_CACHE": ""})
PROCESSES = 3
"""In how many memory is measured."""
PAGES = 65_536
"""Bytes below which a ratio of memory would compare single pages."""


def gradient(settings: Settings) -> Rows:
    """Time and memory of value and gradient, over those of the value alone."""
    rows, order = [], random.Random(settings.seed)
    with workers(VARIANTS) as pair:
        for subject in (*settings.functions, *settings.networks):
            work = Cost(subject)
            found = compete(pair, work, settings.rounds, settings.seconds, order)
            memory = {
                name: alone(settings, "call", subject, name) for name in ("value", "gradient")
            }
            value, both = (m["arguments"] + m["peak"] for m in memory.values())
            ratio = float(f"{both / value:.4g}") if value > PAGES else None
            more = {"memory": memory, "memory_ratio": ratio}
            rows.append(row(work.title, found.seconds, found.left_out, work, **more))
            show(rows[-1])
            times = f"x {ratio:<7.2f}" if ratio else "too small"
            print(f"    {'memory':28} {times} ({megabytes(value)}, {megabytes(both)})", flush=True)
    return rows


def memory(settings: Settings) -> Rows:
    """The peak of a fit, beside what its plan states."""
    rows = []
    for network in settings.fitted:
        title = f"{network.name}, adam, float32"
        found = alone(settings, "fit", network)
        stated, peak = sum(found["stated"].values()), found["peak"]
        rows.append({"title": title, **found, "ratio": float(f"{peak / stated:.4g}")})
        print(f"{title}: peak {megabytes(peak)}, stated {megabytes(stated)}", flush=True)
        for name, size in found["stated"].items():
            print(f"    {name:28} {megabytes(size)}")
    return rows


def compilation(settings: Settings) -> Rows:
    """Seconds from a Python function to machine code, without any cache, by size of the graph."""
    rows, order = [], random.Random(settings.seed)
    with workers((UNCACHED,)) as one:
        for subject in (*settings.operations, *settings.networks):
            work = Compilation(subject)
            found = compete(one, work, settings.rounds, 0.0, order)
            nodes = one[OURS].ask("nodes_of", work)
            each = float(f"{median(found.seconds[OURS]) / nodes:.4g}")
            more = {"nodes": nodes, "seconds_per_node": each}
            rows.append(row(work.title, found.seconds, found.left_out, work, **more))
            show(rows[-1])
            print(f"    {nodes} nodes, {duration(each)} each", flush=True)
    return rows


def alone(settings: Settings, *request: Any) -> dict[str, Any]:
    """The answer of processes that were started for this question, with the median peak.

    Peaks differ a little: pages of libraries count from when they are first touched.
    """
    answers = []
    for _ in range(min(settings.rounds, PROCESSES)):
        worker = Worker(MEMORY)
        try:
            answers.append(worker.ask(*request))
        finally:
            worker.end()
    return sorted(answers, key=lambda answer: answer["peak"])[len(answers) // 2]


def megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
