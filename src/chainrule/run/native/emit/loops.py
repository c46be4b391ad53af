"""Loop nests as instructions: one function for each group of nests that share their loops."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from chainrule.core.node import Node
from chainrule.run.native.emit import reductions
from chainrule.run.native.emit.reductions import combined, start_of
from chainrule.run.native.emit.usual import Usual
from chainrule.run.native.emit.values import Body, FunctionText
from chainrule.run.native.numbers.ir import AS_IT_IS, UNROLLED, literal, memory_type
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.nests import STORES, Nest, prefilled
from chainrule.run.native.plan.sites import Load, Site, Value
from chainrule.run.native.runtime.machine import COLD, HOT, vector_bytes

BLOCK = 4096
"""Longer sums are added up block by block, so that rounding stays small."""
TRIED = 512
"""How many numbers are tried at once for what is likely; no shorter loop is."""
SHORT = 48
"""Innermost loops shorter than this are vectorised with masks, or LLVM would not do it at all."""


@dataclass(eq=False)
class Function:
    """Code of one step: its body, its pointer parameters in order, what it calls, how many
    rows threads share out in it, 0 where the first one does it alone, and definitions of its
    own helpers by name, and those of kernels; what ``effort`` of LLVM it is worth (``machine``);
    whether it is ``absolute``: it finds what lies in the arena by itself, from ``%arena``.

    Where they share, parameters ``%first`` and ``%last`` say which rows are this thread's. With
    ``numbers`` they count numbers, so many to a row, or so many in all where nothing is shared:
    such a function serves arrays of any size.
    """

    body: str
    buffers: list[Buffer]
    needs: set[str]
    shares: int
    helpers: dict[str, str] = field(default_factory=dict)
    tiles: dict[str, str] = field(default_factory=dict)
    numbers: int = 0
    effort: str = HOT
    absolute: bool = False


class _Loops(Body):
    """The loops of a set of nests that share them, while they are written.

    Where a body asks for what is likely, a long innermost loop is written twice: for blocks whose
    numbers all have it, and, to run again, for those with one that has not. The bits are the same.
    """

    def __init__(self, function: FunctionText, nests: Sequence[Nest], axis: int | None) -> None:
        super().__init__(function, nests, axis)
        self.usually = Usual(self.sites)
        self.usual = False  # whether the loop that is being written is for that
        enough = [d for d in range(len(self.runs)) if prod(self.extents[d:]) >= TRIED]
        self.tried = enough[-1] if enough and self.usually.asked else None
        if self.tried is not None and not self._repeatable(self.tried):
            self.tried = None
        self.word = f"i{8 * max(nest.out.type.dtype.itemsize for nest in nests)}"
        self.lacks = ""
        self.sums: dict[Nest, list[str]] = {}
        # The loop that threads share, and its iterations for each row of their share.
        self.split, self.unit = None, 1
        if axis is not None:
            self.split = next(i for i, run in enumerate(self.runs) if run[0] == axis)
            self.unit = self.extents[self.split] // self.space[axis]

    def _repeatable(self, depth: int) -> bool:
        """Whether the loops from this depth on may run a second time: what they read is still
        there, and nothing is added to memory or reported."""
        values = [x.node.primitive.name for x in self.sites.order if isinstance(x, Value)]
        read = {x.buffer.alias or x.buffer for x in self.sites.order if isinstance(x, Load)}

        def may(nest: Nest) -> bool:
            if nest.mode in STORES:
                return nest.mode == "store" and (nest.out.alias or nest.out) not in read
            inside = self._begins(nest) > depth
            return not (nest.mode.startswith("arg") or (inside and self._is_prefilled(nest)))

        return "gather" not in values and all(map(may, self.nests))

    @property
    def numbers(self) -> int:
        """For one long loop that stores numbers one after another: how many to a row that
        threads share, or in all. 0 for other loops."""
        if len(self.runs) != 1 or self.extents[0] <= UNROLLED:
            return 0
        if any(nest.mode != "store" for nest in self.nests):
            return 0
        return self.extents[0] if self.split is None else self.unit

    def write(self, flat: bool = False) -> None:
        """All loops of this stage; where they are ``flat``, over numbers %first up to %last."""
        if not flat and self.split is None:
            self.part = ("0", "")
            self._all()
            return
        if flat:
            self.split, self.unit = 0, 1
        self.part = self._scaled(("%first", "%last"), self.unit)
        with self.b.when(self.b.do(f"icmp ult i64 {self.part[0]}, {self.part[1]}")):
            self._all()

    def write_tile(self, width: int) -> None:
        """The loops over a tile of the space: ``%height`` rows from ``%row`` on, ``width``
        columns from ``%column`` on."""
        b = self.b
        with b.loop("%height") as i, b.loop(width, hint=self._hint(width)) as j:
            self.within = (i, j)
            self.variables = [b.do(f"add nuw nsw i64 %row, {i}"),
                                b.do(f"add nuw nsw i64 %column, {j}")]  # fmt: skip
            self._body()
        b.effect("ret void")

    def _scaled(self, part: tuple[str, str], factor: int) -> tuple[str, str]:
        if factor == 1 or not part[1]:
            return part
        first, last = (self.b.do(f"mul nuw nsw i64 {end}, {factor}") for end in part)
        return first, last

    def _is_prefilled(self, nest: Nest) -> bool:
        return prefilled(nest, self.factors(nest.target))

    def _all(self) -> None:
        for nest in self.nests:
            if self._is_prefilled(nest):
                each = 1 if self.split is None else self.factors(nest.target)[self.split]
                self._fill(nest, *self._scaled(self.part, each))
        if 0 in self.space:
            return
        self.variables = []
        self._level(0)

    def _level(self, depth: int) -> None:
        """Open the loop at this depth, and what is inside; sums begin and end around it."""
        begun = [n for n in self.nests if self._begins(n) == depth]
        for nest in begun:
            self.sums[nest] = reductions.accumulator(self.b, nest)
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
            if depth == self.tried:
                self._blocks(depth, start, str(stop))
                return
            hint = self._hint(n) if last and not summed and depth != self.split else ""
            with self.b.loop(stop, start, hint) as i:
                self._inside(depth, i)
            return
        whole, rest = divmod(n, BLOCK)
        if whole > 1:
            with self.b.loop(whole) as block:
                start = self.b.do(f"mul nuw nsw i64 {block}, {BLOCK}")
                self._tried_lanes(depth, summed, start, BLOCK)
        elif whole:
            rest, whole = n, 0
        if rest:
            self._tried_lanes(depth, summed, str(whole * BLOCK), rest)

    def _blocks(self, depth: int, first: str, last: str) -> None:
        """A loop in blocks that are tried for what is likely."""
        b, size = self.b, max(1, TRIED // prod(self.extents[depth + 1 :]))
        count = b.do(f"udiv i64 {b.do(f'add nuw nsw i64 {last}, {size - 1}')}, {size}")
        with b.loop(count, b.do(f"udiv i64 {first}, {size}")) as block:
            begin = b.do(f"mul nuw nsw i64 {block}, {size}")
            end = b.do(f"add nuw nsw i64 {begin}, {size}")
            begin = b.do(f"call i64 @llvm.umax.i64(i64 {begin}, i64 {first})")
            end = b.do(f"call i64 @llvm.umin.i64(i64 {end}, i64 {last})")
            for _ in self._twice(depth):
                with b.loop(end, begin) as i:
                    self._inside(depth, i)

    def _tried_lanes(self, depth: int, summed: Sequence[Nest], start: str, n: int) -> None:
        if depth != self.tried or n < TRIED:
            self._lanes(depth, summed, start, n)
            return
        for _ in self._twice(depth):
            self._lanes(depth, summed, start, n)

    def _twice(self, depth: int) -> Iterator[None]:
        """Asks for two forms of the loops from this depth on, over these numbers: as if each had
        what is likely, which is looked at on the way, and again for any where one has not."""
        b = self.b
        self.lacks = b.stack(self.word)
        b.effect(f"store {self.word} 0, ptr {self.lacks}")
        open = [(x, self.sums[x][0]) for x in self.nests if 0 <= self._begins(x) <= depth]
        before = [b.load(x.out.type.dtype, place) for x, place in open]
        self.usual = True
        yield
        self.usual = False
        found = b.do(f"load {self.word}, ptr {self.lacks}")
        with b.when(b.do(f"icmp ne {self.word} {found}, 0")):
            for (x, place), value in zip(open, before, strict=True):
                b.store(x.out.type.dtype, value, place)
            yield

    def _note(self) -> None:
        """Set ``lacks`` where something is not as is likely."""
        b, usually = self.b, self.usually
        for site in usually.asked:
            (inner,) = self.sites.order[site] or (site,)
            value = self.known[inner] if inner is not site else self.value(site)
            wanted = "true" if usually.truth[site] else "false"
            other = b.do(f"xor i1 {value}, {wanted}")
            other = b.do(f"zext i1 {other} to {self.word}")  # of sext LLVM sees no reduction
            found = b.do(f"load {self.word}, ptr {self.lacks}")
            found = b.do(f"or {self.word} {found}, {other}")
            b.effect(f"store {self.word} {found}, ptr {self.lacks}")

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
            places = {nest: reductions.lanes(b, nest, lanes) for nest in summed}
            with b.loop(count // lanes) as q:
                first = b.do(f"mul nuw nsw i64 {q}, {lanes}")
                first = b.do(f"add nuw nsw i64 {first}, {start}")
                with b.loop(lanes) as lane:
                    for nest in summed:
                        self.sums[nest] = [reductions.lane(b, nest, places[nest], lane)]
                    self._inside(depth, b.do(f"add nuw nsw i64 {first}, {lane}"))
            for nest in summed:
                self.sums[nest] = total[nest]
                reductions.combine(
                    b, nest, total[nest][0], reductions.folded(b, nest, places[nest], lanes)
                )
        if n > count:
            begin = b.do(f"add nuw nsw i64 {start}, {count}")
            with b.loop(n - count) as i:
                self._inside(depth, b.do(f"add nuw nsw i64 {begin}, {i}"))

    def _inside(self, depth: int, variable: str) -> None:
        self.variables.append(variable)
        self._level(depth + 1)
        self.variables.pop()

    def _body(self) -> None:
        if not self.usual:
            nests = self.nests
            for site in self.sites.order:
                self.known[site] = self.value(site)
        else:  # what stays in registers is computed where it is needed
            nests = [x for x in self.nests if x.mode != "store" or x.out.place != "local"]
            inner = [x for site in self.usually.asked for x in self.sites.order[site]]
            self._decided([*inner, *(site for nest in nests for site in self.roots[nest])])
            self._note()
        for nest in nests:
            values = [self.known[site] for site in self.roots[nest]]
            if nest.mode in STORES:
                self.store(nest, values)
            else:
                place = self.variables[-1] if self.variables else "0"
                reductions.reduce(self.b, nest, self.sums[nest], values, place)

    def _decided(self, roots: Sequence[Site]) -> None:
        usual = self.usually
        for site in self.sites.needed(roots, usual.children):
            if site in usual.truth:
                self.known[site] = "true" if usual.truth[site] else "false"
            elif site in usual.chosen:
                self.known[site] = self.known[usual.chosen[site]]
            else:
                self.known[site] = self.value(site)

    def _finish(self, nest: Nest) -> None:
        place = self.address(nest.out, nest.target)
        if nest.mode.startswith("arg"):
            best = self.b.do(f"load i64, ptr {self.sums[nest][1]}")
            self.b.effect(f"store i64 {best}, ptr {place}, align 8")
            return
        value = reductions.read(self.b, self.sums[nest][0], nest)
        dtype = nest.out.type.dtype
        if self._is_prefilled(nest):
            value = combined(self.b, nest, self.b.load(dtype, place), value)
        self.b.store(dtype, value, place)

    def _fill(self, nest: Nest, first: str, stop: str) -> None:
        """Write the start of a reduction over the whole result, or this thread's part."""
        dtype, size = nest.out.type.dtype, nest.out.type.size
        if not size:
            return
        start = start_of(nest.mode, dtype)
        with self.b.loop(stop or size, first) as i:
            type = memory_type(dtype)
            place = self.b.do(f"getelementptr inbounds {type}, ptr {self.f.pointer(nest.out)}, "
                              f"i64 {i}")  # fmt: skip
            self.b.store(dtype, literal(start, dtype), place)


