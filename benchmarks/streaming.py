"""Training on tables larger than memory: rows a second, peak memory, time; and beside memory.

python -m benchmarks.streaming --rows 100000000             # some 4 GB of Parquet, one epoch
python -m benchmarks.streaming --rows 400000 --ratio        # 100-256-256-1, streamed and in memory
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks.measure import resident

GROUP = 2**20
"""Rows of a row group, as pyarrow and others write them."""


def make(folder: Path, rows: int, columns: int, group: int = GROUP) -> int:
    """Files of four row groups with so many columns of float32 in all; returns their bytes."""
    rng, made = np.random.default_rng(0), 0
    weights = rng.standard_normal(columns - 1)
    while made < rows:
        count = min(4 * group, rows - made)
        x = rng.standard_normal((columns - 1, count), dtype=np.float32)
        y = np.tanh(weights @ x) + 0.1 * rng.standard_normal(count)
        table = {f"x{k}": row for k, row in enumerate(x)} | {"y": y.astype(np.float32)}
        path = folder / f"part-{made // (4 * group):04d}.parquet"
        parquet.write_table(pa.table(table), path, row_group_size=group, use_dictionary=False)
        made += count
    return sum(path.stat().st_size for path in folder.iterdir())


def one_epoch(folder: Path, args: Any) -> None:
    """``chainrule train --memory`` in a process of its own."""
    command = [sys.executable, "-m", "chainrule", "train", str(folder), "--target", "y", "--memory",
               args.memory, "--hidden", args.hidden, "--batch-size", str(args.batch), "--epochs",
               "1", "--out", str(folder / "m.safetensors"), *args.more]  # fmt: skip
    started = time.perf_counter()
    process, peak = subprocess.Popen(command), 0.0
    while process.poll() is None:
        peak = max(peak, resident(process=process.pid) / 2**30)
        time.sleep(0.05)
    if process.returncode:
        sys.exit(process.returncode)
    seconds = time.perf_counter() - started
    print(f"{args.rows:,} rows in {seconds:.1f} s: {args.rows / seconds:,.0f} rows/s from start to "
          f"end, peak {peak:.2f} GiB resident with --memory {args.memory}")  # fmt: skip


def ratio(folder: Path, args: Any) -> None:
    """Epochs of the same plan with coded rows in memory, in a file, and read again, in turns:
    rows a second, and the processor's time."""
    from chainrule.tabular import Options, Stream, prepare
    from chainrule.tabular.kept import Kept

    hidden = tuple(map(int, args.hidden.split(",")))
    options = Options(order="streamed", hidden=hidden, epochs=args.epochs, batch_size=args.batch,
                      validation=0.0, test=0.0)  # fmt: skip
    plan: Any = prepare(Stream(folder), "y", options)
    ways = {"in memory": Kept, "coded rows in a file": lambda: Kept(folder), "read again": None}
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way, make_kept in ways.items():
            coder = dataclasses.replace(plan.coder, kept=make_kept and make_kept())
            ends: list[tuple[float, float]] = []
            own = dataclasses.replace(plan, coder=coder)
            clocks = time.perf_counter, time.process_time
            own.fit(lambda _, ends=ends, clocks=clocks: ends.append(tuple(c() for c in clocks)))
            took[way] += np.diff(ends, axis=0).tolist()  # the first epoch reads in all
    medians = {way: [statistics.median(x) for x in zip(*took[way], strict=True)] for way in ways}
    print(f"network {len(plan.coding.inputs())}-{args.hidden.replace(',', '-')}-1, batches of "
          f"{args.batch}")  # fmt: skip
    seconds, own = medians["in memory"]
    for way, (wall, cpu) in medians.items():
        print(f"{way:>20}: {args.rows / wall:9,.0f} rows/s ({seconds / wall:.0%}), "
              f"{1e6 * cpu / args.rows:.2f} us of processor a row ({own / cpu:.0%})")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--columns", type=int)
    parser.add_argument("--hidden")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--ratio", action="store_true")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--group", type=int, default=GROUP)
    parser.add_argument("--folder", help="where the data go for the time; a temporary folder")
    args, args.more = parser.parse_known_args()
    args.columns = args.columns or (101 if args.ratio else 10)
    args.hidden = args.hidden or ("256,256" if args.ratio else "64,32")
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        need, free = 5 * args.rows * args.columns, shutil.disk_usage(folder).free
        if need > free:
            sys.exit(f"{need / 2**30:.1f} GiB are needed, and {free / 2**30:.1f} are free")
        size = make(folder, args.rows, args.columns, args.group)
        print(f"{size / 2**30:.2f} GiB of Parquet, {len(os.listdir(folder))} files", flush=True)
        (ratio if args.ratio else one_epoch)(folder, args)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
