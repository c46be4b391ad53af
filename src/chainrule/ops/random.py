"""Random numbers inside recorded functions: counter-based, so the key decides every bit.

Public as ``cr.random``. NumPy's own generators draw once, while a function is recorded, and ``jit``
repeats that draw for ever; a key is an argument, so each call draws anew:

>>> noisy = lambda key, x: x + uniform(key, x.shape)
>>> for step in range(2):
...     print(noisy(key_of(7, step), np.zeros(2)))
[0.46881749 0.42614584]
[0.85253802 0.40358794]

A key is an array of two uint64. The numbers are those of NumPy's Philox4x64-10 with that key
and counter 0, which any executor can reproduce (Salmon et al., SC 2011).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.batching import leading
from chainrule.core.node import Primitive
from chainrule.core.told import told
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, Shape, array_type
from chainrule.errors import DtypeError, ShapeError
from chainrule.ops.coerce import lift
from chainrule.ops.samples import case

KEY_TYPE = ArrayType((2,), np.dtype(np.uint64))


def _check_key(key: Any) -> None:
    if key.shape != KEY_TYPE.shape:
        raise ShapeError(
            f"a key is an array of two uint64, not of shape {key.shape}; cr.vmap takes many keys"
        )
    _check_dtype(key)


def _check_dtype(key: Any) -> None:
    if key.dtype != KEY_TYPE.dtype:
        raise DtypeError(f"a key is an array of two uint64, not {key.dtype}")


def _infer(key: ArrayType, *, shape: Shape, dtype: str) -> ArrayType:
    """Keys in the last axis: numbers of the shape for each of them."""
    _check_dtype(key)
    if key.shape[-1:] != KEY_TYPE.shape:
        raise ShapeError(f"keys are two uint64 each, in the last axis, not of shape {key.shape}")
    if dtype not in ("float32", "float64"):
        raise DtypeError(f"random numbers are float32 or float64, not {dtype}")
    return array_type((*key.shape[:-1], *shape), np.dtype(dtype))


def _forward(key: Any, *, shape: Shape, dtype: str) -> Any:
    if key.ndim > 1:
        rows = [_forward(one, shape=shape, dtype=dtype) for one in key.reshape(-1, 2)]
        return np.array(rows, dtype).reshape(*key.shape[:-1], *shape)
    generator = np.random.Generator(np.random.Philox(key=key))
    return np.asarray(generator.random(shape, dtype=np.dtype(dtype).type))  # type: ignore[arg-type]


random_uniform = Primitive(
    "random_uniform",
    forward=_forward,
    infer=_infer,
    text="uniform({})",
    teaches="A random number depends on its key alone: no gradient.",
    samples=lambda: [case(np.array([1, 2], np.uint64), shape=(2, 3), dtype="float64"),
                     case(np.array([1, 2], np.uint64), shape=(5,), dtype="float32"),
                     case(np.array([[1, 2], [3, 4]], np.uint64), shape=(9,), dtype="float64")],
    batch=leading,
)  # fmt: skip


@told("random.uniform")
def uniform(key: Any, shape: Shape, dtype: Any = np.float64) -> Any:
    """Numbers in [0, 1).

    Args:
        key: decides them, uint64 of shape (2,).
        shape: of the result. dtype: float64 or float32.

    Raises:
        ShapeError, DtypeError: ``key`` is no key, or the dtype another.
    """
    _check_key(key)
    name, shape = np.dtype(dtype).name, tuple(shape)
    if isinstance(key, Traced):
        return random_uniform(key, shape=shape, dtype=name)
    return _forward(np.asarray(key), shape=shape, dtype=name)


@told("random.normal")
def normal(key: Any, shape: Shape = (), dtype: Any = np.float64) -> Any:
    """Numbers of the standard normal distribution, by its inverse distribution function.

    Args:
        key, shape, dtype: as ``uniform`` takes them.

    Raises:
        ShapeError, DtypeError: as of ``uniform``.
    """
    import scipy.special  # loaded where first used: it takes longer than all else here

    u = uniform(key, shape, dtype)
    least = u.dtype.type(np.finfo(u.dtype).eps / 4)  # in the place of 0, whose number is infinite
    return scipy.special.ndtri(np.maximum(u, least))


@told("random.bernoulli")
def bernoulli(key: Any, p: Any = 0.5, shape: Shape | None = None) -> Any:
    """Bools, each true with probability ``p``.

    Args:
        key: as ``uniform`` takes it.
        p: probabilities, a number or an array. shape: of the result, that of ``p`` by default.

    Raises:
        ShapeError, DtypeError: as of ``uniform``, or ``p`` does not broadcast to the shape.
    """
    return uniform(key, np.shape(p) if shape is None else shape) < p


@told("random.permutation")
def permutation(key: Any, n: Any) -> Any:
    """The integers below ``n``, or the rows of an array, in random order.

    Args:
        key: as ``uniform`` takes it.
        n: an integer, or an array.

    Raises:
        ShapeError, DtypeError: as of ``uniform``, or ``n`` is an array without axes.
    """
    count = len(n) if np.ndim(n) else operator.index(n)
    order: Any = np.argsort(uniform(key, (count,)), kind="stable")
    if not np.ndim(n):
        return order
    return (lift(n, order.recording) if isinstance(order, Traced) else n)[order]


@told("random.split")
def split(key: Any, count: int = 2) -> Any:
    """``count`` keys of their own, uint64 of shape (count, 2): ``fold_in`` of 0, 1, ...

    Args:
        key: as ``uniform`` takes it.
        count: how many.

    Raises:
        ShapeError, DtypeError: as of ``fold_in``.
    """
    return np.stack([fold_in(key, n) for n in range(operator.index(count))])


@told("random.key_of")
def key_of(*numbers: int) -> np.ndarray:
    """The key of ``numbers``, integers >= 0, such as (seed, epoch, step): uint64, shape (2,)."""
    return np.random.SeedSequence([int(n) for n in numbers]).generate_state(2, np.uint64)


def keys_of(*numbers: Any) -> np.ndarray:
    """``key_of`` of each row of columns (n,) of integers, a single one standing for all: (n, 2).

    NumPy's ``SeedSequence`` (O'Neill's ``seed_seq_fe128``) for all rows at once.
    """
    columns = np.broadcast_arrays(*[np.atleast_1d(x) for x in numbers])
    few = len(columns[0]) < 8  # one by one takes less then
    if few or any((x < 0).any() or (x >= 2**32).any() for x in columns):  # of more words than one
        return np.array([key_of(*row) for row in zip(*columns, strict=True)], np.uint64)
    words = [x.astype(np.uint32) for x in columns]
    words += [np.zeros_like(words[0])] * (4 - len(words))
    hashed = _hashing(0x43B0D7E5, 0x931E8875)

    def mixed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _folded(np.uint32(0xCA01F9DD) * x - np.uint32(0x4973F715) * hashed(y))

    pool = [hashed(x) for x in words[:4]]
    for i in range(4):
        for j in range(4):
            if i != j:
                pool[j] = mixed(pool[j], pool[i])
    for x in words[4:]:
        pool = [mixed(y, x) for y in pool]
    hashed = _hashing(0x8B51F9DD, 0x58F38DED)
    a, b, c, d = [hashed(x).astype(np.uint64) for x in pool]
    return np.stack([a | b << np.uint64(32), c | d << np.uint64(32)], 1)


def _hashing(constant: int, factor: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function of uint32 arrays that is another one with each call."""

    def hashed(x: np.ndarray) -> np.ndarray:
        nonlocal constant
        x = x ^ np.uint32(constant)
        constant = constant * factor % 2**32
        return _folded(x * np.uint32(constant))

    return hashed


