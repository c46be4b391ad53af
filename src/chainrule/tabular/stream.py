"""Tables that are read piece by piece: files of row groups, any piece of any group when asked.

A ``Stream`` says what columns there are and how many rows each piece has; ``tables`` reads pieces
as small tables, in any order. Groups are the row groups of Parquet, the record batches of Arrow and
blocks of CSV. ``train.streamed`` decides the order, ``streaming`` what is learned and coded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from pyarrow import ipc, parquet

from chainrule.errors import DataError, UsageError
from chainrule.io import naming
from chainrule.tabular.addresses import files_at
from chainrule.tabular.cells import column_of_words
from chainrule.tabular.layout import Format, check_distinct
from chainrule.tabular.sources import Source, advice, find, is_address, kind_of, masked, stamp
from chainrule.tabular.stream_csv import CsvGroups, Made, Piece
from chainrule.tabular.table import Column, Table
from chainrule.tabular.typed import KINDS, typed_column
from chainrule.tabular.words import quoted, shown

__all__ = ["Stream"]

CELLS = 2**21
"""Cells of a piece, about; it has a power of two of rows."""

AHEAD = 2**18
"""Bytes of a column that are read at a time from Parquet, not its whole row group."""


def bytes_of(text: str | None) -> int | None:
    """``1GB`` as a number of bytes; UsageError if it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)i?B?", (text or "").strip(), re.IGNORECASE)
    if text is not None and (not found or not float(found[1])):
        raise UsageError(f"memory={text!r}: expected a size such as 800MB or 1GB")
    return (
        int(float(found[1]) * 2 ** (10 * " KMGT".index(found[2].upper() or " "))) if found else None
    )


@dataclass(frozen=True)
class Group:
    """Rows of a file that are found together: the file's and their own number, and their first
    row in the file."""

    file: int
    number: int
    rows: int
    start: int


