"""Every checker seen to fail: one seeded fault for each thing it claims to notice.

A check that cannot fail proves nothing, however often it passes.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.compile.passes import Pass, optimise
from chainrule.compile.rewrite import rebuild
from chainrule.core.batching import leading, with_attrs
from chainrule.core.graph import Graph
from chainrule.core.node import PRIMITIVES, Primitive, Sample
from chainrule.core.rules import Custom, Elementwise, Linear, Multilinear
from chainrule.core.types import ArrayType, array_type
from chainrule.errors import GraphError
from chainrule.ops.reduce import flip
from tests.helpers import oracles, rows
from tests.helpers.habits import named_primitives
from tests.helpers.places import ROOT

SINE, SUM, CONTRACT, INV = (PRIMITIVES[n] for n in ("sin", "reduce_sum", "contract", "inv"))
CUMSUM, MULTIPLY = PRIMITIVES["cumsum"], PRIMITIVES["multiply"]

Check = Callable[[Primitive, Sample], None]


@pytest.fixture
def faulty() -> Iterator[Callable[..., Primitive]]:
    """A copy of a primitive with something changed, gone from the registry afterwards."""
    with ExitStack() as stack:

        def make(primitive: Primitive, **changes: Any) -> Primitive:
            name = f"faulty_{primitive.name}"
            return stack.enter_context(
                oracles.unregistered(replace(primitive, name=name, **changes))
            )

        yield make
    assert not [name for name in PRIMITIVES if name.startswith("faulty_")]


def refuses(check: Check, primitive: Primitive, by: Any = AssertionError) -> bool:
    """Whether some sample of the primitive fails the check, as the battery would run it."""
    for sample in primitive.samples():
        try:
            check(primitive, sample)
        except by:
            return True
    return False


@pytest.mark.parametrize("primitive", [SINE, SUM, CONTRACT, INV, CUMSUM, MULTIPLY])
@pytest.mark.parametrize(
    "check", [*oracles.CHECKS, *oracles.DERIVATIVE_CHECKS], ids=lambda c: c.__name__
)
def test_nothing_is_refused_where_nothing_is_wrong(
    check: Check, primitive: Primitive, faulty: Any
) -> None:
    def usual(one: Primitive, sample: Sample) -> None:
        if sample.smooth and not (check is oracles.check_second and oracles.is_single(sample)):
            check(one, sample)

    assert not refuses(usual, faulty(primitive))


# wrong derivatives ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "partial",
    [
        lambda y, x: -np.cos(x),
        lambda y, x: np.cos(x) * (1 + 1e-7),
        lambda y, x: np.cos(x) + 1e-8,
        lambda y, x: np.cos(np.abs(x)) * np.where(x == 0, 0.0, 1.0),
        lambda y, x: 1,
        lambda y, x: 0,
        None,
    ],
    ids=["sign", "1e-7 off", "1e-8 beside", "wrong at 0", "one", "zero", "missing"],
)
def test_a_wrong_partial_is_refused(partial: Any, faulty: Any) -> None:
    assert refuses(oracles.check_jvp, faulty(SINE, rule=Elementwise((partial,))))


def test_partials_in_the_wrong_order_are_refused(faulty: Any) -> None:
    rule = Elementwise(tuple(reversed(MULTIPLY.rule.partials)))
    assert refuses(oracles.check_jvp, faulty(MULTIPLY, rule=rule))


def test_a_first_derivative_that_has_a_wrong_derivative_is_refused(faulty: Any) -> None:
    """Right numbers, cut off from x: the second derivative would be 0."""
    primitive = faulty(SINE, rule=Elementwise((lambda y, x: cr.stop_gradient(np.cos(x)),)))
    assert not refuses(oracles.check_jvp, primitive)
    assert not refuses(oracles.check_transpose, primitive)
    assert refuses(oracles.check_second, primitive)


@pytest.mark.parametrize(
    "transpose",
    [
        lambda i, g, x, axis: CUMSUM(g, axis=axis),
        lambda i, g, x, axis: 2 * flip(CUMSUM(flip(g, axis), axis=axis), axis),
    ],
    ids=["not flipped", "doubled"],
)
def test_a_wrong_transpose_is_refused(transpose: Any, faulty: Any) -> None:
    """Forward mode applies a linear primitive to the tangent, so only the transpose errs."""
    primitive = faulty(CUMSUM, rule=Linear(transpose))
    assert not refuses(oracles.check_jvp, primitive)
    assert refuses(oracles.check_transpose, primitive)


def test_a_transpose_of_the_wrong_argument_is_refused(faulty: Any) -> None:
    rule = Multilinear(tuple(reversed(CONTRACT.rule.transposes)))
    square = [Sample((np.eye(3) + 1.0, np.arange(9.0).reshape(3, 3)), {"spec": "ij,jk->ik"})]
    primitive = faulty(CONTRACT, rule=rule, samples=lambda: square)
    assert refuses(oracles.check_transpose, primitive)


def test_a_wrong_custom_rule_is_refused_in_both_modes(faulty: Any) -> None:
    """Forward mode is found by transposing the vjp, so the two agree with each other; the
    numeric derivative doesn't."""

    def vjp(g: Any, y: Any, a: Any) -> list[Any]:
        return [y @ g @ y]  # A⁻¹ g A⁻¹: neither transposed nor negative

    primitive = faulty(INV, rule=Custom(vjp, why="seeded fault"))
    assert not refuses(oracles.check_transpose, primitive)
    assert refuses(oracles.check_jvp, primitive)


