"""The page's numbers and places: sliders and layout against Python's, names that attack."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.explanation import explain
from chainrule.explanation.page.page import page
from chainrule.explanation.picture.layout import layout
from chainrule.explanation.picture.text import short
from tests.helpers import browsing
from tests.helpers.browsing import (
    complaints,
    count,
    js,
    label_boxes,
    requests,
    text_of,
)
from tests.helpers.explain_blocks import GRAPHS, overlapping, random_blocks
from tests.helpers.explain_pages import HOSTILE, hostile, matrix, network, scalar, tangle
from tests.helpers.explain_random import array_function, explained, scalar_function

browser, shown = browsing.browser, browsing.shown  # fixtures

NOT_SCALAR = frozenset(
    {"select", "cast", "contract", "broadcast", "reshape", "transpose", "reduce_sum",
     "reduce_max", "reduce_min", "reduce_prod"}
)  # fmt: skip
"""Operations of the table that need static arguments; the programs of graphs test them."""

# Moving the inputs ----------------------------------------------------------------------------


def test_a_slider_recomputes_everything(shown: Any) -> None:
    b = shown(scalar())
    js(b, "chainrule.go(null); const s = document.getElementById('s0'); s.value = 0.5;"
          "s.dispatchEvent(new Event('input'))")  # fmt: skip
    value, slope = cr.value_and_grad(lambda x: np.cos(np.sin(x**2) + 3 * x**2))(0.5)
    head = text_of(b, "header")
    assert short(value, 10) in head
    assert short(slope, 10) in head
    wires = js(b, "return [...document.querySelectorAll('.wire text')].map(t => t.textContent)")
    assert short(value, 4) in wires
    assert short(slope, 4) in wires
    assert short(slope, 5) in text_of(b, "table.passes")
    js(b, "const n = document.querySelector('.slider input[type=number]'); n.value = '-2.25';"
          "n.dispatchEvent(new Event('input'))")  # fmt: skip
    slope = cr.grad(lambda x: np.cos(np.sin(x**2) + 3 * x**2))(-2.25)
    assert short(slope, 10) in text_of(b, "header")
    assert overlapping(label_boxes(b)) == []
    b.find_element("id", "reset").click()
    assert "4.560791791" in text_of(b, "header")


def test_inputs_that_cannot_move_have_no_sliders(shown: Any) -> None:
    def branching(x: Any) -> Any:
        return x**2 if x > 0 else -x

    special = explain(lambda x: cr.ops.special.gammaln(x) * 2)(2.0)
    single = explain(lambda x: np.sin(x))(np.float32(1.0))
    for e in (explain(branching)(1.0), special, single, matrix()):
        assert count(shown(e), "#movers[hidden]") == 1


@pytest.mark.parametrize("kind", [scalar_function, array_function])
def test_random_graphs_have_pages_that_play_without_complaint(shown: Any, kind: Any) -> None:
    for seed in range(GRAPHS // 4):
        _, _, e = explained(kind, seed)
        if seed % (GRAPHS // 16):
            page(e)
            continue
        b = shown(e)
        js(b, "for (let i = 0; i < chainrule.data.steps.length; i++) chainrule.go(i);"
              "const s = document.querySelector('.slider input'); if (s) { s.value = 0.3;"
              "s.dispatchEvent(new Event('input')) }")  # fmt: skip


def relative(a: Any, b: Any, scale: float) -> float:
    a, b = float(a), float(b)
    if a == b or (np.isnan(a) and np.isnan(b)):
        return 0.0
    return abs(a - b) / max(abs(b), scale)


def test_the_page_computes_what_the_interpreter_does(shown: Any) -> None:
    """Four points of ten functions (25 in full form): values and gradients to 1e-12, relative to
    the larger of the number and of the terms that it is the sum of (cancellation keeps no relative
    digits)."""
    rng, points, worst = np.random.default_rng(7), 0, 0.0
    b = None
    for seed in range(60 if GRAPHS > 80 else 22):
        f, args, e = explained(scalar_function, seed)
        if e.program is None or e.program.branches or any(n.value.dtype != float for n in e.nodes):
            continue
        document = e.to_json()
        b = b or shown(scalar())
        for _ in range(4):
            at = rng.uniform(-1.5, 1.5, len(args))
            given = [[n.id, v] for n, v in zip(e.nodes, at, strict=False)]
            given += [[n.id, float(n.value)] for n in e.nodes if n.kind == "constant"]
            total, slots = js(b, "const [p, given] = arguments; return [chainrule.isTotal(p), "
                                 "chainrule.evaluate(p, new Map(given)).map(v => "
                                 "Number.isFinite(v) ? Number(v) : String(v))]",
                              document["program"], given)  # fmt: skip
            assert total, document["program"]
            again = explain(f)(*map(float, at))
            assert len(again.steps) == len(e.steps)
            new = again.to_json()
            sizes = [abs(x) for s in new["steps"] for x in (s["value"], s["upstream"])
                     if isinstance(x, (int, float))]  # fmt: skip
            for step, old in zip(new["steps"], document["steps"], strict=True):
                for key, slot in (old["slots"] or {}).items():
                    if slot is not None:
                        found = str(slots[slot]).replace("Infinity", "inf")
                        error = relative(found, step[key], 1e-3 * max(sizes))
                        worst = max(worst, error)
                        assert error < 1e-12, (seed, at, step["index"], key, found, step[key])
            points += 1
    assert points >= (100 if GRAPHS > 80 else 40)
    assert worst < 1e-12


def test_every_operation_of_the_table_is_the_primitive(shown: Any) -> None:
    from chainrule.core.node import PRIMITIVES

    b = shown(scalar())
    names = js(b, "return Object.keys(chainrule.TABLE)")
    assert set(names) <= set(PRIMITIVES)
    assert len(names) > 60
    points = [0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 0.3, 7.0, -3.0, 1e-8, 30.0]
    loose = {"erf", "erfc", "ndtr"}
    for name in names:
        primitive = PRIMITIVES[name]
        sample = primitive.samples()
        arity = len(sample[0].inputs) if sample else 1
        attrs = {"power_constant": {"exponent": 3}, "root": {"degree": 2}}.get(name, {})
        if name in NOT_SCALAR:
            continue
        logic = any(a.dtype.kind == "b" for s in sample for a in s.inputs)
        grid = [True, False] if logic else points
        rows = [list(r) for r in np.array(np.meshgrid(*[grid] * arity)).T.reshape(-1, arity)]
        rows = [[v.item() for v in r] for r in rows]
        found = js(b, "const [name, rows, attrs] = arguments; return rows.map(r => { "
                      "const v = Number(chainrule.TABLE[name](...r, attrs)); "
                      "return Number.isFinite(v) ? v : Number.isNaN(v) ? 'nan' : v > 0 ? 'inf' "
                      ": '-inf' })", name, rows, attrs)  # fmt: skip
        for row, y in zip(rows, found, strict=True):
            with np.errstate(all="ignore"):
                wanted = float(primitive.forward(*(np.asarray(v) for v in row), **attrs))
            bound = 1e-12 if name in loose else 4e-15
            assert relative(y, wanted, 1e-300) <= bound, (name, row, y, wanted)


# One layout, one way to write numbers ----------------------------------------------------------


def test_both_layouts_give_the_same_coordinates(shown: Any) -> None:
    b = shown(scalar())
    for seed in range(30):
        blocks, wires = random_blocks(seed)
        there = js(b, "return chainrule.layout(arguments[0], arguments[1])",
                   [{"width": x.width, "height": x.height, "touch": x.touch} for x in blocks],
                   [{"source": w.source, "target": w.target, "width": w.width, "height": w.height}
                    for w in wires])  # fmt: skip
        here = layout(blocks, wires)
        assert (there["width"], there["height"]) == pytest.approx((here.width, here.height))
        np.testing.assert_allclose(there["centers"], here.centers, rtol=0, atol=1e-9)
        for mine, its in zip(here.routes, there["routes"], strict=True):
            np.testing.assert_allclose(its["points"], mine.points, rtol=0, atol=1e-9)
            np.testing.assert_allclose(its["label"], mine.label, rtol=0, atol=1e-9)


def test_both_write_numbers_alike(shown: Any) -> None:
    b = shown(scalar())
    rng = np.random.default_rng(0)
    values = [0.0, -0.0, 0.03125, 999999.5, 99995.0, 1e-5, 9.9999e-5, 123456789.0, 1e21, 5e-324]
    values += (rng.normal(size=400) * 10.0 ** rng.integers(-12, 12, 400)).tolist()
    for digits in (3, 4, 6, 10):
        there = js(b, "const [vs, d] = arguments; return vs.map(v => chainrule.short(v, d))",
                   values, digits)  # fmt: skip
        assert there == [short(v, digits) for v in values]


@pytest.mark.parametrize("make", [scalar, matrix, network, lambda: tangle(199), hostile])
def test_nothing_overlaps_as_the_browser_draws_it(shown: Any, make: Any) -> None:
    b = shown(make())
    box = label_boxes(b)
    assert len(box) > 10
    assert overlapping(box) == []


def test_a_picture_alone_does_not_overlap_either(browser: Any, tmp_path: Path) -> None:
    from chainrule.explanation.picture.svg import svg

    for make in (scalar, network, lambda: tangle(199)):
        text = svg(make().to_json()).replace('class="circuit', 'class="circuit picture')
        file = tmp_path / "picture.svg"
        file.write_text(text, encoding="utf-8")
        browser.get(file.as_uri())
        assert overlapping(label_boxes(browser)) == []


# Hostile names --------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, len(HOSTILE), 3))
def test_no_hostile_name_runs(shown: Any, first: int) -> None:
    """As inputs, scopes and, the first of each three, as the output's name."""
    e = hostile(HOSTILE[first : first + 3])
    b = shown(e)
    plain = count(b, "script")
    js(b, "for (const x of document.querySelectorAll('[data-block], [data-wire], .jump, .fold')) {"
          "x.dispatchEvent(new PointerEvent('pointerenter', {pointerType: 'mouse'}));"
          "x.dispatchEvent(new MouseEvent('click', {bubbles: true})); }")  # fmt: skip
    for i in range(0, len(e.steps), 10):
        js(b, "const n = Math.min(arguments[0] + 10, chainrule.data.steps.length);"
              "for (let i = arguments[0]; i < n; i += 3) chainrule.go(i)", i)  # fmt: skip
    assert js(b, "return window.pwned === undefined && location.protocol === 'file:'")
    assert count(b, "script") == plain == 2
    assert count(b, "img, iframe, form, base, a, object, embed, mglyph") == 0


def test_the_policy_stops_code_that_gets_in(browser: Any, tmp_path: Path) -> None:
    """The last line of defence is seen to hold: markup put in by hand does not run."""
    bad = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
    text = page(scalar()).replace("</main>", bad + "</main>")
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    browser.get(file.as_uri())
    time.sleep(0.2)
    assert js(browser, "return window.pwned === undefined")
    assert any("Content Security Policy" in line for line in complaints(browser))
    requests(browser)
