"""Streamed data train to the bits of the same rows in memory, in the order that is stated."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from chainrule import nn, optim, train
from chainrule.errors import DataError, UsageError
from chainrule.train.data import Batch
from chainrule.train.streamed import Order, Streamed, StreamedRows, ahead

GROUPS = ((40, 40, 13), (40, 7), (40, 40, 40, 1), (5,), (40, 22), (0, 3))


class Arrays:
    """Pieces of arrays; ``slow`` waits now and then."""

    def __init__(self, batch: Batch, groups: Any = GROUPS, slow: bool = False) -> None:
        self.batch, self.groups, self.slow = batch, groups, slow
        self.first = Batch(*[None if a is None else a[:50] for a in batch])  # type: ignore[arg-type]
        self.fingerprint = "f"
        self.asked: list[tuple[int, int]] = []

    def read(self, places: Iterable[tuple[int, int]]) -> Iterator[list[Batch]]:
        sizes = [n for group in self.groups for n in group]
        ends = np.cumsum(sizes)
        first = np.cumsum([0, *map(len, self.groups)])
        for g, p in places:
            self.asked.append((g, p))
            end, n = ends[first[g] + p], self.groups[g][p]
            if self.slow and len(self.asked) % 3 == 0:
                time.sleep(0.002)
            cuts = [end - n, end - n // 3, end]  # in two batches
            yield [
                Batch(*[None if a is None else a[i:j] for a in self.batch])  # type: ignore[arg-type]
                for i, j in itertools.pairwise(cuts)
            ]


def made(weights: bool = True) -> Batch:
    rng = np.random.default_rng(3)
    n = sum(map(sum, GROUPS))
    x = rng.standard_normal((n, 4)).astype(np.float32)
    t = (x @ rng.standard_normal((4, 1)) + 0.1).astype(np.float32)
    return Batch(x, t, rng.uniform(0.5, 2, n).astype(np.float32) if weights else None)


SETTINGS: dict[str, Any] = {
    "loss": nn.SquaredError(), "optimizer": optim.adam(0.01), "epochs": 4, "seed": 7,
    "dtype": np.float32,
}  # fmt: skip
MODEL = nn.MLP((4, 8, 1), activation="tanh", dropout=0.2)


def same(one: Any, other: Any) -> None:
    for a, b in zip(one.history, other.history, strict=True):
        assert {k: a[k] for k in ("running_loss", "validation_loss")} == {
            k: b[k] for k in ("running_loss", "validation_loss")
        }
    for a, b in zip(one.params["layers"], other.params["layers"], strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize(
    ("batch", "window", "weights", "executor"),
    [(16, 100, True, None), (16, 40, False, None), (37, 64, True, "numpy"), (500, 64, True, None),
     (16, 10_000, False, None)],
)  # fmt: skip
def test_streamed_rows_train_as_rows_in_memory_do(
    batch: int, window: int, weights: bool, executor: Any
) -> None:
    rows = made(weights)
    if batch >= len(rows.x):
        window = len(rows.x)
    data = Streamed(Arrays(rows, slow=True), batch, SETTINGS["seed"], window)
    held = Batch(*[None if a is None else a[:60] for a in rows])  # type: ignore[arg-type]
    streamed = train.fit(
        MODEL, data, executor=executor, **SETTINGS,
        validation=StreamedRows("validation", lambda: iter([held]), "v"),
    )  # fmt: skip
    given = tuple(a for a in held if a is not None)
    inside = train.fit(
        MODEL, (rows.x, rows.targets), sample_weight=rows.weights, batch_size=batch,
        shuffle=data.order.rows, validation=given, evaluate_train=False, executor=executor,
        **SETTINGS,
    )  # fmt: skip
    same(streamed, inside)


def test_an_epoch_has_every_row_once_in_an_order_of_its_own() -> None:
    order = Order(GROUPS, 96, 1)
    first, second = order.rows(1), order.rows(2)
    for one in (first, second):
        np.testing.assert_array_equal(np.sort(one), np.arange(order.total))
    assert (first != second).any()
    assert (first != Order(GROUPS, 96, 2).rows(1)).any()
    np.testing.assert_array_equal(first, Order(GROUPS, 96, 1).rows(1))
    # A window mixes the rows of several groups.
    ends = np.cumsum([sum(g) for g in GROUPS])
    assert len(set(np.searchsorted(ends, first[:96], side="right"))) >= 3


def test_any_minibatch_can_be_asked_for() -> None:
    rows = made()
    data = Streamed(Arrays(rows), 16, 7, 48)
    order = data.order.rows(2)
    for step in (5, 2, 3, data.steps - 1, 0):
        found = data.take(2, step)
        np.testing.assert_array_equal(found.x, rows.x[order[step * 16 : (step + 1) * 16]])
    # What lies before the window is not read again.
    pieces = Arrays(rows)
    again = Streamed(pieces, 16, 7, 48)
    again.take(2, again.steps - 1)
    places = list(again.order.places(2))
    assert places.index(pieces.asked[0]) >= len(places) - 5
    again.close()


def test_it_goes_on_from_a_checkpoint_within_an_epoch(tmp_path: Any) -> None:
    rows = made()

    def fit(**more: Any) -> Any:
        data = Streamed(Arrays(rows), 16, 7, 48)
        held = StreamedRows("validation", lambda: iter([rows]), "v")
        return train.fit(MODEL, data, validation=held, **(SETTINGS | more))

    whole = fit()

    times = iter([1])

    def interrupt(event: Any) -> None:
        if event.what == "written" and event.steps == 30 and next(times, None):
            raise KeyboardInterrupt

    kept = train.Checkpoint(tmp_path, 10, callback=interrupt)
    part = fit(checkpoint=kept)
    assert part.stopped == "interrupted"
    assert part.steps == 30
    same(fit(checkpoint=train.Checkpoint(tmp_path, 10), resume=True), whole)


def test_shards_of_streamed_minibatches() -> None:
    rows = made()
    more = {"shards": 4, "validation": StreamedRows("validation", lambda: iter([rows]), "v")}
    streamed = train.fit(MODEL, Streamed(Arrays(rows), 16, 7, 48), **SETTINGS, **more)
    order = Order(GROUPS, 48, 7)
    inside = train.fit(
        MODEL, (rows.x, rows.targets), sample_weight=rows.weights, batch_size=16, **SETTINGS,
        shuffle=order.rows, shards=4, validation=tuple(rows), evaluate_train=False,
    )  # fmt: skip
    same(streamed, inside)


def test_what_goes_wrong_while_reading_is_raised_where_training_waits() -> None:
    rows = made()

    class Changed(Arrays):
        def __init__(self, batch: Batch, by: int) -> None:
            super().__init__(batch)
            self.by = by

        def read(self, places: Any) -> Iterator[list[Batch]]:
            for k, (first, *more) in enumerate(super().read(places)):
                if k == 5:
                    x, targets = first.x[: self.by], first.targets[: self.by]
                    first = Batch(np.r_[x, x], np.r_[targets, targets], None)
                yield [first, *more]

    class Broken(Arrays):
        def read(self, places: Any) -> Iterator[list[Batch]]:
            yield from [x for _, x in zip(range(3), super().read(places), strict=False)]
            raise DataError("part.parquet: row group 3 is damaged")

    for by, word in ((1, "fewer"), (-1, "more")):
        with pytest.raises(DataError, match=f"{word} rows than .* changed while they were trained"):
            train.fit(MODEL, Streamed(Changed(rows, by), 16, 7, 48), **SETTINGS)
    with pytest.raises(DataError, match="row group 3 is damaged"):
        train.fit(MODEL, Streamed(Broken(rows), 16, 7, 48), **SETTINGS)
    with pytest.raises(UsageError, match="a minibatch of all 331 rows is not streamed"):
        Streamed(Arrays(rows), 400, 7, 48)


def test_nothing_is_read_once_it_is_closed() -> None:
    made_so_far = []

    def items() -> Iterator[int]:
        for k in range(100):
            made_so_far.append(k)
            yield k

    with ahead(items()) as coming:
        assert next(coming) == 0
    time.sleep(0.3)
    count = len(made_so_far)
    assert count <= 4
    time.sleep(0.2)
    assert len(made_so_far) == count
    assert list(ahead(iter([1, 2]))) == [1, 2]


@pytest.mark.parametrize("closed", [True, False])
def test_a_process_ends_after_what_is_being_read(closed: bool) -> None:
    program = f"""
