"""Random functions, written with NumPy, for comparing executors: a seed decides everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.core.graph import Graph, ancestors
from chainrule.core.node import Sample
from chainrule.core.record import lift_output
from chainrule.core.recording import Recording, fresh_recording
from chainrule.core.types import type_of
from chainrule.ops.special import logistic
from chainrule.ops.stable import log_softmax, logsumexp, softmax, softplus

LENGTHS = (0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5, 7, 8, 8, 17, 33, 40)
SPECIAL = (0.0, -0.0, -0.0, np.inf, -np.inf, np.nan)
FEWEST, MOST = 5, 60
"""Nodes of a random graph, inputs and constants among them."""
LARGEST = 64.0
"""Whole numbers up to this have sums and products that are exact in float32."""


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


def _sum(rng: np.random.Generator, x: Any) -> Any:
    """Along one axis, all, none, or those of length 1."""
    kind = rng.integers(4)
    if kind == 0:
        return x.sum(axis=tuple(a for a, n in enumerate(x.shape) if n == 1))
    return x.sum(axis=_axis(rng, x), keepdims=bool(kind == 1))


def _best(rng: np.random.Generator, x: Any, name: str) -> Any:
    axis = _axis(rng, x)
    return getattr(x, name)(axis=axis) if _nonempty(x, axis) else x


def _gradient(rng: np.random.Generator, x: Any, pool: list[Any]) -> Any:
    """What differentiation leaves behind: factors of 1, masks, parts written into zeros."""
    z = _partner(rng, pool, x)
    if z.dtype != x.dtype:
        return x
    functions = (
        lambda y: np.sum(y * z),
        lambda y: np.sum(np.square(y[[0, 0, -1]] if y.ndim and len(y) else y)),
        lambda y: np.sum(np.abs(y[1:]) * 2) - np.sum(np.abs(y[:1])) if y.ndim else y * y,
        lambda y: np.sum(y[0] * y[0]) if y.ndim and len(y) == 1 else np.sum(3 - np.abs(y)),
        lambda y: np.sum(-np.square(z - 2 * y)),
        lambda y: np.sum(np.where(y > 0, y, -y)),
        lambda y: np.sum(np.maximum(y[..., :1] if y.ndim else y, 0) * 2),
        lambda y: np.sum(np.abs(y.T + y.T)),
        lambda y: np.sum(np.where(y > 0, np.broadcast_to(y.max(initial=1), y.shape), 2.0)),
    )
    return cr.grad(functions[rng.integers(len(functions))])(x)


def _recast(rng: np.random.Generator, x: Any) -> Any:
    """To the other dtype, which makes a graph mixed, or there and back."""
    other = np.float64 if x.dtype == np.float32 else np.float32
    return x.astype(other) if rng.random() < 0.6 else x.astype(other).astype(x.dtype)


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
    lambda r, x, p: np.broadcast_to(x[..., None], (*x.shape, 3)) if x.ndim < 3 else x,
    lambda r, x, p: _recast(r, x),
)
REDUNDANT: tuple[Move, ...] = (
    lambda r, x, p: x * 1,
    lambda r, x, p: x * -1.0,
    lambda r, x, p: (x - 0.0) / 1,
    lambda r, x, p: np.where(np.True_, x + -0.0, 3.0),
    lambda r, x, p: -_partner(r, p, x) + x,
    lambda r, x, p: x - (-_partner(r, p, x)),
    lambda r, x, p: x + (-x) * np.sign(_partner(r, p, x)),
    lambda r, x, p: x - np.sign(x) * (-_partner(r, p, x)),
    lambda r, x, p: (-x) * 3,
    lambda r, x, p: (-x) / (-np.where(x > 0, 1.0, -1.0)),
    lambda r, x, p: np.trunc(x / r.choice([-4.0, 8.0, 3.0])),
    lambda r, x, p: np.abs(-x),
    lambda r, x, p: np.abs(np.abs(x)) - np.negative(-x),
    lambda r, x, p: np.square(-x) - np.square(np.abs(x)),
    lambda r, x, p: x**1 + x**0,
    lambda r, x, p: np.floor((x * x) ** 0.5),
    lambda r, x, p: np.clip(x**2, 0, 9),
    lambda r, x, p: np.where(~(x > 1), x, x),
    lambda r, x, p: np.where((x > 1).T, x.T, (-x).T),
    lambda r, x, p: (lambda a: np.where(np.isnan(a), 1.0, a)[..., None] + x[..., None])(x),
    lambda r, x, p: (lambda c: np.where(c, np.where(c, x, 0.0), -x))(x > _partner(r, p, x)),
    lambda r, x, p: np.where(~(x > 1), x, 1.0),
    lambda r, x, p: x.T.T if r.random() < 0.5 else np.transpose(x.T[None]),
    lambda r, x, p: x[None][0][None].reshape(x.shape),
    lambda r, x, p: x[..., ::-1][..., ::-1][1:] if x.ndim else x[None][:, None],
    lambda r, x, p: np.concatenate([x, x[:0], x])[: len(x)] if x.ndim else np.stack([x])[0],
    lambda r, x, p: np.broadcast_to(np.broadcast_to(x.sum(), (3,)), (2, 3))[0] + 1,
    lambda r, x, p: x + np.negative(np.broadcast_to(x.sum(), x.shape[::-1])).T,
    lambda r, x, p: np.sqrt(np.abs(x.reshape(-1)) * 0 + 4).reshape(x.shape) if x.size else x,
    lambda r, x, p: np.max(x[None], axis=0),
)
EXACT: tuple[Move, ...] = (
    lambda r, x, p: x + _partner(r, p, x),
    lambda r, x, p: x - _partner(r, p, x),
    lambda r, x, p: x * _partner(r, p, x),
    lambda r, x, p: np.maximum(x, _partner(r, p, x)),
    lambda r, x, p: np.minimum(x, _partner(r, p, x)),
    lambda r, x, p: np.where(x > _partner(r, p, x), x, -1.0),
    lambda r, x, p: np.where(np.isfinite(x), x, 1.0),
    lambda r, x, p: np.abs(x),
    lambda r, x, p: np.sign(x),
    lambda r, x, p: np.floor(x / 2),
    lambda r, x, p: np.remainder(x, 3.0),
    lambda r, x, p: np.floor_divide(x, 2.0),
    lambda r, x, p: np.square(x),
    lambda r, x, p: _sum(r, x),
    lambda r, x, p: x.sum(axis=-1, keepdims=True) if x.ndim else x,
    lambda r, x, p: _best(r, x, "max"),
    lambda r, x, p: _best(r, x, "min"),
    lambda r, x, p: (x == _partner(r, p, x)).astype(x.dtype),
    lambda r, x, p: np.cumsum(x, axis=0) if x.ndim else x,
    lambda r, x, p: (x.argmax(axis=0) if x.ndim and x.shape[0] else x).astype(x.dtype),
    lambda r, x, p: _matmul(r, np.clip(x, -4, 4), p),
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
    lambda r, x, p: cr.grad(lambda y: np.sum(np.tanh(y) / (1 + y * y)))(x),
)


def _arguments(rng: np.random.Generator, smooth: bool) -> list[np.ndarray]:
    arguments = []
    dtypes = (np.float32, np.float64)
    chosen = dtypes[rng.integers(2)]
    for _ in range(int(rng.integers(1, 4))):
        shape = tuple(int(n) for n in rng.choice(LENGTHS, int(rng.integers(0, 4))))
        if smooth:
            value = rng.normal(size=shape)
        else:
            value = rng.integers(-4, 5, shape).astype(float)
            holes = rng.random(shape) < 0.1
            value = np.where(holes, rng.choice(SPECIAL, shape), value)
        dtype = dtypes[rng.integers(2)] if rng.random() < 0.3 else chosen
        arguments.append(np.asarray(value, dtype))
    return arguments


def _moves(rng: np.random.Generator, smooth: bool) -> tuple[Move, ...]:
    """The kind of the next move: half of all compute, the rest rearranges or is superfluous."""
    kind = rng.random()
    if kind < 0.2:
        return MOVES
    if kind < 0.3 and not smooth:
        return (_gradient,)
    if kind < 0.55 and not smooth:
        return REDUNDANT
    return SMOOTH if smooth else EXACT


def _next(rng: np.random.Generator, pool: list[Any]) -> Any:
    """What to go on with: mostly the newest, unless nothing much is left of it."""
    large = [x for x in pool if x.size > 1]
    if large and (pool[-1].size <= 1 or not rng.integers(3)) and rng.random() < 0.9:
        return large[rng.integers(len(large))]
    return pool[-1] if rng.integers(4) else pool[rng.integers(len(pool))]


def _is_large(x: Any) -> bool:
    value = np.abs(np.asarray(x.recording.value(x.node)))
    return bool(np.any(value[np.isfinite(value)] > LARGEST))


def random_case(seed: int, smooth: bool) -> tuple[Graph, list[np.ndarray]]:
    """A graph of 5 to 60 nodes and its arguments.

    ``smooth`` graphs are compared within a tolerance; the others compute with small whole
    numbers, infinities and NaN, and every bit must agree. What grows is clipped, by the numbers
    seen while recording.
    """
    rng = np.random.default_rng(seed)
    arguments = _arguments(rng, smooth)
    wanted = int(rng.integers(FEWEST, MOST + 1))
    with np.errstate(all="ignore"), fresh_recording(eager=True) as recording:
        inputs = [recording.input(type_of(x), x, f"x{i}") for i, x in enumerate(arguments)]
        pool: list[Any] = list(inputs)
        outputs: list[Any] = [inputs[0]]
        size = len(inputs)
        for _ in range(400):
            if size >= wanted:
                break
            x, moves = _next(rng, pool), _moves(rng, smooth)
            made = lift_output(moves[rng.integers(len(moves))](rng, x, pool), recording)
            if made.node is x.node or made.size > 4000 or made.ndim > 4:
                continue
            if not smooth and _is_large(made):
                made = np.clip(made, -LARGEST, LARGEST)
            kept = [*outputs, made] if rng.random() < 0.3 else [*outputs[:-1], made]
            kept = kept if len(pool) > len(inputs) else [inputs[0], made]
            nodes = ancestors([y.node for y in kept], [x.node for x in inputs])
            if len(nodes) <= MOST:
                pool.append(made)
                outputs, size = kept, len(nodes)
        return recording.graph(inputs, outputs, "f"), arguments


STEPS: tuple[Move, ...] = (
    lambda r, x, p: x + p[r.integers(len(p))],
    lambda r, x, p: x - p[r.integers(len(p))],
    lambda r, x, p: np.maximum(x, p[r.integers(len(p))]),
    lambda r, x, p: np.where(x > 0, x, p[r.integers(len(p))]),
    lambda r, x, p: x[::-1],
    lambda r, x, p: np.roll(x, 1),
    lambda r, x, p: x * 0 + x.sum(),
    lambda r, x, p: np.cumsum(x),
    lambda r, x, p: np.concatenate([x[2:], x[:2]]),
    lambda r, x, p: x[r.integers(0, len(x), len(x))],
    lambda r, x, p: np.sum(x[:, None] * p[r.integers(len(p))], axis=0),
)


def random_step(seed: int) -> tuple[Any, tuple[np.ndarray, ...]]:
    """One step of a loop, ``f(carry, x, constants) -> (ys, carry)``, and its carry: vectors of
    one length, which the step mixes, turns round, swaps, or leaves as they are."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 50))
    dtype = np.float32 if rng.random() < 0.5 else np.float64
    carry = tuple(rng.integers(-4, 5, n).astype(dtype) for _ in range(int(rng.integers(2, 6))))
    own = int(rng.integers(2**31))
    count = int(rng.integers(3, 15))

    def step(carry: Any, x: Any, constants: Any) -> Any:
        rng = np.random.default_rng(own)
        pool = [*carry, x]
        for _ in range(count):
            value = pool[rng.integers(len(pool))]
            made = STEPS[rng.integers(len(STEPS))](rng, value, pool)
            pool.append(np.clip(made, -LARGEST, LARGEST))
        chosen = [pool[rng.integers(len(pool))] for _ in carry]
        return pool[-1].sum(), tuple(chosen)

    return step, carry


def graph_of(primitive: Any, sample: Sample) -> Graph:
    """One primitive applied to a sample, as a graph."""
    recording = Recording(eager=False)
    inputs = [recording.input(type_of(x), name=f"x{i}") for i, x in enumerate(sample.inputs)]
    y = recording.emit(primitive, inputs, dict(sample.attrs))
    return recording.graph(inputs, [y], "f")
