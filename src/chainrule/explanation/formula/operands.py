"""Operands: numbers, names, functions, what stands between brackets and bars, LaTeX's commands."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from chainrule.explanation.formula.commands import Commands
from chainrule.explanation.formula.cursor import (
    INSTEAD,
    PYTHON,
    WHOLE,
    by_entries,
    canonical,
    is_minus_one,
    is_ones,
    is_whole,
    pieces,
)
from chainrule.explanation.formula.greek import GREEK
from chainrule.explanation.formula.node import COMPARED, Node, binary, call, walk
from chainrule.explanation.formula.spelling import OVER, SLOPE
from chainrule.explanation.formula.tokens import ONES, Token, fail

MOST_SUMS = 4


class IsName(Exception):
    """A letter that may be a function stands for a number: σ in σ², so also in σ (x − μ)."""


class Operands(Commands):
    """What powers and products are made of."""

    def operand(self) -> Node:
        token = self.now
        if token.kind == "number":
            self.take()
            if token.text == "1" and self.at("'"):
                return self.postfix(self.leaf("name", ONES, token))
            return self.number(token)
        if token.kind == "name":
            value = self.name()
        elif token.kind == "command":
            value = self.command()
        else:
            value = self.bracketed()
        return self.postfix(value)

    def number(self, token: Token) -> Node:
        text = token.text
        after = self.now
        if after.text == "j" and not after.spaced and after.text not in self.known:
            self.fail("a complex number is not part of an expression; only real ones are", token)
        whole = text.isdigit()
        if whole and len(text) > 4000:
            self.fail("the number is too large", token)
        value = int(text) if whole else float(text)
        if value == float("inf"):
            self.fail("the number is too large", token)
        return self.leaf("number", value, token)

    def bracketed(self) -> Node:
        token = self.take()
        assert token is not None
        match token.text:
            case "(":
                if self.at(")"):
                    self.fail("nothing stands between the brackets", self.now)
                return replace(self.grouped(")", token), bracket="(")
            case "{":
                said = "{" if self.text[token.place] == "\\" else ""  # \{ is printed, { is not
                return replace(self.grouped("}", token), bracket=said)
            case "[":
                return self.truth(token)
            case "|" | "‖":
                return self.between_bars(token)
            case "'":
                self.fail("a string is not part of an expression", token)
            case "⌊":
                return self.call("floor", [self.grouped("⌋", token)], token)
            case "⌈":
                return self.call("ceil", [self.grouped("⌉", token)], token)
            case "√" | "∛":
                name = "sqrt" if token.text == "√" else "cbrt"
                at = self.at_token - 1
                bare = not self.at("(")
                value = self.call(name, [self.root_of(token)], token)
                self.loose_from = at if bare else self.loose_from
                return value
            case "Σ" | "Π":
                return self.summed("sum" if token.text == "Σ" else "prod", token)
        why = "it ends too early" if token.kind == "end" else f"{token.text!r} is not expected here"
        hint = INSTEAD.get(token.text, f"the expression does not parse: {why}")
        return self.fail(hint, token)

    def truth(self, token: Token) -> Node:
        """[x > 0]: 1 where it holds, 0 elsewhere; 2[x + 1]: brackets. A list of values stays a
        list."""
        at = self.at_token - 1
        listed = at > 0 and self.tokens[at - 1].text in ("[", ",")  # [[1], [2]]
        items = self.listed(token)
        if len(items) == 1 and items[0].op in COMPARED:
            return self.call("indicator", items, token)
        whole = at == 0 and self.now.kind == "end"
        if len(items) == 1 and not (whole or listed or items[0].op == "list"):
            return replace(items[0], bracket="[")
        return self.call("list", items, token)

    def between_bars(self, token: Token) -> Node:
        """|x|, and ‖x‖ in either spelling."""
        double = token.text == "‖"
        if not double and self.at("|") and not self.now.spaced:
            double = self.pair_closes()
            if double:
                self.take()
        if token.text == "‖":
            value = self.grouped("‖", token)
        elif double:
            self.closing.append("||")
            value = self.expression()
            self.closing.pop()
            self.want("|", token)
            self.want("|", token)
        else:
            value = self.grouped("|", token)
        name = "norm" if double else "abs"
        if double and self.take("_"):
            return self.which_norm(value, token)
        return self.call(name, [value], token)

    def which_norm(self, value: Node, token: Token) -> Node:
        """‖x‖_2 and ‖W‖_F are the root of the sum of squares, ‖x‖_1 the sum of sizes."""
        opened = self.take("{")
        found = self.take()
        if opened:
            self.want("}", opened)
        which = found.text if found else ""
        if which not in ("1", "2", "F"):
            self.fail("norms are read with 1, 2 or F", token)
        return replace(self.call("norm1" if which == "1" else "norm", [value], token), data=which)

    def pair_closes(self) -> bool:
        """Whether the next bars after ``||`` are a pair too, so that it is ‖ and no |(|x|...)|."""
        for i in range(self.at_token + 1, len(self.tokens) - 1):
            if self.tokens[i].text == "|" and self.tokens[i].kind == "operator":
                after = self.tokens[i + 1]
                return after.text == "|" and not after.spaced
        return False

    def root_of(self, token: Token) -> Node:
        if opened := self.take("("):
            return self.grouped(")", opened)
        self.deeper(token)
        value = self.operand()
        self.nested -= 1
        return value

    def summed(self, name: str, token: Token) -> Node:
        """``Σ x``, and ``Σ_i w_i x_i`` over the entries of what has the index."""
        if self.take("_") is None:
            if not self.begins_operand():
                self.fail(f"{token.text} has something to add after it", token)
            self.deeper(token)
            value = self.call(name, [self.power()], token)  # Σ (W x)² adds squares
            self.nested -= 1
            return self.over_axis(value)
        (index, lower), upper = self.index_of_sum(token), ""
        if sign := self.take("^"):
            above = self.exponent()
            if above.op != "name":
                self.fail("a sum is over all entries; bounds that are numbers are not read", sign)
            upper = above.data
        return self.over_index(name, index, token, (lower, upper))

    def index_of_sum(self, token: Token) -> tuple[str, str]:
        """``i``, ``{i}``, ``{i=1}``, ``{i=0}``: the name and what is said of its start."""
        opened, start = self.take("{"), ""
        found = self.take()
        assert found is not None
        if found.kind != "name":
            self.fail("a sum is over an index: sum_i w_i x_i", found)
        if opened:
            if sign := self.take("∈"):  # a set, over which the entries are
                start = f"∈{self.take().text}"  # type: ignore[union-attr]
            elif sign := self.take("="):
                start = f"={self.take().text}"  # type: ignore[union-attr]
                if start not in ("=0", "=1"):
                    self.fail("a sum is over all entries; other bounds are not read", sign)
            if self.at("!=", "<", ">", "<=", ">="):
                self.fail("a sum is over all entries; other bounds are not read", self.now)
            self.want("}", opened)
        return found.text, start

    def over_index(
        self, name: str, index: str, token: Token, bounds: tuple[str, str] = ("", "")
    ) -> Node:
        if index in self.sums or len(self.sums) == MOST_SUMS:
            most = f"at most {MOST_SUMS} sums stand in each other, each with an index of its own"
            self.fail(most, token)
        self.sums.append(index)
        first = self.at_token
        value = by_entries(self.shallow(self.product()))
        names = {t.text for t in self.tokens[first : self.at_token] if t.kind == "name"}
        self.in_sums |= names - self.whole
        if index not in self.used:
            self.fail(f"nothing in this sum has the index {index}, as in x_{index}", token)
        self.used.discard(self.sums.pop())
        return replace(self.call(name, [value], token), data=(index, *bounds))

    def name(self) -> Node:
        token = self.take()
        assert token is not None
        word, _, index = token.text.partition("_")
        python = token.text in PYTHON and token.text not in self.known
        if python and (token.text != "lambda" or self.at(":") or self.after.text in (":", ",")):
            self.fail(PYTHON[token.text], token)
        if canonical(token.text) in self.known:
            return self.named(token.text, token)
        if python:
            return self.named("λ", token)
        if word in ("sum", "Σ") and index:
            return self.over_index("sum", index, token)
        if token.text in self.functions:
            return self.applied(token.text, token)
        if (low := token.text.lower()) in self.functions and len(low) > 1 and self.begins_operand():
            return self.applied(low, token)  # Cos x, as telephones spell it
        if word == "log" and index and index not in self.spelled:
            return self.logarithm(index, token)
        if self.sums and (found := self.without_index(token.text)):
            whole, indexes = found
            if "_" not in whole and canonical(whole) not in self.known and self.split(token):
                return self.name()  # c x_i, written close
            self.used.update(indexes)
            places = tuple(self.sums.index(index) for index in indexes)
            said = (token.text, places, len(self.sums))
            return replace(self.call("indexed", [self.named(whole, token)], token), data=said)
        if index and canonical(word) in self.known and index.replace(",", "").isdigit():
            self.notes.append(f"{token.text} is read as the entry {word}[{index}], counted from 0")
            return self.entry(self.named(word, token), index, token)
        return self.name() if self.split(token) else self.named(token.text, token)

    def named(self, name: str, token: Token) -> Node:
        return self.leaf("name", self.spelled.setdefault(canonical(name), name), token)

    def entry(self, base: Node, index: str, token: Token) -> Node:
        parts = [self.leaf("number", int(i), token) for i in index.split(",") if i]
        return Node("Subscript", (base, *parts), place=token.place)

    def split(self, token: Token) -> bool:
        """``xy`` as x and y, where both are given and xy is not: tokens of their own."""
        word, _, index = token.text.partition("_") if self.sums else (token.text, "", "")
        parts = pieces(word, self.known, self.functions)
        if parts and index:
            parts[-1] += f"_{index}"
        word = token.text
        letters = word.isalpha() and 2 <= len(word) <= 4 and canonical(word) not in GREEK.values()
        if parts is None and self.loose and letters and self.known & set(word):
            parts = list(word)
            self.notes.append(f"{word} is read as {' '.join(word)}")
        if parts is None:
            return False
        place = token.place
        made = []
        for part in parts:
            kind = "number" if part.isdecimal() else "name"
            made.append(Token(kind, part, place, token.spaced and place == token.place))
            place += len(part)
        self.at_token -= 1
        self.tokens[self.at_token : self.at_token + 1] = made
        return True

    def logarithm(self, base: str, token: Token) -> Node:
        if base in ("2", "10"):
            return self.applied(f"log{base}", token)
        value = self.applied("log", token)
        digits = base.isdigit()
        below = self.leaf("number", int(base), token) if digits else self.named(base, token)
        return binary(value, "/", self.call("log", [below], token))

    def applied(self, name: str, token: Token) -> Node:
        """A function with its arguments in brackets, or with what stands beside it."""
        at, raised = self.at_token - 1, None
        if self.at("^") and not (
            self.after.text == "{" and self.tokens[self.at_token + 2].text == "T"
        ):
            sign = self.take()
            assert sign is not None
            raised = (self.exponent(), sign)
        if self.at("'") and self.after.text == "(" and name + SLOPE in self.functions:  # σ'(x)
            self.take()
            name += SLOPE
        if opened := self.take("("):
            args = self.arguments(opened)
            args = [replace(args[0], bracket="f(")] if len(args) == 1 else args
            value = self.call(name, args, token)
        elif name in ("max", "min") and (opened := self.take("{")):
            value = replace(self.call(name, self.arguments(opened, "}"), token), data="{")
        elif self.begins_operand() or self.at("-"):
            self.deeper(token)
            value = self.call(name, [self.beside(token)], token)
            self.nested -= 1
            self.loose_from = at
        else:
            if canonical(name) == "sigma" and not self.at("'"):
                raise IsName(name)
            less = f", or give it a value, {name}=2" if len(name) == 1 else ""
            return self.fail(f"{name} is a function; call it, {name}(x){less}", token)
        value = self.over_axis(value)
        if raised is None:
            return value
        exponent, sign = raised
        if is_minus_one(exponent):
            inverse = f"arc{name}"
            if name in ("sin", "cos", "tan", "sinh", "cosh", "tanh"):
                self.notes.append(f"{name}⁻¹ is read as {inverse}; 1/{name} is ({name} x)⁻¹")
                return replace(value, op=inverse)
        return self.powered(value, "^", exponent, sign)

    def over_axis(self, value: Node) -> Node:
        """``mean(X) (over axis 0)``, as it is printed."""
        word = self.now.text
        said, over, number = word.partition(f"{OVER} ")
        if over and not said and number.isdigit():  # LaTeX's text
            self.take()
            axis = number
        elif self.at("(") and self.after.text == "over":
            ahead = [t.text for t in self.tokens[self.at_token : self.at_token + 5]]
            if len(ahead) < 5 or ahead[2] != "axis" or not ahead[3].isdigit() or ahead[4] != ")":
                return value
            self.at_token += 5
            axis = ahead[3]
        else:
            return value
        number = self.leaf("number", int(axis), self.now)
        return replace(value, op=f"{value.op} {OVER}", args=(*value.args, number))

    def arguments(self, opened: Token, close: str = ")") -> list[Node]:
        found: list[Node] = []
        while not self.at(close):
            self.closing.append(close)
            found.append(self.expression())
            self.closing.pop()
            if self.take(",") is None:
                break
        self.want(close, opened)
        return found

    def beside(self, token: Token) -> Node:
        """sin 2x, log₂ x, Σ W⁻¹, log σ(x): numbers, then names that stand close, with powers."""
        if sign := self.take("-"):
            self.deeper(sign)
            value = self.call("−", [self.beside(token)], sign)
            self.nested -= 1
            return value
        first = self.now
        value = self.power()
        simple = first.kind in ("number", "name") and first.text not in self.functions
        while simple and self.begins_operand() and self.now.kind == "name":
            word = self.now.text
            if (pieces(word, self.known, self.functions) or [word])[0] in self.functions:
                break
            if self.now.spaced and first.kind != "number":
                self.notes.append(
                    f"{token.text} {first.text} {self.now.text} is read as "
                    f"{token.text}({first.text}) times {self.now.text}"
                )
                break
            first = self.now
            value = binary(value, " ", self.power())
        return value

    def postfix(self, value: Node) -> Node:
        """Transposes and entries."""
        while True:
            token = self.now
            if token.text == "'" and token.kind == "operator":
                self.take()
                value = call("ᵀ", value)
            elif token.text == "." and self.after.kind == "name":
                if self.after.text != "T":
                    fail(
                        "an attribute is not part of an expression: the only attribute is .T, the "
                        "transpose; functions are written without np. or math., as in sin(x)",
                        self.text,
                        value.place,
                    )
                self.at_token += 2
                value = call("ᵀ", value)
            elif token.text == "[" and not token.spaced and value.op != "number":
                self.take()
                items = self.listed(token)
                if len(items) == 1 and items[0].op in COMPARED:
                    return binary(value, " ", self.call("indicator", items, token))
                if len(items) == 1 and value.op != "name" and not is_whole(items[0]):
                    return binary(value, " ", replace(items[0], bracket="("))
                value = call("Subscript", value, *items)
            elif token.text == "_" and self.after.text == "{" and is_ones(value):
                self.take()
                opened = self.take("{")
                assert opened is not None
                value = self.call("indicator", [self.grouped("}", opened)], token)
            elif token.text == "_" and self.sums and (length := self.has_index()):
                self.at_token += length  # (W x)_i, in a sum over i
                self.used.add(self.sums[-1])
                self.whole |= {n.data for n in walk(value) if n.op == "name"}
                if value.args:
                    value = replace(value, data=WHOLE)
                elif value.bracket:
                    value = replace(value, bracket="(_")
            elif token.text == "(" and value.op == "name":
                self.called(value, token)
                return value
            else:
                return value

    def has_index(self) -> int:
        """How many signs an index is long, ``_i`` or ``_{i}``, if it is that of the sum."""
        ahead = [t.text for t in self.tokens[self.at_token + 1 : self.at_token + 4]]
        if ahead[:1] == self.sums[-1:]:
            return 2
        return 4 if ahead == ["{", self.sums[-1], "}"] else 0

    def called(self, value: Node, opened: Token) -> None:
        """``x(x + 1)`` is a product where x is one letter; else a function that is not known."""
        name = value.data
        if len(name.partition("_")[0]) != 1 and canonical(name) not in self.known:
            self.take()
            self.arguments(opened)  # what they say comes first
            there = sorted(word for word in self.functions if word.isidentifier())
            near = get_close_matches(name, there, 3)
            said = f"is {' or '.join(near)} meant?" if near else f"there are {', '.join(there)}"
            why = f"no function is called {name}; {said}"
            fail(why, self.text, value.place)
