"""Layers: frozen values with ``init`` and a call; their parameters live outside, in trees.

``init(seed, dtype) -> (params, state)``; ``layer(params, state, x, key=None, train=False) ->
(y, state)``. ``state`` is what training updates without a gradient: the running figures of
batch normalisation; ``init_state(dtype)`` gives a fresh one. Arrays have one example per row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core import scope
from chainrule.core.containers import register
from chainrule.core.settings import number, whole
from chainrule.errors import ShapeError, UsageError
from chainrule.nn.initializers import Initializer, generator, initializer
from chainrule.ops.random import uniform

Tree = Any


@register
@dataclass(frozen=True)
class Dense:
    """``x @ weights + bias``; weights have shape (inputs, outputs), the slides' convention (L0.3).

    Attributes:
        inputs, outputs: how many numbers a row of x has, and a row of the result.
        bias: whether there is one.
        initializer, bias_initializer: how weights and bias start: names of ``INITIALIZERS``, or
            values of ``nn.initializer``.
        name: what messages and graphs call the layer.
        ntk: the NTK parametrisation (Jacot et al. 2018): ``x @ weights / sqrt(inputs) + bias``,
            for weights of unit scale. The function is the same, the steps are not: a rule such
            as Adam, whose steps do not depend on the gradient's scale, then moves wide and
            narrow layers alike.
        data_dependent: where ``init`` is given rows, weights and bias follow them (Holzmueller et
            al. 2024, appendix A): each unit's column of weights is divided by the standard
            deviation of its products with the rows; its bias is minus a random convex
            combination of its values at five rows, so that an activation bends within the data.

    Raises:
        UsageError: sizes that are no whole numbers from 1 up, or an unknown initialiser; when
            called, ShapeError for inputs that do not have (n, inputs) numbers.
    """

    inputs: int
    outputs: int
    bias: bool = True
    initializer: str | Initializer = "glorot_uniform"
    bias_initializer: str | Initializer = "zeros"
    name: str = "linear"
    ntk: bool = False
    data_dependent: bool = False

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            whole(name, getattr(self, name))
        initializer(self.initializer)
        initializer(self.bias_initializer)

    def init_state(self, dtype: Any = np.float64) -> Tree:
        """An empty one, whatever the ``dtype``."""
        return {}

    @property
    def factor(self) -> float:
        """What the products are multiplied by: 1, or 1 / sqrt(inputs) with ``ntk``."""
        return 1.0 / math.sqrt(self.inputs) if self.ntk else 1.0

    def init(
        self, seed: int, dtype: Any = np.float64, *, place: int = 0, rows: Any = None
    ) -> tuple[Tree, Tree]:
        """Fresh parameters ``{"weights": (inputs, outputs), "bias": (outputs,)}``, and no state.

        Args:
            seed: the same one draws the same numbers.
            dtype: of the arrays, which are drawn in float64 and rounded.
            place: which layer of a network this is; each has random numbers of its own.
            rows: inputs (n, inputs) that a ``data_dependent`` layer follows; None for none.

        Raises:
            UsageError: a seed that is no whole number from 0 up.
        """
        rng = generator(seed, place)
        draw = initializer(self.initializer)
        params = {"weights": draw(rng, (self.inputs, self.outputs), dtype)}
        if self.bias:
            params["bias"] = initializer(self.bias_initializer)(rng, (self.outputs,), dtype)
        if self.data_dependent and rows is not None:
            self._follow(rng, params, np.asarray(rows, np.float64))
        return params, {}

    def _follow(self, rng: np.random.Generator, params: Tree, rows: np.ndarray) -> None:
        """Scale the weights to the rows, and put each unit's zero among them."""
        dtype = params["weights"].dtype
        y = rows @ params["weights"].astype(np.float64) * self.factor
        scale = y.std(axis=0)
        scale[scale == 0] = 1.0
        params["weights"] = (params["weights"] / scale).astype(dtype)
        if self.bias:
            chosen = rng.integers(len(rows), size=(5, self.outputs))
            shares = rng.exponential(size=(5, self.outputs))
            shares /= shares.sum(axis=0)
            values = np.take_along_axis(y / scale, chosen, axis=0)
            params["bias"] = -(shares * values).sum(axis=0).astype(dtype)

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
            y = y * self.factor if self.ntk else y
            return (y + params["bias"] if self.bias else y), state


