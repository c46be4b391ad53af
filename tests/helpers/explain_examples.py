"""The lectures' examples, written with the lectures' own names, for the tests of explanations.

Beside each stands what its numbers must be, worked out by hand from the slides' formulas with
Python's ``math`` alone: by name of the quantity, its value and the derivative by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Pair = tuple[Any, Any]


class Example(NamedTuple):
    """A function, where it is explained, and its numbers worked out by hand."""

    function: Callable[..., Any]
    point: tuple[Any, ...]
    derived: Callable[[], dict[str, Pair]]


def sigma(a: float) -> float:
    return 1 / (1 + math.exp(-a))


# L1.3 -------------------------------------------------------------------------------------


def product(x: Any, y: Any, z: Any) -> Any:
    q = x + y
    return q * z


def product_numbers() -> dict[str, Pair]:
    return {"x": (-2, -4), "y": (5, -4), "z": (-4, 3), "q": (3, -4), "f": (-12, 1)}


def neuron(w0: Any, x0: Any, w1: Any, x1: Any, b: Any) -> Any:
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + b)))


def neuron_numbers() -> dict[str, Pair]:
    w0, x0, w1, x1, b = 2.0, -1.0, -3.0, -2.0, -3.0
    a = w0 * x0 + w1 * x1 + b
    f = sigma(a)
    g = f * (1 - f)
    e = math.exp(-a)
    return {
        "w0": (w0, g * x0),
        "x0": (x0, g * w0),
        "w1": (w1, g * x1),
        "x1": (x1, g * w1),
        "b": (b, g),
        "q1": (w0 * x0, g),
        "q2": (w1 * x1, g),
        "r": (w0 * x0 + w1 * x1, g),
        "q": (a, g),
        "s": (-a, -g),
        "p": (e, -f * f),
        "m": (1 + e, -f * f),
        "f": (f, 1),
    }


def squared_norm(W: Any, x: Any) -> Any:
    q = W @ x
    return np.sum(q**2)


def squared_norm_numbers() -> dict[str, Pair]:
    W, x = [[0.1, 0.5], [-0.3, 0.8]], [0.2, 0.4]
    q = [sum(w * v for w, v in zip(row, x, strict=True)) for row in W]
    return {
        "W": (W, [[2 * a * v for v in x] for a in q]),
        "x": (x, [2 * sum(W[i][j] * q[i] for i in range(2)) for j in range(2)]),
        "q": (q, [2 * a for a in q]),
        "r": ([a * a for a in q], [1, 1]),
        "f": (sum(a * a for a in q), 1),
    }


# L4.2, L4.3 ---------------------------------------------------------------------------------


def J(x: Any) -> Any:
    return np.cos(np.sin(x**2) + 3 * x**2)


def J_numbers() -> dict[str, Pair]:
    x = 1.0
    t = x * x
    u1, u2 = math.sin(t), 3 * t
    u = u1 + u2
    du = -math.sin(u)
    dt = du * math.cos(t) + du * 3
    return {
        "x": (x, dt * 2 * x),
        "t": (t, dt),
        "u1": (u1, du),
        "u2": (u2, du),
        "u": (u, du),
        "J": (math.cos(u), 1),
    }


def quiz(x: Any, z: Any) -> Any:
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


def quiz_numbers() -> dict[str, Pair]:
    x, z = 2.0, 3.0
    q, t = x * z, math.log(x)
    u = math.sin(t)
    y1, y2, y3 = math.exp(q), q / t, u / q
    dq = y1 + 1 / t - u / (q * q)
    dt = -q / (t * t) + math.cos(t) / q
    return {
        "x": (x, dq * z + dt / x),
        "z": (z, dq * x),
        "q": (q, dq),
        "t": (t, dt),
        "u": (u, 1 / q),
        "y1": (y1, 1),
        "y2": (y2, 1),
        "y3": (y3, 1),
        "r": (y1 + y2, 1),
        "y": (y1 + y2 + y3, 1),
    }


# L4.4: case 1, logistic regression; case 2, one hidden layer; L4.6, two hidden layers ---------


def regression(theta: Any, x: Any, y_star: Any) -> Any:
    from scipy.special import expit

    a = np.dot(theta, x)
    y = expit(a)
    return y_star * np.log(y) + (1 - y_star) * np.log(1 - y)


def regression_numbers() -> dict[str, Pair]:
    theta, x, star = [0.1, -0.2, 0.3], [1.0, 2.0, -1.5], 1.0
    a = sum(p * v for p, v in zip(theta, x, strict=True))
    y = sigma(a)
    dy = star / y + (1 - star) / (y - 1)
    da = dy * y * (1 - y)
    return {
        "theta": (theta, [da * v for v in x]),
        "x": (x, [da * p for p in theta]),
        "y_star": (star, math.log(y) - math.log(1 - y)),
        "a": (a, da),
        "y": (y, dy),
        "J": (star * math.log(y) + (1 - star) * math.log(1 - y), 1),
    }


def hidden(alpha: Any, beta: Any, x: Any, y_star: Any) -> Any:
    from scipy.special import expit

    a = alpha @ x
    z = expit(a)
    b = beta @ z
    y = expit(b)
    return y_star * np.log(y) + (1 - y_star) * np.log(1 - y)


def hidden_numbers() -> dict[str, Pair]:
    alpha, beta, x = [[0.5, -1.0], [0.25, 0.75], [1.5, 0.1]], [1.0, -2.0, 0.5], [0.6, -0.4]
    a = [sum(w * v for w, v in zip(row, x, strict=True)) for row in alpha]
    z = [sigma(v) for v in a]
    b = sum(w * v for w, v in zip(beta, z, strict=True))
    y, star = sigma(b), 0.0
    dy = star / y + (1 - star) / (y - 1)
    db = dy * y * (1 - y)
    dz = [db * w for w in beta]
    da = [d * v * (1 - v) for d, v in zip(dz, z, strict=True)]
    return {
        "alpha": (alpha, [[d * v for v in x] for d in da]),
        "beta": (beta, [db * v for v in z]),
        "x": (x, [sum(da[j] * alpha[j][i] for j in range(3)) for i in range(2)]),
        "a": (a, da),
        "z": (z, dz),
        "b": (b, db),
        "y": (y, dy),
        "J": (math.log(1 - y), 1),
    }


def deep(W1: Any, W2: Any, w3: Any, x: Any) -> Any:
    from scipy.special import expit

    z1 = expit(x @ W1)
    z2 = expit(z1 @ W2)
    y = expit(z2 @ w3)
    return -np.log(y)


def deep_numbers() -> dict[str, Pair]:
    W1, W2 = [[0.1, 0.4], [-0.3, 0.2]], [[0.5, -0.6], [0.7, 0.8]]
    w3, x = [1.2, -0.9], [1.0, 2.0]
    two = range(2)
    a1 = [sum(x[i] * W1[i][j] for i in two) for j in two]
    z1 = [sigma(v) for v in a1]
    a2 = [sum(z1[i] * W2[i][j] for i in two) for j in two]
    z2 = [sigma(v) for v in a2]
    a3 = sum(z2[i] * w3[i] for i in two)
    y = sigma(a3)
    d3 = y - 1
    dz2 = [d3 * w for w in w3]
    d2 = [dz2[j] * z2[j] * (1 - z2[j]) for j in two]
    dz1 = [sum(d2[j] * W2[i][j] for j in two) for i in two]
    d1 = [dz1[i] * z1[i] * (1 - z1[i]) for i in two]
    return {
        "W1": (W1, [[x[i] * d1[j] for j in two] for i in two]),
        "W2": (W2, [[z1[i] * d2[j] for j in two] for i in two]),
        "w3": (w3, [d3 * v for v in z2]),
        "x": (x, [sum(d1[j] * W1[i][j] for j in two) for i in two]),
        "z1": (z1, dz1),
        "z2": (z2, dz2),
        "y": (y, -1 / y),
        "J": (-math.log(y), 1),
    }


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    function.__name__ = name
    return function


def arrays(*values: Any) -> tuple[Any, ...]:
    return tuple(np.array(v) if isinstance(v, list) else float(v) for v in values)


EXAMPLES: dict[str, Example] = {
    "l1_3_product": Example(_named(product, "f"), (-2.0, 5.0, -4.0), product_numbers),
    "l1_3_neuron": Example(_named(neuron, "f"), (2.0, -1.0, -3.0, -2.0, -3.0), neuron_numbers),
    "l1_3_squared_norm": Example(
        _named(squared_norm, "f"),
        arrays([[0.1, 0.5], [-0.3, 0.8]], [0.2, 0.4]),
        squared_norm_numbers,
    ),
    "l4_2_quiz": Example(_named(quiz, "y"), (2.0, 3.0), quiz_numbers),
    "l4_3_J": Example(J, (1.0,), J_numbers),
    "l4_4_regression": Example(
        _named(regression, "J"),
        arrays([0.1, -0.2, 0.3], [1.0, 2.0, -1.5], 1.0),
        regression_numbers,
    ),
    "l4_4_hidden": Example(
        _named(hidden, "J"),
        arrays([[0.5, -1.0], [0.25, 0.75], [1.5, 0.1]], [1.0, -2.0, 0.5], [0.6, -0.4], 0.0),
        hidden_numbers,
    ),
    "l4_6_deep": Example(
        _named(deep, "J"),
        arrays([[0.1, 0.4], [-0.3, 0.2]], [[0.5, -0.6], [0.7, 0.8]], [1.2, -0.9], [1.0, 2.0]),
        deep_numbers,
    ),
}
