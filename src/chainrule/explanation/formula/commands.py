"""LaTeX's commands that hold formulas: fractions, roots, choices."""

from __future__ import annotations

import ast

from chainrule.explanation.formula.cursor import Cursor
from chainrule.explanation.formula.tokens import Token


class Commands(Cursor):
    """What a backslash begins."""

    def command(self) -> ast.expr:
        token = self.take()
        assert token is not None
        if token.text == "frac":
            if (slope := self.slope()) is not None:
                return slope
            above, below = self.group(token), self.group(token)
            return self.binary(above, ast.Div(), below, token)
        if token.text == "sqrt":
            degree = None
            if opened := self.take("["):
                degree = self.grouped("]", opened)
            inside = self.group(token)
            if degree is None:
                return self.call("sqrt", [inside], token)
            if isinstance(degree, ast.Constant) and degree.value == 3:
                return self.call("cbrt", [inside], token)
            exponent = self.binary(self.put(ast.Constant(1), token), ast.Div(), degree, token)
            return self.binary(inside, ast.Pow(), exponent, token)
        if token.text == "begin":
            return self.cases(token)
        return self.fail(f"\\{token.text} is not expected here", token)

    def group(self, token: Token) -> ast.expr:
        opened = self.take("{")
        if opened is None and self.now.kind == "number":  # \frac12: one digit each
            digits = self.now
            self.tokens[self.at_token : self.at_token + 1] = [
                Token("number", c, digits.place + i) for i, c in enumerate(digits.text)
            ]
            self.at_token += 1
            return self.number(self.tokens[self.at_token - 1])
        if opened is None:
            self.deeper(token)
            value = self.operand()
            self.nested -= 1
            return value
        return self.grouped("}", opened)

    def slope(self) -> ast.expr | None:
        r"""``\frac{\partial J}{\partial x}`` as one name."""
        ahead = [t.text for t in self.tokens[self.at_token : self.at_token + 8]]
        if len(ahead) == 8 and ahead[0:2] == ["{", "∂"] and ahead[3:6] == ["}", "{", "∂"]:
            token = self.now
            self.at_token += 8
            return self.put(ast.Name(f"∂{ahead[2]}/∂{ahead[6]}"), token)
        return None

    def cases(self, token: Token) -> ast.expr:
        r"""``\begin{cases} a & (c) \\ b & \text{otherwise} \end{cases}`` as where(c, a, b)."""
        opened = self.take("{")
        name = self.take()
        if opened is None or name is None or name.text != "cases":
            self.fail("of LaTeX's environments only cases is read", token)
        self.take("}")
        self.closing.append("end")
        rows: list[tuple[ast.expr, ast.expr]] = []
        value = self.row()
        while (condition := self.condition()) is not None:
            rows.append((value, condition))
            self.take("\\")
            if self.now.text == "end" and len(rows) == 2:  # the other condition is the opposite
                self.opposite(rows[0][1], rows.pop()[1], token)
                break
            value = self.row()
        self.closing.pop()
        self.take("\\")
        for want in ("end", "{", "cases", "}"):
            if self.now.text != want:
                self.fail(r"\end{cases} is missing: the last case has no condition", self.now)
            self.take()
        for first, condition in reversed(rows):
            value = self.call("where", [condition, first, value], token)
        return value

    def row(self) -> ast.expr:
        value = self.expression()
        self.take(",")
        return value

    def condition(self) -> ast.expr | None:
        """None at the last row, which has none or ``otherwise``."""
        if self.take("&") is None and self.now.text not in ("if", "for", "otherwise", "else"):
            return None
        if self.now.text in ("if", "for", "when"):
            self.take()
        if self.now.text.rstrip(".") in ("otherwise", "else"):
            self.take()
            self.take(".")
            return None
        truth = self.expression()
        self.take(",", ".", ";")
        return truth

    def opposite(self, first: ast.expr, second: ast.expr, token: Token) -> None:
        """Refuse two conditions that do not leave exactly one of the rows."""
        if not (isinstance(first, ast.Compare) and isinstance(second, ast.Compare)):
            self.fail("the second condition is to be the opposite of the first", token)
            return
        sides = [ast.dump(c) for c in (first.left, first.comparators[0])]
        others = [ast.dump(c) for c in (second.left, second.comparators[0])]
        op = type(second.ops[0])
        if sides != others:
            others, op = others[::-1], _TURNED.get(op, op)
        if sides != others or op is not _OPPOSITE.get(type(first.ops[0])):
            self.fail("the second condition is to be the opposite of the first", token)


_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE,
}  # fmt: skip
