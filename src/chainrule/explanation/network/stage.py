"""The picture of a network's neurons as parts of a page, with what walks through its passes."""

from __future__ import annotations

from chainrule.explanation.page.document import buttons
from chainrule.render import escape

WALK = (
    ("first", "To the inputs", "|◀"),
    ("back", "Step backward", "◀"),
    ("next", "Step forward", "▶"),
    ("last", "Show all", "▶|"),
)


def stage(note: str) -> str:
    """The card with the picture and the buttons, and the card where a neuron is written out."""
    return (
        '<section class="card graph" aria-label="The network">'
        f'<h2>The network <span class="note">{escape.html(note)}</span></h2>'
        '<div id="sheet" class="sheet" tabindex="0"></div>'
        f'<div class="walk">{buttons(WALK)}'
        '<p id="saying" class="saying" aria-live="polite"></p></div>'
        '<p class="legend2"><span class="p">━ positive weight</span><span class="m">━ negative '
        "weight</span><span>wider is larger; click a neuron or a line; arrows step through the "
        "passes, and walk over the neurons when one has the focus</span></p></section>"
        '<section class="card" aria-label="The chosen neuron or weight"><div id="panel"></div>'
        "</section>"
    )


SCRIPTS = ("lowering", "basics", "neurons")
SHEETS = ("neurons", "play")
"""What every page with this picture needs, before its own."""
