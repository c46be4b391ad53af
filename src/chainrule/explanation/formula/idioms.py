"""Compositions that formulas show under a name of their own: their values and spellings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

IDIOM_FORWARDS: Mapping[str, Callable[..., Any]] = {
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "indicator": lambda condition: np.asarray(condition).astype(float),
}

IDIOM_NOTATION: Mapping[str, tuple[str, str]] = {
    "relu": ("relu({})", r"\operatorname{{relu}}\left({}\right)"),
    "softplus": ("softplus({})", r"\operatorname{{softplus}}\left({}\right)"),
    "indicator": ("[{}]", r"\left[{}\right]"),
}
