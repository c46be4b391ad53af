"""What is predicted: the task, and the target's cells as numbers.

The rule that infers the task from the present cells of the target: text is classes (two:
``binary``; more: ``multiclass``). Numbers are classes if there are at least twice as many rows as
different values, and these are two, or whole numbers from 0 or 1 upwards without a gap to at
most 20. Any other numbers are ``regression``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, UsageError
from chainrule.tabular.columns import refuse_infinite
from chainrule.tabular.rules import moments_of
from chainrule.tabular.table import Column, Table
from chainrule.tabular.words import quoted, several

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

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return len(self.classes) if self.task == "multiclass" else 1

    def rows(self, table: Table) -> NDArray[np.intp]:
        """The rows of ``table`` whose target is present, as indices (n,). DataError if there are
        none, or no such column."""
        present = np.flatnonzero(~table[self.name].missing)
        if len(present) == 0:
            raise DataError(
                f"{table.source}: every cell of the target {self.name!r} is missing; "
                f"name a column that has values"
            )
        return present

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
        index = np.array([*(place.get(word, -1) for word in words), -1], dtype=np.intp)[codes]
        unknown = rows[index[rows] < 0]
        if len(unknown):
            row = int(unknown[0])
            raise DataError(
                f"{table.where(row, self.name)}: class {column.text(row)!r} is none of the "
                f"classes of training, {quoted(self.classes)} "
                f"({several(len(unknown), 'such row')}); mend the cell, or train on data with "
                f"this class"
            )
        return index[rows]

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        return {
            "name": self.name,
            "task": self.task,
            "classes": list(self.classes),
            "shares": list(self.shares),
            "center": self.center,
            "scale": self.scale,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Target:
        """The target whose ``to_json`` gives ``record``, which is not checked here."""
        tuples = {key: tuple(record[key]) for key in ("classes", "shares")}
        return cls(**{**record, **tuples})


def learn_target(table: Table, name: str, task: str | None) -> tuple[Target, str]:
    """The target with its task and classes, and a note on how the task was inferred, or "".

    Its statistics still have to be learned from training rows (``with_statistics``).
    """
    column = table[name]
    if column.unsupported:
        raise DataError(
            f"{table.source}: the target {name!r} has {column.unsupported}, which is not "
            f"supported; store numbers or text"
        )
    rows = Target(name, "").rows(table)
    note = ""
    if task is None:
        task = _infer(column)
        if column.numbers is not None:
            note = _alternative(name, task)
    if task == "regression":
        _refuse_one_value(table, column, rows)
        return Target(name, task), note
    classes = _classes(table, column, rows)
    if task == "binary" and len(classes) != 2:
        raise UsageError(
            f"task='binary': the target {name!r} has {len(classes)} classes, "
            f"{quoted(classes, 5)}; write task='multiclass'"
        )
    return Target(name, task, classes), note


def with_statistics(
    target: Target, values: NDArray[Any], weights: NDArray[np.float64] | None
) -> Target:
    """The target with what is learned from its training rows: class shares, or mean and scale."""
    if target.task != "regression":
        shares = np.bincount(values, weights, minlength=len(target.classes))
        return replace(target, shares=tuple((shares / shares.sum()).tolist()))
    _, scale = moments_of(values)
    if scale == 0:
        raise DataError(
            f"target {target.name!r}: every training row has the same value, so there is "
            f"nothing to learn"
        )
    return replace(target, center=float(np.average(values, weights=weights)), scale=scale)


def _infer(column: Column) -> str:
    words = column.codes[1]
    x = column.numbers
    if x is None:
        return "binary" if len(words) == 2 else "multiclass"
    present = x[~np.isnan(x)]
    values = np.unique(present)
    if 2 * len(values) > len(present):
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
        raise DataError(
            f"{table.where(row, column.name)}: {column.text(row)!r} is not a number ("
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


def _classes(table: Table, column: Column, rows: NDArray[np.intp]) -> tuple[str, ...]:
    if column.numbers is not None:
        refuse_infinite(table, column)
    words = column.codes[1]
    if len(words) == 1:
        raise DataError(
            f"{table.source}: the target {column.name!r} has one class, {words[0]!r}, in every "
            f"row, so there is nothing to learn; add rows of another class or choose another "
            f"target"
        )
    if len(words) > MOST_CLASSES or 2 * len(words) > max(len(rows), 20):
        raise DataError(
            f"{table.source}: the target {column.name!r} has {len(words)} different values in "
            f"{len(rows)} rows, too many for classes; "
            + ("write task='regression'" if column.numbers is not None else "choose another target")
        )
    if column.numbers is not None:
        return tuple(sorted(words, key=lambda word: (float(word), word)))
    return tuple(sorted(words))
