"""The three spellings of a formula: text, LaTeX, MathML."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.core.node import PRIMITIVES
from chainrule.explanation.formula.as_typed import quoted
from chainrule.explanation.formula.expressions import is_call
from chainrule.explanation.formula.greek import GREEK
from chainrule.explanation.formula.idioms import IDIOM_NOTATION
from chainrule.explanation.formula.node import Name, Node
from chainrule.explanation.formula.notation import APPLY, ATOM, POWER, PRODUCT, Out, Writer, powers
from chainrule.explanation.formula.spelling import LATEX, MATHML, TEXT
from chainrule.render import escape

_SUPER = str.maketrans("0123456789-−+()nxyzp", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺⁽⁾ⁿˣʸᶻᵖ")
_SUB = str.maketrans("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_RAISABLE = re.compile(r"[0-9−-]+|[nxyzp]")
_SHIFTED = re.compile(r"[a-z0-9][+-][a-z0-9]")
"""Indexes such as k+1."""
_LOWERABLE = re.compile(r"[0-9]+|[aehijklmnoprstuvx]|[0-9]+[ijklmn]")
_ABOVE: Mapping[str, str] = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}
_AFTER: Mapping[str, str] = {"star": "*", "prime": "′"}


class TextWriter(Writer):
    """Unicode on one line."""

    spelled = TEXT

    def name(self, e: Node) -> str:
        name: Name = e.data
        letter = escape.clean(name.letter)
        letter += _ABOVE.get(name.accent, "") + _AFTER.get(name.accent, "")
        letter = unicodedata.normalize("NFC", letter)
        upper = name.upper.translate(_SUPER)
        if re.search("[^⁰-⁾²³¹ⁿˣʸᶻᵖ]", upper):
            plain = (
                name.upper.startswith("[") and name.upper.count("[") + name.upper.count("(") == 1
            )
            upper = f"^{name.upper}" if plain else f"^{{{name.upper}}}"
        if not name.index:
            return letter + upper
        lowered = _LOWERABLE.fullmatch(name.index)
        shifted = (
            f"_{{{name.index}}}"
            if _SHIFTED.fullmatch(name.index) or "," in name.index
            else "_" + escape.clean(name.index)
        )
        index = name.index.translate(_SUB) if lowered else shifted
        return letter + index + upper

    def fraction(self, above: Sequence[Node], below: Sequence[tuple[Node, Node]]) -> Out:
        top = self.side_by_side(above)
        bare = bool(above) and is_call(above[-1]) and self.laid(above[-1])[1] < POWER
        if len(above) == 1 and above[0].op == "derivative":
            bare = True
        if bare or (len(above) > 1 and any(f.op == "sum" for f in above)):
            top = self.bracket(top)
        factors = powers(below)
        if len(factors) == 1:
            bottom = self.write(factors[0], APPLY if self.is_bare(factors[0]) else POWER)
        else:
            bottom = self.bracket(self.side_by_side(factors))
        return f"{top}/{bottom}", PRODUCT

    def raised(self, base: str, exponent: Node) -> str:
        inner = self.write(exponent)
        if _RAISABLE.fullmatch(inner):
            return base + inner.translate(_SUPER)
        return f"{base}^{self.write(exponent, ATOM)}"

    def raised_entries(self, base: str, exponent: Node) -> str:
        return self.raised(f"{base}∘", exponent)

    def template_of(self, operation: str) -> str:
        if operation in IDIOM_NOTATION:
            return IDIOM_NOTATION[operation][0]
        found = PRIMITIVES.get(operation)
        return (found and found.text) or f"{operation}({{}})"


class LatexWriter(Writer):
    """For math mode; every string from outside is escaped, and all of it parses in KaTeX."""

    spelled = LATEX

    def name(self, e: Node) -> str:
        if shown := quoted(self, e):
            return shown
        name: Name = e.data
        sign = {"∇": r"\nabla", "Δ": r"\Delta"}.get(name.letter[0]) if name.letter[1:] else None
        letter = f"{sign} {latex_letter(name.letter[1:])}" if sign else self.letter(e)
        if name.accent in _ABOVE:
            letter = rf"\{name.accent}{{{letter}}}"
        raised = {"star": "^{*}", "prime": "'"}.get(name.accent, "")
        raised = f"^{{{name.upper}}}" if name.upper else raised
        index = name.index
        if not index:
            return letter + raised
        return f"{letter}_{{{self.index(index)}}}{raised}"

    def index(self, text: str) -> str:
        simple = text.isascii() and (text.isdigit() or (len(text) < 3 and text.isalpha()))
        if nested := _NESTED.fullmatch(text):  # s_{y_{i}}
            return f"{nested[1]}_{{{self.index(nested[2])}}}"
        if "," in text and text.replace(",", "").isalnum():
            return ",".join(map(self.index, text.split(",")))
        if simple or not text or text in ("=0", "=1") or _SHIFTED.fullmatch(text) is not None:
            return text
        if "ℓ" in text:
            return text.replace("ℓ", r"\ell ")
        return f"\\{GREEK[text]}" if text in GREEK else rf"\text{{{escape.latex_ascii(text)}}}"

    def letter(self, e: Node) -> str:
        return latex_letter(e.data.letter)

    def literal(self, text: str) -> str:
        return text.replace("→", r"\to ")

    def attribute(self, name: str, value: Any) -> str:
        shown = super().attribute(name, value)
        safe = all(c in "0123456789.−-:, e+" for c in shown)
        return shown.replace("−", "-") if safe else rf"\text{{{escape.latex_ascii(shown)}}}"

    def transposed(self, e: Node) -> str:
        """W^{[2]\\top}: the layer and the mark stand side by side."""
        if isinstance(e.data, Name) and e.data.upper:
            return self.name(e)[:-1] + r"\top}"
        return super().transposed(e)

    def grouped(self, base: str) -> str:
        """TeX refuses a second superscript beside the first."""
        raised = ("^" in base or "'" in base) and not base.startswith(r"\left")
        return f"{{{base}}}" if raised else base

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


def latex_letter(letter: str) -> str:
    """A letter or word as one symbol of LaTeX's math mode."""
    if letter in GREEK:
        return "\\" + GREEK[letter]
    if letter == "⋯":  # in the place of turns of a loop
        return r"\cdots"
    if len(letter) == 1 and letter.isascii() and letter.isalpha():
        return letter
    return rf"\mathit{{{letter}}}" if letter.isascii() and letter.isalpha() else (
        rf"\text{{{escape.latex_ascii(letter)}}}"
    )  # fmt: skip


