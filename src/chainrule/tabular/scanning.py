"""One pass over a stream: summaries of all columns, what each row is for, and a sample of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.ops.random import key_of
from chainrule.tabular.columns import refuse_infinite
from chainrule.tabular.options import Options
from chainrule.tabular.stream import Stream
from chainrule.tabular.summary import MixedError, Summary
from chainrule.tabular.table import Table, encode_numbers
from chainrule.tabular.weights import row_weights
from chainrule.train.streamed import Place
from chainrule.train.workers import added

__all__ = ["PARTS", "SAMPLE", "Scan", "Uses", "scan"]

SPLIT = 3
"""Which stream of random numbers: neither an order's nor a mask's."""

SAMPLE = 2**17
"""Rows, about, that are kept of each table to start networks from, to calibrate and to score."""

PARTS = ("train", "validation", "test")
TEST = 2
"""The place of the part that no training looks at."""


@dataclass(frozen=True)
class Uses:
    """What each row is for, by draws."""

    seed: int
    validation: float
    test: float
    folds: int
    share: float

    def of(self, place: Place, rows: int) -> tuple[NDArray[np.int8], NDArray[np.int64], Any]:
        """The part of each row as a place in ``PARTS``, its fold, and whether it is kept."""
        bits = np.random.Philox(key=key_of(self.seed, SPLIT, *place)).random_raw(3 * rows)
        first, second, third = bits.reshape(3, rows)
        u = (first >> np.uint64(11)) * 2.0**-53
        part = np.where(u < self.test, 2, np.where(u < self.test + self.validation, 1, 0))
        fold = (second % np.uint64(self.folds)).astype(np.int64)
        kept = (third >> np.uint64(11)) * 2.0**-53 < self.share
        return part.astype(np.int8), fold, kept


@dataclass
class Scan:
    """What one pass over a stream found.

    Attributes:
        columns: condensed ones, of all cells; trained: the same for training rows, see ``Summary``.
        counts: rows with a target by place, part and fold.
        kept: a sample of rows by place. missing: cells by column. digest: of the contents.
    """

    summaries: dict[str, Summary]
    counts: dict[Place, NDArray[np.int64]]
    kept: list[tuple[Table, Any, Any]]
    digest: str


def scan(stream: Stream, target: str, options: Options, uses: Uses) -> Scan:
    """One pass over all pieces."""
    counts: dict[Place, NDArray[np.int64]] = {}
    kept: list[tuple[Table, Any, Any]] = []
    passed = {*options.drop, *options.category}
    places = [(g, p) for g, group in enumerate(stream.groups) for p in range(len(group))]

    def summaries() -> Iterator[_Sum]:
        for place, table in zip(places, stream.tables(places), strict=True):
            part, fold, chosen = uses.of(place, table.rows)
            for column in table.columns:  # here, where rows are known by file and number
                if column.numbers is not None and column.name not in passed and not column.finite:
                    refuse_infinite(table, column, f" among {table.rows} rows")
            has = ~table[target].missing
            weights = (
                None if options.weight is None else row_weights(table, options.weight, some=False)
            )
            own = has & (part == 0)
            own &= True if weights is None else weights > 0
            found = np.zeros((len(PARTS), uses.folds), np.int64)
            np.add.at(found, (part[has], fold[has]), 1)
            counts[place] = found
            rows = np.flatnonzero(chosen & has)
            if len(rows):
                kept.append((_some(table, rows), part[rows], fold[rows]))
            with np.errstate(invalid="ignore"):  # infinities in columns that are left out
                each = {
                    c.name: Summary.of(c, own, weights, c.name == target) for c in table.columns
                }
            yield _Sum(each)

    reading = summaries()
    total: Any = added((0, len(places)), cast(Any, _Leaves(reading)))
    keys = [total.each[name].key for name in stream.names]
    digest = sha256(repr([stream.names, stream.groups]).encode() + b"".join(keys)).hexdigest()
    return Scan(total.each, counts, kept, digest)


@dataclass(frozen=True)
class _Sum:
    """Summaries of all columns, to be added."""

    each: dict[str, Summary]

    def __add__(self, other: _Sum) -> _Sum:
        found = {}
        for name, one in self.each.items():
            try:
                found[name] = one + other.each[name]
            except MixedError:
                raise DataError(
                    f"column {name!r} is numbers in some pieces and words in others"
                ) from None
        return _Sum(found)


class _Leaves:
    """The leaves of the tree along which summaries are added, each asked once and in order."""

    def __init__(self, items: Iterator[_Sum]) -> None:
        self.items = items

    def __contains__(self, node: tuple[int, int]) -> bool:
        return node[1] - node[0] == 1

    def __getitem__(self, node: tuple[int, int]) -> _Sum:
        return next(self.items)


def _some(table: Table, rows: NDArray[np.intp]) -> Table:
    """Some rows, which hold on to no others."""
    if len(rows) == table.rows:
        return table
    taken = table.take(rows)
    columns = []
    for column in taken.columns:
        if column.numbers is not None and table[column.name].whole is None:
            numbers, missing = column.numbers, column.missing
            made = _own_numbers(numbers, missing)
        else:
            codes = column.codes
            made = _own_codes(codes)
        columns.append(dataclasses.replace(column, encode=made))
    return dataclasses.replace(taken, columns=tuple(columns), digest=str)


def _own_numbers(numbers: Any, missing: Any) -> Callable[[], Any]:
    return lambda: encode_numbers(numbers, missing)


def _own_codes(codes: Any) -> Callable[[], Any]:
    return lambda: codes
