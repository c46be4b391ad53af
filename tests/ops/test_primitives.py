"""The battery: every check of ``oracles.py``, on every sample, of every registered primitive.

It reads the registry, so a new primitive is tested by being registered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from string import Formatter

import numpy as np
import pytest

import chainrule.ops  # noqa: F401  (registers the primitives)
from chainrule.core.node import CONSTANT, INPUT, PRIMITIVES, Primitive, Sample
from chainrule.core.rules import Custom, Elementwise, Multilinear
from tests.helpers import oracles, rows

WITHOUT_SAMPLES = {
    "input": "its value comes from the caller (test_graph.py)",
    "constant": "it takes no arguments (test_graph.py)",
    "custom": "its derivative is the user's function (test_transforms.py)",
    "scan": "its body is a graph (test_loops.py)",
    "item": "it takes the results of a loop (test_loops.py)",
    "bundle": "it makes what only the rule of a loop takes (test_loops.py)",
}
TESTED = sorted(set(PRIMITIVES) - set(WITHOUT_SAMPLES))
CUSTOM = {
    "cholesky",
    "cofactor",
    "cumprod",
    "custom",
    "det",
    "eigh",
    "expm",
    "inv",
    "pinv",
    "polar",
    "qr",
    "recurrence",
    "reduce_max",
    "reduce_min",
    "reduce_prod",
    "slogdet",
    "solve",
    "svd",
}


@functools.cache
def samples_of(name: str) -> tuple[Sample, ...]:
    return tuple(PRIMITIVES[name].samples())


def run_check(check: Callable[[Primitive, Sample], None], name: str) -> None:
    for number, sample in enumerate(samples_of(name)):
        try:
            check(PRIMITIVES[name], sample)
        except AssertionError as error:
            raise AssertionError(f"{name}, sample {number} {sample}: {error}") from error


def test_every_registered_primitive_is_tested() -> None:
    assert set(TESTED) | set(WITHOUT_SAMPLES) == set(PRIMITIVES)
    for name in TESTED:
        assert samples_of(name), f"{name} has no samples"


@pytest.mark.parametrize("name", TESTED)
@pytest.mark.parametrize("check", oracles.CHECKS, ids=lambda check: check.__name__)
def test_values(name: str, check: Callable[[Primitive, Sample], None]) -> None:
    run_check(check, name)


@pytest.mark.parametrize("name", TESTED)
def test_rows(name: str) -> None:
    run_check(rows.check_rows, name)
    double = [s for s in samples_of(name) if not oracles.is_single(s)]
    rows.check_rows_compiled(PRIMITIVES[name], double)
    for sample in double:
        if oracles.differentiable(PRIMITIVES[name], sample):
            rows.check_rows_derivatives(PRIMITIVES[name], sample)


@pytest.mark.parametrize("name", [n for n in TESTED if PRIMITIVES[n].rule is not None])
@pytest.mark.parametrize("check", [oracles.check_jvp, oracles.check_transpose])
def test_first_derivatives(name: str, check: Callable[[Primitive, Sample], None]) -> None:
    def where_it_has_one(primitive: Primitive, sample: Sample) -> None:
        if oracles.differentiable(primitive, sample):
            check(primitive, sample)

    assert any(oracles.differentiable(PRIMITIVES[name], s) for s in samples_of(name))
    run_check(where_it_has_one, name)


@pytest.mark.parametrize("name", [n for n in TESTED if PRIMITIVES[n].rule is not None])
def test_second_derivatives(name: str) -> None:
    def in_double_precision(primitive: Primitive, sample: Sample) -> None:
        usual = sample.smooth and not oracles.is_single(sample)
        if usual and oracles.differentiable(primitive, sample):
            oracles.check_second(primitive, sample)

    run_check(in_double_precision, name)


@pytest.mark.parametrize("name", TESTED)
def test_samples_cover_both_precisions(name: str) -> None:
    dtypes = {x.dtype for s in samples_of(name) for x in s.inputs if x.dtype.kind == "f"}
    if PRIMITIVES[name].rule is not None and name != "cast":  # cast goes from one to the other
        assert dtypes == {np.dtype(np.float32), np.dtype(np.float64)}


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_every_primitive_teaches(name: str) -> None:
    primitive = PRIMITIVES[name]
    assert primitive.teaches.endswith((".", ")")), "a sentence that teaches is missing"
    if primitive in (INPUT, CONSTANT):
        return
    assert primitive.text, "no notation in text"
    if primitive.rule is not None:
        assert primitive.latex, "no notation in LaTeX"
    attrs = {key for s in samples_of(name) for key in s.attrs}
    for notation in (primitive.text, primitive.latex):
        fields = {field for _, field, _, _ in Formatter().parse(notation) if field is not None}
        assert {f for f in fields if f and not f.isdigit()} <= attrs
        notation.format(*["x"] * 8, **dict.fromkeys(attrs, "n"))


def test_custom_rules_stay_few_and_say_why() -> None:
    """Elementwise, Multilinear and Linear rules give forward mode, reverse mode and the
    printed derivation at once; a rule that is none of them has to be argued for here."""
    custom = {name: p.rule for name, p in PRIMITIVES.items() if isinstance(p.rule, Custom)}
    assert set(custom) == CUSTOM
    for name, rule in custom.items():
        assert len(rule.why.split()) >= 4, f"{name} does not say why its rule is Custom"


@pytest.mark.parametrize("name", TESTED)
def test_rules_have_one_entry_for_each_argument(name: str) -> None:
    rule = PRIMITIVES[name].rule
    count = len(samples_of(name)[0].inputs)
    if isinstance(rule, Elementwise):
        assert len(rule.partials) == count
    elif isinstance(rule, Multilinear):
        assert len(rule.transposes) == count
