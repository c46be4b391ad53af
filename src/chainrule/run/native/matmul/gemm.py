"""Matrix products of our own: register tiles whose shapes are known when they are written.

The method is that of Goto and van de Geijn ("Anatomy of high-performance matrix
multiplication", 2008): a tile of C stays in registers while its row of A, broadcast number by
number, meets a panel of B, read as vectors. What differs from a library: sizes and strides are
constants here, and the widest vectors of this machine are used. The order of every sum is fixed:
along k, one after another, from zero on. How a product is cut (``tiling.py``), what of it is
copied first and which thread computes what do not show in the bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from chainrule.run.native.matmul import copies
from chainrule.run.native.matmul.tiling import FEW, Tiling, beside
from chainrule.run.native.numbers.arithmetic import multiply_add
from chainrule.run.native.numbers.ir import Builder
from chainrule.run.native.runtime import machine

AHEAD = 8
"""A row of a panel is fetched into the first cache so many rows before it is needed: the second
one answers too late otherwise, which cost 5 % with vectors of 64 bytes and 2 % with 32."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A matrix in memory: its pointer, and the distances of its rows and of its columns."""

    pointer: str
    rows: int
    columns: int


Fold = Callable[[Operand, str, str, str, int], None]


@dataclass(frozen=True, slots=True)
class Tile:
    """The kernel: one tile of C in registers, over all of k, as a function that all products of
    a program share.

    Element (i, k) of A lies at ``i * a_rows + k * columns``; ``rows`` is ``a_rows`` where that
    is known, else 0. B lies by rows, ``b_rows`` apart, as far as full vectors reach. Where the
    tile ``continues``, its sums begin with those at ``%sums``, in rows of full vectors.
    """

    type: str
    lanes: int
    height: int
    width: int
    rows: int
    columns: int
    continues: bool = False

    @property
    def name(self) -> str:
        more = "_more" if self.continues else ""
        return f"tile_{self.type}_{self.height}x{self.width}_{self.rows}_{self.columns}{more}"

    def text(self) -> str:
        """The definition."""
        b, vector = Builder(), f"<{self.lanes} x {self.type}>"
        align = 4 if self.type == "float" else 8
        counts = [self.lanes] * (self.width // self.lanes)
        if self.width % self.lanes:
            counts.append(self.width % self.lanes)
        names = [[f"%c{i}.{v}" for v in range(len(counts))] for i in range(self.height)]

        def at(pointer: str, index: str) -> str:
            return b.do(f"getelementptr inbounds {self.type}, ptr {pointer}, i64 {index}")

        apart = str(self.rows or "%a_rows")
        rows = ["%a"]
        for _ in range(1, self.height):
            rows.append(at(rows[-1], apart))
        begin = [["zeroinitializer"] * len(counts) for _ in range(self.height)]
        if self.continues:
            places = [[(i * len(counts) + v) * self.lanes for v in range(len(counts))]
                      for i in range(self.height)]  # fmt: skip
            begin = [[b.do(f"load {vector}, ptr {at('%sums', str(place))}, align {align}")
                      for place in row] for row in places]  # fmt: skip
        b.effect("br label %more")
        b.label("more")
        b.lines.append("  %i = phi i64 [ 0, %entry ], [ %next, %more ]")
        for row_names, starts in zip(names, begin, strict=True):
            for name, start in zip(row_names, starts, strict=True):
                found = f"[ {start}, %entry ], [ {name}.n, %more ]"
                b.lines.append(f"  {name} = phi {vector} {found}")
        line = at("%b", b.do("mul nuw nsw i64 %i, %b_rows"))
        parts = [b.do(f"load {vector}, ptr {at(line, str(v * self.lanes))}, align {align}")
                 for v in range(len(counts))]  # fmt: skip
        if self.height > FEW:
            later = at(line, b.do(f"mul nuw nsw i64 %b_rows, {AHEAD}"))
            for first in range(0, self.width, machine.caches()[0].line // align):
                place = at(later, str(first))
                b.effect(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)")
        step = b.do(f"mul nuw nsw i64 %i, {self.columns}")
        for row, row_names in zip(rows, names, strict=True):
            value = b.do(f"load {self.type}, ptr {at(row, step)}, align {align}")
            one = b.do(f"insertelement {vector} poison, {self.type} {value}, i64 0")
            mask = f"<{self.lanes} x i32> zeroinitializer"
            splat = b.do(f"shufflevector {vector} {one}, {vector} poison, {mask}")
            for name, part in zip(row_names, parts, strict=True):
                multiply_add(b, self.type, splat, part, name, self.lanes, f"{name}.n")
        b.effect("%next = add nuw nsw i64 %i, 1")
        b.effect("%again = icmp ult i64 %next, %k")
        b.effect("br i1 %again, label %more, label %done, !llvm.loop !2")
        b.label("done")
        target = "%c"
        for i, row_names in enumerate(names):
            target = at(target, "%c_rows") if i else target
            for v, (name, count) in enumerate(zip(row_names, counts, strict=True)):
                place = at(target, str(v * self.lanes))
                self._store(b, f"{name}.n", place, count)
        b.effect("ret void")
        pointers = ", ".join(  # sums may be left where they were
            f"ptr {'noalias ' * (x in 'ab')}nocapture align {align} %{x}"
            for x in ("a", "b", "c", *(["sums"] * self.continues))
        )
        numbers = ", ".join(f"i64 %{x}" for x in ("a_rows", "b_rows", "c_rows", "k"))
        return f"define internal void @{self.name}({pointers}, {numbers}) #0 {{\n{b.text()}\n}}"

    def _store(self, b: Builder, value: str, place: str, count: int) -> None:
        vector, align = f"<{self.lanes} x {self.type}>", 4 if self.type == "float" else 8
        if count == self.lanes:
            b.effect(f"store {vector} {value}, ptr {place}, align {align}")
            return
        mask = ", ".join(f"i1 {'true' if j < count else 'false'}" for j in range(self.lanes))
        short = "f32" if self.type == "float" else "f64"
        # LLVM 22 made the alignment an attribute of the pointer, where it was an argument
        where = (
            f"ptr align {align} {place}" if llvm_version() >= 22 else f"ptr {place}, i32 {align}"
        )
        b.effect(
            f"call void @llvm.masked.store.v{self.lanes}{short}.p0({vector} {value}, "
            f"{where}, <{self.lanes} x i1> <{mask}>)"
        )


@cache
def llvm_version() -> int:
    """The major version of the LLVM that reads what is written here."""
    from llvmlite import binding

    return binding.llvm_version_info[0]


class Gemm:
    """Writes ``C = A B`` into a builder; ``scratch`` points at memory for copies.

    Blocks of A's rows are multiplied one after another, and of each block ``depth`` columns at a
    time: the sums so far wait in scratch memory. Panels of B follow one another within, and meet
    all tiles of the block; or, ``across``, tiles follow one another and meet all panels. Threads
    share out rows or panels, from ``%first`` up to ``%last``; each makes copies of its own. All
    tiles have the same height: where rows are left, the last one begins earlier and computes a few
    of them again. ``fold(tile of C, row, column, height, width)`` writes what is done with the new
    rows of each tile; if C is not ``kept``, that is all that becomes of it.
    """

    def __init__(
        self, b: Builder, tiling: Tiling, scratch: str, fold: Fold | None = None, kept: bool = True
    ) -> None:
        self.b, self.s = b, tiling
        self.fold, self.kept = fold, kept
        self.item = tiling.type
        if tiling.shared:
            own = b.do(f"mul nuw nsw i64 %thread, {tiling.scratch(kept)}")
            scratch = self.at(scratch, own)
        self.helpers: dict[str, str] = {}
        parts = tiling.parts(kept)
        starts = (sum(parts[:i]) for i in range(len(parts)))
        self.copied, self.panel, self.sums, self.result = (
            self.at(scratch, str(start)) for start in starts
        )

    def write(self, a: Operand, b: Operand, c: Operand) -> None:
        """All of the product, for one entry of a batch."""
        s, b_ = self.s, self.b
        if s.shared == "rows":
            self.start, self.end = "%first", "%last"
            rows = b_.do("sub nuw nsw i64 %last, %first")
            more = b_.do(f"add nuw nsw i64 {rows}, {s.height - 1}")
            count = b_.do(f"udiv i64 {more}, {s.height}")
        else:
            self.start, self.end, count = "0", str(s.m), str(s.tiles)
        self.a, self.right, self.c = a, b, c
        with b_.when(b_.do(f"icmp ult i64 0, {count}")):
            if s.tiles <= s.block:
                self._block("0", count)
                return
            more = b_.do(f"add nuw nsw i64 {count}, {s.block - 1}")
            with b_.loop(b_.do(f"udiv i64 {more}, {s.block}")) as i:
                low = b_.do(f"mul nuw nsw i64 {i}, {s.block}")
                high = b_.do(f"add nuw nsw i64 {low}, {s.block}")
                self._block(low, b_.do(f"call i64 @llvm.umin.i64(i64 {high}, i64 {count})"))

    def _block(self, low: str, high: str) -> None:
        """Some tiles of rows, over all of k."""
        whole, rest = divmod(self.s.k - 1, self.s.depth)
        if whole:
            self._slab(low, high, "0", self.s.depth, first=True, last=False)
        if whole > 1:
            with self.b.loop(whole, 1) as i:
                k = self.b.do(f"mul nuw nsw i64 {i}, {self.s.depth}")
                self._slab(low, high, k, self.s.depth, first=False, last=False)
        self._slab(low, high, str(whole * self.s.depth), rest + 1, first=not whole, last=True)

    def _slab(self, low: str, high: str, k: str, depth: int, first: bool, last: bool) -> None:
        """Some tiles of rows, from column ``k`` of A on."""
        s, b = self.s, self.b
        start = self.at(self.a.pointer, k, self.a.columns)
        if s.copies_a:
            self._copy_tiles(start, low, high, depth)

        def meet(tile: str, column: str, width: int, right: Operand) -> None:
            row, known = self._row(tile)
            if s.copies_a:
                left = Operand(self._place(tile, low, depth), 1, s.height)
            else:
                left = Operand(self.at(start, row, self.a.rows), self.a.rows, self.a.columns)
            sums = self._sums(tile, low, column) if not (first and last) else ""
            before = "" if first else sums
            if last:
                self._finished(left, right, before, depth, row, known, column, width)
            else:
                padded = -(-width // s.lanes) * s.lanes
                self._tile(left, right, Operand(sums, padded, 1), before, depth, padded)

        def panel(tile: str, column: str, width: int, right: Operand) -> None:
            if tile:
                meet(tile, column, width, right)
                return
            with b.loop(high, low) as each:
                meet(each, column, width, right)

        def panels(column: str, width: int, count: int, tile: str = "") -> None:
            right = self._panels(k, depth, column, width, count, copy=not tile)
            if count == 1:
                panel(tile, column, width, right)
                return
            with b.loop(count) as i:
                place = b.do(f"add nuw nsw i64 {b.do(f'mul nuw nsw i64 {i}, {width}')}, {column}")
                beside = Operand(self.at(right.pointer, i, depth * width), width, 1)
                panel(tile, place, width, beside)

        if not s.across:
            self._columns(panels)
            return
        if s.copies_b or s.n % s.lanes:
            self._columns(lambda c, width, count: self._panels(k, depth, c, width, count))
        with b.loop(high, low) as tile:
            self._columns(lambda c, width, count: panels(c, width, count, tile))

    def _row(self, tile: str) -> tuple[str, str]:
        """The first row of a tile, and how many of its rows are known already."""
        b = self.b
        place = b.do(f"mul nuw nsw i64 {tile}, {self.s.height}")
        place = b.do(f"add nuw nsw i64 {place}, {self.start}")
        latest = b.do(f"sub nsw i64 {self.end}, {self.s.height}")
        row = b.do(f"call i64 @llvm.smin.i64(i64 {place}, i64 {latest})")
        return row, b.do(f"sub nuw nsw i64 {place}, {row}")

    def _columns(self, body: Callable[[str, int, int], object]) -> None:
        """``body(first column, width, panels)`` for the panels that are copied at a time: all of
        them, or this thread's one by one."""
        b, width = self.b, self.s.width
        whole, rest = divmod(self.s.n, width)
        if self.s.shared == "panels":
            stop = b.do(f"call i64 @llvm.umin.i64(i64 %last, i64 {whole})")
            with b.when(b.do(f"icmp ult i64 %first, {stop}")), b.loop(stop, "%first") as i:
                body(b.do(f"mul nuw nsw i64 {i}, {width}"), width, 1)
            if rest:
                # A thread without a panel may have %first = %last beyond this one.
                start = b.do(f"call i64 @llvm.umax.i64(i64 %first, i64 {whole})")
                with b.when(b.do(f"icmp ult i64 {start}, %last")):
                    body(str(whole * width), rest, 1)
            return
        together = self.s.together
        times, left = divmod(whole, together)
        if times == 1:
            body("0", width, together)
        elif times:
            with b.loop(times) as i:
                body(b.do(f"mul nuw nsw i64 {i}, {together * width}"), width, together)
        if left:
            body(str(times * together * width), width, left)
        if rest:
            body(str(whole * width), rest, 1)

    # copies, and sums that wait -----------------------------------------------------------

    def _place(self, tile: str, low: str, depth: int) -> str:
        """Where the copy of a tile of A lies."""
        return self.at(self.copied, self.b.do(f"sub nuw nsw i64 {tile}, {low}"),
                       self.s.height * depth)  # fmt: skip

    def _sums(self, tile: str, low: str, column: str) -> str:
        """Where the sums of a tile of C wait."""
        s = self.s
        row = self.at(self.sums, self.b.do(f"sub nuw nsw i64 {tile}, {low}"),
                      s.height * s.width * s.panels)  # fmt: skip
        return self.at(row, column, s.height)

    def _panels(
        self, k: str, depth: int, first: str, width: int, count: int, copy: bool = True
    ) -> Operand:
        """Columns of B from ``first`` on as panels [depth][width of a tile], padded with zeros;
        where they were copied before, only where they lie."""
        s, b = self.s, self.right
        source = self.at(self.at(b.pointer, k, b.rows), first, b.columns)
        if not s.copies_b and width % s.lanes == 0:
            return Operand(source, b.rows, 1)
        place = self.at(self.panel, first, depth) if s.across and s.copies_b else self.panel
        about = (self.b, self._helper, s.type, s.lanes, source)
        if not copy:
            pass
        elif b.columns != 1:
            copies.transpose_columns(*about, b.columns, place, s.width, width, depth)
        elif width == s.width:
            copies.tiles_beside(*about, b.rows, place, width, depth, count)
        else:
            copies.copy_rows(*about, b.rows, place, s.width, width, depth)
        return Operand(place, s.width, 1)

    def _copy_tiles(self, start: str, low: str, high: str, depth: int) -> None:
        """Tiles of A as [depth][height]. Where A lies by columns, several at a time: what lies
        beside one another is read before it leaves the cache."""
        s, b, a = self.s, self.b, self.a

        def copy(tile: str, tiles: int) -> None:
            row, _ = self._row(tile)
            source, place = self.at(start, row, a.rows), self._place(tile, low, depth)
            size = (s.height, depth)
            if a.rows == 1:
                copies.tiles_beside(
                    b, self._helper, s.type, s.lanes, source, a.columns, place, *size, tiles
                )
            else:
                copies.transpose_rows(
                    b, self._helper, s.type, s.lanes, source, a.rows, place, *size
                )

        together = beside(s.height * s.size)
        if a.rows == 1 and s.tiles > together:
            count = b.do(f"sub nuw nsw i64 {high}, {low}")
            count = b.do(f"sub nuw nsw i64 {count}, 1")  # the last one may begin earlier
            count = b.do(f"udiv i64 {count}, {together}")
            with b.when(b.do(f"icmp ult i64 0, {count}")), b.loop(count) as i:
                tile = b.do(f"mul nuw nsw i64 {i}, {together}")
                copy(b.do(f"add nuw nsw i64 {tile}, {low}"), together)
            done = b.do(f"mul nuw nsw i64 {count}, {together}")
            low_rest = b.do(f"add nuw nsw i64 {done}, {low}")
        else:
            low_rest = low
        with b.loop(high, low_rest) as tile:
            copy(tile, 1)

    def _helper(self, name: str, text: str) -> None:
        self.helpers[name] = text

    # tiles --------------------------------------------------------------------------------

    def _tile(self, a: Operand, b: Operand, c: Operand, sums: str, depth: int, width: int) -> None:
        """One tile of C, from its rows of A and its panel of B, on top of its sums so far."""
        s = self.s
        rows = a.rows if a.rows == 1 else 0
        tile = Tile(self.item, s.lanes, s.height, width, rows, a.columns, bool(sums))
        self._helper(tile.name, tile.text())
        pointers = [x.pointer for x in (a, b, c)] + ([sums] if sums else [])
        numbers = (a.rows, b.rows, c.rows, depth)
        listed = ", ".join([f"ptr {x}" for x in pointers] + [f"i64 {n}" for n in numbers])
        self.b.effect(f"call void @{tile.name}({listed})")

    def _finished(
        self, a: Operand, b: Operand, sums: str, depth: int,
        row: str, known: str, first: str, width: int,
    ) -> None:  # fmt: skip
        """A tile's last part, and what becomes of it."""
        if self.kept:
            c = Operand(self.at2(self.c, row, first), self.c.rows, 1)
        else:
            c = Operand(self.result, self.s.width, 1)
        self._tile(a, b, c, sums, depth, width)
        if self.fold is not None:
            new = Operand(self.at(c.pointer, known, c.rows), c.rows, 1)
            start = self.b.do(f"add nuw nsw i64 {row}, {known}")
            rows = self.b.do(f"sub nuw nsw i64 {self.s.height}, {known}")
            self.fold(new, start, first, rows, width)

    # addresses ----------------------------------------------------------------------------

    def at(self, pointer: str, index: str, stride: int = 1) -> str:
        if index == "0":
            return pointer
        if stride != 1:
            index = self.b.do(f"mul nsw i64 {index}, {stride}")
        return self.b.do(f"getelementptr inbounds {self.item}, ptr {pointer}, i64 {index}")

    def at2(self, c: Operand, row: str, column: str) -> str:
        return self.at(self.at(c.pointer, row, c.rows), column)
