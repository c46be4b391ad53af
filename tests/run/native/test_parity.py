"""The native executor agrees with the interpreter: primitive by primitive, and on random graphs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from tests.helpers.native_graphs import FEWEST, MOST, graph_of, random_case

pytest.importorskip("llvmlite")

import chainrule as cr
import chainrule.ops
from chainrule.compile import PASSES, optimise
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, INPUT, PRIMITIVES, Sample
from chainrule.errors import DtypeError
from chainrule.run import interpreter, native
from chainrule.run.native import plan
from chainrule.run.native.numbers.elementwise import ELEMENTWISE
from chainrule.run.native.numbers.ir import Builder
from chainrule.run.native.plan.buffers import INLINE, LOOPS, NESTED, VIEWS, is_called_out
from chainrule.run.native.runtime import externals, machine
from chainrule.run.native.runtime.externals import SPECIAL

CALLED_OUT = {
    "argsort", "betainc", "betaincc", "cholesky", "cofactor", "convolve", "dawson", "det", "eigh",
    "erfc_ratio", "expm", "expn", "exprel", "gammainc", "gammaincc", "inv", "iv", "ive", "jv", "kv",
    "lambertw", "log_ratio", "logrel", "mills", "pinv", "polar", "polygamma", "polygamma_rise",
    "qr", "require", "round_decimal", "searchsorted", "slogdet", "solve", "svd", "yv", "zeta",
}  # fmt: skip
"""What the interpreter computes inside a native program: whoever lowers one takes it out."""
PASSED_THROUGH = {"input", "constant", "identity", "stop_gradient", "custom"}
OF_LOOPS = {*NESTED, "bundle"}
"""Compared with the loops that they are in tests/api/test_loops.py; a bundle never gets here."""


def compare(graph: Graph, arguments: list[np.ndarray], rtol: float) -> None:
    """Fail where the optimised graph as machine code differs from what the graph as recorded
    means: by more than ``rtol``, or at all when it is 0."""
    if rtol and any(node.type.dtype == np.float32 for node in graph.nodes):
        rtol = max(rtol, 1e-5)  # one rounding is 6e-8; the most that 200 graphs showed is 4e-7
    wanted = interpreter.compile(graph)(arguments)
    found = native.compile(optimise(graph))(arguments)
    assert wanted
    for x, y in zip(wanted, found, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(y, x, rtol=rtol, atol=rtol, equal_nan=True)


def samples() -> Iterator[Any]:
    for name, primitive in PRIMITIVES.items():
        if name not in PASSED_THROUGH | OF_LOOPS:
            yield pytest.param(primitive, id=name)


def test_every_primitive_has_a_lowering_or_a_stated_call_out() -> None:
    lowered = {*ELEMENTWISE, *LOOPS, *INLINE, *VIEWS, *PASSED_THROUGH, *OF_LOOPS}
    assert lowered | CALLED_OUT == set(PRIMITIVES)
    assert not lowered & CALLED_OUT


@pytest.mark.parametrize("primitive", list(samples()))
def test_primitives(primitive: Any) -> None:
    samples = list(primitive.samples())
    assert samples
    for sample in samples:
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


UNARY = ["negative", "square", "abs", "sign", "floor", "ceil", "trunc", "round", "logical_not",
         "invert", "isfinite", "isinf", "isnan", "signbit", "reciprocal", "sqrt"]  # fmt: skip
BINARY = ["add", "subtract", "multiply", "divide", "remainder", "fmod", "floor_divide", "equal",
          "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and",
          "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "left_shift",
          "right_shift", "maximum", "minimum"]  # fmt: skip
TAKES = {
    **dict.fromkeys(["divide", "round", "signbit", "sqrt"], "f"),
    **dict.fromkeys(["subtract", "negative", "square", "remainder", "fmod", "floor_divide", "sign",
                     "reciprocal"], "fiu"),
    **dict.fromkeys(["bitwise_and", "bitwise_or", "bitwise_xor", "invert"], "iub"),
    **dict.fromkeys(["left_shift", "right_shift"], "iu"),
}  # fmt: skip
"""Kinds of dtype, for the primitives that do not take all; NumPy's functions convert the rest."""


