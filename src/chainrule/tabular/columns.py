"""What each column of a table is, by stated rules over all of its rows.

In this order, the first that fits (``RULES`` is the same in one sentence each, for users):

1. nothing but missing cells, or one value and none missing: **dropped**;
2. the same cells as an earlier column: **dropped** as its duplicate;
3. all present cells are numbers: **number**; unless whole numbers that count the rows (0 or 1
   upwards by one), or all different under a name such as ``id``: **dropped** as an identifier;
4. all present cells are true/false, yes/no, t/f, y/n, off/on or the like in another language
   (``BOOLEANS``), in any case, and both occur: **boolean**;
5. the present cells are dates or times (``dates``), but for one or a few, and numbers such as
   20240131 too: **date**;
6. text whose cells all differ: **dropped** as an identifier; with more than 20 different cells
   that make up more than half of the present ones: **dropped** as free text;
7. any other text: **category**.

Digits with leading zeros are text. ``keep`` names columns that rules 3 and 6 may not drop,
``category`` those that are categories whatever their cells. Types are decided over the whole table,
without looking at the target; every statistic (means, medians, categories) is learned
elsewhere, from training rows only.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.tabular.dates import Dates, read_dates
from chainrule.tabular.table import Column, Table, cells_key, large
from chainrule.tabular.words import SOFT, mend, quoted, several, shown

__all__ = [
    "BOOLEANS",
    "RULES",
    "Decision",
    "decide",
    "reading_note",
    "refuse_doubt",
    "refuse_infinite",
    "same_cells",
]

BOOLEANS = (
    *(("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("off", "on")),
    *(("nein", "ja"), ("nee", "ja"), ("nej", "ja"), ("non", "oui"), ("no", "sí"), ("no", "si")),
    *(("no", "sì"), ("não", "sim"), ("nao", "sim"), ("nie", "tak"), ("ne", "ano"), ("нет", "да")),
    *(("nem", "igen"), ("hayır", "evet"), ("否", "是"), ("いいえ", "はい"), ("아니오", "예")),
    *(("falsch", "wahr"), ("faux", "vrai"), ("falso", "vero"), ("falso", "verdadero")),
    *(("falso", "verdadeiro"), ("ложь", "истина")),
)
"""Pairs of words, in lower case, that make a boolean column: (false, true)."""

FEW = 20
"""Up to so many different words a text column is a category whatever its length."""

IDENTIFIER_NAME = re.compile(
    r"(.*[ _.-])?id|index|row|rownames?|row[ _]?(id|number|index)|unnamed: 0", re.IGNORECASE
)

RULES = {
    "number": "standardised; missing cells get the training median",
    "boolean": "0 or 1, standardised; missing cells get the training mean",
    "category": "one input per category seen in at least 5 training rows (fewer in a table of "
    "under 200 rows); rarer ones share one",
    "date": "days since 1970 and the angles of year, week and day, standardised",
    "dropped": "not used",
}


@dataclass(frozen=True)
class Decision:
    """The kind of one column (a key of ``RULES``) and why, with what a user should know."""

    name: str
    kind: str
    why: str = ""
    note: str = ""


def decide(
    table: Table, names: list[str], keep: Collection[str] = (), category: Collection[str] = ()
) -> list[Decision]:
    """The kind of each named column, in order; those in ``category`` are categories.

    Raises DataError for a number column that holds an infinity, and for a column that can be read
    in two ways.
    """
    seen: dict[bytes, str] = {}
    decisions = []
    for name in names:
        column = table[name]
        decision = _empty_or_constant(column)
        if decision is None and name in category:
            decision = Decision(name, "category")
        decision = decision or _duplicate(column, seen) or _kind(table, column, name in keep)
        decisions.append(_with_reading(table, column, decision))
    if all(d.kind == "dropped" for d in decisions):
        # Row numbers alone may be the very input: y as a function of 0, 1, 2, ...
        decisions = [
            Decision(d.name, "number") if d.why.startswith("counts the rows") else d
            for d in decisions
        ]
    return decisions


def _with_reading(table: Table, column: Column, decision: Decision) -> Decision:
    """The decision with a note on how the cells were read."""
    told = reading_note(table, column)
    if not told or (decision.kind == "dropped" and column.numbers is not None):
        return decision
    note = f"{told}; {decision.note}" if decision.note else told
    return replace(decision, note=note)


def reading_note(table: Table, column: Column) -> str:
    """How the cells of a column were read, where that is not plain; "" if it is."""
    return f"{table.source}: column {quoted((column.name,))}: {column.note}" if column.note else ""


def refuse_doubt(table: Table, column: Column) -> None:
    """Raise DataError for a column that can be read in two ways, with what decides."""
    if column.doubt:
        place = table.where(column.obstacle[0] if column.obstacle else 0, column.name)
        raise DataError(f"{place}: {column.doubt}, or leave the column out")


def _empty_or_constant(column: Column) -> Decision | None:
    if column.unsupported:
        return Decision(column.name, "dropped", f"cells of {column.unsupported} are not supported")
    if column.missing.all():
        return Decision(column.name, "dropped", "every cell is missing")
    if column.missing.any():
        return None
    numbers = column.numbers  # infinities are refused, all alike too
    same = numbers is None or bool(np.isfinite(numbers[0]) and np.all(numbers == numbers[0]))
    same = same and len(column.codes[1]) == 1
    return Decision(column.name, "dropped", f"every cell is {column.shown(0)}") if same else None


def same_cells(one: Column, other: Column) -> bool:
    """Whether two columns hold the same in every row."""
    return cells_key(one) == cells_key(other)


def _duplicate(column: Column, seen: dict[bytes, str]) -> Decision | None:
    key = cells_key(column)
    if key in seen:
        return Decision(column.name, "dropped", f"the same as {seen[key]}")
    seen[key] = column.name
    return None


def _kind(table: Table, column: Column, keep: bool) -> Decision:
    name = column.name
    refuse_doubt(table, column)
    if column.numbers is not None:
        refuse_infinite(table, column)
        if _compact_dates(column.numbers):
            note = f"{table.source}: column {quoted((name,))}: {column.shown(0)} is read as a date"
            return Decision(name, "date", note=note)
        why = "" if keep else _counts_rows(column)
        return Decision(name, "dropped", why) if why else Decision(name, "number")
    words = column.codes[1]
    if boolean_words(words):
        return Decision(name, "boolean")
    dates = None if column.codes_only else _dates(table, column)
    if dates is not None:
        return dates
    note = _almost_numbers(table, column)
    present = column.count(~column.missing)
    if not keep and len(words) == present:
        return Decision(name, "dropped", "an identifier: all cells differ", note)
    if not keep and len(words) > max(FEW, present / 2):
        why = f"free text: {len(words)} different values in {present} cells"
        return Decision(name, "dropped", why, note)
    return Decision(name, "category", note=note)


def _compact_dates(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers are dates such as 20240131: at least five, and all in the calendar."""
    present = numbers[~np.isnan(numbers)]
    if present.min() < 19000101 or present.max() > 21001231:
        return False
    values = np.unique(present)
    if len(values) < 5 or np.any(values != np.floor(values)):
        return False
    return None not in read_dates([str(int(value)) for value in values]).moments