@register
@dataclass(frozen=True)
class Dropout:
    """Inverted dropout: a share ``rate`` of the units is 0 for one step, the rest scaled up.

    Acts only with ``train=True``, and then needs a key: the same key gives the same mask
    (Srivastava et al. 2014; the scaling by 1 / (1 - rate) leaves prediction without any).

    ``rate`` is a number, or a function of the step such as a schedule of ``optim``, recorded like
    any function; the layer then counts its steps in its state, ``{"steps": ()}``.

    Raises:
        UsageError: a rate outside [0, 1); when called to train, no key.
    """

    rate: float | Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not callable(self.rate):
            number("rate", self.rate, at_least=0, below=1)

    @property
    def needs_key(self) -> bool:
        """Whether a training step draws random numbers."""
        return callable(self.rate) or self.rate > 0

    def init_state(self, dtype: Any = np.float64) -> Tree:
        """No steps done, a number of ``dtype``, where the rate depends on them."""
        return {"steps": np.zeros((), dtype)} if callable(self.rate) else {}

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """No parameters, and ``init_state`` of ``dtype``, whatever the ``seed``."""
        return {}, self.init_state(dtype)

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
            rate: Any = self.rate
            if callable(rate):
                steps = state["steps"]
                rate = rate(steps.astype(np.float64))
                # Only Python's own float is weak, and leaves float32 units float32.
                rate = rate if type(rate) is float else rate.astype(x.dtype)
                state = {"steps": steps + 1.0}
            kept = uniform(key, np.shape(x), x.dtype) >= rate
            return np.where(kept, x * (1.0 / (1.0 - rate)), 0.0), state


@register
@dataclass(frozen=True)
class BatchNorm:
    """Each unit to mean 0 and variance 1 over the batch, then scale and shift.

    Training uses the batch's mean and **biased** variance (divided by n); the running variance
    that prediction uses collects the **unbiased** one (divided by n - 1), as in PyTorch:
    ``running = (1 - momentum) running + momentum batch``. A batch of a single row has no
    variance: it is normalised by the running figures, and leaves them as they are.
    (Ioffe and Szegedy 2015.)

    Raises:
        UsageError: a size, momentum or epsilon out of its range.
    """

    size: int
    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        whole("size", self.size)
        number("momentum", self.momentum, at_least=0)
        number("epsilon", self.epsilon, at_least=0)

    def init_state(self, dtype: Any = np.float64) -> Tree:
        """The running figures of a fresh layer: mean 0 and variance 1, (size,) of ``dtype``."""
        return {"mean": np.zeros(self.size, dtype), "variance": np.ones(self.size, dtype)}

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """``{"scale": ones, "shift": zeros}``, (size,) of ``dtype``, and ``init_state``.

        Nothing is drawn, so ``seed`` makes no difference.
        """
        params = {"scale": np.ones(self.size, dtype), "shift": np.zeros(self.size, dtype)}
        return params, self.init_state(dtype)

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

    Raises:
        UsageError: a size or epsilon out of its range.
    """

    size: int
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        whole("size", self.size)
        number("epsilon", self.epsilon, at_least=0)

    def init(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """``{"scale": ones, "shift": zeros}``, (size,) of ``dtype``, and no state.

        Nothing is drawn, so ``seed`` makes no difference.
        """
        return {"scale": np.ones(self.size, dtype), "shift": np.zeros(self.size, dtype)}, {}

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        with scope("layer_norm"):
            centred = x - np.mean(x, axis=-1, keepdims=True)
            variance = np.mean(centred * centred, axis=-1, keepdims=True)
            normal = centred / np.sqrt(variance + self.epsilon)
            return normal * params["scale"] + params["shift"], state
