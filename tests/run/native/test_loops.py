"""Loops of steps in machine code: the carry, threads, call-outs, denormals, and ``fit``."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from tests.helpers.native_graphs import random_step
from tests.helpers.native_loops import agree, both, network

pytest.importorskip("llvmlite")

from chainrule import nn, optim, train
from chainrule.compile import optimise
from chainrule.core.record import record
from chainrule.core.tree import flatten
from chainrule.errors import IndexingError
from chainrule.ops.random import key_of, uniform
from chainrule.run import native
from chainrule.run.native import plan
from chainrule.train import DivergedError


def test_carries_that_swap_shift_stay_and_repeat() -> None:
    """No new value may overwrite an old one that is still to be read."""

    def f(carry: Any, x: Any, c: Any) -> Any:
        a, b, d, e, _ = carry
        return (a + x).sum(), (b, a, d, a[::-1] + b, e[::-1] * 0.5 + c)

    rng = np.random.default_rng(0)
    carry = tuple(rng.normal(size=5) for _ in range(5))
    agree(*both(f, carry, rng.normal(size=(7, 5)), rng.normal(size=5)))


def loops_agree(seeds: range) -> None:
    """Random steps, four times over, to the last bit."""
    for seed in seeds:
        f, carry = random_step(seed)
        xs = np.random.default_rng(seed).integers(-4, 5, (4, len(carry[0])))
        agree(*both(f, carry, xs.astype(carry[0].dtype), ()), rtol=0)


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_random_steps_agree_exactly(start: int) -> None:
    loops_agree(range(start, start + 20))


def test_an_old_value_overwritten_while_it_is_read_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from chainrule.run.native.plan import placing

    def always(made: Any, buffer: Any, first: Any, last: Any) -> None:
        buffer.alias = buffer.carried

    monkeypatch.setattr(placing, "_alias", always)
    with pytest.raises(AssertionError):
        loops_agree(range(20))
    with pytest.raises(AssertionError):
        test_carries_that_swap_shift_stay_and_repeat()


def test_an_old_value_overwritten_in_the_loop_that_reads_another_place_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same step reads it, but not where it writes."""
    from chainrule.run.native.plan import placing

    def same_step(made: Any, buffer: Any, first: Any, last: Any) -> None:
        if last.get(buffer.carried, -1) <= first[buffer]:
            buffer.alias = buffer.carried

    monkeypatch.setattr(placing, "_alias", same_step)
    with pytest.raises(AssertionError):
        loops_agree(range(20))


def test_a_carry_that_a_product_reads_after_its_update() -> None:
    def f(carry: Any, x: Any, c: Any) -> Any:
        w, v = carry
        new = w - 0.1 * np.outer(x, x)
        return w @ x, (new, np.tanh(new @ v + w.T @ x))

    rng = np.random.default_rng(0)
    carry = (rng.normal(size=(40, 40)), rng.normal(size=40))
    agree(*both(f, carry, rng.normal(size=(5, 40)), ()), rtol=1e-10)


def test_random_numbers_are_the_interpreters_bits() -> None:
    def f(carry: Any, key: Any, c: Any) -> Any:
        drawn = uniform(key, (6,), np.float32)
        return drawn, carry + drawn

    keys = np.array([key_of(3, i) for i in range(9)])
    found, wanted = both(f, np.zeros(6, np.float32), keys, ())
    np.testing.assert_array_equal(found[0][0], wanted[0][0])


def test_a_call_out_inside_a_loop_keeps_it_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)

    def f(carry: Any, x: Any, c: Any) -> Any:
        inverse = np.linalg.inv(carry + x)
        return inverse, inverse * 0.5

    xs = np.random.default_rng(0).normal(size=(5, 3, 3)) + 4 * np.eye(3)
    agree(*both(f, np.eye(3), xs, (), threads=2))
    made = plan.make(record(f, np.eye(3), xs[0], ()).graph, plan.Repeat(1, 1), threads=2)
    assert any(isinstance(step, plan.CallOut) for step in made.steps)
    assert made.threads == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("sizes", "batch"), [((4, 16, 3), 32), ((30, 70, 10), 50)])
def test_training_steps(sizes: tuple[int, ...], batch: int, dtype: Any) -> None:
    found, wanted = both(*network(sizes, batch, dtype))
    agree(found, wanted, 1e-3 if dtype == np.float32 else 1e-9)


