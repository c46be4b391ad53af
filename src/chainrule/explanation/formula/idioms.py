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
    "norm1": lambda x: np.sum(np.abs(x)),
    "norm_2": np.linalg.norm,
    "norm_F": np.linalg.norm,
    "group": lambda x, **_: x,
    "beside": lambda x, z, *, sign, entries: x * z if entries else np.dot(x, z),
    "exp()": np.exp,
    "cases": lambda condition, a, b, opposite: np.where(condition, a, b),
    "maximum{}": np.maximum,
    "minimum{}": np.minimum,
}

IDIOM_NOTATION: Mapping[str, tuple[str, str]] = {
    "indicator": ("[{}]", r"\left[{}\right]"),
    "trace": ("tr({})", r"\operatorname{{tr}}\left({}\right)"),
    "norm": ("‖{}‖", r"\lVert {}\rVert"),
    "norm2": ("‖{}‖²", r"\lVert {}\rVert^{{2}}"),
    "norm1": ("‖{}‖₁", r"\lVert {}\rVert_{{1}}"),
    "norm_2": ("‖{}‖₂", r"\lVert {}\rVert_{{2}}"),
    "norm_F": ("‖{}‖_F", r"\lVert {}\rVert_{{F}}"),
    "exp()": ("exp({})", r"\exp\left({}\right)"),
    "cases": (
        "where({0}, {1}, {2})",
        r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{if }} {3} \end{{cases}}",
    ),
    "maximum{}": ("max{{{}, {}}}", r"\max\left\{{{}, {}\right\}}"),
    "minimum{}": ("min{{{}, {}}}", r"\min\left\{{{}, {}\right\}}"),
}
"""In text and in LaTeX; the others are words before brackets."""
