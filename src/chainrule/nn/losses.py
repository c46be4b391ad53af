"""Losses, matched to output units (L2.4): each computed from the network's linear outputs.

========================  ====================  =======================================
loss                      output unit           loss of one example
========================  ====================  =======================================
SquaredError              identity              1/2 sum (y - t)^2
BinaryCrossEntropy        logistic              -sum t log y + (1 - t) log(1 - y)
CategoricalCrossEntropy   softmax               -sum t log y
AbsoluteError             identity              sum |y - t|
Huber                     identity              squared within delta, linear beyond
Quantile                  identity              sum of q (t - y) or (1 - q)(y - t)
Poisson                   exponential           sum y - t log y
Hinge                     none (a score)        how far the margin falls short of 1
========================  ====================  =======================================

A loss takes outputs of shape (n, k) and returns one number per example, shape (n,): the
**sum** over the k outputs, which is the negative log-likelihood of independent outputs (up to
a constant). With the half in the squared error, the derivative with respect to the linear
output is prediction minus target for the first three (L0.4, L2.3).

Targets have shape (n, k), or (n,) where k is 1; classes are integers of shape (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from chainrule.core.containers import register
from chainrule.core.settings import Named, number
from chainrule.errors import ShapeError
from chainrule.nn.targets import any_numbers, classes_or_probabilities, numbers
from chainrule.ops.special import logistic
from chainrule.ops.stable import log_softmax, relu, softmax, softplus


class Loss(Protocol):
    """What ``fit`` asks of a loss. ``__call__`` and ``predict`` are recorded.

    One whose outputs mean classes also has ``classes(outputs)``: the class of each row, from an
    array of linear outputs.
    """

    @property
    def name(self) -> str:
        """What messages and ``nn.loss`` call it."""
        ...

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """The loss of each example, shape (n,), from linear outputs (n, k)."""
        ...

    def predict(self, outputs: Any) -> Any:
        """The output unit: what the network predicts, shape (n, k), from linear ``outputs``."""
        ...

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Targets, checked, as an array this loss takes.

        Args:
            targets: (n, k), or (n,) where k is 1; for losses of classes also integers (n,).
            outputs: k, how many outputs the network has.
            dtype: of the result, float32 or float64; integer classes stay integers.

        Raises:
            DataError: another shape, or a value that the loss does not take, naming its row.
        """
        ...


def _identity(self: Loss, outputs: Any) -> Any:
    """The outputs themselves, (n, k)."""
    return outputs