def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.run.native import plan

    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    f, carry, xs, constants = network((300, 200, 150, 10), 256, np.float32, "relu")
    graph = optimise(record(f, carry, [x[0] for x in xs], constants).graph)
    leaves, fixed = flatten(carry)[0], flatten(constants)[0]
    results = []
    for threads in (1, 2, 3):
        run = native.repeat(graph, len(leaves), 2, threads)
        assert run.code.plan.threads == threads
        results.append(run(leaves, list(xs), fixed))
    for other in results[1:]:
        for a, b in zip((*results[0][0], *results[0][1]), (*other[0], *other[1]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_threads_are_used_where_there_is_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same comparison with thresholds at 0, so that every step that can be is shared."""
    from chainrule.run.native import plan

    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    f, carry, xs, constants = network((30, 70, 10), 64, np.float32, "relu")
    graph = optimise(record(f, carry, [x[0] for x in xs], constants).graph)
    leaves, fixed = flatten(carry)[0], flatten(constants)[0]
    results = []
    for threads in (1, 2, 3, 5):
        run = native.repeat(graph, len(leaves), 2, threads)
        assert run.code.plan.threads == threads
        results.append(run(leaves, list(xs), fixed))
    for other in results[1:]:
        for a, b in zip((*results[0][0], *results[0][1]), (*other[0], *other[1]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_loops_in_parallel_python_threads_do_not_disturb_one_another() -> None:
    f, carry, xs, constants = network((4, 16, 3), 32, np.float64)
    graph = optimise(record(f, carry, [x[0] for x in xs], constants).graph)
    leaves, fixed = flatten(carry)[0], flatten(constants)[0]
    run = native.repeat(graph, len(leaves), 2)
    wanted = run(leaves, list(xs), fixed)[1]
    found: list[Any] = [None] * 6

    def work(i: int) -> None:
        for _ in range(20):
            found[i] = run(leaves, list(xs), fixed)[1]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in found:
        for a, b in zip(result, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


def test_denormals_are_flushed_inside_loops_only() -> None:
    def f(carry: Any, x: Any, c: Any) -> Any:
        return carry, carry * x

    tiny = np.array([1e-310])
    graph = record(f, tiny, np.float64(1), ()).graph
    run = native.repeat(graph, 1, 1)
    _, (after,) = run([tiny], [np.array([0.5, 0.5])], [])
    if native.machine.is_x86():
        assert after[0] == 0
    assert tiny[0] * 0.5 == 5e-311  # the mode of this thread is as before
    assert native.compile(graph)([tiny, np.float64(0.5)])[1][0] == 5e-311


def test_loops_for_arm_flush_denormals_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code for another processor cannot run here, but be read."""
    import llvmlite.binding as llvm

    from chainrule.run.native import plan
    from chainrule.run.native.emit import module

    monkeypatch.setattr(native.machine, "is_x86", lambda: False)
    monkeypatch.setattr(native.machine, "is_arm", lambda: True)
    monkeypatch.setattr(native.machine, "vector_bytes", lambda: 16)
    f, carry, xs, constants = network((30, 70, 10), 64, np.float32, "relu")
    graph = optimise(record(f, carry, [x[0] for x in xs], constants).graph)
    text = module.write(plan.make(graph, plan.Repeat(len(flatten(carry)[0]), 2))).texts[0]
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine()
    head = f'target triple = "{target.triple}"\ntarget datalayout = "{target.target_data}"\n'
    found = target.emit_assembly(llvm.parse_assembly(head + text))
    assert found.count("mrs\t") == 1
    assert found.count("msr\t") == 2  # set, and restored


FITS: dict[str, Any] = {
    "adam": {},
    "weights": {"sample_weight": np.random.default_rng(1).uniform(0.5, 2, 210)},
    "momentum and l2": {"optimizer": optim.sgd(0.05, momentum=0.9), "l2": 1e-3},
    "clipping": {"optimizer": optim.chain(optim.clip_by_norm(0.1), optim.rmsprop(1e-3))},
    "dropout": {"model": {"dropout": 0.3}},
    "batch norm": {"model": {"batch_norm": True}},
    "early stopping": {"early_stopping": 1},
}


@pytest.mark.parametrize("name", FITS)
def test_fit_agrees_with_the_interpreter(name: str) -> None:
    """Losses, steps and networks, with a last minibatch that is smaller than the others."""
    given = dict(FITS[name])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(210, 6))
    t = (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(int)
    model = nn.MLP(sizes=(6, 8, 2), activation="tanh", **given.pop("model", {}))
    results = {}
    for executor in ("numpy", "native"):
        results[executor] = train.fit(
            model, (x, t), loss=nn.CategoricalCrossEntropy(),
            **{"optimizer": optim.adam(1e-2), "epochs": 3, "batch_size": 16, "seed": 1,
               "validation": (x[:50], t[:50]), "executor": executor, **given},
        )  # fmt: skip
    a, b = results["numpy"], results["native"]
    assert (a.stopped, a.best_epoch, len(a.history)) == (b.stopped, b.best_epoch, len(b.history))
    # Adam divides by the size of gradients, and so by roundings where these are near zero.
    for p, q in zip(flatten(a.params)[0], flatten(b.params)[0], strict=True):
        np.testing.assert_allclose(q, p, rtol=1e-8, atol=1e-9)
    for p, q in zip(a.history, b.history, strict=True):
        for key in ("train_loss", "running_loss", "validation_loss"):
            np.testing.assert_allclose(q[key], p[key], rtol=1e-9)


def test_a_loss_that_diverges_is_reported_at_the_same_step_with_the_same_network() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 3)) * 100
    t = x @ np.ones(3)
    found = []
    for executor in ("numpy", "native"):
        with pytest.raises(DivergedError) as error:
            train.fit(
                nn.MLP(sizes=(3, 8, 1)), (x, t), loss=nn.SquaredError(),
                optimizer=optim.sgd(0.5), epochs=9, batch_size=16, executor=executor,
            )  # fmt: skip
        found.append(error.value)
    assert str(found[0]) == str(found[1])
    # A step of a network that diverges magnifies a rounding as it magnifies all else.
    for p, q in zip(*(flatten(e.result.params)[0] for e in found), strict=True):
        np.testing.assert_allclose(q, p, rtol=1e-6)


