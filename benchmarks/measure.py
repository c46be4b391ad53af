"""What the benchmarks share: interleaved rounds, medians, a table, a JSON file of results."""

import contextlib
import ctypes
import gc
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def resident(what: str = "VmHWM", process: int | str = "self") -> float:
    """Bytes of a process's resident memory at its peak, or now (VmRSS); nan but on Linux.

    Not of ``getrusage``, whose peak begins with that of the process that started it.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    found = (1024 * int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))
    return next(found, float("nan"))


def forget_peak() -> float:
    """Give freed memory back and forget the peak; bytes that are left. Only Linux can."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def interleave(
    contestants: Mapping[str, Callable[[], Any]], rounds: int, inner: int = 1
) -> dict[str, list[float]]:
    """Seconds per call of each contestant, in each round.

    A round calls every contestant ``inner`` times, and each round starts with another one, so
    that whatever else the machine does hits all of them alike. One call before is not counted.
    """
    names = list(contestants)
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        contestants[name]()
    for round_ in range(rounds):
        start = round_ % len(names)
        for name in names[start:] + names[:start]:
            run = contestants[name]
            begin = time.perf_counter()
            for _ in range(inner):
                run()
            times[name].append((time.perf_counter() - begin) / inner)
    return times


def calls_for(run: Callable[[], Any], seconds: float = 0.05) -> int:
    """How many calls take about this long."""
    run()
    begin = time.perf_counter()
    run()
    once = time.perf_counter() - begin
    return max(1, int(seconds / max(once, 1e-7)))


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(times: Mapping[str, Sequence[float]], slow: str, fast: str) -> float:
    """Median over rounds of time of ``slow`` over time of ``fast``: above 1, ``fast`` is faster."""
    return median([a / b for a, b in zip(times[slow], times[fast], strict=True)])


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """The median and, as ``low`` and ``high``, the quartiles around it."""
    if len(values) == 1:
        return {"median": values[0], "low": values[0], "high": values[0]}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def spread(values: Sequence[float]) -> float:
    """Half the range between the quartiles, relative to the median."""
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / median(values)


def installed(package: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in [header, ["-" * w for w in widths], *rows]:
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells))


def machine(limited: bool = True) -> dict[str, Any]:
    """What a reader needs to know to compare numbers; ``limited``: whether limits on threads
    that were found in the environment were kept."""
    from chainrule.version import __version__

    threads = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    packages = ("numpy", "scipy", "llvmlite", "torch", "jax", "scikit-learn", "autograd")
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": cores(),
        "threads": threads if limited else None,
        "packages": {"chainrule": __version__}
        | {name: found for name in packages if (found := installed(name))},
    }


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """What the processor calls itself."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return found[1]
    return platform.processor()


def save(name: str, results: Any, path: Path | None = None, limited: bool = True) -> None:
    """Write machine, its load at the end (of 1, 5 and 15 minutes; one program that measures is some
    1.5) and results to ``path``, or to ``benchmarks/results/NAME.json``."""
    path = path or RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    load = [round(x, 1) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None
    found = {"machine": machine(limited), "load": load, "results": results}
    text = json.dumps(found, indent=1)
    innermost = re.compile(r"[\[{]\s+([^\[\]{}]*?)\s+[\]}]")
    path.write_text(innermost.sub(_on_a_line, text) + "\n")
    print(f"\nwritten: {path}")


def _on_a_line(found: re.Match[str]) -> str:
    return f"{found[0][0]}{' '.join(found[1].split())}{found[0][-1]}"
