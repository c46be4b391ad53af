"""Eigenvectors have NumPy's own signs, whichever triangle is read."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr


@pytest.mark.parametrize("side", ["L", "U", "u"])
def test_vectors_are_numpys(side: str) -> None:
    for a in np.random.default_rng(0).normal(size=(20, 6, 6)):
        values, vectors = cr.jit(lambda a: tuple(np.linalg.eigh(a, side)), executor="numpy")(a)
        expected = np.linalg.eigh(a, side)
        np.testing.assert_array_equal(vectors, expected.eigenvectors)
        np.testing.assert_array_equal(values, expected.eigenvalues)
        gradient = cr.grad(lambda a: np.linalg.eigvalsh(a, side)[0])(a)
        assert not np.any(np.triu(gradient, 1) if side == "L" else np.tril(gradient, -1))


def test_another_letter_is_refused() -> None:
    with pytest.raises(cr.errors.UnsupportedError, match="'L' or 'U', not 'X'"):
        cr.grad(lambda a: np.linalg.eigvalsh(a, "X")[0])(np.eye(2))
