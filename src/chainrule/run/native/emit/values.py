"""What the body of loops computes: addresses, values, and how they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from chainrule.core.node import CONSTANT, Node
from chainrule.core.types import Shape
from chainrule.ops.contract import parse_spec
from chainrule.run.native.emit.reductions import words
from chainrule.run.native.numbers.arithmetic import select
from chainrule.run.native.numbers.elementwise import ELEMENTWISE
from chainrule.run.native.numbers.ir import Builder, literal, memory_type, register_type
from chainrule.run.native.plan.affine import Affine, collapsed
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.nests import Nest
from chainrule.run.native.plan.sites import Load, Site, Sites, Value, gathered_rest


class FunctionText:
    """A function while it is written: its instructions and its pointers.

    ``tile`` is a buffer of which only a tile is at hand, at ``%tile``, its rows ``%apart``.
    ``absolute``: there is no loop, and what lies in the arena is found there, not by a pointer of
    its own.
    """

    def __init__(
        self, memory: dict[Node, Buffer], tile: Buffer | None = None, absolute: bool = False
    ) -> None:
        self.memory = memory
        self.tile = tile
        self.absolute = absolute
        self.b = Builder()
        self.pointers: dict[Buffer, str] = {}

    def pointer(self, buffer: Buffer) -> str:
        buffer = buffer.alias or buffer
        if self.absolute and buffer.place == "arena":
            return self.b.do(f"getelementptr i8, ptr %arena, i64 {buffer.offset}")
        return self.pointers.setdefault(buffer, f"%p{len(self.pointers)}")


class Body:
    """The body that nests over one space share, inside the loops that are open."""

    def __init__(self, function: FunctionText, nests: Sequence[Nest], axis: int | None) -> None:
        self.f = function
        self.b = function.b
        self.nests = nests
        self.space = nests[0].space
        self.sites = Sites(function.memory, len(self.space))
        self.roots: dict[Nest, list[Site]] = {}
        for nest in nests:
            self.roots[nest] = self.sites.add(nest.operands, nest.defines(function.memory))
            if nest.mode == "store" and nest.operands:
                self.sites.own[nest.out] = self.roots[nest][0]
        positions = [*self.sites.positions(), *(n.target for n in nests)]
        self.runs = collapsed(self.space, positions, axis)
        self.extents = [prod(self.space[a] for a in run) for run in self.runs]
        self.known: dict[Site, str] = {}
        self.variables: list[str] = []
        self.within: tuple[str, str] = ("", "")

    def factors(self, position: Affine) -> list[int]:
        return [position.factors[run[-1]] for run in self.runs]

    def offset(self, position: Affine) -> str:
        """The value of an affine expression of the loops that are open."""
        terms = []
        for factor, variable in zip(self.factors(position), self.variables, strict=False):
            if factor == 1:
                terms.append(variable)
            elif factor:
                terms.append(self.b.do(f"mul nsw i64 {variable}, {factor}"))
        if position.constant or not terms:
            terms.append(str(position.constant))
        total = terms[0]
        for term in terms[1:]:
            total = self.b.do(f"add nsw i64 {total}, {term}")
        return total

    def address(self, buffer: Buffer, position: Affine, add: str = "") -> str:
        if buffer is self.f.tile:
            row = self.b.do(f"mul nuw nsw i64 {self.within[0]}, %apart")
            offset, pointer = self.b.do(f"add nuw nsw i64 {row}, {self.within[1]}"), "%tile"
        else:
            own = buffer.alias or buffer
            if self.f.absolute and own.place == "arena" and not add:
                at = own.offset + position.constant * own.type.dtype.itemsize
                return self.b.do(f"getelementptr i8, ptr %arena, i64 {at}")
            offset, pointer = self.offset(position), self.f.pointer(buffer)
        if add:
            offset = self.b.do(f"add nsw i64 {offset}, {add}")
        type = memory_type(buffer.type.dtype)
        return self.b.do(f"getelementptr inbounds {type}, ptr {pointer}, i64 {offset}")

    def value(self, site: Site) -> str:
        """Instructions that compute a site, whose children are known."""
        if isinstance(site, Load):
            place = self.address(site.buffer, site.position)
            return self.b.load(site.buffer.type.dtype, place)
        node = site.node
        if node.primitive is CONSTANT:
            return literal(np.frombuffer(node.attrs["value"], node.attrs["dtype"])[0],
                           node.type.dtype)  # fmt: skip
        name = node.primitive.name
        if name == "iota":
            return self.offset(site.index[node.attrs["axis"]])
        inputs = [self.known[child] for child in self.sites.order[site]]
        if name == "gather":
            return self._gather(site, inputs)
        if name == "contract":
            return self._product(node, inputs)
        return ELEMENTWISE[name].lower(self.b, node, inputs)

    def _product(self, node: Node, inputs: Sequence[str]) -> str:
        """The only term of a product; where that is a sum, it starts at 0, which leaves no -0."""
        product = ELEMENTWISE["multiply"].lower(self.b, node, inputs)
        *factors, out = parse_spec(node.attrs["spec"])
        if not node.type.is_float or set("".join(factors)) <= set(out):
            return product
        return self.b.do(f"fadd {register_type(node.type.dtype)} {product}, 0.0")

    def _gather(self, site: Value, indices: Sequence[str]) -> str:
        node = site.node
        x = self.f.memory[node.inputs[0]]
        add = self.selected(x.type.shape, node.attrs["axes"], node.inputs[1:], indices)
        rest = gathered_rest(node, site.index, self.sites.rank)
        return self.b.load(x.type.dtype, self.address(x, rest, add))

    def selected(
        self, shape: Shape, axes: Sequence[int], nodes: Sequence[Node], indices: Sequence[str]
    ) -> str:
        """The offset that index arrays select, negative ones from the end. One that is out of
        bounds is reported and replaced by 0, so that nothing outside is touched."""
        b, total = self.b, ""
        for axis, node, index in zip(axes, nodes, indices, strict=True):
            dtype, n = node.type.dtype, shape[axis]
            if dtype.itemsize < 8:
                word = "sext" if dtype.kind == "i" else "zext"
                index = b.do(f"{word} {register_type(dtype)} {index} to i64")
            below = b.do(f"icmp slt i64 {index}, 0")
            wrapped = select(b, below, "i64", b.do(f"add i64 {index}, {n}"), index)
            inside = b.do(f"icmp ult i64 {wrapped}, {n}")
            self.report(b.do(f"xor i1 {inside}, true"))
            safe = select(b, inside, "i64", wrapped, "0")
            stride = prod(shape[axis + 1 :])
            term = safe if stride == 1 else b.do(f"mul nsw i64 {safe}, {stride}")
            total = term if not total else b.do(f"add nsw i64 {total}, {term}")
        return total

    def report(self, wrong: str) -> None:
        """Raise the program's flag for an index out of bounds."""
        b = self.b
        old = b.do("load i64, ptr %flag, align 8")
        new = b.do(f"or i64 {old}, {b.do(f'zext i1 {wrong} to i64')}")
        b.effect(f"store i64 {new}, ptr %flag, align 8")

    def store(self, nest: Nest, values: list[str]) -> None:
        """Store the numbers of a nest that is no reduction."""
        b, dtype = self.b, nest.out.type.dtype
        if nest.mode == "store" and nest.out.place == "local":
            return
        add = ""
        if nest.mode in ("scatter", "put"):
            node = nest.node
            assert node is not None
            nodes = [x for x, _ in nest.operands[1:]]
            add = self.selected(nest.out.type.shape, node.attrs["axes"], nodes, values[1:])
        place = self.address(nest.out, nest.target, add)
        if nest.mode in ("store", "put"):
            b.store(dtype, values[0] if values else literal(0, dtype), place)
            return
        before = place
        if nest.step:
            type = memory_type(dtype)
            before = b.do(f"getelementptr inbounds {type}, ptr {place}, i64 {-nest.step}")
        old = b.load(dtype, before)
        plus, times = words(dtype)
        if nest.mode == "linear":
            scaled = b.do(f"{times} {register_type(dtype)} {values[0]}, {old}")
            new = b.do(f"{plus} {register_type(dtype)} {values[1]}, {scaled}")
        else:
            word = times if nest.mode == "multiply" else plus
            new = b.do(f"{word} {register_type(dtype)} {old}, {values[0]}")
        b.store(dtype, new, place)
