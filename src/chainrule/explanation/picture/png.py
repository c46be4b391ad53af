"""Pictures as PNG, drawn by a browser that is already on the machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from chainrule.errors import UsageError
from chainrule.explanation.picture.scene import Document
from chainrule.explanation.picture.svg import Theme, svg

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
SECONDS = 60
MOST_PIXELS = 16_000


def browser() -> str | None:
    """The program that draws: the first of ``BROWSERS`` that is found, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name)) is not None), None)


def png(document: Document, *, theme: Theme = "light", scale: float = 2.0) -> bytes:
    """The picture of ``picture.svg`` as the bytes of a PNG file.

    Args:
        scale: pixels of the image per pixel of the picture.

    Raises:
        UsageError: no browser was found, it failed, or the picture is too large for one.
    """
    program = browser()
    if program is None:
        raise UsageError(
            "a PNG is drawn by a browser, and none was found: install Chromium, Chrome or Edge "
            "so that it is on the PATH, or write an SVG, which needs none"
        )
    picture = svg(document, theme=theme)
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', picture)
    assert size is not None
    wide, high = (int(float(x) + 1) for x in size.groups())
    if scale <= 0 or max(wide, high) * scale > MOST_PIXELS:
        raise UsageError(
            f"the picture is {wide}×{high}; times scale={scale:g} that is more than the "
            f"{MOST_PIXELS} pixels that browsers draw: lower the scale, or write an SVG"
        )
    with tempfile.TemporaryDirectory(prefix="chainrule-", ignore_cleanup_errors=True) as folder:
        return _drawn(program, picture, (wide, high), scale, Path(folder))


def _drawn(program: str, picture: str, size: tuple[int, int], scale: float, folder: Path) -> bytes:
    source, target = folder / "picture.svg", folder / "picture.png"
    source.write_text(picture, encoding="utf-8")
    # Chromium's sandbox refuses to start for root, as in containers; the file holds no script.
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [
        program,
        *FLAGS,
        *root,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={size[0]},{size[1]}",
        f"--force-device-scale-factor={scale:g}",
        f"--screenshot={target}",
        source.as_uri(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UsageError(f"{program} took more than {SECONDS} s to draw; write an SVG") from None
    if not target.exists():
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise UsageError(f"{program} drew nothing ({said[0][:200]}); write an SVG instead")
    return target.read_bytes()
