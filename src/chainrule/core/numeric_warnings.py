"""NumPy's floating-point warnings while values flow: silenced, or said by us."""

from __future__ import annotations

from typing import Any

import numpy as np

_USUAL = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


def quiet() -> Any:
    """Silence floating-point warnings: an infinite local derivative is a value, not a fault."""
    return np.errstate(all="ignore")


def calling(asked: Any) -> Any:
    """NumPy's handling of errors with a call to us in the place of each warning."""
    return _USUAL_CALLS if asked == _USUAL else _with_calls(asked)


def _with_calls(asked: Any) -> Any:
    return {kind: "call" if how == "warn" else how for kind, how in asked.items()}


_USUAL_CALLS = _with_calls(_USUAL)  # made once, as every gradient asks for it
