"""Where a reader stands in the tokens, and how it makes nodes of a syntax tree."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.formula.greek import GREEK, SHORT_GREEK
from chainrule.explanation.formula.node import Node, is_binary
from chainrule.explanation.formula.tokens import COMMANDS, ONES, Token, fail, tokens

MOST_NESTED = 40
MOST_DEPTH = 100
MOST_LETTERS = 200
_ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde"}
SIDE = (" ", "·")
"""Signs of a product without a sign, or with ·: of numbers, a number and an array, two arrays."""
ENTRYWISE = {" ": "*", "·": "*", "^": "**"}
"""What these are of entries. ``⊙`` is a product of entries where * may be one of matrices."""
_SHORT = re.compile(rf"({'|'.join(SHORT_GREEK)})(?![a-z])")
_LAYERED = re.compile(r"([^\W_]+)(?:_(\w+))?\^([^\W_](?:[^\W_]|[+-])*)(?:_([^\W_]+))?\Z")
"""A name with a layer above it that has no brackets: a^L, a^L_j, a_j^L."""
_NAMES = re.compile(r"([∂/])")
_BRACES = str.maketrans("", "", "{}")
_INDEXED = re.compile(r"(.*[^_])_(?P<index>[\w,]+)((?:\^.*)?)")
WHOLE = "whole"
BARE = COMMANDS - {"max", "min", "det", "tr"}
"""Functions of which a number may stand close: ln2, cos2x."""


def canonical(name: str) -> str:
    """What spellings of one name share: w₀, w_0 and w0; α and alpha; ŷ and yhat."""
    shown = "".join(GREEK.get(c, c) for c in unaccented(name).translate(_BRACES))
    if "^" in shown:  # of a slope ∂C/∂a^L_j each name
        shown = "".join(map(_in_order, _NAMES.split(shown)))
    base, _, index = shown.rpartition("_")
    shown = base + index if base and index.isdigit() else shown
    short = _SHORT.match(shown)
    return f"{SHORT_GREEK[short[1]]}{shown[short.end() :]}" if short else shown


def _in_order(name: str) -> str:
    """The index before the layer: a_j^L for a^L_j."""
    layered = _LAYERED.fullmatch(name)
    if layered is None or not (layered[2] or layered[4]):
        return name
    return f"{layered[1]}_{layered[2] or layered[4]}^{layered[3]}"


def unaccented(name: str) -> str:
    """ŷ as yhat."""
    return "".join(_ACCENTS.get(c, c) for c in unicodedata.normalize("NFD", name))


class Cursor:
    """Tokens, one after the other; ``expression`` and ``power`` are of the grammar above it."""

    def __init__(
        self,
        text: str,
        functions: Collection[str],
        given: Collection[str],
        loose: bool = False,
    ) -> None:
        self.text = text
        self.tokens = _whole_names(tokens(text), given)
        self.at_token = 0
        self.functions = functions
        self.spelled = {canonical(name): name for name in given}
        self.known = frozenset(self.spelled)
        self.closing: list[str] = []
        self.nested = 0
        self.sums: list[str] = []  # the indexes of the sums that are being read
        self.used: set[str] = set()  # those of them that something has
        self.in_sums: set[str] = set()
        self.whole: set[str] = set()  # names in brackets that have the index of a sum
        self.loose = loose
        self.loose_from = -1
        """Where a function or root without brackets began that has just been read."""
        self.notes: list[str] = []

    @property
    def now(self) -> Token:
        return self.tokens[self.at_token]

    @property
    def after(self) -> Token:
        return self.tokens[min(self.at_token + 1, len(self.tokens) - 1)]

    def at(self, *signs: str) -> bool:
        return self.now.kind in ("operator", "command") and self.now.text in signs

    def take(self, *signs: str) -> Token | None:
        if signs and not self.at(*signs):
            return None
        self.at_token += 1
        return self.tokens[self.at_token - 1]

    def want(self, sign: str, opened: Token) -> None:
        if self.take(sign) is None:
            what = "the end" if self.now.kind == "end" else repr(self.now.text)
            if instead := INSTEAD.get(self.now.text) or PYTHON.get(self.now.text):
                self.fail(instead, self.now)
            self.fail(
                f"the expression does not parse: {opened.text} is open, {sign} is wanted and not "
                f"{what}",
                self.now,
            )

    def fail(self, why: str, token: Token) -> Any:
        return fail(why, self.text, token.place)

    def call(self, word: str, args: list[Node], token: Token) -> Node:
        return Node(word, tuple(args), place=token.place)

    def leaf(self, kind: str, data: Any, token: Token) -> Node:
        return Node(kind, data=data, place=token.place)

    def shallow(self, node: Node) -> Node:
        """``node``, unless it is nested so deeply that those who walk it could not."""
        level = [node]
        for _ in range(MOST_DEPTH):
            level = [part for above in level for part in above.args]
            if not level:
                return node
        return self.too_deep(node.place)

    def too_deep(self, place: int) -> Any:
        why = "the expression is nested too deeply; write it in steps: t = ..."
        return fail(why, self.text, place)

    def defines(self, at: int) -> bool:
        """Whether ``with u = ...`` begins at a token."""
        word, name, sign = [*self.tokens[at : at + 3], *[self.tokens[-1]] * 2][:3]
        return word.text in ("with", "where", "and") and name.kind == "name" and sign.text == "="

    def begins_operand(self) -> bool:
        token = self.now
        if token.kind == "name":
            return not self.defines(self.at_token)
        if token.kind == "number":
            return self.tokens[self.at_token - 1].kind != "number"
        if token.kind == "command":
            return token.text in ("frac", "sqrt", "begin")
        if token.text in ("|", "‖"):
            return not self.closing or self.closing[-1] not in (token.text, "||")
        return token.text in _OPENING

    def deeper(self, token: Token) -> None:
        self.nested += 1
        if self.nested > MOST_NESTED:
            self.too_deep(token.place)

    def listed(self, opened: Token) -> list[Node]:
        """What stands between square brackets, at its commas."""
        self.closing.append("]")
        items = [self.expression()]
        while self.take(","):
            items.append(self.expression())
        self.closing.pop()
        self.want("]", opened)
        return items

    def grouped(self, close: str, opened: Token) -> Node:
        self.closing.append(close)
        value = self.expression()
        self.closing.pop()
        self.want(close, opened)
        return value

    def without_index(self, text: str) -> tuple[str, list[str]] | None:
        """A name in sums over i and j without those indexes, and these: z for z_i and z^(i), W for
        W_ij, W_k for W_ki, z^[1] for z_i^[1], ∂z/∂y for ∂z/∂y_i; None where it has none."""
        if len(text) > MOST_LETTERS:
            return None
        above, sign, below = text.partition("/")
        if sign:
            parts = [self.without_index(part) or (part, []) for part in (above, below)]
            whole, indexes = sign.join(p[0] for p in parts), [i for p in parts for i in p[1]]
            return (whole, indexes) if indexes else None
        for index in self.sums:
            if text.endswith(f"({index})"):
                return text.removesuffix(f"({index})").removesuffix("^"), [index]
        found = _INDEXED.fullmatch(text)
        if found is None:
            return None
        letters = sorted(self.sums, key=len, reverse=True)
        parts = re.findall("|".join([*map(re.escape, letters), r"[^\W_]"]), found["index"])
        indexes = [part for part in parts if part in self.sums]
        rest = "".join(part for part in parts if part not in self.sums)
        whole = f"{found[1]}{'_' if rest else ''}{rest}{found[3]}"
        if not indexes or (rest and canonical(whole) not in self.known):
            return None
        return whole, indexes

    def expression(self) -> Node: ...

    def power(self) -> Node: ...

    def operand(self) -> Node: ...

    def number(self, token: Token) -> Node: ...

    def name(self) -> Node: ...

    def product(self) -> Node: ...

    def exponent(self) -> Any: ...

    def powered(self, base: Node, sign: str, exponent: Node, token: Token) -> Node: ...


_OPENING = frozenset("([{√∛ΣΠ⌊⌈")
INSTEAD = {
    ",": "a comma stands between arguments of a function only; decimals have a point, 0.5",
    ":": "a slice is not part of an expression; an index is a whole number, as in x[0] or W[1, 2]; "
    "a quotient is a/b",
    ".": "a dot stands in numbers and before T only",
    ":=": "a name is assigned before the expression: t = x**2; sin(t)",
    "=": "named arguments and a second = are not part of an expression; a comparison is ==",
    "?": "a choice is written where(condition, a, b)",
    "!": "factorials are not part of an expression",
    "⊗": "a product of tensors is not part of an expression",
    "*": "a star before a value is not part of an expression",
    "**": "stars before a value, named arguments, are not part of an expression",
    "~": "~ is not part of an expression",
    "[": "a list is given as a value, x=[1, 2]",
    "_": "an entry is written in brackets, counted from 0: softmax(z)[0]",
}
_CHOICE = "a choice is written where(condition, a, b)"
_STATEMENT = "a statement is not an expression"
PYTHON = {
    "if": _CHOICE,
    "else": _CHOICE,
    **dict.fromkeys(("and", "or"), f"and, or are not part of an expression; {_CHOICE}"),
    **dict.fromkeys(("not", "is", "in"), "not, is, in are not part of an expression"),
    "lambda": "a lambda is not part of an expression",
    "for": "a comprehension is not part of an expression",
    **dict.fromkeys(
        ("True", "False"), "a bool is not part of an expression; only real numbers are"
    ),
    "lim": "a limit is not part of an expression: write the function that is differentiated",
    "None": "a NoneType is not part of an expression; only real numbers are",
    **dict.fromkeys(("import", "from"), "an import is not part of an expression"),
    **dict.fromkeys(
        ("def", "class", "del", "return", "while", "with", "await", "yield", "async", "try"),
        _STATEMENT,
    ),
}
"""Words of Python that no formula has, and what to write."""


def _whole_names(found: list[Token], given: Collection[str]) -> list[Token]:
    """What was given a value as a whole, a^L, g'(z), R(W), as one name."""
    forms: dict[str, list[tuple[list[str], str]]] = {}
    quotients = {tuple(map(_stem, name.split("/"))) for name in given if name.count("/") == 1}
    for name in sorted(given, key=len, reverse=True):
        layered = _LAYERED.fullmatch(name.translate(_BRACES))
        if name[0] == "Δ" and len(name) > 1:  # \\Delta v_1 is two tokens
            forms.setdefault("Delta", []).append(([canonical(name[1:])], name))
        elif layered or any(c in name for c in "^'(+"):
            with suppress(UsageError):
                braced = re.sub(r"\^([\[(][^\])]*[\])])", r"^{\1}", name)
                text = f"{layered[1]}^{layered[3]}" if layered else braced
                first, *rest = [canonical(t.text) for t in tokens(text)[:-1] if t.text not in "{}"]
                if rest:
                    forms.setdefault(first, []).append((rest, "" if layered else name))
    made: list[Token] = []
    at = 0
    while (forms or quotients) and at < len(found):
        token = found[at]
        ahead = [t.text for t in found[at : at + 3]]
        if ahead[1:2] == ["/"] and (_stem(ahead[0]), _stem(ahead[2])) in quotients:
            token, at = replace(token, text="".join(ahead)), at + 2
        for rest, name in (
            *forms.get(_stem(token.text), ()),
            *forms.get(canonical(token.text), ()),
        ):
            shown, end = _matched(found, at, rest, name)
            if end:
                token, at = replace(token, kind="name", text=shown), end - 1
                break
        made.append(token)
        at += 1
    return made or found


