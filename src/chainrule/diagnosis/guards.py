"""What keeps an operation finite where it has no finite value or slope: a table.

Unlike the compiler's rewrites these change what is computed, where it was not finite, and only
there; each is tried on the call that failed before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Build = Callable[..., Any]


@dataclass(frozen=True)
class Guard:
    """``code`` is a template, ``{0}``, ``{1}`` the operands and ``{low}``, ``{high}`` the
    numbers that ``build(*inputs, low=, high=)`` records the same with."""

    code: str
    build: Build
    low: Callable[[Any], float] = lambda info: 1e-30 if info.bits == 32 else 1e-300
    high: Callable[[Any], float] = lambda info: float(np.floor(np.log(info.max) / 2))

    def numbers(self, dtype: Any) -> dict[str, float]:
        """``low`` and ``high`` in a dtype."""
        info = np.finfo(dtype)
        return {"low": self.low(info), "high": self.high(info)}


def _eps(info: Any) -> float:
    return float(f"{8 * info.eps:.0e}")


def _half_range(info: Any) -> float:
    """Squares of it, and sums of many, are in range."""
    return float(f"{(float(info.max) / 1e6) ** 0.5:.0e}")


def _small(info: Any) -> float:
    return float(f"{float(info.tiny) ** 0.5:.0e}")


def _of_positive(name: str, f: Any) -> Guard:
    return Guard(
        f"np.{name}(np.maximum({{0}}, {{low:g}}))",
        lambda x, low, high: f(np.maximum(x, low)),
    )


def _clipped(name: str, f: Any) -> Guard:
    return Guard(
        f"np.{name}(np.clip({{0}}, -{{high:g}}, {{high:g}}))",
        lambda x, low, high: f(np.clip(x, -high, high)),
    )


def _inside(name: str, f: Any) -> Guard:
    return Guard(
        f"np.{name}(np.clip({{0}}, -1 + {{low:g}}, 1 - {{low:g}}))",
        lambda x, low, high: f(np.clip(x, -1 + low, 1 - low)),
        _eps,
    )


def _quotient(x: Any, z: Any, low: float, high: float) -> Any:
    bad = z == 0
    return np.where(bad, np.zeros((), x.dtype), x / np.where(bad, np.ones((), x.dtype), z))


def _wide_quotient(x: Any, z: Any, low: float, high: float) -> Any:
    bad = np.abs(z) < low
    return np.where(bad, np.zeros((), x.dtype), x / np.where(bad, np.ones((), x.dtype), z))


def _power(x: Any, p: Any, low: float, high: float) -> Any:
    good = x > 0
    return np.where(good, np.where(good, x, np.ones((), x.dtype)) ** p, np.zeros((), x.dtype))


_POWER = Guard("np.where({0} > 0, np.where({0} > 0, {0}, 1) ** {1}, 0)", _power)
_ZERO_POWER = Guard(
    "np.where({0} == 0, 0, np.where({0} == 0, 1, {0}) ** {1})",
    lambda x, p, low, high: np.where(
        x == 0, np.zeros((), x.dtype), np.where(x == 0, np.ones((), x.dtype), x) ** p
    ),
)
_PRODUCT = Guard(
    "np.clip({0}, -{high:g}, {high:g}) * np.clip({1}, -{high:g}, {high:g})",
    lambda x, z, low, high: np.clip(x, -high, high) * np.clip(z, -high, high),
    high=_half_range,
)

GUARDS: dict[str, tuple[Guard, ...]] = {
    "log": (_of_positive("log", np.log),),
    "log2": (_of_positive("log2", np.log2),),
    "log10": (_of_positive("log10", np.log10),),
    "log1p": (
        Guard(
            "np.log1p(np.maximum({0}, -1 + {low:g}))",
            lambda x, low, high: np.log1p(np.maximum(x, -1 + low)),
            _eps,
        ),
    ),
    "sqrt": (_of_positive("sqrt", np.sqrt),),
    "divide": (
        Guard("np.where({1} == 0, 0, {0} / np.where({1} == 0, 1, {1}))", _quotient),
        Guard(
            "np.where(np.abs({1}) < {low:g}, 0, {0} / np.where(np.abs({1}) < {low:g}, 1, {1}))",
            _wide_quotient,
            _small,
        ),
    ),
    "reciprocal": (
        Guard(
            "np.where({0} == 0, 0, 1 / np.where({0} == 0, 1, {0}))",
            lambda x, low, high: _quotient(np.ones((), x.dtype), x, low, high),
        ),
    ),
    "power_constant": (_ZERO_POWER, _POWER),
    "power": (_ZERO_POWER, _POWER),
    "exp": (
        Guard(
            "np.exp(np.minimum({0}, {high:g}))",
            lambda x, low, high: np.exp(np.minimum(x, high)),
        ),
    ),
    "exp2": (_clipped("exp2", np.exp2),),
    "expm1": (_clipped("expm1", np.expm1),),
    "sinh": (_clipped("sinh", np.sinh),),
    "cosh": (_clipped("cosh", np.cosh),),
    "arcsin": (_inside("arcsin", np.arcsin),),
    "arccos": (_inside("arccos", np.arccos),),
    "arctanh": (_inside("arctanh", np.arctanh),),
    "arccosh": (
        Guard(
            "np.arccosh(np.maximum({0}, 1 + {low:g}))",
            lambda x, low, high: np.arccosh(np.maximum(x, 1 + low)),
            _eps,
        ),
    ),
    "square": (
        Guard(
            "np.clip({0}, -{high:g}, {high:g}) ** 2",
            lambda x, low, high: np.square(np.clip(x, -high, high)),
            high=_half_range,
        ),
    ),
    "multiply": (_PRODUCT,),
}
"""Guards of an operation by its name, the first that helps is shown."""
