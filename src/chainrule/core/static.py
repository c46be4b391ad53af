"""Static values: what belongs to the shape of a tree, and to the key of a compiled program."""

from __future__ import annotations

import dataclasses
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np


class Static:
    """A value that belongs to the shape of a tree, or marks itself as such inside one. Equal ones
    have equal type: 1, 1.0 and True stay apart, and so do 0.0 and -0.0."""

    __slots__ = ("_key", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._key: Any = None

    @property
    def key(self) -> Any:
        """What decides equality. Raises a ``TypeError`` if the value is not hashable."""
        if self._key is None:
            self._key = _key(self.value)
        return self._key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Static):
            return NotImplemented
        try:
            return self.key == other.key
        except TypeError:
            return type(self.value) is type(other.value) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return repr(self.value)

    def __reduce__(self) -> Any:
        return Static, (self.value,)

    def without_value(self, gone: Callable[[Any], None]) -> Static:
        """Its equal that keeps no object alive which is compared by identity; ``gone`` is called
        when such a one has been collected."""
        made = Static(None)
        made._key = _key(self.value, gone)
        return made


class _Same:
    """The identity of an object, and of what its attributes hold."""

    __slots__ = ("attributes", "hash", "ref")

    def __init__(self, x: Any, gone: Callable[[Any], None] | None = None) -> None:
        self.ref: Any
        try:
            self.ref = weakref.ref(x, gone)
        except TypeError:
            self.ref = lambda: x
        self.hash = id(x)
        self.attributes: dict[str, Any] = {}
        fixed = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
        if not isinstance(x, fixed):
            slots = [s for kind in type(x).__mro__ for s in kind.__dict__.get("__slots__", ())]
            own = [s for s in slots if s[:2] != "__" and hasattr(x, s)]
            self.attributes = {s: getattr(x, s) for s in own} | getattr(x, "__dict__", {})

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Same):
            return NotImplemented
        x, mine, its = self.ref(), self.attributes, other.attributes
        same = x is not None and x is other.ref() and mine.keys() == its.keys()
        return same and all(mine[name] is its[name] for name in mine)


PLAIN = (str, bytes, int, bool, types.NoneType)


def _key(x: Any, gone: Callable[[Any], None] | None = None) -> Any:
    kind: Any = type(x)
    if kind in PLAIN:
        return kind, x
    if kind in (float, complex):
        return kind, repr(x)
    if isinstance(x, np.generic):
        return kind, x.dtype, x.tobytes()
    if isinstance(x, tuple):
        return (kind, *[_key(part, gone) for part in x])
    if isinstance(x, frozenset):
        return kind, frozenset([_key(part, gone) for part in x])
    if kind is slice:
        return kind, *[_key(part, gone) for part in (x.start, x.stop, x.step)]
    if kind is types.MethodType:
        return kind, _Same(x.__func__, gone), _Same(x.__self__, gone)
    if kind.__hash__ is object.__hash__:
        return _Same(x, gone)
    hash(x)
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        compared = [f.name for f in dataclasses.fields(x) if f.compare]
        return (kind, x, *[_key(getattr(x, name), gone) for name in compared])
    return kind, x
