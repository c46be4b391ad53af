"""Logistic functions, softmax and their logarithms, as losses are typed in textbooks."""

from __future__ import annotations

from chainrule.compile.patterns import (
    Rewrite,
    apply,
    constant_like,
    inner,
    inputs_of,
    made_by,
    number,
)
from chainrule.core.traced import Traced

# Patterns ---------------------------------------------------------------------------------


def _exponent(x: Traced) -> Traced | None:
    """a where x is exp(a)."""
    return inner(x) if made_by(x, "exp") else None


def _one_plus_exp(x: Traced) -> Traced | None:
    """a where x is 1 + exp(a)."""
    if not made_by(x, "add"):
        return None
    for one, other in (inputs_of(x), reversed(inputs_of(x))):
        if number(one) == 1:
            return _exponent(other)
    return None


def _minus(a: Traced) -> Traced:
    return inner(a) if made_by(a, "negative") else -a


def _top(a: Traced, axes: tuple[int, ...]) -> Traced:
    """The maximum along ``axes`` as a constant, 0 where it is infinite."""
    top = apply("stop_gradient", apply("reduce_max", a, axes=axes))
    return apply("select", apply("isfinite", top), top, constant_like(top, 0.0))


def _spread(x: Traced, a: Traced, axes: tuple[int, ...]) -> Traced:
    kept = tuple(k for k in range(a.ndim) if k not in axes)
    return apply("broadcast", x, shape=a.shape, axes=kept)


# Rewrites ---------------------------------------------------------------------------------


def _logistic(x: Traced, z: Traced) -> Traced | None:
    a = _one_plus_exp(z)
    if a is None:
        return None
    if number(x) == 1:
        return apply("logistic", _minus(a))
    numerator = _exponent(x)
    same = numerator is not None and numerator.node is a.node
    return apply("logistic", a) if same else None


def _reciprocal(z: Traced) -> Traced | None:
    a = _one_plus_exp(z)
    return None if a is None else apply("logistic", _minus(a))


def _one_minus_logistic(x: Traced, z: Traced) -> Traced | None:
    if number(x) != 1 or not made_by(z, "logistic"):
        return None
    return apply("logistic", _minus(inner(z)))


def _softmax(x: Traced, z: Traced) -> Traced | None:
    """exp(a) over its own sum: both divided by the exponential of the maximum."""
    a = _exponent(x)
    if a is None or _shifted(a):
        return None
    if not z.shape:
        total, kept = z, ()
    elif made_by(z, "broadcast"):
        (total,), kept = inputs_of(z), z.node.attrs["axes"]
    else:
        return None
    shape = total.shape
    while made_by(total, "reshape"):
        (total,) = inputs_of(total)
    if (
        not made_by(total, "reduce_sum")
        or total.shape != shape
        or total.node.inputs[0] is not x.node
    ):
        return None
    axes = total.node.attrs["axes"]
    if tuple(kept) != tuple(k for k in range(a.ndim) if k not in axes):
        return None
    e = apply("exp", a - _spread(_top(a, axes), a, axes))
    return e / _spread(apply("reduce_sum", e, axes=axes), a, axes)


def _log_logistic(x: Traced) -> Traced | None:
    return apply("log_logistic", inner(x)) if made_by(x, "logistic") else None


def _softplus(x: Traced) -> Traced | None:
    a = _one_plus_exp(x)
    return None if a is None else apply("logaddexp", a, constant_like(a, 0.0))


def _softplus_log1p(x: Traced) -> Traced | None:
    a = _exponent(x)
    return None if a is None else apply("logaddexp", a, constant_like(a, 0.0))


def _log_quotient(x: Traced) -> Traced | None:
    """log(exp(a) / z) as a - log z, which is how the logarithm of a softmax is meant."""
    if not made_by(x, "divide"):
        return None
    numerator, z = inputs_of(x)
    a = _exponent(numerator)
    return None if a is None else a - apply("log", z)


def _log_sum_exp(x: Traced) -> Traced | None:
    shape = x.shape
    while made_by(x, "reshape"):
        (x,) = inputs_of(x)
    if not made_by(x, "reduce_sum"):
        return None
    a = _exponent(inner(x))
    axes = x.node.attrs["axes"]
    if a is None or any(a.shape[k] == 0 for k in axes) or _shifted(a):
        return None
    top = _top(a, axes)
    e = apply("exp", a - _spread(top, a, axes))
    total = apply("log", apply("reduce_sum", e, axes=axes)) + top
    return total if total.shape == shape else apply("reshape", total, shape=shape)


def _shifted(a: Traced) -> bool:
    """Whether a maximum has been taken off already."""
    if not made_by(a, "subtract"):
        return False
    node = a.node.inputs[1]
    while node.primitive.name in ("broadcast", "reshape", "stop_gradient", "select"):
        node = node.inputs[1 if node.primitive.name == "select" else 0]
    return node.primitive.name == "reduce_max"


REWRITES = (
    Rewrite("logistic", "divide", _logistic, "1 / (1 + exp(-a)) -> logistic(a)"),
    Rewrite("softmax", "divide", _softmax, "exp(a) / sum(exp(a)), shifted by max(a)"),
    Rewrite("reciprocal", "reciprocal", _reciprocal, "reciprocal(1 + exp(-a)) -> logistic(a)"),
    Rewrite("complement", "subtract", _one_minus_logistic, "1 - logistic(a) -> logistic(-a)"),
    Rewrite("log-logistic", "log", _log_logistic, "log(logistic(a)) -> log_logistic(a)"),
    Rewrite("softplus", "log", _softplus, "log(1 + exp(a)) -> logaddexp(a, 0)"),
    Rewrite("softplus-log1p", "log1p", _softplus_log1p, "log1p(exp(a)) -> logaddexp(a, 0)"),
    Rewrite("log-softmax", "log", _log_quotient, "log(exp(a) / z) -> a - log(z)"),
    Rewrite("log-sum-exp", "log", _log_sum_exp, "log(sum(exp(a))), shifted by max(a)"),
)
