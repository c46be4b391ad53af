"""The optimisers of L1.6, with the semantics of their papers and of PyTorch.

``learning_rate`` is a number or a schedule. Weight decay touches leaves whose path matches
``decay_on``, by default the weights and not the biases (PyTorch decays all: ``decay_on="*"``).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from chainrule.core.settings import Named, number
from chainrule.core.told import told
from chainrule.core.tree import map_tree
from chainrule.errors import UsageError
from chainrule.optim.optimizer import (
    WEIGHTS,
    Optimizer,
    Tree,
    as_dtype,
    decay_factors,
    decayed,
    no_slots,
    per_leaf,
    zeros,
)
from chainrule.optim.quasi_newton import Lbfgs, lbfgs
from chainrule.optim.schedules import Schedule, constant, schedule


@told("optim.sgd")
def sgd(
    learning_rate: float | Schedule = 0.1,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay_on: str = WEIGHTS,
) -> Optimizer:
    """Gradient descent, with momentum and Nesterov's variant, as in PyTorch.

    ``u = momentum u + g``; the step is ``-learning_rate u``, or ``-learning_rate (g + momentum
    u)`` with ``nesterov``. scikit-learn keeps ``-learning_rate u`` instead of u: the same
    steps while the learning rate is constant. ``weight_decay`` adds ``weight_decay p`` to the
    gradient, before the momentum.

    (Polyak 1964; Nesterov 1983; Sutskever et al. 2013.)

    Raises:
        UsageError: a setting out of its range; nesterov without momentum; at the first step, a
            ``decay_on`` that matches no parameter.
    """
    if nesterov and not momentum:
        raise UsageError("nesterov needs a momentum, for example momentum=0.9")
    rate, momentum = schedule(learning_rate), number("momentum", momentum, at_least=0, below=1)
    settings = {"momentum": momentum, "nesterov": bool(nesterov)}
    settings |= _decay(weight_decay, decay_on)
    names = ("velocity",) if momentum else ()
    return Optimizer("sgd", partial(zeros, names), partial(_sgd, rate, settings), rate, settings)


def _sgd(
    rate: Schedule, by: dict[str, Any], gradients: Tree, slots: Tree, params: Tree, step: Any
) -> tuple[Tree, Tree]:
    eta, momentum = rate(step), by["momentum"]
    decays = iter(_decays(params, by))

    def plain(p: Any, g: Any) -> Any:
        return as_dtype(eta, p) * decayed(g, p, next(decays))

    def heavy(p: Any, g: Any, u: Any) -> tuple[Any, Any]:
        g = decayed(g, p, next(decays))
        u = momentum * u + g
        return as_dtype(eta, p) * (g + momentum * u if by["nesterov"] else u), u

    if not momentum:
        return map_tree(plain, params, gradients), {}
    moves, velocity = per_leaf(heavy, 2, params, gradients, slots["velocity"])
    return moves, {"velocity": velocity}


@told("optim.momentum")
def momentum(
    learning_rate: float | Schedule = 0.02, momentum: float = 0.9, nesterov: bool = False
) -> Optimizer:
    """``sgd`` with a momentum; the name that stands for it where optimisers go by name (L1.6).

    Args:
        learning_rate, momentum, nesterov: as ``sgd`` takes them.

    Raises:
        UsageError: a setting out of its range; nesterov with momentum 0.
    """
    return sgd(learning_rate, momentum, nesterov)


@told("optim.nesterov")
def nesterov(learning_rate: float | Schedule = 0.02, momentum: float = 0.9) -> Optimizer:
    """``sgd`` with Nesterov's momentum, likewise (L1.6; Nesterov 1983).

    Args:
        learning_rate, momentum: as ``sgd`` takes them.

    Raises:
        UsageError: a setting out of its range; momentum 0.
    """
    return sgd(learning_rate, momentum, nesterov=True)


@told("optim.rmsprop")
def rmsprop(
    learning_rate: float | Schedule = 1e-3,
    decay: float = 0.99,
    epsilon: float = 1e-8,
    momentum: float = 0.0,
) -> Optimizer:
    """Steps divided by a running root mean square of the gradients (Hinton, lecture 6e, 2012).

    ``v = decay v + (1 - decay) g^2``; the step is ``-learning_rate g / (sqrt(v) + epsilon)``;
    with momentum the quotient is collected, ``u = momentum u + quotient``, as in PyTorch (whose
    default learning rate is 1e-2; Hinton's and Keras's is 1e-3).

    Raises:
        UsageError: a setting out of its range.
    """
    rate, momentum = schedule(learning_rate), number("momentum", momentum, at_least=0, below=1)
    settings = {
        "decay": number("decay", decay, at_least=0, below=1),
        "epsilon": number("epsilon", epsilon, at_least=0),
        "momentum": momentum,
    }
    names = ("square", "velocity") if momentum else ("square",)
    direction = partial(_rmsprop, rate, settings)
    return Optimizer("rmsprop", partial(zeros, names), direction, rate, settings)


def _rmsprop(
    rate: Schedule, by: dict[str, Any], gradients: Tree, slots: Tree, params: Tree, step: Any
) -> tuple[Tree, Tree]:
    eta, decay, momentum = rate(step), by["decay"], by["momentum"]

    def rule(p: Any, g: Any, v: Any, *u: Any) -> tuple[Any, ...]:
        v = decay * v + (1.0 - decay) * (g * g)
        move = g / (np.sqrt(v) + by["epsilon"])
        if not momentum:
            return as_dtype(eta, p) * move, v
        move = momentum * u[0] + move
        return as_dtype(eta, p) * move, v, move

    names = ("square", "velocity") if momentum else ("square",)
    before = [slots[name] for name in names]
    moves, *after = per_leaf(rule, 1 + len(names), params, gradients, *before)
    return moves, dict(zip(names, after, strict=True))


@told("optim.adam")
def adam(
    learning_rate: float | Schedule = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    epsilon_hat: bool = False,
) -> Optimizer:
    """Adam (Kingma and Ba 2015), Algorithm 1, as in PyTorch and JAX.

    ``m = beta1 m + (1 - beta1) g``, ``v = beta2 v + (1 - beta2) g^2``; the step is
    ``-learning_rate m^ / (sqrt(v^) + epsilon)`` with ``m^ = m / (1 - beta1^t)``,
    ``v^ = v / (1 - beta2^t)``, t = 1, 2, ...

    ``epsilon_hat=True`` is the reordered form at the end of the paper's section 2, which
    scikit-learn uses: ``-learning_rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) +
    epsilon)``. The two differ by how epsilon weighs in early steps.

    Raises:
        UsageError: a setting out of its range.
    """
    return _adam("adam", learning_rate, beta1, beta2, epsilon, epsilon_hat, 0.0, WEIGHTS)


@told("optim.adamw")
def adamw(
    learning_rate: float | Schedule = 1e-3,
    weight_decay: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    decay_on: str = WEIGHTS,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), as in PyTorch.

    Before Adam's step the parameter is multiplied by ``1 - learning_rate weight_decay``.

    Args:
        learning_rate, beta1, beta2, epsilon: as ``adam`` takes them.
        weight_decay: the strength; it touches leaves whose path matches ``decay_on``.

    Raises:
        UsageError: a setting out of its range; at the first step, a ``decay_on`` that matches
            no parameter.
    """
    return _adam("adamw", learning_rate, beta1, beta2, epsilon, False, weight_decay, decay_on)


