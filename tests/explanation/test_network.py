"""One example through a network: the module table of L4.4 against ``grad`` and by hand."""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.core.tree import flatten
from chainrule.errors import UsageError
from chainrule.explanation import explain
from chainrule.explanation.network.explaining import NetworkExplanation
from chainrule.explanation.network.modules import CONVENTIONS
from chainrule.explanation.render.schema import check_document
from tests.helpers.places import GOLDEN

X = np.array([0.5, -1.0, 0.3])


def network(**settings: Any) -> tuple[nn.MLP, Any, Any]:
    model = nn.MLP(**{"sizes": (3, 4, 2, 1), "activation": "logistic", **settings})
    params, state = model.init(3)
    rng = np.random.default_rng(1)
    leaves, tree = flatten(params)
    return (
        model,
        tree.unflatten([leaf + 0.1 * rng.normal(size=leaf.shape) for leaf in leaves]),
        state,
    )


def line(e: NetworkExplanation, kind: str, layer: int, part: str, k: int = 0) -> Any:
    (module,) = [m for m in e.modules if (m.kind, m.layer) == (kind, layer)]
    return getattr(module, part)[k]


def test_the_modules_of_the_slide_in_its_order() -> None:
    model, params, _ = network(sizes=(3, 4, 1))
    e = explain.network(model, params, X, 1)
    assert [m.kind for m in e.modules] == [
        "loss", "output activation", "linear", "hidden activation", "linear",
    ]  # fmt: skip
    shown = [[str(x.formula) for x in (*m.forward, *m.backward)] for m in e.modules]
    assert shown == [
        ["−(y log ŷ + (1 − y) · log(1 − ŷ))", "−y/ŷ + (1 − y)/(1 − ŷ)"],
        ["σ(z₂)", "∂J/∂ŷ ⊙ ŷ ⊙ (1 − ŷ)", "ŷ − y"],
        ["a₁ W₂ + b₂", "a₁ᵀ δ₂", "δ₂", "δ₂ W₂ᵀ"],
        ["σ(z₁)", "∂J/∂a₁ ⊙ a₁ ⊙ (1 − a₁)"],
        ["x W₁ + b₁", "xᵀ δ₁", "δ₁", "δ₁ W₁ᵀ"],
    ]
    assert [str(x.formula) for x in e.deltas] == ["ŷ − y", "(δ₂ W₂ᵀ) ⊙ a₁ ⊙ (1 − a₁)"]


def test_a_layer_that_adds_its_inputs() -> None:
    """Residual layers (He et al. 2016): h = g(z), a = inputs + h, and two ways back."""
    model, params, state = network(sizes=(3, 4, 4, 2), residual=True)
    e = explain.network(model, params, X, 1, state=state)
    (skip,) = (m for m in e.modules if m.kind == "residual")
    shown = [str(x.formula) for x in (*skip.forward, *skip.backward)]
    assert (skip.layer, shown) == (2, ["a₁ + h₂", "∂J/∂a₂"])
    assert str(line(e, "hidden activation", 2, "backward").formula) == "∂J/∂h₂ ⊙ h₂ ⊙ (1 − h₂)"
    assert str(line(e, "linear", 2, "backward", 2).formula) == "δ₂ W₂ᵀ + ∂J/∂a₂"
    assert str(e.deltas[2].formula) == "(δ₂ W₂ᵀ + ∂J/∂a₂) ⊙ a₁ ⊙ (1 − a₁)"
    assert e.error < 1e-15
    first, second, _ = e.neurons
    np.testing.assert_allclose(second.a, first.a + second.h)
    W = np.asarray(params["layers"][1]["weights"])
    np.testing.assert_allclose(first.up, W @ second.delta + second.up, rtol=1e-12)
    loss = nn.CategoricalCrossEntropy()

    def J(x: Any) -> Any:
        return np.sum(loss(model(params, state, x[None])[0], np.array([1])))

    np.testing.assert_allclose(e.input_gradient, cr.grad(J)(X), rtol=1e-12)
    for form in ("text", "markdown", "latex", "html", "json"):
        assert getattr(e, form)()


OTHERS = [
    (nn.Poisson(), 2.0, "exp(z₃) − yz₃", "exp(z₃) − y", "exp(z₃)"),
    (nn.Huber(), 0.5, None, None, "z₃"),
    (nn.Focal(), 1.0, None, None, "σ(z₃)"),
    (nn.Hinge(), 1.0, None, None, "z₃"),
]


