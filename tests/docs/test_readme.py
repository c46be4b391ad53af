"""The README is run: its Python sessions by doctest, its commands in real processes."""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def test_sessions_print_what_they_say() -> None:
    sessions = blocks("pycon")
    assert len(sessions) >= 6
    parser = doctest.DocTestParser()
    test = parser.get_doctest("\n".join(sessions), {}, "README.md", "README.md", 0)
    assert len(test.examples) > 20
    flags = doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    failed, tried = runner.run(test)
    assert tried == len(test.examples)
    assert failed == 0


def test_every_block_is_of_a_kind_that_is_run() -> None:
    kinds = re.findall(r"^```(\w*)$", README, flags=re.M)
    assert set(kinds) <= {"", "pycon", "console"}
    assert kinds.count("") == len(kinds) / 2


def test_the_two_commands_are_the_ones_ci_runs() -> None:
    commands = [line for line in README.splitlines() if line.startswith("pip install")]
    assert commands == [
        'pip install ".[cli]" && chainrule train examples/penguins.csv --target species',
        'pip install -e ".[test]" && pytest',
    ]


def test_commands_of_the_tour(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "penguins.csv", tmp_path / "examples")
    tour = "".join(block for block in blocks("console") if block.startswith("$ "))
    steps = [step.splitlines() for step in re.split(r"^\$ ", tour, flags=re.M) if step]
    assert len(steps) == 6
    for command, *shown in steps:
        program, *arguments = shlex.split(command)
        assert program == "chainrule"
        done = subprocess.run(
            [sys.executable, "-m", "chainrule", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed = done.stdout + done.stderr
        for line in shown:
            assert line == "..." or line in printed
    assert (tmp_path / "predicted.csv").read_text().count("\n") == 345
    assert (tmp_path / "J.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_pictures_are_drawn_from_the_engine(tmp_path: Path) -> None:
    script = ROOT / "docs" / "make_pictures.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    names = sorted(p.name for p in tmp_path.glob("*.svg"))
    assert names == ["circuit.svg", "initialisation.svg", "vanishing.svg"]
    drawn = (tmp_path / "circuit.svg").read_text()
    assert drawn == (ROOT / "docs" / "pictures" / "circuit.svg").read_text()
    for name in names:  # training runs may differ in the last digits between machines
        new, old = ((f / name).read_text() for f in (tmp_path, ROOT / "docs" / "pictures"))
        assert re.sub(r"[\d.]+", "#", new) == re.sub(r"[\d.]+", "#", old)
