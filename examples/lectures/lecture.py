"""What the lecture scripts share: a title, a checked number, a table, two small data sets."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def title(doc: str) -> None:
    """Print the first line of a script's docstring, underlined."""
    line = doc.strip().splitlines()[0]
    print(f"{line}\n{'─' * len(line)}")


def agree(name: str, found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """Print ``name`` and ``found``, and fail unless it is ``expected``.

    ``found`` comes from the engine, ``expected`` from the lecture: a number of its slides or
    the value of one of its formulas. ``tolerance`` is relative to numbers above 1 and absolute
    below.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{name}: {found.shape}, the lecture {expected.shape}"
    difference = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    assert np.all(difference <= tolerance), f"{name}: {found}, the lecture says {expected}"
    print(f"  {name:<50}  {_text(found)}")


def _text(value: np.ndarray) -> str:
    if value.size > 9 or (value.ndim == 2 and len(value) > 3):
        return f"agrees in all {' x '.join(map(str, value.shape))} entries"
    shown = np.array2string(value, precision=6, suppress_small=True, max_line_width=200)
    return shown.replace("\n", "\n" + " " * 54)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print columns: words to the left, numbers to the right."""
    cells = [[c if isinstance(c, str) else f"{c:.4g}" for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for row in [list(header), ["─" * w for w in widths], *cells]:
        padded = [
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(padded))


def rings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``n`` points (n, 2) on two noisy circles of radius 1/2 and 1, and which one (0 or 1).

    No straight line separates them, so a network needs a hidden layer.
    """
    rng = np.random.default_rng(seed)
    outer = np.arange(n) % 2
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = 0.5 + 0.5 * outer + rng.normal(0, 0.1, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), outer


def blobs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``n`` points (n, 2) in three overlapping clouds, and which one (0, 1 or 2)."""
    rng = np.random.default_rng(seed)
    cloud = np.arange(n) % 3
    centres = np.array([[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    return centres[cloud] + rng.normal(0, 0.6, (n, 2)), cloud
