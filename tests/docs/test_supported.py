"""docs/supported.md lists what the dispatch tables hold, and NumPy has nothing in neither."""

from __future__ import annotations

import re
import runpy
from typing import Any

import numpy as np
import pytest

from chainrule.core.dispatch import FUNCTIONS, UFUNCS
from chainrule.core.hints import HINTS
from tests.helpers.places import DOCS


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make_supported.py"))


def _named(text: str, section: str) -> set[str]:
    body = text.split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"`([^`]+)`", body))


def _find(name: str) -> Any:
    found: Any = np
    for part in name.split(".")[1:]:
        found = getattr(found, part, None)
    return found


def test_the_page_lists_what_is_registered(page: dict[str, Any]) -> None:
    text = (DOCS / "supported.md").read_text(encoding="utf-8")
    registered: dict[str, set[str]] = {}
    for name, group in page["public_names"]():
        registered.setdefault(group, set()).add(name)
    assert set(registered) == set(page["GROUPS"])
    for group, title in page["GROUPS"].items():
        listed = {name for name in _named(text, title) if _find(name) is not None}
        assert listed == registered[group], f"{title}: run python docs/make_supported.py"
    assert _named(text, "Attributes and methods of arrays") >= set(page["methods"]())
    assert _named(text, "`scipy.special`") >= set(page["special_names"]())
    for row in page["refused"]():
        assert row in text, "run python docs/make_supported.py"


def test_the_page_is_what_the_script_writes(page: dict[str, Any]) -> None:
    if np.lib.NumpyVersion(np.__version__) < "2.4.0":
        pytest.skip("an older NumPy lacks some of the names")
    assert (DOCS / "supported.md").read_text(encoding="utf-8") == page["render"]()


@pytest.mark.parametrize("prefix", ["np", "np.linalg", "np.fft"])
def test_every_function_of_numpys_is_supported_or_has_a_hint(prefix: str) -> None:
    """A function in neither is refused by name all the same; but we should have looked at it."""
    if np.lib.NumpyVersion(np.__version__) >= "2.5.0":
        pytest.skip("a newer NumPy may have functions that nobody has looked at")
    namespace = _find(prefix)
    forgotten = []
    for name in dir(namespace):
        function = getattr(namespace, name)
        if name.startswith("_") or not (
            isinstance(function, np.ufunc) or hasattr(function, "_implementation")
        ):
            continue
        known = function in UFUNCS or function in FUNCTIONS
        if not known and f"{prefix}.{function.__name__}" not in HINTS:
            forgotten.append(f"{prefix}.{name}")
    assert not forgotten
