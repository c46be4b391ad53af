"""``python -m tests.helpers.sweep [--ways eager,numpy] [--share 0.1] [NAME ...]``.

The full product eagerly and on the NumPy executor, in as many processes as there are cores;
``--ways native`` compiles a pairwise covering of it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.helpers.sweep.cases import functions
from tests.helpers.sweep.running import Report, sweep


def _one(name: str, ways: list[str], share: float, seed: int) -> Report:
    return sweep(ways, [name], share, seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--ways", default="eager,numpy")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=3, help="how many faults of a function to show")
    given = parser.parse_args()
    total = Report()
    run = partial(_one, ways=given.ways.split(","), share=given.share, seed=given.seed)
    start, names = time.perf_counter(), given.names or functions()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, report in enumerate(pool.map(run, names), 1):
            total.add_all(report)
            print("\n".join(report.faults[: given.show]), end="\n" if report.faults else "")
            if done % 50 == 0:  # with all that was counted, should the rest be cut off
                print(f"{done} of {len(names)} functions, {total}", flush=True)
    print(total)
    print(f"{time.perf_counter() - start:.0f} s, of the processor {total.seconds:.0f} s")
    sys.exit(bool(total.faults))
