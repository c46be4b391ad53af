"""Static values: what belongs to the shape of a tree, and to the key of a compiled program."""

from __future__ import annotations

import dataclasses
import gc
import types
import weakref
from collections.abc import Callable, Iterator
from operator import is_
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
    """The identity of an object, and of what its attributes hold. It keeps nothing alive that may
    lead back to the object: what takes no weak reference (a list, a dict) goes by its address and
    by what it holds."""

    __slots__ = ("addresses", "hash", "held", "ref")

    def __init__(self, x: Any, gone: Callable[[Any], None] | None = None) -> None:
        self.hash = id(x)
        self.ref: Any = None
        fixed = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
        stack: list[Any] = [] if isinstance(x, fixed) else [*_attributes(x)]
        try:
            self.ref = weakref.ref(x, gone)
        except TypeError:
            stack += [type(x), *gc.get_referents(x)] if gc.is_tracked(x) else [x]
        self.held: list[Any] = []
        self.addresses = [id(x)]
        seen = {id(x)}
        while stack and len(self.held) < MOST_HELD:
            part = stack.pop()
            if type(part) in PLAIN:
                self.held.append(part)
                continue
            try:
                self.held.append(weakref.ref(part))  # the same one each time, while it lives
            except TypeError:
                if not gc.is_tracked(part) and type(part) is not dict:
                    self.held.append(part)  # it leads nowhere
                    continue
                self.addresses.append(id(part))
                if id(part) not in seen:
                    seen.add(id(part))
                    stack += [type(part), *_attributes(part), *gc.get_referents(part)]
        self.held += stack

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Same):
            return NotImplemented
        mine, its = (s.ref and s.ref() for s in (self, other))
        dead = self.ref is not None and mine is None
        same = mine is its and not dead and self.addresses == other.addresses
        return same and len(self.held) == len(other.held) and all(map(is_, self.held, other.held))


def _attributes(x: Any) -> Iterator[Any]:
    """What the slots hold, in order, and the names and values of the other attributes."""
    for kind in type(x).__mro__:
        if "__slots__" in vars(kind):
            for slot in vars(kind).values():  # under the names that Python made of private ones
                if isinstance(slot, types.MemberDescriptorType):
                    try:
                        yield slot.__get__(x)
                    except AttributeError:
                        yield _Same  # no value of anyone's
    try:
        named = object.__getattribute__(x, "__dict__")  # past any __getattr__
    except AttributeError:
        return
    for item in named.items():
        yield from item


PLAIN = (str, bytes, int, bool, types.NoneType)
MOST_HELD = 10_000
"""How much of what an object holds is held weakly; beyond that it is kept alive."""


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
