"""A model file, whatever happened to it, is read, or refused in one line.

``CHAINRULE_FUZZ_FILES=100000 pytest -n 0 tests/io/test_fuzz.py`` is the full form.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chainrule import run
from chainrule.cli.main import main
from chainrule.errors import DataError
from chainrule.tabular import TabularModel, reading
from tests.helpers.damage import Raw, damaged, put_together, taken_apart

HERE = Path(__file__).parent / "fixtures"
OLD = sorted(HERE.glob("model_without_sum_*.safetensors"))
COUNT = int(os.environ.get("CHAINRULE_FUZZ_FILES", "600"))
SHARES = 8
"""The files are tested in so many tests, which xdist shares out."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Models with and without a sum."""
    folder = tmp_path_factory.mktemp("models")
    for path in OLD:
        TabularModel.load(path).save(folder / path.name)
    return [path.read_bytes() for path in (*OLD, *sorted(folder.iterdir()))]


def said(command: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, bytes, str]:
    """The status of a command, and what it wrote to both streams."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        status = main(command)
        out.flush()
    return status, out.buffer.getvalue(), err.getvalue()  # type: ignore[attr-defined]


def commands(path: Path) -> tuple[list[str], ...]:
    rows = str(HERE / "rows.csv")
    return (["inspect", str(path)], ["inspect", str(path), "--json"], ["predict", str(path), rows])


def judged(path: Path, rare: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    """What became of a file; an AssertionError unless it was read or refused as it should be.

    A refusal is the same in every command, which all load a model first: seen by one, unless
    ``rare``."""
    try:
        model: TabularModel | None = TabularModel.load(path)
    except DataError:
        model = None
    for command in commands(path)[: 3 if rare or model else 0]:
        status, out, err = said(command, monkeypatch)
        assert status in (0, 2), err
        lines = [line for line in err.splitlines() if not line.startswith("note: ")]
        assert len(lines) == (status == 2), err
        assert status == 2 or model
        assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in err.replace("\n", ""))
        if status == 2:
            assert out == b""
        elif command[0] == "predict":
            if model and model.target.task == "regression":
                assert all(math.isfinite(float(word)) for word in out.split()[1:])
        elif "--json" in command:
            json.loads(out.decode(), parse_constant=lambda word: pytest.fail(word))
        else:
            assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in out.decode().replace("\n", ""))
    return "read" if model else "refused"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("scores", "rows", 0, "values", 3), -(10**377), r"scores.rows\[0\].values\[3\]: expected"),
        (("columns", 2, "scales", 0), 2**64, r"columns\[2\].scales\[0\]: expected a number"),
        (("reading", "names", 2), "flag\ud83d", r"reading.names\[2\]: expected a string of whole"),
        (("options", "learning_rate"), None, "options.learning_rate: must be a number"),
        (("options", "dropout"), 2**52, "options: .*dropout"),
        (("history", 0, "train_loss"), Raw("1e999"), "1e999 is not a finite number"),
        (("kept_epoch",), Raw("9" * 5000), "its metadata is not the JSON it should be"),
        (("rows", "train"), 2**63, "rows.train: expected a whole number of at most"),
    ],
)
def test_numbers_and_text_that_cannot_be_are_named(
    place: tuple[Any, ...],
    value: Any,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = taken_apart((HERE / "model_without_sum_price.safetensors").read_bytes())
    holder = parts.document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    path = tmp_path / "m.safetensors"
    path.write_bytes(put_together(parts))
    for command in commands(path):
        status, out, err = said(command, monkeypatch)
        assert (status, out) == (2, b"")
        assert re.fullmatch(f"chainrule: .*m.safetensors: .*{message}.*\n", err), err


def kept(read: Any) -> Any:
    """``read`` with its tables kept, by how they were read."""
    tables: dict[str, Any] = {}

    def table(path: Any, format: Any = None) -> Any:
        key = f"{path} {format}"
        if key not in tables:
            tables[key] = read(path, format)
        return tables[key]

    return table


@pytest.mark.parametrize("share", range(SHARES))
def test_damaged_models_are_read_or_refused(
    share: int, files: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "m.safetensors", Counter[str]()
    if share:  # compiling takes longer than all the rest, and reads no files
        monkeypatch.setattr(run, "default_executor", lambda: "numpy")
    monkeypatch.setattr(reading, "read_table", kept(reading.read_table))  # one table
    for seed in range(share, COUNT, SHARES):
        path.write_bytes(damaged(files, seed))
        try:
            seen[judged(path, seed % 40 == 0, monkeypatch)] += 1
        except BaseException as error:
            error.add_note(f"the file is damaged(files, {seed})")
            raise
    assert min(seen["read"], seen["refused"]) > COUNT / SHARES / 20  # both halves are exercised
