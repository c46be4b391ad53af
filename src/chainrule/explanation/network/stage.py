"""The picture of a network's neurons as parts of a page, with what walks through its passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.explanation.page.data import script_json
from chainrule.explanation.page.page import styles
from chainrule.explanation.picture.svg import asset
from chainrule.render import escape
from chainrule.render.elements import Markup
from chainrule.render.page import page as whole_page

WALK = (
    ("first", "To the inputs", "|◀"),
    ("back", "Step backward", "◀"),
    ("next", "Step forward", "▶"),
    ("last", "Show all", "▶|"),
)


def stage(note: str) -> str:
    """The card with the picture and the buttons, and the card where a neuron is written out."""
    buttons = "".join(
        f'<button type="button" id="{key}" class="round" aria-label="{label}" title="{label}">'
        f"{sign}</button>"
        for key, label, sign in WALK
    )
    return (
        '<section class="card graph" aria-label="The network">'
        f'<h2>The network <span class="note">{escape.html(note)}</span></h2>'
        '<div id="sheet" class="sheet" tabindex="0"></div>'
        f'<div class="walk">{buttons}<p id="saying" class="saying" aria-live="polite"></p></div>'
        '<p class="legend2"><span class="p">━ positive weight</span><span class="m">━ negative '
        "weight</span><span>wider is larger; click a neuron or a line; arrows step through the "
        "passes, and walk over the neurons when one has the focus</span></p></section>"
        '<section class="card" aria-label="The chosen neuron or weight"><div id="panel"></div>'
        "</section>"
    )


def document(
    title: str,
    body: str,
    data: Mapping[str, Any],
    scripts: Sequence[str],
    sheets: Sequence[str] = (),
) -> str:
    """A self-contained page: ``data`` for its scripts, which run in this order."""
    shared = ("lowering", "basics", "neurons")
    code = "\n".join(
        asset(f"{name}.js").replace('"use strict";\n', "") for name in (*shared, *scripts)
    )
    style = "\n".join([styles(), *(asset(f"{name}.css") for name in ("neurons", *sheets))])
    holder = f'<script type="application/json" id="data">{script_json(data)}</script>'
    return whole_page(
        title,
        Markup(body + holder),
        styles=[style],
        scripts=['"use strict";\n(() => {\n' + code + "})();\n"],
    )


def header(kicker: str, title: str, more: str = "") -> str:
    """The head of a page; ``more`` is markup."""
    return (
        f'<header><div class="titles"><p class="kicker">{escape.html(kicker)}</p>'
        f'<h1 class="long">{escape.html(title)}</h1>{more}</div>'
        '<button type="button" id="theme" class="round" aria-label="Light or dark" '
        'title="Light or dark">◐</button></header>'
    )
