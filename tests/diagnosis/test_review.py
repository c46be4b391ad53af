"""Checks before training and the verdict after it: each fault gets its finding, and what is healthy
gets none. ``benchmarks/verdicts.py`` counts on hundreds of programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim, tabular, train
from chainrule.cli.main import main
from chainrule.diagnosis import cured, preflight, preflight_plan, report_page, review, reviewed
from chainrule.diagnosis.review import RULES
from tests.helpers.places import ROOT

RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 4))
T = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)
Y = np.sin(X[:, 0]) + X[:, 1] ** 2


def names(data: Any, classes: int, loss: str, **more: Any) -> list[str]:
    outputs = classes if classes > 2 else 1
    model = nn.MLP((data[0].shape[1], *more.pop("hidden", (16, 16)), outputs),
                   more.pop("activation", "relu"),
                   initializer=more.pop("initializer", "auto"))  # fmt: skip
    return preflight(model, data, loss=loss, classes=classes, **more).rules


CATEGORICAL = "categorical_cross_entropy"


def test_nothing_is_said_before_a_healthy_training() -> None:
    assert names((X, T), 3, CATEGORICAL) == []
    assert names((X, (Y - Y.mean()) / Y.std()), 0, "squared_error") == []
    assert names((X, (T > 0).astype(int)), 2, "binary_cross_entropy", held=X[:0]) == []


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        ("initial-loss", lambda: names((X * 300, T), 3, CATEGORICAL)),
        ("initial-loss", lambda: names((X, Y + 1000), 0, "squared_error")),
        ("input-scales", lambda: names((X * [1, 1, 1, 1e4], T), 3, CATEGORICAL)),
        ("learned-by-heart", lambda: names((X, T), 3, CATEGORICAL, initializer="zeros")),
        ("penalty-raises-loss", lambda: names((X, T), 3, CATEGORICAL, initializer="zeros")),
        (
            "signals",
            lambda: names((X, T), 3, CATEGORICAL, hidden=(16,) * 6, activation="logistic"),
        ),
        ("constant-column", lambda: names((np.c_[X, np.ones(300)], T), 3, CATEGORICAL)),
        ("copied-column", lambda: names((np.c_[X, X[:, 0]], T), 3, CATEGORICAL)),
        ("leaking-column", lambda: names((np.c_[X, 2.0 * T], T), 3, CATEGORICAL)),
        ("leaking-column", lambda: names((np.c_[X, [1.0, 0, 2][0] * (T == 1)], T == 1), 2,
                                         "binary_cross_entropy")),
        ("shared-rows", lambda: names((X, T), 3, CATEGORICAL, held=X[:50])),
        ("rare-class", lambda: names((X, (np.arange(300) < 4) + 0), 2, "binary_cross_entropy")),
        ("few-rows-decide", lambda: names((X, np.where(np.arange(300) == 7, 1e3, Y)), 0,
                                          "squared_error")),
        ("codes-as-numbers", lambda: names((X, (T * 2.0 - 1) / 3), 0, "squared_error")),
    ],
)  # fmt: skip
def test_what_is_wrong_before_training_is_found(rule: str, make: Any) -> None:
    assert rule in make()


class Wrong(nn.SquaredError):
    """A loss whose gradient leaves out a part of it."""

    def __call__(self, outputs: Any, targets: Any) -> Any:
        return super().__call__(outputs, targets) + cr.stop_gradient(outputs[:, 0] ** 2)


def test_a_wrong_gradient_is_found_before_training() -> None:
    found = preflight(nn.MLP((4, 8, 1)), (X, Y), loss=Wrong())
    assert found.rules[0] == "gradient"


# After training -----------------------------------------------------------------------------


def verdict(loss: Any = CATEGORICAL, t: Any = T, outputs: int = 3, **more: Any) -> Any:
    hidden = more.pop("hidden", (24, 24))
    activation, init = more.pop("activation", "relu"), more.pop("initializer", "auto")
    dropout = more.pop("dropout", 0.0)
    model = nn.MLP((4, *hidden, outputs), activation, dropout, initializer=init)
    rate = more.pop("rate", 5e-3)
    settings: Any = {
        "optimizer": optim.optimizer(more.pop("optimizer", "adam"), learning_rate=rate),
        "epochs": 60, "batch_size": 32, "seed": 0, **more,
    }  # fmt: skip
    parts = [(X[rows], t[rows]) for rows in (slice(200), slice(200, 300))]
    try:
        result = train.fit(model, parts[0], loss=loss, **settings)
    except train.DivergedError as error:
        result = error.result
    return review(result, *parts, classes=int(T.max()) + 1, **settings)


def test_nothing_is_said_after_a_healthy_training() -> None:
    found = verdict()
    assert found.unseen == ()
    assert [one for one in found if one.level != "note"] == []


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("rate-too-low", {"rate": 1e-6}),
    ("rate-too-high", {"rate": 1.0}),
    ("stopped-too-early", {"epochs": 2}),
    ("few-updates", {"batch_size": "full", "epochs": 20}),
    ("wrong-loss", {"loss": "absolute_error", "t": np.eye(3)[T]}),
    ("linear-layers", {"activation": "identity"}),
    ("equal-weights", {"initializer": "zeros"}),
    ("initial-scale", {"initializer": nn.initializer("normal", std=20.0), "activation": "tanh"}),
    ("penalty-too-strong", {"l2": 2.0}),
    ("dropout-too-high", {"dropout": 0.9}),
    ("too-narrow", {"hidden": (1,)}),
    ("vanishing-gradient", {"hidden": (16,) * 8, "activation": "logistic"}),
    ("diverged", {"optimizer": "sgd", "rate": 1e6}),
    ("noisy-batches", {"rate": 4.9e-3, "batch_size": 1, "epochs": 30}),
]


@pytest.mark.parametrize(("rule", "settings"), FAULTS, ids=[one for one, _ in FAULTS])
def test_a_fault_is_named_among_the_first_two(rule: str, settings: dict[str, Any]) -> None:
    found = verdict(**settings)
    assert rule in found.rules[:2]
    one = next(one for one in found if one.rule == rule)
    assert one.evidence
    assert one.change
    assert rule in RULES


def test_a_network_that_grows_surer_and_not_better_is_noted() -> None:
    drawn = np.random.default_rng(0)
    noisy = np.where(drawn.random(300) < 0.5, drawn.integers(0, 3, 300), T)

    def accuracy(targets: Any, predicted: Any) -> float:
        return float(np.mean(np.asarray(predicted).argmax(axis=1) == targets))

    held = {"validation": (X[200:], noisy[200:]), "metrics": {"accuracy": accuracy}}
    found = verdict(t=noisy, epochs=80, **held)
    assert "surer-not-better" in found.rules
    assert "surer-not-better" not in verdict(t=noisy, epochs=8, **held).rules


@pytest.mark.parametrize("values", [Y, np.floor(10 * Y), np.exp(X[:, 0]), np.arange(300) % 2 + 0.0])
def test_numbers_that_are_measured_are_no_codes_and_have_no_few(values: np.ndarray) -> None:
    found = names((X, (values - values.mean()) / values.std()), 0, "squared_error")
    assert not {"codes-as-numbers", "few-rows-decide"} & {*found}


XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])


@pytest.mark.parametrize(
    ("rule", "sizes", "more"),
    [
        ("linear-layers", (2, 1), {"optimizer": optim.adam(0.05), "epochs": 300}),
        ("at-chance", (2, 8, 1), {"optimizer": optim.sgd(0.01), "epochs": 100}),
        (None, (2, 8, 1), {"optimizer": optim.adam(0.05), "epochs": 300}),
    ],
)
def test_exclusive_or(rule: str | None, sizes: tuple[int, ...], more: Any) -> None:
    """The four rows of most first questions on networks, too few to say that nothing tells."""
    model = nn.MLP(sizes, "tanh")
    result = train.fit(model, XOR, loss="binary_cross_entropy", batch_size=4, **more)
    found = [f.rule for f in review(result, XOR, XOR, classes=2, batch_size=4, **more)]
    assert found[:1] == ([rule] if rule else [])


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
@pytest.mark.parametrize("columns", [1, 3])
def test_classes_taken_for_numbers(loss: str, columns: int) -> None:
    x = np.random.default_rng(3).normal(size=(240, 4))
    labels = (x[:, 0] > 0.6).astype(int) + (x[:, 1] > 0.6) * (columns - 1)
    targets = np.eye(columns)[labels % columns] if columns > 1 else labels.astype(float)
    more: Any = {"optimizer": optim.sgd(0.001), "epochs": 10}
    result = train.fit(nn.MLP((4, 8, columns)), (x[:160], targets[:160]), loss=loss, **more)
    found = review(result, (x[:160], targets[:160]), (x[160:], targets[160:]), **more)
    assert "wrong-loss" in [f.rule for f in found][:2], found


def test_a_column_that_is_nearly_always_0_has_no_other_scale() -> None:
    """Pixels at the border move in few rows; their unit is that of the others."""
    x = np.random.default_rng(4).uniform(size=(600, 6))
    x[:, 5] = 0.0
    x[7, 5] = 0.04
    targets = x[:, 0] * 9 - x[:, 1]
    more: Any = {"optimizer": optim.sgd(1e-6), "epochs": 5}
    for unit, named in ((1.0, False), (1e-4, True)):
        x[:, 4] *= unit
        result = train.fit(
            nn.MLP((6, 8, 1)), (x[:400], targets[:400]), loss="squared_error", **more
        )
        found = review(result, (x[:400], targets[:400]), (x[400:], targets[400:]), **more)
        assert ("input-scales" in [f.rule for f in found]) == named, found


def test_epochs_too_few_for_a_curve() -> None:
    """Inside and outside of a sphere, as neighbours tell: four epochs learn nothing of it yet."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 4))
    t = (np.sum(x**2, axis=1) > 3.4).astype(int)
    parts = (x[:375], t[:375]), (x[375:], t[375:])
    for epochs, named in ((3, True), (60, False)):
        more: Any = {
            "optimizer": optim.rmsprop(2e-3),
            "epochs": epochs,
            "batch_size": 32,
            "seed": 0,
        }
        result = train.fit(
            nn.MLP((4, 56, 1), "tanh"), parts[0], loss="binary_cross_entropy", **more
        )
        found = review(result, *parts, classes=2, **more)
        assert (("stopped-too-early", "error") in [(f.rule, f.level) for f in found]) == named


