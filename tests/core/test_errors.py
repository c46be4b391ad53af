"""Errors teach: what was called, on which shapes, on which line of the user's, and the remedy.

Each row is a function that goes wrong on its own line, so the line number is known.
"""

from __future__ import annotations

import copy
import json
import math
import pickle
import re
import statistics
import struct
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.special
from numpy.polynomial.polynomial import polyval

import chainrule as cr
from chainrule.errors import (
    ChainruleError,
    DerivativeError,
    DtypeError,
    EscapedTracerError,
    IndexingError,
    MutationError,
    RecordingError,
    ShapeError,
    UnknownValueError,
    UnsupportedError,
    UsageError,
)

V = np.array([1.0, 2.0, 3.0])
M = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
P = np.polynomial.Polynomial
LINE = P([1.0, 2.0])
RNG = np.random.Generator(np.random.Philox(0))

Row = tuple[Callable[[Any], Any], type[Exception], tuple[str, ...]]


def line_of(f: Callable[..., Any]) -> str:
    """The last line of a function: where each of these goes wrong."""
    return f"{__file__}:{max(line for *_, line in f.__code__.co_lines() if line)}"


def message(error: pytest.ExceptionInfo[Exception]) -> str:
    return str(error.value)


def check(row: Row, call: Callable[[], Any]) -> None:
    f, kind, says = row
    with pytest.raises(kind) as error:
        call()
    assert isinstance(error.value, ChainruleError)
    for part in (line_of(f), *says):
        assert part in message(error), f"{part!r} is not in: {message(error)}"


SHAPES: list[Row] = [
    (lambda x: x + np.ones(2), ShapeError, ("np.add", "float64[3], float64[2]", "equal or 1")),
    (lambda x: np.ones((3, 2)) - x, ShapeError, ("np.subtract", "x[:, None], of shape (3, 1)")),
    (lambda x: (M * x) * M.T, ShapeError, ("np.multiply", "(2, 3) and (3, 2)", "transpose")),
    (lambda x: (M * x) @ M, ShapeError, ("np.matmul", "float64[2, 3]", "a.T @ b or a @ b.T")),
    (lambda x: np.ones((3, 2)) @ x, ShapeError, ("np.matmul", "lengths 2 and 3", "a.T @ b")),
    (lambda x: x @ np.ones((2, 3)), ShapeError, ("np.matmul", "a @ b.T would fit")),
    (lambda x: x @ 2.0, ShapeError, ("np.matmul", "use * instead")),
    (lambda x: np.dot(M, M * x), ShapeError, ("np.dot", "inner lengths 3 and 2", "a.T @ b")),
    (lambda x: np.inner(x, np.ones(2)), ShapeError, ("np.inner", "float64[2]", "differ")),
    (lambda x: np.vecdot(x, np.ones(1)), ShapeError, ("np.vecdot", "same length along axis -1")),
    (lambda x: np.einsum("ij,jk", M, M * x), ShapeError, ("np.einsum", "label 'j' has length 3")),
    (lambda x: np.einsum("ij->j", x), ShapeError, ("np.einsum", "has not 2 axes")),
    (lambda x: np.einsum("i->k", x), ShapeError, ("np.einsum", "output label")),
    (lambda x: np.einsum("i,i", x), ShapeError, ("np.einsum", "names 2 operands, 1 given")),
    (lambda x: np.tensordot(x, M, 1), ShapeError, ("np.tensordot", "axes [0] of float64[3]")),
    (lambda x: np.sum(x, axis=1), ShapeError, ("np.sum", "axis 1 is out of bounds", "float64[3]")),
    (lambda x: x.mean((0, 0)), ShapeError, ("np.mean", "same axis twice")),
    (lambda x: np.max(x[:0]), ShapeError, ("np.max", "no elements", "float64[0]")),
    (lambda x: np.quantile(x[:0], 0.5), ShapeError, ("np.quantile", "no elements")),
    (lambda x: x.reshape(2, 2), ShapeError, ("x.reshape", "float64[3]", "(3 elements)", "(2, 2)")),
    (lambda x: np.reshape(x, (2, -1)), ShapeError, ("np.reshape", "(2, -1)")),
    (lambda x: np.broadcast_to(x, (3, 2)), ShapeError, ("np.broadcast_to", "float64[3]", "(3, 2)")),
    (lambda x: np.squeeze(x, 0), ShapeError, ("np.squeeze", "its length is not 1")),
    (lambda x: x.transpose(0, 1), ShapeError, ("x.transpose", "axis 1 is out of bounds")),
    (lambda x: np.moveaxis(x, 0, 1), ShapeError, ("np.moveaxis", "out of bounds")),
    (lambda x: np.concatenate([x, M]), ShapeError, ("np.concatenate", "float64[3], float64[2, 3]")),
    (lambda x: np.concatenate([x[0]]), ShapeError, ("np.concatenate", "use np.stack")),
    (lambda x: np.stack([x, np.ones(2)]), ShapeError, ("np.stack", "float64[3], float64[2]")),
    (lambda x: np.split(x, 2), ShapeError, ("np.split", "2 equal parts", "np.array_split")),
    (lambda x: np.where(x > 0, x, V[:2]), ShapeError, ("np.where", "(3,) and (2,)")),
    (lambda x: np.linalg.inv(M * x), ShapeError, ("np.linalg.inv", "square", "float64[2, 3]")),
    (lambda x: np.linalg.solve(np.eye(2), x), ShapeError, ("np.linalg.solve", "float64[2, 2]")),
    (lambda x: np.linalg.cholesky(x), ShapeError, ("np.linalg.cholesky", "square matrices")),
    (lambda x: np.diag(M[None] * x), ShapeError, ("np.diag", "vector or a matrix")),
    (lambda x: np.quantile(x, 1.5), ShapeError, ("np.quantile", "between 0 and 1")),
    (lambda x: np.gradient(x[:1]), ShapeError, ("np.gradient", "too short")),
    (lambda x: x[5], ShapeError, ("x[...]", "index 5 is out of bounds", "float64[3]")),
    (lambda x: x[0, 0], ShapeError, ("x[...]", "too many indices", "1 axes, 2 indexed")),
    (lambda x: bool(x), ShapeError, ("truth value", "shape (3,)", "np.any")),
]


