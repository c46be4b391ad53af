"""How the benchmarks of native execution are run, and what their rows look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.measure import duration, median, quartiles
from benchmarks.work import (
    FITTED,
    FUNCTIONS,
    NETWORKS,
    PREDICTED,
    UNROLLED,
    Function,
    Network,
    Unrolled,
    Work,
)

OURS = "chainrule"
NEEDS = "its native executor needs llvmlite"


@dataclass(frozen=True)
class Settings:
    """Rounds, about how many seconds a contestant has in each, and what to measure: networks to
    train and to predict a row with, to predict so many rows with, to look at the memory of while
    they are fitted."""

    rounds: int = 9
    seconds: float = 0.1
    networks: tuple[Network, ...] = NETWORKS
    predicted: tuple[Network, ...] = PREDICTED
    fitted: tuple[Network, ...] = FITTED
    functions: tuple[Function, ...] = FUNCTIONS
    rows: tuple[int, ...] = (100_000,)
    operations: tuple[int, ...] = (50, 500, 5000)
    unrolled: tuple[Unrolled, ...] = UNROLLED
    seed: int = 0


def row(
    title: str,
    seconds: Mapping[str, Sequence[float]],
    left_out: Mapping[str, str] | None = None,
    work: Work | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A row of results: every round, and the ratios to ours.

    Raises:
        SystemExit: chainrule itself is missing: there is nothing to compare with.
    """
    if OURS not in seconds:
        raise SystemExit(f"{title}: without {OURS}: {(left_out or {}).get(OURS, NEEDS)}")
    ours = seconds[OURS]
    ratios = {
        name: quartiles([a / b for a, b in zip(theirs, ours, strict=True)])
        for name, theirs in seconds.items()
        if name != OURS
    }
    return {
        "title": title,
        **({"work": asdict(work), "unit": work.unit} if work is not None else {}),
        **more,
        "seconds": {name: [float(f"{s:.4g}") for s in all_] for name, all_ in seconds.items()},
        "ratios": {
            name: {what: float(f"{value:.4g}") for what, value in found.items()}
            for name, found in ratios.items()
        },
        "left_out": dict(left_out or {}),
    }


def show(found: dict[str, Any]) -> None:
    """Print a row: our time, and how many times as long the others take."""
    print(f"{found['title']:34} {duration(median(found['seconds'][OURS])):>9}", flush=True)
    for name, ratio in found["ratios"].items():
        around = f"({ratio['low']:.2f} to {ratio['high']:.2f})"
        print(f"    {name:28} x {ratio['median']:<7.2f} {around}", flush=True)
    for name, why in found["left_out"].items():
        print(f"    {name:28} left out: {why}", flush=True)
