"""How what only a typed formula has is written: signs, brackets, fractions, the indexes of sums."""

from __future__ import annotations

from typing import Any

from chainrule.explanation.formula.expressions import ONE, coefficient, factors_of
from chainrule.explanation.formula.greek import spell
from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.spelling import APPLY, ATOM, POWER, PRODUCT, Out


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
    inner = w.write(e.args[0])
    return w.spelled.braces.format(inner) if e.data[0][1] == "{" else w.bracket(inner), ATOM


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


def slope(w: Any, e: Node) -> str:
    """∂L/∂z where it is a name that has a value, as a fraction; else nothing."""
    above, _, below = e.data.letter.partition("/∂")
    if not (below and above.startswith("∂")):
        return ""
    names = {"of": w.name(spell(above[1:])), "by": w.name(spell(below))}
    return w.spelled.derivative.format(d=w.spelled.d[1], **names)


TYPED_LAYOUTS = {
    "fraction": quotient,
    "entry": indexed,
    "indexed sum": indexed,
    "group": group,
    "beside": typed_product,
}
