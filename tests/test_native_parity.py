"""The native executor agrees with the interpreter: primitive by primitive, and on random graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from native_graphs import random_case

pytest.importorskip("llvmlite")

import chainrule.ops  # noqa: F401
from chainrule.compile import PASSES, optimise
from chainrule.core.graph import INPUT, PRIMITIVES, Graph, Sample
from chainrule.core.recording import Recording
from chainrule.core.types import type_of
from chainrule.run import interpreter, native
from chainrule.run.native import externals
from chainrule.run.native.buffers import INLINE, LOOPS, VIEWS, is_called_out
from chainrule.run.native.elementwise import ELEMENTWISE
from chainrule.run.native.externals import SPECIAL

CALLED_OUT = {
    "argsort", "cholesky", "cofactor", "convolve", "det", "eigh", "inv", "iv", "jv", "pinv",
    "polygamma", "qr", "searchsorted", "slogdet", "solve", "svd",
}  # fmt: skip
"""What the interpreter computes inside a native program: whoever lowers one takes it out."""
PASSED_THROUGH = {"input", "constant", "identity", "stop_gradient", "custom"}


def graph_of(primitive: Any, sample: Sample) -> Graph:
    recording = Recording(eager=False)
    inputs = [recording.input(type_of(x), name=f"x{i}") for i, x in enumerate(sample.inputs)]
    y = recording.emit(primitive, inputs, dict(sample.attrs))
    return recording.graph(inputs, [y], "f")


def compare(graph: Graph, arguments: list[np.ndarray], rtol: float) -> None:
    """Fail where the executors differ: by more than ``rtol``, or at all when it is 0."""
    wanted = interpreter.compile(graph)(arguments)
    found = native.compile(graph)(arguments)
    for x, y in zip(wanted, found, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        if rtol and x.dtype == np.float32:
            rtol = max(rtol, 2e-3)
        np.testing.assert_allclose(y, x, rtol=rtol, atol=rtol, equal_nan=True)


def samples() -> Iterator[Any]:
    for name, primitive in PRIMITIVES.items():
        if name not in PASSED_THROUGH:
            yield pytest.param(primitive, id=name)


def test_every_primitive_has_a_lowering_or_a_stated_call_out() -> None:
    lowered = {*ELEMENTWISE, *LOOPS, *INLINE, *VIEWS, *PASSED_THROUGH}
    assert lowered | CALLED_OUT == set(PRIMITIVES)
    assert not lowered & CALLED_OUT


@pytest.mark.parametrize("primitive", list(samples()))
def test_primitives(primitive: Any) -> None:
    for sample in primitive.samples():
        graph = graph_of(primitive, sample)
        assert is_called_out(graph.outputs[0]) == (primitive.name in CALLED_OUT)
        wanted = interpreter.compile(graph)(sample.inputs)[0]
        found = native.compile(graph)(sample.inputs)[0]
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        tolerance = 2e-6 if wanted.dtype == np.float32 else 1e-13
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)


def unary_points(dtype: np.dtype[Any]) -> np.ndarray:
    """Numbers of every kind of trouble that a dtype has."""
    if dtype.kind == "b":
        return np.array([True, False])
    if dtype.kind == "f":
        tiny = np.finfo(dtype)
        return np.array([0.0, -0.0, 1, -1, 0.5, -2.5, 3, 1e30, np.inf, -np.inf, np.nan,
                         tiny.tiny, -tiny.smallest_subnormal, tiny.max], dtype)  # fmt: skip
    limits = np.iinfo(dtype)
    return np.array([0, 1, 2, 3, 7, 100, limits.min, limits.max, limits.max - 1], dtype)


ARITHMETIC = ["add", "subtract", "multiply", "divide", "negative", "square", "remainder", "fmod",
              "abs", "sign", "floor", "ceil", "trunc", "round", "floor_divide", "equal",
              "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and",
              "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or",
              "bitwise_xor", "invert", "left_shift", "right_shift", "isfinite", "isinf", "isnan",
              "signbit", "maximum", "minimum", "reciprocal", "sqrt"]  # fmt: skip


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_has_numpys_semantics_bit_by_bit(name: str) -> None:
    """Infinities, NaN, -0, division by zero, overflow and shifts by too much, in every dtype."""
    primitive = PRIMITIVES[name]
    for kind in ("float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"):
        points = unary_points(np.dtype(kind))
        x, z = (a.ravel() for a in np.meshgrid(points, points))
        for arguments in ((x,), (x, z)):
            try:
                graph = graph_of(primitive, Sample(arguments))
            except Exception:  # not for this dtype, or not of this arity
                continue
            wanted = interpreter.compile(graph)(arguments)[0]
            found = native.compile(graph)(arguments)[0]
            np.testing.assert_array_equal(found, wanted, err_msg=f"{name} {kind}")
            if wanted.dtype.kind == "f" and name not in ("maximum", "minimum"):
                signs = ~np.isnan(wanted)
                np.testing.assert_array_equal(np.signbit(found[signs]), np.signbit(wanted[signs]))


SPECIAL_POINTS = [0.2, 0.3, 0.4, 0.65, 0.7, 1.5, 1.999, 2, 10, 40, 100, 171.7, 300, -0.7, -2, -9,
                  -40, -310, 1e-3, 1e5, -1e5, 5e12, -1e20]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*SPECIAL, "xlogy", "xlog1py", "entr", "logit", "sinc"])
def test_special_functions_agree_at_every_edge(name: str, dtype: str) -> None:
    """SciPy's own functions to the last bit; what is made of kernels to some units in it, which
    for the derivatives of sinc, where 1/x cancels, are units of 1."""
    points = np.concatenate([unary_points(np.dtype(dtype)), np.array(SPECIAL_POINTS, dtype)])
    eps = float(np.finfo(dtype).eps)
    binary = name in ("beta", "betaln", "xlogy", "xlog1py")
    arguments = [a.ravel() for a in np.meshgrid(points, points)] if binary else [points]
    for attrs in [{"order": n} for n in range(4)] if name == "sinc" else [{}]:
        graph = graph_of(PRIMITIVES[name], Sample(tuple(arguments), attrs))
        assert not is_called_out(graph.outputs[0])
        with np.errstate(all="ignore"):
            wanted = interpreter.compile(graph)(arguments)[0]
        found = native.compile(graph)(arguments)[0]
        exact = name in SPECIAL
        atol = 64 * eps if attrs.get("order") else 0.0
        np.testing.assert_allclose(found, wanted, rtol=0 if exact else 6 * eps, atol=atol)
        if not atol:
            signs = ~np.isnan(wanted)
            np.testing.assert_array_equal(np.signbit(found[signs]), np.signbit(wanted[signs]))
        alone = [a[7].reshape(()) for a in arguments]  # outside of loops
        graph = graph_of(PRIMITIVES[name], Sample(tuple(alone), attrs))
        np.testing.assert_array_equal(native.compile(graph)(alone)[0], found[7])


def test_a_function_that_scipy_lacks_is_called_out(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.array([0.5, 3.0])
    graph = graph_of(PRIMITIVES["gamma"], Sample((x,)))
    wanted = native.compile(graph)([x])[0]
    monkeypatch.setattr(externals, "special", lambda name, type: None)
    assert is_called_out(graph.outputs[0])
    np.testing.assert_array_equal(native.compile(graph)([x])[0], wanted)


CORPUS = (5, 48, 91, 97, 13)
"""Seeds that once failed: sums that cancelled infinities, cumulative sums of nothing."""


@pytest.mark.parametrize("start", range(0, 160, 20))
def test_random_graphs_of_whole_numbers_agree_exactly(start: int) -> None:
    for seed in {*range(start, start + 20), *CORPUS}:
        with np.errstate(all="ignore"):
            graph, arguments = random_case(seed, smooth=False)
        compare(optimise(graph), arguments, 0.0)


@pytest.mark.parametrize("start", range(0, 80, 10))
def test_random_graphs_of_smooth_functions_agree_to_rounding(start: int) -> None:
    for seed in range(start, start + 10):
        with np.errstate(all="ignore"):
            graph, arguments = random_case(seed, smooth=True)
        compare(optimise(graph), arguments, 1e-9)


@pytest.mark.parametrize("one", PASSES, ids=lambda p: p.name)
def test_each_pass_alone_changes_nothing(one: Any) -> None:
    for seed in range(200, 206):
        with np.errstate(all="ignore"):
            graph, arguments = random_case(seed, smooth=False)
        plain = interpreter.compile(graph)(arguments)
        passed = native.compile(optimise(graph, [one]))(arguments)
        for x, y in zip(plain, passed, strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_wrong_lowering_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: a product that adds, a bound one short."""
    monkeypatch.setitem(ELEMENTWISE, "multiply", ELEMENTWISE["add"])

    def some() -> None:
        for seed in range(10):
            with np.errstate(all="ignore"):
                graph, arguments = random_case(seed, smooth=False)
            compare(optimise(graph), arguments, 0.0)

    with pytest.raises(AssertionError):
        some()


