"""Questions in parts: the forward values, the deltas and the gradients of a computation in
numbers, each marked given the student's own earlier parts.

What a part should be is the formula of its step in the explanation, which reverse mode gave,
evaluated with what the student wrote before: an error counts once, where it was made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import Any

import numpy as np

from chainrule.checking.slips import changes
from chainrule.errors import UsageError
from chainrule.explanation.formula.expressions import (
    evaluate,
    factors_of,
    minus,
    plus,
    terms_of,
    times,
)
from chainrule.explanation.formula.node import Node, binary, mapped
from chainrule.explanation.formula.parsing import parse
from chainrule.explanation.matrix.text import typed_text
from chainrule.explanation.quiz.numbers import brief, labelled, near, number
from chainrule.explanation.quiz.questions import PartMark, Question, spelled
from chainrule.explanation.quiz.slips import built, replaced, split
from chainrule.explanation.steps.data import Explanation, Step
from chainrule.explanation.steps.typed import explain_expression

__all__ = ["mark_parts", "parts_question"]

DECIMALS = 0.005
_FUNCTIONS = (
    "q = x + y; f = q*z",
    "p = x*y; q = p + z; f = q**2",
    "p = x*y; q = max(p, z); f = q*w",
    "p = w0*x0; q = w1*x1; z = p + q + b; f = σ(z)",
    "t = x**2; u1 = 3*t; u2 = 2*x; u = u1 + u2; f = u*x",
)
_NETWORK = (
    "a1 = v1*x1 + v2*x2; h1 = {g}(a1); a2 = v3*x1 + v4*x2; h2 = {g}(a2); b = w1*h1 + w2*h2; "
    "E = (b - t)**2/2"
)
_WHOLE = (-4, -3, -2, -1, 1, 2, 3, 4)


def parts_question(r: Random, number: int) -> Question:
    """Every third one a network with two hidden units (L2.2, L4.4), the others circuits (L1.3)."""
    if number % 3 == 2:
        function, scale = _NETWORK.format(g=r.choice(("σ", "tanh", "relu"))), 0.5
    else:
        function = r.choice(_FUNCTIONS)
        scale = 0.5 if "σ" in function else 1.0
    names, at, e = _names(function), {}, None
    for _ in range(50):
        at = dict(zip(names, (scale * r.choice(_WHOLE) for _ in names), strict=True))
        e = _explained(function, at)
        if all(np.isfinite(s.value) and abs(s.value) > 1e-3 for s in _steps(e).values()):
            break
    assert e is not None
    return question_of(function, at, e)


def question_of(function: str, at: Mapping[str, float], e: Explanation) -> Question:
    steps = _steps(e)
    asked = [key for key in steps if _is_asked(key, e, function)]
    labels = tuple(steps[key].name.text() for key in asked)
    truths = [float(steps[key].value) + 0.0 for key in asked]  # -0 becomes 0
    whole = all(value == round(value) for value in truths)
    answer = "; ".join(
        f"{label} = {value:.0f}" if whole else f"{label} = {value:.5g}"
        for label, value in zip(labels, truths, strict=True)
    )
    where = ", ".join(f"{spelled(name)} = {value:g}" for name, value in at.items())
    precise = "" if whole else f" A relative error of {DECIMALS:.1%} is allowed."
    return Question(
        "parts",
        f"Let {shown_steps(function)} at {where}. Find, forward: "
        f"{', '.join(labels[: _forward(asked)])}; then, backward: "
        f"{', '.join(labels[_forward(asked) :])}. Write each with its name, as in {labels[0]} = 1; "
        f"{labels[1]} = 2. A part is right if it follows from your own earlier "
        f"ones. One point each.{precise}",
        labels,
        answer,
        e.text(),
        {"function": function, "at": dict(at), "keys": asked},
        1e-9 if whole else DECIMALS,
        points=float(len(asked)),
    )


def shown_steps(function: str) -> str:
    """The statements as they are printed: q = x + y; f = q · z."""
    return "; ".join(
        f"{spelled(name)} = {typed_text(item, {})}" for name, item in parse(function).statements
    )


def _names(function: str) -> tuple[str, ...]:
    return parse(function).names


def _explained(function: str, at: Mapping[str, float]) -> Explanation:
    values: Any = dict(at)
    return explain_expression(function, precision=6, opened=True, **values)


def _forward(keys: list[str]) -> int:
    return sum(not key.startswith("∂") for key in keys)


def _is_asked(key: str, e: Explanation, function: str) -> bool:
    """What has a name in the question: forward values, and derivatives by those and by inputs,
    but not by data and targets (x1, t of a network)."""
    name = key.removeprefix("∂")
    given = {q.name.key for q in e.nodes if q.kind == "input"}
    data = {"x1", "x2", "t"} if "E =" in function else set()
    if name in given:
        return key.startswith("∂") and name not in data
    return any(part.strip().startswith(f"{name} = ") for part in function.split(";"))


def _steps(e: Explanation) -> dict[str, Step]:
    """The steps that complete a quantity or a derivative, by key; a derivative's with a ∂."""
    found: dict[str, Step] = {}
    for step in e.steps:
        if step.kind == "forward":
            found[e.nodes[step.node].name.key] = step
        elif step.kind in ("backward", "sum"):
            found["∂" + e.nodes[step.node].name.key] = step
    return found


