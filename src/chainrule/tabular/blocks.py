"""A CSV file as record batches: blocks of whole lines, parsed by pyarrow on several threads.

A column is numbers as long as its cells are plain ones, which takes 8 bytes a cell, and words
otherwise, which takes 4 and one copy of each word. Nothing else of the text is kept; a block is
read again where the line of a row is asked for, or where a column turns out to be words.
"""

from __future__ import annotations

import io
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray
from pyarrow import csv

from chainrule.errors import DataError
from chainrule.tabular import text as csv_text
from chainrule.tabular.arrays import numbers_of
from chainrule.tabular.layout import Format, Layout, lay_out
from chainrule.tabular.numerals import NUMBER, evidence
from chainrule.tabular.sources import Source

__all__ = ["Block", "CsvFile", "mark_shown", "read_columns"]

pc: Any = pyarrow.compute  # its functions are made at run time, so type checkers see none

HEAD = 2**20
"""Bytes that the layout is taken from."""

BLOCK = 2**22
"""Bytes of a block, about: it ends with a line, and holds at least one."""

WORKERS = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2))

FRACTIONS, WHOLES, WORDS, UNREAD = "fractions", "wholes", "words", "unread"
"""What the cells of a column have been so far: plain numbers, some with a point; whole numbers
only, which may turn out to be codes such as 00501; anything else; and what nobody asks for."""

Cells = NDArray[np.float64] | pa.DictionaryArray
"""A column of one block: numbers, nan where missing, or words."""

DICTIONARY = pa.dictionary(pa.int32(), pa.string())

ONE = pa.Array.from_buffers(pa.int32(), 1, [None, pa.py_buffer(np.ones(1, np.int32))])[0]
"""pyarrow imports pandas, where it is installed, to make something of Python's own 1."""


@dataclass(frozen=True)
class Block:
    """Whole lines of a file, the line where they begin, and the byte of its text."""

    data: bytes
    line: int
    start: int


@dataclass(frozen=True)
class Place:
    """Where the rows of a block are from, and its bytes."""

    file: int
    line: int
    rows: int
    start: int
    size: int


