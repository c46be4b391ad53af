"""A table as it stands in a file: named columns of cells, before any rule is applied.

Nothing here knows pyarrow: ``reading`` makes tables from files, ``frames`` from arrays.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, UsageError
from chainrule.tabular.layout import Format
from chainrule.tabular.numerals import PLAIN, Dress
from chainrule.tabular.words import cut, number_text, quoted, shown

__all__ = ["Codes", "Column", "Fingerprint", "Table"]

Codes = tuple[NDArray[np.int32], tuple[str, ...]]
"""Words of a column in order of first appearance, and each row's index (-1 where missing)."""


@dataclass(frozen=True)
class Fingerprint:
    """What data a model was trained on: the file's SHA-256 and its size in cells."""

    sha256: str
    rows: int
    columns: int


@dataclass(frozen=True)
class Whole:
    """What a column whose cells stand for those of a larger one knows of that.

    Attributes:
        counts: how many cells each one stands for.
        key: equal for columns with equal cells.
        counting: whether its numbers go 0, 1, 2, ... or 1, 2, 3, ...
        different: whether no two cells seem to be equal.
        moments: mean and deviation of its numbers, where they are known better than from these.
    """

    counts: NDArray[np.int64]
    key: bytes = b""
    counting: bool = False
    different: bool = False
    moments: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Column:
    """One column: which cells are missing, its numbers if all others are numbers, its words.

    Attributes:
        name: the column's.
        missing: (rows,), whether a cell is missing.
        stored: (rows,), its numbers, of float64 or float32, nan where missing, maybe with
            infinities (the rules refuse them where they matter); None if some present cell is not
            a number.
        encode: makes ``codes``, when they are first asked for.
        obstacle: where a cell is not a number, the first such row and how many there are.
        unsupported: why a column has neither numbers nor words; "" if it has.
        note: how its cells were read, where a user should know.
        doubt: why it cannot be used as it stands, with what decides: it can be read in two ways.
        dress: how its numbers are written.
        codes_only: whether its digits are codes, as leading zeros show.
        order: of day and month in its dates, where it was given.
        soft: whether the words in ``SOFT`` stand for missing numbers and dates.
        whole: the larger column that its cells stand for, if they do.
    """

    name: str
    missing: NDArray[np.bool_]
    stored: NDArray[np.floating[Any]] | None
    encode: Callable[[], Codes] = field(repr=False)
    obstacle: tuple[int, int] | None = None
    unsupported: str = ""
    note: str = ""
    doubt: str = ""
    dress: Dress = PLAIN
    codes_only: bool = False
    order: str | None = None
    soft: bool = True
    whole: Whole | None = None

    def count(self, rows: Any) -> int:
        """How many cells these rows, indices or a mask, stand for."""
        if self.whole is not None:
            return int(self.whole.counts[rows].sum())
        return int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows)

    def counts(self, rows: NDArray[np.intp]) -> NDArray[np.int64] | None:
        """The same of each row; None where all stand for themselves."""
        return None if self.whole is None else self.whole.counts[rows]

    def tally(self) -> NDArray[np.intp]:
        """How many cells have each of the words."""
        codes, words = self.codes
        present = np.flatnonzero(codes >= 0)
        return tallied(codes[present], self.counts(present), len(words))

    @property
    def numbers(self) -> NDArray[np.float64] | None:
        """Its numbers, see ``stored``. float32 is turned into float64 when first asked for, and
        not kept twice."""
        if self.stored is None:
            return None
        numbers = self.stored.astype(np.float64, copy=False)
        object.__setattr__(self, "stored", numbers)
        return numbers

    @cached_property
    def finite(self) -> bool:
        """Whether all cells are numbers, none missing and none infinite; False if their sum
        overflows."""
        if self.stored is None:
            return False
        with np.errstate(all="ignore"):
            return bool(np.isfinite(np.add.reduce(self.stored)))

    @cached_property
    def codes(self) -> Codes:
        """The column as words: see ``Codes``."""
        return self.encode()

    def text(self, row: int) -> str:
        """The cell of a row as it stands, spaces stripped; "" if missing."""
        codes, words = self.codes
        return "" if codes[row] < 0 else words[codes[row]]

    def take(self, rows: NDArray[np.intp]) -> Column:
        """Some of its rows, as a column of those alone would be."""

        def encode() -> Codes:
            codes, words = self.codes
            own = codes[rows]
            used, first = np.unique(own[own >= 0], return_index=True)
            used = used[np.argsort(first)]  # words go by first appearance
            place = np.full(len(words) + 1, -1, np.int32)
            place[used] = np.arange(len(used), dtype=np.int32)
            return place[own], tuple(words[i] for i in used)

        return replace(
            self,
            missing=self.missing[rows],
            stored=None if self.stored is None else self.stored[rows],
            encode=encode,
            obstacle=None if self.obstacle is None else (0, len(rows)),
        )

    def shown(self, row: int) -> str:
        """The same in quotes, for a message; long cells are cut."""
        return shown(self.text(row))


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length and where they came from.

    Attributes:
        source: what messages call it, the file's path for one that was read.
        rows: how many there are.
        columns: in the file's order.
        digest: makes the SHA-256 of the data, when it is first asked for.
        header: whether the file names its columns.
        place: from a row to ``file:line`` (lines differ from rows by the header, blank lines and
            line breaks within quotes); None where rows have no lines.
        notes: what a user should know about how it was read.
        format: how it was read.
    """

    source: str
    rows: int
    columns: tuple[Column, ...]
    digest: Callable[[], str] = field(repr=False)
    header: bool = True
    place: Callable[[int], str] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    format: Format = field(default_factory=Format)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The SHA-256 of the data, and their size."""
        return Fingerprint(self.digest(), self.rows, len(self.columns))

    def reading(self) -> Format:
        """How to read other data with the same columns."""
        dress = {c.name: c.dress for c in self.columns if c.dress != PLAIN}
        return replace(self.format, header=self.header, dress=dress)

    def take(self, rows: NDArray[np.intp]) -> Table:
        """A table of some ``rows``, (n,), in this order; errors name their places in this one."""
        place = self.place or (lambda row: f"{self.source}:row {row + 1}")
        return replace(
            self,
            rows=len(rows),
            columns=tuple(column.take(rows) for column in self.columns),
            digest=lambda: hashlib.sha256(self.digest().encode() + rows.tobytes()).hexdigest(),
            place=lambda row: place(int(rows[row])),
        )

    def names(self) -> list[str]:
        """The column names, in the file's order."""
        return [column.name for column in self.columns]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in reversed(self.columns)}  # the first of equals

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Column:
        if name in self._by_name:
            return self._by_name[name]
        raise DataError(
            f"{self.source}: has no column {shown(name)}; its columns are {quoted(self.names())}"
        )

    def where(self, row: int, name: str) -> str:
        """``file:line:column`` of a cell in the column ``name``; with ``row N`` (counted from 1)
        where there are no lines. ``row`` counts from 0."""
        place = f"{self.source}:row {row + 1}" if self.place is None else self.place(row)
        return f"{place}:{cut(name)}"

    def choose(self, name: str, option: str) -> str:
        """The column a user means by a name, or by its place: 1 is the first, -1 the last.

        A column whose name is that number goes first. Raises UsageError naming ``option``.
        """
        if name in self:
            return name
        try:
            place = int(name)
        except ValueError:
            place = 0
        if 1 <= place <= len(self.columns) or -len(self.columns) <= place <= -1:
            return self.columns[place - 1 if place > 0 else place].name
        hint = "" if not self.header else "; if its first line is data, add header=False"
        close = _close(name, self.names())
        raise UsageError(
            f"{option}={cut(name)!r}: {self.source} has no such column{close}; "
            f"its columns are {quoted(self.names())}{hint}"
        )


