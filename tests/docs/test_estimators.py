"""The sessions of docs/estimators.md print what they say."""

from __future__ import annotations

import doctest

import pytest

from tests.helpers.places import ROOT


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sessions() -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs" / "estimators.md"), module_relative=False)
    assert tried >= 8
    assert failed == 0