@pytest.mark.parametrize(("loss", "target", "value", "slope", "unit"), OTHERS)
def test_other_losses_are_written_out(
    loss: Any, target: float, value: str | None, slope: str | None, unit: str
) -> None:
    model, params, _ = network()
    e = explain.network(model, params, X, target, loss=loss)
    top, output = e.modules[:2]
    assert str(output.forward[0].formula) == unit
    assert "loss(" not in str(top.forward[0].formula)
    assert value is None or str(top.forward[0].formula) == value
    assert slope is None or str(top.backward[0].formula) == slope
    assert e.error < 1e-15


def test_every_number_of_a_small_network_by_hand() -> None:
    """Two inputs, two hidden units, one output, with ``math`` alone (L2.2, L4.4)."""
    W1, b1, W2, b2 = [[0.1, 0.4], [-0.3, 0.2]], [0.05, -0.1], [1.2, -0.9], 0.3
    x, t = [1.0, 2.0], 1.0
    model = nn.MLP((2, 2, 1), activation="logistic")
    params = {
        "layers": (
            {"weights": np.array(W1), "bias": np.array(b1)},
            {"weights": np.array(W2)[:, None], "bias": np.array([b2])},
        )
    }
    e = explain.network(model, params, x, t)
    two = range(2)
    a1 = [sum(x[i] * W1[i][j] for i in two) + b1[j] for j in two]
    h = [1 / (1 + math.exp(-v)) for v in a1]
    a2 = sum(h[i] * W2[i] for i in two) + b2
    y = 1 / (1 + math.exp(-a2))
    delta2 = y - t
    dh = [delta2 * w for w in W2]
    delta1 = [dh[j] * h[j] * (1 - h[j]) for j in two]
    wanted = {
        ("loss", 0, "forward", 0): -math.log(y),
        ("loss", 0, "backward", 0): -t / y,
        ("output activation", 2, "forward", 0): y,
        ("output activation", 2, "backward", 0): delta2,
        ("linear", 2, "forward", 0): a2,
        ("linear", 2, "backward", 0): [[delta2 * v] for v in h],
        ("linear", 2, "backward", 1): delta2,
        ("linear", 2, "backward", 2): [dh],
        ("hidden activation", 1, "forward", 0): [h],
        ("hidden activation", 1, "backward", 0): [delta1],
        ("linear", 1, "forward", 0): [a1],
        ("linear", 1, "backward", 0): [[x[i] * delta1[j] for j in two] for i in two],
        ("linear", 1, "backward", 1): [delta1],
        ("linear", 1, "backward", 2): [[sum(delta1[j] * W1[i][j] for j in two) for i in two]],
    }
    for (kind, layer, part, k), value in wanted.items():
        found = line(e, kind, layer, part, k).value
        np.testing.assert_allclose(np.squeeze(found), np.squeeze(value), rtol=1e-13)
    np.testing.assert_allclose(e.deltas[1].value, [delta1], rtol=1e-13)
    assert e.loss == pytest.approx(-math.log(y), rel=1e-14)


