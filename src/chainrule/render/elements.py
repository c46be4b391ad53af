"""Elements of HTML and SVG as text, with everything that comes in escaped.

``element("td", {"class": "name"}, name)`` escapes ``name``; what ``element`` returns is
``Markup``, which is not escaped again. There is no other way to make markup from a string than
to say so, with ``Markup(...)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from chainrule.render.escape import html

__all__ = ["Markup", "element", "joined", "table"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:-]*")
_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "wbr"})
_FORBIDDEN = frozenset({"script", "style"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def joined(parts: Iterable[str], between: str = "") -> Markup:
    """Parts in a row; those that are not markup are escaped."""
    return Markup(html(between).join(_safe(part) for part in parts))


def _safe(part: str) -> str:
    return part if isinstance(part, Markup) else html(part)


def element(tag: str, attributes: Mapping[str, object] | None = None, *children: str) -> Markup:
    """``<tag attributes>children</tag>``. An attribute that is None is left out, True has no value.

    Raises:
        ValueError: a tag or attribute name that is none, an event handler, a script or style
            (those belong to ``page``, which covers them with its policy), or a link that would
            run code.
    """
    if not _NAME.fullmatch(tag) or tag.lower() in _FORBIDDEN:
        raise ValueError(f"{tag!r} is not an element to be made here")
    shown = []
    for name, value in (attributes or {}).items():
        if value is None or value is False:
            continue
        if not _NAME.fullmatch(name) or name.lower().startswith("on"):
            raise ValueError(f"{name!r} is not an attribute to be set here")
        text = str(value)
        if name.lower() in ("href", "src", "xlink:href") and not text.startswith("#"):
            raise ValueError(f"{name}={text!r}: only links inside the page")
        shown.append(f" {name}" if value is True else f' {name}="{html(text)}"')
    opening = f"<{tag}{''.join(shown)}"
    if tag in _VOID:
        return Markup(opening + ">")
    return Markup(f"{opening}>{joined(children)}</{tag}>")


def table(head: Iterable[str], rows: Iterable[Iterable[str]], caption: str = "") -> Markup:
    """A table with a header row; cells that are not ``Markup`` are escaped."""
    top = element("tr", None, *(element("th", {"scope": "col"}, cell) for cell in head))
    body = [element("tr", None, *(element("td", None, cell) for cell in row)) for row in rows]
    titled = (element("caption", None, caption),) if caption else ()
    return element(
        "table", None, *titled, element("thead", None, top), element("tbody", None, *body)
    )
