"""Lengths of time as people and programs write them, in seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["DURATION", "durations", "seconds_in"]

DURATION = "h:m:s"
"""The unit of a column of durations; no other unit has a colon."""

_CLOCK = r"(?P<h>\d+):(?P<m>[0-5]\d):(?P<s>[0-5]\d(?:[.,]\d+)?)"
_N = r"\d+(?:[.,]\d+)?"
_FORMS = (
    re.compile(_CLOCK, re.ASCII),
    # timedelta's text in Python ("1 day, 2:03:04") and pandas ("-1 days +23:59:59")
    re.compile(rf"(?P<d>-?\d+)\s?days?,?\s\+?{_CLOCK}", re.ASCII | re.IGNORECASE),
    re.compile(
        rf"P(?=.)(?:(?P<w>{_N})W)?(?:(?P<d>{_N})D)?"
        rf"(?:T(?=.)(?:(?P<h>{_N})H)?(?:(?P<m>{_N})M)?(?:(?P<s>{_N})S)?)?",
        re.ASCII,
    ),
    re.compile(
        rf"(?=.)(?:(?P<w>{_N})\s?(?:w|wks?|weeks?),?\s?)?(?:(?P<d>{_N})\s?(?:d|days?),?\s?)?"
        rf"(?:(?P<h>{_N})\s?(?:h|hrs?|hours?),?\s?)?(?:(?P<m>{_N})\s?(?:m|mins?|minutes?),?\s?)?"
        rf"(?:(?P<s>{_N})\s?(?:s|secs?|seconds?))?",
        re.ASCII | re.IGNORECASE,
    ),
)
_LENGTHS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


def seconds_in(word: str) -> float | None:
    """The seconds of a duration, None of any other word: ``26:15:00``, ``PT1H30M``, ``1h 30m``,
    ``-1 days +23:59:59``. Years and months have no fixed length."""
    return _read(word)[0]


def durations(words: Sequence[str]) -> tuple[float, ...] | None:
    """The seconds of all words; None if one is no duration, or all could be something else: a
    time of day, or a number with its unit."""
    if len(words) == 0 or not any(_read(word)[1] for word in words[:200]):
        return None
    found = [seconds_in(word) for word in words]
    return tuple(value for value in found if value is not None) if None not in found else None


def _read(word: str) -> tuple[float | None, bool]:
    """The seconds of a word, and whether it can be nothing but a duration."""
    minus = word[:1] in ("-", "\u2212") and not re.match(r".\d+\s?day", word, re.IGNORECASE)
    for i, form in enumerate(_FORMS):
        found = form.fullmatch(word[minus:].lstrip() if minus else word)
        if found is None:
            continue
        parts = {k: float(v.replace(",", ".")) for k, v in found.groupdict().items() if v}
        value = sum(_LENGTHS[key] * number for key, number in parts.items())
        sure = minus or len(parts) > 1 if i == 3 else i > 0 or minus or parts["h"] >= 24
        return (-value if minus else value), bool(sure)
    return None, False
