"""Loop nests: for each node that gets a buffer, the loops that fill it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chainrule.core.graph import CONSTANT, INPUT, Node
from chainrule.core.types import Shape
from chainrule.ops.contract import parse_spec
from chainrule.run.native.affine import Affine, Index, by_label, is_outer, linear, viewed, zero
from chainrule.run.native.buffers import Buffer, is_view

Operand = tuple[Node, Index]
NARROW = 8
"""A last axis shorter than this is not worth being the innermost loop of a product."""


@dataclass(frozen=True, slots=True)
class Load:
    """A number read from a buffer at a position."""

    buffer: Buffer
    position: Affine


@dataclass(frozen=True, slots=True)
class Value:
    """A node computed at an index."""

    node: Node
    index: Index


Site = Load | Value


@dataclass(frozen=True, eq=False)
class Nest:
    """Loops over ``space`` (no extent is 1) that write one buffer.

    Attributes:
        out: what is written; node: what is computed, None for zeros.
        operands: nodes at indices; what is written is the only one, or the product of two, or,
            for "scatter", the first, at a place that the others say.
        target: where it goes. mode: "store", a reduction ("sum", "max", ...), "argmax",
            "argmin", "scatter", or a recurrence along an axis of ``step`` elements in memory
            ("add" or "multiply" the result before; "linear": the first operand times it,
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
    for g, region in zip(node.inputs, node.attrs["regions"], strict=True):
        space, index = squeezed(g.type.shape)
        parts = iter(index)
        moved = [
            zero(len(space)).shifted(entry)
            if isinstance(entry, int)
            else next(parts).times(entry[2]).shifted(entry[0])
            for entry in region
        ]
        target = linear(moved, node.type.shape, len(space))
        yield Nest(out, node, space, ((g, index),), target, "accumulate")


def _scatter(node: Node, out: Buffer) -> Iterator[Nest]:
    yield _zeros(out)
    axes = node.attrs["axes"]
    step = 1 + len(axes)
    for start in range(0, len(node.inputs), step):
        g, *indices = node.inputs[start : start + step]
        space, index = squeezed(g.type.shape)
        front = indices[0].type.ndim
        rest = iter(index[front:])
        rank = len(space)
        fixed = [zero(rank) if a in axes else next(rest) for a in range(node.type.ndim)]
        operands = ((g, index), *((i, index[:front]) for i in indices))
        yield Nest(out, node, space, operands, linear(fixed, node.type.shape, rank), "scatter")


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
    "scatter_add": _scatter,
    "cumsum": _recurrence,
    "cumprod": _recurrence,
    "recurrence": _recurrence,
}

# what a nest computes ---------------------------------------------------------------------


class Sites:
    """What must be computed in the body of a nest, each thing once, in order.

    Args:
        buffers: memory of nodes. rank: how many loops there are.

    ``own`` are buffers whose numbers this body itself computes, at the same position, before
    they are read: what holds them is a register.
    """

    def __init__(self, buffers: dict[Node, Buffer], rank: int) -> None:
        self.buffers = buffers
        self.rank = rank
        self.own: dict[Buffer, Site] = {}
        self.order: dict[Site, tuple[Site, ...]] = {}

    def resolve(self, node: Node, index: Index, inside: Node | None = None) -> Site:
        """What holds a node at an index; ``inside`` is the node being defined."""
        while True:
            buffer = self.buffers.get(node)
            if buffer is not None and node is not inside:
                return self._read(buffer, linear(index, node.type.shape, self.rank))
            if not is_view(node):
                return Value(node, index)
            inner = viewed(node, index, self.rank)
            if inner is None:
                position = linear(index, node.type.shape, self.rank)
                return self._read(self.buffers[node.inputs[0]], position)
            node, index, inside = node.inputs[0], inner, None

    def _read(self, buffer: Buffer, position: Affine) -> Site:
        own = self.own.get(buffer)
        if own is not None:
            return own
        return Load(buffer, position)

    def add(self, operands: Sequence[Operand], inside: Node | None = None) -> list[Site]:
        """Add what these operands need, before themselves; returns their sites."""
        roots = [self.resolve(node, index, inside) for node, index in operands]
        stack = [(root, False) for root in reversed(roots)]
        while stack:
            site, ready = stack.pop()
            if site in self.order:
                continue
            children = () if isinstance(site, Load) else self._children(site)
            if ready or not children:
                self.order[site] = children
                continue
            stack.append((site, True))
            stack += [(child, False) for child in children]
        return roots

    def _children(self, site: Value) -> tuple[Site, ...]:
        node, index = site.node, site.index
        name = node.primitive.name
        if node.primitive is INPUT:
            raise AssertionError("an input always has a buffer")
        if node.primitive is CONSTANT or name == "iota":
            return ()
        if name == "gather":
            front = node.inputs[1].type.ndim
            return tuple(self.resolve(x, index[:front]) for x in node.inputs[1:])
        if name == "contract":
            left, right, out = parse_spec(node.attrs["spec"])
            parts = zip(node.inputs, (left, right), strict=True)
            return tuple(
                self.resolve(x, by_label(out, index, labels, self.rank)) for x, labels in parts
            )
        return tuple(self.resolve(x, index) for x in node.inputs)

    def positions(self) -> Iterator[Affine]:
        """Every affine expression that the body computes."""
        for site in self.order:
            if isinstance(site, Load):
                yield site.position
            elif site.node.primitive.name == "iota":
                yield site.index[site.node.attrs["axis"]]
            elif site.node.primitive.name == "gather":
                yield gathered_rest(site.node, site.index, self.rank)


def gathered_rest(node: Node, index: Index, rank: int) -> Affine:
    """The part of a gather's position that its index arrays do not say."""
    x, first = node.inputs[:2]
    rest = iter(index[first.type.ndim :])
    axes = node.attrs["axes"]
    fixed = [zero(rank) if a in axes else next(rest) for a in range(x.type.ndim)]
    return linear(fixed, x.type.shape, rank)