def _delete(x: Any) -> None:
    del x[0]


def _into_array(x: Any) -> None:
    array = np.zeros(3)
    array[:] = x


def _entry_into_array(x: Any) -> None:
    array = np.zeros(3)
    array[0] = x[0]


def _entry_added(x: Any) -> None:
    array = np.zeros(3)
    array[1] += x[0]


def _array_plus(x: Any) -> None:
    total = np.zeros(3)
    total += x


def _argument(x: Any, array: Any = V) -> None:
    array[0] = x[0]


IN_PLACE: list[Row] = [
    (_delete, MutationError, ("del x[...]", "np.delete(x, index)")),
    (_into_array, RecordingError, ("float64[3]", "Write array = np.zeros(3, like=x) in line")),
    (_entry_into_array, RecordingError, ("Write array = np.zeros(3, like=x) in line",)),
    (_array_plus, MutationError, ("np.add", "Write total = np.zeros(3, like=x) in line")),
    (_entry_added, RecordingError, ("Write array = np.zeros(3, like=x) in line",)),
    (_argument, RecordingError, ("Write array = np.array(array, like=x) before",)),
    (lambda x: np.sin(x, out=np.zeros(3)), MutationError, ("np.sin", "np.zeros(n, like=x)")),
    (lambda x: np.add.at(V, [0], x[0]), MutationError, ("np.add.at", "plain NumPy array")),
    (lambda x: np.add.reduce(x, out=V[:1]), MutationError, ("np.add.reduce", "like=")),
    (lambda x: x.resize(2), MutationError, ("x.resize(...)", "np.resize(x, shape)")),
    (lambda x: np.copyto(np.zeros(3), x), MutationError, ("np.copyto", "like=")),
    (lambda x: np.full_like(V, x[0]), UnsupportedError, ("np.full_like", "like=value")),
    (lambda x: np.clip(x, 0, 1, out=V), MutationError, ("np.clip", "like=")),
    (lambda x: np.broadcast_to(x, (2, 3)).fill(0), MutationError, ("x.fill", "read-only")),
    (lambda x: x[0].fill(0), MutationError, ("x.fill", "a single number")),
    (lambda x: x.astype(int).__iadd__(0.5), DtypeError, ("np.add", "same_kind", "int64")),
    (lambda x: x.__setitem__(3, 0.0), IndexingError, ("x[...] = v", "index 3 is out of bounds")),
    (lambda x: x.__setitem__(slice(2), V), ShapeError, ("x[...] = v", "(3,)", "(2,)")),
]

