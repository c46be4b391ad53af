"""Losses of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.core.containers import register
from chainrule.core.settings import number
from chainrule.core.told import told
from chainrule.nn.losses.base import array, identity, is_class, like, picked, positive, total
from chainrule.nn.targets import classes_or_probabilities, numbers
from chainrule.ops.special import logistic
from chainrule.ops.stable import log_softmax, logsumexp, relu, softmax, softplus


@register
@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Cross-entropy with logistic outputs (L2.1, L4.4); targets are 0, 1 or between.

    ``t softplus(-z) + (1 - t) softplus(z)``: the textbook formula with the logarithms carried
    through the logistic function. Its derivative is ``y - t``; near a right and certain answer
    both keep their relative accuracy, and no logit overflows. With ``label_smoothing`` s the target
    is ``(1 - s) t + s / 2``, as in Keras (Szegedy et al. 2016).

    Raises:
        UsageError: a smoothing outside [0, 1).
    """

    label_smoothing: float = 0.0
    name: ClassVar[str] = "binary_cross_entropy"

    def __post_init__(self) -> None:
        number("label_smoothing", self.label_smoothing, at_least=0, below=1)

    @told("nn.BinaryCrossEntropy")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        targets = like(outputs, targets)
        if self.label_smoothing:
            targets = (1.0 - self.label_smoothing) * targets + 0.5 * self.label_smoothing
        return total(targets * softplus(-outputs) + (1.0 - targets) * softplus(outputs))

    def predict(self, outputs: Any) -> Any:
        """The probability of 1, (n, k)."""
        return logistic(outputs)

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """The more probable class: 1 where the linear output is positive; shape (n,) for one."""
        return positive(outputs)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers from 0 to 1, (n, outputs); DataError names the first row that is none."""
        return numbers(targets, outputs, dtype, low=0.0, high=1.0, what="a probability or 0 or 1")


@register
@dataclass(frozen=True)
class CategoricalCrossEntropy:
    """Cross-entropy with softmax outputs (L0.1, L1.5), by way of the log-softmax.

    Targets are integer classes 0 .. k-1, shape (n,), or rows of probabilities (one-hot or
    not), shape (n, k). With ``label_smoothing`` s they are ``(1 - s) t + s / k``, as in PyTorch and
    Keras (Szegedy et al. 2016).

    Raises:
        UsageError: a smoothing outside [0, 1).
    """

    label_smoothing: float = 0.0
    name: ClassVar[str] = "categorical_cross_entropy"

    def __post_init__(self) -> None:
        number("label_smoothing", self.label_smoothing, at_least=0, below=1)

    @told("nn.CategoricalCrossEntropy")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        scores = log_softmax(outputs, axis=-1)
        targets = array(targets)
        if targets.ndim == outputs.ndim:
            losses = -np.sum(like(outputs, targets) * scores, axis=-1)
        else:
            losses = -picked(scores, targets)
        if self.label_smoothing:
            share = self.label_smoothing
            losses = (1.0 - share) * losses - share * np.mean(scores, axis=-1)
        return losses

    def predict(self, outputs: Any) -> Any:
        """The probability of each class, (n, k)."""
        return softmax(outputs, axis=-1)

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """The most probable class of each row, shape (n,); the first of equals."""
        return np.argmax(outputs, axis=-1)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Classes (n,) or rows of probabilities; DataError names the first row that is neither."""
        return classes_or_probabilities(targets, outputs, dtype)


@dataclass(frozen=True)
class Hinge:
    """Margin losses; they predict scores, not probabilities.

    One output: targets 0 or 1, loss ``max(0, 1 - s z)`` with s = -1 or 1, slope 0 where the
    margin is exactly 1. Several outputs: integer classes, loss
    ``max(0, 1 + max_{j != t} z_j - z_t)`` (Crammer and Singer 2001); outputs that tie for the
    maximum share its slope equally.
    """

    name: ClassVar[str] = "hinge"

    @told("nn.Hinge")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        if outputs.ndim < 2 or outputs.shape[-1] == 1:
            targets = like(outputs, targets)
            return total(relu(1.0 - (2.0 * targets - 1.0) * outputs))
        targets = array(targets)
        if targets.ndim == outputs.ndim:
            right = like(outputs, targets)
            return np.max(outputs + (1.0 - right), axis=-1) - np.sum(right * outputs, axis=-1)
        wrong = np.where(is_class(outputs, targets), 0.0, 1.0).astype(outputs.dtype)
        return np.max(outputs + wrong, axis=-1) - picked(outputs, targets)

    predict = identity

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """The class with the largest score, shape (n,); the first of equals."""
        return positive(outputs) if outputs.shape[-1] == 1 else np.argmax(outputs, axis=-1)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """0 or 1 for one output, else classes or one-hot rows; DataError names a row that isn't."""
        if outputs == 1:
            return numbers(targets, 1, dtype, allowed=(0.0, 1.0), what="0 or 1")
        return classes_or_probabilities(targets, outputs, dtype, one_hot=True)


@register
@dataclass(frozen=True)
class Focal:
    """Cross-entropy that counts examples less, the surer their class is (Lin et al. 2017).

    ``-(1 - p)^gamma log p`` with p the probability of the true class; ``gamma=0`` is plain
    cross-entropy. One output is logistic, with targets 0 or 1, or between (the loss is then the
    mean of those of 0 and 1). Several outputs are a softmax over classes, with integer targets
    (n,), or logistic each, with targets (n, k).

    Raises:
        UsageError: a negative gamma.
    """

    gamma: float = 2.0
    name: ClassVar[str] = "focal"

    def __post_init__(self) -> None:
        number("gamma", self.gamma, at_least=0)

    @told("nn.Focal")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        targets = array(targets)
        if targets.ndim == outputs.ndim or outputs.shape[-1] == 1:
            targets = like(outputs, targets)
            return total(targets * self._of(outputs) + (1.0 - targets) * self._of(-outputs))
        of_class = is_class(outputs, targets)
        whole = logsumexp(outputs, axis=-1)
        wrong = logsumexp(np.where(of_class, _far(outputs), outputs), axis=-1) - whole
        right = np.sum(np.where(of_class, outputs, 0.0), axis=-1) - whole
        return -np.exp(self.gamma * wrong) * right

    def _of(self, margins: Any) -> Any:
        """The loss where ``margins`` speak for the true class; both logarithms are exact."""
        return np.exp(-self.gamma * softplus(margins)) * softplus(-margins)

    def predict(self, outputs: Any) -> Any:
        """Probabilities, (n, k): of 1 for one output, else of each class."""
        return logistic(outputs) if outputs.shape[-1] == 1 else softmax(outputs, axis=-1)

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """The most probable class of each row, shape (n,); the first of equals."""
        return positive(outputs) if outputs.shape[-1] == 1 else np.argmax(outputs, axis=-1)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers from 0 to 1 for one output, else classes; DataError names a row that isn't."""
        if outputs == 1:
            return numbers(targets, 1, dtype, low=0.0, high=1.0, what="a probability or 0 or 1")
        return classes_or_probabilities(targets, outputs, dtype)


def _far(outputs: Any) -> Any:
    """So low an output that it counts nothing beside any other, and is finite."""
    return np.asarray(-0.25 * np.finfo(outputs.dtype).max, outputs.dtype)
