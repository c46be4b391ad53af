"""Everything that can be wrong: one message, exit status 2 (or 1), nothing written."""

import os
import shutil
from pathlib import Path

import pytest

from chainrule.cli.main import _explained, main
from chainrule.errors import DataError, NonFiniteError, UsageError

HEAD = "x,y,t\n"
GOOD = HEAD + "".join(f"{i % 11},{i * i % 17},{'ab'[i % 2]}\n" for i in range(60))

QUICK = ("--epochs", "2", "--hidden", "8")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text(GOOD)
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    data = path.with_name("d.csv")
    data.write_text(GOOD)
    done = main(["train", str(data), "--target", "t", *QUICK, "--quiet", "--out", str(path)])
    assert done == 0
    return path


def fails(capsys, *arguments, status=2):
    before = set(os.listdir())
    assert main([str(a) for a in arguments]) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    lines = shown.err.strip().splitlines()
    assert len(lines) == 1, shown.err
    assert lines[0].startswith("chainrule: ")
    assert set(os.listdir()) == before
    return lines[0]


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("", [], "bad.csv: is empty"),
        (HEAD, [], "bad.csv: has a header but no rows"),
        ("x,x,t\n1,2,a\n", [], "bad.csv:1: columns 1 and 2 are both called 'x'"),
        (GOOD + "1,2\n", [], "bad.csv:62: found 2 cells, expected 3"),
        (GOOD + "1,2,3,4\n", [], "bad.csv:62: found 4 cells, expected 3"),
        (GOOD + '1,"2,a\n', [], 'bad.csv:62: a cell begins with "'),
        (GOOD + "1,inf,a\n", [], "bad.csv:62:y: 'inf' is not a finite number"),
        (GOOD + "-Infinity,1,a\n", [], "bad.csv:62:x: '-Infinity' is not a finite"),
        (GOOD + "1,1e999,a\n", [], "bad.csv:62:y: '1e999' is not a finite"),
        ("x,t\n1,\n2,\n", [], "every cell of the target 't' is missing"),
        ("x,t\n" + "1,a\n2,a\n" * 30, [], "one class, 'a', in every row"),
        ("x,t\n" + "1,3.5\n2,3.5\n" * 30, [], "'t' is 3.5 in every row"),
        ("x,u\n1,a\n2,b\n", [], "--target t: bad.csv has no such column"),
        ("1,a\n2,b\n", [], "--no-header"),
        (GOOD, ["--task", "regression"], "bad.csv:2:t: 'a' is not a number"),
        (GOOD + "1,2,c\n", ["--task", "binary"], "--task binary: the target 't' has 3 classes"),
        (GOOD, ["--weight", "z"], "--weight z: bad.csv has no such column"),
        (GOOD, ["--weight", "y", "--drop", "x"], "no column is left to predict 't'"),
        (GOOD + ",2,a\n", ["--weight", "x"], "bad.csv:62:x: the weight ''"),
        (GOOD + "-1,2,a\n", ["--weight", "x"], "bad.csv:62:x: the weight '-1'"),
        (GOOD, ["--encoding", "x"], "--encoding x: no such encoding"),
        (GOOD, ["--delimiter", "ab"], "--delimiter ab: must be one character"),
        (GOOD, ["--delimiter", "§"], ": must be one character of ASCII"),
        (GOOD, ["--encoding", "rot13"], "--encoding rot13: bad.csv cannot be read so ('rot13' is"),
        (GOOD, ["--encoding", "punycode"], "--encoding punycode: bad.csv cannot be read so"),
        (
            HEAD + r"1,2,\ud83d",
            ["--encoding", "unicode_escape"],
            "read so ('utf-8' codec",
        ),
        (GOOD, ["--test", "none.csv"], "--test none.csv: is neither a file nor a share"),
        (
            GOOD,
            ["--validation", "1.5"],
            "--validation 1.5: must be a finite number",
        ),
        (GOOD, ["--test", "0.5", "--validation", "0.5"], "leave no row"),
        (GOOD, ["--hidden", "8,x"], "'--hidden': '8,x' is not numbers of units"),
        (GOOD, ["--hidden", "0"], "--hidden 0: every layer needs at least one"),
        (GOOD, ["--batch-size", "some"], "'some' is not a number of rows"),
        (GOOD, ["--epochs", "many"], "'many' is not a valid integer"),
        (
            GOOD,
            ["--optimizer", "adamax"],
            "--optimizer adamax: unknown optimizer 'adamax'; did you",
        ),
        (GOOD, ["--activation", "sin"], "--activation sin: "),
        (GOOD, ["--init", "big"], "--init big: "),
        (GOOD, ["--nothing"], "No such option"),
        (GOOD, ["--lr", "1"], "No such option: --lr. Did you mean --learning-rate?"),
        (GOOD, ["--criterion", "mse"], "No such option: --criterion. Did you mean --loss?"),
        (GOOD, ["--loss", "hubert"], "--loss hubert: unknown loss 'hubert'; did you mean 'huber'"),
        (GOOD, ["--na-values", "x"], "Did you mean --missing?"),
        (GOOD, ["--decimal", "x"], '--decimal x: must be one of ".", ","'),
        (GOOD, ["--map-class", "a", "b"], "has one class"),
        (HEAD + "1,2,3\n", ["--delimiter", ";"], "bad.csv:1: the separator ';' cuts nothing"),
        ("1,5,a\n" + GOOD[6:], [], "add --no-header if it is data, or --header if it is names"),
        (GOOD, ["--out", "none/m.safetensors"], "there is no folder none"),
        (GOOD, ["--out", "."], "--out .: is a folder"),
        (GOOD, ["--out", "bad.csv"], "--out bad.csv: is the input itself"),
        (GOOD, ["--out", "good.csv"], "--out good.csv: exists already; add --force"),
        (GOOD, ["--config", "none.toml"], "none.toml: No such file"),
    ],
)
def test_train_refuses(capsys, content, arguments, message):
    Path("bad.csv").write_text(content)
    assert message in fails(capsys, "train", "bad.csv", "--target", "t", *arguments)


