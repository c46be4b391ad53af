"""How a matrix product is cut into tiles, panels and shares."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.run.native.runtime.machine import vector_bytes, vector_registers


@dataclass(frozen=True, slots=True)
class Tiling:
    """What is multiplied, and how it is cut: tiles of ``height`` rows and ``vectors`` vectors.

    The multiply-adds limit any tile of a dozen vectors or more, so a shape is chosen that cuts
    the result without remainder, where there is one.
    """

    m: int
    n: int
    k: int
    type: str
    by_columns: bool  # A lies by columns: its tiles are copied first
    packed: bool  # panels of B are copied first
    threads: int = 1  # that share it, at most

    @property
    def lanes(self) -> int:
        return vector_bytes() // (4 if self.type == "float" else 8)

    @property
    def vectors(self) -> int:
        needed = -(-self.n // self.lanes)
        many = vector_registers() >= 32
        # A tile of A that is copied lies in one row: it can be high.
        liked = ((2, 3) if self.by_columns else (4, 3, 2)) if many else (2,)
        return next((v for v in liked if needed % v == 0), min(needed, liked[0]))

    @property
    def height(self) -> int:
        """How many rows: as many as there are registers for, or a few less if the last tile then
        repeats fewer rows. Beside its rows, a tile costs about half a row."""
        many = vector_registers() >= 32
        if many:
            most = {1: 16, 2: 12, 3: 8, 4: 6}[self.vectors]
            most = most if self.by_columns else min(most, 8)
        else:
            most = 8 if self.vectors == 1 else 4 if self.by_columns else 6
        rows = max(1, self.m // self.threads) if self.shared == "rows" else self.m
        fewest = min(rows, most)
        enough = range(fewest, min(fewest, max(most // 2, 3)) - 1, -1)
        return min(enough, key=lambda height: -(-rows // height) * (height + 0.5))

    @property
    def width(self) -> int:
        return self.vectors * self.lanes

    @property
    def panels(self) -> int:
        return -(-self.n // self.width)

    def scratch(self, kept: bool = True) -> int:
        """Elements of memory for one thread's copies, and for a tile of C where C itself is not
        kept."""
        a = (self.k + 2) * max(self.height, self.lanes) if self.by_columns else 0
        panels = self.panels if self.by_columns else 1
        c = 0 if kept else self.height * self.width
        return a + (panels * self.k * self.width if self.packs else 0) + c

    @property
    def packs(self) -> bool:
        return self.packed or self.n % self.width != 0

    @property
    def shared(self) -> str:
        """What threads share out: rows of C, panels of its columns where there are too few
        rows for each thread to copy all of B, or "" with one thread."""
        if self.threads == 1:
            return ""
        few = self.m < (64 if self.packs else 8) * self.threads
        return "panels" if few and not self.by_columns and self.panels >= self.threads else "rows"


def tiling_of(
    size: tuple[int, int, int], type: str, a: tuple[int, int], b: tuple[int, int], threads: int = 1
) -> Tiling:
    """How to cut a product of these sizes and strides (rows, columns)."""
    m, n, k = size
    by_columns = a[1] != 1 and k > 1
    row = b[0] * (4 if type == "float" else 8)
    # Few sets of a cache would hold a column: a copy is worth it where the cache is full anyway.
    conflicts = row % 1024 == 0 and k > 64 and (row >= 2**14 or k * row >= 2**22)
    return Tiling(m, n, k, type, by_columns, b[1] != 1 or conflicts, threads)
