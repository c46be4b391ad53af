"""The table of the page: each operation beside the derivatives that it passes on (L4.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chainrule.explanation.picture.scene import Document
from chainrule.explanation.picture.text import flat, shape_text, short
from chainrule.explanation.render.rows import rows
from chainrule.explanation.steps.data import Explanation
from chainrule.render import escape

DIGITS = 5
MOST_LETTERS = 14
MOST_STEPS = 250
Step = Mapping[str, Any]
Formula = Callable[[Mapping[str, str]], str]
"""Writes a formula of the document as an HTML element."""


def lines(e: Explanation, document: Document) -> Iterator[tuple[Step | None, Step | None, bool]]:
    """(forward step, backward step, one of several into its node), inputs first."""
    steps = document["steps"]
    first = {step["node"]: step for step in steps if step["kind"] in ("input", "forward")}
    yield from ((step, None, False) for step in steps if step["kind"] == "input")
    for row in rows(e):
        forward = None if row.forward is None else first[row.forward.id]
        yield forward, None if row.backward is None else steps[row.backward.index], row.branch


def table(e: Explanation, document: Document, formula: Formula) -> str:
    """The ``<table>``, with an id for every formula so that the script can show copies.

    A long one is left to the script, which has all that is in it.
    """
    rows = []
    short_enough = len(document["steps"]) <= MOST_STEPS
    for forward, back, branch in lines(e, document) if short_enough else ():
        steps = [("f", forward), ("b", back)]
        marks = "".join(f' data-{k}="{s["index"]}"' for k, s in steps if s is not None)
        cells = _forward(document, forward, formula) + _backward(document, back, branch, formula)
        rows.append(f"<tr{marks}>{cells}</tr>")
    return (
        '<table class="passes"><caption class="unseen">Forward pass, downwards; backward pass, '
        'read upwards</caption><thead><tr><th scope="colgroup" colspan="3">Forward</th>'
        '<th scope="colgroup" colspan="4">Backward: <span class="local">local</span> × '
        '<span class="up">upstream</span> = <span class="down">gradient</span></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(kind: str, inside: str, span: int = 1) -> str:
    spread = f' colspan="{span}"' if span > 1 else ""
    return f'<td{spread} class="{kind}">{inside}</td>'


def _id(key: str, step: Step, formula: str) -> str:
    """The formula's element with an id: n for names, f for formulas, l for local derivatives."""
    tag, rest = formula[1:].split(">", 1)
    return f'<{tag} id="{key}{step["index"]}">{rest}'


def _name(step: Step, formula: Formula, more: str = "") -> str:
    return f'<button class="jump">{_id("n", step, formula(step["name"]))}{more}</button>'


def _forward(document: Document, step: Step | None, formula: Formula) -> str:
    if step is None:
        return '<td colspan="3" class="none"></td>'
    shape = document["nodes"][step["node"]]["shape"]
    given = step["kind"] == "input"
    shown = "<span>given</span>" if given else _id("f", step, formula(step["formula"]))
    return (
        f'<th scope="row" class="name f">{_name(step, formula)}</th>'
        + _cell("given f" if given else "formula f", shown)
        + _cell("value f", number(step["value"], shape))
    )


def _backward(document: Document, step: Step | None, branch: bool, formula: Formula) -> str:
    if step is None:
        return '<td colspan="4" class="none"></td>'
    node = document["nodes"][step["node"]]
    result = _cell("gradient b", number(step["value"], node["shape"]))
    if step["kind"] in ("start", "sum"):
        why = f"<span>{escape.html(step['why'])}</span>" if step["kind"] == "sum" else ""
        return _cell("slope b", _name(step, formula)) + _cell("why b", why, 2) + result
    via = document["nodes"][step["via"]]
    source = f'<span class="via">from {formula(via["name"])}</span>' if branch else ""
    name = _cell("slope b", _name(step, formula, source))
    if step["local"] is None or step["local_value"] is None or step["upstream"] is None:
        return name + _cell("local b", _id("l", step, formula(step["formula"])), 2) + result
    shown = _id("l", step, formula(step["local"]))
    if not step["local"]["text"].lstrip("−").replace(".", "").isdigit():
        shown += number(step["local_value"], via["shape"] or node["shape"])
    up = number(step["upstream"], via["shape"])
    return name + _cell("local b", shown) + _cell("up b", up) + result


def number(value: Any, shape: list[int]) -> str:
    """A number that the script keeps up to date, or an array that it can open."""
    if not shape:
        return f'<span class="num">{escape.html(short(value, DIGITS))}</span>'
    if isinstance(value, list):
        entries = flat(value)
        if 0 < len(entries) <= 3 and (len(shape) == 1 or shape[0] == 1):
            listed = "[" + ", ".join(short(x, 3) for x in entries) + "]"
            if len(listed) <= MOST_LETTERS:
                return f'<span class="num">{escape.html(listed)}</span>'
    return f'<details class="array"><summary>{escape.html(shape_text(shape))}</summary></details>'
