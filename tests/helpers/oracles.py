"""Numeric oracles, and the checks that the battery makes of every primitive.

A check is a function ``check_*(primitive, sample)`` that raises AssertionError, so that
``test_checkers.py`` can hand each of them something faulty and see it refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.compile.passes import PASSES, Pass, optimise
from chainrule.core.graph import Graph, verify
from chainrule.core.node import PRIMITIVES, Primitive, Sample
from chainrule.core.types import type_of
from chainrule.ops.coerce import lift
from chainrule.run import interpreter

Arrays = list[np.ndarray]
EPS = float(np.finfo(np.float64).eps)

# numeric derivatives ----------------------------------------------------------------------


def ridders(f: Callable[[float], Any], h: float = 0.01, levels: int = 7) -> tuple[Any, Any]:
    """df/dh at 0 and its estimated error, element by element.

    Central differences at h, h/2, h/4, ... extrapolated to 0 by Richardson's table, each
    element taking the entry of the table that moved least from its neighbours
    (Ridders 1982; Numerical Recipes 5.7). The error is never less than what rounding of the
    values makes of the smallest step.
    """
    with np.errstate(all="ignore"):
        columns: list[Any] = []
        best: Any = None
        error: Any = None
        for level in range(levels):
            step = h / 2**level
            new = [(np.asarray(f(step), float) - np.asarray(f(-step), float)) / (2 * step)]
            for k, old in enumerate(columns):
                new.append(new[k] + (new[k] - old) / (4.0 ** (k + 1) - 1))
            for k in range(1, len(new)):
                moved = np.maximum(np.abs(new[k] - new[k - 1]), np.abs(new[k] - columns[k - 1]))
                if best is None:
                    best, error = new[k].copy(), moved
                better = moved < error
                best, error = np.where(better, new[k], best), np.where(better, moved, error)
            columns = new
        rounding = np.abs(np.asarray(f(0.0), float)) * EPS * 2 ** (levels - 1) / h
        return best, np.maximum(error, rounding)


def complex_step(f: Callable[[complex], Any], h: float = 1e-20) -> np.ndarray | None:
    """df/dh at 0 from one complex step (Squire and Trapp 1998), exact to rounding; None where
    ``f`` does not take complex numbers."""
    with np.errstate(all="ignore"):
        try:
            y = np.asarray(f(1j * h))
        except (TypeError, ValueError, np.linalg.LinAlgError):
            return None
    return np.imag(y) / h if np.iscomplexobj(y) else None


def assert_derivative(got: Any, f: Callable[[Any], Any], single: bool = False) -> None:
    """``got`` is df/dh at 0, by the complex step where ``f`` takes one, else by differences.

    Tolerances: the complex step has no truncation and no cancellation, so 1e-10 leaves room
    for the rule's own rounding only; a rule that uses its output (1 - y·y) inherits what that
    was rounded by, 1e-14 of it. Differences know their truncation and rounding: ten times
    that estimate, and 1e-9. In float32 (``single``) the rule rounds at 6e-8 and conditioning
    takes two or three digits.
    """
    got = np.asarray(got, float)
    reference, error = ridders(f)
    top = np.max(np.abs(reference), initial=0.0)
    allowed = 10 * error + 1e-9 * np.abs(reference) + 1e-12 * top
    exact = complex_step(f)
    if exact is not None:
        off = np.abs(exact - reference)
        assert np.all(off <= 100 * allowed + 1e-7 * top + 1e-30), (
            f"takes complex numbers, but is not analytic: its complex step is {exact}, "
            f"differences are {reference}"
        )
        reference = exact
        inherited = 1e-14 * np.abs(np.asarray(f(0.0), float))
        allowed = 1e-10 * np.abs(exact) + 1e-13 * top + inherited
    if single:
        allowed = 1e-4 * np.abs(reference) + 2e-5 * top + 1e-30
    assert got.shape == reference.shape, f"shape {got.shape}, not {reference.shape}"
    assert np.all(np.isfinite(reference)), f"the numeric derivative is {reference}"
    wrong = ~(np.abs(got - reference) <= allowed)
    assert not np.any(wrong), f"derivative {got[wrong]}, numerically {reference[wrong]}"


# samples as arguments ---------------------------------------------------------------------


def read_only(values: Sequence[Any]) -> Arrays:
    found = [np.array(x) for x in values]
    for x in found:
        x.flags.writeable = False
    return found


def float_positions(sample: Sample) -> list[int]:
    return [i for i, x in enumerate(sample.inputs) if x.dtype.kind == "f"]


def is_single(sample: Sample) -> bool:
    single = any(x.dtype == np.float32 for x in sample.inputs)
    return single or "float32" in sample.attrs.values()


def in_dtype(sample: Sample, dtype: Any) -> Sample:
    """The sample with its floating inputs (and a dtype among its attributes) in ``dtype``."""
    name = np.dtype(dtype).name
    inputs = tuple(x.astype(dtype) if x.dtype.kind == "f" else x for x in sample.inputs)
    floats = ("float32", "float64")
    attrs = {k: name if v in floats else v for k, v in sample.attrs.items()}
    return replace(sample, inputs=inputs, attrs=attrs)


def forward(primitive: Primitive, sample: Sample) -> Any:
    with np.errstate(all="ignore"):
        return primitive.forward(*sample.inputs, **sample.attrs)


def function_of(primitive: Primitive, sample: Sample) -> tuple[Callable[..., Any], Arrays]:
    """The primitive as a function of its floating arguments, and their values."""
    positions = float_positions(sample)

    def apply(*xs: Any) -> Any:
        full: list[Any] = list(sample.inputs)
        for i, x in zip(positions, xs, strict=True):
            full[i] = x
        recording = next(x.recording for x in xs)
        return primitive(*[lift(x, recording) for x in full], **sample.attrs)

    return apply, read_only([sample.inputs[i] for i in positions])


def directions(sample: Sample, seed: int = 0) -> Arrays:
    """A tangent for each floating argument, of the size of its entries: a step of 0.01 along
    it leaves no domain and crosses no kink, whether an entry is 1e-3 or 50."""
    rng = np.random.Generator(np.random.Philox(seed))
    found = []
    for i in float_positions(sample):
        x = sample.inputs[i]
        size = np.where(np.abs(x) < 1e-3, 1.0, np.abs(x))
        t = size * rng.uniform(0.5, 1.0, x.shape) * rng.choice([-1.0, 1.0], x.shape)
        if sample.symmetric:
            t = 0.5 * (t + np.swapaxes(t, -1, -2))
        found.append(np.asarray(t, x.dtype))
    return found


def along(primitive: Primitive, sample: Sample, tangents: Arrays) -> Callable[[Any], Any]:
    """h -> the primitive at x + h·t, in double precision (or complex)."""
    wide = in_dtype(sample, np.float64)
    positions = float_positions(sample)

    def at(h: Any) -> Any:
        full: list[Any] = list(wide.inputs)
        for i, t in zip(positions, tangents, strict=True):
            full[i] = np.asarray(wide.inputs[i] + h * t.astype(float))
        return primitive.forward(*full, **wide.attrs)

    return at


def cotangent(y: Any, seed: int = 1) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(seed))
    return np.asarray(rng.uniform(-1, 1, np.shape(y)), y.dtype)


def differentiable(primitive: Primitive, sample: Sample) -> bool:
    return (
        primitive.rule is not None
        and bool(float_positions(sample))
        and np.asarray(forward(primitive, sample)).dtype.kind == "f"
    )


def dot(xs: Sequence[Any], zs: Sequence[Any]) -> float:
    pairs = zip(xs, zs, strict=True)
    return float(sum(np.sum(np.asarray(x, float) * np.asarray(z, float)) for x, z in pairs))


# the checks: values -----------------------------------------------------------------------


def check_type(primitive: Primitive, sample: Sample) -> None:
    """The shape rule gives the type that the forward has."""
    y = forward(primitive, sample)
    assert isinstance(y, (np.ndarray, np.generic)), f"forward gave a {type(y).__name__}"
    inferred = primitive.infer(*map(type_of, sample.inputs), **sample.attrs)
    assert (inferred.shape, inferred.dtype) == (y.shape, y.dtype), (
        f"the shape rule says {inferred}, forward gave {y.dtype}{y.shape}"
    )


def check_pure(primitive: Primitive, sample: Sample) -> None:
    """The forward writes to no input: read-only ones do, writable ones stay as they were; the
    same arguments give the same bits again."""
    frozen = read_only(sample.inputs)
    try:
        with np.errstate(all="ignore"):
            expected = np.array(primitive.forward(*frozen, **sample.attrs))
    except ValueError as error:
        raise AssertionError(f"does not take read-only inputs: {error}") from error
    open_ = [np.array(x) for x in sample.inputs]
    with np.errstate(all="ignore"):
        again = np.array(primitive.forward(*open_, **sample.attrs))
    for x, before in zip(open_, frozen, strict=True):
        assert x.tobytes() == before.tobytes(), "forward changed one of its inputs"
    assert again.tobytes() == expected.tobytes(), "the same arguments gave another result"


def _strided(x: np.ndarray) -> np.ndarray:
    """The same numbers in every second place of a longer buffer, the last axis backwards."""
    if not x.size or not x.ndim:
        return x
    view = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::-2]
    view[...] = x
    return view


def check_layouts(primitive: Primitive, sample: Sample) -> None:
    """The values do not depend on how the inputs lie in memory (rounding apart: sums and
    products of matrices may be added in another order)."""
    expected = forward(primitive, sample)
    loose = 1e-5 if is_single(sample) else 1e-12
    for layout in (_strided, lambda x: np.array(x, order="F")):
        moved = replace(sample, inputs=tuple(layout(x) for x in sample.inputs))
        got = forward(primitive, moved)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(got, expected, rtol=loose, atol=loose)


def check_precision(primitive: Primitive, sample: Sample) -> None:
    """float32 stays float32 and float64 float64, in the value and in both derivatives."""
    for dtype in (np.float32, np.float64):
        one = in_dtype(sample, dtype)
        check_type(primitive, one)
        y = forward(primitive, one)
        if y.dtype.kind == "f":
            assert y.dtype == dtype or "dtype" in one.attrs, f"{dtype} became {y.dtype}"
        if differentiable(primitive, one):
            f, args = function_of(primitive, one)
            y, t = cr.jvp(f, tuple(args), tuple(directions(one)))
            assert t.dtype == y.dtype, f"the tangent of {y.dtype} is {t.dtype}"
            _, pull = cr.vjp(f, *args)
            for x, g in zip(args, pull(cotangent(y)), strict=True):
                assert (g.shape, g.dtype) == (x.shape, x.dtype), "a cotangent unlike its argument"


def check_shapes(primitive: Primitive, sample: Sample) -> None:
    """What takes arguments of one shape takes any: 0-d, empty, an axis of length 1."""
    shapes = {x.shape for x in sample.inputs}
    if len(shapes) != 1 or sample.attrs or not sample.inputs[0].size:
        return
    for shape in ((), (0,), (3, 0, 2), (1,), (2, 1, 3)):
        inputs = tuple(np.resize(x, shape).astype(x.dtype) for x in sample.inputs)
        resized = replace(sample, inputs=inputs)
        try:
            primitive.infer(*map(type_of, inputs), **sample.attrs)
        except cr.errors.ShapeError:
            continue
        check_type(primitive, resized)
        if differentiable(primitive, resized):
            f, args = function_of(primitive, resized)
            y, pull = cr.vjp(f, *args)
            for x, g in zip(args, pull(cotangent(y)), strict=True):
                assert g.shape == x.shape


# the checks: derivatives ------------------------------------------------------------------


def check_jvp(primitive: Primitive, sample: Sample) -> None:
    """The tangent equals the numeric derivative along a direction."""
    f, args = function_of(primitive, sample)
    ts = directions(sample)
    with np.errstate(all="ignore"):
        y, t = cr.jvp(f, tuple(args), tuple(ts))
    assert (t.shape, t.dtype) == (y.shape, y.dtype)
    if sample.smooth and y.size:
        assert_derivative(t, along(primitive, sample, ts), is_single(sample))


def check_transpose(primitive: Primitive, sample: Sample) -> None:
    """Reverse mode is the transpose of forward mode: <g, J t> = <Jᵀ g, t> for each argument."""
    f, args = function_of(primitive, sample)
    with np.errstate(all="ignore"):
        y, pull = cr.vjp(f, *args)
        g = cotangent(y)
        backs = pull(g)
    for i, t in enumerate(directions(sample)):
        alone = [t if i == k else np.zeros_like(x) for k, x in enumerate(args)]
        with np.errstate(all="ignore"):
            forth = cr.jvp(f, tuple(args), tuple(alone))[1]
        if not (np.all(np.isfinite(forth)) and np.all(np.isfinite(backs[i]))):
            assert not sample.smooth
            continue
        there, back = dot([g], [forth]), dot([backs[i]], [t])
        size = dot([np.abs(g)], [np.abs(forth)]) + dot([np.abs(backs[i])], [np.abs(t)])
        loose = 1e-4 if is_single(sample) else 1e-11
        assert abs(there - back) <= loose * size + 1e-30, f"<g, Jt> = {there}, <Jᵀg, t> = {back}"


def check_second(primitive: Primitive, sample: Sample) -> None:
    """d²/dh² <g, f(x + h·t)> by all four nestings of the two modes, against the numeric
    derivative of the first derivative."""
    sample = in_dtype(sample, np.float64)
    f, args = function_of(primitive, sample)
    ts = directions(sample)
    g = cotangent(cr.jvp(f, tuple(args), tuple(ts))[0])

    def first_forward(*xs: Any) -> Any:
        return np.sum(g * cr.jvp(f, xs, tuple(ts))[1])

    def first_reverse(*xs: Any) -> Any:
        return sum(np.sum(b * t) for b, t in zip(cr.vjp(f, *xs)[1](g), ts, strict=True))

    def at(h: float) -> Any:
        return first_forward(*[np.asarray(x + h * t) for x, t in zip(args, ts, strict=True)])

    expected, error = ridders(at)
    allowed = 10 * error + 1e-7 * abs(expected) + 1e-10 * abs(at(0.0))
    everything = tuple(range(len(args)))
    for first in (first_forward, first_reverse):
        found = {
            "forward": float(cr.jvp(first, tuple(args), tuple(ts))[1]),
            "reverse": dot(cr.grad(first, everything)(*args), ts),
        }
        for mode, second in found.items():
            assert abs(second - expected) <= allowed, (
                f"second derivative, {mode} over {first.__name__}: {second}, numerically "
                f"{expected} ± {error}"
            )


# the checks: graphs -----------------------------------------------------------------------


def graphs_of(primitive: Primitive, sample: Sample) -> Iterator[tuple[Graph, Arrays]]:
    """The graph of the primitive, and of its gradient, each with its arguments."""
    f, args = function_of(primitive, sample)
    if not args:
        return
    yield cr.trace(f)(*args), args
    if differentiable(primitive, sample):

        def gradient(g: Any, *xs: Any) -> Any:
            return cr.vjp(f, *xs)[1](g)

        g = cotangent(forward(primitive, sample))
        yield cr.trace(gradient)(g, *args), [g, *args]


def check_text(primitive: Primitive, sample: Sample) -> None:
    for graph, args in graphs_of(primitive, sample):
        check_round_trip(graph, args)


def check_round_trip(graph: Graph, args: Arrays) -> None:
    """The text of a graph parses to a graph of the same text, that computes the same bits."""
    text = str(graph)
    back = Graph.parse(text, graph.captures)  # type: ignore[arg-type]
    assert str(back) == text, f"{text}\n\ncame back as\n\n{back}"
    assert_same(interpreter.compile(back)(args), interpreter.compile(graph)(args))


def check_interpreter(primitive: Primitive, sample: Sample) -> None:
    """The interpreter computes what recording eagerly did, to the bit."""
    f, args = function_of(primitive, sample)
    eager: Arrays = []
    with np.errstate(all="ignore"):
        for graph, inputs in graphs_of(primitive, sample):
            if not eager:
                eager = [np.asarray(cr.vjp(f, *args)[0])]
            else:
                eager = [np.asarray(x) for x in cr.vjp(f, *args)[1](inputs[0])]
            assert_same(interpreter.compile(graph)(inputs), eager)
            for one in PASSES:
                check_pass(one, graph, inputs)
            assert_same(interpreter.compile(optimise(graph))(inputs), eager)


def check_pass(one: Pass, graph: Graph, args: Arrays) -> None:
    """A pass gives a well-formed graph of the same values."""
    result = optimise(graph, [one])
    verify(result)
    assert_same(interpreter.compile(result)(args), interpreter.compile(graph)(args))


def assert_same(got: Sequence[Any], expected: Sequence[Any]) -> None:
    """The same types and the same numbers, NaN like NaN, zeros of either sign alike."""
    for a, b in zip(got, expected, strict=True):
        assert (np.shape(a), a.dtype) == (np.shape(b), b.dtype), f"{a!r} is not of {b!r}'s type"
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), f"{a} is not {b}"


CHECKS: tuple[Callable[[Primitive, Sample], None], ...] = (
    check_type,
    check_pure,
    check_layouts,
    check_precision,
    check_shapes,
    check_text,
    check_interpreter,
)
DERIVATIVE_CHECKS = (check_jvp, check_transpose, check_second)


@contextmanager
def unregistered(primitive: Primitive) -> Iterator[Primitive]:
    """A primitive made for one test: it leaves the registry afterwards."""
    try:
        yield primitive
    finally:
        del PRIMITIVES[primitive.name]
