"""The page that trains: its executor against the interpreter, and the page in a browser."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.cli.main import main
from chainrule.cli.play import lesson as play_lesson
from chainrule.core.node import PRIMITIVES
from chainrule.core.tree import flatten_with_paths
from chainrule.explanation.picture.svg import asset
from chainrule.explanation.play.page import RATES, held
from chainrule.explanation.play.programs import DTYPES, listed, program
from chainrule.explanation.play.steps import OPTIMIZERS
from chainrule.run import compile, interpreter
from chainrule.tabular import Options, TabularModel, prepare, read_table
from chainrule.train.data import Batch
from chainrule.train.steps import Step
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
from tests.helpers.explain_random import array_function
from tests.helpers.native_graphs import graph_of
from tests.helpers.places import PENGUINS

browser = browsing.browser  # fixture

EXECUTOR = asset("lowering.js") + asset("graph.js")
RUN = """
  const plain = (v) => [...v].map((x) => Number.isFinite(x) ? x : Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf");
  return arguments[0].map(([graph, sizes, given]) => {
    try {
      const found = compile(graph, sizes)(Object.fromEntries(
        Object.entries(given).map(([k, v]) => [k, v.map(special)])));
      return Object.fromEntries(Object.entries(found).map(([k, v]) => [k, plain(v)]));
    } catch (error) { return String(error.message); }
  });
"""  # noqa: E501


def computed(browser: Any, cases: Iterable[tuple[Any, Any, Any]]) -> list[Any]:
    """What the executor makes of (program, sizes, inputs by path); a message where it refuses."""
    return js(browser, EXECUTOR + RUN, [list(case) for case in cases])


def plain(value: Any) -> list[Any]:
    return [x if np.isfinite(x) else str(x) for x in np.ravel(value).astype(float).tolist()]


def worst(found: Any, wanted: Any) -> float:
    """The largest difference relative to the largest entry; infinite where nan and inf differ."""
    a, b = np.array(found, float), np.ravel(wanted).astype(float)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not np.all(np.isfinite(a[~same]) & np.isfinite(b[~same])):
        return np.inf
    scale = max(np.max(np.abs(b[np.isfinite(b)]), initial=0.0), 1e-300)
    return float(np.max(np.abs(a - b)[~same], initial=0.0)) / scale


def test_operations_on_arrays_are_the_primitives(browser: Any) -> None:
    """Every sample in double precision of every operation that the executor has."""
    moves = js(browser, EXECUTOR + "return [...Object.keys(MOVES), ...SAME]")
    table = js(browser, EXECUTOR + "return Object.keys(TABLE)")
    loose = {"erf", "erfc", "ndtr"}
    cases, names, values = [], [], []
    for name in sorted({*moves, *table} - loose):
        for sample in PRIMITIVES[name].samples():
            if any(a.dtype.name not in DTYPES for a in sample.inputs):
                continue
            graph = graph_of(PRIMITIVES[name], sample)
            try:
                wanted = interpreter.compile(graph)(list(sample.inputs))[0]
                nodes = listed(graph)
            except cr.errors.ChainruleError:
                continue
            inputs = {str(i): graph.nodes.index(x) for i, x in enumerate(graph.inputs)}
            whole = {"inputs": inputs, "outputs": {"y": graph.nodes.index(graph.outputs[0])}}
            cases.append(
                (
                    whole | {"nodes": nodes},
                    {},
                    {str(i): plain(a) for i, a in enumerate(sample.inputs)},
                )
            )
            names.append((name, dict(sample.attrs)))
            values.append(wanted)
    assert {name for name, _ in names} >= set(moves)
    for found, name, value in zip(computed(browser, cases), names, values, strict=True):
        assert isinstance(found, dict), (name, found)
        assert worst(found["y"], value) <= 1e-14, (name, found["y"], value)


def test_random_functions_and_their_gradients(browser: Any) -> None:
    """Those whose operations the executor has: the others are refused by name."""
    cases, values = [], []
    for seed in range(60):
        f, args = array_function(seed)
        if args[0].dtype != np.float64:
            continue
        both = cr.value_and_grad(f, argnums=(0, 1, 2))
        try:
            made = program(lambda given, both=both: both(*given), lambda _, args=args: args)
        except cr.errors.GraphError:
            continue
        given = {path: plain(a) for path, a in flatten_with_paths(args)[0]}
        cases.append((made, {}, given))
        values.append(dict(flatten_with_paths(cr.jit(both, executor="numpy")(*args))[0]))
    done = 0
    for found, wanted in zip(computed(browser, cases), values, strict=True):
        if isinstance(found, str):
            assert "the page cannot compute" in found
            continue
        done += 1
        for path, value in wanted.items():
            assert worst(found[path], value) <= 1e-12
    assert done >= 20


# The page -------------------------------------------------------------------------------------

NAMES = [name for name in HOSTILE if name.isprintable() and len(name) < 100]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Penguins whose columns and species have hostile names."""
    with PENGUINS.open(newline="") as file:
        rows = list(csv.reader(file))
    species = {name: NAMES[-1 - k] for k, name in enumerate(sorted({row[0] for row in rows[1:]}))}
    path = tmp_path_factory.mktemp("play") / "penguins.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [NAMES[: len(rows[0])], *([species[row[0]], *row[1:]] for row in rows[1:])]
        )
    return path


