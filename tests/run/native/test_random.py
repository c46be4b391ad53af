"""Random numbers in machine code: the interpreter's bits, for any shape, key, width and threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule import nn, optim
from chainrule.compile import optimise
from chainrule.core.graph import Graph
from chainrule.core.node import Sample
from chainrule.core.record import record
from chainrule.core.tree import flatten
from chainrule.errors import DtypeError
from chainrule.ops.random import fold_in, key_of, random_uniform, uniform
from chainrule.run import interpreter, native
from chainrule.run.native import plan
from chainrule.run.native.numbers import philox
from chainrule.run.native.plan import CallOut, Uniform
from chainrule.train.data import Batch
from chainrule.train.steps import Step
from tests.helpers.native_graphs import graph_of
from tests.helpers.native_loops import agree, both

DTYPES = ("float32", "float64")
TOP = 2**64 - 1
KEYS = [np.array(key, np.uint64) for key in ((0, 0), (TOP, TOP), (0, TOP), (1, 2**63), (12, 7))]
SHAPES = [(), (0,), (3, 0, 2), (1, 1), (5, 7), (129, 33), *((n,) for n in range(1, 18)),
          *((n + d,) for n in (32, 64, 128, 256, 1024) for d in (-1, 0, 1))]  # fmt: skip


def check(shape: tuple[int, ...], dtype: str, keys: list[np.ndarray]) -> None:
    graph = graph_of(random_uniform, Sample((keys[0],), {"shape": shape, "dtype": dtype}))
    run = native.compile(graph)
    for key in keys:
        (wanted,), (found,) = interpreter.compile(graph)([key]), run([key])
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype) == (shape, dtype)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_of_every_shape_and_key(dtype: str) -> None:
    for shape in SHAPES:
        check(shape, dtype, KEYS)
    rng = np.random.default_rng(0)
    check((11,), dtype, list(rng.integers(0, TOP, (200, 2), np.uint64, endpoint=True)))


@pytest.mark.parametrize("bytes", [16, 32, 64])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_for_every_width_of_vector(
    dtype: str, bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native.machine, "vector_bytes", lambda: bytes)
    for n in (1, 16, 31, 64, 1000):
        check((n,), dtype, KEYS)


@pytest.mark.parametrize("name", ["WEYL", "MULTIPLIERS", "ROUNDS"])
def test_a_wrong_constant_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(philox, name)
    monkeypatch.setattr(philox, name, 9 if name == "ROUNDS" else (right[0], right[1] ^ 2))
    with pytest.raises(AssertionError):
        check((4,), "float64", KEYS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_is_written_beyond_the_end(dtype: str) -> None:
    """The second result lies behind the first, which is written later; it fills its vectors."""
    graph = Graph.parse(f"""def f(k: uint64[2]):
    b: {dtype}[256] = random_uniform(k, shape=(256,), dtype='{dtype}')
    a: {dtype}[5] = random_uniform(k, shape=(5,), dtype='{dtype}')
    return a, b""")
    run = native.compile(graph)
    assert [step.out.number for step in run.plan.steps] == [1, 0]
    for found, wanted in zip(run([KEYS[4]]), interpreter.compile(graph)([KEYS[4]]), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_whole_numbers_are_refused_when_recorded() -> None:
    with pytest.raises(DtypeError, match="not int64"):
        graph_of(random_uniform, Sample((KEYS[0],), {"shape": (3,), "dtype": "int64"}))


def test_keys_that_are_computed_sliced_constant_or_carried() -> None:
    def f(key: Any, keys: Any, constants: Any) -> Any:
        new = fold_in(key, 3)
        drawn = [uniform(k, (3, 5), np.float32)
                 for k in (key, new, keys[1], keys[::-1][1], keys[:, 0], KEYS[1])]  # fmt: skip
        return drawn, uniform(keys[0], ()), new

    keys = np.array([[key_of(1, i), key_of(2, i)] for i in range(6)])
    found, wanted = both(f, KEYS[4], keys, ())
    for a, b in zip((*found[0], *found[1]), (*wanted[0], *wanted[1]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_share_out_numbers(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)

    def f(carry: Any, key: Any, constants: Any) -> Any:
        shapes = (1,), (127,), (128,), (300,), (5003,), (7, 16), (64, 3, 8), (9, 5)
        return [uniform(key, shape, dtype) for shape in shapes], carry

    keys = np.array([key_of(3, i) for i in range(4)])
    for threads in (1, 2, 3, 5):
        found, wanted = both(f, np.zeros(1), keys, (), threads)
        for a, b in zip(found[0], wanted[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_mask_of_dropout_has_the_interpreters_bits() -> None:
    layer = nn.Dropout(0.3)

    def f(carry: Any, key: Any, x: Any) -> Any:
        return layer({}, {}, x, key=key, train=True)[0], carry

    keys = np.array([key_of(4, i) for i in range(5)])
    found, wanted = both(f, np.zeros(1), keys, np.ones((37, 11)))
    np.testing.assert_array_equal(found[0][0], wanted[0][0])
    assert 0.25 < np.mean(found[0][0] == 0) < 0.35


def training(sizes: tuple[int, ...], batch: int) -> Any:
    """A training step with dropout, and its arguments for 6 steps."""
    rng = np.random.default_rng(0)
    model = nn.MLP(sizes=sizes, activation="tanh", dropout=0.4)
    params, state = model.init(0, np.float64)
    optimizer = optim.sgd(0.1)
    loss = nn.CategoricalCrossEntropy()
    whole = Step(model, loss, nn.Penalty()).whole(optimizer)

    def f(carry: Any, step: Any, data: Any) -> Any:
        key, count = step
        return whole(carry, Batch(*data, None), key, count)

    x = rng.normal(size=(batch, sizes[0]))
    t = loss.prepare(np.arange(batch) % sizes[-1], sizes[-1], np.float64)
    keys = np.array([key_of(5, i) for i in range(6)])
    return f, (params, state, optimizer.init(params)), (keys, np.arange(6)), (x, t)


def test_a_training_loop_with_dropout_runs_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    f, carry, xs, data = training((20, 50, 30, 4), 64)
    agree(*both(f, carry, xs, data), 1e-9)
    graph = optimise(record(f, carry, [x[0] for x in xs], data).graph)
    leaves = flatten(carry)[0]
    results = []
    for threads in (1, 2, 3):
        run = native.repeat(graph, len(leaves), 2, threads)
        assert run.code.plan.threads == threads
        assert sum(isinstance(step, Uniform) for step in run.code.plan.steps) == 2
        assert not any(isinstance(step, CallOut) for step in run.code.plan.steps)
        results.append(run(leaves, list(xs), list(data)))
    for other in results[1:]:
        for a, b in zip((*results[0][0], *results[0][1]), (*other[0], *other[1]), strict=True):
            np.testing.assert_array_equal(a, b)
