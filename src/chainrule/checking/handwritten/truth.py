"""The gradients that a program's own loss has, and whether given ones agree with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chainrule.checking.entries import ArrayCheck
from chainrule.checking.numeric import Slope, differences, places, sizes
from chainrule.checking.patterns import pattern_of
from chainrule.checking.verdicts import EPSILON, Tolerance, judged
from chainrule.errors import UsageError

MOST_ENTRIES = 400
"""Of larger arrays so many entries are looked at, drawn at random."""


class Program(Protocol):
    """A student's program, here or in another process."""

    def describe(self) -> dict[str, Any]: ...

    def losses(self, name: str, moves: Sequence[Any], point: int = 0) -> list[float]: ...

    def gradients(
        self, variants: Sequence[Sequence[tuple[str, str]]], point: int = 0
    ) -> list[dict[str, Any]]: ...


@dataclass
class Truth:
    """Numeric gradients at one point, of the entries that are looked at."""

    slopes: dict[str, dict[int, Slope]]
    shapes: dict[str, tuple[int, ...]]
    tolerance: Tolerance

    def largest(self, name: str) -> float:
        known = [abs(s.value) for s in self.slopes[name].values() if math.isfinite(s.value)]
        return max(known, default=0.0)

    def check(self, name: str, given: np.ndarray) -> ArrayCheck:
        shape, largest = self.shapes[name], self.largest(name)
        flat = given.reshape(-1)
        entries = []
        for k, slope in self.slopes[name].items():
            index = tuple(map(int, np.unravel_index(k, shape)))
            entries.append(judged(index, float(flat[k]), slope, largest, self.tolerance, 1.0))
        true = np.full(given.size, np.nan)
        for k, slope in self.slopes[name].items():
            true[k] = slope.value
        size = int(np.prod(shape))
        missed = 0.0 if len(entries) == size else 1 - len(entries) / size
        pattern = pattern_of(shape, entries)
        return ArrayCheck(name, given, true.reshape(shape), tuple(entries), missed, pattern=pattern)

    def agrees(self, name: str, given: Any) -> bool:
        array = fitted(given, self.shapes[name])
        if array is None:
            return False
        largest = self.largest(name)
        flat = array.reshape(-1)
        for k, slope in self.slopes[name].items():
            if slope.kind == "smooth":
                allowed = slope.error + 1e-6 * largest + self.tolerance.of(largest)
                if not abs(flat[k] - slope.value) <= allowed:
                    return False
        return True


def fitted(given: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """A gradient in the shape of its parameter: axes of length 1 may be more or fewer."""
    array = np.asarray(given, float)
    if array.shape == shape:
        return array
    squeezed = tuple(n for n in array.shape if n != 1) == tuple(n for n in shape if n != 1)
    return array.reshape(shape) if squeezed else None


def truth_at(
    program: Program,
    values: Mapping[str, np.ndarray],
    point: int,
    about: Mapping[str, Any],
    reference: Program | None,
) -> Truth:
    slopes = {} if reference is None else _referred(reference, values, point)
    shapes = {n: v.shape for n, v in values.items()}
    tolerance = Tolerance(about["itemsize"], about["size"])
    if reference is not None:
        return Truth(slopes, shapes, tolerance)
    for name, value in values.items():
        size = value.size
        chosen: Sequence[int] = range(size)
        if size > MOST_ENTRIES:
            rng = np.random.default_rng(0)
            chosen = sorted(map(int, rng.choice(size, MOST_ENTRIES, replace=False)))
        eps = EPSILON[about["reference"]]
        slopes[name] = _slopes(program, name, value, chosen, point, eps, quick=True)
        rough = [
            k
            for k, s in slopes[name].items()
            if s.kind != "smooth" or s.error > 1e-7 * max(abs(s.value), 1e-3)
        ]
        if rough:
            slopes[name].update(_slopes(program, name, value, rough, point, eps, quick=False))
    return Truth(slopes, shapes, tolerance)


def _referred(
    reference: Program, values: Mapping[str, np.ndarray], point: int
) -> dict[str, dict[int, Slope]]:
    """The gradients of a right program."""
    (answer,) = reference.gradients([[]], point)
    if "error" in answer:
        raise UsageError(f"the reference stopped: {answer['error']}")
    found = {}
    for name, value in values.items():
        true = fitted(answer["found"].get(name, math.nan), value.shape)
        if true is None:
            raise UsageError(
                f"the reference gives no gradient of the shape of {name}, {value.shape}"
            )
        flat = true.reshape(-1)
        found[name] = {k: Slope(float(v), 0.0, "reference") for k, v in enumerate(flat)}
    return found


def _slopes(
    program: Program,
    name: str,
    value: np.ndarray,
    chosen: Sequence[int],
    point: int,
    eps: float,
    *,
    quick: bool,
) -> dict[int, Slope]:
    own = sizes(value).reshape(-1)
    scales = {k: float(own[k]) for k in chosen}
    steps = {k: places(scales[k], resolution=eps, quick=quick) for k in chosen}
    losses = iter(program.losses(name, [(k, h) for k in chosen for h in steps[k]], point))
    found = {}
    for k in chosen:
        ys = list(itertools.islice(losses, len(steps[k])))
        found[k] = differences(
            lambda hs, ys=ys: ys, scales[k], eps=eps, resolution=eps, quick=quick
        )
    return found
