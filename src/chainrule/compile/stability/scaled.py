"""What is made of exponentials as m·exp(t), whether sums are written out or over an axis.

A value that is made of exponentials is read as a mantissa m and an exponent t that is no larger
than the float that holds it: products add the exponents, a sum takes the largest out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce

from chainrule.compile.patterns import apply, constant_like
from chainrule.compile.stability.terms import (
    choose,
    exact,
    meaning,
    meaning_of,
    times,
)
from chainrule.core.node import Attrs, Node
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced

VIEWS = frozenset({"reshape", "broadcast", "slice", "gather", "transpose"})
FAMILY = VIEWS | {"add", "multiply", "divide", "negative", "reduce_sum", "square", "reciprocal"}
DEPTH, FEW = 6, 8
"""How deep exponentials are looked for, and how many parts of a sum are read one by one."""
BASES = {"exp": math.e, "exp2": 2.0}


@dataclass(frozen=True, slots=True)
class Scaled:
    """m·bᵗ, m and t of one shape; None is a mantissa of 1 and an exponent of 0. Where a sum has
    constant coefficients, ``weight`` is what they add up to, and ``less`` makes m - weight."""

    base: str
    t: Traced | None
    m: Traced | None = None
    is_sum: bool = False
    weight: Fraction | None = None
    less: Callable[[], Traced] | None = None


# Reading ----------------------------------------------------------------------------------


GROWING = frozenset({*BASES, "cosh", "sinh"})


def near(
    node: Node, recording: Recording, depth: int = DEPTH, names: Container[str] = BASES
) -> bool:
    """Whether an exponential is among what sums, products and views made this of."""
    name, nodes, _ = meaning_of(node, recording)
    if name in names:
        return True
    if not depth or name not in FAMILY:
        return False
    return any(near(x, recording, depth - 1, names) for x in nodes)


def shifted(a: Traced) -> bool:
    """Whether a maximum has been taken off already."""
    if a.node.primitive.name != "subtract":
        return False
    node = a.node.inputs[1]
    while node.primitive.name in ("broadcast", "reshape", "stop_gradient", "select"):
        node = node.inputs[1 if node.primitive.name == "select" else 0]
    return node.primitive.name in ("reduce_max", "maximum")


def plain(x: Traced) -> bool:
    return not near(x.node, x.recording)


def read(x: Traced, base: str, depth: int = DEPTH) -> Scaled | None:
    """x as a mantissa and an exponent, if it is made of exponentials in this base alone and of
    factors without any."""
    name, inputs, attrs = meaning(x)
    if name == base:
        return None if shifted(inputs[0]) else Scaled(base, inputs[0], weight=Fraction(1))
    if not depth or name not in FAMILY:
        return None
    if name in VIEWS:
        return _viewed(name, inputs, attrs, base, depth)
    if name == "reduce_sum":
        found = read(inputs[0], base, depth - 1)
        return None if found is None else _summed(found, inputs[0], attrs["axes"])
    if name == "add":
        return _added(x, base, depth)
    if name == "negative":
        found = read(inputs[0], base, depth - 1)
        return None if found is None else replace(found, m=_negated(found, x), weight=None)
    return _multiplied(name, inputs, base, depth)


def sized(v: Traced) -> tuple[str, Traced, Traced] | None:
    """b, t and m ≥ 0 with |v| = m·bᵗ, of what is made of exponentials, cosh and sinh included."""
    name, inputs, _ = meaning(v)
    if name not in ("cosh", "sinh"):
        base = base_of(v.node, v.recording)
        found = read(v, base) if base else None
        if base is None or found is None or found.t is None:
            return None
        return base, found.t, constant_like(v, 1.0) if found.m is None else abs(found.m)
    (a,) = inputs
    top = apply("stop_gradient", abs(a))
    if name == "cosh":
        return "exp", top, 0.5 * (apply("exp", a - top) + apply("exp", -a - top))
    near_0 = apply("less", top, constant_like(a, 1.0))
    inside = choose(near_0, a, constant_like(a, 1.0))
    small = apply("sinh", inside) * apply("exp", -apply("stop_gradient", abs(inside)))
    large = 0.5 * (apply("exp", a - top) - apply("exp", -a - top))
    return "exp", top, abs(choose(near_0, small, large))


def _negated(found: Scaled, like: Traced) -> Traced:
    return constant_like(like, -1.0) if found.m is None else -found.m


def _viewed(
    name: str, inputs: tuple[Traced, ...], attrs: Attrs, base: str, depth: int
) -> Scaled | None:
    found = read(inputs[0], base, depth - 1)
    if found is None:
        return None

    def seen(part: Traced) -> Traced:
        return apply(name, part, *inputs[1:], **attrs)

    t, m, less = found.t, found.m, found.less
    return replace(
        found,
        t=None if t is None else seen(t),
        m=None if m is None else seen(m),
        less=None if less is None else lambda: seen(less()),
    )


def _top(parts: Sequence[Traced], axes: tuple[int, ...] = ()) -> Traced:
    """The largest as a constant, 0 where it is infinite."""
    top = reduce(lambda a, b: apply("maximum", a, b), parts)
    if axes:
        top = apply("reduce_max", top, axes=axes)
    top = apply("stop_gradient", top)
    return choose(apply("isfinite", top), top, constant_like(top, 0.0))


def _spread(x: Traced, like: Traced, axes: tuple[int, ...]) -> Traced:
    kept = tuple(k for k in range(like.ndim) if k not in axes)
    return apply("broadcast", x, shape=like.shape, axes=kept)


def _summed(part: Scaled, x: Traced, axes: tuple[int, ...]) -> Scaled | None:
    """A sum over axes."""
    t = part.t
    if t is None or any(x.shape[k] == 0 for k in axes):
        return None
    top = _top([t], axes)
    e = apply(part.base, t - _spread(top, t, axes))
    e = e if part.m is None else part.m * e
    m = apply("reduce_sum", e, axes=axes)
    c = part.weight
    if c is None or part.is_sum:
        return Scaled(part.base, top, m, True)

    def less() -> Traced:
        rise = _less_1(part.base, t - _spread(top, t, axes))
        return times(c, apply("reduce_sum", rise, axes=axes))

    count = math.prod(x.shape[k] for k in axes)
    return Scaled(part.base, top, m, True, c * count, less)


def _less_1(base: str, x: Traced) -> Traced:
    return apply("expm1", x if base == "exp" else math.log(2) * x)


def _added(x: Traced, base: str, depth: int) -> Scaled | None:
    """A sum that is written out, of exponentials and positive numbers."""
    parts = parts_of(x, base, depth)
    return None if parts is None else of_parts(parts, x)


def parts_of(x: Traced, base: str, depth: int) -> list[Scaled] | None:
    """Its parts: numbers are parts with exponent 0."""
    name, inputs, _ = meaning(x)
    if name == "add" and depth:
        found: list[Scaled] = []
        for z in inputs:
            parts = parts_of(z, base, depth - 1)
            if parts is None or len(found) + len(parts) > FEW:
                return None
            found += parts
        return found
    c = exact(x)
    if c is not None:
        return [Scaled(base, None, None if c == 1 else x, weight=c)] if c > 0 else None
    part = read(x, base, depth - 1) if depth else None
    return None if part is None else [part]


def exponent(part: Scaled, like: Traced) -> Traced:
    return constant_like(like, 0.0) if part.t is None else part.t


def of_parts(parts: Sequence[Scaled], like: Traced) -> Scaled:
    if len(parts) == 1:
        return parts[0]
    exponents = [exponent(part, like) for part in parts]
    top, m = _top(exponents), None
    for part, t in zip(parts, exponents, strict=True):
        e = apply(part.base, t - top)
        e = e if part.m is None else part.m * e
        m = e if m is None else m + e
    weights = [part.weight for part in parts if part.weight is not None and not part.is_sum]
    if len(weights) < len(parts):
        return Scaled(parts[0].base, top, m, True)

    def less() -> Traced:
        pairs = zip(weights, exponents, strict=True)
        rises = [times(c, _less_1(parts[0].base, t - top)) for c, t in pairs]
        return reduce(lambda a, b: a + b, rises)

    return Scaled(parts[0].base, top, m, True, sum(weights, Fraction(0)), less)


def _multiplied(name: str, inputs: tuple[Traced, ...], base: str, depth: int) -> Scaled | None:
    """Products and quotients: exponents are added and subtracted."""
    if name == "square":
        name, inputs = "multiply", (inputs[0], inputs[0])
    if name == "reciprocal":
        name, inputs = "divide", (constant_like(inputs[0], 1.0), inputs[0])
    found = [read(z, base, depth - 1) for z in inputs]
    if all(part is None for part in found):
        return None
    parts: list[Scaled] = []
    for z, part in zip(inputs, found, strict=True):
        if part is None and not plain(z):
            return None
        parts.append(part or Scaled(base, None, None if exact(z) == 1 else z))
    a, b = parts
    t = b.t if a.t is None else a.t
    if name == "multiply":
        t = t if a.t is None or b.t is None else a.t + b.t
        m = b.m if a.m is None else a.m if b.m is None else a.m * b.m
    else:
        assert t is not None
        t = a.t if b.t is None else -b.t if a.t is None else _less(a.t, b.t)
        one = constant_like(inputs[0], 1.0)
        m = a.m if b.m is None else (one if a.m is None else a.m) / b.m
    c, more = (exact(inputs[1]), a) if b.t is None else (exact(inputs[0]), b)
    if not c or more.weight is None or (name == "divide" and more is b):
        return Scaled(base, t, m, a.is_sum or b.is_sum)
    c = c if name == "multiply" else 1 / c
    less = more.less
    scaled = None if less is None else lambda: times(c, less())
    return Scaled(base, t, m, more.is_sum, c * more.weight, scaled)


def _less(a: Traced, b: Traced) -> Traced | None:
    """a - b, None for 0."""
    return None if a.node is b.node else a - b


def base_of(node: Node, recording: Recording, depth: int = DEPTH) -> str | None:
    name, nodes, _ = meaning_of(node, recording)
    if name in BASES:
        return name
    if depth and name in FAMILY:
        for x in nodes:
            found = base_of(x, recording, depth - 1)
            if found:
                return found
    return None
