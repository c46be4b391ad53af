"""Compositions that formulas show under a name of their own: their values and spellings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.ops.stable import log_softmax, logsumexp, softmax

IDIOM_FORWARDS: Mapping[str, Callable[..., Any]] = {
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "indicator": lambda condition: np.asarray(condition).astype(float),
    "softmax": softmax,
    "log_softmax": log_softmax,
    "logsumexp": logsumexp,
    "mean": np.mean,
    "var": np.var,
    "std": np.std,
    "trace": np.trace,
    "norm": np.linalg.norm,
    "norm2": lambda x: np.sum(x * x),
    "fraction": np.true_divide,
    "entry": lambda x, **_: x,
    "indexed sum": lambda x, **_: np.sum(x),
}

IDIOM_NOTATION: Mapping[str, tuple[str, str]] = {
    "indicator": ("[{}]", r"\left[{}\right]"),
    "trace": ("tr({})", r"\operatorname{{tr}}\left({}\right)"),
    "norm": ("‖{}‖", r"\lVert {}\rVert"),
    "norm2": ("‖{}‖²", r"\lVert {}\rVert^{{2}}"),
}
"""In text and in LaTeX; the others are words before brackets."""
