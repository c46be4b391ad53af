"""Numbers in other dress: currency, percent, units, marks between thousands, decimal commas.

A column is read as a whole: one decimal mark, one mark between thousands and one unit must fit all
of its words. Where two readings of a word are possible, other words of the column decide, then the
rest of the file (``evidence``), then the options; if none does, the column is in ``doubt``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.tabular.durations import DURATION, durations, seconds_in
from chainrule.tabular.words import number_text, shown

__all__ = [
    "CODE",
    "NUMBER",
    "PLAIN",
    "Dress",
    "Numerals",
    "evidence",
    "number_in",
    "plain_digits",
    "undress",
    "unwrapped",
]

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""A plain number: digits with a decimal point and an exponent; no thousands marks."""

CODE = re.compile(r"0[0-9]+", re.ASCII)
"""Digits that begin with a zero: a postcode or another code, whose zeros mean something."""

SPACES = "\u00a0\u202f\u2009\u2007\u2008\u2002\u2003\u200a\u3000 "
MINUS = "\u2212\ufe63\uff0d\u2013-"  # the last one, so that it makes no range of characters
APOSTROPHES = "'\u2019\u02bc"
MARKS = str.maketrans("．，％＋￥＄￡（）٫٬٪", ".,%+¥$£().,%")
"""Marks of full width, as of Japanese and Chinese keyboards, and Arabic ones, as ASCII's."""
SYMBOLS = "$€£¥₹₽₩₺₴₫₦₱฿₪₡₲₵₸₼₾₿¢"
CODES = (
    *("USD", "EUR", "GBP", "JPY", "CNY", "CHF", "CAD", "AUD", "NZD", "INR", "BRL", "RUB"),
    *("KRW", "MXN", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "TRY", "ZAR", "SGD", "HKD"),
    *("THB", "IDR", "MYR", "PHP", "ILS", "AED", "SAR", "CLP", "COP", "ARS", "RON", "BGN"),
    *("UAH", "VND", "EGP", "NGN", "KES", "PKR", "TWD", "US$", "C$", "A$", "R$", "NZ$"),
    *("HK$", "S$", "CA$", "AU$", "kr", "zł", "Kč", "Ft", "Fr.", "Rs.", "Rs", "RM", "Rp"),
    *("lei", "лв", "руб.", "руб"),
)

_CURRENCY = "|".join([f"[{re.escape(SYMBOLS)}]", *map(re.escape, sorted(CODES, key=len)[::-1])])
_GAP = f"[{SPACES}]*"
_CELL = re.compile(
    rf"(?P<sign>[+{MINUS}]?){_GAP}(?P<before>{_CURRENCY})?{_GAP}(?P<sign2>[+{MINUS}]?){_GAP}"
    rf"(?P<digits>[0-9](?:[0-9.,{APOSTROPHES}{SPACES}]*[0-9.,])?|[.,][0-9]+)"
    rf"(?P<power>[eE][+-]?[0-9]+)?"
    rf"(?:{_GAP}(?P<minus>[\u2212-])(?={_GAP}(?:{_CURRENCY}|%)?$))?(?:{_GAP}(?P<after>[^\W\d_][^\n]{{0,23}}"
    rf"|[%‰×][^\n]{{0,11}}|°[^\W\d_]?|[\"'′″{re.escape(SYMBOLS)}]))?"
)
_UNIT = re.compile(r"(?![xX×*]\s?\d|[aApP]\.?[mM]\.?$)[^\d,;:!?()\[\]{}=<>|#@&+]*[23]?")
ANY_CASE = ("kg", "km", "cm", "lb", "lbs", "oz", "ft", "hr", "hrs", "min", "sec", "day")
"""Short units that have one meaning, with capitals or without."""
_WHOLE = re.compile(r"(?<=[0-9])(?:([.,])[-–—]{1,2}|[:/]-)(?![^\s]*[0-9])")
"""What price lists write for no cents: ``5,-``, ``12.—``, ``100:-`` and ``500/-``."""
_ZERO = re.compile(rf"(?:(?P<before>{_CURRENCY}){_GAP}[-–—]|[-–—]{_GAP}(?P<after>{_CURRENCY}))")
"""What accounts write for 0: ``$ -`` and ``- €``."""