def _dates(table: Table, column: Column) -> Decision | None:
    """The decision for a column of dates, one or a few of which may be none."""
    codes, words = column.codes
    if not any(moment is not None for moment in read_dates(words[:FEW]).moments):
        return None
    dates = read_dates(words, column.order)
    counts = column.tally()
    wrong = [
        i
        for i, moment in enumerate(dates.moments)
        if moment is None and not (column.soft and words[i].lower() in SOFT)
    ]
    bad = int(counts[wrong].sum())
    good = int(sum(counts[i] for i, moment in enumerate(dates.moments) if moment is not None))
    if bad and good < (3 if bad == 1 else 10 * bad):
        if not set(wrong) <= set(dates.other):
            return None
        if not column.order:
            raise DataError(_two_orders(table, column, dates, wrong[0]))
    if dates.doubt:
        raise DataError(
            f"{table.where(int(np.argmax(codes == dates.at)), column.name)}: {dates.doubt}, or "
            f"leave the column out"
        )
    if not wrong:
        return Decision(column.name, "date")
    row = int(np.argmax(codes == wrong[0]))
    return Decision(
        column.name,
        "date",
        note=f"{table.where(row, column.name)}: {column.shown(row)} is no date "
        f"({several(bad, 'such cell')}) and counts as missing",
    )


def _two_orders(table: Table, column: Column, dates: Dates, wrong: int) -> str:
    """What to tell of dates of which no order of day and month reads all."""
    right = next(i for i, moment in enumerate(dates.moments) if moment is not None)
    one, other = (int(np.argmax(column.codes[0] == i)) for i in (right, wrong))
    return (
        f"{table.where(other, column.name)}: {column.shown(other)} and {column.shown(one)} have "
        f"day and month in different orders; write all in one, add date_order={dates.order!r} if "
        f"cells such as the first are to count as missing, or leave the column out"
    )


def boolean_words(words: tuple[str, ...]) -> tuple[str, str] | None:
    """The pair (false, true) that a column's words are, or None."""
    lowered = {word.lower() for word in words}
    return next((pair for pair in BOOLEANS if lowered == set(pair)), None)


def refuse_infinite(table: Table, column: Column, among: str = "") -> None:
    """Raise DataError at the first infinity of a number column; ``among`` says which rows these
    are, if not all."""
    assert column.numbers is not None
    infinite = np.isinf(column.numbers)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise DataError(
            f"{table.where(row, column.name)}: {column.shown(row)} is not a finite number "
            f"({several(int(infinite.sum()), 'such cell')}{among}); mend it, or "
            f"leave the cell empty if the value is not known, or leave the column out with "
            f"drop=({column.name!r},)"
        )


def _counts_rows(column: Column) -> str:
    """Why a number column is an identifier; "" if it is none."""
    numbers = column.numbers
    assert numbers is not None
    if column.missing.any() or np.any(numbers != np.floor(numbers)):
        return ""
    whole = column.whole
    counting = numbers[0] in (0, 1) and bool(np.all(np.diff(numbers) == 1))
    if counting if whole is None else whole.counting:
        return "counts the rows"
    words = column.codes[1] if large(numbers) else ()
    if len(words) == column.count(~column.missing) and all(
        word.lstrip("-").isdigit() for word in words
    ):
        return "an identifier: whole numbers past 2**53 that all differ"
    if IDENTIFIER_NAME.fullmatch(column.name) and (
        len(np.unique(numbers)) == len(numbers) if whole is None else whole.different
    ):
        return "an identifier: whole numbers that all differ, called so"
    return ""


def _almost_numbers(table: Table, column: Column) -> str:
    """A note on the cell that keeps a column from being numbers, if most cells are numbers."""
    if column.obstacle is None or column.codes_only:
        return ""
    row, count = column.obstacle
    present = column.count(~column.missing)
    if count * 2 >= present:
        return ""
    word = column.text(row)
    return (
        f"{table.where(row, column.name)}: {shown(word)} is not a number ({count} of {present} "
        f"cells), so the column is read as text; {mend(word)}"
    )