@pytest.fixture(scope="module")
def lesson(browser: Any, table: Path) -> Iterator[Any]:
    """The page of that table, opened; at the end nothing was said and nothing asked for."""
    path = table.with_name("lesson.html")
    assert main(["play", str(table), "--target", NAMES[0], "--out", str(path)]) == 0
    text = path.read_text("utf-8")
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text)[0])
    assert len(text) - len(json.dumps(data["rows"])) < 1_000_000
    medium(browser)
    requests(browser)
    complaints(browser)
    at_width(browser, 1280)
    browser.get(path.as_uri())
    assert js(browser, "return document.documentElement.classList.contains('ready')")
    yield browser
    at_width(browser, 0)
    medium(browser)
    assert complaints(browser) == []
    assert {u for u in requests(browser) if not u.startswith(("data:", "blob:"))} == {path.as_uri()}


def settings(**given: Any) -> dict[str, Any]:
    return {"hidden": [8, 8], "residual": False, "activation": "relu", "loss": "cross-entropy",
            "optimizer": "sgd", "init": "auto", "rate": 0.1, "l1": 0, "l2": 0, "batch": 25,
            "epochs": 100, "gain": 1, "seed": 3, **given}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        (settings(), 1e-12),
        (settings(hidden=[], l1=0.001), 1e-12),
        (settings(hidden=[1, 5, 4], activation="leaky_relu", l2=0.01, loss="focal"), 1e-12),
        (settings(hidden=[6], activation="tanh", optimizer="nesterov", rate=0.02), 1e-12),
        (settings(residual=True, activation="tanh"), 1e-12),
        (settings(optimizer="adam", rate=0.01, l2=0.01), 1e-9),
        (settings(hidden=[4, 4], activation="logistic", optimizer="adam", rate=0.01), 1e-9),
        (settings(hidden=[7], activation="tanh", optimizer="rmsprop", rate=0.003), 1e-9),
    ],
    ids=lambda x: (
        f"{x['hidden']}-{x['activation']}-{x['optimizer']}" if isinstance(x, dict) else ""
    ),
)
def test_a_hundred_steps_are_the_interpreters(lesson: Any, given: Any, bound: float) -> None:
    """The same start and minibatches, by the library's own training step on the interpreter; the
    differences are those of rounding, which a division by roots of squares can enlarge."""
    start, batches, end, losses = js(lesson, """
        const m = chainrule.learner(arguments[0]), copy = () => Object.fromEntries(
          Object.entries(m.params).map(([k, v]) => [k, [...v]])), start = copy();
        const batches = [], losses = [], n = chainrule.data.rows.train.t.length;
        for (let k = 0; k < 100; k++) {
          const rows = Array.from({length: 25}, (_, i) => (k * 31 + i * 7) % n);
          batches.push(rows); losses.push(m.step(rows));
        }
        return [start, batches, copy(), losses];""", given)  # fmt: skip
    held = js(lesson, "const r = chainrule.data.rows.train; return [[...r.x], [...r.t]]")
    t = np.array(held[1], np.int64)
    x = np.array(held[0]).reshape(len(t), -1)
    sizes = (x.shape[1], *given["hidden"], 3)
    model = nn.MLP(sizes, activation=given["activation"], residual=given["residual"])
    params, state = model.init(0)
    for path, leaf in flatten_with_paths(params)[0]:
        leaf[...] = np.reshape(start[path], leaf.shape)
    loss = {"cross-entropy": nn.CategoricalCrossEntropy(), "focal": nn.Focal()}[given["loss"]]
    step = Step(model, loss, nn.Penalty(l1=given["l1"], l2=given["l2"]))
    rule: Any = optim.optimizer(
        given["optimizer"], learning_rate=given["rate"], **OPTIMIZERS[given["optimizer"]]
    )
    carry = (params, state, rule.init(params))
    run, key = None, None
    for k, rows in enumerate(batches):
        batch = Batch(x[rows], t[rows])
        if run is None:
            run = compile(step.whole(rule), carry, batch, key, np.int64(0), executor="numpy")
        value, carry = run(carry, batch, key, np.int64(k))
        assert losses[k] == pytest.approx(float(value), rel=1e-9)
    found = dict(flatten_with_paths(carry[0])[0])
    largest = max(float(np.max(np.abs(leaf))) for leaf in found.values())
    for path, leaf in found.items():
        assert np.max(np.abs(np.ravel(leaf) - end[path])) <= bound * largest, path


