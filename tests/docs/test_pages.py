"""The code that pages of the documentation show is run: sessions by doctest, the rest as it is."""

import doctest
import re

import pytest

from tests.helpers.places import ROOT

PAGES = [
    "checking.md",
    "diagnosis.md",
    "estimators.md",
    "explanations.md",
    "loops.md",
    "matrix-calculus.md",
    "solvers.md",
]
FRAGMENTS = {"executors.md", "native.md"}
"""Pages whose code is calls with names of nothing."""
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
ELSEWHERE = {"large.md"}
"""Pages whose code has a test of its own."""


def blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"```(?:python|pycon)\n(.*?)```", text, flags=re.S)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_does_what_it_says(page: str) -> None:
    names: dict[str, object] = {}
    for block in blocks(page):
        if ">>> " not in block:
            exec(compile(block, page, "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(block, names, page, page, 0)
        runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
        failed, tried = runner.run(test, clear_globs=False)
        names = test.globs
        assert tried == len(test.examples) > 0
        assert failed == 0


def test_no_page_with_code_is_left_out() -> None:
    with_code = {path.name for path in (ROOT / "docs").glob("*.md") if blocks(path.name)}
    assert with_code == {*PAGES, *FRAGMENTS, *ELSEWHERE}


def test_files_that_pages_name_are_there() -> None:
    tops = ("src", "tests", "benchmarks", "docs", "examples", ".github")
    known = {path.name for top in tops for path in (ROOT / top).rglob("*")}
    known |= {path.name for path in ROOT.iterdir()}
    missing = []
    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for name in re.findall(r"`([\w./-]+\.(?:py|js|toml|svg))`", page.read_text("utf-8")):
            if name.rpartition("/")[2] not in known and name not in OF_OTHERS:
                missing.append(f"{page.name}: {name}")
    assert not missing


OF_OTHERS = {"homework.py", "solution.py"}
"""Names that stand for a reader's own files."""
