"""Draws the README's pictures from numbers that chainrule computes: python docs/make_pictures.py

Each function returns the text of one SVG file; nothing here is typed in by hand but places.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, train

INK, VALUE, GRADIENT, RULE = "#1f2328", "#1a7f37", "#cf222e", "#8c959f"
SERIES = ("#0969da", "#bf8700", "#1a7f37", "#cf222e")
FONT = "font-family='ui-sans-serif, system-ui, Helvetica, Arial, sans-serif'"


def svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
        f"width='{width}' height='{height}' role='img' {FONT}>"
    )
    ground = f"<rect width='{width}' height='{height}' rx='8' fill='#ffffff'/>"
    return "\n".join([head, f"<title>{title}</title>", ground, *parts, "</svg>", ""])


def text(
    x: float, y: float, s: str, color: str = INK, size: int = 15, anchor: str = "middle"
) -> str:
    return (
        f"<text x='{x:g}' y='{y:g}' fill='{color}' font-size='{size}' "
        f"text-anchor='{anchor}'>{s}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, color: str = RULE, width: float = 1.5) -> str:
    return (
        f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}' stroke='{color}' "
        f"stroke-width='{width:g}'/>"
    )


def edge(x1: float, y1: float, x2: float, y2: float, value: float, gradient: float) -> list[str]:
    """A wire with the value that goes forward above it and the gradient that comes back below."""
    mx, my = (x1 + x2) / 2, (y1 + y2) / 2
    return [
        line(x1, y1, x2, y2),
        text(mx, my - 8, f"{value:g}", VALUE),
        text(mx, my + 20, f"{gradient:g}", GRADIENT),
    ]


def gate(x: float, y: float, s: str) -> list[str]:
    circle = f"<circle cx='{x}' cy='{y}' r='22' fill='#f6f8fa' stroke='{INK}' stroke-width='1.5'/>"
    return [circle, text(x, y + 7, s, size=20)]


def circuit() -> str:
    """(x + y) z at (-2, 5, -4), as the lecture draws it: values above, gradients below (L1.3)."""
    x, y, z = -2.0, 5.0, -4.0
    f, (dx, dy, dz) = cr.value_and_grad(lambda x, y, z: (x + y) * z, (0, 1, 2))(x, y, z)
    q = x + y
    dq = cr.grad(lambda q: q * z)(q)
    parts = [
        *edge(60, 50, 218, 92, x, dx),
        *edge(60, 160, 218, 112, y, dy),
        *edge(262, 102, 398, 142, q, dq),
        *edge(60, 230, 398, 162, z, dz),
        *edge(442, 152, 580, 152, f, 1.0),
        *gate(240, 102, "+"),
        *gate(420, 152, "×"),
        text(40, 55, "x", size=18),
        text(40, 165, "y", size=18),
        text(40, 235, "z", size=18),
        text(290, 92, "q", size=16),
        text(602, 157, "f", size=18),
        text(510, 232, "value, forward", VALUE, 13),
        text(510, 252, "gradient, backward", GRADIENT, 13),
    ]
    return svg(640, 270, parts, "The graph of (x + y) z with values and gradients")


def chart(
    series: dict[str, Sequence[float]],
    title: str,
    x_label: str,
    y_label: str,
    log: bool = False,
) -> str:
    """Curves over 1, 2, 3, ..., each labelled at its end."""
    width, height, left, right, top, bottom = 640, 320, 70, 130, 44, 48
    curves = {k: np.log10(v) if log else np.asarray(v, float) for k, v in series.items()}
    low = min(float(v.min()) for v in curves.values())
    high = max(float(v.max()) for v in curves.values())
    low, high = (np.floor(low), np.ceil(high)) if log else (0.0, np.ceil(high * 5) / 5)
    count = max(map(len, curves.values()))

    def sx(i: float) -> float:
        return left + (width - left - right) * i / (count - 1)

    def sy(v: float) -> float:
        return top + (height - top - bottom) * (high - v) / (high - low)

    parts = [text(width / 2 - 30, 26, title, size=16)]
    step = max(1.0, np.ceil((high - low) / 6)) if log else 0.2
    for tick in np.arange(low, high + 1e-9, step):
        label = f"10<tspan dy='-6' font-size='10'>{tick:.0f}</tspan>" if log else f"{tick:.1f}"
        parts += [line(left, sy(tick), width - right, sy(tick), "#eaeef2", 1)]
        parts += [text(left - 8, sy(tick) + 5, label, RULE, 12, "end")]
    for k in np.unique(np.linspace(1, count, 5).round().astype(int)):
        parts.append(text(sx(k - 1), height - bottom + 18, f"{k}", RULE, 12))
    for v, color in zip(curves.values(), SERIES, strict=False):
        points = " ".join(f"{sx(i):.1f},{sy(y):.1f}" for i, y in enumerate(v))
        parts.append(f"<polyline points='{points}' fill='none' stroke='{color}' stroke-width='2'/>")
    ends = sorted(
        (sy(v[-1]), name, color) for (name, v), color in zip(curves.items(), SERIES, strict=False)
    )
    last = -100.0
    for y, name, color in ends:
        last = max(y, last + 17)
        parts.append(text(width - right + 8, last + 5, name, color, 13, "start"))
    parts.append(text((left + width - right) / 2, height - 8, x_label, INK, 13))
    parts.append(
        f"<text transform='translate(18 {height / 2:g}) rotate(-90)' fill='{INK}' font-size='13' "
        f"text-anchor='middle'>{y_label}</text>"
    )
    return svg(width, height, parts, title)


def spirals(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved spirals with a little noise: a problem that needs hidden layers."""
    rng = np.random.Generator(np.random.Philox(3))
    angle = np.sqrt(rng.random(n)) * 2 * np.pi
    sign = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    x = np.stack([np.cos(angle), np.sin(angle)], 1) * (angle * sign / 4)[:, None]
    return x + 0.05 * rng.normal(size=x.shape), (sign > 0).astype(int)


