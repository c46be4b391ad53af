"""Functions that arrange, join, split, repeat, pad and lay out equal NumPy's."""

from __future__ import annotations

import pytest

from tests.helpers.expressions.shaping import MOVES
from tests.helpers.surface import check_gradient, check_value, lines

CONSTANTS = lines("""
np.zeros_like(m)
np.ones_like(m)
np.ones_like(m, dtype=int)
np.zeros_like(m, shape=(2,))
np.zeros_like(v > 0)
np.full_like(v, 2.0)
np.full_like(v, 2, dtype=int)
np.full_like(v, s, dtype=np.float32)
np.concatenate([v, w], dtype=np.float32)
np.stack([v, w], dtype=np.float32)
np.hstack([v > 0, w > 0])
np.concatenate([(v * 2).astype(int), I])
np.concatenate([(v * 2).astype(int), w])
np.linspace(s, 9.0, 4, dtype=int)
np.trace(a, dtype=np.float32)
np.trace((a * 2).astype(int))
np.tril((a * 2).astype(int))
np.pad((v * 2).astype(int), 1, constant_values=2.7)
np.diag((v * 2).astype(np.int32), 1)
np.roll(v > 0, 1)
np.poly((v * 2).astype(np.uint8))
np.tile(v[:0], -1)
np.where(v > 0)
np.nonzero(v > 0)
(m > 0).nonzero()
np.flatnonzero(m > 0)
np.argwhere(m > 0)
""")
KNOWN_ONLY = {text for text in CONSTANTS if "nonzero" in text or "where(" in text}


@pytest.mark.parametrize("text", MOVES + CONSTANTS)
def test_value_equals_numpys(text: str) -> None:
    # np.full_like asks its first argument alone; tests/core/test_errors.py has the other case
    check_value(text, abstract=text not in KNOWN_ONLY, alone="np.full_like" not in text)


@pytest.mark.parametrize("text", MOVES)
def test_derivative(text: str) -> None:
    check_gradient(text)
