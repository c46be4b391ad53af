"""What happens in each layer: activations, slopes, gradients, and what the gradient loses on its
way back, split into the factor of the weights and that of the activations' slopes (L4.8).

For one layer of the backward pass, ``delta_l = slope_l * (W_{l+1} delta_{l+1})``: the norm of the
product in brackets over that of ``delta_{l+1}`` is the weight factor, the norm of ``delta_l`` over
that of the product the slope factor. Vanishing gradients are products of factors below 1.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.api import grad, value_and_grad
from chainrule.core.tree import flatten
from chainrule.diagnosis.layers import Parts, parts_of
from chainrule.errors import UsageError
from chainrule.run import compile
from chainrule.train import EpochEnd

__all__ = ["LayerStatistics", "Monitor", "Statistics", "statistics"]

ROWS = 128
"""How many rows are looked at: so few cost little, and shares of them are known to some percent."""
AFFORDED = 0.02
"""The share of the time of training that looking at it may take."""
SATURATED = 0.05
"""Below this share of its largest slope an activation counts as saturated."""

Tree = Any


@dataclass(frozen=True)
class LayerStatistics:
    """One layer at one moment, over some rows.

    Attributes:
        name: "1" to "n", the last is the output layer. activation: its name, "" of the output.
        units: how many. mean, std: of the activations; of the linear outputs in the last layer.
        dead: share of units with slope 0 on every row. saturated: share of activations whose
            slope is below a twentieth of its largest.
        delta: norm of the mean gradient with respect to the layer's linear outputs, which is that
            with respect to its bias (Nielsen's speed of learning). signal: the root of its mean
            square, row by row.
        gradient, weights: norms of the gradient and of the weights. largest: weight, absolute.
        weight_factor, slope_factor: what the gradient is multiplied by on the way from the next
            layer, None in the last.
        same: the share of units that are copies of another.
        moved: how far the weights went in an update, relative to their norm; None at the start.
    """

    name: str
    activation: str
    units: int
    mean: float
    std: float
    dead: float
    saturated: float
    delta: float
    signal: float
    gradient: float
    weights: float
    largest: float
    weight_factor: float | None
    slope_factor: float | None
    same: float
    moved: float | None = None


@dataclass(frozen=True)
class Statistics:
    """All layers after an epoch, 0 before the first; ``loss`` is the mean over the rows."""

    epoch: int
    loss: float
    layers: tuple[LayerStatistics, ...]


def statistics(
    model: Any, params: Tree, state: Tree, x: Any, targets: Any, loss: Any, epoch: int = 0
) -> Statistics:
    """What happens in each layer of a network for these rows.

    Args:
        model: an ``nn.MLP`` without skips, or an ``nn.Sequential`` of dense layers, normalisations
            and activations. params, state: its trees. x: (n, inputs). targets: as ``loss`` takes
            them; loss: of one example, as ``fit`` takes it.
        epoch: for the record.

    Raises:
        UsageError: another network.
    """
    parts = parts_of(model)
    if parts is None:
        raise UsageError(
            f"statistics looks at the layers of an MLP without skips, or of a Sequential of Dense "
            f"layers and activations; {type(model).__name__} has others"
        )
    dtype = flatten(params)[0][0].dtype
    x = np.asarray(x, dtype)
    targets = loss.prepare(targets, parts.outputs, dtype)
    return _Looking(parts, loss, x, targets)(params, state, epoch)


class _Looking:
    """The recorded pass through a network that the statistics are read from."""

    def __init__(self, parts: Parts, loss: Any, x: np.ndarray, targets: np.ndarray) -> None:
        self.parts, self.loss, self.x, self.targets = parts, loss, x, targets
        shapes = [(len(x), part.dense.outputs) for part in parts.layers]
        self.zeros = tuple(np.zeros(shape, x.dtype) for shape in shapes)
        self.run: Callable[..., Any] | None = None

    def __call__(
        self, params: Tree, state: Tree, epoch: int, moved: Sequence[float | None] | None = None
    ) -> Statistics:
        arguments = (self.zeros, self.zeros, params, state, self.x, self.targets)
        if self.run is None:
            self.run = compile(self._pass, *arguments, executor="numpy")
        loss, outputs, slopes, gradients = self.run(*arguments)
        deltas, arrived, weights = gradients
        layers = []
        last = len(self.zeros) - 1
        for i, part in enumerate(self.parts.layers):
            w, name = part.weights(params) * part.dense.factor, part.name
            delta, back = deltas[i], arrived[i]
            size = np.abs(slopes[i])
            top = max(float(size.max(initial=0.0)), _TOP.get(name, 1.0)) if name else 1.0
            nxt = _rms(deltas[i + 1]) if i < last else 0.0
            layers.append(
                LayerStatistics(
                    str(i + 1),
                    name,
                    delta.shape[1],
                    float(np.mean(outputs[i])),
                    float(np.std(outputs[i])),
                    float(np.mean(np.all(slopes[i] == 0, axis=0))) if name else 0.0,
                    float(np.mean(size < SATURATED * top)) if name in _TOP else 0.0,
                    float(np.linalg.norm(np.sum(delta, axis=0))),
                    _rms(delta),
                    float(np.linalg.norm(part.weights(weights))) / part.dense.factor,
                    float(np.linalg.norm(w)),
                    float(np.max(np.abs(w))),
                    _ratio(_rms(back), nxt) if i < last else None,
                    _ratio(_rms(delta), _rms(back)) if i < last else None,
                    _same(w),
                    None if moved is None else moved[i],
                )
            )
        return Statistics(epoch, float(loss), tuple(layers))

    def _pass(
        self, before: Any, after: Any, params: Tree, state: Tree, x: Any, targets: Any
    ) -> Any:
        """Zeros are added before and after each activation: the gradients with respect to them are
        those of what they are added to."""

        def loss(before: Any, after: Any, params: Tree) -> Any:
            h, outputs, slopes = self.parts.front(params, state, x), [], []
            for i, part in enumerate(self.parts.layers):
                z = part.linear(params, state, h) + before[i]
                bend = None if part.bend is None else functools.partial(part.bend, params)
                h = (z if bend is None else bend(z)) + after[i]
                slope = np.ones_like(z) if bend is None else _slope(bend, z)
                outputs.append(h)
                slopes.append(slope)
            return np.mean(self.loss(h, targets)), (tuple(outputs), tuple(slopes))

        f = value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)
        (value, aux), gradients = f(before, after, params)
        return value, *aux, gradients


def _slope(act: Any, z: Any) -> Any:
    return grad(lambda y: np.sum(act(y)))(z)


_TOP = {"logistic": 0.25, "tanh": 1.0}
"""The largest slopes of activations that saturate on both sides."""


def _rms(x: np.ndarray) -> float:
    """The root of the mean square of the rows' norms, each row the gradient of its own loss."""
    return float(np.sqrt(len(x)) * np.linalg.norm(x))


def _ratio(a: float, b: float) -> float:
    return a / b if b else 0.0


def _same(w: np.ndarray) -> float:
    """The share of units, columns of w, that are equal to another."""
    if w.shape[1] < 2 or len(np.unique(w[0])) == w.shape[1]:
        return 0.0
    return 1 - len(np.unique(w, axis=1).T) / w.shape[1]


class Monitor:
    """A callback for ``fit`` that keeps the statistics of each layer after every epoch.

    >>> monitor = Monitor(model, loss, x, targets)  # doctest: +SKIP
    >>> train.fit(model, (x, targets), loss=loss, callbacks=[monitor], ...)  # doctest: +SKIP
    >>> monitor.history[-1].layers[0].dead  # doctest: +SKIP

    Args:
        model, loss: as ``fit`` gets them. x, targets: the training rows, of which 128, evenly
            spread, are looked at.
        rows: how many instead.

    ``history`` has a ``Statistics`` of the start, of the first epoch, and of as many more as take
    no more than 2 % of the time of training; one costs a forward and a backward pass of those rows.
    Time is that of the thread which trains: on a busy machine training waits oftener than a short
    look, so by the clock on the wall looks would seem cheaper than they are.
    """

    def __init__(self, model: Any, loss: Any, x: Any, targets: Any, rows: int = ROWS) -> None:
        self.model, self.loss, self.parts = model, nn.loss(loss), parts_of(model)
        chosen = np.unique(np.linspace(0, len(x) - 1, min(rows, len(x))).astype(int))
        self.x, self.targets = np.asarray(x)[chosen], np.asarray(targets)[chosen]
        self.steps = 1
        self.history: list[Statistics] = []
        self._spent, self._begun = 0.0, time.thread_time()
        self._looking: _Looking | None = None
        self._before: list[np.ndarray] | None = None

    def start(self, params: Tree, state: Tree, steps: int = 1) -> None:
        """Look at the network before training; ``steps``: updates an epoch, by which what the
        weights move in an epoch is divided."""
        self.steps = max(steps, 1)
        self._begun = time.thread_time()
        self.look(params, state, 0)

    def __call__(self, event: EpochEnd) -> None:
        afforded = self._spent < AFFORDED * (time.thread_time() - self._begun)
        if event.epoch == 1 or afforded:
            self.look(event.params, event.state, event.epoch)

    def look(self, params: Tree, state: Tree, epoch: int) -> None:
        """Add the statistics of this network to the history."""
        if self.parts is None or (self.history and self.history[-1].epoch >= epoch):
            return  # of several networks the first is looked at
        begun = time.thread_time()
        if self._looking is None:
            dtype = flatten(params)[0][0].dtype
            x = self.x.astype(dtype)
            targets = self.loss.prepare(self.targets, self.parts.outputs, dtype)
            self._looking = _Looking(self.parts, self.loss, x, targets)
        now = [part.weights(params) for part in self.parts.layers]
        moved = None
        if self._before is not None:
            apart = max(epoch - self.history[-1].epoch, 1) * self.steps
            moved = [
                _ratio(float(np.linalg.norm(w - old)), float(np.linalg.norm(old)) or 1.0) / apart
                for w, old in zip(now, self._before, strict=True)
            ]
        with np.errstate(all="ignore"):
            self.history.append(self._looking(params, state, epoch, moved))
        self._before = [np.array(w) for w in now]
        self._spent += time.thread_time() - begun
