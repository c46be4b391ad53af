"""Products, einsum, convolutions and linear algebra equal NumPy's."""

from __future__ import annotations

import pytest

from tests.helpers.expressions.products import FACTORS, NORMS, PRODUCTS
from tests.helpers.surface import check_gradient, check_value, lines

UNKNOWN_SHAPES = {text for text in FACTORS if "lstsq" in text}

VALUES = lines("""
m.astype(np.float32) @ c
(m * 3).astype(int) @ P
(m > 0) @ B3
np.dot((v * 2).astype(int), I)
np.inner(v > 0, B)
np.einsum("i,i", (v * 2).astype(int), I)
np.linalg.matrix_rank(m)
np.linalg.matrix_rank(np.stack([m, m[:, :1] * K3]))
np.linalg.matrix_rank(v)
np.linalg.matrix_rank(a, tol=10.0)
np.linalg.lstsq(tall, v)
np.linalg.lstsq(wide, m)
np.linalg.lstsq(a, short)
np.linalg.inv((a * 3).astype(int))
np.linalg.norm((v * 3).astype(int))
np.linalg.det((a * 3).astype(int))
np.linalg.norm(v.astype(np.float32), 3)
""")


@pytest.mark.parametrize("text", PRODUCTS + NORMS + FACTORS + VALUES)
def test_value_equals_numpys(text: str) -> None:
    check_value(text, abstract="lstsq" not in text)


@pytest.mark.parametrize("text", PRODUCTS + NORMS + FACTORS)
def test_first_and_second_derivative(text: str) -> None:
    check_gradient(text, second=True)