def _finite(self: Loss, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
    """Finite numbers (n, outputs) of ``dtype``; DataError names the first row that is none."""
    return numbers(targets, outputs, dtype)


@dataclass(frozen=True)
class SquaredError:
    """Half the squared difference, for regression with identity outputs (L2.4)."""

    name: ClassVar[str] = "squared_error"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        error = outputs - _like(outputs, targets)
        return _total(0.5 * (error * error))

    predict = _identity
    prepare = _finite


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Cross-entropy with logistic outputs (L2.1, L4.4); targets are 0, 1 or between.

    ``t softplus(-z) + (1 - t) softplus(z)``: the textbook formula with the logarithms carried
    through the logistic function. Its derivative is ``y - t``; near a right and certain answer
    both keep their relative accuracy, and no logit overflows.
    """

    name: ClassVar[str] = "binary_cross_entropy"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        targets = _like(outputs, targets)
        return _total(targets * softplus(-outputs) + (1.0 - targets) * softplus(outputs))

    def predict(self, outputs: Any) -> Any:
        """The probability of 1, (n, k)."""
        return logistic(outputs)

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """The more probable class: 1 where the linear output is positive; shape (n,) for one."""
        return _positive(outputs)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers from 0 to 1, (n, outputs); DataError names the first row that is none."""
        return numbers(targets, outputs, dtype, low=0.0, high=1.0, what="a probability or 0 or 1")


@dataclass(frozen=True)
class CategoricalCrossEntropy:
    """Cross-entropy with softmax outputs (L0.1, L1.5), by way of the log-softmax.

    Targets are integer classes 0 .. k-1, shape (n,), or rows of probabilities (one-hot or
    not), shape (n, k).
    """

    name: ClassVar[str] = "categorical_cross_entropy"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        scores = log_softmax(outputs, axis=-1)
        targets = _array(targets)
        if targets.ndim == outputs.ndim:
            return -np.sum(_like(outputs, targets) * scores, axis=-1)
        return -_picked(scores, targets)

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
class AbsoluteError:
    """The absolute difference, whose minimum is the median; slope 0 where it is 0."""

    name: ClassVar[str] = "absolute_error"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        return _total(np.abs(outputs - _like(outputs, targets)))

    predict = _identity
    prepare = _finite


@register
@dataclass(frozen=True)
class Huber:
    """``e^2 / 2`` for errors within ``delta``, ``delta (|e| - delta / 2)`` beyond (Huber 1964)."""

    delta: float = 1.0
    name: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        number("delta", self.delta, above=0)

    def __call__(self, outputs: Any, targets: Any) -> Any:
        error = outputs - _like(outputs, targets)
        # With c the clipped error both pieces are c (e - c/2): nothing large is squared, and
        # the first and second derivative come out right at 0 and at delta.
        clipped = np.clip(error, -self.delta, self.delta)
        return _total(clipped * (error - 0.5 * clipped))

    predict = _identity
    prepare = _finite


@register
@dataclass(frozen=True)
class Quantile:
    """The pinball loss, whose minimum is the quantile ``q`` (Koenker, Bassett 1978).

    ``q (t - y)`` where the prediction is too low, ``(1 - q)(y - t)`` where it is too high; at
    equality the slope is the mean of both.
    """

    q: float = 0.5
    name: ClassVar[str] = "quantile"

    def __post_init__(self) -> None:
        number("q", self.q, above=0, below=1)

    def __call__(self, outputs: Any, targets: Any) -> Any:
        short = _like(outputs, targets) - outputs
        return _total(np.maximum(self.q * short, (self.q - 1.0) * short))

    predict = _identity
    prepare = _finite


@dataclass(frozen=True)
class Poisson:
    """Counts with mean ``exp(z)``: ``exp(z) - t z``, without the constant ``log t!``.

    It is the one loss here that grows exponentially: beyond z of about 88 (float32) or 709
    (float64) its true value is outside the dtype, and so is the result.
    """

    name: ClassVar[str] = "poisson"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        return _total(np.exp(outputs) - _like(outputs, targets) * outputs)

    def predict(self, outputs: Any) -> Any:
        """The mean count, (n, k)."""
        return np.exp(outputs)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers from 0 up, (n, outputs); DataError names the first row that is none."""
        return numbers(targets, outputs, dtype, low=0.0, what="a count, at least 0")


@dataclass(frozen=True)
class Hinge:
    """Margin losses; they predict scores, not probabilities.

    One output: targets 0 or 1, loss ``max(0, 1 - s z)`` with s = -1 or 1, slope 0 where the
    margin is exactly 1. Several outputs: integer classes, loss
    ``max(0, 1 + max_{j != t} z_j - z_t)`` (Crammer and Singer 2001); outputs that tie for the
    maximum share its slope equally.
    """

    name: ClassVar[str] = "hinge"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        if outputs.ndim < 2 or outputs.shape[-1] == 1:
            targets = _like(outputs, targets)
            return _total(relu(1.0 - (2.0 * targets - 1.0) * outputs))
        targets = _array(targets)
        if targets.ndim == outputs.ndim:
            right = _like(outputs, targets)
            return np.max(outputs + (1.0 - right), axis=-1) - np.sum(right * outputs, axis=-1)
        wrong = np.where(_is_class(outputs, targets), 0.0, 1.0).astype(outputs.dtype)
        return np.max(outputs + wrong, axis=-1) - _picked(outputs, targets)

    predict = _identity

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """The class with the largest score, shape (n,); the first of equals."""
        return _positive(outputs) if outputs.shape[-1] == 1 else np.argmax(outputs, axis=-1)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """0 or 1 for one output, else classes or one-hot rows; DataError names a row that isn't."""
        if outputs == 1:
            return numbers(targets, 1, dtype, allowed=(0.0, 1.0), what="0 or 1")
        return classes_or_probabilities(targets, outputs, dtype, one_hot=True)


@dataclass(frozen=True)
class FunctionLoss:
    """A loss of your own: a function of (outputs, targets) that returns one number per example.

    Targets reach it as given, floats in the network's dtype; predictions are the outputs.
    """

    function: Callable[[Any, Any], Any]

    @property
    def name(self) -> str:
        """The function's."""
        return getattr(self.function, "__name__", "custom")

    def __call__(self, outputs: Any, targets: Any) -> Any:
        losses = self.function(outputs, targets)
        if np.shape(losses) != np.shape(outputs)[:1]:
            raise ShapeError(
                f"loss {self.name} returned shape {np.shape(losses)}; it must return one number "
                f"per example, shape {np.shape(outputs)[:1]}: fit takes the mean itself"
            )
        return losses

    predict = _identity

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers of any shape, floats in ``dtype``; DataError names one that is not finite."""
        return any_numbers(targets, dtype)


LOSSES: dict[str, type] = {
    cls.name: cls
    for cls in (
        SquaredError,
        BinaryCrossEntropy,
        CategoricalCrossEntropy,
        AbsoluteError,
        Huber,
        Quantile,
        Poisson,
        Hinge,
    )
}

_NAMED = Named(
    "loss", LOSSES, "nn.SquaredError()", lambda given: hasattr(given, "prepare") or callable(given)
)


def loss(name: str | Loss | Callable[[Any, Any], Any], **settings: float) -> Loss:
    """The loss of this name, for example ``loss("huber", delta=0.5)`` (L2.4).

    Args:
        name: one of ``LOSSES``; a loss stays as it is, a plain function becomes a
            ``FunctionLoss``.
        settings: the constants of a loss given by name: ``delta`` of huber, ``q`` of quantile.

    Raises:
        UsageError: no such name, or a setting that it does not have.
    """
    found = _NAMED.value(name, settings)
    return found if hasattr(found, "prepare") else FunctionLoss(found)


def _like(outputs: Any, targets: Any) -> Any:
    """Targets in the outputs' shape; never broadcast, (n,) against (n, 1) would be (n, n)."""
    targets = _array(targets)
    shape = np.shape(outputs)
    if targets.shape == shape:
        return targets
    if shape[-1:] == (1,) and targets.shape == shape[:-1]:
        return np.reshape(targets, shape)
    raise ShapeError(
        f"the loss got outputs of shape {shape} and targets of shape {targets.shape}; "
        "targets need the shape of the outputs, or (n,) where there is one output"
    )


def _array(targets: Any) -> Any:
    return targets if hasattr(targets, "ndim") else np.asarray(targets)


def _total(losses: Any) -> Any:
    """The sum over outputs; single outputs and vectors pass as they are."""
    if losses.ndim < 2:
        return losses
    if losses.shape[-1] == 1:
        return np.reshape(losses, losses.shape[:-1])
    return np.sum(losses, axis=-1)


def _positive(outputs: np.ndarray) -> np.ndarray:
    positive = (outputs > 0).astype(np.intp)
    return positive[:, 0] if positive.shape[1:] == (1,) else positive


def _is_class(outputs: Any, targets: Any) -> Any:
    if targets.shape != outputs.shape[:-1]:
        raise ShapeError(
            f"the loss got outputs of shape {outputs.shape} and classes of shape "
            f"{targets.shape}; it takes one integer class per example, shape {outputs.shape[:-1]}"
        )
    if np.dtype(targets.dtype).kind not in "iu":
        raise ShapeError(
            f"targets of shape {targets.shape} must be integer classes, not {targets.dtype}; "
            f"probabilities have the shape of the outputs, {outputs.shape}"
        )
    return np.expand_dims(targets, -1) == np.arange(outputs.shape[-1])


def _picked(values: Any, targets: Any) -> Any:
    """``values[i, targets[i]]``, as a masked sum: its derivative needs no scattered adding."""
    return np.sum(np.where(_is_class(values, targets), values, 0.0), axis=-1)
