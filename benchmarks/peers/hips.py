"""HIPS autograd: gradients, and training with an Adam or SGD written in NumPy.

Small networks only: in large ones all time goes into NumPy's products, which stand beside.
"""

from __future__ import annotations

from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
from autograd.scipy.special import logsumexp

from benchmarks.work import MOMENTUM, RATES, Gradient, Prepared, Training, outcome_of

SMALL = 20_000
"""Parameters up to which a network counts as small."""


def training(work: Training, variant: str) -> Prepared | None:
    network, rate = work.network, RATES[work.optimizer]
    start = network.layers(work.dtype)
    if sum(w.size for w, _ in start) > SMALL:
        return None
    x, t = network.data(work.dtype)
    order = network.order()

    def mean_loss(layers: Any, x: Any, t: Any) -> Any:
        for w, b in layers[:-1]:
            x = anp.maximum(x @ w + b, 0)
        y = x @ layers[-1][0] + layers[-1][1]
        if not network.classes:
            return anp.mean((y - t) ** 2) / 2
        y = y - logsumexp(y, axis=1, keepdims=True)
        return -anp.mean(y[anp.arange(len(t)), t])

    gradient = autograd.grad(mean_loss)

    def run() -> Any:
        flat = [a.copy() for layer in start for a in layer]
        ms, vs = [np.zeros_like(p) for p in flat], [np.zeros_like(p) for p in flat]
        for count, rows in enumerate(order, 1):
            layers = list(zip(flat[::2], flat[1::2], strict=True))
            found = [g for layer in gradient(layers, x[rows], t[rows]) for g in layer]
            for p, g, m, v in zip(flat, found, ms, vs, strict=True):
                if work.optimizer == "sgd":
                    m *= MOMENTUM
                    m += g
                    p -= rate * m
                    continue
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= rate / (1 - 0.9**count) * m / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
        return list(zip(flat[::2], flat[1::2], strict=True))

    return Prepared(run, network.steps, lambda: network.mean_loss(run(), work.dtype))


def gradient(work: Gradient, variant: str) -> Prepared:
    both = autograd.value_and_grad(work.function.f(anp))
    x = work.function.x()
    return Prepared(lambda: both(x), outcome=lambda: outcome_of(*both(x)))
