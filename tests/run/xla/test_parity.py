"""The XLA executor agrees with the interpreter: primitive by primitive, and on random graphs.

XLA takes long to compile, so many graphs become one program. Numbers below the smallest normal one
are 0 there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("jax")

from chainrule.compile import optimise
from chainrule.core.graph import Graph
from chainrule.core.node import PRIMITIVES, Sample
from chainrule.errors import DtypeError
from chainrule.ops.random import key_of, random_uniform
from chainrule.run import executor_named, interpreter
from chainrule.run.xla.lowering import is_called_out
from chainrule.run.xla.rows import CHECKED, RECORDED, ROUNDED, ROWS, WITHOUT_ROW
from tests.helpers.native_graphs import graph_of, random_case

CALLED_OUT = {
    "binom", "expn", "iv", "ive", "j0", "j1", "jv", "k0", "k1", "kv", "lambertw", "poch",
    "polygamma_rise", "round_decimal", "y0", "y1", "yv",
}  # fmt: skip
"""What the interpreter computes inside a program: whoever writes a row takes it out."""
GRAPHS = int(os.environ.get("CHAINRULE_XLA_GRAPHS", "10"))
FULL = GRAPHS > 10
"""Whether every sample, dtype and shape is tried, or a slice: XLA compiles for minutes."""

Case = tuple[Graph, Sequence[np.ndarray]]


def together(cases: Sequence[Case]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the interpreter makes of graphs, and XLA of all of them as one."""
    free = [x for g, _ in cases for x in g.free_inputs]
    hidden = [x for g, _ in cases for x in g.inputs[len(g.free_inputs) :]]
    whole = Graph(
        (*free, *hidden),
        tuple(y for g, _ in cases for y in g.outputs),
        tuple(value for g, _ in cases for value in g.captures),
    )
    wanted = [y for g, given in cases for y in interpreter.compile(g)(given)]
    return wanted, executor_named("xla").compile(whole)([x for _, given in cases for x in given])


def test_every_primitive_has_a_row_or_a_stated_call_out() -> None:
    lowered = {*ROWS, *CHECKED, *RECORDED, *WITHOUT_ROW}
    assert set(ROUNDED) <= set(ROWS)
    assert lowered | CALLED_OUT == set(PRIMITIVES)
    assert not lowered & CALLED_OUT
    assert len(lowered) == sum(map(len, (ROWS, CHECKED, RECORDED, WITHOUT_ROW)))


def test_every_primitive_at_its_samples() -> None:
    names, cases = [], []
    for name, primitive in PRIMITIVES.items():
        for sample in (
            ()
            if name in (*WITHOUT_ROW, "bundle", "item")
            else primitive.samples()[: None if FULL else 1]
        ):
            graph = graph_of(primitive, sample)
            assert is_called_out(graph.outputs[0]) == (name in CALLED_OUT)
            names.append(name)
            cases.append((graph, sample.inputs))
    wanted, found = together(cases)
    for name, x, y in zip(names, wanted, found, strict=True):
        assert (y.shape, y.dtype) == (x.shape, x.dtype), name
        tolerance = 2e-6 if x.dtype == np.float32 else 1e-13  # as machine code is held to
        np.testing.assert_allclose(
            y, x, rtol=tolerance, atol=tolerance, equal_nan=True, err_msg=name
        )


def points(kind: str) -> np.ndarray:
    dtype = np.dtype(kind)
    if kind == "bool":
        return np.array([True, False])
    if dtype.kind == "f":
        most = np.finfo(dtype).max
        return np.array([0.0, -0.0, 1, -1, 0.5, -2.5, 3, 1e30, np.inf, -np.inf, np.nan, most / 8],
                        dtype)  # fmt: skip
    limits = np.iinfo(dtype)
    return np.array([0, 1, 2, 3, 7, 100, limits.min, limits.max, limits.max - 1], dtype)


UNARY = ("negative", "square", "abs", "sign", "floor", "ceil", "trunc", "round", "isfinite",
         "isnan", "isinf", "signbit", "reciprocal", "sqrt", "logical_not", "invert")  # fmt: skip
BINARY = ("add", "subtract", "multiply", "divide", "remainder", "fmod", "floor_divide", "equal",
          "less", "greater_equal", "maximum", "minimum", "logical_xor", "bitwise_and",
          "bitwise_xor", "left_shift", "right_shift")  # fmt: skip


