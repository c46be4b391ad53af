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
    return jnp.where(near, found, jnp.where(x == -jnp.inf, x, jsp.special.gammaln(x)))


def betaln(x: Any, z: Any) -> Any:
    return _beta(x, z)[1]


def beta(x: Any, z: Any) -> Any:
    sign, log = _beta(x, z)
    return sign * jnp.exp(log)


def _beta(x: Any, z: Any) -> tuple[Any, Any]:
    """The sign and log |B|. At whole numbers below 0 as SciPy, by reflection where that is finite;
    XLA's own has eight digits where one argument is large."""
    at_x, at_z = _pole(x), _pole(z)
    p, q = jnp.where(at_x, x, z), jnp.where(at_x, z, x)
    turned = (at_x ^ at_z) & (q == jnp.floor(q)) & (p + q < 1) & jnp.isfinite(p)
    poles = (at_x | at_z) & ~turned
    odd = (jnp.fmod(q, 2) != 0) & jnp.isfinite(p + q) & (turned | (at_x & at_z))
    a, b = jnp.where(turned, 1 - p - q, x), jnp.where(turned, q, z)
    a, b = jnp.maximum(a, b), jnp.minimum(a, b)
    sign = _gamma_sign(a) * _gamma_sign(b) * _gamma_sign(a + b)
    log = jnp.where(a + jnp.minimum(b, 0) >= 10, _log_beta(a, b),
                    gammaln(a) + gammaln(b) - gammaln(a + b))  # fmt: skip
    log = jnp.where(jnp.isinf(a) & jnp.isfinite(b), -jnp.sign(b) * jnp.inf, log)
    return jnp.where(poles | turned, jnp.where(odd, -1, 1), sign), jnp.where(poles, jnp.inf, log)


STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)


def _log_beta(a: Any, b: Any) -> Any:
    """log |B| for a large argument, in which Stirling's leading terms have been cancelled."""

    def rest(x: Any) -> Any:
        return jnp.polyval(np.array(STIRLING[::-1]), 1 / (x * x)) / x

    both = b >= 10
    large = jnp.where(both, b, 10)
    other = rest(large) - large * log1p(a / large) + jnp.log(2 * np.pi / large) / 2
    small = jnp.where(both, 1, b)
    one = gammaln(small) + small - small * jnp.log(a + small)
    return jnp.where(both, other, one) - (a - 0.5) * log1p(b / a) + rest(a) - rest(a + b)


def _gamma_sign(x: Any) -> Any:
    return jnp.where((x > 0) | (jnp.fmod(jnp.floor(x), 2) == 0), 1, -1)


def _pole(x: Any) -> Any:
    return (x <= 0) & (x == jnp.floor(x))


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
    return jnp.where(_pole(x), jnp.inf, jnp.where(below | (x > 0), found, jnp.nan))


def polygamma(x: Any, order: int) -> Any:
    return (-1) ** (order + 1) * float(math.factorial(order)) * zeta(x, order + 1)


def expi(x: Any) -> Any:
    return jnp.where(x == 0, -jnp.inf, jsp.special.expi(x))


def digamma(x: Any) -> Any:
    return jnp.where(x == 0, -1 / x, jsp.special.digamma(x))


def rgamma(x: Any) -> Any:
    return jnp.where(_pole(x), jnp.where(x == 0, x, 0), 1 / jsp.special.gamma(x))


def log_ratio(x: Any, z: Any) -> Any:
    ratio = x / z
    kept = (ratio >= np.finfo(x.dtype).tiny) & jnp.isfinite(ratio)
    apart = jnp.where(kept, jnp.log(ratio), jnp.log(x) - jnp.log(z))
    return jnp.where(jnp.abs(ratio - 1) < 0.5, log1p((x - z) / z), apart)


def rel_entr(x: Any, z: Any, rest: Any = 0.0, at_zero: Any = 0.0) -> Any:
    inside, unknown = (x > 0) & (z > 0), jnp.isnan(x) | jnp.isnan(z)
    found = x * log_ratio(jnp.where(inside, x, 1), jnp.where(inside, z, 1)) + rest
    outside = jnp.where((x == 0) & (z >= 0), at_zero, jnp.inf)
    return jnp.where(unknown, jnp.nan, jnp.where(inside, found, outside))


def kl_div(x: Any, z: Any) -> Any:
    return rel_entr(x, z, z - x, z)


def huber(delta: Any, r: Any) -> Any:
    size = jnp.abs(r)
    inside = jnp.where(size <= delta, r * r / 2, delta * (size - delta / 2))
    return jnp.where(delta < 0, jnp.inf, inside)


def pseudo_huber(delta: Any, r: Any) -> Any:
    ratio = r / jnp.where(delta == 0, 1, delta)
    found = delta * delta * jnp.expm1(log1p(ratio * ratio) / 2)
    return jnp.where(delta < 0, jnp.inf, jnp.where((delta == 0) | (r == 0), 0, found))