def test_a_graph_that_returns_its_inputs_and_repeats_outputs() -> None:
    graph = Graph.parse("""def f(x: float64[3], y: float64[3]):
    z: float64[3] = add(x, y)
    t: float64[3] = transpose(z, axes=(0,))
    return z, x, z, t, float64(2.0)""")
    x, y = np.arange(3.0), np.ones(3)
    found = native.compile(graph)([x, y])
    for got, wanted in zip(found, [x + y, x, x + y, x + y, 2.0], strict=True):
        np.testing.assert_array_equal(got, wanted)
    found[0][:] = 7
    np.testing.assert_array_equal(found[2], x + y)
    np.testing.assert_array_equal(x, np.arange(3.0))


def test_a_long_chain_compiles() -> None:
    """5,000 nodes deep: nothing here recurses."""
    from chainrule.core.record import record

    def f(x: Any) -> Any:
        for _ in range(2500):
            x = np.sin(x) + 0.5
        return x

    graph = record(f, 1.0).graph
    assert sum(node.primitive is not INPUT for node in graph.nodes) >= 5000
    wanted = interpreter.compile(graph)([np.asarray(1.0)])[0]
    np.testing.assert_allclose(native.compile(graph)([np.asarray(1.0)])[0], wanted, rtol=1e-12)


def test_an_index_out_of_bounds_raises_and_touches_nothing() -> None:
    graph = Graph.parse("""def f(x: float64[4], i: int64[2]):
    y: float64[2] = gather(x, i, axes=(0,))
    return y,""")
    run = native.compile(graph)
    np.testing.assert_array_equal(run([np.arange(4.0), np.array([-1, 2])])[0], [3.0, 2.0])
    for wrong in (4, -5, 2**40):
        with pytest.raises(IndexError, match="out of bounds"):
            run([np.arange(4.0), np.array([0, wrong])])
    np.testing.assert_array_equal(run([np.arange(4.0), np.array([-1, 2])])[0], [3.0, 2.0])


def test_an_error_inside_a_call_out_comes_out() -> None:
    graph = Graph.parse("""def f(a: float64[2, 2]):
    b: float64[2, 2] = cholesky(a)
    c: float64[2, 2] = add(b, b)
    return c,""")
    run = native.compile(graph)
    np.testing.assert_allclose(run([np.eye(2) * 4])[0], 4 * np.eye(2))
    with pytest.raises(np.linalg.LinAlgError):
        run([-np.eye(2)])
    np.testing.assert_allclose(run([np.eye(2) * 4])[0], 4 * np.eye(2))
