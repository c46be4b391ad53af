"""Stability rewrites: formulas typed as in a textbook, computed so that they stay finite.

They act while ``jit`` and ``fit`` record, before anything is differentiated, so that the
derivative is that of the stable form: rewriting the derivative of the unstable one would have
to undo divisions of zero by zero. ``trace`` and ``grad`` without ``jit`` show and run what was
typed. Each rewrite is judged by mpmath in the tests: never less accurate than what it replaces.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.core.graph import CONSTANT, PRIMITIVES, Node, Primitive
from chainrule.core.traced import Traced


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What to record instead of ``primitive`` on some arguments.

    ``replace(*inputs, **attrs)`` returns the stable form, or None where the pattern does not
    fit.
    """

    name: str
    primitive: str
    replace: Callable[..., Traced | None]
    example: str


def rewrite(primitive: Primitive, inputs: tuple[Traced, ...], attrs: Any) -> Traced | None:
    """The first rewrite that fits, applied; None where none does."""
    for one in _BY_PRIMITIVE.get(primitive.name, ()):
        found = one.replace(*inputs, **attrs)
        if found is not None:
            return found
    return None


# Patterns ---------------------------------------------------------------------------------


def _is(x: Traced, name: str) -> bool:
    return x.node.primitive.name == name


def _inputs(x: Traced) -> tuple[Traced, ...]:
    return tuple(Traced(node, x.recording) for node in x.node.inputs)


def _number(node: Node) -> float | None:
    """The number that a node holds everywhere, if it is a constant of floats."""
    if node.primitive.name == "broadcast":
        (node,) = node.inputs
    if node.primitive is not CONSTANT or not node.type.is_float:
        return None
    code = {"float64": "d", "float32": "f"}[node.attrs["dtype"]]
    return struct.unpack(code, node.attrs["value"])[0]


def _exponent(x: Traced) -> Traced | None:
    """a where x is exp(a)."""
    return _inputs(x)[0] if _is(x, "exp") else None


def _one_plus_exp(x: Traced) -> Traced | None:
    """a where x is 1 + exp(a)."""
    if not _is(x, "add"):
        return None
    for one, other in (_inputs(x), reversed(_inputs(x))):
        if _number(one.node) == 1:
            return _exponent(other)
    return None


def _minus(a: Traced) -> Traced:
    return _inputs(a)[0] if _is(a, "negative") else -a


def _squares(x: Traced) -> bool:
    """Whether x is v², written in any of the usual ways."""
    if _is(x, "square"):
        return True
    if _is(x, "power_constant"):
        return x.node.attrs["exponent"] == 2
    return _is(x, "multiply") and x.node.inputs[0] is x.node.inputs[1]


def _apply(name: str, *inputs: Traced, **attrs: Any) -> Traced:
    return inputs[0].recording.emit(PRIMITIVES[name], inputs, attrs)


def _constant_like(x: Traced, value: float) -> Traced:
    number = x.recording.constant(value, x.dtype)
    return _apply("broadcast", number, shape=x.shape, axes=()) if x.shape else number


def _top(a: Traced, axes: tuple[int, ...]) -> Traced:
    """The maximum along ``axes`` as a constant, 0 where it is infinite."""
    top = _apply("stop_gradient", _apply("reduce_max", a, axes=axes))
    return _apply("select", _apply("isfinite", top), top, _constant_like(top, 0.0))


def _spread(x: Traced, a: Traced, axes: tuple[int, ...]) -> Traced:
    kept = tuple(k for k in range(a.ndim) if k not in axes)
    return _apply("broadcast", x, shape=a.shape, axes=kept)


# Rewrites ---------------------------------------------------------------------------------


def _logistic(x: Traced, z: Traced) -> Traced | None:
    a = _one_plus_exp(z)
    if a is None:
        return None
    if _number(x.node) == 1:
        return _apply("logistic", _minus(a))
    numerator = _exponent(x)
    same = numerator is not None and numerator.node is a.node
    return _apply("logistic", a) if same else None


