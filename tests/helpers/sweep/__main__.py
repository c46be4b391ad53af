"""``python -m tests.helpers.sweep [--ways eager,numpy] [--share 0.1] [NAME ...]``.

The full product eagerly and on the NumPy executor, in as many processes as there are cores;
``--ways native`` compiles a pairwise covering of it.
"""

from __future__ import annotations

import argparse
import os
import sys
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
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for report in pool.map(run, given.names or functions()):
            total.counts += report.counts
            total.exceptions += report.exceptions
            total.faults += report.faults
            print("\n".join(report.faults[: given.show]), end="\n" if report.faults else "")
    print(total)
    sys.exit(bool(total.faults))
