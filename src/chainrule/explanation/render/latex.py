"""An explanation as LaTeX: a document that compiles as it stands, or a formula for a notebook."""

from __future__ import annotations

from chainrule.explanation.formula.numbers import array_text, number_text
from chainrule.explanation.formula.spelling import latex_number
from chainrule.explanation.render.rows import inputs, rows, stated
from chainrule.explanation.render.text import check_text, remarks
from chainrule.explanation.steps.data import Explanation, Step
from chainrule.render import escape

PREAMBLE = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage[margin=2cm]{geometry}
\usepackage{amsmath,amssymb,longtable}
\setlength{\parindent}{0pt}
\begin{document}
"""


def document(e: Explanation) -> str:
    """Two tables, forward and backward, the results and their checks."""
    table = rows(e)
    lines = [
        PREAMBLE + r"\[ " + _title(e) + r" \]",
        *_given(e),
        r"\textbf{Forward}",
        r"\begin{longtable}{@{}lll@{}}",
    ]
    for x in e.nodes:
        if x.kind == "operation":
            value = number(e, x.value)
            lines.append(rf"${x.name.latex()}$ & $= {x.formula.latex()}$ & $= {value}$ \\")
    lines += [
        r"\end{longtable}",
        r"\textbf{Backward} (local $\times$ upstream; read upwards)",
        r"\begin{longtable}{@{}lllll@{}}",
    ]
    lines += [_row(e, row.backward, row.branch) for row in table if row.backward is not None]
    lines += [r"\end{longtable}", *_results(e), escape.latex(remarks(e)), r"\end{document}"]
    return "\n".join(lines) + "\n"


def display(e: Explanation) -> str:
    """The value and the derivatives as one displayed formula, for ``_repr_latex_``."""
    lines = [rf"{_title(e)} &= {number(e, e.value)}"]
    for result in e.results:
        said = stated(result.formula, result.value, e.precision)
        formula = f" = {said.latex()}" if said is not None else ""
        lines.append(rf"{result.name.latex()}{formula} &= {number(e, result.value)}")
    return "$$\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}$$"


def number(e: Explanation, value: object) -> str:
    """A value in math mode: a number, or an array summed up in words."""
    import numpy as np

    array = np.asarray(value)
    if array.ndim == 0:
        return latex_number(number_text(array, e.precision))
    return rf"\text{{{escape.latex(array_text(array, e.precision))}}}".replace("$-$", "-")


def _title(e: Explanation) -> str:
    name = e.name.latex()
    return f"{name} = {e.formula.latex()}" if e.formula is not None else name


def _given(e: Explanation) -> list[str]:
    given = [f"${x.name.latex()} = {number(e, x.value)}$" for x in inputs(e)]
    return ["at " + ", ".join(given) + r"\par\medskip"] if given else []


def _row(e: Explanation, step: Step, branch: bool) -> str:
    name = rf"$\displaystyle {step.name.latex()}$"
    value = f"$= {number(e, step.value)}$"
    if step.kind == "start":
        return rf"{name} & & & & {value} \\[6pt]"
    if step.kind == "sum":
        return rf"{name} & \multicolumn{{3}}{{l}}{{{escape.latex(step.why)}}} & {value} \\[6pt]"
    via = ""
    if branch and step.via is not None:
        via = rf"from ${e.nodes[step.via].name.latex()}$"
    if step.local is None or step.local_value is None or step.upstream is None:
        formula = rf"\multicolumn{{2}}{{l}}{{$\displaystyle {step.formula.latex()}$}}"
        return rf"{name} & {via} & {formula} & {value} \\[6pt]"
    formula, shown = step.local.latex(), number(e, step.local_value)
    local = (
        rf"$\displaystyle {formula}$"
        if formula == shown
        else (rf"$\displaystyle {formula} = {shown}$")
    )
    upstream = rf"$\times\, {number(e, step.upstream)}$"
    return rf"{name} & {via} & {local} & {upstream} & {value} \\[6pt]"


def _results(e: Explanation) -> list[str]:
    lines = []
    for result in e.results:
        said = stated(result.formula, result.value, e.precision)
        formula = f" = {said.latex()}" if said is not None else ""
        shown = rf"${result.name.latex()}{formula} = {number(e, result.value)}$\\"
        lines += [shown, rf"check: {escape.latex(check_text(result, e.precision))}\par\medskip"]
    return lines
