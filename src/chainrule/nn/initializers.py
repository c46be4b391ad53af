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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import ShapeError, UsageError

Shape = tuple[int, ...]


def generator(seed: int, *place: int) -> np.random.Generator:
    """The random numbers of one place (a layer's index, say) under one seed.

    Each place has a stream of its own, so that another layer changes no earlier one.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise UsageError(f"a seed is an integer of at least 0, not {seed!r}")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(seed), *place])))


def _zeros(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.zeros(shape)


def _constant(rng: np.random.Generator, shape: Shape, value: float) -> np.ndarray:
    return np.full(shape, value)


def _normal(rng: np.random.Generator, shape: Shape, std: float) -> np.ndarray:
    return rng.normal(0.0, std, shape)


def _scaled(fan: str, scale: float, uniform: bool) -> Callable[..., np.ndarray]:
    def draw(rng: np.random.Generator, shape: Shape, gain: float) -> np.ndarray:
        inputs, outputs = _fans(shape)
        size = inputs if fan == "in" else (inputs + outputs) / 2
        std = gain * math.sqrt(scale / max(size, 1))
        if uniform:
            limit = math.sqrt(3.0) * std
            return rng.uniform(-limit, limit, shape)
        return rng.normal(0.0, std, shape)

    return draw


def _orthogonal(rng: np.random.Generator, shape: Shape, gain: float) -> np.ndarray:
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


# Name -> (how to draw in float64, the settings with their defaults).
INITIALIZERS: dict[str, tuple[Callable[..., np.ndarray], dict[str, float]]] = {
    "zeros": (_zeros, {}),
    "constant": (_constant, {"value": 0.0}),
    "normal": (_normal, {"std": 0.01}),
    "glorot_uniform": (_scaled("average", 1.0, uniform=True), {"gain": 1.0}),
    "glorot_normal": (_scaled("average", 1.0, uniform=False), {"gain": 1.0}),
    "he_uniform": (_scaled("in", 2.0, uniform=True), {"gain": 1.0}),
    "he_normal": (_scaled("in", 2.0, uniform=False), {"gain": 1.0}),
    "lecun_uniform": (_scaled("in", 1.0, uniform=True), {"gain": 1.0}),
    "lecun_normal": (_scaled("in", 1.0, uniform=False), {"gain": 1.0}),
    "orthogonal": (_orthogonal, {"gain": 1.0}),
}


@dataclass(frozen=True)
class Initializer:
    """An initialiser with its settings: ``initializer(rng, shape, dtype)`` draws an array."""

    name: str
    settings: tuple[tuple[str, float], ...] = ()

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: Any) -> np.ndarray:
        draw, defaults = INITIALIZERS[self.name]
        # Drawn in float64 and rounded, so that both dtypes start from the same network.
        return draw(rng, shape, **{**defaults, **dict(self.settings)}).astype(dtype)

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value:g}" for name, value in self.settings)
        return f"{self.name}({listed})" if listed else self.name


def initializer(name: str | Initializer, **settings: float) -> Initializer:
    """The initialiser of this name, for example ``initializer("normal", std=0.1)``.

    Raises:
        UsageError: no such name, or a setting that it does not have.
    """
    if isinstance(name, Initializer):
        return name
    if name not in INITIALIZERS:
        raise UsageError(f"unknown initialiser {name!r}; known are {', '.join(INITIALIZERS)}")
    allowed = INITIALIZERS[name][1]
    for setting in settings:
        if setting not in allowed:
            takes = " and ".join(allowed) or "no settings"
            raise UsageError(f"initialiser {name} has no setting {setting!r}; it takes {takes}")
    return Initializer(name, tuple((k, float(v)) for k, v in settings.items()))
