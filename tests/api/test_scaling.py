"""Costs are linear: counted in nodes and bytes, never in seconds."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.core import Graph
from chainrule.core.recording import active

# what is counted --------------------------------------------------------------------------


def recorded_nodes(transform: Callable[..., Any], f: Callable[..., Any], x: Any) -> int:
    """How many nodes a transformation of ``f`` records at ``x``, all that it makes counted."""
    found: list[Any] = []

    def watched(x: Any) -> Any:
        found.append(active())
        return f(x)

    transform(watched, x)
    return found[0].serial


def nbytes(graph: Graph) -> int:
    """The bytes of all values that a graph computes."""
    return sum(node.type.nbytes for node in graph.nodes)


def peak(call: Callable[[], Any]) -> int:
    """The most bytes that a call holds at once, of arrays and of Python's own objects."""
    gc.collect()  # or the next search for garbage is due sooner or later than in another call
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def gradient(f: Callable[..., Any], x: Any) -> Any:
    return cr.grad(f)(x)


def tangent(f: Callable[..., Any], x: Any) -> Any:
    return cr.jvp(f, (x,), (np.ones_like(x),))[1]


def chain(depth: int) -> Callable[..., Any]:
    def f(x: Any) -> Any:
        for _ in range(depth):
            x = np.sin(x)
        return x

    return f


def fan(count: int) -> Callable[..., Any]:
    """``x`` read ``count`` times, by different steps."""

    def f(x: Any) -> Any:
        y = np.sin(x)
        total = x
        for k in range(count):
            total = total + y * float(k)
        return np.sum(total)

    return f


def reads(count: int) -> Callable[..., Any]:
    def f(x: Any) -> Any:
        total = 0.0
        for i in range(count):
            total = total + x[i] * x[i]
        return total

    return f


# depth and fan-out ------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [gradient, tangent])
@pytest.mark.parametrize("family", [chain, fan, reads])
def test_nodes_grow_by_the_same_number_for_every_step(transform: Any, family: Any) -> None:
    x: Any = np.linspace(0.1, 0.9, 400) if family is not chain else 0.5
    counts = [recorded_nodes(transform, family(n), x) for n in (100, 200, 300, 400)]
    steps = np.diff(counts)
    assert len(set(steps)) == 1, counts
    assert steps[0] <= 800  # at most eight nodes for a step, its derivative included


@pytest.mark.parametrize("transform", [gradient, tangent])
def test_a_chain_of_a_hundred_thousand_steps(transform: Any) -> None:
    """Iterative traversals: a recursive one would end at Python's limit of 1000."""
    slope = transform(chain(100_000), 0.5)
    assert 0 < slope < 1e-3
    # y_n behaves as sqrt(3/n), and dy_n/dx as (y_n/x)^3 times a constant of the start
    assert recorded_nodes(transform, chain(20_000), 0.5) <= 4 * 20_000 + 10


def test_a_deep_graph_compiles_prints_and_runs() -> None:
    f = chain(5_000)
    graph = cr.trace(cr.grad(f))(0.5)
    # 5,000 functions, each within 4 ulp of the other executor's.
    assert cr.jit(cr.grad(f))(0.5) == pytest.approx(cr.grad(f)(0.5), rel=5_000 * 4 * 2**-53)
    text = str(graph)
    assert len(text) < 100 * len(graph.nodes)
    assert str(Graph.parse(text)) == text


def test_ten_thousand_uses_of_one_value() -> None:
    n = 10_000
    assert cr.grad(fan(n))(0.3) == pytest.approx(1 + np.cos(0.3) * n * (n - 1) / 2)
    _, t = cr.jvp(fan(n), (0.3,), (1.0,))
    assert t == pytest.approx(1 + np.cos(0.3) * n * (n - 1) / 2)


@pytest.mark.parametrize("family", [chain, fan, reads])
def test_bytes_grow_in_proportion_to_steps(family: Any) -> None:
    """Twice the steps, at most 2.3 times the bytes (a constant part, and tables that grow by
    doubling); growth by squares would give 4."""
    x: Any = np.linspace(0.1, 0.9, 2000) if family is reads else 0.5
    gradient(family(10), x)  # caches are filled
    small, large = (peak(lambda n=n: gradient(family(n), x)) for n in (1000, 2000))
    assert large < 2.3 * small, (small, large)
    assert large < 2000 * 8_000  # some kilobytes a step