CONVERSIONS: list[Row] = [
    (lambda x: float(x[0]), RecordingError, ("float()", "no derivative", "np.sin(x)")),
    (lambda x: int(x[0]), RecordingError, ("int()", "np.astype(x, int)")),
    (lambda x: complex(x[0]), RecordingError, ("complex()",)),
    (lambda x: math.sin(x[0]), RecordingError, ("float()", "math.sin(x[0])", "Write np.sin(x[0])")),
    (lambda x: math.floor(x), RecordingError, ("math.floor(x)", "Write np.floor(x)")),
    (lambda x: np.float64(x[0]), RecordingError, ("Write cr.array(x[0]).astype(np.float64)",)),
    (lambda x: np.float32(x[0]), RecordingError, ("Write cr.array(x[0]).astype(np.float32)",)),
    (
        lambda x: np.float64(x),
        RecordingError,
        ("float64[3]", "Write cr.array(x).astype(np.float64)"),
    ),
    (lambda x: x[0].item(), RecordingError, (".item()", "x[i]")),
    (lambda x: x.tolist(), RecordingError, (".tolist()", "list(x)")),
    (lambda x: range(x[0]), RecordingError, ("index or count", "plain numbers")),
    (lambda x: [1, 2, 3][np.argmax(x)], RecordingError, ("index or count",)),
    (lambda x: np.array([x[0], x[1]]), RecordingError, ("cr.array([x[0], x[1]])",)),
    (lambda x: np.array([x, x]), RecordingError, ("cr.array([x, x])",)),
    (lambda x: np.array(x), RecordingError, ("Write cr.array(x)",)),
    (lambda x: np.asarray(x), RecordingError, ("Write cr.array(x)",)),
    (lambda x: np.array(x, dtype=object), RecordingError, ("Write cr.array(x)",)),
    (lambda x: np.array([x[0]], dtype=object), RecordingError, ("Write cr.array([x[0]])",)),
    (lambda x: np.asarray([x, 1.0], object), RecordingError, ("Write cr.array([x, 1.0])",)),
    (lambda x: np.sum([x[0], x[1]]), RecordingError, ("np.sum(cr.array([x[0], x[1]]))",)),
    (lambda x: np.max([*map(abs, x), *x]), RecordingError, ("np.max(cr.array([*map(abs, x)",)),
    (lambda x: np.max([abs(v) for v in x]), RecordingError, ("np.max(cr.array([abs(v) for v",)),
    (
        lambda x: np.concatenate([[x[0]], [x[1]]]),
        RecordingError,
        ("np.concatenate([cr.array([x[0]])",),
    ),
    (lambda x: np.r_[x, 1.0], RecordingError, ("np.concatenate([np.atleast_1d(x), np.atleast",)),
    (
        lambda x: np.r_[x, 1:9, :2, 3:9:2, 0:1:5j],
        RecordingError,
        ("np.arange(1, 9), np.arange(0, 2), np.arange(3, 9, 2), np.linspace(0, 1, 5)])",),
    ),
    (lambda x: np.c_[x, x], RecordingError, ("Write np.column_stack([x, x])",)),
    (
        lambda x: np.r_["0,2", x],
        RecordingError,
        ("cannot become a NumPy array in np.r_",),
    ),
    (lambda x: np.ascontiguousarray(x), RecordingError, ("Write cr.array(x)",)),
    (
        lambda x: np.full(3, x[0]),
        UnsupportedError,
        ("np.full(shape, value, like=value)",),
    ),
    (lambda x: np.arange(x[0]), RecordingError, ("np.arange(x[0])", "start + step * np.arange(n)")),
    (lambda x: V[np.argmax(x)], RecordingError, ("int64", "Write cr.array(V)[np.argmax(x)]")),
    (lambda x: V[x > 1], RecordingError, ("bool[3]", "Write cr.array(V)[x > 1]")),
    (
        lambda x: np.take(V, np.argsort(x)),
        RecordingError,
        ("int64[3]", "Write cr.array(V)[np.argsort(x)]"),
    ),
    (lambda x: V.dot(x), RecordingError, ("Write V @ x",)),
    (lambda x: np.vectorize(abs)(x), UnsupportedError, ("np.vectorize", "whole array")),
    (lambda x: np.frompyfunc(abs, 1, 1)(x), UnsupportedError, ("ufunc",)),
    (lambda x: np.fromiter((v for v in x), float), RecordingError, ("np.stack",)),
    (lambda x: RNG.normal(x), RecordingError, ("mean + scale * noise",)),
    (lambda x: RNG.normal(0, x[0], 3), RecordingError, ("mean + scale * noise",)),
    (lambda x: RNG.permutation(x), RecordingError, ("cannot become",)),
    (lambda x: pickle.dumps(x), RecordingError, ("pickling", "store it outside")),
    (lambda x: x.tobytes(), UnsupportedError, ("x.tobytes", "no memory of its own")),
    (lambda x: x.view(int), UnsupportedError, ("x.view", "no memory of its own")),
]

