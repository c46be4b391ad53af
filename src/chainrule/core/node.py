"""Nodes: applications of primitives, and what a primitive is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.core.types import ArrayType
from chainrule.errors import GraphError

Attrs = Mapping[str, Any]
NO_ATTRS: Attrs = MappingProxyType({})


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One set of arguments on which the test battery tries a primitive.

    ``smooth`` is false where the function has a kink or a jump, so that a numeric
    derivative means nothing there; the convention table says what holds instead.
    ``symmetric`` samples are matrices of a function that reads one triangle of them.
    """

    inputs: tuple[np.ndarray, ...]
    attrs: Attrs = field(default_factory=lambda: NO_ATTRS)
    smooth: bool = True
    symmetric: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Primitive:
    """All that is known about one operation.

    Args:
        name: how the text form writes it; unique.
        forward: ``(*values, **attrs) -> ndarray``, pure, on NumPy arrays; accepts complex
            values where the function is analytic, so that a checker can take complex steps.
        infer: ``(*types, **attrs) -> ArrayType``; raises ShapeError or DtypeError.
        rule: the derivative, one of the kinds in ``core/rules.py``; None where no argument
            has one (comparisons, integers).
        text, latex: notation with ``{}`` or ``{0}`` for arguments and ``{name}`` for attrs.
        teaches: one sentence that a learner should remember about its derivative.
        samples: arguments for the battery, made when asked.
        merge: joins deferred applications into one (see ``Deferred``).
        instead: ``(*inputs, **attrs)`` returns another form of the same numbers whose derivatives
            exist where this one's don't, or None. It always acts, eagerly too, before rewrites.
        shows: ``(node)`` of a choice, whose first input is the condition: the number of the input
            that it shows where all else is 0 (a mask), 0 where it is another choice.
        analytic: whether ``forward`` takes complex numbers in any of its floating arguments and is
            analytic there, so that a complex step gives its derivative; a function of the
            attributes where that depends on them.
        decree: "stopped" where no derivative flows because the user says so, "stated" where the
            user states it, for a first argument that is stopped: a numeric derivative takes
            the first as a constant, and the second as what its first argument is made of.
        batch: records the operation for many rows at once, see ``core/batching.py``; None where
            the kind of the derivative rule says how.
        keeps: how many inputs it takes where they are all of one type and, if that is floating,
            so is the result, with nothing to infer; 0 for others.
    """

    name: str
    forward: Callable[..., Any]
    infer: Callable[..., ArrayType]
    rule: Any = None
    text: str = ""
    latex: str = ""
    teaches: str = ""
    samples: Callable[[], Sequence[Sample]] = tuple
    merge: Callable[..., Any] | None = None
    instead: Callable[..., Any] | None = None
    shows: Callable[[Node], int] | None = None
    analytic: bool | Callable[..., bool] = False
    decree: str = ""
    batch: Callable[[Any], Any] | None = None
    keeps: int = 0

    def __post_init__(self) -> None:
        if self.name in PRIMITIVES:
            raise GraphError(f"primitive {self.name!r} is registered twice")
        PRIMITIVES[self.name] = self

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        """Record this primitive on traced values of the exact types that it takes."""
        return inputs[0].recording.emit(self, inputs, attrs)

    @property
    def batch_rule(self) -> Callable[[Any], Any]:
        """How it is recorded for many rows at once: by its own rule or by that of its kind."""
        found = self.batch or (self.rule and self.rule.batch)
        if not found:
            raise GraphError(f"primitive {self.name!r} does not say how it takes many rows at once")
        return found

    def is_analytic(self, attrs: Attrs) -> bool:
        """Whether a complex step gives the derivative of an application with these attributes."""
        return self.analytic(**attrs) if callable(self.analytic) else self.analytic

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


PRIMITIVES: dict[str, Primitive] = {}


class _Open:
    """A node until its fields are set: it makes a ``Node``, in half the time of a sealed class."""

    __slots__ = ("attrs", "inputs", "is_constant", "primitive", "serial", "type")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Node, ...],
        attrs: Attrs,
        type: ArrayType,
        serial: int,
        is_constant: bool = False,
    ) -> None:
        self.primitive = primitive
        self.inputs = inputs
        self.attrs = attrs
        self.type = type
        self.serial = serial
        self.is_constant = is_constant
        self.__class__ = Node  # type: ignore[assignment]


class Node(_Open):
    """One application of a primitive. Compared by identity; never changed once made.

    ``serial`` grows in the order of recording, so sorting by it is a topological order.
    ``is_constant`` is true of what depends on constants and captured arrays only.
    """

    __slots__ = ()

    def __new__(cls, *fields: Any) -> Node:
        return _Open(*fields)  # type: ignore[return-value]

    def __init__(self, *fields: Any) -> None:
        """They are set."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise GraphError(f"a node is immutable; {name} cannot be set")

    def __repr__(self) -> str:
        return f"<node {self.serial}: {self.primitive.name} -> {self.type}>"


make_node: Callable[..., Node] = _Open  # type: ignore[assignment]
"""``Node``, at two thirds of the time."""


def _input_forward(**attrs: Any) -> Any:
    raise GraphError("the value of an input is given by the caller, not computed")


def _input_infer(**attrs: Any) -> ArrayType:
    raise GraphError("the type of an input is given by the caller, not inferred")


def _constant_forward(*, value: bytes, dtype: str) -> np.ndarray:
    return np.frombuffer(value, dtype).reshape(())


def _constant_infer(*, value: bytes, dtype: str) -> ArrayType:
    return ArrayType((), np.dtype(dtype))


INPUT = Primitive(
    "input",
    forward=_input_forward,
    infer=_input_infer,
    teaches="An input is where gradients arrive.",
)
CONSTANT = Primitive(
    "constant",
    forward=_constant_forward,
    infer=_constant_infer,
    teaches="A constant does not move, so its derivative is zero.",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the user's code made a node: a file, a line, and the scope path around it."""

    file: str
    line: int
    function: str
    scope: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line} in {self.function}"
        return f"{place} ({self.scope})" if self.scope else place