class MathmlWriter(Writer):
    """Presentation MathML Core."""

    spelled = MATHML

    def name(self, e: Node) -> str:
        if shown := quoted(self, e):
            return shown
        name: Name = e.data
        letter = f"<mi>{escape.html(name.letter)}</mi>"
        if name.accent in _ABOVE:
            mark = {"hat": "^", "bar": "¯", "tilde": "~"}[name.accent]
            letter = f'<mover accent="true">{letter}<mo>{mark}</mo></mover>'
        raised = f"<mo>{_AFTER[name.accent]}</mo>" if name.accent in _AFTER else ""
        if name.upper:
            parts = (
                p if p in "[]()" else f"<mi>{escape.html(p)}</mi>"
                for p in _PARTS.findall(name.upper)
            )
            raised = "".join(f"<mo>{p}</mo>" if len(p) == 1 else p for p in parts)
            raised = f"<mrow>{raised}</mrow>"
        if name.index:
            tag = "mn" if name.index.isdigit() else "mi"
            index = f"<{tag}>{escape.html(name.index)}</{tag}>"
            return (
                f"<msubsup>{letter}{index}{raised}</msubsup>"
                if raised
                else f"<msub>{letter}{index}</msub>"
            )
        return f"<msup>{letter}{raised}</msup>" if raised else letter

    def literal(self, text: str) -> str:
        shown = "".join(_mathml_token(token) for token in _TOKENS.findall(text))
        word = text.endswith(" ") and text[-2:-1].isalnum()
        return shown + '<mspace width="0.17em"/>' if word else shown  # max outputs

    def template_of(self, operation: str) -> str:
        return TextWriter.template_of(self, operation)  # type: ignore[arg-type]


_NESTED = re.compile(r"([A-Za-z])_([A-Za-z]|\d+)")
_PARTS = re.compile(r"[\[\]()]|[^\[\]()]+")
_TOKENS = re.compile(r"[^\W\d_][\w₀-₉]*|\d+(?:\.\d+)?|[=<>!]=|\S")
_RELATIONS: Mapping[str, str] = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}


def _mathml_token(token: str) -> str:
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    tag = "mi" if token[0].isalpha() else "mo"
    return f"<{tag}>{escape.html(_RELATIONS.get(token, token))}</{tag}>"
