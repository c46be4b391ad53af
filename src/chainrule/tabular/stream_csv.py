"""CSV files that are read piece by piece: each block of whole records by itself.

How a column is read, all of its cells decide: one pass counts rows and keeps of each column that
is not plain numbers the different words. Blocks of a file stand alone (groups of one piece); those
of one that is packed, or in another encoding, follow each other in one group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from chainrule.errors import DataError
from chainrule.tabular.arrays import merged, numbers_of
from chainrule.tabular.blocks import (
    FRACTIONS,
    UNREAD,
    WORDS,
    Block,
    CsvFile,
    mark_shown,
    read_columns,
)
from chainrule.tabular.blocks import Place as BlockPlace
from chainrule.tabular.cells import column_like, column_of_numbers, column_of_words
from chainrule.tabular.layout import Format
from chainrule.tabular.numerals import number_in
from chainrule.tabular.reading import csv_files, csv_notes
from chainrule.tabular.sources import Source
from chainrule.tabular.summary import WORDS as MOST
from chainrule.tabular.table import Column, Whole
from chainrule.tabular.text import line_of
from chainrule.tabular.words import SOFT

__all__ = ["CsvGroups", "Made", "Piece"]

Piece = tuple[int, list[Column], Callable[[int], str]]
"""How many rows, their columns, and from a row to ``file:line``."""

Made = Callable[[], Piece]
"""Makes a piece that has been found, if it is wanted."""


class _Words:
    """The different words of a column, as ``blocks.Part``: some ``MOST``, and of the others those
    that are no numbers although those are.

    Attributes:
        tally: how many cells have each. read: of each block, whether its words are known.
        like: how the first words are read, once there are too many.
    """

    def __init__(self, name: str, format: Format, hint: str) -> None:
        self.name, self.format, self.hint = name, format, hint
        self.tally: dict[str, int] = {}
        self.read: list[bool] = []
        self.like: Column | None = None

    def append(self, cells: Any) -> None:
        self.read.append(False)
        if not isinstance(cells, np.ndarray):
            self.fill(-1, cells)

    def is_words(self) -> bool:
        return any(self.read)

    def unread(self) -> list[int]:
        return [at for at, known in enumerate(self.read) if not known]

    def fill(self, at: int, cells: Any) -> None:
        self.read[at] = True
        if len(self.tally) > 2 * MOST:
            return
        codes, words = merged(*_coded(cells), frozenset())
        known = self.like if self.like is not None and not self.like.doubt else None
        odd = None if known is None else column_like(known, codes, words, self.format)[1]
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        for word, count in zip(words, counts.tolist(), strict=True):
            if odd is None or word in odd or word.lower() in SOFT:
                self.tally[word] = self.tally.get(word, 0) + count
        if self.like is None and len(self.tally) > MOST:
            self.like = self.whole()

    def whole(self) -> Column | None:
        """A column of the different words, which stand for all; None for plain numbers."""
        if not self.is_words():
            return None
        codes = np.arange(len(self.tally), dtype=np.int32)
        whole = Whole(np.array(list(self.tally.values()), np.int64))
        return column_of_words(
            self.name, codes, tuple(self.tally), self.format, hint=self.hint, whole=whole
        )


def _coded(cells: Any) -> tuple[Any, list[str]]:
    return numbers_of(cells.indices, np.int32, -1), cells.dictionary.to_pylist()


class CsvGroups:
    """The groups of CSV files of one table.

    Attributes:
        names: of the columns. header: whether the files have them. notes: on how they are read.
        sizes: rows of each piece of each group.
        as_words: columns that are words even if these are numbers in some dress.
    """

    as_words: Sequence[str] = ()

    def __init__(self, sources: list[Source], format: Format) -> None:
        self.files, self.format = csv_files(sources, format), format
        layout, hint = self.files[0].layout, mark_shown(self.files[0], format)
        self.names, self.header = layout.names, layout.header
        words, places = read_columns(
            self.files, format, [_Words(name, format, hint) for name in self.names]
        )
        self.likes: dict[str, Column | None] = dict(zip(self.names, words, strict=True))
        self.notes = csv_notes(self.files)
        self._groups: list[list[BlockPlace]] = []
        for place in places:
            alone = self.files[place.file].direct
            if alone or not self._groups or self._groups[-1][0].file != place.file:
                self._groups.append([])
            self._groups[-1].append(place)
        self._groups = [g for g in self._groups if any(place.rows for place in g)]
        self.sizes = [[place.rows for place in g if place.rows] for g in self._groups]

    def file(self, group: int) -> int:
        """Which file a group is of."""
        return self._groups[group][0].file

    def settled(self, column: Column) -> Column:
        """A condensed column with what all of its words say of how it is read."""
        like = self.likes.get(column.name)
        if like is None:
            return column
        obstacle = None
        if like.obstacle is not None and column.numbers is None and not column.unsupported:
            codes, words = column.codes
            word = like.text(like.obstacle[0])
            row = int(np.argmax(codes == words.index(word))) if word in words else 0
            obstacle = row, like.obstacle[1]
        return replace(
            column, dress=like.dress, note=like.note, doubt=like.doubt, codes_only=like.codes_only,
            soft=like.soft, order=like.order, obstacle=obstacle,
        )  # fmt: skip

    def pieces(self, group: int, names: Sequence[str]) -> Iterator[Made]:
        """What makes each piece of a group."""
        places = self._groups[group]
        file = self.files[places[0].file]
        blocks = map(file.block, places) if file.direct else file.blocks()
        for place, block in zip(places, blocks, strict=True):
            if place.rows:
                yield partial(self._made, file, block, place.rows, names)

    def _made(self, file: CsvFile, block: Block, rows: int, names: Sequence[str]) -> Piece:
        own = file.layout.names
        modes = [
            UNREAD if name not in names else FRACTIONS if self.likes[name] is None else WORDS
            for name in own
        ]
        missing = sorted(self.format.missing_words())
        parsed = file.parse(block, modes, missing, comma=False)
        found = dict(zip([name for name in own if name in names], parsed, strict=True))
        made = []
        for name in names:
            cells, like = found[name], self.likes[name]
            if like is not None and name in self.as_words:
                like = replace(like, stored=None)
            odd = len(cells) != rows or (like is None) != isinstance(cells, np.ndarray)
            if not odd and like is None:
                made.append(column_of_numbers(name, cells, self.format))
            elif not odd:
                column, words = column_like(like, *_coded(cells), self.format)  # type: ignore[arg-type]
                odd = any(number_in(word, like.dress)[0] is None for word in words)  # type: ignore[union-attr]
                made.append(column)
            if odd:
                raise DataError(f"{file.source.name}: changed while it was read; run it again")
        return rows, made, _lines(file, block)


def _lines(file: CsvFile, block: Block) -> Callable[[int], str]:
    """From a row of a block to its ``file:line``."""
    layout, name = file.layout, file.source.name

    def where(row: int) -> str:
        line = line_of(file.text(block), layout.delimiter, len(layout.names), row, block.line)
        return f"{name}:{line}"

    return where
