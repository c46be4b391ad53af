"""Special functions as instructions: calls of SciPy's scalar functions, and sinc."""

from __future__ import annotations

import math

import numpy as np

from chainrule.run.native.numbers import kernels
from chainrule.run.native.numbers.arithmetic import Float
from chainrule.run.native.numbers.ir import Builder
from chainrule.run.native.runtime import externals


def of_scipy(b: Builder, name: str, type: str, *x: str) -> str:
    """SciPy's function for this type or, as SciPy does where it has none, that for double."""
    own = externals.special(name, type) is not None
    used = type if own else "double"
    if used != type:
        x = tuple(b.do(f"fpext float {value} to double") for value in x)
    symbol = externals.special_symbol(name, used)
    y = b.call(symbol, used, *((used, value) for value in x), ("i32", "0"))
    return y if used == type else b.do(f"fptrunc double {y} to float")


def sinc(b: Builder, type: str, x: str, order: int) -> str:
    """The order-th derivative of sin(pi x)/(pi x), by the formulas of the interpreter."""
    f = Float(type)
    f.b = b
    if not order:
        u = f.mul(f.c(math.pi), x)
        u = f.sel(f.eq(u, f.c(0)), f.c(float(np.finfo(f.dtype).eps)), u)
        return f.div(kernels.call(b, "sin", type, u), u)
    if not f.wide:
        y = sinc(b, "double", b.do(f"fpext float {x} to double"), order)
        return b.do(f"fptrunc double {y} to float")
    u = f.mul(f.c(math.pi), x)
    near = f.lt(f.abs(u), f.c(0.5 + order))
    far = f.sel(near, f.c(1), u)
    value = f.div(kernels.call(b, "sin", type, far), far)
    for n in range(1, order + 1):
        turned = kernels.call(b, "sin", type, f.add(far, f.c(n * math.pi / 2)))
        value = f.div(f.fma(f.c(-n), value, turned), far)
    z = f.mul(u, u)
    series = f.poly(z, _sinc_series(order))
    if order % 2:
        series = f.mul(series, u)
    return f.mul(f.sel(near, series, value), f.c(math.pi**order))


def _sinc_series(order: int) -> list[float]:
    """Coefficients of u^k, k even or odd as the order is, in the order-th derivative of
    sin(u)/u."""
    return [
        (-1) ** ((k + order) // 2) / (math.factorial(k) * (k + order + 1))
        for k in range(order % 2, 40 + 4 * order, 2)
    ]