import sys, time
from chainrule.train.streamed import ahead
def items():
    try:
        while True:
            yield time.sleep(0.2)
    finally:
        print("no more is read", flush=True)
reading = ahead(items())
next(reading)
if {closed}:
    reading.close()
sys.exit(3)"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "no more is read\n", "")


def test_nothing_is_read_for_an_epoch_that_will_not_be() -> None:
    pieces = Arrays(made())
    data = Streamed(pieces, 16, 7, 48, epochs=2)
    train.fit(MODEL, data, **SETTINGS | {"epochs": 2})
    assert sum(GROUPS[g][p] for g, p in pieces.asked) == 2 * data.rows


def test_many_networks_each_on_its_own_stream() -> None:
    rows = made()
    more: dict[str, Any] = {**SETTINGS, "epochs": 2}
    seed = more.pop("seed")

    def stream(k: int) -> Streamed:
        held = StreamedRows("validation", lambda: iter([rows]), "v")
        return Streamed(Arrays(rows), 16, seed + k, 48, held)

    found = train.fit_many(MODEL, [stream(0), stream(1)], seeds=[seed, seed + 1], **more)
    for k, one in enumerate(found):
        own = stream(k)
        same(one, train.fit(MODEL, own, seed=seed + k, validation=own.left_out, **more))
    assert found[0].history != found[1].history
