"""What the cells of a column say: missing ones, numbers in plain or other dress, codes, words.

A column is judged as a whole, by its different words and how many cells have each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.tabular.arrays import merged
from chainrule.tabular.layout import Format
from chainrule.tabular.numerals import (
    CODE,
    NUMBER,
    PLAIN,
    Numerals,
    number_in,
    undress,
    unwrapped,
)
from chainrule.tabular.table import Codes, Column, Whole, encode_numbers, tallied
from chainrule.tabular.words import SOFT, number_text, shown

__all__ = ["column_like", "column_of_numbers", "column_of_words"]

INFINITE = r"^[+-]?([iI][nN][fF]|[iI][nN][fF][iI][nN][iI][tT][yY])$"
"""Words that other programs write for infinity. They count as numbers, so that the rules can
refuse them by place instead of turning the whole column into categories."""

_PLAIN = re.compile(f"{NUMBER}|{INFINITE}", re.ASCII)

TRIED = 200
"""So many words show whether it is worth trying to read a column as numbers."""


def column_of_numbers(name: str, numbers: NDArray[Any], format: Format) -> Column:
    """A column of plain numbers, float64 or float32, nan where missing."""
    for word in format.missing:
        if _PLAIN.match(word):
            numbers = np.where(numbers == np.float64(word), np.nan, numbers)
    none = np.broadcast_to(np.False_, numbers.shape)  # no byte a row
    column = Column(name, none, numbers, lambda: encode_numbers(numbers, none))
    if column.finite:  # one look, while the numbers are in the processor's cache
        return column
    missing = np.isnan(numbers)
    missing = missing if missing.any() else none
    return Column(name, missing, numbers, lambda: encode_numbers(numbers, missing))


def column_of_words(
    name: str,
    codes: NDArray[np.int32],
    words: Sequence[str],
    format: Format,
    *,
    hint: str = "",
    as_numbers: bool = True,
    whole: Whole | None = None,
) -> Column:
    """A column of words, -1 where missing, as they stand in the file.

    ``hint`` is the decimal mark that the rest of the file shows; without ``as_numbers`` the words
    stay words whatever they look like. ``whole``: what the cells stand for.
    """
    codes, words = merged(codes, words, frozenset(format.missing_words()))
    missing = codes < 0
    if not words:
        gone = np.full(len(codes), np.nan)
        return Column(name, missing, gone, lambda: (codes, words), whole=whole)
    counts = tallied(codes[~missing], whole and whole.counts[~missing], len(words))
    plain = Column(
        name,
        missing,
        None,
        lambda: (codes, tuple(words)),
        (_first(codes, 0), int(counts.sum())),
        order=format.date_order,
        soft=not format.missing_only,
        whole=whole,
    )
    if not as_numbers:
        return plain
    soft = [plain.soft and word.lower() in SOFT for word in words]
    zero = _leading_zero(words, soft)
    if zero is not None:
        row, count = _first(codes, zero), int(counts[zero])
        note = f"{shown(words[zero])} has a leading zero, so the cells are codes, not numbers"
        bare = merged(codes, [unwrapped(word) for word in words], frozenset())
        return replace(
            plain,
            encode=lambda: bare,
            obstacle=(row, count),
            note=note,
            codes_only=True,
        )
    commas = hint == "," and any("." in word for word in words)
    if not commas and all(_PLAIN.match(word) for word in words):
        numbers = _of_words([float(word) for word in words], codes)
        return replace(plain, stored=numbers, obstacle=None)
    return _dressed(plain, codes, words, counts, soft, format, hint)


def column_like(
    like: Column, codes: NDArray[np.int32], words: Sequence[str], format: Format
) -> tuple[Column, set[str]]:
    """Other cells of a column of which ``like`` has all different words, read as that was; and
    the words that are no numbers although its are, or lack the unit. (The former are missing.)"""
    codes, words = merged(codes, words, frozenset(format.missing_words()))
    if like.codes_only:
        codes, words = merged(codes, [unwrapped(word) for word in words], frozenset())
    made = replace(like, stored=None, whole=None, note="", obstacle=None)
    read: list[tuple[float | None, bool]] = []
    if like.numbers is not None:
        read = [_as_known(word, like, format) for word in words]
        values = [value for value, _ in read]
        soft = [-1 if v is None or np.isnan(v) else i for i, v in enumerate(values)]
        codes = np.array([*soft, -1], np.int32)[codes]
        made = replace(made, stored=_of_words(values, codes))
    elif len(words):
        made = replace(made, obstacle=(_first(codes, 0), int(np.count_nonzero(codes >= 0))))
    odd = {w for w, (value, bare) in zip(words, read, strict=False) if value is None or bare}
    return replace(made, missing=codes < 0, encode=lambda: _used(codes, words)), odd


def _as_known(word: str, like: Column, format: Format) -> tuple[float | None, bool]:
    """A word in the dress of ``like``, as ``number_in``; nan if it stands for no number."""
    if word.lower() in SOFT and not format.missing_only:
        return np.nan, False
    plain = like.dress.decimal == "." and _PLAIN.match(word)
    return (float(word), bool(like.dress.unit)) if plain else number_in(word, like.dress)


def _first(codes: NDArray[np.int32], word: int) -> int:
    return int(np.argmax(codes == word))


def _of_words(values: Sequence[float | None], codes: NDArray[np.int32]) -> NDArray[np.float64]:
    """The numbers of all cells from those of the words."""
    return np.array([*(np.nan if v is None else v for v in values), np.nan])[codes]


def _leading_zero(words: tuple[str, ...], soft: list[bool]) -> int | None:
    """The first word that shows digits to be codes; None if none does, or not all are digits."""
    found = None
    for i, word in enumerate(words):
        digits = unwrapped(word)
        if not soft[i] and not (digits.isascii() and digits.isdigit()):
            return None
        if found is None and CODE.fullmatch(digits):
            found = i
    return found


def _dressed(
    column: Column,
    codes: NDArray[np.int32],
    words: tuple[str, ...],
    counts: NDArray[np.intp],
    soft: list[bool],
    format: Format,
    hint: str,
) -> Column:
    """Numbers in other dress, if all cells but those with a ``soft`` word for "missing" are."""
    hard = [i for i, is_soft in enumerate(soft) if not is_soft]
    if not hard or not _worth_trying([words[i] for i in hard[:TRIED]]):
        odd = next((i for i in hard if not _PLAIN.match(words[i])), 0)
        # Words that would be missing among numbers are words like others where there are few.
        count = sum(int(n) for n, word in zip(counts, words, strict=True) if not _PLAIN.match(word))
        return replace(column, obstacle=(_first(codes, odd), count))
    found = undress(
        [words[i] for i in hard],
        [int(counts[i]) for i in hard],
        decimal=format.decimal,
        thousands=format.thousands,
        known=format.dress.get(column.name),
        hint=hint,
    )
    bad = [i for i, value in zip(hard, found.values, strict=True) if value is None]
    if bad:
        count = int(sum(counts[i] for i in bad))
        return replace(column, obstacle=(_first(codes, bad[0]), count))
    values: list[float | None] = [None] * len(words)
    for i, value in zip(hard, found.values, strict=True):
        values[i] = value
    kept = [-1 if is_soft else i for i, is_soft in enumerate(soft)]
    if any(soft):
        codes = np.array([*kept, -1], dtype=np.int32)[codes]
    numbers = _of_words(values, codes)
    note = _told(words, hard, found, [w for w, s in zip(words, soft, strict=True) if s])
    return Column(
        column.name,
        codes < 0,
        None if found.doubt else numbers,
        lambda: _used(codes, words),
        (_first(codes, hard[found.at]), int(counts.sum())) if found.doubt else None,
        note="" if found.doubt else note,
        doubt=found.doubt,
        dress=found.dress,
        whole=column.whole,
    )


def _worth_trying(words: Sequence[str]) -> bool:
    digits = sum(any(c.isdigit() for c in word[:40]) for word in words)
    return 2 * digits > len(words)


def _used(codes: NDArray[np.int32], words: tuple[str, ...]) -> Codes:
    """Words and codes without those that no cell has."""
    used = np.bincount(codes[codes >= 0], minlength=len(words)) > 0
    rank = np.cumsum(used) - 1
    moved = np.where(used, rank, -1).astype(np.int32)
    return np.append(moved, np.int32(-1))[codes], tuple(
        w for w, u in zip(words, used, strict=True) if u
    )


def _told(words: tuple[str, ...], hard: list[int], found: Numerals, soft: list[str]) -> str:
    """How the numbers were read, where that is not plain."""
    parts = []
    dress = found.dress
    told = dress.told()
    odd = [
        (words[i], v)
        for i, v in zip(hard, found.values, strict=True)
        if v is not None and not _PLAIN.match(words[i])
    ]
    if odd and (dress != PLAIN or told or odd):
        word, value = max(odd[:TRIED], key=lambda pair: len(pair[0]))
        parts.append(
            f"{shown(word)} is read as {number_text(value)}" + (f" ({told})" if told else "")
        )
    if soft:
        listed = ", ".join(map(shown, soft[:3])) + (", ..." if len(soft) > 3 else "")
        parts.append(f"{listed} {'stands' if len(soft) == 1 else 'stand'} for a missing value")
    return "; ".join(parts)
