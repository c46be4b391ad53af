"""The gates of the lectures: what each is, what it passes back, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.told import Called
from chainrule.core.traced import Traced
from chainrule.ops.special import logistic
from chainrule.ops.stable import log_softmax, logsumexp, softmax
from chainrule.ops.structure import broadcast_to

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Kind:
    """A gate that the lectures draw as one.

    ``definition`` is the function; ``rules`` give, for the gradient g of the result y and the
    inputs, what each input receives (None: nothing is said of it). ``written``: formulas show it
    by the name ``name``, else as what it is made of. ``shown``: the input of the definition whose
    softmax or logistic stays a line of its own, ŷ.
    """

    name: str
    definition: Callable[..., Any]
    rules: tuple[Rule, ...]
    teaches: str
    written: bool = True
    settings: bool = False
    """Whether the rules take the keywords of the call, such as an axis."""
    alone: Rule | None = None
    """The slope of the loss by ŷ, of the target and ŷ, as the lecture writes it (L2.2)."""


def _larger(x: Any, z: Any) -> Any:
    return np.where(x > z, 1.0, 0.0)


def _norm2(x: Any) -> Any:
    return np.sum(x * x)


def _entropy(y: Any, p: Any) -> Any:
    return -np.sum(y * np.log(p))


def _two_classes(t: Any, p: Any) -> Any:
    return -t * np.log(p) - (1 - t) * np.log(1 - p)


def _rows(x: Any) -> Any:
    return np.sum(x, axis=-1, keepdims=True)


def _log_odds(y: Any, p: Any) -> Any:
    return np.log(1 - p) - np.log(p)


def _spread(g: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """A result over ``axis`` for each entry of ``x``."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return broadcast_to(g, x.shape)


