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

    def fill(key: str, out: str, start: str, stop: str) -> None:
        b.effect(f"call void @{philox.symbol(type)}(ptr {key}, ptr {out}, i64 {start}, i64 {stop})")

    if step.keys > 1:
        first, last = ("%first", "%last") if step.shared else ("0", str(step.keys))
        with b.when(b.do(f"icmp ult i64 {first}, {last}")), b.loop(last, first) as i:
            words, numbers = (b.do(f"mul nuw nsw i64 {i}, {n}") for n in (2, step.row))
            key = b.do(f"getelementptr inbounds i64, ptr %p0, i64 {words}")
            out = b.do(f"getelementptr inbounds {type}, ptr %p1, i64 {numbers}")
            fill(key, out, "0", str(step.row))
    elif step.shared:
        start, stop = (b.do(f"mul nuw nsw i64 %{end}, {step.row}") for end in ("first", "last"))
        stop = b.do(f"call i64 @llvm.umin.i64(i64 {stop}, i64 {size})")
        with b.when(b.do(f"icmp ult i64 {start}, {stop}")):
            fill("%p0", "%p1", start, stop)
    else:
        fill("%p0", "%p1", "0", str(size))
    b.effect("ret void")
    return Function(b.text(), [step.key, step.out], b.needs, step.shares if step.shared else 0)
