"""Sine and cosine: reduction modulo pi/2, then a polynomial.

Up to ``LARGE`` a multiple of pi/2 in three parts is subtracted (Cody and Waite). Beyond, the
argument's significand, an integer, is multiplied by those bits of 2/pi that matter for its
exponent (Payne and Hanek, 1983; Muller, "Elementary Functions", 2016, chapter 11). That is
integer arithmetic, one number at a time, in a function of its own: ``value`` for most numbers.
Loops become vectors all the same, for the call has a form for vectors, which asks once whether
any number is large, and which ``machine.optimised`` inlines when loops are vectors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import pairwise

from chainrule.run.native.numbers.arithmetic import Float
from chainrule.run.native.numbers.ir import Builder
from chainrule.run.native.runtime.machine import vector_bytes

HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
"""pi/2 in parts; n times each is subtracted by fma, so that only the last rounding counts."""
LARGE = 2.0**40
"""Up to here the nearest n is found but for 2^-13, n times the first part is subtracted without
rounding, and what the third part lacks does not count."""
FAR = "cr_far"
FAR_OF_VECTOR = "cr_far_of_vector"
TABLE = "cr_two_over_pi"
PLACES = 1024 - 53 + 190
"""How many bits of 2/pi the table has: so many that the largest number finds its own, and of
x 2/pi 190 bits after the point. Some 53 of these are wrong, but no float64 is nearer to a
multiple of pi/2 than 2^-61 of it."""


def _sine_series(f: Float, r: str, z: str) -> str:
    s = [
        -1.66666666666666324348e-01,
        8.33333333332248946124e-03,
        -1.98412698298579493134e-04,
        2.75573137070700676789e-06,
        -2.50507602534068634195e-08,
        1.58969099521155010221e-10,
    ]
    return f.fma(f.mul(f.mul(z, r), f.poly(z, s)), f.c(1), r)


def _cosine_series(f: Float, z: str) -> str:
    c = [
        4.16666666666666019037e-02,
        -1.38888888888741095749e-03,
        2.48015872894767294178e-05,
        -2.75573143513906633035e-07,
        2.08757232129817482790e-09,
        -1.13596475577881948265e-11,
    ]
    half = f.mul(f.c(0.5), z)
    w = f.sub(f.c(1), half)
    rest = f.sub(f.sub(f.c(1), w), half)  # what 1 - z/2 lost
    return f.add(w, f.fma(f.mul(z, z), f.poly(z, c), rest))


def _circular(cosine: bool) -> Callable[[Float, str], str]:
    """Sine or cosine. In float32 computed in double, where it is good to the last bit."""

    def body(f: Float, x: str) -> str:
        if f.wide:
            return _of_double(f, x)
        wide = Float("double", f.looped)
        wide.b = f.b
        result = _of_double(wide, f.b.do(f"fpext float {x} to double"))
        return f.b.do(f"fptrunc double {result} to float")

    def _of_double(f: Float, x: str) -> str:
        n = f.nearest(f.mul(x, f.c(2 / math.pi)))
        r = x
        for part in HALF_PI:
            r = f.fma(n, f.c(-part), r)
        turns = f.b.do(f"add i64 {f.integer(n)}, {int(cosine)}")
        value = _by_quadrant(f, turns, r)
        if not cosine:
            value = f.sel(f.eq(x, f.c(0)), x, value)  # keeps -0
        return _unless_far(f, x, value, cosine)

    return body


def _by_quadrant(f: Float, turns: str, r: str) -> str:
    """sin(r + turns pi/2), for r up to about pi/4."""
    z = f.mul(r, r)
    odd = f.b.do(f"trunc i64 {turns} to i1")
    value = f.sel(odd, _cosine_series(f, z), _sine_series(f, r, z))
    bit = f.b.do(f"and i64 {turns}, 2")
    sign = f.b.do(f"shl i64 {bit}, 62")
    return f.from_bits(f.b.do(f"xor i64 {f.to_bits(value)}, {sign}"))


# large arguments --------------------------------------------------------------------------


def _unless_far(f: Float, x: str, value: str, cosine: bool) -> str:
    """The value, or that of the exact reduction where x is large."""
    call = f"call double @{FAR}(double {x}, double {value}, i1 {str(cosine).lower()})"
    f.b.needs.add(FAR)
    if not f.looped:
        return f.b.do(call)
    f.b.needs.add(FAR_OF_VECTOR)
    variant = f"_ZGV_LLVM_N{vector_bytes() // 8}vvu_{FAR}({FAR_OF_VECTOR})"
    return f.b.do(f'{call} "vector-function-abi-variant"="{variant}"')


def _far() -> str:
    """Of x, the value given for it, and whether cosine is meant: the value, unless x is large.

    LLVM does not optimise it (``optnone``): it would spend more time on it than on most loops.
    """
    f = Float("double", looped=False)
    b, x, size = f.b, "%x", f.abs("%x")
    finite = f.lt(size, f.c(math.inf))
    large = b.do(f"and i1 {f.gt(size, f.c(LARGE))}, {finite}")
    b.effect(f"br i1 {large}, label %far, label %near")
    b.label("near")
    b.effect("ret double %value")
    b.label("far")
    bits = f.to_bits(size)
    field = b.do(f"and i64 {bits}, {2**52 - 1}")
    significand = b.do(f"or i64 {field}, {2**52}")
    exponent = b.do(f"sub i64 {b.do(f'lshr i64 {bits}, 52')}, {1023 + 52}")
    # 2^exponent 2/pi modulo 4 in 192 bits, two of them before the point; of the product with
    # the significand, modulo 4 too, the upper 128.
    skipped = b.do(f"sub i64 {PLACES - 190}, {exponent}")
    low, middle, high = _words(b, skipped)
    low = b.do(f"lshr i128 {_wide_product(b, significand, low)}, 64")
    middle = _wide_product(b, significand, middle)
    high = b.do(f"shl i128 {_wide_product(b, significand, high)}, 64")
    turned = b.do(f"add i128 {b.do(f'add i128 {low}, {middle}')}, {high}")
    # n is the nearest integer, what is left of it a fraction with a sign.
    left = b.do(f"shl i128 {turned}, 2")
    below = b.do(f"ashr i128 {left}, 127")
    floor = b.do(f"trunc i128 {b.do(f'lshr i128 {turned}, 126')} to i64")
    n = b.do(f"sub i64 {floor}, {b.do(f'trunc i128 {below} to i64')}")
    left = b.do(f"xor i128 {left}, {below}")
    upper = b.do(f"trunc i128 {b.do(f'lshr i128 {left}, 64')} to i64")
    upper = b.do(f"uitofp i64 {upper} to double")
    lower = b.do(f"uitofp i64 {b.do(f'trunc i128 {left} to i64')} to double")
    fraction = f.fma(lower, f.c(2.0**-64), upper)
    r = f.mul(fraction, f.c(math.pi / 2 * 2.0**-64))
    r = f.sel(b.do(f"icmp eq i128 {below}, 0"), r, f.neg(r))
    turns = b.do(f"add i64 {n}, {b.do('zext i1 %cosine to i64')}")
    y = _by_quadrant(f, turns, r)
    odd = f.mul(y, f.copysign(f.c(1), x))
    b.effect(f"ret double {f.sel('%cosine', y, odd)}")
    return f"""define internal double @{FAR}(double %x, double %value, i1 %cosine)
    noinline optnone nounwind willreturn memory(none) {{
{b.text()}
}}"""


def _words(b: Builder, skipped: str) -> list[str]:
    """192 bits of the table after so many low ones, in three words from the lowest."""
    first = b.do(f"lshr i64 {skipped}, 6")
    shift = b.do(f"and i64 {skipped}, 63")
    place = b.do(f"getelementptr i64, ptr @{TABLE}, i64 {first}")
    loaded = []
    for k in range(4):
        at = b.do(f"getelementptr i64, ptr {place}, i64 {k}")
        loaded.append(b.do(f"load i64, ptr {at}, align 8"))
    return [b.intrinsic("fshr", "i64", z, x, shift) for x, z in pairwise(loaded)]


def _wide_product(b: Builder, x: str, z: str) -> str:
    return b.do(f"mul i128 {b.do(f'zext i64 {x} to i128')}, {b.do(f'zext i64 {z} to i128')}")


def _far_of_vector() -> str:
    """The same of as many numbers as a vector holds. It is not internal, for nothing calls it
    before loops are vectors, and it would be dropped."""
    width = vector_bytes() // 8
    type = f"<{width} x double>"
    return f"""define hidden {type} @{FAR_OF_VECTOR}({type} %x, {type} %value, i1 %cosine)
    alwaysinline nounwind willreturn memory(none) {{
entry:
  %size = call {type} @llvm.fabs.v{width}f64({type} %x)
  %large = fcmp ogt {type} %size, splat (double {Float("double").c(LARGE)})
  %some = call i1 @llvm.vector.reduce.or.v{width}i1(<{width} x i1> %large)
  br i1 %some, label %lane, label %done
lane:
  %i = phi i64 [ 0, %entry ], [ %next, %lane ]
  %y = phi {type} [ %value, %entry ], [ %changed, %lane ]
  %one = extractelement {type} %x, i64 %i
  %old = extractelement {type} %value, i64 %i
  %new = call double @{FAR}(double %one, double %old, i1 %cosine)
  %changed = insertelement {type} %y, double %new, i64 %i
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {width}
  br i1 %more, label %lane, label %done, !llvm.loop !2
done:
  %result = phi {type} [ %value, %entry ], [ %changed, %lane ]
  ret {type} %result
}}"""


@functools.cache
def _table() -> str:
    """``PLACES`` bits of 2/pi in words from the lowest, then zeros as far as code may read."""
    places = (2 << (2 * PLACES + 64)) // _pi(PLACES + 64)
    words = [f"i64 {places >> 64 * i & 2**64 - 1}" for i in range(PLACES // 64 + 4)]
    return f"@{TABLE} = internal constant [{len(words)} x i64] [{', '.join(words)}]"


def _pi(bits: int) -> int:
    """``2^bits pi``, some ten units less or more, by Machin's formula."""

    def inverse_tangent(n: int) -> int:
        power, k, total = (1 << bits) // n, 1, 0
        while power:
            total += power // k if k % 4 == 1 else -(power // k)
            power //= n * n
            k += 2
        return total

    return 4 * (4 * inverse_tangent(5) - inverse_tangent(239))


BODIES = {"sin": _circular(cosine=False), "cos": _circular(cosine=True)}
HELPERS = {FAR: (_far, {TABLE}), FAR_OF_VECTOR: (_far_of_vector, {FAR}), TABLE: (_table, set())}
"""What these call beside kernels: how it is written, and what it needs."""
