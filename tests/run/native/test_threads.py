"""No thread touches what another one writes before the next barrier, and none shows in the bits.

Races show only sometimes, so the plans themselves are checked, number by number: which bytes each
thread reads and writes in each step, from the loops, the products and the shares, and from those
of the steps that are compiled alone and run by one thread at a time.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, product
from typing import Any

import numpy as np
import pytest

from tests.helpers.native_graphs import random_case, random_step

pytest.importorskip("llvmlite")

from chainrule import nn, optim
from chainrule.compile import optimise
from chainrule.core.graph import Graph
from chainrule.core.record import record
from chainrule.core.tree import flatten
from chainrule.core.types import Shape
from chainrule.ops.random import key_of
from chainrule.run import Runner, native
from chainrule.run.native import plan
from chainrule.run.native.emit import module, products
from chainrule.run.native.plan import Group, Plan, Product, Repeat, Step, Uniform, phases, placing
from chainrule.run.native.plan.affine import Affine
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.nests import Nest, prefilled
from chainrule.run.native.plan.sites import Load, Sites
from chainrule.run.native.program import Code
from chainrule.run.native.runtime import machine, team
from chainrule.train.data import Batch
from chainrule.train.evaluation import Predictor
from chainrule.train.steps import Step as TrainingStep

GRAPHS = int(os.environ.get("CHAINRULE_PARITY_GRAPHS", "60"))
"""How many random graphs run with several threads, and half as many random steps of loops."""
BATCH = 20
THREADS = (2, 3, 5)
ENTRY = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
    ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_graphs_get_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(team, "FEWEST", 2)  # rows are drawn of small arrays, too


# Bits -------------------------------------------------------------------------------------


def same_bits(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], what: object) -> None:
    for i, (x, y) in enumerate(zip(found, wanted, strict=True)):
        np.testing.assert_array_equal(x, y, f"{what}, output {i}")


def draw(code: Code) -> bool:
    """Let threads draw rows in each call, if they may in any."""
    drawn = [way for way in code.threads.ways if way.drawn]
    code.threads.ways = drawn or code.threads.ways
    return bool(drawn)


def looped(seed: int) -> tuple[Graph, list[np.ndarray], np.ndarray]:
    """A random step of a loop, its carry, and what four steps take."""
    f, carry = random_step(seed)
    xs = np.random.default_rng(seed).integers(-4, 5, (4, len(carry[0]))).astype(carry[0].dtype)
    return optimise(record(f, carry, xs[0], ()).graph), list(carry), xs


@pytest.mark.parametrize("start", range(0, GRAPHS, BATCH))
def test_random_graphs_have_the_same_bits_with_any_number_of_threads(start: int) -> None:
    shared = drawn = 0
    for seed in range(start, min(start + BATCH, GRAPHS)):
        graph, arguments = random_case(seed, smooth=seed % 3 == 2)
        graph, threads = optimise(graph), THREADS[seed // 3 % len(THREADS)]
        wanted = native.compile(graph, threads=1)(arguments)
        run = native.compile(graph, threads)
        shared += run.plan.threads > 1
        same_bits(run(arguments), wanted, f"seed {seed}, {threads} threads")
        if draw(run.code):
            drawn += 1
            same_bits(run(arguments), wanted, f"seed {seed}, {threads} threads that draw")
    assert shared > BATCH // 2
    assert drawn > BATCH // 10


@pytest.mark.parametrize("start", range(0, GRAPHS // 2, BATCH))
def test_random_loops_have_the_same_bits_with_any_number_of_threads(start: int) -> None:
    for seed in range(start, min(start + BATCH, GRAPHS // 2)):
        graph, carry, xs = looped(seed)
        threads = THREADS[seed % len(THREADS)]
        one, more = (native.repeat(graph, len(carry), 1, t) for t in (1, threads))
        assert more.code.plan.threads == threads
        for steps in (xs, xs[:1]):
            for x, y in zip(more(carry, [steps]), one(carry, [steps]), strict=True):
                same_bits(x, y, f"seed {seed}, {threads} threads, {len(steps)} steps")
            draw(more.code)


def test_memory_of_tiles_is_used_again_whichever_way_threads_took_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows left over may be drawn, and whole tiles are not: what the first call left behind made
    one thread compute half of each tile of the next, and leave what stood in the other half."""
    rng, taken = np.random.default_rng(5), set[team.Way]()

    def anyhow(self: team.AdaptiveThreads) -> team.Way:
        way = self.ways[rng.integers(len(self.ways))]
        taken.add(way)
        return way

    monkeypatch.setattr(team.AdaptiveThreads, "_best", anyhow)
    monkeypatch.setattr(team.AdaptiveThreads, "_choose", lambda self: (anyhow(self), anyhow(self)))
    model, loss = nn.MLP((40, 64, 64, 3)), nn.loss("categorical_cross_entropy")
    networks = [model.init(seed) for seed in range(3)]
    one, two = (Predictor(model, loss, Runner(threads=threads)) for threads in (1, 2))
    x = rng.normal(size=(17 * 256 + 100, 40))
    for k in range(24):
        rows = x[: rng.choice([1, 100, 300, 9 * 256, len(x)])]
        found, wanted = (p.outputs(*networks[k % 3], rows) for p in (two, one))
        same_bits([found], [wanted], f"call {k}, {len(rows)} rows")
    tiles = two._outputs._loop(two._outputs.tile, networks[0], [x])
    assert tiles.spread is not None
    assert taken == {team.Way(2), team.Way(2, True)}


