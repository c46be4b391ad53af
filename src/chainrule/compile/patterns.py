"""What the tables of rewrites share: an entry, finding the one that fits, and looking at traced
values."""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from chainrule.core.node import CONSTANT, PRIMITIVES, Node, Primitive
from chainrule.core.traced import Traced

Number = float | int | bool


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What to record instead of ``primitive`` on some arguments.

    ``replace(*inputs, **attrs)`` returns the other form, or None where the pattern does not
    fit; ``example`` shows it to a reader.
    """

    name: str
    primitive: str
    replace: Callable[..., Traced | None]
    example: str


class Table:
    """Rewrites as a recording takes them: called with an operation, it returns what to record
    instead, by the first that fits, or None.

    A row with a coefficient that is 0 below the line or no float leaves the operation to the next,
    and is counted in ``declined``.
    """

    def __init__(self, rewrites: Iterable[Rewrite]) -> None:
        self.rewrites = tuple(rewrites)
        self.declined: Counter[str] = Counter()
        self._by_primitive: dict[str, list[Rewrite]] = {}
        for one in self.rewrites:
            self._by_primitive.setdefault(one.primitive, []).append(one)

    def __call__(
        self,
        primitive: Primitive,
        inputs: tuple[Traced, ...],
        attrs: Any,
        fired: Counter[str] | None = None,
    ) -> Traced | None:
        return self._first(primitive.name, inputs, attrs, fired)

    def _first(
        self, name: str, inputs: tuple[Traced, ...], attrs: Any, fired: Counter[str] | None
    ) -> Traced | None:
        for one in self._by_primitive.get(name, ()):
            try:
                found = one.replace(*inputs, **attrs)
            except (OverflowError, ZeroDivisionError):  # a coefficient that no float holds
                self.declined[one.name] += 1
                continue
            if found is not None:
                if fired is not None:
                    fired[one.name] += 1
                return found
        return None


def made_by(x: Traced, name: str) -> bool:
    """Whether the primitive of this name made x."""
    return x.node.primitive.name == name


def inputs_of(x: Traced) -> tuple[Traced, ...]:
    return tuple(Traced(node, x.recording) for node in x.node.inputs)


def inner(x: Traced) -> Traced:
    """The first argument of what made x."""
    return Traced(x.node.inputs[0], x.recording)


def number(x: Traced) -> Number | None:
    """The number that x holds everywhere, if it is a constant or shows one in every place."""
    node: Node = x.node
    if node.primitive.name == "broadcast":
        (node,) = node.inputs
    if node.primitive is not CONSTANT:
        return None
    value, dtype = node.attrs["value"], node.type.dtype
    if dtype.kind == "f":
        return struct.unpack("f" if dtype.itemsize == 4 else "d", value)[0]
    if dtype.kind == "b":
        return value != b"\0"
    return int.from_bytes(value, sys.byteorder, signed=dtype.kind == "i")


def apply(name: str, *inputs: Traced, **attrs: Any) -> Traced:
    """Record the primitive of this name."""
    return inputs[0].recording.emit(PRIMITIVES[name], inputs, attrs)


def constant_like(x: Traced, value: Number) -> Traced:
    """An array like x that holds one number."""
    constant = x.recording.constant(value, x.dtype)
    return apply("broadcast", constant, shape=x.shape, axes=()) if x.shape else constant