def test_it_trains_to_95_percent_and_predicts_what_it_showed(
    lesson: Any, table: Path, capsys: Any
) -> None:
    folder = table.with_name("saved")
    folder.mkdir()
    lesson.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    js(lesson, "document.getElementById('play').click()")
    end = time.monotonic() + 60
    while js(lesson, "return chainrule.model.epoch") < 40 and time.monotonic() < end:
        time.sleep(0.1)
    js(lesson, "document.getElementById('play').click()")
    shown = [float(v) for v in re.findall(r"([\d.]+) %", text_of(lesson, "#numbers"))]
    assert len(shown) == 2
    assert min(shown) >= 95
    js(lesson, "document.getElementById('export').click()")
    file = folder / "penguins-play.safetensors"
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    model = TabularModel.load(file)
    assert model.scores.of("accuracy", "train") == pytest.approx(shown[0] / 100, abs=5e-4)
    # The page's own predictions for all its rows are the model's for the rows of the file.
    there = js(lesson, """
        const p = Object.values(chainrule.data.rows).flatMap(({x, t}) => [...chainrule.model.run(
          x, t, new Float64Array(t.length), ["prediction"]).prediction]); return p""")  # fmt: skip
    here = model.predict(read_table(table)).probabilities
    assert here is not None
    order = [np.lexsort(np.round(np.reshape(p, (-1, 3)), 5).T) for p in (there, here)]
    np.testing.assert_allclose(
        np.reshape(there, (-1, 3))[order[0]], here[order[1]], atol=2e-5
    )  # the page's inputs have nine digits
    assert main(["predict", str(file), str(table)]) == 0
    said = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert {row[0] for row in said[1:]} <= set(NAMES[-3:])
    assert main(["inspect", str(file)]) == 0


def test_units_that_do_not_learn_are_named(lesson: Any) -> None:
    """Planted: dead, saturated and equal units, vanishing gradients, steps that are too long."""

    def said(**given: Any) -> list[str]:
        return js(lesson, "const m = chainrule.learner(arguments[0]);"
                  "for (const [k, v] of Object.entries(arguments[1])) m.params[k].fill(v);"
                  "return chainrule.health(m).said.map(([kind]) => kind)",
                  settings(**given), given.get("fill", {}))  # fmt: skip

    assert said() == []
    assert "dead" in said(fill={"layers/0/bias": -100})
    assert said(activation="tanh", gain=60)[0] == "saturated"
    assert "equal" in said(init="zeros", activation="tanh")
    assert "vanishing" in said(hidden=[8, 8, 8], activation="logistic", init="normal")
    long = settings(rate=1e30, activation="identity")
    assert js(lesson, "const m = chainrule.learner(arguments[0]); for (let k = 0; k < 99; k++) "
                      "if (!m.broken) m.advance(); return m.broken", long)  # fmt: skip


def test_one_example_is_walked_through_by_keys(lesson: Any) -> None:
    js(lesson, "document.activeElement.blur(); chainrule.view.go(null)")
    said = []
    for _ in range(8):
        keys(lesson, browsing.RIGHT)
        said.append(text_of(lesson, "#saying"))
    assert [s.split(":")[0].split(",")[0] for s in said] == [
        "The inputs of the example.", "Forward", "Forward", "Forward", "The loss", "Backward",
        "Backward", "Backward",
    ]  # fmt: skip
    assert "z₁ = x W₁ + b₁" in said[1]
    assert "δ₃ = ŷ − y" in said[5]
    assert "δ₂ = (δ₃ W₃ᵀ) ⊙ relu′(z₂), ∂J/∂W₂ = a₁ᵀ δ₂" in said[6]
    js(lesson, "document.querySelector('.neuron[tabindex=\"0\"]').focus()")
    keys(lesson, browsing.RIGHT)
    on = js(lesson, "const d = document.activeElement.dataset; return [d.layer, d.unit]")
    assert on == ["2", "0"]
    assert "δ = g′(z) Σₖ δₖ wₖ" in text_of(lesson, "#panel")
    jump = "const b = document.querySelectorAll('#panel tbody .jump')[2]; b.focus(); b.click()"
    js(lesson, jump)
    weight = text_of(lesson, "#panel")
    assert "∂J/∂w = a · δ" in weight
    assert "SGD: w − η ∂J/∂w" in weight
    js(lesson, "document.activeElement.blur()")
    keys(lesson, browsing.ESCAPE)
    assert text_of(lesson, "#saying") == "Both passes are shown."


