"""Names as in the lectures, formulas as in textbooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DerivativeError, DtypeError, UsageError
from chainrule.explanation import explain
from chainrule.explanation.steps.names import spell
from chainrule.ops import special, stable


def names(f: Any, *args: Any, **settings: Any) -> list[str]:
    return [str(node.name) for node in explain(f, **settings)(*args).nodes]


def J(x: Any) -> Any:
    return np.cos(np.sin(x**2) + 3 * x**2)


def test_the_rule_gives_the_lectures_names() -> None:
    assert names(J, 1.0) == ["x", "t", "u₁", "u₂", "u", "J"]

    def f(x: Any, y: Any, z: Any) -> Any:
        return (x + y) * z

    assert names(f, -2.0, 5.0, -4.0) == ["x", "y", "z", "q", "f"]
    assert names(J, 1.0, names="v") == ["x", "v₁", "v₂", "v₃", "v₄", "J"]


def test_the_authors_own_names_come_first() -> None:
    def loss(x: Any) -> Any:
        z1 = np.sin(x)
        y_hat = z1 * 2
        return y_hat**2

    assert names(loss, 1.0) == ["x", "z₁", "ŷ", "loss"]
    assert names(loss, 1.0, name="E")[-1] == "E"


def test_letters_of_inputs_are_not_used_again() -> None:
    def f(t: Any, u: Any) -> Any:
        return np.sin(t) * np.cos(u) + np.exp(t * u)

    found = names(f, 1.0, 2.0)
    assert len(set(found)) == len(found)
    assert found[:2] == ["t", "u"]


def test_more_quantities_than_letters() -> None:
    def f(x: Any, y: Any) -> Any:
        for k in range(30):  # not so many equal turns that they are shown as a loop
            x = (np.sin(x) if k % 3 else np.cos(x)) * y
        return x

    found = names(f, 1.0, 2.0)
    assert len(set(found)) == len(found) == 62
    assert "v₂₀" in found


def test_trees_are_named_by_their_last_word_and_numbers() -> None:
    params = {"layers": ({"weights": np.ones((2, 2)), "bias": np.ones(2)},)}

    def f(params: Any) -> Any:
        layer = params["layers"][0]
        return np.sum(layer["weights"] @ layer["bias"])

    assert names(f, params)[:2] == ["b₀", "W₀"]
    assert names(lambda p: p["a"]["w"] * p["b"]["w"], {"a": {"w": 1.0}, "b": {"w": 2.0}})[:2] == [
        "p/a/w",
        "p/b/w",
    ]


@pytest.mark.parametrize(
    ("key", "text", "latex"),
    [
        ("u1", "u₁", "u_{1}"),
        ("w_0", "w₀", "w_{0}"),
        ("alpha", "α", r"\alpha"),
        ("theta_12", "θ₁₂", r"\theta_{12}"),
        ("y_hat", "ŷ", r"\hat{y}"),
        ("yhat", "ŷ", r"\hat{y}"),
        ("y_star", "y*", "y^{*}"),
        ("x_i", "xᵢ", "x_{i}"),
        ("loss", "loss", r"\mathit{loss}"),
        ("my_loss", "my_loss", r"\text{my\_loss}"),
        ("δ2", "δ₂", r"\delta_{2}"),
    ],
)
def test_spelling(key: str, text: str, latex: str) -> None:
    assert spell(key).text() == text
    assert spell(key).latex() == latex


DERIVATIVES = [
    (lambda x: x**3, "3x²"),
    (lambda x: 3 * x**2, "6x"),
    (lambda x: x * x, "2x"),
    (lambda x: np.sin(x), "cos x"),
    (lambda x: np.sin(2 * x), "2 cos(2x)"),
    (lambda x: np.cos(x**2), "−2x sin x²"),
    (lambda x: np.exp(-x), "−exp(−x)"),
    (lambda x: 1 / x, "−1/x²"),
    (lambda x: np.sqrt(x), "1/(2√x)"),
    (lambda x: np.log(x), "1/x"),
    (lambda x: x * np.log(x), "log x + 1"),
    (lambda x: 5.0 + 0 * x, "0"),
    (lambda x: x - x, "0"),
    (lambda x: 2 * x - x, "1"),
    (lambda x: (x + 1) ** 2, "2(x + 1)"),
    (lambda x: -(1 - x), "1"),
    (lambda x: x / 2, "0.5"),
    (lambda x: np.tanh(x), "1 − (tanh x)²"),
    (lambda x: special.logistic(x), "σ(x) · (1 − σ(x))"),
    (lambda x: stable.relu(x), "[x > 0]"),
    (lambda x: stable.softplus(x), "σ(x)"),
    (lambda x: 2.0**x, "2ˣ log 2"),
    (lambda x: np.pi * x**2, "2πx"),
    (lambda x: 1 / (1 + np.exp(-x)), "exp(−x)/(1 + exp(−x))²"),
]


@pytest.mark.parametrize(("f", "text"), DERIVATIVES, ids=[text for _, text in DERIVATIVES])
def test_derivatives_as_textbooks_print_them(f: Any, text: str) -> None:
    (result,) = explain(f)(0.7).results
    assert str(result.formula) == text
    assert result.check.agrees


FORMULAS = [
    (lambda W, x: np.sum((W @ x) ** 2), "Σ (W x)²"),
    (lambda W, x: np.sum(W.T @ x), "Σ (Wᵀ x)"),
    (lambda W, x: x @ W @ x, "xᵀ W x"),
    (lambda W, x: np.dot(x, x), "xᵀ x"),
    (lambda W, x: np.sum(np.outer(x, x) * W), "Σ ((x xᵀ) ⊙ W)"),
    (lambda W, x: np.sum(3 * x), "Σ (3x)"),
    (lambda W, x: np.mean(x), "mean(x)"),
    (lambda W, x: x[0] * x[-1], "x[0] · x[2]"),
    (lambda W, x: np.max(W, axis=0) @ x, "(max W (over axis 0))ᵀ x"),
]


@pytest.mark.parametrize(("f", "text"), FORMULAS, ids=[text for _, text in FORMULAS])
def test_formulas_of_arrays(f: Any, text: str) -> None:
    rng = np.random.default_rng(0)
    e = explain(f)(rng.normal(size=(3, 3)), rng.normal(size=3))
    assert str(e.formula) == text


def test_a_repeated_sum_of_one_value() -> None:
    e = explain(lambda x: x + x)(1.0)
    (total,) = [s for s in e.steps if s.kind == "sum"]
    assert total.why.endswith("twice: its gradients add")
    assert str(e.formula) == "x + x"
    assert str(e.results[0].formula) == "2"


def test_inputs_that_do_not_matter_and_constants() -> None:
    e = explain(lambda x, y: np.floor(x) + 2 * y)(1.5, 1.0)
    assert e.gradient == (0.0, 2.0)
    assert any("no slope" in s.note for s in e.steps)
    e = explain(lambda x, y: x**2)(3.0, 1.0)
    assert e.gradient == (6.0, 0.0)
    assert any("it is 0" in s.why for s in e.steps)
    constant = explain(lambda x: 4.0)(1.0)
    assert constant.gradient == 0.0
    assert all("4" in shown for shown in (constant.text(), constant.latex(), constant.page()))
    assert explain(lambda x: x)(1.0).gradient == 1.0


def test_integers_and_trees_as_arguments() -> None:
    e = explain(lambda x, n: np.sum(x["a"] ** 2) * n)({"a": np.array([1.0, 2.0])}, np.int64(3))
    assert e.gradient[1] is None
    np.testing.assert_array_equal(e.gradient[0]["a"], [6.0, 12.0])


def test_python_branches_are_followed_and_said_to_be_there() -> None:
    def f(x: Any) -> Any:
        return x**2 if x > 0 else -x

    assert explain(f)(3.0).gradient == 6.0
    assert explain(f)(-3.0).gradient == -1.0
    assert explain(f)(3.0).program.branches
    assert not explain(J)(3.0).program.branches


def test_wrong_use_is_named() -> None:
    with pytest.raises(DtypeError, match=r"Pass a float \(1\.0 instead of 1\)"):
        explain(J)(1)
    with pytest.raises(DerivativeError, match="has no variable"):
        explain(lambda: 3.0)()
    with pytest.raises(DerivativeError, match=r"returned 2 values"):
        explain(lambda x: (x, x))(np.ones(3))
    with pytest.raises(UsageError, match="choose one of lecture, v"):
        explain(J, names="w")(1.0)
    with pytest.raises(UsageError, match="1 to 17"):
        explain(J, precision=0)(1.0)


def test_what_is_too_long_to_read_is_refused() -> None:
    def long(x: Any) -> Any:
        for _ in range(5001):
            x = np.sin(x)
        return x

    with pytest.raises(UsageError, match="explanations go up to"):
        explain(long)(1.0)


def test_unknown_attributes_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        explain.nothing  # noqa: B018


def test_float32_stays_float32() -> None:
    e = explain(J)(np.float32(1.0))
    assert type(e.gradient) is np.float32
    assert e.gradient == cr.grad(J)(np.float32(1.0))


def test_some_arguments_only() -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        return (x + y) * z

    e = explain(f, argnums=2)(1.0, 2.0, 3.0)
    assert e.gradient == 3.0
    assert [str(r.name) for r in e.results] == ["df/dz"]
    assert {str(s.name) for s in e.steps if s.kind == "backward"} == {"df/dz"}
    assert explain(f, argnums=(0, -1))(1.0, 2.0, 3.0).gradient == (3.0, 3.0)
    assert explain.expression("(x + y)*z", wrt=["y"], x=1, y=2, z=3).gradient == (3.0,)
    with pytest.raises(UsageError, match="argnums=3"):
        explain(f, argnums=3)(1.0, 2.0, 3.0)
    with pytest.raises(UsageError, match="wrt w: the expression has no such name"):
        explain.expression("x**2", wrt=["w"], x=1)
