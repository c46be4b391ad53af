"""``np.piecewise`` in the dtype of its argument, ``np.meshgrid`` in a container of NumPy's kind."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DtypeError

piecewise: Any = np.piecewise


@pytest.mark.parametrize(("dtype", "piece"), [("uint8", -1), ("int8", 300), ("uint8", np.nan)])
def test_a_piece_that_the_dtype_does_not_hold_is_refused(dtype: str, piece: float) -> None:
    x = np.ones(3, dtype)
    with pytest.raises((OverflowError, ValueError)):
        piecewise(x, [x > 0], [piece, 1])
    with pytest.raises(DtypeError, match="piecewise"):
        cr.jit(lambda x: piecewise(x, [x > 0], [piece, 1]))(x)
    held = cr.jit(lambda x: piecewise(x, [x > 0], [2.5, 1]))(x)
    assert (held.dtype, held.tolist()) == (dtype, [2, 2, 2])


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("copy", [True, False])
def test_meshgrid_is_a_list_where_numpys_is(sparse: bool, copy: bool) -> None:
    x = np.arange(3.0)
    found = cr.jit(lambda x: np.meshgrid(x, x, sparse=sparse, copy=copy))(x)
    assert type(found) is type(np.meshgrid(x, x, sparse=sparse, copy=copy))
