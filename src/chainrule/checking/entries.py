"""The entries of a gradient beside their numeric derivatives: all of them, or a sample that says
what it may miss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.checking.numeric import Slope
from chainrule.checking.patterns import pattern_of
from chainrule.checking.verdicts import Entry, Tolerance, Verdict, judged

Index = tuple[int, ...]
WORST_FIRST: tuple[Verdict, ...] = (
    "wrong",
    "inconclusive: jump",
    "inconclusive: rounding",
    "inconclusive: kink",
)


@dataclass(frozen=True, eq=False)
class ArrayCheck:
    """The gradient by one argument: ``name``, its ``given`` array, the ``entries`` looked at.

    ``true`` holds the numeric derivative, NaN where it was not taken. ``missed`` is the largest
    probability that an error has escaped: 0 where every entry was looked at, 2^-n along n random
    ``directions``, and of entries drawn at random the share that was left out. ``pattern`` says how
    the wrong entries lie.
    """

    name: str
    given: np.ndarray
    true: np.ndarray
    entries: tuple[Entry, ...]
    missed: float = 0.0
    pattern: str = ""
    directions: tuple[Entry, ...] = field(default=(), repr=False)

    @property
    def wrong(self) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.verdict == "wrong")

    @property
    def verdict(self) -> Verdict:
        """The worst that was found: wrong, then a jump, a kink, rounding, then correct."""
        seen = {e.verdict for e in (*self.entries, *self.directions)}
        for verdict in WORST_FIRST:
            if verdict in seen:
                return verdict
        return "correct"

    @property
    def worst(self) -> Entry | None:
        """The entry furthest from the truth; of a right array, the one that differs most."""
        if self.wrong:
            return max(self.wrong, key=lambda e: e.off)
        known = [e for e in self.entries if math.isfinite(e.true)]
        return max(known, key=lambda e: abs(e.given - e.true), default=None)

    @property
    def difference(self) -> float:
        """The largest difference relative to the largest entry."""
        worst = self.worst
        if worst is None:
            return math.nan
        sizes = [max(abs(e.true), abs(e.given)) for e in self.entries if math.isfinite(e.true)]
        return abs(worst.given - worst.true) / max(*sizes, 1e-300, key=abs)


Derivative = Callable[[np.ndarray, bool], Slope]
"""The numeric slope along a direction, an array shaped like the argument; quickly, or surely."""


def every_entry(
    name: str, given: np.ndarray, scales: np.ndarray, along: Derivative, tolerance: Tolerance
) -> ArrayCheck:
    """All entries one by one: a quick derivative each, and a sure one where that does not agree."""
    slopes = [along(unit, True) for unit in _units(given.shape)]
    quick = _gathered(name, given, scales, range(given.size), slopes, tolerance)
    enough = 10 * tolerance.of(max((abs(e.true) for e in quick.entries), default=0.0))
    doubted = [k for k, e in enumerate(quick.entries) if e.verdict != "correct" or e.error > enough]
    if not doubted:
        return quick
    for k in doubted:
        slopes[k] = along(_unit(given.shape, k), False)
    return _gathered(name, given, scales, range(given.size), slopes, tolerance)


def sampled(
    name: str,
    given: np.ndarray,
    scales: np.ndarray,
    along: Derivative,
    tolerance: Tolerance,
    count: int,
    seed: int = 0,
) -> ArrayCheck:
    """The gradient along ``count`` random directions whose entries are -1 or 1.

    An error in any entries escapes a direction with a probability of at most 1/2, however many
    entries there are: turning the sign of the largest of them would show it. Where one shows, the
    entry is looked for by halves.
    """
    rng = np.random.default_rng(seed)
    checks = []
    for _ in range(count):
        signs = rng.choice((-1.0, 1.0), given.shape)
        checks.append(_direction(given, signs, along, tolerance))
    bad = [c for c in checks if c.verdict == "wrong"]
    true = np.full(given.shape, np.nan)
    if not bad:
        return ArrayCheck(name, given, true, (), 0.5**count, directions=tuple(checks))
    places = _halved(given, along, tolerance, rng)
    slopes = [along(_unit(given.shape, k), False) for k in places]
    found = _gathered(name, given, scales, places, slopes, tolerance)
    return ArrayCheck(
        name, given, found.true, found.entries, 0.5**count, found.pattern, tuple(checks)
    )


def _direction(
    given: np.ndarray, signs: np.ndarray, along: Derivative, tolerance: Tolerance
) -> Entry:
    """The same verdict for a whole direction, whose slope is a sum of entries."""
    wanted = float(np.sum(given * signs))
    most = float(np.max(np.abs(given), initial=0.0)) * math.sqrt(given.size)
    return judged((), wanted, along(signs, False), most, tolerance, 1.0)


def _halved(
    given: np.ndarray, along: Derivative, tolerance: Tolerance, rng: np.random.Generator
) -> list[int]:
    """One wrong entry, found by asking of each half whether it holds one, and its neighbours."""
    places = np.arange(given.size)
    while len(places) > 8:
        half = places[: len(places) // 2]
        for _ in range(4):
            signs = np.zeros(given.size)
            signs[half] = rng.choice((-1.0, 1.0), len(half))
            if _direction(given, signs.reshape(given.shape), along, tolerance).verdict == "wrong":
                places = half
                break
        else:
            places = places[len(places) // 2 :]
    return [int(k) for k in places]


def _units(shape: Index) -> Iterator[np.ndarray]:
    size = int(np.prod(shape))
    for k in range(size):
        yield _unit(shape, k)


def _unit(shape: Index, k: int) -> np.ndarray:
    unit = np.zeros(shape)
    unit.reshape(-1)[k] = 1.0
    return unit


def _gathered(
    name: str,
    given: np.ndarray,
    scales: np.ndarray,
    places: Sequence[int],
    slopes: Sequence[Slope],
    tolerance: Tolerance,
) -> ArrayCheck:
    flat, sizes = given.reshape(-1), scales.reshape(-1)
    known = [abs(s.value) for s in slopes if math.isfinite(s.value)]
    largest = max(known, default=0.0)
    entries = tuple(
        judged(
            tuple(map(int, np.unravel_index(k, given.shape))),
            float(flat[k]),
            slope,
            largest,
            tolerance,
            float(sizes[k]),
        )
        for k, slope in zip(places, slopes, strict=True)
    )
    true = np.full(given.size, np.nan)
    true[list(places)] = [s.value for s in slopes]
    shown = pattern_of(given.shape, entries)
    return ArrayCheck(name, given, true.reshape(given.shape), entries, pattern=shown)