def _adam(
    name: str,
    learning_rate: float | Schedule,
    beta1: float,
    beta2: float,
    epsilon: float,
    epsilon_hat: bool,
    weight_decay: float,
    decay_on: str,
) -> Optimizer:
    rate = schedule(learning_rate)
    settings = {
        "beta1": number("beta1", beta1, at_least=0, below=1),
        "beta2": number("beta2", beta2, at_least=0, below=1),
        "epsilon": number("epsilon", epsilon, at_least=0),
        "epsilon_hat": bool(epsilon_hat),
    }
    settings |= _decay(weight_decay, decay_on)
    init, direction = partial(zeros, ("mean", "square")), partial(_adam_step, rate, settings)
    return Optimizer(name, init, direction, rate, settings)


def _adam_step(
    rate: Schedule, by: dict[str, Any], gradients: Tree, slots: Tree, params: Tree, step: Any
) -> tuple[Tree, Tree]:
    eta, beta1, beta2, epsilon = rate(step), by["beta1"], by["beta2"], by["epsilon"]
    first, second = bias_correction(beta1, step), bias_correction(beta2, step)
    decays = iter(_decays(params, by))
    # Algorithm 1 times sqrt(1 - beta2^t), above and below the fraction, is the reordered
    # form with a smaller epsilon. Scalars are joined in float64 before they meet a float32
    # array, and arrays are passed over as few times as the formula allows.
    size = eta * np.sqrt(second) / first
    small = epsilon if by["epsilon_hat"] else epsilon * np.sqrt(second)

    def rule(p: Any, g: Any, m: Any, v: Any) -> tuple[Any, Any, Any]:
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * (g * g)
        move = as_dtype(size, p) * m / (np.sqrt(v) + as_dtype(small, p))
        decay = next(decays)
        return (move + as_dtype(eta * decay, p) * p if decay else move), m, v

    moves, mean, square = per_leaf(rule, 3, params, gradients, slots["mean"], slots["square"])
    return moves, {"mean": mean, "square": square}


def frozen() -> Optimizer:
    """Leaves parameters as they are: for a group that should not learn."""
    return Optimizer("frozen", no_slots, _still, constant(0.0))


def _still(gradients: Tree, slots: Tree, params: Tree, step: Any) -> tuple[Tree, Tree]:
    return map_tree(lambda p: np.zeros((), p.dtype), params), {}


OPTIMIZERS = Named(
    "optimizer",
    {
        "adam": adam,
        "adamw": adamw,
        "rmsprop": rmsprop,
        "sgd": sgd,
        "momentum": momentum,
        "nesterov": nesterov,
        "lbfgs": lbfgs,
    },
    "optim.adam(1e-3)",
    lambda given: isinstance(given, (Optimizer, Lbfgs)),
)


def optimizer(name: str | Optimizer | Lbfgs, **settings: Any) -> Optimizer | Lbfgs:
    """The optimiser of this name, for example ``optimizer("adam", learning_rate=1e-2)``.

    Args:
        name: adam, adamw, rmsprop, sgd, momentum, nesterov or lbfgs; an optimiser stays as it is.
        settings: arguments for the function of that name.

    Raises:
        UsageError: no such name, or a setting that it does not have.
    """
    return OPTIMIZERS.value(name, settings)


def bias_correction(beta: float, step: Any) -> Any:
    """``1 - beta^t`` for t = step + 1, in float64 and without cancellation."""
    log_beta = math.log(beta) if beta else -math.inf
    return -np.expm1(log_beta * (step + 1.0))


def _decay(weight_decay: float, on: str) -> dict[str, Any]:
    weight_decay = number("weight_decay", weight_decay, at_least=0)
    return {"weight_decay": weight_decay, "decay_on": on} if weight_decay else {}


def _decays(params: Tree, by: dict[str, Any]) -> list[float]:
    return decay_factors(params, by.get("weight_decay", 0.0), by.get("decay_on", WEIGHTS))
