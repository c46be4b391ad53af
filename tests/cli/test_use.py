"""The commands on real files, in real processes where these matter: train, predict, evaluate,
inspect."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import pyarrow.csv
import pyarrow.parquet
import pytest

from chainrule.cli.main import main
from tests.helpers.places import PENGUINS

QUICK = ("--epochs", "3", "--hidden", "8")


def chainrule(*arguments, cwd=None, data=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "chainrule", *map(str, arguments)],
        capture_output=True,
        cwd=cwd,
        input=data,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        timeout=120,
    )


def inside(*arguments):
    """The same in this process: without the seconds in which Python starts and code is compiled."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        status = main(list(map(str, arguments)))
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def ok(*arguments, **options):
    done = chainrule(*arguments, **options) if options else inside(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with penguins.csv and the model trained from it by the README's command."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "penguins.csv").write_bytes(PENGUINS.read_bytes())
    folder.joinpath("train.txt").write_text(
        ok("train", "penguins.csv", "--target", "species", cwd=folder).stdout, encoding="utf-8"
    )
    return folder


def test_train_prints_summary_scores_and_what_next(home):
    text = (home / "train.txt").read_text(encoding="utf-8")
    first, second, third, blank, head, *_ = text.splitlines()
    assert first == (
        "344 rows · 7 columns: 5 numeric, 2 categories (island, sex) · 19 cells missing · "
        "target species: 3 classes"
    )
    assert second.startswith(
        "split 275 / 5 folds of the first / 69 (stratified, seed 0) · network realmlp-fast: 5 x "
        "11-128-128-128-3 SELU, softmax + cross-entropy · Adam"
    )
    assert third.startswith("all 50 epochs run; 5 networks, each with the weights of its best")
    assert blank == ""
    sets = ["train", "validation", "one network", "test", 'always "Adelie"']
    assert [name.strip() for name in head.split("  ") if name.strip()] == sets
    scores = {line.split("  ")[0]: line.split()[-5:] for line in text.splitlines()[5:10]}
    assert set(scores) == {"log loss", "accuracy", "balanced accuracy", "F1 (macro)", "ROC AUC"}
    assert float(scores["accuracy"][3]) >= 0.97
    # What the ensemble gained over one network, on the same rows.
    assert float(scores["log loss"][3]) < float(scores["log loss"][2])
    assert text.endswith(
        "saved penguins.safetensors   ·   "
        "predict:  chainrule predict penguins.safetensors new.csv\n"
    )


def test_training_again_on_one_core_replaces_the_model_with_the_same_bytes(home):
    path = home / "penguins.safetensors"
    before = path.read_bytes()
    done = ok("train", "penguins.csv", "--target", "species", cwd=home, OPENBLAS_NUM_THREADS="1")
    assert "replaced penguins.safetensors" in done.stdout
    assert path.read_bytes() == before
    # No notes, and on a slow machine a line of progress every few seconds.
    assert all(line.startswith("epoch ") for line in done.stderr.splitlines())
    assert sorted(os.listdir(home)) == ["penguins.csv", "penguins.safetensors", "train.txt"]


def test_predict_does_not_mind_order(home, tmp_path):
    whole = ok("predict", "penguins.safetensors", "penguins.csv", "--proba", cwd=home)
    assert "missing: 19 cells" in whole.stderr
    rows = list(csv.reader(io.StringIO(whole.stdout)))
    assert rows[0] == [
        "prediction",
        *(f"probability {c}" for c in ("Adelie", "Chinstrap", "Gentoo")),
    ]
    assert len(rows) == 345
    assert all(abs(sum(map(float, row[1:])) - 1) < 1e-8 for row in rows[1:])

    # other order of rows and columns, no target, other separator, one row more
    table = list(csv.DictReader(io.StringIO(PENGUINS.read_text(encoding="utf-8"))))
    names = [name for name in reversed(table[0]) if name != "species"]
    with (tmp_path / "new.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore", delimiter=";")
        writer.writeheader()
        writer.writerows([*table[::-1], table[7]])
    new = ok("predict", home / "penguins.safetensors", tmp_path / "new.csv", "--proba")
    assert list(csv.reader(io.StringIO(new.stdout)))[1:] == [*rows[:0:-1], rows[8]]

    pyarrow.parquet.write_table(pyarrow.csv.read_csv(PENGUINS), tmp_path / "new.parquet")
    new = ok("predict", home / "penguins.safetensors", tmp_path / "new.parquet", "--proba")
    assert new.stdout == whole.stdout


def test_predict_to_a_file_and_as_json(home, tmp_path):
    out = tmp_path / "p.csv"
    arguments = ("predict", home / "penguins.safetensors", PENGUINS)
    assert ok(*arguments, "--out", out).stdout == ""
    assert out.read_text(encoding="utf-8") == ok(*arguments).stdout
    refused = chainrule(*arguments, "--out", out)
    assert refused.returncode == 2
    assert "add --force" in refused.stderr
    ok(*arguments, "--out", out, "--force", "--proba")
    assert out.read_text(encoding="utf-8").startswith("prediction,probability")
    result = json.loads(ok(*arguments, "--json", "--proba").stdout)
    assert len(result["predictions"]) == 344
    assert set(result["probabilities"]) == {"Adelie", "Chinstrap", "Gentoo"}
    assert "19 cells" in result["notes"][0]


def test_predictions_as_parquet_whole_and_piece_by_piece(home, tmp_path):
    """By the name of the file, which held CSV before."""
    arguments = ("predict", home / "penguins.safetensors", PENGUINS, "--proba")
    tables = []
    for name, more in (("whole", ()), ("pieces", ("--memory", "400MB"))):
        ok(*arguments, "--out", tmp_path / f"{name}.parquet", *more)
        tables.append(pyarrow.parquet.read_table(tmp_path / f"{name}.parquet").to_pydict())
    assert tables[0] == tables[1]
    texts = [[f"{x:.10g}" if isinstance(x, float) else x for x in row]
             for row in zip(*tables[0].values(), strict=True)]  # fmt: skip
    assert [[*tables[0]], *texts] == list(csv.reader(io.StringIO(ok(*arguments).stdout)))
    for name in ("p.xlsx", "p.csv.gz", "p.feather", "p.json"):
        refused = inside(*arguments, "--out", tmp_path / name)
        assert refused.returncode == 2
        assert "Parquet to a name that ends in .parquet" in refused.stderr


def test_evaluate_and_inspect(home):
    text = ok("evaluate", "penguins.safetensors", "penguins.csv", cwd=home).stdout
    assert text.splitlines()[0].split(maxsplit=1) == ["data", 'always "Adelie"']
    result = json.loads(
        ok("evaluate", "penguins.safetensors", "penguins.csv", "--json", cwd=home).stdout
    )
    assert result["rows"] == 344
    assert result["scores"]["accuracy"]["data"] > 0.98
    assert result["baseline"] == {"prediction": 'always "Adelie"', "on": "data"}

    text = ok("inspect", "penguins.safetensors", cwd=home).stdout
    for part in ("species: 3 classes", "11-128-128-128-3", "sha256 ", "island", "category", "kept"):
        assert part in text
    result = json.loads(ok("inspect", "penguins.safetensors", "--json", cwd=home).stdout)
    assert [c["kind"] for c in result["columns"]] == [
        *("category", *["number"] * 4, "category", "number"),
    ]
    assert result["data"]["train"]["rows"] == 344


def test_train_as_json_and_quiet(home, tmp_path):
    out = tmp_path / "m.safetensors"
    arguments = ("train", PENGUINS, "--target", "body_mass_g", "--out", out, *QUICK)
    result = json.loads(ok(*arguments, "--json").stdout)
    assert result["task"] == "regression"
    assert set(result["scores"]["RMSE"]) == {"train", "validation", "test", "baseline"}
    assert "left out: 2 rows without 'body_mass_g'" in result["notes"][-1]
    done = ok(*arguments, "--quiet")
    assert done.stdout == done.stderr == ""
    assert ok(*arguments).stderr.startswith("note: ")


def test_config_and_the_command_line(tmp_path):
    (tmp_path / "s.toml").write_text(
        'target = "species"\nhidden = [6, 5]\nepochs = 2\nlearning-rate = 0.01\nl2 = 1\n'
        'drop = ["island"]\nbatch_norm = true\nvalidation = 0.1\nclass-weight = "balanced"\n'
    )
    out = tmp_path / "m.safetensors"
    done = ok(
        "train", PENGUINS, "--config", tmp_path / "s.toml", "--epochs", 3, "--out", out, "--json"
    )
    result = json.loads(done.stdout)
    options = result["options"]
    assert options["epochs"] == 3  # the flag wins
    assert options["hidden"] == [6, 5]
    assert options["learning_rate"] == 0.01
    assert options["l2"] == 1
    assert options["drop"] == ["island"]
    assert options["batch_norm"] is True
    assert options["validation"] == 0.1
    assert options["class_weight"] == "balanced"


def test_every_option_of_train_reaches_the_model(tmp_path):
    out = tmp_path / "m.safetensors"
    given = {
        "task": "multiclass",
        "loss": "focal",
        "preset": "sklearn",
        "ensemble": 2,
        "hidden": "5",
        "activation": "tanh",
        "optimizer": "nesterov",
        "learning-rate": 0.03,
        "schedule": "cosine",
        "epochs": 4,
        "batch-size": 17,
        "l1": 0.001,
        "l2": 0.002,
        "dropout": 0.1,
        "init": "orthogonal",
        "seed": 5,
        "validation": 0.3,
        "test": 0.1,
        "early-stopping": 2,
        "class-weight": "balanced",
        "weight": "body_mass_g",
        "drop": "island",
        "keep": "year",
    }
    flags = [part for name, value in given.items() for part in (f"--{name}", value)]
    rows = [line for line in PENGUINS.read_text().splitlines() if ",,,," not in line]
    (tmp_path / "p.csv").write_text("\n".join(rows))
    done = ok("train", tmp_path / "p.csv", "--target", "1", "--out", out, "--json", *flags)
    options = json.loads(done.stdout)["options"]
    expected = {
        **{name.replace("-", "_"): value for name, value in given.items()},
        "hidden": [5],
        "drop": ["island"],
        "keep": ["year"],
        "batch_norm": False,
        "calibrate": True,
        "tabm": 0,
        "shards": 1,
        "order": "shuffled",
        "category": [],
        "map_class": [],
    }
    assert options == expected


def test_a_file_without_header(tmp_path):
    rows = PENGUINS.read_text().splitlines()[1:]
    bare = tmp_path / "bare.csv"
    bare.write_text("\n".join(row.split(",", 1)[1] + ", " + row.split(",", 1)[0] for row in rows))
    out = tmp_path / "bare.safetensors"
    done = ok("train", bare, "--no-header", "--target", "-1", *QUICK)
    assert "target c8: 3 classes" in done.stdout
    assert ok("predict", out, bare).stdout.count("\n") == 345  # read as in training
    lost = chainrule("predict", out, bare, "--header")
    assert lost.returncode == 2
    assert 'lacks "c1"' in lost.stderr


def test_words_for_missing_cells_are_remembered(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("x,t\n" + "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(60)) + "!,a\n")
    noted = ok("train", path, "--target", "t", *QUICK)
    assert f"{path}:62:x: '!' is not a number (1 of 61 cells)" in noted.stderr
    assert ok("train", path, "--target", "t", "--missing", "!", *QUICK).stderr == ""
    done = ok("predict", tmp_path / "d.safetensors", path)
    assert "missing: 1 cell," in done.stderr


def test_version_help_and_the_entry_point():
    assert ok("--version").stdout.startswith("chainrule 0.")
    for command in ("train", "predict", "evaluate", "inspect"):
        text = ok(command, "--help").stdout
        assert f"chainrule {command} penguins" in text
        assert text.isascii()
    assert chainrule().returncode == 2


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys; from chainrule.cli.main import main; main(['train', '--help']); "
        "heavy = {'numpy', 'scipy', 'pyarrow', 'rich', 'safetensors'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_a_closed_pipe_is_quiet(home):
    big = b"\n".join(
        PENGUINS.read_bytes().splitlines()[:1] + PENGUINS.read_bytes().splitlines()[1:] * 200
    )
    (home / "train.txt").with_name("big.csv").write_bytes(big)
    command = (
        f'"{sys.executable}" -m chainrule predict penguins.safetensors big.csv --quiet | head -2'
    )
    done = subprocess.run(command, shell=True, cwd=home, capture_output=True, text=True)
    (home / "big.csv").unlink()
    assert done.stdout.count("\n") == 2
    assert done.stderr == ""


def test_text_from_data_cannot_command_the_terminal(tmp_path):
    rows = "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(60))
    path = tmp_path / "d.csv"
    path.write_text("n\x1b[31m,t\n" + rows)
    done = ok("train", path, "--target", "t", *QUICK)
    shown = ok("inspect", tmp_path / "d.safetensors")
    assert "\x1b" not in done.stdout + done.stderr + shown.stdout
    assert r"n\x1b[31m" in shown.stdout


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
class TestTerminal:
    """What is seen on a terminal, and what Ctrl-C does."""

    def run(self, tmp_path, epochs, interrupt, **environment):
        master, slave = os.openpty()
        clean = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR")}
        arguments = ("--epochs", str(epochs), "--early-stopping", "0", "--out", "m.safetensors")
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "chainrule",
                "train",
                PENGUINS,
                "--target",
                "species",
                *arguments,
            ],
            cwd=tmp_path,
            stderr=slave,
            stdout=subprocess.PIPE,
            env={**clean, "TERM": "xterm-256color", "COLUMNS": "120", **environment},
        )
        os.close(slave)
        seen = b""
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            try:
                part = os.read(master, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            seen += part
            if interrupt and b"best" in seen:
                process.send_signal(signal.SIGINT)
                interrupt = False
        out, _ = process.communicate(timeout=60)
        os.close(master)
        return process.returncode, out.decode(), seen.decode()

    def test_progress(self, tmp_path):
        status, out, seen = self.run(tmp_path, 60, interrupt=False)
        assert status == 0
        assert "epoch 60/60" in seen
        assert "validation" in seen
        assert "\x1b[38" in seen or "\x1b[3" in seen
        assert "\x1b" not in out

    def test_no_colour(self, tmp_path):
        _, _, seen = self.run(tmp_path, 60, interrupt=False, NO_COLOR="1")
        assert "epoch 60/60" in seen
        assert "\x1b[38" not in seen

    def test_no_progress_in_ci(self, tmp_path):
        status, _, seen = self.run(tmp_path, 3, interrupt=False, CI="true")
        assert status == 0
        assert seen == ""

    def test_ctrl_c_keeps_what_was_learned(self, tmp_path):
        status, out, seen = self.run(tmp_path, 100_000, interrupt=True)
        assert status == 130, seen
        assert "interrupted after" in out
        assert "Traceback" not in seen
        assert ok("evaluate", tmp_path / "m.safetensors", PENGUINS).stdout
        assert os.listdir(tmp_path) == ["m.safetensors"]
