"""``chainrule predict``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import shared

if TYPE_CHECKING:
    from chainrule.tabular import Prediction

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  chainrule predict penguins.safetensors new.csv
  chainrule predict penguins.safetensors new.csv --proba --out predicted.csv
  chainrule predict houses.safetensors new.parquet --json
"""


@click.command("predict", epilog=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data")
@click.option("--proba", is_flag=True, help="Also the probability of each class.")
@click.option(
    "--interval",
    type=float,
    metavar="SHARE",
    help="Also low and high, between which this share of new numbers falls, as 0.9.",
)
@click.option("--out", metavar="FILE", help="Write CSV to a file (default: standard output).")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@shared.memory_option
@shared.reading_options
@click.option("--json", "as_json", is_flag=True, help="JSON instead of CSV.")
@click.option("--quiet", is_flag=True, help="No notes.")
@shared.debug_option
def command(
    model: Path,
    data: str,
    proba: bool,
    interval: float | None,
    out: str | None,
    force: bool,
    memory: str | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Predict the target for every row of DATA, in its order.

    Columns are found by name, in any order; others are ignored. The output has a column
    `prediction`, and with --proba one `probability CLASS` for each class, with --interval `low`
    and `high`. A row's prediction does not depend on the other rows.
    """
    from chainrule.errors import UsageError
    from chainrule.tabular import Stream, TabularModel, read_table

    path = None if out in (None, "-") else Path(str(out))
    if path is not None:
        shared.check_output(path, "--out", [model, Path(data)], force=force)
    loaded = TabularModel.load(model)
    if proba and not loaded.target.classes:
        raise UsageError("--proba: the model predicts numbers, which have no probabilities")
    format = shared.reading(options, loaded)
    if memory is not None:
        if as_json:
            raise UsageError("--memory: goes with CSV, whose rows are written as they come")
        pieces = Stream(data, format, memory=memory).every(loaded.used)
        texts = _texts((loaded.predict(piece, coverage=interval) for piece in pieces), proba, quiet)
        shared.write_texts(texts, path, force=force)
        return
    table = read_table(data, format)
    predicted = loaded.predict(table, coverage=interval)
    if as_json:
        text = _json(predicted, proba, str(model), data, loaded.target.name)
    else:
        text = _csv(predicted, proba)
        shared.print_notes(predicted.notes, quiet=quiet)
    shared.write_text(text, path, force=force)


def _texts(each: Iterator[Prediction], proba: bool, quiet: bool) -> Iterator[str]:
    """The lines of several, the header once, and their first notes."""
    told: list[str] = []
    for number, predicted in enumerate(each):
        yield _csv(predicted, proba, header=not number)
        new = [note for note in predicted.notes if note not in told][: 20 - len(told)]
        shared.print_notes(new, quiet=quiet)
        told += new


def _csv(predicted: Prediction, proba: bool, *, header: bool = True) -> str:
    """One line per row; numbers with ten significant digits."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    numbers = predicted.probabilities
    if numbers is None:
        columns = [predicted.values]
        columns += [] if predicted.interval is None else list(predicted.interval.T)
        names = ["prediction", "low", "high"][: len(columns)]
        writer.writerows([names][:header])
        writer.writerows([f"{value:.10g}" for value in row] for row in zip(*columns, strict=True))
    elif not proba:
        writer.writerows([["prediction"]][:header])
        writer.writerows([name] for name in predicted.values)
    else:
        names = ["prediction", *(f"probability {name}" for name in predicted.classes)]
        writer.writerows([names][:header])
        for name, row in zip(predicted.values, numbers, strict=True):
            writer.writerow([name, *(f"{value:.10g}" for value in row)])
    return lines.getvalue()


def _json(predicted: Prediction, proba: bool, model: str, data: str, target: str) -> str:
    import json

    result: dict[str, Any] = {
        "model": model,
        "data": data,
        "target": target,
        "predictions": predicted.values.tolist(),
    }
    if proba and predicted.probabilities is not None:
        columns = predicted.probabilities.T.tolist()
        result["probabilities"] = dict(zip(predicted.classes, columns, strict=True))
    if predicted.interval is not None:
        low, high = predicted.interval.T.tolist()
        result["interval"] = {"low": low, "high": high}
    result["notes"] = [shared.in_flags(note) for note in predicted.notes]
    return json.dumps(result, allow_nan=False, ensure_ascii=False, indent=2) + "\n"