SUMS = """def f(x: float32[40, 50], y: float32[50, 40], z: float32[8, 40, 50]):
    all: float32 = reduce_sum(x, axes=(0, 1))
    turned: float32[40, 50] = transpose(y, axes=(1, 0))
    product: float32[40, 50] = multiply(turned, x)
    rows: float32[8] = reduce_sum(z, axes=(1, 2))
    other: float32[8, 50, 40] = transpose(z, axes=(0, 2, 1))
    back: float32[8, 40, 50] = reshape(other, shape=(8, 40, 50))
    least: float32 = reduce_min(z, axes=(0, 1, 2))
    wide: float32[8, 40, 50] = broadcast(x, shape=(8, 40, 50), axes=(1, 2))
    both: float32[8, 40, 50] = add(wide, z)
    return all, product, rows, back, least, both"""


@pytest.mark.parametrize("threads", THREADS)
def test_a_sum_is_added_up_in_the_same_order_whatever_shares_its_loops(threads: int) -> None:
    """With threads, other loops join those of a sum than without."""
    rng = np.random.default_rng(0)
    graph = Graph.parse(SUMS)
    arguments = [rng.normal(size=x.type.shape).astype(np.float32) for x in graph.inputs]
    found, wanted = (native.compile(graph, t)(arguments) for t in (threads, 1))
    same_bits(found, wanted, f"{threads} threads")


# What each thread touches -----------------------------------------------------------------