_GROUPS = {
    "": r"[0-9]+",
    ",": r"[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}|[0-9]+",
    ".": r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[0-9]+",
    " ": rf"[1-9][0-9]{{0,2}}(?:[{SPACES}][0-9]{{3}})+|[0-9]+",
    "'": rf"[1-9][0-9]{{0,2}}(?:[{APOSTROPHES}][0-9]{{3}})+|[0-9]+",
}


@dataclass(frozen=True)
class Dress:
    """How the numbers of a column are written.

    Attributes:
        decimal: the decimal mark, a point or a comma.
        thousands: the mark between thousands, one of ``, . ' `` and a space; "" for none.
        unit: what stands before or after every number: "$", "%", "kg"; "" for none; ``DURATION``
            where each is a length of time, in seconds.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    def told(self) -> str:
        """The parts that are not plain, for a note."""
        marks = {" ": "spaces", "'": "apostrophes", ",": "commas", ".": "points"}
        if self.unit == DURATION:
            return "seconds"
        parts = [f"{shown(self.unit)} left out"] if self.unit else []
        parts += [f"{marks[self.thousands]} between thousands"] if self.thousands else []
        parts += ["a decimal comma"] if self.decimal == "," else []
        return ", ".join(parts)


PLAIN = Dress()

STYLES = (
    PLAIN,
    Dress(".", ","),
    Dress(".", " "),
    Dress(".", "'"),
    Dress(","),
    Dress(",", "."),
    Dress(",", " "),
    Dress(",", "'"),
)
"""The ways to write numbers that are tried; of those with the same readings the first is meant."""

_PATTERNS = {
    style: re.compile(
        rf"(?P<whole>{_GROUPS[style.thousands]})?"
        rf"(?:{re.escape(style.decimal)}(?P<part>[0-9]*))?"
    )
    for style in STYLES
}


@dataclass(frozen=True)
class Numerals:
    """Words read as numbers.

    Attributes:
        values: of each word; None where it is none in this dress.
        dress: theirs.
        doubt: why they cannot be told, with what decides; "" if they can. at: by which word.
    """

    values: tuple[float | None, ...]
    dress: Dress
    doubt: str = ""
    at: int = 0


@dataclass(frozen=True)
class _Parts:
    negative: bool
    digits: str
    power: str
    unit: str


def unwrapped(word: str) -> str:
    """A word without what spreadsheets put around it, a leading apostrophe, ``="..."``; marks of
    full width and the digits of other scripts as ASCII's."""
    word = word if word.isascii() else plain_digits(word.translate(MARKS))
    if word.startswith('="') and word.endswith('"') and len(word) > 3:
        word = word[2:-1]
    return word[1:].lstrip() if word.startswith("'") else word


def plain_digits(word: str) -> str:
    """A word with ASCII's digits in place of other decimal ones, such as Arabic or Devanagari."""
    return "".join(str(unicodedata.decimal(c, c)) for c in word)


def _parts(word: str) -> _Parts | None:
    word = _WHOLE.sub(lambda mark: f"{mark[1]}0" if mark[1] else "", unwrapped(word))
    if zero := _ZERO.fullmatch(word):
        return _Parts(False, "0", "", zero["before"] or zero["after"])
    negative = False
    enclosed = re.fullmatch(rf"({_CURRENCY})?{_GAP}\((.*)\){_GAP}(.*)", word)
    if enclosed:
        negative = True
        word = (enclosed[1] or "") + enclosed[2] + enclosed[3]
    found = _CELL.fullmatch(word)
    if found is None:
        return None
    signs = [s for s in (found["sign"], found["sign2"], found["minus"]) if s]
    before, after = found["before"] or "", (found["after"] or "").strip()
    if len(signs) + negative > 1 or (before and after and before != after):
        return None
    if after in ("e", "E") or after[:1].isnumeric():  # as in 5² and 5½
        return None
    if after and not _UNIT.fullmatch(after):
        return None
    negative = negative or any(sign != "+" for sign in signs)
    return _Parts(negative, found["digits"], found["power"] or "", before or after)


