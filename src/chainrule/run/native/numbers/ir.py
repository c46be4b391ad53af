"""LLVM IR as text: types, literals, and a builder of one function's instructions.

Text, because it costs a third of building it from objects and because two loops that print
alike are one function. A bool is ``i1`` in registers and one byte in memory, as in NumPy.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

LLVM_TYPES = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.bool): "i1",
    **{np.dtype(f"{k}{n}"): f"i{8 * n}" for k in "iu" for n in (1, 2, 4, 8)},
}

UNROLLED = 128
"""Loops longer than this are not unrolled: it costs compile time and gains nothing."""
AS_IT_IS = ", !llvm.loop !5"
"""Do not unroll this loop."""
ATTRIBUTES = """
attributes #0 = { noinline nounwind "prefer-vector-width"="512" }
attributes #1 = { alwaysinline nounwind }
attributes #2 = { noinline optnone nounwind }
attributes #3 = { noinline optsize nounwind "prefer-vector-width"="512" }
!0 = distinct !{!0, !1}
!1 = !{!"llvm.loop.vectorize.predicate.enable", i1 true}
!2 = distinct !{!2, !3, !4}
!3 = !{!"llvm.loop.unroll.disable"}
!4 = !{!"llvm.loop.vectorize.enable", i1 false}
!5 = distinct !{!5, !3}
"""
"""What the numbers of functions and loops mean: the end of each module."""


def register_type(dtype: np.dtype[Any]) -> str:
    """The LLVM type of a number of this dtype in a register."""
    return LLVM_TYPES[dtype]


def memory_type(dtype: np.dtype[Any]) -> str:
    """The LLVM type of a number of this dtype in memory."""
    return "i8" if dtype.kind == "b" else LLVM_TYPES[dtype]


def literal(value: Any, dtype: np.dtype[Any]) -> str:
    """A number as IR writes it; floats as the bits of a double, so that nothing is rounded."""
    if dtype.kind == "f":
        with np.errstate(all="ignore"):
            wide = float(np.asarray(value).astype(dtype))
        return f"0x{struct.unpack('<Q', struct.pack('<d', wide))[0]:016X}"
    if dtype.kind == "b":
        return "true" if value else "false"
    return str(int(value))


class Builder:
    """Instructions of one function, in order, with fresh names for results and blocks."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.entry: list[str] = []  # allocas, which belong to the first block
        self.block = "entry"
        self.needs: set[str] = set()  # kernels and external functions that are called
        self.loops = 0  # how many are open
        self.cold = False  # whether what runs is little, so that code may be slow
        self.prefix = "v"
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"%{self.prefix}{self._count}"

    def do(self, instruction: str) -> str:
        """Emit an instruction; returns the name of its result."""
        result = self.name()
        self.lines.append(f"  {result} = {instruction}")
        return result

    def effect(self, instruction: str) -> None:
        """Emit an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def label(self, block: str) -> None:
        self.lines.append(f"{block}:")
        self.block = block

    def stack(self, type: str, count: int = 1) -> str:
        """A place on the stack, made once per call of the function."""
        self._count += 1
        result = f"%s{self._count}"
        self.entry.append(f"  {result} = alloca {type}, i64 {count}, align 64")
        return result

    def call(self, function: str, result: str, *arguments: tuple[str, str]) -> str:
        """Call a kernel or an external function, and remember that the module needs it."""
        self.needs.add(function)
        listed = ", ".join(f"{type} {value}" for type, value in arguments)
        return self.do(f"call {result} @{function}({listed})")

    def intrinsic(self, name: str, type: str, *values: str) -> str:
        """A floating-point or integer intrinsic whose arguments all have its result's type."""
        short = {"float": "f32", "double": "f64"}.get(type, type)
        listed = ", ".join(f"{type} {value}" for value in values)
        return self.do(f"call {type} @llvm.{name}.{short}({listed})")

    @contextmanager
    def loop(self, count: int | str, start: int | str = 0, hint: str = "") -> Iterator[str]:
        """A loop from ``start`` up to ``count``, which runs at least once: yields its variable.
        LLVM need not look whether a long one should be unrolled."""
        if not hint and (isinstance(count, str) or count > UNROLLED):
            hint = AS_IT_IS
        self._count += 1
        n, before = self._count, self.block
        variable = f"%i{n}"
        self.effect(f"br label %head{n}")
        self.label(f"head{n}")
        self.lines.append(
            f"  {variable} = phi i64 [ {start}, %{before} ], [ {variable}.next, %latch{n} ]"
        )
        self.loops += 1
        yield variable
        self.loops -= 1
        self.effect(f"br label %latch{n}")
        self.label(f"latch{n}")
        self.effect(f"{variable}.next = add nuw nsw i64 {variable}, 1")
        self.effect(f"{variable}.more = icmp ult i64 {variable}.next, {count}")
        self.effect(f"br i1 {variable}.more, label %head{n}, label %exit{n}{hint}")
        self.label(f"exit{n}")

    @contextmanager
    def when(self, condition: str, goes_on: bool = True) -> Iterator[None]:
        """Instructions that run where a condition holds; they may return."""
        name = self.name()[1:]
        self.effect(f"br i1 {condition}, label %{name}.then, label %{name}.done")
        self.label(f"{name}.then")
        yield
        if goes_on:
            self.effect(f"br label %{name}.done")
        self.label(f"{name}.done")

    @contextmanager
    def either(self, condition: str) -> Iterator[Callable[[], None]]:
        """Instructions for where a condition holds, and, after a call of what is yielded, for
        where it doesn't."""
        name = self.name()[1:]

        def otherwise() -> None:
            self.effect(f"br label %{name}.done")
            self.label(f"{name}.else")

        self.effect(f"br i1 {condition}, label %{name}.then, label %{name}.else")
        self.label(f"{name}.then")
        yield otherwise
        self.effect(f"br label %{name}.done")
        self.label(f"{name}.done")

    def load(self, dtype: np.dtype[Any], address: str) -> str:
        value = self.do(f"load {memory_type(dtype)}, ptr {address}, align {dtype.itemsize}")
        return self.do(f"icmp ne i8 {value}, 0") if dtype.kind == "b" else value

    def store(self, dtype: np.dtype[Any], value: str, address: str) -> None:
        if dtype.kind == "b":
            value = self.do(f"zext i1 {value} to i8")
        self.effect(f"store {memory_type(dtype)} {value}, ptr {address}, align {dtype.itemsize}")

    def text(self) -> str:
        """The function's body."""
        return "\n".join(["entry:", *self.entry, *self.lines])
