"""The code of the page on large trainings does what it says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tests.helpers.places import ROOT


def test_many_models_are_the_same_on_loky_and_on_dask() -> None:
    distributed = pytest.importorskip("distributed")
    pytest.importorskip("sklearn")
    text = (ROOT / "docs" / "large.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    found: dict[str, Any] = {}
    with distributed.LocalCluster(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        assert "tcp://head:8786" in code
        exec(code.replace("tcp://head:8786", cluster.scheduler_address), found)
    (best, *here), (other, *there) = found["here"], found["there"]
    assert best == other
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a, b)
    assert found["there"][1].mean() > 1 / 2
