"""First and second derivatives of special functions, in forms that mpmath computes exactly.

Where a form cancels, the working precision covers it: exponents of doubles span 10^±308.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

Form = Callable[..., Any]
COUNT = int(os.environ.get("CHAINRULE_SPECIAL_POINTS", "8"))
BOUND = 8.0
"""Each of a rule's steps rounds once; none has more than eight between x and its slope."""


def normal_slope(x: Any) -> Any:
    """That of erf."""
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def phi(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def mills(x: Any) -> Any:
    """The normal density over its distribution function, by Laplace's fraction far below 0."""
    if x > -50:
        return phi(x) / mp.ncdf(x)
    fraction = -x
    for n in range(60, 0, -1):
        fraction = -x + n / fraction
    return fraction


def bell(x: Any) -> Any:
    return 1 / (mp.exp(x / 2) + mp.exp(-x / 2)) ** 2


def erfcx(x: Any) -> Any:
    if x < 50:
        return mp.exp(x * x) * mp.erfc(x)
    return mp.sqrt(2 / mp.pi) / mills(-x * mp.sqrt(2))


def erfcx_slope(x: Any) -> Any:
    return 2 * x * erfcx(x) - 2 / mp.sqrt(mp.pi)


# name: domain, slope, bend
ONE: dict[str, tuple[tuple[float, float], Form, Form]] = {
    "expit": ((-800, 800), bell, lambda x: -bell(x) * mp.tanh(x / 2)),
    "tanh": ((-400, 400), lambda x: 4 * bell(2 * x), lambda x: -8 * bell(2 * x) * mp.tanh(x)),
    "log_expit": ((-1e300, 800), lambda x: 1 / (1 + mp.exp(x)), lambda x: -bell(x)),
    "logit": ((0, 1), lambda x: 1 / (x * (1 - x)), lambda x: (2 * x - 1) / (x * (1 - x)) ** 2),
    "erf": ((-27, 27), normal_slope, lambda x: -2 * x * normal_slope(x)),
    "erfc": ((-27, 27), lambda x: -normal_slope(x), lambda x: 2 * x * normal_slope(x)),
    "erfi": ((-26, 26), lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(x * x),
             lambda x: 4 / mp.sqrt(mp.pi) * x * mp.exp(x * x)),
    "erfcx": ((-26, 1e100), erfcx_slope, lambda x: 2 * erfcx(x) + 2 * x * erfcx_slope(x)),
    "ndtr": ((-38, 38), phi, lambda x: -x * phi(x)),
    "log_ndtr": ((-1e150, 37), mills, lambda x: -mills(x) * (x + mills(x))),
    "entr": ((0, 1e300), lambda x: -mp.log(x) - 1, lambda x: -1 / x),
    "exp10": ((-320, 308), lambda x: mp.log(10) * mp.mpf(10) ** x,
              lambda x: mp.log(10) ** 2 * mp.mpf(10) ** x),
    "log1p": ((-1, 1e150), lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    "expm1": ((-700, 700), mp.exp, mp.exp),
    "arctanh": ((-1, 1), lambda x: 1 / ((1 - x) * (1 + x)),
                lambda x: 2 * x / ((1 - x) * (1 + x)) ** 2),
    "arcsinh": ((-1e100, 1e100), lambda x: 1 / mp.sqrt(1 + x * x),
                lambda x: -x / mp.sqrt(1 + x * x) ** 3),
    "arcsin": ((-1, 1), lambda x: 1 / mp.sqrt((1 - x) * (1 + x)),
               lambda x: x / mp.sqrt((1 - x) * (1 + x)) ** 3),
    "gammaln": ((1e-150, 1e300), mp.digamma, lambda x: mp.zeta(2, x) if x < 1e9 else 1 / x),
    "digamma": ((1e-100, 1e9), lambda x: mp.zeta(2, x), lambda x: -2 * mp.zeta(3, x)),
    "gamma": ((1e-100, 170), lambda x: mp.gamma(x) * mp.digamma(x),
              lambda x: mp.gamma(x) * (mp.digamma(x) ** 2 + mp.zeta(2, x))),
    "expi": ((-700, 700), lambda x: mp.exp(x) / x, lambda x: mp.exp(x) * (x - 1) / x**2),
    "exp1": ((1e-150, 700), lambda x: -mp.exp(-x) / x, lambda x: mp.exp(-x) * (x + 1) / x**2),
}  # fmt: skip


# name: domains, then d/dx, d/dz, d²/dx², d²/dxdz, d²/dz²
TWO: dict[str, tuple[tuple[tuple[float, float], tuple[float, float]], tuple[Form, ...]]] = {
    "rel_entr": (((0, 1e308), (0, 1e308)), (
        lambda x, z: mp.log(x / z) + 1, lambda x, z: -x / z, lambda x, z: 1 / x,
        lambda x, z: -1 / z, lambda x, z: x / z**2)),
    "kl_div": (((0, 1e308), (0, 1e308)), (
        lambda x, z: mp.log(x / z), lambda x, z: 1 - x / z, lambda x, z: 1 / x,
        lambda x, z: -1 / z, lambda x, z: x / z**2)),
    "xlogy": (((-1e300, 1e300), (0, 1e300)), (
        lambda x, z: mp.log(z), lambda x, z: x / z, lambda x, z: mp.mpf(0),
        lambda x, z: 1 / z, lambda x, z: -x / z**2)),
    "xlog1py": (((-1e300, 1e300), (-1, 1e300)), (
        lambda x, z: mp.log1p(z), lambda x, z: x / (1 + z), lambda x, z: mp.mpf(0),
        lambda x, z: 1 / (1 + z), lambda x, z: -x / (1 + z) ** 2)),
    "pseudo_huber": (((1e-100, 1e100), (-1e100, 1e100)), (
        lambda d, r: (mp.hypot(d, r) - d) ** 2 / mp.hypot(d, r),
        lambda d, r: r * d / mp.hypot(d, r),
        lambda d, r: 3 * d / mp.hypot(d, r) - d**3 / mp.hypot(d, r) ** 3 - 2,
        lambda d, r: r**3 / mp.hypot(d, r) ** 3,
        lambda d, r: d**3 / mp.hypot(d, r) ** 3)),
    "logaddexp": (((-700, 700), (-700, 700)), (
        lambda x, z: 1 / (1 + mp.exp(z - x)), lambda x, z: 1 / (1 + mp.exp(x - z)),
        lambda x, z: bell(x - z), lambda x, z: -bell(x - z), lambda x, z: bell(x - z))),
    "betaln": (((1e-100, 1e8), (1e-100, 1e8)), (
        lambda x, z: mp.digamma(x) - mp.digamma(x + z),
        lambda x, z: mp.digamma(z) - mp.digamma(x + z),
        lambda x, z: mp.zeta(2, x) - mp.zeta(2, x + z), lambda x, z: -mp.zeta(2, x + z),
        lambda x, z: mp.zeta(2, z) - mp.zeta(2, x + z))),
}  # fmt: skip


def points(low: float, high: float, dtype: Any, seed: int) -> np.ndarray:
    """Half of them by bit pattern, half near 0, where functions bend."""
    rng, info = np.random.default_rng(seed), np.finfo(dtype)
    bits = rng.integers(0, 2 ** (8 * info.dtype.itemsize), 400 * COUNT, f"u{info.dtype.itemsize}")
    some = bits.view(dtype)
    some = some[np.isfinite(some) & (np.abs(some) > info.tiny) & (some > low) & (some < high)]
    near = rng.uniform(max(low, -50), min(high, 50), COUNT).astype(dtype)
    near = near[(near > low) & (near < high)]
    return np.concatenate([some[: COUNT // 2], near])[:COUNT]


def judge(
    name: str,
    got: np.ndarray,
    exact: Form,
    *arguments: np.ndarray,
    bound: float = BOUND,
    digits: float = 6,
) -> None:
    """Every number within ``bound`` units of error, or ``exact`` beyond the range. ``digits`` are
    those of working precision for each power of ten of an argument."""
    info = np.finfo(got.dtype)
    unit, top, least = mp.mpf(float(info.eps)), float(info.max), float(info.tiny) * 1e4
    for found, *xs in zip(got, *arguments, strict=True):
        values = [mp.mpf(float(x)) for x in xs]
        reach = max(abs(mp.log10(abs(v))) for v in values)
        with mp.workdps(int(60 + digits * min(reach, 320))):
            wanted = exact(*values)
            if abs(wanted) > top / 4:
                continue
            moved = [
                exact(*values[:i], v * (1 + unit), *values[i + 1 :]) for i, v in enumerate(values)
            ]
            allowed = bound * (unit * abs(wanted) + max(abs(m - wanted) for m in moved))
            assert np.isfinite(found), f"{name}{xs} = {found}, not {mp.nstr(wanted, 17)}"
            off = abs(mp.mpf(float(found)) - wanted)
            assert off <= allowed + least, f"{name}{xs} = {found!r}, not {mp.nstr(wanted, 17)}"
