"""Forty formulas that leave the finite numbers, by the kinds of numerical origins that GRIST
(FSE 2021) lists: what a user types, arguments at which it fails, and the expression to be named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.special


class Formula(NamedTuple):
    """``origin`` is the text of the expression that is to be named, in ``direction``; ``fixed``
    whether a form that stays finite is expected."""

    kind: str
    f: Callable[..., Any]
    args: tuple[Any, ...]
    direction: str
    origin: str
    fixed: bool = True


def A(*numbers: float, dtype: Any = float) -> np.ndarray:
    return np.array(numbers, dtype)


F32 = np.float32
FORMULAS: list[Formula] = []


def formula(
    kind: str, direction: str, origin: str, *args: Any, fixed: bool = True
) -> Callable[[Any], Any]:
    def register(f: Any) -> Any:
        FORMULAS.append(Formula(kind, f, args, direction, origin, fixed))
        return f

    return register


# log(0) ---------------------------------------------------------------------------------------


@formula("log(0)", "forward", "np.log(p)", A(0.0, 0.3, 0.7))
def entropy(p: Any) -> Any:
    return -np.sum(p * np.log(p))


@formula("log(0)", "forward", "np.log(y)", A(-800.0, 2.0), A(1.0, 0.0))
def cross_entropy_by_tanh(a: Any, t: Any) -> Any:
    y = 0.5 * (1 + np.tanh(a / 2))
    return -np.sum(t * np.log(y) + (1 - t) * np.log(1.0000001 - y))


@formula("log(0)", "forward", "np.log(q)", A(0.2, 0.8), A(0.0, 1.0))
def divergence(p: Any, q: Any) -> Any:
    return np.sum(p * (np.log(p) - np.log(q)))


@formula("log(0)", "forward", "np.log10(power)", A(0.0, 0.0))
def decibels(x: Any) -> Any:
    power = np.mean(x**2)
    return 10 * np.log10(power)


@formula("log(0)", "forward", "np.log(np.prod(x))", A(*[1e-9] * 50))
def likelihood(x: Any) -> Any:
    return np.log(np.prod(x))


# x / 0 ----------------------------------------------------------------------------------------


@formula("x/0", "forward", "tp / (tp + fp)", A(0.0, 0.0))
def precision(x: Any) -> Any:
    tp, fp = x[0], x[1]
    return tp / (tp + fp)


@formula("x/0", "forward", "x / np.sum(x)", A(0.0, 0.0, 0.0))
def normalised(x: Any) -> Any:
    return np.sum((x / np.sum(x)) ** 2)


@formula("x/0", "forward", "np.reciprocal(x)", A(1.0, 0.0))
def harmonic(x: Any) -> Any:
    return 1 / np.mean(np.reciprocal(x))


@formula("x/0", "forward", "(x - low) / (high - low)", A(3.0, 3.0, 3.0))
def scaled(x: Any) -> Any:
    low, high = np.min(x), np.max(x)
    return np.sum(((x - low) / (high - low)) ** 2)


@formula("x/0", "forward", "error / t", A(1.0, 2.0), A(1.0, 0.0))
def percentage(y: Any, t: Any) -> Any:
    error = np.abs(y - t)
    return np.mean(error / t)


# overflow of exp ------------------------------------------------------------------------------


@formula("exp overflow", "forward", "np.exp(x)", A(1000.0, 3.0))
def log_sum_exp(x: Any) -> Any:
    return np.log(np.sum(np.exp(x)))


@formula("exp overflow", "forward", "np.exp(x)", A(800.0, -3.0))
def softplus(x: Any) -> Any:
    return np.sum(np.log(1 + np.exp(x)))


@formula("exp overflow", "forward", "np.exp(-a)", A(-800.0, 2.0), A(1.0, 0.0))
def textbook_loss(a: Any, t: Any) -> Any:
    y = 1 / (1 + np.exp(-a))
    return -np.sum(t * np.log(y) + (1 - t) * np.log(1 - y))


@formula("exp overflow", "forward", "np.exp(x)", A(800.0, 1.0))
def hyperbolic_tangent(x: Any) -> Any:
    return np.sum((np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)))


@formula("exp overflow", "forward", "np.exp(z)", A(90.0, 1.0, dtype=F32), A(3.0, 1.0, dtype=F32))
def poisson_loss(z: Any, t: Any) -> Any:
    return np.sum(np.exp(z) - t * z)


@formula("exp overflow", "forward", "np.cosh(x)", A(900.0, 1.0))
def log_cosh(x: Any) -> Any:
    return np.sum(np.log(np.cosh(x)))


# sqrt(0) in the backward pass -----------------------------------------------------------------


@formula("sqrt(0)", "backward", "np.sqrt(x)", A(0.0, 4.0))
def roots(x: Any) -> Any:
    return np.sum(np.sqrt(x))


@formula("sqrt(0)", "backward", "np.sqrt(np.abs(x))", A(0.0, 4.0))
def roots_of_sizes(x: Any) -> Any:
    return np.sum(np.sqrt(np.abs(x)))


@formula("sqrt(0)", "backward", "x ** 0.5", A(0.0, 4.0))
def half_powers(x: Any) -> Any:
    return np.sum(x**0.5)


@formula("sqrt(0)", "backward", "np.sqrt(d)", A(1.0, 2.0), A(1.0, 2.0))
def sum_of_distances(x: Any, y: Any) -> Any:
    d = np.abs(x - y) * 2.0
    return np.sum(np.sqrt(d))


# softmax by hand ------------------------------------------------------------------------------


@formula("softmax", "forward", "np.exp(z)", A(800.0, 1.0, -3.0))
def softmax_loss(z: Any) -> Any:
    e = np.exp(z)
    p = e / np.sum(e)
    return -np.log(p[0])


@formula("softmax", "forward", "np.exp(z)", np.array([[800.0, 1.0], [2.0, 3.0]]))
def rows_of_softmax(z: Any) -> Any:
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    return np.sum(p[:, 0] ** 2)


@formula("softmax", "forward", "1 / np.exp(z)", A(-800.0, -900.0))
def softmax_of_small(z: Any) -> Any:
    e = 1 / np.exp(z)
    return np.sum(np.sqrt(np.sum(e) / e[0]))


# 0 * inf behind a where -----------------------------------------------------------------------


@formula("behind a where", "backward", "np.sqrt(r)", A(0.0, 0.0, 0.0))
def mean_root(r: Any) -> Any:
    s = np.sqrt(r) @ np.full(3, 1 / 3)
    return np.where(np.all(r == 0), 1.0, s)


@formula("behind a where", "backward", "np.log(x)", A(0.0, 2.0))
def chosen_sum(x: Any) -> Any:
    s = np.log(x) @ np.ones(2)
    return np.where(x[0] > 0, s, x[1])


@formula("behind a where", "backward", "np.sum(x) / n", A(1.0, 2.0), 0.0)
def mean_of_none(x: Any, n: Any) -> Any:
    m = (np.sum(x) / n * np.ones(3)) @ np.ones(3)
    return np.where(n > 0, m, 0.0)


# variance or norm at 0 ------------------------------------------------------------------------


@formula("variance at 0", "forward", "(x - np.mean(x)) / np.std(x)", A(2.0, 2.0, 2.0))
def standardised(x: Any) -> Any:
    return np.sum(((x - np.mean(x)) / np.std(x)) ** 3)


@formula("variance at 0", "forward", "x / np.linalg.norm(x)", A(0.0, 0.0))
def unit_vector(x: Any) -> Any:
    return np.sum(x / np.linalg.norm(x))


@formula(
    "variance at 0", "forward",
    "a @ b / (np.linalg.norm(a) * np.linalg.norm(b))", A(0.0, 0.0), A(1.0, 2.0),
)  # fmt: skip
def cosine(a: Any, b: Any) -> Any:
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


@formula("variance at 0", "backward", "v ** 0.5", A(1.0, 1.0))
def deviation(x: Any) -> Any:
    v = np.abs(np.mean(x * x) - np.mean(x) ** 2)
    return v**0.5


# log(1 - y) with y rounded to 1 ---------------------------------------------------------------


@formula("1 - y", "forward", "np.log(1 - y)", A(40.0, 1.0), A(0.0, 1.0))
def saturated_loss(a: Any, t: Any) -> Any:
    y = 1 / (1 + np.exp(-a))
    return -np.sum(t * np.log(y) + (1 - t) * np.log(1 - y))


@formula("1 - y", "forward", "np.log(1 - y)", A(40.0, 1.0))
def saturated_expit(a: Any) -> Any:
    y = scipy.special.expit(a)
    return -np.sum(np.log(1 - y))


@formula("1 - y", "forward", "np.arctanh(np.tanh(x))", A(40.0, 1.0))
def round_trip(x: Any) -> Any:
    return np.sum(np.arctanh(np.tanh(x)))


# powers at 0 ----------------------------------------------------------------------------------


@formula("powers at 0", "forward", "x ** p", A(0.0, 2.0), A(-1.0, 1.0))
def power_of_parameters(x: Any, p: Any) -> Any:
    return np.sum(x**p)


@formula("powers at 0", "backward", "x ** 0.3", A(0.0, 2.0))
def fractional_power(x: Any) -> Any:
    return np.sum(x**0.3)


# arccos at the border -------------------------------------------------------------------------


@formula("arccos", "backward", "np.arccos(c)", A(1.0, 0.0), A(1.0, 0.0))
def angle(a: Any, b: Any) -> Any:
    c = np.sum(a * b)
    return np.arccos(c)


@formula("arccos", "forward", "np.arcsin(x)", A(1.0000000000000002, 0.5))
def arcsine_past_the_border(x: Any) -> Any:
    return np.sum(np.arcsin(x))


# a learning rate that diverges ----------------------------------------------------------------


@formula("learning rate", "forward", "w ** 2", A(3.0, -2.0), 1.5, fixed=False)
def descent(w: Any, rate: Any) -> Any:
    def slope(w: Any) -> Any:
        return 4 * w * (w**2 - 1)

    for _ in range(12):
        w = w - rate * slope(w)
    return np.sum((w**2 - 1) ** 2)


# float32 overflow -----------------------------------------------------------------------------


@formula("float32 overflow", "forward", "x * x", A(1e25, 1.0, dtype=F32))
def euclidean(x: Any) -> Any:
    return np.sqrt(np.sum(x * x))


@formula("float32 overflow", "forward", "np.square(x)", A(1e25, 1e10, dtype=F32))
def energy(x: Any) -> Any:
    return np.mean(np.square(x))
