"""Taylor series at 0, with exact coefficients, where the leading terms of a formula cancel.

x - sin(x) is x³/6 - ... near 0, and subtracting leaves nothing of it. A formula of one variable is
read as a power series in fractions; near 0 its first terms serve, so that the derivative is
theirs too, and what was typed elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import isfinite, isqrt

from chainrule.compile.patterns import apply, constant_like
from chainrule.compile.stability.terms import (
    as_written,
    choose,
    exact,
    meaning,
    meaning_of,
    quick,
    rounded,
    whole,
)
from chainrule.core.node import Node
from chainrule.core.traced import Traced

Series = tuple[int, list[Fraction]]
"""The order of the first term, whose coefficient is not 0, and the coefficients from there on."""

FEW_NODES, MOST_NODES = 16, 40
FEW, MANY = 6, 44
"""How many terms decide whether something cancels, and are taken where it does."""
LONGEST = 18
MOST_FACTORS = 64
"""The largest order of a first term, and exponent of a number, that are multiplied out."""
PRECISION = Fraction(1, 2**57)

# Arithmetic -------------------------------------------------------------------------------


def _trimmed(order: int, c: list[Fraction]) -> Series | None:
    for k, value in enumerate(c):
        if value:
            return order + k, c[k:]
    return None


def _add(a: Series, b: Series, sign: int = 1) -> Series | None:
    order = min(a[0], b[0])
    end = min(a[0] + len(a[1]), b[0] + len(b[1]))
    found = [Fraction(0)] * (end - order)
    for (start, c), s in ((a, 1), (b, sign)):
        for k, value in enumerate(c):
            if start + k < end:
                found[start + k - order] += s * value
    return _trimmed(order, found)


def _product(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    n = min(len(a), len(b))
    found = [Fraction(0)] * n
    for i, x in enumerate(a[:n]):
        if x:
            for j, z in enumerate(b[: n - i]):
                if z:
                    found[i + j] += x * z
    return found


def _quotient(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    found: list[Fraction] = []
    for k in range(min(len(a), len(b))):
        rest = a[k] - sum((b[i] * found[k - i] for i in range(1, k + 1) if b[i]), Fraction(0))
        found.append(rest / b[0])
    return found


def _slope(u: list[Fraction]) -> list[Fraction]:
    return [*(k * c for k, c in enumerate(u) if k), Fraction(0)]


def _integral(u: list[Fraction]) -> list[Fraction]:
    return [Fraction(0)] + [c / (k + 1) for k, c in enumerate(u[:-1])]


def _exp(u: list[Fraction]) -> list[Fraction]:
    found = [Fraction(1)]
    for n in range(1, len(u)):
        terms = (k * u[k] * found[n - k] for k in range(1, n + 1) if u[k])
        found.append(sum(terms, Fraction(0)) / n)
    return found


def _circular(u: list[Fraction], sign: int) -> tuple[list[Fraction], list[Fraction]]:
    """sin and cos of u, or sinh and cosh."""
    s, c = [Fraction(0)], [Fraction(1)]
    for n in range(1, len(u)):
        used = [k for k in range(1, n + 1) if u[k]]
        s.append(sum((k * u[k] * c[n - k] for k in used), Fraction(0)) / n)
        c.append(sign * sum((k * u[k] * s[n - k] for k in used), Fraction(0)) / n)
    return s, c


def _power(u: list[Fraction], e: Fraction) -> list[Fraction]:
    """(1 + u)^e"""
    found = [Fraction(1)]
    for n in range(1, len(u)):
        terms = ((e * k - (n - k)) * u[k] * found[n - k] for k in range(1, n + 1) if u[k])
        found.append(sum(terms, Fraction(0)) / n)
    return found


def _plus(u: list[Fraction], number: int) -> list[Fraction]:
    return [u[0] + number, *u[1:]]


def _inverse(sign: int, e: Fraction) -> Callable[[list[Fraction]], list[Fraction]]:
    """The integral of (1 ± u²)^e."""

    def of(u: list[Fraction]) -> list[Fraction]:
        square = [sign * c for c in _product(u, u)]
        return _integral(_product(_slope(u), _power(square, e)))

    return of


HALF = Fraction(1, 2)
AT_0: dict[str, Callable[[list[Fraction]], list[Fraction]]] = {
    "exp": _exp,
    "expm1": lambda u: _plus(_exp(u), -1),
    "sin": lambda u: _circular(u, -1)[0],
    "cos": lambda u: _circular(u, -1)[1],
    "tan": lambda u: _quotient(*_circular(u, -1)),
    "sinh": lambda u: _circular(u, 1)[0],
    "cosh": lambda u: _circular(u, 1)[1],
    "tanh": lambda u: _quotient(*_circular(u, 1)),
    "log1p": lambda u: _integral(_quotient(_slope(u), _plus(u, 1))),
    "arctan": _inverse(1, Fraction(-1)),
    "arctanh": _inverse(-1, Fraction(-1)),
    "arcsin": _inverse(-1, -HALF),
    "arcsinh": _inverse(1, -HALF),
}
"""Functions of a series without constant term."""
FUNCTIONS = frozenset(AT_0) | {"sqrt", "log"}


# Reading ----------------------------------------------------------------------------------


def _series(x: Traced, atom: Node, count: int, known: dict[Node, Series | None]) -> Series | None:
    if x.node is atom:
        return 1, [Fraction(1)] + [Fraction(0)] * (count - 1)
    if x.node not in known:
        known[x.node] = None if len(known) > MOST_NODES else _made(x, atom, count, known)
    return known[x.node]


def _made(x: Traced, atom: Node, count: int, known: dict[Node, Series | None]) -> Series | None:
    value = exact(x)
    if value is not None:
        return (0, [value] + [Fraction(0)] * (count - 1)) if value else None
    name, inputs, attrs = meaning(x)
    if name not in _ARITHMETIC and name not in FUNCTIONS:
        return None
    parts: list[Series] = []
    for z in inputs:
        part = _series(z, atom, count, known)
        if part is None and name in ("add", "subtract") and exact(z) == 0:
            part = 0, [Fraction(0)] * count
        if part is None:
            return None
        parts.append(part)
    a = parts[0]
    if len(parts) == 2:
        b = parts[1]
        if name in ("add", "subtract"):
            return _add(a, b, 1 if name == "add" else -1)
        if name == "multiply":
            return a[0] + b[0], _product(a[1], b[1])
        return (a[0] - b[0], _quotient(a[1], b[1])) if name == "divide" else None
    return _of_function(name, a, attrs.get("exponent"), count)


def _of_function(name: str, a: Series, exponent: float | None, count: int) -> Series | None:
    order, c = a
    if name == "negative":
        return order, [-value for value in c]
    if name == "square":
        return 2 * order, _product(c, c)
    if name == "reciprocal":
        return -order, _quotient([Fraction(1)] + [Fraction(0)] * (len(c) - 1), c)
    n = None if exponent is None else whole(exponent, MOST_FACTORS)
    if name == "power_constant" and n is not None:
        unit = _power([Fraction(0), *(value / c[0] for value in c[1:])], Fraction(n))
        return n * order, [c[0] ** n * value for value in unit]
    if name in ("sqrt", "log", "power_constant"):
        return _around_1(name, a, exponent)
    if order < 1 or name not in AT_0:
        return None
    return _trimmed(0, AT_0[name](([Fraction(0)] * order + c)[:count]))


def _around_1(name: str, a: Series, exponent: float | None) -> Series | None:
    """Of a series with constant term 1, or a square under a root."""
    order, c = a
    top, low = isqrt(abs(c[0].numerator)), isqrt(c[0].denominator)
    root = Fraction(top, low)
    if order or c[0] < 0 or (root * root if name == "sqrt" else Fraction(1)) != c[0]:
        return None
    u = [Fraction(0), *(value / c[0] for value in c[1:])]
    if name == "log":
        return _trimmed(0, AT_0["log1p"](u))
    if exponent is not None and not isfinite(exponent):
        return None
    e = HALF if name == "sqrt" else Fraction(exponent or 0)
    return 0, [root * value if name == "sqrt" else value for value in _power(u, e)]


def _atoms(*roots: Traced) -> Iterator[Node]:
    """What the formula may be a series in: the one argument of all its functions, or the one thing
    that it is made of."""
    for inside, most in ((False, FEW_NODES), (True, MOST_NODES)):
        if inside and roots[0].recording.is_deriving:
            return
        found = _ends(roots, inside, most)
        if len(found) == 1:
            yield found[0]


def _ends(roots: Sequence[Traced], inside: bool, most: int) -> list[Node]:
    """The arguments of functions; with ``inside``, what they and all else are made of."""
    ends: dict[Node, None] = {}
    seen: set[Node] = set()
    recording = roots[0].recording
    level = [x.node for x in roots]
    for node in level:  # grows; level by level a second end is soon found
        if len(ends) > 1:
            break
        if node in seen or (node.is_constant and exact(Traced(node, recording)) is not None):
            continue
        seen.add(node)
        if len(seen) > most:
            return []
        name, inputs, _ = meaning_of(node, recording)
        function = name in FUNCTIONS
        if not inside and function:
            ends[inputs[0]] = None
        elif function or name in _ARITHMETIC:
            level += inputs
        elif inside:
            ends[node] = None
    return list(ends)


_ARITHMETIC = frozenset(
    {"add", "subtract", "multiply", "divide", "negative", "square", "reciprocal", "power_constant"}
)
_has_function = quick(FUNCTIONS)


# Building ---------------------------------------------------------------------------------


def of_a_sum(a: Traced, b: Traced, sign: int) -> Traced | None:
    """The series of a sum, near 0, where the leading terms of its parts cancel there."""
    if not (_has_function(a) or _has_function(b)):
        return None
    for atom in _atoms(a, b):
        known: dict[Node, Series | None] = {}
        first = _series(a, atom, FEW, known)
        second = _series(b, atom, FEW, known) if first is not None else None
        if first is None or second is None or first[0] != second[0]:
            continue
        if first[1][0] == -sign * second[1][0]:
            return _near_0(a + b if sign > 0 else a - b, atom)
    return None


def of_a_quotient(x: Traced, z: Traced, typed: Traced | None) -> Traced | None:
    """The series of a quotient that is 0/0 at 0; ``typed`` is another form of it, for elsewhere."""
    if not (_has_function(x) or _has_function(z)):
        return None
    for atom in _atoms(x, z):
        known: dict[Node, Series | None] = {}
        parts = [_series(y, atom, FEW, known) for y in (x, z)]
        if all(part is not None and part[0] > 0 for part in parts):
            with as_written(x.recording):
                return _near_0(x / z, atom, typed)
    return None


def of_a_log(x: Traced, typed: Traced | None) -> Traced | None:
    """The series of a logarithm of what is 1 at 0; ``typed`` is another form of it."""
    if not _has_function(x):
        return None
    for atom in _atoms(x):
        part = _series(x, atom, FEW, {})
        if part is not None and part[0] == 0 and part[1][0] == 1:
            with as_written(x.recording):
                return _near_0(apply("log", x), atom, typed)
    return None


def _near_0(typed: Traced, atom: Node, elsewhere: Traced | None = None) -> Traced | None:
    found = _series(typed, atom, MANY, {})
    if found is None:
        return None
    order, c = found
    if abs(order) > MOST_FACTORS:
        return None
    even = not any(c[1::2])
    if even:
        c = c[::2]
    radius = Fraction(1)
    while radius > Fraction(1, 2**20):
        z = radius * radius if even else radius
        sizes = [abs(value) * z**k for k, value in enumerate(c)]
        kept = next((k for k in range(1, len(c)) if sum(sizes[k:]) < PRECISION * sizes[0]), None)
        if kept is not None and kept <= LONGEST and sum(sizes[1:]) <= sizes[0]:
            break
        radius /= 2
    else:
        return None
    x = Traced(atom, typed.recording)
    z_ = x * x if even else x
    rounded(c[0])
    y = constant_like(x, float(c[kept - 1]))
    for value in reversed(c[: kept - 1]):
        y = y * z_ + float(value)
    for _ in range(abs(order)):
        y = y * x if order > 0 else y / x
    size = abs(x)
    near = apply("less", size, constant_like(x, float(radius)))
    met = apply("less", constant_like(x, 0.0), size)  # at 0 itself, what was typed
    return choose(apply("logical_and", near, met), y, typed if elsewhere is None else elsewhere)
