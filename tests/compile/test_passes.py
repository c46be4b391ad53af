"""The passes, one by one and together, and ``run.compile`` around them."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import run
from chainrule.compile import PASSES, optimise
from chainrule.compile.rewrite import rebuild
from chainrule.core import ArrayType, Graph
from chainrule.core.node import CONSTANT, INPUT
from chainrule.errors import ChainruleError, ShapeError, UsageError
from tests.helpers import oracles

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


def test_algebra_joins_reshapes() -> None:
    def f(x: Any) -> Any:
        return x.reshape(6).reshape(3, 2).reshape(6) + 1

    assert names(after("algebra", f, X)).count("reshape") == 1
    back = after("algebra", lambda x: np.sin(x.reshape(3, 2).reshape(2, 3)), X)
    assert names(back) == ["input", "sin"]


def test_algebra_drops_what_differentiation_leaves_behind() -> None:
    def f(x: Any) -> Any:
        return cr.grad(lambda y: np.sum(-np.sin(y) * 3 + y**2))(x)

    wanted = ["add", "broadcast", "broadcast", "cos", "input", "multiply", "multiply"]
    simplified = optimise(cr.trace(f)(X))
    found = [node.primitive.name for node in simplified.nodes if node.primitive is not CONSTANT]
    assert sorted(found) == wanted


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


# what jit(f).passes shows --------------------------------------------------------------------


def entropy(a: Any, t: Any = 0.3) -> Any:
    y = 1 / (1 + np.exp(-a))
    return -(t * np.log(y) + (1 - t) * np.log(1 - y))


def test_the_passes_of_a_function_are_records_from_graph_to_graph() -> None:
    found = cr.jit(cr.value_and_grad(entropy)).passes(2.0)
    assert [one.name for one in found] == ["stability", *BY_NAME]
    assert len(found) == 1 + len(PASSES)
    assert found[1:] == tuple(found)[1:]
    assert str(found[0].before) == str(cr.trace(cr.value_and_grad(entropy))(2.0))
    for one, following in pairwise(found):
        assert one.after is following.before
    for one in found[1:]:
        assert one.does == BY_NAME[one.name].does
        assert str(BY_NAME[one.name].run(one.before)) == str(one.after)
    compiled = run.compile(cr.value_and_grad(entropy), 2.0).graph
    assert str(found[-1].after) == str(optimise(compiled))


def test_the_passes_say_which_rewrites_acted() -> None:
    found = cr.jit(entropy).passes(2.0)
    assert found[0].fired == {"logistic": 1, "log-logistic": 2, "complement": 1}
    assert not cr.jit(np.sin).passes(2.0)[0].fired
    algebra = cr.jit(lambda x: np.negative(-x) * 1).passes(2.0)[-1]
    assert algebra.fired == {"negative-negative": 1, "multiply-one": 1}
    assert len(algebra.after.nodes) == 1


def test_the_passes_print_as_a_table() -> None:
    found = cr.jit(entropy).passes(2.0)
    lines = str(found).splitlines()
    assert lines[0] == "operations of entropy before and after each pass of jit and fit"
    assert repr(found) == str(found)
    for one in found:
        (line,) = (line for line in lines if line.startswith(f"  {one.name} "))
        assert one.does in line
        before, after = (
            sum(n.primitive not in (INPUT, CONSTANT) for n in graph.nodes)
            for graph in (one.before, one.after)
        )
        assert f" {before} -> {after} " in line
    assert any(line.split()[:3] == ["2", "x", "log-logistic"] for line in lines)


def test_the_passes_of_a_jitted_function_run_nothing_and_take_trees() -> None:
    def f(params: Any, x: Any) -> Any:
        return params["w"] @ x

    shape = {"w": ArrayType((2, 3), np.float64)}
    found = cr.jit(f).passes(shape, ArrayType((3,), np.float64))
    assert names(found[-1].after) == ["input", "input", "contract"]


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
