"""Draws docs/pictures/explain-*: python docs/make_explain_pictures.py

The SVG files need nothing but chainrule; the screenshots of the page need Selenium and Chromium.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.explanation import Explanation, explain
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


def network() -> Explanation:
    """One example through a 2-3-1 logistic network."""
    model = nn.MLP(sizes=(2, 3, 1), activation="logistic")
    params, _ = model.init(0)
    made = explain_network(model, params, np.array([0.5, -1.0]), 1.0, loss=nn.BinaryCrossEntropy())
    return made.graph


def unfold(browser: Any) -> None:
    """Close the loss, so that the layers are what is seen."""
    browser.execute_script(
        "chainrule.data.modules.forEach((m, k) => "
        "{ if (m.name === 'loss') chainrule.unfold(k, true); })"
    )


SHOTS = {
    "formula": (formula, 10, None),
    "matrix": (matrix, 9, None),
    "network": (network, 30, unfold),
}


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


def shoot(browser: Any, name: str, scheme: str, folder: Path) -> None:
    make, step, prepare = SHOTS[name]
    file = folder / f"{name}.html"
    file.write_text(page(make()), encoding="utf-8")
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(file.as_uri())
    if prepare is not None:
        prepare(browser)
    browser.execute_script("document.activeElement.blur(); chainrule.go(arguments[0])", step)
    time.sleep(0.3)
    high = browser.execute_script(
        "return Math.min(innerHeight, document.body.getBoundingClientRect().height)"
    )
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": high, "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})
    (HERE / f"explain-{name}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    for name, (make, _, _) in SHOTS.items():
        (HERE / f"explain-{name}.svg").write_text(svg(make().to_json()), encoding="utf-8")
    if "--svg" in sys.argv:
        return
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for name in SHOTS:
            for scheme in ("light", "dark"):
                shoot(browser, name, scheme, Path(folder))


if __name__ == "__main__":
    main()