def _stem(text: str) -> str:
    """A name without its index."""
    return canonical(text.partition("_")[0])


def _matched(found: Sequence[Token], start: int, rest: Sequence[str], name: str) -> tuple[str, int]:
    """The name whose tokens but the first are ``rest`` and where it ends, or 0: braces do not
    count. A layer, without a ``name``, may have its index before or behind: a_j^L, a^{L}_{j}."""
    base, _, index = found[start].text.partition("_")
    at, opened = start + 1, 0
    wanted, said = "".join(rest), ""
    while len(said) < len(wanted) and found[at].kind != "end":
        text = found[at].text
        opened += (text == "{") - (text == "}")
        at += 1
        if text in ("{", "}"):
            continue
        said += canonical(text)
        if not (name or index) and len(said) > len(wanted):
            text, _, index = text.partition("_")
            said = said[: -len(canonical(f"{text}_{index}"))] + canonical(text)
    while opened > 0 and found[at].text == "}":
        opened, at = opened - 1, at + 1
    if said != wanted or opened:
        return "", 0
    if not name and not index and found[at].text == "_":
        texts = [t.text for t in found[at + 1 : at + 4]]
        if texts[0] != "{" or texts[2:] == ["}"]:
            index = texts[texts[0] == "{"]
            at += 4 if texts[0] == "{" else 2
    return name or f"{base}{'_' if index else ''}{index}^{''.join(rest[1:])}", at


