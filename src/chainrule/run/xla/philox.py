"""NumPy's Philox4x64-10 in XLA: the same bits for the same key (Salmon et al., SC 2011)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from chainrule.core.types import Shape
from chainrule.run.xla.backend import jax, jnp

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def random_uniform(key: Any, *, shape: Shape, dtype: str) -> Any:
    """Numbers in [0, 1) of a key (2,), or of each of many keys (..., 2)."""
    if key.ndim > 1:
        rows = jax.vmap(lambda one: random_uniform(one, shape=shape, dtype=dtype))(
            key.reshape(-1, 2)
        )
        return rows.reshape(*key.shape[:-1], *shape)
    count = prod(shape)
    words = _words(key, count if dtype == "float64" else -(-count // 2))
    if dtype == "float64":
        numbers = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    else:
        halves = jnp.stack([words & _LOW, words >> _HALF], axis=1).reshape(-1)[:count]
        numbers = (halves >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    return numbers.reshape(shape)


def _words(key: Any, count: int) -> Any:
    """The first so many words (count,) of the stream; NumPy's counter begins at 1."""
    blocks = -(-count // 4)
    zero = jnp.zeros(blocks, np.uint64)
    state = [jnp.arange(1, blocks + 1, dtype=np.uint64), zero, zero, zero]
    k = [key[0], key[1]]
    for turn in range(_ROUNDS):
        if turn:
            k = [k[i] + np.uint64(_WEYL[i]) for i in range(2)]
        (high0, low0), (high1, low1) = (_product(state[2 * i], _MULTIPLIERS[i]) for i in range(2))
        state = [high1 ^ state[1] ^ k[0], low1, high0 ^ state[3] ^ k[1], low0]
    return jnp.stack(state, axis=1).reshape(-1)[:count]


def _product(x: Any, by: int) -> tuple[Any, Any]:
    """The upper and the lower word of a product, from products of half words."""
    a, b = x >> _HALF, x & _LOW
    c, d = np.uint64(by >> 32), np.uint64(by & 0xFFFFFFFF)
    ad, bc, bd = a * d, b * c, b * d
    middle = (bd >> _HALF) + (ad & _LOW) + (bc & _LOW)
    return a * c + (ad >> _HALF) + (bc >> _HALF) + (middle >> _HALF), x * np.uint64(by)
