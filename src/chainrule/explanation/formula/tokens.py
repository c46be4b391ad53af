"""From text to tokens: Python's spelling, a blackboard's in Unicode, LaTeX's commands.

    >>> [t.text for t in tokens("2x² + \\\\frac{1}{σ(y)}")]
    ['2', 'x', '^', '2', '+', '\\\\frac', '{', '1', '}', '{', 'σ', '(', 'y', ')', '}']

One pass over the text, linear in its length. Raised characters become ``^`` and what it raises
to; lowered ones belong to their name: w₀ is w_0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NoReturn

from chainrule.errors import UsageError
from chainrule.explanation.formula.greek import GREEK

Kind = Literal["number", "name", "operator", "command", "end"]

MOST_CHARACTERS = 20_000


class ExpressionError(UsageError):
    """An expression that is not understood, with the place shown by a caret."""

    def __init__(self, why: str, text: str, place: int = 0) -> None:
        line = text.count("\n", 0, place)
        column = place - (text.rfind("\n", 0, place) + 1)
        source = (text.split("\n")[line] if text else "").replace("\t", " ")
        start = max(0, column - 60)
        self.why = why
        shown = source[start : column + 60]
        super().__init__(f"{why}\n  {shown}\n  {' ' * (column - start)}^")


@dataclass(frozen=True, slots=True)
class Token:
    """``place`` counts characters from the beginning; ``spaced``: a space stands before it."""

    kind: Kind
    text: str
    place: int
    spaced: bool = False


_RAISED = dict(zip(
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺⁽⁾ᵀᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", "0123456789-+()Tabcdefghijklmnoprstuvwxyz",
    strict=True,
))  # fmt: skip
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789aehijklmnoprstuvx", strict=True))
_VULGAR: Mapping[str, str] = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅙": "1/6", "⅛": "1/8",
}  # fmt: skip
_LETTER = r"[^\W\d_]"
_MARKS = "\u0302\u0303\u0304"
_BRACED = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_SUBSCRIPT = rf"_{_BRACED}|_\\[A-Za-z]+|_(?:{_LETTER}|\d)+|[{''.join(_LOWERED)}]+"
_NUMBER = re.compile(r"(?:\d+(?:\.(?![*/^'])\d*)?|\.\d+)(?:[eE][-+−]?\d+)?")
_SHIFTED = "".join([*_RAISED, *_LOWERED])
_NAME = re.compile(
    rf"_{{0,2}}(?![{_SHIFTED}ΣΠ]){_LETTER}(?:(?!_[{{\\]|[{_SHIFTED}{''.join(_VULGAR)}])[{_MARKS}\w])*"
)
_INDEX = re.compile(rf"(?:{_SUBSCRIPT})+")
_LAYERS = r"(?:(?:\\left)?[\[(](?:[\w+− -]|\\math[a-z]+ ?\{\w+\}|\\ell\b)+(?:\\right)?[\])])+"
_UPPER = re.compile(
    rf"\^\{{\s*(?P<braced>{_LAYERS})\s*(?P<turned>T|\\top|⊤)?\s*\}}"
    r"|\^\[(?P<bare>[\w+-]+)\]|⁽(?P<raised>[⁰¹²³⁴-⁹ⁱ⁺⁻ⁿ]+)⁾"
)
"""A layer in brackets above a name: a^{[1]}, h^{(k-1)}, W^{[2]T}, a^{[2](i)}, a^[1], h⁽¹⁾."""
_SETTING = re.compile(
    r"\\(?:left|right|[a-z]*style|math[a-z]+|text[a-z]*|operatorname)(?![A-Za-z])|[{}\s]"
)
"""What only sets an index: W_{\\text{out}}."""
_STAR = re.compile(r"\^\s*(?:\*(?!\*)|\\ast\b|\\star\b)|\^\s*\{\s*(?:\*|\\ast|\\star)\s*\}")
_OF_SLOPE = rf"∂({_LETTER}\w*(?:\^[\[(][\w+-]+[\])])?)"
_DERIVATIVE = re.compile(rf"{_OF_SLOPE}\s*/\s*{_OF_SLOPE}")
_COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)", re.DOTALL)

_SAME: Mapping[str, str] = {
    "−": "-", "–": "-", "⋅": "·", "∙": "·", "∗": "*", "✕": "×", "∕": "/", "≤": "<=", "≥": ">=",
    "≠": "!=", "″": "''", "′": "'", "’": "'", "∥": "‖", "∑": "Σ", "∏": "Π", "⊤": "T", "＝": "=",
    "\u2062": "", "\u2061": "", "\u200b": "", "←": "=", "≈": "=", "≡": "=", "≔": "=",
}  # fmt: skip
"""Characters that are read as others; the invisible ones of MathML as nothing."""

_OPERATORS = sorted(
    [
        *("**", "//", ".*", "./", ".^", "<=", ">=", "==", "!=", ":=", "->", "<<", ">>"),
        *"∈+-*/@%^=<>()[]{},;:.'|‖·×÷⊙⊘⊗√∛∘&Σ!?_\n~Π⌊⌋⌈⌉",
    ],
    key=len,
    reverse=True,
)

_INDEXED = ("Σ", "Π", ")", "}", "]", "|", "‖", "\U0001d7cf")
"""After these an underscore begins an index, and no name."""

_SIGNS: Mapping[str, str] = {
    "cdot": "·", "times": "×", "ast": "*", "div": "÷", "odot": "⊙", "oslash": "⊘", "circ": "∘",
    "otimes": "⊗", "le": "<=", "leq": "<=", "ge": ">=", "geq": ">=", "ne": "!=", "neq": "!=",
    "lt": "<", "gt": ">", "lVert": "‖", "rVert": "‖", "Vert": "‖", "|": "‖", "lvert": "|",
    "rvert": "|", "vert": "|", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
    "sum": "Σ", "prod": "Π", "lbrack": "[", "rbrack": "]", "prime": "'", "bmod": "%", "top": "T",
    "bullet": "⊙", "leftarrow": "=", "gets": "=", "approx": "=", "equiv": "=", "triangleq": "=",
    "coloneqq": "=", "mid": "|", "in": "∈",
}  # fmt: skip
"""LaTeX's commands for signs."""

