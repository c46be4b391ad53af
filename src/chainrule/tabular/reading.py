"""Tables from files: CSV, Parquet, Arrow, JSON lines, Excel; one file or many of one kind.

``sources`` finds the bytes, ``layout`` and ``blocks`` cut text into cells, ``typed`` reads files
whose cells have types, and ``cells`` says what a column's cells mean, the same for every file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import numpy as np

from chainrule.errors import DataError
from chainrule.tabular.arrays import numbers_of
from chainrule.tabular.blocks import Cells, CsvFile, Place, mark_shown, read_columns
from chainrule.tabular.cells import column_of_numbers, column_of_words
from chainrule.tabular.layout import Format, check_distinct
from chainrule.tabular.sources import Source, digest, find, kind_of, stamp
from chainrule.tabular.table import Column, Table
from chainrule.tabular.typed import read_typed
from chainrule.tabular.words import quoted, several

__all__ = ["Format", "read_table"]


def read_table(path: str | Path, format: Format | None = None) -> Table:
    """Read the table at ``path``: a file, a folder, a glob, or ``-`` for standard input.

    What a file is, its first bytes say: CSV, Parquet, Arrow (Feather), JSON lines or Excel, also
    packed by gzip, zstd, bzip2 or xz. Several files are one table, row after row; folders called
    ``year=2024`` make a column ``year``.

    CSV: separator, lines before the header and comments are found out; spaces around cells are
    stripped, also within quotes; blank lines are skipped; a column without a name is called by
    its place, ``c1``, ``c2``, ...; without a header all are. A column is numbers if every present
    cell is one, in one dress (``numerals``). Excel: as CSV, the first sheet.
    Parquet, Arrow, JSON: the file's own types hold, and text is never read as numbers.

    Raises DataError, naming file, line and column, for data that cannot be read as one table;
    UsageError for a format that makes no sense; FileNotFoundError and other OSErrors as they come.
    """
    format = format or Format()
    name = "standard input" if str(path) == "-" else str(path)
    sources = find(path)
    kind = kind_of(name, sources)
    stamps = [stamp(source) for source in sources]

    def sum_() -> str:
        if stamps != [stamp(source) for source in sources]:
            raise DataError(f"{name}: changed while it was read; run it again")
        return digest(sources)

    if kind in ("text", "excel"):
        if kind == "excel":
            from chainrule.tabular.excel import as_text

            readable = [as_text(source, format.sheet) for source in sources]
        else:
            readable = sources
        return _read_text(name, readable, format, sum_)
    columns, rows, place = read_typed(sources, kind, format)
    found = (*columns, *_folder_columns(sources, rows, format))
    check_distinct([column.name for column in found], name)
    return Table(name, sum(rows), found, sum_, place=place, format=format)


def _read_text(name: str, sources: list[Source], format: Format, sum_: Callable[[], str]) -> Table:
    files = csv_files(sources, format)
    first, hint = files[0].layout, mark_shown(files[0], format)
    cells, places = read_columns(files, format)
    rows = [sum(p.rows for p in places if p.file == i) for i in range(len(files))]
    if not sum(rows):
        raise DataError(f"{name}: has a header but no rows; add rows")
    columns: list[Column] = []
    for place in range(len(cells)):
        columns.append(_column(first.names[place], cells[place], format, hint))
        cells[place] = np.empty(0)  # the words of a column are kept once
    columns += _folder_columns(sources, rows, format)
    check_distinct([column.name for column in columns], name)
    return Table(
        name,
        sum(rows),
        tuple(columns),
        sum_,
        first.header,
        lambda row: _line(files, places, row),
        csv_notes(files),
        format,
    )


def csv_files(sources: list[Source], format: Format) -> list[CsvFile]:
    """CSV files of one table; DataError if their columns differ."""
    files = [CsvFile(source, format) for source in sources]
    for file in files[1:]:
        first = files[0].source.name, files[0].layout.names
        _same_names(file.source.name, file.layout.names, *first)
    return files


def csv_notes(files: list[CsvFile]) -> tuple[str, ...]:
    """What to tell of files that were read."""
    skipped = [
        f"{file.source.name}: {several(file.comments, 'line')} beginning with # skipped"
        for file in files
        if file.comments
    ]
    return (*files[0].layout.notes, *skipped)


def _same_names(source: str, names: list[str], first: str, expected: list[str]) -> None:
    if sorted(names) != sorted(expected):
        lacking = [n for n in expected if n not in names]
        added = [n for n in names if n not in expected]
        parts = [f"lacks {quoted(lacking)}"] * bool(lacking) + [f"adds {quoted(added)}"] * bool(
            added
        )
        raise DataError(
            f"{source}: {' and '.join(parts)}, other than {first}; files of one table have the "
            f"same columns"
        )


def _column(name: str, cells: Cells, format: Format, hint: str) -> Column:
    if isinstance(cells, np.ndarray):
        return column_of_numbers(name, cells, format)
    codes = numbers_of(cells.indices, np.int32, -1)
    return column_of_words(name, codes, cells.dictionary.to_pylist(), format, hint=hint)


def _line(files: list[CsvFile], places: list[Place], row: int) -> str:
    """``file:line`` of a row."""
    ends = list(accumulate(place.rows for place in places))
    at = bisect_right(ends, row)
    place = places[at]
    file = files[place.file]
    number = sum(other.file == place.file for other in places[:at])
    return f"{file.source.name}:{file.line(number, row - (ends[at] - place.rows))}"


def _folder_columns(sources: list[Source], rows: list[int], format: Format) -> list[Column]:
    """The columns that folders such as ``year=2024`` name."""
    made = []
    for key in sources[0].keys:
        words = [source.keys.get(key, "") for source in sources]
        codes = np.repeat(np.arange(len(words), dtype=np.int32), rows)
        made.append(column_of_words(key, codes, words, format))
    return made
