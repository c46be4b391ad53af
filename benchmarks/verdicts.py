"""Verdicts on seeded faults: programs by DEFault's parameters (ICSE 2025), three seeds each.

``python -m benchmarks.verdicts --set tune --programs 60`` draws programs, trains them and their
healthy originals, and counts. A fault counts only where the score is worse than the original's
beyond the noise of seeds. An original is healthy where it does as well as two models that take no
training, and training three times as long does not raise its score beyond that noise; where it
does, too few epochs are a fault that it has, whether a rule says so or not, and it is counted apart
as unfinished. Beside our rules stand AutoTrainer's (ICSE 2021; thresholds as in its published
code, on the same runs). The set ``test`` has other seeds, tables and architectures;
its first result after the rules were frozen is the one that is reported. Two of its tables
(california-housing.csv, diamonds.csv) are looked for in the folder CHAINRULE_TABLES.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets as sklearn_datasets

from chainrule import nn, optim, train
from chainrule.diagnosis.evidence import evidence_of
from chainrule.diagnosis.facts import Evidence
from chainrule.diagnosis.review import review_evidence
from chainrule.diagnosis.statistics import Monitor

datasets: Any = sklearn_datasets
SEEDS = (0, 1, 2)
Table = tuple[np.ndarray, np.ndarray, int]


def _blobs(seed: int) -> Table:
    x, t = datasets.make_blobs(600, 6, centers=4, cluster_std=3.0, random_state=seed)
    return x, t, 4


def _circles(seed: int) -> Table:
    x, t = datasets.make_circles(600, noise=0.08, factor=0.5, random_state=seed)
    return x, t, 2


def _moons(seed: int) -> Table:
    x, t = datasets.make_moons(600, noise=0.2, random_state=seed)
    return x, t, 2


def _loaded(load: Callable[..., Any], classes: int) -> Callable[[int], Table]:
    def made(seed: int) -> Table:
        x, t = load(return_X_y=True)
        return np.asarray(x, float), np.asarray(t), classes

    return made


def _friedman(seed: int) -> Table:
    x, t = datasets.make_friedman1(600, noise=0.5, random_state=seed)
    return x, t, 0


def _gaussians(seed: int) -> Table:
    x, t = datasets.make_gaussian_quantiles(
        n_samples=700, n_features=4, n_classes=3, random_state=seed
    )
    return x, t, 3


def _hypercube(seed: int) -> Table:
    x, t = datasets.make_classification(
        700, 12, n_informative=6, n_classes=3, class_sep=1.3, random_state=seed
    )
    return x, t, 3


def _linear(seed: int) -> Table:
    x, t = datasets.make_regression(600, 8, n_informative=6, noise=8.0, random_state=seed)
    return x, t, 0


def _hastie(seed: int) -> Table:
    x, _ = datasets.make_hastie_10_2(900, random_state=seed)
    return x[:, :6], (np.sum(x[:, :6] ** 2, axis=1) > 5.3).astype(int), 2


def _checker(seed: int) -> Table:
    x = np.random.default_rng(seed).uniform(-1, 1, (700, 3))
    return x, (np.floor(2 * x[:, 0]) + np.floor(2 * x[:, 1])).astype(int) % 2, 2


def _friedman2(seed: int) -> Table:
    x, t = datasets.make_friedman2(600, noise=30.0, random_state=seed)
    return x, t, 0


def _classification(seed: int) -> Table:
    x, t = datasets.make_classification(
        800, 10, n_informative=5, n_classes=4, class_sep=1.6, random_state=seed
    )
    return x, t, 4


def _csv(file: str, target: str, classes: int, rows: int = 800) -> Callable[[int], Table]:
    """The numeric columns of an open table, its complete rows, of which some are drawn."""

    def made(seed: int) -> Table:
        x, t = _complete(file, target)
        drawn = np.random.default_rng(seed).permutation(len(x))[:rows]
        if classes:
            return x[drawn], np.unique(t[drawn], return_inverse=True)[1], classes
        return x[drawn], t[drawn].astype(float), 0

    return made


@functools.cache
def _complete(file: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    """The numeric columns of the complete rows, and their targets as texts."""
    folder = Path(__file__).parent.parent / "examples" if file == "penguins.csv" else DATA
    with open(folder / file, newline="") as lines:
        read = list(csv.DictReader(lines))
    names = [n for n in read[0] if n != target and _is_number(read[0][n])]
    full = [r for r in read if all(_is_number(r[n]) for n in names) and r[target]]
    return np.array([[float(r[n]) for n in names] for r in full]), np.array(
        [r[target] for r in full]
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


DATA = Path(os.environ.get("CHAINRULE_TABLES", "."))
"""The folder with the open tables that do not come with chainrule."""
TABLES: dict[str, dict[str, Callable[[int], Table]]] = {
    "tune": {
        "blobs": _blobs,
        "circles": _circles,
        "digits": _loaded(datasets.load_digits, 10),
        "iris": _loaded(datasets.load_iris, 3),
        "friedman": _friedman,
        "moons": _moons,
        "wine": _loaded(datasets.load_wine, 3),
        "cancer": _loaded(datasets.load_breast_cancer, 2),
        "gaussians": _gaussians,
        "hypercube": _hypercube,
        "linear": _linear,
    },
    "test": {
        "penguins": _csv("penguins.csv", "species", 3),
        "hastie": _hastie,
        "california": _csv("california-housing.csv", "median_house_value", 0),
        "blobs": lambda seed: _blobs(seed + 200),
        "checker": _checker,
        "friedman2": _friedman2,
        "classification": _classification,
        "circles": lambda seed: _circles(seed + 200),
        "diamonds": _csv("diamonds.csv", "price", 0),
    },
}
FIRST = {"tune": 0, "test": 300_000}
WIDTHS = {
    "tune": ((16,), (24,), (32, 16), (64, 32), (32, 32, 16)),
    "test": ((20,), (56,), (28, 14), (48, 24, 12)),
}


@dataclass(frozen=True)
class Program:
    """A training program, healthy or with one fault; ``causes`` are the rules that name it."""

    table: str
    number: int
    hidden: tuple[int, ...]
    activation: Any
    init: Any
    optimizer: str
    rate: float
    batch: int | str
    epochs: int
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    loss: str = ""
    fault: str = ""
    causes: tuple[str, ...] = ()


def healthy(kind: str, number: int) -> Program:
    """A program that does well, most often."""
    rng = np.random.default_rng(FIRST[kind] + number)
    tables = list(TABLES[kind])
    optimizer = str(rng.choice(["adam", "adam", "rmsprop", "momentum"]))
    rates = {"adam": (1e-3, 8e-3), "rmsprop": (1e-3, 3e-3), "momentum": (0.01, 0.05)}
    low, high = rates[optimizer]
    widths = WIDTHS[kind]
    return Program(
        tables[number % len(tables)],
        number,
        widths[int(rng.integers(len(widths)))],
        str(rng.choice(["relu", "tanh", "elu", "leaky_relu", "gelu"])),
        "auto",
        optimizer,
        float(np.exp(rng.uniform(np.log(low), np.log(high)))),
        int(rng.choice([16, 32, 32, 64])),
        int(rng.integers(60, 120)),
        l2=float(rng.choice([0.0, 0.0, 1e-4])),
        dropout=float(rng.choice([0.0, 0.0, 0.1])),
    )


def _low(p: Program, rng: Any, classes: int) -> Program:
    return replace(p, rate=p.rate / 10 ** rng.uniform(2, 4), fault="learning rate too low",
                   causes=("rate-too-low",))  # fmt: skip


def _high(p: Program, rng: Any, classes: int) -> Program:
    return replace(p, rate=min(p.rate * 10 ** rng.uniform(1.5, 3), 10.0),
                   fault="learning rate too high",
                   causes=("rate-too-high", "diverged"))  # fmt: skip


def _few(p: Program, rng: Any, classes: int) -> Program:
    return replace(p, epochs=int(rng.integers(1, 5)), fault="too few epochs",
                   causes=("stopped-too-early",))  # fmt: skip


def _full(p: Program, rng: Any, classes: int) -> Program:
    return replace(p, batch="full", epochs=max(p.epochs // 3, 10), fault="batch too large",
                   causes=("few-updates", "stopped-too-early"))  # fmt: skip


def _thin(p: Program, rng: Any, classes: int) -> Program:
    hidden = list(p.hidden)
    hidden[int(rng.integers(len(hidden)))] = int(rng.integers(1, 3))
    return replace(p, hidden=tuple(hidden), fault="too few units", causes=("too-narrow",))


def _many(p: Program, rng: Any, classes: int) -> Program:
    hidden = (24,) * int(rng.integers(6, 10))
    return replace(p, hidden=hidden, activation="logistic", fault="layers added",
                   causes=("vanishing-gradient", "too-deep"))  # fmt: skip


def _other_loss(p: Program, rng: Any, classes: int) -> Program:
    loss = "squared_error" if rng.random() < 0.4 else "absolute_error"
    return replace(p, loss=loss, fault="wrong loss", causes=("wrong-loss",))


def _plain_sgd(p: Program, rng: Any, classes: int) -> Program:
    return replace(p, optimizer="sgd", rate=float(10 ** rng.uniform(-5, -3.5)),
                   fault="optimiser", causes=("slow-optimizer", "rate-too-low"))  # fmt: skip


def _identity(p: Program, rng: Any, classes: int) -> Program:
    return replace(p, activation="identity", fault="linear activation", causes=("linear-layers",))


def _zeros(p: Program, rng: Any, classes: int) -> Program:
    init = "zeros" if rng.random() < 0.5 else nn.initializer("constant", value=0.1)
    return replace(p, init=init, fault="constant weights", causes=("equal-weights",))


def _wide(p: Program, rng: Any, classes: int) -> Program:
    std = float(10 ** rng.uniform(0.7, 1.7))
    return replace(p, init=nn.initializer("normal", std=std), activation="tanh",
                   fault="large weights", causes=("initial-scale", "saturated"))  # fmt: skip


def _tiny(p: Program, rng: Any, classes: int) -> Program:
    std = float(10 ** rng.uniform(-7, -4))
    return replace(p, init=nn.initializer("normal", std=std), hidden=(*p.hidden, 16, 16),
                   fault="tiny weights",
                   causes=("initial-scale", "vanishing-gradient"))  # fmt: skip


def _ridge(p: Program, rng: Any, classes: int) -> Program:
    strength = float(10 ** rng.uniform(-0.7, 0.7))
    where = {"l2": strength} if rng.random() < 0.6 else {"l1": strength / 3}
    return replace(p, **where, fault="penalty too strong", causes=("penalty-too-strong",))


def _drop(p: Program, rng: Any, classes: int) -> Program:
    return replace(p, dropout=float(rng.uniform(0.75, 0.95)), fault="dropout too high",
                   causes=("dropout-too-high",))  # fmt: skip


FAULTS = (_low, _high, _few, _full, _thin, _many, _other_loss, _plain_sgd, _identity, _zeros,
          _wide, _tiny, _ridge, _drop)  # fmt: skip


def faulty(kind: str, number: int) -> Program:
    """The healthy program of this number with one fault."""
    rng = np.random.default_rng(FIRST[kind] + 50_000 + number)
    program = healthy(kind, number)
    _, _, classes = TABLES[kind][program.table](0)
    fault = FAULTS[number % len(FAULTS)]
    if fault is _other_loss and not classes:
        fault = _low
    return fault(program, rng, classes)


def run(program: Program, kind: str, seed: int) -> tuple[Evidence, Any]:
    """The evidence of one training, and the curve of its training accuracy (None of numbers)."""
    x, t, classes = TABLES[kind][program.table](program.number)
    order = np.random.default_rng(seed + 7 * program.number).permutation(len(x))
    cut, end = int(0.6 * len(x)), int(0.75 * len(x))
    mean, scale = x[order[:cut]].mean(axis=0), x[order[:cut]].std(axis=0)
    x = (x - mean) / np.where(scale > 0, scale, 1.0)
    if not classes:
        t = (t - t[order[:cut]].mean()) / t[order[:cut]].std()
    loss = program.loss or ("squared_error" if not classes else "binary_cross_entropy"
                            if classes == 2 else "categorical_cross_entropy")  # fmt: skip
    if program.loss and classes > 2:
        t = np.eye(classes)[t]
    outputs = classes if classes > 2 else 1
    model = nn.MLP((x.shape[1], *program.hidden, outputs), program.activation,
                   program.dropout, initializer=program.init)  # fmt: skip
    parts = [(x[rows], t[rows]) for rows in (order[:cut], order[cut:end], order[end:])]
    optimizer = optim.optimizer(program.optimizer, learning_rate=program.rate)
    settings: dict[str, Any] = {
        "optimizer": optimizer, "epochs": program.epochs, "batch_size": program.batch,
        "l1": program.l1, "l2": program.l2, "seed": seed,
    }  # fmt: skip
    monitor = Monitor(model, loss, *parts[0])
    monitor.start(*model.init(seed), steps=math.ceil(cut / (cut if program.batch == "full" else
                                                            int(program.batch))))  # fmt: skip
    metrics = {"accuracy": _accuracy(classes)} if classes else None
    try:
        result = train.fit(model, parts[0], loss=loss, validation=parts[1], callbacks=[monitor],
                           metrics=metrics, **settings)  # fmt: skip
    except train.DivergedError as error:
        result = error.result
    curve = [row.get("train_accuracy") for row in result.history] if classes else None
    return evidence_of(result, parts[0], parts[2], classes=classes, monitor=monitor,
                       **settings), curve  # fmt: skip


def _accuracy(classes: int) -> Callable[[Any, Any], float]:
    def accuracy(targets: Any, predicted: Any) -> float:
        predicted, targets = np.asarray(predicted), np.asarray(targets)
        if predicted.ndim > 1 and predicted.shape[1] > 1:
            predicted = predicted.argmax(axis=1)
        elif predicted.dtype.kind == "f":
            predicted = np.rint(predicted.reshape(len(predicted)))
        if targets.ndim > 1 and targets.shape[1] > 1:
            targets = targets.argmax(axis=1)
        return float(np.mean(predicted.reshape(-1) == targets.reshape(-1)))

    return accuracy


def autotrainer(evidence: Evidence, curve: Sequence[float] | None) -> list[str]:
    """AutoTrainer's symptoms: vanishing, exploding, dying ReLU, oscillation, slow convergence."""
    found = []
    for one in evidence.statistics[1:] or evidence.statistics:
        first, last = one.layers[0].gradient, one.layers[-1].gradient
        if not math.isfinite(first + last) or (last and first / last > 70):
            found.append("exploding")
        elif first < 1e-4 and first < 1e-3 * last:
            found.append("vanishing")
        if any(layer.dead > 0.7 for layer in one.layers[:-1]):
            found.append("dying ReLU")
    if evidence.stopped == "non_finite":
        found.append("exploding")
    if curve and len(curve) > 2:
        steps = np.abs(np.diff(curve))
        if np.mean(steps > 0.2) >= 0.03 and max(curve) < 0.95:
            found.append("oscillating")
        if np.max(np.diff([0.0, *curve][1:]), initial=0.0) < 0.01 and curve[-1] < 0.6:
            found.append("slow")
    return sorted(set(found))


def interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not n:
        return 0.0, 1.0
    z, p = 1.96, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def judged(kind: str, number: int) -> dict[str, Any]:
    """A faulty program beside its original, and the original trained longer, over the seeds."""
    program, original = faulty(kind, number), healthy(kind, number)
    before = [run(original, kind, seed) for seed in SEEDS]
    rival = float(np.mean([e.best_rival[1] for e, _ in before]))
    well = bool(np.mean(_scores(before)) > max(rival - 0.03, 0.3))
    row: dict[str, Any] = {
        "number": number, "fault": program.fault, "table": program.table, "well": well,
        "causes": program.causes, "counts": False, "scores": [_scores(before)],
    }  # fmt: skip
    if not well:
        return row
    longer = [run(replace(original, epochs=3 * original.epochs), kind, seed) for seed in SEEDS]
    after = [run(program, kind, seed) for seed in SEEDS]
    row |= {"unfinished": worse(longer, before), "counts": worse(before, after)}
    row["scores"] += [_scores(longer), _scores(after)]
    row |= _said("healthy", [review_evidence(e) for e, _ in before], before)
    return row | _said("faulty", [review_evidence(e) for e, _ in after], after)


def _scores(runs: Sequence[tuple[Evidence, Any]]) -> list[float]:
    return [float(x) for x in np.nan_to_num([e.score for e, _ in runs], nan=-1.0)]