def test_constants_may_change_between_calls() -> None:
    x, scale = np.arange(6.0).reshape(3, 2), np.ones(2)
    twice = np.ones((2, 4))[:, ::2]  # not contiguous: copied for each call
    graph = optimise(record(lambda c, x, k: (x * k[0] + k[1], c), (), x[0], [scale, twice]).graph)
    run = native.repeat(graph, 0, 1, 1)
    for factor in (1.0, 3.0, 5.0):
        scale[:], twice[:] = factor, -factor
        for constants in ([scale, twice], [scale, twice.copy()], [scale + 1, twice]):
            ((found,), _) = run([], [x], constants)
            np.testing.assert_array_equal(found, x[:, None] * constants[0] + constants[1])


def test_a_captured_array_serves_a_loop_without_constants() -> None:
    captured, x = np.arange(40.0), np.ones((2, 40))
    graph = optimise(record(lambda c, x, k: (x + captured, c), (), x[0], ()).graph)
    run = native.repeat(graph, 0, 1, 1)
    for _ in range(2):
        np.testing.assert_array_equal(run([], [x], [])[0][0], x + captured)


def test_threads_draw_steps_that_need_nothing_of_one_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each in a memory of its own; an index out of bounds in one of them is an error of all."""
    monkeypatch.setattr(plan, "WORTH_STARTING", 1)
    rng = np.random.default_rng(0)
    rows, table = rng.normal(size=(97, 200, 40)), rng.normal(size=9)
    which = rng.integers(9, size=97)

    def f(carry: Any, step: Any, constants: Any) -> Any:
        x, i = step
        w, v, table = constants
        return np.tanh(x @ w) @ v * table[i], carry

    constants = (rng.normal(size=(40, 64)), rng.normal(size=(64, 3)), table)
    graph = optimise(record(f, (), (rows[0], which[0]), constants).graph)
    alone, three = (native.repeat(graph, 0, 2, threads) for threads in (1, 3))
    wanted = alone([], [rows, which], constants)[0][0]
    assert len({bytes(x) for x in wanted}) == len(wanted)
    for _ in range(4):
        np.testing.assert_array_equal(three([], [rows, which], constants)[0][0], wanted)
    assert len(three.memories) == 3
    with pytest.raises(IndexingError):
        three([], [rows, np.where(np.arange(97) == 70, 9, which)], constants)
    np.testing.assert_array_equal(three([], [rows, which], constants)[0][0], wanted)
    few = three([], [rows[:11], which[:11]], constants)[0][0]
    np.testing.assert_array_equal(few, wanted[:11])
