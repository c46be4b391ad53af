"""What differentiating, training and compiling cost: beside a value alone, by plan, by size."""

from __future__ import annotations

import random
from typing import Any

from benchmarks.measure import duration, median
from benchmarks.native_compare import Rows
from benchmarks.native_settings import OURS, Settings, row, show
from benchmarks.processes import Contestant, Worker, compete, workers
from benchmarks.work import Compilation, Cost, Unrolled

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
        for loop in settings.unrolled:
            rows += unrolled(settings, loop, one[OURS])
    return rows


def unrolled(settings: Settings, loop: Unrolled, ours: Worker) -> Rows:
    """Seconds of the processor for a node, by stage and number of steps: what makes the gradient
    of a loop that is written out. Beside them their growth since the first number, and the
    whole as many times as long as what the NumPy executor takes."""
    rows: Rows = []
    print(f"{loop.name}, microseconds a node")
    for steps in loop.steps:
        found = [ours.ask("stages", loop, steps) for _ in range(min(settings.rounds, PROCESSES))]
        nodes = found[0]["nodes"]
        stages = {
            stage: float(f"{median([one['seconds'][stage] for one in found]) / nodes * 1e6:.4g}")
            for stage in found[0]["seconds"]
        }
        total = sum(stages.values()) - stages["NumPy"]
        numpy = stages["recording"] + stages["passes"] + stages["NumPy"]
        first = rows[0]["total"] if rows else total
        rows.append({
            "title": f"{loop.name}, {steps:,} steps", "nodes": nodes, "microseconds": stages,
            "total": float(f"{total:.4g}"), "growth": float(f"{total / first:.3g}"),
            "of_numpy": float(f"{total / numpy:.3g}"),
        })  # fmt: skip
        listed = ", ".join(f"{stage} {each:.1f}" for stage, each in stages.items())
        print(f"    {steps:>6,} steps, {nodes:>6,} nodes: {total:6.1f} (x {total / first:.2f}, "
              f"{total / numpy:.2f} of NumPy's): {listed}", flush=True)  # fmt: skip
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
