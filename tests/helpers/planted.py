"""Random programs with one value that is not finite planted in them, and healthy ones that hide
infinities on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr

Function = Callable[[Any, Any], Any]


def _steps(rng: np.random.Generator) -> list[Callable[[list[Any], Any], Any]]:
    """Operations on a pool of arrays (4, 3) that stay finite."""

    def pick(pool: list[Any], at: int) -> Any:
        return pool[at % len(pool)]

    def made(kind: int, i: int, j: int, k: float) -> Callable[[list[Any], Any], Any]:
        forms: list[Callable[[Any, Any, Any], Any]] = [
            lambda a, b, w: np.sin(a) + k,
            lambda a, b, w: np.tanh(a @ w),
            lambda a, b, w: a * np.cos(b),
            lambda a, b, w: a - np.mean(b, axis=0),
            lambda a, b, w: a / (1 + b * b),
            lambda a, b, w: np.where(b > 0, a, k * a),
            lambda a, b, w: np.cumsum(a, axis=0) * 0.3,
            lambda a, b, w: np.concatenate([a[2:], b[:2]]),
            lambda a, b, w: np.transpose(np.reshape(a, (3, 4))),
            lambda a, b, w: a[[3, 1, 1, 0]],
            lambda a, b, w: np.maximum(a, b),
            lambda a, b, w: np.exp(-a * a) + np.max(b, axis=1, keepdims=True),
            lambda a, b, w: np.sum(a, axis=0) * 0.2 + b,
            lambda a, b, w: _hidden(a, b),
            lambda a, b, w: np.nan_to_num(np.log(np.zeros(3)) + 0 * a, neginf=0.5) + b,
        ]
        form = forms[kind]
        return lambda pool, w: form(pick(pool, i), pick(pool, j), w)

    return [
        made(int(rng.integers(15)), int(rng.integers(99)), int(rng.integers(99)), rng.normal())
        for _ in range(int(rng.integers(4, 14)))
    ]


def _hidden(a: Any, b: Any) -> Any:
    """An infinity that a choice hides, without a slope that would show it."""
    inverse = 1 / np.where(a > 0, a, 0.0 * b.shape[0] + 1.0)
    return np.where(a > 0, np.tanh(inverse), np.where(np.isinf(np.log(0 * a * a)), b, a))


FORWARD: tuple[Callable[[Any], Any], ...] = (
    lambda h: np.log(h),
    lambda h: 1 / h,
    lambda h: np.exp(800 * (1 - h) * (h == 0)),
    lambda h: np.sqrt(h - 1e-9),
    lambda h: np.arccosh(1 + h - 1e-9) * 0.1,
    lambda h: np.arctanh(1 - np.minimum(h, 0.5)),
    lambda h: np.log1p(h - 1),
    lambda h: np.reciprocal(h),
    lambda h: (h - 1e-9) ** 1.5,
)
"""Not finite where ``h`` is 0, and where it is at least 0.1 as tame as can be."""
BACKWARD: tuple[Callable[[Any], Any], ...] = (
    lambda h: np.sqrt(h),
    lambda h: h**0.5,
    lambda h: np.cbrt(h),
    lambda h: np.arccos(1 - np.minimum(h, 0.5)),
    lambda h: np.arcsin(np.minimum(h, 0.5) - 1),
    lambda h: np.sqrt(h) * 0.0,
    lambda h: h**0.3,
)
"""Finite where ``h`` is 0, with a slope that is not."""


@dataclass(frozen=True)
class Planted:
    """A program, its arguments, and at which index of which pass it stops being finite."""

    f: Function
    args: tuple[np.ndarray, np.ndarray]
    direction: str
    index: tuple[int, int]


def planted(seed: int) -> Planted:
    """A random program whose only operation that makes non-finite out of finite, on the way to the
    result, is in ``cr.scope("planted")``."""
    rng = np.random.default_rng(seed)
    steps = _steps(rng)
    direction = ("forward", "backward")[seed % 2]
    table = FORWARD if direction == "forward" else BACKWARD
    fault = table[int(rng.integers(len(table)))]
    at = int(rng.integers(len(steps)))
    index = int(rng.integers(4)), int(rng.integers(3))
    spot = np.zeros((4, 3), bool)
    spot[index] = True

    def program(x: Any, w: Any) -> Any:
        pool = [x]
        bad: Any = None
        for i, step in enumerate(steps):
            pool.append(step(pool, w))
            if i == at:
                # tame, and 0 at one entry, through which the gradient still goes
                h = pool[-1]
                h = np.where(spot, h - cr.stop_gradient(h), 0.1 + 0.3 * (1 + np.tanh(h)))
                with cr.scope("planted"):
                    bad = fault(h)
                pool.append(np.tanh(bad) if direction == "backward" else bad)
        return np.sum(pool[-1]) + 0.1 * np.sum(bad)

    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 3))
    return Planted(program, (x, w), direction, index)


def healthy(seed: int) -> tuple[Function, tuple[np.ndarray, np.ndarray]]:
    """A program that masks infinities on purpose, finite with its gradient."""
    rng = np.random.default_rng(seed)
    mask = rng.random((4, 3)) < 0.5
    mask[:, 0] = True
    k = float(rng.uniform(0.5, 2.0))

    def attention(x: Any, w: Any) -> Any:
        scores = np.where(mask, x @ w, -np.inf)
        e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
        return np.sum((e / np.sum(e, axis=1, keepdims=True)) * x)

    def masked_logarithm(x: Any, w: Any) -> Any:
        return np.sum(np.where(x > 0, np.log(x), k * x) @ w)

    def safe_quotient(x: Any, w: Any) -> Any:
        y = np.where(mask, x, 0.0)
        return np.sum(np.where(y == 0, 0.0, 1 / np.where(y == 0, 1.0, y)) @ w)

    def largest(x: Any, w: Any) -> Any:
        return np.sum(np.max(np.where(mask, x @ w, -np.inf), axis=1))

    def numbers_of_nan(x: Any, w: Any) -> Any:
        holes = np.where(mask, 1.0, np.nan)
        return np.sum(np.nan_to_num(np.where(mask, x, holes)) @ w)

    def mean_of_the_rest(x: Any, w: Any) -> Any:
        return np.nanmean(np.where(mask, x @ w, np.nan))

    def log_sum(x: Any, w: Any) -> Any:
        return np.sum(cr.nn.logsumexp(np.where(mask, x @ w, -np.inf), axis=1))

    def clipped(x: Any, w: Any) -> Any:
        return np.sum(np.clip(np.where(mask, x, np.inf), -1, k) @ w)

    def guarded_root(x: Any, w: Any) -> Any:
        y = np.where(mask, x * x, 0.0)
        return np.sum(np.where(y > 0, np.sqrt(np.where(y > 0, y, 1.0)), 0.0) @ w)

    def one_over_infinity(x: Any, w: Any) -> Any:
        return np.sum(x / np.where(mask, k, np.inf)) + np.sum(w)

    def entropy(x: Any, w: Any) -> Any:
        p = np.where(mask, 1 / (1 + np.exp(-x)), 0.0)
        return -np.sum(p * np.log(np.where(p > 0, p, 1.0))) + np.sum(w * w)

    def shortest(x: Any, w: Any) -> Any:
        return np.min(np.where(mask, np.abs(x @ w), np.inf))

    forms = (attention, masked_logarithm, safe_quotient, largest, numbers_of_nan, mean_of_the_rest,
             log_sum, clipped, guarded_root, one_over_infinity, entropy, shortest)  # fmt: skip
    return forms[seed % len(forms)], (rng.normal(size=(4, 3)), rng.normal(size=(3, 3)))