def is_minus_one(node: Node) -> bool:
    return node.op == "−" and node.args[0].op == "number" and node.args[0].data == 1


def is_whole(node: Node) -> bool:
    """Whether it may be an index: 0, -1."""
    number = node.args[0] if node.op == "−" else node
    return number.op == "number" and type(number.data) is int


def is_ones(node: Node) -> bool:
    return node.op == "name" and node.data == ONES


def is_inner(product: Node) -> bool:
    """Whether two vectors side by side are multiplied to a number: w · x and w x are, but in
    σ(x) (1 − σ(x)) entries meet."""
    return product.op == "·" or all(part.op == "name" for part in product.args)


SIDE_BY_SIDE = {
    True: "two vectors side by side are read as their inner product; ⊙ multiplies entry by entry",
    False: "vectors side by side are multiplied entry by entry; xᵀ y is the inner product",
}


def is_row(item: Node) -> bool:
    """Whether a vector was written as a row: xᵀ, xᵀ W, 2 xᵀ."""
    if item.op == "ᵀ":
        return not is_row(item.args[0])
    return (is_binary(item) or item.op == "−") and any(map(is_row, item.args))


def by_entries(node: Node) -> Node:
    """Products of entries, not of arrays, below a sum over an index."""
    if node.data == WHOLE:  # (W x)_i: the product is of arrays
        return node
    args = tuple(map(by_entries, node.args))
    if node.op in ENTRYWISE:  # data: the sign that was typed
        return replace(node, op=ENTRYWISE[node.op], args=args, data=node.op)
    return replace(node, args=args)


def pieces(word: str, known: Collection[str], functions: Collection[str] = ()) -> list[str] | None:
    """``word`` cut into known names, functions and numbers behind these, the longest first."""
    if len(word) > 32:
        return None
    ways: list[list[str] | None] = [[], *[None] * len(word)]
    for end in range(1, len(word) + 1):
        for start in range(end):
            before = ways[start]
            if before is None:
                continue
            piece = word[start:end]
            function = piece in functions
            number = piece.isdecimal() and bool(before) and before[-1] in BARE
            if piece in ("π", "e") or function or number or canonical(piece) in known:
                ways[end] = [*before, piece]
                break
    found = ways[-1]
    return found if found and len(found) > 1 else None
