"""Tables from CSV and Parquet files. The one module that imports pyarrow.

pyarrow only cuts a CSV file into text cells; what counts as missing and as a number is said
here, the same for every column, by looking at all rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray
from pyarrow import csv, parquet

from chainrule.errors import DataError, UsageError
from chainrule.io import naming
from chainrule.tabular import text as csv_text
from chainrule.tabular.table import MISSING, Codes, Column, Fingerprint, Table, encode_numbers

__all__ = ["Format", "read_table"]

pc: Any = pyarrow.compute  # its functions are made at run time, so type checkers see none

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""A number: digits with a decimal point and an exponent; no thousands marks, no hexadecimal."""

INFINITE = r"^[+-]?([iI][nN][fF]|[iI][nN][fF][iI][nN][iI][tT][yY])$"
"""Words that other programs write for infinity. They count as numbers, so that the rules can
refuse them by place instead of turning the whole column into categories."""


@dataclass(frozen=True)
class Format:
    """How to read a file.

    Attributes:
        header: whether the first line of a CSV file names the columns.
        delimiter: what separates its cells, one ASCII character; None finds out (``DELIMITERS``).
        encoding: of its text, a name that Python knows; None is UTF-8.
        missing: words that stand for a missing value besides those of ``MISSING``.
    """

    header: bool = True
    delimiter: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()


def read_table(path: str | Path, format: Format | None = None) -> Table:
    """Read the CSV or Parquet file at ``path`` (told apart by its first bytes).

    CSV: separator from the file unless ``format`` gives it; spaces around cells are stripped, also
    within quotes; blank lines are skipped; a column without a name is called by its place, ``c1``,
    ``c2``, ...; without a header all are. A column is numbers if every present cell is one.
    Parquet: the file's own types hold, and text is never read as numbers.

    Raises DataError, naming file, line and column, for data that cannot be read as one table;
    FileNotFoundError and other OSErrors as they come.
    """
    format = format or Format()
    source = str(path)
    if Path(path).is_dir():
        raise DataError(f"{source}: is a folder; expected a CSV or Parquet file")
    with naming(path):
        data = Path(path).read_bytes()
    if data.startswith(b"PAR1"):
        return _read_parquet(data, source, format)
    return _read_csv(data, source, format)


def _fingerprint(data: bytes, rows: int, columns: int) -> Fingerprint:
    return Fingerprint(hashlib.sha256(data).hexdigest(), rows, columns)


def _read_csv(data: bytes, source: str, format: Format) -> Table:
    text = csv_text.decode(data, source, format.encoding)
    if not text.strip():
        raise DataError(f"{source}: is empty; expected a header line and rows")
    delimiter = format.delimiter or csv_text.sniff(text)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise UsageError(f"delimiter={delimiter!r}: must be one character of ASCII")
    first = csv_text.first_record(text, delimiter, source)
    names, notes = _names(first, source, format.header)
    cells = _cells(text, delimiter, source, len(first), format.header)
    rows = cells.num_rows - format.header
    if rows < 1:
        raise DataError(f"{source}: has a header but no rows; add rows")

    @cache
    def starts() -> list[int]:
        return csv_text.record_lines(text, delimiter)

    def line(row: int) -> int:
        return starts()[row + format.header]

    missing = (*MISSING, *format.missing)
    columns = tuple(
        _text_column(name, column.slice(int(format.header)), missing, as_numbers=True)
        for name, column in zip(names, cells.columns, strict=True)
    )
    fingerprint = _fingerprint(data, rows, len(columns))
    return Table(source, rows, columns, fingerprint, format.header, line, notes, format.missing)


def _names(first: list[str], source: str, header: bool) -> tuple[list[str], tuple[str, ...]]:
    """The column names, and a note if the header looks like data."""
    places = [f"c{i}" for i in range(1, len(first) + 1)]
    if not header:
        return places, ()
    names = [name or place for name, place in zip(first, places, strict=True)]
    _check_distinct(names, f"{source}:1")
    numeric = [name for name in first if pc.match_substring_regex(name, NUMBER).as_py()]
    if not numeric:
        return names, ()
    return names, (
        f"{source}:1: the header holds numbers ({', '.join(numeric[:3])}); if the first line is "
        f"data, add header=False",
    )


def _check_distinct(names: list[str], source: str) -> None:
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if name in seen:
            raise DataError(
                f"{source}: columns {seen[name]} and {place} are both called {name!r}; "
                f"rename one of them"
            )
        seen[name] = place


