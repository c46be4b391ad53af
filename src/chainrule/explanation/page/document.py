"""What every page is: one file of HTML with its data, its style and its script inlined.

It loads nothing; the content security policy admits this style and this script by their hashes
and nothing else, so that a name in the data can never become code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chainrule.explanation.picture.svg import asset
from chainrule.render import escape
from chainrule.render.elements import Markup
from chainrule.render.page import page

__all__ = ["buttons", "document", "header", "math", "script_json"]


def document(
    title: str, body: str, data: Mapping[str, Any], scripts: Sequence[str], sheets: Sequence[str]
) -> str:
    """A self-contained page: ``data`` for its scripts, which are joined in this order."""
    code = "\n".join(asset(f"{name}.js").replace('"use strict";\n', "") for name in scripts)
    holder = f'<script type="application/json" id="data">{script_json(data)}</script>'
    return page(
        title,
        Markup(body + holder),
        styles=["\n".join([_colours(), *(asset(f"{name}.css") for name in ("page", *sheets))])],
        scripts=['"use strict";\n(() => {\n' + code + "})();\n"],
    )


def header(kicker: str, heading: str, more: str = "", long: bool = True) -> str:
    """The head of a page; ``heading`` and ``more`` are markup."""
    kind = ' class="long"' if long else ""
    return (
        f'<header><div class="titles"><p class="kicker">{escape.html(kicker)}</p>'
        f"<h1{kind}>{heading}</h1>{more}</div>"
        '<button type="button" id="theme" class="round" aria-label="Light or dark" '
        'title="Light or dark">◐</button></header>'
    )


def buttons(listed: Iterable[tuple[str, str, str]]) -> str:
    """Round buttons: id, what they do, and their sign, which is markup."""
    return "".join(
        f'<button type="button" id="{key}" class="round" aria-label="{label}" title="{label}">'
        f'<span aria-hidden="true">{sign}</span></button>'
        for key, label, sign in listed
    )


def math(inside: str, display: bool = False) -> str:
    """A ``<math>`` element; ``inside`` is MathML already."""
    block = ' display="block"' if display else ""
    return f"<math{block}>{inside}</math>"


def script_json(data: Any) -> str:
    """JSON that stays data inside ``<script type="application/json">``, whatever it holds."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates have no encoding
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _colours() -> str:
    """The colours of pictures, by the reader's setting or choice, for the whole page."""
    light, dark, rules = (part.strip() for part in asset("picture.css").split("/* === */"))
    return "\n".join(
        [
            f":root {{ {light} }}",
            f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}",
            f':root[data-theme="light"] {{ {light} }}',
            f':root[data-theme="dark"] {{ {dark} }}',
            f"@media print {{ :root, :root[data-theme] {{ {light} }} }}",
            *(f".picture {line}" for line in rules.splitlines()),
        ]
    )
