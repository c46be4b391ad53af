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
from chainrule.ops.surface import (
    algebra,
    arithmetic,
    differences,
    grids,
    indexing,
    joining,
    products,
    reductions,
    repeating,
    shaping,
    statistics,
    ufunc_methods,
)

__all__ = [
    "algebra",
    "analytic",
    "arithmetic",
    "contract",
    "differences",
    "elementwise",
    "grids",
    "indexing",
    "joining",
    "linalg",
    "products",
    "random",
    "reduce",
    "reductions",
    "repeating",
    "shaping",
    "special",
    "statistics",
    "structure",
    "ufunc_methods",
]