UNSUPPORTED: list[Row] = [
    (lambda x: np.linalg.eig(M.T @ M * x), UnsupportedError, ("np.linalg.eig", "np.linalg.eigh")),
    (lambda x: np.linalg.svd(M * x), UnsupportedError, ("np.linalg.svd", "full_matrices=False")),
    (lambda x: np.linalg.qr(M * x, "raw"), UnsupportedError, ("np.linalg.qr", "mode='raw'")),
    (lambda x: np.fft.fft(x), UnsupportedError, ("np.fft.fft", "complex", "np.convolve")),
    (lambda x: np.unique(x), UnsupportedError, ("np.unique", "depends on values")),
    (lambda x: np.histogram(x), UnsupportedError, ("np.histogram", "Counts jump")),
    (lambda x: np.polyfit(x, x, 1), UnsupportedError, ("np.polyfit", "np.linalg.lstsq")),
    (lambda x: np.roots(x), UnsupportedError, ("np.roots", "Newton step")),
    (lambda x: np.save("file", x), UnsupportedError, ("np.save", "outside")),
    (lambda x: np.nextafter(x, 1), UnsupportedError, ("np.nextafter", "bits")),
    (lambda x: np.lexsort((x, x)), UnsupportedError, ("np.lexsort", "np.argsort")),
    (lambda x: np.busday_count(x, x), UnsupportedError, ("np.busday_count", "Dates")),
    (lambda x: np.spacing(x), UnsupportedError, ("np.spacing", "bits")),
    (lambda x: scipy.special.ellipk(x), UnsupportedError, ("scipy.special.ellipk", "supported.md")),
    (lambda x: scipy.special.softmax(x), UnsupportedError, ("cr.nn.softmax",)),
    (lambda x: scipy.special.log_softmax(x), UnsupportedError, ("cr.nn.log_softmax",)),
    (lambda x: scipy.special.logsumexp(x), UnsupportedError, ("cr.nn.logsumexp",)),
    (lambda x: np.sin(x, where=x > 0), UnsupportedError, ("np.sin", "where=")),
    (lambda x: np.matmul(x, x, axes=[0, 0, ()]), UnsupportedError, ("np.matmul", "axes=")),
    (lambda x: np.add(x, x, signature="ff->f"), UnsupportedError, ("np.add", "signature=")),
    (lambda x: np.sort(x, order="a"), UnsupportedError, ("np.sort", "order=")),
    (lambda x: np.sum(x, out=np.zeros(())), MutationError, ("np.sum", "like=")),
    (lambda x: np.einsum("i->", x, out=np.zeros(())), MutationError, ("np.einsum", "like=")),
    (lambda x: np.einsum("i->", x, dtype=float), UnsupportedError, ("np.einsum", "dtype=")),
    (lambda x: np.ravel(x, order="K"), UnsupportedError, ("np.ravel", "order='K'", "memory")),
    (lambda x: np.reshape(x, 3, order="A"), UnsupportedError, ("np.reshape", "order='A'")),
    (lambda x: np.pad(x, 1, "reflect", reflect_type="odd"), UnsupportedError, ("reflect_type=",)),
    (lambda x: np.quantile(V, x[0]), UnsupportedError, ("np.quantile", "plain number")),
    (lambda x: np.quantile(x, 0.5, method="best"), UnsupportedError, ("best", "linear")),
    (lambda x: np.pad(x, 1, "empty"), UnsupportedError, ("np.pad", "mode='empty'")),
    (lambda x: np.add(x, x, where=V > 0), UnsupportedError, ("np.add", "where=", "np.where")),
    (lambda x: np.linalg.norm(x, 1j), UnsupportedError, ("np.linalg.norm", "1j")),
    (lambda x: P([x[0], 2.0]), UnsupportedError, ("Write np.polyval(cr.array([x[0], 2.0])[::-1]",)),
    (
        lambda x: LINE(x),
        UnsupportedError,
        ("np.polynomial.Polynomial.__call__", "polyval(x, p.conv"),
    ),
    (lambda x: P.fit(x, x, 1), RecordingError, ("np.polynomial.Polynomial.fit", "no derivative")),
    (
        lambda x: polyval(1.0, [x[0], 2.0]),
        UnsupportedError,
        ("Write np.polyval(cr.array([x[0], 2.0])[::-1], 1.0)",),
    ),
    (lambda x: scipy.special.zeta(x, 2.0), UnsupportedError, ("scipy.special.zeta of",)),
]

