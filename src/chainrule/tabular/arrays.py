"""Frames' names, cells as codes and words, pyarrow's arrays: without importing these libraries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import UsageError

__all__ = ["encoded", "encoded_text", "merged", "names_of", "numbers_of"]


def encoded(column: Any) -> tuple[NDArray[np.int32], Sequence[str]] | None:
    """Index of each row's word (-1 for none), and the words, of a frame's column of text, without
    a Python object a cell; None for other columns."""
    if getattr(getattr(column, "dtype", None), "kind", "") == "O" and hasattr(column, "factorize"):
        try:
            codes, words = column.factorize()  # pandas
        except TypeError:  # lists and the like
            return None
        if all(type(word) is str for word in words):
            return codes.astype(np.int32), list(words)
        return None
    try:
        cells = column.to_arrow() if hasattr(column, "to_arrow") else column  # polars
    except ModuleNotFoundError:  # it needs pyarrow for that
        return None
    kind = getattr(cells, "type", None)
    kind = getattr(kind, "value_type", kind) if hasattr(kind, "index_type") else kind
    return encoded_text(cells) if str(kind) in TEXT and hasattr(cells, "cast") else None


TEXT = ("string", "large_string", "string_view")
"""Types of text in Arrow."""


def encoded_text(cells: Any) -> tuple[NDArray[np.int32], Sequence[str]]:
    """Index of each row's word (-1 for none), and the words, of an array of text."""
    if hasattr(cells.type, "index_type"):  # it may have words that no cell has
        cells = cells.cast(cells.type.value_type)
    if str(cells.type) == "string_view":
        cells = cells.cast("large_string")
    coded = cells.dictionary_encode()
    coded = coded.combine_chunks() if hasattr(coded, "combine_chunks") else coded
    coded = coded.chunk(0) if hasattr(coded, "chunk") else coded
    return numbers_of(coded.indices, np.int32, -1), coded.dictionary.to_pylist()


def numbers_of(cells: Any, dtype: Any, missing: Any) -> NDArray[Any]:
    """The numbers of an array of pyarrow whose type is ``dtype``, with ``missing`` where there is
    none; a view of it, where it can be. By its buffers: what else gives NumPy's arrays imports
    pandas where that is installed."""
    parts = [part for part in getattr(cells, "chunks", [cells]) if len(part)]
    if len(parts) == 1 and not parts[0].null_count:
        part = parts[0]
        end = part.offset + len(part)
        return np.frombuffer(part.buffers()[1], dtype, end)[part.offset :]
    found, start = np.empty(len(cells), dtype), 0
    for part in parts:
        (valid, data), end = part.buffers(), part.offset + len(part)
        own = found[start : start + len(part)]
        own[:] = np.frombuffer(data, dtype, end)[part.offset :]
        if part.null_count:
            bits = np.frombuffer(valid, np.uint8, -(-end // 8))
            own[np.unpackbits(bits, count=end, bitorder="little")[part.offset :] == 0] = missing
        start += len(part)
    return found


def merged(
    codes: NDArray[np.int32], words: Sequence[str], missing: frozenset[str]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """The same with spaces stripped, and -1 for words that stand for a missing value; words by
    first appearance."""
    places: dict[str, int] = {}
    moved = [
        -1 if word in missing else places.setdefault(word, len(places))
        for word in map(_strip, words)
    ]
    if list(places) == list(words):
        return codes, tuple(words)
    return np.array([*moved, -1], dtype=np.int32)[codes], tuple(places)


UNSEEN = "\ufeff\u2060" + "".join(
    map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)
"""Characters without width, such as the marks of a direction that spreadsheets copy along."""


def _strip(word: str) -> str:
    return word.strip().strip(UNSEEN).strip()


def names_of(frame: Any) -> list[Any] | None:
    """The names of a data frame's columns; None of what has none.

    Raises:
        UsageError: two columns have one name, which pandas allows.
    """
    names = getattr(frame, "column_names", None)
    names = getattr(frame, "columns", None) if names is None else names
    if names is None or isinstance(frame, type):
        return None
    several = sorted(str(name) for name, n in Counter(names).items() if n > 1)
    if several:
        raise UsageError(
            f"several columns are called {', '.join(map(repr, several))}; rename all but one"
        )
    return list(names)
