"""What NumPy refuses while a graph runs is an error of ours that names the user's line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleError, IndexingError

REFUSED: list[tuple[Callable[..., Any], tuple[Any, ...], type[Exception]]] = [
    (lambda x, i: x[i], (np.arange(4.0), np.array([0, 9])), IndexingError),
    (lambda x, n: x**n, (np.array([2, 3]), np.array([-1, 2])), ValueError),
]


@pytest.mark.parametrize("executor", ["numpy", "native"])
@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_errors_of_numpy_become_ours(case: int, executor: str) -> None:
    f, args, kind = REFUSED[case]
    with pytest.raises(kind) as caught:
        cr.jit(f, executor=executor)(*args)
    assert isinstance(caught.value, ChainruleError)
    if executor == "numpy" or case == 1:  # machine code knows no line of an index
        assert f"{__file__}:" in str(caught.value)


def test_a_singular_matrix_stays_numpys_error() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        cr.jit(np.linalg.inv)(np.zeros((2, 2)))
