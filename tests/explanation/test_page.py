"""The page: what is written, and how it is stepped through in headless Chromium."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from chainrule.errors import ChainruleError, UsageError
from chainrule.explanation.page.formula import checked
from chainrule.explanation.page.page import page
from chainrule.explanation.picture.modules import modules
from chainrule.explanation.picture.scene import scene
from chainrule.explanation.picture.text import short
from tests.helpers import browsing
from tests.helpers.browsing import (
    END,
    ESCAPE,
    HOME,
    LEFT,
    RIGHT,
    at_width,
    count,
    js,
    keys,
    label_boxes,
    luminance,
    medium,
    seen_faults,
    text_of,
)
from tests.helpers.explain_blocks import overlapping
from tests.helpers.explain_pages import entropy, hostile, matrix, network, scalar, tangle

browser, shown = browsing.browser, browsing.shown  # fixtures

# What is written ------------------------------------------------------------------------------


class Elements(HTMLParser):
    """All start tags with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in self.texts:
            self.texts[self.inside].append(data)


def sha(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.parametrize("make", [scalar, matrix, network, hostile])
def test_the_page_loads_nothing_and_its_policy_admits_only_its_own_code(make: Any) -> None:
    text = page(make())
    found = Elements(text)
    policy = next(a["content"] for t, a in found.tags if a.get("http-equiv"))
    data, script = found.texts["script"]
    (style,) = found.texts["style"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert f"script-src '{sha(script)}'" in policy
    assert f"style-src '{sha(style)}'" in policy
    json.loads(data)
    assert [t for t, _ in found.tags].count("script") == 2
    for tag, attributes in found.tags:
        assert "style" not in attributes
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert tag not in ("iframe", "img", "object", "embed", "base", "form", "a", "foreignobject")
        assert all(v.startswith("data:image/svg") for n, v in attributes.items() if n == "href")
    assert not re.search(
        r"url\(|@import|\beval\(|innerHTML|insertAdjacent|document\.write", script + style
    )
    assert len(text.encode("utf-8")) < 400_000


def test_the_page_is_deterministic_and_small() -> None:
    assert page(scalar()) == page(scalar())
    assert len(page(scalar()).encode()) < 120_000
    assert len(page(tangle(200)).encode()) < 300_000
    assert len(page(network((64, 64, 64), 30)).encode()) < 400_000


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(UsageError, match="too many to step through"):
        page(tangle(600))


def test_only_presentation_mathml_passes() -> None:
    assert checked("<mi>x</mi>", {"<mi>x</mi>": ("data-q", 3)}) == '<mi data-q="3">x</mi>'
    for bad in ("<script>1</script>", '<mi onclick="x">y</mi>', "<mtext><img/></mtext>",
                '<mi href="x">y</mi>', "<maction>x</maction>"):  # fmt: skip
        with pytest.raises(ChainruleError, match="not presentation MathML"):
            checked(bad, {})


def test_the_whole_formula_marks_every_quantity() -> None:
    head = re.search("<h1.*?</h1>", page(scalar()), re.DOTALL)
    assert head is not None
    assert set(re.findall(r'data-q="(\d+)"', head[0])) == {"0", "1", "2", "3", "4", "5"}


# Stepping through ------------------------------------------------------------------------------


def test_stepping_through_by_keys(shown: Any) -> None:
    e = scalar()
    b = shown(e)
    assert text_of(b, "#phase") == "Overview"
    assert count(b, ".picture .before") == 0
    seen = []
    for step in e.steps:
        keys(b, RIGHT)
        assert text_of(b, "#count") == f"Step {step.index + 1} of {len(e.steps)}"
        backward = step.kind in ("backward", "sum", "start")
        assert text_of(b, "#phase") == ("Backward" if backward else "Forward" if step.inputs
                                        else "Given")  # fmt: skip
        assert js(b, "return [...document.querySelectorAll('.passes .now')].every("
                     "c => c.dataset.step == arguments[0])", step.index)  # fmt: skip
        assert short(step.value, 6) in text_of(b, "#live")
        assert count(b, ".picture .hot, .picture .back") >= 1
        assert count(b, "h1 .hot") >= 1
        seen.append(text_of(b, "#live"))
    assert len(set(seen)) == len(e.steps)
    keys(b, RIGHT)
    assert text_of(b, "#count").startswith(f"Step {len(e.steps)} ")
    keys(b, LEFT)
    assert text_of(b, "#count").startswith(f"Step {len(e.steps) - 1} ")
    keys(b, HOME)
    assert text_of(b, "#count").startswith("Step 1 ")
    keys(b, END)
    assert text_of(b, "#count").startswith(f"Step {len(e.steps)} ")
    keys(b, ESCAPE)
    assert text_of(b, "#phase") == "Overview"


def test_the_edge_and_the_terms_light_up_together(shown: Any) -> None:
    """At dJ/dt from u₂: the wire t → 3t, the factor 3t of J, the t in u₂ = 3t, the line."""
    e = scalar()
    b = shown(e)
    t, u2 = (next(n.id for n in e.nodes if n.name.key == k) for k in ("t", "u2"))
    index = next(s.index for s in e.steps if s.node == t and s.via == u2)
    js(b, "chainrule.go(arguments[0])", index)
    assert js(
        b, "return [...document.querySelectorAll('.wire.back')].map(w => w.dataset.wire)"
    ) == [f"{t}-q{u2}"]
    lit = js(b, "return [...document.querySelectorAll('h1 .hot, h1 .warm')].map(m => m.dataset.q)")
    assert set(lit) == {str(t), str(u2)}
    assert count(b, f'tr [data-q="{t}"].hot') >= 1
    words = text_of(b, "#equation")
    assert "local" in words
    assert "upstream" in words
    assert "downstream" in words
    assert "0.6441246251" in words
    assert "1.932373875" in words


def test_buttons_scrubber_and_play(shown: Any) -> None:
    b = shown(scalar())
    steps = {"next": "Step 1 ", "last": "Step 14 ", "back": "Step 13 ", "first": "Step 1 "}
    for button, said in {**steps, "all": "14 steps"}.items():
        b.find_element("id", button).click()
        assert text_of(b, "#count").startswith(said)
    js(b, "const s = document.getElementById('scrub'); s.value = 5;"
          "s.dispatchEvent(new Event('input'))")  # fmt: skip
    assert text_of(b, "#count").startswith("Step 5 ")
    js(b, "document.activeElement.blur()")
    keys(b, " ")
    assert b.find_element("id", "play").get_attribute("aria-label") == "Pause"
    deadline = time.monotonic() + 6
    while text_of(b, "#count").startswith("Step 5 ") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert text_of(b, "#count").startswith("Step 6 ")
    keys(b, " ")
    assert b.find_element("id", "play").get_attribute("aria-pressed") == "false"


def test_lines_blocks_and_wires_lead_to_their_step(shown: Any) -> None:
    e = scalar()
    b = shown(e)
    b.find_element("css selector", 'tr[data-b="9"] .jump').click()
    assert text_of(b, "#count").startswith("Step ")
    t = next(n.id for n in e.nodes if n.name.key == "t")
    block = b.find_element("css selector", f'[data-block="q{t}"]')
    block.find_element("tag name", "text").click()
    assert "Forward: t = x² = 1" in text_of(b, "#live")
    js(b, "arguments[0].focus()", block)
    keys(b, "\ue007")
    assert "Step 13 of 14. dJ/dt = 2.2804" in text_of(b, "#live")
    wire = b.find_element("css selector", f'[data-wire="{t}-q{t + 1}"]')
    js(b, "arguments[0].focus()", wire)
    keys(b, "\ue007")
    assert "Backward from u₁ to t" in text_of(b, "#live")


def test_hover_and_focus_show_local_upstream_downstream(shown: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    b = shown(scalar())
    wire = b.find_element("css selector", '[data-wire="1-q2"]')
    ActionChains(b).move_to_element(wire.find_element("css selector", "text.gradient")).perform()
    tip = b.find_element("id", "tip")
    assert tip.is_displayed()
    for part in ("0.540302", "0.644125", "0.348022", "local", "upstream", "downstream"):
        assert part in tip.text
    ActionChains(b).move_to_element(b.find_element("css selector", "footer")).perform()
    assert not tip.is_displayed()
    keys(b, ESCAPE, "\t")
    js(b, "document.querySelector('#scroller').scrollIntoView()")
    for _ in range(12):
        keys(b, "\t")
        if tip.is_displayed():
            break
    assert tip.is_displayed()


def test_touch_swipes_over_the_step(shown: Any) -> None:
    b = shown(scalar())
    js(b, "chainrule.go(3)")
    box = b.find_element("id", "step").rect
    top = js(b, "return document.getElementById('step').getBoundingClientRect().top")

    def touch(kind: str, x: float) -> None:
        points = [{"x": x, "y": top + 20}] if kind != "touchEnd" else []
        b.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", box["x"] + 200)
    touch("touchMove", box["x"] + 80)
    touch("touchEnd", 0)
    assert text_of(b, "#count").startswith("Step 5 ")


# Arrays and modules ---------------------------------------------------------------------------


def test_arrays_are_summarised_and_open(shown: Any) -> None:
    b = shown(matrix())
    details = b.find_element("css selector", "tr[data-f='0'] details.array")
    assert details.text == "2×2"
    details.find_element("tag name", "summary").click()
    cells = js(b, "return new Promise(r => setTimeout(() => r([...document.querySelectorAll("
                  "\"tr[data-f='0'] td td\")].map(c => c.textContent)), 100))")  # fmt: skip
    assert cells == ["0.1", "0.5", "−0.3", "0.8"]
    js(b, "chainrule.go(chainrule.data.steps.length - 1)")
    assert [t for t in text_of(b, "#grids").split() if "." in t][-4:]
    assert count(b, "#movers[hidden]") == 1


def test_large_arrays_open_at_their_corner(shown: Any) -> None:
    b = shown(network((64, 64), 30))
    js(b, "chainrule.go(0)")
    grid = b.find_element("css selector", "#grids details")
    assert "30×64" in grid.text
    assert not count(b, "#grids table")
    grid.find_element("tag name", "summary").click()
    time.sleep(0.1)
    assert count(b, "#grids tr") == 24
    assert "the first rows and columns" in text_of(b, "caption ~ *, #grids caption")


def test_modules_fold_and_open(shown: Any) -> None:
    e = network()
    b = shown(e)
    document = e.to_json()
    found = modules(document["nodes"])
    drawn = "return [...document.querySelectorAll('[data-block]')].map(x => x.dataset.block)"
    assert js(b, drawn) == [p.key for p in scene(document, found, set()).parts]
    assert count(b, ".frame") >= 1
    for k in range(len(found)):
        js(b, "chainrule.unfold(arguments[0], true)", k)
        assert js(b, drawn) == [p.key for p in scene(document, found, set(range(k + 1))).parts]
        assert f"{found[k].name} folded" in text_of(b, "#live")
    wires = js(b, "return [...document.querySelectorAll('.wire')].map(w => "
                  "[...w.querySelectorAll('text')].map(t => t.textContent))")  # fmt: skip
    seen = scene(document, found, set(range(len(found))))
    assert wires == [[f.text for f in (k.value, k.gradient) if f is not None] for k in seen.links]
    block = b.find_element("css selector", ".block.module")
    index = int(block.get_attribute("data-block")[1:])
    block.find_element("tag name", "text").click()
    assert f"{found[index].name} opened" in text_of(b, "#live")
    button = b.find_element("css selector", f'[data-fold="{index}"]')
    assert button.get_attribute("aria-expanded") == "true"
    button.click()
    assert button.get_attribute("aria-expanded") == "false"
    lit = js(b, "return chainrule.data.steps.map((_, i) => { chainrule.go(i);"
                "return document.querySelectorAll('.picture .hot, .picture .back').length"
                "})")  # fmt: skip
    assert min(lit) >= 1
    assert len(lit) == len(e.steps)


# Readers --------------------------------------------------------------------------------------


def test_light_and_dark(shown: Any) -> None:
    b = shown(scalar())
    color = "return getComputedStyle(document.body).backgroundColor"
    light = js(b, color)
    b.find_element("id", "theme").click()
    dark = js(b, color)
    assert light != dark
    b.find_element("id", "theme").click()
    assert js(b, color) == light
    medium(b, prefers_color_scheme="dark")
    b.refresh()
    assert js(b, color) == dark
    b.find_element("id", "theme").click()
    assert js(b, color) == light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("make", "pixels"), [(scalar, 390), (entropy, 390), (entropy, 1280)])
def test_it_fits_the_screen_and_can_be_read(
    browser: Any, shown: Any, make: Any, pixels: int, scheme: str
) -> None:
    medium(browser, prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    at_width(browser, pixels)
    try:
        b = shown(make())
        for step in (None, 4, 9):
            js(b, "chainrule.go(arguments[0])", step)
            assert seen_faults(b) == []
        assert overlapping(label_boxes(b)) == []
        lit = js(b, "const r = document.querySelector('.picture .back').getBoundingClientRect(); "
                    "return [r.left, r.right]")  # fmt: skip
        assert lit[0] >= 0
        assert lit[1] <= pixels
    finally:
        at_width(browser, 0)
        medium(browser)


def test_faults_of_a_page_are_seen(shown: Any) -> None:
    b = shown(scalar())
    assert seen_faults(b) == []
    js(b, "const $ = (s) => document.querySelector(s); $('.count').style.color = '#999';"
          "$('#scrub').removeAttribute('aria-label'); "
          "$('.card').style.width = '9999px'")  # fmt: skip
    found = " ".join(seen_faults(b))
    for fault in ("faint", "no name", "sticks out", "scrolls sideways"):
        assert fault in found


def test_a_screen_reader_finds_a_table_named_blocks_and_the_step(shown: Any) -> None:
    b = shown(scalar())
    tree = b.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = {(n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree if "role" in n}
    names = {name for _, name in found}
    assert any(role == "table" and "read upwards" in name for role, name in found)
    assert ("button", "Step forward") in found
    assert ("button", "Play") in found
    assert "u₁ = sin t = 0.841471, gradient 0.644125" in names
    assert any(name.startswith("Wire from t to u₁. Step 12 of 14. Backward") for name in names)
    assert any(role == "slider" and name == "Step" for role, name in found)
    assert any(role == "slider" and name == "x" for role, name in found)
    assert {"rowheader", "columnheader"} & {role for role, _ in found}
    assert b.find_element("id", "live").get_attribute("aria-live") == "polite"
    named = "(e.getAttribute('aria-label') || e.textContent).trim() || e.disabled"
    assert js(b, f"return [...document.querySelectorAll('button, input')].every(e => {named})")


def test_the_page_documents_its_keys(shown: Any) -> None:
    b = shown(scalar())
    words = text_of(b, "footer")
    for key in ("→", "←", "space", "Home", "End", "Esc", "Enter", "swipe"):
        assert key in words


def test_it_prints(shown: Any) -> None:
    b = shown(scalar())
    js(b, "chainrule.go(3)")
    pdf = b.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(pdf["data"]).startswith(b"%PDF")
    medium(b, "print", prefers_color_scheme="dark")
    for hidden in (".transport", "#movers", "#theme", "#step", ".keys"):
        assert not b.find_element("css selector", hidden).is_displayed()
    assert b.find_element("css selector", "#picture").is_displayed()
    assert luminance(js(b, "return getComputedStyle(document.body).color")) < 0.05


def test_without_script_there_is_the_picture_and_the_table(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page(scalar()), encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(file.as_uri())
        still = browser.find_element("css selector", "noscript svg")
        assert still.is_displayed()
        assert "0.8415" in still.text
        assert "4.5608" in browser.find_element("css selector", "table.passes").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
