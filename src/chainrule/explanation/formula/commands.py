"""LaTeX's commands that hold formulas: fractions, roots, choices."""

from __future__ import annotations

from dataclasses import replace

from chainrule.explanation.formula.cursor import Cursor, canonical
from chainrule.explanation.formula.node import COMPARED, Node, binary
from chainrule.explanation.formula.tokens import Token


class Commands(Cursor):
    """What a backslash begins."""

    def command(self) -> Node:
        token = self.take()
        assert token is not None
        if token.text == "frac":
            if (slope := self.slope()) is not None:
                return slope
            above, below = self.group(token), self.group(token)
            return binary(above, "/", below)
        if token.text == "sqrt":
            degree = None
            if opened := self.take("["):
                degree = self.grouped("]", opened)
            inside = self.group(token)
            if degree is None:
                return self.call("sqrt", [inside], token)
            if degree.op == "number" and degree.data == 3:
                return self.call("cbrt", [inside], token)
            return binary(inside, "**", binary(self.leaf("number", 1, token), "/", degree))
        if token.text == "begin":
            return self.cases(token)
        return self.fail(f"\\{token.text} is not expected here", token)

    def group(self, token: Token) -> Node:
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

    def slope(self) -> Node | None:
        r"""``\frac{\partial J}{\partial x}`` as one name; ``\partial a^L_j`` where that is given
        or a name."""
        at, parts = self.at_token, list[str]()
        sign, single = "", False
        for _ in range(2):
            ahead = [t.text for t in self.tokens[at : at + 12]]
            if ahead[0] != "{" or "}" not in ahead or ahead[1][0] not in "d∂":
                return None
            end = max(i for i, text in enumerate(ahead) if text == "}" and _closes(ahead[: i + 1]))
            sign, *more = "".join(text for text in ahead[1:end] if text not in "{}")
            parts.append("".join(more))
            at += end + 1
            single = end == 3 and sign == "∂"
        said = f"{sign}{parts[0]}/{sign}{parts[1]}"
        if not (
            single or canonical(said) in self.known or (self.sums and self.without_index(said))
        ):
            return None
        token = replace(self.now, kind="name", text=said)
        self.tokens[self.at_token : at] = [token]
        return self.name()

    def cases(self, token: Token) -> Node:
        r"""``\begin{cases} a & (c) \\ b & \text{otherwise} \end{cases}`` as where(c, a, b)."""
        opened = self.take("{")
        name = self.take()
        if opened is None or name is None or name.text != "cases":
            self.fail("of LaTeX's environments only cases is read", token)
        self.take("}")
        self.closing.append("end")
        rows: list[tuple[Node, Node]] = []
        last: Node | None = None
        value = self.row()
        while (condition := self.condition()) is not None:
            rows.append((value, condition))
            self.take("\\")
            if self.now.text == "end" and len(rows) == 2:  # the other condition is the opposite
                last = rows.pop()[1]
                self.opposite(rows[0][1], last, token)
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
        return replace(value, data=last)

    def row(self) -> Node:
        value = self.expression()
        self.take(",")
        return value

    def condition(self) -> Node | None:
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

    def opposite(self, first: Node, second: Node, token: Token) -> None:
        """Refuse two conditions that do not leave exactly one of the rows."""
        if first.op in COMPARED and second.op in COMPARED:
            sides, others = ([part.key for part in c.args] for c in (first, second))
            op = second.op
            if sides != others:
                others, op = others[::-1], _TURNED.get(op, op)
            if sides == others and op == _OPPOSITE[first.op]:
                return
        self.fail("the second condition is to be the opposite of the first", token)


def _closes(texts: list[str]) -> bool:
    return texts.count("{") == texts.count("}") and all(
        texts[:i].count("{") > texts[:i].count("}") for i in range(1, len(texts))
    )


_OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
