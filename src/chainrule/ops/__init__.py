"""Every operation: its value, its derivative, and NumPy's functions in terms of them."""

from chainrule.ops import (
    analytic,
    contract,
    elementwise,
    linalg,
    random,
    reduce,
    special,
    structure,
)
from chainrule.ops.surface import algebra, arithmetic, indexing, products, reductions, shaping

__all__ = [
    "algebra",
    "analytic",
    "arithmetic",
    "contract",
    "elementwise",
    "indexing",
    "linalg",
    "products",
    "random",
    "reduce",
    "reductions",
    "shaping",
    "special",
    "structure",
]
