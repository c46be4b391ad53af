"""A training taken up at any step has the bits of one that was never cut short."""

from __future__ import annotations

import os
import shutil
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DataError, UsageError
from chainrule.optim import schedules
from chainrule.train import Checkpoint, fit, fit_many

RNG = np.random.Generator(np.random.Philox(5))
N = 40
LABEL = RNG.integers(0, 3, N)
X, T = RNG.normal(size=(N, 4)) + np.eye(3, 4)[LABEL], np.eye(3)[LABEL]
HELD, WEIGHTS = (X[:15] + 0.1, T[:15]), np.arange(N) % 3 + 0.5
COMMON: dict[str, Any] = {
    "loss": "categorical_cross_entropy", "epochs": 3, "batch_size": 16, "seed": 3,
}  # fmt: skip
MLP, NORMED = cr.nn.MLP((4, 5, 3)), cr.nn.MLP((4, 5, 3), dropout=0.3, batch_norm=True)
EVERYTHING: dict[str, Any] = {
    "optimizer": cr.optim.adam(schedules.one_cycle(0.3, 12)), "validation": HELD,
    "early_stopping": cr.train.EarlyStopping(2, 0.01), "sample_weight": WEIGHTS,
    "metrics": ["accuracy", "f1"], "l2": 1e-3, "dtype": np.float32,
}  # fmt: skip


class Stream:
    """Minibatches from elsewhere, of different lengths."""

    rows, steps = 30, 4

    def take(self, epoch: int, step: int) -> Any:
        rows = np.arange(step * (step + 1), (step + 1) * (step + 2)) + epoch
        return X[rows], T[rows], WEIGHTS[rows]


SLICE: list[tuple[Any, Any, dict[str, Any]]] = [
    (NORMED, (X, T), EVERYTHING),
    (NORMED, (X, T), EVERYTHING | {"executor": "numpy"}),
    (MLP, (X, T), {"optimizer": cr.optim.sgd(0.3, momentum=0.9), "alpha": 0.1, "threads": 2}),
    (MLP, (X, T), {"optimizer": "rmsprop", "executor": "numpy", "shuffle": False}),
    (MLP, (X, T), {"optimizer": "adamw", "batch_size": "full", "test": HELD}),
    (MLP, (X, T), {"optimizer": "lbfgs", "batch_size": None, "epochs": 6, "validation": HELD}),
    (NORMED, Stream(), {"optimizer": "adam", "batch_size": None}),
]
FULL = [
    (model, (X, T), {"optimizer": optimizer, **more, "executor": executor, "threads": threads})
    for model, optimizer, more, (executor, threads) in product(
        (MLP, cr.nn.MLP((4, 5, 3), dropout=0.3), cr.nn.MLP((4, 5, 3), batch_norm=True), NORMED),
        [
            *("adam", "adamw", "rmsprop", "sgd", "momentum", "nesterov"),
            *(
                cr.optim.chain(cr.optim.clip_by_norm(0.5), cr.optim.adam(rate))
                for rate in (
                    schedules.step(0.1, 0.5, 4),
                    schedules.cosine(0.1, 9),
                    schedules.coslog(0.1, 9, 2),
                    schedules.one_cycle(0.1, 12),
                    schedules.warm_up(schedules.exponential(0.1, 0.5, 3), 4),
                )
            ),
        ],
        ({}, EVERYTHING | {"optimizer": None}),
        (("native", 1), ("native", 2), ("numpy", None)),
    )
]
FULL = [(m, d, {**o, "optimizer": o["optimizer"] or "adam"}) for m, d, o in FULL]
EVERY = os.environ.get("CHAINRULE_RESUME") == "all"


def bits(result: Any) -> Any:
    trees = (result.params, result.state, result.slots, result.predict(X))
    history = tuple(tuple((row | {"seconds": 0}).items()) for row in result.history)
    ends = (result.best_epoch, result.stopped, result.steps)
    return [(a.dtype, a.tobytes()) for a in cr.tree.leaves(trees)], history, ends