@pytest.mark.parametrize("kind", ["float32", "float64", "int8", "int32", "int64", "uint8",
                                  "uint64", "bool"])  # fmt: skip
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_arithmetic_has_numpys_semantics_bit_by_bit(name: str, kind: str) -> None:
    """Infinities, NaN, -0, division by zero, overflow and shifts by too much, in every dtype."""
    primitive = PRIMITIVES[name]
    points = unary_points(np.dtype(kind))
    pairs = [a.ravel() for a in np.meshgrid(points, points)]
    arguments = pairs[: 1 if name in UNARY else 2]
    if np.dtype(kind).kind not in TAKES.get(name, "fiub"):
        with pytest.raises(DtypeError, match=f"{name} does not take {kind}"):
            graph_of(primitive, Sample(tuple(arguments)))
        return
    graph = graph_of(primitive, Sample(tuple(arguments)))
    wanted = interpreter.compile(graph)(arguments)[0]
    found = native.compile(graph)(arguments)[0]
    np.testing.assert_array_equal(found, wanted)
    if wanted.dtype.kind == "f" and name not in ("maximum", "minimum"):
        signs = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found[signs]), np.signbit(wanted[signs]))


@pytest.mark.parametrize("shape", [(1,), (1, 1), (3,), (2, 3), (20, 30), (3, 1), (64, 64)])
@pytest.mark.parametrize("name", ["sum", "mean", "matmul", "einsum", "vecdot", "at"])
def test_a_sum_of_negative_zeros_is_zero(name: str, shape: tuple[int, ...]) -> None:
    """As NumPy's, whose sums start at 0; running sums alone keep the sign of the first."""
    x = np.full(shape, -0.0)

    def f(x: Any) -> list[Any]:
        if name in ("sum", "mean"):
            of = getattr(np, name)
            return [of(x), *(of(x, axis=k) for k in range(x.ndim))]
        if name == "einsum":
            return [np.einsum("...i,...i->...", x, np.ones_like(x))]
        if name == "vecdot":
            return [np.vecdot(x, np.ones_like(x))]
        if name == "at":
            o = np.zeros_like(x)
            np.add.at(o, [0, 0], x[:1])
            return [o]
        return [getattr(np, name)(x, np.ones_like(x).T)]

    for found, wanted in zip(cr.jit(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


SPECIAL_POINTS = [0.2, 0.3, 0.4, 0.65, 0.7, 1.5, 1.999, 2, 10, 40, 100, 171.7, 300, -0.7, -2, -9,
                  -40, -310, 1e-3, 1e5, -1e5, 5e12, -1e20]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*SPECIAL, "xlogy", "xlog1py", "entr", "logit", "sinc"])
def test_special_functions_agree_at_every_edge(name: str, dtype: str) -> None:
    """SciPy's own functions to the last bit; what is made of kernels to some units in it, which
    for the derivatives of sinc, where 1/x cancels, are units of 1."""
    points = np.concatenate([unary_points(np.dtype(dtype)), np.array(SPECIAL_POINTS, dtype)])
    eps = float(np.finfo(dtype).eps)
    binary = len(PRIMITIVES[name].samples()[0].inputs) == 2
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


