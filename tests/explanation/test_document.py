"""The JSON document: closed, versioned, and its checker seen to fail; LaTeX in strict KaTeX."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.core.node import PRIMITIVES
from chainrule.errors import DataError
from chainrule.explanation import explain
from chainrule.explanation.formula.expressions import call_of, named
from chainrule.explanation.render.schema import check_document
from tests.helpers.explain_blocks import GRAPHS
from tests.helpers.explain_examples import EXAMPLES
from tests.helpers.explain_random import array_function, explained, scalar_function


def document() -> dict[str, Any]:
    return json.loads(explain(lambda x, y: np.sin(x) * y + x)(1.0, 2.0).json())


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


FAULTS = {
    "an unknown key": put("extra", value=1),
    "another version": put("version", value=2),
    "another format": put("format", value="chainrule"),
    "a number that is not finite": put("nodes", 0, "value", value=float("nan")),
    "a value of text": put("nodes", 0, "value", value="one"),
    "an unknown kind": put("steps", 3, "kind", value="sideways"),
    "a node out of order": put("nodes", 1, "id", value=5),
    "an input that comes later": put("nodes", 1, "inputs", value=[4]),
    "an edge to nowhere": put("steps", -1, "node", value=99),
    "a slot that is not there": put("nodes", 0, "slot", value=999),
    "a formula without MathML": put("name", value={"text": "f", "latex": "f"}),
    "a step out of order": put("steps", 2, "index", value=7),
    "a cycle in the program": put("program", "slots", -1, "inputs", value=[10**6]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_document_is_refused(fault: str) -> None:
    good = document()
    check_document(good)
    bad = copy.deepcopy(good)
    FAULTS[fault](bad)
    with pytest.raises(DataError):
        check_document(bad)


@pytest.mark.parametrize("key", list(document()))
def test_a_missing_key_is_refused(key: str) -> None:
    bad = document()
    del bad[key]
    with pytest.raises(DataError, match="lacks"):
        check_document(bad)


def test_numbers_round_trip_and_non_finite_ones_are_strings() -> None:
    e = explain(lambda x, y: np.log(x) * y + np.exp(y) / 3)(0.0, 0.1)
    found = json.loads(e.json())
    check_document(found)
    by_name = {node["name"]["text"]: node for node in found["nodes"]}
    assert by_name["y"]["gradient"] == "-inf"
    assert found["nodes"][1]["value"] == 0.1
    for node, data in zip(e.nodes, found["nodes"], strict=True):
        value = float(data["value"])
        assert value == float(node.value) or np.isnan(node.value)


def test_large_arrays_are_summed_up() -> None:
    found = explain(lambda x: np.sum(x**2))(np.arange(20_000.0)).to_json()
    check_document(found)
    assert found["nodes"][0]["value"]["shape"] == [20_000]
    assert found["nodes"][0]["value"]["max"] == 19_999.0
    assert len(json.dumps(found)) < 20_000


# LaTeX ------------------------------------------------------------------------------------------

KATEX = os.environ.get("CHAINRULE_KATEX", "")
SCRIPT = """
const katex = require(process.argv[1]);
const items = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const bad = [];
for (const item of items) {
  try { katex.renderToString(item, {strict: 'error', throwOnError: true, trust: false}); }
  catch (error) { bad.push(item + ' :: ' + error); }
}
console.log(JSON.stringify(bad));
"""


def spelled(data: Any) -> Any:
    if isinstance(data, dict):
        if "latex" in data:
            yield data["latex"]
        for value in data.values():
            yield from spelled(value)
    elif isinstance(data, list):
        for value in data:
            yield from spelled(value)


def all_formulas() -> set[str]:
    found: set[str] = set()
    examples = [explain(x.function)(*x.point) for x in EXAMPLES.values()]
    for make in (scalar_function, array_function):
        examples += [explained(make, seed)[2] for seed in range(GRAPHS // 2)]
    for e in examples:
        found |= set(spelled(e.to_json())) | {e._repr_latex_().strip("$")}
    for convention in ("inputs_outputs", "outputs_inputs", "torch", "bias_row"):
        for activation in ("relu", "gelu", "elu", "mish", "tanh", "leaky_relu"):
            model = nn.MLP((2, 3, 1), activation=activation)
            e = explain.network(model, model.init(1)[0], [0.5, -1.0], 1, convention=convention)
            found |= set(spelled(e.to_json()))
    return found


def every_primitive() -> set[str]:
    found = set()
    for name, primitive in PRIMITIVES.items():
        for sample in list(primitive.samples())[:2]:
            args = tuple(named(f"a{i}", "abcdefgh"[i % 8]) for i in range(len(sample.inputs)))
            e = call_of(name, args, tuple(sample.attrs.items()), (2,))
            assert e.text()
            assert e.mathml()
            found.add(e.latex())
    return found


def test_every_primitive_has_notation() -> None:
    assert len(every_primitive()) > 100


@pytest.mark.skipif(not KATEX, reason="set CHAINRULE_KATEX to a folder with node_modules/katex")
def test_all_formulas_parse_in_strict_katex() -> None:
    node = shutil.which("node")
    assert node is not None, "node is needed with CHAINRULE_KATEX"
    hostile = {named(k, k, i, "hat").latex() for k in ("$x$", "a}b{", "\\x", "日本", "%", "_")
               for i in ("", "1", k)}  # fmt: skip
    items = sorted(all_formulas() | every_primitive() | hostile)
    path = os.path.join(os.path.abspath(KATEX), "node_modules", "katex")
    done = subprocess.run(
        [node, "-e", SCRIPT, path], input=json.dumps(items), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("text", ["x + y", "max(x, x) - y", "floor(x)*y", "2*x + 3", "x*y/4"])
def test_no_rendering_says_a_number_twice(text: str) -> None:
    """A local derivative or a result that is a number is no formula: 1 = 1 says nothing."""
    e = explain.expression(text, **{n: 2.0 for n in "xy" if n in text})
    for form in ("text", "markdown", "latex", "html", "mathml", "_repr_latex_"):
        shown = re.sub(r"</t[dr]>|</mt[dr]>|<br>", " ; ", getattr(e, form)())
        plain = re.sub(r"<[^>]*>|[$&]", "", shown).replace("−", "-")
        plain = re.sub(r"(×|\\times\\,) *[-\d.]+", "×", plain)  # 1 × 1 = 1 is a product
        assert not re.search(r"(?<![\w.)])(-?[\d.]+)\s*=\s*\1(?![\w.])", plain), (form, plain)
