"""``python -m benchmarks.tables``: networks on tables beside what else one would use.

Repeated folds with fixed seeds over the tables bundled with scikit-learn, and any folder of CSV
files with a manifest: ``--folder DIR --manifest FILE`` reads a list of records (by default that
beside this file, of well-known tables)

    {"name": "wine", "file": "wine.csv", "target": "quality", "task": "regression"}

with, where needed, "test_file" (instead of folds), "header": false, "drop": [columns],
"map_class": {word: class}.

Every contestant gets the training rows of a fold, and the test rows without their target;
whatever it learns, codings and scales included, it learns from the first. Ours are judged by what
they predict, like all others.

Root mean squared error, R2 and CRPS (of a point prediction the mean absolute error, of several
networks that of their values), or log loss, accuracy and ROC AUC; seconds to fit and to predict;
the most memory taken by them. Every fold is printed, and kept in ``--json FILE``: what is there
already is not done again. ``tables_report`` then prints errors relative to histogram gradient
boosting, mean ranks with a bootstrap interval and the paired test, and draws the picture
(``--picture FILE``).
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

from benchmarks.measure import forget_peak, machine, resident
from benchmarks.peers.tables import PEERS
from benchmarks.tables_report import picture, report
from chainrule.tabular import Format, Options, Table, read_table, table_of, train

Columns = dict[str, np.ndarray]
OURS = {
    "default": Options(test=0.0),
    "sklearn": Options(test=0.0, preset="sklearn"),
    "sklearn x5": Options(test=0.0, preset="sklearn", ensemble=5),
    "realmlp-td-s": Options(test=0.0, preset="realmlp-td-s"),
    "realmlp-td": Options(test=0.0, preset="realmlp-td"),
    "realmlp-td x5": Options(test=0.0, preset="realmlp-td", ensemble=5),
}
"""Our contestants, by the options that they train with."""
SHOWN = ("chainrule default", "HistGradientBoosting", "scikit-learn MLP", "logistic/ridge")
"""Those that the picture shows."""


@dataclass(frozen=True)
class Problem:
    """A table to learn, its target apart; ``split`` are its own training and test rows, if any."""

    name: str
    columns: Columns
    target: np.ndarray
    task: str
    split: tuple[np.ndarray, np.ndarray] | None = None

    def folds(self, count: int, repeats: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Training and test rows, the same in every run."""
        if self.split is not None:
            yield self.split
            return
        kind = RepeatedKFold if self.task == "regression" else RepeatedStratifiedKFold
        folds = kind(n_splits=count, n_repeats=repeats, random_state=0)
        yield from folds.split(self.target, None if self.task == "regression" else self.target)

    def rows(self, rows: np.ndarray) -> Columns:
        """The columns but the target, of these rows."""
        return {name: column[rows] for name, column in self.columns.items()}


def bundled() -> list[Problem]:
    """The tables that scikit-learn brings along."""
    found = []
    for name in ("wine", "breast_cancer", "iris", "digits", "diabetes"):
        data: Any = getattr(datasets, f"load_{name}")()
        names = [str(column) for column in data.feature_names]
        columns = {column: data.data[:, i] for i, column in enumerate(names)}
        if name == "diabetes":
            found.append(Problem(name, columns, data.target.astype(float), "regression"))
        else:
            task = "binary" if len(data.target_names) == 2 else "multiclass"
            found.append(Problem(f"{name} (sklearn)", columns, data.target, task))
    return found


def of_folder(folder: Path, manifest: Path) -> list[Problem]:
    """The tables that a manifest lists."""
    return [_problem(folder, record) for record in json.loads(manifest.read_text())]