GRAPHS = int(os.environ.get("CHAINRULE_PARITY_GRAPHS", "240"))
"""How many random graphs are compared; every third is of smooth functions."""
BATCH = 20
CORPUS: dict[int, str] = {}
"""Seeds that once failed, and what it was."""
ONCE_FAILED = {  # in the small
    "sums that cancelled infinities": """def f(x: float64[40], y: float64[40]):
    z: float64[40] = subtract(x, y)
    s: float64 = reduce_sum(z, axes=(0,))
    t: float64[40] = broadcast(s, shape=(40,), axes=())
    d: float64[40] = subtract(t, t)
    m: float64[40] = multiply(x, d)
    r: float64 = reduce_sum(m, axes=(0,))
    return s, d, r""",
    "cumulative sums of nothing": """def f(x: float64[0, 3], y: float64[3, 0]):
    a: float64[0, 3] = cumsum(x, axis=0)
    b: float64[0, 3] = cumprod(x, axis=1)
    c: float64[3, 0] = cumsum(y, axis=1)
    s: float64[3] = reduce_sum(c, axes=(1,))
    return a, b, c, s""",
}


@pytest.mark.parametrize("name", ONCE_FAILED)
def test_graphs_that_once_failed(name: str) -> None:
    graph = Graph.parse(ONCE_FAILED[name])
    rng = np.random.default_rng(0)
    arguments = [rng.integers(-4, 5, x.type.shape).astype(float) for x in graph.inputs]
    compare(graph, arguments, 0.0)
    for x in arguments:
        x[rng.random(x.shape) < 0.1] = np.inf
    compare(graph, arguments, 0.0)


def failures(seeds: Iterable[int]) -> dict[int, str]:
    """What went wrong with which of the graphs of these seeds."""
    found = {}
    for seed in seeds:
        smooth = seed % 3 == 2
        try:
            compare(*random_case(seed, smooth), 1e-9 if smooth else 0.0)
        except Exception as error:  # a crash is a failure of its seed too
            found[seed] = f"{type(error).__name__}: {error}"
    return found


@pytest.mark.parametrize("start", range(0, GRAPHS, BATCH))
def test_random_graphs_agree(start: int) -> None:
    """Exactly, where they compute with whole numbers, infinities and NaN; else to rounding."""
    assert not failures(range(start, min(start + BATCH, GRAPHS)))


