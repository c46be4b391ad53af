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