def _problem(folder: Path, record: Mapping[str, Any]) -> Problem:
    form = Format(header=record.get("header", True))
    parts = [read_table(folder / record["file"], form)]
    if "test_file" in record:
        parts.append(read_table(folder / record["test_file"], form))
    name = parts[0].choose(record["target"], "target")
    columns: Columns = {}
    for column in parts[0].columns:
        if column.name in (name, *record.get("drop", ())):
            continue
        whole = [_cells(part, column.name) for part in parts]
        plain = all(w.dtype.kind == "f" for w in whole)
        columns[column.name] = np.concatenate(whole if plain else [_words(w) for w in whole])
    words = np.concatenate([_words(_cells(part, name)) for part in parts])
    names = record.get("map_class", {})
    words = np.array([names.get(word, word) for word in words], object)
    kept = np.array([word is not None for word in words])
    task = record["task"]
    if task == "regression":
        target = words[kept].astype(float)
    else:
        target = np.unique(words[kept].astype(str), return_inverse=True)[1]
    first = int(kept[: parts[0].rows].sum())
    every = np.arange(len(target))
    split = (every[:first], every[first:]) if len(parts) > 1 else None
    columns = {key: column[kept] for key, column in columns.items()}
    return Problem(record["name"], columns, target, task, split)


def _cells(table: Table, name: str) -> np.ndarray:
    """A column's numbers, nan where missing, or its words, None where missing."""
    column = table[name]
    if column.numbers is not None:
        return column.numbers
    codes, words = column.codes
    return np.array([*words, None], object)[codes]


def _words(cells: np.ndarray) -> np.ndarray:
    if cells.dtype.kind != "f":
        return cells
    return np.array([None if np.isnan(x) else f"{x:.17g}" for x in cells], object)


class Ours:
    """One of our contestants: ``fit(X, y)``, ``predict(X)``, ``predict_proba(X)``, X a mapping of
    columns."""

    def __init__(self, options: Options, task: str, seed: int = 0) -> None:
        import dataclasses

        self.options = dataclasses.replace(options, task=task, seed=seed)
        self.task = task

    def fit(self, X: Any, y: Any) -> Ours:
        """Train on these rows, and no others."""
        target = np.asarray(y)
        words = target if self.task == "regression" else target.astype(int).astype(str)
        self.model = train(table_of({**dict(X), "target of fit": words}), "target of fit",
                           self.options)  # fmt: skip
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Values, or classes as whole numbers."""
        found = self.model.predict(table_of(dict(X))).values
        return found if self.task == "regression" else found.astype(int)

    def samples(self, X: Any) -> np.ndarray:
        """The values of each network, (n, networks), of a regression."""
        x, _ = self.model.inputs(table_of(dict(X)))
        target, every = self.model.target, range(len(self.model.members))
        found = [self.model.compute(x, k)[1][:, 0] for k in every]
        return np.stack(found, 1) * target.scale + target.center

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (n, classes)."""
        prediction = self.model.predict(table_of(dict(X)))
        assert prediction.probabilities is not None
        order = np.argsort([int(name) for name in prediction.classes])
        return prediction.probabilities[:, order]


def contestants(names: Sequence[str] | None) -> dict[str, Callable[[str, int], Any]]:
    """Those of these names, or all that are installed: how to make each, from task and seed."""
    ours = {f"chainrule {name}": _maker(options) for name, options in OURS.items()}
    every = {**ours, **PEERS}
    return {name: every[name] for name in names} if names else every


def _maker(options: Options) -> Callable[[str, int], Any]:
    return lambda task, seed: Ours(options, task, seed)


