"""The three spellings of a formula: text, LaTeX, MathML."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.core.node import PRIMITIVES
from chainrule.explanation.formula.expressions import ONE, Call, Derivative, Expr, Name, Power, Sum
from chainrule.explanation.formula.greek import GREEK
from chainrule.explanation.formula.idioms import IDIOM_NOTATION
from chainrule.explanation.formula.notation import (
    APPLY,
    ATOM,
    LOGARITHMS,
    POWER,
    PRODUCT,
    SUM,
    Out,
    Writer,
    multiple_of_pi,
)
from chainrule.render import escape

_SUPER = str.maketrans("0123456789-−+()nxyzp", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺⁽⁾ⁿˣʸᶻᵖ")
_SUB = str.maketrans("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_RAISABLE = re.compile(r"[0-9−-]+|[nxyzp]")
_SHIFTED = re.compile(r"[a-z0-9][+-][a-z0-9]")
"""Indexes such as k+1."""
_LOWERABLE = re.compile(r"[0-9]+|[aehijklmnoprstuvx]|[0-9]+[ijklmn]")
_ABOVE: Mapping[str, str] = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}
_AFTER: Mapping[str, str] = {"star": "*", "prime": "′"}


def plain_number(value: int | float) -> str:
    """A constant as one would type it, exactly, with a real minus sign."""
    if value != value:
        return "NaN"
    if value in (math.inf, -math.inf):
        return "∞" if value > 0 else "−∞"
    if isinstance(value, int) and abs(value) >= 10**15:
        value = float(value)
    shown = repr(value)
    return shown.replace("-", "−")


def _number_level(value: int | float) -> int:
    return SUM if value < 0 else ATOM


def _powers(below: Sequence[tuple[Expr, Expr]]) -> list[Expr]:
    return [base if n == ONE else Power(base, n) for base, n in below]


class TextWriter(Writer):
    """Unicode on one line."""

    def number(self, value: int | float) -> Out:
        if pi := multiple_of_pi(value):
            return f"{pi if pi > 1 else ''}π", ATOM
        if value == math.e:
            return "e", ATOM
        if value in LOGARITHMS:
            return f"log {LOGARITHMS[value]}", APPLY
        return plain_number(value), _number_level(value)

    def name(self, e: Name) -> str:
        letter = escape.clean(e.letter) + _ABOVE.get(e.accent, "") + _AFTER.get(e.accent, "")
        letter = unicodedata.normalize("NFC", letter)
        upper = f"^{e.upper}" if e.upper.startswith("[") else e.upper.translate(_SUPER)
        if not e.index:
            return letter + upper
        lowered = _LOWERABLE.fullmatch(e.index)
        shifted = f"_{{{e.index}}}" if _SHIFTED.fullmatch(e.index) else "_" + escape.clean(e.index)
        index = e.index.translate(_SUB) if lowered else shifted
        return letter + index + upper

    def derivative(self, e: Derivative) -> Out:
        d = "∂" if e.partial else "d"
        return f"{d}{self.name(e.of)}/{d}{self.name(e.by)}", PRODUCT

    def operator(self, sign: str) -> str:
        return f" {sign} "

    def negative(self, inner: str) -> str:
        return f"−{inner}"

    def bracket(self, inner: str) -> str:
        return f"({inner})"

    def fraction(self, above: Sequence[Expr], below: Sequence[tuple[Expr, Expr]]) -> Out:
        top = self.side_by_side(above)
        bare = bool(above) and isinstance(above[-1], Call) and self.lay(above[-1])[1] < POWER
        if len(above) == 1 and isinstance(above[0], Derivative):
            bare = True
        if bare or (len(above) > 1 and any(isinstance(f, Sum) for f in above)):
            top = self.bracket(top)
        factors = _powers(below)
        if len(factors) == 1:
            bottom = self.write(factors[0], APPLY if self.is_bare(factors[0]) else POWER)
        else:
            bottom = self.bracket(self.side_by_side(factors))
        return f"{top}/{bottom}", PRODUCT

    def root(self, base: Expr) -> str:
        return "√" + self.write(base, ATOM)

    def raised(self, base: str, exponent: Expr) -> str:
        inner = self.write(exponent)
        if _RAISABLE.fullmatch(inner):
            return base + inner.translate(_SUPER)
        return f"{base}^{self.write(exponent, ATOM)}"

    def raised_entries(self, base: str, exponent: Expr) -> str:
        return self.raised(f"{base}∘", exponent)

    def transposed(self, e: Expr) -> str:
        return self.write(e, ATOM) + "ᵀ"

    def applied(self, word: str, argument: str) -> str:
        return f"{word}{argument}" if argument.startswith("(") else f"{word} {argument}"

    def words(self, text: str) -> str:
        return f"({text})"

    def template_of(self, operation: str) -> str:
        if operation in IDIOM_NOTATION:
            return IDIOM_NOTATION[operation][0]
        found = PRIMITIVES.get(operation)
        return (found and found.text) or f"{operation}({{}})"


class LatexWriter(Writer):
    """For math mode; every string from outside is escaped, and all of it parses in KaTeX."""

    def number(self, value: int | float) -> Out:
        if pi := multiple_of_pi(value):
            return rf"{pi if pi > 1 else ''}\pi", ATOM
        if value == math.e:
            return "e", ATOM
        if value in LOGARITHMS:
            return rf"\log {LOGARITHMS[value]}", APPLY
        return latex_number(plain_number(value)), _number_level(value)

    def name(self, e: Name) -> str:
        slope = e.letter.startswith("∇")
        letter = rf"\nabla {latex_letter(e.letter[1:])}" if slope else latex_letter(e.letter)
        if e.accent in _ABOVE:
            letter = rf"\{e.accent}{{{letter}}}"
        raised = {"star": "^{*}", "prime": "'"}.get(e.accent, "")
        raised = f"^{{{e.upper}}}" if e.upper else raised
        index = e.index
        if not index:
            return letter + raised
        simple = index.isascii() and (index.isdigit() or (len(index) == 1 and index.isalpha()))
        simple = simple or _SHIFTED.fullmatch(index) is not None
        shown = index if simple else rf"\text{{{escape.latex_ascii(index)}}}"
        return f"{letter}_{{{shown}}}{raised}"

    def derivative(self, e: Derivative) -> Out:
        d = r"\partial " if e.partial else "d"
        return rf"\frac{{{d}{self.name(e.of)}}}{{{d}{self.name(e.by)}}}", PRODUCT

    def operator(self, sign: str) -> str:
        return {"−": " - ", "·": r" \cdot ", "⊙": r" \odot "}.get(sign, f" {sign} ")

    def negative(self, inner: str) -> str:
        return f"-{inner}"

    def bracket(self, inner: str) -> str:
        return rf"\left({inner}\right)"

    def fraction(self, above: Sequence[Expr], below: Sequence[tuple[Expr, Expr]]) -> Out:
        return rf"\frac{{{self.row(above)}}}{{{self.row(_powers(below))}}}", POWER

    def root(self, base: Expr) -> str:
        return rf"\sqrt{{{self.write(base)}}}"

    def raised(self, base: str, exponent: Expr) -> str:
        return f"{_grouped(base)}^{{{self.write(exponent)}}}"

    def raised_entries(self, base: str, exponent: Expr) -> str:
        return rf"{_grouped(base)}^{{\circ {self.write(exponent)}}}"

    def transposed(self, e: Expr) -> str:
        return _grouped(self.write(e, ATOM)) + r"^{\top}"

    def applied(self, word: str, argument: str) -> str:
        known = r"\operatorname{where}" if word == "where" else "\\" + word
        return f"{known}{argument}" if argument.startswith("\\left(") else f"{known} {argument}"

    def words(self, text: str) -> str:
        return rf"\text{{ ({text})}}"

    def literal(self, text: str) -> str:
        return text.replace("→", r"\to ")

    def attribute(self, name: str, value: Any) -> str:
        shown = super().attribute(name, value)
        safe = all(c in "0123456789.−-:, e+" for c in shown)
        return shown.replace("−", "-") if safe else rf"\text{{{escape.latex_ascii(shown)}}}"

    def thin(self) -> str:
        return r"\,"

    def join(self, parts: Sequence[str]) -> str:
        """A letter after a command takes a space: \\pi x."""
        out: list[str] = []
        for part in parts:
            if out and part[:1].isalpha() and _COMMAND.search(out[-1]):
                out.append(" ")
            if part:
                out.append(part)
        return "".join(out)

    def template_of(self, operation: str) -> str:
        if operation in IDIOM_NOTATION:
            return IDIOM_NOTATION[operation][1]
        word = operation.replace("_", r"\_")
        primitive = PRIMITIVES.get(operation)
        found = primitive.latex if primitive is not None else ""
        if not found or f"{{{{{operation}}}}}" in found:
            return rf"\operatorname{{{{{word}}}}}\left({{}}\right)"
        return found


_COMMAND = re.compile(r"\\[A-Za-z]+$")


def _grouped(base: str) -> str:
    """``base`` ready for a superscript: TeX refuses a second one beside the first."""
    raised = ("^" in base or "'" in base) and not base.startswith(r"\left")
    return f"{{{base}}}" if raised else base


def latex_letter(letter: str) -> str:
    """A letter or word as one symbol of LaTeX's math mode."""
    if letter in GREEK:
        return "\\" + GREEK[letter]
    if len(letter) == 1 and letter.isascii() and letter.isalpha():
        return letter
    return rf"\mathit{{{letter}}}" if letter.isascii() and letter.isalpha() else (
        rf"\text{{{escape.latex_ascii(letter)}}}"
    )  # fmt: skip


