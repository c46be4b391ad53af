"""An expression written as it was typed: nothing collected, nothing cancelled.

Derivations need this (a line may add and subtract 1), and so do quiz questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chainrule.explanation.formula.node import SCALAR, Node, Shape, walk
from chainrule.explanation.formula.spelling import ATOM, POWER, PRODUCT, SUM, Out
from chainrule.explanation.matrix.build import build
from chainrule.explanation.matrix.functions import ALIASES
from chainrule.explanation.matrix.text import InLatex, InText, Named
from chainrule.explanation.matrix.tree import symbol


def typed_text(tree: Node, shapes: Mapping[str, Shape]) -> str:
    """One line of Unicode. ``shapes`` of the names; a name without one is a scalar."""
    return _TypedText(shapes).write(tree)


def typed_latex(tree: Node, shapes: Mapping[str, Shape]) -> str:
    """LaTeX for math mode, quotients as fractions, arrays bold."""
    return _TypedLatex(shapes).write(tree)


_MARKS = {"transpose": "transposed", "inv": "inverse", "norm": "norm", "norm2": "norm2"}


class _Typed(Named):
    """Lays out the syntax tree itself."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes

    def lay(self, tree: Node) -> Out:
        match tree.op, tree.args:
            case "name", _:
                return self.symbol(tree.data, self.shapes.get(tree.data, SCALAR)), ATOM
            case "number", _:
                return f"{tree.data:g}" if isinstance(tree.data, float) else str(tree.data), ATOM
            case "−", (inner,):
                return self.negative(self.write(inner, PRODUCT)), SUM
            case "ᵀ", (inner,):
                return self.transposed(inner), ATOM
            case sign, (left, right) if not sign[0].isalpha():
                return self.binary(tree, left, right)
        return self.call(ALIASES.get(tree.op, tree.op), tree.args), ATOM

    def binary(self, tree: Node, left: Node, right: Node) -> Out:
        if left.op == "−" and tree.op not in ("+", "-", "**"):
            inner = replace(tree, args=(left.args[0], right))  # (−a) b is written −a b
            return self.lay(replace(left, args=(inner,)))
        match tree.op:
            case "+":
                return self.write(left, SUM) + self.operator("+") + self.term(right), SUM
            case "-":
                return self.write(left, SUM) + self.operator("−") + self.term(right, PRODUCT), SUM
            case "*" | "⊙":
                arrays = self.is_array(left) and self.is_array(right)
                sign = self.operator("⊙") if arrays else self.times(left, right)
                level = PRODUCT if right.op == "/" else POWER
                return self.write(left, PRODUCT) + sign + self.write(right, level), PRODUCT
            case "@":
                return self.write(left, PRODUCT) + self.thin() + self.write(right, POWER), PRODUCT
            case "/":
                return self.quotient(left, right), PRODUCT
        return self.raised(self.write(left, ATOM), right), POWER

    def term(self, tree: Node, level: int = SUM) -> str:
        """A later term of a sum: a negative one takes brackets."""
        shown, own = self.laid(tree)
        fractions = tree.op in ("*", "⊙") and all(part.op == "/" for part in tree.args)
        bracketed = own < level or tree.op == "−" or (fractions and level == PRODUCT)
        return self.bracket(shown) if bracketed else shown

    def is_array(self, tree: Node) -> bool:
        names = {n.data for n in walk(tree) if n.op == "name"}
        if all(self.shapes.get(name, SCALAR) == SCALAR for name in names):
            return False  # also keeps functions of scalars alone, such as max, out of build
        symbols = {name: symbol(name, self.shapes.get(name, SCALAR)) for name in names}
        return build(tree, symbols).shape != SCALAR

    def quotient(self, left: Node, right: Node) -> str:
        if self.is_array(right):
            return self.write(left, PRODUCT) + self.operator("⊘") + self.write(right, POWER)
        if self.spelled.linear:
            return self.spelled.fraction.format(self.write(left, PRODUCT), self.write(right, POWER))
        return self.spelled.fraction.format(self.write(left), self.write(right))

    def times(self, left: Node, right: Node) -> str:
        beside = self.spelled.linear and left.op == "/"
        dot = beside or right.op in ("/", "number")
        return self.operator("·") if dot else self.thin()

    def call(self, name: str, args: tuple[Node, ...]) -> str:
        if name in _MARKS:
            inner = self.write(args[0], SUM if name.startswith("norm") else ATOM)
            return getattr(self.spelled, _MARKS[name]).format(inner)
        if name == "sqrt" and not self.spelled.linear:
            return self.root(args[0])
        return self.function(name) + self.bracket(self.comma([self.write(a) for a in args]))


class _TypedText(_Typed, InText):
    """One line of Unicode."""


class _TypedLatex(_Typed, InLatex):
    """LaTeX math."""

    def grouped(self, base: str) -> str:
        return f"{{{base}}}" if not base.endswith("}") or "^" in base else base
