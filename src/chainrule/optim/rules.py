"""The optimisers of L1.6, with the semantics of their papers and of PyTorch.

``learning_rate`` is a number or a schedule. Weight decay touches leaves whose path matches
``decay_on``, by default the weights and not the biases (PyTorch decays all: ``decay_on="*"``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import UsageError
from chainrule.optim.optimizer import (
    Optimizer,
    Tree,
    as_dtype,
    decay_factors,
    per_leaf,
    zeros_like,
)
from chainrule.optim.schedules import Schedule, constant, schedule

WEIGHTS = "*weights"


def sgd(
    learning_rate: float | Schedule,
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
    """
    rate = schedule(learning_rate)
    _share("momentum", momentum)
    _at_least_0("weight_decay", weight_decay)
    if nesterov and not momentum:
        raise UsageError("nesterov needs a momentum, for example momentum=0.9")

    def init(params: Tree) -> Tree:
        return {"velocity": zeros_like(params)} if momentum else {}

    def update(gradients: Tree, slots: Tree, params: Tree, step: Any) -> tuple[Tree, Tree]:
        eta = rate(step)
        decays = iter(decay_factors(params, weight_decay, decay_on))

        def plain(p: Any, g: Any) -> tuple[Any]:
            return (p - as_dtype(eta, p) * _decayed(g, p, next(decays)),)

        def heavy(p: Any, g: Any, u: Any) -> tuple[Any, Any]:
            g = _decayed(g, p, next(decays))
            u = momentum * u + g
            return p - as_dtype(eta, p) * (g + momentum * u if nesterov else u), u

        if not momentum:
            return per_leaf(plain, 1, params, gradients)[0], {}
        params, velocity = per_leaf(heavy, 2, params, gradients, slots["velocity"])
        return params, {"velocity": velocity}

    settings = {"momentum": momentum, "nesterov": nesterov, **_decay(weight_decay, decay_on)}
    return Optimizer("sgd", init, update, rate, settings)


def rmsprop(
    learning_rate: float | Schedule = 1e-2,
    decay: float = 0.99,
    epsilon: float = 1e-8,
    momentum: float = 0.0,
) -> Optimizer:
    """Steps divided by a running root mean square of the gradients (Hinton, lecture 6e, 2012).

    ``v = decay v + (1 - decay) g^2``; the step is ``-learning_rate g / (sqrt(v) + epsilon)``;
    with momentum the quotient is collected, ``u = momentum u + quotient``, as in PyTorch.
    """
    rate = schedule(learning_rate)
    _share("decay", decay)
    _share("momentum", momentum)
    _at_least_0("epsilon", epsilon)

    def init(params: Tree) -> Tree:
        slots = {"square": zeros_like(params)}
        return slots | {"velocity": zeros_like(params)} if momentum else slots

    def update(gradients: Tree, slots: Tree, params: Tree, step: Any) -> tuple[Tree, Tree]:
        eta = rate(step)

        def plain(p: Any, g: Any, v: Any) -> tuple[Any, Any]:
            v = decay * v + (1.0 - decay) * (g * g)
            return p - as_dtype(eta, p) * (g / (np.sqrt(v) + epsilon)), v

        def heavy(p: Any, g: Any, v: Any, u: Any) -> tuple[Any, Any, Any]:
            v = decay * v + (1.0 - decay) * (g * g)
            u = momentum * u + g / (np.sqrt(v) + epsilon)
            return p - as_dtype(eta, p) * u, v, u

        if not momentum:
            params, square = per_leaf(plain, 2, params, gradients, slots["square"])
            return params, {"square": square}
        params, square, velocity = per_leaf(
            heavy, 3, params, gradients, slots["square"], slots["velocity"]
        )
        return params, {"square": square, "velocity": velocity}

    settings = {"decay": decay, "epsilon": epsilon, "momentum": momentum}
    return Optimizer("rmsprop", init, update, rate, settings)


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
    """
    return _adam("adam", learning_rate, beta1, beta2, epsilon, epsilon_hat, 0.0, WEIGHTS)


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
    _share("beta1", beta1)
    _share("beta2", beta2)
    _at_least_0("epsilon", epsilon)
    _at_least_0("weight_decay", weight_decay)

    def init(params: Tree) -> Tree:
        return {"mean": zeros_like(params), "square": zeros_like(params)}

    def update(gradients: Tree, slots: Tree, params: Tree, step: Any) -> tuple[Tree, Tree]:
        eta = rate(step)
        first, second = bias_correction(beta1, step), bias_correction(beta2, step)
        decays = iter(decay_factors(params, weight_decay, decay_on))
        # Algorithm 1 times sqrt(1 - beta2^t), above and below the fraction, is the reordered
        # form with a smaller epsilon. Scalars are joined in float64 before they meet a float32
        # array, and arrays are passed over as few times as the formula allows.
        size = eta * np.sqrt(second) / first
        small = epsilon if epsilon_hat else epsilon * np.sqrt(second)

        def rule(p: Any, g: Any, m: Any, v: Any) -> tuple[Any, Any, Any]:
            m = beta1 * m + (1.0 - beta1) * g
            v = beta2 * v + (1.0 - beta2) * (g * g)
            decay = next(decays)
            kept = p * as_dtype(1.0 - eta * decay, p) if decay else p
            return kept - as_dtype(size, p) * m / (np.sqrt(v) + as_dtype(small, p)), m, v

        params, mean, square = per_leaf(rule, 3, params, gradients, slots["mean"], slots["square"])
        return params, {"mean": mean, "square": square}

    settings = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "epsilon_hat": epsilon_hat}
    return Optimizer(name, init, update, rate, settings | _decay(weight_decay, decay_on))


def frozen() -> Optimizer:
    """Leaves parameters as they are: for a group that should not learn."""

    def update(gradients: Tree, slots: Tree, params: Tree, step: Any) -> tuple[Tree, Tree]:
        return params, {}

    return Optimizer("frozen", lambda params: {}, update, constant(0.0))


def bias_correction(beta: float, step: Any) -> Any:
    """``1 - beta^t`` for t = step + 1, in float64 and without cancellation."""
    log_beta = math.log(beta) if beta else -math.inf
    return -np.expm1(log_beta * (step + 1.0))


def _decayed(g: Any, p: Any, decay: float) -> Any:
    return g + decay * p if decay else g


def _decay(weight_decay: float, on: str) -> dict[str, Any]:
    return {"weight_decay": weight_decay, "decay_on": on} if weight_decay else {}


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise UsageError(f"{name} lies in [0, 1), not {value}")


def _at_least_0(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise UsageError(f"{name} must be finite and at least 0, not {value}")
