"""All columns' rules together: a table in, network inputs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.run.native.runtime.team import available
from chainrule.tabular.columns import Decision
from chainrule.tabular.robust import Robust
from chainrule.tabular.rules import KINDS, Date, Dropped, Number, Rows, Rule, Weights, with_spikes
from chainrule.tabular.table import Column, Table
from chainrule.tabular.words import quoted, several

__all__ = ["Coding", "learn_coding"]

ROWS = 64
"""Rows that are turned from columns into rows at a time."""
MANY = 2**16
"""So many rows repay a thread of their own."""

BLOCK = 2**16
"""Inputs that are coded at a time, about, so that they stay in the processor's cache."""

FEWEST = 2**9
"""Rows that are coded at a time at least: each column costs some calls."""


@dataclass(frozen=True)
class Coding:
    """The rules of all columns, in the order of the training table, and what follows them.

    ``robust`` is a second stage for the networks of a preset; None for none.
    """

    rules: tuple[Rule, ...]
    robust: Robust | None = None

    def inputs(self) -> list[str]:
        """The network's inputs by name."""
        names = [name for rule in self.rules for name in rule.inputs()]
        return names if self.robust is None else [names[i] for i in self.robust.order]

    def places(self) -> dict[str, list[int]]:
        """Where the inputs of each column that is used stand among all of them."""
        order = [*range(len(self.inputs()))] if self.robust is None else [*self.robust.order]
        stands = {i: at for at, i in enumerate(order)}
        found, start = {}, 0
        for rule in self.rules:
            end = start + len(rule.inputs())
            if end > start:
                found[rule.name] = [stands[i] for i in range(start, end)]
            start = end
        return found

    def encode(
        self, table: Table, rows: Rows | None = None, dtype: Any = np.float64
    ) -> tuple[NDArray[np.float64], list[str]]:
        """The inputs of ``rows`` (None: every row), shape (rows, inputs), of ``dtype``, and notes
        for the user.

        Columns are matched by name; others than the rules' are ignored. Raises DataError for
        missing columns, a column whose type changed, and non-finite numbers.
        """
        used = [rule for rule in self.rules if not isinstance(rule, Dropped)]
        lacking = [rule.name for rule in used if rule.name not in table]
        if lacking:
            raise DataError(
                f"{table.source}: lacks {quoted(lacking)}, which the model was trained on; its "
                f"columns are {quoted(table.names())}"
            )
        notes: list[str] = []
        count = table.rows if rows is None else len(rows)
        first = 0 if rows is None or not count else int(rows[0])
        together = rows is None or not count or int(rows[-1]) - first == count - 1
        together = together and (rows is None or bool(np.all(rows[1:] == rows[:-1] + 1)))
        x, end = np.empty((count, sum(len(rule.inputs()) for rule in used)), dtype), 0
        fills, plain = [], _Plain(table)
        for rule in used:
            column = table[rule.name]
            if column.unsupported:
                raise DataError(
                    f"{table.source}: column {rule.name!r} has {column.unsupported}, which is "
                    f"not supported; store numbers, text or dates"
                )
            with np.errstate(all="ignore"):
                fill, said = rule.encode(table, column)
            start, end = end, end + len(rule.inputs())
            notes += said
            if isinstance(rule, Number) and column.finite and rule.scale > 0:
                plain.add(start, column, rule)
                start += 1
            if end > start:
                fills.append((slice(start, end), column, fill, isinstance(rule, (Number, Date))))

        def code(start: int, stop: int) -> None:
            block = min(stop - start, max(FEWEST, BLOCK // max(1, x.shape[1])))
            room = np.empty((x.shape[1], block + 8))  # no power of two of bytes apart
            with np.errstate(all="ignore"):
                for at in range(start, stop, max(1, block)):
                    end = min(at + block, stop)
                    some: Any = slice(first + at, first + end)
                    some = some if together else rows[at:end]  # type: ignore[index]
                    part = room[:, : end - at]
                    _code(table, plain, fills, some, part)
                    if self.robust is not None:
                        self.robust.apply(part)
                    for few in range(0, end - at, ROWS):
                        x[at + few : min(at + few + ROWS, end)] = part[:, few : few + ROWS].T

        _threaded(code, count)
        known = [table[rule.name] for rule in used if not table[rule.name].finite]
        filled = sum(int(np.count_nonzero(column.missing)) for column in known)
        if filled:
            notes.append(
                f"{table.source}: missing: {several(filled, 'cell')}, filled by the model's rules "
                f"(`chainrule inspect` shows them)"
            )
        return x, notes

    def to_json(self) -> list[dict[str, Any]]:
        """The rules as JSON records; ``from_json`` is the inverse."""
        return [{"kind": rule.kind, **_listed(asdict(rule))} for rule in self.rules]

    @classmethod
    def from_json(
        cls, records: Sequence[dict[str, Any]], robust: dict[str, Any] | None = None
    ) -> Coding:
        """The coding whose ``to_json`` gives ``records``, and its second stage; these are not
        checked here, but by ``TabularModel.load``."""
        rules = []
        for record in records:
            kind = KINDS[record["kind"]]
            values = {field.name: record[field.name] for field in fields(kind)}
            tupled = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            rules.append(kind(**tupled))
        return cls(tuple(rules), None if robust is None else Robust.from_json(robust))


def _code(
    table: Table, plain: _Plain, fills: list[Any], rows: Any, part: NDArray[np.float64]
) -> None:
    """Fill the inputs ``part`` (inputs, rows) of some rows; DataError as ``Coding.encode``."""
    plain.fill(part, rows)
    for places, column, fill, unbounded in fills:
        own = part[places]
        own[:] = fill(rows).T[-len(own) :]
        if unbounded and not np.isfinite(np.add.reduce(own, axis=None)):
            _refuse_far(table, column, own, rows)


def _threaded(work: Callable[[int, int], None], count: int) -> None:
    """``work(start, stop)`` for all of so many rows, by several threads if these are many."""
    parts = max(1, min(available(), count // MANY))
    ends = [count * i // parts for i in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:  # which starts threads when it gets work
        others = [pool.submit(work, *pair) for pair in pairwise(ends[1:])]
        work(*ends[:2])
        for other in others:
            other.result()


class _Plain:
    """Number columns without a missing cell, as runs of inputs that stand side by side: all
    inputs of a run are computed in one call."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.runs: list[tuple[int, list[Column], list[tuple[float, float]]]] = []

    def add(self, place: int, column: Column, rule: Number) -> None:
        """The input at ``place`` is (cell - center) / scale of this column."""
        if not self.runs or place != self.runs[-1][0] + len(self.runs[-1][1]):
            self.runs.append((place, [], []))
        self.runs[-1][1].append(column)
        self.runs[-1][2].append((rule.center, rule.scale))

    def fill(self, part: NDArray[np.float64], rows: Any) -> None:
        """Write these rows' inputs into ``part`` (inputs, rows)."""
        for start, columns, statistics in self.runs:
            block = part[start : start + len(columns)]
            for place, column in enumerate(columns):
                block[place] = column.stored[rows]  # type: ignore[index]
            center, scale = np.array(statistics).T[:, :, None]
            block -= center
            block /= scale
            if not np.isfinite(np.add.reduce(block, axis=None)):
                for place, column in enumerate(columns):
                    _refuse_far(self.table, column, block[place, None], rows)


def _listed(record: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in record.items()}


def _refuse_far(table: Table, column: Column, block: NDArray[np.float64], rows: Any) -> None:
    """Numbers so far from the training rows' that standardising them overflows."""
    far = ~np.all(np.isfinite(block), axis=0)
    if far.any():
        row = int(np.arange(table.rows)[rows][np.argmax(far)])
        raise DataError(
            f"{table.where(row, column.name)}: {column.shown(row)} is too large to compute with"
        )


def learn_coding(
    table: Table,
    decisions: Sequence[Decision],
    rows: Rows,
    weights: Weights = None,
    spikes: bool = False,
) -> Coding:
    """The rules for columns of decided kinds, learned from the given (training) rows; ``spikes``:
    whether frequent numbers get inputs of their own (``with_spikes``).

    ``weights`` of these rows count in means and deviations; a row of weight 0 counts nowhere.
    """
    if weights is not None:
        rows, weights = rows[weights > 0], weights[weights > 0]
    rules: list[Rule] = []
    for decision in decisions:
        if decision.kind == "dropped":
            rules.append(Dropped(decision.name, decision.why))
        else:
            rules.append(KINDS[decision.kind].learn(table[decision.name], rows, weights))
    return Coding(with_spikes(rules, lambda name: (table[name], rows)) if spikes else tuple(rules))