def test_a_derivative_in_the_wrong_precision_is_refused(faulty: Any) -> None:
    def partial(y: Any, x: Any) -> Any:
        return np.cos(np.astype(x, np.float64))

    assert refuses(oracles.check_precision, faulty(SINE, rule=Elementwise((partial,))))


# wrong values -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "infer",
    [
        lambda x: array_type((*x.shape, 1), x.dtype),
        lambda x: array_type(x.shape, np.dtype(np.float64)),
        lambda x: array_type(x.shape[::-1], x.dtype),
    ],
    ids=["an axis more", "always double", "transposed"],
)
def test_a_wrong_shape_rule_is_refused(infer: Any, faulty: Any) -> None:
    assert refuses(oracles.check_type, faulty(SINE, infer=infer))


def test_a_forward_that_returns_no_array_is_refused(faulty: Any) -> None:
    assert refuses(oracles.check_type, faulty(SINE, forward=lambda x: np.sin(x).tolist()))


def test_a_forward_that_promotes_is_refused(faulty: Any) -> None:
    def forward(x: Any) -> Any:
        return np.sin(np.asarray(x, float))

    def infer(x: ArrayType) -> ArrayType:
        return array_type(x.shape, np.dtype(np.float64))

    primitive = faulty(SINE, forward=forward, infer=infer)
    assert not refuses(oracles.check_type, primitive)
    assert refuses(oracles.check_precision, primitive)


def in_place(x: Any) -> Any:
    return np.sin(x, out=x if isinstance(x, np.ndarray) and x.ndim else None)


def quietly_in_place(x: Any) -> Any:
    y = np.sin(x)
    if isinstance(x, np.ndarray) and x.flags.writeable and x.ndim:
        x[...] = 0
    return y


@pytest.mark.parametrize("forward", [in_place, quietly_in_place])
def test_a_forward_that_writes_to_its_input_is_refused(forward: Any, faulty: Any) -> None:
    assert refuses(oracles.check_pure, faulty(SINE, forward=forward))


def test_a_forward_with_a_memory_is_refused(faulty: Any) -> None:
    calls: list[int] = []

    def forward(x: Any) -> Any:
        calls.append(1)
        return np.sin(x) + len(calls)

    assert refuses(oracles.check_pure, faulty(SINE, forward=forward))


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: np.sin(x).ravel(order="K").reshape(x.shape),
        lambda x: np.frombuffer(x.base if x.base is not None else x, x.dtype)[: x.size].reshape(
            x.shape
        ),
    ],
    ids=["order of memory", "raw memory"],
)
def test_a_forward_that_depends_on_the_layout_is_refused(forward: Any, faulty: Any) -> None:
    only = [Sample((np.arange(6.0).reshape(2, 3),))]
    assert refuses(oracles.check_layouts, faulty(SINE, forward=forward, samples=lambda: only))


def test_a_forward_that_has_no_empty_case_is_refused(faulty: Any) -> None:
    def forward(x: Any) -> Any:
        return np.atleast_1d(np.sin(x))

    only = [Sample((np.array([0.5, 1.0]),))]
    primitive = faulty(SINE, forward=forward, samples=lambda: only)
    assert not refuses(oracles.check_type, primitive)
    assert refuses(oracles.check_shapes, primitive)


def test_a_forward_that_is_not_analytic_in_complex_numbers_is_refused(faulty: Any) -> None:
    def forward(x: Any) -> Any:
        return np.sin(np.conj(x))

    assert refuses(oracles.check_jvp, faulty(SINE, forward=forward))


