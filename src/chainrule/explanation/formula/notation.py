"""How formulas are written: as text, as LaTeX, as MathML, by one set of precedences.

The notation of an operation is the ``text`` and ``latex`` of its primitive; algebra, matrix
products and derivatives are laid out here.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from chainrule.explanation.formula.as_typed import TYPED_LAYOUTS
from chainrule.explanation.formula.expressions import (
    HALF,
    ONE,
    call_of,
    coefficient,
    constant,
    factors_of,
    inside,
    is_call,
    multiplied,
    raised,
)
from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.spelling import (
    APPLY,
    ATOM,
    LOW,
    OVER,
    POWER,
    PRODUCT,
    SUM,
    Out,
    Pieces,
    attribute_text,
    plain_number,
    without_whole,
)


def multiple_of_pi(value: float) -> int:
    """k where ``value`` is exactly the float k·π, k from 1 to 12; else 0."""
    k = round(value / math.pi) if abs(value) < 40 else 0
    return k if 1 <= k <= 12 and value == k * math.pi else 0


LOGARITHMS: Mapping[float, int] = {math.log(2.0): 2, math.log(10.0): 10}

SUMS = ("Σ", "Π", r"\sum", r"\prod")
RELATIONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "=", r"\ne", r"\le", r"\ge"})

OPENING = ("(", "[", "|", "‖", "\\lVert", "⌊", "⌈", "{", ",", "\\left.",
           "{cases}", "&", "{if }", "\\\\")  # fmt: skip
CLOSING = (")", "]", "|", "‖", "\\rVert", "⌋", "⌉", "}", ",", "\\right", "\\rfl",
           "&", "\\\\", "\\end")  # fmt: skip

# Functions that are written without brackets before a letter or a power of one: sin x².
BARE = frozenset({"sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"})


class Writer(Pieces):
    """Lays an expression out. Subclasses say how names and functions look."""

    def lay(self, e: Node) -> Out:
        if e.op == "number":
            return self.number(e.data)
        if e.op == "name":
            return self.name(e), ATOM
        return getattr(self, "call" if is_call(e) else e.op)(e)

    # Sums and products --------------------------------------------------------------------

    def sum(self, e: Node) -> Out:
        parts: list[str] = []
        for i, term in enumerate(e.args):
            sign, rest = _signed(term)
            if i == 0:
                shown = self.write(rest, PRODUCT)
                parts.append(self.negative(shown) if sign else shown)
            else:
                parts.append(self.operator("−" if sign else "+"))
                parts.append(self.write(rest, PRODUCT))
        return self.join(parts), SUM

    def product(self, e: Node) -> Out:
        sign, rest = _signed(e)
        if sign:
            # −2x stands in a sum and after an equals sign; as a factor it takes brackets.
            return self.negative(self.write(rest, PRODUCT)), SUM
        above, below = _fraction(factors_of(rest))
        if below:
            return self.fraction(above, below)
        return self.side_by_side(above), PRODUCT

    def side_by_side(self, factors: Sequence[Node]) -> str:
        if not factors:
            return self.number(1)[0]
        first = factors[0]
        if len(factors) > 1 and first.op == "number" and first.data in LOGARITHMS:
            factors = [*factors[1:], first]  # 2ˣ log 2
        parts: list[str] = []
        for i, factor in enumerate(factors):
            last = i == len(factors) - 1
            numbered = i == 1 and first.op == "number"
            shown = self.write(factor, self.least(factor, last, numbered))
            if i:
                parts.append(self.between(factors[i - 1], factor))
            parts.append(shown)
        return self.join(parts)

    def row(self, factors: Sequence[Node]) -> str:
        """Factors above or below a line, which groups them: a lone sum needs no brackets."""
        return self.write(factors[0]) if len(factors) == 1 else self.side_by_side(factors)

    def least(self, factor: Node, last: bool, numbered: bool = False) -> int:
        """The level below which a factor takes brackets: dJ/du and sin u go without."""
        if factor.op == "derivative":
            return PRODUCT
        of_arrays = factor.op in ("contract", "beside")
        if last and of_arrays and numbered:
            return PRODUCT  # 2 q xᵀ
        return APPLY if last or self.is_bare(factor) else POWER

    def between(self, left: Node, right: Node) -> str:
        left, right = inside(left), inside(right)
        if left.shape and right.shape:
            return self.operator("⊙")
        if right.op == "number" and right.data == math.pi and left.op == "number":
            return ""
        if right.op == "number":
            return self.thin() if right.data in LOGARITHMS else self.operator("·")
        if left.op == "number" and (_is_letters(right) or self.is_bare(right)):
            return self.thin() if self.is_bare(right) else ""
        if left.op == "number" and (right.op == "sum" or is_call(right)):
            return "" if right.op == "sum" else self.thin()
        root = left.op == "power" and left.args[1] == HALF  # √x y would read as √(xy)
        if not root and _is_letters(left) and _is_letters(right):
            return ""
        if not root and _is_letters(left) and self.is_bare(right):
            return self.thin()
        return self.operator("·")

    def is_bare(self, e: Node) -> bool:
        """Whether ``e`` is a function written before its argument without brackets."""
        return e.op in BARE_CALLS and _level(self, e) == APPLY

    def power(self, e: Node) -> Out:
        of, exponent = e.args
        if exponent.op == "number":
            if exponent.data == 0.5:
                return self.root(of), POWER
            if exponent.data < 0:
                return self.fraction((ONE,), ((of, constant(-exponent.data)),))
        base = self.write(of, ATOM)
        if len(of.shape) > 1:  # W² is W W
            return self.raised_entries(base, exponent), POWER
        return self.raised(base, exponent), POWER

    # Calls ----------------------------------------------------------------------------------

    def call(self, e: Node) -> Out:
        if self.spelled.linear and any(_of_function(arg) for arg in e.args):
            e = replace(e, args=tuple(map(inside, e.args)))
        layout = LAYOUTS.get(e.op)
        if layout is not None:
            found = layout(self, e)
            if found is not None:
                return found
        return self.template(e, self.template_of(e.op))

    def template(self, e: Node, template: str) -> Out:
        pieces = _pieces(template)
        fields = [field for _, field in pieces if field is not None]
        if len([f for f in fields if not f.isidentifier()]) < len(e.args) and len(fields) == 1:
            return self.join([self.literal(pieces[0][0]), self.listed(e.args)]
                             + [self.literal(text) for text, _ in pieces[1:]]), ATOM  # fmt: skip
        own = ATOM
        out: list[str] = []
        attrs = dict(e.data)
        auto = iter(range(len(e.args)))
        for k, (before, field) in enumerate(pieces):
            out.append(self.literal(before))
            if field is None:
                continue
            if field.isidentifier():
                value = attrs[field]
                if field == "region":
                    value = without_whole(value, e.args[0].shape)
                out.append(self.attribute(field, value))
                continue
            arg = e.args[int(field) if field else next(auto)]
            after = pieces[k + 1][0] if k + 1 < len(pieces) else ""
            level, takes = self.fit(before, after, arg)
            arg = inside(arg) if level == LOW else arg
            own = min(own, takes)
            shown = self.write(arg, level)
            word = before[-2:-1].isalnum() and before[-1:] == " " and before.strip() not in SUMS
            if word and arg.op == "power" and self.laid(arg.args[0])[1] < ATOM:
                shown = self.bracket(shown)  # log((1 + x)²): log(1 + x)² is another thing
            if out[-1].endswith(" ") and out[-1][-2:-1].islower() and shown.startswith("("):
                out[-1] = out[-1].rstrip()  # log(1 + x), but log x
            out.append(shown)
        return self.join(out), own

    def fit(self, before: str, after: str, arg: Node) -> tuple[int, int]:
        """The level an argument must have between these texts, and that of the whole."""
        opened = before.rstrip().endswith(OPENING)
        closed = after.lstrip().startswith(CLOSING)
        if opened and closed:
            return LOW, ATOM
        if after and not after.startswith(" "):
            return ATOM, POWER
        infix = bool(after.strip()) or (before.startswith(" ") and bool(before.strip()))
        if infix:
            relation = {*before.split(), *after.split()} & RELATIONS
            if "mod" in before or "bmod" in before:
                return POWER, LOW
            return (SUM if relation else PRODUCT), LOW
        return POWER, APPLY

    def listed(self, args: Sequence[Node]) -> str:
        out: list[str] = []
        for i, arg in enumerate(args):
            out += [self.literal(", ")] * bool(i) + [self.write(arg)]
        return self.join(out)

    def function(self, word: str, e: Node) -> Out:
        """``word`` before one argument, without brackets where that is clear."""
        (arg,) = e.args
        if arg is not (arg := inside(arg)):
            return self.applied(word, self.bracket(self.write(arg))), ATOM
        simple = arg.op == "name" or (
            arg.op == "power"
            and arg.args[0].op == "name"
            and arg.args[1].op == "number"
            and arg.args[1].data > 1
        )
        if word in BARE and simple:
            return self.applied(word, self.write(arg)), APPLY
        return self.applied(word, self.bracket(self.write(arg))), ATOM

    # The pieces ------------------------------------------------------------------------------

    def number(self, value: int | float) -> Out:
        s = self.spelled
        if pi := multiple_of_pi(value):
            return (s.number(str(pi)) if pi > 1 else "") + s.pi, ATOM
        if value in LOGARITHMS:
            return s.log.format(LOGARITHMS[value]), APPLY
        level = SUM if value < 0 else ATOM
        return s.e if value == math.e else s.number(plain_number(value)), level

    def name(self, e: Node) -> str:
        raise NotImplementedError

    def index(self, text: str) -> str:
        return self.spelled.escape(text)

    def derivative(self, e: Node) -> Out:
        of, by = self.name(e.data.of), self.name(e.data.by)
        d = self.spelled.d[e.data.partial]
        return self.spelled.derivative.format(d=d, of=of, by=by), PRODUCT

    def fraction(self, above: Sequence[Node], below: Sequence[tuple[Node, Node]]) -> Out:
        over, under = self.row(above), self.row(powers(below))
        return self.spelled.fraction.format(over, under), POWER

    def template_of(self, operation: str) -> str:
        raise NotImplementedError

    def attribute(self, name: str, value: Any) -> str:
        return self.literal(attribute_text(name, value))


def powers(below: Sequence[tuple[Node, Node]]) -> list[Node]:
    """What stands below a line."""
    return [base if n == ONE else raised(base, n) for base, n in below]


def _signed(e: Node) -> tuple[bool, Node]:
    """Whether ``e`` begins with a minus, and what comes after it."""
    c, rest = coefficient(e)
    if not c < 0:  # NaN stays where it is
        return False, e
    if rest == ONE:
        return True, constant(-c)
    return True, rest if c == -1 else multiplied(constant(-c), *factors_of(rest))


def _fraction(factors: Sequence[Node]) -> tuple[list[Node], list[tuple[Node, Node]]]:
    """Factors above the line, and (base, exponent) of those below it."""
    above: list[Node] = []
    below: list[tuple[Node, Node]] = []
    for factor in factors:
        if factor.op == "power" and factor.args[1].op == "number" and factor.args[1].data < 0:
            base, exponent = factor.args
            below.append((base, constant(-exponent.data)))
        else:
            above.append(factor)
    if len(above) > 1 and above[0] == ONE:
        above.pop(0)
    if below and above and above[0].op == "number":
        inverse = 1 / above[0].data if above[0].data else 0.0
        if inverse in (2.0, 4.0, 8.0):  # 0.5 / y is 1 / (2y)
            below.insert(0, (constant(inverse), ONE))
            above.pop(0)
    return above, below


_LOWERED = frozenset(["", *"aehijklmnoprstuvx"])
"""Indexes with a character of their own: x_c y would be read as one name where it is close."""


def _is_letters(e: Node) -> bool:
    base = e.args[0] if e.op == "power" else e
    if e.op == "power" and not (e.args[1].op == "number" and e.args[1].data > 0):
        return False
    if base.op == "name":
        name = base.data
        return len(name.letter) == 1 and (name.index.isdigit() or name.index in _LOWERED)
    return base.op == "power" and _is_letters(base)


def _of_function(e: Node) -> bool:
    """Whether brackets are those of a function's argument, which one line has where it must."""
    return e.op == "group" and e.data[0][1] == "f("