def _number(parts: _Parts, style: Dress) -> float | None:
    found = _PATTERNS[style].fullmatch(parts.digits)
    if found is None or not (found["whole"] or found["part"]):
        return None
    whole = re.sub(r"[^0-9]", "", found["whole"] or "0")
    value = float(f"{whole}.{found['part'] or '0'}{parts.power}")
    return -value if parts.negative else value


def number_in(word: str, dress: Dress) -> tuple[float | None, bool]:
    """A word of a column whose dress is known, None if it has another; and whether it lacks the
    unit, which other words decide on."""
    if dress.unit == DURATION:
        return seconds_in(word), False
    parts = _parts(word)
    if parts is None or _key(parts.unit) not in ("", _key(dress.unit)):
        return None, False
    value = _number(parts, Dress(dress.decimal, dress.thousands))
    return value, bool(dress.unit) and not parts.unit


def evidence(cells: Sequence[str]) -> str:
    """The decimal mark that these cells show, "." or ","; "" if none or both do.

    Only digits after a mark that are not three, or both marks in one cell, show anything.
    """
    found = set()
    for cell in cells:
        match = re.search(r"[0-9]([.,])([0-9]+)\D*$", cell)
        parts = None if match is None else _parts(cell)
        if match is None or parts is None:
            continue
        other = "," if match[1] == "." else "."
        if len(match[2]) != 3 or other in parts.digits:  # a unit may have a point too: Rs. 1,250
            found.add(match[1])
    return found.pop() if len(found) == 1 else ""


def undress(
    words: Sequence[str],
    counts: Sequence[int],
    *,
    decimal: str | None = None,
    thousands: str | None = None,
    known: Dress | None = None,
    hint: str = "",
) -> Numerals:
    """Words of a column, each in so many cells, as numbers.

    Args:
        decimal, thousands: the marks, where they are given.
        known: the dress that a model learned for the column.
        hint: the decimal mark that the rest of the file shows, if any.
    """
    seconds = durations(words) if known is None else None
    if known is not None and known.unit == DURATION:
        return Numerals(tuple(seconds_in(word) for word in words), known)
    if seconds is not None:
        return Numerals(seconds, Dress(unit=DURATION))
    parts = [_parts(word) for word in words]
    styles = [
        style
        for style in STYLES
        if (decimal is None or style.decimal == decimal)
        and (thousands is None or style.thousands in ("", thousands))
        and (
            known is None
            or (
                style.decimal == known.decimal
                and (not known.thousands or style.thousands in ("", known.thousands))
            )
        )
    ]
    read = {
        style: [None if p is None else _number(p, style) for p in parts]
        for style in styles or STYLES
    }
    fit = {
        style: sum(n for n, value in zip(counts, values, strict=True) if value is not None)
        for style, values in read.items()
    }
    best = max(fit.values(), default=0)
    candidates = [style for style in read if fit[style] == best]
    style, doubt, at = candidates[0], "", 0
    others = [s for s in candidates if read[s] != read[style]]
    dressed = style is not PLAIN or hint == "," or any(p is not None and p.unit for p in parts)
    if others and dressed:
        agreeing = [s for s in candidates if s.decimal == hint]
        if style is PLAIN or not agreeing or len({tuple(read[s]) for s in agreeing}) > 1:
            doubt, at = _two_readings(words, read, style, others[0])
        else:
            style = agreeing[0]
    values = read[style]
    if not doubt:
        doubt, at, values = _two_styles(words, read, values)
    unit, values, unsure, bare = _one_unit(words, counts, parts, values, known)
    dress = Dress(style.decimal, style.thousands, unit)
    return Numerals(tuple(values), dress, doubt or unsure, at if doubt else bare)


