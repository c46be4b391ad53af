"""Pages of the documentation that are sessions are run by doctest."""

import doctest
import re

import pytest

from tests.helpers.places import ROOT


@pytest.mark.parametrize("page", ["loops.md", "solvers.md"])
def test_the_code_of_a_page_prints_what_it_says(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    sessions = re.findall(r"```pycon\n(.*?)```", text, flags=re.S)
    assert len(sessions) == text.count("```") / 2  # no block of another kind
    test = doctest.DocTestParser().get_doctest("\n".join(sessions), {}, page, page, 0)
    failed, tried = doctest.DocTestRunner(verbose=False).run(test)
    assert tried == len(test.examples) > 10
    assert failed == 0
