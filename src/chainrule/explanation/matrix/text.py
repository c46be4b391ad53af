"""How matrix expressions are written: as text, as LaTeX, and in the grammar they are typed in."""

from __future__ import annotations

import re
from fractions import Fraction

from chainrule.explanation.matrix.functions import ELEMENTWISE
from chainrule.explanation.matrix.tree import SCALAR, Node, Shape, split

__all__ = ["Writer", "code", "latex", "shape_text", "text"]

SUM, PRODUCT, ATOM = 1, 2, 3
Out = tuple[str, int]

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "sigma tau upsilon phi chi psi omega"
)
_LETTERS: dict[str, str] = dict(zip(_GREEK.split(), "αβγδεζηθικλμνξοπρστυφχψω", strict=True))
_LIKE_LATIN = "Alpha Beta Epsilon Zeta Eta Iota Kappa Mu Nu Omicron Rho Tau Chi"
_NO_CAPITAL = frozenset(_LIKE_LATIN.split())
_SPELLED = {"lam": "lambda", "lambda_": "lambda"}
_SUB = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPER = str.maketrans("0123456789-/.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᐟ·")
_PARTS = re.compile(r"(.+?)(hat|bar)?_?(\d*)\Z")


def text(node: Node) -> str:
    """One line of Unicode: ``2 Wᵀ W x``."""
    return Text().write(node)


def latex(node: Node) -> str:
    """LaTeX for math mode, vectors and matrices bold; parses in KaTeX."""
    return Latex().write(node)


def code(node: Node) -> str:
    """As it is typed: ``2 * W.T @ W @ x``."""
    return Code().write(node)


def shape_text(shape: Shape) -> str:
    return "scalar" if shape == SCALAR else f"{shape[0]}×{shape[1]}"


def _decimal(value: Fraction) -> str | None:
    """A number that reads better as a decimal than as a fraction, else None."""
    if value.denominator == 1 and abs(value) < 10**15:
        return str(value)
    if 1 < value.denominator <= 100 and abs(value.numerator) < 10**4:
        return None
    try:
        return repr(float(value))
    except OverflowError:
        return _huge(value)


def _huge(value: Fraction) -> str:
    """A number beyond floating point, by its power of ten."""
    digits = len(str(abs(value.numerator))) - len(str(value.denominator))
    return f"{'-' if value < 0 else ''}1e{digits}"


