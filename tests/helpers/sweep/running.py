"""Runs many combinations and counts the verdicts."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.helpers.sweep.cases import Case, cases, functions, keywords
from tests.helpers.sweep.covering import covering
from tests.helpers.sweep.exceptions import known
from tests.helpers.sweep.verdicts import (
    EQUAL,
    REFUSED,
    VERDICTS,
    Compiled,
    eagerly,
    judged,
    numpys,
    outcome,
    quiet,
    verdict,
)


def ways(names: Iterable[str]) -> dict[str, Callable[[Case], Any]]:
    """How to run a combination, by these names: eagerly, or on an executor."""
    return {name: eagerly if name == "eager" else Compiled(name) for name in names}


@dataclass
class Report:
    """How many combinations got each verdict, the faults, and how often each exception held."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    exceptions: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, case: Case, way: str, found: str, text: str) -> None:
        exception = known(case, found) if found not in VERDICTS else None
        if exception is not None:
            self.exceptions[exception.reason] += 1
            found = "exceptions"
        self.counts[found] += 1
        if found not in (*VERDICTS, "exceptions"):
            self.faults.append(f"{found} [{way}] {case}: {text[:300]}")

    def add_all(self, other: Report) -> None:
        self.counts += other.counts
        self.exceptions += other.exceptions
        self.faults += other.faults
        self.seconds += other.seconds

    def __str__(self) -> str:
        total = sum(self.counts.values())
        lines = [f"{total} combinations: "]
        lines += [f"  {n:8} {kind} ({n / total:.2%})" for kind, n in self.counts.most_common()]
        lines += [f"  {n:8} exceptions: {reason}" for reason, n in self.exceptions.items()]
        return "\n".join(lines)


def sweep(names: Iterable[str], functions: Iterable[str], share: float, seed: int = 0) -> Report:
    """Every combination of these functions, or a share of them drawn by ``seed``; on machine code
    alone a pairwise covering stands for all. NumPy is asked once, whatever the number of ways."""
    report, runs, start = Report(), ways(names), time.process_time()
    with quiet():
        for function in functions:
            covered = list(runs) == ["native"] and share == 1
            for case in covering(function, seed) if covered else chosen(function, share, seed):
                wanted = numpys(case)
                for way, run in runs.items():
                    if way == "eager" or not case.row.static:
                        found = judged(case, wanted, outcome(partial(run, case)))
                        report.add(case, way, *found)
    report.seconds = time.process_time() - start
    return report


def chosen(name: str, share: float, seed: int) -> Iterator[Case]:
    """Combinations of one function, at random but for the first, which is always there."""
    draw = random.Random(f"{name} {seed}")
    first = iter([True])
    return cases(name, lambda: next(first, False) or draw.random() < share)


def not_recorded() -> dict[str, list[str]]:
    """Each keyword of which no value but the default is recorded, and for which functions;
    ``keyword=value`` where others are."""
    found: dict[str, list[str]] = {}
    for name in functions():
        refused: dict[str, list[str]] = {}
        taken = set()
        recorded = False  # without keywords, that is
        for key, default, case in keywords(name):
            seen = "" if default else verdict(case, eagerly)[0]
            if not key:
                recorded = seen == EQUAL
            if not key or not recorded:
                continue
            if seen == REFUSED:
                value = dict(case.settings)[key]
                refused.setdefault(key, []).append(getattr(value, "__name__", repr(value)))
            elif seen == EQUAL:
                taken.add(key)
        for key, values in refused.items():
            for text in [f"{key}={v}" for v in values] if key in taken else [f"{key}="]:
                if name not in found.setdefault(text, []):
                    found[text].append(name)
    return dict(sorted(found.items()))
