"""Random functions, written with NumPy, for comparing executors: a seed decides everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.record import record
from chainrule.ops.special import log_softmax, logistic, logsumexp, softmax, softplus

LENGTHS = (0, 1, 1, 2, 3, 5, 8, 17, 40)
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan)


def _axis(rng: np.random.Generator, x: Any) -> Any:
    return None if not x.ndim or rng.random() < 0.2 else int(rng.integers(x.ndim))


def _partner(rng: np.random.Generator, pool: list[Any], x: Any) -> Any:
    """Another value that broadcasts with x and is not much larger."""
    for _ in range(8):
        y = pool[rng.integers(len(pool))]
        try:
            shape = np.broadcast_shapes(x.shape, y.shape)
        except ValueError:
            continue
        if np.prod(shape) <= 4000:
            return y
    return x


def _nonempty(x: Any, axis: Any) -> bool:
    return bool(x.size) if axis is None else x.shape[axis] > 0


def _slice(rng: np.random.Generator, x: Any) -> Any:
    parts: list[Any] = []
    for n in x.shape:
        kind = rng.integers(4)
        if kind == 0 and n:
            parts.append(int(rng.integers(-n, n)))
        elif kind == 1:
            parts.append(slice(None, None, int(rng.choice([-2, -1, 2]))))
        elif kind == 2:
            parts.append(slice(int(rng.integers(0, n + 1)), None))
        else:
            parts.append(slice(None))
    return x[tuple(parts)]


def _reshape(rng: np.random.Generator, x: Any) -> Any:
    kind = rng.integers(4)
    if kind == 0:
        return x.reshape(-1) if x.size else x.reshape(x.shape)
    if kind == 1:
        return x[..., None] if x.ndim < 4 else x
    if kind == 2 and x.ndim > 1 and x.size:
        return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
    for n in (2, 3, 5):
        if x.ndim and x.shape[0] % n == 0 and x.size:
            return x.reshape(n, x.shape[0] // n, *x.shape[1:])
    return x


def _take(rng: np.random.Generator, x: Any) -> Any:
    if not x.ndim or not x.shape[0]:
        return x
    n = x.shape[0]
    return x[rng.integers(-n, n, int(rng.integers(0, 6)))]


def _matmul(rng: np.random.Generator, x: Any, pool: list[Any]) -> Any:
    if not x.ndim:
        return x
    for y in (pool[i] for i in rng.permutation(len(pool))):
        if y.ndim == 2 and y.shape[0] == x.shape[-1]:
            return x @ y
        if y.ndim == x.ndim == 2 and y.shape[1] == x.shape[-1]:
            return x @ y.T
    return x @ np.swapaxes(x, -1, -2) if x.ndim > 1 else x @ x


def _concatenate(rng: np.random.Generator, x: Any, pool: list[Any]) -> Any:
    if not x.ndim:
        return np.stack([x, x * 2])
    axis = int(rng.integers(x.ndim))
    return np.concatenate([x, x[::-1], x], axis=axis)


def _written(rng: np.random.Generator, x: Any) -> Any:
    """Something whose derivative writes parts: the gradient of a slice, by hand."""
    if not x.ndim or x.shape[0] < 2:
        return x
    return np.concatenate([x[1:], x[:1]]) + np.roll(x, 1, axis=0)


Move = Callable[[np.random.Generator, Any, list[Any]], Any]

MOVES: tuple[Move, ...] = (
    lambda r, x, p: x.T,
    lambda r, x, p: np.swapaxes(x, 0, -1) if x.ndim else x,
    lambda r, x, p: _slice(r, x),
    lambda r, x, p: _reshape(r, x),
    lambda r, x, p: _take(r, x),
    lambda r, x, p: _concatenate(r, x, p),
    lambda r, x, p: _written(r, x),
    lambda r, x, p: np.broadcast_to(x, (2, *x.shape)) if x.ndim < 3 else x,
)
EXACT: tuple[Move, ...] = (
    lambda r, x, p: x + _partner(r, p, x),
    lambda r, x, p: x - _partner(r, p, x),
    lambda r, x, p: np.clip(x * _partner(r, p, x), -8, 8),
    lambda r, x, p: np.maximum(x, _partner(r, p, x)),
    lambda r, x, p: np.minimum(x, _partner(r, p, x)),
    lambda r, x, p: np.where(x > _partner(r, p, x), x, -1.0),
    lambda r, x, p: np.where(np.isfinite(x), x, 1.0),
    lambda r, x, p: np.abs(x),
    lambda r, x, p: np.sign(x),
    lambda r, x, p: np.floor(x / 2),
    lambda r, x, p: np.remainder(x, 3.0),
    lambda r, x, p: np.floor_divide(x, 2.0),
    lambda r, x, p: np.square(np.clip(x, -4, 4)),
    lambda r, x, p: np.clip(x.sum(axis=_axis(r, x)), -64, 64),
    lambda r, x, p: np.clip(x.sum(axis=-1, keepdims=True) if x.ndim else x, -64, 64),
    lambda r, x, p: (lambda a: x.max(axis=a) if _nonempty(x, a) else x)(_axis(r, x)),
    lambda r, x, p: (lambda a: x.min(axis=a) if _nonempty(x, a) else x)(_axis(r, x)),
    lambda r, x, p: (x == _partner(r, p, x)).astype(x.dtype),
    lambda r, x, p: np.clip(np.cumsum(x, axis=0) if x.ndim else x, -64, 64),
    lambda r, x, p: (x.argmax(axis=0) if x.ndim and x.shape[0] else x).astype(x.dtype),
    lambda r, x, p: np.clip(_matmul(r, np.clip(x, -4, 4), p), -64, 64),
    lambda r, x, p: np.trunc(x),
)
SMOOTH: tuple[Move, ...] = (
    lambda r, x, p: np.tanh(x),
    lambda r, x, p: np.sin(x) + np.cos(_partner(r, p, x)),
    lambda r, x, p: logistic(x),
    lambda r, x, p: softplus(x),
    lambda r, x, p: np.exp(-x * x),
    lambda r, x, p: np.log1p(np.abs(x)),
    lambda r, x, p: x / (1 + x * x),
    lambda r, x, p: x + _partner(r, p, x),
    lambda r, x, p: np.tanh(x) * np.tanh(_partner(r, p, x)),
    lambda r, x, p: x.mean(axis=_axis(r, x)) if x.size else x,
    lambda r, x, p: softmax(x) if x.ndim and x.shape[-1] else x,
    lambda r, x, p: log_softmax(x) if x.ndim and x.shape[-1] else x,
    lambda r, x, p: logsumexp(x, axis=-1) if x.ndim and x.shape[-1] else x,
    lambda r, x, p: np.tanh(_matmul(r, np.tanh(x), p)),
    lambda r, x, p: np.sqrt(1 + x * x),
    lambda r, x, p: np.tanh(np.cumprod(np.tanh(x) + 0.5, axis=0)) if x.ndim else x,
)


def random_case(seed: int, smooth: bool) -> tuple[Any, list[np.ndarray]]:
    """A graph of 5 to 60 operations and its arguments.

    ``smooth`` graphs are compared within a tolerance; the others compute with small whole
    numbers, infinities and NaN, and every bit must agree.
    """
    rng = np.random.default_rng(seed)
    dtype = np.float32 if rng.random() < 0.5 else np.float64
    arguments = []
    for _ in range(int(rng.integers(1, 4))):
        shape = tuple(rng.choice(LENGTHS, int(rng.integers(0, 4))))
        if smooth:
            value = rng.normal(size=shape)
        else:
            value = rng.integers(-4, 5, shape).astype(float)
            holes = rng.random(shape) < 0.05
            value = np.where(holes, rng.choice(SPECIAL, shape), value)
        arguments.append(np.asarray(value, dtype))
    moves = MOVES + (SMOOTH * 2 if smooth else EXACT * 2)
    plan = [(int(rng.integers(len(moves))), int(rng.integers(1000)), int(rng.integers(2**31)))
            for _ in range(int(rng.integers(5, 61)))]  # fmt: skip

    def function(*inputs: Any) -> Any:
        pool = list(inputs)
        for move, chosen, own in plan:
            x = pool[-1] if chosen % 3 else pool[chosen % len(pool)]
            made = moves[move](np.random.default_rng(own), x, pool)
            if made.size <= 4000 and made.ndim <= 4:
                pool.append(made)
        keep = pool[len(inputs) :]
        return [keep[i] for i in range(0, len(keep), 7)] + [pool[-1], inputs[0]]

    return record(function, *arguments).graph, arguments