def initialisation() -> str:
    """Zero and constant weights don't learn; small random ones do (L0.5, L1.7)."""
    x, t = spirals()
    curves = {}
    for name, init in (
        ("zeros", "zeros"),
        ("constant", nn.initializer("constant", value=0.5)),
        ("random", "glorot_uniform"),
    ):
        result = train.fit(
            nn.MLP((2, 16, 16, 2), activation="tanh", initializer=init),
            (x, t),
            loss=nn.CategoricalCrossEntropy(),
            optimizer=optim.adam(0.02),
            epochs=100,
            batch_size=30,
            seed=1,
        )
        curves[name] = [row["train_loss"] for row in result.history]
    return chart(
        curves, "Initial weights decide whether a network learns", "epoch", "cross-entropy"
    )


def vanishing() -> str:
    """The norm of each layer's gradient in deep networks (L1.8, L2.5)."""
    x, t = spirals()
    curves = {}
    for name, init in (
        ("logistic", "glorot_uniform"),
        ("tanh", "glorot_uniform"),
        ("relu", "he_uniform"),
    ):
        model = nn.MLP((2, *[32] * 12, 2), activation=name, initializer=init)
        params, state = model.init(0)
        loss = nn.CategoricalCrossEntropy()

        def mean_loss(params: Any, model: Any = model, state: Any = state, loss: Any = loss) -> Any:
            return np.mean(loss(model(params, state, x)[0], t))

        g = cr.grad(mean_loss)(params)
        curves[name] = [float(np.linalg.norm(layer["weights"])) for layer in g["layers"]]
    return chart(
        curves, "Gradients through twelve hidden layers", "layer", "norm of gradient", log=True
    )


PICTURES = {"circuit": circuit, "initialisation": initialisation, "vanishing": vanishing}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        (folder / f"{name}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
