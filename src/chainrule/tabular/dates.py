"""Dates and timestamps as numbers a network can use.

A date becomes its position in time (days since 1970-01-01) and the angles of its cycles, as
sine and cosine, so that 31 December lies beside 1 January. Moments with an offset are told in
UTC. Feature names and formulas are below; which of them a column gets is learned.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURES", "date_features", "parse_moment", "parse_moments"]

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

ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII
)
EPOCH = datetime(1970, 1, 1)


def parse_moment(word: str) -> datetime | None:
    """The moment an ISO 8601 date or timestamp names, in UTC; None if it is not one."""
    if not ISO.fullmatch(word):
        return None
    try:
        moment = datetime.fromisoformat(word)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):  # 30 February; an offset that leaves the calendar
        return None


def parse_moments(words: tuple[str, ...]) -> list[datetime] | int:
    """All words as moments, or the index of the first that is none."""
    moments: list[datetime] = []
    for index, word in enumerate(words):
        moment = parse_moment(word)
        if moment is None:
            return index
        moments.append(moment)
    return moments


def date_features(moments: list[datetime]) -> NDArray[np.float64]:
    """The features of each moment, shape (n, len(FEATURES))."""
    rows = np.empty((len(moments), len(FEATURES)))
    for row, moment in zip(rows, moments, strict=True):
        since = moment - EPOCH
        day = (since.seconds + since.microseconds * 1e-6) / 86400
        year = (moment.timetuple().tm_yday - 1 + day) / 365.25
        week = (moment.weekday() + day) / 7
        angles = 2 * np.pi * np.repeat([year, week, day], 2)
        row[0] = since.days + day
        row[1:] = np.where(np.arange(6) % 2 == 0, np.sin(angles), np.cos(angles))
    return rows
