"""Dates and times as numbers a network can use.

Words become moments in the forms people write (``FORMS``); where day and month could change
places, the column decides, or the option. A moment becomes its position in time (days since
1970-01-01) and the angles of its cycles, as sine and cosine, so that 31 December lies beside
1 January. Moments with an offset are told in UTC. Feature names and formulas are below; which of
them a column gets is learned.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

from chainrule.tabular.numerals import plain_digits
from chainrule.tabular.words import shown

__all__ = ["FEATURES", "ORDERS", "Dates", "date_features", "read_dates"]

FEATURES = (
    "days",
    "year sin",
    "year cos",
    "week sin",
    "week cos",
    "day sin",
    "day cos",
)
"""days since 1970-01-01; the angle of the day in the year, the week and of the time of day."""

ORDERS = ("dmy", "mdy", "ymd")
"""Orders of day, month and year in dates of digits, as option and in the saved model."""

EPOCH = datetime(1970, 1, 1)

ZONES = dict(
    zip(["EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "CET", "CEST"],
        ["-05", "-04", "-06", "-05", "-07", "-06", "-08", "-07", "+01", "+02"], strict=True)
)  # fmt: skip
"""Zones by name: those of RFC 822, and Central Europe's."""

PIVOT = 69
"""Years of two digits from this one on are of the 20th century, as POSIX has it."""

_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_HALF = r"(?P<hour>\d{1,2})(?:\.(?P<minute>\d{2}))?\s?(?P<half>[AaPp])\.?[Mm]\.?"
_ZONE = r"(?:\s?(?P<zone>[Zz]|UTC|GMT|[ECMP][SD]T|CES?T|[+-]\d{2}(?::?\d{2})?)(?:\[[\w/+-]+\])?)?"
_AFTER = rf"(?:(?:[Tt]|,?\s+){_CLOCK}{_ZONE})?"
_MONTH = r"(?P<word>[^\W\d_]{3,10})\.?"
_WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,?\s+)?"
_OF = r"(?:[-\s/]{1,2}|\s(?:of|de|di|del)\s)"


def _form(date: str, order: str = "") -> tuple[str, re.Pattern[str]]:
    return order, re.compile(rf"{date}{_AFTER}", re.ASCII if "word" not in date else 0)


_FULL = r"(?P<year>\d{4})"
_SHORT = r"(?P<year>\d{4}|\d{2})"
_M, _D = r"(?P<month>\d{1,2})", r"(?P<day>\d{1,2})"
FORMS = (
    _form(rf"{_FULL}(?P<mark>[-/.]){_M}(?P=mark){_D}"),
    _form(rf"{_FULL}-{_M}"),
    _form(rf"{_FULL}-?W(?P<week>\d{{2}})(?:-?(?P<weekday>[1-7]))?"),
    _form(rf"{_D}\.\s?{_M}\.\s?{_SHORT}"),  # with points the day stands first, everywhere
    _form(rf"{_D}(?P<mark>[-/]){_M}(?P=mark){_SHORT}", "dmy"),
    _form(rf"{_M}(?P<mark>[-/]){_D}(?P=mark){_SHORT}", "mdy"),
    _form(rf"(?P<year>\d{{2}})(?P<mark>[-/.]){_M}(?P=mark){_D}", "ymd"),
    _form(rf"{_WEEKDAY}{_D}(?:st|nd|rd|th|er|\.)?{_OF}{_MONTH}(?:,\s?|{_OF}){_SHORT}"),
    _form(rf"{_WEEKDAY}{_MONTH}\s{_D}(?:st|nd|rd|th)?,?\s{_FULL}"),
    ("", re.compile(rf"{_D}(?P<word>[^\W\d_]{{3}}){_SHORT}(?::{_CLOCK})?")),  # as SAS writes them
    _form(rf"{_FULL}[-\s/]{_MONTH}[-\s/]{_D}"),
    _form(rf"{_MONTH}(?:[-\s]|\sde\s){_FULL}"),
    _form(rf"{_FULL}\s?[年년]\s?{_M}\s?[月월]\s?{_D}\s?[日일]"),
    _form(rf"{_FULL}[-\s]?Q(?P<quarter>[1-4])"),
    _form(rf"Q(?P<quarter>[1-4])[-\s/]?{_FULL}"),
    (
        "",
        re.compile(
            rf"{_FULL}(?P<month>\d{{2}})(?P<day>\d{{2}})T(?P<hour>\d{{2}})(?P<minute>\d{{2}})(?P<second>\d{{2}})?(?P<part>)(?P<half>){_ZONE}",
            re.ASCII,
        ),
    ),
    _form(rf"{_FULL}(?P<month>\d{{2}})(?P<day>\d{{2}})"),
    ("", re.compile(_CLOCK, re.ASCII)),
    ("", re.compile(_HALF, re.ASCII)),
)
"""(order, pattern) of every form; "" where nothing can change places."""

NAMES = (
    "january february march april may june july august september october november december",
    "januar februar marz april mai juni juli august september oktober november dezember",
    "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
)
"""Of the months, without accents; three letters and more say which is meant, if they do."""


