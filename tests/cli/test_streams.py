"""``chainrule`` on folders that are read piece by piece."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from benchmarks.measure import resident
from chainrule.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(0)
    for k in range(2):
        x = rng.standard_normal((3, 3000)).astype(np.float32)
        kind = rng.choice(["a", "b"], 3000)
        y = np.where(x[0] - (kind == "a") + 0.3 * rng.standard_normal(3000) > 0, "yes", "no")
        table = {f"x{i}": row for i, row in enumerate(x)} | {"kind": kind, "y": y}
        parquet.write_table(pa.table(table), path / f"{k}.parquet", row_group_size=700)
    return path


def train(folder: Path, out: Path, *more: str) -> list[str]:
    options = ("--epochs", "60", "--hidden", "8", "--early-stopping", "0", "--quiet")
    return ["train", str(folder), "--target", "y", *options, "--out", str(out), *more]


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    path = folder.parent / "model.safetensors"
    assert main(train(folder, path, "--order", "streamed")) == 0
    return path


def test_memory_changes_no_byte(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chainrule.tabular import streaming

    monkeypatch.setattr(streaming, "_kept", lambda *_: None)
    assert main(train(folder, tmp_path / "m", "--memory", "1GB")) == 0
    assert (tmp_path / "m").read_bytes() == model.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_in_the_middle_it_goes_on_to_the_same_file(
    folder: Path, model: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    more = ("--checkpoint", str(kept), "--every", "40", "--resume", "--memory", "1GB")
    ours = train(folder, tmp_path / "m", *more)
    program = "from chainrule.tabular import kept, streaming as s; " \
        f"s._kept = lambda *_: kept.Kept({str(tmp_path)!r}); " \
        "from chainrule.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", program, *ours]) as process:
        while len(list(kept.glob("checkpoint-*"))) < 2 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode in (-signal.SIGKILL, 0)
    assert main(ours) == 0
    assert (tmp_path / "m").read_bytes() == model.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["kept", "m"]


MEMORY = "470MB"
"""Little more than the least that is taken."""


def numbers(rows: int, columns: int) -> dict[str, Any]:
    x = np.random.default_rng(0).integers(0, 50, (columns, rows)).astype(np.float32)
    return {f"x{k}": row for k, row in enumerate(x)} | {"y": x[0] - x[1] + 0.1 * x[2]}


def words(rows: int, columns: int) -> dict[str, Any]:
    some = np.array([f"word {k}" for k in range(60)])
    x = np.random.default_rng(0).integers(0, 60, (columns, rows))
    return {f"w{k}": pa.array(some[row]) for k, row in enumerate(x)} | {"y": x[0] > 20}


LARGE = {
    "numbers, two epochs": (numbers, 100, 12, ("--epochs", "2")),
    "one epoch": (numbers, 100, 12, ("--epochs", "1")),
    "ensemble": (numbers, 100, 12, ("--epochs", "1", "--ensemble", "3")),
    "words": (words, 6, 16, ("--epochs", "2")),
    "CSV": (numbers, 30, 12, ("--epochs", "2")),
}


@pytest.mark.skipif("CHAINRULE_MEMORY" not in os.environ, reason="CHAINRULE_MEMORY is not set")
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux tells it")
@pytest.mark.parametrize("name", LARGE)
def test_the_process_takes_at_most_a_quarter_more_than_it_may(tmp_path: Path, name: str) -> None:
    """Tables whose coded rows alone would not fit; one file, by many names."""
    make, columns, files, more = LARGE[name]
    parts, table = tmp_path / "parts", pa.table(make(100_000, columns))
    parts.mkdir()
    first = parts / ("0.csv" if name == "CSV" else "0.parquet")
    if name == "CSV":
        csv.write_csv(table, first)
    else:
        parquet.write_table(table, first, row_group_size=25_000)
    for k in range(1, files):
        os.link(first, parts / f"{k}{first.suffix}")
    options = ("--target", "y", "--hidden", "2", "--batch-size", "8192", "--quiet")
    model = str(tmp_path / "m")
    for command in (
        ("train", str(parts), *options, *more, "--memory", MEMORY, "--out", model),
        ("evaluate", model, str(parts), "--memory", MEMORY),
        ("predict", model, str(parts), "--memory", MEMORY, "--out", str(tmp_path / "p.csv")),
    ):
        peak = 0.0
        with subprocess.Popen(
            [sys.executable, "-m", "chainrule", *command], stdout=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                peak = np.fmax(peak, resident(process=process.pid))
                time.sleep(0.02)
        assert process.returncode == 0
        print(f"{name}, {command[0]}: {peak / 2**20:.0f} MiB")
        assert peak <= 1.25 * 470 * 2**20


def test_predict_and_evaluate_piece_by_piece(
    folder: Path, model: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chainrule.tabular import blocks, stream

    monkeypatch.setattr(stream, "CELLS", 2**11)
    monkeypatch.setattr(blocks, "BLOCK", 2**14)
    text = tmp_path / "text.csv"
    csv.write_csv(parquet.read_table(folder), text)
    for data in (folder, text):
        for name, more in (("whole", []), ("pieces", ["--memory", "1GB"])):
            out = ("--proba", "--force", "--out", str(tmp_path / name))
            assert main(["predict", str(model), str(data), *out, *more]) == 0
            assert main(["evaluate", str(model), str(data), *more]) == 0
        assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()
        said = capsys.readouterr().out
        assert said[: len(said) // 2] == said[len(said) // 2 :]
    assert main(["predict", str(model), str(folder), "--memory", "1GB"]) == 0
    assert capsys.readouterr().out.count("\n") == 6001


def test_what_does_not_go_together_is_said(folder: Path, tmp_path: Path, capsys: Any) -> None:
    for more, words in (
        (["--memory", "much"], "expected a size such as 800MB or 1GB"),
        (["--memory", "10MB"], "--memory 10MB: is too little"),
        (["--order", "streamed", "--cure"], "--order streamed: leave out"),
        (["--order", "streamed", "--test", str(folder)], "--order streamed: leave out"),
        (["--order", "sorted"], "sorted"),
    ):
        assert main(train(folder, tmp_path / "m", *more)) == 2, more
        assert words in capsys.readouterr().err
