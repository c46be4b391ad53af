"""Value, first and second derivative of every special function that is recorded, eagerly, on the
NumPy executor and in machine code, at points over its whole domain, judged by mpmath.

``CHAINRULE_SPECIAL_POINTS=300`` tries 75 points of each instead of 2 (``nox -s special``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.core.dispatch import SCIPY_UFUNCS
from tests.helpers.special_table import COUNT, judge, points
from tests.helpers.special_values import CASES, COVERED

POINTS = max(2, COUNT // 4)
SPECIAL = {"boxcox": 0.0, "boxcox1p": 0.0, "spence": 1.0, "erfcinv": 1.0, "ndtri": 0.5}
"""Points where a function's formulas divide 0 by 0; those beside them are tried."""
OTHERWISE = {"_lambertw": "lambertw", "_zeta": "zeta", "cbrt": "cbrt"}


def test_every_recorded_function_is_covered() -> None:
    stepwise = {"gammasgn"}  # it has no slope; tests/ops/test_scipy.py
    assert {OTHERWISE.get(name, name) for name in SCIPY_UFUNCS} - stepwise <= COVERED


def arguments(name: str) -> list[np.ndarray]:
    case = CASES[name]
    found = []
    for i, (ends, near) in enumerate(zip(case.domain, case.near, strict=True)):
        rng = np.random.default_rng(i + 7)
        low, high = ends
        wide = points(low, high, np.float64, i + 1)
        wide = wide[np.abs(wide) > max(1e-25, low)][: POINTS // 2]
        close = rng.uniform(*near, POINTS - len(wide))
        beside = np.full(2, SPECIAL.get(name, near[1])) * (1 - 10.0 ** -rng.integers(4, 14, 2))
        beside = beside if SPECIAL.get(name) != 0 else 10.0 ** -rng.integers(4, 14, 2)
        x = np.concatenate([wide, close, beside])
        found.append(x[(x > low) & (x < high)])
    length = min(map(len, found))
    return [x[-length:] for x in found]


def executors(f: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {"eager": f, "numpy": cr.jit(f, executor="numpy"), "native": cr.jit(f)}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name: str) -> None:
    case, xs = CASES[name], arguments(name)
    n = len(xs)
    which = range(n)
    slopes = cr.grad(lambda *xs: np.sum(case.f(*xs)), tuple(which))
    bends = [cr.grad(lambda *xs, i=i: np.sum(slopes(*xs)[i]), tuple(which)) for i in which]

    def every(*xs: Any) -> Any:
        return case.f(*xs), slopes(*xs), [bend(*xs) for bend in bends]

    found = {way: run(*xs) for way, run in executors(every).items()}

    def compare(what: str, read: Callable[..., Any], orders: Sequence[int], bound: float) -> None:
        exact = cache(case.derivative(*[orders.count(k) for k in which]))
        for way, results in found.items():
            judge(f"{what} of {name} ({way})", read(*results), exact, *xs, bound=bound, digits=1)

    compare("value", lambda y, first, second: y, (), 64)  # SciPy's own, of all
    for i in which:
        compare(f"slope {i}", lambda y, first, second, i=i: first[i], (i,), case.bound)
        for j in range(i, n):
            read = lambda y, first, second, i=i, j=j: second[i][j]  # noqa: E731
            compare(f"second derivative {i}{j}", read, (i, j), 4 * case.bound)
