"""Closed schemas for JSON: a document has exactly the keys it should, of the right kinds.

A schema is a value built from the classes below; ``check(value, schema, where)`` walks both
and raises DataError at the first place where they part, named as a path such as
``columns[3].center``. Unknown keys are refused like missing ones: a file from a newer version
is then reported instead of half understood.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chainrule.errors import DataError

__all__ = [
    "Boolean",
    "Constant",
    "Integer",
    "ListOf",
    "MapOf",
    "Nullable",
    "Number",
    "OneOf",
    "Record",
    "Schema",
    "Tagged",
    "Text",
    "check",
]


class Schema(Protocol):
    """Anything that can tell whether a JSON value is as it should be."""

    def check(self, value: Any, where: str) -> None:
        """Raise DataError, naming ``where``, unless ``value`` fits."""
        ...


def check(value: Any, schema: Schema, where: str = "") -> None:
    """Raise DataError unless ``value`` fits ``schema``; ``where`` begins the path shown."""
    schema.check(value, where)


def _wrong(where: str, expected: str, found: Any) -> DataError:
    return DataError(f"{where or 'the document'}: expected {expected}, found {_repr(found)}")


_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxlong = _shortened.maxother = 60
_repr = _shortened.repr


@dataclass(frozen=True)
class Text:
    """A string that can be written: no half of a surrogate pair."""

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, str):
            raise _wrong(where, "a string", value)
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise _wrong(where, "a string of whole characters", value)


@dataclass(frozen=True)
class Boolean:
    """true or false."""

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, bool):
            raise _wrong(where, "true or false", value)


@dataclass(frozen=True)
class Integer:
    """A whole number from ``minimum`` to ``maximum``."""

    minimum: int = -(2**63)
    maximum: int = 2**63 - 1

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(where, "a whole number", value)
        if value < self.minimum:
            raise _wrong(where, f"a whole number of at least {self.minimum}", value)
        if value > self.maximum:
            raise _wrong(where, f"a whole number of at most {self.maximum}", value)


@dataclass(frozen=True)
class Number:
    """A finite number, at least ``minimum``; a whole one of at most 53 bits, which every float
    holds as it is."""

    minimum: float | None = None

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong(where, "a number", value)
        if isinstance(value, int) and abs(value) > 2**53:
            raise _wrong(where, "a number, with a decimal point if beyond 2**53", value)
        if not math.isfinite(value):
            raise _wrong(where, "a finite number", value)
        if self.minimum is not None and value < self.minimum:
            raise _wrong(where, f"a number of at least {self.minimum}", value)


@dataclass(frozen=True)
class Constant:
    """Exactly this value."""

    value: Any

    def check(self, value: Any, where: str) -> None:
        if type(value) is not type(self.value) or value != self.value:
            raise _wrong(where, repr(self.value), value)


@dataclass(frozen=True)
class OneOf:
    """One of the strings ``values``."""

    values: tuple[str, ...]

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, str) or value not in self.values:
            raise _wrong(where, "one of " + ", ".join(map(repr, self.values)), value)


@dataclass(frozen=True)
class Nullable:
    """null, or what ``inner`` says."""

    inner: Schema

    def check(self, value: Any, where: str) -> None:
        if value is not None:
            self.inner.check(value, where)


@dataclass(frozen=True)
class ListOf:
    """A list of ``inner``, of at least ``minimum`` entries."""

    inner: Schema
    minimum: int = 0

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        if len(value) < self.minimum:
            raise _wrong(where, f"a list of at least {self.minimum}", value)
        for i, item in enumerate(value):
            self.inner.check(item, f"{where}[{i}]")


@dataclass(frozen=True)
class MapOf:
    """An object with any keys, whose values are all ``inner``."""

    inner: Schema

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        for key, item in value.items():
            self.inner.check(item, _below(where, key))


@dataclass(frozen=True)
class Record:
    """An object with exactly the keys of ``fields``, each value as its schema says."""

    fields: Mapping[str, Schema]

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        missing = [key for key in self.fields if key not in value]
        unknown = [key for key in value if key not in self.fields]
        place = where or "the document"
        if missing:
            raise DataError(f"{place}: lacks {', '.join(map(repr, missing))}")
        if unknown:
            raise DataError(f"{place}: has unknown {', '.join(map(repr, unknown))}")
        for key, schema in self.fields.items():
            schema.check(value[key], _below(where, key))


@dataclass(frozen=True)
class Tagged:
    """An object whose entry ``tag`` says which of ``records`` it is."""

    tag: str
    records: Mapping[str, Record]

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        kind = value.get(self.tag)
        if not isinstance(kind, str) or kind not in self.records:
            expected = "one of " + ", ".join(map(repr, self.records))
            raise _wrong(_below(where, self.tag), expected, kind)
        fields = {self.tag: Constant(kind), **self.records[kind].fields}
        Record(fields).check(value, where)


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