def _reciprocal(z: Traced) -> Traced | None:
    a = _one_plus_exp(z)
    return None if a is None else _apply("logistic", _minus(a))


def _one_minus_logistic(x: Traced, z: Traced) -> Traced | None:
    if _number(x.node) != 1 or not _is(z, "logistic"):
        return None
    return _apply("logistic", _minus(_inputs(z)[0]))


def _softmax(x: Traced, z: Traced) -> Traced | None:
    """exp(a) over its own sum: both divided by the exponential of the maximum."""
    a = _exponent(x)
    if a is None or _shifted(a):
        return None
    if not z.shape:
        total, kept = z, ()
    elif _is(z, "broadcast"):
        (total,), kept = _inputs(z), z.node.attrs["axes"]
    else:
        return None
    shape = total.shape
    while _is(total, "reshape"):
        (total,) = _inputs(total)
    if not _is(total, "reduce_sum") or total.shape != shape or total.node.inputs[0] is not x.node:
        return None
    axes = total.node.attrs["axes"]
    if tuple(kept) != tuple(k for k in range(a.ndim) if k not in axes):
        return None
    e = _apply("exp", a - _spread(_top(a, axes), a, axes))
    return e / _spread(_apply("reduce_sum", e, axes=axes), a, axes)


def _log_logistic(x: Traced) -> Traced | None:
    return _apply("log_logistic", _inputs(x)[0]) if _is(x, "logistic") else None


def _softplus(x: Traced) -> Traced | None:
    a = _one_plus_exp(x)
    return None if a is None else _apply("logaddexp", a, _constant_like(a, 0.0))


def _softplus_log1p(x: Traced) -> Traced | None:
    a = _exponent(x)
    return None if a is None else _apply("logaddexp", a, _constant_like(a, 0.0))


def _log_quotient(x: Traced) -> Traced | None:
    """log(exp(a) / z) as a - log z, which is how the logarithm of a softmax is meant."""
    if not _is(x, "divide"):
        return None
    numerator, z = _inputs(x)
    a = _exponent(numerator)
    return None if a is None else a - _apply("log", z)


def _log_sum_exp(x: Traced) -> Traced | None:
    shape = x.shape
    while _is(x, "reshape"):
        (x,) = _inputs(x)
    if not _is(x, "reduce_sum"):
        return None
    a = _exponent(_inputs(x)[0])
    axes = x.node.attrs["axes"]
    if a is None or any(a.shape[k] == 0 for k in axes) or _shifted(a):
        return None
    top = _top(a, axes)
    e = _apply("exp", a - _spread(top, a, axes))
    total = _apply("log", _apply("reduce_sum", e, axes=axes)) + top
    return total if total.shape == shape else _apply("reshape", total, shape=shape)


def _shifted(a: Traced) -> bool:
    """Whether a maximum has been taken off already."""
    if not _is(a, "subtract"):
        return False
    node = a.node.inputs[1]
    while node.primitive.name in ("broadcast", "reshape", "stop_gradient", "select"):
        node = node.inputs[1 if node.primitive.name == "select" else 0]
    return node.primitive.name == "reduce_max"


def _norm(x: Traced) -> Traced | None:
    """The root of a sum of squares, with gradient 0 where all of them are 0."""
    total = x
    while _is(total, "reshape"):
        (total,) = _inputs(total)
    if not _is(total, "reduce_sum") or not _squares(_inputs(total)[0]):
        return None
    zero = _apply("equal", x, _constant_like(x, 0.0))
    safe = _apply("select", zero, _constant_like(x, 1.0), x)
    return _apply("select", zero, _constant_like(x, 0.0), _apply("sqrt", safe))


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
    Rewrite("norm", "sqrt", _norm, "sqrt(sum(x * x)) with gradient 0 at 0"),
)

_BY_PRIMITIVE: dict[str, list[Rewrite]] = {}
for _rewrite in REWRITES:
    _BY_PRIMITIVE.setdefault(_rewrite.primitive, []).append(_rewrite)