def test_targets_that_nothing_can_tell() -> None:
    drawn = np.random.default_rng(1).integers(0, 3, 300)
    found = verdict(t=drawn, epochs=20, validation=(X[200:], drawn[200:]))
    assert found.rules[0] == "no-signal"
    assert "each row has its own target" in found[0].change
    learned = verdict(epochs=20, validation=(X[200:], T[200:]))
    assert "no-signal" not in learned.rules


# Tables -------------------------------------------------------------------------------------


def test_a_review_of_a_table_looks_at_its_rows(tmp_path: Path) -> None:
    once = [{"a": a, "b": b, "y": y} for (a, b), y in zip(X[:120, :2], Y[:120], strict=True)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in 3 * once))
    options = tabular.Options(preset="sklearn", hidden=(8,), epochs=3)
    found = reviewed(tabular.prepare(tabular.read_table(path), "y", options)).findings
    assert "shared-rows" in found.rules
    assert "rare-class" in found.passed


PENGUINS = ROOT / "examples" / "penguins.csv"


def plan(**options: Any) -> tabular.Plan:
    return tabular.prepare(
        tabular.read_table(PENGUINS),
        "species",
        tabular.Options(**{"preset": "sklearn", "epochs": 40, **options}),
    )


def test_a_table_is_checked_trained_reviewed_and_written_up() -> None:
    prepared = plan()
    assert preflight_plan(prepared).rules == []
    found = reviewed(prepared)
    assert [one for one in found.findings if one.level != "note"] == []
    page = report_page(prepared, found, command="chainrule train <penguins>")
    assert "Content-Security-Policy" in page
    assert "<script" not in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    for title in ("Findings", "Scores", "Curves", "Layers", "Errors", "Columns", "When not to"):
        assert title in page
    assert "&lt;penguins&gt;" in page
    error = re.search(r"but for ([\d.e-]+) of the outputs", page)
    assert error is not None
    assert float(error[1]) < 0.1  # integrated gradients add up


