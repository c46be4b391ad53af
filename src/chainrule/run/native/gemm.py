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

from chainrule.run.native.ir import Builder
from chainrule.run.native.machine import vector_bytes, vector_registers
from chainrule.run.native.threads import share, when
from chainrule.run.native.transpose import write_transposed

KEPT = 512
"""A panel of more rows than twice this is cut, so that it stays in the nearest cache."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A matrix in memory: its pointer, and the distances of its rows and of its columns."""

    pointer: str
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What is multiplied, and how it is cut: tiles of ``height`` rows and ``vectors`` vectors."""

    m: int
    n: int
    k: int
    type: str
    by_columns: bool  # A lies by columns: its tiles are copied first
    packed: bool  # panels of B are copied first

    @property
    def lanes(self) -> int:
        return vector_bytes() // (4 if self.type == "float" else 8)

    @property
    def vectors(self) -> int:
        needed = -(-self.n // self.lanes)
        many = vector_registers() >= 32
        most = (3 if self.by_columns else 4) if many else 2
        return min(needed, most)

    @property
    def height(self) -> int:
        many = vector_registers() >= 32
        if self.vectors == 1:
            return min(self.m, 16 if many else 8)
        if self.vectors == 2 and many:
            return min(self.m, 12)
        return min(self.m, (8 if self.by_columns else 6) if many else (4 if self.by_columns else 6))

    @property
    def width(self) -> int:
        return self.vectors * self.lanes

    @property
    def panels(self) -> int:
        return -(-self.n // self.width)

    def scratch(self) -> int:
        """Elements of memory for copies."""
        a = (self.k + 2) * max(self.height, self.lanes) if self.by_columns else 0
        panels = self.panels if self.by_columns else 1
        return a + (panels * self.k * self.width if self.packs else 0)

    @property
    def packs(self) -> bool:
        return self.packed or self.n % self.width != 0


def shape_of(
    size: tuple[int, int, int], type: str, a: tuple[int, int], b: tuple[int, int]
) -> Shape:
    """How to cut a product of these sizes and strides (rows, columns)."""
    m, n, k = size
    by_columns = a[1] != 1 and k > 1
    item = 4 if type == "float" else 8
    conflicts = b[0] * item % 1024 == 0 and k > 64  # few sets of the cache would hold a column
    return Shape(m, n, k, type, by_columns, packed=b[1] != 1 or conflicts)


class Gemm:
    """Writes ``C = A B`` into a builder; ``scratch`` points at memory for copies.

    Several threads share out panels of B, or else tiles of A; each has copies of its own.
    """

    def __init__(self, b: Builder, shape: Shape, scratch: str, threads: int = 1) -> None:
        self.b, self.s = b, shape
        self.threads = threads
        self.by_panels = not shape.by_columns and shape.n % (shape.width * threads) == 0
        if threads > 1:
            own = b.do(f"mul nuw nsw i64 %thread, {shape.scratch()}")
            scratch = b.do(f"getelementptr inbounds {shape.type}, ptr {scratch}, i64 {own}")
        self.item = shape.type
        self.vector = f"<{shape.lanes} x {shape.type}>"
        tile = (shape.k + 2) * max(shape.height, shape.lanes) if shape.by_columns else 0
        self.tile = scratch
        self.panel = self.at(scratch, str(tile)) if tile else scratch

    def write(self, a: Operand, b: Operand, c: Operand) -> None:
        """All of the product, for one entry of a batch."""
        if self.s.by_columns:
            self._by_rows(a, b, c)
        else:
            self._by_panels(a, b, c)

    def _by_panels(self, a: Operand, b: Operand, c: Operand) -> None:
        """For each panel of B all tiles of A: the panel stays near."""

        def one(first: str, width: int) -> None:
            panel = self._panel(b, first, width, self.panel)
            self._rows(
                lambda row, height: self._tile(
                    Operand(self.at(a.pointer, row, a.rows), a.rows, a.columns),
                    panel,
                    Operand(self.at2(c, row, first), c.rows, 1),
                    height,
                    width,
                )
            )

        self._columns(one)

    def _by_rows(self, a: Operand, b: Operand, c: Operand) -> None:
        """For each tile of A, copied, all panels of B: A lies by columns here."""
        s = self.s
        if s.packs:  # every thread for itself: it costs a few percent, a barrier as much
            self._columns(lambda first, width: self._panel(b, first, width, self._own(first)))

        def one(row: str, height: int) -> None:
            tile = self._copied_tile(a, row, height)

            def panel(first: str, width: int) -> None:
                place = Operand(self._own(first), s.width, 1) if s.packs else Operand(
                    self.at(b.pointer, first), b.rows, 1)  # fmt: skip
                target = Operand(self.at2(c, row, first), c.rows, 1)
                self._tile(tile, place, target, height, width)

            self._columns(panel)

        self._rows(one)

    def _own(self, first: str) -> str:
        """Where the copy of the panel that starts at column ``first`` lies."""
        return self.at(self.panel, first, self.s.k)

    # loops over tiles -----------------------------------------------------------------------

    def _columns(self, body: Callable[[str, int], object]) -> None:
        self._cut(self.s.n, self.s.width, body, self.threads if self.by_panels else 1)

    def _rows(self, body: Callable[[str, int], object]) -> None:
        self._cut(self.s.m, self.s.height, body, 1 if self.by_panels else self.threads)

    def _cut(self, n: int, part: int, body: Callable[[str, int], object], threads: int) -> None:
        whole, rest = divmod(n, part)
        if threads > 1:
            self._share(n, part, body, threads)
        elif whole == 1:
            body("0", part)
        elif whole:
            with self.b.loop(whole) as i:
                body(self.b.do(f"mul nuw nsw i64 {i}, {part}"), part)
        if rest and threads == 1:
            body(str(whole * part), rest)

    def _share(self, n: int, part: int, body: Callable[[str, int], object], threads: int) -> None:
        """This thread's tiles; the last thread, which has the fewest, takes the narrow one."""
        whole, rest = divmod(n, part)
        start, stop = share(self.b, whole, threads)
        with (
            when(self.b, self.b.do(f"icmp ult i64 {start}, {stop}")),
            self.b.loop(stop, start) as i,
        ):
            body(self.b.do(f"mul nuw nsw i64 {i}, {part}"), part)
        if rest:
            with when(self.b, self.b.do(f"icmp eq i64 %thread, {threads - 1}")):
                body(str(whole * part), rest)

    # copies -------------------------------------------------------------------------------

    def _panel(self, b: Operand, first: str, width: int, place: str) -> Operand:
        """Columns of B from ``first`` on as a panel [k][width of a tile], padded with zeros."""
        s = self.s
        if not s.packs:
            return Operand(self.at(b.pointer, first), b.rows, 1)
        source = self.at(b.pointer, first, b.columns)
        if b.columns != 1 and b.rows == 1:
            write_transposed(self.b, s.type, s.lanes, source, b.columns, place, s.width, width, s.k)
            return Operand(place, s.width, 1)
        with self.b.loop(s.k) as k:
            row, target = self.at(source, k, b.rows), self.at(place, k, s.width)
            with self.b.loop(width) as j:
                value = self.load(self.item, self.at(row, j, b.columns))
                self.store(self.item, value, self.at(target, j))
            padding = -(-width // s.lanes) * s.lanes - width
            if padding:
                with self.b.loop(padding) as j:
                    at = self.b.do(f"add nuw nsw i64 {j}, {width}")
                    self.store(self.item, "0.0", self.at(target, at))
        return Operand(place, s.width, 1)

    def _copied_tile(self, a: Operand, row: str, height: int) -> Operand:
        """Rows of A as [k][height]; ``a.rows`` is 1 where A lies by columns."""
        source = self.at(a.pointer, row, a.rows)
        with self.b.loop(self.s.k) as k:
            column, target = self.at(source, k, a.columns), self.at(self.tile, k, self.s.height)
            with self.b.loop(height) as i:
                value = self.load(self.item, self.at(column, i, a.rows))
                self.store(self.item, value, self.at(target, i))
        return Operand(self.tile, 1, self.s.height)

    # the kernel ---------------------------------------------------------------------------

    def _tile(self, a: Operand, b: Operand, c: Operand, height: int, width: int) -> None:
        """One tile of C in registers, over all of k."""
        n = -(-width // self.s.lanes)
        b_, lanes = self.b, self.s.lanes
        b_._count += 1
        tag, before = b_._count, b_.block
        names = [[f"%c{tag}.{i}.{v}" for v in range(n)] for i in range(height)]
        b_.effect(f"br label %k{tag}")
        b_.label(f"k{tag}")
        zeros = "zeroinitializer"
        k = f"%k{tag}.i"
        b_.lines.append(f"  {k} = phi i64 [ 0, %{before} ], [ {k}.next, %k{tag} ]")
        for row in names:
            for name in row:
                b_.lines.append(
                    f"  {name} = phi {self.vector} [ {zeros}, %{before} ], [ {name}.n, %k{tag} ]"
                )
        line = self.at(b.pointer, k, b.rows)
        parts = [self.load(self.vector, self.at(line, str(v * lanes))) for v in range(n)]
        column = self.at(a.pointer, k, a.columns)
        for i, row in enumerate(names):
            value = self.load(self.item, self.at(column, str(i * a.rows)))
            one = b_.do(f"insertelement {self.vector} poison, {self.item} {value}, i64 0")
            mask = f"<{lanes} x i32> zeroinitializer"
            splat = b_.do(f"shufflevector {self.vector} {one}, {self.vector} poison, {mask}")
            for name, part in zip(row, parts, strict=True):
                b_.lines.append(f"  {name}.n = call {self.vector} {self._fma()}"
                                f"({self.vector} {splat}, {self.vector} {part}, "
                                f"{self.vector} {name})")  # fmt: skip
        b_.effect(f"{k}.next = add nuw nsw i64 {k}, 1")
        b_.effect(f"{k}.more = icmp ult i64 {k}.next, {self.s.k}")
        b_.effect(f"br i1 {k}.more, label %k{tag}, label %done{tag}")
        b_.label(f"done{tag}")
        for i, row in enumerate(names):
            for v, name in enumerate(row):
                place = self.at(c.pointer, str(i * c.rows + v * lanes))
                self._store_vector(f"{name}.n", place, min(lanes, width - v * lanes))

    def _fma(self) -> str:
        return f"@llvm.fma.v{self.s.lanes}{'f32' if self.item == 'float' else 'f64'}"

    def _store_vector(self, value: str, place: str, count: int) -> None:
        lanes, item = self.s.lanes, 4 if self.item == "float" else 8
        if count == lanes:
            self.b.effect(f"store {self.vector} {value}, ptr {place}, align {item}")
            return
        mask = ", ".join(f"i1 {'true' if j < count else 'false'}" for j in range(lanes))
        short = "f32" if self.item == "float" else "f64"
        self.b.effect(
            f"call void @llvm.masked.store.v{lanes}{short}.p0({self.vector} {value}, "
            f"ptr align {item} {place}, <{lanes} x i1> <{mask}>)"
        )

    # addresses ----------------------------------------------------------------------------

    def at(self, pointer: str, index: str, stride: int = 1) -> str:
        if index == "0":
            return pointer
        if stride != 1:
            index = self.b.do(f"mul nsw i64 {index}, {stride}")
        return self.b.do(f"getelementptr inbounds {self.item}, ptr {pointer}, i64 {index}")

    def at2(self, c: Operand, row: str, column: str) -> str:
        return self.at(self.at(c.pointer, row, c.rows), column)

    def load(self, type: str, place: str) -> str:
        return self.b.do(f"load {type}, ptr {place}, align {4 if self.item == 'float' else 8}")

    def store(self, type: str, value: str, place: str) -> None:
        self.b.effect(
            f"store {type} {value}, ptr {place}, align {4 if self.item == 'float' else 8}"
        )