# Marking ------------------------------------------------------------------------------------


def mark_parts(question: Question, given: str) -> list[PartMark]:
    """One mark for each part; a part that is missing or cannot be read takes nothing from others.

    Raises:
        UsageError: the answer as a whole cannot be read.
    """
    e = _explained(question.data["function"], question.data["at"])
    said = labelled(given, question.asked, all_wanted=False)
    own = dict(zip(question.data["keys"], range(len(question.asked)), strict=True))
    values: dict[Any, Any] = {q.name.key: q.value for q in e.nodes if q.kind != "operation"}
    values["∂" + e.name.key] = 1.0
    marks: dict[int, PartMark] = {}
    for key, step in _steps(e).items():
        follows = float(evaluate(step.formula, values))
        values[key] = follows
        if key not in own:
            continue
        index = own[key]
        label, truth = question.asked[index], float(step.value)
        if index not in said:
            marks[index] = PartMark(label, "missing", "", truth, "not answered")
            continue
        try:
            value = number(said[index])
        except UsageError as error:
            why = str(error).splitlines()[0]
            marks[index] = PartMark(label, "unreadable", said[index], truth, why)
            continue
        marks[index] = _judged(label, value, follows, step, values, question.tolerance, said[index])
        values[key] = value
    return [marks[i] for i in range(len(question.asked))]


def _judged(
    label: str, value: float, follows: float, step: Step, values: Mapping[Any, Any],
    tolerance: float, said: str,
) -> PartMark:  # fmt: skip
    truth = float(step.value)
    if near(value, truth, tolerance) and near(follows, truth, tolerance):
        return PartMark(label, "right", said, truth, "right")
    if near(value, follows, tolerance):
        return PartMark(label, "carried", said, truth, "follows from your own earlier parts")
    if near(value, truth, tolerance):
        return PartMark(label, "right", said, truth, "right, but not by your own earlier parts")
    for slip, says, other in _slips(step.formula):
        with np.errstate(all="ignore"):
            found = float(evaluate(other, values))
        if near(value, found, tolerance) and not near(found, follows, tolerance):
            return PartMark(label, "wrong", said, truth, says, slip)
    says = f"wrong; {brief(follows)} would follow"
    return PartMark(label, "wrong", said, truth, says)


def _slips(formula: Node) -> Iterator[tuple[str, str, Node]]:
    """What would come out had one thing gone wrong in this step, a sum of products."""
    yield "sign", "the sign is wrong", minus(formula)
    products = [_joined("*", factors_of(term)) for term in terms_of(formula)]
    whole = _joined("+", products)
    for node in _nodes(whole):
        for change in changes(node, split):
            kind, part = change.kind, _simplified(built(change.part))
            if kind == "missing factor":
                upstream = part.op == "derivative"
                kind = "missing upstream" if upstream else "missing local derivative"
            if kind in SAYS:
                spoilt = _simplified(replaced(whole, node, built(change.new)))
                yield kind, SAYS[kind].format(part.text()), spoilt


def _joined(sign: str, parts: Iterable[Node]) -> Node:
    return functools.reduce(lambda a, b: binary(a, sign, b), parts)


def _nodes(tree: Node) -> Iterator[Node]:
    yield tree
    for part in split(tree)[1]:
        yield from _nodes(part)


def _simplified(tree: Node) -> Node:
    """The formula of a tree of signs over formulas."""
    return mapped(tree, lambda e: _SIGNS[e.op](*e.args) if e.op in _SIGNS else e)


_SIGNS: Mapping[str, Callable[..., Node]] = {
    "+": plus, "-": lambda a, b: plus(a, minus(b)), "*": times, "−": minus
}  # fmt: skip
SAYS = {
    "forgotten branch": "{} is left out; branches add",
    "sign": "the sign of {} is wrong",
    "missing upstream": "the factor {} is missing",
    "missing local derivative": "the factor {} is missing",
    "sum for product": "sum and product are confused in {}: slopes multiply, branches add",
}
