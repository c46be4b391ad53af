"""Random functions for the tests of explanations: scalar ones, and ones on small arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.ops import special, stable

UNARY: tuple[Callable[[Any], Any], ...] = (
    np.sin,
    np.cos,
    np.tanh,
    np.exp,
    lambda x: np.log(2 + x * x),
    lambda x: np.sqrt(1 + x * x),
    lambda x: x**2,
    lambda x: x**3,
    lambda x: x**-1,
    lambda x: -x,
    lambda x: 3 * x,
    lambda x: x / 4,
    lambda x: 1 - x,
    lambda x: x + 0.5,
    np.abs,
    np.arctan,
    stable.relu,
    stable.softplus,
    special.logistic,
    np.floor,
    lambda x: np.where(x > 0.3, x, 2 * x),
    lambda x: np.maximum(x, 0.1),
    lambda x: np.clip(x, -1, 1),
    np.square,
    np.reciprocal,
    np.log1p,
    np.expm1,
    np.exp2,
    np.cbrt,
    cr.stop_gradient,
)
BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    np.add,
    np.subtract,
    np.multiply,
    np.multiply,
    np.divide,
    np.maximum,
    np.minimum,
    np.hypot,
    np.logaddexp,
    np.arctan2,
    lambda x, y: np.where(x > y, x, y * y),
    lambda x, y: np.abs(x) ** y,
)


def scalar_function(seed: int) -> tuple[Callable[..., Any], tuple[float, ...]]:
    """A function of one to three numbers, of up to a dozen operations, with values to reuse."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    plan = [
        (int(rng.integers(2)), int(rng.integers(10**6)), *map(int, rng.integers(10**6, size=2)))
        for _ in range(int(rng.integers(1, 12)))
    ]

    def f(x: Any, y: Any = 1.0, z: Any = 1.0) -> Any:
        known = [x, y, z][:count]
        for two, which, i, j in plan:
            a, b = known[i % len(known)], known[j % len(known)]
            if two:
                known.append(BINARY[which % len(BINARY)](a, b))
            else:
                known.append(UNARY[which % len(UNARY)](a))
        return known[-1] + 0.0 * known[0] if len(known) % 5 == 0 else known[-1]

    return f, tuple(float(v) for v in rng.uniform(-2, 2, size=count))


ARRAYS: tuple[Callable[[Any, Any, Any], Any], ...] = (
    lambda w, x, b: w @ x + b,
    lambda w, x, b: x @ w + b,
    lambda w, x, b: np.outer(x, b) + w,
    lambda w, x, b: w * x + b[:, None],
    lambda w, x, b: w.T @ b,
    lambda w, x, b: np.sum(w, axis=0) * x,
    lambda w, x, b: np.mean(w, axis=1) - b,
    lambda w, x, b: np.max(w, axis=0) + x[0],
    lambda w, x, b: w @ w.T @ x,
    lambda w, x, b: stable.softmax(w @ x),
    lambda w, x, b: np.concatenate([x, b]) ** 2,
    lambda w, x, b: x[::-1] * b[1],
    lambda w, x, b: np.where(x > 0, x, b) / 2,
    lambda w, x, b: np.sort(x) * b,
    lambda w, x, b: np.cumsum(x) - b,
    lambda w, x, b: np.linalg.inv(w + 4 * np.eye(3)) @ x,
    lambda w, x, b: np.reshape(w, (9,)) * 0.5,
    lambda w, x, b: np.prod(w, axis=0),
)


def array_function(seed: int) -> tuple[Callable[..., Any], tuple[np.ndarray, ...]]:
    """A function of a 3×3 matrix and two vectors that returns one number."""
    rng = np.random.default_rng(seed)
    first, second = (int(i) for i in rng.integers(len(ARRAYS), size=2))
    bend = UNARY[int(rng.integers(len(UNARY)))]

    def f(w: Any, x: Any, b: Any) -> Any:
        h = bend(ARRAYS[first](w, x, b))
        return np.sum(h) * 0.5 + np.mean(ARRAYS[second](w, x, b) ** 2)

    values = rng.uniform(-1, 1, (3, 3)), rng.uniform(-1, 1, 3), rng.uniform(-1, 1, 3)
    dtype = np.float32 if seed % 7 == 0 else np.float64
    return f, tuple(value.astype(dtype) for value in values)


@cache
def explained(kind: Callable[[int], Any], seed: int) -> tuple[Any, tuple[Any, ...], Any]:
    """The function of this kind and seed, its arguments and its explanation, made once."""
    f, args = kind(seed)
    return f, args, cr.explain(f)(*args)
