"""Every formula of the lectures, typed as the deck prints it, is read and comes out as printed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from chainrule import explain
from chainrule.errors import UsageError
from chainrule.explanation.formula.parsing import parse
from chainrule.explanation.steps.typed import explain_typed

A = np.array([[0.4, -1.2], [0.7, 0.3]])
V, U, T = np.array([0.5, -1.0]), np.array([0.2, 0.9]), np.array([0.0, 1.0])
N: dict[str, Any] = {}

# where, as the deck prints it, values
DECKS: list[tuple[str, str, dict[str, Any]]] = [
    ("L0.1", r"z_c = \left(\sum_{j} w_j x_j\right) + b_c", {"w": V, "x": U, "b_c": 0.3}),
    ("L0.1", r"z_c = \mathbf{w}_c \cdot \mathbf{x} + b_c", {"w_c": V, "x": U, "b_c": 0.3}),
    ("L0.1", r"\frac{e^{z_c}}{\sum_{k=1}^K e^{z_k}}", {"z": V, "z_c": 0.5}),
    ("L0.1", r"L = - \sum_{k=1}^K y_k \log \hat{y}_k", {"y": T, "yhat": np.array([0.4, 0.6])}),
    ("L0.1", r"(\hat{y}_k - y_k)x_j", {"yhat_k": 0.4, "y_k": 1.0, "x_j": 2.0}),
    ("L0.1", r"\hat{y}_k - y_k", {"yhat_k": 0.4, "y_k": 1.0}),
    ("L0.1", r"\hat{\mathbf{y}} = \text{softmax}(\mathbf{x} \cdot \Theta)", {"x": V, "Theta": A}),
    ("L0.1", r"\frac{1}{m} (\mathbf{x}^T \cdot (\hat{\mathbf{y}} - \mathbf{y}))",
     {"m": 2.0, "x": A, "yhat": A, "y": A.T}),
    ("L0.2", r"\mathbf{a}^{[1]} = \sigma(\mathbf{a}^{[0]} \cdot \Theta^{[1]})",
     {"a^[0]": V, "Theta^[1]": A}),
    ("L0.3", r"\mathbf{a}^{[2]} = \sigma(\mathbf{a}^{[1]} \cdot \mathbf{W}^{[2]} + "
     r"\mathbf{b}^{[2]})",
     {"a^[1]": V, "W^[2]": A, "b^[2]": U}),
    ("L0.3", r"\mathbf{a}^{[2]} = \sigma(\mathbf{W}^{[2]} \cdot \mathbf{a}^{[1]} + "
     r"\mathbf{b}^{[2]})",
     {"a^[1]": V, "W^[2]": A, "b^[2]": U}),
    ("L0.3", r"\sigma(\mathbf{a}^{[1]} \cdot (\mathbf{W}^{[2]})^T + \mathbf{b}^{[2]})",
     {"a^[1]": V, "W^[2]": A, "b^[2]": U}),
    ("L0.4", r"\frac{1}{m} \left((\mathbf{a}^{[1]})^T \cdot (\hat{\mathbf{y}} - \mathbf{y}) "
     r"\right)",
     {"m": 2.0, "a^[1]": A, "yhat": A, "y": A.T}),
    ("L0.4", r"\frac{1}{m} \left((\mathbf{a}^{[0]})^T \cdot \delta^{[1]} \right)",
     {"m": 2.0, "a^[0]": A, "delta^[1]": A}),
    ("L0.4", r"\delta^{[2]} = \hat{\mathbf{y}} - \mathbf{y}", {"yhat": V, "y": T}),
    ("L0.4", r"a_k^{[1]}(1 - a_k^{[1]})", {"a_k^[1]": 0.3}),
    ("L0.4", r"\delta^{[1]} = (\delta^{[2]} \cdot (\mathbf{W}^{[2]})^T) \odot \mathbf{a}^{[1]}",
     {"delta^[2]": V, "W^[2]": A, "a^[1]": U}),
    ("L0.4", r"\left(\sum_l \delta_l w_l\right) a_k (1 - a_k) a_j",
     {"delta": V, "w": U, "a_k": 0.3, "a_j": 0.6}),
    ("L0.5", r"\Theta_t - \eta (\nabla L)", {"Theta_t": 0.5, "eta": 0.1, "∇L": 0.2}),
    ("L1.1", r"z = xy", {"x": 2.0, "y": 3.0}),
    ("L1.1", r"\hat{y} = \sigma(x^T w + b)", {"x": V, "w": U, "b": 0.1}),
    ("L1.1", r"H=\max\{0,XW+b\}", {"X": A, "W": A, "b": V}),
    ("L1.1", r"\hat{y} = \mathbf{x}^T \mathbf{w}", {"x": V, "w": U}),
    ("L1.1", r"\lambda \sum_{i} w_i^2", {"λ": 0.1, "w": V}),
    ("L1.3", r"(x+y)z", {"x": -2.0, "y": 5.0, "z": -4.0}),
    ("L1.3", r"q = (x + y)", {"x": -2.0, "y": 5.0}),
    ("L1.3", r"f = qz", {"q": 3.0, "z": -4.0}),
    ("L1.3", r"\sigma(w_0 x_0 + w_1 x_1 + b)",
     {"w_0": 2.0, "x_0": -1.0, "w_1": -3.0, "x_1": -2.0, "b": -3.0}),
    ("L1.3", r"\frac{1}{1 + e^{-x}}", {"x": 0.7}),
    ("L1.3", r"\frac{e^{-x}}{(1 + e^{-x})^2}", {"x": 0.7}),
    ("L1.3", r"\left(\frac{1 + e^{-x} - 1}{(1 + e^{-x})}\right) "
     r"\left(\frac{1}{(1 + e^{-x})}\right)",
     {"x": 0.7}),
    ("L1.3", r"(1 - \sigma(x))(\sigma(x))", {"x": 0.7}),
    ("L1.3", r"\|W \cdot x\|^2", {"W": A, "x": V}),
    ("L1.3", r"\sum_{i=1}^{n} (q)_i^2", {"q": V}),
    ("L1.3", r"2\boldsymbol{q} \cdot \boldsymbol{x}^T", {"q": V, "x": U}),
    ("L1.3", r"2\boldsymbol{W}^T \cdot \boldsymbol{q}", {"q": V, "W": A}),
    ("L1.5", r"\frac{\exp(a_k)}{\sum_{c} \exp(a_c)}", {"a": V, "a_k": 0.5}),
    ("L1.5", r"L = -\sum_{j} y_{j} \log(p_j)", {"y": T, "p": np.array([0.3, 0.7])}),
    ("L1.5", r"-\sum_{j} y_{j} \log(p_j) + \frac{\lambda}{2} ||\mathbf{W}||_{2}^{2}",
     {"y": T, "p": np.array([0.3, 0.7]), "λ": 0.1, "W": A}),
    ("L1.5", r"W_k^T \delta_{k+1} \odot a_k", {"W_k": A, "delta_k+1": V, "a_k": U}),
    ("L1.6", r"\theta - \alpha \cdot g", {"theta": 0.5, "alpha": 0.1, "g": 2.0}),
    ("L1.6", r"\theta - \alpha \cdot g - \lambda \theta",
     {"theta": 0.5, "alpha": 0.1, "g": 2.0, "λ": 0.01}),
    ("L2.1", r"E = -\sum_{n=1}^{N} \{t_n \log y_n + (1 - t_n) \log(1 - y_n)\}",
     {"t": T, "y": np.array([0.3, 0.7])}),
    ("L2.2", r"a^{[3]} = W_{11}^{[3]} z_{1}^{[2]} + W_{12}^{[3]} z_{2}^{[2]} + b^{[3]}",
     {"W_11^[3]": 0.5, "z_1^[2]": 0.3, "W_12^[3]": -0.7, "z_2^[2]": 0.1, "b^[3]": 0.2}),
    ("L2.2", r"z_{1}^{[2]} = \sigma(a_{1}^{[2]})", {"a_1^[2]": 0.4}),
    ("L2.2", r"E = -t \log y - (1-t) \log (1-y)", {"t": 1.0, "y": 0.3}),
    ("L2.2", r"-\frac{t}{z^{[3]}} + \frac{1-t}{1-z^{[3]}}", {"t": 1.0, "z^[3]": 0.3}),
    ("L2.2", r"z^{[3]} (1-z^{[3]})", {"z^[3]": 0.3}),
    ("L2.2", r"\frac{1}{1+e^{-z}} \cdot \frac{e^{-z}}{1+e^{-z}}", {"z": 0.3}),
    ("L2.2", r"\sigma(z) \cdot (1-\sigma(z))", {"z": 0.3}),
    ("L2.2", r"\left(-t(1-z^{[3]}) + (1-t)z^{[3]}\right) z_{1}^{[2]}",
     {"t": 1.0, "z^[3]": 0.3, "z_1^[2]": 0.4}),
    ("L2.2", r"(z^{[3]} - t) z_{1}^{[2]}", {"t": 1.0, "z^[3]": 0.3, "z_1^[2]": 0.4}),
    ("L2.3", r"\delta_i^{[2]} z_j^{[1]}", {"delta_i^[2]": 0.5, "z_j^[1]": 0.3}),
    ("L2.3", r"W^{[2]T} \delta^{[2]}", {"W^[2]": A, "delta^[2]": V}),
    ("L2.4", r"\frac{1}{2} \sum_{n=1}^{N} (t_n - y_n)^2", {"t": T, "y": V}),
    ("L2.4", r"-\sum_{k=1}^{K} t_{k} \log y_k", {"t": T, "y": np.array([0.3, 0.7])}),
    ("L2.5", r"\sigma(a)(1 - \sigma(a))", {"a": 0.4}),
    ("L2.5", r"\frac{\exp(a) - \exp(-a)}{\exp(a) + \exp(-a)}", {"a": 0.4}),
    ("L2.5", r"1 - (\tanh(a))^2", {"a": 0.4}),
    ("L2.5", r"\begin{cases} 0 & \text{if } a \le 0 \\ a & \text{if } a > 0 \end{cases}",
     {"a": 0.4}),
    ("L2.5", r"\max\{0, a\}", {"a": 0.4}),
    ("L3.1", r"\mathbf{a}^{(1)} = \mathbf{b}^{(1)} + \mathbf{W}^{(1)} \mathbf{h}^{(0)}",
     {"b^(1)": V, "W^(1)": A, "h^(0)": U}),
    ("L3.1", r"\mathbf{h}^{(1)} = \tanh(\mathbf{a}^{(1)})", {"a^(1)": V}),
    ("L3.1", r"J = L + \lambda \Omega", {"L": 0.5, "λ": 0.1, "Omega": 2.0}),
    ("L3.2", r"\mathbf{g} \odot \mathbf{a}^{(1)}", {"g": V, "a^(1)": U}),
    ("L3.2", r"\mathbf{g} \mathbf{h}^{(0)\top}", {"g": V, "h^(0)": U}),
    ("L3.2", r"\mathbf{W}^{(1)\top} \mathbf{g}", {"g": V, "W^(1)": A}),
    ("L3.3", r"\frac{1}{1 + \exp(-z)}", {"z": 0.4}),
    ("L3.3", r"h = \sigma(\Theta^{(1)} x)", {"Theta^(1)": A, "x": V}),
    ("L4.2", r"\exp(xz) + \frac{xz}{\log(x)} + \frac{\sin(\log(x))}{xz}", {"x": 2.0, "z": 3.0}),
    ("L4.3", r"J = \cos(\sin(x^2) + 3x^2)", {"x": 1.0}),
    ("L4.3", r"J = \cos(u)", {"u": 1.0}),
    ("L4.3", r"u = u_1 + u_2", {"u_1": 1.0, "u_2": 2.0}),
    ("L4.3", r"u_1 = \sin(t)", {"t": 1.0}),
    ("L4.3", r"u_2 = 3t", {"t": 1.0}),
    ("L4.3", r"t = x^2", {"x": 1.0}),
    ("L4.3", r"-\sin(u)", {"u": 1.0}),
    ("L4.4", r"J = y^* \log y + (1 - y^*) \log(1 - y)", {"ystar": 1.0, "y": 0.3}),
    ("L4.4", r"y = \frac{1}{1 + \exp(-a)}", {"a": 0.3}),
    ("L4.4", r"a = \sum_{j=0}^D \theta_j x_j", {"theta": V, "x": U}),
    ("L4.4", r"\frac{y^*}{y} + \frac{1-y^*}{y-1}", {"ystar": 1.0, "y": 0.3}),
    ("L4.4", r"\frac{\exp(-a)}{(\exp(-a)+1)^2}", {"a": 0.3}),
    ("L4.4", r"J = \frac{1}{2}(y - y^*)^2", {"ystar": 1.0, "y": 0.3}),
    ("L4.4", r"b = \sum_{j=0}^D \beta_j z_j", {"beta": V, "z": U}),
    ("L4.4", r"z_j (1 - z_j)", {"z_j": 0.3}),
    ("L4.7", r"s (1 - s)", {"s": 0.3}),
    ("L4.7", r"\frac{1}{(\exp(-b) + 1)} \left(1 - \frac{1}{(\exp(-b) + 1)}\right)", {"b": 0.3}),
    ("L4.9", r"x^T b", {"x": V, "b": U}),
    ("L4.9", r"x^T x", {"x": V}),
    ("L4.9", r"x^T B", {"x": V, "B": A}),
    ("L4.9", r"x^T B x", {"x": V, "B": A}),
    ("L4.9", r"2bx", {"x": 0.5, "b": 3.0}),
    ("L4.9", r"2 B x", {"x": V, "B": A}),
    ("L1.3", r"\frac{\partial f}{\partial x} = \frac{\partial f}{\partial q} "
     r"\frac{\partial q}{\partial x}", {"∂f/∂q": -4.0, "∂q/∂x": 1.0}),
    ("L0.4", r"\frac{\partial L}{\partial W_{jk}^{[i]}} = "
     r"\frac{\partial L}{\partial a_k^{[i]}} \frac{\partial a_k^{[i]}}{\partial z_k^{[i]}} "
     r"\frac{\partial z_k^{[i]}}{\partial W_{jk}^{[i]}}",
     {"∂L/∂a_k^[i]": 0.5, "∂a_k^[i]/∂z_k^[i]": 0.2, "∂z_k^[i]/∂W_jk^[i]": 0.3}),
    ("L0.4", r"\frac{\partial L}{\partial a_k^{[i]}} "
     r"\frac{\partial a_k^{[i]}}{\partial z_k^{[i]}} a_j^{[i-1]}",
     {"∂L/∂a_k^[i]": 0.5, "∂a_k^[i]/∂z_k^[i]": 0.2, "a_j^[i-1]": 0.3}),
    ("L0.4", r"\left(\sum_{\ell} \delta_{\ell}^{[i+1]} W_{k\ell}^{[i+1]} \right) a_j^{[i-1]}",
     {"delta^[i+1]": V, "W_k^[i+1]": U, "a_j^[i-1]": 0.2}),
    ("L0.4", r"g'(z_k^{[i]}) = a_k^{[i]}(1 - a_k^{[i]})", {"a_k^[i]": 0.3}),
    ("L1.3", r"\nabla_{\boldsymbol{W}} f = 2\boldsymbol{q} \cdot \boldsymbol{x}^T",
     {"q": V, "x": U}),
    ("L1.3", r"\sum_{i=1}^{n} (W \cdot x)_i^2", {"W": A, "x": V}),
    ("L1.3", r"\frac{d\sigma(x)}{x} = (1 - \sigma(x))(\sigma(x))", {"x": 0.1}),
    ("L1.6", r"\theta^{(n)} = \theta^{(n-1)} - \alpha^{(n-1)} \cdot g - \lambda \theta^{(n-1)}",
     {"theta^(n-1)": 0.5, "alpha^(n-1)": 0.1, "g": 0.3, "lambda": 0.2}),
    ("L2.3", r"a_{i}^{[l]} = \sum_{j} W_{ij}^{[l]} z_{j}^{[l-1]} + b_{i}^{[l]}",
     {"W_i^[l]": V, "z^[l-1]": U, "b_i^[l]": 0.2}),
    ("L2.1", r"E_n = -\sum_{k=1}^{K} t_{nk} \log y_{nk}", {"t_n": T, "y_n": np.array([0.4, 0.6])}),
    ("L3.2", r"\nabla_{\mathbf{W}^{(k)}} J = \mathbf{g} \mathbf{h}^{(k-1)\top} + \lambda \Omega",
     {"g": V, "h^(k-1)": U, "lambda": 0.1, "Omega": 0.2}),
]  # fmt: skip


def spelled(latex: str) -> str:
    """A formula without what only sets it: spaces, styles, sizes of brackets, braces."""
    text = re.sub(r"\\(left|right|mathbf|boldsymbol|operatorname|text|mathrm)(?![a-z])", "", latex)
    text = re.sub(r"\\[,;]", "", text).replace(r"\top", "T").replace("||", r"\Vert")
    text = re.sub(r"\\\||\\[lr]Vert", r"\\Vert", text)
    return re.sub(r"(?<!\\)[{}]|\s", "", text)


@pytest.mark.parametrize(("where", "deck", "values"), DECKS, ids=[f"{d[0]} {d[1]}" for d in DECKS])
def test_the_decks_formulas(where: str, deck: str, values: dict[str, Any]) -> None:
    e = explain.expression(deck, **values)
    assert np.all(np.isfinite(e.value))
    assert all(result.check.agrees for result in e.results)
    assert e.formula is not None
    spellings = [e.formula.latex(), f"<math>{e.formula.mathml()}</math>", e.formula.text()]
    for shown in spellings[: 2 if "ystar" in values else 3]:  # y* x is also a product of y and x
        again = explain_typed(shown, values)
        np.testing.assert_allclose(again.value, e.value, rtol=1e-12)
    assert spelled(e.formula.latex()) == spelled(re.sub(r"^[^=]* = |^H=", "", deck))


# lines with several sides, names that are functions, layers on brackets, sums of quotients
LINES: list[tuple[str, str, dict[str, Any]]] = [
    ("L0.1", r"z_c = \left(\sum_{j=1}^n w_{jc} x_j \right) + b_c = \mathbf{w}_c \cdot "
     r"\mathbf{x} + b_c",
     {"w_c": V, "x": U, "b_c": 0.3}),
    ("L0.1", r"\text{softmax}(z_c) = \frac{e^{z_c}}{\sum_{k=1}^K e^{z_k}} = P(y = c | "
     r"\mathbf{x}) = \hat{y}_c",
     {"z_c": 0.5, "z": V}),
    ("L0.4", r"(\nabla L)^{[2]} = \frac{1}{m} \left((\mathbf{a}^{[1]})^T \cdot "
     r"(\hat{\mathbf{y}} - \mathbf{y}) \right)",
     {"m": 2.0, "a^[1]": A, "yhat": A, "y": A.T}),
    ("L0.4", r"\frac{\partial L}{\partial a_k^{[i]}} = \sum_{\ell} \frac{\partial "
     r"L}{\partial z_\ell^{[i+1]}} \frac{\partial z_\ell^{[i+1]}}{\partial a_k^{[i]}}",
     {"∂L/∂z^[i+1]": V, "∂z^[i+1]/∂a_k^[i]": U}),
    ("L0.4", r"\frac{\partial L}{\partial W_{jk}^{[i]}} = \left(\sum_{\ell} \frac{\partial "
     r"L}{\partial z_{\ell}^{[i+1]}} \frac{\partial z_{\ell}^{[i+1]}}{\partial a_k^{[i]}} "
     r"\right) g'(z_k^{[i]}) a_j^{[i-1]}",
     {"∂L/∂z^[i+1]": V, "∂z^[i+1]/∂a_k^[i]": U, "g'(z_k^[i])": 0.2, "a_j^[i-1]": 0.4}),
    ("L0.4", r"\frac{\partial L}{\partial W_{jk}^{[i]}} = \left(\sum_{\ell} \frac{\partial "
     r"L}{\partial z_{\ell}^{[i+1]}} W_{k\ell}^{[i+1]} \right) g'(z_k^{[i]}) a_j^{[i-1]}",
     {"∂L/∂z^[i+1]": V, "W_k^[i+1]": U, "g'(z_k^[i])": 0.2, "a_j^[i-1]": 0.4}),
    ("L0.4", r"\frac{\partial L}{\partial W_{jk}^{[i]}} = \left(\sum_{\ell} "
     r"\delta_{\ell}^{[i+1]} W_{k\ell}^{[i+1]} \right) g'(z_k^{[i]}) a_j^{[i-1]}",
     {"delta^[i+1]": V, "W_k^[i+1]": U, "g'(z_k^[i])": 0.2, "a_j^[i-1]": 0.4}),
    ("L0.4", r"\frac{\partial L}{\partial W_{k\ell}^{[\mathcal{L}]}} = \frac{\partial "
     r"L}{\partial a_\ell^{[\mathcal{L}]}} \frac{\partial a_\ell^{[\mathcal{L}]}}{\partial "
     r"z_\ell^{[\mathcal{L}]}}  a_k^{[\mathcal{L}-1]}",
     {"∂L/∂a_ℓ^[L]": 0.2, "∂a_ℓ^[L]/∂z_ℓ^[L]": 0.5, "a_k^[L-1]": 0.3}),
    ("L0.4", r"\delta_\ell^{[i+1]} = \frac{\partial L}{\partial z_\ell^{[i+1]}} = "
     r"\frac{\partial L}{\partial a_\ell^{[i+1]}} \frac{\partial a_\ell^{[i+1]}}{\partial "
     r"z_\ell^{[i+1]}}",
     {"∂L/∂a_ℓ^[i+1]": 0.2, "∂a_ℓ^[i+1]/∂z_ℓ^[i+1]": 0.4}),
    ("L0.4", r"(\nabla L)^{[i]} = \frac{1}{m} \left((\mathbf{a}^{[i-1]})^T \cdot "
     r"\delta^{[i]} \right)",
     {"m": 2.0, "a^[i-1]": A, "δ^[i]": A}),
    ("L0.4", r"\delta^{[\mathcal{L}]} = \hat{\mathbf{y}} - \mathbf{y}",
     {"yhat": V, "y": T}),
    ("L0.4", r"\delta^{[i]} = (\delta^{[i+1]} \cdot (\mathbf{W}^{[i+1]})^T) \odot "
     r"g'(\mathbf{z}^{[i]})",
     {"δ^[i+1]": V, "W^[i+1]": A, "g'(z^[i])": U}),
    ("L0.5", r"\Theta_{t+1}^{[i]} = \Theta_t^{[i]} - \eta(\nabla L)^{[i]}",
     {"Θ_t^[i]": 0.4, "η": 0.1, "(∇L)^[i]": 0.3}),
    ("L1.1", r"\theta_j^{(n)} = \theta_j^{(n-1)} - \alpha^{(n-1)} \cdot \nabla_{\theta_j} "
     r"\mathcal{L}(y, f(x))",
     {"θ_j^(n-1)": 0.4, "α^(n-1)": 0.1, "∇L(y, f(x))": 0.3}),
    ("L1.2", r"\frac{\partial z}{\partial x_i} = \sum_j \frac{\partial z}{\partial y_j} "
     r"\frac{\partial y_j}{\partial x_i}",
     {"∂z/∂y": V, "∂y/∂x_i": U}),
    ("L1.2", r"\frac{dz}{dx} = \frac{dz}{dy}\frac{dy}{dx}",
     {"dz/dy": 0.3, "dy/dx": 2.0}),
    ("L1.2", r"\nabla_{x} z = \left(\frac{\partial y}{\partial x}\right)^{T} \nabla_{y} z",
     {"∂y/∂x": A, "∇z": V}),
    ("L1.3", r"\frac{\partial f}{\partial x} = \frac{\partial f}{\partial q} \frac{\partial "
     r"q}{\partial x} = -4 \cdot 1 = -4",
     {"∂f/∂q": -4.0, "∂q/∂x": 1.0}),
    ("L1.3", r"\frac{\partial f}{\partial z} = q = 3",
     {"q": 3.0}),
    ("L1.3", r"\frac{d\sigma(x)}{x} = \frac{e^{-x}}{(1 + e^{-x})^2} = \left(\frac{1 + e^{-x} "
     r"- 1}{(1 + e^{-x})}\right) \left(\frac{1}{(1 + e^{-x})}\right)",
     {"x": 0.3}),
    ("L1.3", r"f(x, W) = \|W \cdot x\|^2 = \sum_{i=1}^{n} (W \cdot x)_i^2 = \sum_{i=1}^{n} (q)_i^2",
     {"W": A, "x": V}),
    ("L1.5", r"\delta_{\scriptscriptstyle K} = \frac{\partial L}{\partial "
     r"h_{\scriptscriptstyle K}} \bullet g'(a_{\scriptscriptstyle K})",
     {"∂L/∂h_K": V, "g'(a_K)": U}),
    ("L1.5", r"\boldsymbol{h}_{k+1} = g(\boldsymbol{W}_k \boldsymbol{h}_k + "
     r"\boldsymbol{b}_k) = g(\boldsymbol{a}_{k+1})",
     {"g(a_k+1)": V}),
    ("L1.5", r"p(c_k = 1|\mathbf{x}) = \frac{\exp(a_k)}{\sum_{c} \exp(a_c)}",
     {"a_k": 0.5, "a": V}),
    ("L1.5", r"\delta_k = W_k^T \frac{\partial L}{\partial a_{k+1}} \bullet g'(a_k)",
     {"W_k": A, "∂L/∂a_k+1": V, "g'(a_k)": U}),
    ("L2.1", r"E(\mathbf{W}) = \sum_{n=1}^{N} E_n(\mathbf{W}) = -\sum_{n=1}^{N} \{t_n \log "
     r"y(\mathbf{x}_n) + (1 - t_n) \log(1 - y(\mathbf{x}_n))\}",
     {"t": T, "y(x_n)": 0.3}),
    ("L2.3", r"\frac{\partial E}{\partial w_{ij}^{[l]}} = \frac{\partial E}{\partial "
     r"a_i^{[l]}} \cdot \frac{\partial a_i^{[l]}}{\partial w_{ij}^{[l]}} = \delta_i^{[l]} "
     r"\cdot z_j^{[l-1]}",
     {"δ_i^[l]": 0.3, "z_j^[l-1]": 0.4}),
    ("L2.3", r"\delta_i^{[l]} = \frac{\partial E}{\partial z_i^{[l]}} \cdot \frac{\partial "
     r"z_i^{[l]}}{\partial a_i^{[l]}} = \frac{\partial E}{\partial z_i^{[l]}} \cdot "
     r"f'(a_i^{[l]})",
     {"∂E/∂z_i^[l]": 0.3, "f'(a_i^[l])": 0.2}),
    ("L2.3", r"\delta_i^{[l]} = \frac{\partial E}{\partial a_i^{[l]}} = \sum_k "
     r"\frac{\partial E}{\partial a_k^{[l+1]}} \frac{\partial a_k^{[l+1]}}{\partial a_i^{[l]}}",
     {"∂E/∂a^[l+1]": V, "∂a^[l+1]/∂a_i^[l]": U}),
    ("L2.3", r"= \sum_k \delta_k^{[l+1]} \frac{\partial a_k^{[l+1]}}{\partial z_i^{[l]}} "
     r"\frac{\partial z_i^{[l]}}{\partial a_i^{[l]}}",
     {"δ^[l+1]": V, "∂a^[l+1]/∂z_i^[l]": U, "∂z_i^[l]/∂a_i^[l]": 0.2}),
    ("L2.3", r"= f'(a_i^{[l]}) \sum_k \delta_k^{[l+1]} W_{ki}^{[l+1]}",
     {"f'(a_i^[l])": 0.2, "δ^[l+1]": V, "W_i^[l+1]": U}),
    ("L2.3", r"\delta^{[l]} = f'(\alpha^{[l]})^T W^{[l+1]T} \delta^{[l+1]}",
     {"f'(α^[l])": A, "W^[l+1]": A, "δ^[l+1]": V}),
    ("L2.4", r"y(\mathbf{x}) = z^{[L]} = \sigma(a^{[L]})",
     {"a^[L]": 0.3}),
    ("L2.4", r"y_k(\mathbf{x}) = z_k^{[L]} = s\left(a_k^{[L]}\right) = "
     r"\frac{\exp\left(a_k^{[L]}\right)}{\sum_j \exp\left(a_j^{[L]}\right)}",
     {"a_k^[L]": 0.5, "a^[L]": V}),
    ("L2.4", r"E(W,b) = -\sum_{n=1}^{N} \sum_{k=1}^{K} t_{nk} \log y_{nk}",
     {"t": np.eye(2), "y": np.array([[0.3, 0.7], [0.6, 0.4]])}),
    ("L2.5", r"ReLU(a) = \begin{cases} 0 & \text{if } a \le 0 \\ a & \text{if } a > 0 "
     r"\end{cases} = \max\{0, a\}",
     {"a": 0.3}),
    ("L2.5", r"\sigma'(a) = \sigma(a)(1 - \sigma(a)) = 0.25",
     {"a": 0.0}),
    ("L2.2", r"\frac{\partial z}{\partial z} = \sigma'(z) = \frac{\partial}{\partial z} "
     r"\left(\frac{1}{1+e^{-z}} \right) = \frac{1}{(1+e^{-z})^2} \cdot e^{-z}",
     {"z": 0.3}),
    ("L2.2", r"= \frac{1}{1+e^{-z}} \cdot \frac{e^{-z}}{1+e^{-z}} = \sigma(z) \cdot "
     r"(1-\sigma(z)) = z^{[3]} \cdot (1-z^{[3]})",
     {"z": 0.3}),
    ("L3.1", r"J = L(\hat{\mathbf{y}}, \mathbf{y}) + \lambda \Omega(\theta)",
     {"L(yhat, y)": 0.3, "λ": 0.1, "Ω(θ)": 0.4}),
    ("L3.2", r"\mathbf{g} \leftarrow \nabla_{\mathbf{a}^{(k)}} J = \mathbf{g} \odot "
     r"f'(\mathbf{a}^{(k)})",
     {"g": V, "f'(a^(k))": U}),
    ("L3.2", r"\nabla_{\mathbf{b}^{(k)}} J = \mathbf{g} + \lambda \nabla_{\mathbf{b}^{(k)}} "
     r"\Omega(\theta)",
     {"g": V, "λ": 0.1, "∇Ω(θ)": U}),
    ("L3.2", r"\nabla_{\mathbf{W}^{(k)}} J = \mathbf{g} \mathbf{h}^{(k-1)\top} + \lambda "
     r"\nabla_{\mathbf{W}^{(k)}} \Omega(\theta)",
     {"g": V, "h^(k-1)": U, "λ": 0.1, "∇Ω(θ)": A}),
    ("L3.2", r"\mathbf{g} \leftarrow \nabla_{\mathbf{h}^{(k-1)}} J = \mathbf{W}^{(k)\top} "
     r"\mathbf{g}",
     {"W^(k)": A, "g": V}),
    ("L3.3", r"h_{\Theta}(x) = g(\Theta^{(2)} a)",
     {"g(Θ^(2) a)": 0.3}),
    ("L4.4", r"\frac{dJ}{dy} = \frac{y^*}{y} + \frac{(1-y^*)}{y-1}",
     {"ystar": 1.0, "y": 0.3}),
    ("L4.4", r"\frac{dJ}{da} = \frac{dJ}{dy}\frac{dy}{da}",
     {"dJ/dy": 0.3, "dy/da": 0.2}),
    ("L4.4", r"\frac{dJ}{dx_i} = \sum_{j=0}^D \frac{dJ}{da_j} \frac{da_j}{dx_i}",
     {"dJ/da": V, "da/dx_i": U}),
    ("L4.4", r"a_j = \sum_{i=0}^M \alpha_{ji} x_i",
     {"α_j": V, "x": U}),
    ("L4.7", r"\frac{ds}{db} = \frac{\exp(-b)}{(\exp(-b)+1)^2} = "
     r"\frac{\exp(-b)+1-1}{(\exp(-b)+1+1-1)^2} = \frac{\exp(-b)+1-1}{(\exp(-b)+1)^2} = "
     r"\frac{\exp(-b)+1}{(\exp(-b)+1)^2} - \frac{1}{(\exp(-b)+1)^2}",
     {"b": 0.3}),
    ("L4.8", r"\frac{dy}{dv_j} = \sum_{i=1}^M \frac{dy}{du_i} \frac{du_i}{dv_j}",
     {"dy/du": V, "du/dv_j": U}),
]  # fmt: skip


@pytest.mark.parametrize(("where", "deck", "values"), LINES, ids=[f"{d[0]} {d[1]}" for d in LINES])
def test_the_decks_lines(where: str, deck: str, values: dict[str, Any]) -> None:
    e = explain.expression(deck, **values)
    assert np.all(np.isfinite(e.value))
    if e.formula is None:  # one name alone
        return
    spellings = [e.formula.latex(), f"<math>{e.formula.mathml()}</math>", e.formula.text()]
    for shown in spellings[: 2 if "ystar" in values else 3]:
        np.testing.assert_allclose(explain_typed(shown, values).value, e.value, rtol=1e-12)
    printed = re.sub(
        r"\\nabla_(\{[^{}]*(\{[^{}]*\}[^{}]*)*\})", r"\\nabla", deck
    )  # by what is passed
    printed = re.sub(r"\\(mathcal|scriptscriptstyle)(?![a-z])", "", printed)
    assert spelled(e.formula.latex()) in spelled(printed).replace(r"\bullet", r"\odot")


def test_sides_that_differ_are_refused() -> None:
    given = {"∂f/∂q": -4.0, "∂q/∂x": 1.0}
    line = r"\frac{\partial f}{\partial x} = \frac{\partial f}{\partial q}"
    line += r" \frac{\partial q}{\partial x} = "
    assert explain_typed(line + "-4 \\cdot 1 = -4", given).value == -4.0
    with pytest.raises(UsageError, match="sides of the equation differ here"):
        explain_typed(line + "-5", given)
    rounded = explain_typed(r"y = \sigma(x) = 0.73", {"x": 1.0})  # to its digits
    assert rounded.notes[0] == "sides with the same value: 0.73"
    with pytest.raises(UsageError, match="differ"):
        explain_typed(r"y = \sigma(x) = 0.74", {"x": 1.0})


def test_sums_in_sums() -> None:
    given = {"w": V, "x": U, "A": A}
    for typed, value in {
        "Σ_i Σ_j w_i A_ij x_j": V @ A @ U,
        "Σ_j Σ_i w_i A_ij x_j": V @ A @ U,
        "Σ_i Σ_j A_ji w_i x_j": U @ A @ V,
        "Σ_i w_i (Σ_j A_ij x_j)^2": V @ (A @ U) ** 2,
        "Σ_i w_i Σ_j x_j + Σ_i Σ_j A_ij": V.sum() * U.sum() + A.sum(),
    }.items():
        here = {name: given[name] for name in parse(typed, given).names}
        e = explain_typed(typed, here)
        np.testing.assert_allclose(e.value, value, rtol=1e-12)
        assert all(result.check.agrees for result in e.results)
        assert e.formula is not None
        np.testing.assert_allclose(explain_typed(e.formula.latex(), here).value, value, rtol=1e-12)
    with pytest.raises(UsageError, match="no number"):
        explain_typed("Σ_i Σ_j A_i x_j", {"A": A, "x": U})


def test_there_are_at_least_sixty() -> None:
    assert len({deck for _, deck, _ in DECKS}) >= 60
    assert {where.partition(".")[0] for where, *_ in DECKS} == {"L0", "L1", "L2", "L3", "L4"}


SUMS = {
    "(Σ_i w_i x_i)^2/c": "(Σ_i wᵢxᵢ)²/c",
    "c/m Σ_{i=1}^n (x_i - w_i)^2": "(c/m) · Σ_{i=1}^n (xᵢ − wᵢ)²",
    "Σ_i tanh(c x_i)": "Σ_i tanh(cxᵢ)",
    "Σ_i w_i (W x)_i": "Σ_i wᵢ · (W x)_i",
    "Σ_i relu(x_i) w_i": "Σ_i relu(xᵢ) · wᵢ",
    "Σ_c w_c x_c": "Σ_c w_c · x_c",
    "Σ_α w_α x_α": "Σ_α w_α · x_α",
    "Σ_i w_i + Σ_j x_j": "Σ_i wᵢ + Σ_j xⱼ",
    "Σ_i -x_i": "Σ_i (−xᵢ)",
    "1/2 c exp(Σ_i w_i)": "(1/2) · c · exp(Σ_i wᵢ)",
}
SUMMED = {"x": V, "w": U, "W": A, "c": 0.7, "m": 2.0}


@pytest.mark.parametrize(("typed", "shown"), SUMS.items())
def test_sums_keep_their_index_and_are_read_back(typed: str, shown: str) -> None:
    given = {name: SUMMED[name] for name in parse(typed, SUMMED).names}
    e = explain_typed(typed, given)
    assert e.formula is not None
    assert e.formula.text() == shown
    for again in (shown, e.formula.latex(), f"<math>{e.formula.mathml()}</math>"):
        np.testing.assert_allclose(explain_typed(again, given).value, e.value, rtol=1e-12)
