"""Loop nests as instructions: one function for each group of nests that share their loops."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.core.graph import CONSTANT, Node
from chainrule.core.types import Shape
from chainrule.run.native.affine import Affine
from chainrule.run.native.arithmetic import multiply_add
from chainrule.run.native.buffers import Buffer
from chainrule.run.native.elementwise import ELEMENTWISE, select, truth
from chainrule.run.native.ir import (
    AS_IT_IS,
    UNROLLED,
    Builder,
    literal,
    memory_type,
    register_type,
)
from chainrule.run.native.machine import vector_bytes
from chainrule.run.native.nests import Load, Nest, Site, Sites, Value, gathered_rest
from chainrule.run.native.reductions import STORES, combined, prefilled, start_of, words
from chainrule.run.native.threads import when

BLOCK = 4096
"""Longer sums are added up block by block, so that rounding stays small."""
SHORT = 48
"""Innermost loops shorter than this are vectorised with masks, or LLVM would not do it at all."""


@dataclass(eq=False)
class Function:
    """Code of one step: its body, its pointer parameters in order, what it calls, how many
    rows threads share out in it, 0 where the first one does it alone, and definitions of its
    own helpers by name.

    Where they share, parameters ``%first`` and ``%last`` say which rows are this thread's. With
    ``numbers`` they count numbers, so many to a row, or so many in all where nothing is shared:
    such a function serves arrays of any size.
    """

    body: str
    buffers: list[Buffer]
    needs: set[str]
    shares: int
    helpers: dict[str, str] = field(default_factory=dict)
    numbers: int = 0


class _Stage:
    """The state while one set of nests with shared loops is written."""

    def __init__(self, writer: GroupWriter, nests: Sequence[Nest], axis: int | None) -> None:
        self.w = writer
        self.b = writer.b
        self.nests = nests
        self.space = nests[0].space
        self.sites = Sites(writer.memory, len(self.space))
        self.roots: dict[Nest, list[Site]] = {}
        for nest in nests:
            self.roots[nest] = self.sites.add(nest.operands, nest.defines(writer.memory))
            if nest.mode == "store" and nest.operands:
                self.sites.own[nest.out] = self.roots[nest][0]
        positions = [*self.sites.positions(), *(n.target for n in nests)]
        self.runs = collapsed(self.space, positions, axis)
        self.extents = [_product(self.space[a] for a in run) for run in self.runs]
        self.known: dict[Site, str] = {}
        self.sums: dict[Nest, list[str]] = {}
        # The loop that threads share, and its iterations for each row of their share.
        self.split, self.unit = None, 1
        if axis is not None:
            self.split = next(i for i, run in enumerate(self.runs) if run[0] == axis)
            self.unit = self.extents[self.split] // self.space[axis]

    @property
    def numbers(self) -> int:
        """For one long loop that stores numbers one after another: how many to a row that
        threads share, or in all. 0 for other loops."""
        if len(self.runs) != 1 or self.extents[0] <= UNROLLED:
            return 0
        if any(nest.mode != "store" for nest in self.nests):
            return 0
        return self.extents[0] if self.split is None else self.unit

    def factors(self, position: Affine) -> list[int]:
        return [position.factors[run[-1]] for run in self.runs]

    def write(self, flat: bool = False) -> None:
        """All loops of this stage; where they are ``flat``, over numbers %first up to %last."""
        if not flat and self.split is None:
            self.part = ("0", "")
            self._all()
            return
        if flat:
            self.split, self.unit = 0, 1
        self.part = self._scaled(("%first", "%last"), self.unit)
        with when(self.b, self.b.do(f"icmp ult i64 {self.part[0]}, {self.part[1]}")):
            self._all()

    def write_tile(self, width: int) -> None:
        """The loops over a tile of the space: ``%height`` rows from ``%row`` on, ``width``
        columns from ``%column`` on."""
        b = self.b
        with b.loop("%height") as i, b.loop(width, hint=self._hint(width)) as j:
            self.w.within = (i, j)
            self.w.variables = [b.do(f"add nuw nsw i64 %row, {i}"),
                                b.do(f"add nuw nsw i64 %column, {j}")]  # fmt: skip
            self._body()
        b.effect("ret void")

    def _scaled(self, part: tuple[str, str], factor: int) -> tuple[str, str]:
        if factor == 1 or not part[1]:
            return part
        first, last = (self.b.do(f"mul nuw nsw i64 {end}, {factor}") for end in part)
        return first, last

    def _all(self) -> None:
        for nest in self.nests:
            factors = self.factors(nest.target)
            if prefilled(nest, factors):
                each = 1 if self.split is None else factors[self.split]
                self.w.fill(nest, *self._scaled(self.part, each))
        if 0 in self.space:
            return
        self.w.variables = []
        self._level(0)

    def _level(self, depth: int) -> None:
        """Open the loop at this depth, and what is inside; sums begin and end around it."""
        begun = [n for n in self.nests if self._begins(n) == depth]
        for nest in begun:
            self.sums[nest] = self.w.accumulator(nest)
        if depth == len(self.runs):
            self._body()
        else:
            self._loop(depth)
        for nest in begun:
            self._finish(nest)

    def _begins(self, nest: Nest) -> int:
        """The depth after which a nest's target stays put; beyond all depths for stores."""
        if nest.mode in STORES:
            return -1
        factors = self.factors(nest.target)
        depth = len(factors)
        while depth and factors[depth - 1] == 0:
            depth -= 1
        return depth

    def _loop(self, depth: int) -> None:
        n, last = self.extents[depth], depth == len(self.runs) - 1
        summed = [x for x in self.nests if x.mode == "sum" and x.out.type.is_float and last
                  and self._begins(x) <= depth]  # fmt: skip
        if depth == self.split or n < 32 or not summed:
            start, stop = self.part if depth == self.split else ("0", n)
            hint = self._hint(n) if last and not summed and depth != self.split else ""
            with self.b.loop(stop, start, hint) as i:
                self._inside(depth, i)
            return
        whole, rest = divmod(n, BLOCK)
        if whole > 1:
            with self.b.loop(whole) as block:
                start = self.b.do(f"mul nuw nsw i64 {block}, {BLOCK}")
                self._lanes(depth, summed, start, BLOCK)
        elif whole:
            rest, whole = n, 0
        if rest:
            self._lanes(depth, summed, str(whole * BLOCK), rest)

    def _hint(self, n: int) -> str:
        """What LLVM must be told of an innermost loop: to use masks where a short one does not
        fill whole vectors, and not to unroll a short one before it has looked for vectors."""
        lanes = vector_bytes() // max(nest.out.type.dtype.itemsize for nest in self.nests)
        if 4 <= n < SHORT and n % lanes:
            return ", !llvm.loop !0"
        stores = all(nest.mode == "store" for nest in self.nests)
        return AS_IT_IS if stores and n >= lanes else ""

    def _lanes(self, depth: int, summed: Sequence[Nest], start: str, n: int) -> None:
        """Part of a loop whose sums are kept in lanes that LLVM makes a vector of.

        So the order in which numbers are added is ours, the same on every machine, and LLVM
        needs no licence to reorder, by which it would also cancel x - x, NaN or not.
        """
        b, lanes = self.b, 64 if n >= 256 else 16
        count, total = n - n % lanes, {nest: self.sums[nest] for nest in summed}
        if count:
            places = {nest: self.w.lanes(nest, lanes) for nest in summed}
            with b.loop(count // lanes) as q:
                first = b.do(f"mul nuw nsw i64 {q}, {lanes}")
                first = b.do(f"add nuw nsw i64 {first}, {start}")
                with b.loop(lanes) as lane:
                    for nest in summed:
                        self.sums[nest] = [self.w.lane(nest, places[nest], lane)]
                    self._inside(depth, b.do(f"add nuw nsw i64 {first}, {lane}"))
            for nest in summed:
                self.sums[nest] = total[nest]
                self.w.combine(nest, total[nest][0], self.w.folded(nest, places[nest], lanes))
        if n > count:
            begin = b.do(f"add nuw nsw i64 {start}, {count}")
            with b.loop(n - count) as i:
                self._inside(depth, b.do(f"add nuw nsw i64 {begin}, {i}"))

    def _inside(self, depth: int, variable: str) -> None:
        self.w.variables.append(variable)
        self._level(depth + 1)
        self.w.variables.pop()

    def _body(self) -> None:
        for site in self.sites.order:
            self.known[site] = self.w.value(self, site)
        for nest in self.nests:
            values = [self.known[site] for site in self.roots[nest]]
            self.w.consume(self, nest, values)

    def _finish(self, nest: Nest) -> None:
        place = self.w.address(self, nest.out, nest.target)
        if nest.mode.startswith("arg"):
            best = self.b.do(f"load i64, ptr {self.sums[nest][1]}")
            self.b.effect(f"store i64 {best}, ptr {place}, align 8")
            return
        value = self.w.read(self.sums[nest][0], nest)
        dtype = nest.out.type.dtype
        if prefilled(nest, self.factors(nest.target)):
            value = combined(self.b, nest, self.b.load(dtype, place), value)
        self.b.store(dtype, value, place)


class GroupWriter:
    """Writes the function of one group.

    Args:
        memory: the buffers of nodes. stages: sets of nests; the nests of one share loops.
        axis: the axis along which threads share the loops of the only stage.

    ``tile`` is a buffer of which only a tile is at hand, at ``%tile``, its rows ``%apart``.
    """

    tile: Buffer | None = None

    def __init__(
        self,
        memory: dict[Node, Buffer],
        stages: Sequence[Sequence[Nest]],
        axis: int | None = None,
    ) -> None:
        self.memory = memory
        self.shares = 0 if axis is None else stages[0][0].space[axis]
        self.b = Builder()
        self.pointers: dict[Buffer, str] = {}
        self.variables: list[str] = []
        self.within: tuple[str, str] = ("", "")
        made = [_Stage(self, nests, axis) for nests in stages]
        self.numbers = made[0].numbers if len(made) == 1 else 0
        for stage in made:
            stage.write(flat=self.numbers > 0)
        if stages:
            self.b.effect("ret void")

    def function(self) -> Function:
        text, pointers = self.b.text(), list(self.pointers)
        return Function(text, pointers, self.b.needs, self.shares, numbers=self.numbers)

    def pointer(self, buffer: Buffer) -> str:
        return self.pointers.setdefault(buffer.alias or buffer, f"%p{len(self.pointers)}")

    # addresses ----------------------------------------------------------------------------

    def offset(self, stage: _Stage, position: Affine) -> str:
        """The value of an affine expression of the loops that are open."""
        terms = []
        for factor, variable in zip(stage.factors(position), self.variables, strict=False):
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

    def address(self, stage: _Stage, buffer: Buffer, position: Affine, add: str = "") -> str:
        if buffer is self.tile:
            row = self.b.do(f"mul nuw nsw i64 {self.within[0]}, %apart")
            offset, pointer = self.b.do(f"add nuw nsw i64 {row}, {self.within[1]}"), "%tile"
        else:
            offset, pointer = self.offset(stage, position), self.pointer(buffer)
        if add:
            offset = self.b.do(f"add nsw i64 {offset}, {add}")
        type = memory_type(buffer.type.dtype)
        return self.b.do(f"getelementptr inbounds {type}, ptr {pointer}, i64 {offset}")

    # values -------------------------------------------------------------------------------

    def value(self, stage: _Stage, site: Site) -> str:
        """Instructions that compute a site, whose children are known."""
        if isinstance(site, Load):
            place = self.address(stage, site.buffer, site.position)
            return self.b.load(site.buffer.type.dtype, place)
        node = site.node
        if node.primitive is CONSTANT:
            return literal(np.frombuffer(node.attrs["value"], node.attrs["dtype"])[0],
                           node.type.dtype)  # fmt: skip
        name = node.primitive.name
        if name == "iota":
            return self.offset(stage, site.index[node.attrs["axis"]])
        inputs = [stage.known[child] for child in stage.sites.order[site]]
        if name == "gather":
            return self._gather(stage, site, inputs)
        if name == "contract":
            name = "multiply"
        return ELEMENTWISE[name].lower(self.b, node, inputs)

    def _gather(self, stage: _Stage, site: Value, indices: Sequence[str]) -> str:
        node = site.node
        x = self.memory[node.inputs[0]]
        add = self._selected(x.type.shape, node.attrs["axes"], node.inputs[1:], indices)
        rest = gathered_rest(node, site.index, stage.sites.rank)
        return self.b.load(x.type.dtype, self.address(stage, x, rest, add))

    def _selected(
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
            stride = _product(shape[axis + 1 :])
            term = safe if stride == 1 else b.do(f"mul nsw i64 {safe}, {stride}")
            total = term if not total else b.do(f"add nsw i64 {total}, {term}")
        return total

    def report(self, wrong: str) -> None:
        """Raise the program's flag for an index out of bounds."""
        b = self.b
        old = b.do("load i64, ptr %flag, align 8")
        new = b.do(f"or i64 {old}, {b.do(f'zext i1 {wrong} to i64')}")
        b.effect(f"store i64 {new}, ptr %flag, align 8")

    # what becomes of values ---------------------------------------------------------------

    def consume(self, stage: _Stage, nest: Nest, values: list[str]) -> None:
        """Store the numbers of a nest's body, or add them to what is accumulated."""
        b, dtype = self.b, nest.out.type.dtype
        if nest.mode == "store" and nest.out.place == "local":
            return
        if nest.mode not in STORES:
            self._reduce(nest, stage, values)
            return
        add = ""
        if nest.mode == "scatter":
            node = nest.node
            assert node is not None
            nodes = [x for x, _ in nest.operands[1:]]
            add = self._selected(nest.out.type.shape, node.attrs["axes"], nodes, values[1:])
        place = self.address(stage, nest.out, nest.target, add)
        if nest.mode == "store":
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

    def _reduce(self, nest: Nest, stage: _Stage, values: list[str]) -> None:
        value = values[0]
        dtype = nest.operands[0][0].type.dtype
        if len(values) == 2:
            if dtype.kind == "f":
                self._multiply_add(nest, stage.sums[nest][0], *values)
                return
            _, times = words(dtype)
            value = self.b.do(f"{times} {register_type(dtype)} {values[0]}, {values[1]}")
        if nest.mode in ("any", "all"):
            value = truth(self.b, dtype, value)
        if nest.mode.startswith("arg"):
            self._argument(nest, value, dtype, *stage.sums[nest])
        else:
            self.combine(nest, stage.sums[nest][0], value)

    def _multiply_add(self, nest: Nest, place: str, x: str, z: str) -> None:
        """One step of a sum of products: by an instruction, since where LLVM may contract as it
        likes, a number's bits depend on the loops around it."""
        dtype = nest.out.type.dtype
        old = self.b.load(dtype, place)
        new = multiply_add(self.b, register_type(dtype), x, z, old)
        self.b.store(dtype, new, place)

    def _argument(
        self, nest: Nest, value: str, dtype: np.dtype[Any], best: str, place: str
    ) -> None:
        """The first of the best, or the first NaN."""
        b, t = self.b, register_type(dtype)
        position = self.variables[-1] if _loops(nest) else "0"
        old = b.load(dtype, best)
        more = nest.mode == "argmax"
        if dtype.kind == "f":
            better = b.do(f"fcmp {'ogt' if more else 'olt'} {t} {value}, {old}")
            nan = b.do(f"fcmp uno {t} {value}, {value}")
            fresh = b.do(f"and i1 {nan}, {b.do(f'fcmp ord {t} {old}, {old}')}")
            better = b.do(f"or i1 {better}, {fresh}")
        else:
            order = "s" if dtype.kind == "i" else "u"
            better = b.do(f"icmp {order}{'gt' if more else 'lt'} {t} {value}, {old}")
        start = b.do(f"icmp eq i64 {position}, 0")
        better = b.do(f"or i1 {better}, {start}")
        b.store(dtype, select(b, better, t, value, old), best)
        earlier = b.do(f"load i64, ptr {place}")
        b.effect(f"store i64 {select(b, better, 'i64', position, earlier)}, ptr {place}")

    # reductions ---------------------------------------------------------------------------

    def accumulator(self, nest: Nest) -> list[str]:
        """A place on the stack that holds the start of a reduction."""
        dtype = nest.operands[0][0].type.dtype
        if nest.mode in ("any", "all"):
            dtype = np.dtype(bool)
        place = self.b.stack(memory_type(dtype))
        if nest.mode.startswith("arg"):
            position = self.b.stack("i64")
            self.b.store(dtype, literal(0, dtype), place)
            self.b.effect(f"store i64 0, ptr {position}")
            return [place, position]
        self.b.store(dtype, literal(start_of(nest.mode, dtype), dtype), place)
        return [place]

    def lanes(self, nest: Nest, count: int) -> str:
        """Places on the stack for the partial sums of so many lanes, each at the start."""
        dtype = nest.out.type.dtype
        place = self.b.stack(memory_type(dtype), count)
        with self.b.loop(count) as lane:
            start = literal(start_of(nest.mode, dtype), dtype)
            self.b.store(dtype, start, self.lane(nest, place, lane))
        return place

    def lane(self, nest: Nest, place: str, lane: str) -> str:
        type = memory_type(nest.out.type.dtype)
        return self.b.do(f"getelementptr inbounds {type}, ptr {place}, i64 {lane}")

    def folded(self, nest: Nest, place: str, count: int) -> str:
        """The sum of all lanes, added up in pairs."""
        half = count // 2
        while half:
            with self.b.loop(half) as lane:
                upper = self.b.do(f"add nuw nsw i64 {lane}, {half}")
                part = self.read(self.lane(nest, place, upper), nest)
                self.combine(nest, self.lane(nest, place, lane), part)
            half //= 2
        return self.read(place, nest)

    def read(self, place: str, nest: Nest) -> str:
        return self.b.load(nest.out.type.dtype, place)

    def combine(self, nest: Nest, place: str, value: str) -> None:
        dtype = nest.out.type.dtype
        self.b.store(dtype, combined(self.b, nest, self.b.load(dtype, place), value), place)

    def fill(self, nest: Nest, first: str, stop: str) -> None:
        """Write the start of a reduction over the whole result, or this thread's part."""
        dtype, size = nest.out.type.dtype, nest.out.type.size
        if not size:
            return
        start = start_of(nest.mode, dtype) if 0 not in nest.space else (
            1 if nest.mode in ("prod", "all") else 0)  # fmt: skip
        with self.b.loop(stop or size, first) as i:
            type = memory_type(dtype)
            place = self.b.do(f"getelementptr inbounds {type}, ptr {self.pointer(nest.out)}, "
                              f"i64 {i}")  # fmt: skip
            self.b.store(dtype, literal(start, dtype), place)


def tile_function(
    memory: dict[Node, Buffer], nests: Sequence[Nest], tile: Buffer, width: int
) -> tuple[str, str, list[Buffer], set[str]]:
    """What is done with a tile of a product's result while it is near: the function's name, its
    text, the buffers whose pointers it takes after its numbers, and what it calls."""
    w = GroupWriter(memory, ())
    w.tile = tile
    _Stage(w, nests, axis=1).write_tile(width)
    buffers = list(w.pointers)
    listed = "".join(
        f", ptr noalias nocapture align {buffer.type.dtype.itemsize} %p{i}"
        for i, buffer in enumerate(buffers)
    )
    head = (
        f"(ptr noalias nocapture %flag, ptr noalias nocapture align 4 %tile, i64 %apart, "
        f"i64 %row, i64 %column, i64 %height{listed})"
    )
    body = f"{head} #0 {{\n{w.b.text()}\n}}"
    name = f"fold_{hashlib.sha256(body.encode()).hexdigest()[:16]}"
    return name, f"define internal void @{name}{body}", buffers, w.b.needs


def _loops(nest: Nest) -> bool:
    """Whether the reduced axis of an argmax has a loop: it has none when its length is 1."""
    return bool(nest.space) and nest.target.factors[-1] == 0


def collapsed(space: Shape, positions: Sequence[Affine], own: int | None) -> list[list[int]]:
    """Runs of adjacent loops that can be one: every position advances evenly over both. The
    axis ``own`` begins a run."""
    runs: list[list[int]] = []
    for axis in range(len(space)):
        joins = (
            runs
            and axis != own
            and all(p.factors[axis - 1] == p.factors[axis] * space[axis] for p in positions)
        )
        if joins:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return runs


def _product(numbers: Any) -> int:
    result = 1
    for n in numbers:
        result *= n
    return result