# batches ----------------------------------------------------------------------------------

GATHER, SELECT, SLICE = (PRIMITIVES[name] for name in ("gather", "select", "slice"))


@pytest.mark.parametrize(
    ("primitive", "batch"),
    [
        (SUM, leading),  # over the axis of rows
        (CUMSUM, leading),
        (SINE, lambda given: given.inputs[0]),
        (MULTIPLY, lambda given: MULTIPLY(*[given.full()[0]] * 2)),
        (SELECT, lambda given: SELECT(*[given.full()[i] for i in (0, 2, 1)])),
        (SLICE, with_attrs(lambda size, region: {"region": ((size - 1, size, -1), *region)})),
        (GATHER, lambda given: gather_one_row(given)),
        (CONTRACT, lambda given: contract_turned(given)),
    ],
)
def test_a_wrong_batching_rule_is_refused(primitive: Primitive, batch: Any, faulty: Any) -> None:
    assert not refuses(rows.check_rows, primitive, Exception)
    assert refuses(rows.check_rows, faulty(primitive, batch=batch), Exception)


def gather_one_row(given: Any) -> Any:
    """Every row reads at the places of the first."""
    x, *indices = given.full()
    first = [i[0] for i in indices]
    return GATHER.batch_rule(
        replace(given, inputs=(x, *first), mapped=(True, *[False] * len(first)))
    )


def contract_turned(given: Any) -> Any:
    """The rows in the opposite order, where both factors have some."""
    y = CONTRACT.batch_rule(given)
    return y[::-1] if all(given.mapped) else y


# graphs and passes ------------------------------------------------------------------------


def test_attributes_that_do_not_print_as_literals_are_refused(faulty: Any) -> None:
    def infer(x: ArrayType, *, by: Any) -> ArrayType:
        return x

    samples = [Sample((np.ones(2),), {"by": np.float64(2.0)})]
    primitive = faulty(
        SINE, forward=lambda x, by: x * by, infer=infer, rule=None, samples=lambda: samples
    )
    with pytest.raises(GraphError, match="not a literal"):
        oracles.check_text(primitive, samples[0])


def test_a_text_that_loses_something_is_refused() -> None:
    graph = cr.trace(lambda x: x * np.arange(3.0))(np.ones(3))
    shifted = replace(graph, captures=(np.arange(3.0) + 1,))
    assert str(shifted) == str(graph)  # captured values are not part of the text
    with pytest.raises(AssertionError, match="is not"):
        oracles.assert_same(
            oracles.interpreter.compile(shifted)([np.ones(3)]),
            oracles.interpreter.compile(graph)([np.ones(3)]),
        )


def test_an_executor_that_disagrees_with_recording_is_refused(faulty: Any) -> None:
    """A forward that counts its calls gives the interpreter another value than it gave
    before."""
    calls: list[int] = []

    def forward(x: Any) -> Any:
        calls.append(1)
        return np.sin(x) + len(calls)

    assert refuses(oracles.check_interpreter, faulty(SINE, forward=forward))


def cosines(graph: Graph) -> Graph:
    """A wrong rewrite of the right type: sin becomes cos."""

    def rewrite(node: Any, inputs: Any) -> Any:
        return np.cos(inputs[0]) if node.primitive is SINE else None

    return rebuild(graph, rewrite)


def forgets_negation(graph: Graph) -> Graph:
    def rewrite(node: Any, inputs: Any) -> Any:
        return inputs[0] if node.primitive is PRIMITIVES["negative"] else None

    return rebuild(graph, rewrite)


def forgets_reshapes(graph: Graph) -> Graph:
    """Ill-typed: what follows, or the result, has another shape."""

    def rewrite(node: Any, inputs: Any) -> Any:
        return inputs[0] if node.primitive is PRIMITIVES["reshape"] else None

    return rebuild(graph, rewrite)


def forgets_outputs(graph: Graph) -> Graph:
    return replace(graph, outputs=graph.outputs[:1])


def reverses_inputs(graph: Graph) -> Graph:
    return replace(graph, inputs=graph.inputs[::-1])


def f(x: Any, y: Any) -> Any:
    return np.sin(x), -np.reshape(x, (3, 2)) @ y


ARGUMENTS = [np.arange(6.0).reshape(2, 3), np.ones(2)]


