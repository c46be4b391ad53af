"""``chainrule explain``: formats, errors, models, and how fast it starts."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli.main import main
from chainrule.compile import PASSES
from chainrule.explanation.render.schema import check_document
from tests.helpers.places import GOLDEN

LECTURE = "cos(sin(x**2) + 3*x**2)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["explain", *arguments]) == 0
    done = capsys.readouterr()
    assert done.err == ""
    return done.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["explain", *arguments]) == 2
    done = capsys.readouterr()
    assert done.out == ""
    assert "Traceback" not in done.err
    return done.err


def test_values_of_names_that_only_mathematics_has(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "∂f/∂q ∂q/∂x + a^[1]", "∂f/∂q=-4", "∂q/∂x=1", "a^[1]=2")
    assert text.startswith("f = ∂f/∂q · ∂q/∂x + a^[1]   at ∂f/∂q = −4")
    assert "NAME=VALUE" in refused(capsys, "x", "x y=3")
    assert "softmax(z)[0]" in refused(capsys, "softmax(z)_1", "z=[1, 2]")


def test_the_mock_up(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, LECTURE, "x=1")
    golden = GOLDEN / "l4_3_J.txt"
    assert text.splitlines()[:10] == golden.read_text("utf-8").splitlines()[:10]
    assert "dJ/dx = −sin(sin x² + 3x²) · (2x cos x² + 6x) = 4.560791791" in text


@pytest.mark.parametrize(
    "form", ["text", "markdown", "latex", "mathml", "html", "svg", "dot", "json"]
)
def test_formats(capsys: pytest.CaptureFixture[str], form: str) -> None:
    text = shown(capsys, LECTURE, "x=1", "--format", form)
    if form == "json":
        check_document(json.loads(text))
    elif form == "mathml":
        ElementTree.fromstring(text)
    else:
        start = {"text": "J =", "markdown": "$J$", "latex": "\\doc", "dot": "digr"}
        start |= {"html": "<!DOCTYPE html>", "svg": "<svg"}
        assert text.startswith(start[form])


def test_names_precision_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "f = (x + y)*z", "x=-2", "y=5", "z=-4", "--names", "v")
    assert "v₁" in text
    assert "f = (x + y) · z" in text
    assert "4.56079" in shown(capsys, LECTURE, "x=1", "--precision", "6")
    assert "4.560792" not in shown(capsys, LECTURE, "x=1", "--precision", "6")
    text = shown(capsys, "a = w @ x; y = sigma(a); J = -log(y)", "w=[1,2]", "x=[0.5,-1]")
    assert "∂J/∂a  y · (1 − y)" in text
    assert "−x²" in shown(capsys, "-x**2", "x=pi/2")


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("x.__class__", "x=1"), ["an attribute", "  x.__class__", "  ^"]),
        (
            ("1 + __import__('os').system('true')",),
            ["a string", "  1 + __import", "                 ^"],
        ),
        (("x^^2", "x=1"), ["does not parse", "  x^^2", "    ^"]),
    ],
)
def test_a_caret_under_the_place(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], lines: list[str]
) -> None:
    found = refused(capsys, *arguments).splitlines()
    assert found[0].startswith("chainrule: ")
    assert lines[0] in found[0]
    assert found[1].startswith(lines[1])
    assert found[2] == lines[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "explain needs an expression"),
        (("x*y", "x=1"), "y has no value: add y=1"),
        (("x", "x=1", "z=2"), "z: the expression has no such name"),
        (("x", "x=1", "x=2"), "x is given twice"),
        (("x", "1"), "values are given as NAME=VALUE"),
        (("x", "x=a"), "a is not a number"),
        (("x", "x=[[1],[2,3]]"), "rows of the list differ"),
        (("x", "x=1", "--presicion=3"), "no such option: --presicion"),
        (("x", "x=1", "--precision", "40"), "1 to 17"),
        (("x", "x=1", "--format", "png"), "png"),
        (("x", "x=1", "--out", "no/where"), "there is no folder"),
        (("x" * 30_000, "x=1"), "characters"),
    ],
)
def test_wrong_use(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused(capsys, *arguments)


def test_shapes_that_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "sum(W @ x)", "W=[[1,2]]", "x=[1,2,3]"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_out_is_written_and_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    shown(capsys, "x**2", "x=3", "--out", "e.txt")
    assert "J = x²" in Path("e.txt").read_text("utf-8")
    assert "--force" in refused(capsys, "x**2", "x=3", "--out", "e.txt")
    shown(capsys, "x**3", "x=3", "--out", "e.txt", "--force")
    assert "J = x³" in Path("e.txt").read_text("utf-8")


def test_passes(capsys: pytest.CaptureFixture[str]) -> None:
    alone = shown(capsys, "--passes")
    text = shown(capsys, "log(1 + exp(x))", "x=800.0", "--passes")
    for one in PASSES:
        assert f"  {one.name} " in alone
        assert one.does in alone
        assert one.does in text

    def J(x: float) -> float:
        return np.log(1 + np.exp(x))

    assert text.strip() == str(cr.jit(cr.value_and_grad(J, (0,))).passes(800.0))
    assert "1 x log-sum-exp" in text


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--help")
    assert text.count("chainrule explain") >= 5
    assert text.isascii()


def test_every_example_of_the_help_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    import shlex

    from chainrule.cli.explain import EXAMPLES

    ran = 0
    for line in EXAMPLES.splitlines():
        words = shlex.split(line) if "chainrule explain" in line else []
        if words and "--row" not in words:
            printed = shown(capsys, *words[2:])
            written = Path(words[words.index("--out") + 1]) if "--out" in words else None
            assert written.stat().st_size > 1000 if written else printed
            ran += 1
    assert ran >= 5


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Models of the three tasks, each with its data."""
    home = tmp_path_factory.mktemp("models")
    found = {}
    for task, target in (("binary", "ab"), ("multiclass", "abc"), ("regression", None)):
        data = home / f"{task}.csv"
        rows = "".join(
            f"{i % 11},{'uvw'[i % 3]},{target[i % len(target)] if target else i * i % 17}\n"
            for i in range(60)
        )
        data.write_text("height,<b>kind</b>,t\n" + rows + "3,u,\n")
        model = home / f"{task}.safetensors"
        quick = ("--epochs", "2", "--hidden", "4", "--quiet", "--force")
        options = ("--target", "t", "--task", task, *quick, "--out", str(model))
        assert main(["train", str(data), *options]) == 0
        found[task] = (str(model), str(data))
    return found


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_trained_model_on_a_row(
    capsys: pytest.CaptureFixture[str], trained: dict[str, tuple[str, str]], task: str
) -> None:
    capsys.readouterr()
    text = shown(capsys, *trained[task], "--row", "3")
    assert "height" in text
    assert "δ₂  = ŷ − y" in text
    assert "on row 3 of" in text
    if task == "multiclass":
        assert "prediction ŷ: a " in text
        assert "target y: c" in text
    document = json.loads(shown(capsys, *trained[task], "--row", "3", "--format", "json"))
    check_document(document)
    assert document["error"] < 1e-12
    html = shown(capsys, *trained[task], "--row", "3", "--format", "html")
    assert "<b>kind" not in html
    columns = shown(capsys, *trained[task], "--row", "3", "--convention", "torch")
    assert "W₁ᵀ" in columns