def part_of(n: int, thread: int, threads: int) -> range:
    """The rows that a thread takes."""
    return range(thread * n // threads, (thread + 1) * n // threads)


def positions(position: Affine, spans: Sequence[range]) -> np.ndarray:
    """All values of an affine expression."""
    total = np.asarray(position.constant)
    for factor, span in zip(position.factors, spans, strict=True):
        total = np.add.outer(total, factor * np.arange(span.start, span.stop))
    return total.ravel()


class Touched:
    """The bytes of each block of memory that one thread reads and writes in one step."""

    def __init__(self, made: Plan) -> None:
        self.plan = made
        self.read: dict[object, np.ndarray] = {}
        self.written: dict[object, np.ndarray] = {}
        self.passing: Buffer | None = None  # a product's result of which only a tile is kept

    def add(self, buffer: Buffer, elements: np.ndarray | None, writes: bool) -> None:
        """Elements of a buffer; None for all of them."""
        buffer = buffer.alias or buffer
        if buffer.place == "local" or buffer is self.passing or not buffer.type.size:
            return
        inside = buffer.place == "arena"
        block, size = ("arena", self.plan.arena) if inside else (buffer, buffer.type.nbytes)
        table = self.written if writes else self.read
        found = table.setdefault(block, np.zeros(size, bool))
        if elements is None:
            elements = np.arange(buffer.type.size)
        assert not len(elements) or 0 <= elements.min() <= elements.max() < buffer.type.size
        item = buffer.type.dtype.itemsize
        offset = buffer.offset if inside else 0
        found[(offset + elements[:, None] * item + np.arange(item)).ravel()] = True


def touched(made: Plan, step: Step, thread: int, threads: int) -> Touched:
    """What a thread touches in a step."""
    found = Touched(made)
    if isinstance(step, Group):
        if step.axis is not None:
            assert step.shared is not None
            part = part_of(step.shared[step.axis], thread, threads)
            _nests(found, step.stages[0], step.axis, part)
        elif thread == 0:
            for stage in step.stages:
                _nests(found, stage, None, range(0))
    elif isinstance(step, Product):
        if step.shared or thread == 0:
            found.passing = None if step.kept else step.out.buffer
            _product(found, step, thread, threads)
        if step.nests and (step.shared or thread == 0):
            part = part_of(step.size[0], thread, threads)
            _nests(found, step.nests, 0 if step.shared else None, part)
    elif isinstance(step, Uniform):
        _uniform(found, step, thread, threads)
    else:
        raise AssertionError("a program with call-outs has one thread")
    return found


def _nests(found: Touched, nests: Sequence[Nest], axis: int | None, part: range) -> None:
    space = nests[0].space
    spans = [part if k == axis else range(n) for k, n in enumerate(space)]
    if axis is not None and not part:
        return
    memory = found.plan.memory
    sites = Sites(memory, len(space))
    for nest in nests:
        roots = sites.add(nest.operands, nest.defines(memory))
        if nest.mode == "store" and nest.operands:
            sites.own[nest.out] = roots[0]
    for site in sites.order:
        if isinstance(site, Load):
            found.add(site.buffer, positions(site.position, spans), writes=False)
        elif site.node.primitive.name == "gather":
            found.add(memory[site.node.inputs[0]], None, writes=False)
    for nest in nests:
        elements: np.ndarray | None = positions(nest.target, spans)
        if nest.mode == "scatter":
            elements = None
        elif prefilled(nest, nest.target.factors):
            each = 0 if axis is None else nest.target.factors[axis]
            filled = range(part.start * each, part.stop * each) if each else None
            elements = None if filled is None else np.union1d(elements, np.asarray(filled))
        found.add(nest.out, elements, writes=True)


def _product(found: Touched, step: Product, thread: int, threads: int) -> None:
    (m, n, k), cut = step.size, products.cut_of(step)
    rows, columns = range(m), range(n)
    if step.shared:
        assert cut is not None
        part = part_of(step.shares, thread, threads)
        if step.shared == "rows":
            rows = part
        else:
            columns = range(part.start * cut.width, min(part.stop * cut.width, n))
        own = cut.scratch(step.kept)
        found.add(step.scratch, np.arange(thread * own, (thread + 1) * own), writes=True)
    else:
        found.add(step.scratch, None, writes=True)
    summed = range(k)
    for x, first, second in ((step.left, rows, summed), (step.right, summed, columns),
                             (step.out, rows, columns)):  # fmt: skip
        position = Affine(x.offset, (x.rows, x.columns, *x.batch))
        spans = [first, second, *map(range, step.batch)]
        found.add(x.buffer, positions(position, spans), writes=x is step.out)


def _uniform(found: Touched, step: Uniform, thread: int, threads: int) -> None:
    part = part_of(step.shares, thread, threads)
    if not step.shared:
        part = range(step.shares if thread == 0 else 0)
    stop = min(part.stop * step.row, step.out.type.size)
    found.add(step.out, np.arange(min(part.start * step.row, stop), stop), writes=True)
    if part:
        found.add(step.key, None, writes=False)


def races(made: Plan) -> list[str]:
    """Phases in which one thread writes what another one reads or writes."""
    found = []
    numbered = zip(made.phases, made.steps, strict=True)
    for phase, steps in groupby(numbered, lambda pair: pair[0]):
        group = [step for _, step in steps]
        read, written = ([{} for _ in range(made.threads)] for _ in range(2))
        for thread, step in product(range(made.threads), group):
            one = touched(made, step, thread, made.threads)
            for table, more in ((read[thread], one.read), (written[thread], one.written)):
                for block, bytes in more.items():
                    table[block] = table[block] | bytes if block in table else bytes
        for one, other in product(range(made.threads), repeat=2):
            for block, bytes in written[one].items() if one != other else ():
                for kind, table in (("reads", read[other]), ("writes", written[other])):
                    if block in table and (bytes & table[block]).any():
                        found.append(f"phase {phase}: {other} {kind} what {one} writes")
    return found


# Training steps ---------------------------------------------------------------------------


def training(
    sizes: Sequence[int] = (30, 70, 10),
    batch: int = 50,
    optimizer: Any = None,
    dtype: type = np.float32,
    penalty: float = 0.0,
    **model: Any,
) -> tuple[Graph, int, list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """A training step as a graph, how many leaves it carries, and carry, xs and constants."""
    rng = np.random.default_rng(0)
    network = nn.MLP(sizes=sizes, **model)
    params, state = network.init(0, dtype)
    optimizer = optimizer or optim.adam(1e-3)
    loss = nn.CategoricalCrossEntropy()
    step = TrainingStep(network, loss, nn.Penalty(l2=penalty)).whole(optimizer)
    x = rng.normal(size=(3 * batch, sizes[0])).astype(dtype)
    t = loss.prepare(np.arange(len(x)) % sizes[-1], sizes[-1], dtype)

    def f(carry: Any, now: Any, data: Any) -> Any:
        rows, count, key = now
        return step(carry, Batch(data[0][rows], data[1][rows], None), key, count)

    xs = (rng.integers(0, len(x), (4, batch)), np.arange(4),
          np.array([key_of(3, i) for i in range(4)]))  # fmt: skip
    carry = (params, state, optimizer.init(params))
    graph = optimise(record(f, carry, tuple(one[0] for one in xs), (x, t)).graph)
    leaves = flatten(carry)[0]
    return graph, len(leaves), leaves, list(xs), [x, t]


TRAINING: dict[str, dict[str, Any]] = {
    "adam in float64": {"dtype": np.float64, "activation": "tanh"},
    "momentum and l2": {"optimizer": optim.sgd(0.05, momentum=0.9), "penalty": 1e-3},
    "clipping": {"optimizer": optim.chain(optim.clip_by_norm(0.1), optim.rmsprop(1e-3))},
    "layer norm": {"layer_norm": True, "activation": "gelu"},
    "dropout and batch norm": {"dropout": 0.3, "batch_norm": True, "sizes": (9, 40, 24, 3)},
    "a small batch": {"batch": 3},
    "a batch of one": {"batch": 1},
    "wide, in panels": {"sizes": (40, 250, 10), "batch": 9},
    "narrow": {"sizes": (2, 3, 2), "batch": 33},
}


@pytest.mark.parametrize("name", TRAINING)
def test_threads_of_a_training_step_keep_apart(name: str) -> None:
    graph, carry, leaves, xs, constants = training(**TRAINING[name])
    for threads in (2, 3, 7):
        made = plan.make(graph, Repeat(carry, len(xs)), threads)
        assert made.threads == threads
        assert not races(made)
    more, one = (native.repeat(graph, carry, len(xs), threads) for threads in (3, 1))
    wanted = one(leaves, xs, constants)
    for drawn in (False, True):
        if drawn and not draw(more.code):
            continue
        for found, other in zip(more(leaves, xs, constants), wanted, strict=True):
            same_bits(found, other, f"{name}, drawn: {drawn}")


@pytest.mark.parametrize("start", range(0, GRAPHS, BATCH))
def test_threads_of_random_graphs_keep_apart(start: int) -> None:
    for seed in range(start, min(start + BATCH, GRAPHS)):
        graph = optimise(random_case(seed, smooth=seed % 3 == 2)[0])
        looping, carry, _ = looped(seed)
        for threads in THREADS:
            assert not races(plan.make(graph, None, threads)), seed
            assert not races(plan.make(looping, Repeat(len(carry), 1), threads)), seed


# Seeded faults ----------------------------------------------------------------------------


def are_found() -> bool:
    found = []
    for name in ("momentum and l2", "dropout and batch norm"):
        graph, carry, _, xs, _ = training(**TRAINING[name])
        found += races(plan.make(graph, Repeat(carry, len(xs)), 3))
    return bool(found)


def test_a_missing_barrier_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not are_found()
    monkeypatch.setattr(phases, "crosses", lambda a, b: False)
    assert are_found()


def test_rows_that_reach_into_others_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of 2 x 50 numbers, then 50 of them that start with the eighth."""

    def f(x: Any) -> Any:
        y = np.tanh(x)
        return y, np.exp(y.reshape(-1)[7:57])

    def always(position: Affine, space: Shape, axis: int) -> int:
        return position.factors[axis]

    graph = record(f, np.zeros((2, 50))).graph
    assert not races(plan.make(graph, None, 3))
    monkeypatch.setattr(placing, "row_of", always)
    assert races(plan.make(graph, None, 3))


def test_memory_that_is_shared_within_a_phase_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers that live from step to step, though threads are not in step."""
    right = plan.place

    def by_steps(made: Plan) -> None:
        right(made)
        first, last = placing._lives(made.steps)
        rooms = [b for b in first if b.offset >= 0]
        lives = [plan.arena.Life(b.type.nbytes, first[b], last[b]) for b in rooms]
        offsets, made.arena = plan.arena.plan(lives)
        for buffer, offset in zip(rooms, offsets, strict=True):
            buffer.offset = offset

    monkeypatch.setattr(plan, "place", by_steps)
    assert are_found()


# The code of a step, run by one thread at a time ------------------------------------------


def changed(made: Plan, step: Step, drawn: int | None = None) -> list[dict[object, np.ndarray]]:
    """Which bytes of each block of memory the code of a step changes, thread by thread, when
    each runs alone: found by filling memory with noise twice. Where threads draw, so many parts
    are drawn before."""
    alone = module.write(replace(made, steps=[step], phases=[0], outputs=[]))
    library = machine.Library(list(map(machine.object_code, alone.texts)), ("run",), alone.imports)
    run = ENTRY(library.address("run"))
    blocks: dict[object, int] = {"arena": made.arena}
    blocks |= {b: b.type.nbytes for b in (*made.inputs, *made.outputs)}
    found: list[dict[object, np.ndarray]] = []
    for thread in range(made.threads):
        seen = {block: np.zeros(size, bool) for block, size in blocks.items()}
        for noise in range(2):
            rng = np.random.default_rng(noise)
            memory = {k: rng.integers(0, 256, size, np.uint8) for k, size in blocks.items()}
            before = {k: x.copy() for k, x in memory.items()}
            control = np.zeros(module.control_bytes(made.threads) // 8, np.int64)
            line = module.LINE // 8
            control[made.threads * line] = 2**62  # every barrier is passed
            control[(made.threads + 1) * line :][:2] = drawn or 0, drawn is not None
            pointers = [ctypes.c_void_p * max(1, len(x)) for x in (made.inputs, made.outputs)]
            tables = [
                table(*(memory[b].ctypes.data for b in buffers))
                for table, buffers in zip(pointers, (made.inputs, made.outputs), strict=True)
            ]
            arena = memory["arena"].ctypes.data
            places = (arena, *map(ctypes.addressof, tables), control.ctypes.data)
            assert run(*places, None, 0, 1, thread, made.threads) == 0
            for k, x in memory.items():
                seen[k] |= x != before[k]
        found.append(seen)
    return found


def check_code(made: Plan) -> None:
    """Fail where the code of a step, by one thread, writes what the plan does not say, or what
    the code of another thread writes too."""
    for number, step in enumerate(made.steps):
        found = changed(made, step)
        for thread, seen in enumerate(found):
            said = touched(made, step, thread, made.threads).written
            for block, bytes in seen.items():
                free = ~said[block] if block in said else True
                assert not (bytes & free).any(), f"step {number}, thread {thread}: {step}"
        for block in found[0]:
            times = np.sum([seen[block] for seen in found], axis=0)
            assert not (times > 1).any(), f"step {number}: {step}"


@pytest.mark.parametrize("name", ["dropout and batch norm", "wide, in panels", "a small batch"])
def test_the_code_of_each_step_writes_what_the_plan_says(name: str) -> None:
    graph, carry, _, xs, _ = training(**TRAINING[name])
    check_code(plan.make(graph, Repeat(carry, len(xs)), 3))


@pytest.mark.parametrize("seed", range(6))
def test_the_code_of_each_step_of_a_random_graph_writes_what_the_plan_says(seed: int) -> None:
    check_code(plan.make(optimise(random_case(seed, smooth=seed % 3 == 2)[0]), None, 3))


def test_rows_are_drawn_by_one_thread_and_none_is_left() -> None:
    graph, carry, _, xs, _ = training(**TRAINING["momentum and l2"])
    made = plan.make(graph, Repeat(carry, len(xs)), 3)
    parts = 0
    for step in made.steps:
        shared, before, drawing = (changed(made, step, drawn) for drawn in (None, 2**40, 0))
        for block in shared[0]:
            first, rest = drawing[0][block], [seen[block] for seen in before[1:]]
            assert not any((first & other).any() for other in rest), step
            np.testing.assert_array_equal(
                np.any([first, *rest], axis=0), np.any([seen[block] for seen in shared], axis=0)
            )
            assert not np.sum([seen[block] for seen in before], axis=0).max(initial=0) > 1
            parts += (first & ~before[0][block]).any()
    assert parts > len(made.steps) // 2


def test_a_thread_without_a_panel_writes_nothing() -> None:
    """Four panels for three threads: two each, and the last thread has none."""
    lanes = machine.vector_bytes() // 4
    n = 15 * lanes + 3
    graph = Graph.parse(f"""def f(x: float32[7, 50], y: float32[50, {n}]):
    z: float32[7, {n}] = contract(x, y, spec="ab,bc->ac")
    return z,""")
    made = plan.make(graph, None, 3)
    (step,) = made.steps
    assert isinstance(step, Product)
    assert step.shared == "panels"
    check_code(made)
