"""Random formulas with slopes that mpmath knows: what an interval must hold."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import mpmath
import numpy as np

mpmath.mp.dps = 60


KINDS = ["+", "-", "*", "/", "sin", "exp", "tanh", "log", "sqrt", "power"]
KINDS += ["cos", "log1p", "arctan"]


class Exact:
    """The functions of the formulas in mpmath."""

    sin, cos, exp, tanh, log = mpmath.sin, mpmath.cos, mpmath.exp, mpmath.tanh, mpmath.log
    sqrt, log1p, arctan = mpmath.sqrt, mpmath.log1p, mpmath.atan


class Case(NamedTuple):
    """A formula in ``x``, with ``m`` for the module of its functions; where; its true slope."""

    source: str
    x: float
    slope: Any

    def function(self, m: Any = np) -> Any:
        code = compile(self.source, "<formula>", "eval")
        return lambda x: eval(code, {"m": m, "x": x})


def cases(count: int, seed: int) -> Iterator[Case]:
    """Formulas up to five levels deep, at points of all sizes and at 0, whose slope moves
    their value at most 1e3 times as fast as their argument: beyond that they swing within the
    steps, and mostly are no formula anybody would type."""
    rng = random.Random(seed)
    while count:
        source = _formula(rng, rng.randint(1, 5))
        x = rng.choice(
            [
                rng.uniform(-3, 3),
                rng.uniform(-3, 3),
                10 ** rng.uniform(-6, 3) * rng.choice([-1, 1]),
                0.0,
                float(rng.randint(-3, 3)),
            ]
        )
        exact = re.sub(r"(?<![\w.])(\d+\.\d+(?:e-?\d+)?|1e-\d+)", r"mpf(\1)", source)
        code = compile(exact, "<formula>", "eval")
        try:
            with np.errstate(all="raise", under="ignore"):
                y = Case(source, x, None).function()(np.float64(x))

            def at(t: Any, code: Any = code) -> Any:
                return eval(code, {"m": Exact, "x": t, "mpf": mpmath.mpf})

            slope = mpmath.diff(at, mpmath.mpf(x), h=mpmath.mpf(10) ** -20)
        except (ArithmeticError, TypeError, ValueError):
            continue
        sensitive = abs(slope) * abs(x) > 1e3 * max(abs(y), 1e-3) or (not x and abs(slope) > 1e3)
        if "x" in source.replace("exp", "") and mpmath.isfinite(slope) and not sensitive:
            count -= 1
            yield Case(source, x, slope)


def _formula(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(["x", "x", "x", repr(round(rng.uniform(-3, 3), 3))])
    kind = rng.choice(
        ["+", "-", "*", "/", "sin", "exp", "tanh", "log", "sqrt", "power", "cos", "log1p", "arctan"]
    )
    a = _formula(rng, depth - 1)
    if kind in "+-*/":
        return f"({a}{kind}{_formula(rng, depth - 1)})"
    if kind == "power":
        return f"({a})**{rng.choice([2, 3, 4])}"
    if kind == "log":
        return f"m.log(({a})**2+{rng.choice([1e-6, 0.1, 1.0])})"
    if kind == "sqrt":
        return f"m.sqrt(({a})**2+{rng.choice([1e-3, 0.1, 1.0])})"
    return f"m.log1p(m.exp({a}))" if kind == "log1p" else f"m.{kind}({a})"
