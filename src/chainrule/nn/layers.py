"""Layers: frozen values with ``init`` and a call; their parameters live outside, in trees.

``init(seed, dtype) -> (params, state)``; ``layer(params, state, x, key=None, train=False) ->
(y, state)``. ``state`` is what training updates without a gradient: the running figures of
batch normalisation. Arrays have one example per row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core import scope
from chainrule.core.tree import register
from chainrule.errors import ShapeError, UsageError
from chainrule.nn.initializers import Initializer, generator, initializer
from chainrule.ops.random import uniform

Tree = Any


@register
@dataclass(frozen=True)
class Dense:
    """``x @ weights + bias``; weights have shape (inputs, outputs), the slides' convention (L0.3).

    The bias starts at ``bias_init``, zeros unless said otherwise.
    """

    inputs: int
    outputs: int
    bias: bool = True
    initializer: str | Initializer = "glorot_uniform"
    bias_initializer: str | Initializer = "zeros"
    name: str = "linear"

    def __post_init__(self) -> None:
        for size in (self.inputs, self.outputs):
            if not isinstance(size, (int, np.integer)) or size < 1:
                raise UsageError(f"a layer's sizes are integers of at least 1, not {size!r}")
        initializer(self.initializer)
        initializer(self.bias_initializer)

    def init(self, seed: int, dtype: Any = np.float64, *, place: int = 0) -> tuple[Tree, Tree]:
        """Fresh parameters ``{"weights": (inputs, outputs), "bias": (outputs,)}``."""
        rng = generator(seed, place)
        draw = initializer(self.initializer)
        params = {"weights": draw(rng, (self.inputs, self.outputs), dtype)}
        if self.bias:
            params["bias"] = initializer(self.bias_initializer)(rng, (self.outputs,), dtype)
        return params, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        weights = params["weights"]
        if np.shape(x)[-1:] != np.shape(weights)[:1]:
            raise ShapeError(
                f"{self.name}: inputs of shape {np.shape(x)} do not fit weights of shape "
                f"{np.shape(weights)}, which is (inputs, outputs): the rows of x need "
                f"{np.shape(weights)[0]} numbers"
            )
        with scope(self.name):
            y = x @ weights
            return (y + params["bias"] if self.bias else y), state


@register
@dataclass(frozen=True)
class Dropout:
    """Inverted dropout: a share ``rate`` of the units is 0 for one step, the rest scaled up.

    Acts only with ``train=True``, and then needs a key: the same key gives the same mask
    (Srivastava et al. 2014; the scaling by 1 / (1 - rate) leaves prediction without any).
    """

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise UsageError(f"a dropout rate lies in [0, 1), not {self.rate}")

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        return {}, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        if not train or self.rate == 0:
            return x, state
        if key is None:
            raise UsageError(
                "dropout with train=True needs a key, for example key=cr.random.key_of(seed, step)"
            )
        with scope("dropout"):
            kept = uniform(key, np.shape(x), x.dtype) >= self.rate
            return np.where(kept, x * (1.0 / (1.0 - self.rate)), 0.0), state


@register
@dataclass(frozen=True)
class BatchNorm:
    """Each unit to mean 0 and variance 1 over the batch, then scale and shift.

    Training uses the batch's mean and **biased** variance (divided by n); the running variance
    that prediction uses collects the **unbiased** one (divided by n - 1), as in PyTorch:
    ``running = (1 - momentum) running + momentum batch``. A batch of a single row has no
    variance: it is normalised by the running figures, and leaves them as they are.
    (Ioffe and Szegedy 2015.)
    """

    size: int
    momentum: float = 0.1
    epsilon: float = 1e-5

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """``{"scale": ones, "shift": zeros}`` and the running figures' state."""
        params = {"scale": np.ones(self.size, dtype), "shift": np.zeros(self.size, dtype)}
        state = {"mean": np.zeros(self.size, dtype), "variance": np.ones(self.size, dtype)}
        return params, state

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        with scope("batch_norm"):
            rows = np.shape(x)[0] if np.ndim(x) > 1 else 1
            if train and rows > 1:
                mean = np.mean(x, axis=0)
                centred = x - mean
                variance = np.mean(centred * centred, axis=0)
                keep, take = 1.0 - self.momentum, self.momentum
                state = {
                    "mean": keep * state["mean"] + take * mean,
                    "variance": keep * state["variance"] + (take * rows / (rows - 1)) * variance,
                }
            else:
                centred = x - state["mean"]
                variance = state["variance"]
            factor = params["scale"] / np.sqrt(variance + self.epsilon)
            return centred * factor + params["shift"], state


@register
@dataclass(frozen=True)
class LayerNorm:
    """Each example to mean 0 and (biased) variance 1 over its units, then scale and shift.

    (Ba, Kiros, Hinton 2016.) The same while training and predicting.
    """

    size: int
    epsilon: float = 1e-5

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """``{"scale": ones, "shift": zeros}`` and no state."""
        return {"scale": np.ones(self.size, dtype), "shift": np.zeros(self.size, dtype)}, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        with scope("layer_norm"):
            centred = x - np.mean(x, axis=-1, keepdims=True)
            variance = np.mean(centred * centred, axis=-1, keepdims=True)
            normal = centred / np.sqrt(variance + self.epsilon)
            return normal * params["scale"] + params["shift"], state
