"""The function of a matrix product."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from chainrule.core.node import Node
from chainrule.run.native.emit.loops import Function, tile_function
from chainrule.run.native.matmul import gemm
from chainrule.run.native.numbers.ir import Builder
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.products import Matrix, Product, cut_of
from chainrule.run.native.runtime import machine


def write(p: Product, memory: dict[Node, Buffer]) -> Function:
    """The function that computes a product."""
    cut = cut_of(p)
    b = Builder()
    pointers: dict[Buffer, str] = {}

    def pointer(buffer: Buffer) -> str:
        return pointers.setdefault(buffer.alias or buffer, f"%p{len(pointers)}")

    @functools.cache
    def loops_over(width: int) -> tuple[str, str, list[Buffer], set[str]]:
        return tile_function(memory, p.nests, p.out.buffer, width)

    folds: dict[str, str] = {}

    def fold(tile: gemm.Operand, row: str, column: str, height: str, width: int) -> None:
        name, text, buffers, needs = loops_over(width)
        folds[name] = text
        b.needs |= needs
        numbers = [f"i64 {x}" for x in (tile.rows, row, column, height)]
        places = [f"ptr {x}" for x in ("%flag", tile.pointer)]
        listed = [*places, *numbers, *(f"ptr {pointer(x)}" for x in buffers)]
        b.effect(f"call void @{name}({', '.join(listed)})")

    for buffer in p.buffers:
        pointer(buffer)
    writer = gemm.Gemm(b, cut, pointer(p.scratch), fold if p.nests else None, p.kept)

    def nested(level: int, entry: list[str]) -> None:
        if level < len(p.batch):
            with b.loop(p.batch[level]) as i:
                nested(level + 1, [*entry, i])
            return
        matrices = [
            gemm.Operand(_address(b, pointer(x.buffer), cut.type, x, entry), x.rows, x.columns)
            for x in (p.left, p.right, *((p.out,) if p.kept else ()))
        ]
        nowhere = gemm.Operand("", 0, 1)  # each tile of it has the same place
        writer.write(*matrices, *(() if p.kept else (nowhere,)))

    nested(0, [])
    b.effect("ret void")
    return Function(
        b.text(),
        list(pointers),
        b.needs,
        p.shares if p.shared else 0,
        folds,
        writer.helpers,
        effort=machine.PLAIN,
    )


def _address(b: Builder, pointer: str, type: str, x: Matrix, entry: Sequence[str]) -> str:
    offset = str(x.offset)
    for variable, stride in zip(entry, x.batch, strict=True):
        term = b.do(f"mul nsw i64 {variable}, {stride}")
        offset = b.do(f"add nsw i64 {offset}, {term}")
    return b.do(f"getelementptr inbounds {type}, ptr {pointer}, i64 {offset}")
