"""How a matrix product is cut into tiles, panels, blocks and shares, and what of it is copied."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

from chainrule.run.native.runtime import machine
from chainrule.run.native.runtime.team import fewest

OFTEN = 4
"""What is read so many times or more is worth copying."""
TOGETHER = 256
"""About so many bytes of a row are copied at a time, of tiles that lie beside one another: what is
read together lies together, and no line need be read twice. More would be memory that leaves the
second cache before it is read."""
DEPTH = 256
"""So many columns of A at least are multiplied at a time: sums that wait cost 4 / DEPTH."""
FEW, SHALLOW = 2, 16
"""Of so few rows every number of B is used once: so many of its rows are read from end to end, as
memory gives them fastest, while the sums wait in the first cache."""
PANEL, BLOCK = 1 / 8, 8
"""How many times the second cache a panel of B may take, which streams from there, and the rows of
A that meet it, which stream from the third: to cut finer costs more sums that wait, and copies."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What else could be done in one point, where it depends on the processor which is faster
    (``tuning.py`` measures). No variant reads in place what would not stay in the cache.

    Attributes:
        finer: so many times fewer columns of A are multiplied at a time. copies: whether parts that
            are read often are copied, though they would stay where they lie. across: whether a
            tile of rows meets all panels before the next one. three: whether tiles are three
            vectors wide.
    """

    finer: int = 1
    copies: bool = False
    across: bool = False
    three: bool = False


USUAL = Variant()
VARIANTS = (
    USUAL, Variant(finer=4), Variant(copies=True), Variant(across=True), Variant(three=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tiling:
    """What is multiplied, and how it is cut: tiles of ``height`` rows and ``vectors`` vectors.

    The multiply-adds limit any tile of a dozen vectors or more, so a shape is chosen that cuts
    the result without remainder, where there is one.

    Attributes:
        m, n, k, type: sizes, and LLVM's type of a number. copies_a, copies_b: whether tiles of A
            and panels of B are copied first. depth: so many columns of A are multiplied at a time.
        block: so many tiles of rows meet a panel of B. together: so many panels of B are copied at
            a time. threads: that share the product, at most; shared: rows of C, panels of its
            columns, or "" with one thread. across, three: as ``Variant`` says.
    """

    m: int
    n: int
    k: int
    type: str
    copies_a: bool = False
    copies_b: bool = False
    depth: int = 0
    block: int = 0
    together: int = 1
    threads: int = 1
    shared: str = ""
    across: bool = False
    three: bool = False

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return 4 if self.type == "float" else 8

    @property
    def lanes(self) -> int:
        return machine.vector_bytes() // self.size

    @property
    def vectors(self) -> int:
        needed = -(-self.n // self.lanes)
        few = 4 if machine.vector_registers() >= 32 else 2
        # Of one or two rows, longer pieces: B is then read once, and comes faster so.
        usual = (3,) if self.three else (4, 3, 2) if few == 4 else (2,)
        liked = (3 * few, 2 * few) if self.m <= FEW else usual
        return next((v for v in liked if needed % v == 0), min(needed, liked[0]))

    @property
    def height(self) -> int:
        """How many rows: as many as there are registers for, or a few less if the last tile then
        repeats fewer rows. Beside its rows, a tile costs about half a row."""
        many = machine.vector_registers() >= 32
        most = {1: 8, 2: 8, 3: 9, 4: 6} if many else {1: 8, 2: 6, 3: 4}
        most = most.get(self.vectors, 2)
        rows = max(1, fewest(self.m, self.threads)) if self.shared == "rows" else self.m
        low = min(rows, most)
        enough = range(low, min(low, max(most // 2, 3)) - 1, -1)
        return min(enough, key=lambda height: -(-rows // height) * (height + 0.5))

    @property
    def width(self) -> int:
        return self.vectors * self.lanes

    @property
    def panels(self) -> int:
        return -(-self.n // self.width)

    @property
    def tiles(self) -> int:
        """Of rows, in all of the product."""
        return -(-self.m // self.height)

    def parts(self, kept: bool = True) -> tuple[int, int, int, int]:
        """Elements of one thread's memory: for tiles of A, a panel of B, sums that wait, and a
        tile of C where C itself is not kept."""
        block = min(self.block, self.tiles)
        line = 64 // self.size
        whole = self.copies_b or self.n % self.lanes
        panels = self.panels if self.across and self.copies_b else self.together
        found = (
            block * self.height * self.depth + self.lanes if self.copies_a else 0,
            self.depth * self.width * panels if whole else 0,
            block * self.panels * self.height * self.width if self.depth < self.k else 0,
            0 if kept else self.height * self.width,
        )
        a, b, sums, c = (-(-part // line) * line for part in found)
        return a, b, sums, c

    def scratch(self, kept: bool = True) -> int:
        """Elements of one thread's memory."""
        return sum(self.parts(kept))


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a matrix that is read again and again: so many bytes of each of some rows."""

    rows: int
    bytes: int
    apart: int

    def lines(self, cache: machine.Cache) -> int:
        """The most lines of it that fall into one set of a cache."""
        return _lines(self, cache)

    @property
    def stays(self) -> bool:
        """Whether it stays in the first cache while it is read again, beside as much else, and
        the processor remembers the places of all its pages."""
        first, _ = machine.caches()
        pages = {row * self.apart // machine.PAGE for row in range(self.rows)}
        return self.lines(first) <= first.ways // 2 and len(pages) <= machine.PAGES


@lru_cache(maxsize=256)
def _lines(part: Part, cache: machine.Cache) -> int:
    lines = {
        (row * part.apart + byte) // cache.line
        for row in range(part.rows)
        for byte in range(0, part.bytes, cache.line)
    }
    return max(Counter(line % cache.sets for line in lines).values())


def tiling_of(
    size: tuple[int, int, int],
    type: str,
    a: tuple[int, int],
    b: tuple[int, int],
    threads: int = 1,
    variant: Variant = USUAL,
) -> Tiling:
    """How to cut a product of these sizes and strides (rows, columns).

    What would not stay in the first cache where it lies, and is read often enough, is copied.
    Threads share rows, but panels where there are too few rows for each thread to copy all of B.
    """
    m, n, k = size
    few = m <= FEW
    cut = Tiling(m, n, k, type, threads=threads, three=variant.three and not few)
    _, second = machine.caches()
    by_rows = a[1] == 1 or k == 1
    most = max(DEPTH, int(PANEL * second.size) // (cut.width * cut.size)) // variant.finer
    depth = _even(k, SHALLOW if few and b[1] == 1 else most)
    panel = Part(depth, cut.width * cut.size, b[0] * cut.size)
    copies_b = b[1] != 1 or (cut.tiles >= OFTEN and (variant.copies or not panel.stays))
    if threads > 1:
        low = by_rows and m < (64 if copies_b else 8) * threads and cut.panels >= threads
        cut = replace(cut, shared="panels" if low else "rows")
    if by_rows:
        tile = Part(cut.height, depth * cut.size, a[0] * cut.size)
    else:
        tile = Part(depth, cut.height * cut.size, a[1] * cut.size)
    one_by_one = b[1] != 1 or not copies_b or cut.shared == "panels"
    rows = BLOCK * second.size // (depth * cut.size)
    return replace(
        cut,
        copies_a=cut.panels >= OFTEN and (variant.copies or not tile.stays),
        copies_b=copies_b,
        depth=depth,
        block=_even(cut.tiles, max(1, rows // cut.height)),
        together=1 if one_by_one else max(1, min(beside(cut.width * cut.size), n // cut.width)),
        across=variant.across and cut.shared != "panels" and cut.panels > 1,
    )


def beside(width: int) -> int:
    """How many tiles of so many bytes are copied at a time."""
    return max(1, round(TOGETHER / width))


def _even(count: int, most: int) -> int:
    """The size of parts, as many of about ``most`` as there are in ``count``, but alike."""
    return -(-count // max(1, round(count / most)))
