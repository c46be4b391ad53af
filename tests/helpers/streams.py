"""A file of text read in pieces of a few bytes, beside the same file read whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from chainrule.tabular import Format, Stream
from chainrule.tabular import blocks as csv_blocks
from chainrule.tabular.table import Column, Table

__all__ = ["same_in_pieces"]


def same_in_pieces(path: Path, whole: Table, format: Format | None = None, size: int = 24) -> int:
    """Assert that pieces of some ``size`` bytes are the rows of ``whole``, each cell with its
    number, word and line, and that columns are read in the same way; how many pieces there are."""
    with patch.object(csv_blocks, "BLOCK", size):
        stream = Stream(path, format)
        tables = list(stream.every())
    assert sum(table.rows for table in tables) == whole.rows == stream.rows
    assert stream.names == whole.names()
    assert stream.notes == whole.notes
    assert {table.header for table in tables} == {whole.header}
    for name in stream.names:
        expected = whole[name]
        parts = [table[name] for table in tables]
        assert np.array_equal(np.concatenate([p.missing for p in parts]), expected.missing), name
        if expected.numbers is None:
            assert all(part.numbers is None for part in parts), name
        else:
            numbers = np.concatenate([part.numbers for part in parts])  # type: ignore[misc]
            assert numbers.tobytes() == expected.numbers.tobytes(), name
        texts = [part.text(row) for part in parts for row in range(len(part.missing))]
        assert texts == [expected.text(row) for row in range(whole.rows)], name
        for part in parts:
            assert told(part) == told(replace(expected, note="")), name
        assert stream.files.settled(expected).note == expected.note, name
    places = [table.where(row, "c") for table in tables for row in range(table.rows)]
    assert places == [whole.where(row, "c") for row in range(whole.rows)]
    return len(tables)


def told(column: Column) -> tuple[object, ...]:
    return column.dress, column.doubt, column.codes_only, column.soft, column.order, column.note
