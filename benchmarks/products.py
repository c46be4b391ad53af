"""Matrix products beside libraries, and beside what the processor can do at all.

    python -m benchmarks.products [--rounds 15] [--threads 1 2] [--quick]
    python -m benchmarks.products --stand-in   # for other processors: what they would lose
    python -m benchmarks.products --kept       # what the kept tables say, each of its processor

Operands lie by rows: ``A @ B`` is a forward product of a network, ``A @ B.T`` the gradient of its
inputs, ``A.T @ B`` of its weights. The limit is a loop of multiply-adds that stay in registers.
Everybody is measured in rounds, in processes of their own (processes.py). A cell is a share of the
limit: the best of many short rounds of each, as many as it takes until three agree.

A stand-in is told smaller caches than there are, or narrower vectors, and cuts, tunes and copies by
that: its share of the limit of such vectors, cut in the usual way and tuned.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import median
from benchmarks.processes import Contestant, Measured, Worker, compete, workers
from benchmarks.work import Multiply

LAYOUTS = ("A @ B", "A @ B.T", "A.T @ B")
OURS, PEAK = "chainrule", "peak"
TRAINING = ((128, 784, 128), (256, 784, 512), (256, 512, 512), (1024, 256, 256),
            (512, 512, 512), (1024, 1024, 1024))  # fmt: skip
"""Sizes (m, k, n): of networks, and squares."""
WIDTHS = tuple((256, 512, n) for n in (500, 528, 544, 768, 1000, 1024))
"""Sizes that differ in how rows fall into the sets of a cache."""
OTHERS = ((64, 64, 64), (784, 128, 512), (512, 256, 512), (256, 512, 10), (4096, 64, 64),
          (32, 512, 2048), (100, 300, 200), (300, 2000, 300))  # fmt: skip
"""Small, tall, wide, thin and odd ones."""
PATIENCE = 10
"""Up to so many times as many rounds, where other programs disturb."""
LARGE = 256
"""Sizes are large where none is smaller."""


STAND_INS = {"as it is": 0, "16 KB, 128 KB": 0, "16 bytes": 16, "32 bytes": 32}
"""What is told, of caches or vectors, and how wide vectors are then; 0: as they are."""


def contestants(threads: int) -> list[Contestant]:
    limit = {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    packages = {OURS: "llvmlite", "OpenBLAS": "numpy", "MKL": "mkl", "PyTorch": "torch"}
    return [
        *(Contestant(name, "peers.multiply", name, of, limit) for name, of in packages.items()),
        Contestant(PEAK, "peers.multiply", PEAK, "llvmlite"),
    ]


def settled(times: Sequence[float]) -> bool:
    """Whether three of the rounds of one contestant took about equally long, and none less."""
    best = sorted(times)[:3]
    return best[-1] <= 1.02 * best[0]


def patiently(
    everybody: dict[str, Worker], work: Multiply, rounds: int, seconds: float, order: random.Random
) -> Measured:
    """Rounds until those of everybody are settled, or patience ends."""
    found = compete(everybody, work, rounds, seconds, order)
    for _ in range(PATIENCE * rounds):
        doubtful = [name for name, times in found.seconds.items() if not settled(times)]
        if not doubtful:
            break
        for name in order.sample(doubtful, len(doubtful)):
            found.seconds[name].append(everybody[name].ask("run", seconds))
    return found


def measured(
    everybody: dict[str, Worker], work: Multiply, rounds: int, seconds: float, order: random.Random
) -> dict[str, Any]:
    """One cell of the table for everybody, as shares of the limit; and the limit, GFLOP/s."""
    found = patiently(everybody, work, rounds, seconds, order)
    peak = min(found.seconds.pop(PEAK))
    shares = {name: round(peak / min(times), 3) for name, times in found.seconds.items()}
    return {
        "size": [work.m, work.k, work.n], "layout": work.layout, "dtype": work.dtype,
        "threads": work.threads, "peak": round(work.flops / peak / 1e9, 1),
        "shares": shares, "left_out": found.left_out,
    }  # fmt: skip


def summary(cells: list[dict[str, Any]]) -> dict[str, float]:
    """What the table comes to: our share of the limit in the median over large sizes, and of the
    fastest library: in the median, and where it is least."""
    large = [x["shares"][OURS] for x in cells if min(x["size"]) >= LARGE]
    best = [x["shares"][OURS] / max(x["shares"].values()) for x in cells]
    found = {"of the fastest, median": median(best), "of the fastest, least": min(best),
             "cells of 92 % and more": sum(x >= 0.92 for x in best) / len(best)}  # fmt: skip
    if large:
        found["of the limit, large sizes, median"] = median(large)
    return {name: round(value, 3) for name, value in found.items()}


def stand_ins(options: argparse.Namespace, order: random.Random) -> list[dict[str, Any]]:
    """The table of stand-ins, on one thread: shares of the limit, cut as usual and tuned."""
    from chainrule.run.native.runtime import machine

    native = machine.vector_bytes()
    told = {name: width or native for name, width in STAND_INS.items() if width < native}
    ways = {"usual": "0", "tuned": "1"}
    tuner = {way: {"CHAINRULE_TUNE": value} for way, value in ways.items()}
    everybody = [
        *(Contestant(f"{name}, {way}", "peers.multiply", f"{OURS}: {name}", "llvmlite", tuner[way])
          for name in told for way in ways),
        *(Contestant(f"{PEAK}, {width}", "peers.multiply", f"{PEAK}: {width} bytes", "llvmlite")
          for width in sorted(set(told.values()))),
    ]  # fmt: skip
    found = []
    print(f"in % of the limit, usual / tuned: {'   '.join(told)}")
    with workers(everybody) as running:
        for dtype, size, layout in product(options.dtypes, TRAINING, options.layouts):
            work = Multiply(*size, layout, dtype, 1)
            times = patiently(running, work, options.rounds, options.seconds, order).seconds
            best = {name: min(values) for name, values in times.items()}
            shares = {
                name: {way: best[f"{PEAK}, {width}"] / best[f"{name}, {way}"] for way in ways}
                for name, width in told.items()
            }
            found.append({"size": size, "layout": layout, "dtype": dtype, "shares": shares})
            listed = "   ".join(" / ".join(f"{100 * x:3.0f}" for x in one.values())
                                for one in shares.values())  # fmt: skip
            print(f"{dtype:8}{', '.join(map(str, size)):17}{layout:9}{listed}", flush=True)
    for name in told:
        gains = [x["shares"][name]["tuned"] / x["shares"][name]["usual"] for x in found]
        lost = [1 - x["shares"][name]["tuned"] / x["shares"]["as it is"]["tuned"] for x in found]
        print(
            f"{name}: tuned over usual {median(gains):.3f} in the median, {min(gains):.3f} to "
            f"{max(gains):.3f}; lost {median(lost):.1%} in the median, {max(lost):.1%} at most"
        )
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.004, help="about, per contestant, round")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--layouts", nargs="+", default=LAYOUTS, choices=LAYOUTS)
    parser.add_argument("--quick", action="store_true", help="few sizes; nothing is written")
    parser.add_argument("--stand-in", action="store_true", help="smaller caches, narrower vectors")
    parser.add_argument("--kept", action="store_true", help="what kept tables say; runs nothing")
    options = parser.parse_args(arguments)
    if options.kept:
        kept()
        return
    order, results = random.Random(0), []
    if options.stand_in:
        found = stand_ins(options, order)
        measure.save("stand-ins", found, measure.RESULTS / f"stand-ins-{kind()}.json")
        return
    sizes = TRAINING if options.quick else TRAINING + WIDTHS + OTHERS
    for threads in options.threads:
        with workers(contestants(threads)) as everybody:
            for dtype in options.dtypes:
                names = [name for name in everybody if name != PEAK]
                print(f"\n{dtype}, {threads} thread{'s' * (threads > 1)}: {', '.join(names)}, "
                      "in % of the limit")  # fmt: skip
                cells = []
                for size in sizes:
                    row = []
                    for layout in options.layouts:
                        work = Multiply(*size, layout, dtype, threads)
                        row.append(
                            measured(everybody, work, options.rounds, options.seconds, order)
                        )
                    cells += row
                    listed = "   ".join(
                        " / ".join(f"{100 * x['shares'].get(name, 0):3.0f}" for name in names)
                        for x in row
                    )
                    print(f"{', '.join(map(str, size)):16} {listed}   (limit {row[0]['peak']})",
                          flush=True)  # fmt: skip
                for what, value in summary(cells).items():
                    print(f"    {what}: {value:.3f}")
                results += cells
    if not options.quick:
        measure.save("products", results, measure.RESULTS / f"products-{kind()}.json")


def kept(folder: Path = measure.RESULTS) -> None:
    """Print what each kept table comes to, by dtype and threads, with its processor."""
    files = sorted(folder.glob("products-*.json"))
    if not files:
        print(f"no table is kept in {folder}: python -m benchmarks.products writes one")
    for path in files:
        found = json.loads(path.read_text())
        print(f"\n{found['machine']['processor']} ({path.name}, load {found['load']})")
        for dtype, threads in sorted({(x["dtype"], x["threads"]) for x in found["results"]}):
            cells = [x for x in found["results"] if (x["dtype"], x["threads"]) == (dtype, threads)]
            print(f"  {dtype}, {threads} thread{'s' * (threads > 1)}, {len(cells)} cells")
            for what, value in summary(cells).items():
                print(f"    {what}: {value:.3f}")


def kind() -> str:
    """What LLVM calls the processor: results are kept for each kind."""
    from chainrule.run.native.runtime import machine

    return machine.processor()


if __name__ == "__main__":
    main()