class Writer:
    """Lays out an expression; subclasses say how the pieces look."""

    minus = "−"

    def write(self, node: Node, level: int = SUM) -> str:
        shown, own = self.lay(node)
        return shown if own >= level else self.brackets(shown)

    def lay(self, node: Node) -> Out:
        lay = getattr(self, node.op, None)
        return lay(node) if lay is not None else self.call(node.op, *node.args)

    def call(self, name: str, *args: Node) -> Out:
        return f"{self.function(name)}{self.brackets(', '.join(map(self.write, args)))}", ATOM

    @staticmethod
    def change(node: Node) -> str:
        return "d" if "change" in node.data[1] else ""

    # Sums and products --------------------------------------------------------------------

    def add(self, node: Node) -> Out:
        parts = []
        for i, term in enumerate(node.args):
            negative = split(term)[0] < 0
            shown = self.unsigned(term) if negative else self.write(term, PRODUCT)
            sign = self.minus if negative else "+"
            lead = (self.minus if negative else "") if i == 0 else f" {sign} "
            parts.append(lead + shown)
        return "".join(parts), SUM

    def unsigned(self, node: Node) -> str:
        count, bare = split(node)
        return self.scaled(-count, bare)[0]

    def number(self, node: Node) -> Out:
        return self.scaled(node.data, None)

    def mul(self, node: Node) -> Out:
        count, bare = split(node)
        return self.scaled(count, bare)

    def scaled(self, count: Fraction, bare: Node | None) -> Out:
        """A number times a term, as sign, fraction and chain."""
        if count < 0:
            return self.minus + self.scaled(-count, bare)[0], SUM
        decimal = _decimal(count)
        above = [str(count.numerator) if decimal is None else decimal]
        above = [] if above == ["1"] else above
        below = [str(count.denominator)] if decimal is None else []
        if bare is None or (bare.op == "number" and bare.data == 1):
            return self.ratio(above, below), PRODUCT if below else ATOM
        if bare.op == "ones":  # 2 in every entry, as in 2 + X
            return self.ratio(above or ["1"], below), PRODUCT
        if bare.op != "mul":
            args: tuple[Node, ...] = (bare,)
        else:
            args = bare.args
        scalars = [a for a in args if a.shape == SCALAR]
        chain = [a for a in args if a.shape != SCALAR]
        if bare.op == "mul" and not scalars and bare.shape == SCALAR:
            scalars, chain = [bare], []
        return self.assembled(above, below, scalars, chain)

    def assembled(
        self, above: list[str], below: list[str], scalars: list[Node], chain: list[Node]
    ) -> Out:
        over = [s for s in scalars if not (s.op == "power" and s.data < 0)]
        under = [Node("power", s.args, SCALAR, -s.data) for s in scalars if s not in over]
        loose = len(over) == 1 and not chain and not under  # 2 xᵀ B x needs no brackets
        if loose and over[0].op == "mul":
            head = self.ratio(above, below) if above or below else ""
            body = self.join([self.write(f, ATOM) for f in over[0].args])
            return (self.times(head, body) if head else body), PRODUCT
        above = [*above, *(self.write(s, ATOM) for s in over)]
        below = [*below, *(self.write(self.root(s), ATOM) for s in under)]
        links = [self.write(f, ATOM) for f in chain]
        if len(links) == 1 and below and not above:
            return self.ratio(links, below), PRODUCT
        if not chain:
            alone = len(above) == 1 and not below
            return self.ratio(above, below), ATOM if alone else PRODUCT
        head = self.ratio(above, below) if above or below else ""
        body = self.join(links)
        return (self.times(head, body) if head else body), PRODUCT

    @staticmethod
    def root(power: Node) -> Node:
        return power.args[0] if power.data == 1 else power

    def hadamard(self, node: Node) -> Out:
        over = [f for f in node.args if not (f.op == "power" and f.data < 0)]
        under = [Node("power", f.args, f.shape, -f.data) for f in node.args if f not in over]
        shown = self.entrywise([self.write(f, ATOM) for f in over] or ["1"])
        for factor in under:
            shown = self.divided(shown, self.write(self.root(factor), ATOM))
        return shown, PRODUCT

    # Powers and functions -----------------------------------------------------------------

    def power(self, node: Node) -> Out:
        base, exponent = node.args[0], node.data
        if exponent == Fraction(1, 2):
            return self.square_root(base)
        if exponent < 0:
            under = self.root(Node("power", node.args, node.shape, -exponent))
            if node.shape == SCALAR:
                return self.ratio(["1"], [self.write(under, ATOM)]), PRODUCT
            return self.divided("1", self.write(under, ATOM)), PRODUCT
        entries = base.shape != SCALAR and base.op not in ("apply", "softmax")
        return self.raised(self.marked(base), exponent, entries), ATOM

    def marked(self, node: Node) -> str:
        """What a mark is put on, such as that of the transpose or an exponent."""
        raised = node.op == "power" and node.data > 0 and node.data != Fraction(1, 2)
        return self.brackets(self.write(node)) if raised else self.write(node, ATOM)

    def square_root(self, base: Node) -> Out:
        return self.call("sqrt", base)

    def apply(self, node: Node) -> Out:
        return self.call(node.data, node.args[0])

    def ones(self, node: Node) -> Out:
        return "1", ATOM

    def d(self, node: Node) -> Out:
        return self.call("d", *node.args)

    # How pieces look ----------------------------------------------------------------------

    def brackets(self, shown: str) -> str:
        return f"({shown})"

    def function(self, name: str) -> str:
        return name

    def ratio(self, above: list[str], below: list[str]) -> str:
        over = self.factors(above or ["1"])
        if not below:
            return over
        under = self.factors(below)
        return f"{over}/{under if len(below) == 1 else self.brackets(under)}"

    def factors(self, parts: list[str]) -> str:
        return self.join(parts)

    def join(self, parts: list[str]) -> str:
        return " ".join(parts)

    def times(self, head: str, body: str) -> str:
        return f"{head} {body}"

    def entrywise(self, parts: list[str]) -> str:
        return " ⊙ ".join(parts)

    def divided(self, a: str, b: str) -> str:
        return f"{a} ⊘ {b}"

    def raised(self, base: str, exponent: Fraction, entries: bool) -> str:
        raise NotImplementedError


