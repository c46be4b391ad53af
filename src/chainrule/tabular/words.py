"""Counts and names as they stand in messages."""

from __future__ import annotations

import json
from collections.abc import Sequence

__all__ = ["number_text", "quoted", "several"]


def several(count: int, one: str, more: str | None = None) -> str:
    """``1 row``, ``2 rows``, ``20,640 rows``."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def quoted(names: Sequence[str], most: int = 12) -> str:
    """Names in double quotes, the first ``most`` of them."""
    shown = ", ".join(json.dumps(name, ensure_ascii=False) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def number_text(value: float) -> str:
    """A number as a word: whole numbers without a point, others in the shortest exact form."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
