"""Pictures: places that never meet, well-formed SVG whatever the names, folding, PNG."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest

from chainrule.errors import UsageError
from chainrule.explanation.picture import png as picture_png
from chainrule.explanation.picture.layout import ROW_GAP, Block, Layout, Wire, layout
from chainrule.explanation.picture.modules import Module, fold_to_fit, modules
from chainrule.explanation.picture.scene import Figure, figure, scene
from chainrule.explanation.picture.svg import asset, placed, svg
from chainrule.explanation.picture.text import plain, runs, short
from tests.helpers.explain_blocks import GRAPHS, overlapping, random_blocks
from tests.helpers.explain_pages import HOSTILE, gates, hostile, matrix, network, scalar, tangle
from tests.helpers.explain_random import array_function, explained, scalar_function

SVG = "{http://www.w3.org/2000/svg}"


def boxes(where: Layout, blocks: list[Block], wires: list[Wire]) -> np.ndarray:
    """Left, top, right, bottom of every block and every label."""
    centers = [*where.centers, *(route.label for route in where.routes)]
    sizes = [(b.width, b.height) for b in blocks] + [(w.width, w.height) for w in wires]
    c, s = np.array(centers).reshape(-1, 2), np.array(sizes).reshape(-1, 2)
    return np.hstack([c - s / 2, c + s / 2])


def curve(points: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Points along a wire as it is drawn."""
    found = []
    s = np.linspace(0, 1, 24)
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        m = (x1 + x2) / 2
        x = (1 - s) ** 3 * x1 + 3 * (1 - s) ** 2 * s * m + 3 * (1 - s) * s**2 * m + s**3 * x2
        y = y1 + (y2 - y1) * (3 * s**2 - 2 * s**3)
        found.append(np.column_stack([x, y]))
    return np.concatenate(found)


@pytest.mark.parametrize("seed", range(40))
def test_blocks_and_labels_never_meet_and_no_wire_crosses_them(seed: int) -> None:
    blocks, wires = random_blocks(seed)
    where = layout(blocks, wires)
    box = boxes(where, blocks, wires)
    assert overlapping(box) == []
    assert (box[:, :2] > 0).all()
    assert (box[:, 2] < where.width).all()
    assert (box[:, 3] < where.height).all()
    for k, (wire, route) in enumerate(zip(wires, where.routes, strict=True)):
        points = curve(route.points)
        own = [wire.source, wire.target, len(blocks) + k]
        others = np.delete(box, own, axis=0)
        x, y = points.T[:, :, None]
        inside = (x > others[:, 0]) & (x < others[:, 2]) & (y > others[:, 1]) & (y < others[:, 3])
        assert not inside.any(), (seed, k)


def test_the_check_for_overlaps_can_fail() -> None:
    blocks, wires = random_blocks(3)
    box = boxes(layout(blocks, wires), blocks, wires)
    box[1] = box[0] + 1
    assert overlapping(box) == [(0, 1)]


def test_layout_is_the_same_every_time_and_wires_run_to_the_right() -> None:
    blocks, wires = random_blocks(5)
    assert layout(blocks, wires) == layout(blocks, wires)
    for wire, route in zip(wires, layout(blocks, wires).routes, strict=True):
        x = [p[0] for p in route.points]
        assert x == sorted(x), wire


def test_a_chain_is_straight_and_what_feeds_it_stands_beside_it() -> None:
    blocks = [Block(40, 40, 40)] * 7
    wires = [Wire(0, 2, 30, 30), Wire(1, 2, 30, 30), Wire(2, 4, 30, 30), Wire(3, 4, 30, 30),
             Wire(4, 6, 30, 30), Wire(5, 6, 30, 30)]  # fmt: skip
    y = [c[1] for c in layout(blocks, wires).centers]
    assert abs(y[2] - y[4]) < 1
    assert abs(y[4] - y[6]) < 1
    assert abs(y[3] - y[4]) >= 30
    assert abs(y[1] - y[0]) >= 40 + ROW_GAP - 1e-9


def test_nothing_and_one_block_have_a_layout() -> None:
    assert layout([], []).centers == ()
    assert len(layout([Block(10, 10, 10)], []).centers) == 1