def group_function(
    memory: dict[Node, Buffer],
    stages: Sequence[Sequence[Nest]],
    axis: int | None = None,
    straight: bool = False,
    cold: bool = False,
) -> Function:
    """The function of one group.

    Args:
        memory: the buffers of nodes. stages: sets of nests; the nests of one share loops.
        axis: the axis along which threads share the loops of the only stage.
        straight: whether there is no loop. cold: whether it need not be fast.
    """
    text = FunctionText(memory, absolute=straight)
    text.b.cold = cold
    made = [_Loops(text, nests, axis) for nests in stages]
    numbers = made[0].numbers if len(made) == 1 else 0
    for loops in made:
        loops.write(flat=numbers > 0)
    text.b.effect("ret void")
    shares = 0 if axis is None else stages[0][0].space[axis]
    return Function(
        text.b.text(),
        list(text.pointers),
        text.b.needs,
        shares,
        numbers=numbers,
        effort=COLD if cold else HOT,
        absolute=straight,
    )


def tile_function(
    memory: dict[Node, Buffer], nests: Sequence[Nest], tile: Buffer, width: int
) -> tuple[str, str, list[Buffer], set[str]]:
    """What is done with a tile of a product's result while it is near: the function's name, its
    text, the buffers whose pointers it takes after its numbers, and what it calls."""
    w = FunctionText(memory, tile)
    _Loops(w, nests, axis=1).write_tile(width)
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
