"""Initialisers: how weights start (L0.5, L1.7).

A weight matrix has shape (inputs, outputs); its fan-in is ``inputs``, its fan-out ``outputs``.
Zeros and constants leave all units of a layer equal for ever, which L1.7 shows; they are here
to be compared with, and for biases.

============================  =============================================================
``glorot_uniform, _normal``   variance gain^2 * 2 / (inputs + outputs)   Glorot, Bengio 2010
``he_uniform, _normal``       variance gain^2 * 2 / inputs               He et al. 2015
``lecun_uniform, _normal``    variance gain^2 / inputs                   LeCun et al. 1998
``orthogonal``                gain times a matrix with orthonormal rows or columns, whichever
                              are fewer                                  Saxe et al. 2014
``normal``                    mean 0, standard deviation ``std`` (0.01)
``constant``, ``zeros``       ``value``; 0
============================  =============================================================

The normal ones are not truncated. A uniform distribution on (-a, a) has variance a^2 / 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.settings import Named, number, whole
from chainrule.errors import ShapeError

Shape = tuple[int, ...]


def generator(seed: int, *place: int) -> np.random.Generator:
    """The random numbers of one place (a layer's index, say) under one seed.

    Each place has a stream of its own, so that another layer changes no earlier one.
    """
    seed = whole("seed", seed, 0)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *place])))


def _zeros(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.zeros(shape)


def _constant(rng: np.random.Generator, shape: Shape, value: float = 0.0) -> np.ndarray:
    return np.full(shape, value)


def _normal(rng: np.random.Generator, shape: Shape, std: float = 0.01) -> np.ndarray:
    return rng.normal(0.0, std, shape)


def _scaled(fan: str, scale: float, uniform: bool) -> Callable[..., np.ndarray]:
    def draw(rng: np.random.Generator, shape: Shape, gain: float = 1.0) -> np.ndarray:
        inputs, outputs = _fans(shape)
        size = inputs if fan == "in" else (inputs + outputs) / 2
        std = gain * math.sqrt(scale / max(size, 1))
        if uniform:
            limit = math.sqrt(3.0) * std
            return rng.uniform(-limit, limit, shape)
        return rng.normal(0.0, std, shape)

    return draw


def _orthogonal(rng: np.random.Generator, shape: Shape, gain: float = 1.0) -> np.ndarray:
    inputs, outputs = _fans(shape)
    tall = rng.normal(size=(max(inputs, outputs), min(inputs, outputs)))
    q, r = np.linalg.qr(tall)
    # Without the signs of r's diagonal the result is not uniform over orthogonal matrices.
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return gain * (q if inputs >= outputs else q.T)


def _fans(shape: Shape) -> tuple[int, int]:
    if len(shape) != 2:
        raise ShapeError(
            f"this initialiser is for weight matrices (inputs, outputs), not shape {shape}; "
            "use zeros, constant or normal"
        )
    return shape[0], shape[1]


INITIALIZERS: dict[str, Callable[..., np.ndarray]] = {
    "zeros": _zeros,
    "constant": _constant,
    "normal": _normal,
    "glorot_uniform": _scaled("average", 1.0, uniform=True),
    "glorot_normal": _scaled("average", 1.0, uniform=False),
    "he_uniform": _scaled("in", 2.0, uniform=True),
    "he_normal": _scaled("in", 2.0, uniform=False),
    "lecun_uniform": _scaled("in", 1.0, uniform=True),
    "lecun_normal": _scaled("in", 1.0, uniform=False),
    "orthogonal": _orthogonal,
}
"""Name -> how to draw in float64, from a generator, a shape and settings."""


@dataclass(frozen=True)
class Initializer:
    """An initialiser with its settings: ``initializer(rng, shape, dtype)`` draws an array.

    Attributes:
        name: one of ``INITIALIZERS``.
        settings: the constants it was made with, for example ``(("std", 0.1),)``.

    Raises:
        ShapeError: when called, a shape that is no matrix's, for those that depend on the fan.
    """

    name: str
    settings: tuple[tuple[str, float], ...] = ()

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: Any) -> np.ndarray:
        # Drawn in float64 and rounded, so that both dtypes start from the same network.
        return INITIALIZERS[self.name](rng, shape, **dict(self.settings)).astype(dtype)

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value:g}" for name, value in self.settings)
        return f"{self.name}({listed})" if listed else self.name


_NAMED = Named(
    "initialiser",
    INITIALIZERS,
    'nn.initializer("normal", std=0.1)',
    lambda given: isinstance(given, Initializer),
    skip=2,
)


def initializer(name: str | Initializer, **settings: float) -> Initializer:
    """The initialiser of this name, for example ``initializer("normal", std=0.1)``.

    Args:
        name: one of ``INITIALIZERS``; an initialiser stays as it is.
        settings: the constants of one given by name: ``std`` of normal, ``value`` of constant,
            ``gain`` of those that depend on the fan.

    Raises:
        UsageError: no such name, a setting that it does not have, or one that is not finite.
    """
    return _NAMED.value(name, settings, _made)


def _made(name: str, settings: Mapping[str, Any]) -> Initializer:
    return Initializer(name, tuple((k, number(k, v)) for k, v in settings.items()))
