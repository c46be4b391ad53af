"""What the numbers alone say of a wrong gradient, where no change of the program was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.checking.handwritten.truth import Truth, fitted

ENTRIES = 4
"""A single factor that explains so many entries is no coincidence."""


def by_numbers(
    left: Sequence[str],
    found: Mapping[str, Any],
    values: Mapping[str, np.ndarray],
    truth: Truth,
    counts: Sequence[int],
) -> tuple[str, str, list[str]] | None:
    """The kind of mistake that most wrong gradients show, what they are, and their names: a
    factor times the true gradient, or the true one without a multiple of the parameter.

    Args:
        left: the wrong ones. found: the gradients. values: the parameters.
        counts: what may be the number of rows.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    size: dict[tuple[str, str], int] = {}
    for name in left:
        given = fitted(found.get(name, np.nan), values[name].shape)
        said = None if given is None else _said(name, given, values[name], truth, counts)
        if said is not None:
            groups.setdefault(said, []).append(name)
            size[said] = size.get(said, 0) + values[name].size
    likely = [said for said in groups if size[said] >= ENTRIES]
    if not likely:
        return None
    best = max(likely, key=lambda said: len(groups[said]))
    return *best, groups[best]


def _said(
    name: str, given: np.ndarray, value: np.ndarray, truth: Truth, counts: Sequence[int]
) -> tuple[str, str] | None:
    known = {k: s for k, s in truth.slopes[name].items() if s.kind == "smooth"}
    at = list(known)
    true = np.array([s.value for s in known.values()])
    allowed = np.array([s.error for s in known.values()]) * 10 + 1e-6 * truth.largest(name)
    g, w = given.reshape(-1)[at], value.reshape(-1)[at]
    if not len(at) or not np.isfinite(g).all():
        return None
    factors = [(-1.0, "sign"), (2.0, "factor 2"), (0.5, "factor 2")]
    factors += [(x, "batch factor") for m in counts for x in (float(m), 1 / m) if m > 2]
    for factor, kind in factors:
        if np.all(np.abs(g - factor * true) <= allowed * max(abs(factor), 1)):
            return kind, f"{factor:.6g} times the true gradient"
    size = float(w @ w)
    strength = float((true - g) @ w) / size if size else 0.0
    if strength and np.all(np.abs(true - g - strength * w) <= allowed):
        less = f"without {strength:.4g}" if strength > 0 else f"with {-strength:.4g} too many"
        return "L2 term", f"{less} times the parameter"
    return None