class Text(Writer):
    """One line of Unicode."""

    def symbol(self, node: Node) -> Out:
        found = _PARTS.match(node.data[0])
        assert found is not None
        name, mark, index = found.groups()
        name = _SPELLED.get(name, name)
        letter = _LETTERS.get(name) or (_LETTERS.get(name.lower(), name))
        if name.lower() in _LETTERS and name[0].isupper():
            letter = letter.upper()
        accent = {"hat": "\u0302", "bar": "\u0304"}.get(mark or "", "")
        if accent and len(letter) > 1:
            letter, accent = letter + (mark or ""), ""
        return self.change(node) + letter + accent + index.translate(_SUB), ATOM

    def function(self, name: str) -> str:
        known = {"trace": "tr", "logdet": "log det", "total": "sum", "sqrt": "√"}
        entry = ELEMENTWISE.get(name)
        return known.get(name, entry.text if entry and entry.text else name)

    def apply(self, node: Node) -> Out:
        if node.data == "abs":
            return f"|{self.write(node.args[0])}|", ATOM
        return super().apply(node)

    def transpose(self, node: Node) -> Out:
        inner = node.args[0]
        if inner.op == "inv":
            return self.marked(inner.args[0]) + "⁻ᵀ", ATOM
        return self.marked(inner) + "ᵀ", ATOM

    def inv(self, node: Node) -> Out:
        return self.marked(node.args[0]) + "⁻¹", ATOM

    def norm(self, node: Node) -> Out:
        return f"‖{self.write(node.args[0])}‖", ATOM

    def norm2(self, node: Node) -> Out:
        return f"‖{self.write(node.args[0])}‖²", ATOM

    def ones(self, node: Node) -> Out:
        return "1ᵀ" if node.shape[0] == 1 else "1", ATOM

    def zeros(self, node: Node) -> Out:
        return "0", ATOM

    def eye(self, node: Node) -> Out:
        return "I", ATOM

    def d(self, node: Node) -> Out:
        return f"d{self.brackets(self.write(node.args[0]))}", ATOM

    def raised(self, base: str, exponent: Fraction, entries: bool) -> str:
        if exponent.denominator != 1:
            return f"{base}^({exponent})"
        return base + ("∘" if entries else "") + str(exponent).translate(_SUPER)