class CsvFile:
    """One CSV file with its layout; ``blocks`` reads it from the first row on."""

    def __init__(self, source: Source, format: Format) -> None:
        self.source = source
        self.encoding = format.encoding
        self.comments = 0
        with source.open() as stream:
            head = stream.read(HEAD)
        csv_text.check_encoding(head, source.name, format.encoding)
        with self._utf8() as stream:
            head = stream.read(HEAD)
        whole = len(head) < HEAD
        end = len(head) if whole else max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
        text = csv_text.decode(head[: end or len(head)], source.name)
        self.layout: Layout = lay_out(text, source.name, format)

    @contextmanager
    def _utf8(self) -> Iterator[BinaryIO]:
        """The text as UTF-8, without a byte order mark."""
        with self.source.open() as stream:
            if self.encoding is not None:
                try:
                    yield io.BufferedReader(csv_text.Recoded(stream, self.encoding), 2**16)
                except (LookupError, UnicodeError):
                    with self.source.open() as again:  # told by line and byte
                        csv_text.decode(again.read(), self.source.name, self.encoding)
                    raise
                return
            if stream.peek(3)[:3] == b"\xef\xbb\xbf":  # type: ignore[attr-defined]
                stream.read(3)
            yield stream

    def blocks(self) -> Iterator[Block]:
        """The data in blocks of whole records.

        A line break within quotes ends no block, unless quotes stand elsewhere than around cells.
        """
        line, start, rest = self.layout.line, self.layout.start, b""
        with self._utf8() as stream:
            stream.read(self.layout.start)
            while chunk := stream.read(BLOCK):
                end = _last_line_end(rest, chunk)
                if end == 0:
                    rest += chunk
                    continue
                data = b"".join((rest, memoryview(chunk)[:end]))
                yield Block(data, line, start)
                line, start = line + _line_count(data), start + len(data)
                rest = chunk[end:]
        if rest:
            yield Block(rest, line, start)

    @cached_property
    def direct(self) -> bool:
        """Whether any block can be read without those before it."""
        return self.encoding is None and not self.source.packed()

    def block(self, place: Place) -> Block:
        """A block by its place."""
        with self._utf8() as stream:
            stream.seek(place.start, 1)
            return Block(stream.read(place.size), place.line, place.start)

    def text(self, block: Block) -> str:
        """A block's text as it is cut into cells."""
        text = csv_text.decode(block.data, self.source.name, None, block.line)
        return csv_text.unspaced(text) if self.layout.spaces else text

    def parse(self, block: Block, modes: list[str], missing: list[str], comma: bool) -> list[Cells]:
        """The columns of a block but those ``UNREAD``; ``modes`` become ``WORDS`` for those that
        are no numbers.

        Raises DataError, naming file and line, for lines that are not like the others.
        """
        data, delimiter = block.data, self.layout.delimiter
        if b"\0" in data or not data.isascii() or self.layout.spaces:
            data = self.text(block).encode()
        quotes = b'"' in data
        places = [str(i) for i in range(len(modes))]
        wanted = [i for i, mode in enumerate(modes) if mode != UNREAD]
        types = {FRACTIONS: pa.float64(), WHOLES: pa.string(), WORDS: DICTIONARY}

        def table(chosen: list[str]) -> pa.Table:
            return csv.read_csv(
                pa.BufferReader(data),
                read_options=csv.ReadOptions(
                    column_names=places, block_size=len(data) + 1, use_threads=False
                ),
                parse_options=csv.ParseOptions(
                    delimiter=delimiter,
                    newlines_in_values=quotes,
                    invalid_row_handler=self._skip_comment,
                ),
                convert_options=csv.ConvertOptions(
                    column_types={places[i]: types[chosen[i]] for i in wanted},
                    include_columns=[places[i] for i in wanted],
                    null_values=missing,
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )

        text = [WHOLES if mode == FRACTIONS else mode for mode in modes]
        columns: list[Cells | None] = []
        for chosen in (list(modes), text):
            try:
                found = table(chosen)
            except (pa.ArrowInvalid, OverflowError) as error:
                if chosen is not text and "conversion error" in str(error):
                    continue
                raise self._bad(block) or DataError(
                    f"{self.source.name}: cannot be read as CSV ({error})"
                ) from None
            columns = [
                _numbers(cells, chosen[i], comma and modes[i] == WHOLES)
                for i, cells in zip(wanted, found.columns, strict=True)
            ]
            if not any(
                c is None and chosen[i] == FRACTIONS for i, c in zip(wanted, columns, strict=True)
            ):
                break
        if quotes and _may_be_open(data, found.num_rows):
            wrong = self._bad(block)
            if wrong is not None:
                raise wrong
        for at, (i, cells) in enumerate(zip(wanted, found.columns, strict=True)):
            if columns[at] is None:
                modes[i] = WORDS
                coded = pa.types.is_dictionary(cells.type)
                columns[at] = _one(cells if coded else pc.dictionary_encode(cells))
        return [column for column in columns if column is not None]

    def _skip_comment(self, row: Any) -> str:
        if not csv_text.is_comment([row.text], -1):
            return "error"
        self.comments += 1
        return "skip"

    def _bad(self, block: Block) -> DataError | None:
        layout = self.layout
        width, name = len(layout.names), self.source.name
        return csv_text.bad_record(
            self.text(block), layout.delimiter, name, width, layout.like, block.line
        )

    def line(self, number: int, row: int) -> int:
        """The line of a row of the block with this number."""
        for place, block in enumerate(self.blocks()):
            if place == number:
                width = len(self.layout.names)
                return csv_text.line_of(
                    self.text(block), self.layout.delimiter, width, row, block.line
                )
        raise DataError(f"{self.source.name}: changed while it was read; run it again")


def _last_line_end(rest: bytes, chunk: bytes) -> int:
    """The end of the last line of ``chunk`` at which no quote is open; 0 if there is none."""
    end = len(chunk)
    quotes = b'"' in chunk or b'"' in rest
    before = rest.count(b'"') if quotes else 0
    first = 0
    for _ in range(1000):
        found = chunk.rfind(b"\n", 0, end)
        if found < 0 and b"\n" not in chunk:
            found = chunk.rfind(b"\r", 0, end)
        if found < 0:
            break
        end = found + 1
        first = first or end
        if not quotes or (before + chunk.count(b'"', 0, end)) % 2 == 0:
            return end
        end = found
    return first


def _line_count(data: bytes) -> int:
    returns = data.count(b"\r")
    return data.count(b"\n") + (returns - data.count(b"\r\n") if returns else 0)


def _may_be_open(data: bytes, rows: int) -> bool:
    """Whether pyarrow may have taken lines into a cell whose quote was never closed.

    Then there are fewer records than lines (as there are with line breaks that were meant), or
    it happened in the last line.
    """
    lines = [line for line in data.replace(b"\r", b"\n").split(b"\n") if line]
    return rows != len(lines) or lines[-1].count(b'"') % 2 == 1


def _one(cells: pa.ChunkedArray) -> pa.DictionaryArray:
    one = cells.combine_chunks()
    return one.chunk(0) if isinstance(one, pa.ChunkedArray) else one


def _numbers(cells: pa.ChunkedArray, mode: str, whole: bool) -> NDArray[np.float64] | None:
    """Cells as numbers; None if one is not plain: a word, an infinity, a code with leading
    zeros, a whole number that a float does not hold, or with ``whole`` one with a point."""
    if mode == WORDS:
        return None
    if mode == WHOLES:
        zeros = pc.and_(pc.starts_with(cells, "0"), pc.greater(pc.binary_length(cells), ONE))
        if pc.any(zeros).as_py() and pc.any(pc.match_substring_regex(cells, "^0[0-9]+$")).as_py():
            return None
        try:
            cells = pc.cast(cells, pa.float64())
        except pa.ArrowInvalid:
            return None
    numbers = numbers_of(cells, np.float64, np.nan)
    finite = np.isfinite(numbers)
    if int(finite.sum()) != len(cells) - cells.null_count:
        return None
    if mode == WHOLES:
        present = numbers[finite]
        floors = np.floor(present)
        if np.any((np.abs(present) >= 2**53) & (present == floors)):
            return None
        if whole and np.any(present != floors):
            return None
    return numbers


def mark_shown(file: CsvFile, format: Format) -> str:
    """The decimal mark that is given, or that the first rows of a file show, or ""."""
    return format.decimal or evidence([word for row in file.layout.sample for word in row])


def read_columns(
    files: list[CsvFile], format: Format, parts: Sequence[Part] | None = None
) -> tuple[list[Any], list[Place]]:
    """All columns of CSV files with the same names, each by the order of the first file, as
    ``parts`` make them (by default as a whole); and where their blocks are from."""
    names = files[0].layout.names
    orders = [[file.layout.names.index(name) for name in names] for file in files]
    comma = mark_shown(files[0], format) == "," or format.thousands == "."
    missing = sorted(format.missing_words())
    modes = _modes(files[0].layout, missing, comma)
    places: list[Place] = []
    parts = [_Column() for _ in names] if parts is None else parts

    def parse(file: int, block: Block, own: list[str]) -> list[Cells]:
        by_file = [own[orders[file].index(i)] for i in range(len(names))]
        found = files[file].parse(block, by_file, missing, comma)
        for i, at in enumerate(orders[file]):
            if by_file[at] == WORDS:
                own[i] = WORDS
        return [found[at] for at in orders[file]]

    blocks = ((number, block) for number, file in enumerate(files) for block in file.blocks())
    for (number, block), found in _in_order(blocks, lambda item: parse(item[0], item[1], modes)):
        size = len(block.data)
        places.append(Place(number, block.line, len(found[0]), block.start, size))
        for part, column in zip(parts, found, strict=True):
            part.append(column)
    again = [part for part in parts if part.is_words() and part.unread()]
    if again:
        only = [WORDS if part in again else FRACTIONS for part in parts]
        _reread(files, parts, again, lambda n, b: parse(n, b, list(only)))
    columns = [part.whole() for part in parts]
    pa.default_memory_pool().release_unused()  # what the blocks took
    return columns, places


class Part(Protocol):
    """What is kept of a column while its blocks are read."""

    def append(self, cells: Cells) -> None:
        """Add a block; the numbers of a column that has words are to be read again."""

    def is_words(self) -> bool: ...  # whether a block has words: then all are read as words

    def unread(self) -> list[int]: ...  # the blocks whose words are not known

    def fill(self, at: int, cells: pa.DictionaryArray) -> None:
        """The words of such a block."""

    def whole(self) -> Any:
        """The column; its blocks are let go."""


class _Column:
    """The blocks of a column: its numbers in one array that grows in place, so that no cell is
    there twice, or its words by block."""

    def __init__(self) -> None:
        self.numbers = np.empty(0)
        self.rows = 0
        self.words: list[pa.DictionaryArray | None] = []
        self.found = False

    def append(self, cells: Cells) -> None:
        if not isinstance(cells, np.ndarray):
            self.words.append(cells)
            self.found, self.numbers = True, np.empty(0)
            return
        self.words.append(None)
        if self.is_words():
            return
        end = self.rows + len(cells)
        if end > len(self.numbers):
            self.numbers.resize(end + end // 4, refcheck=False)
        self.numbers[self.rows : end] = cells
        self.rows = end

    def is_words(self) -> bool:
        return self.found

    def unread(self) -> list[int]:
        return [at for at, part in enumerate(self.words) if part is None]

    def fill(self, at: int, cells: pa.DictionaryArray) -> None:
        self.words[at] = cells

    def whole(self) -> Cells:
        if not self.is_words():
            self.numbers.resize(self.rows, refcheck=False)
            return self.numbers
        blocks, self.words = self.words, []
        return _one(pa.chunked_array(blocks).unify_dictionaries())


def _modes(layout: Layout, missing: list[str], comma: bool) -> list[str]:
    """What the columns seem to be by the first rows."""
    modes = []
    for i in range(len(layout.names)):
        cells = [row[i] for row in layout.sample if row[i] not in missing]
        if not all(re.match(NUMBER, cell) for cell in cells):
            modes.append(WORDS)
        elif all(cell.lstrip("+-").isdigit() for cell in cells):
            modes.append(WHOLES)
        else:
            modes.append(WORDS if comma else FRACTIONS)
    return modes


def _reread(
    files: list[CsvFile],
    parts: Sequence[Part],
    columns: list[Part],
    parse: Callable[[int, Block], list[Cells]],
) -> None:
    """Read columns as words in the blocks where they were read as numbers."""
    numbered = ((number, block) for number, file in enumerate(files) for block in file.blocks())
    blocks = {at for column in columns for at in column.unread()}
    wanted = ((at, item) for at, item in enumerate(numbered) if at in blocks)
    for (at, _), found in _in_order(wanted, lambda pair: parse(*pair[1])):
        for part, cells in zip(parts, found, strict=True):
            if part in columns and not isinstance(cells, np.ndarray):
                part.fill(at, cells)


def _in_order(items: Iterator[Any], work: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    """Each item with what ``work`` makes of it, in order, some of them at a time."""
    waiting: deque[tuple[Any, Future[Any]]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > WORKERS:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
