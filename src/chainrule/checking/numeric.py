"""The slope of a function along a line, from its values alone, with an interval that holds it.

Two ways. The complex step, Im f(x + ih) / h (Squire and Trapp 1998), for functions that are
known to be analytic: exact to rounding. Otherwise central differences over a sweep of steps with
Richardson's extrapolation (Ridders 1982), which also tell kinks and jumps from smooth points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Line = Callable[[Sequence[float]], Sequence[float]]
"""The values of a function at several places along a line, given as distances from its start."""

Kind = Literal["smooth", "kink", "jump", "undefined"]

EPS = float(np.finfo(np.float64).eps)
FIRST, SHRINK, STEPS, ORDERS = 0.37, 4.0, 17, 4
"""The largest step for an argument of size 1; each is a fourth of the one before. At the 17th,
9e-11, rounding has eaten half of the digits: smaller steps tell nothing more."""

FLOOR = 64 * EPS
"""Every interval is at least as wide as this part of the slope: constants in the function are
rounded too, and no number of steps shows that."""

HIDDEN = 512
"""Rounding inside a function that its values do not show is looked for up to so many times their
own."""

BELOW = 1e-6
"""A jump is seen from this size, relative to the function's values: below it a rounding to
float32 looks the same."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A derivative: ``value`` ± ``error``, by ``method``.

    ``kind`` "kink": there is another slope on the ``left`` than on the ``right``, within ``step``.
    "jump": the function itself differs, ``left`` and ``right`` are its values. "undefined": no
    slope was found, as where it is infinite or the function is not finite nearby.
    """

    value: float
    error: float
    method: str = "differences"
    kind: Kind = "smooth"
    left: float = math.nan
    right: float = math.nan
    step: float = 0.0


UNDEFINED = Slope(math.nan, math.inf, kind="undefined")


def complex_step(
    at: Callable[[complex], complex], size: float, *, quick: bool = False
) -> Slope | None:
    """The slope of a function that is analytic by what it is made of; None where this point is
    one of the few at which it is not, such as a square root's 0.

    Args:
        at: the function of a complex distance along the line. size: of its argument.
        quick: leave the neighbours out, at a fifth of the cost.

    The interval comes from how the number scatters between neighbouring arguments, each of which
    rounds otherwise; those to the left and right are averaged, so that a slope that changes
    counts for nothing.
    """

    def slope(place: float, h: float = 1e-150) -> float:
        return complex(at(complex(place, h))).imag / h

    here = abs(complex(at(complex(0.0, 1e-150))).real)
    value, other = slope(0.0), slope(0.0, 1.7e-100)
    near = [(size or 1.0) * 2.0**-k for k in (() if quick else (49, 42, 35, 29, 22))]
    found = [(slope(-d), slope(d), slope(2 * d)) for d in near]
    if not all(map(math.isfinite, [value, other, *[x for three in found for x in three]])):
        return None
    scatter = max((abs((a + b) / 2 - value) for a, b, _ in found), default=abs(value - other))
    if abs(value - other) > 1e-6 * max(abs(value), abs(other)) or scatter > 1e-3 * abs(value):
        return None
    # at -d and d the same roundings may cancel, at -d and 2 d they do not
    scatter = max([scatter, *(abs((2 * a + c) / 3 - value) for a, _, c in found)])
    beside = 1e-3 * EPS * here / max(size, 1.0)  # what lies so far below the values is lost in them
    error = 6 * scatter + FLOOR * abs(value) + beside
    return Slope(value, error, "complex step")


def differences(
    at: Line, scale: float, *, eps: float = EPS, resolution: float = EPS, quick: bool = False
) -> Slope:
    """The slope by a sweep of differences.

    Args:
        at: the function along the line; what is not finite is left out.
        scale: the size of the argument; steps begin at a third of it and of 1.
        eps: the relative precision of the function's values. resolution: that of its argument.
        quick: take every third step, at a third of the cost; a slope is then as near, but what is
            not smooth is not told.
    """
    signed = places(scale, resolution=resolution, quick=quick)
    values = np.asarray(at(signed), float)
    n = len(signed) // 2
    hs = signed[1 : n + 1]
    here, ahead, back = values[0], values[1 : n + 1], values[n + 1 :]
    if not np.isfinite(here):
        return UNDEFINED
    steps = np.array(hs)
    both = np.isfinite(ahead) & np.isfinite(back)
    first = int(np.argmax(both)) if both.any() else n
    while first < n and not both[first:].all():  # holes: only steps below the last one count
        first += int(np.argmin(both[first:])) + 1
    if n - first < 3:
        return _one_sided(here, ahead, back, steps)
    shrink = SHRINK**3 if quick else SHRINK
    with np.errstate(all="ignore"):
        sweep = _Sweep(here, ahead[first:], back[first:], steps[first:], eps, scale, shrink)
        return sweep.slope()


def sizes(x: np.ndarray) -> np.ndarray:
    """The scale of each entry of an array: its own, and of a 0 that of the others."""
    typical = math.sqrt(float(np.mean(np.square(x, dtype=float)))) if x.size else 0.0
    return np.where(x != 0, np.abs(x), typical).astype(float)


def places(scale: float, *, resolution: float = EPS, quick: bool = False) -> list[float]:
    """Where ``differences`` evaluates: 0, the steps ahead, the steps back."""
    hs = _steps(scale, resolution)[:: 3 if quick else 1]
    return [0.0, *hs, *[-h for h in hs]]


def _steps(scale: float, resolution: float) -> list[float]:
    top = FIRST * max(scale, 1.0)
    low = min(scale or 1.0, 1.0)
    count = STEPS + (round(math.log(top / low, SHRINK)) if low < 1e-2 * top else 0)
    smallest = 2**8 * resolution * max(scale, 1e-300)
    steps = [top * SHRINK**-k for k in range(count)]
    kept = [h for h in steps if h >= smallest]
    return kept if len(kept) >= 6 else steps[:6]


def _one_sided(here: float, ahead: np.ndarray, back: np.ndarray, steps: np.ndarray) -> Slope:
    """At the border of a domain: the slope of the side that there is, as the other is not."""
    right, left = (ahead - here) / steps, (here - back) / steps

    def last(side: np.ndarray) -> float:
        known = side[np.isfinite(side)]
        return float(known[-1]) if len(known) else math.nan

    return Slope(math.nan, math.inf, kind="undefined", left=last(left), right=last(right))


def _typical(moved: np.ndarray) -> float:
    """The largest, unless it stands apart: a kink on the way moves one or two of five."""
    largest, middle = float(moved.max()), float(np.median(moved))
    return largest if middle == 0 or largest <= 1e3 * middle else 3 * middle


class _Sweep:
    """Differences for shrinking steps, and what can be read from them."""

    def __init__(
        self,
        here: float,
        ahead: np.ndarray,
        back: np.ndarray,
        steps: np.ndarray,
        eps: float,
        scale: float,
        shrink: float,
    ) -> None:
        self.here, self.steps, self.scale, self.shrink = float(here), steps, scale, shrink
        self.ahead, self.back = ahead, back
        self.size = float(max(abs(here), np.abs(ahead[-3:]).max(), np.abs(back[-3:]).max()))
        self.right, self.left = (ahead - here) / steps, (here - back) / steps
        self.central = (ahead - back) / (2 * steps)
        self.noise = self._noise(eps)
        self.rounding = self.noise / steps

    def _noise(self, eps: float) -> float:
        """How far a value of the function may be off: by its precision, and by how differences of
        the smallest steps scatter, where nothing but rounding is left."""
        few = max(3, min(5, len(self.steps) // 3))  # of a short sweep the rest may be past a kink
        moved = np.abs(np.diff(self.central))[-few:] * self.steps[1:][-few:]
        bent = np.abs(self.ahead + self.back - 2 * self.here)[-3:] / 4
        scattered = max(_typical(moved), _typical(bent))
        moved_argument = self.scale * float(np.median(np.abs(self.central)))
        self.stated = stated = 0.5 * eps * max(self.size, moved_argument)
        if scattered > 1e3 * stated and self._is_bent():
            scattered = 0.0  # a kink or a jump, not rounding
        if (self.ahead == self.here).all() or (self.back == self.here).all():
            scattered = 0.0  # flat on one side: what moves on the other begins at a kink
        if eps > EPS:  # so few steps are left that a kink cannot be told from noise by its pattern
            scattered = min(scattered, 8 * stated)
        return max(stated, scattered, self._granularity(), self._hidden(eps), 1e-300)

    def _hidden(self, eps: float) -> float:
        """Rounding inside the function that its values do not show where steps are smallest: what
        ``x**2`` loses in ``x**2 + 1`` moves ``log(x**2 + 1)`` at larger steps only.

        There differences stay apart by as much from step to step, where a smooth function's come
        nearer by ``shrink**3``; a kink that small and that near is not told from it.
        """
        if eps > EPS:
            return 0.0
        moved = np.abs(np.diff(self.central)) * self.steps[1:]
        stays = moved[1:] > moved[:-1] / self.shrink**2
        known = moved[1:][stays & (moved[1:] <= HIDDEN * eps * max(self.size, 1.0))]
        most = float(known.max(initial=0.0))
        return most if moved[-1] < most / 8 else 0.0

    def _is_bent(self) -> bool:
        gap = np.abs(self.right - self.left)[-4:]
        turned = np.abs(self.ahead - self.back)[-4:]
        steady = gap.min() > 0.5 * gap.max() > 0
        jumps = turned.min() > 0.5 * turned.max() > 0
        return bool(steady or jumps)

    def _granularity(self) -> float:
        """Values that do not change at all on either side, then move on both, were rounded."""
        flat = (self.ahead == self.here) & (self.back == self.here)
        if not flat[-3:].all() or flat.all():
            return 0.0
        k = len(flat) - 1 - int(np.argmin(flat[::-1]))  # the smallest step that moves anything
        first = float(max(abs(self.ahead[k] - self.here), abs(self.back[k] - self.here)))
        if first <= 8 * EPS * max(self.size, 1.0):  # no kink beside a constant is as small
            return first
        if k < 1 or not (self.right[: k + 1] != 0).all() or not (self.left[: k + 1] != 0).all():
            return 0.0
        return first

    def slope(self) -> Slope:
        found = self._jump() or self._kink()
        if found is not None:
            return found
        if self._is_steep():
            left, right = float(self.left[-1]), float(self.right[-1])
            return Slope(math.nan, math.inf, kind="undefined", left=left, right=right)
        value, error = self._extrapolated()
        if not math.isfinite(value):
            return UNDEFINED
        left, right, step = self._near(value, error)
        error += FLOOR * abs(value)
        return Slope(value, error, left=left, right=right, step=step)

    # What is not smooth -----------------------------------------------------------------------

    def _jump(self) -> Slope | None:
        least = max(100 * self.noise, BELOW * self.size)
        for side in (self.ahead, self.back):
            far = np.abs(side - self.here)[-5:]
            if far.min() > least and far[-1] > 0.5 * far.max():
                left, right = float(self.back[-1]), float(self.ahead[-1])
                step = float(self.steps[-1])
                return Slope(math.nan, math.inf, kind="jump", left=left, right=right, step=step)
        return None

    def _kink(self) -> Slope | None:
        """The slopes of both sides stay apart as far down as rounding lets us see."""
        gap = np.abs(self.right - self.left)
        seen = np.nonzero(gap > 40 * self.rounding)[0]
        if len(seen) < 4 or seen[-1] < 3:
            return None
        k = int(seen[-1])
        if not np.array_equal(seen[-4:], np.arange(k - 3, k + 1)) or gap[k] <= 0.5 * gap[k - 3]:
            return None
        if k + 1 < len(gap) and 40 * self.rounding[k + 1] < 0.5 * gap[k]:
            return None  # it closes further down: the kink is not here
        if gap[k] > 1.5 * gap[k - 1]:  # it grows without bound
            left, right = float(self.left[k]), float(self.right[k])
            return Slope(math.nan, math.inf, kind="undefined", left=left, right=right)
        left, left_error = self._side(self.left, k)
        right, right_error = self._side(self.right, k)
        error = left_error + right_error
        if abs(right - left) <= error + 1e-8 * max(abs(left), abs(right)):
            return None
        step = float(self.steps[k])
        return Slope((left + right) / 2, error, kind="kink", left=left, right=right, step=step)

    def _is_steep(self) -> bool:
        """Whether the slope still grows by the same factor at the smallest steps, as that of a cube
        root at 0 does."""
        last, noise = np.abs(self.central[-5:]), self.stated / self.steps[-5:]
        grown = last[1:] / np.maximum(last[:-1], 1e-300)
        steady = grown.max() < 1.01 * grown.min()
        return bool(grown.min() > 1.2 and steady and (noise < 1e-3 * last).all())

    def _side(self, side: np.ndarray, k: int) -> tuple[float, float]:
        """A one-sided slope, extrapolated once: its error falls with h."""
        better = (self.shrink * side[1:] - side[:-1]) / (self.shrink - 1)
        moved = np.abs(np.diff(better)) + 2 * self.rounding[2:]
        last = max(int(np.argmin(moved[: max(k - 1, 1)])), 0)
        return float(better[last + 1]), float(4 * moved[last])

    def _near(self, value: float, error: float) -> tuple[float, float, float]:
        """The outermost one-sided slopes at the largest step at which they belong together."""
        allowed = 4 * error + 10 * self.rounding + 1e-6 * abs(value)
        apart = np.abs(self.central - value) > allowed
        if not apart.any():
            return value, value, 0.0
        k = int(np.nonzero(apart)[0][-1])
        return float(self.left[k]), float(self.right[k]), float(self.steps[k])

    # What is smooth ---------------------------------------------------------------------------

    def _extrapolated(self) -> tuple[float, float]:
        """The entry of Richardson's table that is surest, and how sure.

        The error of an entry is what it moved from those it was made of and from the next finer
        one, and what rounding makes of its smallest step. An entry that finer differences
        contradict, as beyond a kink, does not count.
        """
        if (self.ahead == self.here).all() and (self.back == self.here).all():
            return 0.0, float(self.rounding[0])  # it moves nowhere, not at the largest step either
        tables = [self.central]
        for j in range(1, ORDERS):
            old, factor = tables[-1], self.shrink ** (2 * j)
            if len(old) < 2:
                break
            tables.append((factor * old[1:] - old[:-1]) / (factor - 1))
        best, least = math.nan, math.inf
        n = len(self.central)
        for j in range(1, len(tables)):
            table, below = tables[j], tables[j - 1]
            for k in range(len(table)):
                moved = abs(table[k] - below[k + 1])
                if k + 1 < len(table):
                    moved = max(moved, abs(table[k] - table[k + 1]))
                last = k + j
                error = 2 * moved + 4 * self.rounding[last]
                if error >= least:
                    continue
                finer = np.arange(last, n)
                moved = abs(self.central[last] - table[k]) / self.shrink ** (finer - last)
                bound = error + 5 * self.rounding[finer] + moved
                if (np.abs(self.central[finer] - table[k]) <= bound).all():
                    best, least = float(table[k]), float(error)
        return best, least
