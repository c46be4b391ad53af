"""Methods and operators of an array: what NumPy's take, they take, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleError
from tests.helpers.surface import check_value, lines

VALUES = lines("""
B ** 2 + (v > 0) ** 2
((v > 0) ** 2).dtype == np.int8
(v > 0) ** np.int64(2)
np.power(v > 0, 2)
(v[0] > 0) ** 2
round(v[0], 1)
v.astype(np.float32, casting="same_kind")
v.astype(int, order="C", subok=False, copy=True)
v.copy(order="F")
v.reshape(2, 2, order="F")
m.flatten("F")
m.transpose(None)
np.logaddexp.reduce(e, axis=1)
np.logaddexp.reduce(e, axis=1, keepdims=True)
np.logaddexp.reduce(e)
""")

REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: x.astype(int, casting="safe"), "x.astype.*casting|x.astype.*according to the rule"),
    (lambda x: x.astype(float, order="x"), "x.astype.*order must be"),
    (lambda x: x.copy(order="x"), "x.copy.*order must be"),
    (lambda x: x.flatten("A"), "x.flatten.*'A'"),
    (lambda x: x.reshape(), "x.reshape.*takes a shape"),
    (lambda x: x.transpose(()), "x.transpose"),
    (lambda x: x.std(correction=1), "x.std.*correction"),
    (lambda x: x.clip(a_min=0), "x.clip.*a_min"),
    (lambda x: x.mT, "x.mT.*no matrix"),
    (lambda x: x.strides, "x.strides.*memory"),
    (lambda x: x.flags, "x.flags.*memory"),
    (lambda x: round(x), r"round\(\) of.*np.round"),
    (lambda x: np.poly(np.outer(x, x)), "np.poly.*eigvalsh"),
    (lambda x: np.astype(x, np.uint8) ** -1, "np.power"),
    (lambda x: np.tril(x[0]), "np.tril.*no triangle"),
    (lambda x: np.isin(0, np.astype(x * 4e18, int), kind="table"), "np.isin.*range of values"),
    (lambda x: np.ravel_multi_index((np.astype(x, int),), (3,)), "np.ravel_multi_index.*invalid"),
]


@pytest.mark.parametrize("text", VALUES)
def test_value_equals_numpys(text: str) -> None:
    check_value(text)


@pytest.mark.parametrize(("call", "says"), REFUSED)
def test_what_numpy_refuses_is_refused_by_name(call: Callable[[Any], Any], says: str) -> None:
    x = np.array([1.5, -2.0, 0.5])
    for run in (lambda: cr.vjp(call, x), lambda: cr.jit(call)(x)):
        with pytest.raises(ChainruleError, match=says):
            run()


def test_round_of_a_scalar_is_a_whole_number() -> None:
    found = cr.jit(lambda x: round(x[0]))(np.array([2.5]))
    assert np.array_equal(found, round(np.float64(2.5)))
    assert found.dtype.kind == "i"


def test_a_python_number_counts_as_scipy_counts_it() -> None:
    """Of most functions of two arguments it is a float64, beside float32 too."""
    special = pytest.importorskip("scipy.special")
    x = np.array([1.5, 0.25], np.float32)
    for ufunc in (special.beta, special.betaln, special.expn, special.xlogy):
        got, wanted = cr.jit(lambda x, f=ufunc: f(2, x))(x), ufunc(2, x)
        assert got.dtype == wanted.dtype, ufunc
        np.testing.assert_allclose(got, wanted, rtol=4 * np.finfo(got.dtype).eps)
