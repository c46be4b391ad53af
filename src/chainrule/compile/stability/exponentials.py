"""Quotients and logarithms of sums of exponentials: softmax and log-sum-exp, however typed.

A quotient divides mantissas near 1 and subtracts exponents (``scaled.py``), and a logarithm is
t + log(m): nothing leaves the range on the way.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

from chainrule.compile.patterns import Rewrite, apply, constant_like, inputs_of, number
from chainrule.compile.stability.scaled import (
    BASES,
    DEPTH,
    FEW,
    Scaled,
    base_of,
    exponent,
    near,
    of_parts,
    parts_of,
    plain,
    read,
    shifted,
)
from chainrule.compile.stability.terms import (
    as_written,
    choose,
    constant,
    difference,
    exact,
    meaning,
    monomial,
    summands,
    times,
    total,
)
from chainrule.core.traced import Traced


def rest_of(a: Traced, b: Traced) -> Traced:
    """What rounding has taken from a - b, as a constant; 0 where it is not finite."""
    a, b = apply("stop_gradient", a), apply("stop_gradient", b)
    d = a - b
    back = d - a
    lost = (a - (d - back)) - (b + back)
    return choose(apply("isfinite", lost), lost, constant_like(d, 0.0))


def minus(a: Traced) -> Traced:
    return inputs_of(a)[0] if a.node.primitive.name == "negative" else -a


def _known(a: Traced, b: Traced) -> bool:
    """Whether one of the two is 0, so that nothing is rounded."""
    return exact(a) == 0 or exact(b) == 0


def power_of_difference(base: str, a: Traced, b: Traced) -> Traced:
    """b^(a - b), to the last place: a rounded exponent of -700 would cost nine bits."""
    y = apply(base, a - b)
    if _known(a, b):
        return y
    lost = rest_of(a, b)
    return y + y * (lost if base == "exp" else math.log(2) * lost)


def logistic_of_difference(a: Traced, b: Traced, c: Traced | None = None) -> Traced:
    """logistic(a - b - c), to the last place."""
    d = minus(b) if exact(a) == 0 else a if exact(b) == 0 else a - b
    lost = None if _known(a, b) else rest_of(a, b)
    if c is not None:
        more = rest_of(d, c)
        lost, d = more if lost is None else lost + more, d - c
    y = apply("logistic", d)
    return y if lost is None else y + y * (lost * apply("logistic", -d))


def _logistic(x: Traced, z: Traced) -> Traced | None:
    """Quotients of written-out sums as logistic functions and hyperbolic tangents."""
    if not x.type.is_float or x.recording.is_deriving or not near(z.node, z.recording):
        return None
    name, inputs, _ = meaning(z)
    with as_written(x.recording):
        if name == "square":  # exp(-a) / (1 + exp(-a))²
            p, q = (_share(y, inputs[0]) for y in (x, constant_like(x, 1.0)))
            return None if p is None or q is None else p * q
        found = _share(x, z)
        return _difference(x, z) if found is None else found


def _quotient(x: Traced, z: Traced) -> Traced | None:
    """A quotient by a sum of exponentials, or of two exponentials."""
    rec = x.recording
    if not x.type.is_float or rec.is_deriving:
        return None
    base = base_of(z.node, rec)
    if base is None:
        return None
    with as_written(rec):
        below = read(z, base)
        above = None if below is None else read(x, base)
        if below is None or (above is None and not (below.is_sum and plain(x))):
            return None
        above = above or Scaled(base, None, x)
        m = above.m
        if below.m is not None:
            m = (constant_like(x, 1.0) if m is None else m) / below.m
        if above.t is None and below.t is None:
            return m
        if above.t is not None and below.t is not None:
            if above.t.node is below.t.node:
                return constant_like(x, 1.0) if m is None else m
            e = power_of_difference(base, above.t, below.t)
        else:
            e = apply(base, above.t if below.t is None else -exponent(below, x))  # type: ignore[arg-type]
        return e if m is None else m * e


def _reciprocal(z: Traced) -> Traced | None:
    one = constant_like(z, 1.0)
    found = _logistic(one, z)
    return _quotient(one, z) if found is None else found


def _share(x: Traced, z: Traced) -> Traced | None:
    """One part of a sum over the sum, as a logistic function, so that 1 - p is known too."""
    parts = [(c, powers) for c, powers in summands(z, 3)] if meaning(z)[0] == "add" else []
    if not 2 <= len(parts) <= FEW:
        return None
    d, own = monomial(x)
    ends: list[tuple[Fraction, Traced]] = []
    mine: tuple[Fraction, Traced] | None = None
    for c, powers in parts:
        if c <= 0 or (powers and list(powers.values()) != [1]):
            return None
        a = constant_like(x, 0.0)
        if powers:
            name, inputs, _ = meaning(Traced(next(iter(powers)), x.recording))
            if name != "exp" or shifted(inputs[0]):
                return None
            a = inputs[0]
        if powers == own and mine is None:
            mine = c, a
        else:
            ends.append((c, a))
    if mine is None:
        return None
    c, a = mine
    others = [Scaled("exp", b, None if k == c else constant(k / c, x)) for k, b in ends]
    rest = of_parts(others, x)
    b = exponent(rest, x)
    log = None if rest.m is None else apply("log", rest.m)
    return times(d / c, logistic_of_difference(a, b, log))


def _difference(x: Traced, z: Traced) -> Traced | None:
    """(exp(p) - exp(q)) / (exp(p) + exp(q)) -> tanh((p - q) / 2)"""
    if meaning(z)[0] != "add" or meaning(x)[0] not in ("add", "subtract"):
        return None
    above, below = summands(x), summands(z)
    if len(above) != 2 or len(below) != 2 or below[0][0] != below[1][0]:
        return None
    tops = {next(iter(powers), None): c for c, powers in above}
    lows = {next(iter(powers), None): c for c, powers in below}
    if tops.keys() != lows.keys() or len(tops) != 2 or sum(tops.values()):
        return None
    if any(powers and list(powers.values()) != [1] for _, powers in (*above, *below)):
        return None
    (p, c), (q, _) = tops.items()
    ends = []
    for node in (p, q):
        name, inputs, _ = meaning(Traced(node, x.recording)) if node else ("exp", (None,), None)
        if name != "exp":
            return None
        ends.append(constant_like(x, 0.0) if inputs[0] is None else inputs[0])
    a, b = ends
    terms = difference(a, b) or {}
    half = {powers: k / 2 for powers, k in terms.items()}
    return times(c / below[0][0], apply("tanh", total(half, x) if half else 0.5 * (a - b)))


def _product(x: Traced, z: Traced) -> Traced | None:
    """exp(a)·exp(-b), of which one overflows and the other underflows."""
    names = x.node.primitive.name, z.node.primitive.name
    if names[0] != names[1] or names[0] not in BASES or x.recording.is_deriving:
        return None
    (a,), (b,) = inputs_of(x), inputs_of(z)
    with as_written(x.recording):
        return power_of_difference(names[0], a, -b)


def _logarithm(name: str, x: Traced) -> Traced | None:
    """log(m·exp(t)) = t + log(m)"""
    rec = x.recording
    if not x.type.is_float or rec.is_deriving:
        return None
    base = base_of(x.node, rec)
    if base is None:
        return None
    with as_written(rec):
        found = None
        if name == "log1p" or meaning(x)[0] == "add":
            if any(c < 0 for c, _ in summands(x)):  # as 1 + -exp(a): a difference, which cancels
                return None
            parts = parts_of(x, base, DEPTH)
            if parts is None:
                return None
            if name == "log1p":
                name, parts = "log", [*parts, Scaled(base, None, weight=Fraction(1))]
            pair = len(parts) == 2 and (base, name) == ("exp", "log")
            if pair and parts[0].m is parts[1].m is None:
                return apply("logaddexp", *(exponent(part, x) for part in parts))
            found = of_parts(parts, x)
        found = found or read(x, base)
        if found is None or not found.is_sum or found.t is None:
            return None
        factor = math.log(BASES[base]) / math.log(_LOGARITHMS[name])
        t = found.t if factor == 1 else factor * found.t
        return t if found.m is None else t + _log_of_mantissa(name, found)


def _log_of_mantissa(name: str, found: Scaled) -> Traced:
    m = found.m
    assert m is not None
    if m.node.primitive.name == "divide" and number(inputs_of(m)[0]) == 1:
        return -apply(name, inputs_of(m)[1])
    if found.weight != 1 or found.less is None:
        return apply(name, m)
    less = found.less()  # a mean of exponentials that may all be 1
    near_1 = apply("log1p", less) / math.log(_LOGARITHMS[name])
    return choose(apply("less", less, constant_like(m, -0.5)), apply(name, m), near_1)


_LOGARITHMS = {"log": math.e, "log2": 2.0, "log10": 10.0}

REWRITES = (
    Rewrite("logistic", "divide", _logistic, "1 / (1 + exp(-a)) -> logistic(a)"),
    Rewrite("softmax", "divide", _quotient, "exp(a) / sum(exp(a)), shifted by max(a)"),
    Rewrite("reciprocal", "reciprocal", _reciprocal, "reciprocal(1 + exp(-a)) -> logistic(a)"),
    Rewrite("exp-product", "multiply", _product, "exp(a) * exp(-b) -> exp(a - b)"),
    *(
        Rewrite(
            f"{name}-sum-exp",
            name,
            partial(_logarithm, name),
            f"{name}(sum(exp(a))) -> max(a) + ...",
        )
        for name in (*_LOGARITHMS, "log1p")
    ),
)