DTYPES: list[Row] = [
    (lambda x: x * 1j, DtypeError, ("np.multiply", "complex128", "real and imaginary part")),
    (lambda x: x.astype(complex), DtypeError, ("x.astype", "complex128")),
    (lambda x: x.astype(np.float16), DtypeError, ("float16", "float32 or float64")),
    (lambda x: x + "a", DtypeError, ("np.add", "not defined")),
    (lambda x: x + None, DtypeError, ("np.add", "NoneType")),
    (lambda x: x + np.array([1, None, "a"], object), DtypeError, ("np.add", "object")),
    (lambda x: ~x, DtypeError, ("np.invert", "float64")),
    (lambda x: x & x, DtypeError, ("np.bitwise_and", "float64")),
    (lambda x: np.add(x, x, dtype=int), DtypeError, ("np.add(dtype=int64)", "x.astype")),
    (lambda x: np.sin(x.astype(int), dtype=int), DtypeError, ("np.sin(dtype=int64)",)),
    (lambda x: np.concatenate([x, x], dtype=int), DtypeError, ("np.concatenate", "same_kind")),
    (lambda x: np.ldexp(x, x), DtypeError, ("np.ldexp", "integers")),
    (lambda x: x * Fraction(1, 2), DtypeError, ("np.multiply", "a Fraction", "write float(x)")),
]


@pytest.mark.parametrize("row", SHAPES + IN_PLACE + CONVERSIONS + UNSUPPORTED + DTYPES)
def test_message_names_call_shapes_line_and_remedy(row: Row) -> None:
    check(row, lambda: cr.vjp(row[0], V))


