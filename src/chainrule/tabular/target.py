"""What is predicted: the task, and the target's cells as numbers.

The rule that infers the task from the present cells of the target: text is classes (two:
``binary``; more: ``multiclass``). Numbers are classes if there are at least twice as many rows as
different values, and these are two, or whole numbers from 0 or 1 upwards without a gap to at
most 20. Any other numbers are ``regression``.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, UsageError
from chainrule.tabular.columns import (
    boolean_words,
    reading_note,
    refuse_doubt,
    refuse_infinite,
)
from chainrule.tabular.options import EXPONENTIAL
from chainrule.tabular.rules import moments_of
from chainrule.tabular.table import Column, Table, tallied
from chainrule.tabular.words import cut, mend, quoted, several, shown

__all__ = ["Target", "learn_target"]

MOST_LABELS = 20
"""Whole numbers up to this one, from 0 or 1 without a gap, are labels of classes."""

MOST_CLASSES = 1000


@dataclass(frozen=True)
class Target:
    """The target column and how its cells become numbers.

    Attributes:
        name: the column's.
        task: "regression", "binary" or "multiclass" (L2.4).
        classes: words as they stand in the file, in sorted order (numbers by value); of two, the
            second is the positive one. Empty for regression.
        aliases: other words for a class, with the class.
        shares: those of the classes of the training weight.
        center, scale: mean and deviation of the training rows, by which a regression target is
            standardised inside; in the target's units, and 0 for classes.
    """

    name: str
    task: str
    classes: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    center: float = 0.0
    scale: float = 0.0
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return len(self.classes) if self.task == "multiclass" else 1

    def rows(self, table: Table) -> NDArray[np.intp]:
        """The rows of ``table`` whose target is present, as indices (n,). DataError if there are
        none, or no such column."""
        present = np.flatnonzero(~table[self.name].missing)
        if len(present) == 0:
            raise self.without(table.source)
        return present

    def without(self, source: str) -> DataError:
        """The error about data, ``source``, in which every cell of the target is missing."""
        return DataError(
            f"{source}: every cell of the target {self.name!r} is missing; "
            f"name a column that has values"
        )

    def left_out(self, table: Table, rows: NDArray[np.intp]) -> list[str]:
        """A note on the rows of ``table`` without a target, if there are any besides ``rows``."""
        if len(rows) == table.rows:
            return []
        gone = several(table.rows - len(rows), "row")
        return [f"{table.source}: left out: {gone} without {self.name!r}, the target"]

    def numbers(self, table: Table, rows: NDArray[np.intp]) -> NDArray[Any]:
        """The target in each of the ``rows`` (n,) of ``table``: class indices, or numbers in the
        target's own units, shape (n,).

        Raises DataError naming line, column and value where a cell is not of the task.
        """
        column = table[self.name]
        if self.task == "regression":
            return _regression_numbers(table, column)[rows]
        codes, words = column.codes
        place = {word: i for i, word in enumerate(self.classes)}
        place |= {word: place[name] for word, name in self.aliases if name in place}
        index = np.array([*(place.get(word, -1) for word in words), -1], dtype=np.intp)[codes]
        unknown = rows[index[rows] < 0]
        if len(unknown):
            row = int(unknown[0])
            raise DataError(
                f"{table.where(row, self.name)}: class {column.shown(row)} is none of the "
                f"classes of training, {quoted(self.classes)} "
                f"({several(len(unknown), 'such row')}); " + self._advice(column.text(row))
            )
        return index[rows]

    def _advice(self, word: str) -> str:
        """What to do about a class that is not known: an almost equal one may be meant."""
        bare = {_bare(name): name for name in self.classes}
        close = difflib.get_close_matches(_bare(word), list(bare), 1)
        if not close:
            return "mend the cell, or train on data with this class"
        return f"add map_class=({cut(word)!r}, {bare[close[0]]!r}) if that class is meant"

    def with_aliases(self, pairs: Sequence[tuple[str, str]]) -> Target:
        """The target with further words for classes: ``pairs`` of a word and the class it stands
        for. UsageError for a class that is not known."""
        for word, name in pairs:
            if self.classes and name not in self.classes:
                raise UsageError(
                    f"map_class=({word!r}, {name!r}): {shown(name)} is none of the classes, "
                    f"{quoted(self.classes)}"
                )
        return replace(self, aliases=(*self.aliases, *pairs))

    def standardised(self, values: NDArray[np.float64], loss: str | None) -> NDArray[np.float64]:
        """``values`` (n,) as a ``loss`` takes them: (y - center) / scale, or y / center of one that
        predicts through an exponential."""
        if loss in EXPONENTIAL:
            return values / self.center
        return (values - self.center) / self.scale

    def restored(self, values: NDArray[np.float64], loss: str | None) -> NDArray[np.float64]:
        """The inverse of ``standardised``, for ``values`` and ``loss`` as it has them."""
        if loss in EXPONENTIAL:
            return values * self.center
        return values * self.scale + self.center

    def check_loss(self, table: Table, rows: NDArray[np.intp], loss: str | None) -> None:
        """DataError at the first of these ``rows`` of ``table`` that has a number which ``loss``
        cannot take."""
        if loss not in EXPONENTIAL:
            return
        values = self.numbers(table, rows)
        wrong = values <= 0 if loss == "gamma" else values < 0
        if wrong.any():
            row, least = (
                int(rows[int(np.argmax(wrong))]),
                "above 0" if loss == "gamma" else "from 0 up",
            )
            raise DataError(
                f"{table.where(row, self.name)}: loss={loss!r} needs numbers {least}, and this is "
                f"{table[self.name].text(row)}; choose another loss, or mend the cell"
            )

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        return {
            "name": self.name,
            "task": self.task,
            "classes": list(self.classes),
            "shares": list(self.shares),
            "center": self.center,
            "scale": self.scale,
            "aliases": [list(pair) for pair in self.aliases],
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Target:
        """The target whose ``to_json`` gives ``record``, which is not checked here."""
        tuples: dict[str, Any] = {key: tuple(record[key]) for key in ("classes", "shares")}
        tuples["aliases"] = tuple((word, name) for word, name in record["aliases"])
        return cls(**{**record, **tuples})


def learn_target(
    table: Table, name: str, task: str | None, map_class: Sequence[tuple[str, str]] = ()
) -> tuple[Target, list[str]]:
    """The target with its task and classes, and notes on how it was read and the task inferred.

    ``map_class`` are pairs of a word and the class that it stands for. Its statistics still have
    to be learned from training rows (``with_statistics``).
    """
    column = table[name]
    if column.unsupported:
        raise DataError(
            f"{table.source}: the target {shown(name)} has {column.unsupported}, which is not "
            f"supported; store numbers or text"
        )
    refuse_doubt(table, column)
    rows = Target(name, "").rows(table)
    notes = [reading_note(table, column)]
    if task is None:
        if not map_class:
            _refuse_few_words(table, column)
        task = _infer(column)
        if column.numbers is not None:
            notes.append(_alternative(name, task))
    if task == "regression":
        if map_class:
            raise UsageError("map_class: is for classes, and the task is regression")
        _refuse_one_value(table, column, rows)
        return Target(name, task), notes
    pairs, note = _one_spelling(table, column, map_class)
    classes = _classes(table, column, rows, dict(pairs))
    if task == "multiclass" and column.numbers is None and len(classes) == 2 and pairs:
        task = "binary"
    if task == "binary" and len(classes) != 2:
        raise UsageError(
            f"task='binary': the target {shown(name)} has {len(classes)} classes, "
            f"{quoted(classes, 5)}; write task='multiclass'"
        )
    target = Target(name, task, classes).with_aliases(pairs)
    return target, [*notes, note, _lonely(table, target, rows)]


def _one_spelling(
    table: Table, column: Column, map_class: Sequence[tuple[str, str]]
) -> tuple[list[tuple[str, str]], str]:
    """The given pairs, and those of words such as Yes, yes and YES with the commonest of them;
    and a note on what was taken together, or on what was not."""
    words, given, counts = column.codes[1], dict(map_class), column.tally()
    alike: dict[str, list[int]] = {}
    for i, word in enumerate(words):
        if word not in given and counts[i]:
            alike.setdefault(word.lower(), []).append(i)
    boolean = boolean_words(tuple(words[i] for group in alike.values() for i in group))
    pairs, notes = list(given.items()), []
    for group in alike.values():
        if len(group) == 1:
            continue
        best = words[max(group, key=lambda i: (counts[i], -i))]
        others = [words[i] for i in group if words[i] != best]
        if boolean:
            pairs += [(word, best) for word in others]
            notes.append(f"{quoted(others)} taken as {quoted((best,))}")
        else:
            notes.append(
                f"{quoted([best, *others])} differ in capitals only; add "
                f"map_class=({others[0]!r}, {best!r}) if they are one class"
            )
    told = f"{table.source}: target {quoted((column.name,))}: {'; '.join(notes[:5])}"
    return pairs, told if notes else ""


def _lonely(table: Table, target: Target, rows: NDArray[np.intp]) -> str:
    """A note on classes with one row, of which no part but one can have any."""
    places = target.numbers(table, rows)
    counts = tallied(places, table[target.name].counts(rows), len(target.classes))
    lonely = [name for name, count in zip(target.classes, counts, strict=True) if count == 1]
    if not lonely:
        return ""
    which = "class has" if len(lonely) == 1 else "classes have"
    return f"{several(len(lonely), '').strip()} {which} one row each: {quoted(lonely)}"


def _refuse_few_words(table: Table, column: Column) -> None:
    """Numbers with a few words among them are not silently made classes."""
    if column.numbers is not None or column.obstacle is None or column.codes_only:
        return
    row, count = column.obstacle
    present = column.count(~column.missing)
    if 2 * count >= present:
        return
    word = column.text(row)
    raise DataError(
        f"{table.where(row, column.name)}: {shown(word)} is not a number ({count} of {present} "
        f"cells of the target); {mend(word)}, or add task='multiclass' if the numbers are classes "
        f"too"
    )


def with_statistics(
    target: Target,
    values: NDArray[Any],
    weights: NDArray[np.float64] | None,
    moments: tuple[float, float] | None = None,
) -> Target:
    """The target with what is learned from its training rows: class shares, or mean and scale,
    which are ``moments`` where they are known."""
    if target.task != "regression":
        shares = np.bincount(values, weights, minlength=len(target.classes))
        return replace(target, shares=tuple((shares / shares.sum()).tolist()))
    center, scale = moments or moments_of(values, weights)
    if scale == 0:
        raise DataError(
            f"target {target.name!r}: every training row has the same value, so there is "
            f"nothing to learn"
        )
    return replace(target, center=center, scale=scale)


def _infer(column: Column) -> str:
    x = column.numbers
    if x is None:
        words = {word.lower() for word in column.codes[1]}
        if boolean_words(tuple(words)):
            return "binary"
        words = column.codes[1]
        return "binary" if len(words) == 2 else "multiclass"
    present = ~np.isnan(x)
    values = np.unique(x[present])
    if 2 * len(values) > column.count(present):
        return "regression"
    if len(values) == 2:
        return "binary"
    # One value too is "labels": one class, refused by that name.
    gapless = values[0] in (0, 1) and np.array_equal(values, values[0] + np.arange(len(values)))
    labels = gapless and values[-1] <= MOST_LABELS
    return "multiclass" if labels and len(values) > 1 else "regression"


def _alternative(name: str, task: str) -> str:
    if task == "regression":
        return ""
    return (
        f"the numbers of {name!r} are read as labels of classes; "
        f"add task='regression' if they measure something"
    )


def _regression_numbers(table: Table, column: Column) -> NDArray[np.float64]:
    if column.numbers is None:
        row = column.obstacle[0] if column.obstacle else 0
        count = column.obstacle[1] if column.obstacle else table.rows
        why = "has leading zeros, as codes have" if column.codes_only else "is not a number"
        raise DataError(
            f"{table.where(row, column.name)}: {column.shown(row)} {why} ("
            f"{several(count, 'such row')}), and a regression needs numbers as its target; mend "
            f"the cells, or write task='multiclass' to predict classes"
        )
    refuse_infinite(table, column)
    return column.numbers


def _refuse_one_value(table: Table, column: Column, rows: NDArray[np.intp]) -> None:
    values = _regression_numbers(table, column)[rows]
    if np.all(values == values[0]):
        raise DataError(
            f"{table.source}: the target {column.name!r} is {column.text(int(rows[0]))} in every "
            f"row, so there is nothing to learn; choose another target"
        )


def _bare(word: str) -> str:
    """A word without capitals, spaces and punctuation at its ends."""
    return word.strip(" .,;:!?'\"").lower()


def _classes(
    table: Table, column: Column, rows: NDArray[np.intp], aliases: dict[str, str]
) -> tuple[str, ...]:
    if column.numbers is not None:
        refuse_infinite(table, column)
    words = tuple(dict.fromkeys(aliases.get(word, word) for word in column.codes[1]))
    named = f"{table.source}: the target {shown(column.name)} has"
    if len(words) == 1:
        raise DataError(
            f"{named} one class, {shown(words[0])}, in every row, so there is nothing to learn; "
            f"add rows of another class or choose another target"
        )
    count = column.count(rows)
    if len(words) > MOST_CLASSES or 2 * len(words) > max(count, 20):
        raise DataError(
            f"{named} {len(words)} different values in {count} rows, too many for classes; "
            + ("write task='regression'" if column.numbers is not None else "choose another target")
        )
    if column.numbers is not None and not aliases:
        return tuple(sorted(words, key=lambda word: (float(word), word)))
    return tuple(sorted(words))
