"""How sure a model may be, learned from rows that did not train it.

Classes: a temperature, by which linear outputs are divided (Guo, Pleiss, Sun, Weinberger 2017).
Numbers: absolute residuals, whose quantiles make conformal intervals (Vovk, Gammerman, Shafer
2005); where several networks each left out a fold, around their mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.core.recording import quiet
from chainrule.errors import UsageError

__all__ = ["Calibration", "find_temperature", "intervals", "thinned"]

PRIOR = 0.5
"""Deviation of the logarithm of a temperature before any row is seen: a few rows do not move it
far, even if all of them are told apart."""
MOST_RESIDUALS = 10_000
"""More would cost space, and their quantiles hardly move."""


@dataclass(frozen=True)
class Calibration:
    """A temperature, and the mean log loss of the ``rows`` it comes from before and after it."""

    temperature: float
    rows: int
    before: float
    after: float


def find_temperature(
    loss: Any, outputs: NDArray[np.float64], truth: NDArray[Any], weights: Any = None
) -> Calibration:
    """The temperature of the least log loss, with a prior around 1.

    Args:
        loss: of the task, one number per row.
        outputs: linear ones of rows that did not train the model, (n, outputs).
        truth: classes, as the loss has prepared them; weights: of the rows, (n,), or None.
    """
    from scipy.optimize import minimize_scalar

    mass = len(outputs) if weights is None else float(np.sum(weights))

    def mean_loss(log_temperature: float) -> float:
        with quiet():
            losses = np.asarray(loss(outputs / np.exp(log_temperature), truth))
        return float(np.average(losses, weights=weights))

    def objective(log_temperature: float) -> float:
        return mean_loss(log_temperature) + (log_temperature / PRIOR) ** 2 / (2 * mass)

    bounds = (-math.log(20), math.log(20))
    found = float(minimize_scalar(objective, bounds=bounds, method="bounded").x)  # type: ignore[call-overload]
    return Calibration(math.exp(found), len(outputs), mean_loss(0.0), mean_loss(found))


def thinned(residuals: Sequence[NDArray[np.float64]], seed: int) -> tuple[NDArray[Any], ...]:
    """Absolute residuals of each network, sorted; of very many a part that is drawn at random."""
    total = sum(map(len, residuals))
    share = min(1.0, MOST_RESIDUALS / max(total, 1))
    random = np.random.default_rng(seed)
    kept = [random.permutation(r)[: math.ceil(len(r) * share)] for r in residuals]
    return tuple(np.sort(r) for r in kept)


def intervals(
    predicted: NDArray[np.float64], residuals: Sequence[NDArray[np.float64]], coverage: float
) -> NDArray[np.float64]:
    """Lower and upper ends, (n, 2), that hold a new row's number with this probability.

    Of m residuals the ceil((m + 1) coverage)-th smallest is the distance of the ends from the
    prediction. With one network new rows that are like those held out fall within at least as often
    as ``coverage`` says, in the mean over all that might have been held out; for those that were,
    the share deviates from it by about ``sqrt(coverage (1 - coverage) / (m + 2))``. With several
    the residuals are of each alone, and those of their mean are smaller: rather more rows fall
    within.

    Args:
        predicted: (n,), the mean of all networks.
        residuals: absolute ones of each network, on rows it was not trained on.
        coverage: within 0 and 1.

    Raises:
        UsageError: a coverage that so few residuals cannot give.
    """
    if not isinstance(coverage, (int, float)) or not 0 < coverage < 1:
        raise UsageError(f"coverage={coverage!r}: is a share between 0 and 1, such as 0.9")
    total = sum(map(len, residuals))
    rank = math.ceil((total + 1) * coverage - 1e-9)  # but for rounding, 10 times 0.9 is 9
    if rank > total:
        raise UsageError(
            f"coverage={coverage}: {total} rows held out give at most {total / (total + 1):.4g}; "
            f"train with more validation rows"
        )
    width = np.sort(np.concatenate(residuals))[rank - 1]
    return np.stack([predicted - width, predicted + width], axis=1)