def judged(problem: Problem, made: Any, fold: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """A contestant's scores on one fold."""
    from chainrule.train import metrics

    rows, held = fold
    before = forget_peak()
    began = time.perf_counter()
    made.fit(problem.rows(rows), problem.target[rows])
    fitted = time.perf_counter()
    truth, asked = problem.target[held], problem.rows(held)
    regression = problem.task == "regression"
    answer = np.asarray((made.predict if regression else made.predict_proba)(asked), float)
    ended = time.perf_counter()
    memory = (resident() - before) / 2**20
    if regression:
        scores = {"error": float(metrics.rmse(truth, answer))}
        scores["R2"] = float(metrics.r2(truth, answer))
        several = made.samples(asked) if hasattr(made, "samples") else answer[:, None]
        scores["CRPS"] = crps(truth, several)
    else:
        p = np.clip(answer, 1e-15, 1.0)
        scores = {"error": float(-np.mean(np.log(p[np.arange(len(truth)), truth])))}
        scores["accuracy"] = float(np.mean(p.argmax(axis=1) == truth))
        shown = p[:, 1] if problem.task == "binary" else p / p.sum(axis=1, keepdims=True)
        scores["AUC"] = float(metrics.roc_auc(truth, shown))
    return scores | {"fit s": fitted - began, "predict s": ended - fitted, "peak MB": memory}


def crps(truth: np.ndarray, samples: np.ndarray) -> float:
    """The mean continuous ranked probability score of the distributions that samples (n, k) are:
    ``E|X - y| - E|X - X'| / 2`` (Gneiting and Raftery 2007)."""
    off = np.abs(samples - truth[:, None]).mean(axis=1)
    apart = np.abs(samples[:, :, None] - samples[:, None]).mean(axis=(1, 2))
    return float(np.mean(off - apart / 2))


def peeks(made: Any, asked: Columns, task: str) -> bool:
    """Whether a fitted contestant's answer for a row depends on the other rows it is asked about,
    as that of one does whose scales or codes are learned from test rows."""
    count = len(next(iter(asked.values())))
    answer = made.predict if task == "regression" else made.predict_proba
    whole = np.asarray(answer(asked), float)
    halves = np.arange(count) < count // 2, np.arange(count) >= count // 2
    parts = [answer({name: column[half] for name, column in asked.items()}) for half in halves]
    return not np.allclose(np.concatenate(parts), whole, rtol=1e-6, atol=1e-9)


def compare(
    problems: Sequence[Problem],
    names: Sequence[str] | None,
    folds: int,
    repeats: int,
    most: int,
    found: dict[str, dict[str, list[dict[str, float]]]],
    keep: Callable[[], None] = lambda: None,
) -> None:
    """Each problem's and contestant's scores on each fold, added to those ``found``; prints each
    as it comes, and calls ``keep``."""
    for problem in problems:
        own = found.setdefault(problem.name, {})
        for i, fold in enumerate(problem.folds(folds, repeats)):
            if i >= most:
                break
            for name, make in contestants(names).items():
                if len(own.setdefault(name, [])) > i:
                    continue
                scores = judged(problem, make(problem.task, i), fold)
                own[name].append(scores)
                shown = "  ".join(f"{key} {value:.5g}" for key, value in scores.items())
                print(f"{problem.name}, fold {i}, {name}: {shown}", flush=True)
                keep()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables")
    parser.add_argument("--folder", type=Path, help="a folder of CSV files")
    parser.add_argument("--manifest", type=Path, help="its list (default: that beside this file)")
    parser.add_argument("--tables", nargs="*", help="only these, by name")
    parser.add_argument("--contestants", nargs="*", help="only these, by name")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most", type=int, default=10**6, help="only so many folds of each")
    parser.add_argument("--json", type=Path, help="keep all scores there, and go on from there")
    parser.add_argument("--picture", type=Path, help="draw the picture there")
    given = parser.parse_args()
    problems = bundled()
    if given.folder:
        problems += of_folder(
            given.folder, given.manifest or Path(__file__).with_name("tables.json")
        )
    if given.tables:
        problems = [problem for problem in problems if problem.name in given.tables]
    kept: Path | None = given.json
    found = json.loads(kept.read_text())["scores"] if kept and kept.exists() else {}

    def keep() -> None:
        if kept is not None:
            rounded = json.loads(json.dumps(found), parse_float=lambda x: float(f"{float(x):.6g}"))
            text = json.dumps({"machine": machine(), "scores": rounded}, indent=1)
            kept.write_text(re.sub(r"\{\s+([^{}]*?)\s+\}", _on_a_line, text) + "\n")

    protocol = given.contestants, given.folds, given.repeats, given.most
    compare(problems, *protocol, found, keep)
    report(found)
    if given.picture:
        given.picture.write_text(picture(found, SHOWN))


def _on_a_line(match: re.Match[str]) -> str:
    return "{" + " ".join(match[1].split()) + "}"


if __name__ == "__main__":
    main()