def _deep(x: Any) -> Any:
    def product(row: Any) -> Any:
        return row @ np.ones(2)  # this line is at fault

    return np.sum(np.apply_along_axis(product, 0, x * 2))


def test_innermost_line_of_a_deep_call() -> None:
    with pytest.raises(ShapeError, match="lengths 3 and 2") as error:
        cr.grad(_deep)(V)
    assert f"{__file__}:{_deep.__code__.co_firstlineno + 2})" in message(error)
    assert "np.matmul" in message(error)
    assert message(error).count("test_errors.py") == 1


def test_line_of_the_users_not_of_numpys() -> None:
    f = lambda x: np.piecewise(x, [x > 1], [lambda x: np.linalg.eig(x)])  # noqa: E731
    with pytest.raises(UnsupportedError) as error:
        cr.vjp(f, V)
    assert line_of(f) in message(error)


# Values that are not known ----------------------------------------------------------------

PYTHONS: list[Row] = [
    (
        lambda x: json.dumps(x[0]),
        RecordingError,
        ("json.dumps(x[0])", "float64", "do this outside"),
    ),
    (lambda x: struct.pack("d", x[0]), RecordingError, ("float() of", "struct.pack(")),
    (lambda x: "%d" % x[0], RecordingError, ("int() of", '"%d" % x[0]')),  # noqa: UP031
    (lambda x: Fraction(x[0]), RecordingError, ("Fraction(x[0])", "as_integer_ratio")),
    (lambda x: Decimal(x[0]), RecordingError, ("Decimal(x[0])", "static_argnames=")),
    (lambda x: statistics.stdev([x[0], x[1]]), RecordingError, ("np.std(cr.array(", "ddof=1)")),
    (lambda x: math.hypot(x[0], 2), RecordingError, ("Write np.hypot(x[0], 2)",)),
    (lambda x: math.lgamma(x[0]), RecordingError, ("Write scipy.special.gammaln(x[0])",)),
    (lambda x: np.ones(round(x[0])), RecordingError, ("np.ones(round(x[0]))", "traced int64")),
    (lambda x: RNG.normal(size=round(x[0])), RecordingError, ("index or count made",)),
    (lambda x: [0.0] * round(x[0]), RecordingError, ("list", "to repeat a list", "plain number")),
    (lambda x: len(x[0]), RecordingError, ("len()", "single number")),
    (lambda x: list(x[0]), RecordingError, ("iteration", "np.atleast_1d(x)")),
    (lambda x: pow(x[0], 2, 3), RecordingError, ("np.remainder(x**y, z)",)),
    (lambda x: round(x, 1), RecordingError, ("Write np.round(x, 1)",)),
    (lambda x: x[0].hex(), RecordingError, ("'hex'", "do this outside")),
]


@pytest.mark.parametrize("row", PYTHONS)
def test_what_python_says_is_told_again(row: Row) -> None:
    check(row, lambda: cr.vjp(row[0], V))


def test_the_users_own_errors_stay_as_they_are() -> None:
    def own(x: Any) -> Any:
        raise TypeError("my 'Traced' thing")

    def missing(x: Any) -> Any:
        return x.typo + own(x)

    def deeper(x: Any) -> Any:
        return sorted([3, 2], key=lambda k: own(x))

    for f, kind, says in (
        (own, TypeError, "my"),
        (missing, AttributeError, "typo"),
        (deeper, TypeError, "my"),
    ):
        with pytest.raises(kind, match=says) as error:
            cr.grad(f)(2.0)
        assert type(error.value) is kind


