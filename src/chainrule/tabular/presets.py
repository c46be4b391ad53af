"""Recipes for networks on tables, by name: every trick of RealMLP as a named, switchable part.

``realmlp-td-s`` and ``realmlp-td`` are those of Holzmueller, Grinsztajn and Steinwart (NeurIPS
2024, arXiv 2407.04491). ``realmlp-fast``, the default, is the second with what measured better in
less time: an ensemble over folds, of narrower networks with ten times the frequencies at the start,
batches that follow the number of rows, a tenth of the epochs, and inputs for the frequent values of
numbers that hardly vary.
``sklearn`` is no recipe: the plain network that the other options describe.

Where this differs from the authors' code: two classes have one logistic output, not two of a
softmax; a last, smaller batch is left out only where it would be tiny, and then the same rows in
each epoch; two categories are two inputs, not one of
+1 and -1; weights decay by ``rate decay``, as the paper writes it, where the code squares both
factors; predicted values are not cut off at the training range; the kept epoch is the one with
the lowest validation loss, the first of equals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from chainrule import nn, optim
from chainrule.optim import schedules
from chainrule.tabular.robust import Blocks

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How a network for tables is built and trained; the defaults are RealMLP-TD's.

    Attributes:
        hidden: units of each hidden layer, in the NTK parametrisation; None for three of 128, or
            192 from 5,000 rows on.
        activations: of classifiers, and of regressors.
        parametric: each unit mixes its activation with the identity.
        periodic: numbers become themselves and three learned features of ``frequencies`` cosines,
            whose frequencies start with deviation ``sigma``; None for 1, and 0.3 below 1000 rows,
            which high ones fit too well.
        spikes: whether frequent values of a number that hardly varies get inputs of their own.
        embed_above: categories with more inputs than this get an embedding of ``embedding``
            numbers instead of one-hot inputs; None for never.
        data_dependent: weights and biases start so that units see unit variance and bend within
            the data, the last layer too; otherwise from N(0, 1), and the last layer from 0.
        dropout, weight_decay: until half of the steps; then down to 0 along half a cosine.
        label_smoothing: the share of each target spread over all classes.
        rates: the learning rate of classifiers, and of regressors; it goes up and down in
            ``cycles`` waves (``schedules.coslog``).
        scale_factor, bias_factor, periodic_factor, alpha_factor: of the rate, for the scale in
            front, biases, periodic features, and the mix of parametric activations.
        epochs: None for as many as ``steps`` steps take, from 8 to 48, and 200 steps at least.
        batch_size: None for some 64 to 1024, by the number of rows, so that hardly any are left.
        members: how many networks, each trained without another fold of the rows.
    """

    hidden: tuple[int, ...] | None = (256, 256, 256)
    activations: tuple[str, str] = ("selu", "mish")
    parametric: bool = True
    periodic: bool = True
    frequencies: int = 16
    sigma: float | None = 0.1
    spikes: bool = False
    embed_above: int | None = 9
    embedding: int = 8
    data_dependent: bool = True
    dropout: float = 0.15
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    rates: tuple[float, float] = (0.04, 0.2)
    cycles: int = 4
    scale_factor: float = 6.0
    bias_factor: float = 0.1
    periodic_factor: float = 0.1
    alpha_factor: float = 0.1
    epochs: int | None = 256
    steps: int = 1500
    batch_size: int | None = 256
    members: int = 1

    def rate(self, task: str) -> float:
        """The learning rate of a task."""
        return self.rates[task == "regression"]

    def activation(self, task: str) -> str:
        """The activation of a task."""
        return self.activations[task == "regression"]

    def layers(self, rows: int) -> tuple[int, ...]:
        """Units of the hidden layers, for so many training rows."""
        return ((128,) * 3 if rows < 5000 else (192,) * 3) if self.hidden is None else self.hidden

    def deviation(self, rows: int) -> float:
        """Of the frequencies at the start, for so many training rows."""
        return (0.3 if rows < 1000 else 1.0) if self.sigma is None else self.sigma

    def batch(self, rows: int) -> int:
        """Rows per step, for so many training rows."""
        if self.batch_size is not None:
            return min(self.batch_size, rows)
        size = next((s for most, s in BATCHES if rows <= most), 1024)
        return rows // max(1, round(rows / size))

    def length(self, rows: int, batch: int) -> int:
        """Epochs, for so many training rows in batches of so many."""
        if self.epochs is not None:
            return self.epochs
        each = math.ceil(rows / batch)
        return max(8, min(48, round(self.steps / each)), math.ceil(200 / each))

    def build(
        self, blocks: Blocks, outputs: int, activation: str, steps: int, rows: int = 1
    ) -> nn.Sequential:
        """The network for inputs in these blocks, to be trained for so many steps on so many
        rows."""
        front, width = self._front(blocks, self.deviation(rows))
        unit = nn.initializer("normal", std=1.0)
        layers: list[Any] = [nn.Columns(*front), nn.Scale(width)]
        bias = "zeros" if self.data_dependent else unit
        assert self.hidden is not None
        for units in self.hidden:
            layers.append(nn.Dense(width, units, True, unit, bias, ntk=True,
                                   data_dependent=self.data_dependent))  # fmt: skip
            layers.append(nn.Parametric(units, activation) if self.parametric else activation)
            if self.dropout:
                layers.append(nn.Dropout(schedules.flat_cosine(self.dropout, steps)))
            width = units
        last = unit if self.data_dependent else "zeros"
        layers.append(nn.Dense(width, outputs, True, last, ntk=True,
                               data_dependent=self.data_dependent))  # fmt: skip
        return nn.Sequential(*layers)

    def _front(self, blocks: Blocks, sigma: float) -> tuple[list[tuple[int, Any]], int]:
        """What each block of inputs goes through, and how many numbers come out."""
        parts: list[tuple[int, Any]] = []
        width = 0
        if blocks.numbers:
            layer = nn.Periodic(blocks.numbers, self.frequencies, sigma=sigma)
            parts.append((blocks.numbers, layer if self.periodic else None))
            width += layer.width if self.periodic else blocks.numbers
        if blocks.plain:
            parts.append((blocks.plain, None))
            width += blocks.plain
        for size in blocks.embedded:
            table = nn.Dense(size, self.embedding, False, nn.initializer("normal", std=1.0),
                             name="embedding")  # fmt: skip
            parts.append((size, table))
            width += self.embedding
        return parts, width

    def loss(self, task: str) -> Any:
        """The loss of a task, with its output unit."""
        if task == "regression":
            return nn.SquaredError()
        kind = nn.BinaryCrossEntropy if task == "binary" else nn.CategoricalCrossEntropy
        return kind(label_smoothing=self.label_smoothing)

    def optimizer(self, blocks: Blocks, rate: float, steps: int) -> optim.Optimizer:
        """Adam with decoupled decay, a factor for each kind of leaf, and the rate's schedule."""
        table = {"*bias": self.bias_factor, "layers/1/scale": self.scale_factor}
        if self.periodic and blocks.numbers:
            table["layers/0/parts/0/*"] = self.periodic_factor
        if self.parametric:
            table["*alpha"] = self.alpha_factor
        links: list[Any] = [optim.adam(1.0, 0.9, 0.95)]
        if self.weight_decay:
            decay = schedules.flat_cosine(self.weight_decay, steps)
            links.append(optim.weight_decay(decay, DECAYS))
        rates = schedules.coslog(rate, steps, self.cycles)
        return optim.chain(*links, optim.factors(table), optim.scale(rates))


DECAYS = ("*weights", "*scale", "*alpha", "layers/0/*")
"""The leaves that decay: all but the biases of dense layers."""

BATCHES = ((1000, 64), (30_000, 256), (100_000, 512))
"""About so many rows per step, up to so many training rows; beyond these 1024."""

TD = Recipe()
RECIPES: dict[str, Recipe] = {
    "realmlp-td-s": replace(
        TD,
        parametric=False,
        periodic=False,
        embed_above=None,
        data_dependent=False,
        dropout=0.0,
        weight_decay=0.0,
        rates=(0.04, 0.07),
    ),
    "realmlp-td": TD,
    "realmlp-fast": replace(
        TD,
        hidden=None,
        sigma=None,
        spikes=True,
        label_smoothing=0.0,
        epochs=None,
        batch_size=None,
        members=5,
    ),
}
