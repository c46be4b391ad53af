"""What the system refuses, what a terminal must not be told, and SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chainrule.cli.main import main

FIXTURES = Path(__file__).parents[1] / "io" / "fixtures"
MODEL = FIXTURES / "model_without_sum_kind.safetensors"
PENGUINS = Path(__file__).parents[2] / "examples" / "penguins.csv"
NOTE = f"note: {MODEL}: carries no checksum, so damage to it may go unseen"


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "chainrule", *map(str, arguments)]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(command, timeout=100, **settings)  # type: ignore[call-overload]


def test_a_model_without_a_sum_is_used_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    rows = str(FIXTURES / "rows.csv")
    for command in (["inspect", str(MODEL)], ["predict", str(MODEL), rows]):
        assert main(command) == 0
        shown = capsys.readouterr()
        assert NOTE in shown.err.splitlines()
    assert shown.out.split() == ["prediction", *"acaaaa"]  # as when it was made
    assert main(["predict", str(FIXTURES / "model_without_sum_price.safetensors"), rows]) == 0
    values = [float(word) for word in capsys.readouterr().out.split()[1:]]
    assert values == [10.40855121, 9.508259936, 9.203853398, 9.582631606, 11.26566092, 10.24391869]


def test_a_model_of_version_2_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    """Written before models were calibrated and shards recorded."""
    assert main(["evaluate", str(FIXTURES / "model_of_version_2.safetensors"), str(PENGUINS)]) == 0
    assert "0.8055" in capsys.readouterr().out  # balanced accuracy, as when it was made


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "command", [("inspect", MODEL), ("inspect", MODEL, "--json"), ("--help",), ("quiz", "--help")]
)
def test_output_that_cannot_be_written(command: tuple[object, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(*command, stdout=full)
    lines = [line for line in done.stderr.decode().splitlines() if line != NOTE]
    assert lines == ["chainrule: standard output: No space left on device"]
    assert done.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are POSIX's")
def test_every_refusal_of_the_system_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    Path("data.csv").write_text("x,t\n" + "1,a\n2,b\n" * 20)
    train = ["train", "data.csv", "--target", "t"]
    bad = ["loop", "none", "none/below", "data.csv/below", "n" * 300]
    bad += ["/proc/self/mem"] if Path("/proc/self/mem").exists() else []
    for name in bad:
        for command in (
            ["inspect", name],
            ["predict", name, "data.csv"],
            ["predict", str(MODEL), name],
            ["train", name, "--target", "t"],
            [*train, "--config", name],
            [*train, "--out", f"{name}/m"],
            ["quiz", "mark", name, "1: 2"],
            ["quiz", "make", "--topic", "gates", "--out", f"{name}/m"],
            ["explain", "x**2", "x=3", "--out", f"{name}/m"],
        ):
            assert main(command) in (1, 2), command
            shown = capsys.readouterr()
            assert shown.out == "", command
            (line,) = (line for line in shown.err.splitlines() if line != NOTE)
            assert name[:200] in line, (command, line)
            assert "fault of chainrule" not in line
            assert "Errno" not in line
    assert main(["inspect", "pipe"]) == 2
    assert "pipe: is not an ordinary file" in capsys.readouterr().err


def test_a_name_that_is_not_utf8_is_shown_and_is_json(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/m\xff.safetensors"
    try:
        Path(os.fsdecode(path)).write_bytes(MODEL.read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    done = run("inspect", os.fsdecode(path), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode())["model"] == os.fsdecode(path)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_terminal_is_shown_what_it_would_obey(tmp_path: Path) -> None:
    data = tmp_path / "d.csv"
    names = ("\x1b[31mred", "\x9b32mgreen")
    data.write_text("x,t\n" + "".join(f"{i % 2},{names[i % 2]}\n" for i in range(60)))
    train = ("train", data, "--target", "t", "--epochs", "1", "--quiet", "--hidden", "2")
    assert run(*train).returncode == 0
    predict = ("predict", data.with_suffix(".safetensors"), data)
    assert "\x1b[31mred" in run(*predict).stdout.decode()  # a pipe gets the data
    for command in (predict, (*predict, "--json"), ("inspect", predict[1], "--json")):
        master, slave = os.openpty()
        done = run(*command, stdout=slave)
        os.close(slave)
        seen = os.read(master, 10**6).decode()
        os.close(master)
        assert done.returncode == 0
        assert "\x1b" not in seen
        assert "\x9b" not in seen
    assert "\\u001b[31mred" in seen


def train_until(signals: tuple[int, ...], folder: Path, ignored: bool = False) -> tuple[int, str]:
    """Training that gets signals once it has begun: its status, and all that it printed."""
    script = (
        "import signal, sys\n"
        f"signal.signal(signal.SIGTERM, signal.{'SIG_IGN' if ignored else 'SIG_DFL'})\n"
        "from chainrule.cli.main import main\n"
        "from chainrule.cli.progress import Progress\n"
        "Progress.__call__ = lambda self, event: print(event.epoch, flush=True)\n"
        "status = main(sys.argv[1:])\n"
        "assert signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, signal.SIG_IGN)\n"
        "sys.exit(status)\n"
    )
    epochs = "400" if ignored else "1000000"
    command = ("train", PENGUINS, "--target", "species", "--epochs", epochs, "--hidden", "4")
    options = ("--early-stopping", "0", "--out", folder / "m.safetensors")
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, (*command, *options))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "3":
                break
        for number in signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=100)
    assert "Traceback" not in err, err
    return process.returncode, out + err


@pytest.mark.skipif(sys.platform == "win32", reason="there SIGTERM ends a process at once")
def test_sigterm_keeps_what_was_learned(tmp_path: Path) -> None:
    status, out = train_until((signal.SIGTERM,), tmp_path)
    assert status == 143, out
    assert "interrupted after" in out
    assert main(["inspect", str(tmp_path / "m.safetensors")]) == 0
    assert os.listdir(tmp_path) == ["m.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="there SIGTERM ends a process at once")
def test_who_started_the_process_may_ignore_sigterm(tmp_path: Path) -> None:
    status, out = train_until((signal.SIGTERM,), tmp_path, ignored=True)
    assert status == 0, out


def test_a_program_keeps_its_own_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        ours = signal.getsignal(signal.SIGTERM)
        main(["--help"])
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, previous)
