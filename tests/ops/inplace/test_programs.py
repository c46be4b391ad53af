"""Programs that write in place: random ones, and those that people write.

Values are NumPy's own, to the bit; derivatives are those of a complex step of the same program.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleError, MutationError, UnknownValueError
from chainrule.ops import structure
from chainrule.ops.inplace import memory
from tests.helpers.inplace import Program

PROGRAMS = int(os.environ.get("CHAINRULE_INPLACE_PROGRAMS", "150"))
BLOCK = 50


def expect(program: Program, got: Any) -> None:
    expected = program.on_numpy(*program.arguments)
    for name, a, b in zip(program.names, got, expected, strict=True):
        same = np.shape(a) == b.shape and np.array_equal(a, b, equal_nan=True)
        assert same, f"{program.text}\n{name} is\n{a}\nand for NumPy\n{b}"


def derivative_of(program: Program, tangents: list[Any]) -> float:
    step = 1e-30j
    moved = [x + step * t for x, t in zip(program.arguments, tangents, strict=True)]
    return float(np.imag(program.weighted(program.on_numpy(*moved))) / 1e-30)


def check_derivatives(program: Program, seed: int) -> None:
    """Both modes agree with the complex step; 1e-10 of the sum of the terms leaves room for
    rounding in up to fifteen statements."""

    def total(x: Any, y: Any) -> Any:
        return program.weighted(program.traced(x, y))

    rng = np.random.Generator(np.random.Philox(seed))
    tangents = [rng.normal(size=x.shape) for x in program.arguments]
    exact = derivative_of(program, tangents)
    with np.errstate(all="ignore"):
        gradients = cr.grad(total, (0, 1))(*program.arguments)
        forward = cr.jvp(total, tuple(program.arguments), tuple(tangents))[1]
    terms = [g * t for g, t in zip(gradients, tangents, strict=True)]
    size = 1 + sum(np.sum(np.abs(term)) for term in terms)
    if np.isfinite(exact) and np.isfinite(size):
        for mode, found in (("reverse", sum(map(np.sum, terms))), ("forward", forward)):
            assert abs(found - exact) <= 1e-10 * size, f"{program.text}{mode}: {found}, not {exact}"


def check_all(seeds: range) -> Counter[str]:
    """Values and derivatives of these programs; how many were refused, by reason."""
    refused: Counter[str] = Counter()
    for seed in seeds:
        program = Program(seed)
        with np.errstate(all="ignore"):
            try:
                got = cr.vjp(program.traced, *program.arguments)[0]
            except MutationError as error:
                refused[str(error).rpartition(":")[2]] += 1
                continue
        expect(program, got)
        check_derivatives(program, seed)
    return refused


@pytest.mark.parametrize("block", range(PROGRAMS // BLOCK))
def test_random_programs(block: int) -> None:
    refused = check_all(range(block * BLOCK, (block + 1) * BLOCK))
    assert refused.total() <= BLOCK // 5, refused


@pytest.mark.parametrize("block", range(PROGRAMS // BLOCK))
def test_random_programs_under_jit(block: int) -> None:
    """What is recorded without values; it may refuse what values decide, nothing else."""
    refused = 0
    for seed in range(block * BLOCK, block * BLOCK + BLOCK // 3):
        program = Program(seed)
        try:
            got = cr.jit(program.traced, executor="numpy")(*program.arguments)
        except (MutationError, UnknownValueError):
            refused += 1
            continue
        expect(program, got)
    assert refused <= BLOCK // 6


def test_random_programs_in_machine_code() -> None:
    for seed in (2, 7, 11, 20):
        program = Program(seed)

        def total(x: Any, y: Any, program: Program = program) -> Any:
            return program.weighted(program.traced(x, y))

        both = [cr.jit(cr.grad(total, (0, 1)), executor=name) for name in ("native", "numpy")]
        try:
            one, other = (f(*program.arguments) for f in both)
        except (MutationError, UnknownValueError):
            continue
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def _forgets_views(self: memory.Memory) -> None:
    self.readers = self.readers[:1]


def _hides_nothing(last: Any, regions: Any, k: int) -> tuple[()]:
    return ()


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "views are not told": (memory.Memory, "changed", _forgets_views),
    "what is hidden keeps its gradient": (structure.writing, "_hidden", _hides_nothing),
    "the last of equal places is not told from the first": (
        structure.writing, "_kept", lambda indices, lengths: None
    ),
    "a copy is taken for a view": (memory, "_shares", lambda marks, whole: True),
    "a view is taken for a copy": (memory, "_shares", lambda marks, whole: False),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_seeded_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*FAULTS[fault])
    with pytest.raises((AssertionError, ChainruleError, AttributeError)):
        check_all(range(150))


# What people write ------------------------------------------------------------------------------


def _block(A: Any) -> Any:  # HIPS autograd, issue 58
    B = np.zeros((3, 3), like=A)
    B[:2, :2] = A
    return np.sum(B @ B)


def _filled(x: Any) -> Any:  # HIPS autograd, issue 159
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = np.sin(x[i]) * i
    return np.sum(y**2)


def _stencil(u: Any) -> Any:
    u = u.copy()
    for _ in range(5):
        u[1:-1] = u[1:-1] + 0.2 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return np.sum(u**2)


def _recurrence(x: Any) -> Any:
    o = np.empty_like(x)
    o[0] = x[0]
    for i in range(1, len(x)):
        o[i] = np.tanh(o[i - 1]) + x[i] * o[max(i - 3, 0)]
    return np.sum(o * x)


def _rows(x: Any) -> Any:
    state = np.zeros((4, len(x)), like=x)
    state[0] = x
    for t in range(1, 4):
        state[t] = np.sin(state[t - 1]) * x[::-1]
    return np.sum(state[-1] * state[1])


def _chained(x: Any) -> Any:
    v = x[1:]
    v[1:][0] = v[0] * x[0]
    x[0] += 1
    for row in (x, v):
        row *= 1.5
    return np.sum(x**2) + v[1]


def _overlapping(x: Any) -> Any:
    a, b = x[:3], x[1:4]
    a += b
    b[:] = a[::-1]
    x[...] = x[::-1] * x
    return np.sum(x * np.arange(x.size))


def _argument(x: Any) -> Any:
    def change(v: Any) -> None:
        v[0] = v[1] * v[2]
        v[v > 1.2] = 0.5

    change(x)
    return np.sum(x**3)


def _assembled(x: Any) -> Any:
    n = len(x)
    K = np.zeros((n + 1, n + 1), like=x)
    for e in range(n):
        K[e : e + 2, e : e + 2] += x[e] * np.array([[1.0, -1.0], [-1.0, 1.0]])
    K[0, :] = 0
    K[0, 0] = 1
    return np.linalg.solve(K, np.arange(n + 1.0))[-1]


def _scattered(x: Any) -> Any:
    total = np.zeros(3, like=x)
    np.add.at(total, [0, 2, 2, 1, 0], x[:5])
    np.subtract.at(total, [1], x[0])
    return np.sum(total**2)


def _written_out(x: Any) -> Any:
    buffer = np.empty_like(x)
    np.multiply(x, x, out=buffer)
    np.sin(buffer, out=buffer)
    x -= buffer
    grid = np.outer(x, x)
    grid.ravel()[::2] = buffer[0]
    np.dot(grid, x, out=buffer)
    return np.sum(x * buffer)


def _last_wins(x: Any) -> Any:
    y = x.copy()
    y[[0, 2, 0]] = np.stack([x[1] ** 2, x[2] ** 3, x[3] ** 2])
    return np.sum(y)


def _zero_axes(x: Any) -> Any:
    s = np.zeros((), like=x)
    s[...] = x[0] * x[1]
    s += x[2]
    return s * 2.0


WRITTEN: list[Callable[..., Any]] = [
    _filled, _stencil, _recurrence, _rows, _chained, _overlapping, _argument, _assembled,
    _scattered, _written_out, _last_wins, _zero_axes,
]  # fmt: skip
X = np.array([0.7, 1.3, -0.4, 0.9, 1.1, 0.6])


def _differences(f: Callable[..., Any], x: np.ndarray) -> np.ndarray:
    """Central differences of f in plain NumPy, to about 1e-9."""
    found = np.zeros_like(x)
    for k in np.ndindex(x.shape):
        h = np.zeros_like(x)
        h[k] = 1e-5
        found[k] = (f(x + h) - f(x - h)) / 2e-5
    return found


@pytest.mark.parametrize("f", [*WRITTEN, _block], ids=lambda f: f.__name__)
def test_what_people_write(f: Callable[..., Any]) -> None:
    x = X[:4].reshape(2, 2) if f is _block else X
    kept = x.copy()
    value, gradient = cr.value_and_grad(f)(x)
    assert np.array_equal(x, kept), "the caller's array was changed"
    assert value == f(x.copy())
    expected = _differences(f, x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(cr.jacobian(f)(x), expected, rtol=1e-7, atol=1e-8)
    tangent = np.cos(np.arange(x.size)).reshape(x.shape)
    along = cr.jvp(f, (x,), (tangent,))[1]
    assert abs(along - np.sum(expected * tangent)) < 1e-7 * (1 + abs(along))
    if f is not _argument:  # a mask decides how many numbers are written
        for executor in ("numpy", "native"):
            np.testing.assert_allclose(
                cr.jit(cr.grad(f), executor=executor)(x), gradient, rtol=1e-12, atol=1e-12
            )


def test_second_derivatives() -> None:
    def rewritten(x: Any) -> Any:
        return np.sum((np.sin(x) * np.arange(x.size)) ** 2)

    np.testing.assert_allclose(cr.hessian(_filled)(X), cr.hessian(rewritten)(X), rtol=1e-12)


def test_a_write_inside_a_gradient_to_a_value_outside() -> None:
    """The outer derivative flows through what the inner function left behind; the inner one sees
    its own part alone."""

    def f(x: Any) -> Any:
        kept = np.zeros(2, like=x)

        def inner(y: Any) -> Any:
            kept[0] = y * x[0]
            return kept[0] ** 2 + kept[1]

        return cr.grad(inner)(x[1]) + kept[0]

    x = np.array([2.0, 3.0])  # 2 y x0² + y x0 at y = x1
    np.testing.assert_allclose(cr.grad(f)(x), [4 * 3 * 2 + 3, 2 * 4 + 2])


def test_jit_inside_a_recording_does_not_change_its_caller_s_array() -> None:
    @cr.jit
    def g(v: Any) -> Any:
        v[0] = 5.0
        return np.sum(v)

    def f(x: Any) -> Any:
        return g(x) * x[0]

    np.testing.assert_allclose(cr.grad(f)(X[:2]), [5.0 + X[1], X[0]])


@pytest.mark.parametrize("write", ["x[x > 0] = x[::-1]", "x[::-1].flat = x"])
def test_what_numpy_reads_while_it_writes_is_refused(write: str) -> None:
    def f(x: Any) -> Any:
        x = np.abs(x)
        exec(write, {"x": x})
        return np.sum(x)

    with pytest.raises(MutationError, match=r"y\.copy\(\)"):
        cr.grad(f)(X)


def test_views_without_axes_follow_their_base() -> None:
    def f(x: Any) -> Any:
        s = np.zeros((), like=x)
        v = np.squeeze(s)
        s[...] = x[0]
        return v * x[1]

    np.testing.assert_array_equal(cr.grad(f)(X[:2]), X[1::-1])


def test_numbers_are_bound_anew() -> None:
    def f(x: Any) -> Any:
        y = x
        y += 1.0
        return y * x

    assert cr.grad(f)(2.0) == 5.0
    assert cr.grad(f)(np.float64(2.0)) == 5.0


def test_integers_truncate_and_carry_no_derivative() -> None:
    def f(x: Any) -> Any:
        n = np.zeros(2, int, like=x)
        n[0] = x[0]
        return np.sum(n) * x[1]

    value, gradient = cr.value_and_grad(f)(np.array([2.7, 1.5]))
    assert value == 3.0
    np.testing.assert_array_equal(gradient, [0.0, 2.0])


@pytest.mark.parametrize("count", [300, 600])
def test_writes_record_a_fixed_number_of_nodes(count: int) -> None:
    """One multiplication each, and one node for all writes."""

    def f(a: Any) -> Any:
        o = np.zeros(count, like=a)
        o[0] = 1.0
        for i in range(1, count):
            o[i] = a * o[i - 1]
        return o

    graph = cr.trace(f)(0.5)
    names = Counter(node.primitive.name for node in graph.nodes)
    assert names["write"] == 1
    assert len(graph.nodes) <= count + 5


def _loop_that_writes_outside(x: Any) -> Any:
    total = np.zeros(2, like=x)

    def turn(carry: Any, entry: Any) -> Any:
        total[0] += 1.0
        return carry + entry, None

    return cr.scan(turn, 0.0, x)[0] + total[0]


def _rows_that_write_outside(x: Any) -> Any:
    total = np.zeros(2, like=x)

    def row(entry: Any) -> Any:
        total[0] = entry
        return entry

    return np.sum(cr.vmap(row)(x)) + total[0]


@pytest.mark.parametrize("f", [_loop_that_writes_outside, _rows_that_write_outside])
def test_what_stands_for_many_turns_or_rows_writes_to_nothing_outside(f: Any) -> None:
    with pytest.raises(MutationError, match="from outside"):
        cr.jit(f)(X)


def test_bodies_of_loops_and_rows_write_to_arrays_of_their_own() -> None:
    def turn(carry: Any, entry: Any) -> Any:
        carry[0] = carry[1] * entry
        carry[1:] += entry
        o = np.zeros(2, like=carry)
        o[1] = carry[0]
        return carry, o

    def looped(x: Any) -> Any:
        carry, ys = cr.scan(turn, np.ones(2) * x[0], x)
        return np.sum(carry) + np.sum(ys * ys)

    def row(v: Any) -> Any:
        v[1:] *= v[:-1]
        v[v > 1] = 0.5
        return np.sum(v**2)

    def rows(x: Any) -> Any:
        return np.sum(cr.vmap(row)(np.reshape(x, (3, 2))))

    def rows_by_loop(x: Any) -> Any:
        return sum(row(v) for v in np.reshape(x, (3, 2)))

    for f, plain in ((looped, looped), (rows, rows_by_loop)):
        expected = _differences(plain, X)
        np.testing.assert_allclose(cr.grad(f)(X), expected, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(cr.jit(cr.grad(f))(X), expected, rtol=1e-7, atol=1e-8)


def test_turns_write_into_carries_of_their_own() -> None:
    """Eagerly as recorded: no turn changes what came before, nor the caller's arrays."""

    def turn(carry: Any, entry: Any) -> Any:
        carry[0] = carry[0] * entry[0] + carry[1]
        entry[1] = 0.0
        return carry, carry

    def at(i: Any, carry: Any) -> Any:
        carry[0] += carry[1]
        return carry

    init, xs = np.array([1.0, 2.0]), np.reshape(X, (3, 2))
    kept = init.copy(), xs.copy()
    ys = [init]
    for x in xs:
        ys.append(np.array([ys[-1][0] * x[0] + ys[-1][1], 2.0]))

    def scanned(c: Any, x: Any) -> Any:
        return cr.scan(turn, c, x)[1]

    def counted(c: Any) -> Any:
        return cr.fori_loop(0, 3, at, c)

    def conditional(c: Any) -> Any:
        return cr.while_loop(lambda c: c[0] < 6.5, lambda c: at(0, c), c, bound=5)

    for way in (lambda f: f, cr.jit):
        np.testing.assert_allclose(way(scanned)(init, xs), ys[1:])
        np.testing.assert_array_equal(way(counted)(init), [7.0, 2.0])
        np.testing.assert_array_equal(way(conditional)(init), [7.0, 2.0])
        np.testing.assert_array_equal(way(cr.remat(lambda c: at(0, c)))(init), [3.0, 2.0])
        np.testing.assert_array_equal(init, kept[0])
        np.testing.assert_array_equal(xs, kept[1])
