"""The page of a network on one example: the lecture's picture beside the module table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.core.tree import flatten
from chainrule.explanation import explain
from chainrule.explanation.network.explaining import NetworkExplanation
from chainrule.explanation.network.modules import CONVENTIONS
from chainrule.explanation.picture.text import short
from tests.helpers import browsing
from tests.helpers.browsing import (
    at_width,
    complaints,
    count,
    js,
    keys,
    medium,
    requests,
    seen_faults,
    text_of,
)
from tests.helpers.explain_pages import HOSTILE

browser = browsing.browser  # fixture

X = np.array([0.5, -1.0, 0.3])
NAMES = [name for name in HOSTILE if name.isprintable()]


def network(
    sizes: tuple[int, ...] = (3, 4, 2, 2), convention: str = "inputs_outputs", **settings: Any
) -> NetworkExplanation:
    model = nn.MLP(sizes, activation=settings.pop("activation", "logistic"), **settings)
    leaves, tree = flatten(model.init(3)[0])
    rng = np.random.default_rng(1)
    params = tree.unflatten([leaf + 0.1 * rng.normal(size=leaf.shape) for leaf in leaves])
    x = np.resize(X, sizes[0])
    names = {"inputs": NAMES[: sizes[0]], "outputs": NAMES[-sizes[-1] :], "title": NAMES[3]}
    return explain.network(model, params, x, 1, convention=convention, **names)


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page of a network; at the end nothing was said and nothing asked for."""
    names = []

    def open_page(e: NetworkExplanation, pixels: int = 1280) -> Any:
        at_width(browser, pixels)
        file = tmp_path / f"network{len(names)}.html"
        names.append(file.as_uri())
        file.write_text(e.page(), encoding="utf-8")
        browser.get(file.as_uri())
        assert js(browser, "return document.documentElement.classList.contains('ready')")
        return browser

    medium(browser)
    requests(browser)
    complaints(browser)
    yield open_page
    at_width(browser, 0)
    medium(browser)
    assert complaints(browser) == []
    assert set(requests(browser)) <= set(names)


def test_every_neuron_and_weight_has_its_numbers_written_out(opened: Any) -> None:
    """δ and gradients that the page shows against ``grad``'s, and δ = g′(z) Σ δ w by NumPy."""
    e = network()
    b = opened(e)
    assert count(b, ".neuron") == 3 + 4 + 2 + 2
    assert count(b, ".weight") == 3 * 4 + 4 * 2 + 2 * 2
    units, weights = js(b, """
        const panel = document.getElementById('panel'), units = [], weights = [];
        const choose = (chosen) => { chainrule.view.choose(chosen); return panel.textContent; };
        chainrule.data.pass.layers.forEach((own, k) => {
          units.push(own.z.map((_, unit) => choose({layer: k + 1, unit})));
          weights.push(choose({layer: k + 1, unit: 1, from: 0}));
        });
        return [units, weights]""")  # fmt: skip
    layers = e.params["layers"]
    for k, (own, slopes) in enumerate(zip(e.neurons, e.gradient["layers"], strict=True)):
        for unit, said in enumerate(units[k]):
            assert f"= {short(own.z[unit], 4)}" in said
            assert f"= {short(own.delta[unit], 4)}" in said
            if k < 2:
                up = np.asarray(layers[k + 1]["weights"])[unit] @ e.neurons[k + 1].delta
                slope = own.a[unit] * (1 - own.a[unit])
                assert slope * up == pytest.approx(own.delta[unit], rel=1e-12)
                assert f"{short(own.slope[unit], 4)} · " in said
                assert "δ = g′(z) Σₖ δₖ wₖ" in said
            else:
                assert "δ = ŷ − y" in said
        gradient = np.asarray(slopes["weights"])
        assert "∂J/∂w = a · δ" in weights[k]
        assert f"= {short(gradient[0, 1], 4)}" in weights[k]
        assert f"adds {short(-0.1 * gradient[0, 1], 4)} to" in weights[k]