def test_train_refuses_other_bytes(capsys):
    Path("bad.csv").write_bytes(GOOD.encode() + b"\xff,1,a\n")
    message = fails(capsys, "train", "bad.csv", "--target", "t")
    assert f"bad.csv:62: byte 0xff at offset {len(GOOD)} is not UTF-8" in message
    assert "none.csv: No such file" in fails(capsys, "train", "none.csv", "--target", "t")
    Path("sub").mkdir()
    assert "sub: is a folder without tables" in fails(capsys, "train", "sub", "--target", "t")
    assert "Missing option '--target'" in fails(capsys, "train", "good.csv")
    assert "Missing argument 'DATA'" in fails(capsys, "train")
    assert "No such command 'fly'" in fails(capsys, "fly")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("x = 1", "unknown key 'x'; known are"),
        ("epochs = 2.5", "epochs = 2.5: expected a whole number"),
        ("epochs = true", "expected a whole number"),
        ('epochs = "2"', "expected a whole number"),
        ("l2 = 'much'", "expected a number"),
        ("batch-norm = 1", "expected true or false"),
        ("drop = [1.5]", "expected a list of words"),
        ("activation = true", "expected a word or number"),
        ("[train]\nepochs = 1", "unknown key 'train'"),
        ("config = 'a'", "unknown key 'config'"),
        ("epochs", "is not TOML"),
    ],
)
def test_config_refuses(capsys, toml, message):
    Path("s.toml").write_text(toml)
    shown = fails(capsys, "train", "good.csv", "--target", "t", "--config", "s.toml")
    assert "--config s.toml" in shown
    assert message in shown


def test_only_own_models_are_replaced(capsys):
    Path("good.safetensors").write_bytes(b"precious")
    arguments = ("train", "good.csv", "--target", "t", "--epochs", "1", "--quiet")
    assert "add --force" in fails(capsys, *arguments)
    assert Path("good.safetensors").read_bytes() == b"precious"
    assert main([*arguments, "--force"]) == 0
    assert main([*arguments]) == 0  # now it is ours


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,t\n1,a\n", 'lacks "y", which the model was trained on'),
        ("x,y\n1,2\nlow,3\n", "new.csv:3:x: 'low' is not a number; the model learned"),
        ("x,y\n1,2\n1,inf\n", "new.csv:3:y: 'inf' is not a finite number"),
        ("x,y\n1,2\n1\n", "new.csv:3: found 1 cells, expected 2"),
        ("x,y\n", "no rows"),
        ("x,y,x\n1,2,3\n", "both called 'x'"),
    ],
)
def test_predict_refuses(capsys, model, content, message):
    Path("new.csv").write_text(content)
    assert message in fails(capsys, "predict", model, "new.csv", "--out", "out.csv")
    assert message in fails(capsys, "evaluate", model, "new.csv")


def test_evaluate_refuses(capsys, model):
    Path("new.csv").write_text("x,y\n1,2\n")
    assert "has no column 't', the target" in fails(capsys, "evaluate", model, "new.csv")
    Path("new.csv").write_text("x,y,t\n1,2,a\n1,2,a.\n")
    assert "new.csv:3:t: class 'a.' is none of" in fails(capsys, "evaluate", model, "new.csv")


def test_models_that_are_none(capsys, model):
    Path("cut.safetensors").write_bytes(model.read_bytes()[:-5])
    Path("empty.safetensors").touch()
    for name, message in (
        ("cut.safetensors", "is not a whole safetensors file"),
        ("empty.safetensors", "is empty"),
        ("good.csv", "is not a whole safetensors file"),
        (".", "is a folder"),
        ("none.safetensors", "No such file"),
    ):
        for arguments in (["inspect", name], ["predict", name, "good.csv"]):
            assert message in fails(capsys, *arguments)