def _mean(g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False) -> tuple[Any]:
    return (_spread(g / (x.size // y.size), x, axis, keepdims),)


def _var(
    g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0
) -> tuple[Any]:
    count = x.size // y.size - ddof
    mean = np.mean(x, axis=axis, keepdims=True) if axis is not None else np.mean(x)
    return (2 * (x - mean) * _spread(g, x, axis, keepdims) / count,)


def _std(
    g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0
) -> tuple[Any]:
    count = x.size // y.size - ddof
    mean = np.mean(x, axis=axis, keepdims=True) if axis is not None else np.mean(x)
    return ((x - mean) * _spread(g, x, axis, keepdims) / _spread(count * y, x, axis, keepdims),)


def _norm(g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False) -> tuple[Any]:
    return (x / _spread(y, x, axis, keepdims) * _spread(g, x, axis, keepdims),)


def _each(g: Any, z: Any) -> Any:
    """A loss's gradient for each of the outputs of an example."""
    if np.ndim(g) < np.ndim(z):
        g = np.expand_dims(g, -1)
    return broadcast_to(g, z.shape)


def _output_and_target(error: Callable[..., Any], back: Callable[..., Any] | None = None) -> Rule:
    """What a loss passes to its outputs, and to its targets: the opposite, or ``back``."""

    def rule(g: Any, y: Any, loss: Any, z: Any, t: Any) -> tuple[Any, Any, Any]:
        t = t if np.shape(t) == z.shape else np.reshape(t, z.shape)
        slope = error(z, t, loss) * _each(g, z)
        return None, slope, (-slope if back is None else back(z, t) * _each(g, z))

    return rule


def _one_hot(z: Any, t: Any) -> Any:
    return np.where(np.expand_dims(t, -1) == np.arange(z.shape[-1]), 1.0, 0.0)


def _class_error(g: Any, y: Any, loss: Any, z: Any, t: Any) -> tuple[Any, Any, Any]:
    """ŷ − y for whole numbers of classes: 1 is taken away at the right one."""
    return None, (softmax(z) - _one_hot(z, t)) * _each(g, z), None


def _tweedie(g: Any, y: Any, loss: Any, z: Any, t: Any) -> tuple[Any, Any, Any]:
    error = np.exp(z) - np.reshape(t, z.shape)
    return None, error * np.exp(z) ** (1 - loss.power) * _each(g, z), None


def _focal(g: Any, y: Any, loss: Any, z: Any, t: Any) -> tuple[Any, Any, Any]:
    """Of 0 or 1, with p the probability of the true one."""
    t = np.reshape(t, z.shape)
    p, gamma = np.where(t > 0.5, logistic(z), logistic(-z)), loss.gamma
    factor = (1 - p) ** gamma * (1 - gamma * p * np.log(p) / (1 - p))
    return None, (logistic(z) - t) * factor * _each(g, z), None


def _focal_of_classes(g: Any, y: Any, loss: Any, z: Any, t: Any) -> tuple[Any, Any, Any]:
    right = _one_hot(z, t)
    p, gamma = _rows(softmax(z) * right), loss.gamma
    factor = (1 - p) ** gamma * (1 - gamma * p * np.log(p) / (1 - p))
    return None, (softmax(z) - right) * factor * _each(g, z), None


def _margin(g: Any, y: Any, loss: Any, z: Any, t: Any) -> tuple[Any, Any, Any]:
    sign = 2 * np.reshape(t, z.shape) - 1
    return None, np.where(sign * z < 1, -sign, 0.0) * _each(g, z), None


def _largest_margin(g: Any, y: Any, loss: Any, z: Any, t: Any) -> tuple[Any, Any, Any]:
    right = t if np.shape(t) == z.shape else _one_hot(z, t)
    margins = z + 1 - right
    largest = np.max(margins, axis=-1, keepdims=True)
    return None, (np.where(margins == largest, 1.0, 0.0) - right) * _each(g, z), None


def _loss(name: str, *rules: Rule, teaches: str) -> Kind:
    return Kind(name, lambda: None, rules, teaches, written=False)


_DIFFERENCE = "The squared error passes back ŷ − y: what is predicted less what is true."
_MATCHED = "The loss and the output unit it belongs to together pass back ŷ − y (L2.4)."
CALLED: Mapping[str, Kind] = {
    "nn.SquaredError": _loss(
        "squared error", _output_and_target(lambda z, t, loss: z - t), teaches=_DIFFERENCE
    ),
    "nn.AbsoluteError": _loss(
        "absolute error", _output_and_target(lambda z, t, loss: np.sign(z - t)),
        teaches="The absolute error passes back the sign of the error, whatever its size.",
    ),
    "nn.Huber": _loss(
        "huber", _output_and_target(lambda z, t, loss: np.clip(z - t, -loss.delta, loss.delta)),
        teaches="Huber's loss passes back the error, cut off at delta.",
    ),
    "nn.BinaryCrossEntropy": _loss(
        "binary cross-entropy",
        _output_and_target(lambda z, t, loss: logistic(z) - t, lambda z, t: -z), teaches=_MATCHED,
    ),
    "nn.CategoricalCrossEntropy": _loss(
        "cross-entropy",
        _class_error,
        _output_and_target(lambda z, t, loss: softmax(z) - t, lambda z, t: -log_softmax(z)),
        teaches=_MATCHED,
    ),
    "nn.Quantile": _loss(
        "quantile",
        _output_and_target(lambda z, t, loss: np.where(z > t, round(1 - loss.q, 15), -loss.q)),
        teaches="The pinball loss passes back 1 - q where the prediction is too high, -q else.",
    ),
    "nn.Poisson": _loss(
        "poisson", _output_and_target(lambda z, t, loss: np.exp(z) - t, lambda z, t: -z),
        teaches=_MATCHED,
    ),
    "nn.Gamma": _loss(
        "gamma",
        _output_and_target(lambda z, t, loss: 1 - t / np.exp(z), lambda z, t: 1 / np.exp(z)),
        teaches="The gamma loss passes back the error relative to the prediction: (ŷ − y)/ŷ.",
    ),
    "nn.Tweedie": _loss(
        "tweedie", _tweedie,
        teaches="Tweedie's loss passes back ŷ − y, over the power p - 1 of the prediction.",
    ),
    "nn.Focal": _loss(
        "focal", _focal, _focal_of_classes,
        teaches="The focal loss passes back ŷ − y times a factor that is small for sure examples.",
    ),
    "nn.Hinge": _loss(
        "hinge", _margin, _largest_margin,
        teaches="The hinge loss passes back the sign of a margin that is too small, and else 0.",
    ),
    "var": Kind(
        "var", np.var, (_var,),
        "A variance passes each entry twice its distance from the mean, over the number of "
        "entries.", settings=True,
    ),
    "std": Kind(
        "std", np.std, (_std,),
        "A standard deviation passes each entry its distance from the mean, in standard "
        "deviations, over the number of entries.", settings=True,
    ),
    "trace": Kind(
        "trace", np.trace, (lambda g, y, x: (np.eye(x.shape[0]) * g,),),
        "A trace passes the gradient to the entries of the diagonal.",
    ),
    "nn.softmax": Kind(
        "softmax", softmax, (lambda g, y, x: (y * (g - _rows(y * g)),),),
        "Softmax: raising one score lowers the probability of all others, which add up to 1.",
    ),
    "nn.log_softmax": Kind(
        "log_softmax", log_softmax, (lambda g, y, x: (g - softmax(x) * _rows(g),),),
        "The logarithm of softmax passes the gradient on, less its sum shared as softmax shares.",
    ),
    "nn.logsumexp": Kind(
        "logsumexp", logsumexp, (lambda g, y, x: (softmax(x) * g,),),
        "The slope of log Σ exp is softmax.",
    ),
    "mean": Kind(
        "mean", np.mean, (_mean,), "A mean passes each entry an equal share of the gradient.",
        settings=True,
    ),
    "norm": Kind(
        "norm", np.linalg.norm, (_norm,),
        "The slope of a norm is the direction: the vector over its length.", settings=True,
    ),
}  # fmt: skip

SQUARED_NORM = Kind(
    "norm2", _norm2, (lambda g, y, x: (2 * x * g,),),
    "The slope of a squared norm is twice the vector (L1.3).",
)  # fmt: skip
SOFTMAX_ENTROPY = Kind(
    "softmax with cross-entropy",
    lambda y, a: _entropy(y, softmax(a)),
    (
        lambda g, y, t, a: (-np.log(softmax(a)) * g, (softmax(a) - t) * g),
        lambda g, y, t, a: (-np.log(softmax(a)) * g, (softmax(a) * _rows(t) - t) * g),
    ),
    "Softmax and cross-entropy together pass back ŷ − y: what is predicted less what is true.",
    written=False,
)
SOFTMAX_LIKELIHOOD = Kind(
    "softmax with log-likelihood",
    lambda y, a: np.sum(y * np.log(softmax(a))),
    tuple(
        lambda g, y, t, a, rule=rule: tuple(-part for part in rule(g, y, t, a))
        for rule in SOFTMAX_ENTROPY.rules
    ),
    "Softmax and the logarithm together pass back y − ŷ: what is true less what is predicted.",
    written=False,
)
LOGISTIC_ENTROPY = Kind(
    "logistic with cross-entropy",
    lambda t, z: _two_classes(t, logistic(z)),
    (lambda g, y, t, z: (_log_odds(t, logistic(z)) * g, (logistic(z) - t) * g),),
    "Logistic and cross-entropy together pass back ŷ − y: what is predicted less what is true.",
    written=False,
    alone=lambda t, p: (1 - t) / (1 - p) - t / p,
)
SHORTER: Mapping[str, tuple[Rule, ...]] = {
    "maximum": (
        lambda g, y, x, z: (_larger(x, z) * g, _larger(z, x) * g),
        lambda g, y, x, z: (g / 2, g / 2),
    ),
    "minimum": (
        lambda g, y, x, z: (_larger(z, x) * g, _larger(x, z) * g),
        lambda g, y, x, z: (g / 2, g / 2),
    ),
    "reduce_max": (lambda g, y, x: (np.where(x == y, 1.0, 0.0) * g,),),
    "reduce_min": (lambda g, y, x: (np.where(x == y, 1.0, 0.0) * g,),),
}
"""Operations whose own rule allows for ties; without one it is shorter."""


def of_call(rule: Rule, kind: Kind, call: Called) -> Rule:
    """A rule that speaks of all arguments of a call, for those of them that are nodes."""
    places = [i for i, x in enumerate(call.args) if hasattr(x, "node")]

    def parts(g: Traced, y: Traced, *traced: Traced) -> tuple[Any, ...]:
        if kind.settings:
            return rule(g, y, *traced, **_settings(call))
        given = call.given(traced)
        found = rule(g, y, *given)
        return tuple(found[i] for i in places) if len(found) == len(given) else found

    return parts


def _settings(call: Called) -> dict[str, Any]:
    """The keywords of a reduction, an axis given by its place among them."""
    given = dict(call.keywords)
    if len(call.args) == 2:
        given["axis"] = call.args[1]
    return {k: v for k, v in given.items() if v is not None}


def attributes(call: Called) -> tuple[tuple[str, Any], ...]:
    """What a formula says of a call besides its inputs: the axis."""
    kind = CALLED[call.name]
    return tuple(sorted(_settings(call).items())) if kind.settings else ()
