"""Roots of sums of squares, whose squares overflow before the root does."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from math import isqrt

from chainrule.compile.patterns import (
    Rewrite,
    apply,
    constant_like,
    inputs_of,
    made_by,
    number,
)
from chainrule.compile.stability.scaled import GROWING, near, sized
from chainrule.compile.stability.terms import (
    Part,
    Terms,
    added,
    as_written,
    choose,
    constant,
    flat,
    in_range,
    key,
    meaning,
    meaning_of,
    monomial,
    multiplied,
    over,
    polynomial,
    power,
    product,
    quick,
    scaled,
    summands,
    times,
    total,
)
from chainrule.core.node import Node
from chainrule.core.traced import Traced
from chainrule.ops.analytic import scales

MOST_SQUARES = 8
POSITIVE = frozenset({"exp", "exp2", "cosh"})


def _squares(x: Traced) -> bool:
    """Whether x is v², written in any of the usual ways."""
    name, inputs, _ = meaning(x)
    return name == "square" or (name == "multiply" and inputs[0].node is inputs[1].node)


def _summed_squares(x: Traced) -> tuple[Traced, tuple[int, ...]] | None:
    """v and the axes of a sum over v², or a product of v with itself."""
    name, inputs, attrs = meaning(x)
    if name == "reduce_sum" and _squares(inputs[0]):
        v, axes = meaning(inputs[0])[1][0], attrs["axes"]
    elif name == "contract" and inputs[0].node is inputs[1].node:
        v, axes = inputs[0], tuple(range(inputs[0].ndim))
        left, _, rest = attrs["spec"].partition(",")
        if rest != f"{left}->":
            return None
    else:
        return None
    return None if any(v.shape[k] == 0 for k in axes) else (v, axes)


def _norm(x: Traced) -> Traced | None:
    """The root of a sum of squares, or of a multiple of one, with gradient 0 where all are 0.
    Powers of two keep the squares in range, and change no digit."""
    inside = x
    while made_by(inside, "reshape"):
        (inside,) = inputs_of(inside)
    if not x.type.is_float or not _leads_to_squares(inside):
        return None
    found = _summed_squares(inside)
    c = Fraction(1)
    if found is None:
        c, powers = monomial(inside)
        if c <= 0 or list(powers.values()) != [1]:
            return None
        (node,) = powers
        inside = Traced(node, x.recording)
        while made_by(inside, "reshape"):
            (inside,) = inputs_of(inside)
        found = _summed_squares(inside)
        if found is None:
            return None
    v, axes = found
    with as_written(x.recording):
        usual, to, back = scales(inside)
        kept = tuple(k for k in range(v.ndim) if k not in axes)
        spread = apply("broadcast", usual, shape=v.shape, axes=kept)
        w = choose(spread, constant_like(v, 1.0), v)
        w = w * apply("broadcast", to, shape=v.shape, axes=kept)
        name, _, attrs = meaning(inside)
        total = (
            apply("contract", w, w, spec=attrs["spec"])
            if name == "contract"
            else apply("reduce_sum", w * w, axes=axes)
        )
        y = apply("root", times(c, total), degree=2.0) * back
        y = choose(usual, apply("root", times(c, inside), degree=2.0), y)
        return y if y.shape == x.shape else apply("reshape", y, shape=x.shape)


_leads_to_squares = quick(frozenset({"reduce_sum", "contract", "reshape"}))


def _norm_written_out(x: Traced) -> Traced | None:
    """The same of three squares or more."""
    if meaning(x)[0] != "add" or not x.type.is_float:
        return None
    parts = summands(x, MOST_SQUARES)
    if not 3 <= len(parts) <= MOST_SQUARES:
        return None
    with as_written(x.recording):
        roots = [_root(*part, x) for part in parts]
        known = [root for root in roots if root is not None]
        if len(known) < len(roots) or all(root.node.is_constant for root in known):
            return None
        usual, to, back = scales(x)
        one = constant_like(x, 1.0)
        squares = [apply("square", choose(usual, one, root) * to) for root in known]
        scaled = apply("root", reduce(lambda a, b: a + b, squares), degree=2.0) * back
        return choose(usual, apply("root", x, degree=2.0), scaled)


def _root_of_product(x: Traced) -> Traced | None:
    """√(x·y) = √x·√y where the product leaves the range, which what levels off does not."""
    if x.node.primitive.name == "value_of":
        return None
    c, powers = monomial(x)
    if not x.type.is_float or not c:
        return None
    if sum(map(abs, powers.values())) < 2 and not (powers and _grows(x)):
        return None
    with as_written(x.recording):
        even = _root(c, powers, x)
        if even is not None:
            return abs(even)
        safe = _safe(x, c, powers)
        y = _root_of_size(c, _elsewhere(safe, powers, 1.0, x), x)
        return choose(safe, apply("sqrt", x), y)


def _safe(x: Traced, c: Fraction, powers: dict[Node, int]) -> Traced:
    """Where a monomial is in range, or has no root."""
    positive = apply("less", constant_like(x, 0.0), sign_of(c, powers, x))
    return apply("logical_or", in_range(abs(x)), apply("logical_not", positive))


def _elsewhere(
    safe: Traced, powers: dict[Node, int], instead: float, like: Traced
) -> dict[Node, int]:
    """A monomial of the same factors but where what was typed serves: there the slopes of roots
    that nobody takes may be infinite, and 0 times that is a nan."""
    one, rec = constant_like(like, instead), like.recording
    return {choose(safe, one, Traced(n, rec)).node: e for n, e in powers.items()}


def _root(c: Fraction, powers: dict[Node, int], like: Traced) -> Traced | None:
    """The root of a monomial that is a perfect square, taken of each factor."""
    top, low = isqrt(abs(c.numerator)), isqrt(c.denominator)
    if c <= 0 or Fraction(top, low) ** 2 != c or any(e % 2 for e in powers.values()):
        return None
    return product(Fraction(top, low), {n: e // 2 for n, e in powers.items()}, like)


def _root_of_size(c: Fraction, powers: dict[Node, int], like: Traced) -> Traced:
    """The root of the absolute value of a monomial, factor by factor."""
    found = apply("sqrt", constant(abs(c), like))
    for node, e in powers.items():
        v = Traced(node.inputs[2] if node.primitive.name == "select" else node, like.recording)
        part = sized(v) if e % 2 else None
        root = apply("sqrt", abs(Traced(node, like.recording)) if part is None else part[2])
        size = abs(Traced(node, like.recording))
        for factor in [size] * (abs(e) // 2) + [root] * (e % 2):
            found = found * factor if e > 0 else found / factor
        if part is not None:  # e^(t/2): by way of e^t slopes would leave the range before they meet
            found = found * apply(part[0], (0.5 if e > 0 else -0.5) * part[1])
    return found


def _over_root(x: Traced, z: Traced) -> Traced | None:
    """x / √(y·exp(a)) as x · exp(-a/2) / √y where the product under the root leaves the range."""
    name, inputs, _ = meaning(z)
    if name != "sqrt" or not x.type.is_float or not _grows(inputs[0]):
        return None
    c, powers = monomial(inputs[0])
    if not c or not any(e % 2 and sized(Traced(n, x.recording)) for n, e in powers.items()):
        return None
    with as_written(x.recording):
        v = inputs[0]
        safe = _safe(v, c, powers)
        below = {node: -e for node, e in _elsewhere(safe, powers, 1.0, v).items()}
        return choose(safe, x / z, x * _root_of_size(1 / c, below, v))


def _grows(v: Traced) -> bool:
    return near(v.node, v.recording, names=GROWING)


def sign_of(c: Fraction, powers: dict[Node, int], like: Traced) -> Traced:
    found = constant(Fraction(1 if c > 0 else -1), like)
    for node, e in powers.items():
        if e % 2 and meaning_of(node, like.recording)[0] not in POSITIVE:  # also where it is 0
            found = found * apply("sign", Traced(node, like.recording))
    return found


def _hypotenuse(x: Traced) -> Traced | None:
    """√(b² + k): by hypot where k is a square too, and where b² or k leaves the range, with b or
    √|k| taken out of the root."""
    name, inputs, _ = meaning(x)
    if name not in ("add", "subtract") or not x.type.is_float:
        return None
    parts = summands(x, 1)
    if len(parts) != 2 or not (parts[0][1] or parts[1][1]):
        return None
    with as_written(x.recording):
        roots = [_root(*part, x) for part in parts]
        first, second = roots
        if first is not None and second is not None:
            return apply("hypot", first, second)
        for b, own, rest in zip(roots, inputs, parts[::-1], strict=True):
            # √(1 - k) cannot leave the range by its 1, nor √(x² + 1e-8) but by x² alone
            if b is not None and number(own) is None and (rest[1] or rest[0] < 0):
                return _out_of_range(x, b, rest, inputs)
    return None


def _out_of_range(
    x: Traced, b: Traced, rest: tuple[Fraction, dict[Node, int]], typed: tuple[Traced, ...]
) -> Traced:
    safe = in_range(abs(typed[0]) + abs(typed[1]))
    c, powers = rest
    b = choose(safe, constant_like(b, 2.0 * float(abs(c)) ** 0.5 + 1.0), b)
    s, size = _root_of_size(c, _elsewhere(safe, powers, 1.0, x), x), abs(b)
    t = s / size
    inside = size * apply(
        "sqrt", (1.0 - t) * (1.0 + t)
    )  # t² may lose its root, and leave the range
    positive = apply("less_equal", constant_like(x, 0.0), sign_of(*rest, x))
    scaled = choose(positive, apply("hypot", b, s), inside)
    none = apply("isnan", scaled)  # as for 0 - 5e-324², which is no less than 0 once rounded
    return choose(apply("logical_or", safe, none), apply("sqrt", x), scaled)


# Conjugates ------------------------------------------------------------------------------


def conjugate(first: Part, second: Part, like: Traced) -> tuple[Terms, Traced] | None:
    """u + v = (u² - v²) / (u - v) where one is a root and terms of the numerator cancel: the
    numerator's terms and the denominator."""
    rec = like.recording
    nodes = (*first[1], *second[1])
    if not any(meaning_of(node, rec)[0] == "sqrt" for node in nodes):
        return None  # before anything is multiplied out
    squares = []
    roots = 0
    for c, powers in (first, second):
        square: Terms | None = {(): c * c}
        for node, e in powers.items():
            name, inputs, _ = meaning(Traced(node, rec))
            if e < 0 or square is None:
                return None
            if name == "sqrt":
                roots += 1
                square = multiplied(square, power(polynomial(inputs[0]), e) or {}) or None
            else:
                square = multiplied(square, power(polynomial(Traced(node, rec)), 2 * e) or {})
        squares.append(square)
    u2, v2 = squares
    if not roots or not u2 or not v2 or not any(u2.get(t) == k for t, k in v2.items()):
        return _conjugate_flat(first, second, like) if roots else None
    terms = added(u2, v2, -1)
    if not terms:
        return None
    return terms, product(*first, like) - product(*second, like)


