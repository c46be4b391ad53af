"""The text of a CSV file before it is parsed: encoding, separator, line numbers, bad rows."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterator

from chainrule.errors import DataError, UsageError

__all__ = ["DELIMITERS", "bad_record", "decode", "first_record", "record_lines", "sniff"]

DELIMITERS = (",", ";", "\t", "|")
"""The separators that are tried, in order of preference."""

SAMPLE = 100
"""Records that the choice of the separator looks at."""


def decode(data: bytes, source: str, encoding: str | None = None) -> str:
    """The text of a file. UTF-8 (with or without a byte order mark) unless told otherwise.

    Raises DataError naming line and byte offset where the bytes are not of the encoding.
    """
    if data.startswith((b"\x1f\x8b", b"PK\x03\x04")):
        kind = "gzip" if data[0] == 0x1F else "zip"
        raise DataError(f"{source}: is a {kind} archive; unpack it first")
    name = encoding or "utf-8"
    try:
        codecs.lookup(name)
    except LookupError:
        raise UsageError(
            f"encoding={name!r}: no such encoding; write for example utf-8, latin-1 or utf-16"
        ) from None
    if encoding is None and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{source}:1: the file is UTF-16, not UTF-8; add encoding='utf-16'")
    try:
        text = data.decode(name)
        if encoding is not None:
            text.encode()  # some encodings make halves of characters
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        advice = "give the right one" if encoding else "give its encoding"
        raise DataError(
            f"{source}:{line}: byte 0x{data[error.start]:02x} at offset {error.start} is not "
            f"{name.upper()}; {advice}, for example encoding='latin-1'"
        ) from None
    except (LookupError, ValueError) as error:  # a codec, but not of text, or not of this text
        raise UsageError(
            f"encoding={name!r}: {source} cannot be read so ({error}); write for example utf-8, "
            f"latin-1 or utf-16"
        ) from None
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{source}:{line}: holds a zero byte, so it is not a text file in {name.upper()}; "
            f"give a CSV or Parquet file, or its encoding"
        )
    return text


def sniff(text: str) -> str:
    """The separator: the candidate that cuts most of the first records like the header.

    Among those that cut the header at all: first by the share of the sampled records with as
    many cells as the header, then by the number of cells, then in the order of DELIMITERS.
    A file without any of them has one column, and the answer is a comma.
    """
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = []
        try:
            for _, cells in itertools.islice(_records(text, delimiter), SAMPLE):
                widths.append(len(cells))
        except _UnclosedError:
            pass  # judged by what was read before; the error is told by who reads it all
        if not widths or widths[0] < 2:
            continue
        score = widths.count(widths[0]) / len(widths), widths[0]
        if score > best_score:
            best, best_score = delimiter, score
    return best


class _UnclosedError(Exception):
    """A quoted cell has no end; ``line`` is where it begins."""

    def __init__(self, line: int) -> None:
        self.line = line


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells as they stand) of every record, as pyarrow cuts them.

    A quote opens only at the beginning of a cell; blank lines are skipped. Raises
    _UnclosedError also for a cell with line breaks whose closing quote is followed by more
    text: that quote was meant to open another cell, and lines were swallowed.
    """
    d = re.escape(delimiter)
    cell = re.compile(
        rf"""(?P<quoted>"[^"]*+(?:""[^"]*+)*+")?(?P<rest>(?!")[^{d}\r\n]*+)(?P<end>{d}|\r\n|\n|\r|\Z)"""
    )
    line, cells = 1, []
    begun, position = line, 0
    while position < len(text) or cells:
        found = cell.match(text, position)
        if found is None:
            raise _UnclosedError(line)
        quoted, rest, end = found["quoted"] or "", found["rest"], found["end"]
        breaks = quoted.count("\n") + quoted.count("\r") - quoted.count("\r\n")
        if breaks and rest.strip():
            raise _UnclosedError(line)
        line += breaks
        cells.append(quoted + rest)
        position = found.end()
        if end == delimiter:
            continue
        if cells != [""]:
            yield begun, cells
        line, cells = line + 1, []
        begun = line


def first_record(text: str, delimiter: str, source: str) -> list[str]:
    """The first record's cells without quotes and the spaces around them."""
    try:
        for _, cells in _records(text, delimiter):
            return [_unquoted(cell).strip() for cell in cells]
    except _UnclosedError as error:
        raise _unclosed(source, error.line) from None
    raise DataError(f"{source}: is empty; expected a header line and rows")


def _unquoted(cell: str) -> str:
    if not cell.startswith('"'):
        return cell
    end = cell.rindex('"')
    return cell[1:end].replace('""', '"') + cell[end + 1 :]


def record_lines(text: str, delimiter: str) -> list[int]:
    """The line on which each record (the header first) begins, counted from 1."""
    return [line for line, _ in _records(text, delimiter)]


def bad_record(text: str, delimiter: str, source: str, header: bool) -> DataError | None:
    """The error for the first record that is not like the first one, or has no end."""
    expected = None
    try:
        for line, cells in _records(text, delimiter):
            if expected is None:
                expected = len(cells)
            elif len(cells) != expected:
                like = "the header" if header else "the first line"
                return DataError(
                    f"{source}:{line}: found {len(cells)} cells, expected {expected} as in {like} "
                    f"(separator {delimiter!r}); mend the line, or quote cells that contain the "
                    f"separator, or give the delimiter"
                )
    except _UnclosedError as error:
        return _unclosed(source, error.line)
    return None


def _unclosed(source: str, line: int) -> DataError:
    return DataError(
        f'{source}:{line}: a cell begins with " but its closing " does not come, or more text '
        f'follows it; close it, and write "" for a quote within a quoted cell'
    )
