"""Loop nests: for each node that gets a buffer, the loops that fill it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chainrule.core.node import Node
from chainrule.core.types import Shape
from chainrule.ops.contract import parse_spec
from chainrule.run.native.plan.affine import Affine, Index, by_label, is_outer, linear, zero
from chainrule.run.native.plan.buffers import Buffer

Operand = tuple[Node, Index]
NARROW = 8
"""A last axis shorter than this is not worth being the innermost loop of a product."""


STORES = ("store", "accumulate", "scatter", "put", "add", "multiply", "linear")
"""Modes of a nest that are no reduction."""


@dataclass(frozen=True, eq=False)
class Nest:
    """Loops over ``space`` (no extent is 1) that write one buffer.

    Attributes:
        out: what is written; node: what is computed, None for zeros.
        operands: nodes at indices; what is written is the only one, or the product of two, or,
            for "scatter" and "put", the first, at a place that the others say.
        target: where it goes. mode: "store", a reduction ("sum", "max", ...), "argmax",
            "argmin", "scatter" (added), "put", or a recurrence along an axis of ``step`` elements
            in memory ("add" or "multiply" the result before; "linear": the first operand times it,
            plus the second).
    """

    out: Buffer
    node: Node | None
    space: Shape
    operands: tuple[Operand, ...]
    target: Affine
    mode: str = "store"
    step: int = 0

    @property
    def rank(self) -> int:
        return len(self.space)

    def defines(self, memory: dict[Node, Buffer]) -> Node | None:
        """The node whose own buffer this nest fills from its definition: not to be loaded."""
        node = self.node
        if self.mode != "store" or not self.operands or self.operands[0][0] is not node:
            return None
        return node if node is not None and memory.get(node) is self.out else None


def squeezed(shape: Shape) -> tuple[Shape, Index]:
    """The extents of a shape that are not 1, and the index of an element by their variables."""
    space = tuple(n for n in shape if n != 1)
    rank, position, index = len(space), 0, []
    for n in shape:
        if n == 1:
            index.append(zero(rank))
        else:
            index.append(Affine(0, tuple(int(k == position) for k in range(rank))))
            position += 1
    return space, tuple(index)


def copy(out: Buffer, node: Node) -> Nest:
    """Write a node, element by element."""
    space, index = squeezed(node.type.shape)
    target = linear(index, node.type.shape, len(space))
    return Nest(out, node, space, ((node, index),), target)


def nests_of(node: Node, out: Buffer) -> list[Nest]:
    """The loops that compute a node, in order."""
    name = node.primitive.name
    if name in _BUILDERS:
        return list(_BUILDERS[name](node, out))
    if name.startswith(("reduce_", "arg")):
        return [_reduction(node, out)]
    if name == "contract" and not is_outer(node):
        return [_product(node, out)]
    return [copy(out, node)]


def _reduction(node: Node, out: Buffer) -> Nest:
    (x,) = node.inputs
    axes = node.attrs["axes"] if "axes" in node.attrs else (node.attrs["axis"],)
    mode = node.primitive.name.removeprefix("reduce_")
    order = list(range(x.type.ndim))
    if mode.startswith("arg"):
        order = [a for a in order if a not in axes] + list(axes)
    space, permuted = squeezed(tuple(x.type.shape[a] for a in order))
    index: list[Affine] = [zero(len(space))] * x.type.ndim
    for axis, part in zip(order, permuted, strict=True):
        index[axis] = part
    kept = [part for a, part in enumerate(index) if a not in axes]
    target = linear(kept, node.type.shape, len(space))
    return Nest(out, node, space, ((x, tuple(index)),), target, mode)


def _product(node: Node, out: Buffer) -> Nest:
    """A sum of products, innermost along the last axis of the result."""
    left, right, result = parse_spec(node.attrs["spec"])
    x, y = node.inputs
    lengths = dict(zip(left + right, x.type.shape + y.type.shape, strict=True))
    summed = "".join(c for c in left if c in right and c not in result)
    # In which order a row is added up must not depend on how many rows there are.
    rows = any(lengths[c] > 1 for c in left if c in result and c not in right)
    larger = left if rows or x.type.size >= y.type.size else right
    inner = _innermost(larger, result, lengths)
    if inner in result:
        labels = result.replace(inner, "") + summed + inner
    else:
        labels = result + summed.replace(inner, "") + inner
    space, index = squeezed(tuple(lengths[c] for c in labels))
    rank = len(space)
    operands = (
        (x, by_label(labels, index, left, rank)),
        (y, by_label(labels, index, right, rank)),
    )
    target = linear(by_label(labels, index, result, rank), node.type.shape, rank)
    return Nest(out, node, space, operands, target, "sum")


def _innermost(larger: str, result: str, lengths: dict[str, int]) -> str:
    """The axis for the innermost loop: the last of a matrix that results, else of the larger
    operand, whose numbers then come one after another, unless it is short."""
    matrix = sum(lengths[c] != 1 for c in result) > 1
    for labels in (result, larger) if matrix else (larger, result):
        wide = [c for c in labels if lengths[c] != 1]
        if wide and lengths[wide[-1]] >= NARROW:
            return wide[-1]
    return (result or larger)[-1]


def _zeros(out: Buffer) -> Nest:
    space, index = squeezed(out.type.shape)
    return Nest(out, None, space, (), linear(index, out.type.shape, len(space)))


def _concatenate(node: Node, out: Buffer) -> Iterator[Nest]:
    axis, start = node.attrs["axis"], 0
    for x in node.inputs:
        space, index = squeezed(x.type.shape)
        moved = tuple(p.shifted(start) if a == axis else p for a, p in enumerate(index))
        yield Nest(out, node, space, ((x, index),), linear(moved, node.type.shape, len(space)))
        start += x.type.shape[axis]


def _place(node: Node, out: Buffer) -> Iterator[Nest]:
    yield _zeros(out)
    yield from _parts(node, out, node.inputs, "accumulate")


def _write(node: Node, out: Buffer) -> Iterator[Nest]:
    base, *parts = node.inputs
    yield _copied(node, out, base)
    yield from _parts(node, out, parts, "store")


def _copied(node: Node, out: Buffer, base: Node) -> Nest:
    space, index = squeezed(base.type.shape)
    return Nest(out, node, space, ((base, index),), linear(index, base.type.shape, len(space)))


def _parts(node: Node, out: Buffer, parts: Sequence[Node], mode: str) -> Iterator[Nest]:
    """Write parts into the regions that a node says."""
    for g, region in zip(parts, node.attrs["regions"], strict=True):
        space, index = squeezed(g.type.shape)
        variables = iter(index)
        moved = [
            zero(len(space)).shifted(entry)
            if isinstance(entry, int)
            else next(variables).times(entry[2]).shifted(entry[0])
            for entry in region
        ]
        target = linear(moved, node.type.shape, len(space))
        yield Nest(out, node, space, ((g, index),), target, mode)


def _scatter(node: Node, out: Buffer) -> Iterator[Nest]:
    yield _zeros(out)
    step = 1 + len(node.attrs["axes"])
    for start in range(0, len(node.inputs), step):
        yield _indexed(node, out, node.inputs[start : start + step], "scatter")


def _put(node: Node, out: Buffer) -> Iterator[Nest]:
    yield _copied(node, out, node.inputs[0])
    yield _indexed(node, out, node.inputs[1:], "put")


def _indexed(node: Node, out: Buffer, inputs: Sequence[Node], mode: str) -> Nest:
    """Write an array, the first of the inputs, to the places that the others say."""
    g, *indices = inputs
    axes = node.attrs["axes"]
    space, index = squeezed(g.type.shape)
    front = indices[0].type.ndim
    rest = iter(index[front:])
    rank = len(space)
    fixed = [zero(rank) if a in axes else next(rest) for a in range(node.type.ndim)]
    operands = ((g, index), *((i, index[:front]) for i in indices))
    return Nest(out, node, space, operands, linear(fixed, node.type.shape, rank), mode)


def _recurrence(node: Node, out: Buffer) -> Iterator[Nest]:
    """The first entries along the axis, then each from the one before."""
    axis, shape = node.attrs["axis"], node.type.shape
    modes = {"cumsum": "add", "cumprod": "multiply", "recurrence": "linear"}
    for first in (True, False):
        length = min(1, shape[axis]) if first else shape[axis] - 1
        if length < 1:
            continue
        part = (*shape[:axis], length, *shape[axis + 1 :])
        space, index = squeezed(part)
        if not first:
            index = tuple(p.shifted(1) if a == axis else p for a, p in enumerate(index))
        rank = len(space)
        target = linear(index, shape, rank)
        inputs = node.inputs[-1:] if first else node.inputs
        operands = tuple((x, index) for x in inputs)
        step = 1
        for n in shape[axis + 1 :]:
            step *= n
        mode = "store" if first else modes[node.primitive.name]
        yield Nest(out, node, space, operands, target, mode, step)


_BUILDERS = {
    "concatenate": _concatenate,
    "place": _place,
    "put": _put,
    "scatter_add": _scatter,
    "write": _write,
    "cumsum": _recurrence,
    "cumprod": _recurrence,
    "recurrence": _recurrence,
}


# sharing ----------------------------------------------------------------------------------


def prefilled(nest: Nest, factors: Sequence[int]) -> bool:
    """Whether a reduction adds into memory: some axis that stays lies inside one that goes."""
    if nest.mode in STORES or nest.mode.startswith("arg"):
        return False
    if 0 in nest.space:
        return True
    kept = [k for k, f in enumerate(factors) if f]
    return bool(kept) and len(kept) != kept[-1] + 1


SHARED = ("store", "sum", "prod", "max", "min", "any", "all", "argmax", "argmin")
"""Modes that threads can share out by what is written."""


def shared_axis(nest: Nest, threads: int) -> int | None:
    """The axis of a nest's loops along which threads share it: what they write lies apart. The
    first axis, unless it is shorter than there are threads and the second one is not."""
    axes = [axis for axis in range(min(nest.rank, 2)) if _divides(nest, axis)]
    long = [axis for axis in axes if nest.space[axis] >= threads]
    return next(iter(long or axes), None)


def _divides(nest: Nest, axis: int) -> bool:
    factor = nest.target.factors[axis]
    if not factor or nest.mode not in SHARED or 0 in nest.space:
        return False
    whole = factor * nest.space[axis] == nest.out.type.size  # a thread fills what it adds into
    return whole or not prefilled(nest, nest.target.factors)
