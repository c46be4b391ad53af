"""A self-contained page: one file, no request, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from chainrule.render.elements import Markup
from chainrule.render.escape import html

__all__ = ["page", "policy"]


def policy(styles: Sequence[str] = (), scripts: Sequence[str] = ()) -> str:
    """The content security policy that allows exactly these inline styles and scripts.

    No network, no frames, no forms, no base; pictures only as ``data:``.
    """

    def sources(texts: Sequence[str]) -> str:
        hashes = [hashlib.sha256(text.encode()).digest() for text in texts]
        found = [f"'sha256-{base64.b64encode(h).decode()}'" for h in hashes]
        return " ".join(found) or "'none'"

    return (
        f"default-src 'none'; script-src {sources(scripts)}; style-src {sources(styles)}; "
        "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def page(
    title: str,
    body: Markup,
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    language: str = "en",
) -> str:
    """A whole HTML document.

    Args:
        title: text, escaped. body: markup. styles, scripts: our own, inlined as they are; data
            for a script goes into an element's text as JSON, not into the script.

    Raises:
        ValueError: a style or script that would end its element early.
    """
    for text in (*styles, *scripts):
        if "</" in text or "<!--" in text:
            raise ValueError("an inlined style or script must not contain </ or <!--")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{html(policy(styles, scripts))}">'
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="{html(language)}">',
            "<head>",
            '<meta charset="utf-8">',
            meta,
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html(title)}</title>",
            *(f"<style>{text}</style>" for text in styles),
            "</head>",
            "<body>",
            body,
            *(f"<script>{text}</script>" for text in scripts),
            "</body>",
            "</html>",
            "",
        ]
    )
