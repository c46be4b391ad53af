"""Matrix products: contracts whose operands lie in memory as matrices do.

Kernels of our own (``gemm.py``) compute them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from chainrule.core.node import Node
from chainrule.core.types import array_type
from chainrule.ops.contract import parse_spec
from chainrule.run.native.matmul.tiling import USUAL, Tiling, Variant, tiling_of
from chainrule.run.native.matmul.tuning import variant_of
from chainrule.run.native.numbers.ir import memory_type
from chainrule.run.native.plan.affine import Affine, variables
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.nests import Nest
from chainrule.run.native.plan.phases import ALL, row_of
from chainrule.run.native.plan.sites import Load, Sites

SMALL = 512
"""A product whose right matrix has no more numbers is a plain loop. How many rows the left one
has does not count: a row's result must not depend on the rows beside it."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix in memory: element (i, j) of batch entry b lies at
    ``offset + i * rows + j * columns + sum(b * batch)``."""

    buffer: Buffer
    offset: int
    rows: int
    columns: int
    batch: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Product:
    """``out = left @ right`` for every entry of a batch: sizes m, n, k.

    ``threads`` say how many share it out at most, ``shared`` what: rows of the result, panels
    of its columns, or "". ``variant``: how it is cut, where that was measured.
    ``nests`` are loops over the result that run over each tile of it while that is near, and
    ``reads`` what they read; where nothing else needs the result, it is not ``kept``.
    """

    left: Matrix
    right: Matrix
    out: Matrix
    size: tuple[int, int, int]
    batch: tuple[int, ...]
    scratch: Buffer
    threads: int = 1
    shared: str = ""
    variant: Variant = USUAL
    nests: tuple[Nest, ...] = ()
    reads: tuple[Buffer, ...] = ()
    kept: bool = True

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """Operands and scratch, without what the loops over tiles touch."""
        out = (self.out.buffer,) if self.kept else ()
        return (self.left.buffer, self.right.buffer, *out, self.scratch)

    @property
    def touched(self) -> list[Buffer]:
        reads = (x for x in self.reads if x is not self.out.buffer)
        return list(dict.fromkeys((*self.buffers, *reads, *(nest.out for nest in self.nests))))

    def folded(self, nests: Sequence[Nest], reads: Iterable[Buffer], kept: bool) -> Product:
        """This product with loops over its result, if they go by its rows and columns."""
        scratch = _scratch(cut_of(self), kept)
        return replace(self, nests=tuple(nests), reads=tuple(reads), kept=kept, scratch=scratch)

    @property
    def tiled(self) -> bool:
        """Whether kernels of ours leave the result tile by tile, in rows without gaps, so that it
        pays to go on with each tile. It does not behind a weight gradient, whose tiles are narrow:
        an optimiser's slots are read faster from end to end."""
        m, n, _ = self.size
        whole = self.out.rows == n and not self.out.offset and self.out.buffer.type.size == m * n
        return not self.by_columns and whole and not self.batch and self.shared != "panels"

    @property
    def by_columns(self) -> bool:
        """Whether the left matrix lies by columns, as a weight gradient's does."""
        return self.left.columns != 1 and self.size[2] > 1

    @property
    def shares(self) -> int:
        """How many rows, or panels, there are to share out."""
        return self.size[0] if self.shared == "rows" else cut_of(self).panels

    def rows_of(self) -> Iterator[tuple[Buffer, int, bool]]:
        """Each operand's buffer, the elements that belong to each row of a share (or ALL), and
        whether it is written."""
        m, n, k = self.size
        for x, columns in ((self.left, k), (self.right, 0), (self.out, n)):
            if x is self.out and not self.kept:
                continue
            row = ALL
            if self.shared == "rows" and columns:
                position = Affine(x.offset, (x.rows, x.columns, *x.batch))
                row = row_of(position, (m, columns, *self.batch), 0)
            yield x.buffer, row, x is self.out


