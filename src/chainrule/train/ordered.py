"""Weights whose matrix products add up in one order, where rows must not affect each other.

The machine's BLAS may round a row of a product differently where it stands elsewhere among its
neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ordered"]


class Ordered(np.ndarray):
    """An array whose matrix product adds ``x[:, k] * w[k]`` for k = 0, 1, ... in that order.

    Every other operation is NumPy's own. Each result entry comes from additions and products
    of single numbers, which IEEE 754 fixes: not from the shape, the neighbours or the machine.
    """

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [x.view(np.ndarray) if isinstance(x, Ordered) else x for x in inputs]
        if ufunc is np.matmul and method == "__call__":
            return _ordered_product(*plain)
        return getattr(ufunc, method)(*plain, **kwargs)


def _ordered_product(x: NDArray[Any], w: NDArray[Any]) -> NDArray[Any]:
    total = np.zeros((len(x), w.shape[1]), np.result_type(x, w))
    product = np.empty_like(total)
    for k in range(w.shape[0]):
        np.multiply(x[:, k, None], w[k], out=product)
        np.add(total, product, out=total)
    return total
