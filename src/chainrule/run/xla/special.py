"""Special functions where JAX's own have not the precision of SciPy's, or are wrong somewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.run.xla.backend import jnp, jsp


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
    return jnp.where(x < 0, below, jnp.log1p(-jsp.special.erfc(high) / 2))


def digamma(x: Any) -> Any:
    return jnp.where(x == 0, -1 / x, jsp.special.digamma(x))


def rgamma(x: Any) -> Any:
    pole = (x <= 0) & (x == jnp.floor(x))
    return jnp.where(pole, jnp.where(x == 0, x, 0), 1 / jsp.special.gamma(x))
