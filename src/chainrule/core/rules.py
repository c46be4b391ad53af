"""The kinds of derivative rule. A rule is stated once, as operations on traced values;
reverse mode, forward mode, higher order and the printed derivation all follow from it.

Notation: ``x`` inputs, ``y`` output, ``g`` cotangent of the output, ``t`` tangent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.core.graph import Primitive


@dataclass(frozen=True, slots=True)
class Elementwise:
    """``partials[i](y, *xs, **attrs)`` is the local derivative dy/dx_i, element by element.

    A partial may be a Python number (1, -1, 0) where it does not depend on the inputs.
    None marks an argument without a derivative.
    """

    partials: tuple[Callable[..., Any] | None, ...]


@dataclass(frozen=True, slots=True)
class Multilinear:
    """Linear in each argument while the others are held.

    ``transposes[i](g, *xs, **attrs)`` maps the cotangent of the output to that of argument
    i. None marks an argument without a derivative (indices, masks).
    """

    transposes: tuple[Callable[..., Any] | None, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear in all its arguments together, as concatenation is, however many there are.

    ``transpose(i, g, *xs, **attrs)`` is the cotangent of argument i; ``variadic`` rules take
    the list of all wanted i at once and return the list of their cotangents, so that ten
    thousand arguments cost ten thousand steps. ``constant(i, **attrs)`` says which arguments
    (indices) have no derivative. The kind differs from ``Multilinear`` in forward mode: one
    application to all tangents, not a sum of applications.
    """

    transpose: Callable[..., Any]
    constant: Callable[..., bool] = lambda i, **attrs: False
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class Custom:
    """``vjp(g, y, *xs, **attrs)`` returns the cotangents of all arguments; ``why`` gives the
    reason why no simpler kind fits. Forward mode transposes the vjp, which is linear in g.
    """

    vjp: Callable[..., Sequence[Any]]
    why: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """An application that a transpose asks for but does not record yet.

    The cotangents of many reads of one array are deferred writes; when all of them are
    known, ``primitive.merge`` turns them into a single write into one buffer, so n reads
    cost O(n) bytes and not n buffers (architecture, ``gather``/``scatter_add``).
    """

    primitive: Primitive
    inputs: tuple[Any, ...]
    attrs: dict[str, Any]

    def emit(self) -> Any:
        return self.primitive(*self.inputs, **self.attrs)
