"""The network of a tabular model, and its outputs to the last bit.

``nn``'s layers compute ``x @ weights`` with the machine's BLAS, whose last bits may depend on
where a row stands among its neighbours. A prediction must not: so here the same layers are run
on weights whose ``@`` adds products in a fixed order, row by row, and in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import nn
from chainrule.core import tree

__all__ = ["LOSSES", "TILE", "Network", "exact_outputs"]

TILE = 256
"""Rows computed at once; the last tile is filled up with zeros, so that all are alike."""

LOSSES: dict[str, Any] = {
    "regression": nn.SquaredError(),
    "binary": nn.BinaryCrossEntropy(),
    "multiclass": nn.CategoricalCrossEntropy(),
}
"""Each task's loss, which also holds its output unit."""


@dataclass(frozen=True)
class Network:
    """What it takes to build the network again: numbers of units, and names."""

    sizes: tuple[int, ...]
    activation: str
    dropout: float
    batch_norm: bool
    initializer: str

    def build(self) -> nn.MLP:
        """The network as a value of ``nn``; UsageError for names that ``nn`` does not know."""
        return nn.MLP(
            sizes=self.sizes,
            activation=self.activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            initializer=self.initializer,
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        return {**asdict(self), "sizes": list(self.sizes)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Network:
        return cls(**{**record, "sizes": tuple(record["sizes"])})


class _Ordered(np.ndarray):
    """An array whose matrix product adds ``x[:, k] * w[k]`` for k = 0, 1, ... in that order.

    Every other operation is NumPy's own. Each result entry comes from additions and products
    of single numbers, which IEEE 754 fixes: not from the shape, the neighbours or the machine.
    """

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [x.view(np.ndarray) if isinstance(x, _Ordered) else x for x in inputs]
        if ufunc is np.matmul and method == "__call__":
            return _ordered_product(*plain)
        return getattr(ufunc, method)(*plain, **kwargs)


def _ordered_product(x: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros((len(x), w.shape[1]))
    product = np.empty_like(total)
    for k in range(w.shape[0]):
        np.multiply(x[:, k, None], w[k], out=product)
        np.add(total, product, out=total)
    return total


def exact_outputs(
    model: nn.MLP,
    params: Any,
    state: Any,
    x: NDArray[np.float64],
    output_unit: Callable[[Any], Any],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Linear outputs and what ``output_unit`` makes of them, each (n, outputs), in float64.

    A row's bits depend on that row and the weights only: not on the other rows, their number
    or order.
    """

    def ordered(leaf: Any) -> Any:
        return np.asarray(leaf, dtype=np.float64).view(_Ordered)

    params, state = tree.map_tree(ordered, params), tree.map_tree(ordered, state)
    outputs = np.empty((len(x), model.sizes[-1]))
    predicted = np.empty_like(outputs)
    tile = np.zeros((TILE, x.shape[1]))
    for start in range(0, len(x), TILE):
        rows = x[start : start + TILE]
        tile[: len(rows)] = rows
        tile[len(rows) :] = 0
        y, _ = model(params, state, tile)
        y = np.asarray(y)
        outputs[start : start + TILE] = y[: len(rows)]
        predicted[start : start + TILE] = np.asarray(output_unit(y))[: len(rows)]
    return outputs, predicted


def layers_text(sizes: Sequence[int]) -> str:
    """``11-64-32-3``."""
    return "-".join(map(str, sizes))