def test_arithmetic_has_numpys_semantics_at_its_edges() -> None:
    """Infinities, NaN, -0, division by zero, overflow and shifts by too much, in every dtype."""
    names, cases = [], []
    kinds = ("float32", "int8", "int64", "uint64", "float64", "int32", "uint8", "bool")
    for kind in kinds[: None if FULL else 4]:
        pairs = [a.ravel() for a in np.meshgrid(points(kind), points(kind))]
        for name in (*UNARY, *BINARY):
            given = pairs[: 1 if name in UNARY else 2]
            try:
                graph = graph_of(PRIMITIVES[name], Sample(tuple(given)))
            except DtypeError:  # it does not take this dtype
                continue
            names.append((name, kind))
            cases.append((graph, given))
    assert len(names) > (150 if FULL else 80)
    wanted, found = together(cases)
    for (name, kind), x, y in zip(names, wanted, found, strict=True):
        if x.dtype.kind == "f":  # 1 over the largest number is below the smallest normal one
            x = np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(0, x), x)
        np.testing.assert_array_equal(y, x, err_msg=f"{name} {kind}")
        if x.dtype.kind == "f" and name not in ("maximum", "minimum"):
            known = ~np.isnan(x)
            np.testing.assert_array_equal(np.signbit(y[known]), np.signbit(x[known]), name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_functions_hold_where_samples_do_not_reach(dtype: str) -> None:
    """XLA's ``erfcx`` is 0 about 26.6 (float32: 9.3), where its ``erfc`` ends; its logarithm of the
    normal distribution function has 10 digits at -20 and none at 8."""
    tails = np.array([-1e5, -40, -20.5, -5, -1, -0.0, 0, 1e-5, 2, 5, 8, 9, np.inf, -np.inf, np.nan])
    ends = np.array([-37.56, -13.1, 9.2, 9.3, 26.0, 26.55, 26.6, 30, 1e5, 1e20])
    x = np.concatenate([tails, ends]).astype(dtype)
    cases = [(graph_of(PRIMITIVES[name], Sample((x,))), (x,))
             for name in ("erfcx", "mills", "log_ndtr", "digamma")]  # fmt: skip
    for x, y in zip(*together(cases), strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-12 if dtype == "float64" else 2e-6)


def test_convolutions_of_integers_are_exact() -> None:
    """XLA's own goes by floats."""
    pairs = [np.array([2**63 - 1, 5, -7]), np.array([3, 2**50])]
    cases = [(graph_of(PRIMITIVES["convolve"], Sample(tuple(given))), given)
             for given in (pairs, [np.stack([x, x[::-1]]) for x in pairs])]  # fmt: skip
    for x, y in zip(*together(cases), strict=True):
        np.testing.assert_array_equal(x, y)


def test_random_numbers_have_numpys_bits() -> None:
    keys = [
        key_of(3),
        np.array([2**64 - 1, 2**63], np.uint64),
        np.array([[0, 0], [5, 2**40]], np.uint64),
    ]
    cases = []
    shapes = ((7,), (), (0,), (1,), (3, 5), (1025,))
    for key in keys if FULL else keys[1:]:
        for dtype in ("float32", "float64"):
            for shape in shapes if FULL else shapes[:1]:
                attrs = {"shape": shape, "dtype": dtype}
                cases.append((graph_of(random_uniform, Sample((key,), attrs)), (key,)))
    wanted, found = together(cases)
    for x, y in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype


def test_random_graphs() -> None:
    """Graphs as recorded, by the interpreter, against all passes and XLA: 20 of them a program.

    Smooth ones within roundings, for XLA adds in another order; those of small whole numbers,
    infinities and NaN exactly.
    """
    for start in range(0, GRAPHS, 20):
        seeds = range(start, min(start + 20, GRAPHS))
        cases = [random_case(seed, smooth=bool(seed % 2)) for seed in seeds]
        wanted = [y for graph, given in cases for y in interpreter.compile(graph)(given)]
        _, found = together([(optimise(graph), given) for graph, given in cases])
        of = [(seed, g) for seed, (g, _) in zip(seeds, cases, strict=True) for _ in g.outputs]
        for (seed, graph), x, y in zip(of, wanted, found, strict=True):
            single = any(node.type.dtype == np.float32 for node in graph.nodes)
            rtol = (1e-5 if single else 1e-10) if seed % 2 else 0.0
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            np.testing.assert_allclose(
                y, x, rtol=rtol, atol=rtol, equal_nan=True, err_msg=f"seed {seed}"
            )
