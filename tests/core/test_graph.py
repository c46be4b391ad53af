"""Graphs, nodes, recordings, text and trees: the language, before any derivative."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.core import ArrayType, Graph, Node, Origin, Primitive, verify
from chainrule.core.graph import ancestors
from chainrule.core.node import CONSTANT, INPUT, PRIMITIVES
from chainrule.core.record import record
from chainrule.core.recording import Recording, active, fresh_recording
from chainrule.core.tree import flatten, flatten_with_paths, map_tree, paths
from chainrule.core.types import broadcast_shapes, type_of
from chainrule.errors import DtypeError, GraphError, ShapeError, UsageError
from chainrule.run import compile_graph, interpreter
from tests.helpers.oracles import check_round_trip, unregistered

F64 = ArrayType((), np.float64)
VECTOR = ArrayType((3,), np.float64)


def J(x: Any) -> Any:
    return np.cos(np.sin(x**2) + 3 * x**2)


# immutability -----------------------------------------------------------------------------


def test_nodes_graphs_types_and_attributes_are_immutable() -> None:
    graph = cr.trace(J)(1.0)
    node = graph.nodes[-1]
    with pytest.raises(GraphError, match="immutable"):
        node.type = F64
    with pytest.raises(GraphError, match="immutable"):
        node.inputs = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.name = "g"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        F64.shape = (2,)  # type: ignore[misc]
    power = next(n for n in graph.nodes if n.attrs and n.primitive is not CONSTANT)
    with pytest.raises(TypeError):
        power.attrs["exponent"] = 3  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.primitive.rule = None  # type: ignore[misc]


def test_a_name_registers_once() -> None:
    with unregistered(Primitive("passing_through", lambda x: x, lambda x: x)) as primitive:
        assert PRIMITIVES["passing_through"] is primitive
        with pytest.raises(GraphError, match="registered twice"):
            Primitive("passing_through", lambda x: x, lambda x: x)
    assert "passing_through" not in PRIMITIVES


# hash-consing -----------------------------------------------------------------------------


def test_equal_operations_on_equal_nodes_are_one_node() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sin(x) + np.sin(x), x * y, x * y, np.sin(y)

    graph = cr.trace(f)(1.0, 1.0)
    names = [n.primitive.name for n in graph.nodes]
    assert names.count("sin") == 2  # of x and of y: inputs of equal type stay apart
    assert names.count("multiply") == 1
    assert graph.outputs[1] is graph.outputs[2]


def test_inputs_are_never_shared() -> None:
    recording = Recording(eager=True)
    value = np.float64(1.0)
    first, second = (recording.input(F64, value) for _ in range(2))
    assert first.node is not second.node
    assert recording.fresh(first).node is not recording.fresh(first).node
    assert cr.grad(lambda x, y: x * y, argnums=(0, 1))(3.0, 3.0) == (3.0, 3.0)


def test_scalar_constants_are_kept_apart_by_dtype_and_bytes() -> None:
    recording = Recording(eager=False)
    values = [
        (1, np.int64),
        (1.0, np.float64),
        (1.0, np.float32),
        (True, np.bool_),
        (0.0, np.float64),
        (-0.0, np.float64),
    ]
    nodes = [recording.constant(v, np.dtype(t)).node for v, t in values]
    assert len(set(nodes)) == len(nodes)
    assert recording.constant(1, np.dtype(np.int64)).node is nodes[0]
    assert recording.constant(-0.0, np.dtype(np.float64)).node is nodes[-1]


def test_signed_zeros_and_dtypes_survive_recording() -> None:
    def f(x: Any) -> Any:
        return np.copysign(1.0, x * 0.0), np.copysign(1.0, x * -0.0), x + 1, x + 1.0, x + True

    for run in (f, cr.jit(f)):
        assert [float(y) for y in run(1.0)] == [1.0, -1.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_constant_survives_the_text(value: float, dtype: Any) -> None:
    constant = np.array(np.clip(value, -3e38, 3e38) if np.isfinite(value) else value, dtype)
    graph = cr.trace(lambda x: x * constant)(np.ones((), dtype))
    check_round_trip(graph, [np.ones((), dtype)])
    back = Graph.parse(str(graph))
    (node,) = [n for n in back.nodes if n.primitive is CONSTANT]
    assert node.attrs["value"] == constant.tobytes()


@pytest.mark.parametrize("exponent", [2, 2.5, -1, 0.1, -0.0, 1e300, np.inf, -np.inf, np.nan])
def test_exponents_survive_the_text(exponent: float) -> None:
    check_round_trip(cr.trace(lambda x: x**exponent)(2.0), [np.asarray(2.0)])


# verify -----------------------------------------------------------------------------------


def node(name: str, *inputs: Node, type: ArrayType = F64, serial: int = 99, **attrs: Any) -> Node:
    primitive = {"input": INPUT, "constant": CONSTANT}.get(name) or PRIMITIVES[name]
    return Node(primitive, inputs, attrs, type, serial)


def test_verify_accepts_what_recording_made() -> None:
    verify(cr.trace(J)(1.0))
    verify(cr.trace(cr.grad(J))(1.0))


def test_verify_refuses_a_wrong_type() -> None:
    x = node("input", serial=1)
    with pytest.raises(GraphError, match=r"sin.*should have type float64 by its shape rule"):
        Graph((x,), (node("sin", x, type=VECTOR),))


def test_verify_refuses_an_input_that_is_not_listed() -> None:
    x, other = node("input", serial=1), node("input", serial=2)
    with pytest.raises(GraphError, match="does not list"):
        Graph((x,), (node("add", x, other),))


def test_verify_refuses_an_input_listed_twice() -> None:
    x = node("input", serial=1)
    with pytest.raises(GraphError, match="twice"):
        Graph((x, x), (x,))


def test_verify_refuses_a_node_before_its_inputs() -> None:
    x = node("input", serial=5)
    with pytest.raises(GraphError, match="before one of its inputs"):
        Graph((x,), (node("sin", x, serial=3),))


def test_verify_refuses_more_captures_than_inputs() -> None:
    x = node("input", serial=1)
    with pytest.raises(GraphError, match="more captured arrays"):
        Graph((x,), (x,), captures=(np.ones(()), np.ones(())))


@pytest.mark.parametrize("capture", [np.ones(2), np.ones(3, np.float32), np.ones(())])
def test_verify_refuses_a_capture_of_another_type(capture: np.ndarray) -> None:
    x = node("input", type=VECTOR, serial=1)
    with pytest.raises(GraphError, match="stands for an input of type"):
        Graph((x,), (x,), captures=(capture,))


@pytest.mark.parametrize(
    ("inputs", "attrs"),
    [(2, {}), (1, {"order": 2}), (0, {})],
    ids=["too many", "unknown attribute", "too few"],
)
def test_verify_refuses_a_node_its_shape_rule_cannot_read(inputs: int, attrs: Any) -> None:
    x = node("input", serial=1)
    with pytest.raises(GraphError, match="power_constant"):
        Graph((x,), (node("power_constant", *[x] * inputs, **attrs),))


def test_verify_refuses_arguments_that_do_not_fit() -> None:
    x, v = node("input", serial=1), node("input", type=VECTOR, serial=2)
    with pytest.raises(GraphError, match=r"add.*takes arguments of one shape"):
        Graph((x, v), (node("add", x, v),))


# text -------------------------------------------------------------------------------------


def test_the_text_is_a_readable_function() -> None:
    assert str(cr.trace(J)(1.0)).splitlines() == [
        "def J(x: float64):",
        "    t0: float64 = power_constant(x, exponent=2)",
        "    t1: float64 = sin(t0)",
        "    t2: float64 = multiply(float64(3.0), t0)",
        "    t3: float64 = add(t1, t2)",
        "    t4: float64 = cos(t3)",
        "    return t4,",
    ]


def test_names_of_arguments_and_of_trees_are_kept() -> None:
    def f(params: Any, *rest: Any) -> Any:
        return params["w"] * params["layers"][0] + rest[0] + np.ones(3)

    text = str(cr.trace(f)({"w": 1.0, "layers": (np.ones(3),)}, 2.0))
    arguments = "params_layers_0: float64[3], params_w: float64, x1: float64, *, c0: float64[3]"
    assert text.splitlines()[0] == f"def f({arguments}):"
    named = cr.trace(lambda sin, float64: sin + float64)(1.0, 2.0)
    check_round_trip(named, [np.asarray(1.0), np.asarray(2.0)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(x: float64):\n    y: float64 = = 2\n    return y,", "line 2"),
        ("x = 1", "one function definition"),
        ("def f(x: float64):\n    y = sin(x)\n    return y,", "line 2.*a step is written"),
        ("def f(x: float64):\n    y: float64 = sine(x)\n    return y,", "line 2.*no primitive"),
        (
            "def f(x: float64):\n    y: float64 = x + x\n    return y,",
            "line 2.*applies a primitive",
        ),
        ("def f(x: float64):\n    y: float64 = sin(z)\n    return y,", "line 2.*before it is def"),
        ("def f(x: float64):\n    y: float64 = sin(2)\n    return y,", "line 2.*an argument is"),
        ("def f(x: float64):\n    y: float64 = sin(x)", "line 2.*ends with"),
        ("def f(x: float64):\n    y: float64 = sin(x)\n    return y", "line 3.*ends with"),
        ("def f(x: float63):\n    return x,", "line 1.*a type is written"),
        ("def f(x):\n    return x,", "a type is written"),
        ("def f(x: float64[n]):\n    return x,", "line 1"),
        ("def f(x: float64[-1]):\n    return x,", "line 1.*a type is written"),
        ("def f(x: float64[1.5]):\n    return x,", "line 1.*a type is written"),
        ("def f(x: float64, x: float64):\n    return x,", "line 1.*two inputs are called x"),
        ("def f(x: float64):\n    y: float32 = sin(x)\n    return y,", "line 2.*float64.*float32"),
        ("def f(x: float64):\n    y: float64 = add(x)\n    return y,", "line 2"),
        ("def f(x: float64):\n    y: float64 = sin(x, k=1)\n    return y,", "line 2.*sin"),
        ("def f(x: float64):\n    y: float64 = sin(x, **k)\n    return y,", "line 2.*name=value"),
        (
            "def f(x: float64):\n    y: float64[2] = reshape(x, shape='a')\n    return y,",
            "line 2.*reshape",
        ),
        (
            "def f(x: float64):\n    y: float64[2] = reshape(x, shape=g(2))\n    return y,",
            "line 2.*literal",
        ),
        ("def f(x: float64):\n    y: float64 = sin(float64('no'))\n    return y,", "line 2.*'no'"),
        ("def f(x: float64):\n    y: float64 = sin(float64([1, 2]))\n    return y,", "line 2"),
        ("def f(x: float64):\n    y: float64 = sin(float64(x))\n    return y,", "line 2.*literal"),
    ],
)
def test_errors_in_the_text_name_the_line(text: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Graph.parse(text)


def test_parsing_never_evaluates_code() -> None:
    with pytest.raises(GraphError, match="line 2"):
        Graph.parse(
            "def f(x: float64):\n"
            "    y: float64 = power_constant(x, exponent=__import__('os').getpid())\n"
            "    return y,"
        )


# captures ---------------------------------------------------------------------------------


def test_captured_arrays_are_copied_when_someone_could_write_to_them() -> None:
    w = np.arange(3.0)
    graph = cr.trace(lambda x: x * w)(np.ones(3))
    w[:] = 99
    (capture,) = graph.captures
    assert capture is not None
    assert not capture.flags.writeable
    np.testing.assert_array_equal(interpreter.compile(graph)([np.ones(3)])[0], [0, 1, 2])


def test_arrays_nobody_can_write_to_are_not_copied() -> None:
    w = np.frombuffer(np.arange(3.0).tobytes())
    assert cr.trace(lambda x: x * w)(np.ones(3)).captures[0] is w
    base = np.arange(6.0)
    view = base[::2]
    view.flags.writeable = False  # still open to writing through its base
    graph = cr.trace(lambda x: x * view)(np.ones(3))
    base[:] = -1
    np.testing.assert_array_equal(graph.captures[0], [0, 2, 4])  # type: ignore[arg-type]


def test_an_array_changed_between_two_uses_is_captured_twice() -> None:
    def f(x: Any) -> Any:
        w = np.ones(3)
        a = x * w
        w[0] = 5.0
        return a + x * w

    for run in (f, cr.jit(f)):
        np.testing.assert_array_equal(run(np.ones(3)), [6.0, 2.0, 2.0])
    assert len(cr.trace(f)(np.ones(3)).captures) == 2


def test_changing_a_captured_array_later_does_not_change_the_gradient() -> None:
    w = np.array([1.0, 2.0])

    def f(x: Any) -> Any:
        y = np.sum(x * w)
        w[:] = 0.0
        return y

    np.testing.assert_array_equal(cr.grad(f)(np.ones(2)), [1.0, 2.0])


def test_a_parsed_graph_runs_once_it_has_its_captures() -> None:
    w, b = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    graph = cr.trace(lambda x: np.tanh(x @ w + b))(np.ones(2))
    text = str(graph)
    assert "*, c0: float64[2, 3], c1: float64[3]" in text
    empty = Graph.parse(text)
    assert str(empty) == text
    with pytest.raises(GraphError, match=r"captures=\[\.\.\.\]"):
        interpreter.compile(empty)
    with pytest.raises(GraphError, match="2 captured arrays, 1 given"):
        Graph.parse(text, [w])
    with pytest.raises(GraphError, match="stands for an input"):
        Graph.parse(text, [b, w])
    full = Graph.parse(text, [w, b])
    x = np.array([0.3, -0.2])
    np.testing.assert_array_equal(interpreter.compile(full)([x])[0], np.tanh(x @ w + b))
    np.testing.assert_allclose(compile_graph(full)([x])[0], np.tanh(x @ w + b), rtol=1e-15)


# origins and scopes -----------------------------------------------------------------------


def test_nodes_know_the_lines_and_scopes_they_came_from() -> None:
    def f(x: Any) -> Any:
        with cr.scope("mlp"), cr.scope("1"):
            y = np.sin(x)
        return y + np.sin(x)

    graph = cr.trace(f)(1.0)
    sine = next(n for n in graph.nodes if n.primitive.name == "sin")
    first = f.__code__.co_firstlineno
    assert list(graph.origins[sine]) == [
        Origin(__file__, first + 2, "f", "mlp/1"),
        Origin(__file__, first + 3, "f", ""),
    ]
    assert str(graph.origins[sine][0]) == f"{__file__}:{first + 2} in f (mlp/1)"


def test_provenance_is_not_part_of_identity() -> None:
    def f(x: Any) -> Any:
        with cr.scope("a"):
            y = np.exp(x)
        with cr.scope("b"):
            z = np.exp(x)
        return y, z

    graph = cr.trace(f)(1.0)
    assert graph.outputs[0] is graph.outputs[1]
    assert [o.scope for o in graph.origins[graph.outputs[0]]] == ["a", "b"]


def test_a_scope_ends_even_when_its_body_raises() -> None:
    with pytest.raises(ZeroDivisionError), cr.scope("lost"):
        raise ZeroDivisionError
    graph = cr.trace(np.sin)(1.0)
    assert all(o.scope == "" for origins in graph.origins.values() for o in origins)


def test_passes_keep_origins() -> None:
    from chainrule.compile import optimise

    graph = optimise(cr.trace(J)(1.0))
    assert graph.outputs[0] in graph.origins


# interpreter ------------------------------------------------------------------------------


def test_the_interpreter_returns_fresh_arrays() -> None:
    w = np.arange(3.0)
    w.flags.writeable = False
    x = np.ones(3)

    def f(x: Any) -> Any:
        y = x * 2
        return x, y, y, y.reshape(3, 1), x[::-1], w, cr.stop_gradient(x)

    graph = cr.trace(f)(x)
    for run in (interpreter.compile(graph), compile_graph(graph)):
        results = run([x])
        for i, one in enumerate(results):
            assert not np.shares_memory(one, x)
            assert not np.shares_memory(one, w)
            assert not any(np.shares_memory(one, other) for other in results[:i])
            assert one.flags.writeable


def test_the_interpreter_is_silent_about_infinite_local_derivatives() -> None:
    assert cr.jit(cr.grad(np.sqrt))(0.0) == np.inf
    assert cr.jit(cr.grad(lambda x: np.hypot(x, 0.0)))(0.0) == 0.0


def test_only_what_the_outputs_need_is_in_a_graph() -> None:
    def f(x: Any) -> Any:
        np.exp(x)
        return np.sin(x)

    graph = cr.trace(f)(1.0)
    assert [n.primitive.name for n in graph.nodes] == ["input", "sin"]
    assert ancestors(graph.outputs) == list(graph.nodes)


def test_unused_inputs_stay_in_the_signature() -> None:
    graph = cr.trace(lambda x, y: x + 1)(1.0, np.ones(2))
    assert [x.type.shape for x in graph.free_inputs] == [(), (2,)]
    assert interpreter.compile(graph)([np.asarray(1.0), np.ones(2)]) == [2.0]


def test_recording_inside_recording_keeps_apart() -> None:
    with fresh_recording(eager=False) as outer:
        x = outer.input(F64)
        recorded = record(lambda y: y * 2, F64)
        assert active() is outer
        assert (x + 1).recording is outer
    assert len(recorded.graph.nodes) == 3


# types ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (np.complex128, "real and imaginary"),
        (np.float16, "use float32 or float64"),
        (np.longdouble, "use float32 or float64"),
        (object, "Python objects"),
        ("U3", "text"),
        (">f8", "use float32 or float64"),
        ("M8[s]", "use float32, float64, an integer"),
    ],
)
def test_unsupported_dtypes_are_refused_with_a_remedy(dtype: Any, message: str) -> None:
    with pytest.raises(DtypeError, match=message):
        ArrayType((), np.dtype(dtype))


@given(st.lists(st.lists(st.sampled_from([0, 1, 2, 3]), max_size=4), min_size=1, max_size=3))
def test_broadcasting_is_numpys(shapes: list[list[int]]) -> None:
    given_shapes = [tuple(s) for s in shapes]
    try:
        expected = np.broadcast_shapes(*given_shapes)
    except ValueError:
        with pytest.raises(ShapeError, match="do not broadcast"):
            broadcast_shapes(*given_shapes)
    else:
        assert broadcast_shapes(*given_shapes) == expected


# trees ------------------------------------------------------------------------------------

Pair = namedtuple("Pair", ["left", "right"])


@dataclasses.dataclass(frozen=True)
class Layer:
    weights: Any
    bias: Any = None


leaves = st.one_of(st.floats(allow_nan=False), st.integers(), st.just(np.float64(2.0)))
trees = st.recursive(
    st.one_of(leaves, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Layer, inner, inner),
    ),
    max_leaves=8,
)


@given(trees)
def test_flatten_and_unflatten_are_inverse(tree: Any) -> None:
    found, treedef = flatten(tree)
    assert treedef.count == len(found)
    assert treedef.unflatten(found) == tree
    assert flatten(treedef.unflatten(found))[1] == treedef
    assert hash(treedef) == hash(flatten(tree)[1])
    with pytest.raises(UsageError, match="more leaves"):
        treedef.unflatten([*found, 1.0])
    if found:
        with pytest.raises(UsageError, match="fewer leaves"):
            treedef.unflatten(found[:-1])


@given(trees)
def test_paths_name_each_leaf_once_and_lead_to_it(tree: Any) -> None:
    named, treedef = flatten_with_paths(tree)
    assert [path for path, _ in named] == paths(tree)
    assert len({path for path, _ in named}) == len(named) == treedef.count
    for path, leaf in named:
        assert follow(tree, path.split("/") if path else []) is leaf


def follow(tree: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(tree, dict):
            tree = tree[step]
        elif isinstance(tree, (Pair, Layer)):
            tree = getattr(tree, step)
        else:
            tree = tree[int(step)]
    return tree


@given(trees)
def test_map_tree_keeps_the_shape_and_maps_every_leaf(tree: Any) -> None:
    mapped = map_tree(lambda x: ("seen", x)[1], tree)
    assert mapped == tree
    twice = map_tree(lambda x, y: (x is y) * 1.0, tree, tree)
    assert flatten(twice)[1] == flatten(tree)[1]
    assert flatten(twice)[0] == [1.0] * flatten(tree)[1].count


def test_trees_with_the_same_keys_are_the_same_tree() -> None:
    assert flatten({"b": 1.0, "a": 2.0}) == flatten({"a": 2.0, "b": 1.0})
    assert flatten([1.0])[1] != flatten((1.0,))[1]
    assert flatten(None)[1] != flatten(())[1]
    with pytest.raises(UsageError, match="trees of different shape"):
        map_tree(lambda x, y: x, {"a": 1.0}, {"b": 1.0})


def test_types_of_arrays_are_interned() -> None:
    assert type_of(np.ones(3)) is type_of(np.zeros(3))
    assert str(type_of(np.ones((2, 3), np.float32))) == "float32[2, 3]"


def test_a_fresh_process_parses_a_graph_at_once() -> None:
    code = (
        "import chainrule as cr; "
        "print(cr.Graph.parse('def f(x: float64):\\n    a: float64 = sin(x)\\n    return a,'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sin(x)" in done.stdout


# pickling and making by hand ------------------------------------------------------------------


def test_a_graph_pickles_and_copies_with_its_arrays_and_loops() -> None:
    table = np.arange(3.0)

    def f(x: Any) -> Any:
        return np.sum(cr.fori_loop(0, 3, lambda i, c: np.sin(c) * 2, x) * table)

    graph = cr.trace(f)(table)
    for again in (pickle.loads(pickle.dumps(graph)), copy.deepcopy(graph)):
        assert str(again) == str(graph)
        (found,) = interpreter.compile(again)([table])
        assert found == f(table)


@pytest.mark.parametrize("shape", [3, "ab", (2.5,), (-1,), None, ([1],)])
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(ShapeError, match="a shape is a tuple of lengths"):
        ArrayType(shape, np.float64)


@pytest.mark.parametrize("dtype", ["float99", None, complex, object])
def test_what_is_no_dtype_is_refused(dtype: Any) -> None:
    with pytest.raises(DtypeError):
        ArrayType((2,), dtype)


def test_a_graph_of_no_nodes_is_refused() -> None:
    with pytest.raises(GraphError, match=r"cr\.trace"):
        Graph((1,), (2,))  # type: ignore[arg-type]
    with pytest.raises(GraphError, match=r"Graph\.parse"):
        Graph.parse(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [cr.random, cr.tree, cr.errors])
def test_public_modules_list_what_is_public(module: Any) -> None:
    assert dir(module) == sorted(module.__all__)
