"""Pictures of computations in the style of CS231n's circuits, as SVG drawn here.

Every wire carries its value above the line and, below it, the gradient that comes back over it.
The picture follows the reader's light or dark setting, and prints.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Literal

from chainrule.errors import UsageError
from chainrule.explanation.picture.layout import Block, Layout, Route, Wire, layout
from chainrule.explanation.picture.modules import MOST_BLOCKS, fold_to_fit, modules
from chainrule.explanation.picture.scene import (
    GATE_HEIGHT,
    LABEL_SIZE,
    Document,
    Figure,
    Link,
    Part,
    Scene,
    scene,
)
from chainrule.explanation.picture.text import Runs, plain, width
from chainrule.render import escape

Theme = Literal["auto", "light", "dark"]
LEGEND = 26.0


@cache
def asset(name: str) -> str:
    """A file that is inlined into pictures and pages."""
    return files("chainrule.explanation").joinpath("assets", name).read_text(encoding="utf-8")


def svg(document: Document, *, theme: Theme = "auto", most: int = MOST_BLOCKS) -> str:
    """The computation as one SVG document, well formed and self-contained.

    Args:
        document: an explanation's JSON document.
        theme: "light", "dark", or "auto", by the reader's setting.
        most: blocks to draw at most; beyond them modules are folded.
    """
    if theme not in ("auto", "light", "dark"):
        raise UsageError(f"theme={theme!r}: choose auto, light or dark")
    found = modules(document["nodes"])
    seen = scene(document, found, fold_to_fit(found, len(document["nodes"]), most))
    body, wide, high = drawing(seen)
    title, description = spoken(document)
    mark = "c" + hashlib.sha256((title + description + body).encode()).hexdigest()[:10]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {n(wide)} {n(high + LEGEND)}" '
        f'width="{n(wide)}" height="{n(high + LEGEND)}" role="img" '
        f'class="circuit {mark}" aria-labelledby="{mark}-t {mark}-d">'
    )
    return "\n".join(
        [
            head,
            f'<title id="{mark}-t">{escape.svg(title)}</title>',
            f'<desc id="{mark}-d">{escape.svg(description)}</desc>',
            f"<style>{style(theme, '.' + mark)}</style>",
            f'<rect class="paper" width="{n(wide)}" height="{n(high + LEGEND)}" rx="10"/>',
            body,
            _legend(wide, high),
            "</svg>\n",
        ]
    )


def style(theme: Theme, scope: str) -> str:
    """The rules of ``picture.css`` for one picture, with its colours."""
    light, dark, rules = (part.strip() for part in asset("picture.css").split("/* === */"))
    colours = {"light": light, "dark": dark, "auto": light}[theme]
    lines = [f"{scope} {{ {colours} }}"]
    if theme == "auto":
        lines.append(f"@media (prefers-color-scheme: dark) {{ {scope} {{ {dark} }} }}")
    lines += [f"{scope} {line}" for line in rules.splitlines()]
    return "\n".join(lines)


def spoken(document: Document) -> tuple[str, str]:
    """Title and description of a picture for those who hear it."""
    from chainrule.explanation.picture.scene import figure

    name = document["name"]["text"]
    whole = document["formula"]
    title = f"{name} = {whole['text']}" if whole is not None else f"How {name} is computed"
    lines = ["Values forward, gradients backward."]
    for node in document["nodes"][:MOST_BLOCKS]:
        shown = figure(node["value"], node["shape"])
        slope = figure(node["gradient"], node["shape"])
        formula = f" = {node['formula']['text']}" if node["kind"] == "operation" else ""
        said = f"{node['name']['text']}{formula} = {shown.text if shown else ''}"
        lines.append(said + (f", gradient {slope.text}." if slope is not None else "."))
    return title, " ".join(lines)


# Drawing --------------------------------------------------------------------------------------


def n(x: float) -> str:
    return f"{round(x, 1):g}" if abs(x) < 1e5 else f"{round(x)}"


def placed(seen: Scene) -> Layout:
    blocks = [Block(*part.room, part.gate_width) for part in seen.parts]
    wires = [Wire(link.source, link.target, *link.room) for link in seen.links]
    return layout(blocks, wires)


def drawing(seen: Scene) -> tuple[str, float, float]:
    """The elements of a scene, without the ``<svg>`` around them, and their size."""
    where = placed(seen)
    lines = ['<g class="wires">']
    lines += [_wire(link, route) for link, route in zip(seen.links, where.routes, strict=True)]
    lines += ["</g>", '<g class="blocks">']
    lines += [_block(part, *at) for part, at in zip(seen.parts, where.centers, strict=True)]
    lines.append("</g>")
    return "\n".join(lines), where.width, where.height


def path_of(route: Route) -> str:
    (x, y), *rest = route.points
    d = f"M{n(x)} {n(y)}"
    for x2, y2 in rest:
        if abs(y2 - y) < 0.05:
            d += f"L{n(x2)} {n(y2)}"
        else:
            m = n((x + x2) / 2)
            d += f"C{m} {n(y)} {m} {n(y2)} {n(x2)} {n(y2)}"
        x, y = x2, y2
    return d


def _wire(link: Link, route: Route) -> str:
    x, y = route.label
    parts = [f'<g class="wire"><path d="{path_of(route)}"/>']
    if link.value is not None:
        parts.append(_figure(link.value, "value", x, y - 3 - link.value.height / 2))
    if link.gradient is not None:
        parts.append(_figure(link.gradient, "gradient", x, y + 3 + link.gradient.height / 2))
    return "".join(parts) + "</g>"


def _figure(shown: Figure, kind: str, x: float, y: float) -> str:
    """Text, or cells and text, around the point (x, y)."""
    text = escape.svg(shown.text)
    if not shown.cells:
        return f'<text class="{kind}" x="{n(x)}" y="{n(y + 4.2)}">{text}</text>'
    size = shown.cell
    wide, high = len(shown.cells[0]) * size, len(shown.cells) * size
    left, top = x - shown.width / 2, y - high / 2
    out = [f'<g class="{kind} matrix">']
    for i, row in enumerate(shown.cells):
        for j, v in enumerate(row):
            sign = "plus" if v > 0 else "minus" if v < 0 else "zero"
            opacity = f' fill-opacity="{0.15 + 0.85 * abs(v):.2f}"' if v else ""
            at = f'x="{n(left + j * size)}" y="{n(top + i * size)}"'
            box = f'width="{n(size - 1)}" height="{n(size - 1)}"'
            out.append(f'<rect class="{sign}" {at} {box}{opacity}/>')
    after = left + wide + 5 + width(shown.text, LABEL_SIZE) / 2
    out.append(f'<text class="{kind}" x="{n(after)}" y="{n(y + 4.2)}">{text}</text></g>')
    return "".join(out)


def _text(kind: str, pieces: Runs, x: float, y: float) -> str:
    spans = "".join(f'<tspan class="{how}">{escape.svg(text)}</tspan>' for text, how in pieces)
    return f'<text class="{kind}" x="{n(x)}" y="{n(y)}">{spans}</text>'


def _block(part: Part, x: float, y: float) -> str:
    wide, high = part.gate_width, GATE_HEIGHT
    out = [f'<g class="block {part.kind}"><title>{escape.svg(plain(part.label))}</title>']
    if part.round:
        out.append(f'<circle class="gate" cx="{n(x)}" cy="{n(y)}" r="{n(high / 2)}"/>')
    elif part.kind != "end":
        if part.kind == "module":
            out.append(_rect("gate behind", x + 4, y + 4, wide, high, 8))
        radius = {"operation": 19, "module": 8}.get(part.kind, 8)
        out.append(_rect("gate", x, y, wide, high, radius))
    out.append(_text("label", part.label, x, y + 5.2))
    if part.above:
        out.append(_text("name", part.above, x, y - high / 2 - 6))
    if part.below:
        out.append(_text("total", [[part.below, "n"]], x, y + high / 2 + 15))
    return "".join(out) + "</g>"


def _rect(kind: str, x: float, y: float, wide: float, high: float, radius: float) -> str:
    at = f'x="{n(x - wide / 2)}" y="{n(y - high / 2)}"'
    return f'<rect class="{kind}" {at} width="{n(wide)}" height="{n(high)}" rx="{n(radius)}"/>'


def _legend(wide: float, high: float) -> str:
    parts = [f'<text class="value legend" x="16" y="{n(high + 8)}">value →</text>']
    if wide > 150:
        parts.append(f'<text class="gradient legend" x="84" y="{n(high + 8)}">← gradient</text>')
    return '<g class="legends">' + "".join(parts) + "</g>"


__all__ = ["asset", "drawing", "path_of", "placed", "spoken", "style", "svg"]