@pytest.mark.parametrize("seed", range(20))
def test_any_set_of_modules_folds_without_cycles(seed: int) -> None:
    """Scopes that are left and entered again are split, so blocks stay in topological order."""
    rng = np.random.default_rng(seed)
    names = ["", "a", "a/b", "a/b/c", "a/d", "e", "e/f"]
    nodes = [
        {
            "id": i,
            "kind": "operation" if i > 1 else "input",
            "scope": names[rng.integers(len(names))] if i > 1 else "",
            "inputs": sorted({int(x) for x in rng.integers(0, i, 2)}) if i > 1 else [],
            "name": {"text": f"v{i}"},
            "operation": "add",
            "formula": {"text": "+"},
            "shape": [],
            "value": 0.0,
            "gradient": 1.0,
        }
        for i in range(30)
    ]
    document = {"nodes": nodes, "steps": [], "output": 29, "formula": None}
    found = modules(nodes)
    assert found
    for _ in range(10):
        folded = {k for k in range(len(found)) if rng.random() < 0.5}
        seen = scene(document, found, folded)
        assert all(link.source < link.target for link in seen.links)
        members = sorted(i for part in seen.parts for i in part.members)
        assert members == list(range(30))


def test_modules_nest_as_scopes_do() -> None:
    found = modules(network((3, 4)).to_json()["nodes"])
    assert {m.name for m in found} >= {"mlp", "loss", "mlp/0/linear", "mlp/1/linear"}
    for k, module in enumerate(found):
        assert module.parent < k
        if module.parent >= 0:
            assert set(module.members) < set(found[module.parent].members)


def test_beyond_the_limit_modules_fold() -> None:
    document = network((3,) * 12).to_json()
    found = modules(document["nodes"])
    for most in (5, 20, 40):
        seen = scene(document, found, fold_to_fit(found, len(document["nodes"]), most))
        operations = [p for p in seen.parts if p.kind not in ("input", "constant", "end")]
        assert len(seen.parts) <= most + 1 or all(p.kind == "module" for p in operations)
    plain_graph = tangle(300).to_json()
    found = modules(plain_graph["nodes"])
    assert found
    assert isinstance(found[0], Module)
    folded = fold_to_fit(found, len(plain_graph["nodes"]))
    assert folded
    assert len(scene(plain_graph, found, folded).parts) <= 201


def test_two_hundred_nodes_do_not_meet() -> None:
    document = tangle(196).to_json()
    assert 190 <= len(document["nodes"]) <= 200
    seen = scene(document, [], set())
    where = placed(seen)
    blocks = [Block(*part.room, part.gate_width) for part in seen.parts]
    wires = [Wire(link.source, link.target, *link.room) for link in seen.links]
    assert overlapping(boxes(where, blocks, wires)) == []


# SVG ------------------------------------------------------------------------------------------


def texts(picture: str) -> list[str]:
    root = ElementTree.fromstring(picture)
    return ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]


def test_the_picture_of_the_gates_shows_what_the_lecture_prints() -> None:
    """(x + y) z at (-2, 5, -4): values above, gradients below (L1.3)."""
    document = gates().to_json()
    shown = texts(svg(document))
    assert {"x", "y", "z", "q", "f", "+", "×"} <= set(shown)
    seen = scene(document, [], set())
    wires = {
        (plain(seen.parts[k.source].label), k.value.text, k.gradient.text)
        for k in seen.links
        if k.value is not None and k.gradient is not None
    }
    assert wires == {("x", "−2", "−4"), ("y", "5", "−4"), ("z", "−4", "3"), ("+", "3", "−4"),
                     ("×", "−12", "1")}  # fmt: skip


def test_a_branch_shows_its_parts_and_their_sum() -> None:
    shown = texts(svg(scalar().to_json()))
    assert {"0.348", "1.932", "Σ 2.28", "4.561", "−0.7649", "sin", "cos", "3t", "x²"} <= set(shown)


def test_arrays_show_their_shape_and_entries() -> None:
    picture = svg(matrix().to_json())
    assert "2×2" in texts(picture)
    assert "[0.2, 0.4]" in texts(picture)
    assert picture.count('class="plus"') + picture.count('class="minus"') == 8


