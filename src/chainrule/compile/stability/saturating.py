"""Quotients that level off, x² / (3 + x²): their slope is 3 · 2x / (3 + x²)², where the rule of a
quotient takes two nearly equal numbers from each other."""

from __future__ import annotations

from fractions import Fraction

from chainrule.compile.patterns import Rewrite, apply
from chainrule.compile.stability.quotients import exponentials_near
from chainrule.compile.stability.terms import (
    Terms,
    added,
    as_written,
    exact,
    flat,
    leaves_of,
    meaning,
    polynomial,
    scaled,
    times,
    total,
)  # fmt: skip
from chainrule.core.node import Node
from chainrule.core.traced import Traced

_inside: set[tuple[Node, Node]] = set()
"""Quotients whose value is being recorded by the other rows."""


def _quotient(x: Traced, z: Traced) -> Traced | None:
    """p / (c p + r) by its value, with the derivatives of a share of p in the whole."""
    if not x.type.is_float or x.recording.is_deriving or exact(x) is not None:
        return None
    if (x.node, z.node) in _inside or meaning(z)[0] not in ("add", "subtract"):
        return None
    if leaves_of(x.node, x.recording).isdisjoint(leaves_of(z.node, z.recording) - {None}):
        return None
    if exponentials_near(z) or exponentials_near(x):
        return None
    found = _left(flat(x), flat(z)) or _left(polynomial(x), polynomial(z))
    if found is None:
        return None
    c, rest = found
    _inside.add((x.node, z.node))
    try:
        y = x / z
    finally:
        _inside.discard((x.node, z.node))
    with as_written(x.recording):
        part = apply("share", times(c, x), total(rest, x))
        return apply("value_of", y, times(1 / c, part))


def _left(p: Terms, q: Terms) -> tuple[Fraction, Terms] | None:
    """c and r of q = c p + r, where r is one term."""
    for powers, k in p.items():
        if powers and powers in q:
            c = q[powers] / k
            rest = added(q, scaled(p, c), -1)
            if len(rest) == 1:
                return c, rest
    return None


REWRITES = (
    Rewrite("levels-off", "divide", _quotient, "x**2 / (3 + x**2), whose slope is that of a share"),
)
