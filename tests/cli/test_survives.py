"""``chainrule train`` killed again and again writes the model that it would have written."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from chainrule.cli.main import main
from chainrule.train.checkpoint import read

PENGUINS = Path(__file__).parents[2] / "examples" / "penguins.csv"
KILLS = int(os.environ.get("CHAINRULE_KILLS", "2"))


def command(folder: Path, name: str, *more: str) -> list[str]:
    options = ("--epochs", "400", "--early-stopping", "0", "--hidden", "4", "--quiet")
    return ["train", str(PENGUINS), "--target", "species", *options, "--out",
            str(folder / name), *more]  # fmt: skip


def written(kept: Path) -> list[str]:
    return sorted(path.name for path in kept.glob("checkpoint-*"))


def ready(errors: str, arguments: list[str]) -> None:
    """A training in a process whose modules are there already; its errors go to a file."""
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
    sys.exit(main(arguments))


def signalled_ready(ours: list[str], kept: Path, number: int, after: float) -> tuple[int, str]:
    """As ``signalled``, without the time of imports, so long after its first checkpoint."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "chainrule.cli.train", "chainrule.tabular"])
    before, errors = written(kept), kept.parent.with_suffix(".errors")
    process = context.Process(target=ready, args=(str(errors), ours))
    process.start()
    while written(kept) == before and process.is_alive():
        time.sleep(0.001)
    process.join(after)
    if process.is_alive():
        os.kill(process.pid or 0, number)
    process.join(100)
    assert process.exitcode is not None
    return process.exitcode, errors.read_text()


def signalled(ours: list[str], number: int, after: float) -> tuple[int, str]:
    """Exit status and errors of a training signalled so many seconds after its start; it may be
    over by then."""
    with subprocess.Popen(
        [sys.executable, "-m", "chainrule", *ours], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        _, err = process.communicate(timeout=100)
        return process.returncode, err


@pytest.mark.skipif(sys.platform == "win32", reason="there is neither SIGKILL nor SIGTERM")
def test_killed_at_any_moment_it_loses_only_steps(tmp_path: Path) -> None:
    """Trainings, each signalled again and again until it ends: a third of the moments are spread
    over the whole life of a process (imports, the first checkpoint, the last), the others closely
    after the first checkpoint that it writes, where most are of writing and renaming."""
    plain, model = tmp_path / "plain.safetensors", tmp_path / "m.safetensors"
    assert main(command(tmp_path, plain.name)) == 0
    kept, rng = tmp_path / "kept", np.random.default_rng(KILLS)
    ours = command(tmp_path, model.name, "--checkpoint", str(kept), "--every", "20", "--resume")
    started = time.monotonic()
    assert signalled(ours, 0, 100.0) == (0, "")
    life, met = time.monotonic() - started, Counter[str]()
    shutil.rmtree(kept)
    while met["SIGKILL"] < KILLS or met["SIGTERM"] < 1 + KILLS // 10:
        number = signal.SIGTERM if met["all"] % 10 == 2 else signal.SIGKILL
        before = written(kept)
        if met["all"] % 3:
            status, err = signalled_ready(ours, kept, number, rng.uniform(0.0, 0.15))
        else:
            status, err = signalled(ours, number, rng.uniform(0.0, life))
        met["all"] += 1
        assert status in (0, -number, 143 if number == signal.SIGTERM else 0), err
        assert err.strip() in ("", "chainrule: interrupted"), err
        files = written(kept)
        assert files[-1:] >= before[-1:]
        assert all(read(kept / name) for name in files)
        if status == 0:
            met["ended"] += 1
            check_ended(tmp_path)
            shutil.rmtree(kept)
            model.unlink()
            continue
        met[number.name] += 1
        met["before its first checkpoint"] += files == before
        met["in the middle of writing"] += sum(1 for _ in kept.glob(".*")) > 0
        met["at the end"] += bool(files) and read(kept / files[-1]).ended
    assert main(ours) == 0
    check_ended(tmp_path)
    if KILLS >= 100:
        assert all(met.values()), met
        print(dict(met))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_terminated_while_it_imports_it_says_so(tmp_path: Path) -> None:
    """Dataclasses are made by ``exec``; of a KeyboardInterrupt through it ``python -m`` dies."""
    (tmp_path / "ends.py").write_text(
        "import os, signal, sys; from chainrule.cli import main as m\n"
        "m._run = lambda *_: exec('os.kill(os.getpid(), signal.SIGTERM)')\n"
        "sys.exit(m.main([]))"
    )
    command = [sys.executable, "-m", "ends"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "chainrule: interrupted\n")


def check_ended(folder: Path) -> None:
    """The model is that of a training that nothing disturbed, and nothing else is left."""
    models = [(folder / name).read_bytes() for name in ("plain.safetensors", "m.safetensors")]
    assert models[0] == models[1]
    kept = folder / "kept"
    left = sorted(path.name for path in (*folder.iterdir(), *kept.iterdir()))
    assert left == [*written(kept), "kept", "m.safetensors", "plain.safetensors"]
    assert len(left) == 5


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


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise")
@pytest.mark.parametrize("module", ["signal", "chainrule.cli.ranks", "dataclasses", "click"])
def test_interrupted_within_the_first_imports_it_says_so(tmp_path: Path, module: str) -> None:
    (tmp_path / "starts.py").write_text(
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            exec('os.kill(os.getpid(), signal.SIGINT)')\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"sys.modules.pop({module!r}, None)\n"
        "from chainrule.cli.entry import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-m", "starts"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "chainrule: interrupted\n")