class Latex(Writer):
    """LaTeX math. Names are letters and digits, so nothing in them needs escaping but _."""

    minus = "-"

    def symbol(self, node: Node) -> Out:
        found = _PARTS.match(node.data[0])
        assert found is not None
        name, mark, index = found.groups()
        name = _SPELLED.get(name, name)
        bold = node.shape != SCALAR
        low = name[0].lower() + name[1:]
        if low in _LETTERS and name not in _NO_CAPITAL:
            shown = "o" if name == "omicron" else rf"\{name}"
            shown = rf"\boldsymbol{{{shown}}}" if bold else shown
        elif len(name) == 1:
            shown = rf"\mathbf{{{name}}}" if bold and name.isascii() else name
        else:
            style = "mathbf" if bold else "mathrm"
            shown = rf"\{style}{{{name.replace('_', chr(92) + '_')}}}"
        if mark:
            shown = rf"\{mark}{{{shown}}}"
        return self.change(node) + shown + (f"_{{{index}}}" if index else ""), ATOM

    def brackets(self, shown: str) -> str:
        return rf"\left({shown}\right)"

    def function(self, name: str) -> str:
        known = {"trace": r"\operatorname{tr}", "det": r"\det", "logdet": r"\log\det"}
        if name in ELEMENTWISE:
            return ELEMENTWISE[name].latex
        shown = {"total": "sum"}.get(name, name).replace("_", r"\ ")
        return known.get(name, rf"\operatorname{{{shown}}}")

    def square_root(self, base: Node) -> Out:
        return rf"\sqrt{{{self.write(base)}}}", ATOM

    def apply(self, node: Node) -> Out:
        if node.data == "abs":
            return rf"\left|{self.write(node.args[0])}\right|", ATOM
        return super().apply(node)

    def ratio(self, above: list[str], below: list[str]) -> str:
        over = self.join(above or ["1"])
        return rf"\frac{{{over}}}{{{self.join(below)}}}" if below else over

    def entrywise(self, parts: list[str]) -> str:
        return r" \odot ".join(parts)

    def divided(self, a: str, b: str) -> str:
        return rf"{a} \oslash {b}"

    def transpose(self, node: Node) -> Out:
        inner = node.args[0]
        sign = r"^{-\top}" if inner.op == "inv" else r"^{\top}"
        inner = inner.args[0] if inner.op == "inv" else inner
        return self.marked(inner) + sign, ATOM

    def inv(self, node: Node) -> Out:
        return self.marked(node.args[0]) + "^{-1}", ATOM

    def norm(self, node: Node) -> Out:
        return rf"\left\|{self.write(node.args[0])}\right\|", ATOM

    def norm2(self, node: Node) -> Out:
        return self.norm(node)[0] + "^{2}", ATOM

    def ones(self, node: Node) -> Out:
        return r"\mathbf{1}" + (r"^{\top}" if node.shape[0] == 1 else ""), ATOM

    def zeros(self, node: Node) -> Out:
        return r"\mathbf{0}", ATOM

    def eye(self, node: Node) -> Out:
        return r"\mathbf{I}", ATOM

    def d(self, node: Node) -> Out:
        return f"d{self.brackets(self.write(node.args[0]))}", ATOM

    def raised(self, base: str, exponent: Fraction, entries: bool) -> str:
        return rf"{{{base}}}^{{{chr(92) + 'circ ' if entries else ''}{exponent}}}"


class Code(Writer):
    """The grammar of the input; reads back as the same expression."""

    minus = "-"

    def symbol(self, node: Node) -> Out:
        return self.change(node) + node.data[0], ATOM

    def function(self, name: str) -> str:
        return {"total": "sum"}.get(name, name)

    def factors(self, parts: list[str]) -> str:
        return " * ".join(parts)

    def join(self, parts: list[str]) -> str:
        return " @ ".join(parts)

    def times(self, head: str, body: str) -> str:
        return f"{head} * {body}"

    def ratio(self, above: list[str], below: list[str]) -> str:
        return (
            super().ratio(above, below).replace("/", " / ", 1)
            if below
            else super().ratio(above, below)
        )

    def entrywise(self, parts: list[str]) -> str:
        return " * ".join(parts)

    def divided(self, a: str, b: str) -> str:
        return f"{a} / {b}"

    def transpose(self, node: Node) -> Out:
        return self.marked(node.args[0]) + ".T", ATOM

    def ones(self, node: Node) -> Out:
        return f"ones({node.shape[0]}, {node.shape[1]})", ATOM

    def zeros(self, node: Node) -> Out:
        return f"zeros({node.shape[0]}, {node.shape[1]})", ATOM

    def eye(self, node: Node) -> Out:
        return f"eye({node.shape[0]})", ATOM

    def add(self, node: Node) -> Out:
        terms = [number_if_ones(t) for t in node.args]
        return super().add(Node("add", tuple(terms), node.shape))

    def raised(self, base: str, exponent: Fraction, entries: bool) -> str:
        return f"{base}**{exponent}" if exponent.denominator == 1 else f"{base}**({exponent})"


def number_if_ones(term: Node) -> Node:
    """In a sum a literal is added to each entry, so ones are written as their number."""
    count, bare = split(term)
    return Node("number", (), SCALAR, count) if bare.op == "ones" else term