# reads and stacks -------------------------------------------------------------------------


def test_ten_thousand_reads_cost_linear_bytes_backwards() -> None:
    """One buffer collects the cotangents of all reads: n reads of n numbers hold O(n) bytes
    and not n buffers of n numbers (architecture, section 1)."""
    n = 10_000
    x = np.linspace(0.1, 0.9, n)
    np.testing.assert_allclose(gradient(reads(n), x), 2 * x, rtol=1e-14)
    graph = cr.trace(cr.grad(reads(n)))(x)
    assert nbytes(graph) <= 10 * x.nbytes  # a buffer for each read would be 10,000 times
    assert sum(node.type.size == n for node in graph.nodes) <= 4


@pytest.mark.parametrize(
    "read",
    [
        lambda x, i: x[i, 0],
        lambda x, i: np.sum(x[i]),
        lambda x, i: x[i : i + 1, 1][0],
        lambda x, i: np.take(x, [i, i], axis=0)[1, 0],
        lambda x, i: x[np.array([i]), np.array([1])][0],
    ],
    ids=["number", "row", "slice", "take", "pairs"],
)
def test_every_kind_of_read_is_merged(read: Any) -> None:
    n = 300
    x = np.ones((n, 2))

    def f(x: Any) -> Any:
        return np.sum(np.stack([read(x, i) * float(i) for i in range(n)]))

    graph = cr.trace(cr.grad(f))(x)
    assert nbytes(graph) <= 40 * x.nbytes
    direction = np.random.default_rng(0).normal(size=x.shape)
    expected = sum(float(read(direction, i)) * i for i in range(n))
    assert np.sum(gradient(f, x) * direction) == pytest.approx(expected)


def test_second_derivatives_of_many_reads_stay_linear() -> None:
    counts = []
    for n in (100, 200, 400):
        graph = cr.trace(cr.grad(lambda x, n=n: np.sum(cr.grad(reads(n))(x) ** 2)))(np.ones(n))
        counts.append((len(graph.nodes), nbytes(graph)))
    (a, p), (b, q), (c, r) = counts
    assert c - b == 2 * (b - a)
    assert r - q == 2 * (q - p)


def test_a_stack_of_ten_thousand_parts() -> None:
    n = 10_000
    x = np.linspace(0.0, 1.0, n)

    def f(x: Any) -> Any:
        parts = np.stack([x[i] for i in range(n)])
        return np.sum(parts * parts)

    np.testing.assert_allclose(gradient(f, x), 2 * x, rtol=1e-14)
    np.testing.assert_allclose(tangent(f, x), np.sum(2 * x), rtol=1e-12)
    graph = cr.trace(cr.grad(f))(x)
    assert len(graph.nodes) <= 6 * n
    assert nbytes(graph) <= 12 * x.nbytes


def test_jacobians_do_not_record_the_function_again_for_every_row() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.tanh(x) * np.sum(x)

    cr.jacobian(f)(np.ones(30))
    cr.hessian(lambda x: np.sum(f(x)))(np.ones(30))
    assert len(calls) == 2


# paths ------------------------------------------------------------------------------------


def paths(graph: Graph) -> int:
    """The number of ways from an input to the output: the terms that the chain rule has when
    it is written out."""
    ways = {node: int(node in graph.free_inputs) for node in graph.nodes}
    for node in graph.nodes:
        ways[node] += sum(ways[x] for x in node.inputs)
    return ways[graph.outputs[0]]


@pytest.mark.parametrize("layers", [1, 5, 10, 60])
def test_paths_multiply_while_backpropagation_visits_each_node_once(layers: int) -> None:
    """L layers of two units: 2^L paths, and a number of nodes that grows with L (L2.1)."""

    def network(x: Any) -> Any:
        a, b = x, x
        for k in range(layers):
            a, b = np.tanh(a + b), np.tanh(a * (0.1 * k + 2.0) + b)
        return a + b

    graph = cr.trace(network)(0.1)
    assert paths(graph) >= 2**layers
    assert len(graph.nodes) <= 10 * layers + 10
    assert recorded_nodes(gradient, network, 0.1) <= 40 * layers + 40
