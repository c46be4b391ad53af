"""Even powers of lengths without their roots: ``norm(x)**2`` is the sum of squares that it is.

A length has no derivative at 0 and its square has all of them, so the square is recorded without
the root, eagerly too: that of a norm, a deviation, ``hypot``, ``abs`` or the ``sqrt`` of a sum of
squares, also where views, factors and signs lie between, and the product of two lengths of the same
or of proportional vectors. The root of a sum of squares is itself recorded as a length.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.node import PRIMITIVES, Node
from chainrule.core.traced import Traced
from chainrule.ops.ranges import of_any, of_squares

DEPTH = 4
"""How many views, factors and signs are looked through to find a root."""
MOST_NODES = 1000
"""How many nodes are looked at to see that what is under a root is a sum of squares."""
LENGTHS = frozenset({"abs", "hypot", "root"})
ROOTS = frozenset({"sqrt", "power_constant"})
VIEWS = frozenset({"broadcast", "reshape", "slice", "transpose"})
ALONG = frozenset({"reduce_sum", "reduce_max", "reduce_min"})
"""Views where they run along axes of length 1."""
EXTREMA = {"maximum": 1, "minimum": -1}
FACTORS = frozenset({"multiply", "divide"})
STEPS = frozenset({"negative", "select", "value_of", *FACTORS, *VIEWS, *ALONG, *EXTREMA})
MAY_HOLD = LENGTHS | ROOTS | STEPS
Step = tuple[Node, int]
"""A view, sign or factor between a length and what is raised, and which input the length is in."""


def without_root(x: Traced, exponent: float = 2) -> Any:
    """``x ** exponent`` without the root in ``x``; None where there is none, or it stays: below
    a fraction bar it does, as a length of 0 has no derivatives there either way.

    What is computed in between overflows or vanishes only where ``x ** exponent`` of NumPy does.
    """
    if exponent == 0.5:
        return as_length(x)
    if exponent <= 0 or not x.node.type.is_float or not _holds(x.node, DEPTH):
        return None
    found = _length(x, DEPTH)
    if found is None:
        return None
    length, steps = found
    name, inputs = length.node.primitive.name, _inputs(length)
    degree = length.node.attrs["degree"] if name == "root" else 2
    if exponent % degree or (degree != 2 and not _is_plain(steps)):
        return None
    if name == "hypot":
        a, b = (_after(part, steps) for part in inputs)
        inside = a * a + b * b
    elif name in ("sqrt", "root", "power_constant"):
        inside = _after_squares(inputs[0], steps)
    else:
        return _after(inputs[0], steps) ** exponent
    return inside if inside is None or exponent == degree else inside ** (exponent / degree)


def product_of_lengths(x: Traced, z: Traced) -> Any:
    """``x * z`` without the roots in them where both are lengths of the same or of proportional
    vectors; else None."""
    a, b = x.node, z.node
    if a is b:
        return without_root(x)
    if a.primitive.name not in MAY_HOLD or b.primitive.name not in MAY_HOLD:  # as most are
        return None
    if not (_holds(a, DEPTH) and _holds(b, DEPTH)) or not a.type.is_float:
        return None
    first, second = _length(x, DEPTH), _length(z, DEPTH)
    if first is None or second is None:
        return None
    (one, before), (other, after) = first, second
    ratio = _ratio(one, other)
    if ratio is None or not _same_views(before, after):
        return None
    name, inputs = one.node.primitive.name, _inputs(one)
    if name == "hypot":
        parts = [_after(a, before) * _after(a, after) for a in inputs]
        inside = parts[0] + parts[1]
    elif name in ("root", "sqrt", "power_constant"):
        inside = _after(inputs[0], before)
        factor = _factor_of(after, inside)
        inside = inside if factor is None else inside * factor
    else:
        inside = _after(inputs[0], before) * _after(inputs[0], after)
    sign = _sign(before) * _sign(after)
    return inside if ratio * sign == 1 else inside * (ratio * sign)


def contraction_without_root(x: Traced, z: Traced, *, spec: str) -> Any:
    """A product along axes (``dot``, ``einsum``) of two lengths that meet entry by entry, as a sum
    of their squares; else None."""
    left, _, rest = spec.partition(",")
    right, _, out = rest.partition("->")
    if left != right or len(set(left)) != len(left):
        return None
    product = product_of_lengths(x, z)
    return None if product is None else np.einsum(f"{left}->{out}", product)


def as_length(x: Traced) -> Any:
    """The root of a sum of squares as the length that it is, with slope 0 at 0; else None.

    That of the square of what is never negative is that itself, in its derivatives."""
    if not x.node.type.is_float or not never_negative(x.node, x, squares=True):
        return of_any(x)
    base, exponent = even_power(x.node)
    if base is not None and never_negative(base, x):
        inside = Traced(base, x.recording)
        inside = inside if exponent == 2 else inside ** (exponent / 2)
        return PRIMITIVES["value_of"](PRIMITIVES["root"](x, degree=2.0), inside)
    recording, sqrt = x.recording, PRIMITIVES["sqrt"]
    if recording.rewrite is not None:  # what it makes of a root, it makes of this one
        rewritten = recording.rewrite(sqrt, (x,), {})
        if rewritten is not None:
            return rewritten
    found = PRIMITIVES["root"](x, degree=2.0)
    if recording.rewrite is None:
        return of_squares(found, x)
    recording.typed.setdefault(found.node, (sqrt, (x.node,), {}))
    return found


def even_power(node: Node) -> tuple[Node | None, float]:
    """The base and the positive even exponent of an even power."""
    name, inputs = node.primitive.name, node.inputs
    if name == "square" or (name == "multiply" and inputs[0] is inputs[1]):
        return inputs[0], 2
    exponent = node.attrs["exponent"] if name == "power_constant" else 0
    return (inputs[0], exponent) if exponent > 0 and exponent % 2 == 0 else (None, 0)


# Finding lengths --------------------------------------------------------------------------


def _inputs(x: Traced) -> list[Traced]:
    return [Traced(node, x.recording) for node in x.node.inputs]


def _holds(node: Node, depth: int) -> bool:
    """Whether there may be a length in ``node``, at a glance."""
    name = node.primitive.name
    if name in LENGTHS or name in ROOTS:
        return True
    if name not in STEPS or not depth:
        return False
    return name in EXTREMA or any(_holds(part, depth - 1) for part in node.inputs)


def _as_typed(x: Traced) -> Traced:
    """The root that was typed, where a rewrite put another form in its place."""
    recording = x.recording
    typed = recording.typed.get(x.node)
    if typed is None or typed[0].name not in ROOTS or x.node.primitive.name in LENGTHS:
        return x
    primitive, nodes, attrs = typed
    outer, recording.rewrite = recording.rewrite, None
    try:
        return primitive(*[Traced(node, recording) for node in nodes], **attrs)
    finally:
        recording.rewrite = outer


def _length(x: Traced, depth: int) -> tuple[Traced, list[Step]] | None:
    """The length in ``x`` and the steps from it to ``x``; None where there is none."""
    x = _as_typed(x)
    node = x.node
    name = node.primitive.name
    if name in LENGTHS:
        return x, []
    if name == "sqrt" or (name == "power_constant" and node.attrs["exponent"] == 0.5):
        return (x, []) if never_negative(node.inputs[0], x) else None
    if name in EXTREMA and opposites(*node.inputs):
        size = PRIMITIVES["abs"](_inputs(x)[0])
        return size, [((-size).node, 0)] if name == "minimum" else []
    if not depth or name not in STEPS:
        return None
    for i, part in enumerate(_inputs(x)):
        if not _passes(node, i, x) or not _holds(part.node, depth - 1):
            continue
        found = _length(part, depth - 1)
        if found is not None and (name not in EXTREMA or _is_plain(found[1])):
            return found[0], [*found[1], (node, i)]
    return None


def _passes(node: Node, i: int, x: Traced) -> bool:
    """Whether a length in input i is a length after ``node`` too, times a factor perhaps."""
    name, inputs = node.primitive.name, node.inputs
    if name == "divide":
        return i == 0
    if name in ALONG:
        return all(inputs[0].type.shape[a] == 1 for a in node.attrs["axes"])
    if name == "select":  # beside NaN
        return i > 0 and _is_lost(inputs[2 if i == 1 else 1], inputs[0], x)
    if name in EXTREMA:  # beside 0, or what is less
        return EXTREMA[name] == 1 and _always(inputs[1 - i], x, lambda v: v <= 0)
    return True


def _always(node: Node, x: Traced, test: Any) -> bool:
    value = x.recording.value(node) if node.is_constant else None
    return value is not None and bool(np.all(test(value)))


def _is_lost(node: Node, mask: Node, x: Traced) -> bool:
    """Whether it is NaN, or something times NaN, where the mask chooses it."""
    if node.primitive.name == "multiply":
        return any(_is_lost(part, mask, x) for part in node.inputs)
    if node.primitive.name == "select" and node.inputs[0] is mask:
        return _is_lost(node.inputs[1], mask, x)
    if node.primitive.name == "broadcast":
        node = node.inputs[0]
    return _always(node, x, np.isnan)


def _is_plain(steps: list[Step]) -> bool:
    return not any(_is_factor(node) or node.primitive.name == "negative" for node, _ in steps)


def _is_factor(node: Node) -> bool:
    return node.primitive.name in FACTORS


def opposites(a: Node, b: Node) -> bool:
    return any(p.primitive.name == "negative" and p.inputs[0] is q for p, q in ((a, b), (b, a)))


def never_negative(node: Node, x: Traced, squares: bool = False) -> bool:
    """Whether ``node``, of the recording of ``x``, is by its form never negative; with ``squares``,
    whether it is a sum of squares, which is flat where it is 0."""
    stack, seen = [(node, squares)], {(node, squares)}
    while stack:
        node, flat = stack.pop()
        name, inputs = node.primitive.name, node.inputs
        if node.is_constant:
            found = not flat and _always(node, x, lambda v: v >= 0)
        elif name in ("multiply", "contract") and inputs[0] is inputs[1]:
            left, _, rest = node.attrs.get("spec", ",").partition(",")
            found = rest.startswith(left)
        elif name in ("add", "multiply", "divide", "reduce_sum", *VIEWS):
            parts = [(part, flat) for part in inputs]
            if flat and name == "divide":
                parts[1] = (inputs[1], False)
            elif flat and name == "multiply":  # one flat factor will do
                k = int(inputs[0].is_constant)
                parts[1 - k] = (inputs[1 - k], False)
            parts = [part for part in parts if part not in seen]
            stack += parts
            seen.update(parts)
            found = len(seen) <= MOST_NODES
        else:
            even = name == "power_constant" and node.attrs["exponent"] % 2 == 0
            found = even and (not flat or node.attrs["exponent"] > 0)
            found = found or name == "square" or (not flat and name in ("abs", "exp", "root"))
        if not found:
            return False
    return True


# Comparing them ---------------------------------------------------------------------------


def _ratio(one: Traced, other: Traced) -> float | None:
    """How many times as long ``other`` is as ``one`` for any argument; None if that is unknown."""
    names = {x.node.primitive.name for x in (one, other)}
    if any(x.node.attrs.get("degree", 2) != 2 for x in (one, other)):
        return None
    if one.node is other.node:
        return 1.0
    if names <= {"root", "sqrt", "power_constant"}:
        shapes = [shape_of(x.node.inputs[0], x) for x in (one, other)]
        power = 0.5
    elif len(names) == 1:
        power = 1.0
        shapes = [_joined([_sizeless(a, x) for a in x.node.inputs]) for x in (one, other)]
    else:
        return None
    (key, scale), (same, rescaled) = shapes
    if key != same or not scale or not np.isfinite(rescaled / scale):
        return None
    return abs(rescaled / scale) ** power


def shape_of(node: Node, x: Traced, depth: int = 12) -> tuple[Any, float]:
    """``node`` as a number times what is left of it, so that 2v and −3v leave the same."""
    name, inputs, attrs = node.primitive.name, node.inputs, node.attrs
    if depth and not node.is_constant:
        if name == "negative":
            key, scale = shape_of(inputs[0], x, depth - 1)
            return key, -scale
        if name in FACTORS:
            if inputs[0] is inputs[1]:
                return _powered(*shape_of(inputs[0], x, depth - 1), 2)
            for i, part in enumerate(inputs):
                value = x.recording.value(part) if part.is_constant else None
                if value is not None and value.size and np.all(value == value.flat[0]):
                    if name == "divide" and i == 0:
                        break
                    factor = float(value.flat[0])
                    key, scale = shape_of(inputs[1 - i], x, depth - 1)
                    return key, scale * factor if name == "multiply" else scale / (factor or np.nan)
        elif name == "square" or name == "power_constant":
            exponent = attrs.get("exponent", 2)
            key, scale = shape_of(inputs[0], x, depth - 1)
            return _powered(key, scale, exponent)
        elif name == "abs":
            key, scale = shape_of(inputs[0], x, depth - 1)
            return ("abs", key), abs(scale)
        elif name == "contract" and inputs[0] is inputs[1] and attrs["spec"].endswith("->"):
            left, _, right = attrs["spec"][:-2].partition(",")
            if left == right:  # the same as a sum of squares
                key, scale = _powered(*shape_of(inputs[0], x, depth - 1), 2)
                axes = tuple(range(len(left)))
                return ("reduce_sum", (("axes", axes),), ((key, 1.0),)), scale
        elif name in ("add", "subtract", "reduce_sum", "concatenate", *VIEWS):
            key, scale = _joined([shape_of(part, x, depth - 1) for part in inputs])
            return (name, tuple(sorted(attrs.items())), key), scale
    return node, 1.0


def _sizeless(node: Node, x: Traced) -> tuple[Any, float]:
    key, scale = shape_of(node, x)
    return key, abs(scale)


def _powered(key: Any, scale: float, exponent: float) -> tuple[Any, float]:
    return ("power", exponent, key), float(abs(scale) if exponent % 2 == 0 else scale) ** exponent


def _joined(parts: list[tuple[Any, float]]) -> tuple[Any, float]:
    """Several by their common scale, the first one's; what differs is told in the key."""
    first = parts[0][1] or 1.0
    return tuple((key, scale / first) for key, scale in parts), first


