"""Backpropagation through time: gradients of shared weights add over the steps."""

import numpy as np

rng = np.random.default_rng(11)
xs = rng.normal(size=(4, 3))
targets = rng.normal(size=(4, 2))
Wx = rng.normal(size=(5, 3)) * 0.5
Wh = rng.normal(size=(5, 5)) * 0.5
Wy = rng.normal(size=(2, 5))
bh = rng.normal(size=5) * 0.1


def forward(Wx, Wh, Wy, bh, xs, targets):
    h = np.zeros(5)
    hs = [h]
    errors = []
    loss = 0.0
    for t in range(len(xs)):
        h = np.tanh(Wx @ xs[t] + Wh @ h + bh)
        hs.append(h)
        e = Wy @ h - targets[t]
        errors.append(e)
        loss += 0.5 * np.sum(e**2)
    cache = {"hs": hs, "errors": errors}
    return loss, cache


def backward(Wx, Wh, Wy, bh, xs, cache):
    hs, errors = cache["hs"], cache["errors"]
    dWx, dWh, dWy = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wy)
    dbh = np.zeros_like(bh)
    dh_next = np.zeros(5)
    for t in reversed(range(len(xs))):
        dWy += np.outer(errors[t], hs[t + 1])
        dh = Wy.T @ errors[t] + dh_next
        draw = dh * (1 - hs[t + 1] ** 2)
        dWx += np.outer(draw, xs[t])
        dWh += np.outer(draw, hs[t])
        dbh += draw
        dh_next = Wh.T @ draw
    return dWx, dWh, dWy, dbh
