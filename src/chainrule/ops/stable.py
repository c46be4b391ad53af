"""The stable building blocks of losses: relu, softplus, softmax and their kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.told import told
from chainrule.core.traced import Traced
from chainrule.core.types import normalize_axes
from chainrule.ops.coerce import plain
from chainrule.ops.structure import stop_gradient


def stop(x: Any) -> Any:
    """``x`` as a constant: no gradient flows through it."""
    return stop_gradient(x) if isinstance(x, Traced) else x


def relu(x: Any) -> Any:
    """``x`` where it is positive, else 0; the derivative at 0 is 0 (L2.5)."""
    return np.where(x > 0, x, 0 * x if not hasattr(x, "dtype") else np.zeros((), x.dtype))


@told("nn.softplus")
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))`` without overflow; its derivative is the logistic function."""
    return np.logaddexp(x, np.zeros((), x.dtype) if hasattr(x, "dtype") else 0.0)


@told("nn.logsumexp")
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Any:
    """``log(sum(b * exp(a)))`` along ``axis`` without overflow, as ``scipy.special.logsumexp``.

    Args:
        a: array of any shape. axis: int, tuple or None for all. b: factors that broadcast
            with ``a``. keepdims: keep the reduced axes with length 1.
    """
    a = plain(a)
    top = stop(np.max(a, axis=axis, keepdims=True))
    top = np.where(np.isfinite(top), top, np.zeros((), top.dtype))
    terms = np.exp(a - top)
    if b is not None:
        terms = terms * b
    total = np.log(np.sum(terms, axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, normalize_axes(axis, total.ndim))


@told("nn.softmax")
def softmax(x: Any, axis: Any = -1) -> Any:
    """``exp(x) / sum(exp(x))`` along ``axis`` without overflow (L0.1, L1.5).

    Note that the default axis is the last, where ``scipy.special.softmax`` takes all.
    """
    x = plain(x)
    e = np.exp(x - stop(np.max(x, axis=axis, keepdims=True)))
    return e / np.sum(e, axis=axis, keepdims=True)


@told("nn.log_softmax")
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """``log(softmax(x))`` along ``axis``, accurate where the probability underflows."""
    x = plain(x)
    shifted = x - stop(np.max(x, axis=axis, keepdims=True))
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
