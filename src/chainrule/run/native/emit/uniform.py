"""The step that fills an array with random numbers, as a function."""

from __future__ import annotations

from chainrule.run.native.emit.loops import Function
from chainrule.run.native.numbers import philox
from chainrule.run.native.numbers.ir import Builder, memory_type
from chainrule.run.native.plan.uniform import Uniform


def write(step: Uniform) -> Function:
    """The function that computes a step."""
    b = Builder()
    type, size = memory_type(step.out.type.dtype), step.out.type.size
    b.needs.add(philox.symbol(type))

    def fill(start: str, stop: str) -> None:
        b.effect(f"call void @{philox.symbol(type)}(ptr %p0, ptr %p1, i64 {start}, i64 {stop})")

    if step.shared:
        start, stop = (b.do(f"mul nuw nsw i64 %{end}, {step.row}") for end in ("first", "last"))
        stop = b.do(f"call i64 @llvm.umin.i64(i64 {stop}, i64 {size})")
        with b.when(b.do(f"icmp ult i64 {start}, {stop}")):
            fill(start, stop)
    else:
        fill("0", str(size))
    b.effect("ret void")
    return Function(b.text(), [step.key, step.out], b.needs, step.shares if step.shared else 0)