@pytest.mark.parametrize("run", [cosines, forgets_negation])
def test_a_pass_that_changes_values_is_refused(run: Any) -> None:
    graph = cr.trace(f)(*ARGUMENTS)
    with pytest.raises(AssertionError, match="is not"):
        oracles.check_pass(Pass("seeded", run, "errs"), graph, ARGUMENTS)


@pytest.mark.parametrize("run", [forgets_reshapes, forgets_outputs, reverses_inputs])
def test_a_pass_that_breaks_the_graph_fails_by_its_name(run: Any) -> None:
    graph = cr.trace(f)(*ARGUMENTS)
    sound = Pass("sound", lambda graph: graph, "changes nothing")
    with pytest.raises(GraphError, match="pass 'seeded'"):
        optimise(graph, [sound, Pass("seeded", run, "errs"), sound])


# the oracles themselves -------------------------------------------------------------------


def test_ridders_knows_its_error() -> None:
    for function, slope in (
        (lambda h: np.exp(1 + h), np.e),
        (lambda h: np.sin(50 * (0.3 + h)), 50 * np.cos(15)),
        (lambda h: 1 / (0.1 + h), -100.0),
        (lambda h: np.full(3, 7.0), np.zeros(3)),
    ):
        found, error = oracles.ridders(function)
        assert np.all(np.abs(found - slope) <= 10 * error)
        assert np.all(error < 1e-8)


def test_ridders_does_not_trust_a_kink() -> None:
    """One that lies within the smallest step: the slopes on its sides are mixed."""
    _, error = oracles.ridders(lambda h: np.abs(h - 1e-4))
    assert error > 1e-3


def test_complex_steps_are_exact_or_refused() -> None:
    assert oracles.complex_step(lambda h: np.exp(1 + h)) == pytest.approx(np.e, rel=1e-16)
    assert oracles.complex_step(lambda h: np.floor(1 + h)) is None
    assert oracles.complex_step(lambda h: np.abs(1 + h)) is None


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (np.ones(2), np.ones(3)),
        (np.ones(2), np.ones(2, np.float32)),
        (np.ones(2), np.array([1.0, 1 + 1e-15])),
        (np.ones(2), np.array([1.0, np.nan])),
        (np.ones(()), np.ones(1)),
    ],
)
def test_assert_same_refuses_what_differs(got: Any, expected: Any) -> None:
    with pytest.raises(AssertionError):
        oracles.assert_same([got], [expected])
    with pytest.raises(ValueError, match="zip"):
        oracles.assert_same([got], [got, got])


LEFT_BEHIND = """
import numpy as np
from chainrule.core.recording import recording

def test_nothing():
    pass

def test_random_state():
    np.random.normal()

def test_error_settings():
    np.seterr(divide="ignore")

def test_recording():
    global kept
    kept = recording(eager=True)
    kept.__enter__()
"""


def test_what_a_test_leaves_behind_is_noticed(tmp_path: Path) -> None:
    """The fixture of conftest.py, run around tests that leave something behind."""
    (tmp_path / "test_left.py").write_text(LEFT_BEHIND)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", tmp_path, tmp_path],
        cwd=ROOT, env={**os.environ, "PYTEST_ADDOPTS": "-c /dev/null -p no:xdist"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    noticed = set(re.findall(r"^ERROR .*::(test_\w+)", done.stdout, flags=re.M))
    assert noticed == {"test_random_state", "test_error_settings", "test_recording"}, done.stdout
    assert "4 passed, 3 errors" in done.stdout, done.stdout


# the style test ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "if node.primitive.name == 'sin': pass",
        "if 'sin' == node.primitive.name: pass",
        "if node.primitive.name in ('sin', 'cos'): pass",
        "name = node.primitive.name\nif name != 'add': pass",
        "name: str = x.node.primitive.name\nok = name in NAMES",
        "match node.primitive.name:\n    case 'sin':\n        pass",
        "if node.primitive is structure.select: pass",
        "if primitive is PRIMITIVES['sin']: pass",
        "if node.primitive in (select, PRIMITIVES['sin']): pass",
    ],
)
def test_the_style_test_sees_a_named_primitive(source: str) -> None:
    assert list(named_primitives(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "if node.primitive is INPUT or node.primitive in (INPUT, CONSTANT): pass",
        "if a.node.primitive is b.node.primitive: pass",
        "if name in PRIMITIVES: pass",
        "if activation.name == 'tanh': pass",
        "if primitive.name in PRIMITIVES: pass",
        "if primitive is None: pass",
    ],
)
def test_the_style_test_lets_the_rest_pass(source: str) -> None:
    assert not list(named_primitives(ast.parse(source)))