def _conjugate_flat(first: Part, second: Part, like: Traced) -> tuple[Terms, Traced] | None:
    """The same for a root alone, of a sum of which one term is the other part's square."""
    for (c, a), (d, b) in ((first, second), (second, first)):
        if len(a) == 1 and 1 in a.values() and b:
            name, inputs, _ = meaning(Traced(next(iter(a)), like.recording))
            square = {key({n: 2 * e for n, e in b.items()}): d * d}
            terms = scaled(flat(inputs[0]), c * c) if name == "sqrt" else {}
            if square.items() <= terms.items() and len(terms) > 1:
                u, v = product(c, a, like), product(d, b, like)
                return added(terms, square, -1), u - v
    return None


def total_over(terms: Terms, w: Traced) -> Traced:
    """A sum divided by w. Of a product of two factors over w, the one is divided first that
    keeps the quotient in range."""
    if len(terms) != 1:
        return total(terms, w) / w
    ((powers, c),) = terms.items()
    factors = [Traced(n, w.recording) for n, e in powers for _ in range(e)]
    below = {n: e for n, e in powers if e < 0}
    if len(factors) == 1 and not 2**-100 < abs(c) < 2**100:
        factors, c = [*factors, constant(c, w)], Fraction(1)
    if len(factors) != 2:
        return over(product(c, {n: e for n, e in powers if e > 0}, w) / w, below)
    a, b = factors
    larger = apply("less", abs(b), abs(a)) if a.node is not b.node else None
    big = a if larger is None else choose(larger, a, b)
    small = b if larger is None else choose(larger, b, a)
    wide = apply("less", constant_like(w, 1.0), abs(w))
    return over(times(c, choose(wide, big, small) / w * choose(wide, small, big)), below)


REWRITES = (
    Rewrite("norm", "sqrt", _norm, "sqrt(sum(x * x)), sqrt(x @ x), with squares in range"),
    Rewrite("norm-sum", "sqrt", _norm_written_out, "sqrt(x*x + y*y + z*z), the same"),
    Rewrite("root-of-product", "sqrt", _root_of_product, "sqrt(x * y) -> sqrt(x) * sqrt(y)"),
    Rewrite("over-root", "divide", _over_root, "c / sqrt(x * exp(a)) -> c * exp(-a/2) / sqrt(x)"),
    Rewrite("hypotenuse", "sqrt", _hypotenuse, "sqrt(x*x + y*y) -> hypot(x, y)"),
)
