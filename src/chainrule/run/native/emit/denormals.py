"""Numbers too small to be normal, as 0: processors are many times slower with them."""

from __future__ import annotations

from chainrule.run.native.numbers.ir import Builder
from chainrule.run.native.runtime import machine

FLUSH = 0x8040
"""MXCSR: flush results to zero, and take denormal operands as zero."""
FLUSH_ARM = 1 << 24
"""FPCR: both."""


def flush_denormals(b: Builder) -> str:
    """Take numbers too small to be normal as 0, where the processor would slow down many times
    over; returns the instruction that restores its mode, "" where it has no such mode."""
    if machine.is_x86():
        old, new = b.stack("i32"), b.stack("i32")
        b.effect(f"call void @llvm.x86.sse.stmxcsr(ptr {old})")
        value = b.do(f"load i32, ptr {old}")
        b.effect(f"store i32 {b.do(f'or i32 {value}, {FLUSH}')}, ptr {new}")
        b.effect(f"call void @llvm.x86.sse.ldmxcsr(ptr {new})")
        return f"call void @llvm.x86.sse.ldmxcsr(ptr {old})"
    if machine.is_arm():
        value = b.do("call i64 @llvm.aarch64.get.fpcr()")
        flushing = b.do(f"or i64 {value}, {FLUSH_ARM}")
        b.effect(f"call void @llvm.aarch64.set.fpcr(i64 {flushing})")
        return f"call void @llvm.aarch64.set.fpcr(i64 {value})"
    return ""
