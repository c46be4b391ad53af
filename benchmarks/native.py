"""Native execution beside its peers, and what it costs.

    python -m benchmarks.native [--rounds 9] [--only training predict] [--json FILE]

Each library runs in a process of its own, stopped while others are measured, in rounds of random
order (processes.py). What is reported are ratios within a round, theirs over ours: the median, and
the quartiles around it. Above 1, chainrule is faster.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import measure, native_cold, native_compare, native_costs
from benchmarks.native_settings import Settings
from benchmarks.work import FITTED, NETWORKS, PREDICTED

THEMES: dict[str, Callable[[Settings], list[dict[str, Any]]]] = {
    "training": native_compare.training,
    "predict": native_compare.predict,
    "calls": native_compare.calls,
    "gradient": native_costs.gradient,
    "memory": native_costs.memory,
    "compile": native_costs.compilation,
    "cold": native_cold.cold,
}
FILE = measure.RESULTS / "native.json"


def others(path: Path) -> dict[str, Any]:
    """The themes that a file has from this machine.

    Raises:
        SystemExit: it is from another one, and would describe two.
    """
    if not path.exists():
        return {}
    found = json.loads(path.read_text())
    if found["machine"] != measure.machine(limited=False):
        raise SystemExit(
            f"{path} was written by another machine, or with other versions: measure all themes, "
            "or write to another file (--json FILE)"
        )
    return found["results"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.1, help="about, per contestant, round")
    parser.add_argument("--only", nargs="+", choices=list(THEMES), default=list(THEMES))
    names = [network.name for network in NETWORKS]
    parser.add_argument("--networks", nargs="+", choices=names, help="all unless said otherwise")
    parser.add_argument(
        "--json", type=Path, help="where to write; themes it has from this machine stay"
    )
    options = parser.parse_args(arguments)
    if options.networks and not options.json:
        parser.error("--networks measures a part: say where to write it, --json FILE")
    path = options.json or FILE
    chosen = options.networks or names
    groups = (
        tuple(network for network in all_ if network.name in chosen)
        for all_ in (NETWORKS, PREDICTED, FITTED)
    )
    settings = Settings(options.rounds, options.seconds, *groups)
    results = others(path) if set(options.only) != set(THEMES) else {}
    for theme in options.only:
        print(f"\n{theme}\n")
        results[theme] = THEMES[theme](settings)
        measure.save("native", results, path, limited=False)  # what is measured is measured


if __name__ == "__main__":
    main()