def _months() -> dict[str, int]:
    """Every beginning of a name that is a month's in all languages that have it."""
    found: dict[str, set[int]] = {"mrz": {3}, "mrt": {3}}
    for number, name in ((i, name) for names in NAMES for i, name in enumerate(names.split(), 1)):
        for length in range(3, len(name) + 1):
            found.setdefault(name[:length], set()).add(number)
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


MONTHS = _months()


@dataclass(frozen=True)
class Dates:
    """Words read as moments.

    Attributes:
        moments: of each word, None where it is no date.
        order: the order that was found, "" where nothing could change places.
        doubt: why day and month cannot be told apart, with what decides; "" if they can. at: by
            which word.
        other: which words are dates by another order only.
    """

    moments: tuple[datetime | None, ...]
    order: str
    doubt: str = ""
    at: int = 0
    other: tuple[int, ...] = ()


def read_dates(words: Sequence[str], order: str | None = None) -> Dates:
    """Words of a column as moments, all by one order of day, month and year.

    Without a given ``order`` the one that reads most words is taken.
    """
    orders = ORDERS if not order else (order,)
    parsed = [_readings(word) for word in words]
    needed = {key for reading in parsed for key in reading if key}
    found = {key: tuple(reading.get("", reading.get(key)) for reading in parsed) for key in orders}
    best = max(orders, key=lambda key: sum(m is not None for m in found[key]))
    if not needed:
        return Dates(found[best], "")
    count = sum(m is not None for m in found[best])
    equal = [
        key
        for key in orders
        if sum(m is not None for m in found[key]) == count and found[key] != found[best]
    ]
    doubt, at = "", 0
    if equal and count:
        at = next(i for i in range(len(words)) if found[best][i] != found[equal[0]][i])
        read = [f"{_day(found[key][at])} (date_order={key!r})" for key in (best, *equal)]
        doubt = (
            f"{shown(words[at])} may be {' or '.join(read)}, and no date of the column tells "
            f"which; add the one that is meant"
        )
    other = tuple(i for i, m in enumerate(found[best]) if m is None and parsed[i])
    return Dates(found[best], best, doubt, at, other)


def _day(moment: datetime | None) -> str:
    return "no date" if moment is None else moment.strftime("%Y-%m-%d")


def _readings(word: str) -> dict[str, datetime]:
    """The moments that a word may be, by order; under "" where there is only one."""
    if len(word) > 60 or not any(c.isdigit() for c in word):
        return {}
    word = word if word.isascii() else plain_digits(word)
    found: dict[str, datetime] = {}
    for order, pattern in FORMS:
        match = pattern.fullmatch(word)
        moment = None if match is None else _moment(match)
        if moment is not None:
            found.setdefault(order, moment)
            if not order:
                return {"": moment}
    return found


def _moment(match: re.Match[str]) -> datetime | None:
    part = {"part": "", **{k: v for k, v in match.groupdict().items() if v}}
    month = part.get("month") or MONTHS.get(_bare(part.get("word", "january")))
    if "quarter" in part:
        month = 3 * int(part["quarter"]) - 2
    if month is None:
        return None
    year = part.get("year", "1970")
    full = int(year) + (0 if len(year) == 4 else 1900 if int(year) >= PIVOT else 2000)
    hour = int(part.get("hour", 0))
    if "half" in part:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (part["half"] in "pP")
    minute, second = int(part.get("minute", 0)), int(part.get("second", 0))
    over = timedelta(0)
    if second == 60:  # a leap second, which datetime does not have
        second, over = 59, timedelta(seconds=1)
    if (hour, minute, second) == (24, 0, 0):  # the end of the day, as ISO 8601 has it
        hour, over = 0, timedelta(days=1)
    try:
        if "week" in part:
            day = date.fromisocalendar(full, int(part["week"]), int(part.get("weekday", 1)))
        else:
            day = date(full, int(month), int(part.get("day", 1)))
        clock = time(hour, minute, second, int(part["part"].ljust(6, "0")[:6] or 0))
        return _utc(datetime.combine(day, clock) + over, part.get("zone", ""))
    except (ValueError, OverflowError):  # 30 February; an offset that leaves the calendar
        return None


def _bare(word: str) -> str:
    """A word in lower case, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if c.isalpha())


def _utc(moment: datetime, zone: str) -> datetime:
    zone = ZONES.get(zone, zone)
    if zone[:1] not in ("+", "-"):
        return moment
    minutes = int(zone[1:3]) * 60 + int(zone[3:].lstrip(":") or 0)
    offset = timedelta(minutes=minutes if zone[0] == "+" else -minutes)
    return moment.replace(tzinfo=timezone(offset)).astimezone(UTC).replace(tzinfo=None)


def date_features(moments: Sequence[datetime | None]) -> NDArray[np.float64]:
    """The features of each moment, shape (n, len(FEATURES)); nan where there is none."""
    rows = np.full((len(moments), len(FEATURES)), np.nan)
    for row, moment in zip(rows, moments, strict=True):
        if moment is None:
            continue
        since = moment - EPOCH
        day = (since.seconds + since.microseconds * 1e-6) / 86400
        year = (moment.timetuple().tm_yday - 1 + day) / 365.25
        week = (moment.weekday() + day) / 7
        angles = 2 * np.pi * np.repeat([year, week, day], 2)
        row[0] = since.days + day
        row[1:] = np.where(np.arange(6) % 2 == 0, np.sin(angles), np.cos(angles))
    return rows
