"""Entropies and robust losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.traced import Traced
from chainrule.ops.coerce import scalar_like
from chainrule.ops.elementwise import elementwise, zero_where
from chainrule.ops.samples import points
from chainrule.ops.special.registering import LOG_PAIRS, POSITIVE, special
from chainrule.ops.structure import select

POSITIVE_PAIRS = points((0.5, 2.0), (1.5, 0.25), (2.0, 2.5), kinks=((0.0, 3.0),))

xlogy = special(
    "xlogy", lambda y, x, z: np.log(z), lambda y, x, z: zero_where((x == 0) & (z == 0), x / z),
    complex_form=lambda x, z: x * np.log(z), samples=LOG_PAIRS, text="{} · log {}",
    latex=r"{} \log {}", teaches="x·log z is 0 where x is 0, and there z has no influence.",
)  # fmt: skip
xlog1py = special(
    "xlog1py", lambda y, x, z: np.log1p(z),
    lambda y, x, z: zero_where((x == 0) & (z == -1), x / (1 + z)),
    complex_form=lambda x, z: x * np.log1p(z), samples=LOG_PAIRS, text="{} · log(1 + {})",
    latex=r"{} \log\left(1 + {}\right)",
    teaches="x·log(1 + z) is 0 where x is 0, and there z has no influence.",
)  # fmt: skip
entr = special(
    "entr", lambda y, x: -np.log(x) - 1, complex_form=lambda x: -x * np.log(x), samples=POSITIVE,
    teaches="The slope of −x·log x is −log x − 1, infinite at 0.",
)  # fmt: skip


def _log_ratio_forward(x: Any, z: Any) -> Any:
    """log(x/z), also where the quotient over- or underflows or is near 1."""
    if np.iscomplexobj(x) or np.iscomplexobj(z):
        return np.log(x / z)
    with np.errstate(all="ignore"):
        ratio = x / z
        kept = (ratio >= np.finfo(ratio.dtype).tiny) & np.isfinite(ratio)
        apart = np.where(kept, np.log(ratio), np.log(x) - np.log(z))
        return np.where(np.abs(ratio - 1) < 0.5, np.log1p((x - z) / z), apart)


log_ratio = elementwise(
    "log_ratio", _log_ratio_forward, lambda y, x, z: 1 / x, lambda y, x, z: -1 / z,
    text="log({} / {})", latex=r"\log\frac{{{}}}{{{}}}",
    samples=points((0.5, 2.0), (1.5, 0.25), (2.0, 2.0)),
    teaches="The logarithm of a quotient moves with each part by one over that part.",
)  # fmt: skip


def _log_or_flat(x: Traced, z: Traced) -> Traced:
    """log(x/z), and −1 where x is 0: there x·log(x/z) − x counts as flat."""
    return select(x <= 0, scalar_like(x, -1), log_ratio(x, z))


def _gap(x: Traced, z: Traced) -> Traced:
    """1 − x/z, exact where x and z are near, and with an exact slope where they are not."""
    return select(np.abs(z - x) < 0.5 * z, (z - x) / z, 1 - x / z)


rel_entr = special(
    "rel_entr", lambda y, x, z: _log_or_flat(x, z) + 1, lambda y, x, z: zero_where(x <= 0, -x / z),
    complex_form=lambda x, z: x * np.log(x / z), samples=POSITIVE_PAIRS,
    text="{0} · log({0} / {1})", latex=r"{0} \log\frac{{{0}}}{{{1}}}",
    teaches="x·log(x/z) is 0 where x is 0, and its slope there is taken as 0.",
)  # fmt: skip
kl_div = special(
    "kl_div", lambda y, x, z: _log_or_flat(x, z),
    lambda y, x, z: select(x <= 0, scalar_like(x, 1), _gap(x, z)),
    complex_form=lambda x, z: x * np.log(x / z) - x + z, samples=POSITIVE_PAIRS,
    text="({0} · log({0} / {1}) − {0} + {1})",
    latex=r"\left({0} \log\frac{{{0}}}{{{1}}} - {0} + {1}\right)",
    teaches="The divergence x·log(x/z) − x + z is least, and flat, where x and z agree.",
)  # fmt: skip


def _beyond(delta: Traced, r: Traced) -> Traced:
    """√(δ² + r²) − δ without cancellation."""
    return r * (r / (np.hypot(delta, r) + delta))


huber = special(
    "huber",
    lambda y, delta, r: select(np.abs(r) <= delta, scalar_like(r, 0), np.abs(r) - delta),
    lambda y, delta, r: np.clip(r, -delta, delta),
    samples=points((1.0, 0.3), (1.0, -2.5), (0.5, 4.0)),
    complex_form=lambda d, r: np.where(
        np.abs(np.real(r)) <= np.real(d), r * r / 2, d * (np.sign(np.real(r)) * r - d / 2)
    ),
    teaches="Huber's loss is a parabola near 0 and a line of slope delta beyond.",
)  # fmt: skip
pseudo_huber = special(
    "pseudo_huber",
    lambda y, delta, r: _beyond(delta, r) * (_beyond(delta, r) / np.hypot(delta, r)),
    lambda y, delta, r: r * (delta / np.hypot(delta, r)),
    samples=points((1.0, 0.3), (1.0, -2.5), (0.5, 4.0)),
    complex_form=lambda d, r: d * (np.sqrt(d * d + r * r) - d),
    teaches="A smooth form of Huber's loss: its slope grows like r, and ends at delta.",
)  # fmt: skip