@pytest.mark.parametrize(
    "activation", ["relu", "tanh", "gelu", "elu", "selu", "mish", "leaky_relu"]
)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_tables_agree_with_grad_and_with_the_formulas_shown(
    activation: str, convention: str
) -> None:
    model, params, _ = network(activation=activation)
    e = explain.network(model, params, X, 1, convention=convention)
    columns = CONVENTIONS[convention].columns

    def loss(params: Any) -> Any:
        return np.sum(
            nn.BinaryCrossEntropy()(model(params, model.init(0)[1], X[None])[0], np.ones((1, 1)))
        )

    wanted = cr.grad(loss)(params)
    for a, b in zip(flatten(e.gradient)[0], flatten(wanted)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    exported = nn.export_weights(wanted, convention=convention)
    names = [k for k in exported if k.endswith(("weights", "weight", "theta"))]
    for layer, name in enumerate(names, start=1):
        np.testing.assert_allclose(
            line(e, "linear", layer, "backward").value, exported[name], rtol=1e-12
        )
    assert e.error < 1e-13
    hidden = line(e, "linear", 1, "forward").value
    assert hidden.shape == ((4, 1) if columns else (1, 4))


LOSSES = [
    (nn.SquaredError(), [0.3, -0.2]),
    (nn.CategoricalCrossEntropy(), 1),
    (nn.CategoricalCrossEntropy(), [0.25, 0.75]),
    (nn.BinaryCrossEntropy(), [1.0, 0.0]),
    (nn.AbsoluteError(), [0.3, -0.2]),
    (nn.Huber(0.5), [0.3, 3.0]),
    (nn.Poisson(), [1.0, 2.0]),
    (nn.Hinge(), 1),
]


@pytest.mark.parametrize(("loss", "target"), LOSSES, ids=lambda x: getattr(x, "name", "target"))
@pytest.mark.parametrize("norm", [{}, {"batch_norm": True}, {"layer_norm": True}])
def test_all_losses_and_normalisations(loss: Any, target: Any, norm: dict[str, bool]) -> None:
    model, params, state = network(sizes=(3, 4, 2), activation="tanh", **norm)
    e = explain.network(model, params, X, target, loss=loss, state=state)
    assert e.error < 1e-12
    direction = np.array([0.6, -0.5, 0.8])  # the slope by the inputs, by differences along it
    moved = [
        explain.network(model, params, X + h * direction, target, loss=loss, state=state).loss
        for h in (1e-6, -1e-6)
    ]
    assert (moved[0] - moved[1]) / 2e-6 == pytest.approx(direction @ e.input_gradient, abs=1e-6)
    check_document(json.loads(e.json()))
    for text in (e.text(), e.markdown(), e.latex(), e.html()):
        assert text


def test_delta_is_prediction_minus_target_for_matched_losses() -> None:
    for loss, target in LOSSES[:4]:
        model, params, _ = network(sizes=(3, 2))
        e = explain.network(model, params, X, target, loss=loss)
        np.testing.assert_allclose(e.deltas[0].value[0], e.prediction - e.target, atol=1e-15)


def test_single_layer_names_have_no_index() -> None:
    model, params, _ = network(sizes=(3, 1))
    e = explain.network(model, params, X, 0)
    assert [str(x.name) for x in e.deltas] == ["δ"]


def test_the_graph_carries_the_scopes_of_the_layers() -> None:
    model, params, _ = network()
    graph = explain.network(model, params, X, 1).graph
    scopes = {node.scope for node in graph.nodes}
    assert {"mlp/0/linear", "mlp/0/logistic", "mlp/1/linear", "mlp/2/linear"} <= scopes
    assert {"W₀", "b₀", "W₁", "b₁", "W₂", "b₂"} <= {str(node.name) for node in graph.nodes}
    assert all(result.check.agrees for result in graph.results)


def test_wrong_use_is_named() -> None:
    model, params, _ = network()
    with pytest.raises(UsageError, match="no target"):
        explain.network(model, params, X, None)
    with pytest.raises(UsageError, match="choose one of inputs_outputs"):
        explain.network(model, params, X, 1, convention="keras")


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("name", "sizes"), [("l4_4", (2, 2, 1)), ("l4_6", (2, 2, 2, 3))])
def test_golden_tables(name: str, sizes: tuple[int, ...], convention: str) -> None:
    """The one- and two-hidden-layer networks; the numbers are re-derived by the tests above."""
    model = nn.MLP(sizes, activation="logistic")
    pattern = [0.1, 0.4, -0.3, 0.2, 1.2, -0.9, 0.5]
    leaves, tree = flatten(model.init(0)[0])
    params = tree.unflatten(
        [np.resize(pattern[i % 3 :], leaf.shape) for i, leaf in enumerate(leaves)]
    )
    e = explain.network(model, params, [1.0, 2.0], 1, convention=convention, precision=6)
    assert e.error < 1e-14
    found = re.sub(r"the whole loss .*", "the whole loss", e.text()) + "\n"
    path = GOLDEN / f"network_{name}_{convention}.txt"
    if os.environ.get("CHAINRULE_GOLDEN") == "write":
        path.write_text(found, "utf-8")
    assert found == path.read_text("utf-8")


@pytest.mark.parametrize("score", [40.0, 300.0, -40.0])
@pytest.mark.parametrize("target", [0, 1])
def test_a_saturated_output_has_a_finite_slope(score: float, target: int) -> None:
    """dJ/dy of a unit that rounds to 1, against mpmath."""
    import mpmath

    model = nn.MLP((1, 1))
    params = {"layers": ({"weights": np.array([[score]]), "bias": np.zeros(1)},)}
    e = explain.network(model, params, [1.0], target, loss=nn.losses.BinaryCrossEntropy())
    found = float(np.ravel(e.modules[0].backward[0].value)[0])
    with mpmath.workdps(400):
        y = 1 / (1 + mpmath.exp(-mpmath.mpf(score)))
        wanted = float(-1 / y if target else 1 / (1 - y))
    assert found == pytest.approx(wanted, rel=1e-12)
