"""What a loss is, and how its targets meet the outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chainrule.errors import ShapeError
from chainrule.nn.targets import any_numbers, numbers


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


def identity(self: Loss, outputs: Any) -> Any:
    """The outputs themselves, (n, k)."""
    return outputs


def finite(self: Loss, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
    """Finite numbers (n, outputs) of ``dtype``; DataError names the first row that is none."""
    return numbers(targets, outputs, dtype)


@dataclass(frozen=True)
class FunctionLoss:
    """A loss of your own: a function of (outputs, targets) that returns one number per example.

    Without a ``unit``, targets reach it as given, floats in the network's dtype, and predictions
    are the outputs. With one, a loss, both are as that one has them: ``FunctionLoss(f,
    CategoricalCrossEntropy())`` gets integer classes, and its outputs mean a softmax.
    """

    function: Callable[[Any, Any], Any]
    unit: Loss | None = None

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

    def predict(self, outputs: Any) -> Any:
        """The outputs through the unit, (n, k)."""
        return outputs if self.unit is None else self.unit.predict(outputs)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers of any shape, floats in ``dtype``, or as the unit has them; DataError names one
        that is not finite."""
        if self.unit is not None:
            return self.unit.prepare(targets, outputs, dtype)
        return any_numbers(targets, dtype)


def like(outputs: Any, targets: Any) -> Any:
    """Targets in the outputs' shape; never broadcast, (n,) against (n, 1) would be (n, n)."""
    targets = array(targets)
    shape = np.shape(outputs)
    if targets.shape == shape:
        return targets
    if shape[-1:] == (1,) and targets.shape == shape[:-1]:
        return np.reshape(targets, shape)
    raise ShapeError(
        f"the loss got outputs of shape {shape} and targets of shape {targets.shape}; "
        "targets need the shape of the outputs, or (n,) where there is one output"
    )


def array(targets: Any) -> Any:
    return targets if hasattr(targets, "ndim") else np.asarray(targets)


def total(losses: Any) -> Any:
    """The sum over outputs; single outputs and vectors pass as they are."""
    if losses.ndim < 2:
        return losses
    if losses.shape[-1] == 1:
        return np.reshape(losses, losses.shape[:-1])
    return np.sum(losses, axis=-1)


def positive(outputs: np.ndarray) -> np.ndarray:
    positive = (outputs > 0).astype(np.intp)
    return positive[:, 0] if positive.shape[1:] == (1,) else positive


def is_class(outputs: Any, targets: Any) -> Any:
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


def picked(values: Any, targets: Any) -> Any:
    """``values[i, targets[i]]``, as a masked sum: its derivative needs no scattered adding."""
    return np.sum(np.where(is_class(values, targets), values, 0.0), axis=-1)
