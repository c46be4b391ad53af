"""Plain text for terminals and pipes: tables, numbers, and names that cannot do harm."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.render.escape import clean

__all__ = ["clean", "number", "score", "table"]


def number(value: float | None) -> str:
    """Four decimals where they say enough, else four significant digits; "–" for None."""
    if value is None:
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4f}"
    return f"{value:.3e}"


def score(name: str, value: float | None) -> str:
    """A score for the table: five significant digits for those in the target's units; of a loss
    near its best, 0, the first two."""
    if value is None:
        return "–"
    if "loss" in name and 0 < value < 1e-3:
        return f"{value:.2g}"
    if name not in ("squared error", "RMSE", "MAE"):
        return f"{value:.4f}".replace("-0.0000", "0.0000")
    if value < 1e5:
        return f"{value:#,.5g}".rstrip(".")
    return f"{value:,.0f}" if value < 1e9 else f"{value:.4e}"


def table(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Lines with aligned columns, two spaces apart; those numbered in ``right`` to the right."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
