"""Numbers of one type as numbers of another, as NumPy converts them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.run.native.numbers.arithmetic import select
from chainrule.run.native.numbers.ir import Builder, literal, register_type


def truth(b: Builder, dtype: np.dtype[Any], x: str) -> str:
    """Whether a number is not 0; NaN is not."""
    if dtype.kind == "b":
        return x
    test = "fcmp une" if dtype.kind == "f" else "icmp ne"
    return b.do(f"{test} {register_type(dtype)} {x}, {literal(0, dtype)}")


def cast(b: Builder, old: np.dtype[Any], new: np.dtype[Any], x: str) -> str:
    """``astype``. Of a float that the integer cannot hold, which C leaves open, what NumPy makes
    on x86 (``_truncated``)."""
    a, z = register_type(old), register_type(new)
    if a == z:
        return x
    if new.kind == "b":
        return truth(b, old, x)
    if old.kind == "f" and new.kind == "f":
        return b.do(f"{'fpext' if new.itemsize > old.itemsize else 'fptrunc'} {a} {x} to {z}")
    if old.kind == "f":
        return _truncated(b, old, new, x)
    if new.kind == "f":
        return b.do(f"{'sitofp' if old.kind == 'i' else 'uitofp'} {a} {x} to {z}")
    if new.itemsize < old.itemsize:
        return b.do(f"trunc {a} {x} to {z}")
    return b.do(f"{'sext' if old.kind == 'i' else 'zext'} {a} {x} to {z}")


def _truncated(b: Builder, old: np.dtype[Any], new: np.dtype[Any], x: str) -> str:
    """A float without its fraction, as an integer.

    Integers of up to 32 bits are the low bits of an int32, uint32 and int64 those of an int64;
    where that overflows, or for NaN, it is the smallest one. A uint64 from 2^63 on is converted
    without its first bit.
    """
    a, z = register_type(old), register_type(new)
    bits = 64 if new.itemsize == 8 or new == np.uint32 else 32
    word, upper, size = f"i{bits}", literal(2.0**63, old), x
    high = b.do(f"fcmp oge {a} {x}, {upper}") if new == np.uint64 else ""
    if high:
        size = select(b, high, a, b.do(f"fsub {a} {x}, {upper}"), x)
    whole = b.do(f"call {word} @llvm.fptosi.sat.{word}.{_short(a)}({a} {size})")
    fits = b.do(f"fcmp olt {a} {size}, {literal(2.0 ** (bits - 1), old)}")
    whole = select(b, fits, word, whole, str(-(2 ** (bits - 1))))
    if high:
        whole = b.do(f"xor i64 {whole}, {select(b, high, 'i64', str(-(2**63)), '0')}")
    return whole if z == word else b.do(f"trunc {word} {whole} to {z}")


def _short(type: str) -> str:
    return {"float": "f32", "double": "f64"}[type]
