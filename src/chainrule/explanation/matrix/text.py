"""How matrix expressions are laid out, over the pieces that all formulas are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from chainrule.explanation.formula.greek import GREEK
from chainrule.explanation.formula.node import SCALAR, Node, Shape, is_binary, walk
from chainrule.explanation.formula.spelling import ATOM, CODE, LOW, POWER, PRODUCT, SUM, Out, Pieces
from chainrule.explanation.formula.tokens import COMMANDS
from chainrule.explanation.formula.writers import LatexWriter, MathmlWriter, TextWriter
from chainrule.explanation.matrix.build import build
from chainrule.explanation.matrix.functions import ALIASES
from chainrule.explanation.matrix.tree import split, symbol
from chainrule.explanation.steps.names import spell

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


def typed_text(tree: Node, shapes: Mapping[str, Shape]) -> str:
    """What was typed, on one line of Unicode."""
    return Text(shapes).write(tree)


def typed_latex(tree: Node, shapes: Mapping[str, Shape]) -> str:
    """What was typed, in LaTeX for math mode, quotients as fractions, arrays bold."""
    return TypedLatex(shapes).write(tree)


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


class Layout(Pieces):
    """Where the parts of an expression stand: of a normal form, or of what was typed, nothing
    collected, nothing cancelled. ``shapes`` of typed names; one without is a scalar."""

    name: Callable[[Node], str]

    def __init__(self, shapes: Mapping[str, Shape] | None = None) -> None:
        self.shapes = shapes or {}

    def symbol(self, name: str, shape: Shape) -> str:
        return self.name(spell(name, () if shape == SCALAR else (2, 2)))

    def function(self, name: str) -> str:
        return self.spelled.word.format(_WORDS.get(name, (name,))[0])

    def lay(self, node: Node) -> Out:
        if lay := _LAID.get(node.op):
            return getattr(self, lay)(node)
        name = ALIASES.get(node.op, node.op)
        if mark := _MARKS.get(name):
            around = name.startswith("norm") or self.spelled is CODE
            inner = self.write(node.args[0], LOW if around else ATOM)
            return getattr(self.spelled, mark).format(inner), ATOM
        if name == "sqrt":
            return self.square_root(node.args[0]), ATOM
        return self.typed(node, *node.args) if is_binary(node) else self.call(name, *node.args)

    def call(self, name: str, *args: Node) -> Out:
        shown = self.literal(", ").join(map(self.write, args))
        return self.function(name) + self.bracket(shown), ATOM

    def named(self, node: Node) -> Out:
        if node.op == "name":
            return self.symbol(node.data, self.shapes.get(node.data, SCALAR)), ATOM
        change = self.spelled.d[0] if "change" in node.data[1] else ""
        return change + self.symbol(node.data[0], node.shape), ATOM

    # Sums and products --------------------------------------------------------------------

    def added(self, node: Node) -> Out:
        shown = ""
        terms = map(number_if_ones, node.args) if self.spelled.linear else node.args
        for i, term in enumerate(terms):
            count, bare = split(term)
            term_ = self.scaled(-count, bare)[0] if count < 0 else self.write(term, PRODUCT)
            if i:
                shown += self.operator("−" if count < 0 else "+") + term_
            else:
                shown = self.negative(term_) if count < 0 else term_
        return shown, SUM

    def counted(self, node: Node) -> Out:
        if isinstance(node.data, float):  # as typed
            return f"{node.data:g}", ATOM
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
        over, under = _divided(scalars)
        loose = len(over) == 1 and not chain and not under  # 2 xᵀ B x needs no brackets
        if loose and over[0].op == "mul":
            chain, over = list(over[0].args), []
        above = [*above, *(self.write(s, POWER) for s in over)]
        below = [*below, *(self.write(s, POWER) for s in under)]
        links = [self.write(f, POWER) for f in chain]
        if len(links) == 1 and below and not above:
            return self.ratio(links, below), PRODUCT
        if not chain:
            alone = len(above) == 1 and not below
            return self.ratio(above, below), ATOM if alone else PRODUCT
        head = self.ratio(above, below) + self.spelled.times if above or below else ""
        return head + self.spelled.chain.join(links), PRODUCT

    def hadamard(self, node: Node) -> Out:
        over, under = _divided(node.args)
        one = [self.spelled.number("1")]
        shown = self.operator("⊙").join([self.write(f, POWER) for f in over] or one)
        for factor in under:
            shown += self.operator("⊘") + self.write(factor, POWER)
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
            ((), (under,)) = _divided([node])
            if node.shape == SCALAR:
                return self.ratio([], [self.write(under, POWER)]), PRODUCT
            return self.hadamard(Node("hadamard", (node,), node.shape))
        entries = base.shape != SCALAR and base.op not in ("apply", "softmax")
        if self.spelled.linear and exponent.denominator > 1:
            entries = False  # x^(1/3) is of each entry anyhow
        raised = self.raised_entries if entries else self.raised
        return raised(self.write(base, ATOM), Node("number", data=exponent)), POWER

    def square_root(self, base: Node) -> str:
        return self.call("sqrt", base)[0] if self.spelled.linear else self.root(base)

    def turned(self, node: Node) -> Out:
        (inner,) = node.args
        if node.op == "ᵀ":
            return self.transposed(inner), ATOM
        if inner.op == "inv" and self.spelled is not CODE:
            shown = self.write(inner.args[0], ATOM)
            return self.spelled.inverse_transposed.format(shown), ATOM
        return self.spelled.transposed.format(self.write(inner, ATOM)), ATOM

    def applied_to(self, node: Node) -> Out:
        if node.data == "abs":
            return self.spelled.size.format(self.write(node.args[0])), ATOM
        return self.call(node.data, node.args[0])

    def constant(self, node: Node) -> Out:
        if node.op != "ones":
            return getattr(self.spelled, node.op).format(*node.shape), ATOM
        row = node.shape[0] == 1 and self.spelled is not CODE
        ones = self.spelled.ones.format(*node.shape)
        return self.spelled.transposed.format(ones) if row else ones, ATOM

    def change(self, node: Node) -> Out:
        return self.spelled.d[0] + self.bracket(self.write(node.args[0])), ATOM

    # As it was typed ----------------------------------------------------------------------

    def minus(self, node: Node) -> Out:
        return self.negative(self.write(node.args[0], PRODUCT)), SUM

    def typed(self, node: Node, left: Node, right: Node) -> Out:
        if left.op == "−" and node.op not in ("+", "-", "**"):
            inner = replace(node, args=(left.args[0], right))  # (−a) b is written −a b
            return self.lay(replace(left, args=(inner,)))
        match node.op:
            case "+":
                return self.write(left, SUM) + self.operator("+") + self.term(right), SUM
            case "-":
                return self.write(left, SUM) + self.operator("−") + self.term(right, PRODUCT), SUM
            case "*" | "⊙":
                level = PRODUCT if right.op == "/" else POWER
                sign = self.beside(left, right)
                return self.write(left, PRODUCT) + sign + self.write(right, level), PRODUCT
            case "@":
                return self.write(left, PRODUCT) + self.thin() + self.write(right, POWER), PRODUCT
            case "/" if self.is_array(right):
                sign = self.operator("⊘")
                return self.write(left, PRODUCT) + sign + self.write(right, POWER), PRODUCT
            case "/":
                levels = (PRODUCT, POWER) if self.spelled.linear else (LOW, LOW)
                shown = map(self.write, (left, right), levels)
                return self.spelled.fraction.format(*shown), PRODUCT
        return self.raised(self.write(left, ATOM), right), POWER

    def term(self, node: Node, level: int = SUM) -> str:
        """A later term of a sum: a negative one takes brackets."""
        shown, own = self.laid(node)
        fractions = node.op in ("*", "⊙") and all(part.op == "/" for part in node.args)
        bracketed = own < level or node.op == "−" or (fractions and level == PRODUCT)
        return self.bracket(shown) if bracketed else shown

    def beside(self, left: Node, right: Node) -> str:
        """Between two factors."""
        if self.is_array(left) and self.is_array(right):
            return self.operator("⊙")
        fraction = self.spelled.linear and left.op == "/"
        return self.operator("·") if fraction or right.op in ("/", "number") else self.thin()

    def is_array(self, node: Node) -> bool:
        names = {n.data for n in walk(node) if n.op == "name"}
        if all(self.shapes.get(name, SCALAR) == SCALAR for name in names):
            return False  # also keeps functions of scalars alone, such as max, out of build
        symbols = {name: symbol(name, self.shapes.get(name, SCALAR)) for name in names}
        return build(node, symbols).shape != SCALAR


def _divided(factors: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """Factors above the line, and those below it without their minus."""
    over = [f for f in factors if not (f.op == "power" and f.data < 0)]
    powers = [f for f in factors if f.op == "power" and f.data < 0]
    under = [f.args[0] if f.data == -1 else replace(f, data=-f.data) for f in powers]
    return over, under


_MARKS: Mapping[str, str] = {
    "inv": "inverse", "norm": "norm", "norm2": "norm2"
}  # fmt: skip
"""Operations that are a mark on their argument, or around it."""
_LAID: Mapping[str, str] = {
    "symbol": "named", "number": "counted", "mul": "counted", "add": "added", "name": "named",
    "hadamard": "hadamard", "power": "powered", "transpose": "turned", "apply": "applied_to",
    "ones": "constant", "zeros": "constant", "eye": "constant", "d": "change", "ᵀ": "turned",
    "−": "minus",
}  # fmt: skip
"""Operation -> the method that lays it out; all others are words before their arguments."""


class Text(Layout, TextWriter):
    """One line of Unicode."""

    def function(self, name: str) -> str:
        return "√" if name == "sqrt" else super().function(name)


class Latex(Layout, LatexWriter):
    """LaTeX math, arrays bold."""

    def letter(self, e: Node) -> str:
        word = e.data.letter.replace("_", r"\_")
        if e.data.letter in GREEK:
            shown = super().letter(e)
            return rf"\boldsymbol{{{shown}}}" if e.shape else shown
        if e.shape:
            return rf"\mathbf{{{word}}}"
        return rf"\mathrm{{{word}}}" if len(word) > 1 else word

    def function(self, name: str) -> str:
        shown = name.replace("_", r"\ ")
        return _WORDS.get(name, ("", rf"\operatorname{{{shown}}}"))[1]

    def grouped(self, base: str) -> str:
        return f"{{{base}}}"


class Mathml(Layout, MathmlWriter):
    """Presentation MathML."""

    def function(self, name: str) -> str:
        return super().function(name) + self.spelled.apply


class TypedLatex(Latex):
    """LaTeX of what was typed."""

    def grouped(self, base: str) -> str:
        return base if base.endswith("}") and "^" not in base else f"{{{base}}}"


class Code(Layout):
    """The grammar of the input; reads back as the same expression."""

    spelled = CODE

    def symbol(self, name: str, shape: Shape) -> str:
        return name

    def function(self, name: str) -> str:
        return "sum" if name == "total" else name


def number_if_ones(term: Node) -> Node:
    """In a sum a literal is added to each entry, so ones are written as their number."""
    count, bare = split(term)
    return Node("number", (), SCALAR, count) if bare.op == "ones" else term
