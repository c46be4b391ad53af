"""How matrix expressions are laid out, over the pieces that all formulas are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from chainrule.explanation.formula.expressions import Name
from chainrule.explanation.formula.greek import GREEK
from chainrule.explanation.formula.node import SCALAR, Node, Shape
from chainrule.explanation.formula.spelling import ATOM, CODE, PRODUCT, SUM, Out, Pieces
from chainrule.explanation.formula.tokens import COMMANDS
from chainrule.explanation.formula.writers import LatexWriter, MathmlWriter, TextWriter
from chainrule.explanation.matrix.tree import split
from chainrule.explanation.steps.names import spell

_SPELLED = {"lam": "λ", "lambda_": "λ"}
_WORDS: Mapping[str, tuple[str, str]] = {
    "trace": ("tr", r"\operatorname{tr}"),
    "logdet": ("log det", r"\log\det"),
    "total": ("sum", r"\operatorname{sum}"),
    "logistic": ("σ", r"\sigma"),
    **{name: (name, rf"\{name}") for name in COMMANDS},
}
"""Functions whose word is not their name: in text and MathML, and in LaTeX."""


def text(node: Node) -> str:
    """One line of Unicode: ``2 Wᵀ W x``."""
    return Text().write(node)


def latex(node: Node) -> str:
    """LaTeX for math mode, vectors and matrices bold; parses in KaTeX."""
    return Latex().write(node)


def mathml(node: Node) -> str:
    """Presentation MathML, the inside of a ``<math>`` element."""
    return Mathml().write(node)


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
    except OverflowError:  # a number beyond floating point, by its power of ten
        digits = len(str(abs(value.numerator))) - len(str(value.denominator))
        return f"{'-' if value < 0 else ''}1e{digits}"


class Named(Pieces):
    """Names and functions of matrix language in one of the spellings."""

    name: Callable[[Name], str]

    def symbol(self, name: str, shape: Shape) -> str:
        found = spell(name, () if shape == SCALAR else (2, 2))
        return self.name(replace(found, letter=_SPELLED.get(found.letter, found.letter)))

    def function(self, name: str) -> str:
        return self.spelled.word.format(_WORDS.get(name, (name,))[0])

    def comma(self, parts: list[str]) -> str:
        return self.literal(", ").join(parts)


class InText(Named, TextWriter):
    """Names and functions on one line of Unicode."""

    def function(self, name: str) -> str:
        return "√" if name == "sqrt" else super().function(name)


class InLatex(Named, LatexWriter):
    """Names and functions in LaTeX, arrays bold."""

    def letter(self, e: Name) -> str:
        word = e.letter.replace("_", r"\_")
        if e.letter in GREEK:
            shown = super().letter(e)
            return rf"\boldsymbol{{{shown}}}" if e.shape else shown
        if e.shape:
            return rf"\mathbf{{{word}}}"
        return rf"\mathrm{{{word}}}" if len(word) > 1 else word

    def function(self, name: str) -> str:
        shown = name.replace("_", r"\ ")
        return _WORDS.get(name, ("", rf"\operatorname{{{shown}}}"))[1]


class InMathml(Named, MathmlWriter):
    """Names and functions in MathML."""

    def function(self, name: str) -> str:
        return super().function(name) + self.spelled.apply


class Layout(Named):
    """Where the parts of an expression stand."""

    def lay(self, node: Node) -> Out:
        if mark := _MARKS.get(node.op):
            around = node.op.startswith("norm") or self.spelled is CODE
            inner = self.write(node.args[0]) if around else self.marked(node)
            return getattr(self.spelled, mark).format(inner), ATOM
        if lay := _LAID.get(node.op):
            return getattr(self, lay)(node)
        return self.call(node.op, *node.args)

    def call(self, name: str, *args: Node) -> Out:
        return self.function(name) + self.bracket(self.comma(list(map(self.write, args)))), ATOM

    def named(self, node: Node) -> Out:
        change = self.spelled.d[0] if "change" in node.data[1] else ""
        return change + self.symbol(node.data[0], node.shape), ATOM

    # Sums and products --------------------------------------------------------------------

    def added(self, node: Node) -> Out:
        shown = ""
        terms = map(number_if_ones, node.args) if self.spelled.linear else node.args
        for i, term in enumerate(terms):
            negative = split(term)[0] < 0
            term_ = self.unsigned(term) if negative else self.write(term, PRODUCT)
            if i:
                shown += self.operator("−" if negative else "+") + term_
            else:
                shown = self.negative(term_) if negative else term_
        return shown, SUM

    def unsigned(self, node: Node) -> str:
        count, bare = split(node)
        return self.scaled(-count, bare)[0]

    def counted(self, node: Node) -> Out:
        return self.scaled(*split(node)) if node.op == "mul" else self.scaled(node.data, None)

    def scaled(self, count: Fraction, bare: Node | None) -> Out:
        """A number times a term, as sign, fraction and chain."""
        if count < 0:
            return self.negative(self.scaled(-count, bare)[0]), SUM
        number = self.spelled.number
        decimal = _decimal(count)
        above = [number(str(count.numerator) if decimal is None else decimal)]
        above = [] if above == [number("1")] else above
        below = [number(str(count.denominator))] if decimal is None else []
        if bare is None or (bare.op == "number" and bare.data == 1):
            return self.ratio(above, below), PRODUCT if below else ATOM
        if bare.op == "ones":  # 2 in every entry, as in 2 + X
            return self.ratio(above, below), PRODUCT
        args = bare.args if bare.op == "mul" else (bare,)
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
            chain, over = list(over[0].args), []
        above = [*above, *(self.write(s, ATOM) for s in over)]
        below = [*below, *(self.write(self.root_of(s), ATOM) for s in under)]
        links = [self.write(f, ATOM) for f in chain]
        if len(links) == 1 and below and not above:
            return self.ratio(links, below), PRODUCT
        if not chain:
            alone = len(above) == 1 and not below
            return self.ratio(above, below), ATOM if alone else PRODUCT
        head = self.ratio(above, below) + self.spelled.times if above or below else ""
        return head + self.spelled.chain.join(links), PRODUCT

    @staticmethod
    def root_of(power: Node) -> Node:
        return power.args[0] if power.data == 1 else power

    def hadamard(self, node: Node) -> Out:
        over = [f for f in node.args if not (f.op == "power" and f.data < 0)]
        under = [Node("power", f.args, f.shape, -f.data) for f in node.args if f not in over]
        one = [self.spelled.number("1")]
        shown = self.operator("⊙").join([self.write(f, ATOM) for f in over] or one)
        for factor in under:
            shown += self.operator("⊘") + self.write(self.root_of(factor), ATOM)
        return shown, PRODUCT

    def ratio(self, above: list[str], below: list[str]) -> str:
        above = above or [self.spelled.number("1")]
        times = self.spelled.times
        over, under = times.join(above), times.join(below)
        if not below:
            return over
        if self.spelled.linear and len(below) > 1:
            under = self.bracket(under)
        return self.spelled.fraction.format(over, under)

    # Powers and functions -----------------------------------------------------------------

    def powered(self, node: Node) -> Out:
        base, exponent = node.args[0], node.data
        if exponent == Fraction(1, 2):
            return self.square_root(base), ATOM
        if exponent < 0:
            under = self.write(self.root_of(Node("power", node.args, node.shape, -exponent)), ATOM)
            if node.shape == SCALAR:
                return self.ratio([], [under]), PRODUCT
            return self.spelled.number("1") + self.operator("⊘") + under, PRODUCT
        entries = base.shape != SCALAR and base.op not in ("apply", "softmax")
        if self.spelled.linear and exponent.denominator > 1:
            entries = False  # x^(1/3) is of each entry anyhow
        raised = self.raised_entries if entries else self.raised
        return raised(self.marks(base), Node("number", (), SCALAR, exponent)), ATOM

    def square_root(self, base: Node) -> str:
        return self.call("sqrt", base)[0] if self.spelled.linear else self.root(base)

    def marked(self, node: Node) -> str:
        """What is below the mark of ``node``."""
        inner = node.args[0]
        return self.marks(inner.args[0] if node.op == "transpose" and inner.op == "inv" else inner)

    def marks(self, node: Node) -> str:
        """What a mark is put on, such as that of the transpose or an exponent."""
        raised = node.op == "power" and node.data > 0 and node.data != Fraction(1, 2)
        return self.bracket(self.write(node)) if raised else self.write(node, ATOM)

    def turned(self, node: Node) -> Out:
        s = self.spelled
        inverse = node.args[0].op == "inv"
        return (s.inverse_transposed if inverse else s.transposed).format(self.marked(node)), ATOM

    def applied_to(self, node: Node) -> Out:
        if node.data == "abs":
            return self.spelled.size.format(self.write(node.args[0])), ATOM
        return self.call(node.data, node.args[0])

    def ones(self, node: Node) -> Out:
        ones = self.spelled.ones
        row = node.shape[0] == 1
        return self.spelled.transposed.format(ones) if row else ones, ATOM

    def constant(self, node: Node) -> Out:
        return getattr(self.spelled, node.op).format(*node.shape), ATOM

    def change(self, node: Node) -> Out:
        return self.spelled.d[0] + self.bracket(self.write(node.args[0])), ATOM


_MARKS: Mapping[str, str] = {"inv": "inverse", "norm": "norm", "norm2": "norm2"}
"""Operations that are a mark on their argument, or around it."""
_LAID: Mapping[str, str] = {
    "symbol": "named", "number": "counted", "mul": "counted", "add": "added",
    "hadamard": "hadamard", "power": "powered", "transpose": "turned", "apply": "applied_to",
    "ones": "ones", "zeros": "constant", "eye": "constant", "d": "change",
}  # fmt: skip
"""Operation -> the method that lays it out; all others are words before their arguments."""


class Text(Layout, InText):
    """One line of Unicode."""


class Latex(Layout, InLatex):
    """LaTeX math."""

    def grouped(self, base: str) -> str:
        return f"{{{base}}}"


class Mathml(Layout, InMathml):
    """Presentation MathML."""


class Code(Layout):
    """The grammar of the input; reads back as the same expression."""

    spelled = CODE

    def symbol(self, name: str, shape: Shape) -> str:
        return name

    def function(self, name: str) -> str:
        return "sum" if name == "total" else name

    def turned(self, node: Node) -> Out:
        return self.spelled.transposed.format(self.marks(node.args[0])), ATOM

    def ones(self, node: Node) -> Out:
        return f"ones({node.shape[0]}, {node.shape[1]})", ATOM


def number_if_ones(term: Node) -> Node:
    """In a sum a literal is added to each entry, so ones are written as their number."""
    count, bare = split(term)
    return Node("number", (), SCALAR, count) if bare.op == "ones" else term
