"""Losses of numbers: errors, counts, amounts, quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from chainrule.core.containers import register
from chainrule.core.settings import number
from chainrule.core.told import told
from chainrule.errors import UsageError
from chainrule.nn.losses.base import finite, identity, like, total
from chainrule.nn.targets import numbers
from chainrule.ops.stable import softplus


@dataclass(frozen=True)
class SquaredError:
    """Half the squared difference, for regression with identity outputs (L2.4)."""

    name: ClassVar[str] = "squared_error"

    @told("nn.SquaredError")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        error = outputs - like(outputs, targets)
        return total(0.5 * (error * error))

    predict = identity
    prepare = finite


@dataclass(frozen=True)
class AbsoluteError:
    """The absolute difference, whose minimum is the median; slope 0 where it is 0."""

    name: ClassVar[str] = "absolute_error"

    @told("nn.AbsoluteError")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        return total(np.abs(outputs - like(outputs, targets)))

    predict = identity
    prepare = finite


@register
@dataclass(frozen=True)
class Huber:
    """``e^2 / 2`` for errors within ``delta``, ``delta (|e| - delta / 2)`` beyond (Huber 1964)."""

    delta: float = 1.0
    name: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        number("delta", self.delta, above=0)

    @told("nn.Huber")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        error = outputs - like(outputs, targets)
        # With c the clipped error both pieces are c (e - c/2): nothing large is squared, and
        # the first and second derivative come out right at 0 and at delta.
        clipped = np.clip(error, -self.delta, self.delta)
        return total(clipped * (error - 0.5 * clipped))

    predict = identity
    prepare = finite


@register
@dataclass(frozen=True)
class Quantile:
    """The pinball loss, whose minimum is the quantile ``q`` (Koenker, Bassett 1978).

    ``q (t - y)`` where the prediction is too low, ``(1 - q)(y - t)`` where it is too high; at
    equality the slope is the mean of both.

    Several quantiles of one target, ``q=(0.1, 0.5, 0.9)``, take an output each, and do not cross:
    the first output is the lowest of them, each further one, through softplus, the distance to the
    next. The loss is the sum over all.

    Raises:
        UsageError: a quantile outside (0, 1), or several that do not rise.
    """

    q: float | tuple[float, ...] = 0.5
    name: ClassVar[str] = "quantile"

    def __post_init__(self) -> None:
        if isinstance(self.q, (list, np.ndarray)):
            object.__setattr__(self, "q", tuple(self.q))
        levels = self.q if isinstance(self.q, tuple) else (self.q,)
        checked = [number("q", q, above=0, below=1) for q in levels]
        if not checked or any(a >= b for a, b in pairwise(checked)):
            raise UsageError(f"q={self.q!r}: several quantiles rise, as in (0.1, 0.5, 0.9)")

    @told("nn.Quantile")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        if not isinstance(self.q, tuple):
            short = like(outputs, targets) - outputs
            return total(np.maximum(self.q * short, (self.q - 1.0) * short))
        levels = np.asarray(self.q, outputs.dtype)
        short = like(outputs[..., :1], targets) - self.predict(outputs)
        return np.sum(np.maximum(levels * short, (levels - 1.0) * short), axis=-1)

    def predict(self, outputs: Any) -> Any:
        """The quantiles, (n, k), rising along a row where there are several."""
        if not isinstance(self.q, tuple):
            return outputs
        rising = np.concatenate([outputs[..., :1], softplus(outputs[..., 1:])], axis=-1)
        return np.cumsum(rising, axis=-1)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Finite numbers, (n, outputs), or (n, 1) for several quantiles; DataError names the first
        row that is none, or says how many outputs there must be."""
        if not isinstance(self.q, tuple):
            return numbers(targets, outputs, dtype)
        if outputs != len(self.q):
            raise UsageError(f"{len(self.q)} quantiles need {len(self.q)} outputs, not {outputs}")
        return numbers(targets, 1, dtype)


@dataclass(frozen=True)
class Poisson:
    """Counts with mean ``exp(z)``: ``exp(z) - t z``, without the constant ``log t!``.

    It is the one loss here that grows exponentially: beyond z of about 88 (float32) or 709
    (float64) its true value is outside the dtype, and so is the result.
    """

    name: ClassVar[str] = "poisson"

    @told("nn.Poisson")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        return total(np.exp(outputs) - like(outputs, targets) * outputs)

    def predict(self, outputs: Any) -> Any:
        """The mean count, (n, k)."""
        return np.exp(outputs)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers from 0 up, (n, outputs); DataError names the first row that is none."""
        return numbers(targets, outputs, dtype, low=0.0, what="a count, at least 0")


@dataclass(frozen=True)
class Gamma:
    """Positive amounts with mean ``exp(z)`` and constant relative spread: ``z + t exp(-z)``.

    Half the deviance of the gamma distribution, without the constant ``log t + 1``.
    """

    name: ClassVar[str] = "gamma"

    @told("nn.Gamma")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        return total(outputs + like(outputs, targets) * np.exp(-outputs))

    def predict(self, outputs: Any) -> Any:
        """The mean, (n, k)."""
        return np.exp(outputs)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers above 0, (n, outputs); DataError names the first row that is none."""
        return numbers(targets, outputs, dtype, low=_smallest(dtype), what="an amount above 0")


@register
@dataclass(frozen=True)
class Tweedie:
    """Amounts with mean ``mu = exp(z)`` and variance in proportion to ``mu^power`` (Tweedie 1984).

    ``mu^(2-p) / (2-p) - t mu^(1-p) / (1-p)``: half the deviance without what depends on t alone.
    Power 1 is ``Poisson``, 2 is ``Gamma``, 3 the inverse Gaussian; between 1 and 2 amounts that are
    often exactly 0, such as claims of insured people in a year.

    Raises:
        UsageError: a power below 1.
    """

    power: float = 1.5
    name: ClassVar[str] = "tweedie"

    def __post_init__(self) -> None:
        number("power", self.power, at_least=1)

    @told("nn.Tweedie")
    def __call__(self, outputs: Any, targets: Any) -> Any:
        p, targets = self.power, like(outputs, targets)
        rise = outputs if p == 2 else np.exp((2.0 - p) * outputs) / (2.0 - p)
        fall = outputs if p == 1 else np.exp((1.0 - p) * outputs) / (1.0 - p)
        return total(rise - targets * fall)

    def predict(self, outputs: Any) -> Any:
        """The mean, (n, k)."""
        return np.exp(outputs)

    def prepare(self, targets: Any, outputs: int, dtype: Any) -> np.ndarray:
        """Numbers from 0 up, above 0 from power 2 on; DataError names a row that isn't."""
        if self.power < 2:
            return numbers(targets, outputs, dtype, low=0.0, what="an amount, at least 0")
        return numbers(targets, outputs, dtype, low=_smallest(dtype), what="an amount above 0")


def _smallest(dtype: Any) -> float:
    """The smallest number above 0."""
    return float(np.finfo(dtype).smallest_subnormal)