def latex_number(text: str) -> str:
    """A number written by ``plain_number`` or ``number_text``, for math mode."""
    if text in ("∞", "−∞", "NaN"):
        return {"∞": r"\infty", "−∞": r"-\infty", "NaN": r"\mathrm{NaN}"}[text]
    mantissa, e, exponent = text.replace("−", "-").partition("e")
    if not e:
        return mantissa
    power = rf"10^{{{int(exponent)}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"


class MathmlWriter(Writer):
    """Presentation MathML Core."""

    def number(self, value: int | float) -> Out:
        if value in LOGARITHMS:
            return f"<mi>log</mi>{_APPLY}<mn>{LOGARITHMS[value]}</mn>", APPLY
        if pi := multiple_of_pi(value):
            return (f"<mn>{pi}</mn>" if pi > 1 else "") + "<mi>π</mi>", ATOM
        shown = "e" if value == math.e else plain_number(value)
        return mathml_number(shown), _number_level(value)

    def name(self, e: Name) -> str:
        letter = f"<mi>{escape.html(e.letter)}</mi>"
        if e.accent in _ABOVE:
            mark = {"hat": "^", "bar": "¯", "tilde": "~"}[e.accent]
            letter = f'<mover accent="true">{letter}<mo>{mark}</mo></mover>'
        raised = f"<mo>{_AFTER[e.accent]}</mo>" if e.accent in _AFTER else ""
        if e.upper:
            left, inside, right = e.upper[0], escape.html(e.upper[1:-1]), e.upper[-1]
            raised = f"<mrow><mo>{left}</mo><mi>{inside}</mi><mo>{right}</mo></mrow>"
        if e.index:
            tag = "mn" if e.index.isdigit() else "mi"
            index = f"<{tag}>{escape.html(e.index)}</{tag}>"
            return (
                f"<msubsup>{letter}{index}{raised}</msubsup>"
                if raised
                else f"<msub>{letter}{index}</msub>"
            )
        return f"<msup>{letter}{raised}</msup>" if raised else letter

    def derivative(self, e: Derivative) -> Out:
        d = "<mo>∂</mo>" if e.partial else "<mi>d</mi>"
        top = f"<mrow>{d}{self.name(e.of)}</mrow>"
        return f"<mfrac>{top}<mrow>{d}{self.name(e.by)}</mrow></mfrac>", PRODUCT

    def operator(self, sign: str) -> str:
        return f"<mo>{sign}</mo>"

    def negative(self, inner: str) -> str:
        return f'<mo form="prefix">−</mo>{inner}'

    def bracket(self, inner: str) -> str:
        return f"<mrow><mo>(</mo>{inner}<mo>)</mo></mrow>"

    def fraction(self, above: Sequence[Expr], below: Sequence[tuple[Expr, Expr]]) -> Out:
        top, bottom = self.row(above), self.row(_powers(below))
        return f"<mfrac><mrow>{top}</mrow><mrow>{bottom}</mrow></mfrac>", POWER

    def root(self, base: Expr) -> str:
        return f"<msqrt>{self.write(base)}</msqrt>"

    def raised(self, base: str, exponent: Expr) -> str:
        return f"<msup><mrow>{base}</mrow><mrow>{self.write(exponent)}</mrow></msup>"

    def raised_entries(self, base: str, exponent: Expr) -> str:
        raised = f"<mo>∘</mo>{self.write(exponent)}"
        return f"<msup><mrow>{base}</mrow><mrow>{raised}</mrow></msup>"

    def transposed(self, e: Expr) -> str:
        return f"<msup><mrow>{self.write(e, ATOM)}</mrow><mi>⊤</mi></msup>"

    def applied(self, word: str, argument: str) -> str:
        return f"<mi>{word}</mi>{_APPLY}{argument}"

    def words(self, text: str) -> str:
        return f"<mtext>\u00a0({escape.html(text)})</mtext>"

    def thin(self) -> str:
        return "<mo>\u2062</mo>"

    def literal(self, text: str) -> str:
        shown = "".join(_mathml_token(token) for token in _TOKENS.findall(text))
        word = text.endswith(" ") and text[-2:-1].isalnum()
        return shown + '<mspace width="0.17em"/>' if word else shown  # max outputs

    def template_of(self, operation: str) -> str:
        return TextWriter.template_of(self, operation)  # type: ignore[arg-type]


_APPLY = "<mo>\u2061</mo>"
_TOKENS = re.compile(r"[^\W\d_][\w₀-₉]*|\d+(?:\.\d+)?|[=<>!]=|\S")
_RELATIONS: Mapping[str, str] = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}


def _mathml_token(token: str) -> str:
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    tag = "mi" if token[0].isalpha() else "mo"
    return f"<{tag}>{escape.html(_RELATIONS.get(token, token))}</{tag}>"


def mathml_number(text: str) -> str:
    """A number written by ``plain_number`` or ``number_text``."""
    sign = '<mo form="prefix">−</mo>' if text.startswith("−") else ""
    mantissa, e, exponent = text.removeprefix("−").partition("e")
    if not e or not mantissa[:1].isdigit():
        tag = "mn" if mantissa[:1].isdigit() else "mi"
        return f"{sign}<{tag}>{escape.html(text.removeprefix('−'))}</{tag}>"
    power = f"<msup><mn>10</mn>{mathml_number(str(int(exponent.replace('−', '-'))))}</msup>"
    power = power.replace("-", "−")
    return f"{sign}<mn>{mantissa}</mn><mo>·</mo>{power}"
