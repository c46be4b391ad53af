"""How the cells of each column become the inputs of a network; learned from training rows.

A rule is a frozen record of what was learned. ``inputs`` names the network inputs it makes,
``encode`` looks a column over and returns what makes that many numbers of each of its rows, and
notes. A category, or "missing", gets an input
of its own only if enough training rows have it (``enough``): a weight that hardly any row trains
would be learned by heart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.tabular.columns import boolean_words, refuse_infinite
from chainrule.tabular.dates import EPOCH, FEATURES, Dates, date_features, read_dates
from chainrule.tabular.table import Column, Table, tallied
from chainrule.tabular.words import number_text, quoted, several

__all__ = ["KINDS", "MOST", "Boolean", "Category", "Date", "Dropped", "Number", "Rule", "enough"]


def enough(rows: int) -> int:
    """The fewest of so many training rows that give a category an input of its own: 5, or in
    small tables one row in forty."""
    return min(5, max(1, rows // 40))


MOST = 100
"""The most inputs one column's categories get; the rarest of the rest share one."""
SPIKE = 20
"""So many training rows with the same number of a column that has hardly another give that an
input of its own."""
SPIKES = 256
"""So many such inputs a table may have: pixels, which are nearly always 0, need none."""
FEW = 2**12
"""So many different numbers are none that come again."""

Rows = NDArray[np.intp]
Weights = NDArray[np.float64] | None
"""Of rows; None where all count the same."""

Encoded = tuple[Callable[[Any], NDArray[np.float64]], list[str]]
"""From places of rows, an array or a slice, to their inputs (rows, inputs); and notes."""


def moments_of(x: NDArray[np.float64], weights: Weights = None) -> tuple[float, float]:
    """Mean and standard deviation (over n), without overflow on the way."""
    most = float(np.max(np.abs(x), initial=0.0))
    if most == 0 or np.all(x == x[0]):
        return (float(x[0]) if len(x) else 0.0), 0.0
    z = x / most
    mean = np.average(z, weights=weights)
    return float(most * mean), float(most * np.sqrt(np.average((z - mean) ** 2, weights=weights)))


