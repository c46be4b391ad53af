"""How a CSV file is laid out, from its first rows: separator, lines before the header, names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice, pairwise
from typing import Any

from chainrule.errors import DataError, UsageError
from chainrule.tabular.numerals import NUMBER, Dress
from chainrule.tabular.text import (
    COMMENT,
    Record,
    UnclosedError,
    records,
    unclosed,
    unspaced,
)
from chainrule.tabular.words import MISSING, quoted, shown

__all__ = ["DELIMITERS", "Format", "Layout", "check_distinct", "lay_out"]

DELIMITERS = (",", ";", "\t", "|")
"""The separators that are tried, in order of preference."""

SAMPLE = 200
"""Records that the layout is taken from."""

DRESS = tuple(field.name for field in fields(Dress))

PREAMBLE = 50
"""The most records before the header."""


@dataclass(frozen=True)
class Format:
    """How to read a file.

    Attributes:
        header: whether the first line of a CSV file names the columns; None asks where it looks
            like data.
        delimiter: what separates its cells, one ASCII character; None finds out (``DELIMITERS``,
            or runs of spaces).
        encoding: of its text, a name that Python knows; None is UTF-8.
        missing: words that stand for a missing value besides those of ``MISSING``.
        missing_only: only ``missing`` and empty cells are missing.
        decimal, thousands: the marks in numbers, where a file could be read in two ways.
        date_order: "dmy", "mdy" or "ymd", likewise for dates.
        sheet: of an Excel file; None is the first.
        dress: how each column's numbers were written in the data of a model.
    """

    header: bool | None = None
    delimiter: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()
    missing_only: bool = False
    decimal: str | None = None
    thousands: str | None = None
    date_order: str | None = None
    sheet: str | None = None
    dress: Mapping[str, Dress] = field(default_factory=dict[str, Dress])

    def __post_init__(self) -> None:
        for name, value, known in (
            ("decimal", self.decimal, (".", ",")),
            ("thousands", self.thousands, (",", ".", "'", " ")),
            ("date_order", self.date_order, ("dmy", "mdy", "ymd")),
        ):
            if value is not None and value not in known:
                raise UsageError(f"{name}={value!r}: must be one of {quoted(known)}")
        if self.decimal is not None and self.decimal == self.thousands:
            raise UsageError(f"thousands={self.thousands!r}: is the decimal mark too")

    def to_json(self) -> dict[str, Any]:
        """What the data of a model have in common, as a JSON record; ``from_json`` is the
        inverse."""
        return {
            "header": self.header is not False,
            "missing": list(self.missing),
            "missing_only": self.missing_only,
            "decimal": self.decimal,
            "thousands": self.thousands,
            "date_order": self.date_order,
            "dress": [{"name": name, **asdict(dress)} for name, dress in self.dress.items()],
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Format:
        """The format whose ``to_json`` gives ``record``, which is not checked here."""
        dress = {one["name"]: Dress(**{k: one[k] for k in DRESS}) for one in record["dress"]}
        names = ("header", "missing_only", "decimal", "thousands", "date_order")
        own = {name: record[name] for name in names}
        return cls(missing=tuple(record["missing"]), dress=dress, **own)

    def missing_words(self) -> tuple[str, ...]:
        """Every word that stands for a missing cell."""
        return ("", *self.missing) if self.missing_only else (*MISSING, *self.missing)


@dataclass(frozen=True)
class Layout:
    """How a file's text is cut into cells.

    Attributes:
        names: of its columns.
        header: whether the file has them.
        delimiter: what separates cells; a tab where ``spaces``.
        spaces: whether runs of spaces separate cells; ``unspaced`` writes tabs for them.
        start: offset of the first byte of data; line: the line it is on.
        sample: the words of the first records.
        notes: what a user should know.
    """

    names: list[str]
    header: bool
    delimiter: str
    spaces: bool
    start: int
    line: int
    sample: list[list[str]]
    notes: tuple[str, ...] = ()

    @property
    def like(self) -> str:
        """What a record that does not fit is compared with."""
        return "the header" if self.header else "the first line"


def lay_out(text: str, source: str, format: Format) -> Layout:
    """The layout of the file that begins with ``text``, whole lines of it."""
    if not text.strip():
        raise DataError(f"{source}: is empty; expected a header line and rows")
    given = format.delimiter
    if given is not None and (len(given) != 1 or not given.isascii() or given in '"\r\n'):
        raise UsageError(f"delimiter={given!r}: must be one character of ASCII")
    told = re.match(r"sep=([^\r\n])?\r?\n", text, re.IGNORECASE)  # Excel's own hint
    skipped = told.end() if told else 0
    body, first = text[skipped:], 2 if told else 1
    delimiter = given or (told[1] if told else None)
    spaces = given == " "
    if delimiter is None:
        delimiter, spaces = _sniff(body)
    if spaces:
        delimiter = "\t"
    shaped = unspaced(body) if spaces else body
    found = _sample(shaped, delimiter, source, first)
    if not found:
        raise DataError(f"{source}: is empty; expected a header line and rows")
    if given is not None and all(len(record.cells) == 1 for record in found):
        other, other_spaces = _sniff(body)
        cut = len(next(records(body, other)).cells)
        if cut > 1 and not other_spaces:
            raise DataError(
                f"{source}:{found[0].line}: the separator {given!r} cuts nothing, and {other!r} "
                f"would cut the first line into {cut} cells; add delimiter={other!r}, or leave it "
                f"out"
            )
    at = _header_at(found)
    if given is None and not spaces and all(len(record.cells) == 1 for record in found):
        _refuse_aligned(found[at:], source)
    layout = _named(found, at, source, format)
    _refuse_rule(found[at:], source)
    place = found[at].end if layout.header else found[at].start
    if spaces:  # the same line in the text as it stands
        place = _line_start(body, found[at].line - first + layout.header)
    start = len(text[: skipped + place].encode())
    line = first + body[:place].count("\n") if "\n" in body else first + body[:place].count("\r")
    notes = [f"{source}: cells are separated by runs of spaces"] if spaces else []
    before = [record for record in found[:at] if not record.cells[0].startswith(COMMENT)]
    if before:
        notes.append(
            f"{source}:{before[0].line}: lines before the header are skipped; the header is line "
            f"{found[at].line}"
        )
    return replace(
        layout,
        delimiter=delimiter,
        spaces=spaces,
        start=start,
        line=line,
        notes=(*notes, *layout.notes),
    )


def _refuse_aligned(found: Sequence[Record], source: str) -> None:
    """Refuse columns that spaces align, some of whose cells are empty or have spaces; taken as
    they stand they were one column of long words."""
    lines = [
        record.cells[0].strip() for record in found if record.cells[0][0:1] not in ('"', COMMENT)
    ]
    words = [line.split() for line in lines]
    wide = {len(row) for row in words[1:]}
    gaps = sum(bool(re.search(r"\S {2,}\S", line)) for line in lines)
    aligned = len(lines) > 1 and re.search(r"\S {2,}\S", lines[0]) and gaps > 0.7 * len(lines)
    named = len(wide) == 1 and wide == {len(words[0]) + 1} and len(words[0]) > 1
    named = named and all(_numbers(row) for row in words[1:])
    if aligned or named:
        why = (
            "cells are aligned by spaces, and some are empty or have spaces"
            if aligned
            else f"the header has {len(words[0])} names, and the rows have {wide.pop()} cells"
        )
        raise DataError(
            f"{source}:{found[0].line}: {why}, so they cannot be told apart; "
            + (
                "write a separator between them, as pandas.read_fwf(file).to_csv(...) does"
                if aligned
                else "add a name for the first column"
            )
        )


def _refuse_rule(found: Sequence[Record], source: str) -> None:
    """Refuse a line of dashes below the header, which is no row."""
    if len(found) > 1:
        cells = [word for word in found[1].words() if word]
        if len(cells) > 1 and all(re.fullmatch(r":?[-=]{2,}:?", cell) for cell in cells):
            raise DataError(
                f"{source}:{found[1].line}: is a line between header and rows, not a row; delete it"
            )


def _line_start(text: str, number: int) -> int:
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[:number]))


def _sniff(text: str) -> tuple[str, bool]:
    """The separator, and whether it is runs of spaces.

    The candidate that cuts most of the first records into the same number of cells, more than
    one; of equals the one that makes more cells, then in the order of DELIMITERS. A file without
    any of them has one column, and the answer is a comma.
    """
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths: list[int] = []
        try:
            for record in islice(records(text, delimiter), SAMPLE):
                if not record.cells[0].startswith(COMMENT):
                    widths.append(len(record.cells))
        except UnclosedError:
            pass  # judged by what was read before; the error is told by who reads it all
        cut = Counter(width for width in widths if width > 1)
        if not cut:
            continue
        width, count = cut.most_common(1)[0]
        score = count / len(widths), width
        if score > best_score:
            best, best_score = delimiter, score
    if best_score[0] > 0.5:
        return best, False
    rows = [line for line in unspaced(text).splitlines()[:SAMPLE] if line.strip()]
    widths = [line.count("\t") + 1 for line in rows if not line.startswith(COMMENT)]
    if len(widths) > 1 and widths[0] > 1 and len(set(widths)) == 1:
        return " ", True
    return best, False


def _sample(text: str, delimiter: str, source: str, line: int) -> list[Record]:
    found: list[Record] = []
    try:
        for record in islice(records(text, delimiter, line), SAMPLE):
            found.append(record)
    except UnclosedError as error:
        if len(found) < 2:
            raise unclosed(source, error.line) from None
    return found


def _header_at(found: Sequence[Record]) -> int:
    """Which record is the first of the table: comments and lines of another shape stand before
    it."""
    plain = [record for record in found if not record.cells[0].startswith(COMMENT)]
    if not plain:
        return 0
    width = Counter(len(record.cells) for record in plain).most_common(1)[0][0]
    for at, record in enumerate(found[:PREAMBLE]):
        rest = [r for r in found[at + 1 :] if not r.cells[0].startswith(COMMENT)]
        if record.cells[0].startswith(COMMENT):
            # A header may begin like a comment, as in "#chrom,start,end".
            names = len(record.cells) == width > 1 and not _numbers(record.words())
            if names and rest and _numbers(rest[0].words()):
                return at
            continue
        if not rest or not _is_before(record, rest[0], width):
            return at
    return next(at for at, record in enumerate(found) if record in plain)


def _is_before(record: Record, after: Record, width: int) -> bool:
    """Whether a record is none of the table's: a title, or a line such as ``Date: 5 May``."""
    words = record.words()
    filled = sum(bool(word) for word in words)
    if len(words) == width:
        title = width > 2 and filled == 1 and bool(words[0])
        return title and all(after.words()) and not _numbers(after.words())
    return width > 1 and (len(words) == 1 or len(words) <= width - 2)


