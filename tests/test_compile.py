"""The passes, one by one and together, and ``run.compile`` around them."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import oracles
import pytest

import chainrule as cr
from chainrule import run
from chainrule.compile import PASSES, optimise
from chainrule.compile.rewrite import rebuild
from chainrule.core import ArrayType, Graph
from chainrule.core.graph import CONSTANT
from chainrule.errors import ChainruleError, ShapeError, UsageError

X = np.array([[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]])
BY_NAME = {one.name: one for one in PASSES}


def names(graph: Graph) -> list[str]:
    return [node.primitive.name for node in graph.nodes]


def after(name: str, f: Any, *args: Any) -> Graph:
    graph = cr.trace(f)(*args)
    oracles.check_pass(BY_NAME[name], graph, [np.asarray(x) for x in args])
    return BY_NAME[name].run(graph)


# the passes -------------------------------------------------------------------------------


def test_passes_are_a_flat_list_with_names_and_what_they_do() -> None:
    assert len(BY_NAME) == len(PASSES)
    for one in PASSES:
        assert one.name.isidentifier()
        assert one.does
        assert one.run.__doc__


def test_unwrap_drops_copies_and_stops() -> None:
    def f(x: Any) -> Any:
        return np.sum(cr.grad(lambda y: np.sum(y * cr.stop_gradient(y)))(x))

    assert {"identity", "stop_gradient"} <= set(names(cr.trace(f)(X)))
    assert not {"identity", "stop_gradient"} & set(names(after("unwrap", f, X)))


def test_unwrap_drops_gradients_that_were_stated() -> None:
    @cr.custom_gradient
    def twice(x: Any) -> Any:
        return 2 * x, lambda g: 2 * g

    assert "custom" in names(cr.trace(twice)(X))
    assert "custom" not in names(after("unwrap", twice, X))


def test_unwrap_leaves_an_output_that_is_its_input() -> None:
    graph = after("unwrap", lambda x: (cr.stop_gradient(x), x), X)
    assert graph.outputs[0] is graph.outputs[1] is graph.inputs[0]


def test_fold_computes_what_depends_on_constants_only() -> None:
    recorded = cr.grad(lambda x: x**3 * cr.grad(np.sin)(0.5))
    graph = after("fold", recorded, 2.0)
    assert "cos" not in names(graph)

    def f(x: Any) -> Any:
        return x * np.exp(cr.jvp(np.sin, (np.float64(0.3),), (np.float64(1.0),))[1])

    assert names(after("fold", f, 2.0)).count("multiply") == 1


@pytest.mark.parametrize("value", [0.0, -0.0, np.inf, -np.inf, np.nan, -1.0])
def test_fold_keeps_non_finite_numbers_and_the_sign_of_zero(value: float) -> None:
    def build(x: Any) -> Any:
        c = x.recording.constant(value, np.dtype(np.float64))
        return x * 0 + np.log(c), np.copysign(1.0, c) + 0 * x, 1 / c + x * 0

    folded = BY_NAME["fold"].run(cr.trace(build)(1.0))
    plain = oracles.interpreter.compile(cr.trace(build)(1.0))([np.asarray(1.0)])
    oracles.assert_same(oracles.interpreter.compile(folded)([np.asarray(1.0)]), plain)
    work = [n for n in folded.nodes if n.inputs]
    assert all(any(x.primitive is not CONSTANT for x in n.inputs) for n in work)


def test_fold_keeps_arrays_as_they_are() -> None:
    """Only scalars are folded: a large constant array would be stored in the graph."""
    graph = after("fold", lambda x: x + np.zeros_like(x) + np.broadcast_to(2.0, x.shape), X)
    assert all(node.type.shape == () for node in graph.nodes if node.primitive is CONSTANT)


def test_flatten_views_joins_reshapes() -> None:
    def f(x: Any) -> Any:
        return x.reshape(6).reshape(3, 2).reshape(6) + 1

    assert names(after("flatten_views", f, X)).count("reshape") == 1
    back = after("flatten_views", lambda x: np.sin(x.reshape(3, 2).reshape(2, 3)), X)
    assert names(back) == ["input", "sin"]


def test_unneeded_nodes_go() -> None:
    graph = cr.trace(lambda x: (np.sin(x), cr.grad(lambda y: np.sum(np.exp(y)))(x))[0])(X)
    assert names(optimise(graph)) == ["input", "sin"]


@pytest.mark.parametrize("one", PASSES, ids=lambda one: one.name)
def test_a_pass_run_twice_changes_nothing_more(one: Any) -> None:
    def f(x: Any) -> Any:
        return cr.grad(lambda y: np.sum(np.tanh(y.reshape(6).reshape(3, 2)) ** 2) * np.exp(0.5))(x)

    once = one.run(cr.trace(f)(X))
    assert str(one.run(once)) == str(once)


def test_passes_keep_names_captures_and_signature() -> None:
    w = np.ones(3)
    graph = cr.trace(lambda table, unused: cr.stop_gradient(table * w))(X, 1.0)
    result = optimise(graph)
    assert str(result).splitlines()[0] == str(graph).splitlines()[0]
    assert result.captures == graph.captures
    assert result.name == graph.name


def test_rebuilding_merges_equal_nodes() -> None:
    graph = Graph.parse(
        "def f(x: float64):\n"
        "    a: float64 = sin(x)\n"
        "    b: float64 = sin(x)\n"
        "    c: float64 = add(a, b)\n"
        "    return c,"
    )
    merged = rebuild(graph, lambda node, inputs: None)
    assert names(merged) == ["input", "sin", "add"]


# run.compile ------------------------------------------------------------------------------


def model(params: Any, x: Any) -> Any:
    for w, b in params:
        x = np.tanh(x @ w + b)
    return {"y": x, "loss": np.mean(x**2)}


PARAMS = ((np.full((3, 4), 0.1), np.zeros(4)), (np.full((4, 2), -0.2), np.ones(2)))


def test_compile_takes_and_returns_trees() -> None:
    compiled = run.compile(model, PARAMS, X)
    got, expected = compiled(PARAMS, X), model(PARAMS, X)
    np.testing.assert_allclose(got["y"], expected["y"], rtol=1e-15)
    np.testing.assert_allclose(got["loss"], expected["loss"], rtol=1e-15)
    assert compiled.graph.name == "model"
    assert len(compiled.graph.free_inputs) == 5


def test_compile_takes_types_and_gives_fresh_arrays() -> None:
    compiled = run.compile(lambda x: (x, x * 1.0), ArrayType((2, 3), np.float64))
    first, second = compiled(X)
    assert not np.shares_memory(first, X)
    first[:] = 0
    again = compiled(X)[0]
    np.testing.assert_array_equal(again, X)
    np.testing.assert_array_equal(second, X)


def test_compile_says_what_it_was_compiled_for() -> None:
    compiled = run.compile(model, PARAMS, X)
    with pytest.raises(UsageError, match="model was compiled for arguments"):
        compiled(list(PARAMS), X)
    with pytest.raises(ShapeError, match=r"float64\[2, 3\] at argument leaf 4.*float64\[3, 2\]"):
        compiled(PARAMS, X.T)
    with pytest.raises(ShapeError, match=r"called with float32\[2, 3\]"):
        compiled(PARAMS, X.astype(np.float32))


def test_executors_are_found_by_name() -> None:
    native = importlib.util.find_spec("llvmlite") is not None
    assert run.executor_named(None) is run.executor_named("native" if native else "numpy")
    with pytest.raises(UsageError, match=r"'fortran'.*numpy"):
        run.executor_named("fortran")
    with pytest.raises(UsageError, match="fortran"):
        cr.jit(np.sin, executor="fortran")(X)


def test_loop_carries_on() -> None:
    def step(carry: Any, item: Any) -> Any:
        return carry * 2 + item

    assert run.loop(step, 1, [1, 2, 3]) == 8 + 4 + 4 + 3
    assert run.loop(step, 5, iter(())) == 5


def test_intermediate_values_are_dropped_after_their_last_use() -> None:
    """A chain of n steps on a large array holds a few arrays at a time, not n."""
    import tracemalloc

    def f(x: Any) -> Any:
        for _ in range(50):
            x = np.sin(x)
        return x

    x = np.ones(100_000)
    compiled = run.compile(f, x)
    tracemalloc.start()
    compiled(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 4 * x.nbytes


def test_a_faulty_shape_rule_is_found_while_compiling() -> None:
    with pytest.raises(ChainruleError):
        run.compile(lambda x: x @ x, ArrayType((2, 3), np.float64))