def test_layers_that_add_their_inputs_are_written_out(lesson: Any) -> None:
    """Between hidden layers of one width; a model file has none, so none is saved."""
    js(lesson, "const r = document.getElementById('residual'); r.value = 'yes';"
               "r.dispatchEvent(new Event('change')); chainrule.view.go(2)")  # fmt: skip
    assert "h₂ = relu(z₂), a₂ = a₁ + h₂" in text_of(lesson, "#saying")
    js(lesson, "chainrule.view.go(null); chainrule.view.choose({layer: 1, unit: 0})")
    assert "δ = g′(z) (Σₖ δₖ wₖ + ∂J/∂a₂)" in text_of(lesson, "#panel")
    js(lesson, "document.getElementById('export').click()")
    assert "train without them to save" in text_of(lesson, "#news")
    js(lesson, "const h = document.getElementById('hidden'); h.value = '8, 7';"
               "h.dispatchEvent(new Event('change'))")  # fmt: skip
    assert "none does here" in text_of(lesson, "#news")
    js(lesson, "document.getElementById('hidden').value = '8, 8';"
               "const r = document.getElementById('residual'); r.value = 'no';"
               "r.dispatchEvent(new Event('change'))")  # fmt: skip


def test_what_is_written_out_is_what_was_computed(lesson: Any) -> None:
    """δ = g′(z) Σ δ w and ∂J/∂w = a δ by NumPy, from the numbers that the picture has."""
    found = js(lesson, """
        const m = chainrule.learner(arguments[0]), d = chainrule.data.inputs.length;
        const r = chainrule.data.rows.train, out = m.run(r.x.slice(0, d), [r.t[0]], [1], Object.keys(m.program.outputs));
        const all = Object.fromEntries([...Object.entries(out), ...Object.entries(m.params)].map(([k, v]) => [k, [...v]]));
        return [all, [...r.x.slice(0, d)]]""", settings(activation="tanh"))  # fmt: skip  # noqa: E501
    out, x = {k: np.array(v) for k, v in found[0].items()}, np.array(found[1])
    for layer in range(3):
        below = x if layer == 0 else out[f"layers/{layer - 1}/a"]
        delta = out[f"layers/{layer}/delta"]
        np.testing.assert_allclose(
            np.outer(below, delta).ravel(), out[f"gradients/layers/{layer}/weights"], rtol=1e-12
        )
        if layer < 2:
            w = out[f"layers/{layer + 1}/weights"].reshape(8, -1)
            up = w @ out[f"layers/{layer + 1}/delta"]
            np.testing.assert_allclose(up, out[f"layers/{layer}/up"], rtol=1e-11, atol=1e-16)
            slope = 1 - out[f"layers/{layer}/a"] ** 2
            np.testing.assert_allclose(slope * up, delta, rtol=1e-9, atol=1e-16)


def test_nothing_of_the_table_runs_or_is_markup(lesson: Any) -> None:
    assert js(lesson, "return window.pwned === undefined && location.protocol === 'file:'")
    assert count(lesson, "script") == 2
    assert count(lesson, "img, iframe, form, base, a, object, embed") == 0
    assert NAMES[1] in js(lesson, "return chainrule.data.inputs.join()")


@pytest.mark.parametrize("pixels", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_and_can_be_read(lesson: Any, pixels: int, scheme: str) -> None:
    at_width(lesson, pixels)
    medium(lesson, prefers_color_scheme=scheme)
    assert seen_faults(lesson) == []
    maps = "return document.querySelectorAll('.neurons image[href^=\"data:image/png\"]').length"
    assert js(lesson, maps) == 8 + 8
    if pixels == 1280:
        box = "(s) => document.querySelector(s).getBoundingClientRect()"
        code = f"return ['#sheet', '#panel'].map({box}).map((r) => [r.left, r.right])"
        boxes = js(lesson, code)
        assert boxes[0][1] <= boxes[1][0]
        assert boxes[1][1] <= pixels
    assert count(lesson, ".neuron[role=button][aria-label]") == 11 + 8 + 8 + 3


def test_rows_are_sampled_and_the_page_says_what_it_holds(table: Path, capsys: Any) -> None:
    plan = prepare(read_table(table), NAMES[0], Options(validation=0.0))
    few, whole = (play_lesson(plan, rows, "m.safetensors") for rows in (50, 2000))
    assert held(few) == "49 of the table's 344 rows (39 to train and 10 to test)"
    assert held(whole) == "all 344 rows (275 to train and 69 to test)"
    path = table.with_name("more.html")
    words = ["play", str(table), "--target", NAMES[0], "--out"]
    assert main([*words, str(path), "--hidden", "1,2,3,4"]) == 2
    assert "up to 3 hidden layers" in capsys.readouterr().err
    assert main([*words, str(path), "--activation", "gelu"]) == 2
    assert "the page has relu, leaky_relu" in capsys.readouterr().err
    assert main([*words, str(table)]) == 2
    assert set(RATES) == set(OPTIMIZERS)
