"""The function of a matrix product: kernels of our own, or BLAS where it measures faster."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from chainrule.core.node import Node
from chainrule.run.native.emit.loops import Function, tile_function
from chainrule.run.native.matmul import gemm
from chainrule.run.native.matmul.tiling import Tiling
from chainrule.run.native.numbers.ir import Builder, memory_type
from chainrule.run.native.plan.buffers import Buffer
from chainrule.run.native.plan.products import Matrix, Product, cut_of, leading


def write(p: Product, memory: dict[Node, Buffer]) -> Function:
    """The function that computes a product."""
    cut = cut_of(p)
    return _write_blas(p) if cut is None else _write_own(p, cut, memory)


def _write_own(p: Product, cut: Tiling, memory: dict[Node, Buffer]) -> Function:
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
    helpers = writer.helpers | folds
    return Function(b.text(), list(pointers), b.needs, p.shares if p.shared else 0, helpers)


def _write_blas(p: Product) -> Function:
    """The same through BLAS.

    BLAS thinks in columns: there our row-major ``C = A B`` reads ``C' = B' A'``.
    """
    b = Builder()
    pointers: dict[Buffer, str] = {}
    for buffer in p.buffers[:3]:
        pointers.setdefault(buffer.alias or buffer, f"%p{len(pointers)}")
    dtype = p.out.buffer.type.dtype
    type = memory_type(dtype)
    m, n, k = p.size
    by_rows, ldc = leading(p.out, m, n) or (True, n)
    first, second = (p.right, p.left) if by_rows else (p.left, p.right)
    one = _ordered(first, (k, n) if by_rows else (m, k), by_rows)
    two = _ordered(second, (m, k) if by_rows else (k, n), by_rows)
    width, height = (n, m) if by_rows else (m, n)

    def constant(kind: str, value: object) -> tuple[str, str]:
        place = b.stack(kind)
        b.effect(f"store {kind} {value}, ptr {place}")
        return "ptr", place

    numbers = {v: constant("i32", v) for v in sorted({width, height, k, one[1], two[1], ldc})}
    letters = {v: constant("i8", ord(v)) for v in sorted({one[0], two[0]})}
    alpha, beta = constant(type, "1.0"), constant(type, "0.0")

    def call(entry: list[str]) -> None:
        places = [_address(b, pointers[x.buffer.alias or x.buffer], type, x, entry)
                  for x in (first, second, p.out)]  # fmt: skip
        arguments = (
            letters[one[0]], letters[two[0]], numbers[width], numbers[height], numbers[k],
            alpha, ("ptr", places[0]), numbers[one[1]], ("ptr", places[1]), numbers[two[1]],
            beta, ("ptr", places[2]), numbers[ldc],
        )  # fmt: skip
        name = "sgemm" if type == "float" else "dgemm"
        b.needs.add(name)
        b.effect(f"call void @{name}({', '.join(f'{t} {v}' for t, v in arguments)})")

    def nested(level: int, entry: list[str]) -> None:
        if level == len(p.batch):
            call(entry)
            return
        with b.loop(p.batch[level]) as i:
            nested(level + 1, [*entry, i])

    nested(0, [])
    b.effect("ret void")
    return Function(b.text(), list(pointers), b.needs, 0)


def _ordered(x: Matrix, shape: tuple[int, int], by_rows: bool) -> tuple[str, int]:
    """BLAS's letter and leading dimension for an operand."""
    found = leading(x, *shape)
    assert found is not None
    return ("N" if found[0] == by_rows else "T"), found[1]


def _address(b: Builder, pointer: str, type: str, x: Matrix, entry: Sequence[str]) -> str:
    offset = str(x.offset)
    for variable, stride in zip(entry, x.batch, strict=True):
        term = b.do(f"mul nsw i64 {variable}, {stride}")
        offset = b.do(f"add nsw i64 {offset}, {term}")
    return b.do(f"getelementptr inbounds {type}, ptr {pointer}, i64 {offset}")
