"""Matrix products of our own: register tiles whose shapes are known when they are written.

The method is that of Goto and van de Geijn ("Anatomy of high-performance matrix
multiplication", 2008): a tile of C stays in registers while its row of A, broadcast number by
number, meets a panel of B, read as vectors. What differs from a library: sizes and strides are
constants here, and the widest vectors of this machine are used. The order of every sum is fixed:
along k, one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.run.native.matmul import copies
from chainrule.run.native.matmul.tiling import Tiling
from chainrule.run.native.numbers.arithmetic import multiply_add
from chainrule.run.native.numbers.ir import Builder


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
    is known, else 0. B lies by rows, ``b_rows`` apart, as far as full vectors reach.
    """

    type: str
    lanes: int
    height: int
    width: int
    rows: int
    columns: int

    @property
    def name(self) -> str:
        return f"tile_{self.type}_{self.height}x{self.width}_{self.rows}_{self.columns}"

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
        b.effect("br label %more")
        b.label("more")
        b.lines.append("  %i = phi i64 [ 0, %entry ], [ %next, %more ]")
        for name in (name for row in names for name in row):
            start = f"[ zeroinitializer, %entry ], [ {name}.n, %more ]"
            b.lines.append(f"  {name} = phi {vector} {start}")
        line = at("%b", b.do("mul nuw nsw i64 %i, %b_rows"))
        parts = [b.do(f"load {vector}, ptr {at(line, str(v * self.lanes))}, align {align}")
                 for v in range(len(counts))]  # fmt: skip
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
        pointers = ", ".join(f"ptr noalias nocapture align {align} %{x}" for x in "abc")
        numbers = ", ".join(f"i64 %{x}" for x in ("a_rows", "b_rows", "c_rows", "k"))
        return f"define internal void @{self.name}({pointers}, {numbers}) #0 {{\n{b.text()}\n}}"

    def _store(self, b: Builder, value: str, place: str, count: int) -> None:
        vector, align = f"<{self.lanes} x {self.type}>", 4 if self.type == "float" else 8
        if count == self.lanes:
            b.effect(f"store {vector} {value}, ptr {place}, align {align}")
            return
        mask = ", ".join(f"i1 {'true' if j < count else 'false'}" for j in range(self.lanes))
        short = "f32" if self.type == "float" else "f64"
        b.effect(
            f"call void @llvm.masked.store.v{self.lanes}{short}.p0({vector} {value}, "
            f"ptr align {align} {place}, <{self.lanes} x i1> <{mask}>)"
        )


