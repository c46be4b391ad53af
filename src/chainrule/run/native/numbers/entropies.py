"""What entropies and losses are made of, from other kernels, with SciPy's values at the edges."""

from __future__ import annotations

import math

from chainrule.run.native.numbers.arithmetic import Float


def xlogy(f: Float, x: str, z: str) -> str:
    """x log z, and 0 where x is 0, unless z is NaN."""
    return _zero_wins(f, x, z, f.kernel("log", z))


def xlog1py(f: Float, x: str, z: str) -> str:
    """x log(1 + z), and 0 where x is 0, unless z is NaN."""
    return _zero_wins(f, x, z, f.kernel("log1p", z))


def _zero_wins(f: Float, x: str, z: str, log: str) -> str:
    known = f.eq(z, z)
    return f.sel(f.eq(x, f.c(0)), f.sel(known, f.c(0), z), f.mul(x, log))


def entr(f: Float, x: str) -> str:
    """-x log x; 0 at 0 and minus infinity below."""
    y = f.neg(f.mul(x, f.kernel("log", x)))
    y = f.sel(f.eq(x, f.c(0)), f.c(0), y)
    return f.sel(f.lt(x, f.c(0)), f.c(-math.inf), y)


def logit(f: Float, x: str) -> str:
    """log(x / (1 - x)); near 1/2, where that cancels, log(1 + s) - log(1 - s) for s = 2x - 1."""
    ratio = f.kernel("log", f.div(x, f.sub(f.c(1), x)))
    s = f.fma(f.c(2), x, f.c(-1))
    middle = f.sub(f.kernel("log1p", s), f.kernel("log1p", f.neg(s)))
    outside = f.sel(f.lt(x, f.c(0.3)), ratio, middle)
    return f.sel(f.gt(x, f.c(0.65)), ratio, outside)


BODIES = (xlogy, xlog1py, entr, logit)