def test_both_passes_layer_by_layer_by_click_and_key(opened: Any) -> None:
    b = opened(network())
    js(b, "document.getElementById('first').click()")
    assert text_of(b, ".neuron[data-layer='1'] .z") == "z"
    steps = []
    for _ in range(7):
        keys(b, browsing.RIGHT)
        lit = js(b, "return [...document.querySelectorAll('.modules .now')].map("
                    "(r) => r.dataset.pass + r.dataset.layer)")  # fmt: skip
        steps.append((text_of(b, "#saying").split(":")[0].split(",")[0], sorted(set(lit))))
    forward, back = (
        [("Forward", [f"f{k}"]) for k in (1, 2, 3)],
        [("Backward", [f"b{k}"]) for k in (3, 2, 1)],
    )
    assert steps == [*forward, ("The loss", ["f0"]), *back]
    assert text_of(b, ".neuron[data-layer='1'] .d") != "δ"
    js(b, "document.querySelector('.weight').dispatchEvent(new MouseEvent('click', {bubbles: 1}))")
    assert "weight from" in text_of(b, "#panel h3")
    js(b, "document.querySelector('.neuron[tabindex=\"0\"]').focus()")
    for key, at in ((browsing.LEFT, "00"), (browsing.RIGHT, "10"), ("\ue015", "11")):
        keys(b, key)
        assert js(b, "const d = document.activeElement.dataset; return d.layer + d.unit") == at


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_one_notation_in_the_readers_convention(opened: Any, convention: str) -> None:
    """What a layer says is what its module has in text, in each layout (L0.3)."""
    e = network(convention=convention)
    b = opened(e)
    (linear,) = (m for m in e.modules if (m.kind, m.layer) == ("linear", 2))
    js(b, "chainrule.view.go(2)")
    said = text_of(b, "#saying")
    assert f"{linear.forward[0].name} = {linear.forward[0].formula}" in said
    js(b, "chainrule.view.go(6)")
    said = text_of(b, "#saying")
    assert f"{linear.backward[0].name} = {linear.backward[0].formula}" in said
    product = str(e.deltas[1].formula).split(" ⊙ ")[0]
    assert f"{e.deltas[1].name} = {product} ⊙ logistic′(z₂)" in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("pixels", [390, 1280])
def test_the_table_stands_beside_the_picture_or_below(
    browser: Any, opened: Any, pixels: int, scheme: str
) -> None:
    medium(browser, prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    b = opened(network((5, 8, 8, 3), activation="relu", residual=True), pixels)
    box = "(s) => document.querySelector(s).getBoundingClientRect()"
    sheet, table, up = js(b, f"return ['#sheet', '.modules', '.modules .up'].map({box})"
                             ".map((r) => [r.left, r.right, r.top, r.bottom])")  # fmt: skip
    assert up[1] <= pixels
    assert table[0] >= sheet[1] if pixels == 1280 else table[2] >= sheet[3]
    assert seen_faults(b) == []
    js(b, "chainrule.view.go(3)")  # the layer whose turn it is stands in the window
    box = js(b, "const r = document.querySelector('.neuron.hot').getBoundingClientRect(); "
                "return [r.left, r.right]")  # fmt: skip
    assert box[0] >= 0
    assert box[1] <= pixels


def test_wide_layers_are_summarised_and_open(opened: Any) -> None:
    b = opened(network((3, 64, 40, 2)))
    assert count(b, ".neuron") == 3 + 10 + 10 + 2
    assert "and 54 more" in text_of(b, ".neurons")
    js(b, "document.querySelector('#sheet button').click()")
    assert count(b, ".neuron") == 3 + 64 + 40 + 2
    assert js(b, "const s = document.getElementById('sheet'); "
                 "return s.scrollHeight > s.clientHeight && s.clientHeight <= 600")  # fmt: skip


def test_a_screen_reader_hears_neurons_steps_and_the_table(opened: Any) -> None:
    b = opened(network((3, 4, 2), activation="relu"))
    tree = b.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = {(n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree if "role" in n}
    assert any(r == "button" and n.startswith("hidden 1, relu, unit 1: z ") for r, n in found)
    assert ("button", "Step forward") in found
    assert any(r == "table" and n.startswith("Each module") for r, n in found)
    assert b.find_element("id", "saying").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize(
    "settings",
    [{"sizes": (3, 1)}, {"batch_norm": True}, {"layer_norm": True}, {"bias": False},
     {"sizes": (11, 2, 9)}],
)  # fmt: skip
def test_other_networks_and_hostile_names(opened: Any, settings: dict[str, Any]) -> None:
    b = opened(network(**settings))
    click = "new MouseEvent('click', {bubbles: true})"
    js(b, f"for (const n of document.querySelectorAll('.neuron')) n.dispatchEvent({click});"
          "for (let i = 0; i < 9; i++) chainrule.view.next()")  # fmt: skip
    assert js(b, "return window.pwned === undefined && location.protocol === 'file:'")
    assert count(b, "script") == 2
    assert count(b, "img, iframe, form, base, a, object, embed") == 0
    assert js(b, r"""return [...document.querySelectorAll('.neuron text')].filter((t) => {
      const card = t.parentNode.querySelector('rect').getBoundingClientRect();
      return t.getBoundingClientRect().right > card.right + 0.5
        || /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(t.textContent);
    }).map((t) => t.textContent)""") == []  # fmt: skip