def _same_views(before: list[Step], after: list[Step]) -> bool:
    """Whether both lengths go through the same steps but for factors and signs."""
    first, second = (
        [(node.primitive, i, node.attrs, [p for k, p in enumerate(node.inputs) if k != i])
         for node, i in steps
         if not _is_factor(node) and node.primitive.name not in ("negative", "value_of")]
        for steps in (before, after)
    )  # fmt: skip
    return first == second


# Going the same way without them ----------------------------------------------------------


def _other(step: Step, x: Traced) -> Traced:
    """The factor that a length meets."""
    node, i = step
    return Traced(node.inputs[1 - i], x.recording)


def _sign(steps: list[Step]) -> int:
    return -1 if sum(node.primitive.name == "negative" for node, _ in steps) % 2 else 1


def _after(x: Any, steps: list[Step]) -> Any:
    """``x`` after the steps, without their signs."""
    for step in steps:
        node, i = step
        name = node.primitive.name
        if _is_factor(node):
            other = _other(step, x)
            x = x / other if name == "divide" else x * other
        elif name not in ("negative", "value_of", *EXTREMA):
            inputs = [Traced(part, x.recording) for part in node.inputs]
            inputs[i] = x
            x = x.recording.emit(node.primitive, inputs, dict(node.attrs))
    return x


def _factor_of(steps: list[Step], like: Traced) -> Any:
    """All factors of the steps in one, as they meet the end of them; None where there are none."""
    for place, step in enumerate(steps):
        if _is_factor(step[0]):
            factor = _other(step, like)
            first = 1 / factor if step[0].primitive.name == "divide" else factor
            return _after(first, steps[place + 1 :])
    return None


def _after_squares(x: Any, steps: list[Step]) -> Any:
    """``x`` after the views and the squares of the factors; None where they are out of range.

    Several factors are one before they meet x: of 1e-200 and 1e200 only the product is squared.
    """
    places = [place for place, (node, _) in enumerate(steps) if _is_factor(node)]
    if not places:
        return _after(x, steps)
    first = places[0]
    if len(places) == 1:
        return _after(x, [*steps[: first + 1], *steps[first:]])
    factor = _factor_of(steps, x)
    value = x.recording.value(factor.node) if factor.node.is_constant else np.ones(())
    if value is not None and not np.all(np.isfinite(value) & (value != 0)):
        return None
    return _after(x, [step for step in steps if not _is_factor(step[0])]) * factor * factor
