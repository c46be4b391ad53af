"""The page that shows an explanation and lets the reader step through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.formula.numbers import array_text
from chainrule.explanation.page import formula as page_formula
from chainrule.explanation.page.data import page_data
from chainrule.explanation.page.document import buttons, header, math
from chainrule.explanation.page.document import document as document_of
from chainrule.explanation.page.table import DIGITS, table
from chainrule.explanation.picture.modules import fold_to_fit, modules
from chainrule.explanation.picture.scene import Document, scene
from chainrule.explanation.picture.svg import drawing
from chainrule.explanation.picture.text import short
from chainrule.explanation.render.html import inside
from chainrule.explanation.render.text import check_text, remarks
from chainrule.explanation.steps.data import Explanation
from chainrule.render import escape

MOST_QUANTITIES = 500
MOST_MATHML = 60_000
MOST_STATIC = 40
SCRIPTS = ("lowering", "basics", "layout", "draw", "table", "state", "say", "stage", "move", "page")
"""Joined in this order into one script; the last one runs."""
PLAYER = (
    ("first", "First step", "|◀"),
    ("back", "Step backward", "◀"),
    ("play", "Play", '<b class="main">▶</b><b class="pause">❚❚</b>'),
    ("next", "Step forward", "▶"),
    ("last", "Last step", "▶|"),
)


def page(e: Explanation) -> str:
    """The whole page as text.

    Raises:
        UsageError: there are more quantities than a page can show.
    """
    if len(e.nodes) > MOST_QUANTITIES:
        raise UsageError(
            f"{len(e.nodes)} quantities are too many to step through; a page shows up to "
            f"{MOST_QUANTITIES}: explain a part of the computation, or write text or JSON"
        )
    document = e.to_json()
    found = modules(document["nodes"])
    formula = _formulas(document)
    return document_of(
        _title(document),
        f"{_header(e, document, formula)}<main>{_stage(document, found)}"
        f"{_tables(e, document, formula)}</main>{_footer(e)}"
        '<div id="tip" role="tooltip" hidden></div>',
        page_data(document, found),
        SCRIPTS,
        (),
    )


def _title(document: Document) -> str:
    name, whole = document["name"]["text"], document["formula"]
    text = f"{name} = {whole['text']}" if whole is not None else f"{name}, step by step"
    return text if len(text) <= 80 else f"{name}, step by step"


# Formulas -------------------------------------------------------------------------------------


def _formulas(document: Document) -> Callable[[Mapping[str, str]], str]:
    """Formula -> HTML: MathML with marked names, or plain text where it would be too much."""
    steps = document["steps"]
    shown = [
        s[k]["mathml"] for s in steps for k in ("name", "formula", "local") if s[k] is not None
    ]
    if sum(map(len, shown)) > MOST_MATHML:
        return lambda f: f'<span class="spelled">{escape.html(_cut(f["text"]))}</span>'
    marks: dict[str, tuple[str, int]] = {}
    for step in steps:
        if step["kind"] in ("backward", "sum", "start"):
            marks[page_formula.canonical(step["name"]["mathml"])] = ("data-d", step["node"])
    for node in document["nodes"]:
        marks[page_formula.canonical(node["name"]["mathml"])] = ("data-q", node["id"])
    known: dict[str, str] = {}

    def write(f: Mapping[str, str]) -> str:
        if f["mathml"] not in known:
            known[f["mathml"]] = math(page_formula.checked(f["mathml"], marks))
        return known[f["mathml"]]

    return write


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


# Parts of the page ----------------------------------------------------------------------------


def _header(e: Explanation, document: Document, formula: Callable[..., str]) -> str:
    whole = page_formula.whole_formula(e)
    name = document["name"]["mathml"]
    if whole is not None:
        shown = math(page_formula.checked(f"{name}<mo>=</mo>{whole}", {}), display=True)
    else:
        shown = math(page_formula.checked(name, {}), display=True)
    few = document["results"][:8]
    results = [_result(e, i, result, formula, len(few) == 1) for i, result in enumerate(few)]
    value = document["nodes"][document["output"]]
    if e.value.ndim:
        known = escape.html(array_text(e.value, e.precision))
    else:
        known = _live(value["id"], "node", value["value"], e.precision)
    head = (
        f'<li class="result"><span class="lead">{formula(document["name"])} '
        f'<span class="eq">=</span> {known}</span></li>'
    )
    listed = f'<ul class="results">{head}{"".join(results)}</ul>'
    long = whole is not None and _long(document)
    return header("Forward and backward, step by step", shown, listed, long)


def _live(node: int, field: str, value: Any, digits: int) -> str:
    attributes = f'data-num="{node} {field}" data-digits="{digits}"'
    return f'<span class="num" {attributes}>{escape.html(short(value, digits))}</span>'


def _long(document: Document) -> bool:
    return document["formula"] is None or len(document["formula"]["text"]) > 48


def _result(
    e: Explanation, i: int, result: Mapping[str, Any], formula: Callable[..., str], whole: bool
) -> str:
    """A derivative and its check, with the whole formula where ``whole`` is true."""
    node = e.nodes[result["node"]]
    parts = [formula(result["name"])]
    if whole and result["formula"] is not None and len(result["formula"]["text"]) <= 160:
        parts += ['<span class="eq">=</span>', formula(result["formula"])]
    if not node.value.shape:
        parts += ['<span class="eq">=</span>']
        parts.append(_live(node.id, "slope", result["value"], e.precision))
    agrees = result["check"]["agrees"]
    said = check_text(e.results[i], e.precision)
    check = f" {escape.html(said)}" if whole else ""
    return (
        f'<li class="result"><span class="lead">{" ".join(parts)}</span> '
        f'<span class="check {"ok" if agrees else "open"}" title="{escape.html(said)}">'
        f'<span aria-hidden="true">{"✓" if agrees else "?"}</span>{check}</span></li>'
    )


def _stage(document: Document, found: list[Any]) -> str:
    seen = scene(document, found, fold_to_fit(found, len(document["nodes"]), MOST_STATIC))
    still = ""
    if len(seen.parts) <= MOST_STATIC + 1:
        body, wide, high = drawing(seen)
        still = (
            f'<noscript><svg class="picture" viewBox="0 0 {wide:.0f} {high:.0f}" role="img" '
            f'aria-label="The graph">{body}</svg></noscript>'
        )
    count = len(document["steps"])
    turn = sum(s["kind"] in ("input", "forward") for s in document["steps"])
    ticks = '<svg class="track" preserveAspectRatio="none" aria-hidden="true" '
    ticks += f'viewBox="0 0 {count} 1"><rect class="f" width="{turn}" height="1"/>'
    ticks += f'<rect class="b" x="{turn}" width="{count - turn}" height="1"/></svg>'
    return (
        '<section class="stage" aria-label="Picture and step"><div class="card graph">'
        '<div id="folds" class="folds" role="group" aria-label="Modules" hidden></div>'
        '<div id="scroller" class="scroller"><svg id="picture" class="picture" role="group" '
        f'aria-label="The graph: blocks and wires"></svg>{still}</div>'
        '<p class="legend"><span class="value">value, forward →</span>'
        '<span class="gradient">← gradient, backward</span></p>'
        f'<div class="transport" role="group" aria-label="Player">{buttons(PLAYER)}'
        f'<div class="scrub">{ticks}<input type="range" id="scrub" min="0" max="{count}" value="0" '
        'step="1" aria-label="Step"></div>'
        '<button type="button" id="all" class="quiet">show all</button></div></div>'
        '<div class="card step overview" id="step"><p class="head"><span id="phase" class="phase">'
        'Overview</span><span id="count" class="count"></span></p>'
        '<div id="equation" class="equation"></div><p id="why" class="why"></p>'
        '<div id="grids" class="grids"></div></div>'
        '<p id="live" class="unseen" aria-live="polite"></p></section>'
    )


def _tables(e: Explanation, document: Document, formula: Callable[..., str]) -> str:
    found = document["results"]
    results = ""
    if len(found) > 1:
        shown = "".join(_result(e, i, r, formula, True) for i, r in enumerate(found[:100]))
        results = (
            '<div class="card"><h2>The derivatives <span class="note">each checked by another '
            f'method</span></h2><ul class="derivatives">{shown}</ul></div>'
        )
    return (
        '<section class="tables" aria-label="Tables"><div class="card movers" id="movers" hidden>'
        '<h2>Move the inputs <button type="button" id="reset" class="quiet">reset</button></h2>'
        '<div id="sliders"></div></div>'
        f'<div class="card listing"><h2>Every step <span class="note">{DIGITS} digits; the '
        "backward half is read upwards</span></h2>"
        f'<div id="tablebox" class="tablebox">{table(e, document, formula)}</div></div>{results}'
        f"{_inside(e)}</section>"
    )


def _inside(e: Explanation) -> str:
    """What softmax, a norm or a loss is made of, at the same numbers."""
    found = inside(e)
    return found and f'<div class="card inner"><h2>Inside the gates</h2>{found}</div>'


def _footer(e: Explanation) -> str:
    keys = [
        ("→ ←", "step forward, backward"),
        ("space", "play, pause"),
        ("Home End", "first, last step"),
        ("Esc", "show all"),
        ("Tab Enter", "go to a block, wire or line, and choose it"),
    ]
    shown = "".join(
        "<li>" + " ".join(f"<kbd>{k}</kbd>" for k in key.split()) + f" {what}</li>"
        for key, what in keys
    )
    return (
        f'<footer><ul class="keys" aria-label="Keys">{shown}<li>on a touch screen, swipe over the '
        f"step</li></ul><p>{escape.html(remarks(e))}</p></footer>"
    )


__all__ = ["page"]
