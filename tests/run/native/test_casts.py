"""Floats as integers in machine code: NumPy's answer, for what the integer cannot hold too."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("llvmlite")

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
INSIDE = [0.0, -0.0, 0.5, 1.9, -0.9, 100.7, 127.0]
OUTSIDE = [
    -1.0, -1.5, -200.0, 300.7, 7e4, -7e4, 2.0**31 - 0.5, 2.0**31, -(2.0**31), -(2.0**31) - 0.5,
    -(2.0**31) - 1, 3e9, -3e9, 2.0**32, 5e9, 1e10, -1e10, 2.0**62 + 2.0**40, 9.3e18, 2.0**63,
    -(2.0**63), 1e19, -1e19, 1.8e19, 2.0**64, 2e19, 1e38, -1e38, np.nan, np.inf, -np.inf,
]  # fmt: skip
ON_X86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="C leaves it open, and so do we"
)


@pytest.mark.parametrize("integer", INTEGERS)
@pytest.mark.parametrize("floating", ["float32", "float64"])
@pytest.mark.parametrize("values", [INSIDE, pytest.param(OUTSIDE, marks=ON_X86)])
def test_a_float_becomes_the_integer_that_numpy_makes(
    values: list[float], floating: str, integer: str
) -> None:
    x = np.array(values, floating)
    with np.errstate(all="ignore"):
        # One by one: for uint32 NumPy's vectors answer otherwise than its scalars.
        expected = np.array([np.asarray(v).astype(integer)[()] for v in x])
    for n in (1, len(x)):
        found = cr.jit(lambda x: x.astype(integer))(x[:n])
        assert found.dtype == expected.dtype
        assert found.tolist() == expected[:n].tolist()
    scalars = [cr.jit(lambda x: np.astype(x, integer))(v) for v in x[-3:]]
    assert [int(v) for v in scalars] == expected[-3:].tolist()
