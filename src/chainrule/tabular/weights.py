"""The weights of rows, which a column has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.tabular.table import Table

__all__ = ["row_weights"]


def row_weights(table: Table, name: str, *, some: bool = True) -> NDArray[np.float64]:
    """The weight of each row: finite, not negative, none missing, and with ``some`` not all 0.
    DataError names the cell."""
    column = table[name]
    if column.numbers is None:
        row, wrong = column.obstacle[0] if column.obstacle else 0, "is not a number"
    else:
        bad = ~(np.isfinite(column.numbers) & (column.numbers >= 0))
        if not bad.any():
            if some and not column.numbers.any():
                raise DataError(f"{table.source}: every weight in {name!r} is 0")
            return column.numbers
        row, wrong = int(np.argmax(bad)), "is not a finite number from 0 up"
    raise DataError(
        f"{table.where(row, name)}: the weight {column.shown(row)} {wrong}; every row needs one"
    )
