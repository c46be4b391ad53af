"""The verdict on one entry of a gradient beside its numeric derivative."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from chainrule.checking.numeric import EPS, Slope

Verdict = Literal[
    "correct", "wrong", "inconclusive: rounding", "inconclusive: kink", "inconclusive: jump"
]
Index = tuple[int, ...]

EPSILON = {8: EPS, 4: 2.0**-23, 2: 2.0**-10}
"""The rounding of floats by their bytes."""
RELATIVE = {8: 1e-9, 4: 1e-3, 2: 3e-2}
"""How far a given entry may be from the true one, relative to the largest of its array, by the
bytes of its floats: what the rounding of a long backward pass may leave."""
ABSOLUTE = {8: 1e-15, 4: 1e-6, 2: 1e-2}
"""The same, relative to the function's value (1 at least) over the argument's (1 at least): beside
it, what is smaller is 0."""
USEFUL = 1e-4
"""An interval wider than this, relative to the largest entry, proves nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: ``given`` and ``true`` ± ``error``. At a kink ``left`` and ``right`` are the
    slopes of the two sides, at a jump the two values; it is within ``step``."""

    index: Index
    given: float
    true: float
    error: float
    verdict: Verdict
    left: float = math.nan
    right: float = math.nan
    step: float = 0.0
    method: str = "differences"

    @property
    def off(self) -> float:
        """How far the entry is from what it may be."""
        if self.verdict != "wrong":
            return 0.0
        if math.isfinite(self.left) and math.isfinite(self.right):
            low, high = sorted((self.left, self.right))
            return max(low - self.given, self.given - high, abs(self.given - self.true) / 2)
        return abs(self.given - self.true)


@dataclass(frozen=True)
class Tolerance:
    """What a given gradient may differ by, beside the interval of the true one."""

    itemsize: int  # of the floats that it was computed in
    size: float  # of the function's value

    def of(self, largest: float, scale: float = 1.0) -> float:
        size = max(1.0, self.size) / max(1.0, scale)
        return RELATIVE[self.itemsize] * largest + ABSOLUTE[self.itemsize] * size

    @property
    def floor(self) -> float:
        """A slope beside which differences are relative to this, not to the slope."""
        return self.of(0.0) / RELATIVE[self.itemsize]

    @property
    def reach(self) -> float:
        """How far away a kink may be for rounding to have crossed it."""
        return (1e3 if self.itemsize == 8 else 4e3) * EPSILON[self.itemsize]


def judged(
    index: Index, given: float, slope: Slope, largest: float, tolerance: Tolerance, scale: float
) -> Entry:
    """The verdict on one entry. ``largest``: the size of the array's entries."""
    seen = {"left": slope.left, "right": slope.right, "step": slope.step, "method": slope.method}

    def entry(verdict: Verdict, true: float = slope.value, error: float = slope.error) -> Entry:
        return Entry(index, given, true, error, verdict, **seen)  # type: ignore[arg-type]

    allowed = tolerance.of(largest, scale)
    if slope.kind == "jump":
        return entry("inconclusive: jump")
    if not math.isfinite(given):
        return entry("inconclusive: kink" if slope.kind == "undefined" else "wrong")
    if slope.kind == "undefined":
        return entry("inconclusive: rounding")
    if slope.kind == "kink":
        low, high = sorted((slope.left, slope.right))
        inside = low - slope.error - allowed <= given <= high + slope.error + allowed
        return entry("inconclusive: kink" if inside else "wrong")
    apart = abs(given - slope.value)
    if apart <= slope.error + allowed:
        useful = slope.error <= max(USEFUL * max(abs(slope.value), largest), allowed)
        # far below the function's value: no rounding of zero, yet another number than the given one
        is_seen = abs(slope.value) > 10 * slope.error
        useful = useful and not (is_seen and apart > max(slope.error, 1e-3 * largest))
        return entry("correct" if useful else "inconclusive: rounding")
    low, high = sorted((slope.left, slope.right))
    near = 0 < slope.step <= tolerance.reach * max(scale, 1.0)
    if near and min(low, slope.value) - allowed <= given <= max(high, slope.value) + allowed:
        return entry("inconclusive: kink")
    return entry("wrong")
