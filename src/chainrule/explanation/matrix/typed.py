"""An expression written as it was typed: nothing collected, nothing cancelled.

Derivations need this (a line may add and subtract 1), and so do quiz questions.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TypeGuard

from chainrule.explanation.matrix.build import build
from chainrule.explanation.matrix.functions import ALIASES
from chainrule.explanation.matrix.text import Latex, Text
from chainrule.explanation.matrix.tree import SCALAR, Shape, symbol

__all__ = ["typed_latex", "typed_text"]

SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4
Out = tuple[str, int]
_SUPER = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def typed_text(tree: ast.expr, shapes: Mapping[str, Shape]) -> str:
    """One line of Unicode. ``shapes`` of the names; a name without one is a scalar."""
    return _TypedText(shapes).write(tree)


def typed_latex(tree: ast.expr, shapes: Mapping[str, Shape]) -> str:
    """LaTeX for math mode, quotients as fractions, arrays bold."""
    return _TypedLatex(shapes).write(tree)


class _TypedText:
    minus = "−"
    dot = " "

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes

    def write(self, tree: ast.expr, level: int = SUM) -> str:
        shown, own = self.lay(tree)
        return shown if own >= level else self.brackets(shown)

    def lay(self, tree: ast.expr) -> Out:
        match tree:
            case ast.Name():
                return self.name(tree.id), ATOM
            case ast.Constant():
                return f"{tree.value:g}" if isinstance(tree.value, float) else str(tree.value), ATOM
            case ast.UnaryOp(op=ast.USub()):
                return self.minus + self.write(tree.operand, PRODUCT), SUM
            case ast.UnaryOp():
                return self.lay(tree.operand)
            case ast.Attribute():
                return self.write(tree.value, ATOM) + self.turned(), ATOM
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
                return f"{self.write(left, SUM)} + {self.term(right)}", SUM
            case ast.Sub():
                return f"{self.write(left, SUM)} {self.minus} {self.term(right, PRODUCT)}", SUM
            case ast.Mult():
                arrays = self.is_array(left) and self.is_array(right)
                sign = self.entrywise() if arrays else self.times(left, right)
                return f"{self.write(left, PRODUCT)}{sign}{self.factor(right)}", PRODUCT
            case ast.MatMult():
                return f"{self.write(left, PRODUCT)}{self.dot}{self.write(right, POWER)}", PRODUCT
            case ast.Div():
                return self.fraction(left, right)
        return self.power(left, right), POWER

    def term(self, tree: ast.expr, level: int = SUM) -> str:
        """A later term of a sum: a negative one takes brackets."""
        shown, own = self.lay(tree)
        negative = isinstance(tree, ast.UnaryOp)
        fractions = _product(tree) and all(map(_fraction, (tree.left, tree.right)))
        bracketed = own < level or negative or (fractions and level == PRODUCT)
        return self.brackets(shown) if bracketed else shown

    def factor(self, tree: ast.expr) -> str:
        return self.write(tree, PRODUCT if _fraction(tree) else POWER)

    def is_array(self, tree: ast.expr) -> bool:
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        if all(self.shapes.get(name, SCALAR) == SCALAR for name in names):
            return False  # also keeps functions of scalars alone, such as max, out of build
        symbols = {name: symbol(name, self.shapes.get(name, SCALAR)) for name in names}
        return build(tree, symbols).shape != SCALAR

    def fraction(self, left: ast.expr, right: ast.expr) -> Out:
        if self.is_array(right):
            return f"{self.write(left, PRODUCT)} ⊘ {self.write(right, POWER)}", PRODUCT
        return f"{self.write(left, PRODUCT)}/{self.write(right, POWER)}", PRODUCT

    def times(self, left: ast.expr, right: ast.expr) -> str:
        dot = _fraction(left) or _fraction(right) or isinstance(right, ast.Constant)
        return " · " if dot else " "

    def power(self, base: ast.expr, exponent: ast.expr) -> str:
        sign = exponent.operand if isinstance(exponent, ast.UnaryOp) else exponent
        if isinstance(sign, ast.Constant) and isinstance(sign.value, int):
            return self.write(base, ATOM) + ast.unparse(exponent).translate(_SUPER)
        return f"{self.write(base, ATOM)}^{self.write(exponent, ATOM)}"

    def name(self, name: str) -> str:
        return Text().write(symbol(name, self.shapes.get(name, SCALAR)))

    def brackets(self, shown: str) -> str:
        return f"({shown})"

    def turned(self) -> str:
        return "ᵀ"

    def entrywise(self) -> str:
        return " ⊙ "

    def call(self, name: str, args: list[ast.expr]) -> str:
        if name == "transpose":
            return self.write(args[0], ATOM) + self.turned()
        if name in ("norm", "norm2"):
            return f"‖{self.write(args[0])}‖" + ("²" if name == "norm2" else "")
        if name == "inv":
            return self.write(args[0], ATOM) + "⁻¹"
        inside = self.brackets(", ".join(self.write(a) for a in args))
        return Text().function({"sum": "total"}.get(name, name)) + inside


class _TypedLatex(_TypedText):
    minus = "-"
    dot = r"\, "

    def name(self, name: str) -> str:
        return Latex().write(symbol(name, self.shapes.get(name, SCALAR)))

    def brackets(self, shown: str) -> str:
        return rf"\left({shown}\right)"

    def turned(self) -> str:
        return r"^{\top}"

    def entrywise(self) -> str:
        return r" \odot "

    def times(self, left: ast.expr, right: ast.expr) -> str:
        plain = _fraction(right) or isinstance(right, ast.Constant)
        return r" \cdot " if plain else r"\, "

    def fraction(self, left: ast.expr, right: ast.expr) -> Out:
        if self.is_array(right):
            return rf"{self.write(left, PRODUCT)} \oslash {self.write(right, POWER)}", PRODUCT
        return rf"\frac{{{self.write(left)}}}{{{self.write(right)}}}", PRODUCT

    def power(self, base: ast.expr, exponent: ast.expr) -> str:
        return f"{{{self.write(base, ATOM)}}}^{{{self.write(exponent)}}}"

    def call(self, name: str, args: list[ast.expr]) -> str:
        inside = ", ".join(self.write(a) for a in args)
        if name == "sqrt":
            return rf"\sqrt{{{inside}}}"
        if name == "transpose":
            return self.write(args[0], ATOM) + self.turned()
        if name in ("norm", "norm2"):
            return rf"\left\|{inside}\right\|" + ("^{2}" if name == "norm2" else "")
        if name == "inv":
            return self.write(args[0], ATOM) + "^{-1}"
        return Latex().function({"sum": "total"}.get(name, name)) + self.brackets(inside)


def _fraction(tree: ast.expr) -> bool:
    return isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div)


def _product(tree: ast.expr) -> TypeGuard[ast.BinOp]:
    return isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Mult)
