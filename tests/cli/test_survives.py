"""``chainrule train`` killed again and again writes the model that it would have written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule.cli.main import main
from chainrule.train.checkpoint import read

PENGUINS = Path(__file__).parents[2] / "examples" / "penguins.csv"
KILLS = int(os.environ.get("CHAINRULE_KILLS", "2"))
HIDDEN, EVERY = ("4", "200") if KILLS < 10 else ("256,256", "20")  # so long that it is not over


def command(folder: Path, name: str, *more: str) -> list[str]:
    options = ("--epochs", "1500", "--early-stopping", "0", "--hidden", HIDDEN, "--quiet")
    return ["train", str(PENGUINS), "--target", "species", *options, "--out",
            str(folder / name), *more]  # fmt: skip


def written(kept: Path) -> set[str]:
    return {path.name for path in kept.glob("checkpoint-*")}


@pytest.mark.skipif(sys.platform == "win32", reason="there is neither SIGKILL nor SIGTERM")
def test_killed_at_any_moment_it_loses_only_steps(tmp_path: Path) -> None:
    assert main(command(tmp_path, "plain.safetensors")) == 0
    kept, rng = tmp_path / "kept", np.random.default_rng(KILLS)
    ours = command(tmp_path, "m.safetensors", "--checkpoint", str(kept), "--every", EVERY)
    for number in [signal.SIGKILL] * KILLS + [signal.SIGTERM]:
        before = written(kept)
        with subprocess.Popen(
            [sys.executable, "-m", "chainrule", *ours, "--resume"],
            stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            while written(kept) <= before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(0.05 * rng.random())
            process.send_signal(number)
            _, err = process.communicate(timeout=100)
            ended = process.returncode
        assert ended in (-number if number == signal.SIGKILL else 143, 0), err
        assert "Traceback" not in err, err
    assert not read(max(kept.glob("checkpoint-*"))).ended  # all were killed on the way
    assert main([*ours, "--resume"]) == 0
    models = [(tmp_path / name).read_bytes() for name in ("plain.safetensors", "m.safetensors")]
    assert models[0] == models[1]
    left = sorted(path.name for path in (*tmp_path.iterdir(), *kept.iterdir()))
    assert left[2:] == ["kept", "m.safetensors", "plain.safetensors"], left
    assert set(left[:2]) == written(kept)


def test_what_goes_together_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, words in (
        (["--resume"], "--checkpoint FOLDER"),
        (["--checkpoint", str(tmp_path / "k"), "--every", "soon"], "a time as 30s, 5m or 1h"),
        (["--checkpoint", str(tmp_path / "k"), "--cure"], "look at a whole training"),
    ):
        assert main(command(tmp_path, "m.safetensors", *more)) == 2
        assert words in capsys.readouterr().err
    short = ["--checkpoint", str(tmp_path / "k"), "--epochs", "3"]
    assert main(command(tmp_path, "m.safetensors", *short)) == 0
    again = [*short[:-1], "4", "--resume"]
    assert main(command(tmp_path, "m.safetensors", *again)) == 2
    assert "epochs was 3 and is 4; --force goes on" in capsys.readouterr().err
    assert main(command(tmp_path, "m.safetensors", *again, "--force")) == 0