def tallied(
    places: NDArray[Any], counts: NDArray[np.int64] | None, length: int
) -> NDArray[np.intp]:
    """``np.bincount`` of places each of which counts so many times."""
    found = np.bincount(places, counts, minlength=length)
    return found if counts is None else np.rint(found).astype(np.intp)


def cells_key(column: Column) -> bytes:
    """A digest that is equal for columns with equal cells."""
    if column.whole is not None:
        return column.whole.key
    if column.numbers is not None and not large(column.numbers):
        numbers = np.asarray(column.numbers + 0.0)  # minus zero is zero
        return b"n" + hashlib.sha256(numbers.data).digest()
    codes, words = column.codes
    listed = hashlib.sha256(repr(words).encode()).digest()
    return b"t" + hashlib.sha256(np.ascontiguousarray(codes).data).digest() + listed


def large(numbers: NDArray[np.float64]) -> bool:
    """Whether there are whole numbers that a float may not hold, so that their words count."""
    return bool(np.nanmax(np.abs(numbers), initial=0) >= 2**53)


def _close(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {quoted(close)}" if close else ""


def encode_texts(cells: list[str], missing: NDArray[np.bool_]) -> Codes:
    """Words by first appearance, and the rows' indices."""
    places: dict[str, int] = {}
    codes = [
        -1 if gone else places.setdefault(cell, len(places))
        for cell, gone in zip(cells, missing, strict=True)
    ]
    return np.array(codes, dtype=np.int32), tuple(places)


def encode_numbers(numbers: NDArray[np.float64], missing: NDArray[np.bool_]) -> Codes:
    """The same for numbers, whose words are ``number_text``'s."""
    present = numbers[~missing]
    values, first, inverse = np.unique(present, return_index=True, return_inverse=True)
    order = np.argsort(first)  # np.unique sorts; words go by first appearance
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    codes = np.full(len(numbers), -1, dtype=np.int32)
    codes[~missing] = rank[inverse.reshape(-1)]
    finite = [number_text(v) if np.isfinite(v) else str(v) for v in values[order].tolist()]
    return codes, tuple(finite)
