"""Layers for rows of a table: columns by kind, numbers as periodic features, learned scales.

The parts of RealMLP (Holzmueller, Grinsztajn, Steinwart 2024, arXiv 2407.04491) that are of use
to any network; ``tabular`` puts them together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core import scope
from chainrule.core.containers import register
from chainrule.core.settings import number, whole
from chainrule.errors import UsageError
from chainrule.nn.activations import Activation, activation
from chainrule.nn.initializers import generator
from chainrule.ops.random import fold_in

Tree = Any


@register
@dataclass(frozen=True)
class Scale:
    """Each of ``size`` inputs times a factor that is learned and starts at 1.

    In front of a network with a large learning rate it selects among the columns.
    """

    size: int

    def __post_init__(self) -> None:
        whole("size", self.size)

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """``{"scale": ones}``, (size,) of ``dtype``, and no state, whatever the ``seed``."""
        return {"scale": np.ones(self.size, dtype)}, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        with scope("scale"):
            return x * params["scale"], state


@register
@dataclass(frozen=True)
class Parametric:
    """``x + alpha (f(x) - x)``: an activation f that each unit mixes with the identity.

    Attributes:
        size: how many units; each has an alpha of its own, which is learned and starts at 1.
        activation: f, as ``nn.activation`` takes it.
    """

    size: int
    activation: str | Activation

    def __post_init__(self) -> None:
        whole("size", self.size)
        activation(self.activation)

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """``{"alpha": ones}``, (size,) of ``dtype``, and no state, whatever the ``seed``."""
        return {"alpha": np.ones(self.size, dtype)}, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        f = activation(self.activation)
        with scope(f.name):
            return x + params["alpha"] * (f(x) - x), state


@register
@dataclass(frozen=True)
class Periodic:
    """Each number as ``outputs`` features, learned from cosines of it, and itself ("PBLD").

    Of a column x: ``cos(2 pi (x frequencies) + phases)``, then a linear layer to ``outputs``
    features, and x. Columns share no parameters. A row of the result has the features of all
    columns, column by column, and then the columns: ``columns * (outputs + 1)`` numbers.
    (Gorishniy et al. 2022; with phases and x itself, Holzmueller et al. 2024.)

    Attributes:
        columns: how many numbers a row has.
        frequencies, outputs: how many of each a column gets.
        sigma: standard deviation of the frequencies at the start.
    """

    columns: int
    frequencies: int = 16
    outputs: int = 3
    sigma: float = 0.1

    def __post_init__(self) -> None:
        for name in ("columns", "frequencies", "outputs"):
            whole(name, getattr(self, name))
        number("sigma", self.sigma, above=0)

    @property
    def width(self) -> int:
        """How many numbers a row of the result has."""
        return self.columns * (self.outputs + 1)

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """Frequencies normal with deviation ``sigma``; phases uniform over the circle; the linear
        layers uniform within 1 / sqrt(frequencies). No state.

        Args:
            seed: the same one draws the same numbers.
            dtype: of the arrays.
        """
        rng, limit = generator(seed, 0), 1.0 / math.sqrt(self.frequencies)
        shape = (self.columns, self.frequencies)
        params = {
            "frequencies": rng.normal(0.0, self.sigma, shape),
            "phases": rng.uniform(-math.pi, math.pi, shape),
            "linear": rng.uniform(-limit, limit, (*shape, self.outputs)),
            "offset": rng.uniform(-limit, limit, (self.columns, self.outputs)),
        }
        return {name: array.astype(dtype) for name, array in params.items()}, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        with scope("periodic"):
            angle = np.expand_dims(x, -1) * params["frequencies"] * (2.0 * math.pi)
            waves = np.cos(angle + params["phases"])
            features = np.einsum("ncf,cfo->nco", waves, params["linear"]) + params["offset"]
            flat = np.reshape(features, (np.shape(x)[0], self.columns * self.outputs))
            return np.concatenate((flat, x), axis=1), state


@register
@dataclass(frozen=True, init=False)
class Columns:
    """``Columns((4, Periodic(4)), (3, None), (40, Dense(40, 8)))``: parts of a row by themselves.

    Each part is a number of columns, from left to right, and a layer that they go through, or
    None for as they are; the results stand side by side in this order. Parameters and state are
    ``{"parts": (...)}``.

    Raises:
        UsageError: no parts.
    """

    parts: tuple[tuple[int, Any], ...]

    def __init__(self, *parts: tuple[int, Any]) -> None:
        if not parts:
            raise UsageError("Columns needs parts: Columns((4, nn.Periodic(4)), (3, None))")
        for part in parts:
            if not (isinstance(part, (tuple, list)) and len(part) == 2):
                raise UsageError(
                    "Columns: each part is a pair of a number of columns and a layer or None, "
                    f"not {type(part).__name__}: Columns((4, nn.Periodic(4)), (3, None))"
                )
        checked = tuple((whole("columns", count), layer) for count, layer in parts)
        object.__setattr__(self, "parts", checked)

    @property
    def needs_key(self) -> bool:
        """Whether a training step draws random numbers."""
        return any(getattr(layer, "needs_key", False) for _, layer in self.parts)

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """Each layer's, of ``dtype``, its own seed derived from ``seed``."""
        pairs = []
        for i, (_, layer) in enumerate(self.parts):
            own = int(generator(seed, i).integers(2**62))
            pairs.append(({}, {}) if layer is None else layer.init(own, dtype))
        params, state = zip(*pairs, strict=True)
        return {"parts": params}, {"parts": state}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        found, states, start = [], [], 0
        for i, (count, layer) in enumerate(self.parts):
            y, new = x[:, start : start + count], {}
            start += count
            if layer is not None:
                own = None if key is None else fold_in(key, i)
                with scope(f"columns/{i}"):
                    y, new = layer(params["parts"][i], state["parts"][i], y, key=own, train=train)
            found.append(y)
            states.append(new)
        joined = found[0] if len(found) == 1 else np.concatenate(found, axis=1)
        return joined, {"parts": tuple(states)}