def _cells(text: str, delimiter: str, source: str, width: int, header: bool) -> pa.Table:
    """All records, the header among them, as text."""
    places = [str(i) for i in range(width)]
    data = text.encode()
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            # One block, so that a quoted cell may be of any length.
            read_options=csv.ReadOptions(column_names=places, block_size=max(len(data) + 1, 2**20)),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values='"' in text),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, OverflowError) as error:
        found = csv_text.bad_record(text, delimiter, source, header)
        raise found or DataError(f"{source}: cannot be read as CSV ({error})") from None
    if '"' in text and _may_be_open(text, delimiter, table.num_rows):
        found = csv_text.bad_record(text, delimiter, source, header)
        if found is not None:
            raise found
    return table


def _may_be_open(text: str, delimiter: str, records: int) -> bool:
    """Whether pyarrow may have taken lines into a cell whose quote was never closed.

    Then there are fewer records than lines (as there are with line breaks that were meant), or
    it happened in the last line.
    """
    lines = [line for line in text.replace("\r", "\n").split("\n") if line]
    return records != len(lines) or csv_text.bad_record(lines[-1], delimiter, "", False) is not None


def _text_column(
    name: str, cells: pa.ChunkedArray, missing_words: tuple[str, ...], *, as_numbers: bool
) -> Column:
    """A column from text cells: strip, find the missing ones, and read numbers if all are."""
    stripped = pc.utf8_trim_whitespace(cells)
    gone = pc.or_kleene(pc.is_null(stripped), pc.is_in(stripped, value_set=pa.array(missing_words)))
    missing = gone.to_numpy().astype(bool)
    present = pc.if_else(gone, pa.scalar(None, stripped.type), stripped)

    def encode() -> Codes:
        return _codes(present)

    if missing.all():
        return Column(name, missing, np.full(len(missing), np.nan), encode)
    first = int(np.argmin(missing))
    if not as_numbers:
        return Column(name, missing, None, encode, (first, int((~missing).sum())))
    like = _matches(present, NUMBER) | _matches(present, INFINITE)
    others = ~missing & ~like
    if others.any():
        return Column(name, missing, None, encode, (int(np.argmax(others)), int(others.sum())))
    plain = pc.replace_substring_regex(present, r"^\+", "")
    numbers = pc.cast(plain, pa.float64()).to_numpy().astype(np.float64)
    return Column(name, missing, np.where(missing, np.nan, numbers), encode)


def _matches(cells: pa.ChunkedArray, pattern: str) -> NDArray[np.bool_]:
    return pc.fill_null(pc.match_substring_regex(cells, pattern), False).to_numpy().astype(bool)


def _codes(cells: pa.ChunkedArray) -> Codes:
    coded = pc.dictionary_encode(cells).combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0)
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes, tuple(coded.dictionary.to_pylist())


def _read_parquet(data: bytes, source: str, format: Format) -> Table:
    try:
        table = parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{source}: cannot be read as Parquet ({error})") from None
    names = [name.strip() or f"c{i}" for i, name in enumerate(table.column_names, 1)]
    _check_distinct(names, source)
    if not names:
        raise DataError(f"{source}: has no columns; expected a table")
    if table.num_rows == 0:
        raise DataError(f"{source}: has columns but no rows; add rows")
    missing = (*MISSING, *format.missing)
    columns = tuple(
        _typed_column(name, cells, missing)
        for name, cells in zip(names, table.columns, strict=True)
    )
    return Table(
        source,
        table.num_rows,
        columns,
        _fingerprint(data, table.num_rows, len(columns)),
        missing=format.missing,
    )


def _typed_column(name: str, cells: pa.ChunkedArray, missing_words: tuple[str, ...]) -> Column:
    """A column from Parquet, by its own type."""
    types = pa.types
    kind = cells.type
    if types.is_dictionary(kind):
        return _typed_column(name, cells.cast(kind.value_type), missing_words)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = cells.cast(pa.float64()).to_numpy().astype(np.float64)
        missing = np.isnan(numbers)
        return Column(name, missing, numbers, lambda: encode_numbers(numbers, missing))
    as_text = _as_text(cells)
    if as_text is not None:
        return _text_column(name, as_text, missing_words, as_numbers=False)
    gone = np.ones(len(cells), dtype=bool)
    return Column(name, gone, None, _nothing(len(cells)), unsupported=f"type {kind}")


def _as_text(cells: pa.ChunkedArray) -> pa.ChunkedArray | None:
    types = pa.types
    kind = cells.type
    if types.is_timestamp(kind):
        # Moments in a time zone are told in UTC, to the microsecond.
        cells = cells.cast(pa.timestamp("us"), safe=False)
        return pc.strftime(cells, format="%Y-%m-%dT%H:%M:%S")
    if (
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_boolean(kind)
        or types.is_date(kind)
        or types.is_null(kind)
    ):
        return cells.cast(pa.string())
    return None


def _nothing(rows: int) -> Callable[[], Codes]:
    return lambda: (np.full(rows, -1, dtype=np.int32), ())
