"""Draws docs/pictures/explain-* and play-*: python docs/make_explain_pictures.py [NAME ...]

The SVG files need nothing but chainrule; the screenshots of the page need Selenium and Chromium.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.explanation import Explanation, explain
from chainrule.explanation.network.data import NetworkExplanation
from chainrule.explanation.network.explaining import explain_network
from chainrule.explanation.page.page import page
from chainrule.explanation.picture.svg import svg

HERE = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 1440, 1200


def formula() -> Explanation:
    def J(x: Any) -> Any:
        return np.cos(np.sin(x**2) + 3 * x**2)

    return explain(J)(1.0)


def matrix() -> Explanation:
    """The squared norm of W x, as L4.9 works it out."""

    def f(W: Any, x: Any) -> Any:
        y = W @ x
        return np.sum(y**2)

    return explain(f)(np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))


def network() -> NetworkExplanation:
    """One example through a 2-3-1 logistic network."""
    model = nn.MLP(sizes=(2, 3, 1), activation="logistic")
    params, _ = model.init(0)
    return explain_network(
        model, params, np.array([0.5, -1.0]), 1.0, loss=nn.BinaryCrossEntropy(), inputs=("u", "v")
    )


def lesson() -> str:
    """The page of ``chainrule play`` on the penguins."""
    from chainrule.cli.play import lesson
    from chainrule.explanation.play.page import page as play_page
    from chainrule.tabular import Options, prepare, read_table

    table = read_table(HERE.parents[1] / "examples" / "penguins.csv")
    plan = prepare(table, "species", Options(hidden=(6, 4), activation="tanh", validation=0.0))
    return play_page(lesson(plan, 2000, "penguins-play.safetensors"))


SVGS: dict[str, Callable[[], Explanation]] = {
    "explain-formula": formula,
    "explain-matrix": matrix,
    "explain-network": lambda: network().graph,
}
TRAIN = "while (chainrule.model.epoch < 40) chainrule.model.advance(); chainrule.paint();"
SHOTS: dict[str, tuple[Callable[[], str], str]] = {
    "explain-formula": (lambda: page(formula()), "chainrule.go(10)"),
    "explain-matrix": (lambda: page(matrix()), "chainrule.go(9)"),
    "explain-network": (lambda: network().page(), "chainrule.view.go(5)"),
    "play-penguins": (lesson, TRAIN + "chainrule.view.go(6)"),
}
"""Name -> (the page, what the script does before the picture is taken)."""


@contextmanager
def chromium() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = "/usr/bin/chromium"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    for flag in [*flags, f"--window-size={WIDTH},{HEIGHT}"]:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield browser
    finally:
        browser.quit()


def shoot(browser: Any, name: str, file: Path, scheme: str) -> None:
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(file.as_uri())
    browser.execute_script("document.activeElement.blur();" + SHOTS[name][1])
    time.sleep(0.3)
    high = browser.execute_script(
        "return Math.min(innerHeight, document.body.getBoundingClientRect().height)"
    )
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": high, "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})
    (HERE / f"{name}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    for name, make in SVGS.items():
        (HERE / f"{name}.svg").write_text(svg(make().to_json()), encoding="utf-8")
    if "--svg" in sys.argv:
        return
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or SHOTS:
            file = Path(folder) / f"{name}.html"
            file.write_text(SHOTS[name][0](), encoding="utf-8")
            for scheme in ("light", "dark"):
                shoot(browser, name, file, scheme)


if __name__ == "__main__":
    main()
