"""Asking for memory before it is needed, where the nearest caches can't hold it: the processor
fetches it while it still computes something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.run.native.affine import Affine
from chainrule.run.native.ir import AS_IT_IS, Builder
from chainrule.run.native.nests import Load, Sites

if TYPE_CHECKING:
    from chainrule.core.graph import Node
    from chainrule.run.native.buffers import Buffer
    from chainrule.run.native.products import Product

LINE = 64
"""Bytes that come together."""
NEAR = 2**18
"""Bytes that are quickly at hand."""


def ask_rows(b: Builder, place: str, rows: int, size: int, apart: int) -> None:
    """Ask for rows of ``size`` bytes, ``apart`` from one another, which are about to be written."""
    with b.loop(rows, hint=AS_IT_IS) as i:
        at = b.do(f"mul nuw nsw i64 {i}, {apart}")
        row = b.do(f"getelementptr i8, ptr {place}, i64 {at}")
        for start in range(0, size, LINE):
            line = b.do(f"getelementptr i8, ptr {row}, i64 {start}")
            b.effect(f"call void @llvm.prefetch.p0(ptr {line}, i32 1, i32 3, i32 1)")


def beside(product: Product, memory: dict[Node, Buffer]) -> list[Buffer]:
    """What the loops over a product's tiles read row by row beside its result, if it is not
    near: weights and an optimiser's slots."""
    here = Affine(0, (product.size[1], 1))
    found: dict[Buffer, None] = {}
    for nest in product.nests:
        sites = Sites(memory, nest.rank)
        sites.add(nest.operands, nest.defines(memory))
        for site in sites.order:
            if isinstance(site, Load) and site.position == here:
                found[site.buffer.alias or site.buffer] = None
    found.pop(product.out.buffer, None)
    same = [x for x in found if x.type.dtype == product.out.buffer.type.dtype]
    return same if sum(x.type.nbytes for x in same) > NEAR else []
