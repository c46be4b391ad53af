"""Functions where JAX's own are less precise than NumPy's and SciPy's, or wrong somewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.run.xla.backend import jnp, jsp, lax

LOG_GAMMA = (
    0.3224670334241132, -0.0673523010531981, 0.020580808427784546, -0.007385551028673986,
    0.0028905103307415234, -0.001192753911703261, 0.0005096695247430425, -0.00022315475845357939,
    9.945751278180853e-05, -4.492623673813314e-05, 2.050721277567069e-05, -9.439488275268397e-06,
    4.374866789907488e-06, -2.039215753801366e-06, 9.55141213040742e-07, -4.492469198764566e-07,
    2.1207184805554665e-07, -1.0043224823968099e-07, 4.7698101693639804e-08,
    -2.2711094608943164e-08, 1.0838659214896955e-08, -5.183475041970047e-09,
    2.4836745438024785e-09, -1.1921401405860912e-09, 5.731367241678862e-10,
)  # fmt: skip
"""(-1)^k (zeta(k) - 1)/k for k = 2, 3, ...: of log Gamma(2 + t) beside (1 - Euler's constant) t."""


def log1p(x: Any) -> Any:
    """Near 0 by the series of 2 artanh(x/(2 + x)): XLA's own lacks six bits at -0.4."""
    near = jnp.abs(x) < 0.5
    s = jnp.where(near, x / (2 + x), 0)
    series = jnp.polyval((2 / np.arange(33, 0, -2)).astype(x.dtype), s * s) * s
    return jnp.where(near, series, jnp.log(1 + x))


def arctanh(x: Any) -> Any:
    size = jnp.abs(x)
    return jnp.copysign(log1p(2 * size / (1 - size)) / 2, x)


def sinh(x: Any) -> Any:
    """XLA's own adds log(1/2) to x, and what that rounds off is multiplied."""
    e = jnp.expm1(jnp.minimum(jnp.abs(x), _large(x)))
    return jnp.copysign(_halved(x, e + e / (e + 1)), x)


def cosh(x: Any) -> Any:
    e = jnp.exp(jnp.minimum(jnp.abs(x), _large(x)))
    return _halved(x, e + 1 / e)


def _large(x: Any) -> Any:
    return np.log(np.finfo(x.dtype).max).astype(x.dtype) - 1


def _halved(x: Any, twice: Any) -> Any:
    """Half of ``twice``, and where exp(x) may be too large exp(x)/2."""
    root = jnp.exp(jnp.abs(x) / 2)
    return jnp.where(jnp.abs(x) <= _large(x), twice / 2, root / 2 * root)


def erfi(x: Any) -> Any:
    found = 2 / np.sqrt(np.pi) * jnp.exp(x * x) * jsp.special.dawsn(x)
    return jnp.where(jnp.isinf(x), x, found)


def erfinv(x: Any) -> Any:
    """One step of Newton's, by what is left to 1 in the tails: XLA's own has 12 digits there."""
    y = jsp.special.erfinv(x)
    size = jnp.abs(y)
    over = jnp.where(
        jnp.abs(x) < 0.5,
        jsp.special.erf(size) - jnp.abs(x),
        1 - jnp.abs(x) - jsp.special.erfc(size),
    )
    mended = size - over * (np.sqrt(np.pi) / 2) * jnp.exp(size * size)
    return jnp.where(jnp.abs(x) < 1, jnp.copysign(mended, x), y)


def mills(x: Any) -> Any:
    """φ/Φ: far below 0 by erfcx, whose factor does not vanish."""
    scale = np.sqrt(2 * np.pi)
    above = jnp.exp(-x * x / 2) / scale / jsp.special.ndtr(jnp.maximum(x, 0))
    return jnp.where(x < 0, 2 / scale / erfcx(-jnp.minimum(x, 0) / 2**0.5), above)


def erfcx(x: Any) -> Any:
    """XLA's own is 0 where its erfc has ended and its series has not begun: from 26 on the series
    1 - 1/(2x²) + 3/(4x⁴) - ... of erfc(x) exp(x²) x √π."""
    large = jnp.maximum(x, 26)
    t, series = 0.5 / (large * large), 1.0
    for odd in (11, 9, 7, 5, 3, 1):
        series = 1 - odd * t * series
    return jnp.where(~(x >= 26), jsp.special.erfcx(x), series / large / np.sqrt(np.pi))


def log_ndtr(x: Any) -> Any:
    """By erfcx below 0, whose factor does not vanish; XLA's own has 10 digits and less."""
    low, high = jnp.minimum(x, 0) / 2**0.5, jnp.maximum(x, 0) / 2**0.5
    below = jnp.log(erfcx(-low) / 2) - low * low
    return jnp.where(x < 0, below, log1p(-jsp.special.erfc(high) / 2))


def gammaln(x: Any) -> Any:
    """By its series about 2 (Abramowitz and Stegun 6.1.33), and from there about 1: XLA's own has
    no digits at those zeros."""
    near = jnp.abs(x - 1.5) <= 1
    low = near & (x < 1.5)
    t = jnp.where(near, x - jnp.where(low, 1, 2), 0)
    found = jnp.polyval(np.array([*LOG_GAMMA[::-1], 0.42278433509846714, 0]), t)
    found = jnp.where(low, found - log1p(t), found)
    return jnp.where(near, found, jsp.special.gammaln(x))


def zeta(x: Any, order: float) -> Any:
    """Hurwitz's, XLA's own above 0; below it, for whole orders, terms are added up to there."""
    if order <= 1:
        return jnp.full_like(x, jnp.inf if order == 1 else jnp.nan)
    below = (x < 0) & (x != jnp.floor(x)) & (order == np.floor(order))

    def more(state: Any) -> Any:
        return below & (state[0] < 1)

    def step(state: Any) -> Any:
        q, total = state
        return jnp.where(more(state), q + 1, q), total + jnp.where(more(state), q**-order, 0)

    start = jnp.where(below | (x > 0), x, 1), jnp.zeros_like(x)
    q, total = lax.while_loop(lambda state: jnp.any(more(state)), step, start)
    far = jnp.maximum(q, 1e8)
    series = (1 / (order - 1) + 1 / (2 * far)) * far ** (1 - order)
    found = jnp.where(q > 1e8, series, jsp.special.zeta(order, jnp.minimum(q, 1e8))) + total
    pole = (x <= 0) & (x == jnp.floor(x))
    return jnp.where(pole, jnp.inf, jnp.where(below | (x > 0), found, jnp.nan))


def polygamma(x: Any, order: int) -> Any:
    return (-1) ** (order + 1) * float(math.factorial(order)) * zeta(x, order + 1)


def digamma(x: Any) -> Any:
    return jnp.where(x == 0, -1 / x, jsp.special.digamma(x))


def rgamma(x: Any) -> Any:
    pole = (x <= 0) & (x == jnp.floor(x))
    return jnp.where(pole, jnp.where(x == 0, x, 0), 1 / jsp.special.gamma(x))