def product_of(node: Node, memory: dict[Node, Buffer], threads: int = 1) -> Product | None:
    """The product that a contract is, or None where a loop serves: it is small, or has a
    vector for an operand, or does not lie as a matrix does."""
    left, right, result = parse_spec(node.attrs["spec"])
    x, y = node.inputs
    lengths = dict(zip(left + right, x.type.shape + y.type.shape, strict=True))
    if not node.type.is_float:
        return None
    batch = [c for c in result if c in left and c in right]
    summed = [c for c in left if c in right and c not in result]
    rows = [c for c in result if c in left and c not in right]
    columns = [c for c in result if c in right and c not in left]
    made = [
        _matrix(x, left, rows, summed, batch, lengths, memory),
        _matrix(y, right, summed, columns, batch, lengths, memory),
        _matrix(node, result, rows, columns, batch, lengths, memory),
    ]
    if any(one is None for one in made):
        return None
    m, n, k = (math.prod(lengths[c] for c in part) for part in (rows, columns, summed))
    a, b, c = made
    assert a is not None
    assert b is not None
    assert c is not None
    empty = Buffer(array_type((0,), node.type.dtype), "arena")
    found = Product(a, b, c, (m, n, k), tuple(lengths[label] for label in batch), empty, threads)
    if not _fits(found):
        return None
    found = _turned(found)
    if found.size[1] * found.size[2] <= SMALL or _is_vector(found):
        return None
    found = replace(found, variant=variant_of(*_about(found)))
    cut = cut_of(found)
    return replace(found, scratch=_scratch(cut), shared=cut.shared)


def _scratch(cut: Tiling, kept: bool = True) -> Buffer:
    """Memory for the copies that each thread makes."""
    dtype = "float32" if cut.type == "float" else "float64"
    return Buffer(array_type((cut.scratch(kept) * cut.threads,), dtype), "arena")


def _turned(p: Product) -> Product:
    """The same product with its result by rows: transposed where it lies by columns."""
    m, n, k = p.size
    if p.out.columns == 1 or (n == 1 and p.out.rows >= 1):
        return p
    left, right, out = (
        replace(x, rows=x.columns, columns=x.rows) for x in (p.right, p.left, p.out)
    )
    return replace(p, left=left, right=right, out=out, size=(n, m, k))


def _is_vector(p: Product) -> bool:
    """Whether a matrix meets a vector in rows of numbers that follow one another: a loop reads
    them as fast as memory gives them."""
    return p.size[1] == 1 or (p.size[0] == 1 and p.right.columns != 1)


def cut_of(p: Product) -> Tiling:
    """How a product is cut."""
    return tiling_of(*_about(p), p.threads, p.variant)


def _about(p: Product) -> tuple[tuple[int, int, int], str, tuple[int, int], tuple[int, int]]:
    """Sizes, type, and strides of rows and columns."""
    type, (left, right) = memory_type(p.out.buffer.type.dtype), (p.left, p.right)
    return p.size, type, (left.rows, left.columns), (right.rows, right.columns)


def _matrix(
    node: Node,
    labels: str,
    rows: Sequence[str],
    columns: Sequence[str],
    batch: Sequence[str],
    lengths: dict[str, int],
    memory: dict[Node, Buffer],
) -> Matrix | None:
    """How an operand lies in memory, with its axes joined to rows and columns."""
    rank = node.type.ndim
    site = Sites(memory, rank).resolve(node, variables(rank))
    if not isinstance(site, Load):
        return None
    strides = dict(zip(labels, site.position.factors, strict=True))
    joined = [_joined(part, strides, lengths) for part in (rows, columns)]
    if joined[0] is None or joined[1] is None:
        return None
    entries = tuple(strides[c] for c in batch)
    return Matrix(site.buffer, site.position.constant, joined[0], joined[1], entries)


def _joined(labels: Sequence[str], strides: dict[str, int], lengths: dict[str, int]) -> int | None:
    """The stride of several axes as one, None where they do not follow evenly."""
    wide = [c for c in labels if lengths[c] != 1]
    for c, after in pairwise(wide):
        if strides[c] != strides[after] * lengths[after]:
            return None
    return strides[wide[-1]] if wide else 1


def _fits(p: Product) -> bool:
    m, n, k = p.size
    return all(map(_is_dense, (p.left, p.right, p.out), (m, k, m), (k, n, n)))


def _is_dense(x: Matrix, rows: int, columns: int) -> bool:
    """Whether the numbers of a row follow one another, or those of a column, and rows or columns
    do not overlap."""
    by_rows = (x.columns == 1 or columns == 1) and (x.rows >= columns or rows == 1)
    return by_rows or ((x.rows == 1 or rows == 1) and (x.columns >= rows or columns == 1))
