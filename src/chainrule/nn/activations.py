"""Activations: element-wise functions between the layers of a network (L0.2, L2.5).

Each is plain NumPy without a branch on values, written so that neither the value nor the
derivative leaves the finite numbers anywhere in the range of the dtype's usual inputs: what
``np.where`` does not select is computed from a harmless number instead.

At a kink the derivative is the one of the left branch: 0 for ``relu``, ``slope`` for
``leaky_relu``, ``alpha`` for ``elu``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from chainrule.errors import UsageError
from chainrule.ops.special import erfc, logistic
from chainrule.ops.stable import relu, softplus

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def identity(x: Any) -> Any:
    """``x`` itself; its slope is 1."""
    return x


def tanh(x: Any) -> Any:
    """The hyperbolic tangent; its slope is at most 1, at 0 (L2.5)."""
    return np.tanh(x)


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """``x`` where positive, ``slope * x`` elsewhere (Maas et al. 2013)."""
    return np.where(x > 0, x, slope * x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere (Clevert et al. 2016)."""
    # exp must not see a large positive x: it would overflow in the branch that is not taken,
    # and infinity times the zero cotangent of that branch is nan.
    negative = np.where(x > 0, 0.0, x)
    return np.where(x > 0, x, alpha * np.expm1(negative))


def selu(x: Any) -> Any:
    """Scaled ELU that keeps mean 0 and variance 1 (Klambauer et al. 2017)."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def gelu(x: Any) -> Any:
    """``x Phi(x)`` with the normal distribution function Phi, exact (Hendrycks, Gimpel 2016)."""
    # erfc, not 1 + erf: the left tail keeps its relative accuracy.
    return 0.5 * x * erfc(-math.sqrt(0.5) * x)


def gelu_tanh(x: Any) -> Any:
    """The approximation of ``gelu`` by a tanh, ``0.5 x (1 + tanh(u))`` (same paper)."""
    # 0.5 (1 + tanh(u)) is logistic(2 u), which does not cancel in the left tail.
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return x * logistic(2.0 * u)


def silu(x: Any) -> Any:
    """``x logistic(x)``, also called Swish (Elfwing et al. 2017; Ramachandran et al. 2017)."""
    return x * logistic(x)


def mish(x: Any) -> Any:
    """``x tanh(softplus(x))`` (Misra 2019)."""
    return x * np.tanh(softplus(x))


@dataclass(frozen=True)
class Activation:
    """An activation with its settings: call it with an array.

    Attributes:
        name: the name in ``ACTIVATIONS``.
        settings: the constants it was made with, for example ``(("slope", 0.2),)``.
        init: the name of the initialiser that keeps the scale of the signal through it.
    """

    name: str
    settings: tuple[tuple[str, float], ...] = ()
    init: str = "glorot_uniform"

    def __call__(self, x: Any) -> Any:
        return self.function(x)

    @property
    def function(self) -> Callable[[Any], Any]:
        function = ACTIVATIONS[self.name][0]
        return partial(function, **dict(self.settings)) if self.settings else function

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value:g}" for name, value in self.settings)
        return f"{self.name}({listed})" if listed else self.name


# Name -> (function, settings it takes, initialiser that fits). Initialisers: Glorot and Bengio
# 2010 for functions that are linear around 0; He et al. 2015 for those that drop half of the
# signal; LeCun et al. 1998 as the SELU paper asks.
ACTIVATIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...], str]] = {
    "identity": (identity, (), "glorot_uniform"),
    "logistic": (logistic, (), "glorot_uniform"),
    "tanh": (tanh, (), "glorot_uniform"),
    "relu": (relu, (), "he_normal"),
    "leaky_relu": (leaky_relu, ("slope",), "he_normal"),
    "elu": (elu, ("alpha",), "he_normal"),
    "selu": (selu, (), "lecun_normal"),
    "gelu": (gelu, (), "he_normal"),
    "gelu_tanh": (gelu_tanh, (), "he_normal"),
    "silu": (silu, (), "he_normal"),
    "mish": (mish, (), "he_normal"),
    "softplus": (softplus, (), "he_normal"),
}

ALIASES = {"linear": "identity", "sigmoid": "logistic", "swish": "silu"}


def activation(name: str | Activation, **settings: float) -> Activation:
    """The activation of this name, for example ``activation("leaky_relu", slope=0.2)``.

    Raises:
        UsageError: no such name, or a setting that it does not have.
    """
    if isinstance(name, Activation):
        return name
    known = ALIASES.get(name, name)
    if known not in ACTIVATIONS:
        raise UsageError(
            f"unknown activation {name!r}; known are {', '.join(ACTIVATIONS)} "
            f"(and {', '.join(f'{alias} for {meant}' for alias, meant in ALIASES.items())})"
        )
    _, allowed, init = ACTIVATIONS[known]
    for setting in settings:
        if setting not in allowed:
            takes = " and ".join(allowed) or "no settings"
            raise UsageError(f"activation {known} has no setting {setting!r}; it takes {takes}")
    return Activation(known, tuple((k, float(v)) for k, v in settings.items()), init)
