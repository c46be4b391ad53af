"""Memory and time of a large CSV file: ``python -m benchmarks.reading [--rows 3000000]``.

Makes a file of ten columns of random numbers (some 20 bytes a cell), then, each in a process of
its own: reads it by pyarrow, reads it by ``tabular.read_table``, and trains one epoch on it, the
default and the plain network. Prints seconds, and the peak of resident memory above that after
imports, in MiB. Both grow with the rows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks.measure import forget_peak, resident
from chainrule.tabular import Options, prepare, read_table

ROUNDS = 3


def make(path: Path, rows: int) -> None:
    """Write the file, a part at a time."""
    rng = np.random.default_rng(0)
    names = [*(f"x{i}" for i in range(9)), "y"]
    with csv.CSVWriter(str(path), pa.schema([(name, pa.float64()) for name in names])) as file:
        for start in range(0, rows, 100_000):
            x = rng.normal(size=(min(100_000, rows - start), 9))
            y = 2 * x[:, 0] + np.sin(x[:, 1]) + 0.1 * rng.normal(size=len(x))
            file.write_table(pa.table([*x.T, y], names=names))


def measured(task: str, path: str) -> None:
    """Do one task and print its seconds and memory."""
    from chainrule.tabular import reading, training  # noqa: F401 (imports are not measured)

    before, started = forget_peak(), time.perf_counter()
    if task == "pyarrow":
        csv.read_csv(path)
    elif task == "read":
        read_table(path)
    else:
        preset = "sklearn" if task == "plain" else None
        prepare(read_table(path), "y", Options(epochs=1, preset=preset)).fit()
    print(
        f"{task:8} {time.perf_counter() - started:7.2f} s {(resident() - before) / 2**20:7.0f} MiB"
    )


def main() -> None:
    """Run all tasks, reading by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        measured(*given.task)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.csv"
        make(path, given.rows)
        print(f"{path.stat().st_size / 1e6:.0f} MB, {given.rows:,} rows, 10 columns")
        for task in [*["pyarrow", "read"] * ROUNDS, "train", "plain"]:
            command = [sys.executable, "-m", "benchmarks.reading", "--task", task, str(path)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
