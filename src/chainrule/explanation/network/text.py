"""A network explanation as text, Markdown, LaTeX, HTML and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat, zip_longest
from typing import Any

import numpy as np

from chainrule.explanation.formula.numbers import array_text, number_text, shape_text
from chainrule.explanation.network.data import Line, Module, NetworkExplanation
from chainrule.explanation.render import markdown as md
from chainrule.explanation.render.document import formula, values
from chainrule.explanation.render.html import EQUALS, math
from chainrule.explanation.render.latex import PREAMBLE
from chainrule.explanation.render.text import WIDTH, aligned, wide
from chainrule.render import escape
from chainrule.version import __version__

FORMAT = "chainrule network explanation"
VERSION = 1
MOST_INPUTS = 12
LAYOUTS = {
    "inputs_outputs": "rows, W is (inputs, outputs): z = a W + b",
    "outputs_inputs": "columns, W is (outputs, inputs): z = W a + b",
    "torch": "rows, W is stored (outputs, inputs): z = a Wᵀ + b",
    "bias_row": "rows, Θ is (1 + inputs, outputs) with the bias first: z = [1, a] Θ; "
    "Θ\u0304 is Θ without that row",
}


def value_text(e: NetworkExplanation, value: np.ndarray, most: int = 4) -> str:
    """A value in few words: the number behind a 1×1 array, a short vector, or a range; ``most``
    digits where there are several numbers."""
    array = np.asarray(value)
    if array.size == 1:
        return number_text(array.reshape(()), e.precision)
    if array.ndim == 2 and 1 in array.shape and array.size <= 6:
        return array_text(array.reshape(-1), min(e.precision, most))
    shown = array_text(array, min(e.precision, most))
    return shown.removeprefix(shape_text(array.shape)).strip()


def _size(value: np.ndarray) -> str:
    array = np.asarray(value)
    return shape_text(array.shape) if array.ndim else ""


def _head(e: NetworkExplanation) -> list[str]:
    lines = [e.title] if e.title else []
    lines.append(f"convention {e.convention}: {LAYOUTS[e.convention]}")
    shown = e.outputs if len(e.outputs) == len(e.prediction) else ()
    if shown and len(shown) > 1:
        pairs = zip(shown, e.prediction, strict=True)
        predicted = ", ".join(f"{name} {number_text(p, 4)}" for name, p in pairs)
    else:
        predicted = array_text(e.prediction, min(e.precision, 6))
    lines.append(f"prediction ŷ: {predicted}")
    if e.target is not None:
        target = array_text(e.target, 6) if e.target.size > 1 else number_text(e.target[0], 6)
        if shown and len(shown) > 1 and np.max(e.target) == 1:
            target = f"{shown[int(np.argmax(e.target))]}, {target}"
        lines.append(f"target y: {target}")
    return [escape.clean(line) for line in lines]


def _module_rows(e: NetworkExplanation, module: Module) -> list[list[str]]:
    name = {"loss": "loss", "output activation": "output"}.get(module.kind, module.kind)
    title = f"{name} {module.layer}" if module.kind == "linear" else f"{name}: {module.title}"
    titles = chain([title], repeat(""))
    pairs = zip_longest(module.forward, module.backward)
    return [[next(titles), *_cells(e, left), *_cells(e, right)] for left, right in pairs]


def _cells(e: NetworkExplanation, line: Line | None) -> list[str]:
    if line is None:
        return [""] * 4
    return [
        line.name.text(),
        f"= {line.formula}",
        _size(line.value),
        f"= {value_text(e, line.value)}",
    ]


def text(e: NetworkExplanation, width: int = WIDTH) -> str:
    """The module table of L4.4, the delta recursion, and what the inputs do to the loss.

    Where the two halves do not fit side by side, the backward one stands below.
    """
    rows = [row for module in e.modules for row in _module_rows(e, module)]
    beside = aligned([["module", "forward", "", "", "", "backward", "", "", ""], *rows])
    if max(map(wide, beside)) > width:
        forward = [row[:5] for row in rows if row[1]]
        backward = [[row[0], *row[5:]] for row in rows if row[5]]
        beside = [
            *aligned([["module", "forward", "", "", ""], *forward]),
            "",
            *aligned([["module", "backward", "", "", ""], *backward]),
        ]
    lines = [*_head(e), "", *beside, "", "deltas, from the last layer down (δ = dJ/dz)"]
    lines += [f"  {line}" for line in aligned([_cells(e, line) for line in e.deltas])]
    lines += ["", *_inputs(e), "", agreement(e)]
    return "\n".join(line.rstrip() for line in lines)


def _inputs(e: NetworkExplanation) -> list[str]:
    names = e.inputs or tuple(f"x{i + 1}" for i in range(len(e.x)))
    order = np.argsort(-np.abs(e.input_gradient), kind="stable")[:MOST_INPUTS]
    rows = [["input", "value", "dJ/dx"]]
    rows += [
        [
            escape.clean(names[i]),
            number_text(e.x[i], min(e.precision, 6)),
            number_text(e.input_gradient[i], min(e.precision, 6)),
        ]
        for i in order
    ]
    more = len(e.x) - len(order)
    lines = aligned(rows)
    return [*lines, f"... and {more} inputs with smaller slopes"] if more > 0 else lines


def agreement(e: NetworkExplanation) -> str:
    """How well the table agrees with the gradient of the whole loss."""
    shown = "exactly" if e.error == 0 else f"to {e.error:.0e}".replace("e-0", "e-")
    return f"the table agrees with the gradient of the whole loss {shown}"


def _lines(e: NetworkExplanation) -> Iterator[tuple[str, Line | None, Line | None]]:
    """The module table: the title of each module once, a forward and a backward line."""
    for module in e.modules:
        title = module.heading
        for forward, backward in zip_longest(module.forward, module.backward):
            yield title, forward, backward
            title = ""


def markdown(e: NetworkExplanation) -> str:
    """The same as tables with formulas."""
    lines = [*(escape.markdown(line) + "  " for line in _head(e)), ""]
    lines += [
        "| module | forward | value | backward | shape | value |",
        "|---|---|---|---|---|---|",
    ]
    for title, forward, backward in _lines(e):
        left, _, value = _markdown_cells(e, forward)
        cells = (escape.markdown(title), left, value, *_markdown_cells(e, backward))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| delta | shape | value |", "|---|---|---|"]
    lines += ["| " + " | ".join(_markdown_cells(e, line)) + " |" for line in e.deltas]
    return "\n".join([*lines, ""])


def _markdown_cells(e: NetworkExplanation, line: Line | None) -> tuple[str, str, str]:
    if line is None:
        return "", "", ""
    shown = f"{md.math(line.name)} = {md.math(line.formula)}"
    return shown, _size(line.value), escape.markdown(value_text(e, line.value))


def latex(e: NetworkExplanation) -> str:
    """A document that compiles as it stands."""
    lines = [PREAMBLE, *(escape.latex(line) + r"\par" for line in _head(e)), r"\medskip"]
    lines.append(r"\begin{longtable}{@{}lll@{}}")
    lines += [
        " & ".join((escape.latex(title), *map(_latex_cell, pair))) + r" \\[6pt]"
        for title, *pair in _lines(e)
    ]
    lines += [r"\end{longtable}", r"\begin{align*}"]
    shown = [f"{line.name.latex()} &= {line.formula.latex()}" for line in e.deltas]
    return "\n".join([*lines, " \\\\\n".join(shown), r"\end{align*}", r"\end{document}", ""])


def _latex_cell(line: Line | None) -> str:
    return rf"$\displaystyle {line.name.latex()} = {line.formula.latex()}$" if line else ""


def html(e: NetworkExplanation) -> str:
    """A fragment of HTML, formulas in MathML."""
    lines = ['<div class="chainrule-explanation">']
    lines += [f"<p>{escape.html(line)}</p>" for line in _head(e)]
    lines.append("<table><thead><tr><th>module</th><th>forward</th><th>value</th>"
                 "<th>backward</th><th>shape</th><th>value</th></tr></thead><tbody>")  # fmt: skip
    for title, forward, backward in _lines(e):
        left, _, value = _html_cells(e, forward)
        cells = (escape.html(title), left, value, *_html_cells(e, backward))
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    lines.append("</tbody></table></div>")
    return "\n".join(lines)


def _html_cells(e: NetworkExplanation, line: Line | None) -> tuple[str, str, str]:
    if line is None:
        return "", "", ""
    shown = math(f"{line.name.mathml()}{EQUALS}{line.formula.mathml()}")
    return shown, escape.html(_size(line.value)), escape.html(value_text(e, line.value))


def to_json(e: NetworkExplanation) -> dict[str, Any]:
    """Plain data by the schema of docs/explanations.md."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "chainrule": __version__,
        "title": e.title,
        "convention": e.convention,
        "precision": e.precision,
        "loss": {"name": e.loss_name, "value": values(np.asarray(e.loss))},
        "inputs": list(e.inputs),
        "outputs": list(e.outputs),
        "x": values(e.x),
        "target": values(e.target),
        "prediction": values(e.prediction),
        "input_gradient": values(e.input_gradient),
        "error": values(np.asarray(e.error)),
        "modules": [
            {
                "kind": module.kind,
                "layer": module.layer,
                "title": module.title,
                "forward": [_line(line) for line in module.forward],
                "backward": [_line(line) for line in module.backward],
            }
            for module in e.modules
        ],
        "deltas": [_line(line) for line in e.deltas],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "name": formula(line.name),
        "formula": formula(line.formula),
        "shape": list(np.shape(line.value)),
        "value": values(line.value),
    }
