"""The text of a CSV file before it is parsed: encoding, records, line numbers, bad rows."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.errors import DataError, UsageError

__all__ = [
    "Recoded",
    "UnclosedError",
    "bad_record",
    "decode",
    "is_comment",
    "line_of",
    "records",
    "unspaced",
]

COMMENT = "#"


def decode(
    data: bytes, source: str, encoding: str | None = None, line: int = 1, offset: int = 0
) -> str:
    """The text of bytes that begin at this line and offset of a file; None is UTF-8.

    Raises DataError naming line and byte offset where the bytes are not of the encoding.
    """
    name = encoding or "utf-8"
    try:
        text = data.decode(name)
        if encoding is not None:
            text.encode()  # some encodings make halves of characters
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        advice = "give the right one" if encoding else "give its encoding"
        raise DataError(
            f"{source}:{line}: byte 0x{data[error.start]:02x} at offset {offset + error.start} is "
            f"not {name.upper()}; {advice}, for example encoding='latin-1'"
        ) from None
    except (LookupError, ValueError) as error:  # a codec, but not of text, or not of this text
        raise UsageError(
            f"encoding={name!r}: {source} cannot be read so ({error}); write for example utf-8, "
            f"latin-1 or utf-16"
        ) from None
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise DataError(
            f"{source}:{line}: holds a zero byte, so it is not a text file in {name.upper()}; "
            f"give a CSV or Parquet file, or its encoding, for example encoding='utf-16'"
        )
    return text


class Recoded(io.RawIOBase):
    """The text of a stream in another encoding as UTF-8, some of it at a time."""

    def __init__(self, stream: Any, encoding: str) -> None:
        self.text = io.TextIOWrapper(stream, encoding, newline="")
        self.waiting, self.begun = memoryview(b""), False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.waiting and (text := self.text.read(2**16)):
            if "\0" in text:
                raise UnicodeError("a zero byte")
            self.waiting = memoryview(text.removeprefix("\ufeff" * (not self.begun)).encode())
            self.begun = True
        count = min(len(buffer), len(self.waiting))
        buffer[:count], self.waiting = self.waiting[:count], self.waiting[count:]
        return count


def check_encoding(head: bytes, source: str, encoding: str | None) -> None:
    """Refuse an encoding that does not exist, or that the first bytes of a file speak against."""
    wide = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    if encoding is None:
        if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
            raise DataError(f"{source}:1: the file is UTF-32, not UTF-8; add encoding='utf-32'")
        if head.startswith(wide):
            raise DataError(f"{source}:1: the file is UTF-16, not UTF-8; add encoding='utf-16'")
        return
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise UsageError(
            f"encoding={encoding!r}: no such encoding; write for example utf-8, latin-1 or utf-16"
        ) from None
    if head.isascii() and b"\0" not in head and name.startswith(("utf-16", "utf-32")) and head:
        raise DataError(
            f"{source}:1: the file is plain ASCII, not {encoding.upper()}; leave encoding out"
        )
    if name in ("utf-8", "utf-8-sig") or head.isascii() or not _is_utf8(head):
        return
    if name.startswith(("iso8859", "cp", "mac", "koi8")):
        raise DataError(
            f"{source}:1: the file is UTF-8, and its letters would be wrong in {encoding.upper()}; "
            f"leave encoding out"
        )


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


class UnclosedError(Exception):
    """A quoted cell has no end; ``line`` is where it begins."""

    def __init__(self, line: int) -> None:
        self.line = line


@dataclass(frozen=True)
class Record:
    """One record: the line it begins on, its place in the text, its cells as they stand."""

    line: int
    start: int
    end: int
    cells: list[str]

    def words(self) -> list[str]:
        """The cells without quotes and the spaces around them."""
        return [_unquoted(cell).strip() for cell in self.cells]


def records(text: str, delimiter: str, line: int = 1) -> Iterator[Record]:
    """Every record, as pyarrow cuts them; the text begins on ``line``.

    A quote opens only at the beginning of a cell; blank lines are skipped. Raises
    UnclosedError also for a cell with line breaks whose closing quote is followed by more
    text: that quote was meant to open another cell, and lines were swallowed.
    """
    d = re.escape(delimiter)
    cell = re.compile(
        rf"""(?P<quoted>"[^"]*+(?:""[^"]*+)*+")?(?P<rest>(?!")[^{d}\r\n]*+)(?P<end>{d}|\r\n|\n|\r|\Z)"""
    )
    cells: list[str] = []
    begun, start, position = line, 0, 0
    while position < len(text) or cells:
        found = cell.match(text, position)
        if found is None:
            raise UnclosedError(line)
        quoted, rest, end = found["quoted"] or "", found["rest"], found["end"]
        breaks = quoted.count("\n") + quoted.count("\r") - quoted.count("\r\n")
        if breaks and rest.strip():
            raise UnclosedError(line)
        line += breaks
        cells.append(quoted + rest)
        position = found.end()
        if end == delimiter:
            continue
        if cells != [""]:
            yield Record(begun, start, position, cells)
        line, cells, start = line + 1, [], position
        begun = line


def _unquoted(cell: str) -> str:
    if not cell.startswith('"'):
        return cell
    end = cell.rindex('"')
    return cell[1:end].replace('""', '"') + cell[end + 1 :]


def unspaced(text: str) -> str:
    """Text whose cells runs of spaces separate, with tabs instead."""
    text = re.sub(r"(?m)^[ \t]+|[ \t]+$", "", text)
    return re.sub(r'("[^"]*")|[ \t]+', lambda found: found[1] or "\t", text)


def is_comment(cells: list[str], width: int) -> bool:
    """Whether a record of a table of so many columns is a comment between its rows."""
    return len(cells) != width and cells[0].lstrip().startswith(COMMENT)


def line_of(text: str, delimiter: str, width: int, number: int, line: int) -> int:
    """The line of the record with this number, from 0, in a text that begins on ``line``."""
    for record in records(text, delimiter, line):
        if not is_comment(record.cells, width):
            if number == 0:
                return record.line
            number -= 1
    raise AssertionError("the text has fewer records")


def bad_record(
    text: str, delimiter: str, source: str, width: int, like: str, line: int
) -> DataError | None:
    """The error for the first record of another width, or that has no end.

    ``like`` is what the width is taken from; the text begins on ``line``.
    """
    try:
        for record in records(text, delimiter, line):
            if len(record.cells) != width and not is_comment(record.cells, width):
                return DataError(
                    f"{source}:{record.line}: found {len(record.cells)} cells, expected {width} as "
                    f"in {like} (separator {delimiter!r}); mend the line, or quote cells that "
                    f"contain the separator, or give the delimiter"
                )
    except UnclosedError as error:
        return unclosed(source, error.line)
    return None


def unclosed(source: str, line: int) -> DataError:
    """The error for a quoted cell without an end that begins on this line."""
    return DataError(
        f'{source}:{line}: a cell begins with " but its closing " does not come, or more text '
        f'follows it; close it, and write "" for a quote within a quoted cell'
    )