class Stream:
    """The files at ``path`` as one table: a file, a folder or a glob of Parquet, Arrow or CSV, also
    at an address such as ``s3://bucket/folder``.

    ``format`` says how to read them, ``memory`` what the process may take, as "1GB"; by default as
    much as there is.

    Attributes:
        name: what messages call it. names: of the columns. format: how it is read.
        header: whether its files name the columns. notes: on how they are read.
        groups: rows of each piece of each group. rows: of all. memory: in bytes.
        files: what reads them.

    Raises:
        UsageError: a kind of file that is not streamed, or a memory that is no size.
        DataError: files that have not the same columns, are damaged, or cannot be streamed.
    """

    def __init__(
        self, path: str | Path, format: Format | None = None, *, memory: str | None = None
    ) -> None:
        remote = is_address(str(path))
        self.name = unquote(masked(str(path))) if remote else str(path)
        self.format, self.memory = format or Format(), bytes_of(memory)
        self.sources = files_at(str(path)) if remote else find(path)
        self.kind = kind_of(self.name, self.sources)
        if self.kind not in ("parquet", "arrow", "text"):
            what = {"stream": "an Arrow stream", "json": "JSON lines"}.get(self.kind, "Excel")
            raise UsageError(
                f"{self.name}: is {what}, and Parquet, Arrow or CSV files are streamed; write it "
                f"as Parquet, or leave out memory and order to have "
                f"{'a copy on this machine' if remote else 'it'} read whole"
            )
        self.stamps = [stamp(source) for source in self.sources]
        self.files: _TypedGroups | CsvGroups
        if self.kind == "text":
            self.files = CsvGroups(self.sources, self.format)
        else:
            self.files = _TypedGroups(self.sources, self.kind, self.format)
        self.header, self.notes = self.files.header, self.files.notes
        every = np.arange(len(self.sources), dtype=np.int32)
        self._folders = {  # a row for each file, so that all pieces have one type
            key: column_of_words(key, every, [s.keys.get(key, "") for s in self.sources],
                                 self.format)
            for key in self.sources[0].keys
        }  # fmt: skip
        self.names = [*self.files.names, *self._folders]
        check_distinct(self.names, self.sources[0].name)
        self.groups = tuple(map(tuple, self.files.sizes))
        self.rows = sum(map(sum, self.groups))
        if not self.rows:
            raise DataError(f"{self.name}: has columns but no rows; add rows")

    def tables(
        self, places: Iterable[tuple[int, int]], names: Sequence[str] | None = None
    ) -> Iterator[Table]:
        """The pieces at these places, (group, piece), with these columns.

        Pieces of a group are read one after the other; several groups may be open at a time.
        """
        names = self.names if names is None else names
        stored = [n for n in names if n not in self._folders] or self.files.names[:1]
        lanes: dict[int, tuple[int, Iterator[Made]]] = {}
        for group, piece in places:
            at, reading = lanes.pop(group, (0, None))
            if reading is None or at > piece:
                at, reading = 0, self._pieces(group, stored)
            while True:
                made = next(reading)
                at += 1
                if at > piece:
                    break
            if at < len(self.groups[group]):
                lanes[group] = at, reading
            rows, columns, place = made()
            found = {column.name: column for column in columns}
            folder = np.full(rows, self.files.file(group))
            found |= {name: one.take(folder) for name, one in self._folders.items()}
            each = tuple(found[name] for name in names)
            yield Table(self.name, rows, each, str, self.header, place, self.notes, self.format)

    def every(self, names: Sequence[str] | None = None) -> Iterator[Table]:
        """All pieces in the order of the files, with these columns of those that there are."""
        chosen = None if names is None else [name for name in self.names if name in names]
        places = ((g, p) for g, group in enumerate(self.groups) for p in range(len(group)))
        return self.tables(places, chosen)

    def _pieces(self, group: int, names: Sequence[str]) -> Iterator[Made]:
        """What makes the pieces of a group, one after the other."""
        self.check(group)
        with naming(self.sources[self.files.file(group)].name):
            yield from self.files.pieces(group, names)

    def check(self, group: int) -> None:
        """Raise DataError, or OSError, where the file of a group is not as it was."""
        number = self.files.file(group)
        source = self.sources[number]
        with naming(source.name):
            if stamp(source) != self.stamps[number]:
                raise DataError(f"{source.name}: changed while it was read; run it again")


