"""Counts against brute force, and what L2.1 says of depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.explanation import Explanation, explain
from tests.helpers.explain_random import scalar_function


def paths_by_walking(e: Explanation) -> tuple[int, int]:
    """All ways from the inputs to the output, one by one: their number and total length."""
    after: dict[int, list[int]] = {}
    for step in e.steps:
        if step.kind == "backward" and not step.note.startswith("it has no slope"):
            assert step.via is not None
            after.setdefault(step.node, []).append(step.via)

    def walk(node: int, length: int) -> tuple[int, int]:
        if node == e.output:
            return 1, length
        found = [walk(x, length + 1) for x in after.get(node, [])]
        return sum(n for n, _ in found), sum(m for _, m in found)

    inputs = [walk(node.id, 0) for node in e.nodes if node.kind == "input"]
    return sum(n for n, _ in inputs), sum(m for _, m in inputs)


@pytest.mark.parametrize("seed", range(60))
def test_paths_are_those_that_can_be_walked(seed: int) -> None:
    f, args = scalar_function(seed)
    e = explain(f)(*args)
    paths, length = paths_by_walking(e)
    assert e.counts.paths == paths
    assert e.counts.by_paths["multiplications"] == max(length - paths, 0)


def test_a_network_of_equal_layers_has_exponentially_many_paths() -> None:
    """Width n, depth l: n^l paths from one input through the activations; n² l edges (L2.1)."""
    width = 3

    def network(depth: int) -> Explanation:
        weights = tuple(np.full((width, width), 0.1) for _ in range(depth))

        def f(x: Any) -> Any:
            for w in weights:
                x = w @ x
            return np.sum(x)

        return explain(f)(np.ones(width))

    for depth in (1, 2, 3, 6):
        counts = network(depth).counts
        assert counts.paths == width ** (depth + 1)
        assert counts.edges == width * width * depth + width
        assert counts.reverse["multiplications"] == counts.edges
        assert counts.forward["multiplications"] == width * counts.edges
        assert counts.by_paths["multiplications"] == depth * counts.paths


def test_shared_squares_double_the_paths_each_time() -> None:
    def f(x: Any) -> Any:
        for _ in range(40):
            x = x * x
        return x

    e = explain(f)(1.0)
    assert e.counts.paths == 2**40
    assert e.counts.edges == 80
    assert e.counts.by_paths["multiplications"] == 39 * 2**40


def test_counts_of_the_lecture() -> None:
    e = explain(lambda x: np.cos(np.sin(x**2) + 3 * x**2))(1.0)
    assert (e.counts.inputs, e.counts.nodes, e.counts.edges, e.counts.paths) == (1, 6, 6, 2)
    assert e.counts.reverse == {"multiplications": 6, "additions": 1, "stored": 6}


def test_counts_of_arrays_are_those_of_their_numbers() -> None:
    """W (2, 3) times x (3,): six products, twelve edges, and the sum of squares below it."""
    e = explain(lambda W, x: np.sum((W @ x) ** 2))(np.ones((2, 3)), np.ones(3))
    assert e.counts.inputs == 9
    assert e.counts.edges == 12 + 2 + 2
    assert e.counts.paths == 12


def test_broadcast_and_selection() -> None:
    def f(x: Any, b: Any) -> Any:
        return np.sum(x[1:] * b)

    e = explain(f)(np.ones(4), 2.0)
    assert e.counts.paths == 3 + 3