class Copies:
    """Keeps a copy of the folder after each checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.events = folder, list[Any]()

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        shutil.copytree(event.path.parent, self.folder / str(len(self.events)))

    def each(self, step: int = 1) -> list[Path]:
        count = len(self.events)
        return [self.folder / str(i + 1) for i in range(0, count, step)] or [self.folder]


@pytest.mark.parametrize(("model", "data", "options"), FULL + SLICE if EVERY else SLICE)
def test_resumed_at_each_step_it_has_the_same_bits(
    model: Any, data: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    options = COMMON | options
    undisturbed = bits(fit(model, data, **options))
    copies = Copies(tmp_path / "copies")
    checkpoint = Checkpoint(tmp_path / "kept", 1, callback=copies)
    assert bits(fit(model, data, checkpoint=checkpoint, **options)) == undisturbed
    assert {e.steps for e in copies.events} == set(range(undisturbed[2][2] + 1))
    for folder in copies.each(1 if EVERY or options["epochs"] == 6 else 5):
        events = list[Any]()
        again = Checkpoint(folder, "1h", callback=events.append)
        assert bits(fit(model, data, checkpoint=again, resume=True, **options)) == undisturbed
        assert [e.what for e in events][:1] == ["resumed"]


def test_networks_side_by_side_go_on_each_from_where_it_was(tmp_path: Path) -> None:
    options = COMMON | {
        "optimizer": cr.optim.adam(0.3), "validation": HELD, "early_stopping": 1,
        "batch_size": [8, 8, 16, 8], "epochs": [5, 5, 5, 2], "seeds": range(4),
    }  # fmt: skip
    del options["seed"]
    undisturbed = [*map(bits, fit_many(NORMED, (X, T), **options))]
    copies = Copies(tmp_path / "copies")
    checkpoint = Checkpoint(tmp_path / "kept", 1, callback=copies)
    assert [*map(bits, fit_many(NORMED, (X, T), checkpoint=checkpoint, **options))] == undisturbed
    for folder in copies.each(1 if EVERY else len(copies.events) // 4):
        found = fit_many(NORMED, (X, T), checkpoint=folder, resume=True, **options)
        assert [*map(bits, found)] == undisturbed
    with pytest.raises(UsageError, match="is of 4 networks, and 2 are to be"):
        fit_many(
            *(MLP, (X, T)), loss="squared_error", optimizer="adam", seeds=range(2),
            checkpoint=copies.each()[-1], resume=True,
        )  # fmt: skip


@pytest.mark.parametrize("options", [{}, EVERYTHING | {"early_stopping": None}])
def test_three_epochs_and_three_more_are_six(options: dict[str, Any]) -> None:
    options = {"optimizer": "adam"} | COMMON | options
    three = fit(NORMED, (X, T), **options)
    six = fit(NORMED, (X, T), **options | {"epochs": 6})
    assert bits(fit(NORMED, (X, T), **options | {"epochs": 6}, resume=three)) == bits(six)

    def interrupt(event: Any) -> None:
        if event.epoch == 2:
            raise KeyboardInterrupt

    early = fit(NORMED, (X, T), callbacks=[interrupt], **options)
    assert bits(fit(NORMED, (X, T), **options | {"epochs": 6}, resume=early)) == bits(six)
    with pytest.raises(UsageError, match="has 6 epochs, and epochs=3 counts these too"):
        fit(NORMED, (X, T), resume=six, **options)
    with pytest.raises(UsageError, match="give the same model, optimizer and dtype"):
        fit(NORMED, (X, T), resume=three, **options | {"optimizer": cr.optim.sgd(0.1)})
    with pytest.raises(UsageError, match="say where the checkpoints are"):
        fit(NORMED, (X, T), resume=True, **options)


PLAIN: dict[str, Any] = COMMON | {"optimizer": "adam"}


def kept(tmp_path: Path, **options: Any) -> Path:
    """A folder with the checkpoints of a training that was interrupted in its third epoch."""

    def interrupt(event: Any) -> None:
        if event.epoch == 3:
            raise KeyboardInterrupt

    folder = tmp_path / "kept"
    fit(MLP, (X, T), checkpoint=folder, callbacks=[interrupt], **PLAIN | options)
    return folder


def test_where_the_last_file_is_damaged_the_one_before_serves(tmp_path: Path) -> None:
    undisturbed = bits(fit(MLP, (X, T), **PLAIN))
    first, last = sorted(kept(tmp_path).iterdir())
    whole = last.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-3] + b"abc", b""):
        last.write_bytes(damaged)
        folder = shutil.copytree(first.parent, tmp_path / str(len(damaged)))
        with pytest.warns(UserWarning, match=rf"{last.name}: .*goes on from .*{first.name}"):
            found = fit(MLP, (X, T), checkpoint=folder, resume=True, **PLAIN)
        assert bits(found) == undisturbed
    first.write_bytes(b"no")
    with pytest.raises(DataError, match="no checkpoint there is whole"):
        fit(MLP, (X, T), checkpoint=first.parent, resume=True, **PLAIN)


def test_what_differs_is_named_and_refused(tmp_path: Path) -> None:
    folder = kept(tmp_path)
    for data, options, words in (
        ((X + 1, T), {}, "training data was"),
        ((X, T), {"batch_size": 8}, "batch_size was 16 and is 8; give what was given"),
        ((X, T), {"optimizer": cr.optim.adam(0.5)}, "optimizer was .*0.001.* and is .*0.5"),
        ((X, T), {"optimizer": cr.optim.adam(epsilon_hat=True)}, "was .*False.* and is .*True"),
        ((X, T), {"seed": 4}, "seed was 3 and is 4"),
        ((X, T), {"validation": HELD}, "validation data was not known and is"),
    ):
        for force in (False, True):
            with pytest.raises(UsageError, match=words):
                fit(MLP, data, checkpoint=Checkpoint(folder, force=force), resume=True,
                    **PLAIN | options)  # fmt: skip
    longer = PLAIN | {"epochs": 5}
    with pytest.raises(UsageError, match="epochs was 3 and is 5; force=True goes on"):
        fit(MLP, (X, T), checkpoint=folder, resume=True, **longer)
    forced = Checkpoint(folder, force=True)
    found = fit(MLP, (X, T), checkpoint=forced, resume=True, **longer)
    assert bits(found) == bits(fit(MLP, (X, T), **longer))


def test_of_long_descriptions_what_differs_is_shown(tmp_path: Path) -> None:
    def options(last: float) -> dict[str, Any]:
        rates = [schedules.constant(1.0)] * 9 + [schedules.constant(last)]
        return {"optimizer": cr.optim.sgd(schedules.product(rates))}

    folder = kept(tmp_path, **options(0.2))
    with pytest.raises(UsageError, match=r"optimizer was .* 0\.2\D.* and is .* 0\.3\D"):
        fit(MLP, (X, T), checkpoint=folder, resume=True, **PLAIN | options(0.3))


def test_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kept(tmp_path)
    monkeypatch.setattr(np, "__version__", "9.9")
    with pytest.raises(UsageError, match=r"numpy was .* and is 9\.9; force=True"):
        fit(MLP, (X, T), checkpoint=folder, resume=True, **PLAIN)
    monkeypatch.undo()
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    with pytest.warns(UserWarning, match="on another processor .*pdp11"):
        fit(MLP, (X, T), checkpoint=folder, resume=True, **PLAIN | {"executor": None})


def test_an_unfinished_training_is_not_replaced_unasked(tmp_path: Path) -> None:
    folder = kept(tmp_path)
    with pytest.raises(UsageError, match="resume=True goes on with it, force=True begins anew"):
        fit(MLP, (X, T), checkpoint=folder, **PLAIN)
    ended = bits(fit(MLP, (X, T), checkpoint=Checkpoint(folder, force=True), **PLAIN))
    assert bits(fit(MLP, (X, T), checkpoint=folder, **PLAIN | {"seed": 1})) != ended
    assert len([*folder.iterdir()]) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every": "5 minutes"}, "expected a time as 30s, 5m or 1h"),
        ({"every": 0}, "every"),
        ({"every": "0s"}, "expected a time"),
    ],
)
def test_times_that_are_none(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Checkpoint("kept", **options)


def test_a_full_disk_ends_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    folder, limits = tmp_path / "kept", resource.getrlimit(resource.RLIMIT_FSIZE)
    undisturbed = bits(fit(MLP, (X, T), **PLAIN))

    def full(event: Any) -> None:
        if event.what == "written":  # from the second file on there is no room
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.warns(UserWarning, match="no checkpoint could be written.*the last one stays"):
            found = fit(MLP, (X, T), checkpoint=Checkpoint(folder, 2, callback=full), **PLAIN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bits(found) == undisturbed
    assert [path.name for path in folder.iterdir()] == ["checkpoint-000001.safetensors"]
    assert bits(fit(MLP, (X, T), checkpoint=folder, resume=True, **PLAIN)) == undisturbed


def test_a_folder_that_is_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    undisturbed = bits(fit(MLP, (X, T), **PLAIN))

    def remove(event: Any) -> None:
        if event.what == "written" and event.steps == 2:
            shutil.rmtree(folder)

    assert bits(fit(MLP, (X, T), checkpoint=Checkpoint(folder, 2, callback=remove), **PLAIN))
    assert len([*folder.iterdir()]) == 2
    assert bits(fit(MLP, (X, T), checkpoint=folder, resume=True, **PLAIN)) == undisturbed


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no")
    with pytest.raises(UsageError, match="kept: is a file, and checkpoints are kept in a folder"):
        fit(MLP, (X, T), checkpoint=tmp_path / "kept", **PLAIN)


def test_a_folder_that_cannot_be_is_said_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file/kept"):
        fit(MLP, (X, T), checkpoint=tmp_path / "file" / "kept", **PLAIN)


def test_networks_go_on_from_a_result_each() -> None:
    ones = {name: value for name, value in PLAIN.items() if name != "seed"}
    first = fit_many(MLP, (X, T), seeds=[0, 1], **ones)
    again = fit_many(MLP, (X, T), seeds=[0, 1], **ones | {"epochs": 6}, resume=list(first))
    whole = fit_many(MLP, (X, T), seeds=[0, 1], **ones | {"epochs": 6})
    assert [bits(one) for one in again] == [bits(one) for one in whole]
    assert all(one.steps == 6 * 3 for one in again)
    with pytest.raises(UsageError, match="or the 2 FitResults to go on from"):
        fit_many(MLP, (X, T), seeds=[0, 1], **ones, resume=first[0])


@pytest.mark.parametrize("resume", ["yes", 1, 0.0, None, [True], Path("kept")])
def test_what_cannot_be_resumed_is_said(tmp_path: Path, resume: Any) -> None:
    """It began anew, over the checkpoints of a training that was at its end."""
    ones = {name: value for name, value in PLAIN.items() if name != "seed"}
    with pytest.raises(UsageError, match="give True, False, or the FitResult to go on from"):
        fit(MLP, (X, T), **PLAIN, checkpoint=tmp_path / "k", resume=resume)
    with pytest.raises(UsageError, match="give True, False, or the 1 FitResults to go on from"):
        fit_many(MLP, (X, T), seeds=[0], **ones, checkpoint=tmp_path / "k", resume=resume)
    assert not (tmp_path / "k" / "checkpoint-000001.safetensors").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no locks there")
def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    words: list[str] = []

    def another(event: Any) -> None:
        for train in (
            lambda: fit(MLP, (X, T), checkpoint=tmp_path, resume=True, **PLAIN),
            lambda: fit_many(MLP, (X, T), seeds=[3], checkpoint=Checkpoint(tmp_path, force=True),
                             **{k: v for k, v in PLAIN.items() if k != "seed"}),
        ):  # fmt: skip
            with pytest.raises(UsageError, match="another training keeps its checkpoints") as error:
                train()
            words.append(str(error.value))

    with pytest.raises(ZeroDivisionError) as error:
        fit(MLP, (X, T), checkpoint=tmp_path, callbacks=[another, lambda e: 1 / 0], **PLAIN)
    assert len(words) == 2
    assert str(tmp_path) in words[0]
    found = fit(MLP, (X, T), checkpoint=tmp_path, resume=True, **PLAIN)  # the error lives still
    assert bits(found) == bits(fit(MLP, (X, T), **PLAIN)), error


def test_a_clock_that_is_moved_moves_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    moved, events = iter([1e9 * (-1) ** k for k in range(100_000)]), list[Any]()
    monkeypatch.setattr(time, "time", lambda: next(moved))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * next(moved)))
    options = PLAIN | {"checkpoint": Checkpoint(tmp_path, "1h", callback=events.append)}
    found = fit(MLP, (X, T), **options)
    assert [event.what for event in events] == ["written"] * 2  # at the start and at the end
    assert all(0 <= row["seconds"] < 100 for row in found.history)
    assert bits(fit(MLP, (X, T), resume=True, **options)) == bits(found)