def test_an_ensemble_on_a_row_says_what_each_column_adds(
    capsys: pytest.CaptureFixture[str], trained: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    data, model = trained["binary"][1], str(tmp_path / "m.safetensors")
    small = ("--preset", "realmlp-td", "--ensemble", "2", "--hidden", "4", "--epochs", "2")
    assert main(["train", data, "--target", "t", *small, "--quiet", "--out", model]) == 0
    capsys.readouterr()
    found = json.loads(shown(capsys, model, data, "--row", "3", "--format", "json"))
    assert found["networks"] == 2
    assert found["output"] == "b"
    assert set(found["added"]) == {"height", "<b>kind</b>"}
    assert found["from"] + sum(found["added"].values()) == pytest.approx(found["to"], abs=0.01)
    assert found["probability"] == pytest.approx(1 / (1 + math.exp(-found["to"])))
    assert "log odds of b" in shown(capsys, model, data, "--row", "3")
    assert "with --preset sklearn" in refused(capsys, model, data, "--row", "3", "--format", "html")


def test_rows_that_cannot_be_explained(
    capsys: pytest.CaptureFixture[str], trained: dict[str, tuple[str, str]]
) -> None:
    capsys.readouterr()
    model, data = trained["binary"]
    assert "has rows 1 to 61" in refused(capsys, model, data, "--row", "62")
    assert "no target" in refused(capsys, model, data, "--row", "61")
    assert "explain MODEL DATA" in refused(capsys, model, "--row", "1")


def test_nothing_heavy_is_on_its_path() -> None:
    code = (
        "import sys; from chainrule.cli.main import main; "
        f"main(['explain', {LECTURE!r}, 'x=1']); "
        "heavy = {'scipy', 'pyarrow', 'rich', 'safetensors', 'llvmlite'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