@pytest.mark.parametrize("bytes", [16, 32, 64])
def test_random_graphs_agree_for_every_width_of_vector(
    bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what is right on this processor is right on others; 16 bytes as without AVX."""
    monkeypatch.setattr(machine, "vector_bytes", lambda: bytes)
    monkeypatch.setattr(machine, "vector_registers", lambda: 32 if bytes == 64 else 16)
    assert not failures(range(10**6 + bytes, 10**6 + bytes + GRAPHS // 30))


def test_random_graphs_that_once_failed() -> None:
    assert not failures(CORPUS)


def test_random_graphs_cover_what_they_should() -> None:
    """Sizes, dtypes, broadcasts, empty axes and axes of 1, values used more than once."""
    seen: Counter[str] = Counter()
    primitives = set()
    sizes = []
    for seed in range(200):
        graph, arguments = random_case(seed, seed % 3 == 2)
        computed = [n for n in graph.nodes if n.primitive not in (INPUT, CONSTANT)]
        readers = Counter(x for n in computed for x in n.inputs)
        floats = {n.type.dtype.name for n in graph.nodes if n.type.is_float}
        sizes.append(len(graph.nodes))
        primitives |= {n.primitive.name for n in computed}
        found = {
            "float32 alone": floats == {"float32"},
            "float64 alone": floats == {"float64"},
            "mixed": len(floats) == 2,
            "broadcast": any(n.type.size > n.inputs[0].type.size for n in computed
                             if n.primitive.name == "broadcast" and n.inputs[0].type.shape),
            "empty": any(0 in n.type.shape for n in computed),
            "axis of 1": any(1 in n.type.shape for n in computed),
            "shared": any(readers[n] > 1 for n in computed if n.primitive.name != "broadcast"),
            "several outputs": len(graph.outputs) > 2,
            "non-finite": any(not np.isfinite(x).all() for x in arguments),
        }  # fmt: skip
        seen.update(name for name, holds in found.items() if holds)
    assert min(sizes) >= FEWEST
    assert max(sizes) <= MOST
    assert {n // 10 for n in sizes} == set(range(7))
    least = {"float32 alone": 30, "float64 alone": 30, "mixed": 30, "broadcast": 60, "empty": 20,
             "axis of 1": 100, "shared": 150, "several outputs": 100, "non-finite": 60}  # fmt: skip
    assert not {name: seen[name] for name, n in least.items() if seen[name] < n}
    assert primitives >= {
        "add", "argmax", "broadcast", "cast", "concatenate", "contract", "cumprod", "cumsum",
        "divide", "equal", "exp", "floor_divide", "gather", "log", "maximum", "multiply", "place",
        "power_constant", "reduce_max", "reduce_min", "reduce_sum", "remainder", "reshape",
        "scatter_add", "select", "sign", "slice", "sqrt", "subtract", "tanh", "transpose",
    }  # fmt: skip


@pytest.mark.parametrize("one", PASSES, ids=lambda p: p.name)
def test_each_pass_alone_changes_nothing(one: Any) -> None:
    for seed in range(200, 206):
        graph, arguments = random_case(seed, smooth=False)
        plain = interpreter.compile(graph)(arguments)
        passed = native.compile(optimise(graph, [one]))(arguments)
        for x, y in zip(plain, passed, strict=True):
            np.testing.assert_array_equal(x, y)


# Seeded faults: the comparison can fail ---------------------------------------------------


def are_caught(seeds: Iterable[int]) -> bool:
    """Whether some numbers are wrong, and nothing else happens."""
    kinds = {what.split(":")[0] for what in failures(seeds).values()}
    return kinds == {"AssertionError"}


def test_a_wrong_lowering_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product that adds."""
    monkeypatch.setitem(ELEMENTWISE, "multiply", ELEMENTWISE["add"])
    assert are_caught(range(BATCH))


def test_a_loop_one_short_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Builder.loop

    @contextmanager
    def short(self: Builder, count: int | str, *rest: Any, **named: Any) -> Iterator[str]:
        fewer = count - 1 if isinstance(count, int) and count > 1 else count
        with right(self, fewer, *rest, **named) as i:
            yield i

    monkeypatch.setattr(Builder, "loop", short)
    assert are_caught(range(BATCH))


def test_lives_one_step_short_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is given to another buffer while the last step is still to read it."""
    right = plan.arena.plan

    def short(lives: Any) -> Any:
        return right([x._replace(stop=max(x.start, x.stop - 1)) for x in lives])

    monkeypatch.setattr(plan.arena, "plan", short)
    assert are_caught(range(3 * BATCH))


def test_a_wrong_rewrite_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.compile import algebra
    from chainrule.compile.patterns import Rewrite, Table, inner, made_by

    def lost(a: Any, b: Any) -> Any:
        x, z = (a, b) if made_by(b, "negative") else (b, a)
        return x - x - inner(z) if made_by(z, "negative") else None

    wrong = Rewrite("wrong", "add", lost, "a + (-b) -> -b")
    monkeypatch.setattr(algebra, "rewrite", Table([wrong, *algebra.REWRITES]))
    assert are_caught(range(3 * BATCH))


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


def test_a_captured_array_that_is_not_aligned() -> None:
    """Its copy is kept as long as the program."""
    raw = np.zeros(8 * 3000 + 1, np.uint8)[1:].view(np.float64)
    raw[:] = 1.5
    assert not raw.flags.aligned
    text = """def f(x: float64[3000], *, c: float64[3000]):
    y: float64[3000] = add(x, c)
    return y,"""
    run = native.compile(Graph.parse(text, captures=[raw]))
    for value in range(3):
        other = np.full(3000, float(value))  # would lie where a lost copy was
        np.testing.assert_array_equal(run([other])[0], other + 1.5)


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
