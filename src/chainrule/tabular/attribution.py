"""What each column of a table adds to a model's answer: integrated gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.api import grad
from chainrule.core.recording import quiet
from chainrule.tabular.model import TabularModel

__all__ = ["column_gradients", "integrated_gradients"]

Rows = NDArray[np.float64]


def integrated_gradients(
    slope: Callable[[Rows], Rows], x: Rows, start: Rows, steps: int = 64
) -> Rows:
    """``(x - start)`` times the mean of ``slope`` on the way from one to the other, as x.

    The mean is Gauss and Legendre's of ``steps`` points. Where ``slope`` is the gradient of a
    function, a row's parts add up to the difference of its values (Sundararajan, Taly, Yan 2017).
    """
    points, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros(x.shape)
    for at, weight in zip((points + 1) / 2, weights / 2, strict=True):
        total += weight * slope(start + at * (x - start))
    return total * (x - start)


def column_gradients(
    model: TabularModel, x: Rows, start: Rows, output: Any, steps: int = 64
) -> tuple[Rows, Rows]:
    """Integrated gradients of a model's linear output, and their sums over the inputs that each
    column becomes: (n, inputs), and (n, columns) in the order of ``model.coding.places()``.

    Args:
        model: of an ensemble its joint output is meant.
        x: (n, inputs), as ``model.inputs`` makes them. start: (inputs,), where the way begins.
        output: which of the linear outputs, one for all rows or (n,) of them.
        steps: points on the way.
    """
    picked = np.broadcast_to(np.eye(model.target.outputs)[output], (len(x), model.target.outputs))

    def chosen(rows: Any) -> Any:
        return np.sum(model.joined(rows) * picked)

    with quiet():
        found = integrated_gradients(grad(chosen), x, start, steps)
    sums = [found[:, places].sum(axis=1) for places in model.coding.places().values()]
    return found, np.stack(sums, axis=1) if sums else np.zeros((len(x), 0))
