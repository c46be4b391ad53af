"""An explanation as a fragment of HTML and as MathML: static, without script or style."""

from __future__ import annotations

from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.numbers import array_text, number_text
from chainrule.explanation.formula.spelling import mathml_number
from chainrule.explanation.render.rows import Row, inputs, rows, stated
from chainrule.explanation.render.text import check_text, remarks
from chainrule.explanation.steps.data import Explanation, Step
from chainrule.render import escape

EQUALS = "<mo>=</mo>"
BACKWARD = "<th colspan='5'>backward: local × upstream (read upwards)</th>"
_NAMESPACE = "http://www.w3.org/1998/Math/MathML"


def math(inside: str, display: bool = False) -> str:
    """A ``<math>`` element; ``inside`` is MathML already."""
    block = ' display="block"' if display else ""
    return f'<math xmlns="{_NAMESPACE}"{block}><mrow>{inside}</mrow></math>'


def value(e: Explanation, x: object) -> str:
    """A number or array as MathML."""
    import numpy as np

    array = np.asarray(x)
    if array.ndim == 0:
        return mathml_number(number_text(array, e.precision))
    return f"<mtext>{escape.html(array_text(array, e.precision))}</mtext>"


def _cell(inside: str, span: int = 1) -> str:
    spread = f' colspan="{span}"' if span > 1 else ""
    return f"<td{spread}>{inside}</td>"


def fragment(e: Explanation) -> str:
    """Forward and backward table beside each other, results and checks below."""
    given = ", ".join(math(f"{x.name.mathml()}{EQUALS}{value(e, x.value)}") for x in inputs(e))
    lines = [
        '<div class="chainrule-explanation">',
        f"<p>{math(_title(e))}{' at ' if given else ''}{given}</p>",
        f"<table><thead><tr><th colspan='3'>forward</th>{BACKWARD if e.results else ''}</tr>"
        "</thead><tbody>",
    ]
    lines += [f"<tr>{_forward(e, row)}{_backward(e, row)}</tr>" for row in rows(e)]
    lines.append("</tbody></table><ul>")
    for result in e.results:
        said = stated(result.formula, result.value, e.precision)
        formula = f"{EQUALS}{said.mathml()}" if said is not None else ""
        shown = math(f"{result.name.mathml()}{formula}{EQUALS}{value(e, result.value)}")
        check = escape.html(check_text(result, e.precision))
        lines.append(f"<li>{shown}<br>check: {check}</li>")
    lines.append(f"</ul><p>{escape.html(remarks(e))}</p>{inside(e)}</div>")
    return "\n".join(lines)


def inside(e: Explanation) -> str:
    """Each gate, to be opened: the same numbers in smaller steps."""
    return "".join(
        f"<details><summary>inside {math(e.nodes[i].name.mathml())} = "
        f"{math(e.nodes[i].formula.mathml())}</summary>{fragment(e.inside(i))}</details>"
        for i in e.openings
    )


def _title(e: Explanation) -> str:
    name = e.name.mathml()
    return f"{name}{EQUALS}{e.formula.mathml()}" if e.formula is not None else name


def _forward(e: Explanation, row: Row) -> str:
    node = row.forward
    if node is None:
        return _cell("", 3)
    return (
        _cell(math(node.name.mathml()))
        + _cell(math(EQUALS + node.formula.mathml()))
        + _cell(math(EQUALS + value(e, node.value)))
    )


def _backward(e: Explanation, row: Row) -> str:
    step = row.backward
    if step is None:
        return _cell("", 5)
    name, result = _cell(math(step.name.mathml())), _cell(math(EQUALS + value(e, step.value)))
    if step.kind == "start":
        return name + _cell("", 3) + result
    if step.kind == "sum":
        return name + _cell(escape.html(step.why), 3) + result
    via = _cell(_via(e, step) if row.branch else "")
    if step.local is None or step.local_value is None or step.upstream is None:
        return name + via + _cell(math(step.formula.mathml()), 2) + result
    said = stated(step.local, step.local_value, e.precision)
    number = value(e, step.local_value)
    local = math(number if said is None else f"{said.mathml()}{EQUALS}{number}")
    return name + via + _cell(local) + _cell(math("<mo>×</mo>" + value(e, step.upstream))) + result


def _via(e: Explanation, step: Step) -> str:
    return "" if step.via is None else "from " + math(e.nodes[step.via].name.mathml())


def mathml(e: Explanation) -> str:
    """Both passes as one displayed formula: a row for every step."""
    lines = []
    for step in e.steps:
        lines.append(_line(e, step.name, step.formula, step.value))
    for result in e.results:
        if result.formula is not None:
            lines.append(_line(e, result.name, result.formula, result.value))
    return (
        f'<math xmlns="{_NAMESPACE}" display="block"><mtable displaystyle="true" '
        f'columnalign="right left left">{"".join(lines)}</mtable></math>'
    )


def _line(e: Explanation, name: Node, formula: Node, result: object) -> str:
    said = None if formula == name else stated(formula, result, e.precision)
    shown = "" if said is None else f"{EQUALS}{said.mathml()}"
    cells = (name.mathml(), shown, EQUALS + value(e, result))
    return "<mtr>" + "".join(f"<mtd>{cell}</mtd>" for cell in cells) + "</mtr>"