@lru_cache(maxsize=512)
def _pieces(template: str) -> tuple[tuple[str, str | None], ...]:
    """The texts of a template, each with the field after it; doubled braces are text."""
    found: list[tuple[str, str | None]] = []
    text = ""
    for literal, field, _, _ in string.Formatter().parse(template):
        text += literal
        if field is not None:
            found.append((text, field))
            text = ""
    return (*found, (text, None)) if text else tuple(found)


# Products of arrays --------------------------------------------------------------------------


def matrix_factors(spec: str) -> tuple[bool, bool, bool] | None:
    """How a contraction is written with transposes: (left, right, swapped), or None.

    ``swapped`` puts the right operand first. Vectors are never transposed, except the second
    of an outer product.
    """
    operands, _, out = spec.partition("->")
    left, _, right = operands.partition(",")
    summed = [c for c in left if c in right and c not in out]
    if len(left) > 2 or len(right) > 2 or len(summed) != 1:
        return None
    (c,) = summed
    rest = left.replace(c, "") + right.replace(c, "")
    turn_left = len(left) == 2 and left[0] == c
    turn_right = len(right) == 2 and right[1] == c
    if out == rest:
        return turn_left, turn_right, False
    return (not turn_left, not turn_right, True) if len(out) == 2 else None


def _contract(w: Writer, e: Node) -> Out | None:
    spec = dict(e.data)["spec"]
    operands, _, out = spec.partition("->")
    left, _, right = operands.partition(",")
    x, z = e.args
    number, rest = coefficient(x)
    if x.op == "product" and number != 1 and (left != right or not out):
        made = call_of(e.op, (rest, z), e.data, e.shape)
        return w.product(multiplied(constant(number), made))  # 2 q xᵀ
    if left == right == out or not left or not right:
        return w.product(multiplied(x, z))
    if len(left) == len(right) == 1 and left != right:
        first, second = (x, z) if out == left + right else (z, x)
        return w.join([w.write(first, POWER), w.thin(), w.transposed(second)]), PRODUCT
    if left == right and not out and len(left) == 1:
        return w.join([_row(w, x), w.thin(), w.write(z, POWER)]), PRODUCT
    found = matrix_factors(spec)
    if found is None:
        word = w.literal(f"einsum[{spec.replace('->', '→')}]")
        return w.join([word, w.bracket(w.listed(e.args))]), ATOM
    turn_left, turn_right, swapped = found
    first = w.transposed(x) if turn_left else w.write(x, POWER)
    second = w.transposed(z) if turn_right else w.write(z, POWER)
    if swapped:
        first, second = second, first
    return w.join([first, w.thin(), second]), PRODUCT