class Gemm:
    """Writes ``C = A B`` into a builder; ``scratch`` points at memory for copies.

    Threads share out rows or panels, from ``%first`` up to ``%last``; each makes copies of
    its own. All tiles have the same height: where rows are left, the last one begins earlier
    and computes a few of them again. ``fold(tile of C, row, column, height, width)`` writes what
    is done with the new rows of each tile; if C is not ``kept``, that is all that becomes of it.
    """

    def __init__(
        self, b: Builder, tiling: Tiling, scratch: str, fold: Fold | None = None, kept: bool = True
    ) -> None:
        self.b, self.s = b, tiling
        self.fold, self.kept = fold, kept
        size = tiling.scratch(kept)
        if tiling.shared:
            own = b.do(f"mul nuw nsw i64 %thread, {size}")
            scratch = b.do(f"getelementptr inbounds {tiling.type}, ptr {scratch}, i64 {own}")
        self.item = tiling.type
        self.helpers: dict[str, str] = {}
        tile = (tiling.k + 2) * max(tiling.height, tiling.lanes) if tiling.by_columns else 0
        self.tile = scratch
        self.panel = self.at(scratch, str(tile)) if tile else scratch
        self.result = "" if kept else self.at(scratch, str(size - tiling.height * tiling.width))

    def write(self, a: Operand, b: Operand, c: Operand) -> None:
        """All of the product, for one entry of a batch."""
        if self.s.by_columns:
            self._row_tiles_outside(a, b, c)
        else:
            self._panels_outside(a, b, c)

    def _panels_outside(self, a: Operand, b: Operand, c: Operand) -> None:
        """For each panel of B all tiles of A: the panel stays near."""

        def one(first: str, width: int) -> None:
            panel = self._panel(b, first, width, self.panel)

            def tile(row: str, known: str) -> None:
                rows = Operand(self.at(a.pointer, row, a.rows), a.rows, a.columns)
                self._tile(rows, panel, c, row, known, first, width)

            self._rows(tile)

        self._columns(one)

    def _row_tiles_outside(self, a: Operand, b: Operand, c: Operand) -> None:
        """For each tile of A, copied, all panels of B: A lies by columns here."""
        s = self.s
        if s.packs:  # every thread for itself: it costs a few percent, a barrier as much
            self._columns(lambda first, width: self._panel(b, first, width, self._own(first)))

        def one(row: str, known: str) -> None:
            tile = self._copied_tile(a, row)

            def panel(first: str, width: int) -> None:
                place = Operand(self._own(first), s.width, 1) if s.packs else Operand(
                    self.at(b.pointer, first), b.rows, 1)  # fmt: skip
                self._tile(tile, place, c, row, known, first, width)

            self._columns(panel)

        self._rows(one)

    def _own(self, first: str) -> str:
        """Where the copy of the panel that starts at column ``first`` lies."""
        return self.at(self.panel, first, self.s.k)

    # loops over tiles -----------------------------------------------------------------------

    def _columns(self, body: Callable[[str, int], object]) -> None:
        """``body(first column, width)`` for each panel, or each of this thread's."""
        b, (whole, rest) = self.b, divmod(self.s.n, self.s.width)
        if self.s.shared == "panels":
            stop = b.do(f"call i64 @llvm.umin.i64(i64 %last, i64 {whole})")
            with b.when(b.do(f"icmp ult i64 %first, {stop}")), b.loop(stop, "%first") as i:
                body(b.do(f"mul nuw nsw i64 {i}, {self.s.width}"), self.s.width)
            if rest:
                # A thread without a panel may have %first = %last beyond this one.
                start = b.do(f"call i64 @llvm.umax.i64(i64 %first, i64 {whole})")
                with b.when(b.do(f"icmp ult i64 {start}, %last")):
                    body(str(whole * self.s.width), rest)
            return
        if whole == 1:
            body("0", self.s.width)
        elif whole:
            with b.loop(whole) as i:
                body(b.do(f"mul nuw nsw i64 {i}, {self.s.width}"), self.s.width)
        if rest:
            body(str(whole * self.s.width), rest)

    def _rows(self, body: Callable[[str, str], object]) -> None:
        """``body(first row, how many of its rows are known)`` for each tile, or each of this
        thread's."""
        b, height = self.b, self.s.height
        if self.s.shared != "rows":
            tiles = -(-self.s.m // height)
            if tiles == 1:
                body("0", "0")
                return
            count, start, end = str(tiles), "0", str(self.s.m)
        else:
            start, end = "%first", "%last"
            rows = b.do(f"sub nuw nsw i64 {end}, {start}")
            more = b.do(f"add nuw nsw i64 {rows}, {height - 1}")
            count = b.do(f"udiv i64 {more}, {height}")
        latest = b.do(f"sub nsw i64 {end}, {height}")
        with b.when(b.do(f"icmp ult i64 0, {count}")), b.loop(count) as i:
            place = b.do(f"mul nuw nsw i64 {i}, {height}")
            place = b.do(f"add nuw nsw i64 {place}, {start}")
            row = b.do(f"call i64 @llvm.smin.i64(i64 {place}, i64 {latest})")
            body(row, b.do(f"sub nuw nsw i64 {place}, {row}"))

    # copies -------------------------------------------------------------------------------

    def _panel(self, b: Operand, first: str, width: int, place: str) -> Operand:
        """Columns of B from ``first`` on as a panel [k][width of a tile], padded with zeros."""
        s = self.s
        if not s.packs:
            return Operand(self.at(b.pointer, first), b.rows, 1)
        source = self.at(b.pointer, first, b.columns)
        by_rows = b.columns == 1
        copy = copies.copy_rows if by_rows else copies.transpose_columns
        stride = b.rows if by_rows else b.columns
        copy(self.b, self._helper, s.type, s.lanes, source, stride, place, s.width, width, s.k)
        return Operand(place, s.width, 1)

    def _copied_tile(self, a: Operand, row: str) -> Operand:
        """Rows of A as [k][height]."""
        s, source = self.s, self.at(a.pointer, row, a.rows)
        height = s.height
        size = (height, height, s.k)
        copies.copy_rows(self.b, self._helper, s.type, s.lanes, source, a.columns, self.tile, *size)
        return Operand(self.tile, 1, height)

    def _helper(self, name: str, text: str) -> None:
        self.helpers[name] = text

    def _tile(
        self, a: Operand, b: Operand, c: Operand, row: str, known: str, first: str, width: int
    ) -> None:
        """One tile of C, from its rows of A and its panel of B, and what becomes of it."""
        height = self.s.height
        if self.kept:
            c = Operand(self.at2(c, row, first), c.rows, 1)
        else:
            c = Operand(self.result, self.s.width, 1)
        tile = Tile(self.item, self.s.lanes, height, width, a.rows if a.rows == 1 else 0, a.columns)
        self._helper(tile.name, tile.text())
        numbers = (a.rows, b.rows, c.rows, self.s.k)
        listed = ", ".join([f"ptr {x.pointer}" for x in (a, b, c)] + [f"i64 {n}" for n in numbers])
        self.b.effect(f"call void @{tile.name}({listed})")
        if self.fold is not None:
            new = Operand(self.at(c.pointer, known, c.rows), c.rows, 1)
            start = self.b.do(f"add nuw nsw i64 {row}, {known}")
            rows = self.b.do(f"sub nuw nsw i64 {height}, {known}")
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
