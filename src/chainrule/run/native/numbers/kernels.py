"""Elementary functions as branch-free IR, which LLVM inlines and vectorises.

``exp``, ``log`` and their kin follow the methods of fdlibm (Sun Microsystems, 1993) and Muller,
"Elementary Functions" (2016): reduce the argument, evaluate a polynomial with fused
multiply-adds, put the exponent back. Bounds in units in the last place, over the whole range
with denormals, infinities and NaN, are in ``BOUNDS`` and tested against mpmath.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from chainrule.run.native.numbers import entropies, erf, trigonometric
from chainrule.run.native.numbers.arithmetic import Float
from chainrule.run.native.numbers.ir import Builder

_BOUNDED = ("exp", "expm1", "log", "log1p", "tanh", "logistic", "log_logistic", "sin", "cos",
            "erf", "logaddexp", "logit", "entr", "xlogy", "xlog1py", "logistic_slope",
            "tanh_slope", "hypot")  # fmt: skip
_OF_EXP = {"logistic_slope": 3.0, "tanh_slope": 3.0}  # a sum, a square and a quotient of exp
BOUNDS = {
    "float32": {**dict.fromkeys(_BOUNDED, 2.0), **_OF_EXP},
    "float64": dict.fromkeys(_BOUNDED, 4.0),
}
"""The largest error of each function in ulp."""


class Kernel(NamedTuple):
    """A function of one or two arguments, as instructions for float or double."""

    name: str
    body: Callable[..., str]
    arity: int = 1

    def symbol(self, type: str) -> str:
        return f"cr_{self.name}_{type}"

    def text(self, type: str) -> tuple[str, set[str]]:
        """The definition, and the symbols that it needs itself."""
        return self._definition(Float(type), self.symbol(type), "#1")

    def shared(self, type: str) -> tuple[str, set[str]]:
        """A definition that is not inlined: for code that no loop repeats, where a thousand
        copies would take LLVM seconds."""
        return self._definition(Float(type, looped=False), self.symbol(type) + SHARED, "noinline")

    def _definition(self, f: Float, symbol: str, attributes: str) -> tuple[str, set[str]]:
        arguments = [f"%x{i}" for i in range(self.arity)]
        result = self.body(f, *arguments)
        f.b.effect(f"ret {f.type} {result}")
        listed = ", ".join(f"{f.type} {a}" for a in arguments)
        head = f"define internal {f.type} @{symbol}({listed}) {attributes} {{"
        return f"{head}\n{f.b.text()}\n}}", f.b.needs


SHARED = "_shared"
KERNELS: dict[str, Kernel] = {}


def kernel(body: Callable[..., str]) -> Callable[..., str]:
    arity = body.__code__.co_argcount - 1
    KERNELS[body.__name__.rstrip("_")] = Kernel(body.__name__.rstrip("_"), body, arity)
    return body


# exponentials -----------------------------------------------------------------------------


def _reduced(f: Float, x: str) -> tuple[str, str]:
    """``x = n log 2 + r`` with ``|r| <= log(2)/2``: n as a float, and r."""
    high = f.split(math.log(2.0))
    n = f.nearest(f.mul(x, f.c(1 / math.log(2.0))))
    r = f.fma(n, f.c(-high), x)
    low = 2.319046813846299558e-17 if f.wide else math.log(2.0) - high
    return n, f.fma(n, f.c(-low), r)


def _tail(f: Float, r: str, first: int) -> str:
    """``sum r^k / (k + first)!``: the rest of the series of exp, to rounding."""
    last = 13 if f.wide else 8
    return f.poly(r, [1 / math.factorial(k) for k in range(first, last + 1)])


@kernel
def exp(f: Float, x: str) -> str:
    low, high = (-746.0, 710.0) if f.wide else (-104.5, 89.0)
    x = f.clamp(x, low, high)
    n, r = _reduced(f, x)
    p = f.add(f.c(1), f.fma(f.mul(r, r), _tail(f, r, 2), r))
    # 2^n in two factors, since n may lie outside the exponents of normal numbers.
    half = f.floor(f.mul(n, f.c(0.5)))
    return f.mul(f.mul(p, f.power_of_two(half)), f.power_of_two(f.sub(n, half)))


@kernel
def expm1(f: Float, x: str) -> str:
    low, high = (-60.0, 710.0) if f.wide else (-30.0, 89.0)
    clamped = f.clamp(x, low, high)
    n, r = _reduced(f, clamped)
    p = f.fma(f.mul(r, r), _tail(f, r, 2), r)
    scale = f.power_of_two(f.sub(n, f.c(1)))  # half of 2^n, which itself may overflow
    half = f.fma(scale, p, f.sub(scale, f.c(0.5)))
    return f.sel(f.eq(x, f.c(0)), x, f.add(half, half))


# logarithms -------------------------------------------------------------------------------


def _log_series(f: Float, m: str) -> tuple[str, str]:
    """``(m^2/2, s (m^2/2 + R))``: log(1 + m) = m - (first - second), for 1 + m near 1."""
    s = f.div(m, f.add(f.c(2), m))
    z = f.mul(s, s)
    if f.wide:  # fdlibm's Lg1 ... Lg7
        coefficients = [6.666666666666735130e-01, 3.999999999940941908e-01,
                        2.857142874366239149e-01, 2.222219843214978396e-01,
                        1.818357216161805012e-01, 1.531383769920937332e-01,
                        1.479819860511658591e-01]  # fmt: skip
    else:
        coefficients = [0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841]
    r = f.mul(z, f.poly(z, coefficients))
    half = f.mul(f.mul(f.c(0.5), m), m)
    return half, f.mul(s, f.add(half, r))


def _log_parts(f: Float, m: str, k: str, correction: str | None = None) -> str:
    """``k log 2 + log(1 + m)``, with what is missing in m added to the low part."""
    low = 1.90821492927058770002e-10 if f.wide else 9.0580006145e-06
    high = 6.93147180369123816490e-01 if f.wide else 6.9313812256e-01
    half, series = _log_series(f, m)
    small = f.fma(k, f.c(low), series)
    if correction is not None:
        small = f.add(small, correction)
    return f.fma(k, f.c(high), f.sub(m, f.sub(half, small)))


@kernel
def log(f: Float, x: str) -> str:
    scale = 2.0**54 if f.wide else 2.0**25
    tiny = f.lt(x, f.c(f.smallest))
    scaled = f.sel(tiny, f.mul(x, f.c(scale)), x)
    k, mantissa = f.frexp(scaled)
    k = f.sub(k, f.sel(tiny, f.c(math.log2(scale)), f.c(0)))
    y = _log_parts(f, f.sub(mantissa, f.c(1)), k)
    y = f.sel(f.eq(x, f.c(math.inf)), x, y)
    y = f.sel(f.eq(x, f.c(0)), f.c(-math.inf), y)
    return f.sel(f.not_at_least(x, f.c(0)), f.c(math.nan), y)


@kernel
def log1p(f: Float, x: str) -> str:
    u = f.add(f.c(1), x)
    k, mantissa = f.frexp(u)
    # What rounding 1 + x lost, relative to u; where u is near 1, x itself is exact.
    lost = f.sel(f.gt(k, f.c(0)), f.sub(f.c(1), f.sub(u, x)), f.sub(x, f.sub(u, f.c(1))))
    near = f.eq(k, f.c(0))
    m = f.sel(near, x, f.sub(mantissa, f.c(1)))
    correction = f.sel(near, f.c(0), f.div(lost, u))
    y = _log_parts(f, m, k, correction)
    y = f.sel(f.eq(x, f.c(math.inf)), x, y)
    y = f.sel(f.eq(x, f.c(-1)), f.c(-math.inf), y)
    y = f.sel(f.eq(x, f.c(0)), x, y)  # keeps -0
    return f.sel(f.not_at_least(x, f.c(-1)), f.c(math.nan), y)


# sigmoids ---------------------------------------------------------------------------------


@kernel
def tanh(f: Float, x: str) -> str:
    size = f.abs(x)
    t = f.kernel("expm1", f.clamp(f.add(size, size), 0.0, 44.0 if f.wide else 20.0))
    large = f.gt(size, f.c(0.55))
    q = f.div(f.sel(large, f.c(2), t), f.add(t, f.c(2)))
    return f.copysign(f.sel(large, f.sub(f.c(1), q), q), x)


@kernel
def logistic(f: Float, x: str) -> str:
    e = f.kernel("exp", f.neg(f.abs(x)))
    top = f.sel(f.ge(x, f.c(0)), f.c(1), e)
    return f.div(top, f.add(f.c(1), e))


def _bell(f: Float, size: str) -> str:
    """e/(1 + e)² for e = exp(-size)."""
    e = f.kernel("exp", f.neg(size))
    whole = f.add(f.c(1), e)
    return f.div(e, f.mul(whole, whole))


@kernel
def logistic_slope(f: Float, y: str, x: str) -> str:
    return _bell(f, f.abs(x))


@kernel
def tanh_slope(f: Float, y: str, x: str) -> str:
    size = f.abs(x)
    return f.mul(f.c(4), _bell(f, f.add(size, size)))


@kernel
def log_logistic(f: Float, x: str) -> str:
    rest = f.kernel("log1p", f.kernel("exp", f.neg(f.abs(x))))
    return f.sel(f.lt(x, f.c(0)), f.sub(x, rest), f.neg(rest))


@kernel
def logaddexp(f: Float, x: str, z: str) -> str:
    first = f.gt(x, z)
    top = f.sel(first, x, z)
    gap = f.sel(first, f.sub(z, x), f.sub(x, z))
    y = f.add(top, f.kernel("log1p", f.kernel("exp", gap)))
    return f.sel(f.eq(x, z), f.add(x, f.c(math.log(2.0))), y)


@kernel
def hypot(f: Float, x: str, z: str) -> str:
    """Powers of two keep the squares in range."""
    a, b = f.abs(x), f.abs(z)
    big = f.sel(f.gt(a, b), a, b)
    far, by = (480, 2.0**600) if f.wide else (48, 2.0**100)
    huge, tiny = f.gt(big, f.c(2.0**far)), f.lt(big, f.c(2.0**-far))
    to = f.sel(huge, f.c(1 / by), f.sel(tiny, f.c(by), f.c(1)))
    back = f.sel(huge, f.c(by), f.sel(tiny, f.c(1 / by), f.c(1)))
    a, b = f.mul(a, to), f.mul(b, to)
    y = f.mul(f.sqrt(f.fma(a, a, f.mul(b, b))), back)
    infinite = f.b.do(f"or i1 {f.eq(a, f.c(math.inf))}, {f.eq(b, f.c(math.inf))}")
    return f.sel(infinite, f.c(math.inf), y)


for _body in (erf.erf, *entropies.BODIES):
    kernel(_body)
for _name, _body in trigonometric.BODIES.items():
    KERNELS[_name] = Kernel(_name, _body)


def call(b: Builder, name: str, type: str, *x: str) -> str:
    """A call of a kernel: inlined in loops, shared where little is repeated."""
    symbol = KERNELS[name].symbol(type) + ("" if b.loops and not b.cold else SHARED)
    return b.call(symbol, type, *((type, value) for value in x))
