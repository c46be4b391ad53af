"""Arithmetic on one float type, as instructions: the words in which kernels are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.run.native.numbers.ir import Builder, literal
from chainrule.run.native.runtime.machine import has_fma


class Float:
    """Instructions on ``float`` or ``double``; every method returns the name of its result.

    ``looped`` says whether they are for a loop, which LLVM may turn into vectors.
    """

    def __init__(self, type: str, looped: bool = True) -> None:
        self.looped = looped
        self.b = Builder()
        self.type = type
        self.wide = type == "double"
        self.dtype = np.dtype("float64" if self.wide else "float32")
        self.bits = "i64" if self.wide else "i32"
        self.mantissa = 52 if self.wide else 23
        self.bias = 1023 if self.wide else 127
        self.smallest = float(np.finfo(self.dtype).tiny)

    def c(self, value: float) -> str:
        return literal(value, self.dtype)

    def split(self, value: float) -> float:
        """The value rounded to this type."""
        return float(self.dtype.type(value))

    def _do(self, word: str, *x: str) -> str:
        return self.b.do(f"{word} {self.type} {', '.join(x)}")

    def add(self, x: str, z: str) -> str:
        return self._do("fadd", x, z)

    def sub(self, x: str, z: str) -> str:
        return self._do("fsub", x, z)

    def mul(self, x: str, z: str) -> str:
        return self._do("fmul", x, z)

    def div(self, x: str, z: str) -> str:
        return self._do("fdiv", x, z)

    def neg(self, x: str) -> str:
        return self._do("fneg", x)

    def fma(self, x: str, z: str, a: str) -> str:
        return self.b.intrinsic("fma", self.type, x, z, a)

    def abs(self, x: str) -> str:
        return self.b.intrinsic("fabs", self.type, x)

    def sqrt(self, x: str) -> str:
        return self.b.intrinsic("sqrt", self.type, x)

    def floor(self, x: str) -> str:
        return self.b.intrinsic("floor", self.type, x)

    def nearest(self, x: str) -> str:
        return self.b.intrinsic("rint", self.type, x)

    def copysign(self, x: str, sign: str) -> str:
        return self.b.intrinsic("copysign", self.type, x, sign)

    def lt(self, x: str, z: str) -> str:
        return self._do("fcmp olt", x, z)

    def gt(self, x: str, z: str) -> str:
        return self._do("fcmp ogt", x, z)

    def ge(self, x: str, z: str) -> str:
        return self._do("fcmp oge", x, z)

    def eq(self, x: str, z: str) -> str:
        return self._do("fcmp oeq", x, z)

    def not_at_least(self, x: str, z: str) -> str:
        """x < z, or either is NaN."""
        return self._do("fcmp ult", x, z)

    def sel(self, condition: str, yes: str, no: str) -> str:
        return self.b.do(f"select i1 {condition}, {self.type} {yes}, {self.type} {no}")

    def clamp(self, x: str, low: float, high: float) -> str:
        """x between two bounds; NaN stays NaN."""
        x = self.sel(self.lt(x, self.c(low)), self.c(low), x)
        return self.sel(self.gt(x, self.c(high)), self.c(high), x)

    def poly(self, x: str, coefficients: Sequence[float]) -> str:
        """``c0 + c1 x + c2 x^2 + ...`` by Horner's rule."""
        y = self.c(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            y = self.fma(y, x, self.c(c))
        return y

    def kernel(self, name: str, *x: str) -> str:
        """Another kernel of this type."""
        return self.b.call(f"cr_{name}_{self.type}", self.type, *((self.type, v) for v in x))

    def to_bits(self, x: str) -> str:
        return self.b.do(f"bitcast {self.type} {x} to {self.bits}")

    def from_bits(self, x: str) -> str:
        return self.b.do(f"bitcast {self.bits} {x} to {self.type}")

    def integer(self, n: str) -> str:
        """The integer of a float that is one, |n| < 2^22; defined, if useless, for NaN.

        Adding 1.5 * 2^mantissa leaves it in the low bits, where a conversion of NaN would be
        undefined.
        """
        magic = 1.5 * 2.0**self.mantissa
        offset = int(np.array(magic, self.dtype).view(f"i{self.dtype.itemsize}"))
        bits = self.to_bits(self.add(n, self.c(magic)))
        return self.b.do(f"sub {self.bits} {bits}, {offset}")

    def power_of_two(self, n: str) -> str:
        """2^n for a float n that is an integer within the exponents of normal numbers."""
        biased = self.b.do(f"add {self.bits} {self.integer(n)}, {self.bias}")
        return self.from_bits(self.b.do(f"shl {self.bits} {biased}, {self.mantissa}"))

    def frexp(self, x: str) -> tuple[str, str]:
        """``(k, m)`` with x = 2^k m and m in [sqrt(1/2), sqrt(2)), k as a float; x normal."""
        bits = self.to_bits(x)
        root = int(np.array(math.sqrt(0.5), self.dtype).view(f"i{self.dtype.itemsize}"))
        distance = self.b.do(f"sub {self.bits} {bits}, {root}")
        k = self.b.do(f"ashr {self.bits} {distance}, {self.mantissa}")
        shifted = self.b.do(f"shl {self.bits} {k}, {self.mantissa}")
        m = self.from_bits(self.b.do(f"sub {self.bits} {bits}, {shifted}"))
        return self.b.do(f"sitofp {self.bits} {k} to {self.type}"), m


def multiply_add(
    b: Builder, type: str, x: str, z: str, a: str, lanes: int = 1, name: str = ""
) -> str:
    """``x * z + a`` of one number or of a vector: one instruction, or two where the machine has
    none that rounds once."""
    name = name or b.name()
    short = "f32" if type == "float" else "f64"
    if lanes > 1:
        type, short = f"<{lanes} x {type}>", f"v{lanes}{short}"
    if has_fma():
        b.effect(f"{name} = call {type} @llvm.fma.{short}({type} {x}, {type} {z}, {type} {a})")
    else:
        b.effect(f"{name}.product = fmul {type} {x}, {z}")
        b.effect(f"{name} = fadd {type} {name}.product, {a}")
    return name


def select(b: Builder, condition: str, type: str, yes: str, no: str) -> str:
    return b.do(f"select i1 {condition}, {type} {yes}, {type} {no}")
