"""Every line of the lectures has a script, and every script runs and prints its numbers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

FOLDER = ROOT / "examples" / "lectures"
INDEX = FOLDER / "README.md"

# How many lines each of the five lectures has.
LINES = {0: 5, 1: 9, 2: 6, 3: 3, 4: 9}

# Numbers of the lectures that a reader looks for in the output; closed forms are asserted in
# the scripts themselves.
PRINTED = {
    "l0_5": ["zeros               0.6931     0.6931      0.6931"],
    "l1_3": [
        *("f  -12.", "df/dx = z . 1  -4.", "df/dy = z . 1  -4.", "df/dz = q  3."),
        *("df/dw0  -0.2", "df/dx0  0.39", "df/dw1  -0.39", "df/dx1  -0.59", "df/db  0.2"),
        *("f  0.116", "[0.088 0.176]", "[0.104 0.208]", "[-0.112  0.636]"),
    ],
    "l1_4": ["max(2, -1): g, 0  [2. 0.]", "df/dx, df/dy, df/dz, df/dw  [-8.  6.  2.  0.]"],
    "l1_5": ["loss with lambda = 0  3.470224", "loss with lambda = 1  26.594843"],
    "l2_1": ["1,048,576"],
    "l2_5": ["its largest value, at 0  0.25"],
    "l4_2": ["dy/dx  1208.", "dy/dz  810."],
    "l4_3": ["4.560791790679", "0.841470984808", "3.841470984808", "-0.764920562804"],
    "l4_5": ["logistic regression", "1 hidden layer", "test"],
    "l4_9": ["D  dy/du^T du/dx^T  transposed", "F  none of these: dy/dx = du/dx dy/du"],
}


def scripts() -> list[Path]:
    return sorted(FOLDER.glob("l[0-9]_*.py"))


def identifiers() -> list[str]:
    return [f"L{lecture}.{line + 1}" for lecture, n in LINES.items() for line in range(n)]


def test_every_line_has_one_script_in_the_index():
    rows = re.findall(r"^\| (L\d\.\d) \| \[(\S+)\]\((\S+)\) \| \S", INDEX.read_text("utf-8"), re.M)
    assert [line for line, _, _ in rows] == identifiers()
    for line, name, target in rows:
        assert name == target
        assert name.startswith(line.lower().replace(".", "_") + "_")
    assert sorted(name for _, name, _ in rows) == [path.name for path in scripts()]


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.stem[:4])
def test_script_runs_and_prints_the_numbers_of_the_lecture(script, tmp_path):
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-B", str(script)],
        cwd=tmp_path,  # a script needs nothing from where it is started
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    line = script.stem[:4].replace("_", ".").upper()
    assert done.stdout.startswith(f"{line} ")
    assert script.read_text("utf-8").startswith(f'"""{line} ')
    squeezed = re.sub(r" {2,}", "  ", done.stdout)
    for number in PRINTED.get(script.stem[:4], ()):
        assert re.sub(r" {2,}", "  ", number) in squeezed
    assert not list(tmp_path.iterdir())


def test_a_number_that_differs_from_the_lecture_fails():
    code = "from lecture import agree\nagree('df/dz', 3.0, 3.1)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "df/dz: 3.0, the lecture says 3.1" in done.stderr
