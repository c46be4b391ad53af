"""Products, quotients and their logarithms that leave the range of floats on the way."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial, reduce

from chainrule.compile.patterns import Rewrite, apply, constant_like, inputs_of, made_by
from chainrule.compile.stability.roots import sign_of
from chainrule.compile.stability.terms import (
    as_written,
    choose,
    in_range,
    joined,
    meaning,
    monomial,
    product,
    quick,
    times,
)
from chainrule.core.node import Node
from chainrule.core.traced import Traced

MOST_FACTORS = 4
_products = quick(frozenset({"multiply", "square", "power_constant"}))


def _quotient(x: Traced, z: Traced) -> Traced | None:
    """x·y/y -> x; x²/y² -> (x/y)²; x·y/z as (x/z)·y where x·y leaves the range."""
    if not x.type.is_float or x.recording.is_deriving or not (_products(x) or _products(z)):
        return None
    (c, above), (d, below) = monomial(x), monomial(z)
    if not c or not d or len({*above, *below}) > MOST_FACTORS:
        return None
    if any(n.primitive.name == "broadcast" and not n.attrs["axes"] for n in (*above, *below)):
        return None  # a scale beside arrays, as the learning rate is: five times the work for it
    powers = joined(above, below, -1)
    shared = [node for node, e in above.items() if e > 0 < below.get(node, 0)]
    with as_written(x.recording):
        if shared and powers:
            return choose(_met(shared, x), product(c / d, powers, x), x / z)
        if powers and all(abs(e) == 2 for e in powers.values()) and len(powers) == 2:
            root = product(Fraction(1), {node: e // 2 for node, e in powers.items()}, x)
            return times(c / d, apply("square", root))
        rec = x.recording
        tops = [Traced(n, rec) for n, e in powers.items() for _ in range(e)]
        lows = [Traced(n, rec) for n, e in powers.items() for _ in range(-e)]
        if (len(tops), len(lows)) not in ((2, 1), (2, 2), (1, 2)):
            return None
        safe = in_range(*[abs(y) for y, parts in ((x, tops), (z, lows)) if len(parts) == 2])
        y = times(c / d, _paired(tops, lows))
        lost = apply("equal", y, constant_like(y, 0.0))
        lost = apply("logical_or", lost, apply("logical_not", apply("isfinite", y)))
        safe = apply("logical_or", safe, lost)
        return choose(safe, _where(safe, c, above, x) / _where(safe, d, below, x), y)


def _where(safe: Traced, c: Fraction, powers: dict[Node, int], like: Traced) -> Traced:
    """A product where it is in range, of ones elsewhere: an infinite one would make a nan of a
    derivative that is not taken."""
    one, rec = constant_like(like, 1.0), like.recording
    return product(c, {choose(safe, Traced(n, rec), one).node: e for n, e in powers.items()}, like)


def _met(nodes: list[Node], like: Traced) -> Traced:
    """Where what is cancelled is neither 0 nor infinite."""
    zero = constant_like(like, 0.0)
    parts = []
    for node in nodes:
        f = Traced(node, like.recording)
        parts += [apply("isfinite", f), apply("not_equal", f, zero)]
    return reduce(lambda a, b: apply("logical_and", a, b), parts)


def _ordered(a: Traced, b: Traced) -> tuple[Traced, Traced]:
    """The larger and the smaller by size."""
    if a.node is b.node:
        return a, b
    larger = apply("less", abs(b), abs(a))
    return choose(larger, a, b), choose(larger, b, a)


def _paired(tops: list[Traced], lows: list[Traced]) -> Traced:
    """A quotient of products of one or two factors, each step of which stays near the result."""
    if len(tops) == len(lows) == 2:
        (a, b), (c, d) = _ordered(*tops), _ordered(*lows)
        return (a / c) * (b / d)
    if len(tops) == 2:
        (big, small), (w,) = _ordered(*tops), lows
        if big.node is small.node:
            return big / w * big
        wide = apply("less", constant_like(w, 1.0), abs(w))
        return choose(wide, big, small) / w * choose(wide, small, big)
    (x,), (big, small) = tops, _ordered(*lows)
    wide = apply("less", constant_like(x, 1.0), abs(x))
    return x / choose(wide, big, small) / choose(wide, small, big)


# Logarithms -------------------------------------------------------------------------------


def log_by_factors(x: Traced, base: str = "log") -> Traced | None:
    """log(x·y) = log|x| + log|y| where a product of positive sign leaves the range."""
    c, powers = monomial(x)
    count = sum(map(abs, powers.values()))
    alone = count == 1 and 2.0**-100 < abs(c) < 2.0**100  # with such a factor it stays in range
    if not c or not count or alone:
        return None
    y = None
    for node, e in powers.items():
        part = times(Fraction(e), apply(base, abs(Traced(node, x.recording))))
        y = part if y is None else y + part
    if abs(c) != 1:
        y = y + math.log(abs(c)) / _LOGARITHMS[base]  # type: ignore[operator]
    assert y is not None
    safe = _safe(x, sign_of(c, powers, x))
    return choose(safe, apply(base, _where(safe, c, powers, x)), y)


def _safe(x: Traced, sign: Traced) -> Traced:
    positive = apply("less", constant_like(x, 0.0), sign)
    return apply("logical_or", in_range(abs(x)), apply("logical_not", positive))


_LOGARITHMS = {"log": 1.0, "log2": math.log(2), "log10": math.log(10)}


def _logarithm(base: str, x: Traced) -> Traced | None:
    if not x.type.is_float or x.recording.is_deriving:
        return None
    if made_by(x, "reduce_prod"):
        (v,), axis = inputs_of(x), x.node.attrs["axis"]
        with as_written(x.recording):
            y = apply("reduce_sum", apply(base, abs(v)), axes=(axis,))
            sign = apply("reduce_prod", apply("sign", v), axis=axis)
            safe = _safe(x, sign)
            kept = tuple(k for k in range(v.ndim) if k != axis)
            known = apply("broadcast", safe, shape=v.shape, axes=kept)
            v = choose(known, v, constant_like(v, 1.0))
            return choose(safe, apply(base, apply("reduce_prod", v, axis=axis)), y)
    if meaning(x)[0] not in ("multiply", "divide", "square", "power_constant"):
        return None
    with as_written(x.recording):
        return log_by_factors(x, base)


REWRITES = (
    Rewrite("quotient-of-products", "divide", _quotient, "x*y/y -> x, x*y/z -> (x/z) * y"),
    *(
        Rewrite(f"{name}-of-product", name, partial(_logarithm, name), f"{name}(x*y), by factors")
        for name in _LOGARITHMS
    ),
)