ONES = "\U0001d7cf"
"""𝟏, the vector of ones; of an indicator it is the number."""
_ONES = ONES + "\U0001d7d9"
_SCRIPT = "ℎℬℰℱℋℐℒℳℛℯℊℴℂℍℕℙℚℝℤℑℜ"
"""Letters of those alphabets that Unicode had before."""

_SPACES = frozenset(
    (
        *(",;:!~ ()[]"),
        *("left", "right", "big", "Big", "bigl", "bigr", "displaystyle", "quad", "qquad", "limits"),
    )
)
_STYLES = frozenset(
    (
        *("mathbf", "boldsymbol", "bm", "mathrm", "operatorname", "mathit", "text", "vec"),
        *("mathsf", "mathbb", "mathcal", "pmb"),
    )
)
_ACCENTS: Mapping[str, str] = {
    "hat": "\u0302", "widehat": "\u0302", "bar": "\u0304", "tilde": "\u0303",
}  # fmt: skip
_WORDS: Mapping[str, str] = {
    "arsinh": "arcsinh", "artanh": "arctanh", "arcosh": "arccosh", "atan2": "arctan2",
    "infty": "∞", "lambda": "λ",
}  # fmt: skip
_LETTERS: Mapping[str, str] = {name: letter for letter, name in GREEK.items()} | {"varepsilon": "ε"}
_HINTS: Mapping[str, str] = {
    **dict.fromkeys("→↦", ": write the formula alone, x^2 for x ↦ x^2"),
    "°": ": angles are in radians, 45 pi/180",
    "∫": ": write the function that is to be differentiated",
}


