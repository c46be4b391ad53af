"""An expression written as it was typed: nothing collected, nothing cancelled.

Derivations need this (a line may add and subtract 1), and so do quiz questions.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TypeGuard

from chainrule.explanation.formula.spelling import ATOM, POWER, PRODUCT, SUM, Out
from chainrule.explanation.matrix.build import build
from chainrule.explanation.matrix.functions import ALIASES
from chainrule.explanation.matrix.text import InLatex, InText, Named
from chainrule.explanation.matrix.tree import SCALAR, Shape, symbol

__all__ = ["typed_latex", "typed_text"]


def typed_text(tree: ast.expr, shapes: Mapping[str, Shape]) -> str:
    """One line of Unicode. ``shapes`` of the names; a name without one is a scalar."""
    return _TypedText(shapes).write(tree)


def typed_latex(tree: ast.expr, shapes: Mapping[str, Shape]) -> str:
    """LaTeX for math mode, quotients as fractions, arrays bold."""
    return _TypedLatex(shapes).write(tree)


_MARKS = {"transpose": "transposed", "inv": "inverse", "norm": "norm", "norm2": "norm2"}


class _Typed(Named):
    """Lays out the syntax tree itself."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes

    def lay(self, tree: ast.expr) -> Out:
        match tree:
            case ast.Name():
                return self.symbol(tree.id, self.shapes.get(tree.id, SCALAR)), ATOM
            case ast.Constant():
                return f"{tree.value:g}" if isinstance(tree.value, float) else str(tree.value), ATOM
            case ast.UnaryOp(op=ast.USub()):
                return self.negative(self.write(tree.operand, PRODUCT)), SUM
            case ast.UnaryOp():
                return self.lay(tree.operand)
            case ast.Attribute():
                return self.transposed(tree.value), ATOM
            case ast.Call(func=ast.Name(id=name)):
                return self.call(ALIASES.get(name, name), tree.args), ATOM
            case ast.BinOp():
                return self.binary(tree)
        raise AssertionError(ast.dump(tree))

    def binary(self, tree: ast.BinOp) -> Out:
        left, right = tree.left, tree.right
        if isinstance(left, ast.UnaryOp) and not isinstance(tree.op, (ast.Add, ast.Sub, ast.Pow)):
            inner = ast.BinOp(left.operand, tree.op, right)  # (−a) b is written −a b
            return self.lay(ast.UnaryOp(left.op, inner))
        match tree.op:
            case ast.Add():
                return self.write(left, SUM) + self.operator("+") + self.term(right), SUM
            case ast.Sub():
                return self.write(left, SUM) + self.operator("−") + self.term(right, PRODUCT), SUM
            case ast.Mult():
                arrays = self.is_array(left) and self.is_array(right)
                sign = self.operator("⊙") if arrays else self.times(left, right)
                level = PRODUCT if _fraction(right) else POWER
                return self.write(left, PRODUCT) + sign + self.write(right, level), PRODUCT
            case ast.MatMult():
                return self.write(left, PRODUCT) + self.thin() + self.write(right, POWER), PRODUCT
            case ast.Div():
                return self.quotient(left, right), PRODUCT
        return self.raised(self.write(left, ATOM), right), POWER

    def term(self, tree: ast.expr, level: int = SUM) -> str:
        """A later term of a sum: a negative one takes brackets."""
        shown, own = self.laid(tree)
        negative = isinstance(tree, ast.UnaryOp)
        fractions = _product(tree) and all(map(_fraction, (tree.left, tree.right)))
        bracketed = own < level or negative or (fractions and level == PRODUCT)
        return self.bracket(shown) if bracketed else shown

    def is_array(self, tree: ast.expr) -> bool:
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        if all(self.shapes.get(name, SCALAR) == SCALAR for name in names):
            return False  # also keeps functions of scalars alone, such as max, out of build
        symbols = {name: symbol(name, self.shapes.get(name, SCALAR)) for name in names}
        return build(tree, symbols).shape != SCALAR

    def quotient(self, left: ast.expr, right: ast.expr) -> str:
        if self.is_array(right):
            return self.write(left, PRODUCT) + self.operator("⊘") + self.write(right, POWER)
        if self.spelled.linear:
            return self.spelled.fraction.format(self.write(left, PRODUCT), self.write(right, POWER))
        return self.spelled.fraction.format(self.write(left), self.write(right))

    def times(self, left: ast.expr, right: ast.expr) -> str:
        beside = self.spelled.linear and _fraction(left)
        dot = beside or _fraction(right) or isinstance(right, ast.Constant)
        return self.operator("·") if dot else self.thin()

    def call(self, name: str, args: list[ast.expr]) -> str:
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


def _fraction(tree: ast.expr) -> bool:
    return isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div)


def _product(tree: ast.expr) -> TypeGuard[ast.BinOp]:
    return isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Mult)
