"""``chainrule predict``."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import shared
from chainrule.forks import load

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
@click.option(
    "--out",
    metavar="FILE",
    help="Write CSV, or Parquet to a name that ends so, to a file (default: standard output).",
)
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
        if not as_json and path.suffix.lower() in OTHERS:
            raise UsageError(
                f"--out {path}: predictions are written as CSV, as Parquet to a name that ends in "
                ".parquet, or as JSON with --json"
            )
    loaded = TabularModel.load(model)
    if proba and not loaded.target.classes:
        raise UsageError("--proba: the model predicts numbers, which have no probabilities")
    format = shared.reading(options, loaded)
    if memory is None:
        table = read_table(data, format)
        each = iter([loaded.predict(table, coverage=interval)])
    elif as_json:
        raise UsageError("--memory: goes with CSV and Parquet, whose rows are written as they come")
    else:
        pieces = Stream(data, format, memory=memory).every(loaded.used)
        each = (loaded.predict(piece, coverage=interval) for piece in pieces)
    if as_json:
        text = _json(next(each), proba, str(model), data, loaded.target.name)
        shared.write_text(text, path, force=force)
    elif path is not None and path.suffix.lower() == ".parquet":
        shared.write_file(path, _parquet(_noted(each, quiet), proba), force=force)
    else:
        texts = (_csv(one, proba, header=not i) for i, one in enumerate(_noted(each, quiet)))
        shared.write_texts(texts, path, force=force)


OTHERS = {".feather", ".arrow", ".ipc", ".xlsx", ".xls", ".json", ".jsonl", ".gz", ".zst", ".bz2"}
"""Names that say what is not written."""


def _noted(each: Iterator[Prediction], quiet: bool) -> Iterator[Prediction]:
    """The predictions of each piece, and their first notes."""
    told: list[str] = []
    for predicted in each:
        new = [note for note in predicted.notes if note not in told][: 20 - len(told)]
        shared.print_notes(new, quiet=quiet)
        told += new
        yield predicted


def _columns(predicted: Prediction, proba: bool) -> dict[str, Any]:
    columns: dict[str, Any] = {"prediction": predicted.values}
    if predicted.interval is not None:
        columns |= zip(("low", "high"), predicted.interval.T, strict=True)
    if proba and predicted.probabilities is not None:
        names = (f"probability {name}" for name in predicted.classes)
        columns |= zip(names, predicted.probabilities.T, strict=True)
    return columns


def _csv(predicted: Prediction, proba: bool, *, header: bool) -> str:
    """One line per row; numbers with ten significant digits."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    columns = _columns(predicted, proba)
    writer.writerows([columns][:header])
    cells = [x if x.dtype == object else map("{:.10g}".format, x) for x in columns.values()]
    writer.writerows(zip(*cells, strict=True))
    return lines.getvalue()


def _parquet(each: Iterator[Prediction], proba: bool) -> Iterator[bytes]:
    """A Parquet file, piece by piece, numbers as they are."""
    pa, pq = load("pyarrow"), load("pyarrow.parquet")
    written = _Written()
    tables = (pa.table(_columns(one, proba)) for one in each)
    first = next(tables)
    with pq.ParquetWriter(written, first.schema) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table)
            yield written.taken()
    yield written.taken()


class _Written(io.RawIOBase):
    """Bytes on their way to a file, which somebody else writes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.parts.append(bytes(data))
        self.count += len(self.parts[-1])
        return len(self.parts[-1])

    def tell(self) -> int:
        return self.count

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self.parts = self.parts, []
        return b"".join(parts)


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
