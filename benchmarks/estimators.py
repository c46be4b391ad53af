"""``python -m benchmarks.estimators``: our estimators and scikit-learn's, fitted and asked.

Training is on the digits, 64-100-10, 200 epochs at scikit-learn's defaults without its early end;
accuracies are means over splits. Predicting is from a Parquet file to classes: a pipeline of
scikit-learn's with its network, and ``TabularClassifier`` as it stands, both 64-32.
"""

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow.parquet
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.measure import interleave, median, ratio, save, table
from chainrule.estimators import MLPClassifier, TabularClassifier
from chainrule.tabular import read_table

NUMBERS = 8


def training(rounds: int) -> dict[str, Any]:
    """Seconds and accuracies of both on the digits."""
    x, y = load_digits(return_X_y=True)
    scores: dict[str, list[float]] = {"ours": [], "scikit-learn": []}

    def fit(name: str, kind: Any) -> Any:
        def run() -> None:
            seed = len(scores[name])
            split = train_test_split(x, y, test_size=0.25, random_state=seed)
            model = kind(max_iter=200, n_iter_no_change=np.inf, random_state=seed)
            model.fit(split[0], split[2])
            scores[name].append(model.score(split[1], split[3]))

        return run

    runs = {"ours": fit("ours", MLPClassifier), "scikit-learn": fit("scikit-learn", Theirs)}
    times = interleave(runs, rounds)
    return {
        "seconds": {name: median(each) for name, each in times.items()},
        "accuracy": {name: float(np.mean(each)) for name, each in scores.items()},
        "ratio": ratio(times, "scikit-learn", "ours"),
    }


def frame(rows: int) -> pandas.DataFrame:
    """Numbers, two columns of words, and a class that depends on them."""
    rng = np.random.default_rng(0)
    made = {f"n{i}": rng.normal(size=rows) for i in range(NUMBERS)}
    found = pandas.DataFrame(made)
    found["colour"] = rng.choice(["red", "green", "blue", "grey"], rows)
    found["place"] = rng.choice([f"p{i}" for i in range(10)], rows)
    score = found["n0"] * found["n1"] + (found["colour"] == "red") + 0.3 * rng.normal(size=rows)
    found["kind"] = np.where(score > 0.3, "yes", "no")
    return found


def predicting(rows: int, rounds: int) -> dict[str, Any]:
    """Seconds from a Parquet file to classes, and how many of these are right."""
    few = frame(20_000)
    x, y = few.drop(columns="kind"), few["kind"]
    words, numbers = ["colour", "place"], [f"n{i}" for i in range(NUMBERS)]
    coded = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), words)
    )
    theirs = make_pipeline(coded, Theirs((64, 32), max_iter=15, random_state=0)).fit(x, y)
    ours = TabularClassifier((64, 32), epochs=15, random_state=0).fit(x, y)
    every = frame(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        every.drop(columns="kind").to_parquet(path)
        runs = {
            "ours: frame of pyarrow": lambda: ours.predict(pyarrow.parquet.read_table(path)),
            "ours: tabular.read_table": lambda: ours.model_.predict(read_table(path)).values,
            "scikit-learn": lambda: theirs.predict(pandas.read_parquet(path)),
        }
        names = {"0": "no", "1": "yes"}  # what the estimator's own model calls the classes
        right = {
            name: float(np.mean([names.get(x, x) for x in run()] == every["kind"].to_numpy()))
            for name, run in runs.items()
        }
        times = interleave(runs, rounds)
    return {
        "seconds": {name: median(each) for name, each in times.items()},
        "accuracy": right,
        "ratio": {n: ratio(times, "scikit-learn", n) for n in runs if n != "scikit-learn"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("training", "predicting"))
    parser.add_argument("--save", action="store_true", help="write results/estimators.json")
    args = parser.parse_args()
    results: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if args.only != "predicting":
            results["training"] = training(args.rounds)
        if args.only != "training":
            results["predicting"] = predicting(args.rows, args.rounds)
    for what, found in results.items():
        rows = [
            [name, f"{found['seconds'][name]:.2f}", f"{found['accuracy'][name]:.4f}"]
            for name in found["seconds"]
        ]
        table([what, "seconds", "accuracy"], rows)
        print(f"times as long as ours: {found['ratio']}\n")
    if args.save:
        save("estimators", results)


if __name__ == "__main__":
    main()