def _two_readings(
    words: Sequence[str], read: dict[Dress, list[float | None]], one: Dress, other: Dress
) -> tuple[str, int]:
    at = next(i for i in range(len(words)) if read[one][i] != read[other][i])
    first, second = read[one][at], read[other][at]
    if first is None or second is None:  # each fits other words, and neither fits all
        return "", at
    return (
        f"{shown(words[at])} may be {number_text(first)} ({_option(one)}) or "
        f"{number_text(second)} ({_option(other)}), and nothing in the file tells which; add "
        f"the one that is meant"
    ), at


def _two_styles(
    words: Sequence[str], read: dict[Dress, list[float | None]], values: list[float | None]
) -> tuple[str, int, list[float | None]]:
    """What is in doubt where no style reads all words, but each word is a number in one; at which
    of them; and a number for each."""
    each = [
        next((v for v in own if v is not None), None) for own in zip(*read.values(), strict=True)
    ]
    if None not in values or None in each:
        return "", 0, values
    one = values.index(None)
    other = next((i for i, value in enumerate(values) if value is not None), one)
    told = f"{shown(words[one])} and {shown(words[other])} are numbers with different marks"
    return f"{told}, and no reading fits both; write all cells in one way", one, each


def _option(style: Dress) -> str:
    return f"decimal={style.decimal!r}"


def _one_unit(
    words: Sequence[str],
    counts: Sequence[int],
    parts: list[_Parts | None],
    values: list[float | None],
    known: Dress | None,
) -> tuple[str, list[float | None], str, int]:
    """The unit of a column, the values of the words that have it, and what is unsure of which."""
    tally: dict[str, int] = {}
    spelt: dict[str, str] = {}
    for p, n, value in zip(parts, counts, values, strict=True):
        if p is not None and value is not None:
            key = _key(p.unit)
            spelt.setdefault(key, p.unit)
            tally[key] = tally.get(key, 0) + n
    bare = tally.pop("", 0)
    learned = known.unit if known else ""
    if not tally:
        lost = "the cells have no '%', and had one in training; write it" if learned == "%" else ""
        return "", values, lost, 0
    main = max(tally, key=lambda key: tally[key])
    money = spelt[main] in CODES or spelt[main] in SYMBOLS
    if not money and bare > tally[main] and main != "%":
        main, money = "", False  # as of house numbers: 12, 14, 12A
    kept = [
        value if p is not None and (_key(p.unit) == main or (money and not p.unit)) else None
        for p, value in zip(parts, values, strict=True)
    ]
    unsure, at = "", 0
    if learned and main and _key(learned) != main:
        unsure = f"the cells are in {shown(spelt[main])}, and were in {shown(learned)} in training"
    if main and not money and bare:
        at = next(
            i for i, p in enumerate(parts) if p is not None and values[i] is not None and not p.unit
        )
        if values[at] != 0 or main != "%":
            unsure = (
                f"{shown(words[at])} has no {shown(spelt[main])}, which other cells have, so it "
                f"may mean the same or not; write it in every cell or in none"
            )
        kept = [
            values[i] if p is not None and not p.unit else k
            for (i, p), k in zip(enumerate(parts), kept, strict=True)
        ]
    return spelt.get(main, ""), kept, unsure, at


def _key(unit: str) -> str:
    """Units are one if they differ in a plural's s only, or in capitals that mean nothing: mW is
    not MW, but KG is kg."""
    lowered = unit.lower()
    unit = lowered if len(unit) > 3 or lowered in ANY_CASE else unit
    return unit[:-1] if len(unit) > 2 and unit.endswith("s") else unit
