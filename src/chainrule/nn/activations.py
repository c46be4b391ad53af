"""Activations: element-wise functions between the layers of a network (L0.2, L2.5).

Each is plain NumPy without a branch on values, written so that neither the value nor the
derivative leaves the finite numbers anywhere in the range of the dtype's usual inputs: what
``np.where`` does not select is computed from a harmless number instead.

At a kink the derivative is the one of the left branch: 0 for ``relu``, ``slope`` for
``leaky_relu``, ``alpha`` for ``elu``.

All take an array of any shape and return one of that shape; of a number, a NumPy number. Floats
keep their dtype. Text, complex numbers and floats of other widths than 32 and 64 bits raise a
``DtypeError``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import numpy as np

from chainrule.core.settings import Named, number
from chainrule.core.told import told
from chainrule.core.traced import Traced
from chainrule.core.types import check_dtype, plain_array
from chainrule.ops import stable
from chainrule.ops.special import erfc, logistic

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _as_ufunc(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` of anything NumPy's ufuncs take, with what they return: numbers of numbers."""

    @told(f"nn.{f.__name__}")
    @wraps(f)
    def wrapped(x: Any, *args: Any, **settings: Any) -> Any:
        if isinstance(x, Traced):
            return f(x, *args, **settings)
        array = plain_array(x, "x")
        check_dtype(array.dtype)
        return f(array, *args, **settings)[()]

    return wrapped


relu, softplus = _as_ufunc(stable.relu), _as_ufunc(stable.softplus)


@_as_ufunc
def identity(x: Any) -> Any:
    """``x`` itself; its slope is 1."""
    return x


@_as_ufunc
def tanh(x: Any) -> Any:
    """The hyperbolic tangent of ``x``; its slope is at most 1, at 0 (L2.5)."""
    return np.tanh(x)


@_as_ufunc
def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """``x`` where positive, ``slope * x`` elsewhere (Maas et al. 2013)."""
    return np.where(x > 0, x, slope * x)


@_as_ufunc
def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere (Clevert et al. 2016)."""
    # exp must not see a large positive x: it would overflow in the branch that is not taken,
    # and infinity times the zero cotangent of that branch is nan.
    negative = np.where(x > 0, 0.0, x)
    return np.where(x > 0, x, alpha * np.expm1(negative))


@_as_ufunc
def selu(x: Any) -> Any:
    """1.0507 times the ELU of ``x`` with alpha 1.6733: keeps mean 0 and variance 1 through the
    layers of a network (Klambauer et al. 2017)."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


@_as_ufunc
def gelu(x: Any) -> Any:
    """``x Phi(x)`` with the normal distribution function Phi, exact (Hendrycks, Gimpel 2016)."""
    # erfc, not 1 + erf: the left tail keeps its relative accuracy.
    return 0.5 * x * erfc(-math.sqrt(0.5) * x)


@_as_ufunc
def gelu_tanh(x: Any) -> Any:
    """The approximation of ``gelu`` by a tanh, ``0.5 x (1 + tanh(u))`` (same paper)."""
    # 0.5 (1 + tanh(u)) is logistic(2 u), which does not cancel in the left tail.
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return x * logistic(2.0 * u)


@_as_ufunc
def silu(x: Any) -> Any:
    """``x logistic(x)``, also called Swish (Elfwing et al. 2017; Ramachandran et al. 2017)."""
    return x * logistic(x)


@_as_ufunc
def mish(x: Any) -> Any:
    """``x tanh(softplus(x))`` (Misra 2019)."""
    # With s = logistic(x) and q = s (2 - s), tanh(log(1 + exp(x))) is q / (2 - q): one
    # exponential, and no cancellation in the left tail.
    s = logistic(x)
    q = s * (2.0 - s)
    return x * (q * np.reciprocal(2.0 - q))


@dataclass(frozen=True)
class Activation:
    """An activation with its settings: call it with an array.

    Attributes:
        name: the name in ``ACTIVATIONS``, or that of a function of your own.
        settings: the constants it was made with, for example ``(("slope", 0.2),)``.
        init: the name of the initialiser that keeps the scale of the signal through it.
        own: the function, where it is none of ``ACTIVATIONS``.
    """

    name: str
    settings: tuple[tuple[str, float], ...] = ()
    init: str = "glorot_uniform"
    own: Callable[[Any], Any] | None = None

    def __call__(self, x: Any) -> Any:
        return self.function(x)

    @property
    def function(self) -> Callable[[Any], Any]:
        """What is called with an array."""
        function = self.own or ACTIVATIONS[self.name][0]
        return partial(function, **dict(self.settings)) if self.settings else function

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value:g}" for name, value in self.settings)
        return f"{self.name}({listed})" if listed else self.name


# Name -> (function, initialiser that fits). Initialisers: Glorot and Bengio 2010 for functions
# that are linear around 0; He et al. 2015 for those that drop half of the signal; LeCun et al.
# 1998 as the SELU paper asks.
ACTIVATIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "identity": (identity, "glorot_uniform"),
    "logistic": (logistic, "glorot_uniform"),
    "tanh": (tanh, "glorot_uniform"),
    "relu": (relu, "he_normal"),
    "leaky_relu": (leaky_relu, "he_normal"),
    "elu": (elu, "he_normal"),
    "selu": (selu, "lecun_normal"),
    "gelu": (gelu, "he_normal"),
    "gelu_tanh": (gelu_tanh, "he_normal"),
    "silu": (silu, "he_normal"),
    "mish": (mish, "he_normal"),
    "softplus": (softplus, "he_normal"),
}

ALIASES = {"linear": "identity", "sigmoid": "logistic", "swish": "silu"}

_NAMED = Named(
    "activation",
    {name: function for name, (function, _) in ACTIVATIONS.items()},
    'nn.activation("leaky_relu", slope=0.2)',
    callable,
    ALIASES,
    skip=1,
)


def activation(name: str | Activation | Callable[[Any], Any], **settings: float) -> Activation:
    """The activation of this name, for example ``activation("leaky_relu", slope=0.2)``.

    Args:
        name: one of ``ACTIVATIONS``, or linear, sigmoid, swish; an activation stays as it is, and
            a function of an array, ours or your own, becomes one.
        settings: the constants of one given by name: ``slope`` of leaky_relu, ``alpha`` of elu.

    Raises:
        UsageError: no such name, a setting that it does not have, or one that is not finite.
    """
    known = next((n for n, (f, _) in ACTIVATIONS.items() if f is name), name)
    found = _NAMED.value(known, settings, _made)
    if isinstance(found, Activation):
        return found
    return Activation(getattr(found, "__name__", "function"), own=found)


def _made(name: str, settings: Mapping[str, Any]) -> Activation:
    checked = tuple((k, number(k, v)) for k, v in settings.items())
    return Activation(name, checked, ACTIVATIONS[name][1])
