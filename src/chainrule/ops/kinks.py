"""Products of signs and sizes whose kinks cancel: ``sign(x) * x * abs(x)`` is the square of x.

NumPy's sign is 0 at 0, and so is the slope of ``abs`` by convention; where two of them meet in one
product their square is 1 everywhere around, and the derivatives are those of the product without
them. The value stays the typed one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.node import PRIMITIVES, Node
from chainrule.core.traced import Traced
from chainrule.ops.roots import (
    DEPTH,
    MOST_NODES,
    VIEWS,
    even_power,
    never_negative,
    opposites,
    product_of_lengths,
    shape_of,
)
from chainrule.ops.structure.choosing import is_zero

MOST_FACTORS = 12
"""How many factors of a product are looked at."""
SIGN_OF_ITSELF = frozenset({"arctan", "arctanh", "arcsin", "arcsinh", "cbrt", "erf", "expm1",
                            "log1p", "sinh", "tanh"})  # fmt: skip
"""Functions whose result has the sign of their argument."""
ABOVE, BELOW = frozenset({"greater", "greater_equal"}), frozenset({"less", "less_equal"})


def note(x: Traced, *others: Any, **attrs: Any) -> None:
    """From now on, products of this recording are searched for kinks."""
    x.recording.kinks = True


def size(x: Traced) -> Any:
    """``x**2 * abs(z)`` for ``abs(x**2 * z)``: what touches 0 without crossing it has no kink."""
    note(x)
    node = x.node
    if node.primitive.name in ("multiply", "divide") and node.type.is_float:
        a, b = (Traced(part, x.recording) for part in node.inputs)
        if never_negative(a.node, x, squares=True):
            return node.primitive(a, abs(b))
        if node.primitive.name == "multiply" and never_negative(b.node, x, squares=True):
            return node.primitive(abs(a), b)
    return None


def product(x: Traced, z: Traced) -> Any:
    """``x * z`` with the derivatives of a product in which no two kinks meet; else None."""
    found = product_of_lengths(x, z)
    if found is not None or not x.recording.kinks or not x.node.type.is_float:
        return found
    found = _met(x, z)
    if found is None and not x.recording.is_deriving:
        found = _unknown(x, z)
    if found is None:
        return None
    return PRIMITIVES["value_of"](PRIMITIVES["kinked"](x, z), found)  # kinked: −0 stays −0


def _unknown(x: Traced, z: Traced) -> Any:
    """A product of a sign and of the size of something that depends on the same, whose slope is
    NaN where both are 0, as in ``sign(x) * abs(sin(x))``; else None."""
    for a, b in ((x, z), (z, x)):
        signs = [p for p, _ in _factors(a) if p.node.primitive.name == "sign"]
        sizes = [p for p, _ in _factors(b) if p.node.primitive.name == "abs"]
        for sign, size in itertools.product(signs, sizes):
            if not sign.node.is_constant and _depends(size.node, _bare(sign.node.inputs[0])):
                ends = [x.recording.spread(end, x.node.type) for end in (np.nan, 1.0)]
                known = PRIMITIVES["select"]((sign == 0) & (size == 0), *ends)
                with x.recording.copying():
                    return PRIMITIVES["multiply"](PRIMITIVES["multiply"](x, z), known)
    return None


def _depends(node: Node, on: Node) -> bool:
    while on.primitive.name in ("multiply", "divide", "negative"):
        moving = [part for part in on.inputs if not part.is_constant]
        if len(moving) != 1:
            break
        (on,) = moving
    stack, seen = [node], {node}
    while stack and len(seen) <= MOST_NODES:
        node = stack.pop()
        if node is on:
            return True
        new = [part for part in node.inputs if part not in seen and part.serial >= on.serial]
        stack += new
        seen.update(new)
    return False


def without_sign(g: Traced, x: Traced, depth: int = DEPTH) -> Any:
    """``g * sign(x)`` as a product without the sign, where g has a power of x or of its size as a
    factor: of ``3 * x**2`` it is ``3 * (x * abs(x))``, which has a slope at 0. Else None."""
    node, inputs = g.node, [Traced(part, g.recording) for part in g.node.inputs]
    if is_zero(node):
        return g
    if depth and node.primitive.name in ("add", "subtract", "select"):
        less = depth - (node.primitive.name != "select")
        inputs[-2:] = [without_sign(part, x, less) for part in inputs[-2:]]
        return None if any(part is None for part in inputs) else node.primitive(*inputs)
    return _met(PRIMITIVES["sign"](x), g, depth)


def _met(x: Traced, z: Traced, depth: int = 0) -> Any:
    """The product of x and z once a factor of each has met one of the other; None if none do."""
    for a, without in _factors(x):
        for b, around in _factors(z):
            found = _pair(a, b)
            if found is None and depth and b.node.primitive.name in ("add", "subtract", "select"):
                found = without_sign(b, Traced(a.node.inputs[0], a.recording), depth - 1)
            if found is not None:
                return _times(without(None), around(found))
    return None


def _times(x: Any, z: Any) -> Any:
    return z if x is None else x if z is None else x * z


def _factors(x: Traced) -> list[tuple[Traced, Callable[[Any], Any]]]:
    """The factors of x above the fraction bar, each with what puts another, or none, there."""
    found: list[tuple[Traced, Callable[[Any], Any]]] = []
    todo: list[tuple[Traced, Callable[[Any], Any]]] = [(x, lambda new: new)]
    while todo:
        x, put = todo.pop()
        node, inputs = x.node, [Traced(part, x.recording) for part in x.node.inputs]
        name = node.primitive.name
        if len(found) + len(todo) >= MOST_FACTORS or node.is_constant:
            found.append((x, put))
        elif name in ("multiply", "kinked"):
            a, b = inputs
            todo.append((b, lambda new, put=put, a=a: put(_times(a, new))))
            todo.append((a, lambda new, put=put, b=b: put(_times(new, b))))
        elif name == "divide":
            a, b = inputs
            todo.append((a, lambda new, put=put, b=b: put((1.0 if new is None else new) / b)))
        elif name == "negative":
            minus = x.recording.spread(-1.0, node.type)
            todo.append((inputs[0], lambda new, put=put, m=minus: put(m if new is None else -new)))
        elif name == "value_of" and _kink(x) is None:
            todo.append((inputs[1], put))
        elif name == "square" or (name == "power_constant" and _splits(node.attrs["exponent"])):
            (base,), n = inputs, node.attrs.get("exponent", 2) - 1
            todo.append((base, lambda new, put=put, base=base, n=n: put(_times(new, base**n))))
        else:
            found.append((x, put))
    return found


def _splits(exponent: float) -> bool:
    return exponent in (2, 3) or 3 < exponent < np.inf


def _pair(x: Traced, z: Traced) -> Any:
    """``x * z`` where their kinks cancel, or a sign meets what it is the sign of; else None."""
    first, second = _kink(x), _kink(z)
    if first is None or second is None:
        for kink, smooth in ((first, z), (second, x)):
            same = kink and kink[1] is None and _same_sign(kink[0], smooth.node, x)
            if same:
                return abs(smooth) if same > 0 else -abs(smooth)
        return product_of_lengths(x, z)
    same = _same_sign(first[0], second[0], x)
    if not same:
        return product_of_lengths(x, z)
    bodies = [body for _, body in (first, second) if body is not None]
    if not bodies:  # the square of a sign is 0 at 0, whatever it meets
        return None
    found = bodies[0] if len(bodies) == 1 else bodies[0] * bodies[1]
    return found if same > 0 else -found


def _kink(x: Traced) -> tuple[Node, Traced | None] | None:
    """Of a sign of something, that; of a size ``sign(v) * v``, v twice; else None."""
    node, recording = x.node, x.recording
    name, inputs = node.primitive.name, node.inputs
    if name == "sign":
        return inputs[0], None
    if name == "value_of":
        return _kink(Traced(inputs[0], recording))
    of = None
    if name == "abs":
        of = inputs[0]
    elif name == "root" and node.attrs["degree"] == 2:
        of = _squared(inputs[0])
    elif name == "hypot":
        of = next((a for a, b in (inputs, inputs[::-1]) if b.is_constant and is_zero(b)), None)
    elif name == "maximum" and opposites(*inputs):
        of = inputs[0]
    elif name == "select" and opposites(*inputs[1:]):
        compared, limit = (*inputs[0].inputs, None)[:2]
        sides = ABOVE, BELOW
        for side, branch in zip(sides, inputs[1:], strict=True):
            if inputs[0].primitive.name in side and compared is branch and is_zero(limit):
                of = branch
    elif name in VIEWS and node.type.size == inputs[0].type.size == 1:
        size = _kink(Traced(inputs[0], recording))
        if size is None or size[1] is None:
            return None
        of = size[1].node
    if of is None:
        return None
    body = Traced(of, recording)
    return of, body if of.type.shape == node.type.shape else body.reshape(node.type.shape)


def _squared(node: Node) -> Node | None:
    """Of the square of one thing, that."""
    inputs = node.inputs
    base, exponent = even_power(node)
    if base is None and node.type.size == 1 and len(set(inputs)) == 1:
        if node.primitive.name == "contract" and inputs[0].type.size == 1:
            return inputs[0]
        if node.primitive.name == "reduce_sum" and inputs[0].type.size == 1:
            return _squared(inputs[0])
    return base if exponent == 2 else None


def _same_sign(a: Node, b: Node, x: Traced) -> int:
    """1 if two nodes have the same sign for any argument, −1 if opposite ones, 0 if that is
    unknown; both may be 0."""
    if a is b:
        return 1
    (key, scale), (same, other) = shape_of(_bare(a), x), shape_of(_bare(b), x)
    ratio = scale * other
    return int(np.sign(ratio)) if key == same and np.isfinite(ratio) else 0


def _bare(node: Node) -> Node:
    """Without what keeps the sign: increasing functions through 0, views of one number, a size
    beside that of which it is."""
    while True:
        name, inputs = node.primitive.name, node.inputs
        if name == "value_of":
            node = inputs[1]
        elif name in SIGN_OF_ITSELF or (
            name in VIEWS and node.type.size == inputs[0].type.size == 1
        ):
            node = inputs[0]
        elif name == "multiply":
            sizes = [part.inputs[0] for part in inputs if part.primitive.name == "abs"]
            rest = [part for part in inputs if part in sizes]
            if len(rest) != 1:
                return node
            (node,) = rest
        else:
            return node