@pytest.mark.parametrize("kind", [scalar_function, array_function])
def test_svg_is_well_formed_for_random_graphs(kind: object) -> None:
    for seed in range(GRAPHS // 2):
        document = explained(kind, seed)[2].to_json()  # type: ignore[arg-type]
        root = ElementTree.fromstring(svg(document))
        assert root.tag == f"{SVG}svg"
        assert float(root.attrib["width"]) > 0


def test_hostile_names_stay_text() -> None:
    picture = svg(hostile().to_json())
    root = ElementTree.fromstring(picture.encode("utf-8"))
    allowed = ["svg", "title", "desc", "style", "rect", "g", "path", "text", "tspan", "circle"]
    assert {e.tag for e in root.iter()} <= {SVG + tag for tag in allowed}
    for element in root.iter():
        assert not any(name.startswith("on") or "href" in name for name in element.attrib)
    assert any("<script>" in text for text in texts(picture))
    style = root.find(f"{SVG}style")
    assert style is not None
    assert "pwned" not in (style.text or "")


def test_the_picture_can_be_heard() -> None:
    root = ElementTree.fromstring(svg(scalar().to_json()))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
    assert title.text == "J = cos(sin x² + 3x²)"
    assert "u₁ = sin t = 0.8415, gradient 0.6441." in (description.text or "")


def test_pictures_are_deterministic_and_follow_the_theme() -> None:
    document = scalar().to_json()
    assert svg(document) == svg(scalar().to_json())
    assert "prefers-color-scheme" in svg(document)
    assert "#12161d" in svg(document, theme="dark")
    assert "prefers-color-scheme" not in svg(document, theme="light")
    with pytest.raises(UsageError, match="auto, light or dark"):
        svg(document, theme="sepia")  # type: ignore[arg-type]


def test_two_pictures_in_one_page_do_not_share_ids() -> None:
    first, second = svg(scalar().to_json()), svg(gates().to_json())
    ids = [set(re.findall(r' id="([^"]+)"', picture)) for picture in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_assets_are_in_the_package() -> None:
    for name in ("layout.js", "draw.js", "lowering.js", "page.js", "page.css", "picture.css"):
        assert len(asset(name)) > 500


# Text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.841470985, "0.8415"), (-1234567.0, "−1.235e6"), (123456.0, "123500"),
        (0.03125, "0.03125"),
        (1e-5, "1e−5"), (0.00012346, "0.0001235"), (0.0, "0"), (-0.0, "0"), ("inf", "∞"),
        ("-inf", "−∞"), ("nan", "NaN"), (True, "true"), (7, "7"), (99999.9, "100000"),
    ],
)  # fmt: skip
def test_numbers_are_short(value: object, shown: str) -> None:
    assert short(value) == shown


def test_letters_are_italic_and_words_upright() -> None:
    assert runs("cos u") == [["cos ", "n"], ["u", "i"]]
    assert runs("u₁") == [["u", "i"], ["₁", "n"]]
    assert runs("x²") == [["x", "i"], ["²", "n"]]
    assert len(plain(runs(HOSTILE[-4]))) <= 28


@pytest.mark.parametrize(
    "shape", [(), (1,), (3,), (2, 3), (9, 13), (2, 2, 2), (0,), (0, 3), (1, 1)]
)
def test_every_shape_has_a_figure(shape: tuple[int, ...]) -> None:
    value = np.arange(float(np.prod(shape))).reshape(shape)
    drawn = figure(value.tolist(), shape)
    assert isinstance(drawn, Figure)
    assert drawn.text
    assert drawn.width > 0
    assert figure(None, shape) is None


def test_figures_take_what_is_not_finite() -> None:
    drawn = figure([["inf", 1.0], ["nan", -2.0]], (2, 2))
    assert drawn is not None
    assert drawn.cells == ((1.0, 0.5), (0.0, -1.0))


# PNG ------------------------------------------------------------------------------------------


def test_png() -> None:
    if picture_png.browser() is None:
        if os.environ.get("CI"):
            pytest.fail("no browser, and CI requires one")
        pytest.skip("no browser is installed: PNG is not drawn")
    data = picture_png.png(gates().to_json(), scale=1.0)
    assert data.startswith(b"\x89PNG")
    wide, high = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))
    assert 300 < wide < 500
    assert 150 < high < 300


def test_png_without_a_browser_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(picture_png, "BROWSERS", ("chromium",))
    assert shutil.which("chromium") is None
    with pytest.raises(UsageError, match="install Chromium, Chrome or Edge"):
        picture_png.png(gates().to_json())


def test_png_that_is_too_large_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_png, "browser", lambda: "chromium")
    with pytest.raises(UsageError, match="lower the scale"):
        picture_png.png(gates().to_json(), scale=1000.0)