class _TypedGroups:
    """The row groups of Parquet files, or record batches of Arrow files, of one table.

    Attributes: as ``CsvGroups``.
    """

    header, notes = True, ()
    as_words: Sequence[str] = ()

    def __init__(self, sources: list[Source], kind: str, format: Format) -> None:
        self.sources, self.kind, self.format = sources, kind, format
        self._found: list[Group] = []
        schemas: list[pa.Schema] = []
        for number, source in enumerate(sources):
            with source.raw() as stream, _read(source, kind):
                schema, rows = self._layout(stream)
            schemas.append(schema)
            starts = np.cumsum([0, *rows])
            self._found += [
                Group(number, k, count, int(starts[k])) for k, count in enumerate(rows) if count
            ]
        self.schema = self._one(schemas)
        self.names = self.schema.names
        width = len({*self.names, *sources[0].keys})
        self.piece = 2 ** int(np.log2(max(256, CELLS // max(1, width))))
        self.sizes = [
            [min(self.piece, g.rows - at) for at in range(0, g.rows, self.piece)]
            for g in self._found
        ]

    def settled(self, column: Column) -> Column:
        """The same: types say how cells are read."""
        return column

    def file(self, group: int) -> int:
        """Which file a group is of."""
        return self._found[group].file

    def _layout(self, stream: Any) -> tuple[pa.Schema, list[int]]:
        """Columns, and rows of each group."""
        if self.kind == "parquet":
            file = parquet.ParquetFile(stream)
            metadata = file.metadata
            rows = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
            return file.schema_arrow, rows
        reader = ipc.open_file(stream)
        return reader.schema, [
            reader.get_batch(k).num_rows for k in range(reader.num_record_batches)
        ]

    def _one(self, schemas: list[pa.Schema]) -> pa.Schema:
        """The columns of all files, by the order of the first."""
        first, name = schemas[0], self.sources[0].name
        for source, schema in zip(self.sources, schemas, strict=True):
            if sorted(schema.names) != sorted(first.names):
                raise DataError(
                    f"{source.name}: its columns are {quoted(schema.names)}, and those of "
                    f"{name} {quoted(first.names)}; files of one table have the same"
                )
            for field in schema:
                try:
                    pa.unify_schemas(
                        [pa.schema([first.field(field.name)]), pa.schema([field])],
                        promote_options="permissive",
                    )
                except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
                    raise DataError(
                        f"{source.name}: column {shown(field.name)} has type {field.type}, and "
                        f"type {first.field(field.name).type} in {name}; files of one table have "
                        f"the same types"
                    ) from None
        return pa.unify_schemas(
            [first, *[pa.schema([s.field(n) for n in first.names]) for s in schemas[1:]]],
            promote_options="permissive",
        )

    def pieces(self, number: int, names: Sequence[str]) -> Iterator[Made]:
        """What makes each piece of a group."""
        group = self._found[number]
        source = self.sources[group.file]
        with _opened(source) as stream, _read(source, self.kind, group.number):
            waiting: list[Any] = []
            have = given = 0
            for batch in self._batches(stream, group, names):
                waiting.append(batch)
                have += batch.num_rows
                while have >= self.piece:
                    table = pa.Table.from_batches(waiting)
                    yield partial(self._made, table.slice(0, self.piece), group, given)
                    waiting = table.slice(self.piece).to_batches()
                    have, given = have - self.piece, given + self.piece
            if have:
                yield partial(self._made, pa.Table.from_batches(waiting), group, given)
        if given + have != group.rows:
            raise DataError(
                f"{source.name}: group {group.number} has {given + have} rows, and had "
                f"{group.rows}; it changed while it was read"
            )

    def _made(self, found: pa.Table, group: Group, start: int) -> Piece:
        name, first = self.sources[group.file].name, group.start + start
        columns = [typed_column(n, found.column(n), self.format) for n in found.column_names]
        return found.num_rows, columns, lambda row: f"{name}:row {first + row + 1}"

    def _batches(self, stream: Any, group: Group, names: Sequence[str]) -> Iterator[Any]:
        schema = pa.schema([self.schema.field(name) for name in names])
        if self.kind == "parquet":
            file = parquet.ParquetFile(stream, buffer_size=AHEAD, pre_buffer=False)
            found: Any = file.iter_batches(
                batch_size=self.piece, row_groups=[group.number], columns=list(names),
                use_threads=False,
            )  # fmt: skip
        else:
            batch = ipc.open_file(stream).get_batch(group.number)
            found = (batch.slice(at, self.piece) for at in range(0, batch.num_rows, self.piece))
        for batch in found:
            yield batch if batch.schema.equals(schema) else batch.select(list(names)).cast(schema)


def _opened(source: Source) -> Any:
    """A file; of this machine without Python between pyarrow and it."""
    here = source.stamp is None and Path(source.name).is_file()
    return pa.OSFile(source.name) if here else source.raw()


class _read:
    """Errors of pyarrow within it name file and group."""

    def __init__(self, source: Source, kind: str, group: int | None = None) -> None:
        where = "" if group is None else f"row group {group} " if kind == "parquet" else (
            f"record batch {group} ")  # fmt: skip
        self.remote, self.name = source.stamp is not None, source.name
        self.said = f"{source.name}: {where}cannot be read as {KINDS[kind]}"

    def __enter__(self) -> None:
        """Nothing to open."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        ours = isinstance(error, (pa.ArrowException, OSError, ValueError))
        do = advice(error) if self.remote and ours and not isinstance(error, DataError) else None
        if do is not None:
            raise DataError(f"{self.name}: cannot be read ({error}); {do}") from None
        if ours and getattr(error, "errno", None) is None:
            raise DataError(f"{self.said} ({error})") from None
