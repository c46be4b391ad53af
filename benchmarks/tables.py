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

Root mean squared error, or log loss, accuracy and ROC AUC; seconds to fit and to predict; the most
memory while fitting. Then each one's mean rank over tables, with a bootstrap interval over them,
and its error relative to that of histogram gradient boosting.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

from benchmarks.measure import table as text_table
from benchmarks.peers.tables import PEERS
from chainrule.tabular import Format, Options, Table, read_table, table_of, train

Columns = dict[str, np.ndarray]
OURS = {
    "realmlp-fast": Options(test=0.0, preset="realmlp-fast"),
    "sklearn": Options(test=0.0, preset="sklearn"),
    "sklearn x5": Options(test=0.0, preset="sklearn", ensemble=5),
    "realmlp-td-s": Options(test=0.0, preset="realmlp-td-s"),
    "realmlp-td": Options(test=0.0, preset="realmlp-td"),
    "realmlp-td x5": Options(test=0.0, preset="realmlp-td", ensemble=5),
}
"""Our contestants, by the options that they train with."""
REFERENCE = "HistGradientBoosting"


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
    """One of our contestants, with TabArena's interface: ``fit(X, y)``, ``predict(X)``,
    ``predict_proba(X)``, X a mapping of columns or a data frame."""

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
    began = time.perf_counter()
    made.fit(problem.rows(rows), problem.target[rows])
    fitted = time.perf_counter()
    truth, asked = problem.target[held], problem.rows(held)
    if problem.task == "regression":
        scores = {"error": float(metrics.rmse(truth, made.predict(asked)))}
        scores["R2"] = float(metrics.r2(truth, made.predict(asked)))
    else:
        p = np.clip(np.asarray(made.predict_proba(asked), float), 1e-15, 1.0)
        scores = {"error": float(-np.mean(np.log(p[np.arange(len(truth)), truth])))}
        scores["accuracy"] = float(np.mean(p.argmax(axis=1) == truth))
        shown = p[:, 1] if problem.task == "binary" else p / p.sum(axis=1, keepdims=True)
        scores["AUC"] = float(metrics.roc_auc(truth, shown))
    ended = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return scores | {"fit s": fitted - began, "predict s": ended - fitted, "peak MB": memory}


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
    problems: Sequence[Problem], names: Sequence[str] | None, folds: int, repeats: int, most: int
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Each problem's and contestant's scores on each fold; prints each as it comes."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for problem in problems:
        own = found.setdefault(problem.name, {})
        for i, fold in enumerate(problem.folds(folds, repeats)):
            if i >= most:
                break
            for name, make in contestants(names).items():
                scores = judged(problem, make(problem.task, i), fold)
                own.setdefault(name, []).append(scores)
                shown = "  ".join(f"{key} {value:.5g}" for key, value in scores.items())
                print(f"{problem.name}, fold {i}, {name}: {shown}", flush=True)
    return found


def ranks(means: np.ndarray, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Mean rank of each contestant (columns) over problems (rows) of mean errors, and its 95 %
    bootstrap interval over problems: (contestants, 3)."""
    from scipy.stats import rankdata

    each = rankdata(means, axis=1)
    chosen = np.random.default_rng(seed).integers(len(each), size=(draws, len(each)))
    drawn = each[chosen].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return np.column_stack([each.mean(axis=0), low, high])


def report(found: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> None:
    """Print the tables of results."""
    names = list(next(iter(found.values())))
    means = np.array([[np.mean([f["error"] for f in own[n]]) for n in names]
                      for own in found.values()])  # fmt: skip
    base = means[:, [names.index(REFERENCE)]] if REFERENCE in names else 1.0
    print(f"\nerror relative to {REFERENCE}" if REFERENCE in names else "\nerror")
    rows = zip(found, means / base, strict=True)
    text_table(["table", *names], [[p, *(f"{value:.4g}" for value in own)] for p, own in rows])
    print("\nseconds to fit")
    seconds = {
        p: [np.mean([f["fit s"] for f in own[n]]) for n in names] for p, own in found.items()
    }
    text_table(["table", *names], [[p, *(f"{s:.1f}" for s in own)] for p, own in seconds.items()])
    print("\nmean rank over tables, with its 95 % bootstrap interval")
    placed = zip(names, ranks(means), strict=True)
    text_table(
        ["", "mean rank", "from", "to"], [[n, *(f"{r:.2f}" for r in own)] for n, own in placed]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables")
    parser.add_argument("--folder", type=Path, help="a folder of CSV files")
    parser.add_argument("--manifest", type=Path, help="its list (default: that beside this file)")
    parser.add_argument("--tables", nargs="*", help="only these, by name")
    parser.add_argument("--contestants", nargs="*", help="only these, by name")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most", type=int, default=10**6, help="only so many folds of each")
    parser.add_argument("--json", type=Path, help="write all scores there")
    given = parser.parse_args()
    problems = bundled()
    if given.folder:
        problems += of_folder(
            given.folder, given.manifest or Path(__file__).with_name("tables.json")
        )
    if given.tables:
        problems = [problem for problem in problems if problem.name in given.tables]
    found = compare(problems, given.contestants, given.folds, given.repeats, given.most)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    report(found)


if __name__ == "__main__":
    main()
