"""Files whose cells have types: Parquet, Arrow and JSON lines. Their own types hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import FileIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from pyarrow import ipc, parquet

from chainrule.errors import DataError
from chainrule.tabular.arrays import encoded_text, numbers_of
from chainrule.tabular.cells import column_of_numbers, column_of_words
from chainrule.tabular.frames import cells_column
from chainrule.tabular.layout import Format, check_distinct
from chainrule.tabular.sources import Source
from chainrule.tabular.table import Column
from chainrule.tabular.words import quoted, shown

__all__ = ["KINDS", "read_typed", "typed_column"]

pc: Any = pyarrow.compute  # its functions are made at run time, so type checkers see none

KINDS = {"parquet": "Parquet", "arrow": "an Arrow file", "stream": "an Arrow stream"}


def read_typed(
    sources: list[Source], kind: str, format: Format
) -> tuple[list[Column], list[int], Callable[[int], str] | None]:
    """The columns of these files, one after the other; how many rows each has; and, where rows
    have lines, from a row to ``file:line``."""
    if kind == "json":
        return _read_json(sources, format)
    tables = [_arrow(source, kind) for source in sources]
    first = tables[0]
    names = [name.strip() or f"c{i}" for i, name in enumerate(first.column_names, 1)]
    check_distinct(names, sources[0].name)
    if not names:
        raise DataError(f"{sources[0].name}: has no columns; expected a table")
    whole = [first]
    for source, table in zip(sources[1:], tables[1:], strict=True):
        if sorted(table.column_names) != sorted(first.column_names):
            raise DataError(
                f"{source.name}: its columns are {quoted(table.column_names)}, and those of "
                f"{sources[0].name} {quoted(first.column_names)}; files of one table have the same"
            )
        whole.append(table.select(first.column_names))
    rows = [table.num_rows for table in tables]
    if not sum(rows):
        raise DataError(f"{sources[0].name}: has columns but no rows; add rows")
    columns = []
    for place, name in enumerate(names):
        parts = [table.column(place) for table in whole]
        columns.append(typed_column(name, _one_type(name, parts, sources), format))
    return columns, rows, None


def _arrow(source: Source, kind: str) -> pa.Table:
    with source.open() as stream:
        try:
            if kind == "parquet":
                return parquet.ParquetFile(_seekable(stream)).read()
            if kind == "arrow":
                return ipc.open_file(_seekable(stream)).read_all()
            return ipc.open_stream(stream).read_all()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{source.name}: cannot be read as {KINDS[kind]} ({error})") from None


def _seekable(stream: Any) -> Any:
    """A file as it stands; what is packed or piped, in memory.

    Never a file of Python's: the threads of pyarrow read ahead and let go of it while the
    interpreter ends, which aborts the process (one run in four with pyarrow 16, one in a
    hundred with 26).
    """
    raw = getattr(stream, "raw", None)
    if isinstance(raw, FileIO) and isinstance(raw.name, str):
        return pa.OSFile(raw.name)
    return pa.BufferReader(stream.read())


def _one_type(name: str, parts: list[pa.ChunkedArray], sources: list[Source]) -> pa.ChunkedArray:
    """The cells of all files as one type, or DataError naming the file that differs."""
    tables = [pa.table({"cells": part}) for part in parts]
    try:
        return pa.concat_tables(tables, promote_options="permissive").column(0)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        at = next(i for i, part in enumerate(parts) if part.type != parts[0].type)
        raise DataError(
            f"{sources[at].name}: column {shown(name)} has type {parts[at].type}, and type "
            f"{parts[0].type} in {sources[0].name}; files of one table have the same types"
        ) from None


def typed_column(name: str, cells: pa.ChunkedArray, format: Format) -> Column:
    """A column by its own type."""
    types = pa.types
    kind = cells.type
    if types.is_dictionary(kind):
        return typed_column(name, cells.cast(kind.value_type), format)
    if types.is_integer(kind):
        return _integers(name, cells, format)
    if types.is_floating(kind):
        return column_of_numbers(name, _floats(cells), format)
    if types.is_decimal(kind):
        if kind.scale <= 0 and kind.precision > 15:
            return _words(name, cells.cast(pa.string()), format, as_numbers=True)
        return column_of_numbers(name, _floats(cells), format)
    if types.is_duration(kind):
        micro = cells.cast(pa.duration("us"), safe=False).cast(pa.int64())
        return column_of_numbers(name, _floats(micro) / 1e6, format)
    as_text = _as_text(cells)
    if as_text is not None:
        return _words(name, as_text, format, as_numbers=False)
    gone = np.full(len(cells), -1, dtype=np.int32)
    return Column(name, gone < 0, None, lambda: (gone, ()), unsupported=f"type {kind}")


def _floats(cells: pa.ChunkedArray) -> np.ndarray:
    """Of float32 as they stand, else of float64."""
    if cells.type == pa.float32():
        return numbers_of(cells, np.float32, np.nan)
    return numbers_of(cells.cast(pa.float64(), safe=False), np.float64, np.nan)


def _integers(name: str, cells: pa.ChunkedArray, format: Format) -> Column:
    """Whole numbers; those that a float does not hold keep their digits as words."""
    ends = pc.min_max(cells).as_py()
    if ends["max"] is None or max(abs(ends["min"]), abs(ends["max"])) < 2**53:
        return column_of_numbers(name, _floats(cells), format)
    return _words(name, cells.cast(pa.string()), format, as_numbers=True)


def _words(name: str, cells: pa.ChunkedArray, format: Format, *, as_numbers: bool) -> Column:
    return column_of_words(name, *encoded_text(cells), format, as_numbers=as_numbers)


def _as_text(cells: pa.ChunkedArray) -> pa.ChunkedArray | None:
    types = pa.types
    kind = cells.type
    if types.is_timestamp(kind):
        # Moments in a time zone are told in UTC, to the microsecond.
        cells = cells.cast(pa.timestamp("us"), safe=False)
        return pc.strftime(cells, format="%Y-%m-%dT%H:%M:%S")
    if types.is_time(kind):
        return cells.cast(pa.time64("us"), safe=False).cast(pa.string())
    if (
        types.is_string(kind)
        or types.is_large_string(kind)
        or kind == pa.string_view()
        or types.is_boolean(kind)
        or types.is_date(kind)
        or types.is_null(kind)
    ):
        return cells.cast(pa.string())
    return None


def _read_json(
    sources: list[Source], format: Format
) -> tuple[list[Column], list[int], Callable[[int], str]]:
    """JSON lines: a record a line; names in order of first appearance, absent ones missing."""
    cells: dict[str, list[Any]] = {}
    rows, lines = [], []
    for source in sources:
        before = len(lines)
        with source.open() as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                where = f"{source.name}:{number}"
                for name, value in _record(line, where).items():
                    column = cells.setdefault(name, [])
                    column.extend([None] * (len(lines) - len(column)))
                    column.append(value)
                lines.append(where)
        rows.append(len(lines) - before)
    columns = []
    for i, (name, column) in enumerate(cells.items(), 1):
        column.extend([None] * (len(lines) - len(column)))
        columns.append(cells_column(name.strip() or f"c{i}", column, format.missing_words()))
    check_distinct([column.name for column in columns], sources[0].name)
    if not columns:
        raise DataError(f"{sources[0].name}: has no columns; expected records with names")
    return columns, rows, lines.__getitem__


def _record(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where}: is not JSON ({error}); expected one record a line, such as "
            f'{{"x": 1, "y": "a"}}'
        ) from None
    if not isinstance(record, dict):
        raise DataError(f"{where}: is {shown(line.decode().strip())}; expected a record")
    return record