def worse(better: Any, runs: Any) -> bool:
    """Whether the scores of ``runs`` are lower by more than the noise of seeds: that of the
    differences, as two runs of one seed share their rows and their start."""
    apart = np.subtract(_scores(better), _scores(runs))
    noise = float(np.std(apart, ddof=1)) / math.sqrt(len(SEEDS))
    return bool(np.mean(apart) > max(2 * noise, 0.01))


def _said(which: str, findings: Sequence[Any], runs: Sequence[Any]) -> dict[str, Any]:
    return {
        which: [found.rules for found in findings],
        f"{which}_levels": [[one.level for one in found] for found in findings],
        f"{which}_autotrainer": [autotrainer(*one) for one in runs],
    }


def grave(rules: Sequence[str], levels: Sequence[str]) -> list[str]:
    """Findings that say that something is wrong, without those that only describe the outcome."""
    outcome = ("below-rivals", "at-chance", "below-constant")
    return [r for r, level in zip(rules, levels, strict=True)
            if level != "note" and r not in outcome]  # fmt: skip


def report(rows: Sequence[dict[str, Any]]) -> None:
    """The counts, each run for itself, with Wilson's intervals."""
    totals = {which: Counter[str]() for which in ("healthy", "unfinished", "faulty")}
    by_rule: Counter[str] = Counter()
    by_fault: dict[str, Counter[str]] = {}
    for row in (row for row in rows if row["well"]):
        original = "unfinished" if row["unfinished"] else "healthy"
        for which, group in (("healthy", original), ("faulty", "faulty")):
            if which == "faulty" and not row["counts"]:
                continue
            kept = (row[which], row[f"{which}_levels"], row[f"{which}_autotrainer"])
            for rules, levels, theirs in zip(*kept, strict=True):
                said = [r for r, x in zip(rules, levels, strict=True) if x != "note"]
                causes = row["causes"] if which == "faulty" else ("stopped-too-early",)
                right = any(r in causes for r in grave(rules, levels)[:2])
                one = Counter(runs=1, said=bool(said), named=right, auto=bool(theirs))
                totals[group].update(one)
                if group == "healthy":
                    by_rule.update(said)
                elif group == "faulty":
                    if not right:
                        one[f"said {', '.join(rules[:2]) or 'nothing'}"] += 1
                    by_fault.setdefault(row["fault"], Counter()).update(one)
    print(f"{len(rows)} programs drawn, {sum(row['well'] for row in rows)} originals do well, "
          f"{sum(row['counts'] for row in rows)} faults count")  # fmt: skip
    for text, which, key in (
        ("faulty runs detected", "faulty", "said"),
        ("right cause among the first two", "faulty", "named"),
        ("AutoTrainer detects", "faulty", "auto"),
        ("alarms on healthy runs", "healthy", "said"),
        ("AutoTrainer's alarms", "healthy", "auto"),
        ("unfinished runs told so", "unfinished", "named"),
    ):
        hits, of = totals[which][key], totals[which]["runs"]
        low, high = interval(hits, of)
        share = hits / of if of else 0
        print(f"{text:34} {hits:4} of {of:4}  {share:6.1%}  [{low:.1%}, {high:.1%}]")
    print("\nby fault")
    for fault, counts in sorted(by_fault.items()):
        shown = {k: n for k, n in counts.items() if n and k != "auto"}
        print(f"  {fault:24}", shown)
    print("\nalarms on healthy runs, by rule", dict(by_rule))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=("tune", "test"), default="tune")
    parser.add_argument("--programs", type=int, default=28)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=math.inf)
    given = parser.parse_args()
    rows, started = [], time.perf_counter()
    if given.out and given.out.exists():  # goes on where it stopped
        rows = json.loads(given.out.read_text())
    done = {row["number"] for row in rows}
    for number in range(given.first, given.first + given.programs):
        if number in done:
            continue
        if time.perf_counter() - started > given.seconds:
            print(f"stopped after {len(rows)} programs")
            break
        rows.append(judged(given.set, number))
        if given.out:
            given.out.write_text(json.dumps(rows))
    report(rows)


if __name__ == "__main__":
    main()
