"""The programs of ``examples/programs`` run without a warning; each has an oracle of its own."""

import os
import subprocess
import sys

import pytest

from tests.helpers.places import ROOT

SCRIPTS = sorted((ROOT / "examples" / "programs").glob("*.py"))
FEWER = {} if os.environ.get("CHAINRULE_PROGRAMS") else {"lotka_volterra": ["2000"]}
"""Arguments of long programs, for less of the same."""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_program_runs(script, tmp_path):
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-B", str(script), *FEWER.get(script.stem, [])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
