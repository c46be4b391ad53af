"""What the body of a loop nest computes: each thing once, numbers that are read among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.ops.contract import parse_spec
from chainrule.run.native.plan.affine import Affine, Index, by_label, linear, viewed, zero
from chainrule.run.native.plan.buffers import Buffer, is_view
from chainrule.run.native.plan.nests import Operand


class Load(NamedTuple):
    """A number read from a buffer at a position."""

    buffer: Buffer
    position: Affine


class Value(NamedTuple):
    """A node computed at an index."""

    node: Node
    index: Index


Site = Load | Value


class Sites:
    """What must be computed in the body of a nest, each thing once, in order.

    Args:
        buffers: memory of nodes. rank: how many loops there are.

    ``own`` are buffers whose numbers this body itself computes, at the same position, before
    they are read: what holds them is a register. ``loaded`` are nodes that are read from memory.
    """

    def __init__(self, buffers: dict[Node, Buffer], rank: int) -> None:
        self.buffers = buffers
        self.rank = rank
        self.own: dict[Buffer, Site] = {}
        self.loaded: dict[Site, Node] = {}
        self.order: dict[Site, tuple[Site, ...]] = {}

    def resolve(self, node: Node, index: Index, inside: Node | None = None) -> Site:
        """What holds a node at an index; ``inside`` is the node being defined."""
        while True:
            buffer = self.buffers.get(node)
            if buffer is not None and node is not inside:
                site = self._read(buffer, linear(index, node.type.shape, self.rank))
                self.loaded[site] = node
                return site
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
        stack = roots[::-1]
        opened: dict[Site, tuple[Site, ...]] = {}
        while stack:
            site = stack[-1]
            children = opened.get(site)
            if children is None and site not in self.order and isinstance(site, Value):
                children = opened[site] = self._children(site)
                if children:
                    stack += children
                    continue
            stack.pop()
            self.order.setdefault(site, children or ())
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
            return tuple([self.resolve(x, index[:front]) for x in node.inputs[1:]])
        if name == "contract":
            left, right, out = parse_spec(node.attrs["spec"])
            parts = zip(node.inputs, (left, right), strict=True)
            return tuple(
                self.resolve(x, by_label(out, index, labels, self.rank)) for x, labels in parts
            )
        return tuple([self.resolve(x, index) for x in node.inputs])

    def needed(
        self, roots: Iterable[Site], children: Mapping[Site, tuple[Site, ...]]
    ) -> list[Site]:
        """What must be computed for these, in order, where each site needs these children."""
        found: set[Site] = set()
        stack = list(roots)
        while stack:
            site = stack.pop()
            if site not in found:
                found.add(site)
                stack += children[site]
        return [site for site in self.order if site in found]

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
