"""Formulas for the page: MathML that carries the names of quantities, checked tag by tag.

A formula comes from our own writers, escaped; it is taken apart and put together again all the
same, so that nothing but MathML's presentation elements can reach the page.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping

from chainrule.errors import ChainruleError
from chainrule.explanation.formula.expressions import call_of, rebuilt, size
from chainrule.explanation.formula.node import Node, mapped, rewrite
from chainrule.explanation.formula.notation import APPLY, BARE, Out
from chainrule.explanation.formula.writers import MathmlWriter
from chainrule.explanation.steps.data import Explanation

ELEMENTS = frozenset(
    {"mrow", "mi", "mn", "mo", "mtext", "mspace", "msup", "msub", "msubsup", "mfrac", "msqrt",
     "mroot", "mover", "munder", "munderover", "mtable", "mtr", "mtd", "mstyle"}
)  # fmt: skip
ATTRIBUTES = frozenset(
    {"form", "accent", "stretchy", "displaystyle", "mathvariant", "width", "data-q", "data-d"}
)
SPACES: Mapping[str, str] = {"\u2061": "0.17em", "\u2062": "0.14em"}
"""Function application and invisible times: engines leave no space for them, but TeX does."""
MOST_SYMBOLS = 90

Marks = Mapping[str, tuple[str, int]]
"""Formulas to be marked wherever they occur: MathML -> (attribute, id)."""


def canonical(mathml: str) -> str:
    """MathML written in one way, by which equal formulas are found."""
    root = ET.fromstring(f"<mrow>{mathml}</mrow>")
    return _text(root[0]) if len(root) == 1 else _text(root)


def _text(element: ET.Element) -> str:
    bare = ET.Element(element.tag, element.attrib)
    bare.text = element.text
    bare.extend(element)
    return ET.tostring(bare, encoding="unicode", short_empty_elements=False)


def checked(mathml: str, marks: Marks) -> str:
    """``mathml`` with every name in ``marks`` tagged; elements that are not allowed raise."""
    root = ET.fromstring(f"<mrow>{mathml}</mrow>")
    _visit(root, marks)
    text = ET.tostring(root, encoding="unicode", short_empty_elements=False)
    return text.removeprefix("<mrow>").removesuffix("</mrow>") if len(root) == 1 else text


def _visit(root: ET.Element, marks: Marks) -> None:
    stack = [root]
    while stack:
        element = stack.pop()
        if element.tag not in ELEMENTS or not ATTRIBUTES.issuperset(element.attrib):
            raise ChainruleError(
                f"a formula holds <{element.tag}>, which is not presentation MathML"
            )
        space = SPACES.get(element.text or "") if element.tag == "mo" else None
        if space is not None:
            element.tag, element.attrib, element.text = "mspace", {"width": space}, None
            continue
        found = marks.get(_text(element))
        if found is not None:
            element.set(*map(str, found))
        elif not _is_derivative(element):
            stack.extend(element)


def _is_derivative(element: ET.Element) -> bool:
    if element.tag != "mfrac" or len(element) == 0 or len(element[0]) == 0:
        return False
    return element[0][0].text in ("d", "∂")


# The whole formula, every part marked with the quantity that it computes ----------------------


def _marked(e: Node, quantity: int) -> Node:
    """``e``, which stands for a quantity by its id."""
    return call_of("marked", (e,), (("id", quantity),), e.shape)


def _bare(e: Node) -> Node:
    while e.op == "marked":
        (e,) = e.args
    return e


def _unmarked(e: Node) -> Node:
    return mapped(e, _bare)


class _MarkedWriter(MathmlWriter):
    def lay(self, e: Node) -> Out:
        if e.op == "marked":
            text, own = self.lay(e.args[0])
            return f'<mrow data-q="{dict(e.data)["id"]}">{text}</mrow>', own
        return super().lay(e)

    def between(self, left: Node, right: Node) -> str:
        return super().between(_unmarked(left), _unmarked(right))

    def is_bare(self, e: Node) -> bool:
        return super().is_bare(_unmarked(e))

    def function(self, word: str, e: Node) -> Out:
        (arg,) = e.args
        inner = _bare(arg)
        if inner.op == "power":
            inner = _bare(inner.args[0]) if inner.args[1].op == "number" else inner
        if word in BARE and inner.op == "name" and arg.op == "marked":
            return self.applied(word, self.write(arg)), APPLY
        return super().function(word, e)


def whole_formula(e: Explanation) -> str | None:
    """The output in terms of the inputs, in MathML, every part with ``data-q``, its quantity.

    None where it would be too long to read.
    """
    counts: list[int] = []
    for node in e.nodes:
        own = 1 if node.kind != "operation" else size(node.formula)
        counts.append(min(own + sum(counts[i] for i in node.inputs), 10**6))
    if e.nodes[e.output].kind != "operation" or counts[e.output] > MOST_SYMBOLS:
        return None
    made: dict[str, Node] = {}
    for node in e.nodes:
        inner = node.formula if node.kind != "operation" else _filled(node.formula, made)
        made[node.name.key] = _marked(inner, node.id)
    return _MarkedWriter().write(made[e.nodes[e.output].name.key])


def _filled(e: Node, made: Mapping[str, Node]) -> Node:
    return rewrite(e, lambda part: made.get(part.key) if part.op == "name" else None, rebuilt)
