"""The lectures' tables come out as printed there: golden files, and every number re-derived.

``CHAINRULE_GOLDEN=write`` writes the files anew; read them before they are kept.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.explanation import Explanation, explain
from tests.helpers.explain_examples import EXAMPLES
from tests.helpers.places import GOLDEN

FORMATS = {"text": "txt", "markdown": "md", "latex": "tex", "dot": "dot"}
NUMBER = re.compile(r"(?<![\w₀-₉√^])−?\d+(?:\.\d+)?(?:e−?\d+)?(?![\w₀-₉²³])")


def explained(name: str) -> Explanation:
    function, point, _ = EXAMPLES[name]
    return explain(function)(*point)


def compare(path: Path, found: str) -> None:
    if os.environ.get("CHAINRULE_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, "utf-8")
    assert found == path.read_text("utf-8"), f"{path.name} came out differently"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_golden_file(name: str, form: str) -> None:
    found = getattr(explained(name), form)()
    # How closely two right numbers agree is rounding, and may differ between machines.
    found = re.sub(r"agrees to \d+e-\d+|equal(?=\)|$)", "agrees", found)
    compare(GOLDEN / f"{name}.{FORMATS[form]}", found if found.endswith("\n") else found + "\n")


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_quantity_has_the_numbers_worked_out_by_hand(name: str) -> None:
    e = explained(name)
    derived = EXAMPLES[name].derived()
    seen = set()
    for node in e.nodes:
        if node.name.key not in derived:
            continue
        value, gradient = derived[node.name.key]
        seen.add(node.name.key)
        np.testing.assert_allclose(node.value, value, rtol=1e-14, err_msg=node.name.key)
        np.testing.assert_allclose(
            node.gradient, gradient, rtol=1e-13, atol=1e-15, err_msg=node.name.key
        )
    assert seen == set(derived), "a quantity of the lecture is missing or has another name"


@pytest.mark.parametrize("name", ["l1_3_product", "l1_3_neuron", "l4_2_quiz", "l4_3_J"])
def test_every_number_in_the_text_is_one_that_follows_from_the_lecture(name: str) -> None:
    """Not only those of the quantities: local derivatives and products over each edge, too."""
    e = explained(name)
    allowed = {0.0, 1.0}
    for value, gradient in EXAMPLES[name].derived().values():
        allowed |= {float(value), float(gradient)}
    for step in e.steps:
        if step.kind == "backward":
            assert step.local_value is not None
            assert step.upstream is not None
            assert _one_of(float(step.upstream), allowed)
            allowed |= {float(step.local_value), float(step.local_value * step.upstream)}
    text = e.text().split("counting")[0]
    text = re.sub(r"agrees to \d+e-\d+", "", text)
    for formula in [node.formula for node in e.nodes] + [s.local for s in e.steps if s.local]:
        if any(c.isdigit() for c in formula.text()) and not _is_number(formula.text()):
            text = text.replace(f" {formula} ", " ")
    for shown in re.findall(r"(?<=[=×] )−?\d+(?:\.\d+)?(?:e−?\d+)?(?=\s|$|,)", text):
        number = float(shown.replace("−", "-"))
        assert _one_of(number, allowed, 1e-9), f"{shown} follows from nothing"


def _one_of(x: float, allowed: set[float], rtol: float = 1e-12) -> bool:
    return any(np.isclose(x, a, rtol=rtol, atol=1e-15) for a in allowed)


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None


def test_J_has_the_names_and_formulas_of_the_slide() -> None:
    e = explained("l4_3_J")
    shown = {str(node.name): str(node.formula) for node in e.nodes[1:]}
    assert shown == {"t": "x²", "u₁": "sin t", "u₂": "3t", "u": "u₁ + u₂", "J": "cos u"}
    local = {(str(s.name), e.nodes[s.via].name.text()): str(s.local) for s in e.steps if s.local}  # type: ignore[index]
    assert local == {
        ("dJ/du", "J"): "−sin u",
        ("dJ/du₁", "u"): "1",
        ("dJ/du₂", "u"): "1",
        ("dJ/dt", "u₁"): "cos t",
        ("dJ/dt", "u₂"): "3",
        ("dJ/dx", "t"): "2x",
    }
    (total,) = [s for s in e.steps if s.kind == "sum"]
    assert total.why == "t feeds two branches: their gradients add"
    assert [e.steps[i].node for i in total.terms] == [total.node, total.node]
    assert str(e.results[0].formula) == "−sin(sin x² + 3x²) · (2x cos x² + 6x)"
    assert e.results[0].check.method == "complex step"
    assert e.results[0].check.error < 1e-14


def test_gradients_of_the_squared_norm_are_those_of_the_slide() -> None:
    """∇_W f = 2 q xᵀ and ∇_x f = 2 Wᵀ q (L1.3)."""
    e = explained("l1_3_squared_norm")
    shown = {str(s.name): str(s.formula) for s in e.steps if s.kind == "backward"}
    assert shown["∂f/∂W"] == "(∂f/∂q) xᵀ"
    assert shown["∂f/∂x"] == "Wᵀ (∂f/∂q)"
    assert shown["∂f/∂q"] == "2q ⊙ ∂f/∂r"


def test_the_gates_say_what_they_do() -> None:
    """L1.4: the sum distributes, the product switches, the maximum routes."""

    def f(x: Any, y: Any, z: Any) -> Any:
        return np.maximum(x + y, y * z)

    why = {s.why for s in explain(f)(1.0, 2.0, 3.0).steps}
    assert "A sum distributes its gradient unchanged to both branches." in why
    assert "A product switches: each factor's gradient is scaled by the other factor." in why
    assert "The maximum routes the gradient to the larger input; a tie shares it." in why


def test_more_digits_are_never_shown_than_are_right() -> None:
    e = explain(EXAMPLES["l4_3_J"].function, precision=17)(1.0)
    assert "4.56079179067878" in e.text()  # 15 digits; the 16th and 17th would be noise
    assert "4.560791790678778" not in e.text()
    low = explain(EXAMPLES["l4_3_J"].function, precision=17)(np.float32(1.0))
    table = low.text().split("check")[0]  # the check itself is computed in float64
    assert max(len(s.strip("−0.").replace(".", "")) for s in NUMBER.findall(table)) <= 7
