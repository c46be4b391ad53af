"""The kinds of derivative rule. A rule is stated once, as operations on traced values; reverse
mode, forward mode, higher order and the printed derivation all follow from it.

Every kind acts by itself: it pulls the cotangent of a node's output back to its inputs and
pushes the tangents of its inputs forward. Transformations ask it to and know no kinds.

Notation: ``x`` inputs, ``y`` output, ``g`` cotangent of the output, ``t`` tangent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.core.batching import BatchRule, leading
from chainrule.core.dispatch import UFUNCS
from chainrule.core.masks import complements, expect_masks, inside, times
from chainrule.core.node import Node, Primitive
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.core.types import TupleType

Tangents = Sequence[Traced | None]
Transpose = Callable[[Callable[[Traced], Sequence[Any]], Traced, Tangents], Traced | None]


class Rule:
    """What a derivative rule does for one node of a recording.

    ``acts_entrywise``: each entry of the output depends on that entry of each input alone.
    ``is_linear``: its pullback moves and adds cotangents by factors that are the inputs
    themselves, so that with every input 1 it counts paths.
    ``batch``: how such a primitive is recorded for many rows at once, if its kind tells.
    """

    __slots__ = ()
    acts_entrywise: ClassVar[bool] = False
    is_linear: ClassVar[bool] = True
    batch: ClassVar[BatchRule | None] = None

    def pull(self, node: Node, g: Traced, wanted: Sequence[int]) -> Sequence[Any]:
        """The cotangents of the inputs numbered ``wanted``, given that of the output: each a
        traced value, a ``Deferred`` one, or None where nothing flows."""
        raise NotImplementedError

    def push(self, node: Node, tangents: Tangents, transpose: Transpose) -> Traced | None:
        """The tangent of the output, given those of all inputs (None: it does not move).

        ``transpose(pull, y, tangents)`` is forward mode's way to turn a pullback around.
        """
        raise NotImplementedError

    def pull_one(self, node: Node, g: Traced, i: int) -> Traced | None:
        """The cotangent of input ``i``, recorded at once."""
        (part,) = self.pull(node, g, [i])
        return part.emit() if isinstance(part, Deferred) else part

    def local(self, node: Node, recording: Recording, i: int) -> Any:
        """dy/dx_i entry by entry, traced or a number, where the kind states it; else None."""
        return None

    def carried(self, node: Node) -> Sequence[Node]:
        """The inputs that the output is added, moved or spread of; none where it is not."""
        return ()

    def support(self, node: Node, masks: Tangents, recording: Recording) -> Traced | None:
        """Where the output may differ from 0, if its carried inputs do so within these masks, not
        all of them None (anywhere)."""
        raise NotImplementedError


def arguments(node: Node, recording: Recording) -> tuple[Traced, list[Traced]]:
    """The output and the inputs of a node as traced values."""
    return Traced(node, recording), [Traced(x, recording) for x in node.inputs]


@dataclass(frozen=True, slots=True)
class Elementwise(Rule):
    """``partials[i](y, *xs, **attrs)`` is the local derivative dy/dx_i, element by element.

    A partial is, or returns, a Python number (1, -1, 0) where it does not depend on the inputs.
    None marks an argument without a derivative.
    """

    partials: tuple[Callable[..., Any] | int | None, ...]
    acts_entrywise: ClassVar[bool] = True
    batch: ClassVar[BatchRule | None] = staticmethod(leading)

    def pull(self, node: Node, g: Traced, wanted: Sequence[int]) -> Sequence[Any]:
        return [multiply(g, self.local(node, g.recording, i)) for i in wanted]

    def push(self, node: Node, tangents: Tangents, transpose: Transpose) -> Traced | None:
        recording = _recording(tangents)
        moving = [(i, t) for i, t in enumerate(tangents) if t is not None]
        return _sum([multiply(t, self.local(node, recording, i)) for i, t in moving])

    def local(self, node: Node, recording: Recording, i: int) -> Any:
        partial = self.partials[i]
        if callable(partial):
            y, xs = arguments(node, recording)
            return partial(y, *xs, **node.attrs)
        return 0 if partial is None else partial

    def carried(self, node: Node) -> Sequence[Node]:
        return node.inputs if all(type(p) is int and p for p in self.partials) else ()

    def support(self, node: Node, masks: Tangents, recording: Recording) -> Traced | None:
        first, *rest = masks
        for mask in rest:
            if first is None or mask is None or complements(first, mask):
                return None
            first = first | mask
        return first


@dataclass(frozen=True, slots=True)
class Multilinear(Rule):
    """Linear in each argument while the others are held.

    ``transposes[i](g, *xs, **attrs)`` maps the cotangent of the output to that of argument
    i. None marks an argument without a derivative (indices, masks).
    """

    transposes: tuple[Callable[..., Any] | None, ...]

    def pull(self, node: Node, g: Traced, wanted: Sequence[int]) -> Sequence[Any]:
        _, xs = arguments(node, g.recording)
        chosen = [self.transposes[i] for i in wanted]
        return [transpose and transpose(g, *xs, **node.attrs) for transpose in chosen]

    def push(self, node: Node, tangents: Tangents, transpose: Transpose) -> Traced | None:
        _, xs = arguments(node, _recording(tangents))
        return _sum(
            [
                node.primitive(*xs[:i], t, *xs[i + 1 :], **node.attrs)
                for i, t in enumerate(tangents)
                if t is not None and self.transposes[i] is not None
            ]
        )


@dataclass(frozen=True, slots=True)
class Linear(Rule):
    """Linear in all its arguments together, as concatenation is, however many there are.

    ``transpose(i, g, *xs, **attrs)`` is the cotangent of argument i; ``variadic`` rules take
    the list of all wanted i at once and return the list of their cotangents, so that ten
    thousand arguments cost ten thousand steps. ``constant(i, **attrs)`` says which arguments
    (indices) have no derivative. ``hides``: it may leave out some of what it is given. The kind
    differs from ``Multilinear`` in forward mode: one application to all tangents, not a sum of
    applications.
    """

    transpose: Callable[..., Any]
    constant: Callable[..., bool] = lambda i, **attrs: False
    variadic: bool = False
    hides: bool = False

    def pull(self, node: Node, g: Traced, wanted: Sequence[int]) -> Sequence[Any]:
        _, xs = arguments(node, g.recording)
        if self.hides:
            expect_masks(g.recording)
        moving = [i for i in wanted if not self.constant(i, **node.attrs)]
        if self.variadic:
            parts = self.transpose(moving, g, *xs, **node.attrs)
        else:
            parts = [self.transpose(i, g, *xs, **node.attrs) for i in moving]
        found = dict(zip(moving, parts, strict=True))
        return [found.get(i) for i in wanted]

    def carried(self, node: Node) -> Sequence[Node]:
        if any(isinstance(x.type, TupleType) for x in (node, *node.inputs)):
            return ()
        return [x for i, x in enumerate(node.inputs) if not self.constant(i, **node.attrs)]

    def support(self, node: Node, masks: Tangents, recording: Recording) -> Traced | None:
        """The same moves of ones and zeros."""
        given = iter(masks)
        inputs = []
        for i, x in enumerate(node.inputs):
            if self.constant(i, **node.attrs):
                inputs.append(Traced(x, recording))
            else:
                mask = next(given)
                ones = recording.spread(1.0, x.type)
                inputs.append(ones if mask is None else mask.astype(x.type.dtype))
        return node.primitive(*inputs, **node.attrs) != 0

    def push(self, node: Node, tangents: Tangents, transpose: Transpose) -> Traced | None:
        recording = _recording(tangents)
        _, xs = arguments(node, recording)
        moving = [not self.constant(i, **node.attrs) for i in range(len(xs))]
        if self.hides or any(t is None and m for t, m in zip(tangents, moving, strict=True)):
            expect_masks(recording)
        inputs = [
            x if not m else recording.zeros(x.type) if t is None else t
            for t, x, m in zip(tangents, xs, moving, strict=True)
        ]
        return node.primitive(*inputs, **node.attrs)


@dataclass(frozen=True, slots=True)
class Custom(Rule):
    """``vjp(g, y, *xs, **attrs)`` returns the cotangents of all arguments; ``why`` gives the
    reason why no simpler kind fits. Forward mode transposes the vjp, which is linear in g.
    """

    vjp: Callable[..., Sequence[Any]]
    why: str
    is_linear: ClassVar[bool] = False

    def pull(self, node: Node, g: Traced, wanted: Sequence[int]) -> Sequence[Any]:
        y, xs = arguments(node, g.recording)
        parts = self.vjp(g, y, *xs, **node.attrs)
        return [parts[i] for i in wanted]

    def push(self, node: Node, tangents: Tangents, transpose: Transpose) -> Traced | None:
        every = range(len(node.inputs))
        y, _ = arguments(node, _recording(tangents))
        return transpose(lambda g: self.pull(node, g, every), y, tangents)


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


# Products and sums of cotangents and tangents --------------------------------------------------


def multiply(g: Traced, factor: Any) -> Any:
    """``g`` times a local derivative; None where that is the number 0."""
    if type(factor) is Traced:
        if g.node in g.recording.ones:
            return factor
    elif factor == 0:
        return None
    elif factor == 1:
        return g
    if g.node.primitive.shows is not None:
        kept = inside(lambda x: multiply(x, factor), g)
        if kept is not None:
            return kept
    if type(factor) is int and factor == -1:
        return UFUNCS[np.negative](g)
    product = UFUNCS[np.multiply](g, factor)
    return product if g.recording.masks is None else times(product, g)


def add(a: Traced, b: Traced) -> Traced:
    """The sum of two cotangents; masked alike, they stay masked."""
    kept = None if a.node.primitive.shows is None else inside(add, a, b)
    return UFUNCS[np.add](a, b) if kept is None else kept


def total(contributions: Sequence[Any]) -> Traced:
    """The sum of cotangents; deferred writes into one array are merged into one first."""
    if len(contributions) == 1:
        (only,) = contributions
        return only.emit() if type(only) is Deferred else only
    ready = [part for part in contributions if type(part) is not Deferred]
    if len(ready) < len(contributions):
        ready += _merged([part for part in contributions if type(part) is Deferred])
    result = ready[0]
    for part in ready[1:]:
        result = add(result, part)
    return result


def _merged(parts: Sequence[Deferred]) -> list[Traced]:
    """Deferred applications, those of one kind as one."""
    groups: dict[Any, list[Deferred]] = {}
    for part in parts:
        groups.setdefault((part.primitive, part.attrs.get("axes")), []).append(part)
    found = []
    for (primitive, _), alike in groups.items():
        merge = primitive.merge
        found += [part.emit() for part in alike] if merge is None else [merge(alike)]
    return found


def _sum(parts: Sequence[Any]) -> Traced | None:
    found = [part for part in parts if part is not None]
    return total(found) if found else None


def _recording(tangents: Tangents) -> Recording:
    return next(t for t in tangents if t is not None).recording