def quantiles(
    x: NDArray[np.float64], shares: Any, counts: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """``np.quantile`` of the columns of ``x`` (n, ...), each row of which counts so many times."""
    if counts is None:
        return np.quantile(x, shares, axis=0)
    order = np.argsort(x, axis=0, kind="stable")
    ends = np.cumsum(np.asarray(counts)[order], axis=0)
    x = np.take_along_axis(x, order, axis=0)
    places = np.asarray(shares) * (counts.sum() - 1)
    found = []
    for place in np.atleast_1d(places):
        low, high = np.floor(place), np.ceil(place)
        at = [np.sum(ends <= rank, axis=0)[None] for rank in (low, high)]
        below, above = (np.take_along_axis(x, one, axis=0)[0] for one in at)
        with np.errstate(over="ignore"):
            found.append(below + (above - below) * (place - low))
    return np.array(found).reshape(np.shape(shares) + x.shape[1:])


def _of(weights: Weights, kept: NDArray[np.bool_]) -> Weights:
    return None if weights is None else weights[kept]


def _with_indicator(
    columns: NDArray[np.float64], missing: NDArray[np.bool_], indicator: bool
) -> NDArray[np.float64]:
    return np.column_stack([columns, missing.astype(np.float64)]) if indicator else columns


def _by_word(column: Column, values: NDArray[np.float64]) -> Callable[[Any], NDArray[np.float64]]:
    """Inputs of rows from those of each word, (words + 1, inputs), the last of a missing cell."""
    codes = column.codes[0]
    return lambda rows: values[codes[rows]]


@dataclass(frozen=True)
class Number:
    """(cell - center) / scale; missing cells are ``fill``, flagged if ``indicator``.

    ``scale`` 0 means one value in all training rows: then there is no input but the flag. Each of
    ``spikes`` has an input, 1 where the cell is that number.
    """

    kind: ClassVar[str] = "number"
    name: str
    center: float
    scale: float
    fill: float
    low: float
    high: float
    indicator: bool
    spikes: tuple[float, ...] = ()

    @classmethod
    def learn(cls, column: Column, rows: Rows, weights: Weights = None) -> Number | Dropped:
        assert column.numbers is not None
        x = column.numbers[rows]
        present = ~np.isnan(x)
        x, gone, least = x[present], column.count(rows[~present]), enough(column.count(rows))
        if len(x) == 0:
            return Dropped(column.name, "every cell of the training rows is missing")
        whole = column.whole
        center, scale = (whole and whole.moments) or moments_of(x, _of(weights, present))
        if scale == 0 and gone < least:
            return Dropped(column.name, f"every training row has {number_text(float(x[0]))}")
        low, high = float(x.min()), float(x.max())
        fill = float(
            np.median(x) if whole is None else quantiles(x, 0.5, whole.counts[rows[present]])
        )
        return cls(column.name, center, scale, fill, low, high, gone >= least)

    def spiked(self, column: Column, rows: Rows) -> Number:
        """The same with the ``spikes`` of a column whose quartiles are one number: what gains of
        0, 5013 and 7688 have in common with one another is not what lies between them."""
        assert column.numbers is not None
        x = column.numbers[rows]
        present = ~np.isnan(x)
        x, counts = x[present], column.counts(rows[present])
        values, inverse = np.unique(x, return_inverse=True)
        low, high = quantiles(x, (0.25, 0.75), counts)
        if low != high or not 2 < len(values) < FEW:  # of two, one input tells all
            return self
        tally = np.bincount(inverse, counts)
        frequent = np.argsort(-tally, kind="stable")[:MOST]
        spikes = np.sort(values[frequent[tally[frequent] >= SPIKE]])
        return replace(self, spikes=tuple(spikes.tolist()))

    def inputs(self) -> list[str]:
        own = [self.name] * (self.scale > 0) + [f"{self.name} missing"] * self.indicator
        return own + [f"{self.name} = {number_text(value)}" for value in self.spikes]

    def encode(self, table: Table, column: Column) -> Encoded:
        missing = column.missing
        if column.stored is None:
            row = column.obstacle[0] if column.obstacle else 0
            raise type_changed(table, column, row, "is not a number", "as numbers")
        clean = column.finite
        if not clean:
            refuse_infinite(table, column)

        def fill(rows: Any) -> NDArray[np.float64]:
            numbers = column.numbers
            assert numbers is not None
            gone, x = missing[rows], numbers[rows]
            z = (x if clean else np.where(gone, self.fill, x)) - self.center
            if self.scale > 0:
                z /= self.scale
            z = z[:, None] if self.scale > 0 else np.empty((len(z), 0))
            z = _with_indicator(z, gone, self.indicator)
            return z if not self.spikes else np.hstack([z, x[:, None] == np.array(self.spikes)])

        return fill, []

    def statistics(self) -> str:
        mean, deviation, fill = (f"{v:.6g}" for v in (self.center, self.scale, self.fill))
        more = f"; an input each for {len(self.spikes)} frequent values" if self.spikes else ""
        return f"mean {mean}, deviation {deviation}, median {fill}{more}"


@dataclass(frozen=True)
class Boolean:
    """1 for the word ``true``, 0 for ``false``, standardised; missing cells are the mean."""

    kind: ClassVar[str] = "boolean"
    name: str
    false: str
    true: str
    center: float
    scale: float
    indicator: bool

    @classmethod
    def learn(cls, column: Column, rows: Rows, weights: Weights = None) -> Boolean | Dropped:
        codes, words = column.codes
        pair = boolean_words(words)
        assert pair is not None
        x = cls._bits(codes[rows], words, pair[1])
        present = ~np.isnan(x)
        indicator = column.count(rows[~present]) >= enough(column.count(rows))
        if np.all(x == x[0]) and not indicator:
            return Dropped(column.name, "every training row is the same")
        center, scale = moments_of(x[present], _of(weights, present))
        return cls(column.name, *pair, center, scale, indicator)

    @staticmethod
    def _bits(codes: NDArray[np.int32], words: tuple[str, ...], true: str) -> NDArray[np.float64]:
        values = np.array([*(float(word.lower() == true) for word in words), np.nan])
        return values[codes]  # -1, missing, takes the last

    def inputs(self) -> list[str]:
        return [self.name] * (self.scale > 0) + [f"{self.name} missing"] * self.indicator

    def encode(self, table: Table, column: Column) -> Encoded:
        codes, words = column.codes
        for index, word in enumerate(words):
            if word.lower() not in (self.false, self.true):
                row = int(np.argmax(codes == index))
                wrong = f"is neither {self.true!r} nor {self.false!r}"
                raise type_changed(table, column, row, wrong, "as true or false")
        x = self._bits(np.arange(len(words) + 1, dtype=np.int32), words, self.true)
        z = np.where(np.isnan(x), 0.0, (x - self.center) / (self.scale or 1.0))
        z = z[:, None] if self.scale > 0 else np.empty((len(z), 0))
        return _by_word(column, _with_indicator(z, np.isnan(x), self.indicator)), []

    def statistics(self) -> str:
        return f"{self.true} in {self.center:.1%} of rows"


@dataclass(frozen=True)
class Category:
    """One input per category, 1 where the cell is it. ``counts`` are of training rows.

    ``other`` is an input for categories too rare or too many for their own, and for unseen
    ones; without it an unseen category has all inputs 0. ``missing`` is an input for missing
    cells; without it they are treated as unseen.
    """

    kind: ClassVar[str] = "category"
    name: str
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    rare: tuple[str, ...]
    other: bool
    missing: bool

    @classmethod
    def learn(cls, column: Column, rows: Rows, weights: Weights = None) -> Category | Dropped:
        codes, words = column.codes
        tally = tallied(codes[rows] + 1, column.counts(rows), len(words) + 1)
        gone, counts = int(tally[0]), tally[1:]
        if np.count_nonzero(tally) <= 1:
            return Dropped(column.name, "every training row has the same")
        least = enough(column.count(rows))
        # The most frequent first decides who is kept; then in sorted order.
        ranked = sorted(range(len(words)), key=lambda i: (-counts[i], words[i]))
        kept = sorted((i for i in ranked[:MOST] if counts[i] >= least), key=lambda i: words[i])
        rest = sorted(words[i] for i in ranked if counts[i] > 0 and i not in set(kept))
        if not kept and gone < least:
            return Dropped(column.name, "no category is in enough training rows")
        return cls(
            column.name,
            tuple(words[i] for i in kept),
            tuple(int(counts[i]) for i in kept),
            tuple(rest),
            other=bool(rest) or 0 < gone < least,
            missing=gone >= least,
        )

    def inputs(self) -> list[str]:
        extra = ["other"] * self.other + ["missing"] * self.missing
        return [f"{self.name} = {value}" for value in self.categories] + [
            f"{self.name} {value}" for value in extra
        ]

    def encode(self, table: Table, column: Column) -> Encoded:
        codes, words = column.codes
        place = {word: i for i, word in enumerate(self.categories)}
        width = len(self.inputs())
        rest = len(place) if self.other else width  # width: none of the inputs
        gone = width - 1 if self.missing else rest
        target = np.array([*(place.get(word, rest) for word in words), gone], dtype=np.intp)
        hot = np.eye(width + 1, width)
        return lambda rows: hot[target[codes[rows]]], self._unseen(table, column)

    def _unseen(self, table: Table, column: Column) -> list[str]:
        """A note on categories that training never saw; an error if the type changed."""
        codes, words = column.codes
        known = {*self.categories, *self.rare}
        unseen = np.array([*(word not in known for word in words), False])[codes]
        if not unseen.any():
            return []
        row = int(np.argmax(unseen))
        changed = np.all(unseen | column.missing)
        if column.numbers is not None and changed:
            known_words = quoted(self.categories, 3)
            wrong = "is a number, as is every cell of the column"
            raise type_changed(table, column, row, wrong, f"as categories such as {known_words}")
        treated = 'as "other"' if self.other else "as none of the known ones"
        return [
            f"{table.where(row, column.name)}: category {column.shown(row)} was not seen in "
            f"training ({several(int(unseen.sum()), 'row')} with such); coded {treated}"
        ]

    def statistics(self) -> str:
        pairs = sorted(zip(self.categories, self.counts, strict=True), key=lambda p: -p[1])
        parts = [", ".join(f"{word} {count}" for word, count in pairs[:6])]
        parts[0] += f" and {len(pairs) - 6} more" if len(pairs) > 6 else ""
        if self.other:
            parts.append(f"other: {len(self.rare)} rare" if self.rare else "other")
        if self.missing:
            parts.append("an input flags missing cells")
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True)
class Date:
    """The named features of ``dates.FEATURES``, standardised; missing cells are their means.

    ``order`` is that of day and month in the training data, "" where they could not change places.
    """

    kind: ClassVar[str] = "date"
    name: str
    features: tuple[str, ...]
    centers: tuple[float, ...]
    scales: tuple[float, ...]
    low: str
    high: str
    indicator: bool
    order: str = ""

    @classmethod
    def learn(cls, column: Column, rows: Rows, weights: Weights = None) -> Date | Dropped:
        dates = read_dates(column.codes[1], column.order)
        x = cls._features(dates)[column.codes[0][rows]]
        gone = np.isnan(x[:, 0])
        x, weights = x[~gone], _of(weights, ~gone)
        if len(x) == 0:
            return Dropped(column.name, "every cell of the training rows is missing")
        learned = [(f, *moments_of(x[:, i], weights)) for i, f in enumerate(FEATURES)]
        kept = [item for item in learned if item[2] > 0]
        indicator = column.count(rows[gone]) >= enough(column.count(rows))
        if not kept and not indicator:
            return Dropped(column.name, "every training row has the same date")
        low, high = (EPOCH + timedelta(days=float(v)) for v in (x[:, 0].min(), x[:, 0].max()))
        names, centers, scales = zip(*kept, strict=True) if kept else ((), (), ())
        ends = low.isoformat(" ", "seconds"), high.isoformat(" ", "seconds")
        return cls(column.name, names, centers, scales, *ends, indicator, dates.order)

    @staticmethod
    def _features(dates: Dates) -> NDArray[np.float64]:
        """Those of each word, and last of a missing one, nan."""
        return np.vstack([date_features(dates.moments), np.full(len(FEATURES), np.nan)])

    def inputs(self) -> list[str]:
        return [f"{self.name} {f}" for f in self.features] + [
            f"{self.name} missing"
        ] * self.indicator

    def encode(self, table: Table, column: Column) -> Encoded:
        codes, words = column.codes
        dates = read_dates(words, column.order or self.order or None)
        wrong = [i for i, moment in enumerate(dates.moments) if moment is None]
        row = int(np.argmax(codes == wrong[0])) if wrong else 0
        if wrong and len(wrong) == len(words):
            raise type_changed(table, column, row, "is not a date", "as dates")
        if dates.doubt:
            row = int(np.argmax(codes == dates.at))
            raise DataError(f"{table.where(row, column.name)}: {dates.doubt}")
        chosen = [FEATURES.index(f) for f in self.features]
        x = self._features(dates)
        gone = np.isnan(x[:, 0])
        z = (x[:, chosen] - np.array(self.centers)) / np.array(self.scales)
        notes = [
            f"{table.where(row, column.name)}: {column.shown(row)} is no date and counts as missing"
        ] * bool(wrong)
        z = _with_indicator(np.where(gone[:, None], 0.0, z), gone, self.indicator)
        return _by_word(column, z), notes

    def statistics(self) -> str:
        return f"from {self.low} to {self.high}"


@dataclass(frozen=True)
class Dropped:
    """A column that is not used, and why."""

    kind: ClassVar[str] = "dropped"
    name: str
    why: str

    def inputs(self) -> list[str]:
        return []

    def statistics(self) -> str:
        return self.why


Rule = Number | Boolean | Category | Date | Dropped


def with_spikes(
    rules: Sequence[Rule], known: Callable[[str], tuple[Column, Rows]]
) -> tuple[Rule, ...]:
    """The rules with the spikes of numbers (``Number.spiked``), if these are not too many;
    ``known`` are a column and its training rows by the column's name."""
    new = [r.spiked(*known(r.name)) if isinstance(r, Number) else r for r in rules]
    many = sum(len(r.spikes) for r in new if isinstance(r, Number)) > SPIKES
    return tuple(rules if many else new)


KINDS: dict[str, type[Any]] = {cls.kind: cls for cls in (Number, Boolean, Category, Date, Dropped)}


def type_changed(table: Table, column: Column, row: int, wrong: str, learned: str) -> DataError:
    return DataError(
        f"{table.where(row, column.name)}: {column.shown(row)} {wrong}; the model learned this "
        f"column {learned}. Mend the cell, or leave it empty if the value is not known"
    )
