"""Other libraries that gradients are compared with."""

from __future__ import annotations

import os
from typing import Any

import pytest


def peer(name: str) -> Any:
    """The module ``name``, where there is time for it: JAX, which is installed with the tests,
    compiles for minutes. The nox session peers asks for it."""
    if "CHAINRULE_PEERS" not in os.environ:
        pytest.skip("CHAINRULE_PEERS is not set", allow_module_level=True)
    return pytest.importorskip(name)
