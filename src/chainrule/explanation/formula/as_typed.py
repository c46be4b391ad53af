"""How what only a typed formula has is written: signs, brackets, fractions, the indexes of sums."""

from __future__ import annotations

import re
from typing import Any

from chainrule.explanation.formula.expressions import ONE, coefficient, factors_of
from chainrule.explanation.formula.greek import QUOTIENT, spell
from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.spelling import APPLY, ATOM, POWER, PRODUCT, Out
from chainrule.explanation.formula.tokens import COMMANDS


def quotient(w: Any, e: Node) -> Out:
    """A fraction that others stand behind: λ/2 ‖W‖²."""
    above, below = e.args
    under = (below,) if coefficient(below)[0] < 0 else factors_of(below)
    return w.fraction(factors_of(above), [(x, ONE) for x in under])


def indexed(w: Any, e: Node) -> Out:
    """``(W x)_i``, and ``Σ_{i=1}^n`` before what has the index."""
    said = {name: w.index(value) for name, value in e.data}
    if e.op == "entry":
        return w.spelled.indexed.format(w.bracket(w.write(e.args[0])), said["index"]), ATOM
    low, upper = said["index"] + said["lower"], said["upper"]
    if w.spelled.linear:
        low, upper = (f"{{{x}}}" if len(x) > 1 else x for x in (low, upper))
    sign = w.spelled.summed[bool(upper)].format(low, upper)
    return sign + w.write(e.args[0], PRODUCT), APPLY


def group(w: Any, e: Node) -> Out:
    inner, bracket = w.write(e.args[0]), e.data[0][1]
    if bracket == "[":
        return w.bracket(inner, "[]"), ATOM
    return w.spelled.braces.format(inner) if bracket == "{" else w.bracket(inner), ATOM


def slope(w: Any, e: Node) -> Out:
    """σ′(z), as it was typed."""
    (_, word), *_ = e.data
    shown = w.spelled.word.format(word) if word in COMMANDS else w.name(spell(word))
    return w.join([shown + w.spelled.prime, w.bracket(w.write(e.args[0]))]), ATOM


def typed_product(w: Any, e: Node) -> Out:
    """Two factors with the sign that was typed, or none; on one line some take a · to be read."""
    left, right = e.args
    (_, sign), (_, entries) = e.data
    last = _last(left)
    closed = last is not left and (w.is_bare(last) or w.laid(last)[1] >= POWER)
    first = w.write(left, PRODUCT if closed else w.least(left, False))
    between = w.between(last, right) if entries else w.thin()
    if sign:
        between = w.operator(sign)
    elif between == w.operator("·") and not (w.spelled.linear or right.op == "number"):
        between = w.thin()
    return w.join([first, between, w.write(right, w.least(right, True))]), PRODUCT


def _last(e: Node) -> Node:
    """The last factor of a product."""
    while e.op in ("product", "beside"):
        e = e.args[-1]
    return e


_BRACKETED = re.compile(r"\(([^()]+)\)\^([\[(].*)")
_APPLIED = re.compile(r"([^'(]+)('*)(?:\((.*)\))?(_\w+)?", re.DOTALL)


def quoted(w: Any, e: Node) -> str:
    """∂L/∂z, as a fraction, and g'(z), h(x, y) where they are names that have a value; else
    nothing."""
    if slope := QUOTIENT.fullmatch(e.data.letter):
        names = {"of": w.name(spell(slope[2])), "by": w.name(spell(slope[3]))}
        return w.spelled.derivative.format(d=w.spelled.d[slope[1] == "∂"], **names)
    if layered := _BRACKETED.fullmatch(e.data.letter):  # (∇L)^[i]
        inside = w.bracket(w.name(spell(layered[1])))
        return w.spelled.raised.format(inside, w.spelled.layer.format(layered[2]))
    found = _APPLIED.fullmatch(e.data.letter)
    if found is None or not (found[2] or found[3]):
        return ""
    said = w.name(spell(found[1])) + w.spelled.prime * len(found[2])
    if found[4]:
        said = w.spelled.indexed.format(said, w.index(found[4][1:]))
    parts = [w.name(spell(part.strip())) for part in (found[3] or "").split(",")]
    return said + (w.bracket(w.literal(", ").join(parts)) if found[3] else "")


TYPED_LAYOUTS = {
    "fraction": quotient,
    "entry": indexed,
    "indexed sum": indexed,
    "group": group,
    "typed slope": slope,
    "beside": typed_product,
}
