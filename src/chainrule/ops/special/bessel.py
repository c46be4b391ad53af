"""Bessel functions of any real order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.dispatch import SCIPY_UFUNCS
from chainrule.ops.coerce import in_scipys_loop
from chainrule.ops.samples import both, case, points
from chainrule.ops.special.families import ive
from chainrule.ops.special.registering import SMALL, of_order, of_scipy, special

_POSITIVE = points(0.3, 1.0, 2.5)


def _neighbours(name: str, before: float, after: float) -> Callable[[Any, Any], Any]:
    """A function whose slope is ``before`` times that of order − 1 plus ``after`` times that of
    order + 1 (Abramowitz and Stegun 9.1.27 and 9.6.26)."""
    letter = name[0].upper()
    function = of_order(
        name, of_scipy(name),
        lambda y, x, order: before * function(order - 1, x) + after * function(order + 1, x),
        scipy_name=name, text=f"{letter}_{{order}}({{}})",
        latex=rf"{letter}_{{{{{{order}}}}}}\left({{}}\right)",
        teaches="A Bessel function's slope is half the sum or difference of its neighbours.",
        samples=both(lambda: [case([0.5, 1.0, 4.0], order=n) for n in (2, 0.5)]),
    )  # fmt: skip
    return function


jv = _neighbours("jv", 0.5, -0.5)
yv = _neighbours("yv", 0.5, -0.5)
iv = _neighbours("iv", 0.5, 0.5)
kv = _neighbours("kv", -0.5, -0.5)


j0 = special(
    "j0", lambda y, x: -j1(x), samples=SMALL, teaches="The slope of J₀ is −J₁.",
)  # fmt: skip
j1 = special(
    "j1", lambda y, x: 0.5 * (j0(x) - jv(2, x)), samples=SMALL,
    teaches="The slope of J₁ is (J₀ − J₂)/2.",
)  # fmt: skip
y0 = special(
    "y0", lambda y, x: -y1(x), samples=_POSITIVE, teaches="The slope of Y₀ is −Y₁.",
)  # fmt: skip
y1 = special(
    "y1", lambda y, x: 0.5 * (y0(x) - yv(2, x)), samples=_POSITIVE,
    teaches="The slope of Y₁ is (Y₀ − Y₂)/2.",
)  # fmt: skip
i0 = special(
    "i0", lambda y, x: i1(x), samples=SMALL, teaches="The slope of I₀ is I₁.",
)  # fmt: skip
i1 = special(
    "i1", lambda y, x: 0.5 * (i0(x) + iv(2, x)), samples=SMALL,
    teaches="The slope of I₁ is (I₀ + I₂)/2.",
)  # fmt: skip
i0e = special(
    "i0e", lambda y, x: ive(0, 1, x), samples=_POSITIVE,
    teaches="exp(−|x|)·I₀ falls by itself and rises by that of I₁.",
)  # fmt: skip
i1e = special(
    "i1e", lambda y, x: ive(1, 1, x), samples=_POSITIVE,
    teaches="exp(−|x|)·I₁ falls by itself and rises by what I₁ does.",
)  # fmt: skip
SCIPY_UFUNCS["ive"] = lambda v, x: ive(v, np.False_, in_scipys_loop("ive", (v, x))[-1])
k0 = special(
    "k0", lambda y, x: -k1(x), samples=_POSITIVE, teaches="The slope of K₀ is −K₁.",
)  # fmt: skip
k1 = special(
    "k1", lambda y, x: -0.5 * (k0(x) + kv(2, x)), samples=_POSITIVE,
    teaches="The slope of K₁ is −(K₀ + K₂)/2.",
)  # fmt: skip
