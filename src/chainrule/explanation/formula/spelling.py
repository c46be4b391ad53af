"""How the pieces of a formula look: a row for text, LaTeX, MathML and for what is typed.

What stands where is decided by the layouts: of expressions in ``notation``, of matrices in
and of what was typed in ``matrix.text``. They share these rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chainrule.render import escape

LOW, SUM, PRODUCT, APPLY, POWER, ATOM = range(6)
Out = tuple[str, int]

SLOPE = "′"
"""Behind a function's name: its slope, σ′(x)."""
OVER = "over axis"
"""What is said behind a reduction along axes, and read back."""


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


def latex_number(text: str) -> str:
    """A number written by ``plain_number`` or ``number_text``, for math mode."""
    if text in ("∞", "−∞", "NaN"):
        return {"∞": r"\infty", "−∞": r"-\infty", "NaN": r"\mathrm{NaN}"}[text]
    mantissa, e, exponent = text.replace("−", "-").partition("e")
    if not e:
        return mantissa
    power = rf"10^{{{int(exponent)}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"


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


def attribute_text(name: str, value: Any) -> str:
    """A static argument as one would write it: a region of a slice is an index."""
    if name == "region":
        return ", ".join(str(x) if isinstance(x, int) else _slice_text(*x) for x in value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value)).replace("-", "−")
    if isinstance(value, (int, float)):
        return str(value).replace("-", "−")
    return str(value)


def without_whole(region: Sequence[Any], shape: Sequence[Any]) -> Sequence[Any]:
    """Without the axes at the end that are taken whole: W[0] for W[0, :3]."""
    kept = list(region)
    while len(kept) > 1 and kept[-1] == (0, shape[len(kept) - 1], 1):
        kept.pop()
    return kept


def _slice_text(start: int, length: int, step: int) -> str:
    stop = start + length * step
    shown = f"{start or ''}:{stop if stop >= 0 else ''}"
    return shown if step == 1 else f"{shown}:{step}"


@dataclass(frozen=True)
class Spelling:
    """One row. Fields with ``{}`` stand around what is written; ``linear``: on one line, so that
    fractions, roots and what is raised take brackets."""

    linear: bool
    number: Callable[[str], str]
    escape: Callable[[str], str]
    operator: str
    negative: str
    bracket: str
    word: str
    apply: str
    """Between a function's word and an argument without brackets."""
    thin: str
    fraction: str
    raised: str
    entries: str
    """Before an exponent that raises each entry of an array."""
    root: str
    transposed: str
    inverse: str
    inverse_transposed: str
    norm: str
    norm2: str
    size: str
    """|x|."""
    derivative: str
    d: tuple[str, str]
    """The sign of a derivative, and of a partial one."""
    pi: str
    e: str
    log: str
    words: str
    indexed: str
    """An entry of something in brackets."""
    summed: tuple[str, str]
    """Before what is added: from a lower bound, and to an upper one."""
    braces: str = "{{{}}}"
    prime: str = "'"
    layer: str = "{}"
    ones: str = "\U0001d7cf"
    zeros: str = "0"
    """Of rows and columns, as is the identity."""
    eye: str = "I"
    chain: str = " "
    """Between the factors of a product of matrices, and between scalars and arrays."""
    times: str = " "
    signs: Mapping[str, str] = field(default_factory=dict)