def test_a_cure_is_tried_on_the_same_seeds() -> None:
    prepared = plan(learning_rate=1e-6)
    found = reviewed(prepared)
    assert found.findings.rules[0] == "rate-too-low"
    (trial, *_) = cured(prepared, found.findings, most=1)
    assert trial.verdict == "it helps"
    assert len(trial.before) == len(trial.after) == 3
    assert "it helps" in report_page(prepared, found, [trial])


def test_the_first_network_of_an_ensemble_is_reviewed() -> None:
    prepared = plan(preset="realmlp-fast", ensemble=2, hidden=(8,), epochs=4, test=0.0)
    first, decides = prepared.own(0)
    assert decides is not None
    assert len(first.x) + len(decides.x) in (len(prepared.parts["train"].x) - i for i in range(4))
    found = reviewed(prepared)
    judged = found.model.judge(decides.x, decides.truth, only=0)  # others were trained on them
    assert found.evidence.score == pytest.approx(np.mean(judged.predicted == decides.truth))
    assert (found.evidence.rows, found.evidence.rate) == (len(first.x), 0.04)
    assert found.evidence.usual == 0.04
    page = report_page(prepared, found)
    assert "About the first of 2 networks." in page
    unseen = "they are for plain networks: initial-scale"
    assert unseen in page  # the layers are no plain ones
    assert unseen in str(found.findings)
    assert "initial-scale" not in found.findings.passed
    assert "dead-units" in found.findings.passed
    assert [one.epoch for one in found.monitor.history][:2] == [0, 1]
    assert "<h2>Layers</h2>" in page
    error = re.search(r"but for ([\d.e-]+) of the outputs", page)
    assert error is not None
    assert float(error[1]) < 0.1


def test_a_change_that_does_nothing_is_said_to_do_nothing() -> None:
    from chainrule.diagnosis import Finding, Findings

    finding = Finding("any", "warning", "text", settings={"l2": 1e-9})
    (trial,) = cured(plan(), Findings((finding,)))
    assert trial.verdict == "no difference beyond the noise of seeds"


def test_the_report_says_in_words_why_training_ended(tmp_path: Path) -> None:
    rows = "\n".join(f"{a},{b:.3f},{'yes' if b > 0 else 'no'}" for a, b in enumerate(X[:60, 0]))
    (tmp_path / "t.csv").write_text(f"n,x,y\n{rows}\n")
    page = tmp_path / "r.html"
    settings = ["--target", "y", "--hidden", "4", "--init", "zeros", "--early-stopping", "2"]
    out = ["--out", str(tmp_path / "m.safetensors"), "--report", str(page), "--quiet"]
    assert main(["train", str(tmp_path / "t.csv"), *settings, *out]) == 0
    text = page.read_text()
    assert "stopped early: no better validation loss for 2 epochs" in text
    assert "layer 1: all units start the same" in text
