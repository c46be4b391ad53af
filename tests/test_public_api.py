"""What users may call, in a file beside this one, so that a change of it shows in review.

``CHAINRULE_GOLDEN=write`` writes the file anew; read the difference before it is kept.
"""

from __future__ import annotations

import os

from tests.helpers.places import ROOT
from tests.helpers.public import lines, undocumented

LISTED = ROOT / "tests" / "public_api.txt"


def test_the_public_names_and_their_signatures_are_those_listed() -> None:
    found = "\n".join(lines()) + "\n"
    if os.environ.get("CHAINRULE_GOLDEN") == "write":
        LISTED.write_text(found, "utf-8")
    assert found == LISTED.read_text("utf-8"), "CHAINRULE_GOLDEN=write lists the public API anew"


def test_docstrings_explain_every_parameter() -> None:
    assert list(undocumented()) == []