def tokens(text: str) -> list[Token]:
    """All of them, an ``end`` last.

    Raises:
        ExpressionError: a character that no formula has, or a text that is too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"the expression has {len(text)} characters, more than the {MOST_CHARACTERS} that are "
            "read; explain a part of it, or a Python function with cr.explain"
        )
    return list(_Lexer(text).all())


def _upright(text: str) -> str:
    """Letters of the alphabets that mathematics has in Unicode, 𝑥, as plain ones."""
    return "".join(
        unicodedata.normalize("NFKC", c)
        if ("\U0001d400" <= c <= "\U0001d7ff" and c not in _ONES) or c in _SCRIPT
        else c
        for c in text
    )


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text, self.spaced = _upright(text), False
        # dollar signs of Markdown and LaTeX around the whole, a full stop behind it
        self.place = len(text) - len(text.lstrip("$ \n\t"))
        self.stop = len(text.rstrip("$ \n\t").removesuffix(".").rstrip("$ \n\t"))
        self.last = ""
        self.after: list[Token] = []  # what a name's layer was transposed by

    def all(self) -> Iterator[Token]:
        text = self.text
        while self.place < self.stop:
            c = text[self.place]
            if c in " \t\r\u00a0\u2009\u202f" or _SAME.get(c) == "":
                self.spaced = self.spaced or c != "\u2062"
                self.place += 1
            else:
                for token in self.one(c):
                    self.last = token.text
                    yield token
                yield from self.after
                self.after = []
        yield Token("end", "", len(text), True)

    def token(self, kind: Kind, text: str, length: int) -> Token:
        made = Token(kind, text, self.place, self.spaced)
        self.place, self.spaced = self.place + length, False
        return made

    def one(self, c: str) -> Iterator[Token]:
        text, place = self.text, self.place
        if c in _RAISED or c in _LOWERED:
            yield from self.shifted(c)
        elif c in _VULGAR:
            if self.last.isdigit() and not self.spaced:
                fail(f"{self.last}{c} is written {self.last} + {c} in brackets", text, place)
            yield from self.group(_VULGAR[c], 1)
        elif c == "_" and self.last in _INDEXED:
            yield self.token("operator", "_", 1)
        elif c == "∇":
            self.place += 1
            yield from self.gradient()
        elif c in _ONES:
            yield self.token("name", ONES, 1)
        elif found := _NUMBER.match(text, place):
            yield self.token("number", found[0].replace("−", "-"), len(found[0]))
        elif c == "\\":
            yield from self.command()
        elif found := _DERIVATIVE.match(text, place):
            yield self.token("name", f"∂{found[1]}/∂{found[2]}", len(found[0]))
        elif c == "∂":
            yield self.token("name", c, 1)
        elif (found := _NAME.match(text, place)) and c not in _SAME:
            if found[0] == "nabla":
                self.place += len(found[0])
                yield from self.gradient()
            else:
                yield self.word(found[0], len(found[0]))
        else:
            yield self.operator(c)

    def word(self, word: str, length: int) -> Token:
        """A name with its index: ``w_0``, ``w₀`` and ``w_{0}`` are spelled w_0."""
        index = _INDEX.match(self.text, self.place + length)
        if index is not None:
            lowered = "".join(_LOWERED.get(c, c) for c in self.plain(index[0]))
            word += "_" + lowered.strip("_")
            length += len(index[0])
        if star := _STAR.match(self.text, self.place + length):
            base, _, index_ = word.partition("_")
            word = f"{base}star" + (f"_{index_}" if index_ else "")
            length += len(star[0])
        elif (upper := _UPPER.match(self.text, self.place + length)) and (
            word != "e" or (upper["braced"] or "")[:1] != "("  # e^{(x)} is a power
        ):
            length += len(upper[0])
            word += self.layer(upper)
            if upper["turned"]:
                end = self.place + length
                self.after = [Token("operator", "^", end), Token("name", "T", end)]
        return self.token("name", unicodedata.normalize("NFC", word), length)

    def gradient(self) -> Iterator[Token]:
        """∇L as one name; of ∇_W L the W, which the place of the result says, is passed."""
        if self.text[self.place] == "_":
            self.place = self.argument(self.place + 1)[1]
        while self.text[self.place : self.place + 1].isspace():
            self.place += 1
        found = _NAME.match(self.text, self.place)
        named = self.text[self.place : self.place + 1] == "\\"
        if found is None and named and not self.text.startswith(r"\nabla", self.place):
            for token in self.command():  # \nabla \Omega
                yield replace(token, text=f"∇{token.text}")
            return
        if found is None:
            fail("∇ has a name after it: ∇L", self.text, self.place)
        yield self.word("∇" + found[0], len(found[0]))

    def layer(self, found: re.Match[str]) -> str:
        """``^[1]`` or ``^(1)``, as part of a name."""
        if found["raised"]:
            return "^(" + "".join(_RAISED.get(c, c) for c in found["raised"]) + ")"
        if found["bare"]:
            return f"^[{found['bare']}]"
        return "^" + self.plain(found["braced"]).replace("−", "-")

    def plain(self, said: str) -> str:
        """An index or a layer without what only sets it, its Greek letters as such."""
        shown = re.sub(r"\\([A-Za-z]+)", lambda m: _LETTERS.get(m[1], m[0]), said)
        shown = _SETTING.sub("", shown)
        if "\\" in shown:
            fail(f"an index has letters and digits, not {shown}", self.text, self.place)
        return shown

    def shifted(self, c: str) -> Iterator[Token]:
        """x² as x^{2}, and a lowered index that follows no name, Σᵢ, as Σ_{i}."""
        table, sign = (_RAISED, "^") if c in _RAISED else (_LOWERED, "_")
        end = self.place
        while end < len(self.text) and self.text[end] in table:
            end += 1
        inside = "".join(table[x] for x in self.text[self.place : end])
        yield Token("operator", sign, self.place, self.spaced)
        self.spaced = False
        yield from self.group(inside, end - self.place)

    def group(self, inside: str, length: int) -> Iterator[Token]:
        """What one character stands for, in braces."""
        start, spaced = self.place, self.spaced
        yield Token("operator", "{", start, spaced)
        yield from (Token(t.kind, t.text, start, t.spaced) for t in _Lexer(inside).all() if t.text)
        yield Token("operator", "}", start)
        self.place, self.spaced = start + length, False

    def operator(self, c: str) -> Token:
        if c == "∞":
            return self.token("name", c, 1)
        same = _SAME.get(c)
        if same is not None:
            return self.token("name" if same == "T" else "operator", same, 1)
        if c in '"`':
            return fail("a string is not part of an expression", self.text, self.place)
        for sign in _OPERATORS:
            if self.text.startswith(sign, self.place):
                return self.token("operator", sign, len(sign))
        if not c.isprintable():
            shown = c.encode("unicode_escape").decode()
            return fail(f"an invisible character, {shown}", self.text, self.place)
        hint = _HINTS.get(c, "")
        return fail(f"{c} is not part of an expression{hint}", self.text, self.place)

    def command(self) -> Iterator[Token]:
        """A command of LaTeX: a sign, a space, a letter, a word in a style, or its own token."""
        found = _COMMAND.match(self.text, self.place)
        if found is None:
            fail("a backslash at the end", self.text, self.place)
        name, length = found[0][1:], len(found[0])
        if name in _SPACES:
            self.place, self.spaced = self.place + length, True
        elif name in _SIGNS:
            sign = _SIGNS[name]
            yield self.token("name" if sign == "T" else "operator", sign, length)
        elif name == "partial":
            yield self.token("name", "∂", length)
        elif name == "nabla":
            self.place += length
            yield from self.gradient()
        elif name in ("{", "}"):
            yield self.token("operator", name, length)
        elif name in _STYLES or name in _ACCENTS:
            yield self.styled(name, length)
        elif name in _LETTERS or name in _WORDS:
            yield self.word(_LETTERS.get(name) or _WORDS[name], length)
        elif name in COMMANDS:
            yield self.word(name, length)
        elif name in ("frac", "dfrac", "tfrac", "sqrt", "begin", "end", "\\"):
            yield self.token("command", name.removeprefix("d").removeprefix("t"), length)
        else:
            fail(f"\\{name} is no command of LaTeX that is read here", self.text, self.place)

    def styled(self, name: str, length: int) -> Token:
        """A letter or word in a style or under an accent, in braces or the next letter."""
        inside, end = self.argument(self.place + length)
        accent = _ACCENTS.get(name, "")
        while inside.startswith("\\"):
            command = _COMMAND.match(inside)
            assert command is not None
            word, rest = command[0][1:], inside[command.end() :].strip().strip("{}")
            if word in _LETTERS or not (word in _STYLES or word in _ACCENTS):
                inside = _LETTERS.get(word, word) + rest
                break
            accent += _ACCENTS.get(word, "")
            inside = rest
        inside = inside.replace("\\_", "_").strip("() ")
        if not inside:
            fail(f"\\{name} has something in braces after it", self.text, self.place)
        bold = name in ("mathbf", "boldsymbol", "bm", "mathbb", "pmb")
        if (inside == "1" and bold) or (inside == "I" and name == "mathbb"):
            return self.token("name", ONES, end - self.place)
        if inside.replace(".", "").isdigit():
            return self.token("number", inside, end - self.place)
        return self.word(_WORDS.get(inside, inside) + accent, end - self.place)

    def argument(self, start: int) -> tuple[str, int]:
        """What a command of LaTeX is applied to, and where that ends."""
        text = self.text
        while start < len(text) and text[start] == " ":
            start += 1
        if text[start : start + 1] != "{":
            found = _COMMAND.match(text, start)
            end = found.end() if found else min(start + 1, len(text))
            return text[start:end], end
        depth = 0
        for end in range(start, len(text)):
            depth += (text[end] == "{") - (text[end] == "}")
            if depth == 0:
                return text[start + 1 : end].strip(), end + 1
        return fail("a brace is open to the end", text, start)


COMMANDS = frozenset(
    (
        *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "exp", "log"),
        *("ln", "max", "min", "det", "tr", "sec", "csc", "cot", "coth"),
    )
)
"""Commands that are a function's name."""


def fail(why: str, text: str, place: int) -> NoReturn:
    raise ExpressionError(why, text, place)