UNKNOWN: list[Row] = [
    (lambda x: x if x[0] > 0 else -x, UnknownValueError, ("a branch", "bool", "np.where")),
    (lambda x: max(x[0], x[1]), UnknownValueError, ("a branch", "np.where")),
    (lambda x: sorted(x), UnknownValueError, ("a branch",)),
    (lambda x: x[x > 0], UnknownValueError, ("mask", "bool[3]")),
    (lambda x: np.nonzero(x), UnknownValueError, ("np.nonzero", "float64[3]")),
    (lambda x: np.repeat(x, x.astype(int)), UnknownValueError, ("np.repeat", "int64[3]")),
    (lambda x: np.delete(x, np.argmax(x)), UnknownValueError, ("np.delete", "int64")),
    (lambda x: np.linalg.lstsq(M.T * x[:, None], x), UnknownValueError, ("np.linalg.pinv",)),
    (lambda x: np.allclose(x, 0), UnknownValueError, ("a branch",)),
    (lambda x: float(x[0]), RecordingError, ("float()",)),
]


@pytest.mark.parametrize("row", UNKNOWN)
@pytest.mark.parametrize("way", [cr.jit, cr.trace])
def test_unknown_values(row: Row, way: Callable[..., Any]) -> None:
    check(row, lambda: way(row[0])(V))


def test_branches_on_values_work_under_grad() -> None:
    assert cr.grad(lambda x: x * 3 if x > 0 else -x)(2.0) == 3
    assert cr.grad(lambda x: max(x, 1.0))(2.0) == 1
    np.testing.assert_array_equal(cr.grad(lambda x: sorted(x)[0])(V), [1, 0, 0])
    np.testing.assert_array_equal(cr.grad(lambda x: np.sum(x[x > 1]))(V), [0, 1, 1])


def test_the_unknown_value_names_where_it_was_made() -> None:
    def f(x: Any) -> Any:
        y = np.sin(x)
        return y if y > 0 else x

    with pytest.raises(UnknownValueError) as error:
        cr.jit(f)(1.0)
    first = f.__code__.co_firstlineno
    assert f"{__file__}:{first + 2}" in message(error)


# Arguments and results --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: cr.grad(lambda x: x * 2)(3), DtypeError, "'x'.* is int, .*Pass a float"),
        (lambda: cr.grad(lambda x: x * 2)(True), DtypeError, "'x'.* is bool"),
        (lambda: cr.grad(np.sum)(np.arange(3)), DtypeError, "int64, which has no derivative"),
        (lambda: cr.grad(lambda p: p["w"])({"w": 1}), DtypeError, "'p/w'.*is int"),
        (lambda: cr.grad(lambda x: x)(1j), DtypeError, "complex.*real and the imaginary part"),
        (lambda: cr.jvp(np.sin, (1,), (1.0,)), DtypeError, "is int"),
        (lambda: cr.jit(np.sum)(V.astype(">f8")), DtypeError, "'a' of sum: dtype >f8.*x.astype"),
        (
            lambda: cr.jit(cr.grad(lambda p: p["a"]))({"a": 1.0, "i": 3}),
            DtypeError,
            "'p/i'.* is int,",
        ),
        (
            lambda: cr.grad(3)(2.0),
            UsageError,
            r"cr.grad takes a function, not an int .*test_errors",
        ),
        (lambda: cr.grad(np.sin)(V), DerivativeError, r"float64\[3\].*cr\.jacobian"),
        (lambda: cr.grad(lambda x: (x, x))(1.0), DerivativeError, "returned a tuple.*has_aux"),
        (lambda: cr.grad(lambda x: None)(1.0), DerivativeError, "returned None"),
        (lambda: cr.grad(lambda x: x > 0)(1.0), DerivativeError, "returned bool.*no derivative"),
        (lambda: cr.grad(lambda x: "a")(1.0), DerivativeError, "returned a str"),
        (lambda: cr.grad(lambda x: x, argnums=2)(1.0), UsageError, "argnums=2"),
        (lambda: cr.grad(lambda x: x)("a"), DtypeError, "str"),
        (lambda: cr.vjp(np.sin, V)[1](np.ones(2)), ShapeError, r"shape \(2,\).*\(3,\)"),
        (lambda: cr.vjp(np.sin, V)[1](V.astype(np.float32)), DtypeError, "float32.*float64"),
        (lambda: cr.jvp(np.sin, (V,), (V[:2],)), ShapeError, r"shape \(2,\).*\(3,\)"),
        (lambda: cr.jvp(np.sin, V, V), UsageError, "takes tuples"),
        (lambda: cr.value_and_grad(lambda x: x, has_aux=True)(1.0), UsageError, "pair"),
    ],
)
def test_arguments_and_results(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        call()


def test_an_escaped_value_says_so() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 2)
        return np.sum(x)

    cr.grad(f)(V)
    for use in (lambda x: x + 1, np.sin, bool, lambda x: x[0], lambda x: cr.grad(np.sum)(x)):
        with pytest.raises(EscapedTracerError, match="has_aux=True"):
            use(kept[0])
    with pytest.raises(EscapedTracerError):
        cr.grad(lambda x: np.sum(x * kept[0]))(V)
    assert "Traced(float64[3])" in repr(kept[0])


