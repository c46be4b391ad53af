"""Gates as in the lectures: softmax, losses, norms and means stand as one operation and open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import explain, nn
from chainrule.errors import UsageError
from chainrule.explanation import Explanation
from chainrule.explanation.formula.expressions import evaluate
from chainrule.explanation.formula.parsing import parse
from chainrule.explanation.picture.scene import scene
from chainrule.explanation.render.schema import check_document

W, X = [[0.4, -1.2], [0.7, 0.3]], [0.5, -1.0]


def backward(e: Explanation, node: str) -> list[Any]:
    return [s for s in e.steps if s.kind == "backward" and str(e.nodes[s.node].name) == node]


def test_the_loss_alone_is_shown_beside_its_gate() -> None:
    """dJ/dŷ as L2.2 prints it, and by hand; it has the wire of ŷ, and δ that of the score."""
    e = explain.expression("-y*log(σ(z)) - (1 - y)*log(1 - σ(z))", z=0.3, y=1.0)
    (step,) = backward(e, "ŷ")
    assert str(step.local) == "(1 − y)/(1 − ŷ) − y/ŷ"
    p = 1 / (1 + np.exp(-0.3))
    assert float(step.value) == pytest.approx(-1 / p)
    y, a = np.array([0.0, 0.25, 0.75]), np.array([1.0, 2.0, 3.0])
    e = explain.expression("2*-sum(y*log(softmax(a)))", a=a, y=y)
    (step,) = backward(e, "ŷ")
    assert str(step.local) == "−y/ŷ"
    np.testing.assert_allclose(step.value, -2 * y / (np.exp(a) / np.exp(a).sum()))
    document = e.to_json()
    check_document(document)
    wires = {link.quantity: link.gradient for link in scene(document, [], set()).links}
    assert all(wires[q.id] is not None for q in e.nodes)


GATES = [
    ("-sum(y*log(softmax(a)))", {"a": [1.0, 2.0, 3.0], "y": [0.0, 0.0, 1.0]}, "a", "ŷ − y"),
    ("-sum(y*log(softmax(a)))", {"a": [1.0, 2.0], "y": [1.0, 3.0]}, "a", "ŷ · Σ y − y"),
    ("-y*log(σ(z)) - (1 - y)*log(1 - σ(z))", {"z": 0.3, "y": 1.0}, "z", "ŷ − y"),
    ("norm(W @ x)**2", {"W": W, "x": X}, "q", "2q"),
    ("norm(x)", {"x": X}, "x", "x/J"),
    ("mean(x)", {"x": [1.0, 2.0, 4.0, 5.0]}, "x", "0.25"),
    ("sum(softmax(x)**2)", {"x": X}, "x", "t ⊙ (dJ/dt − Σ (t ⊙ dJ/dt))"),
    ("logsumexp(x)", {"x": X}, "x", "softmax(x)"),
    ("var(x)", {"x": [1.0, 2.0, 4.0]}, "x", "(2(x − mean(x)))/3"),
    ("std(x)", {"x": [1.0, 2.0, 4.0]}, "x", "(x − mean(x))/(J · 3)"),
    ("trace(W)", {"W": W}, "W", "I"),
    ("max(x, y)", {"x": 1.0, "y": 2.0}, "y", "[y > x]"),
    ("min(x, y)", {"x": 1.0, "y": 2.0}, "y", "[x > y]"),
    ("max(x, y)", {"x": 2.0, "y": 2.0}, "y", "0.5"),
    ("max(x)", {"x": [1.0, 3.0, 2.0]}, "x", "[x == J] · dJ/dJ"),
]


@pytest.mark.parametrize(("text", "values", "by", "rule"), GATES, ids=[g[0] for g in GATES])
def test_the_rule_of_a_gate(text: str, values: Any, by: str, rule: str) -> None:
    e = explain.expression(text, **values)
    (step,) = backward(e, by)
    assert str(step.local if step.local is not None else step.formula) == rule
    assert all(result.check.agrees for result in e.results)
    check_document(e.to_json())


RESULTS = [
    ("norm(W @ x)**2", {"∂f/∂W": "2 q xᵀ", "∂f/∂x": "2 Wᵀ q"}),
    ("-sum(y*log(softmax(W @ x + b)))",
     {"∂f/∂W": "(ŷ − y) xᵀ", "∂f/∂x": "Wᵀ (ŷ − y)", "∂f/∂b": "ŷ − y"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), RESULTS)
def test_gradients_are_written_as_the_lecture_does(text: str, wanted: dict[str, str]) -> None:
    values = {"W": W, "x": X, "b": [0.1, 0.2], "y": [0.0, 1.0]}
    used = {k: v for k, v in values.items() if k in text.replace("softmax", "")}
    e = explain.expression(text, **used)
    found = {str(r.name): r for r in e.results}
    known = {q.name.key: q.value for q in e.nodes}  # type: ignore[attr-defined]
    for name, formula in wanted.items():
        assert str(found[name].formula) == formula
        np.testing.assert_allclose(evaluate(found[name].formula, known), found[name].value)


@pytest.mark.parametrize("seed", range(3))
def test_a_gate_opens_into_steps_with_the_same_gradient(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.dirichlet(np.ones(3))
    text = "p = softmax(W @ x); mean(p**2) + norm(x) - sum(y*log(softmax(x)))"
    values = {"W": rng.normal(size=(2, 3)), "x": rng.normal(size=3), "y": y}
    closed = explain.expression(text, **values)
    opened = explain.expression(text, opened=True, **values)
    assert not opened.openings
    assert len(closed.openings) == 5
    assert len(opened.nodes) > len(closed.nodes) + 10
    for a, b in zip(closed.gradient, opened.gradient, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)
    assert closed.counts == opened.counts
    for i in closed.openings:
        inner = closed.inside(i)
        assert all(result.check.agrees for result in inner.results)
        via = {str(closed.nodes[s.node].name): s for s in closed.steps if s.via == i}
        for result in inner.results:
            step = via.get(str(inner.nodes[result.node].name))
            if step is not None:
                arriving = 1.0 if np.ndim(step.upstream) else step.upstream
                np.testing.assert_allclose(arriving * result.value, step.value, 1e-9, 1e-12)
    with pytest.raises(UsageError, match="nothing is inside"):
        closed.inside(0)
    assert closed.html().count("<details>") >= 5
    assert "Inside the gates" in closed.page()


def test_what_is_used_inside_elsewhere_too_or_has_a_name_stays_open() -> None:
    e = explain.expression("z = x*x; sum(z) + sum(z**3)", x=[1.0, 2.0])
    assert not e.openings
    e = explain.expression("y = σ(a); -t*log(y) - (1 - t)*log(1 - y)", a=0.2, t=1.0)
    assert not e.openings


def test_a_saturated_gate_opens_where_its_numbers_are_not_finite() -> None:
    with np.errstate(all="ignore"):
        e = explain.expression("-sum(y*log(softmax(a)))", a=[1000.0, 0.0], y=[0.0, 1.0])
    assert not any(q.operation == "softmax with cross-entropy" for q in e.nodes)


ARRAY = {"X": [[1.0, 2.0], [3.0, 4.0]], "W": [[1.0, -1.0], [2.0, -2.0]], "b": [1.0, 0.0]}


def test_an_array_draws_its_graph_and_forward_pass() -> None:
    e = explain.expression("H = relu(X W + b)", **ARRAY)
    assert e.results == ()
    assert e.gradient is None
    assert {s.kind for s in e.steps} == {"input", "forward"}
    np.testing.assert_array_equal(e.value, [[6.0, 0.0], [12.0, 0.0]])
    assert "--entry 0,0" in e.text()
    assert "relu(X W + b)" in e.text()
    check_document(e.to_json())
    for form in ("markdown", "latex", "mathml", "html", "page", "svg", "dot"):
        assert getattr(e, form)()


def test_one_entry_or_a_cotangent_of_an_array() -> None:
    given = [[1.0, 0.5], [0.0, 2.0]]
    e = explain.expression("H = relu(X W + b)", cotangent=given, **ARRAY)
    X_, W_ = np.array(ARRAY["X"]), np.array(ARRAY["W"])
    inner = np.array(given) * (X_ @ W_ + ARRAY["b"] > 0)
    np.testing.assert_allclose(e.gradient[0], inner @ W_.T)
    np.testing.assert_allclose(e.gradient[1], X_.T @ inner)
    one = explain.expression("H = relu(X W + b)", entry=(1, 0), **ARRAY)
    np.testing.assert_allclose(one.gradient[1], [[3.0, 0.0], [4.0, 0.0]])
    assert all(r.check.agrees for r in (*e.results, *one.results))
    for wrong, why in (({"entry": (2, 0)}, "there is none"), ({"entry": (0,)}, "there is none"),
                       ({"cotangent": [1.0]}, "the cotangent has shape"),
                       ({"entry": (0, 0), "cotangent": given}, "not both")):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            explain.expression("H = relu(X W + b)", **wrong, **ARRAY)


def test_functions_of_python_have_gates_too() -> None:
    from chainrule import nn

    def loss(W: Any, x: Any) -> Any:
        scores = W @ x
        return -np.sum(np.array([0.0, 1.0]) * np.log(nn.softmax(scores))) + np.mean(x**2)

    e = explain(loss)(np.array(W), np.array(X))
    assert {"softmax with cross-entropy", "mean"} <= {q.operation for q in e.nodes}
    assert str(e.results[0].formula).endswith("xᵀ")


Z = np.array([[0.2, -1.0], [1.0, 2.0], [0.3, 0.1]])
T = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
REDUCTIONS = [
    (lambda x: np.mean(x, axis=0), "mean", "/dt)/3"),
    (lambda x: np.mean(x, 1), "mean", "0.5"),
    (lambda x: np.var(x, axis=1), "var", "X − "),
    (lambda x: np.std(x, axis=0), "std", "/dt"),
    (lambda x: np.std(x, axis=0, ddof=1, keepdims=True), "std", "/dt"),
    (lambda x: np.linalg.norm(x, axis=1), "norm", "/dt"),
    (lambda x: np.max(x, axis=1), "reduce_max", "[X == t]"),
]


@pytest.mark.parametrize(("f", "gate", "rule"), REDUCTIONS)
def test_reductions_along_an_axis_are_gates(f: Any, gate: str, rule: str) -> None:
    def total(X: Any) -> Any:
        return np.sum(f(X) ** 2 if gate == "mean" else f(X))

    e = explain(total)(Z)
    (node,) = (q for q in e.nodes if q.operation == gate)
    assert "over axis" in str(node.formula)
    assert all(r.check.agrees for r in e.results)
    if gate != "reduce_max":
        assert all(r.check.agrees for r in e.inside(node.id).results)
    for shown in (str(node.formula), node.formula.latex(), f"<math>{node.formula.mathml()}</math>"):
        if "ddof" not in shown and gate != "norm":
            np.testing.assert_allclose(parse(shown, {"X": Z})(Z), node.value)
    (step,) = backward(e, "X")
    assert rule in str(step.formula) or rule in str(step.local)


LOSSES = [
    (nn.SquaredError(), T, "squared error", "z − c"),
    (nn.AbsoluteError(), T, "absolute error", "sign(z − c)"),
    (nn.Huber(0.5), T, "huber", "where"),
    (nn.BinaryCrossEntropy(), T, "binary cross-entropy", "σ(z) − c"),
    (nn.CategoricalCrossEntropy(), T, "cross-entropy", "softmax(z) − c"),
    (nn.CategoricalCrossEntropy(), np.array([0, 1, 1]), "cross-entropy", "softmax(z) − c"),
    (nn.Quantile(0.9), T, "quantile", "where(z > c, 0.1, −0.9)"),
    (nn.Poisson(), T, "poisson", "exp(z) − c"),
    (nn.Gamma(), T + 0.5, "gamma", "c/exp(z)"),
    (nn.Tweedie(1.5), T, "tweedie", "exp(z) − c"),
    (nn.Focal(), np.array([0, 1, 1]), "focal", "softmax(z) − c"),
    (nn.Focal(1.5), T, "focal", "σ(z) − c"),
    (nn.Hinge(), np.array([0, 1, 1]), "hinge", "(over axis 1))] − c"),
    (nn.Hinge(), T, "hinge", "(over axis 1))] − c"),
]


@pytest.mark.parametrize(("loss", "targets", "gate", "rule"), LOSSES)
def test_losses_of_nn_are_gates_that_open(loss: Any, targets: Any, gate: str, rule: str) -> None:
    def total(z: Any) -> Any:
        return np.mean(loss(z, targets))

    e = explain(total)(1.1 * Z)  # no ties
    (node,) = (q for q in e.nodes if q.operation == gate)
    (step,) = backward(e, "z")
    assert rule in str(step.formula)
    inner = e.inside(node.id)
    assert all(r.check.agrees for r in (*e.results, *inner.results))
    assert len(inner.nodes) > 3