def _folded(x: np.ndarray) -> np.ndarray:
    return x ^ (x >> np.uint32(16))


_STEP = np.array([0x9E3779B97F4A7C15, 0xD1B54A32D192ED03], np.uint64)
_SPREAD = np.array([0xD6E8FEB86659FD93, 0xA0761D6478BD642F], np.uint64)


@told("random.fold_in")
def fold_in(key: Any, n: Any) -> Any:
    """A key of its own for the n-th use of ``key``: its streams don't overlap.

    Args:
        key: uint64 of shape (2,).
        n: an integer >= 0, also a traced one: a turn of a loop, a row of ``cr.vmap``.

    Raises:
        DtypeError, ShapeError: ``key`` is no key, or ``n`` no single integer.
    """
    _check_key(key)
    if isinstance(n, Traced):
        if n.dtype.kind not in "iu" or n.shape:
            raise DtypeError(f"fold_in takes a single integer n, not {n.type}")
        step = (n.astype(np.uint64) + np.uint64(1)) * _STEP
    else:
        step = np.array([(int(n) + 1) * int(m) % 2**64 for m in _STEP], np.uint64)
    return key * _SPREAD + step  # not a plain sum: folding in 0 twice is not folding in 1


__all__ = ["bernoulli", "fold_in", "key_of", "normal", "permutation", "split", "uniform"]


def __dir__() -> list[str]:
    return sorted(__all__)