def _row(w: Writer, e: Node) -> str:
    """A vector as a row: xᵀ, and xᵀ B for the product of x and B."""
    spec = dict(e.data)["spec"] if e.op == "contract" else ""
    left, _, right = spec.partition("->")[0].partition(",")
    if len(left) == 1 and len(right) == 2 and right[0] == left:
        return w.join([_row(w, e.args[0]), w.thin(), w.write(e.args[1], POWER)])
    return w.transposed(e)


def _transpose(w: Writer, e: Node) -> Out | None:
    return (w.transposed(e.args[0]), POWER) if dict(e.data)["axes"] == (1, 0) else None


def _over_axes(w: Writer, e: Node) -> Out | None:
    """A reduction over some axes says which, a variance what its divisor is short of."""
    attrs = dict(e.data)
    axes = attrs.get("axes", attrs.get("axis"))
    axes = axes if isinstance(axes, tuple) else () if axes is None else (axes,)
    count = len(e.args[0].shape)
    said = []
    if axes and count and len(axes) != count and e.shape:  # without one, of unknown shape
        said.append(f"{OVER} " + ", ".join(str(axis % count) for axis in axes))
    if attrs.get("ddof"):
        said.append(f"ddof {attrs['ddof']}")
    if not said:
        return None
    text, _ = w.template(e, w.template_of(e.op))
    return w.join([text, w.literal(" "), w.words(", ".join(said))]), LOW


LAYOUTS: Mapping[str, Any] = {
    **TYPED_LAYOUTS,
    "contract": _contract,
    "transpose": _transpose,
    "reduce_sum": _over_axes,
    "reduce_max": _over_axes,
    "reduce_min": _over_axes,
    **dict.fromkeys(("mean", "var", "std", "norm"), _over_axes),
    **dict.fromkeys(BARE, lambda w, e: w.function(e.op, e)),
}
"""Operations whose notation depends on their static arguments or on their arguments."""


@lru_cache(maxsize=1024)
def _level(writer: Writer, e: Node) -> int:
    """The level of what is written of a call, found once: it is asked at each call around it."""
    return writer.lay(e)[1]


BARE_CALLS = frozenset({*BARE, "log", "log2", "log10"})
