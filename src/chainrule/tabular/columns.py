"""What each column of a table is, by stated rules over all of its rows.

In this order, the first that fits (``RULES`` is the same in one sentence each, for users):

1. nothing but missing cells, or one value and none missing: **dropped**;
2. the same cells as an earlier column: **dropped** as its duplicate;
3. all present cells are numbers: **number**; unless whole numbers that count the rows (0 or 1
   upwards by one), or all different under a name such as ``id``: **dropped** as an identifier;
4. all present cells are true/false, yes/no, t/f or y/n in any case, and both occur: **boolean**;
5. all present cells are ISO dates or timestamps: **date**;
6. text whose cells all differ: **dropped** as an identifier; with more than 20 different cells
   that make up more than half of the present ones: **dropped** as free text;
7. any other text: **category**.

``keep`` names columns that rules 3 and 6 may not drop. Types are decided over the whole table,
without looking at the target; every statistic (means, medians, categories) is learned
elsewhere, from training rows only.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from chainrule.errors import DataError
from chainrule.tabular.dates import parse_moments
from chainrule.tabular.table import Column, Table
from chainrule.tabular.words import several

__all__ = ["BOOLEANS", "RULES", "Decision", "decide", "refuse_infinite", "same_cells"]

BOOLEANS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"))
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


def decide(table: Table, names: list[str], keep: Collection[str] = ()) -> list[Decision]:
    """The kind of each named column, in order.

    Raises DataError for a number column that holds an infinity.
    """
    seen: dict[bytes, str] = {}
    decisions = []
    for name in names:
        column = table[name]
        decision = _empty_or_constant(column) or _duplicate(column, seen)
        decisions.append(decision or _kind(table, column, name in keep))
    if all(d.kind == "dropped" for d in decisions):
        # Row numbers alone may be the very input: y as a function of 0, 1, 2, ...
        decisions = [
            Decision(d.name, "number") if d.why.startswith("counts the rows") else d
            for d in decisions
        ]
    return decisions


def _empty_or_constant(column: Column) -> Decision | None:
    if column.unsupported:
        return Decision(column.name, "dropped", f"cells of {column.unsupported} are not supported")
    if column.missing.all():
        return Decision(column.name, "dropped", "every cell is missing")
    codes, words = column.codes
    if not column.missing.any() and (len(words) == 1 or _one_number(column)):
        return Decision(column.name, "dropped", f"every cell is {words[codes[0]]!r}")
    return None


def _one_number(column: Column) -> bool:
    return column.numbers is not None and bool(np.all(column.numbers == column.numbers[0]))


def _cells_key(column: Column) -> bytes:
    """Bytes that are equal for columns with equal cells."""
    if column.numbers is not None:
        return b"n" + (column.numbers + 0.0).tobytes()  # + 0.0: minus zero is zero
    codes, words = column.codes
    return b"t" + codes.tobytes() + repr(words).encode()


def same_cells(one: Column, other: Column) -> bool:
    """Whether two columns hold the same in every row."""
    return _cells_key(one) == _cells_key(other)


def _duplicate(column: Column, seen: dict[bytes, str]) -> Decision | None:
    key = _cells_key(column)
    if key in seen:
        return Decision(column.name, "dropped", f"the same as {seen[key]}")
    seen[key] = column.name
    return None


def _kind(table: Table, column: Column, keep: bool) -> Decision:
    name = column.name
    if column.numbers is not None:
        refuse_infinite(table, column)
        why = "" if keep else _counts_rows(column)
        return Decision(name, "dropped", why) if why else Decision(name, "number")
    words = column.codes[1]
    if boolean_words(words):
        return Decision(name, "boolean")
    if isinstance(parse_moments(words), list):
        return Decision(name, "date")
    note = _almost_numbers(table, column)
    present = int((~column.missing).sum())
    if not keep and len(words) == present:
        return Decision(name, "dropped", "an identifier: all cells differ", note)
    if not keep and len(words) > max(FEW, present / 2):
        why = f"free text: {len(words)} different values in {present} cells"
        return Decision(name, "dropped", why, note)
    return Decision(name, "category", note=note)


def boolean_words(words: tuple[str, ...]) -> tuple[str, str] | None:
    """The pair (false, true) that a column's words are, or None."""
    lowered = {word.lower() for word in words}
    return next((pair for pair in BOOLEANS if lowered == set(pair)), None)


def refuse_infinite(table: Table, column: Column) -> None:
    """Raise DataError at the first infinity of a number column."""
    assert column.numbers is not None
    infinite = np.isinf(column.numbers)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise DataError(
            f"{table.where(row, column.name)}: {column.text(row)!r} is not a finite number "
            f"({several(int(infinite.sum()), 'such cell')}); mend it, or leave the cell empty if "
            f"the value is not known, or leave the column out with drop=({column.name!r},)"
        )


def _counts_rows(column: Column) -> str:
    """Why a number column is an identifier; "" if it is none."""
    numbers = column.numbers
    assert numbers is not None
    if column.missing.any() or np.any(numbers != np.floor(numbers)):
        return ""
    if numbers[0] in (0, 1) and np.all(np.diff(numbers) == 1):
        return "counts the rows"
    if IDENTIFIER_NAME.fullmatch(column.name) and len(np.unique(numbers)) == len(numbers):
        return "an identifier: whole numbers that all differ, called so"
    return ""


def _almost_numbers(table: Table, column: Column) -> str:
    """A note on the cell that keeps a column from being numbers, if most cells are numbers."""
    if column.obstacle is None:
        return ""
    row, count = column.obstacle
    present = int((~column.missing).sum())
    word = column.text(row)
    if count * 2 < present:
        return (
            f"{table.where(row, column.name)}: {word!r} is not a number ({count} of {present} "
            f"cells), so the column is read as text; mend the cells, or add "
            f"missing=({word!r},) if that means a missing value"
        )
    if re.fullmatch(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+", word):
        return (
            f"{table.where(row, column.name)}: {word!r} looks like a number with a decimal "
            f"comma; the column is read as text; write decimal points to have numbers"
        )
    return ""
