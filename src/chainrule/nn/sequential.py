"""Layers one after another, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core import scope
from chainrule.core.tree import register
from chainrule.errors import UsageError
from chainrule.nn.activations import activation
from chainrule.nn.initializers import generator
from chainrule.nn.layers import BatchNorm
from chainrule.ops.random import fold_in

Tree = Any


@register
@dataclass(frozen=True, init=False)
class Sequential:
    """``Sequential(Dense(4, 8), "relu", Dropout(0.1), Dense(8, 3))``: each layer fed to the next.

    A layer is one of ``nn``, a network of its own, anything with their ``init`` and call, or an
    activation (a name, a value of ``nn.activation``, a function of an array). The last one's
    outputs (n, k) are what the loss takes. Parameters and state are ``{"layers": (...)}``, one
    tree a layer, empty for those without any.

    Raises:
        UsageError: no layers, or something that is none; when called, as the layers do.
    """

    layers: tuple[Any, ...]

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], (tuple, list)):
            layers = tuple(layers[0])
        if not layers:
            raise UsageError(
                "Sequential needs layers: Sequential(Dense(4, 8), 'relu', Dense(8, 3))"
            )
        made = tuple(x if _is_layer(x) else activation(x) for x in layers)
        object.__setattr__(self, "layers", made)

    @property
    def needs_key(self) -> bool:
        """Whether a training step draws random numbers, and so needs a key of its own."""
        return any(getattr(layer, "needs_key", False) for layer in self.layers)

    @property
    def batch_norm(self) -> bool:
        """Whether a layer normalises over the batch."""
        return any(isinstance(x, BatchNorm) or getattr(x, "batch_norm", False) for x in self.layers)

    @property
    def data_dependent(self) -> bool:
        """Whether a layer's start follows the rows that ``init`` is given."""
        return any(getattr(layer, "data_dependent", False) for layer in self.layers)

    def init(self, seed: int, dtype: Any = np.float64, *, rows: Any = None) -> tuple[Tree, Tree]:
        """Fresh ``(params, state)`` of ``dtype``; each layer's own seed derives from ``seed``.

        ``rows`` are inputs that data-dependent layers follow, each as it gets them from the
        layers before it.

        Raises:
            UsageError: a seed that is no whole number from 0 up.
        """
        pairs = []
        for i, layer in enumerate(self.layers):
            own = int(generator(seed, i).integers(2**62))
            pairs.append(fresh(layer, own, dtype, rows) if _is_layer(layer) else ({}, {}))
            if rows is not None:
                rows = layer(*pairs[-1], rows)[0] if _is_layer(layer) else layer(rows)
        params, state = zip(*pairs, strict=True)
        return {"layers": params}, {"layers": state}

    def init_state(self, dtype: Any = np.float64) -> Tree:
        """The state of a fresh network, its arrays of ``dtype``."""
        return {"layers": tuple(fresh_state(layer, dtype) for layer in self.layers)}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        """Outputs for inputs, one example a row, and the new state."""
        states = []
        for i, layer in enumerate(self.layers):
            with scope(str(i)):
                new = {}
                if _is_layer(layer):
                    own = None if key is None else fold_in(key, i)
                    before = params["layers"][i], state["layers"][i]
                    x, new = layer(*before, x, key=own, train=train)
                else:
                    with scope(layer.name):
                        x = layer(x)
            states.append(new)
        return x, {"layers": tuple(states)}


def fresh(layer: Any, seed: int, dtype: Any, rows: Any) -> tuple[Tree, Tree]:
    """Fresh ``(params, state)`` of a layer or network, by the rows where its start follows them."""
    if rows is not None and getattr(layer, "data_dependent", False):
        return layer.init(seed, dtype, rows=rows)
    return layer.init(seed, dtype)


def fresh_state(layer: Any, dtype: Any) -> Tree:
    """The state of a fresh layer, drawing no weights where the layer can do without."""
    if not _is_layer(layer):
        return {}
    make = getattr(layer, "init_state", None)
    return make(dtype) if make else layer.init(0, dtype)[1]


def _is_layer(x: Any) -> bool:
    return callable(getattr(x, "init", None)) and not isinstance(x, type)
