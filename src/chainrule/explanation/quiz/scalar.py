"""Questions in scalars: the chain rule as formulas, gates and small networks in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from chainrule.api import grad
from chainrule.explanation.formula.parsing import parse
from chainrule.explanation.matrix.explaining import matrix
from chainrule.explanation.matrix.text import typed_text
from chainrule.explanation.quiz.questions import Question, spelled
from chainrule.explanation.steps.typed import explain_expression

__all__ = ["chain_rule_question", "gates_question", "neuron_question"]

DECIMALS = 0.005
"""Relative error allowed where an answer is not a whole number."""


# The chain rule ----------------------------------------------------------------------------

_INNER = ("{a}*x**2", "{a}*x + {b}", "x**{n}", "1 + x**2", "{a}*x", "x**2 + {b}*x")
_OUTER = ("sin({})", "cos({})", "exp(-({}))", "tanh({})", "logistic({})", "log(1 + ({})**2)",
          "sqrt(1 + ({})**2)", "({})**{n}")  # fmt: skip
_SHAPES: tuple[Callable[[Random], str], ...] = (
    lambda r: _outer(r, _inner(r)),
    lambda r: f"x**{r.randint(2, 3)}*{_outer(r, _inner(r))}",
    lambda r: _outer(r, _outer(r, _inner(r))),
    lambda r: (
        f"t = {_inner(r)}; {r.choice(('sin', 'cos', 'tanh'))}"
        f"({r.choice(('sin', 'cos', 'exp'))}(-t) + {r.randint(2, 4)}*t)"
    ),
    lambda r: f"{_outer(r, _inner(r))}/(1 + x**2)",
)


def _inner(r: Random) -> str:
    return r.choice(_INNER).format(a=r.randint(2, 4), b=r.randint(1, 5), n=r.randint(2, 4))


def _outer(r: Random, inner: str) -> str:
    form = r.choice(_OUTER).replace("{n}", str(r.randint(2, 4)))
    return form.format(inner)


def chain_rule_question(r: Random, number: int) -> Question:
    """Differentiate a composition; every fourth one has two branches, as J of L4.3."""
    function = _SHAPES[number % len(_SHAPES)](r)
    at = round(r.uniform(0.4, 1.4), 1)
    explained = explain_expression(function, x=at)
    shown = _shown(function)
    key = matrix(_substituted(function), "x", x=()).derivative_code
    formula = explained.results[0].formula
    solution = explained.text()
    if formula is not None:
        solution = f"dJ/dx = {formula.text()}\n\n{solution}"
    return Question(
        "formula",
        f"Let J = {shown}. Find dJ/dx as a formula in x.",
        ("dJ/dx",),
        str(key),
        solution,
        {"function": function, "wrt": "x"},
    )


def _substituted(function: str) -> str:
    """``t = u; f(t)`` as one expression, for the symbolic key."""
    *assigned, last = [part.strip() for part in function.split(";")]
    for part in reversed(assigned):
        name, said = part.split(" = ")
        last = _replaced(last, name, said)
    return last


def _replaced(expression: str, name: str, said: str) -> str:
    import re

    return re.sub(rf"\b{name}\b(?!\()", f"({said})", expression)


def _shown(function: str) -> str:
    """The function as it is printed: J first, then what its names stand for."""
    parsed = parse(function)
    (*given, (_, last)) = parsed.statements
    shown = typed_text(last, {})
    where = ", ".join(f"{spelled(name)} = {typed_text(item, {})}" for name, item in given)
    return shown + (f" with {where}" if where else "")


# Gates -------------------------------------------------------------------------------------

_GATES = (
    "(x + y)*z",
    "x*y + max(z, w)",
    "max(x, y)*z + x",
    "(x + y)*(y + z)",
    "2*x*y + z",
    "x*y*z",
    "max(x*y, z)*w",
    "sigma(w0*x0 + w1*x1 + b)",
)


def gates_question(r: Random, number: int) -> Question:
    """A circuit of sum, product and max gates at numbers (L1.3, L1.4)."""
    function = r.choice(_GATES)
    names = parse(function).names
    while True:
        at = {name: float(v) for name, v in zip(names, r.sample(_WHOLE, len(names)), strict=True)}
        if "sigma" in function:
            at = {name: v / 2 for name, v in at.items()}
        if not _ties(function, at):
            return _numbers(function, at, names, "f")


_WHOLE = [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]


def _ties(function: str, at: Mapping[str, float]) -> bool:
    """Whether a max has two equal inputs, or a neuron is saturated."""
    x, y, z, w = (at.get(name, 0.0) for name in "xyzw")
    if "max(z, w)" in function:
        return z == w
    if "max(x*y, z)" in function:
        return x * y == z
    if "sigma" in function:
        return abs(at["w0"] * at["x0"] + at["w1"] * at["x1"] + at["b"]) > 3
    return "max" in function and x == y


def _numbers(function: str, at: Mapping[str, float], asked: tuple[str, ...], name: str) -> Question:
    expression = parse(function)
    order = expression.names
    found = grad(expression, argnums=tuple(range(len(order))))(*(at[n] for n in order))
    slopes = {n: float(s) + 0.0 for n, s in zip(order, found, strict=True)}  # -0 becomes 0
    whole = all(slopes[n] == round(slopes[n]) for n in asked)
    answer = ", ".join(f"{slopes[n]:.0f}" if whole else f"{slopes[n]:.4g}" for n in asked)
    where = ", ".join(f"{spelled(n)} = {at[n]:g}" for n in order)
    wanted = tuple(f"∂{name}/∂{spelled(n)}" for n in asked)
    precise = "" if whole else f" A relative error of {DECIMALS:.1%} is allowed."
    values: dict[str, Any] = dict(at)
    explained: Any = explain_expression(function, precision=6, **values)
    return Question(
        "numbers",
        f"Let {name} = {_shown(function)} at {where}. "
        f"Find {', '.join(wanted)}, in this order, separated by commas.{precise}",
        wanted,
        answer,
        explained.text(),
        {"function": function, "at": dict(at), "wrt": list(asked)},
        1e-9 if whole else DECIMALS,
    )


# A network in numbers ----------------------------------------------------------------------

_NETWORK = (
    "a1 = v1*x1 + v2*x2; h1 = {g}(a1); a2 = v3*x1 + v4*x2; h2 = {g}(a2); "
    "y = sigma(w1*h1 + w2*h2); -(t*log(y) + (1 - t)*log(1 - y))"
)


def neuron_question(r: Random, number: int) -> Question:
    """Two inputs, two hidden units, one logistic output with cross-entropy (L2.2), in numbers."""
    function = _NETWORK.format(g=r.choice(("sigma", "tanh")))
    names = parse(function).names
    at = {name: r.choice(_WHOLE) / 10 * (2 if name[0] == "x" else 1) for name in names}
    at["t"] = float(r.randint(0, 1))
    asked = (r.choice(("w1", "w2")), r.choice(("v1", "v2", "v3", "v4")))
    return _numbers(function, at, asked, "E")