TEXT = Spelling(
    linear=True, number=str, escape=str, operator=" {} ", negative="−{}", bracket="({})",
    word="{}", apply=" ", thin=" ", fraction="{}/{}", raised="{}^{}", entries="∘", root="√{}",
    transposed="{}ᵀ", inverse="{}⁻¹", inverse_transposed="{}⁻ᵀ", norm="‖{}‖", norm2="‖{}‖²",
    size="|{}|", derivative="{d}{of}/{d}{by}", d=("d", "∂"), pi="π", e="e", log="log {}",
    words="({})", indexed="{}_{}", summed=("Σ_{} ", "Σ_{}^{} "),
)  # fmt: skip
LATEX = Spelling(
    linear=False, number=latex_number, escape=escape.latex_ascii, operator=" {} ", negative="-{}",
    bracket=r"\left({}\right)", word=r"\{}", apply=" ", thin=r"\,", fraction=r"\frac{{{}}}{{{}}}",
    raised="{}^{{{}}}", entries=r"\circ ", root=r"\sqrt{{{}}}", transposed=r"{}^{{\top}}",
    inverse="{}^{{-1}}", inverse_transposed=r"{}^{{-\top}}", norm=r"\left\|{}\right\|",
    norm2=r"\left\|{}\right\|^{{2}}", size=r"\left|{}\right|",
    derivative=r"\frac{{{d}{of}}}{{{d}{by}}}", d=("d", r"\partial "), pi=r"\pi", e="e",
    log=r"\log {}", words=r"\text{{ ({})}}", indexed="{}_{{{}}}",
    summed=(r"\sum_{{{}}} ", r"\sum_{{{}}}^{{{}}} "), ones=r"\mathbf{{1}}", zeros=r"\mathbf{{0}}",
    eye=r"\mathbf{{I}}", braces=r"\left\{{{}\right\}}",
    signs={"−": "-", "·": r"\cdot", "⊙": r"\odot", "⊘": r"\oslash", "⊗": r"\otimes"},
)  # fmt: skip
_APPLY = "<mo>\u2061</mo>"
_RAISED = "<msup><mrow>{}</mrow><mrow>{}</mrow></msup>"
_NORM = "<mo>‖</mo>{}<mo>‖</mo>"
MATHML = Spelling(
    linear=False, number=mathml_number, escape=escape.html, operator="<mo>{}</mo>",
    negative='<mo form="prefix">−</mo>{}', bracket="<mrow><mo>(</mo>{}<mo>)</mo></mrow>",
    word="<mi>{}</mi>", apply=_APPLY, thin="<mo>\u2062</mo>",
    fraction="<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>", raised=_RAISED,
    entries="<mo>∘</mo>", root="<msqrt>{}</msqrt>",
    transposed="<msup><mrow>{}</mrow><mi>⊤</mi></msup>",
    inverse=_RAISED.format("{}", "<mo>−</mo><mn>1</mn>"),
    inverse_transposed=_RAISED.format("{}", "<mo>−</mo><mi>⊤</mi>"),
    norm=f"<mrow>{_NORM}</mrow>", norm2=f"<msup><mrow>{_NORM}</mrow><mn>2</mn></msup>",
    size="<mrow><mo>|</mo>{}<mo>|</mo></mrow>",
    derivative="<mfrac><mrow>{d}{of}</mrow><mrow>{d}{by}</mrow></mfrac>",
    d=("<mi>d</mi>", "<mo>∂</mo>"), pi="<mi>π</mi>", e="<mi>e</mi>",
    log=f"<mi>log</mi>{_APPLY}<mn>{{}}</mn>", words="<mtext>\u00a0({})</mtext>",
    indexed="<msub><mrow>{}</mrow><mi>{}</mi></msub>",
    summed=("<munder><mo>∑</mo><mi>{}</mi></munder>",
            "<munderover><mo>∑</mo><mi>{}</mi><mi>{}</mi></munderover>"),
    ones="<mn>\U0001d7cf</mn>", zeros="<mn>0</mn>", eye="<mi>I</mi>",
    chain="<mo>\u2062</mo>", times="<mo>\u2062</mo>",
    braces="<mrow><mo>{{</mo>{}<mo>}}</mo></mrow>", prime="<mo>′</mo>", layer="<mi>{}</mi>",
)  # fmt: skip
CODE = Spelling(
    linear=True, number=str, escape=str, operator=" {} ", negative="-{}", bracket="({})",
    word="{}", apply="", thin=" * ", fraction="{} / {}", raised="{}**{}", entries="",
    root="sqrt({})", transposed="{}.T", inverse="inv({})", inverse_transposed="inv({}).T",
    norm="norm({})", norm2="norm2({})", size="abs({})", derivative="", d=("d", "d"), pi="pi",
    e="e", log="log({})", words="", indexed="{}[{}]", summed=("", ""),
    zeros="zeros({}, {})", eye="eye({})", chain=" @ ", times=" * ",
    signs={"−": "-", "·": "*", "⊙": "*", "⊘": "/"}, ones="ones({}, {})",
)  # fmt: skip


class Pieces:
    """What all layouts are made of, in the words of one row."""

    spelled: Spelling

    def lay(self, e: Any) -> Out:
        """What is written, and its level: how much it may stand beside without brackets."""
        raise NotImplementedError

    @cached_property
    def _known(self) -> dict[int, tuple[Any, Out]]:
        return {}

    def laid(self, e: Any) -> Out:
        """``lay``, once for each expression: asked at every level, work would double with each."""
        if id(e) not in self._known:
            self._known[id(e)] = (e, self.lay(e))  # e is kept, so that no other has its id
        return self._known[id(e)][1]

    def write(self, e: Any, level: int = LOW) -> str:
        text, own = self.laid(e)
        return text if own >= level else self.bracket(text)

    def operator(self, sign: str) -> str:
        return self.spelled.operator.format(self.spelled.signs.get(sign, sign))

    def negative(self, inner: str) -> str:
        return self.spelled.negative.format(inner)

    def bracket(self, inner: str, pair: str = "()") -> str:
        opened, close = self.spelled.bracket.split("{}")
        return f"{opened.replace('(', pair[0])}{inner}{close.replace(')', pair[1])}"

    def root(self, base: Any) -> str:
        return self.spelled.root.format(self.write(base, ATOM if self.spelled.linear else LOW))

    def raised(self, base: str, exponent: Any) -> str:
        level = ATOM if self.spelled.linear else LOW
        return self.spelled.raised.format(self.grouped(base), self.write(exponent, level))

    def raised_entries(self, base: str, exponent: Any) -> str:
        inner = self.spelled.entries + self.write(exponent)
        return self.spelled.raised.format(self.grouped(base), inner)

    def transposed(self, e: Any) -> str:
        return self.spelled.transposed.format(self.grouped(self.write(e, ATOM)))

    def grouped(self, base: str) -> str:
        """``base`` ready for a mark above it."""
        return base

    def applied(self, word: str, argument: str) -> str:
        opened = self.spelled.bracket.partition("{")[0]
        close = argument.startswith(opened) and not opened.startswith("<")
        return self.spelled.word.format(word) + ("" if close else self.spelled.apply) + argument

    def literal(self, text: str) -> str:
        return text

    def words(self, text: str) -> str:
        return self.spelled.words.format(self.spelled.escape(text))

    def thin(self) -> str:
        return self.spelled.thin

    def join(self, parts: Sequence[str]) -> str:
        return "".join(parts)
