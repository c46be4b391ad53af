"""Small charts as SVG, drawn by us: lines, points and bars, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.render.elements import Markup, element

__all__ = ["bars", "lines"]

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 12, 40

Curve = tuple[str, Sequence[float], Sequence[float]]


def lines(
    curves: Sequence[Curve],
    *,
    title: str,
    x: str,
    y: str,
    logarithmic: bool = False,
    points: bool = False,
    diagonal: bool = False,
    span: tuple[float, float] | None = None,
) -> Markup:
    """Curves over one pair of axes.

    Args:
        curves: each a name, its abscissas and ordinates; what is not finite is left out.
        title: for those who cannot see the picture. x, y: what the axes are.
        logarithmic: the vertical axis, where all is positive. points: dots instead of lines.
        diagonal: a line from corner to corner of equal values, for comparison.
        span: both axes from and to where, as 0 to 1 for shares; otherwise what the curves need.
    """
    kept = [(name, _finite(xs, ys, logarithmic)) for name, xs, ys in curves]
    kept = [(name, pairs) for name, pairs in kept if pairs]
    if not kept:
        return element("p", {"class": "empty"}, f"{title}: nothing to show")
    every = [pair for _, pairs in kept for pair in pairs]
    across, up = _range([p for p, _ in every]), _range([q for _, q in every])
    if span is not None:
        across = up = span
    elif diagonal:
        across = up = (min(across[0], up[0]), max(across[1], up[1]))
    children = _axes(across, up, x, y, logarithmic)
    if diagonal:
        ends = [_at(v, v, across, up) for v in across]
        children.append(_path(ends, "guide"))
    for i, (_, pairs) in enumerate(kept):
        placed = [_at(p, q, across, up) for p, q in pairs]
        if points:
            children += [
                element(
                    "circle", {"cx": f"{a:.1f}", "cy": f"{b:.1f}", "r": 2.5, "class": f"dot c{i}"}
                )
                for a, b in placed
            ]
        else:
            children.append(_path(placed, f"line c{i}"))
    svg = element(
        "svg",
        {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria-label": title},
        *children,
    )
    named = [
        element("span", {"class": f"key c{i}"}, name) for i, (name, _) in enumerate(kept) if name
    ]
    caption = element("figcaption", None, f"{title} ", *named)
    return element("figure", {"class": "chart"}, svg, caption)


def bars(items: Sequence[tuple[str, float]], *, title: str, unit: str = "") -> Markup:
    """Bars to the right, one an item, with its number."""
    top = max((abs(value) for _, value in items), default=0.0) or 1.0
    height = 24 * len(items) + 8
    children = []
    for i, (name, value) in enumerate(items):
        y = 24 * i + 6
        width = 190 * max(value, 0.0) / top
        shown = name if len(name) <= 22 else f"{name[:21]}…"
        children += [
            element("text", {"x": 150, "y": y + 12, "text-anchor": "end"}, shown),
            element("rect", {"x": 158, "y": y, "width": f"{width:.1f}", "height": 14,
                             "class": "bar"}),
            element("text", {"x": f"{164 + width:.1f}", "y": y + 12}, f"{value:.3g}{unit}"),
        ]  # fmt: skip
    svg = element(
        "svg", {"viewBox": f"0 0 {WIDTH} {height}", "role": "img", "aria-label": title}, *children
    )
    return element("figure", {"class": "chart"}, svg, element("figcaption", None, title))


def _finite(
    xs: Sequence[float], ys: Sequence[float], logarithmic: bool
) -> list[tuple[float, float]]:
    pairs = []
    for p, q in zip(xs, ys, strict=True):
        if math.isfinite(p) and math.isfinite(q) and not (logarithmic and q <= 0):
            pairs.append((float(p), math.log10(q) if logarithmic else float(q)))
    return pairs


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    around = 0.5 * abs(low) or 0.5
    return (low, high) if high > low else (low - around, high + around)


def _at(
    p: float, q: float, across: tuple[float, float], up: tuple[float, float]
) -> tuple[float, float]:
    a = (p - across[0]) / (across[1] - across[0])
    b = (q - up[0]) / (up[1] - up[0])
    return LEFT + a * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - b * (HEIGHT - TOP - BOTTOM)


def _path(placed: Sequence[tuple[float, float]], name: str) -> Markup:
    return element("polyline", {"class": name, "points": " ".join(f"{a:.1f},{b:.1f}"
                                                                 for a, b in placed)})  # fmt: skip


def _axes(
    across: tuple[float, float], up: tuple[float, float], x: str, y: str, logarithmic: bool
) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    found: list[str] = [
        element("line", {"class": "axis", "x1": LEFT, "y1": bottom, "x2": right, "y2": bottom}),
        element("line", {"class": "axis", "x1": LEFT, "y1": TOP, "x2": LEFT, "y2": bottom}),
        element("text", {"x": (LEFT + right) / 2, "y": HEIGHT - 6, "text-anchor": "middle"}, x),
        element("text", {"x": 12, "y": (TOP + bottom) / 2, "text-anchor": "middle",
                         "transform": f"rotate(-90 12 {(TOP + bottom) / 2})"}, y),
    ]  # fmt: skip
    for value in _ticks(*across, 6):
        a, _ = _at(value, up[0], across, up)
        found.append(element("text", {"x": f"{a:.1f}", "y": bottom + 14, "text-anchor": "middle"},
                             _shown(value)))  # fmt: skip
    for value in _powers(*up) if logarithmic else _ticks(*up, 4):
        _, b = _at(across[0], value, across, up)
        shown = _shown(10**value if logarithmic else value)
        found.append(element("text", {"x": LEFT - 4, "y": f"{b + 4:.1f}", "text-anchor": "end"},
                             shown))  # fmt: skip
        found.append(element("line", {"class": "grid", "x1": LEFT, "y1": f"{b:.1f}", "x2": right,
                                      "y2": f"{b:.1f}"}))  # fmt: skip
    return found


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers within an axis: steps of 1, 2 or 5 times a power of ten."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(k for k in (1, 2, 5, 10, 20) if (high - low) / (k * step) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
    """The same for an axis of logarithms: 1, 2, 5 times powers of ten, or those powers alone."""
    whole = range(math.floor(low), math.ceil(high) + 1)
    fine = [k + math.log10(m) for k in whole for m in (1, 2, 5)]
    coarse = [float(k) for k in whole[:: max(int((high - low) / 5), 1)]]
    kept = [[v for v in ticks if low <= v <= high] for ticks in (fine, coarse)]
    if len(kept[0]) < 2:
        return [math.log10(v) for v in _ticks(10**low, 10**high, 4)]
    return kept[0] if len(kept[0]) <= 6 else kept[1]


def _shown(value: float) -> str:
    """Seven characters at most, which is what there is room for."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if unit <= abs(value) < 1000 * unit and abs(value) >= 1e4:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
