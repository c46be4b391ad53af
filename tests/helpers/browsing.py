"""Headless Chromium for tests, as Debian packages it: nothing is downloaded.

A machine without it, or without Selenium, skips these tests; where the environment variable CI
is set they are required.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.explanation.page.page import page

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def _missing(what: str) -> Any:
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI requires the tests that drive a browser")
    pytest.skip(f"{what} is not installed: the page is not driven in a browser")


@contextmanager
def chromium(folder: Path, size: tuple[int, int] = (1440, 1000)) -> Iterator[Any]:
    """A driver of a fresh browser with its own profile, which records console and requests."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        _missing("selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        _missing("chromium" if program is None else "chromium-driver")
    options = Options()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={folder}", "--window-size={},{}".format(*size)):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def requests(browser: Any) -> list[str]:
    """Addresses that were asked for since the last call."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return found


def complaints(browser: Any) -> list[str]:
    """What the console said since the last call."""
    return [entry["message"] for entry in browser.get_log("browser")]


def medium(browser: Any, media: str = "", **features: str) -> None:
    """Emulate ``print`` or the reader's settings, such as prefers_color_scheme="dark"."""
    listed = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": listed})


# Fixtures and what the tests do with pages ------------------------------------------------------


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("browser") / "profile") as driver:
        yield driver


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page of an explanation; at the end nothing was said and nothing asked for."""
    names = []

    def open_page(e: Any) -> Any:
        file = tmp_path / f"page{len(names)}.html"
        names.append(file.as_uri())
        file.write_text(page(e), encoding="utf-8")
        browser.get(file.as_uri())
        assert browser.execute_script("return document.documentElement.classList.contains('ready')")
        return browser

    medium(browser)
    requests(browser), complaints(browser)
    yield open_page
    assert complaints(browser) == []
    assert {u for u in requests(browser) if not u.startswith("data:image/svg")} <= set(names)


def js(browser: Any, code: str, *args: Any) -> Any:
    return browser.execute_script(code, *args)


def keys(browser: Any, *pressed: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*pressed).perform()


def text_of(browser: Any, selector: str) -> str:
    return js(browser, "return document.querySelector(arguments[0]).textContent", selector)


def count(browser: Any, selector: str) -> int:
    return js(browser, "return document.querySelectorAll(arguments[0]).length", selector)


def luminance(color: str) -> float:
    """Of a computed colour, as WCAG has it: (L1 + 0.05) / (L2 + 0.05) is the contrast."""
    parts = [float(v) / 255 for v in re.findall(r"[\d.]+", color)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


RIGHT, LEFT, HOME, END, ESCAPE = "\ue014", "\ue012", "\ue011", "\ue010", "\ue00c"


def label_boxes(browser: Any) -> np.ndarray:
    """Rectangles of all labels that can be seen and of all gates, in the picture's pixels."""
    found = js(
        browser,
        """
        return [...document.querySelectorAll('.picture text.value, .picture text.gradient, '
          + '.picture .name, .picture .total, .picture .gate:not(.behind)')].map(t => {
            const r = t.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; })""",
    )
    box = np.array(found, float)
    middle = (box[:, 1] + box[:, 3]) / 2  # a line box is taller than the letters in it
    half = (box[:, 3] - box[:, 1]) * 0.36
    box[:, 1], box[:, 3] = middle - half, middle + half
    return box


def seen_faults(browser: Any) -> list[str]:
    """What a reader could not read or reach: text fainter than 4.5 to 1 (WCAG AA) on its ground,
    what sticks out of the window or of a box that does not scroll, and controls without a name."""
    return js(browser, Path(__file__).with_name("seen_faults.js").read_text("utf-8"))


def at_width(browser: Any, pixels: int) -> None:
    """The window of a phone (390) or a desk; 0 as it was."""
    if not pixels:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        return
    size = {"width": pixels, "height": 844, "deviceScaleFactor": 1, "mobile": pixels < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
