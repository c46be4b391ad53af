"""The grammar of typed expressions: Python's, a blackboard's and LaTeX's in one.

Tokens become a tree of nodes, which is checked and walked elsewhere; no text reaches Python's own
parser. Precedence is Python's; besides it there are products without a sign, ``2x``, ``W x``;
``^`` and raised exponents; functions without brackets, ``sin 2x``; |x|, ‖x‖, √x; [x > 0] for 1
where it holds and 0 elsewhere; sums ``sum_i w_i x_i``; fractions, roots and cases of LaTeX.
Where a text can be read in two ways, ``notes`` says which was taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

from chainrule.explanation.formula.cursor import (
    INSTEAD,
    MOST_NESTED,
    canonical,
    is_minus_one,
)
from chainrule.explanation.formula.node import COMPARED, Node, bare, binary, call, walk
from chainrule.explanation.formula.operands import IsName, Operands
from chainrule.explanation.formula.tokens import ONES, Token, tokens


class Statement(NamedTuple):
    """What is assigned to a name, or the expression at the end, without one."""

    name: str | None
    value: Node
    place: int


def read(
    text: str,
    functions: Collection[str],
    given: Collection[str] = (),
    *,
    loose: bool = False,
) -> tuple[list[Statement], list[str], set[str]]:
    """The statements of ``text``, notes on what can be read in two ways, and the names that stand
    in a sum over an index.

    Args:
        functions: the words that are applied to arguments.
        given: names that are known; ``xy`` is x times y where both are given and xy is not.
        loose: ``Ax`` is A x where one of its letters is given.

    Raises:
        ExpressionError: what cannot be read, with a caret under the place.
    """
    reader = _Reader(text, functions, given, loose)
    try:
        return reader.statements(), reader.notes, reader.in_sums
    except IsName as name:
        return read(text, functions, [*given, str(name)], loose=loose)


def sides(text: str) -> list[str]:
    """Of an equation with several sides, ``f = a = b``, the texts ``f = a`` and ``f = b``;
    else nothing."""
    found = tokens(text)
    depth, at, equals = 0, 0, []
    while found[at].kind != "end":
        token = found[at]
        depth += (token.text in _OPENED) - (token.text in _CLOSED)
        if depth == 0 and token.text in (";", "\n"):
            equals = []
        elif token.text in ("with", "where", "and") and found[at + 1 : at + 2][0].kind == "name":
            if found[min(at + 2, len(found) - 1)].text == "=":
                break
        elif depth == 0 and token.kind == "operator" and token.text == "=":
            equals.append(token.place)
        at += 1
    if len(equals) < 2:
        return []
    end = found[at].place
    head, rest = text[: equals[0]], text[end:]
    made = []
    for start, stop in zip(equals, [*equals[1:], end], strict=True):
        behind = text[start:stop].lstrip("=←≈≡≔")
        behind = _COMMAND.sub("", behind, count=1) if behind[:1] == "\\" else behind
        made.append(f"{head}= {behind}{rest}")
    return made


_OPENED, _CLOSED = ("(", "[", "{", "begin"), (")", "]", "}", "end")
_COMMAND = re.compile(r"\\(?:leftarrow|gets|approx|equiv|triangleq|coloneqq)(?![A-Za-z])")


class _Reader(Operands):
    """Statements, comparisons, sums, products, powers: loosest first."""

    open = -1
    """Where an operand began that has just ended without brackets: sin x, √x, x^-1."""

    def statements(self) -> list[Statement]:
        found: list[Statement] = []
        while self.now.kind != "end":
            if self.take(";", "\n") is None:
                last = self.statement()
                found += [*self.definitions(), last]
                if self.now.kind != "end" and not self.at(";", "\n"):
                    self.unexpected()
        return found

    def unexpected(self) -> None:
        token = self.now
        if token.text == "=" and self.tokens[self.at_token - 1].text in "+-*/@%":
            self.fail("a value is not an expression with +=; write t = x + 1", token)
        if token.text in INSTEAD:
            self.fail(INSTEAD[token.text], token)
        self.fail(f"the expression does not parse: {token.text!r} is not expected here", token)

    def truth_open(self) -> bool:
        """Whether = compares: in [x = y], and in the cases of a choice."""
        return "]" in self.closing or "end" in self.closing

    def statement(self) -> Statement:
        place = self.now.place
        start = "".join(t.text for t in self.tokens[self.at_token : self.at_token + 7])
        if "d" not in self.known and _SLOPE_OF.match(start) and "=" not in start:
            why = "write the function alone, without d/dx: its derivative is what is shown"
            self.fail(why, self.now)
        target = self.target()
        return Statement(target, self.shallow(self.expression()), place)

    def definitions(self) -> list[Statement]:
        """``with u = x + 1, v = 2u``: what stands before the expression elsewhere."""
        found: dict[str, Statement] = {}
        more = self.defines(self.at_token)
        while more:
            self.take()
            made = self.statement()
            if made.name is not None:
                found[made.name] = made
            more = self.at(",") or self.defines(self.at_token)
        ordered: list[Statement] = []
        while found:  # those that others are made of first
            used = {
                name: {n.data for n in walk(made.value) if n.op == "name"} & set(found)
                for name, made in found.items()
            }
            ordered.append(found.pop(min(used, key=lambda name: bool(used[name] - {name}))))
        return ordered

    def target(self) -> str | None:
        """What stands before ``=``: a name that is assigned, or f'(x), dJ/dx, which is passed."""
        end = self.at_token
        depth = 0
        while True:
            token = self.tokens[end]
            if token.kind == "end" or (depth == 0 and token.text in (";", "\n")):
                return None
            if depth == 0 and self.defines(end):
                return None
            depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
            if depth == 0 and token.text in ("=", ":=") and token.kind == "operator":
                break
            end += 1
        left = self.tokens[self.at_token : end]
        start, self.at_token = self.at_token, end + 1
        if not left:  # a line that goes on from the one above: = 2x
            return None
        if len(left) == 1 and left[0].kind == "name":
            if "∂" in left[0].text:
                return None
            return self.spelled.setdefault(canonical(left[0].text), left[0].text)
        kinds = "".join("n" if t.kind == "name" else t.text for t in left)
        shown = "".join(t.text for t in left)
        words = sum(t.kind == "name" for t in left)
        if left[0].text in ("grad", "Grad", "Δ") and len(left) == 2:
            return None
        if kinds.startswith(("n'", "n(", "nn(")) or (shown[0] in "d∂" and "/" in kinds):
            return None
        if "frac" in kinds or (
            kinds.startswith(("n^", "(n)^")) and words < 4
        ):  # θ^{n+1}, (∇L)^{[i]}
            return None
        self.at_token = start
        return self.fail("only names are assigned: t = x**2", left[0])

    def expression(self) -> Node:
        self.nested += 1
        if self.nested > MOST_NESTED:
            self.fail(f"more than {MOST_NESTED} brackets are open at once", self.now)
        left = self.sum()
        if self.at(*COMPARED, "=") and (self.truth_open() or not self.at("=")):
            sign = self.take().text  # type: ignore[union-attr]
            left = binary(left, "==" if sign == "=" else sign, self.sum())
            if self.at(*COMPARED, "="):
                self.fail(
                    "a chain of comparisons is not part of an expression: (0 < x) * (x < 1)",
                    self.now,
                )
        self.nested -= 1
        return left

    def sum(self) -> Node:
        left = self.product()
        while token := self.take("+", "-"):
            left = binary(left, token.text, self.product())
        return left

    def product(self) -> Node:
        """Factors from left to right, with a sign between them or without."""
        left = self.signed()
        divided = None
        while True:
            token = self.now
            if token.text in _PRODUCTS and token.kind == "operator":
                if self.open >= 0 and token.text in ("/", "÷"):
                    self.said(self.open, "/…")
                self.take()
                sign, right = _PRODUCTS[token.text], self.signed()
                if sign == "/":
                    left, right = bare(left), bare(right)
                left = binary(left, sign, right)
                divided = token if token.text == "/" else None
            elif token.text == "mod" and "mod" not in self.known and token.kind == "name":
                self.take()
                left = binary(left, "%", self.signed())
            elif self.begins_operand():
                if self.open >= 0 and self.tokens[self.open].text in "√∛":
                    self.said(self.open, token.text)
                if divided is not None and not token.spaced:
                    below = self.text[divided.place + 1 : token.place].strip()
                    self.notes.append(
                        f"…/{below}{token.text} is read as (…/{below}) times {token.text}; "
                        "brackets say otherwise"
                    )
                left = binary(left, " ", self.power())
            else:
                return left

    def signed(self) -> Node:
        signs = []
        while token := self.take("+", "-"):
            signs.append(token)
        if len(signs) > MOST_NESTED:
            self.fail("the expression has too many signs in a row", signs[0])
        value = self.power()
        for token in reversed(signs):
            if token.text == "-":
                value = self.call("−", [value], token)
        return value

    def power(self) -> Node:
        """An operand with what is raised to it; powers of powers from the right."""
        first = self.at_token
        value = self.operand()
        loose = self.loose_from == first
        if loose and self.tokens[first].text in "√∛" and self.at("^", "**"):
            self.said(first, "^…")
        value = self.raised(value)
        signs = [t.text for t in self.tokens[first : self.at_token]]
        loose = loose or (len(signs) == 4 and signs[1:3] == ["^", "-"])  # x^-1/2
        self.open = first if loose and self.at_token < len(self.tokens) else -1
        return value

    def said(self, first: int, more: str) -> None:
        """A note: what was read ends here, and ``more`` is not of it."""
        start, end = self.tokens[first].place, self.now.place
        shown = self.text[start:end].strip()
        times = "" if more[0] in "^/" else " times "
        self.notes.append(
            f"{shown}{more if not times else ' ' + more} is read as ({shown}){times}{more}; "
            "brackets say otherwise"
        )

    def raised(self, base: Node) -> Node:
        chain: list[tuple[Token, str, Node]] = []
        value = base
        while self.at("^", "**", ".^", "∘"):
            token = self.take()
            assert token is not None
            if token.text == "∘":
                self.want("^", token)
            if token.text != "**" and (turned := self.turned(value)) is not None:
                value = turned
                continue
            entries = token.text in ("**", ".^", "∘")
            braced = self.at("{", "(")
            exponent = self.exponent()
            if isinstance(exponent, tuple):  # ^{\circ 2}
                entries, exponent = True, exponent[0]
            op = "**" if entries else "^"
            tight = self.now.kind in ("name", "number") and not self.now.spaced
            if not braced and tight and token.text == "^":
                shown = self.tokens[self.at_token - 1].text
                self.notes.append(
                    f"^{shown}{self.now.text} is read as ^{shown} times {self.now.text}; braces "
                    f"say otherwise: ^{{{shown}{self.now.text}}}"
                )
            if not braced and self.at("^", "**"):
                chain.append((token, op, value))
                value = exponent
                if len(chain) > MOST_NESTED:
                    self.fail("powers are nested too deeply; write t = ...; ...", token)
                continue
            value = self.powered(value, op, exponent, token)
            while chain:
                token, op, below = chain.pop()
                value = self.powered(below, op, value, token)
        return value

    def powered(self, base: Node, sign: str, exponent: Node, token: Token) -> Node:
        if sign == "^":
            if base.op == "name" and base.data == "e" and "e" not in self.known:
                return replace(call("exp", exponent, place=base.place), data="e^")
            if is_minus_one(exponent):
                return call("inverse", base)
            scientific = _power_of_ten(base, exponent)
            if scientific is not None:
                return self.leaf("number", scientific, token)
        return binary(base, sign, exponent)

    def turned(self, base: Node) -> Node | None:
        """``^T`` and ``^{-T}``, unless T is a name that was given."""
        if base.op == "number":
            if base.data != 1:
                return None
            base = Node("name", data=ONES, place=base.place)  # 1ᵀ x
        after = self.now
        if (
            after.kind == "name"
            and after.text[0] == "T"
            and canonical(after.text) not in self.known
        ):
            rest = after.text[1:]
            if rest and not after.spaced:  # A^TAx: LaTeX raises one letter
                parts = [Token("name", "T", after.place), Token("name", rest, after.place + 1)]
                self.tokens[self.at_token : self.at_token + 1] = parts
        ahead = [t.text for t in self.tokens[self.at_token : self.at_token + 4]]
        for pattern in (["T"], ["{", "T", "}"], ["{", "-", "T", "}"], ["-", "T"]):
            if ahead[: len(pattern)] == pattern and "T" not in self.known:
                self.at_token += len(pattern)
                if "-" in pattern:
                    base = call("inverse", base)
                return call("ᵀ", base)
        return None

    def exponent(self) -> Any:
        opened = self.take("{")
        if opened is None:
            sign = self.take("-", "+")
            value = bare(self.operand())
            if sign is None:
                return value
            value = self.raised(value)
            return self.call("−", [value], sign) if sign.text == "-" else value
        entries = self.take("∘") is not None
        value = self.grouped("}", opened)
        return (value,) if entries else value


_SLOPE_OF = re.compile(r"d/d[^\W\d](?!\w*=)|(frac|\\)\{d\}\{d\w\}|∂/∂")
_PRODUCTS = {
    **{sign: sign for sign in ("*", "/", "@", "%", "·", "⊙", "//", "<<", ">>")},
    ".*": "⊙", "×": "*", "./": "/", "÷": "/", "⊘": "/",
}  # fmt: skip


def _power_of_ten(base: Node, exponent: Node) -> float | None:
    """10⁻⁷ is the number 1e-07, as numbers are printed."""
    sign = 1
    if exponent.op == "−":
        sign, exponent = -1, exponent.args[0]
    whole = all(n.op == "number" and type(n.data) is int for n in (base, exponent))
    if not whole or base.data != 10 or abs(exponent.data) > 300:
        return None
    return float(f"1e{sign * exponent.data}")