# What does work, and keeps being no array of objects -------------------------------------


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: sum([x[0], x[1]]), [1, 1, 0]),
        (lambda x: sum(x), [1, 1, 1]),
        (lambda x: max(x), [0, 0, 1]),
        (lambda x: min(x[0], x[1]), [1, 0, 0]),
        (lambda x: sorted(x, reverse=True)[0], [0, 0, 1]),
        (lambda x: np.sum(copy.copy(x) * copy.deepcopy(x)), [2, 4, 6]),
        (lambda x: np.sum(copy.deepcopy({"x": x})["x"]), [1, 1, 1]),
        (lambda x: round(x[0], 1) + x[1], [0, 1, 0]),
        (lambda x: x[1] * math.floor(x[1] + 0.5) * math.ceil(x[2] - 0.5), [0, 6, 0]),
        (lambda x: x[0] * math.trunc(x[2] + 0.5) * max(round(x[1]), 1), [6, 0, 0]),
        (lambda x: x[0] if x[0].is_integer() else x[1], [1, 0, 0]),
        (lambda x: np.float64(2) * x[0], [2, 0, 0]),
        (lambda x: np.float32(2) * x[0], [2, 0, 0]),
        (lambda x: np.sum(V * x), [1, 2, 3]),
        (lambda x: np.take_along_axis(V, np.argmax(x)[None], 0)[0] * x[0], [3, 0, 0]),
        (lambda x: np.sum(np.stack([x[0], 2.0])), [1, 0, 0]),
    ],
)
def test_what_works(f: Callable[[Any], Any], expected: list[float]) -> None:
    np.testing.assert_array_equal(cr.grad(f)(V), expected)


def test_text_shows_the_value() -> None:
    seen: list[str] = []

    def f(x: Any) -> Any:
        seen.extend([f"{x[0]:.2f}", str(x), repr(x[1]), np.array_str(x)])
        return np.sum(x)

    cr.grad(f)(V)
    assert seen[0] == "1.00"
    assert "float64[3]" in seen[1]
    assert "2." in seen[2]
    assert "3." in seen[3]


def test_rebinding_is_not_assignment() -> None:
    def f(x: Any) -> Any:
        t = x
        t += V
        t *= 2
        t -= 1
        t /= 2
        t **= 2
        return np.sum(t)

    np.testing.assert_allclose(cr.grad(f)(V), 2 * (V + V - 0.5))


@pytest.mark.parametrize(
    ("call", "written"),
    [
        (lambda v: np.exp(v), "np.exp(cr.array(v))"),
        (lambda v: np.median(v, 0), "np.median(cr.array(v), 0)"),
        (lambda v: np.dot(v, v), "np.dot(cr.array(v), cr.array(v))"),
        (lambda v: np.where([True, False], v, 0), "np.where([True, False], cr.array(v), 0)"),
        (lambda v: np.interp(0.5, [0, 1], v), "np.interp(0.5, [0, 1], cr.array(v))"),
    ],
)
def test_of_a_name_for_a_list_of_traced_values_the_array_is_written(call, written):
    with pytest.raises(RecordingError, match=re.escape(f"Write {written}")):
        cr.grad(lambda x: call([x[0], 2 * x[1]]))(np.array([1.0, 2.0]))
