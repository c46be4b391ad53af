"""Formulas of well-known courses and books, as these print them: read, with the right value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import explain
from chainrule.explanation.steps.typed import explain_typed

A = np.array([[0.4, -1.2], [0.7, 0.3]])
S, PM = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[0.3, 0.7], [0.6, 0.4]])
V, U = np.array([0.5, -1.0]), np.array([0.2, 0.9])
T, P = np.array([0.0, 1.0]), np.array([0.3, 0.7])

# source, as it prints the formula, values, what NumPy says of it
COURSES: list[tuple[str, str, dict[str, Any], Any]] = [
    ("231n", r"f(x_i, W, b) = W x_i + b",
     {"W": A, "x_i": V, "b": U}, [1.6, 0.95]),
    ("231n", r"L_i = -\log\left(\frac{e^{f_{y_i}}}{ \sum_j e^{f_j} }\right)",
     {"f": V, "f_y_i": 0.5}, 0.201413277982752),
    ("231n", r"L_i = -f_{y_i} + \log\sum_j e^{f_j}",
     {"f": V, "f_y_i": 0.5}, 0.201413277982752),
    ("231n", r"R(W) = \sum_k\sum_l W_{k,l}^2",
     {"W": A}, 2.18),
    ("231n", r"L = \frac{1}{N} \sum_i L_i + \lambda R(W)",
     {"N": 2.0, "L": V, "lambda": 0.1, "R(W)": 0.4}, -0.21),
    ("231n", r"\frac{e^{f_k}}{\sum_j e^{f_j}}",
     {"f": V, "f_k": 0.5}, 0.817574476193644),
    ("231n", r"f(w,x) = \frac{1}{1+e^{-(w_0x_0 + w_1x_1 + w_2)}}",
     {"w_0": 2.0, "x_0": -1.0, "w_1": -3.0, "x_1": -2.0, "w_2": -3.0}, 0.731058578630005),
    ("231n", r"\frac{\partial f}{\partial x} = 2xy",
     {"x": 2.0, "y": 3.0}, 12.0),
    ("231n", r"\tanh(x) = 2 \sigma(2x) -1",
     {"x": 0.3}, 0.291312612451591),
    ("231n", r"f(x) = \max(0.01x, x)",
     {"x": -2.0}, -0.02),
    ("231n", r"\frac{|f'_a - f'_n|}{\max(\mid f'_a \mid, \mid f'_n \mid)}",
     {"f'_a": 0.5, "f'_n": 0.4}, 0.2),
    ("231n", r"f(x,y) = \frac{x + \sigma(y)}{\sigma(x) + (x+y)^2}",
     {"x": 3.0, "y": -4.0}, 1.54564488410664),
    ("231n", r"v = \mu v - \eta \, dx",
     {"mu": 0.9, "v": 0.1, "eta": 0.01, "dx": 0.3}, 0.087),
    ("nielsen", r"a^l_j = \sigma\left( \sum_k w^l_{jk} a^{l-1}_k + b^l_j \right)",
     {"w^l_j": V, "a^{l-1}": U, "b^l_j": 0.1}, 0.331812227831834),
    ("nielsen", r"a^{l} = \sigma(w^l a^{l-1}+b^l)",
     {"w^l": A, "a^{l-1}": U, "b^l": V}, [0.377540668798145, 0.356634854305598]),
    ("nielsen", r"C = \frac{1}{2} \|y-a^L\|^2",
     {"y": V, "a^L": U}, 1.85),
    ("nielsen", r"C = \frac{1}{2} \|y-a^L\|^2 = \frac{1}{2} \sum_j (y_j-a^L_j)^2",
     {"y": V, "a^L": U}, 1.85),
    ("nielsen", r"\delta^L_j = \frac{\partial C}{\partial a^L_j} \sigma'(z^L_j)",
     {"∂C/∂a^L_j": 0.3, "z^L_j": 0.2}, 0.074254971813558),
    ("nielsen", r"\delta^L = \nabla_a C \odot \sigma'(z^L)",
     {"∇C": V, "z^L": U}, [0.12375828635593, -0.205500307342263]),
    ("nielsen", r"\delta^L = (a^L-y) \odot \sigma'(z^L)",
     {"a^L": V, "y": T, "z^L": U}, [0.12375828635593, -0.411000614684527]),
    ("nielsen", r"\delta^l = ((w^{l+1})^T \delta^{l+1}) \odot \sigma'(z^l)",
     {"w^{l+1}": A, "δ^{l+1}": V, "z^l": U}, [-0.12375828635593, -0.184950276608037]),
    ("nielsen", r"\frac{\partial C}{\partial w^l_{jk}} = a^{l-1}_k \delta^l_j",
     {"a^{l-1}_k": 0.2, "δ^l_j": 0.3}, 0.06),
    ("nielsen", r"\Delta C \approx \frac{\partial C}{\partial v_1} \Delta v_1 + \frac{\partial "
     r"C}{\partial v_2} \Delta v_2",
     {"∂C/∂v_1": 0.3, "∂C/∂v_2": 0.4, "Δv_1": 0.1, "Δv_2": 0.2}, 0.11),
    ("nielsen", r"a^L_j = \frac{e^{z^L_j}}{\sum_k e^{z^L_k}}",
     {"z^L_j": 0.5, "z^L": V}, 0.817574476193644),
    ("bishop", r"a_j = \sum_{i=1}^{D} w_{ji}^{(1)} x_i + w_{j0}^{(1)}",
     {"w_j^(1)": V, "x": U, "w_j0^(1)": 0.1}, -0.7),
    ("bishop", r"\delta_j = h'(a_j) \sum_k w_{kj} \delta_k",
     {"h'(a_j)": 0.2, "w_j": V, "delta": U}, -0.16),
    ("bishop", r"\delta_j = (1 - z_j^2) \sum_{k=1}^K w_{kj} \delta_k",
     {"z_j": 0.2, "w_j": V, "delta": U}, -0.768),
    ("bishop", r"\mathcal{N}(x|\mu,\sigma^2) = \frac{1}{(2\pi\sigma^2)^{1/2}} \exp\left\{ "
     r"-\frac{1}{2\sigma^2} (x-\mu)^2 \right\}",
     {"x": 0.3, "mu": 0.1, "sigma": 2.0}, 0.198476273738506),
    ("bishop", r"E(\mathbf{w}) = - \sum_{n=1}^{N} \sum_{k=1}^{K} t_{nk} \ln y_{nk}",
     {"t": np.eye(2), "y": PM}, 2.12026353620009),
    ("bishop", r"\mathbf{w}_{\mathrm{ML}} = \left( \boldsymbol{\Phi}^{\mathrm{T}} "
     r"\boldsymbol{\Phi} \right)^{-1} \boldsymbol{\Phi}^{\mathrm{T}} \mathbf{t}",
     {"Phi": A, "t": V}, [-1.09375, -0.78125]),
    ("goodfellow", r"f(\boldsymbol{x}; \boldsymbol{W}, \boldsymbol{c}, \boldsymbol{w}, b) = "
     r"\boldsymbol{w}^\top \max\{0, \boldsymbol{W}^\top \boldsymbol{x} + \boldsymbol{c}\} + b",
     {"w": V, "W": A, "x": U, "c": T, "b": 0.1}, -0.575),
    ("goodfellow", r"\text{softmax}(\boldsymbol{z})_i = \frac{\exp(z_i)}{\sum_j \exp(z_j)}",
     {"z_i": 0.5, "z": V}, 0.817574476193644),
    ("goodfellow", r"\log \text{softmax}(\boldsymbol{z})_i = z_i - \log \sum_j \exp(z_j)",
     {"z_i": 0.5, "z": V}, -0.201413277982752),
    ("goodfellow", r"\nabla_{\boldsymbol{x}} z = \left(\frac{\partial \boldsymbol{y}}{\partial "
     r"\boldsymbol{x}}\right)^\top \nabla_{\boldsymbol{y}} z",
     {"∂y/∂x": A, "∇z": V}, [-0.5, -0.9]),
    ("goodfellow", r"\zeta(x) = \log(1 + \exp(x))",
     {"x": 0.2}, 0.798138869381592),
    ("goodfellow", r"\boldsymbol{\theta} \leftarrow \boldsymbol{\theta} - \epsilon \boldsymbol{g}",
     {"theta": V, "epsilon": 0.1, "g": U}, [0.48, -1.09]),
    ("goodfellow", r"\hat{\boldsymbol{s}} \leftarrow \frac{\boldsymbol{s}}{1-\rho_1^t}",
     {"s": V, "rho_1": 0.9, "t": 2.0}, [2.63157894736842, -5.26315789473684]),
    ("goodfellow", r"\Delta \boldsymbol{\theta} = - \frac{\epsilon}{\delta + "
     r"\sqrt{\boldsymbol{r}}} \odot \boldsymbol{g}",
     {"epsilon": 0.1, "delta": 0.01, "r": P, "g": V}, [-0.0896503096874235, 0.118111162528086]),
    ("dls", r"\mathcal{L}(\hat{y}, y) = -(y\log\hat{y} + (1-y)\log(1-\hat{y}))",
     {"yhat": 0.3, "y": 1.0}, 1.20397280432594),
    ("dls", r"J(w, b) = -\frac{1}{m}\sum_{i=1}^{m} \left[ y^{(i)}\log(a^{(i)}) + "
     r"(1-y^{(i)})\log(1-a^{(i)}) \right]",
     {"m": 2.0, "y": T, "a": P}, 0.356674943938732),
    ("dls", r"z^{(i)} = w^T x^{(i)} + b",
     {"w": V, "x^(i)": U, "b": 0.1}, -0.7),
    ("dls", r"dZ^{[2]} = A^{[2]} - Y",
     {"A^[2]": A, "Y": PM}, [[0.1, -1.9], [0.1, -0.1]]),
    ("dls", r"dW^{[2]} = \frac{1}{m} dZ^{[2]} A^{[1]T}",
     {"m": 2.0, "dZ^[2]": A, "A^[1]": PM}, [[-0.36, -0.12], [0.21, 0.27]]),
    ("dls", r"J = -\frac{1}{m} \sum_{i=1}^m \left(y^{(i)}\log a^{[2](i)} + "
     r"(1-y^{(i)})\log(1-a^{[2](i)})\right)",
     {"m": 2.0, "y": T, "a^[2]": P}, 0.356674943938732),
    ("dls", r"\frac{\lambda}{2m}\|w\|_2^2",
     {"λ": 0.1, "m": 2.0, "w": V}, 0.03125),
    ("dls", r"v_{dW} = \beta v_{dW} + (1-\beta) dW",
     {"β": 0.9, "v_dW": 0.1, "dW": 0.2}, 0.11),
    ("dls", r"\tilde{z}^{(i)} = \gamma z_{norm}^{(i)} + \beta",
     {"γ": 2.0, "z_norm^(i)": 0.3, "β": 0.1}, 0.7),
    ("dls", r"z_{norm}^{(i)} = \frac{z^{(i)} - \mu}{\sqrt{\sigma^2 + \epsilon}}",
     {"z^(i)": 0.3, "μ": 0.1, "σ": 2.0, "ε": 0.1}, 0.098772959664959),
    ("229", r"\theta_j := \theta_j + \alpha (y^{(i)} - h_\theta(x^{(i)})) x_j^{(i)}",
     {"θ_j": 0.1, "α": 0.1, "y^(i)": 1.0, "h_θ(x^(i))": 0.3, "x_j^(i)": 2.0}, 0.24),
    ("229", r"\nabla_\theta J(\theta) = X^TX\theta - X^T\vec{y}",
     {"X": A, "theta": V, "y": U}, [-0.115, -1.695]),
    ("229", r"\frac{1}{2}(X\theta - \vec{y})^T(X\theta - \vec{y})",
     {"X": A, "theta": V, "y": U}, 1.08125),
    ("229", r"\theta = (X^TX)^{-1} X^T \vec{y}",
     {"X": A, "y": U}, [1.1875, 0.229166666666667]),
    ("229", r"g(z) = \frac{1}{1+e^{-z}}",
     {"z": 0.3}, 0.574442516811659),
    ("229", r"g'(z) = \frac{d}{dz} \frac{1}{1+e^{-z}} = \frac{1}{(1+e^{-z})^2} (e^{-z}) = "
     r"\frac{1}{1+e^{-z}} \cdot \left(1 - \frac{1}{1+e^{-z}}\right) = g(z)(1-g(z))",
     {"z": 0.3}, 0.244458311690746),
    ("229", r"\phi_i = \frac{e^{\eta_i}}{\sum_{j=1}^k e^{\eta_j}}",
     {"η_i": 0.5, "η": V}, 0.817574476193644),
    ("18.065", r"F(x) = \frac{1}{2} x^T S x - a^T x",
     {"x": V, "S": S, "a": U}, 1.3),
    ("18.065", r"\nabla F = Sx - a",
     {"x": V, "S": S, "a": U}, [0.3, -1.65]),
    ("18.065", r"x_{k+1} = x_k - s_k \nabla F(x_k)",
     {"x_k": V, "s_k": 0.1, "∇F(x_k)": U}, [0.48, -1.09]),
    ("18.065", r"\|Ax-b\|^2 + \delta^2 \|x\|^2",
     {"A": A, "x": V, "b": U, "delta": 0.3}, 2.275),
    ("18.065", r"\frac{x^T S x}{x^T x}",
     {"x": V, "S": S}, 0.8),
    ("murphy", r"\text{NLL}(\mathbf{w}) = -\sum_{n=1}^N \left[ y_n \log \mu_n + (1-y_n) "
     r"\log(1-\mu_n) \right]",
     {"y": T, "mu": P}, 0.713349887877465),
    ("murphy", r"\mu_n = \sigma(\mathbf{w}^\top \mathbf{x}_n)",
     {"w": V, "x_n": U}, 0.310025518872388),
    ("murphy", r"\mathbf{H} = \frac{1}{N} \mathbf{X}^\top \mathbf{S} \mathbf{X}",
     {"N": 2.0, "X": A, "S": S}, [[0.545, -0.555], [-0.555, 1.305]]),
    ("murphy", r"\text{RSS}(\mathbf{w}) = \frac{1}{2} \|\mathbf{X}\mathbf{w} - "
     r"\mathbf{y}\|_2^2 = \frac{1}{2} (\mathbf{X}\mathbf{w}-\mathbf{y})^\top "
     r"(\mathbf{X}\mathbf{w}-\mathbf{y})",
     {"X": A, "w": V, "y": U}, 1.08125),
    ("murphy", r"\text{lse}(\mathbf{a}) = \log \sum_{c=1}^C \exp(a_c)",
     {"a": V}, 0.701413277982752),
    ("murphy", r"\ell_{\text{huber}}(r, \delta) = \begin{cases} r^2/2 & \text{if } |r| \le "
     r"\delta \\ \delta |r| - \delta^2/2 & \text{if } |r| > \delta \end{cases}",
     {"r": 2.0, "delta": 1.0}, 1.5),
    ("murphy", r"\text{swish}(x; \beta) = x \sigma(\beta x)",
     {"x": 0.3, "beta": 2.0}, 0.193696891867739),
    ("murphy", r"\text{ELU}(a; \alpha) = \begin{cases} \alpha(e^a - 1) & \text{if } a \le 0 \\ "
     r"a & \text{if } a > 0 \end{cases}",
     {"a": -0.3, "alpha": 2.0}, -0.518363558636564),
    ("murphy", r"\mathbb{H}(p) = -\sum_{k=1}^K p_k \log_2 p_k",
     {"p": P}, 0.881290899230693),
    ("murphy", r"D_{\mathbb{KL}}(p \| q) = \sum_{k=1}^K p_k \log \frac{p_k}{q_k}",
     {"p": P, "q": U}, -0.0542805673641851),
    ("murphy", r"\text{GELU}(a) = \frac{a}{2}\left(1+\text{erf}(a/\sqrt{2})\right)",
     {"a": 0.3}, 0.185373426656686),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "printed", "values", "value"), COURSES, ids=[f"{c[0]} {c[1]}" for c in COURSES]
)
def test_the_formulas_of_courses(
    source: str, printed: str, values: dict[str, Any], value: Any
) -> None:
    e = explain.expression(printed, **values)
    np.testing.assert_allclose(e.value, value, rtol=1e-12, atol=1e-14)
    assert all(result.check.agrees for result in e.results)
    assert e.formula is not None
    for shown in (e.formula.latex(), f"<math>{e.formula.mathml()}</math>", e.formula.text()):
        np.testing.assert_allclose(explain_typed(shown, values).value, e.value, rtol=1e-12)


def test_there_are_at_least_sixty() -> None:
    assert len({printed for _, printed, *_ in COURSES}) >= 60