def test_outputs_of_predict(capsys, model):
    shutil.copy(model, "m.safetensors")
    for out, message in (
        ("good.csv", "is the input itself"),
        ("m.safetensors", "is the input itself"),
        (".", "is a folder"),
        ("no/where.csv", "there is no folder no"),
    ):
        shown = fails(capsys, "predict", "m.safetensors", "good.csv", "--out", out, "--force")
        assert message in shown


def test_probabilities_need_classes(capsys):
    arguments = ["--target", "x", "--task", "regression", *QUICK, "--quiet"]
    assert main(["train", "good.csv", *arguments]) == 0
    shown = fails(capsys, "predict", "good.safetensors", "good.csv", "--proba")
    assert "--proba: the model predicts numbers" in shown


def test_intervals_need_numbers_and_rows_held_out(capsys, model):
    shown = fails(capsys, "predict", model, "good.csv", "--interval", "0.9")
    assert "intervals are of numbers" in shown
    arguments = ["--target", "x", "--task", "regression", "--epochs", "1", "--quiet"]
    assert main(["train", "good.csv", *arguments]) == 0
    shown = fails(capsys, "predict", "good.safetensors", "good.csv", "--interval", "90")
    assert "--interval 90.0: is a share between 0 and 1" in shown
    capsys.readouterr()
    assert main(["predict", "good.safetensors", "good.csv", "--interval", "0.5"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header == "prediction,low,high"
    value, low, high = map(float, first.split(","))
    assert low < value < high


def test_divergence_exits_1_and_writes_nothing(capsys):
    rows = "".join(f"{i},{i * i}\n" for i in range(100))
    Path("square.csv").write_text("x,y\n" + rows)
    arguments = ["--target", "y", "--optimizer", "sgd", "--learning-rate", "1e9", "--quiet"]
    assert main(["train", "square.csv", *arguments]) == 1
    message = capsys.readouterr().err
    assert "smaller learning rate with --learning-rate" in message
    assert "optim" not in message
    assert "result" not in message
    assert not Path("square.safetensors").exists()


def test_a_model_without_its_row_is_told_what_lacks(capsys, model):
    assert "add the row" in fails(capsys, "explain", model, "good.csv")


def test_a_model_that_loses_says_so(capsys):
    rows = "".join(f"{i * 7 % 60},{i * 11 % 13}\n" for i in range(60))
    Path("noise.csv").write_text("x,y\n" + rows)
    arguments = ["--target", "y", "--epochs", "300", "--learning-rate", "0.1", "--validation", "0"]
    arguments += ["--hidden", "64,32"]
    assert main(["train", "noise.csv", *arguments, "--task", "regression"]) == 0
    assert "the model is no better than always" in capsys.readouterr().out
    assert main(["train", "good.csv", "--target", "t", "--quiet", *QUICK]) == 0


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    from chainrule.cli import progress

    monkeypatch.setattr(progress, "PERIOD", 0.0)
    assert main(["train", "good.csv", "--target", "t", *QUICK]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert main(["train", "good.csv", "--target", "t", *QUICK, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_debug_shows_the_traceback(capsys):
    arguments = ["train", "good.csv", "--target", "none"]
    fails(capsys, *arguments)
    for debugging in (["--debug", *arguments], [*arguments, "--debug"]):
        assert main(debugging) == 2
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("d"), 2, "d"),
        (UsageError("u"), 2, "u"),
        (NonFiniteError("n"), 1, "n"),
        (FileNotFoundError(2, "No such file or directory", "f"), 2, "f: No such file"),
        (PermissionError(13, "Permission denied", "f"), 1, "f: Permission denied"),
        (OSError(28, "No space left on device"), 1, "No space left"),
        (ModuleNotFoundError("m", name="pyarrow"), 1, "the package pyarrow; install it with"),
        (ModuleNotFoundError("m", name="chainrule.x"), 1, "fault of chainrule"),
        (MemoryError(), 1, "out of memory"),
        (RuntimeError("boom"), 1, "unexpected RuntimeError: boom. This is a fault of chainrule"),
    ],
)
def test_every_error_has_a_status_and_a_message(error, status, message):
    found, text = _explained(error)
    assert found == status
    assert message in text


def test_a_folder_that_cannot_be_written_is_found_before_training(capsys, folder):
    locked = folder / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write anywhere")
    shown = fails(capsys, "train", "good.csv", "--target", "t", "--out", "locked/m.safetensors")
    assert "cannot be written" in shown


def test_help_names_everything_that_can_be_chosen(capsys):
    from chainrule import nn
    from chainrule.optim.rules import OPTIMIZERS
    from chainrule.tabular.options import SCHEDULES

    main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.replace("-\n", "-").split()).replace("- ", "-")
    for name in (*OPTIMIZERS.table, *SCHEDULES, *(set(nn.ACTIVATIONS) - {"gelu_tanh"})):
        assert name in text
