"""Counts, names and cells as they stand in messages; words that stand for a missing value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chainrule.tabular.model import TabularModel

__all__ = ["MISSING", "SOFT", "cut", "mend", "number_text", "outcome", "quoted", "several", "shown"]

MISSING = (
    *("", "?", "NA", "N/A", "n/a", "na", "N.A.", "n.a.", "#N/A", "#NA", "#N/A N/A", "<NA>"),
    *("NaN", "nan", "NAN", "-NaN", "-nan", "NaT", "null", "NULL", "Null", "(null)", "[null]"),
    *("<null>", "\\N", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "#VALUE!", "#DIV/0!"),
    *("#REF!", "#NUM!", "#NAME?", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!"),
    *("#GETTING_DATA", "#BUSY!", "#CONNECT!", "#BLOCKED!", "#UNKNOWN!", "#ERROR!", "Err:502"),
    *("Err:504", "Err:508", "Err:509", "Err:511", "Err:512", "Err:522", "(blank)", "(missing)"),
    *("<missing>", "[missing]"),
)
"""Cells that stand for "no value", after spaces around them are stripped."""

SOFT = frozenset(
    (
        *("-", "--", "---", "–", "—", ".", "..", "...", "…", "*", ":", "none", "nil", "missing"),
        *("unknown", "not available", "not applicable", "not known", "no data", "n/d", "n.d."),
        *("nd", "tbd", "undefined", "??", "???", "#", "k.a.", "k. a.", "keine angabe", "unbekannt"),
        *("s/d", "sin datos", "n.c.", "inconnu", "non disponible", "desconocido", "n.v.t."),
    )
)
"""Words, in lower case, that stand for "no value" among numbers and dates; elsewhere they may be
categories, or classes, like any other."""

LONGEST = 60


def several(count: int, one: str, more: str | None = None) -> str:
    """``1 row``, ``2 rows``, ``20,640 rows``."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def shown(word: str) -> str:
    """A cell or name in quotes, for a message: a long one is cut, and its length told."""
    if len(word) <= LONGEST:
        return repr(word)
    return f"{word[:LONGEST]!r}… ({several(len(word), 'character')})"


def cut(name: str) -> str:
    """A name that is not too long for a message."""
    return name if len(name) <= LONGEST else name[:LONGEST] + "…"


def quoted(names: Sequence[str], most: int = 12) -> str:
    """Names in double quotes, the first ``most`` of them, long ones cut."""
    listed = ", ".join(json.dumps(cut(name), ensure_ascii=False) for name in names[:most])
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")


def mend(word: str) -> str:
    """What to do about a word among numbers."""
    if len(word) > LONGEST:
        return "mend the cells"
    return f"mend the cells, or add missing=({word!r},) if that means a missing value"


def number_text(value: float) -> str:
    """A number as a word: whole numbers without a point, others in the shortest exact form."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def outcome(model: TabularModel) -> str:
    """Why training ended and which weights were kept, in one line."""
    ran = len(model.history)
    why = {
        "epochs": f"all {several(ran, 'epoch')} run",
        "early_stopping": f"stopped early: no better validation loss for "
        f"{several(model.options.early_stopping, 'epoch')}",
        "interrupted": f"interrupted after {several(ran, 'epoch')}",
        "converged": f"converged after {several(ran, 'epoch')}",
        "callback": f"stopped after {several(ran, 'epoch')}",
    }[model.stopped]
    kept = model.kept_epochs
    if len(kept) > 1:
        return (
            f"{why}; {len(kept)} networks, each with the weights of its best epoch, "
            f"{min(kept)} to {max(kept)}"
        )
    return f"{why}; weights of epoch {model.kept_epoch} kept"
