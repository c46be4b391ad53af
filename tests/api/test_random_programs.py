"""Random programs over NumPy's functions: plain NumPy says what the values are, a complex
step what the derivatives are; eager, compiled, printed and parsed must all agree.

Hypothesis draws the programs (``helpers/programs.py``).
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.compile import PASSES
from tests.helpers import oracles
from tests.helpers.programs import LARGEST, OPS, SHAPES, Program, attempt, build


def programs(dtype: Any) -> Any:
    return st.builds(build, st.integers(0, 2**32), st.integers(1, 12), st.just(dtype))


PROGRAMS = int(os.environ.get("CHAINRULE_PROGRAMS", "200"))
COMMON = settings(max_examples=PROGRAMS, suppress_health_check=[HealthCheck.too_slow])


def rounding(dtype: Any) -> float:
    """What may be left of terms that cancel: the rounding of values up to ``LARGEST``."""
    return float(LARGEST * np.finfo(dtype).eps)


def assert_close(got: Any, expected: Any, tolerance: float) -> None:
    """Of the same type, and as close as ``tolerance`` of the largest entry, up to rounding."""
    assert (np.shape(got), got.dtype) == (np.shape(expected), expected.dtype), (
        f"{got.dtype}{np.shape(got)}, NumPy has {expected.dtype}{np.shape(expected)}"
    )
    if not expected.size:
        return
    size = np.max(np.abs(np.asarray(expected, float)))
    left = rounding(expected.dtype) if expected.dtype.kind == "f" else 0.0
    np.testing.assert_allclose(
        np.asarray(got, float), np.asarray(expected, float), rtol=0, atol=tolerance * size + left
    )


def floats(program: Program) -> Program:
    """The program with the outputs that have a derivative."""
    ys = program(*program.inputs)
    kept = tuple(i for i, y in zip(program.outputs, ys, strict=True) if y.dtype.kind == "f")
    return replace(program, outputs=kept)


def tangents_of(program: Program) -> tuple[np.ndarray, ...]:
    rng = np.random.Generator(np.random.Philox(1))
    return tuple(np.asarray(rng.uniform(-1, 1, x.shape), x.dtype) for x in program.inputs)


@given(programs(np.float64))
@COMMON
def test_values_and_derivatives(program: Program) -> None:
    note(str(program))
    expected = program(*program.inputs)
    got, _ = cr.jvp(program, program.inputs, tangents_of(program))
    for y, right in zip(got, expected, strict=True):
        assert_close(y, right, 1e-12)
    f, ts = floats(program), tangents_of(program)
    ys, forward = cr.jvp(f, program.inputs, ts)

    def along(h: Any) -> Any:
        moved = [x + h * t for x, t in zip(program.inputs, ts, strict=True)]
        return f.complex(*moved)

    for t, stepped in zip(forward, along(1e-20j), strict=True):
        assert_close(t, np.asarray(np.imag(stepped) * 1e20), 1e-9)
    check_transposed(f, program, ys, forward, ts, 1e-10)


def check_transposed(
    f: Any, program: Program, ys: Any, forward: Any, ts: Any, tolerance: float
) -> None:
    """<g, J t> = <Jᵀ g, t>, the cotangents of the type of their arguments."""
    gs = tuple(oracles.cotangent(y) for y in ys)
    backs = cr.vjp(f, *program.inputs)[1](gs)
    for b, x in zip(backs, program.inputs, strict=True):
        assert (b.shape, b.dtype) == (x.shape, x.dtype)
    there, back = oracles.dot(gs, forward), oracles.dot(backs, ts)
    size = oracles.dot([np.abs(g) for g in gs], [np.abs(t) for t in forward])
    size += oracles.dot([np.abs(b) for b in backs], [np.abs(t) for t in ts])
    left = max(rounding(y.dtype) for y in ys) if ys else 0.0
    assert abs(there - back) <= tolerance * size + left


@given(programs(np.float32))
@COMMON
def test_single_precision_is_kept(program: Program) -> None:
    note(str(program))
    f, ts = floats(program), tangents_of(program)
    ys, forward = cr.jvp(f, program.inputs, ts)
    for y, t, right in zip(ys, forward, f(*program.inputs), strict=True):
        assert_close(y, right, 1e-3)
        assert (t.shape, t.dtype) == (y.shape, y.dtype)
    check_transposed(f, program, ys, forward, ts, 1e-3)


@given(programs(np.float64))
@settings(COMMON, max_examples=PROGRAMS // 2)
def test_second_derivatives_by_all_nestings_agree(program: Program) -> None:
    note(str(program))
    f, ts = floats(program), tangents_of(program)
    gs = tuple(oracles.cotangent(y) for y in f(*program.inputs))
    everything = tuple(range(len(ts)))

    def total(parts: Any, others: Any) -> Any:
        return sum((np.sum(a * b) for a, b in zip(parts, others, strict=True)), 0.0)

    def first_forward(*xs: Any) -> Any:
        return total(cr.jvp(f, xs, ts)[1], gs) + 0.0 * np.sum(xs[0])

    def first_reverse(*xs: Any) -> Any:
        return total(cr.vjp(f, *xs)[1](gs), ts) + 0.0 * np.sum(xs[0])

    found = []
    for first in (first_forward, first_reverse):
        found.append(float(cr.jvp(first, program.inputs, ts)[1]))
        found.append(oracles.dot(cr.grad(first, everything)(*program.inputs), ts))
    scale = max(map(abs, found)) + 1e-3
    assert np.ptp(found) <= 1e-8 * scale, found


@given(st.sampled_from([np.float64, np.float32]).flatmap(programs))
@settings(COMMON, max_examples=PROGRAMS * 2 // 5)  # each is compiled twice
def test_graphs_print_parse_optimise_and_run_alike(program: Program) -> None:
    note(str(program))
    arguments = list(program.inputs)
    eager = cr.vjp(program, *arguments)[0]
    graph = cr.trace(program)(*arguments)
    oracles.assert_same(oracles.interpreter.compile(graph)(arguments), eager)
    assert_all_close(cr.jit(program)(*arguments), eager)
    f = floats(program)
    gs = tuple(oracles.cotangent(y) for y in f(*arguments))

    def pulled(gs: Any, *xs: Any) -> Any:
        return cr.vjp(f, *xs)[1](gs)

    backward = cr.trace(pulled)(gs, *arguments)
    for one, inputs in ((graph, arguments), (backward, [*gs, *arguments])):
        oracles.check_round_trip(one, inputs)
        for step in PASSES:
            oracles.check_pass(step, one, inputs)
    assert_all_close(cr.jit(pulled)(gs, *arguments), cr.vjp(f, *arguments)[1](gs))


def assert_all_close(got: Any, expected: Any) -> None:
    """Compiled and eager agree up to rounding: stable forms may replace what was typed."""
    for a, b in zip(got, expected, strict=True):
        assert_close(a, b, 1e-12 if np.asarray(b).dtype != np.float32 else 1e-4)


def test_every_operation_takes_part() -> None:
    """An operation that no shape suits would never be drawn: each runs on some of them."""
    rng = np.random.Generator(np.random.Philox(0))
    pool = [rng.uniform(-2, 2, shape) for shape in SHAPES]
    for op in OPS:
        tries = [[x] * op.arity for x in pool]
        done = [attempt(op, k, xs) for xs in tries for k in range(4)]
        assert sum(y is not None for y in done) >= 4, op.name
