"""Likely slips in a scalar derivative: what the answer would be had one thing gone wrong.

The derivative is written as the chain rule gives it, nothing collected. Each operation in it is
changed as in ``checking/slips.py``, or its rule mistaken for another, and a wrong answer is
compared with what comes out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.api import jvp
from chainrule.checking.slips import Change, Form, changes
from chainrule.explanation.formula.cursor import is_minus_one
from chainrule.explanation.formula.node import Node, call, is_binary, rewrite, walk
from chainrule.explanation.formula.parsing import (
    CONSTANTS,
    FUNCTIONS,
    OPERATORS,
    Expression,
    parse,
)
from chainrule.explanation.formula.spelling import SLOPE
from chainrule.explanation.formula.vocabulary import slope
from chainrule.explanation.matrix.text import typed_text

__all__ = ["Slip", "built", "overall_slips", "replaced", "scalar_slips", "slope_and_value", "split"]

MOST_OTHERS, MOST_TERMS = 4, 20
RULES = {
    "+": ("du", "+", "dv"),
    "-": ("du", "-", "dv"),
    "*": ("v*du", "+", "u*dv"),
    "/": ("du/v", "-", "u*dv/v**2"),
    "**": ("v*u**(v - 1)*du", "+", "u**v*log(u)*dv"),
}
"""The slope of two operands, one term for each that moves."""
MISTAKEN = (
    *((sign, "not differentiated", f"{a} {sign} {b}",
       f"{{{said}}} in {{here}} was not differentiated: a constant has the slope 0")
      for sign in "+-" for a, b, said in (("du", "v", "v"), ("u", "dv", "u"))),
    ("*", "product rule", "du*dv", "the slope of the product {here} is u′v + uv′, not u′v′"),
    ("*", "product rule", "du + dv", "the slope of the product {here} is u′v + uv′, not u′ + v′"),
    *(("*", "product rule", form, "one term of the product rule stands twice in {here}")
      for form in ("2*v*du", "2*u*dv")),
    ("/", "wrong power", "du - u*dv/v",
     "the denominator of the quotient rule is squared: {here}"),
    ("/", "quotient rule", "du/dv",
     "the slope of the quotient {here} is (u′v − uv′)/v², not u′/v′"),
    ("**", "wrong power", "v*u**more*du", "the exponent falls by one in the slope of {here}"),
    ("inner", "not differentiated", "v*u**less*u",
     "the slope of {here} has the slope of {u} as a factor, not {u} itself"),
    ("inner", "wrong place", "v*du**less",
     "the outer slope of {here} is taken at the inner value, {u}, not at its slope"),
    ("**", "wrong place", "v*x**less*du",
     "the outer slope of {here} is taken at the inner value, {u}, not at {x}"),
    ("exponent", "wrong local derivative", "v*u**(v - 1)*dv",
     "the rule of powers is for a constant exponent; the slope of {here} is {here} log {u}"),
    ("max", "routing", "(u <= v)*du + (u > v)*dv",
     "{name} passes the gradient to the input that was taken, not to the other: {here}"),
    ("max", "routing", "du + dv", "{name} passes the gradient to one input only: {here}"),
    ("max", "routing", "(du + dv)/2", "{name} passes the whole gradient to the input that was "
     "taken, nothing is halved: {here}"),
    *(("factor", "product gate", form,
       "a product passes the other factor's value back, not its own: {here}")
      for form in ("u*du", "v*dv")),
)  # fmt: skip
"""Rules that are mistaken for others: of what, the kind, what is taken for the slope, what to say.
A factor is one beside a constant, an exponent one above it, the inner function what a constant
exponent raises."""
_RATIO = ("1/(1 - u**2)", "1/(1 + u**2)", "1/sqrt(1 + u**2)", "1/sqrt(1 - u**2)")
_OF_OUTPUT = ("f*(1 + f)", "f*(1 - f)", "f**2", "1 - f", "1 + f**2", "1 - f**2")
LOCAL: Mapping[str, tuple[str, ...]] = {
    "tan": ("1/cos(u)", "1/cos(u)**3", "1/sin(u)**2", "1/tan(u)"),
    "exp": ("u*exp(u - 1)",),
    "sqrt": ("1/(2*u)", "1/u"),
    "log": ("exp(u)",),
    "abs": ("1",),
    "softplus": ("logistic(-u)", "1 - f", "f*(1 - f)"),
    **dict.fromkeys(("log2", "log10"), ("1/u",)),
    **dict.fromkeys(("arcsin", "arctan"), _RATIO),
    "arccos": tuple(f"-{form}" for form in _RATIO),
    **dict.fromkeys(("tanh", "logistic", "sigmoid", "sigma", "σ"), _OF_OUTPUT),
}
"""What the slopes of functions are taken for, by input ``u`` and output ``f``."""
SAYS = {
    "forgotten branch": "the branch through {part} was dropped: {wrt} reaches {here} along two "
    "branches, and their gradients add",
    "missing inner derivative": "the inner derivative is missing: the slope of {here} must be "
    "multiplied by that of {part}",
    "missing local derivative": "the slope of {here} itself is missing",
    "missing factor": "the constant factor {part} in the slope of {here} was dropped",
    "sum for product": "{here}: a constant factor stays a factor, it is not added",
}


@dataclass(frozen=True)
class Slip:
    """A hypothesis: its ``kind``, what to say, and the slopes it leads to."""

    kind: str
    says: str
    slope: np.ndarray


def slope_and_value(
    expression: Expression, wrt: str, values: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """The true slope and the value at arrays of points."""
    at = _Values(expression, values)
    return at.of(_Derivation(expression, wrt).root), at.of(expression.statements[-1][1])


def scalar_slips(expression: Expression, wrt: str, values: Mapping[str, Any]) -> Iterator[Slip]:
    """Single slips in the order in which they are to be tried: branches that are forgotten first,
    which others give by chance at one point."""
    derivation, at = _Derivation(expression, wrt), _Values(expression, values)
    slope, root = at.of(derivation.root), derivation.root
    says = "the slope of a product is u′v + uv′, not u′v′, here as everywhere in the formula"
    everywhere = "product rule", says, _Derivation(expression, wrt, "*").root
    likeliest = sorted(derivation.slips(), key=lambda slip: slip[1] != "forgotten branch")
    single = ((kind, says, replaced(root, old, new)) for old, kind, says, new in likeliest)
    for kind, says, tree in itertools.chain(single, [everywhere]):
        spoilt = at.of(tree)
        if not np.allclose(spoilt, slope, rtol=1e-12, atol=0, equal_nan=True):
            yield Slip(kind, says, spoilt)
    statements = [(name, rewrite(item, _in_words)) for name, item in expression.statements]
    if statements != list(expression.statements):
        yield from scalar_slips(replace(expression, statements=statements), wrt, values)


def _in_words(node: Node) -> Node | None:
    """The logistic and softplus where they are written out: their slips are of another kind."""
    if node.op not in ("/", "log") or node.args[-1].op != "+":
        return None
    for one, e in (node.args[-1].args, node.args[-1].args[::-1]):
        if one.op == "number" and one.data == 1 and e.op == "exp":
            if node.op == "log":
                return call("softplus", *e.args)
            if node.args[0].op == "number" and node.args[0].data == 1:
                return call("logistic", _negative(*e.args))
    return None


def _negative(node: Node) -> Node:
    if node.op == "−":
        return node.args[0]
    if split(node)[0] in ("*", "/") and node.args[0].op == "−":
        return replace(node, args=(node.args[0].args[0], node.args[1]))
    return call("−", node)


def overall_slips(expression: Expression, wrt: str, values: Mapping[str, Any]) -> Iterator[Slip]:
    """Slips of the whole formula, which at one point alone would fit by chance."""
    slope, value = slope_and_value(expression, wrt, values)
    yield Slip("sign", "the sign of the whole derivative is wrong", -slope)
    says = "this is the function itself, not its derivative"
    yield Slip("not differentiated", says, value)
    for power in (1, -1):
        x = np.asarray(values[wrt], float)
        says = f"a power of {wrt} is off by one: the answer is {wrt}^{power} times the derivative"
        yield Slip("wrong power", says, slope * x**power)
    says = f"this is differentiated twice; the first derivative by {wrt} was asked"
    yield Slip("differentiated twice", says, _second(expression, wrt, values))
    yield from _of_other_names(expression, wrt, values, slope)


def _second(expression: Expression, wrt: str, values: Mapping[str, Any]) -> np.ndarray:
    def along(x: Any, f: Any) -> Any:
        return jvp(f, (x,), (np.ones(np.shape(x)),))[1]

    def f(x: Any) -> Any:
        return expression(*({**values, wrt: x}[name] for name in expression.names))

    x = np.asarray(values[wrt], float)
    return np.broadcast_to(along(x, lambda x: along(x, f)), x.shape)


def _of_other_names(
    expression: Expression, wrt: str, values: Mapping[str, Any], slope: np.ndarray
) -> Iterator[Slip]:
    """Differentiated by another name, or with others moving too."""
    others = [name for name in expression.names if name != wrt][:MOST_OTHERS]
    slopes = {name: slope_and_value(expression, name, values)[0] for name in others}
    for name in others:
        says = f"this is the derivative by {name}; that by {wrt} was asked"
        yield Slip("wrong variable", says, slopes[name])
    for count in range(1, len(others) + 1):
        for moving in itertools.combinations(others, count):
            stay = f"{' and '.join(moving)} stay{'s' if count == 1 else ''}"
            says = f"{stay} constant in the derivative by {wrt}"
            total = slope + sum(slopes[name] for name in moving)
            yield Slip("not held constant", says, total)


def terms(
    expression: Expression, wrt: str, values: Mapping[str, Any]
) -> Iterator[tuple[str, np.ndarray]]:
    """The terms of a sum that move, with their slopes."""
    derivation, at = _Derivation(expression, wrt), _Values(expression, values)
    stack = [derivation.root]
    while stack:
        node = stack.pop()
        if node.op in ("+", "-") and len(stack) < MOST_TERMS:
            stack += node.args
        elif node is not derivation.root and (item := derivation.slope_of.get(id(node))):
            yield _show(item), at.of(node)


class _Values:
    """Values of expressions and of derivations at arrays of points; each node is computed once."""

    def __init__(self, expression: Expression, values: Mapping[str, Any]) -> None:
        self.size = np.broadcast(*(np.asarray(v) for v in values.values())).shape
        self.names = {**CONSTANTS, **values}
        self.known: dict[int, tuple[Node, np.ndarray]] = {}
        for name, item in expression.statements:
            if name is not None:
                self.names[name] = self.of(item)

    def of(self, node: Node) -> np.ndarray:
        if id(node) not in self.known:  # with the node, which keeps its id from being used again
            with np.errstate(all="ignore"):
                found = np.broadcast_to(np.asarray(self._of(node), float), self.size)
            self.known[id(node)] = node, found
        return self.known[id(node)][1]

    def _of(self, node: Node) -> Any:
        if node.op == "number":
            return node.data
        if node.op == "name":
            return self.names[node.data]
        inside = [self.of(a) for a in node.args]
        if node.op.endswith(SLOPE):
            return slope(FUNCTIONS[node.op.removesuffix(SLOPE)][0])(*inside)
        return (OPERATORS.get(node.op) or FUNCTIONS[node.op][0])(*inside)


class _Derivation:
    """A derivative with nothing collected: what each slope in it is the slope of, the operation
    that each node comes from, and the rules that may be mistaken. A sign that is taken for
    ``everywhere`` multiplies slopes."""

    def __init__(self, expression: Expression, wrt: str, everywhere: str = "") -> None:
        self.wrt, self.everywhere = wrt, everywhere
        self.named: dict[str, Node | None] = {wrt: built(1)}
        self.slope_of: dict[int, Node] = {}
        self.comes_from: dict[int, tuple[Node, Node]] = {}
        self.mistaken: list[tuple[Node, str, str, Node]] = []
        root: Node | None = None
        for name, item in expression.statements:
            root = self.slope(item)
            if name is not None:
                self.named[name] = root
        self.root: Node = root or built(0)

    def slips(self) -> Iterator[tuple[Node, str, str, Node]]:
        """What is changed, the kind, what to say, and what then stands there; the outermost
        operation first."""
        yield from reversed(self.mistaken)
        for node, item in reversed(self.comes_from.values()):
            for change in changes(node, split):
                kind, says = self.said(node, item, change)
                if says:
                    part = self.slope_of.get(id(change.part)) or built(change.part)
                    shown = {"here": _show(item), "part": _show(part), "wrt": self.wrt}
                    yield node, kind, says.format(**shown), built(change.new)

    def said(self, node: Node, item: Node, change: Change) -> tuple[str, str]:
        """The kind of a change, and what is said of it; "" where it is no slip in scalars."""
        rule, kind = split(item)[0], change.kind
        if kind == "sign":
            if rule == "/":
                return kind, "the minus of the quotient rule is missing or elsewhere in {here}"
            return kind, "the minus in {here} was lost"
        if kind == "wrong power" and rule == "/":
            return kind, "the denominator of the quotient rule is squared: {here}"
        if kind == "wrong power":
            up = change.new is node.args[0] or change.new[2][2] > 0
            return kind, ("the exponent falls by one in the slope of {here}" if up
                          else "the exponent of {here} fell by two")  # fmt: skip
        if kind == "missing factor" and id(change.part) in self.slope_of:
            kind = "missing inner derivative"
        elif kind == "missing factor" and rule == "**":
            if getattr(change.part, "data", None) == -1:
                return "sign", "the minus of the exponent comes down as a factor in {here}"
            number = getattr(change.part, "op", "") == "number"
            kind = "wrong power" if number else "missing local derivative"
            return kind, SAYS["missing factor"]
        elif kind == "missing factor" and not rule:
            kind = "missing local derivative"
        elif kind == "sum for product" and (node.op != "*" or 1 in (a.data for a in node.args)):
            return kind, ""
        return kind, SAYS.get(kind, "")

    # The rules ----------------------------------------------------------------------------

    def slope(self, item: Node) -> Node | None:
        """The slope; None of what does not move."""
        found = self.named.get(item.data) if item.op == "name" else None
        if item.op == "−":
            inner = self.slope(item.args[0])
            found = None if inner is None else self.made(item, "-du", {"du": inner})
        elif len(item.args) == 2:
            found = self.of_two(item, split(item)[0] or item.op, *item.args)
        elif item.args:
            found = self.of_function(item, item.op, *item.args)
        if found is not None:
            self.slope_of[id(found)] = item
        return found

    def made(self, item: Node, form: str, parts: Mapping[str, Node | None]) -> Node:
        """A form such as ``v*du + u*dv`` of the derivation, which comes from an operation."""
        whole, stop = _filled(form, parts), {id(x) for x in parts.values()}
        stack = [whole]
        while stack:
            node = stack.pop()
            if id(node) not in stop:
                self.comes_from[id(node)] = node, item
                stack += reversed(node.args)
        return whole

    def of_two(self, item: Node, rule: str, u: Node, v: Node) -> Node | None:
        parts: dict[str, Any] = {"u": u, "v": v, "du": self.slope(u), "dv": self.slope(v),
                                 "x": Node("name", data=self.wrt)}  # fmt: skip
        moving = [d for d in ("du", "dv") if parts[d] is not None]
        if not moving:
            return None
        names = {rule}
        if rule in ("max", "maximum", "min", "minimum"):
            names = {"max"}
            parts |= {d: parts[d] or built(0) for d in ("du", "dv")}
            parts |= (
                {}
                if rule.startswith("max")
                else {"u": v, "v": u, "du": parts["dv"], "dv": parts["du"]}
            )
            node = _filled("(u > v)*du + (u <= v)*dv", parts)
        else:
            first, sign, second = RULES[rule]
            if rule == "**" and all(n.op != "name" for n in walk(v)):
                number = float(Expression("", (), None, [(None, v)])())
                parts["v"] = v = built(int(number) if number.is_integer() else number)
            if rule == "**" and v.op == "number":
                parts |= {"less": built(v.data - 1), "more": built(v.data + 1)}
                first = "v*u**less*du"
                if u.op != "name" and parts["du"].data != 1:
                    names.add("inner")
            form = first if moving == ["du"] else f"{sign}{second}".lstrip("+")
            if len(moving) == 2:
                form = f"{first} {sign} {second}"
                form = "du*dv" if rule in self.everywhere else form
            elif rule == "**":
                names.add("exponent")
            elif rule == "*":
                names = {"factor"} if "number" not in (u.op, v.op) else set()
            node = self.made(item, form, parts)
            if len(moving) == 2:
                self.slope_of |= dict(zip(map(id, node.args), (u, v), strict=True))
        for of, kind, form, says in MISTAKEN:
            if of in names and all(parts.get(n) is not None for n in parse(form).names):
                shown = {n: _show(parts[n]) for n in "uvx"}
                said = says.format(here=_show(item), name=rule, **shown)
                self.mistaken.append((node, kind, said, _filled(form, parts)))
        return node

    def of_function(self, item: Node, name: str, u: Node) -> Node | None:
        inner, here = self.slope(u), _show(item)
        if inner is None:
            return None
        local, elsewhere = (call(name + SLOPE, x) for x in (u, Node("name", data=self.wrt)))
        parts = {"f": item, "u": u}
        whole = self.made(item, "f*du", {"f": local, "du": inner})
        moves = inner.data != 1  # so that it can be missing
        missing = SAYS["missing inner derivative"].format(here=here, part=_show(u))
        self.mistaken += [
            (whole, "wrong place", f"the outer slope of {here} is taken at the inner value, "
             f"{_show(u)}, not at its slope", call(name + SLOPE, inner)),
            (local, "sign", f"the sign of the derivative of {name} is wrong in {here}",
             built(("−", local))),
            (local, "not differentiated", f"{name} was not differentiated in {here}", item),
            (local, "wrong place", f"the outer slope of {here} is taken at the inner value, "
             f"{_show(u)}, not at {self.wrt}", elsewhere),
            *((local, "wrong local derivative", f"the slope of {name} is another one in {here}",
               _filled(form, parts)) for form in reversed(LOCAL.get(name, ()))),
            *([(whole, "missing inner derivative", missing, local)] if is_minus_one(inner) else []),
            *([(whole, "not differentiated", f"the slope of {here} has the slope of {_show(u)} as "
                f"a factor, not {_show(u)}", _filled("f*u", {"f": local, "u": u}))]
              if moves and u.op != "name" else []),
        ]  # fmt: skip
        # forms that several functions share are the true slope of one of them
        says = f"the slope of {name} is another one in {here}, and the inner derivative is missing"
        self.mistaken += [(whole, "wrong local derivative", says, _filled(form, parts))
                          for form in LOCAL.get(name, ())
                          if moves and form not in (*_OF_OUTPUT, *_RATIO)]  # fmt: skip
        return whole


def split(node: Node) -> tuple[str, tuple[Node, ...]]:
    """The sign and the operands that ``checking/slips.py`` looks at."""
    if not (is_binary(node) or node.op in ("−", "ᵀ")):
        return "", ()
    return {" ": "*", "·": "*", "⊙": "*", "^": "**"}.get(node.op, node.op), node.args


def built(form: Form) -> Node:
    """What ``split`` takes apart."""
    if isinstance(form, tuple):
        if form[0] == "+" and isinstance(form[2], int) and form[1].op == "number":
            return built(form[1].data + form[2])  # an exponent
        return Node(form[0], tuple(map(built, form[1:])))
    return form if isinstance(form, Node) else Node("number", data=form)


def replaced(tree: Node, old: Node, new: Node) -> Node:
    """The tree with ``new`` wherever ``old`` itself stands."""
    return rewrite(tree, lambda node: new if node is old else None)


def _filled(form: str, parts: Mapping[str, Node | None]) -> Node:
    tree = parse(form).statements[-1][1]
    return rewrite(tree, lambda node: parts.get(node.data) if node.op == "name" else None)


def _show(item: Node) -> str:
    return typed_text(item, {})