def _numbers(words: Sequence[str]) -> list[str]:
    return [word for word in words if re.match(NUMBER, word)]


def _named(found: Sequence[Record], at: int, source: str, format: Format) -> Layout:
    """The names of the columns, whether the file has them, and notes."""
    first = found[at].words()
    sample = [r.words() for r in found[at:] if len(r.cells) == len(first)]
    places = [f"c{i}" for i in range(1, len(first) + 1)]
    bare = Layout(places, False, "", False, 0, 0, sample)
    if format.header is False:
        return bare
    first[0] = (
        first[0].removeprefix(COMMENT).strip() if found[at].cells[0][0:1] == COMMENT else first[0]
    )
    names = [name or place for name, place in zip(first, places, strict=True)]
    where = f"{source}:{found[at].line}"
    numeric = _numbers(first)
    note = ""
    if numeric and format.header is None:
        if _looks_like_data(first, sample[1:]):
            raise DataError(
                f"{where}: the first line looks like data, not like names: {quoted(first, 4)}; "
                f"add header=False if it is data, or header=True if it is names"
            )
        note = (
            f"{where}: the header holds numbers ({', '.join(numeric[:3])}); if the first line is "
            f"data, add header=False"
        )
    check_distinct(names, where)
    return replace(bare, names=names, header=True, sample=sample[1:], notes=(note,) if note else ())


def _looks_like_data(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line has numbers where the rows have them, and words that recur there.

    Names that count on by one, such as years or 0, 1, 2, are names.
    """
    if not rows:
        return False
    columns = list(zip(*rows, strict=True))
    numeric = [i for i, cell in enumerate(first) if re.match(NUMBER, cell)]
    for i in numeric:
        if not all(re.match(NUMBER, cell) or cell in MISSING for cell in columns[i]):
            return False
    values = [float(first[i]) for i in numeric]
    if len(values) > 1 and {b - a for a, b in pairwise(values)} == {1.0}:
        return False
    texts = [i for i, cell in enumerate(first) if cell and i not in numeric]
    return not texts or any(first[i] in columns[i] for i in texts)


def check_distinct(names: Sequence[str], source: str) -> None:
    """Refuse two columns of one name."""
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if name in seen:
            raise DataError(
                f"{source}: columns {seen[name]} and {place} are both called {shown(name)}; "
                f"rename one of them"
            )
        seen[name] = place
