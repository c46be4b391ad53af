"""An explanation as Markdown: tables that GitHub and notebooks show."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.numbers import array_text
from chainrule.explanation.render.rows import inputs, rows, stated
from chainrule.explanation.render.text import check_text, remarks
from chainrule.explanation.steps.data import Explanation, Step
from chainrule.render.escape import markdown as escaped


def markdown(e: Explanation) -> str:
    """The forward and the backward table, results and checks; formulas between dollar signs."""
    table = rows(e)
    p = e.precision
    shown = f"{math(e.name)} = {math(e.formula)}" if e.formula is not None else math(e.name)
    given = ", ".join(f"{math(x.name)} = {_cell(array_text(x.value, p, 4))}" for x in inputs(e))
    forward = [
        (math(x.name), math(x.formula), _cell(array_text(x.value, p)))
        for x in e.nodes
        if x.kind == "operation"
    ]
    backward = [_backward(e, row.backward, row.branch) for row in table[::-1] if row.backward]
    lines = [
        f"{shown} at {given}" if given else shown,
        "",
        "**Forward**",
        "",
        *_table(("name", "formula", "value"), forward),
        "",
        "**Backward**",
        "",
        *_table(("derivative", "from", "local", "value", "× upstream", "= product"), backward),
        "",
    ]
    for result in e.results:
        said = stated(result.formula, result.value, p)
        formula = f" = {math(said)}" if said is not None else ""
        value = _cell(array_text(result.value, p))
        lines.append(f"- {math(result.name)}{formula} = {value}; {_cell(check_text(result, p))}")
    return "\n".join([*lines, "", _cell(remarks(e)), ""])


def math(e: Node) -> str:
    """A formula for GitHub's and Jupyter's Markdown. A dollar or bar inside cannot end it."""
    return "$" + e.latex().replace("|", r"\vert ").replace(r"\$", r"\text{\char36}") + "$"


def _cell(text: str) -> str:
    return escaped(text)


def _backward(e: Explanation, step: Step, branch: bool) -> tuple[str, ...]:
    value = _cell(array_text(step.value, e.precision))
    name = math(step.name)
    if step.kind == "start":
        return name, "", "", "", "", value
    if step.kind == "sum":
        return name, "", _cell(step.why), "", "", value
    via = math(e.nodes[step.via].name) if branch and step.via is not None else ""
    if step.local is None or step.local_value is None or step.upstream is None:
        return name, via, math(step.formula), "", "", value
    upstream = _cell(array_text(step.upstream, e.precision))
    local = array_text(step.local_value, e.precision)
    shown = "" if local == step.local.text() else _cell(local)
    return name, via, math(step.local), shown, upstream, value


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in body]
